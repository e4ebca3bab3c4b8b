//! The three tables: their names, and their definitions. `template.yaml` says the same; a test compares them.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};

use super::error::backend;
use super::{Store, StoreError};

/// The index of Directory by `tenant` and `externalId`.
pub const EXTERNAL_ID_INDEX: &str = "externalId";

/// The attribute that DynamoDB's TTL reads.
pub const EXPIRES: &str = "expires";

/// The names of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Users, groups, memberships, settings.
    pub directory: String,
    /// Bearer tokens by digest.
    pub secrets: String,
    /// The provisioning log, audit trail and change feed.
    pub journal: String,
}

impl Tables {
    /// The names that the local server uses.
    pub fn local() -> Self {
        Self {
            directory: "scim-directory".to_owned(),
            secrets: "scim-secrets".to_owned(),
            journal: "scim-journal".to_owned(),
        }
    }
}

/// A table as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Which one: `Directory`, `Secrets` or `Journal`.
    pub role: &'static str,
    /// The partition key, a string.
    pub hash: &'static str,
    /// The sort key, a string.
    pub range: Option<&'static str>,
    /// A global index: its name and sort key; its partition key is the table's. It projects `id`.
    pub index: Option<(&'static str, &'static str)>,
    /// Whether the table has a stream of new images.
    pub stream: Stream,
    /// The attribute that DynamoDB's TTL reads.
    pub ttl: Option<&'static str>,
}

/// Whether a table has a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// It has one, of new images.
    NewImage,
    /// It has none.
    None,
}

/// What the three tables have to be.
pub fn definitions() -> [Definition; 3] {
    [
        Definition {
            role: "Directory",
            hash: "tenant",
            range: Some("key"),
            index: Some((EXTERNAL_ID_INDEX, "externalId")),
            stream: Stream::None,
            ttl: Some(EXPIRES),
        },
        Definition {
            role: "Secrets",
            hash: "digest",
            range: None,
            index: None,
            stream: Stream::None,
            ttl: Some(EXPIRES),
        },
        Definition {
            role: "Journal",
            hash: "tenant",
            range: Some("at"),
            index: None,
            stream: Stream::NewImage,
            ttl: Some(EXPIRES),
        },
    ]
}

impl Store {
    /// Creates those of the tables that are not there. For the embedded engine and tests: a deployed stack's tables are
    /// CloudFormation's. Streams are left out: nobody reads them there, and the embedded engine finds the number of each
    /// record by looking at all that were before it.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub async fn create_tables(&self) -> Result<(), StoreError> {
        let names = [&self.tables.directory, &self.tables.secrets, &self.tables.journal];
        let existing = self.client.list_tables().send().await.map_err(backend)?;
        for (definition, name) in definitions().iter().zip(names) {
            if !existing.table_names().contains(name) {
                self.create_table(definition, name).await?;
            }
        }
        Ok(())
    }

    async fn create_table(&self, definition: &Definition, name: &str) -> Result<(), StoreError> {
        let mut request = self
            .client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(string_attribute(definition.hash)?)
            .key_schema(key(definition.hash, KeyType::Hash)?);
        if let Some(range) = definition.range {
            request = request
                .attribute_definitions(string_attribute(range)?)
                .key_schema(key(range, KeyType::Range)?);
        }
        if let Some((index, range)) = definition.index {
            let projection = Projection::builder()
                .projection_type(ProjectionType::Include)
                .non_key_attributes("id")
                .build();
            let index = GlobalSecondaryIndex::builder()
                .index_name(index)
                .key_schema(key(definition.hash, KeyType::Hash)?)
                .key_schema(key(range, KeyType::Range)?)
                .projection(projection)
                .build()
                .map_err(backend)?;
            request = request
                .attribute_definitions(string_attribute(range)?)
                .global_secondary_indexes(index);
        }
        request.send().await.map_err(backend)?;
        if let Some(ttl) = definition.ttl {
            let ttl = TimeToLiveSpecification::builder()
                .attribute_name(ttl)
                .enabled(true)
                .build()
                .map_err(backend)?;
            let request = self.client.update_time_to_live().table_name(name);
            request.time_to_live_specification(ttl).send().await.map_err(backend)?;
        }
        Ok(())
    }
}

fn string_attribute(name: &str) -> Result<AttributeDefinition, StoreError> {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .map_err(backend)
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, StoreError> {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(backend)
}
