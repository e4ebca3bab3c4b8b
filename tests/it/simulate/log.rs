//! After a chaotic run, what the provisioning log says and what the directory has agree exactly. The rows are read as the
//! page reads them, page by page, and as the page itself shows them; what an admin would conclude from them is worked out
//! here, by this file's own code, and compared with the directory's items.
//!
//! Between simulator and server stands a listener, as API Gateway stands before the function: what it has passed on goes on
//! whether the client waits or not, and it hears each answer. So refusals can be compared with what was really answered, lost
//! answers included. A note of a refusal that DynamoDB does not take is lost by design (the answer is given all the same): while
//! DynamoDB fails, the log may have fewer of them, and never one that was not answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use scim_endpoint::admin::portal::{LinkLife, SamlFirst, issue_link};
use scim_endpoint::http::{Request, decode_path};
use scim_endpoint::insight::log::{Action, Filter, Outcome, Row, log};
use scim_endpoint::insight::words::{plain, second};
use scim_endpoint::limits::{LOG_ITEMS_PER_PAGE, LOG_ROWS_PER_PAGE};
use scim_endpoint::local;
use scim_endpoint::portal::{Options, Portal, handle};
use scim_endpoint::saml::Allowed;
use scim_endpoint::simulate::{
    Change, Dialects, Endpoint, Plan, Rehearsal, Report, Silent, Size, Switch, directory,
};
use scim_endpoint::store::{Store, TenantId};
use scim_endpoint::system::Moments;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use super::front::{Behind, Rule, listen};
use super::site::Site;
use crate::whole::{Item, at, number, string};

const TENANT: &str = "demo";
const ORIGIN: &str = "https://scim.example.test";

/// What a refusal is known by: method, status and what the client was told.
type Refused = (String, u64, String);

/// Hears what the server answers.
#[derive(Debug, Default)]
struct Listener(Mutex<Vec<Refused>>);

impl Rule for Listener {
    fn saw(&self, method: &Method, status: u16, body: &Bytes) {
        let is_write = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method);
        if is_write && (400..500).contains(&status) {
            let body: Value = serde_json::from_slice(body).expect("an error of ours");
            let detail = body["detail"].as_str().unwrap_or_default().to_owned();
            self.0.lock().unwrap().push((method.to_string(), u64::from(status), detail));
        }
    }
}

/// What is known of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    kind: String,
    /// A person's userName, a group's displayName.
    name: String,
    external_id: String,
    /// Of a person.
    active: bool,
    version: u64,
}

/// Resources by id, and memberships as pairs of group and member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct World {
    resources: BTreeMap<String, Known>,
    memberships: BTreeSet<(String, String)>,
}

/// What the directory's items say.
fn there(partition: &BTreeMap<String, Item>) -> World {
    let mut world = World::default();
    for (key, item) in partition {
        let known = |kind: &str, name: &str| Known {
            kind: kind.to_owned(),
            name: string(item, name),
            external_id: string(item, "externalId"),
            active: kind == "User"
                && item.get("active").is_none_or(|flag| *flag.as_bool().unwrap()),
            version: u64::try_from(number(item, "version")).unwrap(),
        };
        match key.split('#').collect::<Vec<_>>().as_slice() {
            ["user", _] => {
                drop(world.resources.insert(string(item, "id"), known("User", "userName")));
            }
            ["group", id] => {
                world.resources.insert((*id).to_owned(), known("Group", "displayName"));
            }
            ["member", group, member] => {
                world.memberships.insert(((*group).to_owned(), (*member).to_owned()));
            }
            _ => {}
        }
    }
    world
}

/// What an admin concludes from the rows, the newest first; and whatever makes no sense in them.
fn concluded(rows: &[Row]) -> (World, Vec<String>) {
    let (mut world, mut wrong) = (World::default(), Vec::new());
    if !rows.is_sorted_by(|newer, older| newer.at > older.at) {
        wrong.push("a row stands twice, or out of order".to_owned());
    }
    let is_change =
        |row: &&Row| row.outcome == Outcome::Success && row.kind.as_deref() != Some("Tenant");
    let mut own: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    let mut left: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows.iter().rev().filter(is_change) {
        let id = row.id.as_deref().unwrap_or_default();
        own.entry(id).or_default().push(row);
        for group in &row.groups {
            left.entry(group).or_default().push(id);
        }
        if row.action == Action::Other {
            wrong.push(format!("{id}: {} is no change of a calm or chaotic cycle", row.what()));
        }
    }
    for (id, rows) in own {
        let left = left.get(id).map(Vec::as_slice).unwrap_or_default();
        match resource(&rows, left) {
            Ok(None) => {}
            Ok(Some(known)) => {
                world
                    .memberships
                    .extend(members(&rows, left).into_iter().map(|m| (id.to_owned(), m)));
                world.resources.insert(id.to_owned(), known);
            }
            Err(what) => wrong.push(format!("{id}: {what}")),
        }
    }
    (world, wrong)
}

/// What the rows of one resource say, the oldest first: `None` when it is gone.
fn resource(rows: &[&Row], left: &[&str]) -> Result<Option<Known>, String> {
    let count = |action: Action| rows.iter().filter(|row| row.action == action).count();
    let (first, last) = (rows.first().ok_or("nothing")?, rows.last().ok_or("nothing")?);
    let (begins, ends) = (count(Action::Create), count(Action::Delete));
    if begins != 1 || first.action != Action::Create {
        return Err(format!("{begins} creations, and {} first", first.what()));
    }
    if ends > 1 || (ends == 1) != (last.action == Action::Delete) {
        return Err(format!("{ends} deletions, and {} last", last.what()));
    }
    let versions: Vec<u64> = rows.iter().map(|row| row.version.unwrap_or(0)).collect();
    if versions.first() != Some(&1) || !versions.is_sorted_by(|older, newer| older < newer) {
        return Err(format!("versions {versions:?}"));
    }
    // Each write is a row; what the deletion of a member does to a group is told in the member's row.
    let version = u64::try_from(rows.len() + left.len()).unwrap();
    if ends == 1 {
        let is_whole = versions.last() == Some(&version);
        return if is_whole {
            Ok(None)
        } else {
            Err(format!("ends with {versions:?}, not {version}"))
        };
    }
    let kind = last.kind.clone().unwrap_or_default();
    let switches = rows.iter().rev().find_map(|row| match row.action {
        Action::Create => Some(row.active == Some(true)),
        Action::Enable => Some(true),
        Action::Disable => Some(false),
        Action::Update | Action::Delete | Action::Members | Action::Other => None,
    });
    let active = switches.unwrap_or(false);
    if kind == "User" && last.active != Some(active) {
        return Err(format!("switched to {active}, and the last row says {:?}", last.active));
    }
    let name = if kind == "User" { &last.user_name } else { &last.display_name };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (name, external_id) = (text(name), text(&last.external_id));
    Ok(Some(Known { kind, name, external_id, active, version }))
}

/// The members that a group's rows leave in it.
fn members(rows: &[&Row], left: &[&str]) -> BTreeSet<String> {
    let mut members = BTreeSet::new();
    for row in rows {
        members.extend(row.added.iter().cloned());
        members.retain(|member| !row.removed.contains(member));
    }
    members.retain(|member| !left.contains(&member.as_str()));
    members
}

/// Everything in which the rows and the directory differ.
fn differences(rows: &[Row], there: &World) -> Vec<String> {
    let (concluded, mut wrong) = concluded(rows);
    for (id, known) in &there.resources {
        match concluded.resources.get(id) {
            None => wrong.push(format!("{id} is there, and the log does not say so: {known:?}")),
            Some(told) if told != known => {
                wrong.push(format!("{id} is {known:?}, and told is {told:?}"));
            }
            Some(_) => {}
        }
    }
    let ghosts = concluded.resources.keys().filter(|id| !there.resources.contains_key(*id));
    wrong.extend(ghosts.map(|id| format!("{id} is told of, and is not there")));
    let memberships = concluded.memberships.symmetric_difference(&there.memberships);
    wrong.extend(
        memberships.map(|pair| format!("{pair:?} is told and not there, or there and not told")),
    );
    wrong
}

/// Refusals that the log has, counted.
fn refusals(rows: &[Row]) -> BTreeMap<Refused, usize> {
    let refused = rows.iter().filter(|row| row.outcome != Outcome::Success);
    counted(refused.map(|row| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        (text(&row.method), row.status.unwrap_or(0), text(&row.detail))
    }))
}

fn counted<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    all.for_each(|one| *counts.entry(one).or_insert(0) += 1);
    counts
}

/// What is more often in the one than in the other.
fn beyond<T: Ord + Clone>(
    one: &BTreeMap<T, usize>,
    other: &BTreeMap<T, usize>,
) -> BTreeMap<T, usize> {
    let more = |(key, count): (&T, &usize)| {
        let more = count.saturating_sub(other.get(key).copied().unwrap_or(0));
        (more > 0).then(|| (key.clone(), more))
    };
    one.iter().filter_map(more).collect()
}

/// The whole log, as `scimctl log` and the page read it.
async fn whole_log(store: &Store, moments: &Moments, tenant: &TenantId, most: usize) -> Vec<Row> {
    let (mut rows, mut before) = (Vec::new(), None::<Uuid>);
    loop {
        let filter = Filter::default();
        let moment = moments.unnamed();
        let page = log(store, &moment, tenant, &filter, (before, most)).await.unwrap();
        assert!(page.rows.len() <= most);
        rows.extend(page.rows);
        before = page.next;
        if before.is_none() {
            return rows;
        }
    }
}

/// A row as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    time: String,
    who: String,
    what: String,
    outcome: String,
    request: String,
}

impl Shown {
    /// What the page has to show of a row.
    fn expected(row: &Row) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(plain).unwrap_or_default();
        let name = row.name().map(plain).unwrap_or_default();
        Self {
            time: row.time.map(|time| format!("{} UTC", second(time))).unwrap_or_default(),
            // What is gone may have left no name.
            who: format!("{name} {}", text(&row.kind)).trim_start().to_owned(),
            what: format!("{} {}", row.what(), row.action.word()),
            outcome: row.outcome.word().to_owned(),
            request: text(&row.request),
        }
    }

    /// A row of the page's table.
    fn read(row: &str) -> Self {
        let mut cells = row.split("<td>").skip(1);
        let mut cell = || cells.next().unwrap_or_else(|| panic!("fewer cells: {row}"));
        let [time, who, what, outcome] = std::array::from_fn(|_| words(cell()));
        let request = cell().split_once("class=\"id\">").map_or("", |(_, rest)| rest);
        Self { time, who, what, outcome, request: words(request) }
    }
}

/// What a person reads of a piece of HTML.
fn words(html: &str) -> String {
    let mut text = String::new();
    for part in format!(">{html}").split('>').skip(1) {
        text.push_str(part.split('<').next().unwrap_or_default());
    }
    let codes = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    let text = codes.iter().fold(text, |text, (code, plain)| text.replace(code, plain));
    text.trim().to_owned()
}

/// The log's page and all that are older, as somebody with a session sees them.
async fn pages(store: &Store, moments: &Moments, tenant: &TenantId) -> Vec<Shown> {
    let options = Options {
        public_url: Some(ORIGIN.to_owned()),
        base_path: "/scim/v2".to_owned(),
        saml_hosts: Allowed::default(),
        saml_first: SamlFirst::NotRequired,
    };
    let portal = Portal::new(store.clone(), options);
    let send = async |method: Method, target: &str, cookie: Option<&str>| {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert("content-type", form);
        if let Some(cookie) = cookie {
            headers.insert("cookie", HeaderValue::from_str(cookie).unwrap());
        }
        let (path, query, body) = (decode_path(path), query.to_owned(), Bytes::new());
        let origin = Some(ORIGIN.to_owned());
        let request = Request { method, path, query, headers, body, origin };
        handle(&portal, request, moments.unnamed()).await
    };
    let life = LinkLife::parse("7d").unwrap();
    let link = issue_link(store, &moments.unnamed(), (tenant, "scimctl"), ("admin", life)).await;
    let link = link.unwrap().url(ORIGIN);
    let opened = send(Method::POST, link.strip_prefix(ORIGIN).unwrap(), None).await;
    let cookie = opened.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let (mut shown, mut target) = (Vec::new(), "/portal/log".to_owned());
    loop {
        let page = send(Method::GET, &target, Some(cookie)).await;
        assert_eq!(page.status(), 200);
        let text = String::from_utf8(page.into_body().to_vec()).unwrap();
        let body = text.split_once("<tbody>").unwrap().1.split("</tbody>").next().unwrap();
        let rows: Vec<Shown> = body.split("<tr").skip(1).map(Shown::read).collect();
        assert!(rows.len() <= LOG_ROWS_PER_PAGE);
        shown.extend(rows);
        let links = text.split("href=\"").skip(1);
        let mut older = links.map(|link| link.split('>').next().unwrap_or_default());
        let Some(older) = older.find(|link| link.contains("rel=\"next\"")) else {
            return shown;
        };
        target = older.split('"').next().unwrap_or_default().replace("&#38;", "&");
    }
}

/// Some cycles with faults on the wire, and of DynamoDB when there is a switch for them.
async fn play(below: Option<Switch>, seed: u64) -> (Site, Report, Vec<Refused>) {
    let site = match &below {
        Some(switch) => Site::faulty(&[TENANT], switch.clone(), seed).await,
        None => Site::calm(&[TENANT]).await,
    };
    let listener = Arc::<Listener>::default();
    let (_behind, receiver) = watch::channel(Behind::server(&site.started.base_url));
    let url = listen(receiver, Arc::clone(&listener)).await;
    // So that some stay away, some come back, and some are deleted.
    let rates = vec![(Change::Leavers, 15), (Change::Rehires, 10), (Change::HardDeletes, 10)];
    let (dialects, chaos) = (Dialects::Mixed, Some(below.unwrap_or_default()));
    let plan = Plan { seed, chaos, dialects, rates, cycles: 4, ..Plan::default() };
    let source = directory(Size { users: 16, groups: 5, everyone_has_mail: true }, seed);
    let endpoint = Endpoint::parse(&url, site.token(TENANT)).unwrap();
    let mut rehearsal = Rehearsal::new(endpoint, plan, source, Moments::new().unwrap()).unwrap();
    rehearsal.connect(&mut Silent).await.unwrap();
    rehearsal.play(&mut Silent).await;
    let report = rehearsal.report().unwrap();
    assert!(report.is_good(), "seed {seed}: {:?} {:?}", report.health, report.findings());
    assert!(report.faults.values().sum::<usize>() > 10, "seed {seed}: {:?}", report.faults);
    let answered = listener.0.lock().unwrap().clone();
    (site, report, answered)
}

/// Refusals that the simulator has noted in its own log: those of its requests to write. (A 404 may be a read's, and a
/// gateway's answers are none of the endpoint's.)
fn noted(report: &Report) -> BTreeMap<(u64, String), usize> {
    let failures = report.log.iter().filter_map(|entry| entry.failure.as_ref());
    counted(failures.filter_map(|failure| {
        let status = failure.status.filter(|status| [400, 409, 412, 413].contains(status))?;
        let detail = failure.detail.strip_prefix(&format!("{status}: "))?;
        Some((u64::from(status), detail.to_owned()))
    }))
}

async fn agrees(below: Option<Switch>, seed: u64) -> (Vec<Row>, World) {
    let notes_can_be_lost = below.is_some();
    let (site, report, answered) = play(below, seed).await;
    let (store, moments) = (local::store_of(&site.started).unwrap(), Moments::new().unwrap());
    let tenant = TenantId::parse(TENANT).unwrap();
    let shown = pages(&store, &moments, &tenant).await;
    let rows = whole_log(&store, &moments, &tenant, LOG_ROWS_PER_PAGE).await;
    assert_eq!(rows, whole_log(&store, &moments, &tenant, 7).await);
    assert_eq!(rows, whole_log(&store, &moments, &tenant, LOG_ITEMS_PER_PAGE).await);
    let expected: Vec<Shown> = rows.iter().map(Shown::expected).collect();
    assert_eq!(shown, expected, "seed {seed}: the page is the log");

    let [partition, journal] = at(&site.started.dynamodb_endpoint, TENANT).await;
    assert_eq!(rows.len(), journal.len(), "each item is a row");
    let there = there(&partition);
    assert!(there.resources.len() > 15 && there.memberships.len() > 5, "{there:#?}");
    let people = there.resources.values().filter(|known| known.kind == "User");
    assert!(people.clone().any(|known| !known.active) && people.clone().any(|known| known.active));
    assert_eq!(differences(&rows, &there), [""; 0], "seed {seed}");

    // What was refused.
    let (log, answered) = (refusals(&rows), counted(answered.into_iter()));
    assert_eq!(beyond(&log, &answered), BTreeMap::new(), "seed {seed}: told, and never answered");
    let lost = beyond(&answered, &log);
    let known: usize = lost.values().sum();
    let below = report.faults.iter().filter(|(name, _)| name.starts_with("DynamoDB"));
    let most = if notes_can_be_lost { below.map(|(_, count)| count).sum() } else { 0 };
    assert!(known <= most, "seed {seed}: {lost:?}");
    let by_text = |all: &BTreeMap<Refused, usize>| {
        let texts = all.iter().flat_map(|((_, status, detail), count)| {
            std::iter::repeat_n((*status, detail.clone()), *count)
        });
        counted(texts)
    };
    let mut told = by_text(&log);
    for (text, count) in by_text(&lost) {
        *told.entry(text).or_default() += count;
    }
    assert_eq!(beyond(&noted(&report), &told), BTreeMap::new(), "seed {seed}: not in the log");
    (rows, there)
}

#[tokio::test]
async fn after_faults_on_the_wire_the_log_and_the_directory_agree_exactly() {
    let mut refused = 0;
    for seed in [41, 42] {
        let (rows, _) = agrees(None, seed).await;
        refused += refusals(&rows).values().sum::<usize>();
    }
    assert!(refused > 0, "something was refused");
}

#[tokio::test]
async fn after_faults_of_dynamodb_too_the_log_and_the_directory_agree_and_any_row_less_would_show()
{
    let (rows, there) = agrees(Some(Switch::default()), 43).await;
    let is_change =
        |row: &Row| row.outcome == Outcome::Success && row.kind.as_deref() != Some("Tenant");
    let changes: Vec<usize> = (0..rows.len()).filter(|index| is_change(&rows[*index])).collect();
    assert!(changes.len() > 50);
    for index in changes {
        let mut fewer = rows.clone();
        let row = fewer.remove(index);
        assert_ne!(differences(&fewer, &there), [""; 0], "without {row:?}");
        let mut more = rows.clone();
        more.insert(index, row.clone());
        assert_ne!(differences(&more, &there), [""; 0], "with {row:?} twice");
        // As if it had not switched anybody.
        if [Action::Disable, Action::Enable].contains(&row.action) {
            let mut quiet = rows.clone();
            quiet[index].action = Action::Update;
            let is_last = !rows[..index].iter().any(|newer| {
                newer.id == row.id
                    && [Action::Disable, Action::Enable, Action::Delete].contains(&newer.action)
            });
            assert_eq!(differences(&quiet, &there).is_empty(), !is_last, "{row:?}");
        }
    }
    // And any difference in the directory.
    for id in there.resources.keys() {
        let mut other = there.clone();
        other.resources.remove(id);
        assert_ne!(differences(&rows, &other), [""; 0]);
        other = there.clone();
        let known = other.resources.get_mut(id).unwrap();
        known.active = !known.active;
        assert_ne!(differences(&rows, &other), [""; 0]);
    }
    for pair in &there.memberships {
        let mut other = there.clone();
        other.memberships.remove(pair);
        assert_ne!(differences(&rows, &other), [""; 0]);
    }
}
