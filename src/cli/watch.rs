//! `scimctl watch`: who is told that a tenant's provisioning needs somebody.

use std::convert::Infallible;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Host;
use super::args::{Place, tenant};
use super::output::{CliError, Output, counted, minute, time_json};
use super::site;
use crate::admin::AdminError;
use crate::limits::WATCH_AGAIN_DAYS;
use crate::store::TenantId;
use crate::watch::{self, Condition, Mode, Summary};

#[derive(Debug, Args)]
pub(super) struct WatchArguments {
    #[command(subcommand)]
    command: WatchCommand,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum WatchCommand {
    /// Look at every tenant once, and print what is new; it counts as told
    Run {
        /// Only print what would be told
        #[arg(long)]
        dry_run: bool,
    },
    /// Have nobody told of a condition of a tenant for some days
    Mute {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// silent, failures, denied, token, certificate, throttling or held
        #[arg(value_parser = condition)]
        condition: Condition,
        /// For so many days; 0 ends it
        #[arg(long, value_name = "N", default_value_t = WATCH_AGAIN_DAYS, value_parser = clap::value_parser!(u64).range(0..=365))]
        days: u64,
    },
}

fn condition(word: &str) -> Result<Condition, String> {
    let words = Condition::ALL.map(Condition::word).join(", ");
    Condition::parse(word).ok_or_else(|| format!("it is one of {words}"))
}

pub(super) async fn run(
    arguments: WatchArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let WatchArguments { command, place } = arguments;
    let site = site::open(&place, host).await?;
    match command {
        WatchCommand::Run { dry_run } => {
            let mode = if dry_run { Mode::Show } else { Mode::Tell };
            let moments = || host.moment();
            let tell = async |_| Ok::<(), Infallible>(());
            let summary = watch::run(&site.store, &moments, mode, tell).await?;
            out.write(|| text(&summary), || json(&summary))?;
            Ok(if summary.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        WatchCommand::Mute { tenant, condition, days } => {
            let (store, moment) = (&site.store, host.moment());
            if store.settings(&moment, &tenant).await?.is_none() {
                return Err(AdminError::NoTenant(tenant).into());
            }
            let until = watch::mute(store, &moment, (&tenant, condition), days).await?;
            let word = condition.word();
            out.write(
                || match until {
                    Some(until) => format!("{tenant}: nobody is told of {word} until {} (UTC).", minute(until)),
                    None => format!("{tenant}: {word} is told again."),
                },
                || json!({ "tenant": tenant.as_str(), "condition": word, "muted_until": time_json(until) }),
            )?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn text(summary: &Summary) -> String {
    let mut lines: Vec<String> = summary
        .notices
        .iter()
        .map(|notice| {
            format!("{} ({}): {}", notice.tenant, notice.condition.word(), notice.sentence)
        })
        .collect();
    if lines.is_empty() {
        lines.push("Nothing new.".to_owned());
    }
    let tenants = usize::try_from(summary.tenants).unwrap_or(usize::MAX);
    lines.push(format!(
        "{} looked at: {} at risk, {} silent, {} held back.",
        counted(tenants, "tenant", "tenants"),
        summary.at_risk,
        summary.silent,
        counted(usize::try_from(summary.held).unwrap_or(usize::MAX), "change", "changes"),
    ));
    if summary.failed + summary.left > 0 {
        lines.push(format!(
            "{} could not be looked at, and for {} there was no time; run it again.",
            summary.failed, summary.left
        ));
    }
    lines.join("\n")
}

fn json(summary: &Summary) -> Value {
    let notice = |notice: &watch::Notice| {
        json!({
            "tenant": notice.tenant.as_str(),
            "condition": notice.condition.word(),
            "sentence": notice.sentence,
        })
    };
    json!({
        "tenants": summary.tenants,
        "at_risk": summary.at_risk,
        "silent": summary.silent,
        "held": summary.held,
        "failed": summary.failed,
        "left": summary.left,
        "notices": summary.notices.iter().map(notice).collect::<Vec<_>>(),
    })
}
