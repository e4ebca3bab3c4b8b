//! The request as a whole: what is refused and how it is told, and the quirks.

use expect_test::expect;
use serde_json::{Value, json};

use super::super::path::PatchPath;
use super::super::{PatchRequest, QUIRKS};
use super::{bare, check, expand, ida, patch, report, request, users};
use crate::limits::{OP_SHOWN_MAX, PATCH_OPERATIONS_MAX, VALUES_MAX};

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
    let most = vec![json!({"op": "remove", "path": "title"}); PATCH_OPERATIONS_MAX];
    let body = json!({ "Operations": most });
    PatchRequest::parse(users(), &body).unwrap();
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
