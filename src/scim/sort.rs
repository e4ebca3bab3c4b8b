//! The order of a list by an attribute (RFC 7644 §3.4.2.3).
//!
//! * Text is compared as its `caseExact` says, date-times as instants, numbers by value, `false` before `true`.
//! * Of several values the primary one counts, else the first.
//! * What has no value comes last in ascending order and first in descending order. An empty string is no value.
//! * A complex attribute means its `value`, where it has one; else the path has to name a sub-attribute.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::catalog::ResourceType;
use super::error::{ErrorKind, ScimError};
use super::filter::number_order;
use super::fold::fold;
use super::path::AttrPath;
use super::schema::{Attribute, Returned, Type};
use super::well_known;
use crate::limits::PATH_SHOWN_MAX;
use crate::moment::Timestamp;

/// By what, and which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    path: AttrPath,
    order: SortOrder,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortOrder {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

/// By which values the resources of one type are sorted.
#[derive(Clone, Debug)]
pub struct Sorter<'a> {
    keys: Vec<&'a str>,
    attribute: &'a Attribute,
}

/// The value by which a resource is sorted.
#[derive(Clone, Debug, PartialEq)]
pub enum SortKey {
    /// A boolean.
    Boolean(bool),
    /// A number.
    Number(Number),
    /// A date-time.
    Instant(Timestamp),
    /// Text, folded unless letter case counts.
    Text(String),
}

impl Sort {
    /// Reads `sortBy` and `sortOrder`; the second says nothing without the first. Empty counts as absent.
    ///
    /// # Errors
    /// 400 `invalidValue` for a `sortBy` that is no path and a `sortOrder` that is neither of the two.
    pub fn parse(by: Option<&str>, order: Option<&str>) -> Result<Option<Self>, ScimError> {
        let given = |text: Option<&str>| {
            text.map(str::trim).filter(|text| !text.is_empty()).map(ToOwned::to_owned)
        };
        let Some(by) = given(by) else { return Ok(None) };
        let path = AttrPath::parse(&by).ok_or_else(|| {
            refused(&by, "it is not the path of an attribute, such as name.familyName")
        })?;
        let order = match given(order) {
            None => SortOrder::Ascending,
            Some(order) if order.eq_ignore_ascii_case("ascending") => SortOrder::Ascending,
            Some(order) if order.eq_ignore_ascii_case("descending") => SortOrder::Descending,
            Some(_) => {
                let detail = "sortOrder: it is ascending or descending";
                return Err(ScimError::new(ErrorKind::InvalidValue, detail));
            }
        };
        Ok(Some(Self { path, order }))
    }

    /// Which way.
    pub fn order(&self) -> SortOrder {
        self.order
    }

    /// By what resources of each of these types are sorted; `None` for a type that lacks the attribute.
    ///
    /// # Errors
    /// 400 `invalidValue` when no type has it, when it is complex without a `value`, when it is never returned, and when
    /// its values are not in the resource.
    pub fn bind<'a>(
        &self,
        types: &[&'a ResourceType],
    ) -> Result<Vec<Option<Sorter<'a>>>, ScimError> {
        let sorters = types.iter().map(|one| self.sorter(one));
        let sorters = sorters.collect::<Result<Vec<_>, ScimError>>()?;
        if sorters.iter().all(Option::is_none) {
            let names: Vec<&str> = types.iter().map(|one| one.kind.name()).collect();
            let what = format!("the schemas of {} have no such attribute", names.join(" and "));
            return Err(refused(&self.path.to_string(), &what));
        }
        Ok(sorters)
    }

    fn sorter<'a>(&self, of: &'a ResourceType) -> Result<Option<Sorter<'a>>, ScimError> {
        let Some(target) = of.resolve(&self.path) else { return Ok(None) };
        let refuse = |what: &str| Err(refused(&self.path.to_string(), what));
        let Some(attribute) = target.attribute else {
            return refuse("it is a whole extension; name one of its attributes");
        };
        if [Some(attribute), target.sub]
            .into_iter()
            .flatten()
            .any(|a| a.returned == Returned::Never)
        {
            return refuse("nothing can be sorted by it, because it is never returned");
        }
        let apart = [of.kind.stored_apart(), of.kind.computed()];
        if target.extension.is_none()
            && apart.into_iter().flatten().any(|name| attribute.name.is(name))
        {
            return refuse("nothing can be sorted by it: memberships are no part of the resource");
        }
        let leaf = match target.sub {
            None if attribute.kind == Type::Complex => attribute.sub_named(well_known::VALUE),
            sub => Some(sub.unwrap_or(attribute)),
        };
        let Some(leaf) = leaf else {
            let subs: Vec<&str> =
                attribute.sub_attributes.iter().map(|a| a.name.as_str()).collect();
            return refuse(&format!("it is complex; name one of its parts ({})", subs.join(", ")));
        };
        let mut keys: Vec<&str> =
            target.extension.map(|schema| schema.urn.as_str()).into_iter().collect();
        keys.push(attribute.name.as_str());
        if !std::ptr::eq(leaf, attribute) {
            keys.push(leaf.name.as_str());
        }
        Ok(Some(Sorter { keys, attribute: leaf }))
    }
}

impl Sorter<'_> {
    /// The value by which this representation is sorted; `None` when it has none.
    pub fn key(&self, whole: &Map<String, Value>) -> Option<SortKey> {
        let (first, rest) = self.keys.split_first()?;
        let mut value = one_of(whole.get(*first)?)?;
        for key in rest {
            value = one_of(value.get(*key)?)?;
        }
        Some(match self.attribute.kind {
            Type::Boolean => SortKey::Boolean(value.as_bool()?),
            Type::Integer | Type::Decimal => SortKey::Number(value.as_number()?.clone()),
            Type::DateTime => SortKey::Instant(Timestamp::parse(value.as_str()?)?),
            Type::String if !self.attribute.case_exact => SortKey::Text(fold(text(value)?)),
            // References and binaries are exact whatever their schema says (RFC 7643 §2.3.6, §2.3.7).
            Type::String | Type::Reference | Type::Binary => SortKey::Text(text(value)?.to_owned()),
            Type::Complex => return None,
        })
    }
}

impl SortOrder {
    /// How two resources with these values are ordered.
    pub fn compare(self, left: Option<&SortKey>, right: Option<&SortKey>) -> Ordering {
        let ascending = match (left, right) {
            (Some(left), Some(right)) => left.compare(right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        match self {
            Self::Ascending => ascending,
            Self::Descending => ascending.reverse(),
        }
    }
}

impl SortKey {
    /// Values of one attribute are of one type; across types (two resource types may differ in that) it is the type that
    /// counts, so that there is an order at all.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(left), Self::Boolean(right)) => left.cmp(right),
            (Self::Number(left), Self::Number(right)) => {
                number_order(left, right).unwrap_or(Ordering::Equal)
            }
            (Self::Instant(left), Self::Instant(right)) => left.cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Boolean(_) => 0,
            Self::Number(_) => 1,
            Self::Instant(_) => 2,
            Self::Text(_) => 3,
        }
    }
}

/// Of several values the primary one, else the first.
fn one_of(value: &Value) -> Option<&Value> {
    let Value::Array(values) = value else { return Some(value) };
    let is_primary =
        |value: &&Value| value.get(well_known::PRIMARY).and_then(Value::as_bool) == Some(true);
    values.iter().find(is_primary).or_else(|| values.first())
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn refused(path: &str, what: &str) -> ScimError {
    let path: String = path.chars().take(PATH_SHOWN_MAX).collect();
    ScimError::new(ErrorKind::InvalidValue, format!("sortBy: {path}: {what}"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::expect;
    use serde_json::json;

    use super::*;
    use crate::scim::catalog::{Catalog, Kind};

    /// The numbers of these users in that order.
    fn sorted(by: &str, order: &str, users: &[Value]) -> Vec<usize> {
        let catalog = Catalog::embedded().unwrap();
        let sort = Sort::parse(Some(by), Some(order)).unwrap().unwrap();
        let sorter = sort.bind(&[catalog.resource_type(Kind::User)]).unwrap().remove(0).unwrap();
        let key = |user: &Value| sorter.key(user.as_object().unwrap());
        let mut numbers: Vec<usize> = (0..users.len()).collect();
        numbers.sort_by(|a, b| {
            sort.order().compare(key(&users[*a]).as_ref(), key(&users[*b]).as_ref())
        });
        numbers
    }

    #[track_caller]
    fn check(by: &str, users: &[Value], ascending: &[usize], descending: &[usize]) {
        assert_eq!(sorted(by, "", users), ascending, "{by}");
        assert_eq!(sorted(by, "Descending", users), descending, "{by}");
    }

    #[test]
    fn letter_case_counts_as_the_schema_says() {
        let users = ["b", "A", "C", "a"].map(|name| json!({"userName": name, "externalId": name}));
        check("userName", &users, &[1, 3, 0, 2], &[2, 0, 1, 3]);
        check("externalId", &users, &[1, 2, 3, 0], &[0, 3, 2, 1]);
    }

    #[test]
    fn what_has_no_value_is_last_and_in_descending_order_first() {
        let users = [json!({}), json!({"title": "b"}), json!({"title": ""}), json!({"title": "a"})];
        check("title", &users, &[3, 1, 0, 2], &[0, 2, 1, 3]);
    }

    #[test]
    fn of_several_values_the_primary_one_counts_else_the_first() {
        let users = [
            json!({"emails": [{"value": "z@x"}, {"value": "b@x", "primary": true}]}),
            json!({"emails": [{"value": "c@x"}, {"value": "a@x"}]}),
            json!({"emails": []}),
            json!({"emails": [{"value": "A@x", "primary": false}]}),
        ];
        check("emails", &users, &[3, 0, 1, 2], &[2, 1, 0, 3]);
        check("emails.value", &users, &[3, 0, 1, 2], &[2, 1, 0, 3]);
    }

    #[test]
    fn parts_extensions_booleans_and_instants() {
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let users = [
            json!({"name": {"familyName": "Ek"}, "active": true, enterprise: {"manager": {"value": "m2"}},
                "meta": {"created": "2026-01-01T00:00:00.000Z"}}),
            json!({"name": {"familyName": "Al"}, "active": false, enterprise: {"manager": {"value": "m1"}},
                "meta": {"created": "2026-01-01T01:00:00.000+02:00"}}),
        ];
        for by in [
            "name.familyName",
            "urn:ietf:params:scim:schemas:core:2.0:User:NAME.familyname",
            "active",
            "manager",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
            "meta.created",
        ] {
            check(by, &users, &[1, 0], &[0, 1]);
        }
    }

    #[test]
    fn what_nothing_can_be_sorted_by() {
        let catalog = Catalog::embedded().unwrap();
        let all: Vec<&ResourceType> =
            Kind::ALL.into_iter().map(|kind| catalog.resource_type(kind)).collect();
        let mut table = String::new();
        for (by, order) in [
            ("nonsense", ""),
            ("name.nonsense", ""),
            ("name", ""),
            ("password", ""),
            ("groups", ""),
            ("members.value", ""),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", ""),
            ("user name", ""),
            ("userName", "up"),
        ] {
            let sort = Sort::parse(Some(by), Some(order));
            let refused = sort.and_then(|sort| sort.unwrap().bind(&all)).unwrap_err();
            writeln!(table, "{by} [{order}]\n  {:?}: {}", refused.kind(), refused.detail())
                .unwrap();
        }
        expect![[r#"
            nonsense []
              InvalidValue: sortBy: nonsense: the schemas of User and Group have no such attribute
            name.nonsense []
              InvalidValue: sortBy: name.nonsense: the schemas of User and Group have no such attribute
            name []
              InvalidValue: sortBy: name: it is complex; name one of its parts (formatted, familyName, givenName, middleName, honorificPrefix, honorificSuffix)
            password []
              InvalidValue: sortBy: password: nothing can be sorted by it, because it is never returned
            groups []
              InvalidValue: sortBy: groups: nothing can be sorted by it: memberships are no part of the resource
            members.value []
              InvalidValue: sortBy: members.value: nothing can be sorted by it: memberships are no part of the resource
            urn:ietf:params:scim:schemas:extension:enterprise:2.0:User []
              InvalidValue: sortBy: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User: it is a whole extension; name one of its attributes
            user name []
              InvalidValue: sortBy: user name: it is not the path of an attribute, such as name.familyName
            userName [up]
              InvalidValue: sortOrder: it is ascending or descending
        "#]].assert_eq(&table);
        assert_eq!(Sort::parse(None, Some("descending")), Ok(None));
        assert_eq!(Sort::parse(Some(" "), Some("up")), Ok(None));
        // What one of the types has is enough.
        let sort = Sort::parse(Some("userName"), None).unwrap().unwrap();
        let sorters = sort.bind(&all).unwrap();
        assert!(sorters[0].is_some() && sorters[1].is_none());
    }
}
