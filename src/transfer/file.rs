//! A file of people and groups, row by row, whatever its form.

use std::io::BufRead;

use super::Fault;
use super::lines::{Lines, Text};
use super::row::{self, Line};
use super::table::Table;
use crate::limits::BODY_BYTES_MAX;
use crate::scim::catalog::{Catalog, Kind};

/// A line and its number.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) line: usize,
    pub(super) read: Line,
}

/// An open file.
#[derive(Debug)]
pub(super) struct File<'a, R> {
    catalog: &'a Catalog,
    kind: Option<Kind>,
    lines: Lines<R>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// JSON, one object a line; the first line has been read already.
    Json(Option<Text>),
    /// CSV, whose header has been read.
    Csv(Table),
}

impl<'a, R: BufRead> File<'a, R> {
    /// Looks at the first line that has something in it. `kind` is what the rows are, when somebody has said so.
    ///
    /// # Errors
    /// [`Fault`] when it is neither of the two forms, or its header is none.
    pub(super) fn open(catalog: &'a Catalog, kind: Option<Kind>, input: R) -> Result<Self, Fault> {
        let mut lines = Lines::new(input)?;
        loop {
            let Some(first) = lines.next()? else {
                return Err(Fault::file("the file is empty"));
            };
            let form = match first.text.as_deref().map(str::trim) {
                Some("") => continue,
                None => return Err(Fault::at(first.line, too_long())),
                Some(text) if text.starts_with('[') => {
                    let what = "the file is one JSON array; write one object a line instead (`jq -c '.[]' FILE`)";
                    return Err(Fault::at(first.line, what));
                }
                Some("{") => {
                    let what = "an object begins here and goes on below; write each on one line (`jq -c . FILE`)";
                    return Err(Fault::at(first.line, what));
                }
                Some(text) if text.starts_with('{') => Form::Json(Some(first)),
                Some(_) => {
                    let Text { line, text } = lines.record(first)?;
                    let header = text.unwrap_or_default();
                    Form::Csv(Table::parse(catalog, kind, (line, header.as_str()))?)
                }
            };
            return Ok(Self { catalog, kind, lines, form });
        }
    }

    /// The next line that has something in it.
    ///
    /// # Errors
    /// [`Fault`] when the rest cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Numbered>, Fault> {
        loop {
            let next = match &mut self.form {
                Form::Json(first) => match first.take() {
                    Some(first) => Some(first),
                    None => self.lines.next()?,
                },
                Form::Csv(_) => match self.lines.next()? {
                    Some(first) => Some(self.lines.record(first)?),
                    None => None,
                },
            };
            let Some(Text { line, text }) = next else { return Ok(None) };
            let Some(text) = text else {
                return Ok(Some(Numbered { line, read: Line::Bad(too_long()) }));
            };
            if text.trim().is_empty() {
                continue;
            }
            let read = match &self.form {
                Form::Json(_) => row::read(self.catalog, self.kind, &text)?,
                Form::Csv(table) => match table.row(&text) {
                    Ok(None) => continue,
                    Ok(Some(row)) => Line::Row(Box::new(row)),
                    Err(what) => Line::Bad(what),
                },
            };
            return Ok(Some(Numbered { line, read }));
        }
    }
}

fn too_long() -> String {
    format!(
        "it is longer than {BODY_BYTES_MAX} bytes; a person or group must fit that, and more members may follow in \
             lines with \"continued\": true"
    )
}
