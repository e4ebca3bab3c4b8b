//! The provisioning log: filtered by a form that is a query, page by page, the newest first.

use askama::Template;
use bytes::Bytes;
use http::Response;
use uuid::Uuid;

use super::{RowView, Visit, actors, encoded};
use crate::admin::tokens;
use crate::insight::log::{Action, Filter, Outcome, Whom, log};
use crate::insight::why::find;
use crate::insight::words::plain;
use crate::limits::LOG_ROWS_PER_PAGE;
use crate::moment::Timestamp;
use crate::portal::answer::{Frame, Stop};
use crate::portal::form::{self, Form};
use crate::portal::route::Page;

#[derive(Template)]
#[template(path = "portal/log.html")]
struct LogPageView {
    frame: Frame,
    who: String,
    action: String,
    outcome: String,
    since: String,
    until: String,
    actions: Vec<&'static str>,
    outcomes: Vec<&'static str>,
    problem: Option<&'static str>,
    rows: Vec<RowView>,
    note: Option<String>,
    next: Option<String>,
    is_filtered: bool,
}

/// The filter's fields, which the address of the next page has again.
const FIELDS: [&str; 5] = ["who", "action", "outcome", "since", "until"];

pub(in crate::portal) async fn show(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    let query = form::query(visit.request)?;
    let tenant = visit.session.tenant();
    let mut filter = Filter {
        person: query.said("who").and_then(Whom::new),
        action: query.said("action").and_then(Action::parse),
        outcome: query.said("outcome").and_then(Outcome::parse),
        since: query.said("since").and_then(time),
        until: query.said("until").and_then(time),
    };
    if let (Some(name), Some(whom)) = (query.said("who"), filter.person.take()) {
        let found = find(visit.store(), &visit.cx(), name).await?;
        filter.person = Some(whom.with_ids(found.iter().map(|person| person.id.to_string())));
    }
    let before = query.said("before").and_then(|at| Uuid::try_parse(at).ok());
    let wanted = (before, LOG_ROWS_PER_PAGE);
    let page = log(visit.store(), visit.moment, tenant, &filter, wanted).await?;
    let names = actors(&tokens::list(visit.store(), visit.moment, tenant).await?);
    let said = |name: &str| query.said(name).map(plain).unwrap_or_default();
    visit.page(&LogPageView {
        frame: visit.frame(Page::Log),
        who: said("who"),
        action: said("action"),
        outcome: said("outcome"),
        since: said("since"),
        until: said("until"),
        actions: Action::ALL.map(Action::word).to_vec(),
        outcomes: Outcome::ALL.map(Outcome::word).to_vec(),
        problem: problem(&query),
        note: page.note(),
        next: page.next.map(|next| address(&query, next)),
        rows: page.rows.iter().map(|row| RowView::of(row, &names)).collect(),
        is_filtered: FIELDS.iter().any(|name| query.said(name).is_some()),
    })
}

/// What in the form cannot be read.
fn problem(query: &Form) -> Option<&'static str> {
    let is_bad = |name: &str| query.said(name).is_some_and(|text| time(text).is_none());
    (is_bad("since") || is_bad("until")).then_some(
        "A time is written like 2026-11-21T08:00, in UTC. What cannot be read was left out of the filter.",
    )
}

/// A time as browsers write it, in UTC.
fn time(text: &str) -> Option<Timestamp> {
    [text.to_owned(), format!("{text}:00Z"), format!("{text}T00:00:00Z")]
        .iter()
        .find_map(|text| Timestamp::parse(text))
}

/// The query of the page after this one.
fn address(query: &Form, next: Uuid) -> String {
    let kept =
        FIELDS.iter().filter_map(|name| Some(format!("{name}={}&", encoded(query.said(name)?))));
    format!("{}before={next}", kept.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_write_them() {
        let told = |text: &str| time(text).map(|time| time.to_string());
        for text in ["2026-11-21T08:00", "2026-11-21T08:00:00", "2026-11-21T08:00:00Z"] {
            assert_eq!(told(text).as_deref(), Some("2026-11-21T08:00:00.000Z"), "{text}");
        }
        assert_eq!(told("2026-11-21").as_deref(), Some("2026-11-21T00:00:00.000Z"));
        assert_eq!(told("yesterday"), None);
    }
}
