//! Between SDK and engine: every store call in the test's hands. It lets calls through, spoils some of them as DynamoDB
//! and networks do, or holds each one until the test lets it go.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::error::ConnectorError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use dynoxide::Database;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use serde_json::Value;
use tokio::sync::oneshot;

use super::HandClock;
use super::fault::{Fault, Plan, When, conflict};

/// One store call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) operation: String,
    body: Vec<u8>,
    pub(crate) parsed: Arc<Value>,
}

/// What a call reads or writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    One(String),
    /// All whose name begins so.
    Prefix(String),
}

impl Item {
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(one), Self::One(other)) => one == other,
            (Self::One(one), Self::Prefix(prefix)) | (Self::Prefix(prefix), Self::One(one)) => {
                one.starts_with(prefix.as_str())
            }
            (Self::Prefix(one), Self::Prefix(other)) => {
                one.starts_with(other.as_str()) || other.starts_with(one.as_str())
            }
        }
    }
}

/// The items that a call touches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Footprint {
    reads: Vec<Item>,
    writes: Vec<Item>,
}

impl Footprint {
    /// Whether the order of the two can make a difference: one writes what the other reads or writes.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let any = |left: &[Item], right: &[Item]| {
            left.iter().any(|one| right.iter().any(|other| one.meets(other)))
        };
        any(&self.writes, &other.writes)
            || any(&self.writes, &other.reads)
            || any(&self.reads, &other.writes)
    }
}

impl Call {
    fn read(request: &HttpRequest) -> Self {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        Self {
            operation: target.split('.').nth(1).unwrap_or_default().to_owned(),
            parsed: Arc::new(serde_json::from_slice(&body).unwrap_or(Value::Null)),
            body,
        }
    }

    /// Whether it can change something.
    pub(crate) fn is_write(&self) -> bool {
        !self.written().is_empty()
    }

    /// Whether it is a transaction.
    pub(crate) fn is_transaction(&self) -> bool {
        self.operation == "TransactWriteItems"
    }

    /// The items that a transaction names, one an action, in order.
    pub(crate) fn named(&self) -> Vec<String> {
        let actions = self.parsed["TransactItems"].as_array().into_iter().flatten();
        let actions = actions.filter_map(|action| action.as_object()?.values().next());
        let key = |action: &Value| {
            let key = action.get("Key").or_else(|| action.get("Item")).unwrap_or(&Value::Null);
            name(action["TableName"].as_str().unwrap_or_default(), key)
        };
        actions.map(key).collect()
    }

    /// The names of the items that it may write.
    fn written(&self) -> Vec<String> {
        let table = self.parsed["TableName"].as_str().unwrap_or_default();
        match self.operation.as_str() {
            "UpdateItem" | "DeleteItem" => vec![name(table, &self.parsed["Key"])],
            "PutItem" => vec![name(table, &self.parsed["Item"])],
            "TransactWriteItems" => self.named(),
            _ => Vec::new(),
        }
    }

    /// What it touches. What was seen and counted is left out: it is written without a condition, and no request reads it.
    pub(crate) fn footprint(&self) -> Footprint {
        let body = &self.parsed;
        let table = body["TableName"].as_str().unwrap_or_default();
        let one = |key: &Value| vec![Item::One(name(table, key))];
        let mut touched = Footprint::default();
        match self.operation.as_str() {
            "GetItem" => touched.reads = one(&body["Key"]),
            "Query" => touched.reads = vec![queried(table, body)],
            "BatchGetItem" => {
                for (table, wanted) in body["RequestItems"].as_object().into_iter().flatten() {
                    let keys = wanted["Keys"].as_array().into_iter().flatten();
                    touched.reads.extend(keys.map(|key| Item::One(name(table, key))));
                }
            }
            _ => touched.writes = self.written().into_iter().map(Item::One).collect(),
        }
        let is_noted = |one: &str| one.ends_with(" activity") || one.contains(" traffic#");
        touched.writes.retain(|item| !matches!(item, Item::One(one) if is_noted(one)));
        touched
    }

    /// In a few words, for people.
    pub(crate) fn describe(&self) -> String {
        let footprint = self.footprint();
        let names = footprint.reads.iter().chain(&footprint.writes).map(|item| match item {
            Item::One(one) | Item::Prefix(one) => one.clone(),
        });
        format!("{} {}", self.operation, names.collect::<Vec<_>>().join(", "))
    }
}

/// An item's table and key in one text.
fn name(table: &str, key: &Value) -> String {
    let part = |name: &str| key[name]["S"].as_str();
    match (part("tenant"), part("key").or(part("at")), part("digest")) {
        (Some(tenant), Some(key), _) => format!("{table} {tenant} {key}"),
        (_, _, Some(digest)) => format!("{table} {digest}"),
        _ => panic!("no key: {key}"),
    }
}

/// What a query reads: a prefix of a partition; through an index, the whole partition.
fn queried(table: &str, body: &Value) -> Item {
    let values = &body["ExpressionAttributeValues"];
    let value = |name: &str| values[name]["S"].as_str().unwrap_or_default();
    let prefix = if body["IndexName"].is_null() { value(":p") } else { "" };
    Item::Prefix(format!("{table} {} {prefix}", value(":t")))
}

/// What comes back: a status and a body, or nothing.
pub(super) type Reply = Result<(u16, String), ConnectorError>;

/// The embedded engine, called without a socket, and DynamoDB's memory of client tokens, which several wires share.
#[derive(Clone)]
pub(crate) struct Engine {
    database: Database,
    clock: Arc<HandClock>,
    tokens: Arc<Mutex<HashMap<String, String>>>,
    dirty: Arc<Mutex<BTreeSet<String>>>,
}

impl Engine {
    pub(crate) fn new(database: Database, clock: Arc<HandClock>) -> Self {
        Self { database, clock, tokens: Arc::default(), dirty: Arc::default() }
    }

    /// Runs a call, which takes a millisecond by the clock.
    fn run(&self, call: &Call) -> (u16, String) {
        let database = &self.database;
        self.clock.tick();
        self.dirty.lock().unwrap().extend(call.written());
        macro_rules! run {
            ($method:ident) => {
                serde_json::from_slice(&call.body).map_err(|error| error.to_string()).map(
                    |request| {
                        database
                            .$method(request)
                            .map(|answer| serde_json::to_string(&answer).expect("it is JSON"))
                    },
                )
            };
        }
        let done = match call.operation.as_str() {
            "GetItem" => run!(get_item),
            "PutItem" => run!(put_item),
            "UpdateItem" => run!(update_item),
            "DeleteItem" => run!(delete_item),
            "Query" => run!(query),
            "BatchGetItem" => run!(batch_get_item),
            "ListTables" => run!(list_tables),
            "CreateTable" => run!(create_table),
            "DescribeTable" => run!(describe_table),
            "UpdateTimeToLive" => run!(update_time_to_live),
            "DescribeTimeToLive" => run!(describe_time_to_live),
            "TransactWriteItems" => Ok(self.transact(call)),
            other => Err(format!("no such operation: {other}")),
        };
        match done.unwrap_or_else(|problem| panic!("{}: {problem}", call.operation)) {
            Ok(answer) => (200, answer),
            Err(error) => (error.status_code(), error.to_json()),
        }
    }

    /// A token that has been used repeats no effect. The engine's own memory of them grows with each transaction.
    fn transact(&self, call: &Call) -> Result<String, dynoxide::DynoxideError> {
        let token = call.parsed["ClientRequestToken"].as_str().unwrap_or_default();
        let mut request: TransactWriteItemsRequest =
            serde_json::from_slice(&call.body).expect("a transaction");
        request.client_request_token = None;
        match self.tokens.lock().unwrap().entry(token.to_owned()) {
            Entry::Occupied(answer) => Ok(answer.get().clone()),
            Entry::Vacant(free) => {
                let answer = self.database.transact_write_items(request)?;
                let answer = serde_json::to_string(&answer).expect("it is JSON");
                Ok(free.insert(answer).clone())
            }
        }
    }

    /// The names of the items that may have changed since this was asked last.
    pub(crate) fn take_dirty(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.dirty.lock().unwrap())
    }

    /// See [`Engine::take_dirty`]; they stay.
    pub(crate) fn dirty(&self) -> BTreeSet<String> {
        self.dirty.lock().unwrap().clone()
    }

    pub(crate) fn forget_tokens(&self) {
        self.tokens.lock().unwrap().clear();
    }
}

/// A call that waits to be let through.
struct Held {
    call: Call,
    reply: oneshot::Sender<Reply>,
}

#[derive(Default)]
struct State {
    holds: bool,
    held: VecDeque<Held>,
    plan: Option<Plan>,
    /// What went through unheld, when that is noted.
    noted: Option<Vec<Call>>,
    calls: usize,
    fired: usize,
}

/// One actor's way to the engine.
#[derive(Clone)]
pub(crate) struct Wire {
    engine: Engine,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = Call::read(&request);
        let mut state = self.state.lock().unwrap();
        if state.holds {
            let (reply, waiting) = oneshot::channel();
            state.held.push_back(Held { call, reply });
            return HttpConnectorFuture::new(async move {
                // The answer of a call that is never let through never comes.
                let Ok(reply) = waiting.await else { return std::future::pending().await };
                answered(reply)
            });
        }
        let number = state.calls;
        state.calls += 1;
        if let Some(noted) = &mut state.noted {
            noted.push(call.clone());
        }
        let spoilt = state.plan.and_then(|plan| plan.spoils(number));
        let spoilt = spoilt.filter(|(fault, _)| fault.applies(&call));
        if spoilt.is_some() {
            state.fired += 1;
        }
        drop(state);
        let reply = match spoilt {
            None => Ok(self.engine.run(&call)),
            Some(how) => self.spoil(&call, how),
        };
        HttpConnectorFuture::ready(answered(reply))
    }
}

impl Wire {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, state: Arc::default() }
    }

    /// As the SDK wants it.
    pub(crate) fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    /// Everything goes through.
    pub(crate) fn heal(&self) {
        *self.state.lock().unwrap() = State::default();
        self.engine.forget_tokens();
    }

    /// From now on every call is noted.
    pub(crate) fn note(&self) {
        *self.state.lock().unwrap() = State { noted: Some(Vec::new()), ..State::default() };
    }

    /// The calls since then.
    pub(crate) fn noted(&self) -> Vec<Call> {
        self.state.lock().unwrap().noted.take().expect("calls were noted")
    }

    /// From now on, what the plan says goes wrong.
    pub(crate) fn spoil_by(&self, plan: Plan) {
        *self.state.lock().unwrap() = State { plan: Some(plan), ..State::default() };
    }

    /// From now on every call is held.
    pub(crate) fn hold(&self) {
        *self.state.lock().unwrap() = State { holds: true, ..State::default() };
    }

    /// How many calls went wrong since the plan was made.
    pub(crate) fn fired(&self) -> usize {
        self.state.lock().unwrap().fired
    }

    /// The call that waits.
    pub(crate) fn waiting(&self) -> Option<Call> {
        let state = self.state.lock().unwrap();
        assert!(state.held.len() <= 1, "a request makes one store call after the other");
        state.held.front().map(|held| held.call.clone())
    }

    /// Lets the waiting call through.
    pub(crate) fn release(&self) {
        let held = self.state.lock().unwrap().held.pop_front().expect("a call waits");
        // Whoever asked may be gone.
        drop(held.reply.send(Ok(self.engine.run(&held.call))));
    }

    /// Lets the waiting call go wrong, if it can in that way.
    pub(crate) fn release_spoilt(&self, fault: Fault, when: When) {
        let held = self.state.lock().unwrap().held.pop_front().expect("a call waits");
        let reply = if fault.applies(&held.call) {
            self.spoil(&held.call, (fault, when))
        } else {
            Ok(self.engine.run(&held.call))
        };
        drop(held.reply.send(reply));
    }

    /// Cancels the waiting transaction because another one holds some of its items.
    pub(crate) fn cancel(&self, others: &[String]) {
        let held = self.state.lock().unwrap().held.pop_front().expect("a call waits");
        drop(held.reply.send(Ok(conflict(&held.call, others))));
    }

    fn spoil(&self, call: &Call, (fault, when): (Fault, When)) -> Reply {
        let done = match when {
            When::Before => None,
            When::After => Some(self.engine.run(call)),
        };
        fault.reply(call, done)
    }
}

fn answered(reply: Reply) -> Result<HttpResponse, ConnectorError> {
    let (status, body) = reply?;
    let status = status.try_into().expect("a status");
    let mut response = HttpResponse::new(status, body.into());
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}
