//! Histories of several clients at once, on one group's members and on one person's attribute, with faults: each is what
//! a register of each member (of the attribute) could have done, one operation after the other, and at the end
//! everything is whole. No member is lost, none comes back, no read goes back in time.
//!
//! Who goes on next, and what goes wrong, is chosen by a seed, which a failure names. `HISTORIES` says how many are run
//! of each sort, `HISTORY_SEED` with which one to begin.

mod register;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use register::{Did, Operation, is_linearizable};
use serde_json::{Value, json};

use crate::races::{on_members, replacing};
use crate::stage::{Act, Fault, Setup, Stage, Told, When, judge};

/// Histories of each sort when nobody says how many.
const HISTORIES: u64 = 250;
/// Clients of one history.
const CLIENTS: std::ops::RangeInclusive<usize> = 3..=8;
/// Operations of all clients of one history together.
const OPERATIONS: std::ops::RangeInclusive<usize> = 5..=9;
/// People whose memberships are added and removed.
const PEOPLE: usize = 3;
/// Of a hundred store calls, so many go wrong.
const FAULTS_PERCENT: u32 = 6;
/// Steps of one history; none takes more.
const STEPS_MAX: usize = 20_000;

/// In which ways.
const SORTS: [(Fault, When); 8] = [
    (Fault::INTERNAL, When::Before),
    (Fault::Reset, When::After),
    (Fault::INTERNAL, When::After),
    (Fault::THROTTLED, When::Before),
    (Fault::Truncated, When::After),
    (Fault::TimedOut, When::After),
    (Fault::Mixed, When::Before),
    (Fault::Unprocessed, When::Before),
];

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn histories_of_one_groups_members_are_linearizable() {
    let stage = stage();
    let people: Vec<String> = (0..PEOPLE).map(|n| stage.user(&format!("p{n}@ex.test"))).collect();
    let group = stage.group("Staff", &people[..1]);
    let target = format!("/Groups/{group}");
    let next = |chance: &mut StdRng, _: u32| {
        let kind = chance.random_range(0..3);
        if kind == 2 {
            return (Act::http("GET", target.clone(), Value::Null), Vec::new());
        }
        let (op, value) = if kind == 1 { ("add", 1) } else { ("remove", 0) };
        let mut named: Vec<usize> = (0..PEOPLE).collect();
        named.retain(|_| chance.random_range(0..2) == 0);
        if named.is_empty() {
            named.push(chance.random_range(0..PEOPLE));
        }
        let ids: Vec<String> = named.iter().map(|index| people[*index].clone()).collect();
        let act = Act::http("PATCH", target.clone(), on_members(op, &ids));
        (act, named.into_iter().map(|index| (index, value)).collect())
    };
    let read = |told: &Told| {
        let members = told.body["members"].as_array().cloned().unwrap_or_default();
        let is_member = |id: &String| members.iter().any(|member| member["value"] == json!(id));
        people.iter().map(|id| u32::from(is_member(id))).collect()
    };
    let initial: Vec<u32> = (0..PEOPLE).map(|index| u32::from(index == 0)).collect();
    run("members", &stage, &Subject { next: &next, read: &read, target: &target, initial });
}

#[test]
fn histories_of_one_persons_attribute_are_linearizable() {
    let stage = stage();
    let ida = stage.user("ida@ex.test");
    let target = format!("/Users/{ida}");
    let next = |chance: &mut StdRng, number: u32| {
        if chance.random_range(0..3) == 2 {
            return (Act::http("GET", target.clone(), Value::Null), Vec::new());
        }
        // A rename moves the whole person to another key: it must not lose what others write.
        let mut body = replacing("title", &number.to_string());
        if chance.random_range(0..3) == 0 {
            let name = format!("ida{}@ex.test", chance.random_range(0..3));
            let rename = json!({"op": "replace", "path": "userName", "value": name});
            body["Operations"].as_array_mut().unwrap().push(rename);
        }
        (Act::http("PATCH", target.clone(), body), vec![(0, number)])
    };
    let read = |told: &Told| {
        let title = told.body["title"].as_str().unwrap_or("0");
        vec![title.parse().expect("a number")]
    };
    let initial = vec![0];
    run("attributes", &stage, &Subject { next: &next, read: &read, target: &target, initial });
}

fn stage() -> Stage {
    let token_cache = Duration::from_secs(30);
    Stage::new(Setup { actors: CLIENTS.end() + 1, sdk_attempts: 1, token_cache })
}

/// From chance and a number, an operation and the registers that it writes.
type Next<'a> = dyn Fn(&mut StdRng, u32) -> (Act, Vec<(usize, u32)>) + 'a;

/// What the clients work on: some registers behind one resource.
struct Subject<'a> {
    /// What a client does next, and which registers that writes.
    next: &'a Next<'a>,
    /// What a GET shows of the registers.
    read: &'a dyn Fn(&Told) -> Vec<u32>,
    target: &'a str,
    initial: Vec<u32>,
}

fn run(what: &str, stage: &Stage, subject: &Subject<'_>) {
    for actor in 1..=*CLIENTS.end() {
        stage.act(actor, &Act::http("GET", "/ServiceProviderConfig", Value::Null));
    }
    let clock = stage.clock.passed();
    stage.snapshot();
    let first = from_environment("HISTORY_SEED", 1);
    let count = from_environment("HISTORIES", HISTORIES);
    let (mut operations, mut unknown) = (0, 0);
    for seed in first..first + count {
        stage.restore(clock);
        let mut history = History::new(seed, stage, subject);
        history.play();
        operations += history.ended;
        unknown += history.unknown;
        history.judge();
    }
    eprintln!("{what}: {count} histories, {operations} operations, {unknown} of unknown outcome");
    assert!(unknown > 0 || count < HISTORIES, "some faults reached the clients");
}

/// A client in the middle of an operation.
struct Going<'a> {
    future: Pin<Box<dyn Future<Output = Told> + 'a>>,
    begin: u32,
    is_read: bool,
    writes: Vec<(usize, u32)>,
}

struct History<'a> {
    seed: u64,
    stage: &'a Stage,
    subject: &'a Subject<'a>,
    chance: StdRng,
    clients: usize,
    events: u32,
    ended: usize,
    unknown: usize,
    /// By register.
    registers: BTreeMap<usize, Vec<Operation>>,
    told: Vec<String>,
}

impl<'a> History<'a> {
    fn new(seed: u64, stage: &'a Stage, subject: &'a Subject<'a>) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let clients = chance.random_range(CLIENTS);
        Self {
            seed,
            stage,
            subject,
            chance,
            clients,
            events: 0,
            ended: 0,
            unknown: 0,
            registers: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    fn event(&mut self) -> u32 {
        self.events += 1;
        self.events
    }

    fn play(&mut self) {
        let planned = self.chance.random_range(OPERATIONS);
        let mut begun = 0;
        let acts: Vec<(Act, Vec<(usize, u32)>)> = (0..planned)
            .map(|number| (self.subject.next)(&mut self.chance, u32::try_from(number).unwrap() + 1))
            .collect();
        let mut going: Vec<Option<Going<'_>>> = Vec::new();
        going.resize_with(self.clients, || None);
        for _ in 0..STEPS_MAX {
            let idle = begun < planned;
            let able: Vec<usize> =
                (0..self.clients).filter(|client| idle || going[*client].is_some()).collect();
            if able.is_empty() {
                self.last_read();
                return;
            }
            let client = able[self.chance.random_range(0..able.len())];
            let wire = &self.stage.actors[client + 1].wire;
            if going[client].is_some() {
                if self.chance.random_range(0..100) < FAULTS_PERCENT {
                    let (fault, when) = SORTS[self.chance.random_range(0..SORTS.len())];
                    wire.release_spoilt(fault, when);
                } else {
                    wire.release();
                }
            } else {
                let (act, writes) = &acts[begun];
                begun += 1;
                wire.hold();
                let seed = self.seed * 1_000 + u64::try_from(begun).unwrap();
                let future = self.stage.acting(client + 1, act, seed);
                let (begin, is_read) = (self.event(), act.is_read());
                self.told.push(format!("{begin}: client {client} begins {act:?}"));
                going[client] = Some(Going { future, begin, is_read, writes: writes.clone() });
            }
            self.go_on(client, &mut going[client]);
        }
        panic!("seed {}: it does not end", self.seed);
    }

    /// Lets a client go on until it waits for a store call or is answered.
    fn go_on(&mut self, client: usize, place: &mut Option<Going<'_>>) {
        let mut cx = Context::from_waker(Waker::noop());
        while self.stage.actors[client + 1].wire.waiting().is_none() {
            let Some(going) = place else { return };
            if let Poll::Ready(told) = going.future.as_mut().poll(&mut cx) {
                let end = self.event();
                self.told.push(format!("{end}: client {client} is told {}", told.status));
                let (begin, is_read) = (going.begin, going.is_read);
                let writes = std::mem::take(&mut going.writes);
                *place = None;
                self.note((begin, end), is_read, writes, &told);
            }
        }
    }

    fn note(
        &mut self,
        (begin, end): (u32, u32),
        is_read: bool,
        writes: Vec<(usize, u32)>,
        told: &Told,
    ) {
        self.ended += 1;
        let is_done = [200, 204].contains(&told.status);
        let seed = self.seed;
        assert!(is_done || told.status == 503, "seed {seed}: {told:?}\n{}", self.told.join("\n"));
        let did: Vec<(usize, Did)> = if is_read && is_done {
            let read = (self.subject.read)(told);
            self.told.push(format!("    it shows {read:?}"));
            read.into_iter().map(Did::Read).enumerate().collect()
        } else if is_done {
            writes.into_iter().map(|(register, value)| (register, Did::Write(value))).collect()
        } else {
            self.unknown += 1;
            writes.into_iter().map(|(register, value)| (register, Did::Maybe(value))).collect()
        };
        for (register, did) in did {
            self.registers.entry(register).or_default().push(Operation { begin, end, did });
        }
    }

    /// What is there at the end, as a client sees it.
    fn last_read(&mut self) {
        let get = Act::http("GET", self.subject.target, Value::Null);
        let told = self.stage.act(0, &get);
        let (begin, end) = (self.event(), self.event());
        self.note((begin, end), true, Vec::new(), &told);
    }

    fn judge(&self) {
        let (seed, told) = (self.seed, self.told.join("\n"));
        for (register, history) in &self.registers {
            assert!(
                is_linearizable(history, self.subject.initial[*register]),
                "HISTORY_SEED={seed}: register {register} did what none could:\n{told}\n{history:#?}"
            );
        }
        let wrong = judge(self.stage, &self.stage.contents());
        assert!(wrong.is_empty(), "HISTORY_SEED={seed}: {wrong:#?}\n{told}");
    }
}
