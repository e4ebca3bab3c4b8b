//! What to paste into the identity provider.

use askama::Template;
use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};

use super::Visit;
use crate::insight::health::{Sort, health};
use crate::portal::answer::{Frame, Stop, protect, set};
use crate::portal::form;
use crate::portal::route::Page;

/// Makes Entra send what RFC 7644 says.
const FLAG: &str = "aadOptscim062020";

/// An attribute mapping for Entra, as its synchronization schema.
const MAPPING: &str = include_str!("../entra-mapping.json");

#[derive(Template)]
#[template(path = "portal/connect.html")]
struct ConnectPage {
    frame: Frame,
    provider: &'static str,
    tenant_url: String,
    base_url: String,
    external_ids: Option<String>,
    has_token: bool,
}

/// The identity providers that have a tab.
const PROVIDERS: [&str; 4] = ["entra", "okta", "pingone", "jumpcloud"];

pub(in crate::portal) async fn show(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    let query = form::query(visit.request)?;
    let said = query.said("for").unwrap_or_default();
    let provider = PROVIDERS.into_iter().find(|name| *name == said).unwrap_or("entra");
    let read = health(visit.store(), visit.moment, visit.session.tenant()).await?;
    let health = read.ok_or_else(Stop::nothing_here)?;
    let names = health.findings.iter().find(|finding| finding.sort == Sort::ExternalIds);
    visit.page(&ConnectPage {
        frame: visit.frame(Page::Connect),
        provider,
        tenant_url: tenant_url(visit),
        base_url: base_url(visit),
        external_ids: names.map(|finding| finding.sentence.clone()),
        has_token: health.tokens.iter().any(|token| token.is_alive(health.now)),
    })
}

/// The SCIM root with the flag behind it, as Entra wants it. With the slash, what is appended after it stays a path.
pub(super) fn tenant_url(visit: &Visit<'_>) -> String {
    format!("{}/?{FLAG}", base_url(visit))
}

fn base_url(visit: &Visit<'_>) -> String {
    format!("{}{}", visit.outer.base, visit.portal.options().base_path)
}

/// The mapping, as a file.
pub(in crate::portal) fn mapping(visit: &Visit<'_>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(MAPPING.as_bytes()));
    set(&mut response, CONTENT_TYPE, "application/json");
    set(&mut response, CONTENT_DISPOSITION, "attachment; filename=\"entra-mapping.json\"");
    set(&mut response, CACHE_CONTROL, "no-store");
    protect(&mut response, visit.outer);
    response
}
