"""Checks what the SAM transform makes of template.yaml: that the API and the schedule call the alias, that a rollout goes
back by itself, and that whatever changes the function publishes a version.

Runs in the environment of .ci/sam.sh, with the transform's own library, without an AWS account.
"""

import json
import logging
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
logging.disable(logging.CRITICAL)

from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

# Functions that do not answer SCIM, and what SAM makes beside them.
OTHERS = ("PortalFunction", "WatchFunction")

problems = []


def expect(what, condition):
    if not condition:
        problems.append(what)


def transformed(code="s3://bucket/one", **parameters):
    with open("template.yaml", encoding="utf-8") as file:
        template = yaml_parse(file.read())
    # What `sam deploy` does.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = code
    resources = Translator({}, Parser()).translate(template, parameter_values=parameters)["Resources"]
    # The others have no alias and no version; the routes of the one that has some are its own.
    return {name: resource for name, resource in resources.items() if not name.startswith(OTHERS)}


def of_type(resources, kind):
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def only(resources, kind):
    found = of_type(resources, kind)
    expect(f"{len(found)} of {kind}, not one", len(found) == 1)
    return next(iter(found.items()))


def version(resources):
    """What makes CloudFormation publish a version: another logical id, or another description."""
    name, resource = only(resources, "AWS::Lambda::Version")
    return name, json.dumps(resource["Properties"]["Description"])


resources = transformed()
alias_name, alias = only(resources, "AWS::Lambda::Alias")
alias_ref = {"Ref": alias_name}

api = json.dumps(only(resources, "AWS::ApiGatewayV2::Api")[1])
expect("the API calls the alias", api.count(f"functions/${{{alias_name}}}/invocations") == 1)
expect("the portal has four routes", api.count("functions/${PortalFunction.Arn}/invocations") == 4)
expect("and nothing else is called", api.count("/invocations") == 5)
_, schedule = only(resources, "AWS::Events::Rule")
expect("the schedule calls the alias", [t["Arn"] for t in schedule["Properties"]["Targets"]] == [alias_ref])
permissions = of_type(resources, "AWS::Lambda::Permission")
expect("two may call", len(permissions) == 2)
for name, permission in permissions.items():
    expect(f"{name} is for the alias", permission["Properties"]["FunctionName"] == alias_ref)
_, invoke = only(resources, "AWS::Lambda::EventInvokeConfig")
expect("the schedule's retries are the alias's", invoke["Properties"]["Qualifier"] == alias["Properties"]["Name"])

version_name, published = only(resources, "AWS::Lambda::Version")
expect("the alias is for the version", alias["Properties"]["FunctionVersion"] == {"Fn::GetAtt": [version_name, "Version"]})
for policy in ["DeletionPolicy", "UpdateReplacePolicy"]:
    expect(f"versions stay ({policy})", published.get(policy) == "Retain")

group_name, group = only(resources, "AWS::CodeDeploy::DeploymentGroup")
policy = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
expect("the alias moves by the group", policy["DeploymentGroupName"] == {"Ref": group_name})
events = group["Properties"]["AutoRollbackConfiguration"]
expect("it goes back", events["Enabled"] and "DEPLOYMENT_STOP_ON_ALARM" in events["Events"])
alarms = group["Properties"]["AlarmConfiguration"]["Fn::If"]
expect("on both alarms, unless at once", alarms[0] == "IsGradual" and alarms[1]["Enabled"] and alarms[2] == {})
for alarm in alarms[1]["Alarms"]:
    name = alarm["Name"]["Ref"]
    expect(f"{name} is an alarm", resources[name]["Type"] == "AWS::CloudWatch::Alarm")
expect("there are two of them", len(alarms[1]["Alarms"]) == 2)
for rollout in ["AllAtOnce", "Canary10Percent30Minutes", "Linear10PercentEvery1Minute"]:
    _, group = only(transformed(Rollout=rollout), "AWS::CodeDeploy::DeploymentGroup")
    config = json.dumps(group["Properties"]["DeploymentConfigName"])
    expect(f"{rollout} is CodeDeploy's", "CodeDeployDefault.Lambda" in config and rollout in config)

expect("new code is a new version", version(transformed(code="s3://bucket/two"))[0] != version(resources)[0])
# The library leaves references to parameters as they are, in the version's hash as well: hence the description.
expect("the values of parameters are not in the hash", version(transformed(LogLevel="debug")) == version(resources))
expect("but in the description", "${LogLevel}" in version(resources)[1])

for problem in problems:
    print(f"template.yaml, transformed: not so: {problem}", file=sys.stderr)
print(f"{len(resources)} resources")
sys.exit(1 if problems else 0)
