//! Operational logs: one line a request, no secrets, no personal data.
//!
//! The names of the fields are fixed here. What stands in them are ids and numbers: never a token, a body, a filter, a
//! name or an address. (The journal is the tenant's data, not a log.)

use std::error::Error;
use std::fmt;
use std::io::{self, Write as _};

use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::moment::Moment;

/// What a request's line says beside what its moment knows.
#[derive(Debug, Default)]
pub struct RequestLine {
    /// The tenant, once the caller is known.
    pub tenant: Option<String>,
    /// The id of the token.
    pub token: Option<String>,
    /// The route's pattern, such as `/Users/{id}`.
    pub route: &'static str,
    /// The method.
    pub method: &'static str,
    /// The id of the resource, when it is one that we could have given out.
    pub resource: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// The gravest status of an operation in a bulk request, which is 200 itself; the line is as grave as that.
    pub gravest: u16,
    /// The `scimType` of an error.
    pub scim_type: Option<&'static str>,
    /// The cause of a 5xx.
    pub cause: Option<Box<dyn Error + Send + Sync>>,
}

impl RequestLine {
    /// Writes the line: an error for our faults, else information.
    pub fn write(&self, moment: &Moment) {
        let cost = moment.meter().cost();
        let duration_ms = u64::try_from(moment.elapsed().as_millis()).unwrap_or(u64::MAX);
        let quirks = moment.quirks().join(",");
        let cause = self.cause.as_deref().map(|cause| Chain(cause).to_string());
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    request_id = moment.request_id(),
                    tenant = self.tenant.as_deref(),
                    token = self.token.as_deref(),
                    method = self.method,
                    route = self.route,
                    resource = self.resource.as_deref(),
                    status = self.status,
                    scim_type = self.scim_type,
                    duration_ms,
                    store_calls = cost.calls,
                    consumed_rcu = cost.read_units,
                    consumed_wcu = cost.write_units,
                    quirks = (!quirks.is_empty()).then_some(quirks.as_str()),
                    cause = cause.as_deref(),
                    "request"
                )
            };
        }
        match self.status.max(self.gravest) {
            500 => line!(Level::ERROR),
            501.. => line!(Level::WARN),
            _ => line!(Level::INFO),
        }
    }
}

/// An error with its sources, one after the other: `Display` of an error leaves its source to its reader.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + Send + Sync + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// JSON lines on standard output, as the Lambda logs them. Without time stamps: CloudWatch has its own.
pub fn init_json(level: Option<&str>) {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_target(false)
        .without_time()
        .with_max_level(parse_level(level))
        .with_writer(io::stdout)
        .finish();
    // A second subscriber in one process can only be a test's, and the first one stays.
    drop(tracing::subscriber::set_global_default(subscriber));
}

/// One line of JSON on standard output, as it is: CloudWatch reads metrics in it.
pub fn plain_line(line: &serde_json::Value) {
    // Where that cannot be written, nobody reads of it.
    drop(writeln!(io::stdout(), "{line}"));
}

/// Lines for people on standard error, as `scimctl` logs them: ours alone, because the embedded engine warns of each
/// condition that does not hold.
pub fn init_text(level: Option<&str>) {
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), parse_level(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .without_time()
        .with_writer(io::stderr)
        .with_filter(ours);
    drop(tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines)));
}

/// `info` when nothing, or nothing sensible, is said.
fn parse_level(level: Option<&str>) -> Level {
    level.and_then(|level| level.trim().parse().ok()).unwrap_or(Level::INFO)
}
