//! POST of several operations at once (RFC 7644 §3.7): each is one that the server has anyway, with its limits, scopes,
//! preconditions, journal and counts. In which order, and what is answered, is `scim::bulk`'s.
//!
//! It ends in time: an operation is begun while there is enough of it left, and one that the store or the limiter turns
//! away ends the request, so that nothing is asked of who is busy.

use super::respond::{Asked, lacks, missing, note};
use super::route::{Lost, Route};
use super::{App, Request};
use crate::auth::Caller;
use crate::limits::{BULK_TIME_MAX, MEMBERS_READ_MAX};
use crate::moment::Moment;
use crate::ops::{self, Call, Failure, Preconditions, Reply};
use crate::scim::bulk::{Bulk, Done, Step};
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::project::Projection;
use crate::telemetry::RequestLine;

/// What is shown of a resource: an operation that is done is answered without it.
const SHOWN: &str = "id";

/// Does what the request says, operation after operation.
///
/// # Errors
/// Only for the request as a whole; what becomes of an operation is in the answer.
pub(super) async fn bulk(
    app: &App,
    request: &Request,
    (caller, moment): (&Caller, &Moment),
    base: &str,
    line: &mut RequestLine,
) -> Result<Reply, Failure> {
    let mut bulk = Bulk::parse(&request.json()?)?;
    let projection = Projection::parse(Some(SHOWN), None)?;
    let (mut busy, mut begun) = (None, false);
    while busy.is_none()
        && let Some(step) = bulk.next_step()
    {
        let part = moment.part();
        let admitted = if moment.elapsed() >= BULK_TIME_MAX {
            Err(too_late().into())
        } else if begun {
            super::respond::admit(app, caller, &part)
        } else {
            // The request itself was counted.
            Ok(())
        };
        begun = true;
        let done = match admitted {
            Ok(()) => operation(app, (caller, &part), (base, &projection), &step).await,
            Err(failure) => Err(failure),
        };
        match done {
            Ok(done) => bulk.done(step, done),
            Err(failure) => {
                let kind = failure.error.kind();
                bulk.failed(step, failure.error.clone());
                line.gravest = line.gravest.max(kind.status());
                // The log has room for one, and the first is the nearest to what is wrong.
                line.cause = line.cause.take().or(failure.cause);
                if matches!(kind, ErrorKind::TooManyRequests | ErrorKind::Unavailable) {
                    busy = Some(failure.error);
                }
            }
        }
    }
    if let Some(error) = busy {
        bulk.stop(&error);
    }
    Ok(Reply::Document { body: bulk.response(base) })
}

/// One operation, as if it had come alone.
async fn operation(
    app: &App,
    (caller, moment): (&Caller, &Moment),
    (base, projection): (&str, &Projection),
    step: &Step,
) -> Result<Done, Failure> {
    let method = http::Method::from_bytes(step.method.as_bytes());
    let method =
        method.map_err(|_| ScimError::new(ErrorKind::MethodNotAllowed, "method: it is none"))?;
    let catalog = app.store.catalog_of(caller.settings());
    let route = Route::parse(&catalog, "", &method, &step.path).map_err(|lost| nowhere(&lost))?;
    if let Some(missing) = missing((caller, &catalog), &route) {
        return Err(lacks(caller, &missing).into());
    }
    let preconditions = Preconditions { if_match: step.version.clone(), if_none_match: None };
    let call = Call {
        caller,
        store: &app.store,
        catalog: &catalog,
        moment,
        base,
        preconditions: &preconditions,
        projection,
        members_max: MEMBERS_READ_MAX,
    };
    let done = match &route {
        Route::Create(kind) => ops::create::create(&call, *kind, &step.data).await,
        Route::Replace(kind, id) => ops::replace::replace(&call, *kind, id, &step.data).await,
        Route::Patch(kind, id) => ops::patch::patch(&call, *kind, id, &step.data).await,
        Route::Delete(kind, id) => ops::delete::delete(&call, *kind, id).await,
        Route::List(_)
        | Route::Query
        | Route::Search(_)
        | Route::Read(..)
        | Route::Bulk
        | Route::ServiceProviderConfig
        | Route::ResourceTypes(_)
        | Route::Schemas(_) => return Err(no_operation().into()),
    };
    let asked =
        Asked { route: &route, query: "", method: &step.method, body: &|| Some(step.data.clone()) };
    note(app, caller, moment, &asked, &done).await;
    done.map(|reply| told((base, step), &route, reply))
}

/// What the answer says of an operation that is done.
fn told((base, step): (&str, &Step), route: &Route, reply: Reply) -> Done {
    let (status, location, version) = match reply {
        Reply::Created { location, version, .. } => (201, Some(location), Some(version)),
        Reply::Resource { location, version, .. } => (200, Some(location), Some(version)),
        Reply::NotModified { location, version } => (304, Some(location), Some(version)),
        Reply::NoContent { version } => (204, None, version),
        Reply::Document { .. } => (200, None, None),
    };
    let location = location.unwrap_or_else(|| format!("{base}/{}", step.path.trim_matches('/')));
    let last = location.rsplit('/').next().unwrap_or_default();
    let id = route.resource().unwrap_or(last).to_owned();
    Done { status, id, location, version }
}

fn nowhere(lost: &Lost) -> ScimError {
    if *lost == Lost::NotFound {
        let detail = "path: there is nothing at it; a path begins below the Tenant URL, such as /Users or /Groups/{id}";
        return ScimError::new(ErrorKind::NotFound, detail);
    }
    lost.error("")
}

fn no_operation() -> ScimError {
    let detail = "path: an operation is a POST to /Users or /Groups, or a PUT, PATCH or DELETE of one of their resources";
    ScimError::new(ErrorKind::MethodNotAllowed, detail)
}

fn too_late() -> ScimError {
    let detail = "the time of a request was over before this operation; nothing of it was done, send it again";
    ScimError::new(ErrorKind::Unavailable, detail)
}
