//! `infra/events.yaml`: what the pipe lets through, and what a rule finds in an event, tried on items of the journal that
//! the endpoint has written. The evaluators below are EventBridge's rules as documented, as far as they are used here.

use std::time::Duration;

use scim_endpoint::store::feed::{ACKNOWLEDGED, ACKNOWLEDGED_BY, position};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::yaml::Yaml;
use crate::app::App;

/// The attributes of an item of the journal, with their types.
const CONTRACT: [(&str, &str); 26] = [
    ("tenant", "S"),
    ("at", "S"),
    ("v", "N"),
    ("events", "L"),
    ("kind", "S"),
    ("id", "S"),
    ("version", "N"),
    ("after", "S"),
    ("appId", "S"),
    ("userName", "S"),
    ("displayName", "S"),
    ("externalId", "S"),
    ("active", "BOOL"),
    ("changed", "L"),
    ("added", "L"),
    ("removed", "L"),
    ("groups", "L"),
    ("actor", "S"),
    ("request", "S"),
    ("expires", "N"),
    ("status", "N"),
    ("scimType", "S"),
    ("detail", "S"),
    ("method", "S"),
    ("path", "S"),
    (ACKNOWLEDGED, "S"),
];

/// What every item has.
const ALWAYS: [&str; 7] = ["tenant", "at", "v", "events", "actor", "request", "expires"];

/// What holds ids and numbers of ours only: nobody outside can put a quote into it.
const CLOSED: [&str; 6] = ["tenant", "at", "kind", "id", "version", "v"];

fn nested(name: &str) -> Yaml {
    Yaml::parse(&super::read(&format!("infra/{name}")))
}

/// An attribute as DynamoDB writes it.
fn typed(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => json!({ "BOOL": flag }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(text) => json!({ "S": text }),
        Value::Array(items) => json!({ "L": items.iter().map(typed).collect::<Vec<_>>() }),
        Value::Null | Value::Object(_) => panic!("the journal has no such value: {value}"),
    }
}

/// A record of the stream.
fn record(name: &str, item: &Map<String, Value>) -> Value {
    let image: Map<String, Value> =
        item.iter().map(|(name, value)| (name.clone(), typed(value))).collect();
    let keys = json!({ "tenant": image["tenant"], "at": image["at"] });
    let mut change =
        json!({ "Keys": keys, "SequenceNumber": "111", "StreamViewType": "NEW_IMAGE" });
    if name != "REMOVE" {
        change["NewImage"] = Value::Object(image);
    }
    json!({ "eventID": "1", "eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change })
}

/// A journal as a small customer writes it: among it names that are no harmless text.
async fn journal() -> Vec<Map<String, Value>> {
    let app = App::start().await;
    let user = json!({"userName": "ida@ex.test", "displayName": "Ida \"<$.id>\" \\ Ek", "externalId": "o\"1"});
    let id = app.call("POST", "/Users", user.clone()).await.expect(201).id();
    app.call("POST", "/Users", user).await.expect(409);
    let group = json!({"displayName": "Crew", "members": [{"value": id}]});
    let crew = app.call("POST", "/Groups", group).await.expect(201).id();
    let off = json!({"Operations": [{"op": "replace", "path": "active", "value": false}]});
    app.call("PATCH", &format!("/Users/{id}"), off).await.expect(200);
    app.call("DELETE", &format!("/Users/{id}"), Value::Null).await.expect(204);
    app.call("DELETE", &format!("/Groups/{crew}"), Value::Null).await.expect(204);
    let eva = app.call("POST", "/Users", json!({"userName": "eva@ex.test"})).await.expect(201).id();
    app.call("DELETE", &format!("/Users/{eva}"), Value::Null).await.expect(204);
    let moment = app.moment();
    let tomorrow = position(moment.now().plus(Duration::from_hours(24)));
    let page = app.store().changes(&moment, &app.tenant(), (Uuid::nil(), tomorrow), 100).await;
    let items: Vec<_> =
        page.expect("it is read").changes.into_iter().map(|change| change.attributes).collect();
    assert!(items.len() >= 6, "{items:?}");
    items
}

fn events(item: &Map<String, Value>) -> Vec<&str> {
    item["events"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

/// The two patterns of the filter: with refusals, and without.
fn patterns() -> [Value; 2] {
    let pipe = nested("events.yaml");
    let filters = pipe.at("Resources/Pipe/Properties/SourceParameters/FilterCriteria/Filters");
    let [filter] = filters.items() else { panic!("filters are alternatives: one says it all") };
    let text = filter.text("Pattern");
    assert!(text.starts_with("!If [WithRefusals, '"), "{text}");
    let texts: Vec<&str> = text.split('\'').skip(1).step_by(2).collect();
    [0, 1].map(|at| serde_json::from_str(texts[at]).expect("a pattern is JSON"))
}

/// Whether a pattern matches what is found at its place: lists are looked into, as EventBridge does.
fn matches(pattern: &Value, found: &[&Value]) -> bool {
    let found: Vec<&Value> = found
        .iter()
        .flat_map(|value| {
            value.as_array().map_or_else(|| vec![*value], |items| items.iter().collect())
        })
        .collect();
    if let Some(members) = pattern.as_object() {
        return members.iter().all(|(name, inner)| {
            let inside: Vec<&Value> = found.iter().filter_map(|value| value.get(name)).collect();
            matches(inner, &inside)
        });
    }
    let alternatives = pattern.as_array().unwrap_or_else(|| panic!("no list: {pattern}"));
    alternatives.iter().any(|wanted| match (wanted.is_object(), wanted.get("exists")) {
        (false, _) => found.contains(&wanted),
        (true, Some(exists)) => *exists == json!(!found.is_empty()),
        (true, None) => panic!("teach this test {wanted}"),
    })
}

/// The value at a path such as `$.dynamodb.NewImage.id.S`.
fn lookup<'a>(record: &'a Value, path: &str) -> Option<&'a Value> {
    let names = path.strip_prefix("$.").expect("a path begins with $.");
    names.split('.').try_fold(record, |value, name| value.get(name))
}

/// The places of a template that are filled: the text before, the path, whether it stands in quotes.
fn places(template: &str) -> Vec<(&str, &str, bool)> {
    let mut rest = template;
    let mut found = Vec::new();
    while let Some((before, after)) = rest.split_once('<') {
        let (path, after) = after.split_once('>').expect("a place is closed");
        found.push((before, path, before.ends_with('"')));
        rest = after;
    }
    found
}

/// The detail of the event that the pipe makes of a record. In quotes a text is put as it is, and one that is not there
/// is empty; outside it is JSON.
fn detail(template: &str, record: &Value) -> Value {
    let mut text = String::new();
    for (before, path, quoted) in places(template) {
        text.push_str(before);
        match (lookup(record, path), quoted) {
            (Some(Value::String(value)), true) => text.push_str(value),
            (None, true) => {}
            (Some(value), false) => text.push_str(&value.to_string()),
            (found, _) => panic!("{path}: {found:?}"),
        }
    }
    text.push_str(template.rsplit('>').next().unwrap_or_default());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn input_template() -> String {
    nested("events.yaml")
        .text("Resources/Pipe/Properties/TargetParameters/InputTemplate")
        .to_owned()
}

#[tokio::test]
async fn the_pipe_sends_what_is_written_and_nothing_else() {
    let [all, changes] = patterns();
    for item in journal().await {
        let written = record("INSERT", &item);
        let is_refusal = events(&item) == ["misc:refused"];
        assert!(matches(&all, &[&written]), "{written}");
        assert_eq!(matches(&changes, &[&written]), !is_refusal, "{written}");
        let mut acknowledged = item.clone();
        acknowledged.insert(ACKNOWLEDGED.to_owned(), json!("2026-11-21T10:00:00Z"));
        acknowledged.insert(ACKNOWLEDGED_BY.to_owned(), json!("app"));
        for other in [record("MODIFY", &acknowledged), record("REMOVE", &item)] {
            assert!(!matches(&all, &[&other]) && !matches(&changes, &[&other]), "{other}");
        }
    }
}

#[tokio::test]
async fn an_event_of_the_bus_has_ids_to_match_on_and_the_whole_item() {
    let template = input_template();
    let items = journal().await;
    let mut seen = Vec::new();
    for item in &items {
        let made = detail(&template, &record("INSERT", item));
        let plain = |name: &str| match item.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(number) => number.to_string(),
            None => String::new(),
        };
        let image: Map<String, Value> =
            item.iter().map(|(name, value)| (name.clone(), typed(value))).collect();
        let expected = json!({
            "tenant": plain("tenant"), "at": plain("at"), "kind": plain("kind"), "id": plain("id"),
            "version": plain("version"), "events": typed(&item["events"])["L"], "item": image,
        });
        assert_eq!(made, expected);
        seen.extend(events(item));
    }
    for name in ["user.deactivated", "group.member.added", "misc:refused", "prov:delete"] {
        assert!(seen.contains(&name), "{name} is not tried: {seen:?}");
    }
    let leaver = items.iter().find(|item| events(item).contains(&"user.deactivated")).unwrap();
    let made = detail(&template, &record("INSERT", leaver));
    assert_eq!(made["version"], "2", "a number is a text there");
    assert_eq!(made["events"][0], json!({"S": "prov:patch:notice"}));
    assert_eq!(made["item"]["displayName"]["S"], "Ida \"<$.id>\" \\ Ek");
    assert_eq!(made["item"]["active"]["BOOL"], false);
}

#[tokio::test]
async fn the_input_template_keeps_to_the_contract() {
    let template = input_template();
    assert!(template.len() <= 8_192, "the longest that a pipe takes");
    let inside = |path: &str| path.strip_prefix("$.dynamodb.NewImage").map(str::to_owned);
    for (_, path, quoted) in places(&template) {
        let inside = inside(path).unwrap_or_else(|| panic!("{path}"));
        let Some((name, kind)) = inside.trim_start_matches('.').split_once('.') else {
            assert!(inside.is_empty() && !quoted, "the whole image, as JSON: {path}");
            continue;
        };
        assert!(CONTRACT.contains(&(name, kind)), "{path}");
        if quoted {
            assert!(CLOSED.contains(&name), "{name} may hold a quote, which is not escaped there");
        } else {
            assert!(ALWAYS.contains(&name), "{name} may be missing, and leave no JSON behind");
        }
    }
    for item in journal().await {
        for (name, value) in &item {
            let kind = typed(value).as_object().unwrap().keys().next().unwrap().clone();
            assert!(CONTRACT.contains(&(name, kind.as_str())), "{name} {kind}");
        }
        for name in ALWAYS {
            assert!(item.contains_key(name), "{name}: {item:?}");
        }
        for name in CLOSED.iter().filter_map(|name| item.get(*name)?.as_str()) {
            assert!(!name.contains(['"', '\\', '<']), "{name}");
        }
    }
}

#[tokio::test]
async fn the_example_rules_find_leavers_and_nobody_else() {
    let rules = nested("example-rule.yaml");
    let parameters = nested("events.yaml");
    let target =
        parameters.at("Resources/Pipe/Properties/TargetParameters/EventBridgeEventBusParameters");
    let mut leavers = 0;
    let items = journal().await;
    for rule in ["LeaversToQueue", "LeaversToWebhook"] {
        let pattern = rules.at(&format!("Resources/{rule}/Properties/EventPattern")).json();
        for item in &items {
            let event = json!({
                "source": target.text("Source"), "detail-type": target.text("DetailType"),
                "detail": detail(&input_template(), &record("INSERT", item)),
            });
            let is_leaver = events(item).contains(&"user.deactivated");
            leavers += usize::from(is_leaver);
            assert_eq!(matches(&pattern, &[&event]), is_leaver, "{rule}: {event}");
        }
    }
    assert_eq!(
        leavers, 4,
        "for each rule one who was disabled and one who was deleted while active"
    );
}

#[test]
fn the_pipe_may_read_the_stream_and_send_and_nothing_else() {
    let template = nested("events.yaml");
    let policies = template.at("Resources/PipeRole/Properties/Policies").items();
    assert_eq!(policies.len(), 1);
    let statements = policies[0].at("PolicyDocument/Statement").items();
    let found: Vec<(Vec<&str>, &str)> =
        statements.iter().map(|s| (s.at("Action").texts(), s.text("Resource"))).collect();
    let stream = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"]
        .map(|action| format!("dynamodb:{action}"));
    let expected = [
        (stream.iter().map(String::as_str).collect(), "!Ref JournalStream"),
        (vec!["events:PutEvents"], "!GetAtt Bus.Arn"),
        (vec!["sqs:SendMessage"], "!GetAtt DeadLetters.Arn"),
    ];
    assert_eq!(found, expected);
    let source = template.at("Resources/Pipe/Properties/SourceParameters/DynamoDBStreamParameters");
    assert_eq!(source.text("DeadLetterConfig/Arn"), "!GetAtt DeadLetters.Arn");
    assert_eq!(source.text("StartingPosition"), "TRIM_HORIZON", "a new pipe misses nothing");
    let age: u32 = source.text("MaximumRecordAgeInSeconds").parse().unwrap();
    assert!(age < 24 * 3_600, "a dead letter must leave time to look at the stream");
    let queue = template.at("Resources/DeadLetters/Properties");
    assert_eq!(queue.text("MessageRetentionPeriod"), "1209600");
    assert_eq!(queue.text("SqsManagedSseEnabled"), "true");
}

/// What `docs/DEPLOY.md` shows of an event.
#[tokio::test]
async fn the_documented_event_is_one_that_is_sent() {
    let text = super::read("docs/DEPLOY.md");
    let block = text.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let shown: Value = serde_json::from_str(block).expect("JSON");
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let items = journal().await;
    let leaver = items.iter().find(|item| events(item).contains(&"user.deactivated")).unwrap();
    let made = detail(&input_template(), &record("INSERT", leaver));
    assert_eq!(names(&shown["detail"]), names(&made));
    assert_eq!(shown["detail"]["events"], made["events"]);
    for (name, value) in shown["detail"]["item"].as_object().unwrap() {
        let kind = value.as_object().unwrap().keys().next();
        let known =
            CONTRACT.iter().any(|(known, of)| *known == name && kind.is_some_and(|k| k == of));
        assert!(known || name == "…", "{name}");
    }
    let patterns = text.split('`').filter(|text| text.starts_with("{\"detail\""));
    let patterns: Vec<Value> = patterns.map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(patterns.len(), 3);
    for pattern in &patterns[..2] {
        assert!(matches(pattern, &[&shown]), "{pattern}");
    }
}
