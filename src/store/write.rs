//! Transactions: how they are built, attempted, and what a cancelled one means.
//!
//! The SDK does not retry `TransactionCanceled`: conflicts are retried here until a deadline, with full jitter and a new
//! token per attempt. What became of an attempt whose answer was lost is found out in `trace`.

use std::borrow::Cow;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, Delete, Put, ReturnConsumedCapacity, TransactWriteItem,
    Update,
};

use uuid::Uuid;

use super::error::{Failed, Reason, backend, classify, reasons};
use super::item::{Item, key_of, number};
use super::keys::Key;
use super::trace::Trace;
use super::{Store, StoreError};
use crate::limits::{RETRY_DEADLINE, RETRY_PAUSE_FIRST, RETRY_PAUSE_MAX, TRANSACTION_ACTIONS_MAX};
use crate::moment::Moment;

/// Pauses between attempts: full jitter below a doubling bound, until the request's deadline.
#[derive(Debug)]
pub struct Backoff<'a> {
    moment: &'a Moment,
    bound: Duration,
}

impl<'a> Backoff<'a> {
    /// Counts from the request's begin.
    pub fn new(moment: &'a Moment) -> Self {
        Self { moment, bound: RETRY_PAUSE_FIRST }
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// [`StoreError::Throttled`] when the deadline has passed.
    pub async fn pause(&mut self) -> Result<(), StoreError> {
        if self.moment.elapsed() >= RETRY_DEADLINE {
            return Err(StoreError::Throttled);
        }
        let bound = u32::try_from(self.bound.as_micros()).unwrap_or(u32::MAX);
        let pause = Duration::from_micros(u64::from(self.moment.random_below(bound)));
        self.moment.sleep(pause).await;
        self.bound = (self.bound * 2).min(RETRY_PAUSE_MAX);
        Ok(())
    }
}

/// What has to hold for a write to happen.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// Nothing: journal, counters and activity only.
    Any,
    /// The item is not there.
    Absent,
    /// The item is there.
    Present,
    /// The item is there and has these values.
    Equal(Vec<(&'static str, AttributeValue)>),
}

/// What a cancelled action means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The resource that is written: when its condition failed, the result is Stale, whatever else failed.
    Own,
    /// Anything else, by a number that the caller understands.
    Part(usize),
    /// An action that has no condition.
    Free,
}

/// One attempt of a transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) actions: Vec<TransactWriteItem>,
    roles: Vec<Role>,
    written_by: String,
    at: Uuid,
    /// Whether it holds its change back from the feed.
    pub(super) is_held: bool,
}

/// Why a transaction was not done.
#[derive(Debug)]
pub(super) enum Cancelled {
    /// The conditions of these parts did not hold.
    Parts(Vec<usize>),
    /// An error.
    Error(StoreError),
}

impl From<StoreError> for Cancelled {
    fn from(error: StoreError) -> Self {
        Self::Error(error)
    }
}

impl Cancelled {
    /// For transactions whose parts have no condition that could fail on its own.
    pub(super) fn error(self) -> StoreError {
        match self {
            Self::Parts(_) => StoreError::Stale,
            Self::Error(error) => error,
        }
    }
}

impl Transaction {
    pub(super) fn new(written_by: &str, at: Uuid) -> Self {
        Self {
            actions: Vec::new(),
            roles: Vec::new(),
            written_by: written_by.to_owned(),
            at,
            is_held: false,
        }
    }

    /// The write's id, the same for each attempt: what an item carries to say who wrote it last.
    pub(super) fn written_by(&self) -> &str {
        &self.written_by
    }

    /// The key of this attempt's journal item, minted anew for each attempt.
    pub(super) fn at(&self) -> Uuid {
        self.at
    }

    /// Puts an item.
    pub(super) fn put(
        &mut self,
        role: Role,
        table: &str,
        item: Item,
        condition: Condition,
    ) -> Result<(), StoreError> {
        let condition = Expression::condition(condition);
        let put = Put::builder()
            .table_name(table)
            .set_item(Some(item))
            .set_condition_expression(condition.text)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .build()
            .map_err(backend)?;
        self.push(role, TransactWriteItem::builder().put(put).build());
        Ok(())
    }

    /// Changes some attributes of an item.
    pub(super) fn update(
        &mut self,
        role: Role,
        table: &str,
        key: Item,
        change: Change,
        condition: Condition,
    ) -> Result<(), StoreError> {
        let mut expression = Expression::condition(condition);
        let text = expression.update(change);
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(key))
            .update_expression(text)
            .set_condition_expression(expression.text)
            .set_expression_attribute_names(expression.names)
            .set_expression_attribute_values(expression.values)
            .build()
            .map_err(backend)?;
        self.push(role, TransactWriteItem::builder().update(update).build());
        Ok(())
    }

    /// Deletes an item.
    pub(super) fn delete(
        &mut self,
        role: Role,
        table: &str,
        key: Item,
        condition: Condition,
    ) -> Result<(), StoreError> {
        let condition = Expression::condition(condition);
        let delete = Delete::builder()
            .table_name(table)
            .set_key(Some(key))
            .set_condition_expression(condition.text)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .build()
            .map_err(backend)?;
        self.push(role, TransactWriteItem::builder().delete(delete).build());
        Ok(())
    }

    /// How many actions it has; a transaction takes `TRANSACTION_ACTIONS_MAX`.
    pub(super) fn len(&self) -> usize {
        self.actions.len()
    }

    fn push(&mut self, role: Role, action: TransactWriteItem) {
        self.actions.push(action);
        self.roles.push(role);
    }
}

/// An attribute that every item of every table has: the number of its format.
const IN_EVERY_ITEM: &str = "v";

/// Changes to the attributes of one item.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Attributes that get a value.
    pub(super) set: Vec<(String, AttributeValue)>,
    /// Numbers that are moved.
    pub(super) add: Vec<(&'static str, i64)>,
    /// Attributes that go.
    pub(super) remove: Vec<Cow<'static, str>>,
}

/// DynamoDB's expressions with their placeholders: names are always placeholders, because many words are reserved.
#[derive(Debug, Default)]
pub(super) struct Expression {
    pub(super) text: Option<String>,
    pub(super) names: Option<std::collections::HashMap<String, String>>,
    pub(super) values: Option<Item>,
}

impl Expression {
    /// A condition.
    pub(super) fn condition(condition: Condition) -> Self {
        let mut expression = Self::default();
        expression.text = match condition {
            Condition::Any => None,
            Condition::Absent => {
                Some(format!("attribute_not_exists({})", expression.name(IN_EVERY_ITEM)))
            }
            Condition::Present => {
                Some(format!("attribute_exists({})", expression.name(IN_EVERY_ITEM)))
            }
            Condition::Equal(terms) => {
                let terms: Vec<String> = terms
                    .into_iter()
                    .map(|(name, value)| {
                        format!("{} = {}", expression.name(name), expression.value(value))
                    })
                    .collect();
                Some(terms.join(" AND "))
            }
        };
        expression
    }

    /// An update expression beside the condition.
    pub(super) fn update(&mut self, change: Change) -> String {
        let set = change.set.into_iter().map(|(name, value)| {
            let name = self.name(&name);
            format!("{name} = {}", self.value(value))
        });
        let set: Vec<String> = set.collect();
        let add = change.add.into_iter().map(|(name, by)| {
            let name = self.name(name);
            format!("{name} {}", self.value(number(by)))
        });
        let add: Vec<String> = add.collect();
        let remove: Vec<String> = change.remove.into_iter().map(|name| self.name(&name)).collect();
        let clauses = [("SET", set), ("ADD", add), ("REMOVE", remove)];
        let clauses = clauses.into_iter().filter(|(_, terms)| !terms.is_empty());
        let clauses = clauses.map(|(word, terms)| format!("{word} {}", terms.join(", ")));
        clauses.collect::<Vec<_>>().join(" ")
    }

    fn name(&mut self, name: &str) -> String {
        let names = self.names.get_or_insert_default();
        let known = names.iter().find(|(_, n)| *n == name).map(|(placeholder, _)| placeholder);
        if let Some(placeholder) = known {
            return placeholder.clone();
        }
        let placeholder = format!("#n{}", names.len());
        names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let values = self.values.get_or_insert_default();
        let placeholder = format!(":v{}", values.len());
        values.insert(placeholder.clone(), value);
        placeholder
    }
}

impl Store {
    /// Attempts a transaction until it is done, refused, or the request's deadline has passed. `build` fills it anew for
    /// each attempt, because the journal's key and the counter's shard are chosen anew each time.
    pub(super) async fn commit(
        &self,
        moment: &Moment,
        tenant: &str,
        trace: Trace,
        build: impl Fn(&mut Transaction) -> Result<(), StoreError>,
    ) -> Result<(), Cancelled> {
        self.commit_at(moment, tenant, trace, build).await.map(|_| ())
    }

    /// As [`Store::commit`]; returns the key of the journal item of the attempt that was done, as far as that is known.
    pub(super) async fn commit_at(
        &self,
        moment: &Moment,
        tenant: &str,
        trace: Trace,
        build: impl Fn(&mut Transaction) -> Result<(), StoreError>,
    ) -> Result<Option<Uuid>, Cancelled> {
        let written_by = moment.mint_uuid().to_string();
        let mut backoff = Backoff::new(moment);
        let mut unknown: Vec<(Uuid, bool)> = Vec::new();
        loop {
            let at = moment.mint_uuid();
            let mut transaction = Transaction::new(&written_by, at);
            build(&mut transaction)?;
            let is_held = transaction.is_held;
            match self.attempt(moment, transaction).await {
                Attempt::Done => return Ok(Some(at)),
                Attempt::Cancelled(parts) if !unknown.is_empty() => {
                    let tried = (written_by.as_str(), unknown.as_slice());
                    let done = self.was_done(moment, tenant, &trace, tried).await?;
                    return done.ok_or(parts);
                }
                Attempt::Cancelled(parts) => return Err(parts),
                Attempt::TryAgain => {}
                Attempt::Unknown => unknown.push((at, is_held)),
                Attempt::Failed(error) if !unknown.is_empty() => return Err(error.midway().into()),
                Attempt::Failed(error) => return Err(error.into()),
            }
            if let Err(error) = backoff.pause().await {
                if !unknown.is_empty() {
                    let tried = (written_by.as_str(), unknown.as_slice());
                    let done = self.was_done(moment, tenant, &trace, tried).await?;
                    return done.ok_or_else(|| error.into());
                }
                return Err(error.into());
            }
        }
    }

    async fn attempt(&self, moment: &Moment, transaction: Transaction) -> Attempt {
        if transaction.len() > TRANSACTION_ACTIONS_MAX {
            let error = format!("a transaction of {} actions was built", transaction.len());
            return Attempt::Failed(StoreError::Backend(error.into()));
        }
        moment.meter().call();
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(transaction.actions))
            .client_request_token(moment.mint_uuid().to_string())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let error = match sent {
            Ok(answer) => {
                for capacity in answer.consumed_capacity() {
                    moment.meter().written(capacity.capacity_units().unwrap_or(0.0));
                }
                return Attempt::Done;
            }
            Err(error) => error,
        };
        match reasons(&error) {
            Some(reasons) => judge(&reasons, &transaction.roles, error),
            None => match classify(&error) {
                // The SDK tells of its last attempt alone: one before it may have been done, its answer lost.
                Failed::TryAgain | Failed::Unknown => Attempt::Unknown,
                Failed::Final => Attempt::Failed(backend(error)),
            },
        }
    }

    /// One item that is written without a transaction, because nothing else depends on it.
    pub(super) async fn put_alone(
        &self,
        moment: &Moment,
        table: &str,
        item: Item,
    ) -> Result<(), StoreError> {
        moment.meter().call();
        let request = self.client.put_item().table_name(table).set_item(Some(item));
        let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(backend)?;
        let units = answer.consumed_capacity().and_then(ConsumedCapacity::capacity_units);
        moment.meter().written(units.unwrap_or(0.0));
        Ok(())
    }

    /// One item that is changed without a transaction. `false` when the condition did not hold.
    pub(super) async fn update_alone(
        &self,
        moment: &Moment,
        tenant: &str,
        key: &Key,
        change: Change,
        condition: Condition,
    ) -> Result<bool, StoreError> {
        let mut expression = Expression::condition(condition);
        let text = expression.update(change);
        moment.meter().call();
        let sent = self
            .client
            .update_item()
            .table_name(&self.tables.directory)
            .set_key(Some(key_of(tenant, key)))
            .update_expression(text)
            .set_condition_expression(expression.text)
            .set_expression_attribute_names(expression.names)
            .set_expression_attribute_values(expression.values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match sent {
            Ok(answer) => {
                let units = answer.consumed_capacity().and_then(ConsumedCapacity::capacity_units);
                moment.meter().written(units.unwrap_or(0.0));
                Ok(true)
            }
            Err(error) => {
                let refused = error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception);
                if refused { Ok(false) } else { Err(super::read::read_error(error)) }
            }
        }
    }
}

/// What became of one attempt.
enum Attempt {
    Done,
    Cancelled(Cancelled),
    TryAgain,
    Unknown,
    Failed(StoreError),
}

/// The resource's own condition decides first, then a conflict on its own item (what the other parts then say may be the
/// other writer's half-visible doing), then the other conditions, then conflicts.
fn judge(reasons: &[Reason], roles: &[Role], error: SdkError<TransactWriteItemsError>) -> Attempt {
    let failed = |wanted: Reason| {
        let pairs = reasons.iter().zip(roles);
        pairs.filter(move |(reason, _)| **reason == wanted).map(|(_, role)| role)
    };
    if failed(Reason::TooLarge).next().is_some() {
        return Attempt::Failed(StoreError::TooLarge);
    }
    if failed(Reason::Invalid).next().is_some() {
        return Attempt::Failed(backend(error));
    }
    if failed(Reason::Condition).any(|role| *role == Role::Own) {
        return Attempt::Cancelled(Cancelled::Error(StoreError::Stale));
    }
    if failed(Reason::TryAgain).any(|role| *role == Role::Own) {
        return Attempt::TryAgain;
    }
    let parts: Vec<usize> = failed(Reason::Condition)
        .filter_map(|role| match role {
            Role::Part(part) => Some(*part),
            Role::Own | Role::Free => None,
        })
        .collect();
    if parts.is_empty() { Attempt::TryAgain } else { Attempt::Cancelled(Cancelled::Parts(parts)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resources_own_condition_decides_first() {
        use Reason::{Condition, None, TryAgain};
        let roles = [Role::Own, Role::Part(1), Role::Free];
        let judge = |reasons: [Reason; 3]| {
            judge(&reasons, &roles, SdkError::construction_failure("unused"))
        };
        let stale = judge([Condition, Condition, None]);
        assert!(matches!(stale, Attempt::Cancelled(Cancelled::Error(StoreError::Stale))));
        let part = judge([None, Condition, TryAgain]);
        assert!(matches!(part, Attempt::Cancelled(Cancelled::Parts(parts)) if parts == [1]));
        // Another rename of the same user is half visible: its name is there, its old item still held.
        assert!(matches!(judge([TryAgain, Condition, None]), Attempt::TryAgain));
        assert!(matches!(judge([TryAgain, None, None]), Attempt::TryAgain));
    }
}
