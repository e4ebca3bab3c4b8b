//! Whether the identity provider has called, and what came of it: the page looks again by itself while a live token has
//! not been let in.

use askama::Template;
use bytes::Bytes;
use http::Response;

use super::tokens::turned_away;
use super::{Visit, When, called};
use crate::admin::tokens::{self, State, Token};
use crate::limits::WAITING_PAUSE_SECONDS;
use crate::portal::answer::{Frame, Stop};
use crate::portal::route::Page;
use crate::store::settings::Status;

#[derive(Template)]
#[template(path = "portal/test.html")]
struct TestPage {
    frame: Frame,
    pause: u32,
    looks_again: bool,
    is_on: bool,
    has_token: bool,
    last: Option<Call>,
    probe: Option<When>,
    others: Vec<Call>,
    turned_away: Option<String>,
    refused: Option<When>,
    now: When,
}

/// What is known of the calls with a token.
#[derive(Clone, Debug)]
struct Call {
    token: String,
    let_in: Option<When>,
    refused: Option<When>,
}

pub(in crate::portal) async fn show(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    let all = tokens::list(visit.store(), visit.moment, visit.session.tenant()).await?;
    let times = visit.store().activity(&visit.cx()).await?;
    let time = |name: &str| times.get(name).copied();
    let alive: Vec<&Token> = all.iter().filter(|token| token.state == State::Alive).collect();
    let last = alive.iter().filter(|token| token.last_used.is_some());
    let last = last.max_by_key(|token| token.last_used).map(|token| token.info.id.as_str());
    let is_on = visit.session.settings().status == Status::Enabled;
    // A call while it was off was refused.
    let refused = time("lastRefusal").filter(|_| !is_on || last.is_none());
    let call = |token: &&Token| Call {
        token: called(token),
        let_in: token.calls.let_in.map(|time| visit.ago(time)),
        refused: token.calls.refused.map(|time| visit.ago(time)),
    };
    let is_last = |token: &&&Token| Some(token.info.id.as_str()) == last;
    // In a rotation the old one goes on; it is the new one that is waited for.
    let missing = |token: &&Token| token.calls.refused.is_some() || token.calls.let_in.is_none();
    visit.page(&TestPage {
        frame: visit.frame(Page::Test),
        pause: WAITING_PAUSE_SECONDS,
        looks_again: is_on && alive.iter().any(missing),
        is_on,
        has_token: !alive.is_empty(),
        last: alive.iter().find(is_last).map(call),
        probe: time("lastProbe").map(When::new),
        others: alive.iter().filter(|token| !is_last(token)).map(call).collect(),
        turned_away: turned_away(visit, &all).await?,
        refused: refused.map(|time| visit.ago(time)),
        now: When::new(visit.moment.now()),
    })
}
