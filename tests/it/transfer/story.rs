//! The whole story, as a team lives it: people are imported, the identity provider's first cycle finds them, one of them
//! leaves, the app ends the sessions, is killed before it acknowledges, and converges; the tables are lost and restored to
//! a time before the leaver, and everything is right again in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scim_endpoint::admin::resync::{Order, resync};
use scim_endpoint::feed::lag::{Tally, took};
use scim_endpoint::store::feed::{Acknowledgement, Change, position};
use scim_endpoint::store::{Cx, Settings};
use serde_json::{Value, json};
use uuid::Uuid;

use super::cycle::{as_csv, ids, provision};
use super::{assert_checked, import_usual};
use crate::app::App;
use crate::restore::{Backup, Table, restored};

const PEOPLE: usize = 12;
const LEAVER: usize = 3;

/// What the app's database holds: its accounts by its own id, the version of each that it has applied, who is signed in,
/// and how far it has read.
#[derive(Clone, Default)]
struct Database {
    of_person: BTreeMap<String, String>,
    applied: BTreeMap<String, u64>,
    open: BTreeSet<String>,
    sessions: BTreeSet<String>,
    cursor: Uuid,
}

/// Where the app is killed.
#[derive(Clone, Copy, PartialEq)]
enum Killed {
    Never,
    BeforeItAcknowledges,
}

impl Database {
    /// Reads what is settled, applies it and acknowledges; the cursor moves last.
    async fn listen(&mut self, stack: &App, owner: &App, killed: Killed) -> usize {
        stack.clock().advance(Duration::from_secs(16));
        let (moment, tenant) = (stack.moment(), owner.tenant());
        let window = (self.cursor, position(moment.now().plus_seconds(-15)));
        let page = stack.store().changes(&moment, &tenant, window, 1_000).await.unwrap();
        assert!(!page.more);
        let mut noted = 0;
        for change in &page.changes {
            let leaves = self.apply(change);
            if leaves && killed == Killed::BeforeItAcknowledges {
                return noted;
            }
            if leaves {
                let done = stack.store().acknowledge(&moment, &tenant, change.at, "app").await;
                noted += usize::from(done.unwrap() == Acknowledgement::Noted);
            }
            self.cursor = change.at;
        }
        noted
    }

    /// Takes a change in, once; says whether it was about a leaver.
    fn apply(&mut self, change: &Change) -> bool {
        if change.text("kind") != Some("User") {
            return false;
        }
        let id = change.text("id").unwrap().to_owned();
        let account = change.text("appId").map_or_else(|| id.clone(), ToOwned::to_owned);
        let version = change.version().unwrap();
        if self.applied.get(&id).is_none_or(|applied| version > *applied) {
            self.applied.insert(id.clone(), version);
            self.of_person.insert(id, account.clone());
            if change.attributes["active"] == true {
                self.open.insert(account.clone());
            } else {
                self.open.remove(&account);
                self.sessions.remove(&account);
            }
        }
        change.is("user.deactivated")
    }
}

/// What Entra sends when somebody leaves.
async fn leave(stack: &App, token: &str, id: &str) {
    let body = json!({"Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
    stack.call_as(token, "PATCH", &format!("/Users/{id}"), body).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_import_to_a_restore() {
    let app = App::start().await;
    let leaver = format!("account-{LEAVER}");

    // Import, and a first cycle that finds everybody.
    assert_eq!(import_usual(&app, &as_csv(PEOPLE)).await.counts()["created"], PEOPLE);
    let imported = ids(&app).await;
    for n in 0..PEOPLE {
        let filter = format!("userName eq \"p{n}@example.com\"");
        let (found, _) = provision(&app, n, &filter).await;
        assert_eq!(found.as_ref(), imported.get(&format!("P{n}@Example.com")), "{n}");
    }
    let mut database = Database::default();
    assert_eq!(database.listen(&app, &app, Killed::Never).await, 0);
    assert_eq!((database.open.len(), database.of_person.len()), (PEOPLE, PEOPLE));
    assert!(database.open.contains(&leaver), "{:?}", database.open);
    database.sessions = database.open.clone();
    let backup = Backup::of(&app).await;
    app.clock().advance(Duration::from_mins(40));

    // One leaves. The app is killed between the effect and the acknowledgement, and converges.
    let id = imported[&format!("P{LEAVER}@Example.com")].clone();
    leave(&app, &app.token(), &id).await;
    let before = database.cursor;
    assert_eq!(database.listen(&app, &app, Killed::BeforeItAcknowledges).await, 0);
    assert!(!database.open.contains(&leaver) && database.cursor == before);
    assert_eq!(database.sessions.len(), PEOPLE - 1);
    assert_eq!(database.listen(&app, &app, Killed::Never).await, 1);
    assert_eq!(database.listen(&app, &app, Killed::Never).await, 0);
    let told = app.store().change(&app.moment(), &app.tenant(), database.cursor).await.unwrap();
    let told = told.expect("it is in the journal");
    assert!(told.is("user.deactivated"));
    // Two looks of 16 s each.
    assert!(took(&told).is_some_and(|took| took >= Duration::from_secs(32)), "{told:?}");
    let mut tally = Tally::default();
    tally.add(&told, app.moment().now());
    let lag = tally.sum();
    assert_eq!((lag.acknowledged, lag.waiting), (1, 0));

    // The tables are lost, and restored to the time before.
    let everything = [Table::Directory, Table::Secrets, Table::Journal];
    let stack = restored(&app, everything.map(|table| (table, Some(&backup)))).await;
    let stands = stack.store().change(&stack.moment(), &app.tenant(), database.cursor).await;
    assert_eq!(
        stands.unwrap(),
        None,
        "the app's cursor stands at what is lost, and the app is told so"
    );
    let person =
        stack.call_as(&app.token(), "GET", &format!("/Users/{id}"), Value::Null).await.expect(200);
    assert_eq!(person.json()["active"], true, "the restore has brought the leaver back");
    let moments = || stack.moment();
    let order = Order { only: None, since: None, leavers_after: None };
    resync(stack.store(), &moments, &app.tenant(), &order, &mut |_| {}).await.unwrap();
    // Restart provisioning: whoever differs is written again.
    leave(&stack, &app.token(), &id).await;
    database.cursor = position(backup.at);
    database.listen(&stack, &app, Killed::Never).await;
    assert_eq!(database.open.len(), PEOPLE - 1);
    assert!(!database.open.contains(&leaver) && !database.sessions.contains(&leaver));
    assert_checked(&stack, &app.tenant()).await;
    let (moment, settings, tenant) = (stack.moment(), Settings::default(), app.tenant());
    let cx = Cx { tenant: &tenant, settings: &settings, actor: "test", moment: &moment };
    let linked = stack.store().people_of_app_id(&cx, &leaver).await.unwrap();
    assert_eq!(linked.iter().map(|person| person.id.to_string()).collect::<Vec<_>>(), [id]);
}
