//! When a tenant was last called, last probed, last refused: at most one write a minute, refusals and the first call at
//! once. A lost note never changes an answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::limits::LIMITER_TENANTS_MAX;
use crate::moment::Moment;
use crate::store::TenantId;

/// How often an ordinary call is noted.
const INTERVAL: Duration = Duration::from_mins(1);

/// Remembers when this process last wrote a tenant's activity with a token.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<(TenantId, String), Duration>>);

/// What a call was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// An ordinary call.
    Call,
    /// A search for somebody who cannot be there: Entra's Test Connection.
    Probe,
    /// A call that was refused.
    Refusal,
    /// A call that was sent away at the door: a workspace that is switched off, too many requests, a path that is not
    /// there. A storm of these must not become a storm of writes.
    Bounced,
}

impl Throttle {
    /// Whether this call is to be noted now.
    pub(super) fn is_due(
        &self,
        moment: &Moment,
        tenant: &TenantId,
        token: &str,
        seen: Seen,
    ) -> bool {
        let now = moment.monotonic();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= LIMITER_TENANTS_MAX {
            last.retain(|_, at| now < *at + INTERVAL);
        }
        let key = (tenant.clone(), token.to_owned());
        let due = last.get(&key).is_none_or(|at| now >= *at + INTERVAL);
        if due || seen == Seen::Refusal {
            last.insert(key, now);
            return true;
        }
        false
    }
}

/// The attributes of the activity item that a call moves.
pub(super) fn attributes(seen: Seen) -> &'static [&'static str] {
    match seen {
        Seen::Call => &["lastCall"],
        Seen::Probe => &["lastCall", "lastProbe"],
        Seen::Refusal | Seen::Bounced => &["lastCall", "lastRefusal"],
    }
}
