//! The per-tenant limiter: a token bucket in the process's memory, no store call.
//!
//! An HTTP API has no throttle per client, and one tenant's storm must not starve the others. The rate is never below
//! what Entra needs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::limits::LIMITER_TENANTS_MAX;
use crate::moment::Moment;
use crate::store::TenantId;

/// Seconds of the rate that may be used at once.
const BURST_SECONDS: f64 = 2.0;

/// Counts requests by tenant.
#[derive(Debug)]
pub struct Limiter {
    per_second: f64,
    buckets: Mutex<HashMap<TenantId, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Duration,
}

impl Limiter {
    /// Lets `per_second` requests of a tenant through in each second, and a burst of twice as many.
    pub fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second), buckets: Mutex::default() }
    }

    /// Takes one request of the tenant's.
    ///
    /// # Errors
    /// The whole seconds after which the next one will be let through.
    pub fn admit(&self, moment: &Moment, tenant: &TenantId) -> Result<(), u64> {
        let now = moment.monotonic();
        let full = self.per_second * BURST_SECONDS;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= LIMITER_TENANTS_MAX {
            // A bucket that has filled up again is as good as none.
            buckets.retain(|_, bucket| self.refilled(bucket, now) < full);
        }
        let bucket = buckets.entry(tenant.clone()).or_insert(Bucket { left: full, at: now });
        let left = self.refilled(bucket, now).min(full);
        if left < 1.0 {
            *bucket = Bucket { left, at: now };
            return Err(1);
        }
        *bucket = Bucket { left: left - 1.0, at: now };
        Ok(())
    }

    fn refilled(&self, bucket: &Bucket, now: Duration) -> f64 {
        bucket.left + now.saturating_sub(bucket.at).as_secs_f64() * self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tests::moment;

    #[test]
    fn a_burst_passes_and_then_one_tenant_waits_and_the_other_does_not() {
        let limiter = Limiter::new(50);
        let (moment, acme) = (moment(), TenantId::parse("acme").unwrap());
        for _ in 0..100 {
            assert_eq!(limiter.admit(&moment, &acme), Ok(()));
        }
        assert_eq!(limiter.admit(&moment, &acme), Err(1));
        assert_eq!(limiter.admit(&moment, &TenantId::parse("other").unwrap()), Ok(()));
    }
}
