//! `scimctl journal erase`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use indicatif::ProgressBar;
use serde_json::json;

use super::Host;
use super::args::JournalArguments;
use super::changes::known;
use super::feed_args::JournalCommand;
use super::output::{CliError, Output, counted};
use super::site::{self, Site};
use super::tenant::bar;
use crate::feed::erase::{self, Found, Progress, Whom};
use crate::scim::catalog::Kind;
use crate::scim::resource::ResourceId;
use crate::store::{Cx, Settings, TenantId};

/// Ids that a refusal to choose among several people names.
const SHOWN_MAX: usize = 5;

pub(super) async fn run(
    arguments: JournalArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let JournalArguments { command, place } = arguments;
    let JournalCommand::Erase { tenant, id, user_name, dry_run, yes } = command;
    let site = site::open(&place, host).await?;
    known(&site, host, &tenant).await?;
    let whom = match (id, user_name) {
        (Some(id), _) => Whom::Id(id),
        (None, name) => Whom::UserName(name.unwrap_or_default()),
    };
    let moments = || host.moment();
    let reading = bar(out);
    let mut progress = |progress| show(&reading, progress);
    let found = tokio::select! {
        found = erase::find(&site.store, &moments, &tenant, &whom, &mut progress) => found,
        _ = tokio::signal::ctrl_c() => {
            reading.finish_and_clear();
            return Err(CliError::Interrupted("stopped; nothing was erased".to_owned()));
        }
    };
    reading.finish_and_clear();
    let found = found?;
    one_person(&tenant, &whom, &found)?;
    nothing_held(&tenant, &found)?;
    let is_there = is_there(&site, host, &tenant, &found).await?;
    if dry_run || found.is_empty() {
        return tell(&tenant, (&found, is_there), None, out);
    }
    if !yes {
        confirm(&tenant, &whom, &found)?;
    }
    let erasing = bar(out);
    let mut progress = |progress| show(&erasing, progress);
    let erased = tokio::select! {
        erased = erase::erase(&site.store, &moments, &tenant, &found, &mut progress) => erased,
        _ = tokio::signal::ctrl_c() => {
            erasing.finish_and_clear();
            let text = "stopped; what is erased stays erased, the same command goes on";
            return Err(CliError::Interrupted(text.to_owned()));
        }
    };
    erasing.finish_and_clear();
    tell(&tenant, (&found, is_there), Some(erased?), out)
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_message(match progress {
        Progress::Read(items) => format!("{} read", counted(items, "item", "items")),
        Progress::Erased(items, of) => {
            format!("{items} of {} erased", counted(of, "item", "items"))
        }
    });
}

/// Refuses to guess who is meant.
fn one_person(tenant: &TenantId, whom: &Whom, found: &Found) -> Result<(), CliError> {
    if found.ids.len() < 2 {
        return Ok(());
    }
    let ids: Vec<&str> = found.ids.iter().map(String::as_str).take(SHOWN_MAX).collect();
    Err(CliError::new(format!(
        "{} people of {tenant} have had the name {} at some time: choose one with --id; among them are {}",
        found.ids.len(),
        given(whom).escape_debug(),
        ids.join(", ")
    )))
}

/// Refuses while changes of the person wait to be told: they would name the person again.
fn nothing_held(tenant: &TenantId, found: &Found) -> Result<(), CliError> {
    if found.held == 0 {
        return Ok(());
    }
    let (are, them) = if found.held == 1 { ("is", "it") } else { ("are", "them") };
    let changes = counted(found.held, "change", "changes");
    let id = found.ids.first().map_or("ID", String::as_str);
    Err(CliError::new(format!(
        "{changes} of that person {are} held back by the brake on mass changes and would name the person again: settle {them} first with scimctl brake release {tenant} --person {id} (or reject), then run this once more"
    )))
}

/// Whether the person still is in the directory.
async fn is_there(
    site: &Site,
    host: &Host,
    tenant: &TenantId,
    found: &Found,
) -> Result<bool, CliError> {
    let Some(id) = found.ids.first().and_then(|id| ResourceId::parse(id)) else { return Ok(false) };
    let (settings, moment) = (Settings::default(), host.moment());
    let cx = Cx { tenant, settings: &settings, actor: "scimctl", moment: &moment };
    Ok(site.store.get(&cx, Kind::User, id).await?.is_some())
}

fn tell(
    tenant: &TenantId,
    (found, is_there): (&Found, bool),
    erased: Option<usize>,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let (changes, refusals) = (found.changes.len(), found.refusals.len());
    let person = found.ids.first();
    let told = || match erased {
        None if found.is_empty() => {
            format!("Nothing in the journal of {tenant} names that person.")
        }
        None => format!(
            "{} and {} of {tenant} would be erased.",
            counted(changes, "change", "changes"),
            counted(refusals, "refused write", "refused writes"),
        ),
        Some(erased) => format!(
            "{} of {tenant} no longer name that person. Backups, streams and archives have them until they expire: docs/CHANGES.md says which.",
            counted(erased, "item", "items"),
        ),
    };
    let again = || {
        let person = person.filter(|_| is_there);
        person.map_or_else(String::new, |person| {
            format!("\nThe person {person} is still in the directory, so the next change names it again: delete it there first, then run this once more.")
        })
    };
    out.write(
        || told() + &again(),
        || {
            json!({
                "tenant": tenant.as_str(),
                "id": person,
                "changes": changes,
                "refusals": refusals,
                "erased": erased.unwrap_or(0),
                "dry_run": erased.is_none(),
                "still_in_directory": is_there,
            })
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// How the person was named on the command line.
fn given(whom: &Whom) -> &str {
    match whom {
        Whom::Id(text) | Whom::UserName(text) => text,
    }
}

/// Asks for the name again, of a person. A script says `--yes`.
fn confirm(tenant: &TenantId, whom: &Whom, found: &Found) -> Result<(), CliError> {
    let items = counted(found.len(), "item", "items");
    let name = given(whom);
    if !io::stdin().is_terminal() {
        let text = format!(
            "nobody can be asked here: to erase that person from {items} of {tenant}, add --yes"
        );
        return Err(CliError::new(text));
    }
    let mut err = io::stderr().lock();
    write!(
        err,
        "This takes the name and identifiers of one person out of {items} of {tenant}, for good.\nType {} again: ",
        name.escape_debug()
    )?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == name.trim() {
        Ok(())
    } else {
        Err(CliError::new("that is not what you have typed before; nothing was erased"))
    }
}
