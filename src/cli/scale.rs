//! `scimctl load --tenant-size` and `--storm`: what an operation costs in a large tenant, and what one tenant notices of
//! another.
//!
//! Each step is a process of its own, so that nothing is warm that would not be, and its memory is its own.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::Host;
use super::output::{CliError, Output, counted, table};
use super::tenant::bar;
use crate::admin::delete::{self, Step as Deletion};
use crate::local::{Direct, LocalError};
use crate::scale::{self, CROWD, FairPlan, Fairness, Size, Subject, Timed};
use crate::store::TenantId;
use crate::telemetry::Chain;
use crate::transfer::export::{Exported, export};

/// The tenant that is compared with.
const SMALL: usize = 1_000;
/// Members of the large group, where there are so many people.
const CROWD_MAX: usize = 100_000;
/// How often each operation is timed in each tenant.
const ROUNDS: usize = 300;
/// The tenant in each file.
const TENANT: &str = "scale";
/// What one tenant notices of another: a minute alone and a minute beside it, by turns. The quiet one stays below its own
/// rate.
const FAIR: FairPlan = FairPlan {
    rounds: 6,
    requests: 400,
    pause: Duration::from_millis(22),
    storm_pause: Duration::from_millis(2),
    rate: 50,
};

#[derive(Debug, Args)]
pub(super) struct ScaleArguments {
    /// Compare a tenant of so many people with one of 1,000 instead, each operation in turn; then export and delete it
    #[arg(long, value_name = "N", requires = "data", conflicts_with_all = ["url", "storm"], value_parser = clap::value_parser!(u32).range(1_000..=2_000_000))]
    tenant_size: Option<u32>,

    /// The directory with both tenants' data files; those that are not there are made. A million people take 5 GB
    #[arg(long, value_name = "DIRECTORY", requires = "tenant_size")]
    data: Option<PathBuf>,

    /// Measure what a tenant notices of another's storm instead, while that one's partition is throttled
    #[arg(long, conflicts_with = "url")]
    storm: bool,

    /// One step of it
    #[arg(long, hide = true, requires = "tenant_size")]
    step: Option<Step>,
}

/// One step of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    SeedSmall,
    Seed,
    Time,
    Export,
    Delete,
}

impl Step {
    const ALL: [Self; 5] = [Self::SeedSmall, Self::Seed, Self::Time, Self::Export, Self::Delete];
}

/// The files of a comparison.
struct Files {
    directory: PathBuf,
    users: usize,
}

impl Files {
    fn of(&self, users: usize) -> PathBuf {
        self.directory.join(format!("scale-{users}.sqlite"))
    }
}

/// Does what the arguments ask for, if it is none of a load's laps.
///
/// # Errors
/// A file that cannot be written, an answer that is not as it should be.
pub(super) async fn run(
    arguments: &ScaleArguments,
    host: &Host,
    out: &mut Output,
) -> Result<Option<ExitCode>, CliError> {
    if arguments.storm {
        return storm(host, out).await.map(Some);
    }
    let (Some(users), Some(directory)) = (arguments.tenant_size, &arguments.data) else {
        return Ok(None);
    };
    let users = usize::try_from(users).unwrap_or(usize::MAX);
    let files = Files { directory: directory.clone(), users };
    match arguments.step {
        None => all(&files, host, out).await?,
        Some(step) => {
            let told = match step {
                Step::SeedSmall => seed(&files, SMALL, host, out).await?,
                Step::Seed => seed(&files, users, host, out).await?,
                Step::Time => time(&files, host, out).await?,
                Step::Export => exported(&files, host, out).await?,
                Step::Delete => deleted(&files, host, out).await?,
            };
            out.write(|| told.to_string(), || told.clone())?;
        }
    }
    Ok(Some(ExitCode::SUCCESS))
}

/// Every step, each in a process of its own.
async fn all(files: &Files, host: &Host, out: &mut Output) -> Result<(), CliError> {
    std::fs::create_dir_all(&files.directory)?;
    let executable = host.executable.clone();
    let executable = executable.ok_or_else(|| {
        CliError::new("this program cannot tell where its file is; start it by its path")
    })?;
    for step in Step::ALL {
        let name = step.to_possible_value().map(|value| value.get_name().to_owned());
        let arguments: Vec<OsString> = vec![
            "load".into(),
            "--tenant-size".into(),
            files.users.to_string().into(),
            "--data".into(),
            files.directory.clone().into(),
            "--step".into(),
            name.unwrap_or_default().into(),
        ];
        let mut command = Command::new(&executable);
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
        let done = tokio::task::spawn_blocking(move || command.output()).await;
        let done = done.map_err(|error| CliError::new(error.to_string()))??;
        if !done.status.success() {
            return Err(CliError::new(
                "a step has failed, for the reason above; the same command begins again, with the files that are there",
            ));
        }
        let told: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        out.write(|| text(step, &told), || told.clone())?;
    }
    Ok(())
}

fn text(step: Step, told: &Value) -> String {
    let number = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or_default();
    let took = format!(
        "in {}.{} s, peak memory {} MB",
        number("took_ms") / 1_000,
        number("took_ms") % 1_000 / 100,
        number("peak_kb") / 1_024
    );
    match step {
        Step::SeedSmall | Step::Seed if told.get("kept").is_some() => {
            format!("{} people: kept from an earlier run.\n", number("users"))
        }
        Step::SeedSmall | Step::Seed => format!("{} people made {took}.\n", number("users")),
        Step::Time => timed_text(told),
        Step::Export => {
            format!(
                "{} people and {} memberships exported {took}.\n",
                number("users"),
                number("memberships")
            )
        }
        Step::Delete => format!("Deleted, {} items {took}.\n", number("items")),
    }
}

fn timed_text(told: &Value) -> String {
    let lists = ["tenants", "groups"].map(|name| told.get(name).and_then(Value::as_array).cloned());
    let row = |row: &Value| {
        let text =
            |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or_default();
        let ratio = number("ratio_percent");
        [
            text("what"),
            number("small_us").to_string(),
            number("large_us").to_string(),
            format!("{}.{:02}", ratio / 100, ratio % 100),
        ]
    };
    let rows =
        |list: Option<Vec<Value>>| list.unwrap_or_default().iter().map(row).collect::<Vec<_>>();
    let [tenants, groups] = lists;
    let users = told.get("users").and_then(Value::as_u64).unwrap_or_default();
    let crowd = told.get("crowd").and_then(Value::as_u64).unwrap_or_default();
    let (small, large) = (format!("{SMALL} people, µs"), format!("{users} people, µs"));
    let first = table(["operation", &small, &large, "ratio"], &rows(tenants));
    let many = format!("group of {crowd}, µs");
    let second = table(["operation", "group of 1, µs", &many, "ratio"], &rows(groups));
    let singles = told.get("singles").and_then(Value::as_array).cloned().unwrap_or_default();
    let single = |row: &Value| {
        let text = row.get("what").and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or_default();
        format!("{text}: {} ms, {} kB\n", number("took_us") / 1_000, number("bytes") / 1_024)
    };
    let singles: String = singles.iter().map(single).collect();
    let peak = told.get("peak_kb").and_then(Value::as_u64).unwrap_or_default() / 1_024;
    format!("\n{first}\n{second}\n{singles}Peak memory of all this: {peak} MB.\n\n")
}

/// Makes a tenant, unless it is there. One that is half made is begun again.
async fn seed(files: &Files, users: usize, host: &Host, out: &Output) -> Result<Value, CliError> {
    let file = files.of(users);
    if file.exists() {
        return Ok(json!({"users": users, "kept": true}));
    }
    let partial = file.with_extension("partial");
    for old in [
        partial.clone(),
        partial.with_extension("partial-wal"),
        partial.with_extension("partial-shm"),
    ] {
        if old.exists() {
            std::fs::remove_file(old)?;
        }
    }
    let start = host.moment();
    let (service, tenant) = open(&partial, host).await?;
    let size = Size { users, crowd: users.min(CROWD_MAX) };
    let (bar, mut done) = (bar(out), 0);
    let mut progress = |step: usize| {
        done += step;
        bar.set_message(format!("{done} of {} people and members made", users + size.crowd));
    };
    let moments = || host.moment();
    let made = scale::seed(service.store(), &moments, &tenant, size, &mut progress).await;
    bar.finish_and_clear();
    made?;
    service.close().await;
    std::fs::rename(&partial, &file)?;
    Ok(json!({"users": users, "took_ms": millis(start.elapsed()), "peak_kb": peak_kb()}))
}

async fn time(files: &Files, host: &Host, out: &Output) -> Result<Value, CliError> {
    let (small, large) = (files.of(SMALL), files.of(files.users));
    let small = Subject { service: open(&small, host).await?.0, users: SMALL };
    // With one file, what is compared is the machine with itself.
    let large = if files.users == SMALL {
        None
    } else {
        Some(Subject { service: open(&large, host).await?.0, users: files.users })
    };
    let large = large.as_ref().unwrap_or(&small);
    let (bar, mut rounds) = (bar(out), 0);
    let mut progress = || {
        rounds += 1;
        bar.set_message(format!("round {rounds} of {}", 2 * ROUNDS));
    };
    let tenants = scale::compare([&small, large], ROUNDS, &mut progress).await?;
    let groups = scale::compare_groups(large, ROUNDS, &mut progress).await?;
    let singles = singles(large).await?;
    bar.finish_and_clear();
    let row = |timed: &Timed| {
        json!({
            "what": timed.what,
            "small_us": micros(timed.small),
            "large_us": micros(timed.large),
            "ratio_percent": u64::try_from(timed.ratio_percent()).unwrap_or(u64::MAX),
        })
    };
    Ok(json!({
        "users": files.users,
        "crowd": files.users.min(CROWD_MAX),
        "rounds": ROUNDS,
        "tenants": tenants.iter().map(row).collect::<Vec<_>>(),
        "groups": groups.iter().map(row).collect::<Vec<_>>(),
        "singles": singles,
        "peak_kb": peak_kb(),
    }))
}

/// What is done once, to the group of many.
async fn singles(subject: &Subject) -> Result<Vec<Value>, CliError> {
    let service = &subject.service;
    let asked = (Method::GET, scale::group_by_name(CROWD), Value::Null);
    let crowd = scale::first_id(&scale::timed(service, asked).await?.1)?;
    let page = |start: usize| {
        format!("/Users?filter=groups.value+eq+%22{crowd}%22&count=200&startIndex={start}")
    };
    let deep = subject.users.min(CROWD_MAX).saturating_sub(199);
    let mut told = Vec::new();
    for (what, target) in [
        ("the large group with its members, gzip", format!("/Groups/{crowd}")),
        ("its first page of 200 people", page(1)),
        ("its second page", page(201)),
        ("its last page, asked for at once", page(deep)),
        ("the second page of 200 of everybody", "/Users?count=200&startIndex=201".to_owned()),
    ] {
        let (took, answer) = scale::timed(service, (Method::GET, target, Value::Null)).await?;
        told.push(json!({"what": what, "took_us": micros(took), "bytes": answer.body().len()}));
    }
    Ok(told)
}

async fn exported(files: &Files, host: &Host, out: &Output) -> Result<Value, CliError> {
    let start = host.moment();
    let (service, tenant) = open(&files.of(files.users), host).await?;
    let bar = bar(out);
    let mut progress = |done: Exported| {
        bar.set_message(counted(done.users, "person exported", "people exported"));
    };
    let (moments, mut sink) = (|| host.moment(), Counting(0));
    let done = export((service.store(), &moments), &tenant, &mut sink, &mut progress).await;
    bar.finish_and_clear();
    let done = done.map_err(|error| CliError::new(Chain(&error).to_string()))?;
    service.close().await;
    Ok(json!({
        "users": done.users,
        "groups": done.groups,
        "memberships": done.memberships,
        "bytes": sink.0,
        "took_ms": millis(start.elapsed()),
        "peak_kb": peak_kb(),
    }))
}

async fn deleted(files: &Files, host: &Host, out: &Output) -> Result<Value, CliError> {
    let start = host.moment();
    let file = files.of(files.users);
    let (service, tenant) = open(&file, host).await?;
    let bar = bar(out);
    let mut progress = |step: Deletion| {
        if let Deletion::Swept(items) = step {
            bar.set_message(counted(items, "item removed", "items removed"));
        }
    };
    let moments = || host.moment();
    let store = service.store();
    let done = delete::delete(store, &moments, &tenant, Duration::ZERO, &mut progress).await;
    bar.finish_and_clear();
    let items = done?;
    service.close().await;
    std::fs::remove_file(&file)?;
    Ok(json!({"items": items, "took_ms": millis(start.elapsed()), "peak_kb": peak_kb()}))
}

async fn open(file: &Path, host: &Host) -> Result<(Direct, TenantId), CliError> {
    let tenant = TenantId::parse(TENANT).map_err(|error| CliError::new(error.to_string()))?;
    let tenants = std::slice::from_ref(&tenant);
    let service = Direct::open(Some(file), host.moments.clone(), tenants, None).await?;
    Ok((service, tenant))
}

impl From<LocalError> for CliError {
    fn from(error: LocalError) -> Self {
        Self::Told(error.to_string())
    }
}

/// Counts what it is given and keeps none of it.
struct Counting(usize);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn storm(host: &Host, out: &mut Output) -> Result<ExitCode, CliError> {
    let (bar, mut rounds) = (bar(out), 0);
    let mut progress = || {
        rounds += 1;
        bar.set_message(format!("round {rounds} of {}", FAIR.rounds));
    };
    let done = scale::fairness(host.moments.clone(), FAIR, &mut progress).await?;
    bar.finish_and_clear();
    out.write(|| storm_text(&done), || storm_json(&done))?;
    Ok(if done.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn storm_text(done: &Fairness) -> String {
    let row = |(number, (alone, beside)): (usize, &(Duration, Duration))| {
        [(number + 1).to_string(), micros(*alone).to_string(), micros(*beside).to_string()]
    };
    let mut rows: Vec<[String; 3]> = done.rounds.iter().enumerate().map(row).collect();
    let all = |what: &str, alone: Duration, beside: Duration| {
        [what.to_owned(), micros(alone).to_string(), micros(beside).to_string()]
    };
    rows.push(all("all, p50", done.alone.0, done.beside.0));
    rows.push(all("all, p99", done.alone.1, done.beside.1));
    format!(
        "{}\nThe storm: {}, {} answered 429, {} answered 503; of the quiet tenant's, {} failed.\n",
        table(["round", "p99 alone, µs", "p99 beside the storm, µs"], &rows),
        counted(done.storm, "request", "requests"),
        done.limited,
        done.throttled,
        done.errors
    )
}

fn storm_json(done: &Fairness) -> Value {
    let pair =
        |(p50, p99): (Duration, Duration)| json!({"p50_us": micros(p50), "p99_us": micros(p99)});
    let round = |(alone, beside): &(Duration, Duration)| json!({"alone_p99_us": micros(*alone), "beside_p99_us": micros(*beside)});
    json!({
        "alone": pair(done.alone),
        "beside": pair(done.beside),
        "rounds": done.rounds.iter().map(round).collect::<Vec<_>>(),
        "storm": {"requests": done.storm, "limited": done.limited, "throttled": done.throttled},
        "errors": done.errors,
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The most memory that this process has had, on Linux; 0 elsewhere.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}
