//! The Journal table: each accepted write appends its change item in the same transaction, each refused one appends an
//! item alone. It is the provisioning log, the audit trail and the feed that the SaaS team's app reads, in one.
//!
//! The items are the tenant's data and a stable contract, `docs/CHANGES.md`: `tenant`, `at` (uuid v7, minted for each attempt), `v`,
//! `events`, `kind`, `id`, `version`, `after` (the `at` of the resource's previous item), `appId`, `userName`,
//! `displayName`, `externalId`, `active`, `changed`, `added`, `removed`, `groups`, `actor`, `request`, `expires`; a refusal has `status`, `scimType`, `detail`, `method` and `path` (the route)
//! instead of what changed, and whom it was about as far as the request says. An item of kind `Tenant` has the tenant's name as `id`. Consumers order by `version` of a resource and stay 15 s behind now.

use serde_json::Value;
use uuid::Uuid;

use super::item::{APP_ID, FORMAT, Item, number, strings, text};
use super::write::{Condition, Role, Transaction};
use super::{Cx, Store, StoreError};
use crate::limits::IDENTIFIER_BYTES_MAX;
use crate::scim::catalog::Kind;
use crate::scim::document::Document;
use crate::scim::error::ScimError;
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::well_known;

/// What happened, after the event URIs of RFC 9967 without their common prefix `urn:ietf:params:scim:event:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A resource was created.
    Create,
    /// A resource was replaced.
    Put,
    /// A resource was changed.
    Patch,
    /// A resource was deleted.
    Delete,
    /// A person may come in again.
    Activate,
    /// A person may not come in any more.
    Deactivate,
    /// An active person may not come in any more: disabled, or deleted while active. What an app listens for.
    UserDeactivated,
    /// A person who might not come in may again.
    UserReactivated,
    /// A group has got members.
    MemberAdded,
    /// A group has lost members.
    MemberRemoved,
    /// Says again how a resource is: after a restore, or because the app asked.
    Snapshot,
    /// A tenant does without SCIM from now on; its people stay.
    Released,
    /// A setup link was issued.
    LinkIssued,
    /// A setup link was revoked, and its session with it.
    LinkRevoked,
    /// A setup link was exchanged for a session.
    LinkOpened,
    /// A session was ended by whoever had it.
    SessionEnded,
    /// What is known of the tenant's sign-in has changed.
    Saml,
    /// A token was issued in the portal.
    TokenIssued,
    /// A token was revoked in the portal.
    TokenRevoked,
    /// SCIM was switched on in the portal.
    Enabled,
    /// SCIM was switched off in the portal.
    Disabled,
    /// What brakes mass changes was set or taken away.
    Brake,
    /// What is to become of held changes was decided in the portal.
    BrakeDecided,
    /// A change was held back, and somebody has decided that the app is not to be told.
    Rejected,
    /// Memberships of a deleted resource were removed.
    Swept,
    /// A request was refused.
    Refused,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 26] = [
        Self::Create,
        Self::Put,
        Self::Patch,
        Self::Delete,
        Self::Activate,
        Self::Deactivate,
        Self::UserDeactivated,
        Self::UserReactivated,
        Self::MemberAdded,
        Self::MemberRemoved,
        Self::Snapshot,
        Self::Released,
        Self::LinkIssued,
        Self::LinkRevoked,
        Self::LinkOpened,
        Self::SessionEnded,
        Self::Saml,
        Self::TokenIssued,
        Self::TokenRevoked,
        Self::Enabled,
        Self::Disabled,
        Self::Brake,
        Self::BrakeDecided,
        Self::Rejected,
        Self::Swept,
        Self::Refused,
    ];

    /// The name that is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "prov:create:notice",
            Self::Put => "prov:put:notice",
            Self::Patch => "prov:patch:notice",
            Self::Delete => "prov:delete",
            Self::Activate => "prov:activate",
            Self::Deactivate => "prov:deactivate",
            Self::UserDeactivated => "user.deactivated",
            Self::UserReactivated => "user.reactivated",
            Self::MemberAdded => "group.member.added",
            Self::MemberRemoved => "group.member.removed",
            Self::Snapshot => "misc:snapshot",
            Self::Released => "tenant.released",
            Self::LinkIssued => "portal:link-issued",
            Self::LinkRevoked => "portal:link-revoked",
            Self::LinkOpened => "portal:link-opened",
            Self::SessionEnded => "portal:session-ended",
            Self::Saml => "portal:saml",
            Self::TokenIssued => "portal:token-issued",
            Self::TokenRevoked => "portal:token-revoked",
            Self::Enabled => "portal:enabled",
            Self::Disabled => "portal:disabled",
            Self::Brake => "portal:brake",
            Self::BrakeDecided => "portal:brake-decided",
            Self::Rejected => "misc:rejected",
            Self::Swept => "misc:memberships-swept",
            Self::Refused => "misc:refused",
        }
    }
}

/// A write that was refused: which one, and whom it was about.
#[derive(Clone, Debug)]
pub struct Refusal<'a> {
    /// The method.
    pub method: &'a str,
    /// The route's pattern.
    pub route: &'a str,
    /// The resource in the path.
    pub resource: Option<ResourceId>,
    /// The body, of which the identifiers are kept.
    pub named: Option<Value>,
}

/// The identifiers that an item of the journal has.
const NAMES: [&str; 3] = [well_known::USER_NAME, well_known::DISPLAY_NAME, well_known::EXTERNAL_ID];

/// One change item.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    /// What happened.
    pub(super) events: Vec<Event>,
    /// The resource after the change (before it, when it was deleted).
    pub(super) resource: &'a Resource,
    /// The key of the item that tells the resource's previous change.
    pub(super) after: Option<Uuid>,
    /// Names of the attributes that changed.
    pub(super) changed: Vec<String>,
    /// Members added to this group.
    pub(super) added: Vec<ResourceId>,
    /// Members removed from this group.
    pub(super) removed: Vec<ResourceId>,
    /// Groups that a deleted member has left.
    pub(super) groups: Vec<ResourceId>,
}

impl<'a> Entry<'a> {
    /// An entry without attributes and memberships.
    pub(super) fn new(event: Event, resource: &'a Resource) -> Self {
        Self {
            events: vec![event],
            resource,
            after: resource.change,
            changed: Vec::new(),
            added: Vec::new(),
            removed: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// An entry for a change from `before`: which attributes, and whether a person was switched on or off.
    pub(super) fn change(event: Event, before: &Resource, after: &'a Resource) -> Self {
        let mut entry = Self::new(event, after);
        entry.after = before.change;
        entry.changed = changed(&before.document, &after.document);
        if before.app_id != after.app_id {
            entry.changed.push(APP_ID.to_owned());
        }
        let active = |resource: &Resource| resource.document.is_active();
        if before.kind == Kind::User && active(before) != active(after) {
            entry.events.extend(if active(after) {
                [Event::Activate, Event::UserReactivated]
            } else {
                [Event::Deactivate, Event::UserDeactivated]
            });
        }
        entry
    }

    /// An entry for the end of a resource.
    pub(super) fn end(before: &'a Resource) -> Self {
        let mut entry = Self::new(Event::Delete, before);
        if before.kind == Kind::User && before.document.is_active() {
            entry.events.push(Event::UserDeactivated);
        }
        entry
    }

    /// With members that came and went.
    #[must_use]
    pub(super) fn with_members(mut self, added: Vec<ResourceId>, removed: Vec<ResourceId>) -> Self {
        if !added.is_empty() {
            self.events.push(Event::MemberAdded);
        }
        if !removed.is_empty() {
            self.events.push(Event::MemberRemoved);
        }
        (self.added, self.removed) = (added, removed);
        self
    }

    /// The version that it tells: the end of a resource is one more, so that a reader that goes by versions does not take
    /// it for told already.
    fn version(&self) -> u64 {
        let end = self.events.contains(&Event::Delete);
        self.resource.version.saturating_add(u64::from(end))
    }

    /// Whether the resource is gone with this entry.
    fn is_end(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Delete | Event::Swept))
    }
}

/// Names of the attributes that differ; those of an extension behind its URN.
fn changed(before: &Document, after: &Document) -> Vec<String> {
    let (before, after) = (before.attributes(), after.attributes());
    let mut names = Vec::new();
    for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old == new => {}
            (old, new) if name.starts_with("urn:") => {
                let object = |value: Option<&Value>| {
                    value.and_then(Value::as_object).cloned().unwrap_or_default()
                };
                let (old, new) = (object(old), object(new));
                let inner = old.keys().chain(new.keys().filter(|inner| !old.contains_key(*inner)));
                let inner = inner.filter(|inner| old.get(*inner) != new.get(*inner));
                names.extend(inner.map(|inner| format!("{name}:{inner}")));
            }
            _ => names.push(name.clone()),
        }
    }
    names
}

impl Store {
    /// Adds the change item to the transaction, under the key of this attempt.
    pub(super) fn append(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        entry: &Entry<'_>,
    ) -> Result<(), StoreError> {
        let item = self.item_of(cx, t.at(), entry);
        t.put(Role::Free, &self.tables.journal, item, Condition::Any)
    }

    /// The change item under that key.
    pub(super) fn item_of(&self, cx: &Cx<'_>, at: Uuid, entry: &Entry<'_>) -> Item {
        let resource = entry.resource;
        let mut item = self.head(cx, at, &entry.events);
        if let Some(after) = entry.after {
            item.insert("after".to_owned(), text(after.to_string()));
        }
        if let Some(app_id) = &resource.app_id {
            item.insert(APP_ID.to_owned(), text(app_id.as_str()));
        }
        item.insert("kind".to_owned(), text(resource.kind.name()));
        item.insert("id".to_owned(), text(resource.id.to_string()));
        item.insert("version".to_owned(), number(entry.version()));
        let document = &resource.document;
        for name in NAMES {
            if let Some(value) = document.text(name) {
                item.insert(name.to_owned(), text(value));
            }
        }
        if resource.kind == Kind::User {
            let active = document.is_active() && !entry.is_end();
            item.insert("active".to_owned(), aws_sdk_dynamodb::types::AttributeValue::Bool(active));
        }
        if !entry.changed.is_empty() {
            item.insert("changed".to_owned(), strings(&entry.changed));
        }
        for (name, ids) in
            [("added", &entry.added), ("removed", &entry.removed), ("groups", &entry.groups)]
        {
            if !ids.is_empty() {
                item.insert(name.to_owned(), strings(ids));
            }
        }
        item
    }

    /// Appends that a request was refused.
    ///
    /// # Errors
    /// [`StoreError::Backend`]; the caller ignores it, because a lost note must not change the answer.
    pub async fn note_refusal(
        &self,
        cx: &Cx<'_>,
        refusal: &Refusal<'_>,
        error: &ScimError,
    ) -> Result<(), StoreError> {
        let mut item = self.head(cx, cx.moment.mint_uuid(), &[Event::Refused]);
        item.insert("status".to_owned(), number(error.kind().status()));
        if let Some(scim_type) = error.kind().scim_type() {
            item.insert("scimType".to_owned(), text(scim_type));
        }
        item.insert("detail".to_owned(), text(error.detail()));
        item.insert("method".to_owned(), text(refusal.method));
        item.insert("path".to_owned(), text(refusal.route));
        if let Some(id) = refusal.resource {
            item.insert("id".to_owned(), text(id.to_string()));
        }
        for name in NAMES {
            let named = refusal.named.as_ref().and_then(|body| body.get(name)?.as_str());
            if let Some(value) = named.filter(|value| value.len() <= IDENTIFIER_BYTES_MAX) {
                item.insert(name.to_owned(), text(value));
            }
        }
        self.put_alone(cx.moment, &self.tables.journal, item).await
    }

    /// The item that tells of a tenant itself, and the version of what happened to it.
    pub(super) fn item_of_tenant(
        &self,
        cx: &Cx<'_>,
        at: Uuid,
        (event, version): (Event, u64),
    ) -> Item {
        let mut item = self.head(cx, at, &[event]);
        item.insert("kind".to_owned(), text("Tenant"));
        item.insert("id".to_owned(), text(cx.tenant.as_str()));
        item.insert("version".to_owned(), number(version));
        item
    }

    /// What every item of the journal has.
    fn head(&self, cx: &Cx<'_>, at: Uuid, events: &[Event]) -> Item {
        let names: Vec<&str> = events.iter().map(|event| event.name()).collect();
        let expires = cx.moment.now().plus_seconds(self.journal_days * 86_400).unix_seconds();
        Item::from([
            ("tenant".to_owned(), text(cx.tenant.as_str())),
            ("at".to_owned(), text(at.to_string())),
            ("v".to_owned(), number(FORMAT)),
            ("events".to_owned(), strings(&names)),
            ("actor".to_owned(), text(cx.actor)),
            ("request".to_owned(), text(cx.moment.request_id())),
            (super::tables::EXPIRES.to_owned(), number(expires)),
        ])
    }
}
