//! Memberships: one item each, and its inverse, so that both directions are strongly consistent and no list is ever
//! read, changed and written back.
//!
//! What fits one transaction is atomic. Above that, all ids are checked before the first write, each chunk carries the
//! group's condition and its version bump, each pair is whole, a fault may leave a prefix, and repeating the request
//! converges.

use std::collections::HashSet;

use super::brake::Form;
use super::item::{bare, key_of, text};
use super::journal::{Entry, Event};
use super::keys::Key;
use super::read::by_key;
use super::resources::{NAME, Step, name_field};
use super::trace::Trace;
use super::work::Work;
use super::write::{Cancelled, Change, Condition, Role, Transaction};
use super::{Cx, Field, Store, StoreError};
use crate::limits::{MEMBERS_PER_TRANSACTION, RETRY_DEADLINE};
use crate::scim::catalog::Kind;
use crate::scim::discovery::GroupNames;
use crate::scim::document::Document;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::well_known;

/// Which members of one group come and go. No id is in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberChange {
    /// These come; those that are members already stay.
    pub add: Vec<ResourceId>,
    /// These go; those that are not members are ignored.
    pub remove: Vec<ResourceId>,
    /// The first transaction of this change is done, so that everybody in `add` was there: who is gone by now was deleted
    /// meanwhile, and is left out instead of refused.
    pub is_begun: bool,
}

impl MemberChange {
    /// Only additions.
    pub fn adding(ids: &[ResourceId]) -> Self {
        Self { add: ids.to_vec(), ..Self::default() }
    }

    /// How many memberships it names.
    pub fn memberships(&self) -> usize {
        self.add.len() + self.remove.len()
    }
}

/// A member of a group as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The member's id.
    pub id: ResourceId,
    /// Whether it is a person or a group.
    pub kind: Kind,
}

/// The memberships that one transaction changes. What is assumed about them is corrected when the transaction says that
/// it was wrong: that saves reading them first.
#[derive(Clone, Debug)]
pub(super) struct Members {
    group: ResourceId,
    add: Vec<Member>,
    remove: Vec<ResourceId>,
    /// As in [`MemberChange`].
    is_begun: bool,
    /// What is known of circles that those who come would close.
    pub(super) circles: Circles,
}

/// Whether groups that come into a group could have it among their members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Circles {
    /// It has not been looked.
    Unknown,
    /// The group is new, so that nobody has it.
    Impossible,
    /// None of them has it, as long as the tenant's number is this.
    RuledOut(u64),
}

impl Members {
    /// Of a new group, which assumes that they are people.
    pub(super) fn of_new(group: ResourceId, ids: &[ResourceId]) -> Result<Self, StoreError> {
        let members = Self::assumed(group, MemberChange::adding(ids))?;
        Ok(Self { circles: Circles::Impossible, ..members })
    }

    /// Assumes that those to add are people and no members yet, and that those to remove are members.
    pub(super) fn assumed(group: ResourceId, change: MemberChange) -> Result<Self, StoreError> {
        if change.add.contains(&group) {
            let detail = "members: a group cannot be a member of itself";
            return Err(StoreError::Refused(ScimError::new(ErrorKind::InvalidValue, detail)));
        }
        let people = change.add.into_iter().map(|id| Member { id, kind: Kind::User });
        let (add, circles) = (people.collect(), Circles::Unknown);
        Ok(Self { group, add, remove: change.remove, is_begun: change.is_begun, circles })
    }

    /// The group that they come into or leave.
    pub(super) fn group(&self) -> ResourceId {
        self.group
    }

    /// The ids of groups that come.
    pub(super) fn groups(&self) -> impl Iterator<Item = ResourceId> {
        let groups = self.add.iter().filter(|member| member.kind == Kind::Group);
        groups.map(|member| member.id)
    }

    /// Nothing left to change.
    pub(super) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// Those that come, in the order in which a group's members are read: that of their ids.
    pub(super) fn in_order(mut self) -> Vec<Member> {
        self.add.sort_unstable_by_key(|member| member.id);
        self.add
    }

    /// The ids that come.
    pub(super) fn added(&self) -> Vec<ResourceId> {
        self.add.iter().map(|member| member.id).collect()
    }

    /// The ids that go.
    pub(super) fn removed(&self) -> Vec<ResourceId> {
        self.remove.clone()
    }

    /// The part of the transaction that fails when that one is a member already (or, for those that go, is none).
    fn pair_part(index: usize) -> usize {
        NAME + 1 + 2 * index
    }

    /// The part that fails when there is no such person (or group).
    fn member_part(index: usize) -> usize {
        NAME + 2 + 2 * index
    }
}

/// The refusal for an id that names nothing. The id is the client's own text.
pub fn unknown_member(id: &str) -> ScimError {
    let shown: String = id.chars().take(64).collect();
    let detail = format!(
        "members: there is no user or group with id \"{shown}\" here; provision it before adding it to the group"
    );
    ScimError::new(ErrorKind::InvalidValue, detail)
}

impl Store {
    /// The actions for the memberships: the pair, and for those that come a move of the member's `memberships`, which
    /// makes a delete that has listed them start again.
    pub(super) fn add_members(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        members: &Members,
    ) -> Result<(), StoreError> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        for (index, member) in members.add.iter().enumerate() {
            let pair = Role::Part(Members::pair_part(index));
            let mut item = bare(tenant, &Key::member(members.group, member.id));
            item.insert("type".to_owned(), text(member.kind.name()));
            t.put(pair.clone(), table, item, Condition::Absent)?;
            let inverse = bare(tenant, &Key::member_of(member.id, members.group));
            t.put(pair, table, inverse, Condition::Absent)?;
            let key = Key::of_id(member.kind, member.id);
            let change = Change { add: vec![("memberships", 1)], ..Change::default() };
            let role = Role::Part(Members::member_part(index));
            t.update(role, table, key_of(tenant, &key), change, Condition::Present)?;
        }
        for (index, id) in members.remove.iter().enumerate() {
            let pair = Role::Part(Members::pair_part(members.add.len() + index));
            let key = key_of(tenant, &Key::member(members.group, *id));
            t.delete(pair.clone(), table, key, Condition::Present)?;
            let key = key_of(tenant, &Key::member_of(*id, members.group));
            t.delete(pair, table, key, Condition::Present)?;
        }
        self.add_nesting(t, cx, members)
    }

    /// What a cancelled transaction means for the next attempt: an error, or other members.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the resource's name is taken; as [`Store::correct`] otherwise.
    pub(super) async fn settle(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        members: &mut Members,
        cancelled: Cancelled,
    ) -> Result<(), StoreError> {
        match cancelled {
            Cancelled::Parts(parts) if parts.contains(&NAME) => {
                Err(StoreError::Taken(name_field(kind)))
            }
            Cancelled::Parts(parts) => self.correct(cx, members, &parts).await,
            Cancelled::Error(error) => Err(error),
        }
    }

    /// Corrects what was assumed, after these parts' conditions did not hold: members that are members already and
    /// those that were none are left out, ids that are no person's are looked for among the groups.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when an id to add names nothing in this tenant, or would close a circle.
    async fn correct(
        &self,
        cx: &Cx<'_>,
        members: &mut Members,
        parts: &[usize],
    ) -> Result<(), StoreError> {
        let parts: HashSet<usize> = parts.iter().copied().collect();
        let missing = members.add.iter().enumerate();
        let missing = missing.filter(|(index, _)| parts.contains(&Members::member_part(*index)));
        let missing: Vec<ResourceId> = missing.map(|(_, member)| member.id).collect();
        let groups = self.which_groups_exist(cx, &missing).await?;
        let already_tried_as_group = |member: &Member| member.kind == Kind::Group;
        let is_gone = |member: &Member| {
            missing.contains(&member.id)
                && (!groups.contains(&member.id) || already_tried_as_group(member))
        };
        if let Some(gone) = members.add.iter().find(|member| is_gone(member))
            && !members.is_begun
        {
            return Err(StoreError::Refused(unknown_member(&gone.id.to_string())));
        }
        let added = members.add.len();
        let mut index = 0;
        members.add.retain_mut(|member| {
            let is_gone = is_gone(member);
            if groups.contains(&member.id) {
                member.kind = Kind::Group;
            }
            index += 1;
            !is_gone && !parts.contains(&Members::pair_part(index - 1))
        });
        let mut index = added;
        members.remove.retain(|_| {
            index += 1;
            !parts.contains(&Members::pair_part(index - 1))
        });
        self.rule_out_circles(cx, members).await
    }

    async fn which_groups_exist(
        &self,
        cx: &Cx<'_>,
        ids: &[ResourceId],
    ) -> Result<HashSet<ResourceId>, StoreError> {
        let keys: Vec<Key> = ids.iter().copied().map(Key::group).collect();
        let found = by_key(self.get_keys(cx.moment, cx.tenant.as_str(), &keys).await?);
        let there = ids.iter().filter(|id| found.contains_key(Key::group(**id).as_str()));
        Ok(there.copied().collect())
    }

    /// Checks a change that is too large for one transaction before its first write: drops what is so already.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when an id to add names nothing in this tenant, or would close a circle.
    async fn checked(&self, cx: &Cx<'_>, mut members: Members) -> Result<Members, StoreError> {
        let (tenant, group) = (cx.tenant.as_str(), members.group);
        let pairs = members.added().into_iter().chain(members.removed());
        let pairs: Vec<Key> = pairs.map(|id| Key::member(group, id)).collect();
        let pairs = by_key(self.get_keys(cx.moment, tenant, &pairs).await?);
        let is_member = |id: ResourceId| pairs.contains_key(Key::member(group, id).as_str());
        members.add.retain(|member| !is_member(member.id));
        members.remove.retain(|id| is_member(*id));
        let ids: Vec<Key> = members.add.iter().map(|member| Key::id(member.id)).collect();
        let people = by_key(self.get_keys(cx.moment, tenant, &ids).await?);
        let others = members.add.iter().map(|member| member.id);
        let others = others.filter(|id| !people.contains_key(Key::id(*id).as_str()));
        let others: Vec<ResourceId> = others.collect();
        let groups = self.which_groups_exist(cx, &others).await?;
        let unknown: HashSet<ResourceId> =
            others.into_iter().filter(|id| !groups.contains(id)).collect();
        if members.is_begun {
            members.add.retain(|member| !unknown.contains(&member.id));
        } else if let Some(unknown) = members.add.iter().find(|member| unknown.contains(&member.id))
        {
            return Err(StoreError::Refused(unknown_member(&unknown.id.to_string())));
        }
        for member in &mut members.add {
            if groups.contains(&member.id) {
                member.kind = Kind::Group;
            }
        }
        // In the first transaction, as far as it takes them: a circle that somebody else makes possible meanwhile is
        // refused before anything is written.
        members.add.sort_by_key(|member| member.kind != Kind::Group);
        self.rule_out_circles(cx, &mut members).await?;
        Ok(members)
    }

    /// A change of many members: one transaction a chunk, each with the group's condition and its version bump.
    pub(super) async fn replace_in_chunks(
        &self,
        cx: &Cx<'_>,
        before: &Resource,
        document: Document,
        change: MemberChange,
        event: Event,
    ) -> Result<Resource, StoreError> {
        let members = self.checked(cx, Members::assumed(before.id, change)?).await?;
        let mut current = before.clone();
        for mut chunk in chunks(&members) {
            in_time(cx)?;
            chunk.is_begun |= current.version != before.version;
            loop {
                if current.document == document && chunk.is_empty() {
                    break;
                }
                let after = current.with_document(document.clone(), cx.moment);
                let step = Step { before: &current, after: &after, event };
                let done = self.write_step(cx, step, &chunk).await;
                let settled = match done {
                    Ok(written) => {
                        current = written;
                        break;
                    }
                    Err(cancelled) => self.settle(cx, Kind::Group, &mut chunk, cancelled).await,
                };
                settled.map_err(|error| if chunk.is_begun { error.midway() } else { error })?;
            }
        }
        Ok(current)
    }

    /// A new group with more members than one transaction takes: a work item, then the memberships under the minted id,
    /// and last the group itself. Nobody sees the memberships before the group is there, and when it never comes the
    /// scheduled job sweeps them.
    pub(super) async fn create_large_group(
        &self,
        cx: &Cx<'_>,
        group: &Resource,
        members: &[ResourceId],
    ) -> Result<(), StoreError> {
        super::item::fits(group)?;
        if cx.settings.group_names == GroupNames::Unique
            && let Some(name) = group.document.text(well_known::DISPLAY_NAME)
            && self.get_key(cx.moment, cx.tenant.as_str(), &Key::unique_name(name)).await?.is_some()
        {
            // Found out now, and not after a thousand memberships; the transaction below decides.
            return Err(StoreError::Taken(Field::GroupName));
        }
        let checked = self.checked(cx, Members::of_new(group.id, members)?).await?;
        let work = self.begin_group(cx, group.id).await?;
        let filled = self.fill_group(cx, (group, &work), &checked, members.to_vec()).await;
        filled.map_err(StoreError::midway)
    }

    /// The memberships of a large group that has been begun, chunk by chunk, and the group.
    async fn fill_group(
        &self,
        cx: &Cx<'_>,
        (group, work): (&Resource, &Work),
        checked: &Members,
        members: Vec<ResourceId>,
    ) -> Result<(), StoreError> {
        for mut chunk in chunks(checked) {
            in_time(cx)?;
            loop {
                let trace = Trace::Written(work.key());
                let done = self
                    .commit(cx.moment, cx.tenant.as_str(), trace, |t| {
                        self.add_work_touch(t, cx, work)?;
                        self.add_members(t, cx, &chunk)?;
                        Ok(())
                    })
                    .await;
                match done {
                    Ok(()) => break,
                    Err(cancelled) => {
                        self.settle(cx, Kind::Group, &mut chunk, cancelled).await?;
                    }
                }
            }
        }
        let trace = Trace::Minted(Key::group(group.id));
        let done = self
            .commit(cx.moment, cx.tenant.as_str(), trace, |t| {
                self.creation(t, cx, group)?;
                self.add_work_end(t, cx, work)?;
                let entry = Entry::new(Event::Create, group);
                self.append(t, cx, &entry.with_members(members.clone(), Vec::new()))?;
                Ok(())
            })
            .await;
        match done {
            Ok(()) => Ok(()),
            Err(Cancelled::Parts(_)) => Err(StoreError::Taken(Field::GroupName)),
            Err(Cancelled::Error(error)) => Err(error),
        }
    }

    /// Bumps a group's version because a member was deleted; the caller's part fails when the group is gone.
    pub(super) fn add_bump(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        group: ResourceId,
        (part, form): (usize, &Form),
    ) -> Result<(), StoreError> {
        let key = key_of(cx.tenant.as_str(), &Key::group(group));
        let now = text(cx.moment.now().to_string());
        let change = Change {
            set: vec![
                ("lastModified".to_owned(), now),
                (super::item::CHANGE.to_owned(), text(t.at().to_string())),
            ],
            add: std::iter::once(("version", 1)).chain(form.mark()).collect(),
            remove: Vec::new(),
        };
        t.update(Role::Part(part), &self.tables.directory, key, change, Condition::Present)
    }
}

/// Begins no further chunk after the deadline: what is written stays, and repeating the request does the rest.
pub(super) fn in_time(cx: &Cx<'_>) -> Result<(), StoreError> {
    if cx.moment.elapsed() < RETRY_DEADLINE { Ok(()) } else { Err(StoreError::Throttled) }
}

/// Splits a change into transactions; one that changes nothing is one empty chunk, for the document's sake.
fn chunks(members: &Members) -> Vec<Members> {
    let none = Members { add: Vec::new(), remove: Vec::new(), ..members.clone() };
    let add = members.add.chunks(MEMBERS_PER_TRANSACTION);
    let add = add.map(|add| Members { add: add.to_vec(), ..none.clone() });
    let remove = members.remove.chunks(MEMBERS_PER_TRANSACTION);
    let remove = remove.map(|gone| Members { remove: gone.to_vec(), ..none.clone() });
    let all: Vec<Members> = add.chain(remove).collect();
    if all.is_empty() { vec![none] } else { all }
}
