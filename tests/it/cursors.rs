//! Lists by cursor (RFC 9865): everybody once, whatever comes and goes between the pages; no cursor is good for anything but
//! the list and the token that it was given out for; and a page costs the same wherever it is.

use std::collections::BTreeSet;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use scim_endpoint::admin::tokens;
use serde_json::{Value, json};

use crate::app::App;
use crate::races::{crowd, group, user};

/// The ids on a page.
fn ids(page: &Value) -> Vec<String> {
    let resources = page["Resources"].as_array().expect("a list").iter();
    resources.map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
}

/// All pages of a list, one after the other; `between` happens after each.
async fn pages(app: &App, target: &str, between: impl AsyncFn(usize)) -> Vec<Value> {
    let joint = if target.contains('?') { '&' } else { '?' };
    let mut pages: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let asked = format!("{target}{joint}cursor={cursor}");
        let page = app.call("GET", &asked, Value::Null).await.expect(200).json();
        let next = page["nextCursor"].as_str().map(ToOwned::to_owned);
        pages.push(page);
        between(pages.len()).await;
        let Some(next) = next else { return pages };
        let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        assert!(next.chars().all(unreserved), "RFC 9865 §2: {next}");
        cursor = next;
        assert!(pages.len() < 100, "it does not end: {target}");
    }
}

#[tokio::test]
async fn pages_by_cursor_are_the_list() {
    let app = App::start().await;
    let people = crowd(&app, 23).await;
    for name in ["A", "B", "C", "D"] {
        group(&app, name, &people[..2]).await;
    }
    let active = utf8_percent_encode("userName pr", NON_ALPHANUMERIC).to_string();
    for target in [
        "/Users".to_owned(),
        "/Groups".to_owned(),
        "/".to_owned(),
        format!("/Users?filter={active}"),
        format!("/?filter={active}"),
        "/?filter=displayName+pr+or+userName+pr".to_owned(),
        "/?filter=meta.resourceType+eq+%22Group%22".to_owned(),
    ] {
        let joint = if target.contains('?') { '&' } else { '?' };
        let whole = app.call("GET", &format!("{target}{joint}count=200"), Value::Null).await;
        let whole = whole.expect(200).json();
        for size in [1, 4, 5, 23, 27, 200] {
            let sized = format!("{target}{joint}count={size}");
            let pages = pages(&app, &sized, async |_| {}).await;
            let found: Vec<String> = pages.iter().flat_map(ids).collect();
            assert_eq!(found, ids(&whole), "{sized}");
            assert!(pages.iter().all(|page| page["totalResults"] == whole["totalResults"]));
            assert!(pages.iter().all(|page| ids(page).len() <= size));
            assert_eq!(
                pages.len(),
                found.len().div_ceil(size),
                "no empty page at the end: {sized}"
            );
        }
    }
}

#[tokio::test]
async fn nobody_is_left_out_or_seen_twice_whoever_comes_and_goes() {
    let app = App::start().await;
    let mut people = Vec::new();
    for number in 0..12 {
        people.push(user(&app, &format!("old{number}@ex.test")).await);
    }
    let between = async |page: usize| {
        if page < 4 {
            // One who was on the page, and one who was to come.
            for gone in [page * 3 - 1, page * 3 + 1] {
                if let Some(id) = people.get(gone) {
                    app.call("DELETE", &format!("/Users/{id}"), Value::Null).await.expect(204);
                }
            }
            user(&app, &format!("new{page}@ex.test")).await;
        }
    };
    let pages = pages(&app, "/Users?count=3", between).await;
    let found: Vec<String> = pages.iter().flat_map(ids).collect();
    let once: BTreeSet<&String> = found.iter().collect();
    assert_eq!(once.len(), found.len(), "{found:?}");
    let left = app.call("GET", "/Users?count=200", Value::Null).await.expect(200).json();
    for id in ids(&left) {
        assert!(found.contains(&id), "{id} was there all the time, or came behind the last page");
    }
}

/// The first page of two, and its cursor.
async fn first_cursor(app: &App, target: &str) -> String {
    let page = app.call("GET", target, Value::Null).await.expect(200).json();
    page["nextCursor"].as_str().expect("there is a next page").to_owned()
}

#[tokio::test]
async fn a_cursor_is_good_for_its_list_and_its_token_alone() {
    let app = App::start().await;
    crowd(&app, 5).await;
    let other = app.other_token();
    for name in ["ann", "bob", "cyn"] {
        let body = json!({"userName": format!("{name}@ex.test")});
        app.call_as(&other, "POST", "/Users", body).await.expect(201);
    }
    let cursor = first_cursor(&app, "/Users?cursor=&count=2").await;
    let target = format!("/Users?cursor={cursor}&count=2");
    app.call("GET", &target, Value::Null).await.expect(200);
    // Another tenant's token, and another token of the same tenant.
    let second = app.issue(&app.tenant()).await.secret;
    for token in [other.as_str(), second.reveal()] {
        let refused = app.call_as(token, "GET", &target, Value::Null).await.expect(400);
        assert_eq!(refused.json()["scimType"], "invalidCursor");
    }
    // Each of its letters counts, and so does its length.
    let refused = async |cursor: &str| {
        let target =
            format!("/Users?cursor={}&count=2", utf8_percent_encode(cursor, NON_ALPHANUMERIC));
        let answer = app.call("GET", &target, Value::Null).await.expect(400).json();
        assert_eq!(answer["scimType"], "invalidCursor", "{cursor}");
        let repeated = cursor.len() > 10 && answer.to_string().contains(cursor);
        assert!(!repeated, "what arrived is not said again");
    };
    for at in 0..cursor.len() {
        let mut other = cursor.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        refused(&String::from_utf8(other).unwrap()).await;
    }
    for wrong in [&cursor[1..], &cursor[..cursor.len() - 1], "x", "é", &format!("{cursor}AAAA")] {
        refused(wrong).await;
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_takes_its_cursors_along() {
    let app = App::start().await;
    crowd(&app, 3).await;
    let (moment, tenant) = (app.moment(), app.tenant());
    let second = app.issue(&tenant).await;
    let token = second.secret.reveal().to_owned();
    let page = app.call_as(&token, "GET", "/Users?cursor=&count=1", Value::Null).await.expect(200);
    let cursor = page.json()["nextCursor"].as_str().expect("there is a next page").to_owned();
    let revoked = tokens::revoke(app.store(), &moment, &tenant, &second.id).await;
    revoked.expect("it is revoked");
    let target = format!("/Users?cursor={cursor}&count=1");
    app.call_as(&token, "GET", &target, Value::Null).await.expect(401);
    app.call("GET", &target, Value::Null).await.expect(400);
}

#[tokio::test]
async fn a_cursor_expires() {
    let app = App::start().await;
    crowd(&app, 3).await;
    let config = app.call("GET", "/ServiceProviderConfig", Value::Null).await.expect(200).json();
    let life = config["pagination"]["cursorTimeout"].as_u64().expect("it is advertised");
    let cursor = first_cursor(&app, "/Users?cursor=&count=1").await;
    let target = format!("/Users?cursor={cursor}&count=1");
    app.clock().advance(Duration::from_secs(life - 60));
    app.call("GET", &target, Value::Null).await.expect(200);
    app.clock().advance(Duration::from_mins(1));
    let expired = app.call("GET", &target, Value::Null).await.expect(400).json();
    assert_eq!(expired["scimType"], "expiredCursor");
    assert!(expired["detail"].as_str().unwrap().contains("60 minutes"), "{expired}");
}
