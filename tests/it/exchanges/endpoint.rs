//! Where a request goes: the in-process server, or a deployed endpoint through `curl`.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use scim_endpoint::admin::tokens::{self, Life};
use scim_endpoint::scim::catalog::Catalog;
use scim_endpoint::scim::domain::Domain;
use scim_endpoint::store::scopes::{Scope, Scopes};
use scim_endpoint::store::{Settings, TenantId};

use super::script::Request;
use crate::app::{Answer, App};

/// The tokens that a file may name besides `{token}`, and where a deployed endpoint's are: of another tenant, of the same
/// tenant for reading users alone, of a tenant for people of `example.com` alone, and of one with the schemas of
/// `tests/suites/schemas`.
pub(super) const FURTHER_TOKENS: [(&str, &str); 4] = [
    ("other_token", "SCIM_OTHER_TOKEN"),
    ("reader_token", "SCIM_READER_TOKEN"),
    ("domain_token", "SCIM_DOMAIN_TOKEN"),
    ("schemas_token", "SCIM_SCHEMAS_TOKEN"),
];

pub(super) enum Endpoint {
    InProcess(App),
    Deployed(Deployment),
}

/// An endpoint named in the environment.
#[derive(Clone)]
pub(super) struct Deployment {
    base_url: String,
    token: String,
    further_tokens: Vec<(&'static str, String)>,
}

impl Deployment {
    /// `None` when the files are to run in-process. Half a configuration is an error: whoever set the
    /// one variable would otherwise believe that the deployed endpoint had been tested.
    pub(super) fn from_environment() -> Result<Option<Self>, String> {
        let read = |name: &str| {
            let value = std::env::var_os(name)?.to_string_lossy().trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        match (read("SCIM_BASE_URL"), read("SCIM_TOKEN")) {
            (None, None) => Ok(None),
            (Some(base_url), Some(token)) => Ok(Some(Self {
                base_url: base_url.trim_end_matches('/').to_owned(),
                token,
                further_tokens: FURTHER_TOKENS
                    .into_iter()
                    .filter_map(|(name, variable)| Some((name, read(variable)?)))
                    .collect(),
            })),
            _ => Err("SCIM_BASE_URL and SCIM_TOKEN have to be set together".to_owned()),
        }
    }
}

impl Endpoint {
    pub(super) async fn in_process() -> Self {
        Self::InProcess(App::start_with_catalog(Arc::new(catalog())).await)
    }

    pub(super) fn deployed(deployment: &Deployment) -> Self {
        Self::Deployed(deployment.clone())
    }

    pub(super) fn is_deployed(&self) -> bool {
        matches!(self, Self::Deployed(_))
    }

    pub(super) fn base_url(&self) -> String {
        match self {
            Self::InProcess(app) => app.base_url(),
            Self::Deployed(deployment) => deployment.base_url.clone(),
        }
    }

    pub(super) fn token(&self) -> String {
        match self {
            Self::InProcess(app) => app.token(),
            Self::Deployed(deployment) => deployment.token.clone(),
        }
    }

    /// One of [`FURTHER_TOKENS`]; `None` when the deployed endpoint has none.
    pub(super) async fn token_named(&self, name: &str) -> Option<String> {
        match self {
            Self::InProcess(app) => Some(match name {
                "reader_token" => reader_token(app).await,
                "domain_token" => domain_token(app).await,
                "schemas_token" => schemas_token(app).await,
                _ => app.other_token(),
            }),
            Self::Deployed(deployment) => {
                let mut tokens = deployment.further_tokens.iter();
                tokens.find(|(found, _)| *found == name).map(|(_, token)| token.clone())
            }
        }
    }

    pub(super) async fn send(&self, request: &Request) -> Result<Answer, String> {
        match self {
            Self::InProcess(app) => {
                let body = request.body.as_deref().unwrap_or_default().as_bytes();
                Ok(app.send(&request.method, &request.target, &request.headers, body).await)
            }
            Self::Deployed(deployment) => curl(&deployment.base_url, request),
        }
    }
}

async fn reader_token(app: &App) -> String {
    let scopes = Scopes::of(&[Scope::parse("users:read").expect("it is a scope")]);
    let (moment, tenant) = (app.moment(), app.tenant());
    let what = ("reader", Life::days(7));
    let issued = tokens::issue_limited(app.store(), &moment, &tenant, what, scopes).await;
    issued.expect("a token is issued").secret.reveal().to_owned()
}

async fn domain_token(app: &App) -> String {
    let tenant = TenantId::parse("one-domain").expect("it is an id");
    let domains = vec![Domain::parse("example.com").expect("it is a domain")];
    let settings = Settings { domains, ..Settings::default() };
    app.create_tenant(&tenant, &settings).await.reveal().to_owned()
}

/// A deployment with schemas of its own, which nobody has who has not switched them on.
fn catalog() -> Catalog {
    let files = [
        ("user.json", include_str!("../../suites/schemas/user.json")),
        ("user-type.json", include_str!("../../suites/schemas/user-type.json")),
        ("device.json", include_str!("../../suites/schemas/device.json")),
        ("device-type.json", include_str!("../../suites/schemas/device-type.json")),
    ];
    Catalog::embedded_with(&files).expect("the schemas are read")
}

async fn schemas_token(app: &App) -> String {
    let tenant = TenantId::parse("own-schemas").expect("it is an id");
    let custom = app.store().catalog().custom();
    let extensions = custom.extensions.iter().map(|extension| &extension.schema);
    let all = custom.types.iter().map(|other| &other.schema).chain(extensions);
    let schemas = all.map(|schema| schema.urn.clone()).collect();
    let settings = Settings { schemas, ..Settings::default() };
    app.create_tenant(&tenant, &settings).await.reveal().to_owned()
}

/// The first header of that name.
pub(super) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name))?;
    Some(value)
}

/// Everything goes in on standard input, so that no token shows in the list of processes.
fn curl(base_url: &str, request: &Request) -> Result<Answer, String> {
    let failed = |problem: String| format!("    curl: {problem}");
    let mut child = Command::new("curl")
        .args(["--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        let config = curl_config(base_url, request);
        input.write_all(config.as_bytes()).map_err(|error| failed(error.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    parse_answer(&output.stdout).ok_or_else(|| failed("an answer that is not HTTP".to_owned()))
}

fn curl_config(base_url: &str, request: &Request) -> String {
    let mut lines = vec![
        // No other characters, no retries, nothing that the file does not say.
        "silent\nshow-error\ninclude\npath-as-is\ngloboff\nmax-time = 60".to_owned(),
        option("request", &request.method),
        option("url", &format!("{base_url}{}", request.target)),
    ];
    for added_by_curl in ["User-Agent", "Accept", "Content-Type", "Expect"] {
        if header(&request.headers, added_by_curl).is_none() {
            lines.push(option("header", &format!("{added_by_curl}:")));
        }
    }
    for (name, value) in &request.headers {
        lines.push(option("header", &format!("{name}: {value}")));
    }
    if let Some(body) = &request.body {
        lines.push(option("data-raw", body));
    }
    lines.join("\n")
}

fn option(name: &str, value: &str) -> String {
    let mut quoted = String::new();
    for letter in value.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ => quoted.push(letter),
        }
    }
    format!("{name} = \"{quoted}\"")
}

/// Status, headers and body as `--include` prints them; an interim 1xx answer is passed over.
fn parse_answer(output: &[u8]) -> Option<Answer> {
    let end = output.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let (head, body) = output.split_at_checked(end)?;
    let body = body.get(4..)?;
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse::<u16>().ok()?;
    if status < 200 {
        return parse_answer(body);
    }
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Some(Answer { status, headers, body: body.to_vec() })
}

#[test]
fn an_answer_is_read_as_curl_prints_it() {
    let output = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2 409 \r\netag: W/\"1\"\r\nx: a:b\r\n\r\n{}";
    let answer = parse_answer(output).expect("it is HTTP");
    assert_eq!((answer.status, answer.body.as_slice()), (409, b"{}".as_slice()));
    assert_eq!(header(&answer.headers, "ETag"), Some("W/\"1\""));
    assert_eq!(header(&answer.headers, "x"), Some("a:b"));
}

#[test]
fn what_curl_reads_is_quoted() {
    assert_eq!(option("url", "a\"b\\c\nd"), "url = \"a\\\"b\\\\c\\nd\"");
}
