//! A second evaluator of filters: it looks into the resource's JSON as it stands, and knows of the schema only what type an
//! attribute has and whether its letter case counts.

use std::cmp::Ordering;

use scim_endpoint::moment::Timestamp;
use scim_endpoint::scim::catalog::ResourceType;
use scim_endpoint::scim::filter::{Filter, Literal, Operator};
use scim_endpoint::scim::path::AttrPath;
use scim_endpoint::scim::schema::{Attribute, Type};
use serde_json::{Map, Value};

/// Where paths begin.
#[derive(Clone, Copy)]
enum At<'v> {
    Resource(&'v Map<String, Value>),
    /// An element, and the attribute that it is one of.
    Element(&'v Value, &'v Attribute),
}

/// Whether the filter holds; `None` where that takes more than ASCII.
pub(crate) fn holds(
    filter: &Filter,
    rt: &ResourceType,
    resource: &Map<String, Value>,
) -> Option<bool> {
    within(filter, rt, At::Resource(resource))
}

fn within(filter: &Filter, rt: &ResourceType, at: At<'_>) -> Option<bool> {
    Some(match filter {
        // Both sides are always looked at: one of them may be beyond this evaluator.
        Filter::And(left, right) => {
            let (left, right) = (within(left, rt, at)?, within(right, rt, at)?);
            left && right
        }
        Filter::Or(left, right) => {
            let (left, right) = (within(left, rt, at)?, within(right, rt, at)?);
            left || right
        }
        Filter::Not(filter) => !within(filter, rt, at)?,
        Filter::Present(path) => values(path, rt, at)?.0.iter().any(|value| is_something(value)),
        Filter::Compare { path, operator, value } => {
            let (found, attribute) = values(path, rt, at)?;
            let (eq, null) =
                (matches!(operator, Operator::Eq | Operator::Ne), *value == Literal::Null);
            let passes = if null {
                !found.iter().any(|one| is_something(one))
            } else {
                let (found, attribute) = leaves(found, attribute);
                let mut passes = false;
                for one in found {
                    passes |= compare(one, *operator, value, attribute)?;
                }
                passes
            };
            if eq && *operator == Operator::Ne { !passes } else { passes }
        }
        Filter::ValuePath { path, filter } => {
            let (found, attribute) = values(path, rt, at)?;
            let mut any = false;
            for element in found {
                any |= within(filter, rt, At::Element(element, attribute?))?;
            }
            any
        }
    })
}

/// The values that a path leads to, lists taken apart, and the attribute that they are of.
fn values<'v>(
    path: &AttrPath,
    rt: &'v ResourceType,
    at: At<'v>,
) -> Option<(Vec<&'v Value>, Option<&'v Attribute>)> {
    match at {
        At::Element(element, attribute) => {
            if attribute.kind != Type::Complex {
                return Some((vec![element], Some(attribute)));
            }
            let sub = attribute
                .sub_attributes
                .iter()
                .find(|sub| alike(sub.name.as_str(), path.name().as_str()))?;
            Some((below(vec![element], sub.name.as_str()), Some(sub)))
        }
        At::Resource(resource) => {
            let target = rt.resolve(path)?;
            let root: Vec<&Value> = match target.extension {
                Some(extension) => resource.get(&extension.urn).into_iter().collect(),
                None => Vec::new(),
            };
            let Some(attribute) = target.attribute else { return Some((root, None)) };
            let found = match target.extension {
                Some(_) => below(root, attribute.name.as_str()),
                None => apart(resource.get(attribute.name.as_str())),
            };
            match target.sub {
                Some(sub) => Some((below(found, sub.name.as_str()), Some(sub))),
                None => Some((found, Some(attribute))),
            }
        }
    }
}

fn alike(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn below<'v>(values: Vec<&'v Value>, name: &str) -> Vec<&'v Value> {
    values.into_iter().flat_map(|value| apart(value.get(name))).collect()
}

fn apart(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(elements)) => elements.iter().collect(),
        other => other.into_iter().collect(),
    }
}

/// What is compared where a complex attribute itself is: its `value`.
fn leaves<'v>(
    found: Vec<&'v Value>,
    attribute: Option<&'v Attribute>,
) -> (Vec<&'v Value>, Option<&'v Attribute>) {
    match attribute {
        Some(complex) if complex.kind == Type::Complex => {
            let sub = complex.sub_attributes.iter().find(|sub| sub.name.as_str() == "value");
            (below(found, "value"), sub)
        }
        _ => (found, attribute),
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => all.iter().any(is_something),
        Value::Object(all) => all.values().any(is_something),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn compare(
    value: &Value,
    operator: Operator,
    literal: &Literal,
    attribute: Option<&Attribute>,
) -> Option<bool> {
    let attribute = attribute?;
    let written = match literal {
        Literal::String(text) => text.clone(),
        Literal::Number(number) => number.to_string(),
        Literal::Bool(flag) => flag.to_string(),
        Literal::Null => return None,
    };
    if !written.is_ascii() {
        return None;
    }
    match attribute.kind {
        Type::Boolean => Some(value.as_bool()? == written.eq_ignore_ascii_case("true")),
        Type::DateTime if !matches!(operator, Operator::Co | Operator::Sw | Operator::Ew) => {
            let (found, wanted) = (Timestamp::parse(value.as_str()?)?, Timestamp::parse(&written)?);
            Some(is_so(operator, found.cmp(&wanted)))
        }
        Type::String | Type::Reference | Type::Binary | Type::DateTime => {
            let is_exact = attribute.case_exact || attribute.kind != Type::String;
            let spelled =
                |text: &str| if is_exact { text.to_owned() } else { text.to_ascii_lowercase() };
            let (found, wanted) = (spelled(value.as_str()?), spelled(&written));
            Some(match operator {
                Operator::Co => found.contains(&wanted),
                Operator::Sw => found.starts_with(&wanted),
                Operator::Ew => found.ends_with(&wanted),
                Operator::Eq
                | Operator::Ne
                | Operator::Gt
                | Operator::Ge
                | Operator::Lt
                | Operator::Le => is_so(operator, found.cmp(&wanted)),
            })
        }
        Type::Integer | Type::Decimal | Type::Complex => None,
    }
}

/// `ne` is what is not equal; that is turned around where the values are put together.
fn is_so(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Gt => order.is_gt(),
        Operator::Ge => order.is_ge(),
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
        Operator::Eq | Operator::Ne | Operator::Co | Operator::Sw | Operator::Ew => order.is_eq(),
    }
}
