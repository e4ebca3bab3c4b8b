//! Pages of a group that is too large for one answer: each is a slice of the same list, wherever it begins, beside members
//! of another kind, beside what is being swept, and when the store remembers where an earlier page has ended.

use serde_json::Value;

use super::{crowd, get, group, put_all, with};
use crate::app::App;
use crate::proxy::is_left_out;
use crate::whole::{Item, partition};

/// Where pages begin: at the ends, around what is being swept, and around a thousand rows, from where on they are counted.
const BEGINNINGS: [usize; 8] = [1, 2, 499, 999, 1_001, 1_002, 1_005, 1_018];

/// Members on a page.
const PAGE: usize = 7;

/// How many members a page's answer says there are, and the ids on it.
async fn page(app: &App, group: &str, begin: usize) -> (usize, Vec<String>) {
    let filter = format!("/Users?filter=groups.value+eq+%22{group}%22&attributes=id");
    let target = format!("{filter}&startIndex={begin}&count={PAGE}");
    let body = get(app, &target).await.expect(200).json();
    let ids = body["Resources"].as_array().into_iter().flatten();
    let ids = ids.map(|shown| shown["id"].as_str().unwrap().to_owned()).collect();
    (usize::try_from(body["totalResults"].as_u64().unwrap()).unwrap(), ids)
}

async fn expect_pages(app: &App, group: &str, members: &[String], beginnings: &[usize]) {
    for begin in beginnings {
        let wanted = members.iter().skip(begin - 1).take(PAGE).cloned().collect();
        let shown = page(app, group, *begin).await;
        assert_eq!(shown, (members.len(), wanted), "from {begin} on");
    }
}

/// Members past the endpoint, in the form of those that it has written itself.
async fn enrol(app: &App, group: &str, like: &str, members: &[String]) {
    let items = partition(app).await;
    let pair = [format!("member#{group}#{like}"), format!("memberof#{like}#{group}")];
    let [member, inverse] = pair.map(|key| items[&key].clone());
    let puts = members.iter().flat_map(|id| {
        let (key, other) = (format!("member#{group}#{id}"), format!("memberof#{id}#{group}"));
        [with(&member, &[("key", &key)]), with(&inverse, &[("key", &other)])]
    });
    put_all(app, puts.collect()).await;
}

/// The item of a job that sweeps what a member leaves behind.
fn sweep(like: &Item, app: &App, member: &String) -> Item {
    let job = format!("work#{}", app.moment().mint_uuid());
    let words = ["sweep", "User", "2026-01-01T00:00:00.000Z"].map(str::to_owned);
    let [task, kind, touched] = &words;
    let attributes = [("task", task), ("kind", kind), ("touched", touched)];
    let job = with(like, &[("key", &job), ("resource", member)]);
    with(&job, &attributes)
}

#[tokio::test]
async fn a_page_of_a_large_group_is_a_slice_of_it_wherever_it_begins() {
    if is_left_out("it writes four thousand items") {
        return;
    }
    let app = App::start().await;
    let mut between = vec![group(&app, "First", &[]).await];
    let mut people = crowd(&app, 600).await;
    between.push(group(&app, "Second", &[]).await);
    people.extend(crowd(&app, 420).await);
    people.sort();
    let first = [people[0].clone(), between[0].clone()];
    let all = group(&app, "Everybody", &first).await;
    enrol(&app, &all, &first[0], &people[1..]).await;
    enrol(&app, &all, &first[1], &between[1..]).await;

    // Each page without what an earlier one has left: from the last to the first. And again, with it.
    let backwards: Vec<usize> = BEGINNINGS.iter().rev().copied().chain([1_020, 1_021]).collect();
    expect_pages(&app, &all, &people, &backwards).await;
    expect_pages(&app, &all, &people, &BEGINNINGS).await;

    let like = partition(&app).await[&format!("memberof#{}#{all}", people[0])].clone();
    let swept = [0, 500, 998, 1_001, 1_019].map(|place: usize| people[place].clone());
    let jobs: Vec<Item> = swept.iter().map(|id| sweep(&like, &app, id)).collect();
    put_all(&app, jobs).await;
    let left: Vec<String> = people.iter().filter(|id| !swept.contains(*id)).cloned().collect();
    expect_pages(&app, &all, &left, &BEGINNINGS).await;
    expect_pages(&app, &all, &left, &backwards).await;
}

#[tokio::test]
async fn the_next_page_goes_on_where_the_last_has_ended() {
    let app = App::start().await;
    let people = {
        let mut people = crowd(&app, 40).await;
        people.sort();
        people
    };
    let all = group(&app, "Everybody", &people[..30]).await;
    let mut shown = Vec::new();
    for begin in (1..=30).step_by(PAGE) {
        let (total, ids) = page(&app, &all, begin).await;
        assert_eq!(total, 30);
        shown.extend(ids);
    }
    assert_eq!(shown, people[..30]);
    // A page that was read before is not told from what is there no more.
    let add = super::on_members("add", &people[30..]);
    super::patch(&app, &format!("/Groups/{all}"), add).await.expect(204);
    let (total, ids) = page(&app, &all, 29).await;
    assert_eq!((total, ids), (40, people[28..35].to_vec()));
    let gone = super::on_members("remove", &people[..20]);
    super::patch(&app, &format!("/Groups/{all}"), gone).await.expect(204);
    let (total, ids) = page(&app, &all, 18).await;
    assert_eq!((total, ids), (20, people[37..].to_vec()));
    let nobody = Value::Null;
    app.call("DELETE", &format!("/Groups/{all}"), nobody).await.expect(204);
    assert_eq!(page(&app, &all, 1).await, (0, Vec::new()));
}
