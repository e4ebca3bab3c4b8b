//! `scimctl load`: how fast an endpoint answers, at one concurrency after the other.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::Host;
use super::output::{CliError, Output, counted, table};
use super::scale::{self, ScaleArguments};
use super::simulate::{Progress, TOKEN_VARIABLE};
use crate::simulate::{Embedded, Endpoint, Figures, Lap, Left, Load, LoadPlan};

/// Requests at once at most.
const CONCURRENCY_MAX: usize = 256;
/// How long cleaning up after Ctrl-C may take.
const CLEAN_UP_PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Args)]
pub(super) struct LoadArguments {
    /// The SCIM base URL; without it, an endpoint is started in this process, in memory
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The token [env: SCIM_TOKEN]
    #[arg(long, value_name = "TOKEN", requires = "url")]
    token: Option<String>,

    /// So many invented people
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    users: u32,

    /// So many invented groups
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    groups: u32,

    /// So many members in each group, added one by one
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    members: u32,

    /// Requests that are under way at once: a lap for each
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [1, 8, 32], value_parser = concurrency)]
    concurrency: Vec<usize>,

    /// What chance follows from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Take a tenant that is not empty
    #[arg(long, requires = "url")]
    into_live: bool,

    #[command(flatten)]
    scale: ScaleArguments,
}

fn concurrency(text: &str) -> Result<usize, String> {
    let number = text.trim().parse().ok();
    let number = number.filter(|number| (1..=CONCURRENCY_MAX).contains(number));
    number.ok_or_else(|| format!("a number from 1 to {CONCURRENCY_MAX}"))
}

pub(super) async fn run(
    arguments: LoadArguments,
    host: &Host,
    out: &mut Output,
) -> Result<ExitCode, CliError> {
    if let Some(code) = scale::run(&arguments.scale, host, out).await? {
        return Ok(code);
    }
    let (embedded, endpoint) = if let Some(url) = &arguments.url {
        let token = arguments.token.clone().or_else(|| host.variable(TOKEN_VARIABLE));
        let token = token.ok_or_else(|| {
            CliError::new(format!("{url} needs a token: give --token, or set {TOKEN_VARIABLE}"))
        })?;
        (None, Endpoint::parse(url, &token)?)
    } else {
        let embedded = Embedded::start_for_load(host.moments.clone()).await?;
        let endpoint = embedded.endpoint()?;
        (Some(embedded), endpoint)
    };
    let plan = plan(&arguments)?;
    let base = endpoint.base().to_owned();
    let load = Load::new(endpoint, plan, host.moments.clone())?;
    load.connect().await?;
    let mut progress = Progress::new(out.is_text(), host.variable("NO_COLOR").is_some());
    let mut laps = Vec::with_capacity(arguments.concurrency.len());
    let mut left = Left::default();
    for concurrency in arguments.concurrency {
        let played = tokio::select! {
            played = play(&load, concurrency, &mut progress) => Some(played),
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some((lap, cleaned)) = played else {
            return Err(stopped(&load, concurrency, &mut progress).await);
        };
        left.deleted += cleaned.deleted;
        left.left += cleaned.left;
        laps.push(lap);
    }
    progress.end();
    out.write(|| text(&base, &laps, left), || json(&base, &laps, left))?;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    let is_good = laps.iter().all(Lap::is_good) && left.left == 0;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(load: &Load, concurrency: usize, progress: &mut Progress) -> (Lap, Left) {
    let lap = load.lap(concurrency, progress).await;
    (lap, load.clean_up(concurrency, progress).await)
}

/// After Ctrl-C.
async fn stopped(load: &Load, concurrency: usize, progress: &mut Progress) -> CliError {
    let cleaned =
        tokio::time::timeout(CLEAN_UP_PATIENCE, load.clean_up(concurrency, progress)).await;
    progress.end();
    CliError::Interrupted(match cleaned {
        Ok(Left { deleted, left: 0 }) => {
            format!("stopped; what had been created is deleted ({})", objects(deleted))
        }
        Ok(_) | Err(_) => "stopped; not everything could be deleted: delete the users whose names end in \
                           rehearsal.example and the groups whose names begin with Rehearsal by hand"
            .to_owned(),
    })
}

fn objects(count: usize) -> String {
    counted(count, "object", "objects")
}

fn plan(arguments: &LoadArguments) -> Result<LoadPlan, CliError> {
    let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let (users, groups) = (count(arguments.users), count(arguments.groups));
    let members = if groups == 0 { 0 } else { count(arguments.members) };
    if members > users {
        return Err(CliError::new(format!(
            "a group cannot have {members} members when there are {users} people: give fewer --members, or more --users"
        )));
    }
    let (seed, into_live) = (arguments.seed, arguments.into_live);
    Ok(LoadPlan { users, groups, members, seed, into_live })
}

fn text(base: &str, laps: &[Lap], left: Left) -> String {
    let row = |(at, cycle, figures): (usize, &str, &Figures)| {
        [
            at.to_string(),
            cycle.to_owned(),
            figures.requests.to_string(),
            figures.per_second().to_string(),
            milliseconds(figures.p50),
            milliseconds(figures.p99),
            figures.errors.to_string(),
            figures.wrong.to_string(),
        ]
    };
    let rows: Vec<_> = laps.iter().flat_map(cycles).map(row).collect();
    let headings =
        ["at once", "cycle", "requests", "requests/s", "p50 ms", "p99 ms", "errors", "wrong"];
    let mut parts = vec![format!("{base}\n\n{}", table(headings, &rows))];
    for lap in laps.iter().filter(|lap| !lap.is_good()) {
        let faults = lap.faults.iter().map(|(what, count)| format!("  {count} × {what}\n"));
        let faults: String = faults.collect();
        parts.push(format!("With {} at once:\n{faults}", lap.concurrency));
    }
    parts.push(match left {
        Left { deleted, left: 0 } => {
            format!("What was created is deleted: {}.\n", objects(deleted))
        }
        Left { left, .. } => format!("{} could not be deleted.\n", objects(left)),
    });
    parts.join("\n")
}

fn cycles(lap: &Lap) -> [(usize, &'static str, &Figures); 2] {
    [(lap.concurrency, "initial", &lap.initial), (lap.concurrency, "incremental", &lap.incremental)]
}

/// With two places.
fn milliseconds(time: Duration) -> String {
    let hundredths = time.as_micros().div_ceil(10);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn json(base: &str, laps: &[Lap], left: Left) -> Value {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let figures = |figures: &Figures| {
        json!({
            "requests": figures.requests,
            "took_us": micros(figures.took),
            "per_second": figures.per_second(),
            "p50_us": micros(figures.p50),
            "p99_us": micros(figures.p99),
            "errors": figures.errors,
            "wrong": figures.wrong,
        })
    };
    let lap = |lap: &Lap| {
        json!({
            "concurrency": lap.concurrency,
            "initial": figures(&lap.initial),
            "incremental": figures(&lap.incremental),
            "faults": lap.faults,
        })
    };
    json!({
        "endpoint": base,
        "laps": laps.iter().map(lap).collect::<Vec<_>>(),
        "cleaned_up": {"deleted": left.deleted, "left": left.left},
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn laps_are_told_in_a_table() {
        let figures = Figures {
            requests: 6_060,
            took: Duration::from_secs(2),
            p50: Duration::from_micros(2_304),
            p99: Duration::from_micros(5_001),
            errors: 0,
            wrong: 1,
        };
        let faults = [("somebody is not found by the name".to_owned(), 1)].into();
        let lap = Lap { concurrency: 8, initial: figures.clone(), incremental: figures, faults };
        let left = Left { deleted: 2_020, left: 0 };
        expect![[r#"
            https://scim.example.com/scim/v2

            at once  cycle        requests  requests/s  p50 ms  p99 ms  errors  wrong
            8        initial      6060      3030        2.31    5.01    0       1
            8        incremental  6060      3030        2.31    5.01    0       1

            With 8 at once:
              1 × somebody is not found by the name

            What was created is deleted: 2020 objects.
        "#]]
        .assert_eq(&text("https://scim.example.com/scim/v2", &[lap], left));
    }
}
