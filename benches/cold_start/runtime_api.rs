//! The Runtime API, played on loopback by plain threads, and the process that it drives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// The process goes back to waiting, and the kernel writes down what it has used.
const SETTLE: Duration = Duration::from_millis(2);

/// What the function did.
enum Said {
    /// It asks for an event.
    Next(Instant),
    /// It has answered.
    Answer(Instant, String),
}

/// A running function.
pub(super) struct Function {
    process: Child,
    events: Sender<String>,
    said: Receiver<Said>,
    number: u32,
    began: Instant,
}

/// What a stretch took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Took {
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
}

impl Function {
    /// Starts a binary, and waits until it asks for its first event.
    pub(super) fn start(binary: &Path, environment: &[(String, String)]) -> (Self, Took) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (events, queue) = channel();
        let (saying, said) = channel();
        let queue = Arc::new(Mutex::new(queue));
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (queue, saying) = (Arc::clone(&queue), saying.clone());
                std::thread::spawn(move || converse(&connection, &queue, &saying));
            }
        });
        let began = Instant::now();
        let process = Command::new(binary)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "scim"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", binary.display()));
        let mut function = Self { process, events, said, number: 0, began };
        let ready = function.until_next();
        let wall = ready - function.began;
        (function, Took { wall, cpu: Duration::ZERO }).settled()
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    fn until_next(&mut self) -> Instant {
        match self.said.recv_timeout(PATIENCE) {
            Ok(Said::Next(at)) => at,
            Ok(Said::Answer(_, body)) => panic!("an answer that nobody asked for: {body}"),
            Err(error) => panic!("the function does not ask for an event: {error}"),
        }
    }

    /// Hands it an event; the answer's text, and how long that took until the function asks for the next.
    pub(super) fn invoke(&mut self, event: &str) -> (String, Duration) {
        self.number += 1;
        let (id, arn) = (self.number, "arn:aws:lambda:eu-west-1:123456789012:function:scim");
        let deadline = SystemTime::now() + PATIENCE;
        let deadline = deadline.duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let event = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             lambda-runtime-aws-request-id: 00000000-0000-4000-8000-{id:012}\r\n\
             lambda-runtime-deadline-ms: {deadline}\r\nlambda-runtime-invoked-function-arn: {arn}\r\n\
             lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0\r\n\r\n{event}",
            event.len(),
        );
        let began = Instant::now();
        self.events.send(event).expect("the Runtime API runs");
        match self.said.recv_timeout(PATIENCE) {
            Ok(Said::Answer(at, body)) => {
                self.until_next();
                (body, at - began)
            }
            Ok(Said::Next(_)) => panic!("it asks for an event, and has not answered"),
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// CPU time of all of its threads so far, by the scheduler's account.
    pub(super) fn cpu(&self) -> Duration {
        std::thread::sleep(SETTLE);
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("Linux");
        let nanoseconds = tasks.filter_map(|task| {
            let account = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            account.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Memory that it occupies, in kilobytes.
    pub(super) fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

/// Puts the CPU time of the start in.
trait Settled {
    fn settled(self) -> (Function, Took);
}

impl Settled for (Function, Took) {
    fn settled(self) -> (Function, Took) {
        let (function, took) = self;
        let cpu = function.cpu();
        (function, Took { cpu, ..took })
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // One that has ended needs nothing.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn converse(
    connection: &TcpStream,
    queue: &Mutex<Receiver<String>>,
    saying: &Sender<Said>,
) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    loop {
        let (line, body) = read_request(&mut reader)?;
        if line.contains("/runtime/invocation/next") {
            saying.send(Said::Next(Instant::now())).ok()?;
            let event = queue.lock().ok()?.recv().ok()?;
            writer.write_all(event.as_bytes()).ok()?;
        } else {
            saying.send(Said::Answer(Instant::now(), body)).ok()?;
            let accepted = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
            writer.write_all(accepted).ok()?;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|length| *length > 0)?;
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        is_chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = Vec::new();
    while is_chunked {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = u64::from_str_radix(size.trim(), 16).ok()?;
        reader.take(size).read_to_end(&mut body).ok()?;
        reader.read_line(&mut String::new()).ok()?;
        is_chunked = size > 0;
    }
    reader.take(length).read_to_end(&mut body).ok()?;
    Some((first, String::from_utf8_lossy(&body).into_owned()))
}
