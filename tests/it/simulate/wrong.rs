//! Servers that are wrong on purpose: ours behind something that spoils it. The simulator has to notice each.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use scim_endpoint::simulate::{
    Change, Code, Embedded, Endpoint, Health, Plan, Provider, Rehearsal, Report, Silent, Size,
    directory,
};
use scim_endpoint::system::Moments;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Nothing: so that the rest proves something.
    Nothing,
    /// A PATCH of a user is answered 204 and not done.
    IgnoresPatch,
    /// Each user is created twice.
    DoublesUsers,
    /// `active` is not in any answer.
    DropsActive,
    /// A new group is answered with an HTML page.
    AnswersHtml,
    /// A member is answered 204 and not added.
    ForgetsMembers,
    /// A display name comes back in capitals.
    ChangesCase,
    /// Whoever is read by id is somebody else.
    ChangesIds,
    /// A query that finds nobody is 404, once the connection has been tested.
    QueriesEndIn404,
    /// Each page of a list is the first one.
    NeverTurnsThePage,
    /// The token is refused, once the connection has been tested.
    RefusesToken,
    /// What a query finds has no title, though it is there: Entra sends it again and again.
    QueriesShowLess,
    /// A PUT of a user is answered 204 and not done.
    IgnoresPut,
    /// Members that come with a new group are dropped.
    DropsMembersOfNew,
    /// Whoever is inactive is in no list.
    HidesInactive,
    /// A DELETE of a user is 405.
    RefusesDelete,
    /// Every second request is 429 and to be sent again at once: nothing wrong, if somebody can wait.
    Throttles,
}

pub(super) async fn spoiled(wrong: Wrong, server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let probes = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (server, probes) = (server.clone(), Arc::clone(&probes));
            let service = service_fn(move |request| {
                let count = probes.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                spoil(wrong, server.clone(), request, count)
            });
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    format!("http://{address}/scim/v2")
}

type Answered = Response<Full<Bytes>>;

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "each fault spoils one thing, and leaves the rest"
)]
async fn spoil(
    wrong: Wrong,
    server: String,
    request: Request<Incoming>,
    count: usize,
) -> Result<Answered, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (method, path) = (head.method.clone(), head.uri.path().to_owned());
    let is = |wanted: &Method, part: &str| method == *wanted && path.contains(part);
    // Four probes and two totals test the connection.
    let is_later = count > 5;
    match wrong {
        Wrong::IgnoresPatch if is(&Method::PATCH, "/Users/") => return Ok(answer(204, "")),
        Wrong::IgnoresPut if is(&Method::PUT, "/Users/") => return Ok(answer(204, "")),
        Wrong::RefusesDelete if is(&Method::DELETE, "/Users/") => return Ok(answer(405, "")),
        Wrong::Throttles if is_later && count.is_multiple_of(2) => {
            let mut wait = answer(429, "{}");
            wait.headers_mut().insert("retry-after", "0".parse().unwrap());
            return Ok(wait);
        }
        Wrong::ForgetsMembers if is(&Method::PATCH, "/Groups/") => return Ok(answer(204, "")),
        Wrong::AnswersHtml if is(&Method::POST, "/Groups") => {
            let mut page = answer(200, "<html>Sign in</html>");
            page.headers_mut().insert("content-type", "text/html".parse().unwrap());
            return Ok(page);
        }
        Wrong::RefusesToken if is_later => return Ok(answer(401, "{}")),
        Wrong::DoublesUsers if is(&Method::POST, "/Users") => {
            let mut second: Value = serde_json::from_slice(&body).unwrap();
            second["userName"] = json!(format!("2-{}", second["userName"].as_str().unwrap()));
            let second = Bytes::from(second.to_string());
            let mut head = head.clone();
            head.headers.remove("content-length");
            forward(&server, Request::from_parts(head, Full::new(second))).await;
        }
        _ => {}
    }
    let body = match wrong {
        Wrong::DropsMembersOfNew if is(&Method::POST, "/Groups") => {
            let mut group: Value = serde_json::from_slice(&body).unwrap();
            group.as_object_mut().unwrap().remove("members");
            Bytes::from(group.to_string())
        }
        _ => body,
    };
    let mut head = head;
    head.headers.remove("content-length");
    let query = head.uri.query().unwrap_or_default().to_owned();
    if wrong == Wrong::NeverTurnsThePage && query.contains("startIndex") {
        head.uri = format!("{path}?startIndex=1&count=4").parse().unwrap();
    }
    let (status, body) = forward(&server, Request::from_parts(head, Full::new(body))).await;
    let mut value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let finds_nobody = query.contains("filter") && value["totalResults"] == 0;
    if wrong == Wrong::QueriesEndIn404 && is_later && finds_nobody {
        return Ok(answer(404, "{}"));
    }
    spoil_answer(wrong, (&path, &query, status), &mut value);
    let text = if value.is_null() { String::new() } else { value.to_string() };
    Ok(answer(status, &text))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others spoil the request")]
fn spoil_answer(wrong: Wrong, (path, query, status): (&str, &str, u16), value: &mut Value) {
    match wrong {
        Wrong::QueriesShowLess if query.contains("filter") => {
            each(value, |user| drop(user.as_object_mut().unwrap().remove("title")));
        }
        Wrong::HidesInactive if value["Resources"].is_array() => {
            let listed = value["Resources"].as_array_mut().unwrap();
            let all = listed.len();
            listed.retain(|user| user["active"] != false);
            let total = value["totalResults"].as_u64().unwrap();
            let hidden = all - value["Resources"].as_array().unwrap().len();
            value["totalResults"] = json!(total - u64::try_from(hidden).unwrap());
        }
        Wrong::DropsActive => {
            each(value, |user| drop(user.as_object_mut().unwrap().remove("active")));
        }
        Wrong::ChangesCase => each(value, |resource| {
            let shown = resource["displayName"].as_str().map(str::to_uppercase);
            resource["displayName"] = json!(shown);
        }),
        Wrong::ChangesIds if path.contains("/Users") && status == 200 => each(value, |user| {
            let id = user["id"].as_str().map(|id| format!("x{id}"));
            user["id"] = json!(id);
        }),
        _ => {}
    }
}

/// Changes a resource, or each of a list.
fn each(value: &mut Value, change: impl Fn(&mut Value)) {
    if value.get("id").is_some() {
        change(value);
    }
    let listed = value.get_mut("Resources").and_then(Value::as_array_mut);
    listed.into_iter().flatten().for_each(change);
}

async fn forward(server: &str, request: Request<Full<Bytes>>) -> (u16, Bytes) {
    let stream = TcpStream::connect(server).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answered = sender.send_request(request).await.unwrap();
    let status = answered.status().as_u16();
    (status, answered.into_body().collect().await.unwrap().to_bytes())
}

fn answer(status: u16, body: &str) -> Answered {
    let response =
        Response::builder().status(status).header("content-type", "application/scim+json");
    response.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

/// What the simulator makes of a server with that fault.
async fn judged(wrong: Wrong) -> Report {
    judged_by(Provider::Entra, wrong).await
}

async fn judged_by(provider: Provider, wrong: Wrong) -> Report {
    let moments = Moments::new().unwrap();
    let embedded = Embedded::start(moments.clone(), None).await.unwrap();
    let behind = embedded.endpoint().unwrap();
    let server = behind.base().trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let url = spoiled(wrong, server).await;
    let endpoint = Endpoint::parse(&url, embedded.token()).unwrap();
    let source = directory(Size { users: 6, groups: 3, everyone_has_mail: true }, 7);
    let rates = if provider == Provider::Entra {
        Vec::new()
    } else {
        let wanted = [(Change::Leavers, 60), (Change::HardDeletes, 60)];
        Change::ALL.map(|change| (change, 0)).into_iter().chain(wanted).collect()
    };
    let plan = Plan { provider, rates, cycles: 3, ..Plan::default() };
    let mut rehearsal = Rehearsal::new(endpoint, plan, source, moments).unwrap();
    rehearsal.connect(&mut Silent).await.unwrap();
    rehearsal.play(&mut Silent).await;
    rehearsal.report().unwrap()
}

/// The server is found wrong, and something says why.
async fn is_found_out(wrong: Wrong, because: &str) -> Report {
    is_found_out_by(Provider::Entra, wrong, because).await
}

async fn is_found_out_by(provider: Provider, wrong: Wrong, because: &str) -> Report {
    let report = judged_by(provider, wrong).await;
    assert!(!report.is_good(), "{wrong:?} goes unnoticed");
    let said: Vec<String> = report
        .findings()
        .iter()
        .map(|finding| format!("{}: {}", finding.about, finding.what))
        .collect();
    assert!(said.iter().any(|said| said.contains(because)), "{wrong:?}: {said:#?}");
    report
}

#[tokio::test]
async fn a_right_server_is_found_right_through_the_same_hands() {
    let report = judged(Wrong::Nothing).await;
    assert!(report.is_good(), "{:?}", report.findings());
}

#[tokio::test]
async fn changes_that_are_not_made_are_found() {
    is_found_out(Wrong::IgnoresPatch, "and should be").await;
    is_found_out(Wrong::ForgetsMembers, "lacks the member").await;
}

#[tokio::test]
async fn people_too_many_are_found() {
    is_found_out(Wrong::DoublesUsers, "and not in the source").await;
}

#[tokio::test]
async fn who_is_listed_twice_is_one_person() {
    let report = is_found_out(Wrong::NeverTurnsThePage, "is listed twice in /Users").await;
    let said = report.findings().iter().map(|finding| finding.what.as_str());
    let count = |part: &str| said.clone().filter(|what| what.contains(part)).count();
    assert_eq!((count("is listed twice in /Users"), count(" times")), (4, 0), "{report:?}");
}

#[tokio::test]
async fn attributes_that_are_dropped_or_changed_are_found() {
    is_found_out(Wrong::DropsActive, "active is not there").await;
    is_found_out(Wrong::ChangesCase, "displayName is").await;
}

#[tokio::test]
async fn what_is_not_scim_is_named_as_entra_names_it() {
    let report = is_found_out(Wrong::AnswersHtml, "not at the endpoint").await;
    assert!(report.failed_with(Code::ServiceIncompatible) > 0);
    assert_eq!(report.health.word(), "escrow");
    let report = is_found_out(Wrong::ChangesIds, "its id was").await;
    assert!(report.failed_with(Code::ServiceIncompatible) > 0);
}

#[tokio::test]
async fn a_job_is_quarantined_as_entra_would() {
    for (wrong, code) in
        [(Wrong::RefusesToken, "Unauthorized"), (Wrong::QueriesEndIn404, "ServiceIncompatible")]
    {
        let report = judged(wrong).await;
        let Health::Quarantine(reason, why) = &report.health else { panic!("{:?}", report.health) };
        assert_eq!(*reason, "EncounteredQuarantineException");
        assert!(why.contains(code) && !report.is_good(), "{why}");
    }
}

#[tokio::test]
async fn what_entra_would_send_again_and_again_is_no_success() {
    let report = judged(Wrong::QueriesShowLess).await;
    assert_eq!((report.findings(), report.health.word()), (&[][..], "healthy"));
    assert!(report.sent_again() > 0 && !report.is_good(), "{}", report.sent_again());
}

#[tokio::test]
async fn the_other_providers_find_out_what_only_they_meet() {
    use Provider::{JumpCloud, Okta, PingOne};
    for (provider, wrong, because) in [
        (Okta, Wrong::IgnoresPut, "and should be"),
        (PingOne, Wrong::IgnoresPut, "and should be"),
        (JumpCloud, Wrong::IgnoresPut, "and should be"),
        (Okta, Wrong::DropsMembersOfNew, "lacks the member"),
        (Okta, Wrong::HidesInactive, "should be there, inactive"),
        (PingOne, Wrong::ForgetsMembers, "lacks the member"),
        (JumpCloud, Wrong::RefusesDelete, "and not in the source"),
    ] {
        is_found_out_by(provider, wrong, because).await;
    }
    let report = judged_by(Okta, Wrong::RefusesToken).await;
    assert_eq!((report.health.word(), report.is_good()), ("broken", false));
}

#[tokio::test]
async fn okta_waits_when_it_is_told_to() {
    let report = judged_by(Provider::Okta, Wrong::Nothing).await;
    assert!(report.is_good(), "{:?}", report.findings());
    let report = judged_by(Provider::Okta, Wrong::Throttles).await;
    assert_eq!(report.failed_with(Code::TooManyRequests), 0);
    let report = judged_by(Provider::PingOne, Wrong::Throttles).await;
    assert!(report.failed_with(Code::TooManyRequests) > 0);
}
