//! Every operation, played once and billed: the rows of the table in `docs/COST.md`.
//!
//! The token is cached, as it is but for one request in 30 s. What is written now and then, whatever is asked for
//! (`activity`, `traffic`), has rows of its own and is left out of the others.

use std::sync::OnceLock;
use std::time::Duration;

use scim_endpoint::admin::brake;
use scim_endpoint::ops::jobs;
use scim_endpoint::store::settings::Brake;
use serde_json::{Value, json};

use super::bill::Bill;
use crate::app::App;
use crate::brake::begin_window;
use crate::proxy::{Conflicts, Proxy};
use crate::races::{crowd, group, on_members, put_all, replacing, with};
use crate::whole::{Item, partition};

/// Members of the large group, and what says how many they are.
const LARGE: usize = 10_000;
const LARGE_VARIABLE: &str = "COST_GROUP";
/// People of the tenant whose list is read, and where its deep page begins.
const PEOPLE: usize = 2_000;
const DEEP: usize = 1_901;
/// Groups of somebody who is in many.
const MANY_GROUPS: usize = 300;

/// What one operation took.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) operation: String,
    pub(super) bills: Vec<Bill>,
}

impl Row {
    pub(super) fn calls(&self) -> usize {
        self.bills.len()
    }

    pub(super) fn read(&self) -> f64 {
        self.bills.iter().fold(0.0, |sum, bill| sum + bill.read)
    }

    pub(super) fn write(&self) -> f64 {
        self.bills.iter().fold(0.0, |sum, bill| sum + bill.write)
    }

    /// How many calls of this operation of DynamoDB's.
    pub(super) fn count(&self, operation: &str) -> usize {
        self.bills.iter().filter(|bill| bill.operation() == operation).count()
    }

    /// Its calls by operation, in the order in which they first came.
    pub(super) fn kinds(&self) -> String {
        let mut kinds: Vec<(&str, usize)> = Vec::new();
        for bill in &self.bills {
            match kinds.iter_mut().find(|(kind, _)| *kind == bill.operation()) {
                Some((_, count)) => *count += 1,
                None => kinds.push((bill.operation(), 1)),
            }
        }
        let kinds = kinds.iter().map(|(kind, count)| match count {
            1 => (*kind).to_owned(),
            count => format!("{count} {kind}"),
        });
        kinds.collect::<Vec<_>>().join(", ")
    }
}

/// All rows, measured once for all tests of this run.
pub(super) fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let measured = std::thread::spawn(|| {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(measure())
        });
        measured.join().expect("everything is measured")
    })
}

/// The row with that name.
#[track_caller]
pub(super) fn row(operation: &str) -> &'static Row {
    let found = rows().iter().find(|row| row.operation == operation);
    found.unwrap_or_else(|| panic!("there is no row {operation}"))
}

/// Somebody with what Entra's default mapping sends.
pub(super) fn person(name: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "userName": format!("{name}@example.com"),
        "externalId": format!("{name}-3f1c5b2a-7d44-4a5e-9a61"),
        "active": true,
        "displayName": format!("{name} Example"),
        "title": "Senior Engineer",
        "preferredLanguage": "en-US",
        "name": {"givenName": name, "familyName": "Example", "formatted": format!("{name} Example")},
        "emails": [{"type": "work", "value": format!("{name}@example.com"), "primary": true}],
        "addresses": [{"type": "work", "streetAddress": "1 Main Street", "locality": "Springfield",
            "region": "IL", "postalCode": "62701", "country": "US"}],
        "phoneNumbers": [{"type": "work", "value": "+1 217 555 0100"},
            {"type": "mobile", "value": "+1 217 555 0101"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
            {"employeeNumber": "10042", "department": "Engineering"},
    })
}

struct Bench {
    app: App,
    proxy: Proxy,
    rows: Vec<Row>,
}

async fn measure() -> Vec<Row> {
    let cached = |mut config: scim_endpoint::config::Config| {
        config.token_cache = Duration::from_secs(30);
        config
    };
    let (app, proxy) = Proxy::app_with(Conflicts::None, cached).await;
    app.call("GET", "/ServiceProviderConfig", Value::Null).await.expect(200);
    let mut bench = Bench { app, proxy, rows: Vec::new() };
    bench.reads().await;
    bench.writes_of_users().await;
    bench.deletes().await;
    bench.groups().await;
    bench.lists().await;
    bench.beside().await;
    bench.braked().await;
    bench.rows
}

impl Bench {
    /// One request and what it was billed.
    async fn asked(&self, request: (&str, &str, Value), status: u16) -> (Vec<Bill>, Value) {
        self.proxy.forget_calls();
        let (method, target, body) = request;
        let answer = self.app.call(method, target, body).await.expect(status);
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        (self.proxy.bills(), body)
    }

    /// What has rows of its own is left out.
    fn add(&mut self, operation: &str, mut bills: Vec<Bill>) {
        bills.retain(|bill| !bill.is_now_and_then() && bill.call != "GetItem secret");
        self.rows.push(Row { operation: operation.to_owned(), bills });
    }

    async fn row(&mut self, operation: &str, request: (&str, &str, Value), status: u16) -> Value {
        let (bills, body) = self.asked(request, status).await;
        self.add(operation, bills);
        body
    }

    async fn get(&mut self, operation: &str, target: &str) {
        self.row(operation, ("GET", target, Value::Null), 200).await;
    }

    async fn user(&self, name: &str) -> String {
        self.app.call("POST", "/Users", person(name)).await.expect(201).id()
    }

    async fn reads(&mut self) {
        let ida = self.user("ida").await;
        let staff = group(&self.app, "Staff", std::slice::from_ref(&ida)).await;
        let filter = |text: &str| format!("/Users?filter={text}");
        for (operation, target) in [
            ("match on userName, hit", filter("userName+eq+%22IDA@example.com%22")),
            ("match on userName, nobody", filter("userName+eq+%22no@example.com%22")),
            (
                "match on e-mail, hit",
                filter("emails%5Btype+eq+%22work%22%5D.value+eq+%22ida@example.com%22"),
            ),
            (
                "match on e-mail, nobody",
                filter("emails%5Btype+eq+%22work%22%5D.value+eq+%22no@example.com%22"),
            ),
            ("match on externalId, hit", filter("externalId+eq+%22ida-3f1c5b2a-7d44-4a5e-9a61%22")),
            ("match on externalId, nobody", filter("externalId+eq+%22none%22")),
            ("GET user by id", format!("/Users/{ida}")),
            (
                "match on group name, hit",
                "/Groups?filter=displayName+eq+%22Staff%22&excludedAttributes=members".to_owned(),
            ),
            (
                "match on group name, none",
                "/Groups?filter=displayName+eq+%22None%22&excludedAttributes=members".to_owned(),
            ),
            ("GET group without members", format!("/Groups/{staff}?excludedAttributes=members")),
        ] {
            self.get(operation, &target).await;
        }
    }

    async fn writes_of_users(&mut self) {
        let created = self.row("POST user", ("POST", "/Users", person("eve")), 201).await;
        let target = format!("/Users/{}", created["id"].as_str().expect("an id"));
        let (bills, _) = self.asked(("POST", "/Users", person("eve")), 409).await;
        let refusal = bills.iter().filter(|bill| bill.call == "PutItem journal").cloned().collect();
        self.add("POST user refused with 409", bills);
        self.add("of it, a refused write's journal item", refusal);
        let mut whole = person("eve");
        whole["title"] = json!("Director");
        let mut other = whole.clone();
        other["title"] = json!("Owner");
        for (operation, method, body) in [
            ("PATCH one attribute", "PATCH", replacing("title", "Director")),
            ("PATCH that changes nothing", "PATCH", replacing("title", "Director")),
            ("PUT", "PUT", other.clone()),
            ("PUT that changes nothing", "PUT", other),
            ("PATCH disable", "PATCH", replacing("active", "False")),
            ("PATCH rename", "PATCH", replacing("userName", "adam@example.com")),
            ("PATCH letter-case rename", "PATCH", replacing("userName", "ADAM@example.com")),
        ] {
            self.row(operation, (method, &target, body), 200).await;
        }
    }

    async fn deletes(&mut self) {
        for (operation, name, groups) in [
            ("DELETE user in no group", "none", 0),
            ("DELETE user in 3 groups", "three", 3),
            ("DELETE user in 300 groups", "many", MANY_GROUPS),
        ] {
            let id = self.user(name).await;
            if groups > 0 {
                let first = group(&self.app, name, std::slice::from_ref(&id)).await;
                let items = partition(&self.app).await;
                let copies = (1..groups).flat_map(|_| {
                    let other = self.app.moment().mint_uuid().to_string();
                    group_again(&items, &first, &other, &id)
                });
                put_all(&self.app, copies.collect()).await;
            }
            let target = format!("/Users/{id}");
            self.row(operation, ("DELETE", &target, Value::Null), 204).await;
        }
        self.proxy.forget_calls();
        jobs::run(self.app.store(), &self.app.moment()).await.expect("the job runs");
        let mut bills = self.proxy.bills();
        bills.retain(|bill| bill.call != "Query ?");
        self.add("what the scheduled job does after it", bills);
    }

    async fn groups(&mut self) {
        let people = crowd(&self.app, 1_002).await;
        let body = json!({"displayName": "Crew"});
        let created = self.row("POST group", ("POST", "/Groups", body), 201).await;
        let target = format!("/Groups/{}", created["id"].as_str().expect("an id"));
        let rename = replacing("displayName", "Team");
        self.row("rename group", ("PATCH", &target, rename), 204).await;
        self.nested(&people[0]).await;
        for (name, size) in [("group of 1", 1), ("large group", large())] {
            let id = group(&self.app, name, &people[..1]).await;
            let items = partition(&self.app).await;
            let moment = self.app.moment();
            let copies = (1..size).flat_map(|_| {
                let other = moment.mint_uuid().to_string();
                member_again(&items, &id, &people[0], &other)
            });
            put_all(&self.app, copies.collect()).await;
            let target = format!("/Groups/{id}");
            for count in [1, 30, 1_000] {
                for op in ["add", "remove"] {
                    let body = on_members(op, &people[1..=count]);
                    let plural = if count == 1 { "member" } else { "members" };
                    let shown = if count == 1_000 { "1,000".to_owned() } else { count.to_string() };
                    let operation = format!("{op} {shown} {plural}, {name}");
                    self.row(&operation, ("PATCH", &target, body), 204).await;
                }
            }
        }
    }

    async fn nested(&mut self, member: &String) {
        let inner = group(&self.app, "Inner", std::slice::from_ref(member)).await;
        let outer = group(&self.app, "Outer", &[]).await;
        let shown = format!("/Users/{member}?attributes=groups");
        self.get("GET user with its groups, 1", &shown).await;
        let add = on_members("add", std::slice::from_ref(&inner));
        let target = format!("/Groups/{outer}");
        self.row("add a group to a group", ("PATCH", &target, add), 204).await;
        self.get("GET user with its groups, 1 in another one", &shown).await;
        for id in [&inner, &outer] {
            let target = format!("/Groups/{id}");
            self.app.call("DELETE", &target, Value::Null).await.expect(204);
        }
    }

    async fn lists(&mut self) {
        let people = crowd(&self.app, PEOPLE).await;
        assert_eq!(people.len(), PEOPLE);
        self.get("list, first page of 100", "/Users?count=100").await;
        let deep = format!("/Users?count=100&startIndex={DEEP}");
        self.get("list, page of 100 behind 1,900", &deep).await;
        let first = ("GET", "/Users?count=100&cursor=", Value::Null);
        let mut page = self.row("list by cursor, first page of 100", first, 200).await;
        for _ in 1..(DEEP - 1) / 100 {
            let next = by_cursor(&page);
            (_, page) = self.asked(("GET", &next, Value::Null), 200).await;
        }
        let deep = by_cursor(&page);
        self.get("list by cursor, page of 100 behind 1,900", &deep).await;
    }

    async fn beside(&mut self) {
        let config = ("GET", "/ServiceProviderConfig", Value::Null);
        self.asked(config.clone(), 200).await;
        let (mut bills, _) = self.asked(config.clone(), 200).await;
        bills.retain(|bill| !bill.is_now_and_then());
        self.rows.push(Row { operation: "token check, cached".to_owned(), bills });
        // Past the begin of a stretch of time, with nothing left to note from before it.
        let until_the_next = 600 - self.app.moment().now().unix_seconds().rem_euclid(600);
        let until_the_next = Duration::from_secs(until_the_next.unsigned_abs());
        self.app.clock().advance(until_the_next + Duration::from_secs(61));
        self.asked(config.clone(), 200).await;
        self.app.clock().advance(Duration::from_secs(61));
        let (bills, _) = self.asked(config, 200).await;
        let of = |call: &str| bills.iter().filter(|bill| bill.call == call).cloned().collect();
        let kept = [
            ("token check, not cached", of("GetItem secret")),
            ("activity", of("UpdateItem activity")),
            ("traffic", of("UpdateItem traffic")),
        ];
        for (operation, bills) in kept {
            self.rows.push(Row { operation: operation.to_owned(), bills });
        }
        self.proxy.forget_calls();
        jobs::run(self.app.store(), &self.app.moment()).await.expect("the job runs");
        let mut bills = self.proxy.bills();
        bills.retain(|bill| bill.call == "Query work");
        // There are two tenants.
        bills.truncate(bills.len() / 2);
        self.add("scheduled job, a tenant without work", bills);
    }

    async fn braked(&mut self) {
        let (pat, kim) = (self.user("pat").await, self.user("kim").await);
        begin_window(&self.app);
        let (tenant, moment) = (self.app.tenant(), self.app.moment());
        let brake = Brake { count: Some(10), percent: None, window_minutes: 60, budget: 1 };
        let set = brake::set(self.app.store(), &moment, (&tenant, "test"), Some(brake)).await;
        set.expect("the brake is set");
        // Until then the token's copy of the settings is the one from before.
        self.app.clock().advance(Duration::from_secs(61));
        self.app.call("GET", "/ServiceProviderConfig", Value::Null).await.expect(200);
        for (operation, id) in [
            ("PATCH disable, the first in a window of the brake", pat),
            ("PATCH disable, with the brake set", kim),
        ] {
            let target = format!("/Users/{id}");
            self.row(operation, ("PATCH", &target, replacing("active", "False")), 200).await;
        }
    }
}

/// What asks for the page behind this one.
fn by_cursor(page: &Value) -> String {
    let next = page["nextCursor"].as_str().expect("there is a next page");
    format!("/Users?count=100&cursor={next}")
}

/// How many members the large group has: `COST_GROUP`, or what is seeded within seconds.
fn large() -> usize {
    let named = std::env::var(LARGE_VARIABLE).ok().filter(|named| !named.is_empty());
    named.map_or(LARGE, |named| named.parse().expect("a number"))
}

/// The items of another group with this member, made after one that is there.
fn group_again(
    items: &std::collections::BTreeMap<String, Item>,
    first: &str,
    other: &str,
    member: &str,
) -> Vec<Item> {
    let own = &items[&format!("group#{first}")];
    let id = other.to_owned();
    let mut copies = vec![with(own, &[("key", &format!("group#{other}")), ("id", &id)])];
    for (key, copy) in [
        (format!("member#{first}#{member}"), format!("member#{other}#{member}")),
        (format!("memberof#{member}#{first}"), format!("memberof#{member}#{other}")),
    ] {
        copies.push(with(&items[&key], &[("key", &copy)]));
    }
    copies
}

/// The two items of another membership, made after one that is there.
fn member_again(
    items: &std::collections::BTreeMap<String, Item>,
    group: &str,
    first: &str,
    other: &str,
) -> Vec<Item> {
    let pairs = [
        (format!("member#{group}#{first}"), format!("member#{group}#{other}")),
        (format!("memberof#{first}#{group}"), format!("memberof#{other}#{group}")),
    ];
    pairs.iter().map(|(key, copy)| with(&items[key], &[("key", copy)])).collect()
}
