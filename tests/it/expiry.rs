//! When DynamoDB may remove items by itself: what went too early would be lost, and what never goes is kept for nothing.

use scim_endpoint::admin::portal::{self, LinkLife};
use scim_endpoint::admin::tokens;
use scim_endpoint::limits::{
    JOURNAL_KEPT_DAYS, JOURNAL_KEPT_DAYS_MIN, LINK_USED_KEPT_DAYS, TOKEN_ROW_KEPT_DAYS,
    TRAFFIC_KEPT_DAYS,
};
use scim_endpoint::moment::Timestamp;
use scim_endpoint::store::Cx;
use scim_endpoint::store::feed::time_of;
use scim_endpoint::store::traffic::{Slot, Sums, slot_of};
use uuid::Uuid;

use crate::app::App;
use crate::races::{on_members, patch, user};
use crate::whole::{Item, client, journal, number, partition, string};

const DAY: i64 = 86_400;

/// How long an item is kept after the time that its attribute says.
fn kept_after(item: &Item, attribute: &str) -> i64 {
    let from = Timestamp::parse(&string(item, attribute));
    number(item, "expires") - from.expect("a time").unix_seconds()
}

/// The row of the Secrets table in which that attribute has that value.
async fn row_with(app: &App, attribute: &str, value: &str) -> Item {
    let all = client(app).scan().table_name(&app.store().tables().secrets);
    let rows: Vec<Item> =
        all.consistent_read(true).send().await.expect("the rows are read").items.unwrap();
    let is_its = |row: &Item| string(row, attribute) == value && string(row, "sort") != "session";
    rows.into_iter().find(is_its).expect("a row")
}

#[tokio::test]
async fn every_item_of_the_journal_is_kept_for_as_long_as_it_is_documented() {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    let team = crate::races::group(&app, "Team", &[]).await;
    patch(&app, &format!("/Groups/{team}"), on_members("add", &[ida])).await.expect(204);
    let (tenant, token) = (app.tenant(), app.issue(&app.tenant()).await.id);
    let by = (&tenant, "portal:l1");
    tokens::revoke_as(app.store(), &app.moment(), by, &token).await.unwrap();
    let items = journal(&app).await;
    assert!(items.values().any(|item| string(item, "kind") == "Tenant"), "{items:?}");
    for (at, item) in &items {
        let written = time_of(Uuid::try_parse(at).unwrap()).unwrap().unix_seconds();
        let kept = number(item, "expires") - written;
        // The key is minted a moment after the request has begun.
        assert!((kept - JOURNAL_KEPT_DAYS * DAY).abs() < 60, "{kept}: {item:?}");
    }
}

#[tokio::test]
async fn the_journal_is_kept_for_as_long_as_a_store_is_told() {
    let app = App::start().await;
    let tenant = app.tenant();
    for (told, kept) in [(JOURNAL_KEPT_DAYS_MIN, JOURNAL_KEPT_DAYS_MIN), (1, JOURNAL_KEPT_DAYS_MIN)]
    {
        let token = app.issue(&tenant).await.id;
        let before = journal(&app).await;
        let store = app.store().clone().with_journal_days(told);
        tokens::revoke_as(&store, &app.moment(), (&tenant, "scimctl"), &token).await.unwrap();
        let items = journal(&app).await;
        let (at, item) = items.iter().find(|(at, _)| !before.contains_key(*at)).expect("an item");
        let written = time_of(Uuid::try_parse(at).unwrap()).unwrap().unix_seconds();
        assert!((number(item, "expires") - written - kept * DAY).abs() < 60, "{item:?}");
    }
}

#[tokio::test]
async fn dead_tokens_and_links_are_kept_for_as_long_as_they_are_asked_after() {
    let app = App::start().await;
    let (tenant, by) = (app.tenant(), "scimctl");
    let issued = app.issue(&tenant).await;
    let row = row_with(&app, "token", &issued.id).await;
    assert_eq!(kept_after(&row, "validUntil"), TOKEN_ROW_KEPT_DAYS * DAY);
    tokens::revoke(app.store(), &app.moment(), &tenant, &issued.id).await.unwrap();
    let row = row_with(&app, "token", &issued.id).await;
    assert_eq!(kept_after(&row, "revoked"), TOKEN_ROW_KEPT_DAYS * DAY);

    let what = ("ida's admin", LinkLife::default());
    let link = portal::issue_link(app.store(), &app.moment(), (&tenant, by), what).await.unwrap();
    let row = row_with(&app, "link", &link.id).await;
    assert_eq!(kept_after(&row, "validUntil"), TOKEN_ROW_KEPT_DAYS * DAY);
    portal::open(app.store(), &app.moment(), link.secret.reveal()).await.unwrap();
    let row = row_with(&app, "link", &link.id).await;
    assert_eq!(kept_after(&row, "changed"), LINK_USED_KEPT_DAYS * DAY);
}

#[tokio::test]
async fn what_was_counted_is_kept_for_as_long_as_it_is_shown() {
    let app = App::start().await;
    let (moment, tenant) = (app.moment(), app.tenant());
    let (settings, _) = app.store().settings(&moment, &tenant).await.unwrap().unwrap();
    let cx = Cx { tenant: &tenant, settings: &settings, actor: "test", moment: &moment };
    let start = slot_of(moment.now());
    let sums = Sums { people: 3, ..Sums::default() };
    app.store().note_traffic(&cx, start, &sums).await.unwrap();
    let items = partition(&app).await;
    let noted = items.get(&format!("traffic#{start}")).expect("it is noted");
    assert_eq!(number(noted, "expires") - start.unix_seconds(), TRAFFIC_KEPT_DAYS * DAY);
    // DynamoDB may take its time to remove what is older: it is not shown.
    let old = slot_of(start.plus_seconds(-(TRAFFIC_KEPT_DAYS + 1) * DAY));
    app.store().note_traffic(&cx, old, &sums).await.unwrap();
    let yesterday = slot_of(start.plus_seconds(-DAY));
    app.store().note_traffic(&cx, yesterday, &sums).await.unwrap();
    for (since, expected) in [(old, vec![yesterday, start]), (start, vec![start])] {
        let shown = app.store().traffic(&moment, &tenant, since).await.unwrap();
        let expected = expected.into_iter().map(|start| Slot { start, sums });
        assert_eq!(shown, expected.collect::<Vec<_>>());
    }
}
