//! `scimctl schema`, and the schema files that other commands are given.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Host;
use super::output::{CliError, Output, counted, table};
use crate::limits::SCHEMA_BYTES_MAX;
use crate::scim::catalog::{Catalog, ResourceType};
use crate::scim::custom::{Custom, Extension};
use crate::store::TenantId;

/// The variable with the folder of schema files.
const FOLDER: &str = "SCIM_SCHEMAS";

#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    #[command(subcommand)]
    command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// Say what is wrong with schema files, or what they add. docs/SCHEMAS.md has the format
    Check {
        /// The files, or the folders that they are in: all that are to be deployed together
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(arguments: &SchemaArguments, out: &mut Output) -> Result<ExitCode, CliError> {
    let SchemaCommand::Check { files: paths } = &arguments.command;
    let catalog = read(&files(paths)?)?;
    let Custom { extensions, types } = catalog.custom();
    out.write(
        || {
            let row = |extension: &Extension| {
                let attributes = extension.schema.attributes.len();
                let attributes = counted(attributes, "attribute", "attributes");
                [extension.schema.urn.clone(), attributes, extends(extension)]
            };
            let own = |one: &ResourceType| {
                let attributes = one.schema.attributes.len();
                let attributes = counted(attributes, "attribute", "attributes");
                let is = format!("is {} at {}", one.kind.name(), one.endpoint);
                [one.schema.urn.clone(), attributes, is]
            };
            let rows = extensions.iter().map(row).chain(types.iter().map(own));
            table(["schema", "has", "does"], &rows.collect::<Vec<[String; 3]>>())
        },
        || {
            let schema = |extension: &Extension| {
                let extends = extension.extends.iter();
                let extends = extends
                    .map(|(kind, required)| json!({ "type": kind.name(), "required": required }));
                json!({
                    "schema": extension.schema.urn,
                    "attributes": extension.schema.attributes.len(),
                    "extends": extends.collect::<Vec<_>>(),
                })
            };
            let own = |one: &ResourceType| {
                json!({
                    "schema": one.schema.urn,
                    "attributes": one.schema.attributes.len(),
                    "type": one.kind.name(),
                    "endpoint": one.endpoint,
                })
            };
            let all = extensions.iter().map(schema).chain(types.iter().map(own));
            json!({ "schemas": all.collect::<Vec<_>>() })
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

fn extends(extension: &Extension) -> String {
    let types = extension.extends.iter().map(|(kind, required)| {
        let required = if *required { " (required)" } else { "" };
        format!("{}{required}", kind.name())
    });
    format!("extends {}", types.collect::<Vec<_>>().join(", "))
}

/// The folder that the environment names.
pub(super) fn folder(host: &Host) -> Option<PathBuf> {
    host.variable(FOLDER).map(PathBuf::from)
}

/// The catalog with the files of the folder that the environment names, when it does.
pub(super) fn catalog(host: &Host) -> Result<Option<Catalog>, CliError> {
    folder(host).map(|folder| read(&files(&[folder])?)).transpose()
}

fn read(files: &[(String, String)]) -> Result<Catalog, CliError> {
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let read = Catalog::embedded_with(&files.collect::<Vec<_>>());
    read.map_err(|error| CliError::new(error.to_string()))
}

/// Each file with its text; of a folder those that end in `.json`, by their names.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<(String, String)>, CliError> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
            let entries = entries.map(|entry| entry.map(|entry| entry.path()));
            let mut entries =
                entries.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(path, &error))?;
            entries.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
            entries.sort();
            found.extend(entries);
        } else {
            found.push(path.clone());
        }
    }
    found.iter().map(|path| Ok((path.display().to_string(), text_of(path)?))).collect()
}

/// The text of a file that is not so large that nobody would read it.
fn text_of(path: &Path) -> Result<String, CliError> {
    let size = fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if size > u64::try_from(SCHEMA_BYTES_MAX).unwrap_or(u64::MAX) {
        let what = format!("{} has more than {SCHEMA_BYTES_MAX} bytes", path.display());
        return Err(CliError::new(what));
    }
    fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(format!("{} cannot be read: {error}", path.display()))
}

/// The schemas that a tenant has.
pub(super) fn text(schemas: &[String]) -> String {
    if schemas.is_empty() { "none".to_owned() } else { schemas.join(", ") }
}

/// Says which schemas a tenant has from now on.
pub(super) fn switched(
    tenant: &TenantId,
    schemas: &[String],
    out: &mut Output,
) -> Result<(), CliError> {
    out.write(
        || match schemas {
            [] => format!(
                "Within 30 s, the tenant {tenant} has no schema of your own; what was stored under one stays stored until a PUT."
            ),
            _ => format!("Within 30 s, the tenant {tenant} has {}.", schemas.join(", ")),
        },
        || -> Value { json!({ "tenant": tenant.as_str(), "schemas": schemas }) },
    )
}
