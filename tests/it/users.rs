//! The first conversation: a person arrives, changes, leaves.

use serde_json::{Value, json};

use crate::app::App;

#[tokio::test]
async fn a_person_arrives_is_found_changes_and_leaves() {
    let app = App::start().await;
    let probe = "/Users?filter=userName+eq+%22ida%40ex.test%22";
    let none = app.call("GET", probe, Value::Null).await.expect(200).json();
    assert_eq!(none["totalResults"], 0);
    let ida = json!({"userName": "Ida@ex.test", "externalId": "iek", "active": "True",
        "emails": [{"type": "work", "value": "Ida@ex.test", "primary": true}]});
    let created = app.call("POST", "/Users", ida.clone()).await.expect(201);
    let id = created.id();
    assert_eq!(created.header("ETag"), Some("W/\"1\""));
    assert_eq!(app.call("GET", probe, Value::Null).await.json()["totalResults"], 1);
    for filter in [
        "externalId+eq+%22iek%22",
        "emails.value+eq+%22ida%40ex.test%22",
        "emails%5Btype+eq+%22work%22%5D.value+eq+%22ida%40ex.test%22",
        "userName+sw+%22i%22",
    ] {
        let found = app.call("GET", &format!("/Users?filter={filter}"), Value::Null).await;
        assert_eq!(found.expect(200).json()["Resources"][0]["id"], id.as_str(), "{filter}");
    }
    app.call("POST", "/Users", ida).await.expect(409);
    let patch = json!({"Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
    let patched = app.call("PATCH", &format!("/Users/{id}"), patch).await.expect(200).json();
    assert_eq!(patched["active"], false);
    let rename = json!({"Operations": [{"op": "replace", "value": {"userName": "ib@ex.test"}}]});
    app.call("PATCH", &format!("/Users/{id}"), rename).await.expect(200);
    assert_eq!(app.call("GET", probe, Value::Null).await.json()["totalResults"], 0);
    assert_eq!(app.call("GET", "/Users", Value::Null).await.json()["totalResults"], 1);
    app.call("DELETE", &format!("/Users/{id}"), Value::Null).await.expect(204);
    app.call("GET", &format!("/Users/{id}"), Value::Null).await.expect(404);
    assert_eq!(app.call("GET", "/Users", Value::Null).await.json()["totalResults"], 0);
}
