//! The stage for proofs under faults and under every order of store calls: the whole service over the embedded engine, in
//! one thread, without sockets, clock or chance, so that a run can be repeated exactly.
//!
//! Each actor is a process of its own (an environment of the Lambda function): its caches, its SDK client, its wire. The
//! wire stands between SDK and engine; it lets calls through, spoils one of them, or holds each until the test says go.

mod contents;
mod fault;
mod judge;
mod wire;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_dynamodb::config::{
    AsyncSleep, BehaviorVersion, Credentials, Region, Sleep, StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use bytes::Bytes;
use dynoxide::Database;
use http::{HeaderMap, HeaderValue, Method, header};
use scim_endpoint::admin::tokens::Life;
use scim_endpoint::admin::{AdminError, brake, tenants, tokens};
use scim_endpoint::config::Config;
use scim_endpoint::http::{App as Service, Request, decode_path, handle};
use scim_endpoint::moment::{Clock, Moment, Timestamp};
use scim_endpoint::ops::jobs;
use scim_endpoint::scim::catalog::{Catalog, Kind};
use scim_endpoint::scim::discovery::GroupNames;
use scim_endpoint::scim::resource::ResourceId;
use scim_endpoint::store::brake::Decision;
use scim_endpoint::store::{Cx, Store, StoreError, Tables, TenantId};
use serde_json::{Value, json};

pub(crate) use contents::{Contents, told_since};
pub(crate) use fault::{FOR_EVER, Fault, Plan, When};
pub(crate) use judge::judge;
pub(crate) use wire::{Call, Footprint, Wire};

/// A resource type of the deployment's own, which the tenant has once it is switched on.
const DEVICES: [(&str, &str); 2] = [
    (
        "device.json",
        r#"{"id": "urn:x:device", "attributes": [{"name": "displayName", "required": true}, {"name": "site"}]}"#,
    ),
    ("type.json", r#"{"name": "Device", "endpoint": "/Devices", "schema": "urn:x:device"}"#),
];

/// The one tenant whose requests are made.
pub(crate) const TENANT: &str = "acme";

const BASE_PATH: &str = "/scim/v2";
/// Polls of a future that waits for nothing from outside; more means that it waits for what never comes.
const POLLS_MAX: usize = 100_000;
/// How often an app that links an account reads again.
const LINK_ATTEMPTS_MAX: usize = 20;

/// How much longer a pause is than the program thinks, so that its deadline comes after a handful of attempts.
const HASTE: u64 = 8;

/// A clock that only the program's own pauses and its store calls move.
#[derive(Debug, Default)]
pub(crate) struct HandClock(AtomicU64);

impl HandClock {
    /// Puts it to so long after the beginning.
    pub(crate) fn set(&self, since_the_beginning: Duration) {
        let micros = u64::try_from(since_the_beginning.as_micros()).unwrap();
        self.0.store(micros, Ordering::SeqCst);
    }

    /// How far it is.
    pub(crate) fn passed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn tick(&self) {
        self.0.fetch_add(1_000, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-11-21T08:00:00Z").unwrap().plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.passed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let micros = u64::try_from(duration.as_micros()).unwrap();
        self.0.fetch_add(micros.max(1) * HASTE, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

/// How far it is ahead: longer than nothing is heard of a job that goes on.
const AHEAD: Duration = Duration::from_mins(10);

/// A clock that is ahead of the others.
#[derive(Debug)]
struct FastClock(Arc<HandClock>);

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        self.0.now().plus(AHEAD)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.sleep(duration)
    }
}

/// The SDK's pauses between its attempts take no time; its time limits never come.
#[derive(Debug)]
struct NoPause;

impl AsyncSleep for NoPause {
    fn sleep(&self, duration: Duration) -> Sleep {
        if duration < Duration::from_secs(4) {
            Sleep::new(std::future::ready(()))
        } else {
            Sleep::new(std::future::pending())
        }
    }
}

/// What somebody does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A request of the identity provider's.
    Http {
        /// Its method.
        method: &'static str,
        /// Path and query below the base path.
        target: String,
        /// Null for none.
        body: Value,
    },
    /// The app notes its own account's id for a person.
    Link {
        /// The person's id.
        id: String,
        /// The account.
        app_id: &'static str,
    },
    /// The operator creates a tenant.
    CreateTenant(&'static str),
    /// The operator switches the tenant off.
    Disable,
    /// The operator issues a token.
    Issue(&'static str),
    /// The operator revokes the token of that id.
    Revoke(String),
    /// The operator releases or rejects what the brake holds back, of everybody or of the person of that id.
    Settle(Decision, Option<String>),
    /// The scheduled job runs.
    Job,
    /// It runs by a clock that is so far ahead that everything that was begun counts as given up.
    LateJob,
}

impl Act {
    /// A request.
    pub(crate) fn http(method: &'static str, target: impl Into<String>, body: Value) -> Self {
        Self::Http { method, target: target.into(), body }
    }

    /// Whether it changes nothing but the notes about itself.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Self::Http { method: "GET", .. })
    }
}

/// What came of it. For those who do not speak HTTP the status is what it would be there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

impl Told {
    fn plain(status: u16) -> Self {
        Self { status, retry_after: None, body: Value::Null }
    }

    /// The `id` in the body.
    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id: {self:?}")).to_owned()
    }
}

/// How a stage is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) actors: usize,
    /// The SDK's attempts: one, so that every fault reaches us, or three as deployed.
    pub(crate) sdk_attempts: u32,
    pub(crate) token_cache: Duration,
}

/// A process of the endpoint's.
pub(crate) struct Actor {
    service: Service,
    pub(crate) wire: Wire,
}

/// The stage.
pub(crate) struct Stage {
    database: Database,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) actors: Vec<Actor>,
    pub(crate) tables: Tables,
    pub(crate) tenant: TenantId,
    token: String,
    rounds: AtomicU64,
    engine: wire::Engine,
    base: Mutex<Contents>,
}

impl Stage {
    /// Empty tables with one tenant and a token.
    pub(crate) fn new(setup: Setup) -> Self {
        static STAGES: AtomicU64 = AtomicU64::new(0);
        let number = STAGES.fetch_add(1, Ordering::SeqCst);
        let database = Database::memory().expect("the engine starts");
        let catalog = Catalog::embedded_with(&DEVICES).expect("the schemas are read");
        let catalog = Arc::new(catalog);
        let tables = Tables::local();
        let clock = Arc::<HandClock>::default();
        let engine = wire::Engine::new(database.clone(), Arc::clone(&clock));
        let actor = |index| {
            let wire = Wire::new(engine.clone());
            let partition = format!("stage {number}, actor {index}");
            let client = client(&wire, setup.sdk_attempts, partition);
            let store = Store::new(client, tables.clone(), Arc::clone(&catalog));
            Actor { service: Service::new(store, config(&tables, setup.token_cache)), wire }
        };
        let mut stage = Self {
            database,
            clock,
            actors: (0..setup.actors).map(actor).collect(),
            tables: tables.clone(),
            tenant: TenantId::parse(TENANT).unwrap(),
            token: String::new(),
            rounds: AtomicU64::new(1 << 32),
            engine,
            base: Mutex::default(),
        };
        let (moment, tenant) = (stage.moment(0), stage.tenant.clone());
        now(stage.store().create_tables()).expect("the tables are created");
        now(tenants::create(stage.store(), &moment, &tenant, &usual())).expect("a tenant");
        let issued = now(tokens::issue(stage.store(), &moment, &tenant, "test", Life::days(9)));
        issued.expect("a token").secret.reveal().clone_into(&mut stage.token);
        stage
    }

    /// The first actor's store.
    pub(crate) fn store(&self) -> &Store {
        self.actors[0].service.store()
    }

    /// New processes in the place of the old ones: what they remembered is gone.
    pub(crate) fn recycle(&mut self) {
        for actor in &mut self.actors {
            let (store, config) = (actor.service.store().clone(), actor.service.config().clone());
            actor.service = Service::new(store, config);
        }
    }

    /// New processes that have answered one request each: they have noted that somebody calls, and do not soon again.
    pub(crate) fn refresh(&mut self) {
        self.recycle();
        let (method, target) = ("GET", "/ServiceProviderConfig".to_owned());
        let act = Act::Http { method, target, body: Value::Null };
        for actor in 0..self.actors.len() {
            self.act(actor, &act);
        }
    }

    /// A moment with that chance; zero for one that was never used before.
    pub(crate) fn moment(&self, seed: u64) -> Moment {
        self.moment_by(Arc::<HandClock>::clone(&self.clock), seed)
    }

    fn moment_by(&self, clock: Arc<dyn Clock>, seed: u64) -> Moment {
        let number = if seed == 0 { self.rounds.fetch_add(1, Ordering::SeqCst) } else { seed };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Moment::new(clock, bytes, format!("request-{number}"))
    }

    /// Does something by an actor, every store call going through (or as the actor's wire is told).
    pub(crate) fn act(&self, actor: usize, act: &Act) -> Told {
        now(self.acting(actor, act, 0))
    }

    /// Does something by an actor.
    pub(crate) fn acting<'a>(
        &'a self,
        actor: usize,
        act: &'a Act,
        seed: u64,
    ) -> Pin<Box<dyn Future<Output = Told> + 'a>> {
        let service = &self.actors[actor].service;
        let moment = if matches!(act, Act::LateJob) {
            self.moment_by(Arc::new(FastClock(Arc::clone(&self.clock))), seed)
        } else {
            self.moment(seed)
        };
        let tenant = &self.tenant;
        Box::pin(async move {
            let store = service.store();
            match act {
                Act::Http { method, target, body } => {
                    self.request(service, moment, (method, target, body)).await
                }
                Act::Link { id, app_id } => link(store, &moment, tenant, (id, app_id)).await,
                Act::CreateTenant(name) => {
                    let tenant = TenantId::parse(name).unwrap();
                    of_admin(tenants::create(store, &moment, &tenant, &usual()).await)
                }
                Act::Disable => of_admin(tenants::disable(store, &moment, tenant).await),
                Act::Issue(label) => {
                    of_admin(tokens::issue(store, &moment, tenant, label, Life::days(9)).await)
                }
                Act::Revoke(id) => of_admin(tokens::revoke(store, &moment, tenant, id).await),
                Act::Settle(decision, whom) => {
                    let whom = whom.as_deref().and_then(ResourceId::parse);
                    // Each of its steps has a moment of its own.
                    let (moments, by) = (|| self.moment(0), (tenant, "test"));
                    let settled =
                        brake::settle(store, &moments, by, (*decision, whom), &mut |_| {}).await;
                    of_admin(settled)
                }
                Act::Job | Act::LateJob => match jobs::run(store, &moment).await {
                    Ok(summary) if summary.failed == 0 => Told::plain(200),
                    Ok(_) => Told::plain(503),
                    Err(error) => of_store(&error),
                },
            }
        })
    }

    async fn request(
        &self,
        service: &Service,
        moment: Moment,
        (method, target, body): (&str, &str, &Value),
    ) -> Told {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.token)).unwrap();
        headers.insert(header::AUTHORIZATION, bearer);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            path: decode_path(&format!("{BASE_PATH}{path}")),
            query: query.to_owned(),
            headers,
            body: Bytes::from(body),
            origin: None,
        };
        let response = handle(service, request, moment).await;
        let retry_after = response.headers().get(header::RETRY_AFTER);
        Told {
            status: response.status().as_u16(),
            retry_after: retry_after.map(|value| value.to_str().unwrap().to_owned()),
            body: serde_json::from_slice(response.body()).unwrap_or(Value::Null),
        }
    }

    /// Creates a user and returns its id.
    pub(crate) fn user(&self, name: &str) -> String {
        let body = json!({"userName": name, "displayName": name,
            "emails": [{"type": "work", "value": name}]});
        self.created("/Users", body)
    }

    /// Creates a group and returns its id.
    pub(crate) fn group(&self, name: &str, members: &[String]) -> String {
        let body = json!({"displayName": name, "members": crate::races::entries(members)});
        self.created("/Groups", body)
    }

    /// Switches the deployment's own resource type on.
    pub(crate) fn with_devices(&self) {
        let urns = ["urn:x:device".to_owned()];
        let moment = self.moment(0);
        let done = tenants::set_schemas(self.store(), &moment, &self.tenant, &urns);
        now(done).expect("it is switched on");
    }

    /// Creates a resource of that type and returns its id.
    pub(crate) fn device(&self, name: &str) -> String {
        self.created("/Devices", json!({"displayName": name, "externalId": name}))
    }

    fn created(&self, target: &str, body: Value) -> String {
        // Ids are in order of time, and two of one millisecond are not.
        self.pause(Duration::from_millis(1));
        let told = self.act(0, &Act::http("POST", target, body));
        assert_eq!(told.status, 201, "{told:?}");
        told.id()
    }

    /// The ids of the tenant's tokens.
    pub(crate) fn token_ids(&self) -> Vec<String> {
        let listed = now(tokens::list(self.store(), &self.moment(0), &self.tenant));
        listed.expect("the tokens are read").into_iter().map(|token| token.info.id).collect()
    }

    /// Lets the scheduled job run when everything that was begun counts as given up.
    pub(crate) fn finish(&self) -> Told {
        self.pause(Duration::from_mins(1));
        self.act(0, &Act::Job)
    }

    /// Lets time pass.
    pub(crate) fn pause(&self, duration: Duration) {
        now(self.clock.sleep(duration));
    }
}

fn usual() -> tenants::Choice {
    tenants::Choice {
        match_attributes: Vec::new(),
        group_names: GroupNames::Unique,
        is_rehearsal: false,
    }
}

fn config(tables: &Tables, token_cache: Duration) -> Config {
    Config {
        tables: tables.clone(),
        base_path: BASE_PATH.to_owned(),
        public_url: Some("https://scim.example.test".to_owned()),
        token_cache,
        tenant_rate: None,
        journal_days: scim_endpoint::limits::JOURNAL_KEPT_DAYS,
    }
}

fn client(wire: &Wire, attempts: u32, partition: String) -> aws_sdk_dynamodb::Client {
    let retries = RetryConfig::standard().with_max_attempts(attempts);
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url("http://engine.test")
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("stage", "stage", None, None, "stage"))
        .http_client(wire.client())
        .sleep_impl(NoPause)
        .retry_config(retries)
        .retry_partition(RetryPartition::new(partition))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .allow_no_auth()
        .auth_scheme_preference([AuthSchemeId::from("noAuth")]);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// As the app does it: reads the person, notes the account, and again while somebody else was faster.
async fn link(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    (id, app_id): (&str, &str),
) -> Told {
    let id = ResourceId::parse(id).expect("an id");
    for _ in 0..LINK_ATTEMPTS_MAX {
        let settings = match store.settings(moment, tenant).await {
            Ok(found) => found.expect("there is such a tenant").0,
            Err(error) => return of_store(&error),
        };
        let cx = Cx { tenant, settings: &settings, actor: "app", moment };
        let before = match store.get(&cx, Kind::User, id).await {
            Ok(Some(before)) => before,
            Ok(None) => return Told::plain(404),
            Err(error) => return of_store(&error),
        };
        match store.link(&cx, &before, Some(app_id.to_owned())).await {
            Ok(_) => return Told::plain(200),
            Err(StoreError::Stale) => moment.sleep(Duration::from_millis(10)).await,
            Err(error) => return of_store(&error),
        }
    }
    Told::plain(503)
}

fn of_store(error: &StoreError) -> Told {
    Told::plain(match error {
        StoreError::Stale
        | StoreError::StaleMidway
        | StoreError::Throttled
        | StoreError::Unavailable(_) => 503,
        StoreError::Corrupt(_) | StoreError::Backend(_) => 500,
        StoreError::Taken(_) => 409,
        StoreError::TooLarge | StoreError::Refused(_) => 400,
    })
}

fn of_admin<T>(done: Result<T, AdminError>) -> Told {
    match done {
        Ok(_) => Told::plain(200),
        Err(AdminError::Store(error)) => of_store(&error),
        Err(AdminError::Busy(_)) => Told::plain(503),
        Err(AdminError::TenantExists(_)) => Told::plain(409),
        Err(_) => Told::plain(400),
    }
}

/// The result of a future that waits for nothing from outside.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
            return done;
        }
    }
    panic!("it waits for something that never comes");
}
