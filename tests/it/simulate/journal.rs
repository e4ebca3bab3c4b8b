//! The journal of a chaotic run, replayed in this file's own code by what `docs/CHANGES.md` says: it yields which resources
//! there are, their identifiers, who may come in, and every membership, exactly as the directory's table has them.

use std::collections::{BTreeMap, BTreeSet};

use scim_endpoint::simulate::{Change, Dialects, Plan, Silent, Size, Switch, directory};

use super::site::Site;
use crate::whole::{Item, at, number, string};

/// What is known of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    kind: String,
    user_name: String,
    /// Of a group only: a person's is no identifier.
    display_name: String,
    external_id: String,
    active: bool,
    /// Of a person only: the end of a member moves a group's, and that is told of the member.
    version: i64,
}

/// Resources by id, and memberships as pairs of group and member.
#[derive(Debug, Default, PartialEq, Eq)]
struct World {
    resources: BTreeMap<String, Known>,
    memberships: BTreeSet<(String, String)>,
}

fn texts(item: &Item, name: &str) -> Vec<String> {
    let list = item.get(name).and_then(|list| list.as_l().ok());
    list.into_iter().flatten().map(|text| text.as_s().unwrap().clone()).collect()
}

fn flag(item: &Item, name: &str) -> Option<bool> {
    item.get(name).and_then(|flag| flag.as_bool().ok()).copied()
}

/// Reads each resource's items in the order of its versions; those that are of no version come last.
fn replay(journal: &BTreeMap<String, Item>) -> World {
    let mut items: Vec<&Item> = journal.values().collect();
    items.retain(|item| !texts(item, "events").contains(&"misc:refused".to_owned()));
    items.sort_by_key(|item| (number(item, "version") == 0, number(item, "version")));
    let mut world = World::default();
    let (mut gone, mut left) = (BTreeSet::new(), BTreeSet::new());
    for item in items {
        let (id, kind) = (string(item, "id"), string(item, "kind"));
        if kind == "Tenant" {
            continue;
        }
        let pair = |group: &str, member: &str| (group.to_owned(), member.to_owned());
        if kind == "Group" {
            let out: Vec<_> = texts(item, "removed").iter().map(|one| pair(&id, one)).collect();
            world.memberships.extend(texts(item, "added").iter().map(|one| pair(&id, one)));
            world.memberships.retain(|one| !out.contains(one));
        }
        // What a deleted member left; a group may tell of the addition in a later item of this order.
        left.extend(texts(item, "groups").iter().map(|group| pair(group, &id)));
        let events = texts(item, "events");
        if events.contains(&"prov:delete".to_owned()) {
            gone.insert(id);
        } else if number(item, "version") > 0 {
            let is_user = kind == "User";
            let known = Known {
                user_name: string(item, "userName"),
                display_name: if is_user { String::new() } else { string(item, "displayName") },
                external_id: string(item, "externalId"),
                active: is_user && flag(item, "active").unwrap(),
                version: if is_user { number(item, "version") } else { 0 },
                kind,
            };
            world.resources.insert(id, known);
        }
    }
    world.resources.retain(|id, _| !gone.contains(id));
    world.memberships.retain(|pair| !left.contains(pair) && !gone.contains(&pair.0));
    world
}

/// What the table has.
fn read(partition: &BTreeMap<String, Item>) -> World {
    let mut world = World::default();
    for (key, item) in partition {
        let known = |kind: &str| Known {
            kind: kind.to_owned(),
            external_id: string(item, "externalId"),
            ..Known::default()
        };
        match key.split('#').collect::<Vec<_>>().as_slice() {
            ["user", _] => {
                let user_name = string(item, "userName");
                let active = flag(item, "active").unwrap_or(true);
                let version = number(item, "version");
                let user = Known { user_name, active, version, ..known("User") };
                world.resources.insert(string(item, "id"), user);
            }
            ["group", id] => {
                let display_name = string(item, "displayName");
                let group = Known { display_name, ..known("Group") };
                world.resources.insert((*id).to_owned(), group);
            }
            ["member", group, member] => {
                world.memberships.insert(((*group).to_owned(), (*member).to_owned()));
            }
            _ => {}
        }
    }
    world
}

#[tokio::test]
async fn the_journal_of_a_chaotic_run_replayed_is_the_directory() {
    for seed in [31, 32] {
        let switch = Switch::default();
        let site = Site::faulty(&["demo"], switch.clone(), seed).await;
        let source = directory(Size { users: 16, groups: 5, everyone_has_mail: true }, seed);
        // So that some stay away, and some are deleted.
        let rates = [(Change::Leavers, 15), (Change::Rehires, 10), (Change::HardDeletes, 10)];
        let (dialects, rates) = (Dialects::Mixed, rates.to_vec());
        let chaos = Some(switch);
        let plan = Plan { seed, chaos, dialects, rates, cycles: 4, ..Plan::default() };
        let mut rehearsal = site.rehearsal("demo", plan, source).await;
        rehearsal.play(&mut Silent).await;
        let report = rehearsal.report().unwrap();
        assert!(report.is_good(), "seed {seed}: {:?}", report.findings());

        let [partition, journal] = at(&site.started.dynamodb_endpoint, "demo").await;
        let (replayed, there) = (replay(&journal), read(&partition));
        assert!(there.resources.len() > 15 && there.memberships.len() > 5, "{there:#?}");
        assert!(there.resources.values().any(|known| known.kind == "User" && !known.active));
        assert_eq!(replayed.resources, there.resources, "seed {seed}");
        assert_eq!(replayed.memberships, there.memberships, "seed {seed}");

        // Nothing is equal by chance: without the last change of any resource it is not.
        let mut last = BTreeMap::new();
        for (at, item) in journal.iter().filter(|(_, item)| number(item, "version") > 0) {
            let of = last.entry(string(item, "id")).or_insert((0, at));
            *of = (*of).max((number(item, "version"), at));
        }
        for (id, (_, at)) in last {
            let mut fewer = journal.clone();
            let taken = fewer.remove(at).unwrap();
            // Of a member that came last and was deleted since there is no trace.
            let added = texts(&taken, "added");
            let is_over = !added.is_empty()
                && texts(&taken, "changed") == ["members"]
                && texts(&taken, "removed").is_empty()
                && !added.iter().any(|member| there.resources.contains_key(member));
            if is_over {
                continue;
            }
            assert_ne!(replay(&fewer), there, "{id} is as it was without {taken:#?}");
        }
    }
}
