//! What the endpoint has, read page by page, and everything in which it differs from the source.
//!
//! The comparison is the simulator's own: it knows what was sent only through the source, and believes no answer to a write.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Value;

use super::call::{Call, Kind};
use super::codes::Failure;
use super::cycle::State;
use super::payload;
use super::provider::Provider;
use super::report::Finding;
use super::source::{DISPLAY_NAME, EXTERNAL_ID, Source, Standing, USER_NAME};
use super::value::{
    ACTIVE, Wanted, differences, id_of, manager_of, members_of, text_at, text_differences,
};
use super::wire::Client;
use super::worker::listed;
use super::{Observer, Phase};

/// Resources that are asked for at once.
const PAGE: usize = 100;
/// Resources that are read back at most.
pub(super) const READ_MAX: usize = 200_000;

/// What the endpoint has.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) users: Vec<Value>,
    pub(super) groups: Vec<Value>,
    /// Where the lists themselves are wrong.
    pub(super) findings: Vec<Finding>,
}

impl Contents {
    /// The ids of everything.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.users.iter().chain(&self.groups).filter_map(id_of)
    }
}

/// How many users and groups there are.
pub(super) async fn totals(client: &Client) -> Result<(u64, u64), Failure> {
    let total = async |collection: &str| {
        let target = format!("/{collection}?startIndex=1&count=1");
        let answer = client.send(&Call::get(Kind::ReadBack, "total", target)).await?;
        Ok(listed(answer)?.0)
    };
    Ok((total("Users").await?, total("Groups").await?))
}

/// Reads everything: the lists, then each group with its members.
pub(super) async fn read_all(
    client: &Client,
    concurrency: usize,
    (cycle, observer): (usize, &mut dyn Observer),
) -> Result<Contents, Failure> {
    let (users, groups) = totals(client).await?;
    let steps = usize::try_from(users.saturating_add(groups)).unwrap_or(usize::MAX);
    observer.begin(cycle, Phase::ReadBack, steps);
    let mut contents = Contents::default();
    contents.users = list(client, "Users", "", &mut contents.findings, observer).await?;
    let without = "&excludedAttributes=members";
    let groups = list(client, "Groups", without, &mut contents.findings, observer).await?;
    let ids: Vec<String> = groups.iter().filter_map(id_of).map(ToOwned::to_owned).collect();
    let whole = |id: String| async move {
        let target = format!("/Groups/{}", payload::segment(&id));
        let answer = client.send(&Call::get(Kind::ReadBack, &id, target)).await?;
        answer.expect(&[200])
    };
    let mut all = stream::iter(ids.into_iter().map(whole)).buffered(concurrency.max(1));
    while let Some(answer) = all.next().await {
        contents.groups.push(answer?.body);
    }
    Ok(contents)
}

async fn list(
    client: &Client,
    collection: &str,
    more: &str,
    findings: &mut Vec<Finding>,
    observer: &mut dyn Observer,
) -> Result<Vec<Value>, Failure> {
    let mut all: Vec<Value> = Vec::new();
    let (mut seen, mut shown) = (HashSet::new(), 0_usize);
    loop {
        let target = format!("/{collection}?startIndex={}&count={PAGE}{more}", shown + 1);
        let answer = client.send(&Call::get(Kind::ReadBack, collection, target)).await?;
        let (total, page) = listed(answer)?;
        let is_empty = page.is_empty();
        for resource in page {
            observer.step();
            shown += 1;
            match id_of(&resource) {
                // It is one resource, however often it is listed.
                Some(id) if !seen.insert(id.to_owned()) => {
                    let finding = Finding::new(id, format!("is listed twice in /{collection}"));
                    findings.push(finding);
                }
                Some(_) | None => all.push(resource),
            }
        }
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        if shown >= total || shown >= READ_MAX {
            return Ok(all);
        }
        if is_empty {
            let what = format!("totalResults says {total}, and its pages show {shown}");
            findings.push(Finding::new(format!("/{collection}"), what));
            return Ok(all);
        }
    }
}

/// What should be there.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) provider: Provider,
    pub(super) source: &'a Source,
    pub(super) state: &'a State,
}

/// Everything in which the endpoint differs from the source, as far as the provider can say it. `before` are the ids of
/// what was there before the rehearsal.
pub(super) fn compare(
    of: Expected<'_>,
    contents: &Contents,
    before: &HashSet<String>,
) -> Vec<Finding> {
    let mut findings = contents.findings.clone();
    let users = Found::new(&contents.users, USER_NAME);
    let groups = Found::new(&contents.groups, DISPLAY_NAME);
    findings.extend(users.doubled());
    findings.extend(groups.doubled());
    let mut expected = HashSet::new();
    people(of, &users, &mut expected, &mut findings);
    if !of.provider.habits().deletes_people {
        kept(of, &users, &mut expected, &mut findings);
    }
    for (key, group) in of.source.groups.iter().filter(|(_, group)| !group.is_gone) {
        let first = of.state.groups.get(key).and_then(|known| known.first.as_deref());
        match groups.find(first, &group.name, key) {
            Ok(found) => {
                expected.extend(id_of(found).map(ToOwned::to_owned));
                let mut wanted = BTreeMap::from([(DISPLAY_NAME, group.name.clone())]);
                if of.provider == Provider::Entra {
                    wanted.insert(EXTERNAL_ID, key.clone());
                }
                for difference in text_differences(&wanted, found) {
                    let is = difference.found.unwrap_or_else(|| "not there".to_owned());
                    findings
                        .push(Finding::new(&group.name, format!("{} is {is}", difference.target)));
                }
                findings.extend(members((of.source, of.state), key, found, before));
            }
            Err(what) => findings.push(Finding::new(&group.name, what)),
        }
    }
    for resource in contents.users.iter().chain(&contents.groups) {
        let id = id_of(resource).unwrap_or_default();
        if !expected.contains(id) && !before.contains(id) {
            let name = text_at(resource, USER_NAME).or_else(|| text_at(resource, DISPLAY_NAME));
            let what = format!("is at the endpoint ({id}), and not in the source");
            findings.push(Finding::new(name.unwrap_or_default(), what));
        }
    }
    findings.sort();
    // What is listed three times is said once.
    findings.dedup();
    findings
}

/// Everybody in the source.
fn people(
    of: Expected<'_>,
    users: &Found<'_>,
    expected: &mut HashSet<String>,
    findings: &mut Vec<Finding>,
) {
    for (key, person) in of.source.living() {
        let first = of.state.people.get(key).and_then(|known| known.first.as_deref());
        if first.is_none() && !person.is_active() {
            // Whoever is blocked before the first cycle that would have created them is never created.
            continue;
        }
        match users.find(first, person.name(), key) {
            Ok(user) => {
                expected.extend(id_of(user).map(ToOwned::to_owned));
                let differing = differences(person, user).into_iter().map(|difference| {
                    let is = difference.found.unwrap_or_else(|| "not there".to_owned());
                    let wanted = match difference.wanted {
                        Wanted::Text(text) => text,
                        Wanted::Flag(flag) => flag.to_string(),
                    };
                    Finding::new(
                        person.name(),
                        format!("{} is {is}, and should be {wanted}", difference.target),
                    )
                });
                findings.extend(differing);
                findings.extend(manager(of.source, of.state, key, user));
            }
            Err(what) => findings.push(Finding::new(person.name(), what)),
        }
    }
}

/// People who were deleted, and stay at the endpoint: inactive, unless somebody else has taken their place.
fn kept(
    of: Expected<'_>,
    users: &Found<'_>,
    expected: &mut HashSet<String>,
    findings: &mut Vec<Finding>,
) {
    let gone = of.source.people.iter().filter(|(_, person)| person.standing == Standing::Gone);
    for (key, person) in gone {
        let Some(first) = of.state.people.get(key).and_then(|known| known.first.as_deref()) else {
            continue;
        };
        if !expected.insert(first.to_owned()) {
            continue;
        }
        let what = match users.by_id.get(first).map(|user| text_at(user, ACTIVE)) {
            Some(Some(active)) if active.eq_ignore_ascii_case("false") => continue,
            Some(_) => "was deleted, and should be there, inactive",
            None => "was deleted, and should be there, inactive; it is not there",
        };
        findings.push(Finding::new(person.name(), what));
    }
}

fn manager(source: &Source, state: &State, key: &str, user: &Value) -> Option<Finding> {
    let person = source.people.get(key)?;
    let known = state.people.get(key);
    // Entra sends nothing when a manager becomes empty, and nothing about who may not come in.
    let wanted = person.manager.as_ref().filter(|_| person.is_active())?;
    // A manager who is out of scope is left out.
    let wanted = state.people.get(wanted)?.first.as_ref()?;
    let found = manager_of(user);
    if found.as_ref() == Some(wanted) {
        return None;
    }
    let told = known.and_then(|known| known.manager.as_ref());
    let because = if told == Some(wanted) { "" } else { " (not taken yet)" };
    let is = found.unwrap_or_else(|| "not there".to_owned());
    Some(Finding::new(person.name(), format!("manager is {is}, and should be {wanted}{because}")))
}

fn members(
    (source, state): (&Source, &State),
    key: &str,
    found: &Value,
    before: &HashSet<String>,
) -> Vec<Finding> {
    let Some(group) = source.groups.get(key) else { return Vec::new() };
    let name = |id: &str| {
        let mut named = state.people.iter().filter(|(_, known)| known.first.as_deref() == Some(id));
        let key = named.next().map(|(key, _)| key.clone()).unwrap_or_default();
        source.people.get(&key).map_or_else(|| id.to_owned(), |person| person.name().to_owned())
    };
    let wanted: BTreeSet<String> =
        group.members.iter().filter_map(|member| state.people.get(member)?.first.clone()).collect();
    let listed = members_of(found);
    let there: BTreeSet<String> = listed.iter().cloned().collect();
    let mut findings = Vec::new();
    for id in wanted.difference(&there) {
        findings.push(Finding::new(&group.name, format!("lacks the member {}", name(id))));
    }
    // Entra never learns of the members that a group had before.
    for id in there.difference(&wanted).filter(|id| !before.contains(*id)) {
        findings.push(Finding::new(&group.name, format!("has the member {} too many", name(id))));
    }
    if listed.len() != there.len() {
        findings.push(Finding::new(&group.name, "lists a member twice"));
    }
    findings
}

/// Resources by id and by name.
struct Found<'a> {
    by_id: HashMap<&'a str, &'a Value>,
    by_name: HashMap<String, Vec<&'a Value>>,
}

impl<'a> Found<'a> {
    fn new(all: &'a [Value], name: &str) -> Self {
        let mut found = Self { by_id: HashMap::new(), by_name: HashMap::new() };
        for resource in all {
            if let Some(id) = id_of(resource) {
                found.by_id.insert(id, resource);
            }
            if let Some(name) = text_at(resource, name) {
                found.by_name.entry(name.to_lowercase()).or_default().push(resource);
            }
        }
        found
    }

    /// The resource under the id that it has always had; else what is wrong.
    fn find(&self, first: Option<&str>, name: &str, key: &str) -> Result<&'a Value, String> {
        if let Some(found) = first.and_then(|id| self.by_id.get(id)) {
            return Ok(found);
        }
        let named = self.by_name.get(&name.to_lowercase()).and_then(|all| all.first());
        match (first, named) {
            (None, Some(found)) if text_at(found, EXTERNAL_ID).as_deref() == Some(key) => Ok(found),
            (Some(first), Some(found)) => {
                let id = id_of(found).unwrap_or_default();
                Err(format!("its id was {first} and is {id}"))
            }
            (_, _) => Err("is in the source, and not at the endpoint".to_owned()),
        }
    }

    fn doubled(&self) -> Vec<Finding> {
        let doubled = self.by_name.iter().filter(|(_, all)| all.len() > 1);
        doubled
            .map(|(name, all)| Finding::new(name, format!("is there {} times", all.len())))
            .collect()
    }
}
