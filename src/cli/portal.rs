//! `scimctl portal`: setup links.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Uri;
use serde_json::{Value, json};

use super::Host;
use super::args::{Place, tenant};
use super::output::{CliError, Output, fields, minute, minute_or_never, table, time_json};
use super::site::{self, Site};
use crate::admin::portal::{self, IssuedLink, Link, LinkLife, LinkState};
use crate::admin::{ACTOR, tenants};
use crate::moment::Moment;
use crate::store::TenantId;

#[derive(Debug, Args)]
pub(super) struct PortalArguments {
    #[command(subcommand)]
    command: PortalCommand,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum PortalCommand {
    /// Make a link with which a customer's admin reaches the workspace's settings, once, and show it, this once
    ///
    /// A tenant that is not there is created, switched off until its admin switches it on.
    Link {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// For how long it can be opened: 45m, 12h, 7d [default: 7d]
        #[arg(long, value_name = "TIME", value_parser = LinkLife::parse)]
        expires: Option<LinkLife>,
        /// Whom it is for, in your words
        #[arg(long, default_value = "scimctl")]
        label: String,
        /// Where people reach the endpoint: scheme and host [default: what the stack or the server says]
        #[arg(long, value_name = "URL", value_parser = public_url)]
        url: Option<String>,
    },
    /// List a tenant's links
    Links {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
    },
    /// Revoke a link, and end the session that was begun with it
    Revoke {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// The id of the link, as `portal links` shows it
        link: String,
    },
}

/// An address of the deployment; also when it is given as that of its portal, as the stack's outputs have it.
pub(super) fn public_url(text: &str) -> Result<String, String> {
    let uri: Option<Uri> = text.parse().ok();
    let fits = uri.as_ref().is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("https" | "http"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
            && !text.contains(['@', '#'])
    });
    let url = || {
        let url = text.trim_end_matches('/');
        url.strip_suffix(portal::PATH).unwrap_or(url).to_owned()
    };
    fits.then(url).ok_or_else(|| "an address such as https://scim.example.com".to_owned())
}

pub(super) async fn run(
    arguments: PortalArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let PortalArguments { command, place } = arguments;
    let site = site::open(&place, host).await?;
    let (store, moment) = (&site.store, host.moment());
    match command {
        PortalCommand::Link { tenant, expires, label, url } => {
            let base = base(&site, &moment, url).await?;
            let created = tenants::prepare(store, &moment, &tenant).await?;
            let what = (label.as_str(), expires.unwrap_or_default());
            let issued = portal::issue_link(store, &moment, (&tenant, ACTOR), what).await?;
            show(&issued, (&tenant, &base, created), out)?;
        }
        PortalCommand::Links { tenant } => {
            let links = portal::links(store, &moment, &tenant).await?;
            out.write(
                || text(&tenant, &links),
                || json!({ "tenant": tenant.as_str(), "links": json(&links) }),
            )?;
        }
        PortalCommand::Revoke { tenant, link } => {
            portal::revoke_link(store, &moment, (&tenant, ACTOR), &link).await?;
            out.write(
                || format!("The link {link} is revoked, and its session, if there was one, is over."),
                || json!({ "tenant": tenant.as_str(), "link_id": link, "state": LinkState::Revoked.word() }),
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where people reach the endpoint: as it was said here, as the stack says, as the server that runs on these tables said.
async fn base(site: &Site, moment: &Moment, given: Option<String>) -> Result<String, CliError> {
    if let Some(url) = given.or_else(|| site.public_url.clone()) {
        return Ok(url);
    }
    site.store.public_url(moment).await?.ok_or_else(|| {
        CliError::new(
            "it is not known where people reach this endpoint: give its address with --url, such as https://scim.example.com, or name the deployed stack with --stack",
        )
    })
}

fn show(
    issued: &IssuedLink,
    (tenant, base, created): (&TenantId, &str, bool),
    out: &mut Output,
) -> Result<(), CliError> {
    out.write(
        || {
            let known = fields(&[
                ("Tenant", tenant.to_string()),
                ("Link", issued.url(base)),
                ("Link id", issued.id.clone()),
                ("Label", issued.label.clone()),
                ("Open it until", minute(issued.valid_until)),
            ]);
            let new = if created {
                format!("The tenant {tenant} is new, and switched off until its admin switches it on.\n")
            } else {
                String::new()
            };
            format!(
                "{known}\nThe link is shown this once, and opens the settings of {tenant} once, for whoever has it: send it to the customer's admin alone.\n{new}"
            )
        },
        || {
            json!({
                "tenant": tenant.as_str(),
                "tenant_created": created,
                "url": issued.url(base),
                "link_id": issued.id,
                "label": issued.label,
                "expires": issued.valid_until.to_string(),
            })
        },
    )
}

/// A tenant's links for people.
pub(super) fn text(tenant: &TenantId, links: &[Link]) -> String {
    if links.is_empty() {
        return format!("{tenant} has no setup links; `scimctl portal link {tenant}` makes one.\n");
    }
    let row = |link: &Link| {
        [
            link.info.id.clone(),
            link.info.label.clone(),
            link.state.word().to_owned(),
            minute(link.info.created),
            minute(link.info.valid_until),
            minute_or_never(link.info.used),
            link.session_until.map(minute).unwrap_or_default(),
        ]
    };
    let rows: Vec<[String; 7]> = links.iter().map(row).collect();
    let headings =
        ["link id", "label", "state", "created (UTC)", "expires", "opened", "session until"];
    table(headings, &rows)
}

/// A tenant's links for scripts.
pub(super) fn json(links: &[Link]) -> Value {
    let link = |link: &Link| {
        json!({
            "link_id": link.info.id,
            "label": link.info.label,
            "state": link.state.word(),
            "created": link.info.created.to_string(),
            "expires": link.info.valid_until.to_string(),
            "opened": time_json(link.info.used),
            "revoked": time_json(link.info.revoked),
            "session_until": time_json(link.session_until),
        })
    };
    links.iter().map(link).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_where_people_go() {
        let url = "https://scim.example.com";
        assert_eq!(public_url("https://scim.example.com/"), Ok(url.to_owned()));
        assert_eq!(public_url("https://scim.example.com/portal/"), Ok(url.to_owned()));
        assert!(public_url("http://127.0.0.1:8080").is_ok());
        for bad in ["", "scim.example.com", "ftp://x", "https://", "https://a@b", "https://a/?b"] {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }
}
