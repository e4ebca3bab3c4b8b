//! Which resource types there are and which schemas they are made of (RFC 7643 §6), read from `schemas/`.
//!
//! The catalog is built once, at start. It resolves attribute paths: every other module asks it what a name means
//! and never looks names up by itself.

use serde_json::{Value, json};

use super::custom::{self, Custom, Extension};
use super::path::AttrPath;
use super::schema::{Attribute, Schema, SchemaError, text};
use super::well_known;

include!(concat!(env!("OUT_DIR"), "/embedded_schemas.rs"));

/// The resource types of this server. Each selects data, never code; a group's members are the one exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// People (RFC 7643 §4.1).
    User,
    /// Groups (RFC 7643 §4.2).
    Group,
    /// A resource type of whoever deploys, by its name.
    Custom(&'static str),
}

impl Kind {
    /// The resource types of the RFC, which every tenant has.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// The resource type's name, as in `meta.resourceType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::Custom(name) => name,
        }
    }

    /// The attribute whose values are stored apart, one item each: a group's members.
    pub fn stored_apart(self) -> Option<&'static str> {
        match self {
            Self::User | Self::Custom(_) => None,
            Self::Group => Some(well_known::MEMBERS),
        }
    }

    /// The attribute that is computed from other resources' memberships when it is asked for: a user's groups.
    pub fn computed(self) -> Option<&'static str> {
        match self {
            Self::User => Some(well_known::GROUPS),
            Self::Group | Self::Custom(_) => None,
        }
    }

    /// The kind of that name, of those of the RFC.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A resource type with its schemas at hand.
#[derive(Clone, Debug)]
pub struct ResourceType {
    /// Which one.
    pub kind: Kind,
    /// Where its resources are, below the base path, such as `/Users`.
    pub endpoint: String,
    /// Its core schema.
    pub schema: Schema,
    /// Its extensions, in order.
    pub extensions: Vec<Schema>,
    /// The URNs of those that each resource has to have.
    pub required: Vec<String>,
    /// The attributes that every resource has (RFC 7643 §3.1): `id`, `externalId`, `meta`, `schemas`.
    pub common: Vec<Attribute>,
    /// The file's content, as `/ResourceTypes` gives it out (without `meta`).
    pub json: Value,
}

/// What an attribute path means in a resource type.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The extension that holds it; none for core and common attributes.
    pub extension: Option<&'a Schema>,
    /// The attribute; none when the path names an extension as a whole.
    pub attribute: Option<&'a Attribute>,
    /// The sub-attribute, when the path names one.
    pub sub: Option<&'a Attribute>,
}

impl<'a> Target<'a> {
    /// The attribute whose values the path selects: the sub-attribute if there is one.
    pub fn leaf(&self) -> Option<&'a Attribute> {
        self.sub.or(self.attribute)
    }
}

impl ResourceType {
    /// What `path` means here. A name without a URN is looked for among the core and the common attributes, then in
    /// the extensions (Entra sends plain `manager`). `None` when the schemas lack it.
    pub fn resolve(&self, path: &AttrPath) -> Option<Target<'_>> {
        if let Some(extension) = self.extension(&path.to_string()) {
            return Some(Target { extension: Some(extension), attribute: None, sub: None });
        }
        let (extension, attribute) = match path.urn() {
            Some(urn) if self.schema.urn.eq_ignore_ascii_case(urn) => (None, self.own(path)?),
            Some(urn) => {
                let extension = self.extension(urn)?;
                (Some(extension), extension.attribute(path.name())?)
            }
            None => match self.own(path) {
                Some(attribute) => (None, attribute),
                None => self.extensions.iter().find_map(|extension| {
                    extension.attribute(path.name()).map(|attribute| (Some(extension), attribute))
                })?,
            },
        };
        let sub = match path.sub() {
            None => None,
            Some(name) => Some(attribute.sub(name)?),
        };
        Some(Target { extension, attribute: Some(attribute), sub })
    }

    /// The extension with that URN, in any letter case.
    pub fn extension(&self, urn: &str) -> Option<&Schema> {
        self.extensions.iter().find(|extension| extension.urn.eq_ignore_ascii_case(urn))
    }

    /// The core or common attribute of that name, in any letter case.
    pub fn attribute_named(&self, name: &str) -> Option<&Attribute> {
        self.schema
            .attribute_named(name)
            .or_else(|| self.common.iter().find(|attribute| attribute.name.is(name)))
    }

    /// Every schema URN of this resource type, the core one first.
    pub fn urns(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.schema).chain(&self.extensions).map(|schema| schema.urn.as_str())
    }

    /// One more extension.
    fn extend(&mut self, schema: &Schema, required: bool) {
        self.extensions.push(schema.clone());
        if required {
            self.required.push(schema.urn.clone());
        }
        let entry = json!({ "schema": schema.urn, "required": required });
        if let Some(json) = self.json.as_object_mut() {
            let listed = json.entry("schemaExtensions").or_insert_with(|| json!([]));
            if let Some(listed) = listed.as_array_mut() {
                listed.push(entry);
            }
        }
    }

    fn own(&self, path: &AttrPath) -> Option<&Attribute> {
        self.attribute_named(path.name().as_str())
    }

    fn read(json: &str, schemas: &[Schema], common: &Schema) -> Result<Self, SchemaError> {
        let json: Value = serde_json::from_str(json)
            .map_err(|e| SchemaError(format!("a resource type file is not JSON: {e}")))?;
        let name = text(&json, "name", "resource type")?;
        let kind = Kind::from_name(name)
            .ok_or_else(|| SchemaError(format!("{name}: no such resource type")))?;
        let find = |urn: &str| {
            let found = schemas.iter().find(|schema| schema.urn == urn);
            found.cloned().ok_or_else(|| SchemaError(format!("{name}: no schema file for {urn}")))
        };
        let extensions = json.get("schemaExtensions").and_then(Value::as_array);
        Ok(Self {
            kind,
            endpoint: text(&json, "endpoint", name)?.to_owned(),
            schema: find(text(&json, "schema", name)?)?,
            extensions: extensions
                .into_iter()
                .flatten()
                .map(|extension| find(text(extension, "schema", name)?))
                .collect::<Result<Vec<_>, _>>()?,
            required: Vec::new(),
            common: common.attributes.clone(),
            json: json.clone(),
        })
    }
}

/// Everything that `schemas/` says: what every tenant has, and what else one may have.
#[derive(Clone, Debug)]
pub struct Catalog {
    users: ResourceType,
    groups: ResourceType,
    others: Vec<ResourceType>,
    schemas: Vec<Schema>,
    custom: Custom,
}

impl Catalog {
    /// Reads the files that were built in: `schemas/*.json`, `schemas/resource-types/*.json`, `schemas/common/*.json`,
    /// and, of whoever deploys, `schemas/custom/*.json`.
    ///
    /// # Errors
    /// [`SchemaError`] when a file is not a schema, or a resource type names one that is not there.
    pub fn embedded() -> Result<Self, SchemaError> {
        Self::embedded_with(CUSTOM_FILES)
    }

    /// As [`Catalog::embedded`], with these files instead of those of whoever deployed, each by its name and its text.
    ///
    /// # Errors
    /// As [`Catalog::embedded`].
    pub fn embedded_with(files: &[(&str, &str)]) -> Result<Self, SchemaError> {
        let schemas =
            SCHEMA_FILES.iter().map(|json| Schema::parse(json)).collect::<Result<Vec<_>, _>>()?;
        let common = Schema::parse(COMMON_FILE)?;
        let read = |kind: Kind| {
            let types = RESOURCE_TYPE_FILES
                .iter()
                .map(|json| ResourceType::read(json, &schemas, &common))
                .collect::<Result<Vec<_>, _>>()?;
            types
                .into_iter()
                .find(|resource_type| resource_type.kind == kind)
                .ok_or_else(|| SchemaError(format!("no resource type file for {}", kind.name())))
        };
        let (users, groups) = (read(Kind::User)?, read(Kind::Group)?);
        let custom = custom::read(files, &schemas, &[&users, &groups])?;
        Ok(Self { users, groups, others: Vec::new(), schemas, custom })
    }

    /// What a tenant has with these schemas, by their URNs. One that is not deployed (any more) is none.
    #[must_use]
    pub fn with(&self, urns: &[String]) -> Self {
        let mut whole = Self { custom: Custom::default(), ..self.clone() };
        let chosen = |urn: &String| urns.contains(urn);
        let others = self.custom.types.iter().filter(|other| chosen(&other.schema.urn));
        whole.others = others.cloned().collect();
        whole.schemas.extend(whole.others.iter().map(|other| other.schema.clone()));
        for Extension { schema, extends } in
            self.custom.extensions.iter().filter(|extension| chosen(&extension.schema.urn))
        {
            whole.schemas.push(schema.clone());
            for (kind, required) in extends {
                let resource_type = match kind {
                    Kind::User => Some(&mut whole.users),
                    Kind::Group => Some(&mut whole.groups),
                    Kind::Custom(_) => whole.others.iter_mut().find(|other| other.kind == *kind),
                };
                if let Some(resource_type) = resource_type {
                    resource_type.extend(schema, *required);
                }
            }
        }
        whole
    }

    /// What a tenant may have beside what every tenant has.
    pub fn custom(&self) -> &Custom {
        &self.custom
    }

    /// Every resource type that a tenant has.
    pub fn kinds(&self) -> Vec<Kind> {
        let others = self.others.iter().map(|other| other.kind);
        Kind::ALL.into_iter().chain(others).collect()
    }

    /// Every resource type that some tenant can have: what is stored of one that a tenant has switched off is still there.
    pub fn deployed(&self) -> Vec<Kind> {
        let others = self.custom.types.iter().map(|other| other.kind);
        Kind::ALL.into_iter().chain(others).collect()
    }

    /// The resource type of that name, if the tenant has it.
    pub fn kind_named(&self, name: &str) -> Option<Kind> {
        self.kinds().into_iter().find(|kind| kind.name() == name)
    }

    /// The resource type whose resources are there, such as `Users`.
    pub fn kind_at(&self, endpoint: &str) -> Option<Kind> {
        let is_at =
            |kind: &Kind| self.resource_type(*kind).endpoint.strip_prefix('/') == Some(endpoint);
        self.kinds().into_iter().find(is_at)
    }

    /// The resource type of that kind.
    pub fn resource_type(&self, kind: Kind) -> &ResourceType {
        match kind {
            Kind::User => &self.users,
            Kind::Group => &self.groups,
            // Whoever has such a kind has it from this catalog, so that it is there.
            Kind::Custom(_) => {
                self.others.iter().find(|other| other.kind == kind).unwrap_or(&self.users)
            }
        }
    }

    /// Every published schema.
    pub fn schemas(&self) -> &[Schema] {
        &self.schemas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_apart_or_computed_is_an_attribute_of_the_schema() {
        let catalog = Catalog::embedded().unwrap();
        for kind in Kind::ALL {
            let schema = &catalog.resource_type(kind).schema;
            for name in [kind.stored_apart(), kind.computed()].into_iter().flatten() {
                assert!(schema.attribute_named(name).is_some_and(|a| a.multi_valued), "{name}");
            }
        }
        let of = |kind: Kind| (kind.stored_apart(), kind.computed());
        assert_eq!(of(Kind::User), (None, Some(well_known::GROUPS)));
        assert_eq!(of(Kind::Group), (Some(well_known::MEMBERS), None));
    }
}
