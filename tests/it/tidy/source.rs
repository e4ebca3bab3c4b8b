//! The repository's files, and Rust sources taken apart: code, comments, texts, tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders that hold what was made, not what was written.
const MADE: &[&str] =
    &["target", ".git", ".aws-sam", "proptest-regressions", "node_modules", "dist", "__pycache__"];

/// The repository.
pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file's text.
#[track_caller]
pub(super) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether there is a file or folder at that path.
pub(super) fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// The files below some folders whose name ends in that extension (all for an empty one), as paths from the root.
#[track_caller]
pub(super) fn files(folders: &[&str], extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        walk(&root().join(folder), extension, &mut found);
    }
    found.sort();
    assert!(!found.is_empty(), "no {extension} below {folders:?}");
    found
}

fn walk(folder: &Path, extension: &str, found: &mut Vec<String>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let entry = entry.expect("a folder can be listed");
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            if !MADE.contains(&name.as_str()) {
                walk(&path, extension, found);
            }
        } else if extension.is_empty() || path.extension().is_some_and(|e| e == extension) {
            let path = path.strip_prefix(root()).expect("it is below the root");
            let path = path.to_string_lossy().replace('\\', "/");
            found.push(path.trim_start_matches("./").to_owned());
        }
    }
}

/// A Rust file.
pub(super) struct Source {
    /// Its path from the root.
    pub(super) path: String,
    /// All of it.
    pub(super) text: String,
    /// Its lines without comments, without what stands in quotes, and without tests; the lines keep their numbers.
    pub(super) code: String,
    /// What stands in quotes, tests apart.
    pub(super) texts: Vec<String>,
    /// Whether all of it is a test's.
    pub(super) is_test: bool,
}

/// The Rust files below a folder. One that a parent declares under `#[cfg(test)]` counts as test.
pub(super) fn rust_sources(folder: &str) -> Vec<Source> {
    let paths = files(&[folder], "rs");
    let mut declared = BTreeSet::new();
    for path in &paths {
        declared.extend(test_files(path, &read(path)));
    }
    let sources = paths.into_iter().map(|path| {
        let text = read(&path);
        let is_test = declared.contains(&path) || path.starts_with("tests/");
        let (code, texts) =
            if is_test { (String::new(), Vec::new()) } else { take_apart(without_tests(&text)) };
        Source { path, text, code, texts, is_test }
    });
    sources.collect()
}

impl Source {
    /// Whether it is that file of `src/`, or in that folder of it, or the file beside the folder.
    pub(super) fn is_below(&self, path: &str) -> bool {
        let own = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let folder = path.strip_suffix(".rs").unwrap_or(path);
        own == path
            || own.strip_suffix(".rs") == Some(folder)
            || own.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The module of the crate that it belongs to; none for the crate's root and for tests.
    pub(super) fn module(&self) -> Option<String> {
        let own = self.path.strip_prefix("src/")?;
        let module = own.split('/').next()?.trim_end_matches(".rs");
        (module != "lib" && !self.is_test).then(|| module.to_owned())
    }

    /// The modules of the crate that its code names.
    pub(super) fn used_modules(&self) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        for name in ["crate::", "scim_endpoint::"] {
            for (at, _) in self.code.match_indices(name) {
                let rest = &self.code[at + name.len()..];
                if let Some(group) = rest.strip_prefix('{') {
                    let group = group.split("};").next().unwrap_or_default();
                    used.extend(outer_names(group));
                } else {
                    used.extend(first_name(rest));
                }
            }
        }
        used
    }

    /// Lines before the tests at its end.
    pub(super) fn lines_before_tests(&self) -> usize {
        without_tests(&self.text).trim_end().lines().count()
    }
}

/// The first segment of each path in `{a::b, c::{d, e}}`.
fn outer_names(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut outer = String::new();
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if depth == 0 => outer.push(c),
            _ => {}
        }
    }
    outer.split(',').filter_map(|path| first_name(path.trim())).collect()
}

/// A module's name at the beginning; types and macros are no modules.
fn first_name(path: &str) -> Option<String> {
    let name: String =
        path.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let is_module =
        name.starts_with(|c: char| c.is_ascii_lowercase()) && !path[name.len()..].starts_with('!');
    is_module.then_some(name)
}

/// Everything before `#[cfg(test)] mod … {`. (A declaration of a file, which ends in `;`, is no end.)
fn without_tests(text: &str) -> &str {
    for (at, mark) in text.match_indices("#[cfg(test)]\n") {
        let line = text[at + mark.len()..].lines().next().unwrap_or_default();
        if line.contains("mod ") && line.ends_with('{') {
            return &text[..at];
        }
    }
    text
}

/// The files that `#[cfg(test)] mod …;` declares.
fn test_files(path: &str, text: &str) -> Vec<String> {
    let folder =
        path.strip_suffix("mod.rs").map_or_else(|| path.replace(".rs", "/"), ToOwned::to_owned);
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
        let line = rest.lines().next()?.strip_suffix(';')?;
        Some(format!("{folder}{}.rs", line.split("mod ").nth(1)?))
    });
    declared.collect()
}

/// Code without comments and quoted texts, and these texts.
fn take_apart(text: &str) -> (String, Vec<String>) {
    let (mut code, mut texts) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if let Some((quoted, after)) = quoted(rest) {
            code.push_str("\"\"");
            code.extend(quoted.chars().filter(|c| *c == '\n'));
            texts.push(quoted.to_owned());
            rest = after;
        } else {
            let length = character(rest).unwrap_or(c.len_utf8());
            code.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    (code, texts)
}

/// A text in quotes, raw or not, at the beginning, and what comes after it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let raw = text
        .strip_prefix('r')
        .map(|rest| rest.trim_start_matches('#'))
        .filter(|r| r.starts_with('"'));
    if let Some(inner) = raw {
        let end = format!("\"{}", "#".repeat(text.len() - inner.len() - 1));
        return inner[1..].split_once(end.as_str());
    }
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            '"' if !escaped => return Some((&inner[..at], &inner[at + 1..])),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}

/// The length of a character literal at the beginning (a lifetime is none).
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let length = match inner.strip_prefix('\\') {
        Some(escape) => 1 + escape.chars().next()?.len_utf8(),
        None => inner.chars().next()?.len_utf8(),
    };
    let rest = &inner[length..];
    let end = if inner.starts_with("\\u") { rest.find('\'')? } else { 0 };
    rest[end..].starts_with('\'').then_some(1 + length + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_taken_apart() {
        let text = "let a = \"user\\\"Name\"; // \"no\"\nlet b = ('\"', r#\"x\"y\"#, 'a', &'static str);\n";
        let (code, texts) = take_apart(text);
        assert_eq!(code, "let a = \"\"; \nlet b = ('\"', \"\", 'a', &'static str);\n");
        assert_eq!(texts, ["user\\\"Name", "x\"y"]);
    }

    #[test]
    fn modules_are_found_in_groups_too() {
        let mut source = rust_sources("src").remove(0);
        source.code =
            "use crate::{limits::A, store::{x, y}};\ncrate::telemetry::b(); use crate::T;"
                .to_owned();
        let used: Vec<String> = source.used_modules().into_iter().collect();
        assert_eq!(used, ["limits", "store", "telemetry"]);
    }
}
