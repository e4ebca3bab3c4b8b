//! Faults of DynamoDB, from a seed: a proxy on loopback between the server's SDK and the embedded engine.
//!
//! It speaks HTTP and looks only at the operation's name. Which call is hit follows from the seed and the order in which
//! the calls come, and that order is the machine's: a run repeats the mix of faults, not each single one. A repeated
//! client token repeats no effect, as on DynamoDB.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Switch;
use super::cutting::Cutting;
use crate::local::LocalError;

/// Calls in a thousand that are hit.
const HIT: u32 = 60;
/// The largest call or answer: DynamoDB's are 16 MB at most.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Client tokens that are remembered, for a repeat; DynamoDB remembers them for ten minutes.
const TOKENS_MAX: usize = 100_000;

/// The proxy. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Faults {
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
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Throttle,
    FailBefore,
    FailAfter,
    Conflict,
    Truncate,
    Drop,
}

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
    pub(super) async fn start(
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
    let (head, body) = request.into_parts();
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let is_transaction = target.is_some_and(|target| target.ends_with(".TransactWriteItems"));
    let body = Limited::new(body, BYTES_MAX).collect().await.map_err(|_| Dropped)?.to_bytes();
    let fault = state.next(is_transaction);
    match fault {
        Some(Fault::Throttle) => {
            return error(400, "ThrottlingException", &json!({}));
        }
        Some(Fault::FailBefore) => return error(500, "InternalServerError", &json!({})),
        Some(Fault::Conflict) => return error(400, CANCELLED, &conflict(&body)),
        Some(Fault::Drop) => return Err(Dropped),
        Some(Fault::FailAfter | Fault::Truncate) | None => {}
    }
    let request = Request::from_parts(head, Full::new(body.clone()));
    // In a task of its own: what DynamoDB has begun goes on when the client has gone.
    let going = tokio::spawn(async move { state.transact(request, &body, is_transaction).await });
    let (status, answered) = going.await.map_err(|_| Dropped)??;
    match fault {
        Some(Fault::FailAfter) => error(500, "InternalServerError", &json!({})),
        Some(Fault::Truncate) => respond(status, Cutting::half(&answered)),
        Some(Fault::Throttle | Fault::FailBefore | Fault::Conflict | Fault::Drop) | None => {
            respond(status, Cutting::whole(answered))
        }
    }
}

const CANCELLED: &str = "TransactionCanceledException";

impl State {
    fn next(&self, is_transaction: bool) -> Option<Fault> {
        if !self.switch.is_on() {
            return None;
        }
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        if chance.random_range(0..1_000) >= HIT {
            return None;
        }
        let (fault, name) = match chance.random_range(0..6) {
            0 => (Fault::Throttle, "DynamoDB calls throttled"),
            1 => (Fault::FailBefore, "DynamoDB failed before the effect"),
            2 => (Fault::FailAfter, "DynamoDB failed after the effect"),
            3 if is_transaction => (Fault::Conflict, "DynamoDB transactions in conflict"),
            3 | 4 => (Fault::Truncate, "DynamoDB answers truncated"),
            _ => (Fault::Drop, "DynamoDB connections closed"),
        };
        self.switch.count(name);
        Some(fault)
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

/// Another transaction has the first item.
fn conflict(body: &Bytes) -> Value {
    let parsed: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let actions = parsed.get("TransactItems").and_then(Value::as_array).map_or(1, Vec::len);
    let others = std::iter::repeat_n("None", actions.saturating_sub(1));
    let codes = std::iter::once("TransactionConflict").chain(others);
    let reasons: Vec<Value> = codes.map(|code| json!({"Code": code})).collect();
    json!({"CancellationReasons": reasons})
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
