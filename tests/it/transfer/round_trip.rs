//! What is exported comes back as it was: in an empty tenant, in another store, under the same ids.

use std::collections::BTreeMap;

use scim_endpoint::scim::catalog::Kind;
use scim_endpoint::transfer::TransferError;
use scim_endpoint::transfer::report::{Options, Writing};
use serde_json::{Value, json};

use super::{USUAL, assert_checked, export_of, import_usual, total, try_import};
use crate::app::App;
use crate::proxy::{Conflicts, Proxy, Step, is_left_out};
use crate::races::{crowd, get};
use crate::whole::{Item, assert_whole, partition, string};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// People of every sort, and groups in groups.
async fn fill(app: &App) {
    let file = json!([
        {"appId": "acc-1", "resource": {
            "userName": "Ann@Example.com", "externalId": "oid-1", "displayName": "Ann #1 100%",
            "name": {"givenName": "Ann", "familyName": "Straße"}, "title": "R&D\n\"lead\"",
            "emails": [{"type": "work", "value": "Ann@Example.com", "primary": true},
                       {"type": "home", "value": "ann@home.example"}],
            ENTERPRISE: {"department": "Tööls", "manager": {"value": "26118915-6090-4610-87e4-49d8ca9f808d"}}}},
        {"appId": "acc-2", "resource": {"userName": "ben@example.com", "active": false}},
        {"resource": {"userName": "cat@example.com"}},
        {"appId": "team-1", "resource": {"displayName": "Team", "externalId": "g-1"},
         "members": ["ann@example.com", "appId:acc-2"]},
        {"resource": {"displayName": "All"}, "members": [{"group": "Team"}, "cat@example.com"]},
        {"resource": {"displayName": "Empty"}},
    ]);
    let lines: Vec<String> = file.as_array().unwrap().iter().map(ToString::to_string).collect();
    let imported = import_usual(app, &lines.join("\n")).await;
    assert!(imported.report.is_clean(), "{:?}", imported.told());
    // Somebody whose `active` was taken away may not come in, and must not by being restored.
    let dan = json!({"userName": "dan@example.com"});
    let dan = app.call("POST", "/Users", dan).await.expect(201).id();
    let remove = json!({"Operations": [{"op": "remove", "path": "active"}]});
    app.call("PATCH", &format!("/Users/{dan}"), remove).await.expect(200);
}

/// The items without what is new in each: versions, times, who wrote, counters' shards, tokens, memberships' numbers.
fn essence(items: &BTreeMap<String, Item>) -> BTreeMap<String, Item> {
    let sorts = ["user", "id", "match", "group", "groupname", "unique", "member", "memberof"];
    let kept = items
        .iter()
        .filter(|(key, _)| key.split('#').next().is_some_and(|sort| sorts.contains(&sort)));
    let without = ["version", "lastModified", "rid", "change", "memberships"];
    let stripped = kept.map(|(key, item)| {
        let item = item.iter().filter(|(name, _)| !without.contains(&name.as_str()));
        (key.clone(), item.map(|(name, value)| (name.clone(), value.clone())).collect())
    });
    stripped.collect()
}

fn versions(items: &BTreeMap<String, Item>) -> BTreeMap<String, u64> {
    let all = items.iter().filter_map(|(key, item)| {
        let version = item.get("version")?.as_n().ok()?.parse().ok()?;
        Some((key.clone(), version))
    });
    all.collect()
}

#[tokio::test]
async fn an_export_restores_an_empty_tenant() {
    let old = App::start().await;
    fill(&old).await;
    let (file, done) = export_of(&old, &old.tenant()).await;
    assert_eq!((done.users, done.groups, done.memberships), (4, 3, 4));
    assert!(!file.contains("scim_") && !file.contains(&old.token()), "no token leaves");
    let first: Value = serde_json::from_str(file.lines().next().unwrap()).unwrap();
    assert_eq!(first["export"]["tenant"], "acme");
    let last: Value = serde_json::from_str(file.lines().last().unwrap()).unwrap();
    assert_eq!(last, json!({"end": {"users": 4, "groups": 3, "memberships": 4}}));

    let new = App::start().await;
    let rehearsed = Options { writing: Writing::Rehearsed, ..USUAL };
    let told = try_import(&new, &new.tenant(), &file, &rehearsed).await.unwrap();
    assert_eq!(told.counts(), BTreeMap::from([("created", 7)]), "{:?}", told.told());
    assert_eq!(told.report.added, 4);
    assert_eq!(total(&new, Kind::User).await, 0);

    let restored = import_usual(&new, &file).await;
    assert_eq!(restored.counts(), BTreeMap::from([("created", 7)]), "{:?}", restored.told());
    assert_eq!(restored.report.added, 4);
    let (before, after) = (partition(&old).await, partition(&new).await);
    assert_eq!(essence(&after), essence(&before));
    assert_whole(&after);
    assert_checked(&new, &new.tenant()).await;
    // Readers of the feed order by version: it never goes back.
    for (key, version) in versions(&before).iter().filter(|(key, _)| !key.starts_with("settings")) {
        assert!(versions(&after)[key] > version + 1_000_000_000_000, "{key}");
    }
    let dan = get(&new, "/Users?filter=userName+eq+%22dan%40example.com%22").await.json();
    assert_eq!(dan["Resources"][0]["active"], Value::Null);

    // Again, into the old store and into the new one: nothing to do.
    for app in [&old, &new] {
        let again = import_usual(app, &file).await;
        assert_eq!(again.counts(), BTreeMap::from([("unchanged", 7)]), "{:?}", again.told());
        assert_eq!((again.report.added, again.report.present), (0, 4));
    }
    let (exported_again, _) = export_of(&new, &new.tenant()).await;
    let without_times = |file: &str| -> Vec<Value> {
        let lines = file.lines().skip(1).map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            for name in ["version", "lastModified"] {
                line.as_object_mut().unwrap().remove(name);
            }
            line
        });
        lines.collect()
    };
    assert_eq!(without_times(&exported_again), without_times(&file));
}

#[tokio::test]
async fn a_restored_version_is_newer_than_that_of_the_restore_before() {
    let file = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","version":3,"created":"2026-01-31T08:00:00.000Z","resource":{"userName":"ann@example.com"}}"#;
    let (first, second) = (App::start().await, App::start().await);
    second.clock().advance(std::time::Duration::from_mins(1));
    let mut seen = Vec::new();
    for app in [&first, &second] {
        import_usual(app, file).await;
        let items = partition(app).await;
        let ann = &items["user#ann@example.com"];
        assert_eq!(string(ann, "created"), "2026-01-31T08:00:00.000Z");
        seen.push(versions(&items)["user#ann@example.com"]);
    }
    assert!(seen[0] > 1_000_000_000_000 && seen[1] > seen[0], "{seen:?}");
}

#[tokio::test]
async fn an_id_of_somebody_else_is_a_conflict() {
    let app = App::start().await;
    fill(&app).await;
    let (file, _) = export_of(&app, &app.tenant()).await;
    let row = |name: &str| {
        let line = file.lines().find(|line| line.contains(name)).unwrap();
        serde_json::from_str::<Value>(line).unwrap()
    };
    let (ann, team) = (row("Ann@Example.com"), row("\"Team\""));
    let other = "01890a5d-ac96-774b-bcce-b302099a8057";
    let conflicts = [
        // The name is there under another id.
        (
            json!({"id": other, "resource": {"userName": "ann@example.com"}}),
            "1 conflict  its name belongs to the person \"Ann@Example.com\" (id ",
        ),
        // The id is there, and the name is somebody else's.
        (
            json!({"id": ann["id"], "resource": {"userName": "ben@example.com"}}),
            "1 conflict  its name belongs to the person \"ben@example.com\" (id ",
        ),
        // The id is a group's.
        (
            json!({"id": team["id"], "resource": {"userName": "new@example.com"}}),
            "1 conflict  its id belongs to the group \"Team\" (id ",
        ),
        // The account is somebody else's.
        (
            json!({"id": other, "appId": "acc-1", "resource": {"userName": "new@example.com"}}),
            "1 conflict  appId \"acc-1\" belongs to the person \"Ann@Example.com\" (id ",
        ),
        // Renamed since: the directory is right.
        (
            json!({"id": ann["id"], "resource": {"userName": "ann.lee@example.com"}}),
            "1 differs userName",
        ),
    ];
    let before = partition(&app).await;
    for (line, expected) in conflicts {
        let told = import_usual(&app, &line.to_string()).await.told();
        assert!(told[0].starts_with(expected), "{}\n{expected}", told[0]);
    }
    assert_eq!(partition(&app).await, before);
}

#[tokio::test]
async fn a_large_group_takes_several_lines_and_several_steps() {
    if is_left_out("it would copy a table of a thousand items before each transaction") {
        return;
    }
    let app = App::start().await;
    let people = crowd(&app, 1_050).await;
    let members: Vec<Value> = people.iter().map(|id| json!({"id": id})).collect();
    let line = json!({"resource": {"displayName": "Everybody"}, "members": members});
    let imported = import_usual(&app, &line.to_string()).await;
    assert_eq!(
        (imported.counts(), imported.report.added),
        (BTreeMap::from([("created", 1)]), 1_050)
    );
    let (file, done) = export_of(&app, &app.tenant()).await;
    assert_eq!((done.users, done.groups, done.memberships), (1_050, 1, 1_050));
    assert_eq!(file.lines().filter(|line| line.contains("\"continued\":true")).count(), 1);
    let groups: Vec<&str> = file.lines().filter(|line| line.contains("\"Group\"")).collect();
    let again = import_usual(&app, &groups.join("\n")).await;
    assert_eq!(again.counts(), BTreeMap::from([("unchanged", 1)]));
    assert_eq!((again.report.added, again.report.present), (0, 1_050));
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_is_waited_for() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    // Three attempts of the SDK's, for two reads.
    proxy.script("GetItem", std::iter::repeat_n(Step::FailBefore, 6));
    proxy.script("TransactWriteItems", [Step::LoseAnswer, Step::Conflict, Step::FailAfter]);
    let imported = import_usual(&app, "userName,appId\na@ex.test,acc-1\nb@ex.test,acc-2\n").await;
    assert_eq!(imported.told(), ["2 created", "3 created"]);
    assert_whole(&partition(&app).await);

    proxy.always("Query", Step::Refuse("AccessDeniedException"));
    let done = try_import(&app, &app.tenant(), "userName,appId\nc@ex.test,acc-3\n", &USUAL).await;
    assert!(matches!(done, Err(TransferError::Store(_))));
    proxy.heal();
    let (file, _) = export_of(&app, &app.tenant()).await;
    assert_eq!(file.lines().count(), 4);
}
