//! Bearer tokens: issue, list, rotate, revoke. A token is shown once, by whoever asked for it; only its digest is stored.

use std::fmt;
use std::time::Duration;

use super::{AdminError, label, not_deleting, with_settings, with_settings_as};
use crate::auth::TokenSecret;
use crate::insight::cycles::{contacts, rhythm_of};
use crate::limits::{HEALTH_DAYS, TOKEN_ROW_KEPT_DAYS, TOKEN_ROWS_PORTAL_MAX, TOKENS_MAX};
use crate::moment::{Moment, Timestamp};
use crate::store::journal::Event;
use crate::store::scopes::Scopes;
use crate::store::tenants::TokenUse;
use crate::store::tokens::{NewToken, TokenInfo};
use crate::store::traffic::Slot;
use crate::store::{Cx, Store, StoreError, TenantId};

/// Dead tokens' metadata that one issue clears away, so that it stays quick.
const FORGOTTEN_PER_ISSUE: usize = 20;

/// So many days before a token's end somebody is told; the first and the later times.
const WARNING_DAYS: [i64; 3] = [60, 30, 7];

/// Two of Entra's cycles: an identity provider that comes with one token of two has by then come with it again, unless its
/// own rhythm is slower.
const SILENT: Duration = Duration::from_mins(80);

/// Contact that goes on for so long is no test of the connection.
const LONG_CONTACT: Duration = Duration::from_mins(20);

/// How long a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    days: i64,
}

impl Life {
    /// So many days, at least one.
    pub fn days(days: i64) -> Self {
        Self { days: days.max(1) }
    }

    fn end(self, now: Timestamp) -> Timestamp {
        now.plus_seconds(self.days.saturating_mul(86_400))
    }
}

/// What becomes of the token that is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// It stays alive until it is revoked, so that nothing breaks meanwhile.
    Keep,
    /// It is revoked when the new one is there.
    Revoke,
}

/// A token that was just issued: the only time that its text can be read.
pub struct Issued {
    /// The token itself.
    pub secret: TokenSecret,
    /// Its id, which may be shown.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// Until when it is valid.
    pub valid_until: Timestamp,
    /// What it may do.
    pub scopes: Scopes,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A new token in the place of an old one.
#[derive(Debug)]
pub struct Rotated {
    /// The new one.
    pub issued: Issued,
    /// What became of the old one: an error here must not lose the new one.
    pub old: Result<State, AdminError>,
}

/// Whether a token opens the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Alive,
    /// It did until its time was over.
    Expired,
    /// It did until somebody revoked it.
    Revoked,
}

impl State {
    fn of(info: &TokenInfo, now: Timestamp) -> Self {
        match info.revoked {
            Some(_) => Self::Revoked,
            None if info.is_alive(now) => Self::Alive,
            None => Self::Expired,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// A token as its tenant's operator sees it.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its metadata.
    pub info: TokenInfo,
    /// Whether it opens the door now.
    pub state: State,
    /// When calls came with it, and what came of them.
    pub calls: TokenUse,
    /// When it was last used, to about a minute; never, or before that was noted, when `None`.
    pub last_used: Option<Timestamp>,
    /// It ends within so many days: 60, 30 or 7. None when it is dead, or its end is far.
    pub ends_within_days: Option<i64>,
    /// Nobody comes with it any more: another live one has been used since, at two times or for long, and this one not for
    /// two cycles.
    pub safe_to_revoke: bool,
}

/// Issues a token that may do everything.
///
/// # Errors
/// When there is no such tenant, or it has too many tokens.
pub async fn issue(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    label: &str,
    life: Life,
) -> Result<Issued, AdminError> {
    issue_limited(store, moment, tenant, (label, life), Scopes::All).await
}

/// Issues a token that may do what these scopes say.
///
/// # Errors
/// As [`issue`].
pub async fn issue_limited(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    (label, life): (&str, Life),
    scopes: Scopes,
) -> Result<Issued, AdminError> {
    with_settings(store, moment, tenant, async |cx| {
        not_deleting(tenant, cx.settings)?;
        forget_long_dead(store, cx).await
    })
    .await?;
    issue_by(store, moment, (tenant, super::ACTOR), (label, life, scopes), None).await
}

/// As [`issue_as`], while the settings are of that version: what was asked for twice is done once, because each token that
/// is issued moves it.
///
/// # Errors
/// As [`issue`], and [`AdminError::Busy`] when the settings are of another version.
pub async fn issue_once(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    (label, life): (&str, Life),
    version: u64,
) -> Result<Issued, AdminError> {
    let told = Told { event: Event::TokenIssued, version: Some(version) };
    issue_by(store, moment, by, (label, life, Scopes::All), Some(told)).await
}

/// What the journal says of it, and the version that the settings have to be of.
#[derive(Clone, Copy, Debug)]
struct Told {
    event: Event,
    version: Option<u64>,
}

/// Issues a token in the portal, whose journal says so: `actor` is who did it. It removes nothing.
///
/// # Errors
/// As [`issue`].
pub async fn issue_as(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    (label, life): (&str, Life),
) -> Result<Issued, AdminError> {
    let told = Told { event: Event::TokenIssued, version: None };
    issue_by(store, moment, by, (label, life, Scopes::All), Some(told)).await
}

async fn issue_by(
    store: &Store,
    moment: &Moment,
    (tenant, actor): (&TenantId, &str),
    (text, life, scopes): (&str, Life, Scopes),
    told: Option<Told>,
) -> Result<Issued, AdminError> {
    let label = label(text)?;
    with_settings_as(store, moment, (tenant, actor), async |cx| {
        not_deleting(tenant, cx.settings)?;
        if told.and_then(|told| told.version).is_some_and(|seen| seen != cx.settings.version) {
            return Err(AdminError::Busy(tenant.clone()));
        }
        if told.is_some() && store.token_infos(cx).await?.len() >= TOKEN_ROWS_PORTAL_MAX {
            return Err(AdminError::TooManyKept(tenant.clone()));
        }
        let secret = TokenSecret::mint(moment);
        let new = NewToken {
            id: moment.mint_uuid().to_string(),
            label: label.to_owned(),
            valid_until: life.end(moment.now()),
            scopes: scopes.clone(),
            tail: secret.tail().to_owned(),
            digest: secret.digest(),
        };
        match store.issue(cx, &new, told.map(|told| told.event)).await {
            Ok(()) => {
                let NewToken { id, label, valid_until, scopes, .. } = new;
                Ok(Issued { secret, id, label, valid_until, scopes })
            }
            Err(StoreError::Refused(_)) => Err(AdminError::TooManyTokens(tenant.clone())),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// The tenant's tokens, oldest first, with those that are revoked or expired and still kept.
///
/// # Errors
/// When there is no such tenant.
pub async fn list(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<Vec<Token>, AdminError> {
    with_settings(store, moment, tenant, async |cx| of(store, cx).await).await
}

/// Issues a token with the label and the scopes of an old one.
///
/// # Errors
/// When there is no such tenant or token, or too many tokens. What becomes of the old token is part of the result.
pub async fn rotate(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    token: &str,
    (life, old): (Life, Old),
) -> Result<Rotated, AdminError> {
    let found =
        with_settings(store, moment, tenant, async |cx| Ok(find(store, cx, token).await?.0))
            .await?;
    let issued = issue_limited(store, moment, tenant, (&found.label, life), found.scopes).await?;
    let old = match old {
        Old::Keep => {
            with_settings(store, moment, tenant, async |cx| Ok(find(store, cx, token).await?.1))
                .await
        }
        Old::Revoke => revoke(store, moment, tenant, token).await.map(|()| State::Revoked),
    };
    Ok(Rotated { issued, old })
}

/// Revokes a token. One that is revoked already stays so.
///
/// # Errors
/// When there is no such tenant or token, or it has expired by itself.
pub async fn revoke(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    token: &str,
) -> Result<(), AdminError> {
    revoke_by(store, moment, (tenant, super::ACTOR), (token, None)).await
}

/// Revokes a token in the portal, whose journal says so: `actor` is who did it.
///
/// # Errors
/// As [`revoke`].
pub async fn revoke_as(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    token: &str,
) -> Result<(), AdminError> {
    revoke_by(store, moment, by, (token, Some(Event::TokenRevoked))).await
}

async fn revoke_by(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    (token, told): (&str, Option<Event>),
) -> Result<(), AdminError> {
    with_settings_as(store, moment, by, async |cx| {
        let (found, state) = find(store, cx, token).await?;
        match state {
            State::Revoked => Ok(()),
            State::Expired => Err(AdminError::TokenExpired(found.id)),
            State::Alive => Ok(store.revoke(cx, &found, told).await?),
        }
    })
    .await
}

/// Removes tokens with that label so that one more can be issued: the expired ones, and, when the tenant has as many
/// live ones as it may have, the oldest of them. For the local server, which issues one at each start.
///
/// # Errors
/// When there is no such tenant.
pub async fn make_room(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    label: &str,
) -> Result<(), AdminError> {
    with_settings(store, moment, tenant, async |cx| {
        let tokens = of(store, cx).await?;
        let alive = tokens.iter().filter(|token| token.state == State::Alive).count();
        let mut too_many = (alive + 1).saturating_sub(TOKENS_MAX);
        for token in tokens.iter().filter(|token| token.info.label == label) {
            let goes = match token.state {
                State::Expired => true,
                State::Alive => too_many > 0,
                State::Revoked => false,
            };
            if goes {
                store.forget(cx, &token.info).await?;
            }
            if goes && token.state == State::Alive {
                too_many -= 1;
            }
        }
        Ok(())
    })
    .await
}

/// The tokens of a tenant whose settings are at hand.
pub(super) async fn of(store: &Store, cx: &Cx<'_>) -> Result<Vec<Token>, AdminError> {
    let now = cx.moment.now();
    let times = store.activity(cx).await?;
    let infos = store.token_infos(cx).await?;
    let token = |info: TokenInfo| {
        let state = State::of(&info, now);
        let ends_within_days = match state {
            State::Alive => warning(info.valid_until, now),
            State::Expired | State::Revoked => None,
        };
        let calls = TokenUse::of(&times, &info.id);
        let last_used = calls.last();
        Token { state, calls, last_used, ends_within_days, safe_to_revoke: false, info }
    };
    let mut tokens: Vec<Token> = infos.into_iter().map(token).collect();
    // With one alone there is none to change over to.
    if tokens.iter().filter(|token| token.state == State::Alive).count() > 1 {
        let since = now.plus_seconds(-HEALTH_DAYS * 86_400);
        let slots = store.traffic(cx.moment, cx.tenant, since).await?;
        let safe = tokens.iter().map(|token| is_silent(token, (&tokens, &slots), now));
        let safe: Vec<bool> = safe.collect();
        for (token, safe) in tokens.iter_mut().zip(safe) {
            token.safe_to_revoke = safe;
        }
    }
    Ok(tokens)
}

/// The shortest of the warnings that a token's end calls for.
fn warning(end: Timestamp, now: Timestamp) -> Option<i64> {
    let near = |days: &i64| end <= now.plus_seconds(days * 86_400);
    WARNING_DAYS.into_iter().rev().find(near)
}

/// Whether nobody comes with a live token any more, but with another: that one was let in since, and this one has not come
/// for two cycles. Two cycles are waited for, too, until one that was never used is called so. That somebody has tested
/// the connection with the other one does not mean that it is used.
fn is_silent(token: &Token, (all, slots): (&[Token], &[Slot]), now: Timestamp) -> bool {
    let last_sign = token.last_used.unwrap_or(token.info.created);
    let mut others =
        all.iter().filter(|other| other.info.id != token.info.id && other.state == State::Alive);
    let replaced = others.any(|other| {
        other.calls.let_in.is_some_and(|used| token.last_used.is_none_or(|own| used > own))
    });
    let starts: Vec<Timestamp> = contacts(slots).into_iter().map(|(start, _)| start).collect();
    let cycles = rhythm_of(&starts).map_or(SILENT, |rhythm| SILENT.max(rhythm * 2));
    // What came since then came with another one.
    let since: Vec<Slot> = slots.iter().filter(|slot| slot.start > last_sign).copied().collect();
    let since = contacts(&since);
    let is_used =
        since.len() > 1 || since.iter().any(|(start, last)| last.since(*start) >= LONG_CONTACT);
    token.state == State::Alive && replaced && is_used && now.since(last_sign) > cycles
}

/// One token, by its key: however many there are.
async fn find(store: &Store, cx: &Cx<'_>, token: &str) -> Result<(TokenInfo, State), AdminError> {
    let found = store.token_of(cx, token).await?;
    let none = || AdminError::NoToken(cx.tenant.clone(), token.chars().take(64).collect());
    let found = found.ok_or_else(none)?;
    let state = State::of(&found, cx.moment.now());
    Ok((found, state))
}

/// DynamoDB's TTL takes the rows of the secrets table; their metadata goes here, so that it does not grow for ever.
async fn forget_long_dead(store: &Store, cx: &Cx<'_>) -> Result<(), AdminError> {
    let now = cx.moment.now();
    let infos = store.token_infos(cx).await?;
    let long_dead = infos.iter().filter(|info| {
        let died = info.revoked.unwrap_or(info.valid_until);
        died.plus_seconds(TOKEN_ROW_KEPT_DAYS * 86_400) < now
    });
    for info in long_dead.take(FORGOTTEN_PER_ISSUE) {
        store.forget(cx, info).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_tokens_end_is_told_in_three_steps() {
        let now = at("2026-11-21T08:00:00Z");
        for (end, expected) in [
            ("2027-11-21T08:00:00Z", None),
            ("2027-01-20T08:00:01Z", None),
            ("2027-01-20T08:00:00Z", Some(60)),
            ("2026-12-21T08:00:01Z", Some(60)),
            ("2026-12-21T08:00:00Z", Some(30)),
            ("2026-11-28T08:00:00Z", Some(7)),
            ("2026-11-21T08:00:01Z", Some(7)),
        ] {
            assert_eq!(warning(at(end), now), expected, "{end}");
        }
    }
}
