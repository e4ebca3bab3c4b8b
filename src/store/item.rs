//! `Resource` ⇄ item, and JSON ⇄ DynamoDB's attribute values.
//!
//! A SaaS team can read a user or group item without us: the identifiers stand at the top, the other SCIM attributes in
//! the map `scim`, as they would in JSON.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Number, Value};
use uuid::Uuid;

use super::keys::Key;
use super::write::Transaction;
use super::{Settings, StoreError, TenantId};
use crate::limits::ITEM_BYTES_MAX;
use crate::moment::Timestamp;
use crate::scim::catalog::Kind;
use crate::scim::document::Document;
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::well_known;

/// An item as the SDK has it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The number of the items' format, users and groups excepted. Readers accept it and the one before.
pub const FORMAT: u64 = 1;

/// The number of the format of users and groups. Format 2 has `appId`, which a version that knows only format 1 would lose
/// when it renames a person; so a tenant's items stay at 1 until `scimctl migrate` says that no such version runs.
pub const RESOURCE_FORMAT: u64 = 2;

/// The attribute with the app's own account id.
pub(super) const APP_ID: &str = "appId";
/// The attribute with the key of the journal item that tells the last change.
pub(super) const CHANGE: &str = "change";
/// The attribute with the number of a resource's changes that are held back from the feed; absent when there are none.
pub(super) const HELD: &str = "held";

/// Attributes of a resource that stand at the top of its item.
const AT_THE_TOP: [&str; 4] =
    [well_known::USER_NAME, well_known::EXTERNAL_ID, well_known::ACTIVE, well_known::DISPLAY_NAME];

/// A string.
pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number.
#[expect(clippy::needless_pass_by_value, reason = "numbers are small, and literals are passed")]
pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A list of strings.
pub(super) fn strings<T: ToString>(values: &[T]) -> AttributeValue {
    AttributeValue::L(values.iter().map(|value| text(value.to_string())).collect())
}

/// An item of the Directory table with nothing but its key and format.
pub(super) fn bare(tenant: &str, key: &Key) -> Item {
    let mut item = key_of(tenant, key);
    item.insert("v".to_owned(), number(FORMAT));
    item
}

/// The primary key of an item of the Directory table.
pub(super) fn key_of(tenant: &str, key: &Key) -> Item {
    HashMap::from([("tenant".to_owned(), text(tenant)), ("key".to_owned(), text(key.as_str()))])
}

/// Checks that a resource fits an item.
pub(super) fn fits(resource: &Resource) -> Result<(), StoreError> {
    content(resource).map(|_| ())
}

/// The attributes of a resource's item, without its key: what a write in place sets.
pub(super) fn attributes(
    settings: &Settings,
    resource: &Resource,
    t: &Transaction,
) -> Result<Item, StoreError> {
    let mut item = content(resource)?;
    let format = match resource.kind {
        Kind::User | Kind::Group => settings.resource_format,
        // No version that knows only the format before knows them.
        Kind::Custom(_) => RESOURCE_FORMAT,
    };
    item.insert("v".to_owned(), number(format));
    item.insert("rid".to_owned(), text(t.written_by()));
    item.insert(CHANGE.to_owned(), text(t.at().to_string()));
    Ok(item)
}

/// What an item says of a resource.
fn content(resource: &Resource) -> Result<Item, StoreError> {
    let mut scim = resource.document.attributes().clone();
    let mut item = Item::from([
        ("id".to_owned(), text(resource.id.to_string())),
        ("version".to_owned(), number(resource.version)),
        ("created".to_owned(), text(resource.created.to_string())),
        ("lastModified".to_owned(), text(resource.last_modified.to_string())),
    ]);
    if let Some(app_id) = &resource.app_id {
        item.insert(APP_ID.to_owned(), text(app_id.as_str()));
    }
    if resource.held > 0 {
        item.insert(HELD.to_owned(), number(resource.held));
    }
    for name in AT_THE_TOP {
        if let Some(value) = scim.shift_remove(name) {
            item.insert(name.to_owned(), from_json(&value));
        }
    }
    item.insert("scim".to_owned(), from_json(&Value::Object(scim)));
    if size(&item) > ITEM_BYTES_MAX { Err(StoreError::TooLarge) } else { Ok(item) }
}

/// The attributes that a write in place has to remove, because the resource does not have them now.
pub(super) fn absent(item: &Item) -> Vec<&'static str> {
    let optional = AT_THE_TOP.into_iter().chain([APP_ID]);
    optional.filter(|name| !item.contains_key(*name)).collect()
}

/// The key of a resource's item.
pub(super) fn key_of_resource(resource: &Resource) -> Result<Key, StoreError> {
    match resource.kind {
        Kind::Group | Kind::Custom(_) => Ok(Key::of_id(resource.kind, resource.id)),
        Kind::User => resource
            .document
            .text(well_known::USER_NAME)
            .map(Key::user)
            .ok_or_else(|| StoreError::Corrupt("a user without a userName".to_owned())),
    }
}

/// A new resource's whole item.
pub(super) fn whole(
    (tenant, settings): (&TenantId, &Settings),
    resource: &Resource,
    t: &Transaction,
) -> Result<Item, StoreError> {
    let mut item = attributes(settings, resource, t)?;
    item.extend(key_of(tenant.as_str(), &key_of_resource(resource)?));
    if resource.kind != Kind::User {
        item.insert("memberships".to_owned(), number(0));
    }
    Ok(item)
}

/// Reads a user or group item.
pub(super) fn resource(item: &Item) -> Result<Resource, StoreError> {
    let reader = ItemReader::of_format(item, RESOURCE_FORMAT)?;
    let kind = match Key::stored(reader.text("key")?).sort() {
        "user" => Kind::User,
        "group" => Kind::Group,
        _ => return Err(reader.corrupt("key")),
    };
    resource_of(kind, item)
}

/// Reads an item of a resource of that kind.
pub(super) fn resource_of(kind: Kind, item: &Item) -> Result<Resource, StoreError> {
    let reader = ItemReader::of_format(item, RESOURCE_FORMAT)?;
    let mut attributes = Map::new();
    for name in AT_THE_TOP {
        if let Some(value) = item.get(name) {
            attributes.insert(name.to_owned(), to_json(value));
        }
    }
    match item.get("scim").map(to_json) {
        Some(Value::Object(rest)) => attributes.extend(rest),
        Some(_) | None => return Err(reader.corrupt("scim")),
    }
    Ok(Resource {
        kind,
        id: reader.id("id")?,
        version: reader.number("version")?,
        created: reader.timestamp("created")?,
        last_modified: reader.timestamp("lastModified")?,
        app_id: reader.optional(APP_ID).map(str::to_owned),
        change: reader.change(),
        held: reader.optional_number(HELD),
        document: Document::from_checked(attributes),
    })
}

/// Reads an item's attributes, with an error that names what is missing.
#[derive(Debug)]
pub(super) struct ItemReader<'a>(&'a Item);

impl<'a> ItemReader<'a> {
    /// Checks the item's format number: that of its sort.
    pub(super) fn new(item: &'a Item) -> Result<Self, StoreError> {
        let key = item.get("key").and_then(|key| key.as_s().ok()).map(|key| Key::stored(key));
        let of_resource =
            key.is_some_and(|key| matches!(key.sort(), "user" | "group" | "resource"));
        Self::of_format(item, if of_resource { RESOURCE_FORMAT } else { FORMAT })
    }

    /// Without a look at its format.
    pub(super) fn unread(item: &'a Item) -> Self {
        Self(item)
    }

    fn of_format(item: &'a Item, newest: u64) -> Result<Self, StoreError> {
        let reader = Self(item);
        let format: u64 = reader.number("v")?;
        if format == newest || format + 1 == newest {
            Ok(reader)
        } else {
            Err(StoreError::Corrupt(format!(
                "format {format}, and this version reads {newest} and the one before"
            )))
        }
    }

    /// The key of the journal item that tells a resource's last change.
    pub(super) fn change(&self) -> Option<Uuid> {
        self.optional(CHANGE).and_then(|at| Uuid::try_parse(at).ok())
    }

    /// A string attribute.
    pub(super) fn text(&self, name: &str) -> Result<&'a str, StoreError> {
        self.optional(name).ok_or_else(|| self.corrupt(name))
    }

    /// A string attribute that may be missing.
    pub(super) fn optional(&self, name: &str) -> Option<&'a str> {
        match self.0.get(name) {
            Some(AttributeValue::S(text)) => Some(text),
            _ => None,
        }
    }

    /// A list of strings; empty when missing.
    pub(super) fn strings(&self, name: &str) -> Vec<String> {
        let Some(AttributeValue::L(values)) = self.0.get(name) else { return Vec::new() };
        values.iter().filter_map(|value| value.as_s().ok()).cloned().collect()
    }

    /// A number attribute.
    pub(super) fn number<N: FromStr>(&self, name: &str) -> Result<N, StoreError> {
        match self.0.get(name) {
            Some(AttributeValue::N(digits)) => digits.parse().map_err(|_| self.corrupt(name)),
            _ => Err(self.corrupt(name)),
        }
    }

    /// A number attribute that is nought when it is missing.
    pub(super) fn optional_number(&self, name: &str) -> u64 {
        self.number(name).unwrap_or(0)
    }

    /// An id attribute.
    pub(super) fn id(&self, name: &str) -> Result<ResourceId, StoreError> {
        ResourceId::parse(self.text(name)?).ok_or_else(|| self.corrupt(name))
    }

    /// A time attribute.
    pub(super) fn timestamp(&self, name: &str) -> Result<Timestamp, StoreError> {
        Timestamp::parse(self.text(name)?).ok_or_else(|| self.corrupt(name))
    }

    /// A time attribute that may be missing.
    pub(super) fn optional_timestamp(&self, name: &str) -> Option<Timestamp> {
        self.optional(name).and_then(Timestamp::parse)
    }

    /// The item's key.
    pub(super) fn key(&self) -> Result<Key, StoreError> {
        self.text("key").map(Key::stored)
    }

    /// The error that `name` is missing or not of its type. Names the sort of item, no value.
    pub(super) fn corrupt(&self, name: &str) -> StoreError {
        let sort = match self.0.get("key") {
            Some(AttributeValue::S(key)) => Key::stored(key).sort().to_owned(),
            _ => "an item without a key".to_owned(),
        };
        StoreError::Corrupt(format!("{sort}: {name}"))
    }
}

/// JSON as an attribute value.
pub(super) fn from_json(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(*flag),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(values) => AttributeValue::L(values.iter().map(from_json).collect()),
        Value::Object(members) => AttributeValue::M(
            members.iter().map(|(name, value)| (name.clone(), from_json(value))).collect(),
        ),
    }
}

/// An attribute value as JSON. What we never write (sets, binary) reads as null.
#[expect(clippy::wildcard_enum_match_arm, reason = "the SDK's enum is open")]
pub(super) fn to_json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Bool(flag) => Value::Bool(*flag),
        AttributeValue::N(digits) => {
            serde_json::from_str::<Number>(digits).map_or(Value::Null, Value::Number)
        }
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::L(values) => Value::Array(values.iter().map(to_json).collect()),
        AttributeValue::M(members) => Value::Object(
            members.iter().map(|(name, value)| (name.clone(), to_json(value))).collect(),
        ),
        _ => Value::Null,
    }
}

/// An item's size in bytes, about as DynamoDB counts it.
fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + size_of_value(value)).sum()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the SDK's enum is open")]
fn size_of_value(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::L(values) => 3 + values.iter().map(|v| 1 + size_of_value(v)).sum::<usize>(),
        AttributeValue::M(members) => {
            3 + members.iter().map(|(n, v)| 1 + n.len() + size_of_value(v)).sum::<usize>()
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_resource_survives_its_item() {
        let document = json!({
            "userName": "Ida@ex.test", "active": false, "externalId": "iek",
            "name": {"givenName": "Ida"},
            "emails": [{"value": "ida@ex.test", "primary": true}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R&D"},
        });
        let Value::Object(attributes) = document else { panic!("an object") };
        let now = Timestamp::parse("2026-11-21T08:00:00.5Z").unwrap();
        let before = Resource {
            kind: Kind::User,
            id: ResourceId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap(),
            version: 3,
            created: now,
            last_modified: now,
            app_id: Some("acc-7".to_owned()),
            change: None,
            held: 2,
            document: Document::from_checked(attributes),
        };
        let (tenant, settings) = (TenantId::parse("acme").unwrap(), Settings::default());
        let t = Transaction::new("r1", Uuid::from_u128(7));
        let item = whole((&tenant, &settings), &before, &t).unwrap();
        assert_eq!(item.get("key"), Some(&text("user#ida@ex.test")));
        assert_eq!(item.get("userName"), Some(&text("Ida@ex.test")));
        let after = Resource { change: Some(Uuid::from_u128(7)), ..before };
        assert_eq!(resource(&item).unwrap(), after);
    }

    /// A user with that title and nothing else.
    fn titled(title: String) -> Resource {
        let attributes = [("userName", Value::from("ida")), ("title", Value::String(title))];
        let now = Timestamp::parse("2026-11-21T08:00:00.5Z").unwrap();
        Resource {
            kind: Kind::User,
            id: ResourceId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap(),
            version: 3,
            created: now,
            last_modified: now,
            app_id: None,
            change: None,
            held: 0,
            document: Document::from_checked(
                attributes.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
            ),
        }
    }

    #[test]
    fn an_item_is_as_large_as_its_names_and_values_are() {
        let document = json!({
            "é": "ab",
            "n": 12.5,
            "l": [true, "abc"],
            "m": {"k": "v", "none": null, "in": {"x": "yz"}},
        });
        let Value::Object(attributes) = document else { panic!("an object") };
        let sizes = attributes
            .iter()
            .map(|(name, value)| size(&Item::from([(name.clone(), from_json(value))])));
        // A name and a value take their bytes; a list or map takes 3 more, and 1 for each element.
        let (text, number, list, map) = (2 + 2, 1 + 4, 1 + 3 + 2 + 4, 1 + 3 + 3 + 6 + (3 + 3 + 4));
        assert_eq!(sizes.collect::<Vec<_>>(), [text, number, list, map]);
        let whole: Item =
            attributes.iter().map(|(n, value)| (n.clone(), from_json(value))).collect();
        assert_eq!(size(&whole), text + number + list + map);
    }

    #[test]
    fn a_resource_is_as_large_as_the_bound_and_no_larger() {
        let bare = size(&content(&titled(String::new())).unwrap());
        let of = |bytes: usize| fits(&titled("x".repeat(bytes - bare)));
        assert!(of(ITEM_BYTES_MAX).is_ok());
        for bytes in [ITEM_BYTES_MAX + 1, ITEM_BYTES_MAX * 2] {
            assert!(matches!(of(bytes), Err(StoreError::TooLarge)), "{bytes}");
        }
    }

    #[test]
    fn only_what_is_held_back_says_so() {
        let held = |held: u64| {
            let item = content(&Resource { held, ..titled(String::new()) }).unwrap();
            item.get(HELD).cloned()
        };
        assert_eq!((held(0), held(1)), (None, Some(number(1))));
    }

    #[test]
    fn another_format_is_refused_by_its_number() {
        let mut item = bare("acme", &Key::settings());
        item.insert("v".to_owned(), number(FORMAT + 1));
        let error = ItemReader::new(&item).unwrap_err().to_string();
        assert!(error.contains("format 2"), "{error}");
    }
}
