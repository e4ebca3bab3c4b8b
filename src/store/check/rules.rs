//! What has to hold between the items of a partition, as pure functions of the facts: which suspicions there are, which
//! items speak for or against each, and how it is told.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::super::keys::Key;
use super::super::settings::Settings;
use super::circles::circles;
use super::facts::{Facts, Memberships, Pair};
use super::{Finding, Outcome};
use crate::scim::catalog::Kind;
use crate::scim::discovery::GroupNames;
use crate::scim::resource::ResourceId;

/// Something that seems wrong. The order is the order of repair: resources before what hangs on them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Suspect {
    /// An item that cannot be read, and why.
    Unreadable(Key, String),
    /// An item of no sort that we write.
    Unknown(Key),
    /// A user whose values cannot be match items, and why.
    Unmatchable(Key, String),
    /// A user item under a key that is not made of its userName.
    Misplaced(Key),
    /// A second user item with the id of another.
    UserTwice { id: ResourceId, key: Key },
    /// A user item without its id item.
    IdMissing { id: ResourceId, key: Key },
    /// An id item that leads to where its user is not.
    IdElsewhere { id: ResourceId, key: Key },
    /// An id item without a user.
    IdLeft(ResourceId),
    /// An id or group item without the number that memberships move.
    Memberships(Key),
    /// A value by which a user is not found.
    MatchMissing { id: ResourceId, user: Key, key: Key },
    /// A match item that no user accounts for.
    MatchLeft { id: ResourceId, key: Key },
    /// A look-up by name that does not fit its group.
    NameLeft { group: ResourceId, key: Key },
    /// A lock on a name that its holder does not have.
    LockLeft { group: ResourceId, key: Key },
    /// A group that is not found by its name.
    NameMissing { group: ResourceId, key: Key },
    /// A group whose name is not locked.
    LockMissing { group: ResourceId, key: Key },
    /// Two groups of one name, where names are unique.
    NameShared { group: ResourceId, key: Key, holder: ResourceId },
    /// A membership that only the group's side has.
    InverseMissing(Pair),
    /// A membership's inverse alone.
    InverseLeft(Pair),
    /// Half a membership with an end that is not there.
    HalfLeft(Pair),
    /// A membership with an end that is not there.
    PairLeft(Pair),
    /// A membership that says the wrong kind of member.
    WrongType(Pair, Kind),
    /// Groups that are members of each other all around, by their memberships.
    Circle(Vec<Pair>),
    /// A resource whose last change is not in the journal.
    ChangeLost { kind: Kind, id: ResourceId, key: Key, at: Uuid },
}

/// Every suspicion that the facts give rise to.
pub(super) fn suspects(facts: &Facts<'_>, settings: &Settings) -> BTreeSet<Suspect> {
    let mut found = BTreeSet::new();
    let opaque = facts.opaque.iter();
    found.extend(opaque.map(|(key, why)| Suspect::Unreadable(key.clone(), why.clone())));
    found.extend(facts.unknown.iter().cloned().map(Suspect::Unknown));
    let unmatchable = facts.unmatchable.iter();
    found.extend(unmatchable.map(|(key, why)| Suspect::Unmatchable(key.clone(), why.clone())));
    users(facts, &mut found);
    matches(facts, &mut found);
    groups(facts, settings, &mut found);
    names(facts, settings, &mut found);
    pairs(facts, &mut found);
    found.extend(circles(facts).into_iter().map(Suspect::Circle));
    changes(facts, &mut found);
    found
}

fn changes(facts: &Facts<'_>, found: &mut BTreeSet<Suspect>) {
    let lost = |at: Option<Uuid>| at.filter(|at| facts.lost.contains(at));
    for id in facts.users.keys() {
        let row = facts.row_of(*id).filter(|row| !row.misplaced);
        found.extend(row.and_then(|row| {
            let (kind, key) = (Kind::User, row.key.clone());
            Some(Suspect::ChangeLost { kind, id: *id, key, at: lost(row.change)? })
        }));
    }
    for (id, row) in &facts.groups {
        let (kind, key) = (Kind::Group, Key::group(*id));
        let at = lost(row.change);
        found.extend(at.map(|at| Suspect::ChangeLost { kind, id: *id, key, at }));
    }
    for ((kind, id), change) in &facts.others {
        let (kind, id, key) = (*kind, *id, Key::of_id(*kind, *id));
        found.extend(lost(*change).map(|at| Suspect::ChangeLost { kind, id, key, at }));
    }
}

fn users(facts: &Facts<'_>, found: &mut BTreeSet<Suspect>) {
    for (id, rows) in &facts.users {
        let misplaced = rows.iter().filter(|row| row.misplaced);
        found.extend(misplaced.map(|row| Suspect::Misplaced(row.key.clone())));
        if facts.is_obscure(*id) {
            continue;
        }
        let id = *id;
        match (facts.ids.get(&id), facts.row_of(id)) {
            (None, _) => {
                let missing =
                    rows.iter().map(|row| Suspect::IdMissing { id, key: row.key.clone() });
                found.extend(missing);
            }
            (Some(_), Some(own)) => {
                let others = rows.iter().filter(|row| row.key != own.key);
                found.extend(others.map(|row| Suspect::UserTwice { id, key: row.key.clone() }));
            }
            (Some(_), None) => {
                let newest = rows.iter().max_by_key(|row| row.version);
                found.extend(newest.map(|row| Suspect::IdElsewhere { id, key: row.key.clone() }));
            }
        }
    }
    for (id, row) in &facts.ids {
        if !facts.users.contains_key(id) && !facts.is_obscure(*id) {
            found.insert(Suspect::IdLeft(*id));
        }
        if row.memberships != Memberships::Number {
            found.insert(Suspect::Memberships(Key::id(*id)));
        }
    }
}

fn matches(facts: &Facts<'_>, found: &mut BTreeSet<Suspect>) {
    for (key, (id, user)) in &facts.wanted_matches {
        if !facts.matches.contains_key(key) && !facts.is_opaque(key) {
            let (user, key) = (user.clone(), key.clone());
            found.insert(Suspect::MatchMissing { id: *id, user, key });
        }
    }
    for (key, id) in &facts.matches {
        let unmatchable =
            facts.row_of(*id).is_some_and(|row| facts.unmatchable.contains_key(&row.key));
        if !facts.wanted_matches.contains_key(key) && !facts.is_obscure(*id) && !unmatchable {
            found.insert(Suspect::MatchLeft { id: *id, key: key.clone() });
        }
    }
}

fn groups(facts: &Facts<'_>, settings: &Settings, found: &mut BTreeSet<Suspect>) {
    for (group, row) in &facts.groups {
        let group = *group;
        if row.memberships != Memberships::Number {
            found.insert(Suspect::Memberships(Key::group(group)));
        }
        let Some((name, lock)) = &row.names else { continue };
        if !facts.names.contains_key(name) && !facts.is_opaque(name) {
            found.insert(Suspect::NameMissing { group, key: name.clone() });
        }
        if settings.group_names == GroupNames::Free || facts.is_opaque(lock) {
            continue;
        }
        let key = lock.clone();
        match facts.locks.get(lock) {
            None => drop(found.insert(Suspect::LockMissing { group, key })),
            Some(holder) if *holder == group => {}
            // A lock whose holder has another name goes first; the next pass finds it missing.
            Some(holder) if has_lock(facts, *holder, lock) => {
                found.insert(Suspect::NameShared { group, key, holder: *holder });
            }
            Some(_) => {}
        }
    }
}

fn names(facts: &Facts<'_>, settings: &Settings, found: &mut BTreeSet<Suspect>) {
    for (key, group) in &facts.names {
        let names = facts.groups.get(group).and_then(|row| row.names.as_ref());
        if names.is_none_or(|(name, _)| name != key) && !facts.is_opaque(&Key::group(*group)) {
            found.insert(Suspect::NameLeft { group: *group, key: key.clone() });
        }
    }
    for (key, group) in &facts.locks {
        let held = settings.group_names == GroupNames::Unique && has_lock(facts, *group, key);
        if !held && !facts.is_opaque(&Key::group(*group)) {
            found.insert(Suspect::LockLeft { group: *group, key: key.clone() });
        }
    }
}

/// Whether the group's name is the one that this lock is for.
fn has_lock(facts: &Facts<'_>, group: ResourceId, lock: &Key) -> bool {
    let names = facts.groups.get(&group).and_then(|row| row.names.as_ref());
    names.is_some_and(|(_, own)| own == lock)
}

fn pairs(facts: &Facts<'_>, found: &mut BTreeSet<Suspect>) {
    for pair in facts.members.keys().chain(&facts.members_of) {
        let pair = *pair;
        let halves =
            [Key::member(pair.group, pair.member), Key::member_of(pair.member, pair.group)];
        if halves.iter().any(|half| facts.is_opaque(half)) {
            continue;
        }
        let kind = if facts.has_user(pair.member) {
            Some(Kind::User)
        } else if facts.has_group(pair.member) {
            Some(Kind::Group)
        } else {
            None
        };
        let swept = facts.work.contains(&pair.group) || facts.work.contains(&pair.member);
        let whole = facts.has_group(pair.group) && !swept;
        let (member, inverse) = (facts.members.get(&pair), facts.members_of.contains(&pair));
        found.extend(match (member, inverse, kind.filter(|_| whole)) {
            (Some(said), true, Some(kind)) if *said == Some(kind) => None,
            (Some(_), true, Some(kind)) => Some(Suspect::WrongType(pair, kind)),
            (Some(_), true, None) if swept => None,
            (Some(_), true, None) => Some(Suspect::PairLeft(pair)),
            (Some(_), false, Some(_)) => Some(Suspect::InverseMissing(pair)),
            (None, _, Some(_)) => Some(Suspect::InverseLeft(pair)),
            (_, _, None) => Some(Suspect::HalfLeft(pair)),
        });
    }
}

impl Suspect {
    /// The items that speak for or against it. What id items lead to is read with them, and the jobs always.
    pub(super) fn evidence(&self) -> Vec<Key> {
        match self {
            Self::Unreadable(key, _)
            | Self::Unknown(key)
            | Self::Unmatchable(key, _)
            | Self::Misplaced(key)
            | Self::Memberships(key) => vec![key.clone()],
            Self::ChangeLost { kind: Kind::Group | Kind::Custom(_), key, at, .. } => {
                vec![key.clone(), Key::held(*at)]
            }
            Self::UserTwice { id, key }
            | Self::IdMissing { id, key }
            | Self::IdElsewhere { id, key }
            | Self::MatchLeft { id, key } => {
                vec![key.clone(), Key::id(*id)]
            }
            Self::ChangeLost { kind: Kind::User, id, key, at } => {
                vec![key.clone(), Key::id(*id), Key::held(*at)]
            }
            Self::IdLeft(id) => vec![Key::id(*id)],
            Self::MatchMissing { id, user, key } => {
                vec![key.clone(), user.clone(), Key::id(*id)]
            }
            Self::NameLeft { group, key }
            | Self::LockLeft { group, key }
            | Self::NameMissing { group, key }
            | Self::LockMissing { group, key } => vec![key.clone(), Key::group(*group)],
            Self::NameShared { group, key, holder } => {
                vec![key.clone(), Key::group(*group), Key::group(*holder)]
            }
            Self::Circle(pairs) => pairs
                .iter()
                .flat_map(|pair| [Key::member(pair.group, pair.member), Key::group(pair.group)])
                .collect(),
            Self::InverseMissing(pair)
            | Self::InverseLeft(pair)
            | Self::HalfLeft(pair)
            | Self::PairLeft(pair)
            | Self::WrongType(pair, _) => vec![
                Key::member(pair.group, pair.member),
                Key::member_of(pair.member, pair.group),
                Key::group(pair.group),
                Key::group(pair.member),
                Key::id(pair.member),
            ],
        }
    }

    /// How it is told.
    pub(super) fn finding(&self, outcome: Outcome) -> Finding {
        let (sort, what) = self.told();
        Finding { sort, item: self.item().to_string(), what, outcome }
    }

    /// The key of the item that it is about.
    fn item(&self) -> Key {
        match self {
            Self::Unreadable(key, _)
            | Self::Unknown(key)
            | Self::Unmatchable(key, _)
            | Self::Misplaced(key)
            | Self::Memberships(key)
            | Self::UserTwice { key, .. }
            | Self::IdMissing { key, .. }
            | Self::MatchMissing { key, .. }
            | Self::MatchLeft { key, .. }
            | Self::NameLeft { key, .. }
            | Self::LockLeft { key, .. }
            | Self::NameMissing { key, .. }
            | Self::LockMissing { key, .. }
            | Self::NameShared { key, .. }
            | Self::ChangeLost { key, .. } => key.clone(),
            Self::IdLeft(id) | Self::IdElsewhere { id, .. } => Key::id(*id),
            Self::InverseLeft(pair) => Key::member_of(pair.member, pair.group),
            Self::Circle(pairs) => {
                pairs.first().map_or_else(Key::nesting, |pair| Key::member(pair.group, pair.member))
            }
            Self::InverseMissing(pair)
            | Self::HalfLeft(pair)
            | Self::PairLeft(pair)
            | Self::WrongType(pair, _) => Key::member(pair.group, pair.member),
        }
    }

    /// The word for scripts, and the sentence.
    fn told(&self) -> (&'static str, String) {
        let (sort, what) = match self {
            Self::Unreadable(_, why) => ("unreadable", why.clone()),
            Self::Unmatchable(_, why) => ("unmatchable", why.clone()),
            Self::IdElsewhere { key, .. } => {
                ("id-elsewhere", format!("it leads elsewhere than to its user, {key}"))
            }
            Self::UserTwice { id, .. } => {
                ("user-twice", format!("another item is the user {id} already"))
            }
            Self::IdMissing { id, .. } => ("id-missing", format!("the user {id} has no id item")),
            Self::MatchMissing { id, .. } => {
                ("match-missing", format!("the user {id} is not found by this value"))
            }
            Self::MatchLeft { id, .. } => {
                ("match-left", format!("the user {id} does not have this value"))
            }
            Self::NameLeft { group, .. } => {
                ("name-left", format!("the group {group} does not have this name"))
            }
            Self::LockLeft { group, .. } => {
                ("lock-left", format!("the group {group} does not need this lock"))
            }
            Self::NameMissing { group, .. } => {
                ("name-missing", format!("the group {group} is not found by its name"))
            }
            Self::LockMissing { group, .. } => {
                ("lock-missing", format!("the name of the group {group} is not locked"))
            }
            Self::NameShared { group, holder, .. } => (
                "name-shared",
                format!("the groups {holder} and {group} have one name, and names are unique here"),
            ),
            Self::Circle(pairs) => ("circle", told_of_circle(pairs)),
            Self::Unknown(_)
            | Self::Misplaced(_)
            | Self::IdLeft(_)
            | Self::Memberships(_)
            | Self::InverseMissing(_)
            | Self::InverseLeft(_)
            | Self::HalfLeft(_)
            | Self::PairLeft(_)
            | Self::WrongType(..)
            | Self::ChangeLost { .. } => return self.told_briefly(),
        };
        (sort, what)
    }

    /// The sentences in which nothing is named.
    fn told_briefly(&self) -> (&'static str, String) {
        let (sort, what) = match self {
            Self::Unknown(_) => ("unknown-item", "an item of no sort that this version writes"),
            Self::Misplaced(_) => {
                ("misplaced-user", "the user's name is another than its key says")
            }
            Self::IdLeft(_) => ("id-left", "it leads to no user"),
            Self::Memberships(_) => {
                ("memberships-missing", "it lacks the number that each new membership moves")
            }
            Self::InverseMissing(_) => ("inverse-missing", "the membership has no inverse"),
            Self::InverseLeft(_) => ("inverse-left", "the inverse of no membership"),
            Self::HalfLeft(_) => {
                ("half-left", "half a membership of a group or member that is not there")
            }
            Self::PairLeft(_) => {
                ("membership-left", "a membership of a group or member that is not there")
            }
            Self::WrongType(..) => {
                ("wrong-type", "it says that a person is a group, or the reverse")
            }
            Self::ChangeLost { .. } => ("change-lost", "its last change is not in the journal"),
            Self::Unreadable(..)
            | Self::Unmatchable(..)
            | Self::UserTwice { .. }
            | Self::IdMissing { .. }
            | Self::IdElsewhere { .. }
            | Self::MatchMissing { .. }
            | Self::MatchLeft { .. }
            | Self::NameLeft { .. }
            | Self::LockLeft { .. }
            | Self::NameMissing { .. }
            | Self::LockMissing { .. }
            | Self::Circle(_)
            | Self::NameShared { .. } => return self.told(),
        };
        (sort, what.to_owned())
    }
}

/// Of a circle of many groups the first few are named.
fn told_of_circle(pairs: &[Pair]) -> String {
    const NAMED: usize = 5;
    let ids = pairs.iter().take(NAMED).map(|pair| pair.group.to_string());
    let ids = ids.collect::<Vec<_>>().join(" has ");
    let more = if pairs.len() > NAMED { " and so on, and the last one has" } else { "" };
    format!("groups that have each other as members in a circle: {ids} has{more} the first one")
}
