//! The provisioning log: each item of the journal as a row that people read, filtered, page by page, the newest first.
//!
//! A page looks through a bounded number of items and says how far it has looked: a filter that finds nothing is told
//! apart from a journal that has nothing.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::words::{counted, plain, second};
use crate::limits::LOG_ITEMS_PER_PAGE;
use crate::moment::{Moment, Timestamp};
use crate::scim::fold::fold;
use crate::scim::well_known;
use crate::store::feed::{Change, position};
use crate::store::journal::Event;
use crate::store::traffic::Write;
use crate::store::{Store, StoreError, TenantId};

/// What was done, or was to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Somebody or a group came.
    Create,
    /// Attributes changed.
    Update,
    /// A person may not come in any more.
    Disable,
    /// A person may come in again.
    Enable,
    /// Somebody or a group went.
    Delete,
    /// Members came to a group or left it.
    Members,
    /// Something that the identity provider did not ask for: settings, a resync, housekeeping.
    Other,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 7] = [
        Self::Create,
        Self::Update,
        Self::Disable,
        Self::Enable,
        Self::Delete,
        Self::Members,
        Self::Other,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Delete => "delete",
            Self::Members => "members",
            Self::Other => "other",
        }
    }

    /// The action with that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused.
    Failure,
    /// There was nothing to do: who was to be deleted is not here.
    Skipped,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Skipped];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        }
    }

    /// The outcome with that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

/// One item of the journal, read for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands; the cursor of what comes before it.
    pub at: Uuid,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// What was done.
    pub action: Action,
    /// What became of it.
    pub outcome: Outcome,
    /// `User`, `Group` or `Tenant`, as far as it is known.
    pub kind: Option<String>,
    /// The resource.
    pub id: Option<String>,
    /// Its userName, as it was sent: anything may stand in it.
    pub user_name: Option<String>,
    /// Its displayName, as it was sent.
    pub display_name: Option<String>,
    /// Its externalId, as it was sent.
    pub external_id: Option<String>,
    /// Whether a person may come in, after it.
    pub active: Option<bool>,
    /// The version of the resource after it.
    pub version: Option<u64>,
    /// Attributes that changed.
    pub changed: Vec<String>,
    /// Members that came.
    pub added: Vec<String>,
    /// Members that left.
    pub removed: Vec<String>,
    /// Groups that a deleted member has left.
    pub groups: Vec<String>,
    /// The names of what happened.
    pub events: Vec<String>,
    /// The status of a refusal.
    pub status: Option<u64>,
    /// Its `scimType`.
    pub scim_type: Option<String>,
    /// What the client was told.
    pub detail: Option<String>,
    /// The method of a refused request.
    pub method: Option<String>,
    /// The token or command that asked.
    pub actor: Option<String>,
    /// The request's id, as in the log lines.
    pub request: Option<String>,
    /// Whether a person was erased from it.
    pub is_erased: bool,
}

impl Row {
    /// Reads an item.
    pub fn of(change: &Change) -> Self {
        let text = |name: &str| change.text(name).map(ToOwned::to_owned);
        let number = |name: &str| change.attributes.get(name).and_then(serde_json::Value::as_u64);
        let flag = |name: &str| change.attributes.get(name).and_then(serde_json::Value::as_bool);
        let texts = |name: &str| {
            let values = change.attributes.get(name).and_then(serde_json::Value::as_array);
            let values = values.into_iter().flatten().filter_map(serde_json::Value::as_str);
            values.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let status = number("status");
        let action = action(change);
        let outcome = match status {
            _ if !change.is_refusal() => Outcome::Success,
            Some(404) if action == Action::Delete => Outcome::Skipped,
            Some(_) | None => Outcome::Failure,
        };
        Self {
            at: change.at,
            time: change.time(),
            action,
            outcome,
            kind: text("kind").or_else(|| kind_of(change.text("path")?)),
            id: text("id"),
            user_name: text(well_known::USER_NAME),
            display_name: text(well_known::DISPLAY_NAME),
            external_id: text(well_known::EXTERNAL_ID),
            active: flag(well_known::ACTIVE),
            version: change.version(),
            changed: texts("changed"),
            added: texts("added"),
            removed: texts("removed"),
            groups: texts("groups"),
            events: texts("events"),
            status,
            scim_type: text("scimType"),
            detail: text("detail"),
            method: text("method"),
            actor: text("actor"),
            request: text("request"),
            is_erased: flag(crate::store::feed::ERASED).unwrap_or(false),
        }
    }

    /// What people call whom it is about, as it was sent.
    pub fn name(&self) -> Option<&str> {
        [&self.user_name, &self.display_name, &self.external_id, &self.id]
            .into_iter()
            .find_map(Option::as_deref)
    }

    /// What happened, in a few words that can be shown as they are.
    pub fn what(&self) -> String {
        if let Some(detail) = self.reason() {
            return detail;
        }
        let mut told = Vec::new();
        match self.action {
            Action::Create if self.active == Some(false) => {
                told.push("created, inactive".to_owned());
            }
            Action::Create => told.push("created".to_owned()),
            Action::Update | Action::Members => {}
            Action::Disable => told.push("switched off".to_owned()),
            Action::Enable => told.push("switched on again".to_owned()),
            Action::Delete => told.push("deleted".to_owned()),
            Action::Other => told.push(self.others()),
        }
        // Both are told in words of their own.
        let own = [well_known::ACTIVE, well_known::MEMBERS];
        let changed = self.changed.iter().filter(|name| !own.contains(&name.as_str()));
        let changed = changed.map(|name| plain(name));
        let changed: Vec<String> = changed.collect();
        if !changed.is_empty() {
            told.push(format!("changed {}", changed.join(", ")));
        }
        let members = |ids: &[String], word: &str| {
            let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
            (count > 0).then(|| format!("{} {word}", counted(count, "member", "members")))
        };
        told.extend(members(&self.added, "added"));
        told.extend(members(&self.removed, "removed"));
        if !self.groups.is_empty() {
            let count = u64::try_from(self.groups.len()).unwrap_or(u64::MAX);
            told.push(format!("left {}", counted(count, "group", "groups")));
        }
        if told.is_empty() { "changed".to_owned() } else { told.join("; ") }
    }

    /// Why it was refused or skipped; can be shown as it is.
    pub fn reason(&self) -> Option<String> {
        let status = || self.status.map_or_else(String::new, |status| status.to_string());
        let scim_type = || {
            let scim_type = self.scim_type.as_deref().map(plain);
            scim_type.map_or_else(String::new, |scim_type| format!(" {scim_type}"))
        };
        let detail = || {
            let erased = if self.is_erased { "(erased)" } else { "" };
            self.detail.as_deref().map_or_else(|| erased.to_owned(), plain)
        };
        match self.outcome {
            Outcome::Success => None,
            Outcome::Failure => {
                Some(format!("refused ({}{}): {}", status(), scim_type(), detail()))
            }
            Outcome::Skipped => Some("nothing to delete: not here, or not any more".to_owned()),
        }
    }

    fn others(&self) -> String {
        let names = self.events.iter().map(|event| match event.as_str() {
            name if name == Event::Snapshot.name() => "told again how it is".to_owned(),
            name if name == Event::Swept.name() => "housekeeping after a deletion".to_owned(),
            name if name == Event::Rejected.name() => {
                "held back by the brake, and rejected: the app is not told".to_owned()
            }
            name if name == Event::Released.name() => "released: SCIM ended".to_owned(),
            name => plain(name),
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

/// What an item tells of. Of several things the one that matters most.
fn action(change: &Change) -> Action {
    if change.is_refusal() {
        return match change.text("method").and_then(Write::of) {
            Some(Write::Post) => Action::Create,
            Some(Write::Delete) => Action::Delete,
            Some(Write::Patch | Write::Put) => Action::Update,
            None => Action::Other,
        };
    }
    let is = |event: Event| change.is(event.name());
    let changed = change.attributes.get("changed").and_then(serde_json::Value::as_array);
    let has_changed = changed.into_iter().flatten().any(|name| name != well_known::MEMBERS);
    if is(Event::Create) {
        Action::Create
    } else if is(Event::Delete) {
        Action::Delete
    } else if is(Event::Deactivate) {
        Action::Disable
    } else if is(Event::Activate) {
        Action::Enable
    } else if (is(Event::MemberAdded) || is(Event::MemberRemoved)) && !has_changed {
        Action::Members
    } else if is(Event::Patch) || is(Event::Put) {
        Action::Update
    } else {
        Action::Other
    }
}

/// What sort of resource a refused request's route leads to.
fn kind_of(route: &str) -> Option<String> {
    match route.split('/').nth(1) {
        Some("Users") => Some("User".to_owned()),
        Some("Groups") => Some("Group".to_owned()),
        Some(_) | None => None,
    }
}

/// Whom rows are to be about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom {
    text: String,
    folded: String,
    /// Ids that are known to be meant.
    ids: BTreeSet<String>,
}

impl Whom {
    /// An id, an externalId (in its letter case), or a part of a userName or displayName (in any).
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let whom = Self { text: text.to_owned(), folded: fold(text), ids: BTreeSet::new() };
        (!text.is_empty()).then_some(whom)
    }

    /// And everything about these resources, under whatever names.
    #[must_use]
    pub fn with_ids(mut self, ids: impl IntoIterator<Item = String>) -> Self {
        self.ids.extend(ids);
        self
    }

    /// Whether a row is about that person or group, or changes a membership of theirs.
    pub fn is_in(&self, row: &Row) -> bool {
        let is_id = |id: &String| self.ids.contains(id) || id.eq_ignore_ascii_case(&self.text);
        let contains = |name: &Option<String>| {
            name.as_ref().is_some_and(|name| fold(name).contains(&self.folded))
        };
        let members = || row.added.iter().chain(&row.removed).chain(&row.groups);
        row.id.as_ref().is_some_and(is_id)
            || row.external_id.as_ref() == Some(&self.text)
            || contains(&row.user_name)
            || contains(&row.display_name)
            || members().any(is_id)
            || row.detail.as_ref().is_some_and(|detail| names(&fold(detail), &self.folded))
    }
}

/// Whether a text has that name in it, and not only a part of a longer one.
fn names(text: &str, name: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|after| after.chars().next());
        !is_part(before) && !is_part(after)
    })
}

/// Which rows are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// About whom.
    pub person: Option<Whom>,
    /// What was done.
    pub action: Option<Action>,
    /// What became of it.
    pub outcome: Option<Outcome>,
    /// Not before then.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether a row is wanted; what lies outside of the time is not even read.
    pub fn admits(&self, row: &Row) -> bool {
        self.action.is_none_or(|action| action == row.action)
            && self.outcome.is_none_or(|outcome| outcome == row.outcome)
            && self.person.as_ref().is_none_or(|person| person.is_in(row))
    }

    fn is_open(&self) -> bool {
        self.action.is_none() && self.outcome.is_none() && self.person.is_none()
    }
}

/// Some rows, and how far was looked for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The newest first.
    pub rows: Vec<Row>,
    /// Items that were looked at.
    pub looked: usize,
    /// When the oldest of them was written.
    pub back_to: Option<Timestamp>,
    /// Where to go on; `None` when nothing is left to look at.
    pub next: Option<Uuid>,
}

impl LogPage {
    /// How far was looked, when there is more.
    pub fn note(&self) -> Option<String> {
        self.next?;
        let looked = u64::try_from(self.looked).unwrap_or(u64::MAX);
        let back_to =
            self.back_to.map_or_else(String::new, |time| format!(" back to {}", second(time)));
        Some(format!(
            "Looked through {}{back_to}; there is more before that.",
            counted(looked, "item", "items")
        ))
    }
}

/// Rows before a position (the newest, when there is none), the newest first: at most `most`, out of a bounded number of
/// items.
///
/// # Errors
/// As any read.
pub async fn log(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    filter: &Filter,
    (before, most): (Option<Uuid>, usize),
) -> Result<LogPage, StoreError> {
    let since = filter.since.map_or(Uuid::nil(), just_before);
    let until = filter.until.map_or(Uuid::max(), position);
    let until = before.map_or(until, |before| before.min(until));
    let most = most.max(1);
    let items = if filter.is_open() { most.min(LOG_ITEMS_PER_PAGE) } else { LOG_ITEMS_PER_PAGE };
    let page = store.changes_newest_first(moment, tenant, (since, until), items).await?;
    let mut log = LogPage { next: page.last, ..LogPage::default() };
    let count = page.changes.len();
    for change in &page.changes {
        log.looked += 1;
        log.back_to = change.time().or(log.back_to);
        let row = Row::of(change);
        if filter.admits(&row) {
            log.rows.push(row);
        }
        if log.rows.len() >= most {
            log.next = (page.more || log.looked < count).then_some(change.at);
            break;
        }
    }
    Ok(log)
}

/// Rows after one and before another position, in order: what a follower reads. Returns where it has read to, as well.
///
/// # Errors
/// As any read.
pub async fn log_after(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    filter: &Filter,
    (after, before): (Uuid, Uuid),
) -> Result<(Vec<Row>, Option<Uuid>), StoreError> {
    let page = store.changes(moment, tenant, (after, before), LOG_ITEMS_PER_PAGE).await?;
    let rows = page.changes.iter().map(Row::of).filter(|row| filter.admits(row)).collect();
    Ok((rows, page.last))
}

/// The position before everything that was written then or later.
fn just_before(time: Timestamp) -> Uuid {
    Uuid::from_u128(position(time).as_u128().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::*;

    fn row(attributes: Value) -> Row {
        let Value::Object(attributes) = attributes else { panic!("an object") };
        Row::of(&Change { at: Uuid::from_u128(7), attributes })
    }

    fn check(attributes: Value, expected: &Expect) {
        let row = row(attributes);
        let name = row.name().map(plain).unwrap_or_default();
        let (action, outcome) = (row.action.word(), row.outcome.word());
        expected.assert_eq(&format!("{action} {outcome} {name}: {}", row.what()));
    }

    #[test]
    fn each_sort_of_item_is_told_in_words() {
        check(
            json!({"events": ["prov:create:notice"], "kind": "User", "userName": "ida@ex.test", "active": true}),
            &expect!["create success ida@ex.test: created"],
        );
        check(
            json!({"events": ["prov:create:notice"], "userName": "a\u{1b}]0;x\u{7}", "active": false}),
            &expect![[r#"create success a\u{1b}]0;x\u{7}: created, inactive"#]],
        );
        check(
            json!({"events": ["prov:patch:notice", "prov:deactivate", "user.deactivated"], "userName": "i",
                "active": false, "changed": ["active", "title"]}),
            &expect!["disable success i: switched off; changed title"],
        );
        check(
            json!({"events": ["prov:put:notice", "prov:activate"], "id": "7", "changed": ["active"]}),
            &expect!["enable success 7: switched on again"],
        );
        check(
            json!({"events": ["prov:delete", "user.deactivated"], "userName": "i", "groups": ["g"]}),
            &expect!["delete success i: deleted; left 1 group"],
        );
        check(
            json!({"events": ["prov:patch:notice", "group.member.added"], "displayName": "Staff",
                "changed": ["members"], "added": ["a", "b"]}),
            &expect!["members success Staff: 2 members added"],
        );
        check(
            json!({"events": ["prov:patch:notice", "group.member.removed"], "displayName": "Staff",
                "changed": ["displayName"], "removed": ["a"]}),
            &expect!["update success Staff: changed displayName; 1 member removed"],
        );
        check(
            json!({"events": ["misc:refused"], "method": "POST", "path": "/Users", "status": 409,
                "scimType": "uniqueness", "detail": "userName is <b>taken</b>\u{9b}", "userName": "i"}),
            &expect![[
                r#"create failure i: refused (409 uniqueness): userName is <b>taken</b>\u{9b}"#
            ]],
        );
        check(
            json!({"events": ["misc:refused"], "method": "DELETE", "path": "/Users/{id}", "status": 404}),
            &expect!["delete skipped : nothing to delete: not here, or not any more"],
        );
        check(
            json!({"events": ["tenant.released"], "kind": "Tenant", "id": "acme"}),
            &expect!["other success acme: released: SCIM ended"],
        );
        check(
            json!({"events": ["portal:enabled"], "kind": "Tenant", "id": "acme"}),
            &expect!["other success acme: portal:enabled"],
        );
    }

    #[test]
    fn a_person_is_found_as_the_schema_compares() {
        let ida = row(
            json!({"events": ["prov:create:notice"], "id": "01890A5D-AC96-774b-bcce-b302099a8057",
            "userName": "Ida@ex.test", "displayName": "Ida Straße", "externalId": "Iek-1"}),
        );
        let finds = |text: &str| Whom::new(text).is_some_and(|whom| whom.is_in(&ida));
        for text in
            ["ida@EX.test", "ida@", "STRASSE", "Iek-1", " 01890a5d-ac96-774b-bcce-b302099a8057 "]
        {
            assert!(finds(text), "{text}");
        }
        for text in ["iek-1", "Iek", "idb", "", "01890a5d"] {
            assert!(!finds(text), "{text}");
        }
        let joined =
            row(json!({"events": ["group.member.added"], "displayName": "Staff", "added": ["7"]}));
        assert!(!Whom::new("ida").unwrap().is_in(&joined));
        assert!(Whom::new("ida").unwrap().with_ids(["7".to_owned()]).is_in(&joined));
        let refused =
            row(json!({"events": ["misc:refused"], "detail": "\"IDA@ex.test\" is taken"}));
        assert!(Whom::new("ida@ex.test").unwrap().is_in(&refused));
        assert!(!Whom::new("da@ex.test").unwrap().is_in(&refused), "only a part of a name");
    }
}
