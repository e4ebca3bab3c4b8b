//! The server on a developer's machine: the embedded DynamoDB-compatible engine in this process, a tenant or more with a
//! token each, and a loopback socket in front of the same `http::handle` that the Lambda runs.

mod direct;
mod engine;
mod in_process;
mod request_line;
mod serve;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

pub use direct::Direct;
pub use engine::{Engine, sdk_config};
pub use serve::Server;

use crate::admin;
use crate::admin::portal::SamlFirst;
use crate::auth::TokenSecret;
use crate::config::Config;
use crate::http::App;
use crate::limits::JOURNAL_KEPT_DAYS;
use crate::portal::{self, Portal};
use crate::saml::Allowed;
use crate::scim::catalog::Catalog;
use crate::store::{Store, Tables, TenantId};
use crate::system::Moments;

/// Life of the tokens that each start issues, in days.
const TOKEN_LIFE_DAYS: i64 = 7;
/// The label of these tokens.
const TOKEN_LABEL: &str = "serve";

/// What the server is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes any that is free.
    pub port: u16,
    /// An SQLite file that survives restarts; in memory without it.
    pub data: Option<PathBuf>,
    /// The tenants; those that are not there are created.
    pub tenants: Vec<TenantId>,
    /// Requests per second and tenant; no limit without it.
    pub rate: Option<u32>,
    /// How long a token that was looked up counts as known. Zero shows a revocation at once: on one's own machine a read
    /// costs next to nothing.
    pub token_cache: Duration,
    /// How the workspace settings are.
    pub pages: Pages,
    /// Schema files instead of those that were built in, each by its name and its text. All of them are switched on for
    /// the tenants.
    pub schemas: Option<Vec<(String, String)>>,
}

/// How the workspace settings are; by itself, as the template's parameters have them.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Where people reach the server; as the client used it without it, so that a tunnel that says who it is needs none.
    pub public_url: Option<String>,
    /// Hosts beside Microsoft's at which people may sign in.
    pub saml_hosts: Allowed,
    /// Whether SCIM can be switched on only when the sign-in is set up.
    pub saml_first: SamlFirst,
}

impl Default for Pages {
    fn default() -> Self {
        Self { public_url: None, saml_hosts: Allowed::default(), saml_first: SamlFirst::Required }
    }
}

impl Pages {
    /// What `look_up` (the environment, in the bin) says, as in a stack: `SAML_HOSTS` and `PORTAL_SAML`.
    ///
    /// # Errors
    /// A sentence, when one of them cannot be read.
    pub fn from_lookup(
        public_url: Option<String>,
        look_up: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let options = portal::Options::from_lookup(&config(public_url, None), look_up)?;
        let portal::Options { public_url, saml_hosts, saml_first, .. } = options;
        Ok(Self { public_url, saml_hosts, saml_first })
    }
}

/// What a person or a script needs to know of a server that has started.
pub struct Started {
    /// The SCIM root, without a trailing slash.
    pub base_url: String,
    /// Where the embedded DynamoDB listens.
    pub dynamodb_endpoint: String,
    /// A fresh token for each tenant.
    pub tenants: Vec<(TenantId, TokenSecret)>,
    /// What the Lambda binary, or the team's own app, needs in its environment to work on the same engine.
    pub environment: Vec<(String, String)>,
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// Why the server did not start: one line that says what to do.
#[derive(Debug)]
pub struct LocalError(String);

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LocalError {}

impl LocalError {
    /// A sentence that says what to do.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Starts the engine, creates what is missing, and binds the port.
///
/// # Errors
/// A port in use, a file that cannot be read or is of another format.
pub async fn start(options: Options) -> Result<(Started, Server), LocalError> {
    start_through(options, async |_engine| Ok(None)).await
}

/// As [`start`], over an engine that the server reaches through `through`: it is given the engine's address and says
/// another, or none when the server may call the engine without a socket.
///
/// # Errors
/// As [`start`], and what `through` says.
pub async fn start_through(
    options: Options,
    through: impl AsyncFnOnce(String) -> Result<Option<String>, LocalError>,
) -> Result<(Started, Server), LocalError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        LocalError::new(format!(
            "port {} cannot be opened ({error}); choose another with --port, or --port 0 for any that is free",
            options.port
        ))
    })?;
    let address = listener.local_addr().map_err(|error| LocalError::new(error.to_string()))?;
    let catalog = catalog(options.schemas.as_deref())?;
    let engine = Engine::start(options.data.as_deref()).await?;
    let sdk = match through(engine.endpoint().to_owned()).await? {
        Some(reached) => sdk_config(&reached),
        None => engine.sdk_config(),
    };
    let store = Store::connect(&sdk, Tables::local(), Arc::new(catalog));
    let moments = Moments::new().map_err(|error| LocalError::new(error.to_string()))?;
    store
        .create_tables()
        .await
        .map_err(|error| describe("the tables cannot be created", &error))?;
    let tenants = seed(&store, &moments, &options.tenants).await?;
    if options.schemas.is_some() {
        switch_on(&store, &moments, &options.tenants).await?;
    }
    // What `scimctl portal link` prints leads to this server.
    let reached = options.pages.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let said = store.set_public_url(&moments.unnamed(), &reached).await;
    said.map_err(|error| describe("the address cannot be written", &error))?;
    let config = Config {
        token_cache: options.token_cache,
        ..config(options.pages.public_url.clone(), options.rate)
    };
    let started = Started {
        base_url: format!("http://{address}{}", config.base_path),
        dynamodb_endpoint: engine.endpoint().to_owned(),
        tenants,
        environment: environment(&engine, &config, address),
    };
    let portal = Portal::new(store.clone(), pages(&config, options.pages));
    Ok((started, Server::new(listener, (App::new(store, config), portal), engine, moments)))
}

fn config(public_url: Option<String>, rate: Option<u32>) -> Config {
    Config {
        tables: Tables::local(),
        base_path: "/scim/v2".to_owned(),
        public_url,
        // Revoking a token shows at once: on one's own machine a read costs nothing.
        token_cache: Duration::ZERO,
        tenant_rate: rate.filter(|rate| *rate > 0),
        journal_days: JOURNAL_KEPT_DAYS,
    }
}

fn pages(config: &Config, pages: Pages) -> portal::Options {
    let Pages { public_url, saml_hosts, saml_first } = pages;
    let base_path = config.base_path.clone();
    portal::Options { public_url, base_path, saml_hosts, saml_first }
}

/// The store of a server that has started, straight to its engine.
///
/// # Errors
/// When the schemas cannot be read.
pub fn store_of(started: &Started) -> Result<Store, LocalError> {
    let catalog = Catalog::embedded().map_err(|error| LocalError::new(error.to_string()))?;
    let config = sdk_config(&started.dynamodb_endpoint);
    Ok(Store::connect(&config, Tables::local(), Arc::new(catalog)))
}

/// Tenants that are not there are created; each gets a fresh token, and loses the expired ones of earlier starts.
async fn seed(
    store: &Store,
    moments: &Moments,
    tenants: &[TenantId],
) -> Result<Vec<(TenantId, TokenSecret)>, LocalError> {
    let mut seeded = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        let moment = moments.unnamed();
        let failed = |error: admin::AdminError| LocalError::new(error.to_string());
        admin::tenants::ensure(store, &moment, tenant).await.map_err(failed)?;
        admin::tokens::make_room(store, &moment, tenant, TOKEN_LABEL).await.map_err(failed)?;
        let life = admin::tokens::Life::days(TOKEN_LIFE_DAYS);
        let issued = admin::tokens::issue(store, &moment, tenant, TOKEN_LABEL, life)
            .await
            .map_err(failed)?;
        seeded.push((tenant.clone(), issued.secret));
    }
    Ok(seeded)
}

/// The catalog with these files, or with those that were built in.
fn catalog(files: Option<&[(String, String)]>) -> Result<Catalog, LocalError> {
    let read = match files {
        None => Catalog::embedded(),
        Some(files) => {
            let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
            Catalog::embedded_with(&files.collect::<Vec<_>>())
        }
    };
    read.map_err(|error| LocalError::new(error.to_string()))
}

/// Gives these tenants every schema that there is.
async fn switch_on(
    store: &Store,
    moments: &Moments,
    tenants: &[TenantId],
) -> Result<(), LocalError> {
    let urns: Vec<String> = store.catalog().custom().urns().map(ToOwned::to_owned).collect();
    for tenant in tenants {
        let done = admin::tenants::set_schemas(store, &moments.unnamed(), tenant, &urns).await;
        done.map_err(|error| LocalError::new(error.to_string()))?;
    }
    Ok(())
}

/// The environment that the Lambda binary reads, for this engine.
fn environment(engine: &Engine, config: &Config, address: SocketAddr) -> Vec<(String, String)> {
    let tables = &config.tables;
    let public_url = format!("http://{address}");
    let pairs = [
        ("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint()),
        ("AWS_REGION", engine::REGION),
        // The one that the SDK for Python and the AWS CLI read.
        ("AWS_DEFAULT_REGION", engine::REGION),
        ("AWS_ACCESS_KEY_ID", engine::KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", engine::KEY_SECRET),
        ("DIRECTORY_TABLE", tables.directory.as_str()),
        ("SECRETS_TABLE", tables.secrets.as_str()),
        ("JOURNAL_TABLE", tables.journal.as_str()),
        ("BASE_PATH", config.base_path.as_str()),
        ("PUBLIC_URL", public_url.as_str()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// An error with its causes, on one line.
fn describe(what: &str, error: &(dyn std::error::Error + Send + Sync + 'static)) -> LocalError {
    LocalError::new(format!("{what}: {}", crate::telemetry::Chain(error)))
}
