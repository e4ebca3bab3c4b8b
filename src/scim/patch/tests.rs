//! PATCH as identity providers send it: a row for each shape.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes its strings so")]

use std::sync::LazyLock;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::super::catalog::{Catalog, Kind, ResourceType};
use super::super::document::Document;
use super::super::error::ScimError;
use super::super::validate;
use super::path::PatchPath;
use super::{MemberDelta, PatchRequest, QUIRKS, ids};
use crate::limits::{OP_SHOWN_MAX, PATCH_OPERATIONS_MAX, VALUES_MAX};

pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::embedded().unwrap());

pub(super) fn users() -> &'static ResourceType {
    CATALOG.resource_type(Kind::User)
}

pub(super) fn groups() -> &'static ResourceType {
    CATALOG.resource_type(Kind::Group)
}

/// A person with one of everything.
pub(super) fn ida() -> Document {
    let body = json!({
        "userName": "ida@ex.test",
        "externalId": "iek",
        "active": true,
        "displayName": "Ida Ek",
        "name": {"givenName": "Ida", "familyName": "Ek"},
        "emails": [
            {"type": "work", "value": "ida@ex.test", "primary": true},
            {"type": "home", "value": "ida@home.test"}
        ],
        ENTERPRISE: {"department": "R&D", "manager": {"value": "u-1", "$ref": "../Users/u-1"}}
    });
    validate::document(users(), &body).unwrap()
}

fn bare() -> Document {
    validate::document(users(), &json!({"userName": "ida@ex.test"})).unwrap()
}

/// Short names in the tables for the enterprise extension's URN.
fn expand(text: &str) -> String {
    text.replace("ENT", ENTERPRISE)
}

fn shorten(text: &str) -> String {
    text.replace(ENTERPRISE, "ENT")
}

fn request(operations: &str) -> Value {
    let operations: Value = serde_json::from_str(&expand(operations)).unwrap();
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

fn patch(
    document: &Document,
    operations: &str,
) -> Result<(Document, Vec<&'static str>), ScimError> {
    let request = PatchRequest::parse(users(), &request(operations))?;
    let after = request.apply(users(), document)?;
    Ok((after, request.quirks().to_vec()))
}

/// Only what changed: attributes that are new or different, and the names of those that have gone.
fn difference(before: &Document, after: &Document) -> String {
    let mut lines = Vec::new();
    for (name, value) in after.attributes() {
        if before.get(name) != Some(value) {
            lines.push(format!("{name} = {value}"));
        }
    }
    for name in before.attributes().keys().filter(|name| after.get(name).is_none()) {
        lines.push(format!("- {name}"));
    }
    if lines.is_empty() {
        lines.push("no change".to_owned());
    }
    shorten(&lines.join("\n"))
}

fn report(before: &Document, operations: &str) -> String {
    match patch(before, operations) {
        Ok((after, quirks)) if quirks.is_empty() => difference(before, &after),
        Ok((after, quirks)) => format!("{}\n({})", difference(before, &after), quirks.join(", ")),
        Err(error) => shorten(&format!("{:?}: {}", error.kind(), error.detail())),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "expect![..] is written in place")]
fn check(operations: &str, expected: Expect) {
    expected.assert_eq(&report(&ida(), operations));
}

#[expect(clippy::needless_pass_by_value, reason = "expect![..] is written in place")]
fn check_bare(operations: &str, expected: Expect) {
    expected.assert_eq(&report(&bare(), operations));
}

#[expect(clippy::needless_pass_by_value, reason = "expect![..] is written in place")]
fn check_members(operations: &str, expected: Expect) {
    let report = match PatchRequest::parse(groups(), &request(operations)) {
        Ok(request) => format!(
            "{}{}{}",
            match request.members() {
                None => "members not named".to_owned(),
                Some(delta) => show(delta),
            },
            if request.touches_document() { "; document, too" } else { "" },
            if request.quirks().is_empty() {
                String::new()
            } else {
                format!(" ({})", request.quirks().join(", "))
            },
        ),
        Err(error) => format!("{:?}: {}", error.kind(), error.detail()),
    };
    expected.assert_eq(&report);
}

fn show(delta: &MemberDelta) -> String {
    let mut text = Vec::new();
    if delta.is_empty() {
        text.push("nothing".to_owned());
    }
    if delta.replaces() {
        text.push("all go but those added".to_owned());
    }
    text.extend(delta.added().iter().map(|id| format!("+{id}")));
    text.extend(delta.removed().iter().map(|id| format!("-{id}")));
    text.join(" ")
}

#[test]
fn p1_p2_single_values() {
    check(
        r#"[{"op":"Replace","path":"userName","value":"ida.ek@ex.test"}]"#,
        expect![[r#"
        userName = "ida.ek@ex.test"
        (capital-op)"#]],
    );
    check(
        r#"[{"op":"Add","path":"displayName","value":"Ida"}]"#,
        expect![[r#"
        displayName = "Ida"
        (capital-op)"#]],
    );
    check(
        r#"[{"op":"replace","path":"displayName","value":"Ida"}]"#,
        expect![[r#"displayName = "Ida""#]],
    );
    check(
        r#"[{"op":"REPLACE","path":"displayName","value":"Ida"}]"#,
        expect![[r#"
        displayName = "Ida"
        (capital-op)"#]],
    );
    check(
        r#"[{"op":"replace","path":"DISPLAYNAME","value":"  Ida\u0000 "}]"#,
        expect![[r#"displayName = "  Ida\u0000 ""#]],
    );
    check(r#"[{"op":"replace","path":"displayName","value":"Ida Ek"}]"#, expect!["no change"]);
    check(
        r#"[{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:title","value":"Dr"}]"#,
        expect![[r#"title = "Dr""#]],
    );
}

#[test]
fn p3_name_parts() {
    check_bare(
        r#"[{"op":"Add","path":"name.givenName","value":"Ida"}]"#,
        expect![[r#"
        name = {"givenName":"Ida"}
        (capital-op)"#]],
    );
    check(
        r#"[{"op":"replace","path":"name.givenName","value":"Eda"}]"#,
        expect![[r#"name = {"givenName":"Eda","familyName":"Ek"}"#]],
    );
    check(
        r#"[{"op":"replace","path":"name","value":{"GIVENNAME":"Eda"}}]"#,
        expect![[r#"name = {"givenName":"Eda","familyName":"Ek"}"#]],
    );
    check(
        r#"[{"op":"replace","path":"name","value":{"givenName":""}}]"#,
        expect![[r#"name = {"familyName":"Ek"}"#]],
    );
    check(
        r#"[{"op":"remove","path":"name.givenName"},{"op":"remove","path":"name.familyName"}]"#,
        expect!["- name"],
    );
}

#[test]
fn p4_to_p7_filtered_paths() {
    let mail =
        r#"[{"op":"Replace","path":"emails[type eq \"work\"].value","value":"new@ex.test"}]"#;
    check(
        mail,
        expect![[r#"
        emails = [{"type":"work","value":"new@ex.test","primary":true},{"type":"home","value":"ida@home.test"}]
        (capital-op)"#]],
    );
    check_bare(
        mail,
        expect![[r#"
        emails = [{"type":"work","value":"new@ex.test"}]
        (capital-op)"#]],
    );
    check(
        r#"[{"op":"replace","path":"Emails[Type EQ \"Work\"].Value","value":"new@ex.test"}]"#,
        expect![[
            r#"emails = [{"type":"work","value":"new@ex.test","primary":true},{"type":"home","value":"ida@home.test"}]"#
        ]],
    );
    check_bare(
        r#"[
            {"op":"Add","path":"addresses[type eq \"work\"].formatted","value":"A 1"},
            {"op":"Add","path":"addresses[type eq \"work\"].streetAddress","value":"B 2"},
            {"op":"Add","path":"addresses[type eq \"work\"].locality","value":"C"},
            {"op":"Add","path":"addresses[type eq \"work\"].region","value":"D"},
            {"op":"Add","path":"addresses[type eq \"work\"].postalCode","value":"E"},
            {"op":"Add","path":"addresses[type eq \"work\"].country","value":"SE"}
        ]"#,
        expect![[r#"
            addresses = [{"type":"work","formatted":"A 1","streetAddress":"B 2","locality":"C","region":"D","postalCode":"E","country":"SE"}]
            (capital-op)"#]],
    );
    check_bare(
        r#"[{"op":"Add","path":"phoneNumbers[type eq \"mobile\"].value","value":"Qwx"},
            {"op":"Add","path":"phoneNumbers[type eq \"fax\"].value","value":"9"}]"#,
        expect![[r#"
            phoneNumbers = [{"type":"mobile","value":"Qwx"},{"type":"fax","value":"9"}]
            (capital-op)"#]],
    );
    check(
        r#"[{"op":"replace","path":"emails[type eq \"work\"]","value":{"value":"n@ex.test"}}]"#,
        expect![[
            r#"emails = [{"type":"work","value":"n@ex.test"},{"type":"home","value":"ida@home.test"}]"#
        ]],
    );
    check(
        r#"[{"op":"add","path":"emails[type eq \"work\"]","value":[{"display":"Ida"}]}]"#,
        expect![[
            r#"emails = [{"type":"work","value":"ida@ex.test","primary":true,"display":"Ida"},{"type":"home","value":"ida@home.test"}]"#
        ]],
    );
    check(
        r#"[{"op":"replace","path":"emails[type eq \"other\"]","value":"o@ex.test"}]"#,
        expect![[r#"
        emails = [{"type":"work","value":"ida@ex.test","primary":true},{"type":"home","value":"ida@home.test"},{"type":"other","value":"o@ex.test"}]
        (string-for-complex)"#]],
    );
    check(
        r#"[{"op":"replace","path":"emails.display","value":"x"}]"#,
        expect![[
            r#"emails = [{"type":"work","value":"ida@ex.test","primary":true,"display":"x"},{"type":"home","value":"ida@home.test","display":"x"}]"#
        ]],
    );
    check(
        r#"[{"op":"replace","path":"emails[type eq \"work\" or type eq \"home\"].display","value":"x"}]"#,
        expect![[
            r#"emails = [{"type":"work","value":"ida@ex.test","primary":true,"display":"x"},{"type":"home","value":"ida@home.test","display":"x"}]"#
        ]],
    );
}

#[test]
fn p8_p9_primary() {
    check(
        r#"[{"op":"Replace","path":"emails[type eq \"home\"].primary","value":"True"}]"#,
        expect![[r#"
        emails = [{"type":"work","value":"ida@ex.test","primary":false},{"type":"home","value":"ida@home.test","primary":true}]
        (capital-op, string-boolean)"#]],
    );
    check(
        r#"[{"op":"add","path":"emails","value":{"value":"c@ex.test","primary":true}}]"#,
        expect![[r#"
        emails = [{"type":"work","value":"ida@ex.test","primary":false},{"type":"home","value":"ida@home.test"},{"value":"c@ex.test","primary":true}]
        (scalar-for-array)"#]],
    );
    check(
        r#"[{"op":"replace","path":"emails[primary eq true].value","value":"p@ex.test"}]"#,
        expect![[
            r#"emails = [{"type":"work","value":"p@ex.test","primary":true},{"type":"home","value":"ida@home.test"}]"#
        ]],
    );
    check(
        r#"[{"op":"replace","path":"emails[primary eq \"True\"].value","value":"p@ex.test"}]"#,
        expect![[r#"
        emails = [{"type":"work","value":"p@ex.test","primary":true},{"type":"home","value":"ida@home.test"}]
        (quoted-boolean-in-filter)"#]],
    );
    check_bare(
        r#"[{"op":"replace","path":"roles[primary eq \"True\"].value","value":"Editor"}]"#,
        expect![[r#"
        roles = [{"primary":true,"value":"Editor"}]
        (quoted-boolean-in-filter)"#]],
    );
    check_bare(
        r#"[{"op":"replace","path":"addresses[primary eq true].formatted","value":"A 1"},
            {"op":"replace","path":"addresses[primary eq true].country","value":"SE"}]"#,
        expect![[r#"addresses = [{"primary":true,"formatted":"A 1","country":"SE"}]"#]],
    );
    check_bare(
        r#"[{"op":"add","path":"emails[type eq \"work\"].primary","value":"True"},
            {"op":"add","path":"emails[type eq \"work\"].value","value":"w@ex.test"}]"#,
        expect![[r#"
            emails = [{"type":"work","primary":true,"value":"w@ex.test"}]
            (string-boolean)"#]],
    );
}

#[test]
fn p10_p11_without_a_path() {
    check(
        r#"[{"op":"replace","value":{"name.givenName":"Eda","displayName":"Eda Ek","ENT:department":"Ops",
            "emails[type eq \"work\"].value":"e@ex.test"}}]"#,
        expect![[r#"
            displayName = "Eda Ek"
            name = {"givenName":"Eda","familyName":"Ek"}
            emails = [{"type":"work","value":"e@ex.test","primary":true},{"type":"home","value":"ida@home.test"}]
            ENT = {"department":"Ops","manager":{"value":"u-1","$ref":"../Users/u-1"}}
            (pathless-dotted-keys)"#]],
    );
    check(
        r#"[{"op":"add","value":{"name":{"givenName":"Eda"},"ENT":{"costCenter":"7","manager.value":"u-2"}}}]"#,
        expect![[r#"
        name = {"givenName":"Eda","familyName":"Ek"}
        ENT = {"department":"R&D","manager":{"value":"u-2"},"costCenter":"7"}"#]],
    );
    check(
        r#"[{"op":"replace","path":"","value":{"name":{"givenName":null},"ENT":{"department":""}}}]"#,
        expect![[r#"
        name = {"familyName":"Ek"}
        ENT = {"manager":{"value":"u-1","$ref":"../Users/u-1"}}"#]],
    );
    check(
        r#"[{"op":"replace","value":{"urn:ietf:params:scim:schemas:core:2.0:User":{"title":"Dr"}}}]"#,
        expect![[r#"title = "Dr""#]],
    );
    check(
        r#"[{"op":"replace","value":{"id":"x","meta":{},"schemas":[],"groups":[{"value":"g"}],"title":"Dr"}}]"#,
        expect![[r#"
        title = "Dr"
        (read-only-in-value)"#]],
    );
    check(r#"[{"op":"replace","value":[{"title":"Dr"}]}]"#, expect![[r#"title = "Dr""#]]);
    check(
        r#"[{"op":"replace","value":"Dr"}]"#,
        expect![
            "InvalidValue: operation 1: value, without a path, must be an object, not a string"
        ],
    );
    check(r#"[{"op":"replace","value":{}}]"#, expect!["no change"]);
    check(
        r#"[{"op":"replace","value":{"a b":1,"":2,"title":"Dr"}}]"#,
        expect![[r#"title = "Dr""#]],
    );
    check(
        r#"[{"op":"replace","value":{"emails[type eq":1}}]"#,
        expect![[
            r#"InvalidPath: operation 1: path: not an attribute path such as title, name.givenName or emails[type eq "work"].value"#
        ]],
    );
    check(
        r#"[{"op":"replace"}]"#,
        expect!["InvalidValue: operation 1: add and replace need a value"],
    );
    check(r#"[{"op":"remove"}]"#, expect!["NoTarget: operation 1: remove needs a path"]);
    check(
        r#"[{"op":"remove","value":{"title":"x"}}]"#,
        expect!["NoTarget: operation 1: remove needs a path"],
    );
}

#[test]
fn p12_extension() {
    check_bare(
        r#"[{"op":"Add","path":"ENT:department","value":"R&D"}]"#,
        expect![[r#"
        ENT = {"department":"R&D"}
        (capital-op)"#]],
    );
    check_bare(
        r#"[{"op":"add","path":"URN:IETF:Params:scim:schemas:Extension:Enterprise:2.0:user:DEPARTMEnt","value":"R&D"}]"#,
        expect![[r#"ENT = {"department":"R&D"}"#]],
    );
    check_bare(
        r#"[{"op":"add","path":"department","value":"R&D"}]"#,
        expect![[r#"ENT = {"department":"R&D"}"#]],
    );
    check(
        r#"[{"op":"add","path":"ENT","value":{"costCenter":"7"}}]"#,
        expect![[
            r#"ENT = {"department":"R&D","manager":{"value":"u-1","$ref":"../Users/u-1"},"costCenter":"7"}"#
        ]],
    );
    check(
        r#"[{"op":"replace","path":"ENT","value":{"costCenter":"7"}}]"#,
        expect![[r#"ENT = {"costCenter":"7"}"#]],
    );
    check(r#"[{"op":"replace","path":"ENT","value":{}}]"#, expect!["- ENT"]);
    check(r#"[{"op":"replace","path":"ENT","value":null}]"#, expect!["- ENT"]);
    check(r#"[{"op":"remove","path":"ENT"}]"#, expect!["- ENT"]);
    check(
        r#"[{"op":"add","path":"ENT","value":"x"}]"#,
        expect!["InvalidValue: operation 1: ENT must be an object, not a string"],
    );
}

#[test]
fn p13_to_p16_manager() {
    for value in [
        r#""u-9""#,
        r#"{"value":"u-9"}"#,
        r#"[{"value":"u-9"}]"#,
        r#"{"Value":"u-9","displayName":"Bo"}"#,
    ] {
        for path in ["ENT:manager", "manager"] {
            let operations = format!(r#"[{{"op":"replace","path":"{path}","value":{value}}}]"#);
            let (after, _) = patch(&ida(), &operations).unwrap();
            let manager = after.get(ENTERPRISE).and_then(|extension| extension.get("manager"));
            assert_eq!(manager, Some(&json!({"value": "u-9"})), "{operations}");
        }
    }
    check(
        r#"[{"op":"replace","path":"ENT:manager.value","value":"u-9"}]"#,
        expect![[r#"ENT = {"department":"R&D","manager":{"value":"u-9"}}"#]],
    );
    check(
        r#"[{"op":"Add","path":"manager","value":[{"$ref":"http://x/Users/u-9","value":"u-9"}]}]"#,
        expect![[r#"
        ENT = {"department":"R&D","manager":{"$ref":"http://x/Users/u-9","value":"u-9"}}
        (capital-op, array-for-scalar)"#]],
    );
    for gone in [
        r#"[{"op":"replace","path":"ENT:manager","value":""}]"#,
        r#"[{"op":"replace","path":"ENT:manager","value":null}]"#,
        r#"[{"op":"replace","path":"ENT:manager","value":[]}]"#,
        r#"[{"op":"replace","path":"ENT:manager","value":{"value":""}}]"#,
        r#"[{"op":"Remove","path":"ENT:manager"}]"#,
        r#"[{"op":"Remove","path":"ENT:manager","value":{"value":"u-1"}}]"#,
        r#"[{"op":"Remove","path":"ENT:manager","value":[{"value":"u-1"}]}]"#,
        r#"[{"op":"remove","path":"manager.value"}]"#,
        r#"[{"op":"replace","value":{"ENT:manager":null}}]"#,
    ] {
        let (after, _) = patch(&ida(), gone).unwrap();
        assert_eq!(after.get(ENTERPRISE), Some(&json!({"department": "R&D"})), "{gone}");
    }
    check(
        r#"[{"op":"remove","path":"manager"},{"op":"remove","path":"department"}]"#,
        expect!["- ENT"],
    );
    check(
        r#"[{"op":"replace","path":"manager","value":{"displayName":"Bo"}}]"#,
        expect!["no change"],
    );
    check(r#"[{"op":"replace","path":"manager.displayName","value":"Bo"}]"#, expect!["no change"]);
    check(
        r#"[{"op":"replace","path":"manager","value":[{"value":"a"},{"value":"b"}]}]"#,
        expect!["InvalidValue: operation 1: manager must be an object, not an array"],
    );
    check(
        r#"[{"op":"replace","path":"manager[value eq \"u-1\"]","value":"b"}]"#,
        expect!["InvalidPath: operation 1: path: manager has a single value: no filter can choose"],
    );
}

#[test]
fn p17_p18_active() {
    let spellings = [
        (false, ["false", r#""False""#, r#""false""#, r#""FALSE""#, "[false]"]),
        (true, ["true", r#""True""#, r#""true""#, r#""TRUE""#, r#"["True"]"#]),
    ];
    for op in ["Add", "Replace", "add", "replace"] {
        for (wanted, values) in spellings {
            for value in values {
                let set = format!(r#"{{"op":"{op}","path":"active","value":{value}}}"#);
                let pathless = format!(r#"{{"op":"{op}","value":{{"active":{value}}}}}"#);
                for operation in [set, pathless] {
                    let opposite =
                        format!(r#"{{"op":"replace","path":"active","value":{}}}"#, !wanted);
                    let (after, _) = patch(&ida(), &format!("[{opposite},{operation}]")).unwrap();
                    assert_eq!(after.is_active(), wanted, "{operation}");
                }
            }
        }
    }
    check(
        r#"[{"op":"Replace","path":"active","value":"False"}]"#,
        expect![[r#"
        active = false
        (capital-op, string-boolean)"#]],
    );
    check(
        r#"[{"op":"replace","path":"active","value":"banana"}]"#,
        expect![[
            r#"InvalidValue: operation 1: active must be true or false; the strings "true" and "false" are taken as well, and another one arrived"#
        ]],
    );
    check(
        r#"[{"op":"replace","path":"active","value":1}]"#,
        expect!["InvalidValue: operation 1: active must be true or false, not a number"],
    );
    check(
        r#"[{"op":"replace","path":"active","value":false},{"op":"replace","path":"active","value":""}]"#,
        expect!["active = false"],
    );
    check(r#"[{"op":"remove","path":"active"}]"#, expect!["- active"]);
}

#[test]
fn p19_clearing() {
    for empty in [r#""""#, "null", "[]", "{}"] {
        let with = |path: &str| format!(r#"[{{"op":"replace","path":"{path}","value":{empty}}}]"#);
        for (path, gone) in [
            ("displayName", "displayName"),
            ("externalId", "externalId"),
            ("name", "name"),
            ("emails", "emails"),
        ] {
            let (after, _) = patch(&ida(), &with(path)).unwrap();
            assert_eq!(after.get(gone), None, "{path} {empty}");
        }
        let (after, _) = patch(&ida(), &with(r#"emails[type eq \"work\"].value"#)).unwrap();
        assert_eq!(after.get("emails"), Some(&json!([{"type": "home", "value": "ida@home.test"}])));
        let (after, _) = patch(&ida(), &with(r#"emails[type eq \"work\"]"#)).unwrap();
        assert_eq!(after.get("emails"), Some(&json!([{"type": "home", "value": "ida@home.test"}])));
        let (after, _) = patch(&ida(), &with(r#"phoneNumbers[type eq \"work\"].value"#)).unwrap();
        assert_eq!(after, ida());
    }
    check(
        r#"[{"op":"replace","path":"userName","value":""}]"#,
        expect!["Mutability: operation 1: userName is required and cannot be removed"],
    );
    check(
        r#"[{"op":"remove","path":"userName"}]"#,
        expect!["Mutability: operation 1: userName is required and cannot be removed"],
    );
    check(
        r#"[{"op":"remove","path":"userName"},{"op":"add","path":"userName","value":"b"}]"#,
        expect![[r#"userName = "b""#]],
    );
    check(r#"[{"op":"add","path":"emails","value":[]}]"#, expect!["no change"]);
    check(r#"[{"op":"add","path":"emails","value":[{}]}]"#, expect!["no change"]);
    check(
        r#"[{"op":"replace","value":{"displayName":null,"title":null,"name.givenName":null,"ENT:manager":null}}]"#,
        expect![[r#"
        name = {"familyName":"Ek"}
        ENT = {"department":"R&D"}
        - displayName
        (pathless-dotted-keys)"#]],
    );
}

#[test]
fn an_empty_addition_clears_a_single_value_and_leaves_a_list_alone() {
    check(r#"[{"op":"add","path":"displayName","value":""}]"#, expect!["- displayName"]);
    check(r#"[{"op":"add","path":"displayName","value":null}]"#, expect!["- displayName"]);
    check(r#"[{"op":"add","path":"emails","value":{}}]"#, expect!["no change"]);
}

#[test]
fn what_is_replaced_as_a_whole_keeps_nothing() {
    check(
        r#"[{"op":"replace","path":"emails","value":[{"value":"new@ex.test","type":"other"}]}]"#,
        expect![[r#"emails = [{"value":"new@ex.test","type":"other"}]"#]],
    );
}

/// A link is compared letter by letter, unlike a text.
#[test]
fn one_link_of_several_is_taken_out() {
    check_bare(
        r#"[{"op":"add","path":"photos","value":[{"value":"https://x/A"},{"value":"https://x/b"}]},
            {"op":"remove","path":"photos","value":[{"value":"https://x/a"},{"value":"https://x/b"}]}]"#,
        expect![[r#"
            photos = [{"value":"https://x/A"}]
            (remove-with-value)"#]],
    );
}

/// An identifier without quotes may consist of digits.
#[test]
fn digits_in_a_filter_are_text_where_the_attribute_is() {
    check(
        r#"[{"op":"add","path":"phoneNumbers[value eq 555].type","value":"work"}]"#,
        expect![[r#"phoneNumbers = [{"value":"555","type":"work"}]"#]],
    );
}

#[test]
fn p20_p21_removal() {
    check(
        r#"[{"op":"Remove","path":"emails[type eq \"work\"].value","value":"old@ex.test"}]"#,
        expect![[r#"
        emails = [{"type":"home","value":"ida@home.test"}]
        (capital-op, remove-with-value)"#]],
    );
    check(
        r#"[{"op":"remove","path":"emails[type eq \"work\"]"}]"#,
        expect![[r#"emails = [{"type":"home","value":"ida@home.test"}]"#]],
    );
    check(r#"[{"op":"remove","path":"emails[type eq \"fax\"].value"}]"#, expect!["no change"]);
    check(r#"[{"op":"remove","path":"emails"}]"#, expect!["- emails"]);
    check(
        r#"[{"op":"remove","path":"emails","value":[{"value":"IDA@home.test"}]}]"#,
        expect![[r#"
        emails = [{"type":"work","value":"ida@ex.test","primary":true}]
        (remove-with-value)"#]],
    );
    check(
        r#"[{"op":"remove","path":"emails","value":"ida@home.test"}]"#,
        expect![[r#"
        emails = [{"type":"work","value":"ida@ex.test","primary":true}]
        (remove-with-value, scalar-for-array, string-for-complex)"#]],
    );
    check(
        r#"[{"op":"remove","path":"emails","value":[{"value":"nobody"}]}]"#,
        expect![[r#"
        no change
        (remove-with-value)"#]],
    );
    check(
        r#"[{"op":"remove","path":"emails","value":[]}]"#,
        expect![[r#"
        no change
        (remove-with-value)"#]],
    );
    check(
        r#"[{"op":"remove","path":"emails","value":null}]"#,
        expect![[r#"
        no change
        (remove-with-value)"#]],
    );
    check(
        r#"[{"op":"remove","path":"emails","value":[{"value":"ida@ex.test","type":"home"}]}]"#,
        expect![[r#"
        no change
        (remove-with-value)"#]],
    );
    check(r#"[{"op":"remove","path":"nickName"}]"#, expect!["no change"]);
    check(
        r#"[{"op":"remove","path":"displayName","value":"whatever"}]"#,
        expect![[r#"
        - displayName
        (remove-with-value)"#]],
    );
    check(
        r#"[{"op":"remove","path":"urn:ietf:params:scim:schemas:core:2.0:User"}]"#,
        expect!["NoTarget: operation 1: remove needs a path that names an attribute"],
    );
}

#[test]
fn p22_to_p24_roles() {
    let json_text = r#"[{"op":"Add","path":"roles","value":[{"value":"{\"id\":\"1\",\"value\":\"Editor\",\"displayName\":\"The editor\"}"}]}]"#;
    check_bare(
        json_text,
        expect![[r#"
        roles = [{"value":"Editor","display":"The editor"}]
        (capital-op, json-text-in-value)"#]],
    );
    let (once, _) = patch(&bare(), json_text).unwrap();
    let (twice, _) = patch(&once, json_text).unwrap();
    assert_eq!(once, twice);
    check_bare(
        r#"[{"op":"add","path":"roles","value":[{"value":"A"},{"value":"B","type":"x"}]},
            {"op":"add","path":"roles","value":[{"value":"a"},{"value":"B","type":"x","display":"Bee"},{"value":"B","type":"y"}]}]"#,
        expect![[
            r#"roles = [{"value":"a"},{"value":"B","type":"x","display":"Bee"},{"value":"B","type":"y"}]"#
        ]],
    );
    check_bare(
        r#"[{"op":"add","path":"roles","value":["A","B"]},{"op":"replace","path":"roles","value":[{"value":"C"}]}]"#,
        expect![[r#"
            roles = [{"value":"C"}]
            (string-for-complex)"#]],
    );
    check_bare(
        r#"[{"op":"add","path":"roles","value":[{"value":"{no json"}]}]"#,
        expect![[r#"roles = [{"value":"{no json"}]"#]],
    );
}

#[test]
fn p25_scalars_and_arrays() {
    check(
        r#"[{"op":"replace","path":"emails","value":{"value":"x@ex.test"}}]"#,
        expect![[r#"
        emails = [{"value":"x@ex.test"}]
        (scalar-for-array)"#]],
    );
    check(
        r#"[{"op":"replace","path":"emails","value":"x@ex.test"}]"#,
        expect![[r#"
        emails = [{"value":"x@ex.test"}]
        (scalar-for-array, string-for-complex)"#]],
    );
    check(
        r#"[{"op":"replace","path":"displayName","value":[{"value":"Ida"}]}]"#,
        expect![[r#"
        displayName = "Ida"
        (array-for-scalar)"#]],
    );
    check(
        r#"[{"op":"replace","path":"displayName","value":["Ida"]}]"#,
        expect![[r#"
        displayName = "Ida"
        (array-for-scalar)"#]],
    );
    check(
        r#"[{"op":"replace","path":"displayName","value":["Ida","Eda"]}]"#,
        expect!["InvalidValue: operation 1: displayName must be a string, not an array"],
    );
    check(
        r#"[{"op":"replace","path":"displayName","value":{"value":"Ida"}}]"#,
        expect!["InvalidValue: operation 1: displayName must be a string, not an object"],
    );
    check(
        r#"[{"op":"replace","path":"displayName","value":7}]"#,
        expect!["InvalidValue: operation 1: displayName must be a string, not a number"],
    );
    check(
        r#"[{"op":"replace","path":"emails","value":[{"value":7}]}]"#,
        expect!["InvalidValue: operation 1: emails.value must be a string, not a number"],
    );
    check(
        r#"[{"op":"replace","path":"name","value":"Ida"}]"#,
        expect!["InvalidValue: operation 1: name must be an object, not a string"],
    );
    check(
        r#"[{"op":"replace","path":"emails","value":[[{"value":"x"}]]}]"#,
        expect!["InvalidValue: operation 1: emails must be an object, not an array"],
    );
}

#[test]
fn p26_to_p29_requests() {
    check("[]", expect!["no change"]);
    check(
        r#"[{"op":"remove","path":"externalId"},{"op":"add","value":{"externalId":"a"}},
            {"op":"replace","value":{"externalId":"b"}}]"#,
        expect![[r#"externalId = "b""#]],
    );
    check(
        r#"[{"op":"Replace","path":"shoeSize","value":"44"},
            {"op":"Replace","path":"urn:x:unknown:2.0:User:hat","value":{"a":1}},
            {"op":"Replace","path":"emails[shape eq \"round\"].value","value":"x"},
            {"op":"Replace","path":"emails[type eq \"work\"].shape","value":"x"},
            {"op":"Replace","path":"name.nick","value":"x"},
            {"op":"Replace","path":"id","value":"x"},
            {"op":"Replace","path":"meta.version","value":"x"},
            {"op":"Replace","path":"password","value":"x"},
            {"op":"Remove","path":"groups"},
            {"op":"Replace","path":"active","value":"False"}]"#,
        expect![[r#"
            active = false
            (capital-op, string-boolean)"#]],
    );
}

#[test]
fn what_is_refused() {
    for operations in [
        r#"[{"op":"Merge","path":"title","value":"x"}]"#,
        r#"[{"path":"title","value":"x"}]"#,
        r#"[{"op":7,"path":"title","value":"x"}]"#,
        r#"["x"]"#,
        r#"[{"op":"add","path":"title"}]"#,
        r#"[{"op":"add","path":7,"value":1}]"#,
        r#"[{"op":"add","path":"emails[type eq","value":"x"}]"#,
        r#"[{"op":"add","path":"emails[type zz \"a\"].value","value":"x"}]"#,
        r#"[{"op":"add","path":"emails[type eq \"a\"]value","value":"x"}]"#,
        r#"[{"op":"add","path":"a b","value":"x"}]"#,
        r#"[{"op":"add","path":"name.a.b","value":"x"}]"#,
        r#"[{"op":"add","path":"name[givenName eq \"a\"].familyName","value":"x"}]"#,
        r#"[{"op":"add","path":"emails[primary eq \"banana\"].value","value":"x"}]"#,
        r#"[{"op":"replace","path":"emails[type sw \"z\"].value","value":"x"}]"#,
        r#"[{"op":"replace","path":"emails[type eq \"a\" or type eq \"b\"].value","value":"x"}]"#,
        r#"[{"op":"replace","path":"emails[value eq \"a\"].value","value":"x"}]"#,
        r#"[{"op":"replace","path":"title","value":"x"},{"op":"replace","path":"x509Certificates","value":"no base64!"}]"#,
    ] {
        assert!(patch(&ida(), operations).is_err(), "{operations}");
    }
    expect![[r#"InvalidSyntax: operation 2: op must be add, remove or replace; "Merge" arrived"#]]
        .assert_eq(&report(&ida(), r#"[{"op":"add","path":"title","value":"x"},{"op":"Merge"}]"#));
    expect![[r#"InvalidPath: operation 1: path: not an attribute path such as title, name.givenName or emails[type eq "work"].value"#]].assert_eq(&report(&ida(), r#"[{"op":"add","path":"emails[type eq","value":"x"}]"#));
    expect!["NoTarget: operation 1: path: no value of emails fits the filter, and the filter does not say what to create (comparisons with eq, joined by and)"].assert_eq(&report(&ida(), r#"[{"op":"replace","path":"emails[type sw \"z\"].value","value":"x"}]"#));
    for body in
        [json!([]), json!({}), json!({"Operations": null}), json!({"Operations": {}}), json!(7)]
    {
        assert!(PatchRequest::parse(users(), &body).is_err(), "{body}");
    }
    let many = vec![json!({"op": "remove", "path": "title"}); PATCH_OPERATIONS_MAX + 1];
    let error = PatchRequest::parse(users(), &json!({"Operations": many})).unwrap_err();
    assert_eq!(error.kind().scim_type(), Some("tooMany"));
}

#[test]
fn an_unknown_op_is_told_as_it_arrived() {
    for (operation, arrived) in [
        (json!({"op": "Replce", "path": "title"}), r#""Replce" arrived"#),
        (json!({"op": " add\n", "path": "title"}), r#"" add\n" arrived"#),
        (json!({"op": "a\"b\u{202e}"}), r#""a\"b\u{202e}" arrived"#),
        (json!({"op": "x".repeat(OP_SHOWN_MAX)}), r#""xxxxxxxxxxxxxxxx" arrived"#),
        (json!({"op": "é".repeat(OP_SHOWN_MAX + 1)}), "a string of 17 characters arrived"),
        (json!({"op": ""}), "an empty string arrived"),
        (json!({"op": null}), "null arrived"),
        (json!({"op": ["add"]}), "an array arrived"),
        (json!({"op": {"op": "add"}}), "an object arrived"),
        (json!({"path": "title", "value": "x"}), "an operation without op arrived"),
    ] {
        let operations = json!([{"op": "add", "path": "title", "value": "x"}, operation]);
        let expected =
            format!("InvalidSyntax: operation 2: op must be add, remove or replace; {arrived}");
        assert_eq!(report(&ida(), &operations.to_string()), expected);
    }
}

#[test]
fn what_shows_on_applying_names_its_operation() {
    let title = json!({"op": "add", "path": "title", "value": "x"});
    let no_name = json!({"op": "remove", "path": "userName"});
    let name = json!({"op": "replace", "path": "userName", "value": "eda@ex.test"});
    let long = json!({"op": "replace", "path": "userName", "value": "x".repeat(1_000)});
    let role = |number: usize| json!({"value": format!("role {number}")});
    let roles = |from: usize, to: usize| json!({"op": "add", "path": "roles", "value": (from..to).map(role).collect::<Vec<_>>()});
    let nobody = json!({"op": "replace", "path": "emails[type sw \"z\"].value", "value": "x"});
    let required = "Mutability: userName is required and cannot be removed";
    let too_long = "InvalidValue: userName is too long: at most 900 bytes are allowed";
    let told =
        |number: usize, told: &str| told.replacen(": ", &format!(": operation {number}: "), 1);
    for (operations, expected) in [
        (
            json!([title, nobody, title]),
            told(
                2,
                "NoTarget: path: no value of emails fits the filter, and the filter does not say what to create (comparisons with eq, joined by and)",
            ),
        ),
        (json!([title, no_name, title]), told(2, required)),
        // The last one that made it so, not one that was mended.
        (json!([no_name, name, title, no_name, title]), told(4, required)),
        (json!([no_name, no_name]), told(1, required)),
        (
            json!([title, {"op": "replace", "value": {"title": "y", "userName": " "}}]),
            told(2, required),
        ),
        // Of two things that are wrong, the one that is told.
        (
            json!([{"op": "replace", "path": "externalId", "value": "x".repeat(2_000)}, no_name]),
            told(2, required),
        ),
        (
            json!([no_name, {"op": "replace", "path": "externalId", "value": "x".repeat(2_000)}]),
            told(1, required),
        ),
        (json!([title, title, long, title]), told(3, too_long)),
        (
            json!([roles(0, VALUES_MAX), roles(0, VALUES_MAX), roles(VALUES_MAX, VALUES_MAX + 1)]),
            told(3, "InvalidValue: roles has too many values: at most 200 are allowed"),
        ),
        (json!([no_name, title, name]), "title = \"x\"\nuserName = \"eda@ex.test\"".to_owned()),
    ] {
        let found = report(&ida(), &operations.to_string());
        assert_eq!(found, expected, "{operations:.200}");
    }
}

#[test]
fn only_a_filter_that_says_how_a_value_is_makes_one() {
    for (filter, made) in [
        (r#"type eq "other" and display eq "x""#, true),
        (r#"type eq "other""#, true),
        (r#"type eq "other" and display co "x""#, false),
        (r#"display co "x" and type eq "other""#, false),
        (r#"type eq "other" or display eq "x""#, false),
        (r#"type eq "other" and type eq "another""#, false),
        (r#"not (type eq "other")"#, false),
    ] {
        let path = format!("emails[{filter}].value");
        let add = json!([{"op": "add", "path": path, "value": "new@ex.test"}]).to_string();
        let report = report(&bare(), &add);
        assert_eq!(report.starts_with("emails = "), made, "{filter}: {report}");
        assert_eq!(report.starts_with("NoTarget: "), !made, "{filter}: {report}");
    }
}

#[test]
fn paths_are_shown_as_they_are_read() {
    for text in [
        "title",
        "name.givenName",
        "emails[type eq \"work\"]",
        "emails[type eq \"wo]rk\" and primary eq true].value",
        "ENT",
        "ENT:manager.value",
    ] {
        let text = expand(text);
        let path = PatchPath::parse(users(), &text).unwrap();
        assert_eq!(path.to_string(), text);
        assert_eq!(PatchPath::parse(users(), &path.to_string()).unwrap(), path);
    }
}

#[test]
fn members_of_an_envelope_in_any_letter_case() {
    let body = json!({"OPERATIONS": [{"Op": "add", "PATH": "title", "Value": "Dr"}]});
    let after = PatchRequest::parse(users(), &body).unwrap().apply(users(), &ida()).unwrap();
    assert_eq!(after.text("title"), Some("Dr"));
}

#[test]
fn a_list_cannot_outgrow_its_bound() {
    let add = |from: usize, to: usize| {
        let values: Vec<Value> = (from..to).map(|n| json!({"value": format!("v{n}")})).collect();
        json!({"op": "add", "path": "roles", "value": values})
    };
    let body = json!({"Operations": [add(0, VALUES_MAX), add(VALUES_MAX, VALUES_MAX + 1)]});
    let request = PatchRequest::parse(users(), &body).unwrap();
    assert_eq!(
        request.apply(users(), &ida()).unwrap_err().kind().scim_type(),
        Some("invalidValue")
    );
}

#[test]
fn group_members() {
    check_members(
        r#"[{"op":"Add","path":"members","value":[{"$ref":null,"value":"u1"}]}]"#,
        expect!["+u1 (capital-op)"],
    );
    check_members(
        r#"[{"op":"add","path":"members","value":[{"value":"u1","display":"a@b"},{"value":"u2"},{"value":"u1"}]}]"#,
        expect!["+u1 +u2"],
    );
    check_members(
        r#"[{"op":"add","path":"members","value":"u1"}]"#,
        expect!["+u1 (scalar-for-array, string-for-complex)"],
    );
    check_members(
        r#"[{"op":"add","path":"members","value":["u1","u2"]}]"#,
        expect!["+u1 +u2 (string-for-complex)"],
    );
    check_members(
        r#"[{"op":"add","path":"members","value":{"value":"u1"}}]"#,
        expect!["+u1 (scalar-for-array)"],
    );
    check_members(r#"[{"op":"add","value":{"members":[{"value":"u1"}]}}]"#, expect!["+u1"]);
    check_members(
        r#"[{"op":"replace","value":{"Members":[{"value":"u1"}],"displayName":"X","id":"g"}}]"#,
        expect!["all go but those added +u1; document, too (read-only-in-value)"],
    );
    check_members(
        r#"[{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:Group:members","value":[{"value":"u2"}]}]"#,
        expect!["all go but those added +u2"],
    );
    check_members(
        r#"[{"op":"replace","path":"members","value":[]}]"#,
        expect!["all go but those added"],
    );
    check_members(
        r#"[{"op":"Remove","path":"members","value":[{"$ref":null,"value":"u1"}]}]"#,
        expect!["-u1 (capital-op, remove-with-value)"],
    );
    check_members(r#"[{"op":"remove","path":"members[value eq \"u1\"]"}]"#, expect!["-u1"]);
    check_members(
        r#"[{"op":"remove","path":"Members[Value EQ \"u1\" or value eq \"u2\"]","value":[{"value":"u3"}]}]"#,
        expect!["-u1 -u2 (remove-with-value)"],
    );
    check_members(r#"[{"op":"remove","path":"members[value eq \"u1\"].value"}]"#, expect!["-u1"]);
    check_members(
        r#"[{"op":"remove","path":"members","value":[]}]"#,
        expect!["nothing (remove-with-value)"],
    );
    check_members(
        r#"[{"op":"remove","path":"members","value":null}]"#,
        expect!["nothing (remove-with-value)"],
    );
    check_members(r#"[{"op":"remove","path":"members"}]"#, expect!["all go but those added"]);
    check_members(
        r#"[{"op":"remove","path":"members.value"}]"#,
        expect![
            "NoTarget: operation 1: members.value: name the members to remove, or remove members"
        ],
    );
}

/// An addition to a selected member adds it; a replacement replaces what is there, and nobody comes in by it.
#[test]
fn what_is_given_to_a_selected_member() {
    let with = |op: &str| {
        format!(r#"[{{"op":"{op}","path":"members[value eq \"u1\"]","value":{{"value":"u1"}}}}]"#)
    };
    check_members(&with("add"), expect!["+u1"]);
    check_members(&with("replace"), expect!["members not named"]);
}

#[test]
fn the_last_operation_on_a_member_wins() {
    check_members(
        r#"[{"op":"add","path":"members","value":[{"value":"u1"}]},{"op":"remove","path":"members[value eq \"u1\"]"}]"#,
        expect!["-u1"],
    );
    check_members(
        r#"[{"op":"remove","path":"members[value eq \"u1\"]"},{"op":"add","path":"members","value":["u1","u2"]}]"#,
        expect!["+u1 +u2 (string-for-complex)"],
    );
    check_members(
        r#"[{"op":"remove","path":"members","value":["u9"]},{"op":"replace","path":"members","value":["u1","u2"]},
            {"op":"remove","path":"members","value":["u1","u8"]},{"op":"add","path":"members","value":["u3"]}]"#,
        expect!["all go but those added +u2 +u3 (remove-with-value, string-for-complex)"],
    );
    check_members(
        r#"[{"op":"add","path":"members","value":["u1"]},{"op":"remove","path":"members"}]"#,
        expect!["all go but those added (string-for-complex)"],
    );
}

#[test]
fn members_that_are_refused_or_ignored() {
    check_members(
        r#"[{"op":"add","path":"members","value":[{}]}]"#,
        expect![
            "InvalidValue: operation 1: members: each entry needs a value, the id of a member; an entry without it arrived"
        ],
    );
    check_members(
        r#"[{"op":"add","path":"members","value":{}}]"#,
        expect![
            "InvalidValue: operation 1: members: each entry needs a value, the id of a member; an entry without it arrived"
        ],
    );
    check_members(
        r#"[{"op":"replace","path":"members","value":[{"value":"u1"},{"display":"x"}]}]"#,
        expect![
            "InvalidValue: operation 1: members: each entry needs a value, the id of a member; an entry without it arrived"
        ],
    );
    check_members(
        r#"[{"op":"replace","path":"members","value":[{"value":{}}]}]"#,
        expect![
            "InvalidValue: operation 1: members: each entry needs a value, the id of a member; an object arrived"
        ],
    );
    check_members(
        r#"[{"op":"replace","path":"members","value":""}]"#,
        expect![
            "InvalidValue: operation 1: members: each entry needs a value, the id of a member; an empty string arrived"
        ],
    );
    check_members(
        r#"[{"op":"remove","path":"members[display eq \"x\"]"}]"#,
        expect![[
            r#"InvalidFilter: operation 1: members can be selected by value alone, such as members[value eq "…"], several joined by or"#
        ]],
    );
    check_members(
        r#"[{"op":"remove","path":"members[shape eq \"x\"]"}]"#,
        expect![[
            r#"InvalidFilter: operation 1: members can be selected by value alone, such as members[value eq "…"], several joined by or"#
        ]],
    );
    check_members(
        r#"[{"op":"remove","path":"members[value eq \"a\" and value eq \"b\"]"}]"#,
        expect![[
            r#"InvalidFilter: operation 1: members can be selected by value alone, such as members[value eq "…"], several joined by or"#
        ]],
    );
    check_members(
        r#"[{"op":"replace","path":"members[value eq \"u1\"].display","value":"x"}]"#,
        expect!["members not named"],
    );
    check_members(
        r#"[{"op":"replace","path":"members[value eq \"u1\"].value","value":"u2"}]"#,
        expect![
            "Mutability: operation 1: members.value cannot be changed: remove one member and add the other"
        ],
    );
    check_members(
        r#"[{"op":"add","path":"members[value eq \"u1\"]","value":{"value":"u1","display":"x"}}]"#,
        expect!["+u1"],
    );
    check_members(
        r#"[{"op":"replace","path":"externalId","value":"e"}]"#,
        expect!["members not named; document, too"],
    );
    check_members(
        r#"[{"op":"replace","path":"active","value":"False"},{"op":"add","value":{"description":"x"}}]"#,
        expect!["members not named"],
    );
}

#[test]
fn ids_of_a_body() {
    let listed = ids(&json!([{"value": "b"}, "a", {"VALUE": "b", "display": 7}])).unwrap();
    assert_eq!(listed, ["b", "a"]);
    assert_eq!(ids(&json!({"value": "a"})).unwrap(), ["a"]);
    assert_eq!(ids(&json!([])).unwrap(), Vec::<String>::new());
    for bad in
        [json!([{}]), json!({}), json!(""), json!(null), json!([null]), json!([7]), json!([["a"]])]
    {
        assert!(ids(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_group_patch_leaves_the_rest_alone() {
    let group =
        validate::document(groups(), &json!({"displayName": "Eng", "externalId": "e"})).unwrap();
    let request = PatchRequest::parse(
        groups(),
        &request(r#"[{"op":"Replace","path":"displayName","value":"Eng & Ops"},{"op":"Add","path":"members","value":["u1"]}]"#),
    )
    .unwrap();
    let after = request.apply(groups(), &group).unwrap();
    assert_eq!(
        Value::Object(after.into_attributes()),
        json!({"displayName": "Eng & Ops", "externalId": "e"})
    );
}

#[test]
fn every_quirk_fires_on_its_shape_and_only_then() {
    let plain = r#"[{"op":"add","path":"title","value":"x"},{"op":"remove","path":"emails"},
        {"op":"replace","path":"active","value":false},{"op":"replace","path":"manager","value":{"value":"u"}},
        {"op":"add","path":"roles","value":[{"value":"a"}]},{"op":"replace","value":{"title":"y","ENT":{"department":"d"},"name":{"givenName":"g"}}},
        {"op":"replace","path":"emails[primary eq true]","value":{"value":"x"}}]"#;
    assert_eq!(PatchRequest::parse(users(), &request(plain)).unwrap().quirks(), Vec::<&str>::new());
    let shapes = [
        ("capital-op", r#"[{"op":"Add","path":"title","value":"x"}]"#),
        ("remove-with-value", r#"[{"op":"remove","path":"title","value":"x"}]"#),
        ("pathless-dotted-keys", r#"[{"op":"replace","value":{"name.givenName":"x"}}]"#),
        ("read-only-in-value", r#"[{"op":"replace","value":{"id":"x"}}]"#),
        ("quoted-boolean-in-filter", r#"[{"op":"remove","path":"roles[primary eq \"True\"]"}]"#),
        ("array-for-scalar", r#"[{"op":"replace","path":"title","value":["x"]}]"#),
        ("scalar-for-array", r#"[{"op":"replace","path":"roles","value":{"value":"x"}}]"#),
        ("string-for-complex", r#"[{"op":"replace","path":"manager","value":"x"}]"#),
        (
            "json-text-in-value",
            r#"[{"op":"add","path":"roles","value":[{"value":"{\"value\":\"x\"}"}]}]"#,
        ),
        ("string-boolean", r#"[{"op":"add","path":"active","value":"True"}]"#),
    ];
    for (name, operations) in shapes {
        assert_eq!(PatchRequest::parse(users(), &request(operations)).unwrap().quirks(), [name]);
    }
    assert_eq!(QUIRKS.len(), shapes.len());
    for (quirk, (name, _)) in QUIRKS.iter().zip(shapes) {
        assert_eq!(quirk.name, name);
        assert!(!quirk.idp.is_empty() && !quirk.why.is_empty());
    }
}
