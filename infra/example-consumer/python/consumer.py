"""Closes the account and ends the sessions of a person who may not come in any more. Start it every few seconds.

It reads the journal of TENANT behind the stored position, writes what it finds into the app's own database, acknowledges
what had to be done, and stores the position. Killed anywhere and started again, it does what is missing.
"""

import os
import sqlite3
import time
from datetime import datetime, timezone

import boto3
from boto3.dynamodb.conditions import Attr, Key

ACCOUNT = """INSERT INTO accounts (id, name, open, version) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    name = COALESCE(NULLIF(excluded.name, ''), accounts.name), open = excluded.open, version = excluded.version
    WHERE excluded.version > accounts.version"""
SESSIONS = "DELETE FROM sessions WHERE account = ? AND NOT (SELECT open FROM accounts WHERE id = account)"
POSITION = "INSERT INTO positions (tenant, at) VALUES (?, ?) ON CONFLICT (tenant) DO UPDATE SET at = excluded.at"

journal = boto3.resource("dynamodb").Table(os.environ["JOURNAL_TABLE"])
app = sqlite3.connect(os.environ["APP_DATABASE"], timeout=30)


def act(change):
    if change.get("kind") == "User" and "active" in change:
        name = change.get("userName", "")  # not there once the person was erased from the journal
        with app:  # one transaction
            app.execute(ACCOUNT, (change["id"], name, change["active"], int(change["version"])))
            app.execute(SESSIONS, (change["id"],))
    if "user.deactivated" in change.get("events", []):
        try:
            journal.update_item(
                Key={"tenant": change["tenant"], "at": change["at"]},
                UpdateExpression="SET acknowledged = :now, acknowledgedBy = :app",
                ConditionExpression=Attr("at").exists() & Attr("acknowledged").not_exists(),
                ExpressionAttributeValues={":now": datetime.now(timezone.utc).isoformat(), ":app": "example-consumer"},
            )
        except journal.meta.client.exceptions.ConditionalCheckFailedException:
            pass  # acknowledged before, or expired


def changes(tenant, settle):
    row = app.execute("SELECT at FROM positions WHERE tenant = ?", (tenant,)).fetchone()
    after = (row[0] if row else "") + "0"  # just behind that item; without one, before all
    ms = int((time.time() - settle) * 1000)
    settled = max(after, f"{ms >> 16:08x}-{ms & 0xFFFF:04x}")  # how a uuid v7 of that moment begins
    query = {"KeyConditionExpression": Key("tenant").eq(tenant) & Key("at").between(after, settled), "ConsistentRead": True}
    page = journal.query(**query)
    yield from page["Items"]
    while "LastEvaluatedKey" in page:
        page = journal.query(**query, ExclusiveStartKey=page["LastEvaluatedKey"])
        yield from page["Items"]


if __name__ == "__main__":
    for change in changes(os.environ["TENANT"], float(os.environ.get("SETTLE_SECONDS", "15"))):
        act(change)
        with app:
            app.execute(POSITION, (change["tenant"], change["at"]))
        print(change["at"], *change.get("events", []), flush=True)
