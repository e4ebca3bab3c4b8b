//! The journal, read as a feed: page by page in order of `at`, up to a while behind now, so that nothing can appear behind
//! a reader; and the app's acknowledgement of an item.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::error::backend;
use super::item::{Item, ItemReader, text, to_json};
use super::{Store, StoreError, TenantId};
use crate::moment::{Moment, Timestamp};

/// The attribute with the time at which the app had done what an item asks for.
pub const ACKNOWLEDGED: &str = "acknowledged";
/// The attribute with the name of what acknowledged.
pub const ACKNOWLEDGED_BY: &str = "acknowledgedBy";

/// One item of the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its key: where it stands in the feed.
    pub at: Uuid,
    /// Its attributes as JSON, the documented contract: `tenant` and `at` among them.
    pub attributes: Map<String, Value>,
}

impl Change {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let reader = ItemReader::new(item)?;
        let at = Uuid::try_parse(reader.text("at")?).map_err(|_| reader.corrupt("at"))?;
        let attributes = item.iter().map(|(name, value)| (name.clone(), to_json(value)));
        let mut attributes: Map<String, Value> = attributes.collect();
        attributes.sort_keys();
        Ok(Self { at, attributes })
    }

    /// A string attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).and_then(Value::as_str)
    }

    /// What happened, by the names of `journal::Event`.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        let events = self.attributes.get("events").and_then(Value::as_array);
        events.into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether one of the events has that name.
    pub fn is(&self, event: &str) -> bool {
        self.events().any(|name| name == event)
    }

    /// The version of the resource after the change; none of refusals.
    pub fn version(&self) -> Option<u64> {
        self.attributes.get("version").and_then(Value::as_u64)
    }

    /// Where the item stands that tells the resource's previous change.
    pub fn after(&self) -> Option<Uuid> {
        self.text("after").and_then(|at| Uuid::try_parse(at).ok())
    }

    /// When it was written.
    pub fn time(&self) -> Option<Timestamp> {
        time_of(self.at)
    }

    /// When the app said that it has done what this asks for.
    pub fn acknowledged(&self) -> Option<Timestamp> {
        self.text(ACKNOWLEDGED).and_then(Timestamp::parse)
    }
}

/// Some items, and whether more follow.
#[derive(Clone, Debug)]
pub struct ChangePage {
    /// In order of `at`.
    pub changes: Vec<Change>,
    /// Whether more follow up to the bound.
    pub more: bool,
}

/// What became of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// It was written.
    Noted,
    /// It was there before, and stays.
    Before,
    /// There is no such item.
    Nothing,
}

impl Store {
    /// The items of a tenant's journal after one and before another position, strongly consistent, at most `most`.
    ///
    /// # Errors
    /// As any read; [`StoreError::Corrupt`] when an item is none of ours.
    pub async fn changes(
        &self,
        moment: &Moment,
        tenant: &TenantId,
        (after, before): (Uuid, Uuid),
        most: usize,
    ) -> Result<ChangePage, StoreError> {
        if after >= before {
            return Ok(ChangePage { changes: Vec::new(), more: false });
        }
        let first = Uuid::from_u128(after.as_u128().saturating_add(1));
        let last = Uuid::from_u128(before.as_u128().saturating_sub(1));
        self.changes_between(moment, tenant, (first, last), most).await
    }

    /// One item of a tenant's journal.
    ///
    /// # Errors
    /// As any read.
    pub async fn change(
        &self,
        moment: &Moment,
        tenant: &TenantId,
        at: Uuid,
    ) -> Result<Option<Change>, StoreError> {
        let page = self.changes_between(moment, tenant, (at, at), 1).await?;
        Ok(page.changes.into_iter().next())
    }

    async fn changes_between(
        &self,
        moment: &Moment,
        tenant: &TenantId,
        (first, last): (Uuid, Uuid),
        most: usize,
    ) -> Result<ChangePage, StoreError> {
        if first > last {
            return Ok(ChangePage { changes: Vec::new(), more: false });
        }
        moment.meter().call();
        let answer = self
            .client
            .query()
            .table_name(&self.tables.journal)
            .key_condition_expression("#t = :t AND #a BETWEEN :f AND :l")
            .expression_attribute_names("#t", "tenant")
            .expression_attribute_names("#a", "at")
            .expression_attribute_values(":t", text(tenant.as_str()))
            .expression_attribute_values(":f", text(first.to_string()))
            .expression_attribute_values(":l", text(last.to_string()))
            .limit(i32::try_from(most.max(1)).unwrap_or(i32::MAX))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(super::read::read_error)?;
        super::read::count_read(moment, answer.consumed_capacity());
        let more = answer.last_evaluated_key.is_some();
        let changes = answer.items().iter().map(Change::read).collect::<Result<_, _>>()?;
        Ok(ChangePage { changes, more })
    }

    /// Notes that the app has done what an item asks for. The first note stays.
    ///
    /// # Errors
    /// As any write.
    pub async fn acknowledge(
        &self,
        moment: &Moment,
        tenant: &TenantId,
        at: Uuid,
        by: &str,
    ) -> Result<Acknowledgement, StoreError> {
        moment.meter().call();
        let sent = self
            .client
            .update_item()
            .table_name(&self.tables.journal)
            .key("tenant", text(tenant.as_str()))
            .key("at", text(at.to_string()))
            .update_expression("SET #d = :d, #b = :b")
            .condition_expression("attribute_exists(#a) AND attribute_not_exists(#d)")
            .expression_attribute_names("#a", "at")
            .expression_attribute_names("#d", ACKNOWLEDGED)
            .expression_attribute_names("#b", ACKNOWLEDGED_BY)
            .expression_attribute_values(":d", text(moment.wall().to_string()))
            .expression_attribute_values(":b", text(by))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match sent {
            Ok(answer) => {
                let units = answer.consumed_capacity().and_then(ConsumedCapacity::capacity_units);
                moment.meter().written(units.unwrap_or(0.0));
                Ok(Acknowledgement::Noted)
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                let found = self.change(moment, tenant, at).await?;
                Ok(found.map_or(Acknowledgement::Nothing, |_| Acknowledgement::Before))
            }
            Err(error) => Err(backend(error)),
        }
    }
}

/// The first position of an instant: every item that was written before it stands before this, every later one behind.
pub fn position(time: Timestamp) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(time.unix_millis(), &[0; 10]).into_uuid()
}

/// When the item with that key was written.
pub fn time_of(at: Uuid) -> Option<Timestamp> {
    let (seconds, nanoseconds) = at.get_timestamp()?.to_unix();
    let seconds = i64::try_from(seconds).ok()?;
    Timestamp::from_unix(seconds, nanoseconds)
}
