//! A soak: one tenant's sync as Entra sends it, through the Lambda binary, over a store that takes 10 ms for each call.
//!
//! Environments are used as Lambda uses them, one request at a time, and recycled. In a run of all tests it takes seconds
//! and does not look at the clock. `SOAK_SECONDS=3600 cargo test --test it lambda::soak -- --nocapture` paces it at 25
//! requests a second and prints what happens, minute by minute; `SOAK_RECYCLE` says after how many events an environment
//! ends (200), and `SCIM_BOOTSTRAP` which binary runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::runtime_api::Function;
use super::{GROUP, PATCH, USER, asking, event};
use crate::app::App;
use crate::proxy::{Conflicts, Proxy};
use crate::races::members_of;
use crate::whole::{assert_whole, partition};

/// How long each call to the store takes at least.
const STORE_LATENCY: Duration = Duration::from_millis(10);
/// Between two requests, when they are paced: 25 a second, which Entra may send.
const PACE: Duration = Duration::from_millis(40);
/// Requests under way at once, when they are paced: Entra has about five.
const LANES_PACED: u64 = 5;
/// When they are not paced.
const LANES: u64 = 2;
/// Requests when they are not paced: so many that three environments are recycled, however requests fall to them.
const REQUESTS: u64 = 800;
/// Events of an environment.
const RECYCLED_AFTER: u32 = 200;
/// Its memory is looked at after so many: what is allocated once is there by then.
const SETTLED_AFTER: u32 = 50;
/// Kilobytes by which it may grow from then on.
const GROWTH_KB_MAX: u64 = 8 * 1024;
/// Groups whose members change all the time.
const GROUPS: u64 = 5;
/// Of so many people one is deleted in the end.
const DELETED_EVERY: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_load_on_recycled_environments_is_answered() {
    let soak = Arc::new(Soak::start().await);
    let lanes = (0..soak.plan.lanes).map(|lane| tokio::spawn(Arc::clone(&soak).lane(lane)));
    let lanes: Vec<_> = lanes.collect();
    let teller = tokio::spawn(Arc::clone(&soak).tell());
    for lane in lanes {
        lane.await.expect("the lane's assertions hold");
    }
    teller.abort();
    eprintln!("{}", soak.said());
    drop(teller.await);
    Arc::into_inner(soak).expect("nobody else has it").end().await;
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Of a paced run.
    seconds: Option<u64>,
    lanes: u64,
    requests: u64,
    recycled_after: u32,
}

impl Plan {
    fn from_environment() -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
        };
        let recycled = number("SOAK_RECYCLE").and_then(|events| u32::try_from(events).ok());
        let recycled_after = recycled.unwrap_or(RECYCLED_AFTER);
        match number("SOAK_SECONDS") {
            None => Self { seconds: None, lanes: LANES, requests: REQUESTS, recycled_after },
            Some(seconds) => {
                let requests = seconds * 1_000 / u64::try_from(PACE.as_millis()).unwrap();
                Self { seconds: Some(seconds), lanes: LANES_PACED, requests, recycled_after }
            }
        }
    }
}

/// An environment, and how much it has done.
struct Environment {
    function: Function,
    events: u32,
    settled_kb: Option<u64>,
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Told {
    statuses: BTreeMap<u64, u64>,
    started: u64,
    recycled: u64,
    /// Kilobytes of environments after the first events and at their ends, the least and the most.
    settled_kb: Option<(u64, u64)>,
    ended_kb: Option<(u64, u64)>,
    /// Milliseconds that each request took.
    took_ms: Vec<u128>,
    created: u64,
    deleted: u64,
}

/// A running soak.
struct Soak {
    plan: Plan,
    app: App,
    proxy: Proxy,
    environment: Vec<(String, String)>,
    event: Value,
    idle: Mutex<Vec<Environment>>,
    began: Instant,
    next: AtomicU64,
    told: Mutex<Told>,
    groups: Vec<String>,
    members: Mutex<BTreeMap<String, usize>>,
}

impl Soak {
    async fn start() -> Self {
        let app = App::start().await;
        let (proxy, url) = Proxy::start(&app.dynamodb_endpoint(), Conflicts::AsOnDynamoDb).await;
        proxy.slow_down(STORE_LATENCY);
        let mut environment = app.environment();
        environment.retain(|(name, _)| name != "AWS_ENDPOINT_URL_DYNAMODB");
        environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), url));
        let mut groups = Vec::new();
        for number in 0..GROUPS {
            let body = json!({"schemas": [GROUP], "displayName": format!("Team {number}")});
            groups.push(app.call("POST", "/Groups", body).await.expect(201).id());
        }
        let event = serde_json::from_str(&event("http-api-get", &app)).expect("JSON");
        Self {
            plan: Plan::from_environment(),
            app,
            event,
            proxy,
            environment,
            idle: Mutex::default(),
            began: Instant::now(),
            next: AtomicU64::new(0),
            told: Mutex::default(),
            groups,
            members: Mutex::default(),
        }
    }

    /// People one after the other, until there are no requests left.
    async fn lane(self: Arc<Self>, lane: u64) {
        for person in 0.. {
            if self.life(person * self.plan.lanes + lane).await.is_none() {
                return;
            }
        }
    }

    /// What Entra asks and changes about one person, from the first to the last day; `None` when requests have run out
    /// in the middle of it.
    async fn life(&self, number: u64) -> Option<()> {
        let name = format!("person-{number}@example.com");
        let by_name = format!("/Users?filter=userName+eq+%22person-{number}%40example.com%22");
        let none = self.send("GET", &by_name, None, &[200]).await?;
        assert_eq!(none["totalResults"], 0, "{name}");
        let user = json!({
            "schemas": [USER],
            "userName": name,
            "externalId": format!("source-{number}"),
            "active": true,
            "displayName": format!("Person {number}"),
            "emails": [{"primary": true, "type": "work", "value": name}],
        });
        let created = self.send("POST", "/Users", Some(user), &[201]).await?;
        self.told.lock().unwrap().created += 1;
        let id = created["id"].as_str().expect("an id").to_owned();
        let path = format!("/Users/{id}");

        let index = usize::try_from(number).unwrap() % self.groups.len();
        let (first, second) = (&self.groups[index], &self.groups[(index + 1) % self.groups.len()]);
        let by_name = format!("filter=displayName+eq+%22Team+{index}%22");
        let by_name = format!("/Groups?excludedAttributes=members&{by_name}");
        let found = self.send("GET", &by_name, None, &[200]).await?;
        assert_eq!(found["Resources"][0]["id"], first.as_str());
        self.membership("Add", first, &id).await?;

        self.send("GET", &path, None, &[200]).await?;
        let department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
        self.patch(&path, &[("displayName", json!("Person R")), (department, json!("R&D"))])
            .await?;
        self.membership("Add", second, &id).await?;
        let renamed = format!("renamed-{number}@example.com");
        let work = "emails[type eq \"work\"].value";
        self.patch(&path, &[("userName", json!(renamed)), (work, json!(renamed))]).await?;
        let read = self.send("GET", &path, None, &[200]).await?;
        assert_eq!(read["userName"], renamed.as_str());
        self.patch(&path, &[("active", json!("False"))]).await?;
        self.membership("Remove", first, &id).await?;
        let by_name = renamed.replace('@', "%40");
        let by_name = format!("/Users?filter=userName+eq+%22{by_name}%22");
        let read = self.send("GET", &by_name, None, &[200]).await?;
        assert_eq!(read["Resources"][0]["active"], false, "{renamed}");
        if number.is_multiple_of(DELETED_EVERY) {
            self.membership("Remove", second, &id).await?;
            self.send("DELETE", &path, None, &[204]).await?;
            self.told.lock().unwrap().deleted += 1;
        }
        Some(())
    }

    async fn patch(&self, path: &str, values: &[(&str, Value)]) -> Option<()> {
        let operation = |(path, value)| json!({"op": "Replace", "path": path, "value": value});
        let operations: Vec<Value> = values.iter().cloned().map(operation).collect();
        let body = json!({"schemas": [PATCH], "Operations": operations});
        self.send("PATCH", path, Some(body), &[200, 204]).await.map(|_| ())
    }

    async fn membership(&self, op: &str, group: &str, member: &str) -> Option<()> {
        let value = json!([{"$ref": null, "value": member}]);
        let operation = json!({"op": op, "path": "members", "value": value});
        let body = json!({"schemas": [PATCH], "Operations": [operation]});
        self.send("PATCH", &format!("/Groups/{group}"), Some(body), &[200, 204]).await?;
        let mut members = self.members.lock().unwrap();
        let count = members.entry(group.to_owned()).or_insert(0);
        *count = if op == "Add" { *count + 1 } else { *count - 1 };
        Some(())
    }

    /// Sends a request to an environment that is idle, or to a new one; its answer has to have one of these statuses.
    async fn send(
        &self,
        method: &str,
        target: &str,
        body: Option<Value>,
        statuses: &[u64],
    ) -> Option<Value> {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        if number >= self.plan.requests {
            return None;
        }
        if self.plan.seconds.is_some() {
            let at = PACE * u32::try_from(number).expect("some days at most");
            tokio::time::sleep_until(self.began + at).await;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = format!("/scim/v2{path}");
        let body = body.map(|body| body.to_string());
        let event = asking(self.event.clone(), method, &path, query, body.as_deref());
        let idle = self.idle.lock().unwrap().pop();
        let mut environment = idle.unwrap_or_else(|| self.start_environment());
        let began = Instant::now();
        let answer = environment.function.invoke(&event.to_string()).await;
        let took = began.elapsed().as_millis();
        environment.events += 1;
        {
            let mut told = self.told.lock().unwrap();
            *told.statuses.entry(answer.status).or_insert(0) += 1;
            told.took_ms.push(took);
        }
        assert!(statuses.contains(&answer.status), "{method} {target}: {answer:?}");
        self.give_back(environment);
        Some(if answer.body.is_empty() { Value::Null } else { answer.json() })
    }

    fn start_environment(&self) -> Environment {
        self.told.lock().unwrap().started += 1;
        let function = Function::start(&self.environment);
        Environment { function, events: 0, settled_kb: None }
    }

    /// Looks at its memory, and ends it when it has done enough.
    fn give_back(&self, mut environment: Environment) {
        if environment.events == SETTLED_AFTER {
            environment.settled_kb = environment.function.memory_kb();
            self.told.lock().unwrap().note(environment.settled_kb, None);
        }
        if environment.events < self.plan.recycled_after {
            self.idle.lock().unwrap().push(environment);
            return;
        }
        self.told.lock().unwrap().recycled += 1;
        self.retire(environment);
    }

    fn retire(&self, environment: Environment) {
        if let (Some(settled), Some(now)) =
            (environment.settled_kb, environment.function.memory_kb())
        {
            self.told.lock().unwrap().note(None, Some(now));
            let events = environment.events;
            assert!(
                now <= settled + GROWTH_KB_MAX,
                "{settled} kB after {SETTLED_AFTER} events and {now} kB after {events}"
            );
        }
        let lines = environment.function.end();
        let bad = lines.iter().find(|line| line.contains("\"level\":\"ERROR\""));
        assert_eq!(bad, None, "an error in the log");
    }

    /// A line each minute, when it is paced.
    async fn tell(self: Arc<Self>) {
        if self.plan.seconds.is_none() {
            return;
        }
        let mut minutes = tokio::time::interval(Duration::from_mins(1));
        minutes.tick().await;
        loop {
            minutes.tick().await;
            eprintln!("{}", self.said());
            self.proxy.forget_calls();
        }
    }

    fn said(&self) -> String {
        let alive: Vec<String> = {
            let mut idle = self.idle.lock().unwrap();
            let alive = idle.iter_mut().map(|one| {
                let kb = one.function.memory_kb().map_or("?".to_owned(), |kb| kb.to_string());
                format!("{kb} kB after {}", one.events)
            });
            alive.collect()
        };
        let mut told = self.told.lock().unwrap();
        let mut took = std::mem::take(&mut told.took_ms);
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(0);
        format!(
            "{:4} s: {:6} requests, statuses {:?}; {} environments started, {} recycled; memory after {SETTLED_AFTER} events \
             {:?} kB, at the end {:?} kB, idle now [{}]; ms p50 {}, p99 {}, at most {}",
            self.began.elapsed().as_secs(),
            told.statuses.values().sum::<u64>(),
            told.statuses,
            told.started,
            told.recycled,
            told.settled_kb.unwrap_or_default(),
            told.ended_kb.unwrap_or_default(),
            alive.join(", "),
            at(50),
            at(99),
            took.last().copied().unwrap_or(0),
        )
    }

    /// The tables hold exactly what was acknowledged.
    async fn end(self) {
        for environment in std::mem::take(&mut *self.idle.lock().unwrap()) {
            self.retire(environment);
        }
        let told = self.told.into_inner().unwrap();
        assert_eq!(told.statuses.values().sum::<u64>(), self.plan.requests);
        // Of those that are alive none has done enough.
        let in_them = self.plan.lanes * u64::from(self.plan.recycled_after - 1);
        let recycled_min = self.plan.requests.saturating_sub(in_them);
        let recycled_min = recycled_min.div_ceil(u64::from(self.plan.recycled_after));
        assert!(told.recycled >= recycled_min, "{} are too few recycled", told.recycled);
        let count = self.app.call("GET", "/Users?count=0", Value::Null).await.expect(200).json();
        assert_eq!(count["totalResults"], told.created - told.deleted);
        let members = self.members.into_inner().unwrap();
        for (group, count) in &members {
            assert_eq!(members_of(&self.app, group).await.len(), *count, "members of {group}");
        }
        assert_whole(&partition(&self.app).await);
    }
}

impl Told {
    fn note(&mut self, settled_kb: Option<u64>, ended_kb: Option<u64>) {
        for (range, new) in [(&mut self.settled_kb, settled_kb), (&mut self.ended_kb, ended_kb)] {
            if let Some(kb) = new {
                let (least, most) = range.unwrap_or((kb, kb));
                *range = Some((least.min(kb), most.max(kb)));
            }
        }
    }
}
