//! Tenants and tokens, as their operator manages them: what the commands of `scimctl` do, without their text.
//!
//! It never reads input and never prints. Every error is a sentence that says what to do next. A write that finds the
//! settings changed meanwhile reads them again, a bounded number of times.

pub mod brake;
pub mod delete;
pub mod migrate;
pub mod portal;
pub mod release;
pub mod resync;
pub mod saml;
pub mod tenants;
pub mod tokens;

use std::error::Error;
use std::fmt;

use uuid::Uuid;

use crate::limits::{
    BRAKE_BUDGET_MAX, BRAKE_WINDOW_MINUTES_MAX, DOMAINS_MAX, LINKS_MAX, MATCH_ATTRIBUTES_MAX,
    TENANT_SCHEMAS_MAX, TOKEN_LABEL_CHARS_MAX, TOKEN_ROWS_PORTAL_MAX, TOKENS_MAX,
};
use crate::moment::Moment;
use crate::store::settings::Status;
use crate::store::{Backoff, Cx, Settings, Store, StoreError, TenantId};

/// Who did it, for the journal.
pub const ACTOR: &str = "scimctl";

/// How often a write is tried again because the settings have changed meanwhile.
const STALE_ATTEMPTS_MAX: usize = 20;

/// Why a command was not done, and what to do about it.
#[derive(Debug)]
pub enum AdminError {
    /// There is no tenant of that name.
    NoTenant(TenantId),
    /// There is one already.
    TenantExists(TenantId),
    /// It is being deleted.
    BeingDeleted(TenantId),
    /// It is released.
    Released(TenantId),
    /// A newer version of this program has moved it to a format that this one does not know.
    NewerFormat(TenantId, u64),
    /// It is written to in the format before, pass after pass.
    StillOld(TenantId),
    /// Its journal has no beginning of a resync there.
    NoResync(TenantId, Uuid),
    /// A match attribute that people cannot be found by: as it was given, and why not.
    MatchAttribute(String, &'static str),
    /// More match attributes than a tenant may have.
    TooManyMatchAttributes,
    /// More e-mail domains than a tenant may name.
    TooManyDomains,
    /// No schema of the deployment's own has that URN; these are there.
    NoSchema(String, Vec<String>),
    /// More schemas than a tenant may have.
    TooManySchemas,
    /// A label that is empty, too long, or has line breaks.
    Label,
    /// The tenant has no token with that id.
    NoToken(TenantId, String),
    /// The token has expired by itself.
    TokenExpired(String),
    /// The tenant has as many live tokens as it may have.
    TooManyTokens(TenantId),
    /// So many of its tokens, dead ones included, are kept that the portal issues no more.
    TooManyKept(TenantId),
    /// The tenant has no setup link with that id.
    NoLink(TenantId, String),
    /// The tenant has as many setup links as it may have.
    TooManyLinks(TenantId),
    /// Its people's sign-in is not set up.
    NoSaml(TenantId),
    /// It is set up elsewhere, as the team has said.
    ExternalSaml(TenantId),
    /// A brake without a limit, or with one that it cannot have.
    Brake,
    /// So many of its changes are held back from the feed.
    Held(TenantId, u64),
    /// The tenant's settings changed again and again.
    Busy(TenantId),
    /// The tables, or the way to them.
    Store(StoreError),
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTenant(tenant) => write!(
                f,
                "there is no tenant {tenant}; `scimctl tenant list` shows those that there are, `scimctl tenant create` makes one"
            ),
            Self::TenantExists(tenant) => {
                write!(
                    f,
                    "there is a tenant {tenant} already; `scimctl tenant show {tenant}` shows it"
                )
            }
            Self::BeingDeleted(tenant) => write!(
                f,
                "the tenant {tenant} is being deleted; run `scimctl tenant delete {tenant}` to its end, then the name is free"
            ),
            Self::Released(tenant) => write!(
                f,
                "the tenant {tenant} is released: its calls are refused already; `scimctl tenant enable {tenant}` takes SCIM up again"
            ),
            Self::NewerFormat(tenant, format) => write!(
                f,
                "{tenant} has users or groups of format {format}, which a newer version has written; use that version"
            ),
            Self::StillOld(tenant) => write!(
                f,
                "an older version or a long import still writes to {tenant} in the format before; deploy this version everywhere, let the import end, then run the same command again"
            ),
            Self::NoResync(tenant, since) => {
                write!(f, "no resync of {tenant} began at {since}; run it without --since")
            }
            Self::MatchAttribute(text, why) => write!(
                f,
                "{text}: {why}; a match attribute is a text attribute of users, such as emails.value or externalId"
            ),
            Self::TooManyMatchAttributes => f.write_str(&too_many_match_attributes()),
            Self::TooManyDomains => f.write_str(&too_many_domains()),
            Self::NoSchema(urn, known) => f.write_str(&no_schema(urn, known)),
            Self::TooManySchemas => f.write_str(&too_many_schemas()),
            Self::Label => write!(
                f,
                "a label is 1 to {TOKEN_LABEL_CHARS_MAX} characters on one line; choose another"
            ),
            Self::NoToken(tenant, token) => write!(
                f,
                "{tenant} has no token with the id \"{}\"; `scimctl token list {tenant}` shows the ids",
                token.escape_debug()
            ),
            Self::TokenExpired(token) => {
                write!(f, "the token {token} has expired by itself; there is nothing to revoke")
            }
            Self::TooManyTokens(tenant) => write!(
                f,
                "{tenant} has {TOKENS_MAX} live tokens, the most that a tenant may have; revoke one that is no longer used"
            ),
            Self::TooManyKept(tenant) => f.write_str(&too_many_kept(tenant)),
            Self::NoLink(tenant, link) => f.write_str(&no_link(tenant, link)),
            Self::TooManyLinks(tenant) => f.write_str(&too_many_links(tenant)),
            Self::NoSaml(tenant) => f.write_str(&no_saml(tenant)),
            Self::ExternalSaml(tenant) => f.write_str(&external_saml(tenant)),
            Self::Brake => f.write_str(&no_brake()),
            Self::Held(tenant, held) => f.write_str(&held_back(tenant, *held)),
            Self::Busy(tenant) => write!(
                f,
                "the settings of {tenant} could not be changed, because they changed meanwhile again and again; try again, and if it stays so, run `scimctl check {tenant}`"
            ),
            Self::Store(error) => error.fmt(f),
        }
    }
}

fn no_link(tenant: &TenantId, link: &str) -> String {
    format!(
        "{tenant} has no setup link with the id \"{}\"; `scimctl portal links {tenant}` shows the ids",
        link.escape_debug()
    )
}

fn too_many_domains() -> String {
    format!("a tenant allows at most {DOMAINS_MAX} e-mail domains; name fewer")
}

fn too_many_match_attributes() -> String {
    format!("a tenant has at most {MATCH_ATTRIBUTES_MAX} match attributes; name fewer")
}

fn too_many_schemas() -> String {
    format!("a tenant has at most {TENANT_SCHEMAS_MAX} schemas of the deployment's own; name fewer")
}

fn no_schema(urn: &str, known: &[String]) -> String {
    let known = match known {
        [] => "it knows none".to_owned(),
        _ => format!("it knows {}", known.join(", ")),
    };
    format!(
        "{urn}: this scimctl knows no such schema ({known}); build it where the file is in schemas/custom, or set SCIM_SCHEMAS to the file's folder"
    )
}

fn too_many_kept(tenant: &TenantId) -> String {
    format!(
        "{tenant} has {TOKEN_ROWS_PORTAL_MAX} tokens, those that are dead and still kept included, the most with which the portal issues another; `scimctl token issue {tenant}` issues one, and clears away some that have been dead for long"
    )
}

fn too_many_links(tenant: &TenantId) -> String {
    format!(
        "{tenant} has {LINKS_MAX} setup links that are open or in use, the most that a tenant may have; revoke one with `scimctl portal revoke {tenant} ID`"
    )
}

fn no_brake() -> String {
    format!(
        "a brake has a number of people, 1 to 100 percent of them, or both, a window of 1 to {BRAKE_WINDOW_MINUTES_MAX} minutes, and a budget of 1 to {BRAKE_BUDGET_MAX}"
    )
}

fn held_back(tenant: &TenantId, held: u64) -> String {
    format!(
        "{held} changes of {tenant} are held back; look at them with `scimctl brake show {tenant}`, then release or reject them"
    )
}

fn no_saml(tenant: &TenantId) -> String {
    format!(
        "the sign-in of {tenant} is not set up; give its metadata with `scimctl tenant saml {tenant} --metadata FILE`, or say that it is set up elsewhere with --external"
    )
}

fn external_saml(tenant: &TenantId) -> String {
    format!(
        "the sign-in of {tenant} is set up elsewhere; `scimctl tenant saml {tenant} --clear` takes that back"
    )
}

impl Error for AdminError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::NoTenant(_)
            | Self::TenantExists(_)
            | Self::BeingDeleted(_)
            | Self::Released(_)
            | Self::NewerFormat(..)
            | Self::StillOld(_)
            | Self::NoResync(..)
            | Self::MatchAttribute(..)
            | Self::TooManyMatchAttributes
            | Self::TooManyDomains
            | Self::NoSchema(..)
            | Self::TooManySchemas
            | Self::Label
            | Self::NoToken(..)
            | Self::TokenExpired(_)
            | Self::TooManyTokens(_)
            | Self::TooManyKept(_)
            | Self::NoLink(..)
            | Self::TooManyLinks(_)
            | Self::NoSaml(_)
            | Self::ExternalSaml(_)
            | Self::Brake
            | Self::Held(..)
            | Self::Busy(_) => None,
        }
    }
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Does something that depends on a tenant's settings, again while it finds that they have changed meanwhile.
async fn with_settings<T>(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    attempt: impl AsyncFn(&Cx<'_>) -> Result<T, AdminError>,
) -> Result<T, AdminError> {
    with_settings_as(store, moment, (tenant, ACTOR), attempt).await
}

/// The same, by somebody else than the command line.
async fn with_settings_as<T>(
    store: &Store,
    moment: &Moment,
    (tenant, actor): (&TenantId, &str),
    attempt: impl AsyncFn(&Cx<'_>) -> Result<T, AdminError>,
) -> Result<T, AdminError> {
    let mut backoff = Backoff::new(moment);
    for _ in 0..STALE_ATTEMPTS_MAX {
        let found = store.settings(moment, tenant).await?;
        let (settings, _) = found.ok_or_else(|| AdminError::NoTenant(tenant.clone()))?;
        match attempt(&Cx { tenant, settings: &settings, actor, moment }).await {
            Err(AdminError::Store(StoreError::Stale)) => {}
            done => return done,
        }
        if backoff.pause().await.is_err() {
            break;
        }
    }
    Err(AdminError::Busy(tenant.clone()))
}

/// A label in one line that fits a table's column.
fn label(text: &str) -> Result<&str, AdminError> {
    let label = text.trim();
    let chars = label.chars().count();
    if chars == 0 || chars > TOKEN_LABEL_CHARS_MAX || label.chars().any(char::is_control) {
        return Err(AdminError::Label);
    }
    Ok(label)
}

/// A tenant that is being deleted only goes on being deleted.
fn not_deleting(tenant: &TenantId, settings: &Settings) -> Result<(), AdminError> {
    match settings.status {
        Status::Enabled | Status::Disabled | Status::Released => Ok(()),
        Status::Deleting => Err(AdminError::BeingDeleted(tenant.clone())),
    }
}
