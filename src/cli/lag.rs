//! `scimctl changes --lag`: how long events took to be acknowledged, for each tenant.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Host;
use super::args::ChangesArguments;
use super::output::{CliError, Output, counted, minute, table, time_json};
use super::site::Site;
use super::tenant::bar;
use crate::admin::tenants;
use crate::feed::just_before;
use crate::feed::lag::{Lag, Tally, Waiting, took};
use crate::limits::FEED_BEHIND;
use crate::store::TenantId;
use crate::store::brake::BrakeState;
use crate::store::feed::{Change, Pages, position};
use crate::store::journal::Event;

pub(super) async fn run(
    arguments: &ChangesArguments,
    site: &Site,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let event = match arguments.events.as_slice() {
        [] => Event::UserDeactivated.name(),
        [event] => event,
        _ => return Err(CliError::new("--lag measures one event: give --event once")),
    };
    let tenants: Vec<TenantId> = if let Some(tenant) = &arguments.tenant {
        vec![tenant.clone()]
    } else {
        let listed = tenants::list(&site.store, &host.moment()).await?;
        listed.into_iter().map(|listed| listed.tenant).collect()
    };
    let mut lags = Vec::new();
    let bar = bar(out);
    for tenant in tenants {
        let measured = tokio::select! {
            measured = measure(arguments, (&tenant, event), (site, host), (out, &bar)) => measured?,
            _ = tokio::signal::ctrl_c() => {
                bar.finish_and_clear();
                return Err(CliError::Interrupted("stopped; nothing was changed".to_owned()));
            }
        };
        let held = site.store.brake_state(&host.moment(), &tenant).await?;
        lags.push(Measured { tenant, lag: measured, held });
    }
    bar.finish_and_clear();
    out.write(|| text(event, &lags), || json(arguments, event, &lags))?;
    Ok(ExitCode::SUCCESS)
}

/// What was measured of one tenant, and what is not in its feed yet.
struct Measured {
    tenant: TenantId,
    lag: Lag,
    held: BrakeState,
}

async fn measure(
    arguments: &ChangesArguments,
    (tenant, event): (&TenantId, &str),
    (site, host): (&Site, &Host),
    (out, bar): (&mut Output, &ProgressBar),
) -> Result<Lag, CliError> {
    let now = host.moment().now();
    let from = arguments.since.map_or(Uuid::nil(), |since| just_before(position(since)));
    let mut pages = Pages::new(&site.store, tenant, (from, position(now.minus(FEED_BEHIND))));
    let mut tally = Tally::default();
    let mut read = 0;
    while let Some(changes) = pages.next(&host.moment()).await? {
        read += changes.len();
        bar.set_message(format!("{tenant}: {} read", counted(read, "item", "items")));
        for change in changes.iter().filter(|change| change.is(event)) {
            tally.add(change, now);
            if arguments.detail {
                bar.suspend(|| {
                    out.write(|| detail_text(tenant, change), || detail_json(tenant, change))
                })?;
            }
        }
    }
    Ok(tally.sum())
}

fn detail_text(tenant: &TenantId, change: &Change) -> String {
    let shown = |text: Option<&str>| text.unwrap_or("-").escape_debug().to_string();
    let time = change.time().map_or_else(String::new, |time| time.to_string());
    let outcome = match (change.acknowledged(), took(change)) {
        (Some(when), Some(took)) => {
            format!(
                "acknowledged {when} by {}, after {}",
                shown(change.acknowledged_by()),
                span(took)
            )
        }
        _ => "not acknowledged".to_owned(),
    };
    format!("{time}  {tenant}  {}  {}  {outcome}", change.at, shown(change.id()))
}

fn detail_json(tenant: &TenantId, change: &Change) -> Value {
    json!({
        "detail": {
            "tenant": tenant.as_str(),
            "at": change.at.to_string(),
            "id": change.id(),
            "time": change.time().map(|time| time.to_string()),
            "acknowledged": change.acknowledged().map(|time| time.to_string()),
            "acknowledged_by": change.acknowledged_by(),
            "took_ms": took(change).map(millis),
        }
    })
}

fn text(event: &str, lags: &[Measured]) -> String {
    let or_none = |took: Option<Duration>| took.map_or_else(|| "-".to_owned(), span);
    let row = |Measured { tenant, lag, .. }: &Measured| {
        let oldest = lag.oldest.as_ref().map_or_else(String::new, |oldest| {
            format!("{}, {}", span(oldest.age), oldest.id.as_deref().unwrap_or("-").escape_debug())
        });
        [
            tenant.to_string(),
            lag.events.to_string(),
            lag.acknowledged.to_string(),
            lag.waiting.to_string(),
            or_none(lag.p50),
            or_none(lag.p99),
            or_none(lag.max),
            oldest,
        ]
    };
    let rows: Vec<[String; 8]> = lags.iter().map(row).collect();
    let headings =
        ["tenant", "events", "acknowledged", "waiting", "p50", "p99", "max", "waiting longest"];
    let held: String = lags.iter().filter_map(held_text).collect();
    format!("{event}\n\n{}{held}", table(headings, &rows))
}

/// What the brake holds back is among no events: nobody has been told.
fn held_text(Measured { tenant, held, .. }: &Measured) -> Option<String> {
    let count = usize::try_from(held.held).unwrap_or(usize::MAX);
    let since =
        held.since.map_or_else(String::new, |since| format!(" since {} UTC", minute(since)));
    (count > 0).then(|| {
        let changes = counted(count, "change of", "changes of");
        let are = if count == 1 { "is" } else { "are" };
        format!("\n{changes} {tenant} {are} held back by the brake on mass changes{since}, and not in these numbers: look with scimctl brake show {tenant}, then release or reject.\n")
    })
}

fn json(arguments: &ChangesArguments, event: &str, lags: &[Measured]) -> Value {
    let lag = |Measured { tenant, lag, held }: &Measured| {
        json!({
            "tenant": tenant.as_str(),
            "events": lag.events,
            "acknowledged": lag.acknowledged,
            "waiting": lag.waiting,
            "oldest_waiting": lag.oldest.as_ref().map(waiting_json),
            "p50_ms": lag.p50.map(millis),
            "p99_ms": lag.p99.map(millis),
            "max_ms": lag.max.map(millis),
            "held": held.held,
            "held_since": time_json(held.since),
        })
    };
    json!({
        "event": event,
        "since": arguments.since.map(|since| since.to_string()),
        "tenants": lags.iter().map(lag).collect::<Vec<_>>(),
    })
}

fn waiting_json(waiting: &Waiting) -> Value {
    json!({ "at": waiting.at.to_string(), "id": waiting.id, "age_ms": millis(waiting.age) })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A length of time for people.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_short() {
        let spans = [0, 1_250, 9_999, 10_000, 119_999, 7_199_000, 90_000_000, 400_000_000];
        let spans = spans.map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(spans, ["0.0 s", "1.2 s", "10.0 s", "10 s", "119 s", "119 min", "25 h", "4 d"]);
    }
}
