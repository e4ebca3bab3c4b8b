//! `scimctl import`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Host;
use super::args::ImportArguments;
use super::output::{CliError, Output, counted};
use super::site;
use super::tenant::bar;
use crate::admin::AdminError;
use crate::moment::Moment;
use crate::scim::catalog::Kind;
use crate::store::{Store, TenantId};
use crate::telemetry::Chain;
use crate::transfer::import::import;
use crate::transfer::report::{
    Ending, Entry, Event, Existing, Options, Outcome, Phase, Report, Writing,
};
use crate::transfer::{TransferError, shown};

/// Rows that are shown to people for each outcome about which nothing has to be done; scripts get all of them.
const SHOWN_MAX: usize = 10;

pub(super) async fn run(
    arguments: ImportArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let shown = arguments.file.display().to_string();
    let cannot = |what: &str| CliError::new(format!("{shown} {what}"));
    let file = File::open(&arguments.file)
        .map_err(|error| cannot(&format!("cannot be opened: {error}")))?;
    let is_folder = file.metadata().is_ok_and(|about| about.is_dir());
    if is_folder {
        return Err(cannot("is a folder; name a file in it"));
    }
    let site = site::open_on_time(&arguments.place, host).await?;
    let options = options(&arguments);
    let (tenant, mut input) = (&arguments.tenant, BufReader::new(file));
    let moments = || host.moment();
    let bar = bar(out);
    bar.set_message("reading the file");
    let mut told = Told::new(out, &options);
    let mut events = |event| told.hear(&bar, event);
    let place: (&Store, &dyn Fn() -> Moment) = (&site.store, &moments);
    let imported = tokio::select! {
        imported = import(place, tenant, &mut input, &options, &mut events) => Some(imported),
        _ = tokio::signal::ctrl_c() => None,
    };
    bar.finish_and_clear();
    let stopped = told.stopped(&options);
    let Some(imported) = imported else {
        return Err(CliError::Interrupted(format!("stopped; {stopped}")));
    };
    let report = imported.map_err(|error| failed(error, &shown, &stopped))?;
    out.write(
        || text(tenant, &options, &report, &told),
        || json(tenant, &options, &report, &told),
    )?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options(arguments: &ImportArguments) -> Options {
    Options {
        kind: arguments.kind.map(Into::into),
        writing: if arguments.dry_run { Writing::Rehearsed } else { Writing::Done },
        existing: if arguments.update { Existing::Updated } else { Existing::Kept },
        ending: if arguments.partial { Ending::MayBeMissing } else { Ending::Needed },
        from_line: arguments.from_line,
    }
}

/// What an import has said so far.
struct Told {
    /// Rows to keep for each outcome about which nothing has to be done, and for what stays different.
    kept: (usize, usize),
    entries: BTreeMap<Outcome, Vec<Entry>>,
    rows: usize,
    line: usize,
    phase: Phase,
}

impl Told {
    /// Scripts get every row, people some: all of what is bad, and what a rehearsal would do.
    fn new(out: &Output, options: &Options) -> Self {
        let kept = match (out.is_text(), options.writing) {
            (false, _) => (usize::MAX, usize::MAX),
            (true, Writing::Rehearsed) => (SHOWN_MAX, SHOWN_MAX),
            (true, Writing::Done) => (0, SHOWN_MAX),
        };
        Self { kept, entries: BTreeMap::new(), rows: 0, line: 0, phase: Phase::People }
    }

    fn hear(&mut self, bar: &ProgressBar, event: Event) {
        match event {
            Event::Surveyed(survey) => {
                let rows = survey.users + survey.groups + survey.others + survey.bad;
                bar.set_length(u64::try_from(rows).unwrap_or(u64::MAX));
                bar.set_style(
                    ProgressStyle::with_template(
                        "{spinner} {msg} {wide_bar} {pos} of {len} ({per_sec}, {eta} left)",
                    )
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
                );
            }
            Event::Progress { phase, done: _, line } => {
                (self.phase, self.line) = (phase, line);
                bar.set_message(match phase {
                    Phase::People => "people",
                    Phase::Groups => "groups",
                    Phase::Others => "other resources",
                    Phase::Members => "members",
                });
            }
            Event::Settled(entry) => {
                self.rows += 1;
                bar.set_position(u64::try_from(self.rows).unwrap_or(u64::MAX));
                let kept = self.entries.entry(entry.outcome).or_default();
                let most = match entry.outcome {
                    Outcome::Conflict | Outcome::Invalid => usize::MAX,
                    Outcome::Differs => self.kept.1,
                    Outcome::Unchanged if self.kept.0 < usize::MAX => 0,
                    Outcome::Created | Outcome::Linked | Outcome::Updated | Outcome::Unchanged => {
                        self.kept.0
                    }
                };
                if kept.len() < most {
                    kept.push(entry);
                }
            }
        }
    }

    fn stopped(&self, options: &Options) -> String {
        let where_to = match self.phase {
            Phase::People => "the people",
            Phase::Groups => "the groups",
            Phase::Others => "the resources of other types",
            Phase::Members => "the members",
        };
        match options.writing {
            Writing::Rehearsed => "nothing was written".to_owned(),
            Writing::Done => format!(
                "at least {where_to} up to line {} are done and stay; the same command goes on, and finds them there",
                self.line
            ),
        }
    }
}

/// Why it ended, and what that means.
fn failed(error: TransferError, file: &str, stopped: &str) -> CliError {
    match error {
        TransferError::NoTenant(tenant) => AdminError::NoTenant(tenant).into(),
        TransferError::BeingDeleted(tenant) => AdminError::BeingDeleted(tenant).into(),
        TransferError::Faults(faults) => match faults.as_slice() {
            [only] => CliError::new(format!("{file}: {only}; nothing was imported")),
            faults => {
                let lines: Vec<String> =
                    faults.iter().map(|fault| format!("\n  {fault}")).collect();
                CliError::new(format!("{file}: nothing was imported, because:{}", lines.concat()))
            }
        },
        TransferError::Changed(_)
        | TransferError::Output(_)
        | TransferError::Store(_)
        | TransferError::LeftOut(..) => CliError::new(format!("{}; {stopped}", Chain(&error))),
    }
}

fn text(tenant: &TenantId, options: &Options, report: &Report, told: &Told) -> String {
    let mut lines: Vec<String> =
        report.survey.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    for (outcome, entries) in &told.entries {
        let count = report.count(*outcome);
        if entries.is_empty() {
            continue;
        }
        let more = if entries.len() < count {
            format!(", the first {} of {count}", entries.len())
        } else {
            String::new()
        };
        lines.push(format!("{}{more}:", outcome.word()));
        lines.extend(entries.iter().map(line));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(summary(tenant, options, report));
    let bad: usize =
        Outcome::ALL.iter().filter(|one| one.is_bad()).map(|one| report.count(*one)).sum();
    if bad > 0 {
        let rows = counted(bad, "problem", "problems");
        lines.push(format!("{rows}: correct the file and run the same command again."));
    } else if options.writing == Writing::Done && report.count(Outcome::Differs) > 0 {
        lines.push("What differs was left as the directory has it; --update writes the file's values over it.".to_owned());
    }
    lines.join("\n")
}

fn line(entry: &Entry) -> String {
    let mut text = format!("  line {}", entry.line);
    if !entry.name.is_empty() {
        text = format!("{text}: {}", shown(&entry.name));
    }
    if !entry.differs.is_empty() {
        text = format!("{text} ({})", entry.differs.join(", "));
    }
    match &entry.why {
        None => text,
        Some(why) => format!("{text}: {why}"),
    }
}

fn summary(tenant: &TenantId, options: &Options, report: &Report) -> String {
    let mut counts: Vec<String> = Outcome::ALL
        .into_iter()
        .filter(|outcome| report.count(*outcome) > 0)
        .map(|outcome| format!("{} {}", report.count(outcome), outcome.word()))
        .collect();
    if report.added + report.present > 0 {
        let memberships = counted(report.added, "membership", "memberships");
        counts.push(format!("{memberships} added, {} there already", report.present));
    }
    let counts = if counts.is_empty() { "nothing to do".to_owned() } else { counts.join(", ") };
    match options.writing {
        Writing::Done => format!("{tenant}: {counts}."),
        Writing::Rehearsed => {
            format!("{tenant}, if this were done: {counts}. Nothing was written.")
        }
    }
}

fn json(tenant: &TenantId, options: &Options, report: &Report, told: &Told) -> Value {
    let counts: serde_json::Map<String, Value> = Outcome::ALL
        .into_iter()
        .map(|outcome| (outcome.word().to_owned(), Value::from(report.count(outcome))))
        .collect();
    let mut entries: Vec<&Entry> = told.entries.values().flatten().collect();
    entries.sort_by_key(|entry| entry.line);
    let entry = |entry: &&Entry| {
        json!({
            "line": entry.line,
            "kind": entry.kind.map(Kind::name),
            "name": entry.name,
            "app_id": entry.app_id,
            "id": entry.id.map(|id| id.to_string()),
            "outcome": entry.outcome.word(),
            "differs": entry.differs,
            "why": entry.why,
        })
    };
    json!({
        "tenant": tenant.as_str(),
        "dry_run": options.writing == Writing::Rehearsed,
        "clean": report.is_clean(),
        "counts": counts,
        "memberships": { "added": report.added, "present": report.present },
        "warnings": report.survey.warnings,
        "entries": entries.iter().map(entry).collect::<Vec<_>>(),
    })
}
