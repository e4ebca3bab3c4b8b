//! Counts what is asked for, by stretches of ten minutes, and says when the counts are to be written: the first at once,
//! then after pauses that grow to a minute, and numbers of requests that double. What is not written when the process ends is lost.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::request::Query;
use super::route::Route;
use crate::limits::{
    LIMITER_TENANTS_MAX, TRAFFIC_BURST_FIRST, TRAFFIC_PAUSE_FIRST, TRAFFIC_PAUSE_MAX, TRAFFIC_SLOT,
    TRAFFIC_WAITING_MAX,
};
use crate::moment::{Moment, Timestamp};
use crate::ops::{Failure, Reply};
use crate::scim::catalog::Kind;
use crate::scim::error::ErrorKind;
use crate::scim::well_known;
use crate::store::TenantId;
use crate::store::traffic::{IsRefused, Sums, Write, slot_of};

/// What this process has counted and not written yet, for each tenant and token.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<HashMap<(TenantId, String), Counter>>);

/// Of one token.
#[derive(Debug, Default)]
struct Counter {
    /// Stretches of time, oldest first.
    waiting: Vec<(Timestamp, Sums)>,
    /// Requests that are in these.
    requests: u64,
    /// When something was last written, and until when or until how many requests to wait then.
    written: Option<(Duration, Duration, u64)>,
    /// When something was last counted.
    seen: Duration,
}

impl Counter {
    fn add(&mut self, now: Duration, start: Timestamp, sums: &Sums) {
        self.seen = now;
        self.requests += 1;
        match self.waiting.last_mut() {
            Some((slot, counted)) if *slot == start => *counted = counted.plus(sums),
            Some(_) | None => self.waiting.push((start, *sums)),
        }
        if self.waiting.len() > TRAFFIC_WAITING_MAX {
            // Nothing could be written for that long.
            self.waiting.remove(0);
        }
    }

    fn due(&mut self, now: Duration) -> Vec<(Timestamp, Sums)> {
        let (pause, burst) = match self.written {
            Some((at, pause, burst)) if now < at + pause && self.requests < burst => {
                return Vec::new();
            }
            // Behind a silence it begins anew.
            Some((at, pause, burst)) if now < at + TRAFFIC_SLOT => {
                ((pause * 2).min(TRAFFIC_PAUSE_MAX), burst.saturating_mul(2))
            }
            Some(_) | None => (TRAFFIC_PAUSE_FIRST, TRAFFIC_BURST_FIRST),
        };
        if self.waiting.is_empty() {
            return Vec::new();
        }
        self.written = Some((now, pause, burst));
        self.requests = 0;
        std::mem::take(&mut self.waiting)
    }
}

impl Counters {
    /// Counts a request.
    pub(super) fn add(&self, moment: &Moment, tenant: &TenantId, token: &str, sums: &Sums) {
        let now = moment.monotonic();
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.clone(), token.to_owned());
        if counters.len() >= LIMITER_TENANTS_MAX && !counters.contains_key(&key) {
            // First those that have nothing to lose, then those that nobody has called for a while, then all.
            let keeps: [fn(&Counter, Duration) -> bool; 3] = [
                |counter, _| !counter.waiting.is_empty(),
                |counter, now| now < counter.seen + TRAFFIC_PAUSE_MAX,
                |_, _| false,
            ];
            for keep in keeps {
                if counters.len() >= LIMITER_TENANTS_MAX {
                    counters.retain(|_, counter| keep(counter, now));
                }
            }
        }
        counters.entry(key).or_default().add(now, slot_of(moment.now()), sums);
    }

    /// What is to be written now.
    pub(super) fn due(
        &self,
        moment: &Moment,
        tenant: &TenantId,
        token: &str,
    ) -> Vec<(Timestamp, Sums)> {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.get_mut(&(tenant.clone(), token.to_owned()));
        counter.map(|counter| counter.due(moment.monotonic())).unwrap_or_default()
    }
}

/// What one request counts as, once it is known what became of it.
pub(super) fn sums(
    (route, query): (&Route, &str),
    is_probe: bool,
    done: &Result<Reply, Failure>,
) -> Sums {
    let mut sums = Sums::default();
    let refused = done.as_ref().err().map(|failure| failure.error.kind());
    if matches!(refused, Some(ErrorKind::TooManyRequests | ErrorKind::Unavailable)) {
        return throttled();
    }
    let (write, one) = match route {
        Route::Create(_) => (Some(Write::Post), None),
        Route::Patch(..) => (Some(Write::Patch), None),
        Route::Replace(..) => (Some(Write::Put), None),
        Route::Delete(..) => (Some(Write::Delete), None),
        Route::Read(kind, _) => (None, Some(*kind)),
        Route::List(kind) => (None, is_filtered(query).then_some(*kind)),
        // No identity provider looks for a person in one of the first two ways; of a bulk request, its operations are counted.
        Route::Query
        | Route::Search(_)
        | Route::Bulk
        | Route::ServiceProviderConfig
        | Route::ResourceTypes(_)
        | Route::Schemas(_) => (None, None),
    };
    if let Some(write) = write {
        // Who is deleted again is gone, as it was asked for.
        let is_gone = write == Write::Delete && refused == Some(ErrorKind::NotFound);
        let is_refused = refused.is_some() && !is_gone;
        sums.count(write, if is_refused { IsRefused::Yes } else { IsRefused::No });
        return sums;
    }
    match one.filter(|_| refused.is_none()) {
        Some(_) if is_probe => sums.probes = 1,
        Some(Kind::User) => sums.people = 1,
        Some(Kind::Group) => sums.groups = 1,
        Some(Kind::Custom(_)) | None => {}
    }
    sums
}

/// What a request counts as that was sent away until later.
pub(super) fn throttled() -> Sums {
    Sums { throttled: 1, ..Sums::default() }
}

/// Whether somebody is looked for. Who begins with an id knows the person, and asks whether a reference is in place.
fn is_filtered(query: &str) -> bool {
    let Ok(query) = Query::parse(query) else { return false };
    let first = query.get("filter").and_then(|filter| filter.split_whitespace().next());
    first.is_some_and(|first| !first.eq_ignore_ascii_case(well_known::ID))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(minute: i64) -> Timestamp {
        Timestamp::from_unix(minute * 60, 0).unwrap()
    }

    fn one() -> Sums {
        Sums { people: 1, ..Sums::default() }
    }

    #[test]
    fn pauses_grow_to_a_minute_and_begin_anew_behind_a_silence() {
        let mut counter = Counter::default();
        let mut written = Vec::new();
        let call = |counter: &mut Counter, second: u64, written: &mut Vec<(u64, u64)>| {
            let now = Duration::from_secs(second);
            counter.add(now, slot_of(Timestamp::from_unix(1_800_000_000, 0).unwrap()), &one());
            let people: u64 = counter.due(now).iter().map(|(_, sums)| sums.people).sum();
            if people > 0 {
                written.push((second, people));
            }
        };
        for second in 0..200 {
            call(&mut counter, second, &mut written);
        }
        for second in [2_400, 2_404, 2_405] {
            call(&mut counter, second, &mut written);
        }
        let expected = [
            (0, 1),
            (5, 5),
            (15, 10),
            (35, 20),
            (75, 40),
            (135, 60),
            (195, 60),
            (2_400, 5),
            (2_405, 2),
        ];
        assert_eq!(written, expected);
    }

    #[test]
    fn of_a_burst_at_most_half_waits() {
        let mut counter = Counter::default();
        let written = (1..=300).filter(|_| {
            counter.add(Duration::ZERO, slot(0), &one());
            !counter.due(Duration::ZERO).is_empty()
        });
        assert_eq!(written.collect::<Vec<_>>(), [1, 17, 49, 113, 241]);
    }

    #[test]
    fn what_waits_keeps_its_own_stretch_of_time() {
        let mut counter = Counter::default();
        counter.add(Duration::ZERO, slot(0), &one());
        assert_eq!(counter.due(Duration::ZERO).len(), 1);
        counter.add(Duration::from_secs(1), slot(0), &one());
        counter.add(Duration::from_secs(2), slot(0), &one());
        counter.add(Duration::from_secs(3), slot(10), &one());
        let due = counter.due(Duration::from_secs(6));
        let told: Vec<_> = due.iter().map(|(start, sums)| (*start, sums.people)).collect();
        assert_eq!(told, [(slot(0), 2), (slot(10), 1)]);
        for minute in [20, 30, 40, 50] {
            counter.add(Duration::from_secs(7), slot(minute), &one());
        }
        assert_eq!(counter.waiting.len(), TRAFFIC_WAITING_MAX);
    }
}
