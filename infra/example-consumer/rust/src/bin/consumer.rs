//! Closes the account and ends the sessions of a person who may not come in any more. Start it every few seconds.
//!
//! It reads the journal of TENANT behind the stored position, writes what it finds into the app's own database,
//! acknowledges what had to be done, and stores the position. Killed anywhere and started again, it does what is missing.

use std::collections::HashMap;
use std::env::var;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use aws_sdk_dynamodb::types::AttributeValue;
use rusqlite::{Connection, OptionalExtension, params};

type Failure = Box<dyn std::error::Error>;

const ACCOUNT: &str = "INSERT INTO accounts (id, name, open, version) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    name = COALESCE(NULLIF(excluded.name, ''), accounts.name), open = excluded.open, version = excluded.version
    WHERE excluded.version > accounts.version";
const SESSIONS: &str =
    "DELETE FROM sessions WHERE account = ? AND NOT (SELECT open FROM accounts WHERE id = account)";
const POSITION: &str = "INSERT INTO positions (tenant, at) VALUES (?, ?) ON CONFLICT (tenant) DO UPDATE SET at = excluded.at";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let (tenant, table) = (var("TENANT")?, var("JOURNAL_TABLE")?);
    let settle: f64 = var("SETTLE_SECONDS").map_or(Ok(15.0), |text| text.parse())?;
    let journal = Client::new(&aws_config::load_from_env().await);
    let mut app = Connection::open(var("APP_DATABASE")?)?;

    let position = "SELECT at FROM positions WHERE tenant = ?";
    let position: Option<String> =
        app.query_row(position, [&tenant], |row| row.get(0)).optional()?;
    let after = position.unwrap_or_default() + "0"; // just behind that item; without one, before all
    let ms = (SystemTime::now() - Duration::from_secs_f64(settle))
        .duration_since(UNIX_EPOCH)?
        .as_millis();
    let settled = format!("{:08x}-{:04x}", ms >> 16, ms & 0xffff); // how a uuid v7 of that moment begins

    let mut changes = journal
        .query()
        .table_name(&table)
        .key_condition_expression("tenant = :tenant AND #at BETWEEN :after AND :settled")
        .expression_attribute_names("#at", "at")
        .expression_attribute_values(":tenant", text(&tenant))
        .expression_attribute_values(":settled", text(after.as_str().max(&settled)))
        .expression_attribute_values(":after", text(&after))
        .consistent_read(true)
        .into_paginator()
        .items()
        .send();
    while let Some(change) = changes.try_next().await? {
        let (events, at) =
            (change.get("events").and_then(|events| events.as_l().ok()), &change["at"]);
        let is = |event: &str| events.is_some_and(|events| events.contains(&text(event)));
        if let (Some("User"), Some(open)) = (string(&change, "kind"), change.get("active")) {
            // No name is there once the person was erased from the journal.
            let (id, name) =
                (string(&change, "id"), string(&change, "userName").unwrap_or_default());
            let open = open.as_bool().map_err(wrong)?;
            let version: i64 = change["version"].as_n().map_err(wrong)?.parse()?;
            let transaction = app.transaction()?;
            transaction.execute(ACCOUNT, params![id, name, open, version])?;
            transaction.execute(SESSIONS, [id])?;
            transaction.commit()?;
        }
        if is("user.deactivated") {
            let now = DateTime::from(SystemTime::now()).fmt(DateTimeFormat::DateTime)?;
            let noted = journal
                .update_item()
                .table_name(&table)
                .key("tenant", text(&tenant))
                .key("at", at.clone())
                .update_expression("SET acknowledged = :now, acknowledgedBy = :app")
                .condition_expression(
                    "attribute_exists(#at) AND attribute_not_exists(acknowledged)",
                )
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":now", text(&now))
                .expression_attribute_values(":app", text("example-consumer"))
                .send()
                .await
                .map_err(aws_sdk_dynamodb::Error::from);
            match noted {
                Ok(_) | Err(aws_sdk_dynamodb::Error::ConditionalCheckFailedException(_)) => {} // or before, or expired
                Err(error) => return Err(error.into()),
            }
        }
        app.execute(POSITION, params![tenant, string(&change, "at")])?;
        println!("{} {events:?}", string(&change, "at").unwrap_or_default());
    }
    Ok(())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn string<'a>(change: &'a HashMap<String, AttributeValue>, name: &str) -> Option<&'a str> {
    change.get(name)?.as_s().ok().map(String::as_str)
}

fn wrong(value: &AttributeValue) -> String {
    format!("not what the contract says: {value:?}")
}
