//! The Lambda binary, started against a Runtime API of our own on loopback
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).
//!
//! The binary is the test profile's, or the file that `SCIM_BOOTSTRAP` names: the one that `sam build` made.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Longer than any answer takes, shorter than a person's patience.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running function.
pub(super) struct Function {
    process: Child,
    events: mpsc::Sender<Invocation>,
    outcomes: UnboundedReceiver<Outcome>,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
    invoked: u32,
    address: String,
    has_ended: Arc<AtomicBool>,
}

struct Invocation {
    id: String,
    event: String,
    deadline: SystemTime,
}

/// What the function posted.
#[derive(Debug)]
enum Outcome {
    Response { id: String, body: String },
    Error { path: String, body: String },
}

/// What the function answered to an event.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) request_id: String,
    pub(super) status: u64,
    pub(super) headers: Value,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].as_str().unwrap_or_default()
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

impl Function {
    /// Starts it with nothing in its environment but these, and what Lambda itself would set.
    pub(super) fn start(environment: &[(String, String)]) -> Self {
        Self::start_binary(binary(), environment)
    }

    /// As [`Function::start`], another function.
    pub(super) fn start_binary(binary: PathBuf, environment: &[(String, String)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (events, queue) = mpsc::channel();
        let (posted, outcomes) = unbounded_channel();
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&has_ended);
        let queue = Arc::new(Mutex::new(queue));
        std::thread::spawn(move || serve(&listener, &queue, &posted, &ended));

        let mut process = Command::new(binary)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "scim"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let lines = Arc::default();
        let readers = vec![
            collect(process.stdout.take().expect("piped"), Arc::clone(&lines)),
            collect(process.stderr.take().expect("piped"), Arc::clone(&lines)),
        ];
        Self { process, events, outcomes, lines, readers, invoked: 0, address, has_ended }
    }

    /// Hands it an event and waits for the answer to an HTTP request, which has to be of the form that API Gateway
    /// takes.
    pub(super) async fn invoke(&mut self, event: &str) -> Answer {
        self.invoke_within(event, Duration::from_secs(27)).await
    }

    /// The same, with a deadline other than the template's time limit.
    pub(super) async fn invoke_within(&mut self, event: &str, limit: Duration) -> Answer {
        let (request_id, text) = self.post(event, limit).await;
        let answer: Value = serde_json::from_str(&text).expect("the response is JSON");
        let names: Vec<&String> = answer.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["statusCode", "headers", "body", "isBase64Encoded"]);
        assert_eq!(answer["isBase64Encoded"], false);
        for (name, value) in answer["headers"].as_object().expect("an object") {
            assert!(value.is_string(), "{name}: API Gateway takes one text a header");
        }
        Answer {
            request_id,
            status: answer["statusCode"].as_u64().expect("a number"),
            headers: answer["headers"].clone(),
            body: answer["body"].as_str().expect("a text").to_owned(),
        }
    }

    /// Hands it an event and waits for what it posts, whatever that is, but an error.
    pub(super) async fn post(&mut self, event: &str, limit: Duration) -> (String, String) {
        self.invoked += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.invoked);
        let deadline = SystemTime::now() + limit;
        let invocation = Invocation { id: id.clone(), event: event.to_owned(), deadline };
        self.events.send(invocation).expect("the Runtime API runs");
        let outcome = tokio::time::timeout(PATIENCE, self.outcomes.recv()).await;
        match outcome.unwrap_or_else(|_| panic!("no answer to {event:.500}: {:?}", self.lines())) {
            Some(Outcome::Response { id: answered, body }) => {
                assert_eq!(answered, id);
                (id, body)
            }
            Some(Outcome::Error { path, body }) => panic!("{path}: {body}, after {event:.500}"),
            None => panic!("the Runtime API has ended"),
        }
    }

    pub(super) fn is_alive(&mut self) -> bool {
        self.process.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Kilobytes of memory that it occupies, where the operating system says so in Linux's way.
    pub(super) fn memory_kb(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    }

    /// What it has written to standard output and standard error so far.
    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("not poisoned").clone()
    }

    /// Ends it, and hands over everything that it wrote. It has to be alive until now.
    pub(super) fn end(mut self) -> Vec<String> {
        assert!(self.is_alive(), "it has died: {:?}", self.lines());
        if let Ok(outcome) = self.outcomes.try_recv() {
            panic!("posted without having been asked: {outcome:?}");
        }
        self.process.kill().expect("it can be ended");
        self.process.wait().expect("it ends");
        for reader in self.readers.drain(..) {
            reader.join().expect("its output is read");
        }
        self.lines()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // A test that fails must not leave the process behind; one that has ended needs nothing.
        let _ended = self.process.kill();
        let _status = self.process.wait();
        // Wakes the thread that listens, so that it ends, too.
        self.has_ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
    }
}

fn binary() -> PathBuf {
    std::env::var_os("SCIM_BOOTSTRAP")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_bootstrap")), PathBuf::from)
}

fn collect(
    output: impl Read + Send + 'static,
    lines: Arc<Mutex<Vec<String>>>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            lines.lock().expect("not poisoned").push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}

type Queue = Arc<Mutex<mpsc::Receiver<Invocation>>>;

fn serve(
    listener: &TcpListener,
    queue: &Queue,
    posted: &UnboundedSender<Outcome>,
    has_ended: &AtomicBool,
) {
    for connection in listener.incoming().map_while(Result::ok) {
        if has_ended.load(Ordering::SeqCst) {
            return;
        }
        let (queue, posted) = (Arc::clone(queue), posted.clone());
        // Ends with its connection, or when the test drops the queue's other end.
        std::thread::spawn(move || converse(&connection, &queue, &posted));
    }
}

/// One connection: request after request, until it is closed.
fn converse(
    connection: &TcpStream,
    queue: &Queue,
    posted: &UnboundedSender<Outcome>,
) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    loop {
        let (method, path, body) = read_request(&mut reader)?;
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", [_, "runtime", "invocation", "next"]) => {
                let next = queue.lock().ok()?.recv().ok()?;
                writer.write_all(event(&next).as_bytes()).ok()?;
                continue;
            }
            ("POST", [_, "runtime", "invocation", id, "response"]) => {
                posted.send(Outcome::Response { id: (*id).to_owned(), body }).ok()?;
            }
            _ => posted.send(Outcome::Error { path, body }).ok()?,
        }
        let accepted = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
        writer.write_all(accepted).ok()?;
    }
}

fn event(invocation: &Invocation) -> String {
    let deadline = invocation.deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!(
        "HTTP/1.1 200 OK\r\n\
         content-type: application/json\r\n\
         content-length: {}\r\n\
         lambda-runtime-aws-request-id: {}\r\n\
         lambda-runtime-deadline-ms: {}\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:123456789012:function:scim\r\n\
         lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0\r\n\r\n{}",
        invocation.event.len(),
        invocation.id,
        deadline.as_millis(),
        invocation.event,
    )
}

/// Method, path and body; `None` when the connection is closed.
fn read_request(reader: &mut impl BufRead) -> Option<(String, String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        assert_ne!(name.to_ascii_lowercase(), "transfer-encoding", "answers are whole");
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, String::from_utf8_lossy(&body).into_owned()))
}
