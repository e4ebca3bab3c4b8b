//! The journal as a feed of changes: at least once, in order of position, from the beginning or from a cursor, and never
//! with a gap that nobody is told of; how long the app took to act; and a person's erasure from it.
//!
//! [`reader`] reads it, [`cursor`] says where it stands, `chain` finds the gaps, [`lag`] measures, [`erase`] erases. What an
//! item holds is `docs/CHANGES.md`, a stable contract. Nothing here prints, and nothing but `erase` writes.

pub mod cursor;
pub mod erase;
pub mod lag;
pub mod reader;

mod chain;

use std::error::Error;
use std::fmt;

use uuid::Uuid;

use crate::moment::Timestamp;
use crate::store::{StoreError, TenantId};

pub use chain::Gap;

/// Why a feed cannot be read, and what to do about it.
#[derive(Debug)]
pub enum FeedError {
    /// Text that is no cursor, or not a whole one.
    NoCursor(String),
    /// A cursor of another tenant.
    OtherTenant {
        /// Whose it is.
        of: TenantId,
        /// Whose feed was asked for.
        asked: TenantId,
    },
    /// A cursor of all tenants' feed, used for one.
    OfAll(TenantId),
    /// A cursor of one tenant's feed, used for all.
    OfOne(TenantId),
    /// The journal begins behind the cursor.
    Expired {
        /// Where the cursor stands.
        tenant: TenantId,
        /// When its item was written.
        written: Option<Timestamp>,
    },
    /// The journal should have the cursor's item, and has not.
    Missing {
        /// Where the cursor stands.
        tenant: TenantId,
        /// When its item was written.
        written: Option<Timestamp>,
    },
    /// The tables, or the way to them.
    Store(StoreError),
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = |written: &Option<Timestamp>| {
            written.map_or_else(String::new, |written| format!(" of {written}"))
        };
        match self {
            Self::NoCursor(text) => write!(
                f,
                "\"{}\" is no cursor, or not all of one: give the \"cursor\" of a line of `scimctl changes --format json` as it stands there, or start again without --after",
                text.chars().take(SHOWN_CHARS).collect::<String>().escape_debug()
            ),
            Self::OtherTenant { of, asked } => write!(
                f,
                "that is a cursor of the tenant {of}, not of {asked}: read --tenant {of} with it, or start {asked} again without --after"
            ),
            Self::OfAll(asked) => write!(
                f,
                "that is a cursor of --all: read --all with it, or start {asked} again without --after"
            ),
            Self::OfOne(of) => write!(
                f,
                "that is a cursor of the tenant {of} alone: read --tenant {of} with it, or start --all again without --after"
            ),
            Self::Expired { tenant, written } => write!(
                f,
                "the cursor has expired: the journal of {tenant} no longer has its item{}; start again without --after, and run `scimctl resync` to be told of what has not changed since",
                since(written)
            ),
            Self::Missing { tenant, written } => write!(
                f,
                "the cursor's item{} is not in the journal of {tenant}, although it should be: was the table restored to an earlier time? Start again without --after, and after a restore run `scimctl resync`",
                since(written)
            ),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl Error for FeedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::NoCursor(_)
            | Self::OtherTenant { .. }
            | Self::OfAll(_)
            | Self::OfOne(_)
            | Self::Expired { .. }
            | Self::Missing { .. } => None,
        }
    }
}

impl From<StoreError> for FeedError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Characters of what is no cursor that an error repeats.
const SHOWN_CHARS: usize = 100;

/// The position right before another: what comes after it begins there.
pub(crate) fn just_before(at: Uuid) -> Uuid {
    Uuid::from_u128(at.as_u128().saturating_sub(1))
}
