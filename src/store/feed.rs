//! The journal, read as a feed: page by page in order of `at`, up to a while behind now, so that nothing can appear behind
//! a reader; the app's acknowledgement of an item; and the erasure of a person's identifiers from an item.

mod pages;

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use pages::Pages;

use super::error::backend;
use super::item::{APP_ID, Item, ItemReader, text, to_json};
use super::journal::Event;
use super::{Store, StoreError, TenantId};
use crate::moment::{Moment, Timestamp};
use crate::scim::fold::fold;
use crate::scim::well_known;

/// The attribute with the time at which the app had done what an item asks for.
pub const ACKNOWLEDGED: &str = "acknowledged";
/// The attribute with the name of what acknowledged.
pub const ACKNOWLEDGED_BY: &str = "acknowledgedBy";
/// The attribute that says that a person's identifiers were taken out.
pub const ERASED: &str = "erased";

/// The attributes that name a person.
const IDENTIFIERS: [&str; 4] =
    [well_known::USER_NAME, well_known::DISPLAY_NAME, well_known::EXTERNAL_ID, APP_ID];
/// What a refusal told the client: it may repeat a name.
const DETAIL: &str = "detail";

/// One item of the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its key: where it stands in the feed.
    pub at: Uuid,
    /// Its attributes as JSON, the documented contract: `tenant` and `at` among them.
    pub attributes: Map<String, Value>,
}

impl Change {
    /// `None` of what no version of ours has written: an acknowledgement, without its condition, of an item that had expired.
    fn read(item: &Item) -> Result<Option<Self>, StoreError> {
        if !item.contains_key("v") && !item.contains_key("events") {
            return Ok(None);
        }
        let reader = ItemReader::new(item)?;
        let at = Uuid::try_parse(reader.text("at")?).map_err(|_| reader.corrupt("at"))?;
        let attributes = item.iter().map(|(name, value)| (name.clone(), to_json(value)));
        let mut attributes: Map<String, Value> = attributes.collect();
        attributes.sort_keys();
        Ok(Some(Self { at, attributes }))
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

    /// Where it stood before it was held back by the brake on mass changes, and released.
    pub fn held_at(&self) -> Option<Uuid> {
        self.text("heldAt").and_then(|at| Uuid::try_parse(at).ok())
    }

    /// The id of the resource that it tells of; none of a refusal that names none.
    pub fn id(&self) -> Option<&str> {
        self.text("id")
    }

    /// What sort of resource it tells of: the name of a `Kind`, or `Tenant`.
    pub fn kind(&self) -> Option<&str> {
        self.text("kind")
    }

    /// The userName in it.
    pub fn user_name(&self) -> Option<&str> {
        self.text(well_known::USER_NAME)
    }

    /// The externalId in it.
    pub fn external_id(&self) -> Option<&str> {
        self.text(well_known::EXTERNAL_ID)
    }

    /// What people call it: the userName, or what it is called instead.
    pub fn name(&self) -> Option<&str> {
        self.user_name().or_else(|| self.text(well_known::DISPLAY_NAME))
    }

    /// What a refusal told the client.
    pub fn detail(&self) -> Option<&str> {
        self.text(DETAIL)
    }

    /// Whether it tells of a write that was refused.
    pub fn is_refusal(&self) -> bool {
        self.is(Event::Refused.name())
    }

    /// The groups that a deleted member has left: a version of each of them.
    pub fn groups(&self) -> impl Iterator<Item = Uuid> {
        let groups = self.attributes.get("groups").and_then(Value::as_array);
        let groups = groups.into_iter().flatten().filter_map(Value::as_str);
        groups.filter_map(|id| Uuid::try_parse(id).ok())
    }

    /// Whether something in it names a person.
    pub fn has_identifiers(&self) -> bool {
        let detail = self.is_refusal() && self.detail().is_some();
        detail || IDENTIFIERS.iter().any(|name| self.attributes.contains_key(*name))
    }

    /// When it goes by itself.
    pub fn expires(&self) -> Option<Timestamp> {
        let seconds = self.attributes.get(super::tables::EXPIRES).and_then(Value::as_i64)?;
        Timestamp::from_unix(seconds, 0)
    }

    /// Whether an item that was written at `at` would be gone at `now`, had it the life of this one.
    pub fn would_have_expired(&self, at: Uuid, now: Timestamp) -> bool {
        let (Some(own), Some(expires)) = (self.time(), self.expires()) else { return false };
        let life = expires.unix_seconds().saturating_sub(own.unix_seconds());
        time_of(at).is_some_and(|time| time.plus_seconds(life) <= now)
    }

    /// When it was written.
    pub fn time(&self) -> Option<Timestamp> {
        time_of(self.at)
    }

    /// When the app said that it has done what this asks for.
    pub fn acknowledged(&self) -> Option<Timestamp> {
        self.text(ACKNOWLEDGED).and_then(Timestamp::parse)
    }

    /// What said so.
    pub fn acknowledged_by(&self) -> Option<&str> {
        self.text(ACKNOWLEDGED_BY)
    }
}

/// Some items, and whether more follow.
#[derive(Clone, Debug)]
pub struct ChangePage {
    /// In order of `at`.
    pub changes: Vec<Change>,
    /// Whether more follow up to the bound.
    pub more: bool,
    /// Where the read stopped, when more follow: an item of ours, or one that is none.
    pub last: Option<Uuid>,
}

/// In which order items are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
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
            return Ok(ChangePage { changes: Vec::new(), more: false, last: None });
        }
        let first = Uuid::from_u128(after.as_u128().saturating_add(1));
        let last = Uuid::from_u128(before.as_u128().saturating_sub(1));
        self.changes_between(moment, tenant, (first, last), (Order::OldestFirst, most)).await
    }

    /// The items of a tenant's journal after one and before another position, the newest first, at most `most`.
    ///
    /// # Errors
    /// As [`Store::changes`].
    pub async fn changes_newest_first(
        &self,
        moment: &Moment,
        tenant: &TenantId,
        (after, before): (Uuid, Uuid),
        most: usize,
    ) -> Result<ChangePage, StoreError> {
        if after >= before {
            return Ok(ChangePage { changes: Vec::new(), more: false, last: None });
        }
        let first = Uuid::from_u128(after.as_u128().saturating_add(1));
        let last = Uuid::from_u128(before.as_u128().saturating_sub(1));
        self.changes_between(moment, tenant, (first, last), (Order::NewestFirst, most)).await
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
        let one = (Order::OldestFirst, 1);
        let page = self.changes_between(moment, tenant, (at, at), one).await?;
        Ok(page.changes.into_iter().next())
    }

    async fn changes_between(
        &self,
        moment: &Moment,
        tenant: &TenantId,
        (first, last): (Uuid, Uuid),
        (order, most): (Order, usize),
    ) -> Result<ChangePage, StoreError> {
        if first > last {
            return Ok(ChangePage { changes: Vec::new(), more: false, last: None });
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
            .scan_index_forward(order == Order::OldestFirst)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(super::read::read_error)?;
        super::read::count_read(moment, answer.consumed_capacity());
        let stopped = answer.last_evaluated_key().and_then(|key| key.get("at"));
        let last = stopped.and_then(|at| Uuid::try_parse(at.as_s().ok()?).ok());
        let more = answer.last_evaluated_key.is_some();
        let changes = answer
            .items()
            .iter()
            .map(Change::read)
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()?;
        Ok(ChangePage { changes, more, last })
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
        if was_updated(moment, sent)? {
            return Ok(Acknowledgement::Noted);
        }
        let found = self.change(moment, tenant, at).await?;
        Ok(found.map_or(Acknowledgement::Nothing, |_| Acknowledgement::Before))
    }

    /// Takes out of an item what names a person, and of a refusal what it told the client. The item stays, with everything
    /// that readers go by. `false` when it is no longer there.
    ///
    /// # Errors
    /// As any write.
    pub async fn erase(
        &self,
        moment: &Moment,
        tenant: &TenantId,
        at: Uuid,
    ) -> Result<bool, StoreError> {
        moment.meter().call();
        let names = IDENTIFIERS.into_iter().chain([DETAIL]).enumerate();
        let names: HashMap<String, &str> =
            names.map(|(number, name)| (format!("#n{number}"), name)).collect();
        let removed: Vec<&str> = names.keys().map(String::as_str).collect();
        let mut request = self
            .client
            .update_item()
            .table_name(&self.tables.journal)
            .key("tenant", text(tenant.as_str()))
            .key("at", text(at.to_string()))
            .update_expression(format!("REMOVE {} SET #e = :t", removed.join(", ")))
            .condition_expression("attribute_exists(#a)")
            .expression_attribute_names("#a", "at")
            .expression_attribute_names("#e", ERASED)
            .expression_attribute_values(":t", AttributeValue::Bool(true));
        for (placeholder, name) in &names {
            request = request.expression_attribute_names(placeholder, *name);
        }
        let sent = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await;
        was_updated(moment, sent)
    }

    /// Those of the positions at which a tenant's journal has an item.
    pub(super) async fn positions_there(
        &self,
        moment: &Moment,
        tenant: &TenantId,
        positions: &[Uuid],
    ) -> Result<HashSet<Uuid>, StoreError> {
        // DynamoDB refuses a batch that names a key twice.
        let wanted: HashSet<&Uuid> = positions.iter().collect();
        let key = |at: &Uuid| {
            let tenant = ("tenant".to_owned(), text(tenant.as_str()));
            Item::from([tenant, ("at".to_owned(), text(at.to_string()))])
        };
        let keys = wanted.into_iter().map(key).collect();
        let found = self.batch_get(moment, &self.tables.journal, keys, Some("at")).await?;
        let position = |item: &Item| Uuid::try_parse(item.get("at")?.as_s().ok()?).ok();
        Ok(found.iter().filter_map(position).collect())
    }
}

/// Whether the condition of an update held.
fn was_updated(
    moment: &Moment,
    sent: Result<UpdateItemOutput, SdkError<UpdateItemError>>,
) -> Result<bool, StoreError> {
    match sent {
        Ok(answer) => {
            let units = answer.consumed_capacity().and_then(ConsumedCapacity::capacity_units);
            moment.meter().written(units.unwrap_or(0.0));
            Ok(true)
        }
        Err(error)
            if error
                .as_service_error()
                .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
        {
            Ok(false)
        }
        Err(error) => Err(backend(error)),
    }
}

/// A name without regard to letter case, as keys are made of it.
pub fn folded(name: &str) -> String {
    fold(name)
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

/// Whether what was written at that position is so many days old.
pub fn is_older(at: Uuid, days: i64, now: Timestamp) -> bool {
    time_of(at).is_none_or(|time| time.plus_seconds(days.saturating_mul(86_400)) <= now)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::limits::JOURNAL_KEPT_DAYS;

    /// An item that was written then.
    fn change(written: Timestamp, attributes: &Value) -> Change {
        let Value::Object(attributes) = attributes.clone() else { panic!("an object") };
        Change { at: position(written), attributes }
    }

    #[test]
    fn what_stood_before_an_item_has_expired_when_it_would_have_lived_as_long() {
        let written = Timestamp::from_unix(1_800_000_000, 0).unwrap();
        let days = |days: i64| written.plus_seconds(days * 86_400);
        let own = change(written, &json!({"expires": days(JOURNAL_KEPT_DAYS).unix_seconds()}));
        assert_eq!(own.expires(), Some(days(JOURNAL_KEPT_DAYS)));
        let before = position(days(-10));
        let its_end = days(JOURNAL_KEPT_DAYS - 10);
        assert!(!own.would_have_expired(before, its_end.plus_seconds(-1)));
        assert!(own.would_have_expired(before, its_end));
        let for_ever = change(written, &json!({}));
        assert_eq!(for_ever.expires(), None);
        assert!(!for_ever.would_have_expired(before, its_end));
    }

    #[test]
    fn a_released_item_says_where_it_was_held() {
        let written = Timestamp::from_unix(1_800_000_000, 0).unwrap();
        let at = position(written.plus_seconds(-60));
        let released = change(written, &json!({"heldAt": at.to_string()}));
        assert_eq!(released.held_at(), Some(at));
        assert_eq!(change(written, &json!({"heldAt": "x"})).held_at(), None);
        assert_eq!(change(written, &json!({})).held_at(), None);
    }
}
