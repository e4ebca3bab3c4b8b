//! `docs/COST.md`: what is measured and computed stands between markers, and is compared with what stands there.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use scim_endpoint::cost::estimate::{
    Directory, Estimate, first_cycle, fixed, grouped, monthly, shown,
};
use scim_endpoint::cost::{figures, prices};

use super::table::{row, rows};

/// People and groups of the tenants that the document has bills of.
const TENANTS: [(u32, u32); 4] = [(50, 5), (500, 25), (5_000, 150), (50_000, 1_000)];

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/COST.md")
}

/// Compares a part of the document with what it has to be; with `UPDATE_EXPECT` it is written.
#[track_caller]
fn check(part: &str, expected: &str) {
    let text = fs::read_to_string(path()).expect("docs/COST.md");
    let (begin, end) = (format!("<!-- {part} -->\n"), format!("<!-- end of {part} -->\n"));
    let (before, rest) = text.split_once(&begin).expect("the part begins");
    let (found, after) = rest.split_once(&end).expect("the part ends");
    if found == expected {
        return;
    }
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| !value.is_empty() && value != "0") {
        let text = format!("{before}{begin}{expected}{end}{after}");
        return fs::write(path(), text).expect("docs/COST.md is written");
    }
    panic!(
        "docs/COST.md: {part} is not what it is now; if that is meant, run UPDATE_EXPECT=1 cargo test --test it cost::document -- --test-threads=1 and read the difference:\n{expected}"
    );
}

fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", headings.join(" | "), "---|".repeat(headings.len()));
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).expect("a string");
    }
    text
}

#[test]
fn the_operations_cost_what_the_document_says() {
    let price = |read: f64, write: f64| {
        let each = prices::READ_UNIT.of(read) + prices::WRITE_UNIT.of(write);
        format!("{:.3}", each * 1e6)
    };
    let measured = rows().iter().map(|row| {
        assert!(row.read().is_finite() && row.write().is_finite(), "{row:?} is not billed");
        vec![
            row.operation.clone(),
            row.calls().to_string(),
            row.kinds(),
            grouped(row.read()),
            grouped(row.write()),
            price(row.read(), row.write()),
        ]
    });
    let headings =
        ["operation", "calls", "of which sort", "read units", "write units", "$ for a million"];
    check("operations", &table(&headings, &measured.collect::<Vec<_>>()));
}

#[test]
fn scimctl_cost_multiplies_with_what_was_measured() {
    for figure in figures::ALL {
        let row = row(figure.operation);
        let told = (row.calls().to_string(), row.read().to_string(), row.write().to_string());
        let known = (
            figure.calls.to_string(),
            figure.read_units.to_string(),
            figure.write_units.to_string(),
        );
        assert_eq!(known, told, "src/cost/figures.rs: {}", figure.operation);
    }
}

#[test]
fn the_prices_are_those_of_the_code() {
    let rows = prices::ALL.iter().map(|price| {
        let dollars = format!("{:.10}", price.dollars);
        let dollars = dollars.trim_end_matches('0').trim_end_matches('.');
        vec![
            price.what.to_owned(),
            format!("${dollars}"),
            price.unit.to_owned(),
            format!("<{}>", price.source),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let mut text = format!("us-east-1, without free tier, as of {}.\n\n", prices::AS_OF);
    text += &table(&["what", "price", "for a", "published"], &rows);
    check("prices", &text);
}

#[test]
fn the_bills_are_those_of_the_code() {
    let mut bills = Vec::new();
    for (users, groups) in TENANTS {
        let directory = Directory { users, groups, change_rate: 1.0, tenants: 1 };
        let month = monthly(&directory);
        let mut row = vec![grouped(f64::from(users)), grouped(f64::from(groups))];
        row.extend(
            [month.requests(), month.read_units(), month.write_units()].map(|n| grouped(n.round())),
        );
        row.extend(dollars(&month));
        row.push(shown(first_cycle(&directory).dollars()));
        bills.push(row);
    }
    let headings = [
        "users",
        "groups",
        "requests",
        "read units",
        "write units",
        "gateway",
        "Lambda",
        "DynamoDB",
        "storage",
        "logs",
        "a month",
        "first cycle, once",
    ];
    let mut text = table(&headings, &bills);
    let fixed: f64 = fixed().iter().map(scim_endpoint::cost::estimate::Line::dollars).sum();
    writeln!(text, "\nBeside it, once for the whole stack: {} a month.", shown(fixed))
        .expect("a string");
    check("bills", &text);
}

fn dollars(estimate: &Estimate) -> Vec<String> {
    let of = |prices: &[prices::Price]| -> f64 {
        let lines = estimate.lines.iter().filter(|line| prices.contains(&line.price));
        lines.map(scim_endpoint::cost::estimate::Line::dollars).sum()
    };
    let parts = [
        of(&[prices::REQUEST]),
        of(&[prices::INVOCATION, prices::GB_SECOND]),
        of(&[prices::READ_UNIT, prices::WRITE_UNIT]),
        of(&[prices::STORAGE, prices::RECOVERY]),
        of(&[prices::LOGS]),
    ];
    assert!(
        (parts.iter().sum::<f64>() - estimate.dollars()).abs() < 1e-9,
        "each line is in a part"
    );
    parts.into_iter().chain([estimate.dollars()]).map(shown).collect()
}
