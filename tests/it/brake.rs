//! The brake on mass changes: what is too much is stored and answered as always and held back from the feed, nothing of it is
//! lost, and the feed has no gap afterwards, whatever was decided and whatever failed meanwhile.

mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use scim_endpoint::admin::AdminError;
use scim_endpoint::admin::brake::{self, Report};
use scim_endpoint::config::Config;
use scim_endpoint::feed::Gap;
use scim_endpoint::feed::reader::{Reader, Scope, Told};
use scim_endpoint::insight::health::{self, Sort};
use scim_endpoint::limits::{FEED_BEHIND, JOURNAL_KEPT_DAYS};
use scim_endpoint::ops::jobs;
use scim_endpoint::scim::resource::ResourceId;
use scim_endpoint::store::brake::Decision;
use scim_endpoint::store::check::Mode;
use scim_endpoint::store::feed::time_of;
use scim_endpoint::store::settings::Brake;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::proxy::{Conflicts, Proxy};
use crate::races::{crowd, delete, group, on_members, patch, replacing, user};
use crate::whole::{assert_whole, partition, partition_of, string};

const BY: &str = "test";

fn brake(count: u64, budget: u64) -> Brake {
    Brake { count: Some(count), percent: None, window_minutes: 60, budget }
}

async fn set(app: &App, brake: Brake) {
    let by = (&app.tenant(), BY);
    brake::set(app.store(), &app.moment(), by, Some(brake)).await.expect("it is set");
}

/// With a brake, at the beginning of a window.
async fn braked(brake: Brake) -> App {
    let app = App::start().await;
    begin_window(&app);
    set(&app, brake).await;
    app
}

/// Puts the clock to shortly after the beginning of a window.
pub(crate) fn begin_window(app: &App) {
    let now = app.moment().now().unix_seconds();
    let left = u64::try_from(3_600 - now.rem_euclid(3_600)).unwrap();
    app.clock().advance(Duration::from_secs(left + 1));
}

async fn disable(app: &App, id: &str) {
    patch(app, &format!("/Users/{id}"), replacing("active", "False")).await.expect(200);
}

/// A decision about everything that is held by now.
fn now(app: &App, decision: Decision) -> (Decision, Uuid) {
    (decision, app.moment().mint_uuid())
}

async fn held(app: &App) -> u64 {
    app.store().brake_state(&app.moment(), &app.tenant()).await.unwrap().held
}

async fn settle(app: &App, decision: Decision, whom: Option<&str>) -> Report {
    let whom = whom.map(|id| ResourceId::parse(id).unwrap());
    let (moments, by) = (|| app.moment(), (&app.tenant(), BY));
    let settled = brake::settle(app.store(), &moments, by, (decision, whom), &mut |_| {}).await;
    settled.expect("it is settled")
}

/// What the feed tells from its beginning, and what is missing in it.
async fn feed(app: &App) -> (Vec<Map<String, Value>>, Vec<Gap>) {
    app.clock().advance(FEED_BEHIND + Duration::from_secs(1));
    let moments = || app.moment();
    let scope = Scope::Tenant(app.tenant());
    let mut reader = Reader::open(app.store(), &moments, scope, None).await.unwrap();
    let (mut items, mut gaps) = (Vec::new(), Vec::new());
    loop {
        let batch = reader.next().await.unwrap();
        for told in batch.told {
            match told {
                Told::Change(change) => items.push(change.change.attributes),
                Told::Gap(gap) => gaps.push(gap),
            }
        }
        if !batch.more {
            gaps.extend(reader.finish().await.unwrap());
            return (items, gaps);
        }
    }
}

fn is(item: &Map<String, Value>, event: &str) -> bool {
    item["events"].as_array().unwrap().iter().any(|name| name == event)
}

fn ids_with(items: &[Map<String, Value>], event: &str) -> BTreeSet<String> {
    let with = items.iter().filter(|item| is(item, event));
    with.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Of each resource the versions that were told, in the order of the feed.
fn versions(items: &[Map<String, Value>]) -> BTreeMap<String, Vec<u64>> {
    let mut told: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for item in items.iter().filter(|item| item["kind"] != "Tenant") {
        let id = item["id"].as_str().unwrap().to_owned();
        told.entry(id).or_default().push(item["version"].as_u64().unwrap());
    }
    told
}

/// Nothing is missing, everything is in order, nothing is held, and the check finds nothing.
async fn expect_settled(app: &App) -> Vec<Map<String, Value>> {
    assert_eq!(held(app).await, 0);
    let (items, gaps) = feed(app).await;
    assert_eq!(gaps, []);
    for (id, versions) in versions(&items) {
        let told: Vec<u64> = versions.into_iter().filter(|version| *version > 0).collect();
        assert!(told.is_sorted() && !told.is_empty(), "{id}: {told:?}");
    }
    let items_left = partition(app).await;
    assert_whole(&items_left);
    for (key, item) in &items_left {
        assert!(!key.starts_with("held#"), "{key}");
        let is_resource = key.starts_with("user#") || key.starts_with("group#");
        assert!(!is_resource || !item.contains_key("held"), "{key} counts what is not held");
    }
    expect_sound(app).await;
    items
}

async fn expect_sound(app: &App) {
    let moments = || app.moment();
    let report = app.store().check(&moments, &app.tenant(), Mode::Report, &mut |_| {}).await;
    let report = report.unwrap().unwrap();
    assert!(report.is_whole(), "{:#?}", report.findings);
}

#[tokio::test]
async fn beyond_the_limit_changes_are_stored_answered_and_not_told() {
    let app = braked(brake(8, 5)).await;
    let people = crowd_of(&app, 20).await;
    for id in &people {
        disable(&app, id).await;
    }
    // Whoever asks sees the directory as it is.
    for id in &people {
        let shown = app.call("GET", &format!("/Users/{id}"), Value::Null).await.expect(200);
        assert_eq!(shown.json()["active"], json!(false));
    }
    let (items, gaps) = feed(&app).await;
    assert_eq!(gaps, []);
    let told = ids_with(&items, "user.deactivated");
    // Eight, and the part of the window's budget that this instant has.
    assert_eq!(told, people[..9].iter().cloned().collect());
    assert_eq!(held(&app).await, 11);
    expect_sound(&app).await;
    let health = health::health(app.store(), &app.moment(), &app.tenant()).await.unwrap().unwrap();
    let finding = health.findings.iter().find(|finding| finding.sort == Sort::Held).unwrap();
    assert!(finding.sentence.starts_with("11 changes are held back"), "{}", finding.sentence);

    let report = settle(&app, Decision::Release, None).await;
    assert_eq!(report, Report { settled: 11, left: 0 });
    let items = expect_settled(&app).await;
    assert_eq!(ids_with(&items, "user.deactivated"), people.iter().cloned().collect());
    let again = settle(&app, Decision::Release, None).await;
    assert_eq!(again, Report { settled: 0, left: 0 });
}

async fn crowd_of(app: &App, count: usize) -> Vec<String> {
    let mut people = Vec::new();
    for number in 0..count {
        people.push(user(app, &format!("p{number}@ex.test")).await);
    }
    people
}

#[tokio::test]
async fn a_share_of_the_people_is_a_limit_too() {
    let share = Brake { count: Some(1_000), percent: Some(25), window_minutes: 60, budget: 1 };
    let app = braked(share).await;
    let people = crowd_of(&app, 20).await;
    for id in &people {
        delete(&app, &format!("/Users/{id}")).await.expect(204);
    }
    let (items, _) = feed(&app).await;
    // Five of twenty, and the budget of one.
    assert_eq!(ids_with(&items, "prov:delete").len(), 6);
    assert_eq!(settle(&app, Decision::Release, None).await.settled, 14);
    assert_eq!(ids_with(&expect_settled(&app).await, "prov:delete").len(), 20);
}

#[tokio::test]
async fn an_urgent_leaver_after_a_mass_change_is_told_at_once() {
    let app = braked(brake(5, 5)).await;
    let people = crowd_of(&app, 30).await;
    for id in &people[..20] {
        disable(&app, id).await;
    }
    assert!(held(&app).await > 10);
    let (told, _) = feed(&app).await;
    let told = ids_with(&told, "user.deactivated").len();
    assert!(told <= 10, "{told}");
    // Later in the same window, while nobody has decided yet.
    app.clock().advance(Duration::from_mins(13));
    disable(&app, &people[20]).await;
    assert!(ids_with(&feed(&app).await.0, "user.deactivated").contains(&people[20]));
    // And five in the next.
    begin_window(&app);
    for id in &people[21..26] {
        disable(&app, id).await;
    }
    let told = ids_with(&feed(&app).await.0, "user.deactivated");
    assert!(people[21..26].iter().all(|id| told.contains(id)));
    // The brake stays pulled: what was allowed before is not, until somebody has decided.
    let before = held(&app).await;
    for id in &people[26..] {
        disable(&app, id).await;
    }
    assert!(held(&app).await >= before + 3);
}

#[tokio::test]
async fn what_comes_after_a_held_change_of_the_same_person_waits_behind_it() {
    let app = braked(brake(1, 1)).await;
    let people = crowd_of(&app, 4).await;
    for id in &people {
        disable(&app, id).await;
    }
    let ida = &people[3];
    let target = format!("/Users/{ida}");
    patch(&app, &target, replacing("title", "Captain")).await.expect(200);
    patch(&app, &target, replacing("userName", "ida@new.test")).await.expect(200);
    patch(&app, &target, replacing("active", "True")).await.expect(200);
    let (items, gaps) = feed(&app).await;
    assert_eq!(gaps, []);
    assert_eq!(versions(&items)[ida], [1]);
    expect_sound(&app).await;
    // One person alone.
    assert_eq!(settle(&app, Decision::Release, Some(ida)).await, Report { settled: 4, left: 1 });
    let (items, gaps) = feed(&app).await;
    assert_eq!((versions(&items)[ida].as_slice(), gaps), ([1, 2, 3, 4, 5].as_slice(), vec![]));
    // And from here on nothing of that person is held any more.
    patch(&app, &target, replacing("title", "Admiral")).await.expect(200);
    let (items, gaps) = feed(&app).await;
    assert_eq!((versions(&items)[ida].last(), gaps), (Some(&6), vec![]));
    assert_eq!(settle(&app, Decision::Release, None).await.left, 0);
    expect_settled(&app).await;
}

#[tokio::test]
async fn groups_keep_versions_that_can_be_counted() {
    let app = braked(brake(3, 1)).await;
    let people = crowd_of(&app, 12).await;
    let staff = group(&app, "Staff", &people).await;
    let crew = group(&app, "Crew", &people[..6]).await;
    let url = format!("/Groups/{staff}");
    // More at once than passes.
    patch(&app, &url, on_members("remove", &people[..4])).await.expect(204);
    assert_eq!(held(&app).await, 1);
    // Told, although it moves a group of which something is held.
    delete(&app, &format!("/Users/{}", people[5])).await.expect(204);
    patch(&app, &url, replacing("displayName", "Team")).await.expect(204);
    // Held: they move both groups.
    for id in &people[..5] {
        delete(&app, &format!("/Users/{id}")).await.expect(204);
    }
    patch(&app, &format!("/Groups/{crew}"), replacing("displayName", "C")).await.expect(204);
    let (items, gaps) = feed(&app).await;
    assert_eq!(gaps, []);
    assert!(ids_with(&items, "prov:delete").contains(&people[5]));
    expect_sound(&app).await;
    let before = held(&app).await;
    assert!(before >= 6, "{before}");
    // A person first, the rest later: long enough for everything that is awaited to be missed.
    settle(&app, Decision::Release, Some(&people[4])).await;
    assert_eq!(feed(&app).await.1, []);
    app.clock().advance(Duration::from_mins(5));
    settle(&app, Decision::Release, None).await;
    patch(&app, &url, replacing("displayName", "Last")).await.expect(204);
    patch(&app, &format!("/Groups/{crew}"), replacing("displayName", "D")).await.expect(204);
    let items = expect_settled(&app).await;
    assert_eq!(ids_with(&items, "prov:delete"), people[..6].iter().cloned().collect());
}

#[tokio::test]
async fn what_is_rejected_is_not_told_and_leaves_no_gap() {
    let app = braked(brake(2, 1)).await;
    let people = crowd_of(&app, 8).await;
    let staff = group(&app, "Staff", &people).await;
    patch(&app, &format!("/Groups/{staff}"), on_members("remove", &people[..5])).await.expect(204);
    for id in &people {
        disable(&app, id).await;
    }
    delete(&app, &format!("/Users/{}", people[7])).await.expect(204);
    let (before, _) = feed(&app).await;
    let off = ids_with(&before, "user.deactivated");
    let waiting = held(&app).await;
    let report = settle(&app, Decision::Reject, None).await;
    assert_eq!((u64::try_from(report.settled).unwrap(), report.left), (waiting, 0));
    let items = expect_settled(&app).await;
    assert_eq!(ids_with(&items, "user.deactivated"), off);
    assert!(ids_with(&items, "group.member.removed").is_empty());
    for item in items.iter().filter(|item| is(item, "misc:rejected")) {
        assert!(item.get("active").is_none() && item.get("removed").is_none(), "{item:?}");
        assert!(item["rejected"]["events"].is_array(), "{item:?}");
        assert_eq!(item["settledBy"], BY);
    }
    // The next change is told as usual.
    let last = &people[6];
    patch(&app, &format!("/Users/{last}"), replacing("active", "True")).await.expect(200);
    patch(&app, &format!("/Groups/{staff}"), replacing("displayName", "S")).await.expect(204);
    let items = expect_settled(&app).await;
    assert!(ids_with(&items, "user.reactivated").contains(last));
}

#[tokio::test]
async fn memberships_of_a_held_end_are_swept_behind_it() {
    let app = braked(brake(2, 1)).await;
    let people = crowd(&app, 80).await;
    let big = group(&app, "Big", &people).await;
    let mut groups = Vec::new();
    for number in 0..20 {
        groups.push(group(&app, &format!("g{number}"), &people[..1]).await);
    }
    // A group of so many is more than passes, whoever is in it.
    delete(&app, &format!("/Groups/{big}")).await.expect(204);
    delete(&app, &format!("/Users/{}", people[1])).await.expect(204);
    delete(&app, &format!("/Users/{}", people[2])).await.expect(204);
    // Somebody in so many groups that they have to be swept.
    delete(&app, &format!("/Users/{}", people[0])).await.expect(204);
    app.clock().advance(Duration::from_mins(3));
    for _ in 0..3 {
        assert_eq!(jobs::run(app.store(), &app.moment()).await.unwrap().failed, 0);
    }
    let (items, gaps) = feed(&app).await;
    assert_eq!(gaps, []);
    assert!(!ids_with(&items, "prov:delete").contains(&big));
    assert_eq!(ids_with(&items, "misc:memberships-swept"), BTreeSet::new(), "not before the end");
    expect_sound(&app).await;
    settle(&app, Decision::Release, None).await;
    for id in &groups {
        patch(&app, &format!("/Groups/{id}"), replacing("externalId", "last")).await.expect(204);
    }
    let items = expect_settled(&app).await;
    assert!(ids_with(&items, "prov:delete").contains(&big));
    let swept = ids_with(&items, "misc:memberships-swept");
    assert_eq!(swept, [big, people[0].clone()].into());
}

#[tokio::test]
async fn what_is_decided_in_the_portal_is_done_by_the_job() {
    let app = braked(brake(1, 1)).await;
    let people = crowd_of(&app, 6).await;
    for id in &people {
        disable(&app, id).await;
    }
    let by = (&app.tenant(), "portal:l1");
    let state =
        brake::decide(app.store(), &app.moment(), by, now(&app, Decision::Release)).await.unwrap();
    assert_eq!(state.decision, Some(Decision::Release));
    let run = jobs::run(app.store(), &app.moment()).await.unwrap();
    assert_eq!((run.failed, run.finished), (0, usize::try_from(state.held).unwrap()));
    let items = expect_settled(&app).await;
    let released: Vec<_> = items.iter().filter(|item| item.contains_key("heldAt")).collect();
    assert!(!released.is_empty());
    assert!(released.iter().all(|item| item["settledBy"] == "portal:l1"));
    for item in released {
        let at = Uuid::try_parse(item["at"].as_str().unwrap()).unwrap();
        let written = time_of(at).unwrap().unix_seconds();
        let kept = item["expires"].as_i64().unwrap() - written;
        assert!((kept - JOURNAL_KEPT_DAYS * 86_400).abs() < 60, "as any other: {kept}");
    }
    let state = app.store().brake_state(&app.moment(), &app.tenant()).await.unwrap();
    assert_eq!(state.decision, None);
}

/// Whoever remembers a token acts by the brake that was there for up to 30 s more.
#[tokio::test]
async fn what_is_held_just_after_the_brake_was_taken_off_is_seen_and_can_be_decided() {
    let remembering = |config| Config { token_cache: Duration::from_secs(30), ..config };
    let app = App::start_with(remembering).await;
    begin_window(&app);
    set(&app, brake(1, 1)).await;
    let people = crowd_of(&app, 6).await;
    brake::set(app.store(), &app.moment(), (&app.tenant(), BY), None).await.unwrap();
    for id in &people {
        disable(&app, id).await;
    }
    assert!(held(&app).await > 0, "by the brake that is remembered");
    let health = health::health(app.store(), &app.moment(), &app.tenant()).await.unwrap().unwrap();
    assert!(health.findings.iter().any(|finding| finding.sort == Sort::Held));
    let by = (&app.tenant(), "portal:l1");
    brake::decide(app.store(), &app.moment(), by, now(&app, Decision::Release)).await.unwrap();
    assert_eq!(jobs::run(app.store(), &app.moment()).await.unwrap().failed, 0);
    assert_eq!(held(&app).await, 0);
    expect_settled(&app).await;
}

#[tokio::test]
async fn a_brake_is_one_tenants_alone_and_cannot_be_taken_off_while_something_is_held() {
    let app = braked(brake(1, 1)).await;
    let other = app.other_token();
    let mut theirs = Vec::new();
    for number in 0..6 {
        let body = json!({"userName": format!("o{number}@ex.test")});
        theirs.push(app.call_as(&other, "POST", "/Users", body).await.expect(201).id());
    }
    let people = crowd_of(&app, 4).await;
    for id in &people {
        delete(&app, &format!("/Users/{id}")).await.expect(204);
    }
    for id in &theirs {
        app.call_as(&other, "DELETE", &format!("/Users/{id}"), Value::Null).await.expect(204);
    }
    let of_other = partition_of(&app, "globex").await;
    let is_of_the_brake = |key: &String| key.starts_with("held#") || key == "brake";
    assert!(!of_other.keys().any(is_of_the_brake));
    let by = (&app.tenant(), BY);
    let off = brake::set(app.store(), &app.moment(), by, None).await;
    assert!(matches!(off, Err(AdminError::Held(_, 2))), "{off:?}");
    settle(&app, Decision::Release, None).await;
    brake::set(app.store(), &app.moment(), by, None).await.unwrap();
    let settings = &partition(&app).await["settings"];
    assert!(matches!(settings["brake"], AttributeValue::Null(true)));
    let more = crowd_of_more(&app).await;
    for id in &more {
        delete(&app, &format!("/Users/{id}")).await.expect(204);
    }
    assert_eq!(ids_with(&expect_settled(&app).await, "prov:delete").len(), 9);
}

async fn crowd_of_more(app: &App) -> Vec<String> {
    let mut people = Vec::new();
    for number in 0..5 {
        people.push(user(app, &format!("m{number}@ex.test")).await);
    }
    people
}

#[tokio::test]
async fn many_writers_at_the_limit_never_pass_it_and_lose_nothing() {
    let (app, proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    begin_window(&app);
    set(&app, brake(6, 2)).await;
    let people = crowd_of(&app, 24).await;
    let staff = group(&app, "Staff", &people).await;
    let shared = &app;
    join_all(people.iter().map(|id| async move {
        let answer = delete(shared, &format!("/Users/{id}")).await;
        assert_eq!(answer.status, 204);
    }))
    .await;
    assert!(proxy.conflicts() > 0, "they met");
    let (items, gaps) = feed(&app).await;
    assert_eq!(gaps, []);
    let told = ids_with(&items, "prov:delete").len();
    assert!((6..=8).contains(&told), "{told}");
    assert_eq!(held(&app).await, u64::try_from(24 - told).unwrap());
    // Two release at once, and somebody goes on writing.
    let url = format!("/Groups/{staff}");
    let renames = async {
        for number in 0..5 {
            patch(&app, &url, replacing("displayName", &format!("s{number}"))).await.expect(204);
        }
    };
    let release = || settle(&app, Decision::Release, None);
    tokio::join!(release(), release(), renames);
    settle(&app, Decision::Release, None).await;
    let items = expect_settled(&app).await;
    assert_eq!(ids_with(&items, "prov:delete").len(), 24);
    let last = items.iter().rfind(|item| item["id"] == staff.as_str()).unwrap();
    assert_eq!(string(&partition(&app).await[&format!("group#{staff}")], "displayName"), "s4");
    assert_eq!(last["displayName"], "s4");
}
