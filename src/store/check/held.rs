//! The counts of held changes against the changes that are held (`docs/adr/0041-the-brake.md`): the brake counts all of them,
//! and each resource those that touched it. A count that is too high holds a person's changes back for ever; one that is too
//! low tells a later change before an earlier one.

use std::collections::HashMap;

use super::super::StoreError;
use super::super::brake::HeldChange;
use super::super::item::{self, FORMAT, HELD, Item, ItemReader, number, text};
use super::super::keys::{self, Key};
use super::super::read::by_key;
use super::super::write::{Change, Condition};
use super::facts::Facts;
use super::{Check, Finding, ITEMS_PER_PAGE, LOOKS_MAX, Mode, Outcome, Report};
use crate::scim::resource::ResourceId;

/// How many held changes there are, and of those that touched each resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    all: u64,
    of: HashMap<ResourceId, u64>,
}

impl Held {
    /// Takes in an item that is one; `false` when it cannot be read.
    pub(super) fn add(&mut self, item: &Item) -> bool {
        let Some(change) = HeldChange::read(item) else { return false };
        self.all += 1;
        for id in change.touched_ids() {
            *self.of.entry(id).or_default() += 1;
        }
        true
    }

    fn of(&self, id: ResourceId) -> u64 {
        self.of.get(&id).copied().unwrap_or(0)
    }
}

/// What counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Counter {
    key: Key,
    /// The brake has none.
    id: Option<ResourceId>,
}

/// A counter as it was read, and what it should say.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Count {
    counter: Counter,
    said: u64,
    real: u64,
    version: u64,
    is_there: bool,
}

impl Check<'_> {
    /// What counted during the pass as many as the pass has found is right; the rest is counted again.
    pub(super) async fn check_held(
        &self,
        facts: &Facts<'_>,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        if facts.opaque.keys().any(|key| ["held", "brake"].contains(&key.sort())) {
            // It is told that one cannot be read; whom it touched cannot be.
            return Ok(());
        }
        let suspects = suspects(facts);
        if suspects.is_empty() {
            return Ok(());
        }
        let Some(counts) = self.count_held(&suspects).await? else {
            report.unsettled += suspects.len();
            return Ok(());
        };
        for count in counts.into_iter().filter(|count| count.said != count.real) {
            let outcome = match self.mode {
                Mode::Report => Some(Outcome::Found),
                Mode::Repair => self.set_held(&count).await?,
            };
            let Some(outcome) = outcome else {
                report.unsettled += 1;
                continue;
            };
            report.findings.push(Finding {
                sort: "wrong-held",
                item: count.counter.key.to_string(),
                what: format!(
                    "it counts {} held changes, and there are {}",
                    count.said, count.real
                ),
                outcome,
            });
        }
        Ok(())
    }

    /// These counters and the real numbers, as they were together: read twice, with the same result. `None` when that does
    /// not come about.
    async fn count_held(&self, suspects: &[Counter]) -> Result<Option<Vec<Count>>, StoreError> {
        let mut before = self.look_at_held(suspects).await?;
        for _ in 0..LOOKS_MAX {
            let after = self.look_at_held(suspects).await?;
            if before == after {
                return Ok(after);
            }
            before = after;
        }
        Ok(None)
    }

    /// `None` when one of the held changes cannot be read.
    async fn look_at_held(&self, suspects: &[Counter]) -> Result<Option<Vec<Count>>, StoreError> {
        let (mut held, mut after) = (Held::default(), None::<Key>);
        loop {
            let (moment, tenant) = ((self.moments)(), self.tenant.as_str());
            let page =
                self.store.query(&moment, tenant, keys::HELD, after.as_ref(), ITEMS_PER_PAGE);
            let page = page.await?;
            if !page.items.iter().all(|item| held.add(item)) {
                return Ok(None);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let keys = suspects.iter().map(|counter| counter.key.clone()).collect();
        let items = by_key(self.get(&(self.moments)(), &keys).await?);
        let counts = suspects.iter().filter_map(|counter| {
            let item = items.get(counter.key.as_str());
            let is_its = |item: &&Item| match counter.id {
                None => true,
                Some(id) => item::resource(item).is_ok_and(|resource| resource.id == id),
            };
            let reader = item.filter(is_its).map(ItemReader::unread);
            // A resource that is not there any more counts nothing; a brake that never was has counted nothing.
            if counter.id.is_some() && reader.is_none() {
                return None;
            }
            let number =
                |name: &str| reader.as_ref().map_or(0, |reader| reader.optional_number(name));
            Some(Count {
                counter: counter.clone(),
                said: number(HELD),
                real: counter.id.map_or(held.all, |id| held.of(id)),
                version: number("version"),
                is_there: reader.is_some(),
            })
        });
        Ok(Some(counts.collect()))
    }

    /// Sets a count to the real number, as long as it is as it was read. Whatever is held or settled meanwhile moves it with
    /// the change itself, and so makes the condition fail.
    async fn set_held(&self, count: &Count) -> Result<Option<Outcome>, StoreError> {
        let Count { counter, said, real, version, is_there } = count;
        let mut change = Change::default();
        let mut as_read = Vec::new();
        if *said > 0 {
            as_read.push((HELD, number(said)));
        }
        let condition = if let Some(id) = counter.id {
            as_read.extend([("id", text(id.to_string())), ("version", number(version))]);
            if *real > 0 {
                change.set.push((HELD.to_owned(), number(real)));
            } else {
                change.remove.push(HELD.into());
            }
            Condition::Equal(as_read)
        } else {
            // An addition: each of its other moves comes with a change.
            let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            change.add.push((HELD, signed(*real).saturating_sub(signed(*said))));
            change.set.push(("v".to_owned(), number(FORMAT)));
            match (as_read.is_empty(), is_there) {
                (false, _) => Condition::Equal(as_read),
                (true, true) => Condition::Present,
                (true, false) => Condition::Absent,
            }
        };
        let (moment, tenant) = ((self.moments)(), self.tenant.as_str());
        let key = &counter.key;
        let set = self.store.update_alone(&moment, tenant, key, change, condition).await?;
        Ok(set.then_some(Outcome::Repaired("it was set to the real number")))
    }
}

/// What does not count what the pass has found.
fn suspects(facts: &Facts<'_>) -> Vec<Counter> {
    let users = facts.users.iter().flat_map(|(id, rows)| rows.iter().map(move |row| (id, row)));
    let users = users.map(|(id, row)| (*id, row.key.clone(), row.held));
    let groups = facts.groups.iter().map(|(id, row)| (*id, Key::group(*id), row.held));
    let wrong = users.chain(groups).filter(|(id, _, said)| *said != facts.held_changes.of(*id));
    let mut suspects: Vec<Counter> =
        wrong.map(|(id, key, _)| Counter { key, id: Some(id) }).collect();
    if facts.brake != facts.held_changes.all {
        suspects.push(Counter { key: Key::brake(), id: None });
    }
    suspects.sort();
    suspects
}
