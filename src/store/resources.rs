//! Users and groups: create, get, replace. Deleting is in `delete`, memberships in `members`.
//!
//! Every condition on a resource is `id = :id AND version = :v`: versions restart at 1, so the version alone would let a
//! stale write hit another person who has taken the name.

use uuid::Uuid;

use super::brake::{Form, harm_of};
use super::error::Field;
use super::item::{self, Item, ItemReader, bare, key_of, key_of_resource, number, text};
use super::journal::{Entry, Event};
use super::keys::{self, Key};
use super::matches;
use super::members::{Member, MemberChange, Members};
use super::trace::Trace;
use super::write::{Cancelled, Change, Condition, Role, Transaction};
use super::{Cx, Store, StoreError};
use crate::limits::{
    COUNTER_SHARDS, IDENTIFIER_BYTES_MAX, MEMBERS_PER_TRANSACTION, RESOLVE_ATTEMPTS_MAX,
};
use crate::scim::catalog::Kind;
use crate::scim::discovery::GroupNames;
use crate::scim::document::Document;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::well_known;

/// The part of a transaction that holds the resource's unique name.
pub(super) const NAME: usize = 0;

/// A resource that changes: as it was read, as it is to be, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub(super) before: &'a Resource,
    pub(super) after: &'a Resource,
    pub(super) event: Event,
}

/// A resource as it was read to be deleted.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The resource.
    pub resource: Resource,
    /// The number that each add of a membership moves: a delete is conditioned on it.
    pub(super) memberships: u64,
}

impl Store {
    /// Stores a new resource with its members, and returns them in the order in which they are read; `None` where they
    /// came in several transactions, so that some may have left again.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its name is taken; [`StoreError::Refused`] when a member is not there.
    pub async fn create(
        &self,
        cx: &Cx<'_>,
        resource: &Resource,
        members: &[ResourceId],
    ) -> Result<Option<Vec<Member>>, StoreError> {
        check_name(resource.kind, &resource.document)?;
        if members.len() > MEMBERS_PER_TRANSACTION {
            self.create_large_group(cx, resource, members).await?;
            return Ok(None);
        }
        let mut members = Members::of_new(resource.id, members)?;
        loop {
            let trace = Trace::Minted(minted_key(resource));
            let done = self
                .commit(cx.moment, cx.tenant.as_str(), trace, |t| {
                    self.creation(t, cx, resource)?;
                    self.add_members(t, cx, &members)?;
                    let entry = Entry::new(Event::Create, resource);
                    self.append(t, cx, &entry.with_members(members.added(), Vec::new()))?;
                    Ok(())
                })
                .await;
            match done {
                Ok(()) => return Ok(Some(members.in_order())),
                Err(cancelled) => {
                    self.settle(cx, resource.kind, &mut members, cancelled).await?;
                }
            }
        }
    }

    /// The actions that make a resource, without members and journal.
    pub(super) fn creation(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        resource: &Resource,
    ) -> Result<(), StoreError> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        let item = item::whole((cx.tenant, cx.settings), resource, t)?;
        match resource.kind {
            Kind::User => {
                t.put(Role::Part(NAME), table, item, Condition::Absent)?;
                let mut id = bare(tenant, &Key::id(resource.id));
                id.insert("ref".to_owned(), text(key_of_resource(resource)?.as_str()));
                id.insert("memberships".to_owned(), number(0));
                t.put(Role::Own, table, id, Condition::Absent)?;
            }
            Kind::Group | Kind::Custom(_) => t.put(Role::Own, table, item, Condition::Absent)?,
        }
        self.add_names(t, cx, None, Some(resource))?;
        self.add_matches(t, cx, None, Some(resource))?;
        self.add_count(t, cx, resource.kind, 1)?;
        Ok(())
    }

    /// The resource with that id, strongly consistent; `None` when there is none in this tenant.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is renamed again and again while it is read.
    pub async fn get(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        id: ResourceId,
    ) -> Result<Option<Resource>, StoreError> {
        Ok(self.resolve(cx, kind, id).await?.map(|(resource, _)| resource))
    }

    /// As [`Store::get`], for who is to delete it: beside it the number that each add of a membership moves, as it was
    /// before its memberships can be listed.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_whole(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        id: ResourceId,
    ) -> Result<Option<Whole>, StoreError> {
        let Some((resource, counted)) = self.resolve(cx, kind, id).await? else { return Ok(None) };
        let memberships = ItemReader::new(&counted)?.number("memberships")?;
        Ok(Some(Whole { resource, memberships }))
    }

    /// The resource with that id, and the item that counts its memberships: of a user the id item, which is read first.
    async fn resolve(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        id: ResourceId,
    ) -> Result<Option<(Resource, Item)>, StoreError> {
        let tenant = cx.tenant.as_str();
        if kind != Kind::User {
            let found = self.get_key(cx.moment, tenant, &Key::of_id(kind, id)).await?;
            return found.map(|item| Ok((item::resource_of(kind, &item)?, item))).transpose();
        }
        for _ in 0..RESOLVE_ATTEMPTS_MAX {
            let Some(id_item) = self.get_key(cx.moment, tenant, &Key::id(id)).await? else {
                return Ok(None);
            };
            let key = user_key(&id_item)?;
            if let Some(found) = self.get_key(cx.moment, tenant, &key).await? {
                let resource = item::resource(&found)?;
                if resource.id == id {
                    return Ok(Some((resource, id_item)));
                }
            }
            // A rename came in between: only a missing id item means that the person is not there.
        }
        Err(StoreError::Stale)
    }

    /// The user with that name, in any letter case: one strongly consistent read.
    ///
    /// # Errors
    /// As any read.
    pub async fn get_by_user_name(
        &self,
        cx: &Cx<'_>,
        user_name: &str,
    ) -> Result<Option<Resource>, StoreError> {
        let found = self.get_key(cx.moment, cx.tenant.as_str(), &Key::user(user_name)).await?;
        found.as_ref().map(item::resource).transpose()
    }

    /// The group that holds a unique name, where names are unique.
    ///
    /// # Errors
    /// As any read.
    pub async fn get_by_unique_name(
        &self,
        cx: &Cx<'_>,
        name: &str,
    ) -> Result<Option<Resource>, StoreError> {
        let key = Key::unique_name(name);
        let Some(lock) = self.get_key(cx.moment, cx.tenant.as_str(), &key).await? else {
            return Ok(None);
        };
        let id = ItemReader::new(&lock)?.id("id")?;
        self.get(cx, Kind::Group, id).await
    }

    /// The resources with those ids, in that order; those that are not there are left out.
    ///
    /// # Errors
    /// As any read.
    pub async fn get_many(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        ids: &[ResourceId],
    ) -> Result<Vec<Resource>, StoreError> {
        let keys: Vec<Key> = match kind {
            Kind::Group | Kind::Custom(_) => ids.iter().map(|id| Key::of_id(kind, *id)).collect(),
            Kind::User => {
                let keys: Vec<Key> = ids.iter().copied().map(Key::id).collect();
                let rows = self.get_keys(cx.moment, cx.tenant.as_str(), &keys).await?;
                rows.iter().map(user_key).collect::<Result<_, StoreError>>()?
            }
        };
        self.get_at(cx, kind, ids, &keys).await
    }

    /// The resources with those ids, in that order, that were seen a moment ago under those keys.
    pub(super) async fn get_at(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        ids: &[ResourceId],
        keys: &[Key],
    ) -> Result<Vec<Resource>, StoreError> {
        let found = self.get_keys(cx.moment, cx.tenant.as_str(), keys).await?;
        let found = found.iter().map(|item| item::resource_of(kind, item));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        let mut by_id: std::collections::HashMap<ResourceId, Resource> =
            found.into_iter().map(|resource| (resource.id, resource)).collect();
        let mut ordered = Vec::with_capacity(ids.len());
        for id in ids {
            // What the batch missed was renamed meanwhile, or is gone: the slow way tells.
            let resource = match by_id.remove(id) {
                Some(resource) => Some(resource),
                None => self.get(cx, kind, *id).await?,
            };
            ordered.extend(resource);
        }
        Ok(ordered)
    }

    /// Writes a document and membership changes over a resource as it was read, and returns what is stored then. A write
    /// that changes nothing writes nothing.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is no longer as it was read; [`StoreError::Taken`] when its new name is taken.
    pub async fn replace(
        &self,
        cx: &Cx<'_>,
        before: &Resource,
        document: Document,
        change: MemberChange,
        event: Event,
    ) -> Result<Resource, StoreError> {
        check_name(before.kind, &document)?;
        if change.memberships() > MEMBERS_PER_TRANSACTION {
            return self.replace_in_chunks(cx, before, document, change, event).await;
        }
        let mut members = Members::assumed(before.id, change)?;
        loop {
            if document == before.document && members.is_empty() {
                return Ok(before.clone());
            }
            let after = before.with_document(document.clone(), cx.moment);
            let step = Step { before, after: &after, event };
            match self.write_step(cx, step, &members).await {
                Ok(written) => return Ok(written),
                Err(cancelled) => self.settle(cx, before.kind, &mut members, cancelled).await?,
            }
        }
    }

    /// One transaction: a resource from one version to the next, with at most so many members as one takes.
    pub(super) async fn write_step(
        &self,
        cx: &Cx<'_>,
        step: Step<'_>,
        members: &Members,
    ) -> Result<Resource, Cancelled> {
        let harm = harm_of(step, members);
        loop {
            let form = self.form(cx, step.before.held, harm).await?;
            let after = Resource { held: form.held(step.before.held), ..step.after.clone() };
            let step = Step { after: &after, ..step };
            match self.write_step_as(cx, step, members, &form).await {
                Err(cancelled) if Form::was_overtaken(&cancelled) => super::members::in_time(cx)?,
                Err(cancelled) => return Err(cancelled),
                Ok(change) => return Ok(Resource { change, ..after }),
            }
        }
    }

    async fn write_step_as(
        &self,
        cx: &Cx<'_>,
        step: Step<'_>,
        members: &Members,
        form: &Form,
    ) -> Result<Option<Uuid>, Cancelled> {
        let trace = Trace::Written(key_of_resource(step.after)?);
        self.commit_at(cx.moment, cx.tenant.as_str(), trace, |t| {
            self.add_replacement(t, cx, step)?;
            self.add_names(t, cx, Some(step.before), Some(step.after))?;
            self.add_matches(t, cx, Some(step.before), Some(step.after))?;
            self.add_members(t, cx, members)?;
            let entry = Entry::change(step.event, step.before, step.after);
            let mut entry = entry.with_members(members.added(), members.removed());
            if entry.added.len() + entry.removed.len() > 0 {
                entry.changed.push(well_known::MEMBERS.to_owned());
            }
            self.tell(t, cx, &entry, form)?;
            Ok(())
        })
        .await
    }

    /// The resource's own item: in place, or moved when a user's folded name changes.
    fn add_replacement(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        step: Step<'_>,
    ) -> Result<(), StoreError> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        let (old, new) = (key_of_resource(step.before)?, key_of_resource(step.after)?);
        let as_read = at_version(step.before);
        if old == new {
            let attributes = item::attributes(cx.settings, step.after, t)?;
            let remove = item::absent(&attributes).into_iter().map(Into::into).collect();
            let change = Change { set: attributes.into_iter().collect(), add: Vec::new(), remove };
            return t.update(Role::Own, table, key_of(tenant, &old), change, as_read);
        }
        t.delete(Role::Own, table, key_of(tenant, &old), as_read)?;
        let moved = item::whole((cx.tenant, cx.settings), step.after, t)?;
        t.put(Role::Part(NAME), table, moved, Condition::Absent)?;
        let change =
            Change { set: vec![("ref".to_owned(), text(new.as_str()))], ..Change::default() };
        let condition = Condition::Equal(vec![("ref", text(old.as_str()))]);
        t.update(Role::Own, table, key_of(tenant, &Key::id(step.before.id)), change, condition)
    }

    /// A group's look-up by name, and its lock while names are unique.
    pub(super) fn add_names(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        before: Option<&Resource>,
        after: Option<&Resource>,
    ) -> Result<(), StoreError> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        let name = |resource: Option<&Resource>| {
            let group = resource.filter(|resource| resource.kind == Kind::Group)?;
            let name = group.document.text(well_known::DISPLAY_NAME)?;
            Some((Key::group_name(name, group.id), Key::unique_name(name), group.id))
        };
        let (before, after) = (name(before), name(after));
        if before == after {
            return Ok(());
        }
        if let Some((look_up, lock, id)) = before {
            t.delete(Role::Own, table, key_of(tenant, &look_up), Condition::Present)?;
            if cx.settings.group_names == GroupNames::Unique {
                let held = Condition::Equal(vec![("id", text(id.to_string()))]);
                t.delete(Role::Own, table, key_of(tenant, &lock), held)?;
            }
        }
        if let Some((look_up, lock, id)) = after {
            t.put(Role::Own, table, bare(tenant, &look_up), Condition::Absent)?;
            if cx.settings.group_names == GroupNames::Unique {
                let mut item = bare(tenant, &lock);
                item.insert("id".to_owned(), text(id.to_string()));
                t.put(Role::Part(NAME), table, item, Condition::Absent)?;
            }
        }
        Ok(())
    }

    /// The difference between the match items before and after.
    pub(super) fn add_matches(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        before: Option<&Resource>,
        after: Option<&Resource>,
    ) -> Result<(), StoreError> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        let values = |resource: Option<&Resource>| match resource {
            None => Ok(std::collections::BTreeSet::new()),
            Some(resource) if resource.kind != Kind::User => Ok(std::collections::BTreeSet::new()),
            Some(resource) => {
                let resource_type = self.catalog.resource_type(resource.kind);
                matches::values(resource_type, cx.settings, resource)
            }
        };
        let Some(id) = before.or(after).map(|resource| resource.id) else { return Ok(()) };
        let (old, new) = (values(before)?, values(after)?);
        for gone in old.difference(&new) {
            let key = Key::matching(&gone.attribute, &gone.folded, id);
            t.delete(Role::Own, table, key_of(tenant, &key), Condition::Present)?;
        }
        for come in new.difference(&old) {
            let key = Key::matching(&come.attribute, &come.folded, id);
            t.put(Role::Own, table, bare(tenant, &key), Condition::Absent)?;
        }
        Ok(())
    }

    /// Moves a shard of the kind's counter.
    pub(super) fn add_count(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        kind: Kind,
        by: i64,
    ) -> Result<(), StoreError> {
        let key = Key::count(kind, cx.moment.random_below(COUNTER_SHARDS));
        let set = vec![("v".to_owned(), number(item::FORMAT))];
        let change = Change { set, add: vec![("n", by)], remove: Vec::new() };
        let key: Item = key_of(cx.tenant.as_str(), &key);
        t.update(Role::Free, &self.tables.directory, key, change, Condition::Any)
    }
}

/// The item of a resource whose key has no part that a client has chosen.
pub(super) fn minted_key(resource: &Resource) -> Key {
    Key::of_id(resource.kind, resource.id)
}

/// The key of the user that an id item leads to.
pub(super) fn user_key(id_item: &Item) -> Result<Key, StoreError> {
    Ok(Key::stored(ItemReader::new(id_item)?.text("ref")?))
}

/// The condition on a resource as it was read.
pub(super) fn at_version(resource: &Resource) -> Condition {
    let mut terms =
        vec![("id", text(resource.id.to_string())), ("version", number(resource.version))];
    // Who settles held changes moves this number and leaves the version.
    if resource.held > 0 {
        terms.push((item::HELD, number(resource.held)));
    }
    Condition::Equal(terms)
}

/// Refuses a name that does not fit a key once it is folded and escaped.
fn check_name(kind: Kind, document: &Document) -> Result<(), StoreError> {
    let attribute = match kind {
        Kind::User => well_known::USER_NAME,
        Kind::Group => well_known::DISPLAY_NAME,
        Kind::Custom(_) => return Ok(()),
    };
    let bytes = document.text(attribute).map_or(0, keys::bytes_in_key);
    if bytes <= IDENTIFIER_BYTES_MAX {
        return Ok(());
    }
    let detail = format!(
        "{attribute}: it takes {bytes} bytes in a key, where # and % count three, and may take {IDENTIFIER_BYTES_MAX}"
    );
    Err(StoreError::Refused(ScimError::new(ErrorKind::InvalidValue, detail)))
}

/// Which name is unique in a kind.
pub(super) fn name_field(kind: Kind) -> Field {
    match kind {
        Kind::User => Field::UserName,
        // Of other kinds no name is unique.
        Kind::Group | Kind::Custom(_) => Field::GroupName,
    }
}
