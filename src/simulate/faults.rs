//! Faults of DynamoDB, from a seed: a proxy on loopback between the server's SDK and the embedded engine.
//!
//! It speaks HTTP and looks at the operation's name, and inside only where the fault is there. Which call is hit follows from the seed and the order in which
//! the calls come, and that order is the machine's: a run repeats the mix of faults, not each single one. A repeated
//! client token repeats no effect, as on DynamoDB.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Switch;
use super::cutting::Cutting;
use crate::local::LocalError;

/// Calls in a thousand that are hit.
const HIT: u32 = 60;
/// The same once so many have been: the SDK pauses for half a second after most of them, and a large rehearsal has
/// calls by the ten thousand.
const HIT_LATER: u32 = 10;
/// See [`HIT_LATER`].
const LATER: usize = 300;
/// The largest call or answer: DynamoDB's are 16 MB at most.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Client tokens that are remembered, for a repeat; DynamoDB remembers them for ten minutes.
const TOKENS_MAX: usize = 100_000;

/// How long a call stalls: longer than the SDK waits for one attempt.
const STALL: Duration = Duration::from_secs(6);
/// Calls that stall in a run, because each of them takes seconds.
const STALLS_MAX: usize = 4;

/// The proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct Faults {
    accepts: JoinHandle<()>,
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

#[derive(Debug)]
struct State {
    upstream: String,
    switch: Switch,
    chance: Mutex<StdRng>,
    tokens: Mutex<HashMap<String, Bytes>>,
    played: AtomicUsize,
    stalls: AtomicUsize,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It is refused with that code, before it has an effect.
    Refuse(&'static str),
    /// DynamoDB fails with that status before the effect.
    FailBefore(u16),
    /// The same after it.
    FailAfter(u16),
    /// The transaction is cancelled: for each action the next of these reasons, in a circle.
    Cancel(&'static [&'static str]),
    /// A part of the batch is not processed.
    Unprocessed,
    /// A page ends early.
    ShortPage,
    /// The answer breaks off.
    Truncate,
    /// The answer is 200 and no JSON.
    Garble,
    /// The connection closes before the effect.
    Drop,
    /// The connection closes after it, without an answer.
    LoseAnswer,
    /// The call is done, and its answer does not come before the SDK has given up.
    Stall,
}

const THROTTLED: &str = "DynamoDB calls throttled";
const CONFLICT: &str = "DynamoDB transactions in conflict";
const CLOSED: &str = "DynamoDB connections closed";

/// All of them, and what each is called where they are counted.
const FAULTS: [(Fault, &str); 17] = [
    (Fault::Refuse("ThrottlingException"), THROTTLED),
    (Fault::Refuse("ProvisionedThroughputExceededException"), THROTTLED),
    (Fault::Refuse("RequestLimitExceeded"), THROTTLED),
    (Fault::Refuse("ExpiredTokenException"), "DynamoDB credentials expired"),
    (Fault::FailBefore(500), "DynamoDB failed before the effect"),
    (Fault::FailBefore(503), "DynamoDB failed before the effect"),
    (Fault::FailAfter(500), "DynamoDB failed after the effect"),
    (Fault::FailAfter(503), "DynamoDB failed after the effect"),
    (Fault::Cancel(&["TransactionConflict", "None", "None"]), CONFLICT),
    (Fault::Cancel(&["None", "ThrottlingError", "TransactionConflict"]), CONFLICT),
    (Fault::Unprocessed, "DynamoDB batches half done"),
    (Fault::ShortPage, "DynamoDB pages cut short"),
    (Fault::Truncate, "DynamoDB answers truncated"),
    (Fault::Garble, "DynamoDB answers garbled"),
    (Fault::Drop, CLOSED),
    (Fault::LoseAnswer, CLOSED),
    (Fault::Stall, "DynamoDB calls stalled"),
];

impl Fault {
    /// Whether that operation can meet it.
    fn hits(self, operation: &str) -> bool {
        match self {
            Self::Cancel(_) => operation == TRANSACTION,
            Self::Unprocessed => operation == BATCH,
            Self::ShortPage => operation == QUERY,
            Self::Refuse(_)
            | Self::FailBefore(_)
            | Self::FailAfter(_)
            | Self::Truncate
            | Self::Garble
            | Self::Drop
            | Self::LoseAnswer
            | Self::Stall => true,
        }
    }
}

const TRANSACTION: &str = "TransactWriteItems";
const BATCH: &str = "BatchGetItem";
const QUERY: &str = "Query";

/// The connection is closed without a whole answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dropped")
    }
}

impl std::error::Error for Dropped {}

type Answered = Response<Cutting>;

impl Faults {
    /// Listens on a free port for calls that go to `engine`; its own address beside it.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(
        engine: &str,
        switch: Switch,
        seed: u64,
    ) -> Result<(Self, String), LocalError> {
        let told = |error: std::io::Error| LocalError::new(format!("no free port: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(told)?;
        let url = format!("http://{}", listener.local_addr().map_err(told)?);
        let upstream = engine.strip_prefix("http://").unwrap_or(engine).trim_end_matches('/');
        let state = Arc::new(State {
            upstream: upstream.to_owned(),
            switch,
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
            tokens: Mutex::default(),
            played: AtomicUsize::new(0),
            stalls: AtomicUsize::new(0),
        });
        let accepts = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&state)));
            }
        });
        Ok((Self { accepts }, url))
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(|request| answer(Arc::clone(&state), request));
    let connection = hyper::server::conn::http1::Builder::new();
    // It ends with an error when a fault wants it to.
    drop(connection.serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Answered, Dropped> {
    let (mut head, body) = request.into_parts();
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.split('.').nth(1)).unwrap_or("").to_owned();
    let body = Limited::new(body, BYTES_MAX).collect().await.map_err(|_| Dropped)?.to_bytes();
    let fault = state.next(&operation);
    let (body, left) = match fault {
        Some(Fault::Refuse(code)) => return error(400, code, &json!({})),
        Some(Fault::FailBefore(status)) => return failed(status),
        Some(Fault::Cancel(reasons)) => return error(400, CANCELLED, &cancelled(&body, reasons)),
        Some(Fault::Drop) => return Err(Dropped),
        Some(Fault::Unprocessed) => halved(&body),
        Some(Fault::ShortPage) => (shortened(&body), Value::Null),
        Some(
            Fault::FailAfter(_)
            | Fault::Truncate
            | Fault::Garble
            | Fault::LoseAnswer
            | Fault::Stall,
        )
        | None => (body, Value::Null),
    };
    // It may have become shorter.
    head.headers.remove(http::header::CONTENT_LENGTH);
    let request = Request::from_parts(head, Full::new(body.clone()));
    // In a task of its own: what DynamoDB has begun goes on when the client has gone.
    let going = tokio::spawn({
        let state = Arc::clone(&state);
        async move { state.transact(request, &body, operation == TRANSACTION).await }
    });
    let (status, answered) = going.await.map_err(|_| Dropped)??;
    match fault {
        Some(Fault::FailAfter(status)) => failed(status),
        Some(Fault::LoseAnswer) => Err(Dropped),
        Some(Fault::Stall) => {
            tokio::time::sleep(STALL).await;
            Err(Dropped)
        }
        Some(Fault::Truncate) => respond(status, Cutting::half(&answered)),
        Some(Fault::Garble) => {
            respond(200, Cutting::whole(Bytes::from_static(b"<html>200</html>")))
        }
        Some(Fault::Unprocessed) if status == 200 => {
            respond(status, Cutting::whole(with(&answered, "UnprocessedKeys", left)))
        }
        Some(
            Fault::Refuse(_)
            | Fault::FailBefore(_)
            | Fault::Cancel(_)
            | Fault::Drop
            | Fault::Unprocessed
            | Fault::ShortPage,
        )
        | None => respond(status, Cutting::whole(state.mixed(status, answered))),
    }
}

const CANCELLED: &str = "TransactionCanceledException";

impl State {
    fn next(&self, operation: &str) -> Option<Fault> {
        if !self.switch.is_on() {
            return None;
        }
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = if self.played.load(Ordering::SeqCst) < LATER { HIT } else { HIT_LATER };
        if chance.random_range(0..1_000) >= hit {
            return None;
        }
        let possible: Vec<_> = FAULTS.iter().filter(|(fault, _)| fault.hits(operation)).collect();
        let (fault, name) = possible.get(chance.random_range(0..possible.len()))?;
        let is_stall = *fault == Fault::Stall;
        if is_stall && self.stalls.fetch_add(1, Ordering::SeqCst) >= STALLS_MAX {
            return None;
        }
        self.played.fetch_add(1, Ordering::SeqCst);
        self.switch.count(name);
        Some(*fault)
    }

    /// A transaction whose condition does not hold may be in conflict at the same time: DynamoDB then tells of both.
    fn mixed(&self, status: u16, answered: Bytes) -> Bytes {
        if status != 400 || !self.switch.is_on() {
            return answered;
        }
        let mut parsed: Value = serde_json::from_slice(&answered).unwrap_or(Value::Null);
        let Some(reasons) = parsed.get_mut(REASONS).and_then(Value::as_array_mut) else {
            return answered;
        };
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        for reason in reasons {
            let is_none = reason.get("Code").is_none_or(|code| code == "None");
            if is_none && chance.random_ratio(1, 3) {
                *reason = json!({"Code": "TransactionConflict"});
                self.switch.count("DynamoDB reasons mixed");
            }
        }
        Bytes::from(parsed.to_string())
    }

    /// Lets a call through; a client token that has been used repeats no effect.
    async fn transact(
        &self,
        request: Request<Full<Bytes>>,
        body: &Bytes,
        is_transaction: bool,
    ) -> Result<(u16, Bytes), Dropped> {
        if !is_transaction {
            return forward(&self.upstream, request).await;
        }
        let parsed: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let token = parsed.get("ClientRequestToken").and_then(Value::as_str).map(ToOwned::to_owned);
        let known = token.as_ref().and_then(|token| {
            self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
        });
        if let Some(answered) = known {
            return Ok((200, answered));
        }
        let answered = forward(&self.upstream, request).await?;
        if let (Some(token), 200) = (token, answered.0) {
            let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            if tokens.len() >= TOKENS_MAX {
                tokens.clear();
            }
            tokens.insert(token, answered.1.clone());
        }
        Ok(answered)
    }
}

async fn forward(upstream: &str, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), Dropped> {
    let stream = TcpStream::connect(upstream).await.map_err(|_| Dropped)?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|_| Dropped)?;
    tokio::spawn(connection);
    let answered = sender.send_request(request).await.map_err(|_| Dropped)?;
    let status = answered.status().as_u16();
    let body = Limited::new(answered.into_body(), BYTES_MAX).collect().await;
    Ok((status, body.map_err(|_| Dropped)?.to_bytes()))
}

/// Why each action is cancelled.
const REASONS: &str = "CancellationReasons";

fn cancelled(body: &Bytes, reasons: &[&str]) -> Value {
    let parsed: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let actions = parsed.get("TransactItems").and_then(Value::as_array).map_or(1, Vec::len);
    let codes = reasons.iter().cycle().take(actions);
    let codes: Vec<Value> = codes.map(|code| json!({"Code": code})).collect();
    json!({REASONS: codes})
}

/// A batch of half the keys (at least one), and the other half as it is told in the answer.
fn halved(body: &Bytes) -> (Bytes, Value) {
    let mut parsed: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let mut left = Map::new();
    let tables = parsed.get_mut("RequestItems").and_then(Value::as_object_mut);
    for (table, wanted) in tables.into_iter().flatten() {
        let Some(keys) = wanted.get_mut("Keys").and_then(Value::as_array_mut) else { continue };
        let rest = keys.split_off(keys.len().div_ceil(2));
        if rest.is_empty() {
            continue;
        }
        let mut later = wanted.clone();
        if let Some(keys) = later.get_mut("Keys") {
            *keys = Value::Array(rest);
        }
        left.insert(table.clone(), later);
    }
    (Bytes::from(parsed.to_string()), Value::Object(left))
}

/// A query that finds at most two items at once, as if they were large.
fn shortened(body: &Bytes) -> Bytes {
    let mut parsed: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    if let Some(query) = parsed.as_object_mut() {
        let limit = query.get("Limit").and_then(Value::as_u64).unwrap_or(u64::MAX).min(2);
        query.insert("Limit".to_owned(), json!(limit));
    }
    Bytes::from(parsed.to_string())
}

fn with(answered: &Bytes, name: &str, value: Value) -> Bytes {
    let mut parsed: Value = serde_json::from_slice(answered).unwrap_or(Value::Null);
    if let Some(answer) = parsed.as_object_mut() {
        answer.insert(name.to_owned(), value);
    }
    Bytes::from(parsed.to_string())
}

fn failed(status: u16) -> Result<Answered, Dropped> {
    let code = if status == 500 { "InternalServerError" } else { "ServiceUnavailable" };
    error(status, code, &json!({}))
}

fn error(status: u16, code: &str, more: &Value) -> Result<Answered, Dropped> {
    let mut body = more.as_object().cloned().unwrap_or_default();
    body.insert("__type".to_owned(), json!(format!("com.amazonaws.dynamodb.v20120810#{code}")));
    body.insert("message".to_owned(), json!("a fault that the rehearsal plays"));
    respond(status, Cutting::whole(Bytes::from(Value::Object(body).to_string())))
}

fn respond(status: u16, body: Cutting) -> Result<Answered, Dropped> {
    let response = Response::builder().status(status);
    let response = response.header("content-type", "application/x-amz-json-1.0");
    response.body(body).map_err(|_| Dropped)
}
