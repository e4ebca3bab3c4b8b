//! Which person or group of the tenant a row is, and what of it is different there.
//!
//! In this order: by id (a row of an export), by name, by the app's account id. What is there is the directory's: a row
//! that contradicts it is told and not forced. Two people are never made one: a row that fits two, or whose externalId is
//! another's, is a conflict.

use serde_json::{Map, Value, json};

use super::row::{APP_ID, Row};
use super::shown;
use super::table::{compared, name_of};
use crate::scim::catalog::{Catalog, Kind, ResourceType};
use crate::scim::discovery::GroupNames;
use crate::scim::document::Document;
use crate::scim::error::ScimError;
use crate::scim::fold::fold;
use crate::scim::patch::PatchRequest;
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::{validate, well_known};
use crate::store::plan::Plan;
use crate::store::{Cx, Store, StoreError};

/// A row that a POST would take.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) row: Row,
    pub(super) document: Document,
}

/// What there is of a row.
#[derive(Debug)]
pub(super) enum Finding {
    /// Nobody has its names.
    New,
    /// This is it.
    There(Box<Resource>),
    /// It contradicts what is there; how.
    Conflict(String),
}

impl Prepared {
    /// Reads the resource as a POST does.
    ///
    /// # Errors
    /// What a POST would be told.
    pub(super) fn new(catalog: &Catalog, row: Row) -> Result<Self, ScimError> {
        let rt = catalog.resource_type(row.kind);
        let body = Value::Object(row.body.clone());
        let mut document = validate::document(rt, &body)?;
        // An export says everything: who has no `active` there has none, and must not come in by being restored.
        if row.identity.is_some() && !names(&row.body, well_known::ACTIVE) {
            document.take(well_known::ACTIVE);
        }
        Ok(Self { row, document })
    }

    /// What it is named by.
    pub(super) fn name(&self) -> &str {
        self.document.text(name_of(self.row.kind)).unwrap_or_default()
    }

    /// Whether somebody has its name.
    fn is_named_as(&self, there: &Resource) -> bool {
        let (kind, named) = (self.row.kind, there.document.text(name_of(self.row.kind)));
        named.map(|name| compared(kind, name)) == Some(compared(kind, self.name()))
    }

    /// Looks for it.
    ///
    /// # Errors
    /// As any read.
    pub(super) async fn find(&self, store: &Store, cx: &Cx<'_>) -> Result<Finding, StoreError> {
        let found = match &self.row.identity {
            Some(identity) => self.find_by_id(store, cx, identity.id).await?,
            None => self.find_by_names(store, cx).await?,
        };
        match (&found, &self.row.app_id) {
            (Finding::Conflict(_), _) | (_, None) => return Ok(found),
            (Finding::There(there), Some(app_id)) if there.app_id.as_ref() == Some(app_id) => {
                return Ok(found);
            }
            (Finding::New | Finding::There(_), Some(app_id)) => {
                let own = if let Finding::There(there) = &found { Some(there.id) } else { None };
                if let Some(other) = self.holder(store, cx, app_id, own).await? {
                    return Ok(Finding::Conflict(format!(
                        "{APP_ID} \"{}\" belongs to {}",
                        shown(app_id),
                        described(&other)
                    )));
                }
            }
        }
        Ok(found)
    }

    /// Somebody else who is that account of the app's. Only people are found by theirs.
    async fn holder(
        &self,
        store: &Store,
        cx: &Cx<'_>,
        app_id: &str,
        own: Option<ResourceId>,
    ) -> Result<Option<Resource>, StoreError> {
        if self.row.kind != Kind::User {
            return Ok(None);
        }
        let holders = store.people_of_app_id(cx, app_id).await?;
        Ok(holders.into_iter().find(|holder| Some(holder.id) != own))
    }

    async fn find_by_id(
        &self,
        store: &Store,
        cx: &Cx<'_>,
        id: ResourceId,
    ) -> Result<Finding, StoreError> {
        let there = store.get(cx, self.row.kind, id).await?;
        if let Some(there) = &there
            && self.is_named_as(there)
        {
            return Ok(Finding::There(Box::new(there.clone())));
        }
        let may_share = match self.row.kind {
            Kind::User => false,
            Kind::Group => cx.settings.group_names == GroupNames::Free,
            // No name of theirs is unique.
            Kind::Custom(_) => true,
        };
        if !may_share && let Some(other) = named(store, cx, self.row.kind, self.name()).await?.pop()
        {
            return Ok(Finding::Conflict(format!("its name belongs to {}", described(&other))));
        }
        if let Some(there) = there {
            return Ok(Finding::There(Box::new(there)));
        }
        let other_kind = match self.row.kind {
            Kind::User => Kind::Group,
            Kind::Group | Kind::Custom(_) => Kind::User,
        };
        Ok(match store.get(cx, other_kind, id).await? {
            Some(other) => Finding::Conflict(format!("its id belongs to {}", described(&other))),
            None => Finding::New,
        })
    }

    async fn find_by_names(&self, store: &Store, cx: &Cx<'_>) -> Result<Finding, StoreError> {
        let mut found = named(store, cx, self.row.kind, self.name()).await?;
        if let (true, Kind::User, Some(app_id)) =
            (found.is_empty(), self.row.kind, &self.row.app_id)
        {
            found = store.people_of_app_id(cx, app_id).await?;
        }
        let Some(there) = found.pop() else { return Ok(Finding::New) };
        if let Some(other) = found.pop() {
            return Ok(Finding::Conflict(format!(
                "it fits {} and {}; give the row the id of one of them",
                described(&there),
                described(&other)
            )));
        }
        let (ours, theirs) = (self.document.external_id(), there.document.external_id());
        if let (Some(ours), Some(theirs)) = (ours, theirs)
            && ours != theirs
        {
            return Ok(Finding::Conflict(format!(
                "{} is \"{}\" in the file, and \"{}\" for {}; it may be somebody else",
                well_known::EXTERNAL_ID,
                shown(ours),
                shown(theirs),
                described(&there)
            )));
        }
        Ok(Finding::There(Box::new(there)))
    }

    /// The document of what is there with the row's values over it: what the row does not name stays, and the values of
    /// lists are added.
    ///
    /// # Errors
    /// What a PATCH would be told.
    pub(super) fn over(&self, rt: &ResourceType, there: &Resource) -> Result<Document, ScimError> {
        let named = name_of(self.row.kind);
        // The letter case of a name is nobody's business: it is the same name.
        let is_same = self.is_named_as(there);
        let is_given = |name: &str, value: &Value| {
            let is_empty = value.is_null() || value.as_str() == Some("");
            let is_no_news = is_same && name.eq_ignore_ascii_case(named);
            !(is_empty || is_no_news)
        };
        let given = self.row.body.iter().filter(|(name, value)| is_given(name, value));
        let given: Map<String, Value> =
            given.map(|(name, value)| (name.clone(), value.clone())).collect();
        let body = json!({ "Operations": [{ "op": "add", well_known::VALUE: given }] });
        PatchRequest::parse(rt, &body)?.apply(rt, &there.document)
    }
}

/// Whether a body gives an attribute of the core schema a value.
fn names(body: &Map<String, Value>, name: &str) -> bool {
    let mut given = body.iter().filter(|(_, value)| !value.is_null());
    given.any(|(key, _)| key.eq_ignore_ascii_case(name))
}

/// Those who have a name: one at most, but for groups whose names may be shared, and for other types.
pub(super) async fn named(
    store: &Store,
    cx: &Cx<'_>,
    kind: Kind,
    name: &str,
) -> Result<Vec<Resource>, StoreError> {
    match (kind, cx.settings.group_names) {
        (Kind::User, _) => Ok(store.get_by_user_name(cx, name).await?.into_iter().collect()),
        (Kind::Group, GroupNames::Unique) => {
            Ok(store.get_by_unique_name(cx, name).await?.into_iter().collect())
        }
        (Kind::Custom(_), _) => {
            store.candidates(cx, kind, &Plan::ExternalId(name.to_owned())).await
        }
        (Kind::Group, GroupNames::Free) => {
            let mut found = store.candidates(cx, kind, &Plan::GroupName(name.to_owned())).await?;
            let wanted = fold(name);
            found.retain(|group| {
                group.document.text(well_known::DISPLAY_NAME).map(fold).as_ref() == Some(&wanted)
            });
            Ok(found)
        }
    }
}

/// A person or a group, for a sentence.
pub(super) fn described(resource: &Resource) -> String {
    let name = resource.document.text(name_of(resource.kind)).unwrap_or_default();
    let noun = match resource.kind {
        Kind::User => "person",
        Kind::Group => "group",
        Kind::Custom(name) => name,
    };
    format!("the {noun} \"{}\" (id {})", shown(name), resource.id)
}

/// Names of the attributes in which two documents differ.
pub(super) fn differences(before: &Document, after: &Document) -> Vec<String> {
    let (before, after) = (before.attributes(), after.attributes());
    let mut names = Vec::new();
    let keys = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    for name in keys.filter(|name| before.get(*name) != after.get(*name)) {
        let inner = |side: &Map<String, Value>| side.get(name).and_then(Value::as_object).cloned();
        match (inner(before), inner(after)) {
            (Some(old), Some(new)) => {
                let inner = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
                let inner = inner.filter(|inner| old.get(*inner) != new.get(*inner));
                let separator = if name.starts_with("urn:") { ':' } else { '.' };
                names.extend(inner.map(|inner| format!("{name}{separator}{inner}")));
            }
            (_, _) => names.push(name.clone()),
        }
    }
    names
}
