//! The operations: one file each, generic over the resource kind. The kind selects data, not functions, except for a
//! group's members.
//!
//! An operation reads, lets the pure core decide, and writes on the condition that nothing has changed; when it has, it
//! begins again until the deadline. Errors of the store become SCIM errors here, once.

pub mod create;
pub mod cursor;
pub mod delete;
pub mod discovery;
pub mod jobs;
pub mod list;
pub mod patch;
pub mod read;
pub mod replace;

mod matching;
mod memberships;
mod represent;
mod sorted;

use std::error::Error;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::auth::Caller;
use crate::limits::RETRY_AFTER_SECONDS;
use crate::moment::Moment;
use crate::scim::catalog::{Catalog, Kind, ResourceType};
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::project::Projection;
use crate::scim::resource::Resource;
use crate::scim::{etag, fold, well_known};
use crate::store::{Backoff, Cx, Field, Store, StoreError};

/// One authenticated call, as every operation needs it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// The store.
    pub store: &'a Store,
    /// The resource types and schemas that the tenant has.
    pub catalog: &'a Catalog,
    /// The request's time and chance.
    pub moment: &'a Moment,
    /// The absolute URL of the SCIM root, without a trailing slash.
    pub base: &'a str,
    /// What the request demands of the resource's version.
    pub preconditions: &'a Preconditions,
    /// Which attributes the answer has.
    pub projection: &'a Projection,
    /// How many memberships the answer can carry.
    pub members_max: usize,
}

impl<'a> Call<'a> {
    fn cx(&self) -> Cx<'a> {
        self.caller.cx(self.moment)
    }

    fn resource_type(&self, kind: Kind) -> &'a ResourceType {
        self.catalog.resource_type(kind)
    }
}

/// `If-Match` and `If-None-Match` (RFC 7644 §3.14, RFC 9110 §13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The versions of which the resource has to have one.
    pub if_match: Option<String>,
    /// The versions of which it may have none.
    pub if_none_match: Option<String>,
}

impl Preconditions {
    /// Checks a resource that is about to be written.
    ///
    /// # Errors
    /// 412 when it is at another version.
    fn check(&self, resource: &Resource) -> Result<(), ScimError> {
        self.check_match(resource)?;
        if self.is_not_modified(resource) { Err(at_another_version(resource)) } else { Ok(()) }
    }

    /// Checks a resource that is about to be read or written.
    ///
    /// # Errors
    /// 412 when it is at none of the versions of `If-Match`.
    fn check_match(&self, resource: &Resource) -> Result<(), ScimError> {
        let version = resource.version;
        let missed = self.if_match.as_deref().is_some_and(|tags| !etag::names(tags, version));
        if missed { Err(at_another_version(resource)) } else { Ok(()) }
    }

    /// Whether the reader has this version already.
    fn is_not_modified(&self, resource: &Resource) -> bool {
        self.if_none_match.as_deref().is_some_and(|tags| etag::names(tags, resource.version))
    }
}

/// The 412.
fn at_another_version(resource: &Resource) -> ScimError {
    let detail = format!(
        "the resource is at version {}, which the request's If-Match or If-None-Match rules out; read it again",
        etag::format(resource.version)
    );
    ScimError::new(ErrorKind::PreconditionFailed, detail)
}

/// What an operation answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// 201 with the resource.
    Created {
        /// The representation.
        body: Value,
        /// Where it is.
        location: String,
        /// Its version.
        version: u64,
    },
    /// 200 with the resource.
    Resource {
        /// The representation.
        body: Value,
        /// Where it is.
        location: String,
        /// Its version.
        version: u64,
    },
    /// 200 with a list or a document of the service's own.
    Document {
        /// The document.
        body: Value,
    },
    /// 204, with the version where there is one.
    NoContent {
        /// The version.
        version: Option<u64>,
    },
    /// 304.
    NotModified {
        /// Where the resource is.
        location: String,
        /// The version.
        version: u64,
    },
}

/// An error for the client, and its cause for the log.
#[derive(Debug)]
pub struct Failure {
    /// What the client is told.
    pub error: ScimError,
    /// What the log gets.
    pub cause: Option<Box<dyn Error + Send + Sync>>,
    /// Seconds after which it may try again.
    pub retry_after: Option<u64>,
}

impl Failure {
    /// This failure when a part of the request is written: repeating it does the rest.
    fn midway(self) -> Self {
        let Some(cause) = self.cause else { return self };
        match cause.downcast::<StoreError>() {
            Ok(error) => error.midway().into(),
            Err(cause) => Self { cause: Some(cause), ..self },
        }
    }
}

impl From<ScimError> for Failure {
    fn from(error: ScimError) -> Self {
        Self { error, cause: None, retry_after: None }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(error) => error.into(),
            StoreError::Taken(field) => taken(field, None).into(),
            StoreError::TooLarge => {
                let detail = "the resource is too large to be stored (about 350 kB); map fewer or shorter attributes";
                ScimError::new(ErrorKind::PayloadTooLarge, detail).into()
            }
            StoreError::Stale
            | StoreError::StaleMidway
            | StoreError::Throttled
            | StoreError::Unavailable(_) => {
                let detail = "the directory is busy; nothing is lost, send the request again";
                Self {
                    error: ScimError::new(ErrorKind::Unavailable, detail),
                    cause: Some(error.into()),
                    retry_after: Some(RETRY_AFTER_SECONDS),
                }
            }
            StoreError::Corrupt(_) | StoreError::Backend(_) => {
                Self { error: internal(), cause: Some(error.into()), retry_after: None }
            }
        }
    }
}

/// The one text of every 500: what happened is in the log, under the request's id.
pub fn internal() -> ScimError {
    let detail = "an error on our side; the request can be sent again, and its id is in our log";
    ScimError::new(ErrorKind::Internal, detail)
}

/// The refusal of a name that is taken; `holder` is the resource that has it.
fn taken(field: Field, holder: Option<&Resource>) -> ScimError {
    let (attribute, noun) = match field {
        Field::UserName => (well_known::USER_NAME, "user"),
        Field::GroupName => (well_known::DISPLAY_NAME, "group"),
    };
    let mut detail = format!("{attribute} is already in use");
    if let Some(holder) = holder {
        detail = format!("{detail} by the {noun} with id {}", holder.id);
        if field == Field::GroupName
            && let Some(external_id) = holder.document.external_id()
        {
            detail = format!("{detail} and externalId {external_id}");
        }
        if field == Field::UserName && !holder.document.is_active() {
            detail.push_str(", who is inactive: match the user and set active to true instead");
        }
    }
    ScimError::new(ErrorKind::Uniqueness, detail)
}

/// The 404 of a resource. A foreign tenant's id is answered the same.
fn not_found(kind: Kind) -> ScimError {
    let detail = format!("there is no {} with this id", kind.name().to_ascii_lowercase());
    ScimError::new(ErrorKind::NotFound, detail)
}

/// Why an attempt was not the last one.
enum Retry {
    /// Somebody else was faster than a write to the resource at that version: read again.
    Stale(Option<u64>),
    /// The same, after the first of several transactions.
    StaleMidway,
    /// It failed.
    Failed(Failure),
}

impl Retry {
    /// What became of a write to a resource that was read as `before`.
    fn of_write(error: StoreError, before: &Resource) -> Self {
        match error {
            StoreError::Stale => Self::Stale(Some(before.version)),
            StoreError::StaleMidway => Self::StaleMidway,
            StoreError::Taken(_)
            | StoreError::Throttled
            | StoreError::Unavailable(_)
            | StoreError::TooLarge
            | StoreError::Refused(_)
            | StoreError::Corrupt(_)
            | StoreError::Backend(_) => Self::Failed(error.into()),
        }
    }
}

impl From<StoreError> for Retry {
    /// Of a read: it is stale when the resource was renamed again and again.
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ScimError> for Retry {
    fn from(error: ScimError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Failure> for Retry {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Stale writes in a row to one and the same version, after which it is no race: an item is missing or wrong.
const SAME_VERSION_MAX: usize = 12;

/// Which part of a request is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Nothing is written.
    All,
    /// The first of several transactions is written, and somebody has come in between: what is not (any more) as the
    /// request wants it.
    Rest,
}

/// Attempts until nobody else was faster, or the deadline has passed. The preconditions are checked on each attempt's own
/// read, so a request with `If-Match` ends in 412 instead.
async fn until_current<'a, T>(
    call: &Call<'_>,
    attempt: impl Fn(Left) -> BoxFuture<'a, Result<T, Retry>>,
) -> Result<T, Failure> {
    let mut backoff = Backoff::new(call.moment);
    let (mut last, mut same) = (None, 0);
    let mut left = Left::All;
    loop {
        let version = match attempt(left).await {
            Ok(done) => return Ok(done),
            Err(Retry::Failed(failure)) if left == Left::Rest => {
                return Err(failure.midway());
            }
            Err(Retry::Failed(failure)) => return Err(failure),
            Err(Retry::Stale(version)) => version,
            Err(Retry::StaleMidway) => {
                left = Left::Rest;
                None
            }
        };
        same = if version.is_some() && version == last { same + 1 } else { 1 };
        last = version;
        if same >= SAME_VERSION_MAX {
            let what = "a condition fails again and again although the resource stays as it is; \
                        `scimctl check` tells which item is missing";
            return Err(StoreError::Corrupt(what.to_owned()).into());
        }
        backoff.pause().await?;
    }
}

/// The 409 of a write that found its name taken, with what the admin needs to know about who has it.
async fn explain_taken(call: &Call<'_>, field: Field, name: Option<&str>) -> Failure {
    let Some(name) = name else { return taken(field, None).into() };
    let cx = call.cx();
    let holder = match field {
        Field::UserName => call.store.get_by_user_name(&cx, name).await,
        Field::GroupName => call.store.get_by_unique_name(&cx, name).await,
    };
    // The refusal stands, whether or not its explanation can be read.
    let holder = holder.ok().flatten();
    let holder = holder.filter(|holder| {
        let held = match field {
            Field::UserName => holder.document.text(well_known::USER_NAME),
            Field::GroupName => holder.document.text(well_known::DISPLAY_NAME),
        };
        held.is_some_and(|held| fold::fold(held) == fold::fold(name))
    });
    taken(field, holder.as_ref()).into()
}
