//! Looking at everything that a tenant can see, and comparing it with the model.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::directory::{Directory, Group, Stored, Touched, User, World, same};
use super::operation::{DISPLAY_NAMES, EXTERNAL_IDS, GROUP_NAMES, MAILS, Side, USER_NAMES};
use super::wire;
use crate::app::{Answer, App};

/// The representation of each resource when it was last looked at.
pub(super) type Seen = BTreeMap<String, Value>;

/// Something that a tenant asks for, and what it should get.
#[derive(Clone, Debug)]
struct Question {
    target: String,
    expected: Expected,
}

#[derive(Clone, Debug)]
enum Expected {
    /// 404.
    Nothing,
    /// 200 with this resource.
    Resource(Value),
    /// 200 with exactly these resources, in this order.
    List(Vec<Value>),
    /// 200 with exactly the resources that have these ids, in this order.
    Ids(Vec<String>),
}

/// How closely a tenant is looked at. `turn` chooses among spellings, and what is asked in turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance<'a> {
    pub(super) side: Side,
    pub(super) scope: Scope<'a>,
    pub(super) turn: usize,
}

/// What is asked for beside the whole lists, which have every representation in them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    /// Each id, each text that anybody could have, each group's members and each member's groups.
    Everything,
    /// Those that an operation has touched, and one more of each sort in turn.
    Touched(&'a Touched),
    /// Nothing: the lists alone, without the users' groups.
    Lists,
}

impl Scope<'_> {
    /// Whether an id is to be asked for.
    fn has_id(self, id: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Touched(touched) => touched.ids.contains(id),
            Self::Lists => false,
        }
    }

    /// Whether one of these texts is to be searched for.
    fn has_text(self, row: &[&'static str]) -> bool {
        match self {
            Self::Everything => true,
            Self::Touched(touched) => row.iter().any(|text| touched.texts.contains(text)),
            Self::Lists => false,
        }
    }
}

/// Asks as one tenant for all that it has, and for what it must not have.
///
/// # Errors
/// The first difference.
pub(super) async fn look(
    app: &App,
    world: &World,
    glance: Glance<'_>,
    seen: &mut Seen,
) -> Result<(), String> {
    let token = token(app, glance.side);
    let asked = questions(app, world, glance).into_iter().map(async |question| {
        let answer = app.call_as(&token, "GET", &question.target, Value::Null).await;
        compare(&question, &answer)?;
        Ok::<_, String>(answer)
    });
    for answer in try_join_all(asked).await? {
        remember(&answer.json(), seen)?;
    }
    Ok(())
}

/// The token of a tenant.
pub(super) fn token(app: &App, side: Side) -> String {
    match side {
        Side::Acme => app.token(),
        Side::Globex => app.other_token(),
    }
}

fn questions(app: &App, world: &World, glance: Glance<'_>) -> Vec<Question> {
    let Glance { side, scope, turn } = glance;
    let (base, own) = (app.base_url(), world.of(side));
    let mut all = lists(&base, own);
    if matches!(scope, Scope::Lists) {
        return all;
    }
    all.push(groups_of_users(&base, own));
    for (at, (id, user)) in own.users.iter().enumerate() {
        if scope.has_id(id) || at == turn % own.users.len() {
            all.push(by_id("Users", id, Expected::Resource(wire::user(&base, id, user))));
        }
    }
    for (at, (id, group)) in own.groups.iter().enumerate() {
        if scope.has_id(id) || at == turn % own.groups.len() {
            let whole = wire::group(&base, id, group, |id| own.groups.contains_key(id));
            all.push(by_id("Groups", id, Expected::Resource(whole)));
        }
    }
    let foreign = world.of(side.other());
    let absent = foreign.users.keys().chain(foreign.groups.keys()).chain(&own.deleted);
    for (at, id) in absent.enumerate() {
        let deleted = own.deleted.contains(id) && scope.has_id(id);
        if deleted || at == turn % (foreign.users.len() + foreign.groups.len()).max(1) {
            all.push(by_id("Users", id, Expected::Nothing));
            all.push(by_id("Groups", id, Expected::Nothing));
            all.push(filtered("Groups", &format!("members.value eq \"{id}\""), Vec::new()));
        }
    }
    all.extend(user_filters(own, glance));
    all.extend(group_filters(own, glance));
    all.extend(membership_filters(own, glance));
    all
}

/// Every representation, and every group's members.
fn lists(base: &str, own: &Directory) -> Vec<Question> {
    let users = own.users.iter().map(|(id, user)| wire::user(base, id, user));
    let is_group = |id: &str| own.groups.contains_key(id);
    let groups = own.groups.iter().map(|(id, group)| wire::group(base, id, group, is_group));
    vec![list("/Users?count=200", users.collect()), list("/Groups?count=200", groups.collect())]
}

/// Every user's groups.
fn groups_of_users(base: &str, own: &Directory) -> Question {
    let users = own.users.keys().map(|user| {
        let [direct, indirect] = own.groups_of(user);
        let ways = direct.iter().map(|id| (id, "direct"));
        let ways = ways.chain(indirect.iter().map(|id| (id, "indirect")));
        let entry = |(id, way): (&&String, &str)| {
            wire::group_of_user(base, (id, way), &own.groups[id.as_str()].is)
        };
        let groups: Vec<Value> = ways.map(entry).collect();
        match groups.as_slice() {
            [] => json!({"id": user}),
            groups => json!({"id": user, "groups": groups}),
        }
    });
    list("/Users?count=200&attributes=groups", users.collect())
}

fn list(target: &str, resources: Vec<Value>) -> Question {
    Question { target: target.to_owned(), expected: Expected::List(resources) }
}

fn user_filters(own: &Directory, glance: Glance<'_>) -> Vec<Question> {
    let users = |filter: String, fits: &dyn Fn(&User) -> bool| {
        let fitting = own.users.iter().filter(|(_, user)| fits(&user.is));
        filtered("Users", &filter, fitting.map(|(id, _)| id.clone()).collect())
    };
    let mut all = Vec::new();
    for name in spellings(USER_NAMES, glance) {
        let fits = |user: &User| same(USER_NAMES, user.name, name);
        all.push(users(format!("userName eq {}", json!(name)), &fits));
    }
    for text in spellings(EXTERNAL_IDS, glance) {
        let fits = |user: &User| user.external_id == Some(text);
        all.push(users(format!("externalId eq {}", json!(text)), &fits));
    }
    for name in spellings(DISPLAY_NAMES, glance) {
        let fits =
            |user: &User| user.display_name.is_some_and(|own| same(DISPLAY_NAMES, own, name));
        all.push(users(format!("displayName eq {}", json!(name)), &fits));
    }
    for value in spellings(MAILS, glance) {
        let value_json = json!(value);
        let any = |user: &User| user.emails.iter().any(|mail| same(MAILS, mail.value, value));
        let work = |user: &User| {
            let mut work = user.emails.iter().filter(|mail| mail.kind == "work");
            work.any(|mail| same(MAILS, mail.value, value))
        };
        all.push(match glance.turn % 3 {
            0 => users(format!("emails.value eq {value_json}"), &any),
            1 => users(format!("emails[type eq \"work\"].value eq {value_json}"), &work),
            _ => users(format!("emails[type eq \"work\" and value eq {value_json}]"), &work),
        });
    }
    all
}

fn group_filters(own: &Directory, glance: Glance<'_>) -> Vec<Question> {
    let groups = |filter: String, fits: &dyn Fn(&Group) -> bool| {
        let fitting = own.groups.iter().filter(|(_, group)| fits(&group.is));
        filtered("Groups", &filter, fitting.map(|(id, _)| id.clone()).collect())
    };
    let mut all = Vec::new();
    for name in spellings(GROUP_NAMES, glance) {
        let fits = |group: &Group| same(GROUP_NAMES, group.name, name);
        all.push(groups(format!("displayName eq {}", json!(name)), &fits));
    }
    for text in spellings(EXTERNAL_IDS, glance) {
        let fits = |group: &Group| group.external_id == Some(text);
        all.push(groups(format!("externalId eq {}", json!(text)), &fits));
    }
    all
}

/// Memberships are in the lists, in both directions; these are the other ways to ask for them.
fn membership_filters(
    own: &Directory,
    Glance { side: _, scope, turn }: Glance<'_>,
) -> Vec<Question> {
    let mut all = Vec::new();
    let ids: Vec<&String> = own.users.keys().chain(own.groups.keys()).collect();
    for (at, id) in ids.iter().enumerate() {
        if !scope.has_id(id) && at != turn % ids.len() {
            continue;
        }
        let groups = own.groups.iter().filter(|(_, group)| group.is.members.contains(*id));
        let path = if (turn + at) % 2 == 0 { "members" } else { "members.value" };
        let groups = groups.map(|(id, _)| id.clone()).collect();
        all.push(filtered("Groups", &format!("{path} eq \"{id}\""), groups));
    }
    for (at, (id, group)) in own.groups.iter().enumerate() {
        if !scope.has_id(id) {
            continue;
        }
        let users = group.is.members.iter().filter(|id| own.users.contains_key(*id));
        let users: Vec<String> = users.cloned().collect();
        all.push(filtered("Users", &format!("groups.value eq \"{id}\""), users));
        // Entra's look whether somebody is in a group.
        let member = ids[(turn + at) % ids.len()];
        let found = if group.is.members.contains(member) { vec![id.clone()] } else { Vec::new() };
        all.push(filtered("Groups", &format!("id eq \"{id}\" and members eq \"{member}\""), found));
    }
    all
}

/// The names in a table that are to be searched for, one spelling of each.
fn spellings(
    table: &'static [&'static [&'static str]],
    Glance { side: _, scope, turn }: Glance<'_>,
) -> Vec<&'static str> {
    let asked = table.iter().enumerate();
    let asked = asked.filter(|(at, row)| scope.has_text(row) || *at == turn % (2 * table.len()));
    asked.map(|(_, row)| row[turn / 2 % row.len()]).collect()
}

fn by_id(endpoint: &str, id: &str, expected: Expected) -> Question {
    Question { target: format!("/{endpoint}/{id}"), expected }
}

fn filtered(endpoint: &str, filter: &str, ids: Vec<String>) -> Question {
    let filter = utf8_percent_encode(filter, NON_ALPHANUMERIC);
    // Memberships have been compared; what is asked here is who is found.
    let target = format!("/{endpoint}?excludedAttributes=members&filter={filter}");
    Question { target, expected: Expected::Ids(ids) }
}

fn compare(question: &Question, answer: &Answer) -> Result<(), String> {
    let body = answer.json();
    let differs = |what: &str| {
        let expected = &question.expected;
        Err(format!(
            "GET {}\n{what}\nexpected {expected:?}\nfound {}: {body}",
            question.target, answer.status
        ))
    };
    match &question.expected {
        Expected::Nothing if answer.status == 404 => return Ok(()),
        _ if answer.status != 200 => return differs("the status"),
        Expected::Nothing => return differs("the status"),
        Expected::Resource(resource) => {
            let version = &resource["meta"]["version"];
            if without_times(&body) != *resource {
                return differs("the resource");
            }
            if answer.header("ETag").map(Value::from).as_ref() != Some(version) {
                return differs("the ETag");
            }
            return Ok(());
        }
        Expected::List(_) | Expected::Ids(_) => {}
    }
    let found = body["Resources"].as_array().cloned().unwrap_or_default();
    if body["totalResults"] != json!(found.len()) {
        return differs("the total");
    }
    match &question.expected {
        Expected::Ids(ids) => {
            let found: Vec<&str> = found.iter().filter_map(|one| one["id"].as_str()).collect();
            if found != *ids {
                return differs("who is found");
            }
        }
        Expected::List(expected) => {
            let whole = expected.iter().all(|one| one.get("meta").is_some());
            let found: Vec<Value> = found
                .iter()
                .map(|one| if whole { without_times(one) } else { without_schemas(one) })
                .collect();
            if found != *expected {
                return differs("the list");
            }
        }
        Expected::Nothing | Expected::Resource(_) => {}
    }
    Ok(())
}

fn without_times(resource: &Value) -> Value {
    let mut resource = resource.clone();
    if let Some(meta) = resource["meta"].as_object_mut() {
        meta.shift_remove("created");
        meta.shift_remove("lastModified");
    }
    resource
}

fn without_schemas(resource: &Value) -> Value {
    let mut resource = resource.clone();
    if let Some(members) = resource.as_object_mut() {
        members.shift_remove("schemas");
    }
    resource
}

/// While the version stays, so does everything else; when it moves, `created` stays and `lastModified` does not go back.
fn remember(body: &Value, seen: &mut Seen) -> Result<(), String> {
    let (Some(id), Some(_)) = (body["id"].as_str(), body["meta"]["version"].as_str()) else {
        return Ok(());
    };
    if let Some(before) = seen.get(id) {
        let at = |resource: &Value, name: &str| resource["meta"][name].as_str().map(str::to_owned);
        let moved = at(before, "version") != at(body, "version");
        let goes_back = at(before, "lastModified") > at(body, "lastModified");
        if (!moved && before != body) || at(before, "created") != at(body, "created") || goes_back {
            return Err(format!(
                "the version and the times do not fit\nfirst {before}\nthen {body}"
            ));
        }
    }
    seen.insert(id.to_owned(), body.clone());
    Ok(())
}

/// The resource in an answer, compared with the model.
pub(super) fn compare_user(
    base: &str,
    id: &str,
    user: &Stored<User>,
    answer: &Answer,
) -> Result<(), String> {
    let expected = Expected::Resource(wire::user(base, id, user));
    compare_written(answer, expected)
}

/// As [`compare_user`], for a group.
pub(super) fn compare_group(
    base: &str,
    id: &str,
    own: &Directory,
    answer: &Answer,
) -> Result<(), String> {
    let whole = wire::group(base, id, &own.groups[id], |id| own.groups.contains_key(id));
    compare_written(answer, Expected::Resource(whole))
}

fn compare_written(answer: &Answer, expected: Expected) -> Result<(), String> {
    // A 201 carries what a 200 does.
    let answer = Answer { status: 200, ..answer.clone() };
    let question = Question { target: "(the answer of the write)".to_owned(), expected };
    compare(&question, &answer)
}
