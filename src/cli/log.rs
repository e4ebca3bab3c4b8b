//! `scimctl log`: the provisioning log, for people.

use std::process::ExitCode;

use serde_json::{Value, json};
use uuid::Uuid;

use super::args::LogArguments;
use super::changes::known;
use super::output::{CliError, Output, counted};
use super::site::{self, Site};
use super::tenant::bar;
use super::{Host, complain};
use crate::insight::log::{Filter, LogPage, Row, Whom, log, log_after};
use crate::insight::why::find;
use crate::insight::words::{plain, second};
use crate::limits::{FEED_BEHIND, FEED_PAUSE};
use crate::moment::Timestamp;
use crate::store::feed::position;
use crate::store::{Cx, Settings, StoreError};

/// Characters of the longest action.
const ACTION_CHARS: usize = 7;

pub(super) async fn run(
    arguments: LogArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let site = site::open(&arguments.place, host).await?;
    known(&site, host, &arguments.tenant).await?;
    let now = host.moment().now();
    let filter = Filter {
        person: person(&arguments, &site, host).await?,
        action: arguments.action,
        outcome: arguments.outcome,
        since: arguments.since.map(|since| since.time(now)),
        until: arguments.until.map(|until| until.time(now)),
    };
    // What a follower has not been shown by then it is shown later.
    let end = if arguments.follow { settled(now) } else { Uuid::max() };
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let reading = last_rows(&arguments, &filter, end, (&site, host), out);
    let (rows, stopped) = tokio::select! {
        read = reading => read?,
        _ = &mut interrupted => {
            return if arguments.follow {
                Ok(ExitCode::SUCCESS)
            } else {
                Err(CliError::Interrupted("stopped; nothing was changed".to_owned()))
            };
        }
    };
    for row in rows.iter().rev() {
        out.write(|| text(row), || json(row))?;
    }
    if !arguments.follow {
        if out.is_text() {
            complain(&ended(&arguments, rows.len(), &stopped));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if out.is_text() {
        complain(
            "Following. What happens is shown 15 s later, when nothing can come before it; Ctrl-C ends.",
        );
    }
    tokio::select! {
        failed = follow(&arguments, &filter, end, (&site, host), out) => failed,
        _ = &mut interrupted => Ok(ExitCode::SUCCESS),
    }
}

/// Whom the rows are to be about, with everything that the directory calls so now.
async fn person(
    arguments: &LogArguments,
    site: &Site,
    host: &Host,
) -> Result<Option<Whom>, CliError> {
    let Some(name) = &arguments.person else { return Ok(None) };
    let whom = Whom::new(name)
        .ok_or_else(|| CliError::new("--person is empty: name somebody, or leave it out"))?;
    let moment = host.moment();
    let settings = site.store.settings(&moment, &arguments.tenant).await?;
    let settings = settings.map_or_else(Settings::default, |(settings, _)| settings);
    let tenant = &arguments.tenant;
    let cx = Cx { tenant, settings: &settings, actor: "scimctl", moment: &moment };
    let found = find(&site.store, &cx, name.trim()).await?;
    Ok(Some(whom.with_ids(found.iter().map(|person| person.id.to_string()))))
}

/// The last rows before a position, the newest first, and where the last look has stopped.
async fn last_rows(
    arguments: &LogArguments,
    filter: &Filter,
    end: Uuid,
    (site, host): (&Site, &Host),
    out: &Output,
) -> Result<(Vec<Row>, LogPage), CliError> {
    let most = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let bar = bar(out);
    let (mut rows, mut looked, mut before) = (Vec::new(), 0, Some(end));
    loop {
        let wanted = (before, most.saturating_sub(rows.len()));
        let mut page = log(&site.store, &host.moment(), &arguments.tenant, filter, wanted).await?;
        rows.append(&mut page.rows);
        looked += page.looked;
        bar.set_message(format!("{} looked through", counted(looked, "item", "items")));
        if rows.len() >= most || page.next.is_none() {
            bar.finish_and_clear();
            return Ok((rows, LogPage { looked, ..page }));
        }
        before = page.next;
    }
}

/// What is said at the end.
fn ended(arguments: &LogArguments, rows: usize, stopped: &LogPage) -> String {
    if rows == 0 {
        let looked = counted(stopped.looked, "item", "items");
        return format!(
            "Nothing of that sort is in the journal of {}, of which {looked} were looked through.",
            arguments.tenant
        );
    }
    match stopped.note() {
        Some(note) => format!("{note} Show more with --limit, or with --until."),
        None => "That is all that the journal has of it.".to_owned(),
    }
}

/// Shows what comes, until something fails that does not pass by itself.
async fn follow(
    arguments: &LogArguments,
    filter: &Filter,
    end: Uuid,
    (site, host): (&Site, &Host),
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    // The end itself was not shown.
    let mut after = just_before(end);
    loop {
        let moment = host.moment();
        let until = settled(moment.now());
        let between = (after, until);
        match log_after(&site.store, &moment, &arguments.tenant, filter, between).await {
            Ok((rows, stopped)) => {
                for row in &rows {
                    out.write(|| text(row), || json(row))?;
                }
                after = stopped.unwrap_or_else(|| after.max(just_before(until)));
                if stopped.is_some() {
                    continue;
                }
            }
            Err(error @ (StoreError::Throttled | StoreError::Unavailable(_))) => {
                complain(&format!("{error}; it is asked again"));
            }
            Err(error) => return Err(error.into()),
        }
        moment.sleep(FEED_PAUSE).await;
    }
}

/// The position before which nothing can appear any more.
fn settled(now: Timestamp) -> Uuid {
    position(now.minus(FEED_BEHIND))
}

fn just_before(at: Uuid) -> Uuid {
    Uuid::from_u128(at.as_u128().saturating_sub(1))
}

/// A row for people.
pub(super) fn text(row: &Row) -> String {
    let time = row.time.map_or_else(|| "-".to_owned(), second);
    let (outcome, action) = (row.outcome.word(), row.action.word());
    let name = row.name().map_or_else(|| "-".to_owned(), plain);
    format!("{time}  {outcome}  {action:ACTION_CHARS$}  {name}  {}", row.what())
}

/// A row for scripts.
pub(super) fn json(row: &Row) -> Value {
    json!({
        "at": row.at.to_string(),
        "time": row.time.map(|time| time.to_string()),
        "action": row.action.word(),
        "outcome": row.outcome.word(),
        "kind": row.kind,
        "id": row.id,
        "user_name": row.user_name,
        "display_name": row.display_name,
        "external_id": row.external_id,
        "active": row.active,
        "version": row.version,
        "changed": row.changed,
        "added": row.added,
        "removed": row.removed,
        "groups": row.groups,
        "events": row.events,
        "status": row.status,
        "scim_type": row.scim_type,
        "detail": row.detail,
        "what": row.what(),
        "actor": row.actor,
        "request": row.request,
    })
}
