//! `scimctl` as its users meet it: the built binary, what it prints, how it ends. Each test has a server of its own.

mod clock;
mod transfer;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use scim_endpoint::admin::AdminError;
use scim_endpoint::admin::delete::{self, Step};
use scim_endpoint::auth::TokenSecret;
use scim_endpoint::local::sdk_config;
use scim_endpoint::store::Tables;
use serde_json::{Value, json};

use crate::app::App;

const SCIMCTL: &str = env!("CARGO_BIN_EXE_scimctl");

/// Variables that could lead a command to other tables, or change what it logs.
const VARIABLES: [&str; 8] = [
    "DIRECTORY_TABLE",
    "SECRETS_TABLE",
    "JOURNAL_TABLE",
    "PUBLIC_URL",
    "BASE_PATH",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "RUST_LOG",
    "SCIM_SCHEMAS",
];

pub(crate) fn scimctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(SCIMCTL);
    command.args(arguments).stdin(Stdio::null());
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

/// A path that nothing else uses; removed with the value.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let unique = format!("scimctl-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A running `scimctl serve --format json`.
pub(crate) struct Server {
    child: Child,
    started: Value,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let all = [&["serve", "--port", "0", "--format", "json"], arguments].concat();
        let mut child = scimctl(&all).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        out.read_line(&mut line).expect("a line");
        let started = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        child.stdout = Some(out.into_inner());
        Self { child, started }
    }

    pub(crate) fn base_url(&self) -> &str {
        self.started["base_url"].as_str().expect("a URL")
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.started["dynamodb_endpoint"].as_str().expect("a URL")
    }

    pub(crate) fn token(&self) -> &str {
        self.started["tenants"][0]["token"].as_str().expect("a token")
    }

    /// A request below the base URL, over a connection of its own.
    pub(crate) fn call(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let rest = self.base_url().strip_prefix("http://").expect("http");
        let (host, base) = rest.split_once('/').expect("a path");
        let request = format!(
            "{method} /{base}{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/scim+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(host).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.expect("a status"), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    pub(crate) fn status(&self, token: &str) -> u16 {
        self.call(token, "GET", "/Users?count=1", &Value::Null).0
    }

    /// Runs a command against this server and gives back its JSON.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Value {
        let place = ["--endpoint-url", self.endpoint(), "--format", "json"];
        let output = scimctl(&[arguments, &place].concat()).output().expect("it runs");
        let out = String::from_utf8(output.stdout).expect("UTF-8");
        let err = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(output.status.success(), "{arguments:?}: {err}");
        assert_eq!((out.lines().count(), err.as_str()), (1, ""), "{arguments:?}: {out}");
        serde_json::from_str(&out).expect("JSON")
    }

    /// Runs a command against this server that has to be refused, and gives back why.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        refused(&[arguments, &["--endpoint-url", self.endpoint()]].concat())
    }

    /// What a command against this server writes for people.
    #[track_caller]
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let all = [arguments, &["--endpoint-url", self.endpoint()]].concat();
        let output = scimctl(&all).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn interrupt(mut self) -> Output {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
        let status = self.child.wait().expect("it ends");
        let mut stdout = Vec::new();
        let mut out = self.child.stdout.take().expect("its output");
        out.read_to_end(&mut stdout).expect("its output");
        Output { status, stdout, stderr: Vec::new() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL: nothing can be tidied up.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a command that has to be refused in one line, and gives back that line.
#[track_caller]
pub(crate) fn refused(arguments: &[&str]) -> String {
    let output = scimctl(arguments).output().expect("it runs");
    let err = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!output.status.success(), "{arguments:?} was done");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    assert_eq!(err.lines().count(), 1, "{arguments:?}: {err}");
    let text = err.trim_end().strip_prefix("error: ");
    text.unwrap_or_else(|| panic!("{arguments:?}: {err}")).to_owned()
}

fn user(name: &str) -> Value {
    let schema = "urn:ietf:params:scim:schemas:core:2.0:User";
    json!({ "schemas": [schema], "userName": name, "emails": [{ "value": name }] })
}

#[test]
fn serve_prints_one_line_of_json_and_serves() {
    let server = Server::start(&["--tenant", "acme", "--tenant", "globex", "--tenant", "acme"]);
    let names: Vec<&String> = server.started.as_object().unwrap().keys().collect();
    assert_eq!(names, ["base_url", "dynamodb_endpoint", "tenants", "environment"]);
    let tenants = server.started["tenants"].as_array().unwrap();
    let tenants: Vec<&str> = tenants.iter().filter_map(|t| t["tenant"].as_str()).collect();
    assert_eq!(tenants, ["acme", "globex"]);
    assert_eq!(server.started["environment"]["AWS_ENDPOINT_URL_DYNAMODB"], server.endpoint());
    let tables = Tables::local();
    assert_eq!(server.started["environment"]["DIRECTORY_TABLE"], tables.directory);
    assert_eq!(server.status(server.token()), 200);
    let (status, made) = server.call(server.token(), "POST", "/Users", &user("a@example.com"));
    assert_eq!(status, 201);
    let location = made["meta"]["location"].as_str().unwrap();
    assert!(location.starts_with(server.base_url()), "{location}");
    let other = server.started["tenants"][1]["token"].as_str().unwrap();
    assert_eq!(server.call(other, "GET", "/Users", &Value::Null).1["totalResults"], 0);

    let ended = server.interrupt();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout, b"", "a second line");
}

#[test]
fn the_environment_of_serve_is_all_that_a_command_needs() {
    let server = Server::start(&[]);
    let environment = server.started["environment"].as_object().unwrap().clone();
    let mut command = scimctl(&["token", "issue", "demo", "--format", "json"]);
    command.envs(environment.iter().map(|(name, value)| (name, value.as_str().unwrap())));
    let output = command.output().unwrap();
    let issued: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(server.status(issued["token"].as_str().unwrap()), 200);
    assert_eq!(issued["tenant_url"], format!("{}/?aadOptscim062020", server.base_url()));
}

#[test]
fn the_curl_line_works_as_pasted() {
    let mut child = scimctl(&["serve", "--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<String> = lines.take_while(|line| !line.contains("Ctrl-C")).collect();
    // Its scimctl line works as well, whatever became of the other.
    let with = |word: &str| {
        let found: Vec<&String> = lines.iter().filter(|line| line.contains(word)).collect();
        assert_eq!(found.len(), 1, "{word}: {lines:#?}");
        found[0].clone()
    };
    let paste = |line: &str| Command::new("sh").args(["-c", line]).output().unwrap();
    let curl = with("curl");
    if Command::new("curl").arg("--version").output().is_ok() {
        let output = paste(&curl);
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(answer["totalResults"], 0, "{output:?}");
    }
    // The tests may have been built into any directory: `cargo run` stands for that file.
    let command = with(" tenant list ").trim().replace("cargo run --", SCIMCTL);
    assert!(!command.starts_with("scimctl"), "no shell finds it: {command}");
    let listed = paste(&command);
    assert!(String::from_utf8(listed.stdout).unwrap().contains("demo"));
    assert!(with("Tenant URL").contains("/scim/v2/?aadOptscim062020"));
    let token = with("Secret token");
    let token = token.split_whitespace().nth(2).unwrap();
    assert!(curl.contains(token));
    assert!(lines.len() < 16, "{lines:#?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_port_in_use_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let told = refused(&["serve", "--port", &port]);
    assert!(told.contains(&port) && told.contains("--port"), "{told}");
}

#[test]
fn data_survives_sigkill() {
    let scratch = Scratch::new("sigkill");
    let file = scratch.file("data.sqlite");
    let server = Server::start(&["--data", &file]);
    let first = server.token().to_owned();
    assert_eq!(server.call(&first, "POST", "/Users", &user("a@example.com")).0, 201);
    drop(server);
    let server = Server::start(&["--data", &file]);
    assert_ne!(server.token(), first);
    let filter = "/Users?filter=userName%20eq%20%22a@example.com%22";
    for token in [server.token(), &first] {
        let (status, found) = server.call(token, "GET", filter, &Value::Null);
        assert_eq!((status, &found["totalResults"]), (200, &json!(1)));
    }
    assert_eq!(server.run(&["check", "demo"])["whole"], true);
}

#[test]
fn so_many_starts_on_one_file_do_not_use_up_the_tokens() {
    let scratch = Scratch::new("starts");
    let file = scratch.file("data.sqlite");
    let server = Server::start(&["--data", &file]);
    for _ in 0..39 {
        server.run(&["token", "issue", "demo", "--label", "serve"]);
    }
    let told = server.refused(&["token", "issue", "demo"]);
    assert!(told.contains("40 live tokens") && told.contains("revoke"), "{told}");
    drop(server);
    let server = Server::start(&["--data", &file]);
    assert_eq!(server.status(server.token()), 200);
}

#[test]
fn what_is_no_data_file_is_refused_in_one_line() {
    let scratch = Scratch::new("files");
    let (text, directory) = (scratch.file("notes.txt"), scratch.file("."));
    std::fs::write(&text, "not a database, but long enough to be taken for one").unwrap();
    // Another program's database: SQLite's, and without a table of ours.
    let foreign = scratch.file("foreign.sqlite");
    let page = [b"SQLite format 3\0".as_slice(), &[0; 4080]].concat();
    std::fs::write(&foreign, &page).unwrap();
    let (none, below) = (scratch.file("none/data.sqlite"), scratch.file("notes.txt/data.sqlite"));
    let no_directory = format!("there is no directory {}; create it", scratch.file("none"));
    let no_file = format!("{directory} is a directory; name a file in it");
    let file_above = format!("{text} is no directory");
    for (file, expected) in [
        (&text, "is not a data file of this server"),
        (&foreign, "is not a data file of this server"),
        (&directory, &no_file),
        (&none, &no_directory),
        (&below, &file_above),
    ] {
        let told = refused(&["serve", "--port", "0", "--data", file]);
        assert!(told.contains(expected) && !told.contains("os error"), "{file}: {told}");
    }
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("not a database"));
    assert_eq!(std::fs::read(&foreign).unwrap(), page);
}

#[test]
fn a_data_file_belongs_to_one_server() {
    let scratch = Scratch::new("shared");
    let file = scratch.file("data.sqlite");
    let server = Server::start(&["--data", &file]);
    let told = refused(&["serve", "--port", "0", "--data", &file]);
    assert!(told.contains("in use by another server"), "{told}");
    drop(server);
    drop(Server::start(&["--data", &file]));
}

#[test]
fn what_a_url_cannot_have_is_answered_as_the_deployed_server_does() {
    let server = Server::start(&[]);
    let (status, created) = server.call(server.token(), "POST", "/Users", &user("raw@example.com"));
    assert_eq!(status, 201, "{created}");
    for target in [
        "/Users?filter=userName+eq+\"raw@example.com\"",
        "/Users?filter=userName eq \"raw@example.com\"",
        "/Users?filter=userName+sw+\"raw\"+and+not+(userName+co+\"<ü>\")",
    ] {
        let (status, found) = server.call(server.token(), "GET", target, &Value::Null);
        assert_eq!((status, &found["totalResults"]), (200, &json!(1)), "{target}");
    }
    let bad = server.call(server.token(), "GET", "/Users?filter=emails[type+eq+\"x", &Value::Null);
    assert_eq!((bad.0, &bad.1["scimType"]), (400, &json!("invalidFilter")));
}

#[test]
fn tokens_are_issued_rotated_and_revoked() {
    let server = Server::start(&[]);
    let issued = server.run(&["token", "issue", "demo", "--label", "Entra prod", "--days", "30"]);
    let (token, id) = (issued["token"].as_str().unwrap(), issued["token_id"].as_str().unwrap());
    assert_eq!(issued["label"], "Entra prod");
    assert_eq!(server.status(token), 200);
    for header in [format!("Bearer {token}"), format!("{token}\t")] {
        assert_eq!(server.status(&header), 200, "{header}");
    }

    let rotated = server.run(&["token", "rotate", "demo", id]);
    let second = rotated["token"].as_str().unwrap();
    assert_eq!(
        (&rotated["label"], &rotated["old"]["state"]),
        (&json!("Entra prod"), &json!("alive"))
    );
    assert_eq!((server.status(token), server.status(second)), (200, 200));
    server.run(&["token", "revoke", "demo", id]);
    server.run(&["token", "revoke", "demo", id]);
    assert_eq!((server.status(token), server.status(second)), (401, 200));

    let id = rotated["token_id"].as_str().unwrap();
    let rotated = server.run(&["token", "rotate", "demo", id, "--revoke-old"]);
    assert_eq!(rotated["old"]["state"], "revoked");
    assert_eq!(server.status(second), 401);
    assert_eq!(server.status(rotated["token"].as_str().unwrap()), 200);

    let listed = server.run(&["token", "list", "demo"]);
    let states = listed["tokens"].as_array().unwrap().iter();
    let states: Vec<(&str, &str)> = states
        .map(|token| (token["label"].as_str().unwrap(), token["state"].as_str().unwrap()))
        .collect();
    let expected = ["alive", "revoked", "revoked", "alive"];
    let labels = ["serve", "Entra prod", "Entra prod", "Entra prod"];
    assert_eq!(states, labels.into_iter().zip(expected).collect::<Vec<_>>());
    assert!(listed["tokens"][1]["last_used"].is_string(), "{listed}");
    assert!(!listed.to_string().contains("scim_"), "a token is shown again");
    let text = server.text(&["token", "list", "demo"]);
    assert!(text.starts_with("token id ") && text.contains("Entra prod  revoked"), "{text}");
}

#[test]
fn a_tenant_is_created_disabled_enabled_and_shown() {
    let server = Server::start(&[]);
    let created = server.run(&[
        "tenant",
        "create",
        "acme",
        "--match-attribute",
        "EMAILS",
        "--match-attribute",
        "externalid",
        "--group-names",
        "free",
    ]);
    assert_eq!(created["match_attributes"], json!(["emails.value", "externalId"]));
    let token = server.run(&["token", "issue", "acme"])["token"].as_str().unwrap().to_owned();
    assert_eq!(server.call(&token, "POST", "/Users", &user("a@example.com")).0, 201);

    server.run(&["tenant", "disable", "acme"]);
    let (status, body) = server.call(&token, "GET", "/Users", &Value::Null);
    assert_eq!((status, &body["status"]), (403, &json!("403")));
    assert!(body["detail"].as_str().unwrap().contains("switched off"), "{body}");
    let while_disabled = server.run(&["token", "issue", "acme"]);
    assert_eq!(server.status(while_disabled["token"].as_str().unwrap()), 403);
    server.run(&["tenant", "disable", "acme"]);
    assert_eq!(server.run(&["tenant", "show", "acme"])["status"], "disabled");
    server.run(&["tenant", "enable", "acme"]);
    assert_eq!(server.status(&token), 200);
    assert_eq!(server.status(while_disabled["token"].as_str().unwrap()), 200);

    assert_eq!(server.call(&token, "GET", "/Users?filter=nonsense", &Value::Null).0, 400);
    let shown = server.run(&["tenant", "show", "acme"]);
    assert_eq!((&shown["users"], &shown["groups"]), (&json!(1), &json!(0)));
    assert!(shown["last_call"].is_string() && shown["last_refusal"].is_string(), "{shown}");
    assert_eq!(shown["tokens"].as_array().map(Vec::len), Some(2));
    let listed = server.run(&["tenant", "list"]);
    let tenants = listed["tenants"].as_array().unwrap().iter();
    assert_eq!(tenants.map(|t| &t["tenant"]).collect::<Vec<_>>(), ["acme", "demo"]);
    let text = server.text(&["tenant", "show", "acme"]);
    assert!(text.contains("Match attributes  emails.value, externalId"), "{text}");
}

#[test]
fn a_tenant_is_marked_as_one_to_be_rehearsed_in() {
    let server = Server::start(&[]);
    let created = server.run(&["tenant", "create", "acme", "--rehearsal"]);
    assert_eq!(created["rehearsal"], true);
    let text = server.text(&["tenant", "list"]);
    assert!(text.contains("enabled, rehearsal"), "{text}");
    assert_eq!(server.run(&["tenant", "show", "demo"])["rehearsal"], false);
    server.run(&["tenant", "set", "demo", "--rehearsal", "true"]);
    server.run(&["tenant", "set", "acme", "--rehearsal", "false"]);
    let listed = server.run(&["tenant", "list"]);
    let marks = listed["tenants"].as_array().unwrap().iter().map(|tenant| &tenant["rehearsal"]);
    assert_eq!(marks.collect::<Vec<_>>(), [false, true], "{listed}");
    let checked = server.run(&["check", "demo"]);
    assert_eq!(checked["whole"], true, "{checked}");
}

#[test]
fn more_tenants_than_one_page_are_listed() {
    let names: Vec<String> = (0..130).map(|number| format!("t{number:03}")).collect();
    let arguments: Vec<&str> = names.iter().flat_map(|name| ["--tenant", name.as_str()]).collect();
    let server = Server::start(&arguments);
    let listed = server.run(&["tenant", "list"]);
    let tenants = listed["tenants"].as_array().unwrap().iter();
    assert_eq!(tenants.map(|t| t["tenant"].as_str().unwrap()).collect::<Vec<_>>(), names);
}

#[tokio::test]
async fn deleting_a_tenant_leaves_nothing_and_its_neighbour_everything() {
    let server = Server::start(&["--tenant", "acme", "--tenant", "globex"]);
    let token = server.token().to_owned();
    let other = server.started["tenants"][1]["token"].as_str().unwrap().to_owned();
    for number in 0..60 {
        let name = format!("u{number}@example.com");
        assert_eq!(server.call(&token, "POST", "/Users", &user(&name)).0, 201);
    }
    assert_eq!(server.call(&other, "POST", "/Users", &user("a@example.com")).0, 201);
    let told = server.refused(&["tenant", "delete", "acme"]);
    assert!(told.contains("--yes"), "{told}");
    assert_eq!(server.status(&token), 200);
    let deleted = server.run(&["tenant", "delete", "acme", "--yes"]);
    assert!(deleted["items"].as_u64().unwrap() > 240, "{deleted}");
    assert_eq!((server.status(&token), server.status(&other)), (401, 200));

    let client = Client::new(&sdk_config(server.endpoint()));
    let tables = Tables::local();
    for (table, tenant, left) in [
        (&tables.directory, "acme", false),
        (&tables.journal, "acme", false),
        (&tables.directory, "globex", true),
        (&tables.journal, "globex", true),
    ] {
        let query = client.query().table_name(table).key_condition_expression("tenant = :t");
        let query = query.expression_attribute_values(":t", AttributeValue::S(tenant.to_owned()));
        let found = query.send().await.unwrap();
        assert_eq!(found.count() > 0, left, "{tenant} in {table}: {:?}", found.items());
    }
    let digest = TokenSecret::parse(&token).unwrap().digest();
    let key = HashMap::from([("digest".to_owned(), AttributeValue::S(digest))]);
    let row =
        client.get_item().table_name(&tables.secrets).set_key(Some(key)).send().await.unwrap();
    assert_eq!(row.item, None);
    let listed = server.run(&["tenant", "list"]);
    assert_eq!(listed["tenants"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(server.run(&["check", "globex"])["whole"], true);

    // The name is free again, and what comes under it begins with nothing.
    server.run(&["tenant", "create", "acme"]);
    assert_eq!(server.run(&["tenant", "show", "acme"])["users"], 0);
    assert_eq!(server.status(&token), 401);
}

#[tokio::test]
async fn a_deletion_that_was_stopped_goes_on() {
    let server = Server::start(&[]);
    let client = Client::new(&sdk_config(server.endpoint()));
    let settings = HashMap::from([
        ("tenant".to_owned(), AttributeValue::S("demo".to_owned())),
        ("key".to_owned(), AttributeValue::S("settings".to_owned())),
    ]);
    let half = client.update_item().table_name(Tables::local().directory).set_key(Some(settings));
    let half = half.update_expression("SET #s = :d").expression_attribute_names("#s", "status");
    let deleting = AttributeValue::S("deleting".to_owned());
    half.expression_attribute_values(":d", deleting).send().await.unwrap();
    // The registry's row may be gone already.
    let row = HashMap::from([
        ("tenant".to_owned(), AttributeValue::S("#registry".to_owned())),
        ("key".to_owned(), AttributeValue::S("tenant#demo".to_owned())),
    ]);
    let gone = client.delete_item().table_name(Tables::local().directory).set_key(Some(row));
    gone.send().await.unwrap();
    for command in [
        ["tenant", "create", "demo"],
        ["tenant", "enable", "demo"],
        ["tenant", "disable", "demo"],
        ["token", "issue", "demo"],
    ] {
        let told = server.refused(&command);
        assert!(told.contains("being deleted"), "{command:?}: {told}");
    }
    server.run(&["tenant", "delete", "demo", "--yes"]);
    server.run(&["tenant", "create", "demo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_locks_out_then_waits_then_sweeps() {
    let app = App::start().await;
    app.call("POST", "/Users", user("a@example.com")).await.expect(201);
    let (tenant, moments) = (app.tenant(), || app.moment());
    let mut steps = Vec::new();
    let settle = Duration::from_millis(40);
    let mut note = |step| steps.push(step);
    let begun = Instant::now();
    let items = delete::delete(app.store(), &moments, &tenant, settle, &mut note).await.unwrap();
    assert!(begun.elapsed() >= settle);
    let shape: Vec<&str> = steps
        .iter()
        .map(|step| match step {
            Step::Disabled => "disabled",
            Step::TokensRemoved(1) => "one token",
            Step::TokensRemoved(_) => "tokens",
            Step::Waiting(left) if *left <= settle => "waiting",
            Step::Waiting(_) => "waiting too long",
            Step::Swept(_) => "swept",
        })
        .collect();
    assert_eq!(shape[..3], ["disabled", "one token", "waiting"], "{steps:?}");
    assert_eq!(steps.last(), Some(&Step::Swept(items)));
    app.call("GET", "/Users", Value::Null).await.expect(401);
    app.call_as(&app.other_token(), "GET", "/Users", Value::Null).await.expect(200);
    let again = delete::delete(app.store(), &moments, &tenant, settle, &mut |_| {}).await;
    assert!(matches!(again, Err(AdminError::NoTenant(_))), "{again:?}");
}

#[tokio::test]
async fn check_tells_repairs_and_ends_accordingly() {
    let server = Server::start(&[]);
    assert_eq!(server.call(server.token(), "POST", "/Users", &user("a@example.com")).0, 201);
    let text = server.text(&["check", "demo"]);
    assert!(text.starts_with("demo: 1 user, 0 groups, 0 memberships in "), "{text}");
    let client = Client::new(&sdk_config(server.endpoint()));
    let item = HashMap::from([
        ("tenant".to_owned(), AttributeValue::S("demo".to_owned())),
        ("key".to_owned(), AttributeValue::S("user#a@example.com".to_owned())),
    ]);
    let gone = client.delete_item().table_name(Tables::local().directory).set_key(Some(item));
    gone.send().await.unwrap();
    let place = ["check", "demo", "--endpoint-url", server.endpoint()];
    let found = scimctl(&place).output().unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.status.code(), Some(1), "{text}");
    assert!(
        text.contains("id-left: id#") && text.contains("check --repair demo --endpoint-url"),
        "{text}"
    );
    let repaired = server.text(&["check", "demo", "--repair"]);
    assert!(repaired.contains("repaired: it was removed"), "{repaired}");
    assert_eq!(server.run(&["check", "demo"])["findings"], json!([]));
}

#[test]
fn a_mistake_is_answered_with_one_sentence() {
    let server = Server::start(&[]);
    let long = "x".repeat(65);
    let revoked = "there-is-none";
    for (arguments, expected) in [
        (vec!["tenant", "show", "nobody"], "scimctl tenant list"),
        (vec!["tenant", "show", "Nobody!"], "lower-case letters"),
        (vec!["tenant", "enable", "nobody"], "no tenant nobody"),
        (vec!["tenant", "delete", "nobody", "--yes"], "no tenant nobody"),
        (vec!["tenant", "delete", "nobody"], "no tenant nobody"),
        (vec!["tenant", "create", "demo"], "already"),
        (vec!["tenant", "create", "x", "--match-attribute", "password"], "not kept"),
        (vec!["tenant", "create", "x", "--match-attribute", "shoeSize"], "no such attribute"),
        (vec!["tenant", "create", "x", "--group-names", "many"], "unique"),
        (vec!["token", "issue", "nobody"], "no tenant nobody"),
        (vec!["token", "issue", "demo", "--label", ""], "label"),
        (vec!["token", "issue", "demo", "--label", &long], "64 characters"),
        (vec!["token", "issue", "demo", "--label", "a\nb"], "one line"),
        (vec!["token", "issue", "demo", "--days", "0"], "0"),
        (vec!["token", "issue", "demo", "--days", "99999"], "3650"),
        (vec!["token", "list", "nobody"], "no tenant nobody"),
        (vec!["token", "revoke", "demo", revoked], "scimctl token list demo"),
        (vec!["token", "rotate", "demo", revoked], "scimctl token list demo"),
        (vec!["check", "nobody"], "no tenant nobody"),
        (vec!["check"], "TENANT"),
    ] {
        let told = server.refused(&arguments);
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    for (arguments, expected) in [
        (vec!["tenant", "list"], "--stack"),
        (vec!["tenant", "list", "--endpoint-url", "127.0.0.1:8000"], "http://127.0.0.1:8000"),
        (vec!["tenant", "list", "--endpoint-url", server.endpoint(), "--stack", "x"], "--stack"),
        (vec!["tenant", "list", "--endpoint-url", "http://example.test"], "--directory-table"),
        (vec!["tenat"], "tenant"),
        (vec!["serve", "--port", "99999"], "99999"),
        (vec!["serve", "--tenant", ""], "lower-case letters"),
        (vec!["serve", "--rate", "3"], "at least 50"),
        (vec!["docs", "entra", "--product", "P", "--url", "scim.example.com"], "https://"),
    ] {
        let told = refused(&arguments);
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    assert_eq!(server.status(server.token()), 200);
}

#[test]
fn an_address_that_is_not_dynamodbs_is_told_in_one_sentence() {
    let server = Server::start(&[]);
    let root = server.base_url().strip_suffix("/scim/v2").expect("the base path");
    let tenant_url = format!("{}/?aadOptscim062020", server.base_url());
    // Answers as a web server that is none of ours.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let page = format!("http://{}", other.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in other.incoming().map_while(Result::ok) {
            let mut stream = stream;
            // Whether the request is read whole does not matter, and neither does who has gone.
            drop(stream.read(&mut [0; 4096]));
            let answer = "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 4\r\nconnection: close\r\n\r\n<p/>";
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    let take = "take the address in the line DynamoDB that `scimctl serve` prints";
    let start = "start `scimctl serve` and take the address in its line DynamoDB";
    for (url, expected) in [
        (server.base_url(), format!("that is the SCIM URL; {take}")),
        (root, format!("that is the SCIM URL; {take}")),
        (&tenant_url, format!("that is the SCIM URL; {take}")),
        (&page, format!("what answers at {page} is not DynamoDB; {take}")),
        ("http://127.0.0.1:1", format!("nothing answers at http://127.0.0.1:1; {start}")),
        ("http://localhost:1", format!("nothing answers at http://localhost:1; {start}")),
    ] {
        assert_eq!(refused(&["tenant", "list", "--endpoint-url", url]), expected);
    }
    let told = server.refused(&["tenant", "list", "--directory-table", "nope"]);
    assert!(
        told.starts_with("there is no table nope at http://") && !told.contains("error"),
        "{told}"
    );
}

#[test]
fn the_tutorial_is_printed_under_the_teams_name() {
    let arguments =
        ["docs", "entra", "--product", "Paper & Sons", "--url", "https://id.example.com/scim/v2"];
    let output = scimctl(&arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Paper & Sons") && !text.contains("{{"), "{text}");
    assert!(text.contains("https://id.example.com/scim/v2/?aadOptscim062020"));
}

#[test]
fn requests_are_logged_when_asked_for_and_without_what_is_private() {
    let mut child = scimctl(&["serve", "--port", "0", "--format", "json", "--log", "info"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut log = child.stderr.take().unwrap();
    let mut server = Server { child, started: serde_json::from_str(&line).unwrap() };
    let token = server.token().to_owned();
    assert_eq!(server.call(&token, "POST", "/Users", &user("ann.private@example.com")).0, 201);
    assert_eq!(server.status("nonsense"), 401);
    server.child.kill().unwrap();
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    assert!(text.contains("status=201") && text.contains("status=401"), "{text}");
    assert!(!text.contains(&token) && !text.contains("ann.private"), "{text}");
}
