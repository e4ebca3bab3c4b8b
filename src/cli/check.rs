//! `scimctl check`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Host;
use super::args::CheckArguments;
use super::output::{CliError, Output, counted};
use super::site;
use super::tenant::bar;
use crate::admin::AdminError;
use crate::store::TenantId;
use crate::store::check::{Finding, Mode, Outcome, Progress, Report};

/// Findings that are written for people; scripts get all of them.
const SHOWN_MAX: usize = 200;

pub(super) async fn run(
    arguments: CheckArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let CheckArguments { tenant, repair, place } = arguments;
    let site = site::open(&place, host).await?;
    let mode = if repair { Mode::Repair } else { Mode::Report };
    let bar = bar(out);
    let mut progress = |progress: Progress| {
        bar.set_message(match progress {
            Progress::Read { pass, items } => {
                format!("pass {pass}: {} read", counted(items, "item", "items"))
            }
            Progress::LookedUp { changes, of } => {
                format!("{changes} of {} looked up", counted(of, "change", "changes"))
            }
            Progress::Looked { suspects, of } => {
                format!("{suspects} of {} looked at again", counted(of, "suspicion", "suspicions"))
            }
        });
    };
    let moments = || host.moment();
    let report = tokio::select! {
        report = site.store.check(&moments, &tenant, mode, &mut progress) => report,
        _ = tokio::signal::ctrl_c() => {
            bar.finish_and_clear();
            let text = "stopped; repairs that were done stay done, the same command goes on";
            return Err(CliError::Interrupted(text.to_owned()));
        }
    };
    bar.finish_and_clear();
    let report = report?.ok_or_else(|| AdminError::NoTenant(tenant.clone()))?;
    let repair = format!("{} check --repair {tenant}{}", site.program, site.flags);
    out.write(|| text((&tenant, &repair), mode, &report), || json(&tenant, &report))?;
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `repair` is the command that repairs.
fn text((tenant, repair): (&TenantId, &str), mode: Mode, report: &Report) -> String {
    let line = |finding: &Finding| {
        let Finding { sort, item, what, outcome } = finding;
        format!("{sort}: {}: {what}{}", item.escape_debug(), told(outcome))
    };
    let mut lines: Vec<String> = report.findings.iter().take(SHOWN_MAX).map(line).collect();
    let hidden = report.findings.len().saturating_sub(SHOWN_MAX);
    if hidden > 0 {
        lines.push(format!("… and {hidden} others; --format json writes all"));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(format!(
        "{tenant}: {}, {}, {} in {}.",
        counted(report.users, "user", "users"),
        counted(report.groups, "group", "groups"),
        counted(report.memberships, "membership", "memberships"),
        counted(report.items, "item", "items"),
    ));
    if report.jobs > 0 {
        let jobs = counted(report.jobs, "job is", "jobs are");
        lines.push(format!("{jobs} not finished yet; the scheduled job goes on with that."));
    }
    lines.push(verdict(repair, mode, report));
    if report.unsettled > 0 {
        let suspicions = counted(report.unsettled, "suspicion", "suspicions");
        lines.push(format!(
            "{suspicions} could not be settled, because the tenant is being written to; run it again."
        ));
    }
    lines.join("\n")
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Found => String::new(),
        Outcome::Repaired(how) => format!(" → repaired: {how}"),
        Outcome::ByHand(what) => format!(" → by hand: {what}"),
    }
}

fn verdict(repair: &str, mode: Mode, report: &Report) -> String {
    let (found, left) = (report.findings.len(), report.left());
    if found == 0 {
        return "Nothing is wrong.".to_owned();
    }
    let findings = counted(found, "finding", "findings");
    match mode {
        Mode::Report => {
            format!("{findings}. What can be repaired:\n  {repair}")
        }
        Mode::Repair => format!("{findings}: {} repaired, {left} left.", found - left),
    }
}

fn json(tenant: &TenantId, report: &Report) -> Value {
    let finding = |finding: &Finding| {
        let (outcome, note) = match finding.outcome {
            Outcome::Found => ("found", None),
            Outcome::Repaired(how) => ("repaired", Some(how)),
            Outcome::ByHand(what) => ("by-hand", Some(what)),
        };
        json!({
            "sort": finding.sort,
            "item": finding.item,
            "what": finding.what,
            "outcome": outcome,
            "note": note,
        })
    };
    json!({
        "tenant": tenant.as_str(),
        "whole": report.is_whole(),
        "items": report.items,
        "users": report.users,
        "groups": report.groups,
        "memberships": report.memberships,
        "jobs": report.jobs,
        "passes": report.passes,
        "unsettled": report.unsettled,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
