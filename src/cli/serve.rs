//! `scimctl serve`: the endpoint on this machine, and what a person needs next.

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::Host;
use super::args::ServeArguments;
use super::output::{CliError, Output, fields};
use super::schema;
use super::site::tenant_url;
use crate::local::{self, Options, Pages, Started};
use crate::store::Tables;
use crate::telemetry;

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
}

pub(super) async fn run(
    arguments: ServeArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let ServeArguments { port, data, tenants, public_url, rate, token_cache, log, schemas } =
        arguments;
    if let Some(level) = level(log, host) {
        telemetry::init_text(Some(&level));
    }
    let mut unique = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        if !unique.contains(&tenant) {
            unique.push(tenant);
        }
    }
    let look_up = |name: &str| host.variable(name);
    let pages = Pages::from_lookup(public_url, look_up).map_err(CliError::new)?;
    let token_cache = Duration::from_secs(token_cache);
    let schemas = schemas.or_else(|| schema::folder(host)).map(|folder| schema::files(&[folder]));
    let schemas = schemas.transpose()?;
    let options = Options { port, data, tenants: unique, rate, token_cache, pages, schemas };
    let started = local::start(options).await;
    let (started, server) = started.map_err(|error| CliError::new(error.to_string()))?;
    let stopped = stopped();
    out.write(|| text(&started, &host.program()), || json(&started))?;
    // Its tokens are shown; from here on nobody needs them.
    drop(started);
    server.run(stopped).await;
    Ok(ExitCode::SUCCESS)
}

/// Only levels: what else `RUST_LOG` can say is for programs with more than one log.
fn level(log: Option<LogLevel>, host: &Host) -> Option<String> {
    let said = match log {
        Some(LogLevel::Off) => return None,
        Some(LogLevel::Error) => "error",
        Some(LogLevel::Warn) => "warn",
        Some(LogLevel::Info) => "info",
        Some(LogLevel::Debug) => "debug",
        None => {
            let levels = ["error", "warn", "info", "debug", "trace"];
            let said = host.variable("RUST_LOG").map(|text| text.trim().to_ascii_lowercase());
            return Some(
                said.filter(|said| levels.contains(&said.as_str()))
                    .unwrap_or_else(|| "warn".to_owned()),
            );
        }
    };
    Some(said.to_owned())
}

/// Ctrl-C, or the signal with which service managers stop a process. They are listened for from this call on, so that it
/// belongs before the line that tells a script to go ahead.
#[cfg(unix)]
pub(super) fn stopped() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            return drop(tokio::signal::ctrl_c().await);
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
pub(super) async fn stopped() {
    drop(tokio::signal::ctrl_c().await);
}

fn json(started: &Started) -> Value {
    let tenants = started.tenants.iter();
    let tenants = tenants
        .map(|(tenant, token)| json!({ "tenant": tenant.as_str(), "token": token.reveal() }));
    let environment = started.environment.iter();
    let environment = environment.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    json!({
        "base_url": started.base_url,
        "dynamodb_endpoint": started.dynamodb_endpoint,
        "tenants": tenants.collect::<Vec<_>>(),
        "environment": environment.collect::<serde_json::Map<_, _>>(),
    })
}

fn text(started: &Started, program: &str) -> String {
    let Started { base_url, dynamodb_endpoint, tenants, .. } = started;
    let mut known = vec![
        ("SCIM base URL", base_url.clone()),
        ("Tenant URL", format!("{}  (for Entra)", tenant_url(base_url))),
    ];
    for (tenant, token) in tenants {
        known.push(("Secret token", format!("{}  (tenant {tenant}, for 7 days)", token.reveal())));
    }
    known.push(("DynamoDB", dynamodb_endpoint.clone()));
    let token = tenants.first().map(|(_, token)| token.reveal()).unwrap_or_default();
    let tenant = tenants.first().map_or("NAME", |(tenant, _)| tenant.as_str());
    let directory = Tables::local().directory;
    let key = "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local";
    format!(
        "{}\n\
         Try it:\n  curl -sS -H \"Authorization: Bearer {token}\" \"{base_url}/Users\"\n\
         Look inside:\n  {key} aws dynamodb scan --region us-east-1 --table-name {directory} --endpoint-url {dynamodb_endpoint}\n\
         Tenants and tokens:\n  {program} tenant list --endpoint-url {dynamodb_endpoint}\n\
         Workspace settings, as a customer's admin sees them:\n  {program} portal link {tenant} --endpoint-url {dynamodb_endpoint}\n\
         \n\
         Ctrl-C stops it.\n",
        fields(&known),
    )
}
