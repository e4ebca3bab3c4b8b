//! Saying again how everything is (`docs/adr/0022-versions-never-go-back.md`): after a restore, after a cursor that has
//! expired, or because the app has lost its database.
//!
//! The people who have left since a restored instant can be switched off first, as far as the journal knows of them:
//! nobody else may ever do it, and an app that hears that they are active would let them in again.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::{ACTOR, AdminError, not_deleting};
use crate::limits::SWEEP_PAUSE;
use crate::moment::{Moment, Timestamp};
use crate::scim::catalog::Kind;
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::well_known;
use crate::store::feed::{Change, Pages, position};
use crate::store::journal::Event;
use crate::store::resync::floor_of;
use crate::store::{Cx, Settings, Store, StoreError, TenantId};

/// Resources that one look reads.
const RESOURCES_PER_PAGE: usize = 100;
/// How often a resource is read again because it was written meanwhile.
const STALE_ATTEMPTS_MAX: usize = 20;

/// What is to be said again.
#[derive(Clone, Debug)]
pub struct Order {
    /// Only these; otherwise everything of every type that is deployed, after which the journal says that this was all.
    pub only: Option<Kind>,
    /// Where a run began that is to go on.
    pub since: Option<Uuid>,
    /// From when on the journal is read for people who have left.
    pub leavers_after: Option<Timestamp>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many items of the journal are read.
    Read(usize),
    /// So many leavers are switched off.
    SwitchedOff(usize),
    /// It begins there: what is said again stands behind this in the journal.
    Began(Uuid),
    /// So many resources are said again so far.
    Said(usize),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where it began.
    pub since: Uuid,
    /// Leavers who were active and are switched off now.
    pub switched_off: Vec<ResourceId>,
    /// Resources that were said again.
    pub said: usize,
    /// Resources that the run that goes on had said already.
    pub said_before: usize,
}

/// Says again how a tenant's resources are.
///
/// # Errors
/// When there is no such tenant, or no run to go on with. What was said is said; with `since` the rest is.
pub async fn resync(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
    order: &Order,
    progress: &mut dyn FnMut(Step),
) -> Result<Report, AdminError> {
    let run = Run { store, moments, tenant };
    // What is held back would stay so, and the journal would say that everything was said.
    super::brake::none_held(store, &moments(), tenant).await?;
    // Before anything else: a wrong `since` is a mistake that changes nothing.
    if let Some(since) = order.since {
        run.check_mark(since).await?;
    }
    let mut switched_off = Vec::new();
    if let Some(after) = order.leavers_after {
        let leavers = run.leavers(after, progress).await?;
        for id in leavers {
            if run.switch_off(id).await? {
                switched_off.push(id);
                progress(Step::SwitchedOff(switched_off.len()));
            }
        }
    }
    let since = match order.since {
        Some(since) => since,
        None => run.mark(None).await?,
    };
    progress(Step::Began(since));
    let is_resumed = order.since.is_some();
    let mut report = Report { since, switched_off, said: 0, said_before: 0 };
    let kinds = order.only.map_or_else(|| store.catalog().deployed(), |kind| vec![kind]);
    for kind in kinds {
        run.say_all(kind, is_resumed, &mut report, progress).await?;
    }
    if order.only.is_none() {
        run.mark(Some(since)).await?;
    }
    Ok(report)
}

/// One run over one tenant.
struct Run<'a> {
    store: &'a Store,
    moments: &'a dyn Fn() -> Moment,
    tenant: &'a TenantId,
}

impl Run<'_> {
    /// The settings as they are now: a long run must not write by old ones.
    async fn settings(&self) -> Result<Settings, AdminError> {
        let found = self.store.settings(&(self.moments)(), self.tenant).await?;
        let (settings, _) = found.ok_or_else(|| AdminError::NoTenant(self.tenant.clone()))?;
        not_deleting(self.tenant, &settings)?;
        Ok(settings)
    }

    fn cx<'a>(&'a self, settings: &'a Settings, moment: &'a Moment) -> Cx<'a> {
        Cx { tenant: self.tenant, settings, actor: ACTOR, moment }
    }

    async fn mark(&self, began: Option<Uuid>) -> Result<Uuid, AdminError> {
        let (settings, moment) = (self.settings().await?, (self.moments)());
        Ok(self.store.mark_snapshot(&self.cx(&settings, &moment), began).await?)
    }

    async fn check_mark(&self, since: Uuid) -> Result<(), AdminError> {
        self.settings().await?;
        let found = self.store.change(&(self.moments)(), self.tenant, since).await?;
        let is_mark = |change: &Change| {
            change.is(Event::Snapshot.name())
                && change.text("id") == Some(self.tenant.as_str())
                && change.after().is_none()
        };
        if found.as_ref().is_some_and(is_mark) {
            Ok(())
        } else {
            Err(AdminError::NoResync(self.tenant.clone(), since))
        }
    }

    /// Who may not come in any more, by the last thing that the journal says of them after an instant.
    async fn leavers(
        &self,
        after: Timestamp,
        progress: &mut dyn FnMut(Step),
    ) -> Result<Vec<ResourceId>, AdminError> {
        self.settings().await?;
        let mut last: HashMap<ResourceId, (u64, bool)> = HashMap::new();
        let until = position((self.moments)().now().plus_seconds(1));
        let mut pages = Pages::new(self.store, self.tenant, (position(after), until));
        let mut read = 0;
        while let Some(changes) = pages.next(&(self.moments)()).await? {
            read += changes.len();
            for change in &changes {
                note(&mut last, change);
            }
            progress(Step::Read(read));
        }
        let left = last.into_iter().filter(|(_, (_, active))| !active);
        let mut left: Vec<ResourceId> = left.map(|(id, _)| id).collect();
        left.sort_unstable();
        Ok(left)
    }

    /// Switches a person off who is there and active; whether that was so.
    async fn switch_off(&self, id: ResourceId) -> Result<bool, AdminError> {
        for _ in 0..STALE_ATTEMPTS_MAX {
            let (settings, moment) = (self.settings().await?, (self.moments)());
            let cx = self.cx(&settings, &moment);
            let Some(person) = self.store.get(&cx, Kind::User, id).await? else { return Ok(false) };
            if !person.document.is_active() {
                return Ok(false);
            }
            match self.store.switch_off(&cx, &person).await {
                Ok(()) => return Ok(true),
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AdminError::Store(StoreError::Throttled))
    }

    async fn say_all(
        &self,
        kind: Kind,
        is_resumed: bool,
        report: &mut Report,
        progress: &mut dyn FnMut(Step),
    ) -> Result<(), AdminError> {
        let floor = floor_of(report.since);
        let mut after = None;
        loop {
            let (settings, moment) = (self.settings().await?, (self.moments)());
            let cx = self.cx(&settings, &moment);
            let page = self.store.resources_after(&cx, kind, after, RESOURCES_PER_PAGE).await?;
            for resource in page.resources {
                if is_resumed && resource.version >= floor {
                    report.said_before += 1;
                    continue;
                }
                if self.say(&settings, resource, floor).await? {
                    report.said += 1;
                    progress(Step::Said(report.said));
                }
                moment.sleep(SWEEP_PAUSE).await;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Says again how one resource is; `false` when it is gone meanwhile.
    async fn say(
        &self,
        settings: &Settings,
        mut resource: Resource,
        floor: u64,
    ) -> Result<bool, AdminError> {
        for _ in 0..STALE_ATTEMPTS_MAX {
            let moment = (self.moments)();
            let cx = self.cx(settings, &moment);
            match self.store.say_again(&cx, &resource, floor).await {
                Ok(()) => return Ok(true),
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
            match self.store.get(&cx, resource.kind, resource.id).await? {
                Some(found) => resource = found,
                None => return Ok(false),
            }
        }
        Err(AdminError::Store(StoreError::Throttled))
    }
}

/// Takes in what the journal says of a person: the highest version counts. After a restore it may have one twice; then
/// what came last.
fn note(last: &mut HashMap<ResourceId, (u64, bool)>, change: &Change) {
    if change.text("kind") != Some(Kind::User.name()) {
        return;
    }
    let id = change.text(well_known::ID).and_then(ResourceId::parse);
    let active = change.attributes.get(well_known::ACTIVE).and_then(Value::as_bool);
    let (Some(id), Some(version), Some(active)) = (id, change.version(), active) else { return };
    let known = last.entry(id).or_insert((version, active));
    if version >= known.0 {
        *known = (version, active);
    }
}
