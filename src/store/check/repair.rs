//! Repairs, each one conditional write: on the condition that what it is about still is as it was read.
//!
//! Nothing is guessed: where two readings are possible, a person is told what to do. The group's side of a membership is
//! the membership; its inverse follows it.

use uuid::Uuid;

use super::super::StoreError;
use super::super::brake::Form;
use super::super::item::{Item, bare, key_of, number, text};
use super::super::journal::{Entry, Event};
use super::super::keys::Key;
use super::super::trace::Trace;
use super::super::write::{Cancelled, Change, Condition, Role, Transaction};
use super::facts::{Facts, Memberships, Pair};
use super::rules::Suspect;
use super::{Check, Outcome};
use crate::moment::Moment;
use crate::scim::catalog::Kind;
use crate::scim::document::Document;
use crate::scim::resource::{Resource, ResourceId};

const UNREADABLE: &str = "if a newer version of this program wrote it, use that version; else restore the item from a backup";
const UNKNOWN: &str = "if nothing of yours needs it, delete it with DynamoDB's own tools";
const UNMATCHABLE: &str = "give the user fewer or shorter values, from the identity provider";
const MISPLACED: &str = "make the item's userName fit its key again with DynamoDB's own tools, then rename the user through SCIM";
const CIRCLE: &str =
    "take one of the groups out of the one that has it, from the identity provider or with a PATCH";
const NAME_SHARED: &str = "rename one of the two groups, from the identity provider";

/// Any number serves as `memberships`, as long as each new membership moves it.
const MEMBERSHIPS: i64 = 1;

impl Check<'_> {
    /// Repairs what was confirmed. `None` when something was written meanwhile, so that it has to be looked at again.
    pub(super) async fn repair(
        &self,
        facts: &Facts<'_>,
        suspect: &Suspect,
    ) -> Result<Option<Outcome>, StoreError> {
        let (done, how) = match suspect {
            Suspect::Unreadable(..) => return Ok(Some(Outcome::ByHand(UNREADABLE))),
            Suspect::Unknown(_) => return Ok(Some(Outcome::ByHand(UNKNOWN))),
            Suspect::Unmatchable(..) => return Ok(Some(Outcome::ByHand(UNMATCHABLE))),
            Suspect::Misplaced(_) => return Ok(Some(Outcome::ByHand(MISPLACED))),
            Suspect::NameShared { .. } => return Ok(Some(Outcome::ByHand(NAME_SHARED))),
            Suspect::Circle(_) => return Ok(Some(Outcome::ByHand(CIRCLE))),
            Suspect::UserTwice { id, key } => {
                (self.remove_user(facts, *id, key).await, "the second item was removed")
            }
            Suspect::IdMissing { id, key } => {
                (self.add_id(facts, *id, key).await, "the id item was written")
            }
            Suspect::IdElsewhere { id, key } => {
                (self.redirect_id(facts, *id, key).await, "it leads to its user now")
            }
            Suspect::IdLeft(id) => (self.remove_id(facts, *id).await, "it was removed"),
            Suspect::Memberships(key) => {
                (self.add_memberships(facts, key).await, "a number was written")
            }
            Suspect::MatchMissing { id, user, key } => {
                (self.add_match(facts, (*id, user), key).await, "the match item was written")
            }
            Suspect::MatchLeft { id, key } => {
                (self.remove_match(facts, *id, key).await, "it was removed")
            }
            Suspect::NameLeft { group, key } | Suspect::LockLeft { group, key } => {
                (self.remove_name(facts, *group, key).await, "it was removed")
            }
            Suspect::NameMissing { group, key } => (
                self.add_name(facts, *group, bare(self.tenant.as_str(), key)).await,
                "it was written",
            ),
            Suspect::LockMissing { group, key } => {
                let mut lock = bare(self.tenant.as_str(), key);
                lock.insert("id".to_owned(), text(group.to_string()));
                (self.add_name(facts, *group, lock).await, "it was written")
            }
            Suspect::InverseMissing(pair) => {
                (self.add_inverse(facts, *pair).await, "the inverse was written")
            }
            Suspect::InverseLeft(pair) | Suspect::HalfLeft(pair) | Suspect::PairLeft(pair) => {
                (self.remove_pair(facts, *pair).await, "it was removed")
            }
            Suspect::WrongType(pair, kind) => {
                (self.set_type(*pair, *kind).await, "the type was corrected")
            }
            Suspect::ChangeLost { kind, id, at, .. } => (
                self.tell_again(*kind, *id, *at).await,
                "the journal tells again how it is, with a version more",
            ),
        };
        match done {
            Ok(()) => Ok(Some(Outcome::Repaired(how))),
            Err(Cancelled::Parts(_) | Cancelled::Error(StoreError::Stale)) => Ok(None),
            Err(Cancelled::Error(error)) => Err(error),
        }
    }

    /// A version more that changes nothing, and an item of the journal that says how the resource is.
    async fn tell_again(&self, kind: Kind, id: ResourceId, at: Uuid) -> Result<(), Cancelled> {
        let moment = (self.moments)();
        let cx = self.cx(&moment);
        let found = self.store.get(&cx, kind, id).await?;
        let before = found.filter(|found| found.change == Some(at)).ok_or(StoreError::Stale)?;
        self.store.say_again(&cx, &before, 0).await.map_err(Cancelled::Error)
    }

    async fn commit(
        &self,
        trace: Trace,
        build: impl Fn(&mut Transaction) -> Result<(), StoreError>,
    ) -> Result<(), Cancelled> {
        let moment = (self.moments)();
        self.store.commit(&moment, self.tenant.as_str(), trace, build).await
    }

    fn table(&self) -> &str {
        &self.store.tables.directory
    }

    fn key(&self, key: &Key) -> Item {
        key_of(self.tenant.as_str(), key)
    }

    async fn remove_user(
        &self,
        facts: &Facts<'_>,
        id: ResourceId,
        key: &Key,
    ) -> Result<(), Cancelled> {
        let Some(row) = facts.row(id, key) else { return Err(StoreError::Stale.into()) };
        let as_read = at(id, row.version);
        self.commit(Trace::Gone(key.clone()), |t| {
            t.delete(Role::Own, self.table(), self.key(key), as_read.clone())
        })
        .await
    }

    async fn add_id(&self, facts: &Facts<'_>, id: ResourceId, key: &Key) -> Result<(), Cancelled> {
        self.commit(Trace::Written(Key::id(id)), |t| {
            let mut item = bare(self.tenant.as_str(), &Key::id(id));
            item.insert("ref".to_owned(), text(key.as_str()));
            item.insert("memberships".to_owned(), number(MEMBERSHIPS));
            t.put(Role::Part(0), self.table(), item, Condition::Absent)?;
            self.hold_user(t, facts, id, key)
        })
        .await
    }

    async fn redirect_id(
        &self,
        facts: &Facts<'_>,
        id: ResourceId,
        key: &Key,
    ) -> Result<(), Cancelled> {
        let Some(row) = facts.ids.get(&id) else { return Err(StoreError::Stale.into()) };
        self.commit(Trace::Written(Key::id(id)), |t| {
            let set = vec![("ref".to_owned(), text(key.as_str()))];
            let change = Change { set, ..Change::default() };
            let as_read = Condition::Equal(vec![("ref", text(row.to.as_str()))]);
            t.update(Role::Own, self.table(), self.key(&Key::id(id)), change, as_read)?;
            self.hold_user(t, facts, id, key)
        })
        .await
    }

    async fn remove_id(&self, facts: &Facts<'_>, id: ResourceId) -> Result<(), Cancelled> {
        let Some(row) = facts.ids.get(&id) else { return Err(StoreError::Stale.into()) };
        self.commit(Trace::Gone(Key::id(id)), |t| {
            let as_read = Condition::Equal(vec![("ref", text(row.to.as_str()))]);
            t.delete(Role::Own, self.table(), self.key(&Key::id(id)), as_read)
        })
        .await
    }

    async fn add_memberships(&self, facts: &Facts<'_>, key: &Key) -> Result<(), Cancelled> {
        let id = key.last_id().ok_or(StoreError::Stale)?;
        let row = facts.ids.get(&id).filter(|_| *key == Key::id(id)).map(|row| &row.memberships);
        let row = row.or(facts.groups.get(&id).map(|row| &row.memberships));
        self.commit(Trace::Written(key.clone()), |t| match row {
            Some(Memberships::Other(other)) => {
                let set = vec![("memberships".to_owned(), number(MEMBERSHIPS))];
                let as_read = Condition::Equal(vec![("memberships", other.clone())]);
                let change = Change { set, ..Change::default() };
                t.update(Role::Own, self.table(), self.key(key), change, as_read)
            }
            // An addition, so that it does not matter what another write has made of it meanwhile.
            Some(Memberships::Missing | Memberships::Number) | None => {
                let change =
                    Change { add: vec![("memberships", MEMBERSHIPS)], ..Change::default() };
                t.update(Role::Own, self.table(), self.key(key), change, Condition::Present)
            }
        })
        .await
    }

    async fn add_match(
        &self,
        facts: &Facts<'_>,
        (id, user): (ResourceId, &Key),
        key: &Key,
    ) -> Result<(), Cancelled> {
        self.commit(Trace::Written(key.clone()), |t| {
            let item = bare(self.tenant.as_str(), key);
            t.put(Role::Part(0), self.table(), item, Condition::Absent)?;
            self.hold_user(t, facts, id, user)
        })
        .await
    }

    /// The user, if there is one, must be as it was read: it could get this value at this moment.
    async fn remove_match(
        &self,
        facts: &Facts<'_>,
        id: ResourceId,
        key: &Key,
    ) -> Result<(), Cancelled> {
        self.commit(Trace::Gone(key.clone()), |t| {
            t.delete(Role::Own, self.table(), self.key(key), Condition::Present)?;
            match facts.row_of(id) {
                Some(row) => self.hold_user(t, facts, id, &row.key),
                None => Ok(()),
            }
        })
        .await
    }

    async fn add_name(
        &self,
        facts: &Facts<'_>,
        group: ResourceId,
        item: Item,
    ) -> Result<(), Cancelled> {
        let key = Key::in_item(&item).ok_or(StoreError::Stale)?;
        self.commit(Trace::Written(key), |t| {
            t.put(Role::Part(0), self.table(), item.clone(), Condition::Absent)?;
            self.hold_group(t, facts, group)
        })
        .await
    }

    async fn remove_name(
        &self,
        facts: &Facts<'_>,
        group: ResourceId,
        key: &Key,
    ) -> Result<(), Cancelled> {
        let as_read = if facts.locks.contains_key(key) {
            Condition::Equal(vec![("id", text(group.to_string()))])
        } else {
            Condition::Present
        };
        self.commit(Trace::Gone(key.clone()), |t| {
            t.delete(Role::Own, self.table(), self.key(key), as_read.clone())?;
            self.hold_group(t, facts, group)
        })
        .await
    }

    /// As a member is added: the inverse, and a move of the member's `memberships`.
    async fn add_inverse(&self, facts: &Facts<'_>, pair: Pair) -> Result<(), Cancelled> {
        let Pair { group, member } = pair;
        let kind = if facts.has_user(member) { Kind::User } else { Kind::Group };
        let end = match kind {
            Kind::User => Key::id(member),
            Kind::Group | Kind::Custom(_) => Key::group(member),
        };
        let inverse = Key::member_of(member, group);
        self.commit(Trace::Written(inverse.clone()), |t| {
            let item = bare(self.tenant.as_str(), &inverse);
            t.put(Role::Part(0), self.table(), item, Condition::Absent)?;
            self.add_type(t, pair, kind)?;
            let change = Change { add: vec![("memberships", 1)], ..Change::default() };
            t.update(Role::Own, self.table(), self.key(&end), change, Condition::Present)
        })
        .await
    }

    /// Whatever there is of a membership, with a version of the group, if it is there, and a line in the journal.
    async fn remove_pair(&self, facts: &Facts<'_>, pair: Pair) -> Result<(), Cancelled> {
        let Pair { group, member } = pair;
        let (own, inverse) = (Key::member(group, member), Key::member_of(member, group));
        let moment = (self.moments)();
        let ghost = ghost(facts, pair, &moment);
        let of_group = facts.members.contains_key(&pair);
        self.commit(Trace::Gone(own.clone()), |t| {
            if facts.members_of.contains(&pair) {
                t.delete(Role::Own, self.table(), self.key(&inverse), Condition::Present)?;
            }
            if !of_group {
                return Ok(());
            }
            t.delete(Role::Own, self.table(), self.key(&own), Condition::Present)?;
            let cx = self.cx(&moment);
            let mut entry = Entry::new(Event::Swept, &ghost);
            if facts.groups.contains_key(&group) {
                self.store.add_bump(t, &cx, group, (0, &Form::Told))?;
                entry.groups.push(group);
            } else {
                entry.removed.push(member);
            }
            self.store.append(t, &cx, &entry)
        })
        .await
    }

    async fn set_type(&self, pair: Pair, kind: Kind) -> Result<(), Cancelled> {
        let key = Key::member(pair.group, pair.member);
        self.commit(Trace::Written(key), |t| self.add_type(t, pair, kind)).await
    }

    fn add_type(&self, t: &mut Transaction, pair: Pair, kind: Kind) -> Result<(), StoreError> {
        let key = self.key(&Key::member(pair.group, pair.member));
        let set = vec![("type".to_owned(), text(kind.name()))];
        let change = Change { set, ..Change::default() };
        t.update(Role::Own, self.table(), key, change, Condition::Present)
    }

    /// Makes the transaction depend on the user's being as it was read.
    fn hold_user(
        &self,
        t: &mut Transaction,
        facts: &Facts<'_>,
        id: ResourceId,
        key: &Key,
    ) -> Result<(), StoreError> {
        let row = facts.row(id, key).ok_or(StoreError::Stale)?;
        t.update(Role::Own, self.table(), self.key(key), same(id), at(id, row.version))
    }

    /// Makes the transaction depend on the group's being as it was read, if it is there.
    fn hold_group(
        &self,
        t: &mut Transaction,
        facts: &Facts<'_>,
        id: ResourceId,
    ) -> Result<(), StoreError> {
        let Some(row) = facts.groups.get(&id) else { return Ok(()) };
        let key = self.key(&Key::group(id));
        t.update(Role::Own, self.table(), key, same(id), at(id, row.version))
    }
}

/// A change that changes nothing: DynamoDB then checks the condition.
fn same(id: ResourceId) -> Change {
    Change { set: vec![("id".to_owned(), text(id.to_string()))], ..Change::default() }
}

/// The condition on a resource as it was read.
fn at(id: ResourceId, version: u64) -> Condition {
    Condition::Equal(vec![("id", text(id.to_string())), ("version", number(version))])
}

/// The end of a membership that is not there, as far as the journal needs it.
fn ghost(facts: &Facts<'_>, pair: Pair, moment: &Moment) -> Resource {
    let (kind, id) = if facts.has_group(pair.group) {
        let kind = facts.members.get(&pair).copied().flatten();
        (kind.unwrap_or(Kind::User), pair.member)
    } else {
        (Kind::Group, pair.group)
    };
    let document = Document::from_checked(serde_json::Map::new());
    let now = moment.now();
    Resource {
        kind,
        id,
        version: 0,
        created: now,
        last_modified: now,
        app_id: None,
        change: None,
        held: 0,
        document,
    }
}
