//! The end of SCIM for a tenant whose people stay: a customer goes on without provisioning.
//!
//! One transaction ends it: the status, every live token, and the journal's item for the app. Nobody is removed or
//! switched off. `tenants::enable` takes SCIM up again.

use super::{AdminError, not_deleting, with_settings};
use crate::moment::Moment;
use crate::store::settings::Status;
use crate::store::{Store, TenantId};

/// Releases a tenant, and returns how many tokens were revoked. One that is released already is left alone, but for
/// tokens that it has got since.
///
/// # Errors
/// When there is none of that name, or it is being deleted.
pub async fn release(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<usize, AdminError> {
    with_settings(store, moment, tenant, async |cx| {
        not_deleting(tenant, cx.settings)?;
        let now = moment.now();
        let tokens = store.token_infos(cx).await?;
        let is_done = !tokens.iter().any(|token| token.is_alive(now));
        if cx.settings.status == Status::Released && is_done {
            return Ok(0);
        }
        Ok(store.release(cx).await?)
    })
    .await
}
