//! Whether the engine bills as DynamoDB does, whether our own meter counts what the wire says, and what lies in the tables.
//!
//! The rules: a read unit is 4 KB, consistent, half of it eventually consistent; a query is billed for the sum of what it
//! reads, a batch for each item; what is not there is a unit. A write unit is 1 KB of the larger of before and after, twice
//! in a transaction. An index is billed for what changes in it, an entry that moves twice, in a transaction once.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, KeysAndAttributes, Put, ReturnConsumedCapacity,
    TransactWriteItem,
};
use scim_endpoint::cost::figures;
use scim_endpoint::scim::catalog::Kind;
use scim_endpoint::scim::resource::ResourceId;
use scim_endpoint::store::{Cx, Settings};

use super::bill::{item_bytes, on_the_wire};
use super::table::person;
use crate::app::App;
use crate::proxy::{Conflicts, Proxy};
use crate::races::group;
use crate::whole::{Item, client, journal, partition};

/// Bytes that DynamoDB stores beside each item and index entry.
const BESIDE_AN_ITEM: usize = 100;

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// The key of an item of the Directory table.
fn key(name: &str) -> Item {
    HashMap::from([("tenant".to_owned(), text("t")), ("key".to_owned(), text(name))])
}

/// An item of exactly so many bytes.
fn item(name: &str, bytes: usize) -> Item {
    let mut item = key(name);
    item.insert("p".to_owned(), text(""));
    let rest = bytes - item_bytes(&on_the_wire(&item));
    item.insert("p".to_owned(), text(&"x".repeat(rest)));
    assert_eq!(item_bytes(&on_the_wire(&item)), bytes);
    item
}

fn indexed(name: &str, bytes: usize, external_id: &str) -> Item {
    let mut item = item(name, bytes);
    item.insert("externalId".to_owned(), text(external_id));
    item
}

/// Raw calls to the engine.
struct Raw {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

const TOTAL: ReturnConsumedCapacity = ReturnConsumedCapacity::Total;

fn units(capacity: Option<&ConsumedCapacity>) -> f64 {
    capacity.and_then(ConsumedCapacity::capacity_units).expect("the units are told")
}

impl Raw {
    async fn put(&self, item: Item) -> f64 {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let answer = put.return_consumed_capacity(TOTAL).send().await.expect("it is put");
        units(answer.consumed_capacity())
    }

    async fn put_in_a_transaction(&self, item: Item) -> f64 {
        let put = Put::builder().table_name(&self.table).set_item(Some(item)).build().unwrap();
        let action = TransactWriteItem::builder().put(put).build();
        let call = self.client.transact_write_items().transact_items(action);
        let answer = call.return_consumed_capacity(TOTAL).send().await.expect("it is done");
        units(answer.consumed_capacity().first())
    }

    async fn get(&self, name: &str, consistent: bool) -> f64 {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key(name)));
        let get = get.consistent_read(consistent).return_consumed_capacity(TOTAL);
        units(get.send().await.expect("it is read").consumed_capacity())
    }

    async fn query(&self, prefix: &str) -> f64 {
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        let query = query.key_condition_expression("tenant = :t AND begins_with(#k, :p)");
        let query = query.expression_attribute_names("#k", "key");
        let query = query.expression_attribute_values(":t", text("t"));
        let query = query.expression_attribute_values(":p", text(prefix));
        let answer = query.return_consumed_capacity(TOTAL).send().await.expect("it is read");
        units(answer.consumed_capacity())
    }

    async fn batch(&self, names: &[&str]) -> f64 {
        let keys = names.iter().map(|name| key(name)).collect();
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let batch = self.client.batch_get_item().request_items(&self.table, keys.build().unwrap());
        let answer = batch.return_consumed_capacity(TOTAL).send().await.expect("they are read");
        units(answer.consumed_capacity().first())
    }

    async fn update(&self, name: &str, attribute: &str, value: &str) -> f64 {
        let update = self.client.update_item().table_name(&self.table).set_key(Some(key(name)));
        let update = update.update_expression("SET #a = :a");
        let update = update.expression_attribute_names("#a", attribute);
        let update = update.expression_attribute_values(":a", text(value));
        let answer = update.return_consumed_capacity(TOTAL).send().await.expect("it is written");
        units(answer.consumed_capacity())
    }

    async fn delete(&self, name: &str) -> f64 {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key(name)));
        let answer = delete.return_consumed_capacity(TOTAL).send().await.expect("it is gone");
        units(answer.consumed_capacity())
    }
}

#[tokio::test]
async fn the_engine_bills_by_dynamodbs_rules() {
    if crate::proxy::is_left_out("it tells no units for transactions") {
        return;
    }
    let app = App::start().await;
    let raw = Raw { client: client(&app), table: app.store().tables().directory.clone() };
    let told = [
        ("a put of 1 KB", raw.put(item("a1", 1_024)).await, 1.0),
        ("a put of a byte more", raw.put(item("a2", 1_025)).await, 2.0),
        ("a put of 4 KB", raw.put(item("r1", 4_096)).await, 4.0),
        ("a put of a byte more", raw.put(item("r2", 4_097)).await, 5.0),
        ("a read of 4 KB", raw.get("r1", true).await, 1.0),
        ("a read of a byte more", raw.get("r2", true).await, 2.0),
        ("an eventually consistent one", raw.get("r1", false).await, 0.5),
        ("a read of nothing", raw.get("none", true).await, 1.0),
        ("a query, by the sum", raw.query("a").await, 1.0),
        ("a query of 8,193 bytes", raw.query("r").await, 3.0),
        ("a query of nothing", raw.query("none").await, 1.0),
        ("a batch, each by itself", raw.batch(&["a1", "a2", "r2", "none"]).await, 5.0),
        ("an update, by the larger side", raw.update("r1", "p", "").await, 4.0),
        ("a delete, by what was there", raw.delete("r2").await, 5.0),
        ("a put in a transaction", raw.put_in_a_transaction(item("t1", 1_025)).await, 4.0),
        (
            "with an index, which counts once",
            raw.put_in_a_transaction(indexed("t2", 1_025, "e")).await,
            5.0,
        ),
        ("a put with an index", raw.put(indexed("i1", 500, "e")).await, 2.0),
        ("what the index does not have", raw.update("i1", "p", "").await, 1.0),
        ("an index entry that moves", raw.update("i1", "externalId", "f").await, 3.0),
        ("a delete with an index", raw.delete("i1").await, 2.0),
    ];
    for (what, billed, rule) in told {
        assert!((billed - rule).abs() < 1e-9, "{what}: {billed}, by the rule {rule}");
    }
}

#[tokio::test]
async fn the_meter_counts_what_the_wire_is_billed() {
    if crate::proxy::is_left_out("it tells no units for transactions") {
        return;
    }
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let id = app.call("POST", "/Users", person("ida")).await.expect(201).id();
    let id = ResourceId::parse(&id).expect("an id");
    let (tenant, settings, moment) = (app.tenant(), Settings::default(), app.moment());
    let cx = Cx { tenant: &tenant, settings: &settings, actor: "test", moment: &moment };
    proxy.forget_calls();
    let store = app.store();
    store.get_by_user_name(&cx, "ida@example.com").await.expect("a read").expect("Ida");
    assert_eq!(store.count(&cx, Kind::User).await.expect("a read"), 1);
    assert_eq!(store.page(&cx, Kind::User, 0, 10).await.expect("a read").len(), 1);
    let whole = store.get_whole(&cx, Kind::User, id).await.expect("a read").expect("Ida");
    store.delete(&cx, &whole).await.expect("she is deleted");
    let (bills, cost) = (proxy.bills(), moment.meter().cost());
    let sum = |of: fn(&super::bill::Bill) -> f64| bills.iter().map(of).sum::<f64>();
    assert_eq!(usize::try_from(cost.calls).unwrap(), bills.len());
    assert!((cost.read_units - sum(|bill| bill.read)).abs() < 1e-9, "{bills:?}");
    assert!((cost.write_units - sum(|bill| bill.write)).abs() < 1e-9, "{bills:?}");
    assert!(cost.read_units > 5.0 && cost.write_units > 9.0, "{cost:?}");
}

#[tokio::test]
async fn what_lies_in_the_tables_has_the_size_that_scimctl_cost_says() {
    let app = App::start().await;
    let id = app.call("POST", "/Users", person("ida")).await.expect(201).id();
    let staff = group(&app, "Staff", &[]).await;
    let add = crate::races::on_members("add", std::slice::from_ref(&id));
    app.call("PATCH", &format!("/Groups/{staff}"), add).await.expect(204);
    let items = partition(&app).await;
    let bytes = |item: &Item| item_bytes(&on_the_wire(item)) + BESIDE_AN_ITEM;
    let of = |sorts: &[&str]| -> usize {
        let is_one = |key: &str| sorts.iter().any(|sort| key.starts_with(sort));
        items.iter().filter(|(key, _)| is_one(key)).map(|(_, item)| bytes(item)).sum()
    };
    let person = items.values().find(|item| item.contains_key("externalId")).expect("Ida");
    let projected = person
        .iter()
        .filter(|(name, _)| ["tenant", "key", "externalId", "id"].contains(&name.as_str()));
    let entry: Item = projected.map(|(name, value)| (name.clone(), value.clone())).collect();
    let changes = journal(&app).await;
    // As long as the id of a request on AWS.
    let request = ("request", &"-".repeat(36));
    let sizes = changes.values().map(|item| bytes(&crate::races::with(item, &[request])));
    let sizes: Vec<usize> = sizes.collect();
    for (stored, measured) in [
        (figures::USER, of(&["user#", "id#", "match#"]) + bytes(&entry)),
        (figures::GROUP, of(&["group#", "groupname#", "unique#"])),
        (figures::MEMBERSHIP, of(&["member#", "memberof#"])),
        (figures::CHANGE, sizes.iter().sum::<usize>() / sizes.len()),
    ] {
        let known = usize::try_from(stored.bytes).unwrap();
        assert_eq!(known, measured.next_multiple_of(10), "src/cost/figures.rs: {}", stored.what);
    }
}
