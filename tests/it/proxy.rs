//! A DynamoDB-protocol proxy on loopback, between the SDK and whatever engine answers.
//!
//! It counts the calls; it does what DynamoDB does and an embedded engine does not (a transaction holds its items for
//! some milliseconds and a second one that names a held item is cancelled; a repeated client token repeats no effect);
//! and it injects the faults that a test asks for, call by call. It never looks at a signature and changes no answer.
//!
//! To an engine that `DYNAMODB_ENDPOINT` names it lets one call through at a time: moto's server copies a table before
//! each transaction and puts the copy back when it cancels it, so what else was written meanwhile would be lost.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use scim_endpoint::config::Config;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::cost::bill::Bill;

/// How long a transaction holds its items, in milliseconds.
const HELD_MS: std::ops::RangeInclusive<u64> = 5..=15;

/// What happens to one call.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// It goes through.
    Pass,
    /// It is refused with that error code (400) and has no effect.
    Refuse(&'static str),
    /// Another transaction holds the item of its first action.
    Conflict,
    /// DynamoDB fails (500) before it has an effect.
    FailBefore,
    /// DynamoDB fails (500) after it had its effect.
    FailAfter,
    /// The connection closes before the call has an effect.
    DropBefore,
    /// The call has its effect and the connection closes before the answer.
    LoseAnswer,
    /// It waits until the test lets it go on.
    Hold(Gate),
}

/// A place in the middle of a request, where a test holds it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Notify, Notify)>);

impl Gate {
    /// Comes back when a call has reached the gate.
    pub(crate) async fn reached(&self) {
        self.0.0.notified().await;
    }

    /// Lets the call go on.
    pub(crate) fn open(&self) {
        self.0.1.notify_one();
    }

    async fn pass(&self) {
        self.0.0.notify_one();
        self.0.1.notified().await;
    }
}

/// Whether the embedded engine answers: another one may be too slow for what a test does a thousand times.
pub(crate) fn engine_is_embedded() -> bool {
    std::env::var("DYNAMODB_ENDPOINT").map_or(true, |named| named.is_empty())
}

/// Whether a test that needs the embedded engine has to be left out; says so and why.
pub(crate) fn is_left_out(why: &str) -> bool {
    if engine_is_embedded() {
        return false;
    }
    eprintln!("left out on this engine: {why}");
    true
}

/// Whether transactions hold their items for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflicts {
    /// Two that meet conflict, as on DynamoDB.
    AsOnDynamoDb,
    /// They run as fast as the engine does, for tests that are about something else.
    None,
}

/// The proxy. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    state: Arc<State>,
    accepts: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

impl Proxy {
    /// An app whose store is reached through a proxy.
    pub(crate) async fn app(conflicts: Conflicts) -> (App, Self) {
        Self::app_with(conflicts, |config| config).await
    }

    /// As [`Proxy::app`], with another configuration.
    pub(crate) async fn app_with(
        conflicts: Conflicts,
        change: impl FnOnce(Config) -> Config,
    ) -> (App, Self) {
        let slot = Arc::new(OnceLock::new());
        let filled = Arc::clone(&slot);
        let through = |endpoint: String| async move {
            let (proxy, url) = Self::start(&endpoint, conflicts).await;
            filled.set(proxy).expect("it is started once");
            url
        };
        let app = App::start_through(through, change).await;
        let proxy = Arc::into_inner(slot).and_then(OnceLock::into_inner).expect("it was started");
        proxy.forget_calls();
        (app, proxy)
    }

    /// Listens on a free port for calls that go to `upstream`; its own address beside it.
    pub(crate) async fn start(upstream: &str, conflicts: Conflicts) -> (Self, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let authority = upstream.strip_prefix("http://").unwrap_or(upstream);
        let state = Arc::new(State::new(authority.trim_end_matches('/'), conflicts));
        let serving = Arc::clone(&state);
        let accepts = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        (Self { state, accepts }, url)
    }

    /// What happens to the next calls of an operation, in order; those after them go through.
    pub(crate) fn script(&self, operation: &str, steps: impl IntoIterator<Item = Step>) {
        let mut scripts = self.state.scripts.lock().unwrap();
        scripts.entry(operation.to_owned()).or_default().extend(steps);
    }

    /// What happens to every call of an operation from now on, once its script has ended.
    pub(crate) fn always(&self, operation: &str, step: Step) {
        self.state.always.lock().unwrap().insert(operation.to_owned(), step);
    }

    /// From now on DynamoDB throttles each call that is about that tenant's items.
    pub(crate) fn throttle_tenant(&self, name: &str) {
        *self.state.throttled.lock().unwrap() = Some(format!("{{\"S\":\"{name}\"}}"));
    }

    /// From now on each call takes so much longer.
    pub(crate) fn slow_down(&self, by: Duration) {
        *self.state.latency.lock().unwrap() = by;
    }

    /// Everything goes through again.
    pub(crate) fn heal(&self) {
        self.state.always.lock().unwrap().clear();
        self.state.scripts.lock().unwrap().clear();
    }

    /// The calls since the start, or since they were last forgotten, each as `GetItem user`, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state.calls.lock().unwrap().clone()
    }

    /// What the calls were billed that were answered since the start, or since they were last forgotten.
    pub(crate) fn bills(&self) -> Vec<Bill> {
        self.state.bills.lock().unwrap().clone()
    }

    /// Begins to count anew.
    pub(crate) fn forget_calls(&self) {
        self.state.calls.lock().unwrap().clear();
        self.state.bills.lock().unwrap().clear();
    }

    /// How many transactions were cancelled because another one held an item.
    pub(crate) fn conflicts(&self) -> usize {
        self.state.conflicts.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct State {
    upstream: String,
    one_at_a_time: Option<tokio::sync::Mutex<()>>,
    mode: Conflicts,
    latency: Mutex<Duration>,
    chance: Mutex<StdRng>,
    held: Mutex<HashSet<String>>,
    tokens: Mutex<HashMap<String, Option<Bytes>>>,
    scripts: Mutex<HashMap<String, VecDeque<Step>>>,
    always: Mutex<HashMap<String, Step>>,
    throttled: Mutex<Option<String>>,
    calls: Mutex<Vec<String>>,
    bills: Mutex<Vec<Bill>>,
    conflicts: AtomicUsize,
}

/// The connection is closed without an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dropped")
    }
}

impl std::error::Error for Dropped {}

type Answered = Response<Full<Bytes>>;

async fn serve(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(|request| answer(Arc::clone(&state), request));
    let connection = hyper::server::conn::http1::Builder::new();
    // It ends with an error when the test wanted it to.
    drop(connection.serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Answered, Dropped> {
    let (head, body) = request.into_parts();
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.split('.').nth(1)).unwrap_or("").to_owned();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let parsed: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    state.calls.lock().unwrap().push(describe(&operation, &parsed));
    let latency = *state.latency.lock().unwrap();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if state.throttles(&body) {
        return Ok(error(400, "ThrottlingException", &json!({})));
    }
    let step = state.next(&operation);
    match &step {
        Step::Pass | Step::FailAfter | Step::LoseAnswer => {}
        Step::Hold(gate) => gate.pass().await,
        Step::Refuse(code) => return Ok(error(400, code, &json!({}))),
        Step::Conflict => {
            let others = items(&parsed).len().saturating_sub(1);
            let codes =
                ["TransactionConflict"].into_iter().chain(std::iter::repeat_n("None", others));
            return Ok(state.cancelled(&codes.collect::<Vec<_>>()));
        }
        Step::FailBefore => return Ok(error(500, "InternalServerError", &json!({}))),
        Step::DropBefore => return Err(Dropped),
    }
    let request = Request::from_parts(head, Full::new(body));
    // In a task of its own: what DynamoDB has begun goes on when the client has gone.
    let going = tokio::spawn(async move {
        let answered = match operation.as_str() {
            "TransactWriteItems" => state.transact(request, &parsed).await,
            _ => state.forward(request).await,
        }?;
        let body = answered.body().clone().collect().await.map_err(|_| Dropped)?.to_bytes();
        if operation.ends_with("Item") || operation.ends_with("Items") || operation == "Query" {
            let call = describe(&operation, &parsed);
            let bill = Bill::new(call, &parsed, answered.status().as_u16(), &body);
            state.bills.lock().unwrap().push(bill);
        }
        Ok(answered)
    });
    let answered = going.await.map_err(|_| Dropped)??;
    match step {
        Step::FailAfter => Ok(error(500, "InternalServerError", &json!({}))),
        Step::LoseAnswer => Err(Dropped),
        Step::Pass
        | Step::Refuse(_)
        | Step::Conflict
        | Step::FailBefore
        | Step::DropBefore
        | Step::Hold(_) => Ok(answered),
    }
}

impl State {
    fn new(upstream: &str, mode: Conflicts) -> Self {
        Self {
            upstream: upstream.to_owned(),
            one_at_a_time: (!engine_is_embedded()).then(tokio::sync::Mutex::default),
            mode,
            latency: Mutex::default(),
            chance: Mutex::new(StdRng::seed_from_u64(40)),
            held: Mutex::default(),
            tokens: Mutex::default(),
            scripts: Mutex::default(),
            always: Mutex::default(),
            throttled: Mutex::default(),
            calls: Mutex::default(),
            bills: Mutex::default(),
            conflicts: AtomicUsize::new(0),
        }
    }

    fn next(&self, operation: &str) -> Step {
        let mut scripts = self.scripts.lock().unwrap();
        let scripted = scripts.get_mut(operation).and_then(VecDeque::pop_front);
        let always = || self.always.lock().unwrap().get(operation).cloned();
        scripted.or_else(always).unwrap_or(Step::Pass)
    }

    fn throttles(&self, body: &Bytes) -> bool {
        let throttled = self.throttled.lock().unwrap();
        throttled.as_ref().is_some_and(|tenant| {
            body.windows(tenant.len()).any(|found| found == tenant.as_bytes())
        })
    }

    /// A transaction as DynamoDB runs it: it holds its items, and a token that has been used repeats no effect.
    async fn transact(
        &self,
        request: Request<Full<Bytes>>,
        body: &Value,
    ) -> Result<Answered, Dropped> {
        let token = body["ClientRequestToken"].as_str().unwrap_or_default().to_owned();
        match self.tokens.lock().unwrap().entry(token.clone()) {
            Entry::Vacant(entry) => drop(entry.insert(None)),
            Entry::Occupied(entry) => {
                return Ok(match entry.get() {
                    Some(answer) => respond(200, answer.clone()),
                    None => error(400, "TransactionInProgressException", &json!({})),
                });
            }
        }
        let answered = self.run(request, body).await;
        let done = match &answered {
            Ok(answered) if answered.status() == 200 => Some(answered.body().clone()),
            Ok(_) | Err(_) => None,
        };
        match done {
            Some(body) => {
                let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
                self.tokens.lock().unwrap().insert(token, Some(body));
            }
            None => drop(self.tokens.lock().unwrap().remove(&token)),
        }
        answered
    }

    async fn run(&self, request: Request<Full<Bytes>>, body: &Value) -> Result<Answered, Dropped> {
        let named = items(body);
        let held = match self.mode {
            Conflicts::None => None,
            Conflicts::AsOnDynamoDb => match Held::take(self, &named) {
                Ok(held) => Some(held),
                Err(codes) => return Ok(self.cancelled(&codes)),
            },
        };
        if held.is_some() {
            let pause = self.chance.lock().unwrap().random_range(HELD_MS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        let answered = self.forward(request).await;
        drop(held);
        answered
    }

    fn cancelled(&self, codes: &[&'static str]) -> Answered {
        self.conflicts.fetch_add(1, Ordering::SeqCst);
        let reasons = codes.iter().map(|code| json!({"Code": code}));
        let reasons: Vec<Value> = reasons.collect();
        error(400, "TransactionCanceledException", &json!({"CancellationReasons": reasons}))
    }

    async fn forward(&self, request: Request<Full<Bytes>>) -> Result<Answered, Dropped> {
        let turn = match &self.one_at_a_time {
            None => None,
            Some(turn) => Some(turn.lock().await),
        };
        let answered = forward(&self.upstream, request).await;
        drop(turn);
        answered
    }
}

async fn forward(upstream: &str, request: Request<Full<Bytes>>) -> Result<Answered, Dropped> {
    let stream = TcpStream::connect(upstream).await.map_err(|_| Dropped)?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|_| Dropped)?;
    tokio::spawn(connection);
    let answered = sender.send_request(request).await.map_err(|_| Dropped)?;
    let status = answered.status().as_u16();
    let body = answered.into_body().collect().await.map_err(|_| Dropped)?;
    Ok(respond(status, body.to_bytes()))
}

/// Items that a running transaction holds; let go when it is dropped, however it ends.
struct Held<'a> {
    state: &'a State,
    items: Vec<String>,
}

impl<'a> Held<'a> {
    /// Takes them all, or says for each action whether another transaction has its item.
    fn take(state: &'a State, named: &[String]) -> Result<Self, Vec<&'static str>> {
        let mut held = state.held.lock().unwrap();
        if named.iter().any(|item| held.contains(item)) {
            let code = |item| if held.contains(item) { "TransactionConflict" } else { "None" };
            return Err(named.iter().map(code).collect());
        }
        held.extend(named.iter().cloned());
        Ok(Self { state, items: named.to_vec() })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.state.held.lock().unwrap();
        self.items.iter().for_each(|item| {
            held.remove(item);
        });
    }
}

/// The primary keys that a transaction's actions name, in order, one an action.
fn items(body: &Value) -> Vec<String> {
    let actions = body["TransactItems"].as_array().into_iter().flatten();
    let actions = actions.filter_map(|action| action.as_object()?.values().next());
    let named = actions.map(|action| {
        let table = action["TableName"].as_str().unwrap_or_default();
        let key = action.get("Key").or_else(|| action.get("Item")).unwrap_or(&Value::Null);
        let parts = match table {
            table if table.contains("secrets") => [&key["digest"], &Value::Null],
            table if table.contains("journal") => [&key["tenant"], &key["at"]],
            _ => [&key["tenant"], &key["key"]],
        };
        format!("{table} {} {}", parts[0], parts[1])
    });
    named.collect()
}

/// A call in a few words: the operation, the sort of item, and how many there are where that is what it costs.
fn describe(operation: &str, body: &Value) -> String {
    let table = body["TableName"].as_str().unwrap_or_default();
    let sort = |key: &Value| match table {
        table if table.contains("secrets") => "secret".to_owned(),
        table if table.contains("journal") => "journal".to_owned(),
        _ => key["S"].as_str().and_then(|key| key.split('#').next()).unwrap_or("?").to_owned(),
    };
    let what = match operation {
        "GetItem" | "UpdateItem" | "DeleteItem" => sort(&body["Key"]["key"]),
        "PutItem" => sort(&body["Item"]["key"]),
        "Query" => match body["IndexName"].as_str() {
            Some(index) => index.to_owned(),
            None => sort(&body["ExpressionAttributeValues"][":p"]),
        },
        "TransactWriteItems" => format!("of {}", items(body).len()),
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            let keys = tables.filter_map(|(_, wanted)| wanted["Keys"].as_array());
            format!("of {}", keys.map(Vec::len).sum::<usize>())
        }
        _ => String::new(),
    };
    format!("{operation} {what}").trim_end().to_owned()
}

fn respond(status: u16, body: Bytes) -> Answered {
    let response = Response::builder().status(status);
    let response = response.header("content-type", "application/x-amz-json-1.0");
    response.body(Full::new(body)).expect("a status and a body")
}

fn error(status: u16, code: &str, more: &Value) -> Answered {
    let mut body = more.clone();
    body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{code}"));
    body["message"] = json!("injected by the test's proxy");
    respond(status, Bytes::from(body.to_string()))
}
