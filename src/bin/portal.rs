//! The Lambda function of the workspace settings: pages for a customer's admin, and two IAM-authorised routes for the
//! team's own backend.
//!
//! A role of its own: it can issue tokens, and cannot make, change or remove people; the function that answers SCIM is the other way round.

use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_http::LambdaEvent;
use lambda_http::lambda_runtime::{Context, Error, Runtime, service_fn};
use scim_endpoint::config::Config;
use scim_endpoint::http::Request;
use scim_endpoint::lambda::{self, Event};
use scim_endpoint::moment::Moment;
use scim_endpoint::portal::{self, Api, Options, Portal};
use scim_endpoint::scim::catalog::Catalog;
use scim_endpoint::sdk::{self, Service};
use scim_endpoint::store::Store;
use scim_endpoint::system::{Moments, environment};
use scim_endpoint::telemetry;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// What is left of the time limit when a request is given up: enough to answer instead.
const DEADLINE_MARGIN: Duration = Duration::from_millis(500);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init_json(environment("LOG_LEVEL").as_deref());
    std::panic::set_hook(Box::new(report_panic));
    let moments = Moments::new()?;
    let ready = match connect() {
        Ok(portal) => Some(portal),
        Err(problem) => {
            tracing::error!(%problem, "The function cannot start: every request is answered 500.");
            None
        }
    };
    let function = Arc::new(Function { moments, ready });
    let service = service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let function = Arc::clone(&function);
        async move { Ok::<Value, Error>(function.answer(event).await) }
    });
    Runtime::new(service).run().await
}

/// What lives as long as the process.
struct Function {
    moments: Moments,
    /// `None` when it could not be built, for example because the configuration cannot be read.
    ready: Option<Portal>,
}

impl Function {
    /// The answer to any event.
    async fn answer(&self, event: LambdaEvent<Box<RawValue>>) -> Value {
        let LambdaEvent { payload, context } = event;
        let work = AssertUnwindSafe(self.respond(payload.get(), &context)).catch_unwind();
        work.await.unwrap_or_else(|_panic| refuse(500, "The server has failed. Its log says more."))
    }

    async fn respond(&self, event: &str, context: &Context) -> Value {
        let Some(portal) = &self.ready else {
            return refuse(500, "The server is not configured.");
        };
        let request = match lambda::read(event) {
            Event::Request(request) => *request,
            Event::Sweep => return refuse(400, "This function has no scheduled job."),
            Event::Unusable(detail) => return refuse(400, detail),
        };
        let moment = self.moments.named(context.request_id.clone());
        let late = portal::too_late(portal, &request);
        let api = if lambda::is_iam(event) { Api::Signed } else { Api::Unsigned };
        let work = answer(portal, request, api, moment);
        let answered = tokio::time::timeout(self.time_left(context), work).await;
        lambda::answer(&answered.unwrap_or(late))
    }

    fn time_left(&self, context: &Context) -> Duration {
        let now = Duration::from_millis(self.moments.clock().now().unix_millis());
        Duration::from_millis(context.deadline).saturating_sub(now + DEADLINE_MARGIN)
    }
}

async fn answer(
    portal: &Portal,
    request: Request,
    api: Api,
    moment: Moment,
) -> http::Response<bytes::Bytes> {
    if Api::is_own(&request.path) {
        return portal::answer_api(portal, &request, api, &moment).await;
    }
    portal::handle(portal, request, moment).await
}

/// The configuration and the client.
fn connect() -> Result<Portal, Error> {
    let config = Config::from_lookup(environment)?;
    let options = Options::from_lookup(&config, environment)?;
    let catalog = Arc::new(Catalog::embedded()?);
    let sdk = sdk::sdk_config(Service::DynamoDb, environment)?;
    let store = Store::connect(&sdk, config.tables.clone(), catalog);
    Ok(Portal::new(store.with_journal_days(config.journal_days), options))
}

/// An answer that no page came to.
fn refuse(status: u16, detail: &str) -> Value {
    tracing::error!(route = "-", status, "{detail}");
    json!({
        "statusCode": status,
        "headers": { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" },
        "body": detail,
        "isBase64Encoded": false,
    })
}

/// Where, not what: a panic's message can quote the data.
fn report_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(location, "panic");
}
