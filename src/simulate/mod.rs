//! Microsoft Entra ID as a SCIM client, and three other identity providers: whole cycles against any endpoint, and the
//! comparison of what is there afterwards with what should be.
//!
//! The simulator is a client. What it knows of SCIM is its own (`value`, `payload`): it uses none of the server's code for
//! validation or comparison, so that it can find the server's mistakes. What is documented of Entra is played as it is
//! documented; `docs/REHEARSE.md` says what is left out.
//!
//! A [`Rehearsal`] holds everything. Its steps can be called one by one; [`Rehearsal::play`] calls them in order. Dropping
//! one of its futures leaves it in a state from which [`Rehearsal::clean_up`] works.

mod bodies;
mod call;
mod chaos;
mod churn;
mod codes;
mod cutting;
mod cycle;
mod embedded;
mod faults;
mod files;
mod formula;
mod generate;
mod load;
mod others;
mod outcome;
mod payload;
mod provider;
mod readback;
mod record;
mod rehearsal;
mod report;
mod source;
mod value;
mod wire;
mod worker;

use std::fmt;

pub use call::Kind;
pub use chaos::Switch;
pub use churn::Change;
pub use codes::{Code, Failure, Health};
pub use embedded::Embedded;
pub use faults::Faults;
pub use files::{read_groups, read_people};
pub use generate::{Size, directory};
pub use load::{Figures, Lap, Load, LoadPlan};
pub use payload::Dialect;
pub use provider::Provider;
pub use rehearsal::{Left, Rehearsal, Restart};
pub use report::{Action, CycleKind, CycleReport, Entry, Finding, KindStatistics, Report, Sort};
pub use source::{Group, MAPPING, Person, Source, Standing};
pub use wire::Endpoint;
pub use worker::Matching;

/// Why a rehearsal cannot be: one sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulateError(String);

impl SimulateError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for SimulateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SimulateError {}

/// Which dialect the PATCH requests are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialects {
    /// One for all.
    One(Dialect),
    /// Now the one, now the other, by object.
    Mixed,
}

/// What is to be played.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose requests they are. The dialects, runs on demand and the flag are Entra's alone.
    pub provider: Provider,
    /// The dialect.
    pub dialects: Dialects,
    /// By what people are matched.
    pub matching: Matching,
    /// Requests that are under way at once.
    pub concurrency: usize,
    /// Cycles with changes, the initial one included.
    pub cycles: usize,
    /// What chance follows from.
    pub seed: u64,
    /// Other rates of change than the usual, in percent.
    pub rates: Vec<(Change, u32)>,
    /// Whether runs on demand come in between.
    pub on_demand: bool,
    /// Whether a tenant that is not empty is taken although it is not there to be rehearsed in.
    pub into_live: bool,
    /// Whether the flag of the URL goes with every request.
    pub echo_flag: bool,
    /// Whether faults are played, and the switch that is shared with whoever plays more of them.
    pub chaos: Option<Switch>,
    /// Where exchanges are recorded.
    pub record: Option<std::path::PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            provider: Provider::Entra,
            dialects: Dialects::One(Dialect::Legacy),
            matching: Matching::UserName,
            concurrency: 5,
            cycles: 3,
            seed: 1,
            rates: Vec::new(),
            on_demand: false,
            into_live: false,
            echo_flag: false,
            chaos: None,
            record: None,
        }
    }
}

/// A stretch of work that progress is shown of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Probes.
    Connection,
    /// People.
    Users,
    /// Managers.
    References,
    /// Groups without members.
    Groups,
    /// Members.
    Memberships,
    /// The endpoint is read back.
    ReadBack,
    /// People, groups and members under load.
    InitialCycle,
    /// Changes under load.
    IncrementalCycle,
    /// What was created is deleted.
    CleanUp,
}

impl Phase {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connection => "test connection",
            Self::Users => "users",
            Self::References => "references",
            Self::Groups => "groups",
            Self::Memberships => "memberships",
            Self::ReadBack => "read back",
            Self::InitialCycle => "initial cycle",
            Self::IncrementalCycle => "incremental cycle",
            Self::CleanUp => "clean up",
        }
    }
}

/// Is told how far the work is.
pub trait Observer {
    /// A phase of a cycle (0 before the first and after the last) begins, with so many steps as far as is known.
    fn begin(&mut self, cycle: usize, phase: Phase, steps: usize);
    /// A step is done.
    fn step(&mut self);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn begin(&mut self, _: usize, _: Phase, _: usize) {}
    fn step(&mut self) {}
}
