//! The way from nothing to "in sync", step by step, and how it is now.

use askama::Template;
use bytes::Bytes;
use http::Response;

use super::{Visit, When};
use crate::admin::portal::SamlFirst;
use crate::insight::health::{Health, Verdict, health};
use crate::insight::words::span;
use crate::portal::answer::{Frame, Stop};
use crate::portal::route::Page;
use crate::store::portal::{Saml, SamlState};
use crate::store::settings::Status;
use crate::store::tenants::TokenUse;

#[derive(Template)]
#[template(path = "portal/overview.html")]
struct OverviewPage {
    frame: Frame,
    headline: String,
    verdict: &'static str,
    is_fine: bool,
    findings: Vec<String>,
    steps: Vec<Step>,
    users: u64,
    last_call: Option<When>,
    until: When,
}

/// One step of the way.
#[derive(Clone, Debug)]
struct Step {
    title: &'static str,
    is_done: bool,
    told: String,
    path: &'static str,
    button: &'static str,
}

pub(in crate::portal) async fn show(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    let read = health(visit.store(), visit.moment, visit.session.tenant()).await?;
    let health = read.ok_or_else(Stop::nothing_here)?;
    let saml = visit.store().saml(&visit.cx()).await?;
    let times = visit.store().activity(&visit.cx()).await?;
    let alive = health.tokens.iter().filter(|token| token.is_alive(health.now));
    let calls: Vec<TokenUse> = alive.map(|token| TokenUse::of(&times, &token.id)).collect();
    // Whoever begins reads no findings: that nothing works yet is what the steps are for.
    let is_new = health.last_call.is_none() && health.users == 0;
    let findings = health.findings.iter().filter(|_| !is_new);
    let page = OverviewPage {
        frame: visit.frame(Page::Overview),
        headline: headline(&health, is_new),
        verdict: if is_new { Verdict::Waiting.word() } else { health.verdict.word() },
        is_fine: is_new || matches!(health.verdict, Verdict::Healthy | Verdict::Waiting),
        findings: findings.map(|finding| finding.sentence.clone()).collect(),
        steps: steps(visit, &health, (&saml, &calls)),
        users: health.users,
        last_call: health.last_call.map(|time| visit.ago(time)),
        until: When::new(visit.session.valid_until()),
    };
    visit.page(&page)
}

/// How it is, in a line.
fn headline(health: &Health, is_new: bool) -> String {
    if is_new {
        return "Your identity provider has not called yet. These steps lead there.".to_owned();
    }
    match (health.last_call, in_sync(health)) {
        (Some(last), true) => {
            let ago = span(health.now.since(last));
            format!("Your directory is in sync, last seen {ago} ago.")
        }
        (Some(_) | None, _) => health.sentence.clone(),
    }
}

/// Whether people have come, no cycle over all of them is under way, and nothing is the matter.
fn in_sync(health: &Health) -> bool {
    let has_people = health.users > 0 && health.progress().is_none();
    health.verdict == Verdict::Healthy && has_people && health.last_call.is_some()
}

fn steps(visit: &Visit<'_>, health: &Health, (saml, calls): (&Saml, &[TokenUse])) -> Vec<Step> {
    let status = visit.session.settings().status;
    let was_let_in = calls.iter().any(|calls| calls.let_in.is_some());
    vec![
        sign_in(saml, visit.portal.options().saml_first),
        Step {
            title: "Switch SCIM provisioning on",
            is_done: status == Status::Enabled,
            told: match status {
                Status::Enabled => "It is on.".to_owned(),
                Status::Disabled => {
                    "It is off: the identity provider's calls are refused.".to_owned()
                }
                Status::Released | Status::Deleting => {
                    "SCIM was ended for this workspace.".to_owned()
                }
            },
            path: "/provisioning",
            button: "Provisioning",
        },
        Step {
            title: "Reveal the secret token",
            is_done: !calls.is_empty(),
            told: match calls.len() {
                0 => "There is none yet. It is shown once.".to_owned(),
                1 => "There is one.".to_owned(),
                count => format!("There are {count}."),
            },
            path: "/tokens",
            button: "Tokens",
        },
        Step {
            title: "Paste Tenant URL and token into your identity provider",
            is_done: was_let_in,
            told: "For Microsoft Entra ID, Okta, PingOne and JumpCloud, field by field.".to_owned(),
            path: "/connect",
            button: "What to paste",
        },
        Step {
            title: "Test the connection",
            is_done: was_let_in,
            told: tested(health, calls),
            path: "/test",
            button: "Watch for the call",
        },
        Step {
            title: "Your directory is in sync",
            is_done: in_sync(health),
            told: match health.progress() {
                Some((seen, of)) => {
                    format!("The first cycle is under way: about {seen} of {of} people seen.")
                }
                None => format!("{} people are here.", health.users),
            },
            path: "/health",
            button: "Health",
        },
    ]
}

/// What is known of the last call.
fn tested(health: &Health, calls: &[TokenUse]) -> String {
    let Some(time) = health.last_call else {
        return "The identity provider has not called yet.".to_owned();
    };
    let last = calls.iter().max_by_key(|calls| calls.last());
    let refused =
        if last.is_some_and(|last| last.refused.is_some()) { ", and was refused" } else { "" };
    format!("It last called at {}{refused}.", When::new(time).text)
}

fn sign_in(saml: &Saml, first: SamlFirst) -> Step {
    let (is_done, told) = match (saml.state, first) {
        (SamlState::None, SamlFirst::Required) => (
            false,
            "Give your directory's federation metadata; provisioning can be switched on then.",
        ),
        (SamlState::None, SamlFirst::NotRequired) => (true, "It is not asked for here."),
        (SamlState::External, _) => (true, "It is set up elsewhere."),
        (SamlState::Described, _) => {
            (true, "The metadata are here; a real sign-in has not been seen yet.")
        }
        (SamlState::Seen, _) => (true, "The metadata are here, and somebody has signed in."),
    };
    Step {
        title: "Set up the sign-in (SAML)",
        is_done,
        told: told.to_owned(),
        path: "/sign-in",
        button: "Sign-in",
    }
}
