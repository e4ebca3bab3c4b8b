//! The page that says whether the identity provider has called: what came of the call, and when it looks again.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Browser, Page};
use crate::app::App;

const PROBE: &str = "/Users?filter=userName+eq+%227a0a7d2e-6f5c-4c3f-9d0b-2f6f0a3f9d11%22";

fn looks_again(page: &Page) -> bool {
    page.text.contains("data-looks-again")
}

/// A browser at a workspace that is on, and a token that was just revealed.
async fn revealed(app: &App) -> (Browser<'_>, String) {
    let browser = Browser::opened(app).await;
    let token = browser.reveal("Entra").await.expect(200).token().unwrap();
    (browser, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_token_at_a_wrong_address_is_no_success() {
    let app = App::start().await;
    let (browser, token) = revealed(&app).await;
    app.call_as(&token, "GET", "/Persons?count=1", Value::Null).await.expect(404);
    let page = browser.get("/portal/test").await.expect(200);
    page.says("with the token “Entra”")
        .says("that call was refused")
        .says("the Tenant URL is another one");
    assert!(
        !page.words().contains("it works") && !page.words().contains("let in"),
        "{}",
        page.words()
    );
    let overview = browser.get("/portal").await.expect(200);
    overview.says("and was refused");
    assert_eq!(overview.text.matches("class=\"done\"").count(), 2, "{}", overview.words());
    // The next try is seen at once, within the minute of the one before.
    app.call_as(&token, "GET", PROBE, Value::Null).await.expect(200);
    let page = browser.get("/portal/test").await.expect(200);
    page.says("it works").says("was let in");
    assert!(!page.words().contains("refused"), "{}", page.words());
    assert_eq!(browser.get("/portal").await.text.matches("class=\"done\"").count(), 4);
    // And the address broken again is seen at once as well.
    app.call_as(&token, "GET", "/Persons?count=1", Value::Null).await.expect(404);
    browser.get("/portal/test").await.says("that call was refused").says("It was last let in at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_while_it_was_off_is_none_that_was_let_in() {
    let app = App::start().await;
    let (browser, token) = revealed(&app).await;
    browser.submit("/portal/provisioning", &[("to", "off")]).await.expect(303);
    app.clock().advance(Duration::from_secs(31));
    app.call_as(&token, "GET", PROBE, Value::Null).await.expect(403);
    browser
        .get("/portal/test")
        .await
        .expect(200)
        .says("switched off")
        .says("A call was refused at");
    browser.upload(super::METADATA).await.expect(303);
    browser.submit("/portal/provisioning", &[("to", "on")]).await.expect(303);
    let page = browser.get("/portal/test").await.expect(200);
    page.says("that call was refused").says("provisioning was off at that time");
    assert!(!page.words().contains("it works"), "{}", page.words());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_rotation_each_live_token_is_looked_for() {
    let app = App::start().await;
    let (browser, old) = revealed(&app).await;
    app.call_as(&old, "GET", PROBE, Value::Null).await.expect(200);
    let new = browser.reveal("new").await.expect(200).token().unwrap();
    let page = browser.get("/portal/test").await.expect(200);
    page.says("it works").says("token “new” (…").says("no call yet");
    assert!(looks_again(&page), "the new one has not come yet");
    app.clock().advance(Duration::from_secs(5));
    let bad = json!({"userName": 7});
    app.call_as(&new, "POST", "/Users", bad).await.expect(400);
    let page = browser.get("/portal/test").await.expect(200);
    page.says("with the token “new”").says("that call was refused").says(": let in at");
    // One that was revoked, too.
    let id = browser.get("/portal/tokens").await.text;
    let card = id.split("<bdi>Entra</bdi>").nth(1).unwrap();
    let id = card.split_once("name=\"token\" value=\"").unwrap().1.split('"').next().unwrap();
    browser.submit("/portal/tokens/revoke", &[("token", id)]).await.expect(303);
    app.clock().advance(Duration::from_secs(31));
    app.call_as(&old, "GET", PROBE, Value::Null).await.expect(401);
    let page = browser.get("/portal/test").await.expect(200);
    page.says(&format!("A token ending in …{} was refused at ", &old[old.len() - 2..]));
}
