//! What became of a rehearsal, for people and for scripts.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli::output::{counted, fields, table};
use crate::simulate::{
    Action, CycleReport, Dialects, Endpoint, Entry, Finding, KindStatistics, Left, Plan, Provider,
    Report,
};
use crate::store::check;

/// Lines of the log that people see.
const LOG_SHOWN: usize = 30;
/// Differences that people see.
const FINDINGS_SHOWN: usize = 40;
/// Characters of a reason that people see.
const REASON_CHARS: usize = 200;

/// What was known before.
#[derive(Debug)]
pub(super) struct Shown {
    base: String,
    /// Entra's.
    dialect: Option<&'static str>,
}

/// What is known at the end.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) report: &'a Report,
    /// Of the tables, when the endpoint was the rehearsal's own.
    pub(super) checked: Option<&'a check::Report>,
    /// Of what was created, when it was to be deleted.
    pub(super) left: Option<Left>,
    pub(super) is_good: bool,
}

impl Shown {
    pub(super) fn new(endpoint: &Endpoint, plan: &Plan) -> Self {
        let dialect = match plan.dialects {
            _ if plan.provider != Provider::Entra => None,
            Dialects::One(dialect) => Some(dialect.word()),
            Dialects::Mixed => Some("mixed"),
        };
        Self { base: endpoint.base().to_owned(), dialect }
    }

    pub(super) fn text(&self, end: &End<'_>) -> String {
        let report = end.report;
        let mut parts = vec![log(report), cycles(report), requests(report)];
        let findings: Vec<String> = report
            .findings()
            .iter()
            .take(FINDINGS_SHOWN)
            .map(|Finding { about, what }| format!("  {about}: {what}"))
            .collect();
        if !findings.is_empty() {
            let more = report.findings().len().saturating_sub(FINDINGS_SHOWN);
            let more = if more == 0 {
                String::new()
            } else {
                format!("\n  … and {more} more; --format json has all")
            };
            parts.push(format!(
                "The endpoint differs from the source:\n{}{more}\n",
                findings.join("\n")
            ));
        }
        if !report.remarks.is_empty() {
            let remarks = report.remarks.iter().map(|(what, count)| format!("  {count} × {what}"));
            parts.push(format!(
                "{} takes no offence, and yet:\n{}\n",
                report.provider.name(),
                remarks.collect::<Vec<_>>().join("\n")
            ));
        }
        let formula: Vec<String> = report
            .cycles
            .iter()
            .flat_map(|cycle| {
                cycle.formula.iter().map(|line| format!("  cycle {}: {line}", cycle.number))
            })
            .collect();
        if !formula.is_empty() {
            parts.push(format!(
                "More or fewer requests than the changes made necessary:\n{}\n",
                formula.join("\n")
            ));
        }
        parts.push(self.summary(end));
        parts.retain(|part| !part.is_empty());
        parts.join("\n")
    }

    fn summary(&self, end: &End<'_>) -> String {
        let report = end.report;
        let done = |action| report.done(action).to_string();
        let failed: usize = report.cycles.iter().map(|cycle| cycle.failed).sum();
        let open: BTreeSet<_> = report.open().map(|entry| (entry.sort, &entry.subject)).collect();
        let open = counted(open.len(), "object is", "objects are");
        let mut known = vec![
            ("Endpoint", self.base.clone()),
            ("Provider", report.provider.name().to_owned()),
            match self.dialect {
                Some(dialect) => ("Seed, dialect", format!("{}, {dialect}", report.seed)),
                None => ("Seed", report.seed.to_string()),
            },
            (
                "Source",
                format!(
                    "{}, {}, {}",
                    counted(report.users, "user", "users"),
                    counted(report.groups, "group", "groups"),
                    counted(report.memberships, "membership", "memberships")
                ),
            ),
            ("Created", done(Action::Create)),
            ("Updated", done(Action::Update)),
            ("Disabled", done(Action::Disable)),
            ("Deleted", done(Action::Delete)),
            (
                "References",
                format!("{} set, {} taken away", done(Action::Assign), done(Action::Unassign)),
            ),
            ("Skipped", done(Action::Skip)),
            ("Failed", format!("{}; {open} open", counted(failed, "attempt", "attempts"))),
        ];
        if !report.faults.is_empty() {
            let faults = report.faults.iter().map(|(what, count)| format!("{count} {what}"));
            known.push(("Faults played", faults.collect::<Vec<_>>().join(", ")));
        }
        known.push(("Job", format!("{}: {}", report.health.word(), report.health.reason())));
        if let Some(checked) = end.checked {
            let said = if checked.is_whole() {
                format!("whole ({})", counted(checked.items, "item", "items"))
            } else {
                format!("not whole: {}", counted(checked.findings.len(), "finding", "findings"))
            };
            known.push(("Tables", said));
        }
        if let Some(Left { deleted, left }) = end.left {
            known.push(("Cleaned up", format!("{deleted} deleted, {left} left")));
        }
        let verdict = if end.is_good {
            "The endpoint ended as the source is.".to_owned()
        } else if report.findings().is_empty() && report.sent_again() > 0 {
            let again = counted(report.sent_again(), "object", "objects");
            format!(
                "The endpoint ended as the source is, and yet {again} came back other than sent: Entra would send them at \
                 each restart."
            )
        } else if report.findings().is_empty() {
            "The endpoint is as the source is, and yet something is wrong; see above.".to_owned()
        } else {
            let differences = counted(report.findings().len(), "difference", "differences");
            format!("The endpoint did not end as the source is: {differences}.")
        };
        format!("{}\n{verdict}\n", fields(&known))
    }

    pub(super) fn json(&self, end: &End<'_>) -> Value {
        let report = end.report;
        let checked = end.checked.map(|checked| {
            json!({ "whole": checked.is_whole(), "items": checked.items, "findings": checked.findings.len() })
        });
        let left = end.left.map(|left| json!({ "deleted": left.deleted, "left": left.left }));
        json!({
            "good": end.is_good,
            "endpoint": self.base,
            "provider": report.provider.word(),
            "seed": report.seed,
            "dialect": self.dialect,
            "source": { "users": report.users, "groups": report.groups, "memberships": report.memberships },
            "job": { "health": report.health.word(), "reason": report.health.reason() },
            "cycles": report.cycles.iter().map(cycle_json).collect::<Vec<_>>(),
            "requests": report.requests.iter().map(kind_json).collect::<Vec<_>>(),
            "log": report.log.iter().map(entry_json).collect::<Vec<_>>(),
            "differences": report.findings().iter().map(finding_json).collect::<Vec<_>>(),
            "sent_again": report.sent_again(),
            "remarks": report.remarks,
            "faults": report.faults,
            "tables": checked,
            "cleaned_up": left,
        })
    }
}

/// The provisioning log, failures first.
fn log(report: &Report) -> String {
    let failed = |entry: &&Entry| entry.failure.is_some();
    let open = report.open();
    let over = report.log.iter().filter(|entry| failed(entry) && entry.is_made_good);
    let fine = report.log.iter().filter(|entry| !failed(entry));
    let row = |entry: &Entry| {
        let (result, reason) = match &entry.failure {
            None => {
                (if entry.action == Action::Skip { "skipped" } else { "success" }, String::new())
            }
            Some(failure) => {
                let result = if entry.is_made_good { "failure, made good" } else { "failure" };
                (result, format!("{}: {}", failure.code.word(), failure.detail))
            }
        };
        let on_demand = if entry.is_on_demand { " (on demand)" } else { "" };
        [
            entry.cycle.to_string(),
            format!("{} {}", entry.sort.word(), entry.name),
            format!("{}{on_demand}", entry.action.word()),
            result.to_owned(),
            reason.chars().take(REASON_CHARS).collect(),
        ]
    };
    let rows: Vec<[String; 5]> = open.chain(over).chain(fine).take(LOG_SHOWN).map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let hidden = report.log.len().saturating_sub(rows.len());
    let more = if hidden == 0 {
        String::new()
    } else {
        format!("… and {hidden} more; --format json has all\n")
    };
    format!("{}{more}", table(["cycle", "object", "action", "result", "reason"], &rows))
}

fn cycles(report: &Report) -> String {
    let row = |cycle: &CycleReport| {
        let changes =
            cycle.changes.iter().map(|(change, count)| format!("{count} {}", change.word()));
        let chaos = if cycle.is_chaotic { ", with faults" } else { "" };
        [
            cycle.number.to_string(),
            format!("{}{chaos}", cycle.kind.word()),
            cycle.requests_in_all().to_string(),
            cycle.writes().to_string(),
            cycle.failed.to_string(),
            cycle.findings.len().to_string(),
            changes.collect::<Vec<_>>().join(", "),
        ]
    };
    let rows: Vec<[String; 7]> = report.cycles.iter().map(row).collect();
    table(
        ["cycle", "kind", "requests", "writes", "failed", "differences", "changes before it"],
        &rows,
    )
}

fn requests(report: &Report) -> String {
    let row = |kind: &KindStatistics| {
        [
            kind.kind.word().to_owned(),
            kind.count.to_string(),
            milliseconds(kind.p50),
            milliseconds(kind.p99),
        ]
    };
    let rows: Vec<[String; 4]> = report.requests.iter().map(row).collect();
    table(["request", "count", "p50 ms", "p99 ms"], &rows)
}

/// Microseconds as milliseconds with one digit.
fn milliseconds(micros: u64) -> String {
    format!("{}.{}", micros / 1_000, micros % 1_000 / 100)
}

fn cycle_json(cycle: &CycleReport) -> Value {
    let named = |(kind, count): (&str, &usize)| (kind.to_owned(), Value::from(*count));
    let changes = cycle.changes.iter().map(|(change, count)| named((change.word(), count)));
    let actions = cycle.actions.iter().map(|(action, count)| named((action.word(), count)));
    let requests = cycle.requests.iter().map(|(kind, count)| named((kind.word(), count)));
    json!({
        "cycle": cycle.number,
        "kind": cycle.kind.word(),
        "chaos": cycle.is_chaotic,
        "changes": changes.collect::<serde_json::Map<_, _>>(),
        "actions": actions.collect::<serde_json::Map<_, _>>(),
        "failed": cycle.failed,
        "requests": requests.collect::<serde_json::Map<_, _>>(),
        "writes": cycle.writes(),
        "formula": cycle.formula,
        "differences": cycle.findings.iter().map(finding_json).collect::<Vec<_>>(),
    })
}

fn kind_json(kind: &KindStatistics) -> Value {
    let KindStatistics { kind, count, p50, p99 } = kind;
    json!({ "kind": kind.word(), "count": count, "p50_us": p50, "p99_us": p99 })
}

fn entry_json(entry: &Entry) -> Value {
    let failure = entry.failure.as_ref();
    json!({
        "cycle": entry.cycle,
        "object": entry.sort.word(),
        "name": entry.name,
        "subject": entry.subject,
        "action": entry.action.word(),
        "result": if failure.is_some() { "failure" } else { "success" },
        "code": failure.map(|failure| failure.code.word()),
        "reason": failure.map(|failure| failure.detail.as_str()),
        "made_good": failure.map(|_| entry.is_made_good),
        "on_demand": entry.is_on_demand,
    })
}

fn finding_json(finding: &Finding) -> Value {
    json!({ "about": finding.about, "what": finding.what })
}
