//! Lists in the order of an attribute (RFC 7644 §3.4.2.3): up to a bound, the same by index and by cursor, and nobody is left
//! out when the order changes between two pages.

use aws_sdk_dynamodb::types::AttributeValue;
use scim_endpoint::limits::SORTED_MAX;
use serde_json::{Value, json};

use crate::app::App;
use crate::proxy::{Conflicts, Proxy};
use crate::races::{crowd, put_all, replacing};
use crate::whole::partition;

/// People of these names, in the order in which they are created.
async fn people(app: &App, names: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for name in names {
        let body = json!({"userName": format!("{name}@ex.test"), "displayName": name});
        ids.push(app.call("POST", "/Users", body).await.expect(201).id());
    }
    ids
}

/// The names on a page.
fn names(page: &Value) -> Vec<String> {
    let resources = page["Resources"].as_array().expect("a list").iter();
    resources.map(|one| one["displayName"].as_str().unwrap_or("-").to_owned()).collect()
}

async fn page(app: &App, target: &str) -> Value {
    app.call("GET", target, Value::Null).await.expect(200).json()
}

fn next(page: &Value) -> &str {
    page["nextCursor"].as_str().expect("there is a next page")
}

#[tokio::test]
async fn by_index_and_by_cursor_the_order_is_one() {
    let app = App::start().await;
    people(&app, &["f", "b", "D", "a", "C", "e"]).await;
    for (order, expected) in [("ascending", "abCDef"), ("descending", "feDCba")] {
        let target = format!("/Users?sortBy=displayName&sortOrder={order}");
        let expected: Vec<String> = expected.chars().map(String::from).collect();
        assert_eq!(names(&page(&app, &target).await), expected);
        for size in [1, 2, 4, 6] {
            let (mut by_index, mut by_cursor, mut cursor) = (Vec::new(), Vec::new(), String::new());
            for at in (0..expected.len()).step_by(size) {
                let slice = format!("{target}&count={size}&startIndex={}", at + 1);
                by_index.extend(names(&page(&app, &slice).await));
                let found = page(&app, &format!("{target}&count={size}&cursor={cursor}")).await;
                assert_eq!(found["totalResults"], expected.len());
                by_cursor.extend(names(&found));
                let last = at + size >= expected.len();
                assert_eq!(found["nextCursor"].is_null(), last, "{found}");
                cursor = if last { String::new() } else { next(&found).to_owned() };
            }
            assert_eq!((&by_index, &by_cursor), (&expected, &expected), "pages of {size}");
        }
    }
}

#[tokio::test]
async fn whoever_moves_or_goes_hides_nobody_else() {
    const TARGET: &str = "/Users?sortBy=displayName&count=2";
    for (what, expected) in [
        ("nothing", "cd"),
        ("moved behind", "cd"),
        // Who has a new name is seen again.
        ("moved before", "Ac"),
        ("gone", "cd"),
        // It stands where it stood, whatever comes before it.
        ("another gone", "cd"),
        ("another come", "cd"),
    ] {
        let app = App::start().await;
        let ids = people(&app, &["a", "b", "c", "d", "e"]).await;
        let first = page(&app, &format!("{TARGET}&cursor=")).await;
        assert_eq!(names(&first), ["a", "b"]);
        let rename =
            |id: &str, name: &str| (format!("/Users/{id}"), replacing("displayName", name));
        match what {
            "moved behind" | "moved before" => {
                let (target, body) =
                    rename(&ids[1], if what == "moved behind" { "z" } else { "A" });
                app.call("PATCH", &target, body).await.expect(200);
            }
            "gone" | "another gone" => {
                let id = &ids[usize::from(what == "gone")];
                app.call("DELETE", &format!("/Users/{id}"), Value::Null).await.expect(204);
            }
            "another come" => {
                people(&app, &["aa"]).await;
            }
            _ => {}
        }
        let second = page(&app, &format!("{TARGET}&cursor={}", next(&first))).await;
        assert_eq!(names(&second).concat(), expected, "{what}");
    }
}

#[tokio::test]
async fn more_than_the_bound_is_refused() {
    let app = App::start().await;
    // They are past the counter, as nothing but this test can be: the bound is held by what is read, too.
    crowd(&app, SORTED_MAX + 1).await;
    for target in ["/Users?sortBy=userName", "/?sortBy=userName", "/Users?sortBy=title&cursor="] {
        let refused = app.call("GET", target, Value::Null).await.expect(400).json();
        assert_eq!(refused["scimType"], "tooMany", "{target}");
        assert!(refused["detail"].as_str().unwrap().starts_with("sortBy: "), "{refused}");
    }
    // Fewer of them can be, whatever there is besides.
    let few = page(&app, "/Users?sortBy=userName&filter=userName+sw+%22499%22").await;
    assert_eq!(few["totalResults"], 11);
    page(&app, "/Users?sortBy=userName&count=0").await;
}

#[tokio::test]
async fn what_is_too_much_is_not_read() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    crowd(&app, 2).await;
    let items = partition(&app).await;
    let (_, count) = items.iter().find(|(key, _)| key.starts_with("count#User#")).unwrap();
    let mut count = count.clone();
    count.insert("n".to_owned(), AttributeValue::N((SORTED_MAX + 1).to_string()));
    put_all(&app, vec![count]).await;
    page(&app, "/Users?sortBy=userName&count=0").await;
    proxy.forget_calls();
    app.call("GET", "/Users?sortBy=userName", Value::Null).await.expect(400);
    let calls = proxy.calls();
    assert!(!calls.iter().any(|call| call.starts_with("Query user")), "{calls:?}");
    assert!(calls.contains(&"Query count".to_owned()), "{calls:?}");
}
