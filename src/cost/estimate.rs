//! What Entra does in a month with so many people, and what that costs.
//!
//! The assumptions are the constants below; `scimctl cost` prints them beside the sum. A month has 30 days.

use super::figures::{self, Figure};
use super::prices::{self, Price};

/// Days of a month.
const DAYS: f64 = 30.0;
/// Entra's cycles in a month: one in 40 minutes.
pub const CYCLES: f64 = DAYS * 36.0;
/// Runs of the scheduled job in a month: one in five minutes.
const JOB_RUNS: f64 = DAYS * 288.0;
/// Groups that somebody is in.
pub const GROUPS_OF_A_USER: u32 = 3;
/// Requests for one look-up of the token: it is cached for 30 s, in each process on its own.
const REQUESTS_PER_TOKEN_CHECK: f64 = 10.0;
/// Notes of the counts in a cycle.
const TRAFFIC_NOTES: f64 = 2.0;
/// The function's memory in GB.
const MEMORY_GB: f64 = 0.25;
/// Milliseconds billed for a request of a warm function, of one that starts for it, and for a run of the job. Assumed:
/// nothing has run on AWS yet.
const WARM_MS: f64 = 10.0;
/// See [`WARM_MS`].
const COLD_MS: f64 = 120.0;
/// See [`WARM_MS`].
const JOB_MS: f64 = 60.0;
/// Bytes that a request leaves in both logs: our line, the gateway's, and Lambda's own two. Assumed.
const LOG_BYTES: f64 = 1_500.0;
/// For how many days the journal keeps a change.
const JOURNAL_DAYS: f64 = 400.0;
/// Half of the changes are of attributes. A tenth each is somebody who comes, who is switched off, who was switched off a
/// month ago and is deleted, who comes into a group, and who leaves one.
const ATTRIBUTE_CHANGES: f64 = 0.5;
/// See [`ATTRIBUTE_CHANGES`].
const ONE_OF_TEN: f64 = 0.1;

/// What a stack is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Directory {
    /// People of one tenant.
    pub users: u32,
    /// Its groups.
    pub groups: u32,
    /// How many of a hundred people change in a day.
    pub change_rate: f64,
    /// Tenants of that size.
    pub tenants: u32,
}

/// How often something is done, and what that takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// What is done, and what it takes each time.
    pub figure: Figure,
    /// How often.
    pub times: f64,
    /// Whether it is a request of the identity provider's.
    pub is_request: bool,
}

/// A line of the bill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// The price.
    pub price: Price,
    /// How many, in single ones.
    pub amount: f64,
}

impl Line {
    /// What it costs.
    pub fn dollars(&self) -> f64 {
        self.price.of(self.amount)
    }
}

/// What something costs, and of what that is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// What is done.
    pub loads: Vec<Load>,
    /// What that costs.
    pub lines: Vec<Line>,
}

impl Estimate {
    /// Requests of the identity providers.
    pub fn requests(&self) -> f64 {
        self.loads.iter().filter(|load| load.is_request).map(|load| load.times).sum()
    }

    /// Read units.
    pub fn read_units(&self) -> f64 {
        self.loads.iter().map(|load| load.times * load.figure.read_units).sum()
    }

    /// Write units.
    pub fn write_units(&self) -> f64 {
        self.loads.iter().map(|load| load.times * load.figure.write_units).sum()
    }

    /// The sum of its lines.
    pub fn dollars(&self) -> f64 {
        self.lines.iter().map(Line::dollars).sum()
    }

    /// What these cost, with so many starts of the function and so many bytes in the tables.
    fn new(mut loads: Vec<Load>, (starts, job_runs): (f64, f64), stored: f64) -> Self {
        loads.retain(|load| load.times > 0.0);
        let mut estimate = Self { loads, lines: Vec::new() };
        let requests = estimate.requests();
        let seconds = (requests * WARM_MS + starts * COLD_MS + job_runs * JOB_MS) / 1_000.0;
        let line = |price, amount| Line { price, amount };
        estimate.lines = vec![
            line(prices::REQUEST, requests),
            line(prices::INVOCATION, requests + job_runs),
            line(prices::GB_SECOND, seconds * MEMORY_GB),
            line(prices::READ_UNIT, estimate.read_units()),
            line(prices::WRITE_UNIT, estimate.write_units()),
            line(prices::STORAGE, stored),
            line(prices::RECOVERY, stored),
            line(prices::LOGS, (requests + job_runs) * LOG_BYTES),
        ];
        estimate
    }
}

fn asked(figure: Figure, times: f64) -> Load {
    Load { figure, times, is_request: true }
}

fn beside(figure: Figure, times: f64) -> Load {
    Load { figure, times, is_request: false }
}

/// Each month, once everybody is there.
pub fn monthly(directory: &Directory) -> Estimate {
    let tenants = f64::from(directory.tenants);
    let cycles = CYCLES * tenants;
    let changes = tenants * f64::from(directory.users) * directory.change_rate / 100.0 * DAYS;
    let one = changes * ONE_OF_TEN;
    let memberships = if directory.groups == 0 { 0.0 } else { one };
    let mut loads = vec![
        asked(figures::MATCH_MISS, cycles + one),
        asked(figures::GET_USER, changes * ATTRIBUTE_CHANGES + one),
        asked(figures::PATCH_USER, changes * ATTRIBUTE_CHANGES),
        asked(figures::POST_USER, one),
        asked(figures::DISABLE_USER, one),
        asked(figures::DELETE_USER, one),
        asked(figures::GET_GROUP, memberships * 2.0),
        asked(figures::ADD_MEMBER, memberships),
        asked(figures::REMOVE_MEMBER, memberships),
    ];
    let requests: f64 = loads.iter().map(|load| load.times).sum();
    loads.extend([
        beside(figures::TOKEN_CHECK, cycles + requests / REQUESTS_PER_TOKEN_CHECK),
        beside(figures::ACTIVITY, cycles),
        beside(figures::TRAFFIC, cycles * TRAFFIC_NOTES),
        beside(figures::JOB, JOB_RUNS * tenants),
    ]);
    Estimate::new(loads, (cycles, JOB_RUNS), stored(directory, changes))
}

/// Once: the cycle that brings everybody and every group, each membership with a request of its own.
pub fn first_cycle(directory: &Directory) -> Estimate {
    let tenants = f64::from(directory.tenants);
    let users = tenants * f64::from(directory.users);
    let groups = tenants * f64::from(directory.groups);
    let mut loads = vec![
        asked(figures::MATCH_MISS, users + tenants),
        asked(figures::POST_USER, users),
        asked(figures::MATCH_GROUP_MISS, groups),
        asked(figures::POST_GROUP, groups),
        asked(figures::ADD_MEMBER, memberships(directory)),
    ];
    let requests: f64 = loads.iter().map(|load| load.times).sum();
    loads.push(beside(figures::TOKEN_CHECK, requests / REQUESTS_PER_TOKEN_CHECK));
    Estimate::new(loads, (tenants, 0.0), 0.0)
}

/// Memberships of all tenants.
fn memberships(directory: &Directory) -> f64 {
    let each = GROUPS_OF_A_USER.min(directory.groups);
    f64::from(directory.tenants) * f64::from(directory.users) * f64::from(each)
}

/// Bytes in the tables once the journal is as full as it gets.
fn stored(directory: &Directory, changes: f64) -> f64 {
    let of = |what: figures::Stored, how_many: f64| f64::from(what.bytes) * how_many;
    let tenants = f64::from(directory.tenants);
    let users = tenants * f64::from(directory.users);
    let groups = tenants * f64::from(directory.groups);
    let first = users + groups + memberships(directory);
    of(figures::USER, users)
        + of(figures::GROUP, groups)
        + of(figures::MEMBERSHIP, memberships(directory))
        + of(figures::CHANGE, first + changes * JOURNAL_DAYS / DAYS)
}

/// What a stack costs each month before anybody calls it.
pub fn fixed() -> Vec<Line> {
    vec![Line { price: prices::ALARM, amount: 2.0 }, Line { price: prices::METRIC, amount: 1.0 }]
}

/// Dollars for people: to the cent, or to the hundredth of one below a dime.
pub fn shown(dollars: f64) -> String {
    if dollars < 0.1 { format!("${dollars:.4}") } else { format!("${dollars:.2}") }
}

/// A number for people: with commas, and its first place behind the point where it has one.
pub fn grouped(number: f64) -> String {
    let text = format!("{number:.1}");
    let (whole, tenth) = text.split_once('.').unwrap_or((&text, "0"));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if tenth == "0" { grouped } else { format!("{grouped}.{tenth}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPICAL: Directory = Directory { users: 1_000, groups: 50, change_rate: 1.0, tenants: 1 };

    #[test]
    fn twice_the_tenants_cost_twice_but_for_the_job() {
        let (one, two) = (monthly(&TYPICAL), monthly(&Directory { tenants: 2, ..TYPICAL }));
        assert!((two.requests() - 2.0 * one.requests()).abs() < 1e-6);
        assert!((two.write_units() - 2.0 * one.write_units()).abs() < 1e-6);
        assert!(two.dollars() < 2.0 * one.dollars());
    }

    #[test]
    fn a_month_in_which_nothing_changes_is_its_cycles() {
        let still = monthly(&Directory { change_rate: 0.0, ..TYPICAL });
        assert!((still.requests() - CYCLES).abs() < 1e-6);
        let notes: f64 = CYCLES * (1.0 + TRAFFIC_NOTES);
        assert!((still.write_units() - notes).abs() < 1e-6);
    }

    #[test]
    fn a_first_cycle_makes_each_one_once() {
        let first = first_cycle(&TYPICAL);
        let times = |figure: Figure| {
            first.loads.iter().find(|load| load.figure == figure).map_or(0.0, |load| load.times)
        };
        assert!((times(figures::POST_USER) - 1_000.0).abs() < 1e-9);
        assert!((times(figures::POST_GROUP) - 50.0).abs() < 1e-9);
        assert!((times(figures::ADD_MEMBER) - 3_000.0).abs() < 1e-9);
        let nobody = first_cycle(&Directory { groups: 0, ..TYPICAL });
        assert!(nobody.loads.iter().all(|load| load.figure != figures::ADD_MEMBER));
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(
            [0.0, 999.0, 1_234_567.0, 1_080.5].map(grouped),
            ["0", "999", "1,234,567", "1,080.5"]
        );
        assert_eq!([0.012_34, 0.1, 1_234.567].map(shown), ["$0.0123", "$0.10", "$1234.57"]);
    }
}
