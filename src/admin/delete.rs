//! The end of a tenant: refused, then locked out, then swept.
//!
//! Every step is whole by itself: when it is interrupted, the same command goes on where it stopped. The name rests until
//! the end, because a tenant of that name that came meanwhile would be swept as well.

use std::time::Duration;

use super::{ACTOR, AdminError, with_settings};
use crate::limits::SWEEP_PAUSE;
use crate::moment::Moment;
use crate::store::settings::Status;
use crate::store::{Cx, Settings, Store, StoreError, TenantId};

/// How often the rest of a wait is reported.
const WAIT_SLICE: Duration = Duration::from_secs(1);
/// Looks at the list of tokens; each removes all that it finds.
const TOKEN_ROUNDS_MAX: usize = 100;
/// Steps of the sweep that may fail in a row. Each has tried for `RETRY_DEADLINE`.
const FAILURES_MAX: usize = 5;
/// The settings and the registry's row go together, last. When they do not go, one of them is not there.
const LAST_STEP: usize = 2;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Calls are refused with 403.
    Disabled,
    /// So many tokens are removed: calls are refused with 401.
    TokensRemoved(usize),
    /// So long until nobody can still be writing.
    Waiting(Duration),
    /// So many items are removed so far.
    Swept(usize),
}

/// Deletes a tenant with everything that it has in any table, and returns how many items that were. `settle` is how
/// long a call may go on with a token that is gone: the time for which tokens are remembered, and the function's time
/// limit.
///
/// # Errors
/// When there is no such tenant. After any other error the same call goes on where this one stopped.
pub async fn delete(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
    settle: Duration,
    progress: &mut dyn FnMut(Step),
) -> Result<usize, AdminError> {
    disable(store, &moments(), tenant).await?;
    progress(Step::Disabled);
    let tokens = remove_tokens(store, moments, tenant).await?;
    remove_links(store, moments, tenant).await?;
    progress(Step::TokensRemoved(tokens));
    let moment = moments();
    while let Some(left) = settle.checked_sub(moment.elapsed()).filter(|left| !left.is_zero()) {
        progress(Step::Waiting(left));
        moment.sleep(left.min(WAIT_SLICE)).await;
    }
    sweep(store, moments, tenant, progress).await
}

async fn disable(store: &Store, moment: &Moment, tenant: &TenantId) -> Result<(), AdminError> {
    with_settings(store, moment, tenant, async |cx| match cx.settings.status {
        Status::Deleting => Ok(()),
        Status::Enabled | Status::Disabled | Status::Released => {
            Ok(store.set_status(cx, Status::Deleting, None).await?)
        }
    })
    .await
}

async fn remove_tokens(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
) -> Result<usize, AdminError> {
    let settings = Settings::default();
    let mut removed = 0;
    for _ in 0..TOKEN_ROUNDS_MAX {
        let moment = moments();
        let cx = Cx { tenant, settings: &settings, actor: ACTOR, moment: &moment };
        let tokens = store.token_infos(&cx).await?;
        if tokens.is_empty() {
            return Ok(removed);
        }
        for token in &tokens {
            let moment = moments();
            match store.forget(&Cx { moment: &moment, ..cx }, token).await {
                Ok(()) => removed += 1,
                // Somebody else was faster.
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Err(AdminError::Busy(tenant.clone()))
}

/// Setup links and the sessions that were begun with them: they must not open a later tenant of the same name.
async fn remove_links(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
) -> Result<(), AdminError> {
    let settings = Settings::default();
    for _ in 0..TOKEN_ROUNDS_MAX {
        let moment = moments();
        let cx = Cx { tenant, settings: &settings, actor: ACTOR, moment: &moment };
        let links = store.link_infos(&cx).await?;
        if links.is_empty() {
            return Ok(());
        }
        for link in &links {
            let moment = moments();
            match store.forget_link(&Cx { moment: &moment, ..cx }, link).await {
                // Somebody else was faster.
                Ok(()) | Err(StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Err(AdminError::Busy(tenant.clone()))
}

async fn sweep(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
    progress: &mut dyn FnMut(Step),
) -> Result<usize, AdminError> {
    let settings = Settings::default();
    let (mut swept, mut failures, mut last_steps) = (0, 0, 0);
    loop {
        let moment = moments();
        let cx = Cx { tenant, settings: &settings, actor: ACTOR, moment: &moment };
        match store.delete_tenant_items(&cx).await {
            Ok(0) => return Ok(swept),
            Ok(items) => {
                swept += items;
                failures = 0;
                last_steps = if items <= LAST_STEP { last_steps + 1 } else { 0 };
            }
            Err(StoreError::Throttled) if failures < FAILURES_MAX => failures += 1,
            Err(error) => return Err(error.into()),
        }
        if last_steps > LAST_STEP {
            store.restore_registry_row(&cx).await?;
        }
        progress(Step::Swept(swept));
        moment.sleep(SWEEP_PAUSE).await;
    }
}
