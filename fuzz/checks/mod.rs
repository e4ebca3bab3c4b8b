//! What has to hold for any input, for each parser and for the whole of `http::handle`. The fuzz targets call it with what a
//! fuzzer makes up, `cargo test --test it fuzz` with the requests of `tests/exchanges/`, the corpora and what was found.

#![allow(unused, reason = "each target uses its own")]

mod cursor;
mod plainly;
mod world;

use http::{Response, StatusCode};
use scim_endpoint::auth::{LinkSecret, SessionSecret, TokenSecret};
use scim_endpoint::http::asked;
use scim_endpoint::lambda;
use scim_endpoint::scim::catalog::{Catalog, Kind, ResourceType};
use scim_endpoint::scim::document::Document;
use scim_endpoint::scim::error::ScimError;
use scim_endpoint::scim::filter::Filter;
use scim_endpoint::scim::patch::PatchRequest;
use scim_endpoint::scim::path::AttrPath;
use scim_endpoint::scim::project::Projection;
use scim_endpoint::scim::search::SearchRequest;
use scim_endpoint::scim::validate;
use serde_json::{Map, Value, json};

pub(crate) use cursor::cursor;
pub(crate) use world::{end, handle};

/// What a check needs and no input changes.
struct Fixed {
    catalog: Catalog,
    /// A person's body, and the person as answers show it.
    user: Value,
    shown: Map<String, Value>,
    group: Value,
}

thread_local! {
    static FIXED: Fixed = Fixed::new();
}

impl Fixed {
    fn new() -> Self {
        let catalog = Catalog::embedded().expect("the schemas are read");
        let user = json!({
            "userName": "ida.ek@example.com", "externalId": "e1", "active": true, "displayName": "Ida Ek", "title": "Chief",
            "name": {"givenName": "Ida", "familyName": "Ek", "formatted": "Ida Ek"},
            "emails": [
                {"value": "Ida.Ek@example.com", "type": "work", "primary": true},
                {"value": "ida@home.example", "type": "home"},
            ],
            "phoneNumbers": [{"value": "+46 90 555 01 00", "type": "work"}, {"value": "070-555", "type": "mobile"}],
            "addresses": [{"type": "work", "formatted": "Building 7", "country": "Sweden"}],
            "roles": [{"value": "admin", "primary": false}, {"value": "reader", "primary": true}],
            "photos": [{"value": "https://example.com/Ida.png", "type": "photo"}],
            "profileUrl": "https://example.com/Ida", "preferredLanguage": "sv-SE",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                {"employeeNumber": "771", "department": "Sales", "manager": {"value": "0192e4f0-0000-7000-8000-000000000002"}},
        });
        let group = json!({"displayName": "Crew", "externalId": "g1"});
        let user_type = catalog.resource_type(Kind::User);
        let document = validate::document(user_type, &user).expect("the person is valid");
        let mut shown = document.into_attributes();
        shown.insert("id".to_owned(), json!("0192e4f0-0000-7000-8000-000000000001"));
        shown.insert("schemas".to_owned(), json!(user_type.urns().collect::<Vec<_>>()));
        shown.insert(
            "meta".to_owned(),
            json!({
                "resourceType": "User", "created": "2026-11-21T08:00:00.000Z", "lastModified": "2026-11-21T08:00:01.500Z",
                "location": "https://scim.example.com/scim/v2/Users/1", "version": "W/\"1\"",
            }),
        );
        Self { catalog, user, shown, group }
    }

    fn both(&self) -> [(&ResourceType, &Value); 2] {
        let of = |kind| self.catalog.resource_type(kind);
        [(of(Kind::User), &self.user), (of(Kind::Group), &self.group)]
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// What is refused is the client's fault, and the detail says something.
fn is_told(error: &ScimError) {
    assert!((400..500).contains(&error.kind().status()), "{error}");
    assert!(!error.to_string().is_empty());
}

/// A filter is printed as what parses to the same filter, and means the same to a second evaluator.
pub(crate) fn filter(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let parsed = match Filter::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => return is_told(&error),
    };
    let printed = parsed.to_string();
    assert_eq!(Filter::parse(&printed).as_ref(), Ok(&parsed), "{printed}");
    FIXED.with(|fixed| {
        let user = fixed.catalog.resource_type(Kind::User);
        match parsed.bind(user) {
            Err(error) => is_told(&error),
            Ok(bound) => {
                let holds = bound.matches(&fixed.shown);
                if let Some(plainly) = plainly::holds(&parsed, user, &fixed.shown) {
                    assert_eq!(holds, plainly, "{printed}");
                }
                if let Some(constant) = bound.constant() {
                    assert_eq!(holds, constant, "{printed}");
                }
            }
        }
    });
}

/// A path is printed as what parses to the same path, and what a PATCH does there is valid.
pub(crate) fn path(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Some(parsed) = AttrPath::parse(text) {
        let printed = parsed.to_string();
        assert_eq!(AttrPath::parse(&printed), Some(parsed), "{printed}");
    }
    // What an operation does takes a hundred times as long as reading the path.
    if bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) % 128 != 0 {
        let operation = json!({"op": "remove", "path": text});
        FIXED.with(|fixed| {
            let user = fixed.catalog.resource_type(Kind::User);
            if let Err(error) = PatchRequest::parse(user, &json!({"Operations": [operation]})) {
                is_told(&error);
            }
        });
        return;
    }
    for operation in [
        json!({"op": "replace", "path": text, "value": "x"}),
        json!({"op": "add", "path": text, "value": {"value": "x"}}),
        json!({"op": "remove", "path": text}),
    ] {
        patched(&json!({"Operations": [operation]}));
    }
}

/// What a PATCH leaves is valid, or it is refused.
pub(crate) fn patch(bytes: &[u8]) {
    if let Ok(body) = serde_json::from_slice(bytes) {
        patched(&body);
    }
}

fn patched(body: &Value) {
    FIXED.with(|fixed| {
        for (rt, of) in fixed.both() {
            let before = validate::document(rt, of).expect("it is valid");
            match PatchRequest::parse(rt, body).and_then(|patch| patch.apply(rt, &before)) {
                Ok(after) => is_valid(rt, &after),
                Err(error) => is_told(&error),
            }
        }
    });
}

/// What a body is read as reads as itself, and replaces what was there or is refused.
pub(crate) fn resource(bytes: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    FIXED.with(|fixed| {
        for (rt, of) in fixed.both() {
            match validate::document(rt, &body) {
                Ok(document) => is_valid(rt, &document),
                Err(error) => is_told(&error),
            }
            let before = validate::document(rt, of).expect("it is valid");
            match validate::replacement(rt, &body, &before) {
                Ok(after) => is_valid(rt, &after),
                Err(error) => is_told(&error),
            }
        }
    });
}

/// A document reads as itself, from text, too. Two things are no part of that: whoever has no `active` gets one, and members
/// are stored apart.
fn is_valid(rt: &ResourceType, document: &Document) {
    let attributes = document.attributes().clone();
    let mut expected = attributes.clone();
    if rt.kind == Kind::User {
        expected.entry("active").or_insert(Value::Bool(true));
    }
    expected.retain(|_, value| value != &json!([]));
    let printed = Value::Object(attributes).to_string();
    let parsed = serde_json::from_str(&printed).expect("it is JSON");
    match validate::document(rt, &parsed) {
        Ok(again) => assert_eq!(again.attributes(), &expected, "{printed}"),
        Err(error) => panic!("{error}: {printed}"),
    }
}

/// A query that is written again asks for the same.
pub(crate) fn query(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let request = match asked(text) {
        Ok(request) => request,
        Err(error) => return is_told(&error),
    };
    let written = [
        ("filter", &request.filter),
        ("sortBy", &request.sort_by),
        ("sortOrder", &request.sort_order),
        ("startIndex", &request.start_index),
        ("count", &request.count),
        ("cursor", &request.cursor),
        ("attributes", &request.attributes),
        ("excludedAttributes", &request.excluded),
    ];
    let given = written.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
    let pairs: Vec<String> =
        given.map(|(name, text)| format!("{name}={}", encoded(text.as_bytes()))).collect();
    match asked(&pairs.join("&")) {
        Ok(again) => assert_eq!(of(&again), of(&request), "{text}"),
        // What is spelled with three characters may be too long.
        Err(error) => is_told(&error),
    }
    if let Err(error) = request.read() {
        is_told(&error);
    }
    if let Err(error) =
        Projection::parse(request.attributes.as_deref(), request.excluded.as_deref())
    {
        is_told(&error);
    }
}

/// Percent-encoded, every byte.
fn encoded(bytes: &[u8]) -> String {
    percent_encoding::percent_encode(bytes, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn of(request: &SearchRequest) -> [&Option<String>; 8] {
    let SearchRequest {
        filter,
        sort_by,
        sort_order,
        start_index,
        count,
        cursor,
        attributes,
        excluded,
    } = request;
    [filter, sort_by, sort_order, start_index, count, cursor, attributes, excluded]
}

/// A secret is one text, and opens one sort of thing.
pub(crate) fn token(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let texts = [
        TokenSecret::parse(text).map(|secret| (secret.reveal().to_owned(), secret.digest())),
        LinkSecret::parse(text).map(|secret| (secret.reveal().to_owned(), secret.digest())),
        SessionSecret::parse(text).map(|secret| (secret.reveal().to_owned(), secret.digest())),
    ];
    assert!(texts.iter().flatten().count() <= 1, "{text}");
    for (revealed, digest) in texts.into_iter().flatten() {
        assert_eq!(revealed, text);
        assert!(
            digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{digest}"
        );
    }
}

/// An event is a request, the schedule's, or told to be neither; a body leaves as it was.
pub(crate) fn event(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let lambda::Event::Request(request) = lambda::read(text) {
        assert!(!request.method.as_str().is_empty());
        if let Err(error) = request.json() {
            is_told(&error);
        }
    } else {
        lambda::is_iam(text);
    }
    let response =
        Response::builder().status(StatusCode::OK).header("content-type", "application/scim+json");
    let response = response.body(bytes::Bytes::copy_from_slice(bytes)).expect("it is an answer");
    if lambda::takes(&response) {
        let answer = lambda::answer(&response);
        assert_eq!(answer["statusCode"], json!(200));
        if answer["isBase64Encoded"] != json!(true) {
            assert_eq!(answer["body"].as_str(), Some(text));
        }
    }
}
