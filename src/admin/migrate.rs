//! Users and groups to the format that this version writes, beside live traffic (`docs/adr/0021-formats-and-migration.md`).
//!
//! A tenant is first told to be written in the new format; then nobody may remember its old settings any more; then pass
//! after pass moves what is left, until one finds nothing. Every step may be repeated: when it is killed, the same
//! command goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ACTOR, AdminError, not_deleting, with_settings};
use crate::limits::SWEEP_PAUSE;
use crate::moment::Moment;
use crate::scim::catalog::Kind;
use crate::store::item::RESOURCE_FORMAT;
use crate::store::migrate::Moved;
use crate::store::{Cx, Settings, Store, StoreError, TenantId};

/// Items that one look reads.
const ITEMS_PER_PAGE: usize = 250;
/// Passes over a tenant. The second finds nothing, unless somebody still writes the format before.
const PASSES_MAX: usize = 100;
/// Calls that may fail in a row. Each has tried again by itself.
const FAILURES_MAX: usize = 5;
/// How often the rest of a wait is reported.
const WAIT_SLICE: Duration = Duration::from_secs(1);

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The tenant is written in the new format from now on.
    Switched(&'a TenantId),
    /// So long until nobody can still be writing the format before.
    Waiting(Duration),
    /// So many items are read in this pass, and so many moved in all.
    Moving {
        /// Whose.
        tenant: &'a TenantId,
        /// Items read in this pass.
        read: usize,
        /// Items moved so far.
        moved: usize,
    },
}

/// In which formats a tenant's users and groups are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formats {
    /// The format in which they are written.
    pub written: u64,
    /// How many there are of each.
    pub counted: BTreeMap<u64, usize>,
}

impl Formats {
    /// How many are not of the current format.
    pub fn old(&self) -> usize {
        self.counted.range(..RESOURCE_FORMAT).map(|(_, items)| items).sum()
    }

    /// Whether there is nothing to do.
    pub fn is_current(&self) -> bool {
        self.written == RESOURCE_FORMAT && self.old() == 0
    }
}

/// What became of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Which one.
    pub tenant: TenantId,
    /// Items that were moved; `None` when there was nothing to do.
    pub moved: Option<usize>,
}

/// Counts a tenant's users and groups by their format.
///
/// # Errors
/// When there is none of that name, or the tables cannot be read.
pub async fn formats(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
) -> Result<Formats, AdminError> {
    let found = store.settings(&moments(), tenant).await?;
    let (settings, _) = found.ok_or_else(|| AdminError::NoTenant(tenant.clone()))?;
    let mut counted = BTreeMap::new();
    for kind in Kind::ALL {
        let mut after = None;
        loop {
            let moment = moments();
            let cx = Cx { tenant, settings: &settings, actor: ACTOR, moment: &moment };
            let page = store.formats(&cx, kind, after.as_ref(), ITEMS_PER_PAGE).await?;
            for (format, items) in page.counted {
                *counted.entry(format).or_default() += items;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(Formats { written: settings.resource_format, counted })
}

/// Moves tenants to the format that this version writes. `settle` is how long a call may go on with settings that are
/// remembered: one wait serves all of them.
///
/// # Errors
/// When there is no such tenant, a newer version has written to it, or an older one goes on writing to it. What was done
/// stays done, and the same call goes on.
pub async fn migrate(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenants: &[TenantId],
    settle: Duration,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<Vec<Migrated>, AdminError> {
    let mut waiting = Vec::new();
    for tenant in tenants {
        let formats = formats(store, moments, tenant).await?;
        let newest = formats.counted.keys().copied().max().unwrap_or(0).max(formats.written);
        if newest > RESOURCE_FORMAT {
            return Err(AdminError::NewerFormat(tenant.clone(), newest));
        }
        if formats.written < RESOURCE_FORMAT {
            switch(store, &moments(), tenant).await?;
            progress(Step::Switched(tenant));
        }
        // After a kill the settings may be switched and the wait not over; then there are items left, as a rule.
        waiting.push((tenant, formats.is_current()));
    }
    if waiting.iter().any(|(_, is_current)| !is_current) {
        let moment = moments();
        while let Some(left) = settle.checked_sub(moment.elapsed()).filter(|left| !left.is_zero()) {
            progress(Step::Waiting(left));
            moment.sleep(left.min(WAIT_SLICE)).await;
        }
    }
    let mut migrated = Vec::with_capacity(waiting.len());
    for (tenant, is_current) in waiting {
        let moved =
            if is_current { None } else { Some(move_all(store, moments, tenant, progress).await?) };
        migrated.push(Migrated { tenant: tenant.clone(), moved });
    }
    Ok(migrated)
}

/// From here on, whoever reads the tenant's settings writes the new format.
async fn switch(store: &Store, moment: &Moment, tenant: &TenantId) -> Result<(), AdminError> {
    with_settings(store, moment, tenant, async |cx| {
        not_deleting(tenant, cx.settings)?;
        if cx.settings.resource_format >= RESOURCE_FORMAT {
            return Ok(());
        }
        Ok(store.set_resource_format(cx, RESOURCE_FORMAT).await?)
    })
    .await
}

/// Passes until one finds nothing of the format before.
async fn move_all(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<usize, AdminError> {
    let mut moved = 0;
    for _ in 0..PASSES_MAX {
        let found = pass(store, moments, tenant, &mut |read, now| {
            moved += now;
            progress(Step::Moving { tenant, read, moved });
        })
        .await?;
        if found == 0 {
            return Ok(moved);
        }
    }
    Err(AdminError::StillOld(tenant.clone()))
}

/// One pass over a tenant's users and groups. Returns how many of the format before it has found: those that it could not
/// move are found again by the next. `note` hears how many are read so far and how many were just moved.
async fn pass(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
    note: &mut dyn FnMut(usize, usize),
) -> Result<usize, AdminError> {
    let settings = Settings::default();
    let (mut found, mut read, mut failures) = (0, 0, 0);
    for kind in Kind::ALL {
        let mut after = None;
        loop {
            let moment = moments();
            let cx = Cx { tenant, settings: &settings, actor: ACTOR, moment: &moment };
            let page = store.formats(&cx, kind, after.as_ref(), ITEMS_PER_PAGE).await?;
            read += page.counted.values().sum::<usize>();
            found += page.old.len();
            note(read, 0);
            for old in &page.old {
                match store.move_format(&cx, old).await {
                    Ok(Moved::Done) => {
                        failures = 0;
                        note(read, 1);
                    }
                    Ok(Moved::Changed) => failures = 0,
                    // Another write holds the item, or there is too much at once.
                    Err(StoreError::Throttled) if failures < FAILURES_MAX => {
                        failures += 1;
                        moment.sleep(SWEEP_PAUSE).await;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
            moment.sleep(SWEEP_PAUSE).await;
        }
    }
    Ok(found)
}
