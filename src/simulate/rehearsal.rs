//! A rehearsal from the first probe to the last deletion.

use std::collections::{BTreeMap, HashSet};

use futures_util::StreamExt as _;
use futures_util::stream;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::call::{Call, Kind};
use super::chaos::WireChaos;
use super::churn::{Change, Churn};
use super::codes::{Code, Failure, Health};
use super::cycle::{Cycle, State, is_due, worker};
use super::formula::{self, Ledger};
use super::payload;
use super::provider::Provider;
use super::readback::{self, Expected};
use super::record::Recorder;
use super::report::{Action, CycleKind, CycleReport, Entry, Finding, Report, Sort, statistics};
use super::source::{DISPLAY_NAME, EXTERNAL_ID, Source, Standing, USER_NAME};
use super::value::{id_of, text_at};
use super::wire::{Client, Endpoint};
use super::{Matching, Observer, Phase, Plan, SimulateError, generate};
use crate::system::Moments;

/// Queries for nobody with which a connection is tested.
const TEST_PROBES: usize = 3;
/// Cycles without changes that are played at most, until nothing is open.
const SETTLING_MAX: usize = 2;

/// Passes over the endpoint that delete what was created.
const CLEAN_UP_PASSES_MAX: usize = 5;

/// What a restart forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// The watermark and the escrows, as the portal's button does.
    KeepLinks,
    /// The cached ids of everybody in scope, too: `resetScope: Full`.
    ForgetLinks,
}

/// What could not be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Deleted.
    pub deleted: usize,
    /// Still there.
    pub left: usize,
}

/// A source, an endpoint, and what is remembered of both.
#[derive(Debug)]
pub struct Rehearsal {
    plan: Plan,
    client: Client,
    source: Source,
    state: State,
    ledger: Ledger,
    churn: Churn,
    chance: StdRng,
    /// Ids of what was there before.
    before: HashSet<String>,
    /// Names and keys of everything that was ever in the source.
    ours: HashSet<String>,
    was_empty: bool,
    quarantine: Option<Health>,
    /// Changes since the last cycle.
    happened: BTreeMap<Change, usize>,
    cycles: Vec<CycleReport>,
}

impl Rehearsal {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When the record cannot be written, or TLS cannot be used.
    pub fn new(
        endpoint: Endpoint,
        plan: Plan,
        source: Source,
        moments: Moments,
    ) -> Result<Self, SimulateError> {
        let recorder = match &plan.record {
            Some(path) => Some(Recorder::create(path, endpoint.base(), plan.provider)?),
            None => None,
        };
        let chaos = plan.chaos.clone().map(|switch| WireChaos::new(switch, plan.seed));
        let client = Client::new(endpoint, plan.echo_flag, moments)?;
        let client = client.with_provider(plan.provider).with_chaos(chaos).with_recorder(recorder);
        let count = source.people.len().max(source.groups.len());
        let churn = Churn::new(&plan.rates, count, plan.matching == Matching::Email);
        let churn = churn.keeping(!plan.provider.habits().deletes_people);
        let chance = StdRng::seed_from_u64(plan.seed.wrapping_add(1));
        let mut rehearsal = Self {
            plan,
            client,
            source,
            state: State::default(),
            ledger: Ledger::default(),
            churn,
            chance,
            before: HashSet::new(),
            ours: HashSet::new(),
            was_empty: true,
            quarantine: None,
            happened: BTreeMap::new(),
            cycles: Vec::new(),
        };
        rehearsal.note_ours();
        Ok(rehearsal)
    }

    /// The source, to be changed by hand between two cycles.
    pub fn source_mut(&mut self) -> &mut Source {
        &mut self.source
    }

    /// What the provider does to test a connection, and a look whether the tenant is empty.
    ///
    /// # Errors
    /// When the endpoint cannot be used, or is not empty.
    pub async fn connect(&mut self, observer: &mut dyn Observer) -> Result<(), SimulateError> {
        let of_users = if self.plan.provider == Provider::Entra { TEST_PROBES } else { 1 };
        observer.begin(0, Phase::Connection, of_users + 1);
        for step in 0..=of_users {
            let collection = if step < of_users { "Users" } else { "Groups" };
            let guid = generate::guid(&mut self.chance);
            let probed = worker(&self.client, &self.plan).probe(collection, &guid).await;
            probed.map_err(|failure| self.unusable(collection, &failure))?;
            observer.step();
        }
        let totals = readback::totals(&self.client).await;
        let (users, groups) = totals.map_err(|failure| self.unusable("Users", &failure))?;
        self.was_empty = users == 0 && groups == 0;
        if !self.was_empty {
            if !self.plan.into_live && !self.client.is_marked() {
                return Err(SimulateError::new(format!(
                    "the tenant is not empty (users: {users}, groups: {groups}): rehearse in one that is, or in one that \
                     is marked (`scimctl tenant set NAME --rehearsal true`), or add --into-live if you mean this one; only what \
                     the rehearsal creates is deleted again"
                )));
            }
            let there = self.read_all(0, observer).await;
            let there = there.map_err(|failure| self.unusable("Users", &failure))?;
            self.before = there.ids().map(ToOwned::to_owned).collect();
        }
        if self.plan.provider == Provider::JumpCloud {
            self.activate(observer).await
        } else {
            Ok(())
        }
    }

    /// `JumpCloud`'s activation, with a user and a group of its own.
    async fn activate(&mut self, observer: &mut dyn Observer) -> Result<(), SimulateError> {
        let (key, mut person) = generate::person(&mut self.chance, 0, true);
        person.set(USER_NAME, format!("test.{key}@{}", generate::DOMAIN));
        let group = format!("Rehearsal test {key}");
        self.ours.extend([key, person.name().to_lowercase(), group.to_lowercase()]);
        let mut test = Source::default();
        test.people.insert(String::new(), person);
        self.plan.provider.limit(&mut test);
        let person = test.people.into_values().next();
        let Some(person) = person else { return Ok(()) };
        let Err(failure) = worker(&self.client, &self.plan).activate(&person, &group).await else {
            return Ok(());
        };
        drop(self.clean_up(observer).await);
        let (base, Failure { detail, .. }) = (self.client.endpoint().base(), failure);
        Err(SimulateError::new(format!(
            "{base} fails JumpCloud's activation test ({detail}): it has to let a test user and a test group be created, \
             changed and deleted"
        )))
    }

    fn unusable(&self, collection: &str, failure: &Failure) -> SimulateError {
        let (base, name) = (self.client.endpoint().base(), self.plan.provider.name());
        let Failure { code, status, detail } = failure;
        SimulateError::new(match (code, status) {
            (Code::WebException | Code::Timeout, None) => format!(
                "{base} cannot be reached ({detail}); check the address, and that the server runs"
            ),
            (Code::Unauthorized, _) => format!(
                "{base} refuses the token (401); paste it as it was issued, or issue another with `scimctl token issue`"
            ),
            (Code::DuplicateTargetEntries, _) => format!(
                "{base}/{collection} cannot be synchronised with: {detail}, and {name} would stop with {}",
                code.word()
            ),
            (Code::ServiceIncompatible, Some(200)) => format!(
                "{base}/{collection} does not speak SCIM: {detail}; give the SCIM base URL, the address under which /Users lies"
            ),
            (_, Some(404)) => format!(
                "there is nothing at {base}/{collection} (404); give the SCIM base URL, the address under which /Users lies"
            ),
            _ => format!(
                "{base}/{collection} does not answer a query as {name} needs it ({}: {detail}); it wants 200 with a \
                 ListResponse",
                code.word()
            ),
        })
    }

    /// All cycles of the plan, then cycles without changes until nothing is open and the endpoint is as the source, then a
    /// restart that has to find everything as it left it.
    pub async fn play(&mut self, observer: &mut dyn Observer) {
        for number in 0..self.plan.cycles.max(1) {
            if number > 0 {
                self.let_things_happen();
            }
            self.cycle(observer).await;
            if self.quarantine.is_some() {
                return;
            }
        }
        for _ in 0..SETTLING_MAX {
            if self.is_settled() {
                break;
            }
            self.settle(observer).await;
        }
        // What was lost on the way is not to be made good by sending everything once more.
        if self.quarantine.is_none() && self.is_settled() {
            self.restart(Restart::ForgetLinks, observer).await;
        }
    }

    /// Whether the endpoint is as the source, and nothing is to be tried again.
    fn is_settled(&self) -> bool {
        let is_equal = self.cycles.last().is_some_and(|cycle| cycle.findings.is_empty());
        is_equal && self.state.escrows.is_empty()
    }

    /// The changes of one cycle, by the rates of the plan.
    pub fn let_things_happen(&mut self) -> BTreeMap<Change, usize> {
        let is_user_or_group = |sort: &Sort| matches!(sort, Sort::User | Sort::Group);
        let open = self.state.escrows.keys().filter(|(sort, _)| is_user_or_group(sort));
        let mut busy: HashSet<String> = open.map(|(_, key)| key.clone()).collect();
        // And whoever waits for a cycle that was put off.
        let people = self.source.people.iter();
        let waiting = people.filter(|(key, one)| is_due(one, self.state.people.get(*key)));
        busy.extend(waiting.map(|(key, _)| key.clone()));
        let happened = self.churn.run(&mut self.source, &mut self.chance, &busy);
        self.note_ours();
        self.happened.clone_from(&happened);
        happened
    }

    /// A cycle over what has changed, with faults if the plan has them; then the endpoint is compared with the source.
    pub async fn cycle(&mut self, observer: &mut dyn Observer) -> CycleReport {
        let kind = if self.cycles.is_empty() { CycleKind::Initial } else { CycleKind::Incremental };
        self.any_cycle(kind, observer).await
    }

    /// A cycle without faults over what is left over.
    pub async fn settle(&mut self, observer: &mut dyn Observer) -> CycleReport {
        self.any_cycle(CycleKind::Settling, observer).await
    }

    /// Everything is looked at again, without faults.
    pub async fn restart(&mut self, restart: Restart, observer: &mut dyn Observer) -> CycleReport {
        self.state.escrows.clear();
        for (key, known) in &mut self.state.people {
            known.synced = None;
            known.manager = None;
            let standing = self.source.people.get(key).map(|person| person.standing);
            // Whoever is out of scope is not looked for again: without a link nobody would speak of them any more.
            if restart == Restart::ForgetLinks && standing == Some(Standing::Active) {
                known.link = None;
            }
        }
        for known in self.state.groups.values_mut() {
            known.synced = None;
            known.members.clear();
            known.is_doubtful = true;
            if restart == Restart::ForgetLinks {
                known.link = None;
            }
        }
        self.any_cycle(CycleKind::Restart, observer).await
    }

    async fn any_cycle(&mut self, kind: CycleKind, observer: &mut dyn Observer) -> CycleReport {
        let number = self.cycles.len() + 1;
        let has_changes = matches!(kind, CycleKind::Initial | CycleKind::Incremental);
        let is_chaotic = self.plan.chaos.is_some() && has_changes;
        let (counts, logged) = (self.client.counts(), self.state.log.len());
        self.plan.provider.limit(&mut self.source);
        self.turn(is_chaotic);
        let probed = self.probe(number).await;
        if probed {
            let (plan, client, source) = (&self.plan, &self.client, &self.source);
            let is_on_demand = plan.on_demand && has_changes;
            let state = &mut self.state;
            Cycle { number, is_on_demand, plan, client, source, state }.run(observer).await;
        }
        self.turn(false);
        let requests = formula::since(&counts, &self.client.counts());
        let entries = self.state.log.get(logged..).unwrap_or_default();
        let failed = entries.iter().filter(|entry| entry.failure.is_some()).count();
        let mut actions = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.failure.is_none()) {
            *actions.entry(entry.action).or_insert(0) += 1;
        }
        let needed = match kind {
            CycleKind::Restart => self.ledger.restart(),
            CycleKind::Initial | CycleKind::Incremental | CycleKind::Settling => {
                self.ledger.advance(&self.source)
            }
        };
        // What fails, is repeated or was there before makes other requests necessary; a restart has nothing of that.
        // How many the others need, nobody has written down.
        let is_counted = self.plan.provider == Provider::Entra && self.was_empty;
        let is_plain = !is_chaotic && !self.plan.on_demand && kind != CycleKind::Settling;
        let is_counted =
            is_counted && failed == 0 && probed && (is_plain || kind == CycleKind::Restart);
        let formula = if is_counted { formula::compare(&needed, &requests) } else { Vec::new() };
        let findings = self.look(number, observer).await;
        let changes = std::mem::take(&mut self.happened);
        let report = CycleReport {
            number,
            kind,
            is_chaotic,
            changes,
            actions,
            failed,
            requests,
            formula,
            findings,
        };
        self.cycles.push(report.clone());
        report
    }

    fn turn(&self, on: bool) {
        if let Some(switch) = &self.plan.chaos {
            if on { switch.turn_on() } else { switch.turn_off() }
        }
    }

    /// The probes at a cycle's beginning; false when the cycle cannot be.
    async fn probe(&mut self, cycle: usize) -> bool {
        for collection in ["Users", "Groups"] {
            let guid = generate::guid(&mut self.chance);
            let worker = worker(&self.client, &self.plan);
            let Err(failure) = worker.probe(collection, &guid).await else { continue };
            if failure.code.quarantines() {
                let why = format!("{}: {}", failure.code.word(), failure.detail);
                self.quarantine = Some(match self.plan.provider {
                    Provider::Entra => Health::Quarantine("EncounteredQuarantineException", why),
                    Provider::Okta | Provider::PingOne | Provider::JumpCloud => Health::Broken(why),
                });
            }
            self.state.log.push(Entry {
                cycle,
                sort: Sort::Probe,
                name: format!("/{collection}"),
                subject: guid,
                action: Action::Skip,
                failure: Some(failure),
                is_on_demand: false,
                is_made_good: false,
            });
            return false;
        }
        for entry in self.state.log.iter_mut().filter(|entry| entry.sort == Sort::Probe) {
            entry.is_made_good = true;
        }
        true
    }

    /// Reads everything back and compares it.
    async fn look(&self, cycle: usize, observer: &mut dyn Observer) -> Vec<Finding> {
        match self.read_all(cycle, observer).await {
            Ok(contents) => {
                let (provider, state) = (self.plan.provider, &self.state);
                let expected = Expected { provider, source: &self.source, state };
                readback::compare(expected, &contents, &self.before)
            }
            Err(failure) => {
                let what =
                    format!("cannot be read back ({}: {})", failure.code.word(), failure.detail);
                vec![Finding::new("the endpoint", what)]
            }
        }
    }

    async fn read_all(
        &self,
        cycle: usize,
        observer: &mut dyn Observer,
    ) -> Result<readback::Contents, Failure> {
        readback::read_all(&self.client, self.plan.concurrency, (cycle, observer)).await
    }

    fn note_ours(&mut self) {
        for (key, person) in &self.source.people {
            self.ours.extend([key.clone(), person.name().to_lowercase()]);
        }
        for (key, group) in &self.source.groups {
            self.ours.extend([key.clone(), group.name.to_lowercase()]);
        }
    }

    /// Deletes what the rehearsal has created, and nothing that was there before. It looks again until it finds nothing:
    /// a request that was under way when the rehearsal was stopped may have its effect late.
    ///
    /// # Errors
    /// When the endpoint cannot be read.
    pub async fn clean_up(&self, observer: &mut dyn Observer) -> Result<Left, SimulateError> {
        self.turn(false);
        let mut all = Left::default();
        for _ in 0..CLEAN_UP_PASSES_MAX {
            let pass = self.clean_up_once(observer).await?;
            all.deleted += pass.deleted;
            all.left = pass.left;
            if pass.deleted == 0 {
                break;
            }
        }
        Ok(all)
    }

    async fn clean_up_once(&self, observer: &mut dyn Observer) -> Result<Left, SimulateError> {
        let there = self.read_all(0, observer).await;
        let there = there.map_err(|failure| self.unusable("Users", &failure))?;
        let linked: HashSet<&String> = {
            let people = self.state.people.values().filter_map(|known| known.first.as_ref());
            let groups = self.state.groups.values().filter_map(|known| known.first.as_ref());
            people.chain(groups).collect()
        };
        let ours = |resource: &serde_json::Value, name: &str| {
            let id = id_of(resource)?.to_owned();
            let said = [text_at(resource, EXTERNAL_ID), text_at(resource, name)];
            let is_named = said
                .into_iter()
                .flatten()
                .any(|text| self.ours.contains(&text) || self.ours.contains(&text.to_lowercase()));
            ((linked.contains(&id) || is_named) && !self.before.contains(&id)).then_some(id)
        };
        let groups =
            there.groups.iter().filter_map(|group| Some(("Groups", ours(group, DISPLAY_NAME)?)));
        let users = there.users.iter().filter_map(|user| Some(("Users", ours(user, USER_NAME)?)));
        let all: Vec<(&str, String)> = groups.chain(users).collect();
        observer.begin(0, Phase::CleanUp, all.len());
        let delete = |(collection, id): (&'static str, String)| async move {
            let target = format!("/{collection}/{}", payload::segment(&id));
            let answer = self.client.send(&Call::delete(Kind::CleanUp, &id, target)).await;
            answer.is_ok_and(|answer| matches!(answer.status, 200 | 202 | 204 | 404))
        };
        let all: Vec<(&'static str, String)> = all;
        let mut deleted = stream::iter(all.into_iter().map(delete))
            .buffer_unordered(self.plan.concurrency.max(1));
        let mut left = Left::default();
        while let Some(is_deleted) = deleted.next().await {
            observer.step();
            if is_deleted { left.deleted += 1 } else { left.left += 1 }
        }
        Ok(left)
    }

    /// Everything that was done and found.
    ///
    /// # Errors
    /// When the record could not be written.
    pub fn report(&self) -> Result<Report, SimulateError> {
        if let Some(recorder) = self.client.recorder() {
            recorder.finish()?;
        }
        let living = self.source.living().count();
        let groups = self.source.groups.values().filter(|group| !group.is_gone).count();
        let health = self.quarantine.clone();
        let open = self.state.escrows.len();
        let health = health.unwrap_or_else(|| match self.plan.provider {
            Provider::Entra => self.state.tally.health(open),
            Provider::Okta | Provider::PingOne | Provider::JumpCloud if open == 0 => {
                Health::Healthy
            }
            Provider::Okta | Provider::PingOne | Provider::JumpCloud => Health::Failing(open),
        });
        Ok(Report {
            provider: self.plan.provider,
            seed: self.plan.seed,
            users: living,
            groups,
            memberships: self.source.memberships(),
            cycles: self.cycles.clone(),
            log: self.state.log.clone(),
            requests: statistics(self.client.timings()),
            health,
            remarks: self.client.remarks(),
            faults: self.plan.chaos.as_ref().map(super::Switch::counts).unwrap_or_default(),
        })
    }
}
