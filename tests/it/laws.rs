//! Laws of lists: planning changes nothing, pages are slices of the whole, and putting back what was read is no change.
//!
//! A filter that a key, a match item or an index answers has to find what the same filter finds among all resources. It
//! is evaluated twice on the unfiltered list: by the server's own evaluation, and by a plain one of this file's.

mod filter;
mod order;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{self, TestCaseError, TestError, TestRunner};
use scim_endpoint::scim::catalog::Kind;
use scim_endpoint::scim::filter::Filter;
use serde_json::{Value, json};

use self::filter::{Ids, Leaf, Operand, Tree};
use crate::app::App;

const MAILS: [&str; 4] = ["ann@ex.test", "Ann@ex.test", "bo@ex.test", "b#%@ex.test"];
const EXTERNAL_IDS: [&str; 4] = ["x1", "X1", "x2", "x#%2"];
const NAMES: [&str; 4] = ["Ann", "ann", "Eng", "E*"];

/// Who is in a tenant: users, and groups with members.
#[derive(Clone, Debug)]
struct Population {
    users: Vec<Value>,
    groups: Vec<Team>,
}

#[derive(Clone, Debug)]
struct Team {
    external_id: Option<&'static str>,
    /// Users, and groups that are created before this one, by their number.
    users: Vec<usize>,
    groups: Vec<usize>,
}

/// What is asked: of which kind, which filter if any, which page.
#[derive(Clone, Debug)]
struct Query {
    kind: Kind,
    filter: Option<Tree>,
    start_index: usize,
    count: usize,
}

#[test]
fn planning_changes_nothing_and_pages_are_slices() {
    let queries = vec(query(), 20..40);
    check((population(), queries), 6, async |(population, queries)| {
        let app = App::start().await;
        let ids = settle(&app, &population).await;
        let users = everybody(&app, Kind::User).await?;
        let groups = everybody(&app, Kind::Group).await?;
        for query in &queries {
            let all = match query.kind {
                Kind::User => &users,
                Kind::Group | Kind::Custom(_) => &groups,
            };
            ask(&app, query, &ids, all).await?;
        }
        Ok(())
    });
}

#[test]
fn putting_back_what_was_read_changes_nothing() {
    check(population(), 2, async |population| {
        let app = App::start().await;
        settle(&app, &population).await;
        for endpoint in ["/Users", "/Groups"] {
            let list = app.call("GET", &format!("{endpoint}?count=200"), Value::Null).await.json();
            for before in list["Resources"].as_array().into_iter().flatten() {
                let target = format!("{endpoint}/{}", before["id"].as_str().unwrap_or_default());
                let after = app.call("PUT", &target, before.clone()).await;
                if after.json() != *before {
                    return Err(format!("PUT {target} {before}\nfound {after:?}"));
                }
            }
            let again = app.call("GET", &format!("{endpoint}?count=200"), Value::Null).await.json();
            if again != list {
                return Err(format!("{endpoint}\nbefore {list}\nafter {again}"));
            }
        }
        Ok(())
    });
}

/// Holds a law against random values; `PROPTEST_CASES` raises their number.
pub(crate) fn check<S: Strategy>(
    strategy: S,
    usual: u32,
    law: impl AsyncFn(S::Value) -> Result<(), String>,
) {
    let set = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = test_runner::Config {
        cases: set.unwrap_or(usual),
        failure_persistence: None,
        max_shrink_time: 120_000,
        ..test_runner::Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let held = TestRunner::new(config)
        .run(&strategy, |value| runtime.block_on(law(value)).map_err(TestCaseError::fail));
    match held {
        Ok(()) => {}
        Err(TestError::Fail(why, value)) => panic!("{why}\n\nwith {value:#?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn population() -> impl Strategy<Value = Population> {
    let team = (
        option::of(select(EXTERNAL_IDS.to_vec())),
        btree_set(0..8_usize, 0..5),
        btree_set(0..4_usize, 0..2),
    );
    let team = team.prop_map(|(external_id, users, groups)| Team {
        external_id,
        users: users.into_iter().collect(),
        groups: groups.into_iter().collect(),
    });
    (vec(user(), 0..8), vec(team, 0..4)).prop_map(|(mut users, groups)| {
        for (number, user) in users.iter_mut().enumerate() {
            user["userName"] = json!(user_name(number));
        }
        Population { users, groups }
    })
}

fn user() -> impl Strategy<Value = Value> {
    let mail = (select(MAILS.to_vec()), select(vec!["work", "home"]))
        .prop_map(|(value, kind)| json!({"type": kind, "value": value}));
    (
        option::of(select(EXTERNAL_IDS.to_vec())),
        option::of(select(NAMES.to_vec())),
        any::<bool>(),
        vec(mail, 0..3),
        option::of(select(vec!["R&D", "r&d"])),
    )
        .prop_map(|(external_id, display_name, active, emails, department)| {
            json!({
                "externalId": external_id,
                "displayName": display_name,
                "active": active,
                "emails": emails,
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                    {"department": department},
            })
        })
}

fn user_name(number: usize) -> String {
    format!("User-{number}#@ex.test")
}

fn group_name(number: usize) -> String {
    format!("Eng{}", "*".repeat(number))
}

fn query() -> impl Strategy<Value = Query> {
    let kind = select(vec![Kind::User, Kind::Group]);
    let query = kind.prop_flat_map(|kind| {
        (Just(kind), option::weighted(0.9, tree(kind)), 0..6_usize, 0..6_usize)
    });
    query.prop_map(|(kind, filter, start_index, count)| Query { kind, filter, start_index, count })
}

fn tree(kind: Kind) -> BoxedStrategy<Tree> {
    let leaf = leaf(kind).prop_map(Tree::Leaf);
    let leaf = match kind {
        Kind::User => {
            let value = select(MAILS.to_vec()).prop_map(Operand::Text);
            let types = select(vec!["work", "HOME"]).prop_map(Operand::Text);
            let (value, types) = (compared("value", value), compared("type", types));
            let brackets = (types, value).prop_map(|(a, b)| Tree::Brackets("emails", a, b));
            prop_oneof![5 => leaf, 1 => brackets].boxed()
        }
        Kind::Group | Kind::Custom(_) => {
            let value = (0..8_usize).prop_map(Operand::User);
            let types = select(vec!["User", "group"]).prop_map(Operand::Text);
            let (value, types) = (compared("value", value), compared("type", types));
            let brackets = (types, value).prop_map(|(a, b)| Tree::Brackets("members", a, b));
            prop_oneof![5 => leaf, 1 => brackets].boxed()
        }
    };
    let tree = leaf.prop_recursive(3, 8, 2, |inner| {
        let pair = (inner.clone().prop_map(Box::new), inner.clone().prop_map(Box::new));
        prop_oneof![
            4 => pair.clone().prop_map(|(left, right)| Tree::And(left, right)),
            2 => pair.prop_map(|(left, right)| Tree::Or(left, right)),
            1 => inner.prop_map(|tree| Tree::Not(Box::new(tree))),
        ]
    });
    tree.boxed()
}

/// A comparison: equality most of the time, because that is what can be planned.
fn compared(
    path: &'static str,
    operand: impl Strategy<Value = Operand> + 'static,
) -> BoxedStrategy<Leaf> {
    let operator = prop_oneof![6 => Just("eq"), 1 => select(vec!["ne", "co", "sw", "ew"])];
    let compared =
        (operator, operand).prop_map(move |(operator, operand)| Leaf { path, operator, operand });
    let present = Just(Leaf { path, operator: "pr", operand: Operand::None });
    prop_oneof![9 => compared, 1 => present].boxed()
}

fn leaf(kind: Kind) -> BoxedStrategy<Leaf> {
    let text = |texts: &[&'static str]| select(texts.to_vec()).prop_map(Operand::Text);
    let user = || (0..9_usize).prop_map(Operand::User);
    let group = || (0..5_usize).prop_map(Operand::Group);
    let external_id = compared("externalId", text(&EXTERNAL_IDS));
    match kind {
        Kind::User => prop_oneof![
            3 => compared("userName", text(&["user-0#@ex.test", "USER-1#@EX.TEST", "user-2#@ex.test", "user-"])),
            2 => external_id,
            2 => compared("emails.value", text(&MAILS)),
            1 => compared("emails", text(&MAILS)),
            1 => compared("emails.type", text(&["work", "Home"])),
            1 => compared("emails[type eq \"work\"].value", text(&MAILS)),
            1 => compared("displayName", text(&NAMES)),
            1 => compared("department", text(&["r&d"])),
            2 => compared("id", user()),
            2 => compared("groups.value", group()),
            1 => compared("groups", group()),
            1 => compared("groups.display", text(&["eng", "Eng*"])),
            1 => any::<bool>().prop_map(|flag| Leaf {
                path: "active",
                operator: "eq",
                operand: Operand::Flag(flag),
            }),
        ]
        .boxed(),
        Kind::Group | Kind::Custom(_) => prop_oneof![
            2 => compared("displayName", text(&["ENG", "eng*", "Eng**", "En"])),
            2 => external_id,
            2 => compared("id", group()),
            3 => compared("members.value", user()),
            1 => compared("members.value", group()),
            2 => compared("members", user()),
            1 => compared("members.type", text(&["User", "group"])),
        ]
        .boxed(),
    }
}

/// Creates everybody, and says under which ids.
async fn settle(app: &App, population: &Population) -> Ids {
    let mut ids = Ids { users: Vec::new(), groups: Vec::new() };
    for user in &population.users {
        ids.users.push(app.call("POST", "/Users", user.clone()).await.expect(201).id());
    }
    for (number, team) in population.groups.iter().enumerate() {
        let users = team.users.iter().filter_map(|user| ids.users.get(*user));
        let groups = team.groups.iter().filter_map(|group| ids.groups.get(*group));
        let members: Vec<Value> = users.chain(groups).map(|id| json!({"value": id})).collect();
        let group = json!({
            "displayName": group_name(number),
            "externalId": team.external_id,
            "members": members,
        });
        ids.groups.push(app.call("POST", "/Groups", group).await.expect(201).id());
    }
    ids
}

/// The whole list of a kind, with what is returned only on request.
async fn everybody(app: &App, kind: Kind) -> Result<Vec<Value>, String> {
    let target = match kind {
        Kind::User => {
            "/Users?count=200&attributes=userName,externalId,displayName,active,emails,groups,meta,\
             urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
        }
        Kind::Group | Kind::Custom(_) => "/Groups?count=200",
    };
    let list = app.call("GET", target, Value::Null).await.expect(200).json();
    let mut all = list["Resources"].as_array().cloned().unwrap_or_default();
    for user in &mut all {
        // A filter looks at what somebody is a member of, and the answer shows what is above it, too.
        if let Some(groups) = user["groups"].as_array_mut() {
            groups.retain(|group| group["type"] == "direct");
        }
    }
    let key = |at: &Value| (at["meta"]["created"].to_string(), at["id"].to_string());
    if list["totalResults"] != json!(all.len()) || !all.is_sorted_by_key(key) {
        return Err(format!("GET {target}\nthe total or the order\nfound {list}"));
    }
    Ok(all)
}

/// Sends a query, and compares the whole answer and a page of it with what is found in the whole list.
async fn ask(app: &App, query: &Query, ids: &Ids, all: &[Value]) -> Result<(), String> {
    let endpoint = match query.kind {
        Kind::User => "/Users",
        Kind::Group | Kind::Custom(_) => "/Groups",
    };
    let (expected, target) = match &query.filter {
        None => (all.iter().collect(), format!("{endpoint}?")),
        Some(tree) => {
            let text = tree.text(ids);
            let filter = utf8_percent_encode(&text, NON_ALPHANUMERIC);
            let target = format!("{endpoint}?filter={filter}&");
            (found_in(app, query.kind, &text, (tree, ids), all)?, target)
        }
    };
    let expected: Vec<&str> = expected.iter().filter_map(|one| one["id"].as_str()).collect();
    let (start_index, count) = (query.start_index, query.count);
    for (page, start_index, count) in [
        (String::new(), 1, 100),
        (format!("startIndex={start_index}&count={count}"), start_index.max(1), count),
    ] {
        let list = app.call("GET", &format!("{target}{page}"), Value::Null).await.json();
        let found = list["Resources"].as_array().cloned().unwrap_or_default();
        let found: Vec<&str> = found.iter().filter_map(|one| one["id"].as_str()).collect();
        let shown = expected.iter().skip(start_index - 1).take(count);
        let shown: Vec<&str> = shown.copied().collect();
        let is_as_it_says = list["totalResults"] == json!(expected.len())
            && list["startIndex"] == json!(start_index)
            && list["itemsPerPage"] == json!(shown.len());
        if found != shown || !is_as_it_says {
            let filter = query.filter.as_ref().map(|tree| tree.text(ids));
            return Err(format!(
                "{filter:?}\nGET {target}{page}\nexpected {shown:?} of {expected:?}\nfound {list}"
            ));
        }
    }
    Ok(())
}

/// The resources that a filter selects, by both evaluations.
fn found_in<'v>(
    app: &App,
    kind: Kind,
    text: &str,
    (tree, ids): (&Tree, &Ids),
    all: &'v [Value],
) -> Result<Vec<&'v Value>, String> {
    let filter = Filter::parse(text).map_err(|error| format!("{text}: {error}"))?;
    let bound = filter.bind(app.store().catalog().resource_type(kind));
    let bound = bound.map_err(|error| format!("{text}: {error}"))?;
    let mut found = Vec::new();
    for resource in all {
        let plainly = tree.holds(ids, resource);
        if bound.matches(resource.as_object().expect("a resource is an object")) != plainly {
            return Err(format!("{text}\nmatches {resource}: {}", !plainly));
        }
        if plainly {
            found.push(resource);
        }
    }
    Ok(found)
}
