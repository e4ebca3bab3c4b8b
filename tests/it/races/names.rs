//! Names under parallel writes: one holder each, nobody told that a name is taken who holds it.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::{delete, get, group, patch, replacing, statuses, user};
use crate::proxy::{Conflicts, Gate, Proxy, Step, engine_is_embedded};
use crate::whole::{assert_whole, partition};

/// Requests at once; as many as another engine answers within the requests' deadline.
fn at_once() -> usize {
    if engine_is_embedded() { 64 } else { 16 }
}

/// A name in its `number`th mixture of letter cases.
fn cased(name: &str, number: usize) -> String {
    let case = |(at, c): (usize, char)| {
        if number >> (at % 6) & 1 == 1 { c.to_ascii_uppercase() } else { c }
    };
    name.chars().enumerate().map(case).collect()
}

#[tokio::test]
async fn one_of_64_parallel_posts_gets_the_user_name() {
    let (app, proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let posts = (0..at_once()).map(|number| {
        let body = json!({"userName": cased("idaberg@ex.test", number), "externalId": format!("{number}")});
        app.call("POST", "/Users", body)
    });
    let answers = join_all(posts).await;
    assert_eq!(statuses(&answers), [(201, 1), (409, at_once() - 1)].into());
    for answer in answers.iter().filter(|answer| answer.status == 409) {
        assert_eq!(answer.json()["scimType"], "uniqueness");
    }
    assert!(proxy.conflicts() > 0, "they met");
    let items = partition(&app).await;
    assert_eq!(items.keys().filter(|key| key.starts_with("user#")).count(), 1);
    assert_whole(&items);
}

#[tokio::test]
async fn one_of_64_parallel_posts_gets_the_group_name() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let posts = (0..at_once()).map(|number| {
        app.call("POST", "/Groups", json!({"displayName": cased("engineering", number)}))
    });
    let answers = join_all(posts).await;
    assert_eq!(statuses(&answers), [(201, 1), (409, at_once() - 1)].into());
    let items = partition(&app).await;
    assert_eq!(items.keys().filter(|key| key.starts_with("group#")).count(), 1);
    assert_whole(&items);
}

#[tokio::test]
async fn no_update_is_lost_under_20_parallel_patches() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let id = user(&app, "ida@ex.test").await;
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let mut paths: Vec<String> = [
        "displayName",
        "nickName",
        "title",
        "userType",
        "locale",
        "timezone",
        "preferredLanguage",
        "profileUrl",
        "externalId",
        "name.givenName",
        "name.familyName",
        "name.middleName",
        "name.formatted",
        "name.honorificPrefix",
        "name.honorificSuffix",
    ]
    .map(ToOwned::to_owned)
    .into();
    for name in ["employeeNumber", "costCenter", "organization", "division", "department"] {
        paths.push(format!("{enterprise}:{name}"));
    }
    let target = format!("/Users/{id}");
    let patches = paths.iter().map(|path| patch(&app, &target, replacing(path, path)));
    assert_eq!(statuses(&join_all(patches).await), [(200, 20)].into());
    let after = get(&app, &target).await.expect(200).json();
    assert_eq!(after["meta"]["version"], "W/\"21\"");
    for path in &paths {
        let value = match path.strip_prefix(enterprise) {
            Some(name) => &after[enterprise][&name[1..]],
            None => path.split('.').fold(&after, |value, name| &value[name]),
        };
        assert_eq!(value, path, "{path}");
    }
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn a_stale_patch_never_touches_who_has_taken_the_name() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let ann = user(&app, "ann@ex.test").await;
    let gate = Gate::default();
    proxy.script("TransactWriteItems", [Step::Hold(gate.clone())]);
    let target = format!("/Users/{ann}");
    let stale = patch(&app, &target, replacing("title", "Director"));
    let meanwhile = async {
        gate.reached().await;
        patch(&app, &target, replacing("userName", "ann.lee@ex.test")).await.expect(200);
        let other = user(&app, "Ann@ex.test").await;
        gate.open();
        other
    };
    let (patched, other) = join(stale, meanwhile).await;
    assert_eq!(patched.expect(200).json()["userName"], "ann.lee@ex.test");
    let ann = get(&app, &target).await.expect(200).json();
    assert_eq!((&ann["title"], &ann["userName"]), (&json!("Director"), &json!("ann.lee@ex.test")));
    let other = get(&app, &format!("/Users/{other}")).await.expect(200).json();
    assert_eq!((&other["title"], &other["meta"]["version"]), (&Value::Null, &json!("W/\"1\"")));
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn a_stale_delete_never_touches_who_has_taken_the_name() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let ann = user(&app, "ann@ex.test").await;
    let gate = Gate::default();
    proxy.script("TransactWriteItems", [Step::Hold(gate.clone())]);
    let target = format!("/Users/{ann}");
    let meanwhile = async {
        gate.reached().await;
        patch(&app, &target, replacing("userName", "ann.lee@ex.test")).await.expect(200);
        let other = user(&app, "ann@ex.test").await;
        gate.open();
        other
    };
    let (deleted, other) = join(delete(&app, &target), meanwhile).await;
    deleted.expect(204);
    get(&app, &target).await.expect(404);
    get(&app, &format!("/Users/{other}")).await.expect(200);
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn two_renames_to_one_name_at_once() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let (ida, bob) = (user(&app, "ida@ex.test").await, user(&app, "bob@ex.test").await);
    for round in 0..10 {
        // One user twice: both get what they ask for, whoever comes first.
        let (target, name) = (format!("/Users/{ida}"), format!("ida{round}@ex.test"));
        let rename = || patch(&app, &target, replacing("userName", &name));
        let (first, second) = join(rename(), rename()).await;
        assert_eq!(statuses(&[first, second]), [(200, 2)].into(), "round {round}");
        // Two users: one of them.
        let name = format!("shared{round}@ex.test");
        let to = |id: &String| (format!("/Users/{id}"), replacing("userName", &name));
        let renames = [&ida, &bob].map(|id| async {
            let (target, body) = to(id);
            patch(&app, &target, body).await
        });
        let answers = join_all(renames).await;
        assert_eq!(statuses(&answers), [(200, 1), (409, 1)].into(), "round {round}");
    }
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn two_renames_of_a_group_to_one_name_at_once() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let id = group(&app, "Staff", &[]).await;
    let target = format!("/Groups/{id}");
    for round in 0..10 {
        let name = format!("Staff {round}");
        let rename = || patch(&app, &target, replacing("displayName", &name));
        let (first, second) = join(rename(), rename()).await;
        assert_eq!(statuses(&[first, second]), [(204, 2)].into(), "round {round}");
    }
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn a_name_is_posted_and_renamed_to_at_once() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let ida = user(&app, "ida@ex.test").await;
    for round in 0..10 {
        let name = format!("wanted{round}@ex.test");
        let target = format!("/Users/{ida}");
        let rename = patch(&app, &target, replacing("userName", &name));
        let post = app.call("POST", "/Users", json!({"userName": name}));
        let (renamed, posted) = join(rename, post).await;
        let won = (renamed.status, posted.status);
        assert!([(200, 409), (409, 201)].contains(&won), "round {round}: {won:?}");
    }
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn deletes_renames_and_changes_of_one_user_at_once() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    for round in 0..10 {
        let id = user(&app, &format!("ida{round}@ex.test")).await;
        let target = format!("/Users/{id}");
        let rename = patch(&app, &target, replacing("userName", &format!("ib{round}@ex.test")));
        let change =
            patch(&app, &target, replacing("emails[type eq \"work\"].value", "new@ex.test"));
        let both = join(delete(&app, &target), delete(&app, &target));
        let (writes, (first, second)) = join(join(rename, change), both).await;
        assert_eq!(statuses(&[first, second]), [(204, 1), (404, 1)].into(), "round {round}");
        for write in [writes.0, writes.1] {
            assert!([200, 404].contains(&write.status), "round {round}: {write:?}");
        }
        get(&app, &target).await.expect(404);
    }
    let items = partition(&app).await;
    assert_eq!(items.keys().filter(|key| key.starts_with("user#")).count(), 0);
    assert_whole(&items);
}
