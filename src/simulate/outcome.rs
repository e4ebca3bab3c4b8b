//! What is remembered of the answers: links, what the endpoint has taken, escrows, the log.

use std::collections::HashMap;

use super::codes::Failure;
use super::cycle::{Known, KnownGroup, State};
use super::others::RosterJob;
use super::provider::Provider;
use super::report::{Action, Entry, Sort};
use super::source::{Person, Source, Standing};
use super::worker::{Done, GroupJob, Link, Reference, ReferenceJob, UserJob};

pub(super) fn take_user(state: &mut State, cycle: usize, done: Done<UserJob>) {
    let Done { job, link, action, result } = done;
    let known = state.people.entry(job.key.clone()).or_default();
    match link {
        Link::Keep => {}
        Link::Set(id) => {
            known.first.get_or_insert_with(|| id.clone());
            known.link = Some(id);
        }
        Link::Clear => *known = Known::default(),
        Link::Leave => *known = Known { first: known.first.take(), ..Known::default() },
    }
    if result.is_ok() && job.person.standing != Standing::Gone {
        known.synced = Some(job.person.clone());
    }
    let is_synced = known.synced.as_ref() == Some(&job.person);
    let what = Event { cycle, sort: Sort::User, key: job.key, name: job.person.name().to_owned() };
    note(state, what, (action, job.is_on_demand, is_synced), result);
}

pub(super) fn take_group(
    state: &mut State,
    (cycle, provider): (usize, Provider),
    done: Done<GroupJob>,
) {
    let Done { job, link, action, result } = done;
    let known = state.groups.entry(job.key.clone()).or_default();
    match link {
        Link::Keep => {}
        Link::Set(id) => {
            // Whoever was there before it was linked is not known; Entra does not mind.
            let is_found = job.link.is_none() && action != Action::Create;
            known.is_doubtful |= is_found && provider != Provider::Entra;
            known.first.get_or_insert_with(|| id.clone());
            known.link = Some(id);
        }
        Link::Clear | Link::Leave => *known = KnownGroup::default(),
    }
    let with_members = match provider {
        Provider::Entra | Provider::JumpCloud => false,
        Provider::Okta => action == Action::Create,
        Provider::PingOne => action == Action::Update,
    };
    if result.is_err() && with_members {
        known.is_doubtful = true;
    }
    if result.is_ok() && !job.group.is_gone {
        known.synced = Some(job.group.name.clone());
        if with_members {
            known.members = job.members.iter().map(|member| member.id.clone()).collect();
            known.uncertain.clear();
            known.is_doubtful = false;
        }
    }
    let what = Event { cycle, sort: Sort::Group, key: job.key, name: job.group.name };
    note(state, what, (action, false, false), result);
}

/// What people are called, by the endpoint's ids.
pub(super) fn names(state: &State, source: &Source) -> HashMap<String, String> {
    let linked = state.people.iter().filter_map(|(key, known)| {
        Some((known.link.clone()?, source.people.get(key)?.name().to_owned()))
    });
    linked.collect()
}

pub(super) fn take_reference(
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
            if let Some(known) = state.people.get_mut(&job.key) {
                known.is_manager_uncertain = result.is_err();
                if result.is_ok() {
                    known.manager = Some(first.clone());
                }
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
    for id in &job.to {
        if !is_done {
            known.doubt(id);
            continue;
        }
        known.uncertain.remove(id);
        if job.what == Reference::Member {
            known.members.insert(id.clone());
        } else {
            known.members.remove(id);
        }
    }
}

/// The members of a group, all at once.
pub(super) fn take_roster(state: &mut State, cycle: usize, done: Done<RosterJob>) {
    let Done { job, action, result, .. } = done;
    let RosterJob { key, name, roster, is_full, .. } = job;
    if let Some(known) = state.groups.get_mut(&key) {
        if result.is_ok() {
            known.members = roster.all.iter().map(|member| member.id.clone()).collect();
            known.uncertain.clear();
            known.is_doubtful = false;
        } else {
            // Some of it may have been done.
            for id in roster.more.iter().map(|member| &member.id).chain(&roster.less) {
                known.doubt(id);
            }
        }
    }
    let count = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let parts = if is_full {
        vec![format!("all {}", roster.all.len())]
    } else {
        let parts = [count(roster.more.len(), "more"), count(roster.less.len(), "less")];
        parts.into_iter().flatten().collect()
    };
    let name = format!("{name} → {}", parts.join(", "));
    note(state, Event { cycle, sort: Sort::Member, key, name }, (action, false, false), result);
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
pub(super) fn make_good(log: &mut [Entry], (sort, subject): &(Sort, String)) {
    for entry in log {
        if entry.sort == *sort && entry.subject == *subject {
            entry.is_made_good = true;
        }
    }
}
