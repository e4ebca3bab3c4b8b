//! The portal's binary against the Runtime API: pages, the session's cookie, and routes that only the gateway's IAM
//! authorizer opens.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::runtime_api::{Answer, Function};
use super::{asking, event};
use crate::app::App;

fn start(app: &App, more: &[(&str, &str)]) -> Function {
    let mut environment = app.environment();
    environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Function::start_binary(PathBuf::from(env!("CARGO_BIN_EXE_portal")), &environment)
}

fn request(app: &App, method: &str, path: &str) -> Value {
    let mut event: Value = serde_json::from_str(&event("http-api-get", app)).unwrap();
    event["headers"]["sec-fetch-site"] = json!("same-origin");
    event["headers"].as_object_mut().unwrap().remove("authorization");
    asking(event, method, path, "", None)
}

async fn ask(function: &mut Function, event: &Value) -> Answer {
    function.invoke(&event.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_opens_a_link_for_a_session() {
    let app = App::start().await;
    let mut function = start(&app, &[("SAML_HOSTS", "login.example.com"), ("PORTAL_SAML", "off")]);
    let mut links = request(&app, "POST", "/portal-api/tenants/newco/links");
    assert_eq!(ask(&mut function, &links).await.status, 403, "nobody has signed it");
    links["headers"]["authorizer"] = json!("arn:aws:iam::123456789012:role/backend");
    assert_eq!(ask(&mut function, &links).await.status, 403, "a client has said so itself");
    links["requestContext"]["authorizer"] =
        json!({"iam": {"userArn": "arn:aws:sts::123456789012:assumed-role/backend/x"}});
    let issued = ask(&mut function, &links).await;
    assert_eq!(issued.status, 200, "{issued:?}");
    let url = issued.json()["url"].as_str().unwrap().to_owned();
    let origin = "https://xxx.execute-api.us-east-1.amazonaws.com";
    let path = url.strip_prefix(origin).unwrap();
    let looked = ask(&mut function, &request(&app, "GET", path)).await;
    assert_eq!((looked.status, looked.header("content-type")), (200, "text/html; charset=utf-8"));
    let opened = ask(&mut function, &request(&app, "POST", path)).await;
    assert_eq!((opened.status, opened.header("location")), (303, "/portal"));
    let cookie = opened.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-scim-portal=scimsession_"), "{cookie}");
    let mut overview = request(&app, "GET", "/portal");
    assert_eq!(ask(&mut function, &overview).await.status, 401);
    overview["cookies"] = json!([cookie]);
    let shown = ask(&mut function, &overview).await;
    assert_eq!(shown.status, 200);
    assert!(shown.body.contains("newco") && shown.body.contains("It is not asked for here."));
    // What is not the portal's is not answered with anything of the tenant's.
    let scim = request(&app, "GET", "/scim/v2/Users");
    assert_eq!(ask(&mut function, &scim).await.status, 404);
    let log = function.end().join("\n");
    assert!(log.contains("/portal/s/{secret}"), "{log}");
    for secret in ["scimlink_", "scimsession_", "scim_"] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_that_is_not_configured_says_so() {
    let app = App::start().await;
    for more in [("PORTAL_SAML", "perhaps"), ("SAML_HOSTS", "no host")] {
        let mut function = start(&app, &[more]);
        let answer = ask(&mut function, &request(&app, "GET", "/portal")).await;
        assert_eq!((answer.status, answer.body.as_str()), (500, "The server is not configured."));
        assert!(function.end().join("\n").contains(more.0));
    }
}
