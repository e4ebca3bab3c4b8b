//! What each request costs: the calls to DynamoDB, counted on the wire, exactly. A call more is a decision, not an
//! accident. Whoever makes one cheaper changes the line here. And what they are billed, in `docs/COST.md`: `table` plays
//! each operation, `document` compares, `ceilings` says what is too much, `rules` whether the engine bills as DynamoDB.

pub(crate) mod bill;
mod ceilings;
mod document;
mod rules;
mod table;

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::App;
use crate::proxy::{Conflicts, Proxy};
use crate::races::{crowd, entries, group, on_members, replacing, user};

/// The calls of one request.
async fn cost(app: &App, proxy: &Proxy, request: (&str, &str, Value)) -> String {
    proxy.forget_calls();
    let (method, target, body) = request;
    let answer = app.call(method, target, body).await;
    assert!(answer.status < 300, "{method} {target}: {answer:?}");
    proxy.calls().join(", ")
}

/// An app that has noted its activity and its traffic for this minute, and notes both once a minute from now on.
async fn warm() -> (App, Proxy) {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    settle(&app).await;
    (app, proxy)
}

async fn settle(app: &App) {
    for seconds in [0, 6, 11, 21, 41, 61] {
        app.clock().advance(Duration::from_secs(seconds));
        app.call("GET", "/ServiceProviderConfig", Value::Null).await.expect(200);
    }
}

#[tokio::test]
async fn reads_of_users() {
    let (app, proxy) = warm().await;
    let ida = user(&app, "ida@ex.test").await;
    let body = json!({"userName": "bob@ex.test", "externalId": "b-1"});
    app.call("POST", "/Users", body).await.expect(201);
    let staff = group(&app, "Staff", std::slice::from_ref(&ida)).await;
    let by_id = format!("/Users/{ida}");
    let with_groups = format!("/Users/{ida}?attributes=groups");
    let of_group = format!("/Users?filter=groups.value+eq+%22{staff}%22");
    for (target, calls) in [
        ("/ServiceProviderConfig", "GetItem secret"),
        ("/Users?filter=userName+eq+%22IDA@ex.test%22", "GetItem secret, GetItem user"),
        ("/Users?filter=userName+eq+%22nobody@ex.test%22", "GetItem secret, GetItem user"),
        (
            "/Users?filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22ida@ex.test%22",
            "GetItem secret, Query match, GetItem id, GetItem user",
        ),
        ("/Users?filter=emails.value+eq+%22nobody@ex.test%22", "GetItem secret, Query match"),
        ("/Users?filter=externalId+eq+%22b-1%22", "GetItem secret, Query externalId, GetItem user"),
        ("/Users?filter=externalId+eq+%22b-2%22", "GetItem secret, Query externalId"),
        (&by_id, "GetItem secret, GetItem id, GetItem user"),
        (
            &with_groups,
            "GetItem secret, GetItem id, GetItem user, Query work, Query memberof, BatchGetItem of 1",
        ),
        (
            &of_group,
            "GetItem secret, Query work, GetItem group, Query member, BatchGetItem of 1, BatchGetItem of 1, \
            GetItem group",
        ),
        ("/Users", "GetItem secret, Query count, Query id, BatchGetItem of 2"),
        ("/Users?count=0", "GetItem secret, Query count"),
    ] {
        assert_eq!(cost(&app, &proxy, ("GET", target, Value::Null)).await, calls, "{target}");
    }
}

#[tokio::test]
async fn reads_of_groups() {
    let (app, proxy) = warm().await;
    let people = crowd(&app, 100).await;
    let id = group(&app, "Staff", &people).await;
    let (whole, without) =
        (format!("/Groups/{id}"), format!("/Groups/{id}?excludedAttributes=members"));
    let member = &people[77];
    let probe = format!(
        "/Groups?filter=id+eq+%22{id}%22+and+members+eq+%22{member}%22&excludedAttributes=members"
    );
    let of_member =
        format!("/Groups?filter=members.value+eq+%22{member}%22&excludedAttributes=members");
    for (target, calls) in [
        (&without, "GetItem secret, GetItem group"),
        (&whole, "GetItem secret, GetItem group, Query work, Query member"),
        (
            &"/Groups?filter=displayName+eq+%22staff%22&excludedAttributes=members".to_owned(),
            "GetItem secret, Query groupname, GetItem group",
        ),
        (&probe, "GetItem secret, GetItem group, Query work, BatchGetItem of 1"),
        (
            &of_member,
            "GetItem secret, Query work, Query memberof, BatchGetItem of 1, Query work, BatchGetItem of 1",
        ),
        (
            &"/Groups?excludedAttributes=members".to_owned(),
            "GetItem secret, Query count, Query group",
        ),
    ] {
        assert_eq!(cost(&app, &proxy, ("GET", target, Value::Null)).await, calls, "{target}");
    }
}

#[tokio::test]
async fn queries_across_the_types() {
    let (app, proxy) = warm().await;
    let ida = user(&app, "ida@ex.test").await;
    group(&app, "Staff", std::slice::from_ref(&ida)).await;
    let shown = "excludedAttributes=members";
    for (target, calls) in [
        // No group has a userName, and none is read to see that.
        ("/?filter=userName+eq+%22ida@ex.test%22", "GetItem secret, GetItem user"),
        ("/?filter=meta.resourceType+eq+%22Group%22", "GetItem secret, Query count, Query group"),
        ("/?count=0", "GetItem secret, Query count, Query count"),
        ("/", "GetItem secret, Query count, Query id, BatchGetItem of 1, Query count, Query group"),
        // Of the users the number is known, and nothing else is needed.
        ("/?startIndex=2", "GetItem secret, Query count, Query count, Query group"),
        (
            "/?cursor=",
            "GetItem secret, Query count, Query id, BatchGetItem of 1, Query count, Query group",
        ),
    ] {
        let joint = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{joint}{shown}");
        assert_eq!(cost(&app, &proxy, ("GET", &target, Value::Null)).await, calls, "{target}");
    }
    let body = json!({"filter": "userName eq \"ida@ex.test\""});
    let posted = cost(&app, &proxy, ("POST", "/Users/.search", body)).await;
    assert_eq!(posted, "GetItem secret, GetItem user");
}

#[tokio::test]
async fn page_1000_by_cursor_costs_what_page_1_costs() {
    const PAGES: usize = 1_000;
    let (app, proxy) = warm().await;
    crowd(&app, PAGES + 1).await;
    let mut cursor = String::new();
    let mut first = None;
    for page in 1..=PAGES {
        proxy.forget_calls();
        let target = format!("/Users?count=1&cursor={cursor}");
        let answer = app.call("GET", &target, Value::Null).await.expect(200).json();
        cursor = answer["nextCursor"].as_str().expect("there is a next page").to_owned();
        if page == 1 || page == PAGES {
            let mut bills = proxy.bills();
            bills.retain(|bill| !bill.is_now_and_then());
            let bills: Vec<(String, f64)> =
                bills.into_iter().map(|bill| (bill.call, bill.read)).collect();
            let calls: Vec<&str> = bills.iter().map(|(call, _)| call.as_str()).collect();
            assert_eq!(calls, ["GetItem secret", "Query count", "Query id", "BatchGetItem of 1"]);
            let first = first.get_or_insert_with(|| bills.clone());
            assert_eq!(*first, bills, "page {page}");
        }
    }
}

#[tokio::test]
async fn writes_of_users() {
    let (app, proxy) = warm().await;
    // Its own item, its id, a match item, the counter, the journal.
    let ida = json!({"userName": "ida@ex.test", "emails": [{"value": "ida@ex.test"}]});
    let created = cost(&app, &proxy, ("POST", "/Users", ida)).await;
    assert_eq!(created, "GetItem secret, TransactWriteItems of 5");
    let bare = cost(&app, &proxy, ("POST", "/Users", json!({"userName": "bob@ex.test"}))).await;
    assert_eq!(bare, "GetItem secret, TransactWriteItems of 4");
    let id = user(&app, "eve@ex.test").await;
    let target = format!("/Users/{id}");
    let email = || replacing("emails[type eq \"work\"].value", "eve@new.test");
    let put =
        json!({"userName": "adam@ex.test", "emails": [{"type": "work", "value": "eve@new.test"}]});
    for (method, body, calls) in [
        (
            "PATCH",
            replacing("title", "Director"),
            "GetItem secret, GetItem id, GetItem user, TransactWriteItems of 2",
        ),
        ("PATCH", replacing("title", "Director"), "GetItem secret, GetItem id, GetItem user"),
        ("PATCH", email(), "GetItem secret, GetItem id, GetItem user, TransactWriteItems of 4"),
        (
            "PATCH",
            replacing("userName", "EVE@ex.test"),
            "GetItem secret, GetItem id, GetItem user, TransactWriteItems of 2",
        ),
        (
            "PATCH",
            replacing("userName", "adam@ex.test"),
            "GetItem secret, GetItem id, GetItem user, TransactWriteItems of 4",
        ),
        ("PUT", put.clone(), "GetItem secret, GetItem id, GetItem user, TransactWriteItems of 2"),
        ("PUT", put, "GetItem secret, GetItem id, GetItem user"),
        (
            "DELETE",
            Value::Null,
            "GetItem secret, GetItem id, GetItem user, TransactWriteItems of 5",
        ),
    ] {
        let told = body.to_string();
        assert_eq!(cost(&app, &proxy, (method, &target, body)).await, calls, "{method} {told}");
    }
}

#[tokio::test]
async fn writes_of_groups() {
    let (app, proxy) = warm().await;
    let people = crowd(&app, 140).await;
    let one = |at: usize| std::slice::from_ref(&people[at]);
    let body = json!({"displayName": "Staff"});
    // Its own item, its name and the lock on it, the counter, the journal.
    let created = cost(&app, &proxy, ("POST", "/Groups", body)).await;
    assert_eq!(created, "GetItem secret, TransactWriteItems of 5");
    let id = group(&app, "Crew", &[]).await;
    let target = format!("/Groups/{id}");
    for (what, body, calls) in [
        // The group, the pair, the member's number, the journal.
        (
            "add",
            on_members("add", one(0)),
            "GetItem secret, GetItem group, TransactWriteItems of 5",
        ),
        (
            "add again",
            on_members("add", one(0)),
            "GetItem secret, GetItem group, TransactWriteItems of 5",
        ),
        (
            "remove",
            on_members("remove", one(0)),
            "GetItem secret, GetItem group, TransactWriteItems of 4",
        ),
        (
            "remove again",
            on_members("remove", one(0)),
            "GetItem secret, GetItem group, TransactWriteItems of 4",
        ),
        (
            "add 30",
            on_members("add", &people[..30]),
            "GetItem secret, GetItem group, TransactWriteItems of 92",
        ),
        (
            "rename",
            replacing("displayName", "Team"),
            "GetItem secret, GetItem group, TransactWriteItems of 6",
        ),
    ] {
        assert_eq!(cost(&app, &proxy, ("PATCH", &target, body)).await, calls, "{what}");
    }
    // 100 more: who is a member (1 batch), who exists (1), and 4 transactions.
    let add = on_members("add", &people[30..130]);
    let calls = cost(&app, &proxy, ("PATCH", &target, add)).await;
    assert_eq!(counted(&calls), [2, 2, 4], "{calls}");
    // 100 in a new group: whether its name is free, the work item, 4 chunks, the group. Of the batches, 1 asks
    // whether anybody is a member of a group that is not there yet.
    let body = json!({"displayName": "Half", "members": entries(&people[..100])});
    let calls = cost(&app, &proxy, ("POST", "/Groups?excludedAttributes=members", body)).await;
    assert_eq!(counted(&calls), [2, 2, 6], "{calls}");
}

#[tokio::test]
async fn groups_in_groups() {
    let (app, proxy) = warm().await;
    let (ida, bob) = (user(&app, "ida@ex.test").await, user(&app, "bob@ex.test").await);
    let inner = group(&app, "Inner", std::slice::from_ref(&ida)).await;
    let (outer, other) = (group(&app, "Outer", &[]).await, group(&app, "Other", &[]).await);
    let into = |group: &str, id: &str| {
        (format!("/Groups/{group}"), on_members("add", std::slice::from_ref(&id.to_owned())))
    };
    for (what, (target, body), calls) in [
        // It is taken for a person first; then what it is, how often groups came into groups, what is above.
        (
            "the first",
            into(&outer, &inner),
            "GetItem secret, GetItem group, TransactWriteItems of 5, BatchGetItem of 1, GetItem nesting, Query memberof, \
             TransactWriteItems of 6",
        ),
        (
            "into one that is in another",
            into(&inner, &other),
            "GetItem secret, GetItem group, TransactWriteItems of 5, BatchGetItem of 1, GetItem nesting, Query memberof, \
             BatchGetItem of 1, TransactWriteItems of 6",
        ),
        // As into any other group.
        ("a person", into(&inner, &bob), "GetItem secret, GetItem group, TransactWriteItems of 5"),
    ] {
        assert_eq!(cost(&app, &proxy, ("PATCH", &target, body)).await, calls, "{what}");
    }
    // What is above is read where something is: a query for each group that has ever been in another.
    let shown = format!("/Users/{ida}?attributes=groups");
    assert_eq!(
        cost(&app, &proxy, ("GET", &shown, Value::Null)).await,
        "GetItem secret, GetItem id, GetItem user, Query work, Query memberof, BatchGetItem of 1, Query memberof, \
         BatchGetItem of 1"
    );
    // For everybody on a page together once.
    assert_eq!(
        cost(&app, &proxy, ("GET", "/Users?attributes=groups", Value::Null)).await,
        "GetItem secret, Query count, Query id, BatchGetItem of 2, Query work, Query memberof, BatchGetItem of 1, \
         Query memberof, BatchGetItem of 1, Query memberof, BatchGetItem of 1"
    );
}

/// How many single reads, batches and transactions there are.
fn counted(calls: &str) -> [usize; 3] {
    let count = |word: &str| calls.split(", ").filter(|call| call.starts_with(word)).count();
    ["GetItem", "BatchGetItem", "TransactWriteItems"].map(count)
}

#[tokio::test]
async fn a_cached_token_costs_no_call() {
    let cached = |mut config: scim_endpoint::config::Config| {
        config.token_cache = Duration::from_secs(30);
        config
    };
    let (app, proxy) = Proxy::app_with(Conflicts::None, cached).await;
    settle(&app).await;
    let probe = ("GET", "/Users?filter=userName+eq+%22ida@ex.test%22", Value::Null);
    assert_eq!(cost(&app, &proxy, probe.clone()).await, "GetItem user");
    app.clock().advance(Duration::from_secs(29));
    assert_eq!(cost(&app, &proxy, probe.clone()).await, "GetItem user");
    app.clock().advance(Duration::from_secs(2));
    assert_eq!(cost(&app, &proxy, probe).await, "GetItem secret, GetItem user");
}

#[tokio::test]
async fn activity_is_written_once_a_minute_and_a_refusal_at_once() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    // Not at the end of a stretch of time: what waits from before it is a note of its own.
    let until_the_next = 600 - app.moment().now().unix_seconds().rem_euclid(600);
    app.clock().advance(Duration::from_secs(until_the_next.unsigned_abs()));
    let config = || ("GET", "/ServiceProviderConfig", Value::Null);
    // When the tenant was seen, and how often it asked for what.
    let noted = "GetItem secret, UpdateItem activity, UpdateItem traffic";
    assert_eq!(cost(&app, &proxy, config()).await, noted, "the first call");
    assert_eq!(cost(&app, &proxy, config()).await, "GetItem secret");
    app.clock().advance(Duration::from_secs(6));
    let soon = "GetItem secret, UpdateItem traffic";
    assert_eq!(cost(&app, &proxy, config()).await, soon, "a small directory's cycle is short");
    app.clock().advance(Duration::from_secs(61));
    assert_eq!(cost(&app, &proxy, config()).await, noted, "a minute later");
    user(&app, "ida@ex.test").await;
    proxy.forget_calls();
    app.call("POST", "/Users", json!({"userName": "IDA@ex.test"})).await.expect(409);
    // The transaction, who has the name, the note in the journal, the activity.
    let refused = "GetItem secret, TransactWriteItems of 4, GetItem user, PutItem journal, UpdateItem activity";
    assert_eq!(proxy.calls().join(", "), refused);
    proxy.forget_calls();
    app.call("GET", "/Users?filter=nothing", Value::Null).await.expect(400);
    assert_eq!(proxy.calls().join(", "), "GetItem secret, UpdateItem activity");
    // What is let in behind it is news, and then nothing is for a minute; so it is with what is sent away at the door.
    let nowhere = ("GET", "/Persons", Value::Null);
    let flip = "GetItem secret, UpdateItem activity";
    for (what, (method, target, body), status, calls) in [
        ("let in", config(), 200, flip),
        ("let in again", config(), 200, "GetItem secret"),
        ("sent away", nowhere.clone(), 404, flip),
        ("sent away again", nowhere, 404, "GetItem secret"),
        ("let in", config(), 200, flip),
        ("let in again", config(), 200, "GetItem secret"),
    ] {
        proxy.forget_calls();
        app.call(method, target, body).await.expect(status);
        assert_eq!(proxy.calls().join(", "), calls, "{what}");
    }
    // A stranger's token writes nothing.
    proxy.forget_calls();
    let stranger = app.token().replace(|c: char| c.is_ascii_digit(), "0");
    app.call_as(&stranger, "GET", "/Users", Value::Null).await.expect(401);
    app.call_as("nonsense", "GET", "/Users", Value::Null).await.expect(401);
    let calls = proxy.calls();
    assert!(calls.iter().all(|call| call == "GetItem secret"), "{calls:?}");
}

#[tokio::test]
async fn a_member_more_costs_the_same_whatever_the_size_of_the_group() {
    let (app, proxy) = warm().await;
    let people = crowd(&app, 401).await;
    let (last, many) = people.split_last().expect("there are some");
    let mut costs = Vec::new();
    for (name, members) in [("Empty", Vec::new()), ("Large", many.to_vec())] {
        let target = format!("/Groups/{}", group(&app, name, &members).await);
        let add = on_members("add", std::slice::from_ref(last));
        let without = format!("{target}?excludedAttributes=members");
        costs.push([
            cost(&app, &proxy, ("PATCH", &target, add)).await,
            cost(&app, &proxy, ("GET", &without, Value::Null)).await,
        ]);
    }
    assert_eq!(costs[0], costs[1]);
}
