//! The scheduled look at every tenant, as a function of its own with a role of its own: it reads, notes what it has told,
//! and publishes to one topic. What it has seen of the whole stack it writes as one line that CloudWatch takes for metrics.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::sync::Arc;

use aws_sdk_sns::Client;
use lambda_http::LambdaEvent;
use lambda_http::lambda_runtime::{Error, Runtime, service_fn};
use scim_endpoint::config::Config;
use scim_endpoint::scim::catalog::Catalog;
use scim_endpoint::sdk::{self, Service};
use scim_endpoint::store::Store;
use scim_endpoint::system::{Moments, environment};
use scim_endpoint::telemetry;
use scim_endpoint::watch::{self, Message, Mode, Summary, metrics};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init_json(environment("LOG_LEVEL").as_deref());
    let watcher = Arc::new(Watcher::build(Moments::new()?)?);
    let service = service_fn(move |_: LambdaEvent<Value>| {
        let watcher = Arc::clone(&watcher);
        async move { watcher.look().await }
    });
    Runtime::new(service).run().await
}

/// What lives as long as the process.
struct Watcher {
    moments: Moments,
    store: Store,
    topic: String,
    stack: String,
    client: Client,
}

impl Watcher {
    fn build(moments: Moments) -> Result<Self, Error> {
        let config = Config::from_lookup(environment)?;
        let topic = environment("TOPIC_ARN").ok_or("TOPIC_ARN is not set: name the SNS topic")?;
        let stack = environment("STACK_NAME").unwrap_or_default();
        let sdk = sdk::sdk_config(Service::DynamoDb, environment)?;
        let catalog = Arc::new(Catalog::embedded()?);
        let store = Store::connect(&sdk, config.tables, catalog);
        let client = Client::new(&sdk::sdk_config(Service::Sns, environment)?);
        Ok(Self { moments, store, topic, stack, client })
    }

    async fn look(&self) -> Result<Value, Error> {
        let moments = || self.moments.unnamed();
        let tell = async |message: Message| self.publish(message).await;
        let summary = watch::run(&self.store, &moments, Mode::Tell, tell).await?;
        let Summary { tenants, at_risk, silent, held, failed, left, untold, notices } = &summary;
        let told = notices.len();
        tracing::info!(
            job = "watch",
            tenants,
            at_risk,
            silent,
            held,
            failed,
            left,
            told,
            "watched"
        );
        for notice in notices {
            let (tenant, condition) = (notice.tenant.as_str(), notice.condition.word());
            tracing::info!(job = "watch", tenant, condition, "told");
        }
        let line = metrics(&summary, &self.stack, self.moments.unnamed().now());
        telemetry::plain_line(&line);
        if failed + untold > 0 {
            // The alarm on this function's errors rings; what was not told is told by a later run.
            return Err("some tenants could not be looked at, or told of".into());
        }
        Ok(json!({ "tenants": tenants, "told": told }))
    }

    async fn publish(&self, message: Message) -> Result<(), ()> {
        let request = self.client.publish().topic_arn(&self.topic);
        let request = request.subject(message.subject).message(message.text);
        request.send().await.map(|_| ()).map_err(|error| {
            let cause = causes(&error);
            tracing::error!(job = "watch", cause, "A notice could not be published.");
        })
    }
}

/// An error with what caused it.
fn causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a text does not fail.
        if write!(text, ": {cause}").is_err() {
            break;
        }
        source = cause.source();
    }
    text
}
