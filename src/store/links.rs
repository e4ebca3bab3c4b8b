//! Which account of the SaaS team's own app a resource is: noted beside the SCIM attributes, seen by no client, told in
//! the journal, and a way to find a person.

use super::journal::Event;
use super::keys;
use super::matches::APP_ID;
use super::members::{MemberChange, Members};
use super::resources::Step;
use super::write::Cancelled;
use super::{Cx, Store, StoreError};
use crate::scim::catalog::Kind;
use crate::scim::resource::Resource;

/// People with one account id that are read: more than two are one mistake, not several.
const HOLDERS_MAX: usize = 3;

/// Whether an account id of the app's can be noted: it is not empty, and fits the key that people are found by.
pub fn fits(app_id: &str) -> bool {
    !app_id.trim().is_empty() && keys::fits_match(APP_ID, app_id)
}

impl Store {
    /// Notes which account of the app's a resource is, or that it is none any more: a new version of it, so that no
    /// writer that has read it before can lose the note. What is so already is left alone.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is no longer as it was read.
    pub async fn link(
        &self,
        cx: &Cx<'_>,
        before: &Resource,
        app_id: Option<String>,
    ) -> Result<Resource, StoreError> {
        if before.app_id == app_id {
            return Ok(before.clone());
        }
        let mut after = before.with_document(before.document.clone(), cx.moment);
        after.app_id = app_id;
        let step = Step { before, after: &after, event: Event::Patch };
        let members = Members::assumed(before.id, MemberChange::default())?;
        self.write_step(cx, step, &members).await.map_err(Cancelled::error)
    }

    /// The people who are that account of the app's: one, when nobody has made a mistake.
    ///
    /// # Errors
    /// As any read.
    pub async fn people_of_app_id(
        &self,
        cx: &Cx<'_>,
        app_id: &str,
    ) -> Result<Vec<Resource>, StoreError> {
        if !keys::fits_match(APP_ID, app_id) {
            return Ok(Vec::new());
        }
        let prefix = keys::matching_prefix(APP_ID, app_id);
        let tenant = cx.tenant.as_str();
        let read = self.query_slice(cx.moment, tenant, &prefix, (0, HOLDERS_MAX)).await?;
        let ids = read.iter().filter_map(|item| keys::Key::in_item(item)?.last_id());
        self.get_many(cx, Kind::User, &ids.collect::<Vec<_>>()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_is_not_blank_and_fits_a_key() {
        assert!(fits("acc-7"));
        assert!(!fits("") && !fits(" \t"));
        assert!(!fits(&"7".repeat(2_000)));
    }
}
