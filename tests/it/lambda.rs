//! The Lambda contract: the built binary against a Runtime API of our own, fed the events of `tests/events/`.
//!
//! Whatever comes, it answers with SCIM, reports no invocation error, and lives on. With `SCIM_BOOTSTRAP` the same
//! tests run on another build of it: CI names the file that `sam build` made.

mod portal;
mod runtime_api;
mod soak;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::app::App;
use runtime_api::{Answer, Function};

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events")
}

/// The text of an event, with the tenant's token in it.
fn event(name: &str, app: &App) -> String {
    let text = fs::read_to_string(events().join(format!("{name}.json"))).expect("an event");
    text.replace("{token}", &app.token())
}

/// A request through the HTTP API.
fn request(app: &App, method: &str, path: &str, query: &str, body: Option<&str>) -> Value {
    let event = serde_json::from_str(&event("http-api-get", app)).expect("JSON");
    asking(event, method, path, query, body)
}

/// The event, for another request.
fn asking(mut event: Value, method: &str, path: &str, query: &str, body: Option<&str>) -> Value {
    event["requestContext"]["http"]["method"] = json!(method);
    event["rawPath"] = json!(path);
    event["rawQueryString"] = json!(query);
    if let Some(body) = body {
        event["body"] = json!(body);
        event["headers"]["content-type"] = json!("application/scim+json");
    }
    event
}

async fn start() -> (App, Function) {
    let app = App::start().await;
    let function = Function::start(&app.environment());
    (app, function)
}

/// What holds for every answer.
fn check(answer: &Answer, status: u64, what: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    if answer.status == 204 {
        assert_eq!(answer.body, "", "{what}");
        return;
    }
    assert_eq!(answer.header("content-type"), "application/scim+json", "{what}: {answer:?}");
    let body = answer.json();
    if answer.status >= 400 {
        assert_eq!(body["schemas"], json!([ERROR]), "{what}");
        assert_eq!(body["status"], json!(answer.status.to_string()), "{what}");
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}");
    }
}

async fn send(function: &mut Function, event: &Value, status: u64) -> Answer {
    let answer = function.invoke(&event.to_string()).await;
    check(&answer, status, &format!("{} {}", event["rawPath"], event["rawQueryString"]));
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_event_is_answered() {
    let (app, mut function) = start().await;
    let expected = [
        ("http-api-post", 201),
        ("http-api-post-base64", 201),
        ("http-api-get", 200),
        ("http-api-documentation", 200),
        ("http-api-generated", 401),
        ("http-api-path", 404),
        ("http-api-sam-local", 200),
        ("http-api-stage", 200),
        ("http-api-1.0", 200),
        ("rest-api-console", 401),
        ("rest-api-filter", 200),
        ("rest-api-generated", 401),
        ("rest-api-get", 200),
        ("rest-api-no-host", 200),
        ("function-url-get", 200),
        ("unusable-alb", 400),
        ("unusable-base64", 400),
        ("unusable-empty", 400),
        ("unusable-method", 400),
        ("unusable-sqs", 400),
    ];
    for (name, status) in expected {
        check(&function.invoke(&event(name, &app)).await, status, name);
    }
    for name in ["schedule-template", "schedule-generated"] {
        let (_, text) = function.post(&event(name, &app), Duration::from_secs(27)).await;
        let summary: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(summary["job"], "sweep", "{name}: {text}");
    }
    let files: BTreeSet<String> = fs::read_dir(events())
        .expect("a directory")
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .collect();
    let known = expected.iter().map(|(name, _)| *name);
    let known = known.chain(["schedule-template", "schedule-generated"]).map(str::to_owned);
    assert_eq!(files, known.collect());
    function.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_back_to_where_the_request_came_in() {
    let (app, mut function) = start().await;
    check(&function.invoke(&event("http-api-post", &app)).await, 201, "POST");
    let answer = function.invoke(&event("http-api-stage", &app)).await;
    check(&answer, 200, "a list below a stage");
    let list = answer.json();
    assert_eq!(list["totalResults"], 1);
    let location = list["Resources"][0]["meta"]["location"].as_str().expect("a location");
    let base = "https://id.execute-api.us-east-1.amazonaws.com/Prod/scim/v2/Users/";
    assert!(location.starts_with(base), "{location}");
    function.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_means_the_same_however_it_is_encoded() {
    let (app, mut function) = start().await;
    let name = "a+b&c=d%e@example.com";
    let user = json!({ "schemas": [USER], "userName": name }).to_string();
    let post = request(&app, "POST", "/scim/v2/Users", "aadOptscim062020", Some(&user));
    let location = send(&mut function, &post, 201).await.header("location").to_owned();
    assert!(location.starts_with("https://xxx.execute-api.us-east-1.amazonaws.com/scim/v2/Users/"));

    for query in [
        "filter=userName+eq+%22a%2Bb%26c%3Dd%25e%40example.com%22",
        "filter=userName%20eq%20%22a%2Bb%26c%3Dd%25e%40example.com%22&aadOptscim062020",
        "aadOptscim062020&filter=userName%20eq%20%22a%2bb%26c%3dd%25e@example.com%22",
        "filter=userName eq \"a%2Bb%26c%3Dd%25e@example.com\"",
        "filter=userName+eq+\"a%2Bb%26c=d%25e@example.com\"",
    ] {
        let get = request(&app, "GET", "/scim/v2/Users", query, None);
        let list = send(&mut function, &get, 200).await.json();
        assert_eq!(list["totalResults"], 1, "{query}");
        assert_eq!(list["Resources"][0]["userName"], name, "{query}");
    }
    let answer = function.invoke(&event("rest-api-filter", &app)).await;
    check(&answer, 200, "REST API");
    assert_eq!(answer.json()["totalResults"], 1, "{answer:?}");
    function.end();
}

/// `http::Uri` refuses most of these, and `lambda_http`'s conversion panics on them.
#[tokio::test(flavor = "multi_thread")]
async fn no_character_of_a_query_or_a_path_ends_the_process() {
    let (app, mut function) = start().await;
    for query in [
        "filter=userName eq \"a\"",
        "filter=emails[type eq \"work\"].value eq \"a\"",
        "filter=userName eq \"<script>\"",
        "filter=displayName eq \"Zoë 北京 😀\"",
        "filter=userName eq \"{}|\\^`\"",
        "filter=userName eq \"a\u{0}b\u{1}\u{7f}\r\n\"",
        "filter=%FF%FE",
        "filter=%",
        "filter=%4",
        "=&&==&?#&filter",
        "[",
        " ",
        "\u{feff}",
        "#fragment",
    ] {
        let answer =
            function.invoke(&request(&app, "GET", "/scim/v2/Users", query, None).to_string()).await;
        let status = if answer.status == 200 { 200 } else { 400 };
        check(&answer, status, query);
    }
    for path in [
        "/scim/v2/Users/Zoë",
        "/scim/v2/Users/a b",
        "/scim/v2/Users/\"<>[]{}|\\^`",
        "/scim/v2/Users/\u{0}\u{1}\u{7f}",
        "/scim/v2/Users/%",
        "/scim/v2/Users/%2e%2e/%2E%2E",
        "/scim/v2/Users/../Groups/x",
        "/scim/v2/Users%2Fx",
        "/other",
        "/",
        "",
        "no slash",
        "//////",
        "*",
    ] {
        send(&mut function, &request(&app, "GET", path, "", None), 404).await;
    }
    send(&mut function, &request(&app, "GET", "//scim/v2//Users/", "", None), 200).await;
    function.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_kind_are_answered() {
    let (app, mut function) = start().await;
    let long = format!("{{\"userName\":\"{}\"}}", "a".repeat(1024 * 1024));
    let deep = "[".repeat(100_000);
    for (body, status) in [
        (long.as_str(), 413),
        (deep.as_str(), 400),
        ("", 400),
        ("{\"userName\":", 400),
        ("null", 400),
        ("\u{0}", 400),
        ("{\"userName\":\"\"}", 400),
    ] {
        let post = request(&app, "POST", "/scim/v2/Users", "", Some(body));
        let answer = function.invoke(&post.to_string()).await;
        check(&answer, status, &format!("{body:.40}"));
        let mut encoded = post;
        encoded["body"] = json!(STANDARD.encode(body));
        encoded["isBase64Encoded"] = json!(true);
        let answer = function.invoke(&encoded.to_string()).await;
        check(&answer, status, &format!("in base64: {body:.40}"));
    }
    let mut not_utf8 = request(&app, "POST", "/scim/v2/Users", "", Some(""));
    not_utf8["body"] = json!(STANDARD.encode(b"{\"userName\":\"\xff\"}"));
    not_utf8["isBase64Encoded"] = json!(true);
    send(&mut function, &not_utf8, 400).await;
    function.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_odd_headers_are_no_reason_to_fail() {
    let (app, mut function) = start().await;
    let get = request(&app, "GET", "/scim/v2/ServiceProviderConfig", "", None);
    for name in ["user-agent", "host", "x-forwarded-proto", "accept"] {
        let mut without = get.clone();
        without["headers"].as_object_mut().expect("an object").remove(name);
        send(&mut function, &without, 200).await;
    }
    let mut odd = get.clone();
    odd["headers"]["user-agent"] = json!("Zoë’s \u{1} client");
    odd["headers"]["no name"] = json!("x");
    odd["headers"]["x-number"] = json!(1);
    odd["cookies"] = json!(["a=1", "b=\u{1}"]);
    send(&mut function, &odd, 200).await;

    for headers in [Value::Null, json!({}), json!([]), json!("x")] {
        let mut none = get.clone();
        none["headers"] = headers;
        let answer = send(&mut function, &none, 401).await;
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{answer:?}");
    }
    function.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_answered_too() {
    let (app, mut function) = start().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for text in ["null", "1", "\"x\"", "[]", "{}", r#"{"a":"\ud800"}"#, &deep] {
        check(&function.invoke(text).await, 400, &format!("{text:.40}"));
    }
    check(&function.invoke(&event("http-api-get", &app)).await, 200, "after all that");
    function.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_500_and_the_next_request_is_served() {
    let app = App::start().await;
    let mut panicking = request(&app, "GET", "/scim/v2/ServiceProviderConfig", "", None);
    panicking["headers"]["x-scim-provoke-panic"] = json!("secret text");

    let mut environment = app.environment();
    environment.push(("SCIM_TEST_PANIC".to_owned(), "1".to_owned()));
    let mut function = Function::start(&environment);
    for _ in 0..2 {
        send(&mut function, &panicking, 500).await;
        check(&function.invoke(&event("http-api-get", &app)).await, 200, "after a panic");
    }
    let lines = function.end();
    assert!(lines.iter().all(|line| !line.contains("secret text")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("panic")), "{lines:?}");

    // Nobody can ask for it where the environment does not.
    let mut function = Function::start(&app.environment());
    send(&mut function, &panicking, 200).await;
    function.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_comes_before_lambdas_deadline() {
    let (app, mut function) = start().await;
    let get = request(&app, "GET", "/scim/v2/Users", "", None).to_string();
    let answer = function.invoke_within(&get, Duration::ZERO).await;
    check(&answer, 503, "no time left");
    answer.header("retry-after").parse::<u32>().expect("seconds");
    let in_time = function.invoke(&get).await;
    check(&in_time, 200, "with time");
    let lines = function.end();
    let late = line_of(&lines, &answer);
    assert_eq!((&late["method"], &late["level"]), (&json!("GET"), &json!("WARN")), "{late}");
    assert_eq!(late["cause"], "the time limit", "{late}");
    let names = |line: &Value| -> BTreeSet<String> {
        line.as_object().expect("an object").keys().cloned().collect()
    };
    let (late, in_time) = (names(&late), names(&line_of(&lines, &in_time)));
    // Whose it is may not have been known yet; a fast machine has looked the token up by then.
    let unknown = BTreeSet::from(["tenant".to_owned(), "token".to_owned()]);
    let missing = &in_time - &late;
    assert!(missing.is_subset(&unknown), "the line of a late answer lacks {missing:?}");
}

/// The one line of the log that tells of an answer, which has its status and the shape of every such line.
#[track_caller]
fn line_of(lines: &[String], answer: &Answer) -> Value {
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_it = lines.filter(|line| line["request_id"] == answer.request_id.as_str());
    let of_it: Vec<Value> = of_it.collect();
    assert_eq!(of_it.len(), 1, "{answer:?}: {of_it:?}");
    let line = &of_it[0];
    assert_eq!(line["status"], answer.status, "{line}");
    assert_eq!(line["message"], "request", "{line}");
    assert!(line["route"].is_string() && line["method"].is_string(), "{line}");
    assert!(line["duration_ms"].is_number() && line["store_calls"].is_u64(), "{line}");
    line.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_not_configured_says_so_in_its_log_alone() {
    let app = App::start().await;
    let mut environment = app.environment();
    environment.retain(|(name, _)| name != "DIRECTORY_TABLE");
    environment.push(("TOKEN_CACHE_SECONDS".to_owned(), "soon".to_owned()));
    let mut function = Function::start(&environment);
    let answer = function.invoke(&event("http-api-get", &app)).await;
    check(&answer, 500, "not configured");
    assert!(!answer.body.contains("DIRECTORY_TABLE"), "{answer:?}");
    let log = function.end().join("\n");
    assert!(log.contains("DIRECTORY_TABLE") && log.contains("TOKEN_CACHE_SECONDS"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_reached_is_a_scim_error() {
    let app = App::start().await;
    let mut environment = app.environment();
    environment.retain(|(name, _)| name != "AWS_ENDPOINT_URL_DYNAMODB");
    // Port 1 of loopback: nothing listens there.
    environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), "http://127.0.0.1:1".to_owned()));
    let mut function = Function::start(&environment);
    let answer = function.invoke(&event("http-api-get", &app)).await;
    check(&answer, if answer.status == 503 { 503 } else { 500 }, "no store");
    assert!(!answer.body.contains("127.0.0.1"), "{answer:?}");
    function.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_lambda_cannot_return_is_refused_by_us() {
    let (app, mut function) = start().await;
    let address = json!({ "type": "work", "formatted": "\"".repeat(40_000) });
    // A quote takes one byte in the store and four in what Lambda returns.
    for number in 0..10 {
        let name = format!("user{number}@example.com");
        let user = json!({ "userName": name, "addresses": vec![address.clone(); 5] }).to_string();
        let post = request(&app, "POST", "/scim/v2/Users", "attributes=id", Some(&user));
        send(&mut function, &post, 201).await;
    }
    let list = request(&app, "GET", "/scim/v2/Users", "", None);
    let answer = send(&mut function, &list, 400).await;
    assert_eq!(answer.json()["scimType"], "tooMany");
    let page = request(&app, "GET", "/scim/v2/Users", "count=2", None);
    send(&mut function, &page, 200).await;
    let line = line_of(&function.end(), &answer);
    assert_eq!((&line["scim_type"], &line["route"]), (&json!("tooMany"), &json!("/Users")));
}

/// Texts of a whole cycle that belong to persons, or open the door.
const PERSONAL: [&str; 8] = [
    "ann.logged",
    "Anneliese",
    "Quuxington",
    "Elm Street",
    "ext-logged",
    "+49 151",
    "Secret Team",
    "renamed",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_one_line_a_request_and_nothing_personal() {
    let (app, mut function) = start().await;
    let mut answers = Vec::new();
    let mut note = |answer: Answer| {
        answers.push(answer.clone());
        answer
    };
    let user = json!({
        "schemas": [USER],
        "userName": "ann.logged@example.com",
        "externalId": "ext-logged-1",
        "displayName": "Anneliese Quuxington",
        "name": { "givenName": "Anneliese", "familyName": "Quuxington" },
        "emails": [{ "type": "work", "value": "ann.logged@example.com" }],
        "phoneNumbers": [{ "type": "mobile", "value": "+49 151 1234567" }],
        "addresses": [{ "type": "work", "streetAddress": "1 Elm Street" }],
    })
    .to_string();
    let filter = "filter=userName+eq+%22ann.logged%40example.com%22";
    let get = request(&app, "GET", "/scim/v2/Users", filter, None);
    note(send(&mut function, &get, 200).await);
    let post = request(&app, "POST", "/scim/v2/Users", "", Some(&user));
    let created = note(send(&mut function, &post, 201).await).json();
    note(send(&mut function, &post, 409).await);
    let path = format!("/scim/v2/Users/{}", created["id"].as_str().expect("an id"));
    let patch =
        |operation: Value| json!({ "schemas": [PATCH], "Operations": [operation] }).to_string();
    let rename =
        patch(json!({ "op": "replace", "path": "userName", "value": "renamed@example.com" }));
    note(send(&mut function, &request(&app, "PATCH", &path, "", Some(&rename)), 200).await);
    let wrong =
        patch(json!({ "op": "add", "path": "emails[type eq \"Elm Street\"", "value": "renamed" }));
    note(send(&mut function, &request(&app, "PATCH", &path, "", Some(&wrong)), 400).await);
    let members = json!([{ "value": created["id"] }]);
    let group = json!({ "schemas": [GROUP], "displayName": "Secret Team", "members": members });
    let group = request(&app, "POST", "/scim/v2/Groups", "", Some(&group.to_string()));
    let group = note(send(&mut function, &group, 201).await).json();
    let group = format!("/scim/v2/Groups/{}", group["id"].as_str().expect("an id"));
    note(send(&mut function, &request(&app, "GET", &group, "", None), 200).await);
    note(
        send(&mut function, &request(&app, "GET", "/scim/v2/Users/ann.logged", "", None), 404)
            .await,
    );
    note(send(&mut function, &request(&app, "GET", "/Anneliese", "x=renamed", None), 404).await);
    note(send(&mut function, &request(&app, "DELETE", &group, "", None), 204).await);
    note(send(&mut function, &request(&app, "DELETE", &path, "", None), 204).await);
    let mut foreign = get.clone();
    foreign["headers"]["authorization"] = json!("Bearer not-a-token-of-anybody");
    note(send(&mut function, &foreign, 401).await);
    let (_, _) = function.post(&event("schedule-template", &app), Duration::from_secs(27)).await;

    let lines = function.end();
    for text in PERSONAL.iter().copied().chain([app.token().as_str(), "not-a-token-of"]) {
        let found = lines.iter().find(|line| line.to_lowercase().contains(&text.to_lowercase()));
        assert_eq!(found, None, "{text} is in the log");
    }
    for line in &lines {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "no JSON: {line}");
    }
    for answer in &answers {
        line_of(&lines, answer);
    }
}
