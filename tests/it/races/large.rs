//! Changes that one transaction cannot hold: all ids are checked before the first write, each membership is whole,
//! repeating converges, and what a fault leaves behind is swept by the scheduled job. No read shows what is gone.

use std::time::Duration;

use futures_util::future::{join, join_all};
use scim_endpoint::limits::WORK_ABANDONED;
use scim_endpoint::ops::jobs::{self, Summary};
use scim_endpoint::store::Cx;
use serde_json::json;

use super::{
    crowd, delete, entries, get, group, groups_of, members_of, on_members, patch, statuses, user,
};
use crate::app::App;
use crate::proxy::{Conflicts, Gate, Proxy, Step, is_left_out};
use crate::whole::{assert_whole, assert_whole_but_for_jobs, partition, without_what_was_seen};

const MANY: &str = "it would copy a table of a thousand items before each transaction";

async fn run_jobs(app: &App) -> Summary {
    jobs::run(app.store(), &app.moment()).await.expect("the job runs")
}

/// Runs the job until it has nothing left to do.
async fn finish_jobs(app: &App) {
    for _ in 0..20 {
        let summary = run_jobs(app).await;
        assert_eq!(summary.failed, 0);
        if summary.left == 0 {
            return;
        }
    }
    panic!("the job never ends");
}

#[tokio::test]
async fn a_group_of_500_comes_whole_and_changes_as_a_whole() {
    if is_left_out(MANY) {
        return;
    }
    let (app, _proxy) = Proxy::app(Conflicts::None).await;
    let people = crowd(&app, 1_500).await;
    let id = group(&app, "Everybody", &people[..500]).await;
    let target = format!("/Groups/{id}");
    assert_eq!(members_of(&app, &id).await, people[..500].iter().cloned().collect());
    assert_whole(&partition(&app).await);

    // One id of nobody among 1,000: nothing is changed, whatever its place.
    let before = partition(&app).await;
    let mut asked: Vec<String> = people[500..].to_vec();
    asked[990] = app.moment().mint_uuid().to_string();
    patch(&app, &target, on_members("add", &asked)).await.expect(400);
    let after = partition(&app).await;
    let keys = |items: &std::collections::BTreeMap<String, _>| -> Vec<String> {
        without_what_was_seen(items.clone()).into_keys().collect()
    };
    assert_eq!(keys(&after), keys(&before));
    let group_key = format!("group#{id}");
    assert_eq!(after[&group_key], before[&group_key], "not even its version");

    patch(&app, &target, on_members("add", &people[500..])).await.expect(204);
    assert_eq!(members_of(&app, &id).await.len(), 1_500);
    patch(&app, &target, on_members("remove", &people[200..700])).await.expect(204);
    assert_eq!(members_of(&app, &id).await.len(), 1_000);
    patch(&app, &target, on_members("replace", &people[..400])).await.expect(204);
    assert_eq!(members_of(&app, &id).await, people[..400].iter().cloned().collect());
    patch(&app, &target, on_members("replace", &people[400..800])).await.expect(204);
    assert_eq!(members_of(&app, &id).await, people[400..800].iter().cloned().collect());
    assert_whole(&partition(&app).await);

    // One more than a request may change.
    let too_many = patch(&app, &target, on_members("replace", &people[800..])).await.expect(400);
    assert_eq!(too_many.json()["scimType"], "tooMany");
    let again = members_of(&app, &id).await;
    assert_eq!(again, people[400..800].iter().cloned().collect());
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn a_user_in_60_groups_is_gone_from_all_at_once() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let ida = user(&app, "ida@ex.test").await;
    let mut groups = Vec::new();
    for number in 0..60 {
        groups.push(group(&app, &format!("G{number}"), std::slice::from_ref(&ida)).await);
    }
    assert_eq!(groups_of(&app, &ida).await.len(), 60);
    // The first transaction deletes the user; the second is the first step of the sweep.
    let gate = Gate::default();
    proxy.script("TransactWriteItems", [Step::Pass, Step::Hold(gate.clone())]);
    let target = format!("/Users/{ida}");
    let looking = async {
        gate.reached().await;
        get(&app, &target).await.expect(404);
        for id in &groups {
            assert!(members_of(&app, id).await.is_empty());
        }
        let filter = format!("/Groups?filter=members.value+eq+%22{ida}%22");
        assert_eq!(get(&app, &filter).await.expect(200).json()["totalResults"], 0);
        assert_whole_but_for_jobs(&partition(&app).await);
        gate.open();
    };
    let (deleted, ()) = join(delete(&app, &target), looking).await;
    deleted.expect(204);
    finish_jobs(&app).await;
    for id in &groups {
        let shown = get(&app, &format!("/Groups/{id}")).await.expect(200).json();
        assert_eq!(
            shown["meta"]["version"], "W/\"2\"",
            "a reader's cached copy is no longer current"
        );
    }
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn a_group_of_300_is_gone_from_all_at_once() {
    if is_left_out(MANY) {
        return;
    }
    let (app, _proxy) = Proxy::app(Conflicts::None).await;
    let people = crowd(&app, 300).await;
    let id = group(&app, "Everybody", &people).await;
    let outer = group(&app, "Outer", std::slice::from_ref(&id)).await;
    delete(&app, &format!("/Groups/{id}")).await.expect(204);
    get(&app, &format!("/Groups/{id}")).await.expect(404);
    let items = partition(&app).await;
    assert!(items.keys().any(|key| key.starts_with("work#")), "it was too large for one request");
    assert_whole_but_for_jobs(&items);
    for person in people.iter().step_by(10) {
        assert!(groups_of(&app, person).await.is_empty());
    }
    assert!(members_of(&app, &outer).await.is_empty());
    let filter = format!("/Users?filter=groups.value+eq+%22{id}%22");
    assert_eq!(get(&app, &filter).await.expect(200).json()["totalResults"], 0);
    // Its name is free at once.
    let again = group(&app, "Everybody", &people[..3]).await;
    finish_jobs(&app).await;
    assert_eq!(members_of(&app, &again).await.len(), 3);
    let items = partition(&app).await;
    assert!(!items.keys().any(|key| key.contains(&id)), "nothing of it is left");
    assert_whole(&items);
}

#[tokio::test]
async fn one_membership_more_than_are_listed_is_not_left_behind() {
    let app = App::start().await;
    let people = crowd(&app, 16).await;
    let mut groups = Vec::new();
    for number in 0..16 {
        groups.push(group(&app, &format!("G{number}"), &people[..1]).await);
    }
    let full = group(&app, "Full", &people).await;
    for target in [format!("/Users/{}", people[0]), format!("/Groups/{full}")] {
        delete(&app, &target).await.expect(204);
        finish_jobs(&app).await;
        assert_whole(&partition(&app).await);
    }
    let left = partition(&app).await;
    assert!(!left.keys().any(|key| key.contains(&people[0]) || key.contains(&full)), "{left:#?}");
}

#[tokio::test]
async fn what_takes_two_steps_is_swept_by_the_request_itself() {
    let app = App::start().await;
    let people = crowd(&app, 30).await;
    let id = group(&app, "Some", &people).await;
    delete(&app, &format!("/Groups/{id}")).await.expect(204);
    let items = partition(&app).await;
    assert!(!items.keys().any(|key| key.starts_with("work#")), "{items:#?}");
    assert_whole(&items);
}

/// So that no tenant keeps the others waiting.
#[tokio::test]
async fn a_visit_takes_no_more_steps_than_it_may() {
    let app = App::start().await;
    let people = crowd(&app, 300).await;
    let id = group(&app, "Everybody", &people).await;
    delete(&app, &format!("/Groups/{id}")).await.expect(204);
    let (moment, tenant) = (app.moment(), app.tenant());
    let (settings, _) = app.store().settings(&moment, &tenant).await.unwrap().unwrap();
    let cx = Cx { tenant: &tenant, settings: &settings, actor: "job", moment: &moment };
    let mut finished = Vec::new();
    while finished.last() != Some(&1) && finished.len() < 9 {
        let visit = app.store().finish_work(&cx, 1).await.unwrap();
        assert_eq!(visit.more, visit.finished == 0);
        finished.push(visit.finished);
    }
    assert!(finished.len() > 1 && finished.last() == Some(&1), "{finished:?}");
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn a_delete_that_dies_after_its_first_step_is_finished_by_the_job() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let people = crowd(&app, 60).await;
    let id = group(&app, "Everybody", &people).await;
    let gate = Gate::default();
    proxy.script("TransactWriteItems", [Step::Pass, Step::Hold(gate.clone())]);
    let target = format!("/Groups/{id}");
    tokio::select! {
        _ = delete(&app, &target) => panic!("it is held"),
        () = gate.reached() => {}
    }
    get(&app, &target).await.expect(404);
    assert!(groups_of(&app, &people[59]).await.is_empty());
    // Two runs at once do not hinder each other.
    let (one, two) = join(run_jobs(&app), run_jobs(&app)).await;
    assert_eq!((one.failed, two.failed, one.left, two.left), (0, 0, 0, 0));
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn a_large_group_that_never_came_is_swept() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let people = crowd(&app, 100).await;
    let gate = Gate::default();
    let steps = [Step::Pass, Step::Pass, Step::Pass, Step::Hold(gate.clone())];
    proxy.script("TransactWriteItems", steps);
    let body = json!({"displayName": "Everybody", "members": entries(&people)});
    tokio::select! {
        _ = app.call("POST", "/Groups", body.clone()) => panic!("it is held"),
        () = gate.reached() => {}
    }
    assert_eq!(get(&app, "/Groups").await.expect(200).json()["totalResults"], 0);
    let items = partition(&app).await;
    assert!(items.keys().any(|key| key.starts_with("member#")), "some had come");
    assert_whole_but_for_jobs(&items);
    let shown = join_all(people.iter().map(|person| groups_of(&app, person))).await;
    assert!(shown.iter().all(std::collections::BTreeSet::is_empty));
    // A member of a group that is being created can be deleted.
    delete(&app, &format!("/Users/{}", people[0])).await.expect(204);
    // It could still be coming.
    assert_eq!(run_jobs(&app).await.left, 1);
    app.clock().advance(WORK_ABANDONED + Duration::from_secs(1));
    assert_eq!(run_jobs(&app).await.finished, 1);
    let items = partition(&app).await;
    assert!(!items.keys().any(|key| key.starts_with("member")));
    assert_whole(&items);
    let id = group(&app, "Everybody", &people[1..]).await;
    assert_eq!(members_of(&app, &id).await.len(), 99);
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn a_large_group_that_comes_after_it_was_given_up_does_not_come() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let people = crowd(&app, 80).await;
    // Held before a chunk, and before the group itself.
    for passed in [2, 4] {
        let gate = Gate::default();
        let mut steps = vec![Step::Pass; passed];
        steps.push(Step::Hold(gate.clone()));
        proxy.script("TransactWriteItems", steps);
        let body = json!({"displayName": "Everybody", "members": entries(&people)});
        let sweeping = async {
            gate.reached().await;
            app.clock().advance(WORK_ABANDONED + Duration::from_secs(1));
            assert_eq!(run_jobs(&app).await.finished, 1);
            gate.open();
        };
        let (posted, ()) = join(app.call("POST", "/Groups", body), sweeping).await;
        let posted = posted.expect(503);
        assert!(posted.header("Retry-After").is_some_and(|after| after.parse::<u64>().is_ok()));
        let items = partition(&app).await;
        assert!(!items.keys().any(|key| key.starts_with("member") || key.starts_with("group")));
        assert_whole(&items);
    }
}

#[tokio::test]
async fn large_groups_of_one_name_at_once() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let people = crowd(&app, 40).await;
    let body = || json!({"displayName": "Everybody", "members": entries(&people)});
    let posts = (0..4).map(|_| app.call("POST", "/Groups", body()));
    assert_eq!(statuses(&join_all(posts).await), [(201, 1), (409, 3)].into());
    assert_eq!(groups_of(&app, &people[7]).await.len(), 1, "the others never came");
    app.clock().advance(WORK_ABANDONED + Duration::from_secs(1));
    finish_jobs(&app).await;
    let items = partition(&app).await;
    assert_eq!(items.keys().filter(|key| key.starts_with("member#")).count(), 40);
    assert_whole(&items);
}

#[tokio::test]
async fn a_fault_in_the_middle_leaves_a_prefix_and_repeating_converges() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let people = crowd(&app, 100).await;
    let id = group(&app, "Everybody", &[]).await;
    let target = format!("/Groups/{id}");
    proxy.script("TransactWriteItems", [Step::Pass, Step::Pass]);
    proxy.always("TransactWriteItems", Step::Refuse("ValidationException"));
    patch(&app, &target, on_members("add", &people)).await.expect(503);
    proxy.heal();
    let there = members_of(&app, &id).await.len();
    assert!(0 < there && there < 100, "{there}");
    assert_whole(&partition(&app).await);
    patch(&app, &target, on_members("add", &people)).await.expect(204);
    assert_eq!(members_of(&app, &id).await.len(), 100);
    assert_whole(&partition(&app).await);
}
