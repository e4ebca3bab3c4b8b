//! GET of a list, of one kind or, at the root, of all, and POST to `/.search`, which asks the same (RFC 7644 §3.4.2,
//! §3.4.2.1, §3.4.3).
//!
//! Order is creation in every list, one kind behind the other; totals are exact, and a filter that cannot be answered
//! within bounds is refused: never ignored, never the whole list.

use super::matching::{Part, matching, parts};
use super::represent::{Memberships, represent};
use super::{Call, Failure, Reply};
use crate::scim::catalog::{Kind, ResourceType};
use crate::scim::list;
use crate::scim::resource::Resource;
use crate::scim::search::SearchRequest;

/// A page of the resources of these kinds that match the filter, of all when there is none.
///
/// # Errors
/// 400 `invalidFilter`, `invalidValue` or `tooMany`.
pub async fn list(
    call: &Call<'_>,
    kinds: &[Kind],
    asked: &SearchRequest,
) -> Result<Reply, Failure> {
    let search = asked.read()?;
    let types: Vec<&ResourceType> = kinds.iter().map(|kind| call.resource_type(*kind)).collect();
    let parts = parts(kinds, &types, search.filter.as_ref())?;
    let page = search.page;
    let (mut total, mut resources) = (0, Vec::new());
    for (kind, part) in &parts {
        let (skipped, left) =
            (page.skipped().saturating_sub(total), page.count() - resources.len());
        let (of_kind, shown) = slice(call, (*kind, part), skipped, left).await?;
        total += of_kind;
        resources.extend(shown);
    }
    let mut bodies = Vec::with_capacity(resources.len());
    let mut memberships = Memberships::new();
    for resource in &resources {
        bodies.push(represent(call, &mut memberships, resource).await?);
    }
    Ok(Reply::Document { body: list::response(total, page.start_index(), bodies) })
}

/// How many of a kind there are, and `count` of them after the first `skipped`.
async fn slice(
    call: &Call<'_>,
    (kind, part): (Kind, &Part<'_>),
    skipped: usize,
    count: usize,
) -> Result<(usize, Vec<Resource>), Failure> {
    let cx = call.cx();
    match part {
        Part::All => {
            let total = call.store.count(&cx, kind).await?;
            // Behind the last one there is nothing to be read.
            let count = if skipped < total { count } else { 0 };
            Ok((total, call.store.page(&cx, kind, skipped, count).await?))
        }
        Part::Matching(filter) => {
            let matching = matching(call, kind, filter, |_| ()).await?;
            let total = matching.len();
            let shown = matching.into_iter().skip(skipped).take(count);
            Ok((total, shown.map(|(resource, ())| resource).collect()))
        }
    }
}
