//! GET of one resource (RFC 7644 §3.4.1).

use super::represent::{self, Memberships};
use super::{Call, Failure, Reply, not_found};
use crate::scim::catalog::Kind;
use crate::scim::resource::ResourceId;

/// The resource with that id.
///
/// # Errors
/// 404 when there is none in this tenant, 412 when it is at another version than `If-Match` says.
pub async fn read(call: &Call<'_>, kind: Kind, id: &str) -> Result<Reply, Failure> {
    let id = ResourceId::parse(id).ok_or_else(|| not_found(kind))?;
    let found = call.store.get(&call.cx(), kind, id).await?;
    let resource = found.ok_or_else(|| not_found(kind))?;
    call.preconditions.check_match(&resource)?;
    let location = resource.location(call.resource_type(kind), call.base);
    if call.preconditions.is_not_modified(&resource) {
        return Ok(Reply::NotModified { location, version: resource.version });
    }
    let body = represent::represent(call, &mut Memberships::new(call), &resource).await?;
    Ok(Reply::Resource { body, location, version: resource.version })
}
