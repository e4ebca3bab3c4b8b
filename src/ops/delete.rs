//! DELETE of one resource (RFC 7644 §3.6).

use futures_util::FutureExt as _;

use super::{Call, Failure, Reply, Retry, not_found, until_current};
use crate::scim::catalog::Kind;
use crate::scim::resource::ResourceId;

/// Deletes the resource and its memberships.
///
/// # Errors
/// 404 when there is none in this tenant, 412 when it is at another version than the request says.
pub async fn delete(call: &Call<'_>, kind: Kind, id: &str) -> Result<Reply, Failure> {
    let id = ResourceId::parse(id).ok_or_else(|| not_found(kind))?;
    until_current(call, |_| {
        async {
            let found = call.store.get_whole(&call.cx(), kind, id).await?;
            let whole = found.ok_or_else(|| not_found(kind))?;
            call.preconditions.check(&whole.resource)?;
            let deleted = call.store.delete(&call.cx(), &whole).await;
            deleted.map_err(|error| Retry::of_write(error, &whole.resource))?;
            Ok(Reply::NoContent { version: None })
        }
        .boxed()
    })
    .await
}
