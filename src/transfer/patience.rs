//! Trying again: a long job outlives what a single request gives up at.

use super::TransferError;
use crate::limits::{IMPORT_ATTEMPTS_MAX, IMPORT_PAUSE};
use crate::moment::Moment;
use crate::store::settings::Status;
use crate::store::{Cx, Settings, Store, StoreError, TenantId};

/// Where a transfer works, and on whose behalf.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) store: &'a Store,
    /// A moment for one step: each has a deadline of its own.
    pub(super) moments: &'a dyn Fn() -> Moment,
    pub(super) tenant: &'a TenantId,
}

impl Place<'_> {
    /// The tenant's settings as they are now.
    ///
    /// # Errors
    /// When there is no such tenant, or it is being deleted.
    pub(super) async fn settings(&self) -> Result<Settings, TransferError> {
        let none = Settings::default();
        let found =
            self.patiently(&none, async |cx| self.store.settings(cx.moment, self.tenant).await);
        match found.await? {
            None => Err(TransferError::NoTenant(self.tenant.clone())),
            Some((settings, _)) if settings.status == Status::Deleting => {
                Err(TransferError::BeingDeleted(self.tenant.clone()))
            }
            Some((settings, _)) => Ok(settings),
        }
    }

    /// Does something, again after a pause while the store is overloaded, does not answer, or somebody else was faster.
    ///
    /// # Errors
    /// The last one, after [`IMPORT_ATTEMPTS_MAX`] attempts; at once, when trying again is of no use.
    pub(super) async fn patiently<T>(
        &self,
        settings: &Settings,
        step: impl AsyncFn(&Cx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut attempt = 1;
        loop {
            let moment = (self.moments)();
            let cx = Cx { tenant: self.tenant, settings, actor: super::ACTOR, moment: &moment };
            let error = match step(&cx).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let pause = match error {
                StoreError::Taken(_) | StoreError::Stale | StoreError::StaleMidway => {
                    IMPORT_PAUSE / 10
                }
                StoreError::Throttled | StoreError::Unavailable(_) => IMPORT_PAUSE,
                StoreError::TooLarge
                | StoreError::Refused(_)
                | StoreError::Corrupt(_)
                | StoreError::Backend(_) => return Err(error),
            };
            if attempt == IMPORT_ATTEMPTS_MAX {
                return Err(error);
            }
            moment.sleep(pause * attempt).await;
            attempt += 1;
        }
    }
}
