//! What stands between the client and the endpoint: a gateway that refuses for a while by itself, and an answer that is
//! lost at the worst moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Response};
use scim_endpoint::simulate::{
    Change, Code, Embedded, Endpoint, Plan, Provider, Rehearsal, Silent, Size, Source, directory,
};
use scim_endpoint::system::Moments;
use tokio::sync::watch;

use super::front::{Behind, Fate, Rule, listen};

const SIZE: Size = Size { users: 14, groups: 3, everyone_has_mail: true };

/// A server of its own behind a rule, and a rehearsal that has connected to it.
async fn behind<R: Rule>(rule: &Arc<R>, plan: Plan, source: Source) -> (Embedded, Rehearsal) {
    let moments = Moments::new().unwrap();
    let embedded = Embedded::start(moments.clone(), None).await.unwrap();
    let (server, there) = watch::channel(Behind::server(embedded.endpoint().unwrap().base()));
    let url = listen(there, Arc::clone(rule)).await;
    drop(server);
    let endpoint = Endpoint::parse(&url, embedded.token()).unwrap();
    let mut rehearsal = Rehearsal::new(endpoint, plan, source, moments).unwrap();
    rehearsal.connect(&mut Silent).await.unwrap();
    (embedded, rehearsal)
}

/// Refuses the requests from a number on, so many of them; the next ones to come when it is told so.
#[derive(Default)]
struct Gateway {
    seen: AtomicUsize,
    from: AtomicUsize,
    left: AtomicUsize,
    /// Which of its answers.
    kind: AtomicUsize,
}

impl Gateway {
    /// Lets so many more requests through, then refuses so many.
    fn burst(&self, pass: usize, refuse: usize, kind: usize) {
        self.from.store(self.seen.load(Ordering::SeqCst) + pass, Ordering::SeqCst);
        self.left.store(refuse, Ordering::SeqCst);
        self.kind.store(kind, Ordering::SeqCst);
    }
}

impl Rule for Gateway {
    fn fate(&self, number: usize, _: &Method, _: &str) -> Fate {
        self.seen.store(number + 1, Ordering::SeqCst);
        let one_less = |left: usize| left.checked_sub(1);
        let is_over = number < self.from.load(Ordering::SeqCst)
            || self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err();
        if is_over {
            return Fate::Pass;
        }
        let (status, wait, media, body) = KINDS[self.kind.load(Ordering::SeqCst)];
        let mut answer = Response::builder().status(status).header("content-type", media);
        if let Some(wait) = wait {
            answer = answer.header("retry-after", wait);
        }
        Fate::Answer(answer.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap())
    }
}

/// Status, `Retry-After`, type, body.
const KINDS: [(u16, Option<&str>, &str, &str); 4] = [
    (429, None, "application/json", r#"{"message":"Too Many Requests"}"#),
    (429, Some("1"), "application/scim+json", r#"{"status":"429","detail":"slow down"}"#),
    (503, None, "application/json", r#"{"message":"Service Unavailable"}"#),
    (503, Some("Sun, 22 Nov 2026 08:00:00 GMT"), "text/html", "<html><h1>503</h1></html>"),
];

#[tokio::test]
async fn a_gateways_burst_of_429_and_503_is_made_good_by_the_next_cycle() {
    let gateway = Arc::new(Gateway::default());
    let (embedded, mut rehearsal) = behind(&gateway, Plan::default(), directory(SIZE, 5)).await;
    for kind in 0..KINDS.len() {
        gateway.burst(if kind == 0 { 12 } else { 4 }, 8, kind);
        let hit = rehearsal.cycle(&mut Silent).await;
        assert_eq!(gateway.left.load(Ordering::SeqCst), 0, "the burst was in the cycle: {hit:?}");
        assert!(hit.failed > 0 && !hit.findings.is_empty(), "{hit:?}");
        let next = rehearsal.cycle(&mut Silent).await;
        assert_eq!((next.findings.as_slice(), next.failed), (&[][..], 0), "kind {kind}");
        for person in rehearsal.source_mut().people.values_mut() {
            person.set("title", format!("Title {kind}"));
        }
    }
    // A cycle that begins in a burst is put off, and is no reason for quarantine.
    gateway.burst(0, 1, 3);
    let put_off = rehearsal.cycle(&mut Silent).await;
    assert_eq!((put_off.writes(), put_off.failed), (0, 1), "{put_off:?}");
    let next = rehearsal.cycle(&mut Silent).await;
    assert_eq!((next.findings.as_slice(), next.failed), (&[][..], 0));
    assert!(next.writes() > 10, "{next:?}");

    let report = rehearsal.report().unwrap();
    assert!(report.is_good() && report.health.word() == "healthy", "{:?}", report.health);
    assert!(report.failed_with(Code::TooManyRequests) > 5);
    assert!(report.failed_with(Code::InternalServerError) > 5);
    assert_eq!(report.open().count(), 0, "{:?}", report.open().collect::<Vec<_>>());
    let checked = embedded.check().await.unwrap();
    assert!(checked.is_whole(), "{:?}", checked.findings);
}

#[tokio::test]
async fn a_name_that_was_given_up_before_a_cycle_that_was_put_off_goes_to_nobody_yet() {
    let gateway = Arc::new(Gateway::default());
    let rates = Change::ALL.map(|change| match change.word() {
        "user-names" => (change, 60),
        "hires" => (change, 40),
        _ => (change, 0),
    });
    let plan = Plan { rates: rates.to_vec(), ..Plan::default() };
    let (_embedded, mut rehearsal) = behind(&gateway, plan, directory(SIZE, 6)).await;
    rehearsal.cycle(&mut Silent).await;
    for _ in 0..3 {
        rehearsal.let_things_happen();
        gateway.burst(0, 1, 0);
        let put_off = rehearsal.cycle(&mut Silent).await;
        assert_eq!((put_off.writes(), put_off.failed), (0, 1), "{put_off:?}");
    }
    let next = rehearsal.cycle(&mut Silent).await;
    assert_eq!((next.findings.as_slice(), next.failed), (&[][..], 0));
}

/// Loses the answer to one write of a membership or a manager: to the first after so many.
struct LosesAnswer {
    collection: &'static str,
    after: usize,
    seen: AtomicUsize,
}

impl LosesAnswer {
    fn new(collection: &'static str, after: usize) -> Arc<Self> {
        Arc::new(Self { collection, after, seen: AtomicUsize::default() })
    }
}

impl Rule for LosesAnswer {
    fn fate(&self, _: usize, method: &Method, path: &str) -> Fate {
        let is_write = method == Method::PATCH || method == Method::PUT;
        if is_write
            && path.contains(self.collection)
            && self.seen.fetch_add(1, Ordering::SeqCst) == self.after
        {
            return Fate::LoseAnswer;
        }
        Fate::Pass
    }
}

/// Three people, and two groups without members: their keys.
fn small() -> (Source, Vec<String>, Vec<String>) {
    let mut source = directory(Size { users: 3, groups: 2, everyone_has_mail: true }, 2);
    for group in source.groups.values_mut() {
        group.members.clear();
    }
    for person in source.people.values_mut() {
        person.manager = None;
    }
    let people = source.people.keys().cloned().collect();
    let groups = source.groups.keys().cloned().collect();
    (source, people, groups)
}

#[tokio::test]
async fn a_member_whose_addition_was_lost_and_who_moves_away_is_removed() {
    let (mut source, people, groups) = small();
    source.groups.get_mut(&groups[0]).unwrap().members.insert(people[0].clone());
    let lost = LosesAnswer::new("/Groups/", 0);
    let (_embedded, mut rehearsal) = behind(&lost, Plan::default(), source).await;
    let first = rehearsal.cycle(&mut Silent).await;
    // The addition went through, and the client does not know.
    assert_eq!((first.failed, first.findings.len()), (1, 0), "{first:?}");
    let groups = groups.iter().map(|key| (key.clone(), key == &groups[1]));
    for (key, is_new) in groups.collect::<Vec<_>>() {
        let group = rehearsal.source_mut().groups.get_mut(&key).unwrap();
        group.members.clear();
        group.members.extend(is_new.then(|| people[0].clone()));
    }
    let moved = rehearsal.cycle(&mut Silent).await;
    assert_eq!((moved.findings.as_slice(), moved.failed), (&[][..], 0), "{moved:?}");
}

#[tokio::test]
async fn a_member_whose_removal_was_lost_and_who_comes_back_is_added() {
    for provider in [Provider::Entra, Provider::Okta, Provider::PingOne, Provider::JumpCloud] {
        let (mut source, people, groups) = small();
        let all = || people.iter().take(2).cloned();
        source.groups.get_mut(&groups[0]).unwrap().members.extend(all());
        let lost = LosesAnswer::new("/Groups/", usize::MAX);
        let plan = Plan { provider, ..Plan::default() };
        let (_embedded, mut rehearsal) = behind(&lost, plan, source).await;
        let first = rehearsal.cycle(&mut Silent).await;
        assert_eq!((first.failed, first.findings.len()), (0, 0), "{provider:?}: {first:?}");

        rehearsal.source_mut().groups.get_mut(&groups[0]).unwrap().members.remove(&people[0]);
        // Okta names the group in a request of its own first.
        let before = usize::from(provider == Provider::Okta);
        lost.seen.store(usize::MAX - before, Ordering::SeqCst);
        let removed = rehearsal.cycle(&mut Silent).await;
        // The removal went through, and the client does not know.
        assert_eq!((removed.failed, removed.findings.len()), (1, 0), "{provider:?}: {removed:?}");
        rehearsal.source_mut().groups.get_mut(&groups[0]).unwrap().members.extend(all());
        let back = rehearsal.cycle(&mut Silent).await;
        assert_eq!((back.findings.as_slice(), back.failed), (&[][..], 0), "{provider:?}: {back:?}");
    }
}

#[tokio::test]
async fn a_manager_whose_change_was_lost_and_who_comes_back_is_set_again() {
    let (mut source, people, _) = small();
    let manager = |source: &mut Source, at: usize| {
        source.people.get_mut(&people[0]).unwrap().manager = Some(people[at].clone());
    };
    manager(&mut source, 1);
    let lost = LosesAnswer::new("/Users/", 1);
    let (_embedded, mut rehearsal) = behind(&lost, Plan::default(), source).await;
    let first = rehearsal.cycle(&mut Silent).await;
    assert_eq!((first.failed, first.findings.len()), (0, 0), "{first:?}");
    manager(rehearsal.source_mut(), 2);
    let changed = rehearsal.cycle(&mut Silent).await;
    // The change went through, and the client does not know.
    assert_eq!((changed.failed, changed.findings.len()), (1, 0), "{changed:?}");
    manager(rehearsal.source_mut(), 1);
    let back = rehearsal.cycle(&mut Silent).await;
    assert_eq!((back.findings.as_slice(), back.failed), (&[][..], 0), "{back:?}");
}
