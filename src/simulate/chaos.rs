//! Faults on the wire, from a seed: which request is lost, cut or doubled follows from the seed, the cycle and what the
//! request is about, so that a run can be repeated whatever order its requests happen to take. A gateway's bursts hit what
//! comes while they last: their place in the cycle follows from the seed, and whom they meet there is the order's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
    /// The client goes away after that long, whatever the endpoint is doing then.
    GiveUp(Duration),
    /// A gateway in front of the endpoint answers in its place.
    Refuse(Refusal),
}

/// An answer of a gateway's own, which the endpoint knows nothing of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) media: &'static str,
    pub(super) body: &'static str,
}

/// What gateways, balancers and limiters are known to answer. `Retry-After` is not among it: nothing says that Entra heeds
/// it, so the client would not either.
const REFUSALS: [Refusal; 6] = [
    refusal(429, "application/json", r#"{"message":"Too Many Requests"}"#),
    refusal(429, "application/scim+json", r#"{"status":"429","detail":"too many requests"}"#),
    refusal(429, "", ""),
    refusal(503, "application/json", r#"{"message":"Service Unavailable"}"#),
    refusal(503, "text/html", "<html><h1>503 Service Temporarily Unavailable</h1></html>"),
    refusal(504, "application/json", r#"{"message":"Endpoint request timed out"}"#),
];

const fn refusal(status: u16, media: &'static str, body: &'static str) -> Refusal {
    Refusal { status, media, body }
}

/// Requests of a cycle among which a gateway has one burst, or none.
const STRETCH: u64 = 60;
/// Requests that a burst refuses at least and at most.
const BURST: std::ops::RangeInclusive<u64> = 5..=15;
/// Milliseconds below which a client gives up: long enough for the endpoint to have begun, and short for a test.
const GIVEN_UP_MS: u64 = 40;

/// Faults of the client's side.
#[derive(Debug)]
pub(super) struct WireChaos {
    switch: Switch,
    seed: u64,
    /// The round, and the requests that were sent in it.
    sent: Mutex<(u64, u64)>,
}

impl WireChaos {
    pub(super) fn new(switch: Switch, seed: u64) -> Self {
        Self { switch, seed, sent: Mutex::default() }
    }

    /// What happens to the request of that kind about that subject.
    pub(super) fn next(&self, kind: &str, subject: &str) -> WireFault {
        if !self.switch.is_on() {
            return WireFault::None;
        }
        let seed = self.seed ^ self.switch.round().rotate_left(32);
        if let Some(refusal) = burst(seed, self.number()) {
            self.switch.count("requests refused by a gateway");
            return WireFault::Refuse(refusal);
        }
        let mut chance = StdRng::seed_from_u64(hash(&[kind, subject], seed));
        let (fault, name) = match chance.random_range(0..100) {
            0..5 => (WireFault::LoseAnswer, "answers lost"),
            5..8 => (WireFault::Cut, "connections cut"),
            8..10 => (WireFault::Double, "requests doubled"),
            10..12 => (WireFault::DoubleAndTakeSecond, "requests doubled"),
            12..14 => {
                let patience = Duration::from_millis(chance.random_range(0..GIVEN_UP_MS));
                (WireFault::GiveUp(patience), "requests given up by the client")
            }
            _ => return WireFault::None,
        };
        self.switch.count(name);
        fault
    }

    /// How many requests came before this one in this round.
    fn number(&self) -> u64 {
        let round = self.switch.round();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if sent.0 == round { sent.1 } else { 0 };
        *sent = (round, before + 1);
        before
    }
}

/// What a gateway answers to the request with that number, while a burst lasts.
fn burst(seed: u64, number: u64) -> Option<Refusal> {
    let (stretch, at) = (number / STRETCH, number % STRETCH);
    let mut chance = StdRng::seed_from_u64(hash(&["burst", &stretch.to_string()], seed));
    if chance.random() {
        return None;
    }
    let length = chance.random_range(BURST);
    let begin = chance.random_range(0..=STRETCH - length);
    let refusal = REFUSALS.get(chance.random_range(0..REFUSALS.len()));
    refusal.filter(|_| (begin..begin + length).contains(&at)).copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_refuses_stretches_of_requests_and_lets_most_through() {
        let refused: Vec<Option<Refusal>> = (0..6_000).map(|number| burst(7, number)).collect();
        let bursts: Vec<_> = refused.chunk_by(|one, next| one == next).collect();
        let lengths = bursts.iter().filter(|burst| burst[0].is_some()).map(|burst| burst.len());
        let lengths: Vec<usize> = lengths.collect();
        assert!(lengths.len() > 30 && lengths.iter().all(|length| *length >= 5), "{lengths:?}");
        assert!(lengths.iter().sum::<usize>() < 1_000, "{lengths:?}");
        for refusal in REFUSALS {
            assert!(refused.contains(&Some(refusal)), "{refusal:?} never comes");
        }
        assert_eq!(refused, (0..6_000).map(|number| burst(7, number)).collect::<Vec<_>>());
        assert_ne!(refused, (0..6_000).map(|number| burst(8, number)).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_happens_while_the_switch_is_off_and_each_round_begins_anew() {
        let switch = Switch::default();
        let chaos = WireChaos::new(switch.clone(), 3);
        let round = || -> Vec<WireFault> {
            (0..500).map(|number: u32| chaos.next("create user", &number.to_string())).collect()
        };
        assert!(round().iter().all(|fault| *fault == WireFault::None));
        switch.turn_on();
        let first = round();
        switch.turn_on();
        assert_ne!(round(), first, "another round has other faults");
        assert_eq!(switch.counts().len(), 5, "{:?}", switch.counts());
        // The same seed and the same round: the same again.
        let again = Switch::default();
        let same = WireChaos::new(again.clone(), 3);
        again.turn_on();
        let repeated = (0..500).map(|n: u32| same.next("create user", &n.to_string()));
        assert_eq!(repeated.collect::<Vec<_>>(), first);
    }
}
