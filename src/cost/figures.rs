//! What each operation takes of DynamoDB: calls and capacity units, the token check left out. `tests/it/cost.rs` measures
//! them on the embedded engine and fails where one is another.

/// What one operation takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The operation, as the table of `docs/COST.md` names it.
    pub operation: &'static str,
    /// Calls to DynamoDB.
    pub calls: u32,
    /// Read units.
    pub read_units: f64,
    /// Write units.
    pub write_units: f64,
}

impl Figure {
    const fn new(operation: &'static str, calls: u32, read_units: f64, write_units: f64) -> Self {
        Self { operation, calls, read_units, write_units }
    }
}

/// The look-up of a token.
pub const TOKEN_CHECK: Figure = Figure::new("token check, not cached", 1, 1.0, 0.0);
/// The probe with which a cycle begins, and the look-up of somebody new.
pub const MATCH_MISS: Figure = Figure::new("match on userName, nobody", 1, 1.0, 0.0);
/// Somebody is read before a change.
pub const GET_USER: Figure = Figure::new("GET user by id", 2, 2.0, 0.0);
/// Somebody new.
pub const POST_USER: Figure = Figure::new("POST user", 1, 0.0, 11.0);
/// An attribute changes.
pub const PATCH_USER: Figure = Figure::new("PATCH one attribute", 3, 2.0, 4.0);
/// Somebody is switched off.
pub const DISABLE_USER: Figure = Figure::new("PATCH disable", 3, 2.0, 4.0);
/// Somebody who was in three groups is deleted.
pub const DELETE_USER: Figure = Figure::new("DELETE user in 3 groups", 4, 3.0, 29.0);
/// A group is looked for.
pub const MATCH_GROUP_MISS: Figure = Figure::new("match on group name, none", 1, 1.0, 0.0);
/// A group is made.
pub const POST_GROUP: Figure = Figure::new("POST group", 1, 0.0, 10.0);
/// A group is read before its members change.
pub const GET_GROUP: Figure = Figure::new("GET group without members", 1, 1.0, 0.0);
/// Somebody comes into a group.
pub const ADD_MEMBER: Figure = Figure::new("add 1 member, group of 1", 2, 1.0, 10.0);
/// Somebody leaves a group.
pub const REMOVE_MEMBER: Figure = Figure::new("remove 1 member, group of 1", 2, 1.0, 8.0);
/// When the tenant was last seen.
pub const ACTIVITY: Figure = Figure::new("activity", 1, 0.0, 1.0);
/// How often it asked for what.
pub const TRAFFIC: Figure = Figure::new("traffic", 1, 0.0, 1.0);
/// The scheduled job looks whether a tenant has work left.
pub const JOB: Figure = Figure::new("scheduled job, a tenant without work", 1, 1.0, 0.0);

/// All of them.
pub const ALL: [Figure; 15] = [
    TOKEN_CHECK,
    MATCH_MISS,
    GET_USER,
    POST_USER,
    PATCH_USER,
    DISABLE_USER,
    DELETE_USER,
    MATCH_GROUP_MISS,
    POST_GROUP,
    GET_GROUP,
    ADD_MEMBER,
    REMOVE_MEMBER,
    ACTIVITY,
    TRAFFIC,
    JOB,
];

/// Bytes that something takes in the tables, the 100 that DynamoDB adds to each item and index entry included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What it is.
    pub what: &'static str,
    /// Its bytes.
    pub bytes: u32,
}

/// Somebody with what Entra's default mapping sends: user, id and match items, and an entry of the index.
pub const USER: Stored = Stored { what: "a user", bytes: 1_470 };
/// A group with its name and lock.
pub const GROUP: Stored = Stored { what: "a group", bytes: 740 };
/// A membership and its inverse.
pub const MEMBERSHIP: Stored = Stored { what: "a membership", bytes: 410 };
/// An item of the journal.
pub const CHANGE: Stored = Stored { what: "a change in the journal", bytes: 420 };

/// All of them.
pub const ALL_STORED: [Stored; 4] = [USER, GROUP, MEMBERSHIP, CHANGE];
