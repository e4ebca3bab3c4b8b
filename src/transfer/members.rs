//! The last phase of an import: who is a member of the file's groups. Memberships are added and never taken away.

use std::collections::HashSet;

use futures_util::{StreamExt as _, stream};

use super::TransferError;
use super::import::{Import, refused};
use super::matching::named;
use super::report::{Entry, Outcome, Writing};
use super::row::{MemberRef, Row};
use super::table::name_of;
use crate::limits::{BATCH_GET_MAX, IMPORT_IN_FLIGHT, MEMBERS_CHANGED_MAX};
use crate::scim::catalog::Kind;
use crate::scim::fold::fold;
use crate::scim::resource::{Resource, ResourceId};
use crate::store::journal::Event as Change;
use crate::store::members::{MemberChange, unknown_member};
use crate::store::nesting::circle;
use crate::store::{Cx, Settings, Store, StoreError};

/// What a reference leads to.
enum Lead {
    To(ResourceId),
    /// To somebody who would be there, if this were no rehearsal.
    Rehearsed,
    /// Nowhere; why.
    Nowhere(String),
}

impl Import<'_> {
    /// Adds the members of one line.
    pub(super) async fn add_members(
        &mut self,
        settings: &Settings,
        line: usize,
        row: &Row,
    ) -> Result<(), TransferError> {
        let store = self.place.store;
        let find = async |cx: &Cx<'_>| group_of(store, cx, row).await;
        let group = match self.place.patiently(settings, find).await {
            Ok(group) => group,
            Err(error) => return self.refuse(line, row, error),
        };
        let mut wanted = Vec::new();
        let mut seen = HashSet::new();
        for (member, lead) in self.leads(settings, &row.members).await? {
            match lead {
                Lead::To(id) if seen.insert(id) => wanted.push(id),
                Lead::To(_) => {}
                Lead::Rehearsed => self.report.added += 1,
                Lead::Nowhere(why) => {
                    let why = format!("member {member}: {why}; the other members are added");
                    self.tell(line, row, Outcome::Invalid, why);
                }
            }
        }
        let Some(group) = group else {
            if self.options.writing == Writing::Rehearsed && self.would_be_there(row) {
                self.report.added += wanted.len();
            } else {
                let why = "there is no such group, here or in an earlier line; add its line, with its displayName";
                self.tell(line, row, Outcome::Invalid, why.to_owned());
            }
            return Ok(());
        };
        for chunk in wanted.chunks(MEMBERS_CHANGED_MAX) {
            if let Err(error) = self.add_chunk(settings, (line, row, group.id), chunk).await {
                return self.refuse(line, row, error);
            }
        }
        Ok(())
    }

    /// Adds members, but for groups that would close a circle and whoever is gone, which are told.
    async fn add_chunk(
        &mut self,
        settings: &Settings,
        (line, row, group): (usize, &Row, ResourceId),
        chunk: &[ResourceId],
    ) -> Result<(), StoreError> {
        let (store, writing) = (self.place.store, self.options.writing);
        let mut left = chunk.to_vec();
        loop {
            let step = async |cx: &Cx<'_>| add(store, cx, (group, &left), writing).await;
            let refused = match self.place.patiently(settings, step).await {
                Ok((added, present)) => {
                    self.report.added += added;
                    self.report.present += present;
                    return Ok(());
                }
                Err(StoreError::Refused(refused)) => refused,
                Err(error) => return Err(error),
            };
            let before = left.len();
            // Somebody who was there when the line was read may be gone by now.
            let is_refused = |id: ResourceId| {
                circle(id) == refused || unknown_member(&id.to_string()) == refused
            };
            left.retain(|id| !is_refused(*id));
            if left.len() == before {
                return Err(StoreError::Refused(refused));
            }
            let why = format!("{}; the other members are added", refused.detail());
            self.tell(line, row, Outcome::Invalid, why);
        }
    }

    fn refuse(&mut self, line: usize, row: &Row, error: StoreError) -> Result<(), TransferError> {
        let (outcome, why) = refused(error)?;
        self.tell(line, row, outcome, why);
        Ok(())
    }

    fn tell(&mut self, line: usize, row: &Row, outcome: Outcome, why: String) {
        self.settled(Entry {
            line,
            kind: Some(row.kind),
            name: name(row).to_owned(),
            app_id: row.app_id.clone(),
            id: None,
            outcome,
            differs: Vec::new(),
            why: Some(why),
        });
    }

    /// Whether a group would have been created by now.
    fn would_be_there(&self, row: &Row) -> bool {
        let by_id = row.identity.is_some_and(|identity| self.known.ids.contains(&identity.id));
        by_id || self.known.names.contains(&(Kind::Group, fold(name(row))))
    }

    /// Where references lead, in no order.
    async fn leads<'m>(
        &self,
        settings: &Settings,
        members: &'m [MemberRef],
    ) -> Result<Vec<(&'m MemberRef, Lead)>, TransferError> {
        let store = self.place.store;
        let (by_id, by_name): (Vec<&MemberRef>, Vec<&MemberRef>) =
            members.iter().partition(|member| matches!(member, MemberRef::Id(_)));
        let mut leads = Vec::with_capacity(members.len());
        for chunk in by_id.chunks(BATCH_GET_MAX) {
            let ids: Vec<ResourceId> = chunk.iter().filter_map(|member| id_in(member)).collect();
            let step = async |cx: &Cx<'_>| there(store, cx, &ids).await;
            let there = self.place.patiently(settings, step).await?;
            leads.extend(chunk.iter().map(|member| (*member, self.lead_of_id(member, &there))));
        }
        let found = by_name.into_iter().map(|member| async move {
            let step = async |cx: &Cx<'_>| look_up(store, cx, member).await;
            Ok((member, self.place.patiently(settings, step).await?))
        });
        let mut found = stream::iter(found).buffer_unordered(IMPORT_IN_FLIGHT);
        while let Some(one) = found.next().await {
            let (member, found): (&MemberRef, Vec<ResourceId>) =
                one.map_err(TransferError::Store)?;
            leads.push((member, self.lead_of_name(member, &found)));
        }
        Ok(leads)
    }

    fn lead_of_id(&self, member: &MemberRef, there: &HashSet<ResourceId>) -> Lead {
        match id_in(member) {
            Some(id) if there.contains(&id) => Lead::To(id),
            Some(id) if self.known.ids.contains(&id) => Lead::Rehearsed,
            Some(_) | None => Lead::Nowhere("nobody has this id here".to_owned()),
        }
    }

    fn lead_of_name(&self, member: &MemberRef, found: &[ResourceId]) -> Lead {
        let planned = match member {
            MemberRef::UserName(name) => self.known.names.contains(&(Kind::User, fold(name))),
            MemberRef::Group(name) => self.known.names.contains(&(Kind::Group, fold(name))),
            MemberRef::AppId(app_id) => self.known.app_ids.contains(app_id),
            MemberRef::Id(_) => false,
        };
        match found {
            [only] => Lead::To(*only),
            [] if planned => Lead::Rehearsed,
            [] => Lead::Nowhere("nobody is called that here".to_owned()),
            [_, ..] => {
                Lead::Nowhere("there are several; name the one that is meant by its id".to_owned())
            }
        }
    }
}

fn id_in(member: &MemberRef) -> Option<ResourceId> {
    match member {
        MemberRef::Id(id) => ResourceId::parse(id),
        MemberRef::UserName(_) | MemberRef::AppId(_) | MemberRef::Group(_) => None,
    }
}

/// A row's displayName.
pub(super) fn name(row: &Row) -> &str {
    let given = row.body.iter().find(|(key, _)| key.eq_ignore_ascii_case(name_of(row.kind)));
    given.and_then(|(_, name)| name.as_str()).unwrap_or_default()
}

/// The group of a row, by its id or its name.
async fn group_of(store: &Store, cx: &Cx<'_>, row: &Row) -> Result<Option<Resource>, StoreError> {
    if let Some(identity) = &row.identity {
        return store.get(cx, Kind::Group, identity.id).await;
    }
    let mut found = named(store, cx, Kind::Group, name(row)).await?;
    // With several of that name, the row has been told as a conflict.
    Ok(if found.len() > 1 { None } else { found.pop() })
}

/// Those of the ids that are a person's or a group's.
async fn there(
    store: &Store,
    cx: &Cx<'_>,
    ids: &[ResourceId],
) -> Result<HashSet<ResourceId>, StoreError> {
    let mut found: HashSet<ResourceId> = HashSet::new();
    for kind in Kind::ALL {
        let left: Vec<ResourceId> = ids.iter().copied().filter(|id| !found.contains(id)).collect();
        if !left.is_empty() {
            let some = store.get_many(cx, kind, &left).await?;
            found.extend(some.iter().map(|resource| resource.id));
        }
    }
    Ok(found)
}

async fn look_up(
    store: &Store,
    cx: &Cx<'_>,
    member: &MemberRef,
) -> Result<Vec<ResourceId>, StoreError> {
    let found = match member {
        MemberRef::UserName(name) => named(store, cx, Kind::User, name).await?,
        MemberRef::Group(name) => named(store, cx, Kind::Group, name).await?,
        MemberRef::AppId(app_id) => store.people_of_app_id(cx, app_id).await?,
        MemberRef::Id(_) => Vec::new(),
    };
    Ok(found.iter().map(|resource| resource.id).collect())
}

/// Adds those who are no members yet, and says how many came and how many were there.
async fn add(
    store: &Store,
    cx: &Cx<'_>,
    (group, wanted): (ResourceId, &[ResourceId]),
    writing: Writing,
) -> Result<(usize, usize), StoreError> {
    let Some(before) = store.get(cx, Kind::Group, group).await? else {
        return Err(StoreError::Stale);
    };
    let sweeping = store.sweeping(cx).await?;
    let pairs: Vec<(ResourceId, ResourceId)> = wanted.iter().map(|id| (group, *id)).collect();
    let present = store.memberships_among(cx, &sweeping, &pairs).await?;
    let present: HashSet<ResourceId> = present.iter().map(|(_, member)| member.id).collect();
    let new: Vec<ResourceId> = wanted.iter().copied().filter(|id| !present.contains(id)).collect();
    if writing == Writing::Done && !new.is_empty() {
        let (document, change) = (before.document.clone(), MemberChange::adding(&new));
        store.replace(cx, &before, document, change, Change::Patch).await?;
    }
    Ok((new.len(), present.len()))
}
