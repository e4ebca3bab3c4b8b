//! What the documents say, held to what is there: paths, names of tests, limits, commands, links.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{exists, files, read, rust_sources};
use super::{Exchange, none};

/// Constants of `limits.rs` that no user meets, and that docs/LIMITS.md leaves out.
const INNER_LIMITS: &[&str] = &[
    "BATCH_GET_MAX",
    "BRAKE_STEPS_PER_PAGE",
    "COUNTER_SHARDS",
    "CYCLES_SHOWN",
    "DEAD_TOKENS_SHOWN",
    "DECIMAL_EXPONENT_MAX",
    "FEED_PAGE",
    "FEED_POSITIONS_MAX",
    "FORM_FIELDS_MAX",
    "FUNCTION_TIME_LIMIT",
    "HEALTH_ITEMS_MAX",
    "IMPORT_ATTEMPTS_MAX",
    "IMPORT_IN_FLIGHT",
    "IMPORT_PAUSE",
    "IMPORT_ROWS_PER_STEP",
    "KEY_BYTES_MAX",
    "LIMITER_TENANTS_MAX",
    "LOG_ITEMS_PER_PAGE",
    "NESTING_IN_FLIGHT",
    "OP_SHOWN_MAX",
    "PATH_SHOWN_MAX",
    "PLACES_KEPT",
    "RESOLVE_ATTEMPTS_MAX",
    "RETRY_PAUSE_FIRST",
    "RETRY_PAUSE_MAX",
    "SAML_ATTRIBUTES_MAX",
    "SAML_NAMESPACES_MAX",
    "SAML_NODES_MAX",
    "SAML_TEXT_BYTES_MAX",
    "SCHEMA_SETS_KEPT",
    "SWEEP_PAUSE",
    "SWEEP_STEPS_INLINE",
    "TOKEN_CACHE_MAX",
    "TRAFFIC_BURST_FIRST",
    "TRAFFIC_PAUSE_FIRST",
    "TRAFFIC_PAUSE_MAX",
    "TRAFFIC_SLOT",
    "TRAFFIC_WAITING_MAX",
    "TRANSACTION_ACTIONS_MAX",
    "WAITING_PAUSE_SECONDS",
    "WATCH_CLAIM",
    "WATCH_NOTICES_PER_MESSAGE",
    "WATCH_RUN_MAX",
    "WHY_PEOPLE_MAX",
    "WHY_ROWS_MAX",
    "WORK_ABANDONED",
];

/// The documents for people.
fn documents() -> Vec<String> {
    let mut paths = files(&["docs"], "md");
    paths.extend(
        [
            "README.md",
            "CHANGELOG.md",
            "tests/exchanges/README.md",
            "tests/events/README.md",
            "tests/fixtures/README.md",
        ]
        .map(String::from),
    );
    paths
}

/// The rows of the table under a heading, as cells.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let (_, rest) =
        text.split_once(heading).unwrap_or_else(|| panic!("{document}: no \"{heading}\""));
    let lines = rest.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2).map(|line| {
        let cells = line.trim().trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    assert!(rows.len() > 3, "{document}: the table under \"{heading}\" has {} rows", rows.len());
    rows
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Who may use whom, as `docs/ARCHITECTURE.md` has it.
pub(super) fn module_table() -> BTreeMap<String, BTreeSet<String>> {
    let rows = table("docs/ARCHITECTURE.md", "## Who may use whom");
    let mut allowed = BTreeMap::new();
    for row in rows {
        let uses = quoted(&row[1]).into_iter().map(ToOwned::to_owned).collect::<BTreeSet<_>>();
        for module in quoted(&row[0]) {
            allowed.insert(module.to_owned(), uses.clone());
        }
    }
    allowed
}

#[test]
fn every_path_in_a_document_leads_somewhere() {
    let folders =
        ["src/", "tests/", "docs/", "infra/", "schemas/", ".ci/", ".cargo/", "entra/", "rfc/"];
    let endings = [".rs", ".md", ".http", ".json", ".yaml", ".toml", ".sh"];
    let mut problems = Vec::new();
    let mut seen = 0;
    for document in documents() {
        for text in quoted(&read(&document)) {
            let is_path = !text.contains([' ', '{', '<', '*', '…', '(', '$'])
                && (folders.iter().any(|folder| text.starts_with(folder))
                    || endings.iter().any(|ending| text.ends_with(ending)));
            if !is_path {
                continue;
            }
            seen += 1;
            let places = ["", "src/", "tests/", "tests/exchanges/", "tests/it/", "docs/"];
            if !places.iter().any(|place| exists(&format!("{place}{text}"))) {
                problems.push(format!("{document}: there is no {text}"));
            }
        }
    }
    assert!(seen > 100, "only {seen} paths were found");
    none(&problems);
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut problems = Vec::new();
    let mut seen = 0;
    for document in documents() {
        let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in read(&document).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains("{{") {
                continue;
            }
            seen += 1;
            let target = link.split('#').next().unwrap_or_default();
            if !exists(format!("{folder}/{target}").trim_start_matches('/')) {
                problems.push(format!("{document}: the link {link} leads nowhere"));
            }
        }
    }
    assert!(seen > 10, "only {seen} links were found");
    none(&problems);
}

#[test]
fn the_conformance_tables_name_tests_that_are_there() {
    let tests = names_of_tests();
    let mut problems = Vec::new();
    let mut seen = 0;
    for text in quoted(&read("docs/CONFORMANCE.md")) {
        let is_test = text.split('_').count() > 2
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if is_test {
            seen += 1;
            if !tests.contains(text) {
                problems.push(format!("docs/CONFORMANCE.md: there is no test {text}"));
            }
        }
    }
    assert!(seen > 40, "only {seen} names of tests were found");
    none(&problems);
}

#[test]
fn every_clause_of_an_rfc_is_held_or_says_why_it_is_not() {
    let reasons = ["no: ", "nothing here: ", "outside: ", "see RFC "];
    let tests = names_of_tests();
    let mut problems = Vec::new();
    let mut seen = 0;
    for section in read("docs/CONFORMANCE.md").split("\n## ").filter(|it| it.starts_with("RFC ")) {
        for row in section.lines().filter(|line| line.starts_with("| §")) {
            seen += 1;
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let [_, what, held] = cells.as_slice() else {
                problems.push(format!("docs/CONFORMANCE.md: not three cells: {row}"));
                continue;
            };
            let is_proof =
                |text: &&str| text.strip_suffix(".http").is_some() || tests.contains(*text);
            let held = quoted(held).iter().any(is_proof)
                || reasons.iter().any(|reason| held.starts_with(reason));
            if !held {
                problems.push(format!("docs/CONFORMANCE.md: nothing holds: {what}"));
            }
        }
    }
    assert!(seen > 150, "only {seen} clauses were found");
    none(&problems);
}

/// The functions under `#[test]`, `#[tokio::test]` and in `proptest!`.
fn names_of_tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in rust_sources("src").into_iter().chain(rust_sources("tests")) {
        let marks = ["#[test]", "#[tokio::test"];
        for mark in marks {
            for rest in source.text.split(mark).skip(1) {
                let name = rest.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
                names.extend(name.map(ToOwned::to_owned));
            }
        }
    }
    names
}

#[test]
fn the_conformance_tables_are_complete_and_agree_with_the_exchanges() {
    let mut problems = agreement("## Behaviours", ("B", 120), "Checklist");
    problems.extend(agreement("## Entra's PATCH requests", ("P", 29), "Catalogue"));
    none(&problems);
}

/// Differences between a table of `docs/CONFORMANCE.md`, whose rows are numbered to `last`, and what the exchanges' heads
/// say behind `label`.
fn agreement(heading: &str, (letter, last): (&str, u32), label: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in table("docs/CONFORMANCE.md", heading) {
        let files = quoted(&row[2]).into_iter().filter(|text| text.contains(".http"));
        rows.insert(row[0].clone(), files.map(ToOwned::to_owned).collect());
    }
    let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for exchange in Exchange::all() {
        for number in exchange.list(label) {
            let path = exchange.path.trim_start_matches("tests/exchanges/").to_owned();
            let number = format!("{letter}{}", number.trim_start_matches(letter));
            shown.entry(number).or_default().push(path);
        }
    }
    for number in (1..=last).map(|number| format!("{letter}{number}")) {
        if !rows.contains_key(&number) {
            problems.push(format!("docs/CONFORMANCE.md: there is no row {number}"));
        }
    }
    for (number, files) in &rows {
        let shown = shown.get(number).map(Vec::as_slice).unwrap_or_default();
        for file in files.iter().filter(|file| !shown.contains(file)) {
            problems
                .push(format!("{file}: its {label} lacks {number}, as docs/CONFORMANCE.md has it"));
        }
        if files.is_empty() && !shown.is_empty() {
            problems.push(format!("docs/CONFORMANCE.md: {number} names none of {shown:?}"));
        }
    }
    for number in shown.keys().filter(|number| !rows.contains_key(*number)) {
        problems.push(format!(
            "docs/CONFORMANCE.md: there is no row {number}, which an exchange shows"
        ));
    }
    problems
}

/// The constants of `limits.rs` with their values; durations in the unit that they are written in.
fn limits() -> BTreeMap<String, u64> {
    let text = read("src/limits.rs");
    let constants = text.split("pub const ").skip(1).map(|rest| {
        let (name, rest) = rest.split_once(": ").expect("a constant has a type");
        let value = rest
            .split_once(" = ")
            .and_then(|(_, rest)| rest.split_once(';'))
            .expect("and a value")
            .0;
        let value = value.rsplit_once('(').map_or(value, |(_, inner)| inner.trim_end_matches(')'));
        let factors = value.split('*').map(|factor| factor.trim().replace('_', ""));
        let factors = factors
            .map(|factor| factor.parse::<u64>().unwrap_or_else(|_| panic!("{name} = {value}")));
        (name.to_owned(), factors.product())
    });
    constants.collect()
}

#[test]
fn every_limit_is_written_down_and_the_right_one() {
    let limits = limits();
    let mut problems = Vec::new();
    let mut named = BTreeSet::new();
    for row in table("docs/LIMITS.md", "# Limits") {
        for name in quoted(&row[2]) {
            let digits = row[1].replace(',', "");
            let number: String = digits.chars().take_while(char::is_ascii_digit).collect();
            match limits.get(name) {
                None => problems.push(format!("docs/LIMITS.md: limits.rs has no {name}")),
                Some(value) if number != value.to_string() => {
                    problems.push(format!("docs/LIMITS.md: {name} is {value}, not {number}"));
                }
                Some(_) => {}
            }
            named.insert(name.to_owned());
        }
    }
    for name in limits.keys() {
        match (named.contains(name), INNER_LIMITS.contains(&name.as_str())) {
            (false, false) => {
                problems.push(format!("docs/LIMITS.md: {name} is missing"));
            }

            (true, true) => {
                problems.push(format!("{name} is in docs/LIMITS.md and in INNER_LIMITS"));
            }
            (true, false) | (false, true) => {}
        }
    }
    for name in INNER_LIMITS.iter().filter(|name| !limits.contains_key(**name)) {
        problems.push(format!("INNER_LIMITS: limits.rs has no {name}"));
    }
    none(&problems);
}

#[test]
fn the_readme_shows_the_two_commands() {
    let readme = read("README.md");
    let mut code = readme.split("```").skip(1).step_by(2);
    let has = |line: &str| {
        readme.split("```").skip(1).step_by(2).any(|block| block.lines().any(|l| l.trim() == line))
    };
    assert!(code.next().is_some_and(|first| first.lines().any(|line| line.trim() == "cargo run")));
    assert!(has("cargo run") && has("cargo test") && has("sam build && sam deploy --guided"));
    // People's data lie where the README has them put, and must not be committed with a careless `git add`.
    assert!(readme.contains("--data people.sqlite`"));
    let ignored = read(".gitignore");
    assert!(
        ["*.sqlite", "*.sqlite-*"].iter().all(|name| ignored.lines().any(|line| line == *name))
    );
    assert!(readme.lines().count() <= 200, "the README has more than 200 lines");
    assert!(
        read("docs/ARCHITECTURE.md").lines().count() <= 250,
        "the architecture has more than 250 lines"
    );
}

#[test]
fn the_entra_tutorial_can_be_rendered() {
    let text = read("docs/idp/entra.md");
    let known = text.replace("{{product}}", "").replace("{{tenant_url}}", "");
    assert!(known.len() < text.len() && !known.contains("{{") && !known.contains("}}"));
    for step in 1..=6 {
        assert!(text.contains(&format!("\n## Step {step}: ")), "there is no step {step}");
    }
}

#[test]
fn every_target_of_the_makefile_says_what_it_does() {
    let makefile = read("Makefile");
    let targets = makefile
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(':'));
    let targets: Vec<&str> = targets.collect();
    assert!(targets.len() > 5, "{targets:?}");
    let silent: Vec<String> = targets
        .iter()
        .filter(|line| !line.contains(" ## "))
        .map(|line| format!("Makefile: {line}"))
        .collect();
    none(&silent);
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = read("Cargo.toml");
    let (_, rest) = manifest.split_once("\n[dependencies]\n").expect("there are dependencies");
    let lines = rest.lines().take_while(|line| !line.starts_with('['));
    let asked: BTreeSet<String> =
        lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned()).collect();
    let rows = table("docs/adr/0013-dependencies.md", "**Answer.**");
    let explained: BTreeSet<String> =
        rows.iter().flat_map(|row| quoted(&row[0])).map(ToOwned::to_owned).collect();
    assert_eq!(
        asked, explained,
        "Cargo.toml on the left, docs/adr/0013-dependencies.md on the right"
    );
}
