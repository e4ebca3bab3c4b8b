//! An invented directory from a seed: the same seed, the same people.

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use super::source::{
    DEPARTMENT, DISPLAY_NAME, EMPLOYEE_NUMBER, EXTERNAL_ID, FAMILY_NAME, GIVEN_NAME, Group, Person,
    Source, Standing, USER_NAME, WORK_EMAIL,
};

/// The domain of all invented people. It is reserved: nobody has an address there.
pub(super) const DOMAIN: &str = "rehearsal.example";

const GIVEN: &[&str] = &[
    "Ann", "Åsa", "Ben", "Chloé", "Dmitri", "Ebba", "Farid", "Grace", "Hiro", "Ida", "Jürgen",
    "Kofi", "Lý", "María", "Noor", "Olu", "Priya", "Quentin", "Rosa", "Søren", "Tomás", "Uma",
    "Vera", "Wei", "Ximena", "Yusuf", "Zoë",
];
const FAMILY: &[&str] = &[
    "Abel",
    "Björk",
    "Castro",
    "D'Amico",
    "Ek",
    "Fischer",
    "García",
    "Haddad",
    "Ito",
    "Jansen",
    "Kowalski",
    "Lindström",
    "Müller",
    "Nguyễn",
    "O'Hara",
    "Petrov",
    "Quist",
    "Rossi",
    "Singh",
    "Tanaka",
    "Usman",
    "Vargas",
    "Weiß",
    "Xu",
    "Yilmaz",
    "Zhang",
];
const DEPARTMENTS: &[&str] =
    &["Engineering", "R&D", "Sales", "Finance", "People & Culture", "Support", "Försäljning"];
const TITLES: &[&str] = &["Engineer", "Head of R&D", "Account manager", "Analyst", "Assistant"];
const CITIES: &[(&str, &str)] =
    &[("Umeå", "Sweden"), ("São Paulo", "Brazil"), ("Kraków", "Poland"), ("Leeds", "UK")];
const GROUPS: &[&str] =
    &["Eng & Ops", "Everyone", "R&D", "Sales #1", "50% club", "Größe", "O'Hara's team", "C++"];

/// Who is invented.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// So many people.
    pub users: usize,
    /// So many groups.
    pub groups: usize,
    /// Whether each person has an address; without it one in twenty has none.
    pub everyone_has_mail: bool,
}

/// An invented directory.
pub fn directory(size: Size, seed: u64) -> Source {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut source = Source::default();
    let mut keys: Vec<String> = Vec::with_capacity(size.users);
    for number in 0..size.users {
        let (key, mut hired) = person(&mut chance, number, size.everyone_has_mail);
        if number > 0 && !chance.random_bool(0.1) {
            hired.manager = keys.get((number - 1) / 8).cloned();
        }
        keys.push(key.clone());
        source.people.insert(key, hired);
    }
    for number in 0..size.groups {
        let (key, mut group) = group(&mut chance, number);
        let most = if size.groups == 0 { 0 } else { (size.users * 3).div_ceil(size.groups) };
        let wanted = if number == 1 { 0 } else { chance.random_range(0..=most.min(size.users)) };
        for _ in 0..wanted {
            group.members.extend(pick(&mut chance, &keys).cloned());
        }
        source.groups.insert(key, group);
    }
    source
}

/// Somebody who was not there before; `number` decides which attributes they have.
pub(super) fn person(chance: &mut StdRng, number: usize, has_mail: bool) -> (String, Person) {
    let key = guid(chance);
    let given = pick(chance, GIVEN).copied().unwrap_or("Ann");
    let family = pick(chance, FAMILY).copied().unwrap_or("Ek");
    let mut person = Person { standing: Standing::Active, attributes: [].into(), manager: None };
    let local = |text: &str| -> String {
        text.to_lowercase().chars().filter(|c| c.is_ascii_alphabetic() || *c == '\'').collect()
    };
    // Some have a plus in it, which a query must not turn into a space.
    let plus = if number % 17 == 3 { "+test" } else { "" };
    let user_name = format!("{}.{}.{}{plus}@{DOMAIN}", local(given), local(family), tag(&key));
    person.set(EXTERNAL_ID, key.clone());
    person.set(DISPLAY_NAME, format!("{given} {family}"));
    person.set(GIVEN_NAME, given);
    person.set(FAMILY_NAME, family);
    person.join_names();
    if has_mail || number % 20 != 7 {
        person.set(WORK_EMAIL, format!("{}.{}{plus}@{DOMAIN}", local(family), tag(&key)));
    }
    person.set(USER_NAME, user_name);
    person.set(EMPLOYEE_NUMBER, format!("{:05}", number + 1));
    person.set(DEPARTMENT, department(chance));
    person.set("title", pick(chance, TITLES).copied().unwrap_or_default());
    if number.is_multiple_of(3) {
        let (city, country) = pick(chance, CITIES).copied().unwrap_or_default();
        person.set("addresses[type eq \"work\"].locality", city);
        person.set("addresses[type eq \"work\"].country", country);
        person.set("addresses[type eq \"work\"].streetAddress", format!("Kajen {number}"));
    }
    if number.is_multiple_of(2) {
        person.set("phoneNumbers[type eq \"work\"].value", format!("+46 90 555 {number:04}"));
    }
    if number.is_multiple_of(5) {
        person.set("phoneNumbers[type eq \"mobile\"].value", format!("070-555 {number:04}"));
    }
    (key, person)
}

/// A group that was not there before, empty.
pub(super) fn group(chance: &mut StdRng, number: usize) -> (String, Group) {
    let base = GROUPS.get(number % GROUPS.len()).copied().unwrap_or("Group");
    let key = guid(chance);
    let name = format!("Rehearsal {base} {}", tag(&key));
    (key, Group { name, members: [].into(), is_gone: false })
}

/// The beginning of a key, so that the names of two rehearsals do not meet.
pub(super) fn tag(key: &str) -> &str {
    key.get(..8).unwrap_or(key)
}

/// A department's name.
pub(super) fn department(chance: &mut StdRng) -> &'static str {
    pick(chance, DEPARTMENTS).copied().unwrap_or_default()
}

/// A family name, for somebody who has married.
pub(super) fn family(chance: &mut StdRng) -> &'static str {
    pick(chance, FAMILY).copied().unwrap_or_default()
}

/// One of several, by chance.
pub(super) fn pick<'a, T>(chance: &mut StdRng, of: &'a [T]) -> Option<&'a T> {
    if of.is_empty() { None } else { of.get(chance.random_range(0..of.len())) }
}

/// A GUID as Entra writes it.
pub(super) fn guid(chance: &mut StdRng) -> String {
    let mut bytes = [0_u8; 16];
    chance.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_makes_one_directory() {
        let size = Size { users: 60, groups: 9, everyone_has_mail: false };
        let source = directory(size, 7);
        assert_eq!(source, directory(size, 7));
        assert_ne!(source, directory(size, 8));
        assert_eq!((source.people.len(), source.groups.len()), (60, 9));
        assert!(source.memberships() > 20, "{}", source.memberships());
        let managed = source.people.values().filter(|person| person.manager.is_some()).count();
        assert!((45..60).contains(&managed), "{managed}");
        let without_mail =
            source.people.values().filter(|person| person.get(WORK_EMAIL).is_none()).count();
        assert_eq!(without_mail, 3);
    }
}
