//! `scimctl simulate`: a rehearsal, its progress, and what became of it.

mod progress;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

pub(super) use self::progress::Progress;
use super::Host;
use super::output::{CliError, Output, counted};
use crate::scim::well_known;
use crate::simulate::{
    Change, Dialect, Dialects, Embedded, Endpoint, Left, Matching, Plan, Provider, Rehearsal,
    SimulateError, Size, Source, Switch, directory, read_groups, read_people,
};
use crate::store::check;

/// The variable with the token, so that it need not stand in the list of processes.
pub(super) const TOKEN_VARIABLE: &str = "SCIM_TOKEN";
/// How long cleaning up after Ctrl-C may take.
const CLEAN_UP_PATIENCE: Duration = Duration::from_mins(1);
/// Bytes of a file of people that are read at most.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct SimulateArguments {
    /// The Tenant URL or SCIM base URL; without it, the rehearsal starts an endpoint of its own, in memory
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The token [env: SCIM_TOKEN]
    #[arg(long, value_name = "TOKEN", requires = "url")]
    token: Option<String>,

    #[command(flatten)]
    people: PeopleArguments,

    #[command(flatten)]
    wire: WireArguments,

    #[command(flatten)]
    course: CourseArguments,
}

/// Who is provisioned.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who is provisioned")]
struct PeopleArguments {
    /// So many invented people
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    users: u32,

    /// So many invented groups
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    groups: u32,

    /// What chance follows from: people, changes, faults
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Your own people, as CSV or JSON, instead of invented ones
    #[arg(long, value_name = "FILE", conflicts_with_all = ["users", "groups"])]
    users_file: Option<PathBuf>,

    /// Your own groups, as CSV or JSON
    #[arg(long, value_name = "FILE", requires = "users_file")]
    groups_file: Option<PathBuf>,
}

/// How requests look.
#[derive(Debug, Args)]
#[command(next_help_heading = "How requests look")]
struct WireArguments {
    /// Whose requests are sent
    #[arg(long, value_enum, value_name = "PROVIDER", default_value_t)]
    idp: ProviderChoice,

    /// Entra's PATCH dialect [default: compliant if the URL has the flag aadOptscim062020, else legacy]
    #[arg(long, value_enum, value_name = "DIALECT")]
    dialect: Option<DialectChoice>,

    /// By what people are found before they are linked
    #[arg(long = "match", value_enum, value_name = "ATTRIBUTE", default_value_t)]
    matching: MatchChoice,

    /// Send the flag in the URL with every request
    #[arg(long)]
    echo_flag: bool,

    /// Requests that are under way at once
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    concurrency: u16,

    /// Record each exchange in this file, in the format of tests/exchanges, without the token
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// What happens.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that a person gives")]
#[command(next_help_heading = "What happens")]
struct CourseArguments {
    /// Cycles: the initial one, then incremental ones after changes in the source
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    cycles: u16,

    /// Percent of those to whom a change can happen, in each cycle; repeat it for more, `all=0` stops every change
    #[arg(long = "rate", value_name = "KIND=PERCENT", value_parser = rate)]
    rates: Vec<Rate>,

    /// Provision single people and groups on demand in between
    #[arg(long)]
    on_demand: bool,

    /// Play faults: answers lost, requests cut, doubled, given up or refused by a gateway; below an endpoint of its own, DynamoDB's
    #[arg(long)]
    chaos: bool,

    /// Take a tenant that is not empty; whom your file names there, it changes
    #[arg(long, requires = "url")]
    into_live: bool,

    /// Leave what was created
    #[arg(long, requires = "url")]
    keep: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ProviderChoice {
    #[default]
    Entra,
    Okta,
    #[value(name = "pingone")]
    PingOne,
    #[value(name = "jumpcloud")]
    JumpCloud,
}

impl From<ProviderChoice> for Provider {
    fn from(choice: ProviderChoice) -> Self {
        match choice {
            ProviderChoice::Entra => Self::Entra,
            ProviderChoice::Okta => Self::Okta,
            ProviderChoice::PingOne => Self::PingOne,
            ProviderChoice::JumpCloud => Self::JumpCloud,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DialectChoice {
    Legacy,
    Compliant,
    Mixed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum MatchChoice {
    #[default]
    #[value(name = well_known::USER_NAME)]
    UserName,
    #[value(name = well_known::EXTERNAL_ID)]
    ExternalId,
    #[value(name = "email")]
    Email,
}

/// A change of the usual rates.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// All of them without it.
    change: Option<Change>,
    percent: u32,
}

fn rate(text: &str) -> Result<Rate, String> {
    let words = || Change::ALL.map(Change::word).join(", ");
    let (kind, percent) = text.split_once('=').ok_or("write KIND=PERCENT, such as hires=5")?;
    let percent = percent.trim_end_matches('%').parse().ok().filter(|percent| *percent <= 100);
    let percent = percent.ok_or("the percentage is a number from 0 to 100")?;
    if kind == "all" {
        return Ok(Rate { change: None, percent });
    }
    let change = Change::ALL.into_iter().find(|change| change.word() == kind);
    let change = change.ok_or_else(|| format!("the kinds are all, {}", words()))?;
    Ok(Rate { change: Some(change), percent })
}

impl From<SimulateError> for CliError {
    fn from(error: SimulateError) -> Self {
        Self::new(error.to_string())
    }
}

pub(super) async fn run(
    arguments: SimulateArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    let SimulateArguments { url, token, people, wire, course } = arguments;
    refuse_entras(&wire, &course)?;
    let source = source(&people, wire.matching)?;
    let chaos = course.chaos.then(Switch::default);
    let (embedded, endpoint) = if let Some(url) = &url {
        let token = token.or_else(|| host.variable(TOKEN_VARIABLE)).ok_or_else(|| {
            CliError::new(format!("{url} needs a token: give --token, or set {TOKEN_VARIABLE}"))
        })?;
        (None, Endpoint::parse(url, &token)?)
    } else {
        let faults = chaos.clone().map(|switch| (switch, people.seed));
        let embedded = Embedded::start(host.moments.clone(), faults).await?;
        let endpoint = embedded.endpoint()?;
        (Some(embedded), endpoint)
    };
    let keep = course.keep;
    let plan = plan(&endpoint, (people.seed, chaos), wire, course);
    let shown = show::Shown::new(&endpoint, &plan);
    let mut rehearsal = Rehearsal::new(endpoint, plan, source, host.moments.clone())?;
    let mut progress = Progress::new(out.is_text(), host.variable("NO_COLOR").is_some());
    let interrupted = tokio::select! {
        played = play(&mut rehearsal, &mut progress) => played.map(|()| false)?,
        _ = tokio::signal::ctrl_c() => true,
    };
    progress.end();
    if interrupted {
        return Err(stopped(&rehearsal, embedded, keep, &mut progress).await);
    }
    let checked = match &embedded {
        Some(embedded) => Some(embedded.check().await?),
        None => None,
    };
    let left = match &embedded {
        None if !keep => Some(clean_up(&rehearsal, &mut progress).await?),
        _ => None,
    };
    progress.end();
    let report = rehearsal.report()?;
    let is_good = report.is_good()
        && checked.as_ref().is_none_or(check::Report::is_whole)
        && left.is_none_or(|left| left.left == 0);
    let end = show::End { report: &report, checked: checked.as_ref(), left, is_good };
    out.write(|| shown.text(&end), || shown.json(&end))?;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What only Entra has is refused with another provider.
fn refuse_entras(wire: &WireArguments, course: &CourseArguments) -> Result<(), CliError> {
    let provider = Provider::from(wire.idp);
    if provider == Provider::Entra {
        return Ok(());
    }
    let given = [
        (wire.dialect.is_some(), "--dialect"),
        (wire.echo_flag, "--echo-flag"),
        (course.on_demand, "--on-demand"),
    ];
    let given: Vec<&str> =
        given.into_iter().filter_map(|(is_given, name)| is_given.then_some(name)).collect();
    if given.is_empty() {
        return Ok(());
    }
    let (given, word) = (given.join(" and "), provider.word());
    Err(CliError::new(format!("only Entra has {given}: leave that out with --idp {word}")))
}

async fn play(rehearsal: &mut Rehearsal, progress: &mut Progress) -> Result<(), CliError> {
    rehearsal.connect(progress).await?;
    rehearsal.play(progress).await;
    Ok(())
}

fn source(people: &PeopleArguments, matching: MatchChoice) -> Result<Source, CliError> {
    let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let Some(users_file) = &people.users_file else {
        let everyone_has_mail = matching == MatchChoice::Email;
        let (users, groups) = (count(people.users), count(people.groups));
        return Ok(directory(Size { users, groups, everyone_has_mail }, people.seed));
    };
    let mut source = read_people(&users_file.display().to_string(), &read(users_file)?)?;
    if let Some(groups_file) = &people.groups_file {
        read_groups(&groups_file.display().to_string(), &read(groups_file)?, &mut source)?;
    }
    Ok(source)
}

fn read(path: &Path) -> Result<String, CliError> {
    let shown = path.display();
    let size = std::fs::metadata(path).map(|file| file.len());
    if size.is_ok_and(|size| size > FILE_BYTES_MAX) {
        return Err(CliError::new(format!("{shown} is larger than 64 MB; take fewer people")));
    }
    std::fs::read_to_string(path).map_err(|error| {
        CliError::new(format!("{shown} cannot be read ({error}); give a CSV or JSON file in UTF-8"))
    })
}

fn plan(
    endpoint: &Endpoint,
    (seed, chaos): (u64, Option<Switch>),
    wire: WireArguments,
    course: CourseArguments,
) -> Plan {
    let dialects = match (wire.dialect, endpoint.is_flagged()) {
        (Some(DialectChoice::Mixed), _) => Dialects::Mixed,
        (Some(DialectChoice::Compliant), _) | (None, true) => Dialects::One(Dialect::Compliant),
        (Some(DialectChoice::Legacy), _) | (None, false) => Dialects::One(Dialect::Legacy),
    };
    let matching = match wire.matching {
        MatchChoice::UserName => Matching::UserName,
        MatchChoice::ExternalId => Matching::ExternalId,
        MatchChoice::Email => Matching::Email,
    };
    let rates = course.rates.into_iter().flat_map(|rate| match rate.change {
        Some(change) => vec![(change, rate.percent)],
        None => Change::ALL.map(|change| (change, rate.percent)).to_vec(),
    });
    Plan {
        provider: wire.idp.into(),
        dialects,
        matching,
        concurrency: usize::from(wire.concurrency),
        cycles: usize::from(course.cycles),
        seed,
        rates: rates.collect(),
        on_demand: course.on_demand,
        into_live: course.into_live,
        echo_flag: wire.echo_flag,
        chaos,
        record: wire.record,
    }
}

/// What was created is deleted, within a bounded time and unless Ctrl-C comes again.
async fn clean_up(rehearsal: &Rehearsal, progress: &mut Progress) -> Result<Left, CliError> {
    tokio::select! {
        left = rehearsal.clean_up(progress) => Ok(left?),
        _ = tokio::signal::ctrl_c() => {
            let text = "stopped while deleting what the rehearsal had created: some of it is still at the endpoint";
            Err(CliError::Interrupted(text.to_owned()))
        }
    }
}

/// After Ctrl-C.
async fn stopped(
    rehearsal: &Rehearsal,
    embedded: Option<Embedded>,
    keep: bool,
    progress: &mut Progress,
) -> CliError {
    if embedded.is_some() {
        return CliError::Interrupted("stopped; the endpoint was the rehearsal's own".to_owned());
    }
    if keep {
        return CliError::Interrupted("stopped; what was created stays, as --keep says".to_owned());
    }
    let cleaned = tokio::time::timeout(CLEAN_UP_PATIENCE, clean_up(rehearsal, progress)).await;
    progress.end();
    let by_hand = "delete the users and groups whose names begin with Rehearsal or end in rehearsal.example by hand";
    CliError::Interrupted(match cleaned {
        Ok(Ok(Left { deleted, left: 0 })) => {
            format!(
                "stopped; what had been created is deleted ({})",
                counted(deleted, "object", "objects")
            )
        }
        Ok(Ok(Left { left, .. })) => {
            format!(
                "stopped; {} could not be deleted: {by_hand}",
                counted(left, "object", "objects")
            )
        }
        Ok(Err(error)) => match error.text() {
            Some(why) => format!("stopped, and not cleaned up: {why}; {by_hand}"),
            None => format!("stopped, and not cleaned up; {by_hand}"),
        },
        Err(_) => format!("stopped; not everything could be deleted within a minute: {by_hand}"),
    })
}
