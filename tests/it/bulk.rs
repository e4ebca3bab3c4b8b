//! Bulk requests through the whole server: limits, tenants, scopes, time, and what is told when the store is busy.

use std::time::Duration;

use scim_endpoint::admin::tokens::{self, Life};
use scim_endpoint::config::Config;
use scim_endpoint::limits::{BODY_BYTES_MAX, BULK_OPERATIONS_MAX, BULK_TIME_MAX};
use scim_endpoint::store::scopes::{Access, Scope, Scopes};
use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::feed::items;
use crate::proxy::{Conflicts, Gate, Proxy, Step};

fn post(path: &str, bulk_id: &str, data: impl Into<Value>) -> Value {
    json!({ "method": "POST", "path": path, "bulkId": bulk_id, "data": data.into() })
}

fn people(count: usize) -> Value {
    let people = (0..count).map(|number| {
        post("/Users", &number.to_string(), json!({ "userName": format!("p{number}") }))
    });
    people.collect()
}

async fn bulk(app: &App, operations: Value) -> Answer {
    app.call("POST", "/Bulk", json!({ "Operations": operations })).await
}

fn statuses(answer: &Answer) -> Vec<String> {
    let told = answer.json();
    let told = told["Operations"].as_array().expect("operations").iter();
    told.map(|one| one["status"].as_str().expect("a status").to_owned()).collect()
}

async fn total(app: &App, token: &str, path: &str) -> u64 {
    let list = app.call_as(token, "GET", path, Value::Null).await.expect(200);
    list.json()["totalResults"].as_u64().unwrap()
}

#[tokio::test]
async fn as_many_operations_as_are_advertised_are_done_and_one_more_is_413() {
    let app = App::start().await;
    let config = app.call("GET", "/ServiceProviderConfig", Value::Null).await.expect(200).json();
    assert_eq!(config["bulk"]["supported"], true);
    let most = usize::try_from(config["bulk"]["maxOperations"].as_u64().unwrap()).unwrap();
    let bytes = usize::try_from(config["bulk"]["maxPayloadSize"].as_u64().unwrap()).unwrap();
    assert_eq!((most, bytes), (BULK_OPERATIONS_MAX, BODY_BYTES_MAX));

    let refused = bulk(&app, people(most + 1)).await.expect(413).json();
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("201 operations and may have 200 (bulk.maxOperations)"), "{detail}");
    assert_eq!(total(&app, &app.token(), "/Users").await, 0);

    let mut body = json!({ "Operations": people(most), "filler": "" });
    let room = bytes - body.to_string().len();
    body["filler"] = json!("x".repeat(room + 1));
    let refused = app.call("POST", "/Bulk", body.clone()).await.expect(413).json();
    assert!(refused["detail"].as_str().unwrap().contains(&bytes.to_string()), "{refused}");
    body["filler"] = json!("x".repeat(room));
    let done = app.call("POST", "/Bulk", body).await.expect(200);
    assert_eq!(statuses(&done), vec!["201"; most]);
    assert_eq!(total(&app, &app.token(), "/Users").await, u64::try_from(most).unwrap());
}

#[tokio::test]
async fn groups_that_have_each_other_are_created_and_told_to_conflict() {
    let app = App::start().await;
    let group = |name: &str, other: &str| json!({ "displayName": name, "members": [{ "type": "Group", "value": format!("bulkId:{other}") }] });
    let operations = json!([
        post("/Groups", "qwerty", group("Group A", "ytrewq")),
        post("/Groups", "ytrewq", group("Group B", "qwerty")),
    ]);
    let told = bulk(&app, operations).await.expect(200).json();
    let (a, b) = (&told["Operations"][0], &told["Operations"][1]);
    // RFC 7644 §3.7.1 lets it be a conflict: groups do not have each other here, so the first one says that the circle
    // could not be closed.
    let id = |one: &Value| one["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let (first, second) = (id(a), id(b));
    let members = |id: String| {
        let app = &app;
        async move {
            let group = app.call("GET", &format!("/Groups/{id}"), Value::Null).await.expect(200);
            group.json()["members"][0]["value"].clone()
        }
    };
    assert_eq!(b["status"], "201");
    assert_eq!(members(second.clone()).await, json!(first));
    assert_eq!((&a["status"], &a["response"]["status"]), (&json!("409"), &json!("409")));
    let detail = a["response"]["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("the group {second} cannot be a member here")), "{detail}");
    assert_eq!(members(first).await, Value::Null);
}

#[tokio::test]
async fn nothing_of_another_tenant_is_reached_by_path_or_reference() {
    let app = App::start().await;
    let other = app.other_token();
    let theirs = app.call_as(&other, "POST", "/Users", json!({ "userName": "x" })).await;
    let theirs = theirs.expect(201).id();
    let told = bulk(
        &app,
        json!([
            { "method": "DELETE", "path": format!("/Users/{theirs}") },
            { "method": "PUT", "path": format!("/Users/{theirs}"), "data": { "userName": "y" } },
            post("/Groups", "g", json!({ "displayName": "G", "members": [{ "value": theirs }] })),
            post("/Users", "u", json!({ "userName": "x" })),
        ]),
    )
    .await
    .expect(200);
    assert_eq!(statuses(&told), ["404", "404", "400", "201"]);
    assert_eq!(total(&app, &app.other_token(), "/Users").await, 1);
    assert_eq!(total(&app, &app.token(), "/Groups").await, 0);
}

#[tokio::test]
async fn each_operation_takes_its_scope() {
    let app = App::start().await;
    let scopes = Scopes::of(&[
        Scope { resources: "users".to_owned(), access: Access::Write },
        Scope { resources: "groups".to_owned(), access: Access::Read },
    ]);
    let what = ("limited", Life::days(7));
    let (moment, tenant) = (app.moment(), app.tenant());
    let issued = tokens::issue_limited(app.store(), &moment, &tenant, what, scopes).await;
    let token = issued.unwrap().secret.reveal().to_owned();
    let body = json!({ "Operations": [
        post("/Users", "u", json!({ "userName": "ida" })),
        post("/Groups", "g", json!({ "displayName": "G", "members": [{ "value": "bulkId:u" }] })),
        { "method": "DELETE", "path": "/Groups/x" },
        { "method": "DELETE", "path": "/Users/bulkId:u" },
    ] });
    let told = app.call_as(&token, "POST", "/Bulk", body).await.expect(200);
    assert_eq!(statuses(&told), ["201", "403", "403", "204"]);
    let detail = told.json()["Operations"][1]["response"]["detail"].to_string();
    assert!(detail.contains("lacks the scope groups:write"), "{detail}");
}

#[tokio::test]
async fn each_operation_is_a_change_of_its_own_and_each_refusal_is_told() {
    let app = App::start().await;
    let off = json!({ "Operations": [{ "op": "replace", "path": "active", "value": false }] });
    let told = bulk(
        &app,
        json!([
            post("/Users", "u", json!({ "userName": "ida" })),
            { "method": "PATCH", "path": "/Users/bulkId:u", "data": off },
            post("/Users", "v", json!({ "userName": "IDA" })),
            { "method": "DELETE", "path": "/Users/bulkId:u" },
        ]),
    )
    .await
    .expect(200);
    assert_eq!(statuses(&told), ["201", "200", "409", "204"]);
    let items = items(&app).await;
    let line = |item: &Value| format!("{} {} {}", item["events"][0], item["version"], item["path"]);
    let lines: Vec<String> = items.iter().map(line).collect();
    let expected = [
        "\"prov:create:notice\" 1 null",
        "\"prov:patch:notice\" 2 null",
        "\"misc:refused\" null \"/Users\"",
        "\"prov:delete\" 3 null",
    ];
    assert_eq!(lines, expected);
    assert_eq!((&items[2]["method"], &items[2]["userName"]), (&json!("POST"), &json!("IDA")));
    let requests: Vec<&Value> = items.iter().map(|item| &item["request"]).collect();
    assert!(requests.iter().all(|request| *request == requests[0] && request.is_string()));
}

#[tokio::test]
async fn what_the_store_turns_away_ends_the_request_and_the_rest_says_so() {
    let kept = Duration::from_secs(30);
    let (app, proxy) =
        Proxy::app_with(Conflicts::None, |config| Config { token_cache: kept, ..config }).await;
    let id = app.call("POST", "/Users", json!({ "userName": "ida" })).await.expect(201).id();
    proxy.always("GetItem", Step::Refuse("ProvisionedThroughputExceededException"));
    let path = format!("/Users/{id}");
    let operations = json!([
        post("/Users", "a", json!({ "userName": "a" })),
        { "method": "PATCH", "path": path, "data": { "Operations": [{ "op": "add", "path": "title", "value": "x" }] } },
        post("/Users", "b", json!({ "userName": "b" })),
        { "method": "DELETE", "path": path },
    ]);
    let told = bulk(&app, operations).await.expect(200);
    assert_eq!(statuses(&told), ["201", "503", "503", "503"]);
    let tried = proxy.calls().iter().filter(|call| call.starts_with("TransactWriteItems")).count();
    proxy.heal();
    assert_eq!((total(&app, &app.token(), "/Users").await, tried), (2, 2));
}

#[tokio::test]
async fn a_request_ends_in_time_and_says_what_it_has_not_begun() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let gate = Gate::default();
    proxy.script("TransactWriteItems", [Step::Hold(gate.clone())]);
    let operations = json!([
        post("/Users", "a", json!({ "userName": "a" })),
        post("/Users", "b", json!({ "userName": "b" })),
        { "method": "DELETE", "path": "/Users/bulkId:a" },
    ]);
    let slow = async {
        gate.reached().await;
        app.clock().advance(BULK_TIME_MAX);
        gate.open();
    };
    let (told, ()) = tokio::join!(bulk(&app, operations), slow);
    assert_eq!(statuses(&told), ["201", "503", "503"]);
    let detail = told.json()["Operations"][2]["response"]["detail"].to_string();
    assert!(detail.contains("send it again"), "{detail}");
    assert_eq!(total(&app, &app.token(), "/Users").await, 1);
}

#[tokio::test]
async fn operations_count_against_the_tenants_rate() {
    // Two requests at once, and one more a second: more than these operations take.
    let app = App::start_with(|config| Config { tenant_rate: Some(1), ..config }).await;
    let told = bulk(&app, people(5)).await.expect(200);
    assert_eq!(statuses(&told), ["201", "201", "429", "429", "429"]);
    app.clock().advance(Duration::from_mins(1));
    assert_eq!(total(&app, &app.token(), "/Users").await, 2);
}
