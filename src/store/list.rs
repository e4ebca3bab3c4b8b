//! Running a plan, and pages of whole lists. Order is creation (the id) in every list.

use std::collections::BTreeMap;

use super::item::{self, Item, ItemReader};
use super::keys::{self, Key};
use super::plan::Plan;
use super::resources::user_key;
use super::{Cx, Store, StoreError};
use crate::limits::{SCANNED_MAX, START_INDEX_MAX};
use crate::scim::catalog::Kind;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::resource::{Resource, ResourceId};

/// A part of the list of a kind.
#[derive(Debug, Default)]
pub struct Stretch {
    /// In order of creation.
    pub resources: Vec<Resource>,
    /// The id in the last row that was read for them, whatever has become of its resource.
    pub last: Option<ResourceId>,
    /// Whether there are rows behind it.
    pub more: bool,
}

/// Rows that one look reads from the list of a kind.
const ROWS_PER_QUERY: usize = 1_000;

impl Store {
    /// How many resources of the kind there are: the sum of the counter's shards.
    ///
    /// # Errors
    /// As any read.
    pub async fn count(&self, cx: &Cx<'_>, kind: Kind) -> Result<usize, StoreError> {
        let prefix = keys::count_prefix(kind);
        let shards = crate::limits::COUNTER_SHARDS.try_into().unwrap_or(usize::MAX);
        let read = self.query_all(cx.moment, cx.tenant.as_str(), &prefix, shards).await?;
        let corrupt = || StoreError::Corrupt("count: more shards than there can be".to_owned());
        let mut total: i64 = 0;
        for shard in &read.ok_or_else(corrupt)? {
            total += ItemReader::new(shard)?.number::<i64>("n")?;
        }
        Ok(usize::try_from(total).unwrap_or(0))
    }

    /// How many resources there are of each type that has ever had any, by its name: also of those that are not deployed.
    ///
    /// # Errors
    /// As any read.
    pub async fn counts(&self, cx: &Cx<'_>) -> Result<BTreeMap<String, i64>, StoreError> {
        let (mut counts, mut after) = (BTreeMap::new(), None);
        loop {
            let (tenant, prefix) = (cx.tenant.as_str(), keys::COUNTS);
            let page =
                self.query(cx.moment, tenant, prefix, after.as_ref(), ROWS_PER_QUERY).await?;
            for shard in &page.items {
                let reader = ItemReader::new(shard)?;
                let name = reader.key()?.counted().ok_or_else(|| reader.corrupt("key"))?;
                *counts.entry(name).or_default() += reader.number::<i64>("n")?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(counts);
            }
        }
    }

    /// Resources of the kind in order of creation, `count` of them after the first `skipped`.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with `tooMany` when that is deeper than rows are read.
    pub async fn page(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        skipped: usize,
        count: usize,
    ) -> Result<Vec<Resource>, StoreError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        if skipped >= START_INDEX_MAX {
            let detail = format!(
                "startIndex: by index a list is read to {START_INDEX_MAX}; begin again by cursor, with cursor= and \
                 without startIndex, and go on with each answer's nextCursor"
            );
            return Err(StoreError::Refused(ScimError::new(ErrorKind::TooMany, detail)));
        }
        let rows = self.rows(cx, kind, None, (skipped, count)).await?;
        self.of_rows(cx, kind, &rows).await
    }

    /// Resources of the kind in order of creation, `count` of them behind that id, or from the first one. What it reads
    /// does not depend on how many are before them.
    ///
    /// # Errors
    /// As any read.
    pub async fn page_after(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        after: Option<ResourceId>,
        count: usize,
    ) -> Result<Stretch, StoreError> {
        // One row more, which tells whether there is a next page.
        let mut rows = self.rows(cx, kind, after, (0, count + 1)).await?;
        let more = rows.len() > count;
        rows.truncate(count);
        let last = rows.last().and_then(|row| Key::in_item(row)?.last_id());
        Ok(Stretch { resources: self.of_rows(cx, kind, &rows).await?, last, more })
    }

    /// Rows of the list of a kind.
    async fn rows(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        after: Option<ResourceId>,
        slice: (usize, usize),
    ) -> Result<Vec<Item>, StoreError> {
        let prefix = keys::ids_prefix(kind);
        let after = after.map(|id| Key::of_id(kind, id));
        self.query_slice_after(cx.moment, cx.tenant.as_str(), (&prefix, after), slice).await
    }

    /// The resources of these rows.
    async fn of_rows(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        rows: &[Item],
    ) -> Result<Vec<Resource>, StoreError> {
        match kind {
            Kind::Group | Kind::Custom(_) => {
                rows.iter().map(|item| item::resource_of(kind, item)).collect()
            }
            Kind::User => {
                let ids = rows.iter().filter_map(|row| Key::in_item(row)?.last_id());
                let ids: Vec<ResourceId> = ids.collect();
                let keys = rows.iter().map(user_key).collect::<Result<Vec<Key>, StoreError>>()?;
                self.get_at(cx, kind, &ids, &keys).await
            }
        }
    }

    /// What a plan finds, in no order. The caller evaluates the whole filter on each.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with `tooMany` when it is more than one request reads.
    pub async fn candidates(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        plan: &Plan,
    ) -> Result<Vec<Resource>, StoreError> {
        match plan {
            Plan::Nothing => Ok(Vec::new()),
            Plan::Id(id) => Ok(self.get(cx, kind, *id).await?.into_iter().collect()),
            Plan::UserName(name) => {
                Ok(self.get_by_user_name(cx, name).await?.into_iter().collect())
            }
            Plan::GroupName(name) => self.by_prefix(cx, kind, &keys::group_name_prefix(name)).await,
            Plan::Match { attribute, folded } => {
                self.by_prefix(cx, kind, &keys::matching_prefix(attribute, folded)).await
            }
            Plan::Member(member) => {
                let sweeping = self.sweeping(cx).await?;
                let groups = self.groups_of(cx, &sweeping, *member, SCANNED_MAX).await?;
                self.get_many(cx, kind, &groups.ok_or_else(|| too_many(kind))?).await
            }
            Plan::Group(group) => {
                let sweeping = self.sweeping(cx).await?;
                let members = self.members(cx, &sweeping, *group, SCANNED_MAX).await?;
                let members = members.ok_or_else(|| too_many(kind))?;
                let people = members.iter().filter(|member| member.kind == kind);
                let people: Vec<ResourceId> = people.map(|member| member.id).collect();
                self.get_many(cx, kind, &people).await
            }
            Plan::ExternalId(value) => self.by_external_id(cx, kind, value).await,
            Plan::Everything => self.everything(cx, kind).await,
        }
    }

    /// All resources of a kind, up to a bound, read page by page.
    async fn everything(&self, cx: &Cx<'_>, kind: Kind) -> Result<Vec<Resource>, StoreError> {
        let prefix = keys::items_prefix(kind);
        let mut all = Vec::new();
        let mut next = None;
        loop {
            let limit = (SCANNED_MAX + 1).saturating_sub(all.len());
            let after = next.as_ref();
            let page = self.query(cx.moment, cx.tenant.as_str(), &prefix, after, limit).await?;
            for item in &page.items {
                all.push(item::resource_of(kind, item)?);
            }
            if all.len() > SCANNED_MAX {
                return Err(too_many(kind));
            }
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// Resources whose ids end the keys with that prefix.
    async fn by_prefix(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        prefix: &str,
    ) -> Result<Vec<Resource>, StoreError> {
        let read = self.query_all(cx.moment, cx.tenant.as_str(), prefix, ROWS_PER_QUERY).await?;
        let items = read.ok_or_else(|| too_many(kind))?;
        let ids = items.iter().filter_map(|item| Key::in_item(item)?.last_id());
        self.get_some(cx, kind, &ids.collect::<Vec<_>>()).await
    }

    /// Resources that the index names, each verified by a strongly consistent read: nothing is decided from the index.
    /// While a rename reaches it, the index may name one resource twice, under its old key and under its new one.
    async fn by_external_id(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        value: &str,
    ) -> Result<Vec<Resource>, StoreError> {
        let tenant = cx.tenant.as_str();
        let hits = self.query_external_id(cx.moment, tenant, value, ROWS_PER_QUERY).await?;
        if hits.next.is_some() {
            return Err(too_many(kind));
        }
        let prefix = keys::items_prefix(kind);
        let hits = hits.items.iter().filter_map(|hit| {
            let id = ResourceId::parse(hit.get("id")?.as_s().ok()?)?;
            Key::in_item(hit).filter(|key| key.as_str().starts_with(&*prefix)).map(|key| (id, key))
        });
        let hits: BTreeMap<ResourceId, Key> = hits.collect();
        if let (1, Some((id, key))) = (hits.len(), hits.first_key_value())
            && let Some(item) = self.get_key(cx.moment, tenant, key).await?
        {
            let resource = item::resource_of(kind, &item)?;
            if resource.id == *id {
                return Ok(vec![resource]);
            }
        }
        self.get_some(cx, kind, &hits.into_keys().collect::<Vec<_>>()).await
    }

    /// The resources with those ids. One is the rule: two single reads instead of two batches.
    async fn get_some(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        ids: &[ResourceId],
    ) -> Result<Vec<Resource>, StoreError> {
        match ids {
            [] => Ok(Vec::new()),
            [id] => Ok(self.get(cx, kind, *id).await?.into_iter().collect()),
            ids => self.get_many(cx, kind, ids).await,
        }
    }
}

/// The refusal of a filter that no key answers, in a tenant that is too large to read whole.
fn too_many(kind: Kind) -> StoreError {
    let by = match kind {
        Kind::User => "userName, externalId, id or emails.value",
        Kind::Group => "displayName, externalId, id or members.value",
        Kind::Custom(_) => "externalId or id",
    };
    let detail = format!(
        "this filter would read more than {SCANNED_MAX} resources; add an eq comparison of {by}"
    );
    StoreError::Refused(ScimError::new(ErrorKind::TooMany, detail))
}
