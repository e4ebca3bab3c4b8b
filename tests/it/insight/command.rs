//! `scimctl log`, `why` and `health` as their users meet them: the built binary, what it prints, how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use scim_endpoint::store::TenantId;
use serde_json::{Value, json};

use crate::app::App;
use crate::races::{delete, group, patch, replacing, user};

/// Names that a directory can send.
const NASTY: [&str; 4] = [
    "<script>alert(1)</script>",
    "red\u{1b}[31m\u{1b}]0;title\u{7}",
    "c1\u{9b}2J\u{85}bidi\u{202e}gnp",
    "line\nbreak\rreturn\u{2028}end",
];

fn scimctl(app: &App, arguments: &[&str]) -> Command {
    let mut command = crate::cli::scimctl(arguments);
    command.envs(app.environment());
    command
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn run(app: &App, arguments: &[&str], code: i32) -> (String, String) {
    let output = scimctl(app, arguments).output().expect("it runs");
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {err}{out}");
    for text in [&out, &err] {
        let obeyed =
            |c: char| c != '\n' && (c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c));
        assert!(!text.contains(obeyed), "{arguments:?}: {text:?}");
    }
    (out, err)
}

fn lines(app: &App, arguments: &[&str]) -> Vec<Value> {
    let (out, _) = run(app, &[arguments, &["--format", "json"]].concat(), 0);
    out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// An app whose first tenant has a story of five rows.
async fn story() -> (App, String) {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    group(&app, "Staff", std::slice::from_ref(&ida)).await;
    patch(&app, &format!("/Users/{ida}"), replacing("active", "False")).await.expect(200);
    app.call("POST", "/Users", json!({"userName": "ida@ex.test"})).await.expect(409);
    delete(&app, &format!("/Users/{ida}")).await.expect(204);
    (app, ida)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_in_order_and_filtered() {
    let (app, ida) = story().await;
    let (out, err) = run(&app, &["log", "acme"], 0);
    let time = "2026-11-21 08:00:00".len();
    let shown: Vec<&str> = out.lines().map(|line| &line[time..]).collect();
    assert_eq!(shown[0], "  success  create   ida@ex.test  created");
    assert_eq!(shown[1], "  success  create   Staff  created; 1 member added");
    assert_eq!(shown[2], "  success  disable  ida@ex.test  switched off");
    assert!(
        shown[3].starts_with("  failure  create   ida@ex.test  refused (409 uniqueness): "),
        "{out}"
    );
    assert_eq!(shown[4], "  success  delete   ida@ex.test  deleted; left 1 group");
    assert_eq!((shown.len(), err.as_str()), (5, "That is all that the journal has of it.\n"));

    let words = |arguments: &[&str]| -> Vec<String> {
        let rows = lines(&app, &[&["log", "acme"], arguments].concat());
        rows.iter().map(|row| row["action"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(words(&["--limit", "2"]), ["create", "delete"]);
    assert_eq!(words(&["--action", "delete"]), ["delete"]);
    assert_eq!(words(&["--outcome", "failure"]), ["create"]);
    assert_eq!(
        words(&["--person", "IDA@", "--outcome", "success"]),
        ["create", "disable", "delete"]
    );
    // By id, her memberships too, and a refusal that says that the name is hers.
    assert_eq!(words(&["--person", &ida]).len(), 5);
    assert_eq!(words(&["--person", "staff"]), ["create"]);
    assert_eq!(words(&["--since", "1h"]).len(), 5);
    assert_eq!(words(&["--until", "1h"]).len(), 0);
    let (out, err) = run(&app, &["log", "acme", "--person", "nobody"], 0);
    assert_eq!(out, "");
    assert!(err.contains("5 items were looked through"), "{err}");
    assert!(run(&app, &["log", "acme", "--limit", "1"], 0).1.contains("there is more before"));
    for wrong in [["--action", "eat"], ["--since", "soon"], ["--limit", "0"], ["--person", " "]] {
        let code = if wrong[0] == "--person" { 1 } else { 2 };
        let (_, err) = run(&app, &["log", "acme", wrong[0], wrong[1]], code);
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    assert!(run(&app, &["log", "nowhere"], 1).1.contains("there is no tenant nowhere"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_is_shown_what_comes_and_ends_well() {
    let (app, _) = story().await;
    crate::feed::age(&app, &app.tenant(), Duration::from_hours(1)).await;
    let mut child = scimctl(&app, &["log", "acme", "--follow", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = || -> Value {
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"))
    };
    let first: Vec<Value> = (0..5).map(|_| line()).collect();
    assert_eq!(first[4]["action"], "delete");
    let tenant: TenantId = app.tenant();
    // Old enough to be certain when it is looked for, and not written before.
    let time = app.moment().now().plus_seconds(-14);
    let more = [("id", "7"), ("userName", "late"), ("event", "prov:patch:notice")];
    let late = crate::feed::made_up(&tenant, time, 1, &more);
    crate::feed::rewrite(&app, vec![late], Vec::new()).await;
    assert_eq!(line()["user_name"], "late");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let status = child.wait().expect("it ends");
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).expect("UTF-8");
    assert_eq!((status.code(), err.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_of_a_directorys_does_anything_to_a_terminal() {
    let app = App::start().await;
    let mut made = 0;
    for (number, nasty) in NASTY.into_iter().enumerate() {
        for body in [
            json!({"userName": nasty, "externalId": nasty, "displayName": nasty}),
            json!({"userName": format!("n{number}@ex.test"), "externalId": nasty, "displayName": nasty}),
            json!({"userName": nasty, "emails": nasty, "displayName": nasty}),
        ] {
            made += usize::from(app.call("POST", "/Users", body).await.status == 201);
        }
        let staff = json!({"displayName": nasty});
        made += usize::from(app.call("POST", "/Groups", staff).await.status == 201);
    }
    assert!(made >= 8, "{made} names were taken");
    let (out, _) = run(&app, &["log", "acme"], 0);
    assert!(out.contains("<script>alert(1)</script>") && out.contains("\\u{1b}[31m"), "{out}");
    let rows = lines(&app, &["log", "acme"]);
    let names: Vec<&str> = rows.iter().filter_map(|row| row["display_name"].as_str()).collect();
    assert!(
        NASTY.iter().all(|nasty| names.contains(nasty)),
        "scripts get what was sent: {names:?}"
    );
    for nasty in NASTY.into_iter().chain(["n2@ex.test"]) {
        let (out, _) = run(&app, &["why", "acme", nasty], 0);
        assert!(out.contains("is here and active") || out.contains("refused"), "{nasty:?}: {out}");
        run(&app, &["why", "acme", nasty, "--format", "json"], 0);
        run(&app, &["log", "acme", "--person", nasty], 0);
    }
    run(&app, &["health", "acme"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_ends_with_one_unless_all_is_well() {
    let app = App::start().await;
    let (out, _) = run(&app, &["health", "globex"], 1);
    assert!(out.starts_with("globex: waiting for first contact\n"), "{out}");
    user(&app, "ida@ex.test").await;
    let (out, _) = run(&app, &["health", "acme"], 0);
    assert!(out.starts_with("acme: healthy\n\nLast contact "), "{out}");
    let told = lines(&app, &["health", "acme"]);
    assert_eq!((&told[0]["verdict"], &told[0]["users"]), (&json!("healthy"), &json!(1)));
    assert_eq!(told[0]["tokens"].as_array().unwrap().len(), 1);
    assert_eq!(told[0]["cycles"][0]["kind"], "on demand", "one person, and no probe");
    assert!(run(&app, &["health", "nowhere"], 1).1.contains("there is no tenant nowhere"));
}
