//! What a cold start, a request and an hour's memory cost: the release `bootstrap` against a Runtime API on loopback and the
//! embedded engine behind TLS, beside a function that says hello.
//!
//! `make bench-cold` builds both functions as they are deployed, runs this, and prints the table of `docs/BENCHMARKS.md`.
//! `SCIM_BOOTSTRAP` names another build of the endpoint (the file that `sam build` made), `HELLO` of the other,
//! `BENCH_STARTS` how many starts there are (30), `BENCH_EVENTS` how many events the memory is looked at after (10,000).
//! Linux only: CPU time and memory are read from `/proc`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and the environment, prints, and stops where it cannot go on"
)]

mod runtime_api;
mod store;
mod throttle;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use runtime_api::{Function, Took};
use store::{Roots, Store};
use throttle::Throttle;

/// Thousandths of a core that a 128 MB function has: 128/1769.
const SHARE_OF_128_MB: u64 = 72;
/// Starts under that share.
const THROTTLED_STARTS: usize = 8;
/// Events before anything is measured, and events of each sort that are.
const WARM_UP: usize = 200;
const MEASURED: usize = 300;
/// Requests with 100 members each: half of them add, half of them remove.
const HUNDREDS: usize = 40;

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn file(name: &str, usual: &str) -> PathBuf {
    let path = std::env::var_os(name).map_or_else(|| PathBuf::from(usual), PathBuf::from);
    assert!(path.exists(), "{} is not there; `make bench-cold` builds it", path.display());
    path
}

#[tokio::main]
async fn main() {
    let bootstrap = file("SCIM_BOOTSTRAP", "target/lambda/release/bootstrap");
    let hello = file("HELLO", "target/lambda/release/examples/hello");
    let store = Store::start().await;
    let measured = tokio::task::spawn_blocking(move || measure(&bootstrap, &hello, &store));
    measured.await.expect("the benchmark ends");
}

fn measure(bootstrap: &Path, hello: &Path, store: &Store) {
    let starts = number("BENCH_STARTS", 30);
    let mut table = Table::default();
    println!(
        "{starts} starts; this machine trusts {} roots.\n\n| what | median (min–max) | bar | |\n|---|---|---|---|",
        store.root_count
    );
    table.size("function, stripped", bytes(bootstrap), 6.0);
    table.zip("function, zipped", bootstrap, Some(2.8));
    let events = Events::new(store);
    // Somebody to be asked for.
    let environment = store.environment(Roots::Few);
    let (mut first, _) = Function::start(bootstrap, &environment);
    let person = events.create(&mut first, 0);
    drop(first);

    let with_system = store.environment(Roots::System);
    let (mut ours, mut systems, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for start in 0..starts {
        eprint!("\rstart {} of {starts} ", start + 1);
        ours.push(Start::of(bootstrap, &environment, &events.get(&person), None));
        systems.push(Start::of(bootstrap, &with_system, &events.get(&person), None));
        theirs.push(Start::of(hello, &[], &events.get(&person), None));
    }
    eprintln!();
    table.starts("", &ours, true);
    throttled(&mut table, bootstrap, &environment, &events.get(&person));
    table.starts("with the system's roots: ", &systems, false);
    warm(&mut table, bootstrap, &environment, &events);
    table.size("hello, stripped", bytes(hello), 0.0);
    table.zip("hello, zipped", hello, None);
    table.starts("hello: ", &theirs, false);
    eprintln!("{} of {} bars are met", table.met, table.met + table.missed);
}

/// One start and its first event.
struct Start {
    init: Took,
    first: Took,
    memory_kb: u64,
}

impl Start {
    fn of(
        binary: &Path,
        environment: &[(String, String)],
        event: &str,
        throttle: Option<&Throttle>,
    ) -> Self {
        let (mut function, init) = Function::start(binary, environment);
        let memory_kb = function.memory_kb();
        if let Some(throttle) = throttle {
            throttle.hold(function.id());
        }
        let before = function.cpu();
        let (answer, wall) = function.invoke(event);
        assert!(answer.contains("\"statusCode\":200"), "{answer}");
        let cpu = function.cpu().saturating_sub(before);
        Self { init, first: Took { wall, cpu }, memory_kb }
    }
}

fn throttled(table: &mut Table, binary: &Path, environment: &[(String, String)], event: &str) {
    let what = "init and first invocation, 7.2 % of a core from the end of init, ms";
    let throttle = match Throttle::new(SHARE_OF_128_MB) {
        Ok(throttle) => throttle,
        Err(why) => return println!("| {what} | skipped: {why} | ≤ 30 | |"),
    };
    let starts = (0..THROTTLED_STARTS).map(|_| {
        let start = Start::of(binary, environment, event, Some(&throttle));
        start.init.wall + start.first.wall
    });
    let mut walls: Vec<Duration> = starts.collect();
    table.times(what, &mut walls, Some(30.0));
}

/// The events of one tenant.
struct Events {
    shape: Value,
}

impl Events {
    fn new(store: &Store) -> Self {
        let text = include_str!("../../tests/events/http-api-get.json");
        let text = text.replace("{token}", &store.token);
        Self { shape: serde_json::from_str(&text).expect("it is JSON") }
    }

    fn event(&self, method: &str, path: &str, query: &str, body: Option<&Value>) -> String {
        let mut event = self.shape.clone();
        let mut set = |pointer: &str, value: Value| {
            *event.pointer_mut(pointer).expect("events have it") = value;
        };
        set("/requestContext/http/method", json!(method));
        set("/rawPath", json!(format!("/scim/v2{path}")));
        set("/rawQueryString", json!(query));
        if let (Some(body), Some(event)) = (body, event.as_object_mut()) {
            event.insert("body".to_owned(), json!(body.to_string()));
        }
        event.to_string()
    }

    fn get(&self, id: &str) -> String {
        self.event("GET", &format!("/Users/{id}"), "", None)
    }

    fn find(&self, number: usize) -> String {
        let query = format!("filter=userName+eq+%22person-{number}%40example.com%22");
        self.event("GET", "/Users", &query, None)
    }

    fn post(&self, number: usize) -> String {
        let name = format!("person-{number}@example.com");
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
            "externalId": format!("source-{number}"), "userName": name, "active": true,
            "displayName": format!("Person {number}"), "title": "Engineer",
            "emails": [{"primary": true, "type": "work", "value": name}],
            "meta": {"resourceType": "User"},
            "name": {"formatted": "Ida Ek", "familyName": "Ek", "givenName": "Ida"},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R&D"},
        });
        self.event("POST", "/Users", "", Some(&body))
    }

    fn patch(&self, id: &str, number: usize) -> String {
        let operation =
            json!({"op": "Replace", "path": "displayName", "value": format!("Renamed {number}")});
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]});
        self.event("PATCH", &format!("/Users/{id}"), "", Some(&body))
    }

    fn members(&self, group: &str, ids: &[String], number: usize) -> String {
        let op = if number.is_multiple_of(2) { "Add" } else { "Remove" };
        let members: Vec<Value> = ids.iter().map(|id| json!({"$ref": null, "value": id})).collect();
        let operation = json!({"op": op, "path": "members", "value": members});
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]});
        self.event("PATCH", &format!("/Groups/{group}"), "", Some(&body))
    }

    /// Creates a person; the id.
    fn create(&self, function: &mut Function, number: usize) -> String {
        id_of(&function.invoke(&self.post(number)).0)
    }
}

fn id_of(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).expect("it is JSON");
    let body = answer.get("body").and_then(Value::as_str).unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let id = body.get("id").and_then(Value::as_str);
    id.unwrap_or_else(|| panic!("nothing was created: {answer}")).to_owned()
}

/// A sort of events: what it is called, how many are measured, the most milliseconds of CPU, and the event of a number.
type Sort<'a> = (&'static str, usize, f64, &'a mut dyn FnMut(usize) -> String);

/// One environment, event after event.
fn warm(table: &mut Table, binary: &Path, environment: &[(String, String)], events: &Events) {
    let (mut function, _) = Function::start(binary, environment);
    let ids: Vec<String> =
        (1..=WARM_UP).map(|number| events.create(&mut function, number)).collect();
    let id = |number: usize| ids.get(number % ids.len()).expect("it is less");
    let group =
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Crew"});
    let group = id_of(&function.invoke(&events.event("POST", "/Groups", "", Some(&group))).0);
    let hundred = ids.get(..100).expect("there are more");
    let mut next = WARM_UP;
    let sorts: [Sort<'_>; 5] = [
        ("match on userName", MEASURED, 0.4, &mut |n| events.find(n % WARM_UP + 1)),
        ("GET by id", MEASURED, 0.6, &mut |n| events.get(id(n))),
        ("POST user", MEASURED, 0.6, &mut |_| {
            next += 1;
            events.post(next)
        }),
        ("PATCH user", MEASURED, 1.0, &mut |n| events.patch(id(n), n)),
        ("PATCH of 100 members", HUNDREDS, 5.0, &mut |n| events.members(&group, hundred, n)),
    ];
    for (what, count, bar, event) in sorts {
        let mut walls = Vec::with_capacity(count);
        let before = function.cpu();
        for number in 0..count {
            let (answer, wall) = function.invoke(&event(number));
            assert!(answer.contains("\"statusCode\":20"), "{what}: {answer}");
            walls.push(wall);
        }
        let cpu = function.cpu().saturating_sub(before);
        table.times(&format!("{what}, warm, ms"), &mut walls, None);
        let each = cpu.checked_div(u32::try_from(count).expect("few")).unwrap_or_default();
        table.times(&format!("{what}, CPU an event, ms"), &mut [each], Some(bar));
    }
    let wanted = number("BENCH_EVENTS", 10_000);
    let mut settled = 0;
    for number in 0..wanted {
        let event = match number % 4 {
            0 => events.find(number % WARM_UP + 1),
            1 => events.get(id(number)),
            2 => events.patch(id(number), number + MEASURED),
            _ => events.post(WARM_UP + MEASURED + number),
        };
        let (answer, _) = function.invoke(&event);
        assert!(answer.contains("\"statusCode\":20"), "{answer}");
        if number == wanted / 10 {
            settled = function.memory_kb();
        }
    }
    table.memory(&format!("memory after {} events, MB", wanted / 10), &mut [settled], None);
    table.memory(
        &format!("memory after {wanted} events, MB"),
        &mut [function.memory_kb()],
        Some(24.0),
    );
}

/// The table of `docs/BENCHMARKS.md`, row by row.
#[derive(Default)]
struct Table {
    met: usize,
    missed: usize,
}

impl Table {
    fn row(&mut self, what: &str, (median, shown): (f64, &str), bar: Option<f64>) {
        let (bar, verdict) = match bar {
            None => (String::new(), ""),
            Some(bar) if median <= bar => (format!("≤ {bar}"), "met"),
            Some(bar) => (format!("≤ {bar}"), "**missed**"),
        };
        match verdict {
            "met" => self.met += 1,
            "" => {}
            _ => self.missed += 1,
        }
        println!("| {what} | {shown} | {bar} | {verdict} |");
    }

    fn spread(&mut self, what: &str, values: &mut [f64], bar: Option<f64>) {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let median = at(values.len() / 2);
        let (least, most) = (at(0), at(values.len().saturating_sub(1)));
        let shown = if values.len() > 1 {
            format!("{median:.2} ({least:.2}–{most:.2})")
        } else {
            format!("{median:.2}")
        };
        self.row(what, (median, &shown), bar);
    }

    fn times(&mut self, what: &str, times: &mut [Duration], bar: Option<f64>) {
        let mut values: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1_000.0).collect();
        self.spread(what, &mut values, bar);
    }

    fn memory(&mut self, what: &str, kilobytes: &mut [u64], bar: Option<f64>) {
        let mut values: Vec<f64> = kilobytes.iter().map(|kb| megabytes(*kb * 1_024)).collect();
        self.spread(what, &mut values, bar);
    }

    fn size(&mut self, what: &str, bytes: u64, bar: f64) {
        let size = megabytes(bytes);
        self.row(&format!("{what}, MB"), (size, &format!("{size:.2}")), (bar > 0.0).then_some(bar));
    }

    /// As Lambda is sent it. Python has a zip, and this machine's tests need it anyway.
    fn zip(&mut self, what: &str, binary: &Path, bar: Option<f64>) {
        let archive = std::env::temp_dir().join(format!("cold-start-{}.zip", std::process::id()));
        let program = "import sys, zipfile; zipfile.ZipFile(sys.argv[2], 'w', zipfile.ZIP_DEFLATED, compresslevel=9).write(sys.argv[1], 'bootstrap')";
        let made = Command::new("python3").args(["-c", program]).arg(binary).arg(&archive).status();
        if made.is_ok_and(|status| status.success()) {
            self.size(what, bytes(&archive), bar.unwrap_or_default());
        } else {
            println!("| {what}, MB | skipped: there is no python3 | | |");
        }
        drop(std::fs::remove_file(&archive));
    }

    fn starts(&mut self, of: &str, starts: &[Start], has_bars: bool) {
        let bar = |bar: f64| has_bars.then_some(bar);
        let mut times = |what: &str, of_start: fn(&Start) -> Duration, bar| {
            let mut values: Vec<Duration> = starts.iter().map(of_start).collect();
            self.times(&format!("{of}{what}, ms"), &mut values, bar);
        };
        times("exec to first `/next`", |start| start.init.wall, bar(15.0));
        times("exec to first `/next`, CPU", |start| start.init.cpu, bar(12.0));
        times("first invocation (GET by id)", |start| start.first.wall, bar(3.0));
        times("first invocation, CPU", |start| start.first.cpu, None);
        let mut memory: Vec<u64> = starts.iter().map(|start| start.memory_kb).collect();
        self.memory(&format!("{of}memory after init, MB"), &mut memory, bar(12.0));
    }
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// Of a million bytes.
fn megabytes(bytes: u64) -> f64 {
    // A file of 4 GB is no function.
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1_000_000.0
}
