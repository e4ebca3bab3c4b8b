//! What the identity provider did, as data and on the command line: the log tells exactly what was written, cycles are
//! recognised as they were played, refusals are measured, and everybody who is asked for is accounted for.

mod command;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use scim_endpoint::insight::cycles::CycleKind;
use scim_endpoint::insight::health::{self, Health, Sort, Verdict};
use scim_endpoint::insight::log::{Action, Filter, Outcome, Row, Whom, log};
use scim_endpoint::simulate::{
    Dialects, Endpoint, Plan, Rehearsal, Restart, Silent, Size, Switch, directory,
};
use scim_endpoint::system::Moments;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::app::App;
use crate::races::{replacing, user};
use crate::whole::journal;

/// The app behind a port of its own. It listens as long as the test runs.
async fn serve(app: &Arc<App>) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::clone(app);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let app = Arc::clone(&served);
            let service = service_fn(move |request| answer(Arc::clone(&app), request));
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    Endpoint::parse(&format!("http://{address}/scim/v2"), &app.token()).unwrap()
}

async fn answer(
    app: Arc<App>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let target = target.strip_prefix("/scim/v2").unwrap_or(target);
    let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap().to_owned();
    let headers: Vec<(String, String)> =
        head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let answer = app.send(head.method.as_str(), target, &headers, &body).await;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(answer.body))).unwrap())
}

async fn rehearsal(app: &Arc<App>, plan: Plan, size: Size) -> Rehearsal {
    let source = directory(size, plan.seed);
    let endpoint = serve(app).await;
    Rehearsal::new(endpoint, plan, source, Moments::new().unwrap()).unwrap()
}

async fn health_of(app: &App) -> Health {
    let health = health::health(app.store(), &app.moment(), &app.tenant()).await;
    health.unwrap().expect("there is such a tenant")
}

/// The whole log, newest first, in pages of so many rows.
async fn rows(app: &App, filter: &Filter, most: usize) -> Vec<Row> {
    let (mut rows, mut before) = (Vec::new(), None);
    loop {
        let tenant = app.tenant();
        let page = log(app.store(), &app.moment(), &tenant, filter, (before, most)).await.unwrap();
        assert!(page.rows.len() <= most && page.looked <= 1_000, "{page:?}");
        assert_eq!(page.note().is_some(), page.next.is_some());
        rows.extend(page.rows);
        match page.next {
            Some(next) => before = Some(next),
            None => return rows,
        }
    }
}

/// A person or group as rows tell it: the name, whether it is active, its externalId, its members.
type Told = (Option<String>, Option<bool>, Option<String>, BTreeSet<String>);

/// What is there after everything that the rows tell.
fn replay(rows: &[Row]) -> BTreeMap<String, Told> {
    let mut ordered: Vec<&Row> = rows
        .iter()
        .filter(|row| row.outcome == Outcome::Success && row.kind.as_deref() != Some("Tenant"))
        .collect();
    ordered.sort_by_key(|row| (row.id.clone(), row.version, row.at));
    let mut there: BTreeMap<String, Told> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    for row in ordered {
        let id = row.id.clone().expect("a change is of something");
        if row.action == Action::Delete {
            there.remove(&id);
            gone.insert(id);
            continue;
        }
        let told = there.entry(id).or_default();
        let name =
            if row.kind.as_deref() == Some("User") { &row.user_name } else { &row.display_name };
        (told.0, told.1, told.2) = (name.clone(), row.active, row.external_id.clone());
        told.3.extend(row.added.iter().cloned());
        told.3.retain(|member| !row.removed.contains(member));
    }
    for (_, _, _, members) in there.values_mut() {
        members.retain(|member| !gone.contains(member));
    }
    there
}

/// What SCIM says is there.
async fn state(app: &App) -> BTreeMap<String, Told> {
    let mut there = BTreeMap::new();
    for kind in ["Users", "Groups"] {
        let mut start = 1;
        loop {
            let target = format!("/{kind}?startIndex={start}&count=100");
            let page = app.call("GET", &target, Value::Null).await.expect(200).json();
            let resources = page["Resources"].as_array().cloned().unwrap_or_default();
            for resource in &resources {
                let text = |name: &str| resource[name].as_str().map(ToOwned::to_owned);
                let members = resource["members"].as_array().cloned().unwrap_or_default();
                let members = members.iter().filter_map(|member| member["value"].as_str());
                let name = if kind == "Users" { "userName" } else { "displayName" };
                let told = (
                    text(name),
                    resource["active"].as_bool(),
                    text("externalId"),
                    members.map(ToOwned::to_owned).collect(),
                );
                there.insert(text("id").unwrap(), told);
            }
            start += resources.len();
            if resources.is_empty() || page["totalResults"].as_u64() < u64::try_from(start).ok() {
                break;
            }
        }
    }
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_rehearsal_with_faults_is_the_directorys_state() {
    let app = Arc::new(App::start().await);
    let chaos = Some(Switch::default());
    let plan = Plan { chaos, seed: 11, dialects: Dialects::Mixed, cycles: 3, ..Plan::default() };
    let size = Size { users: 30, groups: 5, everyone_has_mail: false };
    let mut rehearsal = rehearsal(&app, plan, size).await;
    rehearsal.connect(&mut Silent).await.unwrap();
    rehearsal.play(&mut Silent).await;
    let report = rehearsal.report().unwrap();
    assert!(report.is_good(), "{:?}", report.findings());
    assert!(report.faults.values().sum::<usize>() > 5, "{:?}", report.faults);

    // Each item of the journal is one row, whatever the size of the pages.
    let all = rows(&app, &Filter::default(), 17).await;
    let items = journal(&app).await;
    assert!(all.len() > 80, "{}", all.len());
    let ats: Vec<String> = all.iter().rev().map(|row| row.at.to_string()).collect();
    assert_eq!(ats, items.keys().cloned().collect::<Vec<_>>());
    // Replayed, the rows are the directory.
    let there = state(&app).await;
    assert_eq!(replay(&all), there);
    // And each accepted write is a row: a version of what is there is a row of its own, or of a member that left by its end.
    for id in there.keys() {
        let kind = if there[id].1.is_some() { "Users" } else { "Groups" };
        let target = format!("/{kind}/{id}");
        let answer = app.call("GET", &target, Value::Null).await.expect(200).json();
        let version = answer["meta"]["version"].as_str().unwrap().to_owned();
        let told = all.iter().filter(|row| {
            let own = row.id.as_ref() == Some(id) && row.outcome == Outcome::Success;
            own || row.groups.contains(id)
        });
        assert_eq!(version, format!("W/\"{}\"", told.count()), "{target}");
    }
    // What a filter admits is what is left of all, whatever the pages.
    for action in Action::ALL {
        let filter = Filter { action: Some(action), ..Filter::default() };
        let expected: Vec<Row> = all.iter().filter(|row| row.action == action).cloned().collect();
        assert_eq!(rows(&app, &filter, 5).await, expected, "{action:?}");
    }
    let (id, told) = there.iter().find(|(_, told)| told.1.is_some()).unwrap();
    let name = told.0.clone().unwrap().to_uppercase();
    let whom = Whom::new(&name).unwrap().with_ids([id.clone()]);
    let filter = Filter { person: Some(whom), ..Filter::default() };
    let of_one = rows(&app, &filter, 5).await;
    assert!(!of_one.is_empty() && of_one.len() < all.len());
    let middle = all[all.len() / 2].time.unwrap();
    let since = Filter { since: Some(middle), ..Filter::default() };
    let until = Filter { until: Some(middle), ..Filter::default() };
    let (later, earlier) = (rows(&app, &since, 50).await, rows(&app, &until, 50).await);
    assert_eq!([later.clone(), earlier].concat(), all);
    assert!(later.iter().all(|row| row.time.unwrap() >= middle));
}

/// Puts the clock to the beginning of the next stretch of ten minutes that is at least so far away.
fn wait(app: &App, minutes: u64) {
    let into = app.moment().now().unix_seconds().rem_euclid(600).unsigned_abs();
    app.clock().advance(Duration::from_secs(minutes * 60 + 600 - into));
}

#[tokio::test(flavor = "multi_thread")]
async fn cycles_are_recognised_as_they_were_played() {
    let app = Arc::new(App::start().await);
    let size = Size { users: 40, groups: 3, everyone_has_mail: false };
    let mut rehearsal = rehearsal(&app, Plan { seed: 5, ..Plan::default() }, size).await;
    assert_eq!(health_of(&app).await.verdict, Verdict::Waiting);
    wait(&app, 0);
    rehearsal.connect(&mut Silent).await.unwrap();
    let tested = health_of(&app).await;
    assert_eq!((tested.verdict, tested.findings[0].sort), (Verdict::Waiting, Sort::FirstContact));
    wait(&app, 60);
    let mut seen = vec![rehearsal.cycle(&mut Silent).await];
    for _ in 0..2 {
        wait(&app, 30);
        assert!(!rehearsal.let_things_happen().is_empty());
        seen.push(rehearsal.cycle(&mut Silent).await);
    }
    wait(&app, 30);
    seen.push(rehearsal.restart(Restart::KeepLinks, &mut Silent).await);
    // What waits is written with the next call.
    wait(&app, 30);
    app.call("GET", "/ServiceProviderConfig", Value::Null).await.expect(200);
    let health = health_of(&app).await;
    let kinds: Vec<CycleKind> = health.cycles.iter().map(|cycle| cycle.kind).collect();
    let expected = [
        CycleKind::Test,
        CycleKind::Initial,
        CycleKind::Incremental,
        CycleKind::Incremental,
        CycleKind::Full,
        CycleKind::Incremental,
    ];
    assert_eq!(kinds, expected, "{:#?}", health.cycles);
    // Nothing is lost between two notes: what was played is what was counted.
    for (cycle, report) in health.cycles.iter().skip(1).zip(&seen) {
        let (writes, refused) = cycle.sums.writes();
        assert_eq!(writes, u64::try_from(report.writes()).unwrap(), "{:?}", cycle.kind);
        assert_eq!((refused, cycle.sums.throttled, cycle.sums.probes), (0, 0, 2));
    }
    assert!(health.cycles[1].sums.people >= 40 && health.cycles[4].sums.people >= 40);
    assert_eq!(health.rhythm, Some(Duration::from_mins(40)));
    assert_eq!(health.silence_allowed, Duration::from_hours(6));
    app.clock().advance(Duration::from_hours(7));
    let silent = health_of(&app).await;
    assert_eq!(silent.findings[0].sort, Sort::Silence);
    assert!(silent.sentence.starts_with("No contact for 7 hours"), "{}", silent.sentence);
}

#[tokio::test]
async fn a_series_of_refusals_is_measured_with_its_reason() {
    let app = App::start().await;
    let mut people = Vec::new();
    for number in 0..27 {
        people.push(user(&app, &format!("p{number}@ex.test")).await);
    }
    for (number, id) in people.iter().enumerate() {
        let target = format!("/Users/{id}");
        app.call("PATCH", &target, replacing("title", &format!("t{number}"))).await.expect(200);
    }
    for id in people.iter().take(23) {
        let mapping = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": "emails", "value": 7}]});
        app.call("PATCH", &format!("/Users/{id}"), mapping).await.expect(400);
    }
    // Not here any more: nothing that Entra would mind.
    for id in people.iter().take(2) {
        app.call("DELETE", &format!("/Users/{id}"), Value::Null).await.expect(204);
        app.call("DELETE", &format!("/Users/{id}"), Value::Null).await.expect(404);
    }
    app.clock().advance(Duration::from_secs(61));
    app.call("GET", "/ServiceProviderConfig", Value::Null).await.expect(200);
    let health = health_of(&app).await;
    let told: Vec<_> = health
        .shares
        .iter()
        .map(|share| (share.write.method(), share.all, share.refused))
        .collect();
    assert_eq!(told, [("POST", 27, 0), ("PATCH", 50, 23), ("DELETE", 4, 0)]);
    let finding = health.findings.iter().find(|finding| finding.sort == Sort::Failures).unwrap();
    assert!(finding.sentence.starts_with("46 % of PATCHes are refused (23 of 50"), "{finding:?}");
    assert!(
        finding.sentence.contains("because: ") && finding.sentence.contains("emails"),
        "{finding:?}"
    );
    let failures = Filter { outcome: Some(Outcome::Failure), ..Filter::default() };
    assert_eq!(rows(&app, &failures, 100).await.len(), 23);
    let skipped = Filter { outcome: Some(Outcome::Skipped), ..Filter::default() };
    assert_eq!(rows(&app, &skipped, 100).await.len(), 2);
}

#[tokio::test]
async fn requests_that_are_sent_away_are_counted() {
    let limited = |mut config: scim_endpoint::config::Config| {
        config.tenant_rate = Some(50);
        config
    };
    let app = App::start_with(limited).await;
    let mut away = 0;
    for _ in 0..150 {
        let answer = app.call("GET", "/ServiceProviderConfig", Value::Null).await;
        away += u64::from(answer.status == 429);
    }
    assert!(away > 0);
    app.clock().advance(Duration::from_secs(61));
    app.call("GET", "/ServiceProviderConfig", Value::Null).await.expect(200);
    let health = health_of(&app).await;
    assert_eq!(health.throttled, away);
    assert_eq!(health.findings.iter().any(|f| f.sort == Sort::Throttling), away >= 10);
}

#[tokio::test]
async fn names_in_the_place_of_object_ids_are_noticed() {
    let app = App::start().await;
    for number in 0..12 {
        let name = format!("p{number}");
        let body = json!({"userName": format!("{name}@ex.test"), "externalId": name});
        app.call("POST", "/Users", body).await.expect(201);
    }
    let health = health_of(&app).await;
    assert_eq!((health.external_ids.people, health.external_ids.names), (12, 12));
    let finding = &health.findings.iter().find(|finding| finding.sort == Sort::ExternalIds);
    assert!(finding.unwrap().sentence.contains("do not look like object ids"), "{health:#?}");
    assert!(health.last_call.is_some());
}
