//! What is written to while the check looks at it: nothing is said of it and nothing is repaired, and the report counts it.

use std::cell::Cell;

use scim_endpoint::auth::TokenSecret;
use scim_endpoint::store::check::{Mode, Report};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::{Fixture, NOBODY, number, sorts, text};
use crate::proxy::{Conflicts, Gate, Proxy, Step};
use crate::whole::partition;

impl Fixture {
    /// A check in whose way somebody writes before each of its steps.
    async fn check_beside(&self, mode: Mode, write: impl AsyncFn(i64)) -> Report {
        let steps = Cell::new(0);
        let moments = || {
            steps.set(steps.get() + 1);
            block_in_place(|| Handle::current().block_on(write(steps.get())));
            self.app.moment()
        };
        let report = self.app.store().check(&moments, &self.app.tenant(), mode, &mut |_| {}).await;
        report.expect("the tenant is read").expect("there is such a tenant")
    }
}

/// Something is left open, nothing is believed, and the check says that it cannot tell.
#[track_caller]
fn expect_unsettled(report: &Report, unsettled: usize) {
    assert_eq!((sorts(report).as_slice(), report.unsettled), (&[""; 0][..], unsettled));
    assert!(!report.is_whole(), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_moves_all_the_time_is_left_open() {
    let fixture = Fixture::start().await;
    for kind in ["User", "Group"] {
        let shard = format!("count#{kind}#15");
        let write = async |step| fixture.put(&shard, &[("n", number(40 + step))]).await;
        let report = fixture.check_beside(Mode::Report, write).await;
        expect_unsettled(&report, 1);
        fixture.expect(&["wrong-count"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_held_changes_that_move_all_the_time_are_left_open() {
    let fixture = Fixture::start().await;
    fixture.put("brake", &[]).await;
    let team = format!("group#{}", fixture.team);
    let write = async |step| {
        fixture.set("brake", "held", Some(number(40 + step))).await;
        fixture.set(&team, "held", Some(number(step))).await;
    };
    expect_unsettled(&fixture.check_beside(Mode::Report, write).await, 2);
    fixture.expect(&["wrong-held"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_change_all_the_time_are_left_open() {
    let fixture = Fixture::start().await;
    let digest = TokenSecret::parse(&fixture.app.token()).unwrap().digest();
    let items = partition(&fixture.app).await;
    let digests = |item: &super::Item| item.get("digest") == Some(&text(&digest));
    let token = items.keys().find(|key| key.starts_with("token#") && digests(&items[*key]));
    let token = token.expect("the token's metadata");
    let write = async |step: i64| {
        fixture.set(token, "label", Some(text(&format!("the {step}th")))).await;
    };
    expect_unsettled(&fixture.check_beside(Mode::Report, write).await, 1);
    fixture.expect_whole().await;
}

/// Lets each held call go on once this has been written; ends when the check does.
async fn beside<T>(gate: &Gate, write: impl AsyncFn(i64), check: impl Future<Output = T>) -> T {
    let writes = async {
        for step in 1.. {
            gate.reached().await;
            write(step).await;
            gate.open();
        }
    };
    tokio::select! {
        report = check => report,
        () = writes => unreachable!("it goes on for ever"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn suspicions_about_what_changes_all_the_time_are_left_open() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let fixture = Fixture::over(app).await;
    fixture.delete(&format!("match#emails.value#ida@home.example#{}", fixture.ida)).await;
    fixture.put(&format!("match#emails.value#x@y#{NOBODY}"), &[]).await;
    let gate = Gate::default();
    proxy.always("BatchGetItem", Step::Hold(gate.clone()));
    let user = "user#ida@example.com";
    let write =
        async |step: i64| fixture.set(user, "displayName", Some(text(&step.to_string()))).await;
    let report = beside(&gate, write, fixture.check(Mode::Report)).await;
    expect_unsettled(&report, 2);
    proxy.heal();
    fixture.expect(&["match-left", "match-missing"]).await;
}

/// Somebody writes between the check's last look and its repair, which does nothing then: the check looks again.
async fn looks_again(
    (fixture, proxy): (&Fixture, &Proxy),
    operation: &str,
    write: impl AsyncFn(i64),
) -> Report {
    let gate = Gate::default();
    proxy.script(operation, [Step::Hold(gate.clone())]);
    let report = beside(&gate, write, fixture.check(Mode::Repair)).await;
    assert!(report.is_whole() && report.passes > 2, "{report:#?}");
    fixture.expect_whole().await;
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_comes_too_late_is_looked_at_again() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let fixture = Fixture::over(app).await;
    let both = (&fixture, &proxy);
    let moved = async |key: &str| {
        let version = fixture.get(key).await.unwrap()["version"].as_n().unwrap().parse::<i64>();
        fixture.set(key, "version", Some(number(version.unwrap() + 1))).await;
    };
    fixture.put("brake", &[]).await;
    fixture.delete(&format!("id#{}", fixture.ida)).await;
    looks_again(both, "TransactWriteItems", async |_| moved("user#ida@example.com").await).await;
    let team = format!("group#{}", fixture.team);
    for key in [format!("groupname#team#{}", fixture.team), "unique#displayName#team".to_owned()] {
        fixture.delete(&key).await;
        looks_again(both, "TransactWriteItems", async |_| moved(&team).await).await;
    }
    fixture.set(&team, "held", Some(number(1))).await;
    looks_again(both, "UpdateItem", async |_| moved(&team).await).await;
    fixture.set("brake", "held", Some(number(7))).await;
    let write = async |_| fixture.set("brake", "held", Some(number(9))).await;
    let report = looks_again(both, "UpdateItem", write).await;
    assert_eq!(report.findings.len(), 1, "what was wrong is repaired once: {report:#?}");
    let counter = "count#User#00";
    fixture.put(counter, &[("n", number(40))]).await;
    let write = async |_| fixture.put(counter, &[("n", number(41))]).await;
    looks_again(both, "UpdateItem", write).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_settings_change_meanwhile_is_looked_at_again() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let fixture = Fixture::over(app).await;
    let secrets = &fixture.app.store().tables().secrets;
    let digest = TokenSecret::parse(&fixture.app.token()).unwrap().digest();
    let key = [("digest".to_owned(), text(&digest))];
    let row = fixture.client.get_item().table_name(secrets).set_key(Some(key.into()));
    let mut row = row.send().await.unwrap().item.unwrap();
    row.insert("status".to_owned(), text("disabled"));
    let put = fixture.client.put_item().table_name(secrets).set_item(Some(row));
    put.send().await.unwrap();
    let write = async |_| {
        let version = fixture.get("settings").await.unwrap()["settingsVersion"].clone();
        let version: i64 = version.as_n().unwrap().parse().unwrap();
        fixture.set("settings", "settingsVersion", Some(number(version + 1))).await;
    };
    let report = looks_again((&fixture, &proxy), "TransactWriteItems", write).await;
    assert_eq!(sorts(&report), ["token-settings-old"]);
}
