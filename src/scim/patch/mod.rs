//! PATCH (RFC 7644 §3.5.2): from a request to changed attributes and changed members.
//!
//! A request passes through four steps. `quirks` turns what identity providers send into what the RFC says. `operation`
//! reads each operation into writes whose values fit their attributes. [`PatchRequest::apply`] does the writes on a copy
//! of the document, so that all of them happen or none. `members` sums up what happens to a group's members, which are
//! no part of the document. Nothing here knows an attribute by name; operations on what the schemas lack, and on what is
//! read-only, do nothing, because refusing them would lose the operations beside them.

mod apply;
mod members;
mod operation;
mod path;
mod quirks;

use serde_json::{Map, Value};

use super::catalog::ResourceType;
use super::coerce;
use super::document::Document;
use super::error::{ErrorKind, ScimError, json_type};
use super::validate;
use crate::limits::PATCH_OPERATIONS_MAX;

pub(in crate::scim) use apply::write;
pub(in crate::scim) use members::MemberStep;
pub use members::{MemberDelta, ids};
pub(in crate::scim) use operation::{Step, Verb, steps};
pub(in crate::scim) use path::Spot;
pub use quirks::{QUIRKS, Quirk};

use operation::Write;
use quirks::Pieces;

/// A PATCH request that has been read for one resource type. What is left to find out depends on the resource.
#[derive(Clone, Debug)]
pub struct PatchRequest {
    writes: Vec<Write>,
    members: Option<MemberDelta>,
    quirks: Vec<&'static str>,
}

impl PatchRequest {
    /// Reads a request body. `schemas` is not asked for; member names are taken in any letter case.
    ///
    /// # Errors
    /// 400 `invalidSyntax` for a body without operations or an unknown `op`, `tooMany` for too many operations,
    /// `invalidPath` for a path that is none, `invalidValue` for a value that is missing or does not fit, `noTarget` for
    /// a removal without a path, `invalidFilter` for a filter on members that selects by anything but `value`. The detail
    /// says which operation, counted from 1.
    pub fn parse(rt: &ResourceType, body: &Value) -> Result<Self, ScimError> {
        let mut quirks = Vec::new();
        let (mut writes, mut member_steps, mut names_members) = (Vec::new(), Vec::new(), false);
        for (number, operation) in (1_usize..).zip(operations(body)?) {
            let steps = operation_steps(rt, operation, &mut quirks).map_err(|error| {
                ScimError::new(error.kind(), format!("operation {number}: {}", error.detail()))
            })?;
            for step in steps {
                match step {
                    Step::Write(write) => writes.push(write),
                    Step::Members(step) => {
                        names_members = true;
                        member_steps.push(step);
                    }
                }
            }
        }
        let members = names_members.then(|| MemberDelta::of(member_steps));
        Ok(Self { writes, members, quirks })
    }

    /// The document after the operations that concern it, in their order. `document` itself is never changed.
    ///
    /// # Errors
    /// 400 `noTarget` for a filter that selects nothing and does not say what to create; `mutability` when a required
    /// attribute would be left without a value or an immutable one would change; `invalidValue` when a list or an
    /// identifier gets too long.
    pub fn apply(&self, rt: &ResourceType, document: &Document) -> Result<Document, ScimError> {
        let mut attributes = document.attributes().clone();
        for write in &self.writes {
            apply::write(rt, &mut attributes, write)?;
        }
        let missing = validate::missing(rt, &attributes);
        if let Some(missing) = missing.filter(|missing| missing.was_in(document)) {
            // RFC 7644 §3.5.2.2 has this scimType for a required attribute that becomes unassigned.
            let detail = format!("{} is required and cannot be removed", missing.label());
            return Err(ScimError::new(ErrorKind::Mutability, detail));
        }
        validate::check_immutable(rt, document, &attributes)?;
        validate::finish(rt, attributes)
    }

    /// What happens to the members; `None` when no operation names them.
    pub fn members(&self) -> Option<&MemberDelta> {
        self.members.as_ref()
    }

    /// Whether some operation concerns something else than members.
    pub fn touches_document(&self) -> bool {
        !self.writes.is_empty()
    }

    /// The names of the quirks that were met, each once, for the log.
    pub fn quirks(&self) -> &[&'static str] {
        &self.quirks
    }
}

/// The list of operations in a request body.
fn operations(body: &Value) -> Result<&[Value], ScimError> {
    let refuse = |detail: String| Err(ScimError::new(ErrorKind::InvalidSyntax, detail));
    let Value::Object(members) = body else {
        return refuse(format!("the body must be a JSON object, not {}", json_type(body)));
    };
    match coerce::member(members, "Operations") {
        Some(Value::Array(operations)) if operations.len() > PATCH_OPERATIONS_MAX => {
            let detail = format!("at most {PATCH_OPERATIONS_MAX} operations in one request");
            Err(ScimError::new(ErrorKind::TooMany, detail))
        }
        Some(Value::Array(operations)) => Ok(operations),
        Some(other) => refuse(format!("Operations must be an array, not {}", json_type(other))),
        None => refuse("the body needs Operations, an array".to_owned()),
    }
}

fn operation_steps(
    rt: &ResourceType,
    operation: &Value,
    met: &mut Vec<&'static str>,
) -> Result<Vec<Step>, ScimError> {
    let Value::Object(members) = operation else {
        let detail = format!("must be a JSON object, not {}", json_type(operation));
        return Err(ScimError::new(ErrorKind::InvalidSyntax, detail));
    };
    let mut pieces = pieces(members)?;
    for quirk in QUIRKS.iter().filter(|quirk| quirk.rewrite(rt, &mut pieces)) {
        if !met.contains(&quirk.name) {
            met.push(quirk.name);
        }
    }
    let verb = Verb::parse(&pieces.op).ok_or_else(|| {
        ScimError::new(ErrorKind::InvalidSyntax, "op must be add, remove or replace")
    })?;
    match (&pieces.path, &pieces.value) {
        (Some(path), value) => operation::with_path(rt, verb, path, value.as_ref()),
        (None, Some(value)) => operation::without_path(rt, verb, value),
        (None, None) if verb == Verb::Remove => operation::without_path(rt, verb, &Value::Null),
        (None, None) => {
            Err(ScimError::new(ErrorKind::InvalidValue, "add and replace need a value"))
        }
    }
}

/// An operation's members. A path that is null or empty is none.
fn pieces(members: &Map<String, Value>) -> Result<Pieces, ScimError> {
    let op = match coerce::member(members, "op") {
        Some(Value::String(op)) => op.clone(),
        Some(other) => {
            let detail = format!("op must be a string, not {}", json_type(other));
            return Err(ScimError::new(ErrorKind::InvalidSyntax, detail));
        }
        None => return Err(ScimError::new(ErrorKind::InvalidSyntax, "op is missing")),
    };
    let path = match coerce::member(members, "path") {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) if path.trim().is_empty() => None,
        Some(Value::String(path)) => Some(path.clone()),
        Some(other) => {
            let detail = format!("path must be a string, not {}", json_type(other));
            return Err(ScimError::new(ErrorKind::InvalidPath, detail));
        }
    };
    Ok(Pieces { op, path, value: coerce::member(members, "value").cloned() })
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
