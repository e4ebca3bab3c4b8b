//! What has to hold for every PATCH, whatever it holds.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::tests::{ENTERPRISE, groups, ida, users};
use super::{MemberDelta, MemberStep, PatchRequest};
use crate::scim::document::Document;
use crate::scim::validate;

/// Any JSON, with the names and values that matter among it.
fn anything() -> impl Strategy<Value = Value> {
    let word = select(vec![
        "op",
        "add",
        "Replace",
        "remove",
        "path",
        "value",
        "Operations",
        "emails",
        "active",
        "True",
        "type",
        "work",
        "primary",
        "members",
        "manager",
        "name.givenName",
        "emails[type eq \"work\"].value",
        "userName",
        "",
        "id",
        "roles",
        "{\"value\":\"x\"}",
        ENTERPRISE,
        "emails[",
        "members[value eq \"u\"]",
        "$ref",
        "display",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((word.clone().prop_map(str::to_owned), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Paths of every shape.
fn paths() -> impl Strategy<Value = &'static str> {
    select(vec![
        "userName",
        "displayName",
        "externalId",
        "title",
        "active",
        "name",
        "name.givenName",
        "name.familyName",
        "emails",
        "emails.value",
        "emails[type eq \"work\"]",
        "emails[type eq \"work\"].value",
        "emails[type eq \"home\"].primary",
        "emails[primary eq true].value",
        "emails[value eq \"a\"].value",
        "emails[type eq \"work\"].type",
        "emails[not (type eq \"work\")].display",
        "roles",
        "roles[value eq \"a\"]",
        "addresses[type eq \"work\"].region",
        "manager",
        "manager.value",
        "department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref",
        "shoeSize",
        "id",
        "",
    ])
}

/// Values that fit one path or another.
fn values() -> impl Strategy<Value = Value> {
    let text = select(vec!["a", "A", "b", "work", "home", "True", "", "2"]).prop_map(Value::from);
    let flag = prop_oneof![any::<bool>().prop_map(Value::from), Just(json!("True"))];
    let entry = (
        prop::option::of(text.clone()),
        prop::option::of(select(vec!["work", "home"])),
        prop::option::of(flag.clone()),
    )
        .prop_map(|(value, kind, primary)| {
            let mut entry = Map::new();
            entry.extend(value.map(|value| ("value".to_owned(), value)));
            entry.extend(kind.map(|kind| ("type".to_owned(), Value::from(kind))));
            entry.extend(primary.map(|primary| ("primary".to_owned(), primary)));
            Value::Object(entry)
        });
    prop_oneof![
        3 => text.clone(),
        1 => flag,
        1 => Just(Value::Null),
        2 => entry.clone(),
        2 => prop::collection::vec(entry, 0..4).prop_map(Value::Array),
        1 => (paths(), text).prop_map(|(path, value)| json!({path: value, "title": "t"})),
    ]
}

fn operation(ops: Vec<&'static str>) -> impl Strategy<Value = Value> {
    (select(ops), paths(), prop::option::weighted(0.8, values())).prop_map(|(op, path, value)| {
        let mut operation = json!({"op": op, "path": path});
        if let (Some(value), Some(members)) = (value, operation.as_object_mut()) {
            members.insert("value".to_owned(), value);
        }
        operation
    })
}

fn any_operation() -> impl Strategy<Value = Value> {
    operation(vec!["add", "Replace", "remove"])
}

fn request(operations: &[Value]) -> Option<PatchRequest> {
    PatchRequest::parse(users(), &json!({"Operations": operations})).ok()
}

fn apply(operations: &[Value], document: &Document) -> Option<Document> {
    request(operations)?.apply(users(), document).ok()
}

/// What [`Document`] promises.
fn assert_fits(document: &Document) {
    fn has_empty(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(elements) => elements.is_empty() || elements.iter().any(has_empty),
            Value::Object(members) => members.is_empty() || members.values().any(has_empty),
            Value::String(text) => text.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        }
    }
    assert!(!document.attributes().values().any(has_empty), "{document:?}");
    for value in document.attributes().values() {
        let entries = value.as_array().map_or(&[][..], Vec::as_slice);
        let primaries = entries.iter().filter(|entry| entry.get("primary") == Some(&json!(true)));
        assert!(primaries.count() <= 1, "{document:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(body in anything(), operations in prop::collection::vec(anything(), 0..4)) {
        for rt in [users(), groups()] {
            let before = validate::document(rt, &body).unwrap_or_else(|_| ida());
            drop(validate::replacement(rt, &body, &before));
            for body in [body.clone(), json!({"Operations": operations})] {
                if let Ok(request) = PatchRequest::parse(rt, &body) {
                    let after = request.apply(rt, &before);
                    prop_assert!(request.touches_document() || after.is_err() || after == Ok(before.clone()));
                }
            }
        }
    }

    #[test]
    fn a_body_of_anything_fits_once_it_is_taken(body in anything()) {
        let mut body = body;
        if let Value::Object(members) = &mut body {
            members.insert("userName".to_owned(), json!("a"));
        }
        if let Ok(document) = validate::document(users(), &body) {
            assert_fits(&document);
            let again = validate::document(users(), &Value::Object(document.attributes().clone()));
            prop_assert_eq!(again, Ok(document));
        }
    }

    #[test]
    fn a_put_of_what_a_patch_has_made_changes_nothing(
        operations in prop::collection::vec(any_operation(), 0..6)
    ) {
        if let Some(after) = apply(&operations, &ida()) {
            assert_fits(&after);
            // Not a POST: that switches on an account of which `active` was removed.
            let body = Value::Object(after.attributes().clone());
            prop_assert_eq!(validate::replacement(users(), &body, &after), Ok(after));
        }
    }

    #[test]
    fn all_operations_or_none(
        good in prop::collection::vec(any_operation(), 0..4),
        bad in select(vec![
            json!({"op": "Merge"}),
            json!({"op": "add", "path": "emails[type eq", "value": "x"}),
            json!({"op": "add", "path": "active", "value": "banana"}),
            json!({"op": "add", "path": "emails[type co \"zzz\"].value", "value": "x"}),
            json!({"op": "remove", "path": "userName"}),
        ]),
    ) {
        let before = ida();
        let operations: Vec<Value> = good.into_iter().chain([bad]).collect();
        prop_assert_eq!(apply(&operations, &before), None);
        prop_assert_eq!(before, ida());
    }

    #[test]
    fn operations_are_done_one_after_the_other(
        first in prop::collection::vec(any_operation(), 0..4),
        second in prop::collection::vec(any_operation(), 0..4),
    ) {
        let both: Vec<Value> = first.iter().chain(&second).cloned().collect();
        if let Some(middle) = apply(&first, &ida()) {
            prop_assert_eq!(apply(&both, &ida()), apply(&second, &middle));
        }
    }

    #[test]
    fn doing_it_twice_is_doing_it_once(operation in operation(vec!["Replace", "remove"])) {
        let operation = [operation];
        if let Some(once) = apply(&operation, &ida())
            && let Some(twice) = apply(&operation, &once)
        {
            prop_assert_eq!(twice, once);
        }
    }

    #[test]
    fn adding_twice_is_adding_once(operation in operation(vec!["add"])) {
        let operation = [operation];
        if let Some(once) = apply(&operation, &ida())
            && let Some(twice) = apply(&operation, &once)
        {
            prop_assert_eq!(twice, once);
        }
    }

    #[test]
    fn replacing_by_the_current_value_changes_nothing(
        operations in prop::collection::vec(any_operation(), 0..4)
    ) {
        let before = apply(&operations, &ida()).unwrap_or_else(ida);
        for (name, value) in before.attributes() {
            let replace = [json!({"op": "replace", "path": name, "value": value})];
            let after = apply(&replace, &before);
            prop_assert_eq!(after.as_ref(), Some(&before));
        }
        let whole = [json!({"op": "replace", "value": before.attributes()})];
        let after = apply(&whole, &before);
        prop_assert_eq!(after.as_ref(), Some(&before));
        let put = validate::replacement(users(), &Value::Object(before.attributes().clone()), &before);
        prop_assert_eq!(put, Ok(before));
    }

    #[test]
    fn a_patch_changes_nothing_but_what_it_names(value in values(), op in select(vec!["add", "Replace", "remove"])) {
        let operation = json!({"op": op, "path": "emails[type eq \"work\"].value", "value": value});
        if let Some(after) = apply(&[operation], &ida()) {
            for (name, value) in ida().attributes() {
                if name != "emails" {
                    prop_assert_eq!(after.get(name), Some(value));
                }
            }
        }
    }

    #[test]
    fn a_member_delta_agrees_with_a_set(
        steps in prop::collection::vec((0_u8..3, prop::collection::vec(0_u8..6, 0..4)), 0..8),
        before in prop::collection::btree_set(0_u8..6, 0..6),
    ) {
        let name = |id: &u8| format!("u{id}");
        let mut expected = before.clone();
        let mut asked = Vec::new();
        for (number, (what, ids)) in (1..).zip(&steps) {
            let named: Vec<String> = ids.iter().map(name).collect();
            match what {
                0 => {
                    expected.extend(ids);
                    asked.push((number, MemberStep::Add(named)));
                }
                1 => {
                    expected.retain(|id| !ids.contains(id));
                    asked.push((number, MemberStep::Remove(named)));
                }
                _ => {
                    expected = ids.iter().copied().collect();
                    asked.push((number, MemberStep::Replace(named)));
                }
            }
        }
        let delta = MemberDelta::of(asked);
        prop_assert!(delta.added().iter().all(|id| !delta.removed().contains(id)));
        let stays = |id: &u8| !delta.replaces() && !delta.removed().contains(&name(id));
        let mut after: Vec<String> = before.iter().filter(|id| stays(id)).map(name).collect();
        after.extend(delta.added().iter().cloned());
        after.sort();
        after.dedup();
        prop_assert_eq!(after, expected.iter().map(name).collect::<Vec<_>>());
    }
}
