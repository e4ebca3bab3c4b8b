//! A CSV (RFC 4180): its header, and what a record says.
//!
//! The schemas decide what a column is. The first line must name the columns: a file whose columns have to be guessed is
//! refused.

use serde_json::Map;

use super::row::{self, APP_ID, MemberRef, Row};
use super::{Fault, shown};
use crate::scim::catalog::{Catalog, Kind, ResourceType};
use crate::scim::column::{Column, ColumnError};
use crate::scim::fold::fold;
use crate::scim::well_known;

/// What separates the members in a cell.
const MEMBERS_APART: char = ';';
/// What other programs separate columns with.
const OTHER_SEPARATORS: [(char, &str); 2] = [(';', "semicolons"), ('\t', "tabs")];
/// What a header may look like, for those who have none.
const EXAMPLE: &str =
    "userName,appId,externalId,active,name.givenName,name.familyName,displayName,emails.work";

/// The columns of a file.
#[derive(Debug)]
pub(super) struct Table {
    kind: Kind,
    cells: Vec<Cell>,
}

/// What a column's cells are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cell {
    AppId,
    Members,
    Attribute(Column),
    /// The heading is empty; so must be the cells.
    Nothing,
}

impl Table {
    /// Reads the header.
    pub(super) fn parse(
        catalog: &Catalog,
        kind: Option<Kind>,
        (line, header): (usize, &str),
    ) -> Result<Self, Fault> {
        let headings = split(header).map_err(|what| Fault::at(line, what))?;
        if let ([_], Some((_, word))) = (
            headings.as_slice(),
            OTHER_SEPARATORS.iter().find(|(separator, _)| header.contains(*separator)),
        ) {
            let what = format!(
                "the columns seem to be separated by {word}; save the file with commas between them"
            );
            return Err(Fault::at(line, what));
        }
        let kind = match kind {
            Some(kind) => kind,
            None => {
                kind_of(catalog, &headings).ok_or_else(|| without_kind(catalog, line, &headings))?
            }
        };
        let rt = catalog.resource_type(kind);
        if !headings.iter().any(|heading| is_known(rt, heading)) {
            return Err(no_header(line));
        }
        let cells = cells(rt, line, &headings)?;
        let named = |name: &str| {
            cells
                .iter()
                .any(|cell| matches!(cell, Cell::Attribute(column) if column.path() == name))
        };
        let needed = name_of(kind);
        if !named(needed) {
            let what = format!("the header has no column {needed}; every row needs one");
            return Err(Fault::at(line, what));
        }
        Ok(Self { kind, cells })
    }

    /// Reads a record; none when all of its cells are empty.
    pub(super) fn row(&self, record: &str) -> Result<Option<Row>, String> {
        let cells = split(record)?;
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            return Ok(None);
        }
        if cells.len() != self.cells.len() {
            return Err(format!(
                "it has {} cells, and the header names {} columns; is there a comma or a quote too many or too few?",
                cells.len(),
                self.cells.len()
            ));
        }
        let mut row = Row {
            kind: self.kind,
            identity: None,
            app_id: None,
            body: Map::new(),
            members: Vec::new(),
            continued: false,
            ignored: Vec::new(),
        };
        let (mut first, mut chosen) = (Map::new(), Map::new());
        for (at, (cell, text)) in self.cells.iter().zip(&cells).enumerate() {
            match cell {
                Cell::AppId => row.app_id = row::checked_app_id(text.trim())?,
                Cell::Members => {
                    row.members = text.split(MEMBERS_APART).filter_map(MemberRef::parse).collect();
                }
                Cell::Attribute(column) => {
                    let body = if column.selects() { &mut chosen } else { &mut first };
                    body.extend(column.value(text).map(|value| (column.path().to_owned(), value)));
                }
                Cell::Nothing if text.trim().is_empty() => {}
                Cell::Nothing => {
                    return Err(format!("column {} has a value and no heading", at + 1));
                }
            }
        }
        // A value of a list is chosen after the list itself has been written.
        first.extend(chosen);
        row.body = first;
        Ok(Some(row))
    }
}

/// The attribute that every resource of a kind is named by; one of another type may lack it.
pub(super) fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::User => well_known::USER_NAME,
        Kind::Group => well_known::DISPLAY_NAME,
        Kind::Custom(_) => well_known::EXTERNAL_ID,
    }
}

/// A name as it is compared with others.
pub(super) fn compared(kind: Kind, name: &str) -> String {
    match kind {
        Kind::User | Kind::Group => fold(name),
        Kind::Custom(_) => name.to_owned(),
    }
}

/// People have a userName; groups have a name and members.
fn kind_of(catalog: &Catalog, headings: &[String]) -> Option<Kind> {
    let has = |kind: Kind| {
        let rt = catalog.resource_type(kind);
        headings.iter().any(|heading| {
            Column::parse(rt, heading).is_ok_and(|column| column.path() == name_of(kind))
        })
    };
    if has(Kind::User) {
        return Some(Kind::User);
    }
    let has_members = headings.iter().any(|heading| is(heading, well_known::MEMBERS));
    (has_members && has(Kind::Group)).then_some(Kind::Group)
}

fn without_kind(catalog: &Catalog, line: usize, headings: &[String]) -> Fault {
    let known = |kind: Kind| headings.iter().any(|it| is_known(catalog.resource_type(kind), it));
    if !Kind::ALL.into_iter().any(known) {
        return no_header(line);
    }
    let what = format!(
        "the header has no column {}, so these are no people, and not {} and {}, so they are no groups; add the column, \
         or say --kind",
        well_known::USER_NAME,
        well_known::DISPLAY_NAME,
        well_known::MEMBERS
    );
    Fault::at(line, what)
}

fn no_header(line: usize) -> Fault {
    Fault::at(
        line,
        format!("the file has no header; its first line names the columns, such as {EXAMPLE}"),
    )
}

fn is(heading: &str, name: &str) -> bool {
    heading.trim().eq_ignore_ascii_case(name)
}

fn is_known(rt: &ResourceType, heading: &str) -> bool {
    is(heading, APP_ID)
        || match Column::parse(rt, heading) {
            Ok(_)
            | Err(ColumnError::Whole(_) | ColumnError::EachValue(_) | ColumnError::NotKept) => true,
            Err(ColumnError::Unknown(_) | ColumnError::Unreadable(_)) => false,
        }
}

/// What each column is. Everything that is wrong with the header is told at once.
fn cells(rt: &ResourceType, line: usize, headings: &[String]) -> Result<Vec<Cell>, Fault> {
    let mut cells: Vec<Cell> = Vec::with_capacity(headings.len());
    let mut wrong = Vec::new();
    for heading in headings {
        let shown = shown(heading.trim());
        let cell = if heading.trim().is_empty() {
            Cell::Nothing
        } else if is(heading, APP_ID) {
            Cell::AppId
        } else if rt.kind == Kind::Group && is(heading, well_known::MEMBERS) {
            Cell::Members
        } else {
            match Column::parse(rt, heading) {
                Ok(column) => Cell::Attribute(column),
                Err(error) => {
                    let hint = if is(heading, well_known::ID) {
                        format!(" (the app's own id is {APP_ID})")
                    } else {
                        String::new()
                    };
                    wrong.push(format!("column {shown}: {error}{hint}"));
                    continue;
                }
            }
        };
        if cell != Cell::Nothing && cells.contains(&cell) {
            wrong.push(format!("column {shown}: it is there twice"));
        }
        cells.push(cell);
    }
    if wrong.is_empty() { Ok(cells) } else { Err(Fault::at(line, wrong.join("; "))) }
}

/// The cells of one record.
fn split(record: &str) -> Result<Vec<String>, String> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(record.as_bytes());
    let mut cells = csv::StringRecord::new();
    match reader.read_record(&mut cells) {
        Ok(_) => Ok(cells.iter().map(ToOwned::to_owned).collect()),
        Err(error) => Err(format!("it is no CSV: {error}")),
    }
}
