//! The other identity providers' cycles: each ends as the source is, as far as it can say it, and a server that is wrong
//! in what only they do is found out.

use scim_endpoint::simulate::{
    Action, Change, CycleKind, Matching, Plan, Provider, Report, Silent, Size, Standing, Switch,
    directory,
};

use super::{Stage, play_well};

const OTHERS: [Provider; 3] = [Provider::Okta, Provider::PingOne, Provider::JumpCloud];
const SIZE: Size = Size { users: 20, groups: 4, everyone_has_mail: true };

fn requests(report: &Report, word: &str) -> usize {
    let of = report.requests.iter().filter(|statistics| statistics.kind.word() == word);
    of.map(|statistics| statistics.count).sum()
}

async fn plays_calmly(provider: Provider, seed: u64) -> Report {
    let rates = vec![(Change::Leavers, 15), (Change::HardDeletes, 60), (Change::Hires, 20)];
    let report = play_well(Plan { provider, seed, rates, ..Plan::default() }, SIZE).await;
    for cycle in &report.cycles {
        assert_eq!((cycle.failed, cycle.findings.len()), (0, 0), "{provider:?}: {cycle:?}");
        assert_eq!(cycle.formula, [""; 0], "only Entra's is known");
    }
    assert_eq!(report.remarks.keys().collect::<Vec<_>>(), [""; 0]);
    assert!(report.done(Action::Disable) > 0 && report.done(Action::Update) > 0, "{report:?}");
    let again: usize = ["check manager", "set manager", "check member"]
        .into_iter()
        .map(|word| requests(&report, word))
        .sum();
    assert_eq!(again, 0, "{provider:?} asks for no references");
    report
}

#[tokio::test]
async fn okta_ends_in_the_sources_state_and_deletes_nobody() {
    let report = plays_calmly(Provider::Okta, 7).await;
    assert_eq!(requests(&report, "delete user"), 0);
    assert!(requests(&report, "delete group") > 0);
    let deleted: usize = report
        .cycles
        .iter()
        .flat_map(|cycle| cycle.changes.iter())
        .filter_map(|(change, count)| (*change == Change::HardDeletes).then_some(*count))
        .sum();
    assert!(deleted > 0, "somebody is deleted at the source");
}

#[tokio::test]
async fn ping_one_ends_in_the_sources_state() {
    let report = plays_calmly(Provider::PingOne, 8).await;
    assert!(requests(&report, "delete user") > 0);
    assert_eq!(requests(&report, "read user"), 0, "it puts what it has");
}

#[tokio::test]
async fn jump_cloud_ends_in_the_sources_state() {
    let report = plays_calmly(Provider::JumpCloud, 9).await;
    assert_eq!(
        requests(&report, "activate"),
        8,
        "the activation test, which leaves nothing behind"
    );
}

#[tokio::test]
async fn people_are_matched_by_any_attribute() {
    for provider in OTHERS {
        for matching in [Matching::ExternalId, Matching::Email] {
            let plan = Plan { provider, matching, cycles: 2, ..Plan::default() };
            let report = play_well(plan, Size { users: 8, groups: 2, ..SIZE }).await;
            assert!(
                report.cycles.iter().all(|cycle| cycle.failed == 0),
                "{provider:?} {matching:?}"
            );
        }
    }
}

#[tokio::test]
async fn faults_lose_and_double_nothing() {
    for (provider, seed) in OTHERS.into_iter().zip([17, 18, 19]) {
        let plan = Plan { provider, seed, chaos: Some(Switch::default()), ..Plan::default() };
        let report = play_well(plan, Size { users: 12, groups: 4, ..SIZE }).await;
        let settling = report.cycles.iter().filter(|cycle| cycle.kind == CycleKind::Settling);
        assert!(settling.count() <= 2, "{provider:?}");
        assert!(report.faults.values().sum::<usize>() > 10, "{provider:?}: {:?}", report.faults);
    }
}

#[tokio::test]
async fn everything_sent_once_more_changes_nothing() {
    for provider in OTHERS {
        let plan = Plan { provider, ..Plan::default() };
        let mut stage = Stage::set(plan, directory(SIZE, 21)).await;
        stage.cycle().await;
        let written = stage.journal().await;
        let again = stage.rehearsal.restart(super::Restart::ForgetLinks, &mut Silent).await;
        assert_eq!((again.failed, again.findings.len()), (0, 0), "{provider:?}: {again:?}");
        assert!(again.writes() >= 20, "{provider:?} sends people again: {again:?}");
        assert_eq!(stage.journal().await, written, "{provider:?}");
        stage.check().await;
    }
}

#[tokio::test]
async fn at_okta_whoever_is_deleted_stays_until_a_successor_comes() {
    let plan = Plan { provider: Provider::Okta, ..Plan::default() };
    let mut stage = Stage::set(plan, directory(SIZE, 5)).await;
    stage.cycle().await;
    let source = stage.rehearsal.source_mut();
    let key = source.people.keys().next().unwrap().clone();
    source.purge(&key);
    let gone = stage.cycle().await;
    assert_eq!((gone.actions.get(&Action::Delete), gone.actions[&Action::Disable]), (None, 1));
    let source = stage.rehearsal.source_mut();
    let mut successor = source.people[&key].clone();
    successor.standing = Standing::Active;
    successor.set("externalId", "00u1successor");
    source.people.insert("00u1successor".to_owned(), successor);
    let hired = stage.cycle().await;
    assert_eq!((hired.actions.get(&Action::Create), hired.actions[&Action::Update]), (None, 1));
    stage.check().await;
}

#[tokio::test]
async fn at_okta_whoever_comes_back_has_the_same_id() {
    let plan = Plan { provider: Provider::Okta, ..Plan::default() };
    let mut stage = Stage::set(plan, directory(SIZE, 6)).await;
    stage.cycle().await;
    let turn = |stage: &mut Stage, standing| {
        for person in stage.rehearsal.source_mut().people.values_mut() {
            person.standing = standing;
        }
    };
    turn(&mut stage, Standing::Unassigned);
    assert_eq!(stage.cycle().await.actions[&Action::Disable], 20);
    turn(&mut stage, Standing::Active);
    let back = stage.cycle().await;
    assert_eq!(back.actions[&Action::Update], 20);
    let posts = back.requests.iter().find(|(kind, _)| kind.word() == "create user");
    assert!(posts.is_some_and(|(_, count)| (1..20).contains(count)), "some come as new ones");
    stage.check().await;
}
