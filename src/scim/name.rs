//! Attribute names (RFC 7643 §2.1): ASCII, equal whatever their letter case.

use std::fmt;
use std::hash::{Hash, Hasher};

/// An attribute name that fits the grammar of RFC 7643 §2.1 (`$ref` included). Equality ignores letter case.
#[derive(Clone)]
pub struct AttrName(Box<str>);

impl AttrName {
    /// Takes `ALPHA *("-" / "_" / DIGIT / ALPHA)`, or the same behind one `$`.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('$').unwrap_or(text);
        let mut chars = bare.chars();
        let first_is_letter = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
        let rest_fits = chars.all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        (first_is_letter && rest_fits).then(|| Self(text.into()))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is this name in any letter case.
    pub fn is(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }
}

impl PartialEq for AttrName {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for AttrName {}

impl Hash for AttrName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl fmt::Display for AttrName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AttrName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar_and_ignore_case() {
        for good in ["userName", "x509Certificates", "$ref", "a-b_c"] {
            assert!(AttrName::parse(good).is_some(), "{good}");
        }
        for bad in ["", "$", "1a", "a b", "a.b", "ä", "__proto__", "$$ref"] {
            assert!(AttrName::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(AttrName::parse("USERNAME"), AttrName::parse("userName"));
    }
}
