//! The bounds on what one filter reads: at the bound it is answered, one beyond it is 400 `tooMany`, never a part of the list.

use scim_endpoint::limits::{FILTER_TERMS_MAX, PAIRS_LOOKED_UP_MAX, SCANNED_MAX};
use serde_json::{Value, json};

use crate::app::App;
use crate::races::{group, put_all, user, with};
use crate::whole::partition;

/// So many more groups, past the endpoint: only their own items, which is all that a filter without a key reads.
async fn more_groups(app: &App, of: &str, how_many: usize) {
    let item = partition(app).await.remove(&format!("group#{of}")).expect("there is one");
    let moment = app.moment();
    let copy = |number: usize| {
        let (id, name) = (moment.mint_uuid().to_string(), format!("Copy {number}"));
        with(&item, &[("id", &id), ("key", &format!("group#{id}")), ("displayName", &name)])
    };
    put_all(app, (0..how_many).map(copy).collect()).await;
}

async fn search(app: &App, filter: &str) -> (u16, Value) {
    let body = json!({ "filter": filter, "attributes": ["displayName"], "count": 1 });
    let answer = app.call("POST", "/Groups/.search", body).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn a_filter_without_a_key_reads_up_to_its_bound() {
    const FILTER: &str = "displayName ew \"Needle\"";
    let app = App::start().await;
    let first = group(&app, "The Needle", &[]).await;
    more_groups(&app, &first, SCANNED_MAX - 1).await;
    let (status, found) = search(&app, FILTER).await;
    assert_eq!((status, &found["totalResults"]), (200, &json!(1)), "{found}");
    more_groups(&app, &first, 1).await;
    let (status, refused) = search(&app, FILTER).await;
    assert_eq!((status, &refused["scimType"]), (400, &json!("tooMany")), "{refused}");
    let detail = refused["detail"].as_str().expect("a detail");
    assert!(detail.contains(&format!("more than {SCANNED_MAX} resources")), "{detail}");
    // What a key answers is answered in a directory of any size.
    let (status, found) = search(&app, "displayName eq \"The Needle\"").await;
    assert_eq!((status, &found["Resources"][0]["id"]), (200, &json!(first)), "{found}");
}

#[tokio::test]
async fn a_filter_looks_up_memberships_up_to_its_bound() {
    let app = App::start().await;
    let ann = user(&app, "ann@ex.test").await;
    let staff = group(&app, "Staff", std::slice::from_ref(&ann)).await;
    let strangers = (1..FILTER_TERMS_MAX).map(|_| app.moment().mint_uuid().to_string());
    let terms = strangers.chain([ann]).map(|id| format!("members.value eq \"{id}\""));
    let filter = terms.collect::<Vec<_>>().join(" or ");
    assert_eq!(
        PAIRS_LOOKED_UP_MAX % FILTER_TERMS_MAX,
        0,
        "the groups below are as many as the bound says"
    );
    more_groups(&app, &staff, PAIRS_LOOKED_UP_MAX / FILTER_TERMS_MAX - 1).await;
    let (status, found) = search(&app, &filter).await;
    assert_eq!((status, &found["totalResults"]), (200, &json!(1)), "{found}");
    assert_eq!(found["Resources"][0]["id"], json!(staff));
    more_groups(&app, &staff, 1).await;
    let (status, refused) = search(&app, &filter).await;
    assert_eq!((status, &refused["scimType"]), (400, &json!("tooMany")), "{refused}");
    let detail = refused["detail"].as_str().expect("a detail");
    assert!(detail.contains("members.value with eq"), "{detail}");
    // One comparison less is fewer than the bound again.
    let (shorter, _) = filter.rsplit_once(" or ").expect("there are several");
    let (status, found) = search(&app, shorter).await;
    assert_eq!((status, &found["totalResults"]), (200, &json!(0)), "{found}");
}
