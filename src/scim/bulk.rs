//! Bulk requests (RFC 7644 §3.7): what one asks for, in which order that can be done, and what is answered.
//!
//! A [`Bulk`] hands out one [`Step`] after the other and is told what became of each. Operations come in the order of the
//! request, but for those that refer to a resource which a later one creates: these wait for it (§3.7.1). Where resources
//! refer to each other in a circle, one of them is created without the reference and gets it in a PATCH of our own when
//! the others are there. It never does anything by itself.

mod references;
mod request;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use self::references::{Reference, Unresolved, resolve, split};
use super::error::{ErrorKind, ScimError};
use super::{etag, well_known};

/// A bulk request on its way.
#[derive(Debug)]
pub struct Bulk {
    fail_on_errors: Option<usize>,
    tasks: Vec<Task>,
    /// Which operation creates the resource of a bulkId.
    creators: HashMap<String, usize>,
    errors: usize,
}

/// An operation, and how far it is.
#[derive(Debug)]
struct Task {
    method: String,
    bulk_id: Option<String>,
    version: Option<String>,
    path: String,
    data: Value,
    /// An operation that it has been seen to wait for.
    waits_for: Option<usize>,
    state: State,
}

/// How far an operation is.
#[derive(Debug)]
enum State {
    /// It has not been handed out.
    Waiting,
    /// Its resource is there, and what it refers to is not: what is missing of it.
    Incomplete(Done, Value),
    /// It is done.
    Done(Done),
    /// It failed; so did its resource's creation, or what was to be done afterwards (then there is a location).
    Failed(ScimError, Option<Done>),
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The HTTP status.
    pub status: u16,
    /// The id of the resource.
    pub id: String,
    /// Its address.
    pub location: String,
    /// Its version, unless it is gone.
    pub version: Option<u64>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The number of the operation, from 0.
    index: usize,
    /// The HTTP method.
    pub method: String,
    /// The path below the root of SCIM.
    pub path: String,
    /// The version that the resource has to be at.
    pub version: Option<String>,
    /// The body; null where there is none.
    pub data: Value,
    /// What is left out of the body and comes later.
    rest: Option<Value>,
}

impl Bulk {
    /// What is to be done next; `None` when everything is, or as many errors have come as the client wants.
    pub fn next_step(&mut self) -> Option<Step> {
        loop {
            if self.fail_on_errors.is_some_and(|most| self.errors >= most) {
                self.leave("the request ends before, after as many errors as failOnErrors says");
                return None;
            }
            let open = (0..self.tasks.len()).find_map(|index| self.ready(index));
            match open.or_else(|| self.circle()) {
                None => return None,
                Some(Ok(step)) => return Some(step),
                Some(Err((index, error))) => self.fail(index, error),
            }
        }
    }

    /// Notes that a step is done.
    pub fn done(&mut self, step: Step, done: Done) {
        let Some(task) = self.tasks.get_mut(step.index) else { return };
        let before = std::mem::replace(&mut task.state, State::Waiting);
        task.state = match (before, step.rest) {
            (State::Incomplete(created, _), _) => {
                State::Done(Done { version: done.version, ..created })
            }
            (_, Some(rest)) => State::Incomplete(done, rest),
            (_, None) => State::Done(done),
        };
    }

    /// Notes that a step failed.
    pub fn failed(&mut self, step: Step, error: ScimError) {
        let waits = |task: &&mut Task| matches!(task.state, State::Waiting);
        if let Some(task) = self.tasks.get_mut(step.index).filter(waits) {
            // With the id that a bulkId stood for.
            task.path = step.path;
        }
        self.fail(step.index, error);
    }

    /// Ends the request: what is not done is answered with this error.
    pub fn stop(&mut self, error: &ScimError) {
        for index in 0..self.tasks.len() {
            match self.tasks.get(index).map(|task| &task.state) {
                Some(State::Waiting | State::Incomplete(..)) => self.fail(index, error.clone()),
                Some(State::Done(_) | State::Failed(..)) | None => {}
            }
        }
    }

    /// The body of the answer (RFC 7644 §3.7): what was done and what failed, in the order of the request. What was not
    /// tried is not in it. `base` is the absolute URL of the SCIM root.
    pub fn response(&self, base: &str) -> Value {
        let operations: Vec<Value> = self.tasks.iter().filter_map(|task| task.told(base)).collect();
        json!({ well_known::SCHEMAS: [well_known::BULK_RESPONSE], "Operations": operations })
    }

    fn fail(&mut self, index: usize, error: ScimError) {
        let Some(task) = self.tasks.get_mut(index) else { return };
        self.errors += 1;
        let before = std::mem::replace(&mut task.state, State::Waiting);
        task.state = match before {
            State::Incomplete(created, _) => State::Failed(incomplete(&error), Some(created)),
            State::Waiting | State::Done(_) | State::Failed(..) => State::Failed(error, None),
        };
    }

    /// Resources that are there without what they refer to are not what was asked for.
    fn leave(&mut self, why: &str) {
        let error = ScimError::new(ErrorKind::Conflict, why);
        for index in 0..self.tasks.len() {
            if matches!(self.tasks.get(index).map(|task| &task.state), Some(State::Incomplete(..)))
            {
                self.fail(index, error.clone());
            }
        }
    }

    /// The step of an operation that can be done now, or why it never can be.
    fn ready(&mut self, index: usize) -> Option<Result<Step, (usize, ScimError)>> {
        let task = self.tasks.get(index)?;
        let waited_for = task.waits_for.and_then(|creator| self.tasks.get(creator));
        if waited_for.is_some_and(|creator| matches!(creator.state, State::Waiting)) {
            // What it refers to is not looked through again before.
            return None;
        }
        let (method, path, data, version) = match &task.state {
            State::Waiting => {
                if let Err(error) = task.sound() {
                    return Some(Err((index, error)));
                }
                (task.method.as_str(), task.path.as_str(), &task.data, task.version.clone())
            }
            State::Incomplete(_, rest) => ("PATCH", "", rest, None),
            State::Done(_) | State::Failed(..) => return None,
        };
        let resolved = resolve(path, data, |id| self.reference(id));
        let (path, data) = match resolved {
            Ok(resolved) => resolved,
            Err(Unresolved::Lost(error)) => return Some(Err((index, error))),
            Err(Unresolved::Open(id)) => {
                let creator = self.creators.get(id).copied();
                self.tasks.get_mut(index)?.waits_for = creator;
                return None;
            }
        };
        let step = match &task.state {
            State::Incomplete(created, _) => Step {
                index,
                method: method.to_owned(),
                path: task.own_path(created),
                version,
                data: json!({
                    well_known::SCHEMAS: [well_known::PATCH_OP],
                    "Operations": [{ "op": "add", well_known::VALUE: data }],
                }),
                rest: None,
            },
            State::Waiting | State::Done(_) | State::Failed(..) => {
                Step { index, method: method.to_owned(), path, version, data, rest: None }
            }
        };
        Some(Ok(step))
    }

    /// The step of an operation that waits for itself: it is done without what it refers to.
    fn circle(&self) -> Option<Result<Step, (usize, ScimError)>> {
        let index = self.waits_for_itself()?;
        let task = self.tasks.get(index)?;
        let (data, rest) = split(&task.data, |id| matches!(self.reference(id), Reference::Open));
        let (path, data) = match resolve(&task.path, &data, |id| self.reference(id)) {
            Ok(resolved) => resolved,
            Err(Unresolved::Lost(error)) => return Some(Err((index, error))),
            Err(Unresolved::Open(_)) => {
                let detail = "path: it refers to what the operation itself is to create";
                return Some(Err((index, ScimError::new(ErrorKind::Conflict, detail))));
            }
        };
        let method = task.method.clone();
        Some(Ok(Step { index, method, path, version: None, data, rest: Some(rest) }))
    }

    /// An operation that is among those that it waits for. Where nothing is ready, everything that waits waits for another
    /// one, so that whoever follows them comes to one for the second time.
    fn waits_for_itself(&self) -> Option<usize> {
        let mut at = self.tasks.iter().position(|task| matches!(task.state, State::Waiting))?;
        let mut seen = vec![false; self.tasks.len()];
        loop {
            let seen = seen.get_mut(at)?;
            if *seen {
                return Some(at);
            }
            *seen = true;
            let task = self.tasks.get(at)?;
            let mut ids = references::of(&task.path, &task.data).into_iter();
            let open = ids.find(|id| matches!(self.reference(id), Reference::Open))?;
            at = *self.creators.get(open)?;
        }
    }

    /// What is known of the resource that a bulkId stands for.
    fn reference(&self, id: &str) -> Reference<'_> {
        let creator = self.creators.get(id).and_then(|index| self.tasks.get(*index));
        match creator.map(|task| &task.state) {
            None => Reference::Lost(lost(id, "no operation of this request creates it")),
            Some(State::Waiting) => Reference::Open,
            Some(State::Incomplete(done, _) | State::Done(done) | State::Failed(_, Some(done))) => {
                Reference::Known(&done.id)
            }
            Some(State::Failed(_, None)) => {
                Reference::Lost(lost(id, "the operation that creates it has failed"))
            }
        }
    }
}

impl Task {
    /// What an operation has to be before it is looked at further.
    fn sound(&self) -> Result<(), ScimError> {
        if !["POST", "PUT", "PATCH", "DELETE"].contains(&self.method.as_str()) {
            let detail = "method: an operation is a POST, PUT, PATCH or DELETE";
            return Err(ScimError::new(ErrorKind::MethodNotAllowed, detail));
        }
        if self.creates() && self.bulk_id.is_none() {
            let detail = "bulkId: a POST needs one, which no other operation of the request has";
            return Err(ScimError::new(ErrorKind::InvalidValue, detail));
        }
        Ok(())
    }

    fn creates(&self) -> bool {
        self.method == "POST"
    }

    /// The path of what it has created.
    fn own_path(&self, created: &Done) -> String {
        format!("{}/{}", self.path.trim_end_matches('/'), created.id)
    }

    /// The operation in the answer; `None` when it was not tried.
    fn told(&self, base: &str) -> Option<Value> {
        let (status, done, error) = match &self.state {
            State::Waiting | State::Incomplete(..) => return None,
            State::Done(done) => (done.status, Some(done), None),
            State::Failed(error, created) => (error.kind().status(), created.as_ref(), Some(error)),
        };
        let mut told = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            told.extend(value.map(|value| (name.to_owned(), value)));
        };
        // RFC 7644 §3.7: always there, unless a POST failed.
        let own =
            || (!self.creates()).then(|| format!("{base}/{}", self.path.trim_start_matches('/')));
        let location = done.map(|done| done.location.clone()).or_else(own);
        put("location", location.map(Value::from));
        put("method", Some(Value::from(self.method.as_str())));
        put("bulkId", self.bulk_id.as_deref().map(Value::from));
        let version = done.and_then(|done| done.version);
        put("version", version.map(|version| Value::from(etag::format(version))));
        put("status", Some(Value::from(status.to_string())));
        put("response", error.map(ScimError::to_value));
        Some(Value::Object(told))
    }
}

/// The refusal of what refers to nothing.
fn lost(id: &str, why: &str) -> ScimError {
    let detail =
        format!("bulkId:{}: {why}, so that nothing can refer to it", references::shown(id));
    ScimError::new(ErrorKind::Conflict, detail)
}

/// The end of a resource that is there without what it refers to.
fn incomplete(error: &ScimError) -> ScimError {
    let detail = format!(
        "the resource is created, but without what it refers to by a bulkId: {}; add that with a PATCH",
        error.detail()
    );
    // What has been created is not to be sent again, whatever kept it from being completed.
    ScimError::new(ErrorKind::Conflict, detail)
}

#[cfg(test)]
mod tests;
