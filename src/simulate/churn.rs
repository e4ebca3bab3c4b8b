//! What happens in the source between two cycles: people come and go, marry, move; groups change.

use std::collections::{BTreeMap, HashSet};

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::generate;
use super::source::{
    DEPARTMENT, DISPLAY_NAME, FAMILY_NAME, Group, Person, Source, Standing, USER_NAME, WORK_EMAIL,
};

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Somebody new; half of them under a name that has become free.
    Hires,
    /// The name that people read, and the family name with it.
    DisplayNames,
    /// The name by which people sign in; half take one that has become free.
    UserNames,
    /// Only the letter case of that name.
    LetterCases,
    /// Another manager.
    Managers,
    /// Another department.
    Departments,
    /// Blocked from signing in.
    Leavers,
    /// No longer assigned.
    Unassignments,
    /// One of those who left comes back.
    Rehires,
    /// One of those who are blocked is deleted for good.
    HardDeletes,
    /// A new group.
    NewGroups,
    /// A group's name.
    GroupRenames,
    /// Somebody leaves a group for another.
    MemberMoves,
    /// A group is deleted.
    GroupDeletes,
}

impl Change {
    /// All, in the order in which they happen.
    pub const ALL: [Self; 14] = [
        Self::Hires,
        Self::DisplayNames,
        Self::UserNames,
        Self::LetterCases,
        Self::Managers,
        Self::Departments,
        Self::Rehires,
        Self::HardDeletes,
        Self::Leavers,
        Self::Unassignments,
        Self::NewGroups,
        Self::GroupRenames,
        Self::MemberMoves,
        Self::GroupDeletes,
    ];

    /// Its name in arguments.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hires => "hires",
            Self::DisplayNames => "display-names",
            Self::UserNames => "user-names",
            Self::LetterCases => "letter-cases",
            Self::Managers => "managers",
            Self::Departments => "departments",
            Self::Leavers => "leavers",
            Self::Unassignments => "unassignments",
            Self::Rehires => "rehires",
            Self::HardDeletes => "hard-deletes",
            Self::NewGroups => "new-groups",
            Self::GroupRenames => "group-renames",
            Self::MemberMoves => "member-moves",
            Self::GroupDeletes => "group-deletes",
        }
    }

    /// Percent of those whom it can happen to, in each cycle, unless somebody says otherwise.
    fn usual(self) -> u32 {
        match self {
            Self::Rehires => 40,
            Self::HardDeletes => 30,
            Self::MemberMoves | Self::GroupRenames => 5,
            Self::Hires
            | Self::DisplayNames
            | Self::UserNames
            | Self::Managers
            | Self::Departments
            | Self::Leavers => 3,
            Self::LetterCases | Self::Unassignments | Self::NewGroups | Self::GroupDeletes => 1,
        }
    }
}

/// How many of each, and what is left over from before.
#[derive(Clone, Debug)]
pub(super) struct Churn {
    rates: BTreeMap<Change, u32>,
    /// Names that nobody has any more, with whoever had them.
    free: Vec<(String, String)>,
    /// Names and keys of people who were deleted and whom the endpoint keeps: only a successor can have the name.
    kept: Vec<(String, String)>,
    keeps_people: bool,
    /// People and groups that there have ever been, for new names.
    count: usize,
    everyone_has_mail: bool,
}

/// Something that happens to nobody in particular twice in one cycle.
struct Round<'a> {
    source: &'a mut Source,
    chance: &'a mut StdRng,
    touched: HashSet<String>,
    /// Of whom the endpoint has not taken an earlier change.
    busy: &'a HashSet<String>,
    freed: Vec<(String, String)>,
    /// Of people who were deleted.
    gone: Vec<(String, String)>,
}

impl Churn {
    /// The usual rates, but for those given.
    pub(super) fn new(rates: &[(Change, u32)], count: usize, everyone_has_mail: bool) -> Self {
        let mut all: BTreeMap<Change, u32> =
            Change::ALL.into_iter().map(|change| (change, change.usual())).collect();
        all.extend(rates.iter().copied());
        let (free, kept, keeps_people) = (Vec::new(), Vec::new(), false);
        Self { rates: all, free, kept, keeps_people, count, everyone_has_mail }
    }

    /// Whether whoever is deleted stays at the endpoint, and their name with them.
    pub(super) fn keeping(mut self, keeps_people: bool) -> Self {
        self.keeps_people = keeps_people;
        self
    }

    /// Lets one cycle's changes happen; how many of each. Whoever is `busy` (the endpoint has not taken an earlier
    /// change of theirs) is left alone: Entra itself makes a second user when a person is renamed after a POST whose
    /// answer was lost. Their former names rest, too: whoever got one would be matched with them.
    pub(super) fn run(
        &mut self,
        source: &mut Source,
        chance: &mut StdRng,
        busy: &HashSet<String>,
    ) -> BTreeMap<Change, usize> {
        let (freed, gone) = (Vec::new(), Vec::new());
        let mut round = Round { source, chance, touched: busy.clone(), busy, freed, gone };
        let mut done = BTreeMap::new();
        for change in Change::ALL {
            let percent = self.rates.get(&change).copied().unwrap_or(0);
            let of = round.population(change);
            let wanted = of.saturating_mul(usize::try_from(percent).unwrap_or(0)).div_ceil(100);
            for _ in 0..wanted {
                if self.once(&mut round, change) {
                    *done.entry(change).or_insert(0) += 1;
                }
            }
        }
        let freed = std::mem::take(&mut round.freed);
        self.free.extend(freed);
        if self.keeps_people {
            self.kept.append(&mut round.gone);
        } else {
            self.free.append(&mut round.gone);
        }
        done
    }

    /// One change; false when there is nobody whom it can happen to.
    fn once(&mut self, round: &mut Round<'_>, change: Change) -> bool {
        match change {
            Change::Hires => self.hire(round),
            Change::UserNames => self.rename(round),
            Change::NewGroups => self.new_group(round),
            Change::DisplayNames => round.change_active(|person, chance| {
                let family = generate::family(chance);
                let shown = format!(
                    "{} {family}",
                    person.get(super::source::GIVEN_NAME).unwrap_or_default()
                );
                person.set(FAMILY_NAME, family);
                person.set(DISPLAY_NAME, shown.trim());
                person.join_names();
            }),
            Change::LetterCases => round.change_active(|person, _| {
                let flipped = flip_case(person.name());
                person.set(USER_NAME, flipped);
            }),
            Change::Departments => round.change_active(|person, chance| {
                person.set(DEPARTMENT, generate::department(chance));
            }),
            Change::Leavers => {
                round.change_active(|person, _| person.standing = Standing::Disabled)
            }
            Change::Unassignments => {
                round.change_active(|person, _| person.standing = Standing::Unassigned)
            }
            Change::Managers => round.new_manager(),
            Change::Rehires => round.rehire(),
            Change::HardDeletes => round.hard_delete(),
            Change::GroupRenames => round.rename_group(),
            Change::MemberMoves => round.move_member(),
            Change::GroupDeletes => round.delete_group(),
        }
    }

    fn hire(&mut self, round: &mut Round<'_>) -> bool {
        self.count += 1;
        let (key, mut person) = generate::person(round.chance, self.count, self.everyone_has_mail);
        if let Some(name) = self.predecessor(round).or_else(|| self.freed_name(round)) {
            person.set(USER_NAME, name);
        }
        person.manager = round.active_person();
        round.touched.insert(key.clone());
        if let Some(group) = round.group()
            && let Some(group) = round.source.groups.get_mut(&group)
        {
            group.members.insert(key.clone());
        }
        round.source.people.insert(key, person);
        true
    }

    fn rename(&mut self, round: &mut Round<'_>) -> bool {
        let Some(key) = round.untouched(Person::is_active) else { return false };
        self.count += 1;
        let fresh = generate::person(round.chance, self.count, true).1;
        let name = self.freed_name(round).unwrap_or_else(|| fresh.name().to_owned());
        let Some(person) = round.source.people.get_mut(&key) else { return false };
        let old = person.name().to_owned();
        person.set(USER_NAME, name);
        if let Some(mail) = fresh.get(WORK_EMAIL).filter(|_| person.get(WORK_EMAIL).is_some()) {
            person.set(WORK_EMAIL, mail);
        }
        round.freed.push((old, key));
        true
    }

    fn new_group(&mut self, round: &mut Round<'_>) -> bool {
        self.count += 1;
        let (key, mut group) = generate::group(round.chance, self.count + 1_000);
        for _ in 0..3 {
            group.members.extend(round.active_person());
        }
        round.touched.insert(key.clone());
        round.source.groups.insert(key, group);
        true
    }

    /// Half of the time, the name of somebody whom the endpoint keeps, and of whom it has been told that they are gone.
    fn predecessor(&mut self, round: &mut Round<'_>) -> Option<String> {
        let at = self.kept.iter().position(|(_, key)| !round.busy.contains(key))?;
        if round.chance.random_bool(0.5) { Some(self.kept.remove(at).0) } else { None }
    }

    /// Half of the time, a name that has become free in an earlier cycle.
    fn freed_name(&mut self, round: &mut Round<'_>) -> Option<String> {
        if round.chance.random_bool(0.5) {
            return None;
        }
        let at = self.free.iter().rposition(|(_, holder)| !round.busy.contains(holder))?;
        Some(self.free.remove(at).0)
    }
}

impl Round<'_> {
    /// To how many it can happen.
    fn population(&self, change: Change) -> usize {
        let people = |wanted: fn(&Person) -> bool| {
            self.source.people.values().filter(|person| wanted(person)).count()
        };
        match change {
            Change::Rehires => people(has_left),
            Change::HardDeletes => people(is_disabled),
            Change::NewGroups | Change::GroupRenames | Change::GroupDeletes => {
                self.source.groups.values().filter(|group| !group.is_gone).count()
            }
            Change::MemberMoves => self.source.memberships(),
            Change::Hires
            | Change::DisplayNames
            | Change::UserNames
            | Change::LetterCases
            | Change::Managers
            | Change::Departments
            | Change::Leavers
            | Change::Unassignments => people(Person::is_active),
        }
    }

    /// Somebody to whom nothing has happened yet in this cycle; from now on something has.
    fn untouched(&mut self, wanted: fn(&Person) -> bool) -> Option<String> {
        let fitting = self.source.people.iter().filter(|(_, person)| wanted(person));
        let keys: Vec<&String> =
            fitting.map(|(key, _)| key).filter(|key| !self.touched.contains(*key)).collect();
        let key = (*generate::pick(self.chance, &keys)?).clone();
        self.touched.insert(key.clone());
        Some(key)
    }

    fn change_active(&mut self, change: impl FnOnce(&mut Person, &mut StdRng)) -> bool {
        let Some(key) = self.untouched(Person::is_active) else { return false };
        match self.source.people.get_mut(&key) {
            Some(person) => {
                change(person, self.chance);
                true
            }
            None => false,
        }
    }

    /// Somebody who may come in, touched or not.
    fn active_person(&mut self) -> Option<String> {
        let active = self.source.people.iter().filter(|(_, person)| person.is_active());
        let keys: Vec<&String> = active.map(|(key, _)| key).collect();
        generate::pick(self.chance, &keys).map(|key| (*key).clone())
    }

    /// A group to which nothing has happened yet.
    fn group(&mut self) -> Option<String> {
        let there = self.source.groups.iter().filter(|(_, group)| !group.is_gone);
        let keys: Vec<&String> =
            there.map(|(key, _)| key).filter(|key| !self.touched.contains(*key)).collect();
        generate::pick(self.chance, &keys).map(|key| (*key).clone())
    }

    fn new_manager(&mut self) -> bool {
        let Some(key) = self.untouched(Person::is_active) else { return false };
        let manager = self.active_person().filter(|manager| *manager != key);
        match (self.source.people.get_mut(&key), manager) {
            (Some(person), Some(manager)) => {
                person.manager = Some(manager);
                true
            }
            _ => false,
        }
    }

    fn rehire(&mut self) -> bool {
        let Some(key) = self.untouched(has_left) else { return false };
        let title = generate::department(self.chance);
        let Some(person) = self.source.people.get_mut(&key) else { return false };
        person.standing = Standing::Active;
        person.set(DEPARTMENT, title);
        true
    }

    /// Whoever they managed gets another manager: Entra sends nothing when a manager becomes empty.
    fn hard_delete(&mut self) -> bool {
        let Some(key) = self.untouched(is_disabled) else { return false };
        let name = self.source.people.get(&key).map(|person| person.name().to_owned());
        self.source.purge(&key);
        self.gone.extend(name.map(|name| (name, key.clone())));
        let next = self.active_person();
        for (own, person) in &mut self.source.people {
            if person.manager.as_deref() == Some(key.as_str()) {
                person.manager = next.clone().filter(|next| next != own);
            }
        }
        true
    }

    fn rename_group(&mut self) -> bool {
        let Some(key) = self.group() else { return false };
        let number = self.chance.random_range(0..1_000_000);
        self.touched.insert(key.clone());
        let Some(group) = self.source.groups.get_mut(&key) else { return false };
        group.name = if number % 3 == 0 {
            flip_case(&group.name)
        } else {
            let base = group.name.split(" – ").next().unwrap_or("Group");
            format!("{base} – {number}")
        };
        true
    }

    fn move_member(&mut self) -> bool {
        let there = self.source.groups.iter().filter(|(key, _)| !self.touched.contains(*key));
        let of = |(key, group): (&String, &Group)| {
            let members = group.members.iter();
            members.map(|member| (key.clone(), member.clone())).collect::<Vec<_>>()
        };
        let memberships: Vec<(String, String)> = there.flat_map(of).collect();
        let Some((from, member)) = generate::pick(self.chance, &memberships).cloned() else {
            return false;
        };
        let Some(to) = self.group().filter(|to| *to != from) else { return false };
        if let Some(group) = self.source.groups.get_mut(&from) {
            group.members.remove(&member);
        }
        if let Some(group) = self.source.groups.get_mut(&to) {
            group.members.insert(member);
        }
        true
    }

    fn delete_group(&mut self) -> bool {
        let Some(key) = self.group() else { return false };
        self.touched.insert(key.clone());
        let Some(group) = self.source.groups.get_mut(&key) else { return false };
        group.is_gone = true;
        group.members.clear();
        true
    }
}

fn has_left(person: &Person) -> bool {
    matches!(person.standing, Standing::Disabled | Standing::Unassigned)
}

fn is_disabled(person: &Person) -> bool {
    person.standing == Standing::Disabled
}

/// The first letter in the other case, so that only the case differs.
fn flip_case(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    let flipped = if first.is_ascii_uppercase() {
        first.to_ascii_lowercase()
    } else {
        first.to_ascii_uppercase()
    };
    std::iter::once(flipped).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::simulate::{Size, directory};

    /// Everybody is renamed, then people are hired; how many of them get a name that was free.
    fn hired_under_old_names(are_busy: bool) -> usize {
        let mut source = directory(Size { users: 20, groups: 0, everyone_has_mail: false }, 3);
        let old: HashSet<String> =
            source.people.values().map(|one| one.name().to_owned()).collect();
        let mut chance = StdRng::seed_from_u64(3);
        let rates =
            |only: Change| Change::ALL.map(|change| (change, if change == only { 100 } else { 0 }));
        let mut churn = Churn::new(&rates(Change::UserNames), 20, false);
        churn.run(&mut source, &mut chance, &HashSet::new());
        let keys: HashSet<String> = source.people.keys().cloned().collect();
        churn.rates = rates(Change::Hires).into_iter().collect();
        let busy = if are_busy { keys.clone() } else { HashSet::new() };
        churn.run(&mut source, &mut chance, &busy);
        let hired = source.people.iter().filter(|(key, _)| !keys.contains(*key));
        hired.filter(|(_, person)| old.contains(person.name())).count()
    }

    #[test]
    fn a_name_rests_until_the_endpoint_has_taken_it_from_whoever_had_it() {
        assert!(hired_under_old_names(false) > 3);
        assert_eq!(hired_under_old_names(true), 0);
    }
}
