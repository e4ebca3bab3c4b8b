//! What a token may do: everything, or only what its scopes say. Each of them is for users or for groups, and for reading
//! or for writing, which includes reading, since each write is answered with what is there now.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Item, strings};
use crate::scim::catalog::Kind;

/// The attribute of a token's items with its scopes; a token that may do everything has none.
pub(super) const SCOPES: &str = "scopes";

/// What may be done with the resources of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// They may be read.
    Read,
    /// They may be read, created, changed and deleted.
    Write,
}

/// One thing that a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// With which resources.
    pub kind: Kind,
    /// What.
    pub access: Access,
}

impl Scope {
    /// Every scope that there is.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |kind| [Access::Read, Access::Write].map(|access| Self { kind, access });
        Kind::ALL.into_iter().flat_map(of)
    }

    /// The scope with that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|scope| scope.to_string() == text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match self.access {
            Access::Read => "read",
            Access::Write => "write",
        };
        write!(f, "{}s:{access}", self.kind.name().to_ascii_lowercase())
    }
}

/// What a token may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scopes {
    /// Everything.
    #[default]
    All,
    /// This, and what everybody may: read what the service says of itself.
    Only(Vec<Scope>),
}

impl Scopes {
    /// These, or everything where there are none.
    pub fn of(scopes: &[Scope]) -> Self {
        if scopes.is_empty() {
            return Self::All;
        }
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        Self::Only(scopes)
    }

    /// Whether they include that one.
    pub fn include(&self, wanted: Scope) -> bool {
        match self {
            Self::All => true,
            Self::Only(scopes) => {
                scopes.iter().any(|one| one.kind == wanted.kind && one.access >= wanted.access)
            }
        }
    }

    /// Their names; `None` for everything.
    pub fn words(&self) -> Option<Vec<String>> {
        match self {
            Self::All => None,
            Self::Only(scopes) => Some(scopes.iter().map(ToString::to_string).collect()),
        }
    }

    /// Writes them into an item, unless they are all.
    pub(super) fn attribute(&self) -> Option<(String, AttributeValue)> {
        self.words().map(|words| (SCOPES.to_owned(), strings(&words)))
    }

    /// Reads them back. What cannot be read, such as the name of a scope that this version does not know, allows nothing.
    pub(super) fn read(item: &Item) -> Self {
        let Some(value) = item.get(SCOPES) else { return Self::All };
        let words = value.as_l().map(Vec::as_slice).unwrap_or_default();
        let words = words.iter().filter_map(|word| word.as_s().ok());
        Self::Only(words.filter_map(|word| Scope::parse(word)).collect())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_scope_is_read_back_by_its_name() {
        let names: Vec<String> = Scope::all().map(|scope| scope.to_string()).collect();
        expect!["users:read users:write groups:read groups:write"].assert_eq(&names.join(" "));
        assert!(Scope::all().all(|scope| Scope::parse(&scope.to_string()) == Some(scope)));
        for unknown in ["", "users", "users:", "Users:read", "users:read ", "people:read"] {
            assert_eq!(Scope::parse(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn writing_includes_reading_and_nothing_includes_the_other_kind() {
        for own in Scope::all() {
            let scopes = Scopes::of(&[own]);
            for wanted in Scope::all() {
                let expected = own.kind == wanted.kind
                    && (own.access == Access::Write || wanted.access == Access::Read);
                assert_eq!(scopes.include(wanted), expected, "{own} {wanted}");
                assert!(Scopes::of(&[]).include(wanted));
            }
        }
    }

    #[test]
    fn scopes_that_cannot_be_read_allow_nothing() {
        let of = |value| Scopes::read(&Item::from([(SCOPES.to_owned(), value)]));
        let text = |text: &str| AttributeValue::S(text.to_owned());
        for value in [
            AttributeValue::L(Vec::new()),
            AttributeValue::L(vec![text("users:erase")]),
            AttributeValue::Null(true),
            text("users:read"),
        ] {
            assert_eq!(of(value), Scopes::Only(Vec::new()));
        }
        let (name, value) =
            Scopes::of(&[Scope { kind: Kind::Group, access: Access::Read }]).attribute().unwrap();
        let read = Scopes::read(&Item::from([(name, value)]));
        expect!["groups:read"].assert_eq(&read.words().unwrap().join(" "));
        assert_eq!(Scopes::read(&Item::new()), Scopes::All);
        assert_eq!(Scopes::All.attribute(), None);
    }
}
