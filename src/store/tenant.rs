//! Tenancy as a type: nothing in the store can be called without saying whose data is meant.

use std::fmt;

/// A tenant's name: 1 to 63 characters out of `a-z`, `0-9` and `-`, beginning with a letter or digit. It is safe as a
/// partition key and in a file name, and no reserved partition (they begin with `#`) can be one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Box<str>);

impl TenantId {
    /// Reads a tenant's name.
    ///
    /// # Errors
    /// A sentence that says what a name looks like.
    pub fn parse(text: &str) -> Result<Self, InvalidTenant> {
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-');
        if fits { Ok(Self(text.into())) } else { Err(InvalidTenant) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is no tenant's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTenant;

impl fmt::Display for InvalidTenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a tenant's name is 1 to 63 characters: lower-case letters, digits and hyphens, not beginning with a hyphen",
        )
    }
}

impl std::error::Error for InvalidTenant {}
