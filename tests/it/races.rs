//! Races and faults, through a proxy that conflicts as DynamoDB does: what is unique stays unique, nothing is lost,
//! nothing is half done, and no client is told a falsehood. After each, the partition is read item by item.

mod large;
mod members;
mod names;
mod overtaken;
mod pages;
mod unknown;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::whole::{Item, client, partition, string};

/// Items in one BatchWriteItem.
const BATCH: usize = 25;

/// Creates a user and returns its id.
pub(crate) async fn user(app: &App, name: &str) -> String {
    let body = json!({"userName": name, "emails": [{"type": "work", "value": name}]});
    app.call("POST", "/Users", body).await.expect(201).id()
}

/// Creates a group and returns its id.
pub(crate) async fn group(app: &App, name: &str, members: &[String]) -> String {
    let body = json!({"displayName": name, "members": entries(members)});
    app.call("POST", "/Groups", body).await.expect(201).id()
}

/// Members as a request lists them.
pub(crate) fn entries(ids: &[String]) -> Vec<Value> {
    ids.iter().map(|id| json!({"value": id})).collect()
}

/// A PATCH body with one operation on the members.
pub(crate) fn on_members(op: &str, ids: &[String]) -> Value {
    json!({"Operations": [{"op": op, "path": "members", "value": entries(ids)}]})
}

/// A PATCH body that replaces one attribute.
pub(crate) fn replacing(path: &str, value: &str) -> Value {
    json!({"Operations": [{"op": "replace", "path": path, "value": value}]})
}

pub(crate) async fn patch(app: &App, target: &str, body: Value) -> Answer {
    app.call("PATCH", target, body).await
}

pub(crate) async fn get(app: &App, target: &str) -> Answer {
    app.call("GET", target, Value::Null).await
}

pub(crate) async fn delete(app: &App, target: &str) -> Answer {
    app.call("DELETE", target, Value::Null).await
}

/// The ids of a group's members, as its GET shows them.
pub(crate) async fn members_of(app: &App, group: &str) -> BTreeSet<String> {
    values(&get(app, &format!("/Groups/{group}")).await.expect(200).json()["members"])
}

/// The ids of a user's groups, as its GET shows them.
pub(crate) async fn groups_of(app: &App, user: &str) -> BTreeSet<String> {
    let target = format!("/Users/{user}?attributes=groups");
    values(&get(app, &target).await.expect(200).json()["groups"])
}

fn values(entries: &Value) -> BTreeSet<String> {
    let entries = entries.as_array().into_iter().flatten();
    entries.map(|entry| entry["value"].as_str().unwrap().to_owned()).collect()
}

/// How many answers there were of each status.
pub(crate) fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counted = BTreeMap::new();
    for answer in answers {
        *counted.entry(answer.status).or_default() += 1;
    }
    counted
}

/// Many users at once, written past the endpoint in the form of one that it has made itself.
pub(crate) async fn crowd(app: &App, how_many: usize) -> Vec<String> {
    let name = format!("crowd{}@ex.test", app.moment().mint_uuid().simple());
    let body = json!({"userName": name, "displayName": "One of many"});
    let first = app.call("POST", "/Users", body).await.expect(201).id();
    let items = partition(app).await;
    let id_item = &items[&format!("id#{first}")];
    let item = &items[&string(id_item, "ref")];
    let (mut ids, mut puts) = (vec![first.clone()], Vec::new());
    let moment = app.moment();
    for number in 1..how_many {
        let (id, key) = (moment.mint_uuid().to_string(), format!("user#{number}.{name}"));
        let user_name = format!("{number}.{name}");
        puts.push(with(item, &[("id", &id), ("key", &key), ("userName", &user_name)]));
        puts.push(with(id_item, &[("key", &format!("id#{id}")), ("ref", &key)]));
        ids.push(id);
    }
    put_all(app, puts).await;
    let key = [("tenant", app.tenant().to_string()), ("key", "count#User#00".to_owned())];
    let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
    let added = AttributeValue::N((how_many - 1).to_string());
    let counting = client(app).update_item().table_name(&app.store().tables().directory);
    let counting = counting.set_key(Some(HashMap::from(key)));
    let counting = counting.update_expression("SET #v = :v ADD #n :n");
    let counting = counting.expression_attribute_names("#v", "v");
    let counting = counting.expression_attribute_names("#n", "n");
    let counting = counting.expression_attribute_values(":v", AttributeValue::N("1".to_owned()));
    counting.expression_attribute_values(":n", added).send().await.expect("they are counted");
    ids
}

/// An item with other values.
pub(crate) fn with(item: &Item, changes: &[(&str, &String)]) -> Item {
    let mut item = item.clone();
    for (name, value) in changes {
        item.insert((*name).to_owned(), AttributeValue::S((*value).clone()));
    }
    item
}

/// Writes items past the endpoint.
pub(crate) async fn put_all(app: &App, items: Vec<Item>) {
    let (client, table) = (client(app), &app.store().tables().directory);
    for batch in items.chunks(BATCH) {
        let put = |item: &Item| PutRequest::builder().set_item(Some(item.clone())).build();
        let puts = batch.iter().map(|item| put(item).expect("an item"));
        let puts = puts.map(|put| WriteRequest::builder().put_request(put).build());
        let written = client.batch_write_item().request_items(table, puts.collect());
        let left = written.send().await.expect("they are written").unprocessed_items;
        assert!(left.is_none_or(|left| left.is_empty()), "they are all written");
    }
}
