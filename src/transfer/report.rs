//! What an import is asked to do, and what it says that it has done.

use super::survey::Survey;
use crate::scim::catalog::Kind;
use crate::scim::resource::ResourceId;

/// How a file is imported.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What the rows are, where they do not say so themselves.
    pub kind: Option<Kind>,
    /// Whether anything is written.
    pub writing: Writing,
    /// What becomes of who is there and different.
    pub existing: Existing,
    /// Whether an export must be whole.
    pub ending: Ending,
    /// Rows before this line are left out.
    pub from_line: usize,
}

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// It is.
    Done,
    /// It is only told what would be.
    Rehearsed,
}

/// What becomes of who is there and different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They stay as they are.
    Kept,
    /// The file's values are written over theirs.
    Updated,
}

/// Whether an export without its last line is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is refused.
    Needed,
    /// It is taken.
    MayBeMissing,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was not there, and is now.
    Created,
    /// It was there, and now has the app's account id.
    Linked,
    /// It was there and different, and has the file's values now.
    Updated,
    /// It is there as the file has it.
    Unchanged,
    /// It is there and different, and was left as it is.
    Differs,
    /// It contradicts what is there; nothing was written for it.
    Conflict,
    /// A POST would refuse it; nothing was written for it.
    Invalid,
}

impl Outcome {
    /// Every outcome, in the order in which they are told.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Linked,
        Self::Updated,
        Self::Unchanged,
        Self::Differs,
        Self::Conflict,
        Self::Invalid,
    ];

    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Linked => "linked",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Differs => "differs",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
        }
    }

    /// Whether somebody has to do something about it.
    pub fn is_bad(self) -> bool {
        match self {
            Self::Conflict | Self::Invalid => true,
            Self::Created | Self::Linked | Self::Updated | Self::Unchanged | Self::Differs => false,
        }
    }
}

/// A row and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line in the file.
    pub line: usize,
    /// What it is, when that could be read.
    pub kind: Option<Kind>,
    /// Its userName or displayName, of another type the externalId, when that could be read.
    pub name: String,
    /// The account id that the file gives it.
    pub app_id: Option<String>,
    /// The id that it has, once it is there.
    pub id: Option<ResourceId>,
    /// What became of it.
    pub outcome: Outcome,
    /// Attributes in which the file and the directory differ (or differed, when it was updated).
    pub differs: Vec<String>,
    /// What is wrong, as a sentence.
    pub why: Option<String>,
}

impl Entry {
    /// A line that cannot be read.
    pub(super) fn unreadable(line: usize, why: String) -> Self {
        Self {
            line,
            kind: None,
            name: String::new(),
            app_id: None,
            id: None,
            outcome: Outcome::Invalid,
            differs: Vec::new(),
            why: Some(why),
        }
    }
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The people.
    People,
    /// The groups, without members.
    Groups,
    /// The resources of other types.
    Others,
    /// Who is a member of the groups.
    Members,
}

/// How far it is.
#[derive(Clone, Debug)]
pub enum Event {
    /// The whole file was read; nothing has been written.
    Surveyed(Survey),
    /// So many rows of a phase are done, the last of which was at this line.
    Progress {
        /// The phase.
        phase: Phase,
        /// Rows done.
        done: usize,
        /// The line up to which all are done.
        line: usize,
    },
    /// What became of a row.
    Settled(Entry),
}

/// What an import has done, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What the file has.
    pub survey: Survey,
    /// How often there was each outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [usize; 7],
    /// Memberships that were added.
    pub added: usize,
    /// Memberships that were there already.
    pub present: usize,
}

impl Report {
    /// How often there was an outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        let counts = Outcome::ALL.iter().zip(self.outcomes);
        counts.filter(|(one, _)| **one == outcome).map(|(_, count)| count).sum()
    }

    /// Whether nothing has to be done about any row.
    pub fn is_clean(&self) -> bool {
        Outcome::ALL.iter().all(|outcome| !outcome.is_bad() || self.count(*outcome) == 0)
    }

    /// Counts an outcome.
    pub(super) fn add(&mut self, outcome: Outcome) {
        let counts = Outcome::ALL.iter().zip(&mut self.outcomes);
        for (_, count) in counts.filter(|(one, _)| **one == outcome) {
            *count += 1;
        }
    }
}
