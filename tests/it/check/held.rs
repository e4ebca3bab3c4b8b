//! The counts of what the brake holds back, against what it holds back.

use scim_endpoint::admin::brake;
use scim_endpoint::store::brake::Decision;
use scim_endpoint::store::check::Mode;
use scim_endpoint::store::settings::Brake;

use super::{Fixture, number, text};
use crate::races::{delete, patch, replacing, user};

/// Bob switched off and Ida deleted, both held back; Ida was in the team.
async fn held() -> Fixture {
    let fixture = Fixture::start().await;
    let app = &fixture.app;
    let brake = Brake { count: Some(1), percent: None, window_minutes: 1_440, budget: 1 };
    let by = (&app.tenant(), "test");
    brake::set(app.store(), &app.moment(), by, Some(brake)).await.expect("it is set");
    let used_up = [user(app, "first@ex.test").await, user(app, "second@ex.test").await];
    for id in used_up.iter().chain([&fixture.bob]) {
        let url = format!("/Users/{id}");
        patch(app, &url, replacing("active", "False")).await.expect(200);
    }
    delete(app, &format!("/Users/{}", fixture.ida)).await.expect(204);
    fixture
}

impl Fixture {
    async fn counts(&self, key: &str) -> Option<String> {
        let item = self.get(key).await?;
        item.get("held").map(|held| held.as_n().expect("a number").clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_held_changes_are_put_right() {
    let fixture = held().await;
    let (bob, team) = ("user#bob@example.com", format!("group#{}", fixture.team));
    fixture.expect_whole().await;
    let right = [(bob, "1"), (&team, "1"), ("brake", "2")];
    for (key, real) in right {
        for said in [Some(number(7)), Some(number(0)), None] {
            fixture.set(key, "held", said).await;
            fixture.expect(&["wrong-held"]).await;
            assert_eq!(fixture.counts(key).await.as_deref(), Some(real), "{key}");
        }
    }
    fixture.delete("brake").await;
    fixture.expect(&["wrong-held"]).await;
    assert_eq!(fixture.counts("brake").await.as_deref(), Some("2"));
    // What counts what was never held is told later changes for ever.
    let all = format!("group#{}", fixture.all);
    fixture.set(&all, "held", Some(number(1))).await;
    fixture.expect(&["wrong-held"]).await;
    assert_eq!(fixture.counts(&all).await, None);

    let (app, tenant) = (&fixture.app, fixture.app.tenant());
    let moments = || app.moment();
    let what = (Decision::Release, None);
    let settled = brake::settle(app.store(), &moments, (&tenant, "test"), what, &mut |_| {}).await;
    let settled = settled.expect("they are settled");
    assert_eq!((settled.settled, settled.left), (2, 0));
    fixture.expect_whole().await;
    assert_eq!(fixture.counts(bob).await, None);
    assert_eq!(fixture.counts(&team).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_counted_by_what_cannot_be_read() {
    let fixture = held().await;
    fixture.set("brake", "held", Some(number(9))).await;
    let key = format!("held#{}", super::NOBODY);
    fixture.put(&key, &[("item", text("no item"))]).await;
    let report = fixture.check(Mode::Repair).await;
    let told = report.findings.iter().map(|finding| (finding.sort, finding.item.as_str()));
    assert_eq!(told.collect::<Vec<_>>(), [("unreadable", key.as_str())]);
    assert_eq!(fixture.counts("brake").await.as_deref(), Some("9"));
}
