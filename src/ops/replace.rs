//! PUT: a resource is replaced (RFC 7644 §3.5.1).

use futures_util::FutureExt as _;
use serde_json::Value;

use super::create::name_of;
use super::{
    Call, Failure, Reply, Retry, explain_taken, memberships, not_found, represent, until_current,
};
use crate::scim::catalog::Kind;
use crate::scim::document::Document;
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::{domain, validate};
use crate::store::StoreError;
use crate::store::journal::Event;
use crate::store::members::MemberChange;

/// Replaces the resource's attributes by those of the body. Members that the body does not speak of stay.
///
/// # Errors
/// 404, 412, 400 when the body does not fit the schemas, 409 when its name is taken.
pub async fn replace(
    call: &Call<'_>,
    kind: Kind,
    id: &str,
    body: &Value,
) -> Result<Reply, Failure> {
    let id = ResourceId::parse(id).ok_or_else(|| not_found(kind))?;
    let resource = until_current(call, |left| {
        async move {
            let found = call.store.get(&call.cx(), kind, id).await?;
            let before = found.ok_or_else(|| not_found(kind))?;
            call.preconditions.check(&before)?;
            let resource_type = call.resource_type(kind);
            let mut document = validate::replacement(resource_type, body, &before.document)?;
            let change = match memberships::take(kind, &mut document, body)? {
                None => MemberChange::default(),
                Some(wanted) => memberships::replacement(call, (&before, left), &wanted).await?,
            };
            write(call, &before, document, change, Event::Put).await
        }
        .boxed()
    })
    .await?;
    Ok(represent::written(call, &resource).await)
}

/// Writes what a PUT or PATCH has made of a resource, if the tenant takes it so.
pub(super) async fn write(
    call: &Call<'_>,
    before: &Resource,
    document: Document,
    change: MemberChange,
    event: Event,
) -> Result<Resource, Retry> {
    domain::check(&call.caller.settings().domains, Some(&before.document), &document)?;
    let wanted = Resource { document: document.clone(), ..before.clone() };
    match call.store.replace(&call.cx(), before, document, change, event).await {
        Ok(resource) => Ok(resource),
        Err(StoreError::Taken(field)) => {
            let name = name_of(field, &wanted).map(ToOwned::to_owned);
            Err(explain_taken(call, field, name.as_deref()).await.into())
        }
        Err(error) => Err(Retry::of_write(error, before)),
    }
}
