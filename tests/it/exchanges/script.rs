//! Reading an `.http` file: its header, its steps, and for each step where in the file the expectation
//! stands. Knows nothing of sending or comparing.

use serde_json::Value;

use super::pattern::{self, Names};

/// A file, taken apart.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) label: String,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) request: Request,
    pub(super) expected: Expected,
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Raw path and query, relative to the base URL.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
}

#[derive(Debug)]
pub(super) struct Expected {
    /// Line number (from 1) of the `<<<`.
    pub(super) line: usize,
    /// Line numbers of the body: first, and one past the last. Equal when there is none.
    pub(super) body_lines: (usize, usize),
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Value>,
}

impl Script {
    /// `label` is the path below `tests/exchanges`. The error names file and line.
    pub(super) fn parse(label: &str, text: &str) -> Result<Self, String> {
        let mut lines = Lines { all: text.lines().collect(), next: 0 };
        let at = |line: usize, problem: &str| format!("{label}:{line}: {problem}");
        check_header(label, &mut lines).map_err(|problem| at(1, &problem))?;
        let mut steps: Vec<Step> = Vec::new();
        while lines.peek().is_some() {
            let step = parse_step(&mut lines).map_err(|(line, problem)| at(line, &problem))?;
            if steps.iter().any(|other| other.name == step.name) {
                return Err(at(step.expected.line, "a second step of this name"));
            }
            steps.push(step);
        }
        if steps.is_empty() {
            return Err(at(1, "no step"));
        }
        Ok(Self { label: label.to_owned(), steps })
    }
}

impl Request {
    /// Puts the bound names in, and adds the default headers.
    pub(super) fn fill(&self, names: &Names) -> Result<Self, String> {
        let mut headers = vec![("Authorization".to_owned(), "Bearer {token}".to_owned())];
        if self.body.is_some() {
            let media_type = "application/scim+json; charset=utf-8".to_owned();
            headers.push(("Content-Type".to_owned(), media_type));
        }
        headers.retain(|(name, _)| {
            !self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
        });
        headers.extend(self.headers.iter().filter(|(_, value)| !value.is_empty()).cloned());
        for (_, value) in &mut headers {
            *value = names.fill(value)?;
        }
        Ok(Self {
            method: self.method.clone(),
            target: names.fill(&self.target)?,
            headers,
            body: self.body.as_deref().map(|body| names.fill(body)).transpose()?,
        })
    }
}

struct Lines<'a> {
    all: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.all.get(self.next).copied()
    }

    fn take_while(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<&'a str> {
        let rest = self.all.get(self.next..).unwrap_or_default();
        let taken: Vec<&str> = rest.iter().copied().take_while(|line| wanted(line)).collect();
        self.next += taken.len();
        taken
    }

    /// The number of the line that `peek` shows, as editors count.
    fn number(&self) -> usize {
        self.next + 1
    }
}

/// A file says what it is and where its knowledge comes from before its first step.
fn check_header(label: &str, lines: &mut Lines<'_>) -> Result<(), String> {
    let header = lines.take_while(|line| !line.starts_with("### "));
    if !header.first().is_some_and(|line| line.starts_with(&format!("# {label} — "))) {
        return Err(format!("the first line has to begin with \"# {label} — \""));
    }
    if let Some(line) = header.iter().find(|line| !line.is_empty() && !line.starts_with('#')) {
        return Err(format!("before the first step there are only comments, not {line:?}"));
    }
    let sourced = |line: &&&str| {
        line.contains("Source: ") && (line.contains("https://") || line.contains("RFC "))
    };
    if header.iter().find(sourced).is_none() {
        return Err("the header has to name a \"Source: \" (an RFC section or a URL)".to_owned());
    }
    Ok(())
}

fn parse_step(lines: &mut Lines<'_>) -> Result<Step, (usize, String)> {
    let start = lines.number();
    let name = lines.peek().and_then(|line| line.strip_prefix("### ")).unwrap_or_default();
    lines.next += 1;
    // Comments between the name and the request line say why the step is there.
    lines.take_while(|line| line.starts_with("# ") || line == "#");
    let request_line = lines.peek().unwrap_or_default();
    let Some((method, target)) = request_line.split_once(' ') else {
        return Err((lines.number(), format!("expected \"METHOD /target\", not {request_line:?}")));
    };
    if !target.starts_with('/') || !method.chars().all(|letter| letter.is_ascii_uppercase()) {
        return Err((lines.number(), format!("expected \"METHOD /target\", not {request_line:?}")));
    }
    lines.next += 1;
    let headers = parse_headers(lines);
    let body = lines.take_while(|line| !line.starts_with("<<<") && !line.starts_with("### "));
    let (body, _) = trim(&body);
    let body = if body.is_empty() { None } else { Some(body.join("\n")) };
    let request = Request { method: method.to_owned(), target: target.to_owned(), headers, body };

    let line = lines.number();
    let status = lines.peek().and_then(|line| line.strip_prefix("<<< "));
    let Some(status) = status.and_then(|status| status.trim().parse::<u16>().ok()) else {
        return Err((line, format!("step \"{name}\" (line {start}) lacks its \"<<< STATUS\"")));
    };
    lines.next += 1;
    let headers = parse_headers(lines);
    let first = lines.number();
    let block = lines.take_while(|line| !line.starts_with("### "));
    let (block, skipped) = trim(&block);
    let first = first + skipped;
    let body = match block.join("\n").as_str() {
        "" => None,
        text => Some(pattern::parse(text).map_err(|problem| (first, problem))?),
    };
    let body_lines = (first, first + block.len());
    let expected = Expected { line, body_lines, status, headers, body };
    Ok(Step { name: name.to_owned(), request, expected })
}

/// `Name: value` lines, up to the first line that is none.
fn parse_headers(lines: &mut Lines<'_>) -> Vec<(String, String)> {
    let split = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_name = !name.is_empty() && name.bytes().all(token);
        is_name.then(|| (name.to_owned(), value.trim().to_owned()))
    };
    let taken = lines.take_while(|line| split(line).is_some());
    taken.into_iter().filter_map(split).collect()
}

/// Without blank lines at either end, and how many there were at the beginning.
fn trim<'a, 'b>(lines: &'b [&'a str]) -> (&'b [&'a str], usize) {
    let blank = |line: &&&str| line.trim().is_empty();
    let before = lines.iter().take_while(blank).count();
    let after = lines.iter().rev().take_while(blank).count();
    (lines.get(before..lines.len().saturating_sub(after)).unwrap_or_default(), before)
}

#[test]
fn a_file_is_taken_apart() {
    let text = "# x/a.http — sample\n# Source: RFC 7644 §3.3\n\n### create\n# why\nPOST /Users?a={b}\n\
                X-Thing: 1\nContent-Type:\n\n{ \"n\": 1 }\n<<< 201\nLocation: {base}/x\n\n{ \"id\": \"{x}\", … }\n\
                \n### gone\nDELETE /Users/{x}\n<<< 204\n";
    let script = Script::parse("x/a.http", text).expect("it parses");
    let [create, gone] = script.steps.as_slice() else { panic!("two steps: {script:?}") };
    assert_eq!((create.name.as_str(), create.request.method.as_str()), ("create", "POST"));
    assert_eq!(create.request.body.as_deref(), Some("{ \"n\": 1 }"));
    assert_eq!(create.request.headers.len(), 2);
    assert_eq!((create.expected.line, create.expected.body_lines), (11, (14, 15)));
    assert_eq!(create.expected.headers, [("Location".to_owned(), "{base}/x".to_owned())]);
    assert_eq!((gone.expected.status, &gone.expected.body), (204, &None));
}

#[test]
fn default_headers_can_be_replaced_and_removed() {
    let text = "# a — b\n# Source: RFC 1\n### s\nPOST /U\nauthorization: Basic x\nContent-Type:\n\n{}\n<<< 401\n…\n";
    let script = Script::parse("a", text).expect("it parses");
    let [step] = script.steps.as_slice() else { panic!("one step") };
    let mut names = Names::new();
    names.bind("token", "t");
    let request = step.request.fill(&names).expect("no name is missing");
    assert_eq!(request.headers, [("authorization".to_owned(), "Basic x".to_owned())]);
}

#[test]
fn mistakes_are_named_with_their_line() {
    let check = |text: &str, problem: &str| {
        let error = Script::parse("a", text).expect_err("it is wrong");
        assert!(error.contains(problem), "{error}");
    };
    check("# b — c\n", "a:1: the first line");
    check("# a — c\n### s\nGET /\n<<< 200\n", "Source");
    check("# a — c\n# Source: RFC 1\n### s\nGET /\n### t\n", "a:5: step \"s\"");
    check("# a — c\n# Source: RFC 1\n### s\nget /\n", "a:4: expected");
    check("# a — c\n# Source: RFC 1\n### s\nGET /\n<<< 200\n{\n \"a\": }\n", "a:6: ");
}
