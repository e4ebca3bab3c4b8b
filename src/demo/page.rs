//! The one page, and the stream of server-sent events that fills it: no framework, nothing from another place.
//!
//! It answers only requests that name this machine, and the one request that changes something only when the page itself
//! makes it, so that no other site in the same browser can look or play.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::board::{Asked, Board};

/// How long a connection may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after the listener failed, for example because there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What the page may do: its own files and its own stream.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Serves the page for as long as it is not dropped.
pub(super) async fn serve(listener: TcpListener, board: Arc<Board>) {
    let Ok(own) = listener.local_addr() else { return };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, own, Arc::clone(&board)))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn converse(stream: TcpStream, own: SocketAddr, board: Arc<Board>) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, own, &board);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // A browser that goes away in the middle is its own business.
    drop(connection.await);
}

fn answer(request: &Request<Incoming>, own: SocketAddr, board: &Arc<Board>) -> Response<Body> {
    let hosts = [own.to_string(), format!("localhost:{}", own.port())];
    let host = text(request.headers(), &HOST);
    if !hosts.iter().any(|known| host == Some(known)) {
        return plain(StatusCode::FORBIDDEN, "this page is only for this machine");
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => file("text/html; charset=utf-8", include_str!("page.html")),
        (&Method::GET, "/page.css") => file("text/css; charset=utf-8", include_str!("page.css")),
        (&Method::GET, "/page.js") => {
            file("text/javascript; charset=utf-8", include_str!("page.js"))
        }
        (&Method::GET, "/icon.svg") => file("image/svg+xml", include_str!("icon.svg")),
        (&Method::GET, "/events") => {
            board.want_story(Asked::ByLooking);
            events(board)
        }
        (&Method::POST, "/play") => {
            let origin = text(request.headers(), &ORIGIN).and_then(|o| o.strip_prefix("http://"));
            if origin != host {
                return plain(StatusCode::FORBIDDEN, "only the page itself may ask for the story");
            }
            board.want_story(Asked::Again);
            plain(StatusCode::ACCEPTED, "")
        }
        _ => plain(StatusCode::NOT_FOUND, "there is only one page here: /"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What the board shows, now and with each change, as server-sent events.
fn events(board: &Board) -> Response<Body> {
    let mut watched = board.watch();
    watched.mark_changed();
    let events = stream::unfold(watched, |mut watched| async move {
        watched.changed().await.ok()?;
        let event = format!("data: {}\n\n", *watched.borrow_and_update());
        Some((Ok(Frame::data(Bytes::from(event))), watched))
    });
    respond(StatusCode::OK, "text/event-stream", StreamBody::new(events).boxed_unsync())
}

fn file(kind: &'static str, text: &'static str) -> Response<Body> {
    respond(StatusCode::OK, kind, Full::from(text).boxed_unsync())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    respond(status, "text/plain; charset=utf-8", Full::from(text).boxed_unsync())
}

fn respond(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (http::header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    response
}
