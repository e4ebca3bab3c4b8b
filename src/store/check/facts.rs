//! What the items of a partition say, without judging: the same reading for a whole pass and for a second look.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::super::StoreError;
use super::super::item::{self, HELD, Item, ItemReader};
use super::super::keys::{self, Key};
use super::super::matches;
use super::super::settings::Settings;
use super::held::Held;
use crate::limits::COUNTER_SHARDS;
use crate::scim::catalog::{Catalog, Kind};
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::well_known;

/// What `work` items ask for: the words of `work::Task`.
const TASKS: [&str; 2] = ["createGroup", "sweep"];

/// A membership, from whichever side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) group: ResourceId,
    pub(super) member: ResourceId,
}

/// A user item.
#[derive(Clone, Debug)]
pub(super) struct UserRow {
    pub(super) key: Key,
    pub(super) version: u64,
    /// Its key is not made of its userName.
    pub(super) misplaced: bool,
    /// How many of its changes it says are held back from the feed.
    pub(super) held: u64,
    /// Where the journal tells its last change.
    pub(super) change: Option<Uuid>,
}

/// An id item.
#[derive(Clone, Debug)]
pub(super) struct IdRow {
    /// The key of the user item that it leads to.
    pub(super) to: Key,
    pub(super) memberships: Memberships,
}

/// A group item.
#[derive(Clone, Debug)]
pub(super) struct GroupRow {
    pub(super) version: u64,
    /// Its look-up by name and its lock.
    pub(super) names: Option<(Key, Key)>,
    pub(super) memberships: Memberships,
    /// How many of its changes it says are held back from the feed.
    pub(super) held: u64,
    /// Where the journal tells its last change.
    pub(super) change: Option<Uuid>,
}

/// The number that each add of a membership moves.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Memberships {
    Number,
    Missing,
    Other(AttributeValue),
}

/// What the items say.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    catalog: &'a Catalog,
    settings: &'a Settings,
    pub(super) items: usize,
    /// User items by the id in them: one each, when all is well.
    pub(super) users: HashMap<ResourceId, Vec<UserRow>>,
    pub(super) ids: HashMap<ResourceId, IdRow>,
    pub(super) groups: HashMap<ResourceId, GroupRow>,
    /// The resources of each type of whoever deploys, and where the journal tells their last change.
    pub(super) others: BTreeMap<(Kind, ResourceId), Option<Uuid>>,
    /// Match items that there have to be, and the user item that says so.
    pub(super) wanted_matches: HashMap<Key, (ResourceId, Key)>,
    pub(super) matches: HashMap<Key, ResourceId>,
    pub(super) names: HashMap<Key, ResourceId>,
    pub(super) locks: HashMap<Key, ResourceId>,
    pub(super) members: HashMap<Pair, Option<Kind>>,
    pub(super) members_of: HashSet<Pair>,
    /// Resources that are being swept, or whose creation is not finished.
    pub(super) work: HashSet<ResourceId>,
    /// The sums of the counters' shards.
    pub(super) counted: BTreeMap<Kind, i64>,
    /// Items that are there and cannot be read. Nothing is concluded from what might be in them.
    pub(super) opaque: HashMap<Key, String>,
    /// Items of no sort that we write.
    pub(super) unknown: HashSet<Key>,
    /// Users whose values cannot be match items, and why.
    pub(super) unmatchable: HashMap<Key, String>,
    /// Every token's metadata can be read.
    pub(super) tokens_are_readable: bool,
    /// Changes that the journal should have and has not.
    pub(super) lost: HashSet<Uuid>,
    /// Changes that are held back from the feed.
    pub(super) held: HashSet<Uuid>,
    /// How many, and which resources they touched.
    pub(super) held_changes: Held,
    /// How many of them the brake has counted.
    pub(super) brake: u64,
}

impl<'a> Facts<'a> {
    pub(super) fn new(catalog: &'a Catalog, settings: &'a Settings) -> Self {
        Self {
            catalog,
            settings,
            items: 0,
            users: HashMap::new(),
            ids: HashMap::new(),
            groups: HashMap::new(),
            others: BTreeMap::new(),
            wanted_matches: HashMap::new(),
            matches: HashMap::new(),
            names: HashMap::new(),
            locks: HashMap::new(),
            members: HashMap::new(),
            members_of: HashSet::new(),
            work: HashSet::new(),
            counted: BTreeMap::new(),
            opaque: HashMap::new(),
            unknown: HashSet::new(),
            unmatchable: HashMap::new(),
            tokens_are_readable: true,
            lost: HashSet::new(),
            held: HashSet::new(),
            held_changes: Held::default(),
            brake: 0,
        }
    }

    /// Takes an item in.
    pub(super) fn add(&mut self, item: &Item) {
        self.items += 1;
        let Some(key) = Key::in_item(item) else { return };
        match self.read(&key, item) {
            Ok(true) => {}
            Ok(false) => {
                self.unknown.insert(key);
            }
            Err(error) => {
                self.tokens_are_readable &= key.sort() != "token";
                self.opaque.insert(key, error.to_string());
            }
        }
    }

    /// `false` when we write no such item.
    fn read(&mut self, key: &Key, item: &Item) -> Result<bool, StoreError> {
        let reader = ItemReader::new(item);
        let (last, second) = (key.last_id(), key.second_id());
        match key.sort() {
            "user" => self.user(key, &item::resource(item)?),
            "group" => return self.group(key, item),
            "resource" => return self.other(key, item),
            "id" => {
                let Some(id) = last.filter(|id| Key::id(*id) == *key) else { return Ok(false) };
                let to = Key::stored(reader?.text("ref")?);
                self.ids.insert(id, IdRow { to, memberships: memberships(item) });
            }
            "match" => return Ok(named(&mut self.matches, &reader?.key()?, last, 4)),
            "groupname" => return Ok(named(&mut self.names, &reader?.key()?, last, 3)),
            "unique" => {
                if !key.as_str().starts_with(Key::unique_name("").as_str()) {
                    return Ok(false);
                }
                self.locks.insert(key.clone(), reader?.id("id")?);
            }
            "member" => {
                let (Some(group), Some(member)) = (second, last) else { return Ok(false) };
                let kind = reader?.optional("type").and_then(Kind::from_name);
                self.members.insert(Pair { group, member }, kind);
            }
            "memberof" => {
                let (Some(member), Some(group)) = (second, last) else { return Ok(false) };
                reader?.key()?;
                self.members_of.insert(Pair { group, member });
            }
            "count" => {
                let of =
                    |kind: &Kind| (0..COUNTER_SHARDS).any(|shard| Key::count(*kind, shard) == *key);
                let Some(kind) = self.kinds().find(of) else { return Ok(false) };
                *self.counted.entry(kind).or_default() += reader?.number::<i64>("n")?;
            }
            "token" => {
                let reader = reader?;
                reader.text("label").and(reader.text("digest"))?;
                reader.timestamp("created").and(reader.timestamp("validUntil"))?;
            }
            "work" => {
                let reader = reader?;
                if !TASKS.contains(&reader.text("task")?) {
                    return Err(reader.corrupt("task"));
                }
                self.work.insert(reader.id("resource")?);
            }
            "nesting" if *key == Key::nesting() => drop(reader?.number::<u64>("n")?),
            "settings" => drop(Settings::read(item)?),
            "link" => {
                let reader = reader?;
                reader.text("digest").and(reader.text("state"))?;
                reader.timestamp("created").and(reader.timestamp("validUntil"))?;
            }
            "held" => return self.held(key, item),
            "brake" => {
                let reader = reader?;
                reader.key()?;
                self.brake = reader.optional_number(HELD);
            }
            "activity" | "portal" | "traffic" | "settled" | "told" => {
                drop(reader?.key()?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn held(&mut self, key: &Key, item: &Item) -> Result<bool, StoreError> {
        let at = key.as_str().strip_prefix(keys::HELD);
        let Some(at) = at.and_then(|at| Uuid::try_parse(at).ok()) else { return Ok(false) };
        let reader = ItemReader::new(item)?;
        reader.key()?;
        self.held.insert(at);
        if self.held_changes.add(item) { Ok(true) } else { Err(reader.corrupt("item")) }
    }

    fn user(&mut self, key: &Key, user: &Resource) {
        let id = user.id;
        match matches::values(self.catalog.resource_type(Kind::User), self.settings, user) {
            Ok(values) => {
                let keys = values.iter().map(|v| Key::matching(&v.attribute, &v.folded, id));
                self.wanted_matches.extend(keys.map(|wanted| (wanted, (id, key.clone()))));
            }
            Err(error) => {
                let why = if let StoreError::Refused(error) = &error {
                    error.detail().to_owned()
                } else {
                    error.to_string()
                };
                self.unmatchable.insert(key.clone(), why);
            }
        }
        let name = user.document.text(well_known::USER_NAME);
        let misplaced = name.is_none_or(|name| Key::user(name) != *key);
        let (version, held, change) = (user.version, user.held, user.change);
        let row = UserRow { key: key.clone(), version, misplaced, held, change };
        self.users.entry(id).or_default().push(row);
    }

    fn group(&mut self, key: &Key, item: &Item) -> Result<bool, StoreError> {
        let group = item::resource(item)?;
        if Key::group(group.id) != *key {
            return Err(ItemReader::new(item)?.corrupt("id"));
        }
        let name = group.document.text(well_known::DISPLAY_NAME);
        let names = name.map(|name| (Key::group_name(name, group.id), Key::unique_name(name)));
        let (version, held, change) = (group.version, group.held, group.change);
        let row = GroupRow { version, names, memberships: memberships(item), held, change };
        self.groups.insert(group.id, row);
        Ok(true)
    }

    /// Every resource type that a tenant can have.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> + use<'a> {
        self.catalog.deployed().into_iter()
    }

    /// A resource of a type of whoever deploys. Of one that is not deployed any more it is not known what it should be.
    fn other(&mut self, key: &Key, item: &Item) -> Result<bool, StoreError> {
        let Some(id) = key.last_id() else { return Ok(false) };
        let Some(kind) = self.kinds().find(|kind| Key::of_id(*kind, id) == *key) else {
            return Ok(true);
        };
        let resource = item::resource_of(kind, item)?;
        if resource.id != id {
            return Err(ItemReader::new(item)?.corrupt("id"));
        }
        self.others.insert((kind, id), resource.change);
        Ok(true)
    }

    /// Where the journal tells the last change of each resource.
    pub(super) fn changes(&self) -> Vec<Uuid> {
        let users = self.users.values().flatten().filter_map(|row| row.change);
        let groups = self.groups.values().filter_map(|row| row.change);
        let others = self.others.values().copied().flatten();
        let told = |at: &Uuid| !self.held.contains(at);
        let changes: BTreeSet<Uuid> = users.chain(groups).chain(others).filter(told).collect();
        changes.into_iter().collect()
    }

    /// Whether an item with that key is there that cannot be read.
    pub(super) fn is_opaque(&self, key: &Key) -> bool {
        self.opaque.contains_key(key)
    }

    /// There is a user of that id, or at least an item that stands for one.
    pub(super) fn has_user(&self, id: ResourceId) -> bool {
        self.ids.contains_key(&id) || self.users.contains_key(&id) || self.is_opaque(&Key::id(id))
    }

    /// There is a group of that id.
    pub(super) fn has_group(&self, id: ResourceId) -> bool {
        self.groups.contains_key(&id) || self.is_opaque(&Key::group(id))
    }

    /// Part of the user cannot be read, so nothing can be said of the rest.
    pub(super) fn is_obscure(&self, id: ResourceId) -> bool {
        self.is_opaque(&Key::id(id)) || self.ids.get(&id).is_some_and(|row| self.is_opaque(&row.to))
    }

    /// The user item with that key, if that id is in it.
    pub(super) fn row(&self, id: ResourceId, key: &Key) -> Option<&UserRow> {
        self.users.get(&id)?.iter().find(|row| row.key == *key)
    }

    /// The user item that the id item leads to, if it is that user's.
    pub(super) fn row_of(&self, id: ResourceId) -> Option<&UserRow> {
        self.row(id, &self.ids.get(&id)?.to)
    }
}

/// Takes in an item that is nothing but its key, which ends in an id.
fn named(
    into: &mut HashMap<Key, ResourceId>,
    key: &Key,
    id: Option<ResourceId>,
    segments: usize,
) -> bool {
    let id = id.filter(|_| key.as_str().split('#').count() == segments);
    into.extend(id.map(|id| (key.clone(), id)));
    id.is_some()
}

fn memberships(item: &Item) -> Memberships {
    match item.get("memberships") {
        Some(AttributeValue::N(_)) => Memberships::Number,
        Some(other) => Memberships::Other(other.clone()),
        None => Memberships::Missing,
    }
}
