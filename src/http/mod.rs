//! The HTTP side of SCIM (RFC 7644 §3): one function from a request to an answer, the same for the Lambda and the local
//! server.
//!
//! No middleware and no framework: [`handle`] is the way in, `respond` is the life of a request, `route` is the route
//! table. `handle` is infallible: a panic is a SCIM 500, so the Lambda runtime never sees an error and API Gateway never
//! invents an answer.

mod activity;
mod request;
mod respond;
mod response;
mod route;

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::Method;

pub use request::{Request, decode_path};
pub use response::plain_error;

use crate::auth::{Authenticator, Limiter};
use crate::config::Config;
use crate::moment::Moment;
use crate::ops::{Failure, internal};
use crate::store::Store;

/// A process's view of the world: the store, the configuration, and the little that it remembers between requests.
#[derive(Debug)]
pub struct App {
    store: Store,
    config: Config,
    authenticator: Authenticator,
    limiter: Option<Limiter>,
    activity: activity::Throttle,
}

impl App {
    /// One per process.
    pub fn new(store: Store, config: Config) -> Self {
        Self {
            authenticator: Authenticator::new(config.token_cache),
            limiter: config.tenant_rate.map(Limiter::new),
            activity: activity::Throttle::default(),
            store,
            config,
        }
    }

    /// The store, for the scheduled job.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

/// Answers a request and writes its line to the log. Never fails, never panics.
pub async fn handle(app: &App, request: Request, moment: Moment) -> http::Response<Bytes> {
    let mut line = crate::telemetry::RequestLine {
        route: "unknown",
        method: known(&request.method),
        ..Default::default()
    };
    let answered = AssertUnwindSafe(respond::respond(app, &request, &moment, &mut line));
    let response = answered.catch_unwind().await.unwrap_or_else(|_panic| {
        // A panic's message can quote the data; where it happened is told by the process's hook.
        let cause = Some("a panic".into());
        respond::fail(Failure { error: internal(), cause, retry_after: None }, &mut line)
    });
    line.status = response.status().as_u16();
    line.write(&moment);
    response
}

/// The method for the log; a client may invent any word as one.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
