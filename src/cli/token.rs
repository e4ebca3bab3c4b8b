//! `scimctl token`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Host;
use super::args::{TokenArguments, TokenCommand};
use super::output::{CliError, Output, fields, minute, minute_or_never, table, time_json};
use super::site::{self, Site};
use crate::admin::tokens::{self, Issued, Life, Old, Rotated, State, Token};
use crate::store::TenantId;

pub(super) async fn run(
    arguments: TokenArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let TokenArguments { command, place } = arguments;
    let site = site::open(&place, host).await?;
    let (store, moment) = (&site.store, host.moment());
    match command {
        TokenCommand::Issue { tenant, label, days } => {
            let issued = tokens::issue(store, &moment, &tenant, &label, Life::days(days)).await?;
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
            remark(token),
        ]
    };
    let rows: Vec<[String; 7]> = tokens.iter().map(row).collect();
    table(["token id", "label", "state", "created (UTC)", "expires", "last used", ""], &rows)
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
