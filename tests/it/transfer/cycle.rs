//! The promise of an import: an identity provider that comes afterwards finds everybody, creates nobody, and what the app
//! has noted stays.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::io::Cursor;
use std::time::Duration;

use scim_endpoint::config::Config;
use scim_endpoint::moment::Moment;
use scim_endpoint::scim::catalog::Kind;
use scim_endpoint::store::Store;
use scim_endpoint::transfer::import::import;
use scim_endpoint::transfer::report::{Event, Outcome};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{USUAL, assert_checked, import_usual, total};
use crate::app::App;
use crate::proxy::is_left_out;
use crate::whole::{assert_whole, journal, partition, string};

const PEOPLE: usize = 500;

/// What the app's own database has of its people, as a CSV.
pub(super) fn as_csv(people: usize) -> String {
    let mut file =
        "userName,appId,externalId,active,name.givenName,displayName,emails.work\r\n".to_owned();
    for n in 0..people {
        write!(
            file,
            "P{n}@Example.com,account-{n},oid-{n},yes,Given{n},\"Given{n}, P\",p{n}@example.com\r\n"
        )
        .unwrap();
    }
    file
}

/// The same people as JSON lines.
fn as_json_lines(people: usize) -> String {
    let lines = (0..people).map(|n| {
        json!({"kind": "User", "appId": format!("account-{n}"), "resource": {
            "userName": format!("P{n}@Example.com"), "externalId": format!("oid-{n}"), "active": true,
            "name": {"givenName": format!("Given{n}")}, "displayName": format!("Given{n}, P"),
            "emails": [{"type": "work", "value": format!("p{n}@example.com")}],
        }})
        .to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Everybody's id by userName.
pub(super) async fn ids(app: &App) -> BTreeMap<String, String> {
    let items = partition(app).await;
    let people = items.values().filter(|item| string(item, "key").starts_with("user#"));
    people.map(|item| (string(item, "userName"), string(item, "id"))).collect()
}

/// What Entra does with one person in an initial cycle: it looks for them by the matching attribute; when nobody is there
/// it sends a POST, and when somebody is, a PATCH of what it maps and finds different. The id of whom it found, and
/// whether it had something to change.
pub(super) async fn provision(app: &App, n: usize, filter: &str) -> (Option<String>, bool) {
    let query =
        percent_encoding::percent_encode(filter.as_bytes(), percent_encoding::NON_ALPHANUMERIC);
    let found = app.call("GET", &format!("/Users?filter={query}"), Value::Null).await.expect(200);
    let found = found.json();
    assert_invisible(&found);
    let people = found["Resources"].as_array().unwrap();
    let [person] = people.as_slice() else { return (None, false) };
    let id = person["id"].as_str().unwrap().to_owned();
    if person["title"] == "Engineer" {
        return (Some(id), false);
    }
    let operations = json!([
        {"op": "Add", "path": "title", "value": "Engineer"},
        {"op": "Replace", "path": "displayName", "value": format!("Given{n} P")},
        {"op": "Replace", "path": "active", "value": "True"},
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": format!("p{n}@example.com")},
    ]);
    let patch = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations,
    });
    let patched = app.call("PATCH", &format!("/Users/{id}"), patch).await.expect(200);
    assert_invisible(&patched.json());
    (Some(id), true)
}

/// What the app calls somebody is no client's business.
#[track_caller]
fn assert_invisible(answer: &Value) {
    let text = answer.to_string();
    assert!(!text.contains("account-") && !text.to_lowercase().contains("appid"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_initial_cycle_after_an_import_creates_nobody() {
    if is_left_out("it would copy a table of a thousand items before each transaction") {
        return;
    }
    let app =
        App::start_with(|config| Config { token_cache: Duration::from_secs(30), ..config }).await;
    let imported = import_usual(&app, &as_csv(PEOPLE)).await;
    assert_eq!(imported.counts(), BTreeMap::from([("created", PEOPLE)]));
    assert!(imported.report.is_clean() && imported.report.survey.warnings.is_empty());
    let before = ids(&app).await;
    assert_eq!(before.len(), PEOPLE);

    // Again, in the other form: everybody is there.
    let again = import_usual(&app, &as_json_lines(PEOPLE)).await;
    assert_eq!(again.counts(), BTreeMap::from([("unchanged", PEOPLE)]), "{:?}", again.told());

    let matched_by: [fn(usize) -> String; 3] = [
        |n| format!("userName eq \"p{n}@example.com\""),
        |n| format!("externalId eq \"oid-{n}\""),
        |n| format!("emails[type eq \"work\"].value eq \"P{n}@example.com\""),
    ];
    let mut changed = Vec::new();
    for filter in matched_by {
        let mut patched = 0;
        for n in 0..PEOPLE {
            let (found, was_changed) = provision(&app, n, &filter(n)).await;
            let expected = &before[&format!("P{n}@Example.com")];
            assert_eq!(found.as_ref(), Some(expected), "{}", filter(n));
            patched += usize::from(was_changed);
        }
        changed.push(patched);
    }
    assert_eq!(changed, [PEOPLE, 0, 0]);
    assert_eq!(ids(&app).await, before, "nobody was created, and ids are as they were");
    assert_eq!(total(&app, Kind::User).await, PEOPLE);
    let items = partition(&app).await;
    for n in 0..PEOPLE {
        let item = &items[&format!("user#p{n}@example.com")];
        assert_eq!(string(item, "appId"), format!("account-{n}"), "the app's ids are kept");
        assert_eq!(string(item, "displayName"), format!("Given{n} P"));
    }
    assert_whole(&items);
    let items = journal(&app).await;
    let told = |name: &str| items.values().filter(|item| string(item, "actor") == name).count();
    assert_eq!(told("scimctl import"), PEOPLE);
    assert!(items.values().all(|item| string(item, "appId").starts_with("account-")));
    assert_checked(&app, &app.tenant()).await;
}

/// Runs until one of the two is done.
async fn until<T>(work: impl Future<Output = T>, stop: impl Future<Output = ()>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop => None,
        done = work => Some(done),
    }
}

#[tokio::test]
async fn an_import_that_was_killed_goes_on() {
    let app = App::start().await;
    let mut file = as_json_lines(120);
    let members: Vec<Value> = (0..120).map(|n| json!({"appId": format!("account-{n}")})).collect();
    let group =
        json!({"appId": "team", "resource": {"displayName": "Everybody"}, "members": members});
    write!(file, "\n{group}\n").unwrap();
    let (stop, moments, tenant) = (Notify::new(), || app.moment(), app.tenant());
    let mut killed = 0;
    // In the people, in the people again, after the people.
    for rows in [30, 100, 121] {
        let mut created = 0;
        let mut events = |event| {
            if let Event::Settled(entry) = event {
                created += usize::from(
                    entry.outcome == Outcome::Created || entry.outcome == Outcome::Unchanged,
                );
                if created == rows {
                    stop.notify_one();
                }
            }
        };
        let mut input = Cursor::new(file.as_bytes());
        let place: (&Store, &dyn Fn() -> Moment) = (app.store(), &moments);
        let work = import(place, &tenant, &mut input, &USUAL, &mut events);
        // Whatever is in flight is dropped, as a kill would.
        killed += usize::from(until(work, stop.notified()).await.is_none());
        assert_checked(&app, &tenant).await;
    }
    assert_eq!(killed, 3);
    let there = total(&app, Kind::User).await;
    let last = import_usual(&app, &file).await;
    assert!(last.report.is_clean(), "{:?}", last.told());
    assert_eq!(last.report.count(Outcome::Created), 120 - there);
    assert_eq!(last.report.added + last.report.present, 120);
    assert_eq!((total(&app, Kind::User).await, total(&app, Kind::Group).await), (120, 1));
    assert_whole(&partition(&app).await);
    assert_checked(&app, &tenant).await;
    let settled = import_usual(&app, &file).await;
    assert_eq!(settled.counts(), BTreeMap::from([("unchanged", 121)]));
    assert_eq!((settled.report.added, settled.report.present), (0, 120));
}
