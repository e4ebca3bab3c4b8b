//! "Why isn't Alice here?": everything that directory and journal know of one person, by userName, externalId, e-mail address
//! or id, and what to do.
//!
//! Whoever is there tells the own changes item by item, back from the last one. Refusals, deletions and memberships are
//! looked for in a bounded number of items, the newest first, and the answer says how far that was.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::health::{Health, health};
use super::log::{Action, Outcome, Row, Whom};
use super::words::{counted, plain, second, span};
use crate::limits::{
    IDENTIFIER_BYTES_MAX, LOG_ITEMS_PER_PAGE, WHY_CHANGES_MAX, WHY_GROUPS_MAX, WHY_ITEMS_MAX,
    WHY_PEOPLE_MAX, WHY_ROWS_MAX,
};
use crate::moment::{Moment, Timestamp};
use crate::scim::catalog::Kind;
use crate::scim::filter::Filter;
use crate::scim::fold::fold;
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::well_known;
use crate::store::plan::{Plan, plan};
use crate::store::{Cx, Store, StoreError, TenantId};

/// Somebody who is in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The id.
    pub id: String,
    /// As it was sent.
    pub user_name: Option<String>,
    /// As it was sent.
    pub display_name: Option<String>,
    /// As it was sent.
    pub external_id: Option<String>,
    /// Whether the person may come in.
    pub active: bool,
    /// The change that made it so, as far back as was looked.
    pub since: Option<Row>,
    /// When the person came.
    pub created: Timestamp,
    /// When something last changed.
    pub last_modified: Timestamp,
    /// Names of groups, as they were sent.
    pub groups: Vec<String>,
    /// Whether there are more of them than are named.
    pub has_more_groups: bool,
    /// The last changes, the newest first.
    pub changes: Vec<Row>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// What was asked for.
    pub asked: String,
    /// When.
    pub now: Timestamp,
    /// Who is in the directory and called so.
    pub people: Vec<Person>,
    /// Deletions, the newest first.
    pub deleted: Vec<Row>,
    /// Requests about the person that were refused, the newest first.
    pub refused: Vec<Row>,
    /// Whatever else the journal has: changes of who is gone, memberships.
    pub others: Vec<Row>,
    /// Names in the journal that have what was asked for in them.
    pub similar: Vec<String>,
    /// Items of the journal that were looked at.
    pub looked: usize,
    /// When the oldest of them was written.
    pub back_to: Option<Timestamp>,
    /// Where to go on looking; `None` when nothing is left.
    pub next: Option<Uuid>,
    /// The answer in sentences, that which matters first; they can be shown as they are.
    pub answer: Vec<String>,
}

/// What there is to know of one person. `before` goes on with an answer that was not at its end. `None` when there is no
/// such tenant.
///
/// # Errors
/// As any read.
pub async fn why(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    (asked, before): (&str, Option<Uuid>),
) -> Result<Option<Why>, StoreError> {
    let asked = asked.trim();
    let Some(health) = health(store, moment, tenant).await? else { return Ok(None) };
    let Some((settings, _)) = store.settings(moment, tenant).await? else { return Ok(None) };
    let cx = Cx { tenant, settings: &settings, actor: "insight", moment };
    let mut why = Why {
        asked: asked.to_owned(),
        now: moment.now(),
        people: Vec::new(),
        deleted: Vec::new(),
        refused: Vec::new(),
        others: Vec::new(),
        similar: Vec::new(),
        looked: 0,
        back_to: None,
        next: None,
        answer: Vec::new(),
    };
    for resource in find(store, &cx, asked).await? {
        why.people.push(person(store, &cx, &resource).await?);
    }
    search(store, &cx, &mut why, before).await?;
    why.answer = answer(&why, &health, &settings.match_attributes);
    Ok(Some(why))
}

/// Everybody who is called so: by id, userName, each attribute that people are matched by, externalId.
///
/// # Errors
/// As any read.
pub async fn find(store: &Store, cx: &Cx<'_>, asked: &str) -> Result<Vec<Resource>, StoreError> {
    let mut found = BTreeMap::new();
    if asked.is_empty() || asked.len() > IDENTIFIER_BYTES_MAX {
        return Ok(Vec::new());
    }
    if let Some(id) = ResourceId::parse(&fold(asked)) {
        found.extend(store.get(cx, Kind::User, id).await?.map(|person| (person.id, person)));
    }
    let users = store.catalog().resource_type(Kind::User);
    let own = [well_known::USER_NAME, well_known::EXTERNAL_ID];
    let matched = cx.settings.match_attributes.iter().map(String::as_str);
    for attribute in own.into_iter().chain(matched) {
        let text = format!("{attribute} eq {}", serde_json::Value::from(asked));
        let Ok(filter) = Filter::parse(&text) else { continue };
        let Ok(bound) = filter.bind(users) else { continue };
        let plan = plan(users, cx.settings, &bound);
        if plan == Plan::Everything {
            continue;
        }
        let hits = match store.candidates(cx, Kind::User, &plan).await {
            Ok(hits) => hits,
            // So many that nobody could read them.
            Err(StoreError::Refused(_)) => continue,
            Err(error) => return Err(error),
        };
        found.extend(hits.into_iter().map(|person| (person.id, person)));
    }
    Ok(found.into_values().take(WHY_PEOPLE_MAX).collect())
}

async fn person(store: &Store, cx: &Cx<'_>, resource: &Resource) -> Result<Person, StoreError> {
    let text = |name| resource.document.text(name).map(ToOwned::to_owned);
    let active = resource.document.is_active();
    let (mut changes, mut since, mut at) = (Vec::new(), None, resource.change);
    for _ in 0..WHY_CHANGES_MAX {
        let Some(position) = at else { break };
        let Some(change) = store.change(cx.moment, cx.tenant, position).await? else { break };
        let row = Row::of(&change);
        let turned = if active { Action::Enable } else { Action::Disable };
        if since.is_none() && (row.action == turned || row.action == Action::Create) {
            since = Some(row.clone());
        }
        at = change.after();
        changes.push(row);
    }
    let sweeping = store.sweeping(cx).await?;
    let ids = store.groups_of(cx, &sweeping, resource.id, WHY_GROUPS_MAX).await?;
    let has_more_groups = ids.is_none();
    let groups = store.get_many(cx, Kind::Group, &ids.unwrap_or_default()).await?;
    let name = |group: &Resource| {
        let name = group.document.text(well_known::DISPLAY_NAME).map(ToOwned::to_owned);
        name.unwrap_or_else(|| group.id.to_string())
    };
    Ok(Person {
        id: resource.id.to_string(),
        user_name: text(well_known::USER_NAME),
        display_name: text(well_known::DISPLAY_NAME),
        external_id: text(well_known::EXTERNAL_ID),
        active,
        since,
        created: resource.created,
        last_modified: resource.last_modified,
        groups: groups.iter().map(name).collect(),
        has_more_groups,
        changes,
    })
}

/// What a row of the journal has to do with the person.
#[derive(Debug)]
struct Search {
    /// By what was asked for, exactly.
    names: BTreeSet<String>,
    external_ids: BTreeSet<String>,
    ids: BTreeSet<String>,
    /// As a part of names.
    part: Option<Whom>,
}

impl Search {
    fn new(why: &Why) -> Self {
        let mut search = Self {
            names: BTreeSet::from([fold(&why.asked)]),
            external_ids: BTreeSet::from([why.asked.clone()]),
            ids: BTreeSet::from([fold(&why.asked)]),
            part: Whom::new(&why.asked),
        };
        for person in &why.people {
            search.ids.insert(person.id.clone());
            search.names.extend(person.user_name.as_deref().map(fold));
            search.external_ids.extend(person.external_id.clone());
        }
        search
    }

    /// Whether a row is the person's, or changes a membership of theirs. Who is named by it is known by the id from then on.
    fn is_hit(&mut self, row: &Row) -> bool {
        let has_id = |id: &String| self.ids.contains(id);
        let by_name = row.user_name.as_deref().is_some_and(|name| self.names.contains(&fold(name)));
        let by_key = row.external_id.as_ref().is_some_and(|id| self.external_ids.contains(id));
        let is_person = row.kind.as_deref() == Some(Kind::User.name());
        let own = row.id.as_ref().is_some_and(has_id);
        let mut memberships = row.added.iter().chain(&row.removed);
        let hit = own || (is_person && (by_name || by_key)) || memberships.any(has_id);
        let told = || {
            let detail = row.detail.as_deref().map(fold);
            detail.is_some_and(|detail| {
                self.names.iter().any(|name| !name.is_empty() && detail.contains(name.as_str()))
            })
        };
        let hit = hit || (row.outcome == Outcome::Failure && told());
        if hit && is_person && row.outcome == Outcome::Success {
            self.ids.extend(row.id.clone());
        }
        hit
    }
}

/// Looks through the journal, the newest first.
async fn search(
    store: &Store,
    cx: &Cx<'_>,
    why: &mut Why,
    before: Option<Uuid>,
) -> Result<(), StoreError> {
    let mut search = Search::new(why);
    let told: BTreeSet<Uuid> =
        why.people.iter().flat_map(|person| &person.changes).map(|row| row.at).collect();
    let mut before = before.unwrap_or(Uuid::max());
    let mut similar = BTreeSet::new();
    while why.looked < WHY_ITEMS_MAX {
        let page = store
            .changes_newest_first(cx.moment, cx.tenant, (Uuid::nil(), before), LOG_ITEMS_PER_PAGE)
            .await?;
        why.looked += page.changes.len().max(1);
        for change in &page.changes {
            why.back_to = change.time().or(why.back_to);
            let row = Row::of(change);
            if search.is_hit(&row) {
                if !told.contains(&row.at) {
                    keep(why, row);
                }
            } else if similar.len() < WHY_PEOPLE_MAX
                && row.kind.as_deref() == Some(Kind::User.name())
                && search.part.as_ref().is_some_and(|part| part.is_in(&row))
            {
                similar.extend(row.user_name);
            }
        }
        why.next = page.last;
        match page.last {
            Some(last) => before = last,
            None => break,
        }
    }
    why.similar = similar.into_iter().collect();
    Ok(())
}

fn keep(why: &mut Why, row: Row) {
    let rows = match (row.outcome, row.action) {
        (Outcome::Failure | Outcome::Skipped, _) => &mut why.refused,
        (Outcome::Success, Action::Delete) if row.kind.as_deref() == Some(Kind::User.name()) => {
            &mut why.deleted
        }
        (Outcome::Success, _) => &mut why.others,
    };
    if rows.len() < WHY_ROWS_MAX {
        rows.push(row);
    }
}

/// The answer in sentences.
fn answer(why: &Why, health: &Health, match_attributes: &[String]) -> Vec<String> {
    let mut told: Vec<String> = why.people.iter().map(|person| of_person(person, health)).collect();
    if why.people.len() > 1 {
        told.insert(0, format!("{} are called so.", counted_people(why.people.len())));
    }
    if let Some(gone) = why.deleted.first().filter(|_| why.people.is_empty()) {
        told.push(of_deletion(gone, health));
    }
    told.extend(why.refused.first().map(|row| of_refusal(row, why)));
    if why.people.is_empty() && why.deleted.is_empty() {
        if why.refused.is_empty() {
            told.push(format!(
                "The identity provider has never spoken of \"{}\", as far as was looked.",
                plain(&why.asked)
            ));
        }
        if !why.similar.is_empty() {
            let names: Vec<String> = why.similar.iter().map(|name| plain(name)).collect();
            told.push(format!("It has spoken of: {}.", names.join(", ")));
        }
        told.extend(what_to_do(why, health, match_attributes));
    }
    told.push(how_far(why));
    told
}

fn counted_people(count: usize) -> String {
    counted(u64::try_from(count).unwrap_or(u64::MAX), "person", "people")
}

fn of_person(person: &Person, health: &Health) -> String {
    let name = plain(person.user_name.as_deref().unwrap_or(&person.id));
    let since = person.since.as_ref().and_then(|row| Some((row, row.time?)));
    let since = since.map_or_else(String::new, |(row, time)| {
        let by = by(row, health);
        format!(
            " since {} ({} ago): {}{by}, request {}",
            second(time),
            span(health.now.since(time)),
            row.what(),
            row.request.as_deref().map_or_else(|| "unknown".to_owned(), plain)
        )
    });
    let standing = if person.active { "is here and active" } else { "is here, but inactive" };
    let todo = if person.active {
        " If the app does not let this person in, the reason is in the app."
    } else {
        " Look in the identity provider whether the person is disabled there, or no longer assigned to the application."
    };
    format!("{name} {standing}{since}.{todo}")
}

/// Who did it: a token by what it is for.
fn by(row: &Row, health: &Health) -> String {
    let Some(actor) = row.actor.as_deref() else { return String::new() };
    match health.tokens.iter().find(|token| token.id == actor) {
        Some(token) => format!(" by the token \"{}\"", plain(&token.label)),
        None => format!(" by {}", plain(actor)),
    }
}

fn of_deletion(gone: &Row, health: &Health) -> String {
    let name = gone.name().map_or_else(|| "The person".to_owned(), plain);
    let when = gone.time.map_or_else(String::new, |time| {
        format!(" at {} ({} ago)", second(time), span(health.now.since(time)))
    });
    let by = by(gone, health);
    format!(
        "{name} was deleted{when}{by}. Entra deletes who was deleted there 30 days before, or at once when somebody does so; a person who is assigned again is created again."
    )
}

fn of_refusal(row: &Row, why: &Why) -> String {
    let when = row.time.map_or_else(String::new, |time| format!(" at {}", second(time)));
    let count = u64::try_from(why.refused.len()).unwrap_or(u64::MAX);
    let more = if count > 1 { format!(" ({count} in all that were found)") } else { String::new() };
    let what = row.reason().unwrap_or_else(|| row.what());
    let method =
        row.method.as_deref().map_or_else(String::new, |method| format!(" ({})", plain(method)));
    format!("The last request about this person that was not done{method}{when}{more}: {what}.")
}

/// What to do about somebody who was never heard of.
fn what_to_do(why: &Why, health: &Health, match_attributes: &[String]) -> Vec<String> {
    let mut told = Vec::new();
    match health.last_call {
        None => {
            told.push(health.sentence.clone());
            return told;
        }
        Some(at) => told.push(format!(
            "It last called {} ago; people that are assigned come with one of its next cycles, in Entra within 40 minutes.",
            span(why.now.since(at))
        )),
    }
    if let Some(worst) = health.findings.first() {
        told.push(worst.sentence.clone());
    }
    told.push(
        "Is the person assigned to the application, directly or by a group (a group within a group does not count in Entra), and within the scoping filters?".to_owned(),
    );
    told.push(format!(
        "Is that the right name? People are found here by userName, externalId, {}; in Entra userName is usually the userPrincipalName, which may differ from the e-mail address.",
        match_attributes.join(", ")
    ));
    told.push("To see it at once, provision the person on demand in the identity provider, and ask again.".to_owned());
    told
}

fn how_far(why: &Why) -> String {
    let looked = u64::try_from(why.looked).unwrap_or(u64::MAX);
    let looked = counted(looked, "item", "items");
    let back_to = why.back_to.map_or_else(String::new, |time| format!(" back to {}", second(time)));
    if why.next.is_some() {
        format!("Looked through {looked} of the journal{back_to}; there is more before that.")
    } else {
        format!("Looked through {looked} of the journal{back_to}: all that it has.")
    }
}
