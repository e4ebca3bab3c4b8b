//! The catalogs of tenants that have schemas of their own: put together once for each set of schemas, and shared.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::limits::SCHEMA_SETS_KEPT;
use crate::scim::catalog::Catalog;

/// The sets that were asked for, by their URNs.
#[derive(Debug, Default)]
pub(super) struct Sets(RwLock<BTreeMap<Vec<String>, Arc<Catalog>>>);

impl Sets {
    /// What a tenant with these schemas has.
    pub(super) fn of(&self, usual: &Arc<Catalog>, urns: &[String]) -> Arc<Catalog> {
        if urns.is_empty() {
            return Arc::clone(usual);
        }
        // A set is never half written.
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(urns).cloned();
        known.unwrap_or_else(|| {
            let made = Arc::new(usual.with(urns));
            let mut sets = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if sets.len() < SCHEMA_SETS_KEPT {
                sets.insert(urns.to_vec(), Arc::clone(&made));
            }
            made
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_put_together_once_as_long_as_there_is_room() {
        let usual = Arc::new(Catalog::embedded().unwrap());
        let sets = Sets::default();
        let of = |number: usize| sets.of(&usual, &[format!("urn:example:{number}")]);
        assert!(Arc::ptr_eq(&sets.of(&usual, &[]), &usual));
        let first: Vec<Arc<Catalog>> = (0..SCHEMA_SETS_KEPT).map(of).collect();
        assert!(first.iter().enumerate().all(|(number, set)| Arc::ptr_eq(set, &of(number))));
        assert!(!Arc::ptr_eq(&of(SCHEMA_SETS_KEPT), &of(SCHEMA_SETS_KEPT)));
    }
}
