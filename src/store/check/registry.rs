//! The registry against the tenant: its row, by which the tenant is listed and its jobs are found.

use super::super::item::{bare, text};
use super::super::keys::REGISTRY;
use super::super::tenants::registry_key;
use super::super::trace::Trace;
use super::super::write::{Cancelled, Condition, Role};
use super::super::{Cx, Store, StoreError};
use super::{Check, Finding, Mode, Outcome, Report};

impl Check<'_> {
    /// The tenant has its row in the registry.
    pub(super) async fn check_registry(&self, report: &mut Report) -> Result<(), StoreError> {
        let moment = (self.moments)();
        let key = registry_key(self.tenant);
        if self.store.get_key(&moment, REGISTRY, &key).await?.is_some() {
            return Ok(());
        }
        let outcome = match self.mode {
            Mode::Report => Outcome::Found,
            Mode::Repair => {
                self.store.restore_registry_row(&self.cx(&moment)).await?;
                Outcome::Repaired("the row was written")
            }
        };
        report.findings.push(Finding {
            sort: "not-registered",
            item: key.to_string(),
            what: "the tenant is not in the registry, so it is not listed and its jobs are not run"
                .to_owned(),
            outcome,
        });
        Ok(())
    }
}

impl Store {
    /// Writes a tenant's row in the registry where it is missing.
    ///
    /// # Errors
    /// As any write.
    pub async fn restore_registry_row(&self, cx: &Cx<'_>) -> Result<(), StoreError> {
        let Some((_, created)) = self.settings(cx.moment, cx.tenant).await? else { return Ok(()) };
        let key = registry_key(cx.tenant);
        let done = self
            .commit(cx.moment, REGISTRY, Trace::Written(key.clone()), |t| {
                let mut row = bare(REGISTRY, &key);
                row.insert("created".to_owned(), text(created.to_string()));
                t.put(Role::Part(0), &self.tables.directory, row, Condition::Absent)?;
                Ok(())
            })
            .await;
        match done {
            // It is there, which is what is wanted.
            Ok(()) | Err(Cancelled::Parts(_)) => Ok(()),
            Err(Cancelled::Error(error)) => Err(error),
        }
    }
}
