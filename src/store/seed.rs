//! Tenants of any size for benchmarks and tests: the items that creations would have left, in batches, without conditions
//! and without a journal. Only for a tenant that nobody else uses; the functions do not have it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};

use super::item::{self, CHANGE, Item, bare, key_of_resource, number, text};
use super::keys::Key;
use super::read::read_error;
use super::resources::minted_key;
use super::write::{Backoff, Change, Condition, Transaction};
use super::{Cx, Store, StoreError};
use crate::scim::catalog::Kind;
use crate::scim::resource::{Resource, ResourceId};

/// Items of one BatchWriteItem (API_BatchWriteItem).
const BATCH: usize = 25;

impl Store {
    /// Writes resources of one kind that nobody has, each of which will be in so many groups.
    ///
    /// # Errors
    /// As any write; what is written then stays.
    pub async fn seed(&self, cx: &Cx<'_>, resources: &[(Resource, u64)]) -> Result<(), StoreError> {
        let mut items = Vec::new();
        let mut counts = HashMap::new();
        for (resource, groups) in resources {
            let mut t = Transaction::new(cx.moment.request_id(), cx.moment.mint_uuid());
            self.creation(&mut t, cx, resource)?;
            let minted = minted_key(resource);
            let own = key_of_resource(resource)?;
            for action in t.actions {
                let Some(put) = action.put else { continue };
                let mut item = put.item;
                // No item of the journal tells of it.
                item.remove(CHANGE);
                let key = Key::in_item(&item);
                if key.as_ref() == Some(&minted) {
                    item.insert("memberships".to_owned(), number(groups));
                } else if key.as_ref() == Some(&own) {
                    item.remove("memberships");
                }
                items.push(item);
            }
            *counts.entry(resource.kind).or_insert(0) += 1;
        }
        self.put_batches(cx, items).await?;
        for (kind, count) in counts {
            let set = vec![("v".to_owned(), number(item::FORMAT))];
            let change = Change { set, add: vec![("n", count)], remove: Vec::new() };
            let (tenant, key) = (cx.tenant.as_str(), Key::count(kind, 0));
            self.update_alone(cx.moment, tenant, &key, change, Condition::Any).await?;
        }
        Ok(())
    }

    /// Makes people members of a group; they were seeded with it among their groups.
    ///
    /// # Errors
    /// As any write; what is written then stays.
    pub async fn seed_members(
        &self,
        cx: &Cx<'_>,
        group: ResourceId,
        people: &[ResourceId],
    ) -> Result<(), StoreError> {
        let tenant = cx.tenant.as_str();
        let pairs = people.iter().flat_map(|id| {
            let mut member = bare(tenant, &Key::member(group, *id));
            member.insert(super::roll::TYPE.to_owned(), text(Kind::User.name()));
            [member, bare(tenant, &Key::member_of(*id, group))]
        });
        self.put_batches(cx, pairs.collect()).await
    }

    async fn put_batches(&self, cx: &Cx<'_>, items: Vec<Item>) -> Result<(), StoreError> {
        let mut left: Vec<WriteRequest> = Vec::with_capacity(items.len());
        for item in items {
            let put = PutRequest::builder().set_item(Some(item)).build();
            let put = put.map_err(super::error::backend)?;
            left.push(WriteRequest::builder().put_request(put).build());
        }
        let mut backoff = Backoff::new(cx.moment);
        while !left.is_empty() {
            let batch = left.split_off(left.len().saturating_sub(BATCH));
            cx.moment.meter().call();
            let request =
                self.client.batch_write_item().request_items(&self.tables.directory, batch);
            let answer = request.send().await.map_err(read_error)?;
            let unprocessed = answer.unprocessed_items.unwrap_or_default();
            let unprocessed: Vec<_> = unprocessed.into_values().flatten().collect();
            if !unprocessed.is_empty() {
                left.extend(unprocessed);
                backoff.pause().await?;
            }
        }
        Ok(())
    }
}
