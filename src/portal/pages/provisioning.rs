//! SCIM switched on and off.

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};

use super::Visit;
use crate::admin::portal;
use crate::portal::answer::{Frame, Stop, see_other};
use crate::portal::form::Form;
use crate::portal::route::Page;
use crate::store::settings::Status;

#[derive(Template)]
#[template(path = "portal/provisioning.html")]
struct ProvisioningPage {
    frame: Frame,
    is_on: bool,
    is_ended: bool,
}

pub(in crate::portal) fn show(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    let status = visit.session.settings().status;
    visit.page(&ProvisioningPage {
        frame: visit.frame(Page::Provisioning),
        is_on: status == Status::Enabled,
        is_ended: matches!(status, Status::Released | Status::Deleting),
    })
}

pub(in crate::portal) async fn switch(
    visit: &Visit<'_>,
    form: &Form,
) -> Result<Response<Bytes>, Stop> {
    let first = visit.portal.options().saml_first;
    match form.get("to") {
        Some("on") => portal::enable(visit.store(), visit.moment, visit.by(), first).await?,
        Some("off") => portal::disable(visit.store(), visit.moment, visit.by()).await?,
        Some(_) | None => {
            let told = "The form says neither on nor off. Open the page again.";
            return Err(Stop::refused(StatusCode::BAD_REQUEST, "That was not done", told));
        }
    }
    Ok(see_other(visit.outer, &Page::Provisioning))
}
