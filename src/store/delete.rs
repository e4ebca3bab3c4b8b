//! Deleting a user or group: in one transaction with its memberships when they fit, else with a work item that sweeps
//! them afterwards.

use super::brake::Form;
use super::item::{key_of, key_of_resource, number, text};
use super::journal::Entry;
use super::keys::Key;
use super::resources::{Whole, at_version};
use super::trace::Trace;
use super::work::{Pairs, Work};
use super::write::{Cancelled, Condition, Role};
use super::{Cx, Store, StoreError};
use crate::limits::{MATCH_VALUES_MAX, TRANSACTION_ACTIONS_MAX};
use crate::scim::catalog::Kind;
use crate::scim::resource::Resource;
use uuid::Uuid;

/// Memberships that are listed before a delete; with more, they are swept afterwards.
const PAIRS_LISTED: usize = 15;

impl Store {
    /// Deletes a resource as it was read.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is no longer as it was read, a membership added meanwhile included.
    pub async fn delete(&self, cx: &Cx<'_>, read: &Whole) -> Result<(), StoreError> {
        let Whole { resource, memberships } = read;
        let memberships = *memberships;
        let mut pairs = Pairs::default();
        if resource.kind == Kind::Group || memberships > 0 {
            pairs = self.pairs_of(cx, resource.kind, resource.id, PAIRS_LISTED).await?;
        }
        let others = MATCH_VALUES_MAX + 7;
        let all_listed = pairs.left.len() < PAIRS_LISTED && pairs.members.len() < PAIRS_LISTED;
        let fits = all_listed && pairs.actions() + others <= TRANSACTION_ACTIONS_MAX;
        let sweep = (!fits).then(|| self.new_sweep(cx, resource));
        let harm = self.harm_of_end(cx, resource, &pairs).await?;
        if sweep.is_some() {
            pairs = Pairs::default();
        }
        let (form, at) = loop {
            let form = self.form(cx, resource.held, harm).await?;
            let work = (sweep.as_ref(), &form);
            match self.delete_once(cx, (resource, memberships), &pairs, work).await {
                Ok(at) => break (form, at),
                Err(cancelled) if Form::was_overtaken(&cancelled) => super::members::in_time(cx)?,
                Err(Cancelled::Parts(parts)) => pairs.correct(&parts),
                Err(Cancelled::Error(error)) => return Err(error),
            }
        };
        let sweep = match (sweep, form, at) {
            (Some(work), Form::Held, Some(at)) => Some(work.held_at(at)),
            // Where its end is held back is not known: the scheduled job reads it.
            (Some(_), Form::Held, None) => None,
            (sweep, _, _) => sweep,
        };
        match sweep {
            None => Ok(()),
            // The resource is gone: a fault from here on is the scheduled job's business.
            Some(work) => self.sweep_some(cx, &work).await.or(Ok(())),
        }
    }

    async fn delete_once(
        &self,
        cx: &Cx<'_>,
        (resource, memberships): (&Resource, u64),
        pairs: &Pairs,
        (sweep, form): (Option<&Work>, &Form),
    ) -> Result<Option<Uuid>, Cancelled> {
        let (tenant, table) = (cx.tenant.as_str(), self.tables.directory.as_str());
        let own = key_of_resource(resource)?;
        let trace = Key::of_id(resource.kind, resource.id);
        self.commit_at(cx.moment, tenant, Trace::Gone(trace.clone()), |t| {
            t.is_held = form.is_held();
            let listed = ("memberships", number(memberships));
            let mut as_read = at_version(resource);
            match resource.kind {
                Kind::User => {
                    let id_as_read = Condition::Equal(vec![("ref", text(own.as_str())), listed]);
                    t.delete(Role::Own, table, key_of(tenant, &trace), id_as_read)?;
                }
                Kind::Group | Kind::Custom(_) => {
                    if let Condition::Equal(terms) = &mut as_read {
                        terms.push(listed);
                    }
                }
            }
            t.delete(Role::Own, table, key_of(tenant, &own), as_read)?;
            self.add_names(t, cx, Some(resource), None)?;
            self.add_matches(t, cx, Some(resource), None)?;
            self.add_count(t, cx, resource.kind, -1)?;
            let removal = (resource.id, pairs);
            self.add_removal_of_pairs(t, cx, removal, (&Condition::Present, form))?;
            if let Some(work) = sweep {
                self.add_sweep(t, cx, work)?;
            }
            let mut entry = Entry::end(resource);
            entry.groups = pairs.groups();
            entry.removed.clone_from(&pairs.members);
            self.tell(t, cx, &entry, form)?;
            Ok(())
        })
        .await
    }
}
