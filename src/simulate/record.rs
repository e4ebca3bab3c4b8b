//! Exchanges as they happened, in the format of `tests/exchanges/README.md`, so that a surprise becomes a test.
//!
//! Ids of the endpoint become names in braces, as the format has them; what differs from run to run (`meta`, the texts of
//! errors) becomes `{any}`. The token is never written.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use http::Method;
use serde_json::Value;

use super::SimulateError;
use super::provider::Provider;
use super::value::id_of;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Recorder {
    state: Mutex<State>,
    base: String,
}

#[derive(Debug)]
struct State {
    file: BufWriter<File>,
    names: HashMap<String, String>,
    steps: usize,
    failed: Option<std::io::Error>,
}

impl Recorder {
    /// Begins the file.
    pub(super) fn create(
        path: &Path,
        base: &str,
        provider: Provider,
    ) -> Result<Self, SimulateError> {
        let told = |error: std::io::Error| {
            SimulateError::new(format!("{} cannot be written ({error})", path.display()))
        };
        let mut file = BufWriter::new(File::create(path).map_err(told)?);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        write!(
            file,
            "# {name} — {}, as scimctl simulate plays it\n# Source: {}\n",
            provider.name(),
            provider.habits().source
        )
        .map_err(told)?;
        let state = State { file, names: HashMap::new(), steps: 0, failed: None };
        Ok(Self { state: Mutex::new(state), base: base.to_owned() })
    }

    /// Writes one exchange.
    pub(super) fn exchange(
        &self,
        (what, method, target): (&str, &Method, &str),
        request: Option<&Value>,
        (status, answer): (u16, &[u8]),
    ) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.steps += 1;
        let mut text = format!("\n### {} {what}\n", state.steps);
        let parsed: Option<Value> = serde_json::from_slice(answer).ok();
        if parsed.is_none() && !answer.is_empty() {
            text.push_str("# What came back was no JSON.\n");
        }
        text.extend([method.as_str(), " ", &self.named(&state.names, target), "\n"]);
        if let Some(body) = request {
            let body = self.masked(&state.names, body.clone(), Side::Request).to_string();
            text.extend([&body, "\n"]);
        }
        text.extend(["<<< ", &status.to_string(), "\n"]);
        if let Some(answer) = parsed {
            state.learn(&answer);
            let answer = self.masked(&state.names, answer, Side::Answer).to_string();
            text.extend([&answer, "\n"]);
        }
        if let Err(error) = state.file.write_all(text.as_bytes()) {
            state.failed.get_or_insert(error);
        }
    }

    /// Everything is on the disk, or why not.
    pub(super) fn finish(&self) -> Result<(), SimulateError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let flushed = state.file.flush();
        match state.failed.take().map_or(flushed, Err) {
            Ok(()) => Ok(()),
            Err(error) => Err(SimulateError::new(format!("the record is not complete ({error})"))),
        }
    }

    fn masked(&self, names: &HashMap<String, String>, value: Value, side: Side) -> Value {
        match value {
            Value::String(text) => Value::String(self.named(names, &text)),
            Value::Array(elements) => {
                let elements = elements.into_iter().map(|one| self.masked(names, one, side));
                Value::Array(elements.collect())
            }
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| {
                    let varies = side == Side::Answer && (name == "meta" || name == "detail");
                    let value =
                        if varies { Value::from("{any}") } else { self.masked(names, value, side) };
                    (name, value)
                });
                Value::Object(members.collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    /// A text with the names of the ids in it.
    fn named(&self, names: &HashMap<String, String>, text: &str) -> String {
        let text = match text.strip_prefix(&self.base) {
            Some(rest) => format!("{{base}}{rest}"),
            None => text.to_owned(),
        };
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let mut out = String::with_capacity(text.len());
        // In a query an id stands between encoded quotes.
        for (index, piece) in text.split("%22").enumerate() {
            if index > 0 {
                out.push_str("%22");
            }
            let mut word = String::new();
            for c in piece.chars() {
                if is_part(c) {
                    word.push(c);
                } else {
                    push_named(&mut out, names, &word);
                    word.clear();
                    out.push(c);
                }
            }
            push_named(&mut out, names, &word);
        }
        out
    }
}

fn push_named(out: &mut String, names: &HashMap<String, String>, word: &str) {
    match names.get(word) {
        Some(name) => {
            out.push('{');
            out.push_str(name);
            out.push('}');
        }
        None => out.push_str(word),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Request,
    Answer,
}

impl State {
    /// Gives names to the ids that an answer shows.
    fn learn(&mut self, answer: &Value) {
        let listed = answer.get("Resources").and_then(Value::as_array).into_iter().flatten();
        for resource in std::iter::once(answer).chain(listed) {
            if let Some(id) = id_of(resource) {
                let next = format!("r{}", self.names.len() + 1);
                self.names.entry(id.to_owned()).or_insert(next);
            }
        }
    }
}
