//! Whether a history of one register is linearizable: whether each operation can have happened at one instant between its
//! begin and its end, so that every read shows what was written last. Exact, by search with memory (Wing and Gong's
//! algorithm with Lowe's memory of what was tried).

use std::collections::HashSet;

/// What an operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Did {
    /// It wrote that value.
    Write(u32),
    /// It wrote that value or did nothing: its client was told to come again.
    Maybe(u32),
    /// It read that value.
    Read(u32),
}

/// One operation of a history: what it did, and between which events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) begin: u32,
    pub(super) end: u32,
    pub(super) did: Did,
}

/// Most operations of one history: they are a set of bits.
const OPERATIONS_MAX: usize = 128;

/// Whether the history is that of one register, which holds `initial` at first.
pub(super) fn is_linearizable(history: &[Operation], initial: u32) -> bool {
    assert!(history.len() <= OPERATIONS_MAX, "a history of {} operations", history.len());
    let all = (0..history.len()).fold(0_u128, |set, index| set | 1 << index);
    let mut tried = HashSet::new();
    let mut open = vec![(0_u128, initial)];
    while let Some((done, value)) = open.pop() {
        if done == all {
            return true;
        }
        if !tried.insert((done, value)) {
            continue;
        }
        let left = || history.iter().enumerate().filter(|(index, _)| done & 1 << index == 0);
        // What begins after another has ended comes after it.
        let first_end = left().map(|(_, operation)| operation.end).min().unwrap_or(u32::MAX);
        for (index, operation) in left().filter(|(_, operation)| operation.begin <= first_end) {
            let done = done | 1 << index;
            match operation.did {
                Did::Write(written) => open.push((done, written)),
                Did::Maybe(written) => open.extend([(done, written), (done, value)]),
                Did::Read(read) if read == value => open.push((done, value)),
                Did::Read(_) => {}
            }
        }
    }
    false
}

#[test]
fn right_histories_are_found_right_and_wrong_ones_wrong() {
    use Did::{Maybe, Read, Write};
    let check = |expected: bool, what: &str, operations: &[(u32, u32, Did)]| {
        let history = operations.iter().map(|(begin, end, did)| Operation {
            begin: *begin,
            end: *end,
            did: *did,
        });
        assert_eq!(is_linearizable(&history.collect::<Vec<_>>(), 0), expected, "{what}");
    };
    check(true, "nothing", &[]);
    check(true, "one after the other", &[(0, 1, Write(1)), (2, 3, Read(1)), (4, 5, Write(0))]);
    check(true, "a read meanwhile, before", &[(0, 3, Write(1)), (1, 2, Read(0))]);
    check(true, "a read meanwhile, after", &[(0, 3, Write(1)), (1, 2, Read(1))]);
    check(true, "two writes at once", &[(0, 3, Write(1)), (1, 2, Write(2)), (4, 5, Read(1))]);
    check(true, "an unknown one was done", &[(0, 1, Maybe(1)), (2, 3, Read(1))]);
    check(true, "an unknown one was not done", &[(0, 1, Maybe(1)), (2, 3, Read(0))]);
    check(false, "a lost write", &[(0, 1, Write(1)), (2, 3, Read(0))]);
    check(false, "a write out of nothing", &[(0, 1, Read(1)), (2, 3, Write(1))]);
    let resurrected = [(0, 1, Write(1)), (2, 3, Write(0)), (4, 5, Read(1))];
    check(false, "a resurrected member", &resurrected);
    let back = [(0, 9, Write(1)), (1, 2, Read(1)), (3, 4, Read(0))];
    check(false, "a read that goes back in time", &back);
    let half = [(0, 1, Maybe(1)), (2, 3, Read(1)), (4, 5, Read(0))];
    check(false, "an unknown one that was done and undone", &half);
    let late = [(0, 1, Maybe(1)), (2, 3, Read(0)), (4, 5, Read(1))];
    check(false, "an unknown one that is done after its end", &late);
    let torn = [(0, 1, Write(1)), (2, 5, Write(2)), (3, 4, Read(2)), (6, 7, Read(1))];
    check(false, "the older of two writes at the end", &torn);
}
