//! `scimctl resync`.

use std::cell::Cell;
use std::process::ExitCode;

use serde_json::{Value, json};
use uuid::Uuid;

use super::Host;
use super::args::ResyncArguments;
use super::output::{CliError, Output, counted};
use super::site;
use super::tenant::bar;
use crate::admin::resync::{self, Order, Report, Step};
use crate::scim::catalog::Kind;
use crate::store::TenantId;
use crate::store::resync::floor_of;

/// Leavers who are named for people; scripts get all of them.
const SHOWN_MAX: usize = 50;

pub(super) async fn run(
    arguments: ResyncArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let ResyncArguments { tenant, users, groups, since, leavers_after, place } = arguments;
    let site = site::open_on_time(&place, host).await?;
    let only = match (users, groups) {
        (true, _) => Some(Kind::User),
        (false, true) => Some(Kind::Group),
        (false, false) => None,
    };
    let order = Order { only, since, leavers_after };
    let bar = bar(out);
    let began: Cell<Option<Uuid>> = Cell::new(since);
    let mut progress = |step: Step| match step {
        Step::Read(items) => {
            bar.set_message(format!("{} of the journal read", counted(items, "item", "items")));
        }
        Step::SwitchedOff(people) => {
            bar.set_message(format!("{} switched off", counted(people, "leaver", "leavers")));
        }
        Step::Began(at) => began.set(Some(at)),
        Step::Said(resources) => bar.set_message(format!("{resources} said again")),
    };
    let moments = || host.moment();
    let done = tokio::select! {
        done = resync::resync(&site.store, &moments, &tenant, &order, &mut progress) => done,
        _ = tokio::signal::ctrl_c() => {
            bar.finish_and_clear();
            return Err(CliError::Interrupted(format!("stopped; {}", how_to_go_on(began.get()))));
        }
    };
    bar.finish_and_clear();
    let report = done.map_err(|error| {
        let error = CliError::from(error);
        match (error.text(), began.get().filter(|_| since.is_none())) {
            (Some(text), Some(_)) => {
                CliError::new(format!("{text}; {}", how_to_go_on(began.get())))
            }
            _ => error,
        }
    })?;
    out.write(|| text(&tenant, &report), || json(&tenant, &report))?;
    Ok(ExitCode::SUCCESS)
}

fn how_to_go_on(began: Option<Uuid>) -> String {
    match began {
        None => "the same command goes on".to_owned(),
        Some(at) => format!("what was said is said; the same command with --since {at} goes on"),
    }
}

fn text(tenant: &TenantId, report: &Report) -> String {
    let mut lines = Vec::new();
    if !report.switched_off.is_empty() {
        let left = counted(report.switched_off.len(), "leaver was", "leavers were");
        lines.push(format!("{left} still active and switched off first:"));
        lines.extend(report.switched_off.iter().take(SHOWN_MAX).map(|id| format!("  {id}")));
        let hidden = report.switched_off.len().saturating_sub(SHOWN_MAX);
        if hidden > 0 {
            lines.push(format!("  … and {hidden} others; --format json writes all"));
        }
    }
    let said = counted(report.said, "resource is", "resources are");
    let before = match report.said_before {
        0 => String::new(),
        before => format!(" ({before} had been before)"),
    };
    lines.push(format!(
        "{tenant}: {said} said again{before}, under version {} or later. Readers of the journal see it in 15 s.",
        floor_of(report.since)
    ));
    lines.join("\n")
}

fn json(tenant: &TenantId, report: &Report) -> Value {
    let ids = report.switched_off.iter().map(ToString::to_string);
    json!({
        "tenant": tenant.as_str(),
        "since": report.since.to_string(),
        "version": floor_of(report.since),
        "said": report.said,
        "said_before": report.said_before,
        "switched_off": ids.collect::<Vec<_>>(),
    })
}
