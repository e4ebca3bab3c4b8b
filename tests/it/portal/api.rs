//! What the team's backend asks for.

use http::{HeaderMap, Method};
use scim_endpoint::admin::saml;
use scim_endpoint::http::Request;
use scim_endpoint::portal::{Api, Portal, answer_api};
use serde_json::Value;

use super::{Browser, ORIGIN, Page, options};
use crate::app::App;

async fn ask(app: &App, api: Api, (method, path): (Method, &str), body: &str) -> Page {
    let portal = Portal::new(app.store().clone(), options());
    let request = Request {
        method,
        path: path.to_owned(),
        query: String::new(),
        headers: HeaderMap::new(),
        body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        origin: Some(ORIGIN.to_owned()),
    };
    Page::of(&answer_api(&portal, &request, api, &app.moment()).await)
}

fn json_of(page: &Page) -> Value {
    serde_json::from_str(&page.text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_gets_a_link_and_says_that_somebody_has_signed_in() {
    let app = App::start().await;
    let links = (Method::POST, "/portal-api/tenants/newco/links");
    let page = ask(&app, Api::Signed, links.clone(), r#"{"expires": "2d", "label": "Kim"}"#)
        .await
        .expect(200);
    let answer = json_of(&page);
    assert_eq!(answer["tenant_created"], true);
    assert_eq!(answer["label"], "Kim");
    let path = answer["url"].as_str().unwrap().strip_prefix(ORIGIN).unwrap();
    let browser = Browser::new(&app);
    browser.get(path).await.expect(200).says("Set up newco");
    browser.post(path, &[]).await.expect(303);
    browser.upload(super::METADATA).await.expect(303);

    let seen = (Method::POST, "/portal-api/tenants/newco/saml-seen");
    let page = ask(&app, Api::Signed, seen.clone(), "").await.expect(200);
    let first = json_of(&page);
    assert_eq!(first["saml"], "seen");
    assert_eq!(
        json_of(&ask(&app, Api::Signed, seen, "").await.expect(200)),
        first,
        "only the first counts"
    );
    browser.get("/portal/sign-in").await.expect(200).says("Somebody has signed in");
    assert_eq!(json_of(&ask(&app, Api::Signed, links, "").await)["tenant_created"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_elsewhere_stays_there_and_one_that_nobody_has_set_up_is_not_seen() {
    let app = App::start().await;
    let seen = || (Method::POST, "/portal-api/tenants/acme/saml-seen");
    let page = ask(&app, Api::Signed, seen(), "").await.expect(409);
    assert!(json_of(&page)["error"].as_str().unwrap().contains("is not set up"));
    let browser = Browser::opened(&app).await;
    browser.submit("/portal/provisioning", &[("to", "off")]).await.expect(303);
    browser.submit("/portal/provisioning", &[("to", "on")]).await.expect(409);
    saml::external(app.store(), &app.moment(), (&app.tenant(), "scimctl")).await.unwrap();
    for _ in 0..2 {
        let answer = json_of(&ask(&app, Api::Signed, seen(), "").await.expect(200));
        assert_eq!(answer["saml"], "external");
        assert!(answer["seen_at"].is_string());
    }
    let page = browser.get("/portal/sign-in").await.expect(200);
    page.says("set up elsewhere");
    assert!(!page.text.contains("Check and keep"), "there is nothing to give");
    browser.get("/portal").await.expect(200).says("It is set up elsewhere");
    // The form of a page that was opened before.
    browser.upload(super::METADATA).await.expect(409).says("were not kept");
    browser.get("/portal/sign-in").await.expect(200).says("set up elsewhere");
    browser.submit("/portal/provisioning", &[("to", "on")]).await.expect(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_signed_gets_nothing() {
    let app = App::start().await;
    for path in ["/portal-api/tenants/acme/links", "/portal-api/tenants/acme/saml-seen"] {
        ask(&app, Api::Unsigned, (Method::POST, path), "").await.expect(403);
    }
    let post = |path| (Method::POST, path);
    for (request, body, status) in [
        (post("/portal-api/tenants/nobody/saml-seen"), "", 404),
        (post("/portal-api/tenants/acme"), "", 404),
        (post("/portal-api/tenants/acme/tokens"), "", 404),
        (post("/portal-api/tenants/A%20b/links"), "", 400),
        (post("/portal-api/tenants/acme/links"), "[]", 400),
        (post("/portal-api/tenants/acme/links"), r#"{"expires": "1y"}"#, 400),
        (post("/portal-api/tenants/acme/links"), r#"{"label": 7}"#, 400),
        (post("/portal-api/tenants/acme/links"), r#"{"label": ""}"#, 400),
        ((Method::GET, "/portal-api/tenants/acme/links"), "", 405),
    ] {
        let page = ask(&app, Api::Signed, request, body).await.expect(status);
        assert!(json_of(&page)["error"].is_string());
    }
}
