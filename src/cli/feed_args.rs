//! The arguments of `scimctl changes` and `scimctl journal`, and their help.

use clap::{Args, Subcommand};

use super::args::{Place, tenant};
use crate::moment::Timestamp;
use crate::store::TenantId;
use crate::store::journal::Event;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whose").required(true).args(["tenant", "all"]))]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct ChangesArguments {
    /// Whose feed
    #[arg(long, value_name = "NAME", value_parser = tenant)]
    pub(super) tenant: Option<TenantId>,

    /// The feed of all tenants
    #[arg(long)]
    pub(super) all: bool,

    /// Go on behind this cursor, from a line of JSON [default: from the journal's beginning]
    #[arg(long, value_name = "CURSOR", conflicts_with_all = ["ack", "lag"])]
    pub(super) after: Option<String>,

    /// Go on for ever; Ctrl-C ends it
    #[arg(long, conflicts_with_all = ["ack", "lag"])]
    pub(super) follow: bool,

    /// Stop after so many items
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["ack", "lag"])]
    pub(super) limit: Option<u64>,

    /// Only items with this event; repeat it for more. With --lag, the event to measure [default: user.deactivated]
    #[arg(long = "event", value_name = "NAME", value_parser = event, conflicts_with = "ack")]
    pub(super) events: Vec<String>,

    /// Refused writes as well
    #[arg(long, conflicts_with_all = ["ack", "lag"])]
    pub(super) refused: bool,

    /// Acknowledge this item, by its "at" or its cursor; repeat it for more; - reads one a line from standard input
    #[arg(long, value_name = "AT|CURSOR", num_args = 1.., conflicts_with = "lag")]
    pub(super) ack: Vec<String>,

    /// Who acknowledges: your app's name
    #[arg(long, value_name = "NAME", requires = "ack", default_value = "scimctl")]
    pub(super) by: String,

    /// How long events took to be acknowledged
    #[arg(long)]
    pub(super) lag: bool,

    /// Only events since then, such as 2026-11-21T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time, requires = "lag")]
    pub(super) since: Option<Timestamp>,

    /// Each event as well
    #[arg(long, requires = "lag")]
    pub(super) detail: bool,

    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Args)]
pub(super) struct JournalArguments {
    #[command(subcommand)]
    pub(super) command: JournalCommand,

    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Take a person's name and identifiers out of a tenant's journal; the items stay
    #[command(group = clap::ArgGroup::new("whom").required(true).args(["id", "user_name"]))]
    Erase {
        /// The tenant
        #[arg(long, value_name = "NAME", value_parser = tenant)]
        tenant: TenantId,
        /// The person's id
        #[arg(long)]
        id: Option<String>,
        /// A userName that the person has or had
        #[arg(long, value_name = "NAME")]
        user_name: Option<String>,
        /// Only count what would be erased
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for the name again
        #[arg(long)]
        yes: bool,
    },
}

fn event(text: &str) -> Result<String, String> {
    let names = Event::ALL.map(Event::name);
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("no such event; there are {}", names.join(", ")))
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "a time looks like 2026-11-21T08:00:00Z".to_owned())
}
