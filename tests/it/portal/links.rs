//! Setup links and sessions: what opens what, once, for whom, and for how long.

use std::time::Duration;

use scim_endpoint::admin::{AdminError, portal};
use scim_endpoint::auth::{LinkSecret, SessionSecret};
use scim_endpoint::limits::SESSION_LIFE_HOURS;
use scim_endpoint::portal::Options;
use scim_endpoint::store::{Cx, TenantId};
use serde_json::Value;

use super::{Browser, ORIGIN, PAGES, link, options, path_of};
use crate::app::App;

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_a_link_uses_nothing_up_and_opening_it_does() {
    let app = App::start().await;
    let link = link(&app, &app.tenant()).await;
    let scanner = Browser::new(&app);
    for method in ["GET", "HEAD", "GET"] {
        let seen = scanner.send(method, &path_of(&link), &[], &[]).await.expect(200);
        assert!(seen.headers.get("set-cookie").is_none());
    }
    let browser = Browser::new(&app);
    let opened = browser.open(&link).await.expect(303);
    let cookie = opened.header("set-cookie");
    for part in
        ["__Host-scim-portal=scimsession_", "; Path=/;", "Secure", "HttpOnly", "SameSite=Strict"]
    {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"));
    let again = Browser::new(&app);
    again
        .get(&path_of(&link))
        .await
        .expect(410)
        .says("was opened at")
        .says("scimctl portal link acme");
    let stopped = again.open(&link).await.expect(410);
    assert!(!stopped.text.contains("\"/portal/\""), "an API may not have that path");
    assert!(again.cookie.borrow().is_none());
    browser.get("/portal").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_revoked_and_expired_links_open_nothing() {
    let app = App::start().await;
    let browser = Browser::new(&app);
    let forged = LinkSecret::mint(&app.moment()).reveal().to_owned();
    let token = app.token();
    for secret in [forged.as_str(), token.as_str(), "x", "", "../tokens"] {
        let path = format!("/portal/s/{secret}");
        browser
            .get(&path)
            .await
            .expect(404)
            .says("not known here")
            .says("scimctl portal link TENANT");
        browser.post(&path, &[]).await.expect(404);
    }
    let revoked = link(&app, &app.tenant()).await;
    let by = (&app.tenant(), "scimctl");
    portal::revoke_link(app.store(), &app.moment(), by, &revoked.id).await.unwrap();
    browser.get(&path_of(&revoked)).await.expect(410).says("was revoked at");
    let late = link(&app, &app.tenant()).await;
    app.clock().advance(Duration::from_hours(24 * 7));
    browser.get(&path_of(&late)).await.expect(410).says("could be opened until");
    browser.open(&late).await.expect(410);
    assert!(browser.cookie.borrow().is_none());
}

/// A backend may have a link made for each visit.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_opened_is_kept_for_some_days_and_then_cleared_away() {
    let app = App::start().await;
    let (tenant, moment) = (app.tenant(), || app.moment());
    let (used, unused) = (link(&app, &tenant).await, link(&app, &tenant).await);
    Browser::new(&app).open(&used).await.expect(303);
    let by = (&tenant, "scimctl");
    let settings = app.store().settings(&moment(), &tenant).await.unwrap().unwrap().0;
    for (days, kept) in [(6, 2), (2, 1), (88, 1), (2, 0)] {
        app.clock().advance(Duration::from_hours(24 * days));
        let moment = moment();
        let cx = Cx { tenant: &tenant, settings: &settings, actor: "job", moment: &moment };
        app.store().forget_links(&cx).await.unwrap();
        let links = portal::links(app.store(), &moment, &tenant).await.unwrap();
        assert_eq!(links.len(), kept, "after {days} days more");
    }
    for id in [used.id.as_str(), &unused.id, "x", &"x".repeat(2_000), ""] {
        let gone = portal::revoke_link(app.store(), &moment(), by, id).await.unwrap_err();
        assert!(matches!(gone, AdminError::NoLink(..)), "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_its_own_tenant_and_no_other() {
    let app = App::start().await;
    let other = TenantId::parse("globex").unwrap();
    let browser = Browser::new(&app);
    browser.open(&link(&app, &other).await).await.expect(303);
    let shown = browser.reveal("theirs").await.expect(200).token().unwrap();
    let user = serde_json::json!({"userName": "gil@globex.test"});
    app.call_as(&shown, "POST", "/Users", user).await.expect(201);
    let own = Browser::opened(&app).await;
    for path in PAGES {
        let page = own.get(path).await.expect(200);
        assert!(!page.text.contains("globex") && !page.text.contains("gil@"), "{path}");
    }
    // Another tenant's token cannot be revoked by its id.
    let page = browser.get("/portal/tokens").await.expect(200);
    let id = page.field("token");
    own.submit("/portal/tokens/revoke", &[("token", &id)])
        .await
        .expect(409)
        .says("There is no such token");
    app.call_as(&shown, "GET", "/Users", Value::Null).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_by_itself_by_leaving_and_with_its_link() {
    let app = App::start().await;
    let leaving = Browser::opened(&app).await;
    let kept = leaving.cookie.borrow().clone().unwrap();
    leaving.submit("/portal/leave", &[]).await.expect(200).says("The session is over");
    assert!(leaving.cookie.borrow().is_none());
    leaving.send("GET", "/portal", &[("cookie", &kept)], &[]).await.expect(401);

    let revoked = Browser::new(&app);
    let link = link(&app, &app.tenant()).await;
    revoked.open(&link).await.expect(303);
    let by = (&app.tenant(), "scimctl");
    portal::revoke_link(app.store(), &app.moment(), by, &link.id).await.unwrap();
    revoked.get("/portal").await.expect(401);

    let late = Browser::opened(&app).await;
    let hours = u64::try_from(SESSION_LIFE_HOURS).unwrap();
    app.clock().advance(Duration::from_hours(hours));
    for path in PAGES {
        late.get(path).await.expect(401).says("No open session");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_choose_anybodys_session() {
    let app = App::start().await;
    let attacker = Browser::opened(&app).await;
    let planted = attacker.cookie.borrow().clone().unwrap();
    // Opening a link mints a new secret, whatever the browser had before.
    let victim = Browser::new(&app);
    *victim.cookie.borrow_mut() = Some(planted.clone());
    victim.open(&link(&app, &TenantId::parse("globex").unwrap()).await).await.expect(303);
    let own = victim.cookie.borrow().clone().unwrap();
    assert_ne!(own, planted);
    attacker.get("/portal").await.expect(200).says("Overview");
    // Of two cookies of the name one is somebody else's: neither counts.
    let both = format!("{planted}; {own}");
    victim.send("GET", "/portal", &[("cookie", &both)], &[]).await.expect(401);
    // The name without the prefix, which another host could set, counts for nothing here.
    let plain = own.replace("__Host-", "");
    victim.send("GET", "/portal", &[("cookie", &plain)], &[]).await.expect(401);
    let forged = format!("__Host-scim-portal={}", SessionSecret::mint(&app.moment()).reveal());
    victim.send("GET", "/portal", &[("cookie", &forged)], &[]).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_opens_what_another_opens() {
    let app = App::start().await;
    let browser = Browser::opened(&app).await;
    let cookie = browser.cookie.borrow().clone().unwrap();
    let session = cookie.split_once('=').unwrap().1.to_owned();
    // The session at SCIM, as a token and as a cookie.
    app.call_as(&session, "GET", "/Users", Value::Null).await.expect(401);
    let headers = [("Cookie".to_owned(), cookie.clone())];
    app.send("GET", "/Users", &headers, &[]).await.expect(401);
    // The token here, as a session, as a header and as a link.
    let stranger = Browser::new(&app);
    let token = app.token();
    let as_cookie = format!("__Host-scim-portal={token}");
    let as_header = format!("Bearer {token}");
    for path in PAGES {
        stranger.send("GET", path, &[("cookie", &as_cookie)], &[]).await.expect(401);
        stranger.send("GET", path, &[("authorization", &as_header)], &[]).await.expect(401);
    }
    let link = link(&app, &app.tenant()).await;
    let as_cookie = format!("__Host-scim-portal={}", link.secret.reveal());
    stranger.send("GET", "/portal", &[("cookie", &as_cookie)], &[]).await.expect(401);
    app.call_as(link.secret.reveal(), "GET", "/Users", Value::Null).await.expect(401);
    browser.get(&format!("/portal/s/{session}")).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_ones_own_machine_the_cookie_is_one_that_plain_http_can_have() {
    let app = App::start().await;
    for (origin, is_plain) in [
        ("http://127.0.0.1:8080", true),
        ("http://localhost", true),
        ("http://127.0.0.1.example.test", false),
        ("http://scim.example.test", false),
        (ORIGIN, false),
    ] {
        let portal = scim_endpoint::portal::Portal::new(
            app.store().clone(),
            Options { public_url: None, ..options() },
        );
        let link = link(&app, &app.tenant()).await;
        let request = scim_endpoint::http::Request {
            method: http::Method::POST,
            path: path_of(&link),
            query: String::new(),
            headers: [(http::header::ORIGIN, origin.parse().unwrap())].into_iter().collect(),
            body: bytes::Bytes::new(),
            origin: Some(origin.to_owned()),
        };
        let response = scim_endpoint::portal::handle(&portal, request, app.moment()).await;
        let page = super::Page::of(&response).expect(303);
        let cookie = page.header("set-cookie");
        assert_eq!(cookie.starts_with("scim-portal="), is_plain, "{origin}: {cookie}");
        assert_eq!(cookie.contains("Secure"), !is_plain, "{origin}: {cookie}");
        assert_eq!(page.header("strict-transport-security").is_empty(), is_plain);
    }
}
