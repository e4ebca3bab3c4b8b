//! What the Lambda binary is given and what it gives back: an event in, our [`Request`]; a response in, the JSON
//! that API Gateway turns into HTTP.
//!
//! Pure: no clock, no environment, no IO, no panic. The members are read one by one instead of through `lambda_http`'s
//! event types, because those refuse a whole event over one header name, method or header value that HTTP does not allow, and because their
//! conversion to `http::Request` panics on a raw quote, space or bracket in the query string.
//!
//! Which path is still encoded depends on the entry, and AWS documents it nowhere in one place. An HTTP API hands over
//! a **decoded** path (`rawPath` of payload 2.0, `path` of 1.0 alike); a REST API and a Function URL hand it over as
//! the client sent it. Captures: <https://github.com/honojs/hono/issues/2156>,
//! <https://github.com/fastify/aws-lambda-fastify/issues/169>, <https://github.com/middleapi/standard-server/pull/93>.
//! The query is raw in payload 2.0; payload 1.0 has only maps whose values are decoded, `+` as a space included
//! (<https://github.com/aws/aws-cdk/issues/19827>), so they are encoded again here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, COOKIE, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::http::{Request, decode_path};

/// Largest body of an answer in bytes, as it stands in the JSON that Lambda takes: its limit of 6 MB, less a margin for
/// the headers. Above it Lambda itself fails the invocation and API Gateway invents a 502.
pub const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024 - 64 * 1024;

/// RFC 3986 §2.3: all but the unreserved characters are encoded, so that `+`, `&`, `=`, `"` and `%` come out as they
/// went in.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What arrived.
#[derive(Debug)]
pub enum Event {
    /// An HTTP request, from an HTTP API, a REST API or a Function URL.
    Request(Box<Request>),
    /// The schedule's event: finish what multi-step jobs have left.
    Sweep,
    /// Something else, or a request that cannot be understood. The text says what, and names no value.
    Unusable(&'static str),
}

/// Reads the text of an event.
pub fn read(text: &str) -> Event {
    match serde_json::from_str(text) {
        Ok(Value::Object(event)) => read_object(event),
        Ok(_) | Err(_) => Event::Unusable("The event is not a JSON object."),
    }
}

/// Whether the gateway's own authorizer has found a principal of the account behind a request of an HTTP API. The context
/// is the gateway's; nothing that a client sends gets into it.
pub fn is_iam(text: &str) -> bool {
    let event = serde_json::from_str::<Value>(text).unwrap_or_default();
    let iam = event.pointer("/requestContext/authorizer/iam");
    let arn = iam.and_then(|iam| iam.get("userArn")).and_then(Value::as_str);
    arn.is_some_and(|arn| arn.starts_with("arn:"))
}

fn read_object(mut event: Map<String, Value>) -> Event {
    let Some(Value::Object(context)) = event.remove("requestContext") else {
        return if is_schedule(&event) {
            Event::Sweep
        } else {
            Event::Unusable("The event is neither an HTTP request nor the schedule's.")
        };
    };
    let entry = if context.get("http").is_some_and(Value::is_object) {
        Entry::V2
    } else if context.contains_key("elb") || !event.contains_key("httpMethod") {
        // A load balancer's event looks like a REST API's, but its query is encoded: better refused than misread.
        return Event::Unusable(
            "The event comes from neither an API Gateway HTTP or REST API nor a Function URL.",
        );
    } else if text(&event, "version") == Some("1.0") {
        Entry::V1Http
    } else {
        Entry::V1Rest
    };
    match request(entry, event, &context) {
        Ok(request) => Event::Request(Box::new(request)),
        Err(problem) => Event::Unusable(problem),
    }
}

/// The event of the template's schedule, or EventBridge's own when no input is configured.
fn is_schedule(event: &Map<String, Value>) -> bool {
    text(event, "job") == Some("sweep")
        || (text(event, "source") == Some("aws.events")
            && text(event, "detail-type") == Some("Scheduled Event"))
}

/// Where a request came in: what differs is which members hold the request and what is decoded already.
#[derive(Clone, Copy)]
enum Entry {
    /// Payload 2.0: HTTP API and Function URL.
    V2,
    /// Payload 1.0 from an HTTP API.
    V1Http,
    /// A REST API; it has no `version`.
    V1Rest,
}

fn request(
    entry: Entry,
    mut event: Map<String, Value>,
    context: &Map<String, Value>,
) -> Result<Request, &'static str> {
    let (method, path) = match entry {
        Entry::V2 => {
            let http = context.get("http").and_then(Value::as_object);
            let path = text(&event, "rawPath").or_else(|| http.and_then(|http| text(http, "path")));
            (http.and_then(|http| text(http, "method")), path)
        }
        Entry::V1Http | Entry::V1Rest => (text(&event, "httpMethod"), text(&event, "path")),
    };
    let method = method
        .and_then(|method| Method::from_bytes(method.as_bytes()).ok())
        .ok_or("The request has no method, or one that HTTP does not allow.")?;
    let mut headers = headers(&event);
    if matches!(entry, Entry::V1Rest) {
        // It returns base64 as text, unless its owner has named media types that are binary.
        headers.remove(ACCEPT_ENCODING);
    }
    let place = Place::find(entry, context, &headers, path.unwrap_or("/"));
    Ok(Request {
        method,
        query: query(&event),
        body: body(&mut event)?,
        path: place.path,
        origin: place.origin,
        headers,
    })
}

/// The path within the API, decoded exactly once, and the address under which the client reached the API.
struct Place {
    path: String,
    origin: Option<String>,
}

impl Place {
    fn find(entry: Entry, context: &Map<String, Value>, headers: &HeaderMap, path: &str) -> Self {
        let domain = text(context, "domainName").filter(|name| !name.is_empty());
        let host = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .filter(|host| is_authority(host))
            .or(domain.filter(|name| is_authority(name)));
        let stage = stage(context, domain.or(host));
        let (prefix, path) = match (entry, stage) {
            (_, None) => (String::new(), path),
            // A REST API leaves the stage out of `path`; the client's URL has it.
            (Entry::V1Rest, Some(stage)) => (format!("/{stage}"), path),
            (Entry::V2 | Entry::V1Http, Some(stage)) => match without_stage(path, stage) {
                Some(rest) => (format!("/{stage}"), rest),
                None => (String::new(), path),
            },
        };
        let is_encoded = match entry {
            Entry::V2 => domain.or(host).is_some_and(|name| name.contains(".lambda-url.")),
            Entry::V1Http => false,
            Entry::V1Rest => true,
        };
        let path = if is_encoded { decode_path(path) } else { path.to_owned() };
        let origin = host.map(|host| format!("{}://{host}{prefix}", scheme(headers)));
        Self { path, origin }
    }
}

/// The stage, where the client's URL shows it: under the gateway's own domain name. A custom domain maps it away.
fn stage<'a>(context: &'a Map<String, Value>, domain: Option<&str>) -> Option<&'a str> {
    let is_gateways_own = domain.is_none_or(|name| name.contains(".execute-api."));
    text(context, "stage")
        .filter(|stage| is_gateways_own && !stage.is_empty() && *stage != "$default")
}

fn without_stage<'a>(path: &'a str, stage: &str) -> Option<&'a str> {
    let rest = path.strip_prefix('/')?.strip_prefix(stage)?;
    if rest.is_empty() { Some("/") } else { rest.starts_with('/').then_some(rest) }
}

fn is_authority(host: &str) -> bool {
    !host.contains('@') && host.parse::<Authority>().is_ok()
}

/// `http` only where the front says so itself, as `sam local` does.
fn scheme(headers: &HeaderMap) -> &'static str {
    let forwarded = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    if forwarded == Some("http") { "http" } else { "https" }
}

/// All headers that HTTP allows; another one is left out, as the request can be answered without it.
fn headers(event: &Map<String, Value>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // Payload 1.0 says everything twice; the lists are complete, the plain map has only the last value of each.
    add_headers(&mut headers, event.get("multiValueHeaders"));
    add_headers(&mut headers, event.get("headers"));
    // Payload 2.0 takes the cookies out of the headers.
    if let Some(Value::Array(cookies)) = event.get("cookies") {
        let cookies: Vec<&str> = cookies.iter().filter_map(Value::as_str).collect();
        if let Ok(value) = HeaderValue::from_bytes(cookies.join("; ").as_bytes())
            && !value.is_empty()
        {
            headers.insert(COOKIE, value);
        }
    }
    headers
}

fn add_headers(headers: &mut HeaderMap, source: Option<&Value>) {
    let known = headers.clone();
    for (name, values) in source.and_then(Value::as_object).into_iter().flatten() {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        if known.contains_key(&name) {
            continue;
        }
        for value in texts(values) {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.append(name.clone(), value);
            }
        }
    }
}

fn query(event: &Map<String, Value>) -> String {
    if let Some(raw) = text(event, "rawQueryString") {
        return raw.to_owned();
    }
    let parameters = ["multiValueQueryStringParameters", "queryStringParameters"]
        .into_iter()
        .find_map(|name| event.get(name).and_then(Value::as_object));
    let pairs = parameters.into_iter().flatten().flat_map(|(name, values)| {
        texts(values).map(move |value| {
            let name = utf8_percent_encode(name, RESERVED);
            format!("{name}={}", utf8_percent_encode(value, RESERVED))
        })
    });
    pairs.collect::<Vec<String>>().join("&")
}

fn body(event: &mut Map<String, Value>) -> Result<Bytes, &'static str> {
    let Some(Value::String(body)) = event.remove("body") else { return Ok(Bytes::new()) };
    if event.get("isBase64Encoded") != Some(&Value::Bool(true)) {
        return Ok(Bytes::from(body));
    }
    STANDARD
        .decode(body)
        .map(Bytes::from)
        .map_err(|_| "The body of the event is said to be base64, but is not.")
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// The strings of a value that is one string or a list of them.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Value::Array(items) => (None, items.as_slice()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            (Some(value), [].as_slice())
        }
    };
    one.into_iter().chain(many).filter_map(Value::as_str)
}

/// Whether Lambda can return an answer.
pub fn takes(response: &Response<Bytes>) -> bool {
    let bytes = match std::str::from_utf8(response.body()) {
        Ok(body) => escaped_bytes(body),
        Err(_) => base64::encoded_len(response.body().len(), true).unwrap_or(usize::MAX),
    };
    bytes <= ANSWER_BYTES_MAX
}

/// The answer to a request. That it is none that is too large is for [`takes`] to say, before.
///
/// HTTP APIs (payload 1.0 and 2.0), REST APIs and Function URLs all take this one form. Several values of a header are
/// joined with a comma, which is the same header (RFC 9110 §5.3); of `Set-Cookie`, the exception, no answer has two.
pub fn answer(response: &Response<Bytes>) -> Value {
    let mut headers = Map::new();
    for name in response.headers().keys() {
        // The gateway writes the length itself, of what it sends.
        if name == http::header::CONTENT_LENGTH {
            continue;
        }
        let values = response.headers().get_all(name).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        headers.insert(name.as_str().to_owned(), Value::from(values.join(", ")));
    }
    let (body, is_base64) = match std::str::from_utf8(response.body()) {
        Ok(body) => (body.to_owned(), false),
        Err(_) => (STANDARD.encode(response.body()), true),
    };
    json!({
        "statusCode": response.status().as_u16(),
        "headers": headers,
        "body": body,
        "isBase64Encoded": is_base64,
    })
}

/// The length of a text within JSON: a body that is JSON itself grows by its quotes.
fn escaped_bytes(text: &str) -> usize {
    let byte_length = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    text.bytes().map(byte_length).sum()
}

#[cfg(test)]
mod tests;
