//! How store calls go wrong, as DynamoDB and networks let them.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::error::ConnectorError;
use serde_json::{Value, json};

use super::wire::{Call, Reply};

/// A way in which a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// DynamoDB answers with that status and code.
    Said(u16, &'static str),
    /// It says that of a transaction (other calls are let through).
    SaidOfTransaction(&'static str),
    /// Another transaction holds the items (of a transaction; other calls are let through).
    Conflict,
    /// A transaction is cancelled, for each of its items for another reason, none of them a condition (other calls are
    /// let through).
    Mixed,
    /// A condition does not hold (of a single write that has one; other calls are let through).
    Condition,
    /// The connection is reset before the answer.
    Reset,
    /// Nobody answers in time.
    TimedOut,
    /// Half of an answer.
    Truncated,
    /// An answer that is a page for people.
    Html(u16),
    /// A batch of which nothing was processed (other calls are let through).
    Unprocessed,
    /// A page of a query without items, after which more come (other calls are let through).
    EmptyPage,
}

impl Fault {
    /// Too much at once.
    pub(crate) const THROTTLED: Self = Self::Said(400, "ProvisionedThroughputExceededException");
    /// DynamoDB's own trouble.
    pub(crate) const INTERNAL: Self = Self::Said(500, "InternalServerError");
    /// The credentials have expired.
    pub(crate) const EXPIRED: Self = Self::Said(400, "ExpiredTokenException");
}

/// Whether the call has its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// It has not.
    Before,
    /// It has, and the answer is lost.
    After,
}

/// Which calls go wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Counted from zero.
    pub(crate) call: usize,
    /// So many in a row.
    pub(crate) times: usize,
    pub(crate) fault: Fault,
    pub(crate) when: When,
    /// And all after these, without effect.
    pub(crate) then: Option<Fault>,
}

/// A plan's times when there is no end.
pub(crate) const FOR_EVER: usize = usize::MAX;

impl Plan {
    /// One call, whichever is next.
    pub(crate) fn once(fault: Fault, when: When) -> Self {
        Self { call: 0, times: 1, fault, when, then: None }
    }

    /// How the call of that number goes wrong.
    pub(super) fn spoils(&self, number: usize) -> Option<(Fault, When)> {
        match number.checked_sub(self.call) {
            Some(since) if since < self.times => Some((self.fault, self.when)),
            Some(_) => self.then.map(|fault| (fault, When::Before)),
            None => None,
        }
    }
}

impl Fault {
    /// What the caller is told; `done` is the answer when the call has had its effect.
    pub(super) fn reply(self, call: &Call, done: Option<(u16, String)>) -> Reply {
        match self {
            Self::Said(status, code) => Ok(error(status, code, &json!({}))),
            Self::SaidOfTransaction(code) => Ok(error(400, code, &json!({}))),
            Self::Conflict => Ok(conflict(call, &call.named())),
            Self::Mixed => Ok(mixed(call)),
            Self::Condition => Ok(error(400, "ConditionalCheckFailedException", &json!({}))),
            Self::Reset => Err(ConnectorError::io("connection reset by the test".into())),
            Self::TimedOut => Err(ConnectorError::timeout("no answer, by the test".into())),
            Self::Truncated => {
                let (status, body) = done.unwrap_or((200, "{\"ConsumedCapacity\":{}}".to_owned()));
                // One byte at least: an empty body of the promised length zero is none that was cut.
                Ok((status, body.chars().take((body.len() / 2).max(1)).collect()))
            }
            Self::Html(status) => Ok((status, "<html>by the test</html>".to_owned())),
            Self::Unprocessed => {
                let asked = call.parsed["RequestItems"].clone();
                Ok((200, json!({"Responses": {}, "UnprocessedKeys": asked}).to_string()))
            }
            Self::EmptyPage => Ok(empty_page(call)),
        }
    }

    /// Whether a call can go wrong in that way.
    pub(crate) fn applies(self, call: &Call) -> bool {
        match self {
            Self::Conflict | Self::Mixed | Self::SaidOfTransaction(_) => call.is_transaction(),
            Self::Condition => {
                !call.is_transaction() && call.parsed["ConditionExpression"].is_string()
            }
            Self::Unprocessed => call.operation == "BatchGetItem",
            // A begin for the empty prefix or the index would be no key.
            Self::EmptyPage => {
                let prefix = &call.parsed["ExpressionAttributeValues"][":p"]["S"];
                call.operation == "Query" && prefix.as_str().is_some_and(|p| !p.is_empty())
            }
            Self::Said(..) | Self::Reset | Self::TimedOut | Self::Truncated | Self::Html(_) => true,
        }
    }
}

/// A page of a query without items, after which the same comes again.
fn empty_page(call: &Call) -> (u16, String) {
    let values = &call.parsed["ExpressionAttributeValues"];
    let mut next = json!({"tenant": values[":t"], "key": values[":p"]});
    if call.parsed["ExclusiveStartKey"].is_object() {
        next = call.parsed["ExclusiveStartKey"].clone();
    }
    let page = json!({"Items": [], "Count": 0, "ScannedCount": 0, "LastEvaluatedKey": next});
    (200, page.to_string())
}

/// Reasons of a cancelled transaction that are no conditions, in turn.
const REASONS: [&str; 4] =
    ["TransactionConflict", "None", "ThrottlingError", "ProvisionedThroughputExceeded"];

fn mixed(call: &Call) -> (u16, String) {
    cancelled((0..call.named().len()).map(|index| REASONS[index % REASONS.len()]))
}

pub(super) fn conflict(call: &Call, others: &[String]) -> (u16, String) {
    let others: BTreeSet<&String> = others.iter().collect();
    let code = |item| if others.contains(item) { "TransactionConflict" } else { "None" };
    cancelled(call.named().iter().map(code))
}

fn cancelled(codes: impl Iterator<Item = &'static str>) -> (u16, String) {
    let reasons: Vec<Value> = codes.map(|code| json!({"Code": code})).collect();
    error(400, "TransactionCanceledException", &json!({"CancellationReasons": reasons}))
}

fn error(status: u16, code: &str, more: &Value) -> (u16, String) {
    let mut body = more.clone();
    body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{code}"));
    body["message"] = json!("injected by the test");
    (status, body.to_string())
}
