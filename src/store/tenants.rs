//! Tenants: the registry, the settings, and the end of a tenant.

use std::collections::HashMap;

use super::item::{FORMAT, Item, ItemReader, bare, key_of, number, text};
use super::journal::Event;
use super::keys::{Key, REGISTRY};
use super::settings::{Settings, Status};
use super::tokens::secret_key;
use super::trace::Trace;
use super::write::{Cancelled, Change, Condition, Role};
use super::{Cx, Store, StoreError, TenantId};
use crate::limits::TRANSACTION_ACTIONS_MAX;
use crate::moment::{Moment, Timestamp};

/// Prefix of the registry's rows.
const ROWS: &str = "tenant#";

/// What a change of the settings means for the live tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tokens {
    /// They stay, with the new settings in their rows.
    Stay,
    /// They open nothing any more.
    Revoked,
}

/// A tenant as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantInfo {
    /// Its name.
    pub tenant: TenantId,
    /// When it was created.
    pub created: Timestamp,
}

/// Tenants, and the one after which the next ones come.
#[derive(Clone, Debug)]
pub struct TenantPage {
    /// In order of their names.
    pub tenants: Vec<TenantInfo>,
    /// Where to go on.
    pub next: Option<TenantId>,
}

impl Store {
    /// Creates a tenant: its settings and its row in the registry.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when there is one of that name, one being deleted included.
    pub async fn create_tenant(&self, cx: &Cx<'_>) -> Result<(), StoreError> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        let now = text(cx.moment.now().to_string());
        let done = self
            .commit(cx.moment, tenant, Trace::Written(Key::settings()), |t| {
                let mut item = bare(tenant, &Key::settings());
                item.insert("created".to_owned(), now.clone());
                item.insert("rid".to_owned(), text(t.written_by()));
                cx.settings.write(&mut item);
                t.put(Role::Own, table, item, Condition::Absent)?;
                let mut row = bare(REGISTRY, &registry_key(cx.tenant));
                row.insert("created".to_owned(), now.clone());
                t.put(Role::Own, table, row, Condition::Absent)?;
                Ok(())
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// A page of the registry.
    ///
    /// # Errors
    /// As any read.
    pub async fn tenants(
        &self,
        moment: &Moment,
        after: Option<&TenantId>,
        most: usize,
    ) -> Result<TenantPage, StoreError> {
        let after = after.map(registry_key);
        let read = self.query(moment, REGISTRY, ROWS, after.as_ref(), most).await?;
        let name =
            |key: &Key| key.as_str().strip_prefix(ROWS).and_then(|name| TenantId::parse(name).ok());
        let info = |item: &Item| {
            let reader = ItemReader::new(item)?;
            let tenant = name(&reader.key()?).ok_or_else(|| reader.corrupt("key"))?;
            Ok(TenantInfo { tenant, created: reader.timestamp("created")? })
        };
        let tenants = read.items.iter().map(info).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(TenantPage { tenants, next: read.next.as_ref().and_then(name) })
    }

    /// A tenant's settings and when it was created; `None` when there is no such tenant.
    ///
    /// # Errors
    /// As any read.
    pub async fn settings(
        &self,
        moment: &Moment,
        tenant: &TenantId,
    ) -> Result<Option<(Settings, Timestamp)>, StoreError> {
        let Some(item) = self.get_key(moment, tenant.as_str(), &Key::settings()).await? else {
            return Ok(None);
        };
        let created = ItemReader::new(&item)?.timestamp("created")?;
        Ok(Some((Settings::read(&item)?, created)))
    }

    /// Enables, disables, or begins to delete a tenant: one transaction over its settings and its live tokens' rows.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile: read them again.
    pub async fn set_status(&self, cx: &Cx<'_>, status: Status) -> Result<(), StoreError> {
        let after = Settings { status, ..cx.settings.clone() };
        self.change_settings(cx, after, Tokens::Stay).await.map(|_| ())
    }

    /// Marks a tenant as one to be rehearsed in, or takes the mark away.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile: read them again.
    pub async fn set_rehearsal(&self, cx: &Cx<'_>, is_rehearsal: bool) -> Result<(), StoreError> {
        let after = Settings { is_rehearsal, ..cx.settings.clone() };
        self.change_settings(cx, after, Tokens::Stay).await.map(|_| ())
    }

    /// Has the tenant's users and groups written in that format from now on. Whoever remembers a token still writes the
    /// one before, for as long as tokens are remembered.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile: read them again.
    pub async fn set_resource_format(&self, cx: &Cx<'_>, format: u64) -> Result<(), StoreError> {
        let after = Settings { resource_format: format, ..cx.settings.clone() };
        self.change_settings(cx, after, Tokens::Stay).await.map(|_| ())
    }

    /// Releases a tenant: SCIM ends, every live token is revoked, the journal says so, the people stay. Returns how many
    /// tokens that were.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile: read them again.
    pub async fn release(&self, cx: &Cx<'_>) -> Result<usize, StoreError> {
        let after = Settings { status: Status::Released, ..cx.settings.clone() };
        self.change_settings(cx, after, Tokens::Revoked).await
    }

    /// One transaction over the settings and the live tokens' rows; returns how many of these there are.
    async fn change_settings(
        &self,
        cx: &Cx<'_>,
        mut after: Settings,
        tokens: Tokens,
    ) -> Result<usize, StoreError> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        let now = cx.moment.now();
        let mut alive = self.token_infos(cx).await?;
        alive.retain(|token| token.is_alive(now));
        after.version = cx.settings.version + 1;
        let done = self
            .commit(cx.moment, tenant, Trace::Written(Key::settings()), |t| {
                let mut set = Item::new();
                after.write(&mut set);
                let for_rows: Vec<_> = set.clone().into_iter().collect();
                set.insert("rid".to_owned(), text(t.written_by()));
                let change = Change { set: set.into_iter().collect(), ..Change::default() };
                let version = number(cx.settings.version);
                let as_read = Condition::Equal(vec![("settingsVersion", version)]);
                let key = key_of(tenant, &Key::settings());
                t.update(Role::Own, table, key, change, as_read)?;
                for token in &alive {
                    if tokens == Tokens::Revoked {
                        self.add_revocation(t, cx, token, for_rows.clone())?;
                        continue;
                    }
                    let change = Change { set: for_rows.clone(), ..Change::default() };
                    let row = secret_key(&token.digest);
                    t.update(Role::Own, &self.tables.secrets, row, change, Condition::Present)?;
                }
                if tokens == Tokens::Revoked {
                    let item = self.item_of_tenant(cx, t.at(), (Event::Released, after.version));
                    t.put(Role::Free, &self.tables.journal, item, Condition::Any)?;
                }
                Ok(())
            })
            .await;
        done.map(|()| alive.len()).map_err(Cancelled::error)
    }

    /// Deletes up to a transaction's size of a tenant's items: first the journal's, then the Directory's, the settings
    /// and the registry's row last. Returns how many; 0 when nothing is left.
    ///
    /// # Errors
    /// As any write; repeating it goes on.
    pub async fn delete_tenant_items(&self, cx: &Cx<'_>) -> Result<usize, StoreError> {
        let tenant = cx.tenant.as_str();
        let journal = self.query_journal_keys(cx, TRANSACTION_ACTIONS_MAX).await?;
        if !journal.is_empty() {
            return self.delete_items(cx, &self.tables.journal, journal).await;
        }
        let most = (0, TRANSACTION_ACTIONS_MAX);
        let items = self.query_slice(cx.moment, tenant, "", most).await?;
        let settings = Key::settings();
        let keys = items.iter().filter_map(Key::in_item);
        let keys = keys.filter(|key| *key != settings).map(|key| key_of(tenant, &key));
        let keys: Vec<Item> = keys.collect();
        if !keys.is_empty() {
            return self.delete_items(cx, &self.tables.directory, keys).await;
        }
        if items.is_empty() {
            return Ok(0);
        }
        let last = vec![key_of(tenant, &settings), key_of(REGISTRY, &registry_key(cx.tenant))];
        self.delete_items(cx, &self.tables.directory, last).await
    }

    async fn delete_items(
        &self,
        cx: &Cx<'_>,
        table: &str,
        keys: Vec<Item>,
    ) -> Result<usize, StoreError> {
        let done = self
            .commit(cx.moment, cx.tenant.as_str(), Trace::Gone(Key::settings()), |t| {
                for key in &keys {
                    t.delete(Role::Part(0), table, key.clone(), Condition::Present)?;
                }
                Ok(())
            })
            .await;
        match done {
            // Somebody else deletes as well: the next look tells what is left.
            Ok(()) | Err(Cancelled::Parts(_)) => Ok(keys.len()),
            Err(Cancelled::Error(error)) => Err(error),
        }
    }

    async fn query_journal_keys(&self, cx: &Cx<'_>, most: usize) -> Result<Vec<Item>, StoreError> {
        // A page may be empty although more items follow.
        let mut after = None;
        loop {
            cx.moment.meter().call();
            let answer = self
                .client
                .query()
                .table_name(&self.tables.journal)
                .key_condition_expression("#t = :t")
                .expression_attribute_names("#t", "tenant")
                .expression_attribute_names("#a", "at")
                .expression_attribute_values(":t", text(cx.tenant.as_str()))
                .projection_expression("#t, #a")
                .set_exclusive_start_key(after)
                .limit(i32::try_from(most).unwrap_or(i32::MAX))
                .consistent_read(true)
                .send()
                .await
                .map_err(super::error::backend)?;
            let items = answer.items.unwrap_or_default();
            after = answer.last_evaluated_key;
            if !items.is_empty() || after.is_none() {
                return Ok(items);
            }
        }
    }

    /// Creates the row that `activity` writes to and later reads.
    ///
    /// # Errors
    /// As any read.
    pub async fn activity(&self, cx: &Cx<'_>) -> Result<HashMap<String, Timestamp>, StoreError> {
        let found = self.get_key(cx.moment, cx.tenant.as_str(), &Key::activity()).await?;
        let times = found.unwrap_or_default();
        let times = times.iter().filter_map(|(name, value)| {
            Some((name.clone(), Timestamp::parse(value.as_s().ok()?)?))
        });
        Ok(times.collect())
    }

    /// Notes that the tenant was called: `what` is `lastCall`, `lastProbe` or `lastRefusal`. The caller sees to it that
    /// this is done at most once a minute.
    ///
    /// # Errors
    /// As any write; the caller ignores it.
    pub async fn note_activity(&self, cx: &Cx<'_>, what: &[&str]) -> Result<(), StoreError> {
        let now = text(cx.moment.now().to_string());
        let mut set = vec![("v".to_owned(), number(FORMAT)), (token_used(cx.actor), now.clone())];
        set.extend(what.iter().map(|name| ((*name).to_owned(), now.clone())));
        let change = Change { set, ..Change::default() };
        let (tenant, key) = (cx.tenant.as_str(), Key::activity());
        self.update_alone(cx.moment, tenant, &key, change, Condition::Any).await.map(|_| ())
    }
}

/// The attribute of the activity item that says when a token was last used.
pub fn token_used(token: &str) -> String {
    format!("used:{token}")
}

/// The key of a tenant's row in the registry.
pub(super) fn registry_key(tenant: &TenantId) -> Key {
    Key::stored(&format!("{ROWS}{tenant}"))
}
