//! `scimctl import` and `scimctl export`: what they print, how they end, and that being stopped costs nothing.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{Scratch, Server, refused, scimctl};

fn two_tenants() -> Server {
    Server::start(&["--tenant", "acme", "--tenant", "globex"])
}

/// A command against a server: its exit code, and what it wrote to either stream.
fn run(server: &Server, arguments: &[&str]) -> (i32, String, String) {
    let all = [arguments, &["--endpoint-url", server.endpoint()]].concat();
    let output = scimctl(&all).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

fn users(server: &Server) -> u64 {
    let (status, list) = server.call(server.token(), "GET", "/Users?count=0", &Value::Null);
    assert_eq!(status, 200);
    list["totalResults"].as_u64().expect("a number")
}

#[test]
fn an_import_is_rehearsed_done_and_exported() {
    let (server, scratch) = (two_tenants(), Scratch::new("transfer"));
    let people = scratch.file("people.csv");
    std::fs::write(
        &people,
        "userName,appId,active,nickName\nann@ex.test,acc-1,yes,\nben@ex.test,acc-2,maybe,\ncat@ex.test,acc-3,no,Cat\n",
    )
    .unwrap();
    let import = ["import", people.as_str(), "--tenant", "acme"];

    let (code, out, err) = run(&server, &[&import[..], &["--dry-run"]].concat());
    assert_eq!((code, err.as_str()), (1, ""));
    assert_eq!(
        out,
        "created:\n  line 2: ann@ex.test\n  line 4: cat@ex.test\ninvalid:\n  line 3: ben@ex.test: active must be true or \
         false; the strings \"true\" and \"false\" are taken as well, and another one arrived\n\nacme, if this were done: 2 \
         created, 1 invalid. Nothing was written.\n1 problem: correct the file and run the same command again.\n"
    );
    assert_eq!(users(&server), 0);

    let (code, out, err) = run(&server, &import);
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(
        out.starts_with("invalid:\n  line 3: ben@ex.test: ")
            && out.contains("acme: 2 created, 1 invalid.")
    );

    std::fs::write(
        &people,
        "userName,appId,active,nickName\nann@ex.test,acc-1,yes,Annie\nben@ex.test,acc-2,yes,\ncat@ex.test,acc-3,no,Cat\n",
    )
    .unwrap();
    let (code, out, _) = run(&server, &import);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "differs:\n  line 2: ann@ex.test (nickName)\n\nacme: 1 created, 1 unchanged, 1 differs.\nWhat differs was left as \
         the directory has it; --update writes the file's values over it.\n"
    );
    let done = server.run(&[&import[..], &["--update"]].concat());
    let counts = &done["counts"];
    assert_eq!((&counts["updated"], &counts["unchanged"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&done["clean"], &done["dry_run"], &done["tenant"]),
        (&json!(true), &json!(false), &json!("acme"))
    );
    let first = &done["entries"][0];
    assert_eq!((&first["line"], &first["outcome"]), (&json!(2), &json!("updated")));
    assert_eq!((&first["differs"], &first["app_id"]), (&json!(["nickName"]), &json!("acc-1")));
    assert_eq!(done["entries"].as_array().unwrap().len(), 3);

    let file = scratch.file("acme.jsonl");
    let exported = server.run(&["export", &file, "--tenant", "acme"]);
    assert_eq!(
        exported,
        json!({"tenant": "acme", "file": file, "users": 3, "groups": 0, "memberships": 0, "others": 0})
    );
    assert!(!std::path::Path::new(&format!("{file}.part")).exists());
    let (code, out, err) = run(&server, &["export", "--tenant", "acme"]);
    assert_eq!((code, err.as_str()), (0, "acme: 3 people, 0 groups, 0 memberships written.\n"));
    let without_time = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(without_time(&out), without_time(&std::fs::read_to_string(&file).unwrap()));

    let restored = server.run(&["import", &file, "--tenant", "globex"]);
    assert_eq!(restored["counts"]["created"], 3);
    let (code, out, _) = run(&server, &["check", "globex"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn what_cannot_be_imported_is_told_in_one_line() {
    let (server, scratch) = (two_tenants(), Scratch::new("transfer-refused"));
    let file = scratch.file("people.csv");
    let import = ["import", file.as_str(), "--tenant", "acme"];
    let told = refused(&[&import[..], &["--endpoint-url", server.endpoint()]].concat());
    assert!(told.starts_with(&format!("{file} cannot be opened: ")), "{told}");
    let folder = scratch.file("");
    let told = server.refused(&["import", &folder, "--tenant", "acme"]);
    assert_eq!(told, format!("{folder} is a folder; name a file in it"));

    std::fs::write(&file, "ann@ex.test,acc-1\n").unwrap();
    let told = server.refused(&import);
    let expected = format!(
        "{file}: line 1: the file has no header; its first line names the columns, such as userName,"
    );
    assert!(told.starts_with(&expected) && told.ends_with("; nothing was imported"), "{told}");

    std::fs::write(&file, "userName\nann@ex.test\n").unwrap();
    let told = server.refused(&["import", &file, "--tenant", "nobody"]);
    assert!(told.starts_with("there is no tenant nobody; `scimctl tenant list`"), "{told}");
    let told = server.refused(&["export", "--tenant", "nobody"]);
    assert!(told.starts_with("there is no tenant nobody; `scimctl tenant list`"), "{told}");
    let nowhere = scratch.file("no/such/folder.jsonl");
    let told = server.refused(&["export", &nowhere, "--tenant", "acme"]);
    assert!(told.starts_with(&format!("{nowhere}.part cannot be created: ")), "{told}");

    // Several faults: a line each.
    std::fs::write(&file, "userName\na@ex.test\nb@ex.test\nA@ex.test\nB@ex.test\n").unwrap();
    let (code, out, err) = run(&server, &import);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        err,
        format!(
            "error: {file}: nothing was imported, because:\n  line 4: userName \"A@ex.test\" is in line 2, too; a file has \
             each person once\n  line 5: userName \"B@ex.test\" is in line 3, too; a file has each person once\n"
        )
    );
    assert_eq!(users(&server), 0);
}

/// Runs an import until somebody more has arrived, and sends it a signal.
fn stopped(server: &Server, import: &[&str], signal: &str) -> (Option<i32>, String) {
    let before = users(server);
    let all = [import, &["--endpoint-url", server.endpoint()]].concat();
    let mut child: Child =
        scimctl(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    while users(server) == before {
        assert!(child.try_wait().expect("it can be asked").is_none(), "it ended by itself");
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn an_import_that_is_stopped_goes_on_with_the_same_command() {
    let (server, scratch) = (two_tenants(), Scratch::new("transfer-stopped"));
    let file = scratch.file("people.csv");
    let mut text = "userName,appId\n".to_owned();
    for number in 0..400 {
        writeln!(text, "p{number}@ex.test,acc-{number}").unwrap();
    }
    std::fs::write(&file, text).unwrap();
    let import = ["import", file.as_str(), "--tenant", "acme"];

    let (code, err) = stopped(&server, &import, "-INT");
    assert_eq!(code, Some(130), "{err}");
    assert!(err.starts_with("error: stopped; at least the people up to line "), "{err}");
    assert!(
        err.ends_with(" are done and stay; the same command goes on, and finds them there\n"),
        "{err}"
    );
    let (code, _) = stopped(&server, &import, "-KILL");
    assert_eq!(code, None);

    let there = users(&server);
    assert!(there < 400, "it was stopped too late to show anything");
    let done = server.run(&import);
    assert_eq!(done["counts"]["created"], 400 - there);
    assert_eq!(done["counts"]["unchanged"], there);
    assert_eq!(users(&server), 400);
    let (code, out, _) = run(&server, &["check", "acme"]);
    assert_eq!(code, 0, "{out}");
}
