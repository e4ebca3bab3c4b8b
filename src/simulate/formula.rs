//! How many requests a cycle has to make, worked out from the source alone: what Microsoft documents for each situation,
//! times how often it occurs. A cycle without failures that makes more or fewer is wrong, either here or there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::call::Kind;
use super::source::{Person, Source, Standing};

/// What has been provisioned so far, if everything went well.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    people: HashMap<String, Person>,
    managers: HashMap<String, String>,
    groups: HashMap<String, String>,
    members: HashMap<String, BTreeSet<String>>,
}

impl Ledger {
    /// The requests that lead from here to the source; from now on it is there.
    pub(super) fn advance(&mut self, source: &Source) -> BTreeMap<Kind, usize> {
        let mut needed = BTreeMap::from([(Kind::Probe, 2)]);
        let mut need = |kind, count: usize| {
            if count > 0 {
                *needed.entry(kind).or_insert(0) += count;
            }
        };
        for (key, person) in &source.people {
            match (self.people.get(key), person.standing) {
                (Some(_), Standing::Gone) => {
                    need(Kind::DeleteUser, 1);
                    self.people.remove(key);
                    self.managers.remove(key);
                }
                (None, Standing::Active) => {
                    need(Kind::MatchUser, 1);
                    need(Kind::CreateUser, 1);
                    self.people.insert(key.clone(), person.clone());
                }
                (None, _) => {}
                (Some(before), _) => {
                    let is_same = before.standing == person.standing
                        && before.attributes == person.attributes;
                    if !is_same {
                        need(Kind::ReadUser, 1);
                        need(Kind::UpdateUser, 1);
                    }
                    self.people.insert(key.clone(), person.clone());
                }
            }
        }
        for (key, person) in source.people.iter().filter(|(_, person)| person.is_active()) {
            let Some(manager) = &person.manager else { continue };
            if self.people.contains_key(manager) && self.managers.get(key) != Some(manager) {
                need(Kind::CheckManager, 1);
                need(Kind::SetManager, 1);
                self.managers.insert(key.clone(), manager.clone());
            }
        }
        for (key, group) in &source.groups {
            let before = self.groups.get(key);
            if group.is_gone {
                need(Kind::DeleteGroup, usize::from(before.is_some()));
                self.groups.remove(key);
                self.members.remove(key);
                continue;
            }
            let members: BTreeSet<String> = group
                .members
                .iter()
                .filter(|key| self.people.contains_key(*key))
                .cloned()
                .collect();
            let had = self.members.remove(key).unwrap_or_default();
            need(Kind::AddMember, members.difference(&had).count());
            need(Kind::RemoveMember, had.difference(&members).count());
            match before {
                None => {
                    need(Kind::MatchGroup, 1);
                    need(Kind::CreateGroup, 1);
                }
                Some(name) if *name != group.name => {
                    need(Kind::ReadGroup, 1);
                    need(Kind::UpdateGroup, 1);
                }
                Some(_) => need(Kind::ReadGroup, usize::from(members != had)),
            }
            self.groups.insert(key.clone(), group.name.clone());
            self.members.insert(key.clone(), members);
        }
        needed
    }

    /// The requests of a restart that forgets the links of everybody who is there, when nothing differs: only reads.
    pub(super) fn restart(&self) -> BTreeMap<Kind, usize> {
        let active = |key: &&String| self.people.get(*key).is_some_and(Person::is_active);
        let needed = [
            (Kind::Probe, 2),
            (Kind::MatchUser, self.people.values().filter(|person| person.is_active()).count()),
            (Kind::ReadUser, self.people.values().filter(|person| !person.is_active()).count()),
            (Kind::CheckManager, self.managers.keys().filter(active).count()),
            (Kind::MatchGroup, self.groups.len()),
            (Kind::CheckMember, self.members.values().map(BTreeSet::len).sum()),
        ];
        needed.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// Where the requests made are not those needed.
pub(super) fn compare(needed: &BTreeMap<Kind, usize>, made: &BTreeMap<Kind, usize>) -> Vec<String> {
    let kinds: BTreeSet<Kind> = needed.keys().chain(made.keys()).copied().collect();
    let differing = kinds.into_iter().filter_map(|kind| {
        let of = |counts: &BTreeMap<Kind, usize>| counts.get(&kind).copied().unwrap_or(0);
        let (needed, made) = (of(needed), of(made));
        (needed != made).then(|| format!("{}: {made} made, {needed} needed", kind.word()))
    });
    differing.collect()
}

/// How many requests of each kind the provider has sent in between.
pub(super) fn since(
    before: &BTreeMap<Kind, usize>,
    now: &BTreeMap<Kind, usize>,
) -> BTreeMap<Kind, usize> {
    let counts = now
        .iter()
        .filter(|(kind, _)| kind.is_providers())
        .map(|(kind, count)| (*kind, count.saturating_sub(before.get(kind).copied().unwrap_or(0))));
    counts.filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::super::generate::{Size, directory};
    use super::*;

    #[test]
    fn an_initial_cycle_is_two_for_each_and_one_for_each_member() {
        let source = directory(Size { users: 30, groups: 4, everyone_has_mail: false }, 3);
        let managed = source.people.values().filter(|person| person.manager.is_some()).count();
        let mut ledger = Ledger::default();
        let needed: usize = ledger.advance(&source).values().sum();
        assert_eq!(needed, 2 + 2 * 30 + 2 * managed + 2 * 4 + source.memberships());
        assert_eq!(ledger.advance(&source), BTreeMap::from([(Kind::Probe, 2)]));
        let restart: usize = ledger.restart().values().sum();
        assert_eq!(restart, 2 + 30 + managed + 4 + source.memberships());
    }
}
