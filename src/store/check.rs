//! Proves a tenant's data whole, and repairs what is not: every user with its id item, match items and back; every
//! group with its name and lock and back; every membership with its inverse; the last change of every resource in the
//! journal; counters, the counts of held changes, tokens, the registry; nothing left over.
//!
//! The tenant may be written to meanwhile. So what one pass over the partition suspects is read again, twice in a row,
//! before it is believed, and each repair is a write on the condition that everything still is as it was read. An item
//! that cannot be read is reported and never touched: a newer version may have written it. Neither is anything that a
//! job is still sweeping.
//!
//! What it cannot see, because it never scans: rows of the secrets table whose metadata is gone.

mod circles;
mod counters;
mod facts;
mod held;
mod journal;
mod registry;
mod repair;
mod rules;
mod tokens;

use std::collections::{BTreeSet, HashSet};

use facts::Facts;
use rules::Suspect;

use super::item::ItemReader;
use super::keys::{self, Key};
use super::read::by_key;
use super::settings::Settings;
use super::{Cx, Store, StoreError, TenantId};
use crate::moment::Moment;

/// Items that one look at the partition reads at most; DynamoDB stops at 1 MB before that.
const ITEMS_PER_PAGE: usize = 1_000;
/// Suspicions that are looked at again together.
const SUSPECTS_PER_LOOK: usize = 15;
/// How often a look starts again because something was written meanwhile.
const LOOKS_MAX: usize = 5;
/// Passes over the partition: a repair can bring another finding to light, for example the memberships of a person
/// whose id item led nowhere.
const PASSES_MAX: usize = 10;
/// Jobs that one look considers; a tenant has a handful at the very most.
const WORK_READ_MAX: usize = 1_000;

/// Who writes the repairs, for the journal.
const ACTOR: &str = "scimctl check";

/// Whether findings are only told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are; nothing is written.
    Report,
    /// They are repaired where that can be done without guessing.
    Repair,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many items are read in this pass.
    Read {
        /// Counted from 1.
        pass: usize,
        /// Items so far.
        items: usize,
    },
    /// So many changes are looked up in the journal, of so many.
    LookedUp {
        /// Looked up so far.
        changes: usize,
        /// Of so many.
        of: usize,
    },
    /// So many suspicions are looked at, of so many.
    Looked {
        /// Looked at so far.
        suspects: usize,
        /// Of so many.
        of: usize,
    },
}

/// What became of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was told.
    Found,
    /// It was repaired, in this way.
    Repaired(&'static str),
    /// A person has to decide; what to do.
    ByHand(&'static str),
}

/// Something that is not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What sort of finding, in one word for scripts.
    pub sort: &'static str,
    /// The key of the item that it is about.
    pub item: String,
    /// What is wrong, in a sentence.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a check has read and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Items of the tenant's partition.
    pub items: usize,
    /// Users among them.
    pub users: usize,
    /// Groups among them.
    pub groups: usize,
    /// Memberships, counted once each.
    pub memberships: usize,
    /// Passes over the partition.
    pub passes: usize,
    /// Jobs that are not finished yet: the scheduled job does that.
    pub jobs: usize,
    /// What was found, in order of what it is about.
    pub findings: Vec<Finding>,
    /// Suspicions about what was written to again and again, so that nothing can be said: run it again.
    pub unsettled: usize,
}

impl Report {
    /// Findings that were not repaired.
    pub fn left(&self) -> usize {
        let left = |finding: &&Finding| match finding.outcome {
            Outcome::Found | Outcome::ByHand(_) => true,
            Outcome::Repaired(_) => false,
        };
        self.findings.iter().filter(left).count()
    }

    /// Nothing is wrong (any more), and everything could be looked at.
    pub fn is_whole(&self) -> bool {
        self.left() == 0 && self.unsettled == 0
    }
}

impl Store {
    /// Checks a tenant. `None` when there is no such tenant. Each step takes a moment of its own from `moments`, because
    /// a whole check takes longer than a request may.
    ///
    /// # Errors
    /// When the tables cannot be read or, in [`Mode::Repair`], written. Repairs that were done stay done.
    pub async fn check(
        &self,
        moments: &dyn Fn() -> Moment,
        tenant: &TenantId,
        mode: Mode,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<Report>, StoreError> {
        let mut repaired = Vec::new();
        let mut pass = 1;
        loop {
            let Some((settings, _)) = self.settings(&moments(), tenant).await? else {
                return Ok(None);
            };
            let check = Check { store: self, tenant, settings: &settings, moments, mode };
            let mut report = check.pass(pass, progress).await?;
            report.passes = pass;
            let is_repaired = |finding: &Finding| matches!(finding.outcome, Outcome::Repaired(_));
            let done = report.findings.iter().filter(|finding| is_repaired(finding)).count();
            let again = mode == Mode::Repair && done + report.unsettled > 0;
            if !again || pass == PASSES_MAX {
                repaired.append(&mut report.findings);
                report.findings = repaired;
                return Ok(Some(report));
            }
            // What could not be repaired is found again by the next pass.
            repaired.extend(report.findings.into_iter().filter(is_repaired));
            pass += 1;
        }
    }
}

/// One pass over one tenant.
struct Check<'a> {
    store: &'a Store,
    tenant: &'a TenantId,
    settings: &'a Settings,
    moments: &'a dyn Fn() -> Moment,
    mode: Mode,
}

impl<'a> Check<'a> {
    fn cx<'b>(&'b self, moment: &'b Moment) -> Cx<'b> {
        Cx { tenant: self.tenant, settings: self.settings, actor: ACTOR, moment }
    }

    async fn pass(
        &self,
        pass: usize,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Report, StoreError> {
        let mut facts = self.read(pass, progress).await?;
        self.look_up_changes(&mut facts, progress).await?;
        let mut report = Report {
            items: facts.items,
            users: facts.users.len(),
            groups: facts.groups.len(),
            memberships: facts.members.len(),
            jobs: facts.work.len(),
            ..Report::default()
        };
        let suspects: Vec<Suspect> = rules::suspects(&facts, self.settings).into_iter().collect();
        let mut looked = 0;
        for chunk in suspects.chunks(SUSPECTS_PER_LOOK) {
            self.look(chunk, &mut report).await?;
            looked += chunk.len();
            progress(Progress::Looked { suspects: looked, of: suspects.len() });
        }
        for kind in facts.kinds() {
            self.check_counter(kind, &facts, &mut report).await?;
        }
        self.check_held(&facts, &mut report).await?;
        self.check_registry(&mut report).await?;
        if facts.tokens_are_readable {
            self.check_tokens(&mut report).await?;
        }
        Ok(report)
    }

    /// The whole partition, page by page.
    async fn read(
        &self,
        pass: usize,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Facts<'a>, StoreError> {
        let mut facts = Facts::new(self.store.catalog(), self.settings);
        let mut after: Option<Key> = None;
        loop {
            let moment = (self.moments)();
            let tenant = self.tenant.as_str();
            let page =
                self.store.query(&moment, tenant, "", after.as_ref(), ITEMS_PER_PAGE).await?;
            for item in &page.items {
                facts.add(item);
            }
            progress(Progress::Read { pass, items: facts.items });
            after = page.next;
            if after.is_none() {
                return Ok(facts);
            }
        }
    }

    /// Looks at suspicions again, and tells or repairs those that hold.
    async fn look(&self, suspects: &[Suspect], report: &mut Report) -> Result<(), StoreError> {
        let evidence: BTreeSet<Key> = suspects.iter().flat_map(Suspect::evidence).collect();
        let Some(facts) = self.snapshot(evidence).await? else {
            report.unsettled += suspects.len();
            return Ok(());
        };
        let confirmed: HashSet<Suspect> =
            rules::suspects(&facts, self.settings).into_iter().collect();
        for suspect in suspects.iter().filter(|suspect| confirmed.contains(*suspect)) {
            let outcome = match self.mode {
                Mode::Report => Some(Outcome::Found),
                Mode::Repair => self.repair(&facts, suspect).await?,
            };
            match outcome {
                Some(outcome) => report.findings.push(suspect.finding(outcome)),
                None => report.unsettled += 1,
            }
        }
        Ok(())
    }

    /// These items, what their id items lead to, and the jobs, as they were together at one instant: read twice, with
    /// the same result. `None` when that does not come about.
    async fn snapshot(&self, mut wanted: BTreeSet<Key>) -> Result<Option<Facts<'a>>, StoreError> {
        for _ in 0..LOOKS_MAX {
            let moment = (self.moments)();
            let before = self.get(&moment, &wanted).await?;
            let leads = before.iter().filter(|item| {
                Key::in_item(item).is_some_and(|key| key.as_str().starts_with(keys::IDS))
            });
            let leads = leads.filter_map(|item| ItemReader::new(item).ok()?.optional("ref"));
            let known = wanted.len();
            wanted.extend(leads.map(Key::stored).collect::<Vec<_>>());
            if wanted.len() > known {
                continue;
            }
            let tenant = self.tenant.as_str();
            let work = self.store.query_all(&moment, tenant, keys::WORK, WORK_READ_MAX).await?;
            // With more jobs than that, nothing can be said until they are done.
            let Some(work) = work else { return Ok(None) };
            let after = self.get(&moment, &wanted).await?;
            let (before, after) = (by_key(before), by_key(after));
            if before == after {
                let mut facts = Facts::new(self.store.catalog(), self.settings);
                after.values().chain(&work).for_each(|item| facts.add(item));
                self.look_up_changes(&mut facts, &mut |_| {}).await?;
                return Ok(Some(facts));
            }
        }
        Ok(None)
    }

    async fn get(
        &self,
        moment: &Moment,
        wanted: &BTreeSet<Key>,
    ) -> Result<Vec<super::item::Item>, StoreError> {
        let wanted: Vec<Key> = wanted.iter().cloned().collect();
        self.store.get_keys(moment, self.tenant.as_str(), &wanted).await
    }
}
