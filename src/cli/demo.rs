//! `scimctl demo`: the endpoint, a sample app that listens to it, and a page that shows both.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::Host;
use super::args::DemoArguments;
use super::output::{CliError, Output, fields};
use super::serve::stopped;
use crate::demo::{self, Options};
use crate::telemetry;

/// The pause between two steps of the story.
const PACE: Duration = Duration::from_millis(1_200);

pub(super) async fn run(
    arguments: &DemoArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    telemetry::init_text(Some("warn"));
    let options = Options { port: arguments.port, pace: PACE };
    let started = demo::start(options, &host.moments).await;
    let (started, token, demo) = started.map_err(|error| CliError::new(error.to_string()))?;
    let stopped = stopped();
    out.write(
        || {
            let known = [
                ("Page", started.page.clone()),
                ("SCIM base URL", started.base_url.clone()),
                ("Secret token", token.reveal().to_owned()),
                ("DynamoDB", started.dynamodb_endpoint.clone()),
            ];
            let fields = fields(&known);
            format!(
                "{fields}\nOpen the page: the story begins then. What you change over SCIM shows as well.\nCtrl-C stops it.\n"
            )
        },
        || {
            json!({
                "page": started.page,
                "base_url": started.base_url,
                "dynamodb_endpoint": started.dynamodb_endpoint,
                "token": token.reveal(),
            })
        },
    )?;
    drop(token);
    demo.run(stopped).await;
    Ok(ExitCode::SUCCESS)
}
