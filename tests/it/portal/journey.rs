//! From a link to "in sync", as a customer's admin goes it.

use std::time::Duration;

use scim_endpoint::admin::portal::SamlFirst;
use scim_endpoint::admin::tenants;
use scim_endpoint::portal::Options;
use scim_endpoint::store::TenantId;
use serde_json::{Value, json};

use super::{Browser, METADATA, ORIGIN, PAGES, link, options, path_of};
use crate::app::App;

const PROBE: &str = "/Users?filter=userName+eq+%227a0a7d2e-6f5c-4c3f-9d0b-2f6f0a3f9d11%22";

async fn new_tenant(app: &App) -> TenantId {
    let tenant = TenantId::parse("newco").unwrap();
    assert!(tenants::prepare(app.store(), &app.moment(), &tenant).await.unwrap());
    tenant
}

#[tokio::test(flavor = "multi_thread")]
async fn one_link_carries_an_admin_from_nothing_to_in_sync() {
    let app = App::start().await;
    let tenant = new_tenant(&app).await;
    let browser = Browser::new(&app);
    let link = link(&app, &tenant).await;
    browser.get(&path_of(&link)).await.expect(200).says("Set up newco").says("Continue");
    let opened = browser.open(&link).await.expect(303);
    assert_eq!(opened.header("location"), "/portal");
    browser.get("/portal").await.expect(200).says("waiting for first contact");
    browser.get("/portal/").await.expect(200).says("waiting for first contact");

    // First the sign-in, then the switch.
    browser
        .submit("/portal/provisioning", &[("to", "on")])
        .await
        .expect(409)
        .says("The sign-in is not set up");
    browser.upload("<x/>").await.expect(422).says("there is no EntityDescriptor");
    browser.upload(METADATA).await.expect(303);
    browser
        .get("/portal/sign-in")
        .await
        .expect(200)
        .says("A real sign-in has not been seen yet")
        .says("https://sts.windows.net/")
        .says("valid until");
    browser.get("/portal/test").await.expect(200).says("switched off");
    browser.submit("/portal/provisioning", &[("to", "on")]).await.expect(303);
    browser.get("/portal/provisioning").await.expect(200).says("calls are served");

    // The token, once.
    browser.get("/portal/test").await.expect(200).says("There is no live token");
    let shown = browser.reveal("Entra").await.expect(200);
    let token = shown.token().unwrap();
    assert!(shown.text.contains(&format!("{ORIGIN}/scim/v2/?aadOptscim062020")));
    let tokens = browser.get("/portal/tokens").await.expect(200);
    assert!(!tokens.text.contains(&token), "it is shown once");
    browser.get("/portal/connect").await.expect(200).says("the one that was revealed to you");

    // The identity provider tests the connection.
    let waiting = browser.get("/portal/test").await.expect(200);
    assert!(waiting.text.contains("data-looks-again=\"5\""));
    app.call_as(&token, "GET", PROBE, Value::Null).await.expect(200);
    let seen = browser.get("/portal/test").await.expect(200);
    seen.says("it works").says("token “Entra” (…");
    assert!(!seen.text.contains("data-looks-again"), "nothing to wait for");

    // Its first cycle.
    let ida = json!({"userName": "ida@ex.test", "displayName": "Ida", "externalId": "7b0d1c92-5a39-4c0e-8a55-0d8e3c1f2b44"});
    app.call_as(&token, "POST", "/Users", ida.clone()).await.expect(201);
    app.call_as(&token, "POST", "/Users", ida).await.expect(409);
    app.clock().advance(Duration::from_mins(31));
    app.call_as(&token, "GET", PROBE, Value::Null).await.expect(200);
    app.clock().advance(Duration::from_mins(12));
    browser
        .get("/portal")
        .await
        .expect(200)
        .says("Your directory is in sync, last seen 12 minutes ago");
    browser.get("/portal/log?outcome=failure").await.expect(200).says("refused (409 uniqueness)");
    browser.get("/portal/log").await.expect(200).says("ida@ex.test").says("portal:token-issued");
    browser.get("/portal/why?who=ida%40ex.test").await.expect(200).says("is here and active");
    browser.get("/portal/why?who=bob").await.expect(200).says("has never spoken of");
    browser.get("/portal/health").await.expect(200).says("healthy").says("initial");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_rotated_and_the_old_one_is_told_of() {
    let app = App::start().await;
    let browser = Browser::opened(&app).await;
    let old = browser.reveal("old").await.expect(200).token().unwrap();
    app.call_as(&old, "GET", PROBE, Value::Null).await.expect(200);
    let new = browser.reveal("new").await.expect(200).token().unwrap();
    app.clock().advance(Duration::from_mins(90));
    app.call_as(&new, "GET", PROBE, Value::Null).await.expect(200);
    // A test with the new one may not have been saved.
    app.clock().advance(Duration::from_mins(81));
    let page = browser.get("/portal/tokens").await.expect(200);
    assert!(!page.words().contains("Safe to revoke"), "{}", page.words());
    app.call_as(&new, "GET", PROBE, Value::Null).await.expect(200);
    app.clock().advance(Duration::from_mins(20));
    let page = browser.get("/portal/tokens").await.expect(200);
    page.says("Safe to revoke");
    let card = page.text.split("<bdi>old</bdi>").nth(1).unwrap();
    let id = card.split_once("name=\"token\" value=\"").unwrap().1.split('"').next().unwrap();
    browser.submit("/portal/tokens/revoke", &[("token", id)]).await.expect(303);
    app.call_as(&old, "GET", PROBE, Value::Null).await.expect(401);
    let page = browser.get("/portal/test").await.expect(200);
    page.says(&format!("A token ending in …{} was refused at ", &old[old.len() - 2..]));
    page.says(": revoked on ").says("it works");
    // Expiry is told in time.
    app.clock().advance(Duration::from_hours(24 * 340));
    let browser = Browser::opened(&app).await;
    browser.get("/portal/tokens").await.expect(200).says("It ends within 30 days");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_is_there_without_script_and_keeps_nothing() {
    let app = App::start().await;
    let browser = Browser::opened(&app).await;
    for path in PAGES {
        let page = browser.get(path).await.expect(200);
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("strict-transport-security"), "max-age=31536000");
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        let lower = page.text.to_ascii_lowercase();
        for inline in ["style=", "<style", " onclick", " onload", "javascript:"] {
            assert!(!lower.contains(inline), "{path}: {inline}");
        }
        let head = browser.send("HEAD", path, &[], &[]).await.expect(200);
        assert_eq!(head.text, "");
    }
    // Each field has a label, and each form that changes something brings the session's value.
    for path in PAGES.iter().filter(|path| !path.contains(".json")) {
        let page = browser.get(path).await;
        for field in page.text.split("<input ").skip(1).chain(page.text.split("<textarea ").skip(1))
        {
            let tag = field.split('>').next().unwrap();
            if tag.contains("type=\"hidden\"") {
                continue;
            }
            let id = tag.split("id=\"").nth(1).unwrap().split('"').next().unwrap();
            assert!(page.text.contains(&format!("<label for=\"{id}\">")), "{path}: {id}");
        }
        for form in page.text.split("<form method=\"post\"").skip(1) {
            let form = form.split("</form>").next().unwrap();
            assert!(form.contains("name=\"csrf\""), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_kept_under_names_that_change_with_them() {
    let app = App::start().await;
    let browser = Browser::new(&app);
    let page = browser.get("/portal").await.expect(401);
    for ending in [".css", ".js"] {
        let name =
            page.text.split("/portal/assets/").skip(1).map(|rest| rest.split('"').next().unwrap());
        let name = name.into_iter().find(|name| name.ends_with(ending)).unwrap();
        let asset = browser.get(&format!("/portal/assets/{name}")).await.expect(200);
        assert!(asset.header("cache-control").contains("immutable"));
        assert!(!asset.text.contains("http://") && !asset.text.contains("https://"), "{name}");
    }
    browser.get("/portal/assets/portal.css").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_does_without_the_sign_in_or_has_it_elsewhere() {
    let app = App::start().await;
    let tenant = new_tenant(&app).await;
    let without = Options { saml_first: SamlFirst::NotRequired, ..options() };
    let browser = Browser::with(&app, without);
    browser.open(&link(&app, &tenant).await).await.expect(303);
    browser.get("/portal").await.expect(200).says("It is not asked for here");
    browser.submit("/portal/provisioning", &[("to", "on")]).await.expect(303);
    browser.submit("/portal/provisioning", &[("to", "off")]).await.expect(303);
    scim_endpoint::admin::saml::external(app.store(), &app.moment(), (&tenant, "scimctl"))
        .await
        .unwrap();
    browser.get("/portal/sign-in").await.expect(200).says("set up elsewhere");
    let required = Browser::new(&app);
    required.open(&link(&app, &tenant).await).await.expect(303);
    required.submit("/portal/provisioning", &[("to", "on")]).await.expect(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_page_by_page() {
    let app = App::start().await;
    let browser = Browser::opened(&app).await;
    for number in 0..60 {
        let person = json!({"userName": format!("p{number:02}@ex.test")});
        app.call("POST", "/Users", person).await.expect(201);
    }
    let first = browser.get("/portal/log?action=create").await.expect(200);
    first.says("p59@ex.test");
    assert!(!first.words().contains("p09@ex.test"));
    let next =
        first.text.split("href=\"/portal/log?").find(|rest| rest.contains("rel=\"next\"")).unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    let second = browser.get(&format!("/portal/log?{next}")).await.expect(200);
    second.says("p09@ex.test").says("p00@ex.test");
    assert!(!second.words().contains("p10@ex.test"));
    browser.get("/portal/log?who=P07").await.expect(200).says("p07@ex.test");
    browser.get("/portal/log?since=yesterday").await.expect(200).says("A time is written like");
    browser
        .get("/portal/log?until=2020-01-01T00:00")
        .await
        .expect(200)
        .says("Nothing of that sort");
}
