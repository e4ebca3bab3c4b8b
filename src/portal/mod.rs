//! Workspace settings: the pages on which a customer's admin sets up the sign-in, switches SCIM on, takes the token away,
//! and sees what the identity provider did.
//!
//! One function, [`handle`], from a request to an answer, as in `http`: its own route match, no framework, HTML from
//! templates that escape whatever is put into them. It works without JavaScript. It knows nobody but the holder of a
//! session, and its session opens nothing but these pages ([ADR 38](../../../docs/adr/0038-pages-without-a-framework.md)).

mod answer;
mod api;
mod assets;
mod form;
mod guard;
mod pages;
mod route;

use std::fmt;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Method, Response, StatusCode};

pub use api::{Api, answer as answer_api};

use crate::admin::AdminError;
use crate::admin::portal::{PATH, SamlFirst};
use crate::config::Config;
use crate::http::Request;
use crate::moment::Moment;
use crate::saml::Allowed;
use crate::store::{Store, StoreError};
use crate::telemetry::RequestLine;
use answer::{Outer, Stop};
use route::{Found, Page};

/// How the deployment wants its portal.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where people reach the deployment; taken from the request when not said.
    pub public_url: Option<String>,
    /// The path below which SCIM lives.
    pub base_path: String,
    /// Hosts beside Microsoft's at which people may sign in.
    pub saml_hosts: Allowed,
    /// Whether SCIM can be switched on only when the sign-in is set up.
    pub saml_first: SamlFirst,
}

impl Options {
    /// What `look_up` (the environment, in the bin) says beside the configuration: `SAML_HOSTS` and `PORTAL_SAML`.
    ///
    /// # Errors
    /// A sentence, when one of them cannot be read.
    pub fn from_lookup(
        config: &Config,
        look_up: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let hosts = look_up("SAML_HOSTS").unwrap_or_default();
        let saml_hosts = Allowed::parse(&hosts).map_err(|why| format!("SAML_HOSTS: {why}"))?;
        let saml_first = match look_up("PORTAL_SAML").as_deref().map(str::trim) {
            None | Some("" | "on") => SamlFirst::Required,
            Some("off") => SamlFirst::NotRequired,
            Some(_) => return Err("PORTAL_SAML is on or off".to_owned()),
        };
        let Config { public_url, base_path, .. } = config.clone();
        Ok(Self { public_url, base_path, saml_hosts, saml_first })
    }
}

/// What the pages are made of.
#[derive(Debug)]
pub struct Portal {
    store: Store,
    options: Options,
}

impl Portal {
    /// One per process.
    pub fn new(store: Store, options: Options) -> Self {
        Self { store, options }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How the deployment wants it.
    pub fn options(&self) -> &Options {
        &self.options
    }
}

/// Whether a path is the portal's.
pub fn is_own(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request and writes its line to the log. Never fails, never panics.
pub async fn handle(portal: &Portal, request: Request, moment: Moment) -> Response<Bytes> {
    let mut line = RequestLine {
        route: "/portal/unknown",
        method: known(&request.method),
        ..RequestLine::default()
    };
    let outer = Outer::of(portal.options(), &request);
    let answered = Box::pin(respond(portal, &request, (&moment, &outer), &mut line));
    let answered = AssertUnwindSafe(answered).catch_unwind().await;
    let (mut response, cause) = match answered {
        Ok(Ok(response)) => (response, None),
        Ok(Err(stop)) => stop.page(&outer),
        Err(_panic) => Stop::failed("a panic").page(&outer),
    };
    if request.method == Method::HEAD {
        *response.body_mut() = Bytes::new();
    }
    line.cause = cause;
    line.status = response.status().as_u16();
    line.write(&moment);
    response
}

/// The answer when there is no time left for another one.
pub fn too_late(portal: &Portal, request: &Request) -> Response<Bytes> {
    Stop::too_late().page(&Outer::of(portal.options(), request)).0
}

async fn respond(
    portal: &Portal,
    request: &Request,
    (moment, outer): (&Moment, &Outer),
    line: &mut RequestLine,
) -> Result<Response<Bytes>, Stop> {
    let found = route::find(&request.method, &request.path)?;
    line.route = found.pattern();
    let page = match found {
        Found::Asset(name) => return assets::answer(name, outer),
        Found::Link(secret) => {
            let place = pages::link::Place { portal, request, moment, outer };
            return pages::link::answer(&place, secret, line).await;
        }
        Found::Page(page) => page,
    };
    let session = guard::session(portal, request, moment, outer).await?;
    line.tenant = Some(session.tenant().to_string());
    let visit = pages::Visit { portal, request, moment, outer, session: &session };
    if request.method == Method::POST {
        let form = form::read(request).await?;
        guard::own_form(&visit, &form)?;
        return post(&visit, page, &form).await;
    }
    get(&visit, page).await
}

async fn get(visit: &pages::Visit<'_>, page: Page) -> Result<Response<Bytes>, Stop> {
    match page {
        Page::Overview => pages::overview::show(visit).await,
        Page::SignIn => pages::sign_in::show(visit).await,
        Page::Provisioning => pages::provisioning::show(visit),
        Page::Tokens => pages::tokens::show(visit).await,
        Page::Connect => pages::connect::show(visit).await,
        Page::Mapping => Ok(pages::connect::mapping(visit)),
        Page::Test => pages::test::show(visit).await,
        Page::Log => pages::log::show(visit).await,
        Page::Why => pages::why::show(visit).await,
        Page::Health => pages::health::show(visit).await,
        Page::Held => pages::held::show(visit).await,
        Page::Revoke | Page::Leave => Err(Stop::nothing_here()),
    }
}

async fn post(
    visit: &pages::Visit<'_>,
    page: Page,
    form: &form::Form,
) -> Result<Response<Bytes>, Stop> {
    match page {
        Page::SignIn => pages::sign_in::describe(visit, form).await,
        Page::Provisioning => pages::provisioning::switch(visit, form).await,
        Page::Tokens => pages::tokens::issue(visit, form).await,
        Page::Revoke => pages::tokens::revoke(visit, form).await,
        Page::Held => pages::held::decide(visit, form).await,
        Page::Leave => pages::leave(visit).await,
        Page::Overview
        | Page::Connect
        | Page::Mapping
        | Page::Test
        | Page::Log
        | Page::Why
        | Page::Health => Err(Stop::nothing_here()),
    }
}

/// The method for the log.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Throttled) { Self::busy() } else { Self::failed(error) }
    }
}

impl From<AdminError> for Stop {
    fn from(error: AdminError) -> Self {
        if let AdminError::Store(error) = error {
            return error.into();
        }
        let told = match &error {
            AdminError::TooManyTokens(_) => {
                "This workspace has as many live tokens as it may have. Revoke one that is no longer used, then issue another."
            }
            AdminError::TooManyKept(_) => {
                "So many tokens were issued for this workspace that none is issued here any more. Ask the team that runs this service for one."
            }
            AdminError::NoToken(..) => "There is no such token in this workspace any more.",
            AdminError::TokenExpired(_) => {
                "The token has expired by itself; there is nothing to revoke."
            }
            AdminError::Label => {
                "A name for the token is 1 to 64 characters on one line. Go back and choose another."
            }
            AdminError::NoSaml(_) => {
                "The sign-in is not set up. Give the directory's metadata under “Sign-in” first, then switch provisioning on."
            }
            AdminError::ExternalSaml(_) => {
                "The team that runs this service has your sign-in set up elsewhere, so these metadata were not kept. If that has changed, ask them."
            }
            AdminError::Released(_) => {
                "SCIM was ended for this workspace by the team that runs it. Ask them to take it up again."
            }
            AdminError::Busy(_) => {
                "This form was sent already, or the settings have changed since it was shown. Open the page again: it shows how things are now."
            }
            AdminError::NoTenant(_) | AdminError::BeingDeleted(_) => {
                "This workspace is not there any more. Ask the team that runs it."
            }
            AdminError::TenantExists(_)
            | AdminError::NewerFormat(..)
            | AdminError::StillOld(_)
            | AdminError::NoResync(..)
            | AdminError::MatchAttribute(..)
            | AdminError::TooManyMatchAttributes
            | AdminError::TooManyDomains
            | AdminError::NoSchema(..)
            | AdminError::TooManySchemas
            | AdminError::NoLink(..)
            | AdminError::TooManyLinks(_)
            | AdminError::Brake
            | AdminError::Held(..)
            | AdminError::Store(_) => return Self::failed(error),
        };
        Self::refused(StatusCode::CONFLICT, "That was not done", told)
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}
