"""May the person with that userName come in? One strongly consistent GetItem; prints our id of the person, or nothing."""

import os
import sys
import unicodedata

import boto3


def fold(text):
    """Unicode's full case folding of the composed text, composed again; of ASCII, lower case."""
    composed = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", composed.casefold())


def person(directory, tenant, user_name):
    key = "user#" + fold(user_name).replace("%", "%25").replace("#", "%23")
    item = directory.get_item(Key={"tenant": tenant, "key": key}, ConsistentRead=True).get("Item")
    return item if item and item.get("active") is True else None


directory = boto3.resource("dynamodb").Table(os.environ["DIRECTORY_TABLE"])
for user_name in sys.argv[1:]:
    found = person(directory, os.environ["TENANT"], user_name)
    print(found["id"] if found else "")
