//! Who is calling (RFC 6750, RFC 7644 §2): from the `Authorization` header to a [`Caller`].
//!
//! The tenant comes from the token alone. A validated token may be remembered for at most 30 s, so revoking and
//! disabling take effect within that time; its expiry is checked on every call.

mod limiter;
mod signer;
mod token;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use limiter::Limiter;
pub use signer::Signer;
pub use token::{LinkSecret, Opens, Secret, SessionSecret, TokenSecret, random, same};

use crate::limits::TOKEN_CACHE_MAX;
use crate::moment::Moment;
use crate::store::scopes::Scopes;
use crate::store::settings::Status;
use crate::store::tokens::Grant;
use crate::store::{Cx, Settings, Store, StoreError, TenantId};

/// Proof that a request is authenticated for a tenant. Only [`Authenticator::authenticate`] makes one.
#[derive(Clone, Debug)]
pub struct Caller {
    grant: Grant,
    signer: Signer,
}

impl Caller {
    /// The tenant whose data this is about.
    pub fn tenant(&self) -> &TenantId {
        &self.grant.tenant
    }

    /// What the tenant has chosen.
    pub fn settings(&self) -> &Settings {
        &self.grant.settings
    }

    /// The id of the token, which may be logged.
    pub fn token(&self) -> &str {
        &self.grant.token
    }

    /// What signs for this token.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// What the token may do.
    pub fn scopes(&self) -> &Scopes {
        &self.grant.scopes
    }

    /// What the store needs to know with each call.
    pub fn cx<'a>(&'a self, moment: &'a Moment) -> Cx<'a> {
        let Grant { tenant, settings, token, .. } = &self.grant;
        Cx { tenant, settings, actor: token, moment }
    }
}

/// Why a caller is not let in. Each is 401, but for [`Denied::Released`].
#[derive(Debug)]
pub enum Denied {
    /// There is no `Authorization` header, or one of another scheme.
    Missing,
    /// The token is not one of ours.
    Unknown,
    /// The token has expired; whose it was.
    Expired(Box<Grant>),
    /// The token was revoked; whose it was.
    Revoked(Box<Grant>),
    /// The token was revoked because its tenant was released.
    Released,
    /// The look-up failed: not the caller's fault.
    Failed(StoreError),
}

/// Checks tokens, and remembers for a short time those that it has checked.
#[derive(Debug)]
pub struct Authenticator {
    kept: Duration,
    cache: Mutex<HashMap<String, (Duration, Grant)>>,
}

impl Authenticator {
    /// Remembers a validated token for `kept`; zero turns that off.
    pub fn new(kept: Duration) -> Self {
        Self { kept, cache: Mutex::default() }
    }

    /// Who sent this `Authorization` header.
    ///
    /// # Errors
    /// [`Denied`] says why nobody did.
    pub async fn authenticate(
        &self,
        store: &Store,
        moment: &Moment,
        header: Option<&str>,
    ) -> Result<Caller, Denied> {
        let secret = bearer(header.ok_or(Denied::Missing)?).ok_or(Denied::Missing)?;
        let digest = TokenSecret::parse(secret).ok_or(Denied::Unknown)?.digest();
        let grant = if let Some(grant) = self.remembered(moment, &digest) {
            grant
        } else {
            let found = store.look_up(moment, &digest).await.map_err(Denied::Failed)?;
            let grant = found.ok_or(Denied::Unknown)?;
            self.remember(moment, &digest, &grant);
            grant
        };
        if grant.revoked.is_some() {
            let released = grant.settings.status == Status::Released;
            return Err(if released { Denied::Released } else { Denied::Revoked(Box::new(grant)) });
        }
        if moment.now() >= grant.valid_until {
            return Err(Denied::Expired(Box::new(grant)));
        }
        Ok(Caller { grant, signer: Signer::of(&digest) })
    }

    fn remembered(&self, moment: &Moment, digest: &str) -> Option<Grant> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, (since, grant)) = cache.get_key_value(digest)?;
        let fresh = moment.monotonic() < *since + self.kept;
        (same(key, digest) && fresh).then(|| grant.clone())
    }

    /// Only tokens that open the door are remembered: a fix of a wrong one works at once.
    fn remember(&self, moment: &Moment, digest: &str, grant: &Grant) {
        if self.kept.is_zero() || grant.revoked.is_some() {
            return;
        }
        let now = moment.monotonic();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= TOKEN_CACHE_MAX {
            cache.retain(|_, (since, _)| now < *since + self.kept);
        }
        if cache.len() < TOKEN_CACHE_MAX {
            cache.insert(digest.to_owned(), (now, grant.clone()));
        }
    }
}

/// The token in a header: the scheme in any letter case, also twice (admins paste the word with the token), white space
/// and line ends from a paste around it.
fn bearer(header: &str) -> Option<&str> {
    let mut rest = header.trim();
    let mut schemes = 0;
    while let Some((word, after)) = rest.split_once(char::is_whitespace) {
        if !word.eq_ignore_ascii_case("bearer") || schemes == 2 {
            return None;
        }
        schemes += 1;
        rest = after.trim_start();
    }
    (schemes > 0 && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;

    use super::*;
    use crate::moment::{Clock, Timestamp};

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::parse("2026-11-21T08:00:00Z").unwrap()
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::ready(()))
        }
    }

    pub(crate) fn moment() -> Moment {
        Moment::new(Arc::new(Stopped), [7; 32], "r".to_owned())
    }

    #[test]
    fn the_word_bearer_may_come_in_any_case_and_twice() {
        for header in ["Bearer x", "bearer x", "BEARER  x ", "Bearer Bearer x", "Bearer x\n"] {
            assert_eq!(bearer(header), Some("x"), "{header:?}");
        }
        for header in ["", "x", "Bearer", "Bearer ", "Basic x", "Bearer x y", "Bearer a Bearer b"] {
            assert_eq!(bearer(header), None, "{header:?}");
        }
    }
}
