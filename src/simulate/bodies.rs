//! The bodies that the providers other than Entra send: people as a whole, members by the list.

use serde_json::{Map, Value, json};

use super::payload::{CORE_GROUP, CORE_USER, envelope, quoted};
use super::provider::Provider;
use super::source::Person;
use super::value::{ACTIVE, member};

/// Somebody in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// The endpoint's id.
    pub(super) id: String,
    /// What the provider calls them.
    pub(super) name: String,
}

/// Who is to be in a group, and how that differs from what the endpoint has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roster {
    pub(super) all: Vec<Member>,
    pub(super) more: Vec<Member>,
    pub(super) less: Vec<String>,
}

/// A new person. A password is asked for nowhere, and Okta sends one all the same.
pub(super) fn new_user(provider: Provider, person: &Person) -> Value {
    let base = match provider {
        Provider::Okta => {
            json!({"schemas": [CORE_USER], "password": "1mz050nq", "groups": [], "locale": "en-US"})
        }
        Provider::Entra | Provider::PingOne | Provider::JumpCloud => {
            json!({"schemas": [CORE_USER]})
        }
    };
    with_person(base, person)
}

/// A person as a whole, from nothing but the source.
pub(super) fn whole_user(provider: Provider, id: &str, person: &Person) -> Value {
    let base = match provider {
        Provider::JumpCloud => json!({"schemas": [CORE_USER]}),
        Provider::Entra | Provider::Okta | Provider::PingOne => {
            json!({"schemas": [CORE_USER], "id": id})
        }
    };
    with_person(base, person)
}

/// A resource as it came, read-only members included, with what the source has in its place.
pub(super) fn with_person(mut resource: Value, person: &Person) -> Value {
    for (target, text) in &person.attributes {
        set(&mut resource, target, Value::from(text.as_str()));
    }
    set(&mut resource, ACTIVE, Value::from(person.is_active()));
    resource
}

/// Activation, without a path.
pub(super) fn activation(is_active: bool) -> Value {
    envelope(&[json!({"op": "replace", "value": {ACTIVE: is_active}})])
}

/// A new group; its members come with it at Okta, and later elsewhere.
pub(super) fn new_group(provider: Provider, name: &str, members: &[Member]) -> Value {
    match provider {
        Provider::Okta => {
            let members = with_names(members);
            json!({"schemas": [CORE_GROUP], "displayName": name, "members": members})
        }
        Provider::Entra | Provider::PingOne | Provider::JumpCloud => {
            json!({"schemas": [CORE_GROUP], "displayName": name})
        }
    }
}

/// A group as a whole.
pub(super) fn whole_group(id: &str, name: &str, members: &[Member]) -> Value {
    let members = bare(members);
    json!({"schemas": [CORE_GROUP], "id": id, "displayName": name, "members": members})
}

/// A group's name, without a path. Okta puts the read-only id beside it.
pub(super) fn group_name(provider: Provider, id: &str, name: &str) -> Value {
    let value = match provider {
        Provider::Okta => json!({"id": id, "displayName": name}),
        Provider::Entra | Provider::PingOne | Provider::JumpCloud => json!({"displayName": name}),
    };
    envelope(&[json!({"op": "replace", "value": value})])
}

/// Okta's "Push now" of a group that has lost its last member.
pub(super) fn emptied(id: &str, name: &str) -> Value {
    let value = json!({"members": [], "id": id, "displayName": name});
    envelope(&[json!({"op": "replace", "value": value})])
}

/// Okta's full push of members.
pub(super) fn all_members(roster: &Roster) -> Value {
    let members = with_names(&roster.all);
    envelope(&[json!({"op": "replace", "path": "members", "value": members})])
}

/// Members less, each by a filter in the path, and members more, in one request.
pub(super) fn changed_members(provider: Provider, roster: &Roster) -> Value {
    let path = |id: &String| format!("members[value eq {}]", quoted(id));
    let less = roster.less.iter().map(|id| json!({"op": "remove", "path": path(id)}));
    let mut operations: Vec<Value> = less.collect();
    if !roster.more.is_empty() {
        let members =
            if provider == Provider::Okta { with_names(&roster.more) } else { bare(&roster.more) };
        operations.push(json!({"op": "add", "path": "members", "value": members}));
    }
    envelope(&operations)
}

/// Everybody added, whoever is there already again.
pub(super) fn added_again(roster: &Roster) -> Value {
    envelope(&[json!({"op": "add", "path": "members", "value": bare(&roster.all)})])
}

/// Members less, as a list of values.
pub(super) fn removed_by_value(ids: &[String]) -> Value {
    let value: Vec<Value> = ids.iter().map(|id| json!({"value": id})).collect();
    envelope(&[json!({"op": "remove", "path": "members", "value": value})])
}

fn bare(members: &[Member]) -> Value {
    members.iter().map(|member| json!({"value": member.id})).collect()
}

fn with_names(members: &[Member]) -> Value {
    let entry = |member: &Member| json!({"value": member.id, "display": member.name});
    members.iter().map(entry).collect()
}

/// Sets what stands under a path of the mapping.
fn set(resource: &mut Value, path: &str, value: Value) {
    if let Some((urn, name)) = path.rsplit_once(":User:") {
        let urn = format!("{urn}:User");
        within(resource, &urn, |extension| within(extension, name, |slot| *slot = value));
        within(resource, "schemas", |schemas| {
            in_list(schemas, |schemas| {
                if !schemas.iter().any(|schema| schema == urn.as_str()) {
                    schemas.push(Value::from(urn));
                }
            });
        });
    } else if let Some((name, rest)) = path.split_once('[') {
        let kind = rest.split('"').nth(1).unwrap_or_default();
        let sub = rest.rsplit_once("].").map_or("value", |(_, sub)| sub);
        within(resource, name, |entries| {
            in_list(entries, |entries| set_in(entries, (name, kind), sub, value));
        });
    } else if let Some((outer, inner)) = path.split_once('.') {
        within(resource, outer, |outer| within(outer, inner, |slot| *slot = value));
    } else {
        within(resource, path, |slot| *slot = value);
    }
}

/// Sets a part of the entry of that kind, which is there or comes.
fn set_in(entries: &mut Vec<Value>, (name, kind): (&str, &str), sub: &str, value: Value) {
    let is_of_kind = |entry: &Value| {
        let is = member(entry, "type").and_then(Value::as_str);
        is.is_some_and(|is| is.eq_ignore_ascii_case(kind))
    };
    if !entries.iter().any(is_of_kind) {
        entries.push(match name {
            "emails" => json!({"primary": true, "type": kind}),
            _ => json!({"type": kind}),
        });
    }
    if let Some(entry) = entries.iter_mut().find(|entry| is_of_kind(entry)) {
        within(entry, sub, |slot| *slot = value);
    }
}

/// Changes a member of an object, whatever the letter case of its name. What is no object becomes one.
fn within(of: &mut Value, name: &str, change: impl FnOnce(&mut Value)) {
    let mut object = match of.take() {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    };
    let same = object.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
    change(object.entry(same.unwrap_or_else(|| name.to_owned())).or_insert(Value::Null));
    *of = Value::Object(object);
}

/// Changes a list. What is none becomes one.
fn in_list(of: &mut Value, change: impl FnOnce(&mut Vec<Value>)) {
    let mut list = match of.take() {
        Value::Array(list) => list,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Vec::new()
        }
    };
    change(&mut list);
    *of = Value::Array(list);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::source::{
        DEPARTMENT, DISPLAY_NAME, EXTERNAL_ID, GIVEN_NAME, Standing, USER_NAME, WORK_EMAIL,
    };
    use super::*;

    fn ida() -> Person {
        let mut ida = Person { standing: Standing::Active, attributes: [].into(), manager: None };
        for (target, text) in [
            (USER_NAME, "ida@ex.test"),
            (EXTERNAL_ID, "k-1"),
            (DISPLAY_NAME, "Ida Ek"),
            (GIVEN_NAME, "Ida"),
            (WORK_EMAIL, "i@ex.test"),
            (DEPARTMENT, "R&D"),
        ] {
            ida.set(target, text);
        }
        ida
    }

    fn roster(more: &[&str], less: &[&str]) -> Roster {
        let member = |id: &&str| Member { id: (*id).to_owned(), name: format!("{id}@ex.test") };
        let more: Vec<Member> = more.iter().map(member).collect();
        let all = more.iter().cloned().chain(["u-9"].iter().map(member)).collect();
        Roster { all, more, less: less.iter().map(|id| (*id).to_owned()).collect() }
    }

    #[test]
    fn a_person_is_written_as_a_whole() {
        expect![[r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"password":"1mz050nq","groups":[],"locale":"en-US","displayName":"Ida Ek","emails":[{"primary":true,"type":"work","value":"i@ex.test"}],"externalId":"k-1","name":{"givenName":"Ida"},"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"R&D"},"userName":"ida@ex.test","active":true}"#]].assert_eq(&new_user(Provider::Okta, &ida()).to_string());
        let mut ida = ida();
        ida.attributes.remove(DEPARTMENT);
        ida.standing = Standing::Disabled;
        expect![[r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u-1","displayName":"Ida Ek","emails":[{"primary":true,"type":"work","value":"i@ex.test"}],"externalId":"k-1","name":{"givenName":"Ida"},"userName":"ida@ex.test","active":false}"#]].assert_eq(&whole_user(Provider::PingOne, "u-1", &ida).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"displayName":"Ida Ek","emails":[{"primary":true,"type":"work","value":"i@ex.test"}],"externalId":"k-1","name":{"givenName":"Ida"},"userName":"ida@ex.test","active":false}"#]].assert_eq(&whole_user(Provider::JumpCloud, "u-1", &ida).to_string());
    }

    #[test]
    fn okta_puts_back_what_it_has_read() {
        let found = json!({
            "schemas": [CORE_USER], "id": "u-1", "UserName": "old@ex.test",
            "emails": [{"type": "home", "value": "h"}, {"type": "Work", "value": "old", "primary": true}],
            "name": null, "groups": [{"value": "g-1"}], "theirs": {"a": 1},
            "meta": {"version": "W/\"3\""}, "active": "False",
        });
        expect![[r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"id":"u-1","UserName":"ida@ex.test","emails":[{"type":"home","value":"h"},{"type":"Work","value":"i@ex.test","primary":true}],"name":{"givenName":"Ida"},"groups":[{"value":"g-1"}],"theirs":{"a":1},"meta":{"version":"W/\"3\""},"active":true,"displayName":"Ida Ek","externalId":"k-1","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"R&D"}}"#]].assert_eq(&with_person(found, &ida()).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":false}}]}"#]].assert_eq(&activation(false).to_string());
    }

    #[test]
    fn a_group_is_written_in_each_ones_way() {
        let some = roster(&["u-1"], &["u-2", "u-3"]);
        expect![[r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Crew","members":[{"value":"u-1","display":"u-1@ex.test"},{"value":"u-9","display":"u-9@ex.test"}]}"#]].assert_eq(&new_group(Provider::Okta, "Crew", &some.all).to_string());
        expect![[
            r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Crew"}"#
        ]]
        .assert_eq(&new_group(Provider::PingOne, "Crew", &some.all).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g","displayName":"Crew","members":[{"value":"u-1"},{"value":"u-9"}]}"#]].assert_eq(&whole_group("g", "Crew", &some.all).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"id":"g","displayName":"Crew"}}]}"#]].assert_eq(&group_name(Provider::Okta, "g", "Crew").to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"displayName":"Crew"}}]}"#]].assert_eq(&group_name(Provider::JumpCloud, "g", "Crew").to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"members":[],"id":"g","displayName":"Crew"}}]}"#]].assert_eq(&emptied("g", "Crew").to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"members","value":[{"value":"u-1","display":"u-1@ex.test"},{"value":"u-9","display":"u-9@ex.test"}]}]}"#]].assert_eq(&all_members(&some).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members[value eq \"u-2\"]"},{"op":"remove","path":"members[value eq \"u-3\"]"},{"op":"add","path":"members","value":[{"value":"u-1","display":"u-1@ex.test"}]}]}"#]].assert_eq(&changed_members(Provider::Okta, &some).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members[value eq \"u-2\"]"},{"op":"remove","path":"members[value eq \"u-3\"]"},{"op":"add","path":"members","value":[{"value":"u-1"}]}]}"#]].assert_eq(&changed_members(Provider::PingOne, &some).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"u-1"},{"value":"u-9"}]}]}"#]].assert_eq(&added_again(&some).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members","value":[{"value":"u-2"},{"value":"u-3"}]}]}"#]].assert_eq(&removed_by_value(&some.less).to_string());
    }
}
