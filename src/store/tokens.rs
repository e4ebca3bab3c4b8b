//! The secrets table: bearer tokens by the digest of what the identity provider sends, and their metadata in the
//! tenant's own partition. The token itself is never stored.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{FORMAT, Item, ItemReader, bare, key_of, number, text};
use super::keys::{self, Key};
use super::settings::Settings;
use super::tables::EXPIRES;
use super::trace::Trace;
use super::write::{Cancelled, Change, Condition, Role, Transaction};
use super::{Cx, Store, StoreError, TenantId};
use crate::limits::{TOKEN_ROW_KEPT_DAYS, TOKENS_MAX};
use crate::moment::{Moment, Timestamp};
use crate::scim::error::{ErrorKind, ScimError};

/// Token rows that are read at most: the living ones, and those that are kept to say that they are not.
const TOKEN_ROWS_MAX: usize = 20_000;

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
    /// The digest of the secret.
    pub digest: String,
}

impl Store {
    /// What a digest stands for: one strongly consistent read. `None` when it stands for nothing.
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
        let reader = ItemReader::new(&item)?;
        let tenant = TenantId::parse(reader.text("tenant")?);
        Ok(Some(Grant {
            tenant: tenant.map_err(|_| reader.corrupt("tenant"))?,
            token: reader.text("token")?.to_owned(),
            valid_until: reader.timestamp("validUntil")?,
            revoked: revoked(&item, &reader)?,
            settings: Settings::read(&item)?,
        }))
    }

    /// Issues a token: its row in the secrets table and its metadata, on the condition that the settings are as they
    /// were read, which it moves, so that a change of the settings never misses a row.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile; [`StoreError::Refused`] when there are too many tokens.
    pub async fn issue(&self, cx: &Cx<'_>, new: &NewToken) -> Result<(), StoreError> {
        let now = cx.moment.now();
        let alive = self.token_infos(cx).await?.iter().filter(|token| token.is_alive(now)).count();
        if alive >= TOKENS_MAX {
            let detail = format!("a tenant has at most {TOKENS_MAX} live tokens; revoke one first");
            return Err(StoreError::Refused(ScimError::new(ErrorKind::TooMany, detail)));
        }
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        let mut settings = cx.settings.clone();
        settings.version += 1;
        let done = self
            .commit(cx.moment, tenant, Trace::Written(Key::token(&new.id)), |t| {
                self.add_settings_move(t, cx)?;
                let mut info = bare(tenant, &Key::token(&new.id));
                let validity = [
                    ("validUntil".to_owned(), text(new.valid_until.to_string())),
                    ("created".to_owned(), text(now.to_string())),
                ];
                info.extend(validity.clone());
                info.insert("label".to_owned(), text(new.label.as_str()));
                info.insert("digest".to_owned(), text(new.digest.as_str()));
                info.insert("rid".to_owned(), text(t.written_by()));
                t.put(Role::Own, table, info, Condition::Absent)?;
                let mut row = secret_key(&new.digest);
                row.extend(validity);
                row.insert("v".to_owned(), number(FORMAT));
                row.insert("tenant".to_owned(), text(tenant));
                row.insert("token".to_owned(), text(new.id.as_str()));
                let kept = new.valid_until.plus_seconds(TOKEN_ROW_KEPT_DAYS * 86_400);
                row.insert(EXPIRES.to_owned(), number(kept.unix_seconds()));
                settings.write(&mut row);
                t.put(Role::Own, &self.tables.secrets, row, Condition::Absent)?;
                Ok(())
            })
            .await;
        done.map_err(Cancelled::error)
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

    /// Revokes a token: from the next look-up on it opens nothing. Its row stays for a while, to say so.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is gone meanwhile.
    pub async fn revoke(&self, cx: &Cx<'_>, token: &TokenInfo) -> Result<(), StoreError> {
        let trace = Trace::Written(Key::token(&token.id));
        let done = self
            .commit(cx.moment, cx.tenant.as_str(), trace, |t| {
                self.add_revocation(t, cx, token, Vec::new())
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// The actions that revoke a token; `others` are attributes that its row gets beside.
    pub(super) fn add_revocation(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        token: &TokenInfo,
        others: Vec<(String, AttributeValue)>,
    ) -> Result<(), StoreError> {
        let now = cx.moment.now();
        let kept = now.plus_seconds(TOKEN_ROW_KEPT_DAYS * 86_400).unix_seconds();
        let revoked = ("revoked".to_owned(), text(now.to_string()));
        let set = vec![revoked.clone(), ("rid".to_owned(), text(t.written_by()))];
        let change = Change { set, ..Change::default() };
        let key = key_of(cx.tenant.as_str(), &Key::token(&token.id));
        t.update(Role::Own, &self.tables.directory, key, change, Condition::Present)?;
        let mut set = others;
        set.extend([revoked, (EXPIRES.to_owned(), number(kept))]);
        let change = Change { set, ..Change::default() };
        let row = secret_key(&token.digest);
        t.update(Role::Own, &self.tables.secrets, row, change, Condition::Present)
    }

    /// Removes a token without a trace.
    ///
    /// # Errors
    /// As any write.
    pub async fn forget(&self, cx: &Cx<'_>, token: &TokenInfo) -> Result<(), StoreError> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        let key = Key::token(&token.id);
        let done = self
            .commit(cx.moment, tenant, Trace::Gone(key.clone()), |t| {
                let same = Condition::Equal(vec![("digest", text(token.digest.as_str()))]);
                t.delete(Role::Own, table, key_of(tenant, &key), same)?;
                let row = secret_key(&token.digest);
                let same = Condition::Equal(vec![("token", text(token.id.as_str()))]);
                // DynamoDB's TTL may have taken the row already; then only the metadata is left to remove.
                t.delete(Role::Part(0), &self.tables.secrets, row, same)?;
                Ok(())
            })
            .await;
        match done {
            Ok(()) => Ok(()),
            Err(Cancelled::Parts(_)) => self.forget_info(cx, token).await,
            Err(Cancelled::Error(error)) => Err(error),
        }
    }

    async fn forget_info(&self, cx: &Cx<'_>, token: &TokenInfo) -> Result<(), StoreError> {
        let key = Key::token(&token.id);
        let tenant = cx.tenant.as_str();
        let done = self
            .commit(cx.moment, tenant, Trace::Gone(key.clone()), |t| {
                let same = Condition::Equal(vec![("digest", text(token.digest.as_str()))]);
                t.delete(Role::Own, &self.tables.directory, key_of(tenant, &key), same)?;
                Ok(())
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// Moves the settings' version, on the condition that it is as it was read.
    pub(super) fn add_settings_move(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
    ) -> Result<(), StoreError> {
        let change = Change { add: vec![("settingsVersion", 1)], ..Change::default() };
        let as_read = Condition::Equal(vec![("settingsVersion", number(cx.settings.version))]);
        let key = key_of(cx.tenant.as_str(), &Key::settings());
        t.update(Role::Own, &self.tables.directory, key, change, as_read)
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
        digest: reader.text("digest")?.to_owned(),
    })
}
