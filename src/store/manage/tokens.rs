//! Tokens: issued, revoked, forgotten.

use aws_sdk_dynamodb::types::AttributeValue;

use super::super::item::{FORMAT, key_of, number, text};
use super::super::journal::Event;
use super::super::keys::Key;
use super::super::tables::EXPIRES;
use super::super::tokens::{LIMITED, NewToken, SORT, TokenInfo, secret_key};
use super::super::trace::Trace;
use super::super::write::{Cancelled, Change, Condition, Role, Transaction};
use super::super::{Cx, Store, StoreError};
use crate::limits::{TOKEN_ROW_KEPT_DAYS, TOKENS_MAX};
use crate::scim::error::{ErrorKind, ScimError};

impl Store {
    /// Issues a token: its row in the secrets table and its metadata, on the condition that the settings are as they
    /// were read, which it moves, so that a change of the settings never misses a row. `told` is what the journal says of
    /// it.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile; [`StoreError::Refused`] when there are too many tokens.
    pub async fn issue(
        &self,
        cx: &Cx<'_>,
        new: &NewToken,
        told: Option<Event>,
    ) -> Result<(), StoreError> {
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
                let validity = [
                    ("validUntil".to_owned(), text(new.valid_until.to_string())),
                    ("created".to_owned(), text(now.to_string())),
                ];
                let mut set = validity.to_vec();
                set.extend([
                    ("v".to_owned(), number(FORMAT)),
                    ("label".to_owned(), text(new.label.as_str())),
                    ("tail".to_owned(), text(new.tail.as_str())),
                    ("digest".to_owned(), text(new.digest.as_str())),
                    ("rid".to_owned(), text(t.written_by())),
                ]);
                set.extend(new.scopes.attribute());
                // An update, although nothing is there: who may not put items into Directory may still issue tokens.
                let (key, change) = (Key::token(&new.id), Change { set, ..Change::default() });
                t.update(Role::Own, table, key_of(tenant, &key), change, Condition::Absent)?;
                let mut row = secret_key(&new.digest);
                row.extend(validity);
                row.insert("v".to_owned(), number(FORMAT));
                row.insert("tenant".to_owned(), text(tenant));
                row.insert("token".to_owned(), text(new.id.as_str()));
                let kept = new.valid_until.plus_seconds(TOKEN_ROW_KEPT_DAYS * 86_400);
                row.insert(EXPIRES.to_owned(), number(kept.unix_seconds()));
                settings.write(&mut row);
                if let Some(scopes) = new.scopes.attribute() {
                    row.extend([scopes, (SORT.to_owned(), text(LIMITED))]);
                }
                t.put(Role::Own, &self.tables.secrets, row, Condition::Absent)?;
                self.add_told(t, cx, told, &new.id)
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// Revokes a token: from the next look-up on it opens nothing. Its row stays for a while, to say so. `told` is what the
    /// journal says of it.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is gone meanwhile.
    pub async fn revoke(
        &self,
        cx: &Cx<'_>,
        token: &TokenInfo,
        told: Option<Event>,
    ) -> Result<(), StoreError> {
        let trace = Trace::Written(Key::token(&token.id));
        let done = self
            .commit(cx.moment, cx.tenant.as_str(), trace, |t| {
                if told.is_some() {
                    self.add_settings_move(t, cx)?;
                }
                self.add_revocation(t, cx, token, Vec::new())?;
                self.add_told(t, cx, told, &token.id)
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// The actions that revoke a token; `others` are attributes that its row gets beside.
    pub(in crate::store) fn add_revocation(
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
    pub(in crate::store) fn add_settings_move(
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
