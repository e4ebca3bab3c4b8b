//! Match items: users found by the value of a configured attribute, `emails.value` by default.
//!
//! One item a value, whose key ends in the user's id; deduplicated, diffed when the user changes, bounded.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Settings, StoreError};
use crate::limits::{IDENTIFIER_BYTES_MAX, MATCH_VALUES_MAX};
use crate::scim::catalog::{Kind, ResourceType, Target};
use crate::scim::document::Document;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::fold::fold;
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::well_known;

/// One value of one match attribute, folded as the schema says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MatchValue {
    /// The attribute as it is configured.
    pub(super) attribute: String,
    /// The value.
    pub(super) folded: String,
}

/// Under this name, which no schema's attribute can have, a user is found by the id of the account in the app.
pub(super) const APP_ID: &str = "@appId";

/// The match values of a user.
///
/// # Errors
/// [`StoreError::Refused`] when there are too many, or one is too long for a key.
pub(super) fn values(
    resource_type: &ResourceType,
    settings: &Settings,
    user: &Resource,
) -> Result<BTreeSet<MatchValue>, StoreError> {
    let mut found = BTreeSet::new();
    if resource_type.kind != Kind::User {
        return Ok(found);
    }
    for attribute in &settings.match_attributes {
        let Some(path) = AttrPath::parse(attribute) else { continue };
        let Some(target) = resource_type.resolve(&path) else { continue };
        for value in texts(&target, &user.document) {
            let folded = folded(&target, value);
            if !super::keys::fits_match(attribute, &folded) {
                let detail = format!(
                    "{attribute}: a value that people are found by may have about {IDENTIFIER_BYTES_MAX} bytes, of which # and % count three"
                );
                return Err(StoreError::Refused(ScimError::new(ErrorKind::InvalidValue, detail)));
            }
            found.insert(MatchValue { attribute: attribute.clone(), folded });
        }
    }
    if found.len() > MATCH_VALUES_MAX {
        let names = settings.match_attributes.join(", ");
        let detail = format!(
            "{names}: a user may have {MATCH_VALUES_MAX} different values, and {} arrived",
            found.len()
        );
        return Err(StoreError::Refused(ScimError::new(ErrorKind::InvalidValue, detail)));
    }
    if let Some(app_id) = &user.app_id {
        found.insert(MatchValue { attribute: APP_ID.to_owned(), folded: app_id.clone() });
    }
    Ok(found)
}

/// A value as it stands in a key: folded unless the schema says that letter case counts.
pub(super) fn folded(target: &Target<'_>, value: &str) -> String {
    if target.leaf().is_some_and(|leaf| leaf.case_exact) { value.to_owned() } else { fold(value) }
}

/// The attribute path of a filter's equality, `emails.value`, names the same values as a configured one.
pub(super) fn is_configured<'a>(settings: &'a Settings, path: &str) -> Option<&'a str> {
    let configured = settings.match_attributes.iter().map(String::as_str);
    configured.into_iter().find(|attribute| attribute.eq_ignore_ascii_case(path))
}

/// The strings that a target selects in a document.
fn texts<'a>(target: &Target<'_>, document: &'a Document) -> Vec<&'a str> {
    let attributes = document.attributes();
    let holder = match target.extension {
        None => Some(attributes),
        Some(extension) => attributes.get(&extension.urn).and_then(Value::as_object),
    };
    let (Some(holder), Some(attribute)) = (holder, target.attribute) else { return Vec::new() };
    let Some(value) = holder.get(attribute.name.as_str()) else { return Vec::new() };
    let sub = target.sub.map_or(well_known::VALUE, |sub| sub.name.as_str());
    let elements = match value {
        Value::Array(elements) => elements.as_slice(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            std::slice::from_ref(value)
        }
    };
    let text = |element: &'a Value| match element {
        Value::Object(members) => members.get(sub).and_then(Value::as_str),
        Value::String(text) => Some(text.as_str()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    };
    elements.iter().filter_map(text).filter(|text| !text.is_empty()).collect()
}
