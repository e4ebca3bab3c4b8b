//! `scimctl why`: why somebody is not there, or may not come in.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::WhyArguments;
use super::output::{CliError, Output};
use super::{Host, complain, log, site};
use crate::admin::AdminError;
use crate::insight::log::Row;
use crate::insight::why::{Person, Why, why};
use crate::insight::words::plain;

/// Rows of each sort that people are shown.
const ROWS: usize = 10;

pub(super) async fn run(
    arguments: &WhyArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    if arguments.name.trim().is_empty() {
        return Err(CliError::new(
            "the name is empty: give a userName, externalId or e-mail address",
        ));
    }
    let site = site::open(&arguments.place, host).await?;
    let moment = host.moment();
    let asked = (arguments.name.as_str(), arguments.before);
    let found = tokio::select! {
        found = why(&site.store, &moment, &arguments.tenant, asked) => found?,
        _ = tokio::signal::ctrl_c() => {
            return Err(CliError::Interrupted("stopped; nothing was changed".to_owned()));
        }
    };
    let answer = found.ok_or_else(|| AdminError::NoTenant(arguments.tenant.clone()))?;
    out.write(|| text(&answer), || json(&answer))?;
    if let Some(next) = answer.next.filter(|_| out.is_text()) {
        complain(&format!("To look further back, add --before {next}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(why: &Why) -> String {
    let mut lines = why.answer.clone();
    for person in &why.people {
        lines.push(String::new());
        let shown = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), plain);
        lines.push(format!(
            "{}  id {}  externalId {}  displayName {}",
            shown(&person.user_name),
            person.id,
            shown(&person.external_id),
            shown(&person.display_name)
        ));
        let groups: Vec<String> = person.groups.iter().map(|name| plain(name)).collect();
        lines.push(match (person.has_more_groups, groups.is_empty()) {
            (true, _) => "in more groups than are named here".to_owned(),
            (false, true) => "in no group".to_owned(),
            (false, false) => format!("in the groups {}", groups.join(", ")),
        });
        rows(&mut lines, "Changes, the newest first:", &person.changes);
    }
    rows(&mut lines, "Refused or skipped:", &why.refused);
    rows(&mut lines, "Deleted:", &why.deleted);
    rows(&mut lines, "Memberships, and what was before a deletion:", &why.others);
    lines.join("\n")
}

fn rows(lines: &mut Vec<String>, title: &str, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    lines.extend([String::new(), title.to_owned()]);
    lines.extend(rows.iter().take(ROWS).map(|row| format!("  {}", log::text(row))));
    if rows.len() > ROWS {
        lines.push(format!("  and {} more", rows.len() - ROWS));
    }
}

fn json(why: &Why) -> Value {
    let rows = |rows: &[Row]| rows.iter().map(log::json).collect::<Vec<_>>();
    let person = |person: &Person| {
        json!({
            "id": person.id,
            "user_name": person.user_name,
            "display_name": person.display_name,
            "external_id": person.external_id,
            "active": person.active,
            "since": person.since.as_ref().map(log::json),
            "created": person.created.to_string(),
            "last_modified": person.last_modified.to_string(),
            "groups": person.groups,
            "more_groups": person.has_more_groups,
            "changes": rows(&person.changes),
        })
    };
    json!({
        "asked": why.asked,
        "answer": why.answer,
        "people": why.people.iter().map(person).collect::<Vec<_>>(),
        "refused": rows(&why.refused),
        "deleted": rows(&why.deleted),
        "others": rows(&why.others),
        "similar": why.similar,
        "looked_through": why.looked,
        "back_to": why.back_to.map(|time| time.to_string()),
        "next": why.next.map(|next| next.to_string()),
    })
}
