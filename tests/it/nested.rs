//! Groups in groups: no group becomes a member of itself, however many are in between, by whatever request and whoever
//! else is at it; what is refused changes nothing; and a user's groups are those above it, each once, with how.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::{join, join3};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use scim_endpoint::limits::NESTING_DEPTH_MAX;
use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::proxy::{Conflicts, Gate, Proxy, Step};
use crate::races::{
    crowd, delete, entries, get, group, members_of, on_members, patch, replacing, statuses, user,
};
use crate::whole::{Item, assert_whole, partition, without_what_was_seen};

fn one(id: &str) -> Vec<String> {
    vec![id.to_owned()]
}

async fn nest(app: &App, outer: &str, inner: &str) -> Answer {
    patch(app, &format!("/Groups/{outer}"), on_members("add", &one(inner))).await
}

/// Groups with these names, each but the first with the one before as its member.
async fn chain(app: &App, names: &[&str]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for name in names {
        let members = ids.last().map(|id| one(id)).unwrap_or_default();
        ids.push(group(app, name, &members).await);
    }
    ids
}

/// What is there but for when the tenant was seen.
async fn stored(app: &App) -> BTreeMap<String, Item> {
    without_what_was_seen(partition(app).await)
}

/// Somebody's groups, as its GET shows them: by id, how.
async fn ways(app: &App, id: &str) -> BTreeMap<String, String> {
    let shown = get(app, &format!("/Users/{id}?attributes=groups")).await.expect(200).json();
    let groups = shown["groups"].as_array().cloned().unwrap_or_default();
    let text = |group: &Value, name: &str| group[name].as_str().expect("a text").to_owned();
    let ways: BTreeMap<String, String> =
        groups.iter().map(|group| (text(group, "value"), text(group, "type"))).collect();
    assert_eq!(ways.len(), groups.len(), "each group once: {shown}");
    ways
}

#[track_caller]
fn assert_refused(answer: &Answer, inner: &str) {
    let told = answer.json();
    assert_eq!((answer.status, &told["scimType"]), (400, &json!("invalidValue")), "{told}");
    let detail = told["detail"].as_str().expect("a detail");
    assert!(detail.contains(&format!("the group {inner} cannot be a member here")), "{detail}");
}

#[tokio::test]
async fn a_circle_is_refused_by_each_request_and_changes_nothing() {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    let [inner, middle, outer] =
        chain(&app, &["Inner", "Middle", "Outer"]).await.try_into().unwrap();
    let target = format!("/Groups/{inner}");
    let before = stored(&app).await;
    for closing in [&middle, &outer] {
        let both = [ida.clone(), closing.clone()];
        let named = json!({"Operations": [
            {"op": "replace", "path": "externalId", "value": "x"},
            {"op": "add", "path": "members", "value": entries(&both)},
        ]});
        for body in [
            on_members("add", &one(closing)),
            on_members("replace", &both),
            json!({"Operations": [{"op": "add", "value": {"members": entries(&both)}}]}),
            named.clone(),
        ] {
            assert_refused(&patch(&app, &target, body).await, closing);
        }
        let answer = patch(&app, &target, named).await.json();
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.starts_with("operation 2: "), "it names the operation: {detail}");
        let put = json!({"displayName": "Renamed", "members": entries(&both)});
        assert_refused(&app.call("PUT", &target, put.clone()).await, closing);
        let operation = json!({"method": "PUT", "path": target, "data": put});
        let told = app.call("POST", "/Bulk", json!({"Operations": [operation]})).await.expect(200);
        let told = told.json()["Operations"][0].clone();
        assert_eq!((&told["status"], &told["response"]["status"]), (&json!("400"), &json!("400")));
    }
    for (method, body) in [
        ("PATCH", on_members("add", &one(&inner))),
        ("PUT", json!({"displayName": "Inner", "members": entries(&one(&inner))})),
    ] {
        let answer = app.call(method, &target, body).await.expect(400).json();
        assert_eq!(answer["scimType"], "invalidValue");
    }
    assert_eq!(stored(&app).await, before, "nothing is changed");
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn what_is_no_circle_is_taken() {
    let app = App::start().await;
    let [inner, middle, outer] =
        chain(&app, &["Inner", "Middle", "Outer"]).await.try_into().unwrap();
    // Two ways to one group, and what is there already.
    nest(&app, &outer, &inner).await.expect(204);
    nest(&app, &outer, &inner).await.expect(204);
    nest(&app, &middle, &inner).await.expect(204);
    let other = group(&app, "Other", &[]).await;
    nest(&app, &inner, &other).await.expect(204);
    nest(&app, &outer, &other).await.expect(204);
    assert_refused(&nest(&app, &other, &outer).await, &outer);
    // A new group has nobody above it.
    let top = group(&app, "Top", &[outer.clone(), inner.clone()]).await;
    assert_refused(&nest(&app, &inner, &top).await, &top);
    // Once the way is gone, the other way round is none: taken out, replaced, and deleted in the middle.
    for group in [&outer, &top] {
        let target = format!("/Groups/{group}");
        patch(&app, &target, on_members("remove", &one(&inner))).await.expect(204);
        patch(&app, &target, on_members("remove", &one(&other))).await.expect(204);
    }
    assert_refused(&nest(&app, &inner, &outer).await, &outer);
    delete(&app, &format!("/Groups/{middle}")).await.expect(204);
    nest(&app, &inner, &outer).await.expect(204);
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn of_two_that_close_a_circle_together_one_is_refused() {
    let (app, proxy) = Proxy::app(Conflicts::AsOnDynamoDb).await;
    for round in 0..12 {
        let name = |name: &str| format!("{name}{round}");
        let [a, b] = [group(&app, &name("A"), &[]).await, group(&app, &name("B"), &[]).await];
        let (one, other) = join(nest(&app, &a, &b), nest(&app, &b, &a)).await;
        assert_eq!(statuses(&[one, other]), [(204, 1), (400, 1)].into(), "round {round}");
    }
    for round in 0..6 {
        let [a, b, c] = ["D", "E", "F"].map(|name| format!("{name}{round}"));
        let [a, b, c] =
            [group(&app, &a, &[]).await, group(&app, &b, &[]).await, group(&app, &c, &[]).await];
        let (one, two, three) =
            join3(nest(&app, &a, &b), nest(&app, &b, &c), nest(&app, &c, &a)).await;
        assert_eq!(statuses(&[one, two, three]), [(204, 2), (400, 1)].into(), "round {round}");
    }
    assert!(proxy.conflicts() > 0, "they met");
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn whoever_is_overtaken_looks_again_until_the_deadline() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    for (late, status) in [(0, 204), (11, 503)] {
        let mut ids = Vec::new();
        for name in ["A", "B", "C", "D"] {
            ids.push(group(&app, &format!("{name}{late}"), &[]).await);
        }
        let [a, b, c, d] = ids.try_into().unwrap();
        let gate = Gate::default();
        // The first attempt takes it for a person; the second is overtaken by another group that comes into one.
        proxy.script("TransactWriteItems", [Step::Pass, Step::Hold(gate.clone())]);
        let other = async {
            gate.reached().await;
            nest(&app, &c, &d).await.expect(204);
            app.clock().advance(Duration::from_secs(late));
            gate.open();
        };
        let (answer, ()) = join(nest(&app, &a, &b), other).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("Retry-After").is_some(), status == 503);
        assert_eq!(members_of(&app, &a).await.len(), usize::from(status == 204));
        nest(&app, &a, &b).await.expect(204);
    }
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn many_at_once_with_a_circle_among_them_change_nothing() {
    let app = App::start().await;
    let [inner, outer] = chain(&app, &["Inner", "Outer"]).await.try_into().unwrap();
    let mut many = crowd(&app, 70).await;
    many.push(outer.clone());
    let target = format!("/Groups/{inner}");
    let before = stored(&app).await;
    assert_refused(&patch(&app, &target, on_members("add", &many)).await, &outer);
    assert_eq!(stored(&app).await, before);
    // More groups than one transaction takes are as many transactions, each of which looks.
    let mut groups = Vec::new();
    for number in 0..40 {
        groups.push(group(&app, &format!("G{number}"), &[]).await);
    }
    patch(&app, &target, on_members("add", &groups)).await.expect(204);
    assert_eq!(members_of(&app, &inner).await, groups.iter().cloned().collect());
    let large = group(&app, "Large", &groups).await;
    assert_eq!(members_of(&app, &large).await.len(), 40);
    assert_refused(&nest(&app, &groups[39], &large).await, &large);
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn a_users_groups_are_those_above_it_each_once_and_how() {
    let app = App::start().await;
    let (ida, bob) = (user(&app, "ida@ex.test").await, user(&app, "bob@ex.test").await);
    let team = group(&app, "Team", &one(&ida)).await;
    let unit = group(&app, "Unit", &[team.clone(), bob.clone()]).await;
    let all = group(&app, "All", &[unit.clone(), team.clone(), ida.clone()]).await;
    let way = |id: &String, way: &str| (id.clone(), way.to_owned());
    let expected = [way(&team, "direct"), way(&all, "direct"), way(&unit, "indirect")];
    assert_eq!(ways(&app, &ida).await, expected.into());
    assert_eq!(ways(&app, &bob).await, [way(&unit, "direct"), way(&all, "indirect")].into());

    // Direct ones first, each in order of creation, with reference and name; the same in lists, searches and answers.
    let base = app.base_url();
    let entry = |id: &str, name: &str, way: &str| json!({"value": id, "$ref": format!("{base}/Groups/{id}"), "display": name, "type": way});
    let shown = json!([
        entry(&team, "Team", "direct"),
        entry(&all, "All", "direct"),
        entry(&unit, "Unit", "indirect")
    ]);
    let whole = get(&app, &format!("/Users/{ida}?attributes=groups")).await.expect(200).json();
    assert_eq!(whole["groups"], shown);
    let list = get(&app, "/Users?attributes=groups").await.expect(200).json();
    assert_eq!(list["Resources"][0]["groups"], shown);
    let search = json!({"attributes": ["groups"], "filter": "userName eq \"ida@ex.test\""});
    let found = app.call("POST", "/.search", search).await.expect(200).json();
    assert_eq!(found["Resources"][0]["groups"], shown);
    let body = replacing("title", "Chair");
    let told = patch(&app, &format!("/Users/{ida}?attributes=groups"), body).await.expect(200);
    assert_eq!(told.json()["groups"], shown);

    // What somebody is in by way of another group is shown, and not searched for.
    for (filter, ids) in [
        (format!("groups.value eq \"{all}\""), vec![&ida]),
        (format!("groups.value eq \"{unit}\""), vec![&bob]),
        (format!("groups.value eq \"{unit}\" and groups.type eq \"direct\""), vec![&bob]),
        ("groups.display eq \"Unit\"".to_owned(), vec![&bob]),
        ("groups.type eq \"indirect\"".to_owned(), vec![]),
    ] {
        let filter = filter.replace(' ', "+").replace('"', "%22");
        let found = get(&app, &format!("/Users?filter={filter}")).await.expect(200).json();
        let found = found["Resources"].as_array().cloned().unwrap_or_default();
        let found: Vec<&str> = found.iter().filter_map(|one| one["id"].as_str()).collect();
        assert_eq!(found, ids, "{filter}");
    }

    // When a way goes, so does what was above it.
    let target = format!("/Groups/{all}");
    patch(&app, &target, on_members("remove", &[unit.clone(), ida.clone()])).await.expect(204);
    assert_eq!(ways(&app, &bob).await, [way(&unit, "direct")].into());
    let expected = [way(&team, "direct"), way(&all, "indirect"), way(&unit, "indirect")];
    assert_eq!(ways(&app, &ida).await, expected.into());
    delete(&app, &format!("/Groups/{team}")).await.expect(204);
    assert_eq!(ways(&app, &ida).await, BTreeMap::new());
}

#[tokio::test]
async fn a_member_says_whether_it_is_a_person_or_a_group() {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    let inner = group(&app, "Inner", &[]).await;
    let plain = group(&app, "Plain", &one(&ida)).await;
    // Whatever a client says of it.
    let wrong = json!({"displayName": "Outer", "members": [
        {"value": inner, "type": "User", "$ref": "https://elsewhere.example/Users/1"},
        {"value": ida, "type": "Group"},
    ]});
    let base = app.base_url();
    let created = app.call("POST", "/Groups", wrong).await.expect(201);
    let outer = created.id();
    let members = json!([
        {"value": ida, "$ref": format!("{base}/Users/{ida}"), "type": "User"},
        {"value": inner, "$ref": format!("{base}/Groups/{inner}"), "type": "Group"},
    ]);
    assert_eq!(created.json()["members"], members);
    let target = format!("/Groups/{outer}");
    assert_eq!(get(&app, &target).await.expect(200).json()["members"], members);
    let body = replacing("externalId", "o-1");
    let patched = patch(&app, &format!("{target}?attributes=members"), body).await.expect(200);
    assert_eq!(patched.json()["members"], members);
    let list = get(&app, "/Groups?filter=displayName+eq+%22Outer%22").await.expect(200).json();
    assert_eq!(list["Resources"][0]["members"], members);
    for (filter, ids) in [
        ("members.type eq \"Group\"".to_owned(), vec![&outer]),
        ("members[type eq \"group\"]".to_owned(), vec![&outer]),
        ("members.type eq \"User\"".to_owned(), vec![&plain, &outer]),
        (format!("members[value eq \"{inner}\" and type eq \"Group\"]"), vec![&outer]),
        (format!("members[value eq \"{inner}\" and type eq \"User\"]"), vec![]),
        (format!("members.$ref eq \"{base}/Groups/{inner}\""), vec![&outer]),
    ] {
        let search = json!({"filter": filter, "attributes": ["id"]});
        let found = app.call("POST", "/Groups/.search", search).await.expect(200).json();
        let found = found["Resources"].as_array().cloned().unwrap_or_default();
        let found: Vec<&str> = found.iter().filter_map(|one| one["id"].as_str()).collect();
        assert_eq!(found, ids, "{filter}");
    }
}

#[tokio::test]
async fn what_is_too_deep_is_refused_and_says_so() {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    let bottom = group(&app, "G0", &one(&ida)).await;
    let mut top = bottom.clone();
    for number in 1..=NESTING_DEPTH_MAX {
        top = group(&app, &format!("G{number}"), &one(&top)).await;
    }
    // The group itself, and so many levels above it.
    assert_eq!(ways(&app, &ida).await.len(), NESTING_DEPTH_MAX + 1);
    group(&app, "One too many", &one(&top)).await;
    let refused = get(&app, &format!("/Users/{ida}?attributes=groups")).await.expect(400).json();
    assert_eq!(refused["scimType"], "tooMany");
    get(&app, &format!("/Users/{ida}")).await.expect(200);
    let other = group(&app, "Other", &[]).await;
    let refused = nest(&app, &bottom, &other).await.expect(400).json();
    assert_eq!(refused["scimType"], "tooMany");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("nest fewer groups"), "{detail}");
    // People come and go as ever.
    let bob = user(&app, "bob@ex.test").await;
    nest(&app, &bottom, &bob).await.expect(204);
}

/// What is done to groups that are known by their numbers.
#[derive(Clone, Debug)]
enum Act {
    Add(usize, usize),
    Remove(usize, usize),
    Replace(usize, BTreeSet<usize>),
    Put(usize, BTreeSet<usize>),
    Person(usize),
    Recreate(usize),
}

const GROUPS: usize = 6;

fn act() -> impl Strategy<Value = Act> {
    let some = || btree_set(0..GROUPS, 0..4);
    prop_oneof![
        6 => (0..GROUPS, 0..GROUPS).prop_map(|(outer, inner)| Act::Add(outer, inner)),
        1 => (0..GROUPS, 0..GROUPS).prop_map(|(outer, inner)| Act::Remove(outer, inner)),
        1 => (0..GROUPS, some()).prop_map(|(outer, inner)| Act::Replace(outer, inner)),
        1 => (0..GROUPS, some()).prop_map(|(outer, inner)| Act::Put(outer, inner)),
        1 => (0..GROUPS).prop_map(Act::Person),
        1 => (0..GROUPS).prop_map(Act::Recreate),
    ]
}

/// The members of each group, and whether the person is one.
#[derive(Clone, Debug, Default, PartialEq)]
struct Naive {
    members: [BTreeSet<usize>; GROUPS],
    person: [bool; GROUPS],
}

impl Naive {
    /// The groups from which one comes to these by going from groups to their members.
    fn above(&self, below: impl Fn(usize) -> bool) -> BTreeSet<usize> {
        let mut found: BTreeSet<usize> = (0..GROUPS).filter(|group| below(*group)).collect();
        for _ in 0..GROUPS {
            let more = (0..GROUPS).filter(|group| !self.members[*group].is_disjoint(&found));
            found = found.iter().copied().chain(more.collect::<Vec<_>>()).collect();
        }
        found
    }

    fn has_a_circle(&self) -> bool {
        (0..GROUPS).any(|group| {
            let above = self.above(|other| self.members[other].contains(&group));
            above.contains(&group)
        })
    }
}

#[test]
fn there_is_never_a_circle_and_a_users_groups_are_the_closure() {
    crate::laws::check(vec(act(), 1..25), 12, async |acts| {
        let app = App::start().await;
        let ida = user(&app, "ida@ex.test").await;
        let mut ids = Vec::new();
        for number in 0..GROUPS {
            ids.push(group(&app, &format!("G{number}"), &[]).await);
        }
        let mut naive = Naive::default();
        for act in &acts {
            let mut next = naive.clone();
            let answer = play(&app, &mut ids, (&ida, &mut next), act).await;
            let expected = if next.has_a_circle() { 400 } else { 200 };
            if answer.status.min(399) / 100 != 2 && expected == 200 {
                return Err(format!("{act:?} is refused: {answer:?}"));
            }
            if expected == 400 && answer.status != 400 {
                return Err(format!("{act:?} is taken: {answer:?}"));
            }
            if expected == 200 {
                naive = next;
            }
        }
        let above = naive.above(|group| naive.person[group]);
        let wanted = above.iter().map(|group| {
            let way = if naive.person[*group] { "direct" } else { "indirect" };
            (ids[*group].clone(), way.to_owned())
        });
        let (wanted, found) = (wanted.collect::<BTreeMap<_, _>>(), ways(&app, &ida).await);
        assert_whole(&partition(&app).await);
        if wanted == found { Ok(()) } else { Err(format!("{wanted:?}\nfound {found:?}")) }
    });
}

async fn play(
    app: &App,
    ids: &mut [String],
    (ida, naive): (&str, &mut Naive),
    act: &Act,
) -> Answer {
    let target = |group: usize, ids: &[String]| format!("/Groups/{}", ids[group]);
    let all = |naive: &Naive, group: usize, ids: &[String]| {
        let members = naive.members[group].iter().map(|member| ids[*member].clone());
        members.chain(naive.person[group].then(|| ida.to_owned())).collect::<Vec<_>>()
    };
    match act {
        Act::Add(outer, inner) => {
            naive.members[*outer].insert(*inner);
            nest(app, &ids[*outer], &ids[*inner]).await
        }
        Act::Remove(outer, inner) => {
            naive.members[*outer].remove(inner);
            patch(app, &target(*outer, ids), on_members("remove", &one(&ids[*inner]))).await
        }
        Act::Replace(outer, inner) => {
            naive.members[*outer].clone_from(inner);
            let body = on_members("replace", &all(naive, *outer, ids));
            patch(app, &target(*outer, ids), body).await
        }
        Act::Put(outer, inner) => {
            naive.members[*outer].clone_from(inner);
            let members = entries(&all(naive, *outer, ids));
            let body = json!({"displayName": format!("G{outer}"), "members": members});
            app.call("PUT", &target(*outer, ids), body).await
        }
        Act::Person(group) => {
            naive.person[*group] ^= true;
            let op = if naive.person[*group] { "add" } else { "remove" };
            patch(app, &target(*group, ids), on_members(op, &one(ida))).await
        }
        Act::Recreate(group) => {
            delete(app, &target(*group, ids)).await.expect(204);
            naive.members[*group].clear();
            naive.person[*group] = false;
            for members in &mut naive.members {
                members.remove(group);
            }
            let body = json!({"displayName": format!("G{group}")});
            let created = app.call("POST", "/Groups", body).await.expect(201);
            ids[*group] = created.id();
            created
        }
    }
}
