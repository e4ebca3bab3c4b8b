//! Tokens: shown once, listed, revoked.
//!
//! The answer to the form itself shows the token. The form brings the settings' version, which each token that is issued
//! moves, so that a form that is sent again does nothing.

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};

use super::connect::tenant_url;
use super::{Visit, When, called};
use crate::admin::tokens::{self, Issued, Life, State, Token};
use crate::insight::words::plain;
use crate::limits::DEAD_TOKENS_SHOWN;
use crate::portal::answer::{Frame, Stop, see_other};
use crate::portal::form::Form;
use crate::portal::route::Page;

/// For how many days a token can be issued, the first one unless another is chosen.
const DAYS: [i64; 4] = [365, 180, 90, 730];

#[derive(Template)]
#[template(path = "portal/tokens.html")]
struct TokensPage {
    frame: Frame,
    alive: Vec<TokenView>,
    dead: Vec<TokenView>,
    dead_more: usize,
    days: [i64; 4],
}

#[derive(Clone, Debug)]
struct TokenView {
    id: String,
    label: String,
    tail: String,
    state: &'static str,
    created: When,
    until: When,
    last_used: Option<When>,
    warning: Option<i64>,
    is_safe_to_revoke: bool,
}

#[derive(Template)]
#[template(path = "portal/token.html")]
struct TokenPage {
    frame: Frame,
    secret: String,
    label: String,
    until: When,
    tenant_url: String,
}

pub(in crate::portal) async fn show(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    let all = tokens::list(visit.store(), visit.moment, visit.session.tenant()).await?;
    let view = |token: &Token| TokenView {
        id: token.info.id.clone(),
        label: plain(&token.info.label),
        tail: plain(&token.info.tail),
        state: token.state.word(),
        created: When::new(token.info.created),
        until: When::new(token.info.valid_until),
        last_used: token.last_used.map(|time| visit.ago(time)),
        warning: token.ends_within_days,
        is_safe_to_revoke: token.safe_to_revoke,
    };
    let (alive, dead): (Vec<&Token>, Vec<&Token>) =
        all.iter().partition(|token| token.state == State::Alive);
    visit.page(&TokensPage {
        frame: visit.frame(Page::Tokens),
        alive: alive.into_iter().map(view).collect(),
        dead_more: dead.len().saturating_sub(DEAD_TOKENS_SHOWN),
        dead: dead.into_iter().rev().take(DEAD_TOKENS_SHOWN).map(view).collect(),
        days: DAYS,
    })
}

pub(in crate::portal) async fn issue(
    visit: &Visit<'_>,
    form: &Form,
) -> Result<Response<Bytes>, Stop> {
    let days = form.get("days").and_then(|days| days.parse().ok());
    let days = days.filter(|days| DAYS.contains(days)).ok_or_else(unclear)?;
    let version = form.get("version").and_then(|version| version.parse().ok());
    let version = version.ok_or_else(unclear)?;
    let what = (form.get("label").unwrap_or_default(), Life::days(days));
    let issued = tokens::issue_once(visit.store(), visit.moment, visit.by(), what, version).await?;
    let Issued { secret, label, valid_until, .. } = issued;
    visit.page(&TokenPage {
        frame: visit.frame(Page::Tokens),
        secret: secret.reveal().to_owned(),
        label: plain(&label),
        until: When::new(valid_until),
        tenant_url: tenant_url(visit),
    })
}

pub(in crate::portal) async fn revoke(
    visit: &Visit<'_>,
    form: &Form,
) -> Result<Response<Bytes>, Stop> {
    let token = form.said("token").ok_or_else(unclear)?;
    tokens::revoke_as(visit.store(), visit.moment, visit.by(), token).await?;
    Ok(see_other(visit.outer, &Page::Tokens))
}

fn unclear() -> Stop {
    let told = "The form does not say what to do. Open the page again and send it from there.";
    Stop::refused(StatusCode::BAD_REQUEST, "That was not done", told)
}

/// What the last call with a dead token was, in a sentence.
pub(super) async fn turned_away(visit: &Visit<'_>, all: &[Token]) -> Result<Option<String>, Stop> {
    let Some(away) = visit.store().turned_away(&visit.cx()).await? else { return Ok(None) };
    let at = When::new(away.at).text;
    let token = all.iter().find(|token| token.info.id == away.token);
    let why = token.map_or_else(
        || away.why.word().to_owned(),
        |token| match token.info.revoked {
            Some(revoked) => format!("revoked on {}", When::new(revoked).text),
            None => format!("expired on {}", When::new(token.info.valid_until).text),
        },
    );
    let ending = token.map(|token| plain(&token.info.tail)).filter(|tail| !tail.is_empty());
    let which = ending.map_or_else(
        || token.map_or_else(|| "an old token".to_owned(), called),
        |tail| format!("a token ending in …{tail}"),
    );
    let newer = all.iter().filter(|token| token.state == State::Alive);
    let newer = newer.filter_map(|token| token.last_used).any(|used| used > away.at);
    let since = if newer { " Calls have come with a live token since." } else { "" };
    Ok(Some(format!("{} was refused at {at}: {why}.{since}", capital(&which))))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}
