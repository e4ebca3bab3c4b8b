//! Tokens that may not do everything: each method, on each path, with each scope.

use scim_endpoint::admin::tokens::{self, Life, Old};
use scim_endpoint::store::scopes::{Access, Scope, Scopes};
use serde_json::{Value, json};

use crate::app::App;
use crate::proxy::{Conflicts, Proxy};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A token of the first tenant's that may do this.
async fn token(app: &App, names: &[&str]) -> String {
    let scopes: Vec<Scope> = names.iter().map(|name| Scope::parse(name).unwrap()).collect();
    let what = ("limited", Life::days(7));
    let (moment, tenant) = (app.moment(), app.tenant());
    let scopes = Scopes::of(&scopes);
    let issued = tokens::issue_limited(app.store(), &moment, &tenant, what, scopes).await;
    issued.unwrap().secret.reveal().to_owned()
}

/// What is asked for: the method, the path, the body, and the scope that it takes.
fn requests(
    user: &str,
    group: &str,
    turn: usize,
) -> Vec<(&'static str, String, Value, Option<Scope>)> {
    let patch = json!({ "schemas": [PATCH], "Operations": [
        { "op": "replace", "path": "externalId", "value": format!("x{turn}") }
    ] });
    let mut all: Vec<(&str, String, Value, Option<Scope>)> = Vec::new();
    for (resources, path, id, body) in [
        ("users", "/Users", user, json!({ "schemas": [USER], "userName": format!("new{turn}") })),
        (
            "groups",
            "/Groups",
            group,
            json!({ "schemas": [GROUP], "displayName": format!("New {turn}") }),
        ),
    ] {
        let (read, write) = (Access::Read, Access::Write);
        let scope = |access| Some(Scope { resources: resources.to_owned(), access });
        let mut changed = body.clone();
        for name in ["userName", "displayName"] {
            if let Some(Value::String(text)) = changed.get_mut(name) {
                text.push_str(" changed");
            }
        }
        all.extend([
            ("GET", path.to_owned(), Value::Null, scope(read)),
            ("GET", format!("{path}?filter=externalId+eq+%22nobody%22"), Value::Null, scope(read)),
            ("POST", format!("{path}/.search"), json!({ "schemas": [SEARCH] }), scope(read)),
            ("GET", format!("{path}/{id}"), Value::Null, scope(read)),
            ("POST", path.to_owned(), body.clone(), scope(write)),
            ("PUT", format!("{path}/{id}"), changed, scope(write)),
            ("PATCH", format!("{path}/{id}"), patch.clone(), scope(write)),
            // The last one: nobody is there behind it.
            ("DELETE", format!("{path}/{id}"), Value::Null, scope(write)),
        ]);
    }
    for path in ["/ServiceProviderConfig", "/ResourceTypes", "/ResourceTypes/User", "/Schemas"] {
        all.push(("GET", path.to_owned(), Value::Null, None));
    }
    all
}

#[tokio::test]
async fn each_method_on_each_path_takes_its_scope() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let mut turn = 0;
    for names in [
        &["users:read"][..],
        &["users:write"],
        &["groups:read"],
        &["groups:write"],
        &["users:read", "groups:read"],
        &["users:write", "groups:read"],
        &["users:write", "groups:write"],
        &[],
    ] {
        let token = token(&app, names).await;
        // What this token has been seen with is noted once a minute.
        app.call_as(&token, "GET", "/Schemas", Value::Null).await.expect(200);
        turn += 1;
        let made = |path: &'static str, body: Value| {
            let app = &app;
            async move { app.call("POST", path, body).await.expect(201).id() }
        };
        let user = made("/Users", json!({ "userName": format!("old{turn}") })).await;
        let group = made("/Groups", json!({ "displayName": format!("Old {turn}") })).await;
        for (method, path, body, wanted) in requests(&user, &group, turn) {
            let own: Vec<Scope> = names.iter().map(|name| Scope::parse(name).unwrap()).collect();
            let allowed = wanted.as_ref().is_none_or(|wanted| {
                let is_same = |own: &Scope| own.resources == wanted.resources;
                own.is_empty() || own.iter().any(|own| is_same(own) && own.access >= wanted.access)
            });
            proxy.forget_calls();
            let answer = app.call_as(&token, method, &path, body).await;
            let label = format!("{names:?} {method} {path}");
            if allowed {
                assert!((200..300).contains(&answer.status), "{label}: {answer:?}");
                continue;
            }
            assert_eq!(answer.status, 403, "{label}");
            let (missing, told) = (wanted.unwrap().to_string(), answer.json());
            assert_eq!(told["status"], "403", "{label}");
            let detail = told["detail"].as_str().unwrap();
            assert!(
                detail.contains(&format!("lacks the scope {missing} (it has {})", names.join(" "))),
                "{detail}"
            );
            let challenge = answer.header("WWW-Authenticate").unwrap();
            assert!(
                challenge.ends_with(&format!("error=\"insufficient_scope\", scope=\"{missing}\"")),
                "{challenge}"
            );
            // The token is looked up, and when it was seen may be noted: nothing else is read or written.
            for call in proxy.calls() {
                let harmless = ["GetItem secret", "UpdateItem activity", "UpdateItem traffic"];
                assert!(harmless.iter().any(|known| call.starts_with(known)), "{label}: {call}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_before_what_may_not_be_done() {
    let app = App::start().await;
    let token = token(&app, &["users:read"]).await;
    app.call_as(&token, "GET", "/Nothing", Value::Null).await.expect(404);
    app.call_as(&token, "POST", "/Users/x", json!({})).await.expect(405);
    app.call_as(&token, "DELETE", "/Users/x", Value::Null).await.expect(403);
}

#[tokio::test]
async fn a_limited_token_stays_limited_when_it_is_rotated_listed_and_when_settings_change() {
    let app = App::start().await;
    let (tenant, store) = (app.tenant(), app.store());
    let first = token(&app, &["groups:read"]).await;
    let list = tokens::list(store, &app.moment(), &tenant).await.unwrap();
    let own = list.iter().find(|token| token.info.label == "limited").unwrap();
    assert_eq!(own.info.scopes.words().unwrap(), ["groups:read"]);
    assert!(list.iter().any(|token| token.info.scopes == Scopes::All));
    let how = (Life::days(7), Old::Revoke);
    let rotated = tokens::rotate(store, &app.moment(), &tenant, &own.info.id, how).await.unwrap();
    let second = rotated.issued.secret.reveal().to_owned();
    app.call_as(&first, "GET", "/Groups", Value::Null).await.expect(401);
    let admin = scim_endpoint::admin::tenants::set_rehearsal;
    admin(store, &app.moment(), &tenant, true).await.unwrap();
    app.call_as(&second, "GET", "/Groups", Value::Null).await.expect(200);
    app.call_as(&second, "GET", "/Users", Value::Null).await.expect(403);
}

#[tokio::test]
async fn a_query_across_kinds_takes_the_scope_of_each() {
    let app = App::start().await;
    let search = json!({ "schemas": [SEARCH] });
    for (names, lacking) in [
        (&["users:read"][..], Some("groups:read")),
        (&["groups:write"], Some("users:read")),
        (&["users:read", "groups:write"], None),
        (&[], None),
    ] {
        let token = token(&app, names).await;
        for (method, path, body) in
            [("GET", "/", Value::Null), ("POST", "/.search", search.clone())]
        {
            let answer = app.call_as(&token, method, path, body).await;
            let expected = if lacking.is_some() { 403 } else { 200 };
            assert_eq!(answer.status, expected, "{names:?} {method} {path}: {answer:?}");
            if let Some(lacking) = lacking {
                let told = answer.json()["detail"].to_string();
                assert!(told.contains(&format!("lacks the scope {lacking} ")), "{told}");
            }
        }
    }
}
