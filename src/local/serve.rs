//! The loopback socket: connections to requests to `http::handle` or `portal::handle`, and the scheduled job beside them.

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
use tokio::runtime::Handle;

use super::engine::Engine;
use super::request_line::RequestLines;
use crate::http::{App, Request, decode_path, handle};
use crate::limits::{BODY_BYTES_MAX, FORM_BYTES_MAX};
use crate::moment::Moment;
use crate::ops::jobs;
use crate::portal::{self, Portal};
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
    portal: Arc<Portal>,
    engine: Engine,
    moments: Moments,
}

impl Server {
    pub(super) fn new(
        listener: TcpListener,
        (app, portal): (App, Portal),
        engine: Engine,
        moments: Moments,
    ) -> Self {
        Self { listener, app: Arc::new(app), portal: Arc::new(portal), engine, moments }
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
                        let both = (Arc::clone(&self.app), Arc::clone(&self.portal));
                        tokio::spawn(serve_connection(stream, both, self.moments.clone()));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        jobs.abort();
        self.engine.stop().await;
    }
}

async fn serve_connection(
    stream: TcpStream,
    (app, portal): (Arc<App>, Arc<Portal>),
    moments: Moments,
) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (app, portal, moments) = (Arc::clone(&app), Arc::clone(&portal), moments.clone());
        async move { Ok::<_, Infallible>(answer((&app, &portal), &moments, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(RequestLines::new(stream)), service);
    // A client that goes away in the middle is its own business.
    drop(connection.await);
}

async fn answer(
    (app, portal): (&App, &Arc<Portal>),
    moments: &Moments,
    request: hyper::Request<Incoming>,
) -> hyper::Response<Full<Bytes>> {
    let moment = moments.unnamed();
    let (head, body) = request.into_parts();
    let path = decode_path(head.uri.path());
    let is_portal = portal::is_own(&path);
    let room = if is_portal { FORM_BYTES_MAX } else { BODY_BYTES_MAX };
    let request = Request {
        method: head.method,
        path,
        query: head.uri.query().unwrap_or_default().to_owned(),
        origin: origin(&head.headers),
        headers: head.headers,
        body: read_body(body, room).await,
    };
    if is_portal {
        return show(portal, request, moment).await.map(Full::new);
    }
    handle(app, request, moment).await.map(Full::new)
}

/// A page. On a thread of its own: what `admin` does with async closures, the compiler does not know to be `Send`.
async fn show(portal: &Arc<Portal>, request: Request, moment: Moment) -> http::Response<Bytes> {
    let (portal, runtime) = (Arc::clone(portal), Handle::current());
    let shown = move || runtime.block_on(portal::handle(&portal, request, moment));
    let failed = || {
        let mut response = http::Response::new(Bytes::from_static(b"The server has failed."));
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    };
    tokio::task::spawn_blocking(shown).await.unwrap_or_else(|_| failed())
}

/// The address that the client used: behind a tunnel, the tunnel's.
fn origin(headers: &http::HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text("x-forwarded-proto").filter(|scheme| *scheme == "https").unwrap_or("http");
    text("host").map(|host| format!("{scheme}://{host}"))
}

/// The body, up to one byte more than a request may have; what comes after that is thrown away.
async fn read_body(mut body: Incoming, bytes_max: usize) -> Bytes {
    let mut kept = BytesMut::new();
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        let room = (bytes_max + 1).saturating_sub(kept.len());
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
