//! What a client asks of a list (RFC 7644 §3.4.2, RFC 9865 §2): the same whether it comes as the parameters of a query or as
//! the body of a POST to `/.search` (RFC 7644 §3.4.3).
//!
//! Reads and refuses; what is found is not its business.

use serde_json::{Map, Value};

use super::coerce;
use super::error::{ErrorKind, ScimError, json_type};
use super::filter::Filter;
use super::list::{self, Page};
use super::sort::Sort;
use super::well_known;

/// The parameters as text, as they were sent. Empty ones count as absent, but for the filter, which is never ignored, and
/// the cursor, which is empty for the first page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchRequest {
    /// `attributes`, joined by commas.
    pub attributes: Option<String>,
    /// `excludedAttributes`, joined by commas.
    pub excluded: Option<String>,
    /// `filter`.
    pub filter: Option<String>,
    /// `sortBy`.
    pub sort_by: Option<String>,
    /// `sortOrder`.
    pub sort_order: Option<String>,
    /// `startIndex`.
    pub start_index: Option<String>,
    /// `count`.
    pub count: Option<String>,
    /// `cursor`; empty for the first page.
    pub cursor: Option<String>,
}

/// What is asked of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// What has to hold of each resource.
    pub filter: Option<Filter>,
    /// In which order; in that of creation, unless it is given.
    pub sort: Option<Sort>,
    /// Which part of the list.
    pub window: Window,
}

/// Which part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// By index, which it is unless a cursor is given.
    Index(Page),
    /// By cursor (RFC 9865).
    Cursor {
        /// The cursor of the page before; `None` for the first page.
        after: Option<String>,
        /// The size of the page.
        count: usize,
    },
}

impl Window {
    /// The size of the page.
    pub fn count(&self) -> usize {
        match self {
            Self::Index(page) => page.count(),
            Self::Cursor { count, .. } => *count,
        }
    }
}

impl SearchRequest {
    /// Reads the body of a POST to `/.search`. Members that this server does not know are ignored, as they are in a query.
    ///
    /// # Errors
    /// 400 `invalidSyntax` for what is no SearchRequest, `invalidValue` for a member of another type, `invalidFilter` when
    /// that is the filter.
    pub fn parse(body: &Value) -> Result<Self, ScimError> {
        let Value::Object(members) = body else {
            let detail = format!("the body must be a JSON object, not {}", json_type(body));
            return Err(ScimError::new(ErrorKind::InvalidSyntax, detail));
        };
        check_schemas(members)?;
        Ok(Self {
            attributes: names(members, "attributes")?,
            excluded: names(members, "excludedAttributes")?,
            filter: text(members, "filter", ErrorKind::InvalidFilter)?,
            sort_by: text(members, "sortBy", ErrorKind::InvalidValue)?,
            sort_order: text(members, "sortOrder", ErrorKind::InvalidValue)?,
            start_index: number(members, "startIndex")?,
            count: number(members, "count")?,
            cursor: text(members, "cursor", ErrorKind::InvalidCursor)?,
        })
    }

    /// What it means.
    ///
    /// # Errors
    /// 400 `invalidFilter` for a filter that is none, `invalidValue` for a number or an order that is none (`invalidCount` for the size
    /// of a page with a cursor), and for two ways of paging at once.
    pub fn read(&self) -> Result<Search, ScimError> {
        let sort = Sort::parse(self.sort_by.as_deref(), self.sort_order.as_deref())?;
        Ok(Search { window: self.window()?, filter: self.filter()?, sort })
    }

    fn window(&self) -> Result<Window, ScimError> {
        let Some(cursor) = &self.cursor else {
            let page = Page::parse(self.start_index.as_deref(), self.count.as_deref())?;
            return Ok(Window::Index(page));
        };
        if self.start_index.is_some() {
            let detail =
                "startIndex: a list is paged by index or by cursor; leave one of the two out";
            return Err(ScimError::new(ErrorKind::InvalidValue, detail));
        }
        let after = Some(cursor.trim()).filter(|cursor| !cursor.is_empty());
        let count = list::count(self.count.as_deref())?;
        Ok(Window::Cursor { after: after.map(ToOwned::to_owned), count })
    }

    fn filter(&self) -> Result<Option<Filter>, ScimError> {
        let Some(text) = &self.filter else { return Ok(None) };
        if text.trim().is_empty() {
            let detail = "filter: it is empty; leave it out to list everything";
            return Err(ScimError::new(ErrorKind::InvalidFilter, detail));
        }
        Filter::parse(text).map(Some)
    }
}

/// Whoever says what the body is says SearchRequest: what belongs to another path must not be taken for a search without
/// conditions.
fn check_schemas(members: &Map<String, Value>) -> Result<(), ScimError> {
    let Some(schemas) = coerce::member(members, well_known::SCHEMAS) else { return Ok(()) };
    let urns = coerce::elements(schemas).iter().filter_map(Value::as_str);
    if urns.into_iter().any(|urn| urn.eq_ignore_ascii_case(well_known::SEARCH_REQUEST)) {
        return Ok(());
    }
    let detail = format!("schemas: this path takes a {}", well_known::SEARCH_REQUEST);
    Err(ScimError::new(ErrorKind::InvalidSyntax, detail))
}

/// A member's value; null counts as absent.
fn given<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    coerce::member(members, name).filter(|value| !value.is_null())
}

fn text(
    members: &Map<String, Value>,
    name: &str,
    kind: ErrorKind,
) -> Result<Option<String>, ScimError> {
    match given(members, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(mismatch(kind, name, "a string", other)),
    }
}

fn number(members: &Map<String, Value>, name: &str) -> Result<Option<String>, ScimError> {
    match given(members, name) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(mismatch(ErrorKind::InvalidValue, name, "a whole number", other)),
    }
}

fn names(members: &Map<String, Value>, name: &str) -> Result<Option<String>, ScimError> {
    let Some(value) = given(members, name) else { return Ok(None) };
    let wrong = |other| mismatch(ErrorKind::InvalidValue, name, "an array of strings", other);
    let Value::Array(elements) = value else { return Err(wrong(value)) };
    let names = elements.iter().map(|element| element.as_str().ok_or_else(|| wrong(element)));
    Ok(Some(names.collect::<Result<Vec<_>, _>>()?.join(",")))
}

fn mismatch(kind: ErrorKind, name: &str, wanted: &str, arrived: &Value) -> ScimError {
    ScimError::new(kind, format!("{name}: it must be {wanted}; {} arrived", json_type(arrived)))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_search_is_read_from_its_body() {
        let body = json!({
            "schemas": [well_known::SEARCH_REQUEST],
            "attributes": ["userName", "name.givenName"],
            "excludedAttributes": null,
            "FILTER": "userName sw \"a\"",
            "sortBy": "name.familyName",
            "sortOrder": "descending",
            "startIndex": 3,
            "count": -1,
            "trace": {"any": "thing"},
        });
        let read = SearchRequest::parse(&body).unwrap();
        let expected = SearchRequest {
            attributes: Some("userName,name.givenName".to_owned()),
            excluded: None,
            filter: Some("userName sw \"a\"".to_owned()),
            sort_by: Some("name.familyName".to_owned()),
            sort_order: Some("descending".to_owned()),
            start_index: Some("3".to_owned()),
            count: Some("-1".to_owned()),
            cursor: None,
        };
        assert_eq!(read, expected);
        let page = Page::parse(Some("3"), Some("0")).unwrap();
        assert_eq!(read.read().unwrap().window, Window::Index(page));
        let by_cursor = |body: Value| SearchRequest::parse(&body).unwrap().read().unwrap().window;
        let window = |after: Option<&str>, count| Window::Cursor {
            after: after.map(ToOwned::to_owned),
            count,
        };
        assert_eq!(by_cursor(json!({"cursor": "", "count": 7})), window(None, 7));
        assert_eq!(by_cursor(json!({"cursor": "abc"})), window(Some("abc"), 100));
        assert_eq!(by_cursor(json!({"cursor": null})), Window::Index(Page::default()));
        assert_eq!(SearchRequest::parse(&json!({})), Ok(SearchRequest::default()));
    }

    #[test]
    fn what_is_no_search_is_refused() {
        let mut table = String::new();
        for body in [
            json!([]),
            json!("userName pr"),
            json!(null),
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}),
            json!({"schemas": 7}),
            json!({"filter": true}),
            json!({"filter": " "}),
            json!({"filter": "nonsense"}),
            json!({"count": "10"}),
            json!({"count": 1.5}),
            json!({"startIndex": [1]}),
            json!({"attributes": "userName"}),
            json!({"attributes": ["userName", 7]}),
            json!({"excludedAttributes": {}}),
            json!({"sortBy": ["userName"]}),
            json!({"sortBy": "userName", "sortOrder": "up"}),
            json!({"cursor": 7}),
            json!({"cursor": "", "startIndex": 1}),
            json!({"cursor": "", "count": 1.5}),
        ] {
            let refused = SearchRequest::parse(&body).and_then(|read| read.read()).unwrap_err();
            writeln!(table, "{body}\n  {:?}: {}", refused.kind(), refused.detail()).unwrap();
        }
        expect![[r#"
            []
              InvalidSyntax: the body must be a JSON object, not an array
            "userName pr"
              InvalidSyntax: the body must be a JSON object, not a string
            null
              InvalidSyntax: the body must be a JSON object, not null
            {"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
              InvalidSyntax: schemas: this path takes a urn:ietf:params:scim:api:messages:2.0:SearchRequest
            {"schemas":7}
              InvalidSyntax: schemas: this path takes a urn:ietf:params:scim:api:messages:2.0:SearchRequest
            {"filter":true}
              InvalidFilter: filter: it must be a string; a boolean arrived
            {"filter":" "}
              InvalidFilter: filter: it is empty; leave it out to list everything
            {"filter":"nonsense"}
              InvalidFilter: filter, character 9: expected an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr
            {"count":"10"}
              InvalidValue: count: it must be a whole number; a string arrived
            {"count":1.5}
              InvalidValue: count: this is not a whole number; send one such as count=1, or leave it out
            {"startIndex":[1]}
              InvalidValue: startIndex: it must be a whole number; an array arrived
            {"attributes":"userName"}
              InvalidValue: attributes: it must be an array of strings; a string arrived
            {"attributes":["userName",7]}
              InvalidValue: attributes: it must be an array of strings; a number arrived
            {"excludedAttributes":{}}
              InvalidValue: excludedAttributes: it must be an array of strings; an object arrived
            {"sortBy":["userName"]}
              InvalidValue: sortBy: it must be a string; an array arrived
            {"sortBy":"userName","sortOrder":"up"}
              InvalidValue: sortOrder: it is ascending or descending
            {"cursor":7}
              InvalidCursor: cursor: it must be a string; a number arrived
            {"cursor":"","startIndex":1}
              InvalidValue: startIndex: a list is paged by index or by cursor; leave one of the two out
            {"cursor":"","count":1.5}
              InvalidCount: count: this is not a whole number; send one such as count=1, or leave it out
        "#]].assert_eq(&table);
    }
}
