//! `scimctl token`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Host;
use super::args::{Place, tenant};
use super::output::{CliError, Output, fields, minute, minute_or_never, table, time_json};
use super::site::{self, Site};
use crate::admin::tokens::{self, Issued, Life, Old, Rotated, State, Token};
use crate::limits::{TOKEN_LIFE_DAYS, TOKEN_LIFE_DAYS_MAX};
use crate::scim::catalog::{Catalog, Kind};
use crate::store::TenantId;
use crate::store::scopes::{Access, Scope, Scopes};

#[derive(Debug, Args)]
pub(super) struct TokenArguments {
    #[command(subcommand)]
    pub(super) command: TokenCommand,

    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Issue a token and show it, this once
    Issue {
        /// The tenant that it is for
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// What it is for, in your words
        #[arg(long, default_value = "scimctl")]
        label: String,
        /// For how many days it is good
        #[arg(long, value_name = "N", default_value_t = TOKEN_LIFE_DAYS, value_parser = days())]
        days: i64,
        /// What it may do, and nothing else: users:read, users:write, groups:read, groups:write, or the same with the
        /// endpoint of a type of your own (devices:read); writing includes reading. Repeat it for more
        /// [default: everything]
        #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
        scopes: Vec<Scope>,
    },
    /// List a tenant's tokens
    List {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
    },
    /// Issue a token with the label and the scopes of another, which stays alive until it is revoked
    Rotate {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// The id of the token to replace, as `token list` shows it
        token: String,
        /// For how many days the new one is good
        #[arg(long, value_name = "N", default_value_t = TOKEN_LIFE_DAYS, value_parser = days())]
        days: i64,
        /// Revoke the old one at once: calls that still come with it fail
        #[arg(long)]
        revoke_old: bool,
    },
    /// Revoke a token
    Revoke {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// The id of the token, as `token list` shows it
        token: String,
    },
}

pub(super) async fn run(
    arguments: TokenArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let TokenArguments { command, place } = arguments;
    let site = site::open(&place, host).await?;
    let (store, moment) = (&site.store, host.moment());
    match command {
        TokenCommand::Issue { tenant, label, days, scopes } => {
            known(store.catalog(), &scopes)?;
            let (what, scopes) = ((label.as_str(), Life::days(days)), Scopes::of(&scopes));
            let issued = tokens::issue_limited(store, &moment, &tenant, what, scopes).await?;
            out.write(
                || issued_text(&site, &tenant, &issued),
                || issued_json(&site, &tenant, &issued),
            )?;
        }
        TokenCommand::List { tenant } => {
            let tokens = tokens::list(store, &moment, &tenant).await?;
            out.write(
                || text(&tenant, &tokens),
                || json!({ "tenant": tenant.as_str(), "tokens": json(&tokens) }),
            )?;
        }
        TokenCommand::Rotate { tenant, token, days, revoke_old } => {
            let old = if revoke_old { Old::Revoke } else { Old::Keep };
            let how = (Life::days(days), old);
            let rotated = tokens::rotate(store, &moment, &tenant, &token, how).await?;
            show_rotated(&site, (&tenant, &token), &rotated, out)?;
            rotated.old?;
        }
        TokenCommand::Revoke { tenant, token } => {
            tokens::revoke(store, &moment, &tenant, &token).await?;
            out.write(
                || format!("The token {token} is revoked: within 30 s, calls with it are answered 401."),
                || json!({ "tenant": tenant.as_str(), "token_id": token, "state": State::Revoked.word() }),
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_rotated(
    site: &Site,
    (tenant, token): (&TenantId, &str),
    rotated: &Rotated,
    out: &mut Output,
) -> Result<(), CliError> {
    let Rotated { issued, old } = rotated;
    out.write(
        || {
            let old = match old {
                Ok(State::Alive) => format!(
                    "The old token still works. When the new one is in use:\n  {} token revoke {tenant} {token}{}\n",
                    site.program, site.flags
                ),
                Ok(state @ (State::Expired | State::Revoked)) => {
                    format!("The old token is {}.\n", state.word())
                }
                Err(_) => "The old token may still work.\n".to_owned(),
            };
            format!("{}{old}", issued_text(site, tenant, issued))
        },
        || {
            let state = old.as_ref().ok().map(|state| state.word());
            let mut value = issued_json(site, tenant, issued);
            if let Some(object) = value.as_object_mut() {
                object.insert("old".to_owned(), json!({ "token_id": token, "state": state }));
            }
            value
        },
    )
}

fn issued_text(site: &Site, tenant: &TenantId, issued: &Issued) -> String {
    let mut known = vec![("Tenant", tenant.to_string())];
    known.extend(site.tenant_url.clone().map(|url| ("Tenant URL", url)));
    known.extend([
        ("Secret token", issued.secret.reveal().to_owned()),
        ("Token id", issued.id.clone()),
        ("Label", issued.label.clone()),
        ("May", may(&issued.scopes)),
        ("Expires", minute(issued.valid_until)),
    ]);
    format!("{}\nThe token is shown this once; only its digest is stored.\n", fields(&known))
}

fn issued_json(site: &Site, tenant: &TenantId, issued: &Issued) -> Value {
    json!({
        "tenant": tenant.as_str(),
        "tenant_url": site.tenant_url,
        "token": issued.secret.reveal(),
        "token_id": issued.id,
        "label": issued.label,
        "scopes": issued.scopes.words(),
        "expires": issued.valid_until.to_string(),
    })
}

/// A tenant's tokens for people.
pub(super) fn text(tenant: &TenantId, tokens: &[Token]) -> String {
    if tokens.is_empty() {
        return format!("{tenant} has no tokens; `scimctl token issue {tenant}` makes one.\n");
    }
    let row = |token: &Token| {
        [
            token.info.id.clone(),
            token.info.label.clone(),
            token.state.word().to_owned(),
            minute(token.info.created),
            minute(token.info.valid_until),
            minute_or_never(token.last_used),
            may(&token.info.scopes),
            remark(token),
        ]
    };
    let rows: Vec<[String; 8]> = tokens.iter().map(row).collect();
    table(["token id", "label", "state", "created (UTC)", "expires", "last used", "may", ""], &rows)
}

/// What a token may do, for people.
fn may(scopes: &Scopes) -> String {
    scopes.words().map_or_else(|| "everything".to_owned(), |words| words.join(" "))
}

/// What there is to do about a token.
fn remark(token: &Token) -> String {
    if token.safe_to_revoke {
        return "safe to revoke".to_owned();
    }
    token.ends_within_days.map(|days| format!("ends within {days} days")).unwrap_or_default()
}

/// A tenant's tokens for scripts.
pub(super) fn json(tokens: &[Token]) -> Value {
    let token = |token: &Token| {
        json!({
            "token_id": token.info.id,
            "label": token.info.label,
            "scopes": token.info.scopes.words(),
            "state": token.state.word(),
            "created": token.info.created.to_string(),
            "expires": token.info.valid_until.to_string(),
            "revoked": time_json(token.info.revoked),
            "last_used": time_json(token.last_used),
            "tail": token.info.tail,
            "ends_within_days": token.ends_within_days,
            "safe_to_revoke": token.safe_to_revoke,
        })
    };
    tokens.iter().map(token).collect()
}

fn days() -> clap::builder::RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(1..=TOKEN_LIFE_DAYS_MAX)
}

fn scope(text: &str) -> Result<Scope, String> {
    let what = "a scope is the word of an endpoint, and read or write, such as users:read";
    Scope::parse(text).ok_or_else(|| what.to_owned())
}

/// A scope for an endpoint that is not deployed is a slip: the token would open nothing with it.
fn known(catalog: &Catalog, scopes: &[Scope]) -> Result<(), CliError> {
    let own = Kind::ALL.into_iter().map(|kind| catalog.resource_type(kind));
    let all: Vec<Scope> = own
        .chain(&catalog.custom().types)
        .flat_map(|known| [Access::Read, Access::Write].map(|access| Scope::of(known, access)))
        .collect();
    match scopes.iter().find(|scope| !all.contains(scope)) {
        None => Ok(()),
        Some(unknown) => {
            let names: Vec<String> = all.iter().map(ToString::to_string).collect();
            let names = names.join(", ");
            Err(CliError::new(format!("{unknown} is no scope here; a scope is one of {names}")))
        }
    }
}
