//! The lines of a file, bounded, in UTF-8; and the records of a CSV, which may hold several.
//!
//! Another encoding is recognised and refused: guessing it would import names that nobody has.

use std::io::{self, BufRead};

use super::Fault;
use crate::limits::BODY_BYTES_MAX;

/// The marks at the beginning of a file in UTF-16, either way round, and in UTF-8.
const UTF_16: [[u8; 2]; 2] = [[0xFF, 0xFE], [0xFE, 0xFF]];
const UTF_8: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// A line, or several that are one record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// The number of its first line, from 1.
    pub(super) line: usize,
    /// What stands there, without the line break; `None` when it is longer than a line may be.
    pub(super) text: Option<String>,
}

/// Reads a file line by line.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    line: usize,
}

impl<R: BufRead> Lines<R> {
    /// Looks at the beginning of the file.
    pub(super) fn new(mut input: R) -> Result<Self, Fault> {
        let start = input.fill_buf()?;
        let is_utf_16 = UTF_16.iter().any(|mark| start.starts_with(mark))
            || start.iter().take(4).any(|byte| *byte == 0);
        if is_utf_16 {
            return Err(Fault::file(
                "the file is UTF-16; save it as \"CSV UTF-8\" (or as UTF-8) and import that",
            ));
        }
        if start.starts_with(&UTF_8) {
            input.consume(UTF_8.len());
        }
        Ok(Self { input, line: 0 })
    }

    /// The next line.
    pub(super) fn next(&mut self) -> Result<Option<Text>, Fault> {
        let mut bytes = Vec::new();
        let mut length = 0;
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (taken, used) = match end {
                Some(end) => (buffer.get(..end).unwrap_or_default(), end + 1),
                None => (buffer, buffer.len()),
            };
            length += used;
            // What is longer is read to its end and not kept.
            if length <= BODY_BYTES_MAX {
                bytes.extend_from_slice(taken);
            }
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if length == 0 {
            return Ok(None);
        }
        self.line += 1;
        if length > BODY_BYTES_MAX {
            return Ok(Some(Text { line: self.line, text: None }));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let text = String::from_utf8(bytes).map_err(|_| self.not_utf_8())?;
        Ok(Some(Text { line: self.line, text: Some(text) }))
    }

    /// The record of a CSV (RFC 4180) that begins with a line: that line, and those after it while a quote is open.
    pub(super) fn record(&mut self, first: Text) -> Result<Text, Fault> {
        let line = first.line;
        let Some(mut whole) = first.text else { return Ok(first) };
        let unclosed = |what: &str| {
            let what = format!("a quote is opened here and {what}; close it, or double it (\"\")");
            Fault::at(line, what)
        };
        let mut is_open = has_odd_quotes(&whole);
        while is_open {
            let next = self.next()?.ok_or_else(|| unclosed("never closed"))?;
            let next = next.text.unwrap_or_default();
            is_open = !has_odd_quotes(&next);
            whole.push('\n');
            whole.push_str(&next);
            if whole.len() > BODY_BYTES_MAX {
                return Err(unclosed(&format!("not closed within {BODY_BYTES_MAX} bytes")));
            }
        }
        Ok(Text { line, text: Some(whole) })
    }

    fn not_utf_8(&self) -> Fault {
        let what = "the file is not UTF-8, perhaps Latin-1 or Windows-1252; save it as \"CSV UTF-8\" (or as UTF-8) and \
                    import that";
        Fault::at(self.line, what)
    }
}

/// Whether the quotes do not pair up: a doubled one within quotes counts twice.
fn has_odd_quotes(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::file(format!("the file cannot be read: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Result<Vec<(usize, Option<String>)>, Fault> {
        // A buffer of a few bytes, so that lines and marks cross its ends.
        let mut lines = Lines::new(io::BufReader::with_capacity(5, bytes))?;
        let mut all = Vec::new();
        while let Some(text) = lines.next()? {
            all.push((text.line, text.text));
        }
        Ok(all)
    }

    fn records(text: &str) -> Result<Vec<(usize, String)>, Fault> {
        let mut lines = Lines::new(text.as_bytes())?;
        let mut all = Vec::new();
        while let Some(first) = lines.next()? {
            let text = lines.record(first)?;
            all.push((text.line, text.text.unwrap()));
        }
        Ok(all)
    }

    fn some(line: usize, text: &str) -> (usize, Option<String>) {
        (line, Some(text.to_owned()))
    }

    #[test]
    fn lines_end_in_any_way() {
        assert_eq!(lines(b"").unwrap(), []);
        assert_eq!(lines(b"one").unwrap(), [some(1, "one")]);
        let three = [some(1, "one"), some(2, ""), some(3, "three")];
        assert_eq!(lines(b"one\n\nthree\n").unwrap(), three);
        assert_eq!(lines(b"one\r\n\r\nthree").unwrap(), three);
        assert_eq!(lines(b"\xEF\xBB\xBFone\n\nthree\n").unwrap(), three);
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_and_the_next_one_is_read() {
        let mut file = vec![b'x'; BODY_BYTES_MAX + 1];
        file.extend_from_slice(b"\ntwo");
        assert_eq!(lines(&file).unwrap(), [(1, None), some(2, "two")]);
        let mut file = vec![b'x'; BODY_BYTES_MAX - 1];
        file.extend_from_slice(b"\ntwo");
        assert_eq!(lines(&file).unwrap().len(), 2);
        assert!(lines(&file).unwrap()[0].1.is_some());
    }

    #[test]
    fn other_encodings_are_recognised() {
        for start in [&b"\xFF\xFEu\0s\0"[..], b"\xFE\xFF\0u\0s", b"u\0s\0e\0", b"\0u\0s"] {
            let what = lines(start).unwrap_err().to_string();
            assert!(what.starts_with("the file is UTF-16; save it"), "{what}");
        }
        let what = lines(b"userName\nJos\xE9\n").unwrap_err().to_string();
        assert!(what.starts_with("line 2: the file is not UTF-8, perhaps Latin-1"), "{what}");
    }

    #[test]
    fn a_record_goes_on_while_a_quote_is_open() {
        assert_eq!(
            records("a,b\n\"x\ny\",2\n\"say \"\"hi\"\"\",3\n").unwrap(),
            [
                (1, "a,b".to_owned()),
                (2, "\"x\ny\",2".to_owned()),
                (4, "\"say \"\"hi\"\"\",3".to_owned())
            ]
        );
        let what = records("a,b\n1,\"2\n3,4\n").unwrap_err().to_string();
        assert!(what.starts_with("line 2: a quote is opened here and never closed"), "{what}");
        let what = records(&format!("a\n\"{}", "x\n".repeat(BODY_BYTES_MAX))).unwrap_err();
        assert!(what.to_string().starts_with("line 2: a quote is opened here and not closed"));
    }
}
