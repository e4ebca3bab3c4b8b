//! Depth-first over all choices, each schedule run from its beginning. With sleep sets: a choice that was tried, and that
//! has met nothing since, is not tried again, because it would only swap neighbours that do not touch each other. Where
//! that is too much, it wanders: each choice by a seed.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::stage::Footprint;

/// One step that a schedule can take.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) process: usize,
    /// Its transaction is cancelled instead of done.
    pub(super) is_cancelled: bool,
    pub(super) footprint: Footprint,
}

impl Choice {
    fn is(&self, other: &Self) -> bool {
        (self.process, self.is_cancelled) == (other.process, other.is_cancelled)
    }

    fn meets(&self, other: &Self) -> bool {
        self.process == other.process
            || self.is_cancelled
            || other.is_cancelled
            || self.footprint.meets(&other.footprint)
    }
}

struct Node {
    choices: Vec<Choice>,
    taken: usize,
    /// What was tried here, and what need not be.
    asleep: Vec<Choice>,
}

/// Where the exploration is.
pub(super) struct Explorer {
    stack: Vec<Node>,
    depth: usize,
    is_reduced: bool,
    wanders: Option<StdRng>,
}

impl Explorer {
    /// Reduced, it leaves out what cannot differ.
    pub(super) fn new(is_reduced: bool) -> Self {
        Self { stack: Vec::new(), depth: 0, is_reduced, wanders: None }
    }

    /// From now on chance decides.
    pub(super) fn wander(&mut self, seed: u64) {
        self.wanders = Some(StdRng::seed_from_u64(seed));
    }

    /// What this schedule does next; `None` when all that it could do was done in another order.
    pub(super) fn next(&mut self, choices: Vec<Choice>) -> Option<Choice> {
        if let Some(chance) = &mut self.wanders {
            return choices.get(chance.random_range(0..choices.len())).cloned();
        }
        if self.depth == self.stack.len() {
            let asleep = match self.stack.last() {
                Some(parent) if self.is_reduced => {
                    let taken = &parent.choices[parent.taken];
                    parent.asleep.iter().filter(|choice| !choice.meets(taken)).cloned().collect()
                }
                _ => Vec::new(),
            };
            let taken = awake(&choices, &asleep, 0)?;
            self.stack.push(Node { choices, taken, asleep });
        } else {
            let before = &self.stack[self.depth].choices;
            let is_same = choices.len() == before.len()
                && choices.iter().zip(before).all(|(choice, before)| choice.is(before));
            assert!(is_same, "a schedule can be repeated");
        }
        let node = &self.stack[self.depth];
        self.depth += 1;
        Some(node.choices[node.taken].clone())
    }

    /// Goes to the next schedule; false when there is none.
    pub(super) fn advance(&mut self) -> bool {
        self.depth = 0;
        while let Some(node) = self.stack.last_mut() {
            let tried = node.choices[node.taken].clone();
            node.asleep.push(tried);
            if let Some(next) = awake(&node.choices, &node.asleep, node.taken + 1) {
                node.taken = next;
                return true;
            }
            self.stack.pop();
        }
        false
    }
}

fn awake(choices: &[Choice], asleep: &[Choice], from: usize) -> Option<usize> {
    let is_awake = |choice: &Choice| !asleep.iter().any(|other| other.is(choice));
    (from..choices.len()).find(|index| is_awake(&choices[*index]))
}
