//! What the identity provider has: people and groups, and which attribute of its own goes where at the endpoint.
//!
//! It is the truth that the endpoint is compared with, so nothing here is ever read from the endpoint.

use std::collections::{BTreeMap, BTreeSet};

/// The extension with the attributes of an organisation's people.
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// Where the name by which people sign in goes.
pub(super) const USER_NAME: &str = "userName";
/// Where the name that people read goes.
pub(super) const DISPLAY_NAME: &str = "displayName";
/// Where the address goes; also the filter of `--match email`.
pub(super) const WORK_EMAIL: &str = "emails[type eq \"work\"].value";
/// Where the provider's own id goes.
pub(super) const EXTERNAL_ID: &str = "externalId";
/// Where the given and the family name, joined, go.
pub(super) const FULL_NAME: &str = "name.formatted";
/// See [`FULL_NAME`].
pub(super) const GIVEN_NAME: &str = "name.givenName";
/// See [`FULL_NAME`].
pub(super) const FAMILY_NAME: &str = "name.familyName";
/// Where the department goes.
pub(super) const DEPARTMENT: &str =
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
/// Where the number of an employee goes.
pub(super) const EMPLOYEE_NUMBER: &str =
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber";

/// Entra's default mapping: its property, and the path that it is written to. The one difference is `externalId`, which
/// is mapped from the object id, as `docs/idp/entra.md` asks for.
pub const MAPPING: &[(&str, &str)] = &[
    ("userPrincipalName", USER_NAME),
    ("displayName", DISPLAY_NAME),
    ("jobTitle", "title"),
    ("mail", WORK_EMAIL),
    ("preferredLanguage", "preferredLanguage"),
    ("givenName", GIVEN_NAME),
    ("surname", FAMILY_NAME),
    ("physicalDeliveryOfficeName", "addresses[type eq \"work\"].formatted"),
    ("streetAddress", "addresses[type eq \"work\"].streetAddress"),
    ("city", "addresses[type eq \"work\"].locality"),
    ("state", "addresses[type eq \"work\"].region"),
    ("postalCode", "addresses[type eq \"work\"].postalCode"),
    ("country", "addresses[type eq \"work\"].country"),
    ("telephoneNumber", "phoneNumbers[type eq \"work\"].value"),
    ("mobile", "phoneNumbers[type eq \"mobile\"].value"),
    ("facsimileTelephoneNumber", "phoneNumbers[type eq \"fax\"].value"),
    ("id", EXTERNAL_ID),
    ("employeeId", EMPLOYEE_NUMBER),
    ("department", DEPARTMENT),
];

/// Whether a person may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Assigned, and not blocked.
    Active,
    /// Blocked from signing in, or deleted and still in the bin.
    Disabled,
    /// No longer assigned to the application.
    Unassigned,
    /// Deleted for good.
    Gone,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Whether they may come in.
    pub standing: Standing,
    /// What each path of the endpoint has to hold. Entra sends no empty values, so there are none.
    pub attributes: BTreeMap<&'static str, String>,
    /// The object id of the manager.
    pub manager: Option<String>,
}

impl Person {
    /// What a path has to hold.
    pub fn get(&self, target: &str) -> Option<&str> {
        self.attributes.get(target).map(String::as_str)
    }

    /// The name by which they sign in: what the log calls them.
    pub fn name(&self) -> &str {
        self.get(USER_NAME).unwrap_or_default()
    }

    /// Whether they may come in.
    pub fn is_active(&self) -> bool {
        self.standing == Standing::Active
    }

    /// Sets a path; an empty text sets nothing.
    pub fn set(&mut self, target: &'static str, value: impl Into<String>) {
        let value = value.into();
        if !value.trim().is_empty() {
            self.attributes.insert(target, value);
        }
    }

    /// Joins the parts of the name, as the default mapping does.
    pub(super) fn join_names(&mut self) {
        let parts: Vec<&str> =
            [GIVEN_NAME, FAMILY_NAME].into_iter().filter_map(|part| self.get(part)).collect();
        let joined = parts.join(" ");
        self.set(FULL_NAME, joined);
    }
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The object ids of its members.
    pub members: BTreeSet<String>,
    /// Whether it was deleted.
    pub is_gone: bool,
}

/// The directory, by object ids. Who or what was deleted stays in it, so that the deletion can be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// People.
    pub people: BTreeMap<String, Person>,
    /// Groups.
    pub groups: BTreeMap<String, Group>,
}

impl Source {
    /// People who are there.
    pub fn living(&self) -> impl Iterator<Item = (&String, &Person)> {
        self.people.iter().filter(|(_, person)| person.standing != Standing::Gone)
    }

    /// The person of that name; letter case does not count.
    pub fn named(&self, name: &str) -> Option<&str> {
        let wanted = name.to_lowercase();
        let mut found = self.living().filter(|(_, person)| person.name().to_lowercase() == wanted);
        found.next().map(|(key, _)| key.as_str())
    }

    /// The group of that name.
    pub fn group_named(&self, name: &str) -> Option<&str> {
        let mut found =
            self.groups.iter().filter(|(_, group)| !group.is_gone && group.name == name);
        found.next().map(|(key, _)| key.as_str())
    }

    /// Deletes a person for good: no group has them any more.
    pub fn purge(&mut self, key: &str) {
        if let Some(person) = self.people.get_mut(key) {
            person.standing = Standing::Gone;
        }
        for group in self.groups.values_mut() {
            group.members.remove(key);
        }
    }

    /// Memberships of groups that are there.
    pub fn memberships(&self) -> usize {
        self.groups.values().filter(|group| !group.is_gone).map(|group| group.members.len()).sum()
    }
}
