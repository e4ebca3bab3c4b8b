//! Saying again how everything is: after a restore, or because the app asked.
//!
//! Each resource gets a version above any that an app can have seen of it, and an item in the journal that tells how it is
//! (`docs/adr/0022-versions-never-go-back.md`). Its attributes and `meta.lastModified` stay: nothing about it has changed.

use serde_json::Value;
use uuid::Uuid;

use super::feed::time_of;
use super::item::text;
use super::journal::Event;
use super::keys::{self, Key};
use super::members::{MemberChange, Members};
use super::resources::{Step, user_key};
use super::write::Cancelled;
use super::{Cx, Store, StoreError, item};
use crate::moment::Timestamp;
use crate::scim::catalog::Kind;
use crate::scim::document::Document;
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::well_known;

/// The version from which on resources are said again that began there: the milliseconds since 1970. No resource is
/// written a thousand times a second, so none has ever had that version, whatever was lost or restored.
pub fn floor_of(began: Uuid) -> u64 {
    time_of(began).map_or(0, Timestamp::unix_millis)
}

/// Some resources of a kind in order of creation.
#[derive(Clone, Debug)]
pub struct ResourcePage {
    /// The resources.
    pub resources: Vec<Resource>,
    /// The id after which the next ones come.
    pub next: Option<ResourceId>,
}

impl Store {
    /// Resources of a kind in order of creation after one of them, about `most`. Who is renamed meanwhile is not missed.
    ///
    /// # Errors
    /// As any read.
    pub async fn resources_after(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        after: Option<ResourceId>,
        most: usize,
    ) -> Result<ResourcePage, StoreError> {
        let prefix = keys::ids_prefix(kind);
        let after = after.map(|id| Key::of_id(kind, id));
        let tenant = cx.tenant.as_str();
        let rows = self.query(cx.moment, tenant, &prefix, after.as_ref(), most).await?;
        let next = rows.next.as_ref().and_then(Key::last_id);
        let resources = match kind {
            Kind::Group | Kind::Custom(_) => {
                let resources = rows.items.iter().map(|item| item::resource_of(kind, item));
                resources.collect::<Result<_, _>>()?
            }
            Kind::User => {
                let ids = rows.items.iter().filter_map(|row| Key::in_item(row)?.last_id());
                let ids: Vec<ResourceId> = ids.collect();
                let keys = rows.items.iter().map(user_key).collect::<Result<Vec<_>, _>>()?;
                self.get_at(cx, kind, &ids, &keys).await?
            }
        };
        Ok(ResourcePage { resources, next })
    }

    /// Says again how a resource is, under a version of at least `floor`.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is no longer as it was read.
    pub async fn say_again(
        &self,
        cx: &Cx<'_>,
        before: &Resource,
        floor: u64,
    ) -> Result<(), StoreError> {
        let version = floor.max(before.version + 1);
        let after = Resource { version, ..before.clone() };
        let step = Step { before, after: &after, event: Event::Snapshot };
        let members = Members::assumed(before.id, MemberChange::default())?;
        let done = self.write_step(cx, step, &members).await;
        done.map(|_| ()).map_err(Cancelled::error)
    }

    /// Switches a person off, as the identity provider would.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the person is no longer as it was read.
    pub async fn switch_off(&self, cx: &Cx<'_>, person: &Resource) -> Result<(), StoreError> {
        let mut attributes = person.document.attributes().clone();
        attributes.insert(well_known::ACTIVE.to_owned(), Value::Bool(false));
        let off = Document::from_checked(attributes);
        let change = MemberChange::default();
        self.replace(cx, person, off, change, Event::Patch).await.map(|_| ())
    }

    /// Notes in the journal that everything is said again from here on or, with where that began, that everything has
    /// been. Returns where the note stands.
    ///
    /// # Errors
    /// As any write. Repeating it leaves a second note, which does no harm.
    pub async fn mark_snapshot(
        &self,
        cx: &Cx<'_>,
        began: Option<Uuid>,
    ) -> Result<Uuid, StoreError> {
        let at = cx.moment.mint_uuid();
        let floor = floor_of(began.unwrap_or(at));
        let mut item = self.item_of_tenant(cx, at, (Event::Snapshot, floor));
        if let Some(began) = began {
            item.insert("after".to_owned(), text(began.to_string()));
        }
        self.put_alone(cx.moment, &self.tables.journal, item).await?;
        Ok(at)
    }
}
