//! The life of a request: find out who calls, where to, with what; do it; note it.

use bytes::Bytes;
use http::{Response, header};
use serde_json::Value;
use uuid::Uuid;

use super::activity::{Seen, attributes};
use super::request::Query;
use super::route::{Lost, Route, unglue};
use super::{App, Request, compress, response, traffic};
use crate::auth::{Caller, Denied};
use crate::limits::RETRY_DEADLINE;
use crate::moment::Moment;
use crate::ops::{self, Call, Failure, Reply};
use crate::scim::catalog::Catalog;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::project::Projection;
use crate::scim::resource::ResourceId;
use crate::scim::search::SearchRequest;
use crate::store::Cx;
use crate::store::journal::Refusal;
use crate::store::scopes::Scope;
use crate::store::settings::Status;
use crate::store::tokens::{Grant, Why};
use crate::telemetry::RequestLine;

/// What the calls of a tenant are told that does without SCIM from now on.
const RELEASED: &str = "provisioning has been released for this workspace: its people stay, and nothing is synchronised any more; to take it up again, ask whoever gave you the secret token for a new one";

/// Answers a request.
pub(super) async fn respond(
    app: &App,
    request: &Request,
    moment: &Moment,
    line: &mut RequestLine,
) -> Response<Bytes> {
    let caller = match authenticate(app, request, moment).await {
        Ok(caller) => caller,
        Err(failure) => {
            let response = fail(failure, line);
            // RFC 6750 §3.1: who has shown no token is told of no error in it.
            let asked = request.header(header::AUTHORIZATION).is_some();
            return if asked { response } else { response::with_plain_challenge(response) };
        }
    };
    let response = serve(app, request, (&caller, moment), line).await;
    // Nobody whose token is not good learns of it.
    if caller.settings().is_rehearsal {
        return response::set(response, response::REHEARSAL, "true");
    }
    response
}

/// Answers a request of somebody who is known.
async fn serve(
    app: &App,
    request: &Request,
    (caller, moment): (&Caller, &Moment),
    line: &mut RequestLine,
) -> Response<Bytes> {
    line.tenant = Some(caller.tenant().to_string());
    line.token = Some(caller.token().to_owned());
    if let Err(failure) = admit(app, caller, moment) {
        let seen = if failure.error.kind() == ErrorKind::TooManyRequests {
            app.traffic.add(moment, caller.tenant(), caller.token(), &traffic::throttled());
            Seen::Throttled
        } else {
            Seen::Bounced
        };
        note_bounced(app, caller, moment, seen).await;
        return fail(failure, line);
    }
    let base_path = app.config.base_path.as_str();
    let (path, query) = unglue(base_path, &request.path, &request.query);
    let catalog = app.store.catalog_of(caller.settings());
    let route = match Route::parse(&catalog, base_path, &request.method, &path) {
        Ok(route) => route,
        Err(lost) => {
            note_bounced(app, caller, moment, Seen::Bounced).await;
            return fail_lost(&lost, base_path, line);
        }
    };
    line.route = route.pattern();
    // Only an id that could be ours is logged: a client may put anything into a path.
    let id = route.resource().filter(|id| ResourceId::parse(id).is_some());
    line.resource = id.map(ToOwned::to_owned);
    if let Some(missing) = missing((caller, &catalog), &route) {
        note_bounced(app, caller, moment, Seen::Bounced).await;
        let response = fail(lacks(caller, &missing).into(), line);
        let challenge = response::insufficient_scope(&missing);
        return response::set(response, header::WWW_AUTHENTICATE, &challenge);
    }
    let done = dispatch(app, request, (caller, moment), (&route, query), line).await;
    let method = request.method.as_str();
    let asked = Asked { route: &route, query, method, body: &|| request.json().ok() };
    note(app, caller, moment, &asked, &done).await;
    match done {
        Ok(reply) => response::of_reply(reply),
        Err(failure) => fail(failure, line),
    }
}

/// The answer of a failure, which the request's line will tell of.
pub(super) fn fail(failure: Failure, line: &mut RequestLine) -> Response<Bytes> {
    let response = response::of_failure(&failure);
    line.scim_type = failure.error.kind().scim_type();
    line.cause = failure.cause;
    response
}

fn fail_lost(lost: &Lost, base_path: &str, line: &mut RequestLine) -> Response<Bytes> {
    let response = fail(lost.error(base_path).into(), line);
    match lost {
        Lost::MethodNotAllowed(allow) => response::set(response, header::ALLOW, allow),
        Lost::NotFound | Lost::Nobody => response,
    }
}

/// Who calls (RFC 6750 §3): each refusal says what to do about it.
async fn authenticate(app: &App, request: &Request, moment: &Moment) -> Result<Caller, Failure> {
    let header = request.header(header::AUTHORIZATION);
    let denied = match app.authenticator.authenticate(&app.store, moment, header).await {
        Ok(caller) => return Ok(caller),
        Err(denied) => denied,
    };
    note_turned_away(app, &denied, moment).await;
    let detail = match denied {
        Denied::Failed(error) => return Err(error.into()),
        Denied::Released => return Err(ScimError::new(ErrorKind::Forbidden, RELEASED).into()),
        Denied::Missing => "send the secret token in the Authorization header, as Bearer <token>",
        Denied::Unknown => {
            "the secret token is not valid; copy it again, whole, or ask for a new one"
        }
        Denied::Expired(_) => "the secret token has expired; ask for a new one and replace it",
        Denied::Revoked(_) => "the secret token was revoked; ask for a new one and replace it",
    };
    Err(ScimError::new(ErrorKind::Unauthorized, detail).into())
}

/// Whether the tenant may call now.
pub(super) fn admit(app: &App, caller: &Caller, moment: &Moment) -> Result<(), Failure> {
    match caller.settings().status {
        Status::Enabled => {}
        Status::Released => return Err(ScimError::new(ErrorKind::Forbidden, RELEASED).into()),
        Status::Disabled | Status::Deleting => {
            let detail =
                "provisioning is switched off for this workspace; its owner can switch it on again";
            return Err(ScimError::new(ErrorKind::Forbidden, detail).into());
        }
    }
    let Some(limiter) = &app.limiter else { return Ok(()) };
    limiter.admit(moment, caller.tenant()).map_err(|seconds| {
        let detail =
            "too many requests for this workspace at once; nothing is lost, send it again later";
        Failure {
            error: ScimError::new(ErrorKind::TooManyRequests, detail),
            cause: None,
            retry_after: Some(seconds.max(1)),
        }
    })
}

/// The first scope that the token would need for this and does not have.
pub(super) fn missing((caller, catalog): (&Caller, &Catalog), route: &Route) -> Option<Scope> {
    route.scopes(catalog).into_iter().find(|scope| !caller.scopes().include(scope))
}

/// The refusal of what the token may not do (RFC 6750 §3.1).
pub(super) fn lacks(caller: &Caller, missing: &Scope) -> ScimError {
    let own = caller.scopes().words().unwrap_or_default().join(" ");
    let own = if own.is_empty() { "none".to_owned() } else { own };
    let detail = format!(
        "the secret token may not do this: it lacks the scope {missing} (it has {own}); stop asking for it, or ask whoever gave \
         you the token for one with that scope"
    );
    ScimError::new(ErrorKind::Forbidden, detail)
}

/// Does what the route asks for.
async fn dispatch(
    app: &App,
    request: &Request,
    (caller, moment): (&Caller, &Moment),
    (route, query): (&Route, &str),
    line: &mut RequestLine,
) -> Result<Reply, Failure> {
    let query = Query::parse(query)?;
    let preconditions = request.preconditions();
    let asked = match route {
        Route::Search(_) => SearchRequest::parse(&request.json()?)?,
        Route::List(_) | Route::Query => query.search()?,
        Route::Create(_)
        | Route::Read(..)
        | Route::Replace(..)
        | Route::Patch(..)
        | Route::Delete(..)
        | Route::Bulk
        | Route::ServiceProviderConfig
        | Route::ResourceTypes(_)
        | Route::Schemas(_) => query.shown(),
    };
    let projection = Projection::parse(asked.attributes.as_deref(), asked.excluded.as_deref())?;
    let base = base_url(app, request);
    let catalog = app.store.catalog_of(caller.settings());
    let call = Call {
        caller,
        store: &app.store,
        catalog: &catalog,
        moment,
        base: &base,
        preconditions: &preconditions,
        projection: &projection,
        members_max: compress::members_max(request),
    };
    match route {
        Route::List(kind) | Route::Search(Some(kind)) => {
            ops::list::list(&call, &[*kind], &asked).await
        }
        Route::Query | Route::Search(None) => {
            ops::list::list(&call, &call.catalog.kinds(), &asked).await
        }
        Route::Create(kind) => ops::create::create(&call, *kind, &request.json()?).await,
        Route::Read(kind, id) => ops::read::read(&call, *kind, id).await,
        Route::Replace(kind, id) => ops::replace::replace(&call, *kind, id, &request.json()?).await,
        Route::Patch(kind, id) => ops::patch::patch(&call, *kind, id, &request.json()?).await,
        Route::Delete(kind, id) => ops::delete::delete(&call, *kind, id).await,
        Route::Bulk => super::bulk::bulk(app, request, (caller, moment), &base, line).await,
        Route::ServiceProviderConfig => Ok(ops::discovery::service_provider_config(&call)),
        Route::ResourceTypes(id) => ops::discovery::resource_types(&call, id.as_deref()),
        Route::Schemas(urn) => ops::discovery::schemas(&call, urn.as_deref()),
    }
}

/// A call, or an operation of a bulk request, as it is noted.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) route: &'a Route,
    pub(super) query: &'a str,
    pub(super) method: &'a str,
    /// Its body, for whoever was refused.
    pub(super) body: &'a (dyn Fn() -> Option<Value> + Sync),
}

/// Notes the call for the tenant's admin: when it was seen, and a refused write in the journal. What fails here changes
/// nothing about the answer.
pub(super) async fn note(
    app: &App,
    caller: &Caller,
    moment: &Moment,
    asked: &Asked<'_>,
    done: &Result<Reply, Failure>,
) {
    let Asked { route, query, .. } = *asked;
    let cx = caller.cx(moment);
    let is_probe = matches!(done, Ok(Reply::Document { body }) if is_probe(route, query, body));
    let counted = traffic::sums((route, query), is_probe, done);
    app.traffic.add(moment, caller.tenant(), caller.token(), &counted);
    if moment.elapsed() >= RETRY_DEADLINE {
        // The answer is late already, and the store most likely the reason.
        return;
    }
    let seen = match done {
        // Nothing was refused: it failed.
        Err(failure) if failure.error.kind().status() >= 500 => return,
        Err(failure) => {
            if route.is_write() {
                let known = failure.error.kind() != ErrorKind::NotFound;
                let refusal = Refusal {
                    method: asked.method,
                    route: route.pattern(),
                    // An id that names nothing here is not kept: it may be another tenant's.
                    resource: known.then(|| route.resource()).flatten().and_then(ResourceId::parse),
                    named: (asked.body)(),
                };
                drop(app.store.note_refusal(&cx, &refusal, &failure.error).await);
            }
            Seen::Refusal
        }
        Ok(_) if is_probe => Seen::Probe,
        Ok(_) => Seen::Call,
    };
    if app.activity.is_due(moment, caller.tenant(), caller.token(), seen) {
        drop(app.store.note_activity(&cx, attributes(seen)).await);
    }
    note_traffic(app, &cx, caller).await;
}

/// Writes what was counted, when it is due.
async fn note_traffic(app: &App, cx: &Cx<'_>, caller: &Caller) {
    for (start, sums) in app.traffic.due(cx.moment, caller.tenant(), caller.token()) {
        drop(app.store.note_traffic(cx, start, &sums).await);
    }
}

/// Notes that a call was sent away at the door. A tenant that is being deleted gets no more items.
async fn note_bounced(app: &App, caller: &Caller, moment: &Moment, seen: Seen) {
    let deleting = caller.settings().status == Status::Deleting;
    let (tenant, token) = (caller.tenant(), caller.token());
    if deleting {
        return;
    }
    if app.activity.is_due(moment, tenant, token, seen) {
        drop(app.store.note_activity(&caller.cx(moment), attributes(seen)).await);
    }
    note_traffic(app, &caller.cx(moment), caller).await;
}

/// Notes that a call came with a token that is known and opens nothing any more, so that its tenant's admin can see it.
async fn note_turned_away(app: &App, denied: &Denied, moment: &Moment) {
    let (grant, why) = match denied {
        Denied::Expired(grant) => (grant, Why::Expired),
        Denied::Revoked(grant) => (grant, Why::Revoked),
        Denied::Missing | Denied::Unknown | Denied::Released | Denied::Failed(_) => return,
    };
    let Grant { tenant, settings, token, .. } = &**grant;
    let deleting = settings.status == Status::Deleting;
    // Not with the token's own calls, of which the last may have been let in a moment ago.
    let own = format!("{token} turned away");
    if !deleting && app.activity.is_due(moment, tenant, &own, Seen::Bounced) {
        let cx = Cx { tenant, settings, actor: token, moment };
        drop(app.store.note_turned_away(&cx, why).await);
    }
}

/// Entra's Test Connection asks for a random GUID that nobody has.
fn is_probe(route: &Route, query: &str, body: &Value) -> bool {
    let nobody = body.get("totalResults").and_then(Value::as_u64) == Some(0);
    let Ok(query) = Query::parse(query) else { return false };
    // One comparison: with two, it asks whether somebody has that manager, or a group that member.
    let parts = query.get("filter").map(|filter| filter.split('"').collect::<Vec<_>>());
    let guid = parts.is_some_and(
        |parts| matches!(parts.as_slice(), [_, literal, _] if Uuid::try_parse(literal).is_ok()),
    );
    matches!(route, Route::List(_)) && nobody && guid
}

/// The absolute URL of the SCIM root: the configured one, else the one that the client used.
fn base_url(app: &App, request: &Request) -> String {
    let configured = app.config.public_url.as_deref().or(request.origin.as_deref());
    let host = || request.header(header::HOST).map(|host| format!("https://{host}"));
    let origin = configured.map(ToOwned::to_owned).or_else(host).unwrap_or_default();
    format!("{origin}{}", app.config.base_path)
}
