//! Bad input: each is answered with a SCIM error of the client's, or stored whole where it is legal. Nothing is half
//! stored, the next request is served, and no answer repeats a value that could be personal data.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use scim_endpoint::limits::{BODY_BYTES_MAX, MEMBERS_CHANGED_MAX};
use scim_endpoint::scim::catalog::{Catalog, Kind};
use scim_endpoint::scim::patch::PatchRequest;
use scim_endpoint::scim::validate;
use serde_json::{Map, Value, json};

use crate::app::{Answer, App};
use crate::races::{crowd, entries, group, members_of, on_members, user};
use crate::whole::{Item, assert_whole, partition, without_what_was_seen};

/// Stands in every bad value that could be somebody's: no answer may contain it.
const CANARY: &str = "canary";

/// An app with something to lose.
struct Place {
    app: App,
    ida: String,
    staff: String,
    before: BTreeMap<String, Item>,
}

impl Place {
    async fn new() -> Self {
        let app = App::start().await;
        let ida = user(&app, "ida@ex.test").await;
        let staff = group(&app, "Staff", std::slice::from_ref(&ida)).await;
        let before = stored(&app).await;
        Self { app, ida, staff, before }
    }

    /// Sends raw bytes with that content type.
    async fn send(&self, method: &str, target: &str, content_type: &str, body: &[u8]) -> Answer {
        let headers = [
            ("Authorization".to_owned(), format!("Bearer {}", self.app.token())),
            ("Content-Type".to_owned(), content_type.to_owned()),
        ];
        self.app.send(method, target, &headers, body).await
    }

    /// The body is refused by everything that takes one, and nothing happens.
    async fn refuses(&self, what: &str, body: &[u8], status: u16) {
        let (user, group) = (format!("/Users/{}", self.ida), format!("/Groups/{}", self.staff));
        for (method, target) in [
            ("POST", "/Users"),
            ("POST", "/Groups"),
            ("PUT", &user),
            ("PUT", &group),
            ("PATCH", &user),
            ("PATCH", &group),
        ] {
            let answer = self.send(method, target, "application/scim+json", body).await;
            self.refused(&format!("{what}: {method} {target}"), &answer, &[status]).await;
        }
    }

    /// The answer is a SCIM error of that status that repeats no value; nothing has changed, the next request is served.
    async fn refused(&self, what: &str, answer: &Answer, statuses: &[u16]) {
        assert!(statuses.contains(&answer.status), "{what}: {} {}", answer.status, shown(answer));
        assert_eq!(answer.header("Content-Type"), Some("application/scim+json"), "{what}");
        let body = answer.json();
        assert_eq!(
            body["schemas"],
            json!(["urn:ietf:params:scim:api:messages:2.0:Error"]),
            "{what}"
        );
        assert_eq!(body["status"], answer.status.to_string(), "{what}");
        let detail = body["detail"].as_str().unwrap_or_default();
        assert!(!detail.is_empty() && detail.len() < 1_000, "{what}: {detail}");
        assert!(!shown(answer).to_lowercase().contains(CANARY), "{what} is repeated: {detail}");
        let now = stored(&self.app).await;
        assert_eq!(now, self.before, "{what}: the partition has changed");
        let next = self.app.call("GET", &format!("/Users/{}", self.ida), Value::Null).await;
        assert_eq!(next.status, 200, "{what}: and then {}", shown(&next));
    }
}

/// Everything that is stored but for when the tenant was last seen.
async fn stored(app: &App) -> BTreeMap<String, Item> {
    without_what_was_seen(partition(app).await)
}

fn shown(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn encoded(text: &str) -> String {
    let hex = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(hex).collect()
}

#[tokio::test]
async fn bodies_that_are_no_json() {
    let place = Place::new().await;
    let whole = json!({"userName": "canary@ex.test", "displayName": "canary", "emails": [{"value": "canary@ex.test"}]});
    let whole = whole.to_string();
    for cut in [1, 2, 11, 30, whole.len() / 2, whole.len() - 1] {
        place.refuses("truncated", &whole.as_bytes()[..cut], 400).await;
    }
    let utf16: Vec<u8> = whole.encode_utf16().flat_map(u16::to_le_bytes).collect();
    place.refuses("UTF-16", &utf16, 400).await;
    for (what, body) in [
        ("empty", &b""[..]),
        ("white space", b" \r\n\t "),
        ("two values", b"{\"userName\":\"canary\"} {}"),
        ("a form", b"userName=canary&displayName=canary"),
        ("single quotes", b"{'userName':'canary','displayName':'canary'}"),
        ("no quotes", b"{userName:canary}"),
        ("NaN", b"{\"userName\":NaN,\"displayName\":NaN,\"Operations\":NaN}"),
        ("a comment", b"{/* canary */}"),
        ("invalid UTF-8", b"{\"userName\":\"canary\xff\xfe\",\"displayName\":\"canary\xff\"}"),
        ("overlong UTF-8", b"{\"userName\":\"canary\xc0\xaf\",\"displayName\":\"canary\xc0\xaf\"}"),
        ("a lone surrogate", b"{\"userName\":\"canary\\ud800\",\"displayName\":\"canary\\ud800\"}"),
        ("a raw NUL", b"{\"userName\":\"canary\x00\",\"displayName\":\"canary\x00\"}"),
        ("NUL", b"\x00\x00\x00\x00"),
        ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
    ] {
        place.refuses(what, body, 400).await;
    }
    for body in ["null", "true", "1", "\"canary\"", "[]", "[{\"userName\":\"canary\"}]", "{}"] {
        place.refuses(body, body.as_bytes(), 400).await;
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_or_too_deep() {
    let place = Place::new().await;
    for bytes in [BODY_BYTES_MAX + 1, 2 * 1024 * 1024] {
        let name = CANARY.repeat(bytes / CANARY.len() + 1);
        let body = json!({"userName": "canary@ex.test", "displayName": name, "Operations": []});
        place.refuses("large", body.to_string().as_bytes(), 413).await;
    }
    let huge = vec![b' '; 32 * 1024 * 1024];
    let answer = place.send("POST", "/Users", "application/scim+json", &huge).await;
    place.refused("32 MB", &answer, &[413]).await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        for within in ["title", "emails", "members", "x", "Operations", "userName", "displayName"] {
            let deep = deep(50_000);
            let body = format!(
                "{{\"userName\":\"canary\",\"displayName\":\"canary\",\"{within}\":{deep}}}"
            );
            place.refuses("deep", body.as_bytes(), 400).await;
        }
        place.refuses("deep alone", deep(50_000).as_bytes(), 400).await;
        place.refuses("deep and open", open.repeat(100_000).as_bytes(), 400).await;
        place.refuses("closed alone", close.repeat(100_000).as_bytes(), 400).await;
    }
}

#[tokio::test]
async fn other_media_types() {
    let place = Place::new().await;
    let body = json!({"userName": "canary@ex.test", "displayName": "canary", "Operations": []})
        .to_string();
    for content_type in
        ["text/plain", "application/xml", "multipart/form-data", "application/jsonx", "x", ""]
    {
        let answer = place.send("POST", "/Users", content_type, body.as_bytes()).await;
        place.refused(content_type, &answer, &[415]).await;
    }
}

#[tokio::test]
async fn filters_of_every_bad_sort() {
    let place = Place::new().await;
    let long = format!("userName eq \"{}\"", CANARY.repeat(50_000 / CANARY.len()));
    let many = vec!["userName eq \"canary\""; 2_000].join(" or ");
    let filters = [
        long,
        many,
        format!("{}userName eq \"canary\"{}", "(".repeat(1_500), ")".repeat(1_500)),
        format!("{}userName eq \"canary\"", "(".repeat(1_500)),
        format!("userName eq \"canary\"{}", ")".repeat(1_500)),
        format!("{}value eq \"canary\"{}", "emails[".repeat(1_500), "]".repeat(1_500)),
        format!("emails{}", "[".repeat(1_500)),
        format!("emails{}", "]".repeat(1_500)),
        format!("{} userName pr", "not ".repeat(1_000)),
        format!("{}userName pr{}", "not (".repeat(1_000), ")".repeat(1_000)),
        "userName eq \"canary".to_owned(),
        "userName eq 'canary@ex.test'".to_owned(),
        "userName eq \"canary\\x\"".to_owned(),
        "userName eq \"canary\" canary".to_owned(),
        "userName == \"canary\"".to_owned(),
        "userName eq \"canary\" and".to_owned(),
        "userName eq".to_owned(),
        "userName".to_owned(),
        "eq \"canary\"".to_owned(),
        "\"canary@ex.test\" eq userName".to_owned(),
        "userName gt true".to_owned(),
        "active gt \"canary\"".to_owned(),
        "active eq \"canary\"".to_owned(),
        "meta.created gt \"canary\"".to_owned(),
        "emails[type eq \"canary\"".to_owned(),
        "emails[value eq \"canary\"].nothing eq \"canary\"".to_owned(),
        "nothing eq \"canary\"".to_owned(),
        "userName.value eq \"canary\"".to_owned(),
        "userName eq {\"canary\": 1}".to_owned(),
        "userName eq [\"canary\"]".to_owned(),
        "\u{0}userName eq \"canary\"".to_owned(),
        "userName\u{0} eq \"canary\"".to_owned(),
        "__proto__ eq \"canary\"".to_owned(),
        "constructor.prototype pr".to_owned(),
    ];
    for filter in filters {
        for kind in ["/Users", "/Groups"] {
            let target = format!("{kind}?filter={}", encoded(&filter));
            let answer = place.app.call("GET", &target, Value::Null).await;
            let shown: String = filter.chars().take(60).collect();
            place.refused(&format!("{kind} {shown}"), &answer, &[400]).await;
        }
    }
    // Not text once decoded.
    for raw in [
        "filter=%FF",
        "filter=userName+eq+%22canary%C0%AF%22",
        "%FE=1&filter=x",
        "attributes=%ED%A0%80",
    ] {
        let answer = place.app.call("GET", &format!("/Users?{raw}"), Value::Null).await;
        place.refused(raw, &answer, &[400]).await;
    }
    // A string may hold a NUL; nobody has it in the name.
    let target = format!("/Users?filter={}", encoded("userName eq \"canary\\u0000\""));
    let answer = place.app.call("GET", &target, Value::Null).await;
    assert_eq!((answer.status, answer.json()["totalResults"].as_u64()), (200, Some(0)));
}

#[tokio::test]
async fn paging_and_projection_of_every_bad_sort() {
    let place = Place::new().await;
    for value in
        ["0", "-1", "-9223372036854775808", "99999999999999999999", "+1", "%2B1", "201", ""]
    {
        for name in ["startIndex", "count"] {
            let target = format!("/Users?{name}={value}");
            let answer = place.app.call("GET", &target, Value::Null).await;
            assert!([200, 400].contains(&answer.status), "{target}: {}", shown(&answer));
            if answer.status == 200 {
                assert_eq!(answer.json()["totalResults"], 1, "{target}");
            }
        }
    }
    for value in ["canary", "1.5", "1e3", "0x10", "%00", "1%00", "NaN", "%EF%BC%91"] {
        for name in ["startIndex", "count"] {
            let answer =
                place.app.call("GET", &format!("/Users?{name}={value}"), Value::Null).await;
            place.refused(&format!("{name}={value}"), &answer, &[400]).await;
        }
    }
    let many = vec!["title"; 10_000].join(",");
    let few = vec!["title"; 2_000].join(",");
    for value in [many, few] {
        for name in ["attributes", "excludedAttributes"] {
            let answer =
                place.app.call("GET", &format!("/Users?{name}={value}"), Value::Null).await;
            place.refused(name, &answer, &[400]).await;
        }
    }
    for value in [
        "%00",
        "__proto__",
        "..",
        "a.b.c.d",
        "urn%3A",
        "emails%5B",
        "%22",
        "%2C%2C",
        "%F0%9F%8E%89",
    ] {
        for name in ["attributes", "excludedAttributes"] {
            let target = format!("/Users/{}?{name}={value}", place.ida);
            let answer = place.app.call("GET", &target, Value::Null).await;
            assert!([200, 400].contains(&answer.status), "{target}: {}", shown(&answer));
        }
    }
}

#[tokio::test]
async fn paths_of_every_bad_sort() {
    let place = Place::new().await;
    let long = "a".repeat(10_000);
    let upper = place.ida.to_uppercase();
    let bare = place.ida.replace('-', "");
    let ids = [
        "%00",
        "canary%00",
        "..",
        "%2e%2e",
        "%2F",
        "%5C..",
        "%",
        "%zz",
        "%FF",
        "*",
        "null",
        "canary@ex.test",
        "'%20OR%201=1",
        "%F0%9F%8E%89",
        "user%23ida@ex.test",
        "a%23b",
        "%E2%80%AE",
        &long,
        &upper,
        &bare,
    ];
    for id in ids {
        for kind in ["/Users", "/Groups"] {
            for method in ["GET", "DELETE"] {
                let answer = place.app.call(method, &format!("{kind}/{id}"), Value::Null).await;
                place.refused(&format!("{method} {kind}/{id}"), &answer, &[404]).await;
            }
            let patch = json!({"Operations": [{"op": "replace", "path": "displayName", "value": "canary"}]});
            let answer = place.app.call("PATCH", &format!("{kind}/{id}"), patch).await;
            place.refused(&format!("PATCH {kind}/{id}"), &answer, &[404]).await;
        }
    }
    for (method, target) in [
        ("GET", "/Canary"),
        ("POST", ""),
        ("DELETE", "/"),
        ("GET", "/Users/.search"),
        ("DELETE", "/.search"),
        ("GET", "/Me"),
        ("GET", "/Bulk"),
        ("BREW", "/Users"),
        ("OPTIONS", "/Users"),
        ("DELETE", "/Users"),
        ("PUT", "/Schemas"),
    ] {
        let answer = place.app.call(method, target, Value::Null).await;
        place.refused(&format!("{method} {target}"), &answer, &[404, 405, 501]).await;
    }
}

#[tokio::test]
async fn headers_of_every_bad_sort() {
    let place = Place::new().await;
    let long = format!("Bearer {}", CANARY.repeat(10_000));
    for header in [
        "",
        "Bearer",
        "Bearer ",
        "Basic Y2FuYXJ5",
        "Bearer canary",
        "canary",
        "Bearer \u{e9}canary",
        &long,
    ] {
        let headers = [("Authorization".to_owned(), header.to_owned())];
        let answer = place.app.send("GET", "/Users", &headers, b"").await;
        assert!(answer.header("WWW-Authenticate").is_some_and(|value| value.starts_with("Bearer")));
        place.refused(&header.chars().take(20).collect::<String>(), &answer, &[401]).await;
    }
    for value in ["canary", "W/\"", "\"\"", "W/\"canary\"", "W/\"99999999999999999999\"", ",,,"] {
        let headers = [
            ("Authorization".to_owned(), format!("Bearer {}", place.app.token())),
            ("If-Match".to_owned(), value.to_owned()),
        ];
        let body = json!({"Operations": [{"op": "replace", "path": "title", "value": "canary"}]});
        let target = format!("/Users/{}", place.ida);
        let answer = place.app.send("PATCH", &target, &headers, body.to_string().as_bytes()).await;
        place.refused(&format!("If-Match: {value}"), &answer, &[400, 412]).await;
    }
}

#[tokio::test]
async fn resources_that_do_not_fit() {
    let place = Place::new().await;
    let long = |times: usize| CANARY.repeat(times);
    let emails = |count: usize| -> Vec<Value> {
        (0..count).map(|number| json!({"value": format!("canary{number}@ex.test")})).collect()
    };
    let user = |name: &str, value: Value| {
        let mut body = json!({"userName": "canary@ex.test"});
        body[name] = value;
        body
    };
    let users = [
        user("userName", json!(long(10_000 / 6))),
        user("userName", json!("#canary".repeat(200))),
        user("userName", json!("")),
        user("userName", Value::Null),
        user("externalId", json!(long(5_000 / 6))),
        user("emails", json!(emails(41))),
        user("emails", json!(emails(1_000))),
        user("emails", json!([{"value": format!("{}@ex.test", long(200))}])),
        user("title", json!(long(20_000))),
        user("photos", json!([{"value": format!("data:image/png;base64,{}", long(20_000))}])),
        user(
            "addresses",
            json!((0..201).map(|n| json!({"locality": format!("canary {n}")})).collect::<Vec<_>>()),
        ),
    ];
    for body in users {
        let what: String = body.to_string().chars().take(80).collect();
        let answer = place.app.call("POST", "/Users", body.clone()).await;
        place.refused(&what, &answer, &[400, 413]).await;
        let answer = place.app.call("PUT", &format!("/Users/{}", place.ida), body).await;
        place.refused(&what, &answer, &[400, 413]).await;
    }
    let unknown = place.app.moment().mint_uuid().to_string();
    let other =
        json!({"displayName": "canary", "members": [{"value": place.ida}, {"value": unknown}]});
    let groups = [
        json!({}),
        json!({"displayName": ""}),
        json!({"displayName": long(1_000)}),
        json!({"displayName": "canary", "members": "canary@ex test"}),
        json!({"displayName": "canary", "members": [{}]}),
        json!({"displayName": "canary", "members": [{"value": ""}]}),
        json!({"displayName": "canary", "members": [{"value": 7}]}),
        json!({"displayName": "canary", "members": [{"value": {"value": "canary"}}]}),
        json!({"displayName": "canary", "members": [null]}),
        json!({"displayName": "canary", "members": [[{"value": place.ida}]]}),
        json!({"displayName": "canary", "members": 7}),
        other,
    ];
    for body in groups {
        let what: String = body.to_string().chars().take(80).collect();
        let answer = place.app.call("POST", "/Groups", body).await;
        // An id that names nobody is told, so that the admin finds it: it is what the client calls an id.
        let told = what.contains("canary@ex test");
        if told {
            assert_eq!(answer.status, 400, "{what}");
        } else {
            place.refused(&what, &answer, &[400, 413]).await;
        }
    }
}

/// `#` and `%` count three in a key.
#[tokio::test]
async fn a_name_that_is_short_enough_and_fits_no_key_is_refused() {
    let app = App::start().await;
    let (fits, too_long) = ("#".repeat(300), "#".repeat(301));
    for (path, attribute) in [("/Users", "userName"), ("/Groups", "displayName")] {
        let made = app.call("POST", path, json!({ (attribute): fits })).await.expect(201);
        let refused = app.call("POST", path, json!({ (attribute): too_long })).await.expect(400);
        assert_eq!(refused.json()["scimType"], "invalidValue");
        let target = format!("{path}/{}", made.id());
        let body = json!({ (attribute): too_long });
        let refused = app.call("PUT", &target, body).await.expect(400).json();
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("903 bytes in a key"), "{detail}");
        for (name, found) in [(&fits, 1), (&too_long, 0)] {
            let filter = name.replace('#', "%23");
            let list = format!("{path}?filter={attribute}+eq+%22{filter}%22");
            let list = app.call("GET", &list, serde_json::Value::Null).await.expect(200).json();
            assert_eq!(list["totalResults"], found);
        }
    }
}

#[tokio::test]
async fn patches_of_every_bad_sort() {
    let place = Place::new().await;
    let op = |op: Value, path: Value, value: Value| json!({"Operations": [{"op": op, "path": path, "value": value}]});
    let at = |path: &str| op(json!("replace"), json!(path), json!("canary@ex.test"));
    let mut bodies = vec![
        json!({"Operations": "canary"}),
        json!({"Operations": {}}),
        json!({"Operations": [null]}),
        json!({"Operations": ["canary"]}),
        json!({"Operations": [{}]}),
        json!({"Operations": [{"path": "title", "value": "canary"}]}),
        op(json!(CANARY.repeat(3)), json!("title"), json!("canary")),
        op(json!(7), json!("title"), json!("canary")),
        op(json!(""), json!("title"), json!("canary")),
        op(json!("replace"), json!(7), json!("canary")),
        op(json!("replace"), json!(["title"]), json!("canary")),
        op(json!("replace"), json!("userName"), json!("")),
        op(json!("remove"), json!("userName"), Value::Null),
        op(json!("replace"), json!("userName"), json!(CANARY.repeat(10_000 / 6))),
        op(json!("replace"), json!("externalId"), json!(CANARY.repeat(5_000 / 6))),
        op(json!("replace"), json!("active"), json!("canary")),
        op(json!("replace"), json!("emails[type eq \"work\"].value"), json!({"canary": "canary"})),
        op(json!("replace"), json!("x509Certificates"), json!([{"value": "canary!"}])),
        json!({"Operations": [{"op": "replace", "value": "canary"}]}),
        json!({"Operations": [{"op": "replace", "value": ["canary"]}]}),
        at("emails["),
        at("emails[]"),
        at("emails[value eq \"canary@ex.test\""),
        at("emails[value eq \"canary@ex.test\"]]"),
        at("emails[value eq \"canary@ex.test\"].value.value"),
        at("emails[value eq \"canary@ex.test\"]value"),
        at(&format!("emails{}", "[".repeat(1_500))),
        at(&format!("emails[{}type eq \"work\"{}].value", "(".repeat(1_500), ")".repeat(1_500))),
        at("\"canary@ex.test\""),
        at(".title"),
        at("title."),
        at("title\u{0}"),
        at("name..givenName"),
    ];
    // A good operation beside a bad one: none is applied.
    bodies.push(json!({"Operations": [{"op": "replace", "path": "title", "value": "Director"},
        {"op": "Canary of canaries", "path": "nickName", "value": "x"}]}));
    bodies.push(json!({"Operations": [{"op": "replace", "path": "title", "value": "Director"},
        {"op": "replace", "path": "active", "value": "canary"}]}));
    let one = |number: usize| json!({"op": "replace", "path": "title", "value": format!("canary {number}")});
    bodies.push(json!({"Operations": (0..2_000).map(one).collect::<Vec<_>>()}));
    for body in bodies {
        let what: String = body.to_string().chars().take(120).collect();
        let answer = place.app.call("PATCH", &format!("/Users/{}", place.ida), body).await;
        place.refused(&what, &answer, &[400, 413]).await;
    }
}

#[tokio::test]
async fn members_of_every_bad_sort() {
    let place = Place::new().await;
    let target = format!("/Groups/{}", place.staff);
    let unknown = place.app.moment().mint_uuid().to_string();
    let many: Vec<String> =
        (0..5_000).map(|_| place.app.moment().mint_uuid().to_string()).collect();
    for (what, body) in [
        ("unknown", on_members("add", std::slice::from_ref(&unknown))),
        ("one unknown", on_members("add", &[place.ida.clone(), unknown.clone()])),
        ("itself", on_members("add", std::slice::from_ref(&place.staff))),
        ("add 5,000", on_members("add", &many)),
        ("remove 5,000", on_members("remove", &many)),
        ("replace by 5,000", on_members("replace", &many)),
        ("replace by unknown", on_members("replace", std::slice::from_ref(&unknown))),
        ("empty id", on_members("add", &[String::new()])),
        ("no ids", json!({"Operations": [{"op": "add", "path": "members", "value": [{}]}]})),
        ("numbers", json!({"Operations": [{"op": "add", "path": "members", "value": [1, 2]}]})),
        (
            "replace by no id",
            json!({"Operations": [{"op": "replace", "path": "members", "value": [{"display": "canary"}]}]}),
        ),
        (
            "filter",
            json!({"Operations": [{"op": "remove", "path": "members[display eq \"canary\"]"}]}),
        ),
        (
            "open filter",
            json!({"Operations": [{"op": "remove", "path": "members[value eq \"canary\""}]}),
        ),
    ] {
        let answer = place.app.call("PATCH", &target, body).await;
        place.refused(what, &answer, &[400, 413]).await;
    }
    for count in [MEMBERS_CHANGED_MAX + 1, 5_000] {
        let body = json!({"displayName": "canary", "members": entries(&many[..count])});
        for (method, target) in [("POST", "/Groups"), ("PUT", target.as_str())] {
            let answer = place.app.call(method, target, body.clone()).await;
            place.refused(&format!("{method} of {count}"), &answer, &[400]).await;
        }
    }
    // One id many times is one member.
    let people = crowd(&place.app, 3).await;
    let twice: Vec<String> = people.iter().chain(&people).chain(&people).cloned().collect();
    place.app.call("PATCH", &target, on_members("add", &twice)).await.expect(204);
    assert_eq!(members_of(&place.app, &place.staff).await.len(), 4);
    let id = group(&place.app, "Twice", &twice).await;
    assert_eq!(members_of(&place.app, &id).await.len(), 3);
    let body = json!({"displayName": "Twice", "members": entries(&twice)});
    place.app.call("PUT", &format!("/Groups/{id}"), body).await.expect(200);
    assert_eq!(members_of(&place.app, &id).await.len(), 3);
    assert_whole(&partition(&place.app).await);
}

#[tokio::test]
async fn a_member_that_cannot_be_added_is_named_with_its_operation() {
    let place = Place::new().await;
    let target = format!("/Groups/{}", place.staff);
    let people = crowd(&place.app, 40).await;
    let unknown = place.app.moment().mint_uuid().to_string();
    let add = |ids: &[String]| json!({"op": "add", "path": "members", "value": entries(ids)});
    let only = std::slice::from_ref;
    let replace = json!({"op": "replace", "path": "members", "value": entries(&people[..2])});
    let there_is_none = |id: &str| format!("there is no user or group with id \"{id}\" here");
    for (operations, told) in [
        (vec![add(&people[..2]), add(only(&unknown))], there_is_none(&unknown)),
        // More members than one transaction takes.
        (vec![add(&people), add(only(&unknown))], there_is_none(&unknown)),
        (vec![replace, add(only(&unknown)), add(&people[2..])], there_is_none(&unknown)),
        (vec![add(&people[..2]), add(&["nobody".to_owned()])], there_is_none("nobody")),
        (vec![add(&people[..2]), add(only(&place.staff))], "a member of itself".to_owned()),
    ] {
        let answer = place.app.call("PATCH", &target, json!({ "Operations": operations })).await;
        let detail = answer.expect(400).json()["detail"].as_str().unwrap_or_default().to_owned();
        let named = detail.starts_with("operation 2: members: ") && detail.contains(&told);
        assert!(named, "{told}: {detail}");
    }
    assert_eq!(members_of(&place.app, &place.staff).await, BTreeSet::from([place.ida.clone()]));
}

#[tokio::test]
async fn what_is_strange_but_legal_is_stored_whole() {
    let app = App::start().await;
    let names = [
        "with\u{0}nul",
        "quote\"back\\slash/",
        "#%23#%",
        "new\nline\ttab",
        " leading and trailing ",
        "\u{202e}right to left",
        "🎉🎉",
        "a'); DROP TABLE users;--",
        "${jndi:ldap://x}",
        "<script>",
        "%s%n",
        "null",
        "..",
        "é",
        "user#id#",
        &"x".repeat(900),
    ];
    for (number, name) in names.into_iter().enumerate() {
        let body = json!({"userName": name, "externalId": name, "displayName": name, "title": name,
            "name": {"givenName": name}, "emails": [{"value": name, "type": "work"}]});
        let created = app.call("POST", "/Users", body.clone()).await;
        assert_eq!(created.status, 201, "{name:?}: {}", shown(&created));
        let id = created.id();
        for filter in ["userName", "externalId", "emails.value"] {
            let literal = Value::String(name.to_owned()).to_string();
            let target = format!("/Users?filter={}", encoded(&format!("{filter} eq {literal}")));
            let found = app.call("GET", &target, Value::Null).await.expect(200).json();
            assert_eq!(found["Resources"][0]["id"], id.as_str(), "{filter} {name:?}");
        }
        let stored = app.call("GET", &format!("/Users/{id}"), Value::Null).await.expect(200).json();
        for at in [
            "/userName",
            "/externalId",
            "/displayName",
            "/title",
            "/name/givenName",
            "/emails/0/value",
        ] {
            assert_eq!(stored.pointer(at), Some(&json!(name)), "{at}");
        }
        let body = json!({"displayName": name, "externalId": format!("{number}")});
        let group = app.call("POST", "/Groups", body).await.expect(201).id();
        for target in [format!("/Users/{id}"), format!("/Groups/{group}")] {
            app.call("DELETE", &target, Value::Null).await.expect(204);
        }
    }
    assert!(
        stored(&app)
            .await
            .keys()
            .all(|key| !key.starts_with("match") && !key.starts_with("unique"))
    );
}

#[tokio::test]
async fn keys_that_other_languages_trip_over_are_nothing_special() {
    let app = App::start().await;
    let odd = [
        "__proto__",
        "constructor",
        "prototype",
        "toString",
        "hasOwnProperty",
        "",
        " ",
        "\u{0}",
        "id",
        "meta",
        "schemas",
        "groups",
        "tenant",
        "key",
        "v",
        "version",
        "rid",
        "memberships",
        "scim",
        "$ref",
        "#n0",
        ":v0",
        "🎉",
    ];
    let values = [json!({"polluted": true}), json!("x"), json!([{"value": "x"}])];
    let mut count = 0;
    for key in odd {
        for value in &values {
            count += 1;
            let mut body = json!({"userName": format!("u{count}@ex.test"), "emails": [{"value": "x@ex.test", "type": "work"}]});
            body[key] = value.clone();
            body["emails"][0][key] = value.clone();
            body["name"] = json!({"givenName": "Ida", key: value});
            let made = app.call("POST", "/Users", body.clone()).await;
            assert!([201, 400].contains(&made.status), "{key:?} {value}: {}", shown(&made));
            if made.status == 400 {
                continue;
            }
            let whole = made.json();
            let (id, version) = (made.id(), whole["meta"]["version"].clone());
            assert_eq!((version, id.len()), (json!("W/\"1\""), 36), "{key:?}");
            assert!(!whole.to_string().contains("polluted"), "{key:?}");
            let patch = json!({"Operations": [{"op": "add", "path": key, "value": value},
                {"op": "replace", "value": {key: value}}, {"op": "remove", "path": key}]});
            let patched = app.call("PATCH", &format!("/Users/{id}"), patch).await;
            assert!([200, 400].contains(&patched.status), "{key:?} {value}: {}", shown(&patched));
            let after =
                app.call("GET", &format!("/Users/{id}"), Value::Null).await.expect(200).json();
            assert_eq!(after["userName"], format!("u{count}@ex.test"), "{key:?}");
        }
    }
    assert_whole(&partition(&app).await);
}

/// Values of every JSON type, ordinary and absurd.
fn values() -> Vec<Value> {
    let texts = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.5",
        "1e125",
        "1e308",
        "123456789012345678901234567890",
        "-0.0",
        "1e-300",
        "\"\"",
        "\"canary\"",
        "\"true\"",
        "\"7\"",
        "\"2026-01-01T00:00:00Z\"",
        "\"\\u0000\"",
        "[]",
        "[[]]",
        "[null]",
        "[\"canary\"]",
        "[true]",
        "[1]",
        "[[\"canary\"]]",
        "[{}]",
        "{}",
        "{\"value\":\"canary\"}",
        "{\"value\":null}",
        "{\"value\":7}",
        "{\"value\":{\"value\":\"canary\"}}",
        "[{\"value\":\"canary\"}]",
        "[{\"value\":\"a\"},{\"value\":\"canary\"}]",
        "[{\"value\":[\"canary\"]}]",
        "{\"canary\":{\"canary\":[{}]}}",
        "[{\"primary\":\"canary\"}]",
        "{\"\":\"\"}",
        "[{\"value\":\"a\",\"primary\":true},{\"value\":\"b\",\"primary\":true}]",
        "[1,\"canary\",null,{},[]]",
    ];
    texts.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect()
}

/// The schema of a resource type as its file has it, with its extension.
fn attributes(file: &str) -> Vec<Value> {
    let path = format!("{}/schemas/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value =
        serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON");
    schema["attributes"].as_array().expect("attributes").clone()
}

/// Whether a value is one that the attribute's definition allows.
fn fits(attribute: &Value, value: &Value, as_element: bool) -> bool {
    if attribute["multiValued"] == true && !as_element {
        let elements = value.as_array();
        return elements.is_some_and(|all| {
            !all.is_empty() && all.iter().all(|one| fits(attribute, one, true))
        });
    }
    match attribute["type"].as_str().expect("a type") {
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "decimal" => value.is_number(),
        "complex" => {
            value.as_object().is_some_and(|members| all_fit(&attribute["subAttributes"], members))
        }
        _ => value.is_string(),
    }
}

fn all_fit(attributes: &Value, members: &Map<String, Value>) -> bool {
    let defined =
        |name: &str| attributes.as_array().into_iter().flatten().find(|a| a["name"] == name);
    let mut members = members.iter();
    members
        .all(|(name, value)| defined(name).is_some_and(|attribute| fits(attribute, value, false)))
}

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Every attribute and sub-attribute with every value, as a body and as a PATCH, each with the attribute's own
/// definition and how it stands in a document.
fn table(file: &str) -> Vec<(Vec<String>, Value)> {
    let own = attributes(file).into_iter().map(|attribute| (Vec::new(), attribute));
    let more = if file == "user" { attributes("enterprise-user") } else { Vec::new() };
    let more = more.into_iter().map(|attribute| (vec![ENTERPRISE.to_owned()], attribute));
    let mut all = Vec::new();
    for (mut path, attribute) in own.chain(more) {
        path.push(attribute["name"].as_str().expect("a name").to_owned());
        for sub in attribute["subAttributes"].as_array().into_iter().flatten() {
            let sub = sub["name"].as_str().expect("a name").to_owned();
            all.push((path.iter().cloned().chain([sub]).collect(), attribute.clone()));
        }
        all.push((path, attribute));
    }
    all
}

/// A body with a value at a path; a sub-attribute stands in one element of its attribute.
fn body_with(path: &[String], attribute: &Value, value: &Value) -> Value {
    let is_sub = path.last().is_some_and(|last| attribute["name"] != last.as_str());
    let mut value = value.clone();
    for (depth, name) in path.iter().enumerate().rev() {
        let many = is_sub && depth + 1 == path.len() && attribute["multiValued"] == true;
        value = if many { json!([{ name: value }]) } else { json!({ name: value }) };
    }
    value
}

#[test]
fn every_attribute_with_every_type_fits_or_is_refused() {
    let catalog = Catalog::embedded().expect("the schemas are read");
    for (kind, file, name) in
        [(Kind::User, "user", "userName"), (Kind::Group, "group", "displayName")]
    {
        let rt = catalog.resource_type(kind);
        let base = validate::document(rt, &json!({name: "ida@ex.test"})).expect("it fits");
        let (mut fitted, mut refused) = (0, 0);
        for (path, attribute) in table(file) {
            for value in values() {
                let mut body = body_with(&path, &attribute, &value);
                if body.get(name).is_none() {
                    body[name] = json!("ida@ex.test");
                }
                let dotted = path.join(if path[0] == ENTERPRISE { ":" } else { "." });
                let ops = ["add", "replace", "remove"];
                let patches = ops
                    .map(|op| json!({"Operations": [{"op": op, "path": dotted, "value": value}]}));
                let whole = json!({"Operations": [{"op": "replace", "value": body}]});
                let patched = patches.iter().chain([&whole]).map(|patch| {
                    PatchRequest::parse(rt, patch).and_then(|request| request.apply(rt, &base))
                });
                let made = [validate::document(rt, &body), validate::replacement(rt, &body, &base)];
                for result in made.into_iter().chain(patched) {
                    match result {
                        Ok(document) => {
                            fitted += 1;
                            let holder = match path[0].as_str() {
                                ENTERPRISE => document.get(ENTERPRISE).and_then(Value::as_object),
                                _ => Some(document.attributes()),
                            };
                            let stored =
                                holder.and_then(|holder| holder.get(attribute["name"].as_str()?));
                            // A replacement by nobody stands as [], so that a group is emptied.
                            let emptied =
                                attribute["name"] == "members" && stored == Some(&json!([]));
                            let good = emptied
                                || stored.is_none_or(|stored| fits(&attribute, stored, false));
                            assert!(good, "{dotted} = {value} is stored as {stored:?}");
                        }
                        Err(error) => {
                            refused += 1;
                            let (told, status) = (error.detail(), error.kind().status());
                            assert!((400..500).contains(&status), "{dotted} = {value}: {told}");
                            assert!(!told.contains(CANARY), "{dotted} = {value}: {told}");
                        }
                    }
                }
            }
        }
        assert!(fitted > 100 && refused > 100, "{fitted} {refused}");
    }
}

#[tokio::test]
async fn every_attribute_with_every_type_is_stored_whole_or_not_at_all() {
    let app = App::start().await;
    let mut bodies = Vec::new();
    for (path, attribute) in
        table("user").into_iter().filter(|(path, a)| a["name"] == path[path.len() - 1].as_str())
    {
        for value in values().into_iter().step_by(5) {
            let mut body = body_with(&path, &attribute, &value);
            if body.get("userName").is_none() {
                body["userName"] = json!(format!("u{}@ex.test", bodies.len()));
            }
            bodies.push(body);
        }
    }
    let mut there = 0;
    for body in &bodies {
        let answer = app.call("POST", "/Users", body.clone()).await;
        assert!([201, 400, 409].contains(&answer.status), "{body}: {}", shown(&answer));
        if answer.status == 201 {
            there += 1;
            let id = answer.id();
            let whole = app.call("GET", &format!("/Users/{id}"), Value::Null).await.expect(200);
            assert_eq!(whole.json(), answer.json(), "{body}");
        } else {
            assert!(
                !shown(&answer).contains(CANARY) || answer.status == 409,
                "{body}: {}",
                shown(&answer)
            );
        }
    }
    let counted = app.call("GET", "/Users?count=0", Value::Null).await.expect(200).json();
    assert_eq!(counted["totalResults"], there);
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn many_bad_requests_at_once_do_not_hinder_a_good_one() {
    let place = Place::new().await;
    let deep = "[".repeat(100_000);
    let bad = (0..50).map(|_| place.send("POST", "/Users", "application/json", deep.as_bytes()));
    let good = (0..5).map(|_| place.app.call("GET", "/Users", Value::Null));
    let (refused, served) = futures_util::future::join(join_all(bad), join_all(good)).await;
    assert!(refused.iter().all(|answer| answer.status == 400));
    assert!(served.iter().all(|answer| answer.status == 200));
}
