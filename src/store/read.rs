//! Single reads: get, batch get, and query by prefix, metered, consistent, bounded.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{
    ConsumedCapacity, KeysAndAttributes, ReturnConsumedCapacity, Select,
};

use super::error::{Failed, backend, classify};
use super::item::{Item, key_of, text};
use super::keys::Key;
use super::write::Backoff;
use super::{Cx, Store, StoreError};
use crate::limits::BATCH_GET_MAX;
use crate::moment::Moment;

/// Some items, and the key after which the next ones come, if there are more.
#[derive(Debug)]
pub(super) struct Items {
    /// In the order of their keys.
    pub(super) items: Vec<Item>,
    /// Where to go on.
    pub(super) next: Option<Key>,
}

impl Items {
    /// What a query found, metered.
    fn read(moment: &Moment, answer: QueryOutput) -> Self {
        count_read(moment, answer.consumed_capacity());
        let next = answer.last_evaluated_key.as_ref().and_then(Key::in_item);
        Self { items: answer.items.unwrap_or_default(), next }
    }
}

impl Store {
    /// One item of the Directory table, strongly consistent.
    pub(super) async fn get_key(
        &self,
        moment: &Moment,
        tenant: &str,
        key: &Key,
    ) -> Result<Option<Item>, StoreError> {
        let key = key_of(tenant, key);
        self.get_from(moment, &self.tables.directory, key).await
    }

    /// One item of any table, strongly consistent.
    pub(super) async fn get_from(
        &self,
        moment: &Moment,
        table: &str,
        key: Item,
    ) -> Result<Option<Item>, StoreError> {
        moment.meter().call();
        let answer = self
            .client
            .get_item()
            .table_name(table)
            .set_key(Some(key))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(read_error)?;
        count_read(moment, answer.consumed_capacity());
        Ok(answer.item)
    }

    /// Items of the Directory table, strongly consistent, in no order; those that are not there are left out.
    pub(super) async fn get_keys(
        &self,
        moment: &Moment,
        tenant: &str,
        keys: &[Key],
    ) -> Result<Vec<Item>, StoreError> {
        // DynamoDB refuses a batch that names a key twice.
        let mut keys: Vec<&Key> = keys.iter().collect();
        keys.sort_unstable();
        keys.dedup();
        let keys = keys.into_iter().map(|key| key_of(tenant, key)).collect();
        self.batch_get(moment, &self.tables.directory, keys, None).await
    }

    /// Items of a table by their keys, no key twice, strongly consistent, in no order; `only` one attribute of each, or
    /// all.
    pub(super) async fn batch_get(
        &self,
        moment: &Moment,
        table: &str,
        keys: Vec<Item>,
        only: Option<&str>,
    ) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut backoff = Backoff::new(moment);
        for chunk in keys.chunks(BATCH_GET_MAX) {
            let mut wanted = chunk.to_vec();
            while !wanted.is_empty() {
                let (items, left) = self.batch(moment, (table, only), wanted).await?;
                found.extend(items);
                wanted = left;
                if !wanted.is_empty() {
                    backoff.pause().await?;
                }
            }
        }
        Ok(found)
    }

    /// One BatchGetItem: what it found, and the keys that it did not process.
    async fn batch(
        &self,
        moment: &Moment,
        (table, only): (&str, Option<&str>),
        wanted: Vec<Item>,
    ) -> Result<(Vec<Item>, Vec<Item>), StoreError> {
        let mut keys = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(true);
        if let Some(attribute) = only {
            keys = keys.projection_expression("#a").expression_attribute_names("#a", attribute);
        }
        moment.meter().call();
        let mut answer = self
            .client
            .batch_get_item()
            .request_items(table, keys.build().map_err(backend)?)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(read_error)?;
        for capacity in answer.consumed_capacity() {
            count_read(moment, Some(capacity));
        }
        let left = answer.unprocessed_keys.take().unwrap_or_default();
        let left = left.into_values().next().map(|keys| keys.keys).unwrap_or_default();
        let found = answer.responses.unwrap_or_default().into_values().flatten().collect();
        Ok((found, left))
    }

    /// Items of the Directory table whose key begins with `prefix`, strongly consistent, in order of their keys: one
    /// request, so at most 1 MB and at most `limit`.
    pub(super) async fn query(
        &self,
        moment: &Moment,
        tenant: &str,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Items, StoreError> {
        moment.meter().call();
        let request = self.prefixed(tenant, prefix, after, limit);
        Ok(Items::read(moment, request.send().await.map_err(read_error)?))
    }

    /// A query for the items of the Directory table whose key begins with `prefix`.
    fn prefixed(
        &self,
        tenant: &str,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> QueryFluentBuilder {
        let mut request = self
            .client
            .query()
            .table_name(&self.tables.directory)
            .key_condition_expression("#t = :t")
            .expression_attribute_names("#t", "tenant")
            .expression_attribute_values(":t", text(tenant));
        if !prefix.is_empty() {
            request = request
                .key_condition_expression("#t = :t AND begins_with(#k, :p)")
                .expression_attribute_names("#k", "key")
                .expression_attribute_values(":p", text(prefix));
        }
        request
            .set_exclusive_start_key(after.map(|key| key_of(tenant, key)))
            .limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    /// As [`Store::query`], of member items: their keys and kinds alone, which is a third less to parse.
    pub(super) async fn query_rows(
        &self,
        cx: &Cx<'_>,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Items, StoreError> {
        cx.moment.meter().call();
        let request = self
            .prefixed(cx.tenant.as_str(), prefix, after, limit)
            .projection_expression("#k, #y")
            .expression_attribute_names("#y", super::roll::TYPE);
        Ok(Items::read(cx.moment, request.send().await.map_err(read_error)?))
    }

    /// How many items have a key that begins with `prefix` and an attribute that equals a text, and the key after which
    /// the next ones come: one request, which looks at 1 MB and at `limit` items at most.
    pub(super) async fn query_count(
        &self,
        cx: &Cx<'_>,
        (prefix, (attribute, value)): (&str, (&str, &str)),
        after: Option<&Key>,
        limit: usize,
    ) -> Result<(usize, Option<Key>), StoreError> {
        cx.moment.meter().call();
        let request = self
            .prefixed(cx.tenant.as_str(), prefix, after, limit)
            .select(Select::Count)
            .filter_expression("#a = :a")
            .expression_attribute_names("#a", attribute)
            .expression_attribute_values(":a", text(value));
        let answer = request.send().await.map_err(read_error)?;
        let count = usize::try_from(answer.count()).unwrap_or_default();
        Ok((count, Items::read(cx.moment, answer).next))
    }

    /// All items whose key begins with `prefix`, when there are at most `most`; `None` when there are more.
    pub(super) async fn query_all(
        &self,
        moment: &Moment,
        tenant: &str,
        prefix: &str,
        most: usize,
    ) -> Result<Option<Vec<Item>>, StoreError> {
        let mut all = Vec::new();
        let mut next = None;
        loop {
            // One more than may be there: a query that stops at its limit does not say whether more would come.
            let limit = (most + 1).saturating_sub(all.len());
            let page = self.query(moment, tenant, prefix, next.as_ref(), limit).await?;
            all.extend(page.items);
            if all.len() > most {
                return Ok(None);
            }
            next = page.next;
            if next.is_none() {
                return Ok(Some(all));
            }
        }
    }

    /// `count` items whose key begins with `prefix` after the first `skipped`, which are read and not kept.
    pub(super) async fn query_slice(
        &self,
        moment: &Moment,
        tenant: &str,
        prefix: &str,
        slice: (usize, usize),
    ) -> Result<Vec<Item>, StoreError> {
        self.query_slice_after(moment, tenant, (prefix, None), slice).await
    }

    /// As [`Store::query_slice`], behind a key if one is given.
    pub(super) async fn query_slice_after(
        &self,
        moment: &Moment,
        tenant: &str,
        (prefix, after): (&str, Option<Key>),
        (mut skipped, count): (usize, usize),
    ) -> Result<Vec<Item>, StoreError> {
        let mut kept = Vec::new();
        let mut next = after;
        loop {
            let limit = (skipped + count).saturating_sub(kept.len());
            let page = self.query(moment, tenant, prefix, next.as_ref(), limit).await?;
            let dropped = skipped.min(page.items.len());
            skipped -= dropped;
            kept.extend(page.items.into_iter().skip(dropped));
            next = page.next;
            if next.is_none() || kept.len() >= count {
                kept.truncate(count);
                return Ok(kept);
            }
        }
    }

    /// Items of the index by `externalId`, at most `limit`: eventually consistent, so nothing is decided from it.
    pub(super) async fn query_external_id(
        &self,
        moment: &Moment,
        tenant: &str,
        external_id: &str,
        limit: usize,
    ) -> Result<Items, StoreError> {
        moment.meter().call();
        let answer = self
            .client
            .query()
            .table_name(&self.tables.directory)
            .index_name(super::tables::EXTERNAL_ID_INDEX)
            .key_condition_expression("#t = :t AND #e = :e")
            .expression_attribute_names("#t", "tenant")
            .expression_attribute_names("#e", "externalId")
            .expression_attribute_values(":t", text(tenant))
            .expression_attribute_values(":e", text(external_id))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(read_error)?;
        Ok(Items::read(moment, answer))
    }
}

/// A failed call that may be repeated, such as a read: the SDK has retried already.
pub(super) fn read_error<E>(error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match classify(&error) {
        Failed::TryAgain => StoreError::Throttled,
        Failed::Unknown => StoreError::Unavailable(error.into()),
        Failed::Final => backend(error),
    }
}

/// Adds what a read consumed to the request's meter.
pub(super) fn count_read(moment: &Moment, capacity: Option<&ConsumedCapacity>) {
    if let Some(units) = capacity.and_then(ConsumedCapacity::capacity_units) {
        moment.meter().read(units);
    }
}

/// Items by their sort key, for look-ups after a batch get.
pub(super) fn by_key(items: Vec<Item>) -> HashMap<String, Item> {
    let keyed = items.into_iter().filter_map(|item| {
        let key = item.get("key")?.as_s().ok()?.clone();
        Some((key, item))
    });
    keyed.collect()
}
