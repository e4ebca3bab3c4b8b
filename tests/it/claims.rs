//! Each claim of `/ServiceProviderConfig` (RFC 7643 §5, RFC 9865 §4), true or false, against what the server does: what is
//! supported works, to its advertised bound and no further; what is not supported has no effect. A claim that nothing here
//! proves is a failure.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use scim_endpoint::limits::{BULK_OPERATIONS_MAX, START_INDEX_MAX, WHOLE_LOOKED_UP_MAX};
use serde_json::{Map, Value, json};

use crate::app::{Answer, App};
use crate::races::{crowd, delete, get, patch, put_all, replacing, user};
use crate::whole::{client, journal, partition};

const TARGET: &str = "/ServiceProviderConfig";

/// What is claimed, by name; whatever is taken out has been proved.
struct Claims {
    of: String,
    left: Map<String, Value>,
}

impl Claims {
    fn new(of: &str, claims: Value) -> Self {
        let Value::Object(left) = claims else { panic!("{of} is no object: {claims}") };
        Self { of: of.to_owned(), left }
    }

    /// A claim that has to be made.
    #[track_caller]
    fn take(&mut self, name: &str) -> Value {
        self.left.remove(name).unwrap_or_else(|| panic!("{}: {name} is missing", self.of))
    }

    fn complex(&mut self, name: &str) -> Self {
        let claims = self.take(name);
        Self::new(name, claims)
    }

    #[track_caller]
    fn flag(&mut self, name: &str) -> bool {
        self.take(name).as_bool().unwrap_or_else(|| panic!("{}.{name} is no boolean", self.of))
    }

    #[track_caller]
    fn number(&mut self, name: &str) -> usize {
        let number = self.take(name).as_u64().and_then(|number| usize::try_from(number).ok());
        number.unwrap_or_else(|| panic!("{}.{name} is no number", self.of))
    }

    #[track_caller]
    fn text(&mut self, name: &str) -> String {
        let text = self.take(name).as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        text.unwrap_or_else(|| panic!("{}.{name} is no text", self.of))
    }

    /// That there is no further claim.
    fn end(self) {
        let unproved: Vec<&String> = self.left.keys().collect();
        assert!(unproved.is_empty(), "{}: nothing proves {unproved:?}", self.of);
    }
}

async fn config(app: &App) -> Value {
    get(app, TARGET).await.expect(200).json()
}

fn ids(list: &Value) -> Vec<&str> {
    let resources = list["Resources"].as_array().expect("a list").iter();
    resources.map(|one| one["id"].as_str().expect("an id")).collect()
}

fn error_of(answer: &Answer) -> (Value, String) {
    let body = answer.json();
    (body["scimType"].clone(), body["detail"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn each_claim_of_the_service_provider_config_is_what_the_server_does() {
    let app = App::start().await;
    let document = config(&app).await;
    let mut claims = Claims::new(TARGET, document.clone());
    let urn = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
    assert_eq!(claims.take("schemas"), json!([urn]));
    where_it_is(&app, &document, claims.complex("meta")).await;
    schemes(&app, claims.take("authenticationSchemes")).await;
    patching(&app, claims.complex("patch")).await;
    versions(&app, claims.complex("etag")).await;
    passwords(&app, claims.complex("changePassword")).await;
    sorting(&app, claims.complex("sort")).await;
    bulk(&app, claims.complex("bulk")).await;
    // The lists last: they need a crowd.
    filtering(claims.complex("filter")).await;
    pages(claims.complex("pagination")).await;
    claims.end();
}

async fn where_it_is(app: &App, document: &Value, mut meta: Claims) {
    assert_eq!(meta.text("resourceType"), "ServiceProviderConfig");
    let location = meta.text("location");
    let target = location.strip_prefix(&app.base_url()).expect("it is below the base URL");
    assert_eq!(get(app, target).await.expect(200).json(), *document);
    meta.end();
}

async fn schemes(app: &App, claimed: Value) {
    let claimed = claimed.as_array().expect("a list").clone();
    let mut kinds = BTreeSet::new();
    let mut primary = 0;
    for one in claimed {
        let mut one = Claims::new("authenticationSchemes", one);
        kinds.insert(one.text("type"));
        primary += usize::from(one.flag("primary"));
        assert!(one.text("specUri").starts_with("https://"));
        one.text("name");
        one.text("description");
        one.end();
    }
    assert_eq!(primary, 1, "one scheme is the primary one");
    // A bearer token is taken, and nothing else is.
    let bearer = |word: &str, secret: &str| {
        let headers = vec![("Authorization".to_owned(), format!("{word} {secret}"))];
        async move { app.send("GET", "/Users", &headers, b"").await }
    };
    let token = app.token();
    assert_eq!(kinds, BTreeSet::from(["oauthbearertoken".to_owned()]));
    bearer("Bearer", &token).await.expect(200);
    for (word, secret) in [("Bearer", "other"), ("Basic", token.as_str()), ("Digest", &token)] {
        let refused = bearer(word, secret).await.expect(401);
        let challenge = refused.header("WWW-Authenticate").expect("RFC 7644 §2");
        assert!(challenge.starts_with("Bearer "), "{challenge}");
    }
    let refused = app.send("GET", "/Users", &[], b"").await.expect(401);
    assert!(refused.header("WWW-Authenticate").expect("RFC 7644 §2").starts_with("Bearer "));
}

async fn patching(app: &App, mut claims: Claims) {
    let id = user(app, "patched@ex.test").await;
    let target = format!("/Users/{id}");
    let answer = patch(app, &target, replacing("title", "Guide")).await;
    let changed = get(app, &target).await.json()["title"] == "Guide";
    assert_eq!(claims.flag("supported"), answer.status == 200 && changed, "{answer:?}");
    claims.end();
}

async fn versions(app: &App, mut claims: Claims) {
    let id = user(app, "versioned@ex.test").await;
    let target = format!("/Users/{id}");
    let old = get(app, &target).await.header("ETag").map(ToOwned::to_owned);
    let answer = patch(app, &target, replacing("title", "Guide")).await.expect(200);
    let new = answer.header("ETag").map(ToOwned::to_owned);
    let mut obeyed = old.is_some() && new.is_some() && old != new;
    for (method, header, tag, status) in [
        ("GET", "If-None-Match", &old, 200),
        ("GET", "If-None-Match", &new, 304),
        ("DELETE", "If-Match", &old, 412),
        ("DELETE", "If-Match", &new, 204),
    ] {
        let tag = tag.clone().unwrap_or_default();
        let token = format!("Bearer {}", app.token());
        let headers = [("Authorization", token), (header, tag)];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        obeyed &= app.send(method, &target, &headers, b"").await.status == status;
    }
    assert_eq!(claims.flag("supported"), obeyed);
    claims.end();
}

async fn passwords(app: &App, mut claims: Claims) {
    const SECRETS: [&str; 2] = ["t1meMa$heen-first", "t1meMa$heen-second"];
    let body = json!({"userName": "secret@ex.test", "password": SECRETS[0]});
    let created = app.call("POST", "/Users", body).await.expect(201);
    let target = format!("/Users/{}", created.id());
    let changed = patch(app, &target, replacing("password", SECRETS[1])).await;
    let another_version = changed.header("ETag") != created.header("ETag");
    let (partition, journal) = (partition(app).await, journal(app).await);
    let kept = format!("{created:?} {changed:?} {partition:?} {journal:?}");
    assert!(kept.contains("secret@ex.test"), "it is looked for where the user is");
    let kept = SECRETS.iter().any(|secret| kept.contains(secret));
    assert!(!kept, "RFC 7643 §9.2: no password is kept as it is");
    assert_eq!(claims.flag("supported"), another_version, "{changed:?}");
    claims.end();
}

async fn sorting(app: &App, mut claims: Claims) {
    let mut people = Vec::new();
    for name in ["b", "c", "a"] {
        let body = json!({"userName": format!("{name}@sorted.test"), "userType": "sorted"});
        people.push(app.call("POST", "/Users", body).await.expect(201).id());
    }
    let mut sorted = true;
    for (order, expected) in [("", [2, 0, 1]), ("ascending", [2, 0, 1]), ("descending", [1, 0, 2])]
    {
        let order = if order.is_empty() { String::new() } else { format!("&sortOrder={order}") };
        let target = format!("/Users?filter=userType+eq+%22sorted%22&sortBy=userName{order}");
        let expected: Vec<&str> = expected.iter().map(|at| people[*at].as_str()).collect();
        sorted &= ids(&get(app, &target).await.json()) == expected;
    }
    assert_eq!(claims.flag("supported"), sorted);
    claims.end();
}

async fn bulk(app: &App, mut claims: Claims) {
    let request = |operations: usize| {
        // What is not there costs least.
        let path = |number: usize| format!("/Users/3f1c9a52-0000-4000-8000-{number:012}");
        let one = |number| json!({ "method": "DELETE", "path": path(number) });
        json!({ "Operations": (0..operations).map(one).collect::<Vec<_>>(), "filler": "" })
    };
    let send = async |body: Value| app.call("POST", "/Bulk", body).await;
    assert_eq!(claims.flag("supported"), send(request(1)).await.status == 200);

    let most = claims.number("maxOperations");
    // Without this the two requests below would prove another bound.
    assert_eq!(most, BULK_OPERATIONS_MAX);
    let done = send(request(most)).await.expect(200).json();
    assert_eq!(done["Operations"].as_array().map(Vec::len), Some(most));
    let (_, detail) = error_of(&send(request(most + 1)).await.expect(413));
    assert!(detail.contains(&most.to_string()), "RFC 7644 §3.7.4: {detail}");

    let bytes = claims.number("maxPayloadSize");
    let mut body = request(1);
    let room = bytes - body.to_string().len();
    body["filler"] = json!("x".repeat(room));
    send(body.clone()).await.expect(200);
    body["filler"] = json!("x".repeat(room + 1));
    let (_, detail) = error_of(&send(body).await.expect(413));
    assert!(detail.contains(&bytes.to_string()), "RFC 7644 §3.7.4: {detail}");
    claims.end();
}

async fn filtering(mut claims: Claims) {
    let app = App::start().await;
    let most = claims.number("maxResults");
    let people = crowd(&app, most + 1).await;
    let one = get(&app, &format!("/Users?filter=id+eq+%22{}%22", people[most])).await;
    let found = one.status == 200 && ids(&one.json()) == [people[most].as_str()];
    assert_eq!(claims.flag("supported"), found);
    for (count, expected) in [(most - 1, most - 1), (most, most), (most + 1, most)] {
        let target = format!("/Users?filter=userName+pr&count={count}");
        let list = get(&app, &target).await.expect(200).json();
        assert_eq!((ids(&list).len(), &list["totalResults"]), (expected, &json!(most + 1)));
    }
    claims.end();
}

async fn pages(mut claims: Claims) {
    let app = App::start().await;
    let (usual, most) = (claims.number("defaultPageSize"), claims.number("maxPageSize"));
    let people = crowd(&app, most + 2).await.len();
    let page = async |query: &str| get(&app, &format!("/Users?{query}")).await.expect(200).json();

    let plain = page("").await;
    let method = if plain["nextCursor"].is_null() { "index" } else { "cursor" };
    assert_eq!(claims.text("defaultPaginationMethod"), method);
    assert_eq!(ids(&plain).len(), usual);

    let by_index = page(&format!("startIndex=2&count={}", most + 1)).await;
    let second = ids(&plain).get(1) == ids(&by_index).first() && by_index["startIndex"] == 2;
    assert_eq!(claims.flag("index"), second);
    assert_eq!(ids(&by_index).len(), most);

    let first = page(&format!("cursor=&count={}", most + 1)).await;
    let next = first["nextCursor"].as_str();
    assert_eq!(claims.flag("cursor"), next.is_some());
    assert_eq!(ids(&first).len(), most);
    assert_eq!(ids(&page("cursor=").await).len(), usual);
    let target = format!("/Users?cursor={}&count={}", next.unwrap_or_default(), most + 1);
    let rest = get(&app, &target).await.expect(200).json();
    assert_eq!(ids(&rest).len(), people - most);
    let seen: BTreeSet<&str> = ids(&first).into_iter().chain(ids(&rest)).collect();
    assert_eq!(seen.len(), people, "everybody once");

    let life = u64::try_from(claims.number("cursorTimeout")).expect("seconds");
    // A minute is for the machine, which may be slow.
    app.clock().advance(Duration::from_secs(life - 60));
    get(&app, &target).await.expect(200);
    app.clock().advance(Duration::from_mins(1));
    assert_eq!(error_of(&get(&app, &target).await.expect(400)).0, "expiredCursor");
    claims.end();
}

/// What no claim says is not there, under no name.
#[tokio::test]
async fn what_is_not_claimed_is_refused() {
    let app = App::start().await;
    for method in ["GET", "PATCH"] {
        app.call(method, "/Me", json!({})).await.expect(501);
    }
    for target in ["/ServiceProviderConfigs", "/Subscriptions", "/Events", "/v1/Users"] {
        get(&app, target).await.expect(404);
    }
    delete(&app, TARGET).await.expect(405);
}

#[tokio::test]
async fn a_token_opens_nothing_when_its_time_is_over_and_its_text_is_kept_nowhere() {
    let app = App::start().await;
    let token = app.issue(&app.tenant()).await.secret;
    let call = || app.call_as(token.reveal(), "GET", "/Users", Value::Null);
    call().await.expect(200);
    let secrets = client(&app).scan().table_name(&app.store().tables().secrets).send().await;
    let kept = format!("{:?} {:?} {secrets:?}", partition(&app).await, journal(&app).await);
    assert!(kept.contains(&token.digest()), "it is looked for where its digest is");
    assert!(!kept.contains(token.reveal()), "RFC 7643 §9.2");
    app.clock().advance(Duration::from_hours(7 * 24));
    let (_, detail) = error_of(&call().await.expect(401));
    assert!(detail.contains("expired"), "{detail}");
}

/// The rules of RFC 7643 §2.3, §6 and §7 for what is published, and that it leads somewhere.
#[tokio::test]
async fn what_is_published_of_types_and_schemas_is_true() {
    const TYPES: [&str; 8] =
        ["string", "boolean", "decimal", "integer", "dateTime", "reference", "binary", "complex"];
    let app = App::start().await;
    let schemas = get(&app, "/Schemas").await.expect(200).json();
    let types = get(&app, "/ResourceTypes").await.expect(200).json();
    for (list, what) in [(&schemas, "Schema"), (&types, "ResourceType")] {
        assert_eq!(list["totalResults"], ids(list).len(), "{what}");
        for one in list["Resources"].as_array().unwrap() {
            assert_eq!(one["meta"]["resourceType"], what);
            let location = one["meta"]["location"].as_str().unwrap();
            let target = location.strip_prefix(&app.base_url()).expect("below the base URL");
            assert_eq!(get(&app, target).await.expect(200).json(), *one, "{target}");
            for member in ["id", "name", "description"] {
                assert!(one[member].as_str().is_some_and(|text| !text.is_empty()), "{one}");
            }
        }
    }
    for schema in schemas["Resources"].as_array().unwrap() {
        let mut names = BTreeSet::new();
        for attribute in schema["attributes"].as_array().expect("RFC 7643 §7") {
            let name = attribute["name"].as_str().unwrap().to_lowercase();
            assert!(names.insert(name), "twice: {attribute}");
            assert!(TYPES.contains(&attribute["type"].as_str().unwrap()), "{attribute}");
            for sub in attribute["subAttributes"].as_array().into_iter().flatten() {
                let kind = sub["type"].as_str().unwrap();
                assert!(TYPES.contains(&kind) && kind != "complex", "RFC 7643 §2.3.8: {sub}");
                assert_eq!(sub["subAttributes"], Value::Null);
            }
        }
    }
    let urns = ids(&schemas);
    for one in types["Resources"].as_array().unwrap() {
        assert!(urns.contains(&one["schema"].as_str().unwrap()), "RFC 7643 §6: {one}");
        for extension in one["schemaExtensions"].as_array().into_iter().flatten() {
            assert!(urns.contains(&extension["schema"].as_str().unwrap()), "RFC 7643 §6: {one}");
            assert!(extension["required"].is_boolean(), "RFC 7643 §6: {one}");
        }
        let list = get(&app, one["endpoint"].as_str().unwrap()).await.expect(200).json();
        assert_eq!(list["totalResults"], 0);
    }
}

/// `tooMany` (RFC 7644 §3.4.2.1), where no claim says the bound.
#[tokio::test]
async fn what_would_read_too_much_is_refused() {
    let app = App::start().await;
    let too_many = async |target: &str| {
        let (kind, detail) = error_of(&get(&app, target).await.expect(400));
        assert_eq!(kind, "tooMany", "{target}: {detail}");
        assert!(!detail.is_empty(), "{target}");
    };
    crowd(&app, WHOLE_LOOKED_UP_MAX).await;
    // Whose memberships have to be read whole, one after the other.
    let target = "/Users?filter=groups.display+co+%22x%22";
    get(&app, target).await.expect(200);
    user(&app, "one.more@ex.test").await;
    too_many(target).await;
    // Behind so many, of which the count alone is there.
    let items = partition(&app).await;
    let (_, count) = items.iter().find(|(key, _)| key.starts_with("count#User#")).unwrap();
    let mut count = count.clone();
    count.insert("n".to_owned(), AttributeValue::N((START_INDEX_MAX + 1).to_string()));
    put_all(&app, vec![count]).await;
    too_many(&format!("/Users?startIndex={}", START_INDEX_MAX + 1)).await;
    get(&app, &format!("/Users?count=1&startIndex={START_INDEX_MAX}")).await.expect(200);
}
