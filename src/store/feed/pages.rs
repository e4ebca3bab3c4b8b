//! A tenant's journal, page by page. A page may hold nothing of ours, because apps write there, too, and more may follow it.

use uuid::Uuid;

use super::Change;
use crate::limits::FEED_PAGE;
use crate::moment::Moment;
use crate::store::{Store, StoreError, TenantId};

/// One tenant's journal between two positions, page by page.
#[derive(Debug)]
pub struct Pages<'a> {
    store: &'a Store,
    tenant: &'a TenantId,
    after: Uuid,
    before: Uuid,
    done: bool,
}

impl<'a> Pages<'a> {
    /// What stands after one and before another position.
    pub fn new(store: &'a Store, tenant: &'a TenantId, (after, before): (Uuid, Uuid)) -> Self {
        Self { store, tenant, after, before, done: false }
    }

    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// As any read.
    pub async fn next(&mut self, moment: &Moment) -> Result<Option<Vec<Change>>, StoreError> {
        if self.done {
            return Ok(None);
        }
        let between = (self.after, self.before);
        let page = self.store.changes(moment, self.tenant, between, FEED_PAGE).await?;
        match page.last {
            Some(last) if page.more => self.after = last,
            _ => self.done = true,
        }
        Ok(Some(page.changes))
    }
}
