//! Faults between us and DynamoDB: an answer that is lost after the write was done is a success, a fault before it is
//! retried or told, and in both cases the client's repetition ends well.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::{delete, get, group, on_members, patch, replacing, user};
use crate::app::{Answer, App};
use crate::proxy::{Conflicts, Gate, Proxy, Step};
use crate::whole::{Item, assert_whole, partition, without_what_was_seen};

/// A write as a client makes it, the status of its success, and what its repetition is answered then.
#[derive(Clone, Copy, Debug)]
struct Write {
    name: &'static str,
    method: &'static str,
    target: fn(&Ids) -> String,
    body: fn(&Ids) -> Value,
    success: u16,
    repeated: u16,
}

/// What is there before each write.
#[derive(Debug)]
struct Ids {
    ida: String,
    bob: String,
    staff: String,
}

fn writes() -> Vec<Write> {
    fn ida(ids: &Ids) -> String {
        format!("/Users/{}", ids.ida)
    }
    fn staff(ids: &Ids) -> String {
        format!("/Groups/{}", ids.staff)
    }
    let write = |name, method, target, body, (success, repeated)| Write {
        name,
        method,
        target,
        body,
        success,
        repeated,
    };
    vec![
        write(
            "create a user",
            "POST",
            |_| "/Users".to_owned(),
            |_| {
                json!({"userName": "new@ex.test",
            "emails": [{"value": "new@ex.test"}]})
            },
            (201, 409),
        ),
        write("change a user", "PATCH", ida, |_| replacing("title", "Director"), (200, 200)),
        write("rename a user", "PATCH", ida, |_| replacing("userName", "ib@ex.test"), (200, 200)),
        write(
            "replace a user",
            "PUT",
            ida,
            |_| json!({"userName": "Ida@ex.test", "title": "Chair"}),
            (200, 200),
        ),
        write("delete a user", "DELETE", ida, |_| Value::Null, (204, 404)),
        write(
            "create a group",
            "POST",
            |_| "/Groups".to_owned(),
            |ids| {
                json!({"displayName": "New",
            "members": [{"value": ids.ida}]})
            },
            (201, 409),
        ),
        write("rename a group", "PATCH", staff, |_| replacing("displayName", "Crew"), (204, 204)),
        write(
            "add a member",
            "PATCH",
            staff,
            |ids| on_members("add", std::slice::from_ref(&ids.bob)),
            (204, 204),
        ),
        write(
            "remove a member",
            "PATCH",
            staff,
            |ids| on_members("remove", std::slice::from_ref(&ids.ida)),
            (204, 204),
        ),
        write("delete a group", "DELETE", staff, |_| Value::Null, (204, 404)),
    ]
}

/// One write with these faults in its way, on an app of its own.
async fn run(write: Write, steps: &[Step]) -> (App, Proxy, Ids, Answer, BTreeMap<String, Item>) {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let (ida, bob) = (user(&app, "ida@ex.test").await, user(&app, "bob@ex.test").await);
    let staff = group(&app, "Staff", std::slice::from_ref(&ida)).await;
    let ids = Ids { ida, bob, staff };
    let before = partition(&app).await;
    proxy.script("TransactWriteItems", steps.iter().cloned());
    let answer = app.call(write.method, &(write.target)(&ids), (write.body)(&ids)).await;
    (app, proxy, ids, answer, before)
}

/// All writes with the same faults in the way, each of which lets the write be done exactly once.
async fn all_succeed(steps: &[Step]) {
    let runs = writes().into_iter().map(|write| async move {
        let (app, proxy, ids, answer, _) = run(write, steps).await;
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, write.success, "{} with {steps:?}: {told}", write.name);
        assert_whole(&partition(&app).await);
        proxy.heal();
        let again = app.call(write.method, &(write.target)(&ids), (write.body)(&ids)).await;
        assert_eq!(again.status, write.repeated, "{} with {steps:?}, repeated", write.name);
        assert_whole(&partition(&app).await);
    });
    join_all(runs).await;
}

const THROTTLED: Step = Step::Refuse("ThrottlingException");
const IN_PROGRESS: Step = Step::Refuse("TransactionInProgressException");

#[tokio::test]
async fn an_answer_that_is_lost_once_is_a_success() {
    // The SDK asks again with the same token, and DynamoDB repeats no effect.
    all_succeed(&[Step::LoseAnswer]).await;
}

#[tokio::test]
async fn an_answer_that_the_sdk_never_gets_is_a_success() {
    // The SDK gives up after three attempts; ours, with a new token, finds the write done.
    all_succeed(&[Step::LoseAnswer, Step::FailAfter, Step::LoseAnswer]).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_before_throttling_is_a_success() {
    // The last that the SDK tells is that it was throttled; what the first attempt did, it does not tell.
    all_succeed(&[Step::LoseAnswer, THROTTLED, THROTTLED]).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_while_the_transaction_still_runs_is_a_success() {
    all_succeed(&[Step::FailAfter, IN_PROGRESS, IN_PROGRESS]).await;
}

#[tokio::test]
async fn a_lost_answer_is_a_success_even_when_somebody_has_changed_the_resource_since() {
    let posts = [
        ("/Users", json!({"userName": "new@ex.test"}), "userName+eq+%22new@ex.test%22", "title"),
        ("/Groups", json!({"displayName": "New"}), "displayName+eq+%22new%22", "externalId"),
    ];
    let runs = posts.map(|(target, body, filter, path)| async move {
        let (app, proxy) = Proxy::app(Conflicts::None).await;
        let gate = Gate::default();
        let steps =
            [Step::LoseAnswer, Step::FailBefore, Step::FailBefore, Step::Hold(gate.clone())];
        proxy.script("TransactWriteItems", steps);
        let meanwhile = async {
            gate.reached().await;
            let found = get(&app, &format!("{target}?filter={filter}")).await.expect(200).json();
            let id = found["Resources"][0]["id"].as_str().expect("it was done").to_owned();
            let changed = patch(&app, &format!("{target}/{id}"), replacing(path, "x")).await;
            assert!([200, 204].contains(&changed.status), "{changed:?}");
            gate.open();
            id
        };
        let (posted, id) = join(app.call("POST", target, body), meanwhile).await;
        assert_eq!(posted.expect(201).id(), id);
        assert_whole(&partition(&app).await);
    });
    join_all(runs).await;
}

#[tokio::test]
async fn a_fault_before_the_effect_is_retried() {
    all_succeed(&[Step::FailBefore, Step::DropBefore, THROTTLED, IN_PROGRESS, Step::DropBefore])
        .await;
}

#[tokio::test]
async fn a_transaction_that_is_refused_for_good_changes_nothing() {
    let steps = [Step::Refuse("ValidationException")];
    let runs = writes().into_iter().map(|write| {
        let steps = &steps;
        async move {
            let (app, _proxy, ids, answer, before) = run(write, steps).await;
            answer.expect(500);
            let before = without_what_was_seen(before);
            let after = without_what_was_seen(partition(&app).await);
            assert_eq!(after, before, "{}", write.name);
            let again = app.call(write.method, &(write.target)(&ids), (write.body)(&ids)).await;
            assert_eq!(again.status, write.success, "{}, repeated", write.name);
            assert_whole(&partition(&app).await);
        }
    });
    join_all(runs).await;
}

#[tokio::test]
async fn a_failure_for_good_behind_one_that_is_not_known_asks_for_a_repetition() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let new = || json!({"userName": "new@ex.test"});
    let for_good = Step::Refuse("ValidationException");
    proxy.script("TransactWriteItems", [for_good.clone()]);
    app.call("POST", "/Users", new()).await.expect(500);
    let steps = [Step::LoseAnswer, Step::FailBefore, Step::FailBefore, for_good];
    proxy.script("TransactWriteItems", steps);
    app.call("POST", "/Users", new()).await.expect(503);
    app.call("POST", "/Users", new()).await.expect(409);
    assert_whole(&partition(&app).await);
}

/// The request is answered 503 with whole seconds once its deadline has passed, and changes nothing.
async fn gives_up(method: &str, target: &str, body: Value, (operation, step): (&str, Step)) {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    user(&app, "ida@ex.test").await;
    let before = partition(&app).await;
    proxy.forget_calls();
    proxy.always(operation, step);
    let waiting = async {
        while proxy.calls().iter().filter(|call| call.starts_with(operation)).count() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        app.clock().advance(Duration::from_secs(11));
    };
    let (answer, ()) = join(app.call(method, target, body.clone()), waiting).await;
    let answer = answer.expect(503);
    let after = answer.header("Retry-After").expect("it says when");
    assert!(after.parse::<u64>().is_ok_and(|seconds| seconds > 0), "{after}");
    proxy.heal();
    let items = partition(&app).await;
    assert_whole(&items);
    let (items, before) = (without_what_was_seen(items), without_what_was_seen(before));
    assert_eq!(items, before, "nothing is half stored");
    let again = app.call(method, target, body).await;
    assert!([200, 201].contains(&again.status), "{again:?}");
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn throttling_for_ever_ends_in_503() {
    let new = || json!({"userName": "new@ex.test"});
    let conflict = Step::Refuse("TransactionInProgressException");
    let too_much = Step::Refuse("ProvisionedThroughputExceededException");
    join_all(
        [
            gives_up("POST", "/Users", new(), ("TransactWriteItems", THROTTLED)),
            gives_up("POST", "/Users", new(), ("TransactWriteItems", conflict)),
            gives_up("POST", "/Users", new(), ("GetItem", too_much.clone())),
        ]
        .into_iter()
        .map(Box::pin),
    )
    .await;
    gives_up("GET", "/Users?filter=userName+sw+%22i%22", Value::Null, ("Query", too_much)).await;
}

#[tokio::test]
async fn a_write_that_was_done_before_throttling_for_ever_is_a_success() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    proxy.script("TransactWriteItems", [Step::LoseAnswer]);
    proxy.always("TransactWriteItems", THROTTLED);
    proxy.forget_calls();
    let waiting = async {
        while proxy.calls().iter().filter(|call| call.starts_with("TransactWriteItems")).count() < 2
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        app.clock().advance(Duration::from_secs(11));
    };
    let new = app.call("POST", "/Users", json!({"userName": "new@ex.test"}));
    let (answer, ()) = join(new, waiting).await;
    let id = answer.expect(201).id();
    proxy.heal();
    get(&app, &format!("/Users/{id}")).await.expect(200);
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn conflicts_for_ever_end_in_503() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let id = user(&app, "ida@ex.test").await;
    let target = format!("/Users/{id}");
    proxy.forget_calls();
    proxy.always("TransactWriteItems", Step::Conflict);
    let waiting = async {
        while proxy.calls().iter().filter(|call| call.starts_with("TransactWriteItems")).count() < 4
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        app.clock().advance(Duration::from_secs(11));
    };
    let (answer, ()) = join(patch(&app, &target, replacing("title", "x")), waiting).await;
    let answer = answer.expect(503);
    assert!(answer.header("Retry-After").is_some_and(|after| after.parse::<u64>().is_ok()));
    proxy.heal();
    assert_eq!(get(&app, &target).await.expect(200).json()["meta"]["version"], "W/\"1\"");
    delete(&app, &target).await.expect(204);
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn reads_survive_single_faults() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let id = user(&app, "ida@ex.test").await;
    for step in [Step::FailBefore, Step::DropBefore, Step::LoseAnswer, THROTTLED] {
        // The second GetItem, because the first is the token's.
        proxy.script("GetItem", [Step::Pass, step]);
        get(&app, &format!("/Users/{id}")).await.expect(200);
    }
}
