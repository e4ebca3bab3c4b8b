//! What the team's own backend asks for over IAM-authorised routes: a setup link, and that somebody has signed in. JSON in,
//! JSON out.
//!
//! The gateway lets in only what is signed by a principal of the account that may; this looks again whether it has done so,
//! so that a route that has lost its authorizer opens nothing.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::Portal;
use super::answer::origin_of;
use crate::admin::portal::{self, LinkLife};
use crate::admin::{AdminError, saml, tenants};
use crate::http::Request;
use crate::limits::{QUERY_BYTES_MAX, RETRY_AFTER_SECONDS};
use crate::moment::Moment;
use crate::store::{StoreError, TenantId};
use crate::telemetry::RequestLine;

/// Where these routes are.
const ROOT: &str = "/portal-api/tenants/";

/// Who acts, for the journal.
const ACTOR: &str = "portal-api";

/// Whether the gateway has found a principal of the account behind a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// It has.
    Signed,
    /// It says nothing of one.
    Unsigned,
}

impl Api {
    /// Whether a path is one of these routes.
    pub fn is_own(path: &str) -> bool {
        path == "/portal-api" || path.starts_with("/portal-api/")
    }
}

/// Why a request was not done.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    told: String,
    error: Option<AdminError>,
}

/// Answers one of them, and writes its line to the log.
pub async fn answer(
    portal: &Portal,
    request: &Request,
    api: Api,
    moment: &Moment,
) -> Response<Bytes> {
    let mut line =
        RequestLine { route: "/portal-api/unknown", method: "other", ..RequestLine::default() };
    if request.method == Method::POST {
        line.method = "POST";
    }
    let done = Box::pin(respond(portal, request, (api, moment), &mut line)).await;
    let (status, body) = match done {
        Ok(body) => (StatusCode::OK, body),
        Err(Refused { status, told, error }) => {
            line.cause = error.map(Into::into);
            (status, json!({ "error": told }))
        }
    };
    line.status = status.as_u16();
    line.write(moment);
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS.into());
    }
    response
}

async fn respond(
    portal: &Portal,
    request: &Request,
    (api, moment): (Api, &Moment),
    line: &mut RequestLine,
) -> Result<Value, Refused> {
    if api == Api::Unsigned {
        return Err(refused(
            StatusCode::FORBIDDEN,
            "sign the request for execute-api with credentials of this account",
        ));
    }
    let rest = request.path.strip_prefix(ROOT).and_then(|rest| rest.split_once('/'));
    let (tenant, what) = rest.ok_or_else(nothing_here)?;
    let tenant = TenantId::parse(tenant).map_err(|_| {
        refused(StatusCode::BAD_REQUEST, "the tenant in the path is no tenant's name")
    })?;
    line.tenant = Some(tenant.to_string());
    if !matches!(what, "links" | "saml-seen") {
        return Err(nothing_here());
    }
    if request.method != Method::POST {
        return Err(refused(StatusCode::METHOD_NOT_ALLOWED, "send it with POST"));
    }
    let body = body(request)?;
    if what == "links" {
        line.route = "/portal-api/tenants/{tenant}/links";
        link(portal, (request, moment), &tenant, &body).await
    } else {
        line.route = "/portal-api/tenants/{tenant}/saml-seen";
        let seen = saml::seen(portal.store(), moment, (&tenant, ACTOR)).await?;
        Ok(json!({
            "tenant": tenant.as_str(),
            "saml": seen.state.word(),
            "seen_at": seen.seen_at.map(|time| time.to_string()),
        }))
    }
}

async fn link(
    portal: &Portal,
    (request, moment): (&Request, &Moment),
    tenant: &TenantId,
    body: &Value,
) -> Result<Value, Refused> {
    let text = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(refused(StatusCode::BAD_REQUEST, &format!("{name} is not a text"))),
    };
    let life = match text("expires")? {
        Some(text) => LinkLife::parse(text)
            .map_err(|told| refused(StatusCode::BAD_REQUEST, &format!("expires: {told}")))?,
        None => LinkLife::default(),
    };
    let label = text("label")?.unwrap_or(ACTOR);
    let origin = request.origin.as_deref().map(origin_of);
    let base = portal.options().public_url.as_deref().or(origin);
    let base = base.ok_or_else(|| {
        refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "it is not known where people reach this service; set the stack's PublicUrl",
        )
    })?;
    let created = tenants::prepare(portal.store(), moment, tenant).await?;
    let what = (label, life);
    let issued = portal::issue_link(portal.store(), moment, (tenant, ACTOR), what).await?;
    Ok(json!({
        "tenant": tenant.as_str(),
        "tenant_created": created,
        "url": issued.url(base),
        "link_id": issued.id,
        "label": issued.label,
        "expires": issued.valid_until.to_string(),
    }))
}

/// The body: an object, or nothing.
fn body(request: &Request) -> Result<Value, Refused> {
    if request.body.is_empty() {
        return Ok(json!({}));
    }
    if request.body.len() > QUERY_BYTES_MAX {
        return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"));
    }
    let read = serde_json::from_slice::<Value>(&request.body).ok().filter(Value::is_object);
    read.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "the body is no JSON object"))
}

fn nothing_here() -> Refused {
    refused(
        StatusCode::NOT_FOUND,
        "there are POST /portal-api/tenants/{tenant}/links and POST /portal-api/tenants/{tenant}/saml-seen",
    )
}

fn refused(status: StatusCode, told: &str) -> Refused {
    Refused { status, told: told.to_owned(), error: None }
}

impl From<AdminError> for Refused {
    fn from(error: AdminError) -> Self {
        let status = match &error {
            AdminError::NoTenant(_) => StatusCode::NOT_FOUND,
            AdminError::Label => StatusCode::BAD_REQUEST,
            AdminError::Store(StoreError::Throttled) => {
                let told = "the tables are busy: nothing was done; ask again in a few seconds";
                return refused(StatusCode::SERVICE_UNAVAILABLE, told);
            }
            AdminError::Store(_) => {
                let told = "the server has failed; its log says more".to_owned();
                return Self {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    told,
                    error: Some(error),
                };
            }
            AdminError::TenantExists(_)
            | AdminError::BeingDeleted(_)
            | AdminError::Released(_)
            | AdminError::NewerFormat(..)
            | AdminError::StillOld(_)
            | AdminError::NoResync(..)
            | AdminError::MatchAttribute(..)
            | AdminError::TooManyMatchAttributes
            | AdminError::TooManyDomains
            | AdminError::NoSchema(..)
            | AdminError::TooManySchemas
            | AdminError::NoToken(..)
            | AdminError::TokenExpired(_)
            | AdminError::TooManyTokens(_)
            | AdminError::TooManyKept(_)
            | AdminError::NoLink(..)
            | AdminError::TooManyLinks(_)
            | AdminError::NoSaml(_)
            | AdminError::ExternalSaml(_)
            | AdminError::Brake
            | AdminError::Held(..)
            | AdminError::Busy(_) => StatusCode::CONFLICT,
        };
        Self { status, told: error.to_string(), error: None }
    }
}
