//! Whether a tenant's provisioning is healthy: what is read of it, and the judgement.
//!
//! [`health`] reads a bounded number of items; [`judge()`] is pure. Each finding is a sentence that says what to do.

mod external_ids;
mod journal;
mod judge;
mod shares;

pub use external_ids::{ExternalIds, Looks, looks};
pub use judge::judge;
pub use shares::{Reason, Share};

use std::time::Duration;

use super::cycles::Cycle;
use crate::limits::{
    EXTERNAL_IDS_READ, HEALTH_DAYS, HEALTH_ITEMS_MAX, HEALTH_WINDOW, LOG_ITEMS_PER_PAGE,
};
use crate::moment::{Moment, Timestamp};
use crate::scim::catalog::Kind;
use crate::store::brake::BrakeState;
use crate::store::feed::{Change, position};
use crate::store::settings::Status;
use crate::store::tenants::TokenUse;
use crate::store::tokens::TokenInfo;
use crate::store::traffic::{Activity, Denied, Slot};
use crate::store::{Cx, Store, StoreError, TenantId};

/// How it is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing to do.
    Healthy,
    /// Nobody has been provisioned yet.
    Waiting,
    /// Somebody should look at it.
    Attention,
    /// It does not work, or will not for long.
    AtRisk,
}

impl Verdict {
    /// The words for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Waiting => "waiting for first contact",
            Self::Attention => "attention",
            Self::AtRisk => "at risk",
        }
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sort {
    /// The tenant's calls are not served.
    Status,
    /// The identity provider has not called yet, or has only tested the connection.
    FirstContact,
    /// It has not called for too long.
    Silence,
    /// Requests are refused.
    Failures,
    /// Requests are sent away until later.
    Throttling,
    /// A token ends soon, or there is none.
    Tokens,
    /// A token was refused.
    Denied,
    /// What people are matched by does not look like an id.
    ExternalIds,
    /// Changes are held back from the app by the brake on mass changes.
    Held,
}

impl Sort {
    /// One word for scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::FirstContact => "first-contact",
            Self::Silence => "silence",
            Self::Failures => "failures",
            Self::Throttling => "throttling",
            Self::Tokens => "tokens",
            Self::Denied => "denied",
            Self::ExternalIds => "external-ids",
            Self::Held => "held",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub sort: Sort,
    /// How bad it is.
    pub verdict: Verdict,
    /// What is the matter, and what to do; can be shown as it is.
    pub sentence: String,
}

/// A token, as far as health goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFact {
    /// Its id.
    pub id: String,
    /// What it is for, in its issuer's words.
    pub label: String,
    /// When it was issued.
    pub created: Timestamp,
    /// Until when it is valid.
    pub valid_until: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
}

impl TokenFact {
    /// Whether it opens the door.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.valid_until
    }
}

/// What a judgement goes by.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Now.
    pub now: Timestamp,
    /// Whether the tenant's calls are served.
    pub status: Status,
    /// When it was created.
    pub created: Timestamp,
    /// When its identity provider last called.
    pub last_call: Option<Timestamp>,
    /// When it last tested the connection or began a cycle.
    pub last_probe: Option<Timestamp>,
    /// When a call was last refused.
    pub last_refusal: Option<Timestamp>,
    /// The last of its tokens that was refused.
    pub denied: Option<Denied>,
    /// People in the directory.
    pub users: u64,
    /// When the first person of the directory came.
    pub first_person: Option<Timestamp>,
    /// What was asked for in the last days, in order of time.
    pub slots: Vec<Slot>,
    /// Its tokens, oldest first.
    pub tokens: Vec<TokenFact>,
    /// What the journal has of the last day, the newest first, as much as is read.
    pub changes: Vec<Change>,
    /// How the first people's externalIds look.
    pub external_ids: ExternalIds,
    /// What the brake on mass changes holds back.
    pub brake: BrakeState,
}

/// How a tenant's provisioning is. All counts are "about".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// When this was.
    pub now: Timestamp,
    /// The worst of the findings.
    pub verdict: Verdict,
    /// How it is, in a sentence that can be shown as it is.
    pub sentence: String,
    /// What is not as it should be, the worst first.
    pub findings: Vec<Finding>,
    /// When the identity provider last called.
    pub last_call: Option<Timestamp>,
    /// When it last tested the connection or began a cycle.
    pub last_probe: Option<Timestamp>,
    /// When a call was last refused.
    pub last_refusal: Option<Timestamp>,
    /// The last token that was refused.
    pub denied: Option<Denied>,
    /// How long it may be silent.
    pub silence_allowed: Duration,
    /// How long it usually is from one cycle to the next.
    pub rhythm: Option<Duration>,
    /// The cycles of the last days, in order of time.
    pub cycles: Vec<Cycle>,
    /// People in the directory.
    pub users: u64,
    /// Writes of the last day, by their sorts: those that were asked for at all.
    pub shares: Vec<Share>,
    /// All writes of the last day.
    pub writes: u64,
    /// Those of them that were refused.
    pub refused: u64,
    /// Requests of the last day that were sent away until later.
    pub throttled: u64,
    /// Its tokens, oldest first.
    pub tokens: Vec<TokenFact>,
    /// How the first people's externalIds look.
    pub external_ids: ExternalIds,
    /// What the brake on mass changes holds back.
    pub brake: BrakeState,
}

impl Health {
    /// People seen so far in the cycle under way, and how many that is measured by: those of the last cycle over
    /// everybody, or else those in the directory.
    pub fn progress(&self) -> Option<(u64, u64)> {
        let open = self.cycles.last().filter(|cycle| cycle.is_open && cycle.kind.is_full())?;
        let full = super::cycles::last_full(&self.cycles);
        let of = full.map_or(self.users, |full| full.sums.people_seen());
        // Who is looked at twice counts twice.
        Some((open.sums.people_seen().min(of), of))
    }
}

/// Reads what there is to know of a tenant's health, and judges it. `None` when there is no such tenant.
///
/// # Errors
/// As any read.
pub async fn health(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<Option<Health>, StoreError> {
    Ok(read(store, moment, tenant).await?.as_ref().map(judge))
}

/// What there is to know.
///
/// # Errors
/// As any read.
pub async fn read(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<Option<Facts>, StoreError> {
    let Some((settings, created)) = store.settings(moment, tenant).await? else { return Ok(None) };
    let cx = Cx { tenant, settings: &settings, actor: "insight", moment };
    let now = moment.now();
    let Activity { times, denied } = store.activity_and_denial(moment, tenant).await?;
    let time = |name: &str| times.get(name).copied();
    let used = |token: &TokenInfo| TokenUse::of(&times, &token.id).last();
    let tokens = store.token_infos(&cx).await?.into_iter().map(|token| TokenFact {
        last_used: used(&token),
        id: token.id,
        label: token.label,
        created: token.created,
        valid_until: token.valid_until,
        revoked: token.revoked,
    });
    let brake = if settings.had_brake {
        store.brake_state(moment, tenant).await?
    } else {
        BrakeState::default()
    };
    let first = store.page(&cx, Kind::User, 0, EXTERNAL_IDS_READ).await?;
    Ok(Some(Facts {
        now,
        status: settings.status,
        created,
        last_call: time("lastCall"),
        last_probe: time("lastProbe"),
        last_refusal: time("lastRefusal"),
        denied,
        users: u64::try_from(store.count(&cx, Kind::User).await?).unwrap_or(u64::MAX),
        slots: store.traffic(moment, tenant, now.plus_seconds(-HEALTH_DAYS * 86_400)).await?,
        tokens: tokens.collect(),
        changes: last_day(store, moment, tenant).await?,
        first_person: first.first().map(|person| person.created),
        external_ids: ExternalIds::of(&first),
        brake,
    }))
}

/// What the journal has of the last day, the newest first: a bounded number of items.
async fn last_day(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<Vec<Change>, StoreError> {
    let since = position(moment.now().minus(HEALTH_WINDOW));
    let (mut before, mut looked, mut changes) = (uuid::Uuid::max(), 0, Vec::new());
    while looked < HEALTH_ITEMS_MAX {
        let page =
            store.changes_newest_first(moment, tenant, (since, before), LOG_ITEMS_PER_PAGE).await?;
        looked += page.changes.len().max(1);
        changes.extend(page.changes);
        match page.last {
            Some(last) => before = last,
            None => break,
        }
    }
    Ok(changes)
}
