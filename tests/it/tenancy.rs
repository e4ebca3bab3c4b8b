//! One tenant and another's ids: every operation is tried with the wrong token, and nothing is found, changed or told.
//!
//! What "nothing changed" means is looked up in the tables themselves: a tenant's whole partition, before and after.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use scim_endpoint::admin::tenants;
use serde_json::{Value, json};

use crate::app::{Answer, App};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The names that the harness gives its two tenants.
const ACME: &str = "acme";
const GLOBEX: &str = "globex";

/// The items of one partition, by sort key, as text.
type Partition = BTreeMap<String, String>;

/// A user, a second one, and a group that the first is in.
#[derive(Debug)]
struct Household {
    token: String,
    ann: String,
    bob: String,
    eng: String,
}

impl Household {
    fn ids(&self) -> [&str; 3] {
        [&self.ann, &self.bob, &self.eng]
    }

    async fn call(&self, app: &App, method: &str, target: &str, body: Value) -> Answer {
        app.call_as(&self.token, method, target, body).await
    }
}

/// The same names in every tenant.
async fn settle(app: &App, token: String) -> Household {
    let user = |name: &str| {
        json!({
            "userName": format!("{name}@ex.test"),
            "externalId": format!("x-{name}"),
            "displayName": name,
            "emails": [{"type": "work", "value": format!("{name}@mail.test")}],
        })
    };
    let ann = app.call_as(&token, "POST", "/Users", user("ann")).await.expect(201).id();
    let bob = app.call_as(&token, "POST", "/Users", user("bob")).await.expect(201).id();
    let eng = json!({"displayName": "Eng", "externalId": "x-eng", "members": [{"value": ann}]});
    let eng = app.call_as(&token, "POST", "/Groups", eng).await.expect(201).id();
    Household { token, ann, bob, eng }
}

async fn both(app: &App) -> (Household, Household) {
    (settle(app, app.token()).await, settle(app, app.other_token()).await)
}

/// A tenant's partition of a table.
async fn partition(app: &App, table: &str, sort: &str, tenant: &str) -> Partition {
    let client = Client::new(&scim_endpoint::local::sdk_config(&app.dynamodb_endpoint()));
    let mut partition = Partition::new();
    let mut after = None;
    loop {
        let page = client
            .query()
            .table_name(table)
            .key_condition_expression("#t = :t")
            .expression_attribute_names("#t", "tenant")
            .expression_attribute_values(":t", AttributeValue::S(tenant.to_owned()))
            .set_exclusive_start_key(after)
            .consistent_read(true)
            .send()
            .await
            .expect("the partition is read");
        for item in page.items() {
            let sorted: BTreeMap<&String, String> =
                item.iter().map(|(name, value)| (name, text(value))).collect();
            let key = item[sort].as_s().expect("the sort key is a string");
            partition.insert(key.clone(), format!("{sorted:?}"));
        }
        after = page.last_evaluated_key;
        if after.is_none() {
            return partition;
        }
    }
}

/// A value as text that is the same each time: the members of a map have no order.
fn text(value: &AttributeValue) -> String {
    if let Ok(members) = value.as_m() {
        let members: BTreeMap<&String, String> =
            members.iter().map(|(name, value)| (name, text(value))).collect();
        return format!("{members:?}");
    }
    if let Ok(values) = value.as_l() {
        return format!("{:?}", values.iter().map(text).collect::<Vec<_>>());
    }
    format!("{value:?}")
}

/// What a tenant has stored, but for when it was last seen.
async fn directory(app: &App, tenant: &str) -> Partition {
    let mut items = partition(app, &app.store().tables().directory, "key", tenant).await;
    items.retain(|key, _| key != "activity" && !key.starts_with("traffic#"));
    items
}

async fn journal(app: &App, tenant: &str) -> Partition {
    partition(app, &app.store().tables().journal, "at", tenant).await
}

fn filtered(endpoint: &str, filter: &str) -> String {
    format!("{endpoint}?filter={}", utf8_percent_encode(filter, NON_ALPHANUMERIC))
}

#[expect(clippy::needless_pass_by_value, reason = "bodies are written in place")]
fn patch(op: &str, path: &str, value: Value) -> Value {
    json!({"Operations": [{"op": op, "path": path, "value": value}]})
}

#[tokio::test]
async fn a_foreign_id_names_nothing_whatever_the_operation() {
    let app = App::start().await;
    let (acme, globex) = both(&app).await;
    let before = (directory(&app, ACME).await, directory(&app, GLOBEX).await);
    for (own, foreign) in [(&acme, &globex), (&globex, &acme)] {
        let user = json!({"userName": "carl@ex.test"});
        let group = json!({"displayName": "Ops", "members": [{"value": own.ann}]});
        let targets = [
            (format!("/Users/{}", foreign.ann), &user),
            (format!("/Groups/{}", foreign.eng), &group),
            // An id of the other kind is foreign as well.
            (format!("/Groups/{}", own.ann), &group),
            (format!("/Users/{}", own.eng), &user),
        ];
        for (target, body) in &targets {
            let requests = [
                ("GET", String::new(), Value::Null),
                ("GET", "?attributes=groups,members".to_owned(), Value::Null),
                ("PUT", String::new(), (*body).clone()),
                ("PATCH", String::new(), patch("replace", "displayName", json!("x"))),
                ("PATCH", String::new(), patch("Replace", "active", json!("False"))),
                ("PATCH", String::new(), patch("add", "members", json!([{"value": own.bob}]))),
                ("PATCH", String::new(), json!({"Operations": []})),
                ("DELETE", String::new(), Value::Null),
            ];
            for (method, query, body) in requests {
                let answer = own.call(&app, method, &format!("{target}{query}"), body).await;
                assert_eq!(answer.status, 404, "{method} {target}: {answer:?}");
                let told = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(!told.contains("ann@") && !told.contains("Eng"), "{told}");
            }
        }
    }
    assert_eq!(directory(&app, ACME).await, before.0);
    assert_eq!(directory(&app, GLOBEX).await, before.1);
}

#[tokio::test]
async fn a_precondition_does_not_tell_whether_a_foreign_id_exists() {
    let app = App::start().await;
    let (acme, globex) = both(&app).await;
    let bearer = format!("Bearer {}", acme.token);
    for (header, tag) in [("If-Match", "W/\"1\""), ("If-Match", "W/\"9\""), ("If-None-Match", "*")]
    {
        for id in globex.ids() {
            for endpoint in ["Users", "Groups"] {
                let target = format!("/{endpoint}/{id}");
                let headers = [
                    ("Authorization".to_owned(), bearer.clone()),
                    (header.to_owned(), tag.to_owned()),
                ];
                for method in ["GET", "DELETE"] {
                    let answer = app.send(method, &target, &headers, b"").await;
                    assert_eq!(answer.status, 404, "{method} {target} {header}: {tag}");
                }
                let body = br#"{"Operations": [], "userName": "x", "displayName": "x"}"#;
                for method in ["PATCH", "PUT"] {
                    let answer = app.send(method, &target, &headers, body).await;
                    assert_eq!(answer.status, 404, "{method} {target} {header}: {tag}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_filter_finds_nobody_in_another_tenant() {
    let app = App::start().await;
    let owner = settle(&app, app.other_token()).await;
    let Household { token: _, ann, bob: _, eng } = &owner;
    let filters = [
        ("/Users", format!("id eq \"{ann}\"")),
        ("/Users", "userName eq \"ann@ex.test\"".to_owned()),
        ("/Users", "externalId eq \"x-ann\"".to_owned()),
        ("/Users", "emails.value eq \"ann@mail.test\"".to_owned()),
        ("/Users", "emails[type eq \"work\"].value eq \"ann@mail.test\"".to_owned()),
        ("/Users", "displayName eq \"ann\"".to_owned()),
        ("/Users", "userName pr".to_owned()),
        ("/Users", format!("groups.value eq \"{eng}\"")),
        ("/Users", format!("groups eq \"{eng}\" or id eq \"{ann}\"")),
        ("/Groups", format!("id eq \"{eng}\"")),
        ("/Groups", "displayName eq \"eng\"".to_owned()),
        ("/Groups", "externalId eq \"x-eng\"".to_owned()),
        ("/Groups", format!("members.value eq \"{ann}\"")),
        ("/Groups", format!("id eq \"{eng}\" and members eq \"{ann}\"")),
        ("/Groups", format!("members[value eq \"{ann}\" and type eq \"User\"]")),
        ("/Groups", "displayName pr".to_owned()),
    ];
    // The first tenant is empty at first, and then has what looks the same.
    for found in [0, 1] {
        for (endpoint, filter) in &filters {
            let target = filtered(endpoint, filter);
            let theirs = owner.call(&app, "GET", &target, Value::Null).await.expect(200).json();
            assert_ne!(theirs["totalResults"], 0, "{filter} has to find something");
            let list = app.call("GET", &target, Value::Null).await.expect(200).json();
            let by_id = filter.contains(ann.as_str()) || filter.contains(eng.as_str());
            let everybody = filter.ends_with("pr") && *endpoint == "/Users";
            let expected = match (found, by_id, everybody) {
                (0, ..) | (_, true, _) => 0,
                (_, _, true) => 2,
                (_, _, false) => 1,
            };
            assert_eq!(list["totalResults"], expected, "{filter}: {list}");
            let text = list.to_string();
            assert!(owner.ids().iter().all(|id| !text.contains(id)), "{filter}: {text}");
        }
        if found == 0 {
            settle(&app, app.token()).await;
        }
    }
}

#[tokio::test]
async fn lists_are_a_tenants_own() {
    let app = App::start().await;
    let (acme, globex) = both(&app).await;
    let carl = json!({"userName": "carl@ex.test"});
    globex.call(&app, "POST", "/Users", carl).await.expect(201);
    for (own, foreign, users) in [(&acme, &globex, 2), (&globex, &acme, 3)] {
        for target in
            ["/Users", "/Users?attributes=groups", "/Users?count=0", "/Users?startIndex=2"]
        {
            let list = own.call(&app, "GET", target, Value::Null).await.expect(200).json();
            assert_eq!(list["totalResults"], users, "{target}");
            let text = list.to_string();
            assert!(foreign.ids().iter().all(|id| !text.contains(id)), "{text}");
        }
        let groups = own.call(&app, "GET", "/Groups", Value::Null).await.expect(200).json();
        assert_eq!(groups["totalResults"], 1);
        assert_eq!(groups["Resources"][0]["members"][0]["value"], own.ann.as_str());
    }
}

#[tokio::test]
async fn a_foreign_user_or_group_becomes_no_member() {
    let app = App::start().await;
    let (acme, globex) = both(&app).await;
    let before = (directory(&app, ACME).await, directory(&app, GLOBEX).await);
    let eng = format!("/Groups/{}", acme.eng);
    for id in globex.ids() {
        let foreign = json!([{"value": acme.bob}, {"value": id}]);
        let requests = [
            ("POST", "/Groups", json!({"displayName": "New", "members": foreign})),
            ("PUT", &eng, json!({"displayName": "Eng", "members": foreign})),
            ("PATCH", &eng, patch("add", "members", foreign.clone())),
            ("PATCH", &eng, patch("Add", "members", foreign.clone())),
            ("PATCH", &eng, patch("replace", "members", foreign.clone())),
            ("PATCH", &eng, json!({"Operations": [{"op": "add", "value": {"members": foreign}}]})),
        ];
        for (method, target, body) in requests {
            let answer = acme.call(&app, method, target, body).await.expect(400).json();
            assert_eq!(answer["scimType"], "invalidValue");
            let detail = answer["detail"].as_str().unwrap_or_default();
            assert!(detail.contains(id), "{detail}");
        }
        for removal in [
            patch("Remove", "members", json!([{"value": id}])),
            json!({"Operations": [
                {"op": "remove", "path": format!("members[value eq \"{id}\"]")}]}),
        ] {
            acme.call(&app, "PATCH", &eng, removal).await.expect(204);
        }
    }
    assert_eq!(directory(&app, ACME).await, before.0);
    assert_eq!(directory(&app, GLOBEX).await, before.1);
}

#[tokio::test]
async fn a_large_list_of_members_with_one_foreign_id_changes_nothing() {
    let app = App::start().await;
    let (acme, globex) = both(&app).await;
    let mut members = vec![json!({"value": acme.bob})];
    for number in 0..34 {
        let user = json!({"userName": format!("u{number}")});
        let id = acme.call(&app, "POST", "/Users", user).await.expect(201).id();
        members.push(json!({"value": id}));
    }
    members.push(json!({"value": globex.bob}));
    let before = (directory(&app, ACME).await, directory(&app, GLOBEX).await);
    let eng = format!("/Groups/{}", acme.eng);
    let requests = [
        ("POST", "/Groups", json!({"displayName": "New", "members": members})),
        ("PUT", &eng, json!({"displayName": "Eng", "members": members})),
        ("PATCH", &eng, patch("add", "members", json!(members))),
    ];
    for (method, target, body) in requests {
        acme.call(&app, method, target, body).await.expect(400);
    }
    assert_eq!(directory(&app, ACME).await, before.0);
    assert_eq!(directory(&app, GLOBEX).await, before.1);
}

#[tokio::test]
async fn the_same_names_are_independent() {
    let app = App::start().await;
    let (acme, globex) = both(&app).await;
    let before = directory(&app, GLOBEX).await;
    // A name is taken in the tenant that has it, and the refusal names the own holder.
    let taken = acme.call(&app, "POST", "/Users", json!({"userName": "ANN@EX.TEST"})).await;
    let detail = taken.expect(409).json()["detail"].to_string();
    assert!(detail.contains(&acme.ann) && !detail.contains(&globex.ann), "{detail}");
    let taken = acme.call(&app, "POST", "/Groups", json!({"displayName": "ENG"})).await;
    let detail = taken.expect(409).json()["detail"].to_string();
    assert!(detail.contains(&acme.eng) && !detail.contains(&globex.eng), "{detail}");
    // What one of them changes and deletes stays as it is with the other.
    let ann = format!("/Users/{}", acme.ann);
    let changes = json!({"Operations": [
        {"op": "replace", "path": "userName", "value": "anna@ex.test"},
        {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "anna@mail.test"},
        {"op": "replace", "path": "externalId", "value": "x-anna"},
        {"op": "replace", "path": format!("{ENTERPRISE}:department"), "value": "R&D"},
        {"op": "replace", "path": "active", "value": false},
    ]});
    acme.call(&app, "PATCH", &ann, changes).await.expect(200);
    let rename = patch("replace", "displayName", json!("Ops"));
    acme.call(&app, "PATCH", &format!("/Groups/{}", acme.eng), rename).await.expect(204);
    acme.call(&app, "DELETE", &ann, Value::Null).await.expect(204);
    acme.call(&app, "DELETE", &format!("/Groups/{}", acme.eng), Value::Null).await.expect(204);
    assert_eq!(directory(&app, GLOBEX).await, before);
    // The names are free again here, and only here.
    acme.call(&app, "POST", "/Users", json!({"userName": "ann@ex.test"})).await.expect(201);
    acme.call(&app, "POST", "/Groups", json!({"displayName": "Eng"})).await.expect(201);
    globex.call(&app, "POST", "/Users", json!({"userName": "ann@ex.test"})).await.expect(409);
    globex.call(&app, "POST", "/Groups", json!({"displayName": "Eng"})).await.expect(409);
}

#[tokio::test]
async fn no_item_of_a_tenant_mentions_what_is_anothers() {
    let app = App::start().await;
    let (acme, globex) = both(&app).await;
    for own in [&acme, &globex] {
        let eng = format!("/Groups/{}", own.eng);
        let bob = json!([{"value": own.bob}]);
        own.call(&app, "PATCH", &eng, patch("add", "members", bob)).await.expect(204);
        let manager = patch("add", "manager", json!(own.ann));
        own.call(&app, "PATCH", &format!("/Users/{}", own.bob), manager).await.expect(200);
    }
    // Refusals are noted, too; of a foreign id the note has no more than the client has said.
    let target = format!("/Users/{}", globex.ann);
    acme.call(&app, "DELETE", &target, Value::Null).await.expect(404);
    acme.call(&app, "DELETE", &format!("/Users/{}", acme.ann), Value::Null).await.expect(204);
    for (tenant, own, foreign) in [(ACME, &acme, &globex), (GLOBEX, &globex, &acme)] {
        let (directory, journal) = (directory(&app, tenant).await, journal(&app, tenant).await);
        let items = || directory.values().chain(journal.values());
        assert!(items().any(|item| item.contains(&own.eng)), "the ids are there to be found");
        for item in items() {
            assert!(item.contains(&format!("\"tenant\": \"S(\\\"{tenant}\\\")\"")), "{item}");
            assert!(foreign.ids().iter().all(|id| !item.contains(id)), "{item}");
        }
        for key in directory.keys() {
            assert!(foreign.ids().iter().all(|id| !key.contains(id)), "{key}");
        }
    }
}

#[tokio::test]
async fn each_journal_is_a_tenants_own() {
    let app = App::start().await;
    let (acme, globex) = both(&app).await;
    let before = journal(&app, GLOBEX).await;
    let mut writes = journal(&app, ACME).await.len();
    let bob = format!("/Users/{}", acme.bob);
    let requests = [
        ("PATCH", bob.clone(), patch("replace", "active", json!(false)), 200),
        ("PUT", bob.clone(), json!({"userName": "bob@ex.test"}), 200),
        ("POST", "/Users".to_owned(), json!({"userName": "ann@ex.test"}), 409),
        ("PATCH", format!("/Users/{}", globex.bob), patch("replace", "active", json!(false)), 404),
        ("DELETE", bob, Value::Null, 204),
    ];
    for (method, target, body, status) in requests {
        acme.call(&app, method, &target, body).await.expect(status);
        writes += 1;
        assert_eq!(journal(&app, ACME).await.len(), writes, "{method} {target}");
    }
    assert_eq!(journal(&app, GLOBEX).await, before);
    let actors = async |tenant: &str| -> BTreeSet<String> {
        let journal = journal(&app, tenant).await;
        let actor = |item: &String| {
            let (_, rest) = item.split_once("\"actor\": ").expect("every item has its actor");
            rest.split(',').next().unwrap_or_default().to_owned()
        };
        journal.values().map(actor).filter(|actor| !actor.contains("test")).collect()
    };
    let (acme, globex) = (actors(ACME).await, actors(GLOBEX).await);
    assert!(!acme.is_empty() && !globex.is_empty() && acme.is_disjoint(&globex));
}

#[tokio::test]
async fn a_token_opens_one_tenant() {
    let app = App::start().await;
    let (acme, globex) = both(&app).await;
    for (own, target) in [(&acme, &acme.ann), (&globex, &globex.ann)] {
        let target = format!("/Users/{target}");
        let found = own.call(&app, "GET", &target, Value::Null).await.expect(200).json();
        assert_eq!(found["userName"], "ann@ex.test");
    }
    let half = acme.token.len() / 2;
    let mixed = format!("{}{}", &acme.token[..half], &globex.token[half..]);
    for token in ["", "acme", mixed.as_str(), &acme.token[..acme.token.len() - 1]] {
        for (method, target) in [("GET", "/Users"), ("POST", "/Users"), ("GET", "/Schemas")] {
            let body = if method == "POST" { json!({"userName": "x"}) } else { Value::Null };
            let answer = app.call_as(token, method, target, body).await;
            assert_eq!(answer.status, 401, "{method} {target}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_mark_for_rehearsals_is_set_and_taken_away() {
    let app = App::start().await;
    for is_rehearsal in [true, false] {
        tenants::set_rehearsal(app.store(), &app.moment(), &app.tenant(), is_rehearsal)
            .await
            .unwrap();
        let shown = app.store().settings(&app.moment(), &app.tenant()).await.unwrap().unwrap().0;
        assert_eq!(shown.is_rehearsal, is_rehearsal);
    }
}
