//! What is written, and how: aligned text for people, one line of JSON for scripts, and errors as one line.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::Value;

use super::args::Format;
use crate::admin::AdminError;
use crate::insight::words::is_harmless;
use crate::moment::Timestamp;
use crate::store::StoreError;
use crate::telemetry::Chain;

/// Characters of a time that people read: to the minute.
const TIME_CHARS: usize = "2026-11-21T08:00".len();

/// Why a command ends.
#[derive(Debug)]
pub(super) enum CliError {
    /// A sentence that says what to do.
    Told(String),
    /// Whoever reads the output has gone, as `head` does.
    Closed,
    /// Ctrl-C; what that means for what was being done.
    Interrupted(String),
}

impl CliError {
    /// A sentence that says what to do.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self::Told(text.into())
    }

    /// What standard error gets.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Told(text) | Self::Interrupted(text) => Some(text),
            Self::Closed => None,
        }
    }

    pub(super) fn code(&self) -> ExitCode {
        match self {
            Self::Told(_) => ExitCode::FAILURE,
            Self::Closed => ExitCode::SUCCESS,
            Self::Interrupted(_) => ExitCode::from(130),
        }
    }
}

impl From<AdminError> for CliError {
    fn from(error: AdminError) -> Self {
        Self::Told(on_one_line(&Chain(&error).to_string()))
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::from(AdminError::Store(error))
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Closed
        } else {
            Self::Told(format!("the output cannot be written: {error}"))
        }
    }
}

/// Standard output.
#[derive(Debug)]
pub(super) struct Output {
    format: Format,
}

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(super) fn is_text(&self) -> bool {
        match self.format {
            Format::Text => true,
            Format::Json => false,
        }
    }

    /// Writes a result: the text for people, or the value on one line.
    pub(super) fn write(
        &mut self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Result<(), CliError> {
        let mut whole = match self.format {
            Format::Text => text(),
            Format::Json => ascii_controls(&json().to_string()),
        };
        if !whole.ends_with('\n') {
            whole.push('\n');
        }
        let mut out = io::stdout().lock();
        out.write_all(whole.as_bytes())?;
        Ok(out.flush()?)
    }
}

/// Rows under their headings, in aligned columns.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let headings = headings.map(str::to_owned);
    let all: Vec<&[String; N]> = std::iter::once(&headings).chain(rows).collect();
    let mut widths = [0; N];
    for row in &all {
        for (width, cell) in widths.iter_mut().zip(row.iter()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &&[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    all.iter().map(line).collect()
}

/// Names and values, the values aligned.
pub(super) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = fields.iter().map(|(name, value)| format!("{name:width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// A time for people: to the minute, in UTC.
pub(super) fn minute(time: Timestamp) -> String {
    let text = time.to_string();
    text.get(..TIME_CHARS).unwrap_or(&text).replace('T', " ")
}

/// A time that may not have come yet.
pub(super) fn minute_or_never(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "never".to_owned(), minute)
}

/// A time for scripts.
pub(super) fn time_json(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::from(time.to_string()))
}

/// A count with its noun.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// JSON with the characters as codes that a terminal would obey and JSON lets through. They stand in its texts alone.
fn ascii_controls(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if is_harmless(c) {
            safe.push(c);
        } else {
            let mut units = [0; 2];
            safe.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    safe
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn json_for_scripts_does_nothing_to_a_terminal() {
        let value = serde_json::json!({"name": "a\u{1b}[2J\u{9b}b\u{202e}\u{e0001}\u{7f}ü"});
        let written = ascii_controls(&value.to_string());
        expect![[r#"{"name":"a\u001b[2J\u009bb\u202e\udb40\udc01\u007fü"}"#]].assert_eq(&written);
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
    }

    #[test]
    fn columns_are_aligned() {
        let rows =
            [["acme".to_owned(), "2".to_owned()], ["müller-söhne".to_owned(), String::new()]];
        expect![[r"
            tenant        users
            acme          2
            müller-söhne
        "]]
        .assert_eq(&table(["tenant", "users"], &rows));
    }
}
