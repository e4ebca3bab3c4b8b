//! References by bulkId (RFC 7644 §3.7.1): `bulkId:qwerty` as the last part of a path, or as a whole string in the data.

use serde_json::{Map, Value};

use crate::limits::PATH_SHOWN_MAX;
use crate::scim::error::ScimError;

/// What makes a text a reference.
const PREFIX: &str = "bulkId:";

/// What is known of what a reference stands for.
#[derive(Debug)]
pub(super) enum Reference<'a> {
    /// The id of the resource.
    Known(&'a str),
    /// It may come yet.
    Open,
    /// It never comes.
    Lost(ScimError),
}

/// The bulkIds that a path and a body refer to.
pub(super) fn of<'a>(path: &'a str, data: &'a Value) -> Vec<&'a str> {
    let mut found: Vec<&str> = in_path(path).into_iter().map(|(_, id)| id).collect();
    collect(data, &mut found);
    found
}

fn collect<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.extend(text.strip_prefix(PREFIX)),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(members) => members.values().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A path up to its last part, and the bulkId that this is.
fn in_path(path: &str) -> Option<(&str, &str)> {
    let (before, last) = path.trim_end_matches('/').rsplit_once('/')?;
    Some((before, last.strip_prefix(PREFIX)?))
}

/// Why a path and a body cannot be sent.
#[derive(Debug)]
pub(super) enum Unresolved<'a> {
    /// This bulkId, the last one of those that it depends on, may come to stand for something yet.
    Open(&'a str),
    /// One never will.
    Lost(ScimError),
}

/// The path and the body with ids in the place of references.
///
/// # Errors
/// A reference that never stands for anything; else one that does not yet.
pub(super) fn resolve<'a, 'k>(
    path: &'a str,
    data: &'a Value,
    known: impl Fn(&str) -> Reference<'k>,
) -> Result<(String, Value), Unresolved<'a>> {
    let mut open = None;
    for id in of(path, data) {
        match known(id) {
            Reference::Known(_) => {}
            Reference::Open => open = Some(id),
            Reference::Lost(error) => return Err(Unresolved::Lost(error)),
        }
    }
    if let Some(id) = open {
        return Err(Unresolved::Open(id));
    }
    let id_of = |id: &str| match known(id) {
        Reference::Known(id) => Some(id.to_owned()),
        Reference::Open | Reference::Lost(_) => None,
    };
    let path = in_path(path)
        .and_then(|(before, id)| Some(format!("{before}/{}", id_of(id)?)))
        .unwrap_or_else(|| path.to_owned());
    let mut data = data.clone();
    replace(&mut data, &id_of);
    Ok((path, data))
}

fn replace(value: &mut Value, id_of: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(id) = text.strip_prefix(PREFIX).and_then(id_of) {
                *text = id;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, id_of)),
        Value::Object(members) => members.values_mut().for_each(|value| replace(value, id_of)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A body without the values that refer to something open, and these alone, each in its place: a value of a list, or the
/// whole value of an attribute.
pub(super) fn split(data: &Value, is_open: impl Fn(&str) -> bool) -> (Value, Value) {
    let Value::Object(members) = data else { return (data.clone(), Value::Object(Map::new())) };
    let (kept, rest) = split_object(members, &is_open);
    (Value::Object(kept), Value::Object(rest))
}

fn split_object(
    members: &Map<String, Value>,
    is_open: &impl Fn(&str) -> bool,
) -> (Map<String, Value>, Map<String, Value>) {
    let (mut kept, mut rest) = (Map::new(), Map::new());
    for (name, value) in members {
        // An extension's attributes stand below its URN; every other object is a value.
        if let Value::Object(inner) = value
            && name.contains(':')
        {
            let (inner_kept, inner_rest) = split_object(inner, is_open);
            kept.insert(name.clone(), Value::Object(inner_kept));
            if !inner_rest.is_empty() {
                rest.insert(name.clone(), Value::Object(inner_rest));
            }
        } else if let Value::Array(values) = value {
            let (open, closed): (Vec<&Value>, Vec<&Value>) =
                values.iter().partition(|value| refers(value, is_open));
            let list = |values: Vec<&Value>| Value::Array(values.into_iter().cloned().collect());
            if !open.is_empty() {
                rest.insert(name.clone(), list(open));
            }
            kept.insert(name.clone(), list(closed));
        } else if refers(value, is_open) {
            rest.insert(name.clone(), value.clone());
        } else {
            kept.insert(name.clone(), value.clone());
        }
    }
    (kept, rest)
}

fn refers(value: &Value, is_open: &impl Fn(&str) -> bool) -> bool {
    let mut found = Vec::new();
    collect(value, &mut found);
    found.into_iter().any(is_open)
}

/// A bulkId, cut to what an error may repeat.
pub(super) fn shown(id: &str) -> String {
    id.chars().take(PATH_SHOWN_MAX).collect()
}
