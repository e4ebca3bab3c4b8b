//! From a reply or an error to the HTTP answer. Every body that leaves is `application/scim+json`, without parameters.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use crate::ops::{Failure, Reply};
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::{etag, well_known};
use crate::store::scopes::Scope;

/// Says that a tenant is there to be rehearsed in.
pub(super) const REHEARSAL: HeaderName = HeaderName::from_static("scim-rehearsal");

/// The media type of SCIM (RFC 7644 §3.1).
const SCIM_JSON: &str = "application/scim+json";

/// Where a resource is, in its `meta`.
const LOCATION: &str = "location";

/// What a 401 asks for (RFC 6750 §3). `error` makes clients with a refresh token use it.
const CHALLENGE: &str = "Bearer realm=\"scim\", error=\"invalid_token\"";

/// The answer of a reply.
pub(super) fn of_reply(reply: Reply) -> Response<Bytes> {
    match reply {
        Reply::Created { body, location, version } => {
            let response = with_etag(body_of(201, &body), Some(version));
            with_content_location(with_location(response, &location), &location)
        }
        Reply::Resource { body, location, version } => {
            let response = with_etag(body_of(200, &body), Some(version));
            with_content_location(response, &location)
        }
        Reply::Document { body } => {
            let location = body.get(well_known::META).and_then(|meta| meta.get(LOCATION));
            match location.and_then(Value::as_str) {
                Some(location) => with_content_location(body_of(200, &body), location),
                None => body_of(200, &body),
            }
        }
        Reply::NoContent { version } => with_etag(empty(204), version),
        // RFC 9110 §15.4.5: with what a 200 would have had.
        Reply::NotModified { location, version } => {
            with_content_location(with_etag(empty(304), Some(version)), &location)
        }
    }
}

/// The answer of a failure.
pub(super) fn of_failure(failure: &Failure) -> Response<Bytes> {
    let error = &failure.error;
    let mut response = body_of(error.kind().status(), &error.to_value());
    if error.kind() == ErrorKind::Unauthorized {
        response = set(response, header::WWW_AUTHENTICATE, CHALLENGE);
    }
    if let Some(seconds) = failure.retry_after {
        response = set(response, header::RETRY_AFTER, &seconds.to_string());
    }
    response
}

/// An error outside any request's life: what the Lambda answers to an event that is no request, or at its deadline.
pub fn plain_error(kind: ErrorKind, detail: &str) -> Response<Bytes> {
    let retry_after = match kind {
        ErrorKind::Unavailable | ErrorKind::TooManyRequests => {
            Some(crate::limits::RETRY_AFTER_SECONDS)
        }
        ErrorKind::InvalidFilter
        | ErrorKind::TooMany
        | ErrorKind::Uniqueness
        | ErrorKind::Conflict
        | ErrorKind::Mutability
        | ErrorKind::InvalidSyntax
        | ErrorKind::InvalidPath
        | ErrorKind::NoTarget
        | ErrorKind::InvalidValue
        | ErrorKind::InvalidCursor
        | ErrorKind::ExpiredCursor
        | ErrorKind::InvalidCount
        | ErrorKind::InvalidVersion
        | ErrorKind::Unauthorized
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::PreconditionFailed
        | ErrorKind::PayloadTooLarge
        | ErrorKind::UnsupportedMediaType
        | ErrorKind::Internal
        | ErrorKind::NotImplemented => None,
    };
    of_failure(&Failure { error: ScimError::new(kind, detail), cause: None, retry_after })
}

/// Sets a header; text that cannot be one is left out.
pub(super) fn set(mut response: Response<Bytes>, name: HeaderName, value: &str) -> Response<Bytes> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The challenge of a 401 to a request without a token.
pub(super) fn with_plain_challenge(response: Response<Bytes>) -> Response<Bytes> {
    if response.headers().contains_key(header::WWW_AUTHENTICATE) {
        return set(response, header::WWW_AUTHENTICATE, "Bearer realm=\"scim\"");
    }
    response
}

/// The challenge of a 403 to a token that lacks a scope.
pub(super) fn insufficient_scope(missing: &Scope) -> String {
    format!("Bearer realm=\"scim\", error=\"insufficient_scope\", scope=\"{missing}\"")
}

fn with_location(response: Response<Bytes>, location: &str) -> Response<Bytes> {
    set(response, header::LOCATION, location)
}

/// RFC 7643 §3.1: `meta.location` is the same as this header, on every answer that shows one resource.
fn with_content_location(response: Response<Bytes>, location: &str) -> Response<Bytes> {
    set(response, header::CONTENT_LOCATION, location)
}

fn with_etag(response: Response<Bytes>, version: Option<u64>) -> Response<Bytes> {
    match version {
        Some(version) => set(response, header::ETAG, &etag::format(version)),
        None => response,
    }
}

fn body_of(status: u16, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status_of(status);
    set(response, header::CONTENT_TYPE, SCIM_JSON)
}

fn empty(status: u16) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status_of(status);
    response
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
