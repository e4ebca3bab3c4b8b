//! Writing into a document (RFC 7644 §3.5.2.1 to §3.5.2.3).
//!
//! Works on a copy that its caller throws away on an error, so it never has to undo. Values have been checked before;
//! what is decided here depends on what the document holds: which entries a filter selects, whether an entry has to be
//! made, which entry stays the primary one. It leaves no empty object or list behind.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::operation::{Change, Write};
use super::path::{PatchPath, Place, Spot};
use crate::limits::VALUES_MAX;
use crate::scim::catalog::ResourceType;
use crate::scim::coerce;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::filter::number_order;
use crate::scim::fold::fold;
use crate::scim::schema::{Attribute, Schema, Type};
use crate::scim::well_known;

/// Does one write.
///
/// # Errors
/// 400 `noTarget` when a filter selects nothing and does not say what to create; 400 `invalidValue` when a list grows
/// too long. `attributes` may be half written then.
pub(in crate::scim) fn write(
    rt: &ResourceType,
    attributes: &mut Map<String, Value>,
    write: &Write,
) -> Result<(), ScimError> {
    match write.path.place(rt)? {
        None | Some(Place::Core) => Ok(()),
        Some(Place::Extension(schema)) => {
            attributes.shift_remove(&schema.urn);
            Ok(())
        }
        Some(Place::Attribute(spot)) => within(attributes, spot.extension, |holder| {
            if spot.attribute.multi_valued {
                list(holder, &spot, write)
            } else {
                single(holder, &spot, &write.change);
                Ok(())
            }
        }),
    }
}

/// Runs `change` on the object that holds an attribute: the document, or the extension's object in it.
fn within(
    attributes: &mut Map<String, Value>,
    extension: Option<&Schema>,
    change: impl FnOnce(&mut Map<String, Value>) -> Result<(), ScimError>,
) -> Result<(), ScimError> {
    match extension {
        None => change(attributes),
        Some(schema) => in_object(attributes, &schema.urn, change),
    }
}

/// Runs `change` on the object under `key`; an object that it leaves empty goes.
fn in_object<T>(
    holder: &mut Map<String, Value>,
    key: &str,
    change: impl FnOnce(&mut Map<String, Value>) -> T,
) -> T {
    let mut inner = match holder.get_mut(key) {
        Some(Value::Object(inner)) => std::mem::take(inner),
        Some(_) | None => Map::new(),
    };
    let result = change(&mut inner);
    put(holder, key, Value::Object(inner));
    result
}

/// Stores a value where the key already is, or takes the key away when the value is empty.
fn put(holder: &mut Map<String, Value>, key: &str, value: Value) {
    if coerce::is_empty(&value) {
        holder.shift_remove(key);
    } else {
        holder.insert(key.to_owned(), value);
    }
}

fn single(holder: &mut Map<String, Value>, spot: &Spot<'_>, change: &Change) {
    let name = spot.attribute.name.as_str();
    match (spot.sub, change) {
        (None, Change::Add(value) | Change::Replace(value)) => put(holder, name, value.clone()),
        (None, Change::Clear | Change::Unlist(_)) => put(holder, name, Value::Null),
        (Some(sub), change) => in_object(holder, name, |entry| {
            if set_sub(spot.attribute, sub, change, entry) == Left::Hollow {
                entry.clear();
            }
        }),
    }
}

/// What a write of a sub-attribute leaves of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Something worth keeping.
    Content,
    /// Only what described the value that has gone.
    Hollow,
}

fn set_sub(
    attribute: &Attribute,
    sub: &Attribute,
    change: &Change,
    entry: &mut Map<String, Value>,
) -> Left {
    let name = sub.name.as_str();
    let before = entry.get(name).cloned();
    match change {
        Change::Add(Value::Array(added)) if sub.multi_valued => {
            let mut values = take_list(entry, name);
            for value in added {
                add(sub, &mut values, value);
            }
            put(entry, name, Value::Array(values));
        }
        Change::Add(value) | Change::Replace(value) => put(entry, name, value.clone()),
        Change::Clear => put(entry, name, Value::Null),
        Change::Unlist(listed) => {
            let mut values = take_list(entry, name);
            values.retain(|value| !listed.iter().any(|listed| is_same(sub, value, listed)));
            put(entry, name, Value::Array(values));
        }
    }
    let is_new_value = sub.name.is(well_known::VALUE) && before.as_ref() != entry.get(name);
    if let (true, Some(link)) = (is_new_value, attribute.sub_named(well_known::REF)) {
        // The link leads to what the old value named.
        entry.shift_remove(link.name.as_str());
    }
    let has_gone = before.is_some() && !entry.contains_key(name);
    if has_gone && coerce::is_hollow(entry) { Left::Hollow } else { Left::Content }
}

fn take_list(holder: &mut Map<String, Value>, name: &str) -> Vec<Value> {
    match holder.get_mut(name) {
        Some(Value::Array(values)) => std::mem::take(values),
        Some(_) | None => Vec::new(),
    }
}

fn list(holder: &mut Map<String, Value>, spot: &Spot<'_>, write: &Write) -> Result<(), ScimError> {
    let name = spot.attribute.name.as_str();
    let mut entries = take_list(holder, name);
    let touched = change_list(&mut entries, spot, write)?;
    if entries.len() > VALUES_MAX {
        return Err(coerce::too_many_values(name));
    }
    coerce::keep_one_primary(&mut entries, |at| touched.get(at).copied().unwrap_or(false));
    put(holder, name, Value::Array(entries));
    Ok(())
}

/// Changes a list and says of each entry whether it was written: an entry that is made the primary one wins over the
/// one that was.
fn change_list(
    entries: &mut Vec<Value>,
    spot: &Spot<'_>,
    write: &Write,
) -> Result<Vec<bool>, ScimError> {
    let hits = entries.iter().map(|entry| spot.selects(entry)).collect::<Result<Vec<_>, _>>()?;
    let is_hit = hits.contains(&true);
    match (&write.change, spot.sub) {
        (Change::Clear, None) => {
            let mut hits = hits.iter();
            entries.retain(|_| hits.next() != Some(&true));
            Ok(Vec::new())
        }
        (Change::Unlist(listed), None) => {
            entries.retain(|entry| !listed.iter().any(|one| is_same(spot.attribute, entry, one)));
            Ok(Vec::new())
        }
        (Change::Add(value), None) if spot.filter.is_none() => {
            Ok(add_all(spot.attribute, entries, coerce::elements(value)))
        }
        (Change::Replace(value), None) if spot.filter.is_none() => {
            *entries = coerce::elements(value).to_vec();
            Ok(Vec::new())
        }
        (Change::Add(value), None) if is_hit => {
            for (entry, _) in entries.iter_mut().zip(&hits).filter(|(_, hit)| **hit) {
                for added in coerce::elements(value) {
                    merge(entry, added);
                }
            }
            Ok(hits)
        }
        (Change::Replace(value), None) if is_hit => {
            let beginnings = spot.beginnings().unwrap_or_default();
            let made = made_entries(&beginnings, coerce::elements(value));
            Ok(replace_hits(entries, &hits, made))
        }
        (Change::Clear | Change::Unlist(_), Some(sub)) => {
            set_in_hits(entries, &hits, spot.attribute, sub, &write.change);
            Ok(Vec::new())
        }
        (Change::Add(_) | Change::Replace(_), Some(sub)) if is_hit => {
            set_in_hits(entries, &hits, spot.attribute, sub, &write.change);
            Ok(hits)
        }
        (Change::Add(value) | Change::Replace(value), sub) => {
            let part = sub.map(|sub| Value::from_iter([(sub.name.to_string(), value.clone())]));
            let parts = part.as_ref().map_or(coerce::elements(value), std::slice::from_ref);
            let made = create(spot, parts).ok_or_else(|| no_target(&write.path))?;
            Ok(add_all(spot.attribute, entries, &made))
        }
    }
}

/// New entries for a filter that selects none. `None` when the filter does not say how they begin, or when `parts` say
/// otherwise: `emails[value eq "a"].value` set to "b" where there is no "a" is no wish for a new entry.
fn create(spot: &Spot<'_>, parts: &[Value]) -> Option<Vec<Value>> {
    let beginnings = spot.beginnings()?;
    let contradicts = |part: &Value| {
        beginnings.iter().any(|(name, wanted)| {
            let sub = spot.attribute.sub_named(name);
            sub.zip(part.get(name)).is_some_and(|(sub, given)| !is_equal(sub, given, wanted))
        })
    };
    (!parts.iter().any(contradicts)).then(|| made_entries(&beginnings, parts))
}

fn set_in_hits(
    entries: &mut Vec<Value>,
    hits: &[bool],
    attribute: &Attribute,
    sub: &Attribute,
    change: &Change,
) {
    let mut hits = hits.iter();
    entries.retain_mut(|entry| match (hits.next(), entry) {
        (Some(true), Value::Object(members)) => {
            set_sub(attribute, sub, change, members) == Left::Content && !members.is_empty()
        }
        (_, _) => true,
    });
}

/// Puts `made` where the first selected entry was; the other selected entries go (RFC 7644 §3.5.2.3).
fn replace_hits(entries: &mut Vec<Value>, hits: &[bool], mut made: Vec<Value>) -> Vec<bool> {
    let mut touched = Vec::with_capacity(entries.len());
    let before = std::mem::take(entries);
    for (entry, hit) in before.into_iter().zip(hits) {
        if *hit {
            touched.extend(made.iter().map(|_| true));
            entries.append(&mut made);
        } else {
            touched.push(false);
            entries.push(entry);
        }
    }
    touched
}

/// New entries that begin with what a filter asks for and go on with `parts`.
fn made_entries(beginnings: &Map<String, Value>, parts: &[Value]) -> Vec<Value> {
    let made = parts.iter().map(|part| {
        let mut entry = Value::Object(beginnings.clone());
        merge(&mut entry, part);
        entry
    });
    made.collect()
}

fn add_all(attribute: &Attribute, entries: &mut Vec<Value>, added: &[Value]) -> Vec<bool> {
    let mut touched = vec![false; entries.len()];
    for value in added {
        let at = add(attribute, entries, value);
        touched.resize(entries.len(), false);
        if let Some(touched) = touched.get_mut(at) {
            *touched = true;
        }
    }
    touched
}

/// Adds one value, or completes the entry that is there for it, and says at which position it is.
fn add(attribute: &Attribute, entries: &mut Vec<Value>, value: &Value) -> usize {
    let found = entries.iter().position(|entry| is_same(attribute, entry, value));
    if let Some(entry) = found.and_then(|at| entries.get_mut(at)) {
        merge(entry, value);
    } else {
        entries.push(value.clone());
    }
    found.unwrap_or(entries.len() - 1)
}

fn merge(entry: &mut Value, added: &Value) {
    match (entry, added) {
        (Value::Object(entry), Value::Object(added)) => {
            entry.extend(added.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        (entry, added) => added.clone_into(entry),
    }
}

/// Whether two values of a list are the same one: equal, or with the same `value` and no different `type` (RFC 7643
/// §2.4: no two entries with the same type and value).
pub(in crate::scim) fn is_same(attribute: &Attribute, left: &Value, right: &Value) -> bool {
    let agree = |name: &str| {
        let sub = attribute.sub_named(name)?;
        let (left, right) = (left.get(sub.name.as_str())?, right.get(sub.name.as_str())?);
        Some(is_equal(sub, left, right))
    };
    if attribute.kind != Type::Complex {
        return is_equal(attribute, left, right);
    }
    left == right
        || (agree(well_known::VALUE) == Some(true) && agree(well_known::TYPE) != Some(false))
}

/// Equality as `caseExact` says (RFC 7643 §2.2).
fn is_equal(attribute: &Attribute, left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(left), Value::String(right))
            if attribute.kind == Type::String && !attribute.case_exact =>
        {
            fold(left) == fold(right)
        }
        // 2 and 2.0 are one number.
        (Value::Number(left), Value::Number(right)) => {
            number_order(left, right).is_some_and(Ordering::is_eq)
        }
        (left, right) => left == right,
    }
}

fn no_target(path: &PatchPath) -> ScimError {
    let detail = match path {
        PatchPath::Attribute { path, filter: _, sub: _ } => format!(
            "path: no value of {path} fits the filter, and the filter does not say what to create \
             (comparisons with eq, joined by and)"
        ),
        PatchPath::Schema(urn) => format!("path: nothing at {urn}"),
    };
    ScimError::new(ErrorKind::NoTarget, detail)
}
