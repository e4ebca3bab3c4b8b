//! The pairs of operations that can meet, each with what has to be there before.

use serde_json::{Value, json};

use crate::races::{entries, on_members, replacing};
use crate::stage::{Act, Stage};

/// Fills a stage, and says what the two do then.
type Prepare = Box<dyn Fn(&Stage) -> [Act; 2]>;

/// Two operations that can meet.
pub(super) struct Pair {
    pub(super) name: &'static str,
    /// Fills the stage, and says what the two do then.
    pub(super) prepare: Prepare,
    /// Both read the token each time, because that is what it is about.
    pub(super) is_cold: bool,
    /// How often a resource was written counts.
    pub(super) is_counted: bool,
    /// What the second may do to the first.
    pub(super) first: First,
    /// Schedules of one exploration when not all are asked for.
    pub(super) schedules: Most,
    /// And of one with a crash.
    pub(super) after_a_crash: Most,
    /// A crash comes after every so-many-th call when not all are asked for.
    pub(super) crash_each: usize,
}

/// What may become of a request under way, besides that it is done or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// After a crash it is repeated, and ends as if there had been none.
    IsRepeated,
    /// The other may give it up: then it is told to come again.
    MayBeGivenUp,
    /// The other makes the repetition a request that is refused: what a crash left of its memberships stays.
    MayStayAPart,
}

/// How many schedules of one exploration are run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) in_order: usize,
    /// When there are more than that: so many more.
    pub(super) by_chance: u64,
}

/// More than a pair of two transactions has.
const EVERY: Most = Most { in_order: 1_000, by_chance: 0 };

fn pair(name: &'static str, prepare: impl Fn(&Stage) -> [Act; 2] + 'static) -> Pair {
    Pair {
        name,
        prepare: Box::new(prepare),
        is_cold: false,
        is_counted: true,
        first: First::IsRepeated,
        schedules: EVERY,
        after_a_crash: EVERY,
        crash_each: 2,
    }
}

fn mail(name: &str) -> String {
    format!("{name}@ex.test")
}

fn create(name: &str) -> Act {
    let body = json!({"userName": mail(name), "emails": [{"value": mail(name)}]});
    Act::http("POST", "/Users", body)
}

fn create_group(name: &str, members: &[String]) -> Act {
    Act::http("POST", "/Groups", json!({"displayName": name, "members": entries(members)}))
}

fn patch_user(id: &str, body: Value) -> Act {
    Act::http("PATCH", format!("/Users/{id}"), body)
}

fn rename(id: &str, name: &str) -> Act {
    patch_user(id, replacing("userName", &mail(name)))
}

fn retitle(id: &str) -> Act {
    patch_user(id, replacing("title", "Chair"))
}

fn patch_group(id: &str, body: Value) -> Act {
    Act::http("PATCH", format!("/Groups/{id}"), body)
}

fn on_member(op: &str, group: &str, member: &str) -> Act {
    patch_group(group, on_members(op, &[member.to_owned()]))
}

/// A PATCH that renames the group as well.
pub(super) fn with_name(mut body: Value, name: &str) -> Value {
    let rename = json!({"op": "replace", "path": "displayName", "value": name});
    body["Operations"].as_array_mut().expect("operations").push(rename);
    body
}

fn rename_group(id: &str, name: &str) -> Act {
    patch_group(id, replacing("displayName", name))
}

fn delete_user(id: &str) -> Act {
    Act::http("DELETE", format!("/Users/{id}"), Value::Null)
}

fn delete_group(id: &str) -> Act {
    Act::http("DELETE", format!("/Groups/{id}"), Value::Null)
}

fn two(stage: &Stage) -> [String; 2] {
    [stage.user(&mail("ida")), stage.user(&mail("bob"))]
}

/// Pairs about people.
pub(super) fn people() -> Vec<Pair> {
    let mut pairs = of_names();
    pairs.extend(of_one_person());
    pairs.extend(of_links());
    pairs
}

fn of_names() -> Vec<Pair> {
    vec![
        pair("create/create one name", |_| [create("new"), create("NEW")]),
        pair("create/rename to one name", move |stage| {
            [create("new"), rename(&two(stage)[0], "new")]
        }),
        pair("rename/rename to one name", move |stage| {
            let [ida, bob] = two(stage);
            [rename(&ida, "new"), rename(&bob, "new")]
        }),
        pair("rename/rename of one person", move |stage| {
            let [ida, _] = two(stage);
            [rename(&ida, "new"), rename(&ida, "newer")]
        }),
        pair("rename away/rename to the name", move |stage| {
            let [ida, bob] = two(stage);
            [rename(&bob, "ben"), rename(&ida, "bob")]
        }),
    ]
}

fn of_one_person() -> Vec<Pair> {
    vec![
        pair("rename/patch", move |stage| {
            let [ida, _] = two(stage);
            [rename(&ida, "new"), retitle(&ida)]
        }),
        pair("rename/get", move |stage| {
            let [ida, _] = two(stage);
            let get = Act::http("GET", format!("/Users/{ida}?attributes=userName"), Value::Null);
            [rename(&ida, "new"), get]
        }),
        pair("patch/delete", move |stage| {
            let [ida, _] = two(stage);
            [retitle(&ida), delete_user(&ida)]
        }),
        pair("rename/delete", move |stage| {
            let [ida, _] = two(stage);
            [rename(&ida, "new"), delete_user(&ida)]
        }),
        pair("delete/delete", move |stage| {
            let [ida, _] = two(stage);
            [delete_user(&ida), delete_user(&ida)]
        }),
        pair("delete/create of the name", move |stage| {
            [delete_user(&two(stage)[0]), create("ida")]
        }),
        pair("put/patch", move |stage| {
            let [ida, _] = two(stage);
            let body = json!({"userName": mail("ida"), "displayName": "Ida"});
            [Act::http("PUT", format!("/Users/{ida}"), body), retitle(&ida)]
        }),
        pair("put/put", move |stage| {
            let [ida, _] = two(stage);
            let put = |title: &str| {
                let body = json!({"userName": mail("ida"), "title": title});
                Act::http("PUT", format!("/Users/{ida}"), body)
            };
            [put("Chair"), put("Director")]
        }),
        pair("disable/enable", move |stage| {
            let [ida, _] = two(stage);
            let active = |is: bool| {
                patch_user(
                    &ida,
                    json!({"Operations": [{"op": "replace", "value": {"active": is}}]}),
                )
            };
            [active(false), active(true)]
        }),
        pair("rename/list by the name", move |stage| {
            let [ida, _] = two(stage);
            let list = "/Users?filter=userName+eq+%22new@ex.test%22&attributes=userName";
            [rename(&ida, "new"), Act::http("GET", list, Value::Null)]
        }),
        pair("delete/get", move |stage| {
            let [ida, _] = two(stage);
            let get = Act::http("GET", format!("/Users/{ida}"), Value::Null);
            [delete_user(&ida), get]
        }),
    ]
}

fn of_links() -> Vec<Pair> {
    vec![
        pair("link/link", move |stage| {
            let [ida, _] = two(stage);
            let link = |app_id| Act::Link { id: ida.clone(), app_id };
            [link("account-7"), link("account-8")]
        }),
        pair("link/rename", move |stage| {
            let [ida, _] = two(stage);
            [Act::Link { id: ida.clone(), app_id: "account-7" }, rename(&ida, "new")]
        }),
        pair("link/delete", move |stage| {
            let [ida, _] = two(stage);
            [Act::Link { id: ida.clone(), app_id: "account-7" }, delete_user(&ida)]
        }),
    ]
}

/// Staff with Ida; Bob outside.
struct Team {
    ida: String,
    bob: String,
    staff: String,
}

fn staff(stage: &Stage) -> Team {
    let (ida, bob) = (stage.user(&mail("ida")), stage.user(&mail("bob")));
    let staff = stage.group("Staff", std::slice::from_ref(&ida));
    Team { ida, bob, staff }
}

fn on_staff(name: &'static str, acts: impl Fn(&Team) -> [Act; 2] + 'static) -> Pair {
    pair(name, move |stage| acts(&staff(stage)))
}

/// Pairs about resources of a deployment's own type.
pub(super) fn others() -> Vec<Pair> {
    let create = |name: &str| {
        Act::http("POST", "/Devices", json!({"displayName": name, "externalId": name}))
    };
    let patch = |id: &str, path: &str, value: &str| {
        Act::http("PATCH", format!("/Devices/{id}"), replacing(path, value))
    };
    let delete = |id: &str| Act::http("DELETE", format!("/Devices/{id}"), Value::Null);
    vec![
        pair("create device/create device of one name", move |stage| {
            stage.with_devices();
            [create("Lathe"), create("Lathe")]
        }),
        pair("patch device/patch device", move |stage| {
            stage.with_devices();
            let id = stage.device("Lathe");
            [patch(&id, "site", "lyon"), patch(&id, "displayName", "Mill")]
        }),
        pair("patch device/delete device", move |stage| {
            stage.with_devices();
            let id = stage.device("Lathe");
            [patch(&id, "site", "lyon"), delete(&id)]
        }),
        pair("delete device/delete device", move |stage| {
            stage.with_devices();
            let id = stage.device("Lathe");
            [delete(&id), delete(&id)]
        }),
    ]
}

/// Pairs about groups and their members.
pub(super) fn groups() -> Vec<Pair> {
    let mut pairs = of_group_names();
    pairs.extend(of_memberships());
    pairs.extend(of_ends());
    pairs.extend(of_nested());
    pairs
}

fn of_group_names() -> Vec<Pair> {
    vec![
        pair("create group/create group of one name", |_| {
            [create_group("New", &[]), create_group("new", &[])]
        }),
        pair("group rename/group rename to one name", |stage| {
            let (one, two) = (stage.group("One", &[]), stage.group("Two", &[]));
            [rename_group(&one, "New"), rename_group(&two, "New")]
        }),
        on_staff("group rename/group rename of one group", |s| {
            [rename_group(&s.staff, "Crew"), rename_group(&s.staff, "Band")]
        }),
        pair("create group/group rename to one name", |stage| {
            let one = stage.group("One", &[]);
            [create_group("New", &[]), rename_group(&one, "New")]
        }),
        pair("group rename away/group rename to the name", |stage| {
            let (one, two) = (stage.group("One", &[]), stage.group("Two", &[]));
            [rename_group(&two, "Three"), rename_group(&one, "Two")]
        }),
        on_staff("delete group/create group of the name", |s| {
            [delete_group(&s.staff), create_group("Staff", &[])]
        }),
        on_staff("delete group/delete group", |s| [delete_group(&s.staff), delete_group(&s.staff)]),
        on_staff("group rename/delete group", |s| {
            [rename_group(&s.staff, "Crew"), delete_group(&s.staff)]
        }),
    ]
}

fn of_memberships() -> Vec<Pair> {
    vec![
        on_staff("add/add the same", |s| {
            [on_member("add", &s.staff, &s.bob), on_member("add", &s.staff, &s.bob)]
        }),
        on_staff("add/remove the same", |s| {
            [on_member("add", &s.staff, &s.bob), on_member("remove", &s.staff, &s.bob)]
        }),
        on_staff("remove/remove the same", |s| {
            [on_member("remove", &s.staff, &s.ida), on_member("remove", &s.staff, &s.ida)]
        }),
        on_staff("add/remove another", |s| {
            [on_member("add", &s.staff, &s.bob), on_member("remove", &s.staff, &s.ida)]
        }),
        on_staff("replace/add", |s| {
            [on_member("replace", &s.staff, &s.bob), on_member("add", &s.staff, &s.ida)]
        }),
        on_staff("rename group/add", |s| {
            [rename_group(&s.staff, "Crew"), on_member("add", &s.staff, &s.bob)]
        }),
        on_staff("put group/add", |s| {
            let body =
                json!({"displayName": "Crew", "members": entries(std::slice::from_ref(&s.ida))});
            let put = Act::http("PUT", format!("/Groups/{}", s.staff), body);
            [put, on_member("add", &s.staff, &s.bob)]
        }),
        on_staff("replace/replace", |s| {
            [on_member("replace", &s.staff, &s.bob), on_member("replace", &s.staff, &s.ida)]
        }),
        pair("add to one group/add to another", |stage| {
            let bob = stage.user(&mail("bob"));
            let (one, two) = (stage.group("One", &[]), stage.group("Two", &[]));
            [on_member("add", &one, &bob), on_member("add", &two, &bob)]
        }),
        on_staff("rename user/add it", |s| {
            [rename(&s.bob, "ben"), on_member("add", &s.staff, &s.bob)]
        }),
    ]
}

/// Groups that come into groups: which of two that close a circle together is refused, and nothing else is.
fn of_nested() -> Vec<Pair> {
    fn nested(
        name: &'static str,
        acts: impl Fn(&Stage, &[String; 3]) -> [Act; 2] + 'static,
    ) -> Pair {
        pair(name, move |stage| {
            let groups = ["One", "Two", "Three"].map(|name| stage.group(name, &[]));
            acts(stage, &groups)
        })
    }
    vec![
        nested("nest/nest the other way round", |_, [one, two, _]| {
            [on_member("add", one, two), on_member("add", two, one)]
        }),
        nested("nest/close a circle of three", |stage, [one, two, three]| {
            stage.act(0, &on_member("add", one, two));
            [on_member("add", two, three), on_member("replace", three, one)]
        }),
        nested("nest/put the other way round", |_, [one, two, _]| {
            let body = json!({"displayName": "Two", "members": entries(std::slice::from_ref(one))});
            [on_member("add", one, two), Act::http("PUT", format!("/Groups/{two}"), body)]
        }),
        nested("nest/nest elsewhere", |_, [one, two, three]| {
            [on_member("add", one, two), on_member("add", three, two)]
        }),
        nested("nest the other way round/take out", |stage, [one, two, _]| {
            stage.act(0, &on_member("add", one, two));
            [on_member("add", two, one), on_member("remove", one, two)]
        }),
        nested("nest the other way round/delete what is between", |stage, [one, two, three]| {
            stage.act(0, &on_member("add", one, two));
            stage.act(0, &on_member("add", two, three));
            [on_member("add", three, one), delete_group(two)]
        }),
        nested("nest/delete it", |_, [one, two, _]| {
            [on_member("add", one, two), delete_group(two)]
        }),
        nested("nest/add a person", |stage, [one, two, _]| {
            let ida = stage.user(&mail("ida"));
            [on_member("add", one, two), on_member("add", two, &ida)]
        }),
    ]
}

/// Somebody or something that a membership is about comes to its end.
fn of_ends() -> Vec<Pair> {
    vec![
        on_staff("patch user/delete group", |s| [retitle(&s.ida), delete_group(&s.staff)]),
        on_staff("delete user/replace by it", |s| {
            [delete_user(&s.bob), on_member("replace", &s.staff, &s.bob)]
        }),
        pair("delete a member/delete another member", |stage| {
            let (ida, bob) = (stage.user(&mail("ida")), stage.user(&mail("bob")));
            stage.group("Staff", &[ida.clone(), bob.clone()]);
            [delete_user(&ida), delete_user(&bob)]
        }),
        on_staff("delete user/group rename", |s| {
            [delete_user(&s.ida), rename_group(&s.staff, "Crew")]
        }),
        on_staff("delete user/add it", |s| {
            [delete_user(&s.bob), on_member("add", &s.staff, &s.bob)]
        }),
        on_staff("delete user/remove it", |s| {
            [delete_user(&s.ida), on_member("remove", &s.staff, &s.ida)]
        }),
        on_staff("delete group/add to it", |s| {
            [delete_group(&s.staff), on_member("add", &s.staff, &s.bob)]
        }),
        on_staff("delete user/delete group", |s| [delete_user(&s.ida), delete_group(&s.staff)]),
        on_staff("delete user/create group with it", |s| {
            [delete_user(&s.ida), create_group("New", std::slice::from_ref(&s.ida))]
        }),
        on_staff("delete group/get the user's groups", |s| {
            let get = format!("/Users/{}?attributes=groups", s.ida);
            [delete_group(&s.staff), Act::http("GET", get, Value::Null)]
        }),
        pair("add inner/delete inner group", |stage| {
            let (inner, outer) = (stage.group("Inner", &[]), stage.group("Outer", &[]));
            [on_member("add", &outer, &inner), delete_group(&inner)]
        }),
        pair("delete inner/delete outer group", |stage| {
            let inner = stage.group("Inner", &[]);
            let outer = stage.group("Outer", std::slice::from_ref(&inner));
            [delete_group(&inner), delete_group(&outer)]
        }),
    ]
}

fn cold(pair: Pair) -> Pair {
    Pair { is_cold: true, ..pair }
}

/// Pairs about settings and tokens.
pub(super) fn settings() -> Vec<Pair> {
    vec![
        cold(pair("disable tenant/create", |_| [Act::Disable, create("new")])),
        cold(pair("disable tenant/rename", |stage| {
            [Act::Disable, rename(&stage.user(&mail("ida")), "new")]
        })),
        cold(pair("disable tenant/delete", |stage| {
            [Act::Disable, delete_user(&stage.user(&mail("ida")))]
        })),
        cold(pair("disable tenant/add", |stage| {
            let team = staff(stage);
            [Act::Disable, on_member("add", &team.staff, &team.bob)]
        })),
        cold(pair("disable tenant/create group", |_| [Act::Disable, create_group("New", &[])])),
        cold(pair("disable tenant/delete group", |stage| {
            [Act::Disable, delete_group(&staff(stage).staff)]
        })),
        pair("disable tenant/link", |stage| {
            [Act::Disable, Act::Link { id: stage.user(&mail("ida")), app_id: "account-7" }]
        }),
        cold(pair("revoke the token/create", |stage| {
            let own = stage.token_ids().pop().expect("a token");
            [Act::Revoke(own), create("new")]
        })),
        pair("issue/disable tenant", |_| [Act::Issue("second"), Act::Disable]),
        pair("issue/issue", |_| [Act::Issue("second"), Act::Issue("third")]),
        pair("revoke/disable tenant", |stage| {
            stage.act(0, &Act::Issue("second"));
            let second = stage.token_ids().pop().expect("two tokens");
            [Act::Revoke(second), Act::Disable]
        }),
        pair("revoke/revoke", |stage| {
            stage.act(0, &Act::Issue("second"));
            let second = stage.token_ids().pop().expect("two tokens");
            [Act::Revoke(second.clone()), Act::Revoke(second)]
        }),
        pair("create tenant/create tenant of one name", |_| {
            [Act::CreateTenant("initech"), Act::CreateTenant("initech")]
        }),
    ]
}

/// Pairs of which one takes several transactions, and the scheduled job.
pub(super) fn large() -> Vec<Pair> {
    let mut pairs = of_large_groups();
    pairs.extend(of_many_members());
    pairs.extend(of_sweeps());
    pairs
}

fn several(pair: Pair) -> Pair {
    Pair {
        is_counted: false,
        schedules: Most { in_order: 1, by_chance: 1 },
        after_a_crash: Most { in_order: 0, by_chance: 1 },
        crash_each: 4,
        ..pair
    }
}

fn crowd(stage: &Stage, how_many: usize) -> Vec<String> {
    (0..how_many).map(|number| stage.user(&mail(&format!("p{number}")))).collect()
}

fn of_large_groups() -> Vec<Pair> {
    vec![
        several(pair("create large group/delete a member", move |stage| {
            let people = crowd(stage, 31);
            [create_group("New", &people), delete_user(&people[30])]
        })),
        several(pair("create large group/create group of that name", move |stage| {
            [create_group("New", &crowd(stage, 31)), create_group("new", &[])]
        })),
        Pair {
            first: First::MayBeGivenUp,
            ..several(pair("create large group/give it up", move |stage| {
                [create_group("New", &crowd(stage, 31)), Act::LateJob]
            }))
        },
        several(pair("delete large group/delete a member", move |stage| {
            let people = crowd(stage, 16);
            [delete_group(&stage.group("Staff", &people)), delete_user(&people[0])]
        })),
        several(pair("delete large group/add to it", move |stage| {
            let people = crowd(stage, 17);
            let group = stage.group("Staff", &people[..16]);
            [delete_group(&group), on_member("add", &group, &people[16])]
        })),
    ]
}

fn of_many_members() -> Vec<Pair> {
    vec![
        several(pair("put many/rename and remove one of them", move |stage| {
            let people = crowd(stage, 31);
            let group = stage.group("Staff", &[]);
            let put = json!({"displayName": "Crew", "members": entries(&people)});
            let other = with_name(on_members("remove", &people[..1]), "Band");
            [Act::http("PUT", format!("/Groups/{group}"), put), patch_group(&group, other)]
        })),
        several(pair("add many and rename/rename and remove one of them", move |stage| {
            let people = crowd(stage, 31);
            let group = stage.group("Staff", &[]);
            let add = with_name(on_members("add", &people), "Crew");
            let other = with_name(on_members("remove", &people[..1]), "Band");
            [patch_group(&group, add), patch_group(&group, other)]
        })),
        Pair {
            first: First::MayStayAPart,
            ..several(pair("add many/delete one of them", move |stage| {
                let people = crowd(stage, 31);
                let group = stage.group("Staff", &[]);
                [patch_group(&group, on_members("add", &people)), delete_user(&people[0])]
            }))
        },
        several(pair("add many/delete the group", move |stage| {
            let people = crowd(stage, 31);
            let group = stage.group("Staff", &[]);
            [patch_group(&group, on_members("add", &people)), delete_group(&group)]
        })),
        several(pair("add many/remove one of them", move |stage| {
            let people = crowd(stage, 31);
            let group = stage.group("Staff", &[]);
            let add = patch_group(&group, on_members("add", &people));
            [add, on_member("remove", &group, &people[0])]
        })),
    ]
}

fn of_sweeps() -> Vec<Pair> {
    vec![
        several(pair("sweep/add", move |stage| {
            let ida = stage.user(&mail("ida"));
            let groups: Vec<String> = (0..16)
                .map(|number| stage.group(&format!("G{number}"), std::slice::from_ref(&ida)))
                .collect();
            let bob = stage.user(&mail("bob"));
            crate::faults::interrupted(stage, &delete_user(&ida));
            [Act::Job, on_member("add", &groups[0], &bob)]
        })),
        several(pair("sweep/sweep", move |stage| {
            let ida = stage.user(&mail("ida"));
            for number in 0..16 {
                stage.group(&format!("G{number}"), std::slice::from_ref(&ida));
            }
            crate::faults::interrupted(stage, &delete_user(&ida));
            [Act::Job, Act::Job]
        })),
    ]
}
