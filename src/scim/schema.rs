//! Schemas as data (RFC 7643 §7): what `/Schemas` publishes is the text that validation, filtering and projection
//! run on.
//!
//! A schema is read from a JSON file under `schemas/`. Every characteristic of RFC 7643 §2.2 becomes a closed enum;
//! a file with an unknown keyword is refused when the program starts.

use std::fmt;

use serde_json::Value;

use super::name::AttrName;

/// The data type of an attribute (RFC 7643 §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    /// Unicode text.
    #[default]
    String,
    /// `true` or `false`.
    Boolean,
    /// A real number.
    Decimal,
    /// A whole number.
    Integer,
    /// An `xsd:dateTime`.
    DateTime,
    /// base64 text.
    Binary,
    /// A URI, kept as text.
    Reference,
    /// An object with sub-attributes.
    Complex,
}

/// Who may change an attribute (RFC 7643 §2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutability {
    /// The server alone.
    ReadOnly,
    /// The client, any time.
    #[default]
    ReadWrite,
    /// The client, once.
    Immutable,
    /// The client, but nobody reads it.
    WriteOnly,
}

/// When an attribute is part of an answer (RFC 7643 §2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Returned {
    /// Always, whatever `excludedAttributes` says.
    Always,
    /// Never, whatever `attributes` says.
    Never,
    /// Unless excluded, or others were asked for.
    #[default]
    Default,
    /// Only when asked for by name.
    Request,
}

/// Whether a value may stand in two resources (RFC 7643 §2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uniqueness {
    /// It may.
    #[default]
    None,
    /// Not in one tenant.
    Server,
    /// Not anywhere.
    Global,
}

/// One attribute or sub-attribute with its characteristics (RFC 7643 §2.2).
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "three of them are the RFC's")]
pub struct Attribute {
    /// The name in the schema's spelling.
    pub name: AttrName,
    /// The data type.
    pub kind: Type,
    /// Whether the value is an array.
    pub multi_valued: bool,
    /// Whether a resource without it is refused.
    pub required: bool,
    /// Whether letter case counts when values are compared.
    pub case_exact: bool,
    /// Who may change it.
    pub mutability: Mutability,
    /// When it is part of an answer.
    pub returned: Returned,
    /// Whether it is unique.
    pub uniqueness: Uniqueness,
    /// The only values that it takes; none where any is taken. What a schema of the RFC suggests is a suggestion.
    pub canonical_values: Vec<String>,
    /// What its values may lead to; none where nobody looks.
    pub references: Vec<Reference>,
    /// Whether what a client writes is stored.
    pub is_kept: bool,
    /// Sub-attributes of a complex attribute.
    pub sub_attributes: Vec<Attribute>,
}

/// What a reference may lead to (RFC 7643 §2.3.7, `referenceTypes`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Something outside of this server: a URI with a scheme.
    External,
    /// Anything that a URI says.
    Uri,
    /// A resource below this endpoint, such as `/Users`.
    Resource(String),
}

/// Who wrote a schema, and so what is done with it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    /// The RFCs: identity providers send values of other kinds than they suggest, and nobody here needs a password.
    Standard,
    /// Whoever deploys, with the endpoints of the resource types that a reference may name: what it says is kept.
    Custom(&'a [(String, String)]),
}

impl Attribute {
    /// The sub-attribute of that name, in any letter case.
    pub fn sub(&self, name: &AttrName) -> Option<&Attribute> {
        self.sub_attributes.iter().find(|sub| sub.name == *name)
    }

    /// The sub-attribute of that name, in any letter case.
    pub fn sub_named(&self, name: &str) -> Option<&Attribute> {
        self.sub_attributes.iter().find(|sub| sub.name.is(name))
    }

    fn read(value: &Value, at: &str, origin: Origin<'_>) -> Result<Self, SchemaError> {
        let name = text(value, "name", at)?;
        let here = format!("{at}.{name}");
        let name = AttrName::parse(name)
            .ok_or_else(|| SchemaError(format!("{here}: not an attribute name")))?;
        let sub_attributes = match value.get("subAttributes").and_then(Value::as_array) {
            None => Vec::new(),
            Some(subs) => {
                let subs = subs.iter().map(|sub| Self::read(sub, &here, origin));
                subs.collect::<Result<Vec<_>, _>>()?
            }
        };
        let mutability = keyword(value, "mutability", &here, MUTABILITIES)?;
        let returned = keyword(value, "returned", &here, RETURNEDS)?;
        let (canonical_values, references, is_kept) = match origin {
            Origin::Standard => {
                let writable = matches!(mutability, Mutability::ReadWrite | Mutability::Immutable);
                (Vec::new(), Vec::new(), writable && returned != Returned::Never)
            }
            Origin::Custom(endpoints) => (
                texts(value, "canonicalValues", &here)?,
                references(value, &here, endpoints)?,
                mutability != Mutability::ReadOnly,
            ),
        };
        Ok(Self {
            name,
            kind: keyword(value, "type", &here, TYPES)?,
            multi_valued: flag(value, "multiValued", &here)?,
            required: flag(value, "required", &here)?,
            case_exact: flag(value, "caseExact", &here)?,
            mutability,
            returned,
            uniqueness: keyword(value, "uniqueness", &here, UNIQUENESSES)?,
            canonical_values,
            references,
            is_kept,
            sub_attributes,
        })
    }
}

/// One schema: its URN, its attributes, and the JSON that is published.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The URN, in the spelling that is published.
    pub urn: String,
    /// The attributes, in order.
    pub attributes: Vec<Attribute>,
    /// The file's content, as `/Schemas` gives it out (without `meta`).
    pub json: Value,
}

impl Schema {
    /// Reads one schema file.
    ///
    /// # Errors
    /// [`SchemaError`] names the place and what is wrong there.
    pub fn parse(json: &str) -> Result<Self, SchemaError> {
        let json: Value = serde_json::from_str(json)
            .map_err(|e| SchemaError(format!("a schema file is not JSON: {e}")))?;
        Self::read(json, Origin::Standard)
    }

    /// Reads one schema.
    ///
    /// # Errors
    /// As [`Schema::parse`].
    pub(super) fn read(json: Value, origin: Origin<'_>) -> Result<Self, SchemaError> {
        let urn = text(&json, "id", "schema")?.to_owned();
        let attributes = json
            .get("attributes")
            .and_then(Value::as_array)
            .ok_or_else(|| SchemaError(format!("{urn}: attributes must be an array")))?
            .iter()
            .map(|attribute| Attribute::read(attribute, &urn, origin))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { urn, attributes, json })
    }

    /// The attribute of that name, in any letter case.
    pub fn attribute(&self, name: &AttrName) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == *name)
    }

    /// The attribute of that name, in any letter case.
    pub fn attribute_named(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.is(name))
    }
}

/// A schema or resource type file that cannot be used: a mistake of whoever deploys, found at start.
#[derive(Debug)]
pub struct SchemaError(pub(crate) String);

impl SchemaError {
    /// The same, of a file.
    pub(super) fn within(self, file: &str) -> Self {
        Self(format!("{file}: {}", self.0))
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schemas: {}", self.0)
    }
}

impl std::error::Error for SchemaError {}

const TYPES: &[(&str, Type)] = &[
    ("string", Type::String),
    ("boolean", Type::Boolean),
    ("decimal", Type::Decimal),
    ("integer", Type::Integer),
    ("dateTime", Type::DateTime),
    ("binary", Type::Binary),
    ("reference", Type::Reference),
    ("complex", Type::Complex),
];
const MUTABILITIES: &[(&str, Mutability)] = &[
    ("readOnly", Mutability::ReadOnly),
    ("readWrite", Mutability::ReadWrite),
    ("immutable", Mutability::Immutable),
    ("writeOnly", Mutability::WriteOnly),
];
const RETURNEDS: &[(&str, Returned)] = &[
    ("always", Returned::Always),
    ("never", Returned::Never),
    ("default", Returned::Default),
    ("request", Returned::Request),
];
const UNIQUENESSES: &[(&str, Uniqueness)] =
    &[("none", Uniqueness::None), ("server", Uniqueness::Server), ("global", Uniqueness::Global)];

/// A string member of `value`, or an error that names the place.
pub(super) fn text<'a>(value: &'a Value, member: &str, at: &str) -> Result<&'a str, SchemaError> {
    value
        .get(member)
        .and_then(Value::as_str)
        .ok_or_else(|| SchemaError(format!("{at}: {member} must be a string")))
}

/// A boolean member; absent is `false` (complex attributes have no `caseExact`).
fn flag(value: &Value, member: &str, at: &str) -> Result<bool, SchemaError> {
    match value.get(member) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(SchemaError(format!("{at}: {member} must be a boolean"))),
    }
}

/// An array of text; absent is an empty one.
pub(super) fn texts(value: &Value, member: &str, at: &str) -> Result<Vec<String>, SchemaError> {
    let Some(given) = value.get(member) else { return Ok(Vec::new()) };
    let texts = given.as_array().map(|texts| texts.iter().map(Value::as_str));
    let texts = texts.and_then(Iterator::collect::<Option<Vec<_>>>);
    let texts =
        texts.filter(|texts| !texts.is_empty() && texts.iter().all(|text| !text.is_empty()));
    let texts = texts.ok_or_else(|| {
        SchemaError(format!("{at}: {member} must be an array of strings, with one at least"))
    })?;
    Ok(texts.into_iter().map(ToOwned::to_owned).collect())
}

/// What `referenceTypes` says, with the endpoints of these resource types.
fn references(
    value: &Value,
    at: &str,
    endpoints: &[(String, String)],
) -> Result<Vec<Reference>, SchemaError> {
    let read = |text: &String| match text.as_str() {
        "external" => Ok(Reference::External),
        "uri" => Ok(Reference::Uri),
        name => {
            let found = endpoints.iter().find(|(known, _)| known == name);
            let found = found.map(|(_, endpoint)| Reference::Resource(endpoint.clone()));
            found.ok_or_else(|| {
                let known: Vec<&str> = endpoints.iter().map(|(name, _)| name.as_str()).collect();
                let known = known.join(", ");
                let shown = name.escape_debug();
                SchemaError(format!(
                    "{at}: referenceTypes has external, uri, {known}, and no {shown}"
                ))
            })
        }
    };
    texts(value, "referenceTypes", at)?.iter().map(read).collect()
}

/// A keyword out of a closed list; absent is the list's default (RFC 7643 §2.2).
fn keyword<T: Copy + Default>(
    value: &Value,
    member: &str,
    at: &str,
    known: &[(&str, T)],
) -> Result<T, SchemaError> {
    match value.get(member) {
        None => Ok(T::default()),
        Some(found) => known
            .iter()
            .find(|(name, _)| found.as_str() == Some(name))
            .map(|(_, keyword)| *keyword)
            .ok_or_else(|| {
                let known: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                SchemaError(format!("{at}: {member} is one of {}", known.join(", ")))
            }),
    }
}
