//! A tenant as a file: its people in order of creation, then its groups with their members, then its resources of other
//! types, one JSON object a line.
//!
//! What it writes, `import` reads, and it writes all that there is or nothing. Memory is bounded whatever the tenant's size. It is no snapshot: each person and each
//! group is as it was when it was read, and who comes while it runs may be missing. It has no tokens.

use std::io::Write;

use serde_json::{Map, Value, json};

use super::TransferError;
use super::patience::Place;
use super::row::{
    APP_ID, CONTINUED, CREATED, END, EXPORT, FORMAT, KIND, LAST_MODIFIED, OTHERS, RESOURCE, VERSION,
};
use crate::limits::{MEMBERS_CHANGED_MAX, PAGE_MAX};
use crate::moment::Moment;
use crate::scim::catalog::{Kind, ResourceType};
use crate::scim::resource::{Resource, ResourceId};
use crate::scim::schema::Attribute;
use crate::scim::well_known;
use crate::store::settings::word_of;
use crate::store::{Cx, Settings, Store, TenantId};

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// People.
    pub users: usize,
    /// Groups.
    pub groups: usize,
    /// Memberships.
    pub memberships: usize,
    /// Resources of other types.
    pub others: usize,
}

/// Writes a tenant to `out`. `progress` is told how far it is.
///
/// # Errors
/// When the tables cannot be read or the output cannot be written; what is written then has no last line, and import
/// refuses it. When there are resources of a type that the tenant has not: then nothing is written.
pub async fn export(
    (store, moments): (&Store, &dyn Fn() -> Moment),
    tenant: &TenantId,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(Exported),
) -> Result<Exported, TransferError> {
    let place = Place { store, moments, tenant };
    let settings = place.settings().await?;
    let kinds = store.catalog_of(&settings).kinds();
    let step = async |cx: &Cx<'_>| store.counts(cx).await;
    let counts = place.patiently(&settings, step).await?;
    let has = |name: &str| kinds.iter().any(|kind| kind.name() == name);
    let left: Vec<(String, i64)> =
        counts.into_iter().filter(|(name, count)| *count > 0 && !has(name)).collect();
    if !left.is_empty() {
        return Err(TransferError::LeftOut(tenant.clone(), left));
    }
    let mut job = Export { place, settings, out, progress, done: Exported::default() };
    job.header()?;
    for kind in kinds {
        job.walk(kind).await?;
    }
    job.trailer()?;
    Ok(job.done)
}

/// An export under way.
struct Export<'a> {
    place: Place<'a>,
    settings: Settings,
    out: &'a mut dyn Write,
    progress: &'a mut dyn FnMut(Exported),
    done: Exported,
}

impl Export<'_> {
    fn header(&mut self) -> Result<(), TransferError> {
        let mut header = json!({
            "tenant": self.place.tenant.as_str(),
            "format": FORMAT,
            "at": (self.place.moments)().now().to_string(),
            // What a tenant that takes it has to be created with.
            "matchAttributes": self.settings.match_attributes,
            "groupNames": word_of(self.settings.group_names),
        });
        if let (Some(header), false) = (header.as_object_mut(), self.settings.schemas.is_empty()) {
            header.insert("schemas".to_owned(), json!(self.settings.schemas));
        }
        self.line(&json!({ EXPORT: header }))
    }

    fn trailer(&mut self) -> Result<(), TransferError> {
        let Exported { users, groups, memberships, others } = self.done;
        let mut end = json!({ "users": users, "groups": groups, "memberships": memberships });
        if let (Some(end), 1..) = (end.as_object_mut(), others) {
            end.insert(OTHERS.to_owned(), json!(others));
        }
        self.line(&json!({ END: end }))?;
        self.out.flush().map_err(TransferError::Output)
    }

    fn line(&mut self, value: &Value) -> Result<(), TransferError> {
        writeln!(self.out, "{value}").map_err(TransferError::Output)
    }

    async fn walk(&mut self, kind: Kind) -> Result<(), TransferError> {
        let store = self.place.store;
        let mut after = None;
        loop {
            let step = async |cx: &Cx<'_>| store.resources_after(cx, kind, after, PAGE_MAX).await;
            let page = self.place.patiently(&self.settings, step).await?;
            for resource in &page.resources {
                match kind {
                    Kind::User => {
                        let line = self.row(resource, &[]);
                        self.line(&line)?;
                        self.done.users += 1;
                    }
                    Kind::Group => self.group(resource).await?,
                    Kind::Custom(_) => {
                        let line = self.row(resource, &[]);
                        self.line(&line)?;
                        self.done.others += 1;
                    }
                }
            }
            (self.progress)(self.done);
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// A group and its members: those that one line does not hold follow in lines of their own.
    async fn group(&mut self, group: &Resource) -> Result<(), TransferError> {
        let store = self.place.store;
        let mut after = None;
        let mut is_first = true;
        loop {
            let step = async |cx: &Cx<'_>| {
                let sweeping = store.sweeping(cx).await?;
                store.members_after(cx, &sweeping, (group.id, after), MEMBERS_CHANGED_MAX).await
            };
            let (members, next) = self.place.patiently(&self.settings, step).await?;
            let ids = members.iter().map(|member| member.id).collect::<Vec<_>>();
            self.done.memberships += ids.len();
            let line = if is_first { self.row(group, &ids) } else { more_members(group, &ids) };
            self.line(&line)?;
            is_first = false;
            after = next;
            if after.is_none() {
                break;
            }
            (self.progress)(self.done);
        }
        self.done.groups += 1;
        Ok(())
    }

    fn row(&self, resource: &Resource, members: &[ResourceId]) -> Value {
        let catalog = self.place.store.catalog_of(&self.settings);
        let rt = catalog.resource_type(resource.kind);
        let mut row = json!({
            KIND: resource.kind.name(),
            well_known::ID: resource.id.to_string(),
            VERSION: resource.version,
            CREATED: resource.created.to_string(),
            LAST_MODIFIED: resource.last_modified.to_string(),
        });
        if let Some(row) = row.as_object_mut() {
            row.extend(resource.app_id.clone().map(|id| (APP_ID.to_owned(), Value::from(id))));
            row.insert(RESOURCE.to_owned(), Value::Object(in_order(rt, resource)));
            if !members.is_empty() {
                row.insert(well_known::MEMBERS.to_owned(), references(members));
            }
        }
        row
    }
}

fn more_members(group: &Resource, members: &[ResourceId]) -> Value {
    json!({
        KIND: group.kind.name(),
        well_known::ID: group.id.to_string(),
        CONTINUED: true,
        RESOURCE: {},
        well_known::MEMBERS: references(members),
    })
}

fn references(members: &[ResourceId]) -> Value {
    members.iter().map(|id| json!({ well_known::ID: id.to_string() })).collect()
}

/// The attributes in the schemas' order, so that two exports can be compared line by line.
fn in_order(rt: &ResourceType, resource: &Resource) -> Map<String, Value> {
    let mut left = resource.document.attributes().clone();
    let mut ordered = Map::new();
    let own = rt.common.iter().chain(&rt.schema.attributes);
    move_in_order(own, &mut left, &mut ordered);
    for extension in &rt.extensions {
        if let Some(Value::Object(mut inner)) = left.shift_remove(&extension.urn) {
            let mut kept = Map::new();
            move_in_order(extension.attributes.iter(), &mut inner, &mut kept);
            kept.extend(inner);
            ordered.insert(extension.urn.clone(), Value::Object(kept));
        }
    }
    // What an older version of the schemas had is not lost.
    ordered.extend(left);
    ordered
}

fn move_in_order<'a>(
    attributes: impl Iterator<Item = &'a Attribute>,
    from: &mut Map<String, Value>,
    to: &mut Map<String, Value>,
) {
    for attribute in attributes {
        let name = attribute.name.as_str();
        let value = match from.shift_remove(name) {
            None => continue,
            Some(Value::Array(values)) => {
                values.into_iter().map(|value| one_in_order(attribute, value)).collect()
            }
            Some(value) => one_in_order(attribute, value),
        };
        to.insert(name.to_owned(), value);
    }
}

fn one_in_order(attribute: &Attribute, value: Value) -> Value {
    let Value::Object(mut members) = value else { return value };
    let mut ordered = Map::new();
    move_in_order(attribute.sub_attributes.iter(), &mut members, &mut ordered);
    ordered.extend(members);
    Value::Object(ordered)
}
