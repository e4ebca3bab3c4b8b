//! PATCH as identity providers send it: a row for each shape.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes its strings so")]

#[cfg(test)]
mod members;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod values;

use std::sync::LazyLock;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::super::catalog::{Catalog, Kind, ResourceType};
use super::super::document::Document;
use super::super::error::ScimError;
use super::super::validate;
use super::{MemberDelta, PatchRequest};

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
