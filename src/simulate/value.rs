//! What an answer holds under a path of the mapping, and where it differs from the source.
//!
//! This is the client's own reading of SCIM: it shares no code with the server, so that a mistake of the server's is not
//! made twice. Names are compared without letter case, booleans without type, texts exactly.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::source::Person;

/// A value that has to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Where.
    pub(super) target: &'static str,
    /// What it has to be.
    pub(super) wanted: Wanted,
    /// What it is; nothing when there is none.
    pub(super) found: Option<String>,
}

/// A value as the source has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Text(String),
    Flag(bool),
}

/// Where whether somebody may come in stands.
pub(super) const ACTIVE: &str = "active";

/// What differs between a person and what the endpoint says of them.
pub(super) fn differences(person: &Person, found: &Value) -> Vec<Difference> {
    let mut all = text_differences(&person.attributes, found);
    let active = member(found, ACTIVE).and_then(flag);
    if active != Some(person.is_active()) {
        all.push(Difference {
            target: ACTIVE,
            wanted: Wanted::Flag(person.is_active()),
            found: active.map(|active| active.to_string()),
        });
    }
    all
}

/// What differs between texts and what the endpoint has under their paths.
pub(super) fn text_differences(
    wanted: &BTreeMap<&'static str, String>,
    found: &Value,
) -> Vec<Difference> {
    let differing = wanted.iter().filter_map(|(target, wanted)| {
        let is = text_at(found, target);
        (is.as_deref() != Some(wanted.as_str())).then(|| Difference {
            target,
            wanted: Wanted::Text(wanted.clone()),
            found: is,
        })
    });
    differing.collect()
}

/// The text under a path of the mapping.
pub(super) fn text_at(resource: &Value, path: &str) -> Option<String> {
    let value = match path.rsplit_once(":User:") {
        Some((urn, name)) => member(member(resource, &format!("{urn}:User"))?, name)?,
        None => match path.split_once('[') {
            Some((list, rest)) => {
                let (filter, sub) = rest.split_once("].")?;
                let (name, wanted) = filter.split_once(" eq ")?;
                let wanted = wanted.trim_matches('"');
                let entries = member(resource, list)?.as_array()?;
                let mut fitting = entries.iter().filter(|entry| {
                    let is = member(entry, name).and_then(Value::as_str);
                    is.is_some_and(|is| is.eq_ignore_ascii_case(wanted))
                });
                member(fitting.next()?, sub)?
            }
            None => match path.split_once('.') {
                Some((outer, inner)) => member(member(resource, outer)?, inner)?,
                None => member(resource, path)?,
            },
        },
    };
    match value {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The id of a manager: as an object, or as some servers have it, the bare text.
pub(super) fn manager_of(resource: &Value) -> Option<String> {
    let manager = member(member(resource, super::source::ENTERPRISE)?, "manager")?;
    let id = manager.as_str().or_else(|| member(manager, "value")?.as_str())?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// The ids of a group's members.
pub(super) fn members_of(resource: &Value) -> Vec<String> {
    let members = member(resource, "members").and_then(Value::as_array).into_iter().flatten();
    let ids = members.filter_map(|entry| member(entry, "value").or(Some(entry))?.as_str());
    ids.map(ToOwned::to_owned).collect()
}

/// The id that the endpoint gave.
pub(super) fn id_of(resource: &Value) -> Option<&str> {
    member(resource, "id").and_then(Value::as_str).filter(|id| !id.is_empty())
}

/// A member of an object, whatever the letter case of its name.
pub(super) fn member<'a>(of: &'a Value, name: &str) -> Option<&'a Value> {
    let members: &Map<String, Value> = of.as_object()?;
    members.get(name).or_else(|| {
        let mut found = members.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    })
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_path_is_read() {
        let user = json!({
            "UserName": "ida@ex.test",
            "name": {"givenName": "Ida"},
            "emails": [{"type": "home", "value": "h"}, {"Type": "Work", "value": "w"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                {"department": "R&D", "manager": {"value": "m"}},
            "title": "",
        });
        let at = |path: &str| text_at(&user, path);
        assert_eq!(at("userName").as_deref(), Some("ida@ex.test"));
        assert_eq!(at("name.givenName").as_deref(), Some("Ida"));
        assert_eq!(at("name.familyName"), None);
        assert_eq!(at("emails[type eq \"work\"].value").as_deref(), Some("w"));
        assert_eq!(at("emails[type eq \"other\"].value"), None);
        assert_eq!(at(super::super::source::DEPARTMENT).as_deref(), Some("R&D"));
        assert_eq!(at("title"), None);
        assert_eq!(manager_of(&user).as_deref(), Some("m"));
    }
}
