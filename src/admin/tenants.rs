//! Tenants: create, list, show, enable, disable. Their ends are in `release` and `delete`.

use super::portal::{self, Link};
use super::tokens::{self, Token};
use super::{ACTOR, AdminError, not_deleting, with_settings};
use crate::limits::{DOMAINS_MAX, MATCH_ATTRIBUTES_MAX, TENANT_SCHEMAS_MAX};
use crate::moment::{Moment, Timestamp};
use crate::scim::catalog::{Kind, ResourceType, Target};
use crate::scim::discovery::GroupNames;
use crate::scim::domain::Domain;
use crate::scim::path::AttrPath;
use crate::scim::schema::{Returned, Type};
use crate::scim::well_known;
use crate::store::portal::Saml;
use crate::store::settings::Status;
use crate::store::{Cx, Settings, Store, StoreError, TenantId};

/// Tenants that one look at the registry reads.
const TENANTS_PER_PAGE: usize = 100;

/// What is chosen when a tenant is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Attributes of users that are found by value. Empty: `emails.value`.
    pub match_attributes: Vec<String>,
    /// Whether two groups may have one name. It stays, as the match attributes do.
    pub group_names: GroupNames,
    /// Whether it is there to be rehearsed in.
    pub is_rehearsal: bool,
}

/// A tenant as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub tenant: TenantId,
    /// When it was created.
    pub created: Timestamp,
    /// Whether its calls are served; `None` when its settings are gone.
    pub status: Option<Status>,
    /// Whether it is there to be rehearsed in.
    pub is_rehearsal: bool,
}

/// A tenant with everything that its operator wants to know.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Its name.
    pub tenant: TenantId,
    /// When it was created.
    pub created: Timestamp,
    /// What it has chosen.
    pub settings: Settings,
    /// How many users it has.
    pub users: usize,
    /// How many groups it has.
    pub groups: usize,
    /// When its identity provider last called.
    pub last_call: Option<Timestamp>,
    /// When its identity provider last looked whether anybody answers (Test Connection).
    pub last_probe: Option<Timestamp>,
    /// When a call was last refused.
    pub last_refusal: Option<Timestamp>,
    /// Its tokens, oldest first.
    pub tokens: Vec<Token>,
    /// What is known of its people's sign-in.
    pub saml: Saml,
    /// Its setup links, oldest first.
    pub links: Vec<Link>,
}

/// Creates a tenant.
///
/// # Errors
/// When there is one of that name, or a match attribute is none.
pub async fn create(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    choice: &Choice,
) -> Result<Settings, AdminError> {
    create_as(store, moment, (tenant, Status::Enabled), choice).await
}

/// Creates a tenant with the usual settings that is switched off until its admin switches it on, unless it is there.
/// Returns whether it was not.
///
/// # Errors
/// When it is being deleted.
pub async fn prepare(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<bool, AdminError> {
    if let Some((settings, _)) = store.settings(moment, tenant).await? {
        return not_deleting(tenant, &settings).map(|()| false);
    }
    match create_as(store, moment, (tenant, Status::Disabled), &usual()).await {
        Ok(_) => Ok(true),
        Err(AdminError::TenantExists(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn create_as(
    store: &Store,
    moment: &Moment,
    (tenant, status): (&TenantId, Status),
    choice: &Choice,
) -> Result<Settings, AdminError> {
    let mut settings = Settings {
        status,
        group_names: choice.group_names,
        is_rehearsal: choice.is_rehearsal,
        ..Settings::default()
    };
    if !choice.match_attributes.is_empty() {
        let users = store.catalog().resource_type(Kind::User);
        settings.match_attributes = match_attributes(users, &choice.match_attributes)?;
    }
    let cx = Cx { tenant, settings: &settings, actor: ACTOR, moment };
    match store.create_tenant(&cx).await {
        Ok(()) => Ok(settings),
        Err(StoreError::Stale) => {
            if let Some((there, _)) = store.settings(moment, tenant).await? {
                not_deleting(tenant, &there)?;
            }
            Err(AdminError::TenantExists(tenant.clone()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Creates a tenant with the usual settings unless it is there.
///
/// # Errors
/// When it is being deleted.
pub async fn ensure(store: &Store, moment: &Moment, tenant: &TenantId) -> Result<(), AdminError> {
    if let Some((settings, _)) = store.settings(moment, tenant).await? {
        return not_deleting(tenant, &settings);
    }
    match create(store, moment, tenant, &usual()).await {
        Ok(_) | Err(AdminError::TenantExists(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What is chosen when nobody chooses.
fn usual() -> Choice {
    let (match_attributes, group_names) = (Vec::new(), GroupNames::Unique);
    Choice { match_attributes, group_names, is_rehearsal: false }
}

/// Every tenant, in order of their names.
///
/// # Errors
/// When the tables cannot be read.
pub async fn list(store: &Store, moment: &Moment) -> Result<Vec<Listed>, AdminError> {
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = store.tenants(moment, after.as_ref(), TENANTS_PER_PAGE).await?;
        for info in page.tenants {
            let settings = store.settings(moment, &info.tenant).await?;
            let settings = settings.map(|(settings, _)| settings);
            listed.push(Listed {
                tenant: info.tenant,
                created: info.created,
                status: settings.as_ref().map(|settings| settings.status),
                is_rehearsal: settings.is_some_and(|settings| settings.is_rehearsal),
            });
        }
        after = page.next;
        if after.is_none() {
            return Ok(listed);
        }
    }
}

/// Everything about one tenant.
///
/// # Errors
/// When there is none of that name.
pub async fn show(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<Overview, AdminError> {
    let found = store.settings(moment, tenant).await?;
    let (settings, created) = found.ok_or_else(|| AdminError::NoTenant(tenant.clone()))?;
    let cx = Cx { tenant, settings: &settings, actor: ACTOR, moment };
    let times = store.activity(&cx).await?;
    let time = |name: &str| times.get(name).copied();
    Ok(Overview {
        tenant: tenant.clone(),
        created,
        users: store.count(&cx, Kind::User).await?,
        groups: store.count(&cx, Kind::Group).await?,
        last_call: time("lastCall"),
        last_probe: time("lastProbe"),
        last_refusal: time("lastRefusal"),
        tokens: tokens::of(store, &cx).await?,
        saml: store.saml(&cx).await?,
        links: portal::of(store, &cx).await?,
        settings,
    })
}

/// Serves a tenant's calls again. Returns what it was before: the tokens of one that was released are revoked.
///
/// # Errors
/// When there is none of that name, or it is being deleted.
pub async fn enable(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
) -> Result<Status, AdminError> {
    set_status(store, moment, tenant, Status::Enabled).await
}

/// Refuses a tenant's calls with 403 from now on (within the time for which tokens are remembered).
///
/// # Errors
/// When there is none of that name, or it is being deleted, or it is released.
pub async fn disable(store: &Store, moment: &Moment, tenant: &TenantId) -> Result<(), AdminError> {
    set_status(store, moment, tenant, Status::Disabled).await.map(|_| ())
}

/// Marks a tenant as one to be rehearsed in, or takes the mark away. One that is so already is left alone.
///
/// # Errors
/// When there is none of that name, or it is being deleted.
pub async fn set_rehearsal(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    is_rehearsal: bool,
) -> Result<(), AdminError> {
    with_settings(store, moment, tenant, async |cx| {
        not_deleting(cx.tenant, cx.settings)?;
        if cx.settings.is_rehearsal != is_rehearsal {
            store.set_rehearsal(cx, is_rehearsal).await?;
        }
        Ok(())
    })
    .await
}

/// Names the e-mail domains of whom a tenant takes from now on; none: everybody. Who is there stays.
///
/// # Errors
/// When there is none of that name, it is being deleted, or there are too many.
pub async fn set_domains(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    domains: &[Domain],
) -> Result<(), AdminError> {
    let mut domains = domains.to_vec();
    domains.sort_unstable();
    domains.dedup();
    if domains.len() > DOMAINS_MAX {
        return Err(AdminError::TooManyDomains);
    }
    with_settings(store, moment, tenant, async |cx| {
        not_deleting(cx.tenant, cx.settings)?;
        if cx.settings.domains != domains {
            store.set_domains(cx, domains.clone()).await?;
        }
        Ok(())
    })
    .await
}

/// Switches these schemas of the deployment's own on for a tenant, by their URNs, and all others off; none: all off.
/// Returns the URNs as their schemas spell them.
///
/// # Errors
/// When there is none of that name, it is being deleted, there are too many, or one is not deployed.
pub async fn set_schemas(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    urns: &[String],
) -> Result<Vec<String>, AdminError> {
    let known: Vec<&str> = store.catalog().custom().urns().collect();
    let spelled = urns.iter().map(|urn| {
        let found = known.iter().find(|known| known.eq_ignore_ascii_case(urn.trim()));
        found.map(|known| (*known).to_owned()).ok_or_else(|| {
            let known = known.iter().map(|known| (*known).to_owned()).collect();
            AdminError::NoSchema(urn.escape_debug().to_string(), known)
        })
    });
    let mut schemas = spelled.collect::<Result<Vec<_>, _>>()?;
    schemas.sort_unstable();
    schemas.dedup();
    if schemas.len() > TENANT_SCHEMAS_MAX {
        return Err(AdminError::TooManySchemas);
    }
    with_settings(store, moment, tenant, async |cx| {
        not_deleting(cx.tenant, cx.settings)?;
        if cx.settings.schemas != schemas {
            store.set_schemas(cx, schemas.clone()).await?;
        }
        Ok(())
    })
    .await?;
    Ok(schemas)
}

/// A tenant that is so already is left alone. Returns what it was before.
async fn set_status(
    store: &Store,
    moment: &Moment,
    tenant: &TenantId,
    status: Status,
) -> Result<Status, AdminError> {
    with_settings(store, moment, tenant, async |cx| {
        not_deleting(cx.tenant, cx.settings)?;
        let before = cx.settings.status;
        if before == Status::Released && status == Status::Disabled {
            return Err(AdminError::Released(tenant.clone()));
        }
        if before != status {
            store.set_status(cx, status, None).await?;
        }
        Ok(before)
    })
    .await
}

/// Match attributes in the spelling that filters are compared with: the schema's, behind the URN of an extension.
fn match_attributes(users: &ResourceType, given: &[String]) -> Result<Vec<String>, AdminError> {
    let mut spelled = Vec::with_capacity(given.len());
    for text in given {
        let attribute = match_attribute(users, text.trim())
            .map_err(|why| AdminError::MatchAttribute(text.escape_debug().to_string(), why))?;
        if !spelled.contains(&attribute) {
            spelled.push(attribute);
        }
    }
    if spelled.len() > MATCH_ATTRIBUTES_MAX {
        return Err(AdminError::TooManyMatchAttributes);
    }
    Ok(spelled)
}

fn match_attribute(users: &ResourceType, text: &str) -> Result<String, &'static str> {
    let path = AttrPath::parse(text).ok_or("that is not the path of an attribute")?;
    let target = users.resolve(&path).ok_or("users have no such attribute")?;
    let attribute = target.attribute.ok_or("that names an extension as a whole")?;
    let sub = match (attribute.kind, target.sub) {
        (_, Some(sub)) => Some(sub),
        (Type::Complex, None) => {
            Some(attribute.sub_named(well_known::VALUE).ok_or("name one of its sub-attributes")?)
        }
        (_, None) => None,
    };
    let leaf = sub.unwrap_or(attribute);
    if !matches!(leaf.kind, Type::String | Type::Reference) {
        return Err("its values are not text");
    }
    if leaf.returned == Returned::Never || attribute.returned == Returned::Never {
        return Err("its values are not kept");
    }
    if is_found_anyway(&target) {
        return Err("users are always found by it");
    }
    let urn = target.extension.map_or(String::new(), |extension| format!("{}:", extension.urn));
    let sub = sub.map_or(String::new(), |sub| format!(".{}", sub.name));
    Ok(format!("{urn}{}{sub}", attribute.name))
}

/// `id` and `userName` have keys of their own; `meta`, `schemas` and `groups` are the server's, not stored with the user.
fn is_found_anyway(target: &Target<'_>) -> bool {
    let own = [well_known::ID, well_known::USER_NAME, well_known::META, well_known::SCHEMAS];
    let name = target.attribute.map(|attribute| &attribute.name);
    target.extension.is_none() && name.is_some_and(|name| own.iter().any(|own| name.is(own)))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::scim::catalog::Catalog;

    fn check(given: &str, expected: &expect_test::Expect) {
        let catalog = Catalog::embedded().unwrap();
        let read = match_attribute(catalog.resource_type(Kind::User), given);
        expected.assert_eq(&match read {
            Ok(spelled) => spelled,
            Err(why) => format!("refused: {why}"),
        });
    }

    #[test]
    fn match_attributes_get_the_schemas_spelling() {
        check("EMAILS.Value", &expect!["emails.value"]);
        check("emails", &expect!["emails.value"]);
        check("externalid", &expect!["externalId"]);
        check("name.givenname", &expect!["name.givenName"]);
        check(
            "employeeNumber",
            &expect!["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber"],
        );
    }

    #[test]
    fn what_nobody_can_be_found_by_is_refused() {
        check("username", &expect!["refused: users are always found by it"]);
        check("password", &expect!["refused: its values are not kept"]);
        check("active", &expect!["refused: its values are not text"]);
        check("name", &expect!["refused: name one of its sub-attributes"]);
        check("shoeSize", &expect!["refused: users have no such attribute"]);
        check("a b", &expect!["refused: that is not the path of an attribute"]);
    }
}
