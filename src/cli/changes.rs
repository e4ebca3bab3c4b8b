//! `scimctl changes`: the feed, and acknowledgements. `lag` measures.

use std::io::{self, BufRead as _};
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::args::ChangesArguments;
use super::output::{CliError, Output, counted};
use super::site::{self, Site};
use super::{Host, complain, lag};
use crate::admin::AdminError;
use crate::feed::cursor::Cursor;
use crate::feed::reader::{Batch, Delivered, Reader, Scope, Told};
use crate::feed::{FeedError, Gap};
use crate::limits::FEED_PAUSE;
use crate::store::feed::{Acknowledgement, Change};
use crate::store::{StoreError, TenantId};

/// The exit code when something is missing from the feed.
const GAPS: u8 = 3;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Characters of a time that people read: to the second.
const TIME_CHARS: usize = "2026-11-21T08:00:00".len();

impl From<FeedError> for CliError {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Store(error) => Self::from(error),
            FeedError::NoCursor(_)
            | FeedError::OtherTenant { .. }
            | FeedError::OfAll(_)
            | FeedError::OfOne(_)
            | FeedError::Expired { .. }
            | FeedError::Missing { .. } => Self::new(error.to_string()),
        }
    }
}

pub(super) async fn run(
    arguments: ChangesArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let site = site::open_on_time(&arguments.place, host).await?;
    if let Some(tenant) = &arguments.tenant {
        known(&site, host, tenant).await?;
    }
    if arguments.lag {
        return lag::run(&arguments, &site, host, out).await;
    }
    if !arguments.ack.is_empty() {
        return acknowledge(&arguments, &site, host, out).await;
    }
    read(&arguments, &site, host, out).await
}

/// Refuses a tenant that is not there.
pub(super) async fn known(site: &Site, host: &Host, tenant: &TenantId) -> Result<(), CliError> {
    let found = site.store.settings(&host.moment(), tenant).await?;
    found.map(|_| ()).ok_or_else(|| AdminError::NoTenant(tenant.clone()).into())
}

async fn read(
    arguments: &ChangesArguments,
    site: &Site,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let scope = arguments.tenant.clone().map_or(Scope::All, Scope::Tenant);
    let after = arguments.after.as_deref().map(Cursor::parse).transpose()?;
    let moments = || host.moment();
    let mut reader = Reader::open(&site.store, &moments, scope, after).await?;
    let mut writer = Writer { arguments, out, written: 0, gaps: 0, last: None };
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        let batch = tokio::select! {
            batch = reader.next() => batch,
            _ = &mut interrupted => return writer.interrupted(site),
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) if arguments.follow && will_pass(&error) => {
                complain(&format!("{error}; it is asked again"));
                Batch::default()
            }
            Err(error) => return Err(error.into()),
        };
        let more = batch.more;
        if writer.write(batch)? {
            return Ok(writer.end(site));
        }
        if more {
            continue;
        }
        if !arguments.follow {
            for gap in reader.finish().await? {
                writer.gap(&gap)?;
            }
            return Ok(writer.end(site));
        }
        let moment = host.moment();
        tokio::select! {
            () = moment.sleep(FEED_PAUSE) => {}
            _ = &mut interrupted => return writer.interrupted(site),
        }
    }
}

/// Whether an error is one that goes by itself.
fn will_pass(error: &FeedError) -> bool {
    matches!(error, FeedError::Store(StoreError::Throttled | StoreError::Unavailable(_)))
}

/// Writes what is told, as far as it was asked for.
struct Writer<'a> {
    arguments: &'a ChangesArguments,
    out: &'a mut Output,
    written: u64,
    gaps: usize,
    last: Option<Cursor>,
}

impl Writer<'_> {
    /// Whether as much is written as was asked for.
    fn write(&mut self, batch: Batch) -> Result<bool, CliError> {
        for told in batch.told {
            match told {
                Told::Gap(gap) => self.gap(&gap)?,
                Told::Change(delivered) => {
                    if self.is_wanted(&delivered.change) {
                        self.out.write(|| text(&delivered), || json(&delivered))?;
                        self.written += 1;
                    }
                    self.last = Some(delivered.cursor);
                }
            }
            if self.arguments.limit.is_some_and(|limit| self.written >= limit) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_wanted(&self, change: &Change) -> bool {
        let ChangesArguments { events, refused, .. } = self.arguments;
        if events.is_empty() {
            return *refused || !change.is_refusal();
        }
        (*refused && change.is_refusal()) || events.iter().any(|event| change.is(event))
    }

    fn gap(&mut self, gap: &Gap) -> Result<(), CliError> {
        self.gaps += 1;
        let told = told_gap(gap);
        if !self.out.is_text() {
            complain(&told);
        }
        self.out.write(|| told, || json!({ "gap": gap_json(gap) }))
    }

    fn end(&self, site: &Site) -> ExitCode {
        if let Some(on) = self.on(site).filter(|_| self.out.is_text()) {
            complain(&format!("To go on from here:\n  {on}"));
        } else if self.out.is_text() {
            complain("Nothing has changed that is older than 15 s.");
        }
        if self.gaps == 0 {
            return ExitCode::SUCCESS;
        }
        let gaps = counted(self.gaps, "gap", "gaps");
        complain(&format!(
            "{gaps}: read the resources named above again; docs/CHANGES.md says how"
        ));
        ExitCode::from(GAPS)
    }

    fn interrupted(&self, site: &Site) -> Result<ExitCode, CliError> {
        if self.arguments.follow {
            return Ok(self.end(site));
        }
        let on = self.on(site).map_or_else(String::new, |on| format!("; to go on: {on}"));
        Err(CliError::Interrupted(format!("stopped{on}")))
    }

    /// The command that goes on.
    fn on(&self, site: &Site) -> Option<String> {
        let cursor = self.last.as_ref()?;
        let whose = match &self.arguments.tenant {
            Some(tenant) => format!("--tenant {tenant}"),
            None => "--all".to_owned(),
        };
        Some(format!("scimctl changes {whose}{} --after {cursor}", site.flags))
    }
}

/// A line for people: when, whose, what, who, which version.
fn text(delivered: &Delivered) -> String {
    let Delivered { tenant, change, .. } = delivered;
    let time = change.time().map_or_else(String::new, |time| time.to_string());
    let time = time.get(..TIME_CHARS).unwrap_or(&time).replace('T', " ");
    let events = change.events().collect::<Vec<_>>().join(", ");
    let shown = |text: Option<&str>| text.unwrap_or("-").escape_debug().to_string();
    let version = change.version().map_or_else(String::new, |version| format!("  v{version}"));
    let detail = change.detail().map(str::escape_debug);
    let detail = detail.map_or_else(String::new, |detail| format!("  {detail}"));
    let (name, id) = (shown(change.name()), shown(change.id()));
    format!("{time}  {tenant}  {events}  {name}  {id}{version}{detail}")
}

/// The item as the contract has it, and the cursor behind it.
fn json(delivered: &Delivered) -> Value {
    let mut item = Map::new();
    item.insert("cursor".to_owned(), Value::from(delivered.cursor.to_string()));
    item.extend(delivered.change.attributes.clone());
    Value::Object(item)
}

fn told_gap(gap: &Gap) -> String {
    let Gap { tenant, id, missing, before } = gap;
    let missing = missing.map_or_else(
        || "an item is missing".to_owned(),
        |missing| format!("the item {missing} is missing"),
    );
    format!("gap: {tenant}: {missing}, of the resource {} before {before}", id.escape_debug())
}

fn gap_json(gap: &Gap) -> Value {
    json!({
        "tenant": gap.tenant.as_str(),
        "id": gap.id,
        "missing": gap.missing.map(|at| at.to_string()),
        "before": gap.before.to_string(),
    })
}

/// An item to acknowledge.
type Item = (TenantId, Uuid);

async fn acknowledge(
    arguments: &ChangesArguments,
    site: &Site,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let by = arguments.by.trim();
    if by.is_empty() {
        return Err(CliError::new("--by is empty: say who acknowledges, such as your app's name"));
    }
    let tenant = arguments.tenant.as_ref();
    let mut nothing = 0;
    let given: Vec<&String> =
        arguments.ack.iter().filter(|given| *given != STANDARD_INPUT).collect();
    // All are read before the first is written.
    let items = given.iter().map(|given| item(tenant, given));
    for item in items.collect::<Result<Vec<_>, _>>()? {
        nothing += acknowledge_one(site, host, (&item, by), out).await?;
    }
    if given.len() < arguments.ack.len() {
        for (number, line) in io::stdin().lock().lines().enumerate() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let item = item(tenant, &line).map_err(|error| {
                let why = error.text().unwrap_or_default().to_owned();
                CliError::new(format!("line {}: {why}", number + 1))
            })?;
            nothing += acknowledge_one(site, host, (&item, by), out).await?;
        }
    }
    Ok(if nothing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What an argument or a line names.
fn item(tenant: Option<&TenantId>, text: &str) -> Result<Item, CliError> {
    let text = text.trim();
    if let Ok(at) = Uuid::try_parse(text) {
        let tenant = tenant.ok_or_else(|| {
            CliError::new(
                "an \"at\" alone does not say whose item it is: name the --tenant, or give cursors",
            )
        })?;
        return Ok((tenant.clone(), at));
    }
    let cursor = Cursor::parse(text).map_err(|_| {
        CliError::new(format!(
            "\"{}\" is neither an item's \"at\" nor a cursor: give what `scimctl changes --format json` wrote",
            text.chars().take(SHOWN_CHARS).collect::<String>().escape_debug()
        ))
    })?;
    let (of, at) = cursor.item();
    match tenant {
        Some(asked) if asked != of => {
            Err(FeedError::OtherTenant { of: of.clone(), asked: asked.clone() }.into())
        }
        Some(_) | None => Ok((of.clone(), at)),
    }
}

/// Characters of a mistake that are repeated.
const SHOWN_CHARS: usize = 100;

/// Acknowledges an item, and says what became of it; 1 when there is none.
async fn acknowledge_one(
    site: &Site,
    host: &Host,
    ((tenant, at), by): (&Item, &str),
    out: &mut Output,
) -> Result<usize, CliError> {
    let outcome = site.store.acknowledge(&host.moment(), tenant, *at, by).await?;
    let (word, told) = match outcome {
        Acknowledgement::Noted => ("noted", "acknowledged"),
        Acknowledgement::Before => ("before", "was acknowledged before; the first note stays"),
        Acknowledgement::Nothing => ("nothing", "there is no such item in the journal"),
    };
    out.write(
        || format!("{tenant} {at}: {told}"),
        || json!({ "tenant": tenant.as_str(), "at": at.to_string(), "outcome": word }),
    )?;
    Ok(usize::from(outcome == Acknowledgement::Nothing))
}
