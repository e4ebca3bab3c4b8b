//! From an operation to the request that an identity provider would send, and from the model to the answer that it
//! should get.

use serde_json::{Map, Value, json};

use super::directory::{Group, Stored, User};
use super::operation::{Dialect, Edit, Field, Person, Team, TeamEdit};

pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(super) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const WORK_MAIL: &str = "emails[type eq \"work\"].value";

/// The body of a POST or PUT of a user.
pub(super) fn person(person: &Person) -> Value {
    let mut emails = Vec::new();
    if let Some(value) = person.work {
        let mut work = json!({"type": "work", "value": value});
        if person.primary {
            work["primary"] = json!("True");
        }
        emails.push(work);
    }
    emails.extend(person.home.map(|value| json!({"type": "home", "value": value})));
    let mut body = json!({
        "schemas": [USER, ENTERPRISE],
        "userName": person.user_name,
        "externalId": person.external_id,
        "displayName": person.display_name,
        "emails": emails,
        ENTERPRISE: {"department": person.department},
        "meta": {"resourceType": "User"},
    });
    if let Some(active) = person.active {
        body["active"] = json!(active);
    }
    if let Some(manager) = person.manager {
        body[ENTERPRISE]["manager"] = json!({"value": manager});
    }
    body
}

/// The body of a POST or PUT of a group with these members.
pub(super) fn team(team: &Team, members: Option<&[String]>) -> Value {
    let mut body = json!({"schemas": [GROUP], "displayName": team.name});
    if let Some(external_id) = team.external_id {
        body["externalId"] = json!(external_id);
    }
    if let Some(members) = members {
        body["members"] = entries(members);
    }
    body
}

fn entries(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({"value": id})).collect()
}

/// The body of a PATCH of a user.
pub(super) fn user_patch(dialect: Dialect, edits: &[Edit]) -> Value {
    match dialect {
        Dialect::Flagless => envelope(&edits.iter().map(flagless).collect::<Vec<_>>()),
        // Filtered targets have operations of their own, the rest is flat in one without a path.
        Dialect::Flagged => {
            let (filtered, flat): (Vec<&Edit>, Vec<&Edit>) =
                edits.iter().partition(|edit| edit.field == Field::WorkMail);
            let mut operations: Vec<Value> = filtered.into_iter().map(flagged_mail).collect();
            if !flat.is_empty() {
                let value: Map<String, Value> = flat.into_iter().map(flagged).collect();
                operations.push(json!({"op": "replace", "value": value}));
            }
            envelope(&operations)
        }
    }
}

fn envelope(operations: &[Value]) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

fn path(field: Field) -> String {
    match field {
        Field::UserName => "userName".to_owned(),
        Field::ExternalId => "externalId".to_owned(),
        Field::DisplayName => "displayName".to_owned(),
        Field::Active => "active".to_owned(),
        Field::WorkMail => WORK_MAIL.to_owned(),
        Field::Department => format!("{ENTERPRISE}:department"),
        Field::Manager => format!("{ENTERPRISE}:manager"),
    }
}

/// One operation for each attribute, with a capital letter and booleans in quotes.
fn flagless(edit: &Edit) -> Value {
    let path = path(edit.field);
    let op = if edit.way.is_multiple_of(2) { "Replace" } else { "Add" };
    let value = match (edit.field, edit.way / 2) {
        (Field::Active, _) if edit.text == "true" => json!("True"),
        (Field::Active, _) => json!("False"),
        (Field::UserName, _) => json!(edit.text),
        (_, 1) if edit.text.is_empty() => return json!({"op": "Remove", "path": path}),
        (_, 2) if edit.text.is_empty() => {
            return json!({"op": "Remove", "path": path, "value": "what it was"});
        }
        (Field::Manager, 1) => json!([{"$ref": null, "value": edit.text}]),
        (Field::Manager, 2) => json!({"value": edit.text}),
        (_, _) => json!(edit.text),
    };
    json!({"op": op, "path": path, "value": value})
}

fn flagged_mail(edit: &Edit) -> Value {
    let op = if edit.way.is_multiple_of(2) { "replace" } else { "add" };
    match edit.text {
        "" if edit.way > 2 => json!({"op": "remove", "path": WORK_MAIL}),
        text => json!({"op": op, "path": WORK_MAIL, "value": text}),
    }
}

fn flagged(edit: &Edit) -> (String, Value) {
    let value = match edit.field {
        Field::Active => json!(edit.text == "true"),
        Field::Manager if edit.way > 2 && !edit.text.is_empty() => json!({"value": edit.text}),
        Field::UserName
        | Field::ExternalId
        | Field::DisplayName
        | Field::WorkMail
        | Field::Department
        | Field::Manager => json!(edit.text),
    };
    (path(edit.field), value)
}

/// The body of a PATCH of a group; each edit comes with the ids that it names.
pub(super) fn group_patch(dialect: Dialect, edits: &[(&TeamEdit, Vec<String>)]) -> Value {
    let mut operations = Vec::new();
    let mut flat = Map::new();
    for (edit, ids) in edits {
        let (attribute, text) = match edit {
            TeamEdit::Rename(name) => ("displayName", name),
            TeamEdit::ExternalId(text) => ("externalId", text),
            TeamEdit::Add(_) | TeamEdit::Remove(_) | TeamEdit::Replace(_) | TeamEdit::RemoveAll => {
                operations.extend(members_operations(dialect, edit, ids));
                continue;
            }
        };
        match dialect {
            Dialect::Flagless => {
                operations.push(json!({"op": "Replace", "path": attribute, "value": text}));
            }
            Dialect::Flagged => drop(flat.insert(attribute.to_owned(), json!(text))),
        }
    }
    if !flat.is_empty() {
        operations.push(json!({"op": "replace", "value": flat}));
    }
    envelope(&operations)
}

fn members_operations(dialect: Dialect, edit: &TeamEdit, ids: &[String]) -> Vec<Value> {
    let (add, replace, remove) = match dialect {
        Dialect::Flagless => ("Add", "Replace", "Remove"),
        Dialect::Flagged => ("add", "replace", "remove"),
    };
    let value = entries(ids);
    match (edit, dialect) {
        (TeamEdit::Add(_), _) => vec![json!({"op": add, "path": "members", "value": value})],
        (TeamEdit::Replace(_), _) => {
            vec![json!({"op": replace, "path": "members", "value": value})]
        }
        (TeamEdit::RemoveAll, _) => vec![json!({"op": remove, "path": "members"})],
        (TeamEdit::Remove(_), Dialect::Flagless) => {
            vec![json!({"op": remove, "path": "members", "value": value})]
        }
        (TeamEdit::Remove(_), Dialect::Flagged) => {
            let path = |id: &String| format!("members[value eq \"{id}\"]");
            ids.iter().map(|id| json!({"op": remove, "path": path(id)})).collect()
        }
        (TeamEdit::Rename(_) | TeamEdit::ExternalId(_), _) => Vec::new(),
    }
}

/// A user as it should be given out, without times.
pub(super) fn user(base: &str, id: &str, stored: &Stored<User>) -> Value {
    let is = &stored.is;
    let mut value = json!({"schemas": [USER], "id": id, "userName": is.name, "active": is.active});
    put(&mut value, "externalId", is.external_id.map(Value::from));
    put(&mut value, "displayName", is.display_name.map(Value::from));
    let emails: Vec<Value> = is
        .emails
        .iter()
        .map(|mail| {
            let mut entry = json!({"type": mail.kind, "value": mail.value});
            put(&mut entry, "primary", mail.primary.map(Value::from));
            entry
        })
        .collect();
    put(&mut value, "emails", (!emails.is_empty()).then(|| emails.into()));
    if is.department.is_some() || is.manager.is_some() {
        value["schemas"] = json!([USER, ENTERPRISE]);
        let mut extension = json!({});
        put(&mut extension, "department", is.department.map(Value::from));
        put(&mut extension, "manager", is.manager.map(|manager| json!({"value": manager})));
        value[ENTERPRISE] = extension;
    }
    value["meta"] = meta("User", &format!("{base}/Users/{id}"), stored.version);
    value
}

/// A group as it should be given out, without times. `is_group` tells of a member what it is.
pub(super) fn group(
    base: &str,
    id: &str,
    stored: &Stored<Group>,
    is_group: impl Fn(&str) -> bool,
) -> Value {
    let is = &stored.is;
    let mut value = json!({"schemas": [GROUP], "id": id, "displayName": is.name});
    put(&mut value, "externalId", is.external_id.map(Value::from));
    let members = is.members.iter().map(|member| {
        let (kind, endpoint) =
            if is_group(member) { ("Group", "Groups") } else { ("User", "Users") };
        json!({"value": member, "$ref": format!("{base}/{endpoint}/{member}"), "type": kind})
    });
    let members: Vec<Value> = members.collect();
    put(&mut value, "members", (!members.is_empty()).then(|| members.into()));
    value["meta"] = meta("Group", &format!("{base}/Groups/{id}"), stored.version);
    value
}

/// An entry of a user's `groups`.
pub(super) fn group_of_user(base: &str, (id, way): (&str, &str), group: &Group) -> Value {
    json!({"value": id, "$ref": format!("{base}/Groups/{id}"), "display": group.name, "type": way})
}

fn put(object: &mut Value, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        object[name] = value;
    }
}

fn meta(kind: &str, location: &str, version: u64) -> Value {
    json!({"resourceType": kind, "location": location, "version": tag(version)})
}

/// A version as an entity tag.
pub(super) fn tag(version: u64) -> String {
    format!("W/\"{version}\"")
}
