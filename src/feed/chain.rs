//! Finds what is missing from one tenant's feed, without a read of its own.
//!
//! Two things tell. An item names in `after` where the item stands that tells the resource's previous change: a reader that
//! has begun before that position has met it. And each version of a group is told once, by an item of the group's own or
//! by that of a member that has left it by being deleted: between two items of its own there have to be as many of the
//! others as versions, and so a lost item shows even where the group's next item names a member's.
//!
//! Positions are times at which attempts began, by several clocks: of two changes of one resource the later may stand before
//! the earlier, by less than [`FEED_BEHIND`]. What stands behind its successor is awaited until the feed has passed the
//! place where it has to be, and versions are counted when all that belongs to them must have come.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use crate::limits::{FEED_BEHIND, JOURNAL_KEPT_DAYS_MIN};
use crate::moment::Timestamp;
use crate::store::TenantId;
use crate::store::feed::{Change, is_older, position, time_of};
use crate::store::journal::Event;

/// The kind of resource that has a version for each member that has left it by being deleted.
const GROUP: &str = "Group";

/// Something that should be in the feed and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose feed it is.
    pub tenant: TenantId,
    /// The resource of which a change is not told.
    pub id: String,
    /// Where the missing item should stand; `None` when only a group's versions tell that there was one.
    pub missing: Option<Uuid>,
    /// The item before which it is missing.
    pub before: Uuid,
}

/// Where a reader has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// With the first item that the journal has.
    Journal,
    /// Behind this position: what was up to it has been delivered.
    Behind(Uuid),
}

/// What an item says of the one before it.
enum Link {
    /// Nothing that can be told: it is the first, or what was before it is none of this reader's business.
    Begins,
    /// It was met.
    Follows,
    /// It has to come.
    Awaits,
    /// It is missing.
    Broken,
}

/// A group as far as it was told.
#[derive(Debug, Default)]
struct Told {
    /// Items of its own, by version.
    own: BTreeMap<u64, Own>,
    /// Items of members that have left it.
    left: BTreeSet<Uuid>,
}

/// An item of a group's own.
#[derive(Clone, Copy, Debug)]
struct Own {
    at: Uuid,
    /// Where it stood before it was held back by the brake: members may have left since.
    since: Uuid,
    /// Whether the versions before it can be counted.
    is_counted: bool,
}

/// What a reader of one tenant's feed has met.
#[derive(Debug)]
pub(super) struct Chain {
    tenant: TenantId,
    start: Start,
    /// The first item that was met.
    first: Option<Uuid>,
    /// The place before which there are or were items that this reader does not meet.
    begins: Option<Uuid>,
    /// What stands up to here was met, and is forgotten.
    forgotten: Option<Uuid>,
    met: BTreeSet<Uuid>,
    /// Positions of items that have to come, each with the item that names it, and the resource.
    awaited: BTreeMap<(Uuid, Uuid), String>,
    groups: HashMap<Uuid, Told>,
    /// Versions of groups that are to be counted, by the place that the feed has to have passed.
    due: BTreeSet<(Uuid, Uuid, u64)>,
}

impl Chain {
    pub(super) fn new(tenant: TenantId, start: Start) -> Self {
        let begins = match start {
            Start::Journal => None,
            Start::Behind(start) => Some(start),
        };
        Self {
            tenant,
            start,
            first: None,
            begins,
            forgotten: None,
            met: BTreeSet::new(),
            awaited: BTreeMap::new(),
            groups: HashMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Takes in the next item of the feed; what is missing for certain, now that this one has come.
    pub(super) fn note(&mut self, change: &Change, now: Timestamp) -> Vec<Gap> {
        let mut gaps = self.settle(change.at);
        let has_expired = change.expires().is_some_and(|expires| expires <= now);
        if self.first.is_none() && !has_expired {
            self.first = Some(change.at);
            if self.start == Start::Journal && is_older(change.at, JOURNAL_KEPT_DAYS_MIN, now) {
                self.begins = Some(change.at);
            }
        }
        self.met.insert(change.at);
        let named = (change.at, Uuid::nil())..=(change.at, Uuid::max());
        let named: Vec<(Uuid, Uuid)> = self.awaited.range(named).map(|(key, _)| *key).collect();
        for key in named {
            self.awaited.remove(&key);
        }
        let link = self.link(change, now);
        if let (Link::Broken, Some(missing), Some(id)) = (&link, change.after(), change.id()) {
            gaps.push(self.gap(id, Some(missing), change.at));
        }
        self.count(change, &link);
        gaps
    }

    /// What is missing for certain, now that everything before `upto` was read.
    pub(super) fn settle(&mut self, upto: Uuid) -> Vec<Gap> {
        let late = self.awaited.range(..(upto, Uuid::nil())).map(|(key, id)| (*key, id.clone()));
        let late: Vec<((Uuid, Uuid), String)> = late.collect();
        let mut gaps = Vec::new();
        for ((missing, before), id) in late {
            self.awaited.remove(&(missing, before));
            // Once is enough.
            let group = Uuid::try_parse(&id).ok().and_then(|id| self.groups.get_mut(&id));
            let own = group.into_iter().flat_map(|told| told.own.values_mut());
            own.filter(|own| own.at == before).for_each(|own| own.is_counted = false);
            gaps.push(self.gap(&id, Some(missing), before));
        }
        while let Some(first) = self.due.first().copied().filter(|(place, ..)| *place < upto) {
            self.due.remove(&first);
            let (_, group, version) = first;
            if let Some(before) = self.lacks(group, version) {
                gaps.push(self.gap(&group.to_string(), None, before));
            }
            self.tidy(group, version);
        }
        gaps
    }

    /// Whether something has to come before it can be said that nothing is missing.
    pub(super) fn is_open(&self) -> bool {
        let lacks =
            |(_, group, version): &(Uuid, Uuid, u64)| self.lacks(*group, *version).is_some();
        !self.awaited.is_empty() || self.due.iter().any(lacks)
    }

    /// How much it remembers.
    pub(super) fn size(&self) -> usize {
        let groups = self.groups.values().map(|told| told.own.len() + told.left.len());
        self.met.len() + groups.sum::<usize>()
    }

    /// Forgets the older half of what it remembers.
    pub(super) fn forget(&mut self) {
        if let Some(middle) = self.met.iter().nth(self.met.len() / 2).copied() {
            self.met = self.met.split_off(&middle);
            self.forgotten = self.forgotten.max(Some(super::just_before(middle)));
        }
        self.groups.clear();
        self.due.clear();
    }

    fn gap(&self, id: &str, missing: Option<Uuid>, before: Uuid) -> Gap {
        Gap { tenant: self.tenant.clone(), id: id.to_owned(), missing, before }
    }

    fn link(&mut self, change: &Change, now: Timestamp) -> Link {
        let (Some(after), Some(id)) = (change.after(), change.id()) else { return Link::Begins };
        // It tells all that there is to tell, whatever was before it.
        if change.is(Event::Snapshot.name()) {
            return Link::Begins;
        }
        if self.met.contains(&after) {
            return Link::Follows;
        }
        if self.forgotten.is_some_and(|forgotten| after <= forgotten) {
            return Link::Follows;
        }
        match self.start {
            Start::Behind(start) if after <= start => return Link::Begins,
            Start::Journal if self.has_expired(after, change, now) => return Link::Begins,
            Start::Behind(_) | Start::Journal => {}
        }
        if after < change.at {
            return Link::Broken;
        }
        self.awaited.insert((after, change.at), id.to_owned());
        Link::Awaits
    }

    /// Whether the journal need no longer have an item: it is older than the oldest that the journal still has, or than items
    /// live. How long they live may have been changed since it was written, so both count.
    fn has_expired(&self, at: Uuid, named_by: &Change, now: Timestamp) -> bool {
        let is_before_all = self.first.is_none_or(|first| at < first);
        (is_before_all && is_older(at, JOURNAL_KEPT_DAYS_MIN, now))
            || named_by.would_have_expired(at, now)
    }

    /// Notes the versions of groups that an item tells.
    fn count(&mut self, change: &Change, link: &Link) {
        for group in change.groups() {
            self.groups.entry(group).or_default().left.insert(change.at);
        }
        let group = change.id().and_then(|id| Uuid::try_parse(id).ok());
        let (Some(group), Some(version)) = (group, change.version()) else { return };
        if change.kind() != Some(GROUP) || version == 0 {
            return;
        }
        let is_counted = matches!(link, Link::Follows | Link::Awaits);
        let own = Own { at: change.at, since: change.held_at().unwrap_or(change.at), is_counted };
        self.groups.entry(group).or_default().own.entry(version).or_insert(own);
        if is_counted {
            self.due.insert((moved(change.at, 1), group, version));
        }
    }

    /// The item of a group before which a version is missing: fewer members have left it since its item before that than
    /// there are versions between the two.
    fn lacks(&self, group: Uuid, version: u64) -> Option<Uuid> {
        let told = self.groups.get(&group)?;
        let own = told.own.get(&version)?;
        let (before, first) = told.own.range(..version).next_back()?;
        // Members' items that belong between the two may stand before the beginning.
        if !own.is_counted || self.begins.is_some_and(|begins| first.since < moved(begins, 1)) {
            return None;
        }
        let between = version.saturating_sub(*before).saturating_sub(1);
        let left = told.left.range(moved(first.since, -1)..moved(own.at, 1)).count();
        (u64::try_from(left).unwrap_or(u64::MAX) < between).then_some(own.at)
    }

    /// Forgets of a group what no version that is still to be counted needs.
    fn tidy(&mut self, group: Uuid, version: u64) {
        let Some(told) = self.groups.get_mut(&group) else { return };
        let Some(own) = told.own.get(&version).copied() else { return };
        let needed = moved(own.since, -3);
        told.own.retain(|other, item| *other >= version || item.since >= needed);
        told.left = told.left.split_off(&needed);
    }
}
/// A place moved by so many times the time by which readers stay behind.
fn moved(at: Uuid, times: i32) -> Uuid {
    let by = FEED_BEHIND * times.unsigned_abs();
    let Some(time) = time_of(at) else { return at };
    position(if times < 0 { time.minus(by) } else { time.plus(by) })
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    const BEGIN: &str = "2026-11-21T08:00:00Z";
    const GROUP: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const USER: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

    fn at(seconds: i64) -> Uuid {
        position(Timestamp::parse(BEGIN).unwrap().plus_seconds(seconds))
    }

    fn item(seconds: i64, more: &Value) -> Change {
        let begin = Timestamp::parse(BEGIN).unwrap().unix_seconds();
        let mut attributes =
            Map::from_iter([("expires".to_owned(), json!(begin + seconds + 400 * 86_400))]);
        attributes.extend(more.as_object().unwrap().clone());
        Change { at: at(seconds), attributes }
    }

    /// An item of a group: its version, and the second at which the item before it stands.
    fn group(seconds: i64, version: u64, after: Option<i64>) -> Change {
        let mut more = json!({"id": GROUP, "kind": "Group", "version": version, "events": ["prov:patch:notice"]});
        if let Some(after) = after {
            more["after"] = json!(at(after).to_string());
        }
        item(seconds, &more)
    }

    /// A person is deleted, and so leaves the group.
    fn leaver(seconds: i64) -> Change {
        item(
            seconds,
            &json!({"id": USER, "kind": "User", "version": 2, "events": ["prov:delete"], "groups": [GROUP]}),
        )
    }

    /// The gaps that a reader tells of, as the seconds of what is missing (or nothing) and before what.
    fn gaps(start: Start, items: &[Change], upto: i64) -> Vec<(Option<i64>, i64)> {
        let mut chain = Chain::new(TenantId::parse("acme").unwrap(), start);
        let now = Timestamp::parse(BEGIN).unwrap().plus_seconds(86_400 / 2);
        let mut found: Vec<Gap> = items.iter().flat_map(|item| chain.note(item, now)).collect();
        found.extend(chain.settle(at(upto)));
        let begin = Timestamp::parse(BEGIN).unwrap().unix_seconds();
        let seconds = |at: Uuid| time_of(at).unwrap().unix_seconds() - begin;
        found.iter().map(|gap| (gap.missing.map(seconds), seconds(gap.before))).collect()
    }

    fn from_the_beginning(items: &[Change]) -> Vec<(Option<i64>, i64)> {
        gaps(Start::Journal, items, 10_000)
    }

    #[test]
    fn what_is_named_and_not_met_is_a_gap() {
        let whole = [group(0, 1, None), group(100, 2, Some(0)), group(200, 3, Some(100))];
        assert_eq!(from_the_beginning(&whole), []);
        for lost in 0..2 {
            let left: Vec<Change> = whole
                .iter()
                .enumerate()
                .filter(|(index, _)| *index != lost)
                .map(|(_, item)| item.clone())
                .collect();
            let lost = i64::try_from(lost).unwrap() * 100;
            assert_eq!(from_the_beginning(&left), [(Some(lost), lost + 100)]);
        }
    }

    #[test]
    fn a_lost_item_before_a_members_end_is_a_gap() {
        let whole =
            [group(0, 1, None), group(100, 2, Some(0)), leaver(200), group(300, 4, Some(200))];
        assert_eq!(from_the_beginning(&whole), []);
        let lost = [group(0, 1, None), leaver(200), group(300, 4, Some(200))];
        assert_eq!(from_the_beginning(&lost), [(None, 300)]);
        let both = [group(0, 1, None), group(300, 4, Some(200))];
        assert_eq!(from_the_beginning(&both), [(Some(200), 300)]);
        let of_two =
            [group(0, 1, None), group(100, 2, Some(0)), leaver(250), group(300, 5, Some(250))];
        assert_eq!(from_the_beginning(&of_two), [(None, 300)]);
    }

    #[test]
    fn what_stands_behind_its_successor_by_another_clock_is_awaited() {
        let skewed = [
            group(0, 1, None),
            group(103, 3, Some(105)),
            group(105, 2, Some(0)),
            group(200, 4, Some(103)),
        ];
        assert_eq!(from_the_beginning(&skewed), []);
        let left =
            [group(0, 1, None), group(103, 3, Some(105)), leaver(105), group(200, 4, Some(103))];
        assert_eq!(from_the_beginning(&left), []);
        // The member's end stands behind, and the version before it too.
        let both =
            [group(0, 1, None), group(103, 4, Some(105)), group(104, 2, Some(0)), leaver(105)];
        assert_eq!(from_the_beginning(&both), []);
        let lost = [group(0, 1, None), group(103, 3, Some(105)), group(200, 4, Some(103))];
        assert_eq!(from_the_beginning(&lost), [(Some(105), 103)]);
        // Nothing is said before the feed has passed the place.
        assert_eq!(gaps(Start::Journal, &lost[..2], 105), []);
        assert_eq!(gaps(Start::Journal, &lost[..2], 106), [(Some(105), 103)]);
        let counted = [group(0, 1, None), leaver(99), group(100, 4, Some(99))];
        assert_eq!(gaps(Start::Journal, &counted, 115), []);
        assert_eq!(gaps(Start::Journal, &counted, 116), [(None, 100)]);
    }

    #[test]
    fn what_was_before_the_cursor_is_delivered() {
        let behind = |seconds| Start::Behind(at(seconds));
        assert_eq!(
            gaps(behind(100), &[group(200, 7, Some(100)), group(300, 8, Some(200))], 999),
            []
        );
        assert_eq!(gaps(behind(99), &[group(200, 7, Some(100))], 999), [(Some(100), 200)]);
        // By another clock the first of these was written after a member's end that stands before the cursor.
        let skewed = [group(105, 6, Some(0)), group(200, 8, Some(98))];
        assert_eq!(gaps(behind(100), &skewed, 999), []);
        let skewed = [group(105, 6, Some(0)), leaver(110), group(200, 9, Some(110))];
        assert_eq!(gaps(behind(100), &skewed, 999), []);
        let later = [group(120, 6, Some(0)), leaver(130), group(200, 9, Some(130))];
        assert_eq!(gaps(behind(100), &later, 999), [(None, 200)]);
    }

    #[test]
    fn what_the_journal_need_not_have_is_no_gap() {
        let day = 86_400;
        let now = Timestamp::parse(BEGIN).unwrap().plus_seconds(500 * day);
        let found = |items: &[Change]| -> usize {
            let mut chain = Chain::new(TenantId::parse("acme").unwrap(), Start::Journal);
            items.iter().map(|item| chain.note(item, now).len()).sum()
        };
        // It is older than items live, and older than all that the journal has.
        assert_eq!(found(&[group(200 * day, 2, Some(50 * day))]), 0);
        assert_eq!(found(&[group(200 * day, 2, Some(150 * day))]), 0);
        assert_eq!(found(&[group(101 * day, 2, None), group(200 * day, 3, Some(150 * day))]), 1);
        // So young that no journal has given it up.
        let young = [group(500 * day - 10, 2, Some(500 * day - 20))];
        assert_eq!(found(&young), 1);
        // Before an item told its predecessor, and where one tells everything again.
        assert_eq!(found(&[group(499 * day, 2, None), group(500 * day - 9, 7, None)]), 0);
        let mut again = group(500 * day - 10, 9, Some(500 * day - 20));
        again.attributes["events"] = json!(["misc:snapshot"]);
        assert_eq!(
            found(&[
                group(499 * day, 2, None),
                again,
                group(500 * day - 5, 10, Some(500 * day - 10))
            ]),
            0
        );
    }

    #[test]
    fn what_is_forgotten_counts_as_met() {
        let mut chain = Chain::new(TenantId::parse("acme").unwrap(), Start::Journal);
        let now = Timestamp::parse(BEGIN).unwrap().plus_seconds(5_000);
        for number in 0..100 {
            let user =
                item(number, &json!({"id": USER, "kind": "User", "version": 1, "events": []}));
            assert_eq!(chain.note(&user, now), []);
        }
        chain.forget();
        assert_eq!(chain.size(), 50);
        let after = |seconds: i64| {
            item(200, &json!({"id": USER, "after": at(seconds).to_string(), "events": []}))
        };
        assert_eq!(chain.note(&after(49), now), []);
        assert_eq!(chain.note(&after(50), now), []);
        assert_eq!(chain.note(&after(150), now).len(), 1);
    }
}
