//! What the brake holds back, as `scimctl changes --lag` and `scimctl journal erase` meet it.

use scim_endpoint::admin::brake;
use scim_endpoint::store::settings::Brake;
use serde_json::{Value, json};

use super::command::{lines, refused, scimctl, texts};
use crate::app::App;
use crate::races::{patch, replacing, user};

/// Two people who were switched off and told, and two whose end waits; the last has another name behind it.
async fn held() -> (App, Vec<String>) {
    let app = App::start().await;
    let brake = Brake { count: Some(1), percent: None, window_minutes: 1_440, budget: 1 };
    let by = (&app.tenant(), "test");
    brake::set(app.store(), &app.moment(), by, Some(brake)).await.expect("it is set");
    let mut people = Vec::new();
    for number in 0..4 {
        let id = user(&app, &format!("p{number}@ex.test")).await;
        patch(&app, &format!("/Users/{id}"), replacing("active", "False")).await.expect(200);
        people.push(id);
    }
    let last = format!("/Users/{}", people[3]);
    patch(&app, &last, replacing("userName", "new@ex.test")).await.expect(200);
    (app, people)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_says_what_is_held_and_what_to_do() {
    let (app, _) = held().await;
    let lag = ["changes", "--all", "--lag"];
    let told = lines(&app, &lag, 0).0.remove(0);
    let of = |name: &str| {
        let mut tenants = told["tenants"].as_array().unwrap().iter();
        tenants.find(|tenant| tenant["tenant"] == name).unwrap().clone()
    };
    assert_eq!(of("acme")["held"], json!(3));
    assert!(of("acme")["held_since"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&of("globex")["held"], &of("globex")["held_since"]), (&json!(0), &Value::Null));
    let (out, _) = texts(&scimctl(&app, &lag).output().unwrap());
    let line = out.lines().last().unwrap();
    assert!(
        line.starts_with("3 changes of acme are held back by the brake on mass changes since "),
        "{out}"
    );
    assert!(line.ends_with("scimctl brake show acme, then release or reject."), "{out}");
    assert!(!out.contains("of globex"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_of_whom_something_is_held_is_not_erased() {
    let (app, people) = held().await;
    let erase = |more: &[&str]| {
        let all = [&["journal", "erase", "--tenant", "acme"], more].concat();
        refused(&app, &all)
    };
    let last = people[3].as_str();
    // By id, by the name that the journal has, and by the one that only a held change has.
    for by in [["--id", last], ["--user-name", "P3@ex.test"], ["--user-name", "new@ex.test"]] {
        for how in ["--yes", "--dry-run"] {
            let told = erase(&[by.as_slice(), &[how]].concat());
            assert!(told.contains("2 changes of that person are held back"), "{told}");
            assert!(
                told.contains(&format!("scimctl brake release acme --person {last}")),
                "{told}"
            );
        }
    }
    let one = erase(&["--user-name", "p2@ex.test", "--yes"]);
    assert!(one.contains("1 change of that person is held back"), "{one}");
    // Nobody else is kept from it.
    let first = ["journal", "erase", "--tenant", "acme", "--id", &people[0], "--yes"];
    assert_eq!(lines(&app, &first, 0).0[0]["erased"], json!(2));
    lines(&app, &["brake", "reject", "acme", "--person", last], 0);
    let last = ["journal", "erase", "--tenant", "acme", "--user-name", "new@ex.test", "--yes"];
    let told = lines(&app, &last, 0).0.remove(0);
    assert_eq!((&told["id"], &told["erased"]), (&json!(people[3]), &json!(3)));
    let (items, _) = lines(&app, &["changes", "--tenant", "acme", "--refused"], 0);
    let text = Value::from(items).to_string();
    assert!(!text.contains("p3@ex") && !text.contains("new@ex"), "{text}");
}
