//! The machine: the real clock, the environment, the operating system's random source. Only the bins and the local
//! server come here; everything else is handed a `Moment`.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, SeedableRng as _, TryRng as _};

use crate::moment::{Clock, Moment, Timestamp};

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::new(time::OffsetDateTime::now_utc())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Makes the moments of a process: its clock, and a random stream that the operating system seeded once.
#[derive(Clone, Debug)]
pub struct Moments {
    clock: Arc<dyn Clock>,
    random: Arc<Mutex<StdRng>>,
}

impl Moments {
    /// One per process.
    ///
    /// # Errors
    /// When the operating system yields no random bytes: nothing can be served without.
    pub fn new() -> Result<Self, std::io::Error> {
        let mut seed = [0_u8; 32];
        SysRng.try_fill_bytes(&mut seed).map_err(std::io::Error::other)?;
        let random = Arc::new(Mutex::new(StdRng::from_seed(seed)));
        Ok(Self { clock: Arc::new(SystemClock::default()), random })
    }

    /// The machine's clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// A moment for a request that the platform has named.
    pub fn named(&self, request_id: String) -> Moment {
        let mut seed = [0_u8; 32];
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut seed);
        Moment::new(Arc::clone(&self.clock), seed, request_id)
    }

    /// A moment for a request that nobody has named.
    pub fn unnamed(&self) -> Moment {
        self.named(String::new()).named_itself()
    }
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
