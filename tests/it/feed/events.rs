//! What happened, by name: what an app listens for is told once for each cause, and never without one.

use std::time::Duration;

use scim_endpoint::limits::WORK_ABANDONED;
use scim_endpoint::ops::jobs;
use serde_json::{Value, json};

use super::items;
use crate::app::App;
use crate::races::{crowd, delete, entries, group, on_members, patch, replacing, user};

/// The events of a resource, change by change.
fn events_of(items: &[Value], id: &str) -> Vec<Vec<String>> {
    let own = items.iter().filter(|item| item["id"] == id);
    own.map(|item| serde_json::from_value(item["events"].clone()).unwrap()).collect()
}

#[tokio::test]
async fn whoever_may_not_come_in_any_more_is_told_of_once() {
    let app = App::start().await;
    let (ida, bob) = (user(&app, "ida@ex.test").await, user(&app, "bob@ex.test").await);
    let eve = json!({"userName": "eve@ex.test", "active": false});
    let eve = app.call("POST", "/Users", eve).await.expect(201).id();
    for id in [&ida, &eve] {
        for active in ["False", "False", "True", "False"] {
            patch(&app, &format!("/Users/{id}"), replacing("active", active)).await.expect(200);
        }
    }
    for id in [&ida, &bob] {
        delete(&app, &format!("/Users/{id}")).await.expect(204);
    }
    let items = items(&app).await;
    let (patched, on, off) = (
        "prov:patch:notice",
        ["prov:activate", "user.reactivated"],
        ["prov:deactivate", "user.deactivated"],
    );
    let disabled = vec![patched, off[0], off[1]];
    let enabled = vec![patched, on[0], on[1]];
    let created = vec!["prov:create:notice"];
    let expected =
        [created.clone(), disabled.clone(), enabled.clone(), disabled.clone(), vec!["prov:delete"]];
    assert_eq!(events_of(&items, &ida), expected, "the delete of one who was inactive");
    assert_eq!(events_of(&items, &eve), [created.clone(), enabled, disabled]);
    assert_eq!(events_of(&items, &bob), [created, vec!["prov:delete", "user.deactivated"]]);
    let active = |id: &str| -> Vec<Value> {
        let own = items.iter().filter(|item| item["id"] == id);
        own.map(|item| item["active"].clone()).collect()
    };
    assert_eq!(active(&bob), [json!(true), json!(false)]);
}

#[tokio::test]
async fn who_came_into_a_group_and_who_left_is_told() {
    let app = App::start().await;
    let people = [user(&app, "a@ex.test").await, user(&app, "b@ex.test").await];
    let id = group(&app, "Staff", &people[..1]).await;
    let url = format!("/Groups/{id}");
    patch(&app, &url, on_members("add", &people)).await.expect(204);
    patch(&app, &url, on_members("remove", &people[..1])).await.expect(204);
    patch(&app, &url, on_members("replace", &people[..1])).await.expect(204);
    patch(&app, &url, replacing("displayName", "Crew")).await.expect(204);
    delete(&app, &format!("/Users/{}", people[0])).await.expect(204);
    let items = items(&app).await;
    let (added, removed) = ("group.member.added", "group.member.removed");
    let patched = "prov:patch:notice";
    let expected = [
        vec!["prov:create:notice", added],
        vec![patched, added],
        vec![patched, removed],
        vec![patched, added, removed],
        vec![patched],
    ];
    assert_eq!(events_of(&items, &id), expected);
    let own: Vec<&Value> = items.iter().filter(|item| item["id"] == id).collect();
    assert_eq!((&own[1]["added"], &own[1]["removed"]), (&json!([people[1]]), &Value::Null));
    assert_eq!(own[2]["removed"], json!([people[0]]));
    assert_eq!((&own[3]["added"], &own[3]["removed"]), (&json!([people[0]]), &json!([people[1]])));
    let end = items.last().unwrap();
    assert_eq!((&end["id"], &end["groups"]), (&json!(people[0]), &json!([id])));
}

#[tokio::test]
async fn a_change_in_chunks_tells_each_member_once() {
    let app = App::start().await;
    let people = crowd(&app, 100).await;
    let id = group(&app, "Everybody", &people[..80]).await;
    let url = format!("/Groups/{id}");
    let body = json!({"displayName": "All", "members": entries(&people[40..])});
    app.call("PUT", &url, body).await.expect(200);
    delete(&app, &url).await.expect(204);
    app.clock().advance(WORK_ABANDONED + Duration::from_secs(1));
    jobs::run(app.store(), &app.moment()).await.unwrap();
    let items = items(&app).await;
    let own = |name: &str, of: &dyn Fn(&Value) -> bool| -> Vec<String> {
        let items = items.iter().filter(|item| item["id"] == id && of(item));
        let listed = items.flat_map(|item| item[name].as_array().cloned().unwrap_or_default());
        let mut listed: Vec<String> = listed.map(|id| id.as_str().unwrap().to_owned()).collect();
        listed.sort();
        listed
    };
    let sorted = |ids: &[String]| {
        let mut ids = ids.to_vec();
        ids.sort();
        ids
    };
    let is = |item: &Value, event: &str| item["events"].as_array().unwrap().contains(&json!(event));
    let created = |item: &Value| is(item, "prov:create:notice");
    assert_eq!(own("added", &created), sorted(&people[..80]));
    let replaced = |item: &Value| is(item, "prov:put:notice");
    assert_eq!(own("added", &replaced), sorted(&people[80..]));
    assert_eq!(own("removed", &replaced), sorted(&people[..40]));
    let swept = |item: &Value| is(item, "misc:memberships-swept");
    assert_eq!(own("removed", &swept), sorted(&people[40..]));
    let versions = |of: &dyn Fn(&Value) -> bool| -> Vec<u64> {
        let own = items.iter().filter(|item| item["id"] == id && of(item));
        own.map(|item| item["version"].as_u64().unwrap()).collect()
    };
    assert_eq!(versions(&replaced), [2, 3, 4]);
    assert_eq!(versions(&|item| is(item, "prov:delete")), [5]);
    assert_eq!(versions(&swept), [0, 0]);
}

#[tokio::test]
async fn an_item_is_what_the_contract_says() {
    let app = App::start().await;
    let body = json!({"userName": "Ida@ex.test", "displayName": "Ida", "externalId": "x-1", "active": true});
    let ida = app.call("POST", "/Users", body).await.expect(201).id();
    patch(&app, &format!("/Users/{ida}"), replacing("title", "Chair")).await.expect(200);
    app.call("POST", "/Users", json!({"userName": "ida@ex.test"})).await.expect(409);
    let items = items(&app).await;
    let names =
        |item: &Value| -> Vec<String> { item.as_object().unwrap().keys().cloned().collect() };
    let contract = |more: &[&str]| -> Vec<String> {
        let every = ["tenant", "at", "v", "events", "actor", "request", "expires"];
        let mut all: Vec<String> =
            every.iter().chain(more).map(|name| (*name).to_owned()).collect();
        all.sort();
        all
    };
    let resource =
        ["kind", "id", "version", "userName", "displayName", "externalId", "active"].as_slice();
    assert_eq!(names(&items[0]), contract(resource));
    let changed = [resource, &["after", "changed"]].concat();
    assert_eq!(names(&items[1]), contract(&changed));
    assert_eq!((&items[1]["after"], &items[1]["changed"]), (&items[0]["at"], &json!(["title"])));
    assert_eq!(items[1]["userName"], "Ida@ex.test");
    let refused = ["status", "scimType", "detail", "method", "path", "userName"];
    assert_eq!(names(&items[2]), contract(&refused));
    assert_eq!((&items[2]["status"], &items[2]["path"]), (&json!(409), &json!("/Users")));
    for name in items.iter().flat_map(names) {
        let told = format!("`{name}`");
        assert!(
            include_str!("../../../docs/CHANGES.md").contains(&told),
            "docs/CHANGES.md: {name}"
        );
    }
}

#[tokio::test]
async fn what_has_changed_is_named_attribute_by_attribute() {
    let app = App::start().await;
    let ent = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let user = |title: &str, enterprise: Value| {
        json!({"userName": "ida@ex.test", "title": title, "nickName": "I", "locale": "sv-SE",
               (ent): enterprise})
    };
    let before = json!({"department": "One", "costCenter": "1", "organization": "O"});
    let id = app.call("POST", "/Users", user("Chair", before)).await.expect(201).id();
    let after = json!({"department": "Two", "division": "D", "organization": "O"});
    let target = format!("/Users/{id}");
    app.call("PUT", &target, user("Director", after.clone())).await.expect(200);
    let mut without = user("Director", after);
    without.as_object_mut().unwrap().remove("nickName");
    app.call("PUT", &target, without).await.expect(200);
    let items = items(&app).await;
    let changed = |item: &Value| {
        let mut names: Vec<String> =
            serde_json::from_value(item["changed"].clone()).expect("a list of names");
        names.sort();
        names
    };
    let own = |name: &str| format!("{ent}:{name}");
    let expected =
        ["title".to_owned(), own("costCenter"), own("department"), own("division")].to_vec();
    assert_eq!(changed(&items[1]), expected);
    assert_eq!(changed(&items[2]), ["nickName"]);
    let team = group(&app, "Team", &[]).await;
    let target = format!("/Groups/{team}");
    for change in [
        on_members("add", std::slice::from_ref(&id)),
        on_members("remove", std::slice::from_ref(&id)),
        replacing("displayName", "Crew"),
    ] {
        patch(&app, &target, change).await.expect(204);
    }
    let items = self::items(&app).await;
    let told: Vec<_> = items.iter().filter(|item| item["id"] == json!(team)).skip(1).collect();
    let told: Vec<_> = told.into_iter().map(changed).collect();
    assert_eq!(told, [["members"], ["members"], ["displayName"]]);
}
