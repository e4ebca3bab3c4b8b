//! What a filter says about where its resources can be found, and which attributes it needs to be evaluated.
//!
//! Both answers are read off the bound filter alone. They choose how much is read, never what matches: whatever is
//! read is put through [`Bound::matches`].

use super::bind::{Bound, Node, Order, Place, Relation, Test};
use crate::scim::well_known;

/// A comparison that holds in every resource that the filter matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equality {
    /// The attribute in the schema's spelling, behind its URN if an extension has it: `userName`, `emails.value`.
    pub path: String,
    /// The literal as it was written. Letter case counts as the attribute's `caseExact` says.
    pub value: String,
}

/// How much of an attribute a filter needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Nothing: the filter does not name it.
    Absent,
    /// Only the elements with one of these values: the result with them alone is the result with all. Each is given
    /// once and as it is compared, that is, folded unless `value` is `caseExact`.
    Values(Vec<String>),
    /// All of it.
    Whole,
}

impl Bound<'_> {
    /// Every comparison of text with `eq` that a match cannot do without: those that `and` joins, within brackets too.
    pub fn equalities(&self) -> Vec<Equality> {
        let mut found = Vec::new();
        required(&self.node, &mut found);
        found
    }

    /// What the filter says of every resource of its type, when it does not depend on the resource.
    pub fn constant(&self) -> Option<bool> {
        constant(&self.node)
    }

    /// Whether the filter is one comparison of text with `eq` and nothing else: what its equality finds is what it matches.
    pub fn is_one_equality(&self) -> bool {
        let is_equality =
            |node: &Node<'_>| matches!(node, Node::Leaf { test, .. } if equal_text(test).is_some());
        match &self.node {
            Node::Element { filter, .. } => is_equality(filter),
            node @ Node::Leaf { .. } => is_equality(node),
            Node::Constant(_) | Node::And(..) | Node::Or(..) | Node::Not(_) => false,
        }
    }

    /// How much of the core attribute `attribute`, such as `members`, has to be loaded before [`Bound::matches`].
    pub fn usage(&self, attribute: &str) -> Usage {
        usage(&self.node, attribute)
    }
}

fn constant(node: &Node<'_>) -> Option<bool> {
    match node {
        Node::Constant(holds) => Some(*holds),
        Node::And(left, right) => match (constant(left), constant(right)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), other) => other,
            (None, _) => None,
        },
        Node::Or(left, right) => match (constant(left), constant(right)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), other) => other,
            (None, _) => None,
        },
        Node::Not(node) => constant(node).map(|holds| !holds),
        Node::Leaf { .. } | Node::Element { .. } => None,
    }
}

fn required(node: &Node<'_>, found: &mut Vec<Equality>) {
    match node {
        Node::And(left, right) => {
            required(left, found);
            required(right, found);
        }
        Node::Element { filter, .. } => required(filter, found),
        Node::Leaf { place, test } => {
            if let Some((literal, _)) = equal_text(test) {
                found.push(Equality { path: place.path(), value: literal.to_owned() });
            }
        }
        Node::Constant(_) | Node::Or(..) | Node::Not(_) => {}
    }
}

fn usage(node: &Node<'_>, attribute: &str) -> Usage {
    match node {
        Node::Constant(_) => Usage::Absent,
        Node::And(left, right) | Node::Or(left, right) => {
            usage(left, attribute).merged(usage(right, attribute))
        }
        Node::Not(node) => usage(node, attribute),
        Node::Leaf { place, .. } | Node::Element { place, .. } if !place.is_of(attribute) => {
            Usage::Absent
        }
        Node::Leaf { .. } => possible_values(node).map_or(Usage::Whole, Usage::Values),
        Node::Element { filter, .. } => possible_values(filter).map_or(Usage::Whole, Usage::Values),
    }
}

/// The values of `value` that an element may have that fits; `None` when others fit, too. Elements with other values
/// can then neither make the filter true nor, because brackets ask for one that fits, make it false.
fn possible_values(node: &Node<'_>) -> Option<Vec<String>> {
    match node {
        Node::And(left, right) => match (possible_values(left), possible_values(right)) {
            (Some(left), Some(right)) => Some(if left.len() <= right.len() { left } else { right }),
            (one, other) => one.or(other),
        },
        Node::Or(left, right) => Some(union(possible_values(left)?, possible_values(right)?)),
        Node::Leaf { place, test } if place.is_value() => {
            equal_text(test).map(|(_, wanted)| vec![wanted.to_owned()])
        }
        Node::Constant(_) | Node::Leaf { .. } | Node::Not(_) | Node::Element { .. } => None,
    }
}

/// The literal of a test for equal text, as it was written and as it is compared.
fn equal_text(test: &Test) -> Option<(&str, &str)> {
    match test {
        Test::Text { relation: Relation::Order(Order::Equal), literal, wanted, .. } => {
            Some((literal, wanted))
        }
        Test::Text { .. }
        | Test::Present
        | Test::Instant(..)
        | Test::Number(..)
        | Test::Boolean(_) => None,
    }
}

impl Usage {
    fn merged(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole, _) | (_, Self::Whole) => Self::Whole,
            (Self::Absent, usage) | (usage, Self::Absent) => usage,
            (Self::Values(left), Self::Values(right)) => Self::Values(union(left, right)),
        }
    }
}

/// Both lists without repetition. A filter has at most `FILTER_TERMS_MAX` literals.
fn union(mut left: Vec<String>, right: Vec<String>) -> Vec<String> {
    for value in right {
        if !left.contains(&value) {
            left.push(value);
        }
    }
    left
}

impl Place<'_> {
    /// The path from the resource, in the schema's spelling.
    fn path(&self) -> String {
        let names: Vec<&str> = [self.target.attribute, self.target.sub]
            .into_iter()
            .flatten()
            .map(|attribute| attribute.name.as_str())
            .collect();
        let path = names.join(".");
        match self.target.extension {
            None => path,
            Some(extension) => format!("{}:{path}", extension.urn),
        }
    }

    /// Whether this is the core attribute of that name or one of its sub-attributes.
    fn is_of(&self, attribute: &str) -> bool {
        self.target.extension.is_none()
            && self.target.attribute.is_some_and(|found| found.name.is(attribute))
    }

    /// Whether this is what identifies an element: its sub-attribute `value`.
    fn is_value(&self) -> bool {
        self.target.sub.is_some_and(|sub| sub.name.is(well_known::VALUE))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::testing::{any_group, any_user, group_filter, resource_type, user_filter};
    use super::super::{Filter, Literal, Operator};
    use super::*;
    use crate::scim::catalog::Kind;
    use crate::scim::fold::fold;
    use crate::scim::path::AttrPath;

    #[test]
    fn one_equality_is_alone() {
        for (text, is_one) in [
            (r#"groups.value eq "g""#, true),
            (r#"groups[value eq "g"]"#, true),
            (r#"groups.value eq "g" and active eq true"#, false),
            (r#"groups.value ne "g""#, false),
            (r#"not (groups.value eq "g")"#, false),
            (r#"groups[value eq "g" and display eq "x"]"#, false),
            ("active eq true", false),
        ] {
            let filter = Filter::parse(text).unwrap();
            assert_eq!(
                filter.bind(resource_type(Kind::User)).unwrap().is_one_equality(),
                is_one,
                "{text}"
            );
        }
    }

    #[track_caller]
    fn check(kind: Kind, inputs: &[&str], expected: &Expect) {
        let mut table = String::new();
        for input in inputs {
            let filter = Filter::parse(input).unwrap();
            let bound = filter.bind(resource_type(kind)).unwrap();
            writeln!(table, "{input}").unwrap();
            for Equality { path, value } in bound.equalities() {
                writeln!(table, "  {path} = {value}").unwrap();
            }
            for attribute in ["members", "groups"] {
                if bound.usage(attribute) != Usage::Absent {
                    writeln!(table, "  {attribute}: {:?}", bound.usage(attribute)).unwrap();
                }
            }
        }
        expected.assert_eq(&table);
    }

    #[test]
    fn equalities_are_canonical_and_cannot_be_done_without() {
        check(
            Kind::User,
            &[
                r#"USERNAME eq "Ida""#,
                r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "Ida""#,
                r#"emails[type eq "work"].value eq "ida@ex.test""#,
                r#"emails eq "a" and emails.value eq "b""#,
                "URN:ietf:params:scim:schemas:extension:enterprise:2.0:User:EmployeeNumber eq 771",
                r#"id eq "u" and manager eq "m""#,
                r#"(externalId eq kbrown and (title pr)) and name.familyName eq "Ek""#,
                r#"schemas eq "urn:x""#,
                r#"userName eq "a" or userName eq "b""#,
                r#"not (userName eq "a")"#,
                r#"userName ne "a""#,
                r#"userName sw "a" and active eq true and meta.created eq "2026-01-01T00:00:00Z""#,
                "userName eq null",
                r#"emails[type eq "work" and (value eq "a" or value eq "b")]"#,
                r#"groups eq "G1""#,
                r#"groups.display co "x""#,
            ],
            &expect![[r#"
                USERNAME eq "Ida"
                  userName = Ida
                urn:ietf:params:scim:schemas:core:2.0:User:userName eq "Ida"
                  userName = Ida
                emails[type eq "work"].value eq "ida@ex.test"
                  emails.type = work
                  emails.value = ida@ex.test
                emails eq "a" and emails.value eq "b"
                  emails.value = a
                  emails.value = b
                URN:ietf:params:scim:schemas:extension:enterprise:2.0:User:EmployeeNumber eq 771
                  urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber = 771
                id eq "u" and manager eq "m"
                  id = u
                  urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value = m
                (externalId eq kbrown and (title pr)) and name.familyName eq "Ek"
                  externalId = kbrown
                  name.familyName = Ek
                schemas eq "urn:x"
                  schemas = urn:x
                userName eq "a" or userName eq "b"
                not (userName eq "a")
                userName ne "a"
                userName sw "a" and active eq true and meta.created eq "2026-01-01T00:00:00Z"
                userName eq null
                emails[type eq "work" and (value eq "a" or value eq "b")]
                  emails.type = work
                groups eq "G1"
                  groups.value = G1
                  groups: Values(["g1"])
                groups.display co "x"
                  groups: Whole
            "#]],
        );
    }

    #[test]
    fn members_are_needed_in_part_when_their_value_decides() {
        check(
            Kind::Group,
            &[
                r#"displayName eq "Eng""#,
                r#"id eq "g-1" and members eq "u-1""#,
                r#"members.value eq "U-1" or not (members eq "u-2") or members ne "u-1""#,
                r#"members[value eq "u-1" and type eq "User"]"#,
                r#"members[type eq "User"].value eq "u-1""#,
                r#"members[value eq "u-1" or value eq "u-2"]"#,
                r#"not (members[value eq "u-1" and not (type eq "User")])"#,
                r#"members[value eq "u-1" or type eq "User"]"#,
                r#"members[not (value eq "u-1")]"#,
                r#"members[value ne "u-1"]"#,
                r#"members[(value eq "u-1" or value eq "u-2") and value eq "u-3"]"#,
                r#"members eq "u-1" and members[type eq "User"]"#,
                r#"members co "u""#,
                "members pr",
                "members eq null",
                "members.value pr",
                r#"members.type eq "User""#,
            ],
            &expect![[r#"
                displayName eq "Eng"
                  displayName = Eng
                id eq "g-1" and members eq "u-1"
                  id = g-1
                  members.value = u-1
                  members: Values(["u-1"])
                members.value eq "U-1" or not (members eq "u-2") or members ne "u-1"
                  members: Values(["u-1", "u-2"])
                members[value eq "u-1" and type eq "User"]
                  members.value = u-1
                  members.type = User
                  members: Values(["u-1"])
                members[type eq "User"].value eq "u-1"
                  members.type = User
                  members.value = u-1
                  members: Values(["u-1"])
                members[value eq "u-1" or value eq "u-2"]
                  members: Values(["u-1", "u-2"])
                not (members[value eq "u-1" and not (type eq "User")])
                  members: Values(["u-1"])
                members[value eq "u-1" or type eq "User"]
                  members: Whole
                members[not (value eq "u-1")]
                  members: Whole
                members[value ne "u-1"]
                  members: Whole
                members[(value eq "u-1" or value eq "u-2") and value eq "u-3"]
                  members.value = u-3
                  members: Values(["u-3"])
                members eq "u-1" and members[type eq "User"]
                  members.value = u-1
                  members.type = User
                  members: Whole
                members co "u"
                  members: Whole
                members pr
                  members: Whole
                members eq null
                  members: Whole
                members.value pr
                  members: Whole
                members.type eq "User"
                  members.type = User
                  members: Whole
            "#]],
        );
    }

    fn equals(path: &str, value: &str) -> Filter {
        Filter::Compare {
            path: AttrPath::parse(path).unwrap(),
            operator: Operator::Eq,
            value: Literal::String(value.to_owned()),
        }
    }

    proptest! {
        #[test]
        fn every_equality_holds_in_what_matches(filter in user_filter(), user in any_user()) {
            let users = resource_type(Kind::User);
            let bound = filter.bind(users).unwrap();
            if bound.matches(&user) {
                for Equality { path, value } in bound.equalities() {
                    let equality = equals(&path, &value);
                    prop_assert!(equality.bind(users).unwrap().matches(&user), "{} = {}", path, value);
                }
            }
        }

        #[test]
        fn the_members_that_are_named_decide_as_all_do(filter in group_filter(), group in any_group()) {
            let bound = filter.bind(resource_type(Kind::Group)).unwrap();
            let mut part = group.clone();
            let members = part.get_mut("members").and_then(Value::as_array_mut).unwrap();
            match bound.usage("members") {
                Usage::Absent => members.clear(),
                Usage::Values(named) => members.retain(|member| {
                    named.contains(&fold(member["value"].as_str().unwrap()))
                }),
                Usage::Whole => {}
            }
            prop_assert_eq!(bound.matches(&part), bound.matches(&group), "{}", filter);
        }
    }
}
