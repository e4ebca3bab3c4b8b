//! The secrets table: bearer tokens by the digest of what the identity provider sends, and their metadata in the
//! tenant's own partition. The token itself is never stored.

use std::collections::HashMap;

use super::item::{FORMAT, Item, ItemReader, number, text};
use super::keys::{self, Key};
use super::scopes::Scopes;
use super::settings::Settings;
use super::write::{Change, Condition};
use super::{Cx, Store, StoreError, TenantId};
use crate::moment::{Moment, Timestamp};

/// Token rows that are read at most: the living ones, and those that are kept to say that they are not.
const TOKEN_ROWS_MAX: usize = 20_000;

/// The attribute of a row of the secrets table that says what the secret opens. Without it: SCIM.
pub(super) const SORT: &str = "sort";
/// What it says of a token.
const TOKEN: &str = "token";
/// What it says of a token that may not do everything: a version that knows no scopes answers it 401.
pub(super) const LIMITED: &str = "limited";

/// What a digest stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The tenant.
    pub tenant: TenantId,
    /// The token's id, which may be shown.
    pub token: String,
    /// Until when it is valid.
    pub valid_until: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// What it may do.
    pub scopes: Scopes,
    /// What the tenant has chosen, as of the last change.
    pub settings: Settings,
}

/// A token as its tenant's admin may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its id.
    pub id: String,
    /// What it is for, in the issuer's words.
    pub label: String,
    /// When it was issued.
    pub created: Timestamp,
    /// Until when it is valid.
    pub valid_until: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// What it may do.
    pub scopes: Scopes,
    /// Its last characters, by which its holder knows it; empty for one that was issued before they were kept.
    pub tail: String,
    /// The digest under which the secrets table knows it.
    pub(crate) digest: String,
}

impl TokenInfo {
    /// Whether it opens the door at that instant.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.valid_until
    }
}

/// A token to be issued.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// Until when it is valid.
    pub valid_until: Timestamp,
    /// What it may do.
    pub scopes: Scopes,
    /// The last characters of the secret.
    pub tail: String,
    /// The digest of the secret.
    pub digest: String,
}

/// Why a token that is known opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Somebody has revoked it.
    Revoked,
    /// Its time is over.
    Expired,
}

impl Why {
    /// The word that is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// The last call that came with a token of the tenant's that opens nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedAway {
    /// When, to about a minute.
    pub at: Timestamp,
    /// The token's id.
    pub token: String,
    /// Why.
    pub why: Why,
}

impl Store {
    /// What a digest stands for: one strongly consistent read. `None` when it stands for nothing, or for a secret that
    /// opens something else than SCIM.
    ///
    /// # Errors
    /// As any read.
    pub async fn look_up(
        &self,
        moment: &Moment,
        digest: &str,
    ) -> Result<Option<Grant>, StoreError> {
        let key = secret_key(digest);
        let Some(item) = self.get_from(moment, &self.tables.secrets, key).await? else {
            return Ok(None);
        };
        let sort = item.get(SORT);
        let limited = sort == Some(&text(LIMITED));
        if !limited && sort.is_some_and(|sort| *sort != text(TOKEN)) {
            return Ok(None);
        }
        let mut scopes = Scopes::read(&item);
        if limited && scopes == Scopes::All {
            // They are lost: it may do nothing.
            scopes = Scopes::Only(Vec::new());
        }
        let reader = ItemReader::new(&item)?;
        let tenant = TenantId::parse(reader.text("tenant")?);
        Ok(Some(Grant {
            tenant: tenant.map_err(|_| reader.corrupt("tenant"))?,
            token: reader.text("token")?.to_owned(),
            valid_until: reader.timestamp("validUntil")?,
            revoked: revoked(&item, &reader)?,
            scopes,
            settings: Settings::read(&item)?,
        }))
    }

    /// The tenant's tokens, oldest first, dead ones that are still kept included.
    ///
    /// # Errors
    /// As any read.
    pub async fn token_infos(&self, cx: &Cx<'_>) -> Result<Vec<TokenInfo>, StoreError> {
        let tenant = cx.tenant.as_str();
        let read = self.query_all(cx.moment, tenant, keys::TOKENS, TOKEN_ROWS_MAX).await?;
        // A change of the settings must not miss a row: rather none than some.
        let corrupt = || StoreError::Corrupt(format!("token: more than {TOKEN_ROWS_MAX} items"));
        let read = read.ok_or_else(corrupt)?;
        let mut infos = read.iter().map(token_info).collect::<Result<Vec<_>, _>>()?;
        infos.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.id.cmp(&b.id)));
        Ok(infos)
    }

    /// One of the tenant's tokens; `None` where the id is none of them, such as one that fits no key.
    ///
    /// # Errors
    /// As any read.
    pub async fn token_of(
        &self,
        cx: &Cx<'_>,
        token: &str,
    ) -> Result<Option<TokenInfo>, StoreError> {
        if uuid::Uuid::try_parse(token).is_err() {
            return Ok(None);
        }
        let found = self.get_key(cx.moment, cx.tenant.as_str(), &Key::token(token)).await?;
        found.as_ref().map(token_info).transpose()
    }

    /// Notes that a call came with a token of the tenant's that opens nothing any more: `cx.actor`. The caller sees to it
    /// that this is done at most once a minute.
    ///
    /// # Errors
    /// As any write; the caller ignores it.
    pub async fn note_turned_away(&self, cx: &Cx<'_>, why: Why) -> Result<(), StoreError> {
        let set = vec![
            ("v".to_owned(), number(FORMAT)),
            ("deniedAt".to_owned(), text(cx.moment.now().to_string())),
            ("deniedToken".to_owned(), text(cx.actor)),
            ("deniedWhy".to_owned(), text(why.word())),
        ];
        let change = Change { set, ..Change::default() };
        let (tenant, key) = (cx.tenant.as_str(), Key::activity());
        self.update_alone(cx.moment, tenant, &key, change, Condition::Any).await.map(|_| ())
    }

    /// The last of these notes.
    ///
    /// # Errors
    /// As any read.
    pub async fn turned_away(&self, cx: &Cx<'_>) -> Result<Option<TurnedAway>, StoreError> {
        let found = self.get_key(cx.moment, cx.tenant.as_str(), &Key::activity()).await?;
        let item = found.unwrap_or_default();
        let reader = ItemReader::unread(&item);
        let words = (reader.optional_timestamp("deniedAt"), reader.optional("deniedToken"));
        let (Some(at), Some(token)) = words else { return Ok(None) };
        let expired = reader.optional("deniedWhy") == Some(Why::Expired.word());
        let why = if expired { Why::Expired } else { Why::Revoked };
        Ok(Some(TurnedAway { at, token: token.to_owned(), why }))
    }
}

/// The primary key of a row of the secrets table.
pub(super) fn secret_key(digest: &str) -> Item {
    HashMap::from([("digest".to_owned(), text(digest))])
}

/// When a token was revoked. A mark that cannot be read, such as one that somebody set by hand, revokes as well.
fn revoked(item: &Item, reader: &ItemReader<'_>) -> Result<Option<Timestamp>, StoreError> {
    if !item.contains_key("revoked") {
        return Ok(None);
    }
    match reader.optional_timestamp("revoked") {
        Some(at) => Ok(Some(at)),
        None => reader.timestamp("created").map(Some),
    }
}

fn token_info(item: &Item) -> Result<TokenInfo, StoreError> {
    let reader = ItemReader::new(item)?;
    let id = reader.text("key")?.strip_prefix(keys::TOKENS).unwrap_or_default();
    Ok(TokenInfo {
        id: id.to_owned(),
        label: reader.text("label")?.to_owned(),
        created: reader.timestamp("created")?,
        valid_until: reader.timestamp("validUntil")?,
        revoked: revoked(item, &reader)?,
        scopes: Scopes::read(item),
        tail: reader.optional("tail").unwrap_or_default().to_owned(),
        digest: reader.text("digest")?.to_owned(),
    })
}
