//! Whether a tenant's data is whole, found out from the items themselves: each user with its id item, match items and
//! back; each membership with its inverse; both ends there; counters right; nothing left over.
//!
//! It shares no code with the store that it judges: keys are taken apart here by themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use scim_endpoint::local::sdk_config;
use scim_endpoint::store::Tables;

use crate::app::App;

/// An item as the SDK has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Items by their sort keys, for who looks at the same ones again and again.
pub(crate) type Items = BTreeMap<String, Arc<Item>>;

/// The SDK, straight to the engine, past any proxy.
pub(crate) fn client(app: &App) -> aws_sdk_dynamodb::Client {
    client_of(&app.dynamodb_endpoint())
}

fn client_of(endpoint: &str) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&sdk_config(endpoint))
}

/// All items of the first tenant's partition by their sort keys.
pub(crate) async fn partition(app: &App) -> BTreeMap<String, Item> {
    partition_of(app, app.tenant().as_str()).await
}

/// All items of a tenant's partition by their sort keys.
pub(crate) async fn partition_of(app: &App, tenant: &str) -> BTreeMap<String, Item> {
    let table = app.store().tables().directory.clone();
    read(&client(app), (&table, "key"), tenant).await
}

/// The same but for what says when the tenant was last seen, and with how much.
pub(crate) fn without_what_was_seen(mut items: BTreeMap<String, Item>) -> BTreeMap<String, Item> {
    items.retain(|key, _| key != "activity" && !key.starts_with("traffic#"));
    items
}

/// All items of the first tenant's journal by their time.
pub(crate) async fn journal(app: &App) -> BTreeMap<String, Item> {
    journal_of(app, app.tenant().as_str()).await
}

/// All items of a tenant's journal by their time.
pub(crate) async fn journal_of(app: &App, tenant: &str) -> BTreeMap<String, Item> {
    let table = app.store().tables().journal.clone();
    read(&client(app), (&table, "at"), tenant).await
}

/// A tenant's partition and journal on the engine of a local server.
pub(crate) async fn at(endpoint: &str, tenant: &str) -> [BTreeMap<String, Item>; 2] {
    let (client, tables) = (client_of(endpoint), Tables::local());
    let partition = read(&client, (&tables.directory, "key"), tenant).await;
    [partition, read(&client, (&tables.journal, "at"), tenant).await]
}

async fn read(
    client: &aws_sdk_dynamodb::Client,
    (table, range): (&str, &str),
    tenant: &str,
) -> BTreeMap<String, Item> {
    let (mut all, mut next) = (BTreeMap::new(), None);
    loop {
        let page = client
            .query()
            .table_name(table)
            .key_condition_expression("#t = :t")
            .expression_attribute_names("#t", "tenant")
            .expression_attribute_values(":t", AttributeValue::S(tenant.to_owned()))
            .consistent_read(true)
            .set_exclusive_start_key(next)
            .send()
            .await
            .expect("the partition is read");
        let items = page.items.unwrap_or_default();
        all.extend(items.into_iter().map(|item| (string(&item, range), item)));
        next = page.last_evaluated_key;
        if next.is_none() {
            return all;
        }
    }
}

/// Fails unless everything is in its place and no job is left.
#[track_caller]
pub(crate) fn assert_whole(items: &BTreeMap<String, Item>) {
    let faults = faults(&shared(items));
    assert!(faults.is_empty(), "the partition is not whole:\n{}", faults.join("\n"));
    let work: Vec<&String> = items.keys().filter(|key| key.starts_with("work#")).collect();
    assert!(work.is_empty(), "jobs are left over: {work:?}");
}

/// Fails unless everything is in its place but for what an unfinished job still has to do.
#[track_caller]
pub(crate) fn assert_whole_but_for_jobs(items: &BTreeMap<String, Item>) {
    let faults = faults(&shared(items));
    assert!(faults.is_empty(), "the partition is not whole:\n{}", faults.join("\n"));
}

fn shared(items: &BTreeMap<String, Item>) -> Items {
    items.iter().map(|(key, item)| (key.clone(), Arc::new(item.clone()))).collect()
}

/// What is wrong, a line each.
pub(crate) fn faults(items: &Items) -> Vec<String> {
    let mut faults = Vec::new();
    let swept: BTreeSet<String> =
        with_sort(items, "work").map(|(_, i)| string(i, "resource")).collect();
    for (key, item) in items {
        let segments: Vec<&str> = key.split('#').collect();
        let fault = match segments.as_slice() {
            ["user", name] => user(items, key, name, item),
            ["id", id] => id_item(items, id, item),
            ["match", attribute, value, id] => matching(items, (attribute, value, id)),
            ["group", id] => group(items, id, item),
            ["groupname", name, id] => group_name(items, name, id),
            ["unique", "displayName", name] => lock(items, name, item),
            ["member", group, member] => membership(items, &swept, (group, member), item),
            ["memberof", member, group] => {
                let there = items.contains_key(&format!("member#{group}#{member}"));
                (!there).then(|| "no member item".to_owned())
            }
            ["resource", _, id] => {
                (string(item, "id") != *id).then(|| "another resource's id".to_owned())
            }
            ["count", ..]
            | ["settings" | "activity" | "brake" | "nesting"]
            | ["token" | "work" | "traffic" | "held" | "settled" | "told", _] => None,
            _ => Some("an item of no known sort".to_owned()),
        };
        faults.extend(fault.map(|fault| format!("{key}: {fault}")));
    }
    faults.extend(held_counts(items));
    faults.extend(circles(items));
    for (kind, sort) in [("User", "id"), ("Group", "group"), ("Device", "resource")] {
        let shards = with_sort(items, "count").filter(|(key, _)| key.contains(kind));
        let counted: i64 = shards.map(|(_, shard)| number(shard, "n")).sum();
        let there = i64::try_from(with_sort(items, sort).count()).unwrap();
        if counted != there {
            faults.push(format!("count#{kind}: {counted} counted and {there} there"));
        }
    }
    faults
}

/// No group is among its own members, however many groups are in between.
fn circles(items: &Items) -> Vec<String> {
    let nested = with_sort(items, "member").filter(|(_, item)| string(item, "type") == "Group");
    let mut left: Vec<(&str, &str)> = nested
        .map(|(key, _)| {
            let ids: Vec<&str> = key.split('#').collect();
            (ids[1], ids[2])
        })
        .collect();
    // What has nothing above it, or nothing below it, is in no circle.
    loop {
        let before = left.len();
        let all = left.clone();
        left.retain(|(group, member)| {
            all.iter().any(|(_, other)| other == group)
                && all.iter().any(|(other, _)| other == member)
        });
        if left.len() == before {
            break;
        }
    }
    left.iter().map(|(group, member)| format!("member#{group}#{member}: in a circle")).collect()
}

/// The brake counts every change that it holds back, and each resource those that touched it.
fn held_counts(items: &Items) -> Vec<String> {
    let mut touched: BTreeMap<String, i64> = BTreeMap::new();
    for (_, held) in with_sort(items, "held") {
        let image = held.get("item").and_then(|image| image.as_m().ok()).expect("an image");
        let groups =
            image.get("groups").and_then(|groups| groups.as_l().ok()).into_iter().flatten();
        let groups = groups.filter_map(|group| group.as_s().ok()).cloned();
        for id in groups.chain([string(image, "id")]) {
            *touched.entry(id).or_default() += 1;
        }
    }
    let mut faults = Vec::new();
    for (key, item) in with_sort(items, "user").chain(with_sort(items, "group")) {
        let (counts, held) = (number(item, "held"), touched.get(&string(item, "id")).copied());
        if counts != held.unwrap_or(0) {
            faults.push(format!("{key}: it counts {counts} held changes, and {held:?} are"));
        }
    }
    let counts = items.get("brake").map_or(0, |brake| number(brake, "held"));
    let held = i64::try_from(with_sort(items, "held").count()).unwrap();
    if counts != held {
        faults.push(format!("brake: it counts {counts} held changes, and {held} are"));
    }
    faults
}

fn user(items: &Items, key: &str, name: &str, item: &Item) -> Option<String> {
    let id = string(item, "id");
    let Some(id_item) = items.get(&format!("id#{id}")) else {
        return Some("no id item".to_owned());
    };
    if string(id_item, "ref") != key {
        return Some("its id item names another key".to_owned());
    }
    if folded(&string(item, "userName")) != name {
        return Some("its userName belongs under another key".to_owned());
    }
    let scim = item.get("scim").and_then(|scim| scim.as_m().ok())?;
    let emails = scim.get("emails").and_then(|emails| emails.as_l().ok())?;
    let values = emails.iter().filter_map(|email| email.as_m().ok()?.get("value")?.as_s().ok());
    let missing = values.map(|value| format!("match#emails.value#{}#{id}", folded(value)));
    let missing: Vec<String> = missing.filter(|key| !items.contains_key(key)).collect();
    (!missing.is_empty()).then(|| format!("no match items {missing:?}"))
}

fn id_item(items: &Items, id: &str, item: &Item) -> Option<String> {
    let Some(user) = items.get(&string(item, "ref")) else {
        return Some("no user item".to_owned());
    };
    if string(user, "id") != id {
        return Some("its key is somebody else's".to_owned());
    }
    adds(items, id, item)
}

/// Each add moves the number, so there are never more memberships than that.
fn adds(items: &Items, id: &str, item: &Item) -> Option<String> {
    let prefix = format!("memberof#{id}#");
    let there =
        items.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix)).count();
    let moved = number(item, "memberships");
    (moved < i64::try_from(there).unwrap())
        .then(|| format!("{there} memberships and only {moved} adds"))
}

fn matching(items: &Items, (attribute, value, id): (&str, &str, &str)) -> Option<String> {
    let user = items.get(&format!("id#{id}")).and_then(|item| items.get(&string(item, "ref")));
    let Some(user) = user else { return Some("nobody has that id".to_owned()) };
    if attribute == "@appId" {
        let has = user.get("appId").is_some() && string(user, "appId") == value;
        return (!has).then(|| "the user is another account".to_owned());
    }
    if attribute != "emails.value" {
        return Some("not a match attribute".to_owned());
    }
    let scim = user.get("scim").and_then(|scim| scim.as_m().ok());
    let emails = scim.and_then(|scim| scim.get("emails")?.as_l().ok());
    let values = emails.into_iter().flatten();
    let mut values = values.filter_map(|email| email.as_m().ok()?.get("value")?.as_s().ok());
    let has = values.any(|email| folded(email) == value);
    (!has).then(|| "the user has no such value".to_owned())
}

fn group(items: &Items, id: &str, item: &Item) -> Option<String> {
    let name = folded(&string(item, "displayName"));
    let lock = items.get(&format!("unique#displayName#{name}"));
    if lock.is_none_or(|lock| string(lock, "id") != id) {
        return Some("it does not hold its name".to_owned());
    }
    if !items.contains_key(&format!("groupname#{name}#{id}")) {
        return Some("it cannot be found by its name".to_owned());
    }
    adds(items, id, item)
}

fn group_name(items: &Items, name: &str, id: &str) -> Option<String> {
    let group = items.get(&format!("group#{id}"));
    let is_its = group.is_some_and(|group| folded(&string(group, "displayName")) == name);
    (!is_its).then(|| "no group with that id and name".to_owned())
}

fn lock(items: &Items, name: &str, item: &Item) -> Option<String> {
    group_name(items, name, &string(item, "id"))
}

fn membership(
    items: &Items,
    swept: &BTreeSet<String>,
    (group, member): (&str, &str),
    item: &Item,
) -> Option<String> {
    if !items.contains_key(&format!("memberof#{member}#{group}")) {
        return Some("no memberof item".to_owned());
    }
    let sort = if string(item, "type") == "User" { "id" } else { "group" };
    let ends = [(group, format!("group#{group}")), (member, format!("{sort}#{member}"))];
    let gone = ends.iter().find(|(id, key)| !items.contains_key(key) && !swept.contains(*id));
    gone.map(|(_, key)| format!("{key} is not there, and no job will sweep it"))
}

fn with_sort<'a>(
    items: &'a Items,
    sort: &'a str,
) -> impl Iterator<Item = (&'a String, &'a Arc<Item>)> {
    items.iter().filter(move |(key, _)| key.split('#').next() == Some(sort))
}

fn folded(text: &str) -> String {
    assert!(text.is_ascii(), "the names of these tests are plain: {text}");
    text.to_ascii_lowercase().replace('%', "%25").replace('#', "%23")
}

pub(crate) fn string(item: &Item, name: &str) -> String {
    item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

pub(crate) fn number(item: &Item, name: &str) -> i64 {
    item.get(name).and_then(|n| n.as_n().ok()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn whatever_item_is_taken_away_is_missed() {
    let app = App::start().await;
    let ida = crate::races::user(&app, "ida@ex.test").await;
    let inner = crate::races::group(&app, "Inner", std::slice::from_ref(&ida)).await;
    crate::races::group(&app, "Outer", &[ida, inner]).await;
    let items = partition(&app).await;
    assert_whole(&items);
    for key in items.keys() {
        let mut fewer = items.clone();
        fewer.remove(key);
        let sort = key.split('#').next().unwrap();
        let is_judged = !["settings", "activity", "traffic", "token"].contains(&sort);
        assert_eq!(faults(&shared(&fewer)).is_empty(), !is_judged, "without {key}");
    }
}
