//! Forms: whose are taken, and what is done with those that are sent twice, cut, or too large.

use scim_endpoint::admin::tokens;
use scim_endpoint::limits::{DEAD_TOKENS_SHOWN, FORM_BYTES_MAX, TOKEN_ROWS_PORTAL_MAX};

use super::{Browser, METADATA, PAGES, form, link, path_of};
use crate::app::App;

const URLENCODED: &str = "application/x-www-form-urlencoded";

/// Every form that changes something.
const FORMS: [(&str, &[(&str, &str)]); 6] = [
    ("/portal/sign-in", &[("metadata", METADATA)]),
    ("/portal/provisioning", &[("to", "off")]),
    ("/portal/tokens", &[("label", "x"), ("days", "365"), ("version", "1")]),
    ("/portal/tokens/revoke", &[("token", "x")]),
    ("/portal/held", &[("decision", "release"), ("until", "01995f0e-0000-7000-8000-000000000000")]),
    ("/portal/leave", &[]),
];

async fn tokens_of(app: &App) -> usize {
    tokens::list(app.store(), &app.moment(), &app.tenant()).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_of_another_page_is_taken() {
    let app = App::start().await;
    let browser = Browser::opened(&app).await;
    // Each page that takes a form is among them.
    for path in PAGES {
        let is_among = FORMS.iter().any(|(form, _)| *form == path);
        let refused = browser.post(path, &[]).await;
        assert_eq!(refused.status, if is_among { 403 } else { 405 }, "{path}");
    }
    let other = Browser::opened(&app).await;
    let (own, foreign) = (browser.csrf().await, other.csrf().await);
    let before = tokens_of(&app).await;
    for (path, fields) in FORMS {
        for csrf in [None, Some(""), Some("x"), Some(foreign.as_str())] {
            let csrf: Vec<_> = csrf.into_iter().map(|csrf| ("csrf", csrf)).collect();
            let fields = [&csrf[..], fields].concat();
            browser.post(path, &fields).await.expect(403).says("nothing was done");
        }
        // With the right value, but from another site.
        let body = form(&[&[("csrf", own.as_str())], fields].concat());
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
            ("origin", "https://evil.example"),
            ("origin", "https://scim.example.test.evil.example"),
            ("origin", "http://scim.example.test"),
        ] {
            let headers = [("content-type", URLENCODED), (name, value)];
            browser.send("POST", path, &headers, body.as_bytes()).await.expect(403);
        }
    }
    assert_eq!(tokens_of(&app).await, before);
    browser.get("/portal/provisioning").await.expect(200).says("calls are served");
    // A link is not opened for another site either, nor where nobody says who asks.
    let link = link(&app, &app.tenant()).await;
    let stranger = Browser::new(&app);
    for headers in [
        vec![("sec-fetch-site", "cross-site")],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![],
    ] {
        stranger.send("POST", &path_of(&link), &headers, &[]).await.expect(403);
    }
    stranger.open(&link).await.expect(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_sent_again_makes_no_second_token() {
    let app = App::start().await;
    let browser = Browser::opened(&app).await;
    let version = browser.get("/portal/tokens").await.expect(200).field("version");
    let fields = [("label", "Entra"), ("days", "365"), ("version", version.as_str())];
    let before = tokens_of(&app).await;
    let shown = browser.submit("/portal/tokens", &fields).await.expect(200);
    assert!(shown.token().is_some());
    let again = browser.submit("/portal/tokens", &fields).await.expect(409);
    again.says("sent already");
    assert!(!again.text.contains("scim_"));
    // Two at the same time as well.
    let version = browser.get("/portal/tokens").await.expect(200).field("version");
    let fields = [("label", "Entra"), ("days", "365"), ("version", version.as_str())];
    let (one, two) = tokio::join!(
        browser.submit("/portal/tokens", &fields),
        browser.submit("/portal/tokens", &fields)
    );
    let mut both = [one.status, two.status];
    both.sort_unstable();
    assert_eq!(both, [200, 409]);
    assert_eq!(tokens_of(&app).await, before + 2);
}

/// Whoever has a session cannot fill the workspace with dead tokens until nothing can be read any more.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_without_end_are_not_issued_and_can_still_be_revoked() {
    let app = App::start().await;
    let (store, tenant) = (app.store(), app.tenant());
    let day = tokens::Life::days(1);
    while tokens_of(&app).await < TOKEN_ROWS_PORTAL_MAX {
        for _ in 0..30 {
            tokens::issue(store, &app.moment(), &tenant, "x", day).await.unwrap();
        }
        app.clock().advance(std::time::Duration::from_hours(25));
    }
    let browser = Browser::opened(&app).await;
    let refused = browser.reveal("one more").await.expect(409);
    refused.says("none is issued here any more");
    let page = browser.get("/portal/tokens").await.expect(200);
    assert_eq!(page.words().matches(": expired; valid until").count(), DEAD_TOKENS_SHOWN);
    page.says("older ones");
    // The team's way goes on, and what it issues can be revoked here.
    let new = tokens::issue(store, &app.moment(), &tenant, "new", day).await.unwrap();
    browser.submit("/portal/tokens/revoke", &[("token", &new.id)]).await.expect(303);
    for id in ["x", &"x".repeat(2_000), ""] {
        let page = browser.submit("/portal/tokens/revoke", &[("token", id)]).await;
        assert!(page.status == 409 || page.status == 400, "{}", page.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_form_is_told_so() {
    let app = App::start().await;
    let browser = Browser::opened(&app).await;
    let csrf = browser.csrf().await;
    let send = async |media_type: &str, body: &[u8]| {
        let headers = [("content-type", media_type), ("sec-fetch-site", "same-origin")];
        browser.send("POST", "/portal/sign-in", &headers, body).await
    };
    let large = vec![b'a'; FORM_BYTES_MAX + 1];
    send(URLENCODED, &large).await.expect(413).says("larger than 1 MB");
    send("application/json", b"{}").await.expect(415);
    send("multipart/form-data", b"").await.expect(400);
    send("multipart/form-data; boundary=edge", b"--edge\r\nContent-Disp").await.expect(400);
    send(URLENCODED, b"csrf=%ff").await.expect(400);
    let csrf_only = form(&[("csrf", &csrf)]);
    send(URLENCODED, csrf_only.as_bytes()).await.expect(422).says("There is nothing in it");
    let pasted = form(&[("csrf", csrf.as_str()), ("metadata", METADATA)]);
    send(URLENCODED, pasted.as_bytes()).await.expect(303);
    for (path, fields) in [
        ("/portal/provisioning", &[("to", "up")][..]),
        ("/portal/tokens", &[("label", "x"), ("days", "9999"), ("version", "1")]),
        ("/portal/tokens/revoke", &[]),
    ] {
        browser.submit(path, fields).await.expect(400);
    }
    let version = browser.get("/portal/tokens").await.field("version");
    let fields = [("label", ""), ("days", "90"), ("version", version.as_str())];
    browser.submit("/portal/tokens", &fields).await.expect(409).says("A name for the token");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_lead_nowhere_say_so() {
    let app = App::start().await;
    let browser = Browser::opened(&app).await;
    for path in ["/portal/x", "/portal/../scim/v2/Users", "/portal/log/", "/portal/assets/x"] {
        browser.get(path).await.expect(404);
    }
    let refused = browser.send("DELETE", "/portal/tokens", &[], &[]).await.expect(405);
    assert_eq!(refused.header("allow"), "GET, HEAD, POST");
    browser.get("/portal/leave").await.expect(405);
    let long = format!("/portal/log?who={}", "a".repeat(20_000));
    browser.get(&long).await.expect(400);
}
