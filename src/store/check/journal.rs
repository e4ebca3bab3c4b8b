//! The last change of each resource against the journal, which tells it in the same transaction: where it is not there, it
//! has expired or was lost.

use uuid::Uuid;

use super::super::StoreError;
use super::super::feed::{Change, is_older};
use super::facts::Facts;
use super::{Check, Progress};
use crate::limits::{BATCH_GET_MAX, JOURNAL_KEPT_DAYS_MIN};
use crate::moment::Timestamp;

impl Check<'_> {
    /// Notes which changes the journal should have and has not.
    pub(super) async fn look_up_changes(
        &self,
        facts: &mut Facts<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        let changes = facts.changes();
        let mut missing = Vec::new();
        let mut looked_up = 0;
        for chunk in changes.chunks(BATCH_GET_MAX) {
            let moment = (self.moments)();
            let there = self.store.positions_there(&moment, self.tenant, chunk).await?;
            missing.extend(chunk.iter().copied().filter(|at| !there.contains(at)));
            looked_up += chunk.len();
            progress(Progress::LookedUp { changes: looked_up, of: changes.len() });
        }
        if missing.is_empty() {
            return Ok(());
        }
        let oldest = self.next_change(Uuid::nil()).await?;
        // They are in order, so that one look serves all that are missing before the same item.
        let mut next: Option<Option<Change>> = None;
        for at in missing {
            let is_before = |next: &Option<Change>| next.as_ref().is_none_or(|next| at < next.at);
            let following = match next.take().filter(is_before) {
                Some(known) => known,
                None => self.next_change(at).await?,
            };
            let now = (self.moments)().now();
            let kept_days = self.store.journal_days();
            if !has_expired(at, kept_days, (oldest.as_ref(), following.as_ref()), now) {
                facts.lost.insert(at);
            }
            next = Some(following);
        }
        Ok(())
    }

    /// The first item of the journal behind a position.
    async fn next_change(&self, at: Uuid) -> Result<Option<Change>, StoreError> {
        let behind = (at, Uuid::max());
        match self.store.changes(&(self.moments)(), self.tenant, behind, 1).await {
            Ok(page) => Ok(page.changes.into_iter().next()),
            // It is there, and says nothing.
            Err(StoreError::Corrupt(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether what is missing may have expired: for how long items are kept is a setting, and the items around say it.
fn has_expired(
    at: Uuid,
    kept_days: i64,
    around: (Option<&Change>, Option<&Change>),
    now: Timestamp,
) -> bool {
    let (oldest, following) = around;
    let is_before_all = oldest.is_some_and(|oldest| at < oldest.at);
    let beside = following.or(oldest);
    (is_before_all && is_older(at, JOURNAL_KEPT_DAYS_MIN, now))
        || beside.map_or_else(
            || is_older(at, kept_days, now),
            |beside| beside.would_have_expired(at, now),
        )
}
