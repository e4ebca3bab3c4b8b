//! Filters (RFC 7644 §3.4.2.2): the language, and what a filter means for a resource type.
//!
//! Syntax and meaning are two types. [`Filter`] is what was written; [`Bound`] is a filter of which every path is an
//! attribute of the schema and every comparison one that the attribute's type allows. Only a `Bound` can be evaluated,
//! so an unknown attribute is refused and never ignored: an ignored filter would give out the whole list.

mod access;
mod bind;
mod eval;
mod parse;
#[cfg(test)]
mod testing;

use std::fmt;

use serde_json::{Number, Value};

pub use access::{Equality, Usage};
pub use bind::Bound;
pub(in crate::scim) use eval::{matches_element, number_order};
pub(in crate::scim) use parse::{parse_value_filter, split_value_path};

use super::catalog::ResourceType;
use super::error::ScimError;
use super::path::AttrPath;

/// A comparison operator (RFC 7644 §3.4.2.2, table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal: exactly when `eq` does not hold.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
}

impl Operator {
    /// Every comparison operator, in the order of the RFC's table.
    pub const ALL: [Self; 9] =
        [Self::Eq, Self::Ne, Self::Co, Self::Sw, Self::Ew, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    /// The operator as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    /// The operator that is written like that, in any letter case (RFC 7644 §3.4.2.2).
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.as_str().eq_ignore_ascii_case(text))
    }
}

/// What an attribute is compared with: a JSON value that is neither an object nor an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// A string, escapes resolved.
    String(String),
    /// A number.
    Number(Number),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
}

/// A filter as it was written. `Display` gives text that parses to the same filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Both hold. Binds tighter than [`Filter::Or`].
    And(Box<Filter>, Box<Filter>),
    /// One of the two holds, or both.
    Or(Box<Filter>, Box<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// `path operator value`.
    Compare {
        /// What is compared.
        path: AttrPath,
        /// How.
        operator: Operator,
        /// With what.
        value: Literal,
    },
    /// `path pr`.
    Present(AttrPath),
    /// `path[filter]`: one element of `path` fits the whole filter.
    ValuePath {
        /// The attribute whose elements are looked at.
        path: AttrPath,
        /// What one of them has to fit; its paths are sub-attributes. It holds no further value path.
        filter: Box<Filter>,
    },
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// 400 `invalidFilter` that names the position, when the text is not a filter or exceeds a bound.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        parse::parse(text)
    }

    /// Looks every path up in the schemas of `resource_type`.
    ///
    /// # Errors
    /// 400 `invalidFilter` that names the attribute, when the schemas lack it, when its type does not allow the operator
    /// or cannot be compared with the value (RFC 7644 §3.12, table 9), or when it is never given out.
    pub fn bind<'a>(&self, resource_type: &'a ResourceType) -> Result<Bound<'a>, ScimError> {
        bind::bind(self, resource_type, &[])
    }

    /// As [`Filter::bind`], where resources of several types are looked for at once (RFC 7644 §3.4.2.1): what only the
    /// others have is an attribute without a value.
    ///
    /// # Errors
    /// As [`Filter::bind`]; an attribute that none of the types has is refused.
    pub fn bind_among<'a>(
        &self,
        resource_type: &'a ResourceType,
        all: &'a [&'a ResourceType],
    ) -> Result<Bound<'a>, ScimError> {
        bind::bind(self, resource_type, all)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(f, "{}", Value::from(text.as_str())),
            Self::Number(number) => write!(f, "{number}"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Null => f.write_str("null"),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The parser nests chains to the left: a chain on the right keeps its parentheses.
            Self::And(left, right) => {
                operand(f, left, |left| matches!(left, Self::Or(..)))?;
                f.write_str(" and ")?;
                operand(f, right, |right| matches!(right, Self::Or(..) | Self::And(..)))
            }
            Self::Or(left, right) => {
                write!(f, "{left} or ")?;
                operand(f, right, |right| matches!(right, Self::Or(..)))
            }
            Self::Not(filter) => write!(f, "not ({filter})"),
            Self::Compare { path, operator, value } => write!(f, "{path} {operator} {value}"),
            Self::Present(path) => write!(f, "{path} pr"),
            Self::ValuePath { path, filter } => write!(f, "{path}[{filter}]"),
        }
    }
}

/// Writes one side of `and` or `or`, in parentheses where it would be read differently without.
fn operand(
    f: &mut fmt::Formatter<'_>,
    filter: &Filter,
    needs_parentheses: impl Fn(&Filter) -> bool,
) -> fmt::Result {
    if needs_parentheses(filter) { write!(f, "({filter})") } else { write!(f, "{filter}") }
}
