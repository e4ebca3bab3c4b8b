//! Cursors that cannot be gone on with: each is one sentence that says what to do.

use std::time::Duration;

use scim_endpoint::admin::delete::delete;
use scim_endpoint::feed::FeedError;
use scim_endpoint::feed::cursor::Cursor;
use scim_endpoint::feed::reader::{Delivered, Scope};
use scim_endpoint::limits::FEED_BEHIND;
use scim_endpoint::store::{Settings, TenantId};
use serde_json::json;

use super::{age, journal_of, late_user, read, rewrite};
use crate::app::App;
use crate::races::user;

/// Three people in the first tenant and one in the second, old enough to be told.
async fn start() -> (App, Scope, Vec<Delivered>) {
    let app = App::start().await;
    for name in ["a@ex.test", "b@ex.test", "c@ex.test"] {
        user(&app, name).await;
    }
    let body = json!({"userName": "z@ex.test"});
    app.call_as(&app.other_token(), "POST", "/Users", body).await.expect(201);
    app.clock().advance(FEED_BEHIND + Duration::from_secs(1));
    let scope = Scope::Tenant(app.tenant());
    let (told, _) = read(&app, scope.clone(), None).await.unwrap();
    assert_eq!(told.len(), 3);
    (app, scope, told)
}

/// Why a cursor is refused: one sentence, on one line, with these words.
async fn refused(app: &App, scope: Scope, cursor: &Cursor, words: &[&str]) -> FeedError {
    let error = read(app, scope, Some(cursor.clone())).await.unwrap_err();
    let told = error.to_string();
    assert_eq!(told.lines().count(), 1, "{told}");
    for word in words {
        assert!(told.contains(word), "{word}: {told}");
    }
    error
}

#[tokio::test]
async fn a_cursor_of_another_feed_is_told_whose_it_is() {
    let (app, scope, told) = start().await;
    let globex = Scope::Tenant(TenantId::parse("globex").unwrap());
    let own = &told[0].cursor;
    refused(&app, globex, own, &["of the tenant acme, not of globex", "--tenant acme"]).await;
    refused(&app, Scope::All, own, &["of the tenant acme alone", "without --after"]).await;
    let (all, _) = read(&app, Scope::All, None).await.unwrap();
    assert_eq!(all.len(), 4);
    refused(&app, scope, &all[1].cursor, &["a cursor of --all", "without --after"]).await;
}

#[tokio::test]
async fn an_expired_cursor_is_told_so() {
    let (app, scope, told) = start().await;
    // All of it has gone by itself.
    app.clock().advance(Duration::from_hours(24 * 401));
    let gone = journal_of(&app, &app.tenant()).await.into_values().collect();
    rewrite(&app, Vec::new(), gone).await;
    let words = ["has expired", "start again without --after", "scimctl resync"];
    let error = refused(&app, scope.clone(), &told[1].cursor, &words).await;
    assert!(matches!(error, FeedError::Expired { .. }));
    late_user(&app, "d@ex.test").await;
    refused(&app, scope, &told[1].cursor, &words).await;
    // As when its beginning alone has gone, while items are kept for less time than is usual.
    let (app, scope, told) = start().await;
    let first = journal_of(&app, &app.tenant()).await.into_values().take(2).collect();
    rewrite(&app, Vec::new(), first).await;
    refused(&app, scope.clone(), &told[1].cursor, &words).await;
    let (rest, _) = read(&app, scope, Some(told[2].cursor.clone())).await.unwrap();
    assert_eq!(rest, []);
}

#[tokio::test]
async fn an_expired_cursor_of_all_is_told_so_even_when_its_own_item_is_there() {
    let (app, _, _) = start().await;
    let (all, _) = read(&app, Scope::All, None).await.unwrap();
    let Cursor::All { until, tenant, at, .. } = all[1].cursor.clone() else { panic!("{all:?}") };
    let long_ago = until.minus(Duration::from_hours(24 * 401));
    let cursor = Cursor::All { since: Some(long_ago), until, tenant, at };
    refused(&app, Scope::All, &cursor, &["has expired"]).await;
}

#[tokio::test]
async fn a_cursor_from_before_a_restore_is_told_so() {
    let (app, scope, told) = start().await;
    // The table is as it was before the second.
    let lost = journal_of(&app, &app.tenant()).await.into_values().skip(1).collect();
    rewrite(&app, Vec::new(), lost).await;
    for cursor in [&told[1].cursor, &told[2].cursor] {
        let words = ["restored to an earlier time", "scimctl resync", "without --after"];
        let error = refused(&app, scope.clone(), cursor, &words).await;
        assert!(matches!(error, FeedError::Missing { .. }));
    }
    late_user(&app, "d@ex.test").await;
    refused(&app, scope.clone(), &told[2].cursor, &["scimctl resync"]).await;
    // Whoever had not come so far goes on.
    assert!(read(&app, scope, Some(told[0].cursor.clone())).await.is_ok());
    // A table that is new altogether.
    let rest = journal_of(&app, &app.tenant()).await.into_values().collect();
    rewrite(&app, Vec::new(), rest).await;
    refused(&app, Scope::Tenant(app.tenant()), &told[0].cursor, &["restored"]).await;
}

#[tokio::test]
async fn a_cursor_of_all_goes_on_exactly_beside_tenants_that_come_and_go() {
    let (app, _, _) = start().await;
    let (all, _) = read(&app, Scope::All, None).await.unwrap();
    let names: Vec<&str> = all.iter().map(|told| told.tenant.as_str()).collect();
    assert_eq!(names, ["acme", "acme", "acme", "globex"]);
    for (end, told) in all.iter().enumerate() {
        let (rest, _) = read(&app, Scope::All, Some(told.cursor.clone())).await.unwrap();
        let changes = |told: &[Delivered]| -> Vec<_> {
            told.iter().map(|told| told.change.clone()).collect()
        };
        assert_eq!(changes(&rest), changes(&all[end + 1..]));
    }
    // One that is new, before the tenant that it stands at; and that one goes.
    let new = TenantId::parse("aaa").unwrap();
    let token = app.create_tenant(&new, &Settings::default()).await;
    let body = json!({"userName": "n@ex.test"});
    app.call_as(token.reveal(), "POST", "/Users", body).await.expect(201);
    app.clock().advance(FEED_BEHIND + Duration::from_secs(1));
    let (acme, moments) = (app.tenant(), || app.moment());
    let store = app.store();
    delete(store, &moments, &acme, Duration::ZERO, &mut |_| {}).await.unwrap();
    let (rest, gaps) = read(&app, Scope::All, Some(all[1].cursor.clone())).await.unwrap();
    let names: Vec<&str> = rest.iter().map(|told| told.tenant.as_str()).collect();
    // The rest of the round that was begun before, and then what is new.
    assert_eq!((names, gaps), (vec!["globex", "aaa"], Vec::new()));
    let (rest, _) = read(&app, Scope::All, Some(rest[1].cursor.clone())).await.unwrap();
    assert_eq!(rest, []);
}

#[tokio::test]
async fn an_old_feed_is_read_from_its_beginning() {
    let (app, scope, _) = start().await;
    age(&app, &app.tenant(), Duration::from_hours(24 * 399)).await;
    let (told, gaps) = read(&app, scope, None).await.unwrap();
    assert_eq!((told.len(), gaps), (3, Vec::new()));
}
