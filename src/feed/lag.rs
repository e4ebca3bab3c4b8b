//! How long "inactive in the directory" took to "acknowledged by the app": the numbers, from the items alone.

use std::time::Duration;

use uuid::Uuid;

use crate::moment::Timestamp;
use crate::store::feed::Change;

/// One tenant's events of one name, added up.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How long each took that was acknowledged, in milliseconds.
    took: Vec<u64>,
    waiting: usize,
    oldest: Option<Waiting>,
}

/// An event that nobody has acknowledged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Where it stands in the feed.
    pub at: Uuid,
    /// Whom it is about.
    pub id: Option<String>,
    /// For how long it has been waiting.
    pub age: Duration,
}

/// The numbers. The percentiles are exact, by nearest rank: so many in a hundred took so long or less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Events.
    pub events: usize,
    /// Those that were acknowledged.
    pub acknowledged: usize,
    /// Those that were not.
    pub waiting: usize,
    /// The one of them that has been waiting longest.
    pub oldest: Option<Waiting>,
    /// Half of those that were acknowledged took no longer.
    pub p50: Option<Duration>,
    /// 99 in 100 of them took no longer.
    pub p99: Option<Duration>,
    /// None took longer.
    pub max: Option<Duration>,
}

impl Tally {
    /// Takes an event in.
    pub fn add(&mut self, change: &Change, now: Timestamp) {
        if let Some(took) = took(change) {
            self.took.push(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
            return;
        }
        self.waiting += 1;
        if self.oldest.is_none() {
            let age = change.time().map(|time| now.since(time)).unwrap_or_default();
            let id = change.id().map(ToOwned::to_owned);
            self.oldest = Some(Waiting { at: change.at, id, age });
        }
    }

    /// The numbers.
    pub fn sum(mut self) -> Lag {
        self.took.sort_unstable();
        let rank = |percent: usize| {
            let rank = (self.took.len() * percent).div_ceil(100);
            self.took.get(rank.saturating_sub(1)).copied().map(Duration::from_millis)
        };
        Lag {
            events: self.took.len() + self.waiting,
            acknowledged: self.took.len(),
            waiting: self.waiting,
            p50: rank(50),
            p99: rank(99),
            max: rank(100),
            oldest: self.oldest,
        }
    }
}

/// How long it took until the app acknowledged an event; none, when it has not. The two times are of two clocks: what the
/// app's puts before the event took no time.
pub fn took(change: &Change) -> Option<Duration> {
    Some(change.acknowledged()?.since(change.time()?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::store::feed::position;

    fn event(begin: Timestamp, second: i64, took_ms: Option<u64>) -> Change {
        let time = begin.plus_seconds(second);
        let mut attributes = Map::from_iter([("id".to_owned(), json!(second.to_string()))]);
        if let Some(took) = took_ms {
            let done = time.plus(Duration::from_millis(took)).to_string();
            attributes.insert("acknowledged".to_owned(), json!(done));
        }
        Change { at: position(time), attributes }
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let begin = Timestamp::parse("2026-11-21T08:00:00Z").unwrap();
        let lag = |took: &[u64]| {
            let mut tally = Tally::default();
            for took in took {
                tally.add(&event(begin, 0, Some(*took)), begin);
            }
            let lag = tally.sum();
            let ms = |took: Option<Duration>| took.map(|took| took.as_millis());
            (lag.events, ms(lag.p50), ms(lag.p99), ms(lag.max))
        };
        assert_eq!(lag(&[]), (0, None, None, None));
        assert_eq!(lag(&[7]), (1, Some(7), Some(7), Some(7)));
        assert_eq!(lag(&[9, 7]), (2, Some(7), Some(9), Some(9)));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(lag(&hundred), (100, Some(50), Some(99), Some(100)));
        let more: Vec<u64> = (1..=101).collect();
        assert_eq!(lag(&more), (101, Some(51), Some(100), Some(101)));
    }

    #[test]
    fn what_waits_is_counted_and_the_oldest_told() {
        let begin = Timestamp::parse("2026-11-21T08:00:00Z").unwrap();
        let mut tally = Tally::default();
        for (second, took) in [(0, Some(500)), (10, None), (20, None)] {
            tally.add(&event(begin, second, took), begin.plus_seconds(3_600));
        }
        let lag = tally.sum();
        assert_eq!((lag.events, lag.acknowledged, lag.waiting), (3, 1, 2));
        let oldest = lag.oldest.unwrap();
        assert_eq!((oldest.id.as_deref(), oldest.age), (Some("10"), Duration::from_secs(3_590)));
        // By a clock that is behind.
        let mut before = event(begin, 60, None);
        before.attributes.insert("acknowledged".to_owned(), json!(begin.to_string()));
        assert_eq!(took(&before), Some(Duration::ZERO));
    }
}
