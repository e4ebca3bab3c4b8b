//! The journal as a feed: what is told, in which order, at least once, with which gaps; acknowledging, measuring, erasing;
//! and `scimctl changes`, `scimctl journal` as their users meet them.

mod command;
mod cursors;
mod erase;
mod events;
mod gaps;
mod held;
mod lag;
mod lost;
mod once;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use scim_endpoint::admin::tokens::{Life, issue};
use scim_endpoint::feed::cursor::Cursor;
use scim_endpoint::feed::reader::{Delivered, Reader, Scope, Told};
use scim_endpoint::feed::{FeedError, Gap};
use scim_endpoint::limits::FEED_BEHIND;
use scim_endpoint::moment::Timestamp;
use scim_endpoint::store::TenantId;
use scim_endpoint::store::feed::{position, time_of};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::whole::{Item, client, string};

/// Items in one BatchWriteItem.
const BATCH: usize = 25;

/// What a run from there to the end tells.
async fn read(
    app: &App,
    scope: Scope,
    after: Option<Cursor>,
) -> Result<(Vec<Delivered>, Vec<Gap>), FeedError> {
    let moments = || app.moment();
    let mut reader = Reader::open(app.store(), &moments, scope, after).await?;
    let (mut delivered, mut gaps) = (Vec::new(), Vec::new());
    loop {
        let batch = reader.next().await?;
        for told in batch.told {
            match told {
                Told::Change(change) => delivered.push(*change),
                Told::Gap(gap) => gaps.push(gap),
            }
        }
        if !batch.more {
            gaps.extend(reader.finish().await?);
            return Ok((delivered, gaps));
        }
    }
}

/// What the first tenant's feed tells from its beginning, once everything is old enough.
async fn told(app: &App) -> Vec<Delivered> {
    app.clock().advance(FEED_BEHIND + Duration::from_secs(1));
    let (delivered, gaps) = read(app, Scope::Tenant(app.tenant()), None).await.unwrap();
    assert_eq!(gaps, []);
    delivered
}

/// As [`told`], without the cursors.
pub(crate) async fn items(app: &App) -> Vec<Value> {
    told(app).await.into_iter().map(|told| Value::Object(told.change.attributes)).collect()
}

/// A user, whenever it is: the harness's token is good for a day.
async fn late_user(app: &App, name: &str) -> String {
    let life = Life::days(1);
    let issued = issue(app.store(), &app.moment(), &app.tenant(), "late", life).await.unwrap();
    let body = json!({"userName": name});
    app.call_as(issued.secret.reveal(), "POST", "/Users", body).await.expect(201).id()
}

/// A tenant's items as DynamoDB has them, past the store, by position.
async fn journal_of(app: &App, tenant: &TenantId) -> BTreeMap<Uuid, Item> {
    let (client, mut all, mut next) = (client(app), BTreeMap::new(), None);
    loop {
        let query = client.query().table_name(&app.store().tables().journal);
        let query = query.key_condition_expression("#t = :t").consistent_read(true);
        let query = query.expression_attribute_names("#t", "tenant");
        let query = query
            .expression_attribute_values(":t", AttributeValue::S(tenant.to_string()))
            .set_exclusive_start_key(next);
        let page = query.send().await.expect("the journal is read");
        let items = page.items.unwrap_or_default();
        all.extend(items.into_iter().map(|item| (at_of(&item), item)));
        next = page.last_evaluated_key;
        if next.is_none() {
            return all;
        }
    }
}

fn at_of(item: &Item) -> Uuid {
    Uuid::try_parse(&string(item, "at")).expect("a position")
}

/// Writes and deletes items of the journal, past the store.
pub(crate) async fn rewrite(app: &App, puts: Vec<Item>, deletes: Vec<Item>) {
    let put = |item| PutRequest::builder().set_item(Some(item)).build().expect("an item");
    let puts = puts.into_iter().map(|item| WriteRequest::builder().put_request(put(item)).build());
    let delete = |item: &Item| {
        let key = ["tenant", "at"].map(|name| (name.to_owned(), item[name].clone()));
        DeleteRequest::builder().set_key(Some(HashMap::from(key))).build().expect("a key")
    };
    let deletes =
        deletes.iter().map(|item| WriteRequest::builder().delete_request(delete(item)).build());
    let requests: Vec<WriteRequest> = puts.chain(deletes).collect();
    for batch in requests.chunks(BATCH) {
        let written = client(app)
            .batch_write_item()
            .request_items(&app.store().tables().journal, batch.to_vec());
        let left = written.send().await.expect("it is written").unprocessed_items;
        assert!(left.is_none_or(|left| left.is_empty()), "all is written");
    }
}

/// What an app leaves that acknowledges, without the condition, items that had expired: items of nothing.
pub(crate) fn acknowledged_nothing(app: &App, count: usize) -> Vec<Item> {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let item = || {
        Item::from([
            ("tenant".to_owned(), text(app.tenant().as_str())),
            ("at".to_owned(), text(&app.moment().mint_uuid().to_string())),
            ("acknowledged".to_owned(), text("2026-11-21T08:00:00Z")),
        ])
    };
    std::iter::repeat_with(item).take(count).collect()
}

/// An item as somebody made it up: its tenant, its time, and what else it says.
pub(crate) fn made_up(
    tenant: &TenantId,
    time: Timestamp,
    number: u32,
    more: &[(&str, &str)],
) -> Item {
    let at = position(time).as_u128() | u128::from(number);
    let texts = [
        ("tenant", tenant.as_str()),
        ("at", &Uuid::from_u128(at).to_string()),
        ("kind", "User"),
        ("actor", "test"),
        ("request", "test"),
    ];
    let texts = texts.iter().chain(more);
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let mut item: Item = texts.map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    if let Some(AttributeValue::S(event)) = item.remove("event") {
        item.insert("events".to_owned(), AttributeValue::L(vec![text(&event)]));
    }
    let expires = time.plus_seconds(400 * 86_400).unix_seconds().to_string();
    item.insert("expires".to_owned(), AttributeValue::N(expires));
    item.insert("v".to_owned(), AttributeValue::N("1".to_owned()));
    item
}

/// Makes a tenant's journal older, for commands, which go by the machine's clock.
pub(crate) async fn age(app: &App, tenant: &TenantId, by: Duration) {
    let old = journal_of(app, tenant).await;
    let move_back = |text: &str| {
        let at = Uuid::try_parse(text).expect("a position");
        let time = time_of(at).expect("a time").minus(by);
        let low = at.as_u128() & u128::from(u64::MAX);
        let middle = at.as_u128() & (0xffff << 64);
        let high = position(time).as_u128() >> 80 << 80;
        AttributeValue::S(Uuid::from_u128(high | middle | low).to_string())
    };
    let mut moved = Vec::new();
    for item in old.values() {
        let mut item = item.clone();
        for name in ["at", "after"] {
            if let Some(AttributeValue::S(at)) = item.get(name) {
                let at = move_back(at);
                item.insert(name.to_owned(), at);
            }
        }
        moved.push(item);
    }
    rewrite(app, moved, old.into_values().collect()).await;
}

/// Whoever writes the journal with such a clock writes behind its readers.
#[tokio::test]
async fn a_clock_that_is_ahead_is_told() {
    let app = App::start().await;
    assert_eq!(app.store().clock_error(&app.moment()).await.unwrap(), None);
    app.clock().advance(Duration::from_hours(1));
    let wrong = app.store().clock_error(&app.moment()).await.unwrap().expect("an hour is seen");
    assert_eq!(wrong.word(), "ahead of");
    let minutes = wrong.by().as_secs() / 60;
    assert!((55..=60).contains(&minutes), "{minutes} minutes");
}
