//! A person's erasure from the journal: no name is left, nothing else is lost, and a reader misses nothing.

use std::time::Duration;

use scim_endpoint::feed::erase::{Found, Progress, Whom, erase, find};
use scim_endpoint::feed::reader::Scope;
use scim_endpoint::limits::{FEED_BEHIND, FEED_PAGE};
use serde_json::{Value, json};

use super::{acknowledged_nothing, items, journal_of, read, rewrite};
use crate::app::App;
use crate::proxy::{Conflicts, Proxy, Step};
use crate::races::{delete, group, on_members, patch, replacing, user};

async fn found(app: &App, whom: &Whom) -> Found {
    let moments = || app.moment();
    find(app.store(), &moments, &app.tenant(), whom, &mut |_| {}).await.unwrap()
}

async fn erased(app: &App, whom: &Whom) -> usize {
    let found = found(app, whom).await;
    assert!(found.ids.len() < 2);
    let moments = || app.moment();
    erase(app.store(), &moments, &app.tenant(), &found, &mut |_| {}).await.unwrap()
}

/// Ida, who has had three names and was refused some, and Bob, who has nothing to do with that. Her id and his.
async fn people(app: &App) -> (String, String) {
    let body = json!({"userName": "Ida@ex.test", "displayName": "Ida Ek", "externalId": "oid-ida"});
    let ida = app.call("POST", "/Users", body).await.expect(201).id();
    let bob = user(app, "bob@ex.test").await;
    let staff = group(app, "Staff", &[ida.clone(), bob.clone()]).await;
    let url = format!("/Users/{ida}");
    for name in ["ida.k@ex.test", "ik@ex.test"] {
        patch(app, &url, replacing("userName", name)).await.expect(200);
    }
    // By name, by another name, by externalId alone, by id alone, and in the text that was answered.
    app.call("POST", "/Users", json!({"userName": "IK@ex.test"})).await.expect(409);
    app.call("POST", "/Users", json!({"userName": "ida.k@ex.test", "emails": 3})).await.expect(400);
    app.call("POST", "/Users", json!({"externalId": "oid-ida"})).await.expect(400);
    patch(app, &url, replacing("userName", "bob@ex.test")).await.expect(409);
    // Not hers.
    app.call("POST", "/Users", json!({"userName": "bob@ex.test"})).await.expect(409);
    patch(app, &format!("/Groups/{staff}"), on_members("remove", std::slice::from_ref(&ida)))
        .await
        .expect(204);
    delete(app, &url).await.expect(204);
    (ida, bob)
}

const HERS: [&str; 5] = ["ida@ex.test", "ida.k@ex.test", "ik@ex.test", "Ida Ek", "oid-ida"];

/// Nothing names her; what named nobody of hers is as it was; the feed is whole.
async fn expect_erased(app: &App, before: &[Value]) {
    let after = items(app).await;
    assert_eq!(after.len(), before.len());
    let text = Value::from(after.clone()).to_string().to_lowercase();
    for name in HERS {
        assert!(!text.contains(&name.to_lowercase()), "{name}: {text}");
    }
    let identifiers = ["userName", "displayName", "externalId", "appId", "detail"];
    for (before, after) in before.iter().zip(&after) {
        if after["erased"] == true {
            let mut left = before.clone();
            for name in identifiers {
                left.as_object_mut().unwrap().remove(name);
            }
            left["erased"] = json!(true);
            left.sort_all_objects();
            assert_eq!(*after, left);
        } else {
            assert_eq!(after, before);
        }
    }
}

#[tokio::test]
async fn nothing_names_a_person_who_was_erased() {
    for by_name in [None, Some("IDA.K@ex.test"), Some("ik@ex.test")] {
        let app = App::start().await;
        let (ida, bob) = people(&app).await;
        let before = items(&app).await;
        let whom = by_name.map_or(Whom::Id(ida.clone()), |name| Whom::UserName(name.to_owned()));
        let found = found(&app, &whom).await;
        assert_eq!((found.changes.len(), found.refusals.len()), (4, 4));
        assert_eq!(found.ids, [ida].into());
        assert_eq!(erased(&app, &whom).await, 8);
        expect_erased(&app, &before).await;
        let text = Value::from(items(&app).await).to_string();
        assert!(text.contains("bob@ex.test") && text.contains(&bob));
        // Once more changes nothing.
        assert_eq!(erased(&app, &whom).await, 0);
    }
}

#[tokio::test]
async fn an_erasure_that_was_stopped_goes_on_wherever_that_was() {
    for stop in 0..8 {
        let (app, proxy) = Proxy::app(Conflicts::None).await;
        people(&app).await;
        let before = items(&app).await;
        // A name of the middle of her time: what she is known by must not go first.
        let whom = Whom::UserName("ida.k@ex.test".to_owned());
        let moments = || app.moment();
        let first = found(&app, &whom).await;
        proxy.script("UpdateItem", std::iter::repeat_n(Step::Pass, stop));
        proxy.always("UpdateItem", Step::Refuse("ValidationException"));
        let mut done = 0;
        let mut note = |progress| {
            if let Progress::Erased(erased, _) = progress {
                done = erased;
            }
        };
        let stopped = erase(app.store(), &moments, &app.tenant(), &first, &mut note).await;
        assert!(stopped.is_err());
        assert_eq!(done, stop);
        proxy.heal();
        assert_eq!(erased(&app, &whom).await, 8 - stop);
        expect_erased(&app, &before).await;
    }
}

#[tokio::test]
async fn several_people_of_one_name_are_not_guessed_at() {
    let app = App::start().await;
    let first = user(&app, "ida@ex.test").await;
    delete(&app, &format!("/Users/{first}")).await.expect(204);
    let second = user(&app, "Ida@EX.test").await;
    let whom = Whom::UserName("ida@ex.test".to_owned());
    let both = found(&app, &whom).await;
    assert_eq!(both.ids, [first.clone(), second.clone()].into());
    assert!(both.is_empty());
    assert_eq!(erased(&app, &Whom::Id(first)).await, 2);
    let left = found(&app, &whom).await;
    assert_eq!((left.ids, left.changes.len()), ([second].into(), 1));
}

#[tokio::test]
async fn who_was_only_ever_refused_is_erased_by_name_and_a_group_is_no_person() {
    let app = App::start().await;
    app.call("POST", "/Users", json!({"userName": "eve@ex.test", "emails": 3})).await.expect(400);
    let staff = group(&app, "eve@ex.test", &[]).await;
    assert_eq!(erased(&app, &Whom::Id(staff)).await, 0);
    assert_eq!(erased(&app, &Whom::Id("nobody".to_owned())).await, 0);
    assert_eq!(erased(&app, &Whom::UserName("Eve@ex.test".to_owned())).await, 1);
    let items = items(&app).await;
    assert_eq!(items[0]["userName"], Value::Null);
    assert_eq!(items[1]["displayName"], "eve@ex.test");
}

#[tokio::test]
async fn the_neighbours_journal_is_left_alone() {
    let app = App::start().await;
    let body = || json!({"userName": "ida@ex.test"});
    app.call("POST", "/Users", body()).await.expect(201);
    app.call_as(&app.other_token(), "POST", "/Users", body()).await.expect(201);
    let globex = scim_endpoint::store::TenantId::parse("globex").unwrap();
    let before = journal_of(&app, &globex).await;
    assert_eq!(erased(&app, &Whom::UserName("ida@ex.test".to_owned())).await, 1);
    assert_eq!(journal_of(&app, &globex).await, before);
    app.clock().advance(FEED_BEHIND + Duration::from_secs(1));
    let (_, gaps) = read(&app, Scope::All, None).await.unwrap();
    assert_eq!(gaps, []);
}

#[tokio::test]
async fn a_page_of_what_is_no_change_hides_nothing_behind_it() {
    let app = App::start().await;
    rewrite(&app, acknowledged_nothing(&app, FEED_PAGE + 1), Vec::new()).await;
    app.clock().advance(Duration::from_secs(1));
    let ida = user(&app, "ida@ex.test").await;
    assert_eq!(found(&app, &Whom::Id(ida.clone())).await.ids, [ida].into());
}
