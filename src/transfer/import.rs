//! A file into a tenant: the people, then the groups, the resources of other types, then who is a member of the groups.
//!
//! A row that is there is left alone, but for the app's account id, unless [`Existing::Updated`] says otherwise. Nothing is
//! ever deleted, no membership is taken away, and nobody who is inactive becomes active: that is the directory's to say.

use std::collections::HashSet;
use std::io::{BufRead, Seek, SeekFrom};

use futures_util::{StreamExt as _, stream};

use super::file::File;
use super::matching::{Finding, Prepared, differences};
use super::members;
use super::patience::Place;
use super::report::{Entry, Event, Existing, Options, Outcome, Phase, Report, Writing};
use super::row::{APP_ID, Identity, Line, Row};
use super::survey::survey;
use super::table::{compared, name_of};
use super::{Fault, TransferError};
use crate::limits::{IMPORT_IN_FLIGHT, IMPORT_ROWS_PER_STEP};
use crate::moment::Moment;
use crate::scim::catalog::{Catalog, Kind};
use crate::scim::document::Document;
use crate::scim::error::ScimError;
use crate::scim::fold::fold;
use crate::scim::resource::{Resource, ResourceId};
use crate::store::journal::Event as Change;
use crate::store::members::MemberChange;
use crate::store::{Cx, Settings, Store, StoreError, TenantId};

/// Imports a file, which is read several times from its beginning.
///
/// # Errors
/// [`TransferError::Faults`] before anything is written, when the file is not fit for it; otherwise when the store fails
/// again and again. What was written then stays, and the same import goes on.
pub async fn import<R: BufRead + Seek>(
    (store, moments): (&Store, &dyn Fn() -> Moment),
    tenant: &TenantId,
    input: &mut R,
    options: &Options,
    events: &mut dyn FnMut(Event),
) -> Result<Report, TransferError> {
    let place = Place { store, moments, tenant };
    let settings = place.settings().await?;
    let catalog = store.catalog_of(&settings);
    let mut file = open(&catalog, input, options)?;
    let found = survey(&mut file, &catalog, (tenant, &settings), options.ending);
    let survey = found.map_err(TransferError::Faults)?;
    events(Event::Surveyed(survey.clone()));
    let report = Report { survey, ..Report::default() };
    let known = Known::default();
    let mut job = Import { place, options, events, report, known };
    for phase in [Phase::People, Phase::Groups, Phase::Others, Phase::Members] {
        let mut file = open(&catalog, input, options)?;
        job.phase(phase, &mut file).await?;
    }
    Ok(job.report)
}

fn open<'a, R: BufRead + Seek>(
    catalog: &'a Catalog,
    input: &'a mut R,
    options: &Options,
) -> Result<File<'a, &'a mut R>, Fault> {
    input.seek(SeekFrom::Start(0)).map_err(|error| {
        Fault::file(format!(
            "the file has to be read twice, and cannot be ({error}); save it first"
        ))
    })?;
    File::open(catalog, options.kind, input)
}

/// What is known of the file's rows while it is being imported.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Lines that have nothing to add members to.
    pub(super) failed: HashSet<usize>,
    /// The folded names of groups that were refused: the lines that continue them are about somebody else's group.
    pub(super) failed_groups: HashSet<String>,
    /// Who would have been created, in a rehearsal: folded names, account ids, ids.
    pub(super) names: HashSet<(Kind, String)>,
    pub(super) app_ids: HashSet<String>,
    pub(super) ids: HashSet<ResourceId>,
}

/// An import under way.
pub(super) struct Import<'a> {
    pub(super) place: Place<'a>,
    pub(super) options: &'a Options,
    pub(super) events: &'a mut dyn FnMut(Event),
    pub(super) report: Report,
    pub(super) known: Known,
}

impl Import<'_> {
    /// One pass over the file for one phase, some rows at a time.
    async fn phase<R: BufRead>(
        &mut self,
        phase: Phase,
        file: &mut File<'_, R>,
    ) -> Result<(), TransferError> {
        let mut done = 0;
        loop {
            // The settings may change under a long import; and a tenant that is being deleted must stay empty.
            let settings = self.place.settings().await?;
            let mut rows = Vec::new();
            let mut last = None;
            while rows.len() < IMPORT_ROWS_PER_STEP {
                let Some(numbered) = file.next().map_err(TransferError::Changed)? else { break };
                last = Some(numbered.line);
                if numbered.line >= self.options.from_line {
                    rows.extend(self.wanted(phase, numbered.line, numbered.read));
                }
            }
            let Some(line) = last else { return Ok(()) };
            done += rows.len();
            match phase {
                Phase::People | Phase::Groups | Phase::Others => {
                    self.settle_all(&settings, rows).await?;
                }
                Phase::Members => {
                    for (line, row) in rows {
                        self.add_members(&settings, line, &row).await?;
                    }
                }
            }
            (self.events)(Event::Progress { phase, done, line });
        }
    }

    /// The rows that a phase is about. A line that cannot be read is told in the first one.
    fn wanted(&mut self, phase: Phase, line: usize, read: Line) -> Option<(usize, Row)> {
        let row = match read {
            Line::Header | Line::Trailer { .. } => return None,
            Line::Bad(why) => {
                if phase == Phase::People {
                    self.settled(Entry::unreadable(line, why));
                }
                return None;
            }
            Line::Row(row) => *row,
        };
        let is_wanted = match phase {
            Phase::People => row.kind == Kind::User && !row.continued,
            Phase::Groups => row.kind == Kind::Group && !row.continued,
            Phase::Others => matches!(row.kind, Kind::Custom(_)) && !row.continued,
            Phase::Members => !row.members.is_empty() && !self.has_failed(line, &row),
        };
        is_wanted.then_some((line, row))
    }

    /// Whether a group's own line, this one or the one that it continues, was refused.
    fn has_failed(&self, line: usize, row: &Row) -> bool {
        self.known.failed.contains(&line)
            || row.continued && self.known.failed_groups.contains(&fold(members::name(row)))
    }

    /// Settles rows, several at a time.
    async fn settle_all(
        &mut self,
        settings: &Settings,
        rows: Vec<(usize, Row)>,
    ) -> Result<(), TransferError> {
        let step = Settling { place: self.place, options: self.options, settings };
        let settled = rows.into_iter().map(|(line, row)| step.settle(line, row));
        // In their order, so that what is told is in the file's.
        let mut settled = stream::iter(settled).buffered(IMPORT_IN_FLIGHT);
        while let Some(entry) = settled.next().await {
            let entry = entry?;
            self.settled(entry);
        }
        Ok(())
    }

    pub(super) fn settled(&mut self, entry: Entry) {
        if entry.outcome.is_bad() {
            self.known.failed.insert(entry.line);
            if entry.kind == Some(Kind::Group) {
                self.known.failed_groups.insert(fold(&entry.name));
            }
        }
        if let (Writing::Rehearsed, Outcome::Created, Some(kind)) =
            (self.options.writing, entry.outcome, entry.kind)
        {
            self.known.names.insert((kind, compared(kind, &entry.name)));
            if kind == Kind::User {
                self.known.app_ids.extend(entry.app_id.clone());
            }
            self.known.ids.extend(entry.id);
        }
        self.report.add(entry.outcome);
        (self.events)(Event::Settled(entry));
    }
}

/// The settling of some rows.
#[derive(Clone, Copy)]
struct Settling<'a> {
    place: Place<'a>,
    options: &'a Options,
    settings: &'a Settings,
}

/// What became of a row, and whose id it has.
struct Done {
    outcome: Outcome,
    id: Option<ResourceId>,
    differs: Vec<String>,
    why: Option<String>,
}

impl Done {
    fn new(outcome: Outcome, id: Option<ResourceId>) -> Self {
        Self { outcome, id, differs: Vec::new(), why: None }
    }

    fn refused(outcome: Outcome, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::new(outcome, None) }
    }
}

impl Settling<'_> {
    /// One row.
    async fn settle(self, line: usize, row: Row) -> Result<Entry, TransferError> {
        let (kind, app_id) = (row.kind, row.app_id.clone());
        let given = row.body.iter().find(|(name, _)| name.eq_ignore_ascii_case(name_of(kind)));
        let name = given.and_then(|(_, name)| name.as_str()).unwrap_or_default().to_owned();
        let catalog = self.place.store.catalog_of(self.settings);
        let done = match Prepared::new(&catalog, row) {
            Err(error) => Done::refused(Outcome::Invalid, error.detail()),
            Ok(prepared) => {
                let step = async |cx: &Cx<'_>| self.attempt(cx, &prepared).await;
                match self.place.patiently(self.settings, step).await {
                    Ok(done) => done,
                    Err(error) => refusal(error)?,
                }
            }
        };
        let Done { outcome, id, differs, why } = done;
        Ok(Entry { line, kind: Some(kind), name, app_id, id, outcome, differs, why })
    }

    async fn attempt(&self, cx: &Cx<'_>, prepared: &Prepared) -> Result<Done, StoreError> {
        match prepared.find(self.place.store, cx).await? {
            Finding::Conflict(why) => Ok(Done::refused(Outcome::Conflict, why)),
            Finding::New => {
                let resource = new_resource(cx, prepared);
                if self.options.writing == Writing::Done {
                    self.place.store.create(cx, &resource, &[]).await?;
                }
                let id = self.options.writing == Writing::Done || prepared.row.identity.is_some();
                Ok(Done::new(Outcome::Created, id.then_some(resource.id)))
            }
            Finding::There(there) => self.meet(cx, prepared, *there).await,
        }
    }

    /// A row that is there.
    async fn meet(
        &self,
        cx: &Cx<'_>,
        prepared: &Prepared,
        there: Resource,
    ) -> Result<Done, StoreError> {
        let store = self.place.store;
        let catalog = store.catalog_of(self.settings);
        let merged = match prepared.over(catalog.resource_type(there.kind), &there) {
            Ok(merged) => merged,
            Err(error) => return Ok(Done::refused(Outcome::Invalid, error.detail())),
        };
        let updates = self.options.existing == Existing::Updated;
        let mut done = Done::new(Outcome::Unchanged, Some(there.id));
        done.differs = differences(&there.document, &merged);
        let app_id = prepared.row.app_id.clone().filter(|own| there.app_id.as_ref() != Some(own));
        if app_id.is_some() && there.app_id.is_some() {
            done.differs.push(APP_ID.to_owned());
        }
        if updates && reactivates(&there, &merged) {
            let why = "the person is inactive, and active in the file: only the identity provider lets somebody in again; \
                       correct the row, or take active out of it";
            return Ok(Done { outcome: Outcome::Conflict, why: Some(why.to_owned()), ..done });
        }
        let links = app_id.is_some() && (there.app_id.is_none() || updates);
        let changes = updates && merged != there.document;
        done.outcome = match (changes || (links && there.app_id.is_some()), links) {
            (true, _) => Outcome::Updated,
            (false, true) => Outcome::Linked,
            (false, false) if done.differs.is_empty() => Outcome::Unchanged,
            (false, false) => Outcome::Differs,
        };
        if self.options.writing == Writing::Done {
            let mut current = there;
            if links {
                current = store.link(cx, &current, app_id).await?;
            }
            if changes {
                let none = MemberChange::default();
                store.replace(cx, &current, merged, none, Change::Patch).await?;
            }
        }
        Ok(done)
    }
}

/// Whether somebody who may not come in would be let in.
fn reactivates(there: &Resource, merged: &Document) -> bool {
    there.kind == Kind::User && !there.document.is_active() && merged.is_active()
}

/// The resource that a row becomes. One of an export keeps its id and when it was created; its version goes on from a
/// number that no reader of the feed can have seen (`docs/adr/0022-versions-never-go-back.md`): whoever orders by version
/// would otherwise ignore what comes next.
fn new_resource(cx: &Cx<'_>, prepared: &Prepared) -> Resource {
    let document = prepared.document.clone();
    let mut resource = Resource::new(prepared.row.kind, document, cx.moment);
    resource.app_id.clone_from(&prepared.row.app_id);
    if let Some(Identity { id, version, created }) = prepared.row.identity {
        resource.id = id;
        resource.version = version.saturating_add(1).max(cx.moment.now().unix_millis());
        resource.created = created.unwrap_or(resource.created);
    }
    resource
}

/// What an error means for a row, unless it is the store's.
pub(super) fn refused(error: StoreError) -> Result<(Outcome, String), TransferError> {
    match error {
        StoreError::Refused(error) => Ok((Outcome::Invalid, ScimError::detail(&error).to_owned())),
        StoreError::TooLarge => {
            let why = "it is too large to be stored (about 350 kB); leave some attributes out";
            Ok((Outcome::Invalid, why.to_owned()))
        }
        StoreError::Corrupt(what) => {
            let why = format!("what is there cannot be read ({what}); run `scimctl check`");
            Ok((Outcome::Conflict, why))
        }
        StoreError::Taken(_) | StoreError::Stale | StoreError::StaleMidway => {
            let why = "it changed again and again, or its name is held by what is not there; run the import again, and \
                       if it stays so, `scimctl check`";
            Ok((Outcome::Conflict, why.to_owned()))
        }
        StoreError::Throttled | StoreError::Unavailable(_) | StoreError::Backend(_) => {
            Err(error.into())
        }
    }
}

fn refusal(error: StoreError) -> Result<Done, TransferError> {
    refused(error).map(|(outcome, why)| Done::refused(outcome, why))
}
