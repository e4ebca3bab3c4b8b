//! Members of a group in a request (RFC 7643 §4.2, RFC 7644 §3.5.2): ids that join, ids that leave.
//!
//! Members are stored one item each, so a change of them is never a list that is read, edited and written back: it is
//! a [`MemberDelta`]. Everything but the id (`display`, `$ref`, `type`) is the server's to say and is dropped. Whether
//! an id names anybody is the store's business.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::operation::Verb;
use super::path::Spot;
use crate::limits::MEMBERS_READ_MAX;
use crate::scim::coerce;
use crate::scim::error::{ErrorKind, ScimError, json_type};
use crate::scim::filter::{Filter, Literal, Operator};
use crate::scim::well_known;

/// What the operations of one request do to a group's members, the later operation having the last word. No id is both
/// added and removed; after a replacement no id is removed, because everybody who is not added goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberDelta {
    replaces: bool,
    added: Vec<String>,
    removed: Vec<String>,
    /// Which operation, counted from 1, adds each of `added`.
    added_by: Vec<usize>,
}

impl MemberDelta {
    /// Whether everybody who is not in [`MemberDelta::added`] goes.
    pub fn replaces(&self) -> bool {
        self.replaces
    }

    /// The ids that are members afterwards, whether or not they were before; sorted.
    pub fn added(&self) -> &[String] {
        &self.added
    }

    /// The ids that are no members afterwards, whether or not they were before; sorted.
    pub fn removed(&self) -> &[String] {
        &self.removed
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        !self.replaces && self.added.is_empty() && self.removed.is_empty()
    }

    /// The error about an id that is added, with the operation that adds it.
    pub fn blame(&self, id: &str, error: ScimError) -> ScimError {
        let at = self.added.iter().position(|added| added == id);
        match at.and_then(|at| self.added_by.get(at)) {
            Some(number) => error.of_operation(*number),
            None => error,
        }
    }

    /// The sum of `steps`, in order, each with the number of its operation.
    pub(super) fn of(steps: Vec<(usize, MemberStep)>) -> Self {
        let mut replaces = false;
        // By which operation an id is added; `None` when it is removed.
        let mut last = BTreeMap::new();
        for (number, step) in steps {
            match step {
                MemberStep::Add(ids) => last.extend(ids.into_iter().map(|id| (id, Some(number)))),
                MemberStep::Remove(ids) => last.extend(ids.into_iter().map(|id| (id, None))),
                MemberStep::Replace(ids) => {
                    replaces = true;
                    last = ids.into_iter().map(|id| (id, Some(number))).collect();
                }
            }
        }
        let mut delta = Self { replaces, ..Self::default() };
        for (id, by) in last {
            match by {
                Some(number) => {
                    delta.added.push(id);
                    delta.added_by.push(number);
                }
                None if replaces => {}
                None => delta.removed.push(id),
            }
        }
        delta
    }
}

/// What one operation does to the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::scim) enum MemberStep {
    /// These join.
    Add(Vec<String>),
    /// These leave.
    Remove(Vec<String>),
    /// These stay or join, everybody else leaves.
    Replace(Vec<String>),
}

/// The ids in a `members` value: an array of objects with `value` or of bare strings, or one of either. Each id once,
/// in the order of their first appearance.
///
/// # Errors
/// 400 `invalidValue` for an entry without an id, so that `[{}]` never empties a group; 400 `tooMany` for more entries
/// than a group may have.
pub fn ids(value: &Value) -> Result<Vec<String>, ScimError> {
    let entries = coerce::elements(value);
    if entries.len() > MEMBERS_READ_MAX {
        let detail = format!("members: at most {MEMBERS_READ_MAX} in one request");
        return Err(ScimError::new(ErrorKind::TooMany, detail));
    }
    let mut seen = BTreeSet::new();
    let mut ids = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = id(entry)?;
        if seen.insert(id) {
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}

/// What an operation whose path or key is `spot` does to the members; `None` when it does nothing to who is a member,
/// such as writing the `display` of one.
///
/// # Errors
/// 400 `invalidFilter` for a filter that does not select by `value`; `invalidValue` as in [`ids`]; `mutability` for a
/// replacement of one member by another within a filter; `noTarget` for a removal of every id but not of the members.
pub(super) fn step(
    verb: Verb,
    spot: &Spot<'_>,
    value: Option<&Value>,
) -> Result<Option<MemberStep>, ScimError> {
    let is_about_ids = spot.sub.is_none_or(|sub| sub.name.is(well_known::VALUE));
    let selected = spot.filter.map(selected).transpose()?;
    if !is_about_ids {
        return Ok(None);
    }
    match (verb, selected) {
        (Verb::Remove, Some(selected)) => Ok(Some(MemberStep::Remove(selected))),
        (Verb::Remove, None) => match value {
            None if spot.sub.is_none() => Ok(Some(MemberStep::Replace(Vec::new()))),
            None => {
                let detail = "members.value: name the members to remove, or remove members";
                Err(ScimError::new(ErrorKind::NoTarget, detail))
            }
            // A list limits the removal to what it lists; null and [] list nobody. Entra's `Remove` with a list, taken
            // for a removal of the whole attribute, has emptied groups elsewhere.
            Some(Value::Null) => Ok(Some(MemberStep::Remove(Vec::new()))),
            Some(value) => Ok(Some(MemberStep::Remove(ids(value)?))),
        },
        (Verb::Add, None) => match value {
            None | Some(Value::Null) => Ok(Some(MemberStep::Add(Vec::new()))),
            Some(value) => Ok(Some(MemberStep::Add(ids(value)?))),
        },
        (Verb::Replace, None) => match value {
            None | Some(Value::Null) => Ok(Some(MemberStep::Replace(Vec::new()))),
            Some(value) => Ok(Some(MemberStep::Replace(ids(value)?))),
        },
        (Verb::Add | Verb::Replace, Some(selected)) => {
            let given = value.filter(|value| names_an_id(value)).map_or(Ok(Vec::new()), ids)?;
            if given.iter().any(|id| !selected.contains(id)) {
                let detail = "members.value cannot be changed: remove one member and add the other";
                return Err(ScimError::new(ErrorKind::Mutability, detail));
            }
            Ok((verb == Verb::Add && !given.is_empty()).then_some(MemberStep::Add(given)))
        }
    }
}

/// The ids that a filter on members selects: `value eq "…"`, several of them joined by `or`.
fn selected(filter: &Filter) -> Result<Vec<String>, ScimError> {
    let mut ids = Vec::new();
    if select(filter, &mut ids) {
        return Ok(ids);
    }
    let detail = "members can be selected by value alone, such as members[value eq \"…\"], several joined by or";
    Err(ScimError::new(ErrorKind::InvalidFilter, detail))
}

fn select(filter: &Filter, ids: &mut Vec<String>) -> bool {
    match filter {
        Filter::Or(left, right) => select(left, ids) && select(right, ids),
        Filter::Compare { path, operator: Operator::Eq, value: Literal::String(id) } => {
            ids.push(id.clone());
            path.name().is(well_known::VALUE) && path.sub().is_none()
        }
        Filter::And(..)
        | Filter::Not(_)
        | Filter::Compare { .. }
        | Filter::Present(_)
        | Filter::ValuePath { .. } => false,
    }
}

fn names_an_id(value: &Value) -> bool {
    coerce::elements(value).iter().any(|entry| match entry.as_object() {
        Some(members) => coerce::member(members, well_known::VALUE).is_some(),
        None => entry.is_string(),
    })
}

fn id(entry: &Value) -> Result<&str, ScimError> {
    let given = match entry.as_object() {
        Some(members) => coerce::member(members, well_known::VALUE),
        None => Some(entry),
    };
    let refuse = |arrived: &str| {
        let detail =
            format!("members: each entry needs a value, the id of a member; {arrived} arrived");
        ScimError::new(ErrorKind::InvalidValue, detail)
    };
    match given {
        Some(Value::String(id)) if !id.is_empty() => Ok(id),
        Some(Value::String(_)) => Err(refuse("an empty string")),
        Some(other) => Err(refuse(json_type(other))),
        None => Err(refuse("an entry without it")),
    }
}
