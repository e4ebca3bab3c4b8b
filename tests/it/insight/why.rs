//! "Why isn't Alice here?", for each reason that there is.

use scim_endpoint::insight::why::{Why, why};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::races::{delete, group, patch, replacing, user};

async fn ask(app: &App, name: &str) -> Why {
    ask_before(app, name, None).await
}

async fn ask_before(app: &App, name: &str, before: Option<Uuid>) -> Why {
    let asked = (name, before);
    let why = why(app.store(), &app.moment(), &app.tenant(), asked).await.unwrap();
    why.expect("there is such a tenant")
}

/// Fails unless the answer has each of these.
#[track_caller]
fn says(why: &Why, parts: &[&str]) {
    let answer = why.answer.join("\n");
    for part in parts {
        assert!(answer.contains(part), "no \"{part}\" in:\n{answer}");
    }
}

#[tokio::test]
async fn nobody_has_called_yet() {
    let app = App::start().await;
    let why = ask(&app, "alice@ex.test").await;
    says(&why, &["has never spoken of \"alice@ex.test\"", "No identity provider has called yet"]);
    assert!(why.people.is_empty() && why.looked <= 1, "{why:?}");
}

#[tokio::test]
async fn she_is_there_and_found_by_all_that_she_is_called() {
    let app = App::start().await;
    let body = json!({"userName": "Alice@ex.test", "externalId": "Alice-1", "displayName": "Alice A",
        "emails": [{"value": "a.adams@ex.test", "type": "work", "primary": true}]});
    let id = app.call("POST", "/Users", body).await.expect(201).id();
    group(&app, "Staff", std::slice::from_ref(&id)).await;
    patch(&app, &format!("/Users/{id}"), replacing("title", "Boss")).await.expect(200);
    for name in ["alice@EX.test", "Alice-1", "A.Adams@ex.test", id.as_str(), "  alice@ex.test "] {
        let why = ask(&app, name).await;
        assert_eq!(why.people.len(), 1, "{name}");
        says(&why, &["Alice@ex.test is here and active since", "created by "]);
        let person = &why.people[0];
        assert_eq!(
            (person.groups.as_slice(), person.changes.len()),
            (&["Staff".to_owned()][..], 2)
        );
        assert_eq!(why.others.len(), 1, "she was added to a group: {why:?}");
    }
    // The schema compares an externalId with its letter case.
    assert!(ask(&app, "alice-1").await.people.is_empty());
    let part = ask(&app, "alice").await;
    assert_eq!(part.similar, ["Alice@ex.test"]);
    says(&part, &["It has spoken of: Alice@ex.test."]);
}

#[tokio::test]
async fn she_was_switched_off_or_deleted() {
    let app = App::start().await;
    let id = user(&app, "alice@ex.test").await;
    let target = format!("/Users/{id}");
    patch(&app, &target, replacing("active", "False")).await.expect(200);
    patch(&app, &target, replacing("title", "Boss")).await.expect(200);
    let off = ask(&app, "alice@ex.test").await;
    says(&off, &["is here, but inactive since", "switched off by", "no longer assigned"]);
    assert_eq!(off.people[0].since.as_ref().unwrap().version, Some(2));
    delete(&app, &target).await.expect(204);
    delete(&app, &target).await.expect(404);
    for name in ["ALICE@ex.test", id.as_str()] {
        let gone = ask(&app, name).await;
        assert!(gone.people.is_empty());
        says(&gone, &["alice@ex.test was deleted at"]);
        assert_eq!((gone.deleted.len(), gone.others.len()), (1, 3), "{name}: {gone:#?}");
    }
    // A successor with the name is there, and the one before is not forgotten.
    user(&app, "alice@ex.test").await;
    let both = ask(&app, "alice@ex.test").await;
    says(&both, &["is here and active"]);
    assert_eq!((both.people.len(), both.deleted.len()), (1, 1));
}

#[tokio::test]
async fn she_was_refused() {
    let app = App::start().await;
    user(&app, "bob@ex.test").await;
    let wrong = json!({"userName": "alice@ex.test", "emails": 7});
    app.call("POST", "/Users", wrong).await.expect(400);
    let taken = json!({"userName": "Bob@ex.test", "externalId": "alice-1"});
    app.call("POST", "/Users", taken).await.expect(409);
    let refused = ask(&app, "alice@ex.test").await;
    says(&refused, &["was not done (POST) at", "refused (400", "emails"]);
    says(&refused, &["Is the person assigned to the application"]);
    assert_eq!(refused.refused.len(), 1);
    says(&ask(&app, "alice-1").await, &["refused (409 uniqueness)"]);
    let stranger = ask(&app, "carol@ex.test").await;
    says(&stranger, &["has never spoken of \"carol@ex.test\"", "It last called 0 seconds ago"]);
    says(&stranger, &["emails.value", "on demand", "all that it has"]);
    assert!(stranger.refused.is_empty() && stranger.similar.is_empty());
}

#[tokio::test]
async fn what_is_asked_for_may_be_anything() {
    let app = App::start().await;
    user(&app, "alice@ex.test").await;
    let long = "x".repeat(70_000);
    for name in ["", "\"", "a\" or userName pr", "\u{1b}[2J", "*", "%", "#", "\\", "\u{0}", &long] {
        let why = ask(&app, name).await;
        assert!(why.people.is_empty() && why.refused.is_empty(), "{why:?}");
        let answer = why.answer.join("");
        assert!(!answer.chars().any(char::is_control) && answer.len() < 4_000, "{answer}");
    }
}

#[tokio::test]
async fn a_long_journal_is_looked_through_in_steps() {
    let app = App::start().await;
    app.call("POST", "/Users", json!({"userName": "alice@ex.test", "emails": 7})).await.expect(400);
    let tenant = app.tenant();
    let begin = app.moment().now().plus_seconds(1);
    let item = |number: u32| {
        let time = begin.plus_seconds(i64::from(number / 1_000));
        let id = Uuid::from_u128(u128::from(number)).to_string();
        let more = [("id", id.as_str()), ("userName", "x"), ("event", "prov:patch:notice")];
        crate::feed::made_up(&tenant, time, number, &more)
    };
    let items = (0..5_200).map(item).collect();
    crate::feed::rewrite(&app, items, Vec::new()).await;
    let first = ask(&app, "alice@ex.test").await;
    assert!(first.refused.is_empty() && first.looked >= 5_000, "{}", first.looked);
    says(&first, &["there is more before that", "as far as was looked"]);
    let second = ask_before(&app, "alice@ex.test", first.next).await;
    assert_eq!((second.refused.len(), second.next), (1, None));
    assert_eq!(first.looked + second.looked, 5_201);
    assert_eq!(app.call("GET", "/Users", Value::Null).await.expect(200).json()["totalResults"], 0);
}
