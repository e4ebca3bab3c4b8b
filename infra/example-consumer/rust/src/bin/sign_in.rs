//! May the person with that userName come in? One strongly consistent GetItem; prints our id of the person, or nothing.

use std::collections::HashMap;
use std::env::{args, var};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use unicode_normalization::UnicodeNormalization;

type Failure = Box<dyn std::error::Error>;
type Item = HashMap<String, AttributeValue>;

/// Unicode's full case folding of the composed text, composed again; of ASCII, lower case.
fn fold(text: &str) -> String {
    let composed: String = text.nfc().collect();
    caseless::default_case_fold_str(&composed).nfc().collect()
}

async fn person(directory: &Client, tenant: &str, name: &str) -> Result<Option<Item>, Failure> {
    let key = format!("user#{}", fold(name).replace('%', "%25").replace('#', "%23"));
    let get = directory.get_item().table_name(var("DIRECTORY_TABLE")?).consistent_read(true);
    let key =
        get.key("tenant", AttributeValue::S(tenant.to_owned())).key("key", AttributeValue::S(key));
    let found = key.send().await?.item;
    Ok(found.filter(|item| item.get("active") == Some(&AttributeValue::Bool(true))))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let directory = Client::new(&aws_config::load_from_env().await);
    let tenant = var("TENANT")?;
    for name in args().skip(1) {
        let found = person(&directory, &tenant, &name).await?;
        let id = found.and_then(|item| item["id"].as_s().ok().cloned());
        println!("{}", id.unwrap_or_default());
    }
    Ok(())
}
