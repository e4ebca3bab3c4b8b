//! Schemas of a deployment's own: every combination of characteristics in every operation, and what one tenant sees of
//! another one's.

mod command;
mod moves;
mod tenants;
mod toy;
mod types;
mod walk;

use std::sync::Arc;

use scim_endpoint::admin::tenants::set_schemas;
use scim_endpoint::scim::catalog::{Catalog, Kind};
use scim_endpoint::scim::resource::ResourceId;
use scim_endpoint::store::Settings;
use serde_json::{Map, Value, json};

use crate::app::{Answer, App};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// An app whose deployment has these files; nobody has switched anything on.
async fn deployed(files: &[(&str, &str)]) -> App {
    let catalog = Catalog::embedded_with(files).unwrap_or_else(|error| panic!("{error}"));
    App::start_with_catalog(Arc::new(catalog)).await
}

/// Switches these on for the first tenant.
async fn switch(app: &App, urns: &[&str]) {
    let urns: Vec<String> = urns.iter().map(|urn| (*urn).to_owned()).collect();
    set_schemas(app.store(), &app.moment(), &app.tenant(), &urns).await.unwrap();
}

/// A document that says that a schema extends a resource type.
fn extends(name: &str, urn: &str, required: bool) -> String {
    json!({ "name": name, "schemaExtensions": [{ "schema": urn, "required": required }] })
        .to_string()
}

async fn patch(app: &App, id: &str, operation: Value) -> Answer {
    let body = json!({ "schemas": [PATCH], "Operations": [operation] });
    app.call("PATCH", &format!("/Users/{id}"), body).await
}

/// What is stored of a user under a URN.
async fn stored(app: &App, id: &str, urn: &str) -> Map<String, Value> {
    let (moment, tenant, settings) = (app.moment(), app.tenant(), Settings::default());
    let cx = scim_endpoint::store::Cx {
        tenant: &tenant,
        settings: &settings,
        actor: "test",
        moment: &moment,
    };
    let id = ResourceId::parse(id).unwrap();
    let found = app.store().get(&cx, Kind::User, id).await.unwrap().unwrap();
    found.document.get(urn).and_then(Value::as_object).cloned().unwrap_or_default()
}
