//! Every key of the Directory table, built and read here only.
//!
//! A sort key is segments joined by `#`. Segments that come from input are escaped, so that no value can reach into
//! another's prefix, and bounded by `limits::IDENTIFIER_BYTES_MAX` before they get here.

use std::borrow::Cow;
use std::fmt;

use uuid::Uuid;

use crate::limits::KEY_BYTES_MAX;
use crate::moment::Timestamp;
use crate::scim::catalog::Kind;
use crate::scim::fold::fold;
use crate::scim::resource::ResourceId;

/// The partition with one row a tenant, so that tenants can be listed without a Scan. No legal `TenantId`.
pub(super) const REGISTRY: &str = "#registry";

/// A sort key of the Directory table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(String);

impl Key {
    /// The key as it is stored.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// A key that was read from the table.
    pub(super) fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The key of an item that was read.
    pub(super) fn in_item(item: &super::item::Item) -> Option<Self> {
        item.get("key").and_then(|key| key.as_s().ok()).map(|key| Self::stored(key))
    }

    /// A user, by name whatever its letter case.
    pub(super) fn user(user_name: &str) -> Self {
        Self(format!("user#{}", escape(&fold(user_name))))
    }

    /// A user's id item.
    pub(super) fn id(id: ResourceId) -> Self {
        Self(format!("id#{id}"))
    }

    /// A group.
    pub(super) fn group(id: ResourceId) -> Self {
        Self(format!("group#{id}"))
    }

    /// A resource of a type of whoever deploys.
    pub(super) fn other(name: &str, id: ResourceId) -> Self {
        Self(format!("{OTHERS}{}#{id}", escape(name)))
    }

    /// The item of a resource that has only its id in its key: of a user the id item.
    pub(super) fn of_id(kind: Kind, id: ResourceId) -> Self {
        match kind {
            Kind::User => Self::id(id),
            Kind::Group => Self::group(id),
            Kind::Custom(name) => Self::other(name, id),
        }
    }

    /// One value of a match attribute of one user. `folded` is folded as the schema says.
    pub(super) fn matching(attribute: &str, folded: &str, id: ResourceId) -> Self {
        Self(format!("{}{id}", matching_prefix(attribute, folded)))
    }

    /// The look-up of a group by its name.
    pub(super) fn group_name(name: &str, id: ResourceId) -> Self {
        Self(format!("{}{id}", group_name_prefix(name)))
    }

    /// The lock that keeps a group's name unique.
    pub(super) fn unique_name(name: &str) -> Self {
        Self(format!("unique#displayName#{}", escape(&fold(name))))
    }

    /// One membership.
    pub(super) fn member(group: ResourceId, member: ResourceId) -> Self {
        Self(format!("member#{group}#{member}"))
    }

    /// The same membership, from the member's side.
    pub(super) fn member_of(member: ResourceId, group: ResourceId) -> Self {
        Self(format!("memberof#{member}#{group}"))
    }

    /// One shard of a counter.
    pub(super) fn count(kind: Kind, shard: u32) -> Self {
        Self(format!("{}{shard:02}", count_prefix(kind)))
    }

    /// How often groups have come into groups.
    pub(super) fn nesting() -> Self {
        Self("nesting".to_owned())
    }

    /// The tenant's settings.
    pub(super) fn settings() -> Self {
        Self("settings".to_owned())
    }

    /// When the identity provider was last seen.
    pub(super) fn activity() -> Self {
        Self("activity".to_owned())
    }

    /// What the identity provider asked for in the stretch of time that begins there.
    pub(super) fn traffic(start: Timestamp) -> Self {
        Self(format!("{TRAFFIC}{start}"))
    }

    /// A token's metadata.
    pub(super) fn token(token: &str) -> Self {
        Self(format!("token#{}", escape(token)))
    }

    /// What is known of the tenant's sign-in.
    pub(super) fn portal() -> Self {
        Self("portal".to_owned())
    }

    /// A setup link's metadata.
    pub(super) fn link(link: &str) -> Self {
        Self(format!("{LINKS}{}", escape(link)))
    }

    /// The deployment itself, in the registry.
    pub(super) fn stack() -> Self {
        Self("stack".to_owned())
    }

    /// A job that has to be finished.
    pub(super) fn work(work: Uuid) -> Self {
        Self(format!("work#{work}"))
    }

    /// What the brake on mass changes has counted.
    pub(super) fn brake() -> Self {
        Self("brake".to_owned())
    }

    /// A change that is held back from the feed.
    pub(super) fn held(at: Uuid) -> Self {
        Self(format!("{HELD}{at}"))
    }

    /// Where a change that was held back stands in the journal.
    pub(super) fn settled(at: Uuid) -> Self {
        Self(format!("settled#{at}"))
    }

    /// What somebody was told about a condition.
    pub(super) fn told(condition: &str) -> Self {
        Self(format!("{TOLD}{}", escape(condition)))
    }

    /// The id in the last segment of `member#`, `memberof#`, `match#`, `groupname#`, `id#` and `group#` keys.
    pub(super) fn last_id(&self) -> Option<ResourceId> {
        self.0.rsplit('#').next().and_then(ResourceId::parse)
    }

    /// The id in the second segment of `member#` and `memberof#` keys.
    pub(super) fn second_id(&self) -> Option<ResourceId> {
        self.0.split('#').nth(1).and_then(ResourceId::parse)
    }

    /// The name of the resource type in a counter's key. It is a word, of which nothing is escaped.
    pub(super) fn counted(&self) -> Option<String> {
        let name = self.0.strip_prefix(COUNTS)?.split('#').next();
        name.map(ToOwned::to_owned)
    }

    /// What sort of item it is: the first segment.
    pub(super) fn sort(&self) -> &str {
        self.0.split('#').next().unwrap_or("")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prefix of every user item.
pub(super) const USERS: &str = "user#";
/// Prefix of every id item: the users in order of creation.
pub(super) const IDS: &str = "id#";
/// Prefix of every group item: the groups in order of creation.
pub(super) const GROUPS: &str = "group#";
/// Prefix of every resource of a type of whoever deploys.
pub(super) const OTHERS: &str = "resource#";
/// Prefix of every shard of every counter.
pub(super) const COUNTS: &str = "count#";
/// Prefix of every match item.
pub(super) const MATCHES: &str = "match#";
/// Prefix of every group name item.
pub(super) const GROUP_NAMES: &str = "groupname#";
/// Prefix of every membership.
pub(super) const MEMBERS: &str = "member#";
/// Prefix of every membership from the member's side.
pub(super) const MEMBERS_OF: &str = "memberof#";
/// Prefix of what the identity provider asked for, a stretch of time each.
pub(super) const TRAFFIC: &str = "traffic#";
/// Prefix of every token's metadata.
pub(super) const TOKENS: &str = "token#";
/// Prefix of every setup link's metadata.
pub(super) const LINKS: &str = "link#";
/// Prefix of every change that is held back from the feed.
pub(super) const HELD: &str = "held#";
/// Prefix of what somebody was told about.
pub(super) const TOLD: &str = "told#";
/// Prefix of every job that has to be finished.
pub(super) const WORK: &str = "work#";

/// Prefix of the items in which resources of a kind are, whole.
pub(super) fn items_prefix(kind: Kind) -> Cow<'static, str> {
    match kind {
        Kind::User => USERS.into(),
        Kind::Group => GROUPS.into(),
        Kind::Custom(name) => format!("{OTHERS}{}#", escape(name)).into(),
    }
}

/// Prefix of the items of a kind whose keys end in the id: its resources in order of creation.
pub(super) fn ids_prefix(kind: Kind) -> Cow<'static, str> {
    match kind {
        Kind::User => IDS.into(),
        Kind::Group | Kind::Custom(_) => items_prefix(kind),
    }
}

/// Prefix of the match items with one value.
pub(super) fn matching_prefix(attribute: &str, folded: &str) -> String {
    format!("{MATCHES}{}#{}#", escape(attribute), escape(folded))
}

/// Prefix of the group name items with one name.
pub(super) fn group_name_prefix(name: &str) -> String {
    format!("{GROUP_NAMES}{}#", escape(&fold(name)))
}

/// Prefix of the members of a group.
pub(super) fn members_prefix(group: ResourceId) -> String {
    format!("{MEMBERS}{group}#")
}

/// Prefix of the groups of a member.
pub(super) fn member_of_prefix(member: ResourceId) -> String {
    format!("{MEMBERS_OF}{member}#")
}

/// Prefix of the shards of a counter.
pub(super) fn count_prefix(kind: Kind) -> String {
    format!("{COUNTS}{}#", escape(kind.name()))
}

/// Whether a match item with that value has a key that DynamoDB takes.
pub(super) fn fits_match(attribute: &str, folded: &str) -> bool {
    const ID_BYTES: usize = 36;
    matching_prefix(attribute, folded).len() + ID_BYTES <= KEY_BYTES_MAX
}

/// Bytes that an identifier takes in a key, folded and escaped.
pub(crate) fn bytes_in_key(text: &str) -> usize {
    escape(&fold(text)).len()
}

/// `#` separates segments and `%` escapes; both are escaped in values, and nothing else.
fn escape(text: &str) -> String {
    if text.contains(['#', '%']) {
        text.replace('%', "%25").replace('#', "%23")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_reaches_into_another_prefix() {
        assert_eq!(
            Key::user("Kim_Partner.test#EXT#@home.test").as_str(),
            "user#kim_partner.test%23ext%23@home.test"
        );
        assert_ne!(Key::user("a%23b"), Key::user("a#b"));
        assert_eq!(matching_prefix("emails.value", "a#b"), "match#emails.value#a%23b#");
    }

    #[test]
    fn what_is_escaped_takes_more_bytes_in_a_key() {
        assert_eq!(["", "ab", "A#b%"].map(bytes_in_key), [0, 2, 8]);
    }

    #[test]
    fn a_value_fits_whose_key_dynamodb_takes() {
        let id = ResourceId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let longest =
            "x".repeat(KEY_BYTES_MAX - Key::matching("emails.value", "", id).as_str().len());
        assert!(fits_match("emails.value", &longest));
        assert_eq!(Key::matching("emails.value", &longest, id).as_str().len(), KEY_BYTES_MAX);
        assert!(!fits_match("emails.value", &format!("{longest}x")));
        // What is escaped takes more than it seems to.
        assert!(!fits_match("emails.value", &longest.replacen('x', "#", 1)));
    }

    #[test]
    fn ids_are_read_back_from_keys() {
        let a = ResourceId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let b = ResourceId::parse("01890a5d-ac96-774b-bcce-b302099a8058").unwrap();
        assert_eq!(Key::member(a, b).second_id(), Some(a));
        assert_eq!(Key::member(a, b).last_id(), Some(b));
        assert_eq!(Key::id(a).last_id(), Some(a));
        assert_eq!(Key::group_name("x", b).last_id(), Some(b));
        assert_eq!(Key::member(a, b).sort(), "member");
    }
}
