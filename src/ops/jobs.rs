//! The scheduled job: finishes the multi-step jobs that a fault has interrupted, tenant by tenant.

use std::time::Duration;

use crate::moment::Moment;
use crate::store::settings::Status;
use crate::store::work::Swept;
use crate::store::{Cx, Store, StoreError, TenantId};

/// Tenants that one look at the registry reads.
const TENANTS_PER_PAGE: usize = 100;
/// Tenants that one run visits at most. Each run begins with another one, so all get their turn.
const TENANTS_PER_RUN: usize = 20_000;
/// Runs of a day.
const RUNS_PER_DAY: i64 = 288;
/// Steps that one visit spends on a tenant, so that no tenant keeps the others waiting.
const STEPS_PER_VISIT: usize = 50;
/// After this, a run begins nothing new: the function has less than 30 s, and the next run goes on.
const RUN_MAX: Duration = Duration::from_secs(15);

/// What a run has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Visits to tenants; one with much work is visited more than once.
    pub visits: usize,
    /// Jobs that were finished.
    pub finished: usize,
    /// Jobs that are left for the next run.
    pub left: usize,
    /// Tenants on which something failed; the next run tries again.
    pub failed: usize,
}

/// Runs once over all tenants, beginning with a random one, until its time is up.
///
/// # Errors
/// When the registry cannot be read. A failure on one tenant is counted and the others go on.
pub async fn run(store: &Store, moment: &Moment) -> Result<Summary, StoreError> {
    let mut summary = Summary::default();
    let mut unfinished = registered(store, moment).await?;
    // Tenants with work left are visited again and again, until nothing is left or the time is up.
    while !unfinished.is_empty() && moment.elapsed() < RUN_MAX {
        let mut left = Vec::new();
        for tenant in unfinished {
            if moment.elapsed() >= RUN_MAX {
                break;
            }
            match visit(store, &moment.next(), &tenant).await {
                Ok(swept) => {
                    summary.finished += swept.finished;
                    if swept.more {
                        left.push(tenant);
                    } else {
                        summary.left += swept.left;
                    }
                }
                Err(_) => summary.failed += 1,
            }
            summary.visits += 1;
        }
        unfinished = left;
    }
    summary.left += unfinished.len();
    Ok(summary)
}

/// The names of all tenants, as far as a run goes, beginning somewhere: a random name divides the registry in two.
async fn registered(store: &Store, moment: &Moment) -> Result<Vec<TenantId>, StoreError> {
    let digits = moment.mint_uuid().simple().to_string();
    // The random part of a uuid v7 is its end.
    let middle = digits.get(20..).and_then(|name| TenantId::parse(name).ok());
    let mut tenants = Vec::new();
    for begin in [middle.as_ref(), None] {
        let mut after = begin.cloned();
        loop {
            let page = store.tenants(moment, after.as_ref(), TENANTS_PER_PAGE).await?;
            tenants.extend(page.tenants.into_iter().map(|info| info.tenant));
            after = page.next;
            if after.is_none() || tenants.len() >= TENANTS_PER_RUN {
                break;
            }
            if begin.is_none() && after > middle {
                break;
            }
        }
    }
    tenants.sort_unstable();
    tenants.dedup();
    let first = tenants.partition_point(|tenant| Some(tenant) < middle.as_ref());
    tenants.rotate_left(first);
    tenants.truncate(TENANTS_PER_RUN);
    Ok(tenants)
}

/// Whether this is the tenant's run of the day, the one in which what is old is removed. Runs come every five minutes.
fn is_its_turn(tenant: &TenantId, moment: &Moment) -> bool {
    let sum = |sum: i64, byte: u8| (sum * 31 + i64::from(byte)) % RUNS_PER_DAY;
    let own = tenant.as_str().bytes().fold(0, sum);
    moment.now().unix_seconds().div_euclid(86_400 / RUNS_PER_DAY).rem_euclid(RUNS_PER_DAY) == own
}

/// Some steps for one tenant; one that is being deleted has nothing to finish.
async fn visit(store: &Store, moment: &Moment, tenant: &TenantId) -> Result<Swept, StoreError> {
    let Some((settings, _)) = store.settings(moment, tenant).await? else {
        return Ok(Swept::default());
    };
    if settings.status == Status::Deleting {
        return Ok(Swept::default());
    }
    let cx = Cx { tenant, settings: &settings, actor: "job", moment };
    let mut swept = store.finish_work(&cx, STEPS_PER_VISIT).await?;
    if is_its_turn(tenant, moment) {
        store.forget_links(&cx).await?;
    }
    if settings.had_brake
        && let Some(settled) = store.carry_out(&cx).await?
    {
        swept.finished += settled.done;
        swept.more = true;
    }
    Ok(swept)
}
