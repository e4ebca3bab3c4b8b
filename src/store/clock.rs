//! What time it is for DynamoDB, beside what this machine says: whoever writes the journal or follows it with a clock that
//! is wrong writes behind its readers, or reads ahead of its writers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};

use super::error::backend;
use super::item::key_of;
use super::keys::{Key, REGISTRY};
use super::{Store, StoreError};
use crate::moment::{Moment, Timestamp};

/// `Date` is told in whole seconds.
const RESOLUTION: Duration = Duration::from_secs(1);

/// How wrong this machine's clock is, at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockError {
    /// It is later here than it is for DynamoDB.
    Ahead(Duration),
    /// It is earlier here.
    Behind(Duration),
}

impl ClockError {
    /// What is certain when DynamoDB said `theirs` between two looks at this machine's clock; `None` when they may agree.
    fn of(asked: Timestamp, theirs: Timestamp, answered: Timestamp) -> Option<Self> {
        let ahead = asked.since(theirs.plus(RESOLUTION));
        let behind = theirs.since(answered);
        if !ahead.is_zero() {
            Some(Self::Ahead(ahead))
        } else if !behind.is_zero() {
            Some(Self::Behind(behind))
        } else {
            None
        }
    }

    /// By how much.
    pub fn by(self) -> Duration {
        match self {
            Self::Ahead(by) | Self::Behind(by) => by,
        }
    }

    /// In which direction.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ahead(_) => "ahead of",
            Self::Behind(_) => "behind",
        }
    }
}

impl Store {
    /// How wrong this machine's clock is, by the `Date` of one answer; `None` when it may be right, or nothing is told.
    ///
    /// # Errors
    /// As any read.
    pub async fn clock_error(&self, moment: &Moment) -> Result<Option<ClockError>, StoreError> {
        let dates = Dates::default();
        moment.meter().call();
        let asked = moment.wall();
        let look = self
            .client
            .get_item()
            .table_name(&self.tables.directory)
            .set_key(Some(key_of(REGISTRY, &Key::settings())))
            .customize()
            .interceptor(dates.clone())
            .send();
        look.await.map_err(backend)?;
        let answered = moment.wall();
        let theirs = dates.last();
        Ok(theirs.and_then(|theirs| ClockError::of(asked, theirs, answered)))
    }
}

/// Keeps the `Date` of the last answer.
#[derive(Clone, Debug, Default)]
struct Dates(Arc<Mutex<Option<Timestamp>>>);

impl Dates {
    fn last(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Dates {
    fn name(&self) -> &'static str {
        "Dates"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        let date = date.and_then(|date| Timestamp::from_unix(date.secs(), 0));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(&format!("2026-11-22T10:00:{text}Z")).unwrap()
    }

    #[test]
    fn only_what_is_certain_is_called_wrong() {
        let of = |asked, theirs, answered| ClockError::of(at(asked), at(theirs), at(answered));
        assert_eq!(of("10.9", "10", "11.2"), None);
        // The second of the answer may have begun before this machine's.
        assert_eq!(of("10.9", "11", "10.95"), Some(ClockError::Behind(Duration::from_millis(50))));
        // Whatever an answer that takes five seconds says of a clock between its ends.
        assert_eq!(of("10", "14", "15"), None);
        assert_eq!(of("20", "10", "21"), Some(ClockError::Ahead(Duration::from_secs(9))));
        assert_eq!(of("10", "30", "11"), Some(ClockError::Behind(Duration::from_secs(19))));
        assert_eq!(ClockError::Behind(RESOLUTION).word(), "behind");
    }
}
