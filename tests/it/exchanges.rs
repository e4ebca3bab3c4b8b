//! Runs the recorded conversations in `tests/exchanges/**.http`: what an identity provider sends, byte
//! for byte, and what this server has to answer. `tests/exchanges/README.md` describes the format.
//!
//! Without further settings each file talks to a fresh in-process server with an empty store. With
//! `SCIM_BASE_URL` (`https://…/scim/v2`, no trailing slash needed) and `SCIM_TOKEN` in the environment
//! the same files go to a deployed endpoint, through the `curl` program:
//!
//! * The token's tenant has to be empty and used for nothing else, because the files keep their real
//!   user names and count whole lists. Files run one at a time, and what a file created is deleted when
//!   the file ends, so that the next one finds the tenant empty again.
//! * Files that name `{other_token}` need a second such tenant in `SCIM_OTHER_TOKEN`, those that name
//!   `{reader_token}`, `{domain_token}` or `{schemas_token}` one in `SCIM_READER_TOKEN`, `SCIM_DOMAIN_TOKEN` or
//!   `SCIM_SCHEMAS_TOKEN`;
//!   without it they are left out, and a line on standard error says so.
//! * A GET that mentions `externalId` is repeated for a few seconds before it counts as failed: that
//!   index is eventually consistent there. Nothing else is repeated.
//!
//! `UPDATE_EXPECT=1` (in-process only) writes the status and body that arrived into the files, in place
//! of the expectations that failed. Expected headers and the rules for every answer it never touches:
//! those still fail.
//!
//! What holds for every answer, whatever the file says, is in [`always`]; the rest of this module's
//! parts are `script` (reading a file), `pattern` (comparing), `rewrite` (`UPDATE_EXPECT`) and
//! `endpoint` (sending).

mod endpoint;
mod pattern;
mod rewrite;
mod script;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::app::Answer;
use endpoint::{Deployment, Endpoint, FURTHER_TOKENS, header};
use pattern::Names;
use script::{Script, Step};

/// One test a directory of `tests/exchanges`. The number is that of the files in it when this line was
/// last looked at: with fewer, something has been lost.
macro_rules! directories {
    ($($name:ident: $at_least:expr,)+) => {
        const DIRECTORIES: &[&str] = &[$(stringify!($name)),+];

        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let failures = run_directory(stringify!($name), $at_least).await;
            assert!(failures.is_empty(), "\n{}\n", failures.join("\n\n"));
        })+
    };
}

directories! {
    entra: 84,
    okta: 8,
    pingone: 5,
    jumpcloud: 5,
    onelogin: 5,
    rippling: 2,
    google: 1,
    rfc: 51,
}

/// How often, and how far apart, a deployed endpoint is asked again for an `externalId`.
const LAGGING_INDEX_TRIES: u32 = 6;
const LAGGING_INDEX_PAUSE: Duration = Duration::from_secs(1);

const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// A deployed endpoint has one tenant for all files, so they take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A directory that no test runs would prove nothing.
#[test]
fn every_directory_is_run() {
    let found: BTreeSet<String> = std::fs::read_dir(root())
        .expect("tests/exchanges is there")
        .map(|entry| entry.expect("it can be listed"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let run: BTreeSet<String> = DIRECTORIES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, run);
}

async fn run_directory(directory: &str, at_least: usize) -> Vec<String> {
    let (files, deployment) = match (files_of(directory, at_least), Deployment::from_environment())
    {
        (Ok(files), Ok(deployment)) => (files, deployment),
        (Err(problem), _) | (_, Err(problem)) => return vec![problem],
    };
    let mut failures = Vec::new();
    for file in &files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                failures.push(format!("{}: {error}", file.display()));
                continue;
            }
        };
        let label = label_of(file);
        match Script::parse(&label, &text) {
            Ok(script) => {
                failures.extend(run_script(file, &text, script, deployment.as_ref()).await);
            }
            Err(problem) => failures.push(problem),
        }
    }
    failures
}

/// What is wrong with a recorded conversation when it is played again, on an empty store.
pub(crate) async fn replay(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("the record is read");
    let label = file.file_name().expect("it has a name").to_string_lossy();
    match Script::parse(&label, &text) {
        Ok(script) => run_script(file, &text, script, None).await,
        Err(problem) => vec![problem],
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("exchanges")
}

/// `entra/disable-user.http`, as the first line of the file has to say, too.
fn label_of(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).to_string_lossy().replace('\\', "/")
}

fn files_of(directory: &str, at_least: usize) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(root().join(directory))
        .map_err(|error| format!("tests/exchanges/{directory}: {error}"))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("tests/exchanges/{directory}: {error}"))?.path();
        if path.extension().is_some_and(|extension| extension == "http") {
            files.push(path);
        } else {
            return Err(format!(
                "{} is not an exchange: only *.http belongs there",
                path.display()
            ));
        }
    }
    files.sort();
    if files.len() < at_least {
        return Err(format!(
            "tests/exchanges/{directory} holds {} files, but {at_least} at least were expected",
            files.len()
        ));
    }
    Ok(files)
}

/// Runs one file against an endpoint of its own (or its turn at the deployed one).
async fn run_script(
    file: &Path,
    text: &str,
    script: Script,
    deployment: Option<&Deployment>,
) -> Vec<String> {
    let _turn = match deployment {
        Some(_) => Some(TURN.lock().await),
        None => None,
    };
    let endpoint = match deployment {
        Some(deployed) => Endpoint::deployed(deployed),
        None => Endpoint::in_process().await,
    };
    let mut names = Names::new();
    names.bind("base", &endpoint.base_url());
    names.bind("token", &endpoint.token());
    for (name, variable) in FURTHER_TOKENS {
        if !text.contains(&format!("{{{name}}}")) {
            continue;
        }
        let Some(token) = endpoint.token_named(name).await else {
            note(&format!("{}: left out, {variable} is not set", script.label));
            return Vec::new();
        };
        names.bind(name, &token);
    }

    let mut run = Run { endpoint, names, created: Vec::new(), edits: rewrite::Edits::default() };
    let mut failures = Vec::new();
    for step in &script.steps {
        if let Err(problem) = run.step(step).await {
            failures.push(format!(
                "{}:{}: step \"{}\"\n{problem}",
                script.label, step.expected.line, step.name
            ));
        }
    }
    failures.extend(run.finish(file, text).await);
    failures
}

/// Standard error without the print macros: the harness would swallow those when the test passes.
fn note(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}

/// One file under way.
struct Run {
    endpoint: Endpoint,
    names: Names,
    /// What a deployed endpoint has to be rid of afterwards: target and `Authorization`.
    created: Vec<(String, String)>,
    edits: rewrite::Edits,
}

impl Run {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let request = step.request.fill(&self.names)?;
        let patient = self.endpoint.is_deployed()
            && request.method == "GET"
            && request.target.to_ascii_lowercase().contains("externalid");
        let tries = if patient { LAGGING_INDEX_TRIES } else { 1 };
        for attempt in 1..=tries {
            let answer = self.endpoint.send(&request).await?;
            let mut names = self.names.clone();
            let verdict = compare(step, &answer, &mut names);
            if verdict.is_ok() || attempt == tries {
                self.names = names;
                self.remember(&request, &answer);
                return verdict.or_else(|problems| self.fail(step, &request, &answer, problems));
            }
            tokio::time::sleep(LAGGING_INDEX_PAUSE).await;
        }
        Ok(())
    }

    /// With `UPDATE_EXPECT` a difference becomes an edit, and only what no edit can mend is a failure.
    fn fail(
        &mut self,
        step: &Step,
        request: &script::Request,
        answer: &Answer,
        mut problems: Problems,
    ) -> Result<(), String> {
        if rewrite::wanted() && !self.endpoint.is_deployed() {
            problems.rewritable.clear();
            self.edits.add(step, answer, &self.names);
        }
        let mut lines: Vec<String> = problems.rewritable;
        lines.extend(problems.firm);
        if lines.is_empty() {
            return Ok(());
        }
        let body: String = String::from_utf8_lossy(&answer.body).chars().take(1_500).collect();
        lines.insert(0, format!("sent    {} {}", request.method, request.target));
        lines.push(format!("arrived {} {body}", answer.status));
        Err(lines.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n"))
    }

    fn remember(&mut self, request: &script::Request, answer: &Answer) {
        let base = self.endpoint.base_url();
        let target = header(&answer.headers, "Location").and_then(|at| at.strip_prefix(&base));
        if let (201, Some(target)) = (answer.status, target) {
            let authorization = header(&request.headers, "Authorization").unwrap_or_default();
            self.created.push((target.to_owned(), authorization.to_owned()));
        }
    }

    /// Writes the edits, and leaves a deployed tenant as empty as it was.
    async fn finish(self, file: &Path, text: &str) -> Option<String> {
        if self.endpoint.is_deployed() {
            for (target, authorization) in self.created.iter().rev() {
                let request = script::Request {
                    method: "DELETE".to_owned(),
                    target: target.clone(),
                    headers: vec![("Authorization".to_owned(), authorization.clone())],
                    body: None,
                };
                // Most files delete some of what they made: a 404 here is as good as a 204.
                if let Err(problem) = self.endpoint.send(&request).await {
                    return Some(format!("{}: cleaning up {target}: {problem}", file.display()));
                }
            }
        }
        self.edits.write(file, text).err()
    }
}

/// What is wrong with an answer: against the file, and against the rules for every answer.
#[derive(Default)]
struct Problems {
    /// `UPDATE_EXPECT` can mend these.
    rewritable: Vec<String>,
    firm: Vec<String>,
}

fn compare(step: &Step, answer: &Answer, names: &mut Names) -> Result<(), Problems> {
    let mut problems = Problems { firm: always(answer), ..Problems::default() };
    let expected = &step.expected;
    if answer.status != expected.status {
        problems
            .rewritable
            .push(format!("status: expected {}, arrived {}", expected.status, answer.status));
    }
    for (name, wanted) in &expected.headers {
        if let Err(problem) = pattern::header(name, wanted, header(&answer.headers, name), names) {
            problems.firm.push(problem);
        }
    }
    match (&expected.body, serde_json::from_slice::<Value>(&answer.body)) {
        (None, _) if answer.body.is_empty() => {}
        (None, _) => problems.rewritable.push("body: expected none, but one arrived".to_owned()),
        (Some(_), Err(_)) => {
            problems.rewritable.push("body: expected JSON, arrived none".to_owned());
        }
        (Some(wanted), Ok(body)) => problems.rewritable.extend(pattern::body(wanted, &body, names)),
    }
    if problems.rewritable.is_empty() && problems.firm.is_empty() { Ok(()) } else { Err(problems) }
}

/// The rules for every answer (RFC 7644 §3.1, §3.12, §3.14; RFC 9110 §15.3.5, §15.4.5).
fn always(answer: &Answer) -> Vec<String> {
    let mut problems = Vec::new();
    if answer.body.is_empty() {
        if answer.status >= 400 {
            problems.push("an error without a body".to_owned());
        }
        return problems;
    }
    if matches!(answer.status, 204 | 304) {
        problems.push(format!("a body with status {}", answer.status));
    }
    let content_type = header(&answer.headers, "Content-Type");
    if content_type != Some("application/scim+json") {
        problems.push(format!(
            "Content-Type: expected exactly application/scim+json, arrived {content_type:?}"
        ));
    }
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        problems.push("the body is not JSON".to_owned());
        return problems;
    };
    for (name, member) in
        [("Location", "location"), ("Content-Location", "location"), ("ETag", "version")]
    {
        let in_body = body.get("meta").and_then(|meta| meta.get(member)).and_then(Value::as_str);
        let Some(told) = in_body else { continue };
        // RFC 7643 §3.1: these two are on every answer that shows one resource. The first is for what is new.
        match header(&answer.headers, name) {
            None if name == "Location" && answer.status != 201 => {}
            Some(sent) if sent == told => {}
            sent => problems.push(format!("{name} is {sent:?}, but meta.{member} is {told}")),
        }
    }
    if answer.status >= 400 {
        problems.extend(error_problems(answer.status, &body));
    }
    problems
}

/// RFC 7644 §3.12: the Error schema, `status` as a string; and our own promise, a `detail` for people.
fn error_problems(status: u16, body: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if body.get("schemas") != Some(&Value::from(vec![ERROR_SCHEMA])) {
        problems.push(format!("an error has to say \"schemas\": [\"{ERROR_SCHEMA}\"]"));
    }
    if body.get("status") != Some(&Value::from(status.to_string())) {
        problems.push(format!("an error has to repeat its status as the string \"{status}\""));
    }
    if body.get("detail").and_then(Value::as_str).is_none_or(|detail| detail.trim().is_empty()) {
        problems.push("an error has to carry a detail".to_owned());
    }
    problems
}
