//! The path of a PATCH operation (RFC 7644 §3.5.2, figure 7) and the place in a resource type that it names.
//!
//! ```text
//! PATH      = attrPath / valuePath [subAttr]
//! valuePath = attrPath "[" valFilter "]"
//! ```
//!
//! A schema's URN by itself names that schema's attributes as a whole. Names and URNs are taken in any letter case; a
//! path that the schemas know nothing of is no error (see [`PatchPath::place`]), a path that is no path is one.

use std::fmt;

use serde_json::{Map, Value};

use crate::scim::catalog::ResourceType;
use crate::scim::coerce;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::filter::{self, Filter, Literal, Operator};
use crate::scim::name::AttrName;
use crate::scim::path::AttrPath;
use crate::scim::schema::{Attribute, Schema, Type};
use crate::scim::{validate, well_known};

/// A parsed path. `Display` gives text that parses to the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::scim) enum PatchPath {
    /// A schema as a whole, by its URN.
    Schema(String),
    /// An attribute, some of its values, or a sub-attribute of them.
    Attribute {
        /// The attribute; without a filter, perhaps the sub-attribute, too.
        path: AttrPath,
        /// Which values.
        filter: Option<Filter>,
        /// The sub-attribute behind the filter.
        sub: Option<AttrName>,
    },
}

/// What a path names in a resource type.
#[derive(Clone, Copy, Debug)]
pub(in crate::scim) enum Place<'a> {
    /// The core schema's attributes as a whole.
    Core,
    /// An extension's attributes as a whole.
    Extension(&'a Schema),
    /// An attribute or a part of it.
    Attribute(Spot<'a>),
}

/// An attribute or a part of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::scim) struct Spot<'a> {
    /// The extension that holds the attribute; none for core and common attributes.
    pub(in crate::scim) extension: Option<&'a Schema>,
    /// The attribute.
    pub(in crate::scim) attribute: &'a Attribute,
    /// Which of its values.
    pub(in crate::scim) filter: Option<&'a Filter>,
    /// Which part of them.
    pub(in crate::scim) sub: Option<&'a Attribute>,
}

impl PatchPath {
    /// Reads a path; `resource_type` tells a URN that ends like an attribute from one that is a whole schema's.
    ///
    /// # Errors
    /// 400 `invalidPath` when the text does not fit the grammar.
    pub(in crate::scim) fn parse(rt: &ResourceType, text: &str) -> Result<Self, ScimError> {
        let text = text.trim();
        if let Some(urn) = rt.urns().find(|urn| urn.eq_ignore_ascii_case(text)) {
            return Ok(Self::Schema(urn.to_owned()));
        }
        if !text.contains('[') {
            let path = AttrPath::parse(text).ok_or_else(|| invalid(UNREADABLE))?;
            return Ok(Self::Attribute { path, filter: None, sub: None });
        }
        let (path, inside, sub) =
            filter::split_value_path(text).ok_or_else(|| invalid(UNREADABLE))?;
        let path = AttrPath::parse(path)
            .filter(|path| path.sub().is_none())
            .ok_or_else(|| invalid(UNREADABLE))?;
        let filter = filter::parse_value_filter(inside).map_err(|error| invalid(error.detail()))?;
        let sub = match sub {
            None => None,
            Some(sub) => Some(AttrName::parse(sub).ok_or_else(|| invalid(UNREADABLE))?),
        };
        Ok(Self::Attribute { path, filter: Some(filter), sub })
    }

    /// What the path names. `None` when the schemas lack the attribute, the sub-attribute or one that the filter asks
    /// for: an admin mapped it, this server does not have it, and refusing the request would lose what stands beside
    /// it.
    ///
    /// # Errors
    /// 400 `invalidPath` when the filter stands where there is nothing to choose from, or compares what cannot be
    /// compared.
    pub(in crate::scim) fn place<'a>(
        &'a self,
        rt: &'a ResourceType,
    ) -> Result<Option<Place<'a>>, ScimError> {
        let (path, filter, sub) = match self {
            Self::Schema(urn) => {
                return Ok(Some(rt.extension(urn).map_or(Place::Core, Place::Extension)));
            }
            Self::Attribute { path, filter, sub } => (path, filter.as_ref(), sub.as_ref()),
        };
        let Some(target) = rt.resolve(path) else { return Ok(None) };
        let Some(attribute) = target.attribute else {
            return Ok(target.extension.map(Place::Extension));
        };
        let sub = match sub {
            None => target.sub,
            Some(name) => match attribute.sub(name) {
                None => return Ok(None),
                found => found,
            },
        };
        let spot = Spot { extension: target.extension, attribute, filter, sub };
        // Whom a filter on members selects is for the member rules to say; they refuse what they do not know.
        if let Some(filter) = filter.filter(|_| !validate::is_stored_apart(rt, &spot)) {
            if !attribute.multi_valued {
                let name = &attribute.name;
                return Err(invalid(&format!("{name} has a single value: no filter can choose")));
            }
            if !is_known(filter, attribute) {
                return Ok(None);
            }
            matches(filter, attribute, &Value::Object(Map::new()))?;
        }
        Ok(Some(Place::Attribute(spot)))
    }

    /// The same path with a sub-attribute behind it.
    #[must_use]
    pub(in crate::scim) fn with_sub(&self, name: &AttrName) -> Self {
        match self {
            Self::Schema(_) => self.clone(),
            Self::Attribute { path, filter: None, sub } => Self::Attribute {
                path: path.with_sub(name.clone()).unwrap_or_else(|| path.clone()),
                filter: None,
                sub: sub.clone(),
            },
            Self::Attribute { path, filter, sub: _ } => Self::Attribute {
                path: path.clone(),
                filter: filter.clone(),
                sub: Some(name.clone()),
            },
        }
    }
}

impl<'a> Spot<'a> {
    /// The attribute whose values are written: the sub-attribute if there is one.
    pub(in crate::scim) fn leaf(&self) -> &'a Attribute {
        self.sub.unwrap_or(self.attribute)
    }

    /// How errors name it.
    pub(in crate::scim) fn label(&self) -> String {
        match self.sub {
            None => self.attribute.name.to_string(),
            Some(sub) => format!("{}.{}", self.attribute.name, sub.name),
        }
    }

    /// Whether a client's value for it is kept.
    pub(in crate::scim) fn is_kept(&self) -> bool {
        coerce::is_kept(self.attribute) && coerce::is_kept(self.leaf())
    }

    /// Whether the filter compares a boolean with a string, as in `primary eq "True"`.
    pub(in crate::scim) fn quotes_boolean(&self) -> bool {
        self.filter.is_some_and(|filter| quotes_boolean(filter, self.attribute))
    }

    /// Whether `entry` is one of the values that it selects; without a filter each one is.
    pub(in crate::scim) fn selects(&self, entry: &Value) -> Result<bool, ScimError> {
        match self.filter {
            None => Ok(true),
            Some(filter) => matches(filter, self.attribute, entry),
        }
    }

    /// What a new entry begins with so that the filter selects it. Entra replaces
    /// `emails[type eq "work"].value` where there is no such entry, and expects one. `None` unless the filter is made
    /// of `eq` comparisons that all have to hold.
    pub(in crate::scim) fn beginnings(&self) -> Option<Map<String, Value>> {
        let mut entry = Map::new();
        match self.filter {
            None => Some(entry),
            Some(filter) => collect_terms(filter, self.attribute, &mut entry).then_some(entry),
        }
    }
}

impl fmt::Display for PatchPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(urn) => f.write_str(urn),
            Self::Attribute { path, filter, sub } => {
                write!(f, "{path}")?;
                if let Some(filter) = filter {
                    write!(f, "[{filter}]")?;
                }
                match sub {
                    None => Ok(()),
                    Some(sub) => write!(f, ".{sub}"),
                }
            }
        }
    }
}

const UNREADABLE: &str =
    "not an attribute path such as title, name.givenName or emails[type eq \"work\"].value";

fn invalid(why: &str) -> ScimError {
    ScimError::new(ErrorKind::InvalidPath, format!("path: {why}"))
}

fn matches(filter: &Filter, attribute: &Attribute, entry: &Value) -> Result<bool, ScimError> {
    filter::matches_element(filter, attribute, entry).map_err(|error| invalid(error.detail()))
}

/// Whether the schema has every sub-attribute that `filter` asks for. A list of simple values has `value` alone.
fn is_known(filter: &Filter, attribute: &Attribute) -> bool {
    let has = |path: &AttrPath| {
        let is_plain = attribute.sub_attributes.is_empty() && path.name().is(well_known::VALUE);
        is_plain || attribute.sub(path.name()).is_some()
    };
    match filter {
        Filter::And(left, right) | Filter::Or(left, right) => {
            is_known(left, attribute) && is_known(right, attribute)
        }
        Filter::Not(inner) => is_known(inner, attribute),
        Filter::Compare { path, operator: _, value: _ }
        | Filter::Present(path)
        | Filter::ValuePath { path, filter: _ } => has(path),
    }
}

fn quotes_boolean(filter: &Filter, attribute: &Attribute) -> bool {
    match filter {
        Filter::And(left, right) | Filter::Or(left, right) => {
            quotes_boolean(left, attribute) || quotes_boolean(right, attribute)
        }
        Filter::Not(inner) => quotes_boolean(inner, attribute),
        Filter::Compare { path, operator: _, value: Literal::String(_) } => {
            attribute.sub(path.name()).is_some_and(|sub| sub.kind == Type::Boolean)
        }
        Filter::Compare { .. } | Filter::Present(_) | Filter::ValuePath { .. } => false,
    }
}

/// Whether `filter` is a conjunction of `eq` comparisons, whose values go to `entry`.
fn collect_terms(filter: &Filter, attribute: &Attribute, entry: &mut Map<String, Value>) -> bool {
    match filter {
        Filter::And(left, right) => {
            collect_terms(left, attribute, entry) && collect_terms(right, attribute, entry)
        }
        Filter::Compare { path, operator: Operator::Eq, value } => {
            let Some(sub) = attribute.sub(path.name()).filter(|sub| coerce::is_kept(sub)) else {
                return false;
            };
            let value = match value {
                Literal::String(text) => Value::from(text.as_str()),
                // A word of digits without quotes is text where the attribute is.
                Literal::Number(number) if sub.kind == Type::String => number.to_string().into(),
                Literal::Number(number) => Value::Number(number.clone()),
                Literal::Bool(flag) => Value::Bool(*flag),
                Literal::Null => Value::Null,
            };
            match coerce::value(sub, &value, sub.name.as_str()) {
                Ok(Some(value)) => entry.insert(sub.name.to_string(), value).is_none(),
                Ok(None) | Err(_) => false,
            }
        }
        Filter::Or(..)
        | Filter::Not(_)
        | Filter::Compare { .. }
        | Filter::Present(_)
        | Filter::ValuePath { .. } => false,
    }
}
