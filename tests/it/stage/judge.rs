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
    wrong.extend(journal(&items, &contents.changes(tenant)));
    wrong
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
fn journal(items: &Items, changes: &[Arc<Item>]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut own: BTreeMap<String, Vec<Change<'_>>> = BTreeMap::new();
    for item in changes.iter().filter(|item| !is(item, "misc:memberships-swept")) {
        let change = Change {
            at: string(item, "at"),
            after: string(item, "after"),
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
            of_resource(&changes, bumps, resource).map(|what| format!("journal of {id}: {what}")),
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
    resource: Option<&Arc<Item>>,
) -> Option<String> {
    let ends = changes.iter().filter(|change| is(change.item, "prov:delete")).count();
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
    let noted = resource.map(|resource| string(resource, "change"));
    let is_last = |at: &String| *at == last.at || (bumps.contains(at) && last.version < version);
    let wrong = noted.filter(|at| !is_last(at));
    wrong.map(|at| format!("its item names {at} as its last change, which is {}", last.at))
}

/// Users and groups by their ids.
pub(super) fn resources(items: &Items) -> impl Iterator<Item = (String, &Arc<Item>)> {
    let live =
        items.iter().filter(|(key, _)| key.starts_with("user#") || key.starts_with("group#"));
    live.map(|(_, item)| (string(item, "id"), item))
}

fn resource<'a>(items: &'a Items, id: &str) -> Option<&'a Arc<Item>> {
    let user = items.get(&format!("id#{id}")).and_then(|item| items.get(&string(item, "ref")));
    user.or_else(|| items.get(&format!("group#{id}")))
}

pub(super) fn is(item: &Item, event: &str) -> bool {
    list(item, "events").iter().any(|name| name == event)
}

pub(super) fn list(item: &Item, name: &str) -> Vec<String> {
    let values = item.get(name).and_then(|value| value.as_l().ok()).into_iter().flatten();
    values.filter_map(|value| value.as_s().ok()).cloned().collect()
}
