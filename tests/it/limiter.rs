//! The per-tenant limiter through HTTP, and the parts of the protocol that are answered 501.

use std::time::Duration;

use serde_json::Value;

use crate::app::{Answer, App};
use crate::proxy::{Conflicts, Proxy};

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

/// Five hundred requests at once of a tenant whose partition DynamoDB throttles, and among them another tenant's.
#[tokio::test]
async fn a_throttled_storm_costs_another_tenant_no_call_and_no_answer() {
    let limited = |config: scim_endpoint::config::Config| scim_endpoint::config::Config {
        tenant_rate: Some(RATE),
        token_cache: Duration::from_secs(30),
        ..config
    };
    let (app, proxy) = Proxy::app_with(Conflicts::None, limited).await;
    let (token, other) = (app.token(), app.other_token());
    let find = "/Users?filter=userName+eq+%22ida@ex.test%22";
    let found = "GetItem user";
    for token in [&token, &other] {
        app.call_as(token, "GET", find, Value::Null).await.expect(200);
    }
    proxy.throttle_tenant(app.tenant().as_str());
    proxy.forget_calls();
    let storm = (0..500).map(|number| {
        let token = if number % 50 == 7 { &other } else { &token };
        app.call_as(token, "GET", find, Value::Null)
    });
    let answers = futures_util::future::join_all(storm).await;
    let (mut calm, mut stormy) = (0, 0);
    for (number, answer) in answers.iter().enumerate() {
        if number % 50 == 7 {
            assert_eq!(answer.status, 200, "{answer:?}");
            calm += 1;
        } else {
            assert!([429, 503].contains(&answer.status), "{answer:?}");
            assert!(answer.header("Retry-After").is_some(), "{answer:?}");
            stormy += 1;
        }
    }
    assert_eq!((calm, stormy), (10, 490));
    // A call each, as in peace: what was throttled has no bill.
    assert_eq!(proxy.bills().iter().filter(|bill| bill.call == found).count(), calm);
    // The limiter has let in what one second may have, and the SDK tries each three times.
    let tried = proxy.calls().iter().filter(|call| *call == found).count() - calm;
    assert!(tried <= 2 * 3 * usize::try_from(RATE).unwrap(), "{tried} calls of the storm");
}

#[tokio::test]
async fn what_is_not_implemented_says_so() {
    let app = App::start().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let path = "/Me";
        let answer = app.call(method, path, Value::Null).await.expect(501);
        assert_eq!(answer.json()["status"], "501", "{path}");
    }
}
