//! Attribute paths (RFC 7644 §3.10): `[URN ":"] name ["." sub]`.
//!
//! ```text
//! attrPath  = [URI ":"] ATTRNAME *1subAttr
//! subAttr   = "." ATTRNAME
//! ```
//!
//! Syntax only: what a path means is the catalog's business (`ResourceType::resolve`). A URN by itself, such as the
//! one of an extension as a whole, parses as its part before the last colon and a name; the catalog sees through it.

use std::fmt;

use super::name::AttrName;

/// A parsed attribute path. `Display` gives text that parses to the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttrPath {
    urn: Option<Box<str>>,
    name: AttrName,
    sub: Option<AttrName>,
}

impl AttrPath {
    /// Reads a whole path; `None` when it does not fit the grammar.
    pub fn parse(text: &str) -> Option<Self> {
        let (urn, rest) = match text.get(..4) {
            Some(scheme) if scheme.eq_ignore_ascii_case("urn:") => {
                let (urn, rest) = text.rsplit_once(':')?;
                if urn.len() < 5 || !urn.chars().all(is_urn_char) {
                    return None;
                }
                (Some(urn.into()), rest)
            }
            _ => (None, text),
        };
        let (name, sub) = match rest.split_once('.') {
            None => (rest, None),
            Some((name, sub)) => (name, Some(AttrName::parse(sub)?)),
        };
        // The last segment of a bare URN may not be a name ("…:2.0"): such a path cannot name anything.
        Some(Self { urn, name: AttrName::parse(name)?, sub })
    }

    /// The URN before the name, as written.
    pub fn urn(&self) -> Option<&str> {
        self.urn.as_deref()
    }

    /// The attribute's name.
    pub fn name(&self) -> &AttrName {
        &self.name
    }

    /// The sub-attribute's name.
    pub fn sub(&self) -> Option<&AttrName> {
        self.sub.as_ref()
    }

    /// The same path with a sub-attribute; `None` when it has one already.
    #[must_use]
    pub fn with_sub(&self, sub: AttrName) -> Option<Self> {
        self.sub.is_none().then(|| Self { sub: Some(sub), ..self.clone() })
    }
}

/// What may stand in a URN (RFC 8141, the part that SCIM's URNs use).
pub(super) fn is_urn_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._:()+,=@;$!*'%/".contains(c)
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        write!(f, "{}", self.name)?;
        match &self.sub {
            None => Ok(()),
            Some(sub) => write!(f, ".{sub}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_round_trip() {
        for text in [
            "userName",
            "name.givenName",
            "$ref",
            "members.$ref",
            "urn:ietf:params:scim:schemas:core:2.0:User:name.givenName",
            "URN:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            "urn:a:b",
        ] {
            assert_eq!(AttrPath::parse(text).map(|path| path.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            ".",
            "a.",
            "a.b.c",
            "a b",
            "urn:",
            "urn::",
            "urn:a",
            "urn:a b:c",
            "a[",
            "name.",
            "é",
        ] {
            assert_eq!(AttrPath::parse(text), None, "{text}");
        }
    }
}
