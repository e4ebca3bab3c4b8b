//! From what a request says of a group's members to the change that the store makes. The one place where a resource
//! type needs code of its own.

use std::collections::HashSet;

use serde_json::Value;

use super::{Call, Failure, Left};
use crate::limits::{MEMBERS_CHANGED_MAX, MEMBERS_READ_MAX};
use crate::scim::catalog::Kind;
use crate::scim::document::Document;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::patch::{MemberDelta, ids};
use crate::scim::resource::{Resource, ResourceId};
use crate::store::members::{MemberChange, unknown_member};
use crate::store::nesting::circle;

/// Takes the members out of a document: they are stored apart. `None` when the request does not speak of them.
pub(super) fn take(
    kind: Kind,
    document: &mut Document,
    body: &Value,
) -> Result<Option<Vec<ResourceId>>, ScimError> {
    let Some(name) = kind.stored_apart() else { return Ok(None) };
    match document.take(name) {
        Some(value) => known(&ids(&value)?).map(Some),
        // `members: []` empties a group, no `members` at all leaves them as they are.
        None => Ok(is_given(body, name).then(Vec::new)),
    }
}

/// Whether the body has an array of that name, in any letter case.
fn is_given(body: &Value, name: &str) -> bool {
    let members = body.as_object().into_iter().flatten();
    members.into_iter().any(|(key, value)| key.eq_ignore_ascii_case(name) && value.is_array())
}

/// The change that makes `wanted` the members of a group.
pub(super) async fn replacement(
    call: &Call<'_>,
    (group, left): (&Resource, Left),
    wanted: &[ResourceId],
) -> Result<MemberChange, Failure> {
    let (cx, store) = (call.cx(), call.store);
    let sweeping = store.sweeping(&cx).await?;
    let current = store.members(&cx, &sweeping, group.id, MEMBERS_READ_MAX).await?;
    let current = current.ok_or_else(|| {
        let detail = format!(
            "members: the group has more than {MEMBERS_READ_MAX} members, too many to be replaced as a whole; add and remove them"
        );
        ScimError::new(ErrorKind::TooMany, detail)
    })?;
    let current: HashSet<ResourceId> = current.iter().map(|member| member.id).collect();
    let goal: HashSet<ResourceId> = wanted.iter().copied().collect();
    let change = MemberChange {
        add: wanted.iter().copied().filter(|id| !current.contains(id)).collect(),
        remove: current.into_iter().filter(|id| !goal.contains(id)).collect(),
        is_begun: left == Left::Rest,
    };
    // How much is left after a part is done, others decide.
    if change.is_begun { Ok(change) } else { bounded(change) }
}

/// The change that a PATCH asks for.
pub(super) async fn patched(
    call: &Call<'_>,
    (group, left): (&Resource, Left),
    delta: &MemberDelta,
) -> Result<MemberChange, Failure> {
    let add = delta.added().iter().map(|id| {
        let known = ResourceId::parse(id).ok_or_else(|| unknown_member(id));
        let known = known.and_then(|known| not_itself(group, known));
        known.map_err(|error| delta.blame(id, error))
    });
    let add: Vec<ResourceId> = add.collect::<Result<_, _>>()?;
    if delta.replaces() {
        return replacement(call, (group, left), &add).await;
    }
    // Entra removes people from groups after it has deleted them: an id that names nothing is no error.
    let remove = delta.removed().iter().filter_map(|id| ResourceId::parse(id)).collect();
    bounded(MemberChange { add, remove, is_begun: left == Left::Rest })
}

/// What the store refused of a change that a PATCH asked for: about an id that names nothing or would close a circle, with
/// the operation that adds it.
pub(super) fn blame(delta: &MemberDelta, error: ScimError) -> ScimError {
    let is_about = |id: &&String| {
        ResourceId::parse(id)
            .is_some_and(|id| [unknown_member(&id.to_string()), circle(id)].contains(&error))
    };
    match delta.added().iter().find(is_about) {
        Some(id) => delta.blame(id, error),
        None => error,
    }
}

fn not_itself(group: &Resource, id: ResourceId) -> Result<ResourceId, ScimError> {
    if id == group.id {
        let detail = "members: a group cannot be a member of itself";
        return Err(ScimError::new(ErrorKind::InvalidValue, detail));
    }
    Ok(id)
}

/// Refuses a change of more memberships than one request may make.
pub(super) fn bounded(change: MemberChange) -> Result<MemberChange, Failure> {
    if change.memberships() <= MEMBERS_CHANGED_MAX {
        return Ok(change);
    }
    let detail = format!(
        "members: a request may change {MEMBERS_CHANGED_MAX} memberships and this one changes {}; split it, or DELETE the group",
        change.memberships()
    );
    Err(ScimError::new(ErrorKind::TooMany, detail).into())
}

/// Ids that could be ours; one that could not names nothing here.
fn known(ids: &[String]) -> Result<Vec<ResourceId>, ScimError> {
    ids.iter().map(|id| ResourceId::parse(id).ok_or_else(|| unknown_member(id))).collect()
}
