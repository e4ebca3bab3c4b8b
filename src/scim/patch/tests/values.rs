//! Managers, `active`, what clears and what removes, roles.

use expect_test::expect;
use serde_json::json;

use super::{ENTERPRISE, bare, check, check_bare, ida, patch};

#[test]
fn adding_nothing_adds_nothing_to_a_list_and_clears_a_single_value() {
    check(r#"[{"op":"add","path":"emails","value":[]}]"#, expect!["no change"]);
    check(r#"[{"op":"add","path":"emails","value":{}}]"#, expect!["no change"]);
    check(r#"[{"op":"add","path":"emails","value":""}]"#, expect!["- emails"]);
    check(r#"[{"op":"add","path":"displayName","value":{}}]"#, expect!["- displayName"]);
}

#[test]
fn only_active_cannot_be_cleared() {
    check(r#"[{"op":"replace","path":"active","value":null}]"#, expect!["no change"]);
    check(
        r#"[{"op":"replace","path":"emails[type eq \"work\"].primary","value":null}]"#,
        expect![[
            r#"emails = [{"type":"work","value":"ida@ex.test"},{"type":"home","value":"ida@home.test"}]"#
        ]],
    );
}

#[test]
fn a_link_of_its_own_stays() {
    check(
        r#"[{"op":"replace","path":"ENT:manager.$ref","value":"../Users/u-2"}]"#,
        expect![[r#"ENT = {"department":"R&D","manager":{"value":"u-1","$ref":"../Users/u-2"}}"#]],
    );
}

#[test]
fn a_list_without_value_has_none_to_choose_by() {
    check(
        r#"[{"op":"add","path":"addresses[value eq \"x\"].locality","value":"Bonn"}]"#,
        expect!["no change"],
    );
}

#[test]
fn both_sides_of_a_filter_have_to_be_known() {
    check(
        r#"[{"op":"replace","path":"emails[type eq \"work\" and size eq 1].value","value":"i@x.test"}]"#,
        expect!["no change"],
    );
    check(
        r#"[{"op":"replace","path":"emails[size eq 1 or type eq \"work\"].value","value":"i@x.test"}]"#,
        expect!["no change"],
    );
}

#[test]
fn a_quoted_boolean_is_seen_on_either_side() {
    check(
        r#"[{"op":"replace","path":"emails[type eq \"work\" and primary eq \"True\"].value","value":"i@x.test"}]"#,
        expect![[r#"
            emails = [{"type":"work","value":"i@x.test","primary":true},{"type":"home","value":"ida@home.test"}]
            (quoted-boolean-in-filter)"#]],
    );
    check(
        r#"[{"op":"replace","path":"emails[primary eq \"True\" and type eq \"work\"].value","value":"i@x.test"}]"#,
        expect![[r#"
            emails = [{"type":"work","value":"i@x.test","primary":true},{"type":"home","value":"ida@home.test"}]
            (quoted-boolean-in-filter)"#]],
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
