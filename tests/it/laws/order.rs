//! Laws of the order of lists: the root's list is the lists of the types, one behind the other; a list by `sortBy` is the list
//! as a plain sort has it; pages by index and by cursor, put together, are the list.

use std::cmp::Ordering;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{Population, check, population, settle};
use crate::app::App;

/// By what: how it is asked for, where it stands, and whether letter case counts.
type By = (&'static str, &'static [&'static str], bool);

const ATTRIBUTES: [By; 7] = [
    ("userName", &["userName"], false),
    ("displayName", &["displayName"], false),
    ("externalId", &["externalId"], true),
    ("active", &["active"], true),
    ("emails", &["emails", "value"], false),
    ("emails.type", &["emails", "type"], false),
    ("id", &["id"], true),
];

/// Filters that both types understand.
const FILTERS: [&str; 5] = [
    "displayName pr",
    "externalId eq \"x1\"",
    "not (externalId pr)",
    "meta.resourceType eq \"User\" or displayName sw \"Eng*\"",
    "displayName co \"n\"",
];

#[derive(Clone, Debug)]
struct Asked {
    filter: Option<&'static str>,
    by: Option<(By, bool)>,
    size: usize,
}

fn asked() -> impl Strategy<Value = Asked> {
    let by = option::weighted(0.8, (select(ATTRIBUTES.to_vec()), any::<bool>()));
    let filter = option::of(select(FILTERS.to_vec()));
    (filter, by, 1..6_usize).prop_map(|(filter, by, size)| Asked { filter, by, size })
}

#[test]
fn lists_are_in_order_and_pages_put_together_are_the_list() {
    check((population(), vec(asked(), 5..9)), 3, async |(population, all): (Population, _)| {
        let app = App::start().await;
        settle(&app, &population).await;
        for asked in &all {
            let mut parts = Vec::new();
            for endpoint in ["/Users", "/Groups", "/"] {
                // No group has a userName, and a list of groups alone cannot be asked for by it.
                if endpoint == "/Groups"
                    && asked.by.is_some_and(|((name, ..), _)| is_a_persons(name))
                {
                    parts.extend(list(&app, endpoint, &Asked { by: None, ..asked.clone() }).await?);
                    continue;
                }
                let whole = list(&app, endpoint, asked).await?;
                let plain = list(&app, endpoint, &Asked { by: None, ..asked.clone() }).await?;
                let expected = sorted(plain.clone(), asked.by);
                if whole != expected {
                    return Err(told(endpoint, asked, &expected, &whole));
                }
                if endpoint == "/" && plain != parts {
                    return Err(told("the root", asked, &parts, &plain));
                }
                parts.extend(plain);
                paged(&app, endpoint, asked, &whole).await?;
            }
        }
        Ok(())
    });
}

fn is_a_persons(name: &str) -> bool {
    ["userName", "active", "emails", "emails.type"].contains(&name)
}

fn told(what: &str, asked: &Asked, expected: &[Value], found: &[Value]) -> String {
    let ids = |all: &[Value]| all.iter().map(|one| one["id"].to_string()).collect::<Vec<_>>();
    format!("{what} {asked:?}\nexpected {:?}\nfound {:?}", ids(expected), ids(found))
}

/// What is asked for, without the page.
fn target(endpoint: &str, asked: &Asked) -> String {
    let filter = asked.filter.map(|filter| {
        let filter = utf8_percent_encode(filter, NON_ALPHANUMERIC);
        format!("filter={filter}&")
    });
    let order = asked.by.map(|((name, ..), descends)| {
        let order = if descends { "descending" } else { "ascending" };
        format!("sortBy={name}&sortOrder={order}&")
    });
    format!("{endpoint}?{}{}", filter.unwrap_or_default(), order.unwrap_or_default())
}

async fn page(app: &App, target: &str) -> Result<(Value, Vec<Value>), String> {
    let answer = app.call("GET", target, Value::Null).await;
    if answer.status != 200 {
        return Err(format!("GET {target}\nfound {answer:?}"));
    }
    let page = answer.json();
    let resources = page["Resources"].as_array().cloned().unwrap_or_default();
    Ok((page, resources))
}

async fn list(app: &App, endpoint: &str, asked: &Asked) -> Result<Vec<Value>, String> {
    let target = format!("{}count=200", target(endpoint, asked));
    let (page, all) = page(app, &target).await?;
    if page["totalResults"] != json!(all.len()) {
        return Err(format!("GET {target}\nfound {page}"));
    }
    Ok(all)
}

/// The pages by index and by cursor are the list.
async fn paged(app: &App, endpoint: &str, asked: &Asked, whole: &[Value]) -> Result<(), String> {
    let (target, size) = (format!("{}count={}", target(endpoint, asked), asked.size), asked.size);
    let (mut by_index, mut by_cursor, mut cursor) = (Vec::new(), Vec::new(), String::new());
    for at in (1..=whole.len().max(1)).step_by(size) {
        let (told, some) = page(app, &format!("{target}&startIndex={at}")).await?;
        if told["itemsPerPage"] != json!(some.len()) || told["totalResults"] != json!(whole.len()) {
            return Err(format!("GET {target} from {at}\nfound {told}"));
        }
        by_index.extend(some);
    }
    // One more than there can be: an empty one may end the list.
    for _ in 0..=whole.len() / size + 1 {
        let (told, some) = page(app, &format!("{target}&cursor={cursor}")).await?;
        by_cursor.extend(some);
        let Some(next) = told["nextCursor"].as_str() else {
            cursor.clear();
            break;
        };
        next.clone_into(&mut cursor);
    }
    if !cursor.is_empty() {
        return Err(format!("GET {target}\nthe cursors do not end"));
    }
    for (how, pages) in [("by index", by_index), ("by cursor", by_cursor)] {
        if pages != whole {
            return Err(told(&format!("{endpoint} {how}"), asked, whole, &pages));
        }
    }
    Ok(())
}

/// A plain sort: one resource after the other is put behind the last one that is not larger.
fn sorted(all: Vec<Value>, by: Option<(By, bool)>) -> Vec<Value> {
    let Some(((_, path, is_exact), descends)) = by else { return all };
    let mut sorted: Vec<(Option<String>, Value)> = Vec::new();
    for one in all {
        let key = value(&one, path).map(|text| if is_exact { text } else { text.to_lowercase() });
        let is_larger = |other: &Option<String>| {
            let order = match (other, &key) {
                (Some(other), Some(key)) => other.cmp(key),
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (None, None) => Ordering::Equal,
            };
            order == if descends { Ordering::Less } else { Ordering::Greater }
        };
        let at = sorted.iter().rposition(|(other, _)| !is_larger(other)).map_or(0, |at| at + 1);
        sorted.insert(at, (key, one));
    }
    sorted.into_iter().map(|(_, one)| one).collect()
}

/// The value as text; `false` comes before `true` as text, too.
fn value(one: &Value, path: &[&str]) -> Option<String> {
    let mut at = one;
    for name in path {
        at = at.get(name)?;
        if let Some(list) = at.as_array() {
            let primary = list.iter().find(|value| value["primary"] == json!(true));
            at = primary.or(list.first())?;
        }
    }
    match at {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(at.to_string())
        }
    }
}
