//! `scimctl simulate` as its users meet it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use scim_endpoint::simulate::{Embedded, Plan, Rehearsal, Silent, Size, directory};
use scim_endpoint::system::Moments;
use serde_json::Value;

fn simulate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scimctl"));
    command.arg("simulate").args(arguments).stdin(Stdio::null());
    command.env_remove("SCIM_TOKEN").output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A file that nothing else uses, removed with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("simulate-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("it is written");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[test]
fn your_own_people_are_rehearsed_and_recorded() {
    let users = Scratch::new(
        "users.csv",
        "id,userPrincipalName,displayName,mail,department,accountEnabled,manager\n\
         o-1,ida@ex.test,\"Ek, Ida\",ida@ex.test,R&D,true,\n\
         o-2,ben+1@ex.test,Ben Ray,,Sales,true,ida@ex.test\n\
         o-3,cy@ex.test,Cy,,Sales,false,\n",
    );
    let groups = Scratch::new(
        "groups.json",
        r#"[{"displayName": "Crew", "members": ["o-1", "ben+1@ex.test"]}]"#,
    );
    let record = Scratch::new("record.http", "");
    let ran = simulate(&[
        "--users-file",
        users.path(),
        "--groups-file",
        groups.path(),
        "--rate",
        "all=0",
        "--rate",
        "display-names=100",
        "--cycles",
        "2",
        "--concurrency",
        "1",
        "--record",
        record.path(),
        "--format",
        "json",
    ]);
    let said: Value = serde_json::from_slice(&ran.stdout).expect("one line of JSON");
    assert!(ran.status.success(), "{said:#}{}", text(&ran.stderr));
    assert_eq!(said["good"], true);
    assert_eq!(said["tables"]["whole"], true);
    assert_eq!(said["cycles"][0]["requests"]["create user"], 2, "Cy is blocked and never created");
    assert_eq!(said["cycles"][1]["changes"]["display-names"], 2);
    assert_eq!(said["cycles"][2]["writes"], 0);
    let recorded = std::fs::read_to_string(&record.0).unwrap();
    assert!(
        recorded.contains("GET /Users?filter=userName+eq+%22ben%2B1%40ex.test%22"),
        "{recorded}"
    );
    assert!(recorded.contains("PATCH /Users/{r") && !recorded.contains("scim_"), "{recorded}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let problems = runtime.block_on(crate::exchanges::replay(&record.0));
    assert_eq!(problems, [""; 0], "a record can be played again");
}

#[test]
fn another_provider_is_played_and_named() {
    let ran = simulate(&["--idp", "jumpcloud", "--users", "4", "--cycles", "1", "--seed", "3"]);
    let said = text(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", text(&ran.stderr));
    for part in ["JumpCloud", "Seed  ", "The endpoint ended as the source is."] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let refused = simulate(&["--idp", "okta", "--dialect", "legacy", "--on-demand"]);
    assert!(!refused.status.success());
    let said = text(&refused.stderr);
    let why = "only Entra has --dialect and --on-demand: leave that out with --idp okta";
    assert!(said.contains(why), "{said}");
}

#[test]
fn a_rehearsal_says_what_it_did() {
    let ran =
        simulate(&["--users", "6", "--groups", "2", "--cycles", "2", "--chaos", "--seed", "4"]);
    let said = text(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", text(&ran.stderr));
    assert_eq!(text(&ran.stderr), "", "no progress in a pipe");
    for part in [
        "healthy: nothing is open",
        "Seed, dialect  4, legacy",
        "The endpoint ended as the source is.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains('\u{1b}'), "no colours in a pipe");
}

#[test]
fn what_cannot_be_rehearsed_is_said_in_one_sentence() {
    let people = Scratch::new("missing.csv", "name,mail\nIda,ida@ex.test\n");
    let html = html_server();
    let nameless = Scratch::new("nameless.csv", "id,members\ng-1,ida@ex.test\n");
    let some = Scratch::new("some.csv", "userPrincipalName\nida@ex.test\n");
    let refused: [(&[&str], &str); 8] = [
        (&["--url", "http://127.0.0.1:1", "--token", "x"], "cannot be reached"),
        (&["--url", "ftp://ex.test", "--token", "x"], "begins neither with https://"),
        (&["--url", "https://ex.test"], "give --token, or set SCIM_TOKEN"),
        (&["--url", "http://ex.test", "--token", "a b"], "paste it as it was issued"),
        (
            &["--url", &html, "--token", "x"],
            "does not speak SCIM: the answer 200 (text/html) is not SCIM; give the SCIM base URL",
        ),
        (&["--users-file", people.path()], "no column userPrincipalName"),
        (&["--users-file", some.path(), "--groups-file", nameless.path()], "no column displayName"),
        (&["--users-file", "/nowhere.csv"], "cannot be read"),
    ];
    for (arguments, why) in refused {
        let ran = simulate(arguments);
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(why) && said.lines().count() == 1, "{arguments:?}: {said}");
        assert_eq!(text(&ran.stdout), "");
    }
    assert_eq!(simulate(&["--rate", "hires"]).status.code(), Some(2));
}

/// A server that shows its sign-in page whatever is asked.
fn html_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            drop(stream.read(&mut [0; 4_096]));
            let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>";
            drop(stream.write_all(page.as_bytes()));
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_is_not_empty_is_left_alone() {
    let moments = Moments::new().unwrap();
    let embedded = Embedded::start(moments.clone(), None).await.unwrap();
    let size = Size { users: 3, groups: 1, everyone_has_mail: true };
    let endpoint = || embedded.endpoint().unwrap();
    // Others are there first.
    let plan = Plan { cycles: 1, ..Plan::default() };
    let mut first = Rehearsal::new(endpoint(), plan, directory(size, 1), moments).unwrap();
    first.connect(&mut Silent).await.unwrap();
    first.play(&mut Silent).await;
    let (url, token) = (endpoint().base().to_owned(), embedded.token().to_owned());
    let run = move |more: &[&'static str]| {
        let mut all =
            vec!["--url", &url, "--users", "4", "--groups", "1", "--cycles", "1", "--seed", "99"];
        let token = more.iter().all(|argument| *argument != "--token").then_some(token.as_str());
        all.extend(token.into_iter().flat_map(|token| ["--token", token]));
        all.extend(more);
        let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
        tokio::task::spawn_blocking(move || {
            simulate(&all.iter().map(String::as_str).collect::<Vec<_>>())
        })
    };
    let refused = run(&[]).await.unwrap();
    assert!(!refused.status.success());
    assert!(
        text(&refused.stderr).contains("not empty (users: 3, groups: 1)"),
        "{}",
        text(&refused.stderr)
    );
    let wrong = run(&["--token", "scim_wrong"]).await.unwrap();
    let said = text(&wrong.stderr);
    assert!(said.contains("refuses the token (401); paste it as it was issued"), "{said}");
    assert_eq!((said.lines().count(), wrong.status.code()), (1, Some(1)), "{said}");
    let taken = run(&["--into-live", "--format", "json"]).await.unwrap();
    let said: Value = serde_json::from_slice(&taken.stdout).expect("JSON");
    assert!(taken.status.success(), "{said:#}");
    assert_eq!(said["cleaned_up"]["left"], 0);
    assert!(said["cleaned_up"]["deleted"].as_u64().unwrap() >= 4);
    // What was there before still is.
    let after = first.restart(scim_endpoint::simulate::Restart::KeepLinks, &mut Silent).await;
    assert_eq!((after.writes(), after.findings.len()), (0, 0), "{after:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_takes_away_what_was_created() {
    let moments = Moments::new().unwrap();
    let embedded = Embedded::start(moments.clone(), None).await.unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_scimctl"));
    command.args(["simulate", "--users", "5000", "--url", embedded.endpoint().unwrap().base()]);
    command.env("SCIM_TOKEN", embedded.token()).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // Long before everybody is there, and after somebody is.
    while embedded.check().await.unwrap().users < 5 {}
    let stopped = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(stopped.expect("kill runs").success());
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap();
    let ended = ended.expect("it ends");
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(said.contains("what had been created is deleted ("), "{said}");
    let left = embedded.check().await.unwrap();
    assert_eq!((left.users, left.groups, left.is_whole()), (0, 0, true));
}
