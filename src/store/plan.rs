//! From a filter to an access path, pure: which key or index answers, so that the whole filter need only be evaluated on
//! the few items that it finds.
//!
//! Law: planning changes nothing. What a plan finds, filtered, is what the whole list, filtered, would be.

use super::Settings;
use super::keys::{bytes_in_key, fits_match};
use super::matches;
use crate::limits::{EXTERNAL_ID_BYTES_MAX, IDENTIFIER_BYTES_MAX};
use crate::scim::catalog::{Kind, ResourceType};
use crate::scim::filter::{Bound, Equality};
use crate::scim::fold::fold;
use crate::scim::path::AttrPath;
use crate::scim::resource::ResourceId;
use crate::scim::well_known;

/// What answers a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing can match.
    Nothing,
    /// One resource by id.
    Id(ResourceId),
    /// One user by name.
    UserName(String),
    /// Groups by name.
    GroupName(String),
    /// Users by a match attribute and a value in the form of its key.
    Match {
        /// The attribute as it is configured.
        attribute: String,
        /// The value, folded as the schema says.
        folded: String,
    },
    /// Resources by externalId, through the index.
    ExternalId(String),
    /// Groups with this member.
    Member(ResourceId),
    /// Users in this group.
    Group(ResourceId),
    /// All resources of the kind, up to a bound.
    Everything,
}

/// Chooses the access path for a filter: the cheapest of those that its conjuncts allow.
pub fn plan(resource_type: &ResourceType, settings: &Settings, filter: &Bound<'_>) -> Plan {
    if filter.constant() == Some(false) {
        return Plan::Nothing;
    }
    let equalities = filter.equalities();
    let paths = equalities.iter().filter_map(|equality| path(resource_type, settings, equality));
    paths.min_by_key(|(rank, _)| *rank).map_or(Plan::Everything, |(_, plan)| plan)
}

/// The access path of one equality, with its rank: what cannot match first, then single keys, then prefixes, then the
/// index, because that one may lag.
fn path(
    resource_type: &ResourceType,
    settings: &Settings,
    equality: &Equality,
) -> Option<(u8, Plan)> {
    let value = equality.value.as_str();
    let kind = resource_type.kind;
    // What could never be stored cannot be in a key either, and DynamoDB would refuse the look-up.
    let storable = |text: &str| !text.is_empty() && bytes_in_key(text) <= IDENTIFIER_BYTES_MAX;
    let by_key = |rank: u8, text: &str, plan: Plan| {
        Some(if storable(text) { (rank, plan) } else { (0, Plan::Nothing) })
    };
    let is = |name: &str| equality.path.eq_ignore_ascii_case(name);
    // A reference is compared without regard to letter case by the RFC's schema, and ids are lower case.
    let reference = || ResourceId::parse(&fold(value));
    let by_reference = |plan: fn(ResourceId) -> Plan| {
        Some(reference().map_or((0, Plan::Nothing), |id| (4, plan(id))))
    };
    if is(well_known::ID) {
        return Some(ResourceId::parse(value).map_or((0, Plan::Nothing), |id| (1, Plan::Id(id))));
    }
    if kind == Kind::User && is(well_known::USER_NAME) {
        return by_key(2, value, Plan::UserName(value.to_owned()));
    }
    if kind == Kind::Group && is(well_known::DISPLAY_NAME) {
        return by_key(3, value, Plan::GroupName(value.to_owned()));
    }
    if kind == Kind::Group && is(&format!("{}.{}", well_known::MEMBERS, well_known::VALUE)) {
        return by_reference(Plan::Member);
    }
    if kind == Kind::User && is(&format!("{}.{}", well_known::GROUPS, well_known::VALUE)) {
        return by_reference(Plan::Group);
    }
    if kind == Kind::User
        && let Some(attribute) = matches::is_configured(settings, &equality.path)
    {
        let target = resource_type.resolve(&AttrPath::parse(attribute)?)?;
        let folded = matches::folded(&target, value);
        if folded.is_empty() || !fits_match(attribute, &folded) {
            return Some((0, Plan::Nothing));
        }
        return Some((3, Plan::Match { attribute: attribute.to_owned(), folded }));
    }
    is(well_known::EXTERNAL_ID).then(|| {
        if value.is_empty() || value.len() > EXTERNAL_ID_BYTES_MAX {
            (0, Plan::Nothing)
        } else {
            (5, Plan::ExternalId(value.to_owned()))
        }
    })
}
