//! POST: a new resource (RFC 7644 §3.3).

use serde_json::Value;

use super::{Call, Failure, Reply, explain_taken, memberships, represent};
use crate::scim::catalog::Kind;
use crate::scim::resource::Resource;
use crate::scim::{domain, validate, well_known};
use crate::store::members::MemberChange;
use crate::store::{Field, StoreError};

/// Stores what the body describes under a fresh id.
///
/// # Errors
/// 400 when the body does not fit the schemas, 409 when its name is taken.
pub async fn create(call: &Call<'_>, kind: Kind, body: &Value) -> Result<Reply, Failure> {
    let resource_type = call.resource_type(kind);
    let mut document = validate::document(resource_type, body)?;
    domain::check(&call.caller.settings().domains, None, &document)?;
    let members = memberships::take(kind, &mut document, body)?.unwrap_or_default();
    let members = memberships::bounded(MemberChange::adding(&members))?.add;
    let resource = Resource::new(kind, document, call.moment);
    let members = match call.store.create(&call.cx(), &resource, &members).await {
        Ok(members) => members,
        Err(StoreError::Taken(field)) => {
            let name = name_of(field, &resource).map(ToOwned::to_owned);
            return Err(explain_taken(call, field, name.as_deref()).await);
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Reply::Created {
        body: represent::represent_created(call, &resource, members.as_deref()).await,
        location: resource.location(resource_type, call.base),
        version: resource.version,
    })
}

/// The value of the attribute that is unique.
pub(super) fn name_of(field: Field, resource: &Resource) -> Option<&str> {
    resource.document.text(match field {
        Field::UserName => well_known::USER_NAME,
        Field::GroupName => well_known::DISPLAY_NAME,
    })
}
