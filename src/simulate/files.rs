//! A directory from files: CSV with a line of headings, or JSON. The columns are called as Entra's own export and
//! Microsoft Graph call them; `docs/REHEARSE.md` has the mapping.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::SimulateError;
use super::chaos::hash;
use super::source::{EXTERNAL_ID, Group, MAPPING, Person, Source, Standing, USER_NAME};

/// The column with the object id; without it, it follows from the name.
const ID: &str = "id";
/// The column with the name by which people sign in.
const NAME: &str = "userPrincipalName";
/// The column with a group's name.
const GROUP_NAME: &str = "displayName";
/// The column with whether somebody may come in.
const ENABLED: &str = "accountEnabled";
/// The column with the manager: an object id or a name.
const MANAGER: &str = "manager";
/// The column with a group's members: object ids or names, between semicolons.
const MEMBERS: &str = "members";
/// Rows that are read at most.
const ROWS_MAX: usize = 100_000;

/// A row: a value, or several, under each lower-case heading.
type Row = BTreeMap<String, Vec<String>>;

/// Reads people. `name` is what the file is called in messages.
///
/// # Errors
/// When the text is neither CSV nor JSON as documented, or a name is missing or there twice.
pub fn read_people(name: &str, text: &str) -> Result<Source, SimulateError> {
    let mut source = Source::default();
    let mut managers = Vec::new();
    let mut names = BTreeSet::new();
    for (number, row) in rows(name, text, NAME)? {
        let at = |column: &str| one(&row, column);
        let Some(user_name) = at(NAME) else {
            return Err(told(name, format!("row {number} has no {NAME}; give each person one")));
        };
        if !names.insert(user_name.to_lowercase()) {
            return Err(told(name, format!("row {number}: {user_name} is there twice; keep one")));
        }
        let key = at(ID).unwrap_or_else(|| id_of(&user_name));
        let is_enabled = !at(ENABLED).is_some_and(|text| text.eq_ignore_ascii_case("false"));
        let standing = if is_enabled { Standing::Active } else { Standing::Disabled };
        let mut person = Person { standing, attributes: BTreeMap::new(), manager: None };
        for (column, target) in MAPPING {
            if let Some(value) = at(column) {
                person.set(target, value);
            }
        }
        person.set(EXTERNAL_ID, key.clone());
        person.set(USER_NAME, user_name);
        person.join_names();
        managers.extend(at(MANAGER).map(|manager| (number, key.clone(), manager)));
        if source.people.insert(key, person).is_some() {
            return Err(told(name, format!("row {number}: its {ID} is there twice; keep one")));
        }
    }
    if source.people.is_empty() {
        return Err(told(name, "there is nobody in it; give at least one person"));
    }
    for (number, key, manager) in managers {
        let found = found(&source, &manager).ok_or_else(|| {
            let why = format!("row {number}: the manager {manager} is nobody in the file; give an {ID} or a {NAME} that is");
            told(name, why)
        })?;
        if let Some(person) = source.people.get_mut(&key) {
            person.manager = Some(found).filter(|found| *found != key);
        }
    }
    Ok(source)
}

/// Reads groups of people who are in the source already.
///
/// # Errors
/// As [`read_people`], and when a member is nobody.
pub fn read_groups(name: &str, text: &str, source: &mut Source) -> Result<(), SimulateError> {
    for (number, row) in rows(name, text, GROUP_NAME)? {
        let Some(group_name) = one(&row, GROUP_NAME) else {
            return Err(told(
                name,
                format!("row {number} has no {GROUP_NAME}; give each group one"),
            ));
        };
        if source.group_named(&group_name).is_some() {
            return Err(told(name, format!("row {number}: {group_name} is there twice; keep one")));
        }
        let key = one(&row, ID).unwrap_or_else(|| id_of(&format!("group {group_name}")));
        let mut group = Group { name: group_name, members: BTreeSet::new(), is_gone: false };
        let listed = row.get(MEMBERS).into_iter().flatten().flat_map(|text| text.split(';'));
        for member in listed.map(str::trim).filter(|member| !member.is_empty()) {
            let found = found(source, member).ok_or_else(|| {
                let why = format!(
                    "row {number}: the member {member} is nobody in the users' file; give an {ID} or a {NAME} that is"
                );
                told(name, why)
            })?;
            group.members.insert(found);
        }
        source.groups.insert(key, group);
    }
    Ok(())
}

fn found(source: &Source, named: &str) -> Option<String> {
    if source.people.contains_key(named) {
        return Some(named.to_owned());
    }
    source.named(named).map(ToOwned::to_owned)
}

/// An object id that follows from a name.
fn id_of(name: &str) -> String {
    let (high, low) = (hash(&[name], 1), hash(&[name], 2));
    uuid::Builder::from_u128(u128::from(high) << 64 | u128::from(low)).into_uuid().to_string()
}

fn told(name: &str, why: impl std::fmt::Display) -> SimulateError {
    SimulateError::new(format!("{name}: {why}"))
}

fn one(row: &Row, column: &str) -> Option<String> {
    let value = row.get(&column.to_lowercase())?.first()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// The rows with their numbers, of which each has the needed column.
fn rows(name: &str, text: &str, needed: &str) -> Result<Vec<(usize, Row)>, SimulateError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let rows = if text.starts_with(['[', '{']) {
        from_json(name, text)?
    } else {
        from_csv(name, text, needed)?
    };
    if rows.len() > ROWS_MAX {
        return Err(told(name, format!("it has more than {ROWS_MAX} rows; take fewer")));
    }
    Ok((1..).zip(rows).collect())
}

/// A list of objects, or Graph's `{"value": […]}`.
fn from_json(name: &str, text: &str) -> Result<Vec<Row>, SimulateError> {
    let parsed: Value = serde_json::from_str(text)
        .map_err(|error| told(name, format!("it is no JSON ({error}); correct it there")))?;
    let list = parsed.as_array().or_else(|| parsed.get("value")?.as_array());
    let Some(list) = list else {
        return Err(told(name, "it is no list of objects; write [{…}, …]"));
    };
    let rows = list.iter().enumerate().map(|(index, element)| {
        let members = element.as_object();
        let members =
            members.ok_or_else(|| told(name, format!("element {} is no object", index + 1)))?;
        Ok(members.iter().map(|(key, value)| (key.to_lowercase(), texts(value))).collect())
    });
    rows.collect()
}

/// Texts of a value; of a person in it, the id or the name.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Array(elements) => elements.iter().flat_map(texts).collect(),
        Value::Object(members) => {
            let named = members.get(ID).or_else(|| members.get(NAME));
            named.map(texts).unwrap_or_default()
        }
    }
}

/// RFC 4180, with commas, semicolons or tabs, whichever the line of headings has.
fn from_csv(name: &str, text: &str, needed: &str) -> Result<Vec<Row>, SimulateError> {
    let head = text.lines().next().unwrap_or_default();
    let separator = [',', ';', '\t'].into_iter().max_by_key(|c| head.matches(*c).count());
    let mut records = records(text, separator.unwrap_or(',')).into_iter();
    let headings: Vec<String> = records.next().unwrap_or_default();
    let headings: Vec<String> = headings.iter().map(|text| text.trim().to_lowercase()).collect();
    if !headings.contains(&needed.to_lowercase()) {
        return Err(told(
            name,
            format!("its first line has no column {needed}; call the column with the names so"),
        ));
    }
    let rows = records.enumerate().map(|(index, record)| {
        if record.len() != headings.len() {
            let why = format!(
                "row {} has {} values and the first line {} columns; put values with a separator in quotes",
                index + 1,
                record.len(),
                headings.len()
            );
            return Err(told(name, why));
        }
        let cells = headings.iter().cloned().zip(record.into_iter().map(|cell| vec![cell]));
        Ok(cells.collect())
    });
    rows.collect()
}

fn records(text: &str, separator: char) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut letters = text.chars().filter(|c| *c != '\r').peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if is_quoted || cell.is_empty() => is_quoted = !is_quoted,
            c if c == separator && !is_quoted => record.push(std::mem::take(&mut cell)),
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            other => cell.push(other),
        }
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell);
        records.push(record);
    }
    records.retain(|record: &Vec<String>| record.iter().any(|cell| !cell.trim().is_empty()));
    records
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::source::{DEPARTMENT, DISPLAY_NAME, FULL_NAME, WORK_EMAIL};
    use super::*;

    const PEOPLE: &str = "\u{feff}userPrincipalName,displayName,givenName,surname,mail,department,accountEnabled,manager\r\n\
        ida@ex.test,\"Ek, Ida \"\"Idde\"\"\",Ida,Ek,ida@ex.test,R&D,True,\r\n\
        ben@ex.test,Ben Ray,Ben,Ray,,,False,IDA@ex.test\r\n";

    #[test]
    fn an_export_of_the_portal_is_read() {
        let mut source = read_people("users.csv", PEOPLE).unwrap();
        let ida = source.people.get(source.named("IDA@ex.test").unwrap()).unwrap();
        assert_eq!(ida.get(DISPLAY_NAME), Some("Ek, Ida \"Idde\""));
        assert_eq!(ida.get(FULL_NAME), Some("Ida Ek"));
        assert_eq!(ida.get(DEPARTMENT), Some("R&D"));
        let ben = source.people.get(source.named("ben@ex.test").unwrap()).unwrap();
        assert_eq!((ben.get(WORK_EMAIL), ben.is_active()), (None, false));
        assert_eq!(ben.manager.as_deref(), source.named("ida@ex.test"));
        read_groups(
            "groups.csv",
            "displayName;members\nCrew;\"ida@ex.test;BEN@ex.test\"\n",
            &mut source,
        )
        .unwrap();
        assert_eq!(source.memberships(), 2);
    }

    #[test]
    fn json_of_graph_is_read() {
        let people = r#"{"value": [
            {"id": "1", "userPrincipalName": "ida@ex.test", "jobTitle": "Head"},
            {"id": "2", "userPrincipalName": "ben@ex.test", "manager": {"id": "1"}}]}"#;
        let mut source = read_people("users.json", people).unwrap();
        assert_eq!(source.people["2"].manager.as_deref(), Some("1"));
        let groups =
            r#"[{"displayName": "Crew", "members": ["1", {"userPrincipalName": "ben@ex.test"}]}]"#;
        read_groups("groups.json", groups, &mut source).unwrap();
        assert_eq!(source.memberships(), 2);
    }

    #[test]
    fn what_is_missing_is_said_in_one_sentence() {
        let told = |text: &str| read_people("users.csv", text).unwrap_err().to_string();
        expect!["users.csv: its first line has no column userPrincipalName; call the column with the names so"]
            .assert_eq(&told("name,mail\nIda,ida@ex.test\n"));
        expect!["users.csv: row 1 has 3 values and the first line 2 columns; put values with a separator in quotes"]
            .assert_eq(&told("userPrincipalName,displayName\nida@ex.test,Ek, Ida\n"));
        expect!["users.csv: row 2: IDA@ex.test is there twice; keep one"]
            .assert_eq(&told("userPrincipalName\nida@ex.test\nIDA@ex.test\n"));
        expect!["users.csv: row 1: the manager bo is nobody in the file; give an id or a userPrincipalName that is"]
            .assert_eq(&told("userPrincipalName,manager\nida@ex.test,bo\n"));
        expect!["users.csv: there is nobody in it; give at least one person"]
            .assert_eq(&told("userPrincipalName\n"));
        expect!["users.csv: it is no list of objects; write [{…}, …]"].assert_eq(&told("{}"));
    }
}
