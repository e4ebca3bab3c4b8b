//! Resource types of a deployment's own in what is about a whole tenant: export, import, resync, check, deletion.

use std::collections::BTreeMap;
use std::time::Duration;

use scim_endpoint::admin::delete;
use scim_endpoint::admin::resync::{Order, resync};
use scim_endpoint::store::check::{Mode, Outcome};
use scim_endpoint::store::resync::floor_of;
use scim_endpoint::transfer::TransferError;
use scim_endpoint::transfer::export::{Exported, export};
use scim_endpoint::transfer::report::{Existing, Options, Writing};
use serde_json::{Value, json};

use super::switch;
use super::types::{DEVICE, create, device, is_whole, serials, workshop};
use crate::app::App;
use crate::feed::{items, rewrite};
use crate::transfer::{USUAL, export_of, import_usual, try_import};
use crate::whole::{Item, journal_of, partition, partition_of};

/// The resources, without what each write moves.
async fn resources(app: &App) -> BTreeMap<String, Item> {
    let items = partition(app).await.into_iter().filter(|(key, _)| key.starts_with("resource#"));
    let moved = ["version", "lastModified", "rid", "change"];
    let stripped = items.map(|(key, mut item)| {
        item.retain(|name, _| !moved.contains(&name.as_str()));
        (key, item)
    });
    stripped.collect()
}

async fn try_export(app: &App) -> Result<Exported, TransferError> {
    let moments = || app.moment();
    export((app.store(), &moments), &app.tenant(), &mut Vec::new(), &mut |_| {}).await
}

#[tokio::test]
async fn an_export_has_them_and_an_import_brings_them_back() {
    let old = workshop().await;
    let ida = old.call("POST", "/Users", json!({ "userName": "ida@ex.test" })).await.expect(201);
    for serial in ["a", "b"] {
        create(&old, serial).await;
    }
    // Without an externalId: the export's id is what it is found by.
    let body = json!({ "serial": "c", "owner": format!("../Users/{}", ida.id()) });
    old.call("POST", "/Devices", body).await.expect(201);
    let (file, done) = export_of(&old, &old.tenant()).await;
    assert_eq!((done.users, done.groups, done.memberships, done.others), (1, 0, 0, 3));
    let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["export"]["schemas"], json!([DEVICE]));
    assert_eq!(
        (&lines[2]["kind"], &lines[2]["resource"]["pin"]),
        (&json!("Device"), &json!("1234"))
    );
    let end = json!({ "end": { "users": 1, "groups": 0, "memberships": 0, "others": 3 } });
    assert_eq!(lines.last(), Some(&end));

    let new = workshop().await;
    let rehearsed = Options { writing: Writing::Rehearsed, ..USUAL };
    let told = try_import(&new, &new.tenant(), &file, &rehearsed).await.unwrap();
    assert_eq!(told.counts(), BTreeMap::from([("created", 4)]), "{:?}", told.told());
    assert_eq!(serials(&new, "/Devices").await, "");
    let restored = import_usual(&new, &file).await;
    assert_eq!(restored.counts(), BTreeMap::from([("created", 4)]), "{:?}", restored.told());
    assert!(restored.report.survey.warnings.is_empty(), "{:?}", restored.report.survey);
    assert_eq!(resources(&new).await, resources(&old).await);
    assert_eq!(serials(&new, "/Devices").await, "a b c");
    assert_eq!(serials(&new, "/Devices?filter=externalId%20eq%20%22x-b%22").await, "b");
    is_whole(&new).await;
    let again = import_usual(&new, &file).await;
    assert_eq!(again.counts(), BTreeMap::from([("unchanged", 4)]), "{:?}", again.told());

    // A file without its end, or without one of them, is no export.
    let cut: Vec<&str> = file.lines().filter(|line| !line.contains("x-b")).collect();
    let error = try_import(&new, &new.tenant(), cut.join("\n"), &USUAL).await.err().unwrap();
    let error = error.to_string();
    assert!(error.contains("1 people, 0 groups and 3 others, and there are 1 people"), "{error}");
}

#[tokio::test]
async fn a_row_of_ones_own_is_found_by_its_external_id() {
    let app = workshop().await;
    let row = |external: &str, serial: &str| {
        json!({ "kind": "device", "resource": { "externalId": external, "serial": serial } })
            .to_string()
    };
    let file = [row("x-a", "a"), row("X-A", "b")].join("\n");
    for outcome in ["created", "unchanged"] {
        let told = import_usual(&app, &file).await;
        assert_eq!(told.counts(), BTreeMap::from([(outcome, 2)]), "{:?}", told.told());
    }
    let update = Options { existing: Existing::Updated, ..USUAL };
    let told = try_import(&app, &app.tenant(), row("X-A", "c"), &update).await.unwrap();
    assert_eq!(told.told(), ["1 updated serial"]);
    assert_eq!(serials(&app, "/Devices").await, "a c");
    for (row, why) in [
        (
            json!({ "kind": "Device", "resource": { "serial": "d" } }),
            "a Device is found again by its id, as an export has it, or by its externalId; add one of them",
        ),
        (
            json!({ "kind": "Tablet", "resource": { "externalId": "t", "model": "m" } }),
            "kind must be User or Group or Device; a type of your own has to be switched on for the tenant",
        ),
        (
            json!({ "kind": "Device", "continued": true, "resource": { "externalId": "x-a" } }),
            "only a group is continued; kind must be Group for that",
        ),
        (
            json!({ "kind": "Device", "resource": { "externalId": "e" } }),
            "serial is required and must not be empty",
        ),
    ] {
        let told = import_usual(&app, &row.to_string()).await;
        assert_eq!(told.told(), [format!("1 invalid  {why}")]);
    }
    let twice = [row("x-d", "d"), row("x-d", "e")].join("\n");
    let error = try_import(&app, &app.tenant(), twice, &USUAL).await.err().unwrap().to_string();
    assert!(
        error.contains("externalId \"x-d\" is in line 1, too; a file has each Device once"),
        "{error}"
    );
    is_whole(&app).await;
}

#[tokio::test]
async fn what_is_switched_off_is_not_left_out_of_an_export_unsaid() {
    let app = workshop().await;
    let id = create(&app, "a").await.id();
    switch(&app, &[]).await;
    let error = try_export(&app).await.unwrap_err().to_string();
    assert!(error.contains("switched off for it or not deployed: Device (1)"), "{error}");
    switch(&app, &[DEVICE]).await;
    assert_eq!(try_export(&app).await.unwrap().others, 1);
    app.call("DELETE", &format!("/Devices/{id}"), Value::Null).await.expect(204);
    // None is left, so there is nothing to leave out.
    switch(&app, &[]).await;
    assert_eq!(try_export(&app).await.unwrap(), Exported::default());
}

#[tokio::test]
async fn a_resync_says_them_again() {
    let app = workshop().await;
    app.call("POST", "/Users", json!({ "userName": "ida@ex.test" })).await.expect(201);
    let id = create(&app, "a").await.id();
    let order = Order { only: None, since: None, leavers_after: None };
    // Of one that is switched off, too: its versions must not go back when it is switched on again.
    for schemas in [&[DEVICE][..], &[]] {
        switch(&app, schemas).await;
        let before = resources(&app).await;
        app.clock().advance(Duration::from_secs(1));
        let moments = || app.moment();
        let done = resync(app.store(), &moments, &app.tenant(), &order, &mut |_| {}).await.unwrap();
        assert_eq!(done.said, 2);
        assert_eq!(resources(&app).await, before);
        let told = items(&app).await;
        let last = told.iter().rfind(|item| item["id"] == json!(id)).unwrap();
        assert_eq!(
            (&last["kind"], &last["events"], &last["version"]),
            (&json!("Device"), &json!(["misc:snapshot"]), &json!(floor_of(done.since)))
        );
    }
    is_whole(&app).await;
}

#[tokio::test]
async fn a_change_that_the_journal_has_lost_is_found_and_told_again() {
    let app = workshop().await;
    let id = create(&app, "a").await.id();
    app.call("POST", "/Users", json!({ "userName": "ida@ex.test" })).await.expect(201);
    let lost: Vec<_> = journal_of(&app, "acme").await.into_values().take(1).collect();
    rewrite(&app, Vec::new(), lost).await;
    let moments = || app.moment();
    let check = async |mode| {
        let report = app.store().check(&moments, &app.tenant(), mode, &mut |_| {}).await;
        report.unwrap().unwrap().findings
    };
    let found = check(Mode::Report).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].sort, found[0].item.clone()),
        ("change-lost", format!("resource#Device#{id}"))
    );
    let repaired = check(Mode::Repair).await;
    assert!(matches!(repaired[0].outcome, Outcome::Repaired(_)), "{repaired:?}");
    is_whole(&app).await;
    let shown = app.call("GET", &format!("/Devices/{id}"), Value::Null).await.expect(200).json();
    assert_eq!(shown["meta"]["version"], "W/\"2\"");
    assert_eq!(items(&app).await.last().unwrap()["id"], json!(id));
}

#[tokio::test]
async fn nothing_of_them_outlives_the_tenant() {
    let app = workshop().await;
    for serial in ["a", "b"] {
        create(&app, serial).await;
    }
    app.call("PUT", &format!("/Devices/{}", create(&app, "c").await.id()), device("d")).await;
    // What is switched off goes, too.
    switch(&app, &[]).await;
    let sorts = partition(&app).await;
    assert_eq!(sorts.keys().filter(|key| key.starts_with("resource#")).count(), 3);
    let (tenant, moments) = (app.tenant(), || app.moment());
    let wait = Duration::ZERO;
    delete::delete(app.store(), &moments, &tenant, wait, &mut |_| {}).await.unwrap();
    assert!(partition(&app).await.is_empty() && journal_of(&app, "acme").await.is_empty());
    assert!(!partition_of(&app, "globex").await.is_empty(), "the other tenant is as it was");
}
