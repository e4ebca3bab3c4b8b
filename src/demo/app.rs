//! The sample app: what a team writes in its own product, with maps in the place of its database. `docs/INTEGRATE.md`
//! explains each step.
//!
//! It learns of people through the journal, keys accounts by our id, orders by version, acknowledges who has left, and
//! asks the directory once at each sign-in. It never looks at an e-mail address, and maps groups to roles itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::board::{Board, Line};
use crate::moment::Moment;
use crate::scim::well_known::{DISPLAY_NAME, USER_NAME};
use crate::store::feed::{self, Change, Pages};
use crate::store::{Cx, Settings, Store, StoreError, TenantId};
use crate::system::Moments;

/// The groups that mean something in this app. A product lets each customer choose them, and keeps their ids.
const ROLES: [(&str, &str); 1] = [("Admins", "admin")];
/// How far the stored position stays behind now, in seconds: what is written later cannot stand before it.
const SETTLED_SECONDS: i64 = 15;

/// An account of the app's.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    /// What the app shows.
    pub(super) name: String,
    /// What the person signs in with, at present.
    pub(super) login: String,
    /// Whether the person may come in.
    pub(super) open: bool,
    /// Sessions that are alive.
    pub(super) sessions: usize,
    /// Whether sessions were ended, and none has begun since.
    pub(super) ended: bool,
    /// Whether the person was deleted.
    gone: bool,
    /// The version of the person that was applied last.
    version: u64,
}

#[derive(Clone, Debug, Default)]
struct Group {
    name: String,
    version: u64,
    members: BTreeSet<String>,
}

/// The app's database.
#[derive(Debug, Default)]
pub(super) struct Database {
    accounts: BTreeMap<String, Account>,
    groups: BTreeMap<String, Group>,
}

impl Database {
    /// Takes a change in, in one step: what was done about it, or nothing when it is older than what was applied.
    fn apply(&mut self, change: &Change) -> Option<(String, String)> {
        let id = change.text("id")?;
        let version = change.version()?;
        match change.text("kind")? {
            "User" => self.apply_user(id, version, change),
            "Group" => self.apply_group(id, version, change),
            _ => None,
        }
    }

    fn apply_user(&mut self, id: &str, version: u64, change: &Change) -> Option<(String, String)> {
        let before = self.accounts.get(id).cloned().unwrap_or_default();
        if version <= before.version {
            return None;
        }
        // Somebody who was erased from the journal has no name in it any more.
        let login = change.text(USER_NAME).unwrap_or(&before.login).to_owned();
        let name = change.text(DISPLAY_NAME).unwrap_or(&login).to_owned();
        let open = change.attributes.get("active")?.as_bool()?;
        let sessions = if open { before.sessions } else { 0 };
        let ended = before.ended || sessions < before.sessions;
        let did = match (before.open, open) {
            (false, true) if before.version == 0 => "gets an account".to_owned(),
            (false, true) => "gets the account back".to_owned(),
            (true, false) if before.sessions == 1 => "loses the account and the session".to_owned(),
            (true, false) => format!("loses the account and {} sessions", before.sessions),
            _ if before.login != login => format!("was {}, and keeps the account", before.name),
            _ => "is noted".to_owned(),
        };
        let gone = change.is("prov:delete");
        let account = Account { name: name.clone(), login, open, sessions, ended, gone, version };
        self.accounts.insert(id.to_owned(), account);
        Some((name, did))
    }

    fn apply_group(&mut self, id: &str, version: u64, change: &Change) -> Option<(String, String)> {
        let group = self.groups.entry(id.to_owned()).or_default();
        if version <= group.version {
            return None;
        }
        group.version = version;
        group.name = change.text(DISPLAY_NAME).unwrap_or(&group.name).to_owned();
        let name = group.name.clone();
        let (added, removed) = (ids(change, "added"), ids(change, "removed"));
        group.members.retain(|member| !removed.contains(member));
        group.members.extend(added.iter().cloned());
        if change.is("prov:delete") {
            group.members.clear();
            return Some((name, "is gone".to_owned()));
        }
        let people = |ids: &[String]| {
            let names = ids.iter().filter_map(|id| Some(self.accounts.get(id)?.name.as_str()));
            names.collect::<Vec<_>>().join(", ")
        };
        let did = match (role_of(&name), added.is_empty(), removed.is_empty()) {
            (Some(role), false, _) => format!("gives the role {role} to {}", people(&added)),
            (Some(role), true, false) => format!("takes the role {role} from {}", people(&removed)),
            (None, false, _) => format!("has {} now", people(&added)),
            (None, true, false) => format!("has {} no more", people(&removed)),
            (_, true, true) => "is noted".to_owned(),
        };
        Some((name, did))
    }

    /// Begins a session, when the directory says that the person may come in.
    fn begin_session(&mut self, id: &str) -> bool {
        let account = self.accounts.get_mut(id).filter(|account| account.open);
        account.is_some_and(|account| {
            (account.sessions, account.ended) = (account.sessions + 1, false);
            true
        })
    }

    /// Accounts that are not of deleted people, each with its role and groups.
    pub(super) fn people(&self) -> impl Iterator<Item = (&str, &Account, &str, Vec<&str>)> {
        let there = self.accounts.iter().filter(|(_, account)| !account.gone);
        there.map(|(id, account)| {
            let groups = self.groups.values().filter(|group| group.members.contains(id));
            let groups: Vec<&str> = groups.map(|group| group.name.as_str()).collect();
            let role = groups.iter().find_map(|name| role_of(name)).unwrap_or("member");
            (id.as_str(), account, role, groups)
        })
    }
}

fn role_of(group: &str) -> Option<&'static str> {
    ROLES.iter().find(|(name, _)| *name == group).map(|(_, role)| *role)
}

fn ids(change: &Change, name: &str) -> Vec<String> {
    let listed = change.attributes.get(name).and_then(serde_json::Value::as_array);
    listed.into_iter().flatten().filter_map(|id| Some(id.as_str()?.to_owned())).collect()
}

/// The app's process: follows the journal and lets people in.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    store: Store,
    tenant: TenantId,
    moments: Moments,
    pause: Duration,
}

impl Follower {
    pub(super) fn new(store: Store, tenant: TenantId, moments: Moments, pause: Duration) -> Self {
        Self { store, tenant, moments, pause }
    }

    /// Looks at the journal again and again.
    pub(super) async fn follow(self, board: Arc<Board>) {
        let (mut position, mut seen) = (Uuid::nil(), BTreeSet::new());
        loop {
            let moment = self.moments.unnamed();
            match self.look(&board, &moment, (&mut position, &mut seen)).await {
                Ok(()) => board.note_look(),
                Err(error) => tracing::warn!(%error, "the journal cannot be read; trying again"),
            }
            moment.sleep(self.pause).await;
        }
    }

    /// Reads what is there behind the position, which follows at a distance: so a leaver is seen at once, nothing is
    /// missed, and what is read twice changes nothing.
    async fn look(
        &self,
        board: &Board,
        moment: &Moment,
        (position, seen): (&mut Uuid, &mut BTreeSet<Uuid>),
    ) -> Result<(), StoreError> {
        let end = feed::position(moment.now().plus_seconds(SETTLED_SECONDS));
        let mut pages = Pages::new(&self.store, &self.tenant, (*position, end));
        while let Some(changes) = pages.next(moment).await? {
            for change in changes {
                if !seen.contains(&change.at) {
                    self.take(board, moment, &change).await?;
                    seen.insert(change.at);
                }
            }
        }
        let settled = feed::position(moment.now().plus_seconds(-SETTLED_SECONDS));
        *position = settled.max(*position);
        *seen = seen.split_off(position);
        Ok(())
    }

    async fn take(
        &self,
        board: &Board,
        moment: &Moment,
        change: &Change,
    ) -> Result<(), StoreError> {
        let done = board.with(|database| database.apply(change));
        // First the effect, then the acknowledgement: killed in between, the item comes again, and the effect is there.
        let asks = change.is("user.deactivated");
        if asks {
            self.store.acknowledge(moment, &self.tenant, change.at, "sample app").await?;
        }
        let Some((who, did)) = done else { return Ok(()) };
        let now = moment.wall();
        let time = change.time().unwrap_or(now);
        let took = now.instant() - time.instant();
        let acknowledged = asks.then(|| took.try_into().unwrap_or_default());
        let events = change.events().map(ToOwned::to_owned).collect();
        board.note(Line { time, events, who, did, acknowledged });
        Ok(())
    }

    /// Lets a person in whom the single sign-on has proven to be `user_name`, if the directory says so: one GetItem.
    pub(super) async fn sign_in(&self, board: &Board, user_name: &str) -> Result<(), StoreError> {
        let moment = self.moments.unnamed();
        let settings = Settings::default();
        let cx = Cx { tenant: &self.tenant, settings: &settings, actor: "", moment: &moment };
        let found = self.store.get_by_user_name(&cx, user_name).await?;
        let active = found.filter(|person| person.document.is_active());
        let is_in = active.is_some_and(|person| {
            board.with(|database| database.begin_session(&person.id.to_string()))
        });
        let did = if is_in { "is active, and comes in" } else { "is not active, and stays out" };
        board.note(Line {
            time: moment.wall(),
            events: vec!["sign-in".to_owned()],
            who: user_name.to_lowercase(),
            did: did.to_owned(),
            acknowledged: None,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A change of a person, or of a group, at a version.
    fn change(events: &[&str], version: u64, more: &Value) -> Change {
        let mut attributes =
            json!({ "id": "1", "kind": "User", "version": version, "events": events });
        let whole = attributes.as_object_mut().unwrap();
        whole.extend(more.as_object().unwrap().clone());
        Change { at: Uuid::nil(), attributes: whole.clone() }
    }

    fn active(events: &[&str], version: u64, is_active: bool) -> Change {
        change(events, version, &json!({ "userName": "ida@acme.test", "active": is_active }))
    }

    #[test]
    fn an_old_change_opens_nothing_and_ends_nothing() {
        let mut app = Database::default();
        let (created, left) =
            (active(&["prov:create:notice"], 1, true), active(&["user.deactivated"], 2, false));
        assert!(app.apply(&created).is_some() && app.begin_session("1"));
        assert!(app.apply(&left).is_some());
        for old in [&created, &left] {
            assert_eq!(app.apply(old), None);
            assert!(!app.begin_session("1"));
        }
        assert!(app.apply(&active(&["user.reactivated"], 3, true)).is_some());
        assert!(app.begin_session("1"));
        assert_eq!(app.apply(&left), None);
        assert_eq!(app.people().next().map(|(_, account, ..)| account.sessions), Some(1));
    }

    #[test]
    fn a_deleted_person_stays_gone() {
        let mut app = Database::default();
        assert!(app.apply(&active(&["prov:create:notice"], 1, true)).is_some());
        app.apply(&active(&["prov:delete", "user.deactivated"], 2, false));
        assert_eq!(app.apply(&active(&["prov:create:notice"], 1, true)), None);
        assert!(!app.begin_session("1"));
        assert_eq!(app.people().count(), 0);
    }

    #[test]
    fn a_role_comes_and_goes_with_the_membership() {
        let mut app = Database::default();
        app.apply(&active(&["prov:create:notice"], 1, true));
        let group = |version, more: Value| {
            let mut whole = json!({ "id": "2", "kind": "Group", "displayName": "Admins" });
            whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            change(&["prov:patch:notice"], version, &whole)
        };
        let role = |app: &Database| app.people().next().map(|(.., role, _)| role.to_owned());
        app.apply(&group(1, json!({ "added": ["1"] })));
        assert_eq!(role(&app).as_deref(), Some("admin"));
        app.apply(&group(2, json!({ "removed": ["1"] })));
        assert_eq!(app.apply(&group(1, json!({ "added": ["1"] }))), None);
        assert_eq!(role(&app).as_deref(), Some("member"));
    }
}
