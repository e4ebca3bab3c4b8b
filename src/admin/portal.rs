//! Workspace settings as a customer's admin reaches them: setup links, the sessions that they are exchanged for, and SCIM
//! switched on and off. `actor` is who does it, for the journal: `scimctl`, or [`Session::actor`].

use std::fmt;

use super::{AdminError, label, not_deleting, with_settings_as};
use crate::auth::{LinkSecret, SessionSecret, random, same};
use crate::limits::{LINK_LIFE_DAYS, LINK_LIFE_DAYS_MAX, LINKS_MAX, SESSION_LIFE_HOURS};
use crate::moment::{Moment, Timestamp};
use crate::store::journal::Event;
use crate::store::portal::{Fate, LinkInfo, LinkRow, NewLink, NewSession, SamlState, SessionRow};
use crate::store::settings::Status;
use crate::store::{Cx, Settings, Store, StoreError, TenantId};

/// The path of the portal below the public URL.
pub const PATH: &str = "/portal";

/// Where the portal is, below the deployment's public URL: the pages' and the links' one answer to that.
pub fn home(public_url: &str) -> String {
    format!("{}{PATH}", public_url.trim_end_matches('/'))
}

/// How long a setup link can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkLife {
    seconds: i64,
}

impl Default for LinkLife {
    fn default() -> Self {
        Self { seconds: LINK_LIFE_DAYS * 86_400 }
    }
}

impl LinkLife {
    /// Reads a number of minutes, hours or days: `45m`, `12h`, `7d`.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let split = text.char_indices().last().map(|(at, _)| text.split_at(at));
        let unit = split.and_then(|(digits, unit)| {
            let seconds = match unit {
                "m" => 60,
                "h" => 3_600,
                "d" => 86_400,
                _ => return None,
            };
            digits.parse::<u32>().ok().map(|number| i64::from(number) * seconds)
        });
        let allowed = 60..=LINK_LIFE_DAYS_MAX * 86_400;
        let seconds = unit.filter(|seconds| allowed.contains(seconds));
        seconds
            .map(|seconds| Self { seconds })
            .ok_or_else(|| format!("a time such as 45m, 12h or 7d, at most {LINK_LIFE_DAYS_MAX}d"))
    }
}

/// A setup link that was just issued: the only time that its secret can be read.
pub struct IssuedLink {
    /// The secret.
    pub secret: LinkSecret,
    /// Its id, which may be shown.
    pub id: String,
    /// Whom it is for.
    pub label: String,
    /// Until when it can be opened.
    pub valid_until: Timestamp,
}

impl fmt::Debug for IssuedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedLink").field("id", &self.id).finish_non_exhaustive()
    }
}

impl IssuedLink {
    /// The link itself, below the deployment's public URL.
    pub fn url(&self, public_url: &str) -> String {
        format!("{}/s/{}", home(public_url), self.secret.reveal())
    }
}

/// Whether a setup link opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It does, once.
    Open,
    /// It did; a second time it does not.
    Used,
    /// Somebody has revoked it.
    Revoked,
    /// Nobody opened it in time.
    Expired,
}

impl LinkState {
    fn of(fate: Fate, valid_until: Timestamp, now: Timestamp) -> Self {
        match fate {
            Fate::Revoked => Self::Revoked,
            Fate::Used => Self::Used,
            Fate::Open if now < valid_until => Self::Open,
            Fate::Open => Self::Expired,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// A setup link as the operator sees it.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its metadata.
    pub info: LinkInfo,
    /// Whether it opens anything now.
    pub state: LinkState,
    /// Until when the session that was begun with it lasts, if it does still.
    pub session_until: Option<Timestamp>,
}

/// What a link's secret stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whose settings it opens, or would.
    pub tenant: TenantId,
    /// The link's id.
    pub link: String,
    /// Whether it opens them.
    pub state: LinkState,
    /// When that has come to be: used, revoked or expired at; when it is open, until when it is.
    pub at: Timestamp,
}

/// What became of the attempt to open a link.
#[derive(Debug)]
pub enum Opening {
    /// It was exchanged for a session.
    Opened(Opened),
    /// It opens nothing any more.
    Not(Found),
    /// There is no such link.
    Unknown,
}

/// A session that was just begun: the only time that its secret can be read.
pub struct Opened {
    /// What the browser keeps.
    pub secret: SessionSecret,
    /// Whose settings it shows.
    pub tenant: TenantId,
    /// Until when it is valid.
    pub valid_until: Timestamp,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// Proof that a request comes from somebody who has opened a setup link. Only [`session`] makes one.
#[derive(Clone, Debug)]
pub struct Session {
    row: SessionRow,
    settings: Settings,
    actor: String,
}

impl Session {
    /// Whose settings it shows.
    pub fn tenant(&self) -> &TenantId {
        &self.row.tenant
    }

    /// What the tenant has chosen.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Who acts, for the journal: `portal:` and the link's id.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// The id of the link that it was begun with.
    pub fn link(&self) -> &str {
        &self.row.link
    }

    /// Until when it is valid.
    pub fn valid_until(&self) -> Timestamp {
        self.row.valid_until
    }

    /// What each of its forms has to bring.
    pub fn csrf(&self) -> &str {
        &self.row.csrf
    }

    /// Whether a form has brought it.
    pub fn is_own_form(&self, csrf: &str) -> bool {
        same(&self.row.csrf, csrf)
    }

    /// What the store needs to know with each call.
    pub fn cx<'a>(&'a self, moment: &'a Moment) -> Cx<'a> {
        Cx { tenant: &self.row.tenant, settings: &self.settings, actor: &self.actor, moment }
    }
}

/// Whether SCIM can be switched on only when the people's sign-in is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamlFirst {
    /// It has to be there.
    Required,
    /// The team does without.
    NotRequired,
}

/// Issues a setup link.
///
/// # Errors
/// When there is no such tenant, or it has too many links.
pub async fn issue_link(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    (text, life): (&str, LinkLife),
) -> Result<IssuedLink, AdminError> {
    let label = label(text)?;
    with_settings_as(store, moment, by, async |cx| {
        not_deleting(cx.tenant, cx.settings)?;
        let links = of(store, cx).await?;
        let busy = |link: &&Link| link.state == LinkState::Open || link.session_until.is_some();
        if links.iter().filter(busy).count() >= LINKS_MAX {
            return Err(AdminError::TooManyLinks(cx.tenant.clone()));
        }
        let secret = LinkSecret::mint(moment);
        let new = NewLink {
            id: moment.mint_uuid().to_string(),
            label: label.to_owned(),
            valid_until: moment.now().plus_seconds(life.seconds),
            digest: secret.digest(),
        };
        store.issue_link(cx, &new).await?;
        let NewLink { id, label, valid_until, .. } = new;
        Ok(IssuedLink { secret, id, label, valid_until })
    })
    .await
}

/// The tenant's setup links, oldest first, dead ones that are still kept included.
///
/// # Errors
/// When there is no such tenant.
pub async fn links(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<Vec<Link>, AdminError> {
    super::with_settings(store, moment, tenant, async |cx| of(store, cx).await).await
}

/// The links of a tenant whose settings are at hand.
pub(super) async fn of(store: &Store, cx: &Cx<'_>) -> Result<Vec<Link>, AdminError> {
    let now = cx.moment.now();
    let link = |info: LinkInfo| {
        let state = LinkState::of(info.fate, info.valid_until, now);
        let ended = info.session_ended.is_some() || info.revoked.is_some();
        let session_until = info.session_until.filter(|until| !ended && now < *until);
        Link { info, state, session_until }
    };
    Ok(store.link_infos(cx).await?.into_iter().map(link).collect())
}

/// Revokes a setup link, and ends the session that was begun with it. One that is revoked already stays so.
///
/// # Errors
/// When there is no such tenant or link.
pub async fn revoke_link(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    id: &str,
) -> Result<(), AdminError> {
    with_settings_as(store, moment, by, async |cx| {
        let found = store.link_of(cx, id).await?;
        let none = || AdminError::NoLink(cx.tenant.clone(), id.chars().take(64).collect());
        let found = found.ok_or_else(none)?;
        match found.fate {
            Fate::Revoked => Ok(()),
            Fate::Open | Fate::Used => Ok(store.revoke_link(cx, &found).await?),
        }
    })
    .await
}

/// What a link's secret stands for; uses nothing up. `None` when there is no such link.
///
/// # Errors
/// When the tables cannot be read.
pub async fn look(store: &Store, moment: &Moment, text: &str) -> Result<Option<Found>, AdminError> {
    let row = row(store, moment, text).await?;
    Ok(row.map(|row| found(&row, moment.now())))
}

/// Exchanges a link for a session.
///
/// # Errors
/// When the tables cannot be read or written.
pub async fn open(store: &Store, moment: &Moment, text: &str) -> Result<Opening, AdminError> {
    let Some(first) = row(store, moment, text).await? else { return Ok(Opening::Unknown) };
    let actor = actor(&first.id);
    let opened = with_settings_as(store, moment, (&first.tenant, &actor), async |cx| {
        // Again: somebody may have been faster.
        let Some(row) = row(store, moment, text).await? else { return Ok(Opening::Unknown) };
        let found = found(&row, moment.now());
        if found.state != LinkState::Open {
            return Ok(Opening::Not(found));
        }
        let secret = SessionSecret::mint(moment);
        let new = NewSession {
            digest: secret.digest(),
            valid_until: moment.now().plus_seconds(SESSION_LIFE_HOURS * 3_600),
            csrf: random(moment),
        };
        store.open_link(cx, &row, &new).await?;
        let NewSession { valid_until, .. } = new;
        Ok(Opening::Opened(Opened { secret, tenant: row.tenant, valid_until }))
    });
    match opened.await {
        // The tenant went meanwhile, and its links with it.
        Err(AdminError::NoTenant(_)) => Ok(Opening::Unknown),
        done => done,
    }
}

/// The session that a browser's secret stands for; `None` when it is none, or none any more.
///
/// # Errors
/// When the tables cannot be read.
pub async fn session(
    store: &Store,
    moment: &Moment,
    text: &str,
) -> Result<Option<Session>, AdminError> {
    let Some(secret) = SessionSecret::parse(text) else { return Ok(None) };
    let found = store.look_up_session(moment, &secret.digest()).await?;
    let alive = |row: &SessionRow| row.ended.is_none() && moment.now() < row.valid_until;
    let Some(row) = found.filter(alive) else { return Ok(None) };
    let settings = living(store, moment, &row.tenant).await?;
    let actor = actor(&row.link);
    Ok(settings.map(|settings| Session { row, settings, actor }))
}

/// Ends a session.
///
/// # Errors
/// When the tables cannot be written.
pub async fn end(store: &Store, moment: &Moment, session: &Session) -> Result<(), AdminError> {
    with_settings_as(store, moment, (session.tenant(), session.actor()), async |cx| {
        Ok(store.end_session(cx, &session.row).await?)
    })
    .await
}

/// Switches SCIM on: within the time for which tokens are remembered, the tenant's calls are served.
///
/// # Errors
/// When its people's sign-in is not set up and has to be; when it is released or being deleted.
pub async fn enable(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    first: SamlFirst,
) -> Result<(), AdminError> {
    with_settings_as(store, moment, by, async |cx| {
        let missing =
            first == SamlFirst::Required && store.saml(cx).await?.state == SamlState::None;
        if missing {
            return Err(AdminError::NoSaml(cx.tenant.clone()));
        }
        switch(store, cx, Status::Enabled, Event::Enabled).await
    })
    .await
}

/// Switches SCIM off: within the time for which tokens are remembered, the tenant's calls are answered 403.
///
/// # Errors
/// When it is released or being deleted.
pub async fn disable(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
) -> Result<(), AdminError> {
    with_settings_as(store, moment, by, async |cx| {
        switch(store, cx, Status::Disabled, Event::Disabled).await
    })
    .await
}

async fn switch(store: &Store, cx: &Cx<'_>, status: Status, told: Event) -> Result<(), AdminError> {
    not_deleting(cx.tenant, cx.settings)?;
    if cx.settings.status == Status::Released {
        // The team has ended it, and the team can take it up again.
        return Err(AdminError::Released(cx.tenant.clone()));
    }
    if cx.settings.status != status {
        store.set_status(cx, status, Some(told)).await?;
    }
    Ok(())
}

/// A link's row, while its tenant is there.
async fn row(store: &Store, moment: &Moment, text: &str) -> Result<Option<LinkRow>, StoreError> {
    let Some(secret) = LinkSecret::parse(text) else { return Ok(None) };
    let Some(row) = store.look_up_link(moment, &secret.digest()).await? else { return Ok(None) };
    Ok(living(store, moment, &row.tenant).await?.map(|_| row))
}

/// The settings of a tenant that is there and not being deleted.
async fn living(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<Option<Settings>, StoreError> {
    let found = store.settings(moment, tenant).await?;
    Ok(found.map(|(settings, _)| settings).filter(|found| found.status != Status::Deleting))
}

fn found(row: &LinkRow, now: Timestamp) -> Found {
    let state = LinkState::of(row.fate, row.valid_until, now);
    let at = match state {
        LinkState::Open | LinkState::Expired => row.valid_until,
        LinkState::Used | LinkState::Revoked => row.changed.unwrap_or(row.valid_until),
    };
    Found { tenant: row.tenant.clone(), link: row.id.clone(), state, at }
}

fn actor(link: &str) -> String {
    format!("portal:{link}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_links_life_is_minutes_hours_or_days() {
        for (text, seconds) in [("1m", 60), ("45m", 2_700), ("12h", 43_200), ("30d", 2_592_000)] {
            assert_eq!(LinkLife::parse(text), Ok(LinkLife { seconds }), "{text}");
        }
        for text in
            ["", "7", "d", "0d", "31d", "721h", "-1d", "7 d", "7w", "7d7", "9999999999d", "7ü"]
        {
            assert!(LinkLife::parse(text).unwrap_err().contains("at most 30d"), "{text}");
        }
    }
}
