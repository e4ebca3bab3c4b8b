//! How much of what was asked for is refused, and why most often.

use std::collections::HashMap;

use crate::insight::words::plain;
use crate::store::feed::Change;
use crate::store::traffic::{Sums, Write};

/// One sort of write in the last day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub write: Write,
    /// How many there were.
    pub all: u64,
    /// How many were refused or failed.
    pub refused: u64,
    /// Why most often, as far as the journal tells.
    pub reason: Option<Reason>,
}

/// Why requests are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What the clients were told, with what is quoted in it left out; can be shown as it is.
    pub detail: String,
    /// How often, among the refusals that were read.
    pub count: u64,
    /// Among how many.
    pub of: u64,
}

/// The shares of the sorts that were asked for at all.
pub(super) fn shares(sums: &Sums, changes: &[Change]) -> Vec<Share> {
    let shares = Write::ALL.into_iter().map(|write| {
        let (all, refused) = sums.of(write);
        Share { write, all: all.max(refused), refused, reason: reason(write, changes) }
    });
    shares.filter(|share| share.all > 0).collect()
}

/// The reason that most of them have; of several, the last one's.
fn reason(write: Write, changes: &[Change]) -> Option<Reason> {
    let mut counts: HashMap<String, (u64, usize)> = HashMap::new();
    let mut all = 0;
    for (age, change) in of(write, changes).enumerate() {
        all += 1;
        if let Some(detail) = change.detail() {
            counts.entry(without_values(detail)).or_insert((0, age)).0 += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(_, (count, age))| (*count, std::cmp::Reverse(*age)));
    most.map(|(detail, (count, _))| Reason { detail: plain(&detail), count, of: all })
}

/// The refusals of a sort. Who is deleted again is gone, as it was asked for.
fn of(write: Write, changes: &[Change]) -> impl Iterator<Item = &Change> {
    changes.iter().filter(|change| change.is_refusal()).filter(move |change| {
        let is_gone =
            write == Write::Delete && change.attributes.get("status") == Some(&404.into());
        change.text("method").and_then(Write::of) == Some(write) && !is_gone
    })
}

/// A detail without what stands in quotes and without ids, so that the same refusal of two people is one.
fn without_values(detail: &str) -> String {
    let mut told = String::new();
    for (index, part) in detail.split('"').enumerate() {
        if index % 2 == 1 {
            told.push_str("\"…\"");
            continue;
        }
        for word in part.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            let id = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            match word.strip_prefix(id) {
                Some(rest) if id.len() == 36 && uuid::Uuid::try_parse(id).is_ok() => {
                    told.push('…');
                    told.push_str(rest);
                }
                Some(_) | None => told.push_str(word),
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn refusal(method: &str, detail: &str) -> Change {
        let Value::Object(attributes) =
            json!({"events": ["misc:refused"], "method": method, "status": 400, "detail": detail})
        else {
            panic!("an object")
        };
        Change { at: Uuid::nil(), attributes }
    }

    #[test]
    fn the_most_frequent_reason_is_told_without_names() {
        let refusals = [
            refusal("PATCH", "emails: a number arrived"),
            refusal("POST", "userName \"a\" is taken by 01890a5d-ac96-774b-bcce-b302099a8057."),
            refusal(
                "POST",
                "userName \"b\u{1b}\" is taken by 01890a5d-ac96-774b-bcce-b302099a8058.",
            ),
            refusal("POST", "no userName"),
        ];
        let told = reason(Write::Post, &refusals).unwrap();
        assert_eq!(
            (told.detail.as_str(), told.count, told.of),
            ("userName \"…\" is taken by ….", 2, 3)
        );
        assert_eq!(reason(Write::Patch, &refusals).unwrap().detail, "emails: a number arrived");
        assert_eq!(reason(Write::Put, &refusals), None);
    }
}
