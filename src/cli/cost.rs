//! `scimctl cost`: what a stack costs a month, for the reader's own numbers. Nothing is asked of AWS.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::output::{CliError, Output, table};
use crate::cost::estimate::{
    self, Directory, Estimate, Line, first_cycle, fixed, grouped, monthly, shown,
};
use crate::cost::prices;

/// People and groups that the arithmetic is asked for at most.
const SIZE_MAX: i64 = 100_000_000;
/// Tenants that it is asked for at most.
const TENANTS_MAX: i64 = 1_000_000;
/// Changes in a day for a hundred people at most.
const RATE_MAX: f64 = 10_000.0;

/// What a stack costs a month with so many people, by AWS's published prices.
///
/// docs/COST.md says what is counted, what is assumed, and what the prices are.
#[derive(Debug, Args)]
pub(super) struct CostArguments {
    /// People of a tenant
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=SIZE_MAX))]
    users: u32,

    /// Its groups
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=SIZE_MAX))]
    groups: u32,

    /// How many of a hundred people change in a day
    #[arg(long, value_name = "R", default_value_t = 1.0, value_parser = rate)]
    change_rate: f64,

    /// Tenants of that size
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=TENANTS_MAX))]
    tenants: u32,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.0..=RATE_MAX).contains(rate));
    rate.ok_or_else(|| format!("a number from 0 to {RATE_MAX}: changes in a day for 100 people"))
}

pub(super) fn run(arguments: &CostArguments, out: &mut Output) -> Result<ExitCode, CliError> {
    let directory = Directory {
        users: arguments.users,
        groups: arguments.groups,
        change_rate: arguments.change_rate,
        tenants: arguments.tenants,
    };
    out.write(|| text(&directory), || whole_json(&directory))?;
    Ok(ExitCode::SUCCESS)
}

fn text(directory: &Directory) -> String {
    let (month, first) = (monthly(directory), first_cycle(directory));
    let standing: f64 = fixed().iter().map(Line::dollars).sum();
    let tenants = match directory.tenants {
        1 => "One tenant".to_owned(),
        tenants => format!("{} tenants, each", grouped(f64::from(tenants))),
    };
    format!(
        "{tenants} with {} users and {} groups; of 100 people {} change in a day. A month of 30 days, {} cycles.\n\n\
        {}\n{}\n{}\n\
        Once, for the first cycle: {} ({} requests).\n\
        Once for the whole stack: {} a month; alarms, a dashboard and the change bus cost more (docs/COST.md).\n\
        Prices: us-east-1, {}, without free tier. Times and log lines are assumed: nothing has run on AWS yet.\n",
        grouped(f64::from(directory.users)),
        grouped(f64::from(directory.groups)),
        grouped(directory.change_rate),
        grouped(estimate::CYCLES),
        loads_text(&month),
        lines_text(&month),
        sum_text(&month),
        shown(first.dollars()),
        grouped(first.requests().round()),
        shown(standing),
        prices::AS_OF,
    )
}

fn loads_text(estimate: &Estimate) -> String {
    let row = |load: &estimate::Load| {
        let figure = load.figure;
        let whole = |units: f64| grouped((load.times * units).round());
        [
            if load.is_request { "asks" } else { "beside" }.to_owned(),
            figure.operation.to_owned(),
            grouped(load.times.round()),
            whole(f64::from(figure.calls)),
            whole(figure.read_units),
            whole(figure.write_units),
        ]
    };
    let rows: Vec<[String; 6]> = estimate.loads.iter().map(row).collect();
    let headings = ["", "each month", "times", "store calls", "read units", "write units"];
    table(headings, &rows)
}

fn lines_text(estimate: &Estimate) -> String {
    let row = |line: &Line| {
        let price = line.price;
        let amount = line.amount / price.per;
        let amount = if amount < 100.0 { format!("{amount:.4}") } else { grouped(amount) };
        [price.what.to_owned(), amount, price.unit.to_owned(), shown(line.dollars())]
    };
    let rows: Vec<[String; 4]> = estimate.lines.iter().map(row).collect();
    table(["what is billed", "amount", "unit", "a month"], &rows)
}

fn sum_text(estimate: &Estimate) -> String {
    format!(
        "{} a month: {} requests, {} read units, {} write units.",
        shown(estimate.dollars()),
        grouped(estimate.requests().round()),
        grouped(estimate.read_units().round()),
        grouped(estimate.write_units().round()),
    )
}

fn whole_json(directory: &Directory) -> Value {
    let fixed = fixed();
    json!({
        "users": directory.users,
        "groups": directory.groups,
        "change_rate": directory.change_rate,
        "tenants": directory.tenants,
        "prices": prices::AS_OF,
        "region": "us-east-1",
        "month": estimate_json(&monthly(directory)),
        "first_cycle": estimate_json(&first_cycle(directory)),
        "stack": {
            "lines": lines_json(&fixed),
            "dollars": fixed.iter().map(Line::dollars).sum::<f64>(),
        },
    })
}

fn estimate_json(estimate: &Estimate) -> Value {
    let load = |load: &estimate::Load| {
        json!({
            "operation": load.figure.operation,
            "is_request": load.is_request,
            "times": load.times,
            "store_calls": load.times * f64::from(load.figure.calls),
            "read_units": load.times * load.figure.read_units,
            "write_units": load.times * load.figure.write_units,
        })
    };
    json!({
        "operations": estimate.loads.iter().map(load).collect::<Vec<_>>(),
        "requests": estimate.requests(),
        "read_units": estimate.read_units(),
        "write_units": estimate.write_units(),
        "lines": lines_json(&estimate.lines),
        "dollars": estimate.dollars(),
    })
}

fn lines_json(lines: &[Line]) -> Value {
    let line = |line: &Line| {
        json!({
            "what": line.price.what,
            "amount": line.amount / line.price.per,
            "unit": line.price.unit,
            "dollars": line.dollars(),
        })
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTORY: Directory = Directory { users: 500, groups: 25, change_rate: 1.0, tenants: 1 };

    #[test]
    fn the_text_has_each_line_and_their_sum() {
        let (text, month) = (text(&DIRECTORY), monthly(&DIRECTORY));
        assert!(
            text.starts_with("One tenant with 500 users and 25 groups; of 100 people 1 change")
        );
        for load in &month.loads {
            assert!(text.contains(load.figure.operation), "{text}");
        }
        for line in &month.lines {
            assert!(text.contains(line.price.what), "{text}");
        }
        assert!(text.contains(&format!("{} a month: ", shown(month.dollars()))), "{text}");
    }

    #[test]
    fn the_lines_for_scripts_make_the_sum() {
        let json = whole_json(&DIRECTORY);
        for part in ["month", "first_cycle", "stack"] {
            let lines = json[part]["lines"].as_array().unwrap();
            let sum: f64 = lines.iter().map(|line| line["dollars"].as_f64().unwrap()).sum();
            assert!((sum - json[part]["dollars"].as_f64().unwrap()).abs() < 1e-9, "{part}");
        }
    }

    #[test]
    fn a_rate_is_a_number_that_makes_sense() {
        assert_eq!(rate("2.5"), Ok(2.5));
        assert!(["-1", "NaN", "inf", "1e9", "many"].iter().all(|text| rate(text).is_err()));
    }
}
