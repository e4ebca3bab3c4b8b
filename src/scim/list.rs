//! Pages and list answers (RFC 7644 §3.4.2, §3.4.2.4).
//!
//! Reads what a client asks for and writes the envelope. It never reads resources: what stands on a page is the
//! store's business.

use serde_json::{Value, json};

use super::error::{ErrorKind, ScimError};
use super::well_known;
use crate::limits::{PAGE_DEFAULT, PAGE_MAX};

/// Which part of a list is asked for. The first resource has the index 1; a page never holds more than
/// [`PAGE_MAX`] resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    start_index: usize,
    count: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { start_index: 1, count: PAGE_DEFAULT }
    }
}

impl Page {
    /// Reads the query parameters `startIndex` and `count` (RFC 7644 §3.4.2.4). A `startIndex` below 1 is 1, a
    /// negative `count` is 0, a `count` above [`PAGE_MAX`] is [`PAGE_MAX`], an absent or empty one is
    /// [`PAGE_DEFAULT`]. A number too large for this machine is its largest one: how deep a list is read is for the
    /// reader to refuse.
    ///
    /// # Errors
    /// 400 `invalidValue` when a parameter is not a whole number.
    pub fn parse(start_index: Option<&str>, count: Option<&str>) -> Result<Self, ScimError> {
        let absent = Self::default();
        let start_index = whole("startIndex", start_index)?.unwrap_or(absent.start_index).max(1);
        let count = whole("count", count)?.unwrap_or(absent.count).min(PAGE_MAX);
        Ok(Self { start_index, count })
    }

    /// The index of the first resource on the page, from 1; the answer's `startIndex`.
    pub fn start_index(self) -> usize {
        self.start_index
    }

    /// How many resources come before the page.
    pub fn skipped(self) -> usize {
        self.start_index.saturating_sub(1)
    }

    /// How many resources the page holds at most. With 0 the client asks for the total alone.
    pub fn count(self) -> usize {
        self.count
    }
}

/// The answer to a list or a query (RFC 7644 §3.4.2): `total` matches, of which `resources` begin at `start_index`.
/// `Resources` is there when it is empty, too: Entra takes an answer without it for an error.
pub fn response(total: usize, start_index: usize, resources: Vec<Value>) -> Value {
    json!({
        well_known::SCHEMAS: [well_known::LIST_RESPONSE],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": resources.len(),
        "Resources": Value::Array(resources),
    })
}

/// The answer to a query that is paged by cursor (RFC 9865 §2): `next` stands behind the last of `resources`, and there is none
/// behind the last page. It has no `startIndex`.
pub fn cursor_response(total: usize, next: Option<String>, resources: Vec<Value>) -> Value {
    let mut response = json!({
        well_known::SCHEMAS: [well_known::LIST_RESPONSE],
        "totalResults": total,
        "itemsPerPage": resources.len(),
    });
    if let Some(members) = response.as_object_mut() {
        members.extend(next.map(|next| ("nextCursor".to_owned(), Value::from(next))));
        members.insert("Resources".to_owned(), Value::Array(resources));
    }
    response
}

/// The size of a page that a cursor leads to: as [`Page::parse`] has it.
///
/// # Errors
/// 400 `invalidCount` when it is not a whole number (RFC 9865 §2.1).
pub fn count(text: Option<&str>) -> Result<usize, ScimError> {
    let count = whole("count", text);
    let count = count.map_err(|error| ScimError::new(ErrorKind::InvalidCount, error.detail()))?;
    Ok(count.unwrap_or(PAGE_DEFAULT).min(PAGE_MAX))
}

/// A query parameter that is a whole number; below zero is zero, too large is the largest. Empty counts as absent,
/// as it does for every other parameter.
fn whole(parameter: &str, text: Option<&str>) -> Result<Option<usize>, ScimError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let below_zero = text.starts_with('-');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ScimError::new(
            ErrorKind::InvalidValue,
            format!(
                "{parameter}: this is not a whole number; send one such as {parameter}=1, or leave it out"
            ),
        ));
    }
    // Only digits are left, so a failure means that there are too many of them.
    let size = digits.parse().unwrap_or(usize::MAX);
    Ok(Some(if below_zero { 0 } else { size }))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn check(start_index: Option<&str>, count: Option<&str>, expected: &Expect) {
        let found = match Page::parse(start_index, count) {
            Ok(page) => format!("from {} take {}", page.start_index(), page.count()),
            Err(error) => format!("{:?}: {error}", error.kind()),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn pages_follow_the_table_of_the_rfc() {
        check(None, None, &expect!["from 1 take 100"]);
        check(Some("6"), Some("5"), &expect!["from 6 take 5"]);
        check(Some("0"), Some("0"), &expect!["from 1 take 0"]);
        check(Some("-3"), Some("-3"), &expect!["from 1 take 0"]);
        check(Some("-0"), Some("+7"), &expect!["from 1 take 7"]);
        check(Some(""), Some(" "), &expect!["from 1 take 100"]);
        check(Some(" 2 "), Some("007"), &expect!["from 2 take 7"]);
        check(Some("1"), Some("201"), &expect!["from 1 take 200"]);
    }

    #[test]
    fn huge_numbers_do_not_overflow() {
        let huge = "9".repeat(400);
        let page = Page::parse(Some(&huge), Some(&huge)).unwrap();
        assert_eq!((page.start_index(), page.count()), (usize::MAX, PAGE_MAX));
        let below = format!("-{huge}");
        let page = Page::parse(Some(&below), Some(&below)).unwrap();
        assert_eq!((page.start_index(), page.skipped(), page.count()), (1, 0, 0));
    }

    #[test]
    fn what_is_not_a_whole_number_is_refused() {
        check(
            Some("one"),
            None,
            &expect![
                "InvalidValue: 400: startIndex: this is not a whole number; send one such as startIndex=1, or leave it out"
            ],
        );
        check(
            None,
            Some("1.5"),
            &expect![
                "InvalidValue: 400: count: this is not a whole number; send one such as count=1, or leave it out"
            ],
        );
        for text in ["-", "+", "--1", "1e3", "0x10", "١", "1 2", "null", "1,5"] {
            assert!(Page::parse(Some(text), None).is_err(), "{text}");
            assert!(Page::parse(None, Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn the_answer_always_has_its_resources() {
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}"#]].assert_eq(&response(0, 1, Vec::new()).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":12,"startIndex":6,"itemsPerPage":1,"Resources":[{"id":"a"}]}"#]].assert_eq(&response(12, 6, vec![json!({"id": "a"})]).to_string());
    }

    #[test]
    fn the_answer_of_a_cursor_has_no_index() {
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":12,"itemsPerPage":1,"nextCursor":"abc","Resources":[{"id":"a"}]}"#]].assert_eq(&cursor_response(12, Some("abc".to_owned()), vec![json!({"id": "a"})]).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"itemsPerPage":0,"Resources":[]}"#]].assert_eq(&cursor_response(0, None, Vec::new()).to_string());
        assert_eq!(
            (count(None), count(Some("7")), count(Some("999"))),
            (Ok(PAGE_DEFAULT), Ok(7), Ok(PAGE_MAX))
        );
        assert_eq!(count(Some("ten")).unwrap_err().kind(), ErrorKind::InvalidCount);
    }

    proptest! {
        #[test]
        fn every_page_is_bounded(start_index in ".{0,30}", count in "-?[0-9]{1,30}") {
            if let Ok(page) = Page::parse(Some(&start_index), Some(&count)) {
                prop_assert!(page.start_index() >= 1);
                prop_assert!(page.count() <= PAGE_MAX);
            }
        }
    }
}
