//! Comparing what arrived with what a file expects: `…` for "and others", `{name}` for a value that is
//! found once and has to stay the same, `{any}`, `{absent}`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// "Other members or elements may follow", as a key, an element, or a whole body.
pub(super) const OPEN: &str = "…";
const ANY: &str = "any";
const ABSENT: &str = "{absent}";

/// The placeholders that have found their value.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn bind(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text with each placeholder's value. Refuses one that nothing has bound.
    pub(super) fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Name(name) => match self.0.get(name) {
                    Some(value) => filled.push_str(value),
                    None => return Err(format!("    not sent: {{{name}}} has no value yet")),
                },
            }
        }
        Ok(filled)
    }

    /// For messages: what is known is put in, the rest stays a placeholder.
    fn shown(&self, text: &str) -> String {
        self.fill(text).unwrap_or_else(|_| text.to_owned())
    }

    /// Whether `text` is what `pattern` says; binds the pattern's free names if so.
    pub(super) fn matches(&mut self, pattern: &str, text: &str) -> bool {
        self.matches_pieces(&pieces(pattern), text)
    }

    fn matches_pieces(&mut self, pieces: &[Piece<'_>], text: &str) -> bool {
        let Some((first, rest)) = pieces.split_first() else { return text.is_empty() };
        let known = match first {
            Piece::Text(literal) => Some((*literal).to_owned()),
            Piece::Name(name) => self.0.get(*name).cloned(),
        };
        if let Some(known) = known {
            return text.strip_prefix(&known).is_some_and(|text| self.matches_pieces(rest, text));
        }
        let Piece::Name(name) = first else { return false };
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        for (found, after) in ends.filter_map(|end| text.split_at_checked(end)) {
            if *name == ANY {
                if self.matches_pieces(rest, after) {
                    return true;
                }
            } else if !found.is_empty() {
                self.bind(name, found);
                if self.matches_pieces(rest, after) {
                    return true;
                }
                self.0.remove(*name);
            }
        }
        false
    }
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// Splits at `{name}`; any other brace is text.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(open) = text.get(at..).and_then(|rest| rest.find('{')).map(|found| at + found) {
        at = open + 1;
        let inner = text.get(at..).unwrap_or_default();
        let name = inner.split('}').next().unwrap_or_default();
        let legal = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
        };
        if name.len() < inner.len() && !name.is_empty() && name.bytes().all(legal) {
            pieces.push(Piece::Text(text.get(from..open).unwrap_or_default()));
            pieces.push(Piece::Name(name));
            at += name.len() + 1;
            from = at;
        }
    }
    pieces.push(Piece::Text(text.get(from..).unwrap_or_default()));
    pieces
}

/// Expected JSON as a `Value`, in which `…` has become the member `"…": "…"` or the element `"…"`.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut json = String::new();
    let (mut in_string, mut escaped) = (false, false);
    let mut brackets = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            _ if in_string => {
                in_string = letter != '"' || escaped;
                escaped = letter == '\\' && !escaped;
            }
            '"' => in_string = true,
            '{' | '[' => brackets.push(letter),
            '}' | ']' => {
                brackets.pop();
            }
            '…' => {
                let rest = text.get(at + letter.len_utf8()..).unwrap_or_default().trim_start();
                if !rest.is_empty() && !rest.starts_with(['}', ']']) {
                    return Err("… has to come last".to_owned());
                }
                let in_object = brackets.last() == Some(&'{');
                json.push_str(if in_object { "\"…\": \"…\"" } else { "\"…\"" });
                continue;
            }
            _ => {}
        }
        json.push(letter);
    }
    serde_json::from_str(&json).map_err(|error| format!("the expected body is not JSON: {error}"))
}

/// Compares a header; `None` when it did not come.
pub(super) fn header(
    name: &str,
    wanted: &str,
    arrived: Option<&str>,
    names: &mut Names,
) -> Result<(), String> {
    match arrived {
        None if wanted == ABSENT => Ok(()),
        Some(arrived) if wanted == ABSENT => {
            Err(format!("{name}: not expected, arrived {arrived}"))
        }
        Some(arrived) if names.matches(wanted, arrived) => Ok(()),
        _ => Err(format!("{name}: expected {}, arrived {arrived:?}", names.shown(wanted))),
    }
}

/// Every difference between a body and its pattern, each with its place.
pub(super) fn body(wanted: &Value, arrived: &Value, names: &mut Names) -> Vec<String> {
    let mut problems = Vec::new();
    if wanted != OPEN {
        value(wanted, arrived, "$", names, &mut problems);
    }
    problems
}

/// Whether a value fits, without an account of why not. Binds nothing if it does not.
pub(super) fn fits(wanted: &Value, arrived: &Value, names: &mut Names) -> bool {
    let mut tried = names.clone();
    let fits = body(wanted, arrived, &mut tried).is_empty();
    if fits {
        *names = tried;
    }
    fits
}

fn value(wanted: &Value, arrived: &Value, at: &str, names: &mut Names, problems: &mut Vec<String>) {
    let same = match (wanted, arrived) {
        (Value::String(pattern), _) if pattern == "{any}" => true,
        (Value::String(pattern), Value::String(text)) => names.matches(pattern, text),
        (Value::Object(_), Value::Object(_)) => {
            return object(wanted, arrived, at, names, problems);
        }
        (Value::Array(wanted), Value::Array(arrived)) => {
            return array(wanted, arrived, at, names, problems);
        }
        _ => wanted == arrived,
    };
    if !same {
        let wanted = names.shown(&wanted.to_string());
        problems.push(format!("{at}: expected {wanted}, arrived {arrived}"));
    }
}

fn object(
    wanted: &Value,
    arrived: &Value,
    at: &str,
    names: &mut Names,
    problems: &mut Vec<String>,
) {
    let (Some(wanted), Some(arrived)) = (wanted.as_object(), arrived.as_object()) else { return };
    for (key, pattern) in wanted.iter().filter(|(key, _)| *key != OPEN) {
        let at = member(at, key);
        match arrived.get(key) {
            None if pattern == ABSENT => {}
            None => problems.push(format!("{at}: missing, expected {pattern}")),
            Some(found) if pattern == ABSENT => {
                problems.push(format!("{at}: expected to be absent, arrived {found}"));
            }
            Some(found) => value(pattern, found, &at, names, problems),
        }
    }
    if !wanted.contains_key(OPEN) {
        for (key, found) in arrived.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
            problems.push(format!("{}: not expected, arrived {found}", member(at, key)));
        }
    }
}

/// Closed: the same elements in the same order. Open: each expected element is there, in any order.
fn array(
    wanted: &[Value],
    arrived: &[Value],
    at: &str,
    names: &mut Names,
    problems: &mut Vec<String>,
) {
    if let Some((last, wanted)) = wanted.split_last()
        && last == OPEN
    {
        let mut left: Vec<&Value> = arrived.iter().collect();
        for pattern in wanted {
            match left.iter().position(|found| fits(pattern, found, names)) {
                Some(index) => {
                    left.remove(index);
                }
                None => problems.push(format!("{at}: no element is {pattern}")),
            }
        }
        return;
    }
    if wanted.len() != arrived.len() {
        problems.push(format!(
            "{at}: expected {} elements, arrived {}: {}",
            wanted.len(),
            arrived.len(),
            Value::from(arrived.to_vec())
        ));
    }
    for (index, (pattern, found)) in wanted.iter().zip(arrived).enumerate() {
        value(pattern, found, &format!("{at}[{index}]"), names, problems);
    }
}

fn member(at: &str, key: &str) -> String {
    let mut place = at.to_owned();
    let plain = key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '$');
    let written = if plain { write!(place, ".{key}") } else { write!(place, "[{key:?}]") };
    written.ok();
    place
}

#[cfg(test)]
fn problems_of(wanted: &str, arrived: &str, names: &mut Names) -> Vec<String> {
    let wanted = parse(wanted).expect("a pattern");
    let arrived = serde_json::from_str(arrived).expect("JSON");
    body(&wanted, &arrived, names)
}

#[test]
fn open_and_closed_shapes() {
    let check = |wanted: &str, arrived: &str, problems: &[&str]| {
        assert_eq!(problems_of(wanted, arrived, &mut Names::new()), problems, "{wanted}");
    };
    check("…", "[1]", &[]);
    check(r#"{ "a": 1, … }"#, r#"{"a":1,"b":2}"#, &[]);
    check(r#"{ "a": 1 }"#, r#"{"a":1,"b":2}"#, &["$.b: not expected, arrived 2"]);
    check("{ … }", r#"{"a":1}"#, &[]);
    check(r#"{ "a": "{absent}", … }"#, r#"{"b":2}"#, &[]);
    check(r#"{ "a": "{absent}", … }"#, r#"{"a":2}"#, &["$.a: expected to be absent, arrived 2"]);
    check(r#"{ "a": true, … }"#, r#"{"a":"True"}"#, &[r#"$.a: expected true, arrived "True""#]);
    check(r#"["x", …]"#, r#"["y","x"]"#, &[]);
    check(r#"["x", "x", …]"#, r#"["y","x"]"#, &[r#"$: no element is "x""#]);
    check(
        r#"["x", "y"]"#,
        r#"["y","x"]"#,
        &[r#"$[0]: expected "x", arrived "y""#, r#"$[1]: expected "y", arrived "x""#],
    );
    check(
        r#"{"urn:x": {"a": []}}"#,
        r#"{"urn:x":{"a":[3]}}"#,
        &[r#"$["urn:x"].a: expected 0 elements, arrived 1: [3]"#],
    );
    check(r#""a … b""#, r#""a … b""#, &[]);
    assert!(parse(r#"{ …, "a": 1 }"#).is_err());
}

#[test]
fn names_bind_once() {
    let mut names = Names::new();
    names.bind("base", "https://h/v2");
    let wanted = r#"{ "id": "{ann}", "at": "{base}/Users/{ann}", "other": "{any}" }"#;
    assert!(
        problems_of(wanted, r#"{"id":"7","at":"https://h/v2/Users/7","other":[1]}"#, &mut names)
            .is_empty()
    );
    assert_eq!(names.fill("/Users/{ann}?x={}").expect("bound"), "/Users/7?x={}");
    assert_eq!(
        problems_of(wanted, r#"{"id":"8","at":"https://h/v2/Users/7","other":1}"#, &mut names),
        [r#"$.id: expected "7", arrived "8""#]
    );
    assert!(names.fill("{bob}").is_err());
}

#[test]
fn any_spans_and_backtracks() {
    let mut names = Names::new();
    assert!(names.matches("{any}userName{any}", "the userName is userName"));
    assert!(names.matches("{any}", ""));
    assert!(!names.matches("{any}inactive{any}", "taken"));
    assert!(names.matches("W/\"{version}\"", "W/\"12\""));
    assert_eq!(names.fill("{version}").expect("bound"), "12");
}
