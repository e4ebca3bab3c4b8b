//! DynamoDB: the only module that names `aws_sdk_dynamodb`.
//!
//! Three tables; in Directory and Journal the partition key is the tenant and nothing but the tenant.
//!
//! | item of Directory | key | holds |
//! |---|---|---|
//! | user | `user#<userName, folded>` | `id`, `userName` as sent, `externalId`, `active`, `displayName`, `version`, `created`, `lastModified`, `change`, `appId`, and the other attributes in the map `scim` |
//! | id | `id#<uuid v7>` | `ref`: the key of the user item; `memberships`: a number that each add moves |
//! | match | `match#<attribute>#<value, folded>#<user id>` | nothing but its key |
//! | group | `group#<uuid v7>` | as user, without members; `memberships` as in an id item |
//! | resource | `resource#<type>#<uuid v7>` | one of a type of whoever deploys: as a group |
//! | group name | `groupname#<displayName, folded>#<group id>` | nothing but its key |
//! | lock | `unique#displayName#<folded>` | `id`: the group that holds the name |
//! | member | `member#<group id>#<member id>` | `type` of the member |
//! | member of | `memberof#<member id>#<group id>` | nothing but its key |
//! | count | `count#<kind>#<shard>` | `n` |
//! | nesting | `nesting` | `n`: how often groups have come into groups, a number that each time moves |
//! | settings, activity, token | `settings`, `activity`, `token#<id>` | the tenant; when it was last seen; a token's metadata |
//! | traffic | `traffic#<start>` | how often what was asked for in ten minutes; DynamoDB's TTL removes it |
//! | portal, link | `portal`, `link#<id>` | what is known of the tenant's sign-in; a setup link's metadata |
//! | brake, held, settled | `brake`, `held#<at>`, `settled#<at>` | what the brake on mass changes has counted; a change that is held back from the feed, in the map `item`; where it stands in the journal since |
//! | told | `told#<condition>` | when somebody was last told of it, or that nobody wants to be |
//! | work | `work#<id>` | a multi-step job that has to be finished |
//!
//! Every item has `v`, the number of its format: readers accept [`item::FORMAT`] ([`item::RESOURCE_FORMAT`] for users and
//! groups) and the one before. Writers write it; users and groups are written as [`Settings::resource_format`] says.
//! No write without a condition (journal, counters, activity and traffic excepted), no unbounded read, no `Scan`.

pub mod brake;
pub mod check;
pub mod clock;
pub mod error;
pub mod feed;
pub mod item;
pub mod journal;
pub(crate) mod keys;
pub mod links;
pub mod list;
pub mod matches;
pub mod members;
pub mod migrate;
pub mod nesting;
pub mod plan;
pub mod portal;
pub mod resources;
pub mod resync;
pub mod roll;
pub mod scopes;
#[cfg(feature = "cli")]
pub mod seed;
pub mod settings;
pub mod tables;
pub mod tenant;
pub mod tenants;
pub mod tokens;
pub mod told;
pub mod traffic;
pub mod work;

mod delete;
mod manage;
mod read;
mod sets;
mod trace;
mod write;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;

use crate::limits::{JOURNAL_KEPT_DAYS, JOURNAL_KEPT_DAYS_MAX, JOURNAL_KEPT_DAYS_MIN};
use crate::moment::Moment;
use crate::scim::catalog::Catalog;

pub use error::{Field, StoreError};
pub use settings::Settings;
pub use tables::Tables;
pub use tenant::TenantId;
pub use write::Backoff;

/// How long DynamoDB may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection: one that is not there by then will not come.
    pub connect: Duration,
    /// For one HTTP exchange.
    pub attempt: Duration,
    /// For a call, the SDK's own retries included. Readers of the journal stay 15 s behind now, so that nothing can
    /// appear behind them.
    pub operation: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            attempt: Duration::from_secs(2),
            operation: Duration::from_secs(5),
        }
    }
}

/// The SDK's attempts for throttling, lost connections and internal errors.
const SDK_ATTEMPTS: u32 = 3;

/// The tables, and the way to them.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    tables: Tables,
    catalog: std::sync::Arc<Catalog>,
    sets: std::sync::Arc<sets::Sets>,
    journal_days: i64,
    places: std::sync::Arc<roll::Places>,
}

/// Whose data is meant, by which token, and when. Comes first in every call.
#[derive(Clone, Copy, Debug)]
pub struct Cx<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// What the tenant has chosen.
    pub settings: &'a Settings,
    /// The token that asks, for the journal; the job's or the command's name when no token does.
    pub actor: &'a str,
    /// The request's time and chance.
    pub moment: &'a Moment,
}

impl Store {
    /// A store over tables that exist. One client serves a process.
    pub fn new(client: Client, tables: Tables, catalog: std::sync::Arc<Catalog>) -> Self {
        let (sets, places) = (std::sync::Arc::default(), std::sync::Arc::default());
        Self { client, tables, catalog, sets, journal_days: JOURNAL_KEPT_DAYS, places }
    }

    /// A store over the account, region, credentials and endpoint that `config` names.
    pub fn connect(config: &SdkConfig, tables: Tables, catalog: std::sync::Arc<Catalog>) -> Self {
        Self::connect_with(config, tables, catalog, Patience::default())
    }

    /// As [`Store::connect`], with other time limits: an engine on a busy machine may need longer. Without credentials in
    /// `config`, requests are not signed.
    pub fn connect_with(
        config: &SdkConfig,
        tables: Tables,
        catalog: std::sync::Arc<Catalog>,
        patience: Patience,
    ) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(patience.connect)
            .operation_attempt_timeout(patience.attempt)
            .operation_timeout(patience.operation)
            .build();
        let retries = RetryConfig::standard().with_max_attempts(SDK_ATTEMPTS);
        let is_unsigned = config.credentials_provider().is_none();
        let mut config = aws_sdk_dynamodb::config::Builder::from(config)
            .timeout_config(timeouts)
            .retry_config(retries)
            // A body that stalls ends with its attempt, and each is held in memory as a whole.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if is_unsigned {
            config.set_allow_no_auth();
        }
        Self::new(Client::from_conf(config.build()), tables, catalog)
    }

    /// The same, with items of the journal that are kept for so many days (as far as the limits allow).
    #[must_use]
    pub fn with_journal_days(self, days: i64) -> Self {
        let journal_days = days.clamp(JOURNAL_KEPT_DAYS_MIN, JOURNAL_KEPT_DAYS_MAX);
        Self { journal_days, ..self }
    }

    /// The same, with other resource types and schemas.
    #[must_use]
    pub fn with_catalog(self, catalog: std::sync::Arc<Catalog>) -> Self {
        Self { catalog, sets: std::sync::Arc::default(), ..self }
    }

    /// For how many days items of the journal are kept that are written now.
    pub fn journal_days(&self) -> i64 {
        self.journal_days
    }

    /// The resource types and schemas that every tenant has.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Those of a tenant that has chosen so.
    pub fn catalog_of(&self, settings: &Settings) -> std::sync::Arc<Catalog> {
        self.sets.of(&self.catalog, &settings.schemas)
    }

    /// The names of the tables.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }
}
