//! What becomes of held changes: released, they are told in the order in which they were written; rejected, the journal
//! says of each that it is not told.
//!
//! Each step is one transaction over one change: the journal gets its item under a fresh position, `held#` goes, `settled#`
//! says where it stands now, and the resources that it touched count one less. An item names in `after` what comes before it
//! by the position that this has *now*; so a later one waits until an earlier one is settled, and readers find no gap. It
//! can be stopped anywhere, and two may do it at once.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::item::{
    CHANGE, FORMAT, HELD, Item, ItemReader, bare, key_of, number, strings, text, to_json,
};
use super::super::journal::Event;
use super::super::keys::{self, Key};
use super::super::read::by_key;
use super::super::tables::EXPIRES;
use super::super::trace::Trace;
use super::super::write::{Cancelled, Change, Condition, Role};
use super::super::{Cx, Store, StoreError};
use super::{ITEM, at_of, position_text};
use crate::limits::{BRAKE_STEPS_PER_PAGE, RESOLVE_ATTEMPTS_MAX};
use crate::scim::resource::ResourceId;

/// The attribute with where a change stood when it was held.
const HELD_AT: &str = "heldAt";
/// The attribute with who settled it.
const SETTLED_BY: &str = "settledBy";
/// The attribute with what a rejected change would have told.
const REJECTED: &str = "rejected";
/// The attributes with what was decided, up to where, and by whom.
const DECISION: &str = "decision";
const DECIDED_UP_TO: &str = "decidedUpTo";
const DECIDED_BY: &str = "decidedBy";
/// What a rejected change does not tell.
const UNTOLD: [&str; 5] = ["events", "active", "changed", "added", "removed"];
/// The part that fails when somebody else has settled it.
const GONE: usize = 0;
/// The part that fails when a resource is no longer as it was read.
const TOUCHED: usize = 1;

/// What is to become of held changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The app is told.
    Release,
    /// The app is not told.
    Reject,
}

impl Decision {
    /// The word that is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Reject => "reject",
        }
    }

    /// The decision that a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Release, Self::Reject].into_iter().find(|decision| decision.word() == word)
    }
}

/// A change that is held back from the feed.
#[derive(Clone, Debug)]
pub struct HeldChange {
    /// Where it would have stood in the journal.
    pub at: Uuid,
    /// What it would have told, by the attributes of the journal's items.
    pub attributes: Map<String, Value>,
    item: Item,
}

impl HeldChange {
    pub(in crate::store) fn read(item: &Item) -> Option<Self> {
        let at = at_of(item)?;
        let item = item.get(ITEM)?.as_m().ok()?.clone();
        let attributes = item.iter().map(|(name, value)| (name.clone(), to_json(value)));
        let mut attributes: Map<String, Value> = attributes.collect();
        attributes.sort_keys();
        Some(Self { at, attributes, item })
    }

    /// The resource that it is about.
    pub fn id(&self) -> Option<&str> {
        self.attributes.get("id").and_then(Value::as_str)
    }

    fn after(&self) -> Option<Uuid> {
        Uuid::try_parse(self.item.get("after")?.as_s().ok()?).ok()
    }

    /// The resources that it touched: each of them counts it.
    pub(in crate::store) fn touched_ids(&self) -> impl Iterator<Item = ResourceId> {
        let reader = ItemReader::unread(&self.item);
        let (own, groups) = (reader.id("id").ok(), reader.strings("groups"));
        own.into_iter().chain(groups.into_iter().filter_map(|id| ResourceId::parse(&id)))
    }

    /// The keys of what it touched, as far as they are made of ids: a user's is found through the id item.
    fn touched(&self) -> (Option<ResourceId>, Vec<Key>) {
        let reader = ItemReader::unread(&self.item);
        let id = reader.id("id").ok();
        let is_group = reader.optional("kind") == Some("Group");
        let groups = reader.strings("groups");
        let groups = groups.iter().filter_map(|id| ResourceId::parse(id)).map(Key::group);
        let own = id.filter(|_| is_group).map(Key::group);
        (id.filter(|_| !is_group), own.into_iter().chain(groups).collect())
    }
}

/// What became of held changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Settled now.
    pub done: usize,
    /// Those that wait for an earlier one: another call settles them.
    pub waiting: usize,
    /// Where to go on; `None` when everything was looked at.
    pub next: Option<Uuid>,
}

/// What one step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Done,
    Waits,
    Gone,
}

impl Store {
    /// Held changes after one of them, the oldest first, and whether more follow.
    ///
    /// # Errors
    /// As any read.
    pub async fn held_changes(
        &self,
        cx: &Cx<'_>,
        after: Option<Uuid>,
        most: usize,
    ) -> Result<(Vec<HeldChange>, bool), StoreError> {
        let (after, tenant) = (after.map(Key::held), cx.tenant.as_str());
        // One more than may be shown: a page of the store may be empty although more follow, and that nothing is left has
        // to be so.
        let slice = (0, most.saturating_add(1));
        let mut items =
            self.query_slice_after(cx.moment, tenant, (keys::HELD, after), slice).await?;
        let more = items.len() > most;
        items.truncate(most);
        Ok((items.iter().filter_map(HeldChange::read).collect(), more))
    }

    /// Settles a page of held changes: those after one of them that were written before `until`, of everybody or of one
    /// person.
    ///
    /// # Errors
    /// As any write; what is settled stays settled, and the same call goes on.
    pub async fn settle_held(
        &self,
        cx: &Cx<'_>,
        (decision, whom): (Decision, Option<ResourceId>),
        (after, until): (Option<Uuid>, Uuid),
    ) -> Result<Settled, StoreError> {
        let (held, more) = self.held_changes(cx, after, BRAKE_STEPS_PER_PAGE).await?;
        let mut settled = Settled::default();
        let whom = whom.map(|id| id.to_string());
        let mut last = None;
        for change in held.iter().take_while(|change| change.at < until) {
            last = Some(change.at);
            if whom.as_deref().is_some_and(|id| change.id() != Some(id)) {
                continue;
            }
            match self.settle_one(cx, decision, change).await? {
                Step::Done => settled.done += 1,
                Step::Waits => settled.waiting += 1,
                Step::Gone => {}
            }
        }
        settled.next = last.filter(|_| more);
        Ok(settled)
    }

    async fn settle_one(
        &self,
        cx: &Cx<'_>,
        decision: Decision,
        held: &HeldChange,
    ) -> Result<Step, StoreError> {
        let after = match self.place_of(cx, held.after()).await? {
            Place::Told(after) => after,
            Place::Held => return Ok(Step::Waits),
        };
        for _ in 0..RESOLVE_ATTEMPTS_MAX {
            let touched = self.touched_by(cx, held).await?;
            match self.settle_once(cx, (decision, held, after), &touched).await {
                Ok(()) => return Ok(Step::Done),
                Err(Cancelled::Parts(parts)) if parts.contains(&GONE) => return Ok(Step::Gone),
                // A write came in between: read again what it touched.
                Err(Cancelled::Parts(_)) => {}
                Err(Cancelled::Error(error)) => return Err(error),
            }
        }
        Err(StoreError::Throttled)
    }

    /// Where the change stands that another one names as the one before it.
    async fn place_of(&self, cx: &Cx<'_>, after: Option<Uuid>) -> Result<Place, StoreError> {
        let Some(at) = after else { return Ok(Place::Told(None)) };
        let keys = [Key::held(at), Key::settled(at)];
        let found = by_key(self.get_keys(cx.moment, cx.tenant.as_str(), &keys).await?);
        if let Some(item) = found.get(Key::settled(at).as_str()) {
            let reader = ItemReader::new(item)?;
            let now = reader.optional("at").and_then(|at| Uuid::try_parse(at).ok());
            return Ok(Place::Told(now));
        }
        let is_held = found.contains_key(Key::held(at).as_str());
        Ok(if is_held { Place::Held } else { Place::Told(Some(at)) })
    }

    /// What is there of the resources that it touched, and counts it.
    async fn touched_by(&self, cx: &Cx<'_>, held: &HeldChange) -> Result<Vec<Item>, StoreError> {
        let tenant = cx.tenant.as_str();
        let (user, mut keys) = held.touched();
        if let Some(id) = user
            && let Some(item) = self.get_key(cx.moment, tenant, &Key::id(id)).await?
        {
            keys.push(super::super::resources::user_key(&item)?);
        }
        let mut items = self.get_keys(cx.moment, tenant, &keys).await?;
        items.retain(|item| ItemReader::unread(item).optional_number(HELD) > 0);
        Ok(items)
    }

    async fn settle_once(
        &self,
        cx: &Cx<'_>,
        (decision, held, after): (Decision, &HeldChange, Option<Uuid>),
        touched: &[Item],
    ) -> Result<(), Cancelled> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        let expires = cx.moment.now().plus_seconds(self.journal_days() * 86_400).unix_seconds();
        let trace = Trace::Gone(Key::held(held.at));
        self.commit(cx.moment, tenant, trace, |t| {
            let key = key_of(tenant, &Key::held(held.at));
            t.delete(Role::Part(GONE), table, key, Condition::Present)?;
            let mut told = told(held, decision, after);
            told.insert("at".to_owned(), position_text(t.at()));
            told.insert(SETTLED_BY.to_owned(), text(cx.actor));
            told.insert(EXPIRES.to_owned(), number(expires));
            t.put(Role::Free, &self.tables.journal, told, Condition::Any)?;
            let mut settled = bare(tenant, &Key::settled(held.at));
            settled.insert("at".to_owned(), position_text(t.at()));
            settled.insert(EXPIRES.to_owned(), number(expires));
            t.put(Role::Part(GONE), table, settled, Condition::Absent)?;
            let change = Change { add: vec![(HELD, -1)], ..Change::default() };
            let key = key_of(tenant, &Key::brake());
            t.update(Role::Part(TOUCHED), table, key, change, Condition::Present)?;
            for item in touched {
                self.add_one_less(t, cx, (held.at, item))?;
            }
            Ok(())
        })
        .await
    }

    /// One held change less of a resource, and where its last change stands now, when it is this one.
    fn add_one_less(
        &self,
        t: &mut super::super::write::Transaction,
        cx: &Cx<'_>,
        (at, item): (Uuid, &Item),
    ) -> Result<(), StoreError> {
        let reader = ItemReader::new(item)?;
        let (key, count) = (reader.key()?, reader.optional_number(HELD));
        let mut as_read = vec![("id", text(reader.id("id")?.to_string())), (HELD, number(count))];
        let mut change = Change::default();
        if count > 1 {
            change.add.push((HELD, -1));
        } else {
            change.remove.push(HELD.into());
        }
        if let Some(last) = reader.change() {
            as_read.push((CHANGE, position_text(last)));
            if last == at {
                change.set.push((CHANGE.to_owned(), position_text(t.at())));
            }
        }
        let key = key_of(cx.tenant.as_str(), &key);
        let condition = Condition::Equal(as_read);
        t.update(Role::Part(TOUCHED), &self.tables.directory, key, change, condition)
    }

    /// Notes what is to become of everything that was held at a position: the scheduled job does it. The settings move,
    /// and the journal tells who decided what. Something must have been held.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile, or nothing was ever held.
    pub async fn decide_held(
        &self,
        cx: &Cx<'_>,
        (decision, until): (Decision, Uuid),
    ) -> Result<(), StoreError> {
        let trace = Trace::Written(Key::brake());
        let done = self
            .commit(cx.moment, cx.tenant.as_str(), trace, |t| {
                let set = vec![
                    (DECISION.to_owned(), text(decision.word())),
                    (DECIDED_UP_TO.to_owned(), position_text(until)),
                    (DECIDED_BY.to_owned(), text(cx.actor)),
                    ("rid".to_owned(), text(t.written_by())),
                ];
                let change = Change { set, ..Change::default() };
                let key = key_of(cx.tenant.as_str(), &Key::brake());
                t.update(Role::Own, &self.tables.directory, key, change, Condition::Present)?;
                self.add_settings_move(t, cx)?;
                self.add_told(t, cx, Some(Event::BrakeDecided), decision.word())
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// Does a part of what was decided; `None` when nothing was, or nothing is left of it.
    ///
    /// # Errors
    /// As any write; the next run goes on.
    pub async fn carry_out(&self, cx: &Cx<'_>) -> Result<Option<Settled>, StoreError> {
        let (tenant, key) = (cx.tenant.as_str(), Key::brake());
        let Some(item) = self.get_key(cx.moment, tenant, &key).await? else { return Ok(None) };
        let reader = ItemReader::new(&item)?;
        let Some((decision, until)) = decided(&reader) else { return Ok(None) };
        let by = reader.optional(DECIDED_BY).unwrap_or(cx.actor);
        let cx = Cx { actor: by, ..*cx };
        let settled = self.settle_held(&cx, (decision, None), (None, until)).await?;
        if settled.done > 0 || settled.next.is_some() {
            return Ok(Some(settled));
        }
        let remove = [DECISION, DECIDED_UP_TO, DECIDED_BY].map(Into::into).to_vec();
        let change = Change { remove, ..Change::default() };
        let same = Condition::Equal(vec![(DECIDED_UP_TO, position_text(until))]);
        self.update_alone(cx.moment, tenant, &key, change, same).await?;
        Ok(None)
    }
}

/// Where a change stands.
enum Place {
    /// In the journal; or there is none.
    Told(Option<Uuid>),
    /// It is held still.
    Held,
}

/// What was decided of everything that was held at a position.
pub(super) fn decided(reader: &ItemReader<'_>) -> Option<(Decision, Uuid)> {
    let decision = Decision::parse(reader.optional(DECISION)?)?;
    Some((decision, Uuid::try_parse(reader.optional(DECIDED_UP_TO)?).ok()?))
}

/// The item that the journal gets.
fn told(held: &HeldChange, decision: Decision, after: Option<Uuid>) -> Item {
    let mut item = held.item.clone();
    item.remove("after");
    item.extend(after.map(|after| ("after".to_owned(), position_text(after))));
    item.insert(HELD_AT.to_owned(), position_text(held.at));
    item.insert("v".to_owned(), number(FORMAT));
    if decision == Decision::Reject {
        let untold =
            UNTOLD.into_iter().filter_map(|name| Some((name.to_owned(), item.remove(name)?)));
        let untold: Item = untold.collect();
        item.insert(REJECTED.to_owned(), AttributeValue::M(untold));
        item.insert("events".to_owned(), strings(&[Event::Rejected.name()]));
    }
    item
}
