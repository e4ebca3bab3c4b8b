//! Tables: an event, and the request that comes out of it.

use expect_test::{Expect, expect};

use super::*;

macro_rules! event {
    ($name:literal) => {
        include_str!(concat!("../../tests/events/", $name, ".json"))
    };
}

fn show(event: &Event) -> String {
    match event {
        Event::Request(request) => {
            let names: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
            format!(
                "{} {}\nquery: <{}>\norigin: {}\nheaders: <{}>\nbody: <{}>",
                request.method,
                request.path.escape_debug(),
                request.query,
                request.origin.as_deref().unwrap_or("-"),
                names.join(" "),
                String::from_utf8_lossy(&request.body),
            )
        }
        Event::Sweep => "sweep".to_owned(),
        Event::Unusable(problem) => format!("unusable: {problem}"),
    }
}

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&show(&read(text)));
}

/// The minimal HTTP API event with one member replaced, by JSON pointer.
fn changed(pointer: &str, value: Value) -> String {
    let mut event: Value = serde_json::from_str(event!("http-api-get")).unwrap();
    *event.pointer_mut(pointer).unwrap() = value;
    event.to_string()
}

#[test]
fn payload_2_from_an_http_api() {
    check(
        event!("http-api-get"),
        &expect![[r#"
            GET /scim/v2/ServiceProviderConfig
            query: <>
            origin: https://xxx.execute-api.us-east-1.amazonaws.com
            headers: <accept content-length host user-agent x-amzn-trace-id x-forwarded-for x-forwarded-port x-forwarded-proto authorization>
            body: <>"#]],
    );
    check(
        event!("http-api-post-base64"),
        &expect![[r#"
            POST /scim/v2/Users
            query: <>
            origin: https://xxx.execute-api.us-east-1.amazonaws.com
            headers: <accept content-length host user-agent x-amzn-trace-id x-forwarded-for x-forwarded-port x-forwarded-proto authorization content-type>
            body: <{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"zoë@example.com","externalId":"ext-zoë","active":true,"displayName":"Zoë Quux","name":{"givenName":"Zoë","familyName":"Quux"},"emails":[{"type":"work","primary":true,"value":"zoë@example.com"}]}>"#]],
    );
    check(
        event!("http-api-documentation"),
        &expect![[r#"
            GET /scim/v2/Users
            query: <filter=userName+eq+%22ann%40example.com%22&startIndex=1&startIndex=1>
            origin: https://id.execute-api.us-east-1.amazonaws.com
            headers: <header1 header2 authorization cookie>
            body: <>"#]],
    );
    check(
        event!("http-api-generated"),
        &expect![[r#"
            POST /path/to/resource
            query: <parameter1=value1&parameter1=value2&parameter2=value>
            origin: https://id.execute-api.us-east-1.amazonaws.com
            headers: <header1 header2 cookie>
            body: <{"test":"body"}>"#]],
    );
}

#[test]
fn the_stage_leaves_the_path_and_stays_in_the_origin() {
    check(
        event!("http-api-stage"),
        &expect![[r#"
            GET /scim/v2/Users
            query: <filter=userName+eq+%22ann%40example.com%22>
            origin: https://id.execute-api.us-east-1.amazonaws.com/Prod
            headers: <header1 header2 authorization cookie>
            body: <>"#]],
    );
    check(
        event!("rest-api-get"),
        &expect![[r#"
            GET /scim/v2/Users
            query: <count=1>
            origin: https://wt6mne2s9k.execute-api.us-west-2.amazonaws.com/test
            headers: <accept authorization accept-language cloudfront-forwarded-proto cloudfront-is-desktop-viewer cloudfront-is-mobile-viewer cloudfront-is-smarttv-viewer cloudfront-is-tablet-viewer cloudfront-viewer-country host upgrade-insecure-requests user-agent via x-amz-cf-id x-forwarded-for x-forwarded-port x-forwarded-proto>
            body: <>"#]],
    );
    check(
        event!("http-api-sam-local"),
        &expect![[r#"
            GET /scim/v2/Users
            query: <count=1>
            origin: http://127.0.0.1:3000
            headers: <host user-agent accept accept-language accept-encoding connection upgrade-insecure-requests sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user cache-control x-forwarded-proto x-forwarded-port authorization>
            body: <>"#]],
    );
}

#[test]
fn a_custom_domain_hides_the_stage_even_where_the_path_begins_like_it() {
    let mut event: Value = serde_json::from_str(event!("http-api-stage")).unwrap();
    event["requestContext"]["domainName"] = json!("scim.example.com");
    event["requestContext"]["stage"] = json!("scim");
    event["rawPath"] = json!("/scim/v2/Users");
    event["headers"]["Host"] = json!("scim.example.com");
    let Event::Request(request) = read(&event.to_string()) else { panic!("a request") };
    assert_eq!(request.path, "/scim/v2/Users");
    assert_eq!(request.origin.as_deref(), Some("https://scim.example.com"));
}

#[test]
fn the_path_is_decoded_once_where_the_entry_has_not_done_it() {
    check(
        event!("http-api-path"),
        &expect![[r#"
            GET /scim/v2/Users/a user “x”\u{1}
            query: <>
            origin: https://id.execute-api.us-east-1.amazonaws.com
            headers: <header1 header2 authorization cookie>
            body: <>"#]],
    );
    check(
        event!("function-url-get"),
        &expect![[r#"
            GET /scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User
            query: <>
            origin: https://id.lambda-url.eu-west-2.on.aws
            headers: <x-amzn-tls-cipher-suite x-amzn-tls-version x-amzn-trace-id cookie x-forwarded-proto host x-forwarded-port x-forwarded-for accept user-agent authorization>
            body: <>"#]],
    );
    check(
        event!("http-api-1.0"),
        &expect![[r#"
            GET /scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User
            query: <>
            origin: https://id.execute-api.us-east-1.amazonaws.com
            headers: <header1 header2 authorization>
            body: <>"#]],
    );
    // An HTTP API has decoded `%2541` to `%41`: it stays that.
    let Event::Request(request) = read(&changed("/rawPath", json!("/Users/%41"))) else {
        panic!("a request")
    };
    assert_eq!(request.path, "/Users/%41");
    assert_eq!(decode_path("/Users/%2541"), "/Users/%41");
    assert_eq!(decode_path("/Users%2Fx"), "/Users%2Fx", "a hidden separator");
    assert_eq!(decode_path("/Users/%FF"), "/Users/%FF", "not UTF-8");
    assert_eq!(decode_path("/100%"), "/100%");
}

#[test]
fn a_decoded_query_is_encoded_so_that_nothing_in_it_changes() {
    check(
        event!("rest-api-filter"),
        &expect![[r#"
            GET /scim/v2/Users
            query: <filter=userName%20eq%20%22a%2Bb%26c%3Dd%25e%40example.com%22&attributes=userName>
            origin: https://gy415nuibc.execute-api.us-east-1.amazonaws.com/testStage
            headers: <accept authorization cache-control cloudfront-forwarded-proto cloudfront-is-desktop-viewer cloudfront-is-mobile-viewer cloudfront-is-smarttv-viewer cloudfront-is-tablet-viewer cloudfront-viewer-country content-type headername host postman-token user-agent via x-amz-cf-id x-forwarded-for x-forwarded-port x-forwarded-proto>
            body: <>"#]],
    );
}

#[test]
fn a_raw_query_passes_through_whatever_is_in_it() {
    for query in
        ["filter=userName eq \"a\"", "x=[<>{}|\\^`]", "é=ü", "a=\u{1}\u{7f}", "%", "a+b%2B"]
    {
        let Event::Request(request) = read(&changed("/rawQueryString", json!(query))) else {
            panic!("a request")
        };
        assert_eq!(request.query, query);
    }
}

#[test]
fn missing_members_are_no_reason_to_refuse() {
    check(
        event!("rest-api-console"),
        &expect![[r#"
            GET /scim/v2/ServiceProviderConfig
            query: <>
            origin: https://testPrefix.testDomainName
            headers: <>
            body: <>"#]],
    );
    check(
        event!("rest-api-no-host"),
        &expect![[r#"
            GET /scim/v2/ResourceTypes
            query: <>
            origin: -
            headers: <accept authorization accept-language cloudfront-forwarded-proto cloudfront-is-desktop-viewer cloudfront-is-mobile-viewer cloudfront-is-smarttv-viewer cloudfront-is-tablet-viewer cloudfront-viewer-country upgrade-insecure-requests user-agent via x-amz-cf-id x-forwarded-for x-forwarded-port x-forwarded-proto>
            body: <>"#]],
    );
    check(
        &changed("/headers", Value::Null),
        &expect![[r#"
            GET /scim/v2/ServiceProviderConfig
            query: <>
            origin: https://xxx.execute-api.us-east-1.amazonaws.com
            headers: <>
            body: <>"#]],
    );
    check(
        r#"{"requestContext":{"http":{"method":"GET"}}}"#,
        &expect![[r#"
            GET /
            query: <>
            origin: -
            headers: <>
            body: <>"#]],
    );
}

#[test]
fn a_header_that_http_refuses_is_left_out_alone() {
    let headers = json!({ "user-agent": "Zoë’s client", "x-bad": "a\nb", "no name": "x", "n": 1 });
    let Event::Request(request) = read(&changed("/headers", headers)) else { panic!("a request") };
    assert_eq!(request.headers.len(), 1);
    assert_eq!(request.headers["user-agent"].as_bytes(), "Zoë’s client".as_bytes());
}

#[test]
fn a_host_that_is_no_authority_is_not_repeated_in_links() {
    for host in ["evil.example/x?", "user@evil.example", "a b", ""] {
        let Event::Request(request) = read(&changed("/headers/host", json!(host))) else {
            panic!("a request")
        };
        let origin = request.origin.as_deref();
        assert_eq!(origin, Some("https://xxx.execute-api.us-east-1.amazonaws.com"));
    }
}

#[test]
fn what_is_no_request() {
    check(event!("schedule-template"), &expect!["sweep"]);
    check(event!("schedule-generated"), &expect!["sweep"]);
    check(
        event!("unusable-alb"),
        &expect![
            "unusable: The event comes from neither an API Gateway HTTP or REST API nor a Function URL."
        ],
    );
    check(
        event!("unusable-empty"),
        &expect!["unusable: The event is neither an HTTP request nor the schedule's."],
    );
    check(
        event!("unusable-sqs"),
        &expect!["unusable: The event is neither an HTTP request nor the schedule's."],
    );
    check(
        event!("unusable-base64"),
        &expect!["unusable: The body of the event is said to be base64, but is not."],
    );
    check(
        event!("unusable-method"),
        &expect!["unusable: The request has no method, or one that HTTP does not allow."],
    );
    check("[]", &expect!["unusable: The event is not a JSON object."]);
    check("", &expect!["unusable: The event is not a JSON object."]);
    check(r#"{"a":"\ud800"}"#, &expect!["unusable: The event is not a JSON object."]);
    check(&"[".repeat(100_000), &expect!["unusable: The event is not a JSON object."]);
}

fn respond(body: &'static [u8]) -> Response<Bytes> {
    Response::builder()
        .status(200)
        .header("content-type", "application/scim+json")
        .header("content-length", "2")
        .header("allow", "GET")
        .header("allow", "PUT")
        .body(Bytes::from_static(body))
        .unwrap()
}

fn check_answer(body: &'static [u8], expected: &Expect) {
    expected.assert_eq(&answer(&respond(body)).to_string());
}

#[test]
fn answers() {
    check_answer(
        "{\"a\":\"é\"}".as_bytes(),
        &expect![[
            r#"{"statusCode":200,"headers":{"content-type":"application/scim+json","allow":"GET, PUT"},"body":"{\"a\":\"é\"}","isBase64Encoded":false}"#
        ]],
    );
    check_answer(
        b"\xff",
        &expect![[
            r#"{"statusCode":200,"headers":{"content-type":"application/scim+json","allow":"GET, PUT"},"body":"/w==","isBase64Encoded":true}"#
        ]],
    );
}

#[test]
fn lambda_takes_what_is_not_too_large_once_it_is_written() {
    let takes = |body: Vec<u8>| takes(&Response::new(Bytes::from(body)));
    assert!(takes(vec![b'"'; ANSWER_BYTES_MAX / 2]));
    assert!(!takes(vec![b'"'; ANSWER_BYTES_MAX / 2 + 1]), "a quote takes two bytes");
    assert!(takes(vec![b'a'; ANSWER_BYTES_MAX]));
    assert!(!takes(vec![b'a'; ANSWER_BYTES_MAX + 1]));
    assert!(takes(vec![0xff; ANSWER_BYTES_MAX / 4 * 3]));
    assert!(!takes(vec![0xff; ANSWER_BYTES_MAX / 4 * 3 + 1]), "three bytes take four in base64");
}

#[test]
fn only_the_gateway_says_who_has_signed() {
    let with = |context: &str| {
        is_iam(&format!(r#"{{"requestContext":{context},"headers":{{"authorizer":"arn:x"}}}}"#))
    };
    assert!(with(r#"{"authorizer":{"iam":{"userArn":"arn:aws:iam::1:role/backend"}}}"#));
    for context in [
        "{}",
        "null",
        r#"{"authorizer":{}}"#,
        r#"{"authorizer":{"iam":null}}"#,
        r#"{"authorizer":{"iam":{}}}"#,
        r#"{"authorizer":{"iam":{"userArn":null}}}"#,
        r#"{"authorizer":{"lambda":{"iam":{"userArn":"arn:x"}}}}"#,
        r#"{"iam":{"userArn":"arn:x"}}"#,
    ] {
        assert!(!with(context), "{context}");
    }
    assert!(!is_iam("") && !is_iam("[]"));
}
