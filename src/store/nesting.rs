//! Groups in groups: no group becomes a member of itself, however many are in between, and which groups somebody is in by
//! way of others.
//!
//! Both look upward, because a group is in few groups and may have many members. Whoever adds groups to a group reads a
//! number of the tenant's, looks whether one of those that come is above it, and writes on the condition that the number
//! is the same, and moves it. So of two additions that would close a circle together, the second one looks again. People
//! who come move nothing.

use std::collections::{HashMap, HashSet};

use futures_util::future::try_join_all;

use super::item::{self, FORMAT, Item, ItemReader, key_of, number};
use super::keys::{self, Key};
use super::members::{Circles, Members, in_time};
use super::read::by_key;
use super::write::{Change, Condition, Role, Transaction};
use super::{Cx, Store, StoreError};
use crate::limits::{NESTED_GROUPS_MAX, NESTING_DEPTH_MAX, NESTING_IN_FLIGHT};
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::resource::{Resource, ResourceId};

/// The attribute of the tenant's number.
const MOVED: &str = "n";
/// The part of a transaction that fails when another group has come into a group meanwhile.
const NESTING: usize = usize::MAX - 1;

/// A group as it was read for who looks above it.
#[derive(Clone, Debug)]
pub struct Nestable {
    /// The group.
    pub group: Resource,
    /// Whether it has ever been a member of another one.
    is_nested: bool,
}

impl Nestable {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let moved: Result<u64, StoreError> = ItemReader::new(item)?.number("memberships");
        // Where the number is missing, the memberships themselves tell.
        Ok(Self { group: item::resource(item)?, is_nested: moved.unwrap_or(1) > 0 })
    }
}

/// Which groups groups are in, as far as it was read for one answer: nothing is read twice for it, and together it has a
/// bound.
#[derive(Debug, Default)]
pub struct Above {
    /// By group, the groups that it is in.
    parents: HashMap<ResourceId, Vec<ResourceId>>,
    /// Groups above others; `None` for one that is gone.
    groups: HashMap<ResourceId, Option<Nestable>>,
}

/// The refusal of a group that has the group that it is to come into among its own members.
pub fn circle(id: ResourceId) -> ScimError {
    let detail = format!(
        "members: the group {id} cannot be a member here, because it has this group among its own members, directly or in \
         groups between; a circle of groups is refused, take one of them out of the other first"
    );
    ScimError::new(ErrorKind::InvalidValue, detail)
}

impl Store {
    /// The groups with those ids, in that order; those that are not there are left out.
    ///
    /// # Errors
    /// As any read.
    pub async fn nestable(
        &self,
        cx: &Cx<'_>,
        ids: &[ResourceId],
    ) -> Result<Vec<Nestable>, StoreError> {
        let keys: Vec<Key> = ids.iter().copied().map(Key::group).collect();
        let found = by_key(self.get_keys(cx.moment, cx.tenant.as_str(), &keys).await?);
        keys.iter().filter_map(|key| found.get(key.as_str())).map(Nestable::read).collect()
    }

    /// The groups above these, in order of their ids: those that they are in, those that these are in, and so on; none of
    /// them twice, nor one of `groups` itself. `None` when they are too many or too deep to be read.
    ///
    /// # Errors
    /// As any read.
    pub async fn above(
        &self,
        cx: &Cx<'_>,
        above: &mut Above,
        groups: &[Nestable],
    ) -> Result<Option<Vec<Resource>>, StoreError> {
        let known = groups.iter().map(|one| one.group.id).collect();
        let nested = groups.iter().filter(|one| one.is_nested).map(|one| one.group.id);
        self.climb(cx, above, (known, nested.collect())).await
    }

    /// As [`Store::above`], of the groups of `level`, without those that are `known`.
    async fn climb(
        &self,
        cx: &Cx<'_>,
        above: &mut Above,
        (mut known, mut level): (HashSet<ResourceId>, Vec<ResourceId>),
    ) -> Result<Option<Vec<Resource>>, StoreError> {
        let mut found: Vec<Resource> = Vec::new();
        for depth in 0..=NESTING_DEPTH_MAX {
            if level.is_empty() {
                found.sort_unstable_by_key(|group| group.id);
                return Ok(Some(found));
            }
            if depth == NESTING_DEPTH_MAX || !self.read_parents(cx, above, &level).await? {
                return Ok(None);
            }
            let parents = level.iter().filter_map(|id| above.parents.get(id)).flatten();
            let next: Vec<ResourceId> = parents.copied().filter(|id| known.insert(*id)).collect();
            self.read_groups(cx, above, &next).await?;
            let next = next.iter().filter_map(|id| above.groups.get(id)?.as_ref());
            level = next.clone().filter(|one| one.is_nested).map(|one| one.group.id).collect();
            found.extend(next.map(|one| one.group.clone()));
            if found.len() > NESTED_GROUPS_MAX {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Reads which groups these are in; `false` when that would be too many reads for one answer.
    async fn read_parents(
        &self,
        cx: &Cx<'_>,
        above: &mut Above,
        ids: &[ResourceId],
    ) -> Result<bool, StoreError> {
        let new = ids.iter().copied().filter(|id| !above.parents.contains_key(id));
        let new: Vec<ResourceId> = new.collect();
        if above.parents.len() + new.len() > NESTED_GROUPS_MAX {
            return Ok(false);
        }
        let tenant = cx.tenant.as_str();
        for some in new.chunks(NESTING_IN_FLIGHT) {
            let read = some.iter().map(|id| async move {
                let prefix = keys::member_of_prefix(*id);
                let read = self.query_all(cx.moment, tenant, &prefix, NESTED_GROUPS_MAX).await?;
                Ok::<_, StoreError>((*id, read))
            });
            for (id, read) in try_join_all(read).await? {
                let Some(items) = read else { return Ok(false) };
                let groups = items.iter().filter_map(|item| Key::in_item(item)?.last_id());
                above.parents.insert(id, groups.collect());
            }
        }
        Ok(true)
    }

    async fn read_groups(
        &self,
        cx: &Cx<'_>,
        above: &mut Above,
        ids: &[ResourceId],
    ) -> Result<(), StoreError> {
        let new = ids.iter().copied().filter(|id| !above.groups.contains_key(id));
        let new: Vec<ResourceId> = new.collect();
        // One that is gone has memberships until they are swept.
        above.groups.extend(new.iter().map(|id| (*id, None)));
        let read = self.nestable(cx, &new).await?;
        above.groups.extend(read.into_iter().map(|one| (one.group.id, Some(one))));
        Ok(())
    }

    /// Looks whether the groups that come have the group that they come into among their members, and notes what that was
    /// read after.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when one of them has, and when that cannot be told within bounds;
    /// [`StoreError::Throttled`] when other groups have come in between until the deadline.
    pub(super) async fn rule_out_circles(
        &self,
        cx: &Cx<'_>,
        members: &mut Members,
    ) -> Result<(), StoreError> {
        let coming: Vec<ResourceId> = members.groups().collect();
        if coming.is_empty() || members.circles == Circles::Impossible {
            return Ok(());
        }
        // Others may come in between again and again.
        in_time(cx)?;
        // Before the look: what comes after this is noticed when it is written.
        let moved = self.nesting(cx).await?;
        let own = members.group();
        let way = (HashSet::from([own]), vec![own]);
        let above = self.climb(cx, &mut Above::default(), way).await?;
        let above = above.ok_or_else(|| StoreError::Refused(too_deep()))?;
        let closing = coming.iter().find(|id| above.iter().any(|group| group.id == **id));
        if let Some(id) = closing {
            return Err(StoreError::Refused(circle(*id)));
        }
        members.circles = Circles::RuledOut(moved);
        Ok(())
    }

    /// How often groups have come into groups.
    async fn nesting(&self, cx: &Cx<'_>) -> Result<u64, StoreError> {
        let read = self.get_key(cx.moment, cx.tenant.as_str(), &Key::nesting()).await?;
        read.map_or(Ok(0), |item| ItemReader::new(&item)?.number(MOVED))
    }

    /// The action beside the memberships of groups that come: that no others have come since it was looked.
    pub(super) fn add_nesting(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        members: &Members,
    ) -> Result<(), StoreError> {
        let moved = match members.circles {
            _ if members.groups().next().is_none() => return Ok(()),
            Circles::Impossible => return Ok(()),
            Circles::RuledOut(moved) => moved,
            Circles::Unknown => {
                let error = "groups come into a group, and nobody has looked for circles";
                return Err(StoreError::Backend(error.into()));
            }
        };
        let unmoved = match moved {
            0 => Condition::Absent,
            moved => Condition::Equal(vec![(MOVED, number(moved))]),
        };
        let set = vec![("v".to_owned(), number(FORMAT))];
        let change = Change { set, add: vec![(MOVED, 1)], remove: Vec::new() };
        let key = key_of(cx.tenant.as_str(), &Key::nesting());
        t.update(Role::Part(NESTING), &self.tables.directory, key, change, unmoved)
    }
}

/// The refusal of a group that is too deep in others.
fn too_deep() -> ScimError {
    let detail = format!(
        "members: the group is itself in more than {NESTED_GROUPS_MAX} groups, or more than {NESTING_DEPTH_MAX} deep, so that \
         nobody can tell whether a group that comes would close a circle; nest fewer groups"
    );
    ScimError::new(ErrorKind::TooMany, detail)
}
