//! The instant, the clock and the random stream of one request.
//!
//! Nothing but `bin/` reads the clock, the environment or a random source: everything else is handed a [`Moment`].
//! In tests it is manual and seeded, so that every run can be repeated.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// Bits of a uuid v7 between its time and its random end.
const COUNTER_BITS: u32 = 12;
/// Where the count within a millisecond begins at most: half of what there is stays for counting on.
const COUNTER_START_MAX: u16 = 0x7ff;

/// A point in time with millisecond precision, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// Rounds `instant` down to the millisecond and moves it to UTC.
    pub fn new(instant: OffsetDateTime) -> Self {
        let utc = instant.to_offset(time::UtcOffset::UTC);
        Self(utc.replace_millisecond(utc.millisecond()).unwrap_or(utc))
    }

    /// Reads an RFC 3339 date-time. `xsd:dateTime` also allows no zone; that is read as UTC (RFC 7643 §2.3.5).
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339)
            .or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339));
        parsed.ok().map(Self::new)
    }

    /// The instant so many seconds and nanoseconds after 1970; `None` beyond the calendar.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Option<Self> {
        let instant = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        Some(Self::new(instant + Duration::from_nanos(u64::from(nanoseconds))))
    }

    /// Seconds since 1970, the unit of DynamoDB's TTL.
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// Milliseconds since 1970.
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
    }

    /// The instant `seconds` later (earlier when negative); the last one there is when it would overflow.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(time::Duration::seconds(seconds)))
    }

    /// The instant `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let duration = time::Duration::try_from(duration).unwrap_or(time::Duration::MAX);
        Self::new(self.0.saturating_add(duration))
    }

    /// The instant `duration` earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let duration = time::Duration::try_from(duration).unwrap_or(time::Duration::MAX);
        Self::new(self.0.saturating_sub(duration))
    }

    /// The time that has passed since `earlier`; none when it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0 - earlier.0).unwrap_or_default()
    }

    /// The underlying instant.
    pub fn instant(self) -> OffsetDateTime {
        self.0
    }
}

impl fmt::Display for Timestamp {
    /// Always three digits of milliseconds and `Z`, so that text order is time order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a process asks of its machine's clock. The real one is in `system`, a manual one in the tests.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// Time since some fixed point, never going back.
    fn monotonic(&self) -> Duration;
    /// Comes back after `duration`.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// What a request has cost so far, counted where the SDK is called.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Cost>);

/// DynamoDB calls and the capacity units that they consumed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Calls made.
    pub calls: u32,
    /// Read units consumed.
    pub read_units: f64,
    /// Write units consumed.
    pub write_units: f64,
}

impl Meter {
    /// Counts one call to DynamoDB.
    pub fn call(&self) {
        self.with(|cost| cost.calls += 1);
    }

    /// Adds consumed read units.
    pub fn read(&self, units: f64) {
        self.with(|cost| cost.read_units += units);
    }

    /// Adds consumed write units.
    pub fn written(&self, units: f64) {
        self.with(|cost| cost.write_units += units);
    }

    /// The cost so far.
    pub fn cost(&self) -> Cost {
        self.with(|cost| *cost)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Cost) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One request's view of time and chance, and what it noted for its log line.
#[derive(Debug)]
pub struct Moment {
    clock: Arc<dyn Clock>,
    now: Timestamp,
    started: Duration,
    request_id: String,
    random: Mutex<StdRng>,
    minted: Arc<AtomicU64>,
    meter: Arc<Meter>,
    quirks: Arc<Mutex<Vec<&'static str>>>,
}

impl Moment {
    /// Starts a request now. `seed` comes from the operating system in the bins, from the test in tests; `request_id`
    /// is what the log line and the journal show.
    pub fn new(clock: Arc<dyn Clock>, seed: [u8; 32], request_id: String) -> Self {
        let (now, started) = (clock.now(), clock.monotonic());
        Self {
            clock,
            now,
            started,
            request_id,
            random: Mutex::new(StdRng::from_seed(seed)),
            minted: Arc::default(),
            meter: Arc::default(),
            quirks: Arc::default(),
        }
    }

    /// The same moment under a fresh request id, for requests that nobody has named.
    #[must_use]
    pub fn named_itself(mut self) -> Self {
        self.request_id = self.mint_uuid().to_string();
        self
    }

    /// A moment that begins now, under the same request id, for the next of several jobs: each has its own deadline.
    #[must_use]
    pub fn next(&self) -> Self {
        let mut seed = [0_u8; 32];
        self.fill_random(&mut seed);
        Self::new(Arc::clone(&self.clock), seed, self.request_id.clone())
    }

    /// A moment that begins now, for the next operation of this request: it has its own deadline, and what it costs and
    /// notes is the request's.
    #[must_use]
    pub fn part(&self) -> Self {
        Self {
            minted: Arc::clone(&self.minted),
            meter: Arc::clone(&self.meter),
            quirks: Arc::clone(&self.quirks),
            ..self.next()
        }
    }

    /// The instant at which the request began: what `meta.lastModified` becomes.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The wall clock at this very moment, later than [`Moment::now`] in a long request.
    pub fn wall(&self) -> Timestamp {
        self.now.plus(self.elapsed())
    }

    /// Time since the request began.
    pub fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }

    /// The process's monotonic clock, for caches that outlive the request.
    pub fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Comes back after `duration`.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// The id under which this request appears in the log and the journal.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// A fresh, time-ordered id (uuid v7) of this very moment, later than each that it has minted before: within a
    /// millisecond, the 12 bits after the time count on from a random one (RFC 9562 §6.2, method 1).
    pub fn mint_uuid(&self) -> Uuid {
        let mut bytes = [0_u8; 10];
        self.fill_random(&mut bytes);
        let [high, low, ..] = bytes;
        let start = u64::from(u16::from_be_bytes([high, low]) & COUNTER_START_MAX);
        let fresh = (self.wall().unix_millis() << COUNTER_BITS) | start;
        let next = |last: u64| fresh.max(last.saturating_add(1));
        let last = self.minted.fetch_update(Relaxed, Relaxed, |last| Some(next(last)));
        let minted = next(last.unwrap_or_else(|last| last));
        let [.., high, low] = minted.to_be_bytes();
        if let Some(counter) = bytes.first_chunk_mut() {
            *counter = [high, low];
        }
        uuid::Builder::from_unix_timestamp_millis(minted >> COUNTER_BITS, &bytes).into_uuid()
    }

    /// Fills `bytes` from the request's random stream (ChaCha, fit for secrets when its seed is).
    pub fn fill_random(&self, bytes: &mut [u8]) {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }

    /// A random number below `bound`; 0 when `bound` is 0.
    pub fn random_below(&self, bound: u32) -> u32 {
        if bound == 0 {
            return 0;
        }
        self.random.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..bound)
    }

    /// What the request has cost so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Notes for the log line that an identity provider's quirk was met.
    pub fn note_quirks(&self, names: &[&'static str]) {
        self.quirks.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(names);
    }

    /// The quirks met, in order.
    pub fn quirks(&self) -> Vec<&'static str> {
        self.quirks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// For the tests of the core.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A clock that stands still.
    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix(1_800_000_000, 7_000_000).unwrap()
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }

        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::ready(()))
        }
    }

    /// A moment in which no time passes.
    pub(crate) fn stopped() -> Moment {
        Moment::new(Arc::new(Stopped), [7; 32], "r".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_moment_are_in_the_order_in_which_they_were_minted() {
        let moment = testing::stopped();
        let ids: Vec<Uuid> = (0..5_000).map(|_| moment.mint_uuid()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        let millis = |id: &Uuid| id.get_timestamp().unwrap().to_unix();
        assert_eq!(millis(&ids[0]), (1_800_000_000, 7_000_000));
        // As long as the count lasts, they say the time of the clock.
        assert_eq!(millis(&ids[2_000]), millis(&ids[0]));
        let ends: std::collections::BTreeSet<[u8; 8]> =
            ids.iter().map(|id| *id.as_bytes().last_chunk().unwrap()).collect();
        assert_eq!(ends.len(), ids.len(), "their ends are random");
    }

    #[test]
    fn timestamps_print_in_time_order_and_round_trip() {
        let early = Timestamp::parse("2026-11-21T08:00:00.5Z").unwrap();
        let late = Timestamp::parse("2026-11-21T10:00:00+01:00").unwrap();
        assert_eq!(early.to_string(), "2026-11-21T08:00:00.500Z");
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(Timestamp::parse(&late.to_string()), Some(late));
        assert_eq!(
            Timestamp::parse("2026-11-21T08:00:00"),
            Timestamp::parse("2026-11-21T08:00:00Z")
        );
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
