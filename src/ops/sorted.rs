//! A list in the order of an attribute (RFC 7644 §3.4.2.3): read whole, up to a bound, and sorted in memory for each page.
//! What is equal stays in the order of creation.

use serde_json::{Map, Value};

use super::cursor::Position;
use super::list::Shown;
use super::matching::{Part, everything, matching, too_many_to_sort};
use super::{Call, Failure};
use crate::limits::SORTED_MAX;
use crate::scim::catalog::Kind;
use crate::scim::list::Page;
use crate::scim::resource::Resource;
use crate::scim::sort::{SortKey, SortOrder, Sorter};

/// By what a list is sorted.
#[derive(Debug)]
pub(super) struct Order<'a> {
    /// Which way.
    pub(super) order: SortOrder,
    /// For each kind, in their order; `None` where the kind has no such attribute.
    pub(super) sorters: Vec<Option<Sorter<'a>>>,
}

impl Order<'_> {
    /// The page at an index.
    pub(super) async fn index(
        &self,
        call: &Call<'_>,
        parts: &[(Kind, Part<'_>)],
        page: Page,
    ) -> Result<Shown, Failure> {
        let all = self.all(call, parts).await?;
        Ok(cut(all, page.skipped(), page.count()))
    }

    /// The page behind a position, or the first one.
    pub(super) async fn cursor(
        &self,
        call: &Call<'_>,
        parts: &[(Kind, Part<'_>)],
        after: Option<Position>,
        count: usize,
    ) -> Result<Shown, Failure> {
        let all = self.all(call, parts).await?;
        let skipped = after.map_or(0, |after| behind(&all, &after));
        Ok(cut(all, skipped, count))
    }

    /// The whole list in order.
    async fn all(
        &self,
        call: &Call<'_>,
        parts: &[(Kind, Part<'_>)],
    ) -> Result<Vec<Resource>, Failure> {
        let mut all: Vec<(Resource, Option<SortKey>)> = Vec::new();
        for ((kind, part), sorter) in parts.iter().zip(&self.sorters) {
            let key = |whole: &Map<String, Value>| sorter.as_ref().and_then(|by| by.key(whole));
            all.extend(match part {
                Part::All => everything(call, *kind, key).await?,
                Part::Matching(filter) => matching(call, *kind, filter, key).await?,
            });
            if all.len() > SORTED_MAX {
                return Err(too_many_to_sort());
            }
        }
        // Kinds come one behind the other, each in the order of creation, and equal ones stay as they are.
        all.sort_by(|(_, left), (_, right)| self.order.compare(left.as_ref(), right.as_ref()));
        Ok(all.into_iter().map(|(resource, _)| resource).collect())
    }
}

/// How many stand before the page behind a position. A resource that is as it was stands where it stood. One that has
/// changed or gone tells nothing any more: then it goes on by number, one earlier, so that rather one is seen twice than
/// one not at all.
fn behind(all: &[Resource], after: &Position) -> usize {
    let is_it =
        |one: &Resource| (one.kind, one.id, one.version) == (after.kind, after.id, after.version);
    let found = all.iter().position(is_it);
    found.map_or(after.shown.saturating_sub(1), |at| at + 1)
}

fn cut(all: Vec<Resource>, skipped: usize, count: usize) -> Shown {
    let total = all.len();
    let resources: Vec<Resource> = all.into_iter().skip(skipped).take(count).collect();
    let shown = skipped.saturating_add(resources.len());
    let last = resources.last().filter(|_| shown < total);
    let next =
        last.map(|last| Position { kind: last.kind, id: last.id, version: last.version, shown });
    Shown { total, resources, next }
}
