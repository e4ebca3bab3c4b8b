//! Groups that are among their own members, directly or with groups in between. No request makes such a circle; what wrote
//! past this program did, or a version that did not look. Which membership of it is wrong cannot be guessed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::facts::{Facts, Pair};
use crate::scim::resource::ResourceId;

/// The members of each group that are groups.
type Nested = BTreeMap<ResourceId, BTreeSet<ResourceId>>;

/// Circles that have no group in common, each as its memberships, from the group with the smallest id on: what else goes
/// through these groups shows when they are out of the way.
pub(super) fn circles(facts: &Facts<'_>) -> Vec<Vec<Pair>> {
    let mut nested = Nested::new();
    for pair in facts.members.keys() {
        let swept = facts.work.contains(&pair.group) || facts.work.contains(&pair.member);
        if facts.groups.contains_key(&pair.group)
            && facts.groups.contains_key(&pair.member)
            && !swept
        {
            nested.entry(pair.group).or_default().insert(pair.member);
        }
    }
    prune(&mut nested);
    let mut found = Vec::new();
    let mut starts: Vec<ResourceId> = nested.keys().rev().copied().collect();
    while let Some(start) = starts.pop() {
        let Some(circle) = shortest(&nested, start) else { continue };
        for pair in &circle {
            nested.remove(&pair.group);
        }
        found.push(circle);
    }
    found
}

/// Leaves out, again and again, groups without members that are left: with few circles, hardly anything is.
fn prune(nested: &mut Nested) {
    loop {
        let left: BTreeSet<ResourceId> = nested.keys().copied().collect();
        for members in nested.values_mut() {
            members.retain(|member| left.contains(member));
        }
        nested.retain(|_, members| !members.is_empty());
        if nested.len() == left.len() {
            return;
        }
    }
}

/// The shortest way from a group back to itself.
fn shortest(nested: &Nested, start: ResourceId) -> Option<Vec<Pair>> {
    let mut came_from: BTreeMap<ResourceId, ResourceId> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(group) = open.pop_front() {
        for member in nested.get(&group).into_iter().flatten() {
            if came_from.contains_key(member) {
                continue;
            }
            came_from.insert(*member, group);
            if *member == start {
                return Some(way_back(&came_from, start));
            }
            open.push_back(*member);
        }
    }
    None
}

fn way_back(came_from: &BTreeMap<ResourceId, ResourceId>, start: ResourceId) -> Vec<Pair> {
    let mut circle = Vec::new();
    let mut member = start;
    while let Some(group) = came_from.get(&member).copied() {
        circle.push(Pair { group, member });
        member = group;
        if group == start {
            break;
        }
    }
    circle.reverse();
    circle
}
