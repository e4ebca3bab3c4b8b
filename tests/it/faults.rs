//! A fault in the middle of every single store call of every operation: before the call's effect, and after it, with the
//! answer lost. A request that fits one transaction leaves the state before or the state after; a larger one leaves
//! whole pairs and a job; nobody is told a falsehood; the repetition, and the scheduled job, end where a run without
//! faults ends; the journal has one item for each write that was accepted.
//!
//! The SDK makes one attempt here, so that each fault reaches us: with the three of a deployment, one fault is as three in
//! a row. `FAULTS=all` runs each sort of fault on each operation; otherwise sorts that we cannot tell apart share.

mod brake;
mod operations;

use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) use operations::interrupted;
use operations::{Operation, of_another_type, operators, reads, requests, with_many};

use crate::stage::{
    Act, Call, Contents, FOR_EVER, Fault, Plan, Setup, Stage, TENANT, Told, When, judge, now,
    told_since,
};

/// A way in which calls go wrong: the fault, when, how often in a row, and what all calls after these are told.
type Sort = (Fault, When, usize, Option<Fault>);

/// Those that reach us in different ways. Large requests meet the first ones only when not all are asked for.
const SORTS: [Sort; 8] = [
    (Fault::INTERNAL, When::After, FOR_EVER, None),
    (Fault::EXPIRED, When::Before, FOR_EVER, None),
    (Fault::EmptyPage, When::Before, 1, None),
    (Fault::Reset, When::After, 1, None),
    (Fault::Unprocessed, When::Before, 1, None),
    (Fault::Conflict, When::Before, 1, None),
    (Fault::INTERNAL, When::Before, 1, None),
    (Fault::THROTTLED, When::Before, FOR_EVER, None),
];

/// With so many of them large requests are run when not all are asked for.
const SORTS_OF_LARGE: usize = 3;

/// Those that are the same to us as one above, or nearly. When not all are asked for, each operation meets some of them.
const OTHER_SORTS: [Sort; 28] = [
    (Fault::Reset, When::After, 1, Some(Fault::EXPIRED)),
    (Fault::Mixed, When::Before, 1, None),
    (Fault::TimedOut, When::After, 1, None),
    (Fault::Html(200), When::After, 1, None),
    (Fault::SaidOfTransaction("TransactionInProgressException"), When::Before, 1, None),
    (Fault::SaidOfTransaction("IdempotentParameterMismatchException"), When::Before, 1, None),
    (Fault::Said(400, "AccessDeniedException"), When::Before, FOR_EVER, None),
    (Fault::THROTTLED, When::Before, 3, None),
    (Fault::Condition, When::Before, 1, None),
    (Fault::TimedOut, When::After, FOR_EVER, None),
    (Fault::Mixed, When::Before, FOR_EVER, None),
    (Fault::Truncated, When::After, 1, None),
    (Fault::Said(400, "ResourceNotFoundException"), When::Before, 1, None),
    (Fault::Html(503), When::Before, 1, None),
    (Fault::Conflict, When::Before, FOR_EVER, None),
    (Fault::Said(400, "ThrottlingException"), When::Before, 3, None),
    (Fault::Truncated, When::After, FOR_EVER, None),
    (Fault::TimedOut, When::Before, 3, None),
    (Fault::Unprocessed, When::Before, FOR_EVER, None),
    (Fault::EXPIRED, When::Before, 1, None),
    (Fault::Said(400, "RequestLimitExceeded"), When::Before, 1, None),
    (Fault::Said(503, "ServiceUnavailable"), When::After, 1, None),
    (Fault::Reset, When::Before, 1, None),
    (Fault::Reset, When::Before, FOR_EVER, None),
    (Fault::INTERNAL, When::After, 1, None),
    (Fault::INTERNAL, When::After, 3, Some(Fault::THROTTLED)),
    (Fault::Said(400, "InvalidSignatureException"), When::Before, 1, None),
    (Fault::THROTTLED, When::Before, 1, None),
];

/// So many of them each operation meets when not all are asked for; a large one meets one.
const OTHERS_AT_ONCE: usize = 2;

/// Of what went wrong, so much is shown.
const SHOWN_MAX: usize = 12;

fn is_asked_for_all() -> bool {
    std::env::var("FAULTS").is_ok_and(|asked| asked == "all")
}

#[test]
fn a_fault_in_any_store_call_of_a_small_request_is_before_or_after_it() {
    run("small requests", requests());
}

#[test]
fn a_fault_in_any_store_call_of_a_request_for_another_type_is_before_or_after_it() {
    run("requests for another type", of_another_type());
}

#[test]
fn a_fault_in_any_store_call_of_a_read_is_a_503_or_nothing() {
    run("reads", reads());
}

#[test]
fn a_fault_in_any_store_call_of_a_large_request_leaves_whole_pairs_and_a_job() {
    run("large requests", with_many());
}

#[test]
fn a_fault_in_any_store_call_of_an_operators_command_is_before_or_after_it() {
    run("operators' commands", operators());
}

#[test]
fn a_fault_in_any_store_call_of_a_write_under_the_brake_is_before_or_after_it() {
    run("writes under the brake", brake::writes());
}

#[test]
fn a_fault_in_any_store_call_of_a_large_write_under_the_brake_loses_nothing() {
    run("large writes under the brake", brake::large_writes());
}

#[test]
fn a_fault_in_any_store_call_of_a_release_or_a_rejection_loses_doubles_and_disorders_nothing() {
    run("releases and rejections", brake::settlements());
}

fn run(what: &str, operations: Vec<Operation>) {
    let (mut runs, mut states) = (0, 0);
    let count = operations.len();
    let all = is_asked_for_all();
    let mut wrong = Vec::new();
    for (index, operation) in operations.into_iter().enumerate() {
        let mut matrix = Matrix::new(&operation);
        for (turn, sort) in SORTS.into_iter().chain(OTHER_SORTS).enumerate() {
            if all || matrix.meets(turn, index) {
                matrix.each_call(sort);
            }
        }
        runs += matrix.runs;
        states += matrix.checked.len();
        wrong.append(&mut matrix.wrong);
    }
    eprintln!("{what}: {count} operations, {runs} runs with a fault, {states} states checked");
    assert!(runs > 50, "faults were injected");
    let first: Vec<String> = wrong.iter().take(SHOWN_MAX).cloned().collect();
    assert!(wrong.is_empty(), "{} things went wrong:\n{}", wrong.len(), first.join("\n"));
}

/// One operation under all faults.
struct Matrix {
    stage: Stage,
    name: &'static str,
    act: Act,
    /// It fits one transaction.
    is_atomic: bool,
    /// Repeating it after it was done changes nothing more.
    is_idempotent: bool,
    clock: Duration,
    before: Contents,
    told_before: String,
    clean: Told,
    /// What it calls when nothing goes wrong.
    calls: Vec<Call>,
    told_after: String,
    told_end: String,
    /// What is there when it was done twice, where that makes one more.
    told_twice: Option<String>,
    checked: BTreeSet<String>,
    runs: usize,
    wrong: Vec<String>,
}

impl Matrix {
    fn new(operation: &Operation) -> Self {
        let mut stage =
            Stage::new(Setup { actors: 1, sdk_attempts: 1, token_cache: Duration::ZERO });
        let act = (operation.prepare)(&stage);
        stage.actors[0].wire.heal();
        let clock = stage.clock.passed();
        let before = stage.snapshot();
        stage.recycle();
        stage.actors[0].wire.note();
        let clean = now(stage.acting(0, &act, 7));
        let calls = stage.actors[0].wire.noted();
        let (name, tenant) = (operation.name, TENANT);
        assert_eq!(clean.status, operation.status, "{name}: {clean:?}");
        let after = stage.contents();
        let jobs = job_keys(&stage, &after);
        assert!(jobs.is_empty(), "{name}: {jobs:?}");
        brake::expect_form(operation.form, &stage, (&before, &after));
        assert_eq!(judge(&stage, &after), Vec::<String>::new(), "{name}");
        let told_twice = operation.makes_another.then(|| {
            let again = now(stage.acting(0, &act, 8));
            assert_eq!(again.status, operation.status, "{name}: {again:?}");
            told_since(&before, &stage.contents(), (tenant, false))
        });
        Self {
            name,
            is_atomic: operation.is_atomic,
            is_idempotent: operation.is_idempotent,
            clock,
            told_before: told_since(&before, &before, (tenant, true)),
            told_after: told_since(&before, &after, (tenant, true)),
            told_end: told_since(&before, &after, (tenant, false)),
            told_twice,
            before,
            clean,
            calls,
            checked: BTreeSet::new(),
            runs: 0,
            wrong: Vec::new(),
            act,
            stage,
        }
    }

    /// Whether it meets the sort of that turn when not all are asked for: most of those that reach us in different ways, and
    /// in turn some of the others.
    fn meets(&self, turn: usize, index: usize) -> bool {
        let Some(turn) = turn.checked_sub(SORTS.len()) else {
            // A read changes nothing, and what is large is slow and has transactions that go wrong as a small one's do.
            let is_next = (turn + index).is_multiple_of(2);
            return if self.is_atomic {
                !self.act.is_read() || is_next
            } else {
                turn < SORTS_OF_LARGE
            };
        };
        let at_once = if self.is_atomic { OTHERS_AT_ONCE } else { 1 };
        let begin = index * at_once % OTHER_SORTS.len();
        (begin..begin + at_once).contains(&turn)
    }

    /// Up to the call that goes wrong everything is as in the run without faults, so that run's calls are all there are.
    fn each_call(&mut self, (fault, when, times, then): Sort) {
        if self.act.is_read() && when == When::After && fault != Fault::Truncated && then.is_none()
        {
            // It has no effect that could be lost.
            return;
        }
        for call in 0..self.calls.len() {
            if !fault.applies(&self.calls[call]) {
                continue;
            }
            let plan = Plan { call, times, fault, when, then };
            self.stage.restore(self.clock);
            self.stage.recycle();
            self.stage.actors[0].wire.spoil_by(plan);
            let answer = now(self.stage.acting(0, &self.act, 7));
            let name = self.name;
            assert!(self.stage.actors[0].wire.fired() > 0, "{name} with {plan:?}: nothing");
            self.runs += 1;
            let wrong = self.look(plan, &answer);
            let told = wrong.into_iter().map(|what| format!("{name} with {plan:?}: {what}"));
            self.wrong.extend(told);
        }
    }

    /// What is wrong after a run with a fault, its repetition, and the scheduled job.
    fn look(&mut self, plan: Plan, answer: &Told) -> Vec<String> {
        let mut wrong = Vec::new();
        let tenant = TENANT;
        self.stage.actors[0].wire.heal();
        let between = self.stage.contents();
        let told_between = told_since(&self.before, &between, (tenant, true));
        let done = answer.status == self.clean.status;
        // What does not go away by itself may be told as such, as long as nothing was changed.
        // So is what stops an operator's command half-way: what it has settled stays settled.
        let may_stop = matches!(self.act, Act::Settle(..));
        let is_lost = is_our_fault(plan) && (may_stop || told_between == self.told_before);
        let is_honest = [429, 503].contains(&answer.status) || (is_lost && answer.status == 500);
        if !done && !is_honest {
            wrong.push(format!("answered {answer:?}"));
        }
        let is_http = matches!(self.act, Act::Http { .. });
        if is_http && answer.status == 503 && !waits(answer) {
            wrong.push("it does not say when to come again".to_owned());
        }
        if done && self.act.is_read() && answer.body != self.clean.body {
            wrong.push(format!("it shows {} instead of {}", answer.body, self.clean.body));
        }
        if self.is_atomic {
            let is_after = told_between == self.told_after;
            if !is_after && (done || told_between != self.told_before) {
                wrong.push(format!("answered {}, and there is {told_between}", answer.status));
            }
        }
        wrong.extend(judge(&self.stage, &between));
        let was_done = told_between != self.told_before;
        if may_stop && self.checked.insert(told_between) {
            wrong.extend(self.stage.check());
        }
        let again = now(self.stage.acting(0, &self.act, 8));
        let allowed = match self.act {
            Act::Http { method: "POST", .. } | Act::CreateTenant(_) => 409,
            Act::Http { method: "DELETE", .. } => 404,
            Act::Http { .. }
            | Act::Link { .. }
            | Act::Disable
            | Act::Issue(_)
            | Act::Revoke(_)
            | Act::Settle(..)
            | Act::Job
            | Act::LateJob => self.clean.status,
        };
        if again.status != self.clean.status && again.status != allowed {
            wrong.push(format!("the repetition was answered {again:?}"));
        }
        let mut end = self.stage.contents();
        if !job_keys(&self.stage, &end).is_empty() {
            let done = self.stage.finish();
            if done.status != 200 {
                wrong.push(format!("the job ends with {done:?}"));
            }
            end = self.stage.contents();
        }
        let jobs = job_keys(&self.stage, &end);
        if !jobs.is_empty() {
            wrong.push(format!("jobs are left: {jobs:?}"));
        }
        wrong.extend(judge(&self.stage, &end));
        let counted = self.is_atomic && self.is_idempotent;
        let told_end = told_since(&self.before, &end, (tenant, counted));
        let twice = self.told_twice.as_ref().filter(|_| was_done);
        let wanted = twice.unwrap_or(if counted { &self.told_after } else { &self.told_end });
        if told_end != *wanted {
            wrong.push(format!("the end is {told_end}\ninstead of {wanted}"));
        }
        if self.checked.insert(told_end) {
            wrong.extend(self.stage.check());
        }
        wrong
    }
}

/// Whether a plan says what no repetition mends: rights, credentials, a missing table, or a mistake of ours.
fn is_our_fault(plan: Plan) -> bool {
    let is_ours = |fault| {
        if let Fault::Said(400, code) = fault {
            return !code.contains("Thr") && !code.contains("Limit");
        }
        fault == Fault::SaidOfTransaction("IdempotentParameterMismatchException")
    };
    is_ours(plan.fault) || plan.then.is_some_and(is_ours)
}

fn waits(answer: &Told) -> bool {
    let seconds = answer.retry_after.as_ref().and_then(|after| after.parse::<u64>().ok());
    seconds.is_some_and(|seconds| seconds > 0)
}

fn job_keys(stage: &Stage, contents: &Contents) -> Vec<String> {
    let keys = contents.keys(stage.tenant.as_str()).into_iter();
    keys.filter(|key| key.starts_with("work#")).map(ToOwned::to_owned).collect()
}
