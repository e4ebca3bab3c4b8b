//! What a column of a table names: the place that its cells fill in a request body (for `scimctl import`).
//!
//! A heading is an attribute path, a value path such as `emails[type eq "work"].value`, or the short form `emails.work` for
//! one of the schema's canonical types. The schema decides what it is; a heading that names nothing, or something that no
//! client may write, is refused with what was meant, perhaps. The cells are judged later, as values of a body.

use std::fmt;

use serde_json::{Number, Value};

use super::catalog::ResourceType;
use super::coerce;
use super::name::AttrName;
use super::patch::{PatchPath, Place, Spot};
use super::schema::{Attribute, Schema, Type};
use super::well_known;

/// Names that an error proposes.
const PROPOSED_MAX: usize = 3;

/// A column whose cells are values of one attribute. It is built from a heading and the schemas only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    path: String,
    kind: Type,
    selects: bool,
}

/// Why a heading names no column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnError {
    /// The schemas have no such attribute; what may have been meant.
    Unknown(Vec<String>),
    /// It has parts, and no value of its own; how they are named.
    Whole(Vec<String>),
    /// It names a part of each value of a list; how one value's is named.
    EachValue(String),
    /// Nobody but the server writes it, or nobody reads it.
    NotKept,
    /// It is a path that cannot be read, or chooses from what has no choice; why.
    Unreadable(String),
}

impl fmt::Display for ColumnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(near) if near.is_empty() => {
                f.write_str("the schemas have no such attribute")
            }
            Self::Unknown(near) => {
                write!(f, "the schemas have no such attribute; perhaps {}", near.join(" or "))
            }
            Self::Whole(parts) => {
                write!(f, "it has parts; name one of them: {}", parts.join(", "))
            }
            Self::EachValue(example) => {
                write!(f, "it is a part of each value of a list; say of which one: {example}")
            }
            Self::NotKept => {
                f.write_str("an import cannot set it; take the column out or rename it")
            }
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ColumnError {}

impl Column {
    /// Reads a heading.
    ///
    /// # Errors
    /// [`ColumnError`], when no cell below it could be stored.
    pub fn parse(rt: &ResourceType, heading: &str) -> Result<Self, ColumnError> {
        let heading = heading.trim();
        let unreadable =
            |detail: &str| ColumnError::Unreadable(detail.trim_start_matches("path: ").to_owned());
        let path = match PatchPath::parse(rt, heading) {
            Ok(path) => Some(path),
            Err(error) if heading.contains('[') => return Err(unreadable(error.detail())),
            Err(_) => None,
        };
        let place = match &path {
            Some(path) => path.place(rt).map_err(|error| unreadable(error.detail()))?,
            None => None,
        };
        match place {
            Some(Place::Core) => Err(ColumnError::Whole(names(&rt.schema, ""))),
            Some(Place::Extension(schema)) => {
                Err(ColumnError::Whole(names(schema, &format!("{}:", schema.urn))))
            }
            Some(Place::Attribute(spot)) => Self::of(&spot),
            None => match long_form(rt, heading) {
                Some(long) => Self::parse(rt, &long),
                None => Err(ColumnError::Unknown(near(rt, heading))),
            },
        }
    }

    fn of(spot: &Spot<'_>) -> Result<Self, ColumnError> {
        let attribute = spot.attribute;
        if !spot.is_kept() {
            return Err(ColumnError::NotKept);
        }
        let base = base(spot);
        let filter = spot.filter.map(|filter| format!("[{filter}]")).unwrap_or_default();
        let value = attribute.sub_named(well_known::VALUE);
        let (sub, leaf) = match (spot.sub, value) {
            (None, None) if attribute.kind == Type::Complex => {
                return Err(ColumnError::Whole(parts(&base, attribute)));
            }
            (Some(sub), _) if attribute.multi_valued && spot.filter.is_none() => {
                if !sub.name.is(well_known::VALUE) {
                    return Err(ColumnError::EachValue(example(&base, sub)));
                }
                // The values of a list under one name are the list: one value is added to it.
                (None, sub)
            }
            (None, Some(value)) if spot.filter.is_some() => (Some(value), value),
            (None, Some(value)) => (None, value),
            (Some(sub), _) => (Some(sub), sub),
            (None, None) => (None, attribute),
        };
        if spot.filter.is_some() && spot.beginnings().is_none() {
            let why = "its filter does not say what to create (comparisons with eq, joined by and)";
            return Err(ColumnError::Unreadable(why.to_owned()));
        }
        let sub = sub.map(|sub| format!(".{}", sub.name)).unwrap_or_default();
        let path = format!("{base}{filter}{sub}");
        Ok(Self { path, kind: leaf.kind, selects: spot.filter.is_some() })
    }

    /// The key of a body under which its values stand. Two headings that mean the same have the same.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it fills a value of a list that it chooses by a filter: those come after the list itself.
    pub fn selects(&self) -> bool {
        self.selects
    }

    /// The value that a cell stands for; none when it is empty. A cell that does not fit is left as text, for the
    /// validation to refuse.
    pub fn value(&self, cell: &str) -> Option<Value> {
        let cell = cell.trim();
        if cell.is_empty() {
            return None;
        }
        Some(match self.kind {
            Type::Boolean => boolean(cell).map_or_else(|| Value::from(cell), Value::Bool),
            Type::Integer | Type::Decimal => serde_json::from_str::<Number>(cell)
                .map_or_else(|_| Value::from(cell), Value::Number),
            Type::String | Type::DateTime | Type::Binary | Type::Reference | Type::Complex => {
                Value::from(cell)
            }
        })
    }
}

/// What spreadsheets and databases write for yes and no.
fn boolean(cell: &str) -> Option<bool> {
    let is = |words: [&str; 2]| words.iter().any(|word| cell.eq_ignore_ascii_case(word));
    coerce::boolean(cell).or_else(|| {
        let (yes, no) = (is(["1", "yes"]), is(["0", "no"]));
        (yes || no).then_some(yes)
    })
}

/// `emails.work` and `addresses.work.locality` with their filter written out, where the type is one of the schema's.
fn long_form(rt: &ResourceType, heading: &str) -> Option<String> {
    let at = heading.rfind(':').map_or(0, |colon| colon + 1);
    let (urn, path) = heading.split_at_checked(at)?;
    let mut segments = path.split('.');
    let (name, word, sub) = (segments.next()?, segments.next()?, segments.next());
    if segments.next().is_some() {
        return None;
    }
    let base = PatchPath::parse(rt, &format!("{urn}{name}")).ok()?;
    let Ok(Some(Place::Attribute(spot))) = base.place(rt) else { return None };
    let holder = spot.extension.unwrap_or(&rt.schema);
    let types = canonical_types(holder, &spot.attribute.name);
    let word = types.into_iter().find(|known| known.eq_ignore_ascii_case(word))?;
    let sub = match sub {
        Some(sub) => format!(".{sub}"),
        None => String::new(),
    };
    spot.attribute.multi_valued.then(|| format!("{base}[{} eq \"{word}\"]{sub}", well_known::TYPE))
}

/// The types that the schema proposes for the values of a list.
fn canonical_types<'a>(schema: &'a Schema, attribute: &AttrName) -> Vec<&'a str> {
    let named = |holder: &'a Value, list: &str, wanted: &dyn Fn(&str) -> bool| {
        let all = holder.get(list).and_then(Value::as_array).into_iter().flatten();
        let mut all = all.filter(|one| one.get("name").and_then(Value::as_str).is_some_and(wanted));
        all.next()
    };
    let found = named(&schema.json, "attributes", &|name| attribute.is(name));
    let found = found.and_then(|it| named(it, "subAttributes", &|name| name == well_known::TYPE));
    let words = found.and_then(|it| it.get("canonicalValues")).and_then(Value::as_array);
    words.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// An attribute in the schemas' spelling.
fn base(spot: &Spot<'_>) -> String {
    let urn = spot.extension.map(|schema| format!("{}:", schema.urn)).unwrap_or_default();
    format!("{urn}{}", spot.attribute.name)
}

/// How the parts of a complex attribute are named.
fn parts(base: &str, attribute: &Attribute) -> Vec<String> {
    let subs = attribute.sub_attributes.iter().filter(|sub| coerce::is_kept(sub));
    if attribute.multi_valued {
        return subs.take(1).map(|sub| example(base, sub)).collect();
    }
    subs.map(|sub| format!("{base}.{}", sub.name)).collect()
}

/// How the part of one value of a list is named.
fn example(base: &str, sub: &Attribute) -> String {
    format!("{base}[{} eq \"work\"].{}", well_known::TYPE, sub.name)
}

/// The attributes of a schema that a client may write.
fn names(schema: &Schema, prefix: &str) -> Vec<String> {
    let kept = schema.attributes.iter().filter(|attribute| coerce::is_kept(attribute));
    kept.map(|attribute| format!("{prefix}{}", attribute.name)).collect()
}

/// Headings that look like one that names nothing, the nearest first.
fn near(rt: &ResourceType, heading: &str) -> Vec<String> {
    let wanted = letters(heading);
    let mut ranked: Vec<(usize, String)> = headings(rt)
        .into_iter()
        .filter_map(|known| {
            // A part is often written without the attribute that it belongs to.
            let own = letters(&known);
            let last = letters(known.rsplit('.').next().unwrap_or(&known));
            let distance = distance(&wanted, &own).min(distance(&wanted, &last) + 1);
            (distance <= 1 + wanted.len() / 5).then_some((distance, known))
        })
        .collect();
    ranked.sort();
    ranked.truncate(PROPOSED_MAX);
    ranked.into_iter().map(|(_, known)| known).collect()
}

/// Every heading in its shortest form.
fn headings(rt: &ResourceType) -> Vec<String> {
    let own = rt.schema.attributes.iter().chain(&rt.common).map(|one| (&rt.schema, one));
    let others = rt.extensions.iter();
    let others = others.flat_map(|schema| schema.attributes.iter().map(move |one| (schema, one)));
    let mut all = Vec::new();
    for (schema, attribute) in own.chain(others).filter(|(_, one)| coerce::is_kept(one)) {
        let name = &attribute.name;
        let has_value = attribute.sub_named(well_known::VALUE).is_some();
        if attribute.kind != Type::Complex || has_value {
            all.push(name.to_string());
        }
        if attribute.multi_valued && has_value {
            let types = canonical_types(schema, name);
            all.extend(types.into_iter().map(|word| format!("{name}.{word}")));
        } else if !attribute.multi_valued {
            let subs = attribute.sub_attributes.iter().filter(|sub| coerce::is_kept(sub));
            all.extend(subs.map(|sub| format!("{name}.{}", sub.name)));
        }
    }
    all
}

/// What is left of a name without separators and letter case.
fn letters(text: &str) -> Vec<char> {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How many letters have to be changed, added or left out to get from one to the other (Levenshtein).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, left) in from.iter().enumerate() {
        let mut diagonal = done;
        let mut beside = done + 1;
        for (right, cell) in to.iter().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(left != right);
            diagonal = *cell;
            beside = changed.min(beside + 1).min(diagonal + 1);
            *cell = beside;
        }
        if let Some(first) = row.first_mut() {
            *first = done + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::scim::catalog::{Catalog, Kind};
    use crate::scim::validate;

    fn shown(kind: Kind, heading: &str) -> String {
        let catalog = Catalog::embedded().unwrap();
        match Column::parse(catalog.resource_type(kind), heading) {
            Ok(column) => column.path().to_owned(),
            Err(error) => format!("refused: {error}"),
        }
    }

    #[track_caller]
    fn check(heading: &str, expected: &str) {
        assert_eq!(shown(Kind::User, heading), expected, "{heading}");
    }

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    #[test]
    fn headings_get_the_schemas_spelling() {
        check("userName", "userName");
        check(" USERNAME ", "userName");
        check("externalid", "externalId");
        check("Active", "active");
        check("displayName", "displayName");
        check("name.givenName", "name.givenName");
        check("NAME.FAMILYNAME", "name.familyName");
        check("urn:ietf:params:scim:schemas:core:2.0:User:userName", "userName");
        check("urn:ietf:params:scim:schemas:core:2.0:User:name.givenName", "name.givenName");
        check("department", &format!("{ENTERPRISE}:department"));
        check(&format!("{ENTERPRISE}:Department"), &format!("{ENTERPRISE}:department"));
        check("employeenumber", &format!("{ENTERPRISE}:employeeNumber"));
        check("manager", &format!("{ENTERPRISE}:manager"));
        check("manager.value", &format!("{ENTERPRISE}:manager.value"));
        check("timezone", "timezone");
    }

    #[test]
    fn the_values_of_lists_have_a_short_form() {
        check("emails", "emails");
        check("emails.value", "emails");
        check("emails.work", "emails[type eq \"work\"].value");
        check("EMAILS.Home", "emails[type eq \"home\"].value");
        check("emails.work.value", "emails[type eq \"work\"].value");
        check("emails.work.display", "emails[type eq \"work\"].display");
        check("emails[type eq \"work\"]", "emails[type eq \"work\"].value");
        check("emails[type eq \"work\"].value", "emails[type eq \"work\"].value");
        check("emails[type eq \"billing\"].value", "emails[type eq \"billing\"].value");
        check("emails[primary eq true].value", "emails[primary eq true].value");
        check("phoneNumbers.mobile", "phoneNumbers[type eq \"mobile\"].value");
        check("addresses.work.locality", "addresses[type eq \"work\"].locality");
        check("photos.photo", "photos[type eq \"photo\"].value");
        check(
            "urn:ietf:params:scim:schemas:core:2.0:User:emails.work",
            "emails[type eq \"work\"].value",
        );
        check("roles", "roles");
    }

    #[test]
    fn what_names_nothing_is_refused_with_what_was_meant() {
        check("email", "refused: the schemas have no such attribute; perhaps emails");
        check("user_name", "refused: the schemas have no such attribute; perhaps userName");
        check("User Name", "refused: the schemas have no such attribute; perhaps userName");
        check("firstName", "refused: the schemas have no such attribute");
        check("givenName", "refused: the schemas have no such attribute; perhaps name.givenName");
        check("shoeSize", "refused: the schemas have no such attribute");
        check("emails.wrok", "refused: the schemas have no such attribute; perhaps emails.work");
        // One letter is forgiven to short names, and a part named without its whole is a letter further away.
        check("titl", "refused: the schemas have no such attribute; perhaps title");
        check("formatted", "refused: the schemas have no such attribute; perhaps name.formatted");
        check("formatte", "refused: the schemas have no such attribute; perhaps name.formatted");
        check("formatt", "refused: the schemas have no such attribute");
        check("manager.valu", "refused: the schemas have no such attribute; perhaps manager.value");
        check("departement", "refused: the schemas have no such attribute; perhaps department");
        check("urn:example:User:userName", "refused: the schemas have no such attribute");
        check("", "refused: the schemas have no such attribute");
        check("ann@example.com", "refused: the schemas have no such attribute");
    }

    #[test]
    fn what_no_cell_can_fill_is_refused() {
        for heading in ["id", "meta.created", "meta", "groups", "schemas", "password"] {
            check(heading, "refused: an import cannot set it; take the column out or rename it");
        }
        check(
            "name",
            "refused: it has parts; name one of them: name.formatted, name.familyName, name.givenName, name.middleName, name.honorificPrefix, name.honorificSuffix",
        );
        check(
            "addresses",
            "refused: it has parts; name one of them: addresses[type eq \"work\"].formatted",
        );
        check(
            "addresses.locality",
            "refused: it is a part of each value of a list; say of which one: addresses[type eq \"work\"].locality",
        );
        check(
            "emails.primary",
            "refused: it is a part of each value of a list; say of which one: emails[type eq \"work\"].primary",
        );
        check(
            "emails[type sw \"w\"].value",
            "refused: its filter does not say what to create (comparisons with eq, joined by and)",
        );
        check(
            "emails[type eq \"work\"",
            "refused: not an attribute path such as title, name.givenName or emails[type eq \"work\"].value",
        );
        check("title[type eq \"work\"]", "refused: title has a single value: no filter can choose");
        assert!(shown(Kind::User, ENTERPRISE).starts_with(&format!(
            "refused: it has parts; name one of them: {ENTERPRISE}:employeeNumber, "
        )));
    }

    #[test]
    fn groups_have_columns_of_their_own() {
        assert_eq!(shown(Kind::Group, "DISPLAYNAME"), "displayName");
        assert_eq!(shown(Kind::Group, "externalId"), "externalId");
        assert_eq!(shown(Kind::Group, "userName"), "refused: the schemas have no such attribute");
    }

    /// The document of one row.
    fn row(cells: &[(&str, &str)]) -> Value {
        let catalog = Catalog::embedded().unwrap();
        let users = catalog.resource_type(Kind::User);
        let mut columns: Vec<(Column, &str)> = cells
            .iter()
            .map(|(heading, cell)| (Column::parse(users, heading).unwrap(), *cell))
            .collect();
        columns.sort_by_key(|(column, _)| column.selects());
        let body: Map<String, Value> = columns
            .iter()
            .filter_map(|(column, cell)| Some((column.path().to_owned(), column.value(cell)?)))
            .collect();
        match validate::document(users, &Value::Object(body)) {
            Ok(document) => Value::Object(document.into_attributes()),
            Err(error) => Value::from(error.detail()),
        }
    }

    #[test]
    fn cells_become_what_a_post_would_have_said() {
        let ann = ("userName", "ann@example.com");
        for (cell, active) in [
            ("true", true),
            ("TRUE", true),
            ("1", true),
            ("yes", true),
            ("Yes", true),
            ("false", false),
            ("False", false),
            ("0", false),
            ("no", false),
            ("NO", false),
            ("", true),
        ] {
            assert_eq!(row(&[ann, ("active", cell)])["active"], active, "{cell}");
        }
        assert_eq!(
            row(&[ann, ("active", "maybe")]),
            "active must be true or false; the strings \"true\" and \"false\" are taken as well, and another one arrived"
        );
        assert_eq!(row(&[("userName", " ")]), "userName is required and must not be empty");
        assert_eq!(
            row(&[
                ann,
                ("emails.work", "ann@work.example"),
                ("emails", "ann@example.com"),
                ("emails.home", ""),
                ("name.givenName", " Ann "),
                ("department", "R&D"),
                ("addresses.work.locality", "Bonn"),
                ("manager", "acc-3"),
                ("externalId", "0017"),
            ]),
            json!({
                "userName": "ann@example.com", "active": true, "externalId": "0017",
                "name": {"givenName": "Ann"},
                "emails": [{"value": "ann@example.com"},
                           {"type": "work", "value": "ann@work.example"}],
                "addresses": [{"type": "work", "locality": "Bonn"}],
                ENTERPRISE: {"department": "R&D", "manager": {"value": "acc-3"}},
            })
        );
    }
}
