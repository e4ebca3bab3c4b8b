//! Attributes that are known to fit their resource type.
//!
//! A resource's life is four types: `Value` (anything) → [`Document`] (fits) → `Resource` (ours) → `Value` (allowed
//! out). Only `validate`, `patch` and the store's reader build a `Document`.

use serde_json::{Map, Value};

use super::well_known;

/// The client's part of a resource: attributes in the schema's spelling, of the schema's types, without `schemas`,
/// `id`, `meta` or anything else that is read-only. Extension attributes stand in an object under the extension's URN.
/// No value in it is null or an empty array; no object in it is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Document(Map<String, Value>);

impl Document {
    /// Takes attributes that the caller has checked, or that were stored by us.
    pub(crate) fn from_checked(attributes: Map<String, Value>) -> Self {
        Self(attributes)
    }

    /// The attributes.
    pub fn attributes(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The attributes, taken out.
    pub fn into_attributes(self) -> Map<String, Value> {
        self.0
    }

    /// The attribute with exactly that spelling.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The string attribute with exactly that spelling.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Takes an attribute out: group members are stored apart.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name)
    }

    /// `externalId`, where given.
    pub fn external_id(&self) -> Option<&str> {
        self.text(well_known::EXTERNAL_ID)
    }

    /// Whether a person may come in. One whose `active` was removed may not.
    pub fn is_active(&self) -> bool {
        self.0.get(well_known::ACTIVE).and_then(Value::as_bool) == Some(true)
    }
}
