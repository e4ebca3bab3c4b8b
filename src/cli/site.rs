//! Where a command works: the local server's engine, a deployed stack, or tables by name.

use std::net::IpAddr;
use std::time::Duration;

use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_cloudformation::types::Stack;
use http::Uri;

use super::Host;
use super::args::Place;
use super::output::CliError;
use super::probe::{self, Found};
use super::schema;
use crate::config::journal_days;
use crate::limits::{CLOCK_ERROR_MAX, FUNCTION_TIME_LIMIT, TOKEN_CACHE_SECONDS_MAX};
use crate::local;
use crate::scim::catalog::Catalog;
use crate::sdk;
use crate::store::{Store, StoreError, Tables};
use crate::telemetry::Chain;

/// The store, and what is known of the endpoint in front of it.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) store: Store,
    /// What is pasted into Entra, when it is known.
    pub(super) tenant_url: Option<String>,
    /// Where people reach the endpoint, when the stack or the environment says so.
    pub(super) public_url: Option<String>,
    /// How long a call may go on with a token that is gone.
    pub(super) settle: Duration,
    /// How this program is called.
    pub(super) program: String,
    /// The arguments that lead here again, each behind a space.
    pub(super) flags: String,
}

/// Opens what the arguments and the environment name.
///
/// # Errors
/// When they name nothing, or what they name cannot be read.
pub(super) async fn open(place: &Place, host: &Host) -> Result<Site, CliError> {
    let site = match (&place.stack, &place.endpoint_url) {
        (Some(stack), _) => open_stack(place, stack).await,
        (None, Some(endpoint)) => open_endpoint(place, host, endpoint).await,
        (None, None) => open_tables(place, host).await,
    }?;
    let site = match schema::catalog(host)? {
        None => site,
        Some(catalog) => Site { store: site.store.with_catalog(catalog.into()), ..site },
    };
    // A look at the registry, so that whoever is in the wrong place reads so, whatever the command is.
    match site.store.tenants(&host.moment(), None, 1).await {
        Ok(_) => Ok(Site { program: host.program(), flags: flags(place), ..site }),
        Err(error) => {
            let table = &site.store.tables().directory;
            let endpoint = endpoint(place, host);
            Err(CliError::new(unreachable(table, endpoint.as_deref(), &error).await))
        }
    }
}

/// As [`open`], for a command that writes the journal or reads it with its own time: what is written by a slow clock
/// stands behind the readers, who never come back.
///
/// # Errors
/// As [`open`], and when this machine's clock is not DynamoDB's.
pub(super) async fn open_on_time(place: &Place, host: &Host) -> Result<Site, CliError> {
    let site = open(place, host).await?;
    on_time(&site, host).await?;
    Ok(site)
}

/// Refuses a clock that is not DynamoDB's.
///
/// # Errors
/// Then, and when DynamoDB does not answer.
pub(super) async fn on_time(site: &Site, host: &Host) -> Result<(), CliError> {
    let wrong = site.store.clock_error(&host.moment()).await?;
    let Some(wrong) = wrong.filter(|wrong| wrong.by() > CLOCK_ERROR_MAX) else { return Ok(()) };
    Err(CliError::new(format!(
        "this machine's clock is {} s {} DynamoDB's, and readers of the changes would miss what is written with it; \
         synchronise it (NTP), then run the same command again",
        wrong.by().as_secs(),
        wrong.word(),
    )))
}

/// The address that was named, by an argument or a variable.
fn endpoint(place: &Place, host: &Host) -> Option<String> {
    let variable = || host.variable("AWS_ENDPOINT_URL_DYNAMODB");
    place.endpoint_url.clone().or_else(|| place.stack.is_none().then(variable).flatten())
}

/// Why the table cannot be read, and what to do about it.
async fn unreachable(table: &str, endpoint: Option<&str>, error: &StoreError) -> String {
    let told = Chain(error).to_string();
    let take = "take the address in the line DynamoDB that `scimctl serve` prints";
    let at = endpoint.map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
    let found = match endpoint {
        Some(endpoint) => probe::look(endpoint).await,
        None => Found::Unknown,
    };
    match found {
        Found::Scim => format!("that is the SCIM URL; {take}"),
        Found::Nothing => {
            format!(
                "nothing answers{at}; start `scimctl serve` and take the address in its line DynamoDB"
            )
        }
        Found::Other => format!("what answers{at} is not DynamoDB; {take}"),
        Found::DynamoDb | Found::Unknown if told.contains("ResourceNotFoundException") => {
            format!(
                "there is no table {table}{at}; name the tables with --directory-table, --secrets-table, --journal-table, or the stack with --stack"
            )
        }
        Found::DynamoDb | Found::Unknown => format!("the table {table} cannot be read{at}: {told}"),
    }
}

fn flags(place: &Place) -> String {
    let given = [
        ("endpoint-url", &place.endpoint_url),
        ("stack", &place.stack),
        ("region", &place.region),
        ("profile", &place.profile),
        ("directory-table", &place.directory_table),
        ("secrets-table", &place.secrets_table),
        ("journal-table", &place.journal_table),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    given.map(|(name, value)| format!(" --{name} {value}")).collect::<Vec<_>>().concat()
}

/// The flag that switches Entra to the protocol's own dialect.
const FLAG: &str = "aadOptscim062020";

/// The Tenant URL of a SCIM base URL. With the slash, what an identity provider appends after it stays a path.
pub(super) fn tenant_url(url: &str) -> String {
    if url.contains(FLAG) {
        return url.to_owned();
    }
    format!("{}/?{FLAG}", url.trim_end_matches('/'))
}

async fn open_endpoint(place: &Place, host: &Host, endpoint: &str) -> Result<Site, CliError> {
    if is_loopback(endpoint)? {
        let Tables { directory, secrets, journal } = Tables::local();
        // Only what is said on the command line: a variable may be meant for the deployed stack.
        let tables = Tables {
            directory: place.directory_table.clone().unwrap_or(directory),
            secrets: place.secrets_table.clone().unwrap_or(secrets),
            journal: place.journal_table.clone().unwrap_or(journal),
        };
        return site(&local::sdk_config(endpoint), tables, None, Duration::ZERO);
    }
    let tables = named_tables(place, host).ok_or_else(|| {
        CliError::new(format!(
            "{endpoint} is not on this machine: give --stack for a deployed endpoint, or name the tables with --directory-table, --secrets-table, --journal-table"
        ))
    })?;
    let config = sdk_config(place, |loader| loader.endpoint_url(endpoint)).await?;
    keeping(host.variable("JOURNAL_DAYS").as_deref(), site(&config, tables, None, settle())?)
}

async fn open_stack(place: &Place, stack: &str) -> Result<Site, CliError> {
    let config = sdk_config(place, |loader| loader).await?;
    let client = aws_sdk_cloudformation::Client::new(&config);
    let answer = client.describe_stacks().stack_name(stack).send().await.map_err(|error| {
        CliError::new(format!("the stack {stack} cannot be read: {}", Chain(&error)))
    })?;
    let outputs = answer.stacks().iter().flat_map(Stack::outputs);
    let outputs: Vec<(&str, &str)> =
        outputs.filter_map(|output| Some((output.output_key()?, output.output_value()?))).collect();
    let output = |name: &str| {
        let found = outputs.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let table = |name: &str| {
        output(name).ok_or_else(|| {
            CliError::new(format!(
                "the stack {stack} has no output {name}; is it the stack of this endpoint?"
            ))
        })
    };
    let tables = Tables {
        directory: table("DirectoryTable")?,
        secrets: table("SecretsTable")?,
        journal: table("JournalTable")?,
    };
    let site = site(&config, tables, output("TenantUrl"), settle())?;
    let site = Site { public_url: output("PublicUrl"), ..site };
    keeping(output("JournalDays").as_deref(), site)
}

async fn open_tables(place: &Place, host: &Host) -> Result<Site, CliError> {
    let tables = named_tables(place, host).ok_or_else(|| {
        CliError::new(
            "say where the tables are: --endpoint-url with the DynamoDB address that `scimctl serve` prints, or --stack \
             with the name of a deployed stack, or all of DIRECTORY_TABLE, SECRETS_TABLE and JOURNAL_TABLE (also as \
             --directory-table, --secrets-table, --journal-table)",
        )
    })?;
    let config = sdk_config(place, |loader| loader).await?;
    let public_url = host.variable("PUBLIC_URL");
    let base = public_url.clone().map(|url| {
        let path = host.variable("BASE_PATH").unwrap_or_else(|| "/scim/v2".to_owned());
        format!("{}{path}", url.trim_end_matches('/'))
    });
    let engine = host.variable("AWS_ENDPOINT_URL_DYNAMODB");
    let local = engine.is_some_and(|engine| is_loopback(&engine).unwrap_or(false));
    let settle = if local { Duration::ZERO } else { settle() };
    let site = site(&config, tables, base.as_deref().map(tenant_url), settle)?;
    let site = Site { public_url, ..site };
    keeping(host.variable("JOURNAL_DAYS").as_deref(), site)
}

/// The site, with items of the journal that live as long as those that the function writes.
fn keeping(days: Option<&str>, site: Site) -> Result<Site, CliError> {
    let days = journal_days(days).map_err(CliError::new)?;
    Ok(Site { store: site.store.with_journal_days(days), ..site })
}

/// The time for which tokens are remembered, and then the time limit of a call that began at its end.
fn settle() -> Duration {
    Duration::from_secs(TOKEN_CACHE_SECONDS_MAX) + FUNCTION_TIME_LIMIT
}

fn site(
    config: &SdkConfig,
    tables: Tables,
    tenant_url: Option<String>,
    settle: Duration,
) -> Result<Site, CliError> {
    let catalog = Catalog::embedded().map_err(|error| CliError::new(error.to_string()))?;
    let store = Store::connect(config, tables, catalog.into());
    let (program, flags) = (String::new(), String::new());
    Ok(Site { store, tenant_url, public_url: None, settle, program, flags })
}

fn named_tables(place: &Place, host: &Host) -> Option<Tables> {
    let name =
        |given: &Option<String>, variable: &str| given.clone().or_else(|| host.variable(variable));
    Some(Tables {
        directory: name(&place.directory_table, "DIRECTORY_TABLE")?,
        secrets: name(&place.secrets_table, "SECRETS_TABLE")?,
        journal: name(&place.journal_table, "JOURNAL_TABLE")?,
    })
}

/// Credentials and region as every AWS tool finds them.
async fn sdk_config(
    place: &Place,
    change: impl FnOnce(ConfigLoader) -> ConfigLoader,
) -> Result<SdkConfig, CliError> {
    let client = sdk::command_client().map_err(CliError::new)?;
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(client);
    if let Some(region) = &place.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &place.profile {
        loader = loader.profile_name(profile);
    }
    let config = change(loader).load().await;
    if config.region().is_none() {
        return Err(CliError::new("no AWS region is known; name one with --region or AWS_REGION"));
    }
    Ok(config)
}

/// Whether a URL leads to this machine.
fn is_loopback(url: &str) -> Result<bool, CliError> {
    let uri: Option<Uri> = url.parse().ok();
    let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let host = uri.as_ref().and_then(Uri::host).ok_or_else(|| {
        let shown = url.escape_debug();
        CliError::new(format!(
            "--endpoint-url: \"{shown}\" is no URL such as http://127.0.0.1:8000"
        ))
    })?;
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    Ok(host == "localhost" || address.is_some_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_this_machine() {
        for url in ["http://127.0.0.1:8000", "http://localhost:1/", "http://[::1]:8000"] {
            assert!(is_loopback(url).unwrap(), "{url}");
        }
        for url in ["https://dynamodb.eu-west-1.amazonaws.com", "http://127.0.0.1.example.com"] {
            assert!(!is_loopback(url).unwrap(), "{url}");
        }
        for url in ["", "127.0.0.1:8000", "ftp://127.0.0.1", "http://", "a b"] {
            assert!(is_loopback(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_tenant_url_has_the_flag_once() {
        let with = "https://scim.example.com/scim/v2/?aadOptscim062020";
        assert_eq!(tenant_url("https://scim.example.com/scim/v2"), with);
        assert_eq!(tenant_url("https://scim.example.com/scim/v2/"), with);
        assert_eq!(tenant_url(with), with);
    }
}
