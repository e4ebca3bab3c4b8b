//! One cycle: which people, groups and references have changed since the endpoint last took them, the requests for them,
//! and what is remembered of the answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::StreamExt as _;
use futures_util::stream;
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;

use super::bodies::{Member, Roster};
use super::chaos::hash;
use super::codes::{Failure, Tally};
use super::others::RosterJob;
use super::outcome::{make_good, names, take_group, take_reference, take_roster, take_user};
use super::payload::Dialect;
use super::provider::Provider;
use super::report::{Entry, Sort};
use super::source::{DISPLAY_NAME, Group, Person, Source, Standing};
use super::value::text_at;
use super::wire::Client;
use super::worker::{GroupJob, Reference, ReferenceJob, UserJob, Worker};
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
    /// Whether another may have been set since, by a request that failed.
    pub(super) is_manager_uncertain: bool,
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
    /// Ids of those whose addition or removal failed: it may have been done all the same, so that what the source says of
    /// them next is sent, whatever it is.
    pub(super) uncertain: BTreeSet<String>,
    /// Whether members have to be asked for, because nothing is remembered of them.
    pub(super) is_doubtful: bool,
}

impl KnownGroup {
    /// Notes that a member may be there or not.
    pub(super) fn doubt(&mut self, id: &str) {
        self.members.remove(id);
        self.uncertain.insert(id.to_owned());
    }
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
        match self.plan.provider {
            Provider::Entra => self.memberships(observer).await,
            Provider::Okta | Provider::PingOne | Provider::JumpCloud => {
                self.rosters(observer).await;
            }
        }
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
                    // Where members are written by the list, the subject is the group.
                    let (group, member) = subject.split_once(' ').unwrap_or((subject, ""));
                    let mut changes = self.membership_changes(group).into_iter();
                    changes.any(|(id, _)| member.is_empty() || id == member)
                        || member.is_empty() && self.is_doubtful(group)
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
                let by_member = self.plan.provider == Provider::Entra;
                !is_synced || by_member && !self.membership_changes(key).is_empty()
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
            let synced = known.and_then(|known| known.synced.as_ref());
            let job = |dialect, is_on_demand| UserJob {
                key: key.clone(),
                person: person.clone(),
                link: link.clone(),
                is_synced: synced.is_some(),
                was_active: synced.is_some_and(Person::is_active),
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
            let known = self.state.people.get(key);
            let told = known.and_then(|known| known.manager.clone());
            if told.as_ref() == Some(&to) && !known.is_some_and(|known| known.is_manager_uncertain)
            {
                continue;
            }
            let what = Reference::Manager { had_one: told.is_some() };
            let dialect = self.dialect(key);
            jobs.push(reference_job(key, from, vec![to], (what, true, dialect)));
        }
        self.references(Phase::References, jobs, observer).await;
    }

    async fn groups(&mut self, observer: &mut dyn Observer) {
        let worker = worker(self.client, self.plan);
        let due = self.source.groups.iter().filter(|(key, _)| self.is_group_due(key));
        let due: Vec<(&String, &Group)> = due.collect();
        let link = |key: &String| self.state.groups.get(key).and_then(|known| known.link.clone());
        let is_listed = self.plan.provider.habits().lists_groups
            && due.iter().any(|(key, group)| !group.is_gone && link(key).is_none());
        let listed = if is_listed { Some(worker.all_groups().await) } else { None };
        let mut jobs = Vec::new();
        for (key, group) in due {
            let of_name = |all: &Vec<Value>| {
                let is = |one: &&Value| text_at(one, DISPLAY_NAME).as_ref() == Some(&group.name);
                all.iter().filter(is).cloned().collect()
            };
            jobs.push(GroupJob {
                key: key.clone(),
                group: group.clone(),
                link: link(key),
                dialect: self.dialect(key),
                synced: self.state.groups.get(key).and_then(|known| known.synced.clone()),
                members: self.roster(key).all,
                listed: listed.as_ref().map(|all| all.as_ref().map(of_name).map_err(Clone::clone)),
            });
        }
        observer.begin(self.number, Phase::Groups, jobs.len());
        let mut all = stream::iter(jobs.into_iter().map(|job| worker.group(job)))
            .buffer_unordered(self.plan.concurrency.max(1));
        while let Some(done) = all.next().await {
            take_group(self.state, (self.number, self.plan.provider), done);
            observer.step();
        }
    }

    /// Members by the list, a job for each group in which they have changed.
    async fn rosters(&mut self, observer: &mut dyn Observer) {
        let mut jobs = Vec::new();
        for (key, group) in self.source.groups.iter().filter(|(_, group)| !group.is_gone) {
            let Some(known) = self.state.groups.get(key) else { continue };
            let (Some(link), true) = (&known.link, known.synced.is_some()) else { continue };
            let roster = self.roster(key);
            if known.is_doubtful || !roster.more.is_empty() || !roster.less.is_empty() {
                jobs.push(RosterJob {
                    key: key.clone(),
                    group: link.clone(),
                    name: group.name.clone(),
                    roster,
                    is_full: known.is_doubtful,
                });
            }
        }
        observer.begin(self.number, Phase::Memberships, jobs.len());
        let worker = worker(self.client, self.plan);
        let mut all = stream::iter(jobs.into_iter().map(|job| worker.roster(job)))
            .buffer_unordered(self.plan.concurrency.max(1));
        while let Some(done) = all.next().await {
            take_roster(self.state, self.number, done);
            observer.step();
        }
    }

    fn is_doubtful(&self, key: &str) -> bool {
        self.state.groups.get(key).is_some_and(|known| known.is_doubtful)
    }

    /// Who is to be in a group, and what has changed.
    fn roster(&self, key: &str) -> Roster {
        let group = self.source.groups.get(key).filter(|group| !group.is_gone);
        let keys = group.map(|group| group.members.iter()).into_iter().flatten();
        let members = keys.filter_map(|key| {
            let id = self.state.people.get(key)?.link.clone()?;
            Some(Member { id, name: self.source.people.get(key)?.name().to_owned() })
        });
        let all: Vec<Member> = members.collect();
        let (mut more, mut less) = (Vec::new(), Vec::new());
        for (id, what) in self.membership_changes(key) {
            match what {
                Reference::NoMember => less.push(id),
                Reference::Member | Reference::Manager { .. } => {
                    more.extend(all.iter().filter(|member| member.id == id).cloned());
                }
            }
        }
        Roster { all, more, less }
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
pub(super) fn is_due(person: &Person, known: Option<&Known>) -> bool {
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
    Worker { client, provider: plan.provider, matching: plan.matching, seed: plan.seed }
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

fn shuffle<T>(jobs: &mut [T], seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    for last in (1..jobs.len()).rev() {
        jobs.swap(last, chance.random_range(0..=last));
    }
}

pub(super) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
