//! The people's sign-in: what is known of it, and the form for the directory's federation metadata.

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};

use super::{Visit, When};
use crate::admin;
use crate::insight::words::plain;
use crate::portal::answer::{Frame, Stop, html, see_other};
use crate::portal::form::Form;
use crate::portal::route::Page;
use crate::saml;
use crate::store::portal::{Saml, SamlState};

#[derive(Template)]
#[template(path = "portal/sign_in.html")]
struct SignInPage {
    frame: Frame,
    problems: Vec<String>,
    is_known: bool,
    is_external: bool,
    entity_id: String,
    sso_url: String,
    described: Option<When>,
    seen: Option<When>,
    certificates: Vec<CertificateView>,
}

#[derive(Clone, Debug)]
struct CertificateView {
    subject: String,
    fingerprint: String,
    until: When,
    days: u64,
    is_over: bool,
}

pub(in crate::portal) async fn show(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    let saml = visit.store().saml(&visit.cx()).await?;
    visit.page(&page(visit, &saml, Vec::new()))
}

pub(in crate::portal) async fn describe(
    visit: &Visit<'_>,
    form: &Form,
) -> Result<Response<Bytes>, Stop> {
    let pasted = form.said("metadata").map(str::as_bytes);
    let document = form.file().map(AsRef::as_ref).or(pasted).unwrap_or_default();
    let allowed = &visit.portal.options().saml_hosts;
    match saml::read(document, visit.moment.now(), allowed) {
        Ok(metadata) => {
            admin::saml::describe_in_portal(visit.store(), visit.moment, visit.by(), &metadata)
                .await?;
            Ok(see_other(visit.outer, &Page::SignIn))
        }
        Err(problems) => {
            let saml = visit.store().saml(&visit.cx()).await?;
            let told = problems.iter().map(|problem| sentence(&problem.to_string()));
            let page = page(visit, &saml, told.collect());
            html(StatusCode::UNPROCESSABLE_ENTITY, &page, visit.outer)
        }
    }
}

/// A problem as a sentence of its own.
fn sentence(problem: &str) -> String {
    let shown = plain(problem);
    let mut chars = shown.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str().trim_end_matches('.'))
}

fn page(visit: &Visit<'_>, saml: &Saml, problems: Vec<String>) -> SignInPage {
    let now = visit.moment.now();
    let certificates = saml.certificates.iter().map(|certificate| CertificateView {
        subject: plain(&certificate.subject),
        fingerprint: certificate.fingerprint.clone(),
        until: When::new(certificate.valid_until),
        days: certificate.valid_until.since(now).as_secs() / 86_400,
        is_over: certificate.valid_until <= now,
    });
    SignInPage {
        frame: visit.frame(Page::SignIn),
        problems,
        is_known: saml.entity_id.is_some(),
        is_external: saml.state == SamlState::External,
        entity_id: saml.entity_id.as_deref().map(plain).unwrap_or_default(),
        sso_url: saml.sso_url.as_deref().map(plain).unwrap_or_default(),
        described: saml.described_at.map(When::new),
        seen: saml.seen_at.map(When::new),
        certificates: certificates.collect(),
    }
}
