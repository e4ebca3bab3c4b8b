//! What can go wrong in the store: the only place that classifies the SDK's errors.

use std::error::Error;
use std::fmt;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;

use crate::scim::error::ScimError;

/// An attribute whose value another resource holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A user's name.
    UserName,
    /// A group's name.
    GroupName,
}

/// What can go wrong in the store.
#[derive(Debug)]
pub enum StoreError {
    /// The value is taken by another resource of this tenant.
    Taken(Field),
    /// The resource is no longer as it was when it was read: read it again.
    Stale,
    /// The same, after the first of the transactions that the change takes: read it again, and do the rest.
    StaleMidway,
    /// Overload or conflicts that lasted until the deadline: try again later.
    Throttled,
    /// DynamoDB did not answer a read, or said that it cannot, or failed when a part of a change was or may have been
    /// made: try again later.
    Unavailable(Box<dyn Error + Send + Sync>),
    /// An item would be larger than DynamoDB stores.
    TooLarge,
    /// The client asked for something that cannot be stored; what it is told.
    Refused(ScimError),
    /// An item is not of the form that we write. The text names the key's sort, never its value.
    Corrupt(String),
    /// DynamoDB or the way to it failed.
    Backend(Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// This failure when something has been written before it, or may have been: repeating the request goes on from there.
    #[must_use]
    pub(crate) fn midway(self) -> Self {
        match self {
            Self::Backend(cause) => Self::Unavailable(cause),
            Self::Stale => Self::StaleMidway,
            Self::Taken(_)
            | Self::StaleMidway
            | Self::Throttled
            | Self::Unavailable(_)
            | Self::TooLarge
            | Self::Refused(_)
            | Self::Corrupt(_) => self,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(_) => f.write_str("the value is taken"),
            Self::Stale | Self::StaleMidway => f.write_str("the resource has changed meanwhile"),
            Self::Throttled => f.write_str("the store is overloaded"),
            Self::Unavailable(_) => f.write_str("DynamoDB does not answer"),
            Self::TooLarge => f.write_str("the item is too large"),
            Self::Refused(_) => f.write_str("the request cannot be stored"),
            Self::Corrupt(what) => write!(f, "an item is not as we write it: {what}"),
            Self::Backend(_) => f.write_str("the call to DynamoDB failed"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Backend(cause) | Self::Unavailable(cause) => Some(&**cause),
            Self::Taken(_)
            | Self::Stale
            | Self::StaleMidway
            | Self::Throttled
            | Self::TooLarge
            | Self::Refused(_)
            | Self::Corrupt(_) => None,
        }
    }
}

/// What a failed call means for whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// Nothing was done; the same call may succeed later.
    TryAgain,
    /// Nobody knows whether it was done.
    Unknown,
    /// It will not succeed.
    Final,
}

/// DynamoDB's codes for "too much at once".
const TRANSIENT: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "ThrottlingError",
    "RequestLimitExceeded",
    "TransactionInProgressException",
    "TransactionConflictException",
    "LimitExceededException",
];

/// Classifies a failed call.
#[expect(clippy::wildcard_enum_match_arm, reason = "the SDK's enum is open")]
pub(super) fn classify<E>(error: &SdkError<E>) -> Failed
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::ServiceError(service) if service.raw().status().is_server_error() => {
            Failed::Unknown
        }
        SdkError::ServiceError(service) => match service.err().code() {
            Some(code) if TRANSIENT.contains(&code) => Failed::TryAgain,
            None => Failed::Unknown,
            Some(_) => Failed::Final,
        },
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            Failed::Unknown
        }
        // It was never sent; the SDK's enum is open, and what it may add is not known to be repeatable.
        _ => Failed::Final,
    }
}

/// Why one action of a transaction was the reason to cancel it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It was not.
    None,
    /// Its condition did not hold.
    Condition,
    /// Another write held the item, or there was too much at once.
    TryAgain,
    /// Its item would be too large.
    TooLarge,
    /// It is not valid otherwise: our fault.
    Invalid,
}

/// The reason of each action, in order, when the transaction was cancelled.
pub(super) fn reasons(error: &SdkError<TransactWriteItemsError>) -> Option<Vec<Reason>> {
    let SdkError::ServiceError(service) = error else { return None };
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = service.err() else {
        return None;
    };
    let reasons = cancelled.cancellation_reasons().iter().map(|reason| match reason.code() {
        None | Some("None") => Reason::None,
        Some("ConditionalCheckFailed") => Reason::Condition,
        Some("ValidationError") if is_about_size(reason.message()) => Reason::TooLarge,
        Some("ValidationError" | "ItemCollectionSizeLimitExceeded") => Reason::Invalid,
        Some(_) => Reason::TryAgain,
    });
    Some(reasons.collect())
}

/// DynamoDB tells an item that is too large from other mistakes by the sentence only.
fn is_about_size(message: Option<&str>) -> bool {
    message.is_some_and(|message| message.to_ascii_lowercase().contains("item size"))
}

/// A failed call as an error, for when nothing more can be done about it.
pub(super) fn backend<E>(error: E) -> StoreError
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    StoreError::Backend(error.into())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::http::HttpResponse;
    use aws_sdk_dynamodb::types::CancellationReason;
    use aws_sdk_dynamodb::types::error::TransactionCanceledException;

    use super::*;

    fn cancelled(told: &[(&str, &str)]) -> SdkError<TransactWriteItemsError> {
        let reasons = told.iter().map(|(code, message)| {
            CancellationReason::builder().code(*code).message(*message).build()
        });
        let reasons = Some(reasons.collect());
        let error =
            TransactionCanceledException::builder().set_cancellation_reasons(reasons).build();
        let answer = HttpResponse::new(400.try_into().unwrap(), "".into());
        SdkError::service_error(
            TransactWriteItemsError::TransactionCanceledException(error),
            answer,
        )
    }

    #[test]
    fn each_reason_of_a_cancelled_transaction_has_its_meaning() {
        let error = cancelled(&[
            ("None", ""),
            ("ConditionalCheckFailed", "The conditional request failed"),
            ("ValidationError", "Item size has exceeded the maximum allowed size"),
            ("ValidationError", "Item size to update has exceeded the maximum allowed size"),
            ("ValidationError", "The provided key element does not match the schema"),
            ("ItemCollectionSizeLimitExceeded", "Collection size exceeded."),
            ("TransactionConflict", "Transaction is ongoing for the item"),
            ("ThrottlingError", "Throughput exceeds the current capacity"),
        ]);
        let (again, large, invalid) = (Reason::TryAgain, Reason::TooLarge, Reason::Invalid);
        let (none, condition) = (Reason::None, Reason::Condition);
        let expected = [none, condition, large, large, invalid, invalid, again, again];
        assert_eq!(reasons(&error).unwrap(), expected);
        let never_sent = SdkError::<TransactWriteItemsError>::construction_failure("unused");
        assert_eq!(reasons(&never_sent), None);
    }

    #[test]
    fn what_has_a_cause_names_it() {
        let cause = |error: &StoreError| error.source().map(ToString::to_string);
        let failed = backend("no route to host");
        assert_eq!(cause(&failed).as_deref(), Some("no route to host"));
        assert_eq!(cause(&failed.midway()).as_deref(), Some("no route to host"));
        assert_eq!(cause(&StoreError::Stale), None);
    }
}
