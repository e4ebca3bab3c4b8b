//! `scimctl changes` and `scimctl journal` as their users meet them: the built binary, what it prints, how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use scim_endpoint::moment::Timestamp;
use scim_endpoint::store::TenantId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{age, at_of, journal_of, made_up, rewrite};
use crate::app::App;
use crate::proxy::{Conflicts, Proxy, Step};
use crate::races::{delete, group, patch, replacing, user};
use crate::whole::{Item, string};

/// A command on the app's tables.
pub(super) fn scimctl(app: &App, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scimctl"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["PUBLIC_URL", "RUST_LOG", "AWS_PROFILE"] {
        command.env_remove(name);
    }
    command.envs(app.environment());
    command
}

/// What a command writes, line by line as JSON, and how it ends.
#[track_caller]
pub(super) fn lines(app: &App, arguments: &[&str], code: i32) -> (Vec<Value>, String) {
    let all = [arguments, &["--format", "json"]].concat();
    let output = scimctl(app, &all).output().expect("it runs");
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {err}{out}");
    let lines = out.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    (lines.collect(), err)
}

pub(super) fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (text(&output.stdout), text(&output.stderr))
}

/// What a command that has to be refused says: one line.
#[track_caller]
pub(super) fn refused(app: &App, arguments: &[&str]) -> String {
    let output = scimctl(app, arguments).output().expect("it runs");
    let (out, err) = texts(&output);
    assert!(!output.status.success() && out.is_empty(), "{arguments:?}: {out}");
    assert_eq!(err.lines().count(), 1, "{arguments:?}: {err}");
    err
}

/// An app whose first tenant has a story that is an hour old.
async fn story() -> (App, String, String) {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    let staff = group(&app, "Staff", std::slice::from_ref(&ida)).await;
    patch(&app, &format!("/Users/{ida}"), replacing("active", "False")).await.expect(200);
    app.call("POST", "/Users", json!({"userName": "ida@ex.test"})).await.expect(409);
    delete(&app, &format!("/Users/{ida}")).await.expect(204);
    let body = json!({"userName": "z@ex.test"});
    app.call_as(&app.other_token(), "POST", "/Users", body).await.expect(201);
    for tenant in ["acme", "globex"] {
        age(&app, &TenantId::parse(tenant).unwrap(), Duration::from_hours(1)).await;
    }
    (app, ida, staff)
}

fn ats(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["at"].as_str().expect("an item")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_is_written_line_by_line_and_gone_on_with() {
    let (app, ida, staff) = story().await;
    let (all, err) = lines(&app, &["changes", "--tenant", "acme"], 0);
    assert_eq!((all.len(), err.as_str()), (4, ""), "without the refusal");
    let ids: Vec<&str> = all.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&ida, &staff, &ida, &ida]);
    assert_eq!(all[0].as_object().unwrap().keys().next().unwrap(), "cursor");
    assert_eq!(all[2]["events"][2], "user.deactivated");
    assert_eq!(lines(&app, &["changes", "--tenant", "acme", "--refused"], 0).0.len(), 5);
    let refused = ["changes", "--tenant", "acme", "--event", "misc:refused"];
    assert_eq!(lines(&app, &refused, 0).0[0]["status"], 409);
    for (index, line) in all.iter().enumerate() {
        let cursor = line["cursor"].as_str().unwrap();
        let (rest, _) = lines(&app, &["changes", "--tenant", "acme", "--after", cursor], 0);
        assert_eq!(rest, all[index + 1..]);
    }
    let (two, _) = lines(&app, &["changes", "--tenant", "acme", "--limit", "2"], 0);
    assert_eq!(two, all[..2]);
    let only =
        ["changes", "--tenant", "acme", "--event", "prov:delete", "--event", "user.deactivated"];
    assert_eq!(ats(&lines(&app, &only, 0).0), ats(&all[2..]));
    let (of_all, _) = lines(&app, &["changes", "--all"], 0);
    assert_eq!(ats(&of_all)[..4], ats(&all));
    assert_eq!((of_all.len(), &of_all[4]["tenant"]), (5, &json!("globex")));
    let cursor = of_all[3]["cursor"].as_str().unwrap();
    let (rest, _) = lines(&app, &["changes", "--all", "--after", cursor], 0);
    assert_eq!(rest, of_all[4..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_a_line_each_and_how_to_go_on() {
    let (app, ida, _) = story().await;
    let output = scimctl(&app, &["changes", "--tenant", "acme", "--refused"]).output().unwrap();
    let (out, err) = texts(&output);
    let shown: Vec<&str> = out.lines().collect();
    assert_eq!(shown.len(), 5, "{out}");
    let time = "2026-11-21 08:00:00".len();
    assert_eq!(
        shown[2][time..],
        format!(
            "  acme  prov:patch:notice, prov:deactivate, user.deactivated  ida@ex.test  {ida}  v2"
        )
    );
    assert!(shown[3].contains("misc:refused  ida@ex.test  -  "), "{out}");
    let (_, on) = err.split_once("To go on from here:\n  scimctl ").unwrap();
    let on: Vec<&str> = on.split_whitespace().collect();
    let (out, err) = texts(&scimctl(&app, &on).output().unwrap());
    assert_eq!(
        (out.as_str(), err.as_str()),
        ("", "Nothing has changed that is older than 15 s.\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_a_line_and_an_exit_code() {
    let (app, ida, _) = story().await;
    let items = journal_of(&app, &app.tenant()).await;
    let lost = items.values().nth(2).unwrap().clone();
    rewrite(&app, Vec::new(), vec![lost.clone()]).await;
    for scope in [["--tenant", "acme"].as_slice(), &["--all"]] {
        let (told, err) = lines(&app, &[&["changes"], scope].concat(), 3);
        let gap = json!({"tenant": "acme", "id": ida, "missing": at_of(&lost).to_string(), "before": told[3]["at"]});
        assert_eq!(told[2], json!({ "gap": gap }));
        assert_eq!(err.lines().count(), 2, "{err}");
        assert!(
            err.starts_with("gap: acme: the item ") && err.contains("docs/CHANGES.md"),
            "{err}"
        );
        let output = scimctl(&app, &[&["changes"], scope].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        let (out, _) = texts(&output);
        assert!(out.lines().nth(2).unwrap().starts_with("gap: acme: the item "), "{out}");
    }
    // Whatever is asked for, what is missing is told.
    let (told, _) = lines(&app, &["changes", "--tenant", "acme", "--event", "tenant.released"], 3);
    assert_eq!(told.len(), 1);
}

/// A command that goes on by itself, and its lines.
struct Following {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Following {
    fn start(app: &App, arguments: &[&str]) -> Self {
        let all = [arguments, &["--follow", "--format", "json"]].concat();
        Self::spawn(scimctl(app, &all))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, out }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"))
    }

    fn interrupt(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
        let status = self.child.wait().expect("it ends");
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).expect("UTF-8");
        (status.code(), err)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // SIGKILL: nothing can be tidied up.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Items of some seconds ago, beginning with that number, each a second after the one before.
async fn add(app: &App, numbers: std::ops::Range<u32>, begin: Timestamp) {
    let item = |number: u32| {
        let (id, time) = (number.to_string(), begin.plus_seconds(i64::from(number)));
        made_up(&app.tenant(), time, number, &[("id", &id), ("event", "prov:patch:notice")])
    };
    rewrite(app, numbers.map(item).collect(), Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_and_is_killed_anywhere_goes_on() {
    let app = App::start().await;
    let begin = app.moment().now().plus_seconds(-3_600);
    add(&app, 0..30, begin).await;
    let mut met: Vec<String> = Vec::new();
    let mut cursor: Option<String> = None;
    for (step, deliveries) in [1, 7, 3, 12, 5].into_iter().enumerate() {
        let mut arguments = vec!["changes", "--tenant", "acme"];
        if let Some(cursor) = &cursor {
            arguments.extend(["--after", cursor]);
        }
        let mut following = Following::start(&app, &arguments);
        for delivery in 0..deliveries {
            let line = following.line();
            met.push(line["id"].as_str().unwrap().to_owned());
            // Every other time it dies before it has noted the last.
            if step % 2 == 0 || delivery + 1 < deliveries {
                cursor = Some(line["cursor"].as_str().unwrap().to_owned());
            }
        }
        drop(following);
    }
    // It waits for what comes, and ends when it is told to.
    let cursor = cursor.unwrap();
    let mut following =
        Following::start(&app, &["changes", "--tenant", "acme", "--after", &cursor]);
    met.push(following.line()["id"].as_str().unwrap().to_owned());
    let mut last = String::new();
    while last != "29" {
        following.line()["id"].as_str().unwrap().clone_into(&mut last);
        met.push(last.clone());
    }
    add(&app, 30..33, begin).await;
    for number in 30..33 {
        let id = following.line()["id"].as_str().unwrap().to_owned();
        assert_eq!(id, number.to_string());
        met.push(id);
    }
    assert_eq!(following.interrupt(), (Some(0), String::new()));
    let expected: Vec<String> = (0..33).map(|number: u32| number.to_string()).collect();
    let mut once = met.clone();
    once.sort_by_key(|id| id.parse::<u32>().unwrap());
    once.dedup();
    assert_eq!(once, expected);
    assert!(met.len() > once.len(), "some are told twice: {met:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_is_told_of_a_gap_at_once_and_again_at_the_end() {
    let (app, ida, _) = story().await;
    let items = journal_of(&app, &app.tenant()).await;
    rewrite(&app, Vec::new(), items.values().skip(2).take(1).cloned().collect()).await;
    let mut following = Following::start(&app, &["changes", "--all"]);
    let told: Vec<Value> = (0..5).map(|_| following.line()).collect();
    assert_eq!(told[2]["gap"]["id"], json!(ida));
    assert_eq!(told[4]["tenant"], "globex");
    let (code, err) = following.interrupt();
    assert_eq!(code, Some(3), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_outlives_a_throttled_table() {
    let app = App::start().await;
    add(&app, 0..2, app.moment().now().plus_seconds(-3_600)).await;
    let (proxy, url) = Proxy::start(&app.dynamodb_endpoint(), Conflicts::None).await;
    // The first is a look at the registry; then all attempts of the SDK.
    let refused = std::iter::repeat_n(Step::Refuse("ThrottlingException"), 3);
    proxy.script("Query", std::iter::once(Step::Pass).chain(refused));
    let all = ["changes", "--tenant", "acme", "--follow", "--format", "json"];
    let mut command = scimctl(&app, &all);
    command.env("AWS_ENDPOINT_URL_DYNAMODB", url);
    let mut following = Following::spawn(command);
    assert_eq!((&following.line()["id"], &following.line()["id"]), (&json!("0"), &json!("1")));
    let (code, err) = following.interrupt();
    assert_eq!((code, err.as_str()), (Some(0), "the store is overloaded; it is asked again\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_any_more() {
    let app = App::start().await;
    add(&app, 0..2_000, app.moment().now().plus_seconds(-3_600)).await;
    let mut command = scimctl(&app, &["changes", "--tenant", "acme", "--follow"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    // What `head` does; the lines are more than a pipe holds.
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(texts(&output).1, "");
}

/// An app whose first tenant has had 100 leavers who were acknowledged, and two who were not: the positions of these, and
/// when it began.
async fn leavers() -> (App, Timestamp, Vec<String>) {
    let app = App::start().await;
    let begin = app.moment().now().plus_seconds(-86_400 * 300);
    let tenant = app.tenant();
    let event = |number: u32, took: Option<i64>| {
        let (id, time) = (format!("p{number}"), begin.plus_seconds(60 * i64::from(number)));
        let named = [("id", id.as_str()), ("event", "user.deactivated")];
        let mut item = made_up(&tenant, time, number, &named);
        if let Some(took) = took {
            let when = time.plus(Duration::from_millis(took.try_into().unwrap())).to_string();
            item.insert("acknowledged".to_owned(), AttributeValue::S(when));
            item.insert("acknowledgedBy".to_owned(), AttributeValue::S("shop".to_owned()));
        }
        item
    };
    let mut all: Vec<Item> = (0..99).map(|n| event(n, Some(1_000 + 10 * i64::from(n)))).collect();
    all.push(event(99, Some(90_000)));
    all.extend([event(100, None), event(101, None)]);
    all.push(made_up(
        &tenant,
        begin.plus_seconds(9_000),
        7,
        &[("id", "o"), ("event", "prov:delete")],
    ));
    let waiting: Vec<String> = all[100..102].iter().map(|item| string(item, "at")).collect();
    rewrite(&app, all, Vec::new()).await;
    (app, begin, waiting)
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_it_took_is_measured_exactly() {
    let (app, begin, waiting) = leavers().await;
    let (told, _) = lines(&app, &["changes", "--lag", "--tenant", "acme"], 0);
    let lag = &told[0]["tenants"][0];
    assert_eq!((&told[0]["event"], &lag["tenant"]), (&json!("user.deactivated"), &json!("acme")));
    let counted = json!([lag["events"], lag["acknowledged"], lag["waiting"]]);
    assert_eq!(counted, json!([102, 100, 2]));
    let measured = json!([lag["p50_ms"], lag["p99_ms"], lag["max_ms"]]);
    assert_eq!(measured, json!([1_490, 1_980, 90_000]));
    let oldest = &lag["oldest_waiting"];
    assert_eq!((&oldest["id"], &oldest["at"]), (&json!("p100"), &json!(waiting[0])));
    let age = oldest["age_ms"].as_u64().unwrap() / 1_000;
    let expected = app.moment().now().since(begin.plus_seconds(6_000)).as_secs();
    assert!(age <= expected && expected < age + 600, "{age} {expected}");

    let since = begin.plus_seconds(60 * 98).to_string();
    let some = ["changes", "--lag", "--all", "--since", &since, "--detail"];
    let (told, _) = lines(&app, &some, 0);
    assert_eq!(told.len(), 5);
    let first = &told[0]["detail"];
    assert_eq!((&first["id"], &first["took_ms"]), (&json!("p98"), &json!(1_980)));
    assert_eq!(first["acknowledged_by"], "shop");
    assert_eq!(told[2]["detail"]["took_ms"], Value::Null);
    let tenants = told[4]["tenants"].as_array().unwrap();
    assert_eq!((&tenants[0]["events"], &tenants[1]["events"]), (&json!(4), &json!(0)));
    let other = ["changes", "--lag", "--tenant", "acme", "--event", "prov:delete"];
    let (told, _) = lines(&app, &other, 0);
    assert_eq!(told[0]["tenants"][0]["waiting"], 1);
    assert_eq!(told[0]["tenants"][0]["p50_ms"], Value::Null);
    let output = scimctl(&app, &["changes", "--lag", "--tenant", "acme"]).output().unwrap();
    let (out, _) = texts(&output);
    assert!(
        out.starts_with("user.deactivated\n\ntenant  events  acknowledged  waiting  p50"),
        "{out}"
    );
    assert!(out.contains("acme    102     100           2        1.5 s  2.0 s  90 s"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_are_taken_by_position_by_cursor_and_by_line() {
    let (app, _, waiting) = leavers().await;
    let (told, _) = lines(&app, &["changes", "--tenant", "acme", "--event", "prov:delete"], 0);
    let cursor = told[0]["cursor"].as_str().unwrap();
    let ack = ["changes", "--tenant", "acme", "--by", "shop", "--ack", &waiting[0], cursor];
    let (told, _) = lines(&app, &ack, 0);
    let outcomes: Vec<&Value> = told.iter().map(|line| &line["outcome"]).collect();
    assert_eq!(outcomes, ["noted", "noted"]);
    let mut command = scimctl(&app, &["changes", "--all", "--ack", "-", "--format", "json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    write!(input, "\n {cursor} \r\n{cursor}\n").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(texts(&output).0.matches("\"outcome\":\"before\"").count(), 2);
    let item = &journal_of(&app, &app.tenant()).await[&Uuid::try_parse(&waiting[0]).unwrap()];
    assert_eq!(string(item, "acknowledgedBy"), "shop");
    let (told, _) = lines(&app, &["changes", "--lag", "--tenant", "acme"], 0);
    assert_eq!(told[0]["tenants"][0]["waiting"], 1);
    let nothing = Uuid::from_u128(1 << 80).to_string();
    let (told, _) = lines(&app, &["changes", "--tenant", "acme", "--ack", &nothing], 1);
    assert_eq!(told[0]["outcome"], "nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_about_the_feed_is_one_sentence() {
    let (app, ..) = story().await;
    let (all, _) = lines(&app, &["changes", "--tenant", "acme"], 0);
    let (of_all, _) = lines(&app, &["changes", "--all"], 0);
    let (own, all) = (all[0]["cursor"].as_str().unwrap(), of_all[0]["cursor"].as_str().unwrap());
    let at = of_all[0]["at"].as_str().unwrap();
    for (arguments, expected) in [
        (vec!["changes"], "--tenant"),
        (vec!["changes", "--tenant", "acme", "--all"], "--all"),
        (vec!["changes", "--tenant", "nobody"], "no tenant nobody"),
        (
            vec!["changes", "--tenant", "acme", "--after", &own[..20]],
            "is no cursor, or not all of one",
        ),
        (vec!["changes", "--tenant", "acme", "--after", at], "is no cursor"),
        (
            vec!["changes", "--tenant", "globex", "--after", own],
            "of the tenant acme, not of globex",
        ),
        (vec!["changes", "--all", "--after", own], "of the tenant acme alone"),
        (vec!["changes", "--tenant", "acme", "--after", all], "a cursor of --all"),
        (vec!["changes", "--tenant", "acme", "--limit", "0"], "0"),
        (vec!["changes", "--tenant", "acme", "--event", "user.gone"], "user.deactivated"),
        (vec!["changes", "--tenant", "acme", "--since", "2026-11-21T08:00:00Z"], "--lag"),
        (vec!["changes", "--tenant", "acme", "--lag", "--since", "monday"], "2026-11-21T08:00:00Z"),
        (vec!["changes", "--tenant", "acme", "--lag", "--follow"], "--lag"),
        (
            vec!["changes", "--all", "--lag", "--event", "prov:delete", "--event", "prov:activate"],
            "--event once",
        ),
        (vec!["changes", "--tenant", "acme", "--ack", "monday"], "neither an item's"),
        (vec!["changes", "--tenant", "globex", "--ack", own], "of the tenant acme"),
        (vec!["changes", "--all", "--ack", at], "--tenant"),
        (vec!["changes", "--tenant", "acme", "--ack", own, "--by", " "], "--by"),
        (vec!["changes", "--tenant", "acme", "--by", "shop"], "--ack"),
        (vec!["journal", "erase", "--tenant", "acme"], "--id"),
        (vec!["journal", "erase", "--tenant", "nobody", "--id", "x"], "no tenant nobody"),
        (vec!["journal", "erase", "--tenant", "acme", "--user-name", "ida@ex.test"], "--yes"),
    ] {
        let told = refused(&app, &arguments);
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    // What is wrong is found before anything is written.
    let told = refused(&app, &["changes", "--tenant", "acme", "--ack", at, "monday"]);
    assert!(told.contains("monday"), "{told}");
    let items = journal_of(&app, &app.tenant()).await;
    assert!(
        items
            .values()
            .all(|item| !item.contains_key("acknowledged") && !item.contains_key("erased"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_by_a_command() {
    let (app, ida, _) = story().await;
    let erase = |more: &[&str]| {
        let all = [&["journal", "erase", "--tenant", "acme"], more].concat();
        lines(&app, &all, 0).0.remove(0)
    };
    let by_name = ["--user-name", "Ida@ex.test"];
    let told = erase(&[by_name.as_slice(), &["--dry-run"]].concat());
    assert_eq!(
        (&told["changes"], &told["refusals"], &told["id"]),
        (&json!(3), &json!(1), &json!(ida))
    );
    assert_eq!((&told["erased"], &told["dry_run"]), (&json!(0), &json!(true)));
    assert_eq!(told["still_in_directory"], false);
    let told = erase(&[by_name.as_slice(), &["--yes"]].concat());
    assert_eq!((&told["erased"], &told["dry_run"]), (&json!(4), &json!(false)));
    let (left, _) = lines(&app, &["changes", "--tenant", "acme", "--refused"], 0);
    assert_eq!(left.len(), 5);
    assert!(!Value::from(left).to_string().contains("ida@ex"));
    let output = scimctl(&app, &["journal", "erase", "--tenant", "acme", "--id", &ida]).output();
    let (out, _) = texts(&output.unwrap());
    assert_eq!(out, "Nothing in the journal of acme names that person.\n");
    // Who is still there is named again by the next change.
    let bob = user(&app, "bob@ex.test").await;
    let bobs = ["journal", "erase", "--tenant", "acme", "--id", &bob, "--yes"];
    let (out, _) = texts(&scimctl(&app, &bobs).output().unwrap());
    assert!(
        out.starts_with("1 item of acme no longer name that person.")
            && out.contains("still in the directory"),
        "{out}"
    );
}
