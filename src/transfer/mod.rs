//! Existing people and groups into a tenant, and a tenant out again: `scimctl import` and `scimctl export`, without
//! their text.
//!
//! A file is read twice. The first pass (`survey`) finds what is wrong with the file as a whole, before anything is
//! written; the second one matches each row with what is there and writes what is new, through the same validation and
//! the same store as a POST. Doing it again finds everything as it is: that is also how an import that was stopped goes on.
//! It never prints, and never deletes or takes anything away.

pub mod export;
mod file;
pub mod import;
mod lines;
mod matching;
mod members;
mod patience;
pub mod report;
mod row;
mod survey;
mod table;

use std::fmt;

use crate::limits::PATH_SHOWN_MAX;
use crate::store::{StoreError, TenantId};

pub use survey::Survey;

/// Who did it, for the journal.
pub(crate) const ACTOR: &str = "scimctl import";

/// What is wrong with a file as a whole, so that nothing of it is imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1, when it is one line's.
    pub line: Option<usize>,
    /// A sentence that says what to do.
    pub what: String,
}

impl Fault {
    fn file(what: impl Into<String>) -> Self {
        Self { line: None, what: what.into() }
    }

    fn at(line: usize, what: impl Into<String>) -> Self {
        Self { line: Some(line), what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            None => f.write_str(&self.what),
            Some(line) => write!(f, "line {line}: {}", self.what),
        }
    }
}

impl std::error::Error for Fault {}

/// A piece of a file, for a sentence: without what a terminal would obey, and not longer than a line.
pub(crate) fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(PATH_SHOWN_MAX).map(plain).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Why an import or an export ends before its end.
#[derive(Debug)]
pub enum TransferError {
    /// The file is not fit to be imported; nothing was written. Each fault once, the first ones only when there are many.
    Faults(Vec<Fault>),
    /// The file is not what it was when it was looked through; what was written by then stays.
    Changed(Fault),
    /// There is no tenant of that name.
    NoTenant(TenantId),
    /// It is being deleted.
    BeingDeleted(TenantId),
    /// It has so many resources of these types, which it would not get back: they are not switched on for it.
    LeftOut(TenantId, Vec<(String, i64)>),
    /// The file cannot be written.
    Output(std::io::Error),
    /// The store failed, and went on failing.
    Store(StoreError),
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faults(faults) => {
                let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
                write!(f, "{}; nothing was imported", all.join("; "))
            }
            Self::Changed(fault) => {
                write!(f, "the file has changed while it was imported: {fault}")
            }
            Self::NoTenant(tenant) => write!(f, "there is no tenant {tenant}"),
            Self::BeingDeleted(tenant) => write!(f, "the tenant {tenant} is being deleted"),
            Self::LeftOut(tenant, types) => {
                let types: Vec<String> =
                    types.iter().map(|(name, count)| format!("{name} ({count})")).collect();
                write!(
                    f,
                    "the tenant {tenant} has resources of types that are switched off for it or not deployed: {}; switch their \
                     schemas on with `scimctl tenant set {tenant} --schemas`, and let SCIM_SCHEMAS name the folder of their files \
                     where they are not built in",
                    types.join(", ")
                )
            }
            Self::Output(error) => write!(f, "the file cannot be written: {error}"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TransferError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::Output(error) => Some(error),
            Self::Faults(_)
            | Self::Changed(_)
            | Self::NoTenant(_)
            | Self::BeingDeleted(_)
            | Self::LeftOut(..) => None,
        }
    }
}

impl From<Fault> for TransferError {
    fn from(fault: Fault) -> Self {
        Self::Faults(vec![fault])
    }
}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
