//! The service over an embedded engine, for what a whole request has to keep to.

use std::cell::RefCell;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use scim_endpoint::http::{Request, decode_path};
use scim_endpoint::local::Direct;
use scim_endpoint::store::TenantId;
use scim_endpoint::store::check::Mode;
use scim_endpoint::system::Moments;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// After so many requests the tables are looked at, and a fresh tenant begins.
const REQUESTS_MAX: usize = 1_000;

/// A tenant with a person and a group who are there, and a cursor that was given out.
struct World {
    runtime: Runtime,
    direct: Direct,
    tenant: TenantId,
    user: String,
    group: String,
    cursor: String,
    requests: usize,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("there is a runtime");
        let tenant = TenantId::parse("fuzzed").expect("it is a name");
        let moments = Moments::new().expect("there is a clock");
        let direct =
            runtime.block_on(Direct::open(None, moments, std::slice::from_ref(&tenant), None));
        let mut world = Self {
            runtime,
            direct: direct.expect("the engine starts"),
            tenant,
            user: String::new(),
            group: String::new(),
            cursor: String::new(),
            requests: 0,
        };
        let id = |answer: &Value| answer["id"].as_str().expect("it has an id").to_owned();
        world.user =
            id(&world.made("/Users", &json!({"userName": "ida@example.com", "externalId": "e1"})));
        let members = json!([{"value": world.user}]);
        world.group =
            id(&world.made("/Groups", &json!({"displayName": "Crew", "members": members})));
        world.made("/Users", &json!({"userName": "bo@example.com"}));
        let page = world.runtime.block_on(world.direct.call(
            0,
            (Method::GET, "/Users?cursor=&count=1"),
            Bytes::new(),
        ));
        let page: Value =
            serde_json::from_slice(page.expect("it is answered").body()).expect("it is JSON");
        let next = page["nextCursor"].as_str().expect("there is another page");
        next.clone_into(&mut world.cursor);
        world
    }

    fn made(&self, target: &str, body: &Value) -> Value {
        let call = self.direct.call(0, (Method::POST, target), Bytes::from(body.to_string()));
        let answer = self.runtime.block_on(call).expect("it is answered");
        assert_eq!(answer.status(), 201);
        serde_json::from_slice(answer.body()).expect("it is JSON")
    }

    /// Whether the tables are whole.
    fn end(self) {
        let moments = self.direct.moments().clone();
        let (store, moment) = (self.direct.store(), || moments.unnamed());
        let checked =
            self.runtime.block_on(store.check(&moment, &self.tenant, Mode::Report, &mut |_| ()));
        let report = checked.expect("the tables are read").expect("the tenant is there");
        assert!(report.is_whole(), "{:?}", report.findings);
        self.runtime.block_on(self.direct.close());
    }
}

fn with_world<T>(work: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with(|cell| {
        let mut world = cell.borrow_mut();
        if world.as_ref().is_some_and(|world| world.requests >= REQUESTS_MAX)
            && let Some(world) = world.take()
        {
            world.end();
        }
        work(world.get_or_insert_with(World::new))
    })
}

/// Looks at the tables now, if there are any.
pub(crate) fn end() {
    if let Some(world) = WORLD.take() {
        world.end();
    }
}

/// A request as text: a line with method and target, headers, and a body behind an empty line. `{u}` and `{g}` are a person and
/// a group who are there, `{c}` is a cursor; whoever sends no `Authorization` has the tenant's token.
pub(crate) fn handle(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    with_world(|world| {
        let text = text
            .replace("{u}", &world.user)
            .replace("{g}", &world.group)
            .replace("{c}", &world.cursor);
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let Some((method, target)) = lines.next().and_then(|line| line.split_once(' ')) else {
            return;
        };
        let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
        let mut headers = HeaderMap::new();
        let token = world.direct.token(0).expect("there is a token");
        let token = HeaderValue::try_from(format!("Bearer {token}")).expect("it is a header");
        headers.insert(header::AUTHORIZATION, token);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let (name, value) =
                (HeaderName::try_from(name.trim()), HeaderValue::try_from(value.trim()));
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.insert(name, value);
            }
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = decode_path(&format!("{}{path}", world.direct.base_path()));
        let request = Request {
            method,
            path,
            query: query.to_owned(),
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
            origin: None,
        };
        world.requests += 1;
        let answer = world.runtime.block_on(world.direct.answer(request));
        assert!(
            answer.status().as_u16() < 500 || answer.status() == 501,
            "{}: {text}",
            answer.status()
        );
        is_scim(&answer);
    });
}

/// A body that leaves is JSON of SCIM's type; an error says its status as text.
fn is_scim(answer: &Response<Bytes>) {
    if answer.body().is_empty() || answer.headers().contains_key(header::CONTENT_ENCODING) {
        return;
    }
    let media = answer.headers().get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    assert!(media.is_some_and(|media| media.starts_with("application/scim+json")), "{media:?}");
    let body: Value = serde_json::from_slice(answer.body()).expect("a body is JSON");
    if answer.status().as_u16() >= 400 {
        assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert_eq!(body["status"], json!(answer.status().as_str()));
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    }
}
