//! `scimctl tenant`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Host;
use super::args::{TenantArguments, TenantCommand};
use super::output::{CliError, Output, counted, fields, minute, minute_or_never, table, time_json};
use super::site::{self, Site};
use super::{portal, saml, schema, token};
use crate::admin::delete::{self, Step};
use crate::admin::release;
use crate::admin::tenants::{self, Choice, Listed, Overview};
use crate::scim::domain::Domain;
use crate::store::settings::{Status, word_of};
use crate::store::{Settings, TenantId};

pub(super) async fn run(
    arguments: TenantArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let TenantArguments { command, place } = arguments;
    let site = site::open(&place, host).await?;
    let (store, moment) = (&site.store, host.moment());
    match command {
        TenantCommand::Create { tenant, match_attributes, group_names, rehearsal } => {
            let group_names = group_names.into();
            let choice = Choice { match_attributes, group_names, is_rehearsal: rehearsal };
            let settings = tenants::create(store, &moment, &tenant, &choice).await?;
            created(&site, &tenant, &settings, out)?;
        }
        TenantCommand::Set { tenant, rehearsal, domains, any_domain, schemas, no_schemas } => {
            if let Some(rehearsal) = rehearsal {
                tenants::set_rehearsal(store, &moment, &tenant, rehearsal).await?;
                marked(&tenant, rehearsal, out)?;
            }
            if any_domain || !domains.is_empty() {
                tenants::set_domains(store, &moment, &tenant, &domains).await?;
                restricted(&tenant, &domains, out)?;
            }
            if no_schemas || !schemas.is_empty() {
                let schemas = tenants::set_schemas(store, &moment, &tenant, &schemas).await?;
                schema::switched(&tenant, &schemas, out)?;
            }
        }
        TenantCommand::List => list(&tenants::list(store, &moment).await?, out)?,
        TenantCommand::Show { tenant } => {
            show(&tenants::show(store, &moment, &tenant).await?, out)?;
        }
        TenantCommand::Disable { tenant } => {
            tenants::disable(store, &moment, &tenant).await?;
            let effect = "within 30 s, its calls are answered 403.";
            changed(&tenant, Status::Disabled, effect, out)?;
        }
        TenantCommand::Enable { tenant } => {
            let before = tenants::enable(store, &moment, &tenant).await?;
            let effect = if before == Status::Released {
                format!(
                    "its tokens were revoked when it was released, so it needs a new one:\n  scimctl token issue {tenant}{}",
                    site.flags
                )
            } else {
                "within 30 s, its calls are served.".to_owned()
            };
            changed(&tenant, Status::Enabled, &effect, out)?;
        }
        TenantCommand::Saml(arguments) => saml::change(arguments, (&site, &moment), out).await?,
        TenantCommand::SamlSeen { tenant } => saml::seen(&tenant, (&site, &moment), out).await?,
        TenantCommand::Release { tenant, yes } => {
            if !yes {
                confirm(&tenants::show(store, &moment, &tenant).await?, End::Release)?;
            }
            site::on_time(&site, host).await?;
            released(&tenant, release::release(store, &moment, &tenant).await?, out)?;
        }
        TenantCommand::Delete { tenant, yes } => {
            if !yes {
                confirm(&tenants::show(store, &moment, &tenant).await?, End::Delete)?;
            }
            remove(&site, host, &tenant, out).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn created(
    site: &Site,
    tenant: &TenantId,
    settings: &Settings,
    out: &mut Output,
) -> Result<(), CliError> {
    out.write(
        || {
            format!(
                "The tenant {tenant} is created; its users are found by userName and {}. Next:\n  {} token issue {tenant}{}\n",
                settings.match_attributes.join(", "),
                site.program,
                site.flags
            )
        },
        || {
            let mut value = settings_json(settings);
            if let Some(object) = value.as_object_mut() {
                object.insert("tenant".to_owned(), Value::from(tenant.as_str()));
            }
            value
        },
    )
}

fn list(listed: &[Listed], out: &mut Output) -> Result<(), CliError> {
    let word = |status: Option<Status>| status.map_or("settings missing", Status::word);
    out.write(
        || {
            if listed.is_empty() {
                return "There are no tenants; `scimctl tenant create NAME` makes one.".to_owned();
            }
            let row = |listed: &Listed| {
                let mark = if listed.is_rehearsal { ", rehearsal" } else { "" };
                let status = format!("{}{mark}", word(listed.status));
                [listed.tenant.to_string(), status, minute(listed.created)]
            };
            let rows: Vec<[String; 3]> = listed.iter().map(row).collect();
            table(["tenant", "status", "created (UTC)"], &rows)
        },
        || {
            let tenant = |listed: &Listed| {
                json!({
                    "tenant": listed.tenant.as_str(),
                    "status": listed.status.map(Status::word),
                    "rehearsal": listed.is_rehearsal,
                    "created": listed.created.to_string(),
                })
            };
            json!({ "tenants": listed.iter().map(tenant).collect::<Vec<_>>() })
        },
    )
}

fn show(overview: &Overview, out: &mut Output) -> Result<(), CliError> {
    out.write(
        || {
            let settings = &overview.settings;
            let known = fields(&[
                ("Tenant", overview.tenant.to_string()),
                ("Status", settings.status.word().to_owned()),
                ("Rehearsal", if settings.is_rehearsal { "yes" } else { "no" }.to_owned()),
                ("Created", minute(overview.created)),
                ("Users", overview.users.to_string()),
                ("Groups", overview.groups.to_string()),
                ("Match attributes", settings.match_attributes.join(", ")),
                ("Group names", word_of(settings.group_names).to_owned()),
                ("E-mail domains", domains_text(&settings.domains)),
                ("Own schemas", schema::text(&settings.schemas)),
                ("Last call", minute_or_never(overview.last_call)),
                ("Last probe", minute_or_never(overview.last_probe)),
                ("Last refusal", minute_or_never(overview.last_refusal)),
                ("Sign-in (SAML)", saml::text(&overview.saml)),
            ]);
            let tokens = token::text(&overview.tenant, &overview.tokens);
            let links = portal::text(&overview.tenant, &overview.links);
            format!("{known}\n{tokens}\n{links}")
        },
        || {
            let mut value = settings_json(&overview.settings);
            if let Some(object) = value.as_object_mut() {
                object.insert("tenant".to_owned(), Value::from(overview.tenant.as_str()));
                object.insert("created".to_owned(), time_json(Some(overview.created)));
                object.insert("users".to_owned(), Value::from(overview.users));
                object.insert("groups".to_owned(), Value::from(overview.groups));
                object.insert("last_call".to_owned(), time_json(overview.last_call));
                object.insert("last_probe".to_owned(), time_json(overview.last_probe));
                object.insert("last_refusal".to_owned(), time_json(overview.last_refusal));
                object.insert("tokens".to_owned(), token::json(&overview.tokens));
                object.insert("saml".to_owned(), saml::json(&overview.saml));
                object.insert("links".to_owned(), portal::json(&overview.links));
            }
            value
        },
    )
}

fn settings_json(settings: &Settings) -> Value {
    json!({
        "status": settings.status.word(),
        "match_attributes": settings.match_attributes,
        "group_names": word_of(settings.group_names),
        "rehearsal": settings.is_rehearsal,
        "domains": settings.domains.iter().map(Domain::as_str).collect::<Vec<_>>(),
        "schemas": settings.schemas,
    })
}

fn domains_text(domains: &[Domain]) -> String {
    let names: Vec<&str> = domains.iter().map(Domain::as_str).collect();
    if names.is_empty() { "any".to_owned() } else { names.join(", ") }
}

fn restricted(tenant: &TenantId, domains: &[Domain], out: &mut Output) -> Result<(), CliError> {
    out.write(
        || {
            let whom = match domains {
                [] => "people of every e-mail domain".to_owned(),
                _ => format!("only people at {}; who is there stays", domains_text(domains)),
            };
            format!("Within 30 s, the tenant {tenant} takes {whom}.")
        },
        || json!({ "tenant": tenant.as_str(), "domains": domains.iter().map(Domain::as_str).collect::<Vec<_>>() }),
    )
}

fn marked(tenant: &TenantId, is_rehearsal: bool, out: &mut Output) -> Result<(), CliError> {
    out.write(
        || {
            let effect = if is_rehearsal {
                "is there to be rehearsed in: within 30 s, `scimctl simulate` takes it as it is. The app still hears of every change"
            } else {
                "is there for real: within 30 s, `scimctl simulate` takes it only when it is empty, or with --into-live"
            };
            format!("The tenant {tenant} {effect}.")
        },
        || json!({ "tenant": tenant.as_str(), "rehearsal": is_rehearsal }),
    )
}

fn changed(
    tenant: &TenantId,
    status: Status,
    effect: &str,
    out: &mut Output,
) -> Result<(), CliError> {
    out.write(
        || format!("The tenant {tenant} is {}: {effect}", status.word()),
        || json!({ "tenant": tenant.as_str(), "status": status.word() }),
    )
}

fn released(tenant: &TenantId, tokens: usize, out: &mut Output) -> Result<(), CliError> {
    let status = Status::Released.word();
    out.write(
        || {
            let tokens = counted(tokens, "token is", "tokens are");
            format!(
                "The tenant {tenant} is {status}: within 30 s, its calls are answered 403; {tokens} revoked; its people and groups stay as they are, and the journal says so to the app."
            )
        },
        || json!({ "tenant": tenant.as_str(), "status": status, "tokens_revoked": tokens }),
    )
}

/// How a tenant is to end.
#[derive(Clone, Copy, Debug)]
enum End {
    Release,
    Delete,
}

/// Asks for the name again, of a person. A script says `--yes`.
fn confirm(overview: &Overview, end: End) -> Result<(), CliError> {
    let tenant = &overview.tenant;
    let users = counted(overview.users, "user", "users");
    let groups = counted(overview.groups, "group", "groups");
    let tokens = counted(overview.tokens.len(), "token", "tokens");
    let (to_do, effect) = match end {
        End::Release => (
            format!("end SCIM for {tenant}"),
            format!(
                "This revokes every token of {tenant} and ends SCIM; {users} and {groups} stay."
            ),
        ),
        End::Delete => (
            format!("delete {tenant} with everything that it has"),
            format!("This deletes {tenant} for good: {users}, {groups}, {tokens}, its journal."),
        ),
    };
    if !io::stdin().is_terminal() {
        return Err(CliError::new(format!("nobody can be asked here: to {to_do}, add --yes")));
    }
    let mut err = io::stderr().lock();
    write!(err, "{effect}\nType its name again: ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == tenant.as_str() {
        Ok(())
    } else {
        Err(CliError::new(format!("that is not its name; {tenant} stays as it is")))
    }
}

async fn remove(
    site: &Site,
    host: &Host,
    tenant: &TenantId,
    out: &mut Output,
) -> Result<(), CliError> {
    let bar = bar(out);
    let mut progress = |step: Step| {
        bar.set_message(match step {
            Step::Disabled => "disabled".to_owned(),
            Step::TokensRemoved(tokens) => {
                format!("{} removed", counted(tokens, "token", "tokens"))
            }
            Step::Waiting(left) => {
                format!("waiting {} s until no call is under way", left.as_secs() + 1)
            }
            Step::Swept(items) => format!("{} removed", counted(items, "item", "items")),
        });
    };
    let moments = || host.moment();
    let removed = tokio::select! {
        removed = delete::delete(&site.store, &moments, tenant, site.settle, &mut progress) => removed,
        _ = tokio::signal::ctrl_c() => {
            bar.finish_and_clear();
            return Err(CliError::Interrupted(format!(
                "stopped; {tenant} is locked out and partly deleted: the same command deletes the rest"
            )));
        }
    };
    bar.finish_and_clear();
    let removed = removed?;
    out.write(
        || format!("The tenant {tenant} is deleted: {}.", counted(removed, "item", "items")),
        || json!({ "tenant": tenant.as_str(), "deleted": true, "items": removed }),
    )
}

/// A line that changes, on a terminal; nothing elsewhere, and nothing beside JSON.
pub(super) fn bar(out: &Output) -> ProgressBar {
    if !out.is_text() || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}
