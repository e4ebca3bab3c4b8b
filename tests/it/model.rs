//! The model test: two tenants, random operations, and after each of them what the tenants can see is compared with a
//! model of two maps: the whole lists of both, with every representation and the memberships in both directions, and
//! what has changed by id and by each attribute that it can be found by; at the end, everything in every way. Now
//! and then `Store::check` has to find the items behind it whole.
//!
//! `operation` draws the operations, `directory` is the model, `wire` says how identity providers put them, `look`
//! compares. None of them uses the server's code for what a PATCH, a filter or a name means.
//!
//! `PROPTEST_CASES` raises the number of sequences. With `DYNAMODB_ENDPOINT` it runs on another engine, in fewer cases;
//! it needs nothing but DynamoDB's documented behaviour, and an index that does not lag.

mod directory;
mod look;
mod operation;
mod wire;

use std::time::Duration;

use proptest::test_runner::{self, TestCaseError, TestError, TestRunner};
use scim_endpoint::config::Config;
use scim_endpoint::store::TenantId;
use scim_endpoint::store::check::Mode;
use serde_json::Value;

use self::directory::{Directory, Refusal, Touched, World};
use self::look::{Glance, Scope, Seen, compare_group, compare_user, look, token};
use self::operation::{
    Aim, GROUP_NAMES, Op, Person, Pick, Script, Side, Step, Tag, Team, TeamEdit, USER_NAMES, Whose,
    script,
};
use crate::app::{Answer, App};

/// An id that is never given out.
const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Threads among which the sequences are divided.
const THREADS: u32 = 2;

#[test]
fn both_tenants_are_as_the_model_says() {
    let is_set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let cases: Option<u32> = is_set("PROPTEST_CASES").and_then(|cases| cases.parse().ok());
    let usual = if is_set("DYNAMODB_ENDPOINT").is_some() { 4 } else { 8 };
    let share = cases.unwrap_or(usual).div_ceil(THREADS);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| run(share))).collect();
        for run in runs {
            if let Err(why) = run.join().expect("failures are caught") {
                panic!("{why}");
            }
        }
    });
}

/// Plays so many sequences; the shortest one that fails is the error.
fn run(cases: u32) -> Result<(), String> {
    let config = test_runner::Config {
        cases,
        failure_persistence: None,
        max_shrink_time: 120_000,
        ..test_runner::Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let played = TestRunner::new(config)
        .run(&script(), |script| runtime.block_on(play(&script)).map_err(TestCaseError::fail));
    played.map_err(|error| match error {
        TestError::Fail(why, script) => format!("{why}\n\nin {script:#?}"),
        TestError::Abort(why) => why.to_string(),
    })
}

/// Does one thing after the other, and looks at everything after each.
async fn play(script: &Script) -> Result<(), String> {
    // Every request would read its token once more.
    let cached = |config| Config { token_cache: Duration::from_secs(30), ..config };
    let app = App::start_with(cached).await;
    let mut game = Game { app: &app, world: World::default(), seen: [Seen::new(), Seen::new()] };
    for step in &script.first {
        game.step(step).await.map_err(|why| format!("at first, {step:?}\n{why}"))?;
    }
    let turns = script.then.len();
    for (turn, step) in script.then.iter().enumerate() {
        let context = |why: String| format!("step {turn}, {step:?}\n{why}");
        let before = game.world.clone();
        game.step(step).await.map_err(context)?;
        game.look_at_changes(step.by, &before, turn).await.map_err(context)?;
        if turn % 4 == 3 {
            game.check_items(step.by).await.map_err(context)?;
        }
        game.try_taken_names(step.by, turn).await.map_err(context)?;
    }
    for side in Side::BOTH {
        let everything = Glance { side, scope: Scope::Everything, turn: turns };
        game.look(everything).await.map_err(|why| format!("at the end\n{why}"))?;
        game.check_items(side).await.map_err(|why| format!("at the end\n{why}"))?;
    }
    for side in Side::BOTH {
        game.try_free_names(side).await.map_err(|why| format!("at the end\n{why}"))?;
    }
    Ok(())
}

/// The server, what it should hold, and what it was seen to hold.
struct Game<'a> {
    app: &'a App,
    world: World,
    seen: [Seen; 2],
}

/// What a request asks for, once its operands are known.
struct Asked {
    method: &'static str,
    target: String,
    tag: Option<String>,
    body: Value,
}

impl Game<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let by = step.by;
        match &step.op {
            Op::PostUser(person) => self.post_user(by, person).await,
            Op::PostGroup(team) => self.post_group(by, team).await,
            Op::PatchUser(aim, dialect, edits) => {
                let body = wire::user_patch(*dialect, edits);
                let next = |own: &Directory, id: &str| own.patch_user(id, edits);
                self.change_user(by, *aim, ("PATCH", body), next).await
            }
            Op::PutUser(aim, person) => {
                let next = |own: &Directory, id: &str| own.put_user(id, person);
                self.change_user(by, *aim, ("PUT", wire::person(person)), next).await
            }
            Op::PatchGroup(aim, dialect, edits) => {
                let edits: Vec<(&TeamEdit, Vec<String>)> =
                    edits.iter().map(|edit| (edit, self.named(by, edit))).collect();
                let body = wire::group_patch(*dialect, &edits);
                let next = |own: &Directory, id: &str| own.patch_group(id, &edits);
                self.change_group(by, *aim, ("PATCH", body), next).await
            }
            Op::PutGroup(aim, team) => {
                let members = team.members.as_ref().map(|picks| self.picked(by, picks));
                let body = wire::team(team, members.as_deref());
                let next = |own: &Directory, id: &str| own.put_group(id, team, members.as_deref());
                self.change_group(by, *aim, ("PUT", body), next).await
            }
            Op::DeleteUser(aim) => self.delete(by, *aim, "Users").await,
            Op::DeleteGroup(aim) => self.delete(by, *aim, "Groups").await,
        }
    }

    async fn post_user(&mut self, by: Side, person: &Person) -> Result<(), String> {
        let expected = self.world.of(by).post_user(person);
        let answer = self.ask(by, &Asked::post("/Users", wire::person(person))).await;
        let Some(user) = check(expected, 201, &answer)? else { return Ok(()) };
        let id = self.fresh(&answer)?;
        let own = self.world.of_mut(by);
        own.keep_user(&id, user);
        compare_user(&self.app.base_url(), &id, &own.users[&id], &answer)
    }

    async fn post_group(&mut self, by: Side, team: &Team) -> Result<(), String> {
        let members = self.picked(by, team.members.as_deref().unwrap_or_default());
        let expected = self.world.of(by).post_group(team, &members);
        let given = team.members.as_ref().map(|_| members.as_slice());
        let answer = self.ask(by, &Asked::post("/Groups", wire::team(team, given))).await;
        let Some(group) = check(expected, 201, &answer)? else { return Ok(()) };
        let id = self.fresh(&answer)?;
        let own = self.world.of_mut(by);
        own.keep_group(&id, group);
        compare_group(&self.app.base_url(), &id, own, &answer)
    }

    async fn change_user(
        &mut self,
        by: Side,
        aim: Aim,
        (method, body): (&'static str, Value),
        next: impl Fn(&Directory, &str) -> Result<directory::User, Refusal>,
    ) -> Result<(), String> {
        let (asked, id) = self.aimed(by, aim, method, "Users", body);
        let own = self.world.of(by);
        let expected = self.admitted(by, aim, "Users", &id).and_then(|()| next(own, &id));
        let answer = self.ask(by, &asked).await;
        let Some(user) = check(expected, 200, &answer)? else { return Ok(()) };
        let own = self.world.of_mut(by);
        own.keep_user(&id, user);
        compare_user(&self.app.base_url(), &id, &own.users[&id], &answer)
    }

    async fn change_group(
        &mut self,
        by: Side,
        aim: Aim,
        (method, body): (&'static str, Value),
        next: impl Fn(&Directory, &str) -> Result<directory::Group, Refusal>,
    ) -> Result<(), String> {
        let (asked, id) = self.aimed(by, aim, method, "Groups", body);
        let own = self.world.of(by);
        let expected = self.admitted(by, aim, "Groups", &id).and_then(|()| next(own, &id));
        let answer = self.ask(by, &asked).await;
        let status = if method == "PATCH" { 204 } else { 200 };
        let Some(group) = check(expected, status, &answer)? else { return Ok(()) };
        let own = self.world.of_mut(by);
        own.keep_group(&id, group);
        if status == 200 {
            return compare_group(&self.app.base_url(), &id, own, &answer);
        }
        let tag = wire::tag(own.groups[&id].version);
        match answer.header("ETag") {
            Some(found) if found == tag => Ok(()),
            found => Err(format!("the ETag of the 204\nexpected {tag}\nfound {found:?}")),
        }
    }

    async fn delete(&mut self, by: Side, aim: Aim, endpoint: &str) -> Result<(), String> {
        let (asked, id) = self.aimed(by, aim, "DELETE", endpoint, Value::Null);
        let expected = self.admitted(by, aim, endpoint, &id);
        let answer = self.ask(by, &asked).await;
        if check(expected, 204, &answer)?.is_some() {
            self.world.of_mut(by).delete(&id);
        }
        Ok(())
    }

    /// Whether the id and the tag allow the request.
    fn admitted(&self, by: Side, aim: Aim, endpoint: &str, id: &str) -> Result<(), Refusal> {
        if !self.ids(by, endpoint).iter().any(|own| own == id) {
            return Err(vec![404]);
        }
        if aim.tag == Tag::Stale { Err(vec![412]) } else { Ok(()) }
    }

    /// The request on the resource that is aimed at, and that resource's id.
    fn aimed(
        &self,
        by: Side,
        aim: Aim,
        method: &'static str,
        endpoint: &str,
        body: Value,
    ) -> (Asked, String) {
        let id = match aim.whose {
            Whose::Own(index) => nth(&self.ids(by, endpoint), index),
            Whose::OtherKind(index) => {
                let other = if endpoint == "Users" { "Groups" } else { "Users" };
                nth(&self.ids(by, other), index)
            }
            Whose::Foreign(index) => nth(&self.ids(by.other(), endpoint), index),
            Whose::Deleted(index) => nth(&self.world.of(by).deleted, index),
        };
        let version = self.world.of(by).version(&id).unwrap_or(1);
        let tag = match aim.tag {
            Tag::None => None,
            Tag::Current => Some(wire::tag(version)),
            // Versions begin at 1, so there is none of which this is the tag.
            Tag::Stale => Some(wire::tag(version - 1)),
        };
        (Asked { method, target: format!("/{endpoint}/{id}"), tag, body }, id)
    }

    fn ids(&self, side: Side, endpoint: &str) -> Vec<String> {
        let directory = self.world.of(side);
        match endpoint {
            "Users" => directory.users.keys().cloned().collect(),
            _ => directory.groups.keys().cloned().collect(),
        }
    }

    /// The ids that an edit names.
    fn named(&self, by: Side, edit: &TeamEdit) -> Vec<String> {
        match edit {
            TeamEdit::Add(picks) | TeamEdit::Remove(picks) | TeamEdit::Replace(picks) => {
                self.picked(by, picks)
            }
            TeamEdit::Rename(_) | TeamEdit::ExternalId(_) | TeamEdit::RemoveAll => Vec::new(),
        }
    }

    fn picked(&self, by: Side, picks: &[Pick]) -> Vec<String> {
        let id = |pick: &Pick| match pick {
            Pick::Person(index) => nth(&self.ids(by, "Users"), *index),
            Pick::Team(index) => nth(&self.ids(by, "Groups"), *index),
            Pick::Foreign(index) => nth(&self.ids(by.other(), "Users"), *index),
            Pick::Deleted(index) => nth(&self.world.of(by).deleted, *index),
            Pick::Malformed => "nobody".to_owned(),
        };
        picks.iter().map(id).collect()
    }

    async fn ask(&self, by: Side, asked: &Asked) -> Answer {
        let bearer = format!("Bearer {}", token(self.app, by));
        let mut headers = vec![("Authorization".to_owned(), bearer)];
        headers.extend(asked.tag.clone().map(|tag| ("If-Match".to_owned(), tag)));
        let body = if asked.body.is_null() { String::new() } else { asked.body.to_string() };
        self.app.send(asked.method, &asked.target, &headers, body.as_bytes()).await
    }

    /// The id of something new: one that nobody has had.
    fn fresh(&self, answer: &Answer) -> Result<String, String> {
        let id = answer.id();
        let is_known = Side::BOTH.iter().any(|side| {
            let directory = self.world.of(*side);
            directory.version(&id).is_some() || directory.deleted.contains(&id)
        });
        if is_known { Err(format!("{id} was given out twice")) } else { Ok(id) }
    }

    /// Looks at the lists of both tenants, and at what has changed since `before` for the one that has acted.
    async fn look_at_changes(
        &mut self,
        by: Side,
        before: &World,
        turn: usize,
    ) -> Result<(), String> {
        let touched = Touched::between(before.of(by), self.world.of(by));
        self.look(Glance { side: by, scope: Scope::Touched(&touched), turn }).await?;
        self.look(Glance { side: by.other(), scope: Scope::Lists, turn }).await
    }

    /// The items behind it fit together, and none is left over.
    async fn check_items(&self, side: Side) -> Result<(), String> {
        let tenant = TenantId::parse(name(side)).expect("the harness has this tenant");
        let moments = || self.app.moment();
        let store = self.app.store();
        let report = store.check(&moments, &tenant, Mode::Report, &mut |_| {}).await;
        let report = report.map_err(|error| error.to_string())?.ok_or("there is no such tenant")?;
        let own = self.world.of(side);
        let memberships = own.groups.values().map(|group| group.is.members.len()).sum();
        let counted = (report.users, report.groups, report.memberships, report.jobs);
        if report.is_whole() && counted == (own.users.len(), own.groups.len(), memberships, 0) {
            return Ok(());
        }
        Err(format!("the items of {side:?} are not whole: {report:#?}"))
    }

    async fn look(&mut self, glance: Glance<'_>) -> Result<(), String> {
        let seen = match glance.side {
            Side::Acme => &mut self.seen[0],
            Side::Globex => &mut self.seen[1],
        };
        let looked = look(self.app, &self.world, glance, seen).await;
        looked.map_err(|why| format!("as {:?}: {why}", glance.side))
    }

    /// A name that somebody has is taken in every spelling, and the refusal says by whom.
    async fn try_taken_names(&self, by: Side, turn: usize) -> Result<(), String> {
        let own = self.world.of(by);
        let users = own.users.iter().map(|(id, user)| (id, user.is.name));
        let groups = own.groups.iter().map(|(id, group)| (id, group.is.name));
        let user = users.clone().nth(turn % own.users.len().max(1));
        let group = groups.clone().nth(turn % own.groups.len().max(1));
        let user =
            user.map(|(id, name)| ("/Users", "userName", id, respelled(USER_NAMES, name, turn)));
        let group = group
            .map(|(id, name)| ("/Groups", "displayName", id, respelled(GROUP_NAMES, name, turn)));
        for (target, attribute, id, name) in user.into_iter().chain(group) {
            let body = Value::from_iter([(attribute, name)]);
            let answer = self.ask(by, &Asked::post(target, body)).await;
            let is_explained = answer.json()["detail"].as_str().is_some_and(|why| why.contains(id));
            if answer.status != 409 || !is_explained {
                return Err(format!("POST {target} {name:?}: it is {id}'s\nfound {answer:?}"));
            }
        }
        Ok(())
    }

    /// A name that nobody has is free.
    async fn try_free_names(&mut self, by: Side) -> Result<(), String> {
        for row in USER_NAMES {
            let taken = |user: &directory::Stored<directory::User>| row.contains(&user.is.name);
            let status = if self.world.of(by).users.values().any(taken) { 409 } else { 201 };
            let body = Value::from_iter([("userName", row[row.len() - 1])]);
            let answer = self.ask(by, &Asked::post("/Users", body)).await;
            check(Ok(()), status, &answer).map_err(|why| format!("POST {row:?}: {why}"))?;
        }
        for row in GROUP_NAMES {
            let taken = |group: &directory::Stored<directory::Group>| row.contains(&group.is.name);
            let status = if self.world.of(by).groups.values().any(taken) { 409 } else { 201 };
            let body = Value::from_iter([("displayName", row[row.len() - 1])]);
            let answer = self.ask(by, &Asked::post("/Groups", body)).await;
            check(Ok(()), status, &answer).map_err(|why| format!("POST {row:?}: {why}"))?;
        }
        Ok(())
    }
}

impl Asked {
    fn post(target: &str, body: Value) -> Self {
        Self { method: "POST", target: target.to_owned(), tag: None, body }
    }
}

/// The name that the harness gives a tenant.
fn name(side: Side) -> &'static str {
    match side {
        Side::Acme => "acme",
        Side::Globex => "globex",
    }
}

/// The one that an operand means among those that there are.
fn nth(ids: &[String], index: usize) -> String {
    ids.get(index % ids.len().max(1)).map_or_else(|| NOBODY.to_owned(), Clone::clone)
}

/// Another spelling of a name, where there is one.
fn respelled(table: &'static [&'static [&'static str]], name: &str, turn: usize) -> &'static str {
    let row = table.iter().find(|row| row.contains(&name)).expect("names come from the table");
    row[turn % row.len()]
}

/// What the model expects, when the answer agrees: a change, or `None` after a refusal.
fn check<T>(expected: Result<T, Refusal>, done: u16, answer: &Answer) -> Result<Option<T>, String> {
    let (wanted, change) = match expected {
        Ok(change) => (vec![done], Some(change)),
        Err(refusal) => (refusal, None),
    };
    if wanted.contains(&answer.status) {
        return Ok(change);
    }
    let body = String::from_utf8_lossy(&answer.body);
    Err(format!("the status\nexpected {wanted:?}\nfound {}: {body}", answer.status))
}
