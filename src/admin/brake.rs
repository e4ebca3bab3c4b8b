//! The brake on mass changes, as an operator and the workspace settings manage it: set, look, release, reject.

use uuid::Uuid;

use super::{AdminError, not_deleting, with_settings_as};
use crate::limits::{BRAKE_BUDGET_MAX, BRAKE_WINDOW_MINUTES_MAX, SWEEP_PAUSE};
use crate::moment::Moment;
use crate::scim::resource::ResourceId;
use crate::store::brake::{BrakeState, Decision, HeldChange};
use crate::store::settings::Brake;
use crate::store::{Cx, Settings, Store, TenantId};

/// Passes over what is held: who waits for an earlier change is settled by the next.
const PASSES_MAX: usize = 10;

/// A tenant's brake, and how it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When it acts; `None` when it is off.
    pub brake: Option<Brake>,
    /// What it has counted and held.
    pub state: BrakeState,
}

/// What a release or a rejection has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Changes that were settled.
    pub settled: usize,
    /// Changes that are held still.
    pub left: u64,
}

/// How a tenant's brake stands.
///
/// # Errors
/// When there is no such tenant.
pub async fn show(store: &Store, moment: &Moment, tenant: &TenantId) -> Result<Shown, AdminError> {
    let settings = settings(store, moment, tenant).await?;
    let state = store.brake_state(moment, tenant).await?;
    Ok(Shown { brake: settings.brake, state })
}

/// The oldest of the changes that are held, and whether there are more.
///
/// # Errors
/// When there is no such tenant.
pub async fn held(
    store: &Store,
    moment: &Moment,
    (tenant, actor): (&TenantId, &str),
    (after, most): (Option<Uuid>, usize),
) -> Result<(Vec<HeldChange>, bool), AdminError> {
    let settings = settings(store, moment, tenant).await?;
    let cx = Cx { tenant, settings: &settings, actor, moment };
    Ok(store.held_changes(&cx, after, most).await?)
}

/// Sets the brake, or takes it off. What is so already is left alone.
///
/// # Errors
/// When there is no such tenant, the brake has no limit or one that it cannot have, or it is to be taken off while changes
/// are held.
pub async fn set(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    brake: Option<Brake>,
) -> Result<(), AdminError> {
    if let Some(brake) = brake {
        let is_set = brake.count.is_some() || brake.percent.is_some();
        let fits = is_set
            && brake.percent.is_none_or(|percent| (1..=100).contains(&percent))
            && (1..=BRAKE_WINDOW_MINUTES_MAX).contains(&brake.window_minutes)
            && (1..=BRAKE_BUDGET_MAX).contains(&brake.budget);
        if !fits {
            return Err(AdminError::Brake);
        }
    }
    with_settings_as(store, moment, by, async |cx| {
        not_deleting(cx.tenant, cx.settings)?;
        if brake.is_none() {
            none_held(store, moment, cx.tenant).await?;
        }
        if cx.settings.brake != brake {
            store.set_brake(cx, brake).await?;
        }
        Ok(())
    })
    .await
}

/// Refuses while changes are held.
pub(super) async fn none_held(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<(), AdminError> {
    match store.brake_state(moment, tenant).await?.held {
        0 => Ok(()),
        held => Err(AdminError::Held(tenant.clone(), held)),
    }
}

/// Notes what is to become of everything that was held at a position (now, when that is still to come); the scheduled job
/// does it within minutes. Where nothing is held, nothing is noted. A later decision takes the place of one that is not
/// done yet.
///
/// # Errors
/// When there is no such tenant.
pub async fn decide(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    (decision, until): (Decision, Uuid),
) -> Result<BrakeState, AdminError> {
    let until = until.min(moment.mint_uuid());
    with_settings_as(store, moment, by, async |cx| {
        not_deleting(cx.tenant, cx.settings)?;
        if store.brake_state(moment, cx.tenant).await?.held > 0 {
            store.decide_held(cx, (decision, until)).await?;
        }
        Ok(())
    })
    .await?;
    Ok(store.brake_state(moment, by.0).await?)
}

/// Releases or rejects what is held now, of everybody or of one person. `progress` hears how many are settled.
///
/// # Errors
/// When there is no such tenant, or the tables cannot be written; what is settled stays settled, and the same call goes on.
pub async fn settle(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    (tenant, actor): (&TenantId, &str),
    (decision, whom): (Decision, Option<ResourceId>),
    progress: &mut dyn FnMut(usize),
) -> Result<Report, AdminError> {
    let mut report = Report::default();
    let until = moments().mint_uuid();
    for _ in 0..PASSES_MAX {
        let (mut after, mut waiting, mut done) = (None, 0, 0);
        loop {
            let moment = moments();
            let settings = settings(store, &moment, tenant).await?;
            let cx = Cx { tenant, settings: &settings, actor, moment: &moment };
            let settled = store.settle_held(&cx, (decision, whom), (after, until)).await?;
            waiting += settled.waiting;
            done += settled.done;
            progress(report.settled + done);
            after = settled.next;
            if after.is_none() {
                break;
            }
            moment.sleep(SWEEP_PAUSE).await;
        }
        report.settled += done;
        if waiting == 0 || done == 0 {
            break;
        }
    }
    report.left = store.brake_state(&moments(), tenant).await?.held;
    Ok(report)
}

async fn settings(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<Settings, AdminError> {
    let found = store.settings(moment, tenant).await?;
    let (settings, _) = found.ok_or_else(|| AdminError::NoTenant(tenant.clone()))?;
    not_deleting(tenant, &settings)?;
    Ok(settings)
}
