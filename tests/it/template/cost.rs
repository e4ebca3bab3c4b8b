//! What watching costs: metrics that are looked at are metrics that there are, and the README counts them as the templates have
//! them.

use std::collections::{BTreeMap, BTreeSet};

use scim_endpoint::moment::Timestamp;
use scim_endpoint::store::TenantId;
use scim_endpoint::watch::{Condition, Notice, Summary, metrics};
use serde_json::Value;

use super::yaml::Yaml;
use super::{read, template};

/// The namespace of what is ours.
const OURS: &str = "scim-endpoint";
/// Cents a month for a metric that an alarm looks at, a metric of one's own, and a dashboard.
const PRICES: [usize; 3] = [10, 30, 300];
/// Units that the embedded metric format knows and that are of use here.
const UNITS: [&str; 3] = ["Count", "Milliseconds", "Seconds"];

/// What AWS itself measures, as its documents name it.
const OF_AWS: [(&str, &[&str]); 5] = [
    ("AWS/ApiGateway", &["4xx", "5xx", "Count", "DataProcessed", "IntegrationLatency", "Latency"]),
    ("AWS/Lambda", &["ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"]),
    (
        "AWS/DynamoDB",
        &["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "SystemErrors", "UserErrors"],
    ),
    (
        "AWS/EventBridge/Pipes",
        &["ExecutionFailed", "ExecutionPartiallyFailed", "ExecutionThrottled", "ExecutionTimeout"],
    ),
    ("AWS/SQS", &["ApproximateNumberOfMessagesVisible"]),
];

/// A metric, by namespace and name, and the names of its dimensions.
type Metric = (String, String, Vec<String>);

fn line() -> (Value, Timestamp) {
    let now = Timestamp::parse("2026-11-21T08:00:00.123Z").unwrap();
    let tenant = TenantId::parse("acme").unwrap();
    let (condition, sentence) = (Condition::Held, "of acme".to_owned());
    let notices = vec![Notice { tenant, condition, sentence }];
    let seen =
        Summary { tenants: 300, at_risk: 2, silent: 1, held: 40, notices, ..Summary::default() };
    (metrics(&seen, "my-stack", now), now)
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().expect("a list").iter();
    texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// The metrics that CloudWatch makes of the line of a run.
fn embedded() -> Vec<Metric> {
    let (line, _) = line();
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().expect("directives");
    let mut found = Vec::new();
    for directive in directives {
        let namespace = directive["Namespace"].as_str().expect("a namespace");
        for dimensions in directive["Dimensions"].as_array().expect("sets of dimensions") {
            for metric in directive["Metrics"].as_array().expect("metrics") {
                let name = metric["Name"].as_str().expect("a name");
                found.push((namespace.to_owned(), name.to_owned(), texts(dimensions)));
            }
        }
    }
    found
}

#[test]
fn the_line_of_a_run_is_embedded_metric_format_and_names_no_tenant() {
    let (line, now) = line();
    let text = line.to_string();
    assert!(!text.contains('\n') && !text.contains("acme"), "{text}");
    let root = line.as_object().unwrap();
    let about = root["_aws"].as_object().unwrap();
    let known = ["CloudWatchMetrics", "Timestamp"].map(ToOwned::to_owned);
    assert_eq!(about.keys().cloned().collect::<BTreeSet<_>>(), known.into());
    // Milliseconds since 1970, as a whole number.
    assert_eq!(about["Timestamp"].as_u64(), Some(now.unix_millis()));
    assert_eq!(now.unix_millis(), 1_795_248_000_123);
    let directives = about["CloudWatchMetrics"].as_array().unwrap();
    let mut named = BTreeSet::from(["_aws"]);
    for directive in directives {
        assert_eq!(directive["Namespace"], OURS);
        // The stack, and nothing that there is one of for each tenant: that would be metrics by the thousand.
        assert_eq!(directive["Dimensions"], serde_json::json!([["Stack"]]));
        assert!(root["Stack"].as_str().is_some_and(|stack| (1..=1_024).contains(&stack.len())));
        named.insert("Stack");
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!(root[name].is_u64(), "{name} is a number of the root");
            assert!(UNITS.contains(&metric["Unit"].as_str().unwrap()), "{name}");
            assert!(named.insert(name), "{name} twice");
        }
    }
    assert_eq!(root.keys().map(String::as_str).collect::<BTreeSet<_>>(), named);
    assert_eq!((&root["Tenants"], &root["ChangesHeld"]), (&300.into(), &40.into()));
    assert_eq!((&root["TenantsAtRisk"], &root["TenantsSilent"]), (&2.into(), &1.into()));
}

/// The resources of a type, with the condition that each has.
fn resources<'a>(yaml: &'a Yaml, sort: &'a str) -> impl Iterator<Item = (&'a str, &'a Yaml)> {
    let all = yaml.at("Resources").members().iter().map(|(_, resource)| resource);
    let all = all.filter(move |resource| resource.text("Type") == sort);
    all.map(|resource| (resource.text("Condition"), resource.at("Properties")))
}

fn alarms() -> Yaml {
    Yaml::parse(&read("infra/alarms.yaml"))
}

/// A name without what a stack puts before it.
fn bare(name: &str) -> String {
    let name = name.strip_prefix("!Sub ").unwrap_or(name).trim_matches('"');
    name.rsplit_once('-').map_or(name, |(_, name)| name).to_owned()
}

fn metric(yaml: &Yaml) -> Metric {
    let dimensions = yaml.get("Dimensions").map_or(&[][..], Yaml::items);
    let dimensions = dimensions.iter().map(|dimension| dimension.text("Name").to_owned());
    (yaml.text("Namespace").to_owned(), bare(yaml.text("MetricName")), dimensions.collect())
}

/// The metrics that an alarm looks at.
fn looked_at(alarm: &Yaml) -> Vec<Metric> {
    match alarm.get("Metrics") {
        None => vec![metric(alarm)],
        Some(metrics) => {
            let stats = metrics.items().iter().filter_map(|one| one.get("MetricStat/Metric"));
            stats.map(metric).collect()
        }
    }
}

/// The metrics that are made of lines of a log.
fn filtered(yaml: &Yaml) -> Vec<(&str, Metric)> {
    let filters = resources(yaml, "AWS::Logs::MetricFilter");
    let made = filters.flat_map(|(condition, filter)| {
        let made = filter.at("MetricTransformations").items().iter();
        made.map(move |made| {
            let namespace = made.text("MetricNamespace").to_owned();
            (condition, (namespace, bare(made.text("MetricName")), Vec::new()))
        })
    });
    made.collect()
}

/// The metrics on the dashboard; a dot stands for what the row above has there, three for all that it has.
fn on_the_dashboard() -> Vec<Metric> {
    let yaml = Yaml::parse(&read("infra/dashboard.yaml"));
    let (_, board) = resources(&yaml, "AWS::CloudWatch::Dashboard").next().expect("a dashboard");
    let body =
        board.text("DashboardBody").strip_prefix("!Sub '").and_then(|body| body.strip_suffix('\''));
    let body: Value = serde_json::from_str(body.expect("a text")).expect("JSON");
    let mut found = Vec::new();
    for widget in body["widgets"].as_array().unwrap() {
        let mut above: Vec<String> = Vec::new();
        for row in widget["properties"]["metrics"].as_array().unwrap() {
            let row = row.as_array().unwrap().iter().filter_map(Value::as_str);
            let mut whole: Vec<String> = Vec::new();
            for cell in row {
                match cell {
                    "." => whole.push(above[whole.len()].clone()),
                    // All but what follows, which is one value or nothing.
                    "..." => whole.extend(above.iter().take(above.len() - 1).cloned()),
                    cell => whole.push(cell.to_owned()),
                }
            }
            if whole.len() < above.len() {
                whole.extend(above[whole.len()..].iter().cloned());
            }
            let dimensions = whole[2..].iter().step_by(2).cloned().collect();
            found.push((whole[0].clone(), whole[1].clone(), dimensions));
            above = whole;
        }
    }
    found
}

#[test]
fn alarms_and_dashboard_look_at_metrics_that_there_are() {
    let (template, alarms) = (template(), alarms());
    let mut ours: BTreeSet<Metric> = embedded().into_iter().collect();
    let filtered = [filtered(&template), filtered(&alarms)].concat();
    ours.extend(filtered.iter().map(|(_, metric)| metric.clone()));
    let by_alarms: Vec<Metric> = [&template, &alarms]
        .iter()
        .flat_map(|yaml| resources(yaml, "AWS::CloudWatch::Alarm"))
        .flat_map(|(_, alarm)| looked_at(alarm))
        .collect();
    let shown = on_the_dashboard();
    assert!(by_alarms.len() >= 15 && shown.len() >= 15, "{by_alarms:?} {shown:?}");
    for metric in by_alarms.iter().chain(&shown) {
        let (namespace, name, dimensions) = metric;
        if namespace == OURS {
            assert!(ours.contains(metric), "{metric:?} is emitted by nobody");
            continue;
        }
        let known = OF_AWS.iter().find(|(of, _)| of == namespace);
        assert!(known.is_some_and(|(_, names)| names.contains(&name.as_str())), "{metric:?}");
        assert!(!dimensions.is_empty(), "{metric:?} is of the whole account");
    }
    // And what is paid for is looked at.
    for metric in &ours {
        assert!(by_alarms.contains(metric) || shown.contains(metric), "{metric:?} serves nobody");
    }
}

/// What a line of the README's table has to say: alarms, the metrics that they look at, metrics of our own, dashboards.
#[derive(Debug, Default)]
struct Counts {
    alarms: usize,
    looked_at: usize,
    own: usize,
    dashboards: usize,
}

impl Counts {
    fn cents(&self) -> usize {
        self.looked_at * PRICES[0] + self.own * PRICES[1] + self.dashboards * PRICES[2]
    }
}

fn dollars(cents: usize) -> String {
    format!("${}.{:02}", cents / 100, cents % 100)
}

/// What the templates have, by what has to be on for it.
fn counted() -> BTreeMap<&'static str, Counts> {
    let (template, alarms) = (template(), alarms());
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut add = |condition: &str, is_nested: bool, looked_at: usize, own: usize| {
        let needs = match condition {
            "HasChangeBus" => "ChangeBus",
            "HasAlarms" => "AlarmEmail",
            "" if is_nested => "AlarmEmail",
            "" => "always",
            other => panic!("the README does not say what {other} costs"),
        };
        let counts = counts.entry(needs).or_default();
        counts.alarms += usize::from(looked_at > 0);
        counts.looked_at += looked_at;
        counts.own += own;
    };
    for (yaml, is_nested) in [(&template, false), (&alarms, true)] {
        for (condition, alarm) in resources(yaml, "AWS::CloudWatch::Alarm") {
            add(condition, is_nested, looked_at(alarm).len(), 0);
        }
        for (condition, _) in filtered(yaml) {
            add(condition, is_nested, 0, 1);
        }
    }
    // The function that writes these is there with AlarmEmail only.
    assert_eq!(template.text("Resources/WatchFunction/Condition"), "HasAlarms");
    add("HasAlarms", false, 0, embedded().len());
    counts.insert("Dashboard", Counts { dashboards: 1, ..Counts::default() });
    counts
}

#[test]
fn the_readme_says_what_watching_costs_each_month() {
    let readme = read("README.md");
    for price in PRICES {
        assert!(readme.contains(&dollars(price)), "{}", dollars(price));
    }
    let row = |begin: &str| {
        let mut rows = readme.lines().filter(|line| line.starts_with(&format!("| {begin}")));
        let row = rows.next().unwrap_or_else(|| panic!("no row {begin}"));
        let cells = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        cells.collect::<Vec<String>>()
    };
    let words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let counted = counted();
    let mut sum = Counts::default();
    for (needs, begin) in [
        ("always", "always"),
        ("AlarmEmail", "with `AlarmEmail`"),
        ("ChangeBus", "with `ChangeBus`"),
        ("Dashboard", "with `Dashboard`"),
    ] {
        let counts = &counted[needs];
        let row = row(begin);
        let more = if needs == "always" { "" } else { " more" };
        let cost = format!("{}{more}", dollars(counts.cents()));
        assert_eq!(
            row[1..],
            [counts.looked_at.to_string(), counts.own.to_string(), cost],
            "{counts:?}"
        );
        let alarms = format!("{} alarms", words[counts.alarms]);
        assert!(counts.alarms == 0 || row[0].contains(&alarms), "{needs}: {alarms}");
        sum.looked_at += counts.looked_at;
        sum.own += counts.own;
        sum.dashboards += counts.dashboards;
    }
    let cost = format!("**{}**", dollars(sum.cents()));
    assert_eq!(row("all of it")[1..], [sum.looked_at.to_string(), sum.own.to_string(), cost]);
}

#[test]
fn the_readme_says_how_often_the_schedules_run() {
    let template = template();
    let events = |name: &str| -> usize {
        let events = template.at(&format!("Resources/{name}/Properties/Events")).members();
        let rates = events.iter().filter_map(|(_, event)| {
            let rate = event.text("Properties/Schedule");
            let minutes = rate.strip_prefix("rate(")?.strip_suffix(" minutes)")?;
            Some(30 * 24 * 60 / minutes.parse::<usize>().expect("a number"))
        });
        rates.sum()
    };
    let (job, look) = (events("Function"), events("WatchFunction"));
    let readme = read("README.md");
    let thousands = |count: usize| format!("{},{:03}", count / 1_000, count % 1_000);
    assert!(readme.contains(&format!("{} times a\nmonth", thousands(job + look))), "{job} {look}");
    assert!(readme.contains(&format!("{} of these times", thousands(look))), "{look}");
}
