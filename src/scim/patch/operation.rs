//! From one operation to the writes that it stands for (RFC 7644 §3.5.2.1 to §3.5.2.3).
//!
//! What can be known without the resource is decided here: which attribute a path names, whether a client may write it,
//! and whether the value fits. What is left for `apply` is a list of writes whose values fit their attributes. A POST or
//! PUT body is read in the same way, as the value of a `replace` without a path.

use serde_json::{Map, Value};

use super::members::{self, MemberStep};
use super::path::{PatchPath, Place, Spot};
use crate::scim::catalog::ResourceType;
use crate::scim::coerce;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::schema::{Attribute, Schema, Type};
use crate::scim::{validate, well_known};

/// What an operation does (RFC 7644 §3.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scim) enum Verb {
    /// Adds values to a list; sets everything else.
    Add,
    /// Takes values away.
    Remove,
    /// Sets values.
    Replace,
}

impl Verb {
    /// Reads the RFC's spelling; other letter cases are a quirk.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "add" => Some(Self::Add),
            "remove" => Some(Self::Remove),
            "replace" => Some(Self::Replace),
            _ => None,
        }
    }
}

/// A part of what an operation does.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::scim) enum Step {
    /// Writes the document.
    Write(Write),
    /// Changes who is a member.
    Members(MemberStep),
}

/// One write at one place of the document.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::scim) struct Write {
    /// Where.
    pub(super) path: PatchPath,
    /// What.
    pub(super) change: Change,
}

/// What is written. Values fit the attribute that they are for and are not empty.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::scim) enum Change {
    /// Adds the values to a list, sets anything else.
    Add(Value),
    /// Sets.
    Replace(Value),
    /// Leaves the attribute without a value.
    Clear,
    /// Takes these values out of a list.
    Unlist(Vec<Value>),
}

/// The steps of an operation with a path.
///
/// # Errors
/// 400 `invalidPath`, `invalidValue`, `noTarget`, `invalidFilter` or `mutability` (members), each for what the operation
/// itself says.
pub(super) fn with_path(
    rt: &ResourceType,
    verb: Verb,
    path: &str,
    value: Option<&Value>,
) -> Result<Vec<Step>, ScimError> {
    let path = PatchPath::parse(rt, path)?;
    let Some(place) = path.place(rt)? else { return Ok(Vec::new()) };
    if verb != Verb::Remove && value.is_none() {
        return Err(ScimError::new(ErrorKind::InvalidValue, "add and replace need a value"));
    }
    match (place, verb, value) {
        (Place::Core, Verb::Add | Verb::Replace, Some(value)) => without_path(rt, verb, value),
        (Place::Core, _, _) => Err(no_target("remove needs a path that names an attribute")),
        (Place::Extension(_), Verb::Remove, _) => Ok(vec![clear(&path)]),
        (Place::Extension(schema), Verb::Add | Verb::Replace, Some(value)) => {
            let mut steps = Vec::new();
            if verb == Verb::Replace {
                steps.push(clear(&path));
            }
            steps.extend(whole_extension(rt, verb, schema, value)?);
            Ok(steps)
        }
        (Place::Extension(_), Verb::Add | Verb::Replace, None) => Ok(Vec::new()),
        (Place::Attribute(spot), _, value) => attribute(rt, verb, &path, &spot, value),
    }
}

/// The steps of an operation without a path: each key of `value` is a path. Entra writes `name.givenName` and
/// `urn:…:User:department` there, others nest objects. Keys that name nothing are ignored.
///
/// # Errors
/// As [`with_path`]; 400 `invalidValue` when `value` is not an object.
pub(super) fn without_path(
    rt: &ResourceType,
    verb: Verb,
    value: &Value,
) -> Result<Vec<Step>, ScimError> {
    if verb == Verb::Remove {
        return Err(no_target("remove needs a path"));
    }
    self::steps(rt, verb, object(value, "value, without a path,")?)
}

/// The steps for keys and their values; see [`without_path`].
///
/// # Errors
/// As [`with_path`].
pub(in crate::scim) fn steps<'v>(
    rt: &ResourceType,
    verb: Verb,
    members: impl IntoIterator<Item = (&'v String, &'v Value)>,
) -> Result<Vec<Step>, ScimError> {
    let mut steps = Vec::new();
    for (key, value) in members {
        let Some(path) = key_path(rt, key)? else { continue };
        match path.place(rt)? {
            None => {}
            Some(Place::Extension(schema)) => {
                steps.extend(whole_extension(rt, verb, schema, value)?);
            }
            Some(Place::Core) => steps.extend(attributes(rt, verb, &rt.schema, value)?),
            Some(Place::Attribute(spot)) => {
                steps.extend(attribute(rt, verb, &path, &spot, Some(value))?);
            }
        }
    }
    Ok(steps)
}

/// The only object there is in `value`: itself, or the one element of an array.
pub(super) fn object<'v>(value: &'v Value, at: &str) -> Result<&'v Map<String, Value>, ScimError> {
    let inner = match value.as_array().map(Vec::as_slice) {
        Some([only]) => only,
        Some(_) | None => value,
    };
    inner.as_object().ok_or_else(|| coerce::wrong_type(at, "an object", value))
}

fn whole_extension(
    rt: &ResourceType,
    verb: Verb,
    schema: &Schema,
    value: &Value,
) -> Result<Vec<Step>, ScimError> {
    // An empty object has nothing to merge; a replacement at a path has been cleared by its caller.
    if coerce::is_empty(value) && !value.is_object() {
        return Ok(vec![clear(&PatchPath::Schema(schema.urn.clone()))]);
    }
    attributes(rt, verb, schema, value)
}

/// The steps for the members of an object that stands under a schema's URN. Nothing nests deeper than that.
fn attributes(
    rt: &ResourceType,
    verb: Verb,
    schema: &Schema,
    value: &Value,
) -> Result<Vec<Step>, ScimError> {
    let mut steps = Vec::new();
    for (key, value) in object(value, &schema.urn)? {
        let Some(path) = key_path(rt, &format!("{}:{key}", schema.urn))? else { continue };
        if let Some(Place::Attribute(spot)) = path.place(rt)? {
            steps.extend(attribute(rt, verb, &path, &spot, Some(value))?);
        }
    }
    Ok(steps)
}

/// A key that is no path names an attribute that nobody knows, unless it has brackets: then it was meant as one.
fn key_path(rt: &ResourceType, key: &str) -> Result<Option<PatchPath>, ScimError> {
    match PatchPath::parse(rt, key) {
        Ok(path) => Ok(Some(path)),
        Err(error) if key.contains('[') => Err(error),
        Err(_) => Ok(None),
    }
}

fn attribute(
    rt: &ResourceType,
    verb: Verb,
    path: &PatchPath,
    spot: &Spot<'_>,
    value: Option<&Value>,
) -> Result<Vec<Step>, ScimError> {
    if validate::is_stored_apart(rt, spot) {
        return Ok(members::step(verb, spot, value)?.map(Step::Members).into_iter().collect());
    }
    if !spot.is_kept() {
        return Ok(Vec::new());
    }
    let changes = match (verb, value) {
        (Verb::Remove, value) => removal(path, spot, value)?,
        (Verb::Add | Verb::Replace, Some(value)) => setting(verb, path, spot, value)?,
        (Verb::Add | Verb::Replace, None) => Vec::new(),
    };
    let writes = changes.into_iter().map(|(path, change)| Write { path, change });
    // An empty value for what has a default is a mapping gone wrong, and must switch no account on or off. Only an
    // explicit removal takes `active` away; whoever has none is not active.
    let is_kept = |write: &Write| {
        verb == Verb::Remove || write.change != Change::Clear || validate::default(spot).is_none()
    };
    Ok(writes.filter(is_kept).map(Step::Write).collect())
}

type Changes = Vec<(PatchPath, Change)>;

/// A removal takes the attribute away, whatever value comes with it; only a list without a filter is limited to the
/// values that are listed.
fn removal(path: &PatchPath, spot: &Spot<'_>, value: Option<&Value>) -> Result<Changes, ScimError> {
    match value {
        Some(value) if is_list(spot) => {
            let listed = coerce::value(spot.leaf(), value, &spot.label())?;
            let Some(Value::Array(listed)) = listed else { return Ok(Vec::new()) };
            Ok(vec![(path.clone(), Change::Unlist(listed))])
        }
        Some(_) | None => Ok(vec![(path.clone(), Change::Clear)]),
    }
}

fn setting(
    verb: Verb,
    path: &PatchPath,
    spot: &Spot<'_>,
    value: &Value,
) -> Result<Changes, ScimError> {
    let value = coerce::unwrapped(spot.leaf(), value).unwrap_or(value);
    if let Some(members) = mergeable(spot, value) {
        return merging(verb, path, spot.attribute, members);
    }
    let kept = coerce::value(spot.leaf(), value, &spot.label())?;
    let is_one = kept.as_ref().is_none_or(|kept| coerce::elements(kept).len() == 1);
    if spot.filter.is_some() && spot.sub.is_none() && !is_one {
        let detail = format!("{}, with a filter in the path, takes one value", spot.label());
        return Err(ScimError::new(ErrorKind::InvalidValue, detail));
    }
    let change = match (verb, kept) {
        (Verb::Add, Some(value)) => Change::Add(value),
        (Verb::Replace | Verb::Remove, Some(value)) => Change::Replace(value),
        (Verb::Add, None)
            if spot.leaf().multi_valued && (value.is_array() || value.is_object()) =>
        {
            return Ok(Vec::new());
        }
        (Verb::Add | Verb::Replace | Verb::Remove, None) => Change::Clear,
    };
    Ok(vec![(path.clone(), change)])
}

/// Whether `spot` is a list as a whole, so that single values can be added to it and taken out of it.
pub(super) fn is_list(spot: &Spot<'_>) -> bool {
    spot.leaf().multi_valued && spot.filter.is_none()
}

/// The object that is merged into a complex attribute, sub-attribute by sub-attribute: what it does not name stays
/// (RFC 7644 §3.5.2.3). One that names a `value` is a new value, which keeps nothing of the old one: neither a
/// manager's link nor a label fits the next manager.
fn mergeable<'v>(spot: &Spot<'_>, value: &'v Value) -> Option<&'v Map<String, Value>> {
    let attribute = spot.leaf();
    let members = value.as_object().filter(|members| !members.is_empty())?;
    let is_single =
        attribute.kind == Type::Complex && !attribute.multi_valued && spot.sub.is_none();
    let is_value = attribute.sub_named(well_known::VALUE).is_some()
        && coerce::member(members, well_known::VALUE).is_some();
    (is_single && !is_value).then_some(members)
}

fn merging(
    verb: Verb,
    path: &PatchPath,
    attribute: &Attribute,
    members: &Map<String, Value>,
) -> Result<Changes, ScimError> {
    let mut changes = Vec::with_capacity(members.len());
    for (name, value) in members {
        let Some(sub) = attribute.sub_named(name).filter(|sub| coerce::is_kept(sub)) else {
            continue;
        };
        let at = format!("{}.{}", attribute.name, sub.name);
        let change = match (verb, coerce::value(sub, value, &at)?) {
            (Verb::Add, Some(value)) => Change::Add(value),
            (Verb::Replace | Verb::Remove, Some(value)) => Change::Replace(value),
            (Verb::Add | Verb::Replace | Verb::Remove, None) => Change::Clear,
        };
        changes.push((path.with_sub(&sub.name), change));
    }
    Ok(changes)
}

fn clear(path: &PatchPath) -> Step {
    Step::Write(Write { path: path.clone(), change: Change::Clear })
}

fn no_target(detail: &str) -> ScimError {
    ScimError::new(ErrorKind::NoTarget, detail)
}
