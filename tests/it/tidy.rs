//! What the repository says of itself, checked: who may use whom, what the core must not know, where attribute names may
//! stand, and (in `documents`) that every path, test, number and command that a document names is real.
//!
//! It reads files and runs nothing. A check that finds nothing to look at fails, so that moving a file cannot silence it.

mod documents;
mod snippets;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use source::{Source, files, read, rust_sources};

/// The most lines that a file has before its tests.
const LINES_MAX: usize = 500;

/// Fails with every problem at once.
#[track_caller]
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// The sources below some paths of `src/`; a path that leads nowhere is a mistake of the check's.
fn below(paths: &[&str]) -> Vec<Source> {
    let all = rust_sources("src");
    for path in paths {
        assert!(all.iter().any(|source| source.is_below(path)), "there is nothing at {path}");
    }
    all.into_iter().filter(|source| paths.iter().any(|path| source.is_below(path))).collect()
}

/// Every source but those below some paths.
fn all_but(paths: &[&str]) -> Vec<Source> {
    let excepted: BTreeSet<String> = below(paths).into_iter().map(|source| source.path).collect();
    let all = rust_sources("src");
    all.into_iter().filter(|source| !excepted.contains(&source.path)).collect()
}

/// Where code (comments, texts and tests apart) has one of these words.
fn found(sources: &[Source], words: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in sources {
        for (number, line) in source.code.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                problems.push(format!("{}:{}: {word}", source.path, number + 1));
            }
        }
    }
    problems
}

#[test]
fn modules_use_whom_the_architecture_allows() {
    let allowed = documents::module_table();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in rust_sources("src") {
        let Some(module) = source.module() else { continue };
        let others = used.entry(module.clone()).or_default();
        others.extend(source.used_modules().into_iter().filter(|other| *other != module));
    }
    let mut problems = Vec::new();
    for (module, uses) in &used {
        let Some(allowed) = allowed.get(module) else {
            problems.push(format!("docs/ARCHITECTURE.md: its table has no row for {module}"));
            continue;
        };
        for other in uses.difference(allowed) {
            problems
                .push(format!("{module} uses {other}, which docs/ARCHITECTURE.md does not allow"));
        }
        for other in allowed.difference(uses) {
            problems
                .push(format!("docs/ARCHITECTURE.md lets {module} use {other}, and it does not"));
        }
    }
    for module in allowed.keys().filter(|module| !used.contains_key(*module)) {
        problems.push(format!("docs/ARCHITECTURE.md: there is no module {module}"));
    }
    none(&problems);
}

#[test]
fn the_core_is_synchronous_and_knows_no_world() {
    let words = [
        "async ",
        ".await",
        "std::io",
        "std::fs",
        "std::net",
        "std::env",
        "std::time",
        "std::thread",
        "tokio",
        "futures",
        "hyper",
        "http::",
        "bytes::",
        "aws_",
        "lambda_",
        "tracing",
        "rand::",
    ];
    none(&found(&below(&["scim"]), &words));
}

#[test]
fn only_the_edge_reads_clock_environment_and_chance() {
    let words = [
        "SystemTime",
        "Instant::now",
        "now_utc",
        "now_local",
        "env::",
        "SysRng",
        "OsRng",
        "thread_rng",
        "rand::rng(",
        "rand::random",
        "getrandom",
        "new_v4",
        "now_v7",
    ];
    none(&found(&all_but(&["bin", "system.rs"]), &words));
}

#[test]
fn only_the_store_knows_dynamodb() {
    // These make the configuration by which the SDK finds it.
    let elsewhere = all_but(&["store", "local/engine.rs", "sdk.rs"]);
    none(&found(&elsewhere, &["aws_sdk_dynamodb"]));
}

#[test]
fn nothing_is_left_over() {
    let words = [
        concat!("db", "g!("),
        concat!("tod", "o!("),
        concat!("unimple", "mented!("),
        concat!("#[al", "low("),
        concat!("#[igno", "re"),
        concat!("should", "_panic"),
    ];
    let comments = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut problems = Vec::new();
    for path in files(&["src", "tests"], "rs").into_iter().chain(["build.rs".to_owned()]) {
        for (number, line) in read(&path).lines().enumerate() {
            for word in words.iter().chain(&comments).filter(|word| line.contains(**word)) {
                problems.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    none(&problems);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut problems = Vec::new();
    for source in rust_sources("src").into_iter().chain(rust_sources("tests")) {
        let lines = source.lines_before_tests();
        if lines > LINES_MAX && !source.is_test {
            problems.push(format!(
                "{}: {lines} lines before its tests, at most {LINES_MAX}",
                source.path
            ));
        }
        if !source.text.starts_with("//! ") {
            problems.push(format!("{}: it does not open with //!", source.path));
        }
    }
    none(&problems);
    // The length of functions is clippy's to check.
    assert!(read("clippy.toml").lines().any(|line| line == "too-many-lines-threshold = 70"));
    assert!(read("Cargo.toml").lines().any(|line| line == "too_many_lines = \"deny\""));
}

/// Attribute names of more than one word belong to the schemas and to `well_known.rs`: code reads characteristics.
/// (One word alone, such as `type`, says too little to be looked for.)
#[test]
fn attribute_names_stand_in_the_schemas_alone() {
    let mut names = BTreeSet::new();
    for path in files(&["schemas"], "json") {
        let schema: Value = serde_json::from_str(&read(&path)).expect("a schema is JSON");
        collect_names(&schema, &mut names);
    }
    // The parts of `meta` are the server's own: it makes them, and reads none of them.
    let meta = ["resourceType", "lastModified"];
    names.retain(|name| name.chars().any(char::is_uppercase) && !meta.contains(&name.as_str()));
    assert!(names.contains("userName") && names.contains("employeeNumber"), "{names:?}");
    let excepted = [
        "scim/well_known.rs",
        // The simulator is a client: what it knows of SCIM is its own.
        "simulate",
        // The benchmark sends what a client sends.
        "scale",
        // The names of attributes of DynamoDB items are spelled like SCIM's, and are not SCIM's.
        "store",
    ];
    let mut problems = Vec::new();
    for source in all_but(&excepted) {
        for text in source.texts.iter().filter(|text| names.contains(*text)) {
            problems.push(format!("{}: \"{text}\" is an attribute's name", source.path));
        }
    }
    none(&problems);
}

fn collect_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| collect_names(element, names)),
        Value::Object(members) => {
            if let (Some(Value::String(name)), true) =
                (members.get("name"), members.contains_key("type"))
            {
                names.insert(name.clone());
            }
            members.values().for_each(|member| collect_names(member, names));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An exchange as its head describes it.
struct Exchange {
    path: String,
    head: String,
}

impl Exchange {
    fn all() -> Vec<Self> {
        let all = files(&["tests/exchanges"], "http").into_iter().map(|path| {
            let text = read(&path);
            let head = text.split("\n###").next().unwrap_or_default().to_owned();
            Self { path, head }
        });
        let all: Vec<Self> = all.collect();
        assert!(all.len() > 100, "{} exchanges", all.len());
        all
    }

    /// What stands behind `# Name:`, up to the next sentence.
    fn list(&self, name: &str) -> Vec<String> {
        let label = format!("{name}: ");
        let text = self.head.replace("\n#   ", " ");
        let Some((_, rest)) = text.split_once(&label) else { return Vec::new() };
        let sentence = rest.split(['.', '\n']).next().unwrap_or_default();
        sentence.split(',').map(|item| item.trim().to_owned()).collect()
    }
}

#[test]
fn every_exchange_names_its_source_and_what_it_shows() {
    let mut problems = Vec::new();
    for exchange in Exchange::all() {
        if !exchange.head.contains("\n# Source: ") {
            problems.push(format!("{}: its head has no Source", exchange.path));
        }
        if exchange.list("Checklist").is_empty() {
            problems.push(format!("{}: its head has no Checklist", exchange.path));
        }
    }
    none(&problems);
}

#[test]
fn every_quirk_has_an_exchange_that_proves_it() {
    let quirks: BTreeSet<&str> =
        scim_endpoint::scim::patch::QUIRKS.iter().map(|quirk| quirk.name).collect();
    let mut proven = BTreeSet::new();
    let mut problems = Vec::new();
    for exchange in Exchange::all() {
        for name in exchange.list("Quirks") {
            if !quirks.contains(name.as_str()) {
                problems.push(format!("{}: {name} is no quirk of quirks.rs", exchange.path));
            }
            proven.insert(name);
        }
    }
    for quirk in quirks.iter().filter(|quirk| !proven.contains(**quirk)) {
        problems.push(format!("no exchange says \"# Quirks: {quirk}.\""));
    }
    none(&problems);
}

#[test]
fn nobodys_machine_and_nobodys_secret_is_in_here() {
    let paths = [
        "/home/",
        concat!("/ro", "ot/"),
        "/mnt/",
        concat!("/wo", "rk/"),
        concat!("sha", "red/"),
        "C:\\",
    ];
    let secrets = ["-----BEGIN ", "ghp_", "xoxb-", "aws_session_token"];
    let mut problems = Vec::new();
    let everything = files(&["."], "");
    assert!(everything.iter().any(|path| path == "template.yaml"), "{everything:?}");
    // In a second working tree of git's, `.git` is a file that names the first one.
    let excepted = ["tests/it/tidy.rs", ".git"];
    for path in everything.iter().filter(|path| !excepted.contains(&path.as_str())) {
        let Ok(text) = std::fs::read_to_string(source::root().join(path)) else { continue };
        for word in paths.iter().chain(&secrets).filter(|word| text.contains(**word)) {
            problems.push(format!("{path}: {word}"));
        }
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| is_secret(word)) {
            problems.push(format!("{path}: {}… looks like a secret", &word[..8]));
        }
    }
    none(&problems);
}

/// A secret of ours whose checksum is right, or the id of a key of AWS's (the one of its documentation excepted).
fn is_secret(word: &str) -> bool {
    let is_key = word.len() == 20
        && (word.starts_with("AKIA") || word.starts_with("ASIA"))
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && !word.ends_with("EXAMPLE");
    is_key
        || scim_endpoint::auth::TokenSecret::parse(word).is_some()
        || scim_endpoint::auth::LinkSecret::parse(word).is_some()
        || scim_endpoint::auth::SessionSecret::parse(word).is_some()
}
