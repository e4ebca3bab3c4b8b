//! A new version takes over gradually, whatever makes it new, and goes back when it fails. What SAM makes of this,
//! `.ci/transformed.py` checks.

use std::collections::BTreeSet;

use super::{template, yaml::Yaml};

/// The parameters that a value refers to.
fn parameters_in(value: &Yaml, parameters: &BTreeSet<&str>, found: &mut BTreeSet<String>) {
    match value {
        Yaml::Map(members) => {
            for (_, value) in members {
                parameters_in(value, parameters, found);
            }
        }
        Yaml::List(items) => {
            for item in items {
                parameters_in(item, parameters, found);
            }
        }
        Yaml::Text(text) => {
            let is_name = |c: char| c.is_ascii_alphanumeric();
            let words = text.split(|c: char| !is_name(c));
            found.extend(words.filter(|word| parameters.contains(word)).map(str::to_owned));
        }
    }
}

/// A version never changes, and SAM does not see that a parameter's value has: the description makes the new one.
#[test]
fn each_parameter_of_the_function_makes_a_new_version() {
    let template = template();
    let parameters: BTreeSet<&str> = template.at("Parameters").names().into_iter().collect();
    let function = template.at("Resources/Function/Properties");
    let mut used = BTreeSet::new();
    for name in
        ["Architectures", "MemorySize", "Timeout", "Environment", "LoggingConfig", "Runtime"]
    {
        parameters_in(function.at(name), &parameters, &mut used);
    }
    assert!(used.len() > 8, "{used:?}");
    let mut described = BTreeSet::new();
    parameters_in(function.at("VersionDescription"), &parameters, &mut described);
    assert_eq!(described, used);
    // Lambda publishes nothing when nothing has changed.
    assert_eq!(function.text("Description"), function.text("VersionDescription"));
    let others =
        ["CodeUri", "Role", "EventInvokeConfig", "DeploymentPreference", "Events", "Handler"];
    let known = function.names().into_iter().filter(|name| !others.contains(name));
    let known: BTreeSet<&str> = known.collect();
    let expected = [
        "Architectures",
        "AutoPublishAlias",
        "AutoPublishAliasAllProperties",
        "Description",
        "Environment",
        "LoggingConfig",
        "MemorySize",
        "Runtime",
        "Timeout",
        "VersionDescription",
    ];
    assert_eq!(known, expected.into(), "a new property may have a parameter");
}

#[test]
fn a_rollout_goes_back_when_the_function_fails() {
    let template = template();
    let function = template.at("Resources/Function/Properties");
    assert_eq!(function.text("AutoPublishAlias"), "live");
    assert_eq!(function.text("AutoPublishAliasAllProperties"), "true");
    assert_eq!(function.text("DeploymentPreference/Type"), "!Ref Rollout");
    let alarms =
        "!If [IsGradual, [!Ref RolloutCrashes, !Ref RolloutFailures], [!Ref AWS::NoValue]]";
    assert_eq!(function.text("DeploymentPreference/Alarms"), alarms);
    for name in ["RolloutCrashes", "RolloutFailures"] {
        let alarm = template.at(&format!("Resources/{name}"));
        assert_eq!(alarm.text("Type"), "AWS::CloudWatch::Alarm");
        assert_eq!(alarm.text("Condition"), "", "they are there without AlarmEmail, too");
        assert_eq!(
            alarm.text("Properties/TreatMissingData"),
            "notBreaching",
            "silence is no failure"
        );
        let period: u32 = alarm.text("Properties/Period").parse().unwrap();
        assert!(period <= 60, "the shortest rollout is five minutes");
    }
    let dimensions = template.at("Resources/RolloutCrashes/Properties/Dimensions").items();
    assert_eq!(dimensions[1].text("Value"), "!Sub \"${Function}:live\"", "the alias by its text");
    let filter = template.at("Resources/ServerFailed/Properties");
    let metric = &filter.at("MetricTransformations").items()[0];
    let alarm = template.at("Resources/RolloutFailures/Properties");
    for (of_filter, of_alarm) in [("MetricNamespace", "Namespace"), ("MetricName", "MetricName")] {
        assert_eq!(metric.text(of_filter), alarm.text(of_alarm));
    }
    let rollouts = template.at("Parameters/Rollout/AllowedValues").texts();
    assert!(
        rollouts.contains(&template.text("Parameters/Rollout/Default"))
            && rollouts[0] == "AllAtOnce"
    );
}
