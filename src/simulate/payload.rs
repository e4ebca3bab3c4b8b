//! The bodies that Entra sends, in both of its dialects, and the ends of the URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::source::{
    DEPARTMENT, DISPLAY_NAME, EMPLOYEE_NUMBER, ENTERPRISE, EXTERNAL_ID, FAMILY_NAME, FULL_NAME,
    GIVEN_NAME, MAPPING, Person, USER_NAME, WORK_EMAIL,
};
use super::value::{ACTIVE, Difference, Wanted};

pub(super) const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(super) const CORE_GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// Not a URN, and known to nobody but Entra, which sends it.
const ENTRA_GROUP: &str =
    "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// How Entra writes a PATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Without the flag: capital operations, one for each attribute, booleans as texts.
    Legacy,
    /// With the flag `aadOptscim062020`: as the RFC has it, most attributes in one operation without a path.
    Compliant,
}

impl Dialect {
    /// Its name in the output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Compliant => "compliant",
        }
    }

    fn operation(self, operation: Operation) -> &'static str {
        match (self, operation) {
            (Self::Legacy, Operation::Add) => "Add",
            (Self::Legacy, Operation::Replace) => "Replace",
            (Self::Legacy, Operation::Remove) => "Remove",
            (Self::Compliant, Operation::Add) => "add",
            (Self::Compliant, Operation::Replace) => "replace",
            (Self::Compliant, Operation::Remove) => "remove",
        }
    }

    fn value(self, wanted: &Wanted) -> Value {
        match (self, wanted) {
            (_, Wanted::Text(text)) => Value::from(text.as_str()),
            (Self::Legacy, Wanted::Flag(flag)) => Value::from(if *flag { "True" } else { "False" }),
            (Self::Compliant, Wanted::Flag(flag)) => Value::from(*flag),
        }
    }
}

/// What a PATCH does to an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Replace,
    Remove,
}

/// A new person. The manager comes later, in a request of its own.
pub(super) fn new_user(person: &Person) -> Value {
    let text = |target: &str| person.get(target).map(Value::from);
    let mut user = Map::new();
    user.insert("schemas".to_owned(), json!([CORE_USER, ENTERPRISE]));
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            user.insert(name.to_owned(), value);
        }
    };
    put(EXTERNAL_ID, text(EXTERNAL_ID));
    put(USER_NAME, text(USER_NAME));
    put(ACTIVE, Some(Value::from(person.is_active())));
    put(DISPLAY_NAME, text(DISPLAY_NAME));
    put("title", text("title"));
    put("preferredLanguage", text("preferredLanguage"));
    let email = text(WORK_EMAIL);
    put("emails", email.map(|value| json!([{"primary": true, "type": "work", "value": value}])));
    put("meta", Some(json!({"resourceType": "User"})));
    let parts = [("formatted", FULL_NAME), ("familyName", FAMILY_NAME), ("givenName", GIVEN_NAME)];
    put("name", object(parts.map(|(name, target)| (name, text(target)))));
    put("addresses", address(person).map(|address| Value::Array(vec![address])));
    put("phoneNumbers", phones(person));
    let parts = [("employeeNumber", EMPLOYEE_NUMBER), ("department", DEPARTMENT)];
    put(ENTERPRISE, object(parts.map(|(name, target)| (name, text(target)))));
    put("roles", Some(json!([])));
    Value::Object(user)
}

fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Option<Value> {
    let members = members.into_iter();
    let there: Map<String, Value> =
        members.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    (!there.is_empty()).then_some(Value::Object(there))
}

fn address(person: &Person) -> Option<Value> {
    let prefix = "addresses[type eq \"work\"].";
    let parts = MAPPING.iter().filter_map(|(_, target)| {
        let name = target.strip_prefix(prefix)?;
        Some((name.to_owned(), Value::from(person.get(target)?)))
    });
    let parts: Map<String, Value> = parts.collect();
    if parts.is_empty() {
        return None;
    }
    let kind = ("type".to_owned(), Value::from("work"));
    Some(Value::Object(std::iter::once(kind).chain(parts).collect()))
}

fn phones(person: &Person) -> Option<Value> {
    let phones = ["work", "mobile", "fax"].into_iter().filter_map(|kind| {
        let number = person.get(&format!("phoneNumbers[type eq \"{kind}\"].value"))?;
        Some(json!({"type": kind, "value": number}))
    });
    let phones: Vec<Value> = phones.collect();
    (!phones.is_empty()).then_some(Value::Array(phones))
}

/// A change of a person or a group. `odd` lets Entra take Add for Replace and the other way round, as it does when it is
/// mistaken about what is there.
pub(super) fn update(differences: &[Difference], dialect: Dialect, odd: bool) -> Value {
    let kind = |difference: &Difference| match (difference.found.is_some(), odd) {
        (true, false) | (false, true) => Operation::Replace,
        (false, false) | (true, true) => Operation::Add,
    };
    let with_path = |difference: &Difference| {
        let operation =
            if difference.target == ACTIVE { Operation::Replace } else { kind(difference) };
        json!({
            "op": dialect.operation(operation),
            "path": difference.target,
            "value": dialect.value(&difference.wanted),
        })
    };
    let operations: Vec<Value> = match dialect {
        Dialect::Legacy => differences.iter().map(with_path).collect(),
        Dialect::Compliant => {
            let (filtered, rest): (Vec<_>, Vec<_>) =
                differences.iter().partition(|difference| difference.target.contains('['));
            let mut operations: Vec<Value> = filtered.into_iter().map(with_path).collect();
            match rest.as_slice() {
                [] => {}
                [one] => operations.push(with_path(one)),
                several => {
                    let flat = several.iter().map(|difference| {
                        (difference.target.to_owned(), dialect.value(&difference.wanted))
                    });
                    let flat: Map<String, Value> = flat.collect();
                    operations.push(json!({"op": "replace", "value": flat}));
                }
            }
            operations
        }
    };
    envelope(&operations)
}

/// Another manager, as a bare text.
pub(super) fn manager(id: &str, had_one: bool, dialect: Dialect) -> Value {
    let operation = if had_one { Operation::Replace } else { Operation::Add };
    let path = format!("{ENTERPRISE}:manager");
    envelope(&[json!({"op": dialect.operation(operation), "path": path, "value": id})])
}

/// A new group, without its members.
pub(super) fn new_group(key: &str, name: &str) -> Value {
    json!({
        "schemas": [CORE_GROUP, ENTRA_GROUP],
        "externalId": key,
        "displayName": name,
        "meta": {"resourceType": "Group"},
    })
}

/// Members more or less: mostly one, on demand up to five.
pub(super) fn membership(members: &[String], operation: Operation, dialect: Dialect) -> Value {
    let op = dialect.operation(operation);
    let entries = |of: fn(&String) -> Value| members.iter().map(of).collect::<Vec<_>>();
    let operations = match (dialect, operation) {
        (Dialect::Compliant, Operation::Remove) => {
            let path = |member: &String| format!("members[value eq {}]", quoted(member));
            members.iter().map(|member| json!({"op": op, "path": path(member)})).collect()
        }
        (Dialect::Compliant, Operation::Add | Operation::Replace) => {
            let entries = entries(|member| json!({"value": member}));
            vec![json!({"op": op, "path": "members", "value": entries})]
        }
        (Dialect::Legacy, Operation::Add | Operation::Replace | Operation::Remove) => {
            let entries = entries(|member| json!({"$ref": null, "value": member}));
            vec![json!({"op": op, "path": "members", "value": entries})]
        }
    };
    envelope(&operations)
}

pub(super) fn envelope(operations: &[Value]) -> Value {
    json!({"schemas": [PATCH], "Operations": operations})
}

/// A text between quotes, as filters have it.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// `attribute eq "value"`, encoded as Entra does: a space is `+`, a quote `%22`.
pub(super) fn equals(path: &str, value: &str) -> String {
    encoded(&format!("{path} eq {}", quoted(value)))
}

/// Two such comparisons.
pub(super) fn both(first: (&str, &str), second: (&str, &str)) -> String {
    let (first, second) = (equals(first.0, first.1), equals(second.0, second.1));
    format!("{first}+and+{second}")
}

/// The form encoding of the .NET client: unreserved characters, `!`, `(`, `)` and `*` stand, a space is `+`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'!'
            | b'('
            | b')'
            | b'*'
            | b':' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => {
                out.push('%');
                out.push_str(&data_encoding::HEXUPPER.encode(&[other]));
            }
        }
    }
    out
}

/// What stands as it is in a path.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// An id as a segment of a path.
pub(super) fn segment(id: &str) -> String {
    utf8_percent_encode(id, UNRESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn difference(target: &'static str, wanted: Wanted, found: Option<&str>) -> Difference {
        Difference { target, wanted, found: found.map(ToOwned::to_owned) }
    }

    #[test]
    fn filters_are_encoded_as_on_the_wire() {
        expect!["userName+eq+%22ida%2Btest%40ex.test%22"]
            .assert_eq(&equals("userName", "ida+test@ex.test"));
        expect!["emails%5Btype+eq+%22work%22%5D.value+eq+%22i%40ex.test%22"]
            .assert_eq(&equals(WORK_EMAIL, "i@ex.test"));
        expect!["displayName+eq+%22Eng+%26+Ops+%5C%22x%5C%22+%C3%85%22"]
            .assert_eq(&equals("displayName", "Eng & Ops \"x\" Å"));
        expect!["id+eq+%22u%22+and+manager+eq+%22m%22"]
            .assert_eq(&both(("id", "u"), ("manager", "m")));
    }

    #[test]
    fn both_dialects_say_the_same_in_their_own_words() {
        let changed = [
            difference(DISPLAY_NAME, Wanted::Text("Ida Ek".into()), Some("Ida")),
            difference(WORK_EMAIL, Wanted::Text("i@ex.test".into()), None),
            difference(DEPARTMENT, Wanted::Text("R&D".into()), None),
            difference(ACTIVE, Wanted::Flag(false), Some("true")),
        ];
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"displayName","value":"Ida Ek"},{"op":"Add","path":"emails[type eq \"work\"].value","value":"i@ex.test"},{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"R&D"},{"op":"Replace","path":"active","value":"False"}]}"#]]
            .assert_eq(&update(&changed, Dialect::Legacy, false).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"emails[type eq \"work\"].value","value":"i@ex.test"},{"op":"replace","value":{"displayName":"Ida Ek","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department":"R&D","active":false}}]}"#]]
            .assert_eq(&update(&changed, Dialect::Compliant, false).to_string());
        let [.., active] = &changed;
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}"#]]
            .assert_eq(&update(std::slice::from_ref(active), Dialect::Compliant, false).to_string());
    }

    #[test]
    fn a_member_is_removed_in_two_ways() {
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Remove","path":"members","value":[{"$ref":null,"value":"u-1"}]}]}"#]]
            .assert_eq(&membership(&["u-1".to_owned()], Operation::Remove, Dialect::Legacy).to_string());
        expect![[r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members[value eq \"u-1\"]"}]}"#]]
            .assert_eq(&membership(&["u-1".to_owned()], Operation::Remove, Dialect::Compliant).to_string());
    }
}
