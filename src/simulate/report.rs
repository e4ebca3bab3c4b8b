//! What a rehearsal has done and found.

use std::collections::BTreeMap;

use super::call::Kind;
use super::churn::Change;
use super::codes::{Code, Failure, Health};
use super::provider::Provider;
use super::wire::Timings;

/// What an entry of the log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// A person.
    User,
    /// A person's manager.
    Manager,
    /// A group.
    Group,
    /// A membership.
    Member,
    /// The query for nobody at the beginning.
    Probe,
}

impl Sort {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Manager => "manager",
            Self::Group => "group",
            Self::Member => "member",
            Self::Probe => "probe",
        }
    }
}

/// What was done, as the log calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// POST.
    Create,
    /// PATCH.
    Update,
    /// PATCH of `active` to false.
    Disable,
    /// DELETE.
    Delete,
    /// A member or a manager set.
    Assign,
    /// A member taken away.
    Unassign,
    /// Looked at; nothing differed.
    Skip,
}

impl Action {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Disable => "disable",
            Self::Delete => "delete",
            Self::Assign => "assign",
            Self::Unassign => "unassign",
            Self::Skip => "skip",
        }
    }
}

/// A line of the provisioning log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counted from 1.
    pub cycle: usize,
    /// What it is about.
    pub sort: Sort,
    /// Its name for people.
    pub name: String,
    /// Its key in the source.
    pub subject: String,
    /// What was done.
    pub action: Action,
    /// Why it failed, when it did.
    pub failure: Option<Failure>,
    /// Whether it was a run on demand.
    pub is_on_demand: bool,
    /// A failure that a later attempt made good.
    pub is_made_good: bool,
}

/// A difference between the endpoint and the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Whom or what it is about.
    pub about: String,
    /// What is wrong, in a few words.
    pub what: String,
}

impl Finding {
    pub(super) fn new(about: impl Into<String>, what: impl Into<String>) -> Self {
        Self { about: about.into(), what: what.into() }
    }
}

/// How a cycle came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycleKind {
    /// Everything for the first time.
    Initial,
    /// What has changed since the last.
    Incremental,
    /// No changes: what is left over is tried again.
    Settling,
    /// Nobody has changed, the links are forgotten, and everybody is looked at again.
    Restart,
}

impl CycleKind {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Incremental => "incremental",
            Self::Settling => "settling",
            Self::Restart => "restart",
        }
    }
}

/// One cycle.
#[derive(Clone, Debug)]
pub struct CycleReport {
    /// Counted from 1.
    pub number: usize,
    /// How it came about.
    pub kind: CycleKind,
    /// Whether faults were played.
    pub is_chaotic: bool,
    /// What had happened in the source before.
    pub changes: BTreeMap<Change, usize>,
    /// Entries of the log by action, failures apart.
    pub actions: BTreeMap<Action, usize>,
    /// Failures.
    pub failed: usize,
    /// Requests that the provider would have sent, by kind.
    pub requests: BTreeMap<Kind, usize>,
    /// Where the number of requests is not what the changes make necessary.
    pub formula: Vec<String>,
    /// Where the endpoint differs from the source after it.
    pub findings: Vec<Finding>,
}

impl CycleReport {
    /// Requests that Entra would have sent.
    pub fn requests_in_all(&self) -> usize {
        self.requests.values().sum()
    }

    /// Requests that asked for a change.
    pub fn writes(&self) -> usize {
        self.requests.iter().filter(|(kind, _)| kind.is_write()).map(|(_, count)| count).sum()
    }
}

/// Requests of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindStatistics {
    /// What for.
    pub kind: Kind,
    /// How many.
    pub count: usize,
    /// Microseconds within which half of them were answered.
    pub p50: u64,
    /// Microseconds within which 99 of 100 were answered.
    pub p99: u64,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whose requests they were.
    pub provider: Provider,
    /// The seed that repeats it.
    pub seed: u64,
    /// People in the source at the end.
    pub users: usize,
    /// Groups in the source at the end.
    pub groups: usize,
    /// Memberships in the source at the end.
    pub memberships: usize,
    /// The cycles, in order.
    pub cycles: Vec<CycleReport>,
    /// The log, in order.
    pub log: Vec<Entry>,
    /// Requests by kind.
    pub requests: Vec<KindStatistics>,
    /// How the job would be.
    pub health: Health,
    /// Things that Entra swallows and that are not right.
    pub remarks: BTreeMap<String, usize>,
    /// Faults that were played.
    pub faults: BTreeMap<&'static str, usize>,
}

impl Report {
    /// Where the endpoint differs from the source at the end.
    pub fn findings(&self) -> &[Finding] {
        self.cycles.last().map(|cycle| cycle.findings.as_slice()).unwrap_or_default()
    }

    /// Writes that a restart found necessary although nobody had changed: the endpoint returns something other than it
    /// was sent, and Entra would send it at each restart. The others send everything again without looking.
    pub fn sent_again(&self) -> usize {
        let is_restart = |cycle: &&CycleReport| cycle.kind == CycleKind::Restart;
        let of = |cycle: &CycleReport| {
            let kinds = [Kind::CreateUser, Kind::UpdateUser, Kind::CreateGroup, Kind::UpdateGroup];
            kinds.iter().filter_map(|kind| cycle.requests.get(kind)).sum::<usize>()
        };
        match self.provider {
            Provider::Entra => self.cycles.iter().filter(is_restart).map(of).sum(),
            Provider::Okta | Provider::PingOne | Provider::JumpCloud => 0,
        }
    }

    /// Whether the endpoint ends as the source is, and the provider would be content: nothing is open, and nothing would
    /// be sent again.
    pub fn is_good(&self) -> bool {
        let is_equal = !self.cycles.is_empty() && self.findings().is_empty();
        is_equal && self.health == Health::Healthy && self.sent_again() == 0
    }

    /// How many entries of that action went well.
    pub fn done(&self, action: Action) -> usize {
        self.cycles.iter().filter_map(|cycle| cycle.actions.get(&action)).sum()
    }

    /// The failures that nothing made good.
    pub fn open(&self) -> impl Iterator<Item = &Entry> {
        self.log.iter().filter(|entry| entry.failure.is_some() && !entry.is_made_good)
    }

    /// How many failures had that code.
    pub fn failed_with(&self, code: Code) -> usize {
        let of =
            |entry: &&Entry| entry.failure.as_ref().is_some_and(|failure| failure.code == code);
        self.log.iter().filter(of).count()
    }
}

/// Counts and quantiles of what was measured.
pub(super) fn statistics(timings: Timings) -> Vec<KindStatistics> {
    let each = timings.into_iter().map(|(kind, mut all)| {
        all.sort_unstable();
        let at = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100).saturating_sub(1);
            all.get(rank).copied().unwrap_or(0)
        };
        KindStatistics { kind, count: all.len(), p50: at(50), p99: at(99) }
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_was_measured() {
        let timings = Timings::from([(Kind::Probe, (1..=200).rev().collect())]);
        let of_probes = KindStatistics { kind: Kind::Probe, count: 200, p50: 100, p99: 198 };
        assert_eq!(statistics(timings), [of_probes]);
    }
}
