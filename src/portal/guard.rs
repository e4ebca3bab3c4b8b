//! Who may see a page, and whose forms are taken.
//!
//! The browser keeps the session in one cookie. A form is taken when it brings the session's own value and comes, as far
//! as the browser says, from a page of ours. Opening a setup link needs no session, so that the browser's word is all
//! there is: where it says nothing, or that another site sent it, nothing is opened.

use bytes::Bytes;
use http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use http::{HeaderName, Response, StatusCode};

use super::Portal;
use super::answer::{Outer, Stop, origin_of, set};
use super::form::Form;
use super::pages::Visit;
use crate::admin::portal::{self, Opened, PATH, Session};
use crate::http::Request;
use crate::limits::SESSION_LIFE_HOURS;
use crate::moment::Moment;

/// The cookie's name: browsers take one of that prefix only over https, for this host, from this host.
const COOKIE_NAME: &str = "__Host-scim-portal";
/// Its name over plain http on one's own machine, where they take no such prefix.
const PLAIN_NAME: &str = "scim-portal";

/// The session of whoever asks.
pub(super) async fn session(
    portal: &Portal,
    request: &Request,
    moment: &Moment,
    outer: &Outer,
) -> Result<Session, Stop> {
    let secret = cookie(request, name(outer));
    let found = match secret {
        Some(secret) => portal::session(portal.store(), moment, secret).await?,
        None => None,
    };
    found.ok_or_else(|| {
        let told = "These are the settings of a workspace, and you have no open session. A session lasts for a working day.";
        Stop::refused(StatusCode::UNAUTHORIZED, "No open session", told)
            .and("If you have just come here from another site, such as a mailbox, use the button: a browser tells us who you are only when you come from our own pages.")
            .and("If your session is over, ask whoever sent you the setup link for a new one.")
    })
}

/// Whether a form is one of ours, sent by whoever has the session.
pub(super) fn own_form(visit: &Visit<'_>, form: &Form) -> Result<(), Stop> {
    let brought = form.get("csrf").unwrap_or_default();
    if says_foreign(visit.request, visit.outer) || !visit.session.is_own_form(brought) {
        return Err(foreign());
    }
    Ok(())
}

/// Whether the page with the Continue button has sent this.
pub(super) fn own_button(request: &Request, outer: &Outer) -> Result<(), Stop> {
    let says = text(request, &HeaderName::from_static("sec-fetch-site")).is_some()
        || text(request, &ORIGIN).is_some_and(|origin| origin != "null");
    if says && !says_foreign(request, outer) { Ok(()) } else { Err(foreign().with_no_way_back()) }
}

/// Whether the browser says that another site has sent this. Our pages send no referrer, so that an honest browser's
/// `Origin` is `null`; then `Sec-Fetch-Site` tells.
fn says_foreign(request: &Request, outer: &Outer) -> bool {
    if let Some(site) = text(request, &HeaderName::from_static("sec-fetch-site")) {
        return site != "same-origin";
    }
    match text(request, &ORIGIN) {
        None | Some("null") => false,
        Some(origin) => {
            let by_host = text(request, &HOST).map(|host| format!("https://{host}"));
            origin != outer.own
                && origin != origin_of(&outer.base)
                && Some(origin) != by_host.as_deref()
        }
    }
}

fn foreign() -> Stop {
    let told = "This form did not come from a page of this session, so nothing was done. Open the page again and send it from there.";
    Stop::refused(StatusCode::FORBIDDEN, "Not from here", told)
}

/// The answer gives the browser its session.
pub(super) fn keep(response: &mut Response<Bytes>, opened: &Opened, outer: &Outer) {
    let seconds = SESSION_LIFE_HOURS * 3_600;
    set(response, SET_COOKIE, &line(opened.secret.reveal(), seconds, outer));
}

/// The answer takes it away.
pub(super) fn forget(response: &mut Response<Bytes>, outer: &Outer) {
    set(response, SET_COOKIE, &line("", 0, outer));
}

fn line(value: &str, seconds: i64, outer: &Outer) -> String {
    let rest = format!("Max-Age={seconds}; HttpOnly; SameSite=Strict");
    if outer.is_plain {
        format!("{PLAIN_NAME}={value}; Path={PATH}; {rest}")
    } else {
        format!("{COOKIE_NAME}={value}; Path=/; Secure; {rest}")
    }
}

fn name(outer: &Outer) -> &'static str {
    if outer.is_plain { PLAIN_NAME } else { COOKIE_NAME }
}

/// The one cookie of that name. Of two, somebody else may have set one.
fn cookie<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let lines = request.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn text<'a>(request: &'a Request, name: &HeaderName) -> Option<&'a str> {
    request.headers.get(name).and_then(|value| value.to_str().ok())
}
