//! The body of a bulk request.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::references::shown;
use super::{Bulk, State, Task};
use crate::limits::BULK_OPERATIONS_MAX;
use crate::scim::error::{ErrorKind, ScimError, json_type};

impl Bulk {
    /// Reads a request body. `schemas` is not asked for; member names are taken in any letter case.
    ///
    /// # Errors
    /// For the request as a whole, of which nothing is done then: 400 `invalidSyntax` when it is not of the RFC's form, 400
    /// `invalidValue` when two operations have one bulkId, 413 when it has too many of them.
    pub fn parse(body: &Value) -> Result<Self, ScimError> {
        let Value::Object(members) = body else {
            return Err(malformed(&format!(
                "the body is {} and has to be an object",
                json_type(body)
            )));
        };
        let Some(Value::Array(operations)) = member(members, "Operations") else {
            return Err(malformed("Operations: a bulk request has an array of them"));
        };
        if operations.len() > BULK_OPERATIONS_MAX {
            let detail = format!(
                "the request has {} operations and may have {BULK_OPERATIONS_MAX} (bulk.maxOperations); split it",
                operations.len()
            );
            return Err(ScimError::new(ErrorKind::PayloadTooLarge, detail));
        }
        let tasks = (1_usize..).zip(operations);
        let tasks =
            tasks.map(|(number, one)| task(one).map_err(|error| error.of_operation(number)));
        let tasks: Vec<Task> = tasks.collect::<Result<_, _>>()?;
        let mut creators = HashMap::new();
        let mut seen = HashMap::new();
        for (index, task) in tasks.iter().enumerate() {
            let Some(id) = &task.bulk_id else { continue };
            if let Some(first) = seen.insert(id.as_str(), index) {
                let detail = format!(
                    "bulkId: operation {} has {}, too; each has one of its own",
                    first + 1,
                    shown(id)
                );
                let error = ScimError::new(ErrorKind::InvalidValue, detail);
                return Err(error.of_operation(index + 1));
            }
            if task.creates() {
                creators.insert(id.clone(), index);
            }
        }
        Ok(Self { fail_on_errors: fail_on_errors(members)?, tasks, creators, errors: 0 })
    }
}

fn fail_on_errors(members: &Map<String, Value>) -> Result<Option<usize>, ScimError> {
    match member(members, "failOnErrors") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_u64().filter(|number| *number > 0);
            let number =
                number.ok_or_else(|| malformed("failOnErrors: a whole number from 1 on"))?;
            Ok(Some(usize::try_from(number).unwrap_or(usize::MAX)))
        }
    }
}

fn task(operation: &Value) -> Result<Task, ScimError> {
    let Value::Object(members) = operation else {
        return Err(malformed(&format!("it is {} and has to be an object", json_type(operation))));
    };
    let required = |name: &str| {
        text(members, name)?.ok_or_else(|| malformed(&format!("{name}: it is missing")))
    };
    let method = required("method")?.to_ascii_uppercase();
    let mut data = member(members, "data").cloned().unwrap_or_default();
    if method == "PATCH" && data.is_array() {
        // The example of RFC 7644 §3.7.3 has a PATCH's operations without what is around them.
        data = json!({ "Operations": data });
    }
    Ok(Task {
        method,
        bulk_id: text(members, "bulkId")?.filter(|id| !id.is_empty()),
        version: text(members, "version")?.filter(|version| !version.is_empty()),
        path: required("path")?,
        data,
        waits_for: None,
        state: State::Waiting,
    })
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, ScimError> {
    match member(members, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => {
            Err(malformed(&format!("{name}: it is {} and has to be a string", json_type(other))))
        }
    }
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn malformed(detail: &str) -> ScimError {
    ScimError::new(ErrorKind::InvalidSyntax, detail)
}
