//! What somebody was told of a tenant, a condition each: when, whether it is over since, and until when nobody wants to hear
//! of it. Each write is conditioned on what was read, so that two who look at the same time do not both tell it.

use std::collections::HashMap;

use super::item::{FORMAT, Item, ItemReader, number, text};
use super::keys::{self, Key};
use super::write::{Change, Condition};
use super::{Store, StoreError, TenantId};
use crate::moment::{Moment, Timestamp};

/// The attributes.
const STATE: &str = "state";
const TOLD_AT: &str = "toldAt";
const CLAIMED_AT: &str = "claimedAt";
const OVER_AT: &str = "overAt";
const MUTED_UNTIL: &str = "mutedUntil";

/// Items that are read of a tenant; there is one for each condition.
const ITEMS_MAX: usize = 100;

/// What somebody was told of one condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// When somebody was last told.
    pub told: Option<Timestamp>,
    /// When somebody began to tell it, who may not have come to the end.
    pub claimed: Option<Timestamp>,
    /// Since when it is over.
    pub over: Option<Timestamp>,
    /// Until when nobody wants to hear of it.
    pub muted: Option<Timestamp>,
    /// How often this was written: what each write is conditioned on.
    pub state: u64,
}

impl Told {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let reader = ItemReader::new(item)?;
        Ok(Self {
            told: reader.optional_timestamp(TOLD_AT),
            claimed: reader.optional_timestamp(CLAIMED_AT),
            over: reader.optional_timestamp(OVER_AT),
            muted: reader.optional_timestamp(MUTED_UNTIL),
            state: reader.number(STATE)?,
        })
    }
}

impl Store {
    /// What somebody was told of a tenant, by condition.
    ///
    /// # Errors
    /// As any read.
    pub async fn told(
        &self,
        moment: &Moment,
        tenant: &TenantId,
    ) -> Result<HashMap<String, Told>, StoreError> {
        let items = self.query_slice(moment, tenant.as_str(), keys::TOLD, (0, ITEMS_MAX)).await?;
        let mut told = HashMap::new();
        for item in &items {
            let key = ItemReader::new(item)?.key()?;
            if let Some(condition) = key.as_str().strip_prefix(keys::TOLD) {
                told.insert(condition.to_owned(), Told::read(item)?);
            }
        }
        Ok(told)
    }

    /// Writes what somebody was told over what was read; `None` when somebody else was faster.
    ///
    /// # Errors
    /// As any write.
    pub async fn note_told(
        &self,
        moment: &Moment,
        (tenant, condition): (&TenantId, &str),
        (before, after): (Option<&Told>, Told),
    ) -> Result<Option<Told>, StoreError> {
        let state = before.map_or(0, |before| before.state) + 1;
        let mut change = Change::default();
        change.set.extend([("v".to_owned(), number(FORMAT)), (STATE.to_owned(), number(state))]);
        let times = [
            (TOLD_AT, after.told),
            (CLAIMED_AT, after.claimed),
            (OVER_AT, after.over),
            (MUTED_UNTIL, after.muted),
        ];
        for (name, time) in times {
            match time {
                Some(time) => change.set.push((name.to_owned(), text(time.to_string()))),
                None => change.remove.push(name.into()),
            }
        }
        let as_read = before.map_or(Condition::Absent, |before| {
            Condition::Equal(vec![(STATE, number(before.state))])
        });
        let (tenant, key) = (tenant.as_str(), Key::told(condition));
        let done = self.update_alone(moment, tenant, &key, change, as_read).await?;
        Ok(done.then_some(Told { state, ..after }))
    }
}
