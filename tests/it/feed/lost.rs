//! `Store::check` on the journal: a resource whose last change is not told any more is told again.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use scim_endpoint::feed::reader::Scope;
use scim_endpoint::limits::FEED_BEHIND;
use scim_endpoint::store::check::{Mode, Outcome, Report};
use serde_json::json;
use uuid::Uuid;

use super::{acknowledged_nothing, items, journal_of, late_user, read, rewrite};
use crate::app::App;
use crate::races::{delete, get, group, patch, replacing, user};
use crate::whole::{assert_whole, client, partition, string};

async fn check(app: &App, mode: Mode) -> Report {
    let moments = || app.moment();
    let report = app.store().check(&moments, &app.tenant(), mode, &mut |_| {}).await;
    report.unwrap().unwrap()
}

#[tokio::test]
async fn a_change_that_is_lost_is_found_and_told_again() {
    let app = App::start().await;
    let people = [user(&app, "a@ex.test").await, user(&app, "b@ex.test").await];
    let staff = group(&app, "Staff", &people).await;
    patch(&app, &format!("/Users/{}", people[0]), replacing("userName", "aa@ex.test")).await;
    // The group's last change is told by the item of a member who is gone.
    delete(&app, &format!("/Users/{}", people[1])).await.expect(204);
    assert!(check(&app, Mode::Report).await.is_whole());

    let lost = journal_of(&app, &app.tenant()).await.into_values().skip(3).collect();
    rewrite(&app, Vec::new(), lost).await;
    let report = check(&app, Mode::Report).await;
    let found = report.findings.iter().map(|finding| (finding.sort, finding.item.clone()));
    let expected = [("user#aa@ex.test".to_owned()), format!("group#{staff}")];
    assert_eq!(found.collect::<Vec<_>>(), expected.map(|item| ("change-lost", item)));
    assert_eq!(report.findings[0].what, "its last change is not in the journal");
    assert_eq!((report.left(), report.unsettled), (2, 0));
    let repaired = check(&app, Mode::Repair).await;
    assert!(repaired.is_whole(), "{repaired:#?}");
    assert!(matches!(repaired.findings[0].outcome, Outcome::Repaired(_)));
    assert!(check(&app, Mode::Report).await.findings.is_empty());
    assert_whole(&partition(&app).await);

    // Each is told as it is, one version later, by nobody's request; what it was before is as it was.
    app.clock().advance(FEED_BEHIND + Duration::from_secs(1));
    let (told, gaps) = read(&app, Scope::Tenant(app.tenant()), None).await.unwrap();
    assert_eq!((told.len(), gaps), (5, Vec::new()));
    let [person, team] = [&told[3].change, &told[4].change];
    assert_eq!(person.events().collect::<Vec<_>>(), ["misc:snapshot"]);
    assert_eq!((person.id(), person.user_name()), (Some(people[0].as_str()), Some("aa@ex.test")));
    assert_eq!((person.version(), person.attributes["active"].clone()), (Some(3), json!(true)));
    assert_eq!((team.id(), team.version()), (Some(staff.as_str()), Some(3)));
    assert_eq!(team.text("actor"), Some("scimctl check"));
    let shown = get(&app, &format!("/Users/{}", people[0])).await.expect(200);
    assert_eq!(shown.json()["meta"]["version"], "W/\"3\"");
    patch(&app, &format!("/Users/{}", people[0]), replacing("title", "x")).await.expect(200);
    assert_eq!(items(&app).await[5]["after"], json!(person.at.to_string()));
}

#[tokio::test]
async fn what_has_expired_is_not_lost() {
    let app = App::start().await;
    user(&app, "a@ex.test").await;
    app.clock().advance(Duration::from_hours(24 * 200));
    let (b, c) = (late_user(&app, "b@ex.test").await, late_user(&app, "c@ex.test").await);
    let items = journal_of(&app, &app.tenant()).await;
    let named = |id: &str| {
        let found = items.iter().find(|(_, item)| string(item, "id") == id);
        found.expect("it is told").1.clone()
    };
    // The first has gone, and 200 days are less than items live; but the journal begins behind it.
    let first = items.first_key_value().unwrap().1.clone();
    rewrite(&app, Vec::new(), vec![first]).await;
    assert!(check(&app, Mode::Report).await.is_whole());
    // As young as the rest of the journal.
    rewrite(&app, Vec::new(), vec![named(&b)]).await;
    let report = check(&app, Mode::Report).await;
    assert_eq!(report.findings.len(), 1, "{report:#?}");
    // All have gone: from the day on which items expire, nothing is said.
    rewrite(&app, Vec::new(), vec![named(&c)]).await;
    assert_eq!(check(&app, Mode::Report).await.findings.len(), 3);
    app.clock().advance(Duration::from_hours(24 * 201));
    assert_eq!(check(&app, Mode::Report).await.findings.len(), 2);
    app.clock().advance(Duration::from_hours(24 * 200));
    assert!(check(&app, Mode::Report).await.is_whole());
    // Items that were kept for a shorter time say so.
    let app = App::start().await;
    let older = user(&app, "older@ex.test").await;
    app.clock().advance(Duration::from_hours(24 * 3));
    let gone = late_user(&app, "gone@ex.test").await;
    app.clock().advance(Duration::from_hours(24 * 40));
    late_user(&app, "late@ex.test").await;
    let mut items = journal_of(&app, &app.tenant()).await;
    let late = items.last_entry().unwrap();
    let mut late = late.get().clone();
    let expires = app.moment().now().plus_seconds(30 * 86_400).unix_seconds().to_string();
    late.insert("expires".to_owned(), AttributeValue::N(expires));
    items.retain(|_, item| string(item, "id") == gone);
    rewrite(&app, vec![late], items.into_values().collect()).await;
    assert!(check(&app, Mode::Report).await.is_whole());
    let there = journal_of(&app, &app.tenant()).await;
    assert!(there.values().any(|item| string(item, "id") == older));
}

#[tokio::test]
async fn a_resource_that_was_written_before_it_named_its_change_is_left_alone() {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    let mut item = partition(&app).await["user#ida@ex.test"].clone();
    item.remove("change");
    let table = &app.store().tables().directory;
    client(&app).put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
    let all = journal_of(&app, &app.tenant()).await.into_values().collect();
    rewrite(&app, Vec::new(), all).await;
    assert!(check(&app, Mode::Repair).await.findings.is_empty());
    patch(&app, &format!("/Users/{ida}"), replacing("title", "x")).await.expect(200);
    let change = partition(&app).await["user#ida@ex.test"]["change"].as_s().unwrap().clone();
    let there = journal_of(&app, &app.tenant()).await;
    assert!(there.contains_key(&Uuid::try_parse(&change).unwrap()));
    assert!(check(&app, Mode::Report).await.is_whole());
}

/// An app that acknowledges without the condition makes an item of nothing. It is no change, and stops nobody.
#[tokio::test]
async fn an_acknowledgement_of_nothing_stops_no_reader() {
    let app = App::start().await;
    user(&app, "a@ex.test").await;
    rewrite(&app, acknowledged_nothing(&app, 1), Vec::new()).await;
    user(&app, "b@ex.test").await;
    app.clock().advance(FEED_BEHIND + Duration::from_secs(1));
    let (told, gaps) = read(&app, Scope::Tenant(app.tenant()), None).await.unwrap();
    assert_eq!((told.len(), gaps), (2, Vec::new()));
}
