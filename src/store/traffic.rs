//! What the identity provider has asked for, counted by stretches of ten minutes: the items `traffic#<start>`.
//!
//! Each process sums for itself and adds its sums with `ADD`, so that several never overwrite each other. What a process
//! has not written when it ends is lost: every number here means "about". DynamoDB's TTL removes the items.

use std::collections::HashMap;

use super::item::{FORMAT, Item, ItemReader, number};
use super::keys::{Key, TRAFFIC};
use super::tables::EXPIRES;
use super::write::{Change, Condition};
use super::{Cx, Store, StoreError, TenantId};
use crate::limits::{TRAFFIC_KEPT_DAYS, TRAFFIC_SLOT};
use crate::moment::{Moment, Timestamp};

/// Items that one look reads at most: those of a week, if it was called in each stretch.
const SLOTS_PER_QUERY: usize = 1_008;

/// A sort of request that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Write {
    /// POST.
    Post,
    /// PATCH.
    Patch,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

impl Write {
    /// Every sort.
    pub const ALL: [Self; 4] = [Self::Post, Self::Patch, Self::Put, Self::Delete];

    /// The method.
    pub fn method(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// The sort of a method; none of one that changes nothing.
    pub fn of(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|write| write.method() == method)
    }
}

/// Requests by what they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Looks at one person, by id or by a filter.
    pub people: u64,
    /// Looks at one group.
    pub groups: u64,
    /// Searches for somebody who cannot be there: Entra's Test Connection, and the beginning of each of its cycles.
    pub probes: u64,
    /// POSTs, the refused ones included.
    pub posts: u64,
    /// PATCHes, the refused ones included.
    pub patches: u64,
    /// PUTs, the refused ones included.
    pub puts: u64,
    /// DELETEs, the refused ones included.
    pub deletes: u64,
    /// POSTs that were refused or failed.
    pub refused_posts: u64,
    /// PATCHes that were refused or failed.
    pub refused_patches: u64,
    /// PUTs that were refused or failed.
    pub refused_puts: u64,
    /// DELETEs that were refused or failed.
    pub refused_deletes: u64,
    /// Requests that were sent away until later: 429 and 503.
    pub throttled: u64,
}

impl Sums {
    /// The attributes of an item.
    fn named(&self) -> [(&'static str, u64); 12] {
        [
            ("people", self.people),
            ("groups", self.groups),
            ("probes", self.probes),
            ("posts", self.posts),
            ("patches", self.patches),
            ("puts", self.puts),
            ("deletes", self.deletes),
            ("refusedPosts", self.refused_posts),
            ("refusedPatches", self.refused_patches),
            ("refusedPuts", self.refused_puts),
            ("refusedDeletes", self.refused_deletes),
            ("throttled", self.throttled),
        ]
    }

    fn read(item: &Item) -> Self {
        let reader = ItemReader::unread(item);
        let sum = |name: &str| reader.number(name).unwrap_or(0);
        Self {
            people: sum("people"),
            groups: sum("groups"),
            probes: sum("probes"),
            posts: sum("posts"),
            patches: sum("patches"),
            puts: sum("puts"),
            deletes: sum("deletes"),
            refused_posts: sum("refusedPosts"),
            refused_patches: sum("refusedPatches"),
            refused_puts: sum("refusedPuts"),
            refused_deletes: sum("refusedDeletes"),
            throttled: sum("throttled"),
        }
    }

    /// With those of another process, or of another stretch.
    #[must_use]
    pub fn plus(&self, more: &Self) -> Self {
        Self {
            people: self.people.saturating_add(more.people),
            groups: self.groups.saturating_add(more.groups),
            probes: self.probes.saturating_add(more.probes),
            posts: self.posts.saturating_add(more.posts),
            patches: self.patches.saturating_add(more.patches),
            puts: self.puts.saturating_add(more.puts),
            deletes: self.deletes.saturating_add(more.deletes),
            refused_posts: self.refused_posts.saturating_add(more.refused_posts),
            refused_patches: self.refused_patches.saturating_add(more.refused_patches),
            refused_puts: self.refused_puts.saturating_add(more.refused_puts),
            refused_deletes: self.refused_deletes.saturating_add(more.refused_deletes),
            throttled: self.throttled.saturating_add(more.throttled),
        }
    }

    /// How many requests of a sort there were, and how many of them were refused.
    pub fn of(&self, write: Write) -> (u64, u64) {
        match write {
            Write::Post => (self.posts, self.refused_posts),
            Write::Patch => (self.patches, self.refused_patches),
            Write::Put => (self.puts, self.refused_puts),
            Write::Delete => (self.deletes, self.refused_deletes),
        }
    }

    /// People that were looked at, about. A match by a GUID that finds nobody looks like a probe; who is created behind it was
    /// looked for.
    pub fn people_seen(&self) -> u64 {
        self.people.max(self.posts)
    }

    /// Requests that would change something, and those of them that were refused.
    pub fn writes(&self) -> (u64, u64) {
        Write::ALL.into_iter().fold((0, 0), |(all, refused), write| {
            let (more, of_them) = self.of(write);
            (all + more, refused + of_them)
        })
    }

    /// Counts one request of a sort.
    pub fn count(&mut self, write: Write, is_refused: IsRefused) {
        let refused = u64::from(is_refused == IsRefused::Yes);
        let (all, of_them) = match write {
            Write::Post => (&mut self.posts, &mut self.refused_posts),
            Write::Patch => (&mut self.patches, &mut self.refused_patches),
            Write::Put => (&mut self.puts, &mut self.refused_puts),
            Write::Delete => (&mut self.deletes, &mut self.refused_deletes),
        };
        *all = all.saturating_add(1);
        *of_them = of_them.saturating_add(refused);
    }
}

/// Whether a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsRefused {
    /// It was, or it failed.
    Yes,
    /// It was done.
    No,
}

/// What was asked for in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// When it begins.
    pub start: Timestamp,
    /// What was asked for.
    pub sums: Sums,
}

/// A token that was refused although it is one of the tenant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// When.
    pub at: Timestamp,
    /// Its id.
    pub token: String,
    /// Why, in a word or a few.
    pub why: Option<String>,
}

/// When a tenant was last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// The times by their names: `lastCall`, `lastProbe`, `lastRefusal`, and of each token when it was last let in and refused.
    pub times: HashMap<String, Timestamp>,
    /// The last token that was refused.
    pub denied: Option<Denied>,
}

/// The beginning of the stretch that an instant lies in.
pub fn slot_of(time: Timestamp) -> Timestamp {
    let length = i64::try_from(TRAFFIC_SLOT.as_secs()).unwrap_or(i64::MAX);
    let seconds = time.unix_seconds();
    Timestamp::from_unix(seconds - seconds.rem_euclid(length), 0).unwrap_or(time)
}

impl Store {
    /// Adds sums to those of a stretch of time.
    ///
    /// # Errors
    /// As any write; the caller ignores it.
    pub async fn note_traffic(
        &self,
        cx: &Cx<'_>,
        start: Timestamp,
        sums: &Sums,
    ) -> Result<(), StoreError> {
        let expires = start.plus_seconds(TRAFFIC_KEPT_DAYS * 86_400).unix_seconds();
        let set = vec![("v".to_owned(), number(FORMAT)), (EXPIRES.to_owned(), number(expires))];
        let add = sums.named().into_iter().filter(|(_, sum)| *sum > 0);
        let add = add.map(|(name, sum)| (name, i64::try_from(sum).unwrap_or(i64::MAX)));
        let change = Change { set, add: add.collect(), ..Change::default() };
        let (tenant, key) = (cx.tenant.as_str(), Key::traffic(start));
        self.update_alone(cx.moment, tenant, &key, change, Condition::Any).await.map(|_| ())
    }

    /// When the tenant was last seen, and which token was last refused.
    ///
    /// # Errors
    /// As any read.
    pub async fn activity_and_denial(
        &self,
        moment: &Moment,
        tenant: &TenantId,
    ) -> Result<Activity, StoreError> {
        let found = self.get_key(moment, tenant.as_str(), &Key::activity()).await?;
        let item = found.unwrap_or_default();
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
        let denied = text("deniedAt").and_then(|at| Timestamp::parse(at)).zip(text("deniedToken"));
        let denied = denied.map(|(at, token)| Denied {
            at,
            token: token.clone(),
            why: text("deniedWhy").cloned(),
        });
        let times = item.iter().filter_map(|(name, value)| {
            Some((name.clone(), Timestamp::parse(value.as_s().ok()?)?))
        });
        Ok(Activity { times: times.collect(), denied })
    }

    /// What was asked for since then, in order of time; at most what [`TRAFFIC_KEPT_DAYS`] days have.
    ///
    /// # Errors
    /// As any read.
    pub async fn traffic(
        &self,
        moment: &Moment,
        tenant: &TenantId,
        since: Timestamp,
    ) -> Result<Vec<Slot>, StoreError> {
        let kept = moment.now().plus_seconds(-TRAFFIC_KEPT_DAYS * 86_400);
        // The one right before: a query goes on behind a key.
        let mut after = Some(Key::traffic(slot_of(since.max(kept)).plus_seconds(-1)));
        let mut slots = Vec::new();
        loop {
            let page = self
                .query(moment, tenant.as_str(), TRAFFIC, after.as_ref(), SLOTS_PER_QUERY)
                .await?;
            slots.extend(page.items.iter().filter_map(slot));
            after = page.next;
            if after.is_none() {
                return Ok(slots);
            }
        }
    }
}

/// Reads an item. One of another version is as if it were not there: nothing depends on it.
fn slot(item: &Item) -> Option<Slot> {
    let key = ItemReader::new(item).ok()?.key().ok()?;
    let start = Timestamp::parse(key.as_str().strip_prefix(TRAFFIC)?)?;
    Some(Slot { start, sums: Sums::read(item) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_every_sort_of_write_together() {
        let mut sums = Sums { people: 100, probes: 7, ..Sums::default() };
        for (times, write) in (1..).zip(Write::ALL) {
            for _ in 0..times {
                sums.count(write, IsRefused::No);
            }
            sums.count(write, IsRefused::Yes);
        }
        assert_eq!(sums.writes(), (1 + 2 + 3 + 4 + 4, 4));
    }
}
