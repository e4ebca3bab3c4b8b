//! The filter parser (RFC 7644 §3.4.2.2, figure 1), written by hand over a cursor.
//!
//! ```text
//! filter     = or
//! or         = and *( "or" and )
//! and        = term *( "and" term )
//! term       = [ "not" ] "(" or ")" / path "[" or "]" [ suffix ] / path test
//! test       = "pr" / operator value
//! suffix     = "." ATTRNAME test / operator value
//! operator   = "eq" / "ne" / "co" / "sw" / "ew" / "gt" / "ge" / "lt" / "le"
//! path       = [ URN ":" ] ATTRNAME [ "." ATTRNAME ]
//! value      = JSON string / JSON number / "true" / "false" / "null" / word
//! word       = 1*( anything but white space, control characters, quotes, parentheses and brackets )
//! ```
//!
//! `and` binds tighter than `or`; chains of one of them nest to the left. Words of the language are taken in any letter
//! case, white space may stand between any two of them. Inside brackets there are no further brackets. Two forms are not
//! the RFC's: `suffix`, which Entra sends (`emails[type eq "work"].value eq "x"`) and which is the same as
//! `emails[type eq "work" and value eq "x"]`; and `word`, a string without quotes, which Entra's documentation shows.
//!
//! It never looks at a schema. It recurses no deeper than `FILTER_DEPTH_MAX` and repeats no input in an error: what
//! stands in a filter is somebody's name or address.

use serde_json::Number;

use super::{Filter, Literal, Operator};
use crate::limits::{FILTER_BYTES_MAX, FILTER_DEPTH_MAX, FILTER_TERMS_MAX};
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::lex::{Cursor, is_space};
use crate::scim::path::AttrPath;
use crate::scim::well_known;

/// The test that takes no value.
const PRESENT: &str = "pr";

/// Reads a whole filter.
pub(super) fn parse(text: &str) -> Result<Filter, ScimError> {
    Parser::new(text, Scope::Resource)?.whole()
}

/// Reads what stands between the brackets of a value path, such as `type eq "work"`.
///
/// # Errors
/// 400 `invalidFilter` that names the position within the brackets.
pub(in crate::scim) fn parse_value_filter(text_inside_brackets: &str) -> Result<Filter, ScimError> {
    Parser::new(text_inside_brackets, Scope::Element)?.whole()
}

/// Takes the path of a PATCH operation apart: `emails[type eq "work"].value` is `emails`, `type eq "work"` and `value`.
/// Brackets within quoted strings are text. `None` when the text is not of the form `path[…]` or `path[…].sub`; the
/// parts themselves are not checked.
pub(in crate::scim) fn split_value_path(text: &str) -> Option<(&str, &str, Option<&str>)> {
    let mut cursor = Cursor::new(text.trim());
    let path = cursor.take_while(|c| c != '[').trim_end();
    if path.is_empty() || !cursor.eat('[') {
        return None;
    }
    let from_bracket = cursor.rest();
    let inside = loop {
        cursor.take_while(|c| c != '"' && c != ']');
        if cursor.peek()? == ']' {
            let inside_bytes = from_bracket.len().saturating_sub(cursor.rest().len());
            break from_bracket.get(..inside_bytes)?;
        }
        cursor.quoted()?;
    };
    cursor.eat(']');
    match cursor.rest() {
        "" => Some((path, inside, None)),
        rest => {
            let sub = rest.strip_prefix('.')?;
            (!sub.is_empty()).then_some((path, inside, Some(sub)))
        }
    }
}

/// Where the parser is: brackets do not stand within brackets (RFC 7644 figure 1, `valFilter`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Resource,
    Element,
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    scope: Scope,
    depth: usize,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, scope: Scope) -> Result<Self, ScimError> {
        if text.len() > FILTER_BYTES_MAX {
            let detail =
                format!("filter: longer than the {FILTER_BYTES_MAX} bytes that are allowed");
            return Err(ScimError::new(ErrorKind::InvalidFilter, detail));
        }
        Ok(Self { cursor: Cursor::new(text), scope, depth: 0, terms: 0 })
    }

    fn whole(mut self) -> Result<Filter, ScimError> {
        let filter = self.disjunction()?;
        self.cursor.skip_space();
        match self.cursor.peek() {
            None => Ok(filter),
            Some(_) => Err(self.expected("`and`, `or` or the end of the filter")),
        }
    }

    fn disjunction(&mut self) -> Result<Filter, ScimError> {
        let mut left = self.conjunction()?;
        while self.keyword("or") {
            left = Filter::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Filter, ScimError> {
        let mut left = self.term()?;
        while self.keyword("and") {
            left = Filter::And(Box::new(left), Box::new(self.term()?));
        }
        Ok(left)
    }

    fn term(&mut self) -> Result<Filter, ScimError> {
        self.cursor.skip_space();
        if self.cursor.peek() == Some('(') {
            return self.group();
        }
        // An attribute may be called `not`: only the parenthesis makes it the operator.
        let mut ahead = self.cursor;
        let is_not = ahead.take_while(is_word_char).eq_ignore_ascii_case("not");
        ahead.skip_space();
        if is_not && ahead.peek() == Some('(') {
            self.cursor = ahead;
            return Ok(Filter::Not(Box::new(self.group()?)));
        }
        let path = self.path()?;
        self.cursor.skip_space();
        if self.cursor.peek() == Some('[') {
            return self.value_path(path);
        }
        if is_not && !is_test(self.word_ahead()) {
            return Err(self.expected("a parenthesis after `not`"));
        }
        self.test(path)
    }

    /// `( filter )`
    fn group(&mut self) -> Result<Filter, ScimError> {
        self.enter()?;
        self.cursor.eat('(');
        let filter = self.disjunction()?;
        self.cursor.skip_space();
        if !self.cursor.eat(')') {
            return Err(self.expected("`and`, `or` or a closing parenthesis"));
        }
        self.leave();
        Ok(filter)
    }

    /// `[ filter ]` and, after it, Entra's comparison of one sub-attribute of the element that was found.
    fn value_path(&mut self, path: AttrPath) -> Result<Filter, ScimError> {
        if self.scope == Scope::Element {
            return Err(self.error("brackets cannot stand within brackets"));
        }
        self.enter()?;
        self.cursor.eat('[');
        self.scope = Scope::Element;
        let mut filter = self.disjunction()?;
        self.scope = Scope::Resource;
        self.cursor.skip_space();
        if !self.cursor.eat(']') {
            return Err(self.expected("`and`, `or` or a closing bracket"));
        }
        // A suffix puts what was in the brackets in parentheses of its own, hence one level more.
        if let Some(sub) = self.suffix()? {
            self.enter()?;
            filter = Filter::And(Box::new(filter), Box::new(self.test(sub)?));
            self.leave();
        }
        self.leave();
        Ok(Filter::ValuePath { path, filter: Box::new(filter) })
    }

    /// The sub-attribute that a comparison behind brackets is about: the one that is named, else `value`, because an
    /// older page of Entra's documentation had `emails[type eq "work"] eq "x"`.
    fn suffix(&mut self) -> Result<Option<AttrPath>, ScimError> {
        if self.cursor.peek() == Some('.') {
            self.cursor.eat('.');
            let at = self.cursor.position();
            let sub = self.path()?;
            if sub.urn().is_some() || sub.sub().is_some() {
                return Err(expected(at, "the name of one sub-attribute"));
            }
            self.cursor.skip_space();
            return Ok(Some(sub));
        }
        if Operator::parse(self.word_ahead()).is_none() {
            return Ok(None);
        }
        self.cursor.skip_space();
        Ok(AttrPath::parse(well_known::VALUE))
    }

    fn path(&mut self) -> Result<AttrPath, ScimError> {
        let at = self.cursor.position();
        let text = self.cursor.take_while(is_word_char);
        AttrPath::parse(text).ok_or_else(|| expected(at, "an attribute, such as userName"))
    }

    /// What is said about `path`: that it is present, or a comparison.
    fn test(&mut self, path: AttrPath) -> Result<Filter, ScimError> {
        self.terms += 1;
        if self.terms > FILTER_TERMS_MAX {
            return Err(self.error(&format!("more than {FILTER_TERMS_MAX} comparisons")));
        }
        let at = self.cursor.position();
        let word = self.cursor.take_while(is_word_char);
        if word.eq_ignore_ascii_case(PRESENT) {
            return Ok(Filter::Present(path));
        }
        let operator = Operator::parse(word)
            .ok_or_else(|| expected(at, "an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr"))?;
        let value = self.literal()?;
        Ok(Filter::Compare { path, operator, value })
    }

    fn literal(&mut self) -> Result<Literal, ScimError> {
        self.cursor.skip_space();
        let at = self.cursor.position();
        match self.cursor.peek() {
            Some('"') => {
                let quoted = self.cursor.quoted().ok_or_else(|| {
                    error(at, "the string that begins here has no closing quotation mark")
                })?;
                serde_json::from_str(quoted).map(Literal::String).map_err(|_| {
                    error(
                        at,
                        "the string that begins here is not a JSON string: control characters, \
                               quotation marks and backslashes must be escaped, surrogates paired",
                    )
                })
            }
            Some('\'') => {
                Err(expected(at, "a value; strings are written in double quotation marks"))
            }
            Some(_) | None => match self.cursor.take_while(is_word_char) {
                "" => Err(expected(at, "a value: a JSON string, a number, true, false or null")),
                word => Ok(bare(word)),
            },
        }
    }

    /// The next word, not yet stepped over.
    fn word_ahead(&self) -> &'a str {
        let mut ahead = self.cursor;
        ahead.skip_space();
        ahead.take_while(is_word_char)
    }

    /// Steps over `word` if it comes next, in any letter case.
    fn keyword(&mut self, word: &str) -> bool {
        let mut ahead = self.cursor;
        ahead.skip_space();
        let found = ahead.take_while(is_word_char).eq_ignore_ascii_case(word);
        if found {
            self.cursor = ahead;
        }
        found
    }

    fn enter(&mut self) -> Result<(), ScimError> {
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            return Err(self.error(&format!("nested deeper than {FILTER_DEPTH_MAX} levels")));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn expected(&self, what: &str) -> ScimError {
        expected(self.cursor.position(), what)
    }

    fn error(&self, what: &str) -> ScimError {
        error(self.cursor.position(), what)
    }
}

/// Whether `word` can stand behind a path.
fn is_test(word: &str) -> bool {
    word.eq_ignore_ascii_case(PRESENT) || Operator::parse(word).is_some()
}

/// What a value without quotes is. Numbers are JSON's, so `007` is a word, as an employee number has to be.
fn bare(word: &str) -> Literal {
    match serde_json::from_str::<Number>(word) {
        Ok(number) => Literal::Number(number),
        Err(_) if word.eq_ignore_ascii_case("true") => Literal::Bool(true),
        Err(_) if word.eq_ignore_ascii_case("false") => Literal::Bool(false),
        Err(_) if word.eq_ignore_ascii_case("null") => Literal::Null,
        Err(_) => Literal::String(word.to_owned()),
    }
}

/// What a path or a value without quotes is made of.
fn is_word_char(c: char) -> bool {
    !is_space(c) && !c.is_control() && !matches!(c, '"' | '(' | ')' | '[' | ']')
}

fn expected(position: usize, what: &str) -> ScimError {
    error(position, &format!("expected {what}"))
}

fn error(position: usize, what: &str) -> ScimError {
    ScimError::new(ErrorKind::InvalidFilter, format!("filter, character {position}: {what}"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::super::testing::{any_filter, any_group, any_user, resource_type};
    use super::*;
    use crate::scim::catalog::Kind;

    /// The tree, operator first, so that precedence can be seen.
    fn tree(filter: &Filter) -> String {
        match filter {
            Filter::And(left, right) => format!("(and {} {})", tree(left), tree(right)),
            Filter::Or(left, right) => format!("(or {} {})", tree(left), tree(right)),
            Filter::Not(filter) => format!("(not {})", tree(filter)),
            Filter::Compare { path, operator, value } => format!("({operator} {path} {value})"),
            Filter::Present(path) => format!("(pr {path})"),
            Filter::ValuePath { path, filter } => format!("({path} [{}])", tree(filter)),
        }
    }

    #[track_caller]
    fn check(inputs: &[&str], expected: &Expect) {
        let mut table = String::new();
        for input in inputs {
            let outcome = match Filter::parse(input) {
                Ok(filter) => tree(&filter),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidFilter);
                    error.detail().to_owned()
                }
            };
            let input: String =
                input.chars().map(|c| if c.is_control() { '␀' } else { c }).collect();
            writeln!(table, "{input}\n  {outcome}").unwrap();
        }
        expected.assert_eq(&table);
    }

    #[test]
    fn the_examples_of_rfc_7644_figure_2() {
        check(
            &[
                r#"userName eq "bjensen""#,
                r#"name.familyName co "O'Malley""#,
                r#"userName sw "J""#,
                r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
                "title pr",
                r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
                r#"title pr and userType eq "Employee""#,
                r#"title pr or userType eq "Intern""#,
                r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
                r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
                r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
                r#"userType eq "Employee" and (emails.type eq "work")"#,
                r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#,
                r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
            ],
            &expect![[r#"
                userName eq "bjensen"
                  (eq userName "bjensen")
                name.familyName co "O'Malley"
                  (co name.familyName "O'Malley")
                userName sw "J"
                  (sw userName "J")
                urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"
                  (sw urn:ietf:params:scim:schemas:core:2.0:User:userName "J")
                title pr
                  (pr title)
                meta.lastModified gt "2011-05-13T04:42:34Z"
                  (gt meta.lastModified "2011-05-13T04:42:34Z")
                title pr and userType eq "Employee"
                  (and (pr title) (eq userType "Employee"))
                title pr or userType eq "Intern"
                  (or (pr title) (eq userType "Intern"))
                schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
                  (eq schemas "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")
                userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")
                  (and (eq userType "Employee") (or (co emails "example.com") (co emails.value "example.org")))
                userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")
                  (and (ne userType "Employee") (not (or (co emails "example.com") (co emails.value "example.org"))))
                userType eq "Employee" and (emails.type eq "work")
                  (and (eq userType "Employee") (eq emails.type "work"))
                userType eq "Employee" and emails[type eq "work" and value co "@example.com"]
                  (and (eq userType "Employee") (emails [(and (eq type "work") (co value "@example.com"))]))
                emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]
                  (or (emails [(and (eq type "work") (co value "@example.com"))]) (ims [(and (eq type "xmpp") (co value "@foo.com"))]))
            "#]],
        );
    }

    #[test]
    fn and_binds_tighter_than_or_and_chains_nest_to_the_left() {
        check(
            &[
                "a pr or b pr and c pr",
                "a pr and b pr or c pr",
                "(a pr or b pr) and c pr",
                "a pr and b pr and c pr",
                "a pr and (b pr and c pr)",
                "a pr or b pr or c pr",
                "not (a pr) and b pr",
                "not (not (a pr))",
                r#"((a eq "b"))"#,
            ],
            &expect![[r#"
                a pr or b pr and c pr
                  (or (pr a) (and (pr b) (pr c)))
                a pr and b pr or c pr
                  (or (and (pr a) (pr b)) (pr c))
                (a pr or b pr) and c pr
                  (and (or (pr a) (pr b)) (pr c))
                a pr and b pr and c pr
                  (and (and (pr a) (pr b)) (pr c))
                a pr and (b pr and c pr)
                  (and (pr a) (and (pr b) (pr c)))
                a pr or b pr or c pr
                  (or (or (pr a) (pr b)) (pr c))
                not (a pr) and b pr
                  (and (not (pr a)) (pr b))
                not (not (a pr))
                  (not (not (pr a)))
                ((a eq "b"))
                  (eq a "b")
            "#]],
        );
    }

    #[test]
    fn words_are_taken_in_any_case_and_with_any_white_space() {
        check(
            &[
                r#"USERNAME EQ "x" AND Title PR Or NOT(active eq TRUE)"#,
                r#"(userName eq "x")and(title pr)"#,
                r#"userName eq"x"and title pr"#,
                "not(title pr)",
                r#"emails [ type eq "work" ] and title pr"#,
                "not pr and and eq or or pr co pr",
            ],
            &expect![[r#"
                USERNAME EQ "x" AND Title PR Or NOT(active eq TRUE)
                  (or (and (eq USERNAME "x") (pr Title)) (not (eq active true)))
                (userName eq "x")and(title pr)
                  (and (eq userName "x") (pr title))
                userName eq"x"and title pr
                  (and (eq userName "x") (pr title))
                not(title pr)
                  (not (pr title))
                emails [ type eq "work" ] and title pr
                  (and (emails [(eq type "work")]) (pr title))
                not pr and and eq or or pr co pr
                  (or (and (pr not) (eq and "or")) (co pr "pr"))
            "#]],
        );
    }

    #[test]
    fn white_space_around_a_filter_is_nothing() {
        let plain = Filter::parse(r#"userName eq "x""#).unwrap();
        assert_eq!(Filter::parse("  userName\teq\r\n\"x\"  "), Ok(plain));
        assert!(Filter::parse("  ").is_err());
        assert!(Filter::parse("userName\u{a0}eq \"x\"").is_err());
    }

    #[test]
    fn literals_are_json_scalars() {
        check(
            &[
                r#"a eq "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 é]) and""#,
                r#"a eq """#,
                "a eq 0",
                "a eq -12.5e3",
                "a eq 18446744073709551615",
                "a eq True and b eq FALSE and c eq nULL",
            ],
            &expect![[r#"
                a eq "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 é]) and"
                  (eq a "\"\\/\b\f\n\r\té😀 é]) and")
                a eq ""
                  (eq a "")
                a eq 0
                  (eq a 0)
                a eq -12.5e3
                  (eq a -12500.0)
                a eq 18446744073709551615
                  (eq a 18446744073709551615)
                a eq True and b eq FALSE and c eq nULL
                  (and (and (eq a true) (eq b false)) (eq c null))
            "#]],
        );
    }

    #[test]
    fn entra_s_forms() {
        check(
            &[
                r#"emails[type eq "work"].value eq "x""#,
                r#"emails[type eq "work"].Value pr"#,
                r#"emails[type eq "work"] eq "x""#,
                r#"emails[type eq "work" or type eq "home"].value eq "x" and title pr"#,
                r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq "771""#,
                "externalId eq kbrown",
                "(externalId eq k.brown@ex.test)",
                "externalId eq 007 and title eq O'Hara",
                "externalId eq trueish or id eq 1e999",
                "emails[type eq work]",
            ],
            &expect![[r#"
                emails[type eq "work"].value eq "x"
                  (emails [(and (eq type "work") (eq value "x"))])
                emails[type eq "work"].Value pr
                  (emails [(and (eq type "work") (pr Value))])
                emails[type eq "work"] eq "x"
                  (emails [(and (eq type "work") (eq value "x"))])
                emails[type eq "work" or type eq "home"].value eq "x" and title pr
                  (and (emails [(and (or (eq type "work") (eq type "home")) (eq value "x"))]) (pr title))
                urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq "771"
                  (eq urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber "771")
                externalId eq kbrown
                  (eq externalId "kbrown")
                (externalId eq k.brown@ex.test)
                  (eq externalId "k.brown@ex.test")
                externalId eq 007 and title eq O'Hara
                  (and (eq externalId "007") (eq title "O'Hara"))
                externalId eq trueish or id eq 1e999
                  (or (eq externalId "trueish") (eq id "1e999"))
                emails[type eq work]
                  (emails [(eq type "work")])
            "#]],
        );
    }

    #[test]
    fn errors_name_the_position() {
        check(
            &[
                "",
                "userName",
                "userName eq",
                r#"userName zz "x""#,
                r#"userName eq5 "x""#,
                r#"userName eq "x" title pr"#,
                r#"userName eq "x" and"#,
                r#"userName eq "x" xor title pr"#,
                r#""x" eq userName"#,
                r#"üserName eq "x""#,
                r#"a.b.c eq "x""#,
                "(title pr",
                "title pr)",
                "()",
                "not title pr",
            ],
            &expect![[r#"

                  filter, character 1: expected an attribute, such as userName
                userName
                  filter, character 9: expected an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr
                userName eq
                  filter, character 12: expected a value: a JSON string, a number, true, false or null
                userName zz "x"
                  filter, character 10: expected an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr
                userName eq5 "x"
                  filter, character 10: expected an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr
                userName eq "x" title pr
                  filter, character 17: expected `and`, `or` or the end of the filter
                userName eq "x" and
                  filter, character 20: expected an attribute, such as userName
                userName eq "x" xor title pr
                  filter, character 17: expected `and`, `or` or the end of the filter
                "x" eq userName
                  filter, character 1: expected an attribute, such as userName
                üserName eq "x"
                  filter, character 1: expected an attribute, such as userName
                a.b.c eq "x"
                  filter, character 1: expected an attribute, such as userName
                (title pr
                  filter, character 10: expected `and`, `or` or a closing parenthesis
                title pr)
                  filter, character 9: expected `and`, `or` or the end of the filter
                ()
                  filter, character 2: expected an attribute, such as userName
                not title pr
                  filter, character 5: expected a parenthesis after `not`
            "#]],
        );
    }

    #[test]
    fn errors_in_brackets() {
        check(
            &[
                "emails[]",
                r#"emails[type eq "work""#,
                r#"emails[type eq "work"]]"#,
                r#"emails[ims[type eq "x"]]"#,
                r#"emails[type eq "work"]."#,
                r#"emails[type eq "work"].value"#,
                r#"emails[type eq "work"].a.b eq "x""#,
                r#"emails[type eq "work"] pr"#,
            ],
            &expect![[r#"
                emails[]
                  filter, character 8: expected an attribute, such as userName
                emails[type eq "work"
                  filter, character 22: expected `and`, `or` or a closing bracket
                emails[type eq "work"]]
                  filter, character 23: expected `and`, `or` or the end of the filter
                emails[ims[type eq "x"]]
                  filter, character 11: brackets cannot stand within brackets
                emails[type eq "work"].
                  filter, character 24: expected an attribute, such as userName
                emails[type eq "work"].value
                  filter, character 29: expected an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr
                emails[type eq "work"].a.b eq "x"
                  filter, character 24: expected the name of one sub-attribute
                emails[type eq "work"] pr
                  filter, character 24: expected `and`, `or` or the end of the filter
            "#]],
        );
    }

    #[test]
    fn errors_in_values_never_repeat_the_value() {
        check(
            &[
                r#"userName eq "x"#,
                r#"userName eq "\x""#,
                r#"userName eq "\ud800""#,
                r#"userName eq "\udc00\ud800""#,
                "userName eq \"a\nb\"",
                "userName eq \"a\0b\"",
                "userName eq a\0b",
                "\0",
                "userName eq 'x'",
                r#"userName eq {"a":1}"#,
                "userName eq [1]",
            ],
            &expect![[r#"
                userName eq "x
                  filter, character 13: the string that begins here has no closing quotation mark
                userName eq "\x"
                  filter, character 13: the string that begins here is not a JSON string: control characters, quotation marks and backslashes must be escaped, surrogates paired
                userName eq "\ud800"
                  filter, character 13: the string that begins here is not a JSON string: control characters, quotation marks and backslashes must be escaped, surrogates paired
                userName eq "\udc00\ud800"
                  filter, character 13: the string that begins here is not a JSON string: control characters, quotation marks and backslashes must be escaped, surrogates paired
                userName eq "a␀b"
                  filter, character 13: the string that begins here is not a JSON string: control characters, quotation marks and backslashes must be escaped, surrogates paired
                userName eq "a␀b"
                  filter, character 13: the string that begins here is not a JSON string: control characters, quotation marks and backslashes must be escaped, surrogates paired
                userName eq a␀b
                  filter, character 14: expected `and`, `or` or the end of the filter
                ␀
                  filter, character 1: expected an attribute, such as userName
                userName eq 'x'
                  filter, character 13: expected a value; strings are written in double quotation marks
                userName eq {"a":1}
                  filter, character 14: expected `and`, `or` or the end of the filter
                userName eq [1]
                  filter, character 13: expected a value: a JSON string, a number, true, false or null
            "#]],
        );
    }

    #[test]
    fn every_bound_is_an_error_and_no_recursion() {
        let nested = |levels: usize| format!("{}a pr{}", "(".repeat(levels), ")".repeat(levels));
        let joined = |terms: usize| vec!["a pr"; terms].join(" and ");
        let beside = vec!["(a pr)"; FILTER_DEPTH_MAX + 1].join(" and ");
        for good in [nested(FILTER_DEPTH_MAX), joined(FILTER_TERMS_MAX), beside] {
            assert!(Filter::parse(&good).is_ok());
        }
        for (bad, detail) in [
            (nested(FILTER_DEPTH_MAX + 1), "filter, character 33: nested deeper than 32 levels"),
            (nested(1_500), "filter, character 33: nested deeper than 32 levels"),
            ("(".repeat(1_500), "filter, character 33: nested deeper than 32 levels"),
            ("not (".repeat(1_500), "filter, character 165: nested deeper than 32 levels"),
            ("a[".repeat(1_500), "filter, character 4: brackets cannot stand within brackets"),
            ("[".repeat(1_500), "filter, character 1: expected an attribute, such as userName"),
            (joined(FILTER_TERMS_MAX + 1), "filter, character 903: more than 100 comparisons"),
            ("a".repeat(50_000), "filter: longer than the 8192 bytes that are allowed"),
        ] {
            let error = Filter::parse(&bad).unwrap_err();
            assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidFilter, detail));
        }
    }

    #[test]
    fn what_is_printed_is_never_deeper_than_what_was_read() {
        let wrap = |inner: &str| {
            let levels = FILTER_DEPTH_MAX - 2;
            format!("{}{inner}{}", "not (".repeat(levels), ")".repeat(levels))
        };
        let filter = Filter::parse(&wrap("e[a pr or b pr].c pr")).unwrap();
        assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
        assert!(Filter::parse(&wrap("(e[a pr or b pr].c pr)")).is_err());
    }

    #[test]
    fn value_paths_are_taken_apart_outside_quotes_only() {
        for (text, parts) in [
            (r#"emails[type eq "work"]"#, Some(("emails", r#"type eq "work""#, None))),
            (
                r#"emails[type eq "work"].value"#,
                Some(("emails", r#"type eq "work""#, Some("value"))),
            ),
            (r#" members [value eq "u]1"] "#, Some(("members", r#"value eq "u]1""#, None))),
            (r#"a[b eq "\"]"].c"#, Some(("a", r#"b eq "\"]""#, Some("c")))),
            (r#"a[b eq "\\"].c"#, Some(("a", r#"b eq "\\""#, Some("c")))),
            (
                "urn:ietf:params:scim:schemas:core:2.0:User:emails[primary eq true].value",
                Some((
                    "urn:ietf:params:scim:schemas:core:2.0:User:emails",
                    "primary eq true",
                    Some("value"),
                )),
            ),
            ("a[]", Some(("a", "", None))),
            ("a[é].ü", Some(("a", "é", Some("ü")))),
            ("emails", None),
            ("emails.value", None),
            ("", None),
            ("[type pr]", None),
            ("a[", None),
            ("a[b", None),
            (r#"a[b eq "]"#, None),
            ("a[b].", None),
            ("a[b]c", None),
            ("a[b]]", None),
        ] {
            assert_eq!(split_value_path(text), parts, "{text}");
        }
    }

    #[test]
    fn brackets_hold_a_filter_without_brackets() {
        let filter = parse_value_filter(r#"value eq "u1""#).unwrap();
        assert_eq!(tree(&filter), r#"(eq value "u1")"#);
        for bad in ["", "emails[type pr]", r#"value eq "u1"]"#] {
            assert!(parse_value_filter(bad).is_err(), "{bad}");
        }
    }

    /// Texts that get further into the parser than random characters do.
    fn soup() -> impl Strategy<Value = String> {
        let token = proptest::sample::select(vec![
            "userName",
            "emails",
            "emails[",
            "]",
            "].value",
            "(",
            ")",
            "not",
            "not (",
            "and",
            "or",
            "eq",
            "ne",
            "co",
            "gt",
            "pr",
            "\"a\"",
            "\"\\u00e9",
            "true",
            "null",
            "12",
            "kbrown",
            "type",
            "value",
            "urn:ietf:params:scim:schemas:core:2.0:User:title",
            "members",
            "active",
            "meta.created",
            "\"2026-01-01T00:00:00Z\"",
            "é",
            "\0",
            ".",
            "'",
        ]);
        proptest::collection::vec(token, 0..14).prop_map(|tokens| tokens.join(" "))
    }

    proptest! {
        #[test]
        fn parsing_what_is_printed_gives_the_same_filter(filter in any_filter()) {
            let text = filter.to_string();
            prop_assume!(text.len() <= FILTER_BYTES_MAX);
            prop_assert_eq!(Filter::parse(&text), Ok(filter), "{}", text);
        }

        #[test]
        fn any_text_is_a_filter_or_an_error(
            text in prop_oneof![any::<String>(), soup()],
            user in any_user(),
            group in any_group(),
        ) {
            split_value_path(&text);
            if let Ok(filter) = Filter::parse(&text) {
                prop_assert_eq!(&Filter::parse(&filter.to_string()), &Ok(filter.clone()));
                for (kind, resource) in [(Kind::User, &user), (Kind::Group, &group)] {
                    if let Ok(bound) = filter.bind(resource_type(kind)) {
                        bound.matches(resource);
                        bound.equalities();
                        bound.usage("members");
                    }
                }
            }
        }

        #[test]
        fn a_printed_value_path_comes_apart_into_its_parts(filter in any_filter()) {
            if let Filter::ValuePath { path, filter } = filter {
                let text = format!("{path}[{filter}].value");
                let (before, inside, sub) = split_value_path(&text).unwrap();
                prop_assert_eq!(AttrPath::parse(before), Some(path));
                prop_assert_eq!(parse_value_filter(inside), Ok(*filter));
                prop_assert_eq!(sub, Some("value"));
            }
        }
    }
}
