//! PATCH: some attributes of a resource are changed (RFC 7644 §3.5.2), in either of Entra's dialects.
//!
//! All operations of a request or none. A user is answered 200 with the resource; a group 204, whatever its size, unless
//! `attributes` or `excludedAttributes` ask for it.

use futures_util::FutureExt as _;
use serde_json::Value;

use super::{
    Call, Failure, Left, Reply, Retry, memberships, not_found, replace, represent, until_current,
};
use crate::scim::catalog::Kind;
use crate::scim::patch::PatchRequest;
use crate::scim::resource::ResourceId;
use crate::store::journal::Event;
use crate::store::members::MemberChange;

/// Applies the body's operations.
///
/// # Errors
/// 404, 412, 400 when an operation cannot be applied, 409 when the new name is taken.
pub async fn patch(call: &Call<'_>, kind: Kind, id: &str, body: &Value) -> Result<Reply, Failure> {
    let id = ResourceId::parse(id).ok_or_else(|| not_found(kind))?;
    let resource_type = call.resource_type(kind);
    let request = PatchRequest::parse(resource_type, body)?;
    call.moment.note_quirks(request.quirks());
    let resource = until_current(call, |left| {
        let request = &request;
        async move {
            let found = call.store.get(&call.cx(), kind, id).await?;
            let before = found.ok_or_else(|| not_found(kind))?;
            call.preconditions.check(&before)?;
            let document = if request.touches_document() {
                match request.apply(resource_type, &before.document) {
                    // It was applied before: there may be nothing left that a filter chooses.
                    Err(_) if left == Left::Rest => before.document.clone(),
                    applied => applied?,
                }
            } else {
                before.document.clone()
            };
            let change = match request.members() {
                None => MemberChange::default(),
                Some(delta) => memberships::patched(call, (&before, left), delta).await?,
            };
            let written = replace::write(call, &before, document, change, Event::Patch).await;
            written.map_err(|retry| name_operation(request, retry))
        }
        .boxed()
    })
    .await?;
    let answers_without_body = kind.stored_apart().is_some() && call.projection.is_default();
    if answers_without_body {
        return Ok(Reply::NoContent { version: Some(resource.version) });
    }
    Ok(represent::written(call, &resource).await)
}

/// A refusal of the store's, with the operation that it is about.
fn name_operation(request: &PatchRequest, retry: Retry) -> Retry {
    match (request.members(), retry) {
        (Some(delta), Retry::Failed(Failure { error, cause, retry_after })) => {
            Retry::Failed(Failure { error: memberships::blame(delta, error), cause, retry_after })
        }
        (_, retry) => retry,
    }
}
