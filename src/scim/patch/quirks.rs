//! What identity providers send that RFC 7644 does not say, and how it becomes what the RFC says.
//!
//! The table is run in order over each operation before it is read. A quirk fires only when its shape is really met;
//! the names of those that fired go to the log. What the RFC leaves open, or what needs no rewriting, is not here.

use serde_json::{Map, Value, json};

use super::path::{PatchPath, Place, Spot};
use crate::scim::catalog::ResourceType;
use crate::scim::coerce;
use crate::scim::schema::{Attribute, Mutability, Type};
use crate::scim::well_known;

/// One habit of an identity provider.
#[derive(Debug)]
pub struct Quirk {
    /// The name that the log shows.
    pub name: &'static str,
    /// Who sends it.
    pub idp: &'static str,
    /// What is sent and what it has to mean.
    pub why: &'static str,
    rewrite: fn(&ResourceType, &mut Pieces) -> bool,
}

impl Quirk {
    /// Rewrites `pieces` and says whether the shape was met.
    pub(super) fn rewrite(&self, rt: &ResourceType, pieces: &mut Pieces) -> bool {
        (self.rewrite)(rt, pieces)
    }
}

/// The members of an operation as they were sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pieces {
    /// The operation.
    pub(super) op: String,
    /// The path; never empty.
    pub(super) path: Option<String>,
    /// The value; `Some(Null)` when it is null.
    pub(super) value: Option<Value>,
}

/// Every quirk, in the order in which they are tried.
pub const QUIRKS: &[Quirk] = &[
    Quirk {
        name: "capital-op",
        idp: "Microsoft Entra ID without the flag aadOptscim062020",
        why: "`Add`, `Replace` and `Remove` for `add`, `replace` and `remove`.",
        rewrite: capital_op,
    },
    Quirk {
        name: "remove-with-value",
        idp: "Microsoft Entra ID without the flag, JumpCloud",
        why: "RFC 7644 has no value in a removal. With a list it names the values to remove, and taking it for a \
              removal of the attribute has emptied groups; with anything else it is the old value.",
        rewrite: remove_with_value,
    },
    Quirk {
        name: "pathless-dotted-keys",
        idp: "Microsoft Entra ID with the flag, its SCIM Validator",
        why: "Without a path, keys such as `name.givenName`, `urn:…:User:department` and `emails[type eq \
              \"work\"].value` are paths, not attributes of that name. Keys are read as paths anyway: only noted.",
        rewrite: dotted_keys,
    },
    Quirk {
        name: "read-only-in-value",
        idp: "Okta",
        why: "`id` beside `displayName` in the value of a group's replacement: dropped.",
        rewrite: read_only_in_value,
    },
    Quirk {
        name: "quoted-boolean-in-filter",
        idp: "Microsoft Entra ID",
        why: "`roles[primary eq \"True\"].value` means `primary eq true`. Filters read it so anyway: only noted.",
        rewrite: quoted_boolean,
    },
    Quirk {
        name: "array-for-scalar",
        idp: "Microsoft Entra ID",
        why: "`[{\"value\":\"u-9\",\"$ref\":…}]` for a manager, `[{\"value\":\"Ida\"}]` for a simple attribute in its \
              oldest jobs: the one element is meant.",
        rewrite: |rt, pieces| each(rt, pieces, array_for_scalar),
    },
    Quirk {
        name: "scalar-for-array",
        idp: "Microsoft Entra ID provisioning on demand, JumpCloud",
        why: "A single value for a list, such as one member's id: a list of one.",
        rewrite: |rt, pieces| each(rt, pieces, scalar_for_array),
    },
    Quirk {
        name: "string-for-complex",
        idp: "Microsoft Entra ID",
        why: "A manager as a bare string, which means its `value`.",
        rewrite: |rt, pieces| each(rt, pieces, string_for_complex),
    },
    Quirk {
        name: "json-text-in-value",
        idp: "Microsoft Entra ID",
        why: "App roles whose `value` is an object written as JSON text: its `value` and `displayName` are meant, as \
              in the POST of the same role.",
        rewrite: |rt, pieces| each(rt, pieces, json_text_in_value),
    },
    Quirk {
        name: "string-boolean",
        idp: "Microsoft Entra ID without the flag",
        why: "`\"True\"` and `\"False\"` for `active` and `primary`.",
        rewrite: |rt, pieces| each(rt, pieces, string_boolean),
    },
];

/// What a value is given for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// A multi-valued attribute as a whole.
    List,
    /// A single value, or one element of a list.
    One,
}

type Rewrite = fn(&Attribute, Slot, &mut Value) -> bool;

fn capital_op(_: &ResourceType, pieces: &mut Pieces) -> bool {
    let lower = pieces.op.to_ascii_lowercase();
    let is_met = lower != pieces.op;
    pieces.op = lower;
    is_met
}

/// What becomes of the value is for the removal to say: only noted.
fn remove_with_value(_: &ResourceType, pieces: &mut Pieces) -> bool {
    pieces.op == "remove" && pieces.path.is_some() && pieces.value.is_some()
}

fn dotted_keys(rt: &ResourceType, pieces: &mut Pieces) -> bool {
    let Pieces { op: _, path: None, value: Some(Value::Object(members)) } = pieces else {
        return false;
    };
    // A schema's URN as a whole is RFC 7643's own spelling of an extension and names no attribute here.
    members
        .keys()
        .any(|key| with_spot(rt, key, |spot| !spot.attribute.name.is(key)).unwrap_or(false))
}

fn read_only_in_value(rt: &ResourceType, pieces: &mut Pieces) -> bool {
    let Pieces { op: _, path: None, value: Some(Value::Object(members)) } = pieces else {
        return false;
    };
    let before = members.len();
    let is_read_only = |spot: &Spot<'_>| spot.attribute.mutability == Mutability::ReadOnly;
    members.retain(|key, _| with_spot(rt, key, is_read_only) != Some(true));
    members.len() != before
}

fn quoted_boolean(rt: &ResourceType, pieces: &mut Pieces) -> bool {
    let keys = match (&pieces.path, &pieces.value) {
        (Some(path), _) => vec![path],
        (None, Some(Value::Object(members))) => members.keys().collect(),
        (None, Some(_) | None) => Vec::new(),
    };
    let has_filter = |key: &&String| key.contains('[');
    let quotes = |spot: &Spot<'_>| spot.quotes_boolean();
    keys.into_iter().filter(has_filter).any(|key| with_spot(rt, key, quotes).unwrap_or(false))
}

fn array_for_scalar(attribute: &Attribute, slot: Slot, value: &mut Value) -> bool {
    let inner = match slot {
        Slot::List => None,
        Slot::One => coerce::unwrapped(attribute, value).cloned(),
    };
    replace(value, inner)
}

fn scalar_for_array(_: &Attribute, slot: Slot, value: &mut Value) -> bool {
    let is_scalar = slot == Slot::List && !value.is_array() && !coerce::is_empty(value);
    let list = is_scalar.then(|| Value::Array(vec![value.clone()]));
    replace(value, list)
}

fn string_for_complex(attribute: &Attribute, slot: Slot, value: &mut Value) -> bool {
    let is_text = slot == Slot::One && value.is_string() && !coerce::is_empty(value);
    let object = if is_text { coerce::wrapped(attribute, value) } else { None };
    replace(value, object)
}

fn json_text_in_value(attribute: &Attribute, slot: Slot, value: &mut Value) -> bool {
    let is_labelled_text = attribute.multi_valued
        && attribute.sub_named(well_known::DISPLAY).is_some()
        && attribute.sub_named(well_known::VALUE).is_some_and(|sub| sub.kind == Type::String);
    let (true, Slot::One, Value::Object(entry)) = (is_labelled_text, slot, &mut *value) else {
        return false;
    };
    let decoded = decode(entry);
    replace(value, decoded)
}

/// The entry that `{"value":"{\"value\":\"Editor\",\"displayName\":\"Editor\"}"}` means.
fn decode(entry: &Map<String, Value>) -> Option<Value> {
    let text = coerce::member(entry, well_known::VALUE)?.as_str().filter(|t| t.starts_with('{'))?;
    let inner: Map<String, Value> = serde_json::from_str(text).ok()?;
    let inner_value =
        coerce::member(&inner, well_known::VALUE)?.as_str().filter(|v| !v.is_empty())?;
    let label = coerce::member(&inner, well_known::DISPLAY_NAME)
        .or_else(|| coerce::member(&inner, well_known::DISPLAY));
    let mut decoded = json!({ well_known::VALUE: inner_value });
    let members = decoded.as_object_mut()?;
    if let Some(Value::String(label)) = label {
        members.insert(well_known::DISPLAY.to_owned(), Value::from(label.as_str()));
    }
    let others = entry.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(well_known::VALUE));
    members.extend(others.map(|(name, value)| (name.clone(), value.clone())));
    Some(decoded)
}

fn string_boolean(attribute: &Attribute, slot: Slot, value: &mut Value) -> bool {
    let flag = match (attribute.kind, slot, &*value) {
        (Type::Boolean, Slot::One, Value::String(text)) => coerce::boolean(text),
        (_, _, _) => None,
    };
    replace(value, flag.map(Value::Bool))
}

fn replace(value: &mut Value, by: Option<Value>) -> bool {
    let is_met = by.is_some();
    if let Some(by) = by {
        *value = by;
    }
    is_met
}

/// Calls `rewrite` for every value of the operation, together with the attribute that it is given for.
fn each(rt: &ResourceType, pieces: &mut Pieces, rewrite: Rewrite) -> bool {
    match (&pieces.path, &mut pieces.value) {
        (Some(path), Some(value)) => at_key(rt, path, value, rewrite),
        (None, Some(Value::Object(members))) => {
            any(members.iter_mut(), |(key, value)| at_key(rt, key, value, rewrite))
        }
        (None, Some(_)) | (_, None) => false,
    }
}

fn at_key(rt: &ResourceType, key: &str, value: &mut Value, rewrite: Rewrite) -> bool {
    let Ok(path) = PatchPath::parse(rt, key) else { return false };
    let urn = match path.place(rt) {
        Ok(Some(Place::Attribute(spot))) => {
            return spot.is_kept() && descend(spot.leaf(), slot(&spot), value, rewrite);
        }
        Ok(Some(Place::Extension(schema))) => &schema.urn,
        Ok(Some(Place::Core)) => &rt.schema.urn,
        Ok(None) | Err(_) => return false,
    };
    let Value::Object(members) = value else { return false };
    any(members.iter_mut(), |(key, value)| {
        with_spot(rt, &format!("{urn}:{key}"), |spot| {
            spot.is_kept() && descend(spot.leaf(), slot(spot), value, rewrite)
        })
        .unwrap_or(false)
    })
}

/// The value first, then what is in it; as deep as the schema goes.
fn descend(attribute: &Attribute, slot: Slot, value: &mut Value, rewrite: Rewrite) -> bool {
    let is_met = rewrite(attribute, slot, value);
    let is_met_within = match value {
        Value::Array(elements) if slot == Slot::List => {
            any(elements.iter_mut(), |element| descend(attribute, Slot::One, element, rewrite))
        }
        Value::Object(members) => any(members.iter_mut(), |(name, value)| {
            let sub = attribute.sub_named(name).filter(|sub| coerce::is_kept(sub));
            sub.is_some_and(|sub| {
                let slot = if sub.multi_valued { Slot::List } else { Slot::One };
                descend(sub, slot, value, rewrite)
            })
        }),
        // An array where one value belongs will be refused.
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            false
        }
    };
    is_met || is_met_within
}

/// Whether `visit` holds for one of them; unlike `Iterator::any` it visits them all.
fn any<T>(items: impl Iterator<Item = T>, mut visit: impl FnMut(T) -> bool) -> bool {
    let mut is_met = false;
    for item in items {
        is_met |= visit(item);
    }
    is_met
}

fn slot(spot: &Spot<'_>) -> Slot {
    let is_element = spot.sub.is_none() && spot.filter.is_some();
    if spot.leaf().multi_valued && !is_element { Slot::List } else { Slot::One }
}

/// What `ask` says of the attribute at `path`; `None` when there is none.
fn with_spot<T>(rt: &ResourceType, path: &str, ask: impl FnOnce(&Spot<'_>) -> T) -> Option<T> {
    match PatchPath::parse(rt, path).ok()?.place(rt).ok()?? {
        Place::Attribute(spot) => Some(ask(&spot)),
        Place::Core | Place::Extension(_) => None,
    }
}
