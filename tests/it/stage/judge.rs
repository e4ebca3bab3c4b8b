//! Whether what a run has left is whole: the partition by `whole`, the journal by itself (one item for each version of
//! each resource, each naming the one before), and, where asked, `Store::check`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scim_endpoint::limits::MEMBERS_PER_TRANSACTION;
use scim_endpoint::store::check::Mode;

use super::{Contents, Stage, now};
use crate::whole::{Item, Items, faults, number, string};

/// What is wrong with the first tenant's data, a line each.
pub(crate) fn judge(stage: &Stage, contents: &Contents) -> Vec<String> {
    let tenant = stage.tenant.as_str();
    let items = contents.partition(tenant);
    let mut wrong = faults(&items);
    let told = contents.changes(tenant);
    let places = Places::read(&items);
    wrong.extend(places.disorder(&told));
    // What is held back is a change as any other, that the journal does not have yet.
    let held = places.held.values().cloned();
    let changes: Vec<Arc<Item>> = told.iter().cloned().chain(held).collect();
    wrong.extend(journal(&items, &changes, &places));
    wrong
}

/// Where changes stand that the brake has held back.
struct Places {
    /// Those that it holds, by where they would stand.
    held: BTreeMap<String, Arc<Item>>,
    /// Where those stand now that were settled.
    settled: BTreeMap<String, String>,
}

impl Places {
    fn read(items: &Items) -> Self {
        let with = |prefix: &'static str| {
            items.iter().filter_map(move |(key, item)| Some((key.strip_prefix(prefix)?, item)))
        };
        let held = with("held#").map(|(at, item)| {
            let item = item.get("item").and_then(|item| item.as_m().ok()).expect("an item");
            (at.to_owned(), Arc::new(item.clone()))
        });
        let settled = with("settled#").map(|(at, item)| (at.to_owned(), string(item, "at")));
        Self { held: held.collect(), settled: settled.collect() }
    }

    /// Where a change stands now.
    fn now(&self, at: String) -> String {
        self.settled.get(&at).cloned().unwrap_or(at)
    }

    /// What is told before what it follows: of a resource of which something was held, in the order of the journal.
    fn disorder(&self, told: &[Arc<Item>]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut last: BTreeMap<String, i64> = BTreeMap::new();
        for item in told.iter().filter(|_| !self.settled.is_empty()) {
            let (id, version, after) =
                (string(item, "id"), number(item, "version"), string(item, "after"));
            if self.held.contains_key(&after) {
                wrong.push(format!(
                    "version {version} of {id} is told, and what it follows is held"
                ));
            }
            // What has no version sweeps behind the end.
            let before = last.insert(id.clone(), version).unwrap_or(0);
            if version > 0 && version < before {
                wrong.push(format!("version {version} of {id} is told after {before}"));
            }
        }
        let both = told.iter().map(|item| string(item, "heldAt"));
        let twice = both.filter(|at| self.held.contains_key(at));
        wrong.extend(twice.map(|at| format!("{at} is told and held")));
        wrong
    }
}

impl Stage {
    /// What `Store::check` finds, and jobs that are left.
    pub(crate) fn check(&self) -> Vec<String> {
        let moments = || self.moment(0);
        let silent = &mut |_| {};
        let checked = self.store().check(&moments, &self.tenant, Mode::Report, silent);
        let report = now(checked).expect("the tables are read").expect("there is such a tenant");
        let mut found: Vec<String> =
            report.findings.iter().map(|finding| format!("{finding:?}")).collect();
        if report.jobs + report.unsettled > 0 {
            found.push(format!("{} jobs, {} unsettled", report.jobs, report.unsettled));
        }
        found
    }
}

/// What one item of the journal tells of one resource.
struct Change<'a> {
    at: String,
    after: String,
    version: i64,
    item: &'a Item,
}

/// Each accepted write has exactly one item, and each item names the one before.
fn journal(items: &Items, changes: &[Arc<Item>], places: &Places) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut own: BTreeMap<String, Vec<Change<'_>>> = BTreeMap::new();
    // What happens to the tenant itself is no change of a resource.
    let is_change =
        |item: &&Arc<Item>| !is(item, "misc:memberships-swept") && string(item, "kind") != "Tenant";
    for item in changes.iter().filter(is_change) {
        let change = Change {
            at: string(item, "at"),
            after: places.now(string(item, "after")),
            version: number(item, "version"),
            item,
        };
        own.entry(string(item, "id")).or_default().push(change);
    }
    // A member's end is told once, and moves the version of each group that it leaves.
    let mut bumps: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for item in changes {
        for group in list(item, "groups") {
            bumps.entry(group).or_default().insert(string(item, "at"));
        }
    }
    for (id, mut changes) in own {
        changes.sort_by_key(|change| change.version);
        let none = BTreeSet::new();
        let bumps = bumps.get(&id).unwrap_or(&none);
        let resource = resource(items, &id);
        wrong.extend(
            of_resource(&changes, bumps, (resource, places))
                .map(|what| format!("journal of {id}: {what}")),
        );
    }
    for (id, resource) in resources(items) {
        if !changes.iter().any(|item| string(item, "id") == id) {
            wrong.push(format!(
                "journal of {id}: nothing, and version {}",
                number(resource, "version")
            ));
        }
    }
    wrong
}

fn of_resource(
    changes: &[Change<'_>],
    bumps: &BTreeSet<String>,
    (resource, places): (Option<&Arc<Item>>, &Places),
) -> Option<String> {
    let ends = changes.iter().filter(|change| is_end(change.item)).count();
    // The begin and the end have a version each, as every write between them.
    let writes = changes.len();
    let begins = changes.iter().filter(|change| is(change.item, "prov:create:notice")).count();
    if begins != 1 || ends > 1 {
        return Some(format!("{begins} begins and {ends} ends"));
    }
    let Some(last) = changes.last() else { return Some("nothing".to_owned()) };
    let version = match resource {
        Some(_) if ends > 0 => return Some("it has ended and is there".to_owned()),
        Some(resource) => number(resource, "version"),
        None if ends == 0 => return Some("it is gone without an end".to_owned()),
        None => last.version,
    };
    // A member of a large group may come to its end before the group is there: that moves no version.
    let begin = changes.iter().find(|change| is(change.item, "prov:create:notice"))?;
    let is_large = list(begin.item, "added").len() > MEMBERS_PER_TRANSACTION;
    let least = if is_large { writes } else { writes + bumps.len() };
    if !(least..=writes + bumps.len()).contains(&usize::try_from(version).unwrap()) {
        let ends = bumps.len();
        return Some(format!("version {version}, and {writes} writes and {ends} members' ends"));
    }
    for (before, change) in changes.iter().zip(changes.iter().skip(1)) {
        let next = change.version - 1;
        let follows = change.after == before.at && before.version == next;
        let follows_a_bump = before.version < next && bumps.contains(&change.after);
        if !follows && !follows_a_bump {
            return Some(format!(
                "version {} follows {:?}, and version {} is {}",
                change.version, change.after, before.version, before.at
            ));
        }
    }
    let noted = resource.map(|resource| places.now(string(resource, "change")));
    let is_last = |at: &String| *at == last.at || (bumps.contains(at) && last.version < version);
    let wrong = noted.filter(|at| !is_last(at));
    wrong.map(|at| format!("its item names {at} as its last change, which is {}", last.at))
}

/// Users, groups and other resources by their ids.
pub(super) fn resources(items: &Items) -> impl Iterator<Item = (String, &Arc<Item>)> {
    let is_one =
        |key: &str| ["user#", "group#", "resource#"].iter().any(|sort| key.starts_with(sort));
    let live = items.iter().filter(move |(key, _)| is_one(key));
    live.map(|(_, item)| (string(item, "id"), item))
}

fn resource<'a>(items: &'a Items, id: &str) -> Option<&'a Arc<Item>> {
    let user = items.get(&format!("id#{id}")).and_then(|item| items.get(&string(item, "ref")));
    let other = || items.get(&format!("resource#Device#{id}"));
    user.or_else(|| items.get(&format!("group#{id}"))).or_else(other)
}

/// Whether it is the end of its resource, told or rejected.
fn is_end(item: &Item) -> bool {
    let rejected = item.get("rejected").and_then(|rejected| rejected.as_m().ok());
    is(item, "prov:delete") || rejected.is_some_and(|rejected| is(rejected, "prov:delete"))
}

pub(super) fn is(item: &Item, event: &str) -> bool {
    list(item, "events").iter().any(|name| name == event)
}

pub(super) fn list(item: &Item, name: &str) -> Vec<String> {
    let values = item.get(name).and_then(|value| value.as_l().ok()).into_iter().flatten();
    values.filter_map(|value| value.as_s().ok()).cloned().collect()
}
