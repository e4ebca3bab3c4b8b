//! From a request body to a [`Document`] (RFC 7644 §3.3, §3.5.1), and the checks that every document has passed.
//!
//! A body is read as the value of a PATCH `replace` without a path on an empty resource, so POST, PUT and PATCH cannot
//! disagree about what a value means. What the schemas lack, what is read-only, what is never returned, null, `""`, `[]`
//! and `{}` are dropped; wrong types and missing attributes are refused. Of a name that is given twice in different
//! letter case the later one counts, as with JSON's own duplicates. `schemas` says at most that the body is SCIM 1.1
//! (`version.rs`): clients list too few, too many and misspelled URNs, and the body says by itself what it holds.

use serde_json::{Map, Value, json};

use super::catalog::ResourceType;
use super::coerce;
use super::document::Document;
use super::error::{ErrorKind, ScimError, json_type};
use super::fold::fold;
use super::name::AttrName;
use super::patch::{self, MemberStep, Spot, Step, Verb};
use super::schema::{Attribute, Mutability, Returned, Type, Uniqueness};
use super::{version, well_known};
use crate::limits::{EXTERNAL_ID_BYTES_MAX, IDENTIFIER_BYTES_MAX, VALUES_MAX};

/// The document of a POST body (RFC 7644 §3.3). A person without `active` is active. An attribute that is stored apart
/// (a group's members) stands in it as an array of objects with `value`, each id once.
///
/// # Errors
/// 400 `invalidSyntax` when the body is not an object; 400 `invalidValue` when a required attribute is missing or a
/// value does not fit its attribute; 400 `invalidPath` for a key with malformed brackets.
pub fn document(rt: &ResourceType, body: &Value) -> Result<Document, ScimError> {
    let mut attributes = read(rt, body)?;
    if let Some(name) =
        rt.kind.stored_apart().filter(|name| attributes.get(*name).is_some_and(coerce::is_empty))
    {
        attributes.shift_remove(name);
    }
    add_defaults(rt, &mut attributes, None);
    check_required(rt, &attributes)?;
    finish(rt, attributes)
}

/// The document of a PUT body (RFC 7644 §3.5.1): what the body omits is cleared. Three things survive an omission.
/// `active` keeps its value, because connectors that send what an admin has mapped must not reactivate or deactivate
/// anybody by leaving it out; an immutable attribute, because it cannot change; and one that is never returned, because
/// who sends back what was read cannot have it.
///
/// An attribute that is stored apart (a group's members) is absent when the body omits it or says null, and then its
/// values stay; `[]` stands in the document as `[]` and takes all values away.
///
/// # Errors
/// As [`document`]; 400 `mutability` when an immutable attribute would change.
pub fn replacement(
    rt: &ResourceType,
    body: &Value,
    current: &Document,
) -> Result<Document, ScimError> {
    let mut attributes = read(rt, body)?;
    keep_immutable(rt, &mut attributes, current);
    keep_unseen(rt, &mut attributes, current);
    add_defaults(rt, &mut attributes, Some(current));
    check_immutable(rt, current, &attributes)?;
    check_required(rt, &attributes)?;
    finish(rt, attributes)
}

/// The checks that do not depend on how a document came about: lists are not too long, at most one value is primary,
/// identifiers fit into a key.
///
/// # Errors
/// 400 `invalidValue` that names the attribute.
pub(in crate::scim) fn finish(
    rt: &ResourceType,
    mut attributes: Map<String, Value>,
) -> Result<Document, ScimError> {
    check_lengths(rt, &attributes)?;
    for attribute in core(rt) {
        keep_one_primary(rt, attribute, &mut attributes);
    }
    for extension in &rt.extensions {
        if let Some(Value::Object(members)) = attributes.get_mut(&extension.urn) {
            for attribute in &extension.attributes {
                keep_one_primary(rt, attribute, members);
            }
        }
    }
    Ok(Document::from_checked(attributes))
}

/// Those of the checks of [`finish`] that can fail.
///
/// # Errors
/// As [`finish`].
pub(in crate::scim) fn check_lengths(
    rt: &ResourceType,
    attributes: &Map<String, Value>,
) -> Result<(), ScimError> {
    for attribute in core(rt) {
        check_length(rt, attribute, attributes)?;
    }
    for extension in &rt.extensions {
        if let Some(Value::Object(members)) = attributes.get(&extension.urn) {
            for attribute in &extension.attributes {
                check_length(rt, attribute, members)?;
            }
        }
    }
    Ok(())
}

/// Refuses what is sent as a whole without a required attribute.
fn check_required(rt: &ResourceType, attributes: &Map<String, Value>) -> Result<(), ScimError> {
    match missing(rt, attributes).first() {
        None => Ok(()),
        Some(missing) => Err(missing.refusal()),
    }
}

/// A required attribute that is not there, or an extension.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::scim) struct Missing<'a> {
    extension: Option<&'a str>,
    attribute: Option<&'a AttrName>,
    part: Option<&'a AttrName>,
}

impl Missing<'_> {
    /// How errors name it.
    pub(in crate::scim) fn label(&self) -> String {
        let mut label = self.extension.unwrap_or_default().to_owned();
        if let Some(attribute) = self.attribute {
            let colon = if label.is_empty() { "" } else { ":" };
            label = format!("{label}{colon}{attribute}");
        }
        match self.part {
            None => label,
            Some(part) => format!("{label}.{part}"),
        }
    }

    /// The refusal of what came without it.
    pub(in crate::scim) fn refusal(&self) -> ScimError {
        let detail = format!("{} is required and must not be empty", self.label());
        ScimError::new(ErrorKind::InvalidValue, detail)
    }

    /// Whether `before` had the attribute, so that its absence is a removal.
    pub(in crate::scim) fn was_in(&self, before: &Document) -> bool {
        let attribute = self.attribute.map(AttrName::as_str);
        let keys = self.extension.into_iter().chain(attribute);
        at(before.attributes(), &keys.collect::<Vec<_>>()).is_some()
    }
}

/// The required attributes that are not there. An extension's attributes are required where the extension is used, which a
/// required extension has to be; sub-attributes where their attribute is.
pub(in crate::scim) fn missing<'a>(
    rt: &'a ResourceType,
    attributes: &Map<String, Value>,
) -> Vec<Missing<'a>> {
    let own = core(rt).filter_map(|attribute| missing_in(attributes, None, attribute));
    let mut missing: Vec<Missing<'a>> = own.collect();
    for extension in &rt.extensions {
        let urn = Some(extension.urn.as_str());
        if let Some(Value::Object(members)) = attributes.get(&extension.urn) {
            let parts = extension.attributes.iter();
            missing.extend(parts.filter_map(|attribute| missing_in(members, urn, attribute)));
        } else if rt.required.contains(&extension.urn) {
            missing.push(Missing { extension: urn, attribute: None, part: None });
        }
    }
    missing
}

/// Refuses a change of an immutable attribute that has a value (RFC 7643 §2.2): of whole attributes, of parts of single
/// complex values, and of parts of a list's values where the same `value` is there before and after. Another `value` is
/// another element.
///
/// # Errors
/// 400 `mutability`.
pub(in crate::scim) fn check_immutable(
    rt: &ResourceType,
    before: &Document,
    after: &Map<String, Value>,
) -> Result<(), ScimError> {
    let changed = Fixed::all(rt, is_immutable).iter().map(Fixed::keys).find(|keys| {
        let before = at(before.attributes(), keys);
        before.is_some() && before != at(after, keys)
    });
    let changed = changed.map(|keys| label(&keys));
    match changed.or_else(|| changed_element(rt, before, after)) {
        None => Ok(()),
        Some(changed) => {
            let detail = format!("{changed} can be set once and not be changed");
            Err(ScimError::new(ErrorKind::Mutability, detail))
        }
    }
}

/// A part of a list's value that is immutable and has changed.
fn changed_element(
    rt: &ResourceType,
    before: &Document,
    after: &Map<String, Value>,
) -> Option<String> {
    everywhere(rt).filter(|(_, attribute)| attribute.multi_valued).find_map(|(keys, attribute)| {
        let fixed = attribute.sub_attributes.iter().filter(|sub| is_immutable(sub));
        let fixed: Vec<&str> = fixed.map(|sub| sub.name.as_str()).collect();
        let (old, new) = match fixed.as_slice() {
            [] => return None,
            _ => (at(before.attributes(), &keys)?.as_array()?, at(after, &keys)?.as_array()?),
        };
        let changed = new.iter().find_map(|new| {
            let same = old.iter().find(|old| patch::is_same(attribute, old, new))?;
            fixed
                .iter()
                .find(|name| same.get(**name).is_some_and(|old| new.get(**name) != Some(old)))
        });
        changed.map(|part| format!("{}.{part}", label(&keys)))
    })
}

/// How errors name what stands there.
fn label(keys: &[&str]) -> String {
    match keys {
        [urn, rest @ ..] if urn.contains(':') => format!("{urn}:{}", rest.join(".")),
        _ => keys.join("."),
    }
}

fn is_immutable(attribute: &Attribute) -> bool {
    attribute.mutability == Mutability::Immutable
}

/// Stored, and never in an answer.
fn is_unseen(attribute: &Attribute) -> bool {
    coerce::is_kept(attribute) && attribute.returned == Returned::Never
}

/// The value that an attribute has when nobody gives it one. RFC 7643 has no characteristic for it; `active` needs it,
/// because an account without it counts as active everywhere.
pub(in crate::scim) fn default(spot: &Spot<'_>) -> Option<Value> {
    let is_active = spot.extension.is_none()
        && spot.sub.is_none()
        && spot.attribute.name.is(well_known::ACTIVE)
        && spot.attribute.kind == Type::Boolean;
    is_active.then_some(Value::Bool(true))
}

/// Whether `spot` is, or lies in, the attribute whose values are stored one by one.
pub(in crate::scim) fn is_stored_apart(rt: &ResourceType, spot: &Spot<'_>) -> bool {
    spot.extension.is_none() && is_apart(rt, &spot.attribute.name)
}

fn is_apart(rt: &ResourceType, name: &AttrName) -> bool {
    rt.kind.stored_apart().is_some_and(|apart| name.is(apart))
}

/// What the body says, attribute by attribute.
fn read(rt: &ResourceType, body: &Value) -> Result<Map<String, Value>, ScimError> {
    let Value::Object(members) = body else {
        let detail = format!("the body must be a JSON object, not {}", json_type(body));
        return Err(ScimError::new(ErrorKind::InvalidSyntax, detail));
    };
    version::check(rt, members)?;
    let is_given = |value: &Value| !value.is_null() && value.as_str() != Some("");
    let given = members.iter().filter(|(_, value)| is_given(value));
    let mut attributes = Map::new();
    for step in patch::steps(rt, Verb::Replace, given)? {
        match step {
            Step::Write(change) => patch::write(rt, &mut attributes, &change)?,
            Step::Members(MemberStep::Replace(ids)) => {
                if let Some(name) = rt.kind.stored_apart() {
                    let members = ids.into_iter().map(|id| json!({ well_known::VALUE: id }));
                    attributes.insert(name.to_owned(), members.collect());
                }
            }
            // A body is read as a replacement; it has no other steps.
            Step::Members(MemberStep::Add(_) | MemberStep::Remove(_)) => {}
        }
    }
    Ok(attributes)
}

fn add_defaults(
    rt: &ResourceType,
    attributes: &mut Map<String, Value>,
    current: Option<&Document>,
) {
    for attribute in core(rt) {
        let name = attribute.name.as_str();
        let default = default(&Spot { extension: None, attribute, filter: None, sub: None });
        if let (Some(default), false) = (default, attributes.contains_key(name)) {
            let value = match current {
                None => Some(default),
                Some(current) => current.get(name).cloned(),
            };
            attributes.extend(value.map(|value| (name.to_owned(), value)));
        }
    }
}

/// An attribute of which something cannot change: where it stands in a document, and which part of a single complex
/// value is meant, if not all of it.
struct Fixed<'a> {
    attribute: Vec<&'a str>,
    part: Option<&'a str>,
}

impl<'a> Fixed<'a> {
    fn keys(&self) -> Vec<&'a str> {
        self.attribute.iter().copied().chain(self.part).collect()
    }

    /// Every attribute and part of which that holds.
    fn all(rt: &'a ResourceType, holds: impl Fn(&Attribute) -> bool) -> Vec<Self> {
        let mut all = Vec::new();
        for (keys, attribute) in everywhere(rt) {
            if holds(attribute) {
                all.push(Self { attribute: keys, part: None });
            } else if !attribute.multi_valued {
                let subs = attribute.sub_attributes.iter().filter(|sub| holds(sub));
                all.extend(
                    subs.map(|sub| Self { attribute: keys.clone(), part: Some(sub.name.as_str()) }),
                );
            }
        }
        all
    }
}

/// Every attribute, and where it stands in a document.
fn everywhere(rt: &ResourceType) -> impl Iterator<Item = (Vec<&str>, &Attribute)> {
    let own = core(rt).map(|attribute| (None, attribute));
    let others = rt.extensions.iter().flat_map(|extension| {
        extension.attributes.iter().map(|attribute| (Some(extension.urn.as_str()), attribute))
    });
    own.chain(others).map(|(urn, attribute)| {
        (urn.into_iter().chain([attribute.name.as_str()]).collect(), attribute)
    })
}

/// Puts back what the body omits and nobody may remove. Where a whole value with an immutable part is omitted, all of
/// it stays: the part alone need not fit the schema.
fn keep_immutable(rt: &ResourceType, attributes: &mut Map<String, Value>, current: &Document) {
    for fixed in Fixed::all(rt, is_immutable) {
        if at(current.attributes(), &fixed.keys()).is_none() {
            continue;
        }
        let is_whole = at(attributes, &fixed.attribute).is_none();
        let keys = if is_whole { fixed.attribute } else { fixed.keys() };
        put_back(attributes, current, &keys);
    }
}

/// Puts back what the body omits because nobody can read it. A part goes with the value that it is a part of.
fn keep_unseen(rt: &ResourceType, attributes: &mut Map<String, Value>, current: &Document) {
    for unseen in Fixed::all(rt, is_unseen) {
        if unseen.part.is_none() || at(attributes, &unseen.attribute).is_some() {
            put_back(attributes, current, &unseen.keys());
        }
    }
}

/// Gives an attribute the value again that it has now, if it has none.
fn put_back(attributes: &mut Map<String, Value>, current: &Document, keys: &[&str]) {
    let kept = at(current.attributes(), keys).cloned();
    if let (Some(kept), None, Some((last, holders))) =
        (kept, at(attributes, keys), keys.split_last())
    {
        let mut holder = Some(attributes);
        for key in holders {
            holder = holder.and_then(|holder| {
                holder.entry(*key).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
            });
        }
        if let Some(holder) = holder {
            holder.insert((*last).to_owned(), kept);
        }
    }
}

fn at<'v>(attributes: &'v Map<String, Value>, keys: &[&str]) -> Option<&'v Value> {
    let (first, rest) = keys.split_first()?;
    rest.iter().try_fold(attributes.get(*first)?, |value, key| value.get(*key))
}

/// The core and the common attributes.
fn core(rt: &ResourceType) -> impl Iterator<Item = &Attribute> {
    rt.schema.attributes.iter().chain(&rt.common)
}

fn missing_in<'a>(
    holder: &Map<String, Value>,
    extension: Option<&'a str>,
    attribute: &'a Attribute,
) -> Option<Missing<'a>> {
    let is_required = |wanted: &Attribute| wanted.required && coerce::is_kept(wanted);
    let whole = Missing { extension, attribute: Some(&attribute.name), part: None };
    let Some(value) = holder.get(attribute.name.as_str()) else {
        return is_required(attribute).then_some(whole);
    };
    if is_required(attribute) && value.as_str().is_some_and(|text| text.trim().is_empty()) {
        // Nobody could tell two such names apart.
        return Some(whole);
    }
    let lacks = |part: &Attribute| {
        coerce::elements(value).iter().any(|entry| entry.get(part.name.as_str()).is_none())
    };
    let part = attribute.sub_attributes.iter().find(|part| is_required(part) && lacks(part))?;
    Some(Missing { part: Some(&part.name), ..whole })
}

/// How many values an attribute may have, and how long a text may be that becomes part of a key.
fn check_length(
    rt: &ResourceType,
    attribute: &Attribute,
    holder: &Map<String, Value>,
) -> Result<(), ScimError> {
    let name = attribute.name.as_str();
    match holder.get(name) {
        Some(Value::Array(values))
            if values.len() > VALUES_MAX && !is_apart(rt, &attribute.name) =>
        {
            Err(coerce::too_many_values(name))
        }
        Some(Value::String(text)) => match key_bytes_max(attribute) {
            Some(bytes_max) if key_bytes(attribute, text) > bytes_max => {
                let detail = format!("{name} is too long: at most {bytes_max} bytes are allowed");
                Err(ScimError::new(ErrorKind::InvalidValue, detail))
            }
            Some(_) | None => Ok(()),
        },
        Some(_) | None => Ok(()),
    }
}

fn keep_one_primary(rt: &ResourceType, attribute: &Attribute, holder: &mut Map<String, Value>) {
    if let Some(Value::Array(values)) = holder.get_mut(attribute.name.as_str())
        && !is_apart(rt, &attribute.name)
    {
        coerce::keep_one_primary(values, |_| false);
    }
}

/// How long the text may be that becomes part of a key in the store.
fn key_bytes_max(attribute: &Attribute) -> Option<usize> {
    match attribute.uniqueness {
        Uniqueness::Server | Uniqueness::Global => Some(IDENTIFIER_BYTES_MAX),
        Uniqueness::None if attribute.name.is(well_known::EXTERNAL_ID) => {
            Some(EXTERNAL_ID_BYTES_MAX)
        }
        Uniqueness::None => None,
    }
}

fn key_bytes(attribute: &Attribute, text: &str) -> usize {
    if attribute.case_exact { text.len() } else { fold(text).len() }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::*;
    use crate::scim::catalog::{Catalog, Kind, ResourceType};
    use crate::scim::patch::PatchRequest;
    use crate::scim::schema::Schema;

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::embedded().unwrap());

    fn users() -> &'static ResourceType {
        CATALOG.resource_type(Kind::User)
    }

    fn groups() -> &'static ResourceType {
        CATALOG.resource_type(Kind::Group)
    }

    #[test]
    fn only_the_cores_active_has_a_default() {
        let json = json!({"id": "urn:x:own:1.0", "attributes": [
            {"name": "active", "type": "boolean"}, {"name": "flag", "type": "boolean"}]});
        let own = Schema::parse(&json.to_string()).unwrap();
        let of = |extension: Option<&Schema>, schema: &Schema, name: &str| {
            let attribute = schema.attribute_named(name).unwrap();
            default(&Spot { extension, attribute, filter: None, sub: None })
        };
        assert_eq!(of(None, &users().schema, "active"), Some(Value::Bool(true)));
        assert_eq!(of(None, &users().schema, "title"), None);
        assert_eq!(of(Some(&own), &own, "active"), None);
        assert_eq!(of(Some(&own), &own, "flag"), None);
    }

    #[test]
    fn only_what_becomes_a_key_is_held_to_its_length() {
        let of = |name: &str, length: usize| {
            let mut body = json!({"userName": "ida@ex.test"});
            body[name] = Value::from("x".repeat(length));
            document(users(), &body).map(drop).map_err(|error| error.detail().to_owned())
        };
        assert_eq!(of("title", EXTERNAL_ID_BYTES_MAX + 1), Ok(()));
        assert_eq!(of("externalId", EXTERNAL_ID_BYTES_MAX), Ok(()));
        assert!(of("externalId", EXTERNAL_ID_BYTES_MAX + 1).is_err());
    }

    /// Users with an extension whose URN ends in a number, with what the RFC's own schemas lack.
    fn badge_users() -> ResourceType {
        let json = json!({"id": "urn:x:badge:1.0", "attributes": [
            {"name": "number", "type": "string", "required": true, "mutability": "immutable"},
            {"name": "level", "type": "integer"},
            {"name": "doors", "type": "string", "multiValued": true, "caseExact": true},
            {"name": "photo", "type": "complex", "subAttributes": [
                {"name": "value", "type": "reference", "required": true},
                {"name": "taken", "type": "dateTime", "mutability": "immutable"}
            ]}
        ]});
        let mut users = users().clone();
        users.extensions.push(Schema::parse(&json.to_string()).unwrap());
        users
    }

    #[expect(clippy::needless_pass_by_value, reason = "bodies are written in place")]
    fn badge(badge: Value) -> Value {
        json!({"userName": "a", "urn:x:badge:1.0": badge})
    }

    fn full_badge() -> Value {
        let photo = json!({"value": "p", "taken": "2026-01-31T08:00:00Z"});
        badge(json!({"number": "7", "level": 1, "photo": photo}))
    }

    fn report(result: Result<Document, ScimError>) -> String {
        match result {
            Ok(document) => Value::Object(document.into_attributes()).to_string(),
            Err(error) => format!("{:?}: {}", error.kind(), error.detail()),
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "bodies and expect![..] are written in place"
    )]
    fn check(body: Value, expected: Expect) {
        expected.assert_eq(&report(document(users(), &body)).replace(ENTERPRISE, "ENT"));
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "bodies and expect![..] are written in place"
    )]
    fn check_group(body: Value, expected: Expect) {
        expected.assert_eq(&report(document(groups(), &body)));
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "bodies and expect![..] are written in place"
    )]
    fn check_put(rt: &ResourceType, before: Value, body: Value, expected: Expect) {
        let before = document(rt, &before).unwrap();
        expected.assert_eq(&report(replacement(rt, &body, &before)).replace(ENTERPRISE, "ENT"));
    }

    #[test]
    fn a_post_as_entra_sends_it() {
        check(
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
                "externalId": "iek", "userName": "ida@ex.test", "active": true, "displayName": "Ida Ek",
                "emails": [{"primary": true, "type": "work", "value": "ida@ex.test"}],
                "meta": {"resourceType": "User"},
                "name": {"formatted": "Ida Ek", "familyName": "Ek", "givenName": "Ida"},
                ENTERPRISE: {"employeeNumber": "771", "department": "R&D"},
                "roles": []
            }),
            expect![[
                r#"{"externalId":"iek","userName":"ida@ex.test","active":true,"displayName":"Ida Ek","emails":[{"primary":true,"type":"work","value":"ida@ex.test"}],"name":{"formatted":"Ida Ek","familyName":"Ek","givenName":"Ida"},"ENT":{"employeeNumber":"771","department":"R&D"}}"#
            ]],
        );
    }

    #[test]
    fn variations_of_a_post() {
        // String booleans, and active by default.
        check(
            json!({"userName": "a", "active": "False", "emails": [{"value": "b", "primary": "true"}]}),
            expect![[r#"{"userName":"a","active":false,"emails":[{"value":"b","primary":true}]}"#]],
        );
        check(json!({"userName": "a"}), expect![[r#"{"userName":"a","active":true}"#]]);
        // Null attributes and null sub-attributes.
        check(
            json!({"userName": "a", "addresses": null, "title": null, "department": null, "manager": null, "active": null,
                "phoneNumbers": [{"type": "work", "value": null}],
                "name": {"givenName": null, "familyName": "Ek"}}),
            expect![[r#"{"userName":"a","name":{"familyName":"Ek"},"active":true}"#]],
        );
        // Unknown attributes; `schemas` of any kind or none; an extension that is not listed.
        check(
            json!({"schemas": "x", "userName": "a", "shoeSize": 44, "urn:x:y:2.0:Z": {"a": 1}}),
            expect![[r#"{"userName":"a","active":true}"#]],
        );
        check(
            json!({"schemas": [7, "urn:x"], "userName": "a", ENTERPRISE: {"manager": "u-9"}}),
            expect![[r#"{"userName":"a","ENT":{"manager":{"value":"u-9"}},"active":true}"#]],
        );
        check(
            json!({"userName": "a", ENTERPRISE: {"Manager": {"value": "u-9", "displayName": "Bo"}}}),
            expect![[r#"{"userName":"a","ENT":{"manager":{"value":"u-9"}},"active":true}"#]],
        );
        check(
            json!({"userName": "a", "manager": "u-9", "department": "R&D"}),
            expect![[
                r#"{"userName":"a","ENT":{"manager":{"value":"u-9"},"department":"R&D"},"active":true}"#
            ]],
        );
        // Read-only and write-only attributes.
        check(
            json!({"userName": "a", "id": "x", "meta": {"version": 7}, "password": "p", "groups": [{"value": "g"}]}),
            expect![[r#"{"userName":"a","active":true}"#]],
        );
        // Letter case; of a name given twice the later counts.
        check(
            json!({"USERNAME": "a", "Name": {"GIVENNAME": "I"}, "username": "b"}),
            expect![[r#"{"userName":"b","name":{"givenName":"I"},"active":true}"#]],
        );
        // Paths as keys.
        check(
            json!({"userName": "a", "name.givenName": "I", format!("{ENTERPRISE}:department"): "R&D",
                "emails[type eq \"work\"].value": "i@ex.test"}),
            expect![[
                r#"{"userName":"a","name":{"givenName":"I"},"ENT":{"department":"R&D"},"emails":[{"type":"work","value":"i@ex.test"}],"active":true}"#
            ]],
        );
        // Two primaries (PingOne), e-mails without a type, one value for a list.
        check(
            json!({"userName": "a", "emails": [{"value": "b", "primary": true}, {"value": "c", "primary": true}]}),
            expect![[
                r#"{"userName":"a","emails":[{"value":"b","primary":true},{"value":"c","primary":false}],"active":true}"#
            ]],
        );
        check(
            json!({"userName": "a", "emails": "b", "phoneNumbers": {"value": "Qwxzzj"}}),
            expect![[
                r#"{"userName":"a","emails":[{"value":"b"}],"phoneNumbers":[{"value":"Qwxzzj"}],"active":true}"#
            ]],
        );
        // Junk in free text is echoed.
        check(
            json!({"userName": " a ", "profileUrl": "not a URL", "timezone": "xx", "locale": "??"}),
            expect![[
                r#"{"userName":" a ","profileUrl":"not a URL","timezone":"xx","locale":"??","active":true}"#
            ]],
        );
    }

    #[test]
    fn what_a_post_must_not_be() {
        check(json!([]), expect!["InvalidSyntax: the body must be a JSON object, not an array"]);
        check(json!("x"), expect!["InvalidSyntax: the body must be a JSON object, not a string"]);
        check(json!({}), expect!["InvalidValue: userName is required and must not be empty"]);
        check(
            json!({"userName": ""}),
            expect!["InvalidValue: userName is required and must not be empty"],
        );
        check(
            json!({"userName": null, "displayName": "a"}),
            expect!["InvalidValue: userName is required and must not be empty"],
        );
        check(
            json!({"userName": 7}),
            expect!["InvalidValue: userName must be a string, not a number"],
        );
        check(
            json!({"userName": "a", "active": "banana"}),
            expect![[
                r#"InvalidValue: active must be true or false; the strings "true" and "false" are taken as well, and another one arrived"#
            ]],
        );
        check(
            json!({"userName": "a", "name": "Ida"}),
            expect!["InvalidValue: name must be an object, not a string"],
        );
        check(
            json!({"userName": "a", "emails": [{"value": 7}]}),
            expect!["InvalidValue: emails.value must be a string, not a number"],
        );
        check(
            json!({"userName": "a", ENTERPRISE: "x"}),
            expect!["InvalidValue: ENT must be an object, not a string"],
        );
        check(
            json!({"userName": "a", ENTERPRISE: {"department": []}, "x509Certificates": [{"value": "?"}]}),
            expect![
                "InvalidValue: x509Certificates.value must be base64 text; a string of another form arrived"
            ],
        );
        check(
            json!({"userName": "a".repeat(IDENTIFIER_BYTES_MAX + 1)}),
            expect!["InvalidValue: userName is too long: at most 900 bytes are allowed"],
        );
        check(
            json!({"userName": "a", "externalId": "b".repeat(EXTERNAL_ID_BYTES_MAX + 1)}),
            expect!["InvalidValue: externalId is too long: at most 1024 bytes are allowed"],
        );
        let long = json!({"userName": "a".repeat(IDENTIFIER_BYTES_MAX), "externalId": "b".repeat(EXTERNAL_ID_BYTES_MAX)});
        assert!(document(users(), &long).is_ok());
        let roles: Vec<Value> = (0..=VALUES_MAX).map(|n| json!({"value": n.to_string()})).collect();
        check(
            json!({"userName": "a", "roles": roles}),
            expect!["InvalidValue: roles has too many values: at most 200 are allowed"],
        );
    }

    #[test]
    fn groups_and_their_members() {
        check_group(
            json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group",
                "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
                "externalId": "0b5c", "displayName": "Eng", "meta": {"resourceType": "Group"}}),
            expect![[r#"{"externalId":"0b5c","displayName":"Eng"}"#]],
        );
        check_group(
            json!({"displayName": "Eng", "members": []}),
            expect![[r#"{"displayName":"Eng"}"#]],
        );
        check_group(
            json!({"displayName": "Eng", "members": null}),
            expect![[r#"{"displayName":"Eng"}"#]],
        );
        check_group(
            json!({"displayName": "Eng", "Members": [{"value": "u1", "display": "a", "$ref": null}, "u2", {"value": "u1"}]}),
            expect![[r#"{"displayName":"Eng","members":[{"value":"u1"},{"value":"u2"}]}"#]],
        );
        check_group(
            json!({"displayName": "Eng", "members": [{}]}),
            expect![
                "InvalidValue: members: each entry needs a value, the id of a member; an entry without it arrived"
            ],
        );
        check_group(
            json!({"displayName": "Eng", "members": {}}),
            expect![
                "InvalidValue: members: each entry needs a value, the id of a member; an entry without it arrived"
            ],
        );
        check_group(
            json!({"members": ["u1"]}),
            expect!["InvalidValue: displayName is required and must not be empty"],
        );
        check_group(
            json!({"displayName": "a".repeat(IDENTIFIER_BYTES_MAX + 1)}),
            expect!["InvalidValue: displayName is too long: at most 900 bytes are allowed"],
        );
        let many: Vec<Value> =
            (0..VALUES_MAX * 3).map(|n| json!({"value": n.to_string()})).collect();
        assert!(document(groups(), &json!({"displayName": "Eng", "members": many})).is_ok());
    }

    #[test]
    fn a_put_clears_what_it_omits_but_not_active_and_members() {
        let before = || {
            json!({"userName": "a", "active": false, "title": "Dr", "externalId": "e", "emails": ["b"],
                ENTERPRISE: {"department": "R&D"}})
        };
        check_put(
            users(),
            before(),
            json!({"userName": "a"}),
            expect![[r#"{"userName":"a","active":false}"#]],
        );
        check_put(
            users(),
            before(),
            json!({"userName": "a", "active": null}),
            expect![[r#"{"userName":"a","active":false}"#]],
        );
        check_put(
            users(),
            before(),
            json!({"userName": "a", "active": "True", "id": "x", "password": "p"}),
            expect![[r#"{"userName":"a","active":true}"#]],
        );
        check_put(
            users(),
            before(),
            json!({"displayName": "a"}),
            expect!["InvalidValue: userName is required and must not be empty"],
        );
        let group = || json!({"displayName": "Eng", "externalId": "e"});
        check_put(
            groups(),
            group(),
            json!({"displayName": "Ops"}),
            expect![[r#"{"displayName":"Ops"}"#]],
        );
        check_put(
            groups(),
            group(),
            json!({"displayName": "Ops", "members": null}),
            expect![[r#"{"displayName":"Ops"}"#]],
        );
        check_put(
            groups(),
            group(),
            json!({"displayName": "Ops", "members": []}),
            expect![[r#"{"displayName":"Ops","members":[]}"#]],
        );
        check_put(
            groups(),
            group(),
            json!({"displayName": "Ops", "members": [{"value": "u1"}]}),
            expect![[r#"{"displayName":"Ops","members":[{"value":"u1"}]}"#]],
        );
    }

    #[test]
    fn immutable_and_required_attributes_of_an_extension() {
        let rt = badge_users();
        check_put(
            &rt,
            full_badge(),
            full_badge(),
            expect![[
                r#"{"userName":"a","urn:x:badge:1.0":{"number":"7","level":1,"photo":{"value":"p","taken":"2026-01-31T08:00:00Z"}},"active":true}"#
            ]],
        );
        check_put(
            &rt,
            full_badge(),
            badge(json!({"level": 2})),
            expect![[
                r#"{"userName":"a","urn:x:badge:1.0":{"level":2,"number":"7","photo":{"value":"p","taken":"2026-01-31T08:00:00Z"}},"active":true}"#
            ]],
        );
        check_put(
            &rt,
            full_badge(),
            json!({"userName": "a"}),
            expect![[
                r#"{"userName":"a","urn:x:badge:1.0":{"number":"7","photo":{"value":"p","taken":"2026-01-31T08:00:00Z"}},"active":true}"#
            ]],
        );
        check_put(
            &rt,
            full_badge(),
            badge(json!({"number": "8"})),
            expect!["Mutability: urn:x:badge:1.0:number can be set once and not be changed"],
        );
        check_put(
            &rt,
            json!({"userName": "a"}),
            full_badge(),
            expect![[
                r#"{"userName":"a","urn:x:badge:1.0":{"number":"7","level":1,"photo":{"value":"p","taken":"2026-01-31T08:00:00Z"}},"active":true}"#
            ]],
        );
        expect!["InvalidValue: urn:x:badge:1.0:number is required and must not be empty"]
            .assert_eq(&report(document(&rt, &badge(json!({"level": 1})))));
        expect!["InvalidValue: urn:x:badge:1.0:photo.value is required and must not be empty"]
            .assert_eq(&report(document(
                &rt,
                &badge(json!({"number": "7", "photo": {"taken": "2026-01-31T08:00:00Z"}})),
            )));
    }

    #[test]
    fn a_patch_of_immutable_and_required_attributes() {
        let rt = badge_users();
        let patch = |operation: Value| {
            let before = document(&rt, &full_badge()).unwrap();
            let request = PatchRequest::parse(&rt, &json!({"Operations": [operation]}));
            report(request.and_then(|request| request.apply(&rt, &before)))
        };
        let at = |path: &str, value: Value| json!({"op": "replace", "path": format!("urn:x:badge:1.0{path}"), "value": value});
        expect![[r#"{"userName":"a","urn:x:badge:1.0":{"number":"7","level":1,"photo":{"value":"p","taken":"2026-01-31T08:00:00Z"}},"active":true}"#]].assert_eq(&patch(at(":number", json!("7"))));
        expect![
            "Mutability: operation 1: urn:x:badge:1.0:number can be set once and not be changed"
        ]
        .assert_eq(&patch(at(":number", json!("8"))));
        expect![
            "Mutability: operation 1: urn:x:badge:1.0:number is required and cannot be removed"
        ]
        .assert_eq(&patch(at(":number", json!(null))));
        expect!["Mutability: operation 1: urn:x:badge:1.0:photo.taken can be set once and not be changed"]
            .assert_eq(&patch(at(":photo.taken", json!(null))));
        expect![[r#"{"userName":"a","urn:x:badge:1.0":{"number":"7","level":1,"photo":{"value":"p","taken":"2026-01-31T08:00:00Z"},"doors":["A","b"]},"active":true}"#]].assert_eq(&patch(at(":doors", json!(["A", "b"]))));
        expect!["InvalidValue: operation 1: level must be a whole number, not a string"]
            .assert_eq(&patch(at(":level", json!("1"))));
        let bare = document(&rt, &json!({"userName": "a"})).unwrap();
        let level = json!({"Operations": [at(":level", json!(1))]});
        let level = PatchRequest::parse(&rt, &level).unwrap();
        expect![
            "InvalidValue: operation 1: urn:x:badge:1.0:number is required and must not be empty"
        ]
        .assert_eq(&report(level.apply(&rt, &bare)));
        expect![
            "Mutability: operation 1: urn:x:badge:1.0:number is required and cannot be removed"
        ]
        .assert_eq(&patch(at("", json!({"level": 9}))));
        expect![[r#"{"userName":"a","urn:x:badge:1.0":{"number":"7","level":9,"photo":{"value":"p","taken":"2026-01-31T08:00:00Z"}},"active":true}"#]].assert_eq(&patch(json!({"op": "add", "path": "urn:x:badge:1.0", "value": {"level": 9}})));
        expect!["NoTarget: operation 1: path: no value of doors fits the filter, and the filter does not say what to create (comparisons with eq, joined by and)"].assert_eq(&patch(json!({"op": "add", "path": "doors[value eq \"A\"]", "value": "B"})));
    }

    #[test]
    fn a_list_may_be_as_long_as_its_bound() {
        let roles = users().schema.attribute_named("roles").unwrap();
        for (count, fits) in [(VALUES_MAX, true), (VALUES_MAX + 1, false), (VALUES_MAX + 2, false)]
        {
            let values: Vec<Value> = (0..count).map(|n| json!({"value": n.to_string()})).collect();
            let holder = Map::from_iter([("roles".to_owned(), Value::Array(values))]);
            assert_eq!(check_length(users(), roles, &holder).is_ok(), fits, "{count}");
        }
    }
}
