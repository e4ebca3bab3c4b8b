//! Tenants: created, enabled, disabled, released, deleted.

use super::super::error::backend;
use super::super::item::{FORMAT, Item, key_of, number, text};
use super::super::journal::Event;
use super::super::keys::{Key, REGISTRY};
use super::super::settings::{Brake, Settings, Status};
use super::super::tenants::registry_key;
use super::super::tokens::secret_key;
use super::super::trace::Trace;
use super::super::write::{Cancelled, Change, Condition, Role};
use super::super::{Cx, Store, StoreError};
use crate::limits::TRANSACTION_ACTIONS_MAX;
use crate::scim::domain::Domain;

/// What a change of the settings means for the live tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tokens {
    /// They stay, with the new settings in their rows.
    Stay,
    /// They open nothing any more.
    Revoked,
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
                let created = ("created".to_owned(), now.clone());
                let format = ("v".to_owned(), number(FORMAT));
                let mut item = Item::from([created.clone(), format.clone()]);
                item.insert("rid".to_owned(), text(t.written_by()));
                cx.settings.write(&mut item);
                // Updates, although nothing is there: who may not put items into Directory may still create tenants.
                let change = Change { set: item.into_iter().collect(), ..Change::default() };
                let key = key_of(tenant, &Key::settings());
                t.update(Role::Own, table, key, change, Condition::Absent)?;
                let change = Change { set: vec![created, format], ..Change::default() };
                let key = key_of(REGISTRY, &registry_key(cx.tenant));
                t.update(Role::Own, table, key, change, Condition::Absent)?;
                Ok(())
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// Enables, disables, or begins to delete a tenant: one transaction over its settings and its live tokens' rows. `told`
    /// is what the journal says of it.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile: read them again.
    pub async fn set_status(
        &self,
        cx: &Cx<'_>,
        status: Status,
        told: Option<Event>,
    ) -> Result<(), StoreError> {
        let after = Settings { status, ..cx.settings.clone() };
        self.change_settings(cx, after, (Tokens::Stay, told)).await.map(|_| ())
    }

    /// Marks a tenant as one to be rehearsed in, or takes the mark away.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile: read them again.
    pub async fn set_rehearsal(&self, cx: &Cx<'_>, is_rehearsal: bool) -> Result<(), StoreError> {
        let after = Settings { is_rehearsal, ..cx.settings.clone() };
        self.change_settings(cx, after, (Tokens::Stay, None)).await.map(|_| ())
    }

    /// Sets the e-mail domains of whom the tenant takes; none: everybody.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile: read them again.
    pub async fn set_domains(&self, cx: &Cx<'_>, domains: Vec<Domain>) -> Result<(), StoreError> {
        let after = Settings { domains, ..cx.settings.clone() };
        self.change_settings(cx, after, (Tokens::Stay, None)).await.map(|_| ())
    }

    /// Sets the schemas that the tenant has beside those of every tenant.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile: read them again.
    pub async fn set_schemas(&self, cx: &Cx<'_>, schemas: Vec<String>) -> Result<(), StoreError> {
        let after = Settings { schemas, ..cx.settings.clone() };
        self.change_settings(cx, after, (Tokens::Stay, None)).await.map(|_| ())
    }

    /// Sets what brakes mass changes, or takes the brake away.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile: read them again.
    pub async fn set_brake(&self, cx: &Cx<'_>, brake: Option<Brake>) -> Result<(), StoreError> {
        let after = Settings { brake, had_brake: true, ..cx.settings.clone() };
        self.change_settings(cx, after, (Tokens::Stay, Some(Event::Brake))).await.map(|_| ())
    }

    /// Has the tenant's users and groups written in that format from now on. Whoever remembers a token still writes the
    /// one before, for as long as tokens are remembered.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile: read them again.
    pub async fn set_resource_format(&self, cx: &Cx<'_>, format: u64) -> Result<(), StoreError> {
        let after = Settings { resource_format: format, ..cx.settings.clone() };
        self.change_settings(cx, after, (Tokens::Stay, None)).await.map(|_| ())
    }

    /// Releases a tenant: SCIM ends, every live token is revoked, the journal says so, the people stay. Returns how many
    /// tokens that were.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile: read them again.
    pub async fn release(&self, cx: &Cx<'_>) -> Result<usize, StoreError> {
        let after = Settings { status: Status::Released, ..cx.settings.clone() };
        self.change_settings(cx, after, (Tokens::Revoked, Some(Event::Released))).await
    }

    /// One transaction over the settings and the live tokens' rows; returns how many of these there are.
    async fn change_settings(
        &self,
        cx: &Cx<'_>,
        mut after: Settings,
        (tokens, told): (Tokens, Option<Event>),
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
                self.add_told(t, cx, told, "")
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
                .map_err(backend)?;
            let items = answer.items.unwrap_or_default();
            after = answer.last_evaluated_key;
            if !items.is_empty() || after.is_none() {
                return Ok(items);
            }
        }
    }
}
