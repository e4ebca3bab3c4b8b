//! A setup link. Mail scanners open links: looking at it uses nothing up, the button does.

use askama::Template;
use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::When;
use crate::admin::portal::{self, Found, LinkState, Opening};
use crate::http::Request;
use crate::moment::Moment;
use crate::portal::answer::{Frame, Outer, Stop, html, see_other};
use crate::portal::route::Page;
use crate::portal::{Portal, guard};
use crate::telemetry::RequestLine;

/// Where the link is opened.
#[derive(Debug)]
pub(in crate::portal) struct Place<'a> {
    pub(in crate::portal) portal: &'a Portal,
    pub(in crate::portal) request: &'a Request,
    pub(in crate::portal) moment: &'a Moment,
    pub(in crate::portal) outer: &'a Outer,
}

#[derive(Template)]
#[template(path = "portal/link.html")]
struct LinkPage {
    frame: Frame,
    tenant: String,
    until: When,
}

pub(in crate::portal) async fn answer(
    place: &Place<'_>,
    secret: &str,
    line: &mut RequestLine,
) -> Result<Response<Bytes>, Stop> {
    let Place { portal, request, moment, outer } = place;
    if request.method != Method::POST {
        let found = portal::look(portal.store(), moment, secret).await?.ok_or_else(unknown)?;
        line.tenant = Some(found.tenant.to_string());
        if found.state != LinkState::Open {
            return Err(dead(&found));
        }
        let page = LinkPage {
            frame: Frame::without_session(outer),
            tenant: found.tenant.to_string(),
            until: When::new(found.at),
        };
        return html(StatusCode::OK, &page, outer);
    }
    guard::own_button(request, outer)?;
    match portal::open(portal.store(), moment, secret).await? {
        Opening::Opened(opened) => {
            line.tenant = Some(opened.tenant.to_string());
            let mut response = see_other(outer, &Page::Overview);
            guard::keep(&mut response, &opened, outer);
            Ok(response)
        }
        Opening::Not(found) => Err(dead(&found)),
        Opening::Unknown => Err(unknown()),
    }
}

fn unknown() -> Stop {
    let told = "This setup link is not known here. It may have been cut in two by a mail program: copy the whole of it into the address bar.";
    Stop::refused(StatusCode::NOT_FOUND, "Unknown setup link", told)
        .and("If it stays so, ask whoever sent it for a new one. The team that runs this service makes one with: scimctl portal link TENANT")
        .with_no_way_back()
}

fn dead(found: &Found) -> Stop {
    let at = When::new(found.at).text;
    let (title, told) = match found.state {
        LinkState::Used => (
            "Used already",
            format!(
                "This setup link was opened at {at}. It opens the settings once; if that was not you, tell whoever sent it: they can revoke it, which ends the session, too."
            ),
        ),
        LinkState::Revoked => ("Revoked", format!("This setup link was revoked at {at}.")),
        LinkState::Expired | LinkState::Open => {
            ("Expired", format!("This setup link could be opened until {at}."))
        }
    };
    Stop::refused(StatusCode::GONE, title, told)
        .and(format!(
            "Ask whoever sent it for a new one. The team that runs this service makes one with: scimctl portal link {}",
            found.tenant
        ))
        .with_no_way_back()
}
