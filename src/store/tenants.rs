//! Tenants: the registry, the settings, and when they were last seen.

use std::collections::HashMap;

use super::item::{FORMAT, Item, ItemReader, number, text};
use super::keys::{Key, REGISTRY};
use super::settings::Settings;
use super::write::{Change, Condition};
use super::{Cx, Store, StoreError, TenantId};
use crate::moment::{Moment, Timestamp};

/// Prefix of the registry's rows.
const ROWS: &str = "tenant#";

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
    /// this is done at most once a minute, and when what comes of the calls changes.
    ///
    /// # Errors
    /// As any write; the caller ignores it.
    pub async fn note_activity(
        &self,
        cx: &Cx<'_>,
        (what, came): (&[&str], CameOf),
    ) -> Result<(), StoreError> {
        let now = text(cx.moment.now().to_string());
        let (set_too, remove) = match came {
            // What is right needs no second attribute: the item stays small.
            CameOf::LetIn => (token_used(cx.actor), vec![token_refused(cx.actor).into()]),
            CameOf::Refused => (token_refused(cx.actor), Vec::new()),
        };
        let mut set = vec![("v".to_owned(), number(FORMAT)), (set_too, now.clone())];
        set.extend(what.iter().map(|name| ((*name).to_owned(), now.clone())));
        let change = Change { set, remove, ..Change::default() };
        let (tenant, key) = (cx.tenant.as_str(), Key::activity());
        self.update_alone(cx.moment, tenant, &key, change, Condition::Any).await.map(|_| ())
    }
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameOf {
    /// It was done.
    LetIn,
    /// It was refused: by what it asked for, or at the door.
    Refused,
}

/// When calls came with a token, to about a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenUse {
    /// When one was last let in.
    pub let_in: Option<Timestamp>,
    /// When the last one came, if it was refused.
    pub refused: Option<Timestamp>,
}

impl TokenUse {
    /// What the times of the activity item say of a token.
    pub fn of(times: &HashMap<String, Timestamp>, token: &str) -> Self {
        let let_in = times.get(&token_used(token)).copied();
        let refused = times.get(&token_refused(token)).copied();
        // A version that does not know of refusals leaves theirs where it is.
        Self { let_in, refused: refused.filter(|at| let_in.is_none_or(|let_in| let_in <= *at)) }
    }

    /// When the last one came, whatever came of it.
    pub fn last(self) -> Option<Timestamp> {
        self.let_in.max(self.refused)
    }
}

/// The attribute of the activity item that says when a call with a token was last let in.
fn token_used(token: &str) -> String {
    format!("used:{token}")
}

/// The one that says when it was refused, until one is let in.
fn token_refused(token: &str) -> String {
    format!("refused:{token}")
}

/// The key of a tenant's row in the registry.
pub(super) fn registry_key(tenant: &TenantId) -> Key {
    Key::stored(&format!("{ROWS}{tenant}"))
}
