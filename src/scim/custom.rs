//! The schemas of whoever deploys, beside those of the RFCs (RFC 7643 §6, §7).
//!
//! A file is a schema, or a resource type's document that says which schemas extend it. They are read strictly: what such
//! a schema says is kept, so what cannot be kept is refused, and a word that nobody knows is a mistake. What a file
//! leaves out has the default of RFC 7643 §2.2, and is published with it.

use serde_json::{Map, Value, json};

use super::catalog::{Kind, ResourceType};
use super::path::AttrPath;
use super::schema::{
    Attribute, Mutability, Origin, Returned, Schema, SchemaError, Type, Uniqueness, text,
};
use super::well_known;
use crate::limits::{SCHEMA_ATTRIBUTES_MAX, SCHEMA_BYTES_MAX, SCHEMA_FILES_MAX};

/// A schema that extends resource types where a tenant has it.
#[derive(Clone, Debug)]
pub struct Extension {
    /// The schema.
    pub schema: Schema,
    /// The resource types, and whether each of their resources has to have it.
    pub extends: Vec<(Kind, bool)>,
}

/// The members of a schema, and of what extends a resource type.
const SCHEMA_MEMBERS: &[&str] = &["schemas", "id", "name", "description", "attributes", "meta"];
const TYPE_MEMBERS: &[&str] = &["schemas", "id", "name", "description", "schemaExtensions", "meta"];
/// The same of a resource type of one's own.
const OWN_TYPE_MEMBERS: &[&str] =
    &["schemas", "id", "name", "description", "endpoint", "schema", "schemaExtensions", "meta"];
/// What is at the endpoint, or in the journal, under other names.
const TAKEN: &[&str] = &[
    "Bulk",
    "Me",
    "ResourceType",
    "ResourceTypes",
    "Schema",
    "Schemas",
    "ServiceProviderConfig",
    "Tenant",
];
/// Bytes of a resource type's name, and of its endpoint's.
const NAME_BYTES_MAX: usize = 64;

/// Names of resource types, and where their resources are.
type Endpoints = Vec<(String, String)>;
const EXTENSION_MEMBERS: &[&str] = &["schema", "required"];
/// The members of an attribute, in the order in which they are published.
const ATTRIBUTE_MEMBERS: &[&str] = &[
    "name",
    "type",
    "multiValued",
    "description",
    "required",
    "canonicalValues",
    "caseExact",
    "mutability",
    "returned",
    "uniqueness",
    "referenceTypes",
    "subAttributes",
];

/// What a deployment has of its own.
#[derive(Clone, Debug, Default)]
pub struct Custom {
    /// Schemas that extend resource types.
    pub extensions: Vec<Extension>,
    /// Resource types, each with a schema that is no extension.
    pub types: Vec<ResourceType>,
}

impl Custom {
    /// The URNs that a tenant can have switched on: of extensions, and of the schemas of resource types.
    pub fn urns(&self) -> impl Iterator<Item = &str> {
        let types = self.types.iter().map(|one| one.schema.urn.as_str());
        self.extensions.iter().map(|extension| extension.schema.urn.as_str()).chain(types)
    }
}

/// The files, by what they are.
#[derive(Default)]
struct Files<'a> {
    schemas: Vec<(&'a str, Value)>,
    types: Vec<(&'a str, Value)>,
}

/// Reads the files, each by its name and its text.
///
/// # Errors
/// [`SchemaError`]: one sentence that begins with the file's name.
pub(super) fn read(
    files: &[(&str, &str)],
    standard: &[Schema],
    types: &[&ResourceType],
) -> Result<Custom, SchemaError> {
    let files = sorted(files)?;
    let mut endpoints: Endpoints =
        types.iter().map(|one| (one.kind.name().to_owned(), one.endpoint.clone())).collect();
    for (name, document) in &files.types {
        let one = own_type(document, &endpoints).map_err(|error| error.within(name))?;
        endpoints.extend(one);
    }
    let schemas = schemas(&files, standard, &endpoints)?;
    let mut custom = Custom::default();
    for (name, document) in &files.types {
        let common = types.first().map(|one| one.common.clone()).unwrap_or_default();
        let one = resource_type(document, &schemas, common).map_err(|error| error.within(name))?;
        let is_taken = |one: &ResourceType| {
            custom.types.iter().any(|other| other.schema.urn == one.schema.urn)
        };
        if let Some(one) = one.as_ref().filter(|one| is_taken(one)) {
            let what = format!("{} is another resource type's already", one.schema.urn);
            return Err(SchemaError(what).within(name));
        }
        custom.types.extend(one);
    }
    let is_core = |schema: &Schema| custom.types.iter().any(|one| one.schema.urn == schema.urn);
    let extensions = schemas.into_iter().filter(|schema| !is_core(schema));
    custom.extensions =
        extensions.map(|schema| Extension { schema, extends: Vec::new() }).collect();
    let own = custom.types.iter().map(|one| one.kind);
    let kinds: Vec<Kind> = Kind::ALL.into_iter().chain(own).collect();
    for (name, document) in &files.types {
        extend(document, &kinds, &mut custom.extensions).map_err(|error| error.within(name))?;
    }
    match custom.extensions.iter().find(|extension| extension.extends.is_empty()) {
        None => Ok(custom),
        Some(Extension { schema, .. }) => {
            let file = files.schemas.iter().find(|(_, document)| {
                document.get("id").and_then(Value::as_str) == Some(schema.urn.as_str())
            });
            let what = format!(
                "no file says what {} extends: one more, such as {}, does",
                schema.urn,
                json!({ "name": Kind::User.name(), "schemaExtensions": [{ "schema": schema.urn, "required": false }] })
            );
            Err(SchemaError(what).within(file.map_or("", |(name, _)| name)))
        }
    }
}

/// Which files are schemas, and which speak of resource types.
fn sorted<'a>(files: &[(&'a str, &str)]) -> Result<Files<'a>, SchemaError> {
    if files.len() > SCHEMA_FILES_MAX {
        return Err(SchemaError(format!("at most {SCHEMA_FILES_MAX} files are read")));
    }
    let mut sorted = Files::default();
    for (name, text) in files {
        let document = document(text).map_err(|error| error.within(name))?;
        let has = |member: &str| document.get(member).is_some();
        if has("attributes") {
            sorted.schemas.push((*name, document));
        } else if has("schemaExtensions") || has("endpoint") {
            sorted.types.push((*name, document));
        } else {
            let what = "it is neither a schema (attributes) nor a resource type (schemaExtensions or endpoint)";
            return Err(SchemaError(what.to_owned()).within(name));
        }
    }
    Ok(sorted)
}

fn schemas(
    files: &Files<'_>,
    standard: &[Schema],
    endpoints: &Endpoints,
) -> Result<Vec<Schema>, SchemaError> {
    let mut read: Vec<Schema> = Vec::with_capacity(files.schemas.len());
    for (name, document) in &files.schemas {
        let schema = schema(document, endpoints).map_err(|error| error.within(name))?;
        let mut others = standard.iter().chain(&read);
        let checked = others.try_for_each(|other| apart(&schema, other));
        checked.map_err(|error| error.within(name))?;
        read.push(schema);
    }
    Ok(read)
}

/// The name and the endpoint of a resource type that is not the RFC's.
fn own_type(document: &Value, known: &Endpoints) -> Result<Option<(String, String)>, SchemaError> {
    let name = text(document, "name", "resource type")?;
    if Kind::from_name(name).is_some() {
        return Ok(None);
    }
    let is_word = |text: &str| {
        (1..=NAME_BYTES_MAX).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let is_known = |text: &str| {
        let path = format!("/{text}");
        known.iter().any(|(name, endpoint)| {
            name.eq_ignore_ascii_case(text) || endpoint.eq_ignore_ascii_case(&path)
        }) || TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(text))
    };
    if !is_word(name) || is_known(name) {
        let what = format!(
            "{}: a resource type's name is a word of letters and digits that no other one has",
            name.escape_debug()
        );
        return Err(SchemaError(what));
    }
    let endpoint = text(document, "endpoint", name)?;
    match endpoint.strip_prefix('/') {
        Some(word) if is_word(word) && !is_known(word) => {
            Ok(Some((name.to_owned(), endpoint.to_owned())))
        }
        Some(_) | None => {
            let what = "endpoint is a slash and a word of letters and digits that no other one has";
            Err(SchemaError(format!("{name}: {what}")))
        }
    }
}

/// A resource type that is not the RFC's, with its schema.
fn resource_type(
    document: &Value,
    schemas: &[Schema],
    common: Vec<Attribute>,
) -> Result<Option<ResourceType>, SchemaError> {
    let name = text(document, "name", "resource type")?;
    if Kind::from_name(name).is_some() {
        return Ok(None);
    }
    known(document, OWN_TYPE_MEMBERS, name)?;
    let (endpoint, urn) = (text(document, "endpoint", name)?, text(document, "schema", name)?);
    let found = schemas.iter().find(|schema| schema.urn == urn);
    let schema = found.cloned().ok_or_else(|| {
        SchemaError(format!("{name}: no file has the schema {}", urn.escape_debug()))
    })?;
    let clash = common.iter().find(|common| schema.attribute(&common.name).is_some());
    if let Some(clash) = clash {
        let what = format!("{urn}: every resource has the attribute {} anyway", clash.name);
        return Err(SchemaError(what));
    }
    let mut json = json!({ "id": name, "name": name, "endpoint": endpoint, "schema": urn });
    if document.get("description").is_some() {
        let description = text(document, "description", name)?;
        if let Some(json) = json.as_object_mut() {
            json.insert("description".to_owned(), description.into());
        }
    }
    // Few, read at start, and needed for as long as the process runs.
    let kind = Kind::Custom(Box::leak(name.into()));
    let endpoint = endpoint.to_owned();
    let (extensions, required) = (Vec::new(), Vec::new());
    Ok(Some(ResourceType { kind, endpoint, schema, extensions, required, common, json }))
}

fn document(text: &str) -> Result<Value, SchemaError> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(SchemaError(format!("it has more than {SCHEMA_BYTES_MAX} bytes")));
    }
    let document: Value = serde_json::from_str(text)
        .map_err(|error| SchemaError(format!("it is not JSON: {error}")))?;
    if document.is_object() {
        Ok(document)
    } else {
        Err(SchemaError("it is no JSON object".to_owned()))
    }
}

/// Two schemas whose attributes could be taken for each other's.
fn apart(schema: &Schema, other: &Schema) -> Result<(), SchemaError> {
    let (urn, own) = (&schema.urn, other.urn.to_ascii_lowercase());
    if urn.eq_ignore_ascii_case(&own) {
        return Err(SchemaError(format!("{urn}: there is a schema with this id")));
    }
    let clashes = |holder: &Schema, urn: &str| {
        let prefix = format!("{}:", holder.urn.to_ascii_lowercase());
        let rest = urn.strip_prefix(&prefix);
        rest.is_some_and(|name| holder.attribute_named(name).is_some())
    };
    if clashes(schema, &own) || clashes(other, &urn.to_ascii_lowercase()) {
        let what =
            format!("{urn}: with {}, one id is the path of an attribute of the other", other.urn);
        return Err(SchemaError(what));
    }
    Ok(())
}

fn schema(document: &Value, endpoints: &[(String, String)]) -> Result<Schema, SchemaError> {
    let urn = text(document, "id", "schema")?;
    let parsed = AttrPath::parse(&format!("{urn}:x"));
    if parsed.is_none_or(|path| path.urn() != Some(urn)) {
        let what = "id is a URN, such as urn:example:params:scim:schemas:extension:acme:2.0:User";
        return Err(SchemaError(what.to_owned()));
    }
    known(document, SCHEMA_MEMBERS, urn)?;
    let name = document.get("name").map_or(Ok(urn), |_| text(document, "name", urn))?;
    let attributes = document.get("attributes").and_then(Value::as_array);
    let attributes = attributes.filter(|all| (1..=SCHEMA_ATTRIBUTES_MAX).contains(&all.len()));
    let attributes = attributes.ok_or_else(|| {
        SchemaError(format!("{urn}: attributes must be an array of 1 to {SCHEMA_ATTRIBUTES_MAX}"))
    })?;
    let attributes =
        attributes.iter().map(|one| published(one, urn)).collect::<Result<Vec<_>, _>>()?;
    let mut whole = json!({ "id": urn, "name": name });
    if let Some(whole) = whole.as_object_mut() {
        if document.get("description").is_some() {
            whole.insert("description".to_owned(), text(document, "description", urn)?.into());
        }
        whole.insert("attributes".to_owned(), Value::Array(attributes));
    }
    let schema = Schema::read(whole, Origin::Custom(endpoints))?;
    check_all(&schema.attributes, &schema.urn, None)?;
    Ok(schema)
}

/// An attribute with everything that RFC 7643 §7 has of one.
fn published(given: &Value, at: &str) -> Result<Value, SchemaError> {
    let name = text(given, "name", at)?;
    let here = format!("{at}.{name}");
    known(given, ATTRIBUTE_MEMBERS, &here)?;
    let of = |kind: &str| given.get("type").and_then(Value::as_str) == Some(kind);
    let mut whole = Map::new();
    for member in ATTRIBUTE_MEMBERS {
        let default = match *member {
            "type" => Some(Value::from("string")),
            "multiValued" | "required" => Some(Value::from(false)),
            // RFC 7643 §2.3.6, §2.3.7: these are case exact.
            "caseExact" if !of("complex") => Some(Value::from(of("binary") || of("reference"))),
            "mutability" => Some(Value::from("readWrite")),
            "returned" => Some(Value::from("default")),
            "uniqueness" => Some(Value::from("none")),
            _ => None,
        };
        let value = match (*member, given.get(*member)) {
            ("subAttributes", Some(subs)) => {
                let subs = subs
                    .as_array()
                    .filter(|subs| (1..=SCHEMA_ATTRIBUTES_MAX).contains(&subs.len()));
                let subs = subs.ok_or_else(|| {
                    let what = "subAttributes must be an array of 1 to";
                    SchemaError(format!("{here}: {what} {SCHEMA_ATTRIBUTES_MAX}"))
                })?;
                Some(subs.iter().map(|sub| published(sub, &here)).collect::<Result<Value, _>>()?)
            }
            ("description", Some(_)) => Some(text(given, "description", &here)?.into()),
            (_, given) => given.cloned().or(default),
        };
        whole.extend(value.map(|value| ((*member).to_owned(), value)));
    }
    Ok(Value::Object(whole))
}

/// Refuses members that nobody knows: a misspelled one would have no effect.
fn known(value: &Value, members: &[&str], at: &str) -> Result<(), SchemaError> {
    let Some(given) = value.as_object() else {
        return Err(SchemaError(format!("{at}: it must be a JSON object")));
    };
    match given.keys().find(|name| !members.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let shown = name.escape_debug();
            Err(SchemaError(format!("{at}: {shown} is none of {}", members.join(", "))))
        }
    }
}

fn check_all(
    attributes: &[Attribute],
    at: &str,
    parent: Option<&Attribute>,
) -> Result<(), SchemaError> {
    for (index, attribute) in attributes.iter().enumerate() {
        let here = format!("{at}.{}", attribute.name);
        if attributes.iter().take(index).any(|other| other.name == attribute.name) {
            return Err(SchemaError(format!("{here}: the name is there twice")));
        }
        if let Some(what) = wrong(attribute, parent) {
            return Err(SchemaError(format!("{here}: {what}")));
        }
        check_all(&attribute.sub_attributes, &here, Some(attribute))?;
    }
    Ok(())
}

/// What of an attribute contradicts itself, or cannot be kept.
fn wrong(attribute: &Attribute, parent: Option<&Attribute>) -> Option<&'static str> {
    let is_complex = attribute.kind == Type::Complex;
    let is_reference = attribute.kind == Type::Reference;
    let is_unseen = attribute.returned == Returned::Never;
    let is_element = parent.is_some_and(|parent| parent.multi_valued);
    let has_value = parent.is_some_and(|parent| parent.sub_named(well_known::VALUE).is_some());
    let rules = [
        (is_complex && parent.is_some(), "a sub-attribute cannot be complex"),
        (
            is_complex == attribute.sub_attributes.is_empty(),
            "complex attributes have subAttributes, and no others do",
        ),
        (
            attribute.uniqueness != Uniqueness::None,
            "uniqueness must be none: nothing but userName and a group's displayName is kept unique",
        ),
        (
            attribute.mutability == Mutability::WriteOnly && !is_unseen,
            "what is writeOnly is never returned: say so with returned",
        ),
        (
            attribute.mutability == Mutability::ReadOnly && attribute.required,
            "what is readOnly cannot be required: nobody could send it",
        ),
        (
            attribute.mutability == Mutability::Immutable && is_element && !has_value,
            "immutable in a list needs a sub-attribute value beside it, which tells the values apart",
        ),
        (
            is_reference == attribute.references.is_empty(),
            "references have referenceTypes, and no others do",
        ),
        (
            attribute.kind != Type::String && !attribute.canonical_values.is_empty(),
            "only strings have canonicalValues",
        ),
    ];
    rules.into_iter().find(|(is_wrong, _)| *is_wrong).map(|(_, what)| what)
}

/// Which of the schemas extend a resource type.
fn extend(
    document: &Value,
    kinds: &[Kind],
    extensions: &mut [Extension],
) -> Result<(), SchemaError> {
    let name = text(document, "name", "resource type")?;
    let kind = kinds.iter().copied().find(|kind| kind.name() == name);
    let kind =
        kind.ok_or_else(|| SchemaError(format!("{name}: there is no such resource type")))?;
    if Kind::from_name(name).is_some() {
        known(document, TYPE_MEMBERS, name)?;
    } else if document.get("schemaExtensions").is_none() {
        return Ok(());
    }
    let given = document.get("schemaExtensions").and_then(Value::as_array);
    let given =
        given.ok_or_else(|| SchemaError(format!("{name}: schemaExtensions must be an array")))?;
    for one in given {
        known(one, EXTENSION_MEMBERS, name)?;
        let urn = text(one, "schema", name)?;
        let required = match one.get("required") {
            None => false,
            Some(Value::Bool(required)) => *required,
            Some(_) => return Err(SchemaError(format!("{name}: required must be a boolean"))),
        };
        let found = extensions.iter_mut().find(|extension| extension.schema.urn == urn);
        let found = found.ok_or_else(|| {
            SchemaError(format!("{name}: no file has the schema {}", urn.escape_debug()))
        })?;
        if found.extends.iter().any(|(other, _)| *other == kind) {
            return Err(SchemaError(format!("{name}: {urn} extends it twice")));
        }
        found.extends.push((kind, required));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::catalog::Catalog;
    use super::*;

    const URN: &str = "urn:x:badge:1.0";

    fn user() -> Value {
        json!({ "name": "User", "schemaExtensions": [{ "schema": URN }] })
    }

    fn check(files: &[Value], expected: &Expect) {
        let texts: Vec<String> = files.iter().map(Value::to_string).collect();
        let names = ["a.json", "b.json", "c.json"];
        let files: Vec<(&str, &str)> =
            names.into_iter().zip(texts.iter().map(String::as_str)).collect();
        let told = match Catalog::embedded_with(&files) {
            Ok(catalog) => format!("{} taken", catalog.custom().urns().count()),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&told);
    }

    /// A schema with one attribute, which is text unless it says otherwise.
    #[expect(clippy::needless_pass_by_value, reason = "values are written in place")]
    fn check_attribute(more: Value, expected: &Expect) {
        let mut attribute = json!({ "name": "badge" });
        let members = attribute.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        check(&[json!({ "id": URN, "attributes": [attribute] }), user()], expected);
    }

    #[test]
    fn an_attribute_that_cannot_be_kept_is_refused() {
        check_attribute(json!({}), &expect!["1 taken"]);
        check_attribute(
            json!({"multivalued": true}),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: multivalued is none of name, type, multiValued, description, required, canonicalValues, caseExact, mutability, returned, uniqueness, referenceTypes, subAttributes"
            ],
        );
        check_attribute(
            json!({"type": "date"}),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: type is one of string, boolean, decimal, integer, dateTime, binary, reference, complex"
            ],
        );
        check_attribute(
            json!({"required": "yes"}),
            &expect!["schemas: a.json: urn:x:badge:1.0.badge: required must be a boolean"],
        );
        check_attribute(
            json!({"name": "a b"}),
            &expect!["schemas: a.json: urn:x:badge:1.0.a b: not an attribute name"],
        );
        check_attribute(
            json!({"uniqueness": "server"}),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: uniqueness must be none: nothing but userName and a group's displayName is kept unique"
            ],
        );
        check_attribute(
            json!({"uniqueness": "global"}),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: uniqueness must be none: nothing but userName and a group's displayName is kept unique"
            ],
        );
        check_attribute(
            json!({"mutability": "writeOnly"}),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: what is writeOnly is never returned: say so with returned"
            ],
        );
        check_attribute(
            json!({"mutability": "readOnly", "required": true}),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: what is readOnly cannot be required: nobody could send it"
            ],
        );
    }

    #[test]
    fn letter_case_is_said_of_what_has_letters() {
        let of = |kind: &str| {
            let given = json!({"name": "a", "type": kind, "subAttributes": [{"name": "b"}], "referenceTypes": ["uri"]});
            published(&given, "x").unwrap().get("caseExact").cloned()
        };
        assert_eq!(of("complex"), None);
        assert_eq!(of("binary"), Some(json!(true)));
    }

    #[test]
    fn as_many_files_and_bytes_as_may_be() {
        let schema = json!({"id": URN, "attributes": [{"name": "badge"}]}).to_string();
        let whole = format!("{schema}{}", " ".repeat(SCHEMA_BYTES_MAX - schema.len()));
        let longer = format!("{whole} ");
        let taken = |files: &[(&str, &str)]| Catalog::embedded_with(files).map(drop);
        let user = user().to_string();
        taken(&[("a.json", &whole), ("b.json", &user)]).unwrap();
        let error = taken(&[("a.json", &longer), ("b.json", &user)]).unwrap_err();
        assert!(error.to_string().contains("bytes"), "{error}");

        let numbered = |number: usize| schema.replace("badge:1.0", &format!("badge:{number}"));
        let many: Vec<String> = (0..SCHEMA_FILES_MAX).map(numbered).collect();
        let mut files: Vec<(&str, &str)> =
            many.iter().map(|text| ("a.json", text.as_str())).collect();
        let refused = |files: &[(&str, &str)]| taken(files).map_err(|error| error.to_string());
        let is_too_many =
            |told: Result<(), String>| told.is_err_and(|told| told.contains("files are read"));
        assert!(!is_too_many(refused(&files)));
        files.push(("b.json", &user));
        assert!(is_too_many(refused(&files)));
    }

    #[test]
    fn values_and_references_are_of_their_types() {
        check_attribute(
            json!({"type": "integer", "canonicalValues": ["1"]}),
            &expect!["schemas: a.json: urn:x:badge:1.0.badge: only strings have canonicalValues"],
        );
        check_attribute(
            json!({"canonicalValues": []}),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: canonicalValues must be an array of strings, with one at least"
            ],
        );
        check_attribute(
            json!({"type": "reference"}),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: references have referenceTypes, and no others do"
            ],
        );
        check_attribute(
            json!({"referenceTypes": ["User"]}),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: references have referenceTypes, and no others do"
            ],
        );
        check_attribute(
            json!({"type": "reference", "referenceTypes": ["Device"]}),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: referenceTypes has external, uri, User, Group, and no Device"
            ],
        );
    }

    #[test]
    fn a_complex_attribute_is_refused_for_its_parts() {
        let complex =
            |subs: Value| json!({ "type": "complex", "multiValued": true, "subAttributes": subs });
        check_attribute(complex(json!([{"name": "value"}])), &expect!["1 taken"]);
        check_attribute(
            json!({"type": "complex"}),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: complex attributes have subAttributes, and no others do"
            ],
        );
        check_attribute(
            complex(json!([])),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge: subAttributes must be an array of 1 to 100"
            ],
        );
        check_attribute(
            complex(json!([{"name": "a"}, {"name": "A"}])),
            &expect!["schemas: a.json: urn:x:badge:1.0.badge.A: the name is there twice"],
        );
        check_attribute(
            complex(json!([{"name": "a", "type": "complex", "subAttributes": [{"name": "b"}]}])),
            &expect!["schemas: a.json: urn:x:badge:1.0.badge.a: a sub-attribute cannot be complex"],
        );
        check_attribute(
            complex(json!([{"name": "a", "mutability": "immutable"}])),
            &expect![
                "schemas: a.json: urn:x:badge:1.0.badge.a: immutable in a list needs a sub-attribute value beside it, which tells the values apart"
            ],
        );
    }

    #[test]
    fn files_that_do_not_fit_together_are_refused() {
        let schema = |urn: &str, name: &str| json!({ "id": urn, "attributes": [{ "name": name }] });
        let badge = schema(URN, "number");
        check(&[], &expect!["0 taken"]);
        check(
            std::slice::from_ref(&badge),
            &expect![[
                r#"schemas: a.json: no file says what urn:x:badge:1.0 extends: one more, such as {"name":"User","schemaExtensions":[{"schema":"urn:x:badge:1.0","required":false}]}, does"#
            ]],
        );
        check(&[user()], &expect!["schemas: a.json: User: no file has the schema urn:x:badge:1.0"]);
        check(
            &[badge.clone(), user(), user()],
            &expect!["schemas: c.json: User: urn:x:badge:1.0 extends it twice"],
        );
        check(
            &[badge.clone(), json!({"name": "Device", "schemaExtensions": []})],
            &expect!["schemas: b.json: Device: endpoint must be a string"],
        );
        check(
            &[badge.clone(), json!({"name": "User", "endpoint": "/U", "schemaExtensions": []})],
            &expect![
                "schemas: b.json: User: endpoint is none of schemas, id, name, description, schemaExtensions, meta"
            ],
        );
        check(
            &[json!({"id": URN})],
            &expect![
                "schemas: a.json: it is neither a schema (attributes) nor a resource type (schemaExtensions or endpoint)"
            ],
        );
        check(&[json!([1])], &expect!["schemas: a.json: it is no JSON object"]);
        check(
            &[json!({"id": "badge", "attributes": []})],
            &expect![
                "schemas: a.json: id is a URN, such as urn:example:params:scim:schemas:extension:acme:2.0:User"
            ],
        );
        check(
            &[json!({"id": URN, "attributes": []})],
            &expect!["schemas: a.json: urn:x:badge:1.0: attributes must be an array of 1 to 100"],
        );
        check(
            &[badge.clone(), schema("URN:X:badge:1.0", "number")],
            &expect!["schemas: b.json: URN:X:badge:1.0: there is a schema with this id"],
        );
        check(
            &[schema("urn:ietf:params:scim:schemas:core:2.0:User", "a")],
            &expect![
                "schemas: a.json: urn:ietf:params:scim:schemas:core:2.0:User: there is a schema with this id"
            ],
        );
        check(
            &[badge, schema("urn:x:badge:1.0:NUMBER", "a")],
            &expect![
                "schemas: b.json: urn:x:badge:1.0:NUMBER: with urn:x:badge:1.0, one id is the path of an attribute of the other"
            ],
        );
    }

    #[test]
    fn a_resource_type_that_cannot_be_reached_is_refused() {
        let schema = json!({ "id": URN, "attributes": [{ "name": "serial" }] });
        let with = |more: Value| {
            let mut device = json!({ "name": "Device", "endpoint": "/Devices", "schema": URN });
            device.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            [schema.clone(), device]
        };
        check(&with(json!({})), &expect!["1 taken"]);
        check(
            &with(json!({"name": "Bulk"})),
            &expect![
                "schemas: b.json: Bulk: a resource type's name is a word of letters and digits that no other one has"
            ],
        );
        check(
            &with(json!({"name": "1st"})),
            &expect![
                "schemas: b.json: 1st: a resource type's name is a word of letters and digits that no other one has"
            ],
        );
        check(
            &with(json!({"name": "a b"})),
            &expect![
                "schemas: b.json: a b: a resource type's name is a word of letters and digits that no other one has"
            ],
        );
        check(
            &with(json!({"endpoint": "Devices"})),
            &expect![
                "schemas: b.json: Device: endpoint is a slash and a word of letters and digits that no other one has"
            ],
        );
        check(
            &with(json!({"endpoint": "/users"})),
            &expect![
                "schemas: b.json: Device: endpoint is a slash and a word of letters and digits that no other one has"
            ],
        );
        check(
            &with(json!({"schema": "urn:x:other"})),
            &expect!["schemas: b.json: Device: no file has the schema urn:x:other"],
        );
        check(
            &with(json!({"color": "red"})),
            &expect![
                "schemas: b.json: Device: color is none of schemas, id, name, description, endpoint, schema, schemaExtensions, meta"
            ],
        );
        let [_, device] = with(json!({}));
        check(
            &[schema.clone(), device.clone(), device.clone()],
            &expect![
                "schemas: c.json: Device: a resource type's name is a word of letters and digits that no other one has"
            ],
        );
        let mut other = device.clone();
        other["name"] = json!("Tablet");
        other["endpoint"] = json!("/Tablets");
        check(
            &[schema, device.clone(), other],
            &expect!["schemas: c.json: urn:x:badge:1.0 is another resource type's already"],
        );
        let id = json!({ "id": URN, "attributes": [{ "name": "ID" }] });
        check(
            &[id, device],
            &expect![
                "schemas: b.json: urn:x:badge:1.0: every resource has the attribute id anyway"
            ],
        );
    }

    #[test]
    fn a_text_that_is_no_json_or_too_long_is_refused() {
        for (text, told) in
            [("{", "it is not JSON"), (&" ".repeat(SCHEMA_BYTES_MAX + 1), "it has more than")]
        {
            let error = Catalog::embedded_with(&[("a.json", text)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("schemas: a.json: {told}")), "{error}");
        }
        let many = vec![("a.json", "{}"); SCHEMA_FILES_MAX + 1];
        assert!(Catalog::embedded_with(&many).is_err());
    }
}
