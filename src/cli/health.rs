//! `scimctl health`: whether the identity provider calls, and is answered well.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::HealthArguments;
use super::output::{CliError, Output, fields, minute, minute_or_never, table, time_json};
use super::{Host, site};
use crate::admin::AdminError;
use crate::insight::cycles::Cycle;
use crate::insight::health::{Health, Share, TokenFact, Verdict, health};
use crate::insight::words::{grouped, percent, plain, span};
use crate::moment::Timestamp;
use crate::store::TenantId;

/// Cycles that people are shown.
const CYCLES: usize = 10;

pub(super) async fn run(
    arguments: &HealthArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let site = site::open(&arguments.place, host).await?;
    let tenant = &arguments.tenant;
    let found = health(&site.store, &host.moment(), tenant).await?;
    let health = found.ok_or_else(|| AdminError::NoTenant(tenant.clone()))?;
    out.write(|| text(tenant, &health), || json(tenant, &health))?;
    Ok(match health.verdict {
        Verdict::Healthy => ExitCode::SUCCESS,
        Verdict::Waiting | Verdict::Attention | Verdict::AtRisk => ExitCode::FAILURE,
    })
}

fn text(tenant: &TenantId, health: &Health) -> String {
    let mut parts = vec![format!("{tenant}: {}\n", health.verdict.word())];
    let findings = health
        .findings
        .iter()
        .map(|finding| format!("{}: {}\n", finding.verdict.word(), finding.sentence));
    let healthy = health.findings.is_empty().then(|| format!("{}\n", health.sentence));
    parts.push(findings.chain(healthy).collect());
    parts.push(numbers(health));
    let alive: Vec<&TokenFact> =
        health.tokens.iter().filter(|token| token.is_alive(health.now)).collect();
    if !alive.is_empty() {
        let rows: Vec<[String; 3]> = alive.iter().map(|token| token_row(token)).collect();
        parts.push(table(["token", "expires", "last used"], &rows));
    }
    let last = health.cycles.len().saturating_sub(CYCLES);
    let rows: Vec<[String; 6]> = health.cycles.iter().skip(last).map(cycle_row).collect();
    if !rows.is_empty() {
        parts.push(table(["cycle", "until", "kind", "people", "writes", "refused"], &rows));
    }
    parts.join("\n")
}

fn numbers(health: &Health) -> String {
    let ago = |time: Option<Timestamp>| match time {
        Some(at) => format!("{} ({} ago)", minute(at), span(health.now.since(at))),
        None => minute_or_never(None),
    };
    let rhythm = health.rhythm.map_or_else(|| "not known yet".to_owned(), span);
    let share = percent(health.refused, health.writes);
    let (writes, refused) = (grouped(health.writes), grouped(health.refused));
    let progress = health.progress().map(|(seen, of)| {
        ("seen so far", format!("about {} of about {}", grouped(seen), grouped(of)))
    });
    let mut lines = vec![
        ("last contact", ago(health.last_call)),
        ("last probe", ago(health.last_probe)),
        ("last refusal", ago(health.last_refusal)),
        ("rhythm", format!("{rhythm}; silent for {} is too long", span(health.silence_allowed))),
        ("people", grouped(health.users)),
        ("writes in a day", format!("about {writes}, {refused} of them refused ({share} %)")),
    ];
    lines.extend(progress);
    fields(&lines)
}

fn token_row(token: &TokenFact) -> [String; 3] {
    [plain(&token.label), minute(token.valid_until), minute_or_never(token.last_used)]
}

fn cycle_row(cycle: &Cycle) -> [String; 6] {
    let (writes, refused) = cycle.sums.writes();
    let until = if cycle.is_open { "so far".to_owned() } else { minute(cycle.end) };
    [
        minute(cycle.start),
        until,
        cycle.kind.word().to_owned(),
        grouped(cycle.sums.people_seen()),
        grouped(writes),
        grouped(refused),
    ]
}

fn json(tenant: &TenantId, health: &Health) -> Value {
    let finding = |finding: &crate::insight::health::Finding| {
        json!({
            "sort": finding.sort.word(),
            "verdict": finding.verdict.word(),
            "sentence": finding.sentence,
        })
    };
    json!({
        "tenant": tenant.as_str(),
        "verdict": health.verdict.word(),
        "sentence": health.sentence,
        "findings": health.findings.iter().map(finding).collect::<Vec<_>>(),
        "last_call": time_json(health.last_call),
        "last_probe": time_json(health.last_probe),
        "last_refusal": time_json(health.last_refusal),
        "denied": health.denied.as_ref().map(|denied| {
            json!({ "at": denied.at.to_string(), "token": denied.token, "why": denied.why })
        }),
        "silence_allowed_s": health.silence_allowed.as_secs(),
        "rhythm_s": health.rhythm.as_ref().map(Duration::as_secs),
        "users": health.users,
        "writes": health.writes,
        "refused": health.refused,
        "throttled": health.throttled,
        "shares": health.shares.iter().map(share_json).collect::<Vec<_>>(),
        "held": health.brake.held,
        "held_since": time_json(health.brake.since),
        "tokens": health.tokens.iter().map(|token| token_json(token, health)).collect::<Vec<_>>(),
        "external_ids": {
            "people": health.external_ids.people,
            "none": health.external_ids.none,
            "object_ids": health.external_ids.object_ids,
            "ids": health.external_ids.ids,
            "names": health.external_ids.names,
        },
        "cycles": health.cycles.iter().map(cycle_json).collect::<Vec<_>>(),
    })
}

fn share_json(share: &Share) -> Value {
    json!({
        "method": share.write.method(),
        "all": share.all,
        "refused": share.refused,
        "reason": share.reason.as_ref().map(|reason| &reason.detail),
    })
}

fn token_json(token: &TokenFact, health: &Health) -> Value {
    json!({
        "id": token.id,
        "label": token.label,
        "alive": token.is_alive(health.now),
        "valid_until": token.valid_until.to_string(),
        "revoked": time_json(token.revoked),
        "last_used": time_json(token.last_used),
    })
}

fn cycle_json(cycle: &Cycle) -> Value {
    let (writes, refused) = cycle.sums.writes();
    json!({
        "kind": cycle.kind.word(),
        "start": cycle.start.to_string(),
        "end": cycle.end.to_string(),
        "open": cycle.is_open,
        "people": cycle.sums.people_seen(),
        "groups": cycle.sums.groups,
        "probes": cycle.sums.probes,
        "writes": writes,
        "refused": refused,
        "throttled": cycle.sums.throttled,
        "sentence": cycle.sentence(),
    })
}
