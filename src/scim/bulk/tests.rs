//! Tests of bulk requests: what is done in which order, and what is answered.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::limits::BULK_OPERATIONS_MAX;

const BASE: &str = "https://scim.example.com/v2";

/// Plays a request: each POST creates the id `id-` with its bulkId, and an operation whose data or path has `bad` fails.
/// What was done, a line each, and the answer.
fn play(operations: &Value, fail_on_errors: Option<u64>) -> (String, Value) {
    let mut body = json!({ "Operations": operations });
    if let Some(most) = fail_on_errors {
        body["failOnErrors"] = json!(most);
    }
    let mut bulk = Bulk::parse(&body).unwrap();
    let mut lines = String::new();
    while let Some(step) = bulk.next_step() {
        writeln!(lines, "{} {} {}", step.method, step.path, step.data).unwrap();
        if format!("{}{}", step.path, step.data).contains("bad") {
            bulk.failed(step, ScimError::new(ErrorKind::InvalidValue, "it is bad"));
            continue;
        }
        let id = match step.method.as_str() {
            "POST" => format!("id-{}", bulk.tasks[step.index].bulk_id.as_deref().unwrap()),
            _ => step.path.rsplit('/').next().unwrap().to_owned(),
        };
        let (status, version) = match step.method.as_str() {
            "POST" => (201, Some(1)),
            "DELETE" => (204, None),
            _ => (200, Some(2)),
        };
        let folder = step.path.split('/').nth(1).unwrap();
        let location = format!("{BASE}/{folder}/{id}");
        bulk.done(step, Done { status, id, location, version });
    }
    (lines, bulk.response(BASE)["Operations"].clone())
}

fn check(operations: &Value, steps: &Expect, answer: &Expect) {
    let (lines, told) = play(operations, None);
    steps.assert_eq(&lines);
    answer.assert_eq(&brief(&told));
}

/// One line an operation: its method, bulkId, status and detail.
fn brief(told: &Value) -> String {
    let line = |one: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        format!(
            "{} {} {} {}\n",
            text(&one["method"]),
            text(&one["bulkId"]),
            text(&one["status"]),
            text(&one["response"]["detail"])
        )
    };
    told.as_array().unwrap().iter().map(line).collect()
}

fn post(path: &str, bulk_id: &str, data: impl Into<Value>) -> Value {
    json!({ "method": "POST", "path": path, "bulkId": bulk_id, "data": data.into() })
}

#[test]
fn a_reference_back_is_an_id_in_data_and_path() {
    check(
        &json!([
            post("/Users", "qwerty", json!({ "userName": "Alice" })),
            post("/Groups", "ytrewq", json!({ "displayName": "Tour Guides", "members": [{ "type": "User", "value": "bulkId:qwerty" }] })),
            { "method": "patch", "path": "/Users/bulkId:qwerty", "data": { "Operations": [{ "op": "add", "path": "nickName", "value": "Al" }] } },
            { "method": "DELETE", "path": "Groups/bulkId:ytrewq/" },
        ]),
        &expect![[r#"
            POST /Users {"userName":"Alice"}
            POST /Groups {"displayName":"Tour Guides","members":[{"type":"User","value":"id-qwerty"}]}
            PATCH /Users/id-qwerty {"Operations":[{"op":"add","path":"nickName","value":"Al"}]}
            DELETE Groups/id-ytrewq null
        "#]],
        &expect![[r#"
            POST qwerty 201 -
            POST ytrewq 201 -
            PATCH - 200 -
            DELETE - 204 -
        "#]],
    );
}

#[test]
fn a_reference_forward_waits_and_the_answer_keeps_the_order() {
    check(
        &json!([
            post("/Groups", "g", json!({ "members": [{ "value": "bulkId:a" }, { "value": "bulkId:b" }] })),
            post("/Users", "a", json!({ "manager": { "value": "bulkId:b" } })),
            { "method": "DELETE", "path": "/Users/1" },
            post("/Users", "b", json!({ "userName": "b" })),
        ]),
        &expect![[r#"
            DELETE /Users/1 null
            POST /Users {"userName":"b"}
            POST /Users {"manager":{"value":"id-b"}}
            POST /Groups {"members":[{"value":"id-a"},{"value":"id-b"}]}
        "#]],
        &expect![[r#"
            POST g 201 -
            POST a 201 -
            DELETE - 204 -
            POST b 201 -
        "#]],
    );
}

#[test]
fn a_circle_is_created_open_and_then_closed() {
    let group = |other: &str| json!({ "displayName": "G", "members": [{ "value": "fix" }, { "type": "Group", "value": format!("bulkId:{other}") }] });
    let person = |other: &str| json!({ "urn:x:User": { "number": "1", "manager": { "value": format!("bulkId:{other}") } } });
    check(
        &json!([
            post("/Users", "other", json!({ "manager": { "value": "bulkId:a" } })),
            post("/Groups", "a", group("b")),
            post("/Groups", "b", group("a")),
            post("/Users", "own", person("own")),
        ]),
        &expect![[r#"
            POST /Groups {"displayName":"G","members":[{"value":"fix"}]}
            POST /Users {"manager":{"value":"id-a"}}
            POST /Groups {"displayName":"G","members":[{"value":"fix"},{"type":"Group","value":"id-a"}]}
            PATCH /Groups/id-a {"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","value":{"members":[{"type":"Group","value":"id-b"}]}}]}
            POST /Users {"urn:x:User":{"number":"1"}}
            PATCH /Users/id-own {"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","value":{"urn:x:User":{"manager":{"value":"id-own"}}}}]}
        "#]],
        &expect![[r#"
            POST other 201 -
            POST a 201 -
            POST b 201 -
            POST own 201 -
        "#]],
    );
}

#[test]
fn what_refers_to_nothing_is_a_conflict_and_is_not_tried() {
    check(
        &json!([
            post("/Users", "a", json!({ "userName": "bad" })),
            post("/Groups", "g", json!({ "members": [{ "value": "bulkId:a" }] })),
            { "method": "PUT", "path": "/Groups/bulkId:g", "bulkId": "p", "data": {} },
            { "method": "PUT", "path": "/Groups/1", "data": { "x": "bulkId:p" } },
            post("/Groups", "h", json!({ "x": "bulkId:nobody" })),
            post("/Groups/bulkId:i", "i", json!({})),
        ]),
        &expect![[r#"
            POST /Users {"userName":"bad"}
        "#]],
        &expect![[r#"
            POST a 400 it is bad
            POST g 409 bulkId:a: the operation that creates it has failed, so that nothing can refer to it
            PUT p 409 bulkId:g: the operation that creates it has failed, so that nothing can refer to it
            PUT - 409 bulkId:p: no operation of this request creates it, so that nothing can refer to it
            POST h 409 bulkId:nobody: no operation of this request creates it, so that nothing can refer to it
            POST i 409 path: it refers to what the operation itself is to create
        "#]],
    );
}

#[test]
fn a_circle_that_cannot_be_closed_says_what_is_there() {
    let (lines, told) = play(
        &json!([
            post("/Users", "a", json!({ "manager": { "value": "bulkId:b" } })),
            post("/Users", "b", json!({ "userName": "bad", "manager": { "value": "bulkId:a" } })),
        ]),
        None,
    );
    expect![[r#"
        POST /Users {}
        POST /Users {"userName":"bad","manager":{"value":"id-a"}}
    "#]]
    .assert_eq(&lines);
    expect![[r#"
        [
          {
            "location": "https://scim.example.com/v2/Users/id-a",
            "method": "POST",
            "bulkId": "a",
            "version": "W/\"1\"",
            "status": "409",
            "response": {
              "schemas": [
                "urn:ietf:params:scim:api:messages:2.0:Error"
              ],
              "status": "409",
              "detail": "the resource is created, but without what it refers to by a bulkId: bulkId:b: the operation that creates it has failed, so that nothing can refer to it; add that with a PATCH"
            }
          },
          {
            "method": "POST",
            "bulkId": "b",
            "status": "400",
            "response": {
              "schemas": [
                "urn:ietf:params:scim:api:messages:2.0:Error"
              ],
              "status": "400",
              "scimType": "invalidValue",
              "detail": "it is bad"
            }
          }
        ]"#]].assert_eq(&format!("{told:#}"));
}

#[test]
fn an_operation_that_is_none_fails_alone() {
    check(
        &json!([
            { "method": "GET", "path": "/Users" },
            { "method": "POST", "path": "/Users", "data": {} },
            { "method": "DELETE", "path": "/Users/1" },
        ]),
        &expect![[r#"
            DELETE /Users/1 null
        "#]],
        &expect![[r#"
            GET - 405 method: an operation is a POST, PUT, PATCH or DELETE
            POST - 400 bulkId: a POST needs one, which no other operation of the request has
            DELETE - 204 -
        "#]],
    );
}

#[test]
fn as_many_errors_as_the_client_wants_end_it() {
    let bad = |id: &str| post("/Users", id, json!({ "userName": "bad" }));
    let good = |id: &str| post("/Users", id, json!({ "userName": "good" }));
    let operations = json!([bad("a"), good("b"), bad("c"), good("d")]);
    for (most, expected) in [(1, "a"), (2, "abc"), (3, "abcd"), (99, "abcd")] {
        let (_, told) = play(&operations, Some(most));
        let ids = told.as_array().unwrap().iter().map(|one| one["bulkId"].as_str().unwrap());
        assert_eq!(ids.collect::<String>(), expected, "{most}");
    }
    // What is created and not complete is told, although it was no error of its own.
    let circle = |id: &str, other: &str| {
        post("/Users", id, json!({ "x": { "value": format!("bulkId:{other}") } }))
    };
    let (_, told) = play(&json!([circle("a", "b"), circle("b", "a"), bad("c")]), None);
    assert_eq!(told[0]["status"], "201");
    let mut late = json!([
        circle("a", "b"),
        post("/Users", "b", json!({ "y": "bulkId:c" })),
        post("/Users", "c", json!({ "userName": "bad", "z": "bulkId:a" }))
    ]);
    late[0]["data"]["x"]["value"] = json!("bulkId:b");
    let (_, told) = play(&late, Some(1));
    expect![[r#"
        POST a 409 the resource is created, but without what it refers to by a bulkId: the request ends before, after as many errors as failOnErrors says; add that with a PATCH
        POST c 400 it is bad
    "#]].assert_eq(&brief(&told));
}

#[test]
fn what_is_stopped_is_told_and_what_is_created_is_not_to_be_sent_again() {
    let circle = |id: &str, other: &str| {
        post("/Users", id, json!({ "x": { "value": format!("bulkId:{other}") } }))
    };
    let body = json!({ "Operations": [circle("a", "b"), circle("b", "a"), { "method": "DELETE", "path": "/Users/1" }] });
    let mut bulk = Bulk::parse(&body).unwrap();
    let delete = bulk.next_step().unwrap();
    assert_eq!(delete.method, "DELETE");
    let done = |id: &str| Done {
        status: 201,
        id: id.to_owned(),
        location: format!("{BASE}/Users/{id}"),
        version: Some(1),
    };
    bulk.done(delete, Done { status: 204, version: None, ..done("1") });
    let first = bulk.next_step().unwrap();
    bulk.done(first, done("A"));
    bulk.stop(&ScimError::new(ErrorKind::Unavailable, "it is late"));
    assert_eq!(bulk.next_step(), None);
    expect![[r#"
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
          ],
          "Operations": [
            {
              "location": "https://scim.example.com/v2/Users/A",
              "method": "POST",
              "bulkId": "a",
              "version": "W/\"1\"",
              "status": "409",
              "response": {
                "schemas": [
                  "urn:ietf:params:scim:api:messages:2.0:Error"
                ],
                "status": "409",
                "detail": "the resource is created, but without what it refers to by a bulkId: it is late; add that with a PATCH"
              }
            },
            {
              "method": "POST",
              "bulkId": "b",
              "status": "503",
              "response": {
                "schemas": [
                  "urn:ietf:params:scim:api:messages:2.0:Error"
                ],
                "status": "503",
                "detail": "it is late"
              }
            },
            {
              "location": "https://scim.example.com/v2/Users/1",
              "method": "DELETE",
              "status": "204"
            }
          ]
        }"#]].assert_eq(&format!("{:#}", bulk.response(BASE)));
}

#[test]
fn a_request_of_another_form_is_refused_whole() {
    let too_many = vec![json!({ "method": "DELETE", "path": "/Users/1" }); BULK_OPERATIONS_MAX + 1];
    let mut told = String::new();
    for body in [
        json!([]),
        json!({}),
        json!({ "Operations": {} }),
        json!({ "Operations": too_many }),
        json!({ "Operations": ["x"] }),
        json!({ "Operations": [{ "path": "/Users" }] }),
        json!({ "Operations": [{ "method": "POST" }] }),
        json!({ "Operations": [{ "method": 1, "path": "/Users" }] }),
        json!({ "Operations": [{ "method": "POST", "path": "/Users", "bulkId": {} }] }),
        json!({ "Operations": [post("/Users", "a", json!({})), post("/Users", "a", json!({}))] }),
        json!({ "failOnErrors": 0, "Operations": [] }),
        json!({ "failOnErrors": "1", "Operations": [] }),
    ] {
        writeln!(told, "{}", Bulk::parse(&body).unwrap_err()).unwrap();
    }
    expect![[r#"
        400: the body is an array and has to be an object
        400: Operations: a bulk request has an array of them
        400: Operations: a bulk request has an array of them
        413: the request has 201 operations and may have 200 (bulk.maxOperations); split it
        400: operation 1: it is a string and has to be an object
        400: operation 1: method: it is missing
        400: operation 1: path: it is missing
        400: operation 1: method: it is a number and has to be a string
        400: operation 1: bulkId: it is an object and has to be a string
        400: operation 2: bulkId: operation 1 has a, too; each has one of its own
        400: failOnErrors: a whole number from 1 on
        400: failOnErrors: a whole number from 1 on
    "#]]
    .assert_eq(&told);
    for body in [json!({ "Operations": [] }), json!({ "OPERATIONS": [], "failonerrors": null })] {
        assert_eq!(Bulk::parse(&body).unwrap().next_step(), None);
    }
}

#[test]
fn the_largest_request_of_circles_ends() {
    let operations = (0..BULK_OPERATIONS_MAX).map(|number| {
        let all: Vec<Value> = (0..BULK_OPERATIONS_MAX)
            .map(|other| json!({ "value": format!("bulkId:{other}") }))
            .collect();
        post("/Users", &number.to_string(), json!({ "all": all }))
    });
    let (lines, told) = play(&Value::Array(operations.collect()), None);
    assert_eq!(told.as_array().unwrap().len(), BULK_OPERATIONS_MAX);
    assert!(told.as_array().unwrap().iter().all(|one| one["status"] == "201"));
    assert_eq!(lines.lines().count(), 2 * BULK_OPERATIONS_MAX);
}
