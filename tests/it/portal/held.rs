//! The brake on its page: what is held is shown, and whoever decides, decides about what the page has shown.

use std::time::Duration;

use scim_endpoint::admin::brake;
use scim_endpoint::ops::jobs;
use scim_endpoint::store::settings::Brake;

use super::Browser;
use crate::app::App;
use crate::brake::begin_window;
use crate::races::{delete, user};
use crate::whole::journal;

/// An app in which so many people were deleted, and a brake that holds all but two: its limit and its budget.
async fn pulled(people: usize) -> App {
    let app = App::start().await;
    let limits = Brake { count: Some(1), percent: None, window_minutes: 60, budget: 1 };
    brake::set(app.store(), &app.moment(), (&app.tenant(), "test"), Some(limits)).await.unwrap();
    app.clock().advance(Duration::from_secs(31));
    begin_window(&app);
    for number in 0..people {
        leave(&app, &format!("p{number}@ex.test")).await;
    }
    app
}

async fn leave(app: &App, name: &str) {
    let id = user(app, name).await;
    delete(app, &format!("/Users/{id}")).await.expect(204);
}

async fn run_jobs(app: &App) {
    assert_eq!(jobs::run(app.store(), &app.moment()).await.unwrap().failed, 0);
}

async fn held(app: &App) -> u64 {
    app.store().brake_state(&app.moment(), &app.tenant()).await.unwrap().held
}

/// How many items of the journal tell something that was decided, by their first event.
async fn settled(app: &App, event: &str) -> usize {
    let journal = journal(app).await;
    let items = journal.values().filter(|item| item.contains_key("heldAt"));
    items.filter(|item| item["events"].as_l().unwrap()[0].as_s().unwrap() == event).count()
}

#[tokio::test]
async fn nothing_is_held_until_something_is() {
    let app = App::start().await;
    let browser = Browser::opened(&app).await;
    let page = browser.get("/portal/held").await.expect(200);
    page.says("Nothing is held back").says("off; the team that runs this service sets it");
    assert!(!page.text.contains("value=\"release\""), "there is nothing to decide");
    // A form that was kept since something was held: there is nothing to note.
    let until = app.moment().mint_uuid().to_string();
    let form = [("decision", "release"), ("until", until.as_str())];
    browser.submit("/portal/held", &form).await.expect(303);
    assert_eq!(app.store().brake_state(&app.moment(), &app.tenant()).await.unwrap().decision, None);
}

#[tokio::test]
async fn what_the_page_has_shown_is_released_and_nothing_that_came_after() {
    let app = pulled(5).await;
    let browser = Browser::opened(&app).await;
    let page = browser.get("/portal/held").await.expect(200);
    page.says("3 changes are held back").says("p2@ex.test").says("p4@ex.test").says("deleted");
    page.says("1 person within 60 minutes, and 1 always");
    let until = page.field("until");
    app.clock().advance(Duration::from_secs(1));
    leave(&app, "later@ex.test").await;

    let form = [("decision", "release"), ("until", until.as_str())];
    browser.submit("/portal/held", &form).await.expect(303);
    browser.get("/portal/held").await.expect(200).says("To release what was held is decided");
    run_jobs(&app).await;
    assert_eq!(held(&app).await, 1, "what the page had not shown");
    assert_eq!(settled(&app, "prov:delete").await, 3);
    let page = browser.get("/portal/held").await.expect(200);
    page.says("1 change is held back").says("later@ex.test");
    let log = browser.get("/portal/log").await.expect(200);
    log.says("portal:brake-decided").says("p4@ex.test");
    browser.get("/portal").await.expect(200).says("held back from the app");
}

#[tokio::test]
async fn to_reject_takes_a_tick_and_then_the_app_is_not_told() {
    let app = pulled(4).await;
    let browser = Browser::opened(&app).await;
    let until = browser.get("/portal/held").await.expect(200).field("until");
    let mut form = vec![("decision", "reject"), ("until", until.as_str())];
    browser.submit("/portal/held", &form).await.expect(400).says("put right");
    run_jobs(&app).await;
    assert_eq!(held(&app).await, 2, "nothing was decided");
    form.push(("sure", "yes"));
    browser.submit("/portal/held", &form).await.expect(303);
    run_jobs(&app).await;
    assert_eq!(held(&app).await, 0);
    assert_eq!(settled(&app, "misc:rejected").await, 2);
    for form in
        [vec![("decision", "keep"), ("until", until.as_str())], vec![("decision", "release")]]
    {
        browser.submit("/portal/held", &form).await.expect(400).says("Open the page again");
    }
}

#[tokio::test]
async fn nobody_decides_about_another_tenant_or_without_the_sessions_form() {
    let app = pulled(4).await;
    let theirs = Browser::new(&app);
    let other = scim_endpoint::store::TenantId::parse("globex").unwrap();
    theirs.open(&super::link(&app, &other).await).await.expect(303);
    theirs.get("/portal/held").await.expect(200).says("Nothing is held back");
    let until = app.moment().mint_uuid().to_string();
    let form = [("decision", "release"), ("until", until.as_str())];
    theirs.submit("/portal/held", &form).await.expect(303);
    let own = Browser::opened(&app).await;
    own.post("/portal/held", &form).await.expect(403);
    run_jobs(&app).await;
    assert_eq!(held(&app).await, 2);
    // The settings of the other tenant did not move either: it had nothing to decide.
    let journal = journal(&app).await;
    assert!(journal.values().all(|item| item["events"].as_l().unwrap()[0].as_s().unwrap() != "portal:brake-decided"));
}

#[tokio::test]
async fn many_are_shown_page_by_page() {
    let app = pulled(60).await;
    let browser = Browser::opened(&app).await;
    let first = browser.get("/portal/held").await.expect(200);
    first.says("p2@ex.test");
    assert!(!first.words().contains("p59@ex.test"));
    let (_, rest) = first.text.split_once("/portal/held?after=").expect("there is more");
    let after = rest.split('"').next().unwrap();
    let next = browser.get(&format!("/portal/held?after={after}")).await.expect(200);
    next.says("p59@ex.test");
    assert!(!next.words().contains("p2@ex.test"));
}
