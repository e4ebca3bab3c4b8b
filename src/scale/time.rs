//! The same operations in a small and in a large tenant, in turn, so that whatever else the machine does meets both.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::seed::{CROWD, GROUP_OF_ONE, user_name};
use crate::local::{Direct, LocalError};

/// A tenant that is timed.
#[derive(Debug)]
pub struct Subject {
    /// The service over its file.
    pub service: Direct,
    /// How many people it was seeded with.
    pub users: usize,
}

/// How long one operation took in two places, in the middle of all rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// What was done.
    pub what: &'static str,
    /// In the small place.
    pub small: Duration,
    /// In the large one.
    pub large: Duration,
}

impl Timed {
    /// The large one's time over the small one's, in hundredths.
    pub fn ratio_percent(&self) -> u128 {
        (self.large.as_nanos() * 100).checked_div(self.small.as_nanos()).unwrap_or_default()
    }
}

/// What is done in a round, in this order.
const OPERATIONS: [&str; 9] = [
    "match on userName",
    "match on emails.value",
    "match on externalId",
    "GET by id",
    "PATCH one attribute",
    "POST",
    "group by displayName",
    "page of 100 users",
    "totals (count=0)",
];

/// Times each operation so many times in both tenants.
///
/// # Errors
/// An answer that is not as it should be.
pub async fn compare(
    subjects: [&Subject; 2],
    rounds: usize,
    progress: &mut dyn FnMut(),
) -> Result<Vec<Timed>, LocalError> {
    let mut chance = StdRng::seed_from_u64(1);
    let mut times = vec![[Vec::new(), Vec::new()]; OPERATIONS.len()];
    for round in 0..rounds {
        let stamp = chance.random::<u64>();
        let people = subjects.map(|subject| chance.random_range(0..subject.users));
        let mut ids = [String::new(), String::new()];
        for (operation, what) in OPERATIONS.iter().enumerate() {
            // Who goes first has the colder caches.
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for place in order {
                let (Some(subject), Some(person)) = (subjects.get(place), people.get(place)) else {
                    continue;
                };
                let known = ids.get(place).map(String::as_str).unwrap_or_default();
                let asked = request(what, (*person, subject.users), known, stamp);
                let (took, answer) = timed(&subject.service, asked).await?;
                if operation == 0
                    && let Some(id) = ids.get_mut(place)
                {
                    *id = first_id(&answer)?;
                }
                note(&mut times, (operation, place), took);
            }
        }
        progress();
    }
    let all = OPERATIONS.into_iter().zip(times);
    Ok(all.map(|(what, [small, large])| middle(what, small, large)).collect())
}

/// Times adding and removing somebody in the group of one and in the group of many, by turns.
///
/// # Errors
/// An answer that is not as it should be.
pub async fn compare_groups(
    subject: &Subject,
    rounds: usize,
    progress: &mut dyn FnMut(),
) -> Result<Vec<Timed>, LocalError> {
    let service = &subject.service;
    // Nobody of the crowd, where there is somebody else.
    let last = by_name(subject.users.saturating_sub(1));
    let person = first_id(&timed(service, (Method::GET, last, Value::Null)).await?.1)?;
    let mut groups = Vec::new();
    for name in [GROUP_OF_ONE, CROWD] {
        let asked = (Method::GET, group_by_name(name), Value::Null);
        groups.push(first_id(&timed(service, asked).await?.1)?);
    }
    let mut times = vec![[Vec::new(), Vec::new()]; 2];
    for round in 0..rounds {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for (operation, op) in ["remove", "add"].into_iter().rev().chain(["remove"]).enumerate() {
            for place in order {
                let Some(group) = groups.get(place) else { continue };
                let body = json!({"Operations": [{"op": op, "path": "members", "value": [{"value": person}]}]});
                let (took, _) =
                    timed(service, (Method::PATCH, format!("/Groups/{group}"), body)).await?;
                note(&mut times, (operation % 2, place), took);
            }
        }
        progress();
    }
    let what = ["add one member", "remove one member"];
    let all = what.into_iter().zip(times);
    Ok(all.map(|(what, [small, large])| middle(what, small, large)).collect())
}

/// The time of one request, and its answer.
///
/// # Errors
/// An answer that is not as it should be.
pub async fn timed(
    service: &Direct,
    (method, target, body): (Method, String, Value),
) -> Result<(Duration, Response<Bytes>), LocalError> {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let clock = service.moments().clock();
    let start = clock.monotonic();
    let answer = service.call(0, (method, &target), body).await?;
    let took = clock.monotonic().saturating_sub(start);
    if !answer.status().is_success() {
        let (status, body) = (answer.status(), String::from_utf8_lossy(answer.body()));
        return Err(LocalError::new(format!("{target} was answered {status}: {body}")));
    }
    Ok((took, answer))
}

/// The listing of a group by its name, without members.
pub fn group_by_name(name: &str) -> String {
    let name = name.replace(' ', "+");
    format!("/Groups?filter=displayName+eq+%22{name}%22&excludedAttributes=members")
}

/// The id of the first resource of a list.
///
/// # Errors
/// When there is none.
pub fn first_id(answer: &Response<Bytes>) -> Result<String, LocalError> {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let id = body.pointer("/Resources/0/id").and_then(Value::as_str);
    let none = "nothing is found by a name that was seeded; begin again with an empty directory";
    id.map(str::to_owned).ok_or_else(|| LocalError::new(none))
}

fn by_name(number: usize) -> String {
    format!("/Users?filter=userName+eq+%22{}%22", user_name(number))
}

fn request(
    what: &str,
    (person, users): (usize, usize),
    id: &str,
    stamp: u64,
) -> (Method, String, Value) {
    let find = |filter: String| (Method::GET, format!("/Users?filter={filter}"), Value::Null);
    match what {
        "match on userName" => (Method::GET, by_name(person), Value::Null),
        "match on emails.value" => {
            find(format!("emails.value+eq+%22mail{person}@scale.example%22"))
        }
        "match on externalId" => find(format!("externalId+eq+%22external-{person}%22")),
        "GET by id" => (Method::GET, format!("/Users/{id}"), Value::Null),
        "PATCH one attribute" => {
            let operation = json!({"op": "replace", "path": "title", "value": stamp.to_string()});
            (Method::PATCH, format!("/Users/{id}"), json!({ "Operations": [operation] }))
        }
        "POST" => {
            let name = format!("new{stamp}@scale.example");
            let body = json!({"userName": name, "externalId": name, "emails": [{"value": name, "type": "work"}]});
            (Method::POST, "/Users".to_owned(), body)
        }
        "group by displayName" => {
            let number = person % (users / 100).max(1);
            (Method::GET, group_by_name(&format!("Group {number}")), Value::Null)
        }
        "page of 100 users" => (Method::GET, "/Users".to_owned(), Value::Null),
        _ => (Method::GET, "/Users?count=0".to_owned(), Value::Null),
    }
}

fn note(times: &mut [[Vec<Duration>; 2]], (operation, place): (usize, usize), took: Duration) {
    if let Some(times) = times.get_mut(operation).and_then(|places| places.get_mut(place)) {
        times.push(took);
    }
}

fn middle(what: &'static str, small: Vec<Duration>, large: Vec<Duration>) -> Timed {
    Timed { what, small: median(small), large: median(large) }
}

/// The time in the middle.
fn median(times: Vec<Duration>) -> Duration {
    at_percent(times, 50)
}

/// The time within which so many of a hundred were.
pub(super) fn at_percent(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(index).copied().unwrap_or_default()
}
