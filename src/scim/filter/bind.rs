//! What a filter means for a resource type (RFC 7644 §3.4.2.2): every path becomes an attribute of the schema, every
//! literal a value of that attribute's type.
//!
//! Two things are taken more widely than the RFC has them, because identity providers send them. A comparison of a
//! complex attribute itself means its `value` (`emails eq "x"`, and Entra's `manager eq "m"`). A literal is read as the
//! attribute's type where that is unambiguous: `primary eq "True"`, a number in quotes, an employee number without.
//! Everything else that does not fit is refused and never guessed at.

use serde_json::{Number, Value};

use super::eval::passes;
use super::{Filter, Literal, Operator};
use crate::limits::PATH_SHOWN_MAX;
use crate::moment::Timestamp;
use crate::scim::catalog::{ResourceType, Target};
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::fold::fold;
use crate::scim::path::AttrPath;
use crate::scim::schema::{Attribute, Returned, Type};
use crate::scim::well_known;

/// A filter that fits a resource type and can be evaluated on its resources.
#[derive(Clone, Debug)]
pub struct Bound<'a> {
    pub(super) node: Node<'a>,
}

/// `ne` is the negation of `eq`, and `eq null` that of `pr`: neither has a node of its own.
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    /// It holds of every resource, or of none.
    Constant(bool),
    And(Box<Node<'a>>, Box<Node<'a>>),
    Or(Box<Node<'a>>, Box<Node<'a>>),
    Not(Box<Node<'a>>),
    /// Some value at the place passes the test.
    Leaf {
        place: Place<'a>,
        test: Test,
    },
    /// Some element at the place fits the filter, whose places begin at the element.
    Element {
        place: Place<'a>,
        filter: Box<Node<'a>>,
    },
}

/// Which values are looked at.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// What the path means, seen from the resource even when it stands in brackets.
    pub(super) target: Target<'a>,
    /// The members to follow, from the resource or, in brackets, from the element.
    pub(super) keys: Vec<&'a str>,
}

/// What one value has to be.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// Not empty.
    Present,
    /// Text in that relation to `wanted`.
    Text {
        relation: Relation,
        letters: Letters,
        /// The literal as it was written.
        literal: String,
        /// The literal as it is compared: folded if `letters` says so.
        wanted: String,
    },
    /// A date-time in that order to the instant.
    Instant(Order, Timestamp),
    /// A number in that order to the number.
    Number(Order, Number),
    /// That boolean.
    Boolean(bool),
}

/// Whether letter case counts (RFC 7643 §2.2, `caseExact`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    Exact,
    Folded,
}

/// How a value is related to a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Order(Order),
    Part(Part),
}

/// Relations that every ordered type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// Relations that only text has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Contains,
    Starts,
    Ends,
}

/// Where paths begin: at a resource, which is looked for beside those of the other types, or at an element of the target
/// that stands before the brackets.
#[derive(Clone, Copy)]
enum Context<'a> {
    Resource(&'a ResourceType, &'a [&'a ResourceType]),
    Element(Target<'a>),
}

impl Context<'_> {
    /// Whether resources of this type lack what others have that are looked for as well. RFC 7644 §3.4.2.1: they are
    /// treated as if they had the attribute, and no value.
    fn lacks(self, path: &AttrPath) -> bool {
        match self {
            Self::Resource(own, beside) => {
                own.resolve(path).is_none()
                    && beside.iter().any(|other| other.resolve(path).is_some())
            }
            Self::Element(_) => false,
        }
    }
}

/// Binds a filter on resources of one type, which is looked for beside those of others.
pub(super) fn bind<'a>(
    filter: &Filter,
    resource_type: &'a ResourceType,
    beside: &'a [&'a ResourceType],
) -> Result<Bound<'a>, ScimError> {
    Ok(Bound { node: node(filter, Context::Resource(resource_type, beside))? })
}

/// Binds a filter on the elements of `attribute`: what stands between the brackets of a PATCH path.
pub(super) fn bind_element<'a>(
    filter: &Filter,
    attribute: &'a Attribute,
) -> Result<Node<'a>, ScimError> {
    let target = Target { extension: None, attribute: Some(attribute), sub: None };
    node(filter, Context::Element(target))
}

fn node<'a>(filter: &Filter, context: Context<'a>) -> Result<Node<'a>, ScimError> {
    let boxed = |filter| node(filter, context).map(Box::new);
    Ok(match filter {
        Filter::Compare { path, operator, value } if context.lacks(path) => {
            Node::Constant((*operator == Operator::Ne) != (*value == Literal::Null))
        }
        Filter::Present(path) | Filter::ValuePath { path, .. } if context.lacks(path) => {
            Node::Constant(false)
        }
        Filter::And(left, right) => Node::And(boxed(left)?, boxed(right)?),
        Filter::Or(left, right) => Node::Or(boxed(left)?, boxed(right)?),
        Filter::Not(filter) => Node::Not(boxed(filter)?),
        Filter::Present(path) => Node::Leaf { place: place(path, context)?, test: Test::Present },
        Filter::Compare { path, operator, value } => compare(path, *operator, value, context)?,
        Filter::ValuePath { path, filter } => {
            let place = place(path, context)?;
            let target = place.target;
            let has_elements = target.sub.is_none()
                && target.attribute.is_some_and(|a| a.multi_valued || a.kind == Type::Complex);
            if matches!(context, Context::Element(_)) || !has_elements {
                return Err(refused(path, "brackets go behind a complex attribute"));
            }
            Node::Element { place, filter: Box::new(node(filter, Context::Element(target))?) }
        }
    })
}

/// `path operator value`
fn compare<'a>(
    path: &AttrPath,
    operator: Operator,
    value: &Literal,
    context: Context<'a>,
) -> Result<Node<'a>, ScimError> {
    let mut place = place(path, context)?;
    let relation = relation(operator);
    let test = match value {
        Literal::Null if relation == Relation::Order(Order::Equal) => Test::Present,
        Literal::Null => return Err(refused(path, "null can only be compared with eq and ne")),
        Literal::String(_) | Literal::Number(_) | Literal::Bool(_) => {
            let attribute = comparable(path, &mut place)?;
            test(attribute, relation, value).map_err(|what| refused(path, &what))?
        }
    };
    let negated = (operator == Operator::Ne) != (*value == Literal::Null);
    let leaf = match context {
        Context::Resource(resource_type, _) if place.is_resource_type() => {
            Node::Constant(passes(&test, &Value::from(resource_type.kind.name())))
        }
        Context::Resource(..) | Context::Element(_) => Node::Leaf { place, test },
    };
    Ok(if negated { Node::Not(Box::new(leaf)) } else { leaf })
}

/// Looks a path up.
fn place<'a>(path: &AttrPath, context: Context<'a>) -> Result<Place<'a>, ScimError> {
    let place = match context {
        Context::Resource(resource_type, _) => {
            let target = resource_type.resolve(path).ok_or_else(|| {
                let name = resource_type.kind.name();
                refused(path, &format!("the schemas of {name} have no such attribute"))
            })?;
            let keys = target.extension.map(|schema| schema.urn.as_str()).into_iter();
            let names = [target.attribute, target.sub].into_iter().flatten();
            let keys = keys.chain(names.map(|attribute| attribute.name.as_str())).collect();
            Place { target, keys }
        }
        Context::Element(parent) => within(path, parent).ok_or_else(|| {
            let name = parent.attribute.map_or("", |attribute| attribute.name.as_str());
            refused(path, &format!("{name} has no such sub-attribute"))
        })?,
    };
    // What is never given out must not be found out by asking, either (RFC 7643 §2.2 leaves that to us).
    let parts = [place.target.attribute, place.target.sub].into_iter().flatten();
    match parts.map(|attribute| attribute.returned).find(|returned| *returned == Returned::Never) {
        None => Ok(place),
        Some(_) => Err(refused(path, "cannot be used in a filter, because it is never returned")),
    }
}

impl Place<'_> {
    /// Whether this is `meta.resourceType`, which the type says and no resource.
    fn is_resource_type(&self) -> bool {
        let is = |attribute: Option<&Attribute>, name| attribute.is_some_and(|a| a.name.is(name));
        self.target.extension.is_none()
            && is(self.target.attribute, well_known::META)
            && is(self.target.sub, well_known::RESOURCE_TYPE_NAME)
    }
}

/// Looks a path up within brackets. The elements of a simple attribute are their own `value` (RFC 7643 §2.4).
fn within<'a>(path: &AttrPath, parent: Target<'a>) -> Option<Place<'a>> {
    let attribute = parent.attribute?;
    if path.urn().is_some() || path.sub().is_some() {
        return None;
    }
    if attribute.kind != Type::Complex {
        let is_value = path.name().is(well_known::VALUE);
        return is_value.then_some(Place { target: parent, keys: Vec::new() });
    }
    let sub = attribute.sub(path.name())?;
    Some(Place { target: Target { sub: Some(sub), ..parent }, keys: vec![sub.name.as_str()] })
}

/// The attribute whose values are compared. Moves the place to `value` when the path names a complex attribute.
fn comparable<'a>(path: &AttrPath, place: &mut Place<'a>) -> Result<&'a Attribute, ScimError> {
    let leaf = place
        .target
        .leaf()
        .ok_or_else(|| refused(path, "a whole extension can only be tested with pr"))?;
    if leaf.kind != Type::Complex {
        return Ok(leaf);
    }
    match leaf.sub_named(well_known::VALUE) {
        Some(value) if place.target.sub.is_none() => {
            place.target.sub = Some(value);
            place.keys.push(value.name.as_str());
            Ok(value)
        }
        Some(_) | None => {
            let subs: Vec<&str> = leaf.sub_attributes.iter().map(|a| a.name.as_str()).collect();
            let what = "is complex; compare one of its sub-attributes";
            Err(refused(path, &format!("{what} ({})", subs.join(", "))))
        }
    }
}

/// The test for one value of `attribute`, or what is wrong with the comparison.
fn test(attribute: &Attribute, relation: Relation, value: &Literal) -> Result<Test, String> {
    match (attribute.kind, relation) {
        // RFC 7644 §3.4.2.2, table 3: ordering booleans or binaries is invalidFilter.
        (Type::Boolean, Relation::Order(Order::Equal)) => boolean(value),
        (Type::Boolean, _) => Err("is a boolean, which only eq, ne and pr can test".to_owned()),
        (Type::Integer | Type::Decimal, Relation::Order(order)) => number(order, value),
        (Type::Integer | Type::Decimal, Relation::Part(_)) => {
            Err("is a number, which co, sw and ew cannot test".to_owned())
        }
        (Type::DateTime, Relation::Order(order)) => instant(order, value),
        (Type::Binary, Relation::Order(Order::Equal) | Relation::Part(_))
        | (Type::DateTime, Relation::Part(_))
        | (Type::String | Type::Reference, _) => text(attribute, relation, value),
        (Type::Binary, Relation::Order(_)) => {
            Err("is binary, which gt, ge, lt and le cannot test".to_owned())
        }
        (Type::Complex, _) => Err("is complex".to_owned()),
    }
}

fn text(attribute: &Attribute, relation: Relation, value: &Literal) -> Result<Test, String> {
    let literal = match value {
        Literal::String(text) => text.clone(),
        // An identifier without quotes may consist of digits. Only whole numbers are spelled in one way.
        Literal::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        Literal::Number(_) | Literal::Bool(_) | Literal::Null => {
            return Err(mismatch("text", "a string in double quotation marks", value));
        }
    };
    let letters = letters(attribute);
    let wanted = match letters {
        Letters::Exact => literal.clone(),
        Letters::Folded => fold(&literal),
    };
    Ok(Test::Text { relation, letters, literal, wanted })
}

fn boolean(value: &Literal) -> Result<Test, String> {
    match value {
        Literal::Bool(flag) => Ok(Test::Boolean(*flag)),
        // Entra writes roles[primary eq "True"].
        Literal::String(text) if text.eq_ignore_ascii_case("true") => Ok(Test::Boolean(true)),
        Literal::String(text) if text.eq_ignore_ascii_case("false") => Ok(Test::Boolean(false)),
        Literal::String(_) | Literal::Number(_) | Literal::Null => {
            Err(mismatch("a boolean", "true or false", value))
        }
    }
}

fn number(order: Order, value: &Literal) -> Result<Test, String> {
    let number = match value {
        Literal::Number(number) => Some(number.clone()),
        Literal::String(text) => serde_json::from_str(text).ok(),
        Literal::Bool(_) | Literal::Null => None,
    };
    number
        .map(|number| Test::Number(order, number))
        .ok_or_else(|| mismatch("a number", "a number", value))
}

fn instant(order: Order, value: &Literal) -> Result<Test, String> {
    let instant = match value {
        Literal::String(text) => Timestamp::parse(text),
        Literal::Number(_) | Literal::Bool(_) | Literal::Null => None,
    };
    instant
        .map(|instant| Test::Instant(order, instant))
        .ok_or_else(|| mismatch("a date-time", "a string such as \"2026-11-21T08:00:00Z\"", value))
}

/// Whether letter case counts. The types reference and binary are case exact whatever their schema says (RFC 7643
/// §2.3.6, §2.3.7; the RFC's own schemas have `false` there), and date-times are compared as they are written.
fn letters(attribute: &Attribute) -> Letters {
    match attribute.kind {
        Type::String if !attribute.case_exact => Letters::Folded,
        Type::String
        | Type::Reference
        | Type::Binary
        | Type::DateTime
        | Type::Boolean
        | Type::Decimal
        | Type::Integer
        | Type::Complex => Letters::Exact,
    }
}

fn relation(operator: Operator) -> Relation {
    match operator {
        // `ne` is bound as the negation of `eq`.
        Operator::Eq | Operator::Ne => Relation::Order(Order::Equal),
        Operator::Co => Relation::Part(Part::Contains),
        Operator::Sw => Relation::Part(Part::Starts),
        Operator::Ew => Relation::Part(Part::Ends),
        Operator::Gt => Relation::Order(Order::Greater),
        Operator::Ge => Relation::Order(Order::GreaterOrEqual),
        Operator::Lt => Relation::Order(Order::Less),
        Operator::Le => Relation::Order(Order::LessOrEqual),
    }
}

fn mismatch(is: &str, allowed: &str, value: &Literal) -> String {
    let arrived = match value {
        Literal::String(_) => "another string",
        Literal::Number(_) => "a number",
        Literal::Bool(_) => "a boolean",
        Literal::Null => "null",
    };
    format!("is {is} and is compared with {allowed}; {arrived} arrived")
}

fn refused(path: &AttrPath, what: &str) -> ScimError {
    let path: String = path.to_string().chars().take(PATH_SHOWN_MAX).collect();
    ScimError::new(ErrorKind::InvalidFilter, format!("filter: {path}: {what}"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};

    use super::super::testing::resource_type;
    use super::*;
    use crate::scim::catalog::Kind;

    #[track_caller]
    fn check(kind: Kind, inputs: &[&str], expected: &Expect) {
        let mut table = String::new();
        for input in inputs {
            let outcome = match Filter::parse(input).unwrap().bind(resource_type(kind)) {
                Ok(_) => "fits".to_owned(),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidFilter);
                    error.detail().to_owned()
                }
            };
            writeln!(table, "{input}\n  {outcome}").unwrap();
        }
        expected.assert_eq(&table);
    }

    #[test]
    fn what_only_another_type_has_is_an_attribute_without_a_value() {
        let types = [resource_type(Kind::User), resource_type(Kind::Group)];
        let mut table = String::new();
        for input in [
            r#"userName eq "x""#,
            r#"userName ne "x""#,
            "userName eq null",
            "userName ne null",
            r#"not (active eq true)"#,
            r#"emails[type eq "work"].value eq "x""#,
            r#"members eq "m""#,
            r#"meta.resourceType eq "User""#,
            r#"meta.resourceType ne "User""#,
            r#"meta.resourceType co "r" and externalId pr"#,
            r#"meta.resourceType eq "Group" and displayName eq "x""#,
            r#"userName eq "x" or displayName eq "x""#,
            r#"externalId eq "x""#,
        ] {
            let of = |kind: Kind| {
                let filter = Filter::parse(input).unwrap();
                let bound = filter.bind_among(resource_type(kind), &types).unwrap();
                bound.constant().map_or("depends".to_owned(), |holds| holds.to_string())
            };
            writeln!(table, "{input}\n  {}, {}", of(Kind::User), of(Kind::Group)).unwrap();
        }
        expect![[r#"
            userName eq "x"
              depends, false
            userName ne "x"
              depends, true
            userName eq null
              depends, true
            userName ne null
              depends, false
            not (active eq true)
              depends, true
            emails[type eq "work"].value eq "x"
              depends, false
            members eq "m"
              false, depends
            meta.resourceType eq "User"
              true, false
            meta.resourceType ne "User"
              false, true
            meta.resourceType co "r" and externalId pr
              depends, depends
            meta.resourceType eq "Group" and displayName eq "x"
              false, depends
            userName eq "x" or displayName eq "x"
              depends, depends
            externalId eq "x"
              depends, depends
        "#]]
        .assert_eq(&table);
        let refused = |input: &str| {
            let filter = Filter::parse(input).unwrap();
            types.iter().any(|one| filter.bind_among(one, &types).is_err())
        };
        for input in ["nonsense pr", r#"active gt "true""#, "members[nonsense pr]", "password pr"] {
            assert!(refused(input), "{input}");
        }
    }

    #[test]
    fn what_the_schemas_lack_is_refused() {
        check(
            Kind::User,
            &[
                r#"nonsense eq "x""#,
                r#"name.nonsense eq "x""#,
                r#"userName.value eq "x""#,
                r#"urn:example:2.0:User:userName eq "x""#,
                r#"urn:ietf:params:scim:schemas:core:2.0:User:department eq "x""#,
                r#"members eq "x""#,
                r#"emails[nonsense eq "x"]"#,
                r#"emails[emails.type eq "work"]"#,
                r#"userName[value eq "x"]"#,
                r#"emails.value[value eq "x"]"#,
                r#"userName eq "x" or not (nonsense pr)"#,
                "password pr",
                r#"password sw "a""#,
            ],
            &expect![[r#"
                nonsense eq "x"
                  filter: nonsense: the schemas of User have no such attribute
                name.nonsense eq "x"
                  filter: name.nonsense: the schemas of User have no such attribute
                userName.value eq "x"
                  filter: userName.value: the schemas of User have no such attribute
                urn:example:2.0:User:userName eq "x"
                  filter: urn:example:2.0:User:userName: the schemas of User have no such attribute
                urn:ietf:params:scim:schemas:core:2.0:User:department eq "x"
                  filter: urn:ietf:params:scim:schemas:core:2.0:User:department: the schemas of User have no such attribute
                members eq "x"
                  filter: members: the schemas of User have no such attribute
                emails[nonsense eq "x"]
                  filter: nonsense: emails has no such sub-attribute
                emails[emails.type eq "work"]
                  filter: emails.type: emails has no such sub-attribute
                userName[value eq "x"]
                  filter: userName: brackets go behind a complex attribute
                emails.value[value eq "x"]
                  filter: emails.value: brackets go behind a complex attribute
                userName eq "x" or not (nonsense pr)
                  filter: nonsense: the schemas of User have no such attribute
                password pr
                  filter: password: cannot be used in a filter, because it is never returned
                password sw "a"
                  filter: password: cannot be used in a filter, because it is never returned
            "#]],
        );
        let long = format!("{} pr", "a".repeat(5_000));
        let error = Filter::parse(&long).unwrap().bind(resource_type(Kind::User)).unwrap_err();
        assert!(error.detail().len() < 200, "{error}");
    }

    #[test]
    fn what_the_type_does_not_allow_is_refused() {
        check(
            Kind::User,
            &[
                "active gt true",
                r#"active co "tr""#,
                r#"active eq "yes""#,
                r#"emails[type.value eq "x"]"#,
                "active eq 1",
                r#"emails.primary le "true""#,
                "userName eq true",
                "userName eq 1.5",
                "userName co null",
                r#"name eq "Ida""#,
                r#"addresses co "x""#,
                r#"x509Certificates gt "TUlJ""#,
                r#"meta.created gt "yesterday""#,
                "meta.created gt 2026",
                "meta.created gt null",
                r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User eq "x""#,
                r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User[department eq "x"]"#,
            ],
            &expect![[r#"
                active gt true
                  filter: active: is a boolean, which only eq, ne and pr can test
                active co "tr"
                  filter: active: is a boolean, which only eq, ne and pr can test
                active eq "yes"
                  filter: active: is a boolean and is compared with true or false; another string arrived
                emails[type.value eq "x"]
                  filter: type.value: emails has no such sub-attribute
                active eq 1
                  filter: active: is a boolean and is compared with true or false; a number arrived
                emails.primary le "true"
                  filter: emails.primary: is a boolean, which only eq, ne and pr can test
                userName eq true
                  filter: userName: is text and is compared with a string in double quotation marks; a boolean arrived
                userName eq 1.5
                  filter: userName: is text and is compared with a string in double quotation marks; a number arrived
                userName co null
                  filter: userName: null can only be compared with eq and ne
                name eq "Ida"
                  filter: name: is complex; compare one of its sub-attributes (formatted, familyName, givenName, middleName, honorificPrefix, honorificSuffix)
                addresses co "x"
                  filter: addresses: is complex; compare one of its sub-attributes (formatted, streetAddress, locality, region, postalCode, country, type, primary)
                x509Certificates gt "TUlJ"
                  filter: x509Certificates: is binary, which gt, ge, lt and le cannot test
                meta.created gt "yesterday"
                  filter: meta.created: is a date-time and is compared with a string such as "2026-11-21T08:00:00Z"; another string arrived
                meta.created gt 2026
                  filter: meta.created: is a date-time and is compared with a string such as "2026-11-21T08:00:00Z"; a number arrived
                meta.created gt null
                  filter: meta.created: null can only be compared with eq and ne
                urn:ietf:params:scim:schemas:extension:enterprise:2.0:User eq "x"
                  filter: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User: a whole extension can only be tested with pr
                urn:ietf:params:scim:schemas:extension:enterprise:2.0:User[department eq "x"]
                  filter: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User: brackets go behind a complex attribute
            "#]],
        );
    }

    #[test]
    fn what_can_be_read_as_the_type_is_taken() {
        check(
            Kind::User,
            &[
                r#"active eq "True""#,
                r#"active eq "False""#,
                "employeeNumber eq 771",
                "employeeNumber eq -7",
                "employeeNumber eq 18446744073709551615",
                "name eq null",
                "name pr",
                "groups.$ref pr",
                r#"emails co "x""#,
                r#"x509Certificates sw "TU""#,
                r#"meta.created sw "2026-""#,
                r#"schemas[value eq "x"]"#,
                r#"manager[value eq "x"]"#,
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr",
            ],
            &expect![[r#"
                active eq "True"
                  fits
                active eq "False"
                  fits
                employeeNumber eq 771
                  fits
                employeeNumber eq -7
                  fits
                employeeNumber eq 18446744073709551615
                  fits
                name eq null
                  fits
                name pr
                  fits
                groups.$ref pr
                  fits
                emails co "x"
                  fits
                x509Certificates sw "TU"
                  fits
                meta.created sw "2026-"
                  fits
                schemas[value eq "x"]
                  fits
                manager[value eq "x"]
                  fits
                urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr
                  fits
            "#]],
        );
    }

    #[test]
    fn numbers_take_order_but_no_parts() {
        let attribute = |kind| {
            let mut attribute = resource_type(Kind::User).attribute_named("title").unwrap().clone();
            attribute.kind = kind;
            attribute
        };
        let greater = Relation::Order(Order::Greater);
        for kind in [Type::Integer, Type::Decimal] {
            for good in [Literal::Number(5.into()), Literal::String("5.5".to_owned())] {
                assert!(test(&attribute(kind), greater, &good).is_ok());
            }
            for bad in [Literal::String("five".to_owned()), Literal::Bool(true)] {
                assert!(test(&attribute(kind), greater, &bad).is_err());
            }
            let part = Relation::Part(Part::Contains);
            assert!(test(&attribute(kind), part, &Literal::Number(5.into())).is_err());
        }
    }
}
