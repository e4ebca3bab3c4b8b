//! What became of a transaction whose answer was lost.
//!
//! The item that was written carries the write's id, until somebody writes it again. From then on the journal tells: each
//! attempt has its own key there, and what stands under it stays. Without that a write that was done and then
//! overwritten would be taken for one that was not, and done again over what came after it.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use uuid::Uuid;

use super::item::{ItemReader, text};
use super::keys::Key;
use super::read::{count_read, read_error};
use super::{Store, StoreError};
use crate::moment::Moment;

/// How to find out what became of an attempt whose outcome is unknown.
#[derive(Clone, Debug)]
pub(super) enum Trace {
    /// This item carries the write's id when it was done.
    Written(Key),
    /// This item is there when it was done: its key holds an id that this request has minted. Somebody may have
    /// changed the item since, so that it no longer carries the write's id.
    Minted(Key),
    /// This item is gone when it was done.
    Gone(Key),
}

impl Store {
    /// Whether one of these attempts (the write's id, the keys of their journal items, and whether those are held back) was done, and as far as that
    /// is known, the key of its journal item.
    pub(super) async fn was_done(
        &self,
        moment: &Moment,
        tenant: &str,
        trace: &Trace,
        (written_by, attempts): (&str, &[(Uuid, bool)]),
    ) -> Result<Option<Option<Uuid>>, StoreError> {
        let (Trace::Gone(key) | Trace::Minted(key) | Trace::Written(key)) = trace;
        let found = self.get_key(moment, tenant, key).await.map_err(StoreError::midway)?;
        let done = match (trace, &found) {
            (Trace::Gone(_), found) => found.is_none().then_some(None),
            (Trace::Minted(_), found) => found.is_some().then_some(None),
            (Trace::Written(_), None) => None,
            (Trace::Written(_), Some(item)) => {
                let reader = ItemReader::new(item)?;
                let ours = reader.optional("rid") == Some(written_by);
                ours.then(|| reader.change())
            }
        };
        if done.is_some() {
            return Ok(done);
        }
        for (at, is_held) in attempts {
            if *is_held && self.was_held(moment, tenant, *at).await.map_err(StoreError::midway)? {
                return Ok(Some(Some(*at)));
            }
            if self.is_told(moment, tenant, *at).await.map_err(StoreError::midway)? {
                return Ok(Some(Some(*at)));
            }
        }
        Ok(None)
    }

    /// Whether the journal has an item there. A query, because the service may query the journal and not get from it.
    async fn is_told(&self, moment: &Moment, tenant: &str, at: Uuid) -> Result<bool, StoreError> {
        moment.meter().call();
        let answer = self
            .client
            .query()
            .table_name(&self.tables.journal)
            .key_condition_expression("#t = :t AND #a = :a")
            .expression_attribute_names("#t", "tenant")
            .expression_attribute_names("#a", "at")
            .expression_attribute_values(":t", text(tenant))
            .expression_attribute_values(":a", text(at.to_string()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(read_error)?;
        count_read(moment, answer.consumed_capacity());
        Ok(!answer.items().is_empty())
    }
}
