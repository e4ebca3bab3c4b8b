//! Cycles of the identity provider, recognised in what it has asked for: pure.
//!
//! Slots of ten minutes that follow each other are one cycle; an empty one ends it. So what happens within ten minutes
//! of a cycle is taken for a part of it, and cycles without a pause between them are one.

use std::time::Duration;

use crate::limits::TRAFFIC_SLOT;
use crate::moment::Timestamp;
use crate::store::traffic::{Slot, Sums};

/// So many people of a hundred were looked at, for a cycle to be one over all.
const FULL_PERCENT: u64 = 80;

/// With so few people, a cycle says little of what it is.
const FEW_PEOPLE: u64 = 5;

/// Gaps between cycles that make a rhythm.
const RHYTHM_GAPS_MIN: usize = 2;

/// What sort of cycle it is, as far as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycleKind {
    /// The connection was tested, before anybody was looked at.
    Test,
    /// Everybody was looked at for the first time.
    Initial,
    /// Everybody was looked at again: a restart, or mappings or scope have changed.
    Full,
    /// What has changed since the last one.
    Incremental,
    /// Few people, out of the rhythm: somebody has probably provisioned them on demand.
    OnDemand,
}

impl CycleKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Initial => "initial",
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::OnDemand => "on demand",
        }
    }

    /// Whether it looked at everybody.
    pub fn is_full(self) -> bool {
        matches!(self, Self::Initial | Self::Full)
    }
}

/// One cycle. All numbers are "about".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// What sort.
    pub kind: CycleKind,
    /// The beginning of its first ten minutes.
    pub start: Timestamp,
    /// The end of its last ten minutes.
    pub end: Timestamp,
    /// What it asked for.
    pub sums: Sums,
    /// Whether it may be going on.
    pub is_open: bool,
}

impl Cycle {
    /// What it is, in a sentence.
    pub fn sentence(&self) -> &'static str {
        let nothing =
            self.sums.people_seen() == 0 && self.sums.groups == 0 && self.sums.writes().0 == 0;
        match self.kind {
            CycleKind::Test => "The connection was tested; nobody was looked at.",
            CycleKind::Initial => "An initial cycle: everybody was looked at for the first time.",
            CycleKind::Full => {
                "A full cycle: everybody was looked at again, as after a restart or a change of mappings or scope."
            }
            CycleKind::Incremental if nothing => "An incremental cycle: nothing had changed.",
            CycleKind::Incremental => "An incremental cycle: what had changed was looked at.",
            CycleKind::OnDemand => {
                "Probably on demand: few people, without the probe of a cycle or out of its rhythm."
            }
        }
    }
}

/// What else is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Now.
    pub now: Timestamp,
    /// People in the directory.
    pub users: u64,
    /// Whether the slots go back to the tenant's beginning.
    pub is_from_the_beginning: bool,
}

/// The cycles in slots, in order of time.
pub fn cycles(slots: &[Slot], known: &Known) -> Vec<Cycle> {
    let joined = join(slots);
    let starts: Vec<Timestamp> = joined.iter().map(|(start, ..)| *start).collect();
    let rhythm = rhythm_of(&starts);
    let mut cycles: Vec<Cycle> = Vec::with_capacity(joined.len());
    let mut had_people = !known.is_from_the_beginning;
    for (start, last, sums) in joined {
        let before = cycles.iter().rev().find(|cycle| cycle.kind != CycleKind::OnDemand);
        let gap = before.map(|before| start.since(before.start));
        // Clearly too early, and not only by the length of a slot.
        let is_off_beat = gap.zip(rhythm).is_some_and(|(gap, rhythm)| gap * 4 < rhythm * 3);
        let kind = kind(&sums, known, (had_people, is_off_beat));
        had_people |= !matches!(kind, CycleKind::Test | CycleKind::OnDemand);
        let end = last.plus(TRAFFIC_SLOT);
        let is_open = known.now < end.plus(TRAFFIC_SLOT);
        cycles.push(Cycle { kind, start, end, sums, is_open });
    }
    cycles
}

/// Slots that follow each other, put together: the first, the last, the sums.
fn join(slots: &[Slot]) -> Vec<(Timestamp, Timestamp, Sums)> {
    let mut joined: Vec<(Timestamp, Timestamp, Sums)> = Vec::new();
    for slot in slots {
        match joined.last_mut() {
            Some((_, last, sums)) if slot.start.since(*last) <= TRAFFIC_SLOT => {
                *last = slot.start;
                *sums = sums.plus(&slot.sums);
            }
            Some(_) | None => joined.push((slot.start, slot.start, slot.sums)),
        }
    }
    joined
}

fn kind(sums: &Sums, known: &Known, (had_people, is_off_beat): (bool, bool)) -> CycleKind {
    let (writes, _) = sums.writes();
    let people = sums.people_seen();
    let asked = people + sums.groups + writes;
    let is_few = people <= FEW_PEOPLE && writes <= FEW_PEOPLE;
    if asked > 0 && is_few && (sums.probes == 0 || (had_people && is_off_beat)) {
        return CycleKind::OnDemand;
    }
    if !had_people {
        return if asked == 0 { CycleKind::Test } else { CycleKind::Initial };
    }
    let looked_at_all = people > FEW_PEOPLE
        && people.saturating_mul(100) >= known.users.saturating_mul(FULL_PERCENT);
    match looked_at_all {
        // Most of them were not there before.
        true if sums.posts.saturating_mul(2) >= people => CycleKind::Initial,
        true => CycleKind::Full,
        false => CycleKind::Incremental,
    }
}

/// How long it usually is from one cycle to the next; `None` before there are three.
pub fn rhythm(cycles: &[Cycle]) -> Option<Duration> {
    let starts = cycles.iter().filter(|cycle| cycle.kind != CycleKind::OnDemand);
    rhythm_of(&starts.map(|cycle| cycle.start).collect::<Vec<_>>())
}

/// The beginnings of the first and the last slot of each stretch of slots that follow each other.
pub fn contacts(slots: &[Slot]) -> Vec<(Timestamp, Timestamp)> {
    join(slots).into_iter().map(|(start, last, _)| (start, last)).collect()
}

/// The median of the gaps; `None` before there are two.
pub fn rhythm_of(starts: &[Timestamp]) -> Option<Duration> {
    let pairs = starts.iter().zip(starts.iter().skip(1));
    let mut gaps: Vec<Duration> = pairs.map(|(before, after)| after.since(*before)).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().filter(|_| gaps.len() >= RHYTHM_GAPS_MIN)
}

/// The last cycle over everybody that has ended.
pub fn last_full(cycles: &[Cycle]) -> Option<&Cycle> {
    cycles.iter().rev().find(|cycle| cycle.kind.is_full() && !cycle.is_open)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// People, probes, POSTs and PATCHes by the minute at which their slot begins.
    fn check(users: u64, slots: &[(i64, [u64; 4])], expected: &Expect) {
        let base = Timestamp::parse("2026-11-21T08:00:00Z").unwrap();
        let slot = |(minute, [people, probes, posts, patches]): &(i64, [u64; 4])| Slot {
            start: base.plus_seconds(minute * 60),
            sums: Sums {
                people: *people,
                probes: *probes,
                posts: *posts,
                patches: *patches,
                ..Sums::default()
            },
        };
        let slots: Vec<Slot> = slots.iter().map(slot).collect();
        let now = base.plus_seconds(600 * 60);
        let known = Known { now, users, is_from_the_beginning: true };
        let lines = cycles(&slots, &known).into_iter().map(|cycle| {
            let (from, to) = (cycle.start.since(base), cycle.end.since(base));
            let (from, to) = (from.as_secs() / 60, to.as_secs() / 60);
            let open = if cycle.is_open { ", open" } else { "" };
            format!("{from}-{to} {} of {}{open}\n", cycle.kind.word(), cycle.sums.people)
        });
        expected.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn a_life_is_told_as_it_was() {
        check(
            40,
            &[
                (0, [0, 3, 0, 0]),
                (60, [20, 2, 20, 0]),
                (70, [20, 0, 20, 5]),
                (100, [0, 2, 0, 0]),
                (140, [7, 2, 1, 6]),
                (180, [9, 2, 0, 6]),
                (220, [40, 2, 0, 0]),
                (590, [3, 2, 0, 1]),
            ],
            &expect![[r#"
                0-10 test of 0
                60-80 initial of 40
                100-110 incremental of 0
                140-150 incremental of 7
                180-190 incremental of 9
                220-230 full of 40
                590-600 incremental of 3, open
            "#]],
        );
    }

    #[test]
    fn somebody_on_demand_before_and_between_cycles_is_told_apart() {
        check(
            30,
            &[
                (0, [1, 0, 1, 0]),
                (30, [30, 2, 29, 1]),
                (70, [6, 2, 0, 6]),
                (110, [6, 2, 0, 6]),
                // With a probe, but halfway between two cycles.
                (130, [1, 1, 0, 1]),
                (150, [6, 2, 0, 6]),
            ],
            &expect![[r#"
                0-10 on demand of 1
                30-40 initial of 30
                70-80 incremental of 6
                110-120 incremental of 6
                130-140 on demand of 1
                150-160 incremental of 6
            "#]],
        );
    }

    #[test]
    fn a_gap_ends_a_cycle_and_small_directories_are_not_full_again() {
        check(
            4,
            &[(0, [4, 2, 4, 0]), (30, [4, 2, 0, 0]), (60, [4, 2, 0, 1])],
            &expect![[r#"
                0-10 initial of 4
                30-40 incremental of 4
                60-70 incremental of 4
            "#]],
        );
    }
}
