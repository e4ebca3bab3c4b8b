//! The arguments of `scimctl log`, `scimctl why` and `scimctl health`, and their help.

use clap::Args;
use uuid::Uuid;

use super::args::{Place, tenant};
use crate::insight::log::{Action, Outcome};
use crate::moment::Timestamp;
use crate::store::TenantId;

/// Rows that are shown when nobody says how many.
const ROWS: u64 = 100;

/// What the identity provider did, for people: who, when, what, and why something was refused.
///
/// The last rows, in order of time. For programs there is `scimctl changes`, the feed, which misses nothing and can be gone
/// on with.
#[derive(Debug, Args)]
pub(super) struct LogArguments {
    /// The tenant
    #[arg(value_parser = tenant)]
    pub(super) tenant: TenantId,

    /// Only what is about this person or group: a part of the userName or displayName, or the whole externalId or id
    #[arg(long, value_name = "NAME")]
    pub(super) person: Option<String>,

    /// Only this: create, update, disable, enable, delete, members or other
    #[arg(long, value_name = "WORD", value_parser = action)]
    pub(super) action: Option<Action>,

    /// Only with this outcome: success, failure or skipped
    #[arg(long, value_name = "WORD", value_parser = outcome)]
    pub(super) outcome: Option<Outcome>,

    /// Only since then: 2026-11-21T08:00:00Z, or 30m, 12h, 7d ago
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(super) since: Option<When>,

    /// Only before then, written like --since
    #[arg(long, value_name = "TIME", value_parser = when, conflicts_with = "follow")]
    pub(super) until: Option<When>,

    /// Show the last so many rows
    #[arg(long, value_name = "N", default_value_t = ROWS, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) limit: u64,

    /// Go on for ever, 15 s behind now; Ctrl-C ends it
    #[arg(long)]
    pub(super) follow: bool,

    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Args)]
pub(super) struct WhyArguments {
    /// The tenant
    #[arg(value_parser = tenant)]
    pub(super) tenant: TenantId,

    /// The person: a userName, externalId, e-mail address or id, whole
    #[arg(value_name = "NAME")]
    pub(super) name: String,

    /// Go on looking before this, as the command said when it stopped
    #[arg(long, value_name = "AT")]
    pub(super) before: Option<Uuid>,

    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Args)]
pub(super) struct HealthArguments {
    /// The tenant
    #[arg(value_parser = tenant)]
    pub(super) tenant: TenantId,

    #[command(flatten)]
    pub(super) place: Place,
}

/// A point in time, or so many seconds ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    At(Timestamp),
    Ago(i64),
}

impl When {
    pub(super) fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(seconds) => now.plus_seconds(-seconds),
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    let ago = || {
        let unit = match text.chars().last()? {
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let count: u32 = text.get(..text.len() - 1)?.parse().ok()?;
        Some(When::Ago(i64::from(count).checked_mul(unit)?))
    };
    Timestamp::parse(text).map(When::At).or_else(ago).ok_or_else(|| {
        "a time is written like 2026-11-21T08:00:00Z, or 30m, 12h, 7d for so long ago".to_owned()
    })
}

fn action(word: &str) -> Result<Action, String> {
    let words = Action::ALL.map(Action::word).join(", ");
    Action::parse(word).ok_or_else(|| format!("it is one of {words}"))
}

fn outcome(word: &str) -> Result<Outcome, String> {
    let words = Outcome::ALL.map(Outcome::word).join(", ");
    Outcome::parse(word).ok_or_else(|| format!("it is one of {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_or_so_long_ago() {
        let ago = |text| when(text).ok();
        assert_eq!(ago("30m"), Some(When::Ago(1_800)));
        assert_eq!(ago("12h"), Some(When::Ago(43_200)));
        assert_eq!(ago("7d"), Some(When::Ago(604_800)));
        let at = Timestamp::parse("2026-11-21T08:00:00Z").map(When::At);
        assert_eq!(ago("2026-11-21T08:00:00Z"), at);
        for text in ["", "d", "-1d", "7w", "7 d", "yesterday", "é"] {
            assert!(when(text).is_err(), "{text}");
        }
    }
}
