//! The arguments of `scimctl`, and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::brake::BrakeArguments;
use super::cost::CostArguments;
use super::docs::DocsArguments;
pub(super) use super::feed_args::{ChangesArguments, JournalArguments};
pub(super) use super::insight_args::{HealthArguments, LogArguments, WhyArguments};
use super::load::LoadArguments;
use super::portal::{PortalArguments, public_url};
use super::saml::SamlArguments;
use super::schema::SchemaArguments;
use super::serve::LogLevel;
use super::simulate::SimulateArguments;
use super::token::TokenArguments;
use super::watch::WatchArguments;
use crate::limits::{TENANT_RATE_MIN, TOKEN_CACHE_SECONDS_MAX};
use crate::moment::Timestamp;
use crate::scim::catalog::Kind;
use crate::scim::discovery::GroupNames;
use crate::scim::domain::Domain;
use crate::store::TenantId;

/// The tenant that `serve` has when nobody names one.
const DEFAULT_TENANT: &str = "demo";
/// The port of `serve` when nobody names one.
const DEFAULT_PORT: u16 = 8080;
/// The port of the page of `demo` when nobody names one.
const DEMO_PORT: u16 = 8090;

/// A SCIM 2.0 endpoint on this machine, and the tenants and tokens of one that is deployed.
///
/// Without a command: `scimctl serve`.
#[derive(Debug, Parser)]
#[command(name = "scimctl", version, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    /// How results are written: text for people, or one line of JSON
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start the endpoint on this machine, with an embedded DynamoDB
    Serve(ServeArguments),
    /// Show a sample app that listens to the endpoint, on one page, while a small story is told
    Demo(DemoArguments),
    /// Create, list, show, mark, disable, enable, release and delete tenants
    Tenant(TenantArguments),
    /// Issue, list, rotate and revoke tokens
    Token(TokenArguments),
    /// Make, list and revoke the links with which a customer's admin sets a workspace up
    Portal(PortalArguments),
    /// Set the brake on mass changes, and release or reject what it holds back
    Brake(BrakeArguments),
    /// Prove a tenant's data whole
    Check(CheckArguments),
    /// Move users and groups to the format of this version
    Migrate(MigrateArguments),
    /// Tell the app again how everything is
    Resync(ResyncArguments),
    /// What the identity provider did, for people: the provisioning log
    Log(LogArguments),
    /// Why somebody is not there, or may not come in
    Why(WhyArguments),
    /// Whether the identity provider calls, and is answered well; ends with 1 unless it is healthy
    Health(HealthArguments),
    /// Tell somebody which tenants need a look
    Watch(WatchArguments),
    /// Read the feed of changes, acknowledge them, measure how long that takes
    Changes(ChangesArguments),
    /// Erase a person from a tenant's journal
    Journal(JournalArguments),
    /// Bring existing people and groups into a tenant, from JSON lines or CSV
    Import(ImportArguments),
    /// Write a tenant's people and groups as JSON lines that `import` reads
    Export(ExportArguments),
    /// Check schema files of your own before they are deployed
    Schema(SchemaArguments),
    /// Print documents for your customers
    Docs(DocsArguments),
    /// What a stack costs a month with so many people
    Cost(CostArguments),
    /// Rehearse: play Entra's sync cycles against an endpoint, and compare what is there with what should be
    Simulate(Box<SimulateArguments>),
    /// Measure how fast an endpoint answers the requests of an initial and an incremental cycle
    Load(LoadArguments),
}

#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// The port on 127.0.0.1; 0 takes any free one
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PORT)]
    pub(super) port: u16,

    /// Keep the data in this SQLite file; without it they are gone when the server ends
    #[arg(long, value_name = "FILE")]
    pub(super) data: Option<PathBuf>,

    /// A tenant; repeat it for more. Each start issues each a token that is good for 7 days
    #[arg(long = "tenant", value_name = "NAME", value_parser = tenant, default_value = DEFAULT_TENANT)]
    pub(super) tenants: Vec<TenantId>,

    /// Where people reach this server, when a tunnel or a proxy is in front of it
    #[arg(long, value_name = "URL", value_parser = public_url)]
    pub(super) public_url: Option<String>,

    /// Answer 429 above so many requests per second and tenant; 0, the default, never
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(super) rate: Option<u32>,

    /// Count a token as known for so long after it was looked up; the Lambda does for 30 s
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=TOKEN_CACHE_SECONDS_MAX))]
    pub(super) token_cache: u64,

    /// What is logged to standard error; info is one line a request [default: warn, or what RUST_LOG says]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(super) log: Option<LogLevel>,

    /// Take the schema files of this folder instead of those that were built in, and switch them on for the tenants [env:
    /// SCIM_SCHEMAS]
    #[arg(long, value_name = "DIR")]
    pub(super) schemas: Option<PathBuf>,
}

impl Default for ServeArguments {
    fn default() -> Self {
        let tenants = TenantId::parse(DEFAULT_TENANT).into_iter().collect();
        Self {
            port: DEFAULT_PORT,
            data: None,
            tenants,
            public_url: None,
            rate: None,
            token_cache: 0,
            log: None,
            schemas: None,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// The port of the page on 127.0.0.1; 0 takes any free one
    #[arg(long, value_name = "N", default_value_t = DEMO_PORT)]
    pub(super) port: u16,
}

#[derive(Debug, Args)]
pub(super) struct TenantArguments {
    #[command(subcommand)]
    pub(super) command: TenantCommand,

    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Create a tenant
    Create {
        /// Its name: lower-case letters, digits and hyphens
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// An attribute that users are found by; repeat it for more [default: emails.value]
        #[arg(long = "match-attribute", value_name = "PATH")]
        match_attributes: Vec<String>,
        /// Whether two groups may have one name; Entra needs unique
        #[arg(long, value_enum, default_value_t)]
        group_names: GroupNamesChoice,
        /// Mark it as one to be rehearsed in: `scimctl simulate` takes it even when it is not empty
        #[arg(long)]
        rehearsal: bool,
    },
    /// Change what can be changed about a tenant
    Set {
        /// Its name
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// Whether it is there to be rehearsed in
        #[arg(long, value_name = "true|false", required_unless_present_any = ["domains", "any_domain", "schemas", "no_schemas"])]
        rehearsal: Option<bool>,
        /// An e-mail domain whose people it takes, instead of those that were named before; repeat it for more
        #[arg(long = "domain", value_name = "DOMAIN", value_parser = domain, conflicts_with = "any_domain")]
        domains: Vec<Domain>,
        /// Take people of every e-mail domain, as in the beginning
        #[arg(long)]
        any_domain: bool,
        /// The URNs of the schemas of your own that it has, instead of those that were named before
        #[arg(long, value_name = "URN,URN", value_delimiter = ',', conflicts_with = "no_schemas")]
        schemas: Vec<String>,
        /// Switch every schema of your own off, as in the beginning
        #[arg(long)]
        no_schemas: bool,
    },
    /// List the tenants
    List,
    /// Show a tenant's settings, counts, last calls and tokens
    Show {
        /// Its name
        #[arg(value_parser = tenant)]
        tenant: TenantId,
    },
    /// Refuse a tenant's calls with 403
    Disable {
        /// Its name
        #[arg(value_parser = tenant)]
        tenant: TenantId,
    },
    /// Serve a tenant's calls again
    Enable {
        /// Its name
        #[arg(value_parser = tenant)]
        tenant: TenantId,
    },
    /// Say how a tenant's people sign in: SCIM can be switched on in the portal only then
    Saml(SamlArguments),
    /// Say that somebody has signed in over SAML
    SamlSeen {
        /// Its name
        #[arg(value_parser = tenant)]
        tenant: TenantId,
    },
    /// End SCIM for a tenant whose people stay: its calls get 403, its tokens are revoked, the journal says so
    Release {
        /// Its name
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// Do not ask for the name again
        #[arg(long)]
        yes: bool,
    },
    /// Delete a tenant with everything that it has
    Delete {
        /// Its name
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// Do not ask for the name again
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum GroupNamesChoice {
    #[default]
    Unique,
    Free,
}

impl From<GroupNamesChoice> for GroupNames {
    fn from(choice: GroupNamesChoice) -> Self {
        match choice {
            GroupNamesChoice::Unique => Self::Unique,
            GroupNamesChoice::Free => Self::Free,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The tenant
    #[arg(value_parser = tenant)]
    pub(super) tenant: TenantId,

    /// Repair what can be repaired without guessing
    #[arg(long)]
    pub(super) repair: bool,

    #[command(flatten)]
    pub(super) place: Place,
}

/// Move users and groups to the format of this version.
///
/// Run it when the deployment is complete: no function of an older version runs any more, no gradual deployment is under
/// way, no import is running. After it a version that knows only the format before cannot read these people, so first
/// be sure that you will not go back to one. It may be stopped and run again, and runs beside live traffic.
#[derive(Debug, Args)]
pub(super) struct MigrateArguments {
    /// The tenant
    #[arg(value_parser = tenant, required_unless_present = "all", conflicts_with = "all")]
    pub(super) tenant: Option<TenantId>,

    /// Every tenant
    #[arg(long)]
    pub(super) all: bool,

    /// Only count the items of each format, and say what would be done
    #[arg(long, visible_alias = "status", conflicts_with = "yes")]
    pub(super) dry_run: bool,

    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,

    #[command(flatten)]
    pub(super) place: Place,
}

/// Tell the app again how everything is.
///
/// Each user and group gets a version above any that an app can have seen, and an item in the journal (misc:snapshot). Run
/// it after a restore, when the app's cursor has expired, or when the app has lost its database.
#[derive(Debug, Args)]
pub(super) struct ResyncArguments {
    /// The tenant
    #[arg(value_parser = tenant)]
    pub(super) tenant: TenantId,

    /// Only users
    #[arg(long, conflicts_with = "groups")]
    pub(super) users: bool,

    /// Only groups
    #[arg(long)]
    pub(super) groups: bool,

    /// Go on with the run that began there, as it said when it stopped
    #[arg(long, value_name = "ID")]
    pub(super) since: Option<uuid::Uuid>,

    /// First switch off whoever has left after that time by what the journal says, such as 2026-11-21T08:00:00Z: the
    /// instant to which the Directory table was restored
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) leavers_after: Option<Timestamp>,

    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// The file: JSON lines or CSV, in UTF-8. docs/IMPORT.md has the format
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,

    /// The tenant that gets them
    #[arg(long, value_name = "NAME", value_parser = tenant)]
    pub(super) tenant: TenantId,

    /// What the rows are, when they do not say so themselves
    #[arg(long, value_enum, value_name = "KIND")]
    pub(super) kind: Option<KindChoice>,

    /// Write nothing; say what would happen, and which rows conflict
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Write the file's values over those of people and groups that are there [default: they stay as they are]
    #[arg(long)]
    pub(super) update: bool,

    /// Take an export that has lost its end
    #[arg(long)]
    pub(super) partial: bool,

    /// Leave out the rows before this line
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) from_line: usize,

    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum KindChoice {
    User,
    Group,
}

impl From<KindChoice> for Kind {
    fn from(choice: KindChoice) -> Self {
        match choice {
            KindChoice::User => Self::User,
            KindChoice::Group => Self::Group,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// The file to write [default: standard output]
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,

    /// The tenant
    #[arg(long, value_name = "NAME", value_parser = tenant)]
    pub(super) tenant: TenantId,

    #[command(flatten)]
    pub(super) place: Place,
}

/// Where the tables are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where the tables are")]
pub(super) struct Place {
    /// The DynamoDB address that `scimctl serve` prints
    #[arg(long, global = true, value_name = "URL", conflicts_with = "stack")]
    pub(super) endpoint_url: Option<String>,

    /// The CloudFormation stack of the deployed endpoint
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) stack: Option<String>,

    /// The AWS region [default: as the AWS CLI has it]
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) region: Option<String>,

    /// The AWS profile [default: as the AWS CLI has it]
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) profile: Option<String>,

    /// The table of users and groups [env: DIRECTORY_TABLE]
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "stack")]
    pub(super) directory_table: Option<String>,

    /// The table of token digests [env: SECRETS_TABLE]
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "stack")]
    pub(super) secrets_table: Option<String>,

    /// The table of changes [env: JOURNAL_TABLE]
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "stack")]
    pub(super) journal_table: Option<String>,
}

pub(super) fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).map_err(|error| error.to_string())
}

fn domain(text: &str) -> Result<Domain, String> {
    Domain::parse(text).ok_or_else(|| "a domain is written like example.com".to_owned())
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| {
        "a time is written like 2026-11-21T08:00:00Z, in UTC or with a zone".to_owned()
    })
}

fn rate(text: &str) -> Result<u32, String> {
    let rate = text.parse().ok().filter(|rate| *rate == 0 || *rate >= TENANT_RATE_MIN);
    rate.ok_or_else(|| {
        format!("0 or at least {TENANT_RATE_MIN}: identity providers need 25 requests a second")
    })
}
