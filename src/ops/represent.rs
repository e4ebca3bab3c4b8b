//! From a stored resource to what its reader gets: memberships are read only when the answer shows them, and no answer
//! carries more of them than Lambda can return.

use serde_json::{Map, Value, json};

use super::{Call, Failure, Reply};
use crate::limits::{
    MEMBERS_COMPRESSED_MAX, MEMBERS_READ_MAX, NESTED_GROUPS_MAX, NESTING_DEPTH_MAX,
};
use crate::scim::catalog::Kind;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::resource::{self, Resource, ResourceId};
use crate::scim::well_known;
use crate::store::members::Member;
use crate::store::nesting::{Above, Nestable};
use crate::store::work::Sweeping;

/// The memberships that one answer shows: what is being swept is read once, before the first of them, and together they
/// have a bound.
#[derive(Debug)]
pub(super) struct Memberships {
    sweeping: Option<Sweeping>,
    above: Above,
    left: usize,
}

/// How somebody is in a group (RFC 7643 §4.1.2).
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// As a member of it.
    Direct,
    /// As a member of a group that is in it.
    Indirect,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Indirect => "indirect",
        }
    }
}

impl Memberships {
    /// For one answer.
    pub(super) fn new(call: &Call<'_>) -> Self {
        Self { sweeping: None, above: Above::default(), left: call.members_max }
    }

    /// What is being swept, as of the first look.
    pub(super) async fn sweeping(&mut self, call: &Call<'_>) -> Result<Sweeping, Failure> {
        if let Some(sweeping) = &self.sweeping {
            return Ok(sweeping.clone());
        }
        let sweeping = call.store.sweeping(&call.cx()).await?;
        self.sweeping = Some(sweeping.clone());
        Ok(sweeping)
    }

    /// The entries of a group's `members`.
    pub(super) async fn members_of(
        &mut self,
        call: &Call<'_>,
        group: ResourceId,
    ) -> Result<Vec<Value>, Failure> {
        let sweeping = self.sweeping(call).await?;
        let members = call.store.members(&call.cx(), &sweeping, group, self.left).await?;
        let members = members.ok_or_else(|| too_many(call, Kind::Group, group))?;
        self.left = self.left.saturating_sub(members.len());
        Ok(members.iter().map(|member| member_entry(call, member)).collect())
    }

    /// The entries of a user's `groups`: of those that it is a member of, and behind them of those that these are in. What
    /// is above a group is only read of one that has ever been a member of another.
    pub(super) async fn groups_of(
        &mut self,
        call: &Call<'_>,
        member: ResourceId,
    ) -> Result<Vec<Value>, Failure> {
        let direct = self.direct_groups(call, member).await?;
        let above = call.store.above(&call.cx(), &mut self.above, &direct).await?;
        let above = above.ok_or_else(too_nested)?;
        let left = self.left.checked_sub(above.len());
        self.left = left.ok_or_else(|| too_many(call, Kind::User, member))?;
        let direct = direct.iter().map(|one| group_entry(call, &one.group, Way::Direct));
        let above = above.iter().map(|group| group_entry(call, group, Way::Indirect));
        Ok(direct.chain(above).collect())
    }

    /// The entries of those of a user's `groups` that it is a member of.
    pub(super) async fn direct_groups_of(
        &mut self,
        call: &Call<'_>,
        member: ResourceId,
    ) -> Result<Vec<Value>, Failure> {
        let direct = self.direct_groups(call, member).await?;
        Ok(direct.iter().map(|one| group_entry(call, &one.group, Way::Direct)).collect())
    }

    async fn direct_groups(
        &mut self,
        call: &Call<'_>,
        member: ResourceId,
    ) -> Result<Vec<Nestable>, Failure> {
        let (cx, sweeping) = (call.cx(), self.sweeping(call).await?);
        // Each of them is read.
        let most = self.left.min(MEMBERS_READ_MAX);
        let ids = call.store.groups_of(&cx, &sweeping, member, most).await?;
        let ids = ids.ok_or_else(|| too_many(call, Kind::User, member))?;
        self.left = self.left.saturating_sub(ids.len());
        Ok(call.store.nestable(&cx, &ids).await?)
    }
}

/// The representation with `members` or `groups` where the projection wants them.
pub(super) async fn represent(
    call: &Call<'_>,
    memberships: &mut Memberships,
    resource: &Resource,
) -> Result<Value, Failure> {
    let kind = resource.kind;
    let resource_type = call.resource_type(kind);
    let mut whole = resource.to_value(resource_type, call.base);
    if let Some(name) = kind.stored_apart()
        && call.projection.wants(resource_type, name)
    {
        insert(&mut whole, name, memberships.members_of(call, resource.id).await?);
    }
    if let Some(name) = kind.computed()
        && call.projection.wants(resource_type, name)
    {
        insert(&mut whole, name, memberships.groups_of(call, resource.id).await?);
    }
    Ok(Value::Object(call.projection.apply(resource_type, whole)))
}

/// The representation of what was just written. The write stands, so where its memberships cannot be shown (there are
/// too many, or the store fails now) the answer is without them and no error.
pub(super) async fn represent_written(call: &Call<'_>, resource: &Resource) -> Value {
    if let Ok(body) = represent(call, &mut Memberships::new(call), resource).await {
        return body;
    }
    let resource_type = call.resource_type(resource.kind);
    let whole = resource.to_value(resource_type, call.base);
    Value::Object(call.projection.apply(resource_type, whole))
}

/// The representation of what was just created, with these members: nobody else knows its id yet, so there is nothing to
/// read. Where they are not known, they are read.
pub(super) async fn represent_created(
    call: &Call<'_>,
    resource: &Resource,
    members: Option<&[Member]>,
) -> Value {
    let Some(members) = members else { return represent_written(call, resource).await };
    let resource_type = call.resource_type(resource.kind);
    let mut whole = resource.to_value(resource_type, call.base);
    if let Some(name) = resource.kind.stored_apart() {
        let entries = members.iter().map(|member| member_entry(call, member)).collect();
        insert(&mut whole, name, entries);
    }
    Value::Object(call.projection.apply(resource_type, whole))
}

/// 200 with the representation of what was just written.
pub(super) async fn written(call: &Call<'_>, resource: &Resource) -> Reply {
    let location = resource.location(call.resource_type(resource.kind), call.base);
    let body = represent_written(call, resource).await;
    Reply::Resource { body, location, version: resource.version }
}

/// An entry of a group's `members`.
pub(super) fn member_entry(call: &Call<'_>, member: &Member) -> Value {
    let location = resource::location(call.resource_type(member.kind), member.id, call.base);
    json!({
        well_known::VALUE: member.id.to_string(),
        well_known::REF: location,
        well_known::TYPE: member.kind.name(),
    })
}

/// An entry of a user's `groups`.
pub(super) fn group_entry(call: &Call<'_>, group: &Resource, way: Way) -> Value {
    json!({
        well_known::VALUE: group.id.to_string(),
        well_known::REF: group.location(call.resource_type(Kind::Group), call.base),
        well_known::DISPLAY: group.document.text(well_known::DISPLAY_NAME),
        well_known::TYPE: way.word(),
    })
}

/// Puts an array into a representation, unless it is empty.
pub(super) fn insert(whole: &mut Map<String, Value>, name: &str, entries: Vec<Value>) {
    if !entries.is_empty() {
        whole.insert(name.to_owned(), Value::Array(entries));
    }
}

/// The refusal of an answer for which too much would have to be read of which groups are in which.
fn too_nested() -> ScimError {
    let groups = well_known::GROUPS;
    let detail = format!(
        "{groups}: the answer would look through more than {NESTED_GROUPS_MAX} groups that have groups as members, or deeper \
         than {NESTING_DEPTH_MAX}; leave {groups} out, or nest fewer groups"
    );
    ScimError::new(ErrorKind::TooMany, detail)
}

/// The refusal of an answer with too many memberships, which says where they can be read page by page.
fn too_many(call: &Call<'_>, kind: Kind, id: ResourceId) -> ScimError {
    let (own, other, there, most) = match kind {
        Kind::Group => (well_known::MEMBERS, "Users", well_known::GROUPS, call.members_max),
        Kind::User | Kind::Custom(_) => {
            (well_known::GROUPS, "Groups", well_known::MEMBERS, MEMBERS_READ_MAX)
        }
    };
    let mut detail = format!(
        "the answer would show more than {most} memberships; read them in pages, with GET /{other}?filter={there}.value eq \"{id}\" \
         and startIndex and count, or leave them out, with excludedAttributes={own}"
    );
    if kind == Kind::Group && most < MEMBERS_COMPRESSED_MAX {
        detail = format!(
            "{detail}; to a client that sends Accept-Encoding: gzip, one answer shows {MEMBERS_COMPRESSED_MAX}"
        );
    }
    ScimError::new(ErrorKind::TooMany, detail)
}
