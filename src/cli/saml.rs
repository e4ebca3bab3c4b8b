//! `scimctl tenant saml` and `saml-seen`: what is known of how a tenant's people sign in.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::args::tenant;
use super::output::{CliError, Output, minute, time_json};
use super::site::Site;
use crate::admin::{ACTOR, saml};
use crate::limits::SAML_METADATA_BYTES_MAX;
use crate::moment::Moment;
use crate::saml::{Allowed, Problem};
use crate::store::TenantId;
use crate::store::portal::{Saml, SamlState};

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["external", "metadata", "clear"]))]
pub(super) struct SamlArguments {
    /// Its name
    #[arg(value_parser = tenant)]
    tenant: TenantId,

    /// Its people's sign-in is set up elsewhere
    #[arg(long)]
    external: bool,

    /// Read this file: the directory's federation metadata XML
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,

    /// A host at which people may sign in, beside Microsoft's; repeat it for more
    #[arg(long = "allow-host", value_name = "HOST", requires = "metadata", value_parser = Allowed::parse)]
    allowed: Vec<Allowed>,

    /// Forget what is known of it
    #[arg(long)]
    clear: bool,
}

pub(super) async fn change(
    arguments: SamlArguments,
    (site, moment): (&Site, &Moment),
    out: &mut Output,
) -> Result<(), CliError> {
    let SamlArguments { tenant, external, metadata, allowed, clear: _ } = arguments;
    let (store, by) = (&site.store, (&tenant, ACTOR));
    let after = if let Some(file) = metadata {
        let bytes = read(&file)?;
        let metadata = crate::saml::read(&bytes, moment.now(), &Allowed::all(allowed));
        let metadata = metadata.map_err(|problems| {
            let told: Vec<String> = problems.iter().map(Problem::to_string).collect();
            CliError::new(format!("{}: {}", file.display(), told.join("; ")))
        })?;
        saml::describe(store, moment, by, &metadata).await?
    } else if external {
        saml::external(store, moment, by).await?
    } else {
        saml::clear(store, moment, by).await?
    };
    show(&tenant, &after, out)
}

pub(super) async fn seen(
    tenant: &TenantId,
    (site, moment): (&Site, &Moment),
    out: &mut Output,
) -> Result<(), CliError> {
    let after = saml::seen(&site.store, moment, (tenant, ACTOR)).await?;
    show(tenant, &after, out)
}

/// Not more of a file than any metadata has.
fn read(file: &PathBuf) -> Result<Vec<u8>, CliError> {
    use std::io::Read as _;
    let most = u64::try_from(SAML_METADATA_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let done = std::fs::File::open(file).and_then(|open| open.take(most).read_to_end(&mut bytes));
    done.map_err(|error| CliError::new(format!("{} cannot be read: {error}", file.display())))?;
    Ok(bytes)
}

fn show(tenant: &TenantId, saml: &Saml, out: &mut Output) -> Result<(), CliError> {
    out.write(
        || format!("The sign-in of {tenant}: {}.", text(saml)),
        || json!({ "tenant": tenant.as_str(), "saml": json(saml) }),
    )
}

/// What is known of it, for people.
pub(super) fn text(saml: &Saml) -> String {
    let state = match saml.state {
        SamlState::None => "not set up".to_owned(),
        SamlState::External => "set up elsewhere".to_owned(),
        SamlState::Described => "described, nobody has been seen to come in".to_owned(),
        SamlState::Seen => {
            let since = saml.seen_at.map(|at| format!(" on {}", minute(at))).unwrap_or_default();
            format!("somebody came in{since}")
        }
    };
    let who = saml.entity_id.as_ref().map(|id| format!("; {id}")).unwrap_or_default();
    let ends = saml.certificate_ends.map(|at| format!("; its certificate ends {}", minute(at)));
    format!("{state}{who}{}", ends.unwrap_or_default())
}

/// What is known of it, for scripts.
pub(super) fn json(saml: &Saml) -> Value {
    json!({
        "state": saml.state.word(),
        "entity_id": saml.entity_id,
        "sso_url": saml.sso_url,
        "certificate_ends": time_json(saml.certificate_ends),
        "described": time_json(saml.described_at),
        "seen": time_json(saml.seen_at),
    })
}
