//! Someone is told: once per condition, again when it has come back or after a week, not while it is muted, never twice by
//! two runs at once, and never not at all because a message failed.

use std::sync::Mutex;
use std::time::Duration;

use scim_endpoint::admin;
use scim_endpoint::admin::tokens;
use scim_endpoint::auth::TokenSecret;
use scim_endpoint::saml::Metadata;
use scim_endpoint::store::TenantId;
use scim_endpoint::store::settings::Brake;
use scim_endpoint::watch::{self, Condition, Message, Mode, Notice, Summary, message, mute};
use serde_json::{Value, json};

use crate::app::App;
use crate::races::{delete, user};
use crate::whole::partition;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A run that tells; what it has told, by tenant and condition.
async fn run(app: &App) -> Vec<(String, Condition)> {
    told(&look(app, Mode::Tell).await)
}

async fn look(app: &App, mode: Mode) -> Summary {
    let moments = || app.moment();
    let tell = async |_: Message| Ok::<(), ()>(());
    let summary = watch::run(app.store(), &moments, mode, tell).await.expect("it runs");
    assert_eq!((summary.failed, summary.left, summary.untold), (0, 0, 0));
    summary
}

fn told(summary: &Summary) -> Vec<(String, Condition)> {
    let notices = summary.notices.iter();
    let mut told: Vec<_> =
        notices.map(|notice| (notice.tenant.to_string(), notice.condition)).collect();
    told.sort();
    told
}

/// The first tenant's identity provider calls, with a token that is alive whenever it is.
async fn call(app: &App) {
    let life = tokens::Life::days(300);
    let issued = tokens::issue(app.store(), &app.moment(), &app.tenant(), "late", life).await;
    let secret = issued.expect("a token is issued").secret;
    call_with(app, &secret).await;
}

async fn call_with(app: &App, secret: &TokenSecret) {
    let target = "/ServiceProviderConfig";
    app.call_as(secret.reveal(), "GET", target, Value::Null).await.expect(200);
}

fn of_acme(condition: Condition) -> (String, Condition) {
    ("acme".to_owned(), condition)
}

/// The second tenant is out of the way, and the first has a token that lives long.
async fn alone(app: &App) {
    let other = TenantId::parse("globex").unwrap();
    admin::tenants::disable(app.store(), &app.moment(), &other).await.unwrap();
    call(app).await;
    // The harness's own token lives for a day, and one that lives longer is used.
    app.clock().advance(Duration::from_secs(90));
    user(app, "first@ex.test").await;
    call(app).await;
    assert_eq!(run(app).await, []);
}

#[tokio::test]
async fn a_silence_is_told_once_and_again_when_it_has_come_back() {
    let app = App::start().await;
    alone(&app).await;
    app.clock().advance(5 * HOUR);
    assert_eq!(run(&app).await, []);
    app.clock().advance(2 * HOUR);
    // Whoever only looks changes nothing.
    let before = partition(&app).await;
    let shown = look(&app, Mode::Show).await;
    assert_eq!((told(&shown), shown.silent), (vec![of_acme(Condition::Silent)], 1));
    assert_eq!(partition(&app).await, before);
    assert!(shown.notices[0].sentence.starts_with("No contact for 7 hours"), "{shown:?}");
    assert_eq!(run(&app).await, [of_acme(Condition::Silent)]);
    assert_eq!(run(&app).await, []);
    app.clock().advance(HOUR);
    assert_eq!(run(&app).await, []);
    // Over, and back.
    call(&app).await;
    assert_eq!(run(&app).await, []);
    app.clock().advance(7 * HOUR);
    assert_eq!(run(&app).await, [of_acme(Condition::Silent)]);
    // And after a week once more, for it has never gone.
    app.clock().advance(6 * DAY);
    assert_eq!(run(&app).await, []);
    app.clock().advance(DAY);
    assert_eq!(run(&app).await, [of_acme(Condition::Silent)]);
}

#[tokio::test]
async fn nobody_is_told_of_what_is_muted() {
    let app = App::start().await;
    alone(&app).await;
    let at = (&app.tenant(), Condition::Silent);
    mute(app.store(), &app.moment(), at, 2).await.unwrap();
    app.clock().advance(7 * HOUR);
    assert_eq!(run(&app).await, []);
    app.clock().advance(DAY);
    assert_eq!(run(&app).await, []);
    app.clock().advance(DAY);
    assert_eq!(run(&app).await, [of_acme(Condition::Silent)]);
    mute(app.store(), &app.moment(), at, 30).await.unwrap();
    app.clock().advance(8 * DAY);
    assert_eq!(run(&app).await, []);
    mute(app.store(), &app.moment(), at, 0).await.unwrap();
    assert_eq!(run(&app).await, [of_acme(Condition::Silent)]);
}

#[tokio::test]
async fn what_could_not_be_told_is_told_later_and_two_at_once_tell_it_once() {
    let app = App::start().await;
    alone(&app).await;
    app.clock().advance(7 * HOUR);
    let moments = || app.moment();
    let fails = async |_: Message| Err::<(), &str>("no such topic");
    let failed = watch::run(app.store(), &moments, Mode::Tell, fails).await.unwrap();
    assert_eq!((failed.untold, failed.notices), (1, vec![]));
    // Whoever claimed it may still be at it.
    assert_eq!(run(&app).await, []);
    app.clock().advance(Duration::from_mins(16));
    let messages = Mutex::new(Vec::new());
    let tell = async |message: Message| {
        messages.lock().unwrap().push(message);
        Ok::<(), ()>(())
    };
    let one = watch::run(app.store(), &moments, Mode::Tell, &tell);
    let two = watch::run(app.store(), &moments, Mode::Tell, &tell);
    let (one, two) = tokio::join!(one, two);
    assert_eq!(one.unwrap().notices.len() + two.unwrap().notices.len(), 1);
    let messages = messages.into_inner().unwrap();
    let [Message { subject, text }] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(subject, "SCIM: acme: silent");
    assert!(text.starts_with("acme: No contact for 7 hours"), "{text}");
    assert!(text.contains("scimctl watch mute acme silent"), "{text}");
}

#[tokio::test]
async fn each_condition_is_told_by_its_name() {
    let app = App::start().await;
    let (store, tenant) = (app.store(), app.tenant());
    let by = (&tenant, "test");
    // Held changes.
    let brake = Brake { count: Some(1), percent: None, window_minutes: 60, budget: 1 };
    admin::brake::set(store, &app.moment(), by, Some(brake)).await.unwrap();
    let mut people = Vec::new();
    for number in 0..4 {
        people.push(user(&app, &format!("p{number}@ex.test")).await);
    }
    for id in &people {
        delete(&app, &format!("/Users/{id}")).await.expect(204);
    }
    // Refusals.
    for _ in 0..5 {
        app.call("POST", "/Users", json!({"userName": 7})).await.expect(400);
    }
    // A token that was revoked, and one that ends within the week: the only one that is alive.
    let old = tokens::issue(store, &app.moment(), &tenant, "old", tokens::Life::days(7)).await;
    let old = old.unwrap();
    tokens::revoke(store, &app.moment(), &tenant, &old.id).await.unwrap();
    app.clock().advance(Duration::from_secs(61));
    let target = "/ServiceProviderConfig";
    app.call_as(old.secret.reveal(), "GET", target, Value::Null).await.expect(401);
    let seen = run(&app).await;
    let expected = [Condition::Failures, Condition::Denied, Condition::Held];
    for condition in expected {
        assert!(seen.contains(&of_acme(condition)), "{condition:?}: {seen:?}");
    }
    // The harness's tokens are at half of their day.
    app.clock().advance(13 * HOUR);
    assert!(run(&app).await.contains(&of_acme(Condition::Token)));
}

#[tokio::test]
async fn a_certificate_that_ends_is_told() {
    let app = App::start().await;
    alone(&app).await;
    let (store, tenant) = (app.store(), app.tenant());
    let ends = app.moment().now().plus(100 * DAY + HOUR);
    let metadata = Metadata {
        entity_id: "https://idp.ex.test".to_owned(),
        directory: None,
        sso_url: "https://idp.ex.test/sso".to_owned(),
        certificates: Vec::new(),
        certificate_ends: ends,
    };
    admin::saml::describe(store, &app.moment(), (&tenant, "test"), &metadata).await.unwrap();
    assert_eq!(run(&app).await, []);
    app.clock().advance(80 * DAY);
    let seen = look(&app, Mode::Tell).await;
    let of_it = |notice: &&Notice| notice.condition == Condition::Certificate;
    let notice = seen.notices.iter().find(of_it).expect("it is told");
    assert!(notice.sentence.contains("ends in 20 days"), "{}", notice.sentence);
}

#[test]
fn many_notices_are_one_message() {
    let tenant = TenantId::parse("acme").unwrap();
    let notice = |sentence: &str| Notice {
        tenant: tenant.clone(),
        condition: Condition::Held,
        sentence: sentence.to_owned(),
    };
    let Message { subject, text } = message(&[notice("One."), notice("Two.")]);
    assert_eq!(subject, "SCIM: 2 notices");
    assert!(text.contains("acme: One.") && text.contains("acme: Two."), "{text}");
}
