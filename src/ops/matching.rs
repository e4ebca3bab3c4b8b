//! What of one kind a list is made of (RFC 7644 §3.4.2): all of it, nothing, or what matches a filter. Whatever a plan
//! finds, the whole filter is evaluated on it, with as many memberships as that takes.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::represent::{Memberships, Way, group_entry, insert, member_entry};
use super::{Call, Failure};
use crate::limits::{PAIRS_LOOKED_UP_MAX, SORTED_MAX, WHOLE_LOOKED_UP_MAX};
use crate::scim::catalog::{Kind, ResourceType};
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::filter::{Bound, Filter, Usage};
use crate::scim::fold::fold;
use crate::scim::resource::{Resource, ResourceId};
use crate::store::plan::{Plan, plan};

/// What of a kind is asked for.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// All of it.
    All,
    /// What matches; nothing, when it is known before anything is read.
    Matching(Bound<'a>),
}

/// What of each kind a filter asks for, in order. With several kinds, an attribute that one of them lacks has no value
/// there (RFC 7644 §3.4.2.1).
pub(super) fn parts<'a>(
    kinds: &[Kind],
    types: &'a [&'a ResourceType],
    filter: Option<&Filter>,
) -> Result<Vec<(Kind, Part<'a>)>, ScimError> {
    let part = |(kind, resource_type): (&Kind, &&'a ResourceType)| {
        let Some(filter) = filter else { return Ok((*kind, Part::All)) };
        let bound = filter.bind_among(resource_type, types)?;
        let part = if bound.constant() == Some(true) { Part::All } else { Part::Matching(bound) };
        Ok((*kind, part))
    };
    kinds.iter().zip(types).map(part).collect()
}

/// The resources of a kind, in order of creation, each with `told` of its representation, when there are no more than can be
/// sorted.
pub(super) async fn everything<T>(
    call: &Call<'_>,
    kind: Kind,
    told: impl Fn(&Map<String, Value>) -> T,
) -> Result<Vec<(Resource, T)>, Failure> {
    let (cx, resource_type) = (call.cx(), call.resource_type(kind));
    // Not to be read in vain.
    if call.store.count(&cx, kind).await? > SORTED_MAX {
        return Err(too_many_to_sort());
    }
    let mut all = call.store.candidates(&cx, kind, &Plan::Everything).await?;
    all.sort_by_key(|resource| resource.id);
    let with = |resource: Resource| {
        let told = told(&resource.to_value(resource_type, call.base));
        (resource, told)
    };
    Ok(all.into_iter().map(with).collect())
}

/// The refusal to sort a list that is too long for it.
pub(super) fn too_many_to_sort() -> Failure {
    let detail = format!(
        "sortBy: a list is sorted with up to {SORTED_MAX} resources, and this one has more; narrow it with a filter, or leave \
         sortBy out and take it in order of creation"
    );
    ScimError::new(ErrorKind::TooMany, detail).into()
}

/// The resources of a kind that match a filter, in order of creation, each with `told` of its representation.
pub(super) async fn matching<T>(
    call: &Call<'_>,
    kind: Kind,
    filter: &Bound<'_>,
    told: impl Fn(&Map<String, Value>) -> T,
) -> Result<Vec<(Resource, T)>, Failure> {
    let resource_type = call.resource_type(kind);
    let plan = plan(resource_type, call.caller.settings(), filter);
    let candidates = call.store.candidates(&call.cx(), kind, &plan).await?;
    let mut entries = load_memberships(call, kind, &candidates, filter).await?;
    let mut found = Vec::new();
    for resource in candidates {
        let mut whole = resource.to_value(resource_type, call.base);
        if let Some((name, entries)) = entries.remove(&resource.id) {
            insert(&mut whole, name, entries);
        }
        if filter.matches(&whole) {
            let told = told(&whole);
            found.push((resource, told));
        }
    }
    found.sort_by_key(|(resource, _)| resource.id);
    Ok(found)
}

/// The entries of one attribute of one resource.
type Entries = HashMap<ResourceId, (&'static str, Vec<Value>)>;

/// As many memberships as the filter needs to be exact: only those that it names when it only compares with these, so
/// that a check of one membership costs the same in a group of any size.
async fn load_memberships(
    call: &Call<'_>,
    kind: Kind,
    candidates: &[Resource],
    filter: &Bound<'_>,
) -> Result<Entries, Failure> {
    let Some(name) = kind.stored_apart().or(kind.computed()) else { return Ok(Entries::new()) };
    match filter.usage(name) {
        Usage::Absent => Ok(Entries::new()),
        Usage::Values(values) => named(call, (kind, name), candidates, &parsed(&values)).await,
        Usage::Whole => whole(call, (kind, name), candidates).await,
    }
}

/// The memberships of the candidates with these ids.
async fn named(
    call: &Call<'_>,
    (kind, name): (Kind, &'static str),
    candidates: &[Resource],
    ids: &[ResourceId],
) -> Result<Entries, Failure> {
    let cx = call.cx();
    let sweeping = Memberships::new(call).sweeping(call).await?;
    let pairs = candidates.iter().flat_map(|candidate| {
        ids.iter().map(|id| match kind {
            Kind::Group | Kind::Custom(_) => (candidate.id, *id),
            Kind::User => (*id, candidate.id),
        })
    });
    let pairs: Vec<_> = pairs.take(PAIRS_LOOKED_UP_MAX + 1).collect();
    if pairs.len() > PAIRS_LOOKED_UP_MAX {
        return Err(too_many(name));
    }
    let found = call.store.memberships_among(&cx, &sweeping, &pairs).await?;
    let mut entries = Entries::new();
    let mut add = |id: ResourceId, entry: Value| {
        entries.entry(id).or_insert_with(|| (name, Vec::new())).1.push(entry);
    };
    match kind {
        Kind::Group => {
            for (group, member) in &found {
                add(*group, member_entry(call, member));
            }
        }
        Kind::User => {
            let groups = call.store.get_many(&cx, Kind::Group, ids).await?;
            for (id, member) in &found {
                if let Some(group) = groups.iter().find(|group| group.id == *id) {
                    add(member.id, group_entry(call, group, Way::Direct));
                }
            }
        }
        // They have no memberships.
        Kind::Custom(_) => {}
    }
    Ok(entries)
}

/// All memberships of the candidates.
async fn whole(
    call: &Call<'_>,
    (kind, name): (Kind, &'static str),
    candidates: &[Resource],
) -> Result<Entries, Failure> {
    if candidates.len() > WHOLE_LOOKED_UP_MAX {
        return Err(too_many(name));
    }
    let mut memberships = Memberships::new(call);
    let mut entries = Entries::new();
    for candidate in candidates {
        let of = match kind {
            Kind::Group => memberships.members_of(call, candidate.id).await?,
            // What `groups.value eq` finds: the members. A filter does not climb.
            Kind::User => memberships.direct_groups_of(call, candidate.id).await?,
            Kind::Custom(_) => Vec::new(),
        };
        entries.insert(candidate.id, (name, of));
    }
    Ok(entries)
}

fn too_many(name: &str) -> Failure {
    let detail = format!(
        "this filter would look at too many memberships; compare {name}.value with eq, or add an eq comparison of id"
    );
    ScimError::new(ErrorKind::TooMany, detail).into()
}

/// Ids that could be ours, each once. References are compared without regard to letter case, and ids are lower case.
fn parsed(ids: &[String]) -> Vec<ResourceId> {
    let ids = ids.iter().filter_map(|id| ResourceId::parse(&fold(id)));
    let mut ids: Vec<ResourceId> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
