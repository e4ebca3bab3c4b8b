//! The brake on mass changes: what it holds back from the application, and what is to become of it.
//!
//! The form brings the position at which the page was made: what was held after that was not seen by whoever decides, and
//! waits for another decision.

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};
use uuid::Uuid;

use super::{RowView, Visit, When, actors};
use crate::admin::{brake, tokens};
use crate::insight::log::Row;
use crate::insight::words::{self, counted, grouped};
use crate::limits::LOG_ROWS_PER_PAGE;
use crate::portal::answer::{Frame, Stop, see_other};
use crate::portal::form::{self, Form};
use crate::portal::route::Page;
use crate::store::brake::{BrakeState, Decision, HeldChange};
use crate::store::feed::Change;

#[derive(Template)]
#[template(path = "portal/held.html")]
struct HeldPage {
    frame: Frame,
    brake: Option<String>,
    held: u64,
    headline: String,
    since: Option<When>,
    counted: Option<(String, When)>,
    decision: Option<&'static str>,
    until: Uuid,
    rows: Vec<RowView>,
    next: Option<Uuid>,
}

pub(in crate::portal) async fn show(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    let until = visit.moment.mint_uuid();
    let query = form::query(visit.request)?;
    let after = query.said("after").and_then(|at| Uuid::try_parse(at).ok());
    let tenant = visit.session.tenant();
    let shown = brake::show(visit.store(), visit.moment, tenant).await?;
    let wanted = (after, LOG_ROWS_PER_PAGE);
    let (held, more) = brake::held(visit.store(), visit.moment, visit.by(), wanted).await?;
    let names = actors(&tokens::list(visit.store(), visit.moment, tenant).await?);
    let state = shown.state;
    let window = state.window.filter(|_| shown.brake.is_some());
    visit.page(&HeldPage {
        frame: visit.frame(Page::Held),
        brake: shown.brake.as_ref().map(words::brake),
        held: state.held,
        headline: headline(&state),
        since: state.since.map(|time| visit.ago(time)),
        counted: window.map(|time| (grouped(state.counted), When::new(time))),
        decision: state.decision.map(Decision::word),
        until,
        next: held.last().filter(|_| more).map(|change| change.at),
        rows: held.into_iter().map(|change| RowView::of(&row(change), &names)).collect(),
    })
}

/// How it is, in a line.
fn headline(state: &BrakeState) -> String {
    if state.held == 0 {
        return "Nothing is held back: the application is told of every change.".to_owned();
    }
    let changes = counted(state.held, "change is", "changes are");
    format!("{changes} held back from the application until somebody decides.")
}

fn row(held: HeldChange) -> Row {
    Row::of(&Change { at: held.at, attributes: held.attributes })
}

pub(in crate::portal) async fn decide(
    visit: &Visit<'_>,
    form: &Form,
) -> Result<Response<Bytes>, Stop> {
    let decision = form.get("decision").and_then(Decision::parse);
    let until = form.get("until").and_then(|at| Uuid::try_parse(at).ok());
    let (Some(decision), Some(until)) = (decision, until) else {
        let told = "The form does not say what is to become of what is held. Open the page again.";
        return Err(Stop::refused(StatusCode::BAD_REQUEST, "That was not done", told));
    };
    if decision == Decision::Reject && form.get("sure").is_none() {
        let told = "To reject, tick that the directory has been put right. Go back and tick it; nothing was decided.";
        return Err(Stop::refused(StatusCode::BAD_REQUEST, "That was not done", told));
    }
    brake::decide(visit.store(), visit.moment, visit.by(), (decision, until)).await?;
    Ok(see_other(visit.outer, &Page::Held))
}
