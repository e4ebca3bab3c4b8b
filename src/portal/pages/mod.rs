//! The pages: what each reads, and what its template is told. Whatever a directory or a person has sent is a text that
//! the template escapes; control characters and those that turn a line's direction are shown as codes.

pub(super) mod connect;
pub(super) mod health;
pub(super) mod held;
pub(super) mod link;
pub(super) mod log;
pub(super) mod overview;
pub(super) mod provisioning;
pub(super) mod sign_in;
pub(super) mod test;
pub(super) mod tokens;
pub(super) mod why;

use std::collections::HashMap;

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Portal;
use super::answer::{Frame, Outer, Signed, Stop, html};
use super::guard;
use super::route::Page;
use crate::admin::portal::{self, Session};
use crate::admin::tokens::Token;
use crate::http::Request;
use crate::insight::log::{Outcome, Row};
use crate::insight::words::{plain, second, span};
use crate::moment::{Moment, Timestamp};
use crate::store::{Cx, Store};

/// All but the unreserved characters are encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A look at a page by somebody who has a session.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    pub(super) portal: &'a Portal,
    pub(super) request: &'a Request,
    pub(super) moment: &'a Moment,
    pub(super) outer: &'a Outer,
    pub(super) session: &'a Session,
}

impl<'a> Visit<'a> {
    pub(super) fn store(&self) -> &'a Store {
        self.portal.store()
    }

    pub(super) fn cx(&self) -> Cx<'a> {
        self.session.cx(self.moment)
    }

    /// Whose settings, and who acts.
    pub(super) fn by(&self) -> (&'a crate::store::TenantId, &'a str) {
        (self.session.tenant(), self.session.actor())
    }

    pub(super) fn frame(&self, page: Page) -> Frame {
        Frame {
            signed: Some(Signed {
                tenant: self.session.tenant().to_string(),
                csrf: self.session.csrf().to_owned(),
                version: self.session.settings().version,
            }),
            here: page.path(),
            ..Frame::without_session(self.outer)
        }
    }

    pub(super) fn page(&self, page: &impl Template) -> Result<Response<Bytes>, Stop> {
        html(StatusCode::OK, page, self.outer)
    }

    /// A time, and how long ago it was.
    pub(super) fn ago(&self, time: Timestamp) -> When {
        let ago = span(self.moment.now().since(time));
        When { text: format!("{} UTC ({ago} ago)", second(time)), ..When::new(time) }
    }
}

/// A time as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    pub(super) iso: String,
    pub(super) text: String,
}

impl When {
    pub(super) fn new(time: Timestamp) -> Self {
        Self { iso: time.to_string(), text: format!("{} UTC", second(time)) }
    }
}

/// A row of the journal as a page shows it.
#[derive(Clone, Debug)]
pub(super) struct RowView {
    pub(super) time: Option<When>,
    pub(super) outcome: &'static str,
    pub(super) action: &'static str,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) what: String,
    pub(super) actor: String,
    pub(super) request: String,
    pub(super) is_failure: bool,
}

impl RowView {
    pub(super) fn of(row: &Row, actors: &HashMap<String, String>) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(plain).unwrap_or_default();
        let actor = row.actor.as_ref().and_then(|actor| actors.get(actor).cloned());
        Self {
            time: row.time.map(When::new),
            outcome: row.outcome.word(),
            action: row.action.word(),
            name: row.name().map(plain).unwrap_or_default(),
            kind: text(&row.kind),
            what: row.what(),
            actor: actor.unwrap_or_else(|| text(&row.actor)),
            request: text(&row.request),
            is_failure: row.outcome == Outcome::Failure,
        }
    }
}

/// What the tokens of a journal's rows are called.
pub(super) fn actors(tokens: &[Token]) -> HashMap<String, String> {
    let name = |token: &Token| (token.info.id.clone(), called(token));
    tokens.iter().map(name).collect()
}

/// A token by its name and its last characters.
pub(super) fn called(token: &Token) -> String {
    let label = plain(&token.info.label);
    match token.info.tail.as_str() {
        "" => format!("token “{label}”"),
        tail => format!("token “{label}” (…{})", plain(tail)),
    }
}

/// A value in a query.
pub(super) fn encoded(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

#[derive(Template)]
#[template(path = "portal/left.html")]
struct LeftPage {
    frame: Frame,
}

/// The session ends.
pub(super) async fn leave(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    portal::end(visit.store(), visit.moment, visit.session).await?;
    let page = LeftPage { frame: Frame::without_session(visit.outer) };
    let mut response = html(StatusCode::OK, &page, visit.outer)?;
    guard::forget(&mut response, visit.outer);
    Ok(response)
}
