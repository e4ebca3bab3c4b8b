// Closes the account and ends the sessions of a person who may not come in any more. Start it every few seconds.
//
// It reads the journal of TENANT behind the stored position, writes what it finds into the app's own database, acknowledges
// what had to be done, and stores the position. Killed anywhere and started again, it does what is missing.

import { ConditionalCheckFailedException, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocument, paginateQuery } from "@aws-sdk/lib-dynamodb";
import sqlite from "node-sqlite3-wasm";

const ACCOUNT = `INSERT INTO accounts (id, name, open, version) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
  name = COALESCE(NULLIF(excluded.name, ''), accounts.name), open = excluded.open, version = excluded.version
  WHERE excluded.version > accounts.version`;
const SESSIONS = "DELETE FROM sessions WHERE account = ? AND NOT (SELECT open FROM accounts WHERE id = account)";
const POSITION = "INSERT INTO positions (tenant, at) VALUES (?, ?) ON CONFLICT (tenant) DO UPDATE SET at = excluded.at";

const { TENANT: tenant, JOURNAL_TABLE: TableName, APP_DATABASE, SETTLE_SECONDS = "15" } = process.env;
const journal = DynamoDBDocument.from(new DynamoDBClient());
const app = new sqlite.Database(APP_DATABASE);

const row = app.get("SELECT at FROM positions WHERE tenant = ?", tenant);
const after = (row ? String(row.at) : "") + "0"; // just behind that item; without one, before all
const ms = Math.trunc(Date.now() - Number(SETTLE_SECONDS) * 1000).toString(16).padStart(12, "0");
const settled = `${ms.slice(0, 8)}-${ms.slice(8)}`; // how a uuid v7 of that moment begins

const pages = paginateQuery({ client: journal }, {
  TableName,
  KeyConditionExpression: "tenant = :tenant AND #at BETWEEN :after AND :settled",
  ExpressionAttributeNames: { "#at": "at" },
  ExpressionAttributeValues: { ":tenant": tenant, ":after": after, ":settled": settled > after ? settled : after },
  ConsistentRead: true,
});
for await (const page of pages) {
  for (const change of page.Items ?? []) {
    if (change.kind === "User" && "active" in change) {
      const name = change.userName ?? ""; // not there once the person was erased from the journal
      app.exec("BEGIN IMMEDIATE");
      app.run(ACCOUNT, [change.id, name, change.active, change.version]);
      app.run(SESSIONS, change.id);
      app.exec("COMMIT");
    }
    if (change.events?.includes("user.deactivated")) {
      await journal.update({
        TableName,
        Key: { tenant, at: change.at },
        UpdateExpression: "SET acknowledged = :now, acknowledgedBy = :app",
        ConditionExpression: "attribute_exists(#at) AND attribute_not_exists(acknowledged)",
        ExpressionAttributeNames: { "#at": "at" },
        ExpressionAttributeValues: { ":now": new Date().toISOString(), ":app": "example-consumer" },
      }).catch((error) => { // acknowledged before, or expired
        if (!(error instanceof ConditionalCheckFailedException)) throw error;
      });
    }
    app.run(POSITION, [tenant, change.at]);
    console.log(change.at, ...(change.events ?? []));
  }
}
