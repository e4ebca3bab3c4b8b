//! The identity providers that can be played: what each one says of people and groups, and its manners.
//!
//! Their differences are rows of one table. What rests on documentation, and what is inferred, stands in `docs/idp/`.

use super::source::{FULL_NAME, Source, WORK_EMAIL};

/// Whose requests are played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// Microsoft Entra ID.
    #[default]
    Entra,
    /// Okta.
    Okta,
    /// `PingOne`.
    PingOne,
    /// `JumpCloud`.
    JumpCloud,
}

/// How a provider goes about it.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit that some have")]
pub(super) struct Habits {
    /// For people.
    pub(super) name: &'static str,
    /// In arguments and JSON.
    pub(super) word: &'static str,
    /// Where its sequences are documented.
    pub(super) source: &'static str,
    /// Headers that go with every request, beside the token.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// The type of the bodies that it sends.
    pub(super) media: &'static str,
    /// What a space in a query becomes.
    pub(super) space: &'static str,
    /// What follows the filter of a query for one person.
    pub(super) paging: &'static str,
    /// The path of an address in a filter.
    pub(super) email: &'static str,
    /// How it looks whether the endpoint works: queries of its own for users and for groups; without them it asks for
    /// somebody who does not exist.
    pub(super) probes: Option<(&'static str, &'static str)>,
    /// Whether whoever is deleted for good is deleted at the endpoint, too; else they stay there, inactive.
    pub(super) deletes_people: bool,
    /// Whether a linked object is read before it is written.
    pub(super) reads_first: bool,
    /// Whether groups that are not linked yet are looked for in a list of all, instead of by a filter.
    pub(super) lists_groups: bool,
    /// Whether 429 is tried again after as long as it says.
    pub(super) waits_when_throttled: bool,
}

const ENTRA: Habits = Habits {
    name: "Microsoft Entra ID",
    word: "entra",
    source: "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups",
    headers: &[],
    media: "application/scim+json; charset=utf-8",
    space: "+",
    paging: "",
    email: WORK_EMAIL,
    probes: None,
    deletes_people: true,
    reads_first: true,
    lists_groups: false,
    waits_when_throttled: false,
};

const OKTA: Habits = Habits {
    name: "Okta",
    word: "okta",
    source: "https://developer.okta.com/docs/reference/scim/scim-20/",
    headers: &[
        ("user-agent", "Okta SCIM Client 1.0.0"),
        ("accept", "application/scim+json"),
        ("accept-charset", "utf-8"),
    ],
    media: "application/scim+json; charset=utf-8",
    space: "%20",
    paging: "&startIndex=1&count=100",
    email: "emails.value",
    probes: Some(("/Users?startIndex=1&count=2", "/Groups?startIndex=1&count=100")),
    deletes_people: false,
    reads_first: true,
    lists_groups: true,
    waits_when_throttled: true,
};

const PING_ONE: Habits = Habits {
    name: "PingOne",
    word: "pingone",
    source: "https://docs.pingidentity.com/pingone/integrations/p1_scim_provisioning_limitations.html",
    headers: &[],
    media: "application/json",
    space: "%20",
    paging: "",
    email: "emails.value",
    probes: None,
    deletes_people: true,
    reads_first: false,
    lists_groups: false,
    waits_when_throttled: false,
};

const JUMP_CLOUD: Habits = Habits {
    name: "JumpCloud",
    word: "jumpcloud",
    source: "https://jumpcloud.com/support/provision-and-manage-users-and-groups-in-apps-using-custom-scim-identity-management-integration",
    headers: &[],
    media: "application/json",
    space: "%20",
    paging: "",
    email: "emails.value",
    probes: Some(("/Users?count=1&startIndex=1", "/Groups?count=1&startIndex=1")),
    deletes_people: true,
    reads_first: false,
    lists_groups: false,
    waits_when_throttled: false,
};

impl Provider {
    /// Its row of the table.
    pub(super) fn habits(self) -> &'static Habits {
        match self {
            Self::Entra => &ENTRA,
            Self::Okta => &OKTA,
            Self::PingOne => &PING_ONE,
            Self::JumpCloud => &JUMP_CLOUD,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        self.habits().name
    }

    /// In one word, as in arguments.
    pub fn word(self) -> &'static str {
        self.habits().word
    }

    /// Whether it sends what stands under a path of the mapping.
    fn sends(self, target: &str) -> bool {
        match self {
            Self::Entra => true,
            Self::Okta | Self::PingOne => target != FULL_NAME,
            // No extension schemas.
            Self::JumpCloud => target != FULL_NAME && !target.contains(":User:"),
        }
    }

    /// Leaves in a source only what this provider says, so that the endpoint is compared with nothing else, and nothing
    /// else makes a request necessary. Only Entra's way to set managers, in requests of their own, is known.
    pub(super) fn limit(self, source: &mut Source) {
        if self == Self::Entra {
            return;
        }
        for person in source.people.values_mut() {
            person.attributes.retain(|target, _| self.sends(target));
            person.manager = None;
        }
    }

    /// A filter, or a whole query, with spaces as this provider encodes them: Entra's encoding leaves no other `+`.
    pub(super) fn query(self, query: &str) -> String {
        query.replace('+', self.habits().space)
    }
}

#[cfg(test)]
mod tests {
    use super::super::generate::{Size, directory};
    use super::*;

    #[test]
    fn a_source_keeps_only_what_a_provider_says() {
        let whole = directory(Size { users: 20, groups: 2, everyone_has_mail: true }, 3);
        let targets = |provider: Provider| {
            let mut source = whole.clone();
            provider.limit(&mut source);
            assert_eq!(source.groups, whole.groups);
            let people = source.people.values();
            let managers = people.clone().filter(|person| person.manager.is_some()).count();
            (people.map(|person| person.attributes.len()).sum::<usize>(), managers)
        };
        let (all, managers) = targets(Provider::Entra);
        assert!(managers > 10, "{managers}");
        assert_eq!(targets(Provider::Okta), (all - 20, 0));
        assert_eq!(targets(Provider::PingOne), (all - 20, 0));
        assert_eq!(targets(Provider::JumpCloud), (all - 60, 0));
    }
}
