//! The loopback socket: connections to requests to `http::handle`, and the scheduled job beside them.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::engine::Engine;
use super::request_line::RequestLines;
use crate::http::{App, Request, decode_path, handle};
use crate::limits::BODY_BYTES_MAX;
use crate::ops::jobs;
use crate::system::Moments;

/// How often the scheduled job runs; the template's schedule says the same.
const JOB_INTERVAL: Duration = Duration::from_mins(5);
/// How long a connection may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a body that is too large is read and thrown away, so that its sender reads the answer.
const DRAINED_MAX: usize = 64 * 1024 * 1024;
/// Pause after the listener failed, for example because there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that has its port and its engine, and waits to run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    app: Arc<App>,
    engine: Engine,
    moments: Moments,
}

impl Server {
    pub(super) fn new(listener: TcpListener, app: App, engine: Engine, moments: Moments) -> Self {
        Self { listener, app: Arc::new(app), engine, moments }
    }

    /// Serves until `shutdown`, then closes the engine's file.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let jobs = tokio::spawn(run_jobs(Arc::clone(&self.app), self.moments.clone()));
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (app, moments) = (Arc::clone(&self.app), self.moments.clone());
                        tokio::spawn(serve_connection(stream, app, moments));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        jobs.abort();
        self.engine.stop().await;
    }
}

async fn serve_connection(stream: TcpStream, app: Arc<App>, moments: Moments) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (app, moments) = (Arc::clone(&app), moments.clone());
        async move { Ok::<_, Infallible>(answer(&app, &moments, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(RequestLines::new(stream)), service);
    // A client that goes away in the middle is its own business.
    drop(connection.await);
}

async fn answer(
    app: &App,
    moments: &Moments,
    request: hyper::Request<Incoming>,
) -> hyper::Response<Full<Bytes>> {
    let moment = moments.unnamed();
    let (head, body) = request.into_parts();
    let request = Request {
        method: head.method,
        path: decode_path(head.uri.path()),
        query: head.uri.query().unwrap_or_default().to_owned(),
        origin: origin(&head.headers),
        headers: head.headers,
        body: read_body(body).await,
    };
    handle(app, request, moment).await.map(Full::new)
}

/// The address that the client used: behind a tunnel, the tunnel's.
fn origin(headers: &http::HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text("x-forwarded-proto").filter(|scheme| *scheme == "https").unwrap_or("http");
    text("host").map(|host| format!("{scheme}://{host}"))
}

/// The body, up to one byte more than a request may have; what comes after that is thrown away.
async fn read_body(mut body: Incoming) -> Bytes {
    let mut kept = BytesMut::new();
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        let room = (BODY_BYTES_MAX + 1).saturating_sub(kept.len());
        kept.extend(data.iter().take(room));
        if read > DRAINED_MAX {
            break;
        }
    }
    kept.freeze()
}

async fn run_jobs(app: Arc<App>, moments: Moments) {
    loop {
        if let Err(error) = jobs::run(app.store(), &moments.unnamed()).await {
            tracing::warn!(%error, "the scheduled job failed and will be tried again");
        }
        tokio::time::sleep(JOB_INTERVAL).await;
    }
}
