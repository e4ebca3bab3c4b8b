//! GET of a list, of one kind or, at the root, of all, and POST to `/.search`, which asks the same (RFC 7644 §3.4.2,
//! §3.4.2.1, §3.4.3), by index or by cursor (RFC 9865).
//!
//! Order is creation, one kind behind the other, unless another one is asked for, for which the whole list is read; totals are exact, and a filter that cannot be answered
//! within bounds is refused: never ignored, never the whole list.

use super::cursor::{Bound, Position};
use super::matching::{Part, matching, parts};
use super::represent::{Memberships, represent};
use super::sorted::Order;
use super::{Call, Failure, Reply};
use crate::limits::START_INDEX_MAX;
use crate::scim::catalog::{Kind, ResourceType};
use crate::scim::list::{self, Page};
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::search::{SearchRequest, Window};
use crate::store::list::Stretch;
use crate::store::plan::{Plan, plan};

/// What an answer shows of a list.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// How long the list is.
    pub(super) total: usize,
    /// The page.
    pub(super) resources: Vec<Resource>,
    /// Where the next page begins, when there is one.
    pub(super) next: Option<Position>,
}

/// A page of the resources of these kinds that match the filter, of all when there is none.
///
/// # Errors
/// 400 `invalidFilter`, `invalidValue` or `tooMany`; with a cursor `invalidCursor`, `expiredCursor` or `invalidCount`, too.
pub async fn list(
    call: &Call<'_>,
    kinds: &[Kind],
    asked: &SearchRequest,
) -> Result<Reply, Failure> {
    let search = asked.read()?;
    let types: Vec<&ResourceType> = kinds.iter().map(|kind| call.resource_type(*kind)).collect();
    let parts = parts(kinds, &types, search.filter.as_ref())?;
    let order = match &search.sort {
        None => None,
        Some(sort) => Some(Order { order: sort.order(), sorters: sort.bind(&types)? }),
    };
    // Who asks for the total alone sees no order.
    let order = order.filter(|_| search.window.count() > 0);
    let body = match &search.window {
        Window::Index(page) => {
            let shown = match &order {
                None => by_index(call, &parts, *page).await?,
                Some(order) => order.index(call, &parts, *page).await?,
            };
            let bodies = bodies(call, &shown.resources).await?;
            list::response(shown.total, page.start_index(), bodies)
        }
        Window::Cursor { after, count } => {
            let bound = Bound {
                tenant: call.caller.tenant(),
                signer: call.caller.signer(),
                kinds,
                asked,
                count: *count,
                now: call.moment.now(),
            };
            let after = after.as_deref().map(|after| bound.read(after)).transpose()?;
            let shown = match &order {
                None => by_cursor(call, &parts, after, *count).await?,
                Some(order) => order.cursor(call, &parts, after, *count).await?,
            };
            let bodies = bodies(call, &shown.resources).await?;
            let next = shown.next.map(|next| bound.write(&next));
            list::cursor_response(shown.total, next, bodies)
        }
    };
    Ok(Reply::Document { body })
}

/// The representations of what is shown.
async fn bodies(
    call: &Call<'_>,
    resources: &[Resource],
) -> Result<Vec<serde_json::Value>, Failure> {
    let mut bodies = Vec::with_capacity(resources.len());
    let mut memberships = Memberships::new(call);
    for resource in resources {
        bodies.push(represent(call, &mut memberships, resource).await?);
    }
    Ok(bodies)
}

/// The page at an index, which goes on from one kind to the next.
async fn by_index(
    call: &Call<'_>,
    parts: &[(Kind, Part<'_>)],
    page: Page,
) -> Result<Shown, Failure> {
    let mut shown = Shown::default();
    // Behind the end there is nothing to be read: neither so deep that it would be refused, nor in a kind that is passed.
    let passed_from = if parts.len() > 1 { 0 } else { START_INDEX_MAX };
    for (kind, part) in parts {
        let skipped = page.skipped().saturating_sub(shown.total);
        let count = page.count().saturating_sub(shown.resources.len());
        let slice = slice(call, (*kind, part), (skipped, count), passed_from);
        let (total, resources) = slice.await?;
        shown.total += total;
        shown.resources.extend(resources);
    }
    Ok(shown)
}

/// How many of a kind there are, and `count` of them after the first `skipped`; none when that is behind the end and at least
/// `passed_from`.
async fn slice(
    call: &Call<'_>,
    (kind, part): (Kind, &Part<'_>),
    (skipped, count): (usize, usize),
    passed_from: usize,
) -> Result<(usize, Vec<Resource>), Failure> {
    let cx = call.cx();
    match part {
        Part::All => {
            let total = call.store.count(&cx, kind).await?;
            let count = if skipped < total.max(passed_from) { count } else { 0 };
            Ok((total, call.store.page(&cx, kind, skipped, count).await?))
        }
        Part::Matching(filter) => {
            let plan = plan(call.resource_type(kind), call.caller.settings(), filter);
            if let (Plan::Group(group), true) = (&plan, filter.is_one_equality()) {
                // A group of any size: only the page is read.
                return Ok(call.store.members_page(&cx, (*group, kind), (skipped, count)).await?);
            }
            let matching = matching(call, kind, filter, |_| ()).await?;
            let total = matching.len();
            let shown = matching.into_iter().skip(skipped).take(count);
            Ok((total, shown.map(|(resource, ())| resource).collect()))
        }
    }
}

/// The page behind a position, or the first one. With `count` 0 it is the total that is asked for, and there is no next page.
async fn by_cursor(
    call: &Call<'_>,
    parts: &[(Kind, Part<'_>)],
    after: Option<Position>,
    count: usize,
) -> Result<Shown, Failure> {
    let mut shown = Shown::default();
    let mut last = after;
    let (mut begun, mut more) = (after.is_none(), count == 0);
    for (kind, part) in parts {
        let behind = after.filter(|after| after.kind == *kind).map(|after| after.id);
        begun |= behind.is_some();
        // Nothing is read of what comes before the page, nor behind it once it is known that there is something.
        let wanted = (begun && !more).then(|| count.saturating_sub(shown.resources.len()));
        let (total, stretch) = stretch(call, (*kind, part), behind, wanted).await?;
        shown.total += total;
        shown.resources.extend(stretch.resources);
        more |= stretch.more;
        let to = |id| Position { kind: *kind, id, version: 0, shown: 0 };
        last = stretch.last.map(to).or(last);
    }
    shown.next = last.filter(|_| more && count > 0);
    Ok(shown)
}

/// How many of a kind there are, and as many as are wanted of those behind an id, or from the first one.
async fn stretch(
    call: &Call<'_>,
    (kind, part): (Kind, &Part<'_>),
    behind: Option<ResourceId>,
    wanted: Option<usize>,
) -> Result<(usize, Stretch), Failure> {
    let cx = call.cx();
    match part {
        Part::All => {
            let total = call.store.count(&cx, kind).await?;
            let Some(count) = wanted else { return Ok((total, Stretch::default())) };
            Ok((total, call.store.page_after(&cx, kind, behind, count).await?))
        }
        Part::Matching(filter) => {
            let matching = matching(call, kind, filter, |_| ()).await?;
            let total = matching.len();
            let Some(count) = wanted else { return Ok((total, Stretch::default())) };
            let mut rest = matching.into_iter().map(|(resource, ())| resource);
            let mut rest = rest.by_ref().filter(|one| behind.is_none_or(|behind| one.id > behind));
            let resources: Vec<Resource> = rest.by_ref().take(count).collect();
            let last = resources.last().map(|resource| resource.id);
            let more = rest.next().is_some();
            Ok((total, Stretch { resources, last, more }))
        }
    }
}
