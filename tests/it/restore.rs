//! The runbook `docs/RESTORE.md`, rehearsed step by step: tables that are lost or rolled back in time, what is wrong then,
//! and that its steps put it right, with an app that listens and an identity provider whose admin presses Restart.

use std::collections::BTreeMap;
use std::time::Duration;

use scim_endpoint::admin::resync::{Order, Report, resync};
use scim_endpoint::admin::tokens::{self, State};
use scim_endpoint::moment::Timestamp;
use scim_endpoint::store::Tables;
use scim_endpoint::store::check::{Mode, Outcome};
use scim_endpoint::store::feed::{Change, position};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, App};
use crate::races::{entries, on_members, replacing};
use crate::whole::{Item, client};

/// How far readers of the journal stay behind now.
const BEHIND: Duration = Duration::from_secs(15);

/// One of the three tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Directory,
    Secrets,
    Journal,
}

/// What the tables had at one instant.
#[derive(Clone)]
pub(crate) struct Backup {
    pub(crate) at: Timestamp,
    items: BTreeMap<&'static str, Vec<Item>>,
}

impl Backup {
    /// All items of all tables, as point-in-time recovery has them.
    pub(crate) async fn of(app: &App) -> Self {
        let tables = app.store().tables();
        let mut items = BTreeMap::new();
        for (role, name) in [
            ("directory", &tables.directory),
            ("secrets", &tables.secrets),
            ("journal", &tables.journal),
        ] {
            let read = client(app).scan().table_name(name).send().await.expect("it is read");
            assert_eq!(read.last_evaluated_key, None, "a test has few items");
            items.insert(role, read.items.unwrap_or_default());
        }
        Self { at: app.moment().now(), items }
    }

    fn of_table(&self, table: Table) -> Vec<Item> {
        let role = match table {
            Table::Directory => "directory",
            Table::Secrets => "secrets",
            Table::Journal => "journal",
        };
        self.items[role].clone()
    }
}

/// A stack that was pointed at new tables, each restored from a backup; without one it begins empty.
pub(crate) async fn restored(app: &App, from: [(Table, Option<&Backup>); 3]) -> App {
    let unique = app.moment().mint_uuid().simple().to_string();
    let tables = Tables {
        directory: format!("directory-{unique}"),
        secrets: format!("secrets-{unique}"),
        journal: format!("journal-{unique}"),
    };
    let stack = app.beside(tables.clone(), |config| config).await;
    for (table, backup) in from {
        let name = match table {
            Table::Directory => &tables.directory,
            Table::Secrets => &tables.secrets,
            Table::Journal => &tables.journal,
        };
        for item in backup.map(|backup| backup.of_table(table)).unwrap_or_default() {
            let put = client(app).put_item().table_name(name).set_item(Some(item));
            put.send().await.expect("it is restored");
        }
    }
    stack
}

/// An account of the app's.
#[derive(Clone, Debug)]
struct Account {
    version: u64,
    open: bool,
    user_name: String,
    told: Uuid,
}

/// The app: it reads the journal by a cursor, orders by version, and closes accounts.
#[derive(Default)]
struct Consumer {
    accounts: BTreeMap<String, Account>,
    cursor: Uuid,
    /// Items that told nothing new, because their version had been seen.
    ignored: usize,
}

impl Consumer {
    async fn read(&mut self, app: &App, tenant: &App) {
        app.clock().advance(BEHIND + Duration::from_secs(1));
        let moment = app.moment();
        let until = position(moment.now().plus_seconds(-15));
        loop {
            let window = (self.cursor, until);
            let page = app.store().changes(&moment, &tenant.tenant(), window, 7).await.unwrap();
            for change in &page.changes {
                self.apply(change);
                self.cursor = change.at;
            }
            if !page.more {
                return;
            }
        }
    }

    fn apply(&mut self, change: &Change) {
        if change.text("kind") == Some("Tenant") && change.is("misc:snapshot") {
            // Everything has been said: whoever was not is not there any more.
            let Some(began) = change.after() else { return };
            for account in self.accounts.values_mut().filter(|account| account.told < began) {
                account.open = false;
            }
            return;
        }
        if change.text("kind") != Some("User") || change.is("misc:memberships-swept") {
            return;
        }
        let id = change.text("id").unwrap().to_owned();
        let version = change.version().unwrap();
        let seen = self.accounts.get(&id).map_or(0, |account| account.version);
        if version <= seen {
            self.ignored += 1;
            return;
        }
        let open = change.attributes["active"].as_bool().unwrap();
        let user_name = change.text("userName").unwrap().to_owned();
        self.accounts.insert(id, Account { version, open, user_name, told: change.at });
    }

    fn is_open(&self, id: &str) -> bool {
        self.accounts[id].open
    }

    /// Whether the item at which the cursor stands is there: when not, something is missing, and the reader says so.
    async fn cursor_is_there(&self, app: &App, tenant: &App) -> bool {
        let moment = app.moment();
        app.store().change(&moment, &tenant.tenant(), self.cursor).await.unwrap().is_some()
    }
}

/// A person as the identity provider knows them, and the id that it keeps for them.
#[derive(Clone, Debug)]
struct Person {
    user_name: &'static str,
    external_id: &'static str,
    active: bool,
    title: &'static str,
    link: Option<String>,
}

/// The stack that is called, with a token.
struct Caller<'a> {
    app: &'a App,
    token: String,
}

impl Caller<'_> {
    async fn call(&self, method: &str, target: &str, body: Value) -> Answer {
        self.app.call_as(&self.token, method, target, body).await
    }

    async fn active(&self, id: &str) -> Option<bool> {
        let found = self.call("GET", &format!("/Users/{id}"), Value::Null).await;
        (found.status == 200).then(|| found.json()["active"].as_bool().unwrap())
    }

    /// An initial cycle: each person in scope is found by the id that is kept, else matched by name, else created, and
    /// what differs is written. Who is not in scope is not looked at.
    async fn restart(&self, people: &mut [Person]) {
        for person in people {
            let mut found = Value::Null;
            if let Some(id) = &person.link {
                let read = self.call("GET", &format!("/Users/{id}"), Value::Null).await;
                if read.status == 200 {
                    found = read.json();
                }
            }
            if found.is_null() {
                let name = person.user_name.replace('@', "%40");
                let target = format!("/Users?filter=userName+eq+%22{name}%22");
                let list = self.call("GET", &target, Value::Null).await.expect(200).json();
                found = list["Resources"][0].clone();
            }
            if found.is_null() {
                let body = json!({
                    "userName": person.user_name, "externalId": person.external_id,
                    "active": person.active, "title": person.title,
                });
                person.link = Some(self.call("POST", "/Users", body).await.expect(201).id());
                continue;
            }
            let id = found["id"].as_str().unwrap().to_owned();
            let mut operations = Vec::new();
            for (path, value) in [
                ("userName", json!(person.user_name)),
                ("title", json!(person.title)),
                ("active", json!(person.active)),
            ] {
                if found[path] != value {
                    operations.push(json!({"op": "Replace", "path": path, "value": value}));
                }
            }
            if !operations.is_empty() {
                let body = json!({"Operations": operations});
                self.call("PATCH", &format!("/Users/{id}"), body).await.expect(200);
            }
            person.link = Some(id);
        }
    }
}

/// The story up to the loss: what the backup at T0 has, and what happened after it.
struct Story {
    app: App,
    app_side: Consumer,
    /// Before, and just before the loss.
    early: Backup,
    late: Backup,
    ids: BTreeMap<&'static str, String>,
    /// In scope at the identity provider now.
    people: Vec<Person>,
    /// Revoked after T0, and issued after T0.
    revoked: String,
    issued: String,
}

fn off() -> Value {
    json!({"Operations": [{"op": "Replace", "path": "active", "value": "False"}]})
}

impl Story {
    async fn new() -> Self {
        let app = App::start().await;
        let mut ids = BTreeMap::new();
        let mut people = Vec::new();
        let names = [
            ("ida", "ida@ex.test", "o-ida"),
            ("eve", "eve@ex.test", "o-eve"),
            ("dora", "dora@ex.test", "o-dora"),
            ("ren", "ren@ex.test", "o-ren"),
        ];
        for (name, user_name, external_id) in names {
            let body = json!({
                "userName": user_name, "externalId": external_id, "active": true, "title": "Engineer",
            });
            let id = app.call("POST", "/Users", body).await.expect(201).id();
            ids.insert(name, id.clone());
            let title = "Engineer";
            people.push(Person { user_name, external_id, active: true, title, link: Some(id) });
        }
        let members: Vec<String> = ids.values().cloned().collect();
        let body = json!({"displayName": "Staff", "members": entries(&members)});
        ids.insert("staff", app.call("POST", "/Groups", body).await.expect(201).id());
        let revoked = app.issue(&app.tenant()).await;
        let mut app_side = Consumer::default();
        app_side.read(&app, &app).await;
        let early = Backup::of(&app).await;
        app.clock().advance(Duration::from_mins(10));

        // T0 is over. Two people leave: Eve is disabled, Dora is deleted and out of scope.
        let target = |name: &str| format!("/Users/{}", ids[name]);
        for title in ["Lead", "Head", "Director"] {
            app.call("PATCH", &target("ida"), replacing("title", title)).await.expect(200);
        }
        app.call("PATCH", &target("eve"), off()).await.expect(200);
        app.call("DELETE", &target("dora"), Value::Null).await.expect(204);
        app.call("PATCH", &target("ren"), replacing("userName", "rene@ex.test")).await.expect(200);
        let body = json!({"userName": "new@ex.test", "externalId": "o-new", "active": true, "title": "Engineer"});
        let new = app.call("POST", "/Users", body).await.expect(201).id();
        let added = on_members("add", std::slice::from_ref(&new));
        app.call("PATCH", &format!("/Groups/{}", ids["staff"]), added).await.expect(204);
        ids.insert("new", new.clone());
        tokens::revoke(app.store(), &app.moment(), &app.tenant(), &revoked.id).await.unwrap();
        let issued = app.issue(&app.tenant()).await;
        app_side.read(&app, &app).await;
        assert!(!app_side.is_open(&ids["eve"]) && !app_side.is_open(&ids["dora"]));
        assert!(app_side.is_open(&new));
        people.retain(|person| person.external_id != "o-dora");
        for person in &mut people {
            match person.external_id {
                "o-ida" => person.title = "Director",
                "o-eve" => person.active = false,
                _ => person.user_name = "rene@ex.test",
            }
        }
        let (user_name, external_id, title) = ("new@ex.test", "o-new", "Engineer");
        people.push(Person { user_name, external_id, active: true, title, link: Some(new) });
        let late = Backup::of(&app).await;
        let (revoked, issued) =
            (revoked.secret.reveal().to_owned(), issued.secret.reveal().to_owned());
        Self { app, app_side, early, late, ids, people, revoked, issued }
    }

    fn caller<'a>(&self, stack: &'a App) -> Caller<'a> {
        Caller { app: stack, token: self.app.token() }
    }

    /// The sorts of what a check finds, each once, and that a repair leaves nothing.
    async fn check(&self, stack: &App) -> Vec<&'static str> {
        let (moments, tenant) = (|| stack.moment(), self.app.tenant());
        let check = async |mode| {
            let report = stack.store().check(&moments, &tenant, mode, &mut |_| {}).await;
            report.unwrap().unwrap()
        };
        let found = check(Mode::Report).await;
        let repaired = check(Mode::Repair).await;
        let by_hand = |outcome: &Outcome| matches!(outcome, Outcome::ByHand(_));
        assert!(
            !repaired.findings.iter().any(|finding| by_hand(&finding.outcome)),
            "{repaired:#?}"
        );
        assert!(check(Mode::Report).await.is_whole());
        let mut sorts: Vec<&str> = found.findings.iter().map(|finding| finding.sort).collect();
        sorts.sort_unstable();
        sorts.dedup();
        sorts
    }

    async fn resync(&self, stack: &App, leavers_after: Option<Timestamp>) -> Report {
        let order = Order { only: None, since: None, leavers_after };
        let (moments, tenant) = (|| stack.moment(), self.app.tenant());
        resync(stack.store(), &moments, &tenant, &order, &mut |_| {}).await.unwrap()
    }

    async fn listed(&self, stack: &App) -> Vec<State> {
        let list = tokens::list(stack.store(), &stack.moment(), &self.app.tenant()).await.unwrap();
        list.into_iter().map(|token| token.state).collect()
    }

    /// Directory and app are as the identity provider says, and the leavers are out.
    async fn expect_converged(&mut self, stack: &App) {
        let caller = self.caller(stack);
        for person in &self.people {
            let id = person.link.as_deref().unwrap();
            let found = caller.call("GET", &format!("/Users/{id}"), Value::Null).await.expect(200);
            let found = found.json();
            assert_eq!(found["userName"], person.user_name);
            assert_eq!(
                (&found["title"], &found["active"]),
                (&json!(person.title), &json!(person.active))
            );
            let account = &self.app_side.accounts[id];
            assert_eq!(
                (account.open, account.user_name.as_str()),
                (person.active, person.user_name)
            );
        }
        assert_ne!(caller.active(&self.ids["dora"]).await, Some(true));
        assert!(!self.app_side.is_open(&self.ids["eve"]));
        assert!(!self.app_side.is_open(&self.ids["dora"]));
        let open: Vec<&str> = self
            .app_side
            .accounts
            .values()
            .filter(|account| account.open)
            .map(|account| account.user_name.as_str())
            .collect();
        assert_eq!(open.len(), 3, "nobody has two accounts: {open:?}");
        assert_eq!(self.check(stack).await, [""; 0]);
    }
}

const ALL: [Table; 3] = [Table::Directory, Table::Secrets, Table::Journal];

/// Case A of the runbook: everything as it was at T0.
#[tokio::test(flavor = "multi_thread")]
async fn a_all_tables_rolled_back_in_time() {
    let mut story = Story::new().await;
    let stack = restored(&story.app, ALL.map(|table| (table, Some(&story.early)))).await;
    let caller = story.caller(&stack);

    // What is wrong now. A revoked token opens, and one that was issued since does not.
    stack.call_as(&story.revoked, "GET", "/Users", Value::Null).await.expect(200);
    stack.call_as(&story.issued, "GET", "/Users", Value::Null).await.expect(401);
    // Leavers are active, who has come is not there, names are the old ones.
    assert_eq!(caller.active(&story.ids["eve"]).await, Some(true));
    assert_eq!(caller.active(&story.ids["dora"]).await, Some(true));
    assert_eq!(caller.active(&story.ids["new"]).await, None);
    // The app's cursor stands at an item that is gone.
    assert!(!story.app_side.cursor_is_there(&stack, &story.app).await);
    // And what happens now has versions that the app has seen: it would not listen.
    let ida = format!("/Users/{}", story.ids["ida"]);
    caller.call("PATCH", &ida, replacing("nickName", "I")).await.expect(200);
    let seen = story.app_side.accounts[&story.ids["ida"]].version;
    story.app_side.read(&stack, &story.app).await;
    assert_eq!(
        (story.app_side.ignored, story.app_side.accounts[&story.ids["ida"]].version),
        (1, seen)
    );

    // 1. Check.
    assert_eq!(story.check(&stack).await, [""; 0]);
    // 2. Tokens: those that were revoked since are revoked again.
    let list = tokens::list(stack.store(), &stack.moment(), &story.app.tenant()).await.unwrap();
    assert_eq!(list.len(), 2);
    tokens::revoke(stack.store(), &stack.moment(), &story.app.tenant(), &list[1].info.id)
        .await
        .unwrap();
    stack.call_as(&story.revoked, "GET", "/Users", Value::Null).await.expect(401);
    // 3. Leavers: only the app remembers them, so its list of closed accounts is switched off here.
    for (id, _) in story.app_side.accounts.iter().filter(|(_, account)| !account.open) {
        caller.call("PATCH", &format!("/Users/{id}"), off()).await.expect(200);
    }
    // 4. Everything is said again.
    let report = story.resync(&stack, None).await;
    assert_eq!((report.said, report.switched_off.len()), (5, 0));
    story.app_side.read(&stack, &story.app).await;
    assert!(
        !story.app_side.is_open(&story.ids["eve"]) && !story.app_side.is_open(&story.ids["dora"])
    );
    assert!(!story.app_side.is_open(&story.ids["new"]), "who is not there was not said");
    // 5. The customer's admin presses Restart provisioning; whom it had created since T0 comes under a new id.
    let before = story.ids["new"].clone();
    let mut people = std::mem::take(&mut story.people);
    caller.restart(&mut people).await;
    story.people = people;
    assert_ne!(story.people.last().unwrap().link.as_deref(), Some(before.as_str()));
    story.app_side.read(&stack, &story.app).await;
    story.expect_converged(&stack).await;
    // A second cycle has nothing to do.
    let read = Backup::of(&stack).await.of_table(Table::Journal).len();
    let mut people = story.people.clone();
    caller.restart(&mut people).await;
    assert_eq!(Backup::of(&stack).await.of_table(Table::Journal).len(), read);
}

/// Case B: the journal is later than the Directory, also when only the Directory was lost (D).
#[tokio::test(flavor = "multi_thread")]
async fn b_a_directory_that_is_older_than_the_journal() {
    let mut story = Story::new().await;
    let (early, late) = (&story.early, &story.late);
    let from = [
        (Table::Directory, Some(early)),
        (Table::Secrets, Some(early)),
        (Table::Journal, Some(late)),
    ];
    let stack = restored(&story.app, from).await;
    assert!(story.app_side.cursor_is_there(&stack, &story.app).await, "no item is missing");
    assert_eq!(story.caller(&stack).active(&story.ids["eve"]).await, Some(true));
    assert_eq!(story.check(&stack).await, [""; 0]);
    // The journal remembers who has left since: nobody needs the app's list.
    let report = story.resync(&stack, Some(story.early.at)).await;
    let mut switched_off: Vec<String> =
        report.switched_off.iter().map(ToString::to_string).collect();
    switched_off.sort();
    let mut expected = [story.ids["eve"].clone(), story.ids["dora"].clone()];
    expected.sort();
    assert_eq!(switched_off, expected);
    story.app_side.read(&stack, &story.app).await;
    let caller = story.caller(&stack);
    let mut people = std::mem::take(&mut story.people);
    caller.restart(&mut people).await;
    story.people = people;
    story.app_side.read(&stack, &story.app).await;
    story.expect_converged(&stack).await;
}

/// Case B, the other way round, and the Journal alone lost (D): the app is told that something is missing.
#[tokio::test(flavor = "multi_thread")]
async fn b_a_journal_that_is_older_than_the_directory_or_lost() {
    for journal in ["older", "lost"] {
        let mut story = Story::new().await;
        let (early, late) = (&story.early, &story.late);
        let from = [
            (Table::Directory, Some(late)),
            (Table::Secrets, Some(late)),
            (Table::Journal, (journal == "older").then_some(early)),
        ];
        let stack = restored(&story.app, from).await;
        let caller = story.caller(&stack);
        assert!(!story.app_side.cursor_is_there(&stack, &story.app).await, "{journal}");
        assert_eq!(story.check(&stack).await, ["change-lost"], "{journal}");
        // The next item names one before it that is not there.
        let ida = format!("/Users/{}", story.ids["ida"]);
        caller.call("PATCH", &ida, replacing("title", "Chair")).await.expect(200);
        let moment = stack.moment();
        let window = (position(story.late.at), position(moment.now().plus_seconds(60)));
        let page = stack.store().changes(&moment, &story.app.tenant(), window, 10).await.unwrap();
        let after = page.changes[0].after().expect("it names one");
        let found = stack.store().change(&moment, &story.app.tenant(), after).await.unwrap();
        assert!(found.is_none(), "{journal}");
        story.people[0].title = "Chair";
        story.resync(&stack, None).await;
        // An app that had lost everything knows everything again.
        let mut other = Consumer::default();
        other.read(&stack, &story.app).await;
        story.app_side.read(&stack, &story.app).await;
        let named = |consumer: &Consumer| -> BTreeMap<String, bool> {
            let accounts = consumer.accounts.iter();
            let there = accounts.filter(|(id, _)| **id != story.ids["dora"]);
            there.map(|(id, account)| (id.clone(), account.open)).collect()
        };
        assert_eq!(named(&other), named(&story.app_side), "{journal}");
        story.expect_converged(&stack).await;
    }
}

/// Secrets may be older than the Directory, and never newer.
#[tokio::test(flavor = "multi_thread")]
async fn b_secrets_of_another_instant_than_the_directory() {
    let story = Story::new().await;
    let (early, late) = (&story.early, &story.late);
    let older = [
        (Table::Directory, Some(late)),
        (Table::Secrets, Some(early)),
        (Table::Journal, Some(late)),
    ];
    let stack = restored(&story.app, older).await;
    stack.call_as(&story.revoked, "GET", "/Users", Value::Null).await.expect(200);
    assert_eq!(story.check(&stack).await, ["token-still-open", "token-without-row"]);
    stack.call_as(&story.revoked, "GET", "/Users", Value::Null).await.expect(401);
    stack.call_as(&story.app.token(), "GET", "/Users", Value::Null).await.expect(200);

    // Newer: a token opens that nobody can see, and so nobody can revoke. That is why the runbook forbids it.
    let newer = [
        (Table::Directory, Some(early)),
        (Table::Secrets, Some(late)),
        (Table::Journal, Some(early)),
    ];
    let stack = restored(&story.app, newer).await;
    stack.call_as(&story.issued, "GET", "/Users", Value::Null).await.expect(200);
    assert_eq!(story.listed(&stack).await.len(), 2, "and it is not among them");
    assert_eq!(story.check(&stack).await, [""; 0], "nothing sees it");
    tokens_all_end(&story, &stack).await;
    stack.call_as(&story.issued, "GET", "/Users", Value::Null).await.expect(200);
}

async fn tokens_all_end(story: &Story, stack: &App) {
    let tenant = story.app.tenant();
    let list = tokens::list(stack.store(), &stack.moment(), &tenant).await.unwrap();
    for token in list.iter().filter(|token| token.state == State::Alive) {
        tokens::revoke(stack.store(), &stack.moment(), &tenant, &token.info.id).await.unwrap();
    }
}

/// Case C: Secrets are lost; the Directory and the journal are whole.
#[tokio::test(flavor = "multi_thread")]
async fn c_secrets_lost() {
    let story = Story::new().await;
    let late = &story.late;
    let from =
        [(Table::Directory, Some(late)), (Table::Secrets, None), (Table::Journal, Some(late))];
    let stack = restored(&story.app, from).await;
    let told = stack.call_as(&story.app.token(), "GET", "/Users", Value::Null).await.expect(401);
    assert!(told.json()["detail"].as_str().unwrap().contains("ask for a new one"));
    assert_eq!(story.check(&stack).await, ["token-without-row"]);
    // What is left is the token that was revoked.
    assert_eq!(story.listed(&stack).await, [State::Revoked]);
    let issued = stack.issue(&story.app.tenant()).await;
    let caller = Caller { app: &stack, token: issued.secret.reveal().to_owned() };
    assert_eq!(caller.active(&story.ids["eve"]).await, Some(false));
    assert_eq!(caller.active(&story.ids["ida"]).await, Some(true));
    // The app has missed nothing.
    assert!(story.app_side.cursor_is_there(&stack, &story.app).await);
    let mut people = story.people.clone();
    let read = Backup::of(&stack).await.of_table(Table::Journal).len();
    caller.restart(&mut people).await;
    assert_eq!(Backup::of(&stack).await.of_table(Table::Journal).len(), read, "nothing differs");
}
