//! `scimctl migrate`: users and groups of the format before, moved beside live traffic, killed at every call, and left as
//! they were in everything else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join3;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use scim_endpoint::admin::AdminError;
use scim_endpoint::admin::migrate::{Formats, Migrated, Step, formats, migrate};
use scim_endpoint::auth::TokenSecret;
use scim_endpoint::store::check::Mode;
use scim_endpoint::store::{Settings, TenantId};
use serde_json::{Value, json};

use crate::app::App;
use crate::cli::Server;
use crate::proxy::{Conflicts, Gate, Proxy, Step as Fault};
use crate::races::{entries, on_members, replacing};
use crate::whole::{Item, client, journal_of, number, partition_of};

/// A tenant as the version before has left it: people and groups in format 1.
struct Old {
    tenant: TenantId,
    token: String,
    people: Vec<String>,
    staff: String,
}

impl Old {
    async fn new(app: &App, name: &str, people: usize) -> Self {
        let tenant = TenantId::parse(name).unwrap();
        let settings = Settings { resource_format: 1, ..Settings::default() };
        let token: TokenSecret = app.create_tenant(&tenant, &settings).await;
        let mut old = Self {
            tenant,
            token: token.reveal().to_owned(),
            people: Vec::new(),
            staff: String::new(),
        };
        for number in 0..people {
            let mail = format!("p{number}@ex.test");
            let body = json!({
                "userName": mail, "externalId": format!("x{number}"), "title": "Engineer",
                "emails": [{"type": "work", "value": mail}], "name": {"familyName": "Ek"},
            });
            old.people.push(old.call(app, "POST", "/Users", body).await.expect(201).id());
        }
        let body = json!({"displayName": "Staff", "members": entries(&old.people)});
        old.staff = old.call(app, "POST", "/Groups", body).await.expect(201).id();
        old
    }

    async fn call(&self, app: &App, method: &str, target: &str, body: Value) -> crate::app::Answer {
        app.call_as(&self.token, method, target, body).await
    }

    async fn items(&self, app: &App) -> BTreeMap<String, Item> {
        partition_of(app, self.tenant.as_str()).await
    }

    async fn formats(&self, app: &App) -> Formats {
        formats(app.store(), &|| app.moment(), &self.tenant).await.unwrap()
    }

    async fn migrate(&self, app: &App) -> Result<Vec<Migrated>, AdminError> {
        let tenants = std::slice::from_ref(&self.tenant);
        migrate(app.store(), &|| app.moment(), tenants, Duration::ZERO, &mut |_| {}).await
    }

    /// Everything is in format 2, and everything is in its place.
    async fn expect_new(&self, app: &App, caller: &str) {
        let formats = self.formats(app).await;
        assert!(formats.is_current(), "{caller}: {formats:?}");
        assert_eq!(formats.counted.keys().copied().collect::<Vec<_>>(), [2], "{caller}");
        let moments = || app.moment();
        let report = app.store().check(&moments, &self.tenant, Mode::Report, &mut |_| {}).await;
        let report = report.unwrap().unwrap();
        assert!(report.is_whole() && report.findings.is_empty(), "{caller}: {report:#?}");
    }
}

fn is_resource(key: &str) -> bool {
    key.starts_with("user#") || key.starts_with("group#")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_moves_and_nothing_else_of_it_changes() {
    let app = App::start().await;
    let old = Old::new(&app, "old", 4).await;
    assert_eq!(old.formats(&app).await.counted, BTreeMap::from([(1, 5)]));
    assert_eq!((old.formats(&app).await.written, old.formats(&app).await.old()), (1, 5));
    let (before, journal) = (old.items(&app).await, journal_of(&app, "old").await);
    let neighbour = partition_of(&app, "acme").await;

    let done = old.migrate(&app).await.unwrap();
    assert_eq!(done, [Migrated { tenant: old.tenant.clone(), moved: Some(5) }]);
    old.expect_new(&app, "after").await;
    let after = old.items(&app).await;
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (key, item) in &before {
        let mut expected = item.clone();
        if is_resource(key) {
            expected.insert("v".to_owned(), AttributeValue::N("2".to_owned()));
        }
        if key == "settings" {
            for name in ["rid", "settingsVersion", "resourceFormat"] {
                expected.insert(name.to_owned(), after[key][name].clone());
            }
        }
        assert_eq!(after[key], expected, "{key}");
    }
    assert_eq!(number(&after["settings"], "resourceFormat"), 2);
    assert_eq!(journal_of(&app, "old").await, journal, "the journal says nothing of it");
    assert_eq!(partition_of(&app, "acme").await, neighbour);

    // The token's row has it, too: what is written from here on is of the new format.
    let body = json!({"userName": "new@ex.test"});
    old.call(&app, "POST", "/Users", body).await.expect(201);
    old.expect_new(&app, "after a write").await;
    assert_eq!(old.migrate(&app).await.unwrap()[0].moved, None, "there is nothing to do");
}

/// What happens to people and groups, by a seed: each worker has people of its own, so that it knows what they must be.
async fn traffic(app: &App, old: &Old, people: &[String], seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let staff = format!("/Groups/{}", old.staff);
    let mut said: BTreeMap<&String, (String, String, bool)> = BTreeMap::new();
    for id in people {
        let found = old.call(app, "GET", &format!("/Users/{id}"), Value::Null).await.expect(200);
        let name = found.json()["userName"].as_str().unwrap().to_owned();
        said.insert(id, (name, "Engineer".to_owned(), true));
    }
    for round in 0..25 {
        let id = &people[chance.random_range(0..people.len())];
        let (name, title, member) = said.get_mut(id).unwrap();
        let user = format!("/Users/{id}");
        match chance.random_range(0..4) {
            0 => {
                *title = format!("Title {seed} {round}");
                old.call(app, "PATCH", &user, replacing("title", title)).await.expect(200);
            }
            1 => {
                *name = format!("n{seed}-{round}@ex.test");
                old.call(app, "PATCH", &user, replacing("userName", name)).await.expect(200);
            }
            2 => {
                *member = !*member;
                let op = if *member { "add" } else { "remove" };
                let body = on_members(op, std::slice::from_ref(id));
                old.call(app, "PATCH", &staff, body).await.expect(204);
            }
            _ => {
                let body = json!({"displayName": format!("G{seed}-{round}"), "members": entries(std::slice::from_ref(id))});
                let group = old.call(app, "POST", "/Groups", body).await.expect(201).id();
                old.call(app, "DELETE", &format!("/Groups/{group}"), Value::Null).await.expect(204);
            }
        }
    }
    for (id, (name, title, member)) in said {
        let target = format!("/Users/{id}?attributes=userName,title,groups");
        let found = old.call(app, "GET", &target, Value::Null).await.expect(200).json();
        assert_eq!((&found["userName"], &found["title"]), (&json!(name), &json!(title)));
        assert_eq!(found["groups"].as_array().is_some(), member, "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn live_traffic_of_new_and_old_settings_loses_nothing() {
    let app = App::start().await;
    let old = Old::new(&app, "old", 6).await;
    // A function that remembers the token, and with it the old settings, for as long as the clock stands still.
    let stale =
        |config| scim_endpoint::config::Config { token_cache: Duration::from_secs(30), ..config };
    let stale = app.beside(app.store().tables().clone(), stale).await;
    old.call(&stale, "GET", "/Users?count=1", Value::Null).await.expect(200);
    let moves = async {
        for _ in 0..6 {
            // Beside a writer of the format before it may find something again and again, and say so.
            let done = old.migrate(&app).await;
            assert!(matches!(done, Ok(_) | Err(AdminError::StillOld(_))), "{done:?}");
        }
    };
    join3(
        traffic(&app, &old, &old.people[..3], 1),
        traffic(&stale, &old, &old.people[3..], 2),
        moves,
    )
    .await;

    // The wait outlives what is remembered.
    let waited = RefCell::new(Vec::new());
    let mut note = |step: Step<'_>| {
        if let Step::Waiting(left) = step {
            waited.borrow_mut().push(left);
            app.clock().advance(Duration::from_secs(31));
        }
    };
    let ida = format!("/Users/{}", old.people[0]);
    old.call(&stale, "PATCH", &ida, replacing("title", "Chair")).await.expect(200);
    let left = old.formats(&app).await.old();
    assert!(left > 0, "the stale function writes the format before");
    let (tenants, settle) = (std::slice::from_ref(&old.tenant), Duration::from_secs(30));
    let done = migrate(app.store(), &|| app.moment(), tenants, settle, &mut note).await.unwrap();
    assert_eq!(done[0].moved, Some(left));
    assert_eq!(waited.borrow().len(), 1, "{waited:?}");
    old.call(&stale, "PATCH", &ida, replacing("title", "Director")).await.expect(200);
    old.expect_new(&app, "at the end").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_in_the_old_format_between_two_passes_is_found() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let old = Old::new(&app, "old", 3).await;
    let stale =
        |config| scim_endpoint::config::Config { token_cache: Duration::from_secs(30), ..config };
    let stale = app.beside(app.store().tables().clone(), stale).await;
    old.call(&stale, "GET", "/Users?count=1", Value::Null).await.expect(200);
    // Counting reads users and groups, switching reads the tokens, the first pass users and groups; then the second.
    let gate = Gate::default();
    let held = std::iter::repeat_n(Fault::Pass, 5).chain([Fault::Hold(gate.clone())]);
    proxy.script("Query", held);
    let mut moves = Box::pin(old.migrate(&app));
    tokio::select! {
        done = &mut moves => panic!("there was no second pass: {done:?}"),
        () = gate.reached() => {}
    }
    assert_eq!(old.formats(&stale).await.old(), 0, "the first pass has moved everything");
    let ida = format!("/Users/{}", old.people[0]);
    old.call(&stale, "PATCH", &ida, replacing("userName", "late@ex.test")).await.expect(200);
    assert_eq!(number(&old.items(&stale).await["user#late@ex.test"], "v"), 1);
    gate.open();
    assert_eq!(moves.await.unwrap()[0].moved, Some(5));
    old.expect_new(&app, "at the end").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_an_item_is_moved_wins() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    // Past the proxy.
    let beside = app.beside(app.store().tables().clone(), |config| config).await;
    for name in ["gone", "newer"] {
        let old = Old::new(&app, name, 1).await;
        let gate = Gate::default();
        proxy.script("UpdateItem", [Fault::Hold(gate.clone())]);
        let mut moves = Box::pin(old.migrate(&app));
        tokio::select! {
            done = &mut moves => panic!("nothing was moved: {done:?}"),
            () = gate.reached() => {}
        }
        let key = "user#p0@ex.test";
        if name == "gone" {
            let ida = format!("/Users/{}", old.people[0]);
            old.call(&beside, "DELETE", &ida, Value::Null).await.expect(204);
        } else {
            let mut item = old.items(&beside).await[key].clone();
            item.insert("v".to_owned(), AttributeValue::N("3".to_owned()));
            let put = client(&app).put_item().table_name(&app.store().tables().directory);
            put.set_item(Some(item)).send().await.unwrap();
        }
        gate.open();
        moves.await.unwrap();
        let left = old.items(&beside).await;
        assert_eq!(left.get(key).map(|item| number(item, "v")), (name == "newer").then_some(3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_of_the_old_format_that_never_stops_is_told_of() {
    let app = App::start().await;
    let old = Old::new(&app, "old", 1).await;
    let key = [("tenant", "old"), ("key", "user#p0@ex.test")];
    let key = key.map(|(name, text)| (name.to_owned(), AttributeValue::S(text.to_owned())));
    // Each time that something was moved, somebody has moved it back.
    let mut back = |step: Step<'_>| {
        let Step::Moving { moved: 1.., .. } = step else { return };
        let request = client(&app).update_item().table_name(&app.store().tables().directory);
        let request = request.set_key(Some(key.clone().into_iter().collect()));
        let request = request.update_expression("SET v = :v");
        let request = request.expression_attribute_values(":v", AttributeValue::N("1".to_owned()));
        let send = async move { drop(request.send().await.expect("it is moved back")) };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(send));
    };
    let tenants = std::slice::from_ref(&old.tenant);
    let done = migrate(app.store(), &|| app.moment(), tenants, Duration::ZERO, &mut back).await;
    let told = done.unwrap_err().to_string();
    assert!(told.contains("still writes to old in the format before"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_call_the_same_command_goes_on() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let mut killed = 0;
    for operation in ["GetItem", "Query", "UpdateItem", "TransactWriteItems"] {
        for number in 0.. {
            let name = format!("t-{}-{number}", operation.to_ascii_lowercase());
            let old = Old::new(&app, &name, 2).await;
            let gate = Gate::default();
            let held = std::iter::repeat_n(Fault::Pass, number).chain([Fault::Hold(gate.clone())]);
            proxy.script(operation, held);
            let ended = tokio::select! {
                done = old.migrate(&app) => Some(done),
                () = gate.reached() => None,
            };
            proxy.heal();
            if let Some(done) = ended {
                assert_eq!(done.unwrap()[0].moved, Some(3), "{name}");
                assert!(number > 0, "there is no call of {operation}");
                break;
            }
            killed += 1;
            // Everything can be read at any moment, in whatever format it is.
            let read = old.call(&app, "GET", "/Users", Value::Null).await.expect(200).json();
            assert_eq!(read["totalResults"], 2, "{name}");
            old.migrate(&app).await.unwrap();
            old.expect_new(&app, &name).await;
        }
    }
    assert!(killed > 8, "only {killed} calls were there to be killed at");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_does_no_harm() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    for operation in ["UpdateItem", "TransactWriteItems"] {
        for fault in [Fault::LoseAnswer, Fault::FailAfter, Fault::DropBefore] {
            let old = Old::new(&app, &format!("t{}", proxy.calls().len()), 2).await;
            proxy.script(operation, [fault]);
            old.migrate(&app).await.unwrap();
            proxy.heal();
            old.expect_new(&app, operation).await;
        }
    }
    // Too much at once, or an item that a transaction holds: the next pass finds it.
    let old = Old::new(&app, "held", 2).await;
    proxy.script("UpdateItem", [Fault::Refuse("TransactionConflictException")]);
    old.migrate(&app).await.unwrap();
    old.expect_new(&app, "held").await;
    let old = Old::new(&app, "refused", 2).await;
    proxy.script("UpdateItem", [Fault::Refuse("AccessDeniedException")]);
    old.migrate(&app).await.unwrap_err();
    old.migrate(&app).await.unwrap();
    old.expect_new(&app, "refused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_has_written_is_left_to_it() {
    let app = App::start().await;
    let old = Old::new(&app, "old", 1).await;
    let mut item = old.items(&app).await["user#p0@ex.test"].clone();
    item.insert("v".to_owned(), AttributeValue::N("3".to_owned()));
    let put = client(&app).put_item().table_name(&app.store().tables().directory);
    put.set_item(Some(item.clone())).send().await.unwrap();
    let told = old.migrate(&app).await.unwrap_err().to_string();
    assert!(told.contains("format 3") && told.contains("use that version"), "{told}");
    assert_eq!(old.items(&app).await["user#p0@ex.test"], item);
    assert_eq!(old.formats(&app).await.written, 1, "and nothing was begun");
}

#[test]
fn the_command_asks_tells_and_moves() {
    let server = Server::start(&["--tenant", "acme", "--tenant", "globex"]);
    let nothing = server.text(&["migrate", "--all"]);
    assert!(nothing.contains("There is nothing to do"), "{nothing}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // As the version before has left it.
    runtime.block_on(async {
        let client =
            aws_sdk_dynamodb::Client::new(&scim_endpoint::local::sdk_config(server.endpoint()));
        let key = [("tenant", "acme"), ("key", "settings")];
        let key = key.map(|(name, text)| (name.to_owned(), AttributeValue::S(text.to_owned())));
        let request = client.update_item().table_name("scim-directory");
        let request = request.set_key(Some(key.into_iter().collect()));
        request.update_expression("REMOVE resourceFormat").send().await.unwrap();
    });
    // The copy of the settings that its token carries.
    server.run(&["check", "acme", "--repair"]);
    let person = json!({"userName": "ida@ex.test"});
    assert_eq!(server.call(server.token(), "POST", "/Users", &person).0, 201);

    let counted = server.run(&["migrate", "acme", "--status"]);
    let acme =
        json!({"tenant": "acme", "written": 1, "items": {"1": 1}, "old": 1, "current": false});
    assert_eq!(counted, json!({"format": 2, "tenants": [acme]}));
    let told = server.text(&["migrate", "--all", "--dry-run"]);
    assert!(
        told.contains("switch to format 2, move 1")
            && told.contains("scimctl migrate --all --endpoint-url"),
        "{told}"
    );
    let refused = server.refused(&["migrate", "--all"]);
    assert!(
        refused.contains("the deployment is complete") && refused.contains("--yes"),
        "{refused}"
    );
    assert_eq!(server.run(&["migrate", "acme", "--status"]), counted, "nothing was done");
    let done = server.run(&["migrate", "--all", "--yes"]);
    assert_eq!(done, json!({"format": 2, "tenants": [{"tenant": "acme", "moved": 1}]}));
    assert_eq!(server.run(&["migrate", "acme", "--status"])["tenants"][0]["current"], true);
    assert_eq!(server.run(&["check", "acme"])["whole"], true);
    for (arguments, expected) in [
        (vec!["migrate"], "TENANT"),
        (vec!["migrate", "acme", "--all"], "--all"),
        (vec!["migrate", "nobody", "--yes"], "no tenant nobody"),
        (vec!["migrate", "acme", "--status", "--yes"], "--yes"),
    ] {
        let told = server.refused(&arguments);
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
}
