//! What the journal says of the writes that were counted: a process that ends loses what it has counted, and the journal
//! loses nothing.

use std::collections::BTreeMap;

use super::TokenFact;
use crate::moment::Timestamp;
use crate::scim::catalog::Kind;
use crate::store::feed::Change;
use crate::store::journal::Event;
use crate::store::traffic::{IsRefused, Slot, Sums, Write, slot_of};

/// The slots, each with the higher of what was counted and what the journal has.
pub(super) fn made_good(slots: &[Slot], changes: &[Change], tokens: &[TokenFact]) -> Vec<Slot> {
    let mut told: BTreeMap<Timestamp, Sums> = BTreeMap::new();
    let asked = |change: &&Change| {
        // What a command or a job does was not asked for by the identity provider.
        change.text("actor").is_some_and(|actor| tokens.iter().any(|token| token.id == actor))
    };
    for change in changes.iter().filter(asked) {
        if let Some(((write, is_refused), time)) = write_of(change).zip(change.time()) {
            told.entry(slot_of(time)).or_default().count(write, is_refused);
        }
    }
    let mut all: BTreeMap<Timestamp, Sums> =
        slots.iter().map(|slot| (slot.start, slot.sums)).collect();
    for (start, told) in told {
        let counted = all.entry(start).or_default();
        *counted = higher(counted, &told);
    }
    all.into_iter().map(|(start, sums)| Slot { start, sums }).collect()
}

/// What was asked for, as far as an item says: a PUT that was done looks like a PATCH to nobody.
fn write_of(change: &Change) -> Option<(Write, IsRefused)> {
    if change.is_refusal() {
        let write = change.text("method").and_then(Write::of)?;
        let is_gone =
            write == Write::Delete && change.attributes.get("status") == Some(&404.into());
        return Some((write, if is_gone { IsRefused::No } else { IsRefused::Yes }));
    }
    let is_resource = Kind::ALL.into_iter().any(|kind| change.kind() == Some(kind.name()));
    let events = [
        (Event::Create, Write::Post),
        (Event::Patch, Write::Patch),
        (Event::Put, Write::Put),
        (Event::Delete, Write::Delete),
    ];
    let found = events.into_iter().find(|(event, _)| change.is(event.name()));
    found.filter(|_| is_resource).map(|(_, write)| (write, IsRefused::No))
}

fn higher(counted: &Sums, told: &Sums) -> Sums {
    Sums {
        posts: counted.posts.max(told.posts),
        patches: counted.patches.max(told.patches),
        puts: counted.puts.max(told.puts),
        deletes: counted.deletes.max(told.deletes),
        refused_posts: counted.refused_posts.max(told.refused_posts),
        refused_patches: counted.refused_patches.max(told.refused_patches),
        refused_puts: counted.refused_puts.max(told.refused_puts),
        refused_deletes: counted.refused_deletes.max(told.refused_deletes),
        ..*counted
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::store::feed::position;

    #[test]
    fn what_a_process_has_lost_is_taken_from_the_journal() {
        let start = Timestamp::parse("2026-11-21T08:00:00Z").unwrap();
        let change = |second: i64, more: Value| {
            let Value::Object(mut attributes) = more else { panic!("an object") };
            attributes.entry("actor").or_insert(json!("t1"));
            let at = position(start.plus_seconds(second));
            Change { at: Uuid::from_u128(at.as_u128() | 7), attributes }
        };
        let create = json!({"events": ["prov:create:notice"], "kind": "User"});
        let changes = [
            change(1_300, json!({"events": ["misc:refused"], "method": "PATCH", "status": 400})),
            change(1_290, json!({"events": ["misc:refused"], "method": "DELETE", "status": 404})),
            change(5, create.clone()),
            change(4, create.clone()),
            change(
                3,
                json!({"events": ["prov:create:notice"], "kind": "User", "actor": "scimctl"}),
            ),
            change(2, json!({"events": ["tenant.released"], "kind": "Tenant"})),
        ];
        let token = TokenFact {
            id: "t1".to_owned(),
            label: "entra".to_owned(),
            created: start,
            valid_until: start,
            revoked: None,
            last_used: None,
        };
        let counted = Sums { people: 9, posts: 1, patches: 5, ..Sums::default() };
        let slots = made_good(&[Slot { start, sums: counted }], &changes, &[token]);
        let lost = Sums { patches: 1, refused_patches: 1, deletes: 1, ..Sums::default() };
        let expected = [
            Slot { start, sums: Sums { posts: 2, ..counted } },
            Slot { start: start.plus_seconds(1_200), sums: lost },
        ];
        assert_eq!(slots, expected);
    }
}
