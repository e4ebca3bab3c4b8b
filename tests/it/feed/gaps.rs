//! What is missing is told, whatever it is; and nothing is told to be missing that is not, under parallel writes, faults,
//! sweeps and clocks that differ.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use scim_endpoint::feed::reader::Scope;
use scim_endpoint::limits::{FEED_BEHIND, WORK_ABANDONED};
use scim_endpoint::ops::jobs;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{age, journal_of, read, rewrite};
use crate::app::App;
use crate::proxy::{Conflicts, Proxy, Step, engine_is_embedded};
use crate::races::{crowd, delete, group, on_members, patch, replacing, user};
use crate::whole::{Item, number, string};

fn make_old(app: &App) {
    app.clock().advance(FEED_BEHIND + Duration::from_secs(1));
}

/// The items that an item of the journal itself, or the count of a group's versions, says to be there: those without
/// which something is told to be missing.
fn missed(items: &BTreeMap<Uuid, Item>) -> BTreeSet<Uuid> {
    let named = items.values().filter_map(|item| Uuid::try_parse(&string(item, "after")).ok());
    let mut missed: BTreeSet<Uuid> = named.collect();
    for (at, item) in items {
        let mut groups = vec![string(item, "id")];
        if let Some(AttributeValue::L(left)) = item.get("groups") {
            groups.extend(left.iter().filter_map(|id| id.as_s().ok().cloned()));
        }
        let later = |id: &String| {
            let mut later = items.range(at..).skip(1);
            later.any(|(_, item)| string(item, "id") == *id && string(item, "kind") == "Group")
        };
        // Before its first item nothing is known of a group.
        let known = |id: &String| items.range(..at).any(|(_, item)| string(item, "id") == *id);
        if groups.iter().any(|id| later(id) && known(id)) {
            missed.insert(*at);
        }
    }
    missed
}

#[tokio::test]
async fn whatever_item_is_taken_away_is_told_to_be_missing() {
    let app = App::start().await;
    let people = [user(&app, "a@ex.test").await, user(&app, "b@ex.test").await];
    let staff = group(&app, "Staff", &people).await;
    let outer = group(&app, "Outer", std::slice::from_ref(&staff)).await;
    for (target, body) in [
        (format!("/Users/{}", people[0]), replacing("userName", "aa@ex.test")),
        (format!("/Groups/{staff}"), replacing("displayName", "Crew")),
        (format!("/Users/{}", people[0]), replacing("active", "False")),
    ] {
        assert!(patch(&app, &target, body).await.status < 300);
    }
    delete(&app, &format!("/Users/{}", people[0])).await.expect(204);
    app.call("POST", "/Users", json!({"userName": "b@ex.test"})).await.expect(409);
    let staff_url = format!("/Groups/{staff}");
    patch(&app, &staff_url, on_members("remove", &people[1..])).await.expect(204);
    delete(&app, &staff_url).await.expect(204);
    patch(&app, &format!("/Groups/{outer}"), replacing("displayName", "O")).await.expect(204);
    delete(&app, &format!("/Users/{}", people[1])).await.expect(204);
    make_old(&app);

    let scope = Scope::Tenant(app.tenant());
    let items = journal_of(&app, &app.tenant()).await;
    assert_eq!(items.len(), 13);
    let (whole, gaps) = read(&app, scope.clone(), None).await.unwrap();
    assert_eq!((whole.len(), gaps), (13, Vec::new()));
    let missed = missed(&items);
    // The last of each chain, and the refusal, are named by nothing that comes later.
    assert_eq!(missed.len(), 9);
    for (at, item) in &items {
        rewrite(&app, Vec::new(), vec![item.clone()]).await;
        let (left, gaps) = read(&app, scope.clone(), None).await.unwrap();
        assert_eq!(left.len(), 12);
        assert_eq!(!gaps.is_empty(), missed.contains(at), "{at}: {gaps:?}");
        for gap in &gaps {
            assert!(gap.missing.is_none_or(|missing| missing == *at), "{gap:?}");
            let before = &items[&gap.before];
            assert_eq!(string(before, "id"), gap.id);
            assert_eq!(gap.tenant, app.tenant());
        }
        let (_, of_all) = read(&app, Scope::All, None).await.unwrap();
        assert_eq!(of_all, gaps);
        // Whoever has met it misses nothing.
        if let Some(told) = whole.iter().rev().find(|told| told.change.at > *at) {
            let met = read(&app, scope.clone(), Some(told.cursor.clone())).await.unwrap();
            assert_eq!(met.1, []);
        }
        rewrite(&app, vec![item.clone()], Vec::new()).await;
    }
}

#[tokio::test]
async fn whoever_has_not_met_it_is_told_and_whoever_has_is_not() {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    for title in ["a", "b", "c"] {
        patch(&app, &format!("/Users/{ida}"), replacing("title", title)).await.expect(200);
    }
    make_old(&app);
    let scope = Scope::Tenant(app.tenant());
    let (whole, _) = read(&app, scope.clone(), None).await.unwrap();
    let items = journal_of(&app, &app.tenant()).await;
    let lost = items.values().nth(2).unwrap().clone();
    rewrite(&app, Vec::new(), vec![lost.clone()]).await;
    for (index, told) in whole.iter().enumerate().filter(|(index, _)| *index != 2) {
        let (_, gaps) = read(&app, scope.clone(), Some(told.cursor.clone())).await.unwrap();
        let expected = usize::from(index < 2);
        assert_eq!(gaps.len(), expected, "behind {index}: {gaps:?}");
    }
}

/// Many at once, with everything that a group can be done to.
async fn traffic(app: &App, seed: u64, rounds: usize) {
    let people = crowd(app, 120).await;
    let groups = [
        group(app, "A", &people[..3]).await,
        group(app, "B", &people[..70]).await,
        group(app, "C", &[]).await,
    ];
    let outer = group(app, "Outer", &groups[..2]).await;
    let works = (0..rounds).map(|round| {
        let (people, groups, outer) = (&people, &groups, &outer);
        let mut chance = StdRng::seed_from_u64(seed * 1_000 + u64::try_from(round).unwrap());
        async move {
            let person = user(app, &format!("p{round}.{seed}@ex.test")).await;
            let url = format!("/Users/{person}");
            let target = format!("/Groups/{}", groups[chance.random_range(0..3)]);
            let one = std::slice::from_ref(&person);
            patch(app, &target, on_members("add", one)).await;
            match chance.random_range(0..8) {
                0 => drop(patch(app, &target, on_members("remove", one)).await),
                1 => drop(patch(app, &target, on_members("add", &people[20..90])).await),
                2 => drop(patch(app, &target, on_members("remove", &people[10..60])).await),
                3 => drop(patch(app, &target, on_members("replace", &people[40..100])).await),
                4 => drop(patch(app, &format!("/Groups/{outer}"), on_members("add", one)).await),
                5 => {
                    drop(patch(app, &target, replacing("displayName", &format!("g{round}"))).await);
                }
                6 => {
                    // In so many groups that it has to be swept.
                    let own = (0..17).map(|n| format!("own {round} {n} {seed}"));
                    let own = own.collect::<Vec<_>>();
                    join_all(own.iter().map(|name| group(app, name, one))).await;
                }
                _ => drop(patch(app, &url, replacing("active", "False")).await),
            }
            if chance.random_bool(0.7) {
                delete(app, &url).await;
            }
        }
    });
    stream::iter(works).buffer_unordered(4).collect::<Vec<()>>().await;
    delete(app, &format!("/Groups/{}", groups[1])).await;
    app.clock().advance(WORK_ABANDONED + Duration::from_secs(1));
    for _ in 0..3 {
        assert_eq!(jobs::run(app.store(), &app.moment()).await.unwrap().failed, 0);
    }
    // Whatever has not been told of since is told of now.
    for id in groups.iter().chain([&outer]) {
        patch(app, &format!("/Groups/{id}"), replacing("externalId", "last")).await;
    }
}

/// No gap in the whole, none behind any of some cursors, and every version of every group told once.
async fn expect_no_gap(app: &App) {
    make_old(app);
    let scope = Scope::Tenant(app.tenant());
    let (whole, gaps) = read(app, scope.clone(), None).await.unwrap();
    assert_eq!(gaps, []);
    assert!(whole.iter().filter(|told| told.change.groups().count() > 0).count() > 5);
    for told in whole.iter().step_by(7) {
        let (_, gaps) = read(app, scope.clone(), Some(told.cursor.clone())).await.unwrap();
        assert_eq!(gaps, [], "behind {}", told.cursor);
    }
    let (_, of_all) = read(app, Scope::All, None).await.unwrap();
    assert_eq!(of_all, []);
}

#[tokio::test]
async fn nothing_is_missing_under_parallel_writes() {
    let rounds = if engine_is_embedded() { 30 } else { 8 };
    let (app, proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    traffic(&app, 1, rounds).await;
    assert!(proxy.conflicts() > 0, "they met");
    expect_no_gap(&app).await;
}

#[tokio::test]
async fn nothing_is_missing_when_answers_are_lost() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let mut chance = StdRng::seed_from_u64(5);
    let steps = (0..300).map(|_| match chance.random_range(0..18) {
        0 => Step::LoseAnswer,
        1 => Step::FailAfter,
        2 => Step::FailBefore,
        3 => Step::Refuse("ThrottlingException"),
        4 => Step::DropBefore,
        _ => Step::Pass,
    });
    proxy.script("TransactWriteItems", steps.collect::<Vec<_>>());
    let rounds = if engine_is_embedded() { 15 } else { 5 };
    traffic(&app, 2, rounds).await;
    proxy.heal();
    expect_no_gap(&app).await;
}

#[tokio::test]
async fn a_lost_version_of_a_group_shows_behind_a_members_end() {
    let app = App::start().await;
    let people = crowd(&app, 4).await;
    let staff = group(&app, "Staff", &people).await;
    let url = format!("/Groups/{staff}");
    patch(&app, &url, replacing("displayName", "Crew")).await.expect(204);
    for person in &people[..2] {
        delete(&app, &format!("/Users/{person}")).await.expect(204);
    }
    patch(&app, &url, replacing("displayName", "Team")).await.expect(204);
    make_old(&app);
    let items = journal_of(&app, &app.tenant()).await;
    let of_staff = items.values().filter(|item| string(item, "id") == staff);
    let of_staff: Vec<&Item> = of_staff.collect();
    assert_eq!(of_staff.iter().map(|item| number(item, "version")).collect::<Vec<_>>(), [1, 2, 5]);
    let ends: Vec<&Item> = items.values().filter(|item| item.contains_key("groups")).collect();
    for (lost, named) in [(of_staff[1], false), (ends[0], false), (ends[1], true)] {
        rewrite(&app, Vec::new(), vec![lost.clone()]).await;
        let (_, gaps) = read(&app, Scope::Tenant(app.tenant()), None).await.unwrap();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert_eq!((gaps[0].id.as_str(), gaps[0].missing.is_some()), (staff.as_str(), named));
        rewrite(&app, vec![lost.clone()], Vec::new()).await;
    }
}

#[tokio::test]
async fn a_chain_holds_over_renames_chunks_and_what_a_version_before_has_written() {
    let app = App::start().await;
    let people = crowd(&app, 100).await;
    let staff = group(&app, "Staff", &people[..40]).await;
    patch(&app, &format!("/Groups/{staff}"), on_members("replace", &people[30..]))
        .await
        .expect(204);
    let ida = user(&app, "ida@ex.test").await;
    for name in ["IDA@ex.test", "ida.k@ex.test", "ida@ex.test"] {
        patch(&app, &format!("/Users/{ida}"), replacing("userName", name)).await.expect(200);
    }
    make_old(&app);
    let told = super::told(&app).await;
    for id in [&staff, &ida] {
        let own = told.iter().filter(|told| told.change.id() == Some(id));
        let own: Vec<_> = own.collect();
        assert!(own.len() > 3, "{} changes", own.len());
        assert_eq!(own[0].change.after(), None);
        for (before, after) in own.iter().zip(&own[1..]) {
            assert_eq!(after.change.after(), Some(before.change.at));
        }
    }
    // Items that were written before there was an `after` say nothing, and nothing is said.
    let mut items = journal_of(&app, &app.tenant()).await;
    for item in items.values_mut() {
        item.remove("after");
    }
    let lost = items.pop_last().unwrap().1;
    let lost_too = items.pop_first().unwrap().1;
    rewrite(&app, items.into_values().collect(), vec![lost, lost_too]).await;
    let (_, gaps) = read(&app, Scope::Tenant(app.tenant()), None).await.unwrap();
    assert_eq!(gaps, []);
}

#[tokio::test]
async fn a_journal_that_has_begun_to_expire_has_no_gap() {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    let staff = group(&app, "Staff", std::slice::from_ref(&ida)).await;
    age(&app, &app.tenant(), Duration::from_hours(24 * 500)).await;
    let (old, _) = read(&app, Scope::Tenant(app.tenant()), None).await.unwrap();
    assert_eq!(old.len(), 2);
    let gone = journal_of(&app, &app.tenant()).await.into_values().collect();
    // Its `after`s still name what is as old as the journal is long.
    for (target, path) in [("Users", "title"), ("Groups", "externalId")] {
        let id = if target == "Users" { &ida } else { &staff };
        let changed = patch(&app, &format!("/{target}/{id}"), replacing(path, "x")).await;
        assert!(changed.status < 300, "{changed:?}");
    }
    let mut items = journal_of(&app, &app.tenant()).await;
    for item in items.values_mut().rev().take(2) {
        let past = told_at(&old, item);
        item.insert("after".to_owned(), AttributeValue::S(past.to_string()));
    }
    rewrite(&app, items.into_values().collect(), Vec::new()).await;
    rewrite(&app, Vec::new(), gone).await;
    make_old(&app);
    let (left, gaps) = read(&app, Scope::Tenant(app.tenant()), None).await.unwrap();
    assert_eq!((left.len(), gaps), (2, Vec::new()));
    let told: Vec<Value> =
        left.iter().map(|told| told.change.attributes["after"].clone()).collect();
    assert_eq!(told, old.iter().map(|old| json!(old.change.at.to_string())).collect::<Vec<_>>());
}

/// Where the item of that resource stood.
fn told_at(old: &[scim_endpoint::feed::reader::Delivered], item: &Item) -> Uuid {
    let same = |told: &&scim_endpoint::feed::reader::Delivered| {
        told.change.id() == Some(string(item, "id").as_str())
    };
    old.iter().find(same).expect("it was told").change.at
}
