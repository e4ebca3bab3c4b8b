//! What the tests of filters share: the embedded schemas, a resource of each type, and random filters and resources.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Filter, Literal, Operator};
use crate::scim::catalog::{Catalog, Kind, ResourceType};
use crate::scim::path::AttrPath;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

pub(super) fn resource_type(kind: Kind) -> &'static ResourceType {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::embedded().unwrap());
    CATALOG.resource_type(kind)
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("not an object: {value}") };
    object
}

/// One user with a bit of everything.
pub(super) fn ida() -> Map<String, Value> {
    object(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "id": "0190a0b0-0000-7000-8000-00000000000a",
        "externalId": "iEk",
        "userName": "Ida@ex.test",
        "displayName": "Ida \"the\" Ek\\Straße",
        "title": "",
        "active": true,
        "profileUrl": "https://ex.test/Ida",
        "name": { "givenName": "Ida", "familyName": "Ek" },
        "emails": [
            { "type": "work", "value": "ida@ex.test", "primary": true },
            { "type": "home", "value": "IDA@home.test" },
        ],
        "x509Certificates": [{ "value": "TUlJ" }],
        ENTERPRISE: { "employeeNumber": "771", "manager": { "value": "u-9", "displayName": "Kim" } },
        "meta": {
            "resourceType": "User",
            "created": "2026-11-21T08:00:00.000Z",
            "lastModified": "2026-11-21T08:00:00.500Z",
            "version": "W/\"3\"",
        },
    }))
}

/// Any filter that the parser can give, with paths and literals of every form.
pub(super) fn any_filter() -> impl Strategy<Value = Filter> {
    let path = prop_oneof![
        "[a-zA-Z][a-zA-Z0-9_-]{0,5}",
        "[a-z]{1,4}\\.[$]?[a-z]{1,4}",
        "[uU]rn:[a-z]{1,3}:[0-9.:a-z]{0,4}[a-z]:[a-z]{1,4}(\\.[a-z]{1,3})?",
        Just("not".to_owned()),
        Just("and".to_owned()),
        Just("or.pr".to_owned()),
    ]
    .prop_filter_map("not a path", |text| AttrPath::parse(&text));
    let literal = prop_oneof![
        any::<String>().prop_map(Literal::String),
        any::<bool>().prop_map(Literal::Bool),
        any::<i64>().prop_map(|number| Literal::Number(number.into())),
        any::<u64>().prop_map(|number| Literal::Number(number.into())),
        // Fractions that are exact in few digits: serde_json reads others to the last bit only if it is asked to.
        any::<i32>().prop_filter_map("finite", |number| {
            serde_json::Number::from_f64(f64::from(number) / 8.0).map(Literal::Number)
        }),
        Just(Literal::Null),
    ];
    let operator = proptest::sample::select(Operator::ALL.to_vec());
    let leaf = prop_oneof![
        1 => path.clone().prop_map(Filter::Present),
        4 => (path.clone(), operator, literal)
            .prop_map(|(path, operator, value)| Filter::Compare { path, operator, value }),
    ]
    .boxed();
    let element = combined(leaf.clone());
    let value_path = (path, element)
        .prop_map(|(path, filter)| Filter::ValuePath { path, filter: Box::new(filter) });
    combined(prop_oneof![3 => leaf, 1 => value_path].boxed())
}

/// Filters on users of [`any_user`] that bind, some of which match.
pub(super) fn user_filter() -> BoxedStrategy<Filter> {
    let inside = [
        "type eq \"work\"",
        "type eq \"HOME\"",
        "type ne \"work\"",
        "value eq \"a@x\"",
        "value eq \"A@X\"",
        "value co \"@\"",
        "primary eq \"True\"",
        "display pr",
    ];
    let outside = [
        "userName eq \"ann\"",
        "userName eq \"ANN\"",
        "userName ne \"bob\"",
        "externalId eq \"x1\"",
        "emails eq \"a@x\"",
        "emails.type eq \"work\"",
        "emails.type ne \"work\"",
        "manager eq \"m1\"",
        "title pr",
        "title eq null",
        "active eq true",
        "meta.lastModified ge \"2026-01-01T00:00:00Z\"",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user pr",
    ];
    filters(&outside, "emails", &inside)
}

/// Filters on groups of [`any_group`] that bind, most of which are about members.
pub(super) fn group_filter() -> BoxedStrategy<Filter> {
    let inside = [
        "value eq \"u1\"",
        "value eq \"U2\"",
        "value ne \"u1\"",
        "value sw \"u\"",
        "type eq \"User\"",
        "type ne \"User\"",
        "not (value eq \"u2\")",
    ];
    let outside = [
        "members eq \"u1\"",
        "members.value eq \"u2\"",
        "members ne \"U1\"",
        "members.value pr",
        "members eq null",
        "members.type eq \"Group\"",
        "displayName eq \"g\"",
    ];
    filters(&outside, "members", &inside)
}

pub(super) fn any_user() -> impl Strategy<Value = Map<String, Value>> {
    let email = (
        proptest::option::of(pick(&["a@x", "A@x", "b@x"])),
        proptest::option::of(pick(&["work", "Home"])),
        proptest::option::of(any::<bool>()),
    )
        .prop_map(|(value, r#type, primary)| {
            without_nulls(json!({ "value": value, "type": r#type, "primary": primary }))
        });
    (
        pick(&["ann", "Ann", "bob"]),
        proptest::option::of(pick(&["x1", "X1"])),
        proptest::option::of(pick(&["m1", "M1"])),
        proptest::option::of(pick(&["Dr", ""])),
        vec(email, 0..4),
        any::<bool>(),
    )
        .prop_map(|(user_name, external_id, manager, title, emails, active)| {
            let extension = manager.map(|manager| json!({ "manager": { "value": manager } }));
            object(without_nulls(json!({
                "userName": user_name,
                "externalId": external_id,
                "title": title,
                "emails": emails,
                "active": active,
                ENTERPRISE: extension,
                "meta": { "lastModified": "2026-02-01T00:00:00.000Z" },
            })))
        })
}

pub(super) fn any_group() -> impl Strategy<Value = Map<String, Value>> {
    let member = (pick(&["u1", "U1", "u2", "u3"]), proptest::option::of(pick(&["User", "Group"])))
        .prop_map(|(value, r#type)| without_nulls(json!({ "value": value, "type": r#type })));
    (pick(&["g", "h"]), vec(member, 0..5))
        .prop_map(|(name, members)| object(json!({ "displayName": name, "members": members })))
}

fn filters(outside: &[&str], attribute: &str, inside: &[&str]) -> BoxedStrategy<Filter> {
    let path = AttrPath::parse(attribute).unwrap();
    let value_path = combined(leaves(inside))
        .prop_map(move |filter| Filter::ValuePath { path: path.clone(), filter: Box::new(filter) });
    combined(prop_oneof![2 => leaves(outside), 1 => value_path].boxed())
}

fn leaves(texts: &[&str]) -> BoxedStrategy<Filter> {
    let filters: Vec<Filter> = texts.iter().map(|text| Filter::parse(text).unwrap()).collect();
    proptest::sample::select(filters).boxed()
}

fn combined(leaf: BoxedStrategy<Filter>) -> BoxedStrategy<Filter> {
    leaf.prop_recursive(4, 12, 2, |inner| {
        let pair = (inner.clone().prop_map(Box::new), inner.clone().prop_map(Box::new));
        prop_oneof![
            pair.clone().prop_map(|(left, right)| Filter::And(left, right)),
            pair.prop_map(|(left, right)| Filter::Or(left, right)),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
    .boxed()
}

fn pick(texts: &[&'static str]) -> impl Strategy<Value = &'static str> + use<> {
    proptest::sample::select(texts.to_vec())
}

fn without_nulls(value: Value) -> Value {
    let members = object(value).into_iter().filter(|(_, member)| !member.is_null());
    Value::Object(members.collect())
}
