//! The brake on mass changes (`docs/adr/0041-the-brake.md`): in which form a write happens.
//!
//! A write that takes people out is counted in the tenant's item `brake`, in the write's own transaction. Beyond the limit
//! the directory changes all the same, and the change item is put into the tenant's partition (`held#<at>`) and not into the
//! journal. The resource then counts how many of its changes are held: whatever comes after them is held, too, so that
//! nobody is told a later change before an earlier one. Settling them is in `settle`.
//!
//! A tenant without a brake has nothing of this: no read, no action, no attribute.

mod settle;

pub use settle::{Decision, HeldChange, Settled};

use uuid::Uuid;

use super::feed::time_of;
use super::item::{FORMAT, HELD, Item, ItemReader, bare, key_of, number, text};
use super::journal::{Entry, Event};
use super::keys::{self, Key};
use super::members::Members;
use super::resources::Step;
use super::settings::Brake;
use super::work::Pairs;
use super::write::{Cancelled, Change, Condition, Role, Transaction};
use super::{Cx, Store, StoreError, TenantId};
use crate::limits::MEMBERS_READ_MAX;
use crate::moment::{Moment, Timestamp};
use crate::scim::catalog::Kind;
use crate::scim::resource::Resource;

/// The part of a transaction that fails when somebody else was counted meanwhile.
const BRAKE: usize = usize::MAX;

/// The attributes of the item with the counts.
const WINDOW: &str = "window";
const COUNT: &str = "count";
const PEOPLE: &str = "people";
const SLICE: &str = "slice";

/// In which form a write happens.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// It is told, and the brake has nothing to do with it.
    Told,
    /// It is told, and counted.
    Counted(Counts, Option<Counts>),
    /// It is held back from the feed.
    Held,
}

impl Form {
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held)
    }

    /// How many changes of a resource are held after this one, when so many were before.
    pub(super) fn held(&self, before: u64) -> u64 {
        before + u64::from(self.is_held())
    }

    /// What is moved in another resource that it touches.
    pub(super) fn mark(&self) -> Option<(&'static str, i64)> {
        self.is_held().then_some((HELD, 1))
    }

    /// Whether a write was cancelled because somebody else was counted meanwhile: what it may do has to be asked again.
    pub(super) fn was_overtaken(cancelled: &Cancelled) -> bool {
        matches!(cancelled, Cancelled::Parts(parts) if parts.contains(&BRAKE))
    }
}

/// What was counted in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// When the window began.
    window: i64,
    /// People taken out in it who were told.
    count: u64,
    /// People in the directory when it began.
    people: u64,
    /// The last part of a window in which one passed although the limit was reached.
    slice: i64,
}

impl Counts {
    fn read(reader: &ItemReader<'_>) -> Self {
        let signed = |name: &str| reader.number(name).unwrap_or(0);
        Self {
            window: signed(WINDOW),
            count: reader.optional_number(COUNT),
            people: reader.optional_number(PEOPLE),
            slice: signed(SLICE),
        }
    }

    /// With so many more in this instant, if that is allowed.
    fn plus(self, harm: u64, brake: &Brake, (is_pulled, now): (bool, Timestamp)) -> Option<Self> {
        let count = self.count.saturating_add(harm);
        // Once something is held, only the budget passes until somebody has decided.
        let limit = if is_pulled { brake.budget } else { brake.limit(self.people) };
        if count <= limit {
            return Some(Self { count, ..self });
        }
        // The budget once more, spread over the window: a mass change cannot use up what an urgent leaver needs later.
        let parts = i64::try_from(brake.budget).unwrap_or(i64::MAX).max(1);
        let slice = now.unix_seconds().div_euclid((brake.window_seconds() / parts).max(1));
        (harm == 1 && brake.budget > 0 && slice != self.slice).then_some(Self {
            count,
            slice,
            ..self
        })
    }
}

/// How a tenant's brake stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrakeState {
    /// Changes that are held.
    pub held: u64,
    /// When the oldest of them was written.
    pub since: Option<Timestamp>,
    /// When the window began in which something was last counted.
    pub window: Option<Timestamp>,
    /// People who were taken out in it, and told.
    pub counted: u64,
    /// What was decided and is not done yet: the scheduled job does it.
    pub decision: Option<Decision>,
}

/// How many people a change of a resource takes out.
pub(super) fn harm_of(step: Step<'_>, members: &Members) -> u64 {
    let removed = u64::try_from(members.removed().len()).unwrap_or(u64::MAX);
    let (before, after) = (step.before, step.after);
    let is_off = before.kind == Kind::User
        && before.document.is_active()
        && !after.document.is_active()
        && step.event != Event::Snapshot;
    removed.saturating_add(u64::from(is_off))
}

impl Store {
    /// In which form a write that takes so many people out may happen, on a resource of which so many changes are held.
    pub(super) async fn form(&self, cx: &Cx<'_>, held: u64, harm: u64) -> Result<Form, StoreError> {
        if held > 0 {
            return Ok(Form::Held);
        }
        let Some(brake) = cx.settings.brake.filter(|_| harm > 0) else { return Ok(Form::Told) };
        let found = self.get_key(cx.moment, cx.tenant.as_str(), &Key::brake()).await?;
        let (before, is_pulled) = match &found {
            Some(item) => {
                let reader = ItemReader::new(item)?;
                (Some(Counts::read(&reader)), reader.optional_number(HELD) > 0)
            }
            None => (None, false),
        };
        let now = cx.moment.wall();
        let seconds = brake.window_seconds();
        let window = now.unix_seconds().div_euclid(seconds).saturating_mul(seconds);
        let current = match before {
            // Another function's clock may be ahead.
            Some(before) if before.window >= window => before,
            _ => Counts {
                window,
                count: 0,
                people: u64::try_from(self.count(cx, Kind::User).await?).unwrap_or(u64::MAX),
                slice: before.map_or(0, |before| before.slice),
            },
        };
        let after = current.plus(harm, &brake, (is_pulled, now));
        Ok(after.map_or(Form::Held, |after| Form::Counted(after, before)))
    }

    /// In which form memberships of a resource are swept: held as long as its end is.
    pub(super) async fn form_of_sweep(
        &self,
        cx: &Cx<'_>,
        end: Option<Uuid>,
    ) -> Result<Form, StoreError> {
        let Some(end) = end else { return Ok(Form::Told) };
        let held = self.get_key(cx.moment, cx.tenant.as_str(), &Key::held(end)).await?;
        Ok(if held.is_some() { Form::Held } else { Form::Told })
    }

    /// How many people the end of a resource takes out: the person, or whoever is in the group.
    pub(super) async fn harm_of_end(
        &self,
        cx: &Cx<'_>,
        resource: &Resource,
        listed: &Pairs,
    ) -> Result<u64, StoreError> {
        if cx.settings.brake.is_none() || resource.held > 0 {
            return Ok(0);
        }
        if resource.kind == Kind::User {
            return Ok(1);
        }
        let mut members = listed.members.len();
        if members > 0 {
            let prefix = keys::members_prefix(resource.id);
            let most = (0, MEMBERS_READ_MAX);
            let all = self.query_slice(cx.moment, cx.tenant.as_str(), &prefix, most).await?;
            members = all.len();
        }
        Ok(u64::try_from(members).unwrap_or(u64::MAX))
    }

    /// Adds the change item to the transaction: to the journal, or among those that are held.
    pub(super) fn tell(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        entry: &Entry<'_>,
        form: &Form,
    ) -> Result<(), StoreError> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        match form {
            Form::Told => self.append(t, cx, entry),
            Form::Counted(after, before) => {
                self.append(t, cx, entry)?;
                let key = key_of(tenant, &Key::brake());
                let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
                let values = |counts: &Counts| {
                    [
                        (WINDOW, counts.window),
                        (COUNT, signed(counts.count)),
                        (PEOPLE, signed(counts.people)),
                        (SLICE, counts.slice),
                    ]
                };
                let condition = before.as_ref().map_or(Condition::Absent, |before| {
                    let terms = values(before).map(|(name, value)| (name, number(value)));
                    Condition::Equal(terms.to_vec())
                });
                let set = values(after).map(|(name, value)| (name.to_owned(), number(value)));
                let mut set = set.to_vec();
                set.push(("v".to_owned(), number(FORMAT)));
                let change = Change { set, ..Change::default() };
                t.update(Role::Part(BRAKE), table, key, change, condition)
            }
            Form::Held => {
                t.is_held = true;
                let mut held = bare(tenant, &Key::held(t.at()));
                let item = self.item_of(cx, t.at(), entry);
                held.insert(ITEM.to_owned(), aws_sdk_dynamodb::types::AttributeValue::M(item));
                t.put(Role::Free, table, held, Condition::Any)?;
                // Nought is added where nothing was counted yet, so that every attribute is there.
                let add = vec![(HELD, 1), (WINDOW, 0), (COUNT, 0), (PEOPLE, 0), (SLICE, 0)];
                let set = vec![("v".to_owned(), number(FORMAT))];
                let change = Change { set, add, remove: Vec::new() };
                t.update(Role::Free, table, key_of(tenant, &Key::brake()), change, Condition::Any)
            }
        }
    }

    /// Whether a change that was to be held back from the feed is, or was and is settled.
    pub(super) async fn was_held(
        &self,
        moment: &Moment,
        tenant: &str,
        at: Uuid,
    ) -> Result<bool, StoreError> {
        let keys = [Key::held(at), Key::settled(at)];
        Ok(!self.get_keys(moment, tenant, &keys).await?.is_empty())
    }

    /// How a tenant's brake stands.
    ///
    /// # Errors
    /// As any read.
    pub async fn brake_state(
        &self,
        moment: &Moment,
        tenant: &TenantId,
    ) -> Result<BrakeState, StoreError> {
        let tenant = tenant.as_str();
        let Some(item) = self.get_key(moment, tenant, &Key::brake()).await? else {
            return Ok(BrakeState::default());
        };
        let reader = ItemReader::new(&item)?;
        let held = reader.optional_number(HELD);
        let counts = Counts::read(&reader);
        let first = if held > 0 {
            let first = self.query_slice(moment, tenant, keys::HELD, (0, 1)).await?;
            first.first().and_then(at_of)
        } else {
            None
        };
        Ok(BrakeState {
            held,
            since: first.and_then(time_of),
            window: Timestamp::from_unix(counts.window, 0).filter(|_| counts.window > 0),
            counted: counts.count,
            decision: settle::decided(&reader).map(|(decision, _)| decision),
        })
    }
}

/// The attribute with the item of the journal that is held back.
const ITEM: &str = "item";

/// Where a change that is held would have stood in the journal.
fn at_of(item: &Item) -> Option<Uuid> {
    let key = Key::in_item(item)?;
    Uuid::try_parse(key.as_str().strip_prefix(keys::HELD)?).ok()
}

/// A position as it is stored.
fn position_text(at: Uuid) -> aws_sdk_dynamodb::types::AttributeValue {
    text(at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRAKE: Brake =
        Brake { count: Some(10), percent: Some(50), window_minutes: 60, budget: 4 };

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + minutes * 60, 0).unwrap()
    }

    #[test]
    fn the_lower_limit_counts_and_the_budget_is_the_least() {
        let limits = [100, 12, 2, 0].map(|people| BRAKE.limit(people));
        assert_eq!(limits, [10, 6, 4, 4]);
    }

    #[test]
    fn up_to_the_limit_passes_and_then_one_in_each_part_of_the_window() {
        let mut counts = Counts { people: 100, ..Counts::default() };
        let mut passed = Vec::new();
        for minute in 0..60 {
            let is_pulled = passed.len() >= 10;
            if let Some(after) = counts.plus(1, &BRAKE, (is_pulled, at(minute))) {
                counts = after;
                passed.push(minute);
            }
        }
        assert_eq!(passed, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 30, 45]);
        assert_eq!(counts.count, 14, "who passes in a part of the window is counted, too");
        assert_eq!(counts.plus(2, &BRAKE, (true, at(90))), None);
    }

    #[test]
    fn without_a_budget_nobody_passes_once_something_is_held() {
        let strict = Brake { budget: 0, ..BRAKE };
        let counts = Counts { people: 100, ..Counts::default() };
        let passed =
            (0..60).filter(|minute| counts.plus(1, &strict, (true, at(*minute))).is_some());
        assert_eq!(passed.count(), 0);
    }

    #[test]
    fn what_is_too_much_at_once_does_not_pass_in_part() {
        let counts = Counts { people: 100, count: 8, ..Counts::default() };
        assert_eq!(counts.plus(3, &BRAKE, (false, at(0))), None);
        assert!(counts.plus(2, &BRAKE, (false, at(0))).is_some());
    }
}
