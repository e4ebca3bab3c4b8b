//! Someone is told: a look at every tenant's health, and a notice for each condition that is new
//! (`docs/adr/0042-someone-is-told.md`).
//!
//! A condition is told once. It is told again when it was over and has come back, and after a week; not while it is muted.
//! Who tells claims the condition first and notes it as told afterwards: whoever dies in between is followed by the next
//! run, and two runs at once tell it once.

mod notice;

use std::time::Duration;

pub use notice::{Condition, Message, Notice, message, metrics};

use crate::insight::health::{self, Verdict};
use crate::limits::{
    SWEEP_PAUSE, WATCH_AGAIN_DAYS, WATCH_BACK_MIN, WATCH_CLAIM, WATCH_NOTICES_PER_MESSAGE,
    WATCH_RUN_MAX, WATCH_TENANTS_MAX,
};
use crate::moment::{Moment, Timestamp};
use crate::store::settings::Status;
use crate::store::told::Told;
use crate::store::{Cx, Store, StoreError, TenantId};

/// Tenants that one look at the registry reads.
const TENANTS_PER_PAGE: usize = 100;

/// Whether notices are only shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are; nothing is written.
    Show,
    /// They are told.
    Tell,
}

/// What a run has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Tenants that were looked at.
    pub tenants: u64,
    /// Those of them that are at risk.
    pub at_risk: u64,
    /// Those of them that are silent.
    pub silent: u64,
    /// Changes that are held back, of all of them.
    pub held: u64,
    /// Tenants that could not be looked at; the next run tries again.
    pub failed: u64,
    /// Tenants that this run had no time for.
    pub left: u64,
    /// What was told, or would be.
    pub notices: Vec<Notice>,
    /// Notices that could not be told; the next run tries again.
    pub untold: u64,
}

/// A notice that this run has claimed.
struct Claim {
    notice: Notice,
    told: Told,
}

/// Looks at all tenants once, beginning with a random one, and tells what is new.
///
/// # Errors
/// When the registry cannot be read. A failure on one tenant, or in telling, is counted, and the others go on.
pub async fn run<E>(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    mode: Mode,
    tell: impl AsyncFn(Message) -> Result<(), E>,
) -> Result<Summary, StoreError> {
    let begun = moments();
    let mut summary = Summary::default();
    let tenants = registered(store, &begun).await?;
    let mut claims = Vec::new();
    for (index, tenant) in tenants.iter().enumerate() {
        if begun.elapsed() >= WATCH_RUN_MAX {
            summary.left = u64::try_from(tenants.len() - index).unwrap_or(u64::MAX);
            break;
        }
        match look(store, &moments(), (tenant, mode), &mut summary).await {
            Ok(mut new) => claims.append(&mut new),
            Err(_) => summary.failed += 1,
        }
        if claims.len() >= WATCH_NOTICES_PER_MESSAGE {
            send(store, moments, (mode, std::mem::take(&mut claims)), &tell, &mut summary).await;
        }
        begun.sleep(SWEEP_PAUSE).await;
    }
    send(store, moments, (mode, claims), &tell, &mut summary).await;
    Ok(summary)
}

/// The names of all tenants, as far as a run goes, beginning somewhere.
async fn registered(store: &Store, moment: &Moment) -> Result<Vec<TenantId>, StoreError> {
    let mut tenants = Vec::new();
    let mut after = None;
    loop {
        let page = store.tenants(moment, after.as_ref(), TENANTS_PER_PAGE).await?;
        tenants.extend(page.tenants.into_iter().map(|info| info.tenant));
        after = page.next;
        if after.is_none() || tenants.len() >= WATCH_TENANTS_MAX {
            break;
        }
    }
    let count = u32::try_from(tenants.len()).unwrap_or(u32::MAX);
    if count > 0 {
        // A run that has no time for all of them begins with others the next time.
        let first = usize::try_from(moment.random_below(count)).unwrap_or(0);
        tenants.rotate_left(first);
    }
    Ok(tenants)
}

/// What is new of one tenant, claimed; and what is over is noted.
async fn look(
    store: &Store,
    moment: &Moment,
    (tenant, mode): (&TenantId, Mode),
    summary: &mut Summary,
) -> Result<Vec<Claim>, StoreError> {
    let Some((settings, _)) = store.settings(moment, tenant).await? else { return Ok(Vec::new()) };
    let current = if settings.status == Status::Enabled {
        let Some(health) = health::health(store, moment, tenant).await? else {
            return Ok(Vec::new());
        };
        summary.tenants += 1;
        summary.at_risk += u64::from(health.verdict == Verdict::AtRisk);
        summary.held += health.brake.held;
        let cx = Cx { tenant, settings: &settings, actor: "watch", moment };
        notice::conditions(&health, &store.saml(&cx).await?)
    } else {
        Vec::new()
    };
    let is_silent = |(condition, _): &(Condition, String)| *condition == Condition::Silent;
    summary.silent += u64::from(current.iter().any(is_silent));
    let known = store.told(moment, tenant).await?;
    let now = moment.now();
    let mut claims = Vec::new();
    for (condition, sentence) in &current {
        let before = known.get(condition.word());
        if !is_due(before, now) {
            continue;
        }
        let notice =
            Notice { tenant: tenant.clone(), condition: *condition, sentence: sentence.clone() };
        let after = Told { claimed: Some(now), ..before.cloned().unwrap_or_default() };
        let told = match mode {
            Mode::Show => Some(after),
            Mode::Tell => {
                let at = (tenant, condition.word());
                store.note_told(moment, at, (before, after)).await?
            }
        };
        claims.extend(told.map(|told| Claim { notice, told }));
    }
    if mode == Mode::Tell {
        let is_current = |word: &str| current.iter().any(|(condition, _)| condition.word() == word);
        for (word, told) in
            known.iter().filter(|(word, told)| !is_current(word) && told.over.is_none())
        {
            let after = Told { over: Some(now), ..told.clone() };
            store.note_told(moment, (tenant, word), (Some(told), after)).await?;
        }
    }
    Ok(claims)
}

/// Whether somebody is to be told of a condition that there is.
fn is_due(known: Option<&Told>, now: Timestamp) -> bool {
    let Some(known) = known else { return true };
    if known.muted.is_some_and(|until| now < until) {
        return false;
    }
    if known.claimed.is_some_and(|claimed| now < claimed.plus(WATCH_CLAIM)) {
        return false;
    }
    let Some(told) = known.told else { return true };
    let again = Duration::from_secs(WATCH_AGAIN_DAYS * 86_400);
    // What comes and goes is not told each time.
    let is_back = known.over.is_some() && told.plus(WATCH_BACK_MIN) <= now;
    is_back || told.plus(again) <= now
}

/// Tells what was claimed, and notes it as told. What could not be told is told by the run after the next.
async fn send<E>(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    (mode, claims): (Mode, Vec<Claim>),
    tell: &impl AsyncFn(Message) -> Result<(), E>,
    summary: &mut Summary,
) {
    for chunk in claims.chunks(WATCH_NOTICES_PER_MESSAGE) {
        let notices: Vec<Notice> = chunk.iter().map(|claim| claim.notice.clone()).collect();
        if mode == Mode::Tell && tell(message(&notices)).await.is_err() {
            summary.untold += u64::try_from(notices.len()).unwrap_or(u64::MAX);
            continue;
        }
        if mode == Mode::Tell {
            for Claim { notice, told } in chunk {
                let moment = moments();
                let at = (&notice.tenant, notice.condition.word());
                let after = Told { told: Some(moment.now()), over: None, ..told.clone() };
                // Where this fails, it is told once more: better than never.
                drop(store.note_told(&moment, at, (Some(told), after)).await);
            }
        }
        summary.notices.extend(notices);
    }
}

/// Has nobody told of a condition of a tenant for so many days; 0 ends that.
///
/// # Errors
/// As any write; [`StoreError::Stale`] when somebody else was told meanwhile: try again.
pub async fn mute(
    store: &Store,
    moment: &Moment,
    (tenant, condition): (&TenantId, Condition),
    days: u64,
) -> Result<Option<Timestamp>, StoreError> {
    let known = store.told(moment, tenant).await?;
    let before = known.get(condition.word());
    let until = (days > 0).then(|| moment.now().plus(Duration::from_secs(days * 86_400)));
    let after = Told { muted: until, ..before.cloned().unwrap_or_default() };
    let done = store.note_told(moment, (tenant, condition.word()), (before, after)).await?;
    done.map(|_| until).ok_or(StoreError::Stale)
}
