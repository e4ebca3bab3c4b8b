//! What a call to DynamoDB is billed, as its answer says it (`ConsumedCapacity`), read on the wire.
//!
//! A cancelled transaction's answer says nothing; it is billed here as if it had been done, which is the most that it can
//! be: each item twice, a put by its size, the others as items of up to 1 KB.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::whole::Item;

/// Bytes of a write unit.
const WRITE_UNIT: usize = 1_024;

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bill {
    /// The operation and the sort of item, such as `GetItem user`.
    pub(crate) call: String,
    pub(crate) read: f64,
    pub(crate) write: f64,
}

impl Bill {
    /// Of a call that was answered.
    pub(crate) fn new(call: String, request: &Value, status: u16, answer: &[u8]) -> Self {
        let answer: Value = serde_json::from_slice(answer).unwrap_or(Value::Null);
        let units = if status == 200 { consumed(&answer) } else { refused(request) };
        let is_read = ["GetItem", "Query", "BatchGetItem"].contains(&operation(&call));
        let (read, write) = if is_read { (units, 0.0) } else { (0.0, units) };
        Self { call, read, write }
    }

    /// Its operation.
    pub(crate) fn operation(&self) -> &str {
        operation(&self.call)
    }

    /// Whether it is for the answer; what says when a tenant was seen, and with how much, is written now and then.
    pub(crate) fn is_now_and_then(&self) -> bool {
        self.call.ends_with(" activity") || self.call.ends_with(" traffic")
    }
}

fn operation(call: &str) -> &str {
    call.split(' ').next().unwrap_or_default()
}

/// Not a number where a call did not ask for it.
fn consumed(answer: &Value) -> f64 {
    let of = |capacity: &Value| capacity["CapacityUnits"].as_f64();
    let capacity = &answer["ConsumedCapacity"];
    match capacity.as_array() {
        Some(tables) => tables.iter().map(|table| of(table).unwrap_or(f64::NAN)).sum(),
        None => of(capacity).unwrap_or(f64::NAN),
    }
}

/// See the module. Any other refusal is nothing that these tests meet.
fn refused(request: &Value) -> f64 {
    let actions = request["TransactItems"].as_array().into_iter().flatten();
    let units = actions.map(|action| 2.0 * whole(item_bytes(&action["Put"]["Item"]), WRITE_UNIT));
    units.sum()
}

/// Bytes as units of so many, at least one.
pub(super) fn whole(bytes: usize, unit: usize) -> f64 {
    f64::from(u32::try_from(bytes.div_ceil(unit).max(1)).expect("a small item"))
}

/// The bytes of an item, as DynamoDB counts them: names and values.
pub(super) fn item_bytes(item: &Value) -> usize {
    let attributes = item.as_object().into_iter().flatten();
    attributes.map(|(name, value)| name.len() + value_bytes(value)).sum()
}

/// A string or binary is as long as it is; a number has a byte for two digits and one more; a list or map has three bytes
/// and one for each element beside what is in it; true, false and null are one byte.
fn value_bytes(value: &Value) -> usize {
    let Some((sort, value)) = value.as_object().and_then(|value| value.iter().next()) else {
        return 0;
    };
    let text = value.as_str().unwrap_or_default();
    match sort.as_str() {
        "S" => text.len(),
        "N" => text.bytes().filter(u8::is_ascii_digit).count().div_ceil(2) + 1,
        "L" => {
            3 + value.as_array().into_iter().flatten().map(|v| 1 + value_bytes(v)).sum::<usize>()
        }
        "M" => {
            let entries = value.as_object().into_iter().flatten();
            3 + entries.map(|(name, v)| 1 + name.len() + value_bytes(v)).sum::<usize>()
        }
        _ => 1,
    }
}

/// An item in the form of the wire.
pub(super) fn on_the_wire(item: &Item) -> Value {
    let attributes = item.iter().map(|(name, value)| (name.clone(), value_on_the_wire(value)));
    Value::Object(attributes.collect())
}

fn value_on_the_wire(value: &AttributeValue) -> Value {
    if let Ok(text) = value.as_s() {
        json!({"S": text})
    } else if let Ok(number) = value.as_n() {
        json!({"N": number})
    } else if let Ok(list) = value.as_l() {
        json!({"L": list.iter().map(value_on_the_wire).collect::<Vec<_>>()})
    } else if let Ok(map) = value.as_m() {
        json!({"M": on_the_wire(map)})
    } else {
        json!({"BOOL": true})
    }
}
