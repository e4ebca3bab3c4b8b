//! What a tenant has, what another one has not, and what becomes of what was stored.

use std::sync::Arc;

use scim_endpoint::admin::AdminError;
use scim_endpoint::admin::tenants::set_schemas;
use scim_endpoint::limits::TENANT_SCHEMAS_MAX;
use scim_endpoint::scim::catalog::{Catalog, Kind};
use scim_endpoint::store::{Cx, Settings, Store};
use serde_json::{Value, json};

use super::{deployed, extends, patch, stored, switch};
use crate::app::App;

const BADGE: &str = "urn:example:params:scim:schemas:extension:badge:1.0:User";
const ROOM: &str = "urn:example:params:scim:schemas:extension:room:1.0";

/// People have badges, and so, if they are asked to, must they have rooms; groups may.
async fn offices() -> App {
    let badge = json!({ "id": BADGE, "name": "Badge", "attributes": [
        { "name": "number", "required": true, "caseExact": true },
        { "name": "color", "canonicalValues": ["red", "green"] },
        { "name": "owner", "type": "reference", "referenceTypes": ["User"] },
        { "name": "keys", "type": "complex", "multiValued": true, "subAttributes": [
            { "name": "value" }, { "name": "lock", "mutability": "immutable" },
        ]},
    ]});
    let room = json!({ "id": ROOM, "name": "Room", "attributes": [{ "name": "floor", "type": "integer" }] });
    let files = [
        ("badge.json", badge.to_string()),
        ("room.json", room.to_string()),
        ("badges.json", extends("User", BADGE, false)),
        ("rooms.json", extends("User", ROOM, true)),
        ("group-rooms.json", extends("Group", ROOM, false)),
    ];
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    deployed(&files).await
}

async fn ids(app: &App, token: &str, path: &str) -> Vec<String> {
    let answer = app.call_as(token, "GET", path, Value::Null).await.expect(200).json();
    let all = answer["Resources"].as_array().unwrap();
    all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

async fn extensions(app: &App, token: &str, name: &str) -> Value {
    let path = format!("/ResourceTypes/{name}");
    app.call_as(token, "GET", &path, Value::Null).await.expect(200).json()["schemaExtensions"]
        .clone()
}

#[tokio::test]
async fn discovery_shows_a_tenant_its_own_set() {
    let app = offices().await;
    let (own, other) = (app.token(), app.other_token());
    let usual = ids(&app, &own, "/Schemas").await;
    switch(&app, &[ROOM, &BADGE.to_uppercase()]).await;
    let whole = ids(&app, &own, "/Schemas").await;
    assert_eq!(whole[..3], usual);
    assert_eq!(whole[3..], [BADGE, ROOM]);
    assert_eq!(ids(&app, &other, "/Schemas").await, usual);
    let listed = extensions(&app, &own, "User").await;
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!(listed[1], json!({ "schema": BADGE, "required": false }));
    assert_eq!(listed[2], json!({ "schema": ROOM, "required": true }));
    assert_eq!(
        extensions(&app, &own, "Group").await,
        json!([{ "schema": ROOM, "required": false }])
    );
    assert_eq!(extensions(&app, &other, "Group").await, Value::Null);
    let path = format!("/Schemas/{BADGE}");
    let badge = app.call("GET", &path, Value::Null).await.expect(200).json();
    assert_eq!(badge["meta"]["resourceType"], "Schema");
    // What the file leaves out is published with its default.
    let number = json!({
        "name": "number", "type": "string", "multiValued": false, "required": true, "caseExact": true,
        "mutability": "readWrite", "returned": "default", "uniqueness": "none",
    });
    assert_eq!(badge["attributes"][0], number);
    assert_eq!(badge["attributes"][2]["caseExact"], true);
    app.call_as(&other, "GET", &path, Value::Null).await.expect(404);
    let config = "/ServiceProviderConfig";
    let left = app.call("GET", config, Value::Null).await.json();
    assert_eq!(left, app.call_as(&other, "GET", config, Value::Null).await.json());
}

#[tokio::test]
async fn what_is_not_switched_on_is_unknown() {
    let app = offices().await;
    switch(&app, &[BADGE]).await;
    let other = app.other_token();
    let body = json!({ "userName": "ida@ex.test", BADGE: { "number": "7" } });
    let mine = app.call("POST", "/Users", body.clone()).await.expect(201);
    assert_eq!(mine.json()[BADGE], json!({ "number": "7" }));
    let theirs = app.call_as(&other, "POST", "/Users", body).await.expect(201);
    assert_eq!(theirs.json()[BADGE], Value::Null);
    let path = format!("/Users/{}", theirs.id());
    let operation = json!([{ "op": "add", "path": format!("{BADGE}:number"), "value": "8" }]);
    let patched = json!({ "schemas": [super::PATCH], "Operations": operation });
    let answer = app.call_as(&other, "PATCH", &path, patched).await.expect(200);
    assert_eq!(
        (answer.json()[BADGE].clone(), &answer.json()["meta"]["version"]),
        (Value::Null, &theirs.json()["meta"]["version"])
    );
    for target in [
        format!("/Users?filter={BADGE}:number%20eq%20%227%22"),
        format!("/Users?sortBy={BADGE}:number"),
    ] {
        app.call("GET", &target, Value::Null).await.expect(200);
        app.call_as(&other, "GET", &target, Value::Null).await.expect(400);
    }
}

#[tokio::test]
async fn switched_off_is_hidden_until_a_put() {
    let app = offices().await;
    switch(&app, &[BADGE]).await;
    let body = json!({ "userName": "ida@ex.test", BADGE: { "number": "7" } });
    let id = app.call("POST", "/Users", body).await.expect(201).id();
    let path = format!("/Users/{id}");
    let seen = async || app.call("GET", &path, Value::Null).await.expect(200).json()[BADGE].clone();
    switch(&app, &[]).await;
    assert_eq!(seen().await, Value::Null);
    patch(&app, &id, json!({ "op": "replace", "path": "title", "value": "Dr" })).await.expect(200);
    switch(&app, &[BADGE]).await;
    assert_eq!(seen().await, json!({ "number": "7" }));
    switch(&app, &[]).await;
    app.call("PUT", &path, json!({ "userName": "ida@ex.test" })).await.expect(200);
    switch(&app, &[BADGE]).await;
    assert_eq!(seen().await, Value::Null);
}

#[tokio::test]
async fn a_required_extension_is_required_of_what_is_new_and_keeps_nobody_in() {
    let app = offices().await;
    let old =
        app.call("POST", "/Users", json!({ "userName": "old@ex.test" })).await.expect(201).id();
    switch(&app, &[ROOM]).await;
    let answer = app.call("POST", "/Users", json!({ "userName": "new@ex.test" })).await.expect(400);
    let detail = format!("{ROOM} is required and must not be empty");
    assert_eq!(answer.json()["detail"], json!(detail));
    let body = json!({ "userName": "new@ex.test", ROOM: { "floor": 3 } });
    let new = app.call("POST", "/Users", body).await.expect(201).id();
    let answer = patch(&app, &new, json!({ "op": "remove", "path": ROOM })).await.expect(400);
    assert_eq!(answer.json()["scimType"], "mutability");
    app.call("PUT", &format!("/Users/{new}"), json!({ "userName": "new@ex.test" }))
        .await
        .expect(400);
    // Who was there before can be switched off.
    patch(&app, &old, json!({ "op": "replace", "path": "active", "value": false }))
        .await
        .expect(200);
    app.call("POST", "/Groups", json!({ "displayName": "Without" })).await.expect(201);
    let group = json!({ "displayName": "With", ROOM: { "floor": 1 } });
    let group = app.call("POST", "/Groups", group).await.expect(201);
    assert_eq!(group.json()[ROOM], json!({ "floor": 1 }));
}

#[tokio::test]
async fn values_are_those_that_the_schema_has() {
    let app = offices().await;
    switch(&app, &[BADGE]).await;
    let body = json!({ "userName": "ida@ex.test", BADGE: { "number": "7" } });
    let id = app.call("POST", "/Users", body).await.expect(201).id();
    let set = async |name: &str, value: &str| {
        let path = format!("{BADGE}:{name}");
        patch(&app, &id, json!({ "op": "add", "path": path, "value": value })).await
    };
    // The name alone finds it, too, and a canonical value is taken in any letter case unless that counts.
    set("color", "GREEN").await.expect(200);
    let answer = set("color", "blue").await.expect(400);
    let detail = "operation 1: color must be one of red, green; another string arrived";
    assert_eq!(answer.json()["detail"], json!(detail));
    for link in ["https://scim.example.test/scim/v2/Users/1", "Users/1", "../Users/1"] {
        set("owner", link).await.expect(200);
    }
    for link in ["Users", "../Groups/1", "https://example.com", "../Users/1?a=b", "a b/Users/1"] {
        set("owner", link).await.expect(400);
    }
    assert_eq!(stored(&app, &id, BADGE).await["color"], "GREEN");
}

#[tokio::test]
async fn an_immutable_part_of_a_lists_value_stays_as_long_as_the_value() {
    let app = offices().await;
    switch(&app, &[BADGE]).await;
    let keys = json!([{ "value": "a", "lock": "front" }, { "value": "b" }]);
    let with =
        |keys: &Value| json!({ "userName": "ida@ex.test", BADGE: { "number": "7", "keys": keys } });
    let id = app.call("POST", "/Users", with(&keys)).await.expect(201).id();
    let lock = |value: &str| format!("{BADGE}:keys[value eq \"{value}\"].lock");
    let other = json!({ "op": "replace", "path": lock("a"), "value": "back" });
    let answer = patch(&app, &id, other).await.expect(400);
    assert_eq!(answer.json()["scimType"], "mutability");
    let changed = json!([{ "value": "a", "lock": "back" }, { "value": "b" }]);
    app.call("PUT", &format!("/Users/{id}"), with(&changed)).await.expect(400);
    // It is set once, and an element may go.
    patch(&app, &id, json!({ "op": "add", "path": lock("b"), "value": "side" })).await.expect(200);
    let gone = json!({ "op": "remove", "path": format!("{BADGE}:keys[value eq \"a\"]") });
    patch(&app, &id, gone).await.expect(200);
    assert_eq!(stored(&app, &id, BADGE).await["keys"], json!([{ "value": "b", "lock": "side" }]));
}

#[tokio::test]
async fn bulk_and_the_root_know_the_tenants_set() {
    let app = offices().await;
    switch(&app, &[BADGE]).await;
    let operation = json!({ "method": "POST", "path": "/Users", "bulkId": "a", "data": { "userName": "ida@ex.test", BADGE: { "number": "7" } } });
    let without = json!({ "method": "POST", "path": "/Users", "bulkId": "b", "data": { "userName": "pat@ex.test", BADGE: { "color": "red" } } });
    let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation, without] });
    let answer = app.call("POST", "/Bulk", body).await.expect(200).json();
    assert_eq!(
        (&answer["Operations"][0]["status"], &answer["Operations"][1]["status"]),
        (&json!("201"), &json!("400"))
    );
    let body = json!({ "filter": format!("{BADGE}:number eq \"7\""), "attributes": [BADGE] });
    let found = app.call("POST", "/.search", body).await.expect(200).json();
    assert_eq!(found["totalResults"], 1);
    assert_eq!(found["Resources"][0][BADGE], json!({ "number": "7" }));
}

#[tokio::test]
async fn only_what_is_deployed_is_switched_on() {
    let app = offices().await;
    let set =
        async |urns: &[String]| set_schemas(app.store(), &app.moment(), &app.tenant(), urns).await;
    let refused = set(&["urn:x:none".to_owned()]).await.unwrap_err();
    assert!(
        matches!(&refused, AdminError::NoSchema(urn, known) if urn == "urn:x:none" && known.len() == 2)
    );
    assert!(refused.to_string().contains(BADGE), "{refused}");
    // Named twice is named once.
    let twice = vec![BADGE.to_owned(); TENANT_SCHEMAS_MAX + 1];
    assert_eq!(set(&twice).await.unwrap(), [BADGE]);
    // What is not deployed any more counts as unknown.
    let less = App::start().await;
    let (moment, tenant) = (less.moment(), less.tenant());
    let (settings, _) = less.store().settings(&moment, &tenant).await.unwrap().unwrap();
    let cx = Cx { tenant: &tenant, settings: &settings, actor: "test", moment: &moment };
    less.store().set_schemas(&cx, vec!["urn:x:gone".to_owned()]).await.unwrap();
    assert_eq!(ids(&less, &less.token(), "/Schemas").await.len(), 3);
}

#[tokio::test]
async fn a_store_with_other_schemas_forgets_what_it_had_put_together() {
    let store = App::start().await.store().clone();
    let settings = Settings { schemas: vec![BADGE.to_owned()], ..Settings::default() };
    let has = |store: &Store| {
        let whole = store.catalog_of(&settings);
        let extensions = &whole.resource_type(Kind::User).extensions;
        extensions.iter().any(|extension| extension.urn == BADGE)
    };
    assert!(!has(&store));
    let deployed = offices().await;
    assert!(has(deployed.store()));
    let badge = json!({ "id": BADGE, "name": "Badge", "attributes": [{ "name": "number" }] });
    let files = [("badge.json", badge.to_string()), ("badges.json", extends("User", BADGE, false))];
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let catalog = Catalog::embedded_with(&files).expect("they fit");
    assert!(has(&store.with_catalog(Arc::new(catalog))));
}
