//! Settling step by step, as the store does it: which changes a step takes, which have to wait, and what the brake says of
//! itself meanwhile.

use futures_util::future::join;
use scim_endpoint::store::brake::{BrakeState, Decision, HeldChange, Settled};
use scim_endpoint::store::{Cx, StoreError};
use serde_json::json;
use uuid::Uuid;

use super::{
    BY, Report, begin_window, brake, braked, disable, expect_settled, feed, held, ids_with, set,
    settle,
};
use crate::app::App;
use crate::proxy::{Conflicts, Gate, Proxy, Step};
use crate::races::{patch, replacing, user};

async fn held_changes(app: &App) -> Vec<HeldChange> {
    let (moment, tenant) = (app.moment(), app.tenant());
    let (settings, _) = app.store().settings(&moment, &tenant).await.unwrap().unwrap();
    let cx = Cx { tenant: &tenant, settings: &settings, actor: BY, moment: &moment };
    app.store().held_changes(&cx, None, 100).await.unwrap().0
}

/// One step that releases what was held after one position and before another.
async fn step(app: &App, range: (Option<Uuid>, Uuid)) -> Result<Settled, StoreError> {
    let (moment, tenant) = (app.moment(), app.tenant());
    let (settings, _) = app.store().settings(&moment, &tenant).await.unwrap().unwrap();
    let cx = Cx { tenant: &tenant, settings: &settings, actor: BY, moment: &moment };
    app.store().settle_held(&cx, (Decision::Release, None), range).await
}

async fn state(app: &App) -> BrakeState {
    app.store().brake_state(&app.moment(), &app.tenant()).await.unwrap()
}

/// Two are told, and whoever is switched off after them is not.
async fn pulled() -> App {
    let app = App::start().await;
    pull(&app).await;
    app
}

async fn pull(app: &App) {
    begin_window(app);
    set(app, brake(1, 1)).await;
    for name in ["one@ex.test", "two@ex.test"] {
        let id = user(app, name).await;
        disable(app, &id).await;
    }
    assert_eq!(held(app).await, 0);
}

#[tokio::test]
async fn a_later_change_waits_until_the_one_before_it_is_settled() {
    let app = pulled().await;
    let ida = user(&app, "ida@ex.test").await;
    disable(&app, &ida).await;
    patch(&app, &format!("/Users/{ida}"), replacing("active", "True")).await.expect(200);
    let [first, second] = held_changes(&app).await.try_into().unwrap();
    let (first, second) = (first.at, second.at);
    // Behind the first: it is not looked at, and the second is not told before it.
    let settled = step(&app, (Some(first), Uuid::max())).await.unwrap();
    assert_eq!(settled, Settled { done: 0, waiting: 1, next: None });
    assert_eq!(held(&app).await, 2);
    // Up to the second, and not with it.
    let settled = step(&app, (None, second)).await.unwrap();
    assert_eq!(settled, Settled { done: 1, waiting: 0, next: None });
    assert_eq!(held_changes(&app).await.len(), 1);
    let settled = step(&app, (None, Uuid::max())).await.unwrap();
    assert_eq!(settled, Settled { done: 1, waiting: 0, next: None });
    expect_settled(&app).await;
}

#[tokio::test]
async fn a_change_that_is_written_over_while_it_is_settled_is_settled_all_the_same() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    pull(&app).await;
    let ida = user(&app, "ida@ex.test").await;
    disable(&app, &ida).await;
    let gate = Gate::default();
    proxy.script("TransactWriteItems", [Step::Hold(gate.clone())]);
    let meanwhile = async {
        gate.reached().await;
        let title = replacing("title", "Captain");
        patch(&app, &format!("/Users/{ida}"), title).await.expect(200);
        gate.open();
    };
    let (settled, ()) = join(step(&app, (None, Uuid::max())), meanwhile).await;
    assert_eq!(settled.unwrap(), Settled { done: 1, waiting: 0, next: None });
    assert_eq!(settle(&app, Decision::Release, None).await, Report { settled: 1, left: 0 });
    expect_settled(&app).await;
}

#[tokio::test]
async fn what_lost_its_count_is_settled_all_the_same() {
    let app = pulled().await;
    let ida = user(&app, "ida@ex.test").await;
    disable(&app, &ida).await;
    let (client, table) = (crate::whole::client(&app), &app.store().tables().directory);
    let mut item = crate::whole::partition(&app).await["user#ida@ex.test"].clone();
    assert!(item.remove("held").is_some());
    client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
    let report = settle(&app, Decision::Release, None).await;
    assert_eq!(report, Report { settled: 1, left: 0 });
    assert_eq!(held(&app).await, 0);
    let (items, gaps) = feed(&app).await;
    assert!(ids_with(&items, "user.deactivated").contains(&ida));
    assert_eq!(gaps, []);
}

#[tokio::test]
async fn the_state_says_since_when_and_how_many() {
    let app = braked(brake(1, 1)).await;
    assert_eq!(state(&app).await, BrakeState::default());
    // More at once than may be: held before anybody was counted.
    let both = [user(&app, "one@ex.test").await, user(&app, "two@ex.test").await];
    let team = crate::races::group(&app, "Team", &both).await;
    crate::races::delete(&app, &format!("/Groups/{team}")).await.expect(204);
    let pulled = state(&app).await;
    assert_eq!((pulled.held, pulled.counted, pulled.window), (1, 0, None));
    let since = pulled.since.expect("it is held since then");
    assert!(app.moment().now().unix_seconds() - since.unix_seconds() < 60);
    assert_eq!(settle(&app, Decision::Release, None).await.settled, 1);
    disable(&app, &both[0]).await;
    let counted = state(&app).await;
    assert_eq!((counted.held, counted.counted, counted.since), (0, 1, None));
    let window = counted.window.expect("it has begun").unix_seconds();
    let now = app.moment().now().unix_seconds();
    assert_eq!((window % 3_600, window / 3_600), (0, now / 3_600));
    let shown = app.call("GET", &format!("/Users/{}", both[0]), serde_json::Value::Null).await;
    assert_eq!(shown.expect(200).json()["active"], json!(false));
}

#[tokio::test]
async fn the_end_of_a_group_takes_out_everybody_in_it() {
    let app = braked(brake(100, 1)).await;
    for (name, people) in [("None", 0), ("Few", 3), ("More", 40)] {
        let before = state(&app).await.counted;
        let members = crate::races::crowd(&app, people.max(1)).await;
        let id = crate::races::group(&app, name, &members[..people]).await;
        crate::races::delete(&app, &format!("/Groups/{id}")).await.expect(204);
        let counted = state(&app).await.counted - before;
        assert_eq!(counted, u64::try_from(people).unwrap(), "{name}");
    }
    assert_eq!(held(&app).await, 0);
}
