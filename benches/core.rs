//! The core on Entra's bodies: time and allocations of each step that a request takes between the socket and the store.
//!
//! `make bench`; the bodies are those of `tests/exchanges/entra/`.

#![expect(clippy::expect_used, reason = "a benchmark that cannot begin has to say so")]

use divan::{AllocProfiler, Bencher, black_box};
use scim_endpoint::moment::{Clock, Moment, Timestamp};
use scim_endpoint::scim::catalog::{Catalog, Kind};
use scim_endpoint::scim::filter::Filter;
use scim_endpoint::scim::patch::PatchRequest;
use scim_endpoint::scim::project::Projection;
use scim_endpoint::scim::resource::Resource;
use scim_endpoint::scim::validate;
use serde_json::{Map, Value, json};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const BASE: &str = "https://scim.example.com/scim/v2";
const MATCH: &str = r#"userName eq "ida.ek@example.com""#;
const EMAIL: &str = r#"emails[type eq "work"].value eq "ida.ek@example.com""#;
const MANAGER: &str = r#"id eq "0192e4f0-0000-7000-8000-000000000001" and manager eq "0192e4f0-0000-7000-8000-000000000002""#;

fn main() {
    divan::main();
}

/// The body of a step of an exchange.
fn body(exchange: &str, step: &str) -> Value {
    let path = format!("{}/tests/exchanges/entra/{exchange}.http", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the exchange is there");
    let (_, rest) = text.split_once(&format!("### {step}\n")).expect("it has that step");
    let (_, rest) = rest.split_once('\n').expect("a request has a first line");
    let body = rest.split("<<<").next().expect("a text has a beginning");
    serde_json::from_str(body).expect("the body is JSON")
}

fn catalog() -> Catalog {
    Catalog::embedded().expect("the schemas are read")
}

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-11-21T08:00:00Z").expect("a time")
    }

    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    fn sleep(
        &self,
        _duration: std::time::Duration,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

fn moment() -> Moment {
    Moment::new(std::sync::Arc::new(Still), [7; 32], "bench".to_owned())
}

/// A person with everything of the default mapping, as answers show them.
fn whole(catalog: &Catalog) -> Map<String, Value> {
    let user = catalog.resource_type(Kind::User);
    let document = validate::document(user, &body("create-full", "create")).expect("it is valid");
    Resource::new(Kind::User, document, &moment()).to_value(user, BASE)
}

fn hundred_members() -> Value {
    let member =
        |n: u32| json!({"$ref": null, "value": format!("0192e4f0-0000-7000-8000-{n:012}")});
    let members: Vec<Value> = (0..100).map(member).collect();
    let operation = json!({"op": "Add", "path": "members", "value": members});
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]})
}

#[divan::bench]
fn read_the_schemas() -> usize {
    catalog().schemas().len()
}

#[divan::bench(args = [MATCH, EMAIL, MANAGER])]
fn parse_and_bind_a_filter(bencher: Bencher<'_, '_>, text: &str) {
    let catalog = catalog();
    let user = catalog.resource_type(Kind::User);
    bencher.bench_local(|| {
        let filter = Filter::parse(black_box(text)).expect("it is a filter");
        filter.bind(user).expect("it fits").equalities().len()
    });
}

#[divan::bench(args = [MATCH, EMAIL])]
fn evaluate_a_filter(bencher: Bencher<'_, '_>, text: &str) {
    let catalog = catalog();
    let user = catalog.resource_type(Kind::User);
    let filter = Filter::parse(text).expect("it is a filter");
    let bound = filter.bind(user).expect("it fits");
    let whole = whole(&catalog);
    assert!(bound.matches(&whole), "it is the person who is looked for");
    bencher.bench_local(|| bound.matches(black_box(&whole)));
}

#[divan::bench]
fn validate_a_new_person(bencher: Bencher<'_, '_>) {
    let catalog = catalog();
    let user = catalog.resource_type(Kind::User);
    let body = body("create-full", "create");
    validate::document(user, &body).expect("it is valid");
    bencher.bench_local(|| validate::document(user, black_box(&body)));
}

#[divan::bench]
fn parse_a_patch_of_20_operations(bencher: Bencher<'_, '_>) {
    let catalog = catalog();
    let user = catalog.resource_type(Kind::User);
    let body = body("patch-default-mapping", "everything at once");
    PatchRequest::parse(user, &body).expect("it is a PATCH");
    bencher.bench_local(|| PatchRequest::parse(user, black_box(&body)));
}

#[divan::bench]
fn apply_a_patch_of_20_operations(bencher: Bencher<'_, '_>) {
    let catalog = catalog();
    let user = catalog.resource_type(Kind::User);
    let body = body("patch-default-mapping", "everything at once");
    let patch = PatchRequest::parse(user, &body).expect("it is a PATCH");
    let created = validate::document(user, &self::body("create-full", "create"));
    let created = created.expect("it is valid");
    patch.apply(user, &created).expect("it can be applied");
    bencher.bench_local(|| patch.apply(user, black_box(&created)));
}

#[divan::bench]
fn parse_a_patch_of_100_members(bencher: Bencher<'_, '_>) {
    let catalog = catalog();
    let group = catalog.resource_type(Kind::Group);
    let body = hundred_members();
    PatchRequest::parse(group, &body).expect("it is a PATCH");
    bencher.bench_local(|| PatchRequest::parse(group, black_box(&body)));
}

#[divan::bench]
fn represent_a_person(bencher: Bencher<'_, '_>) {
    let catalog = catalog();
    let user = catalog.resource_type(Kind::User);
    let document = validate::document(user, &body("create-full", "create")).expect("it is valid");
    let resource = Resource::new(Kind::User, document, &moment());
    bencher.bench_local(|| black_box(&resource).to_value(user, BASE));
}

#[divan::bench(args = ["", "userName,emails.value"])]
fn project_a_person(bencher: Bencher<'_, '_>, attributes: &str) {
    let catalog = catalog();
    let user = catalog.resource_type(Kind::User);
    let projection = Projection::parse(Some(attributes), None).expect("they are names");
    let whole = whole(&catalog);
    bencher.with_inputs(|| whole.clone()).bench_local_values(|whole| projection.apply(user, whole));
}
