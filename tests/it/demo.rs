//! `scimctl demo` as a browser meets it: the page, the stream, and the whole story with a leaver whose session ends. It
//! runs in this process, without a pause between its steps.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use scim_endpoint::demo::{self, Options, Started};
use scim_endpoint::system::Moments;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Longer than any machine needs; only a story that has stopped waits for so long.
const PATIENCE: Duration = Duration::from_mins(10);

async fn start() -> Started {
    let options = Options { port: 0, pace: Duration::ZERO };
    let (started, _token, demo) = demo::start(options, &Moments::new().unwrap()).await.unwrap();
    tokio::spawn(demo.run(std::future::pending()));
    started
}

/// A request to the page's address, with these headers in the place of a browser's.
async fn ask(page: &str, line: &str, headers: &[(&str, &str)]) -> Response<Incoming> {
    let address = page.trim_start_matches("http://").trim_end_matches('/');
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", address);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap()
}

/// Reads the stream until what it says is as wanted; gives back everything that it said.
async fn told(stream: &mut Response<Incoming>, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let reading = async {
        let (mut text, mut all) = (String::new(), Vec::new());
        while let Some(frame) = stream.frame().await {
            text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
            while let Some((event, rest)) = text.split_once("\n\n") {
                let state: Value =
                    serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
                text = rest.to_owned();
                let found = wanted(&state);
                all.push(state);
                if found {
                    return all;
                }
            }
        }
        panic!("the stream has ended: {all:#?}");
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the story goes on")
}

fn has_ended(state: &Value) -> bool {
    state["ended"] == true
}

fn person<'a>(state: &'a Value, name: &str) -> &'a Value {
    let people = state["people"].as_array().unwrap();
    let found = people.iter().find(|person| person["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {people:#?}"))
}

#[tokio::test]
async fn the_whole_story_reaches_the_stream_and_the_leavers_session_ends() {
    let started = start().await;
    let mut stream = ask(&started.page, "GET /events", &[]).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let all = told(&mut stream, has_ended).await;
    let last = all.last().unwrap();

    // Who is there in the end, and as what.
    let of = |name: &str| {
        let person = person(last, name);
        json!([
            person["login"],
            person["open"],
            person["sessions"],
            person["ended"],
            person["role"]
        ])
    };
    assert_eq!(of("Ida Berg"), json!(["ida.berg@acme.test", true, 1, false, "admin"]));
    assert_eq!(of("Mia Hansen"), json!(["mia.hansen@acme.test", true, 1, false, "member"]));
    assert_eq!(of("Tom Okafor"), json!(["tom.okafor@acme.test", false, 0, true, "member"]));
    assert_eq!(of("Sam Wu"), json!(["sam.wu@acme.test", true, 0, false, "member"]));
    assert_eq!(last["people"].as_array().unwrap().len(), 6);

    // The log has everything, the newest first, and the leaver's line says that the app has acknowledged.
    let log = last["log"].as_array().unwrap();
    let count = |event: &str| {
        let has = |line: &&Value| line["events"].as_array().unwrap().contains(&json!(event));
        log.iter().filter(has).count()
    };
    assert_eq!(count("prov:create:notice"), 8);
    assert_eq!(count("group.member.added"), 3);
    assert_eq!((count("sign-in"), count("user.deactivated")), (5, 1));
    assert_eq!(log[0]["did"], "is not active, and stays out");
    assert_eq!(
        (&log[1]["who"], &log[1]["did"]),
        (&json!("Tom Okafor"), &json!("loses the account and the session"))
    );
    assert!(log[1]["acknowledged"].is_string(), "{log:#?}");
    assert!(log[2..].iter().all(|line| line["acknowledged"].is_null()), "{log:#?}");
    assert_eq!(log[3]["did"], "was Mia Keller, and keeps the account");
}

#[tokio::test]
async fn the_story_is_played_again_only_for_the_page_itself() {
    let started = start().await;
    let page = started.page.as_str();
    let mut stream = ask(page, "GET /events", &[]).await;
    let first = told(&mut stream, has_ended).await.pop().unwrap();
    for headers in [&[][..], &[("origin", "http://evil.test")], &[("origin", "null")]] {
        assert_eq!(ask(page, "POST /play", headers).await.status(), 403);
    }
    // Whoever looks again sees what is there; the story does not begin anew.
    let mut other = ask(page, "GET /events", &[]).await;
    assert_eq!(told(&mut other, |_| true).await, std::slice::from_ref(&first));

    let origin = page.trim_end_matches('/');
    assert_eq!(ask(page, "POST /play", &[("origin", origin)]).await.status(), 202);
    told(&mut stream, |state| !has_ended(state)).await;
    let again = told(&mut stream, has_ended).await.pop().unwrap();
    assert_eq!(again["people"].as_array().unwrap().len(), 6);
    assert_eq!(person(&again, "Tom Okafor")["open"], false);
    assert_ne!(person(&again, "Tom Okafor")["id"], person(&first, "Tom Okafor")["id"]);
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_is_for_this_machine() {
    let started = start().await;
    let page = started.page.as_str();
    assert!(page.starts_with("http://127.0.0.1:"), "{page}");
    let mut html = String::new();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let answer = ask(page, &format!("GET {path}"), &[]).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &kind.parse().unwrap())
        );
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap().to_owned();
        assert!(!text.contains("://") || path == "/icon.svg", "{path} names another place");
        if path == "/" {
            html = text;
        }
    }
    // What the policy would block is not there: scripts and styles are files.
    let handlers =
        html.split_whitespace().filter(|word| word.starts_with("on") && word.contains('='));
    assert_eq!(handlers.count(), 0, "{html}");
    assert!(!html.contains("style=") && !html.contains("<style"), "{html}");
    assert_eq!(html.matches("<script").count(), html.matches("<script src=\"/").count());

    for host in ["evil.test", "127.0.0.1", "127.0.0.1:1"] {
        assert_eq!(ask(page, "GET /events", &[("host", host)]).await.status(), 403, "{host}");
    }
    assert_eq!(ask(page, "GET /else", &[]).await.status(), 404);
    assert_eq!(ask(page, "GET /play", &[]).await.status(), 404);
}

#[tokio::test]
async fn a_port_in_use_is_said_in_one_sentence() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = Options { port, pace: Duration::ZERO };
    let Err(error) = demo::start(options, &Moments::new().unwrap()).await else {
        panic!("two on one port");
    };
    let told = error.to_string();
    assert!(told.contains(&port.to_string()) && told.contains("--port 0"), "{told}");
}

#[test]
fn the_command_prints_where_the_page_is_and_ends_with_ctrl_c() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scimctl"));
    command.args(["demo", "--port", "0", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let started: Value = serde_json::from_str(&line).unwrap();
    let address = started["page"].as_str().unwrap().trim_start_matches("http://");
    std::net::TcpStream::connect(address.trim_end_matches('/')).expect("the page is there");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}
