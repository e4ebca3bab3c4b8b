//! A command that writes or reads the journal compares its clock with DynamoDB's first. The DynamoDB here knows nothing but
//! the time that it was given.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::refused;

/// Answers every call with nothing, and that `Date`; returns its address.
fn dated(date: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(answer(stream, date));
        }
    });
    format!("http://{address}")
}

/// Reads a request, answers, and closes.
fn answer(stream: TcpStream, date: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length");
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let head = "Content-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\nConnection: close";
    let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n{date}\r\n{{}}");
    reader.into_inner().write_all(text.as_bytes())
}

const PAST: &str = "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
const FUTURE: &str = "Date: Wed, 01 Jan 2126 00:00:00 GMT\r\n";

#[test]
fn a_clock_that_is_wrong_writes_no_journal_and_reads_none() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let commands: [&[&str]; 4] = [
        &["resync", "acme"],
        &["changes", "--tenant", "acme"],
        &["import", file, "--tenant", "acme"],
        &["tenant", "release", "acme", "--yes"],
    ];
    for (date, direction) in [(PAST, "s ahead of DynamoDB's"), (FUTURE, "s behind DynamoDB's")] {
        let endpoint = dated(date);
        for command in commands {
            let told = refused(&[command, &["--endpoint-url", &endpoint]].concat());
            assert!(told.contains(direction) && told.contains("(NTP)"), "{command:?}: {told}");
        }
        // What is urgent, and tells the journal nothing, is not held up.
        let told = refused(&["tenant", "disable", "acme", "--endpoint-url", &endpoint]);
        assert!(told.contains("there is no tenant acme"), "{told}");
    }
}

#[test]
fn a_clock_that_nobody_contradicts_is_taken() {
    let endpoint = dated("");
    let told = refused(&["resync", "acme", "--endpoint-url", &endpoint]);
    assert!(told.contains("there is no tenant acme"), "{told}");
}
