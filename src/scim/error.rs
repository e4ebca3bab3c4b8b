//! What a client is told when something is wrong (RFC 7644 §3.12).
//!
//! `detail` is written for the person who configures the identity provider: which attribute, what arrived (its type,
//! not its value), what is allowed. Causes are not in here; they go to the log only.

use serde_json::{Value, json};

use super::well_known;

/// The closed list of what can go wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 400: a filter that cannot be parsed, or names what the schema lacks.
    InvalidFilter,
    /// 400: more than this server does for one request.
    TooMany,
    /// 409: another resource has that unique value.
    Uniqueness,
    /// 409: an operation of a bulk request refers to what is not there.
    Conflict,
    /// 400: the attribute cannot be changed.
    Mutability,
    /// 400: the body is not JSON, or not of the form that the operation needs.
    InvalidSyntax,
    /// 400: a PATCH path that cannot be parsed.
    InvalidPath,
    /// 400: a PATCH path that selects nothing where something must be selected.
    NoTarget,
    /// 400: a value of the wrong type, missing, or too long.
    InvalidValue,
    /// 400: a cursor that was not given out for this list (RFC 9865 §2.1).
    InvalidCursor,
    /// 400: a cursor that was given out too long ago (RFC 9865 §2.1).
    ExpiredCursor,
    /// 400: a page size that is none, or not that of the cursor (RFC 9865 §2.1).
    InvalidCount,
    /// 400: the body is of another version of the protocol.
    InvalidVersion,
    /// 401: no token, or not a valid one.
    Unauthorized,
    /// 403: the token is valid but may not do this.
    Forbidden,
    /// 404: nothing is there, for this tenant.
    NotFound,
    /// 405: the path exists, the method does not.
    MethodNotAllowed,
    /// 412: the resource is not at the version that the request names.
    PreconditionFailed,
    /// 413: the body or the resource is too large.
    PayloadTooLarge,
    /// 415: the body is not JSON by its media type.
    UnsupportedMediaType,
    /// 429: the tenant's rate is exceeded.
    TooManyRequests,
    /// 500: our fault.
    Internal,
    /// 501: a part of the protocol that this server does not have.
    NotImplemented,
    /// 503: the store is overloaded; try again.
    Unavailable,
}

impl ErrorKind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidFilter
            | Self::TooMany
            | Self::Mutability
            | Self::InvalidSyntax
            | Self::InvalidPath
            | Self::NoTarget
            | Self::InvalidValue
            | Self::InvalidCursor
            | Self::ExpiredCursor
            | Self::InvalidCount
            | Self::InvalidVersion => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Uniqueness | Self::Conflict => 409,
            Self::PreconditionFailed => 412,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::Unavailable => 503,
        }
    }

    /// The `scimType` keyword of RFC 7644 §3.12, table 9, or RFC 9865 §2.1, where there is one.
    pub fn scim_type(self) -> Option<&'static str> {
        match self {
            Self::InvalidFilter => Some("invalidFilter"),
            Self::TooMany => Some("tooMany"),
            Self::Uniqueness => Some("uniqueness"),
            Self::Mutability => Some("mutability"),
            Self::InvalidSyntax => Some("invalidSyntax"),
            Self::InvalidPath => Some("invalidPath"),
            Self::NoTarget => Some("noTarget"),
            Self::InvalidValue => Some("invalidValue"),
            Self::InvalidCursor => Some("invalidCursor"),
            Self::ExpiredCursor => Some("expiredCursor"),
            Self::InvalidCount => Some("invalidCount"),
            Self::InvalidVersion => Some("invalidVers"),
            Self::Conflict
            | Self::Unauthorized
            | Self::Forbidden
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::PreconditionFailed
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::TooManyRequests
            | Self::Internal
            | Self::NotImplemented
            | Self::Unavailable => None,
        }
    }
}

/// An error as the client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScimError {
    kind: ErrorKind,
    detail: String,
}

impl ScimError {
    /// An error of `kind`; `detail` says what to change.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// The same error, with the operation of a PATCH that it is about, counted from 1.
    #[must_use]
    pub fn of_operation(self, number: usize) -> Self {
        Self { kind: self.kind, detail: format!("operation {number}: {}", self.detail) }
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence for the person who configures the identity provider.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The body of the answer. `status` is a string there (RFC 7644 §3.12).
    pub fn to_value(&self) -> Value {
        let mut body = json!({
            well_known::SCHEMAS: [well_known::ERROR],
            "status": self.kind.status().to_string(),
        });
        if let (Some(object), Some(scim_type)) = (body.as_object_mut(), self.kind.scim_type()) {
            object.insert("scimType".to_owned(), Value::from(scim_type));
        }
        if let Some(object) = body.as_object_mut() {
            object.insert("detail".to_owned(), Value::from(self.detail.as_str()));
        }
        body
    }
}

impl std::fmt::Display for ScimError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.status(), self.detail)
    }
}

impl std::error::Error for ScimError {}

/// What JSON type a value has, for error details: they name the type of what arrived, never the value.
pub fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_body_has_the_status_as_a_string() {
        let error = ScimError::new(ErrorKind::Uniqueness, "userName already in use");
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","scimType":"uniqueness","detail":"userName already in use"}"#]]
        .assert_eq(&error.to_value().to_string());
    }
}
