//! What the fuzz targets check, once for each request of the exchanges, for the corpora that fuzzing has left, and for whatever
//! it has found. `fuzz/README.md` says how to fuzz.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/checks/mod.rs"]
mod checks;

/// A target, and what belongs to it of a request.
type Target = (&'static str, fn(&[u8]), fn(&Asked) -> Vec<String>);

const TARGETS: [Target; 9] = [
    ("filter", checks::filter, |asked| asked.parameters("filter")),
    ("path", checks::path, Asked::paths),
    ("patch", checks::patch, |asked| asked.body_of(&["PATCH"])),
    ("resource", checks::resource, |asked| asked.body_of(&["POST", "PUT"])),
    ("query", checks::query, |asked| asked.query().map(str::to_owned).into_iter().collect()),
    ("cursor", checks::cursor, |asked| asked.parameters("cursor")),
    ("token", checks::token, |asked| asked.head.lines().map(str::to_owned).collect()),
    ("event", checks::event, |asked| vec![asked.event()]),
    ("handle", checks::handle, |asked| vec![asked.text()]),
];

/// A request of an exchange.
struct Asked {
    method: String,
    target: String,
    head: String,
    body: String,
}

impl Asked {
    /// The request behind a step's title. What an exchange calls by a name is somebody who is there.
    fn parse(step: &str) -> Option<Self> {
        let request = step.split_once('\n')?.1.split("\n<<<").next()?.trim();
        let begin = request.find("\n{").or_else(|| request.find("\n["));
        let (head, body) = request.split_at(begin.unwrap_or(request.len()));
        let (first, head) = head.split_once('\n').unwrap_or((head, ""));
        let (method, target) = first.split_once(' ')?;
        let target = named(target.trim(), if target.contains("/Groups/") { "{g}" } else { "{u}" });
        Some(Self {
            method: method.to_owned(),
            target,
            head: head.trim().to_owned(),
            body: named(body.trim(), "{u}"),
        })
    }

    fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    fn parameters(&self, name: &str) -> Vec<String> {
        let pairs =
            self.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let values = pairs
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.replace('+', " "));
        values
            .filter_map(|value| {
                percent_encoding::percent_decode_str(&value).decode_utf8().ok().map(Into::into)
            })
            .collect()
    }

    fn paths(&self) -> Vec<String> {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        let operations = body["Operations"].as_array().cloned().unwrap_or_default();
        operations
            .iter()
            .filter_map(|operation| operation["path"].as_str().map(str::to_owned))
            .collect()
    }

    fn body_of(&self, methods: &[&str]) -> Vec<String> {
        let is_one = methods.contains(&self.method.as_str()) && !self.body.is_empty();
        is_one.then(|| self.body.clone()).into_iter().collect()
    }

    fn event(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        let path = format!("/scim/v2{path}");
        serde_json::json!({
            "version": "2.0", "rawPath": path, "rawQueryString": self.query().unwrap_or_default(),
            "headers": {"content-type": "application/scim+json", "authorization": "Bearer x"},
            "requestContext": {"http": {"method": self.method, "path": path}, "stage": "$default", "domainName": "d.example"},
            "body": self.body, "isBase64Encoded": false,
        })
        .to_string()
    }

    fn text(&self) -> String {
        format!("{} {}\n{}\n\n{}", self.method, self.target, self.head, self.body)
    }
}

/// The text with `{name}` replaced wherever an exchange has that.
fn named(text: &str, by: &str) -> String {
    let mut parts = text.split('{');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((name, rest))
                if !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) =>
            {
                out.push_str(by);
                out.push_str(rest);
            }
            _ => {
                out.push('{');
                out.push_str(part);
            }
        }
    }
    out
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
    into.sort();
}

/// What the exchanges have for a target.
fn seeds(of: fn(&Asked) -> Vec<String>) -> BTreeSet<String> {
    let mut exchanges = Vec::new();
    files(&root().join("tests/exchanges"), &mut exchanges);
    let texts = exchanges.iter().map(|path| std::fs::read_to_string(path).unwrap());
    let steps =
        texts.flat_map(|text| text.split("\n### ").skip(1).map(str::to_owned).collect::<Vec<_>>());
    steps.filter_map(|step| Asked::parse(&step)).flat_map(|asked| of(&asked)).collect()
}

/// What fuzzing has left: texts that reach something each, as a JSON array, and what it has found, a file each.
fn left(name: &str) -> Vec<Vec<u8>> {
    let corpus = root().join(format!("fuzz/corpora/{name}.json"));
    let texts = std::fs::read_to_string(corpus)
        .map(|text| serde_json::from_str::<Vec<String>>(&text).unwrap());
    let mut found = Vec::new();
    files(&root().join("fuzz/found").join(name), &mut found);
    let found = found.iter().map(|path| std::fs::read(path).unwrap());
    texts.unwrap_or_default().into_iter().map(String::into_bytes).chain(found).collect()
}

fn replay(name: &str) {
    let (_, check, of) = TARGETS.iter().find(|(target, ..)| *target == name).unwrap();
    let seeds = seeds(*of);
    assert!(seeds.len() >= 3, "{name}: {} of the exchanges", seeds.len());
    if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        let folder = PathBuf::from(folder).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("exchange-{number}")), seed).unwrap();
        }
    }
    let left = left(name);
    for input in seeds.iter().map(String::as_bytes).chain(left.iter().map(Vec::as_slice)) {
        check(input);
    }
    checks::end();
}

#[test]
fn every_target_is_replayed() {
    let mut targets = Vec::new();
    files(&root().join("fuzz/fuzz_targets"), &mut targets);
    let targets: Vec<&str> =
        targets.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    let mut replayed = TARGETS.map(|(name, ..)| name);
    replayed.sort_unstable();
    assert_eq!(targets, replayed);
}

macro_rules! replayed {
    ($($test:ident: $name:literal),* $(,)?) => {$(
        #[test]
        fn $test() {
            replay($name);
        }
    )*};
}

replayed! {
    filters_mean_the_same_to_a_second_evaluator: "filter",
    what_a_path_leads_to_stays_valid: "path",
    what_a_patch_leaves_is_valid: "patch",
    a_document_reads_as_itself: "resource",
    a_query_that_is_written_again_asks_for_the_same: "query",
    only_a_cursor_that_was_given_out_opens_a_page: "cursor",
    a_secret_opens_one_sort_of_thing: "token",
    an_event_is_a_request_the_schedules_or_told_to_be_neither: "event",
    whatever_is_sent_is_answered_in_scim_and_leaves_whole_tables: "handle",
}
