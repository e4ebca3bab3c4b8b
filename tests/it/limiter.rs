//! The per-tenant limiter through HTTP, and the parts of the protocol that are answered 501.

use std::time::Duration;

use serde_json::Value;

use crate::app::{Answer, App};

/// Requests a second that the limiter lets through in these tests: the lowest rate that may be configured.
const RATE: u32 = 50;

async fn limited() -> App {
    App::start_with(|config| scim_endpoint::config::Config { tenant_rate: Some(RATE), ..config })
        .await
}

async fn probe(app: &App, token: &str) -> Answer {
    app.call_as(token, "GET", "/ServiceProviderConfig", Value::Null).await
}

#[tokio::test]
async fn thirty_requests_a_second_for_a_minute_are_served() {
    let app = limited().await;
    let token = app.token();
    for _ in 0..30 * 60 {
        probe(&app, &token).await.expect(200);
        app.clock().advance(Duration::from_micros(33_333));
    }
}

#[tokio::test]
async fn a_storm_is_answered_429_and_the_other_tenant_is_served() {
    let app = limited().await;
    let (token, other) = (app.token(), app.other_token());
    let mut refused = None;
    for _ in 0..10 * RATE {
        let answer = probe(&app, &token).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a storm is refused").expect(429);
    let seconds: u64 = refused.header("Retry-After").unwrap().parse().expect("whole seconds");
    assert_eq!(refused.header("Content-Type"), Some("application/scim+json"));
    assert_eq!(refused.json()["status"], "429");
    probe(&app, &other).await.expect(200);
    app.clock().advance(Duration::from_secs(seconds));
    probe(&app, &token).await.expect(200);
}

#[tokio::test]
async fn what_is_not_implemented_says_so() {
    let app = App::start().await;
    for (method, path) in [
        ("GET", "/Me"),
        ("POST", "/Bulk"),
        ("POST", "/.search"),
        ("POST", "/Users/.search"),
        ("POST", "/Groups/.search"),
    ] {
        let answer = app.call(method, path, Value::Null).await.expect(501);
        assert_eq!(answer.json()["status"], "501", "{path}");
    }
}
