//! Groups of thousands: shown whole as long as an answer holds them, page by page beyond, changed by what differs, and
//! deleted in bounded steps. Costs are counted, never timed.

use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::GzDecoder;
use scim_endpoint::limits::{MEMBERS_COMPRESSED_MAX, MEMBERS_READ_MAX};
use scim_endpoint::ops::jobs;
use scim_endpoint::scale::{CROWD, Size, seed, user_name};
use scim_endpoint::scim::resource::ResourceId;
use scim_endpoint::store::{Cx, Settings};
use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::proxy::{Conflicts, Proxy};
use crate::races::{entries, group, on_members, patch, user};
use crate::whole::{assert_whole, partition};

/// A tenant with so many people, who are all in one group; the group's id.
async fn crowded(app: &App, users: usize) -> String {
    let size = Size { users, crowd: users };
    let moments = || app.moment();
    seed(app.store(), &moments, &app.tenant(), size, &mut |_| ()).await.expect("it is seeded");
    id_of(app, CROWD).await
}

async fn id_of(app: &App, name: &str) -> String {
    let target = format!("/Groups?filter=displayName+eq+%22{name}%22&excludedAttributes=members");
    let found = app.call("GET", &target, Value::Null).await.expect(200).json();
    found["Resources"][0]["id"].as_str().expect("it is there").to_owned()
}

/// Member items of a group for people who are not looked at; their ids.
async fn strangers(app: &App, group: &str, how_many: usize) -> Vec<String> {
    let (moment, settings, tenant) = (app.moment(), Settings::default(), app.tenant());
    let ids: Vec<ResourceId> = (0..how_many).map(|_| ResourceId::mint(&moment)).collect();
    for ids in ids.chunks(500) {
        let moment = app.moment();
        let cx = Cx { tenant: &tenant, settings: &settings, actor: "test", moment: &moment };
        let group = ResourceId::parse(group).unwrap();
        app.store().seed_members(&cx, group, ids).await.expect("they are written");
    }
    ids.iter().map(ToString::to_string).collect()
}

fn of_group(group: &str, more: &str) -> String {
    format!("/Users?filter=groups.value+eq+%22{group}%22&attributes=userName{more}")
}

async fn get(app: &App, target: &str) -> Value {
    app.call("GET", target, Value::Null).await.expect(200).json()
}

async fn get_with(app: &App, target: &str, encoding: &str) -> Answer {
    let headers = [
        ("Authorization".to_owned(), format!("Bearer {}", app.token())),
        ("Accept-Encoding".to_owned(), encoding.to_owned()),
    ];
    app.send("GET", target, &headers, &[]).await
}

fn ids(list: &Value) -> Vec<String> {
    let resources = list["Resources"].as_array().expect("a list");
    resources.iter().map(|resource| resource["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_group_is_listed_page_by_page_and_page_20_costs_what_page_2_costs() {
    let (app, proxy) = Proxy::app_with(Conflicts::None, |config| config).await;
    let crowd = crowded(&app, 4_100).await;
    let mut seen = Vec::new();
    let next = "Query work, GetItem group, Query member, BatchGetItem of 100, BatchGetItem of 100, \
         BatchGetItem of 100, BatchGetItem of 100, GetItem group";
    for start in (1..=4_100).step_by(200) {
        let target = of_group(&crowd, &format!("&startIndex={start}&count=200"));
        proxy.forget_calls();
        let page = get(&app, &target).await;
        assert_eq!(page["totalResults"], 4_100);
        assert_eq!(page["startIndex"], start);
        let ids = ids(&page);
        let is_another = start == 1 || start == 4_001;
        assert!(is_another || proxy.calls().join(", ").contains(next), "{:?}", proxy.calls());
        assert_eq!(page["itemsPerPage"], if start == 4_001 { 100 } else { 200 });
        seen.extend(ids);
    }
    assert_eq!(seen.len(), 4_100);
    assert!(seen.is_sorted(), "in order of creation");
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 4_100);

    // Back to the front: counted again, in a few calls, as the place is gone that the walk had reached.
    let again = get(&app, &of_group(&crowd, "&startIndex=1501&count=3")).await;
    assert_eq!(ids(&again), seen[1_500..1_503]);
    assert_eq!(again["totalResults"], 4_100);
    let beyond = get(&app, &of_group(&crowd, "&startIndex=4101")).await;
    assert_eq!((&beyond["totalResults"], ids(&beyond).len()), (&json!(4_100), 0));
    let none = get(&app, &of_group(&crowd, "&count=0")).await;
    assert_eq!((&none["totalResults"], ids(&none).len()), (&json!(4_100), 0));
}

#[tokio::test]
async fn a_page_is_true_whatever_has_changed_between_two_pages() {
    let app = App::start().await;
    let crowd = crowded(&app, 30).await;
    let all = ids(&get(&app, &of_group(&crowd, "")).await);
    let first = get(&app, &of_group(&crowd, "&count=10")).await;
    assert_eq!(ids(&first), all[..10]);
    let target = format!("/Groups/{crowd}");
    patch(&app, &target, on_members("remove", &all[..5])).await.expect(204);
    let second = get(&app, &of_group(&crowd, "&startIndex=11&count=10")).await;
    assert_eq!((ids(&second).as_slice(), &second["totalResults"]), (&all[15..25], &json!(25)));
    // A group in the group is none of its people; somebody who is deleted, no more.
    let nested = group(&app, "Nested", &[]).await;
    patch(&app, &target, on_members("add", &[nested])).await.expect(204);
    app.call("DELETE", &format!("/Users/{}", all[7]), Value::Null).await.expect(204);
    let people = get(&app, &of_group(&crowd, "&count=200")).await;
    assert_eq!(people["totalResults"], 24);
    assert_eq!(ids(&people), [&all[5..7], &all[8..]].concat());
    app.call("DELETE", &target, Value::Null).await.expect(204);
    assert_eq!(get(&app, &of_group(&crowd, "")).await["totalResults"], 0);
    // Somebody else's group, or none at all.
    let theirs = app.call_as(&app.other_token(), "GET", &of_group(&crowd, ""), Value::Null).await;
    assert_eq!(theirs.expect(200).json()["totalResults"], 0);
}

#[tokio::test]
async fn a_seeded_tenant_is_whole_and_answers_as_one_that_was_provisioned() {
    let app = App::start().await;
    crowded(&app, 120).await;
    assert_whole(&partition(&app).await);
    for filter in [
        format!("userName+eq+%22{}%22", user_name(7)),
        "emails.value+eq+%22mail7@scale.example%22".to_owned(),
        "externalId+eq+%22external-7%22".to_owned(),
    ] {
        let found = get(&app, &format!("/Users?filter={filter}")).await;
        assert_eq!(found["Resources"][0]["displayName"], "Person 7", "{filter}");
    }
    assert_eq!(get(&app, "/Users?count=0").await["totalResults"], 120);
    let body = json!({"userName": user_name(7)});
    app.call("POST", "/Users", body).await.expect(409);
}

#[tokio::test]
async fn a_large_answer_is_compressed_for_who_takes_it_so() {
    let app = App::start().await;
    let id = group(&app, "Large", &[]).await;
    strangers(&app, &id, 2_500).await;
    let target = format!("/Groups/{id}");
    let plain = app.call("GET", &target, Value::Null).await.expect(200);
    assert_eq!(plain.json()["members"].as_array().unwrap().len(), 2_500);
    assert_eq!(
        (plain.header("Content-Encoding"), plain.header("Vary")),
        (None, Some("Accept-Encoding"))
    );
    let small = get_with(&app, &target, "deflate, gzip").await.expect(200);
    assert_eq!(small.header("Content-Encoding"), Some("gzip"));
    assert_eq!(small.header("Vary"), Some("Accept-Encoding"));
    assert_eq!(small.header("ETag"), plain.header("ETag"));
    assert_eq!(small.header("Content-Type"), Some("application/scim+json"));
    assert!(small.body.len() * 4 < plain.body.len(), "{} bytes", small.body.len());
    let mut body = Vec::new();
    GzDecoder::new(small.body.as_slice()).read_to_end(&mut body).expect("it is gzip");
    assert_eq!(body, plain.body);
    // What is small goes out as it is.
    let without = format!("{target}?excludedAttributes=members");
    let answer = get_with(&app, &without, "gzip").await.expect(200);
    assert_eq!((answer.header("Content-Encoding"), answer.header("Vary")), (None, None));
}

#[tokio::test]
async fn members_beyond_what_an_answer_holds_are_refused_with_the_way_to_page_them() {
    let app = App::start().await;
    let id = group(&app, "Huge", &[]).await;
    strangers(&app, &id, MEMBERS_READ_MAX + 1).await;
    let target = format!("/Groups/{id}");
    let refused = app.call("GET", &target, Value::Null).await.expect(400).json();
    assert_eq!(refused["scimType"], "tooMany");
    let detail = refused["detail"].as_str().unwrap();
    let way = format!("GET /Users?filter=groups.value eq \"{id}\"");
    assert!(detail.contains(&way) && detail.contains("excludedAttributes=members"), "{detail}");
    assert!(
        detail.contains(&format!("gzip, one answer shows {MEMBERS_COMPRESSED_MAX}")),
        "{detail}"
    );
    let shown = get_with(&app, &target, "gzip").await.expect(200);
    // Base64 in the event that Lambda returns.
    assert!(shown.body.len() / 3 * 4 < 2 * 1024 * 1024, "{} bytes", shown.body.len());
    get(&app, &format!("{target}?excludedAttributes=members")).await;
    let replaced = json!({"displayName": "Huge", "members": []});
    let replaced = app.call("PUT", &target, replaced).await.expect(400).json();
    assert_eq!(replaced["scimType"], "tooMany");
}

#[tokio::test]
async fn put_and_replace_in_a_group_of_10_000_write_what_differs() {
    let (app, proxy) = Proxy::app_with(Conflicts::None, |config| config).await;
    let id = group(&app, "Staff", &[]).await;
    let mut members = strangers(&app, &id, 10_000).await;
    let target = format!("/Groups/{id}?excludedAttributes=members");
    let (ida, bob) = (user(&app, "ida@ex.test").await, user(&app, "bob@ex.test").await);
    members[17] = ida;
    proxy.forget_calls();
    let body = json!({"displayName": "Staff", "members": entries(&members)});
    app.call("PUT", &target, body).await.expect(200);
    // The group, its version, two pairs, a person's number, the journal's item.
    let put = proxy.calls().join(", ");
    members[4_711] = bob;
    proxy.forget_calls();
    let body =
        json!({"Operations": [{"op": "replace", "path": "members", "value": entries(&members)}]});
    patch(&app, &target, body).await;
    let replaced = proxy.calls().join(", ");
    for calls in [&put, &replaced] {
        let is_of_it = |call: &&str| {
            !["Query member", "UpdateItem activity", "UpdateItem traffic"].contains(call)
        };
        let others: Vec<&str> = calls.split(", ").filter(is_of_it).collect();
        assert_eq!(
            others,
            ["GetItem secret", "GetItem group", "Query work", "TransactWriteItems of 7"],
            "{calls}"
        );
        assert!(calls.matches("Query member").count() <= 2, "{calls}");
    }
    let shown = get(&app, &format!("/Groups/{id}")).await;
    let shown: BTreeSet<&str> = shown["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["value"].as_str().unwrap())
        .collect();
    assert_eq!(shown, members.iter().map(String::as_str).collect());
    // More than one request may change.
    let body = json!({"displayName": "Staff", "members": entries(&members[..8_999])});
    let refused = app.call("PUT", &target, body).await.expect(400).json();
    assert_eq!(refused["scimType"], "tooMany");
}

#[tokio::test]
async fn a_group_of_10_000_is_gone_at_once_and_swept_in_bounded_steps() {
    let (app, proxy) = Proxy::app_with(Conflicts::None, |config| config).await;
    let id = group(&app, "Staff", &[]).await;
    let members = strangers(&app, &id, 10_000).await;
    let target = format!("/Groups/{id}");
    proxy.forget_calls();
    app.call("DELETE", &target, Value::Null).await.expect(204);
    // The delete itself, and five steps of two looks and a transaction.
    assert!(proxy.calls().len() <= 24, "{:?}", proxy.calls());
    let largest = proxy.calls().into_iter().filter_map(|call| {
        call.strip_prefix("TransactWriteItems of ").and_then(|actions| actions.parse().ok())
    });
    let largest: Option<usize> = largest.max();
    assert!(largest.is_some_and(|actions| actions <= 100), "{largest:?}");
    app.call("GET", &target, Value::Null).await.expect(404);
    assert_eq!(get(&app, &of_group(&id, "")).await["totalResults"], 0);
    let probe = format!("/Groups?filter=members.value+eq+%22{}%22", members[9_999]);
    assert_eq!(get(&app, &probe).await["totalResults"], 0);
    // Each run of the job begins where the one before has stopped, be it in the middle.
    let mut runs = 0;
    loop {
        let summary = jobs::run(app.store(), &app.moment()).await.expect("the job runs");
        assert_eq!(summary.failed, 0);
        runs += 1;
        assert!(runs < 20, "the job never ends");
        if summary.left == 0 {
            break;
        }
    }
    assert_whole(&partition(&app).await);
}
