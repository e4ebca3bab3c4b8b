//! The counters against the real numbers.

use std::collections::HashSet;

use super::super::StoreError;
use super::super::item::{FORMAT, Item, ItemReader, number};
use super::super::keys::{self, Key};
use super::super::write::{Change, Condition};
use super::facts::Facts;
use super::{Check, Finding, ITEMS_PER_PAGE, LOOKS_MAX, Mode, Outcome, Report};
use crate::limits::COUNTER_SHARDS;
use crate::scim::catalog::Kind;

/// A counter, and what it should say.
struct Count {
    shards: Vec<(Key, i64)>,
    real: i64,
}

impl Count {
    fn said(&self) -> i64 {
        self.shards.iter().map(|(_, n)| n).sum()
    }
}

impl Check<'_> {
    /// A counter that said during the pass what the pass has counted is right; else it is counted again.
    pub(super) async fn check_counter(
        &self,
        kind: Kind,
        facts: &Facts<'_>,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let prefix = keys::count_prefix(kind);
        if facts.opaque.keys().any(|key| key.as_str().starts_with(&prefix)) {
            // It is told that a shard cannot be read; what it says cannot be.
            return Ok(());
        }
        let counted = match kind {
            Kind::User => facts.users.len(),
            Kind::Group => facts.groups.len(),
            Kind::Custom(_) => facts.others.keys().filter(|(other, _)| *other == kind).count(),
        };
        let opaque = facts
            .opaque
            .keys()
            .filter(|key| key.as_str().starts_with(&*keys::items_prefix(kind)))
            .count();
        if facts.counted.get(&kind).copied().unwrap_or(0) == whole(counted + opaque) {
            return Ok(());
        }
        let Some(count) = self.count(kind).await? else {
            report.unsettled += 1;
            return Ok(());
        };
        let difference = count.real - count.said();
        if difference == 0 {
            return Ok(());
        }
        let outcome = match self.mode {
            Mode::Report => Some(Outcome::Found),
            Mode::Repair => self.move_counter(kind, &count, difference).await?,
        };
        match outcome {
            None => report.unsettled += 1,
            Some(outcome) => report.findings.push(Finding {
                sort: "wrong-count",
                item: prefix,
                what: format!("it says {}, and there are {}", count.said(), count.real),
                outcome,
            }),
        }
        Ok(())
    }

    /// The counter and the real number, as they were together: the counter is moved by each create and delete, so when
    /// it is the same before and after, nobody came or went. `None` when that does not come about.
    async fn count(&self, kind: Kind) -> Result<Option<Count>, StoreError> {
        for _ in 0..LOOKS_MAX {
            let shards = self.shards(kind).await?;
            let real = self.real(kind).await?;
            if self.shards(kind).await? == shards {
                return Ok(Some(Count { shards, real }));
            }
        }
        Ok(None)
    }

    /// The shards that are there, and what they say.
    async fn shards(&self, kind: Kind) -> Result<Vec<(Key, i64)>, StoreError> {
        let moment = (self.moments)();
        let keys: Vec<Key> = (0..COUNTER_SHARDS).map(|shard| Key::count(kind, shard)).collect();
        let found = self.store.get_keys(&moment, self.tenant.as_str(), &keys).await?;
        let shard = |item: &Item| {
            let reader = ItemReader::new(item)?;
            Ok((reader.key()?, reader.number("n")?))
        };
        let mut shards = found.iter().map(shard).collect::<Result<Vec<_>, StoreError>>()?;
        shards.sort();
        Ok(shards)
    }

    /// How many there are: by their ids, and each item that cannot be read as one.
    async fn real(&self, kind: Kind) -> Result<i64, StoreError> {
        let mut ids = HashSet::new();
        let mut after: Option<Key> = None;
        loop {
            let moment = (self.moments)();
            let (tenant, prefix) = (self.tenant.as_str(), keys::items_prefix(kind));
            let page =
                self.store.query(&moment, tenant, &prefix, after.as_ref(), ITEMS_PER_PAGE).await?;
            ids.extend(page.items.iter().filter_map(|item| {
                let resource = super::super::item::resource_of(kind, item);
                let id = resource.map(|resource| resource.id.to_string());
                id.ok().or_else(|| Some(Key::in_item(item)?.to_string()))
            }));
            after = page.next;
            if after.is_none() {
                return Ok(whole(ids.len()));
            }
        }
    }

    /// Moves one shard by the difference. It stays right whatever the others do meanwhile, because each of their moves
    /// comes with a resource.
    async fn move_counter(
        &self,
        kind: Kind,
        count: &Count,
        difference: i64,
    ) -> Result<Option<Outcome>, StoreError> {
        let moment = (self.moments)();
        let (key, condition) = match count.shards.first() {
            Some((key, n)) => (key.clone(), Condition::Equal(vec![("n", number(n))])),
            None => (Key::count(kind, 0), Condition::Absent),
        };
        let set = vec![("v".to_owned(), number(FORMAT))];
        let change = Change { set, add: vec![("n", difference)], remove: Vec::new() };
        let tenant = self.tenant.as_str();
        let moved = self.store.update_alone(&moment, tenant, &key, change, condition).await?;
        Ok(moved.then_some(Outcome::Repaired("it was moved to the real number")))
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
