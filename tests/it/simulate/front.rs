//! A listener between a rehearsal and its server: it stays where it is while servers come and go behind it, and decides
//! for each request what becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is behind the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// A server at that address (host and port).
    Server(String),
    /// Nothing: connections are closed.
    Nothing,
    /// Nothing yet: requests wait.
    Soon,
}

impl Behind {
    /// The server with that base URL.
    pub(super) fn server(base_url: &str) -> Self {
        let authority = base_url.trim_start_matches("http://").split('/').next();
        Self::Server(authority.unwrap().to_owned())
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// The server answers it.
    Pass,
    /// The server answers it, and the connection closes before the client reads that.
    LoseAnswer,
    /// It never reaches the server.
    Answer(Response<Full<Bytes>>),
}

/// Decides, and is told of each answer before the client is.
pub(super) trait Rule: Send + Sync + 'static {
    /// What becomes of the request with that number, from 0.
    fn fate(&self, _number: usize, _method: &Method, _path: &str) -> Fate {
        Fate::Pass
    }

    /// The server has answered that many.
    fn answered(&self, _count: usize) {}

    /// The server has answered a request so, whether anybody still waits for that or not.
    fn saw(&self, _method: &Method, _status: u16, _body: &Bytes) {}
}

#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed")
    }
}

impl std::error::Error for Closed {}

struct State<R> {
    behind: watch::Receiver<Behind>,
    rule: Arc<R>,
    begun: AtomicUsize,
    answered: AtomicUsize,
}

/// Listens on a free port; its base URL.
pub(super) async fn listen<R: Rule>(behind: watch::Receiver<Behind>, rule: Arc<R>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/scim/v2", listener.local_addr().unwrap());
    let (begun, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let state = Arc::new(State { behind, rule, begun, answered });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let state = Arc::clone(&state);
            let service = service_fn(move |request| pass_on(Arc::clone(&state), request));
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    url
}

async fn pass_on<R: Rule>(
    state: Arc<State<R>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let number = state.begun.fetch_add(1, Ordering::SeqCst);
    let fate = state.rule.fate(number, &head.method, head.uri.path());
    if let Fate::Answer(answer) = fate {
        return Ok(answer);
    }
    let mut behind = state.behind.clone();
    let there =
        behind.wait_for(|behind| *behind != Behind::Soon).await.map_err(|_| Closed)?.clone();
    let Behind::Server(server) = there else { return Err(Closed) };
    // In a task of its own: what a gateway has passed on goes on when the client has gone.
    let passing = tokio::spawn(async move {
        let method = head.method.clone();
        let answered = forward(&server, Request::from_parts(head, Full::new(body))).await?;
        state.rule.saw(&method, answered.status().as_u16(), answered.body());
        state.rule.answered(state.answered.fetch_add(1, Ordering::SeqCst) + 1);
        Ok::<_, Closed>(answered)
    });
    let answered = passing.await.map_err(|_| Closed)??;
    match fate {
        Fate::LoseAnswer => Err(Closed),
        Fate::Pass | Fate::Answer(_) => Ok(answered.map(Full::new)),
    }
}

async fn forward(server: &str, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Closed> {
    let stream = TcpStream::connect(server).await.map_err(|_| Closed)?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|_| Closed)?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.map_err(|_| Closed)?.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// Reads something below a base URL: the status and the body.
pub(super) async fn get(base_url: &str, token: &str, path: &str) -> (u16, Value) {
    let rest = base_url.strip_prefix("http://").unwrap();
    let (server, base) = rest.split_once('/').unwrap();
    let request = Request::get(format!("/{base}{path}")).header("host", server);
    let request = request.header("authorization", format!("Bearer {token}"));
    let answer = forward(server, request.body(Full::default()).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
}
