//! A write whose outcome is not known and over which somebody else has written since: one that was done is a success and is
//! not done again over what came after it, and one that was not done is not taken for done. So is one that the brake holds
//! back from the feed.

use futures_util::future::join;
use scim_endpoint::admin::brake;
use scim_endpoint::store::brake::Decision;
use scim_endpoint::store::settings::Brake;
use serde_json::{Value, json};

use super::{get, patch, replacing, user};
use crate::app::App;
use crate::proxy::{Conflicts, Gate, Proxy, Step};
use crate::whole::{assert_whole, partition};

/// The SDK tries three times; then ours, with a new token, is held until somebody else has written.
fn lost(first: Step, gate: &Gate) -> [Step; 4] {
    [first, Step::FailBefore, Step::FailBefore, Step::Hold(gate.clone())]
}

/// The user after the first change, whose answer never came, and what happened meanwhile.
async fn overtaken(
    (app, proxy): (&App, &Proxy),
    (first, id): (Step, &str),
    change: Value,
    meanwhile: impl AsyncFn(&str),
) -> Value {
    let (gate, target) = (Gate::default(), format!("/Users/{id}"));
    proxy.script("TransactWriteItems", lost(first, &gate));
    let others = async {
        gate.reached().await;
        meanwhile(&target).await;
        gate.open();
    };
    let (answer, ()) = join(patch(app, &target, change), others).await;
    answer.expect(200);
    assert_whole(&partition(app).await);
    get(app, &target).await.expect(200).json()
}

#[tokio::test]
async fn a_write_that_was_done_is_not_done_again_over_a_later_one() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let id = user(&app, "ida@ex.test").await;
    let first = (Step::LoseAnswer, id.as_str());
    let later = async |target: &str| {
        patch(&app, target, replacing("title", "Chair")).await.expect(200);
    };
    let shown = overtaken((&app, &proxy), first, replacing("title", "Director"), later).await;
    assert_eq!((&shown["title"], &shown["meta"]["version"]), (&json!("Chair"), &json!("W/\"3\"")));
}

#[tokio::test]
async fn a_write_that_was_not_done_is_done_after_another() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let id = user(&app, "ida@ex.test").await;
    let first = (Step::FailBefore, id.as_str());
    let later = async |target: &str| {
        patch(&app, target, replacing("nickName", "I")).await.expect(200);
    };
    let shown = overtaken((&app, &proxy), first, replacing("title", "Director"), later).await;
    assert_eq!((&shown["title"], &shown["nickName"]), (&json!("Director"), &json!("I")));
}

/// A tenant whose brake holds back everybody who is switched off from now on.
async fn pulled() -> (App, Proxy) {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let brake = Brake { count: Some(1), percent: None, window_minutes: 1_440, budget: 1 };
    let by = (&app.tenant(), "test");
    brake::set(app.store(), &app.moment(), by, Some(brake)).await.expect("it is set");
    for name in ["one@ex.test", "two@ex.test", "three@ex.test"] {
        let id = user(&app, name).await;
        patch(&app, &format!("/Users/{id}"), off()).await.expect(200);
    }
    assert_eq!(held(&app).await, 1);
    (app, proxy)
}

fn off() -> Value {
    replacing("active", "False")
}

async fn held(app: &App) -> u64 {
    app.store().brake_state(&app.moment(), &app.tenant()).await.unwrap().held
}

async fn release(app: &App) {
    let (moments, by) = (|| app.moment(), (&app.tenant(), "test"));
    let what = (Decision::Release, None);
    brake::settle(app.store(), &moments, by, what, &mut |_| {}).await.expect("it is settled");
}

#[tokio::test]
async fn a_held_write_that_was_done_is_not_done_again_over_a_later_one() {
    let (app, proxy) = pulled().await;
    for is_settled in [false, true] {
        let id = user(&app, &format!("ida{is_settled}@ex.test")).await;
        let first = (Step::LoseAnswer, id.as_str());
        let before = held(&app).await;
        let later = async |target: &str| {
            assert_eq!(held(&app).await, before + 1, "it was done");
            if is_settled {
                release(&app).await;
            }
            patch(&app, target, replacing("active", "True")).await.expect(200);
        };
        let shown = overtaken((&app, &proxy), first, off(), later).await;
        assert_eq!(
            (&shown["active"], &shown["meta"]["version"]),
            (&json!(true), &json!("W/\"3\""))
        );
    }
    release(&app).await;
    assert_eq!(held(&app).await, 0);
}

#[tokio::test]
async fn a_held_write_that_was_not_done_is_done_after_another() {
    let (app, proxy) = pulled().await;
    let id = user(&app, "ida@ex.test").await;
    let first = (Step::FailBefore, id.as_str());
    let later = async |target: &str| {
        patch(&app, target, replacing("nickName", "I")).await.expect(200);
    };
    let shown = overtaken((&app, &proxy), first, off(), later).await;
    assert_eq!((&shown["active"], &shown["nickName"]), (&json!(false), &json!("I")));
    assert_eq!(held(&app).await, 2);
}
