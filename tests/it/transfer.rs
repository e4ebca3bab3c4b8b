//! Import and export: what each row becomes, what is refused before anything is written, and that what an identity provider
//! finds afterwards is what was imported. After each write the partition is read item by item.

mod bad_files;
mod cycle;
mod matching;
mod round_trip;
mod story;

use std::collections::BTreeMap;
use std::io::Cursor;

use scim_endpoint::limits::BODY_BYTES_MAX;
use scim_endpoint::moment::Moment;
use scim_endpoint::scim::catalog::Kind;
use scim_endpoint::store::check::Mode;
use scim_endpoint::store::{Cx, Settings, Store, TenantId};
use scim_endpoint::transfer::TransferError;
use scim_endpoint::transfer::export::{Exported, export};
use scim_endpoint::transfer::import::import;
use scim_endpoint::transfer::report::{
    Ending, Entry, Event, Existing, Options, Outcome, Report, Writing,
};
use serde_json::Value;

use crate::app::App;

/// As `scimctl import FILE` without flags.
pub(crate) const USUAL: Options = Options {
    kind: None,
    writing: Writing::Done,
    existing: Existing::Kept,
    ending: Ending::Needed,
    from_line: 1,
};

/// What an import said.
pub(crate) struct Imported {
    pub(crate) report: Report,
    pub(crate) entries: Vec<Entry>,
}

impl Imported {
    /// How often there was each outcome that there was.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let counts = Outcome::ALL.iter().map(|one| (one.word(), self.report.count(*one)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Every row as `line outcome differs why`, in order.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|entry| entry.line);
        let told = entries.iter().map(|entry| {
            let differs = entry.differs.join(",");
            let why = entry.why.as_deref().unwrap_or("");
            format!("{} {} {differs} {why}", entry.line, entry.outcome.word()).trim_end().to_owned()
        });
        told.collect()
    }

    fn id(&self, line: usize) -> String {
        let entry = self.entries.iter().find(|entry| entry.line == line).expect("a row");
        entry.id.expect("it is there").to_string()
    }
}

pub(crate) async fn try_import(
    app: &App,
    tenant: &TenantId,
    file: impl AsRef<[u8]>,
    options: &Options,
) -> Result<Imported, TransferError> {
    let mut entries = Vec::new();
    let moments = || app.moment();
    let mut events = |event| {
        if let Event::Settled(entry) = event {
            entries.push(entry);
        }
    };
    let mut input = Cursor::new(file);
    let place: (&Store, &dyn Fn() -> Moment) = (app.store(), &moments);
    let report = import(place, tenant, &mut input, options, &mut events).await?;
    Ok(Imported { report, entries })
}

async fn import_with(app: &App, file: &str, options: &Options) -> Imported {
    let imported = try_import(app, &app.tenant(), file, options).await;
    imported.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) async fn import_usual(app: &App, file: &str) -> Imported {
    import_with(app, file, &USUAL).await
}

pub(crate) async fn export_of(app: &App, tenant: &TenantId) -> (String, Exported) {
    let mut out = Vec::new();
    let moments = || app.moment();
    let place: (&Store, &dyn Fn() -> Moment) = (app.store(), &moments);
    let done = export(place, tenant, &mut out, &mut |_| {}).await.expect("it is exported");
    (String::from_utf8(out).expect("UTF-8"), done)
}

/// Fails unless `scimctl check` would find nothing.
async fn assert_checked(app: &App, tenant: &TenantId) {
    let moments = || app.moment();
    let report = app.store().check(&moments, tenant, Mode::Report, &mut |_| {}).await;
    let report = report.expect("the tenant is read").expect("there is such a tenant");
    assert!(report.is_whole() && report.findings.is_empty(), "{report:#?}");
}

/// The account id of the person with that name.
async fn app_id_of(app: &App, user_name: &str) -> Option<String> {
    let (moment, settings, tenant) = (app.moment(), Settings::default(), app.tenant());
    let cx = Cx { tenant: &tenant, settings: &settings, actor: "test", moment: &moment };
    let found = app.store().get_by_user_name(&cx, user_name).await.expect("it is read");
    found.expect("somebody has the name").app_id
}

/// What docs/IMPORT.md shows is what is taken.
#[tokio::test]
async fn the_examples_of_the_document_are_taken() {
    let app = App::start().await;
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/IMPORT.md"));
    let document = document.expect("there is a document");
    let blocks = document.split("```").skip(1).step_by(2);
    let mut examples = Vec::new();
    for block in blocks {
        let (form, text) = block.split_once('\n').expect("a block has lines");
        if matches!(form, "csv" | "json") {
            let imported = import_usual(&app, text).await;
            let warnings = &imported.report.survey.warnings;
            assert!(warnings.is_empty(), "{warnings:?}");
            examples.push(imported.told());
        }
    }
    assert_eq!(examples[0], ["2 created"]);
    // Two of the members are examples only.
    assert_eq!((examples[1].len(), examples[1][0].as_str()), (3, "2 created"));
    assert_eq!(examples[2][0], "1 unchanged");
    assert_eq!(examples.len(), 3);
    assert!(BODY_BYTES_MAX == 524_288 && document.contains("524,288 bytes"));
}

async fn total(app: &App, kind: Kind) -> usize {
    let target = format!("/{}s?count=0", kind.name());
    let total = app.call("GET", &target, Value::Null).await.expect(200).json();
    usize::try_from(total["totalResults"].as_u64().unwrap()).unwrap()
}
