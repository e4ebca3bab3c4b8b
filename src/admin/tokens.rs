//! Bearer tokens: issue, list, rotate, revoke. A token is shown once, by whoever asked for it; only its digest is stored.

use std::fmt;

use super::{AdminError, not_deleting, with_settings};
use crate::auth::TokenSecret;
use crate::limits::{TOKEN_LABEL_CHARS_MAX, TOKEN_ROW_KEPT_DAYS, TOKENS_MAX};
use crate::moment::{Moment, Timestamp};
use crate::store::tenants::token_used;
use crate::store::tokens::{NewToken, TokenInfo};
use crate::store::{Cx, Store, StoreError, TenantId};

/// Dead tokens' metadata that one issue clears away, so that it stays quick.
const FORGOTTEN_PER_ISSUE: usize = 20;

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
    /// When it was last used, to about a minute; never, or before that was noted, when `None`.
    pub last_used: Option<Timestamp>,
}

/// Issues a token.
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
    let label = label.trim();
    let chars = label.chars().count();
    if chars == 0 || chars > TOKEN_LABEL_CHARS_MAX || label.chars().any(char::is_control) {
        return Err(AdminError::Label);
    }
    with_settings(store, moment, tenant, async |cx| {
        not_deleting(tenant, cx.settings)?;
        forget_long_dead(store, cx).await?;
        let secret = TokenSecret::mint(moment);
        let new = NewToken {
            id: moment.mint_uuid().to_string(),
            label: label.to_owned(),
            valid_until: life.end(moment.now()),
            digest: secret.digest(),
        };
        match store.issue(cx, &new).await {
            Ok(()) => {
                let NewToken { id, label, valid_until, .. } = new;
                Ok(Issued { secret, id, label, valid_until })
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

/// Issues a token with the label of an old one.
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
    let label = with_settings(store, moment, tenant, async |cx| {
        Ok(find(store, cx, token).await?.info.label)
    })
    .await?;
    let issued = issue(store, moment, tenant, &label, life).await?;
    let old = match old {
        Old::Keep => {
            with_settings(store, moment, tenant, async |cx| Ok(find(store, cx, token).await?.state))
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
    with_settings(store, moment, tenant, async |cx| {
        let found = find(store, cx, token).await?;
        match found.state {
            State::Revoked => Ok(()),
            State::Expired => Err(AdminError::TokenExpired(found.info.id)),
            State::Alive => Ok(store.revoke(cx, &found.info).await?),
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
        let state = match info.revoked {
            Some(_) => State::Revoked,
            None if info.is_alive(now) => State::Alive,
            None => State::Expired,
        };
        Token { state, last_used: times.get(&token_used(&info.id)).copied(), info }
    };
    Ok(infos.into_iter().map(token).collect())
}

async fn find(store: &Store, cx: &Cx<'_>, token: &str) -> Result<Token, AdminError> {
    let tokens = of(store, cx).await?;
    let found = tokens.into_iter().find(|found| found.info.id == token);
    found.ok_or_else(|| AdminError::NoToken(cx.tenant.clone(), token.chars().take(64).collect()))
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
