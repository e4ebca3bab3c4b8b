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
use super::{validate, version};
use crate::limits::{OP_SHOWN_MAX, PATCH_OPERATIONS_MAX};

pub(in crate::scim) use apply::{is_same, write};
pub(in crate::scim) use members::MemberStep;
pub use members::{MemberDelta, ids};
pub(in crate::scim) use operation::{Step, Verb, steps};
pub(in crate::scim) use path::{PatchPath, Place, Spot};
pub use quirks::{QUIRKS, Quirk};

use operation::Write;
use quirks::Pieces;

/// A PATCH request that has been read for one resource type. What is left to find out depends on the resource.
#[derive(Clone, Debug)]
pub struct PatchRequest {
    /// Each with the number of its operation, counted from 1.
    writes: Vec<(usize, Write)>,
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
        if let Value::Object(members) = body {
            version::check(rt, members)?;
        }
        let (mut writes, mut member_steps, mut names_members) = (Vec::new(), Vec::new(), false);
        for (number, operation) in (1_usize..).zip(operations(body)?) {
            let steps = operation_steps(rt, operation, &mut quirks)
                .map_err(|error| error.of_operation(number))?;
            for step in steps {
                match step {
                    Step::Write(write) => writes.push((number, write)),
                    Step::Members(step) => {
                        names_members = true;
                        member_steps.push((number, step));
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
    /// identifier gets too long. The detail says which operation it was, as in [`PatchRequest::parse`].
    pub fn apply(&self, rt: &ResourceType, document: &Document) -> Result<Document, ScimError> {
        let mut attributes = document.attributes().clone();
        for (number, write) in &self.writes {
            apply::write(rt, &mut attributes, write)
                .map_err(|error| error.of_operation(*number))?;
        }
        check(rt, document, &attributes).map_err(|error| self.blame(rt, document, error))?;
        validate::finish(rt, attributes)
    }

    /// What is wrong in the end, with the operation that brought it about: the last one that made it so. A later operation
    /// may mend what an earlier one breaks, so it is only looked for when the end is known, by doing all of it again.
    fn blame(&self, rt: &ResourceType, document: &Document, error: ScimError) -> ScimError {
        let mut attributes = document.attributes().clone();
        let (mut guilty, mut was_so) = (None, false);
        for operation in self.writes.chunk_by(|(left, _), (right, _)| left == right) {
            for (_, write) in operation {
                // It has succeeded once, on the same attributes.
                apply::write(rt, &mut attributes, write).ok();
            }
            let is_so = check(rt, document, &attributes).is_err_and(|found| found == error);
            if is_so && !was_so {
                guilty = operation.first().map(|(number, _)| *number);
            }
            was_so = is_so;
        }
        match guilty {
            Some(number) => error.of_operation(number),
            None => error,
        }
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

/// The checks that only the outcome of all operations has to pass.
fn check(
    rt: &ResourceType,
    before: &Document,
    attributes: &Map<String, Value>,
) -> Result<(), ScimError> {
    let mut missing = validate::missing(rt, attributes);
    if !missing.is_empty() {
        // What was missing before the request is not its fault: a schema that was switched on since must not keep
        // anybody in.
        let known = validate::missing(rt, before.attributes());
        missing.retain(|missing| !known.contains(missing));
    }
    if let Some(missing) = missing.first() {
        if !missing.was_in(before) {
            return Err(missing.refusal());
        }
        // RFC 7644 §3.5.2.2 has this scimType for a required attribute that becomes unassigned.
        let detail = format!("{} is required and cannot be removed", missing.label());
        return Err(ScimError::new(ErrorKind::Mutability, detail));
    }
    validate::check_immutable(rt, before, attributes)?;
    validate::check_lengths(rt, attributes)
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
    let arrived = pieces.op.clone();
    for quirk in QUIRKS.iter().filter(|quirk| quirk.rewrite(rt, &mut pieces)) {
        if !met.contains(&quirk.name) {
            met.push(quirk.name);
        }
    }
    let verb = Verb::parse(&pieces.op).ok_or_else(|| unknown_op(&shown(&arrived)))?;
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
        Some(other) => return Err(unknown_op(json_type(other))),
        None => return Err(unknown_op("an operation without op")),
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

/// The refusal of an operation of which nobody knows what it does.
fn unknown_op(arrived: &str) -> ScimError {
    let detail = format!("op must be add, remove or replace; {arrived} arrived");
    ScimError::new(ErrorKind::InvalidSyntax, detail)
}

/// A text as an error may repeat it, or what it is when that would be too much.
fn shown(text: &str) -> String {
    match text.chars().count() {
        0 => "an empty string".to_owned(),
        length if length <= OP_SHOWN_MAX => format!("\"{}\"", text.escape_debug()),
        length => format!("a string of {length} characters"),
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
