//! What the application's role may do: read, and acknowledge.

use scim_endpoint::store::feed::{ACKNOWLEDGED, ACKNOWLEDGED_BY};

use super::template;

#[test]
fn the_application_reads_and_acknowledges_and_nothing_else() {
    let template = template();
    let statements = template.at("Resources/AppPolicy/Properties/PolicyDocument/Statement").items();
    let mut found = Vec::new();
    for statement in statements {
        let sid = statement.text("Sid");
        assert_eq!(statement.text("Effect"), "Allow");
        let table = if sid == "Directory" { "Directory" } else { "Journal" };
        let resource = statement.text("Resource");
        let own = format!("!If [Create{table}, !GetAtt {table}Table.Arn, ");
        assert!(resource.starts_with(&own), "{sid}: {resource}");
        assert!(resource.ends_with(&format!(":table/${{Existing{table}Table}}\"]")), "{sid}");
        found.push((sid, statement.at("Action").texts()));
    }
    let expected = [
        ("Directory", vec!["dynamodb:GetItem", "dynamodb:Query"]),
        ("Journal", vec!["dynamodb:Query"]),
        ("Acknowledge", vec!["dynamodb:UpdateItem"]),
    ];
    assert_eq!(found, expected);
}

/// DynamoDB counts the keys, what is set, and what the condition looks at.
#[test]
fn an_acknowledgement_touches_two_attributes() {
    let template = template();
    let statements = template.at("Resources/AppPolicy/Properties/PolicyDocument/Statement").items();
    let condition = statements[2].at("Condition");
    assert_eq!(condition.names(), ["ForAllValues:StringEquals", "StringEquals"]);
    let attributes = condition.at("ForAllValues:StringEquals/dynamodb:Attributes").texts();
    assert_eq!(attributes, ["tenant", "at", ACKNOWLEDGED, ACKNOWLEDGED_BY]);
    let returned = condition.at("StringEquals/dynamodb:ReturnValues").texts();
    assert_eq!(returned, ["NONE", "UPDATED_OLD", "UPDATED_NEW"], "never the whole item");
    for statement in &statements[..2] {
        assert!(statement.get("Condition").is_none());
    }
}

#[test]
fn the_stream_is_a_policy_of_its_own() {
    let template = template();
    let [statement] =
        template.at("Resources/AppStreamPolicy/Properties/PolicyDocument/Statement").items()
    else {
        panic!("one statement")
    };
    let actions = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"]
        .map(|action| format!("dynamodb:{action}"));
    assert_eq!(statement.at("Action").texts(), actions);
    let resource = statement.text("Resource");
    assert_eq!(resource.matches("/stream/*\"").count(), 2, "{resource}");
}
