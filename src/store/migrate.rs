//! Users and groups from the format before to the one that is written now.
//!
//! An item is moved by a write of its number alone, on the condition that it still is as it was read: its version stays,
//! the journal says nothing, and whoever writes it meanwhile wins. Format 2 is format 1 with room for `appId`; a format
//! that needs more than a new number gets its change here.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

use super::item::{Item, ItemReader, RESOURCE_FORMAT, key_of, number, text};
use super::keys::{self, Key};
use super::read::{count_read, read_error};
use super::write::{Change, Condition};
use super::{Cx, Store, StoreError};
use crate::scim::catalog::Kind;

/// An item of the format before, as far as its move needs it.
#[derive(Clone, Debug)]
pub struct Old {
    key: Key,
    id: String,
    version: u64,
}

/// A place in the list of a kind's items.
#[derive(Clone, Debug)]
pub struct Place(Key);

/// Some items of a kind.
#[derive(Clone, Debug)]
pub struct FormatPage {
    /// How many there are of each format.
    pub counted: BTreeMap<u64, usize>,
    /// Those of the format before.
    pub old: Vec<Old>,
    /// Where to go on.
    pub next: Option<Place>,
}

/// What became of an item that was to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It is of the current format now.
    Done,
    /// It was written or removed meanwhile: look again.
    Changed,
}

impl Store {
    /// The formats of a kind's items, page by page, strongly consistent.
    ///
    /// # Errors
    /// As any read; [`StoreError::Corrupt`] for an item that is none of ours.
    pub async fn formats(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        after: Option<&Place>,
        most: usize,
    ) -> Result<FormatPage, StoreError> {
        let prefix = keys::items_prefix(kind);
        let tenant = cx.tenant.as_str();
        cx.moment.meter().call();
        let answer = self
            .client
            .query()
            .table_name(&self.tables.directory)
            .key_condition_expression("#t = :t AND begins_with(#k, :p)")
            .expression_attribute_names("#t", "tenant")
            .expression_attribute_names("#k", "key")
            .expression_attribute_names("#v", "v")
            .expression_attribute_names("#n", "version")
            .expression_attribute_values(":t", text(tenant))
            .expression_attribute_values(":p", text(prefix))
            .projection_expression("#k, id, #v, #n")
            .set_exclusive_start_key(after.map(|place| key_of(tenant, &place.0)))
            .limit(i32::try_from(most.max(1)).unwrap_or(i32::MAX))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(read_error)?;
        count_read(cx.moment, answer.consumed_capacity());
        let mut page = FormatPage {
            counted: BTreeMap::new(),
            old: Vec::new(),
            next: answer.last_evaluated_key.as_ref().and_then(Key::in_item).map(Place),
        };
        for item in answer.items() {
            let (format, old) = read(item)?;
            *page.counted.entry(format).or_default() += 1;
            page.old.extend(old);
        }
        Ok(page)
    }

    /// Moves an item to the current format.
    ///
    /// # Errors
    /// As any write; repeating it does no harm.
    pub async fn move_format(&self, cx: &Cx<'_>, old: &Old) -> Result<Moved, StoreError> {
        let set = vec![("v".to_owned(), number(RESOURCE_FORMAT))];
        let change = Change { set, ..Change::default() };
        let as_read = Condition::Equal(vec![
            ("v", number(RESOURCE_FORMAT - 1)),
            ("id", text(old.id.as_str())),
            ("version", number(old.version)),
        ]);
        let tenant = cx.tenant.as_str();
        let done = self.update_alone(cx.moment, tenant, &old.key, change, as_read).await?;
        Ok(if done { Moved::Done } else { Moved::Changed })
    }
}

/// An item's format, and the item when that is the one before. One of any other format can be counted, not read.
fn read(item: &Item) -> Result<(u64, Option<Old>), StoreError> {
    let reader = ItemReader::unread(item);
    let format: u64 = reader.number("v")?;
    if format + 1 != RESOURCE_FORMAT {
        return Ok((format, None));
    }
    let (key, id) = (reader.key()?, reader.text("id")?.to_owned());
    Ok((format, Some(Old { key, id, version: reader.number("version")? })))
}
