//! Random filters, written as text and evaluated as plainly as possible: without the server's parser, schemas or folding.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// A filter whose ids are not known yet.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
    Leaf(Leaf),
    /// Two comparisons of one element.
    Brackets(&'static str, Leaf, Leaf),
}

#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) path: &'static str,
    pub(super) operator: &'static str,
    pub(super) operand: Operand,
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    None,
    Text(&'static str),
    Flag(bool),
    User(usize),
    Group(usize),
}

/// The ids of a population.
pub(super) struct Ids {
    pub(super) users: Vec<String>,
    pub(super) groups: Vec<String>,
}

impl Tree {
    pub(super) fn text(&self, ids: &Ids) -> String {
        let mut text = String::new();
        self.write(ids, &mut text);
        text
    }

    fn write(&self, ids: &Ids, text: &mut String) {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                let word = if matches!(self, Self::And(..)) { "and" } else { "or" };
                text.push('(');
                left.write(ids, text);
                write!(text, ") {word} (").expect("a string takes everything");
                right.write(ids, text);
                text.push(')');
            }
            Self::Not(tree) => {
                text.push_str("not (");
                tree.write(ids, text);
                text.push(')');
            }
            Self::Leaf(leaf) => leaf.write(ids, text),
            Self::Brackets(attribute, left, right) => {
                write!(text, "{attribute}[").expect("a string takes everything");
                left.write(ids, text);
                text.push_str(" and ");
                right.write(ids, text);
                text.push(']');
            }
        }
    }

    /// Whether the filter holds, said as plainly as possible.
    pub(super) fn holds(&self, ids: &Ids, value: &Value) -> bool {
        match self {
            Self::And(left, right) => left.holds(ids, value) && right.holds(ids, value),
            Self::Or(left, right) => left.holds(ids, value) || right.holds(ids, value),
            Self::Not(tree) => !tree.holds(ids, value),
            Self::Leaf(leaf) => leaf.holds(ids, value),
            Self::Brackets(attribute, left, right) => {
                let elements = value[attribute].as_array().into_iter().flatten();
                elements.into_iter().any(|one| left.holds(ids, one) && right.holds(ids, one))
            }
        }
    }
}

impl Leaf {
    fn write(&self, ids: &Ids, text: &mut String) {
        let operand = match &self.operand {
            Operand::None => String::new(),
            Operand::Flag(flag) => flag.to_string(),
            Operand::Text(_) | Operand::User(_) | Operand::Group(_) => {
                json!(self.wanted(ids)).to_string()
            }
        };
        write!(text, "{} {} {operand}", self.path, self.operator)
            .expect("a string takes everything");
    }

    /// What the values are compared with, as text.
    fn wanted(&self, ids: &Ids) -> String {
        let id = |ids: &[String], number: usize| {
            // Letter case counts in `id` and not in references to one.
            let id = ids.get(number).cloned().unwrap_or_else(|| "nobody".to_owned());
            if self.path != "id" && number % 2 == 1 { id.to_uppercase() } else { id }
        };
        match self.operand {
            Operand::None => String::new(),
            Operand::Text(text) => text.to_owned(),
            Operand::Flag(flag) => flag.to_string(),
            Operand::User(number) => id(&ids.users, number),
            Operand::Group(number) => id(&ids.groups, number),
        }
    }

    fn holds(&self, ids: &Ids, value: &Value) -> bool {
        let is_exact = matches!(self.path, "externalId" | "id");
        let spelled =
            |text: &str| if is_exact { text.to_owned() } else { text.to_ascii_lowercase() };
        let wanted = spelled(&self.wanted(ids));
        let mut found = values(self.path, value).into_iter().map(|text| spelled(&text));
        match self.operator {
            "eq" => found.any(|text| text == wanted),
            // Behind brackets a comparison is about one element, else about all values.
            "ne" if self.path.contains('[') => found.any(|text| text != wanted),
            "ne" => !found.any(|text| text == wanted),
            "co" => found.any(|text| text.contains(&wanted)),
            "sw" => found.any(|text| text.starts_with(&wanted)),
            "ew" => found.any(|text| text.ends_with(&wanted)),
            _ => found.next().is_some(),
        }
    }
}

/// The values at a path, as text.
fn values(path: &str, value: &Value) -> Vec<String> {
    let elements = |attribute: &str, sub: &str| -> Vec<String> {
        let elements = value[attribute].as_array().into_iter().flatten();
        elements.filter_map(|one| one[sub].as_str()).map(str::to_owned).collect()
    };
    match path {
        "emails.value" | "emails" => elements("emails", "value"),
        "emails.type" => elements("emails", "type"),
        "emails[type eq \"work\"].value" => {
            let all = value["emails"].as_array().into_iter().flatten();
            let work = all.filter(|one| one["type"] == "work");
            work.filter_map(|one| one["value"].as_str()).map(str::to_owned).collect()
        }
        "groups.value" | "groups" => elements("groups", "value"),
        "groups.display" => elements("groups", "display"),
        "members.value" | "members" => elements("members", "value"),
        "members.type" => elements("members", "type"),
        "department" => {
            let extension = &value["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"];
            extension["department"].as_str().map(str::to_owned).into_iter().collect()
        }
        simple => match &value[simple] {
            Value::Bool(flag) => vec![flag.to_string()],
            Value::String(text) => vec![text.clone()],
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => Vec::new(),
        },
    }
}
