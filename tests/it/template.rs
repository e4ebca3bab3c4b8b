//! `template.yaml` is what the code needs: its tables are those of `store::tables`, its role allows what `src/store/`
//! calls and nothing else, and what is meant to be there is there.

mod app;
mod calls;
mod cost;
mod events;
mod portal;
mod rollout;
mod watch;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use scim_endpoint::config::Config;
use scim_endpoint::limits::{JOURNAL_KEPT_DAYS, JOURNAL_KEPT_DAYS_MAX, JOURNAL_KEPT_DAYS_MIN};
use scim_endpoint::store::feed::position;
use scim_endpoint::store::tables::{Stream, definitions};

use crate::app::App;
use yaml::Yaml;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("there")
}

fn source() -> String {
    read("template.yaml")
}

fn template() -> Yaml {
    Yaml::parse(&source())
}

fn statements(template: &Yaml) -> &[Yaml] {
    let policies = template.at("Resources/FunctionRole/Properties/Policies").items();
    assert_eq!(policies.len(), 1);
    policies[0].at("PolicyDocument/Statement").items()
}

#[test]
fn the_tables_are_those_of_the_code() {
    let template = template();
    for definition in definitions() {
        let properties = template.at(&format!("Resources/{}Table/Properties", definition.role));
        let key = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
        let keys = |schema: &Yaml| -> Vec<(String, String)> {
            let items = schema.items().iter();
            items.map(|item| key(item.text("AttributeName"), item.text("KeyType"))).collect()
        };
        let mut expected = vec![key(definition.hash, "HASH")];
        expected.extend(definition.range.map(|range| key(range, "RANGE")));
        assert_eq!(keys(properties.at("KeySchema")), expected, "{}", definition.role);

        let mut attributes: BTreeSet<&str> = [definition.hash].into();
        attributes.extend(definition.range);
        attributes.extend(definition.index.map(|(_, range)| range));
        let defined: BTreeSet<&str> = properties
            .at("AttributeDefinitions")
            .items()
            .iter()
            .filter(|item| item.text("AttributeType") == "S")
            .map(|item| item.text("AttributeName"))
            .collect();
        assert_eq!(defined, attributes, "{}", definition.role);

        let indexes = properties.get("GlobalSecondaryIndexes").map_or(&[][..], Yaml::items);
        assert_eq!(indexes.len(), usize::from(definition.index.is_some()));
        for (index, (name, range)) in indexes.iter().zip(definition.index) {
            assert_eq!(index.text("IndexName"), name);
            let expected = [key(definition.hash, "HASH"), key(range, "RANGE")];
            assert_eq!(keys(index.at("KeySchema")), expected);
            assert_eq!(index.text("Projection/ProjectionType"), "INCLUDE");
            assert_eq!(index.at("Projection/NonKeyAttributes").texts(), ["id"]);
        }
        let stream = match definition.stream {
            Stream::NewImage => "NEW_IMAGE",
            Stream::None => "",
        };
        assert_eq!(properties.text("StreamSpecification/StreamViewType"), stream);
        let ttl = properties.text("TimeToLiveSpecification/AttributeName");
        assert_eq!(ttl, definition.ttl.unwrap_or_default(), "{}", definition.role);
        let enabled = properties.text("TimeToLiveSpecification/Enabled") == "true";
        assert_eq!(enabled, definition.ttl.is_some());
    }
}

#[test]
fn the_tables_outlive_mistakes() {
    let template = template();
    for definition in definitions() {
        let table = template.at(&format!("Resources/{}Table", definition.role));
        for (path, expected) in [
            ("DeletionPolicy", "Retain"),
            ("UpdateReplacePolicy", "Retain"),
            ("Properties/BillingMode", "PAY_PER_REQUEST"),
            ("Properties/DeletionProtectionEnabled", "true"),
            ("Properties/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled", "true"),
            ("Properties/SSESpecification/SSEEnabled", "true"),
        ] {
            assert_eq!(table.text(path), expected, "{}: {path}", definition.role);
        }
        assert_eq!(table.text("Condition"), format!("Create{}", definition.role));
        assert_eq!(table.text("Properties/TableName"), "", "CloudFormation names the tables");
    }
}

#[test]
fn the_role_allows_what_the_store_calls_and_nothing_else() {
    let template = template();
    let allowed: BTreeMap<String, BTreeSet<String>> = statements(&template)
        .iter()
        .filter(|statement| statement.text("Sid") != "Log")
        .map(|statement| {
            let actions = statement.at("Action").texts();
            let actions = actions.into_iter().map(str::to_owned).collect();
            (statement.text("Sid").to_owned(), actions)
        })
        .collect();
    assert_eq!(allowed, calls::actions());
}

#[test]
fn the_function_that_answers_scim_cannot_mint_tokens() {
    let template = template();
    let on_secrets =
        statements(&template).iter().filter(|s| s.text("Resource").contains("Secrets"));
    let allowed: Vec<&str> = on_secrets.flat_map(|s| s.at("Action").texts()).collect();
    assert_eq!(
        allowed,
        ["dynamodb:GetItem"],
        "a row there opens a tenant: it may read and no more"
    );
    // And no statement reaches that table by another name.
    for statement in statements(&template) {
        assert!(!statement.text("Resource").contains("table/*"), "{}", statement.text("Sid"));
    }
    // What does write there is of no use to it: nothing of what the function is made of calls it.
    for path in ["src/http", "src/ops", "src/lambda.rs", "src/bin/bootstrap.rs", "src/auth"] {
        for source in calls::sources(path) {
            let text = fs::read_to_string(&source).expect("a source file");
            for call in [".issue(", ".issue_link(", ".open_link(", ".revoke(", ".set_status("] {
                assert!(!text.contains(call), "{}: {call}", source.display());
            }
        }
    }
}

/// Who may put an item into Directory can put a person there. The portal will be allowed to update, no more.
#[test]
fn what_the_portal_writes_to_directory_it_writes_by_update() {
    let files =
        ["src/store/portal.rs", "src/store/portal", "src/store/manage.rs", "src/store/manage"];
    let files = files.into_iter().flat_map(calls::sources).collect();
    let found = calls::actions_in(files);
    let on_directory = found["Directory"].iter().map(String::as_str);
    // What deletes is the end of a tenant, which is the command line's.
    assert_eq!(on_directory.collect::<Vec<_>>(), ["dynamodb:DeleteItem", "dynamodb:UpdateItem"]);
}

#[test]
fn each_operation_of_the_store_is_one_that_the_role_was_thought_through_for() {
    let known =
        ["batch_get_item", "get_item", "put_item", "query", "transact_write_items", "update_item"];
    let found = calls::operations();
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), known);
}

#[test]
fn the_role_names_its_resources_exactly() {
    let template = template();
    for statement in statements(&template) {
        let sid = statement.text("Sid");
        assert_eq!(statement.text("Effect"), "Allow");
        let resource = statement.text("Resource");
        let table = sid.trim_end_matches("Index");
        let suffix = if sid == "DirectoryIndex" { "/index/externalId" } else { "" };
        let expected = if sid == "Log" {
            "!GetAtt FunctionLog.Arn".to_owned()
        } else {
            let own = if suffix.is_empty() {
                format!("!GetAtt {table}Table.Arn")
            } else {
                format!("!Sub \"${{{table}Table.Arn}}{suffix}\"")
            };
            let existing = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table";
            format!(
                "!If [Create{table}, {own}, !Sub \"{existing}/${{Existing{table}Table}}{suffix}\"]"
            )
        };
        assert_eq!(resource, expected, "{sid}");
        for action in statement.at("Action").texts() {
            assert!(!action.contains('*') && !action.ends_with(":Scan"), "{action}");
        }
    }
}

#[test]
fn everything_but_the_portal_goes_to_the_one_function() {
    let template = template();
    let resources = template.at("Resources").members();
    let functions = resources
        .iter()
        .filter(|(_, resource)| resource.text("Type") == "AWS::Serverless::Function");
    let functions: Vec<&str> = functions.map(|(name, _)| name.as_str()).collect();
    assert_eq!(functions, ["Function", "PortalFunction", "WatchFunction"]);
    let look = template.at("Resources/WatchFunction/Properties/Events");
    assert_eq!(look.names(), ["Look"]);
    assert_eq!(look.text("Look/Type"), "Schedule");
    let events = template.at("Resources/Function/Properties/Events");
    assert_eq!(events.names(), ["Everything", "Sweep"]);
    assert_eq!(events.text("Everything/Type"), "HttpApi");
    let properties = events.at("Everything/Properties").names();
    assert_eq!(properties, ["ApiId", "PayloadFormatVersion"], "no path: the $default route");
    assert_eq!(events.text("Sweep/Properties/Input"), r#"{"job":"sweep"}"#);
    let timeout: u32 = template.text("Parameters/Timeout/MaxValue").parse().expect("a number");
    assert!(timeout < 30, "API Gateway gives up after 30 s");
}

#[test]
fn no_log_of_the_gateway_holds_a_path_or_a_query() {
    let template = template();
    let format = template.text("Resources/Api/Properties/AccessLogSettings/Format");
    for variable in format.split("$context.").skip(1) {
        let name = variable.split('"').next().unwrap_or_default().to_ascii_lowercase();
        assert!(!name.contains("path") && !name.contains("querystring"), "{name}");
    }
    let described: serde_json::Value = serde_json::from_str(format).expect("JSON");
    assert_eq!(described["requestId"], "$context.requestId");
}

#[test]
fn each_parameter_is_used_and_shown() {
    let (source, template) = (source(), template());
    let groups = template.at("Metadata/AWS::CloudFormation::Interface/ParameterGroups").items();
    let shown: Vec<&str> = groups.iter().flat_map(|group| group.at("Parameters").texts()).collect();
    for name in template.at("Parameters").names() {
        let references = [format!("!Ref {name}"), format!("${{{name}}}")];
        assert!(references.iter().any(|text| source.contains(text.as_str())), "{name}");
        assert!(shown.contains(&name), "{name} is in no group");
        assert!(!template.text(&format!("Parameters/{name}/Description")).is_empty(), "{name}");
    }
}

#[test]
fn the_outputs_are_those_that_the_command_line_reads() {
    let template = template();
    for name in [
        "ScimBaseUrl",
        "PublicUrl",
        "TenantUrl",
        "DirectoryTable",
        "SecretsTable",
        "JournalTable",
        "JournalDays",
        "FunctionName",
    ] {
        assert!(!template.text(&format!("Outputs/{name}/Value")).is_empty(), "{name}");
    }
    let tenant_url = template.text("Outputs/TenantUrl/Value");
    let base_url = template.text("Outputs/ScimBaseUrl/Value");
    let with_flag = base_url.replace("${BasePath}", "${BasePath}/?aadOptscim062020");
    assert_eq!(tenant_url, with_flag);
}

#[test]
fn nested_templates_take_what_they_are_handed_and_yield_what_is_asked_for() {
    let (source, template) = (source(), template());
    let resources = template.at("Resources").members().iter();
    let stacks =
        resources.filter(|(_, resource)| resource.text("Type") == "AWS::CloudFormation::Stack");
    let mut seen = Vec::new();
    for (name, stack) in stacks {
        let stack = stack.at("Properties");
        let nested = Yaml::parse(&read(stack.text("TemplateURL")));
        assert_eq!(nested.at("Parameters").names(), stack.at("Parameters").names(), "{name}");
        for rest in source.split(&format!("!GetAtt {name}.Outputs.")).skip(1) {
            let output = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap();
            assert!(nested.get(&format!("Outputs/{output}")).is_some(), "{name} has no {output}");
        }
        seen.push(name.as_str());
    }
    assert_eq!(seen, ["ChangeEvents", "Alarms", "StackDashboard"]);
}

#[test]
fn the_example_configuration_sets_parameters_that_are_there() {
    let template = template();
    let text = read("infra/samconfig.example.toml");
    let set = text.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once('='));
    let mut count = 0;
    for (name, value) in set {
        let parameter = template.at(&format!("Parameters/{name}"));
        let value = value.trim_end_matches(',').trim_end_matches('"');
        if let Some(allowed) = parameter.get("AllowedValues") {
            assert!(allowed.texts().contains(&value), "{name}={value}");
        }
        count += 1;
    }
    assert!(count > 8, "only {count} were found");
}

#[test]
fn the_journal_is_kept_within_the_bounds_of_the_code() {
    let template = template();
    let parameter = template.at("Parameters/JournalDays");
    for (name, days) in [
        ("Default", JOURNAL_KEPT_DAYS),
        ("MinValue", JOURNAL_KEPT_DAYS_MIN),
        ("MaxValue", JOURNAL_KEPT_DAYS_MAX),
    ] {
        assert_eq!(parameter.text(name), days.to_string(), "{name}");
    }
}

#[tokio::test]
async fn an_item_of_the_journal_lives_as_long_as_configured() {
    for days in [JOURNAL_KEPT_DAYS_MIN, JOURNAL_KEPT_DAYS] {
        let app = App::start_with(|config| Config { journal_days: days, ..config }).await;
        let user = serde_json::json!({"userName": "ida@ex.test"});
        app.call("POST", "/Users", user).await.expect(201);
        let moment = app.moment();
        let later = position(moment.now().plus_seconds(3_600));
        let page =
            app.store().changes(&moment, &app.tenant(), (uuid::Uuid::nil(), later), 10).await;
        let page = page.expect("it is read");
        let [change] = &page.changes[..] else { panic!("{page:?}") };
        let expires = change.attributes["expires"].as_i64().expect("seconds");
        let written = change.time().expect("a time").unix_seconds();
        let left = days * 86_400 - (expires - written);
        assert!(left.abs() <= 2, "{days} days, and {left} s less");
    }
}

/// What a restore does not bring, `docs/DEPLOY.md` tells how to set: what the template sets, on the same tables.
#[test]
fn the_commands_after_a_restore_set_what_the_tables_have() {
    let text = read("docs/DEPLOY.md");
    let (_, section) = text.split_once("## After a restore").expect("there");
    let script = section.split("```").nth(1).expect("commands");
    let (all, rest) = script.split_once("done\n").expect("a loop over all tables");
    let (with_ttl, journal) = rest.split_once("done\n").expect("and one over those with a TTL");
    for definition in definitions() {
        let name = format!("\"${}\"", definition.role.to_lowercase());
        assert!(all.contains(&name), "{name}");
        let ttl = definition.ttl.map(|ttl| format!("Enabled=true,AttributeName={ttl}\n"));
        let is_set = with_ttl.contains(&name) && ttl.is_some_and(|ttl| with_ttl.contains(&ttl));
        assert_eq!(is_set, definition.ttl.is_some(), "{name}");
        let streams = journal.contains(&name) && journal.contains("StreamViewType=NEW_IMAGE");
        assert_eq!(streams, matches!(definition.stream, Stream::NewImage), "{name}");
    }
    for what in ["PointInTimeRecoveryEnabled=true", "--deletion-protection-enabled", "tag-resource"]
    {
        assert!(all.contains(what), "{what}");
    }
}
