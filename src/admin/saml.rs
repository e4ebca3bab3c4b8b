//! What is known of how a tenant's people sign in: the directory's metadata, or that the team has it elsewhere, and
//! whether the team's app has seen somebody come in.

use super::{AdminError, not_deleting, with_settings_as};
use crate::moment::Moment;
use crate::saml::Metadata;
use crate::store::portal::{Saml, SamlCertificate, SamlState};
use crate::store::{Store, TenantId};

/// Keeps what a directory says of its sign-in. Somebody who has come in before has come in still, when only the
/// certificates are new.
///
/// # Errors
/// When there is no such tenant, or it is being deleted.
pub async fn describe(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    metadata: &Metadata,
) -> Result<Saml, AdminError> {
    change(store, moment, by, |before| Ok(described(before, moment, metadata))).await
}

/// The same by the customer's admin, who cannot take back that the team has it elsewhere.
///
/// # Errors
/// As [`describe`], and when it is set up elsewhere.
pub async fn describe_in_portal(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    metadata: &Metadata,
) -> Result<Saml, AdminError> {
    let (tenant, _) = by;
    change(store, moment, by, |before| match before.state {
        SamlState::External => Err(AdminError::ExternalSaml(tenant.clone())),
        SamlState::None | SamlState::Described | SamlState::Seen => {
            Ok(described(before, moment, metadata))
        }
    })
    .await
}

/// What is known then; `None` when that is nothing new.
fn described(before: &Saml, moment: &Moment, metadata: &Metadata) -> Option<Saml> {
    let entity_id = Some(metadata.entity_id.clone());
    let sso_url = Some(metadata.sso_url.clone());
    let same = before.entity_id == entity_id && before.sso_url == sso_url;
    let seen_at = before.seen_at.filter(|_| same);
    let certificates = metadata.certificates.iter().map(|certificate| SamlCertificate {
        subject: certificate.subject.clone(),
        fingerprint: certificate.fingerprint.clone(),
        valid_until: certificate.valid_until,
    });
    let after = Saml {
        state: if seen_at.is_some() { SamlState::Seen } else { SamlState::Described },
        entity_id,
        sso_url,
        certificate_ends: Some(metadata.certificate_ends),
        certificates: certificates.collect(),
        described_at: Some(moment.now()),
        seen_at,
    };
    // The same file once more is no change.
    let unchanged = Saml { described_at: after.described_at, ..before.clone() } == after;
    (!unchanged).then_some(after)
}

/// Marks the sign-in as set up elsewhere.
///
/// # Errors
/// When there is no such tenant, or it is being deleted.
pub async fn external(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
) -> Result<Saml, AdminError> {
    change(store, moment, by, |before| {
        let after = Saml { state: SamlState::External, ..Saml::default() };
        Ok((before.state != SamlState::External).then_some(after))
    })
    .await
}

/// Forgets what is known of the sign-in. SCIM stays as it is.
///
/// # Errors
/// When there is no such tenant, or it is being deleted.
pub async fn clear(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
) -> Result<Saml, AdminError> {
    change(store, moment, by, |before| Ok((*before != Saml::default()).then(Saml::default))).await
}

/// Notes that the team's app has seen somebody sign in. The app may say so each time: only the first is written. What is
/// set up elsewhere stays so.
///
/// # Errors
/// When there is no such tenant, nothing is known of its sign-in, or it is being deleted.
pub async fn seen(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
) -> Result<Saml, AdminError> {
    let (tenant, _) = by;
    change(store, moment, by, |before| {
        let state = match before.state {
            // Otherwise SCIM could be switched on although nobody has said how people sign in.
            SamlState::None => return Err(AdminError::NoSaml(tenant.clone())),
            SamlState::External => SamlState::External,
            SamlState::Described | SamlState::Seen => SamlState::Seen,
        };
        let seen_at = Some(moment.now());
        Ok(before.seen_at.is_none().then(|| Saml { state, seen_at, ..before.clone() }))
    })
    .await
}

async fn change(
    store: &Store,
    moment: &Moment,
    by: (&TenantId, &str),
    to: impl Fn(&Saml) -> Result<Option<Saml>, AdminError>,
) -> Result<Saml, AdminError> {
    with_settings_as(store, moment, by, async |cx| {
        not_deleting(cx.tenant, cx.settings)?;
        let before = store.saml(cx).await?;
        let Some(after) = to(&before)? else { return Ok(before) };
        store.set_saml(cx, &after).await?;
        Ok(after)
    })
    .await
}
