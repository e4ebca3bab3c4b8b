//! When a tenant was last called, last probed, last refused: at most one write a minute; at once, the first call, what is
//! refused, and the first call that is let in behind it. A lost note never changes an answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::limits::LIMITER_TENANTS_MAX;
use crate::moment::Moment;
use crate::store::TenantId;
use crate::store::tenants::CameOf;

/// How often an ordinary call is noted.
const INTERVAL: Duration = Duration::from_mins(1);

/// Remembers when this process last wrote a tenant's activity with a token, and what had come of the call.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<(TenantId, String), (Duration, CameOf)>>);

/// What a call was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// An ordinary call.
    Call,
    /// A search for somebody who cannot be there: Entra's Test Connection.
    Probe,
    /// A call that was refused.
    Refusal,
    /// A call that was sent away at the door: a workspace that is switched off, a path that is not there. A storm of
    /// these must not become a storm of writes.
    Bounced,
    /// One too many, which is to come again: what comes of the next one may be the opposite, so that it is no news.
    Throttled,
}

impl Seen {
    /// What came of it.
    fn came_of(self) -> CameOf {
        match self {
            Self::Call | Self::Probe => CameOf::LetIn,
            Self::Refusal | Self::Bounced | Self::Throttled => CameOf::Refused,
        }
    }
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
            last.retain(|_, (at, _)| now < *at + INTERVAL);
        }
        let key = (tenant.clone(), token.to_owned());
        let came = seen.came_of();
        let due = last.get(&key).is_none_or(|(at, before)| {
            now >= *at + INTERVAL
                || match seen {
                    Seen::Refusal => true,
                    Seen::Call | Seen::Probe | Seen::Bounced => *before != came,
                    Seen::Throttled => false,
                }
        });
        if due {
            last.insert(key, (now, came));
        }
        due
    }
}

/// The attributes of the activity item that a call moves, and what came of it.
pub(super) fn attributes(seen: Seen) -> (&'static [&'static str], CameOf) {
    let names: &[&str] = match seen {
        Seen::Call => &["lastCall"],
        Seen::Probe => &["lastCall", "lastProbe"],
        Seen::Refusal | Seen::Bounced | Seen::Throttled => &["lastCall", "lastRefusal"],
    };
    (names, seen.came_of())
}
