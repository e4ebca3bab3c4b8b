//! Resource types of a deployment's own: every operation, another tenant, what the journal and the check say.

use aws_sdk_dynamodb::types::AttributeValue;
use scim_endpoint::admin::tokens::{self, Life};
use scim_endpoint::store::check::Mode;
use scim_endpoint::store::scopes::{Scope, Scopes};
use serde_json::{Value, json};

use super::{PATCH, deployed, extends, switch};
use crate::app::{Answer, App};
use crate::feed;
use crate::whole::{client, partition};

pub(super) const DEVICE: &str = "urn:example:params:scim:schemas:core:1.0:Device";
pub(super) const LEASE: &str = "urn:example:params:scim:schemas:extension:lease:1.0:Device";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/// Devices, which may be leased; one tenant has them.
pub(super) async fn workshop() -> App {
    let device = json!({ "id": DEVICE, "name": "Device", "attributes": [
        { "name": "serial", "required": true, "caseExact": true },
        { "name": "displayName" },
        { "name": "cores", "type": "integer" },
        { "name": "owner", "type": "reference", "referenceTypes": ["User", "Device"] },
        { "name": "tags", "multiValued": true },
        { "name": "pin", "mutability": "writeOnly", "returned": "never" },
    ]});
    let lease = json!({ "id": LEASE, "name": "Lease", "attributes": [{ "name": "until", "type": "dateTime" }] });
    let kind = json!({ "name": "Device", "endpoint": "/Devices", "schema": DEVICE, "description": "A machine." });
    let files = [
        ("device.json", device.to_string()),
        ("lease.json", lease.to_string()),
        ("type.json", kind.to_string()),
        ("leases.json", {
            // The type's own document may say it, too.
            let mut kind: Value = kind.clone();
            kind["name"] = json!("Tablet");
            kind["endpoint"] = json!("/Tablets");
            kind["schema"] = json!("urn:example:tablet");
            kind["schemaExtensions"] = json!([{ "schema": LEASE, "required": true }]);
            kind.to_string()
        }),
        (
            "tablet.json",
            json!({ "id": "urn:example:tablet", "attributes": [{ "name": "model" }] }).to_string(),
        ),
        ("users.json", extends("User", LEASE, false)),
    ];
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let app = deployed(&files).await;
    switch(&app, &[DEVICE]).await;
    app
}

pub(super) fn device(serial: &str) -> Value {
    json!({ "schemas": [DEVICE], "serial": serial, "externalId": format!("x-{serial}"), "cores": serial.len(), "pin": "1234" })
}

pub(super) async fn create(app: &App, serial: &str) -> Answer {
    app.call("POST", "/Devices", device(serial)).await.expect(201)
}

pub(super) async fn serials(app: &App, target: &str) -> String {
    let answer = app.call("GET", target, Value::Null).await.expect(200).json();
    let found = answer["Resources"].as_array().cloned().unwrap_or_default();
    let of = |one: &Value| one["serial"].as_str().unwrap_or("-").to_owned();
    found.iter().map(of).collect::<Vec<_>>().join(" ")
}

pub(super) async fn is_whole(app: &App) {
    let moments = || app.moment();
    let report = app.store().check(&moments, &app.tenant(), Mode::Report, &mut |_| {}).await;
    let report = report.unwrap().unwrap();
    assert!(report.is_whole() && report.findings.is_empty(), "{report:#?}");
}

#[tokio::test]
async fn a_resource_is_created_read_changed_and_deleted() {
    let app = workshop().await;
    let made = create(&app, "a7").await;
    let (id, path) = (made.id(), format!("/Devices/{}", made.id()));
    let location = format!("{}{path}", app.base_url());
    assert_eq!(made.header("location"), Some(location.as_str()));
    let body = made.json();
    assert_eq!(body["schemas"], json!([DEVICE]));
    assert_eq!(
        (&body["meta"]["resourceType"], &body["meta"]["location"]),
        (&json!("Device"), &json!(location))
    );
    assert_eq!(
        (&body["serial"], &body["cores"], &body["pin"]),
        (&json!("a7"), &json!(2), &Value::Null)
    );
    assert_eq!(app.call("GET", &path, Value::Null).await.expect(200).json(), body);
    let tag = made.header("etag").unwrap().to_owned();
    let operations = json!([
        { "op": "add", "path": "tags", "value": ["lab", "old"] },
        { "op": "replace", "value": { format!("{DEVICE}:owner"): "../Users/1" } },
        { "op": "remove", "path": "tags", "value": ["old"] },
    ]);
    let patched = app
        .call("PATCH", &path, json!({ "schemas": [PATCH], "Operations": operations }))
        .await
        .expect(200);
    assert_eq!(
        (&patched.json()["tags"], &patched.json()["owner"]),
        (&json!(["lab"]), &json!("../Users/1"))
    );
    assert_ne!(patched.header("etag"), Some(tag.as_str()));
    let none = json!({ "schemas": [PATCH], "Operations": [{ "op": "remove", "path": "serial" }] });
    assert_eq!(app.call("PATCH", &path, none).await.expect(400).json()["scimType"], "mutability");
    app.call("PUT", &path, json!({ "cores": 4 })).await.expect(400);
    let put = app.call("PUT", &path, json!({ "serial": "a8" })).await.expect(200).json();
    assert_eq!(
        (&put["serial"], &put["tags"], &put["externalId"]),
        (&json!("a8"), &Value::Null, &Value::Null)
    );
    // It is no user, and no user is one.
    app.call("GET", &format!("/Users/{id}"), Value::Null).await.expect(404);
    let ida =
        app.call("POST", "/Users", json!({ "userName": "ida@ex.test" })).await.expect(201).id();
    app.call("GET", &format!("/Devices/{ida}"), Value::Null).await.expect(404);
    app.call("DELETE", &path, Value::Null).await.expect(204);
    app.call("DELETE", &path, Value::Null).await.expect(404);
    app.call("GET", &path, Value::Null).await.expect(404);
    app.call("PUT", "/Devices", Value::Null).await.expect(405);
}

#[tokio::test]
async fn preconditions_hold() {
    let app = workshop().await;
    let made = create(&app, "a7").await;
    let path = format!("/Devices/{}", made.id());
    let ask = async |method: &str, name: &str, tag: &str| {
        let token = format!("Bearer {}", app.token());
        let headers = [("Authorization".to_owned(), token), (name.to_owned(), tag.to_owned())];
        app.send(method, &path, &headers, b"").await.status
    };
    let tag = made.header("etag").unwrap().to_owned();
    assert_eq!(ask("GET", "If-None-Match", &tag).await, 304);
    assert_eq!(ask("DELETE", "If-Match", "W/\"99\"").await, 412);
    assert_eq!(ask("DELETE", "If-Match", &tag).await, 204);
}

#[tokio::test]
async fn lists_filters_orders_and_cursors_work() {
    let app = workshop().await;
    app.call("POST", "/Users", json!({ "userName": "ida@ex.test" })).await.expect(201);
    for serial in ["ccc", "A", "bb"] {
        create(&app, serial).await;
    }
    assert_eq!(serials(&app, "/Devices").await, "ccc A bb");
    let some = app.call("GET", "/Devices?startIndex=2&count=1", Value::Null).await.json();
    assert_eq!((&some["totalResults"], &some["Resources"][0]["serial"]), (&json!(3), &json!("A")));
    for (filter, found) in [
        ("serial%20eq%20%22A%22", "A"),
        ("serial%20eq%20%22a%22", ""),
        ("externalId%20eq%20%22x-bb%22", "bb"),
        ("cores%20gt%201%20and%20meta.resourceType%20eq%20%22Device%22", "ccc bb"),
    ] {
        assert_eq!(serials(&app, &format!("/Devices?filter={filter}")).await, found, "{filter}");
    }
    assert_eq!(serials(&app, "/Devices?sortBy=cores&sortOrder=descending").await, "ccc bb A");
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let target = format!("/Devices?cursor={cursor}&count=2");
        let page = app.call("GET", &target, Value::Null).await.expect(200).json();
        seen.extend(page["Resources"].as_array().unwrap().iter().map(|one| one["serial"].clone()));
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(seen, ["ccc", "A", "bb"]);
    let body = json!({ "filter": "cores ge 2", "attributes": ["serial"] });
    let found = app.call("POST", "/Devices/.search", body.clone()).await.expect(200).json();
    assert_eq!(found["totalResults"], 2);
    // At the root they stand beside the others.
    let all = app.call("GET", "/", Value::Null).await.expect(200).json();
    assert_eq!(all["totalResults"], 4);
    let found = app.call("POST", "/.search", body).await.expect(200).json();
    assert_eq!(found["totalResults"], 2);
    app.call("GET", "/Devices?filter=userName%20eq%20%22a%22", Value::Null).await.expect(400);
}

#[tokio::test]
async fn bulk_knows_them() {
    let app = workshop().await;
    let operations = json!([
        { "method": "POST", "path": "/Devices", "bulkId": "a", "data": device("a") },
        { "method": "POST", "path": "/Devices", "bulkId": "b", "data": { "serial": "b", "displayName": "bulkId:a" } },
        { "method": "POST", "path": "/Devices", "bulkId": "c", "data": { "cores": 1 } },
        { "method": "DELETE", "path": "/Devices/bulkId:a" },
    ]);
    let answer = app
        .call("POST", "/Bulk", json!({ "schemas": [BULK], "Operations": operations }))
        .await
        .expect(200)
        .json();
    let status = |at: usize| answer["Operations"][at]["status"].as_str().unwrap().to_owned();
    assert_eq!(
        [status(0), status(1), status(2), status(3)],
        ["201", "201", "400", "204"],
        "{answer}"
    );
    assert_eq!(serials(&app, "/Devices").await, "b");
}

#[tokio::test]
async fn another_tenant_and_one_that_is_switched_off_have_none() {
    let app = workshop().await;
    let path = format!("/Devices/{}", create(&app, "a").await.id());
    let other = app.other_token();
    for target in ["/Devices", path.as_str(), "/ResourceTypes/Device"] {
        app.call("GET", target, Value::Null).await.expect(200);
        app.call_as(&other, "GET", target, Value::Null).await.expect(404);
    }
    let published = app.call("GET", "/ResourceTypes/Device", Value::Null).await.json();
    assert_eq!(
        (&published["endpoint"], &published["schema"]),
        (&json!("/Devices"), &json!(DEVICE))
    );
    let types = app.call("GET", "/ResourceTypes", Value::Null).await.json();
    assert_eq!(types["totalResults"], 3);
    app.call("GET", &format!("/Schemas/{DEVICE}"), Value::Null).await.expect(200);
    switch(&app, &[]).await;
    app.call("GET", &path, Value::Null).await.expect(404);
    assert_eq!(app.call("GET", "/", Value::Null).await.expect(200).json()["totalResults"], 0);
    switch(&app, &[DEVICE, LEASE, "urn:example:tablet"]).await;
    app.call("GET", &path, Value::Null).await.expect(200);
    // A type of one's own can be extended, too.
    app.call("POST", "/Tablets", json!({ "model": "m" })).await.expect(400);
    let leased = json!({ "model": "m", LEASE: { "until": "2027-01-01T00:00:00Z" } });
    let tablet = app.call("POST", "/Tablets", leased).await.expect(201).json();
    assert_eq!(tablet["schemas"], json!(["urn:example:tablet", LEASE]));
}

#[tokio::test]
async fn a_limited_token_reaches_them_only_with_their_own_scope() {
    let app = workshop().await;
    let path = format!("/Devices/{}", create(&app, "a").await.id());
    let bulk = json!({ "schemas": [BULK], "Operations": [
        { "method": "POST", "path": "/Devices", "bulkId": "b", "data": device("b") }
    ]});
    // What reading and writing devices, and what everything at the root is answered.
    for (names, read, write, root) in [
        (&["users:write", "groups:write"][..], 403, 403, 403),
        (&["devices:read"], 200, 403, 403),
        (&["devices:write"], 200, 200, 403),
        (&["users:read", "groups:read", "devices:read"], 200, 403, 200),
        (&["tablets:write"], 403, 403, 403),
    ] {
        let scopes: Vec<Scope> = names.iter().map(|name| Scope::parse(name).unwrap()).collect();
        let (moment, what) = (app.moment(), ("test", Life::days(7)));
        let scopes = Scopes::of(&scopes);
        let issued = tokens::issue_limited(app.store(), &moment, &app.tenant(), what, scopes).await;
        let token = issued.unwrap().secret.reveal().to_owned();
        let ask = async |method: &str, path: &str, body: Value| {
            app.call_as(&token, method, path, body).await
        };
        ask("GET", "/Devices", Value::Null).await.expect(read);
        ask("POST", "/Devices/.search", json!({})).await.expect(read);
        ask("GET", &path, Value::Null).await.expect(read);
        let refused = ask("PUT", &path, device("a")).await.expect(write);
        if write == 403 {
            let told = refused.json();
            assert_eq!(told["status"], "403");
            let detail = told["detail"].as_str().unwrap();
            assert!(detail.contains("lacks the scope devices:write"), "{detail}");
        }
        ask("GET", "/", Value::Null).await.expect(root);
        ask("GET", "/ResourceTypes/Device", Value::Null).await.expect(200);
        let done = ask("POST", "/Bulk", bulk.clone()).await.expect(200).json();
        let expected = if write == 403 { "403" } else { "201" };
        assert_eq!(done["Operations"][0]["status"], expected, "{names:?} {done}");
        let users = if names.contains(&"users:write") { 201 } else { 403 };
        ask("POST", "/Users", json!({ "userName": "u@ex.test" })).await.expect(users);
    }
}

#[tokio::test]
async fn the_feed_tells_of_them_and_the_check_counts_them() {
    let app = workshop().await;
    let id = create(&app, "a").await.id();
    create(&app, "b").await;
    let path = format!("/Devices/{id}");
    app.call("PUT", &path, device("c")).await.expect(200);
    app.call("DELETE", &path, Value::Null).await.expect(204);
    is_whole(&app).await;
    let told = feed::items(&app).await;
    let own = told.iter().filter(|item| item["id"] == json!(id));
    let own: Vec<String> = own
        .map(|item| format!("{} {} {}", item["kind"], item["version"], item["events"][0]))
        .collect();
    assert_eq!(
        own,
        [
            "\"Device\" 1 \"prov:create:notice\"",
            "\"Device\" 2 \"prov:put:notice\"",
            "\"Device\" 3 \"prov:delete\"",
        ]
    );
}

#[tokio::test]
async fn the_check_counts_them_by_themselves_and_reads_each() {
    let app = workshop().await;
    let mut ids = Vec::new();
    for serial in ["a", "b", "c"] {
        ids.push(create(&app, serial).await.id());
    }
    is_whole(&app).await;
    let items = partition(&app).await;
    let put = async |item: &crate::whole::Item| {
        let put = client(&app).put_item().table_name(&app.store().tables().directory);
        put.set_item(Some(item.clone())).send().await.unwrap();
    };
    let found = async |mode| {
        let moments = || app.moment();
        let report = app.store().check(&moments, &app.tenant(), mode, &mut |_| {}).await;
        let report = report.unwrap().unwrap();
        let found = report.findings.iter();
        found.map(|finding| (finding.sort, finding.what.clone())).collect::<Vec<_>>()
    };
    let counter = items.keys().find(|key| key.starts_with("count#Device#")).expect("a counter");
    let mut wrong = items[counter].clone();
    let said = wrong["n"].as_n().unwrap().parse::<i64>().unwrap();
    wrong.insert("n".to_owned(), AttributeValue::N((said + 4).to_string()));
    put(&wrong).await;
    let expected = ("wrong-count", "it says 7, and there are 3".to_owned());
    assert_eq!(found(Mode::Repair).await, [expected]);
    is_whole(&app).await;

    let own = |id: &String| items.keys().find(|key| key.ends_with(&format!("#{id}"))).unwrap();
    let mut foreign = items[own(&ids[0])].clone();
    foreign.insert("id".to_owned(), AttributeValue::S(ids[1].clone()));
    put(&foreign).await;
    let sorts: Vec<&str> = found(Mode::Repair).await.into_iter().map(|(sort, _)| sort).collect();
    assert_eq!(sorts, ["unreadable"]);
    put(&items[own(&ids[0])]).await;
    is_whole(&app).await;
    // Of a type that is not deployed any more it is not known what it should be.
    let mut gone = foreign.clone();
    let key = own(&ids[0]).replace("Device", "Robot");
    assert_ne!(&key, own(&ids[0]));
    gone.insert("key".to_owned(), AttributeValue::S(key));
    put(&gone).await;
    is_whole(&app).await;
}
