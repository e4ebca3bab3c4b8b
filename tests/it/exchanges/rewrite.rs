//! `UPDATE_EXPECT=1`: puts what arrived into the file, in the shape that the expectation had. Keys that
//! the expectation names get their new values, `…` stays, bound values turn back into `{name}`, and a
//! time becomes `{any}`.

use std::path::Path;

use serde_json::{Map, Value};

use super::pattern::{self, Names, OPEN};
use super::script::Step;
use crate::app::Answer;

/// A rendered object or array longer than this is broken into lines.
const WIDTH: usize = 100;

/// Shorter values than this are too common in ordinary text to be turned back into a placeholder.
const NAMED_VALUE_LENGTH_MIN: usize = 8;

pub(super) fn wanted() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some_and(|value| !value.is_empty() && value != "0")
}

/// The new expectations of one file.
#[derive(Default)]
pub(super) struct Edits(Vec<Edit>);

struct Edit {
    status_line: usize,
    body_lines: (usize, usize),
    status: u16,
    body: Vec<String>,
}

impl Edits {
    pub(super) fn add(&mut self, step: &Step, answer: &Answer, names: &Names) {
        let body = match serde_json::from_slice::<Value>(&answer.body) {
            Ok(arrived) => {
                let body = updated(step.expected.body.as_ref(), &arrived, names);
                render(&body, 0).lines().map(str::to_owned).collect()
            }
            Err(_) => Vec::new(),
        };
        self.0.push(Edit {
            status_line: step.expected.line,
            body_lines: step.expected.body_lines,
            status: answer.status,
            body,
        });
    }

    /// Does nothing when there is nothing to change.
    pub(super) fn write(self, file: &Path, text: &str) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        std::fs::write(file, self.apply(text))
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    /// From the end to the beginning, so that the line numbers above stay right.
    fn apply(mut self, text: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        self.0.sort_by_key(|edit| std::cmp::Reverse(edit.status_line));
        for edit in self.0 {
            let (first, end) = edit.body_lines;
            let first = first.min(lines.len() + 1) - 1;
            let end = end.min(lines.len() + 1) - 1;
            lines.splice(first..end.max(first), edit.body);
            if let Some(line) = lines.get_mut(edit.status_line - 1) {
                *line = format!("<<< {}", edit.status);
            }
        }
        lines.join("\n") + "\n"
    }
}

/// What arrived, in the shape of the expectation.
fn updated(expected: Option<&Value>, arrived: &Value, names: &Names) -> Value {
    match (expected, arrived) {
        (Some(pattern), _) if pattern::fits(pattern, arrived, &mut names.clone()) => {
            pattern.clone()
        }
        (Some(Value::Object(pattern)), Value::Object(arrived)) => object(pattern, arrived, names),
        (Some(Value::Array(pattern)), Value::Array(arrived)) => {
            let open = pattern.last().is_some_and(|last| last == OPEN);
            let old = |index: usize| if open { None } else { pattern.get(index) };
            let elements = arrived.iter().enumerate();
            let mut new: Vec<Value> =
                elements.map(|(index, found)| updated(old(index), found, names)).collect();
            if open {
                new.push(Value::from(OPEN));
            }
            Value::from(new)
        }
        (_, Value::Object(arrived)) => object(&Map::new(), arrived, names),
        (_, Value::Array(arrived)) => {
            arrived.iter().map(|found| updated(None, found, names)).collect()
        }
        (_, Value::String(text)) if is_timestamp(text) => Value::from("{any}"),
        (_, Value::String(text)) => Value::from(named(text, names)),
        _ => arrived.clone(),
    }
}

fn object(pattern: &Map<String, Value>, arrived: &Map<String, Value>, names: &Names) -> Value {
    let mut new = Map::new();
    for (key, old) in pattern.iter().filter(|(key, _)| *key != OPEN) {
        match arrived.get(key) {
            Some(found) => new.insert(key.clone(), updated(Some(old), found, names)),
            None if old == "{absent}" => new.insert(key.clone(), old.clone()),
            None => None,
        };
    }
    if pattern.contains_key(OPEN) {
        new.insert(OPEN.to_owned(), Value::from(OPEN));
    } else {
        for (key, found) in arrived.iter().filter(|(key, _)| !pattern.contains_key(*key)) {
            new.insert(key.clone(), updated(None, found, names));
        }
    }
    Value::from(new)
}

/// The text with bound values turned back into placeholders, the longest first.
fn named(text: &str, names: &Names) -> String {
    let mut known: Vec<(&str, &str)> =
        names.iter().filter(|(_, value)| value.len() >= NAMED_VALUE_LENGTH_MIN).collect();
    known.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    known
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(value, &format!("{{{name}}}")))
}

/// `2026-01-31T23:59:59…Z`: another one the next time.
fn is_timestamp(text: &str) -> bool {
    let shape = text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter });
    text.ends_with('Z') && shape.take(19).eq("0000-00-00T00:00:00".chars())
}

/// One line if it fits, else one line a member.
fn render(value: &Value, indent: usize) -> String {
    let line = one_line(value);
    if indent + line.chars().count() <= WIDTH {
        return line;
    }
    let parts = parts(value, &|value| render(value, indent + 2));
    let separator = format!(",\n{}", " ".repeat(indent + 2));
    let lines = parts.join(&separator);
    let (inner, outer) = (" ".repeat(indent + 2), " ".repeat(indent));
    if value.is_object() {
        format!("{{\n{inner}{lines}\n{outer}}}")
    } else if value.is_array() {
        format!("[\n{inner}{lines}\n{outer}]")
    } else {
        line
    }
}

fn one_line(value: &Value) -> String {
    let parts = parts(value, &one_line).join(", ");
    if value.is_object() && !parts.is_empty() {
        format!("{{ {parts} }}")
    } else if value.is_array() {
        format!("[{parts}]")
    } else {
        value.to_string()
    }
}

/// The members or elements, each written by `write`, and `…` as it stands in a file.
fn parts(value: &Value, write: &dyn Fn(&Value) -> String) -> Vec<String> {
    let open = || OPEN.to_owned();
    if let Some(members) = value.as_object() {
        let member = |(key, value): (&String, &Value)| {
            if key == OPEN {
                open()
            } else {
                format!("{}: {}", Value::from(key.as_str()), write(value))
            }
        };
        members.iter().map(member).collect()
    } else if let Some(elements) = value.as_array() {
        elements.iter().map(|value| if value == OPEN { open() } else { write(value) }).collect()
    } else {
        Vec::new()
    }
}

#[cfg(test)]
fn updated_text(expected: &str, arrived: &str) -> String {
    let mut names = Names::new();
    names.bind("base", "https://h.test/v2");
    names.bind("ann", "0198-0001");
    let expected = pattern::parse(expected).expect("a pattern");
    let arrived = serde_json::from_str(arrived).expect("JSON");
    render(&updated(Some(&expected), &arrived, &names), 0)
}

#[test]
fn the_shape_of_the_expectation_stays() {
    let arrived =
        r#"{"id":"0198-0001","active":false,"x":1,"at":"https://h.test/v2/Users/0198-0001"}"#;
    assert_eq!(
        updated_text(
            r#"{ "id": "{ann}", "active": true, "gone": 1, "at": "", "y": "{absent}", … }"#,
            arrived
        ),
        r#"{ "id": "{ann}", "active": false, "at": "{base}/Users/{ann}", "y": "{absent}", … }"#
    );
    assert_eq!(
        updated_text(r#"{ "x": 1, "id": "{other}", … }"#, arrived),
        r#"{ "x": 1, "id": "{other}", … }"#
    );
    assert_eq!(updated_text("[1, 2]", "[1, 3, 4]"), "[1, 3, 4]");
    assert_eq!(
        updated_text("[]", r#"["2026-01-31T23:59:59.123Z", "2026"]"#),
        r#"["{any}", "2026"]"#
    );
    assert_eq!(updated_text(r#"["a", …]"#, r#"["b"]"#), r#"["b", …]"#);
}

#[test]
fn only_the_expectation_changes_in_the_file() {
    let edits = Edits(vec![
        Edit { status_line: 2, body_lines: (3, 5), status: 200, body: vec!["{}".to_owned()] },
        Edit { status_line: 8, body_lines: (9, 9), status: 201, body: vec!["[]".to_owned()] },
    ]);
    let text = "GET /a\n<<< 404\n{\n}\n\n### b\nGET /b\n<<< 204\n";
    assert_eq!(edits.apply(text), "GET /a\n<<< 200\n{}\n\n### b\nGET /b\n<<< 201\n[]\n");
}

#[test]
fn long_values_are_broken_into_lines() {
    let value = serde_json::json!({ "a": "x".repeat(60), "b": ["y".repeat(60)], OPEN: OPEN });
    let text = render(&value, 0);
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.ends_with("  …\n}"), "{text}");
}
