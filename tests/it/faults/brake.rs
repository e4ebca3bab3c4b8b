//! Writes that the brake counts or holds back, and what becomes of held changes, each under all faults. Windows are an hour and
//! the budget is one, so that what passes and what is held does not change while a run repeats itself.

use scim_endpoint::admin::brake;
use scim_endpoint::store::brake::Decision;
use scim_endpoint::store::settings::Brake;
use serde_json::Value;

use super::interrupted;
use super::operations::{Form, Operation, People, crowd, large, mail, operation, people};
use crate::races::{entries, on_members, replacing};
use crate::stage::{Act, Contents, Stage, now};

/// So many pass in an hour.
fn set(stage: &Stage, count: u64) {
    let brake = Brake { count: Some(count), percent: None, window_minutes: 60, budget: 1 };
    let moment = stage.moment(0);
    let set = brake::set(stage.store(), &moment, (&stage.tenant, "test"), Some(brake));
    now(set).expect("it is set");
}

fn disable(id: &str) -> Act {
    Act::http("PATCH", format!("/Users/{id}"), replacing("active", "False"))
}

fn rename(id: &str, name: &str) -> Act {
    Act::http("PATCH", format!("/Users/{id}"), replacing("userName", &mail(name)))
}

fn delete(id: &str) -> Act {
    Act::http("DELETE", format!("/Users/{id}"), Value::Null)
}

fn does(stage: &Stage, act: &Act) {
    let told = stage.act(0, act);
    assert!(told.status < 300, "{act:?}: {told:?}");
}

/// With a brake, and everything used up that passes.
fn used_up(stage: &Stage) {
    set(stage, 1);
    for name in ["first", "second"] {
        does(stage, &disable(&stage.user(&mail(name))));
    }
}

/// Something of each sort is held: Ida switched off, with another name and on again; Bob deleted with his group; Eva out of it,
/// and that group renamed behind.
fn much_held(stage: &Stage) -> People {
    let people = people(stage);
    used_up(stage);
    let group = format!("/Groups/{}", people.staff);
    for act in [
        disable(&people.ida),
        rename(&people.ida, "ib"),
        delete(&people.bob),
        Act::http("PATCH", group.as_str(), on_members("remove", std::slice::from_ref(&people.eva))),
        Act::http("PATCH", group, replacing("displayName", "Personnel")),
        Act::http("PATCH", format!("/Users/{}", people.ida), replacing("active", "True")),
    ] {
        does(stage, &act);
    }
    people
}

fn formed(form: Form, operation: Operation) -> Operation {
    Operation { form, ..operation }
}

/// Writes of one transaction.
pub(super) fn writes() -> Vec<Operation> {
    let held = |name, status, act: fn(&Stage, &People) -> Act| {
        let operation = operation(name, status, move |stage| {
            let people = people(stage);
            used_up(stage);
            act(stage, &people)
        });
        formed(Form::Held, operation)
    };
    let counted = |name, status, act: fn(&Stage, &People) -> Act| {
        let operation = operation(name, status, move |stage| {
            let people = people(stage);
            set(stage, 20);
            act(stage, &people)
        });
        formed(Form::Counted, operation)
    };
    vec![
        held("disable a user, held", 200, |_, people| disable(&people.ida)),
        held("DELETE a user with 3 groups, held", 204, |_, people| delete(&people.ida)),
        held("remove a member, held", 204, |_, people| {
            let body = on_members("remove", std::slice::from_ref(&people.bob));
            Act::http("PATCH", format!("/Groups/{}", people.staff), body)
        }),
        held("DELETE a group with 3 members, held", 204, |_, people| {
            Act::http("DELETE", format!("/Groups/{}", people.staff), Value::Null)
        }),
        held("rename a user behind a held change", 200, |stage, people| {
            does(stage, &disable(&people.ida));
            rename(&people.ida, "ib")
        }),
        held("add a member behind a held end", 204, |stage, people| {
            does(stage, &delete(&people.ida));
            let body = on_members("add", std::slice::from_ref(&people.max));
            Act::http("PATCH", format!("/Groups/{}", people.staff), body)
        }),
        counted("disable a user, the first that is counted", 200, |_, people| disable(&people.ida)),
        counted("DELETE a user with 3 groups, counted", 204, |stage, people| {
            does(stage, &disable(&people.max));
            delete(&people.ida)
        }),
        counted("remove a member, counted", 204, |stage, people| {
            does(stage, &disable(&people.max));
            let body = on_members("remove", std::slice::from_ref(&people.bob));
            Act::http("PATCH", format!("/Groups/{}", people.staff), body)
        }),
    ]
}

/// Writes of several transactions.
pub(super) fn large_writes() -> Vec<Operation> {
    let in_many = |stage: &Stage| {
        let ida = stage.user(&mail("ida"));
        for number in 0..16 {
            stage.group(&format!("G{number}"), std::slice::from_ref(&ida));
        }
        used_up(stage);
        ida
    };
    let replace = large("replace 16 of 20 members by others, held", 204, |stage| {
        let people = crowd(stage, 36);
        let group = stage.group("Staff", &people[..20]);
        used_up(stage);
        Act::http("PATCH", format!("/Groups/{group}"), on_members("replace", &people[16..]))
    });
    let all = [
        large("DELETE a user with 16 groups, held", 204, move |stage| delete(&in_many(stage))),
        large("DELETE a group with 46 members, held", 204, |stage| {
            let group = stage.group("Staff", &crowd(stage, 46));
            used_up(stage);
            Act::http("DELETE", format!("/Groups/{group}"), Value::Null)
        }),
        large("the job finishes the sweep of a held end", 200, move |stage| {
            let ida = in_many(stage);
            interrupted(stage, &delete(&ida));
            Act::Job
        }),
    ];
    let all = all.into_iter().map(|operation| formed(Form::Held, operation));
    all.chain([formed(Form::HeldInPart, replace)]).collect()
}

/// What becomes of held changes: each is a step of its own, so that any number of them is done when it is stopped.
pub(super) fn settlements() -> Vec<Operation> {
    let all = |name, decision| {
        let prepare = move |stage: &Stage| {
            much_held(stage);
            Act::Settle(decision, None)
        };
        formed(Form::Settled, large(name, 200, prepare))
    };
    let of_one = |name, decision| {
        let prepare = move |stage: &Stage| Act::Settle(decision, Some(much_held(stage).ida));
        formed(Form::SettledInPart, large(name, 200, prepare))
    };
    let by_the_job = |name, decision| {
        let prepare = move |stage: &Stage| {
            much_held(stage);
            let by = (&stage.tenant, "portal:l1");
            let moment = stage.moment(0);
            let decided = (decision, moment.mint_uuid());
            now(brake::decide(stage.store(), &moment, by, decided)).expect("noted");
            Act::Job
        };
        formed(Form::Settled, large(name, 200, prepare))
    };
    let swept = large("release the end of somebody with 16 groups", 200, |stage| {
        let ida = stage.user(&mail("ida"));
        for number in 0..16 {
            stage.group(&format!("G{number}"), std::slice::from_ref(&ida));
        }
        stage.group("Others", &[]);
        used_up(stage);
        does(stage, &delete(&ida));
        let body = serde_json::json!({"displayName": "New", "members": entries(&[])});
        does(stage, &Act::http("POST", "/Groups", body));
        Act::Settle(Decision::Release, None)
    });
    vec![
        all("release everything", Decision::Release),
        all("reject everything", Decision::Reject),
        of_one("release one person's", Decision::Release),
        of_one("reject one person's", Decision::Reject),
        by_the_job("the job releases what was decided", Decision::Release),
        by_the_job("the job rejects what was decided", Decision::Reject),
        formed(Form::Settled, swept),
    ]
}

/// Whether a run without faults has done to the brake what its operation is there for.
pub(super) fn expect_form(form: Form, stage: &Stage, (before, after): (&Contents, &Contents)) {
    let tenant = stage.tenant.as_str();
    let held = |contents: &Contents| {
        contents.keys(tenant).iter().filter(|key| key.starts_with("held#")).count()
    };
    let (held_before, held_after) = (held(before), held(after));
    let is_journaled = after.changes(tenant).len() > before.changes(tenant).len();
    let counts = |contents: &Contents| {
        let items = contents.partition(tenant);
        items.get("brake").map_or(0, |brake| crate::whole::number(brake, "count"))
    };
    let is_so = match form {
        Form::Unbraked => held_before + held_after == 0,
        Form::Counted => held_after == 0 && is_journaled && counts(after) > counts(before),
        Form::Held => held_after > held_before && !is_journaled,
        Form::HeldInPart => held_after > held_before && is_journaled,
        Form::Settled => held_before > 0 && held_after == 0 && is_journaled,
        Form::SettledInPart => held_after > 0 && held_after < held_before && is_journaled,
    };
    assert!(is_so, "{form:?}: {held_before} held before and {held_after} after");
}
