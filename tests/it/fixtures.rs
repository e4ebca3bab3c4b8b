//! What each release has left: its data files are opened, read, written, checked and migrated by this version.
//!
//! `tests/fixtures/README.md` says how a release's file is made. Beside each file stands what is in it as SCIM shows it;
//! `UPDATE_EXPECT=1` writes that, once, for a new file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::expect_file;
use scim_endpoint::admin::migrate::{formats, migrate};
use scim_endpoint::admin::tenants;
use scim_endpoint::store::TenantId;
use scim_endpoint::store::check::Mode;
use scim_endpoint::store::feed::Change;
use scim_endpoint::store::item::RESOURCE_FORMAT;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::cli::Scratch;
use crate::races::{entries, on_members, replacing};

/// The tenants that every fixture has.
const TENANTS: [&str; 2] = ["acme", "globex"];

/// The data files, oldest first.
fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "sqlite")).collect();
    files.sort();
    assert!(!files.is_empty(), "there are no fixtures");
    files
}

/// A copy of a fixture, opened.
struct Opened {
    name: String,
    app: App,
    _scratch: Scratch,
}

impl Opened {
    async fn new(file: &Path, test: &str) -> Self {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let scratch = Scratch::new(&format!("{test}-{name}"));
        let copy = scratch.file("data.sqlite");
        std::fs::copy(file, &copy).expect("it is copied");
        let app = App::open(Path::new(&copy), &TENANTS).await;
        Self { name, app, _scratch: scratch }
    }

    async fn call(&self, method: &str, target: &str, body: Value) -> crate::app::Answer {
        self.app.call(method, target, body).await
    }

    /// Everything that both tenants have, as SCIM shows it.
    async fn everything(&self) -> String {
        let mut all = serde_json::Map::new();
        let tokens = [self.app.token(), self.app.other_token()];
        for (tenant, token) in TENANTS.iter().zip(&tokens) {
            for target in ["/Users", "/Groups"] {
                let list = self.app.call_as(token, "GET", target, Value::Null).await.expect(200);
                let list = list.json()["Resources"].as_array().cloned().unwrap_or_default();
                let mut whole = Vec::new();
                for resource in list {
                    let target = format!("{target}/{}", resource["id"].as_str().unwrap());
                    let found = self.app.call_as(token, "GET", &target, Value::Null).await;
                    whole.push(found.expect(200).json());
                }
                all.insert(format!("{tenant} {target}"), Value::from(whole));
            }
            all.insert(format!("{tenant} journal"), Value::from(self.feed(tenant).await));
        }
        serde_json::to_string_pretty(&all).unwrap() + "\n"
    }

    /// A tenant's journal as the feed has it, a line for each item.
    async fn feed(&self, tenant: &str) -> Vec<String> {
        let (moment, tenant) = (self.app.moment(), TenantId::parse(tenant).unwrap());
        let all = (Uuid::nil(), Uuid::max());
        let page = self.app.store().changes(&moment, &tenant, all, 1_000).await.unwrap();
        assert!(!page.more);
        let line = |change: &Change| {
            let events = change.events().collect::<Vec<_>>().join(" ");
            let kind = change.text("kind").unwrap_or("-");
            let id = change.text("id").unwrap_or("-");
            format!("{} {kind} {id} version {}: {events}", change.at, change.version().unwrap_or(0))
        };
        page.changes.iter().map(line).collect()
    }

    async fn expect_whole(&self, when: &str) {
        for tenant in TENANTS {
            let tenant = TenantId::parse(tenant).unwrap();
            let moments = || self.app.moment();
            let report = self.app.store().check(&moments, &tenant, Mode::Report, &mut |_| {}).await;
            let report = report.unwrap().unwrap();
            let is_whole = report.is_whole() && report.findings.is_empty();
            assert!(is_whole, "{} {when}, {tenant}: {report:#?}", self.name);
        }
    }

    async fn id_of(&self, target: &str, filter: &str) -> String {
        let target = format!("{target}?filter={}", filter.replace(' ', "+").replace('"', "%22"));
        let found = self.call("GET", &target, Value::Null).await.expect(200).json();
        assert_eq!(found["totalResults"], 1, "{}: {filter}: {found}", self.name);
        found["Resources"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Every sort of write, on resources that the release has left and on new ones. `round` keeps names apart.
    async fn write(&self, round: u32) {
        let ann = self.id_of("/Users", "userName eq \"Person0@EXAMPLE.com\"").await;
        let found = self.id_of("/Users", "emails.value eq \"person0@example.com\"").await;
        assert_eq!(found, ann, "she is found by her address as well");
        let external = "externalId eq \"00000000-0000-4000-8000-000000000004\"";
        let erik = self.id_of("/Users", external).await;
        let gone =
            self.id_of("/Users", &format!("userName eq \"person{}@example.com\"", 5 + round)).await;

        let user = format!("/Users/{ann}");
        let title = format!("Engineer {round}");
        let patched = self.call("PATCH", &user, replacing("title", &title)).await.expect(200);
        assert_eq!(patched.json()["title"], title);
        let again = self.call("PATCH", &user, replacing("title", &title)).await.expect(200);
        assert_eq!(again.json()["meta"]["version"], patched.json()["meta"]["version"]);
        let name = format!("erik{round}@example.com");
        let user = format!("/Users/{erik}");
        self.call("PATCH", &user, replacing("userName", &name)).await.expect(200);
        assert_eq!(self.id_of("/Users", &format!("userName eq \"{name}\"")).await, erik);
        let deactivated =
            json!({"Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
        let user = format!("/Users/{gone}");
        let off = self.call("PATCH", &user, deactivated).await.expect(200).json();
        assert_eq!(off["active"], false);
        let everyone = self.id_of("/Groups", "displayName eq \"everyone\"").await;
        self.call("DELETE", &user, Value::Null).await.expect(204);
        let members =
            self.call("GET", &format!("/Groups/{everyone}"), Value::Null).await.expect(200);
        let members = members.json()["members"].to_string();
        assert!(members.contains(&ann) && !members.contains(&gone), "{members}");

        let admins = self.id_of("/Groups", "displayName eq \"Administrators\"").await;
        let group = format!("/Groups/{admins}");
        let both = [ann.clone(), erik.clone()];
        self.call("PATCH", &group, on_members("add", &both)).await.expect(204);
        self.call("PATCH", &group, on_members("remove", &both[..1])).await.expect(204);
        let members = self.call("GET", &group, Value::Null).await.expect(200).json();
        assert!(members["members"].to_string().contains(&erik), "{members}");
        let taken = json!({"userName": "PERSON0@example.com"});
        self.call("POST", "/Users", taken).await.expect(409);
        let taken = json!({"displayName": "EVERYONE"});
        self.call("POST", "/Groups", taken).await.expect(409);
        let body = json!({"userName": format!("new{round}@example.com"), "emails": [{"value": "n@example.com"}]});
        let new = self.call("POST", "/Users", body).await.expect(201).id();
        let body = json!({"displayName": format!("New {round}"), "members": entries(&[new, ann])});
        let group = self.call("POST", "/Groups", body).await.expect(201).id();
        self.call("DELETE", &format!("/Groups/{group}"), Value::Null).await.expect(204);
    }

    async fn old(&self) -> usize {
        let mut old = 0;
        for tenant in TENANTS {
            let tenant = TenantId::parse(tenant).unwrap();
            let moments = || self.app.moment();
            old += formats(self.app.store(), &moments, &tenant).await.unwrap().old();
        }
        old
    }

    async fn migrate(&self) -> usize {
        let moments = || self.app.moment();
        let tenants = TENANTS.map(|tenant| TenantId::parse(tenant).unwrap());
        let store = self.app.store();
        let done = migrate(store, &moments, &tenants, Duration::ZERO, &mut |_| {}).await.unwrap();
        done.iter().filter_map(|done| done.moved).sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_release_has_left_reads_as_it_did() {
    for file in fixtures() {
        let opened = Opened::new(&file, "read").await;
        let expected = file.with_extension("json");
        expect_file![expected].assert_eq(&opened.everything().await);
        opened.expect_whole("as it was left").await;
        let listed = tenants::list(opened.app.store(), &opened.app.moment()).await.unwrap();
        let names: Vec<&str> = listed.iter().map(|listed| listed.tenant.as_str()).collect();
        assert_eq!(names, TENANTS, "{}", opened.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_release_has_left_works_before_and_after_it_is_migrated() {
    for file in fixtures() {
        let opened = Opened::new(&file, "write").await;
        opened.write(0).await;
        opened.expect_whole("written to").await;
        let (old, before) = (opened.old().await, opened.everything().await);
        assert_eq!(opened.migrate().await, old, "{}", opened.name);
        assert_eq!(opened.old().await, 0, "{}", opened.name);
        assert_eq!(opened.everything().await, before, "{}: nobody sees a difference", opened.name);
        opened.expect_whole("migrated").await;
        opened.write(1).await;
        opened.expect_whole("migrated and written to").await;
        assert_eq!(opened.old().await, 0, "{}: what is written is new", opened.name);
        assert_eq!(opened.migrate().await, 0, "{}", opened.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_of_the_first_release_stays_in_its_format_until_it_is_told() {
    let first = fixtures().remove(0);
    assert_eq!(first.file_name().unwrap(), "0.1.0.sqlite");
    let opened = Opened::new(&first, "stays").await;
    assert_eq!(RESOURCE_FORMAT, 2);
    assert_eq!(opened.old().await, 17);
    opened.write(0).await;
    // One person was deleted, one came, and a group came and went: all in the format that the release reads.
    assert_eq!(opened.old().await, 17);
    let moments = || opened.app.moment();
    let acme = opened.app.tenant();
    let formats = formats(opened.app.store(), &moments, &acme).await.unwrap();
    assert_eq!((formats.written, formats.counted.len()), (1, 1));
}
