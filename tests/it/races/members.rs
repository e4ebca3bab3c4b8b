//! Memberships under parallel writes: none is lost, none is left over.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use futures_util::future::{join, join_all, join3};
use futures_util::stream;

use super::{
    crowd, delete, entries, get, group, groups_of, members_of, on_members, patch, statuses, user,
};
use crate::proxy::{Conflicts, Proxy, engine_is_embedded};
use crate::whole::{assert_whole, journal, number, partition, string};
use serde_json::json;

#[tokio::test]
async fn two_hundred_members_are_added_one_by_one_five_at_a_time() {
    let (app, proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let how_many = if engine_is_embedded() { 200 } else { 40 };
    let people = crowd(&app, how_many).await;
    let id = group(&app, "Staff", &[]).await;
    let target = format!("/Groups/{id}");
    let adds = people
        .iter()
        .map(|person| patch(&app, &target, on_members("Add", std::slice::from_ref(person))));
    let answers: Vec<_> = stream::iter(adds).buffer_unordered(5).collect().await;
    assert_eq!(statuses(&answers), [(204, how_many)].into());
    assert!(proxy.conflicts() > 0, "they met");
    assert_eq!(members_of(&app, &id).await, people.iter().cloned().collect());
    let last = i64::try_from(how_many).unwrap() + 1;
    let items = partition(&app).await;
    assert_eq!(number(&items[&format!("group#{id}")], "version"), last);
    assert_whole(&items);
    // The feed tells of each version once.
    let told = journal(&app).await;
    let told = told.values().filter(|entry| string(entry, "id") == id);
    let mut versions: Vec<i64> = told.map(|entry| number(entry, "version")).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=last).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_add_and_a_remove_at_once_are_both_applied() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let (one, two) = (user(&app, "one@ex.test").await, user(&app, "two@ex.test").await);
    let id = group(&app, "Staff", std::slice::from_ref(&two)).await;
    let target = format!("/Groups/{id}");
    let (mut inside, mut outside) = (two, one);
    for round in 0..10 {
        let add = patch(&app, &target, on_members("add", std::slice::from_ref(&outside)));
        let remove = patch(&app, &target, on_members("remove", std::slice::from_ref(&inside)));
        let (added, removed) = join(add, remove).await;
        assert_eq!(statuses(&[added, removed]), [(204, 2)].into(), "round {round}");
        assert_eq!(members_of(&app, &id).await, [outside.clone()].into(), "round {round}");
        std::mem::swap(&mut inside, &mut outside);
    }
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn one_member_is_added_and_removed_by_many_at_once() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let person = user(&app, "ida@ex.test").await;
    let id = group(&app, "Staff", &[]).await;
    let target = format!("/Groups/{id}");
    let ops = ["add", "remove", "add", "add", "remove", "remove", "add", "remove"];
    for round in 0..3 {
        let patches =
            ops.map(|op| patch(&app, &target, on_members(op, std::slice::from_ref(&person))));
        assert_eq!(statuses(&join_all(patches).await), [(204, 8)].into(), "round {round}");
    }
    let (there, theirs) = (members_of(&app, &id).await, groups_of(&app, &person).await);
    assert_eq!(there.is_empty(), theirs.is_empty(), "both directions say the same");
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn a_member_that_is_deleted_while_it_is_added_leaves_nothing_behind() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let groups = [group(&app, "A", &[]).await, group(&app, "B", &[]).await];
    let rounds = (0..24).map(|round| {
        let (app, groups) = (&app, &groups);
        async move {
            let person = user(app, &format!("p{round}@ex.test")).await;
            let add = |id: &String| {
                (format!("/Groups/{id}"), on_members("add", std::slice::from_ref(&person)))
            };
            let adds = groups.each_ref().map(|id| async {
                let (target, body) = add(id);
                patch(app, &target, body).await
            });
            // The odd ones are members of one group already.
            if round % 2 == 1 {
                let (target, body) = add(&groups[0]);
                patch(app, &target, body).await.expect(204);
            }
            let target = format!("/Users/{person}");
            let (deleted, added) = join(delete(app, &target), join_all(adds)).await;
            deleted.expect(204);
            for add in added {
                assert!([204, 400].contains(&add.status), "round {round}: {add:?}");
            }
            for id in groups {
                assert!(!members_of(app, id).await.contains(&person), "round {round}");
            }
        }
    });
    stream::iter(rounds).buffer_unordered(4).collect::<Vec<()>>().await;
    let items = partition(&app).await;
    let left = items.keys().filter(|key| key.starts_with("member"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&String>::new());
    assert_whole(&items);
}

#[tokio::test]
async fn a_group_that_is_deleted_while_members_are_added_leaves_nothing_behind() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let people = crowd(&app, 4).await;
    let outer = group(&app, "Outer", &[]).await;
    let rounds = (0..10).map(|round| {
        let (app, people, outer) = (&app, &people, &outer);
        async move {
            let id = group(app, &format!("G{round}"), &people[..1]).await;
            let target = format!("/Groups/{id}");
            let adds = people
                .iter()
                .map(|person| patch(app, &target, on_members("add", std::slice::from_ref(person))));
            let outer_target = format!("/Groups/{outer}");
            let nest = patch(app, &outer_target, on_members("add", std::slice::from_ref(&id)));
            let (deleted, added, nested) = join3(delete(app, &target), join_all(adds), nest).await;
            deleted.expect(204);
            for add in added {
                assert!([204, 404].contains(&add.status), "round {round}: {add:?}");
            }
            assert!([204, 400].contains(&nested.status), "round {round}: {nested:?}");
            get(app, &target).await.expect(404);
            assert!(!members_of(app, outer).await.contains(&id), "round {round}");
            for person in people {
                assert!(!groups_of(app, person).await.contains(&id), "round {round}");
            }
        }
    });
    stream::iter(rounds).buffer_unordered(3).collect::<Vec<()>>().await;
    let items = partition(&app).await;
    let left = items.keys().filter(|key| key.starts_with("member"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&String>::new());
    assert_whole(&items);
}

#[tokio::test]
async fn a_user_and_its_groups_are_deleted_at_once() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    for round in 0..5 {
        let person = user(&app, &format!("p{round}@ex.test")).await;
        let members = std::slice::from_ref(&person);
        let mut targets = vec![format!("/Users/{person}")];
        for number in 0..4 {
            let id = group(&app, &format!("G{round}.{number}"), members).await;
            targets.push(format!("/Groups/{id}"));
        }
        let deletes = targets.iter().map(|target| delete(&app, target));
        assert_eq!(statuses(&join_all(deletes).await), [(204, 5)].into(), "round {round}");
    }
    let items = partition(&app).await;
    let left = items.keys().filter(|key| key.starts_with("member"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&String>::new());
    assert_whole(&items);
}

#[tokio::test]
async fn two_replacements_at_once_leave_the_members_of_one() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    let people = crowd(&app, 120).await;
    let id = group(&app, "Staff", &people[..40]).await;
    let target = format!("/Groups/{id}");
    let (left, right) = (&people[20..80], &people[60..]);
    let patched = patch(&app, &target, on_members("replace", left));
    let body = json!({"displayName": "Staff", "members": entries(right)});
    let (patched, replaced) = join(patched, app.call("PUT", &target, body)).await;
    assert_eq!((patched.status, replaced.status), (204, 200));
    let there = members_of(&app, &id).await;
    let is = |wanted: &[String]| there == wanted.iter().cloned().collect::<BTreeSet<_>>();
    assert!(is(left) || is(right), "{} members of neither", there.len());
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn groups_that_contain_each_other_are_deleted_at_once() {
    let (app, _proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    for round in 0..5 {
        let one = group(&app, &format!("one {round}"), &[]).await;
        let two = group(&app, &format!("two {round}"), std::slice::from_ref(&one)).await;
        let target = format!("/Groups/{one}");
        let add = patch(&app, &target, on_members("add", std::slice::from_ref(&two)));
        let other = format!("/Groups/{two}");
        let (added, first, second) = join3(add, delete(&app, &target), delete(&app, &other)).await;
        assert!([204, 400, 404].contains(&added.status), "round {round}: {added:?}");
        assert_eq!((first.status, second.status), (204, 204), "round {round}");
    }
    let items = partition(&app).await;
    let left = items.keys().filter(|key| key.starts_with("member"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&String>::new());
    assert_whole(&items);
}
