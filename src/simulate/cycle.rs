//! One cycle: which people, groups and references have changed since the endpoint last took them, the requests for them,
//! and what is remembered of the answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::StreamExt as _;
use futures_util::stream;
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::chaos::hash;
use super::codes::{Failure, Tally};
use super::payload::Dialect;
use super::report::{Action, Entry, Sort};
use super::source::{Person, Source, Standing};
use super::wire::Client;
use super::worker::{Done, GroupJob, Link, Reference, ReferenceJob, UserJob, Worker};
use super::{Dialects, Observer, Phase, Plan};

/// Members that a run on demand takes at most.
const ON_DEMAND_MEMBERS_MAX: usize = 5;
/// Of how many changed people one is also provisioned on demand, when that is asked for.
const ON_DEMAND_EVERY: u32 = 4;

/// What is remembered of a person.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The cached id.
    pub(super) link: Option<String>,
    /// The first id that the endpoint ever gave, which must never change.
    pub(super) first: Option<String>,
    /// As the endpoint last took them.
    pub(super) synced: Option<Person>,
    /// The endpoint's id of the manager that it last took.
    pub(super) manager: Option<String>,
}

/// What is remembered of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownGroup {
    pub(super) link: Option<String>,
    pub(super) first: Option<String>,
    /// The name that the endpoint last took.
    pub(super) synced: Option<String>,
    /// The endpoint's ids of the members that it took.
    pub(super) members: BTreeSet<String>,
    /// Ids of members whose addition failed: they may be there all the same, so a removal in the source is sent.
    pub(super) uncertain: BTreeSet<String>,
    /// Whether members have to be asked for, because nothing is remembered of them.
    pub(super) is_doubtful: bool,
}

/// What Entra remembers between cycles: links, the watermark (here, how each object was last taken), escrows.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) people: HashMap<String, Known>,
    pub(super) groups: HashMap<String, KnownGroup>,
    /// Failures that are open, by what they are about.
    pub(super) escrows: BTreeMap<(Sort, String), Failure>,
    pub(super) tally: Tally,
    pub(super) log: Vec<Entry>,
}

/// One cycle's view.
pub(super) struct Cycle<'a> {
    pub(super) number: usize,
    /// Whether single people and groups are provisioned on demand meanwhile.
    pub(super) is_on_demand: bool,
    pub(super) plan: &'a Plan,
    pub(super) client: &'a Client,
    pub(super) source: &'a Source,
    pub(super) state: &'a mut State,
}

impl Cycle<'_> {
    /// People, then managers, then groups, then memberships.
    pub(super) async fn run(&mut self, observer: &mut dyn Observer) {
        self.users(observer).await;
        self.managers(observer).await;
        self.groups(observer).await;
        self.memberships(observer).await;
        self.forget_escrows();
    }

    /// Escrows about what need not be done any more: a group that was deleted, a member that has moved back.
    fn forget_escrows(&mut self) {
        let is_open = |(sort, subject): &(Sort, String)| {
            let person = self.source.people.get(subject);
            let known = self.state.people.get(subject);
            match sort {
                Sort::User => person.is_some_and(|person| is_due(person, known)),
                Sort::Manager => person.is_some_and(Person::is_active),
                Sort::Group => self.is_group_due(subject),
                Sort::Member => {
                    let (group, member) = subject.split_once(' ').unwrap_or_default();
                    self.membership_changes(group).iter().any(|(id, _)| id == member)
                }
                Sort::Probe => true,
            }
        };
        let over: Vec<_> = self.state.escrows.keys().filter(|key| !is_open(key)).cloned().collect();
        for key in over {
            self.state.escrows.remove(&key);
            make_good(&mut self.state.log, &key);
        }
    }

    fn is_group_due(&self, key: &str) -> bool {
        let known = self.state.groups.get(key);
        match self.source.groups.get(key) {
            None => false,
            Some(group) if group.is_gone => known.is_some_and(|known| known.link.is_some()),
            Some(group) => {
                let is_synced =
                    known.is_some_and(|known| known.synced.as_ref() == Some(&group.name));
                !is_synced || !self.membership_changes(key).is_empty()
            }
        }
    }

    async fn users(&mut self, observer: &mut dyn Observer) {
        let mut jobs = Vec::new();
        let mut chance =
            StdRng::seed_from_u64(self.plan.seed ^ hash(&["on demand"], number(self.number)));
        for (key, person) in &self.source.people {
            let known = self.state.people.get(key);
            if !is_due(person, known) {
                continue;
            }
            let link = known.and_then(|known| known.link.clone());
            let job = |dialect, is_on_demand| UserJob {
                key: key.clone(),
                person: person.clone(),
                link: link.clone(),
                dialect,
                is_on_demand,
            };
            jobs.push(job(self.dialect(key), false));
            // A run on demand cannot delete, and does not bring back whoever was deleted.
            if self.is_on_demand && person.is_active() && chance.random_ratio(1, ON_DEMAND_EVERY) {
                let at = chance.random_range(0..=jobs.len());
                jobs.insert(at, job(Dialect::Legacy, true));
            }
        }
        observer.begin(self.number, Phase::Users, jobs.len());
        let worker = worker(self.client, self.plan);
        let mut all = stream::iter(jobs.into_iter().map(|job| worker.user(job)))
            .buffer_unordered(self.plan.concurrency.max(1));
        while let Some(done) = all.next().await {
            take_user(self.state, self.number, done);
            observer.step();
        }
    }

    async fn managers(&mut self, observer: &mut dyn Observer) {
        let mut jobs = Vec::new();
        for (key, person) in &self.source.people {
            let Some(manager) = person.manager.as_ref().filter(|_| person.is_active()) else {
                continue;
            };
            let link =
                |key: &String| self.state.people.get(key).and_then(|known| known.link.clone());
            let (Some(from), Some(to)) = (link(key), link(manager)) else { continue };
            let told = self.state.people.get(key).and_then(|known| known.manager.clone());
            if told.as_ref() == Some(&to) {
                continue;
            }
            let what = Reference::Manager { had_one: told.is_some() };
            let dialect = self.dialect(key);
            jobs.push(reference_job(key, from, vec![to], (what, true, dialect)));
        }
        self.references(Phase::References, jobs, observer).await;
    }

    async fn groups(&mut self, observer: &mut dyn Observer) {
        let mut jobs = Vec::new();
        for (key, group) in &self.source.groups {
            let known = self.state.groups.get(key);
            let link = known.and_then(|known| known.link.clone());
            if self.is_group_due(key) {
                let dialect = self.dialect(key);
                jobs.push(GroupJob { key: key.clone(), group: group.clone(), link, dialect });
            }
        }
        observer.begin(self.number, Phase::Groups, jobs.len());
        let worker = worker(self.client, self.plan);
        let mut all = stream::iter(jobs.into_iter().map(|job| worker.group(job)))
            .buffer_unordered(self.plan.concurrency.max(1));
        while let Some(done) = all.next().await {
            take_group(self.state, self.number, done);
            observer.step();
        }
    }

    async fn memberships(&mut self, observer: &mut dyn Observer) {
        let mut jobs = Vec::new();
        for (key, group) in self.source.groups.iter().filter(|(_, group)| !group.is_gone) {
            let Some(known) = self.state.groups.get(key) else { continue };
            // Where the group itself failed, its members wait with it.
            let (Some(link), true) = (&known.link, known.synced.is_some()) else { continue };
            for (member, what) in self.membership_changes(key) {
                let how = (what, known.is_doubtful, self.dialect(key));
                jobs.push(reference_job(key, link.clone(), vec![member], how));
            }
            let members = self.wanted_members(&group.members);
            let few = (1..=ON_DEMAND_MEMBERS_MAX).contains(&members.len());
            if self.is_on_demand && few {
                let how = (Reference::Member, false, Dialect::Legacy);
                let mut job = reference_job(key, link.clone(), members.into_iter().collect(), how);
                job.is_on_demand = true;
                jobs.push(job);
            }
        }
        shuffle(&mut jobs, self.plan.seed ^ number(self.number));
        self.references(Phase::Memberships, jobs, observer).await;
        for known in self.state.groups.values_mut() {
            known.is_doubtful = false;
        }
    }

    async fn references(
        &mut self,
        phase: Phase,
        jobs: Vec<ReferenceJob>,
        observer: &mut dyn Observer,
    ) {
        observer.begin(self.number, phase, jobs.len());
        let worker = worker(self.client, self.plan);
        let named = names(self.state, self.source);
        let mut all = stream::iter(jobs.into_iter().map(|job| worker.reference(job)))
            .buffer_unordered(self.plan.concurrency.max(1));
        while let Some(done) = all.next().await {
            take_reference(self.state, (self.number, self.source, &named), done);
            observer.step();
        }
    }

    /// Members that a group lacks or has too many, by the endpoint's ids. Whoever has no id yet waits.
    fn membership_changes(&self, key: &str) -> Vec<(String, Reference)> {
        let group = self.source.groups.get(key).filter(|group| !group.is_gone);
        let wanted = group.map(|group| self.wanted_members(&group.members)).unwrap_or_default();
        let Some(known) = self.state.groups.get(key) else {
            return wanted.into_iter().map(|id| (id, Reference::Member)).collect();
        };
        let more = wanted.difference(&known.members).map(|id| (id.clone(), Reference::Member));
        let perhaps: BTreeSet<&String> = known.members.union(&known.uncertain).collect();
        let less = perhaps.into_iter().filter(|id| !wanted.contains(*id));
        more.chain(less.map(|id| (id.clone(), Reference::NoMember))).collect()
    }

    fn wanted_members(&self, keys: &BTreeSet<String>) -> BTreeSet<String> {
        let ids = keys.iter().filter_map(|key| self.state.people.get(key)?.link.clone());
        ids.collect()
    }

    fn dialect(&self, key: &str) -> Dialect {
        match self.plan.dialects {
            Dialects::One(dialect) => dialect,
            Dialects::Mixed => {
                let coin = hash(&["dialect", key], self.plan.seed ^ number(self.number));
                if coin.is_multiple_of(2) { Dialect::Legacy } else { Dialect::Compliant }
            }
        }
    }
}

/// Whether something has to be said about a person.
fn is_due(person: &Person, known: Option<&Known>) -> bool {
    let link = known.and_then(|known| known.link.as_ref());
    match person.standing {
        Standing::Gone => link.is_some(),
        Standing::Disabled | Standing::Unassigned if link.is_none() => false,
        Standing::Active | Standing::Disabled | Standing::Unassigned => {
            let synced = known.and_then(|known| known.synced.as_ref());
            synced.is_none_or(|synced| {
                synced.standing != person.standing || synced.attributes != person.attributes
            })
        }
    }
}

pub(super) fn worker<'a>(client: &'a Client, plan: &Plan) -> Worker<'a> {
    Worker { client, matching: plan.matching, seed: plan.seed }
}

fn reference_job(
    key: &str,
    from: String,
    to: Vec<String>,
    (what, is_asked_first, dialect): (Reference, bool, Dialect),
) -> ReferenceJob {
    ReferenceJob {
        key: key.to_owned(),
        from,
        to,
        what,
        is_asked_first,
        dialect,
        is_on_demand: false,
    }
}

fn take_user(state: &mut State, cycle: usize, done: Done<UserJob>) {
    let Done { job, link, action, result } = done;
    let known = state.people.entry(job.key.clone()).or_default();
    match link {
        Link::Keep => {}
        Link::Set(id) => {
            known.first.get_or_insert_with(|| id.clone());
            known.link = Some(id);
        }
        Link::Clear => *known = Known::default(),
    }
    if result.is_ok() && job.person.standing != Standing::Gone {
        known.synced = Some(job.person.clone());
    }
    let is_synced = known.synced.as_ref() == Some(&job.person);
    let what = Event { cycle, sort: Sort::User, key: job.key, name: job.person.name().to_owned() };
    note(state, what, (action, job.is_on_demand, is_synced), result);
}

fn take_group(state: &mut State, cycle: usize, done: Done<GroupJob>) {
    let Done { job, link, action, result } = done;
    let known = state.groups.entry(job.key.clone()).or_default();
    match link {
        Link::Keep => {}
        Link::Set(id) => {
            known.first.get_or_insert_with(|| id.clone());
            known.link = Some(id);
        }
        Link::Clear => *known = KnownGroup::default(),
    }
    if result.is_ok() && !job.group.is_gone {
        known.synced = Some(job.group.name.clone());
    }
    let what = Event { cycle, sort: Sort::Group, key: job.key, name: job.group.name };
    note(state, what, (action, false, false), result);
}

/// What people are called, by the endpoint's ids.
fn names(state: &State, source: &Source) -> HashMap<String, String> {
    let linked = state.people.iter().filter_map(|(key, known)| {
        Some((known.link.clone()?, source.people.get(key)?.name().to_owned()))
    });
    linked.collect()
}

fn take_reference(
    state: &mut State,
    (cycle, source, named): (usize, &Source, &HashMap<String, String>),
    done: Done<ReferenceJob>,
) {
    let Done { job, action, result, .. } = done;
    let first = job.to.first().cloned().unwrap_or_default();
    let to = named.get(&first).unwrap_or(&first);
    let (sort, name) = match job.what {
        Reference::Manager { .. } => {
            let person = source.people.get(&job.key).map(Person::name).unwrap_or_default();
            (Sort::Manager, format!("{person} → {to}"))
        }
        Reference::Member | Reference::NoMember => {
            let group = source.groups.get(&job.key).map(|group| group.name.as_str());
            (Sort::Member, format!("{} → {to}", group.unwrap_or_default()))
        }
    };
    match job.what {
        Reference::Manager { .. } => {
            if let (Ok(()), Some(known)) = (&result, state.people.get_mut(&job.key)) {
                known.manager = Some(first.clone());
            }
        }
        Reference::Member | Reference::NoMember => {
            if let Some(known) = state.groups.get_mut(&job.key) {
                take_members(known, &job, result.is_ok());
            }
        }
    }
    let key = match job.what {
        Reference::Manager { .. } => job.key,
        Reference::Member | Reference::NoMember => format!("{} {first}", job.key),
    };
    note(state, Event { cycle, sort, key, name }, (action, job.is_on_demand, false), result);
}

fn take_members(known: &mut KnownGroup, job: &ReferenceJob, is_done: bool) {
    let is_more = job.what == Reference::Member;
    for id in &job.to {
        if is_done {
            known.uncertain.remove(id);
        }
        match (is_done, is_more) {
            (true, true) => drop(known.members.insert(id.clone())),
            (true, false) => drop(known.members.remove(id)),
            (false, true) => drop(known.uncertain.insert(id.clone())),
            (false, false) => {}
        }
    }
}

struct Event {
    cycle: usize,
    sort: Sort,
    key: String,
    name: String,
}

/// Writes the log, and opens or closes the escrow.
fn note(
    state: &mut State,
    event: Event,
    (action, is_on_demand, is_synced): (Action, bool, bool),
    result: Result<(), Failure>,
) {
    let Event { cycle, sort, key: subject, name } = event;
    state.tally.events += 1;
    let escrow = (sort, subject.clone());
    let failure = result.err();
    let mut is_made_good = false;
    match &failure {
        None => {
            if state.escrows.remove(&escrow).is_some() {
                make_good(&mut state.log, &escrow);
            }
        }
        Some(failure) => {
            match sort {
                Sort::User | Sort::Group | Sort::Probe => state.tally.failed += 1,
                Sort::Manager | Sort::Member => state.tally.references_failed += 1,
            }
            // What fails on demand is not tried again, and what another run has done need not be.
            is_made_good = is_on_demand || is_synced;
            if !is_made_good {
                state.escrows.insert(escrow, failure.clone());
            }
        }
    }
    state.log.push(Entry {
        cycle,
        sort,
        name,
        subject,
        action,
        failure,
        is_on_demand,
        is_made_good,
    });
}

/// The failures of that object are over.
fn make_good(log: &mut [Entry], (sort, subject): &(Sort, String)) {
    for entry in log {
        if entry.sort == *sort && entry.subject == *subject {
            entry.is_made_good = true;
        }
    }
}

fn shuffle<T>(jobs: &mut [T], seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    for last in (1..jobs.len()).rev() {
        jobs.swap(last, chance.random_range(0..=last));
    }
}

pub(super) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
