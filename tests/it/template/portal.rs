//! The portal's function: which requests come to it, and what its role may do, to the attribute.

use std::collections::BTreeSet;
use std::time::Duration;

use scim_endpoint::admin::{brake, portal, saml, tenants, tokens};
use scim_endpoint::ops::jobs;
use scim_endpoint::saml::{Allowed, read};
use scim_endpoint::store::TenantId;
use scim_endpoint::store::brake::Decision;
use scim_endpoint::store::settings::Brake;
use scim_endpoint::store::tables::EXPIRES;
use serde_json::json;

use super::{calls, template};
use crate::app::App;
use crate::whole::{Item, partition_of};

const METADATA: &str = include_str!("../../saml/metadata.xml");

fn statements(template: &super::Yaml) -> Vec<(&str, Vec<&str>)> {
    let policies = template.at("Resources/PortalRole/Properties/Policies").items();
    assert_eq!(policies.len(), 1);
    let statements = policies[0].at("PolicyDocument/Statement").items().iter();
    statements.map(|found| (found.text("Sid"), found.at("Action").texts())).collect()
}

/// What the role may update in Directory.
fn attributes(template: &super::Yaml) -> BTreeSet<String> {
    let policies = template.at("Resources/PortalRole/Properties/Policies").items();
    let statements = policies[0].at("PolicyDocument/Statement").items();
    let settings = statements.iter().find(|found| found.text("Sid") == "Settings").unwrap();
    let condition = settings.at("Condition");
    assert_eq!(condition.names(), ["ForAllValues:StringEquals"]);
    let attributes = condition.at("ForAllValues:StringEquals/dynamodb:Attributes").texts();
    attributes.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_portal_may_do_this_and_nothing_else() {
    let template = template();
    let expected = [
        ("Directory", vec!["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]),
        ("DirectoryIndex", vec!["dynamodb:Query"]),
        ("Settings", vec!["dynamodb:UpdateItem"]),
        ("Secrets", vec!["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]),
        ("Journal", vec!["dynamodb:PutItem", "dynamodb:Query"]),
        ("Log", vec!["logs:CreateLogStream", "logs:PutLogEvents"]),
    ];
    assert_eq!(statements(&template), expected);
    let policies = template.at("Resources/PortalRole/Properties/Policies").items();
    for statement in policies[0].at("PolicyDocument/Statement").items() {
        assert_eq!(statement.text("Effect"), "Allow");
        let resource = statement.text("Resource");
        let table =
            statement.text("Sid").trim_end_matches("Index").replace("Settings", "Directory");
        let own = format!("!If [Create{table}, ");
        assert!(resource.starts_with(&own) || resource == "!GetAtt PortalLog.Arn", "{resource}");
    }
}

/// What only the command line calls (the end of a tenant) deletes; all the rest it may do.
#[test]
fn the_portal_may_do_what_its_part_of_the_store_calls() {
    let files =
        ["src/store/portal.rs", "src/store/portal", "src/store/manage.rs", "src/store/manage"];
    let mut needed = calls::actions_in(files.into_iter().flat_map(calls::sources).collect());
    let template = template();
    for (table, actions) in &mut needed {
        actions.remove("dynamodb:DeleteItem");
        let allowed: BTreeSet<&str> = statements(&template)
            .into_iter()
            .filter(|(sid, _)| sid == table || (*sid == "Settings" && table == "Directory"))
            .flat_map(|(_, actions)| actions)
            .collect();
        for action in actions.iter() {
            assert!(allowed.contains(action.as_str()), "{table}: {action}");
        }
    }
    assert!(needed.contains_key("Secrets") && needed.contains_key("Journal"));
}

fn names<'a>(items: impl IntoIterator<Item = &'a Item>) -> BTreeSet<String> {
    items.into_iter().flat_map(|item| item.keys().cloned()).collect()
}

/// All that the portal can do, done; and people and groups beside it.
#[tokio::test(flavor = "multi_thread")]
async fn the_portal_updates_its_own_attributes_and_none_that_makes_a_person() {
    let app = App::start().await;
    let tenant = TenantId::parse("newco").unwrap();
    let (store, by) = (app.store(), (&tenant, "portal:x"));
    tenants::prepare(store, &app.moment(), &tenant).await.unwrap();
    let life = || ("x", portal::LinkLife::default());
    let link = portal::issue_link(store, &app.moment(), by, life()).await.unwrap();
    let other = portal::issue_link(store, &app.moment(), by, life()).await.unwrap();
    portal::revoke_link(store, &app.moment(), by, &other.id).await.unwrap();
    let opened = portal::open(store, &app.moment(), link.secret.reveal()).await.unwrap();
    let portal::Opening::Opened(opened) = opened else { panic!("{opened:?}") };
    let metadata = read(METADATA.as_bytes(), app.moment().now(), &Allowed::default()).unwrap();
    saml::describe(store, &app.moment(), by, &metadata).await.unwrap();
    saml::seen(store, &app.moment(), by).await.unwrap();
    let limits = Brake { count: Some(1), percent: None, window_minutes: 60, budget: 1 };
    brake::set(store, &app.moment(), by, Some(limits)).await.unwrap();
    portal::enable(store, &app.moment(), by, portal::SamlFirst::Required).await.unwrap();
    let what = ("x", tokens::Life::days(7));
    let token = tokens::issue_as(store, &app.moment(), by, what).await.unwrap();
    tokens::revoke_as(store, &app.moment(), by, &token.id).await.unwrap();
    portal::disable(store, &app.moment(), by).await.unwrap();
    let session = portal::session(store, &app.moment(), opened.secret.reveal()).await.unwrap();
    portal::end(store, &app.moment(), &session.unwrap()).await.unwrap();

    let template = template();
    let allowed = attributes(&template);
    let mut written = names(partition_of(&app, tenant.as_str()).await.values());
    let registry = partition_of(&app, "#registry").await;
    written.extend(names(registry.get("tenant#newco")));
    written.extend(decided(&app).await);
    let beyond: Vec<_> = written.difference(&allowed).collect();
    assert!(beyond.is_empty(), "the role does not allow {beyond:?}");
    // Nothing is allowed that nobody writes.
    let unused: Vec<_> = allowed.difference(&written).collect();
    assert!(unused.is_empty(), "the role allows {unused:?}");

    let user = json!({"userName": "ida@ex.test", "displayName": "Ida", "externalId": "7",
        "emails": [{"value": "ida@ex.test"}]});
    let id = app.call("POST", "/Users", user).await.expect(201).id();
    let group = json!({"displayName": "Staff", "externalId": "8", "members": [{"value": id}]});
    app.call("POST", "/Groups", group).await.expect(201);
    let mut items = partition_of(&app, app.tenant().as_str()).await;
    items.retain(|key, _| {
        let own = ["settings", "portal", "activity", "brake"];
        !own.contains(&key.as_str())
            && !["token#", "link#", "traffic#"].iter().any(|p| key.starts_with(p))
    });
    assert!(items.len() >= 8, "{:?}", items.keys());
    let shared: Vec<String> = names(items.values()).intersection(&allowed).cloned().collect();
    assert_eq!(shared, ["created", "key", "rid", "tenant", "v"]);
}

/// What a decision about held changes adds to the item with their number.
async fn decided(app: &App) -> BTreeSet<String> {
    let (tenant, store) = (app.tenant(), app.store());
    let by = (&tenant, "portal:x");
    let limits = Brake { count: Some(1), percent: None, window_minutes: 60, budget: 1 };
    brake::set(store, &app.moment(), by, Some(limits)).await.unwrap();
    for name in ["a", "b", "c"] {
        let user = json!({"userName": name, "active": true});
        let id = app.call("POST", "/Users", user).await.expect(201).id();
        app.call("DELETE", &format!("/Users/{id}"), json!(null)).await.expect(204);
    }
    let before = names(partition_of(app, tenant.as_str()).await.get("brake"));
    assert!(before.contains("held"));
    let until = app.moment().mint_uuid();
    brake::decide(store, &app.moment(), by, (Decision::Release, until)).await.unwrap();
    let after = names(partition_of(app, tenant.as_str()).await.get("brake"));
    after.difference(&before).cloned().collect()
}

/// DynamoDB removes an item of Directory whose `expires` is in the past: whoever may write that may remove anybody.
#[test]
fn nobody_but_the_function_for_scim_may_say_when_an_item_ends() {
    let text = std::fs::read_to_string("template.yaml").unwrap();
    assert!(text.contains(&format!("AttributeName: {EXPIRES}")), "the TTL's attribute");
    let lists = text.split("dynamodb:Attributes:\n").skip(1);
    let lists: Vec<Vec<&str>> = lists
        .map(|list| list.lines().map_while(|line| line.trim().strip_prefix("- ")).collect())
        .collect();
    assert_eq!(lists.len(), 3, "the portal's, the one that tells, and the application's");
    for list in lists {
        assert!(list.len() > 1 && !list.contains(&EXPIRES), "{list:?}");
    }
}

#[tokio::test]
async fn links_that_ended_long_ago_are_forgotten_by_the_job() {
    let app = App::start().await;
    let (tenant, store) = (app.tenant(), app.store());
    let links = async || {
        let items = partition_of(&app, tenant.as_str()).await;
        items.keys().filter(|key| key.starts_with("link#")).count()
    };
    for _ in 0..3 {
        let life = ("x", portal::LinkLife::default());
        portal::issue_link(store, &app.moment(), (&tenant, "test"), life).await.unwrap();
    }
    let day = Duration::from_hours(24);
    app.clock().advance(day * 60);
    let life = ("x", portal::LinkLife::default());
    portal::issue_link(store, &app.moment(), (&tenant, "test"), life).await.unwrap();
    app.clock().advance(day * 40);
    // It is done once a day.
    for run in 0..288 {
        assert_eq!(jobs::run(store, &app.moment()).await.unwrap().failed, 0, "{run}");
        app.clock().advance(Duration::from_mins(5));
    }
    assert_eq!(links().await, 1, "the one that is not old yet");
}

#[test]
fn pages_are_open_and_the_backends_routes_are_signed() {
    let template = template();
    assert_eq!(template.text("Resources/Api/Properties/Auth/EnableIamAuthorizer"), "true");
    let events = template.at("Resources/PortalFunction/Properties/Events");
    let mut found = Vec::new();
    for (name, event) in events.members() {
        assert_eq!(event.text("Type"), "HttpApi", "{name}");
        let properties = event.at("Properties");
        assert_eq!(properties.text("ApiId"), "!Ref Api");
        let authorizer = properties.text("Auth/Authorizer");
        found.push((properties.text("Method"), properties.text("Path"), authorizer));
    }
    let expected = [
        ("ANY", "/portal", ""),
        ("ANY", "/portal/{proxy+}", ""),
        ("POST", "/portal-api/tenants/{tenant}/links", "AWS_IAM"),
        ("POST", "/portal-api/tenants/{tenant}/saml-seen", "AWS_IAM"),
    ];
    assert_eq!(found, expected);
    let function = template.at("Resources/PortalFunction/Properties");
    assert_eq!(function.text("Role"), "!GetAtt PortalRole.Arn");
    assert_eq!(template.text("Resources/PortalFunction/Metadata/BuildProperties/Binary"), "portal");
    assert_eq!(template.text("Resources/Function/Properties/Role"), "!GetAtt FunctionRole.Arn");
}
