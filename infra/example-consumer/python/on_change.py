"""The same consumer as a Lambda function behind the journal's stream, or behind a queue on the change bus."""

import json

from boto3.dynamodb.types import TypeDeserializer
from consumer import act

unwrap = TypeDeserializer().deserialize


def handler(event, _context):
    for record in event["Records"]:
        if "body" in record:  # of a queue: what the rule takes from the bus
            item = json.loads(record["body"])["item"]
        elif record["eventName"] == "INSERT":  # of the stream, which also tells of acknowledgements and of expiry
            item = record["dynamodb"]["NewImage"]
        else:
            continue
        act({name: unwrap(value) for name, value in item.items()})
