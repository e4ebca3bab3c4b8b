//! Every order of the store calls of two operations that meet; again with either of them cancelled because the other
//! holds its items; again with either of them crashed after each of its writes, repeated, and the scheduled job run.
//!
//! What came of it has to be what one of the two, done after the other, would have been answered and left behind, and
//! everything has to be whole. Orders that differ only in neighbours that touch nothing in common (neither writes what
//! the other reads or writes) are run once: they cannot differ in what they leave. Of pairs of which one takes several
//! transactions some orders are run, chosen by a seed, and a crash comes after some of the writes. `INTERLEAVINGS=all`
//! runs every order that can differ, with a crash after every write, of processes that remember nothing;
//! `INTERLEAVINGS=unreduced` also those that cannot differ, with a crash after every call. Both tell of each pair.

mod between;
mod explorer;
mod pairs;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use explorer::{Choice, Explorer};
use pairs::{First, Pair, groups, large, others, people, settings};
use serde_json::Value;

use crate::stage::{Act, Contents, Setup, Stage, TENANT, Told, judge, now, told_since};

/// Of what went wrong, so much is shown.
const SHOWN_MAX: usize = 8;
/// The token is remembered, and the tenant's activity was noted a moment ago.
const WARM: Duration = Duration::from_secs(30);
/// Store calls of one operation; none makes more.
const CALLS_MAX: usize = 200;

/// How much is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    /// Of what takes long, a part that a seed chooses.
    Part,
    /// Every order that can differ from the others.
    All,
    /// Every order.
    Unreduced,
}

impl Extent {
    fn asked_for() -> Self {
        match std::env::var("INTERLEAVINGS").as_deref() {
            Ok("all") => Self::All,
            Ok("unreduced") => Self::Unreduced,
            Ok(other) => panic!("INTERLEAVINGS is all or unreduced, not {other}"),
            Err(_) => Self::Part,
        }
    }

    fn is_part(self) -> bool {
        self == Self::Part
    }
}

#[test]
fn people_meet_in_every_order() {
    run("people", people());
}

#[test]
fn groups_meet_in_every_order() {
    run("groups", groups());
}

#[test]
fn resources_of_other_types_meet_in_every_order() {
    run("other types", others());
}

#[test]
fn settings_and_tokens_meet_in_every_order() {
    run("settings and tokens", settings());
}

#[test]
fn large_requests_and_sweeps_meet_in_every_order() {
    run("large requests and sweeps", large());
}

fn run(what: &str, pairs: Vec<Pair>) {
    let mut total = Schedules::default();
    let (mut bounded, mut wrong) = (Vec::new(), Vec::new());
    let count = pairs.len();
    for (index, pair) in pairs.into_iter().enumerate() {
        let began = Instant::now();
        let mut meeting = Meeting::new(pair);
        let mut of_pair = Schedules {
            plain: meeting.explore(Mode { conflicts: 0, crash: None }).schedules,
            with_conflict: meeting.explore(Mode { conflicts: 1, crash: None }).schedules,
            with_crash: 0,
        };
        for process in [0, 1] {
            // Where crashes are sampled, each pair begins elsewhere.
            let each = if meeting.extent.is_part() { meeting.pair.crash_each } else { 1 };
            for calls in (1 + index % each..CALLS_MAX).step_by(each) {
                let crash = Some((process, calls));
                let explored = meeting.explore(Mode { conflicts: 0, crash });
                of_pair.with_crash += explored.schedules;
                if explored.crashed == 0 {
                    break;
                }
            }
        }
        if meeting.bounded > 0 {
            bounded.push(format!("{} ({})", meeting.pair.name, meeting.bounded));
        }
        if !meeting.extent.is_part() {
            let (nth, name, seconds) = (index + 1, meeting.pair.name, began.elapsed().as_secs());
            eprintln!("{what} {nth} of {count}, {name}: {of_pair}, {seconds} s");
        }
        total.add(of_pair);
        wrong.append(&mut meeting.wrong);
    }
    eprintln!("{what}: {count} pairs; {total}; explorations sampled: {bounded:?}");
    let first: Vec<String> = wrong.iter().take(SHOWN_MAX).cloned().collect();
    assert!(wrong.is_empty(), "{} things went wrong:\n{}", wrong.len(), first.join("\n"));
}

/// How many were run.
#[derive(Clone, Copy, Debug, Default)]
struct Schedules {
    plain: usize,
    with_conflict: usize,
    with_crash: usize,
}

impl Schedules {
    fn add(&mut self, other: Self) {
        self.plain += other.plain;
        self.with_conflict += other.with_conflict;
        self.with_crash += other.with_crash;
    }
}

impl fmt::Display for Schedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plain, with_conflict, with_crash } = self;
        write!(f, "{plain} schedules, {with_conflict} with a conflict, {with_crash} with a crash")
    }
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
struct Mode {
    /// So many transactions are cancelled because the other process holds some of their items.
    conflicts: usize,
    /// That process is gone after so many of its calls that write.
    crash: Option<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Explored {
    schedules: usize,
    crashed: usize,
}

/// What came of one schedule.
struct Outcome {
    told: [Option<Told>; 2],
    crashed: bool,
    path: Vec<String>,
}

/// Two operations that meet.
struct Meeting {
    pair: Pair,
    stage: Stage,
    before: Contents,
    acts: [Act; 2],
    clock: Duration,
    extent: Extent,
    /// What may come of it: the answers and what is there.
    allowed: BTreeSet<(Vec<String>, String)>,
    /// With a crash of either one: the answers of the other and of the repetition, and what is there.
    allowed_after_crash: [BTreeSet<(Vec<String>, String)>; 2],
    checked: BTreeSet<String>,
    bounded: usize,
    wrong: Vec<String>,
}

/// The chance of each process, and of its repetition.
const SEEDS: [u64; 2] = [11, 12];
const SEEDS_AGAIN: [u64; 2] = [21, 22];

impl Meeting {
    fn new(pair: Pair) -> Self {
        let extent = Extent::asked_for();
        let is_cold = pair.is_cold || !extent.is_part();
        let token_cache = if is_cold { Duration::ZERO } else { WARM };
        let stage = Stage::new(Setup { actors: 3, sdk_attempts: 1, token_cache });
        let acts = (pair.prepare)(&stage);
        for actor in [1, 2] {
            stage.act(actor, &Act::http("GET", "/ServiceProviderConfig", Value::Null));
        }
        let clock = stage.clock.passed();
        let before = stage.snapshot();
        let mut meeting = Self {
            before,
            pair,
            stage,
            acts,
            clock,
            extent,
            allowed: BTreeSet::new(),
            allowed_after_crash: [BTreeSet::new(), BTreeSet::new()],
            checked: BTreeSet::new(),
            bounded: 0,
            wrong: Vec::new(),
        };
        for order in [[0, 1], [1, 0]] {
            let outcome = meeting.in_order(&order.map(|process| (process, SEEDS[process])));
            meeting.allowed.insert(outcome);
        }
        if meeting.pair.first == First::MayBeGivenUp {
            let (_, there) = meeting.in_order(&[(1, SEEDS[1])]);
            let come_again = "503".to_owned();
            meeting.allowed.insert((vec![come_again.clone(), "200".to_owned()], there.clone()));
            meeting.allowed_after_crash[1].insert((vec![come_again, "200".to_owned()], there));
        }
        for one in [0, 1] {
            let other = 1 - one;
            let (first, meets, again) =
                ((one, SEEDS[one]), (other, SEEDS[other]), (one, SEEDS_AGAIN[one]));
            for order in [vec![first, meets, again], vec![meets, first, again], vec![meets, again]]
            {
                let outcome = meeting.in_order_after_crash(&order, one);
                meeting.allowed_after_crash[one].insert(outcome);
            }
        }
        meeting
    }

    /// One after the other: the answers by process, and what is there then.
    fn in_order(&mut self, order: &[(usize, u64)]) -> (Vec<String>, String) {
        self.stage.restore(self.clock);
        let mut answers = vec![String::new(); 2];
        for (process, seed) in order {
            let act = &self.acts[*process];
            let told = now(self.stage.acting(process + 1, act, *seed));
            answers[*process] = in_short(act, &told);
        }
        (answers, self.finished(&[]))
    }

    /// As [`Meeting::in_order`]; the answers are the other's and the repetition's.
    fn in_order_after_crash(
        &mut self,
        order: &[(usize, u64)],
        crashed: usize,
    ) -> (Vec<String>, String) {
        self.stage.restore(self.clock);
        let mut answers = vec![String::new(); 2];
        for (process, seed) in order {
            let act = &self.acts[*process];
            let told = in_short(act, &now(self.stage.acting(process + 1, act, *seed)));
            if *process != crashed {
                answers[0] = told;
            } else if *seed == SEEDS_AGAIN[crashed] {
                answers[1] = told;
            }
        }
        (answers, self.finished(&[]))
    }

    /// Runs the job if there is one, judges, and tells what is there.
    fn finished(&mut self, path: &[String]) -> String {
        let contents = self.stage.contents();
        let mut wrong = judge(&self.stage, &contents);
        let has_job = |keys: BTreeSet<&str>| keys.iter().any(|key| key.starts_with("work#"));
        let mut end = contents;
        if has_job(end.keys(self.stage.tenant.as_str())) {
            let done = self.stage.finish();
            if done.status != 200 {
                wrong.push(format!("the job ends with {done:?}"));
            }
            end = self.stage.contents();
            wrong.extend(judge(&self.stage, &end));
        }
        let text = told_since(&self.before, &end, (TENANT, self.pair.is_counted));
        if self.checked.insert(text.clone()) {
            wrong.extend(self.stage.check());
        }
        let name = self.pair.name;
        let path = path.join("\n    ");
        self.wrong.extend(wrong.into_iter().map(|what| format!("{name}: {what}\n    {path}")));
        text
    }

    fn explore(&mut self, mode: Mode) -> Explored {
        let mut explored = Explored::default();
        let mut explorer = Explorer::new(self.extent != Extent::Unreduced);
        let most = if mode.crash.is_some() { self.pair.after_a_crash } else { self.pair.schedules };
        loop {
            self.once(&mut explorer, mode, &mut explored);
            if !explorer.advance() {
                return explored;
            }
            if self.extent.is_part() && explored.schedules >= most.in_order {
                break;
            }
        }
        self.bounded += 1;
        for seed in 0..most.by_chance {
            explorer.wander(seed);
            self.once(&mut explorer, mode, &mut explored);
        }
        explored
    }

    /// Runs one schedule, and looks at what came of it if it is what the mode is about.
    fn once(&mut self, explorer: &mut Explorer, mode: Mode, explored: &mut Explored) {
        let Some(outcome) = self.schedule(explorer, mode) else { return };
        let counts = match mode.crash {
            None => mode.conflicts == 0 || outcome.path.iter().any(|c| c.contains("cancelled")),
            Some(_) => outcome.crashed,
        };
        if counts {
            explored.schedules += 1;
            explored.crashed += usize::from(outcome.crashed);
            self.look(outcome, mode);
        }
    }

    /// Runs one schedule. `None` when it is one that was run in another order of what does not matter.
    fn schedule(&mut self, explorer: &mut Explorer, mode: Mode) -> Option<Outcome> {
        self.stage.restore(self.clock);
        if self.extent.is_part() {
            // What is counted and noted once a minute would come in one schedule and not in the next.
            self.stage.refresh();
        } else {
            self.stage.recycle();
        }
        let stage = &self.stage;
        let mut futures: [Option<Pin<Box<dyn Future<Output = Told> + '_>>>; 2] =
            [0, 1].map(|process| {
                stage.actors[process + 1].wire.hold();
                Some(stage.acting(process + 1, &self.acts[process], SEEDS[process]))
            });
        let mut outcome = Outcome { told: [None, None], crashed: false, path: Vec::new() };
        let (mut calls, mut conflicts) = ([0, 0], mode.conflicts);
        loop {
            for process in [0, 1] {
                poll(&mut futures[process], &mut outcome.told[process], || {
                    stage.actors[process + 1].wire.waiting().is_some()
                });
            }
            let choices = choices(stage, futures.each_ref().map(Option::is_some), conflicts > 0);
            if choices.is_empty() {
                break;
            }
            let choice = explorer.next(choices)?;
            let wire = &stage.actors[choice.process + 1].wire;
            let call = wire.waiting().expect("a call waits");
            let does = if choice.is_cancelled { "cancelled" } else { "done" };
            outcome.path.push(format!("{} {does}: {}", choice.process, call.describe()));
            if choice.is_cancelled {
                let other = stage.actors[2 - choice.process].wire.waiting();
                wire.cancel(&other.expect("the other one waits").named());
                conflicts -= 1;
            } else {
                wire.release();
            }
            // A crash after a read leaves what a crash before it leaves.
            let counts = self.extent == Extent::Unreduced || call.is_write();
            calls[choice.process] += usize::from(counts);
            if mode.crash == Some((choice.process, calls[choice.process])) {
                futures[choice.process] = None;
                outcome.crashed = true;
            }
        }
        for actor in &stage.actors {
            actor.wire.heal();
        }
        Some(outcome)
    }

    fn look(&mut self, mut outcome: Outcome, mode: Mode) {
        let mut answers = vec![String::new(); 2];
        let allowed = if let Some((crashed, calls)) = mode.crash {
            outcome.path.push(format!("{crashed} crashed after {calls} calls"));
            let other = outcome.told[1 - crashed].as_ref().expect("the other one ends");
            answers[0] = in_short(&self.acts[1 - crashed], other);
            let act = &self.acts[crashed];
            let again = now(self.stage.acting(crashed + 1, act, SEEDS_AGAIN[crashed]));
            answers[1] = in_short(act, &again);
            self.allowed_after_crash[crashed].clone()
        } else {
            for process in [0, 1] {
                let told = outcome.told[process].as_ref().expect("it ends");
                answers[process] = in_short(&self.acts[process], told);
            }
            self.allowed.clone()
        };
        let text = self.finished(&outcome.path);
        let is_part = self.pair.first == First::MayStayAPart
            && mode.crash.is_some_and(|(crashed, _)| crashed == 0);
        let is_allowed = |(told, there): &(Vec<String>, String)| {
            *told == answers && (*there == text || is_part && is_a_part(&text, there))
        };
        if !allowed.iter().any(is_allowed) {
            let near = allowed.iter().map(|(answers, there)| {
                let there: BTreeSet<&str> = there.lines().collect();
                let text: BTreeSet<&str> = text.lines().collect();
                let more: Vec<_> = text.difference(&there).collect();
                let less: Vec<_> = there.difference(&text).collect();
                format!("    not {answers:?}: {more:#?} instead of {less:#?}")
            });
            let near: Vec<String> = near.collect();
            let (name, path) = (self.pair.name, outcome.path.join("\n    "));
            let wrong = format!("{name}: {answers:?}\n    {path}\n{}", near.join("\n"));
            self.wrong.push(wrong);
        }
    }
}

/// Whether the one is the other without some memberships.
fn is_a_part(text: &str, whole: &str) -> bool {
    let text: BTreeSet<&str> = text.lines().collect();
    let whole: BTreeSet<&str> = whole.lines().collect();
    let is_membership =
        |line: &&&str| line.split(' ').nth(1).is_some_and(|key| key.starts_with("member"));
    text.is_subset(&whole) && whole.difference(&text).all(|line| is_membership(&line))
}

/// What can happen next.
fn choices(stage: &Stage, alive: [bool; 2], conflicts: bool) -> Vec<Choice> {
    let waiting =
        [0, 1].map(
            |process: usize| {
                if alive[process] { stage.actors[process + 1].wire.waiting() } else { None }
            },
        );
    let mut choices = Vec::new();
    for (process, call) in waiting.iter().enumerate() {
        if let Some(call) = call {
            let footprint = call.footprint();
            choices.push(Choice { process, is_cancelled: false, footprint });
        }
    }
    if let (true, [Some(one), Some(other)]) = (conflicts, &waiting)
        && one.is_transaction()
        && other.is_transaction()
    {
        let held = other.named();
        if one.named().iter().any(|item| held.contains(item)) {
            for process in [0, 1] {
                let footprint = one.footprint();
                choices.push(Choice { process, is_cancelled: true, footprint });
            }
        }
    }
    choices
}

/// Lets a process go on until it has ended or waits for a store call.
fn poll(
    future: &mut Option<Pin<Box<dyn Future<Output = Told> + '_>>>,
    told: &mut Option<Told>,
    waits: impl Fn() -> bool,
) {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..CALLS_MAX {
        let Some(going) = future else { return };
        if waits() {
            return;
        }
        if let std::task::Poll::Ready(answer) = going.as_mut().poll(&mut cx) {
            *told = Some(answer);
            *future = None;
        }
    }
    panic!("it waits for something that never comes");
}

/// An answer: of a read what it shows, of a write its status.
fn in_short(act: &Act, told: &Told) -> String {
    if act.is_read() { format!("{} {}", told.status, told.body) } else { told.status.to_string() }
}
