//! Whether the identity provider has called: the page looks again by itself while nobody has.

use askama::Template;
use bytes::Bytes;
use http::Response;

use super::tokens::turned_away;
use super::{Visit, When, called};
use crate::admin::tokens::{self, State};
use crate::limits::WAITING_PAUSE_SECONDS;
use crate::portal::answer::{Frame, Stop};
use crate::portal::route::Page;
use crate::store::settings::Status;

#[derive(Template)]
#[template(path = "portal/test.html")]
struct TestPage {
    frame: Frame,
    pause: u32,
    is_on: bool,
    has_token: bool,
    called: Option<Call>,
    turned_away: Option<String>,
    refused: Option<When>,
    now: When,
}

#[derive(Clone, Debug)]
struct Call {
    at: When,
    token: String,
    probe: Option<When>,
}

pub(in crate::portal) async fn show(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    let all = tokens::list(visit.store(), visit.moment, visit.session.tenant()).await?;
    let times = visit.store().activity(&visit.cx()).await?;
    let time = |name: &str| times.get(name).copied();
    let alive = || all.iter().filter(|token| token.state == State::Alive);
    let last = alive().filter_map(|token| Some((token.last_used?, token)));
    let last = last.max_by_key(|(used, _)| *used);
    let is_on = visit.session.settings().status == Status::Enabled;
    // A call while it was off was refused.
    let refused = time("lastRefusal").filter(|_| !is_on || last.is_none());
    let has_token = alive().next().is_some();
    let call = last.map(|(used, token)| Call {
        at: visit.ago(used),
        token: called(token),
        probe: time("lastProbe").map(When::new),
    });
    visit.page(&TestPage {
        frame: visit.frame(Page::Test),
        pause: WAITING_PAUSE_SECONDS,
        is_on,
        has_token,
        called: call.filter(|_| is_on),
        turned_away: turned_away(visit, &all).await?,
        refused: refused.map(|time| visit.ago(time)),
        now: When::new(visit.moment.now()),
    })
}
