//! A request as both edges hand it in, and how its query and body are read.

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::limits::{BODY_BYTES_MAX, QUERY_BYTES_MAX};
use crate::ops::Preconditions;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::search::SearchRequest;

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, percent-decoded exactly once.
    pub path: String,
    /// The query as it was sent, without the question mark.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// `scheme://host[/stage]` as the client used it, where known.
    pub origin: Option<String>,
}

impl Request {
    /// A header's text, when it is text.
    pub fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The preconditions in the headers.
    pub fn preconditions(&self) -> Preconditions {
        let text = |name| self.header(name).map(ToOwned::to_owned);
        Preconditions {
            if_match: text(header::IF_MATCH),
            if_none_match: text(header::IF_NONE_MATCH),
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 415 for a media type that is not JSON, 413 when it is too large, 400 `invalidSyntax` when it cannot be read.
    pub fn json(&self) -> Result<Value, ScimError> {
        if let Some(media_type) = self.header(header::CONTENT_TYPE)
            && !is_json(media_type)
        {
            let detail = "Content-Type must be application/scim+json (or application/json)";
            return Err(ScimError::new(ErrorKind::UnsupportedMediaType, detail));
        }
        if self.body.len() > BODY_BYTES_MAX {
            let detail = format!(
                "the body is larger than the {BODY_BYTES_MAX} bytes that one request may have; split it"
            );
            return Err(ScimError::new(ErrorKind::PayloadTooLarge, detail));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let why = match error.classify() {
                serde_json::error::Category::Eof if self.body.is_empty() => "it is empty",
                serde_json::error::Category::Eof => "it ends too early",
                serde_json::error::Category::Io
                | serde_json::error::Category::Syntax
                | serde_json::error::Category::Data => {
                    "it is malformed, not UTF-8, or nested too deeply"
                }
            };
            let detail = format!("the body is not JSON: {why}, at line {line}, column {column}");
            ScimError::new(ErrorKind::InvalidSyntax, detail)
        })
    }
}

/// Decodes a path as it was sent, exactly once. A path that hides a slash or a backslash, or that is no text once decoded,
/// stays as it is: it names nothing.
pub fn decode_path(path: &str) -> String {
    let lower = path.to_ascii_lowercase();
    if lower.contains("%2f") || lower.contains("%5c") {
        return path.to_owned();
    }
    percent_decode_str(path).decode_utf8().map_or_else(|_| path.to_owned(), Into::into)
}

/// What the raw query of a list asks for (RFC 7644 §3.4.2).
///
/// # Errors
/// 400 when it is too long, not UTF-8 once decoded, or has two filters.
pub fn asked(query: &str) -> Result<SearchRequest, ScimError> {
    Query::parse(query)?.search()
}

/// The media type, whatever its parameters (RFC 7644 §3.1). Old clients say `text/json`.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    ["application/scim+json", "application/json", "text/json"].contains(&essence.as_str())
}

/// The parameters of a query, decoded once, as a form: `+` is a space and `%2B` a plus sign.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a raw query. Parameters that nobody asks for are ignored, Entra's flag among them.
    ///
    /// # Errors
    /// 400 when it is too long or not UTF-8 once decoded.
    pub(super) fn parse(raw: &str) -> Result<Self, ScimError> {
        if raw.len() > QUERY_BYTES_MAX {
            let detail = format!("the query may have {QUERY_BYTES_MAX} bytes; shorten the filter");
            return Err(ScimError::new(ErrorKind::InvalidFilter, detail));
        }
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Self(pairs.collect::<Result<_, ScimError>>()?))
    }

    /// The first value of a parameter, in any letter case; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|value| !value.trim().is_empty())
    }

    /// The first value of a parameter, which may be empty.
    fn first(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl Query {
    /// What is asked of a list.
    ///
    /// # Errors
    /// 400 `invalidFilter` when the filter is given twice: it is never ignored.
    pub(super) fn search(&self) -> Result<SearchRequest, ScimError> {
        let text = |name| self.get(name).map(ToOwned::to_owned);
        Ok(SearchRequest {
            filter: self.filter()?,
            sort_by: text("sortBy"),
            sort_order: text("sortOrder"),
            start_index: text("startIndex"),
            count: text("count"),
            cursor: self.first("cursor").map(ToOwned::to_owned),
            ..self.shown()
        })
    }

    /// Which attributes the answer has, and nothing else.
    pub(super) fn shown(&self) -> SearchRequest {
        let text = |name| self.get(name).map(ToOwned::to_owned);
        let (attributes, excluded) = (text("attributes"), text("excludedAttributes"));
        SearchRequest { attributes, excluded, ..SearchRequest::default() }
    }

    fn filter(&self) -> Result<Option<String>, ScimError> {
        let mut filters = self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case("filter"));
        let filter = filters.next().map(|(_, filter)| filter.clone());
        if filters.next().is_some() {
            let detail = "filter: it is given twice; join the two with and";
            return Err(ScimError::new(ErrorKind::InvalidFilter, detail));
        }
        Ok(filter)
    }
}

fn decode(text: &str) -> Result<String, ScimError> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| {
        ScimError::new(ErrorKind::InvalidValue, "the query is not UTF-8 once it is percent-decoded")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::search::Window;

    #[test]
    fn a_query_is_decoded_once_as_a_form() {
        let query = "aadOptscim062020&filter=userName+eq+%22a%2Bb%40c%22&COUNT=5&attributes=";
        let query = Query::parse(query).unwrap();
        assert_eq!(query.get("filter"), Some("userName eq \"a+b@c\""));
        assert_eq!(query.get("count"), Some("5"));
        assert_eq!(query.get("attributes"), None);
        assert_eq!(Query::parse("filter=%2522").unwrap().get("filter"), Some("%22"));
        assert!(Query::parse("filter=%ff").is_err());
        let search = |query: &str| Query::parse(query)?.search()?.read();
        assert!(search("filter=id+pr").is_ok_and(|search| search.filter.is_some()));
        let first = Window::Cursor { after: None, count: 3 };
        for by_cursor in ["cursor&count=3", "count=3&Cursor=", "cursor=+&count=3"] {
            assert_eq!(search(by_cursor).unwrap().window, first, "{by_cursor}");
        }
        assert!(matches!(search("count=3").unwrap().window, Window::Index(_)));
        for refused in ["filter=", "filter=+", "filter=id+pr&FILTER=id+pr"] {
            assert!(search(refused).is_err(), "{refused}");
        }
    }
}
