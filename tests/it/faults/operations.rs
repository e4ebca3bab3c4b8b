//! The operations that are run under faults, each with what has to be there before.

use serde_json::{Value, json};

use crate::races::{entries, on_members, replacing};
use crate::stage::{Act, FOR_EVER, Fault, Plan, Stage, When};

/// An operation, and what makes it worth running.
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// Fills the stage, and says what is done then.
    pub(super) prepare: Box<dyn Fn(&Stage) -> Act>,
    /// How it is answered without a fault.
    pub(super) status: u16,
    pub(super) is_atomic: bool,
    pub(super) is_idempotent: bool,
    /// Repeating it after it was done makes one more.
    pub(super) makes_another: bool,
    /// What the brake makes of it.
    pub(super) form: Form,
}

/// What the brake makes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing: there is none.
    Unbraked,
    /// It is told, and counted.
    Counted,
    /// It is held back.
    Held,
    /// What takes somebody out is held back; what came before that in the same request is told.
    HeldInPart,
    /// What was held is settled.
    Settled,
    /// A part of what was held is.
    SettledInPart,
}

pub(super) fn operation(
    name: &'static str,
    status: u16,
    prepare: impl Fn(&Stage) -> Act + 'static,
) -> Operation {
    let prepare = Box::new(prepare);
    let form = Form::Unbraked;
    let (is_atomic, is_idempotent, makes_another) = (true, true, false);
    Operation { name, prepare, status, is_atomic, is_idempotent, makes_another, form }
}

/// One that takes more than one transaction.
pub(super) fn large(
    name: &'static str,
    status: u16,
    prepare: impl Fn(&Stage) -> Act + 'static,
) -> Operation {
    Operation { is_atomic: false, ..operation(name, status, prepare) }
}

/// Ida in three groups, Bob and Eva in one of them, Max in none.
pub(super) struct People {
    pub(super) ida: String,
    pub(super) bob: String,
    pub(super) eva: String,
    pub(super) max: String,
    pub(super) staff: String,
}

pub(super) fn people(stage: &Stage) -> People {
    let [ida, bob, eva, max] = ["ida", "bob", "eva", "max"].map(|n| stage.user(&mail(n)));
    let all = [ida.clone(), bob.clone(), eva.clone()];
    let staff = stage.group("Staff", &all);
    for name in ["Crew", "Band"] {
        stage.group(name, std::slice::from_ref(&ida));
    }
    People { ida, bob, eva, max, staff }
}

pub(super) fn mail(name: &str) -> String {
    format!("{name}@ex.test")
}

pub(super) fn crowd(stage: &Stage, how_many: usize) -> Vec<String> {
    (0..how_many).map(|number| stage.user(&mail(&format!("p{number}")))).collect()
}

fn on_user(
    name: &'static str,
    (method, status): (&'static str, u16),
    body: impl Fn(&People) -> Value + 'static,
) -> Operation {
    operation(name, status, move |stage| {
        let people = people(stage);
        Act::http(method, format!("/Users/{}", people.ida), body(&people))
    })
}

fn on_group(
    name: &'static str,
    (method, status): (&'static str, u16),
    body: impl Fn(&People) -> Value + 'static,
) -> Operation {
    operation(name, status, move |stage| {
        let people = people(stage);
        Act::http(method, format!("/Groups/{}", people.staff), body(&people))
    })
}

/// Requests of one transaction.
pub(super) fn requests() -> Vec<Operation> {
    let one = |id: &String| std::slice::from_ref(id).to_vec();
    vec![
        operation("POST a user", 201, |_| {
            let emails = json!([{"value": mail("new")}, {"value": mail("newer")}]);
            Act::http("POST", "/Users", json!({"userName": mail("new"), "emails": emails}))
        }),
        on_user("PUT a user", ("PUT", 200), |_| json!({"userName": mail("ida"), "title": "Chair"})),
        on_user(
            "PUT a user under another name",
            ("PUT", 200),
            |_| json!({"userName": mail("ib"), "emails": [{"value": mail("ib")}]}),
        ),
        on_user("PATCH an attribute", ("PATCH", 200), |_| replacing("title", "Director")),
        on_user("rename a user", ("PATCH", 200), |_| replacing("userName", &mail("ib"))),
        on_user("rename by letter case", ("PATCH", 200), |_| replacing("userName", &mail("IDA"))),
        on_user(
            "disable a user",
            ("PATCH", 200),
            |_| json!({"Operations": [{"op": "replace", "value": {"active": false}}]}),
        ),
        operation("DELETE a user without groups", 204, |stage| {
            Act::http("DELETE", format!("/Users/{}", people(stage).max), Value::Null)
        }),
        on_user("DELETE a user with 3 groups", ("DELETE", 204), |_| Value::Null),
        operation("POST a group without members", 201, |_| {
            Act::http("POST", "/Groups", json!({"displayName": "New"}))
        }),
        operation("POST a group with 3 members", 201, |stage| {
            let people = people(stage);
            let members = entries(&[people.ida, people.max, people.staff]);
            Act::http("POST", "/Groups", json!({"displayName": "New", "members": members}))
        }),
        on_group("add a member", ("PATCH", 204), move |people| {
            on_members("add", &one(&people.max))
        }),
        operation("add a group", 204, |stage| {
            let (people, inner) = (people(stage), stage.group("Inner", &[]));
            let body = on_members("add", &[inner, people.max]);
            Act::http("PATCH", format!("/Groups/{}", people.staff), body)
        }),
        on_group("remove a member", ("PATCH", 204), move |people| {
            on_members("remove", &one(&people.bob))
        }),
        on_group("replace the members", ("PATCH", 204), |people| {
            on_members("replace", &[people.max.clone(), people.eva.clone()])
        }),
        on_group(
            "PUT a group",
            ("PUT", 200),
            |people| json!({"displayName": "Crowd", "members": entries(std::slice::from_ref(&people.max))}),
        ),
        on_group("rename a group", ("PATCH", 204), |_| replacing("displayName", "Personnel")),
        on_group("DELETE a group with 3 members", ("DELETE", 204), |_| Value::Null),
        operation("link an account", 200, |stage| Act::Link {
            id: people(stage).ida,
            app_id: "account-7",
        }),
    ]
}

/// Requests for a resource of a deployment's own type.
pub(super) fn of_another_type() -> Vec<Operation> {
    let on_device = |name, (method, status): (&'static str, u16), body: fn() -> Value| {
        operation(name, status, move |stage| {
            stage.with_devices();
            let id = stage.device("Lathe");
            Act::http(method, format!("/Devices/{id}"), body())
        })
    };
    vec![
        // No name of theirs is unique, so that the repetition of one that was done makes another.
        Operation {
            is_idempotent: false,
            makes_another: true,
            ..operation("POST a device", 201, |stage| {
                stage.with_devices();
                Act::http("POST", "/Devices", json!({"displayName": "Lathe", "externalId": "d1"}))
            })
        },
        on_device("PUT a device", ("PUT", 200), || json!({"displayName": "Mill"})),
        on_device("PATCH a device", ("PATCH", 200), || replacing("site", "lyon")),
        on_device("DELETE a device", ("DELETE", 204), || Value::Null),
    ]
}

/// Reads by id, and lists by each plan.
pub(super) fn reads() -> Vec<Operation> {
    let list = |name: &'static str, target: fn(&People) -> String| {
        operation(name, 200, move |stage| {
            let people = people(stage);
            let body = json!({"userName": mail("kim"), "externalId": "kim"});
            stage.act(0, &Act::http("POST", "/Users", body));
            Act::http("GET", target(&people), Value::Null)
        })
    };
    vec![
        list("GET a user", |people| format!("/Users/{}?attributes=groups", people.ida)),
        operation("GET a user in nested groups", 200, |stage| {
            let people = people(stage);
            let inner = stage.group("Inner", std::slice::from_ref(&people.staff));
            stage.group("Outer", &[inner]);
            Act::http("GET", format!("/Users/{}?attributes=groups", people.ida), Value::Null)
        }),
        list("GET a group", |people| format!("/Groups/{}", people.staff)),
        list("list a page of users", |_| "/Users?startIndex=2&count=2".to_owned()),
        list("list groups", |_| "/Groups".to_owned()),
        list("list by id", |people| format!("/Users?filter=id+eq+%22{}%22", people.ida)),
        list("list by userName", |_| "/Users?filter=userName+eq+%22IDA@ex.test%22".to_owned()),
        list("list by e-mail", |_| "/Users?filter=emails.value+eq+%22ida@ex.test%22".to_owned()),
        list("list by externalId", |_| "/Users?filter=externalId+eq+%22kim%22".to_owned()),
        list("list by group", |people| {
            format!("/Users?filter=groups.value+eq+%22{}%22", people.staff)
        }),
        list("list groups by name", |_| "/Groups?filter=displayName+eq+%22crew%22".to_owned()),
        list("list groups by member", |people| {
            format!("/Groups?filter=members.value+eq+%22{}%22", people.ida)
        }),
        list("list by nothing that has a key", |_| {
            "/Users?filter=displayName+co+%22b%22".to_owned()
        }),
    ]
}

/// Requests of several transactions, or of one as large as it can be.
pub(super) fn with_many() -> Vec<Operation> {
    let grown = |how_many: usize| {
        move |stage: &Stage| {
            let people = crowd(stage, how_many + 1);
            let group = stage.group("Staff", &people[how_many..]);
            let body = on_members("add", &people[..how_many]);
            Act::http("PATCH", format!("/Groups/{group}"), body)
        }
    };
    vec![
        large("DELETE a user with 16 groups", 204, |stage| {
            let ida = stage.user(&mail("ida"));
            for number in 0..16 {
                stage.group(&format!("G{number}"), std::slice::from_ref(&ida));
            }
            Act::http("DELETE", format!("/Users/{ida}"), Value::Null)
        }),
        large("POST a group with 31 members", 201, |stage| {
            let body = json!({"displayName": "New", "members": entries(&crowd(stage, 31))});
            Act::http("POST", "/Groups", body)
        }),
        operation("add 30 members", 204, grown(30)),
        large("add 61 members", 204, grown(61)),
        large("replace 16 of 20 members by others", 204, |stage| {
            let people = crowd(stage, 36);
            let group = stage.group("Staff", &people[..20]);
            Act::http("PATCH", format!("/Groups/{group}"), on_members("replace", &people[16..]))
        }),
        large("DELETE a group with 46 members", 204, |stage| {
            let group = stage.group("Staff", &crowd(stage, 46));
            Act::http("DELETE", format!("/Groups/{group}"), Value::Null)
        }),
        large("the job finishes a sweep", 200, |stage| {
            let ida = stage.user(&mail("ida"));
            for number in 0..16 {
                stage.group(&format!("G{number}"), std::slice::from_ref(&ida));
            }
            let delete = Act::http("DELETE", format!("/Users/{ida}"), Value::Null);
            interrupted(stage, &delete);
            Act::Job
        }),
        large("the job gives up a group that never came", 200, |stage| {
            let body = json!({"displayName": "New", "members": entries(&crowd(stage, 31))});
            interrupted(stage, &Act::http("POST", "/Groups", body));
            stage.pause(std::time::Duration::from_mins(1));
            Act::Job
        }),
    ]
}

/// Does something and cuts the way to the store as soon as a job has been noted.
pub(crate) fn interrupted(stage: &Stage, act: &Act) {
    let keys =
        || stage.snapshot().keys(stage.tenant.as_str()).iter().any(|key| key.starts_with("work#"));
    for call in 0.. {
        let once = Plan::once(Fault::INTERNAL, When::Before);
        stage.actors[0].wire.spoil_by(Plan { call, times: FOR_EVER, ..once });
        stage.act(0, act);
        stage.actors[0].wire.heal();
        if keys() {
            return;
        }
    }
}

/// What the operator does.
pub(super) fn operators() -> Vec<Operation> {
    vec![
        operation("create a tenant", 200, |_| Act::CreateTenant("initech")),
        operation("disable the tenant", 200, |stage| {
            stage.act(0, &Act::Issue("second"));
            Act::Disable
        }),
        Operation {
            is_idempotent: false,
            ..operation("issue a token", 200, |_| Act::Issue("second"))
        },
        operation("revoke a token", 200, |stage| {
            stage.act(0, &Act::Issue("second"));
            Act::Revoke(stage.token_ids().pop().expect("two tokens"))
        }),
    ]
}
