//! The first pass: what is wrong with the file as a whole, before anything is written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::BufRead;

use super::file::File;
use super::matching::Prepared;
use super::report::Ending;
use super::row::{APP_ID, Line, Row};
use super::table::{compared, name_of};
use super::{Fault, shown};
use crate::limits::IMPORT_ROWS_MAX;
use crate::scim::catalog::{Catalog, Kind};
use crate::scim::discovery::GroupNames;
use crate::scim::resource::ResourceId;
use crate::scim::well_known;
use crate::store::item::RESOURCE_FORMAT;
use crate::store::{Settings, TenantId};

/// Faults that are told; who has more will look for himself.
const FAULTS_TOLD_MAX: usize = 20;

/// What a file has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Rows with a person.
    pub users: usize,
    /// Rows with a group.
    pub groups: usize,
    /// Rows with a resource of another type.
    pub others: usize,
    /// Rows with more members of a group.
    pub continued: usize,
    /// Rows that cannot be imported as they are.
    pub bad: usize,
    /// What is worth a look, and no reason to stop: a sentence each.
    pub warnings: Vec<String>,
}

/// Reads the whole file.
///
/// # Errors
/// Each fault, the first ones only when there are many.
pub(super) fn survey<R: BufRead>(
    file: &mut File<'_, R>,
    catalog: &Catalog,
    (tenant, settings): (&TenantId, &Settings),
    ending: Ending,
) -> Result<Survey, Vec<Fault>> {
    let mut seen = Seen::new(tenant, settings);
    let mut end = None;
    let mut is_export = false;
    loop {
        let numbered = match file.next() {
            Ok(Some(numbered)) => numbered,
            Ok(None) => break,
            Err(fault) => {
                seen.faults.push(fault);
                return Err(seen.faults);
            }
        };
        let line = numbered.line;
        match numbered.read {
            Line::Header => is_export = true,
            Line::Trailer { users, groups, others } => end = Some((users, groups, others)),
            Line::Bad(_) => seen.found.bad += 1,
            Line::Row(row) => seen.row(catalog, line, *row),
        }
        if seen.rows() > IMPORT_ROWS_MAX {
            let what = format!("the file has more than {IMPORT_ROWS_MAX} rows; split it");
            seen.faults.push(Fault::at(line, what));
            return Err(seen.faults);
        }
        if seen.faults.len() >= FAULTS_TOLD_MAX {
            seen.faults.push(Fault::file("and perhaps others"));
            return Err(seen.faults);
        }
    }
    seen.faults.extend(cut_off(is_export, end, &seen.found, ending));
    if seen.rows() == 0 && seen.faults.is_empty() && !is_export {
        seen.faults.push(Fault::file("the file has a header and no rows"));
    }
    if seen.faults.is_empty() { Ok(seen.done()) } else { Err(seen.faults) }
}

/// Whether an export has lost its end.
fn cut_off(
    is_export: bool,
    end: Option<(u64, u64, u64)>,
    found: &Survey,
    ending: Ending,
) -> Option<Fault> {
    let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
    let read = (count(found.users), count(found.groups), count(found.others));
    if ending == Ending::MayBeMissing {
        return None;
    }
    let Some(end) = end else {
        let what = "the export is cut off: its last line with the counts is missing; export again, or add --partial to \
                    import what is there";
        return is_export.then(|| Fault::file(what));
    };
    let is_whole = end == read || found.bad > 0;
    (!is_whole).then(|| {
        let told = |(users, groups, others): (u64, u64, u64)| match others {
            0 => format!("{users} people and {groups} groups"),
            others => format!("{users} people, {groups} groups and {others} others"),
        };
        let (end, read) = (told(end), told(read));
        Fault::file(format!(
            "the export's last line counts {end}, and there are {read}; take the whole export, or add --partial to import \
             what is there"
        ))
    })
}

/// What has been read so far.
struct Seen<'a> {
    tenant: &'a TenantId,
    settings: &'a Settings,
    found: Survey,
    faults: Vec<Fault>,
    ids: HashMap<ResourceId, usize>,
    app_ids: HashMap<(Kind, String), usize>,
    /// The folded name, and whether the row has an id.
    names: HashMap<(Kind, String), (usize, bool)>,
    external_ids: HashMap<(Kind, String), usize>,
    ignored: Vec<(String, usize, usize)>,
}

impl<'a> Seen<'a> {
    fn new(tenant: &'a TenantId, settings: &'a Settings) -> Self {
        Self {
            tenant,
            settings,
            found: Survey::default(),
            faults: Vec::new(),
            ids: HashMap::new(),
            app_ids: HashMap::new(),
            names: HashMap::new(),
            external_ids: HashMap::new(),
            ignored: Vec::new(),
        }
    }

    fn rows(&self) -> usize {
        let Survey { users, groups, others, continued, bad, warnings: _ } = &self.found;
        users + groups + others + continued + bad
    }

    fn row(&mut self, catalog: &Catalog, line: usize, row: Row) {
        if row.app_id.is_some() && self.settings.resource_format < RESOURCE_FORMAT {
            if self.app_ids.is_empty() {
                let what = format!(
                    "this tenant's items cannot hold an {APP_ID} yet; run `scimctl migrate {}` first",
                    self.tenant
                );
                self.faults.push(Fault::at(line, what));
            }
            // Told once.
            self.app_ids.insert((row.kind, String::new()), line);
        }
        for name in &row.ignored {
            let has_room = self.ignored.len() < FAULTS_TOLD_MAX;
            match self.ignored.iter_mut().find(|(known, ..)| known == name) {
                Some((_, _, count)) => *count += 1,
                // Names are the file's own: whoever has a new one in each row is told of the first ones.
                None if has_room => {
                    self.ignored.push((name.clone(), line, 1));
                }
                None => {}
            }
        }
        if row.continued {
            self.found.continued += 1;
            return;
        }
        match row.kind {
            Kind::User => self.found.users += 1,
            Kind::Group => self.found.groups += 1,
            Kind::Custom(_) => self.found.others += 1,
        }
        if let Ok(prepared) = Prepared::new(catalog, row) {
            self.twice(line, &prepared);
        }
    }

    /// Tells what another row has, too.
    fn twice(&mut self, line: usize, prepared: &Prepared) {
        let (row, document) = (&prepared.row, &prepared.document);
        let kind = row.kind;
        let noun = match kind {
            Kind::User => "person",
            Kind::Group => "group",
            Kind::Custom(name) => name,
        };
        let mut twice = |what: &str, value: &str, first: usize| {
            let value = shown(value);
            self.faults.push(Fault::at(
                line,
                format!("{what} \"{value}\" is in line {first}, too; a file has each {noun} once"),
            ));
        };
        if let Some(identity) = &row.identity {
            match self.ids.entry(identity.id) {
                Entry::Occupied(first) => {
                    twice(well_known::ID, &identity.id.to_string(), *first.get());
                }
                Entry::Vacant(free) => drop(free.insert(line)),
            }
        }
        if let Some(app_id) = &row.app_id {
            match self.app_ids.entry((kind, app_id.clone())) {
                Entry::Occupied(first) => twice(APP_ID, app_id, *first.get()),
                Entry::Vacant(free) => drop(free.insert(line)),
            }
        }
        if let Some(name) = document.text(name_of(kind)) {
            let has_id = row.identity.is_some();
            let free = match kind {
                Kind::User => false,
                Kind::Group => self.settings.group_names == GroupNames::Free,
                Kind::Custom(_) => true,
            };
            match self.names.entry((kind, compared(kind, name))) {
                // Where names may be shared, ids tell the groups apart.
                Entry::Occupied(first) if free && has_id && first.get().1 => {}
                Entry::Occupied(first) => twice(name_of(kind), name, first.get().0),
                Entry::Vacant(unused) => drop(unused.insert((line, has_id))),
            }
        }
        if let Some(external_id) = document.external_id() {
            match self.external_ids.entry((kind, external_id.to_owned())) {
                Entry::Occupied(first) if self.found.warnings.len() < FAULTS_TOLD_MAX => {
                    self.found.warnings.push(format!(
                        "line {line}: {} \"{}\" is in line {}, too; an identity provider that matches by it finds both",
                        well_known::EXTERNAL_ID,
                        shown(external_id),
                        first.get()
                    ));
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(free) => drop(free.insert(line)),
            }
        }
    }

    fn done(mut self) -> Survey {
        for (name, line, count) in &self.ignored {
            self.found.warnings.push(format!(
                "line {line}: the attribute \"{}\" is not kept, here and in {} other rows; the schemas lack it, or it is \
                 never stored",
                shown(name),
                count - 1
            ));
        }
        self.found
    }
}
