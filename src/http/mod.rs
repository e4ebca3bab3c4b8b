//! The HTTP side of SCIM (RFC 7644 §3): one function from a request to an answer, the same for the Lambda and the local
//! server.
//!
//! No middleware and no framework: [`handle`] is the way in, `respond` is the life of a request, `route` is the route
//! table. `handle` is infallible: a panic is a SCIM 500, so the Lambda runtime never sees an error and API Gateway never
//! invents an answer.

mod activity;
mod bulk;
mod compress;
mod request;
mod respond;
mod response;
mod route;
mod traffic;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use http::Method;

pub use request::{Request, asked, decode_path};
pub use response::plain_error;

use crate::auth::{Authenticator, Limiter};
use crate::config::Config;
use crate::limits::RETRY_AFTER_SECONDS;
use crate::moment::Moment;
use crate::ops::{Failure, internal};
use crate::scim::error::{ErrorKind, ScimError};
use crate::store::Store;

/// A process's view of the world: the store, the configuration, and the little that it remembers between requests.
#[derive(Debug)]
pub struct App {
    store: Store,
    config: Config,
    authenticator: Authenticator,
    limiter: Option<Limiter>,
    activity: activity::Throttle,
    traffic: traffic::Counters,
}

impl App {
    /// One per process.
    pub fn new(store: Store, config: Config) -> Self {
        Self {
            authenticator: Authenticator::new(config.token_cache),
            limiter: config.tenant_rate.map(Limiter::new),
            activity: activity::Throttle::default(),
            traffic: traffic::Counters::default(),
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

/// What the way back to the client can do. What it cannot is answered here, so that the log tells what the client got.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// How long it waits for the answer; without it, as long as it takes.
    pub patience: Option<Duration>,
    /// Whether an answer is small enough for it.
    pub takes: fn(&http::Response<Bytes>) -> bool,
}

impl Default for Edge {
    /// One without bounds.
    fn default() -> Self {
        Self { patience: None, takes: |_| true }
    }
}

/// Answers a request and writes its line to the log. Never fails, never panics.
pub async fn handle(app: &App, request: Request, moment: Moment) -> http::Response<Bytes> {
    handle_at(app, request, moment, Edge::default()).await
}

/// As [`handle`], where an answer can be too late or too large.
pub async fn handle_at(
    app: &App,
    request: Request,
    moment: Moment,
    edge: Edge,
) -> http::Response<Bytes> {
    let mut line = crate::telemetry::RequestLine {
        route: "unknown",
        method: known(&request.method),
        ..Default::default()
    };
    // On the heap: it is large, and every caller would carry it.
    let answered = Box::pin(respond::respond(app, &request, &moment, &mut line));
    let answered = AssertUnwindSafe(answered);
    let answered = in_time(answered.catch_unwind(), &moment, edge.patience).await;
    let answered =
        answered.map(|answered| answered.map(|response| compress::answer(&request, response)));
    let response = match answered {
        Some(Ok(response)) if (edge.takes)(&response) => response,
        Some(Ok(_)) => respond::fail(too_large(), &mut line),
        // A panic's message can quote the data; where it happened is told by the process's hook.
        Some(Err(_panic)) => respond::fail(failure(internal(), "a panic"), &mut line),
        None => respond::fail(too_late(), &mut line),
    };
    line.status = response.status().as_u16();
    line.write(&moment);
    response
}

/// What `work` yields, unless the time is over before; then it is given up where it stands.
async fn in_time<T>(
    work: impl Future<Output = T>,
    moment: &Moment,
    patience: Option<Duration>,
) -> Option<T> {
    let Some(patience) = patience else { return Some(work.await) };
    let (work, end) = (std::pin::pin!(work), std::pin::pin!(moment.sleep(patience)));
    match select(work, end).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(((), _)) => None,
    }
}

fn failure(error: ScimError, cause: &'static str) -> Failure {
    Failure { error, cause: Some(cause.into()), retry_after: None }
}

fn too_late() -> Failure {
    let detail = "the server could not finish in time; send the request again";
    let error = ScimError::new(ErrorKind::Unavailable, detail);
    Failure { retry_after: Some(RETRY_AFTER_SECONDS), ..failure(error, "the time limit") }
}

fn too_large() -> Failure {
    let detail = "the answer is larger than AWS Lambda can return (6 MB); ask for fewer resources with count, for fewer \
                  attributes, for example with excludedAttributes=members, or send Accept-Encoding: gzip";
    ScimError::new(ErrorKind::TooMany, detail).into()
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
