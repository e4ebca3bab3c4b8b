//! What the tables hold, past the store: read whole, put back as it was, and told in a form in which two runs that did the
//! same are equal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use super::Stage;
use crate::whole::{Item, Items};

/// Items in one BatchWriteItem.
const BATCH: usize = 25;

/// A table's items by their two keys.
type Table = BTreeMap<(String, String), Arc<Stored>>;

/// An item, and what is made of it when somebody asks.
#[derive(Debug)]
struct Stored {
    value: Value,
    item: OnceLock<Arc<Item>>,
    counted: OnceLock<String>,
    uncounted: OnceLock<String>,
}

impl Stored {
    fn new(value: Value) -> Arc<Self> {
        let (item, counted, uncounted) = Default::default();
        Arc::new(Self { value, item, counted, uncounted })
    }

    fn item(&self) -> Arc<Item> {
        Arc::clone(self.item.get_or_init(|| Arc::new(sdk_item(&self.value))))
    }

    /// The item without what is incidental.
    fn plain(&self, counted: bool) -> &str {
        let kept = if counted { &self.counted } else { &self.uncounted };
        kept.get_or_init(|| plain(&self.value, counted))
    }
}

/// Everything in the three tables, by table and key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    directory: Table,
    journal: Table,
    secrets: Table,
}

impl Contents {
    /// A tenant's items of the Directory by their sort keys, as the SDK has them.
    pub(crate) fn partition(&self, tenant: &str) -> Items {
        of(&self.directory, tenant).map(|(key, item)| (key.to_owned(), item.item())).collect()
    }

    /// A tenant's items of the journal, oldest first, refused requests left out.
    pub(crate) fn changes(&self, tenant: &str) -> Vec<Arc<Item>> {
        let items = of(&self.journal, tenant).map(|(_, item)| item.item());
        items.filter(|item| !item.contains_key("status")).collect()
    }

    /// A tenant's keys of the Directory.
    pub(crate) fn keys<'a>(&'a self, tenant: &'a str) -> BTreeSet<&'a str> {
        of(&self.directory, tenant).map(|(key, _)| key).collect()
    }
}

fn of<'a>(table: &'a Table, tenant: &'a str) -> impl Iterator<Item = (&'a str, &'a Stored)> {
    let begin = (tenant.to_owned(), String::new());
    let items = table.range(begin..).take_while(move |((owner, _), _)| owner == tenant);
    items.map(|((_, key), item)| (key.as_str(), &**item))
}

impl Stage {
    /// Reads everything, and keeps it to be put back.
    pub(crate) fn snapshot(&self) -> Contents {
        let read = Contents {
            directory: self.table(&self.tables.directory, ("tenant", Some("key"))),
            journal: self.table(&self.tables.journal, ("tenant", Some("at"))),
            secrets: self.table(&self.tables.secrets, ("digest", None)),
        };
        self.engine.take_dirty();
        self.base.lock().unwrap().clone_from(&read);
        read
    }

    /// What is there now: what was kept, and what was written since.
    pub(crate) fn contents(&self) -> Contents {
        let mut contents = self.base.lock().unwrap().clone();
        for name in self.engine.dirty() {
            let (table, key) = self.key(&name);
            let request = json!({"TableName": table, "Key": key, "ConsistentRead": true});
            let request = serde_json::from_value(request).expect("a request");
            let found = self.database.get_item(request).expect("it is read");
            let found = serde_json::to_value(&found).expect("it is JSON");
            let (items, at) = self.place(&mut contents, &name);
            match found.get("Item") {
                Some(item) => drop(items.insert(at, Stored::new(item.clone()))),
                None => drop(items.remove(&at)),
            }
        }
        contents
    }

    /// Puts everything back as it was kept, the clock to that time, and forgets what went wrong.
    pub(crate) fn restore(&self, clock: Duration) {
        let mut base = self.base.lock().unwrap();
        let names: Vec<String> = self.engine.take_dirty().into_iter().collect();
        for names in names.chunks(BATCH) {
            let mut writes = json!({});
            for name in names {
                let (table, key) = self.key(name);
                let (items, at) = self.place(&mut base, name);
                let write = match items.get(&at) {
                    Some(item) => json!({"PutRequest": {"Item": item.value}}),
                    None => json!({"DeleteRequest": {"Key": key}}),
                };
                if writes[table].is_null() {
                    writes[table] = json!([]);
                }
                writes[table].as_array_mut().unwrap().push(write);
            }
            let request = serde_json::from_value(json!({"RequestItems": writes}));
            self.database.batch_write_item(request.expect("a request")).expect("it is put back");
        }
        drop(base);
        self.clock.set(clock);
        for actor in &self.actors {
            actor.wire.heal();
        }
    }

    /// An item's table and key.
    fn key<'a>(&self, name: &'a str) -> (&'a str, Value) {
        let parts: Vec<&str> = name.splitn(3, ' ').collect();
        let text = |value: &str| json!({"S": value});
        let key = match parts.as_slice() {
            [_, digest] => json!({"digest": text(digest)}),
            [table, tenant, at] if *table == self.tables.journal => {
                json!({"tenant": text(tenant), "at": text(at)})
            }
            [_, tenant, key] => json!({"tenant": text(tenant), "key": text(key)}),
            _ => panic!("no name: {name}"),
        };
        (parts[0], key)
    }

    /// Where an item is among the contents.
    fn place<'a>(
        &self,
        contents: &'a mut Contents,
        name: &str,
    ) -> (&'a mut Table, (String, String)) {
        let mut parts = name.splitn(3, ' ');
        let table = parts.next().unwrap_or_default();
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let at = (part(), part());
        let items = if table == self.tables.directory {
            &mut contents.directory
        } else if table == self.tables.journal {
            &mut contents.journal
        } else {
            &mut contents.secrets
        };
        (items, at)
    }

    fn table(&self, table: &str, (hash, range): (&str, Option<&str>)) -> Table {
        let mut all = BTreeMap::new();
        let mut next = Value::Null;
        loop {
            let mut request = json!({"TableName": table, "ConsistentRead": true});
            if !next.is_null() {
                request["ExclusiveStartKey"] = next;
            }
            let request = serde_json::from_value(request).expect("a request");
            let page = self.database.scan(request).expect("the table is read");
            let page = serde_json::to_value(&page).expect("it is JSON");
            for item in page["Items"].as_array().into_iter().flatten() {
                let part = |name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
                let at = (part(hash), range.map(part).unwrap_or_default());
                all.insert(at, Stored::new(item.clone()));
            }
            next = page["LastEvaluatedKey"].clone();
            if next.is_null() {
                return all;
            }
        }
    }
}

/// An item as the SDK has it.
fn sdk_item(item: &Value) -> Item {
    let attributes = item.as_object().into_iter().flatten();
    attributes.map(|(name, value)| (name.clone(), sdk_value(value))).collect()
}

fn sdk_value(value: &Value) -> AttributeValue {
    let (sort, inner) = value.as_object().and_then(|v| v.iter().next()).expect("a typed value");
    let text = || inner.as_str().unwrap_or_default().to_owned();
    let elements = || inner.as_array().into_iter().flatten();
    match sort.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "BOOL" => AttributeValue::Bool(inner == &json!(true)),
        "NULL" => AttributeValue::Null(true),
        "L" => AttributeValue::L(elements().map(sdk_value).collect()),
        "M" => AttributeValue::M(sdk_item(inner)),
        other => panic!("no item of ours has {other}"),
    }
}

/// Attributes that differ between two runs that did the same: times, and ids that were minted on the way.
const INCIDENTAL: [&str; 18] = [
    "actor",
    "after",
    "at",
    "decidedUpTo",
    "heldAt",
    "request",
    "rid",
    "change",
    "created",
    "lastModified",
    "touched",
    "validUntil",
    "expires",
    "revoked",
    "digest",
    "memberships",
    "tail",
    "token",
];

/// Attributes that differ as well when one run needed more transactions than the other.
const COUNTED: [&str; 3] = ["version", "settingsVersion", "held"];

/// The contents without what differs between two runs that did the same: a line an item. With `counted`, how often
/// something was written counts.
fn told(contents: &Contents, counted: bool) -> String {
    let mut lines = BTreeSet::new();
    let mut totals: BTreeMap<String, i64> = BTreeMap::new();
    let mut labels = BTreeMap::new();
    for ((tenant, key), item) in &contents.directory {
        let sort: Vec<&str> = key.split('#').collect();
        match sort.as_slice() {
            ["activity"] | ["traffic", _] => {}
            // Where it would have stood says when it was written.
            ["held", _] => {
                let image = &item.value["item"]["M"];
                let held = if counted { plain(image, true) } else { image["id"].to_string() };
                lines.insert(format!("{tenant} held {held}"));
            }
            ["count", kind, _] => {
                let moved: i64 = item.value["n"]["N"].as_str().unwrap().parse().unwrap();
                *totals.entry(format!("{tenant} total {kind}")).or_default() += moved;
            }
            ["token", id] => {
                labels.insert((*id).to_owned(), item.value["label"]["S"].to_string());
                lines.insert(format!("{tenant} token {}", item.plain(counted)));
            }
            _ => drop(lines.insert(format!("{tenant} {key} {}", item.plain(counted)))),
        }
    }
    for row in contents.secrets.values() {
        let label = labels.get(row.value["token"]["S"].as_str().unwrap_or_default());
        lines.insert(format!("secret {label:?} {}", row.plain(counted)));
    }
    lines.extend(totals.into_iter().map(|(name, total)| format!("{name} {total}")));
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

fn plain(item: &Value, counted: bool) -> String {
    let is_told = |name: &str| {
        // The sort key is told before it; a token's says nothing but its id.
        name != "key" && !INCIDENTAL.contains(&name) && (counted || !COUNTED.contains(&name))
    };
    let attributes = item.as_object().into_iter().flatten();
    let mut told: BTreeMap<&str, String> = attributes
        .filter(|(name, _)| is_told(name))
        .map(|(name, value)| (name.as_str(), sorted(value)))
        .collect();
    if item.get("revoked").is_some() {
        told.insert("revoked", "yes".to_owned());
    }
    told.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// A value as text, whatever the order of its members.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<&String, String> =
                members.iter().map(|(name, value)| (name, sorted(value))).collect();
            format!("{members:?}")
        }
        Value::Array(elements) => format!("{:?}", elements.iter().map(sorted).collect::<Vec<_>>()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

impl Contents {
    /// The ids of a tenant's resources, each with the name that it goes by.
    fn resources(&self, tenant: &str) -> BTreeMap<String, String> {
        let named = of(&self.directory, tenant).filter_map(|(key, item)| {
            if let Some(id) = key.strip_prefix("id#") {
                return Some((id.to_owned(), item.value["ref"]["S"].to_string()));
            }
            let name = item.value["displayName"]["S"].as_str().unwrap_or_default();
            let group = || Some(("group", key.strip_prefix("group#")?));
            let (kind, id) = group().or_else(|| key.strip_prefix("resource#")?.split_once('#'))?;
            Some((id.to_owned(), format!("{kind} {name}")))
        });
        named.collect()
    }
}

/// As [`told`], with the ids that were not there `before` replaced by what they stand for: an id tells the time.
pub(crate) fn told_since(
    before: &Contents,
    contents: &Contents,
    (tenant, counted): (&str, bool),
) -> String {
    let old = before.resources(tenant);
    let mut text = told(contents, counted);
    for (id, name) in contents.resources(tenant) {
        if !old.contains_key(&id) {
            text = text.replace(&id, &format!("~{name}~"));
        }
    }
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}
