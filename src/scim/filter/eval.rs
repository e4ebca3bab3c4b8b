//! Whether a resource fits a filter (RFC 7644 §3.4.2.2).
//!
//! * A comparison of a multi-valued attribute holds when one of its values passes; so does `pr`.
//! * `ne` is exactly `not (… eq …)`: of a multi-valued attribute it holds when *no* value is equal, and it holds when
//!   the attribute is absent. Within brackets it is about the one element that is looked at.
//! * `pr` wants something that is not empty: null, empty strings, empty arrays and objects without content are not
//!   present (RFC 7643 §2.5). `ne null` is the same as `pr`, `eq null` its negation.
//! * An attribute without a value passes no other comparison. An empty string is a value: it equals `""`.
//! * Text is compared as `caseExact` says, through [`fold`], in all of eq, co, sw, ew, gt, ge, lt and le; there are no
//!   wildcards. Date-times are compared as instants, to the millisecond.
//!
//! Evaluation cannot fail: what a type does not allow was refused when the filter was bound.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::Filter;
use super::bind::{Bound, Letters, Node, Order, Part, Relation, Test, bind_element};
use crate::moment::Timestamp;
use crate::scim::error::ScimError;
use crate::scim::fold::fold;
use crate::scim::schema::Attribute;

impl Bound<'_> {
    /// Whether the filter holds for `resource`: the whole representation in the schema's spelling, with `schemas`, `id`
    /// and `meta`, extensions under their URN, and the attributes that [`Bound::usage`] asks for.
    pub fn matches(&self, resource: &Map<String, Value>) -> bool {
        holds(&self.node, Scope::Resource(resource))
    }
}

/// Whether one element of `attribute` fits the filter in the brackets of a PATCH path, whose paths are sub-attributes.
///
/// # Errors
/// 400 `invalidFilter` as [`Filter::bind`], when the attribute has no such sub-attributes.
pub(in crate::scim) fn matches_element(
    filter: &Filter,
    attribute: &Attribute,
    element: &Value,
) -> Result<bool, ScimError> {
    Ok(holds(&bind_element(filter, attribute)?, Scope::Element(element)))
}

/// Where the places of a filter begin.
#[derive(Clone, Copy)]
enum Scope<'v> {
    Resource(&'v Map<String, Value>),
    Element(&'v Value),
}

fn holds(node: &Node<'_>, scope: Scope<'_>) -> bool {
    match node {
        Node::Constant(holds) => *holds,
        Node::And(left, right) => holds(left, scope) && holds(right, scope),
        Node::Or(left, right) => holds(left, scope) || holds(right, scope),
        Node::Not(node) => !holds(node, scope),
        Node::Leaf { place, test } => any(scope, &place.keys, &|value| passes(test, value)),
        Node::Element { place, filter } => {
            any(scope, &place.keys, &|element| holds(filter, Scope::Element(element)))
        }
    }
}

/// Whether a value that is reached by following `keys` passes.
fn any(scope: Scope<'_>, keys: &[&str], passes: &dyn Fn(&Value) -> bool) -> bool {
    match scope {
        Scope::Element(element) => any_below(element, keys, passes),
        Scope::Resource(resource) => keys.split_first().is_some_and(|(key, rest)| {
            resource.get(*key).is_some_and(|value| any_below(value, rest, passes))
        }),
    }
}

/// Arrays are looked into wherever they stand; a JSON value nests no deeper than it was parsed.
fn any_below(value: &Value, keys: &[&str], passes: &dyn Fn(&Value) -> bool) -> bool {
    if let Value::Array(elements) = value {
        return elements.iter().any(|element| any_below(element, keys, passes));
    }
    match keys.split_first() {
        None => passes(value),
        Some((key, rest)) => value.get(*key).is_some_and(|value| any_below(value, rest, passes)),
    }
}

pub(super) fn passes(test: &Test, value: &Value) -> bool {
    match test {
        Test::Present => is_present(value),
        Test::Text { relation, letters, wanted, .. } => {
            value.as_str().is_some_and(|text| text_passes(text, *relation, *letters, wanted))
        }
        Test::Instant(order, wanted) => value
            .as_str()
            .and_then(Timestamp::parse)
            .is_some_and(|instant| order.accepts(instant.cmp(wanted))),
        Test::Number(order, wanted) => value
            .as_number()
            .and_then(|number| number_order(number, wanted))
            .is_some_and(|found| order.accepts(found)),
        Test::Boolean(wanted) => value.as_bool() == Some(*wanted),
    }
}

fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(is_present),
        Value::Object(members) => members.values().any(is_present),
    }
}

fn text_passes(text: &str, relation: Relation, letters: Letters, wanted: &str) -> bool {
    match letters {
        Letters::Exact => related(text, relation, wanted),
        Letters::Folded => related(&fold(text), relation, wanted),
    }
}

fn related(text: &str, relation: Relation, wanted: &str) -> bool {
    match relation {
        Relation::Order(order) => order.accepts(text.cmp(wanted)),
        Relation::Part(Part::Contains) => text.contains(wanted),
        Relation::Part(Part::Starts) => text.starts_with(wanted),
        Relation::Part(Part::Ends) => text.ends_with(wanted),
    }
}

/// How two numbers are ordered: exactly when both are whole.
pub(in crate::scim) fn number_order(left: &Number, right: &Number) -> Option<Ordering> {
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (Some(_) | None, _) => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

impl Order {
    /// Whether a value that stands in the order `found` to the literal passes.
    fn accepts(self, found: Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::parse::parse_value_filter;
    use super::super::testing::{any_user, ida, resource_type, user_filter};
    use super::*;
    use crate::scim::catalog::Kind;

    fn matches(filter: &str, resource: &Map<String, Value>) -> bool {
        let filter = Filter::parse(filter).unwrap();
        filter.bind(resource_type(Kind::User)).unwrap().matches(resource)
    }

    #[track_caller]
    fn check(yes: &[&str], no: &[&str]) {
        for filter in yes {
            assert!(matches(filter, &ida()), "should match: {filter}");
        }
        for filter in no {
            assert!(!matches(filter, &ida()), "should not match: {filter}");
        }
    }

    #[test]
    fn text_is_compared_as_case_exact_says() {
        check(
            &[
                r#"userName eq "ida@ex.test""#,
                r#"USERNAME EQ "IDA@EX.TEST""#,
                r#"userName co "EX""#,
                r#"userName sw "iDA""#,
                r#"userName ew ".TEST""#,
                r#"userName co """#,
                r#"displayName ew "STRASSE""#,
                r#"displayName co "\"THE\" ek\\""#,
                r#"externalId eq "iEk""#,
                "externalId eq iEk",
                r#"id eq "0190a0b0-0000-7000-8000-00000000000a""#,
                r#"meta.version eq "W/\"3\"""#,
                r#"profileUrl ew "/Ida""#,
                r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:User""#,
                "employeeNumber eq 771",
            ],
            &[
                r#"userName eq "ida""#,
                r#"externalId eq "iek""#,
                r#"externalId co "K""#,
                r#"externalId sw "I""#,
                r#"id eq "0190A0B0-0000-7000-8000-00000000000A""#,
                r#"profileUrl ew "/ida""#,
                r#"x509Certificates eq "tulj""#,
            ],
        );
    }

    #[test]
    fn there_are_no_wildcards() {
        check(
            &[r#"userName co ".""#],
            &[
                r#"userName eq ".*""#,
                r#"userName eq "*""#,
                r#"userName co ".*""#,
                r#"userName sw "%""#,
                r#"userName eq "ida_ex.test""#,
                r#"userName ew "[a-z]+""#,
            ],
        );
    }

    #[test]
    fn text_is_ordered_by_its_folded_characters() {
        check(
            &[
                r#"userName gt "IDA""#,
                r#"userName ge "IDA@EX.TEST""#,
                r#"userName le "IDA@EX.TEST""#,
                r#"userName lt "JAN""#,
                r#"externalId gt "iDk""#,
                r#"externalId lt "iek""#,
            ],
            &[r#"userName gt "IDA@EX.TEST""#, r#"userName lt "IDA@EX.TEST""#, r#"nickName lt "z""#],
        );
    }

    #[test]
    fn booleans_are_equal_to_either_literal() {
        check(
            &[
                "active eq true",
                r#"active eq "True""#,
                "active ne FALSE",
                "emails.primary eq true",
                "emails[primary eq true]",
                r#"emails[primary eq "TRUE"].value eq "ida@ex.test""#,
            ],
            &["active eq false", r#"active ne "true""#, "emails.primary eq false"],
        );
    }

    #[test]
    fn date_times_are_compared_as_instants() {
        check(
            &[
                r#"meta.lastModified gt "2026-11-21T08:00:00Z""#,
                r#"meta.lastModified eq "2026-11-21T10:00:00.5+02:00""#,
                r#"meta.lastModified le "2026-11-21T09:00:00.5+01:00""#,
                r#"meta.created eq "2026-11-21T08:00:00""#,
                r#"meta.created sw "2026-11-21""#,
            ],
            &[
                r#"meta.lastModified lt "2026-11-21T08:00:00.500Z""#,
                r#"meta.lastModified gt "2026-11-21T09:00:00+00:00""#,
                r#"meta.created ne "2026-11-21T08:00:00.000Z""#,
            ],
        );
    }

    #[test]
    fn of_several_values_one_has_to_pass_and_ne_wants_none_equal() {
        check(
            &[
                r#"emails eq "ida@HOME.test""#,
                r#"emails.value eq "ida@ex.test""#,
                r#"emails.type eq "work" and emails.type eq "home""#,
                r#"emails.type ne "other""#,
                r#"not (emails.type eq "other")"#,
                r#"emails[type ne "work"]"#,
                r#"emails[value co "home" and not (primary pr)]"#,
            ],
            &[
                r#"emails eq "x""#,
                r#"emails.type ne "work""#,
                r#"emails[type eq "work" and type eq "home"]"#,
                r#"emails[type eq "home"].value eq "ida@ex.test""#,
                "ims[type pr]",
                r#"not (emails[type eq "home"])"#,
            ],
        );
    }

    #[test]
    fn without_a_value_nothing_but_ne_passes() {
        check(
            &[
                r#"nickName ne "x""#,
                "nickName eq null",
                "userName ne null",
                "title eq null",
                "ims eq null",
                r#"ims ne "x""#,
                "name pr",
                "emails pr",
                "emails.primary pr",
                "manager pr",
                "active pr",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr",
                r#"title eq """#,
            ],
            &[
                r#"nickName eq "x""#,
                r#"nickName co """#,
                "nickName pr",
                "nickName ne null",
                "title pr",
                "ims pr",
                "emails.display pr",
                "name.middleName pr",
                "profileUrl eq null",
            ],
        );
        let empty =
            json!({ "emails": [], "name": { "givenName": "" }, "ims": [{}], "title": null });
        let Value::Object(empty) = empty else { unreachable!() };
        for absent in ["emails pr", "name pr", "ims pr", "title pr", "addresses pr"] {
            assert!(!matches(absent, &empty), "{absent}");
        }
    }

    #[test]
    fn extensions_are_reached_with_their_urn_in_any_case_and_without() {
        check(
            &[
                r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq "771""#,
                r#"URN:IETF:params:scim:schemas:extension:ENTERPRISE:2.0:user:EMPLOYEENUMBER eq "771""#,
                r#"urn:ietf:params:scim:schemas:core:2.0:User:name.givenName eq "ida""#,
                r#"urn:ietf:params:scim:schemas:core:2.0:user:emails[type eq "work"]"#,
                r#"manager eq "u-9""#,
                r#"manager.displayName eq "kim""#,
                r#"manager[value eq "u-9"]"#,
                r#"id eq "0190a0b0-0000-7000-8000-00000000000a" and manager eq "u-9""#,
                r#"schemas[value ew ":User"]"#,
            ],
            &[r#"manager eq "u-8""#, "department pr"],
        );
    }

    #[test]
    fn numbers_are_compared_by_value() {
        let number = |text: &str| serde_json::from_str::<Number>(text).unwrap();
        for (left, right, order) in [
            ("1", "1.0", Ordering::Equal),
            ("-0", "0", Ordering::Equal),
            ("2", "10", Ordering::Less),
            ("18446744073709551615", "18446744073709551614", Ordering::Greater),
            ("-9223372036854775808", "18446744073709551615", Ordering::Less),
            ("1e3", "1000", Ordering::Equal),
            ("0.1", "0.2", Ordering::Less),
        ] {
            assert_eq!(number_order(&number(left), &number(right)), Some(order), "{left} {right}");
        }
        let five = |order| passes(&Test::Number(order, number("5")), &json!(5.5));
        assert!(five(Order::Greater) && five(Order::GreaterOrEqual));
        assert!(!five(Order::Less) && !five(Order::LessOrEqual) && !five(Order::Equal));
        assert!(!passes(&Test::Number(Order::Equal, number("5")), &json!("5")));
    }

    #[test]
    fn elements_of_a_patch_path() {
        let fits = |attribute: &str, filter: &str, element: &Value| {
            let filter = parse_value_filter(filter).unwrap();
            let attribute = resource_type(Kind::User).attribute_named(attribute).unwrap();
            matches_element(&filter, attribute, element)
        };
        let work = json!({ "type": "work", "value": "a@x", "primary": true });
        for yes in
            [r#"Type eq "WORK""#, r#"primary eq "True""#, "primary eq true and display eq null"]
        {
            assert_eq!(fits("emails", yes, &work), Ok(true), "{yes}");
        }
        for no in [r#"type eq "home""#, "display pr", r#"type ne "work""#] {
            assert_eq!(fits("emails", no, &work), Ok(false), "{no}");
        }
        for bad in [r#"nonsense eq "x""#, r#"emails.type eq "x""#, "primary gt true"] {
            assert!(fits("emails", bad, &work).is_err(), "{bad}");
        }
        assert_eq!(fits("schemas", r#"value eq "urn:a""#, &json!("urn:a")), Ok(true));
        assert_eq!(fits("emails", r#"type eq "work""#, &json!("a@x")), Ok(false));
    }

    proptest! {
        #[test]
        fn logic_is_logic(left in user_filter(), right in user_filter(), user in any_user()) {
            let holds = |filter: &Filter| {
                filter.bind(resource_type(Kind::User)).unwrap().matches(&user)
            };
            let (a, b) = (holds(&left), holds(&right));
            let boxed = || (Box::new(left.clone()), Box::new(right.clone()));
            prop_assert_eq!(holds(&Filter::And(boxed().0, boxed().1)), a && b);
            prop_assert_eq!(holds(&Filter::Or(boxed().0, boxed().1)), a || b);
            prop_assert_eq!(holds(&Filter::Not(boxed().0)), !a);
        }

        #[test]
        fn ne_is_the_opposite_of_eq(value in "[abAB@x]{0,3}|work", user in any_user()) {
            for path in ["userName", "title", "externalId", "emails", "emails.type", "manager"] {
                let value = Value::from(value.as_str());
                let eq = matches(&format!("{path} eq {value}"), &user);
                let ne = matches(&format!("{path} ne {value}"), &user);
                prop_assert_ne!(eq, ne, "{} {}", path, value);
            }
        }
    }
}
