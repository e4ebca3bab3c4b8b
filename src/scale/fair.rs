//! One tenant storms while DynamoDB throttles its partition; what another tenant notices of it.
//!
//! Both tenants are in one process, which is stricter than Lambda, where each request under way has an environment and its CPU
//! to itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::task::JoinSet;

use super::time::at_percent;
use crate::local::{Direct, LocalError};
use crate::store::TenantId;
use crate::system::Moments;

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub struct FairPlan {
    /// So many times alone and beside the storm.
    pub rounds: usize,
    /// Requests of the quiet tenant in each half of a round.
    pub requests: usize,
    /// Between two of them.
    pub pause: Duration,
    /// Between two requests of the storm.
    pub storm_pause: Duration,
    /// What the limiter lets a tenant have in a second.
    pub rate: u32,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fairness {
    /// The quiet tenant's median and p99 alone.
    pub alone: (Duration, Duration),
    /// And beside the storm.
    pub beside: (Duration, Duration),
    /// p99 of each round, alone and beside the storm.
    pub rounds: Vec<(Duration, Duration)>,
    /// Requests of the storm.
    pub storm: usize,
    /// Of these, answered 429 by the limiter.
    pub limited: usize,
    /// Of these, answered 503 because the store throttled them.
    pub throttled: usize,
    /// Answers to the quiet tenant that were not 200.
    pub errors: usize,
}

/// The tenant that is measured and the one that storms.
const QUIET: usize = 0;
/// See [`QUIET`].
const STORM: usize = 1;
/// What both ask for.
const MATCH: &str = "/Users?filter=userName+eq+%22ida@ex.test%22";
/// Requests of the storm that wait for an answer at most; more would measure this machine's memory.
const STORM_UNDER_WAY_MAX: usize = 2_000;

/// Measures it over a store in memory.
///
/// # Errors
/// When the service does not start.
pub async fn fairness(
    moments: Moments,
    plan: FairPlan,
    progress: &mut dyn FnMut(),
) -> Result<Fairness, LocalError> {
    let names = ["quiet", "storm"].map(TenantId::parse);
    let names = names.into_iter().collect::<Result<Vec<_>, _>>();
    let names = names.map_err(|error| LocalError::new(error.to_string()))?;
    let service = Arc::new(Direct::open(None, moments, &names, Some(plan.rate)).await?);
    for tenant in [QUIET, STORM] {
        let body = Bytes::from_static(br#"{"userName": "ida@ex.test", "externalId": "ida"}"#);
        service.call(tenant, (Method::POST, "/Users"), body).await?;
    }
    service.throttle(names.get(STORM));
    let mut result = Fairness::default();
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let counts = Arc::new(Counts::default());
    // The first ones warm up.
    quiet(&service, plan, &mut result).await?;
    result.errors = 0;
    for round in 0..plan.rounds {
        let mut p99 = [Duration::ZERO; 2];
        // Which half comes first changes, so that what else the machine does meets both.
        for half in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            let times = if half == 0 {
                let times = quiet(&service, plan, &mut result).await?;
                alone.extend_from_slice(&times);
                times
            } else {
                let storm = storm(Arc::clone(&service), plan.storm_pause, Arc::clone(&counts));
                let storm = tokio::spawn(storm);
                let times = quiet(&service, plan, &mut result).await;
                storm.abort();
                if let Err(error) = storm.await
                    && !error.is_cancelled()
                {
                    return Err(LocalError::new("the storm has ended by itself"));
                }
                let times = times?;
                beside.extend_from_slice(&times);
                times
            };
            if let Some(p99) = p99.get_mut(half) {
                *p99 = at_percent(times, 99);
            }
        }
        let [alone, beside] = p99;
        result.rounds.push((alone, beside));
        progress();
    }
    result.alone = (at_percent(alone.clone(), 50), at_percent(alone, 99));
    result.beside = (at_percent(beside.clone(), 50), at_percent(beside, 99));
    result.storm = counts.sent.load(Ordering::Relaxed);
    result.limited = counts.limited.load(Ordering::Relaxed);
    result.throttled = counts.throttled.load(Ordering::Relaxed);
    Ok(result)
}

/// What became of the storm.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicUsize,
    limited: AtomicUsize,
    throttled: AtomicUsize,
}

/// The quiet tenant's requests, one after the other, and their times.
async fn quiet(
    service: &Direct,
    plan: FairPlan,
    result: &mut Fairness,
) -> Result<Vec<Duration>, LocalError> {
    let mut times = Vec::with_capacity(plan.requests);
    let clock = service.moments().clock();
    for _ in 0..plan.requests {
        let start = clock.monotonic();
        let answer = service.call(QUIET, (Method::GET, MATCH), Bytes::new()).await?;
        times.push(clock.monotonic().saturating_sub(start));
        result.errors += usize::from(!answer.status().is_success());
        tokio::time::sleep(plan.pause).await;
    }
    Ok(times)
}

/// Requests at a steady pace, however many have not been answered, until it is aborted.
async fn storm(service: Arc<Direct>, pause: Duration, counts: Arc<Counts>) {
    let mut under_way = JoinSet::new();
    let mut ticks = tokio::time::interval(pause);
    loop {
        ticks.tick().await;
        while under_way.try_join_next().is_some() {}
        if under_way.len() >= STORM_UNDER_WAY_MAX {
            continue;
        }
        counts.sent.fetch_add(1, Ordering::Relaxed);
        let (service, counts) = (Arc::clone(&service), Arc::clone(&counts));
        under_way.spawn(async move {
            let answer = service.call(STORM, (Method::GET, MATCH), Bytes::new()).await;
            match answer.map(|answer| answer.status().as_u16()) {
                Ok(429) => counts.limited.fetch_add(1, Ordering::Relaxed),
                Ok(503) => counts.throttled.fetch_add(1, Ordering::Relaxed),
                Ok(_) | Err(_) => 0,
            };
        });
    }
}
