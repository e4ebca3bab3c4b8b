//! Tenants that take people of some e-mail domains only.

use std::time::Duration;

use scim_endpoint::admin::tenants::set_domains;
use scim_endpoint::config::Config;
use scim_endpoint::scim::domain::Domain;
use serde_json::{Value, json};

use crate::app::{Answer, App};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

async fn allow(app: &App, domains: &[&str]) {
    let domains: Vec<Domain> = domains.iter().map(|text| Domain::parse(text).unwrap()).collect();
    set_domains(app.store(), &app.moment(), &app.tenant(), &domains).await.unwrap();
}

fn person(name: &str, email: &str) -> Value {
    json!({ "userName": name, "emails": [{ "value": email, "type": "work", "primary": true }] })
}

async fn patch(app: &App, id: &str, path: &str, value: Value) -> Answer {
    let operations = json!([{ "op": "replace", "path": path, "value": value }]);
    let body = json!({ "schemas": [PATCH], "Operations": operations });
    app.call("PATCH", &format!("/Users/{id}"), body).await
}

#[track_caller]
fn is_refused(answer: &Answer, attribute: &str, domain: &str) {
    assert_eq!(answer.status, 400, "{answer:?}");
    let told = answer.json();
    assert_eq!(told["scimType"], "invalidValue");
    let detail = told["detail"].as_str().unwrap();
    for part in [attribute, domain, "example.com", "ask whoever gave you the Tenant URL"] {
        assert!(detail.contains(part), "{detail}");
    }
}

#[tokio::test]
async fn post_put_and_patch_bring_no_address_of_another_domain() {
    let app = App::start().await;
    allow(&app, &["example.com", "example.org"]).await;
    let post =
        |name: &'static str, email: &'static str| app.call("POST", "/Users", person(name, email));
    is_refused(&post("ida@evil.test", "ida@example.com").await, "userName: ", "evil.test");
    is_refused(&post("ida@example.com", "ida@evil.test").await, "emails: ", "evil.test");
    let id = post("ida@Example.com", "ida@EXAMPLE.org").await.expect(201).id();
    let path = format!("/Users/{id}");
    for (name, email, attribute) in [
        ("ida@example.com", "ida@evil.test", "emails: "),
        ("ida@evil.test", "ida@example.com", "userName: "),
    ] {
        is_refused(&app.call("PUT", &path, person(name, email)).await, attribute, "evil.test");
    }
    is_refused(
        &patch(&app, &id, "userName", json!("ida@evil.test")).await,
        "userName: ",
        "evil.test",
    );
    for path in ["emails[type eq \"work\"].value", "emails[type eq \"home\"].value"] {
        is_refused(&patch(&app, &id, path, json!("ida@evil.test")).await, "emails: ", "evil.test");
    }
    let read = app.call("GET", &path, Value::Null).await.expect(200).json();
    assert_eq!(
        (&read["userName"], &read["meta"]["version"]),
        (&json!("ida@Example.com"), &json!("W/\"1\""))
    );
    patch(&app, &id, "userName", json!("ida@example.org")).await.expect(200);
    // Groups have no addresses, and the other tenant its own rule.
    app.call("POST", "/Groups", json!({ "displayName": "a@evil.test" })).await.expect(201);
    let foreign = person("ida@evil.test", "ida@evil.test");
    app.call_as(&app.other_token(), "POST", "/Users", foreign).await.expect(201);
}

#[tokio::test]
async fn who_is_there_is_renamed_disabled_and_deleted_as_before() {
    let app = App::start().await;
    let old = person("ida@old.test", "ida@old.test");
    let id = app.call("POST", "/Users", old.clone()).await.expect(201).id();
    allow(&app, &["example.com"]).await;
    let path = format!("/Users/{id}");
    patch(&app, &id, "displayName", json!("Ida")).await.expect(200);
    let mut disabled = old.clone();
    disabled["active"] = json!(false);
    app.call("PUT", &path, disabled).await.expect(200);
    patch(&app, &id, "active", json!("True")).await.expect(200);
    patch(&app, &id, "active", json!("False")).await.expect(200);
    is_refused(
        &patch(&app, &id, "userName", json!("ida2@old.test")).await,
        "userName: ",
        "old.test",
    );
    patch(&app, &id, "emails[type eq \"work\"].value", json!("ida@example.com")).await.expect(200);
    // The address is the person's still, as the user name.
    app.call("PUT", &path, old.clone()).await.expect(200);
    let older = person("ida@old.test", "ida@older.test");
    is_refused(&app.call("PUT", &path, older).await, "emails: ", "older.test");
    app.call("DELETE", &path, Value::Null).await.expect(204);
    is_refused(&app.call("POST", "/Users", old.clone()).await, "userName: ", "old.test");
    allow(&app, &[]).await;
    app.call("POST", "/Users", old).await.expect(201);
}

#[tokio::test]
async fn a_change_of_the_domains_takes_effect_within_30_seconds() {
    let kept = Duration::from_secs(30);
    let app = App::start_with(|config| Config { token_cache: kept, ..config }).await;
    app.call("POST", "/Users", person("a@evil.test", "a@evil.test")).await.expect(201);
    allow(&app, &["example.com"]).await;
    app.call("POST", "/Users", person("b@evil.test", "b@evil.test")).await.expect(201);
    app.clock().advance(kept);
    let answer = app.call("POST", "/Users", person("c@evil.test", "c@evil.test")).await;
    is_refused(&answer, "userName: ", "evil.test");
}
