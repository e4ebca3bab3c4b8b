//! `scimctl migrate`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::Host;
use super::args::MigrateArguments;
use super::output::{CliError, Output, counted, table};
use super::site::{self, Site};
use super::tenant::bar;
use crate::admin::migrate::{self, Formats, Migrated, Step};
use crate::admin::tenants;
use crate::store::TenantId;
use crate::store::item::RESOURCE_FORMAT;
use crate::store::settings::Status;

/// A tenant and the formats that its items are in.
type Counted = (TenantId, Formats);

pub(super) async fn run(
    arguments: MigrateArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let MigrateArguments { tenant, all: _, dry_run, yes, place } = arguments;
    let site = site::open(&place, host).await?;
    let tenants = match tenant {
        Some(tenant) => vec![tenant],
        None => every_tenant(&site, host).await?,
    };
    let counted = count(&site, host, &tenants, out).await?;
    if dry_run {
        return out
            .write(|| told(&counted, &site.flags), || json(&counted))
            .map(|()| ExitCode::SUCCESS);
    }
    let left: Vec<TenantId> = counted
        .iter()
        .filter(|(_, formats)| !formats.is_current())
        .map(|(tenant, _)| tenant.clone())
        .collect();
    if !left.is_empty() && !yes {
        confirm(&left)?;
    }
    let done = migrate(&site, host, &left, out).await?;
    out.write(|| text(&done), || json!({ "format": RESOURCE_FORMAT, "tenants": json_of(&done) }))?;
    Ok(ExitCode::SUCCESS)
}

/// Those that are being deleted need nothing any more.
async fn every_tenant(site: &Site, host: &Host) -> Result<Vec<TenantId>, CliError> {
    let listed = tenants::list(&site.store, &host.moment()).await?;
    let stays = |status: Option<Status>| status.is_some_and(|status| status != Status::Deleting);
    let listed = listed.into_iter().filter(|listed| stays(listed.status));
    Ok(listed.map(|listed| listed.tenant).collect())
}

async fn count(
    site: &Site,
    host: &Host,
    tenants: &[TenantId],
    out: &Output,
) -> Result<Vec<Counted>, CliError> {
    let bar = bar(out);
    let moments = || host.moment();
    let mut counted = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        bar.set_message(format!("{tenant}: counting"));
        let formats = migrate::formats(&site.store, &moments, tenant).await;
        counted.push((tenant.clone(), formats.inspect_err(|_| bar.finish_and_clear())?));
    }
    bar.finish_and_clear();
    Ok(counted)
}

async fn migrate(
    site: &Site,
    host: &Host,
    tenants: &[TenantId],
    out: &Output,
) -> Result<Vec<Migrated>, CliError> {
    let bar = bar(out);
    let mut progress = |step: Step<'_>| {
        bar.set_message(match step {
            Step::Switched(tenant) => format!("{tenant}: written in format {RESOURCE_FORMAT} now"),
            Step::Waiting(left) => {
                format!("waiting {} s until nobody writes the format before", left.as_secs() + 1)
            }
            Step::Moving { tenant, read, moved } => {
                format!("{tenant}: {} read, {moved} moved", counted(read, "item", "items"))
            }
        });
    };
    let moments = || host.moment();
    let done = tokio::select! {
        done = migrate::migrate(&site.store, &moments, tenants, site.settle, &mut progress) => done,
        _ = tokio::signal::ctrl_c() => {
            bar.finish_and_clear();
            let text = "stopped; what was moved is moved, everything can be read, the same command goes on";
            return Err(CliError::Interrupted(text.to_owned()));
        }
    };
    bar.finish_and_clear();
    Ok(done?)
}

/// It cannot be taken back, so a person is asked. A script says `--yes`.
fn confirm(left: &[TenantId]) -> Result<(), CliError> {
    let before = RESOURCE_FORMAT - 1;
    if !io::stdin().is_terminal() {
        return Err(CliError::new(format!(
            "nobody can be asked here: when the deployment is complete, and you will not go back to a version that knows only format {before}, add --yes"
        )));
    }
    let mut err = io::stderr().lock();
    write!(
        err,
        "This moves {} to format {RESOURCE_FORMAT} of users and groups.\n\
         Before it: the deployment is complete, no older version and no import is running.\n\
         After it: a version that knows only format {before} cannot read these people; there is no way back to one.\n\
         Type yes to go on: ",
        counted(left.len(), "tenant", "tenants"),
    )?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" {
        Ok(())
    } else {
        Err(CliError::new("nothing was moved; run it again when that is so"))
    }
}

fn told(counted: &[Counted], flags: &str) -> String {
    let row = |(tenant, formats): &Counted| {
        let items: Vec<String> = formats
            .counted
            .iter()
            .map(|(format, items)| format!("{items} in format {format}"))
            .collect();
        let items = if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        let to_do = match (formats.is_current(), formats.old()) {
            (true, _) => "nothing".to_owned(),
            (false, 0) => format!("switch to format {RESOURCE_FORMAT}"),
            (false, old) if formats.written == RESOURCE_FORMAT => format!("move {old}"),
            (false, old) => format!("switch to format {RESOURCE_FORMAT}, move {old}"),
        };
        [tenant.to_string(), formats.written.to_string(), items, to_do]
    };
    let rows: Vec<[String; 4]> = counted.iter().map(row).collect();
    let known = table(["tenant", "written", "users and groups", "to do"], &rows);
    if counted.iter().all(|(_, formats)| formats.is_current()) {
        return format!("{known}\nThere is nothing to do.");
    }
    let which = match counted {
        [(tenant, _)] => tenant.as_str(),
        _ => "--all",
    };
    format!("{known}\nWhen no older version runs any more:\n  scimctl migrate {which}{flags}")
}

fn text(done: &[Migrated]) -> String {
    let line = |done: &Migrated| {
        let moved = done.moved.unwrap_or(0);
        format!(
            "{}: {} moved to format {RESOURCE_FORMAT}.",
            done.tenant,
            counted(moved, "item", "items")
        )
    };
    if done.is_empty() {
        return format!("There is nothing to do: everything is in format {RESOURCE_FORMAT}.");
    }
    done.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn json_of(done: &[Migrated]) -> Vec<Value> {
    let one = |done: &Migrated| json!({ "tenant": done.tenant.as_str(), "moved": done.moved });
    done.iter().map(one).collect()
}

fn json(counted: &[Counted]) -> Value {
    let one = |(tenant, formats): &Counted| {
        let items = formats.counted.iter().map(|(format, n)| (format.to_string(), json!(n)));
        json!({
            "tenant": tenant.as_str(),
            "written": formats.written,
            "items": items.collect::<serde_json::Map<_, _>>(),
            "old": formats.old(),
            "current": formats.is_current(),
        })
    };
    json!({ "format": RESOURCE_FORMAT, "tenants": counted.iter().map(one).collect::<Vec<_>>() })
}
