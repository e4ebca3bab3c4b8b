//! A resource: the client's document and what the server owns beside it (RFC 7643 §3.1).

use std::fmt;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::catalog::{Kind, ResourceType};
use super::document::Document;
use super::{etag, well_known};
use crate::moment::{Moment, Timestamp};

/// A resource's id: minted here, opaque, never taken from input, never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(Uuid);

impl ResourceId {
    /// A fresh id; later ids sort after earlier ones.
    pub fn mint(moment: &Moment) -> Self {
        Self(moment.mint_uuid())
    }

    /// The id as it is in a cursor.
    pub fn bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// Back from a cursor, which is ours and signed.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Reads an id in exactly the form in which it was given out; anything else names nothing (404).
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(text).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A stored resource, without a group's members (they are items of their own).
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its type.
    pub kind: Kind,
    /// Its id.
    pub id: ResourceId,
    /// Its version: 1 when created, one more with each change.
    pub version: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_modified: Timestamp,
    /// The id of the account that it has in the SaaS team's own app, when the team has linked them. No client sees it.
    pub app_id: Option<String>,
    /// The key of the journal item that tells its last change, as it was read; none before the first.
    pub change: Option<Uuid>,
    /// How many of its changes are held back from the feed (the brake on mass changes).
    pub held: u64,
    /// The client's attributes.
    pub document: Document,
}

impl Resource {
    /// A new resource at version 1.
    pub fn new(kind: Kind, document: Document, moment: &Moment) -> Self {
        let now = moment.now();
        let id = ResourceId::mint(moment);
        Self {
            kind,
            id,
            version: 1,
            created: now,
            last_modified: now,
            app_id: None,
            change: None,
            held: 0,
            document,
        }
    }

    /// The same resource, one version later, with other attributes.
    #[must_use]
    pub fn with_document(&self, document: Document, moment: &Moment) -> Self {
        let last_modified = moment.now().max(self.last_modified);
        Self { version: self.version + 1, last_modified, document, ..self.clone() }
    }

    /// The absolute URL of this resource below `base` (no trailing slash).
    pub fn location(&self, resource_type: &ResourceType, base: &str) -> String {
        location(resource_type, self.id, base)
    }

    /// The whole representation: `schemas`, `id`, every attribute, `meta`. It has to pass through `project` before it
    /// leaves the house.
    pub fn to_value(&self, resource_type: &ResourceType, base: &str) -> Map<String, Value> {
        let attributes = self.document.attributes();
        let urns: Vec<&str> = std::iter::once(resource_type.schema.urn.as_str())
            .chain(
                resource_type
                    .extensions
                    .iter()
                    .map(|extension| extension.urn.as_str())
                    .filter(|urn| attributes.contains_key(*urn)),
            )
            .collect();
        let mut whole = Map::new();
        whole.insert(well_known::SCHEMAS.to_owned(), json!(urns));
        whole.insert(well_known::ID.to_owned(), Value::from(self.id.to_string()));
        whole.extend(attributes.clone());
        let meta = json!({
            "resourceType": self.kind.name(),
            "created": self.created.to_string(),
            "lastModified": self.last_modified.to_string(),
            "location": self.location(resource_type, base),
            "version": etag::format(self.version),
        });
        whole.insert(well_known::META.to_owned(), meta);
        whole
    }
}

/// The absolute URL of a resource of that type below `base`.
pub fn location(resource_type: &ResourceType, id: ResourceId, base: &str) -> String {
    format!("{base}{}/{id}", resource_type.endpoint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::moment::testing::stopped;
    use crate::scim::catalog::Catalog;
    use crate::scim::validate;

    #[test]
    fn a_resource_knows_where_it_is_and_counts_its_versions() {
        let catalog = Catalog::embedded().unwrap();
        let users = catalog.resource_type(Kind::User);
        let document = |name: &str| validate::document(users, &json!({"userName": name})).unwrap();
        let moment = stopped();
        let mut first = Resource::new(Kind::User, document("ida"), &moment);
        first.last_modified = first.last_modified.plus_seconds(-60);
        let second = first.with_document(document("ada"), &moment);
        assert_eq!((first.version, second.version), (1, 2));
        assert_eq!((first.id, first.created), (second.id, second.created));
        assert_eq!(second.last_modified, moment.now());
        let shown = second.to_value(users, "https://x");
        assert_eq!(shown["userName"], "ada");
        assert_eq!(shown["id"], second.id.to_string());
        assert_eq!(shown["schemas"], json!([users.schema.urn]));
        assert_eq!(shown["meta"]["location"], format!("https://x/Users/{}", second.id));
    }
}
