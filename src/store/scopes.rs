//! What a token may do: everything, or only what its scopes say. Each of them is for the resources at one endpoint, and for
//! reading or for writing, which includes reading, since each write is answered with what is there now.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Item, strings};
use crate::scim::catalog::ResourceType;

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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// With which resources: the word of their endpoint, in small letters.
    pub resources: String,
    /// What.
    pub access: Access,
}

impl Scope {
    /// That access to the resources of a type.
    pub fn of(resource_type: &ResourceType, access: Access) -> Self {
        let word = resource_type.endpoint.trim_start_matches('/').to_ascii_lowercase();
        Self { resources: word, access }
    }

    /// The scope with that name. Which endpoints there are is the catalog's to say: one that names none allows nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let (resources, access) = text.split_once(':')?;
        let access = match access {
            "read" => Access::Read,
            "write" => Access::Write,
            _ => return None,
        };
        let is_word =
            resources.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        (is_word && !resources.is_empty()).then(|| Self { resources: resources.to_owned(), access })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match self.access {
            Access::Read => "read",
            Access::Write => "write",
        };
        write!(f, "{}:{access}", self.resources)
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
        let mut own: Vec<Scope> = Vec::with_capacity(scopes.len());
        for scope in scopes {
            if !own.contains(scope) {
                own.push(scope.clone());
            }
        }
        Self::Only(own)
    }

    /// Whether they include that one.
    pub fn include(&self, wanted: &Scope) -> bool {
        let allows = |one: &Scope| one.resources == wanted.resources && one.access >= wanted.access;
        match self {
            Self::All => true,
            Self::Only(scopes) => scopes.iter().any(allows),
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
    use crate::scim::catalog::Kind;

    fn all() -> Vec<Scope> {
        let words = ["users", "groups", "devices"];
        let of = |word: &str| {
            let resources = word.to_owned();
            [Access::Read, Access::Write]
                .map(|access| Scope { resources: resources.clone(), access })
        };
        words.into_iter().flat_map(of).collect()
    }

    #[test]
    fn a_scope_is_read_back_by_its_name() {
        let catalog = crate::scim::catalog::Catalog::embedded().unwrap();
        let of = |kind| Scope::of(catalog.resource_type(kind), Access::Write).to_string();
        assert_eq!(Kind::ALL.map(of), ["users:write", "groups:write"]);
        assert!(all().iter().all(|scope| Scope::parse(&scope.to_string()).as_ref() == Some(scope)));
        for unknown in ["", "users", "users:", ":read", "Users:read", "users:read ", "a b:read"] {
            assert_eq!(Scope::parse(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn writing_includes_reading_and_nothing_includes_another_endpoint() {
        for own in all() {
            let scopes = Scopes::of(std::slice::from_ref(&own));
            for wanted in all() {
                let expected = own.resources == wanted.resources
                    && (own.access == Access::Write || wanted.access == Access::Read);
                assert_eq!(scopes.include(&wanted), expected, "{own} {wanted}");
                assert!(Scopes::of(&[]).include(&wanted));
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
        let own = Scope { resources: "groups".to_owned(), access: Access::Read };
        let (name, value) = Scopes::of(&[own]).attribute().unwrap();
        let read = Scopes::read(&Item::from([(name, value)]));
        expect!["groups:read"].assert_eq(&read.words().unwrap().join(" "));
        assert_eq!(Scopes::read(&Item::new()), Scopes::All);
        assert_eq!(Scopes::All.attribute(), None);
    }
}
