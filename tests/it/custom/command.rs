//! `scimctl schema check`, `scimctl tenant set --schemas`, `scimctl serve --schemas`.

use serde_json::{Value, json};

use super::extends;
use crate::cli::{Scratch, Server, refused, scimctl};

const BADGE: &str = "urn:example:params:scim:schemas:extension:badge:1.0:User";

fn badge() -> Value {
    json!({ "id": BADGE, "name": "Badge", "attributes": [{ "name": "number", "type": "integer" }] })
}

/// A folder with these files.
fn folder(name: &str, files: &[(&str, &str)]) -> Scratch {
    let folder = Scratch::new(name);
    for (name, text) in files {
        std::fs::write(folder.file(name), text).unwrap();
    }
    folder
}

#[test]
fn check_says_what_files_add_or_what_is_wrong_with_them() {
    let (schema, user) = (badge().to_string(), extends("User", BADGE, true));
    let good = folder("schemas-good", &[("a.json", &schema), ("b.json", &user), ("c.txt", "?")]);
    let output =
        scimctl(&["schema", "check", &good.file(""), "--format", "json"]).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let extends = json!([{ "type": "User", "required": true }]);
    assert_eq!(
        said,
        json!({ "schemas": [{ "schema": BADGE, "attributes": 1, "extends": extends }] })
    );
    let output =
        scimctl(&["schema", "check", &good.file("a.json"), &good.file("b.json")]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains(BADGE) && said.contains("1 attribute") && said.contains("User (required)"),
        "{said}"
    );
    let unique = schema.replace("integer", "string\",\"uniqueness\":\"server");
    let bad = folder("schemas-bad", &[("a.json", &unique), ("b.json", &user)]);
    let said = refused(&["schema", "check", &bad.file("")]);
    assert!(said.contains("a.json") && said.contains("number: uniqueness must be none"), "{said}");
    let said = refused(&["schema", "check", &good.file("none.json")]);
    assert!(said.contains("none.json cannot be read"), "{said}");
    // Neither does a server start with it.
    let said = refused(&["serve", "--port", "0", "--schemas", &bad.file("")]);
    assert!(said.contains("number: uniqueness must be none"), "{said}");
}

#[test]
fn a_server_with_schemas_has_them_and_a_tenant_can_do_without() {
    let (schema, user) = (badge().to_string(), extends("User", BADGE, false));
    let folder = folder("schemas-serve", &[("a.json", &schema), ("b.json", &user)]);
    let server = Server::start(&["--schemas", &folder.file("")]);
    let body = json!({ "userName": "ida@ex.test", BADGE: { "number": 7 } });
    let (status, ida) = server.call(server.token(), "POST", "/Users", &body);
    assert_eq!((status, &ida[BADGE]), (201, &json!({ "number": 7 })));
    assert_eq!(server.run(&["tenant", "show", "demo"])["schemas"], json!([BADGE]));
    let off = server.run(&["tenant", "set", "demo", "--no-schemas"]);
    assert_eq!(off, json!({ "tenant": "demo", "schemas": [] }));
    let path = format!("/Users/{}", ida["id"].as_str().unwrap());
    assert_eq!(server.call(server.token(), "GET", &path, &Value::Null).1[BADGE], Value::Null);
    // A command has to know the files, too.
    let said = server.refused(&["tenant", "set", "demo", "--schemas", BADGE]);
    assert!(said.contains("SCIM_SCHEMAS"), "{said}");
    let set = ["tenant", "set", "demo", "--schemas", BADGE, "--endpoint-url", server.endpoint()];
    let output = scimctl(&set).env("SCIM_SCHEMAS", folder.file("")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(server.call(server.token(), "GET", &path, &Value::Null).1[BADGE], ida[BADGE]);
}
