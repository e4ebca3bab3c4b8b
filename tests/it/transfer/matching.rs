//! Whom a row is, and what is done about it.

use scim_endpoint::transfer::report::{Existing, Options, Outcome, Writing};
use serde_json::{Value, json};

use super::{USUAL, app_id_of, assert_checked, import_usual, import_with};
use crate::app::App;
use crate::races::{get, members_of};
use crate::whole::{assert_whole, journal, partition, string, without_what_was_seen};

const UPDATING: Options = Options { existing: Existing::Updated, ..USUAL };
const REHEARSED: Options = Options { writing: Writing::Rehearsed, ..USUAL };

async fn post(app: &App, body: Value) -> String {
    app.call("POST", "/Users", body).await.expect(201).id()
}

/// Six rows, each of which meets somebody who is there in another way.
const ROWS: &str = r#"
{"appId":"acc-1","resource":{"userName":"ANN@example.com","displayName":"Ann"}}
{"appId":"acc-2","resource":{"userName":"ben@example.com","displayName":"Benjamin","title":"Cook"}}
{"appId":"acc-3","resource":{"userName":"new@example.com"}}
{"appId":"acc-4","resource":{"userName":"eve@example.com","externalId":"oid-other"}}
{"userName":"dan@example.com","displayName":"Dan"}
{"appId":17,"resource":{"userName":"bad@example.com","active":"perhaps"}}
"#;

async fn people(app: &App) -> Vec<String> {
    vec![
        post(app, json!({"userName": "ann@example.com", "displayName": "Ann", "title": "Chef"}))
            .await,
        post(app, json!({"userName": "ben@example.com", "displayName": "Ben"})).await,
        post(app, json!({"userName": "eve@example.com", "externalId": "oid-eve"})).await,
        post(app, json!({"userName": "dan@example.com", "displayName": "Dan"})).await,
    ]
}

const EVE: &str =
    "externalId is \"oid-other\" in the file, and \"oid-eve\" for the person \"eve@example.com\"";

#[tokio::test]
async fn each_row_meets_whom_it_is_about() {
    let app = App::start().await;
    let ids = people(&app).await;
    let before = partition(&app).await;

    let rehearsed = import_with(&app, ROWS, &REHEARSED).await;
    let without_activity = |items: &std::collections::BTreeMap<String, crate::whole::Item>| {
        without_what_was_seen(items.clone())
    };
    assert_eq!(without_activity(&partition(&app).await), without_activity(&before));

    let imported = import_usual(&app, ROWS).await;
    assert_eq!(rehearsed.told(), imported.told(), "a rehearsal says what happens");
    let told = imported.told();
    assert_eq!(told[0], "2 linked");
    assert_eq!(told[1], "3 linked displayName,title");
    assert_eq!(told[2], "4 created");
    assert!(told[3].starts_with("5 conflict  ") && told[3].contains(EVE), "{}", told[3]);
    assert_eq!(told[4], "6 unchanged");
    assert!(told[5].starts_with("7 invalid  active must be true or false;"), "{}", told[5]);
    assert!(!imported.report.is_clean());
    assert_eq!(imported.id(2), ids[0]);
    assert_eq!(app_id_of(&app, "ann@example.com").await.as_deref(), Some("acc-1"));
    assert_eq!(app_id_of(&app, "new@example.com").await.as_deref(), Some("acc-3"));
    assert_eq!(app_id_of(&app, "eve@example.com").await, None);
    // What the directory says of Ben stays.
    let ben = get(&app, &format!("/Users/{}", ids[1])).await.json();
    assert_eq!((&ben["displayName"], &ben["title"]), (&json!("Ben"), &Value::Null));
    assert_whole(&partition(&app).await);
    assert_checked(&app, &app.tenant()).await;

    let again = import_usual(&app, ROWS).await.told();
    assert_eq!(again[..3], ["2 unchanged", "3 differs displayName,title", "4 unchanged"]);

    let updated = import_with(&app, ROWS, &UPDATING).await.told();
    assert_eq!(updated[..3], ["2 unchanged", "3 updated displayName,title", "4 unchanged"]);
    let ben = get(&app, &format!("/Users/{}", ids[1])).await.json();
    assert_eq!((&ben["displayName"], &ben["title"]), (&json!("Benjamin"), &json!("Cook")));
    let ann = get(&app, &format!("/Users/{}", ids[0])).await.json();
    assert_eq!(ann["title"], "Chef", "what the file does not name stays");
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn a_link_is_told_in_the_journal() {
    let app = App::start().await;
    let id = post(&app, json!({"userName": "ann@example.com"})).await;
    import_usual(&app, "userName,appId\nann@example.com,acc-1\n").await;
    let items = journal(&app).await;
    let (_, last) = items.last_key_value().unwrap();
    assert_eq!(string(last, "id"), id);
    assert_eq!(string(last, "appId"), "acc-1");
    assert_eq!(string(last, "actor"), "scimctl import");
    assert_eq!(last["changed"].as_l().unwrap()[0].as_s().unwrap(), "appId");
    let (first, _) = items.first_key_value().unwrap();
    assert_eq!(&string(last, "after"), first, "and leads to the item before");
}

#[tokio::test]
async fn an_account_belongs_to_one_person() {
    let app = App::start().await;
    let first = "userName,appId\nann@example.com,acc-1\nben@example.com,acc-2\n";
    import_usual(&app, first).await;

    // Somebody else's account.
    for options in [&USUAL, &UPDATING] {
        let told =
            import_with(&app, "userName,appId\nben@example.com,acc-1\n", options).await.told();
        let expected = "2 conflict  appId \"acc-1\" belongs to the person \"ann@example.com\"";
        assert!(told[0].starts_with(expected), "{}", told[0]);
    }
    // Another account of his own.
    let other = "userName,appId\nben@example.com,acc-9\n";
    assert_eq!(import_usual(&app, other).await.told(), ["2 differs appId"]);
    assert_eq!(app_id_of(&app, "ben@example.com").await.as_deref(), Some("acc-2"));
    assert_eq!(import_with(&app, other, &UPDATING).await.told(), ["2 updated appId"]);
    assert_eq!(app_id_of(&app, "ben@example.com").await.as_deref(), Some("acc-9"));
    // Whom the directory has renamed is found by the account.
    let renamed = "userName,appId,title\nann.lee@example.com,acc-1,Chef\n";
    assert_eq!(import_usual(&app, renamed).await.told(), ["2 differs userName,title"]);
    assert_eq!(import_with(&app, renamed, &UPDATING).await.told(), ["2 updated userName,title"]);
    // A name that somebody else has by now.
    let taken = r#"{"appId":"acc-1","resource":{"userName":"ben@example.com"}}"#;
    let told = import_with(&app, taken, &UPDATING).await.told();
    assert!(told[0].starts_with("1 conflict  appId \"acc-1\" belongs to"), "{}", told[0]);
    assert_whole(&partition(&app).await);
    assert_checked(&app, &app.tenant()).await;
}

#[tokio::test]
async fn an_update_lets_nobody_in_again() {
    let app = App::start().await;
    let body = json!({"userName": "ann@example.com", "active": false, "title": "Chef"});
    let ann = post(&app, body).await;
    let file = "userName,active,title\nann@example.com,yes,Cook\n";
    assert_eq!(import_usual(&app, file).await.told(), ["2 differs active,title"]);
    let told = import_with(&app, file, &UPDATING).await.told();
    assert!(told[0].starts_with("2 conflict active,title the person is inactive"), "{}", told[0]);
    let shown = get(&app, &format!("/Users/{ann}")).await.json();
    assert_eq!((&shown["active"], &shown["title"]), (&json!(false), &json!("Chef")));
    // Without the column, the rest is updated.
    let file = "userName,title\nann@example.com,Cook\n";
    assert_eq!(import_with(&app, file, &UPDATING).await.told(), ["2 updated title"]);
    assert_eq!(get(&app, &format!("/Users/{ann}")).await.json()["active"], false);
    // The other way is no privilege.
    let ben = post(&app, json!({"userName": "ben@example.com"})).await;
    let file = "userName,active\nben@example.com,0\n";
    assert_eq!(import_with(&app, file, &UPDATING).await.told(), ["2 updated active"]);
    assert_eq!(get(&app, &format!("/Users/{ben}")).await.json()["active"], false);
}

#[tokio::test]
async fn an_update_adds_to_lists_and_takes_nothing_away() {
    let app = App::start().await;
    let body = json!({"userName": "ann@example.com", "emails": [
        {"type": "work", "value": "ann@old.example", "primary": true},
        {"type": "home", "value": "ann@home.example"}]});
    let ann = post(&app, body).await;
    let file = "userName,emails.work,phoneNumbers.mobile\nann@example.com,ann@new.example,+49 1\n";
    assert_eq!(import_with(&app, file, &UPDATING).await.told(), ["2 updated emails,phoneNumbers"]);
    let shown = get(&app, &format!("/Users/{ann}")).await.json();
    assert_eq!(
        shown["emails"],
        json!([{"value": "ann@new.example", "type": "work", "primary": true},
               {"value": "ann@home.example", "type": "home"}])
    );
    let file = "userName,emails\nann@example.com,ANN@home.example\n";
    assert_eq!(import_with(&app, file, &UPDATING).await.report.count(Outcome::Conflict), 0);
    let shown = get(&app, &format!("/Users/{ann}")).await.json();
    assert_eq!(shown["emails"].as_array().unwrap().len(), 2);
    assert_whole(&partition(&app).await);
}

#[tokio::test]
async fn groups_come_with_their_members_and_lose_none() {
    let app = App::start().await;
    let people =
        import_usual(&app, "userName,appId\na@ex.test,acc-a\nb@ex.test,acc-b\nc@ex.test,\n").await;
    let (a, b, c) = (people.id(2), people.id(3), people.id(4));
    let file = "displayName,appId,members\n\
                Team,team-1,A@ex.test; appId:acc-b\n\
                All,,\"group:Team;nobody@ex.test;c@ex.test\"\n\
                Empty,,\n";
    let rehearsed = import_with(&app, file, &REHEARSED).await;
    let imported = import_usual(&app, file).await;
    assert_eq!(rehearsed.told(), imported.told());
    assert_eq!((rehearsed.report.added, imported.report.added), (4, 4));
    let told = imported.told();
    assert_eq!(told[..2], ["2 created", "3 created"]);
    assert_eq!(
        told[2],
        "3 invalid  member userName \"nobody@ex.test\": nobody is called that here; the other members are added"
    );
    let (team, all) = (imported.id(2), imported.id(3));
    assert_eq!(members_of(&app, &team).await, [a.clone(), b.clone()].into());
    assert_eq!(members_of(&app, &all).await, [team.clone(), c.clone()].into());
    assert_whole(&partition(&app).await);

    // A member that the file does not have stays; so does the group's version when nothing is new.
    let version = get(&app, &format!("/Groups/{team}")).await.json()["meta"]["version"].clone();
    let fewer = "displayName,members\nteam,a@ex.test\n";
    let again = import_usual(&app, fewer).await;
    assert_eq!(again.told(), ["2 unchanged"]);
    assert_eq!((again.report.added, again.report.present), (0, 1));
    assert_eq!(members_of(&app, &team).await, [a.clone(), b.clone()].into());
    let shown = get(&app, &format!("/Groups/{team}")).await.json();
    assert_eq!(shown["meta"]["version"], version);
    assert_eq!(shown["displayName"], "Team");

    // By id, and itself.
    let file = format!(
        "{{\"kind\":\"group\",\"resource\":{{\"displayName\":\"Team\"}},\"members\":[{{\"id\":\"{c}\"}},{{\"id\":\"{team}\"}}]}}"
    );
    let told = import_usual(&app, &file).await.told();
    assert_eq!(told, ["1 unchanged", "1 invalid  members: a group cannot be a member of itself"]);

    // More members than a line holds, and more of a group that is nowhere.
    let more = r#"{"kind":"Group","resource":{"displayName":"TEAM"},"continued":true,"members":["c@ex.test"]}
{"kind":"Group","resource":{"displayName":"Nobody's"},"continued":true,"members":["c@ex.test"]}"#;
    let imported = import_usual(&app, more).await;
    assert_eq!(imported.report.added, 1);
    let told = imported.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("2 invalid  there is no such group, here or in an earlier line"));
    assert_eq!(members_of(&app, &team).await, [a, b, c].into());
    assert_whole(&partition(&app).await);
    assert_checked(&app, &app.tenant()).await;
}

/// Whoever may be somebody else's group is not written to by the lines that go on with it either.
#[tokio::test]
async fn what_goes_on_with_a_refused_group_is_left_out() {
    let app = App::start().await;
    import_usual(&app, "userName\na@ex.test\n").await;
    let there = serde_json::json!({"displayName": "Admins", "externalId": "theirs"});
    let admins = app.call("POST", "/Groups", there).await.expect(201).id();
    let file = r#"{"kind":"Group","resource":{"displayName":"Admins","externalId":"ours"}}
{"kind":"Group","resource":{"displayName":"ADMINS"},"continued":true,"members":["a@ex.test"]}"#;
    let imported = import_usual(&app, file).await;
    assert_eq!((imported.counts()["conflict"], imported.report.added), (1, 0));
    assert_eq!(members_of(&app, &admins).await, [].into());
}

/// A version that leaves no room for later ones would hide all of them from who goes by versions.
#[tokio::test]
async fn a_version_beyond_all_time_is_refused() {
    let app = App::start().await;
    let id = app.moment().mint_uuid();
    for version in ["9007199254740992", "18446744073709551615"] {
        let file =
            format!(r#"{{"id":"{id}","version":{version},"resource":{{"userName":"a@ex.test"}}}}"#);
        let told = import_usual(&app, &file).await.told();
        assert!(
            told[0].contains("version must be a whole number up to 9007199254740991"),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_rehearsal_of_people_and_groups_knows_who_would_be_there() {
    let app = App::start().await;
    let file = r#"{"appId":"acc-1","resource":{"userName":"ann@example.com"}}
{"userName":"bad@example.com","active":"perhaps"}
{"resource":{"displayName":"Team"},"members":[{"userName":"ANN@example.com"},{"appId":"acc-1"},{"userName":"bad@example.com"}]}
{"resource":{"displayName":"All"},"members":[{"group":"team"}]}
"#;
    let rehearsed = import_with(&app, file, &REHEARSED).await;
    let told = rehearsed.told();
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(told[2], "3 created");
    assert!(told[3].starts_with("3 invalid  member userName \"bad@example.com\""), "{told:?}");
    assert_eq!(rehearsed.report.added, 3);
    assert_eq!(super::total(&app, scim_endpoint::scim::catalog::Kind::User).await, 0);
    assert_eq!(super::total(&app, scim_endpoint::scim::catalog::Kind::Group).await, 0);
}

#[tokio::test]
async fn a_group_that_would_close_a_circle_is_told_and_the_others_come() {
    let app = App::start().await;
    let file = r#"{"resource":{"displayName":"One"},"members":[{"group":"Two"}]}
{"resource":{"displayName":"Two"},"members":[{"group":"Three"},{"group":"Four"}]}
{"resource":{"displayName":"Three"},"members":[{"group":"One"},{"group":"Two"},{"group":"Four"}]}
{"resource":{"displayName":"Four"}}
"#;
    let imported = import_usual(&app, file).await;
    let told = imported.told();
    let refused: Vec<&String> = told.iter().filter(|told| told.starts_with("3 invalid")).collect();
    assert_eq!((told.len(), refused.len()), (6, 2), "{told:?}");
    for told in refused {
        assert!(told.contains("cannot be a member here") && told.contains("the other members"));
    }
    assert_eq!(imported.report.added, 4);
    let four = [imported.id(4)].into();
    assert_eq!(members_of(&app, &imported.id(3)).await, four);
    assert_whole(&partition(&app).await);
    // Once more, the same is told, and nothing is changed.
    let again = import_usual(&app, file).await;
    assert_eq!((again.report.added, again.report.present), (0, 4));
    assert_eq!(members_of(&app, &imported.id(3)).await, four);
}

#[tokio::test]
async fn a_row_can_be_left_out_by_its_line() {
    let app = App::start().await;
    let file = "userName\na@ex.test\nb@ex.test\nc@ex.test\n";
    let imported = import_with(&app, file, &Options { from_line: 4, ..USUAL }).await;
    assert_eq!(imported.told(), ["4 created"]);
}

#[tokio::test]
async fn a_person_is_unlinked_again() {
    let app = App::start().await;
    import_usual(&app, "userName,appId\nann@example.com,acc-1\n").await;
    let (moment, settings, tenant) =
        (app.moment(), scim_endpoint::store::Settings::default(), app.tenant());
    let cx = scim_endpoint::store::Cx {
        tenant: &tenant,
        settings: &settings,
        actor: "test",
        moment: &moment,
    };
    let ann = app.store().get_by_user_name(&cx, "ann@example.com").await.unwrap().unwrap();
    app.store().link(&cx, &ann, None).await.unwrap();
    assert_eq!(app_id_of(&app, "ann@example.com").await, None);
    assert!(app.store().people_of_app_id(&cx, "acc-1").await.unwrap().is_empty());
    assert_whole(&partition(&app).await);
    assert_checked(&app, &tenant).await;
}
