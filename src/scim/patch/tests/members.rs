//! Members of a group.

use expect_test::expect;
use serde_json::{Value, json};

use super::super::super::error::ErrorKind;
use super::super::super::validate;
use super::super::{PatchRequest, ids};
use super::{check_members, groups, request};

#[test]
fn as_many_entries_as_a_request_may_have() {
    let most = vec![json!("u1"); crate::limits::MEMBERS_READ_MAX];
    assert_eq!(ids(&Value::Array(most.clone())).unwrap(), ["u1"]);
    let more = [most, vec![json!("u1")]].concat();
    assert_eq!(ids(&Value::Array(more)).unwrap_err().kind(), ErrorKind::TooMany);
}

#[test]
fn what_is_said_of_a_chosen_member_needs_no_id() {
    check_members(
        r#"[{"op":"replace","path":"members[value eq \"u1\"]","value":{"display":"Ida"}}]"#,
        expect!["members not named"],
    );
    check_members(
        r#"[{"op":"add","path":"members[value eq \"u1\"]","value":[{"display":"Ida"},{"value":"u2"}]}]"#,
        expect![
            "InvalidValue: operation 1: members: each entry needs a value, the id of a member; an entry without it arrived"
        ],
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
