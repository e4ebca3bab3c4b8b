//! `scimctl tenant release`: SCIM ends in one transaction, the people stay, the feed says so, and it can be taken up again.

use std::time::Duration;

use scim_endpoint::admin::AdminError;
use scim_endpoint::admin::release::release;
use scim_endpoint::admin::{tenants, tokens};
use scim_endpoint::config::Config;
use scim_endpoint::limits::TOKENS_MAX;
use scim_endpoint::store::settings::Status;
use scim_endpoint::store::{Cx, Settings};
use serde_json::{Value, json};

use crate::app::App;
use crate::cli::Server;
use crate::proxy::{Conflicts, Proxy, Step};
use crate::races::{get, group, user};
use crate::whole::{Item, journal, number, partition, string};

/// The journal's items about the tenant itself.
async fn of_tenant(app: &App) -> Vec<Item> {
    let items = journal(app).await;
    items.into_values().filter(|item| string(item, "kind") == "Tenant").collect()
}

fn events(item: &Item) -> Vec<String> {
    let events = item["events"].as_l().unwrap().iter();
    events.map(|event| event.as_s().unwrap().clone()).collect()
}

async fn status(app: &App) -> Status {
    let (settings, _) = app.store().settings(&app.moment(), &app.tenant()).await.unwrap().unwrap();
    settings.status
}

#[tokio::test(flavor = "multi_thread")]
async fn scim_ends_the_people_stay_and_the_feed_says_so() {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    group(&app, "Staff", std::slice::from_ref(&ida)).await;
    let before = partition(&app).await;
    assert_eq!(release(app.store(), &app.moment(), &app.tenant()).await.unwrap(), 1);

    let told = get(&app, "/Users").await.expect(403).json();
    let detail = told["detail"].as_str().unwrap();
    assert!(
        detail.contains("has been released") && detail.contains("ask whoever gave you"),
        "{detail}"
    );
    app.call_as(&app.other_token(), "GET", "/Users", Value::Null).await.expect(200);
    let tokens = tokens::list(app.store(), &app.moment(), &app.tenant()).await.unwrap();
    assert!(tokens.iter().all(|token| token.state == tokens::State::Revoked), "{tokens:?}");

    let after = partition(&app).await;
    for (key, item) in &before {
        let touched = key == "settings"
            || key.starts_with("token#")
            || key == "activity"
            || key.starts_with("traffic#");
        assert!(touched || after[key] == *item, "{key}");
    }
    assert_eq!(before.len(), after.len());
    let items = of_tenant(&app).await;
    assert_eq!(items.len(), 1);
    assert_eq!(events(&items[0]), ["tenant.released"]);
    assert_eq!((string(&items[0], "id"), number(&items[0], "version")), ("acme".to_owned(), 3));

    // Again: it is so already.
    assert_eq!(release(app.store(), &app.moment(), &app.tenant()).await.unwrap(), 0);
    assert_eq!(of_tenant(&app).await.len(), 1);
    let told = tenants::disable(app.store(), &app.moment(), &app.tenant()).await.unwrap_err();
    assert!(matches!(told, AdminError::Released(_)), "{told}");
    assert!(told.to_string().contains("scimctl tenant enable acme"), "{told}");

    // Taken up again: the old token stays dead and says why, a new one opens.
    let issued = app.issue(&app.tenant()).await;
    let new = issued.secret.reveal();
    app.call_as(new, "GET", "/Users", Value::Null).await.expect(403);
    let was = tenants::enable(app.store(), &app.moment(), &app.tenant()).await.unwrap();
    assert_eq!((was, status(&app).await), (Status::Released, Status::Enabled));
    get(&app, "/Users").await.expect(403);
    let found = app.call_as(new, "GET", &format!("/Users/{ida}"), Value::Null).await.expect(200);
    assert_eq!(found.json()["userName"], "ida@ex.test");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_comes_after_the_release_is_revoked_by_the_next() {
    let app = App::start().await;
    release(app.store(), &app.moment(), &app.tenant()).await.unwrap();
    let issued = app.issue(&app.tenant()).await;
    assert_eq!(release(app.store(), &app.moment(), &app.tenant()).await.unwrap(), 1);
    let list = tokens::list(app.store(), &app.moment(), &app.tenant()).await.unwrap();
    assert!(list.iter().any(|token| token.info.id == issued.id));
    assert!(list.iter().all(|token| token.state == tokens::State::Revoked));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_the_tokens_that_a_tenant_may_have_are_one_transaction() {
    let app = App::start().await;
    for _ in 1..TOKENS_MAX {
        app.issue(&app.tenant()).await;
    }
    let revoked = release(app.store(), &app.moment(), &app.tenant()).await.unwrap();
    assert_eq!(revoked, TOKENS_MAX);
    get(&app, "/Users").await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_revoked_before_says_so() {
    let app = App::start().await;
    let list = tokens::list(app.store(), &app.moment(), &app.tenant()).await.unwrap();
    tokens::revoke(app.store(), &app.moment(), &app.tenant(), &list[0].info.id).await.unwrap();
    release(app.store(), &app.moment(), &app.tenant()).await.unwrap();
    let told = get(&app, "/Users").await.expect(401).json();
    assert!(told["detail"].as_str().unwrap().contains("was revoked"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_token_ends_with_the_time_for_which_it_is_remembered() {
    let kept = Duration::from_secs(30);
    let app = App::start_with(|config| Config { token_cache: kept, ..config }).await;
    get(&app, "/Users").await.expect(200);
    release(app.store(), &app.moment(), &app.tenant()).await.unwrap();
    get(&app, "/Users").await.expect(200);
    app.clock().advance(kept);
    get(&app, "/Users").await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_whole_or_not_at_all() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    proxy.script("TransactWriteItems", [Step::Refuse("AccessDeniedException")]);
    release(app.store(), &app.moment(), &app.tenant()).await.unwrap_err();
    assert_eq!((status(&app).await, of_tenant(&app).await.len()), (Status::Enabled, 0));
    get(&app, "/Users").await.expect(200);
    // The answer is lost, and then found to have been a success; conflicts are tried again.
    proxy.script("TransactWriteItems", [Step::Conflict, Step::LoseAnswer]);
    assert_eq!(release(app.store(), &app.moment(), &app.tenant()).await.unwrap(), 1);
    assert_eq!((status(&app).await, of_tenant(&app).await.len()), (Status::Released, 1));
    get(&app, "/Users").await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_change_meanwhile_do_not_lose_it() {
    let app = App::start().await;
    let (moment, tenant) = (app.moment(), app.tenant());
    let (settings, _) = app.store().settings(&moment, &tenant).await.unwrap().unwrap();
    // Read before, written after.
    release(app.store(), &app.moment(), &tenant).await.unwrap();
    let old: &Settings = &settings;
    let cx = Cx { tenant: &tenant, settings: old, actor: "test", moment: &moment };
    app.store().set_status(&cx, Status::Disabled, None).await.unwrap_err();
    assert_eq!(status(&app).await, Status::Released);
    assert_eq!(
        tenants::list(app.store(), &moment).await.unwrap()[0].status,
        Some(Status::Released)
    );
}

#[test]
fn the_command_asks_for_the_name_and_says_what_comes_next() {
    let server = Server::start(&["--tenant", "acme"]);
    let told = server.refused(&["tenant", "release", "acme"]);
    assert!(told.contains("end SCIM for acme") && told.contains("--yes"), "{told}");
    assert_eq!(server.status(server.token()), 200);
    let done = server.run(&["tenant", "release", "acme", "--yes"]);
    assert_eq!(done, json!({"tenant": "acme", "status": "released", "tokens_revoked": 1}));
    assert_eq!(server.status(server.token()), 403);
    let again = server.text(&["tenant", "release", "acme", "--yes"]);
    assert!(
        again.contains("acme is released") && again.contains("0 tokens are revoked"),
        "{again}"
    );
    assert_eq!(server.run(&["tenant", "show", "acme"])["status"], "released");
    let listed = server.text(&["tenant", "list"]);
    assert!(listed.contains("released"), "{listed}");
    let told = server.refused(&["tenant", "disable", "acme"]);
    assert!(told.contains("is released"), "{told}");
    assert_eq!(server.run(&["check", "acme"])["whole"], true);
    let enabled = server.text(&["tenant", "enable", "acme"]);
    assert!(enabled.contains("scimctl token issue acme --endpoint-url"), "{enabled}");
    let told = server.refused(&["tenant", "release", "nobody", "--yes"]);
    assert!(told.contains("no tenant nobody"), "{told}");
}
