//! `scimctl resync`: everything is said again, under versions above any that were ever seen, also when it is killed in
//! the middle or beside live traffic; and who has left by what the journal says is switched off first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join;
use scim_endpoint::admin::AdminError;
use scim_endpoint::admin::resync::{Order, Report, Step, resync};
use scim_endpoint::limits::FEED_PAGE;
use scim_endpoint::scim::catalog::Kind;
use scim_endpoint::store::check::Mode;
use scim_endpoint::store::resync::floor_of;
use scim_endpoint::store::{Cx, Settings};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::cli::Server;
use crate::feed::{acknowledged_nothing, rewrite};
use crate::proxy::{Conflicts, Gate, Proxy, Step as Fault};
use crate::races::{delete, get, group, on_members, patch, replacing, user};
use crate::whole::{Item, journal, number, partition, string};

fn everything() -> Order {
    Order { only: None, since: None, leavers_after: None }
}

async fn run(app: &App, order: &Order) -> Result<Report, AdminError> {
    resync(app.store(), &|| app.moment(), &app.tenant(), order, &mut |_| {}).await
}

fn has(item: &Item, event: &str) -> bool {
    item["events"].as_l().unwrap().iter().any(|name| name.as_s().unwrap() == event)
}

/// The items of the journal that say again how something is.
async fn snapshots(app: &App) -> Vec<(String, Item)> {
    let items = journal(app).await;
    items.into_iter().filter(|(_, item)| has(item, "misc:snapshot")).collect()
}

fn off() -> Value {
    json!({"Operations": [{"op": "replace", "path": "active", "value": false}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_said_again_and_nothing_else_changes() {
    let app = App::start().await;
    let (ida, bob) = (user(&app, "ida@ex.test").await, user(&app, "bob@ex.test").await);
    let staff = group(&app, "Staff", &[ida.clone(), bob.clone()]).await;
    patch(&app, &format!("/Users/{bob}"), off()).await.expect(200);
    // A colleague whom the app knows by an account of its own.
    let (settings, moment, tenant) = (Settings::default(), app.moment(), app.tenant());
    let cx = Cx { tenant: &tenant, settings: &settings, actor: "test", moment: &moment };
    let id = scim_endpoint::scim::resource::ResourceId::parse(&ida).unwrap();
    let linked = app.store().get(&cx, Kind::User, id).await.unwrap().unwrap();
    app.store().link(&cx, &linked, Some("account-7".to_owned())).await.unwrap();
    let before = partition(&app).await;

    let report = run(&app, &everything()).await.unwrap();
    assert_eq!((report.said, report.said_before, report.switched_off.len()), (3, 0, 0));
    let floor = floor_of(report.since);
    let now = app.moment().now().unix_millis();
    assert!(floor <= now && now - floor < 600_000, "it is the time: {floor}");

    let after = partition(&app).await;
    for (key, item) in &before {
        let mut expected = item.clone();
        if key.starts_with("user#") || key.starts_with("group#") {
            for name in ["version", "change", "rid"] {
                expected.insert(name.to_owned(), after[key][name].clone());
            }
            assert_eq!(number(&after[key], "version"), i64::try_from(floor).unwrap(), "{key}");
        }
        assert_eq!(after[key], expected, "{key}");
    }
    let told = snapshots(&app).await;
    let [begin, .., end] = told.as_slice() else { panic!("{told:#?}") };
    assert_eq!(begin.0, report.since.to_string());
    for (item, after) in [(&begin.1, ""), (&end.1, begin.0.as_str())] {
        assert_eq!((string(item, "kind"), string(item, "id")), ("Tenant".into(), "acme".into()));
        assert_eq!(string(item, "after"), after);
    }
    let said: BTreeMap<String, &Item> =
        told[1..4].iter().map(|(_, item)| (string(item, "id"), item)).collect();
    assert_eq!(told.len(), 5);
    for (id, active) in [(&ida, Some(true)), (&bob, Some(false)), (&staff, None)] {
        let item = said[id];
        let told = item.get("active").map(|active| *active.as_bool().unwrap());
        assert_eq!(told, active);
        assert_eq!(number(item, "version"), i64::try_from(floor).unwrap());
        assert_eq!(item["events"].as_l().unwrap().len(), 1, "{item:?}");
        assert_eq!(string(item, "actor"), "scimctl");
        assert!(!item.contains_key("changed") && !item.contains_key("added"), "{item:?}");
        // Each names the item before it, which is there.
        assert!(journal(&app).await.contains_key(&string(item, "after")), "{item:?}");
    }
    assert_eq!(string(said[&ida], "appId"), "account-7");
    assert_eq!(string(said[&bob], "userName"), "bob@ex.test");
    assert_eq!(string(said[&staff], "displayName"), "Staff");

    let etag = format!("W/\"{floor}\"");
    let found = get(&app, &format!("/Users/{ida}")).await.expect(200);
    assert_eq!(found.header("etag"), Some(etag.as_str()));
    let found = patch(&app, &format!("/Users/{ida}"), replacing("title", "Chair")).await;
    assert_eq!(found.expect(200).json()["meta"]["version"], format!("W/\"{}\"", floor + 1));

    // Whatever was seen before, the next one is above it.
    app.clock().advance(Duration::from_millis(5));
    let again = run(&app, &everything()).await.unwrap();
    assert!(floor_of(again.since) > floor + 1);
    assert_eq!(again.said, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_kind_alone_is_not_all() {
    let app = App::start().await;
    user(&app, "ida@ex.test").await;
    group(&app, "Staff", &[]).await;
    for (kind, name) in [(Kind::User, "User"), (Kind::Group, "Group")] {
        let seen = snapshots(&app).await.len();
        let report = run(&app, &Order { only: Some(kind), ..everything() }).await.unwrap();
        assert_eq!(report.said, 1);
        let told = snapshots(&app).await;
        let kinds: Vec<String> =
            told[seen..].iter().map(|(_, item)| string(item, "kind")).collect();
        assert_eq!(kinds, ["Tenant", name], "no end is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_write_it_goes_on_where_it_was() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let mut ids = BTreeSet::new();
    for number in 0..3 {
        ids.insert(user(&app, &format!("p{number}@ex.test")).await);
    }
    ids.insert(group(&app, "Staff", &[]).await);
    for number in 0..ids.len() {
        app.clock().advance(Duration::from_secs(1));
        let seen = snapshots(&app).await.len();
        let gate = Gate::default();
        let held = std::iter::repeat_n(Fault::Pass, number).chain([Fault::Hold(gate.clone())]);
        proxy.script("TransactWriteItems", held);
        let began = std::cell::Cell::new(None);
        let mut note = |step: Step| {
            if let Step::Began(at) = step {
                began.set(Some(at));
            }
        };
        let (tenant, order) = (app.tenant(), everything());
        let moments = || app.moment();
        tokio::select! {
            done = resync(app.store(), &moments, &tenant, &order, &mut note) => panic!("{done:?}"),
            () = gate.reached() => {}
        }
        proxy.heal();
        let since = began.get();
        let rest = run(&app, &Order { since, ..everything() }).await.unwrap();
        assert_eq!((rest.said, rest.said_before), (ids.len() - number, number));
        let told = snapshots(&app).await;
        let said: Vec<String> =
            told[seen + 1..told.len() - 1].iter().map(|(_, item)| string(item, "id")).collect();
        assert_eq!(said.len(), ids.len(), "each once");
        assert_eq!(said.iter().cloned().collect::<BTreeSet<_>>(), ids);
        let end = &told.last().unwrap().1;
        assert_eq!(string(end, "after"), since.unwrap().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_live_traffic_everybody_who_stays_is_told() {
    let app = App::start().await;
    let mut people = Vec::new();
    for number in 0..12 {
        people.push(user(&app, &format!("p{number:02}@ex.test")).await);
    }
    let staff = group(&app, "Staff", &people).await;
    let traffic = async {
        for (number, id) in people.iter().enumerate().rev() {
            let target = format!("/Users/{id}");
            match number % 3 {
                // To the front and to the end of the list by name.
                0 => drop(
                    patch(&app, &target, replacing("userName", &format!("a{number}")))
                        .await
                        .expect(200),
                ),
                1 => drop(
                    patch(&app, &target, replacing("userName", &format!("z{number}")))
                        .await
                        .expect(200),
                ),
                _ => drop(delete(&app, &target).await.expect(204)),
            }
            let gone = on_members("remove", std::slice::from_ref(id));
            patch(&app, &format!("/Groups/{staff}"), gone).await.expect(204);
        }
    };
    let (report, ()) = join(run(&app, &everything()), traffic).await;
    let report = report.unwrap();
    let told: BTreeSet<String> =
        snapshots(&app).await.iter().map(|(_, item)| string(item, "id")).collect();
    let floor = i64::try_from(floor_of(report.since)).unwrap();
    for (key, item) in partition(&app).await {
        if key.starts_with("user#") || key.starts_with("group#") {
            assert!(number(&item, "version") >= floor, "{key}: {item:?}");
            assert!(told.contains(&string(&item, "id")), "{key}");
        }
    }
    let moments = || app.moment();
    let whole = app.store().check(&moments, &app.tenant(), Mode::Report, &mut |_| {}).await;
    assert!(whole.unwrap().unwrap().is_whole());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_left_by_the_journal_is_switched_off() {
    let app = App::start().await;
    let mut ids = BTreeMap::new();
    for name in ["stays", "left", "back", "deleted", "before", "renamed"] {
        ids.insert(name, user(&app, &format!("{name}@ex.test")).await);
    }
    let target = |name: &str| format!("/Users/{}", ids[name]);
    let staff = group(&app, "Staff", &[]).await;
    patch(&app, &target("before"), off()).await.expect(200);
    let items = partition(&app).await;
    app.clock().advance(Duration::from_secs(10));
    let instant = app.moment().now();
    // More than a page of what is no change stands before it.
    rewrite(&app, acknowledged_nothing(&app, FEED_PAGE + 1), Vec::new()).await;
    app.clock().advance(Duration::from_secs(1));
    patch(&app, &target("left"), off()).await.expect(200);
    patch(&app, &target("back"), off()).await.expect(200);
    let on = json!({"Operations": [{"op": "replace", "path": "active", "value": true}]});
    patch(&app, &target("back"), on).await.expect(200);
    patch(&app, &target("renamed"), replacing("userName", "other@ex.test")).await.expect(200);
    patch(&app, &target("deleted"), replacing("title", "Last")).await.expect(200);
    delete(&app, &target("deleted")).await.expect(204);
    delete(&app, &format!("/Groups/{staff}")).await.expect(204);
    patch(&app, &target("stays"), replacing("userName", "left@ex.test")).await.expect(409);

    // The Directory as it was, in another table; the journal as it is.
    let mut tables = app.store().tables().clone();
    tables.directory = format!("{}-restored", tables.directory);
    let restored = app.beside(tables.clone(), |config| config).await;
    for (_, item) in items {
        let put = crate::whole::client(&app).put_item().table_name(&tables.directory);
        put.set_item(Some(item)).send().await.unwrap();
    }
    let order = Order { leavers_after: Some(instant), ..everything() };
    let (tenant, moments) = (app.tenant(), || app.moment());
    let store = restored.store();
    let report = resync(store, &moments, &tenant, &order, &mut |_| {}).await.unwrap();
    let off: BTreeSet<String> = report.switched_off.iter().map(ToString::to_string).collect();
    assert_eq!(off, BTreeSet::from([ids["left"].clone(), ids["deleted"].clone()]));
    assert_eq!(report.said, 7);
    let token = app.token();
    for (name, id) in &ids {
        let found = restored.call_as(&token, "GET", &format!("/Users/{id}"), Value::Null).await;
        let active = !["left", "deleted", "before"].contains(name);
        assert_eq!(found.expect(200).json()["active"], active, "{name}");
    }
    // Whoever is switched off already is left alone.
    let again = resync(store, &moments, &tenant, &order, &mut |_| {}).await.unwrap();
    assert_eq!(again.switched_off, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_never_began_cannot_go_on() {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    let report = run(&app, &everything()).await.unwrap();
    let told = snapshots(&app).await;
    let end = Uuid::parse_str(&told.last().unwrap().0).unwrap();
    let of_ida = told.iter().find(|(_, item)| string(item, "id") == ida).unwrap();
    let of_ida = Uuid::parse_str(&of_ida.0).unwrap();
    for since in [end, of_ida, Uuid::nil(), Uuid::parse_str(&ida).unwrap()] {
        let refused = run(&app, &Order { since: Some(since), ..everything() }).await.unwrap_err();
        assert!(matches!(refused, AdminError::NoResync(..)), "{since}: {refused}");
    }
    assert_eq!(snapshots(&app).await.len(), told.len(), "and nothing was said");
    let again = run(&app, &Order { since: Some(report.since), ..everything() }).await.unwrap();
    assert_eq!((again.said, again.said_before), (0, 1));
}

#[test]
fn the_command_says_what_it_has_done() {
    let server = Server::start(&["--tenant", "acme"]);
    let person = json!({"userName": "ida@ex.test"});
    let (_, ida) = server.call(server.token(), "POST", "/Users", &person);
    let began = "2020-01-01T00:00:00Z";
    let told = server.run(&["resync", "acme", "--leavers-after", began]);
    assert_eq!((&told["said"], &told["switched_off"]), (&json!(1), &json!([])));
    let text = server.text(&["resync", "acme"]);
    assert!(text.starts_with("acme: 1 resource is said again, under version 1"), "{text}");
    let since = told["since"].as_str().unwrap();
    let text = server.text(&["resync", "acme", "--since", since]);
    assert!(text.contains("0 resources are said again (1 had been before)"), "{text}");
    let groups = server.run(&["resync", "acme", "--groups"]);
    assert_eq!(groups["said"], 0);
    let id = ida["id"].as_str().unwrap();
    for (arguments, expected) in [
        (vec!["resync", "nobody"], "no tenant nobody"),
        (vec!["resync"], "TENANT"),
        (vec!["resync", "acme", "--users", "--groups"], "--groups"),
        (vec!["resync", "acme", "--since", "yesterday"], "--since"),
        (vec!["resync", "acme", "--since", id], "run it without --since"),
        (vec!["resync", "acme", "--leavers-after", "yesterday"], "2026-11-21T08:00:00Z"),
    ] {
        let told = server.refused(&arguments);
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    assert_eq!(server.run(&["check", "acme"])["whole"], true);
}
