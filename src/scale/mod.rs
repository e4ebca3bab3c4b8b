//! What an operation costs in a tenant of any size, and what one tenant notices of another.
//!
//! A tenant is made at once ([`seed()`]), the same operations are timed in a small and a large one in turn ([`compare`],
//! [`compare_groups`]), and a quiet tenant's requests alone and beside another's storm ([`fairness`]).

mod fair;
mod seed;
mod time;

pub use fair::{FairPlan, Fairness, fairness};
pub use seed::{CROWD, GROUP_OF_ONE, Size, seed, user_name};
pub use time::{Subject, Timed, compare, compare_groups, first_id, group_by_name, timed};
