//! What only the operator's commands and the portal write: tenants and tokens. The function that answers SCIM calls nothing
//! of it, and its role in `template.yaml` does not let it: it can make no token, and take none away.

mod tenants;
mod tokens;

use super::item::text;
use super::journal::Event;
use super::write::{Condition, Role, Transaction};
use super::{Cx, Store, StoreError};

impl Store {
    /// Adds to a transaction that moves the settings that the journal tells of it; `about` is the id of the link or token
    /// that it is about, or empty.
    pub(super) fn add_told(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        event: Option<Event>,
        about: &str,
    ) -> Result<(), StoreError> {
        let Some(event) = event else { return Ok(()) };
        let mut item = self.item_of_tenant(cx, t.at(), (event, cx.settings.version + 1));
        if !about.is_empty() {
            item.insert("about".to_owned(), text(about));
        }
        t.put(Role::Free, &self.tables.journal, item, Condition::Any)
    }
}
