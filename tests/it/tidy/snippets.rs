//! The code in `docs/INTEGRATE.md` is what CI runs: each block stands word for word in the file that is named above it.

use super::none;
use super::source::read;

const DOCUMENT: &str = "docs/INTEGRATE.md";

#[test]
fn the_code_for_apps_is_code_that_runs() {
    let text = read(DOCUMENT);
    let mut parts = text.split("\n```");
    let mut before = parts.next().expect("there is text").to_owned();
    let mut problems = Vec::new();
    let mut seen = 0;
    while let (Some(block), Some(after)) = (parts.next(), parts.next()) {
        let (language, code) = block.split_once('\n').expect("a block has lines");
        let named = before.rsplit("`infra/").next().and_then(|rest| rest.split('`').next());
        let path = format!("infra/{}", named.unwrap_or_default());
        if path.lines().count() != 1 || !before.trim_end().ends_with(':') {
            problems.push(format!("a block in {language} has no file above it"));
        } else if !read(&path).contains(code) {
            problems.push(format!("{path} does not have:\n{code}"));
        }
        seen += 1;
        after.clone_into(&mut before);
    }
    assert!(seen >= 5, "only {seen} blocks were found");
    none(&problems);
}

#[test]
fn the_documents_event_table_is_complete() {
    use scim_endpoint::store::journal::Event;
    let text = read(DOCUMENT);
    let (_, table) = text.split_once("## What to do on each event").expect("the table");
    let (table, _) = table.split_once("\n## ").expect("and its end");
    let all = [
        Event::Create,
        Event::Put,
        Event::Patch,
        Event::Delete,
        Event::Activate,
        Event::Deactivate,
        Event::UserDeactivated,
        Event::UserReactivated,
        Event::MemberAdded,
        Event::MemberRemoved,
        Event::Snapshot,
        Event::Released,
        Event::Swept,
        Event::Refused,
    ];
    let missing = all.iter().filter(|event| !table.contains(&format!("`{}`", event.name())));
    none(&missing.map(|event| format!("{DOCUMENT}: no {}", event.name())).collect::<Vec<_>>());
}
