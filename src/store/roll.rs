//! Reading memberships: all of a group's or of a member's, some of them, and a page of a group that is too large for one
//! answer.
//!
//! What is being swept is never shown, so it is read before the memberships.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::item::Item;
use super::keys::{self, Key};
use super::members::Member;
use super::work::Sweeping;
use super::{Cx, Store, StoreError, TenantId};
use crate::limits::{MEMBERS_PAGED_MAX, PLACES_KEPT};
use crate::scim::catalog::Kind;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::resource::{Resource, ResourceId};

/// A page that begins at most so many rows further on is read from here; what is further away is counted first.
const ROWS_DROPPED_MAX: usize = 1_000;
/// The name of the attribute with a member's kind.
pub(super) const TYPE: &str = "type";

/// Where the last page of a group ended, so that the next one neither reads nor counts what came before. It holds as long as
/// the group's version does: every change of its members is one.
#[derive(Clone, Debug)]
struct Place {
    group: ResourceId,
    kind: Kind,
    version: u64,
    /// Rows of the kind in the whole group, those that are being swept included.
    rows: usize,
    /// Members shown up to `last`.
    shown: usize,
    last: ResourceId,
}

/// The places of late, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<VecDeque<(TenantId, Place)>>);

impl Places {
    fn find(&self, tenant: &TenantId, group: &Resource, kind: Kind) -> Option<Place> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_its = |(of, place): &&(TenantId, Place)| {
            of == tenant
                && (place.group, place.kind, place.version) == (group.id, kind, group.version)
        };
        places.iter().rev().find(is_its).map(|(_, place)| place.clone())
    }

    fn keep(&self, tenant: &TenantId, place: Place) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places
            .retain(|(of, old)| of != tenant || (old.group, old.kind) != (place.group, place.kind));
        if places.len() >= PLACES_KEPT {
            places.pop_front();
        }
        places.push_back((tenant.clone(), place));
    }
}

/// A walk over the member items of a group.
struct Walk<'a> {
    cx: &'a Cx<'a>,
    group: ResourceId,
    kind: Kind,
    prefix: String,
    /// Members that are being swept, of the kind.
    hidden: Vec<ResourceId>,
    /// Rows of the kind so far.
    rows: usize,
    /// Where it is; `None` at the beginning.
    after: Option<Key>,
    at_end: bool,
}

impl Walk<'_> {
    /// Members that have been passed and are not shown.
    fn hidden_so_far(&self) -> usize {
        let Some(after) = self.after.as_ref().and_then(Key::last_id) else { return 0 };
        self.hidden.iter().filter(|id| **id <= after).count()
    }

    fn shown(&self) -> usize {
        self.rows.saturating_sub(self.hidden_so_far())
    }

    /// Passes rows without reading them.
    async fn count(&mut self, store: &Store, limit: usize) -> Result<(), StoreError> {
        let only = (TYPE, self.kind.name());
        let counted = store.query_count(self.cx, (&self.prefix, only), self.after.as_ref(), limit);
        let (rows, next) = counted.await?;
        self.rows += rows;
        self.at_end = next.is_none();
        self.after = next.or(self.after.take());
        if self.rows > MEMBERS_PAGED_MAX {
            let detail = format!(
                "the group has more than {MEMBERS_PAGED_MAX} members, too many to be listed; to find out whether somebody is \
                 one, add an eq comparison of id or userName"
            );
            return Err(StoreError::Refused(ScimError::new(ErrorKind::TooMany, detail)));
        }
        Ok(())
    }
}

impl Store {
    /// The members of one kind of a group in order of their ids: how many there are, and `count` of them after the first
    /// `skipped`. Of a group that is not there, none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with `tooMany` when the group has more than are counted.
    pub async fn members_page(
        &self,
        cx: &Cx<'_>,
        (group, kind): (ResourceId, Kind),
        (skipped, count): (usize, usize),
    ) -> Result<(usize, Vec<Resource>), StoreError> {
        let sweeping = self.sweeping(cx).await?;
        let none = Ok((0, Vec::new()));
        if sweeping.hides(group) {
            return none;
        }
        let Some(before) = self.get(cx, Kind::Group, group).await? else { return none };
        let pairs: Vec<_> = sweeping.ids().map(|id| (group, id)).collect();
        let hidden = self.memberships_among(cx, &Sweeping::default(), &pairs).await?;
        let hidden = hidden.into_iter().filter(|(_, member)| member.kind == kind);
        let mut walk = Walk {
            cx,
            group,
            kind,
            prefix: keys::members_prefix(group),
            hidden: hidden.map(|(_, member)| member.id).collect(),
            rows: 0,
            after: None,
            at_end: false,
        };
        let known = self.places.find(cx.tenant, &before, kind);
        // A place is from a time at which nothing was swept: what is hidden would have to be looked for before it.
        let known = known.filter(|_| walk.hidden.is_empty());
        if let Some(place) = known.as_ref().filter(|place| place.shown <= skipped) {
            walk.after = Some(Key::member(group, place.last));
            walk.rows = place.shown;
        }
        let ids = self.page_of(&mut walk, (skipped, count)).await?;
        let stop = (walk.rows, ids.last().copied());
        let rows = if let Some(place) = &known {
            place.rows
        } else {
            while !walk.at_end {
                walk.count(self, MEMBERS_PAGED_MAX + 1).await?;
            }
            walk.rows
        };
        let total = rows.saturating_sub(walk.hidden.len());
        let people = self.get_many(cx, kind, &ids).await?;
        // One that has been deleted meanwhile shows no part of what it had.
        let Some(after) = self.get(cx, Kind::Group, group).await? else { return none };
        if let (true, true, (shown, Some(last))) =
            (walk.hidden.is_empty(), after.version == before.version, stop)
        {
            let version = after.version;
            self.places.keep(cx.tenant, Place { group, kind, version, rows, shown, last });
        }
        Ok((total, people))
    }

    /// The ids of one page.
    async fn page_of(
        &self,
        walk: &mut Walk<'_>,
        (skipped, count): (usize, usize),
    ) -> Result<Vec<ResourceId>, StoreError> {
        let mut ids = Vec::new();
        while !walk.at_end && skipped.saturating_sub(walk.shown()) > ROWS_DROPPED_MAX {
            let left = skipped.saturating_sub(walk.shown());
            walk.count(self, left).await?;
        }
        let mut left = skipped.saturating_sub(walk.shown());
        let mut limit = left + count + walk.hidden.len();
        while !walk.at_end && ids.len() < count {
            let page = self.query_rows(walk.cx, &walk.prefix, walk.after.as_ref(), limit).await?;
            walk.at_end = page.next.is_none();
            walk.after = page.next.or(walk.after.take());
            for (_, member) in page.items.iter().filter_map(member_in) {
                if member.kind != walk.kind {
                    continue;
                }
                if ids.len() == count {
                    // Counted from here.
                    walk.at_end = false;
                    break;
                }
                walk.rows += 1;
                walk.after = Some(Key::member(walk.group, member.id));
                if walk.hidden.contains(&member.id) {
                    continue;
                }
                if left > 0 {
                    left -= 1;
                } else {
                    ids.push(member.id);
                }
            }
            // Other kinds may stand between them: few looks, however many.
            limit = limit.saturating_mul(2);
        }
        Ok(ids)
    }

    /// The members of a group in order of their ids, without those that are being swept; `None` when there are more
    /// than `most`.
    ///
    /// # Errors
    /// As any read.
    pub async fn members(
        &self,
        cx: &Cx<'_>,
        sweeping: &Sweeping,
        group: ResourceId,
        most: usize,
    ) -> Result<Option<Vec<Member>>, StoreError> {
        let prefix = keys::members_prefix(group);
        let (mut members, mut next) = (Vec::new(), None);
        loop {
            // One more than may be there: a query that stops at its limit does not say whether more would come.
            let limit = (most + 1).saturating_sub(members.len());
            let page = self.query_rows(cx, &prefix, next.as_ref(), limit).await?;
            members.extend(page.items.iter().filter_map(member_in).map(|(_, member)| member));
            if members.len() > most {
                return Ok(None);
            }
            next = page.next;
            if next.is_none() {
                members.retain(|member| !sweeping.hides(member.id));
                return Ok(Some(members));
            }
        }
    }

    /// The members of a group after one of them, about `most`, and the id after which the next ones come, without those
    /// that are being swept.
    ///
    /// # Errors
    /// As any read.
    pub async fn members_after(
        &self,
        cx: &Cx<'_>,
        sweeping: &Sweeping,
        (group, after): (ResourceId, Option<ResourceId>),
        most: usize,
    ) -> Result<(Vec<Member>, Option<ResourceId>), StoreError> {
        let prefix = keys::members_prefix(group);
        let after = after.map(|member| Key::member(group, member));
        let page = self.query(cx.moment, cx.tenant.as_str(), &prefix, after.as_ref(), most).await?;
        let members = page.items.iter().filter_map(member_in).map(|(_, member)| member);
        let members = members.filter(|member| !sweeping.hides(member.id)).collect();
        Ok((members, page.next.as_ref().and_then(Key::last_id)))
    }

    /// Those of the pairs of group and member that are memberships, without those that are being swept.
    ///
    /// # Errors
    /// As any read.
    pub async fn memberships_among(
        &self,
        cx: &Cx<'_>,
        sweeping: &Sweeping,
        pairs: &[(ResourceId, ResourceId)],
    ) -> Result<Vec<(ResourceId, Member)>, StoreError> {
        let keys: Vec<Key> = pairs.iter().map(|(group, id)| Key::member(*group, *id)).collect();
        let found = self.get_keys(cx.moment, cx.tenant.as_str(), &keys).await?;
        let found = found.iter().filter_map(member_in);
        let shown = |group: ResourceId, member: &Member| {
            !sweeping.hides(group) && !sweeping.hides(member.id)
        };
        Ok(found.filter(|(group, member)| shown(*group, member)).collect())
    }

    /// The groups of a member in order of their ids, without those that are being swept; `None` when there are more
    /// than `most`.
    ///
    /// # Errors
    /// As any read.
    pub async fn groups_of(
        &self,
        cx: &Cx<'_>,
        sweeping: &Sweeping,
        member: ResourceId,
        most: usize,
    ) -> Result<Option<Vec<ResourceId>>, StoreError> {
        let prefix = keys::member_of_prefix(member);
        let read = self.query_all(cx.moment, cx.tenant.as_str(), &prefix, most).await?;
        Ok(read.map(|items| {
            let groups = items.iter().filter_map(|item| Key::in_item(item)?.last_id());
            groups.filter(|group| !sweeping.hides(*group)).collect()
        }))
    }
}

/// A member item as a group and its member.
fn member_in(item: &Item) -> Option<(ResourceId, Member)> {
    let key = Key::in_item(item)?;
    let kind = item.get(TYPE).and_then(|kind| kind.as_s().ok());
    let member = Member { id: key.last_id()?, kind: Kind::from_name(kind?)? };
    Some((key.second_id()?, member))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::moment::Timestamp;
    use crate::scim::document::Document;

    fn group(number: usize, version: u64) -> Resource {
        let id = ResourceId::parse(&format!("01890a5d-ac96-774b-bcce-{number:012x}")).unwrap();
        let now = Timestamp::from_unix(1_800_000_000, 0).unwrap();
        Resource {
            kind: Kind::Group,
            id,
            version,
            created: now,
            last_modified: now,
            app_id: None,
            change: None,
            held: 0,
            document: Document::from_checked(serde_json::Map::default()),
        }
    }

    fn place(group: &Resource, kind: Kind, shown: usize) -> Place {
        let (group, version, last) = (group.id, group.version, group.id);
        Place { group, kind, version, rows: 9, shown, last }
    }

    #[test]
    fn a_place_is_of_one_tenant_one_group_one_kind_and_one_version() {
        let [acme, globex] = ["acme", "globex"].map(|name| TenantId::parse(name).unwrap());
        let (one, two) = (group(1, 3), group(2, 3));
        let places = Places::default();
        let kept = [
            (&acme, &one, Kind::User),
            (&acme, &one, Kind::Group),
            (&acme, &two, Kind::User),
            (&globex, &one, Kind::User),
        ];
        for (shown, (tenant, group, kind)) in (1..).zip(kept) {
            places.keep(tenant, place(group, kind, shown));
        }
        let shown = |tenant: &TenantId, group: &Resource, kind: Kind| {
            places.find(tenant, group, kind).map(|place| place.shown)
        };
        let all = kept.map(|(tenant, group, kind)| shown(tenant, group, kind));
        assert_eq!(all, [Some(1), Some(2), Some(3), Some(4)], "none drives out another");
        assert_eq!(shown(&globex, &two, Kind::User), None);
        assert_eq!(shown(&acme, &group(1, 4), Kind::User), None, "its members have changed");
        places.keep(&acme, place(&one, Kind::User, 7));
        assert_eq!(shown(&acme, &one, Kind::User), Some(7));
    }

    #[test]
    fn the_oldest_place_goes_when_there_are_too_many() {
        let acme = TenantId::parse("acme").unwrap();
        let places = Places::default();
        let groups: Vec<Resource> = (1..).take(PLACES_KEPT + 1).map(|n| group(n, 1)).collect();
        for group in &groups {
            places.keep(&acme, place(group, Kind::User, 1));
        }
        let kept = groups.iter().map(|group| places.find(&acme, group, Kind::User).is_some());
        let kept: Vec<bool> = kept.collect();
        assert_eq!(kept.iter().filter(|is_kept| !**is_kept).count(), 1);
        assert!(kept.first().is_some_and(|is_kept| !is_kept));
    }
}
