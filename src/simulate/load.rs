//! How fast an endpoint answers: the requests of an initial cycle and of an incremental one, as Entra sends them, as many at
//! once as asked for, each answer read and compared with what was sent.
//!
//! A [`Load`] plays laps. Each begins with an endpoint that holds nothing of its own, and what it creates is deleted by
//! [`Load::clean_up`], which works after a lap that was dropped in the middle, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::call::{Call, Kind};
use super::codes::Failure;
use super::payload::{self, CORE_GROUP, Dialect, Operation};
use super::rehearsal::Left;
use super::source::{DISPLAY_NAME, Person, USER_NAME};
use super::value::{differences, id_of, members_of};
use super::wire::{Answer, Client, Endpoint};
use super::worker::listed;
use super::{Observer, Phase, SimulateError, generate, readback};
use crate::system::Moments;

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(100);
/// Sorts of failures that are told apart at most.
const FAULTS_MAX: usize = 20;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct LoadPlan {
    /// So many people.
    pub users: usize,
    /// So many groups.
    pub groups: usize,
    /// So many members in each of them.
    pub members: usize,
    /// What chance follows from.
    pub seed: u64,
    /// Whether a tenant that is not empty is taken although it is not there to be rehearsed in.
    pub into_live: bool,
}

/// What became of the requests of one cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests that were answered, or not.
    pub requests: usize,
    /// From the first to the last.
    pub took: Duration,
    /// The time that half of the requests took at most.
    pub p50: Duration,
    /// The time that 99 of 100 took at most.
    pub p99: Duration,
    /// Requests that were not answered as they should be.
    pub errors: usize,
    /// Answers that do not say what was written.
    pub wrong: usize,
}

impl Figures {
    /// Requests a second.
    pub fn per_second(&self) -> u64 {
        let requests = u128::try_from(self.requests).unwrap_or(u128::MAX);
        let rate = requests.saturating_mul(1_000_000).checked_div(self.took.as_micros());
        rate.and_then(|rate| u64::try_from(rate).ok()).unwrap_or_default()
    }
}

/// Both cycles at one concurrency.
#[derive(Clone, Debug, Default)]
pub struct Lap {
    /// Requests that were under way at once.
    pub concurrency: usize,
    /// Everybody looked for and created, every group and its members.
    pub initial: Figures,
    /// Everybody looked for, changed, and read.
    pub incremental: Figures,
    /// What went wrong, and how often.
    pub faults: BTreeMap<String, usize>,
}

impl Lap {
    /// Whether every answer was right.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

/// What a lane has seen.
#[derive(Debug, Default)]
struct Tally {
    micros: Vec<u64>,
    errors: usize,
    wrong: usize,
    faults: BTreeMap<String, usize>,
}

impl Tally {
    fn note(&mut self, what: String) {
        if self.faults.len() < FAULTS_MAX || self.faults.contains_key(&what) {
            *self.faults.entry(what).or_insert(0) += 1;
        }
    }

    fn absorb(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.errors += other.errors;
        self.wrong += other.wrong;
        for (what, count) in other.faults {
            *self.faults.entry(what).or_insert(0) += count;
        }
    }

    fn figures(&mut self, took: Duration) -> Figures {
        self.micros.sort_unstable();
        let at = |percent: usize| {
            let index = (self.micros.len() * percent).div_ceil(100).saturating_sub(1);
            Duration::from_micros(self.micros.get(index).copied().unwrap_or_default())
        };
        let (requests, errors, wrong) = (self.micros.len(), self.errors, self.wrong);
        Figures { requests, took, p50: at(50), p99: at(99), errors, wrong }
    }
}

/// A stretch of a cycle: each object in it can be worked on for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stretch {
    Users,
    Groups,
    Memberships,
    ReadGroups,
    Changes,
}

/// Who is sent in a lap, and what the endpoint has called them.
#[derive(Debug)]
struct Cast {
    plan: LoadPlan,
    people: Vec<Person>,
    changed: Vec<Person>,
    user_ids: Vec<OnceLock<String>>,
    group_ids: Vec<OnceLock<String>>,
    groups: Vec<(String, String)>,
    next: AtomicUsize,
}

impl Cast {
    fn new(plan: LoadPlan, concurrency: usize) -> Self {
        let lap = u64::try_from(concurrency).unwrap_or_default();
        let mut chance = StdRng::seed_from_u64(plan.seed.wrapping_mul(1_000).wrapping_add(lap));
        let person = |number| generate::person(&mut chance, number, true).1;
        let people: Vec<Person> = (0..plan.users).map(person).collect();
        let changed = |(number, person): (usize, &Person)| {
            let mut changed = person.clone();
            changed.set(DISPLAY_NAME, format!("Renamed {number}"));
            changed
        };
        let changed = people.iter().enumerate().map(changed).collect();
        let group = |number| {
            let key = generate::guid(&mut chance);
            (format!("Rehearsal load {number} {}", generate::tag(&key)), key)
        };
        let groups = (0..plan.groups).map(group).collect();
        let free = |count| (0..count).map(|_| OnceLock::new()).collect();
        let (user_ids, group_ids) = (free(plan.users), free(plan.groups));
        let next = AtomicUsize::new(0);
        Self { plan, people, changed, user_ids, group_ids, groups, next }
    }

    fn steps(&self, stretch: Stretch) -> usize {
        match stretch {
            Stretch::Users | Stretch::Changes => self.plan.users,
            Stretch::Groups | Stretch::ReadGroups => self.plan.groups,
            Stretch::Memberships => self.plan.groups.saturating_mul(self.plan.members),
        }
    }

    /// The ids of a group and of its member, as the endpoint gave them. One group comes after the other, so that requests
    /// that are under way at once are about different ones.
    fn membership(&self, step: usize) -> Option<(&str, &str)> {
        let (group, of_group) =
            (step.checked_rem(self.plan.groups)?, step.checked_div(self.plan.groups)?);
        let member = group.saturating_mul(self.plan.members).saturating_add(of_group);
        let member = member.checked_rem(self.plan.users)?;
        Some((self.group_ids.get(group)?.get()?, self.user_ids.get(member)?.get()?))
    }

    /// Who should be in a group.
    fn roster(&self, group: usize) -> BTreeSet<&str> {
        let steps = (0..self.plan.members).map(|nth| nth * self.plan.groups + group);
        steps.filter_map(|step| Some(self.membership(step)?.1)).collect()
    }
}

/// An endpoint under load.
#[derive(Clone, Debug)]
pub struct Load {
    plan: LoadPlan,
    client: Arc<Client>,
    moments: Moments,
    /// Where what was created is, to be deleted.
    made: Arc<Mutex<Vec<String>>>,
}

impl Load {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When TLS cannot be used.
    pub fn new(
        endpoint: Endpoint,
        plan: LoadPlan,
        moments: Moments,
    ) -> Result<Self, SimulateError> {
        let client = Arc::new(Client::new(endpoint, false, moments.clone())?);
        Ok(Self { plan, client, moments, made: Arc::default() })
    }

    /// A look whether the endpoint answers, and has nobody.
    ///
    /// # Errors
    /// When it cannot be used, or is not empty.
    pub async fn connect(&self) -> Result<(), SimulateError> {
        let totals = readback::totals(&self.client).await;
        let (users, groups) = totals.map_err(|failure| {
            let Failure { detail, .. } = failure;
            let base = self.client.endpoint().base();
            SimulateError::new(format!(
                "{base} cannot be used: {detail}; check the URL and the token"
            ))
        })?;
        if users == 0 && groups == 0 || self.plan.into_live || self.client.is_marked() {
            return Ok(());
        }
        Err(SimulateError::new(format!(
            "the tenant is not empty (users: {users}, groups: {groups}): measure one that is, or one that is marked \
             (`scimctl tenant set NAME --rehearsal true`), or add --into-live if you mean this one; only what is created \
             here is deleted again"
        )))
    }

    /// Both cycles, with so many requests at once.
    pub async fn lap(&self, concurrency: usize, observer: &mut dyn Observer) -> Lap {
        let cast = Arc::new(Cast::new(self.plan, concurrency));
        let mut lap = Lap { concurrency, ..Lap::default() };
        let initial = [Stretch::Users, Stretch::Groups, Stretch::Memberships, Stretch::ReadGroups];
        let (figures, faults) =
            self.cycle((&cast, &initial), (concurrency, Phase::InitialCycle), observer).await;
        (lap.initial, lap.faults) = (figures, faults);
        let (figures, faults) = self
            .cycle((&cast, &[Stretch::Changes]), (concurrency, Phase::IncrementalCycle), observer)
            .await;
        lap.incremental = figures;
        for (what, count) in faults {
            *lap.faults.entry(what).or_insert(0) += count;
        }
        lap
    }

    async fn cycle(
        &self,
        (cast, stretches): (&Arc<Cast>, &[Stretch]),
        (concurrency, phase): (usize, Phase),
        observer: &mut dyn Observer,
    ) -> (Figures, BTreeMap<String, usize>) {
        let steps = stretches.iter().map(|stretch| cast.steps(*stretch)).sum();
        observer.begin(concurrency, phase, steps);
        let mut all = Tally::default();
        let began = self.moments.clock().monotonic();
        for stretch in stretches {
            cast.next.store(0, Ordering::SeqCst);
            let mut lanes = JoinSet::new();
            for _ in 0..concurrency {
                lanes.spawn(self.clone().lane(Arc::clone(cast), *stretch));
            }
            let (steps, mut shown) = (cast.steps(*stretch), 0);
            while !lanes.is_empty() {
                tokio::select! {
                    Some(ended) = lanes.join_next() => match ended {
                        Ok(tally) => all.absorb(tally),
                        Err(_) => all.note("a lane of the driver's own has failed".to_owned()),
                    },
                    () = self.client.wait(TICK) => {}
                }
                let done = cast.next.load(Ordering::Relaxed).min(steps);
                (shown..done).for_each(|_| observer.step());
                shown = done;
            }
        }
        let took = self.moments.clock().monotonic().saturating_sub(began);
        (all.figures(took), all.faults)
    }

    /// One request after the other, until there is nobody left.
    async fn lane(self, cast: Arc<Cast>, stretch: Stretch) -> Tally {
        let mut tally = Tally::default();
        let steps = cast.steps(stretch);
        loop {
            let step = cast.next.fetch_add(1, Ordering::Relaxed);
            if step >= steps {
                return tally;
            }
            // A step ends early where an answer is missing; the tally has it.
            let _done: Option<()> = match stretch {
                Stretch::Users => self.create_user(&cast, step, &mut tally).await,
                Stretch::Groups => self.create_group(&cast, step, &mut tally).await,
                Stretch::Memberships => self.add_member(&cast, step, &mut tally).await,
                Stretch::ReadGroups => self.read_group(&cast, step, &mut tally).await,
                Stretch::Changes => self.change(&cast, step, &mut tally).await,
            };
        }
    }

    async fn create_user(&self, cast: &Cast, step: usize, tally: &mut Tally) -> Option<()> {
        let person = cast.people.get(step)?;
        let found = self.find("Users", (USER_NAME, person.name()), tally).await?;
        compare(tally, found.is_none(), "somebody is found who is not there yet");
        let body = payload::new_user(person);
        let created = Call::post(Kind::CreateUser, person.name(), "/Users", body);
        let id = self.create("Users", created, tally).await?;
        cast.user_ids.get(step)?.set(id).ok()
    }

    async fn create_group(&self, cast: &Cast, step: usize, tally: &mut Tally) -> Option<()> {
        let (name, key) = cast.groups.get(step)?;
        let found = self.find("Groups", (DISPLAY_NAME, name), tally).await?;
        compare(tally, found.is_none(), "a group is found that is not there yet");
        // Without the schema that only Entra knows: servers that refuse it are measured, too.
        let body = json!({"schemas": [CORE_GROUP], "externalId": key, "displayName": name});
        let created = Call::post(Kind::CreateGroup, name, "/Groups", body);
        let id = self.create("Groups", created, tally).await?;
        cast.group_ids.get(step)?.set(id).ok()
    }

    async fn add_member(&self, cast: &Cast, step: usize, tally: &mut Tally) -> Option<()> {
        let (group, member) = cast.membership(step)?;
        let members = [member.to_owned()];
        let body = payload::membership(&members, Operation::Add, Dialect::Compliant);
        let target = format!("/Groups/{}", payload::segment(group));
        self.send(Call::patch(Kind::AddMember, group, target, body), &[200, 204], tally).await?;
        Some(())
    }

    async fn read_group(&self, cast: &Cast, step: usize, tally: &mut Tally) -> Option<()> {
        let id = cast.group_ids.get(step)?.get()?;
        let target = format!("/Groups/{}", payload::segment(id));
        let read = self.send(Call::get(Kind::ReadGroup, id, target), &[200], tally).await?;
        let members = members_of(&read.body);
        let found: BTreeSet<&str> = members.iter().map(String::as_str).collect();
        compare(tally, found == cast.roster(step), "a group has other members than it was given");
        Some(())
    }

    async fn change(&self, cast: &Cast, step: usize, tally: &mut Tally) -> Option<()> {
        let (person, id) = (cast.changed.get(step)?, cast.user_ids.get(step)?.get()?);
        let found = self.find("Users", (USER_NAME, person.name()), tally).await?;
        let found = found.unwrap_or_default();
        compare(tally, id_of(&found) == Some(id), "somebody is not found by the name");
        let target = format!("/Users/{}", payload::segment(id));
        let body = payload::update(&differences(person, &found), Dialect::Compliant, false);
        let patch = Call::patch(Kind::UpdateUser, person.name(), target.clone(), body);
        self.send(patch, &[200, 204], tally).await?;
        let read = Call::get(Kind::ReadUser, person.name(), target);
        let read = self.send(read, &[200], tally).await?;
        let is_right = differences(person, &read.body).is_empty();
        compare(tally, is_right, "somebody is read otherwise than written");
        Some(())
    }

    /// Who has that value, if anybody.
    async fn find(
        &self,
        collection: &str,
        (name, value): (&str, &str),
        tally: &mut Tally,
    ) -> Option<Option<Value>> {
        let kind = if collection == "Users" { Kind::MatchUser } else { Kind::MatchGroup };
        let without = if collection == "Users" { "" } else { "excludedAttributes=members&" };
        let target = format!("/{collection}?{without}filter={}", payload::equals(name, value));
        let answer = self.send(Call::get(kind, value, target), &[200], tally).await?;
        match listed(answer) {
            Ok((_, found)) => Some(found.into_iter().next()),
            Err(failure) => {
                tally.errors += 1;
                tally.note(format!("{}: {}", kind.word(), failure.detail));
                None
            }
        }
    }

    async fn create(&self, collection: &str, call: Call, tally: &mut Tally) -> Option<String> {
        let created = self.send(call, &[201], tally).await?;
        let id = id_of(&created.body).map(ToOwned::to_owned);
        compare(tally, id.is_some(), "what was created has no id");
        let id = id?;
        let target = format!("/{collection}/{}", payload::segment(&id));
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(target);
        Some(id)
    }

    async fn send(&self, call: Call, statuses: &[u16], tally: &mut Tally) -> Option<Answer> {
        let began = self.moments.clock().monotonic();
        let answer = self.client.send(&call).await.and_then(|answer| answer.expect(statuses));
        let took = self.moments.clock().monotonic().saturating_sub(began);
        tally.micros.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        match answer {
            Ok(answer) => Some(answer),
            Err(failure) => {
                tally.errors += 1;
                let status = failure.status.map_or_else(|| failure.detail, |s| s.to_string());
                tally.note(format!("{}: {status}", call.kind.word()));
                None
            }
        }
    }

    /// What was created is deleted: the groups, which came last, first.
    pub async fn clean_up(&self, concurrency: usize, observer: &mut dyn Observer) -> Left {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        observer.begin(0, Phase::CleanUp, made.len());
        let mut left = Left::default();
        let mut targets = made.into_iter().rev();
        let mut deleting = JoinSet::new();
        loop {
            while deleting.len() < concurrency.max(1)
                && let Some(target) = targets.next()
            {
                let client = Arc::clone(&self.client);
                deleting.spawn(async move {
                    let deleted = client.send(&Call::delete(Kind::CleanUp, "", target)).await;
                    deleted.is_ok_and(|answer| matches!(answer.status, 200 | 202 | 204 | 404))
                });
            }
            let Some(ended) = deleting.join_next().await else { return left };
            observer.step();
            if ended.is_ok_and(|is_deleted| is_deleted) {
                left.deleted += 1;
            } else {
                left.left += 1;
            }
        }
    }
}

/// Notes what is not as it should be.
fn compare(tally: &mut Tally, is_right: bool, what: &str) {
    if !is_right {
        tally.wrong += 1;
        tally.note(what.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_the_usual_percentiles() {
        let mut tally = Tally { micros: (1..=200).rev().collect(), ..Tally::default() };
        let figures = tally.figures(Duration::from_millis(100));
        assert_eq!(figures.p50, Duration::from_micros(100));
        assert_eq!(figures.p99, Duration::from_micros(198));
        assert_eq!((figures.requests, figures.per_second()), (200, 2_000));
        assert_eq!(Tally::default().figures(Duration::ZERO), Figures::default());
        assert_eq!(Figures::default().per_second(), 0);
    }

    #[test]
    fn members_are_spread_over_the_people() {
        let plan = LoadPlan { users: 3, groups: 2, members: 2, seed: 1, into_live: false };
        let cast = Cast::new(plan, 1);
        for (number, id) in cast.user_ids.iter().enumerate() {
            id.set(format!("u{number}")).unwrap();
        }
        for (number, id) in cast.group_ids.iter().enumerate() {
            id.set(format!("g{number}")).unwrap();
        }
        assert_eq!(cast.membership(0), Some(("g0", "u0")));
        assert_eq!(cast.membership(1), Some(("g1", "u2")));
        assert_eq!(cast.membership(3), Some(("g1", "u0")));
        assert_eq!(cast.roster(1), BTreeSet::from(["u2", "u0"]));
    }
}
