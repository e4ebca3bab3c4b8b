//! What the function that tells somebody may do: read, note what it has told, publish to one topic.

use std::fs;

use super::{calls, template};

#[test]
fn whoever_looks_reads_notes_what_was_told_and_publishes() {
    let template = template();
    let policies = template.at("Resources/WatchRole/Properties/Policies").items();
    assert_eq!(policies.len(), 1);
    let statements = policies[0].at("PolicyDocument/Statement").items();
    let mut found = Vec::new();
    for statement in statements {
        assert_eq!(statement.text("Effect"), "Allow");
        assert!(!statement.text("Resource").contains('*'), "{}", statement.text("Sid"));
        assert!(!statement.text("Resource").contains("Secrets"), "{}", statement.text("Sid"));
        found.push((statement.text("Sid"), statement.at("Action").texts()));
    }
    let expected = [
        ("Directory", vec!["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]),
        ("Told", vec!["dynamodb:UpdateItem"]),
        ("Journal", vec!["dynamodb:Query"]),
        ("Topic", vec!["sns:Publish"]),
        ("Log", vec!["logs:CreateLogStream", "logs:PutLogEvents"]),
    ];
    assert_eq!(found, expected);
    let attributes =
        statements[1].at("Condition/ForAllValues:StringEquals/dynamodb:Attributes").texts();
    assert_eq!(statements[1].text("Condition/Null/dynamodb:Attributes"), "false");
    // The keys, and what the source of its notes names.
    let source = calls::sources("src/store/told.rs");
    let source = fs::read_to_string(&source[0]).expect("there");
    for name in &attributes {
        let is_key = ["tenant", "key", "v"].contains(name);
        assert!(is_key || source.contains(&format!("\"{name}\"")), "{name}");
    }
    for constant in
        source.lines().filter(|line| line.starts_with("const ") && line.contains("&str"))
    {
        let name = constant.split('"').nth(1).expect("a name");
        assert!(attributes.contains(&name), "{name}");
    }
    let of_people = ["userName", "active", "externalId", "scim", "id", "version", "type", "ref"];
    assert!(of_people.iter().all(|name| !attributes.contains(name)));
}

#[test]
fn there_is_somebody_to_tell_or_no_function() {
    let template = template();
    for name in ["WatchFunction", "WatchLog", "WatchRole", "WatchFailures", "Alarms"] {
        assert_eq!(template.text(&format!("Resources/{name}/Condition")), "HasAlarms", "{name}");
    }
    let variables = template.at("Resources/WatchFunction/Properties/Environment/Variables");
    assert_eq!(variables.text("TOPIC_ARN"), "!GetAtt Alarms.Outputs.Topic");
    let schedule = template.at("Resources/WatchFunction/Properties/Events/Look/Properties");
    assert_eq!(schedule.text("Schedule"), "rate(30 minutes)");
}
