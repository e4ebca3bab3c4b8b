//! Multi-step jobs that have to be finished: their items, the steps of a sweep, and the scheduled job.
//!
//! A job writes its `work#` item in its first transaction. Reads of memberships look at the work items first and drop
//! what is being swept, so no read ever shows a member of a deleted group or a group of a deleted member.

use std::collections::HashSet;

use uuid::Uuid;

use super::brake::Form;
use super::item::{HELD, Item, ItemReader, bare, key_of, text};
use super::journal::{Entry, Event};
use super::keys::{self, Key};
use super::trace::Trace;
use super::write::{Cancelled, Change, Condition, Role, Transaction};
use super::{Cx, Store, StoreError};
use crate::limits::{SWEEP_PAUSE, SWEEP_STEPS_INLINE, WORK_ABANDONED};
use crate::moment::Timestamp;
use crate::scim::catalog::Kind;
use crate::scim::document::Document;
use crate::scim::resource::{Resource, ResourceId};

/// Work items that one look considers; a tenant has a handful at the very most.
const WORK_READ_MAX: usize = 5_000;
/// Members that one step of a sweep removes, two actions each; of groups that are left it is two thirds.
const SWEPT_PER_STEP: usize = 45;

/// What a work item asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// A large group is being created; its memberships come before it does.
    CreateGroup,
    /// A resource is deleted; its memberships go after it did.
    Sweep,
}

impl Task {
    fn word(self) -> &'static str {
        match self {
            Self::CreateGroup => "createGroup",
            Self::Sweep => "sweep",
        }
    }
}

/// A job that has to be finished.
#[derive(Clone, Debug)]
pub(super) struct Work {
    number: Uuid,
    task: Task,
    kind: Kind,
    resource: ResourceId,
    touched: Timestamp,
    /// The end of the resource, as long as that is held back from the feed.
    held: Option<Uuid>,
}

impl Work {
    /// The same, of a resource whose end is held back from the feed.
    pub(super) fn held_at(self, at: Uuid) -> Self {
        Self { held: Some(at), ..self }
    }

    /// The key of its item.
    pub(super) fn key(&self) -> Key {
        Key::work(self.number)
    }

    fn read(item: &Item) -> Result<Self, StoreError> {
        let reader = ItemReader::new(item)?;
        let key = reader.text("key")?;
        let number = key.strip_prefix(keys::WORK).and_then(|id| Uuid::try_parse(id).ok());
        let task = match reader.text("task")? {
            "createGroup" => Task::CreateGroup,
            "sweep" => Task::Sweep,
            _ => return Err(reader.corrupt("task")),
        };
        Ok(Self {
            number: number.ok_or_else(|| reader.corrupt("key"))?,
            task,
            kind: Kind::from_name(reader.text("kind")?).ok_or_else(|| reader.corrupt("kind"))?,
            resource: reader.id("resource")?,
            touched: reader.timestamp("touched")?,
            held: reader.optional(HELD).and_then(|at| Uuid::try_parse(at).ok()),
        })
    }

    fn item(&self, tenant: &str) -> Item {
        let mut item = bare(tenant, &self.key());
        item.insert("task".to_owned(), text(self.task.word()));
        item.insert("kind".to_owned(), text(self.kind.name()));
        item.insert("resource".to_owned(), text(self.resource.to_string()));
        item.insert("touched".to_owned(), text(self.touched.to_string()));
        item.extend(self.held.map(|at| (HELD.to_owned(), text(at.to_string()))));
        item
    }

    fn still_to_be_created() -> Condition {
        Condition::Equal(vec![("task", text(Task::CreateGroup.word()))])
    }
}

/// Resources whose memberships no read may show: they are being swept, or the resource is not there yet.
#[derive(Clone, Debug, Default)]
pub struct Sweeping(HashSet<ResourceId>);

impl Sweeping {
    /// Whether this resource's memberships are to be dropped.
    pub(super) fn hides(&self, id: ResourceId) -> bool {
        self.0.contains(&id)
    }

    /// All of them, in no order.
    pub(super) fn ids(&self) -> impl Iterator<Item = ResourceId> {
        self.0.iter().copied()
    }
}

/// What the scheduled job did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs that were finished.
    pub finished: usize,
    /// Jobs that cannot go on yet: the creation of a large group that may still be under way.
    pub left: usize,
    /// Whether some job has steps left.
    pub more: bool,
}

/// The groups that a deleted member leaves, and the members that a deleted group had, in one transaction's size.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    /// Groups that the resource is a member of; each is bumped, unless it is gone itself.
    pub(super) left: Vec<Left>,
    /// Members of the resource.
    pub(super) members: Vec<ResourceId>,
}

/// One membership of a deleted resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// The group.
    pub(super) group: ResourceId,
    /// The group has been deleted as well: nothing to bump.
    pub(super) group_is_gone: bool,
}

impl Pairs {
    /// Whether there is nothing to remove.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.members.is_empty()
    }

    /// The groups that have a version more by it. One that is gone itself has told so, and has none.
    pub(super) fn groups(&self) -> Vec<ResourceId> {
        let left = self.left.iter().filter(|left| !left.group_is_gone);
        left.map(|left| left.group).collect()
    }

    /// How many actions it takes.
    pub(super) fn actions(&self) -> usize {
        3 * self.left.len() + 2 * self.members.len()
    }

    /// Leaves out what a cancelled transaction says is gone already.
    pub(super) fn correct(&mut self, parts: &[usize]) {
        let groups = self.left.len();
        for (index, left) in self.left.iter_mut().enumerate() {
            left.group_is_gone |= parts.contains(&(2 * index));
        }
        let mut index = 0;
        self.left.retain(|_| {
            index += 1;
            !parts.contains(&(2 * index - 1))
        });
        let mut index = 2 * groups;
        self.members.retain(|_| {
            index += 1;
            !parts.contains(&(index - 1))
        });
    }
}

impl Store {
    /// Removes membership pairs in a transaction; parts are numbered as [`Pairs::correct`] reads them.
    pub(super) fn add_removal_of_pairs(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        (resource, pairs): (ResourceId, &Pairs),
        (condition, form): (&Condition, &Form),
    ) -> Result<(), StoreError> {
        for (index, left) in pairs.left.iter().enumerate() {
            if !left.group_is_gone {
                self.add_bump(t, cx, left.group, (2 * index, form))?;
            }
            let part = (2 * index + 1, condition);
            self.add_pair_removal(t, cx, (left.group, resource), part)?;
        }
        for (index, member) in pairs.members.iter().enumerate() {
            let part = (2 * pairs.left.len() + index, condition);
            self.add_pair_removal(t, cx, (resource, *member), part)?;
        }
        Ok(())
    }

    fn add_pair_removal(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        (group, member): (ResourceId, ResourceId),
        (part, condition): (usize, &Condition),
    ) -> Result<(), StoreError> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        for key in [Key::member(group, member), Key::member_of(member, group)] {
            t.delete(Role::Part(part), table, key_of(tenant, &key), condition.clone())?;
        }
        Ok(())
    }

    /// The first `most` memberships of a resource, in both directions: fewer only when there are no more.
    pub(super) async fn pairs_of(
        &self,
        cx: &Cx<'_>,
        kind: Kind,
        id: ResourceId,
        most: usize,
    ) -> Result<Pairs, StoreError> {
        let ids = |items: Vec<Item>| -> Vec<ResourceId> {
            items.iter().filter_map(|item| Key::in_item(item)?.last_id()).collect()
        };
        let tenant = cx.tenant.as_str();
        let left = keys::member_of_prefix(id);
        let left = ids(self.query_slice(cx.moment, tenant, &left, (0, most)).await?);
        let members = match kind {
            Kind::User | Kind::Custom(_) => Vec::new(),
            Kind::Group => {
                let prefix = keys::members_prefix(id);
                ids(self.query_slice(cx.moment, tenant, &prefix, (0, most)).await?)
            }
        };
        let left = left.into_iter().map(|group| Left { group, group_is_gone: false });
        Ok(Pairs { left: left.collect(), members })
    }

    /// Which resources are being swept, or are not there yet. Has to be read before the memberships that it is for.
    ///
    /// # Errors
    /// As any read.
    pub async fn sweeping(&self, cx: &Cx<'_>) -> Result<Sweeping, StoreError> {
        let work = self.open_work(cx).await?;
        Ok(Sweeping(work.into_iter().map(|work| work.resource).collect()))
    }

    async fn open_work(&self, cx: &Cx<'_>) -> Result<Vec<Work>, StoreError> {
        let read = self.query_all(cx.moment, cx.tenant.as_str(), keys::WORK, WORK_READ_MAX).await?;
        // Rather no answer than one that shows the members of a deleted group.
        read.ok_or(StoreError::Throttled)?.iter().map(Work::read).collect()
    }

    /// Notes that a large group is being created.
    pub(super) async fn begin_group(
        &self,
        cx: &Cx<'_>,
        group: ResourceId,
    ) -> Result<Work, StoreError> {
        let work = self.new_work(cx, Task::CreateGroup, Kind::Group, group);
        let trace = Trace::Written(work.key());
        let done = self
            .commit(cx.moment, cx.tenant.as_str(), trace, |t| {
                let mut item = work.item(cx.tenant.as_str());
                item.insert("rid".to_owned(), text(t.written_by()));
                t.put(Role::Own, &self.tables.directory, item, Condition::Absent)?;
                Ok(())
            })
            .await;
        done.map(|()| work).map_err(Cancelled::error)
    }

    /// Adds the work item of a sweep to the transaction that deletes the resource.
    pub(super) fn add_sweep(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        work: &Work,
    ) -> Result<(), StoreError> {
        let work = if t.is_held { &work.clone().held_at(t.at()) } else { work };
        let item = work.item(cx.tenant.as_str());
        t.put(Role::Own, &self.tables.directory, item, Condition::Absent)
    }

    /// A work item for sweeping a resource's memberships.
    pub(super) fn new_sweep(&self, cx: &Cx<'_>, resource: &Resource) -> Work {
        self.new_work(cx, Task::Sweep, resource.kind, resource.id)
    }

    #[expect(clippy::unused_self, reason = "beside its siblings, which need the store")]
    fn new_work(&self, cx: &Cx<'_>, task: Task, kind: Kind, resource: ResourceId) -> Work {
        let touched = cx.moment.wall();
        Work { number: cx.moment.mint_uuid(), task, kind, resource, touched, held: None }
    }

    /// Shows that the creation of a large group goes on, on the condition that nobody has given it up.
    pub(super) fn add_work_touch(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        work: &Work,
    ) -> Result<(), StoreError> {
        let set = vec![
            ("touched".to_owned(), text(cx.moment.wall().to_string())),
            ("rid".to_owned(), text(t.written_by())),
        ];
        let key = key_of(cx.tenant.as_str(), &work.key());
        let change = Change { set, ..Change::default() };
        t.update(Role::Own, &self.tables.directory, key, change, Work::still_to_be_created())
    }

    /// Ends the creation of a large group, on the condition that nobody has given it up.
    pub(super) fn add_work_end(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        work: &Work,
    ) -> Result<(), StoreError> {
        let key = key_of(cx.tenant.as_str(), &work.key());
        t.delete(Role::Own, &self.tables.directory, key, Work::still_to_be_created())
    }

    /// Some steps of a sweep, for the request that began it; the scheduled job does the rest.
    pub(super) async fn sweep_some(&self, cx: &Cx<'_>, work: &Work) -> Result<(), StoreError> {
        for _ in 0..SWEEP_STEPS_INLINE {
            if self.sweep_step(cx, work).await? == Progress::Finished {
                break;
            }
        }
        Ok(())
    }

    /// Finishes what a tenant's work items ask for, slowly.
    ///
    /// # Errors
    /// As any write; what is left is done by the next run.
    pub async fn finish_work(&self, cx: &Cx<'_>, steps_max: usize) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let mut steps = 0;
        for mut work in self.open_work(cx).await? {
            if work.task == Task::CreateGroup && !self.give_up(cx, &mut work).await? {
                swept.left += 1;
                continue;
            }
            while steps < steps_max && self.sweep_step(cx, &work).await? == Progress::More {
                steps += 1;
                cx.moment.sleep(SWEEP_PAUSE).await;
            }
            if steps < steps_max {
                swept.finished += 1;
            } else {
                swept.more = true;
            }
        }
        Ok(swept)
    }

    /// Gives up a large group whose creation has not gone on for a while: from here on it cannot be finished.
    async fn give_up(&self, cx: &Cx<'_>, work: &mut Work) -> Result<bool, StoreError> {
        if cx.moment.wall() < work.touched.plus(WORK_ABANDONED) {
            return Ok(false);
        }
        let set = vec![("task".to_owned(), text(Task::Sweep.word()))];
        let change = Change { set, ..Change::default() };
        let condition = Condition::Equal(vec![
            ("task", text(Task::CreateGroup.word())),
            ("touched", text(work.touched.to_string())),
        ]);
        let tenant = cx.tenant.as_str();
        let given_up = self.update_alone(cx.moment, tenant, &work.key(), change, condition).await?;
        if given_up {
            work.task = Task::Sweep;
        }
        Ok(given_up)
    }

    /// Removes some of a deleted resource's memberships, or the work item when none are left.
    async fn sweep_step(&self, cx: &Cx<'_>, work: &Work) -> Result<Progress, StoreError> {
        let mut pairs = self.pairs_of(cx, work.kind, work.resource, SWEPT_PER_STEP).await?;
        if !pairs.left.is_empty() {
            // A group that is left takes three actions and a member two; 30 and 45 of them are one transaction.
            pairs.members.clear();
            pairs.left.truncate(SWEPT_PER_STEP * 2 / 3);
        }
        let tenant = cx.tenant.as_str();
        if pairs.is_empty() {
            let done = self
                .commit(cx.moment, tenant, Trace::Gone(work.key()), |t| {
                    let key = key_of(tenant, &work.key());
                    t.delete(Role::Part(0), &self.tables.directory, key, Condition::Present)?;
                    Ok(())
                })
                .await;
            // Another run may have been faster.
            return match done {
                Ok(()) | Err(Cancelled::Parts(_)) => Ok(Progress::Finished),
                Err(Cancelled::Error(error)) => Err(error),
            };
        }
        let form = self.form_of_sweep(cx, work.held).await?;
        while !pairs.is_empty() {
            let done = self
                .commit(cx.moment, tenant, Trace::Gone(first_pair(work, &pairs)), |t| {
                    // Whatever is there of a pair goes: its resource is gone, and nobody writes it again.
                    let removal = (work.resource, &pairs);
                    self.add_removal_of_pairs(t, cx, removal, (&Condition::Any, &form))?;
                    let ghost = ghost(work, cx);
                    let mut entry = Entry::new(Event::Swept, &ghost);
                    entry.groups = pairs.groups();
                    entry.removed.clone_from(&pairs.members);
                    self.tell(t, cx, &entry, &form)?;
                    Ok(())
                })
                .await;
            match done {
                Ok(()) => break,
                Err(Cancelled::Parts(parts)) => pairs.correct(&parts),
                Err(Cancelled::Error(error)) => return Err(error),
            }
        }
        Ok(Progress::More)
    }
}

/// Whether a sweep has to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    More,
    Finished,
}

/// The item whose absence shows that a step was done.
fn first_pair(work: &Work, pairs: &Pairs) -> Key {
    let left = pairs.left.first().map(|left| Key::member(left.group, work.resource));
    let member = pairs.members.first().map(|member| Key::member(work.resource, *member));
    left.or(member).unwrap_or_else(|| work.key())
}

/// The resource that is gone, as far as the journal needs it: its id and kind.
fn ghost(work: &Work, cx: &Cx<'_>) -> Resource {
    Resource {
        kind: work.kind,
        id: work.resource,
        version: 0,
        created: work.touched,
        last_modified: cx.moment.now(),
        app_id: None,
        change: None,
        held: 0,
        document: Document::from_checked(serde_json::Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ResourceId {
        ResourceId::parse(&format!("01890a5d-ac96-774b-bcce-{number:012x}")).unwrap()
    }

    fn left(number: u8) -> Left {
        Left { group: id(number), group_is_gone: false }
    }

    /// Three groups that somebody leaves, and three members.
    fn three_each() -> Pairs {
        Pairs { left: vec![left(1), left(2), left(3)], members: vec![id(4), id(5), id(6)] }
    }

    #[test]
    fn a_group_that_is_left_takes_three_actions_and_a_member_two() {
        assert_eq!(three_each().actions(), 15);
        assert_eq!(Pairs::default().actions(), 0);
        assert_eq!(Pairs { left: vec![left(1)], members: Vec::new() }.actions(), 3);
        assert_eq!(Pairs { left: Vec::new(), members: vec![id(4)] }.actions(), 2);
    }

    #[test]
    fn what_is_gone_already_is_left_out() {
        let corrected = |parts: &[usize]| {
            let mut pairs = three_each();
            pairs.correct(parts);
            let left = pairs.left.iter().map(|left| (left.group, left.group_is_gone));
            (left.collect::<Vec<_>>(), pairs.members)
        };
        let all = three_each().members;
        // Each group has two parts, itself and the membership; each member one.
        assert_eq!(
            corrected(&[0, 2]),
            (vec![(id(1), true), (id(2), true), (id(3), false)], all.clone()),
        );
        assert_eq!(corrected(&[3]), (vec![(id(1), false), (id(3), false)], all.clone()));
        assert_eq!(corrected(&[1, 4]), (vec![(id(2), false), (id(3), true)], all.clone()));
        assert_eq!(corrected(&[1, 3, 5, 6, 8]), (Vec::new(), vec![id(5)]));
        let whole = vec![(id(1), false), (id(2), false), (id(3), false)];
        assert_eq!(corrected(&[7]), (whole.clone(), vec![id(4), id(6)]));
        assert_eq!(corrected(&[]), (whole, all));
    }

    #[test]
    fn a_group_that_is_gone_itself_tells_no_version() {
        let mut pairs = three_each();
        pairs.correct(&[2]);
        assert_eq!(pairs.groups(), [id(1), id(3)]);
    }
}
