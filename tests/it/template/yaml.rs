//! Reads the subset of YAML that `template.yaml` is written in: block maps and lists indented by two, scalars on one
//! line, `>-` for folded text, comments on their own lines. A scalar stays text, its tag included (`!Ref Api`).
//! Anything else is a panic, so that the template cannot say what the tests do not see.

#[derive(Debug, PartialEq)]
pub(super) enum Yaml {
    Map(Vec<(String, Yaml)>),
    List(Vec<Yaml>),
    Text(String),
}

impl Yaml {
    pub(super) fn parse(text: &str) -> Self {
        let lines: Vec<(usize, String)> = text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
            .map(|line| (line.len() - line.trim_start().len(), line.trim().to_owned()))
            .collect();
        let mut reader = Reader { lines, at: 0 };
        let whole = reader.block(0);
        assert_eq!(reader.at, reader.lines.len(), "cannot read: {:?}", reader.lines[reader.at]);
        whole
    }

    /// The value under a path of member names, `/` between them.
    pub(super) fn get(&self, path: &str) -> Option<&Yaml> {
        path.split('/').try_fold(self, |value, name| match value {
            Yaml::Map(members) => members.iter().find(|(found, _)| found == name).map(|(_, v)| v),
            Yaml::List(_) | Yaml::Text(_) => None,
        })
    }

    pub(super) fn at(&self, path: &str) -> &Yaml {
        self.get(path).unwrap_or_else(|| panic!("{path} is missing"))
    }

    /// The text under a path; empty when there is none.
    pub(super) fn text(&self, path: &str) -> &str {
        match self.get(path) {
            Some(Yaml::Text(text)) => text,
            Some(other) => panic!("{path} is no text: {other:?}"),
            None => "",
        }
    }

    pub(super) fn members(&self) -> &[(String, Yaml)] {
        let Yaml::Map(members) = self else { panic!("no map: {self:?}") };
        members
    }

    pub(super) fn items(&self) -> &[Yaml] {
        let Yaml::List(items) = self else { panic!("no list: {self:?}") };
        items
    }

    /// The items of a list of texts.
    pub(super) fn texts(&self) -> Vec<&str> {
        let texts = self.items().iter().map(|item| match item {
            Yaml::Text(text) => text.as_str(),
            Yaml::Map(_) | Yaml::List(_) => panic!("no text: {item:?}"),
        });
        texts.collect()
    }

    /// The same as JSON, all scalars as texts.
    pub(super) fn json(&self) -> serde_json::Value {
        match self {
            Self::Map(members) => {
                members.iter().map(|(name, value)| (name.clone(), value.json())).collect()
            }
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Text(text) => text.as_str().into(),
        }
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.members().iter().map(|(name, _)| name.as_str()).collect()
    }
}

struct Reader {
    lines: Vec<(usize, String)>,
    at: usize,
}

impl Reader {
    fn block(&mut self, indent: usize) -> Yaml {
        let (mut members, mut items) = (Vec::new(), Vec::new());
        while let Some((_, line)) = self.lines.get(self.at).filter(|(found, _)| *found == indent) {
            let line = line.clone();
            if let Some(item) = line.strip_prefix("- ") {
                if split(item).is_some() {
                    // The item is a map that begins on the dash's line.
                    self.lines[self.at] = (indent + 2, item.to_owned());
                    items.push(self.block(indent + 2));
                } else {
                    self.at += 1;
                    items.push(scalar(item));
                }
            } else {
                let (name, value) = split(&line).unwrap_or_else(|| panic!("cannot read: {line}"));
                let name = name.to_owned();
                self.at += 1;
                let value = match value {
                    "" => self.block(indent + 2),
                    ">-" => self.folded(indent + 2),
                    value => scalar(value),
                };
                members.push((name, value));
            }
        }
        match (members.is_empty(), items.is_empty()) {
            (false, true) => Yaml::Map(members),
            (true, false) => Yaml::List(items),
            _ => panic!("neither a map nor a list before line {:?}", self.lines.get(self.at)),
        }
    }

    fn folded(&mut self, indent: usize) -> Yaml {
        let mut text = Vec::new();
        while let Some((_, line)) = self.lines.get(self.at).filter(|(found, _)| *found == indent) {
            text.push(line.clone());
            self.at += 1;
        }
        Yaml::Text(text.join(" "))
    }
}

/// A member's name and the rest of its line. A tag or a quoted text is no member.
fn split(line: &str) -> Option<(&str, &str)> {
    if let Some(name) = line.strip_prefix('"').and_then(|rest| rest.strip_suffix("\":")) {
        return Some((name, ""));
    }
    if line.starts_with(['!', '"', '\'']) {
        return None;
    }
    line.split_once(": ").or_else(|| line.strip_suffix(':').map(|name| (name, "")))
}

fn scalar(text: &str) -> Yaml {
    let quoted = ['"', '\''].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q));
    Yaml::Text(quoted.unwrap_or(text).to_owned())
}

#[test]
fn the_subset_is_read_as_yaml() {
    let text =
        "# c\na:\n  - b: \"1\"\n    c: !Ref X\n  - d\ne:\n  f: >-\n    one\n    two\nAWS::G: ''\n";
    let yaml = Yaml::parse(text);
    assert_eq!(yaml.names(), ["a", "e", "AWS::G"]);
    assert_eq!(yaml.at("a").items()[0].text("c"), "!Ref X");
    assert_eq!(yaml.at("a").items()[1], Yaml::Text("d".to_owned()));
    assert_eq!((yaml.text("e/f"), yaml.text("AWS::G"), yaml.text("h")), ("one two", "", ""));
}
