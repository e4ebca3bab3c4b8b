//! `scimctl brake`: the brake on mass changes, and what it holds back.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Host;
use super::args::{Place, tenant};
use super::output::{CliError, Output, counted, fields, minute, table, time_json};
use super::site::{self, Site};
use super::tenant::bar;
use crate::admin::ACTOR;
use crate::admin::brake::{self, Report, Shown};
use crate::insight::words::{self, plain};
use crate::limits::{
    BRAKE_BUDGET, BRAKE_BUDGET_MAX, BRAKE_WINDOW_MINUTES, BRAKE_WINDOW_MINUTES_MAX,
};
use crate::scim::resource::ResourceId;
use crate::scim::well_known;
use crate::store::TenantId;
use crate::store::brake::{Decision, HeldChange};
use crate::store::feed::time_of;
use crate::store::settings::Brake;

/// Held changes that `show` lists when nobody says how many.
const ROWS: u64 = 50;

#[derive(Debug, Args)]
pub(super) struct BrakeArguments {
    #[command(subcommand)]
    command: BrakeCommand,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum BrakeCommand {
    /// Show the brake, and what it holds back
    Show {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// List the oldest so many changes
        #[arg(long, value_name = "N", default_value_t = ROWS, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        limit: u64,
    },
    /// Hold changes back from the app when too many people are switched off, deleted or taken out of groups at once
    #[command(group = clap::ArgGroup::new("limit").required(true).multiple(true).args(["count", "percent"]))]
    Set {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// So many people within a window pass
        #[arg(long, value_name = "N")]
        count: Option<u64>,
        /// So many percent of the people in the directory pass; with --count, the lower one counts
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
        percent: Option<u64>,
        /// The length of a window in minutes
        #[arg(long, value_name = "N", default_value_t = BRAKE_WINDOW_MINUTES, value_parser = clap::value_parser!(u64).range(1..=BRAKE_WINDOW_MINUTES_MAX))]
        window: u64,
        /// So many pass in each window whatever is held
        #[arg(long, value_name = "N", default_value_t = BRAKE_BUDGET, value_parser = clap::value_parser!(u64).range(1..=BRAKE_BUDGET_MAX))]
        budget: u64,
    },
    /// Take the brake off; nothing may be held then
    Clear {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
    },
    /// Tell the app what was held back, in the order in which it happened
    Release(SettleArguments),
    /// Never tell the app what was held back; put the identity provider right first
    Reject(SettleArguments),
}

#[derive(Debug, Args)]
struct SettleArguments {
    /// The tenant
    #[arg(value_parser = tenant)]
    tenant: TenantId,
    /// Only the changes of this person
    #[arg(long, value_name = "ID", value_parser = person)]
    person: Option<ResourceId>,
}

fn person(text: &str) -> Result<ResourceId, String> {
    ResourceId::parse(text).ok_or_else(|| "it is the SCIM id of a person".to_owned())
}

pub(super) async fn run(
    arguments: BrakeArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let BrakeArguments { command, place } = arguments;
    match command {
        BrakeCommand::Show { tenant, limit } => {
            let site = site::open(&place, host).await?;
            show((&site, host), &tenant, limit, out).await?;
        }
        BrakeCommand::Set { tenant, count, percent, window, budget } => {
            let site = site::open(&place, host).await?;
            let brake = Brake { count, percent, window_minutes: window, budget };
            brake::set(&site.store, &host.moment(), (&tenant, ACTOR), Some(brake)).await?;
            show((&site, host), &tenant, ROWS, out).await?;
        }
        BrakeCommand::Clear { tenant } => {
            let site = site::open(&place, host).await?;
            brake::set(&site.store, &host.moment(), (&tenant, ACTOR), None).await?;
            out.write(
                || format!("{tenant} has no brake on mass changes within 30 s."),
                || json!({ "tenant": tenant.as_str(), "brake": Value::Null }),
            )?;
        }
        BrakeCommand::Release(what) => {
            // What it writes into the journal must not stand behind its readers.
            let site = site::open_on_time(&place, host).await?;
            settle((&site, host), Decision::Release, what, out).await?;
        }
        BrakeCommand::Reject(what) => {
            let site = site::open_on_time(&place, host).await?;
            settle((&site, host), Decision::Reject, what, out).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn settle(
    (site, host): (&Site, &Host),
    decision: Decision,
    SettleArguments { tenant, person }: SettleArguments,
    out: &mut Output,
) -> Result<(), CliError> {
    let bar = bar(out);
    let mut progress =
        |done: usize| bar.set_message(counted(done, "change is settled", "changes are settled"));
    let moments = || host.moment();
    let by = (&tenant, ACTOR);
    let done = tokio::select! {
        done = brake::settle(&site.store, &moments, by, (decision, person), &mut progress) => done,
        _ = tokio::signal::ctrl_c() => {
            bar.finish_and_clear();
            let text = "stopped; what is settled is settled, and the same command goes on";
            return Err(CliError::Interrupted(text.to_owned()));
        }
    };
    bar.finish_and_clear();
    let Report { settled, left } = done?;
    out.write(
        || {
            let changes = counted(settled, "change of", "changes of");
            let effect = match decision {
                Decision::Release => "released: readers of the journal see them in 15 s",
                Decision::Reject => "rejected: the app is not told",
            };
            format!("{changes} {tenant} {effect}. Still held: {left}.")
        },
        || json!({ "tenant": tenant.as_str(), "decision": decision.word(), "settled": settled, "held": left }),
    )
}

async fn show(
    (site, host): (&Site, &Host),
    tenant: &TenantId,
    limit: u64,
    out: &mut Output,
) -> Result<(), CliError> {
    let (store, moment) = (&site.store, host.moment());
    let shown = brake::show(store, &moment, tenant).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let (held, more) = brake::held(store, &moment, (tenant, ACTOR), (None, most)).await?;
    out.write(|| text(tenant, &shown, (&held, more)), || json(tenant, &shown, &held))
}

fn text(tenant: &TenantId, shown: &Shown, (held, more): (&[HeldChange], bool)) -> String {
    let brake = shown.brake.as_ref().map_or_else(
        || format!("off; `scimctl brake set {tenant} --percent 10` switches it on"),
        words::brake,
    );
    let state = &shown.state;
    let mut lines = vec![
        ("Tenant", tenant.to_string()),
        ("Brake", brake),
        ("Taken out in the last window", state.counted.to_string()),
        ("Held changes", state.held.to_string()),
    ];
    lines.extend(state.since.map(|since| ("Held since (UTC)", minute(since))));
    lines.extend(state.decision.map(|decision| ("Decided", decision.word().to_owned())));
    let known = fields(&lines);
    if held.is_empty() {
        return known;
    }
    let rows: Vec<[String; 4]> = held.iter().map(row).collect();
    let table = table(["when (UTC)", "who", "what", "id"], &rows);
    let others = if more { "There are more; --limit shows them.\n" } else { "" };
    format!(
        "{known}\n{table}{others}\n`scimctl brake release {tenant}` tells the app; `scimctl brake reject {tenant}` does not. --person ID does it for one person.\n"
    )
}

fn row(change: &HeldChange) -> [String; 4] {
    let text = |name: &str| change.attributes.get(name).and_then(Value::as_str);
    let events = change.attributes.get("events").and_then(Value::as_array);
    let events = events.into_iter().flatten().filter_map(Value::as_str).map(plain);
    let name = text(well_known::USER_NAME).or_else(|| text(well_known::DISPLAY_NAME)).unwrap_or("");
    [
        time_of(change.at).map(minute).unwrap_or_default(),
        plain(name),
        events.collect::<Vec<_>>().join(", "),
        change.id().unwrap_or("").to_owned(),
    ]
}

fn json(tenant: &TenantId, shown: &Shown, held: &[HeldChange]) -> Value {
    let state = &shown.state;
    json!({
        "tenant": tenant.as_str(),
        "brake": shown.brake.map(|brake| {
            json!({
                "count": brake.count,
                "percent": brake.percent,
                "window_minutes": brake.window_minutes,
                "budget": brake.budget,
            })
        }),
        "held": state.held,
        "held_since": time_json(state.since),
        "counted": state.counted,
        "decision": state.decision.map(Decision::word),
        "changes": held.iter().map(|change| &change.attributes).collect::<Vec<_>>(),
    })
}
