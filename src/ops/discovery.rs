//! GET of what the service is: `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas` (RFC 7644 §4).

use serde_json::Value;

use super::{Call, Failure, Reply};
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::{discovery, list};

/// The service provider's configuration. A filter is ignored, as on every endpoint that does not know a parameter.
pub fn service_provider_config(call: &Call<'_>) -> Reply {
    Reply::Document { body: discovery::service_provider_config(call.base) }
}

/// All resource types, or one by its id.
///
/// # Errors
/// 404 when there is none with that id.
pub fn resource_types(call: &Call<'_>, id: Option<&str>) -> Result<Reply, Failure> {
    let catalog = call.catalog;
    match id {
        None => Ok(all(discovery::resource_types(catalog, call.base))),
        Some(id) => one(discovery::resource_type(catalog, call.base, id), "resource type"),
    }
}

/// All schemas, or one by its URN.
///
/// # Errors
/// 404 when there is none with that URN.
pub fn schemas(call: &Call<'_>, urn: Option<&str>) -> Result<Reply, Failure> {
    let (catalog, names) = (call.catalog, call.caller.settings().group_names);
    match urn {
        None => Ok(all(discovery::schemas(catalog, call.base, names))),
        Some(urn) => one(discovery::schema(catalog, call.base, urn, names), "schema"),
    }
}

fn all(documents: Vec<Value>) -> Reply {
    Reply::Document { body: list::response(documents.len(), 1, documents) }
}

fn one(document: Option<Value>, noun: &str) -> Result<Reply, Failure> {
    let detail = format!("there is no {noun} with this id");
    let document = document.ok_or_else(|| ScimError::new(ErrorKind::NotFound, detail))?;
    Ok(Reply::Document { body: document })
}
