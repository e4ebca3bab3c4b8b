//! The harness: an in-process app over a fresh store with two tenants, and one way to send a request.
//!
//! The store is the embedded engine, or, when `DYNAMODB_ENDPOINT` names one, another DynamoDB-compatible engine, in
//! tables of the test's own.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use scim_endpoint::admin::tokens::{self, Issued, Life};
use scim_endpoint::auth::TokenSecret;
use scim_endpoint::config::Config;
use scim_endpoint::http::{App as Service, Request, decode_path, handle};
use scim_endpoint::limits::JOURNAL_KEPT_DAYS;
use scim_endpoint::local::Engine;
use scim_endpoint::moment::{Clock, Moment, Timestamp};
use scim_endpoint::scim::catalog::Catalog;
use scim_endpoint::store::scopes::Scopes;
use scim_endpoint::store::tokens::NewToken;
use scim_endpoint::store::{Cx, Patience, Settings, Store, Tables, TenantId};
use scim_endpoint::system::SystemClock;
use serde_json::Value;

const ORIGIN: &str = "https://scim.example.test";
const BASE_PATH: &str = "/scim/v2";

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when there is none.
    pub(crate) fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).expect("a body is JSON")
    }

    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The `id` of the resource in the body.
    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {self:?}")).to_owned()
    }

    /// The answer, once it has that status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// The machine's clock, which a test can put forward.
#[derive(Debug, Default)]
pub(crate) struct TestClock {
    real: SystemClock,
    ahead_ms: AtomicU64,
}

impl TestClock {
    /// Puts the clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap();
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.real.now().plus(self.ahead())
    }

    fn monotonic(&self) -> Duration {
        // At a tenth of its pace: a busy machine must not use up a request's deadline.
        self.real.monotonic() / 10 + self.ahead()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.real.sleep(duration)
    }
}

/// The service over a store of its own.
pub(crate) struct App {
    service: Service,
    /// Runs as long as the test does.
    _engine: Option<Engine>,
    endpoint: String,
    tenants: Vec<(TenantId, TokenSecret)>,
    clock: Arc<TestClock>,
    seed: AtomicU64,
}

impl App {
    /// Over a fresh, empty store with two tenants.
    pub(crate) async fn start() -> Self {
        Self::start_with(|config| config).await
    }

    /// As [`App::start`], with another configuration.
    pub(crate) async fn start_with(change: impl FnOnce(Config) -> Config) -> Self {
        Self::start_through(std::future::ready, change).await
    }

    /// As [`App::start`], of a deployment with other schemas.
    pub(crate) async fn start_with_catalog(catalog: Arc<Catalog>) -> Self {
        let mut app = Self::start().await;
        let store = app.service.store().clone().with_catalog(catalog);
        app.service = Service::new(store, app.service.config().clone());
        app
    }

    /// As [`App::start_with`], over a store that is reached through `through` (a proxy, made from the endpoint).
    pub(crate) async fn start_through<F: Future<Output = String>>(
        through: impl FnOnce(String) -> F,
        change: impl FnOnce(Config) -> Config,
    ) -> Self {
        let named = std::env::var("DYNAMODB_ENDPOINT").ok().filter(|named| !named.is_empty());
        let (engine, endpoint) = if let Some(endpoint) = named {
            (None, endpoint)
        } else {
            let engine = Engine::start(None).await.expect("the embedded engine starts");
            let endpoint = engine.endpoint().to_owned();
            (Some(engine), endpoint)
        };
        let reached = through(endpoint.clone()).await;
        let tables = match &engine {
            Some(_) => Tables::local(),
            None => own_tables(),
        };
        let mut app = Self::over((engine, endpoint), &reached, tables, change).await;
        for name in ["acme", "globex"] {
            let tenant = TenantId::parse(name).unwrap();
            let token = app.create_tenant(&tenant, &Settings::default()).await;
            app.tenants.push((tenant, token));
        }
        app
    }

    /// Over a data file of the local server's, with a fresh token for each of these tenants of it.
    pub(crate) async fn open(data: &Path, names: &[&str]) -> Self {
        let engine = Engine::start(Some(data)).await.expect("the file is read");
        let endpoint = engine.endpoint().to_owned();
        let place = (Some(engine), endpoint.clone());
        let mut app = Self::over(place, &endpoint, Tables::local(), |config| config).await;
        for name in names {
            let tenant = TenantId::parse(name).unwrap();
            let token = app.issue(&tenant).await.secret;
            app.tenants.push((tenant, token));
        }
        app
    }

    /// Another process with the same clock over these tables of the same engine; those that are not there are created.
    /// It has no tokens of its own.
    pub(crate) async fn beside(
        &self,
        tables: Tables,
        change: impl FnOnce(Config) -> Config,
    ) -> Self {
        let place = (None, self.endpoint.clone());
        let mut app = Self::over(place, &self.endpoint, tables, change).await;
        app.clock = Arc::clone(&self.clock);
        // Its moments must not be those of the first.
        app.seed = AtomicU64::new(1 << 32);
        app
    }

    async fn over(
        (engine, endpoint): (Option<Engine>, String),
        reached: &str,
        tables: Tables,
        change: impl FnOnce(Config) -> Config,
    ) -> Self {
        let clock = Arc::new(TestClock::default());
        let config = change(Config {
            tables: tables.clone(),
            base_path: BASE_PATH.to_owned(),
            public_url: Some(ORIGIN.to_owned()),
            token_cache: Duration::ZERO,
            tenant_rate: None,
            journal_days: JOURNAL_KEPT_DAYS,
        });
        let catalog = Arc::new(Catalog::embedded().expect("the schemas are read"));
        let sdk = scim_endpoint::local::sdk_config(reached);
        // The machine may be busy with other tests: what is tested is what happens, not how fast.
        let minute = Duration::from_mins(1);
        let patience = Patience { connect: minute, attempt: minute, operation: minute };
        let store = Store::connect_with(&sdk, tables, catalog, patience)
            .with_journal_days(config.journal_days);
        store.create_tables().await.expect("the tables are created");
        Self {
            service: Service::new(store, config),
            _engine: engine,
            endpoint,
            tenants: Vec::new(),
            clock,
            seed: AtomicU64::new(1),
        }
    }

    /// A token as `scimctl token issue` makes it.
    pub(crate) async fn issue(&self, tenant: &TenantId) -> Issued {
        let (moment, life) = (self.moment(), Life::days(7));
        let issued = tokens::issue(self.store(), &moment, tenant, "test", life).await;
        issued.expect("a token is issued")
    }

    /// Another tenant, and a token for it.
    pub(crate) async fn create_tenant(
        &self,
        tenant: &TenantId,
        settings: &Settings,
    ) -> TokenSecret {
        let moment = self.moment();
        let cx = Cx { tenant, settings, actor: "test", moment: &moment };
        self.store().create_tenant(&cx).await.expect("a tenant is created");
        let secret = TokenSecret::mint(&moment);
        let new = NewToken {
            id: moment.mint_uuid().to_string(),
            label: "test".to_owned(),
            valid_until: moment.now().plus_seconds(3_600 * 24),
            scopes: Scopes::All,
            tail: secret.tail().to_owned(),
            digest: secret.digest(),
        };
        self.store().issue(&cx, &new, None).await.expect("a token is issued");
        secret
    }

    pub(crate) fn base_url(&self) -> String {
        let origin = self.service.config().public_url.as_deref();
        format!("{}{BASE_PATH}", origin.unwrap_or_default())
    }

    pub(crate) fn token(&self) -> String {
        self.tenants[0].1.reveal().to_owned()
    }

    pub(crate) fn other_token(&self) -> String {
        self.tenants[1].1.reveal().to_owned()
    }

    pub(crate) fn tenant(&self) -> TenantId {
        self.tenants[0].0.clone()
    }

    pub(crate) fn store(&self) -> &Store {
        self.service.store()
    }

    pub(crate) fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// Where the engine listens.
    pub(crate) fn dynamodb_endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// What the Lambda binary needs in its environment to work on this store.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let config = self.service.config();
        let pairs = [
            ("AWS_ENDPOINT_URL_DYNAMODB", self.endpoint.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("DIRECTORY_TABLE", config.tables.directory.as_str()),
            ("SECRETS_TABLE", config.tables.secrets.as_str()),
            ("JOURNAL_TABLE", config.tables.journal.as_str()),
            ("BASE_PATH", config.base_path.as_str()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// A moment as a request has it, from a seed of its own.
    pub(crate) fn moment(&self) -> Moment {
        let mut seed = [0; 32];
        let number = self.seed.fetch_add(1, Ordering::SeqCst);
        // Engines that outlive the test must not see its tokens twice.
        let start = u64::from(std::process::id()) << 32
            | u64::from(self.clock.now().instant().nanosecond());
        seed[..8].copy_from_slice(&number.to_le_bytes());
        seed[8..16].copy_from_slice(&start.to_le_bytes());
        let clock: Arc<dyn Clock> = Arc::<TestClock>::clone(&self.clock);
        Moment::new(clock, seed, format!("test-{number}"))
    }

    /// Sends a request; `target` is the raw path and query below the base path.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let request = Request {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            path: decode_path(&format!("{BASE_PATH}{path}")),
            query: query.to_owned(),
            headers: map,
            body: Bytes::copy_from_slice(body),
            origin: None,
        };
        let response = handle(&self.service, request, self.moment()).await;
        let headers = response.headers().iter();
        let headers = headers.map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned()));
        Answer {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: response.body().to_vec(),
        }
    }

    /// Sends a request of the first tenant's, with a JSON body unless it is null.
    pub(crate) async fn call(&self, method: &str, target: &str, body: Value) -> Answer {
        self.call_as(&self.token(), method, target, body).await
    }

    /// Sends a request with that token.
    pub(crate) async fn call_as(
        &self,
        token: &str,
        method: &str,
        target: &str,
        body: Value,
    ) -> Answer {
        let mut headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        if !body.is_empty() {
            let json = "application/scim+json; charset=utf-8";
            headers.push(("Content-Type".to_owned(), json.to_owned()));
        }
        self.send(method, target, &headers, &body).await
    }
}

/// Tables that no other test has, on an engine that several tests share.
fn own_tables() -> Tables {
    let unique = uuid::Uuid::now_v7().simple().to_string();
    Tables {
        directory: format!("directory-{unique}"),
        secrets: format!("secrets-{unique}"),
        journal: format!("journal-{unique}"),
    }
}
