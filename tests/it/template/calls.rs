//! What `src/store/` asks of DynamoDB, read from its text: which action on which table.
//!
//! Every mention of a table's name is followed outwards to the call that it is an argument of. A call that is not known
//! here is a panic: then teach [`action`] what it does, and give the role in `template.yaml` what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// For operators, apps and the portal, with credentials of their own: creating tables is the local server's, checking is
/// `scimctl check`, comparing clocks is `scimctl`, reading the feed is `scimctl changes` or the app, tenants, tokens
/// and links are made and changed by `scimctl` and the portal, and benchmarks seed tenants of their own.
const NOT_THE_FUNCTIONS: [&str; 10] = [
    "tables.rs",
    "check.rs",
    "check",
    "clock.rs",
    "feed.rs",
    "manage.rs",
    "manage",
    "portal.rs",
    "portal",
    "seed.rs",
];

/// The actions on each table, and on Directory's index, of what the function that answers SCIM calls.
pub(super) fn actions() -> BTreeMap<String, BTreeSet<String>> {
    actions_in(sources("src/store"))
}

/// The actions of these files.
pub(super) fn actions_in(files: Vec<PathBuf>) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (table, at) in mentions(text) {
            let uses = if is_binding(text, at) { uses_of_binding(text, at) } else { vec![at] };
            for at in uses {
                let (action, is_index) = enclosing(&text[..at])
                    .and_then(|open| action(&text[..open], &text[at..]))
                    .unwrap_or_else(|| {
                        panic!("{}: {table} in: …{}", file.display(), line(text, at))
                    });
                let on = if is_index { format!("{table}Index") } else { table.to_owned() };
                found.entry(on).or_default().insert(format!("dynamodb:{action}"));
            }
        }
    }
    found
}

/// Whether the mention is `let table = …`, or the like in a tuple: then what is done with `table` counts.
fn is_binding(text: &str, at: usize) -> bool {
    let line = line(text, at).trim_start();
    line.starts_with("let table =") || line.starts_with("let (tenant, table) =")
}

/// Where `table` is used from there to the end of the function.
fn uses_of_binding(text: &str, at: usize) -> Vec<usize> {
    let rest = &text[at..];
    let ends = ["\n    }\n", "\n}\n"].into_iter().filter_map(|end| rest.find(end));
    let rest = &rest[..ends.min().unwrap_or(rest.len())];
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    rest.match_indices("table")
        .filter(|(at, word)| {
            !rest[..*at].ends_with(is_word) && !rest[at + word.len()..].starts_with(is_word)
        })
        .map(|(offset, _)| at + offset)
        .collect()
}

/// The SDK's operations that the text begins, whatever they are: a new one has to be thought about.
pub(super) fn operations() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store")) {
        let text = fs::read_to_string(&file).expect("a source file");
        let squeezed: String = text.split_whitespace().collect();
        for rest in squeezed.split("client.").skip(1) {
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            found.insert(name);
        }
    }
    found
}

/// The source files at a path of the repository.
pub(super) fn sources(path: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if path.is_file() { vec![path] } else { files(&path) }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if NOT_THE_FUNCTIONS.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Where the text names a table, in the order of the text.
fn mentions(text: &str) -> Vec<(&'static str, usize)> {
    let tables = [("directory", "Directory"), ("secrets", "Secrets"), ("journal", "Journal")];
    let mut found = Vec::new();
    for (field, table) in tables {
        for prefix in ["tables.", "tables()."] {
            let mention = format!("{prefix}{field}");
            found.extend(text.match_indices(&mention).map(|(at, _)| (table, at)));
        }
    }
    found
}

/// The parenthesis that is still open at the end of `before`.
fn enclosing(before: &str) -> Option<usize> {
    let mut closed = 0_usize;
    for (at, letter) in before.char_indices().rev() {
        match letter {
            ')' => closed += 1,
            '(' if closed == 0 => return Some(at),
            '(' => closed -= 1,
            '{' | ';' => return None,
            _ => {}
        }
    }
    None
}

/// What a call does: by its name, or, for the builders of the SDK, by the operation that began the chain.
fn action(before: &str, after: &str) -> Option<(&'static str, bool)> {
    let name = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
    let action = match name {
        "put" | "put_alone" => "PutItem",
        "update" => "UpdateItem",
        "delete" | "delete_items" => "DeleteItem",
        "condition_check" => "ConditionCheckItem",
        "get_from" => "GetItem",
        "batch_get" => "BatchGetItem",
        "table_name" => {
            let begun = ["get_item", "query", "put_item", "update_item", "delete_item"]
                .into_iter()
                .filter_map(|name| Some((before.rfind(&format!(".{name}()"))?, name)))
                .max()?;
            match begun.1 {
                "get_item" => "GetItem",
                "query" => "Query",
                "put_item" => "PutItem",
                "update_item" => "UpdateItem",
                _ => "DeleteItem",
            }
        }
        _ => return None,
    };
    let chain = after.split(';').next().unwrap_or_default();
    Some((action, chain.contains(".index_name(")))
}

/// The line around a place.
fn line(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    text[start..].lines().next().unwrap_or_default()
}
