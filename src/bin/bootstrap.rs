//! The Lambda function: everything is built once, in the init phase, then event after event is answered.
//!
//! Lambda gives the init phase a whole CPU and an invocation memory/1769 of one, and an identity provider that calls
//! every 40 minutes finds no environment alive: so the client is made, and its connection to DynamoDB opened, before
//! the first event is asked for.
//!
//! Whatever happens, the Runtime API is posted a SCIM answer: for a configuration that cannot be read, an event that is
//! no request, a panic, a deadline. Where an invocation fails, API Gateway invents an answer that is no SCIM.

use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_http::LambdaEvent;
use lambda_http::lambda_runtime::{Context, Error, Runtime, service_fn};
use scim_endpoint::config::Config;
use scim_endpoint::http::{App, Edge, Request, handle_at, plain_error};
use scim_endpoint::lambda::{self, Event};
use scim_endpoint::moment::Moment;
use scim_endpoint::ops::jobs::{self, Summary};
use scim_endpoint::scim::catalog::Catalog;
use scim_endpoint::scim::error::ErrorKind;
use scim_endpoint::sdk::{self, Service};
use scim_endpoint::store::Store;
use scim_endpoint::system::{Moments, environment};
use scim_endpoint::telemetry;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// What is left of the time limit when a request is given up: enough to answer instead.
const DEADLINE_MARGIN: Duration = Duration::from_millis(500);

/// How long the init phase waits for DynamoDB's first answer. Lambda itself gives init 10 s.
const WARM_UP_MAX: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Arc::new(Function::build(Moments::new()?).await);
    // The event stays text until it is ours to read: what cannot be read is an answer, not an invocation error.
    let service = service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let function = Arc::clone(&function);
        async move { Ok::<Value, Error>(function.answer(event).await) }
    });
    // Not `lambda_runtime::run`: its span would put the trace id on every line.
    Runtime::new(service).run().await
}

/// What lives as long as the process.
struct Function {
    moments: Moments,
    /// `None` when it could not be built, for example because the configuration cannot be read.
    ready: Option<Ready>,
    /// Whether a request may ask for a panic, so that a test can see what becomes of it.
    panics_on_request: bool,
}

/// What requests and the scheduled job are served with.
struct Ready {
    app: App,
    store: Store,
}

impl Function {
    async fn build(moments: Moments) -> Self {
        telemetry::init_json(environment("LOG_LEVEL").as_deref());
        std::panic::set_hook(Box::new(report_panic));
        let ready = match connect(&moments).await {
            Ok(ready) => Some(ready),
            Err(problem) => {
                tracing::error!(%problem, "The function cannot start: every request is answered 500.");
                None
            }
        };
        let panics_on_request = environment("SCIM_TEST_PANIC").as_deref() == Some("1");
        Self { moments, ready, panics_on_request }
    }

    /// The answer to any event.
    async fn answer(&self, event: LambdaEvent<Box<RawValue>>) -> Value {
        let LambdaEvent { payload, context } = event;
        let work = AssertUnwindSafe(self.respond(payload.get(), &context)).catch_unwind();
        work.await.unwrap_or_else(|_panic| {
            let detail = "The server has failed. Its log says more.";
            refuse(&context, ErrorKind::Internal, detail)
        })
    }

    /// The answer, at the latest when the time limit is near.
    async fn respond(&self, event: &str, context: &Context) -> Value {
        let event = lambda::read(event);
        let Some(Ready { app, store }) = &self.ready else {
            return refuse(context, ErrorKind::Internal, "The server is not configured.");
        };
        let time_left = self.time_left(context);
        match event {
            Event::Request(request) => {
                self.provoke(&request);
                let edge = Edge { patience: Some(time_left), takes: lambda::takes };
                lambda::answer(&handle_at(app, *request, self.moment(context), edge).await)
            }
            Event::Sweep => {
                let moment = self.moment(context);
                let swept = tokio::time::timeout(time_left, sweep(store, &moment)).await;
                swept.unwrap_or_else(|_elapsed| {
                    let detail = "The job could not finish in time. The next one goes on with it.";
                    refuse(context, ErrorKind::Unavailable, detail)
                })
            }
            Event::Unusable(detail) => refuse(context, ErrorKind::InvalidSyntax, detail),
        }
    }

    fn moment(&self, context: &Context) -> Moment {
        self.moments.named(context.request_id.clone())
    }

    fn time_left(&self, context: &Context) -> Duration {
        let now = Duration::from_millis(self.moments.clock().now().unix_millis());
        Duration::from_millis(context.deadline).saturating_sub(now + DEADLINE_MARGIN)
    }

    /// The contract test asks for it, and only where the environment allows it.
    fn provoke(&self, request: &Request) {
        let provoked = request.headers.contains_key("x-scim-provoke-panic");
        assert!(!(self.panics_on_request && provoked), "provoked");
    }
}

/// The configuration, and the client with its connection to DynamoDB open.
async fn connect(moments: &Moments) -> Result<Ready, Error> {
    let config = Config::from_lookup(environment)?;
    let catalog = Arc::new(Catalog::embedded()?);
    let sdk = sdk::sdk_config(Service::DynamoDb, environment)?;
    let store =
        Store::connect(&sdk, config.tables.clone(), catalog).with_journal_days(config.journal_days);
    let moment = moments.named("init".to_owned());
    // A digest that no token has. What is found does not matter, the connection does; where it fails, the first
    // request tries again and answers for it.
    match tokio::time::timeout(WARM_UP_MAX, store.look_up(&moment, "init")).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "DynamoDB could not be reached in the init phase.");
        }
        Err(_elapsed) => tracing::warn!("DynamoDB did not answer in the init phase."),
    }
    Ok(Ready { app: App::new(store.clone(), config), store })
}

/// The scheduled job: finishes what multi-step jobs have left. An error here is a line that the alarm in
/// infra/alarms.yaml counts.
async fn sweep(store: &Store, moment: &Moment) -> Value {
    let request_id = moment.request_id();
    match jobs::run(store, moment).await {
        Ok(Summary { visits, finished, left, failed }) => {
            if failed == 0 {
                tracing::info!(job = "sweep", request_id, visits, finished, left, "swept");
            } else {
                tracing::error!(
                    job = "sweep",
                    request_id,
                    visits,
                    finished,
                    left,
                    failed,
                    "swept in part"
                );
            }
            json!({ "job": "sweep", "visits": visits, "finished": finished, "left": left, "failed": failed })
        }
        Err(error) => {
            tracing::error!(job = "sweep", request_id, %error, "The tenants cannot be listed.");
            json!({ "job": "sweep", "error": "the tenants cannot be listed" })
        }
    }
}

/// An answer that no request came to, and its line in the log.
fn refuse(context: &Context, kind: ErrorKind, detail: &str) -> Value {
    let status = kind.status();
    tracing::error!(request_id = context.request_id, route = "-", status, "{detail}");
    lambda::answer(&plain_error(kind, detail))
}

/// Where, not what: a panic's message can quote the data.
fn report_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(location, "panic");
}
