//! Whatever a directory sends, and whatever stands in an address, is shown and does nothing.

use serde_json::json;

use super::{Browser, PAGES, Page, form};
use crate::app::App;

const PAYLOADS: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onfocus=alert(1) autofocus='",
    "javascript:alert(1)",
    "</title></textarea><svg/onload=alert(1)>{{7*7}}",
    "&lt;b&gt;\u{202e}\u{1b}[2J",
];

/// The tags that the templates have.
const TAGS: [&str; 45] = [
    "!doctype", "html", "head", "meta", "title", "link", "script", "body", "a", "header", "p",
    "bdi", "nav", "ul", "li", "form", "input", "button", "main", "h1", "h2", "h3", "strong",
    "span", "ol", "dl", "dt", "dd", "time", "div", "label", "br", "select", "option", "textarea",
    "table", "thead", "tbody", "tr", "th", "td", "small", "section", "code", "b",
];

/// Nothing in a page is a tag, an attribute or an address that no template has.
#[track_caller]
fn harmless(page: &Page, whence: &str) {
    let scripts = page.text.matches("<script").count();
    assert_eq!(scripts, 1, "{whence}: {}", page.text);
    assert!(page.text.contains("<script src=\"/portal/assets/portal-"), "{whence}");
    for part in page.text.split('<').skip(1) {
        let name: String = part
            .trim_start_matches('/')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '!')
            .collect();
        let is_ours =
            TAGS.contains(&name.as_str()) || matches!(name.as_str(), "details" | "summary");
        assert!(is_ours, "{whence}: <{name}");
        // Values out, names left.
        let tag = part.split('>').next().unwrap();
        let names = tag.split('"').step_by(2).collect::<String>();
        assert!(!names.contains(" on") && !names.contains("autofocus"), "{whence}: <{tag}>");
    }
    for attribute in ["href=\"", "src=\"", "action=\""] {
        for value in page.text.split(attribute).skip(1) {
            let value = value.split('"').next().unwrap();
            let is_ours = ["/portal", "#main", "data:,"].iter().any(|own| value.starts_with(own));
            assert!(is_ours, "{whence}: {value}");
        }
    }
    assert!(!page.text.contains('\u{202e}') && !page.text.contains('\u{1b}'), "{whence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_directory_sends_does_anything() {
    let app = App::start().await;
    let browser = Browser::opened(&app).await;
    for (number, payload) in PAYLOADS.into_iter().enumerate() {
        let user_name = format!("{number}{payload}");
        let user = json!({
            "userName": user_name, "displayName": payload, "externalId": payload, "title": payload,
            "nickName": payload, "name": {"givenName": payload, "familyName": payload},
            "emails": [{"value": payload, "type": payload}], "locale": payload,
            "profileUrl": payload, "active": true,
        });
        let id = app.call("POST", "/Users", user.clone()).await.expect(201).id();
        app.call("POST", "/Users", user).await.expect(409);
        let group =
            json!({"displayName": user_name, "externalId": payload, "members": [{"value": id}]});
        app.call("POST", "/Groups", group).await.expect(201);
        let bad = json!({"userName": payload, "active": payload, payload: payload});
        let refused = app.call("POST", "/Users", bad).await.status;
        assert!(refused == 400 || refused == 201, "{refused}");
        let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": payload, "path": payload, "value": payload}]});
        app.call("PATCH", &format!("/Users/{id}"), patch).await.expect(400);
        for query in [
            form(&[("who", &user_name)]),
            form(&[("who", payload)]),
            form(&[("who", payload), ("before", payload)]),
            form(&[
                ("action", payload),
                ("outcome", payload),
                ("since", payload),
                ("until", payload),
            ]),
        ] {
            for path in ["/portal/log", "/portal/why"] {
                let page = browser.get(&format!("{path}?{query}")).await.expect(200);
                harmless(&page, path);
            }
        }
        let why = browser.get(&format!("/portal/why?{}", form(&[("who", &user_name)]))).await;
        assert!(why.text.contains("is here and active"), "{}", why.words());
        browser.get(&format!("/portal/connect?for={}", form(&[("x", payload)]))).await.expect(200);
        harmless(&browser.get(&format!("/portal/s/{payload}")).await.expect(404), "link");
    }
    // The label of a token is an admin's own.
    for payload in &PAYLOADS[..5] {
        let shown = browser.reveal(payload).await.expect(200);
        harmless(&shown, "token");
        app.call_as(&shown.token().unwrap(), "GET", "/Users?count=0", serde_json::Value::Null)
            .await
            .expect(200);
    }
    for path in PAGES.iter().filter(|path| !path.contains(".json")) {
        harmless(&browser.get(path).await.expect(200), path);
    }
    let log = browser.get("/portal/log").await.expect(200);
    assert!(log.text.contains("&#60;script&#62;alert(1)"), "it is shown as text");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_are_shown_as_text() {
    let app = App::start().await;
    let browser = Browser::opened(&app).await;
    for payload in PAYLOADS {
        let escaped = payload
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;")
            .replace('\u{1b}', "");
        let document = super::METADATA.replacen("https://sts.windows.net/", &escaped, 1);
        let page = browser.upload(&document).await.expect(422);
        harmless(&page, "sign-in");
    }
}

/// What in a template, or in what says how it is escaped, leaves something as it is; white space is not looked at.
fn unescaped(text: &str) -> bool {
    let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    ["|safe", "|e(", "|escape", "escape=", "{%autoescape", "HtmlSafe"]
        .iter()
        .any(|mark| dense.contains(mark))
}

#[test]
fn no_template_leaves_anything_unescaped() {
    for text in [
        "{{ name|safe }}",
        "{{ name |  safe }}",
        "{{ name|e(\"none\") }}",
        "{{ name | escape(\"none\") }}",
        "#[template(path = \"portal/x.html\", escape = \"none\")]",
    ] {
        assert!(unescaped(text), "{text}");
    }
    assert!(!unescaped("<p>It is safe to revoke {{ name }}: {{ escaped }}</p>"));
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for (folder, ending) in
        [("templates/portal", "html"), ("src/portal", "rs"), ("src/portal/pages", "rs")]
    {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let fits = path.extension().is_some_and(|found| found == ending);
            assert!(fits || ending == "rs", "{}", path.display());
            if fits {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!unescaped(&text), "{}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 30, "{count}");
}
