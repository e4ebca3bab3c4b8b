//! `Store::check`: each kind of damage is done through DynamoDB itself, past the store; the check finds it, repairs it, and
//! finds nothing afterwards. What it must not touch it does not touch.

mod held;
mod unsettled;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use scim_endpoint::admin::{brake, tokens};
use scim_endpoint::auth::TokenSecret;
use scim_endpoint::local::sdk_config;
use scim_endpoint::store::TenantId;
use scim_endpoint::store::check::{Mode, Outcome, Progress, Report};
use scim_endpoint::store::settings::Brake;
use serde_json::{Value, json};

use crate::app::App;
use crate::whole::partition;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// An id as we give them out, that nobody has.
const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

type Item = HashMap<String, AttributeValue>;

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A tenant with two people, a group of both, and a group with that group in it.
struct Fixture {
    app: App,
    client: Client,
    ida: String,
    bob: String,
    team: String,
    all: String,
}

impl Fixture {
    async fn start() -> Self {
        Self::over(App::start().await).await
    }

    async fn over(app: App) -> Self {
        let client = Client::new(&sdk_config(&app.dynamodb_endpoint()));
        let mut people = Vec::new();
        for name in ["Ida", "Bob"] {
            let body = json!({
                "schemas": [USER], "userName": format!("{name}@example.com"), "externalId": name,
                "emails": [{"value": format!("{name}@example.com"), "type": "work"},
                           {"value": format!("{name}@home.example"), "type": "home"}],
            });
            people.push(app.call("POST", "/Users", body).await.expect(201).id());
        }
        let team = group(&app, "Team", &people).await;
        let all = group(&app, "All", std::slice::from_ref(&team)).await;
        let [ida, bob] = people.try_into().unwrap();
        Self { app, client, ida, bob, team, all }
    }

    async fn check(&self, mode: Mode) -> Report {
        self.check_tenant(&self.app.tenant(), mode).await
    }

    async fn check_tenant(&self, tenant: &TenantId, mode: Mode) -> Report {
        let moments = || self.app.moment();
        let report = self.app.store().check(&moments, tenant, mode, &mut |_| {}).await;
        report.expect("the tenant is read").expect("there is such a tenant")
    }

    /// The damage that was just done is found under exactly these names, repaired, and gone.
    #[track_caller]
    fn expect(&self, expected: &[&'static str]) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let report = self.check(Mode::Report).await;
            assert_eq!(sorts(&report), expected, "found, at {caller}: {report:#?}");
            assert!(report.findings.iter().all(|finding| finding.outcome == Outcome::Found));
            assert!(!report.is_whole());
            let repaired = self.check(Mode::Repair).await;
            assert!(repaired.is_whole(), "repaired, at {caller}: {repaired:#?}");
            for sort in expected.iter().filter(|sort| **sort != "misplaced-user") {
                assert!(sorts(&repaired).contains(sort), "{sort} at {caller}: {repaired:#?}");
            }
            let again = self.check(Mode::Report).await;
            assert_eq!(sorts(&again), [""; 0], "again, at {caller}: {again:#?}");
            assert!(again.is_whole());
        }
    }

    /// There is nothing to be found.
    async fn expect_whole(&self) {
        let report = self.check(Mode::Report).await;
        assert!(report.is_whole() && report.findings.is_empty(), "{report:#?}");
    }

    fn table(&self) -> &str {
        &self.app.store().tables().directory
    }

    async fn get(&self, key: &str) -> Option<Item> {
        let key = Some(key_of(self.app.tenant().as_str(), key));
        let request = self.client.get_item().table_name(self.table()).set_key(key);
        request.consistent_read(true).send().await.expect("an item is read").item
    }

    async fn put(&self, key: &str, others: &[(&str, AttributeValue)]) {
        let mut item = key_of(self.app.tenant().as_str(), key);
        item.insert("v".to_owned(), number(1));
        item.extend(others.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        self.put_whole(item).await;
    }

    async fn put_whole(&self, item: Item) {
        let request = self.client.put_item().table_name(self.table()).set_item(Some(item));
        request.send().await.expect("an item is written");
    }

    async fn delete(&self, key: &str) {
        assert!(self.get(key).await.is_some(), "{key} is not there");
        self.delete_of(self.app.tenant().as_str(), key).await;
    }

    async fn delete_of(&self, tenant: &str, key: &str) {
        let key = Some(key_of(tenant, key));
        let request = self.client.delete_item().table_name(self.table()).set_key(key);
        request.send().await.expect("an item is deleted");
    }

    /// Changes one attribute of an item that is there; `None` takes it away.
    async fn set(&self, key: &str, name: &str, value: Option<AttributeValue>) {
        let mut item = self.get(key).await.unwrap_or_else(|| panic!("{key} is not there"));
        match value {
            Some(value) => item.insert(name.to_owned(), value),
            None => item.remove(name),
        };
        self.put_whole(item).await;
    }
}

fn key_of(tenant: &str, key: &str) -> Item {
    HashMap::from([("tenant".to_owned(), text(tenant)), ("key".to_owned(), text(key))])
}

async fn group(app: &App, name: &str, members: &[String]) -> String {
    let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    let body = json!({ "schemas": [GROUP], "displayName": name, "members": members });
    app.call("POST", "/Groups", body).await.expect(201).id()
}

/// The sorts of what was found, each once, in order.
fn sorts(report: &Report) -> Vec<&'static str> {
    let mut sorts: Vec<&str> = report.findings.iter().map(|finding| finding.sort).collect();
    sorts.sort_unstable();
    sorts.dedup();
    sorts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_tenant_is_whole() {
    let fixture = Fixture::start().await;
    let report = fixture.check(Mode::Report).await;
    assert!(report.is_whole() && report.findings.is_empty(), "{report:#?}");
    assert_eq!((report.users, report.groups, report.memberships), (2, 2, 3));
    assert_eq!((report.passes, report.jobs), (1, 0));
    let items = report.items;
    assert_eq!(items, partition(&fixture.app).await.len());
    let repaired = fixture.check(Mode::Repair).await;
    assert_eq!((repaired.findings.len(), repaired.items), (0, items));
    let nobody = TenantId::parse("nobody").unwrap();
    let moments = || fixture.app.moment();
    let missing = fixture.app.store().check(&moments, &nobody, Mode::Report, &mut |_| {}).await;
    assert_eq!(missing.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_it_is_is_told_to_the_end() {
    let fixture = Fixture::start().await;
    // More suspicions than are looked at together.
    for number in 0..20 {
        fixture.put(&format!("match#emails.value#{number}#{NOBODY}"), &[]).await;
    }
    let (mut read, mut looked_up, mut looked) = (Vec::new(), Vec::new(), Vec::new());
    let moments = || fixture.app.moment();
    let mut progress = |step| match step {
        Progress::Read { pass, items } => read.push((pass, items)),
        Progress::LookedUp { changes, of } => looked_up.push((changes, of)),
        Progress::Looked { suspects, of } => looked.push((suspects, of)),
    };
    let (store, tenant) = (fixture.app.store(), fixture.app.tenant());
    let report = store.check(&moments, &tenant, Mode::Report, &mut progress).await;
    let report = report.unwrap().unwrap();
    assert_eq!(report.findings.len(), 20);
    assert_eq!(read, [(1, report.items)]);
    assert_eq!(looked_up, [(4, 4)], "two people and two groups");
    assert_eq!(looked, [(15, 20), (20, 20)]);
    let repaired = store.check(&moments, &tenant, Mode::Repair, &mut |_| {}).await;
    let repaired = repaired.unwrap().unwrap();
    assert_eq!((repaired.findings.len(), repaired.left(), repaired.passes), (20, 0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_their_id_items() {
    let fixture = Fixture::start().await;
    let (ida, bob) = (&fixture.ida, &fixture.bob);
    let id = format!("id#{ida}");

    fixture.delete(&id).await;
    fixture.expect(&["id-missing"]).await;
    fixture.set(&id, "ref", Some(text("user#nobody"))).await;
    fixture.expect(&["id-elsewhere"]).await;
    fixture.set(&id, "ref", Some(text("user#bob@example.com"))).await;
    fixture.expect(&["id-elsewhere"]).await;
    fixture.set(&id, "memberships", None).await;
    fixture.expect(&["memberships-missing"]).await;
    fixture.set(&id, "memberships", Some(text("two"))).await;
    fixture.expect(&["memberships-missing"]).await;
    let ghost = [("ref", text("user#ghost")), ("memberships", number(0))];
    fixture.put(&format!("id#{NOBODY}"), &ghost).await;
    fixture.expect(&["id-left"]).await;

    let mut twin = fixture.get("user#ida@example.com").await.unwrap();
    twin.insert("key".to_owned(), text("user#twin@example.com"));
    fixture.put_whole(twin).await;
    fixture.expect(&["misplaced-user", "user-twice"]).await;
    assert!(fixture.get("user#twin@example.com").await.is_none());

    // A rename that only half happened.
    let mut moved = fixture.get("user#ida@example.com").await.unwrap();
    fixture.delete("user#ida@example.com").await;
    moved.insert("key".to_owned(), text("user#ida.b@example.com"));
    moved.insert("userName".to_owned(), text("Ida.B@example.com"));
    fixture.put_whole(moved).await;
    fixture.expect(&["id-elsewhere"]).await;
    let read = fixture.app.call("GET", &format!("/Users/{ida}"), Value::Null).await.expect(200);
    assert_eq!(read.json()["userName"], "Ida.B@example.com");

    // A person who is gone leaves nothing behind, and the group is one version on.
    let before = fixture.get(&format!("group#{}", fixture.team)).await.unwrap()["version"].clone();
    fixture.delete("user#bob@example.com").await;
    fixture.expect(&["id-left", "match-left", "wrong-count"]).await;
    let after = fixture.get(&format!("group#{}", fixture.team)).await.unwrap()["version"].clone();
    assert_ne!(before, after);
    assert!(fixture.get(&format!("member#{}#{bob}", fixture.team)).await.is_none());
    fixture.app.call("GET", &format!("/Users/{bob}"), Value::Null).await.expect(404);
    let body = json!({ "schemas": [USER], "userName": "bob@example.com", "emails": [{"value": "bob@example.com"}] });
    fixture.app.call("POST", "/Users", body).await.expect(201);
    fixture.expect_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn match_items() {
    let fixture = Fixture::start().await;
    let own = format!("match#emails.value#ida@home.example#{}", fixture.ida);
    fixture.delete(&own).await;
    fixture.expect(&["match-missing"]).await;
    assert!(fixture.get(&own).await.is_some());
    fixture.put(&format!("match#emails.value#x@y#{}", fixture.ida), &[]).await;
    fixture.expect(&["match-left"]).await;
    fixture.put(&format!("match#emails.value#x@y#{NOBODY}"), &[]).await;
    fixture.expect(&["match-left"]).await;
    fixture.put(&format!("match#externalId#Ida#{}", fixture.ida), &[]).await;
    fixture.expect(&["match-left"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_their_names() {
    let fixture = Fixture::start().await;
    let team = &fixture.team;
    let (name, lock) = (format!("groupname#team#{team}"), "unique#displayName#team");
    fixture.delete(&name).await;
    fixture.expect(&["name-missing"]).await;
    fixture.put(&format!("groupname#crew#{team}"), &[]).await;
    fixture.expect(&["name-left"]).await;
    fixture.put(&format!("groupname#crew#{NOBODY}"), &[]).await;
    fixture.expect(&["name-left"]).await;
    fixture.delete(lock).await;
    fixture.expect(&["lock-missing"]).await;
    fixture.put("unique#displayName#crew", &[("id", text(team))]).await;
    fixture.expect(&["lock-left"]).await;
    fixture.put(lock, &[("id", text(NOBODY))]).await;
    fixture.expect(&["lock-left"]).await;
    assert_eq!(fixture.get(lock).await.unwrap()["id"], text(team));
    fixture.set(&format!("group#{team}"), "memberships", None).await;
    fixture.expect(&["memberships-missing"]).await;

    // A group that is gone takes its memberships with it, on both sides.
    fixture.delete(&format!("group#{team}")).await;
    fixture.expect(&["lock-left", "membership-left", "name-left", "wrong-count"]).await;
    let all = format!("/Groups/{}", fixture.all);
    let read = fixture.app.call("GET", &all, Value::Null).await.expect(200);
    assert_eq!(read.json().get("members"), None);
    group(&fixture.app, "Team", std::slice::from_ref(&fixture.ida)).await;
    fixture.expect_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memberships_and_their_inverses() {
    let fixture = Fixture::start().await;
    let (ida, bob, team, all) = (&fixture.ida, &fixture.bob, &fixture.team, &fixture.all);
    fixture.delete(&format!("memberof#{ida}#{team}")).await;
    fixture.expect(&["inverse-missing"]).await;
    fixture.delete(&format!("memberof#{team}#{all}")).await;
    fixture.expect(&["inverse-missing"]).await;
    fixture.set(&format!("member#{team}#{ida}"), "type", Some(text("Group"))).await;
    fixture.expect(&["wrong-type"]).await;
    fixture.set(&format!("member#{all}#{team}"), "type", None).await;
    fixture.expect(&["wrong-type"]).await;
    let read = fixture.app.call("GET", &format!("/Groups/{team}"), Value::Null).await.expect(200);
    assert_eq!(read.json()["members"].as_array().map(Vec::len), Some(2));

    // The group's side is the membership: an inverse alone is none.
    fixture.delete(&format!("member#{team}#{bob}")).await;
    fixture.expect(&["inverse-left"]).await;
    assert!(fixture.get(&format!("memberof#{bob}#{team}")).await.is_none());

    let person = [("type", text("User"))];
    fixture.put(&format!("member#{team}#{NOBODY}"), &person).await;
    fixture.expect(&["half-left"]).await;
    fixture.put(&format!("memberof#{ida}#{NOBODY}"), &[]).await;
    fixture.expect(&["half-left"]).await;
    fixture.put(&format!("member#{team}#{NOBODY}"), &person).await;
    fixture.put(&format!("memberof#{NOBODY}#{team}"), &[]).await;
    fixture.expect(&["membership-left"]).await;
    fixture.put(&format!("member#{NOBODY}#{ida}"), &person).await;
    fixture.put(&format!("memberof#{ida}#{NOBODY}"), &[]).await;
    fixture.expect(&["membership-left"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_still_sweeps_is_left_to_it() {
    let fixture = Fixture::start().await;
    let (ida, work) = (&fixture.ida, format!("work#{NOBODY}"));
    fixture.put(&format!("member#{NOBODY}#{ida}"), &[("type", text("User"))]).await;
    fixture.put(&format!("memberof#{ida}#{NOBODY}"), &[]).await;
    let job = |task: &str| {
        [
            ("task", text(task)),
            ("kind", text("Group")),
            ("resource", text(NOBODY)),
            ("touched", text("2026-01-01T00:00:00.000Z")),
        ]
    };
    for task in ["sweep", "createGroup"] {
        fixture.put(&work, &job(task)).await;
        let report = fixture.check(Mode::Repair).await;
        assert!(report.is_whole() && report.findings.is_empty(), "{report:#?}");
        assert_eq!(report.jobs, 1);
        assert!(fixture.get(&format!("member#{NOBODY}#{ida}")).await.is_some());
    }
    // Half a membership is nobody's: a job would not find it.
    fixture.delete(&format!("memberof#{ida}#{NOBODY}")).await;
    fixture.expect(&["half-left"]).await;
    fixture.delete(&work).await;
    fixture.expect_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_and_the_registry() {
    let fixture = Fixture::start().await;
    let shards = |kind: &'static str| (0..16).map(move |shard| format!("count#{kind}#{shard:02}"));
    for kind in ["User", "Group"] {
        for shard in shards(kind) {
            if fixture.get(&shard).await.is_some() {
                fixture.delete(&shard).await;
            }
        }
        fixture.expect(&["wrong-count"]).await;
        fixture.set(&format!("count#{kind}#00"), "n", Some(number(40))).await;
        fixture.expect(&["wrong-count"]).await;
        fixture.put(&format!("count#{kind}#15"), &[("n", number(-7))]).await;
        fixture.expect(&["wrong-count"]).await;
    }
    let list = fixture.app.call("GET", "/Users?count=0", Value::Null).await.expect(200);
    assert_eq!(list.json()["totalResults"], 2);
    fixture.delete_of("#registry", &format!("tenant#{}", fixture.app.tenant())).await;
    fixture.expect(&["not-registered"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_their_rows() {
    let fixture = Fixture::start().await;
    let secrets = fixture.app.store().tables().secrets.clone();
    let digest = TokenSecret::parse(&fixture.app.token()).unwrap().digest();
    let key = HashMap::from([("digest".to_owned(), text(&digest))]);
    let row = fixture.client.get_item().table_name(&secrets).set_key(Some(key.clone()));
    let row = row.send().await.unwrap().item.unwrap();
    let write = async |name: &str, value: AttributeValue| {
        let mut changed = row.clone();
        changed.insert(name.to_owned(), value);
        let request = fixture.client.put_item().table_name(&secrets).set_item(Some(changed));
        request.send().await.unwrap();
    };

    write("status", text("disabled")).await;
    fixture.app.call("GET", "/Users", Value::Null).await.expect(403);
    fixture.expect(&["token-settings-old"]).await;
    fixture.app.call("GET", "/Users", Value::Null).await.expect(200);

    let AttributeValue::S(id) = &row["token"] else { panic!("an id") };
    fixture.set(&format!("token#{id}"), "revoked", Some(text("2026-01-01T00:00:00.000Z"))).await;
    fixture.expect(&["token-still-open"]).await;
    fixture.app.call("GET", "/Users", Value::Null).await.expect(401);

    fixture.set(&format!("token#{id}"), "revoked", None).await;
    let gone = fixture.client.delete_item().table_name(&secrets).set_key(Some(key));
    gone.send().await.unwrap();
    fixture.expect(&["token-without-row"]).await;
    assert!(fixture.get(&format!("token#{id}")).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_misses_the_row_of_a_dead_token() {
    let fixture = Fixture::start().await;
    let app = &fixture.app;
    let issued = app.issue(&app.tenant()).await;
    let (store, tenant) = (app.store(), app.tenant());
    tokens::revoke(store, &app.moment(), &tenant, &issued.id).await.unwrap();
    let key = HashMap::from([("digest".to_owned(), text(&issued.secret.digest()))]);
    let gone = fixture.client.delete_item().table_name(&store.tables().secrets);
    gone.set_key(Some(key)).send().await.unwrap();
    fixture.expect_whole().await;
    let brake = Brake { count: Some(9), percent: None, window_minutes: 60, budget: 1 };
    brake::set(store, &app.moment(), (&tenant, "test"), Some(brake)).await.expect("it is set");
    fixture.expect_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_another_token_is_told_and_hides_nothing() {
    let fixture = Fixture::start().await;
    let secrets = fixture.app.store().tables().secrets.clone();
    let digest = TokenSecret::parse(&fixture.app.token()).unwrap().digest();
    let key = HashMap::from([("digest".to_owned(), text(&digest))]);
    let row = fixture.client.get_item().table_name(&secrets).set_key(Some(key));
    let row = row.send().await.unwrap().item.unwrap();
    let write = async |name: &str, value: &str| {
        let mut changed = row.clone();
        changed.insert(name.to_owned(), text(value));
        let request = fixture.client.put_item().table_name(&secrets).set_item(Some(changed));
        request.send().await.unwrap();
    };
    for (name, value) in [("token", NOBODY), ("tenant", "globex")] {
        write(name, value).await;
        for mode in [Mode::Report, Mode::Repair] {
            let report = fixture.check(mode).await;
            assert_eq!(sorts(&report), ["token-row-foreign"], "{name}: {report:#?}");
            assert_eq!(report.left(), 1);
            assert!(report.findings[0].what.contains("token"), "{report:#?}");
        }
    }
    // Beside what cannot be read the tokens are looked at all the same, unless it is one of them.
    write("status", "disabled").await;
    fixture.put("activity", &[("v", number(9))]).await;
    let report = fixture.check(Mode::Report).await;
    assert_eq!(sorts(&report), ["token-settings-old", "unreadable"]);
    fixture.delete("activity").await;
    let AttributeValue::S(id) = &row["token"] else { panic!("an id") };
    fixture.set(&format!("token#{id}"), "v", Some(number(9))).await;
    assert_eq!(sorts(&fixture.check(Mode::Report).await), ["unreadable"]);
    fixture.set(&format!("token#{id}"), "v", Some(number(1))).await;
    fixture.expect(&["token-settings-old"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_told_and_left_alone() {
    let fixture = Fixture::start().await;
    let (ida, team) = (&fixture.ida, &fixture.team);
    let keys = [
        "user#ida@example.com".to_owned(),
        format!("id#{ida}"),
        format!("group#{team}"),
        format!("groupname#team#{team}"),
        "unique#displayName#team".to_owned(),
        format!("match#emails.value#ida@home.example#{ida}"),
        format!("member#{team}#{ida}"),
        format!("memberof#{ida}#{team}"),
        "activity".to_owned(),
    ];
    for key in keys {
        let item = fixture.get(&key).await.unwrap_or_else(|| panic!("there is no {key}"));
        fixture.set(&key, "v", Some(number(9))).await;
        let report = fixture.check(Mode::Repair).await;
        assert_eq!(sorts(&report), ["unreadable"], "{key}: {report:#?}");
        assert_eq!((report.left(), report.unsettled), (1, 0), "{key}");
        assert_eq!(report.findings[0].item, key);
        fixture.put_whole(item).await;
        fixture.expect_whole().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_a_decision_is_told() {
    let fixture = Fixture::start().await;
    for key in [
        "note#1",
        "match#x",
        "unique#userName#ida",
        "count#Robot#00",
        "count#User#16",
        "member#x",
        "nesting#1",
    ] {
        fixture.put(key, &[("n", number(1))]).await;
        let report = fixture.check(Mode::Repair).await;
        assert_eq!(sorts(&report), ["unknown-item"], "{key}: {report:#?}");
        assert!(matches!(report.findings[0].outcome, Outcome::ByHand(_)));
        fixture.delete(key).await;
    }
    fixture.set("user#ida@example.com", "userName", Some(text("eve@example.com"))).await;
    let report = fixture.check(Mode::Repair).await;
    assert_eq!(sorts(&report), ["misplaced-user"], "{report:#?}");
    fixture.set("user#ida@example.com", "userName", Some(text("Ida@example.com"))).await;

    fixture.set(&format!("group#{}", fixture.all), "displayName", Some(text("TEAM"))).await;
    let report = fixture.check(Mode::Repair).await;
    let expected = ["lock-left", "name-left", "name-missing", "name-shared"];
    assert_eq!(sorts(&report), expected, "{report:#?}");
    assert_eq!(report.left(), 1);
    let rename = json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "displayName", "value": "Crew" }] });
    let renamed = fixture.app.call("PATCH", &format!("/Groups/{}", fixture.team), rename).await;
    assert!(renamed.status < 300, "{renamed:?}");
    fixture.check(Mode::Repair).await;
    fixture.expect_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn circles_of_groups_are_told() {
    let fixture = Fixture::start().await;
    let (team, all) = (&fixture.team, &fixture.all);
    let outside = group(&fixture.app, "Outside", std::slice::from_ref(all)).await;
    group(&fixture.app, "Above", &[outside.clone(), team.clone()]).await;
    fixture.expect_whole().await;
    let close = async |group: &str, member: &str| {
        let item = [("type", text("Group"))];
        fixture.put(&format!("member#{group}#{member}"), &item).await;
        fixture.put(&format!("memberof#{member}#{group}"), &[]).await;
    };
    // Team is in All; Outside has nothing to do with it.
    close(team, all).await;
    for mode in [Mode::Report, Mode::Repair] {
        let report = fixture.check(mode).await;
        assert_eq!(sorts(&report), ["circle"], "{report:#?}");
        assert_eq!((report.findings.len(), report.left(), report.unsettled), (1, 1, 0));
        let what = &report.findings[0].what;
        assert!(what.contains(team.as_str()) && what.contains(all.as_str()), "{what}");
        assert!(!what.contains(&outside), "{what}");
    }
    // One that has itself, as the first of a longer way round.
    close(&outside, &outside).await;
    close(team, &outside).await;
    assert_eq!(fixture.check(Mode::Report).await.findings.len(), 2);
    let remove =
        json!({ "schemas": [PATCH], "Operations": [{ "op": "remove", "path": "members" }] });
    for id in [team, &outside] {
        let target = format!("/Groups/{id}");
        fixture.app.call("PATCH", &target, remove.clone()).await.expect(204);
    }
    fixture.expect_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_circle_of_many_groups_the_first_five_are_named() {
    let fixture = Fixture::start().await;
    for size in [5, 6] {
        let mut ids = vec![group(&fixture.app, &format!("{size} first"), &[]).await];
        for number in 1..size {
            let before = ids.last().cloned();
            let name = format!("{size} {number}");
            ids.push(group(&fixture.app, &name, before.as_slice()).await);
        }
        let (first, last) = (&ids[0], &ids[size - 1]);
        let item = [("type", text("Group"))];
        fixture.put(&format!("member#{first}#{last}"), &item).await;
        fixture.put(&format!("memberof#{last}#{first}"), &[]).await;
        let report = fixture.check(Mode::Report).await;
        assert_eq!(sorts(&report), ["circle"], "{report:#?}");
        let what = &report.findings[0].what;
        assert_eq!(ids.iter().filter(|id| what.contains(id.as_str())).count(), 5, "{what}");
        assert_eq!(what.contains("and so on"), size > 5, "{what}");
        fixture.delete(&format!("member#{first}#{last}")).await;
        fixture.delete(&format!("memberof#{last}#{first}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_beside_live_traffic_finds_nothing() {
    let fixture = Fixture::start().await;
    let app = &fixture.app;
    let traffic = async {
        for round in 0..6 {
            let emails = json!([{ "value": format!("n{round}@example.com") }]);
            let body =
                json!({ "schemas": [USER], "userName": format!("n{round}"), "emails": emails });
            let id = app.call("POST", "/Users", body).await.expect(201).id();
            let user = format!("/Users/{id}");
            let rename = |name: String| json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "userName", "value": name }] });
            app.call("PATCH", &user, rename(format!("a{round}"))).await.expect(200);
            let add = json!({ "schemas": [PATCH], "Operations": [{ "op": "add", "path": "members", "value": [{ "value": id }] }] });
            app.call("PATCH", &format!("/Groups/{}", fixture.team), add).await.expect(204);
            app.call("PATCH", &user, rename(format!("z{round}"))).await.expect(200);
            app.call("DELETE", &user, Value::Null).await.expect(204);
        }
    };
    let checks = async {
        for _ in 0..12 {
            let report = fixture.check(Mode::Report).await;
            assert_eq!(sorts(&report), [""; 0], "{report:#?}");
            let report = fixture.check(Mode::Repair).await;
            assert_eq!(sorts(&report), [""; 0], "{report:#?}");
        }
    };
    futures_util::future::join(Box::pin(traffic), Box::pin(checks)).await;
    fixture.expect_whole().await;
    assert!(
        fixture.check_tenant(&TenantId::parse("globex").unwrap(), Mode::Report).await.is_whole()
    );
}
