//! Somebody else is done between the first and the second transaction of a request: what the request was told is in the
//! directory, nobody else's change is lost, and a request that was right when it began is not refused when half is done.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::pairs::with_name;
use super::poll;
use crate::races::{entries, on_members, replacing};
use crate::stage::{Act, Fault, Plan, Setup, Stage, Told, When, judge};

/// More than one transaction takes.
const MANY: usize = 31;

struct Team {
    stage: Stage,
    people: Vec<String>,
    group: String,
}

impl Team {
    /// An empty group, and people who could come into it.
    fn new() -> Self {
        let setup = Setup { actors: 3, sdk_attempts: 1, token_cache: std::time::Duration::ZERO };
        let stage = Stage::new(setup);
        let people = (0..MANY).map(|number| stage.user(&format!("p{number}@ex.test"))).collect();
        let group = stage.group("Staff", &[]);
        Self { stage, people, group }
    }

    fn patch(&self, body: Value) -> Act {
        Act::http("PATCH", format!("/Groups/{}", self.group), body)
    }

    fn delete(&self, person: usize) -> Act {
        Act::http("DELETE", format!("/Users/{}", self.people[person]), Value::Null)
    }

    /// What a request is told of which the first transaction is done before `meanwhile` is done.
    fn midway(&self, request: &Act, meanwhile: impl FnOnce()) -> Told {
        let wire = &self.stage.actors[1].wire;
        wire.hold();
        let (mut future, mut told) = (Some(self.stage.acting(1, request, 7)), None);
        let mut is_begun = false;
        while !is_begun {
            poll(&mut future, &mut told, || wire.waiting().is_some());
            is_begun = wire.waiting().expect("it has not written yet").is_transaction();
            wire.release();
        }
        meanwhile();
        while told.is_none() {
            poll(&mut future, &mut told, || wire.waiting().is_some());
            if told.is_none() {
                wire.release();
            }
        }
        wire.heal();
        let wrong = judge(&self.stage, &self.stage.contents());
        assert!(wrong.is_empty(), "{wrong:?}");
        told.expect("it has ended")
    }

    fn meets(&self, request: &Act, other: &Act) -> Told {
        self.midway(request, || {
            let told = self.stage.act(2, other);
            assert!([200, 204].contains(&told.status), "{told:?}");
        })
    }

    fn shown(&self) -> Value {
        let get = Act::http("GET", format!("/Groups/{}", self.group), Value::Null);
        self.stage.act(0, &get).body
    }

    fn members(&self) -> BTreeSet<String> {
        let shown = self.shown();
        let members = shown["members"].as_array().cloned().unwrap_or_default();
        members.iter().map(|member| member["value"].as_str().expect("an id").to_owned()).collect()
    }

    fn all_but(&self, person: usize) -> BTreeSet<String> {
        let others = self.people.iter().enumerate().filter(|(index, _)| *index != person);
        others.map(|(_, id)| id.clone()).collect()
    }
}

/// Of the first transaction's people, and of the second's.
const DELETED: [usize; 2] = [0, MANY - 1];

#[test]
fn a_person_is_deleted_while_many_are_added() {
    for (op, person) in ["add", "replace"].into_iter().flat_map(|op| DELETED.map(|one| (op, one))) {
        let team = Team::new();
        let told = team.meets(&team.patch(on_members(op, &team.people)), &team.delete(person));
        assert_eq!(told.status, 204, "{op} {person}: {told:?}");
        assert_eq!(team.members(), team.all_but(person), "{op} {person}");
    }
}

#[test]
fn a_person_is_deleted_while_a_group_is_replaced() {
    for person in DELETED {
        let team = Team::new();
        let body = json!({"displayName": "Crew", "members": entries(&team.people)});
        let put = Act::http("PUT", format!("/Groups/{}", team.group), body);
        let told = team.meets(&put, &team.delete(person));
        assert_eq!(told.status, 200, "{person}: {told:?}");
        assert_eq!(team.members(), team.all_but(person), "{person}");
        assert_eq!(team.shown()["displayName"], "Crew", "{person}");
    }
}

#[test]
fn who_ends_last_has_the_last_word() {
    for put in [false, true] {
        let team = Team::new();
        let request = if put {
            let body = json!({"displayName": "Crew", "members": entries(&team.people)});
            Act::http("PUT", format!("/Groups/{}", team.group), body)
        } else {
            team.patch(with_name(on_members("add", &team.people), "Crew"))
        };
        let other = with_name(on_members("remove", &team.people[..1]), "Band");
        let told = team.meets(&request, &team.patch(other));
        assert_eq!(told.status, if put { 200 } else { 204 }, "{told:?}");
        assert_eq!(team.shown()["displayName"], "Crew");
        assert_eq!(team.members().len(), MANY);
    }
}

#[test]
fn nothing_is_begun_after_the_deadline() {
    let team = Team::new();
    let request = team.patch(on_members("add", &team.people));
    let told = team.midway(&request, || team.stage.pause(scim_endpoint::limits::RETRY_DEADLINE));
    assert_eq!(told.status, 503, "{told:?}");
    assert_eq!(team.members().len(), MANY - 1, "one transaction is done");
    assert_eq!(team.stage.act(1, &request).status, 204);
    assert_eq!(team.members().len(), MANY);
}

#[test]
fn what_is_so_already_writes_nothing() {
    let team = Team::new();
    let request = team.patch(on_members("add", &team.people));
    assert_eq!(team.stage.act(1, &request).status, 204);
    let version = team.shown()["meta"]["version"].clone();
    assert_eq!(team.stage.act(1, &request).status, 204);
    assert_eq!(team.shown()["meta"]["version"], version);
}

#[test]
fn several_assumptions_are_wrong_at_once() {
    let team = Team::new();
    let inner = team.stage.group("Inner", &[]);
    let [there, comes, goes, outside] = [0, 1, 2, 3].map(|index| team.people[index].clone());
    let before = [there.clone(), goes.clone()];
    assert_eq!(team.stage.act(1, &team.patch(on_members("add", &before))).status, 204);
    let mut body = on_members("add", &[there.clone(), inner.clone(), comes.clone()]);
    let leave = on_members("remove", &[outside, goes])["Operations"][0].clone();
    body["Operations"].as_array_mut().expect("operations").push(leave);
    let told = team.stage.act(1, &team.patch(body));
    assert_eq!(told.status, 204, "{told:?}");
    assert_eq!(team.members(), [there, inner, comes].into());
}

#[test]
fn what_never_was_there_is_refused_before_the_first_transaction() {
    let team = Team::new();
    let mut people = team.people.clone();
    people.push("0192e4f0-0000-7000-8000-000000000001".to_owned());
    let told = team.stage.act(1, &team.patch(on_members("add", &people)));
    assert_eq!(told.status, 400, "{told:?}");
    assert!(team.members().is_empty());
}

#[test]
fn a_read_that_fails_when_half_is_done_is_no_internal_error() {
    let team = Team::new();
    let request = team.patch(on_members("add", &team.people));
    let told = team.midway(&request, || {
        team.stage.act(2, &team.patch(replacing("displayName", "Band")));
        // The next call is the second transaction, which is stale; the one after it reads the group again.
        let denied = Fault::Said(400, "AccessDeniedException");
        team.stage.actors[1].wire.spoil_by(Plan { call: 1, ..Plan::once(denied, When::Before) });
    });
    assert_eq!(told.status, 503, "{told:?}");
    assert!(told.retry_after.is_some(), "{told:?}");
    let again = team.stage.act(1, &request);
    assert_eq!(again.status, 204, "{again:?}");
    assert_eq!(team.members().len(), MANY);
}
