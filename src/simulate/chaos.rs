//! Faults on the wire, from a seed: which request is lost, cut or doubled follows from the seed, the cycle and what the
//! request is about, so that a run can be repeated whatever order its requests happen to take.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Whether faults happen now. Shared by all that make them.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_on: AtomicBool,
    round: AtomicU64,
    counts: Mutex<BTreeMap<&'static str, usize>>,
}

impl Switch {
    /// Lets faults happen, others than in the round before.
    pub(super) fn turn_on(&self) {
        self.0.round.fetch_add(1, Ordering::SeqCst);
        self.0.is_on.store(true, Ordering::SeqCst);
    }

    /// Lets everything go through.
    pub(super) fn turn_off(&self) {
        self.0.is_on.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::SeqCst)
    }

    fn round(&self) -> u64 {
        self.0.round.load(Ordering::SeqCst)
    }

    pub(super) fn count(&self, what: &'static str) {
        let mut counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what).or_insert(0) += 1;
    }

    /// How often each fault has happened.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What happens to a request on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireFault {
    /// It goes through.
    None,
    /// The endpoint answers, and the answer never arrives.
    LoseAnswer,
    /// The connection breaks in the middle of the request.
    Cut,
    /// It arrives twice, and the first answer counts.
    Double,
    /// It arrives twice, and the second answer counts.
    DoubleAndTakeSecond,
}

/// Faults of the client's side.
#[derive(Clone, Debug)]
pub(super) struct WireChaos {
    pub(super) switch: Switch,
    pub(super) seed: u64,
}

impl WireChaos {
    /// What happens to the request of that kind about that subject.
    pub(super) fn next(&self, kind: &str, subject: &str) -> WireFault {
        if !self.switch.is_on() {
            return WireFault::None;
        }
        let number = hash(&[kind, subject], self.seed ^ self.switch.round().rotate_left(32));
        let (fault, name) = match StdRng::seed_from_u64(number).random_range(0..100) {
            0..5 => (WireFault::LoseAnswer, "answers lost"),
            5..8 => (WireFault::Cut, "connections cut"),
            8..10 => (WireFault::Double, "requests doubled"),
            10..12 => (WireFault::DoubleAndTakeSecond, "requests doubled"),
            _ => return WireFault::None,
        };
        self.switch.count(name);
        fault
    }
}

/// A number that follows from texts and a seed (FNV-1a).
pub(super) fn hash(texts: &[&str], seed: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
    for text in texts {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}
