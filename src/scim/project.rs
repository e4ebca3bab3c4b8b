//! What of a resource leaves the house (RFC 7644 §3.9, RFC 7643 §2.2 `returned`, §2.4).
//!
//! Every representation passes through [`Projection::apply`] last. The schema decides what may leave: a member that
//! it does not know is dropped, and nothing with `returned: never` gets out, whatever the client asks for. This
//! module never changes a value; it only leaves values out.

use std::ptr;

use serde_json::{Map, Value};

use super::catalog::{ResourceType, Target};
use super::error::{ErrorKind, ScimError};
use super::path::AttrPath;
use super::schema::{Attribute, Returned, Schema, Type};
use super::well_known;
use crate::limits::PROJECTION_PATHS_MAX;

/// What a client wants to see of a resource: the query parameters `attributes` and `excludedAttributes`. The default
/// is everything that its schema returns without being asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    only: Option<Vec<AttrPath>>,
    except: Option<Vec<AttrPath>>,
}

impl Projection {
    /// Reads the two parameters: names separated by commas, in any letter case. An empty one counts as absent. A name
    /// that fits no schema, or is not a name at all, is ignored, since clients ask one list of names of every server.
    /// RFC 7644 §3.4.2.5 wants a client to send one of the two; where both come, both hold: what `attributes` names
    /// without what `excludedAttributes` names.
    ///
    /// # Errors
    /// 400 `tooMany` for more than [`PROJECTION_PATHS_MAX`] names in one parameter.
    pub fn parse(attributes: Option<&str>, excluded: Option<&str>) -> Result<Self, ScimError> {
        Ok(Self {
            only: paths("attributes", attributes)?,
            except: paths("excludedAttributes", excluded)?,
        })
    }

    /// Whether the client gave neither parameter.
    pub fn is_default(&self) -> bool {
        self.only.is_none() && self.except.is_none()
    }

    /// Whether the core or common attribute of that name can be in the answer. What is not wanted need not be read:
    /// a group's members, a user's groups.
    pub fn wants(&self, resource_type: &ResourceType, attribute: &str) -> bool {
        let wish = Wish::new(self, resource_type);
        resource_type
            .attribute_named(attribute)
            .is_some_and(|attribute| wish.of(None, attribute).wants(attribute))
    }

    /// The part of a whole representation that answers this request.
    ///
    /// `schemas`, `id` and `externalId` come first, then the attributes in the schema's order, then the extensions,
    /// then `meta`. `schemas` names every schema that the resource has, shown or not: it says what the resource is, not
    /// what the answer holds. Objects and arrays that have nothing left in them are left out (RFC 7643 §2.5).
    pub fn apply(
        &self,
        resource_type: &ResourceType,
        mut whole: Map<String, Value>,
    ) -> Map<String, Value> {
        let wish = Wish::new(self, resource_type);
        let mut answer = Map::new();
        let (last, first): (Vec<_>, Vec<_>) =
            resource_type.common.iter().partition(|attribute| attribute.name.is(well_known::META));
        wish.take(None, first, &mut whole, &mut answer);
        wish.take(None, &resource_type.schema.attributes, &mut whole, &mut answer);
        for extension in &resource_type.extensions {
            if let Some(Value::Object(mut inside)) = whole.swap_remove(&extension.urn) {
                let mut kept = Map::new();
                wish.take(Some(extension), &extension.attributes, &mut inside, &mut kept);
                if !kept.is_empty() {
                    answer.insert(extension.urn.clone(), Value::Object(kept));
                }
            }
        }
        wish.take(None, last, &mut whole, &mut answer);
        answer
    }
}

/// A projection whose names have been looked up in one resource type.
struct Wish<'a> {
    only: Option<Vec<Target<'a>>>,
    except: Vec<Target<'a>>,
}

impl<'a> Wish<'a> {
    fn new(projection: &Projection, resource_type: &'a ResourceType) -> Self {
        let look_up = |paths: &Vec<AttrPath>| -> Vec<Target<'a>> {
            paths.iter().filter_map(|path| resource_type.resolve(path)).collect()
        };
        Self {
            only: projection.only.as_ref().map(look_up),
            except: projection.except.as_ref().map(look_up).unwrap_or_default(),
        }
    }

    /// Moves what is wished of `attributes` from `whole` into `answer`.
    fn take(
        &self,
        extension: Option<&Schema>,
        attributes: impl IntoIterator<Item = &'a Attribute>,
        whole: &mut Map<String, Value>,
        answer: &mut Map<String, Value>,
    ) {
        for attribute in attributes {
            let Some(value) = whole.swap_remove(attribute.name.as_str()) else {
                continue;
            };
            let choice = self.of(extension, attribute);
            if choice.wants(attribute)
                && let Some(value) = choice.cut(attribute, value)
            {
                answer.insert(attribute.name.as_str().to_owned(), value);
            }
        }
    }

    fn of(&self, extension: Option<&Schema>, attribute: &Attribute) -> Choice<'a> {
        let named = |targets: &[Target<'a>]| Named::among(targets, extension, attribute);
        Choice { only: self.only.as_deref().map(named), except: named(&self.except) }
    }
}

/// How a list of names speaks of one attribute.
#[derive(Default)]
struct Named<'a> {
    /// It names the extension that holds the attribute.
    extension: bool,
    /// It names the attribute.
    whole: bool,
    /// It names these sub-attributes.
    subs: Vec<&'a Attribute>,
}

impl<'a> Named<'a> {
    fn among(targets: &[Target<'a>], holder: Option<&Schema>, attribute: &Attribute) -> Self {
        let mut named = Self::default();
        for target in targets {
            match (target.attribute, target.sub) {
                (None, _) => {
                    let same = holder.zip(target.extension).is_some_and(|(a, b)| a.urn == b.urn);
                    named.extension |= same;
                }
                (Some(found), sub) if ptr::eq(found, attribute) => match sub {
                    None => named.whole = true,
                    Some(sub) => named.subs.push(sub),
                },
                (Some(_), _) => {}
            }
        }
        named
    }

    fn has_sub(&self, sub: &Attribute) -> bool {
        self.subs.iter().any(|named| ptr::eq(*named, sub))
    }
}

/// What is wished of one attribute.
struct Choice<'a> {
    only: Option<Named<'a>>,
    except: Named<'a>,
}

impl Choice<'_> {
    /// Whether the attribute, or a part of it, is in the answer.
    fn wants(&self, attribute: &Attribute) -> bool {
        let excluded = self.except.whole || self.except.extension;
        match (attribute.returned, &self.only) {
            (Returned::Always, _) => true,
            (Returned::Never, _) | (Returned::Request, None) => false,
            (Returned::Default, None) => !excluded,
            (Returned::Default, Some(named)) => {
                !excluded && (named.extension || named.whole || !named.subs.is_empty())
            }
            // Naming the extension around it asks for what it returns by itself, not for this.
            (Returned::Request, Some(named)) => {
                !excluded && (named.whole || !named.subs.is_empty())
            }
        }
    }

    /// Whether a sub-attribute of an attribute that is in the answer is in it, too.
    fn wants_sub(&self, attribute: &Attribute, sub: &Attribute) -> bool {
        let excluded = self.except.has_sub(sub);
        // An attribute that is always returned is whole unless single sub-attributes of it are named.
        let all = match &self.only {
            None => true,
            Some(named) => {
                named.whole
                    || named.extension
                    || (attribute.returned == Returned::Always && named.subs.is_empty())
            }
        };
        let by_name = self.only.as_ref().is_some_and(|named| named.has_sub(sub));
        match sub.returned {
            Returned::Always => true,
            Returned::Never => false,
            Returned::Default => !excluded && (all || by_name),
            Returned::Request => !excluded && by_name,
        }
    }

    /// The wished part of a value; `None` when nothing of it is left, or when it does not fit the schema.
    fn cut(&self, attribute: &Attribute, value: Value) -> Option<Value> {
        if !attribute.multi_valued {
            return self.cut_one(attribute, value);
        }
        let Value::Array(items) = value else { return None };
        let kept: Vec<Value> =
            items.into_iter().filter_map(|item| self.cut_one(attribute, item)).collect();
        (!kept.is_empty()).then_some(Value::Array(kept))
    }

    fn cut_one(&self, attribute: &Attribute, value: Value) -> Option<Value> {
        match (attribute.kind, value) {
            (Type::Complex, Value::Object(mut members)) => {
                let mut kept = Map::new();
                for sub in &attribute.sub_attributes {
                    if self.wants_sub(attribute, sub)
                        && let Some(value) = members.swap_remove(sub.name.as_str())
                        && let Some(value) = fitting(sub, value)
                    {
                        kept.insert(sub.name.as_str().to_owned(), value);
                    }
                }
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            (Type::Complex, _) => None,
            (
                Type::String
                | Type::Boolean
                | Type::Decimal
                | Type::Integer
                | Type::DateTime
                | Type::Binary
                | Type::Reference,
                value,
            ) => simple(value),
        }
    }
}

/// The value of a sub-attribute; sub-attributes have none of their own (RFC 7643 §2.3.8).
fn fitting(sub: &Attribute, value: Value) -> Option<Value> {
    if !sub.multi_valued {
        return simple(value);
    }
    let Value::Array(items) = value else { return None };
    let kept: Vec<Value> = items.into_iter().filter_map(simple).collect();
    (!kept.is_empty()).then_some(Value::Array(kept))
}

/// A value without parts: an object or an array here could carry out what no schema knows.
fn simple(value: Value) -> Option<Value> {
    match value {
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The names in a parameter; `None` when it is absent or has none in it.
fn paths(parameter: &str, text: Option<&str>) -> Result<Option<Vec<AttrPath>>, ScimError> {
    let pieces = || {
        text.into_iter().flat_map(|text| text.split(',')).map(str::trim).filter(|s| !s.is_empty())
    };
    let count = pieces().count();
    if count > PROJECTION_PATHS_MAX {
        return Err(ScimError::new(
            ErrorKind::TooMany,
            format!(
                "the query parameter {parameter} names {count} attributes; {PROJECTION_PATHS_MAX} \
                 are allowed. Name a complex attribute instead of each of its sub-attributes"
            ),
        ));
    }
    Ok((count > 0).then(|| pieces().filter_map(AttrPath::parse).collect()))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::scim::catalog::{Catalog, Kind};

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    fn whole() -> Map<String, Value> {
        let value = json!({
            "meta": {
                "resourceType": "User",
                "location": "https://x/Users/1",
                "version": "W/\"1\"",
                "secret": 1,
            },
            ENTERPRISE: {
                "department": "D",
                "manager": { "value": "9", "displayName": "Max" },
                "floor": 3,
            },
            "groups": [{ "value": "7", "display": "G", "type": "direct" }],
            "emails": [
                { "value": "a@x", "type": "work", "primary": true, "note": "n" },
                { "type": "home" },
            ],
            "password": "p",
            "color": "blue",
            "roles": [],
            "title": { "hidden": 1 },
            "nickName": null,
            "active": false,
            "name": { "givenName": "Ann", "familyName": "Lee" },
            "userName": "ann",
            "externalId": "e",
            "id": "1",
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        });
        value.as_object().unwrap().clone()
    }

    fn project(attributes: Option<&str>, excluded: Option<&str>) -> Map<String, Value> {
        let catalog = Catalog::embedded().unwrap();
        let projection = Projection::parse(attributes, excluded).unwrap();
        projection.apply(catalog.resource_type(Kind::User), whole())
    }

    /// What the answer has apart from `schemas` and `id`, which every answer has.
    fn check(attributes: Option<&str>, excluded: Option<&str>, expected: &Expect) {
        let mut answer = project(attributes, excluded);
        assert_eq!(answer.shift_remove("schemas"), whole().get("schemas").cloned());
        assert_eq!(answer.shift_remove("id"), Some(json!("1")));
        expected.assert_eq(&Value::Object(answer).to_string());
    }

    #[test]
    fn the_default_is_ordered_and_holds_what_the_schema_returns() {
        let keys: Vec<String> = project(None, None).keys().cloned().collect();
        expect!["schemas id externalId userName name active emails urn:ietf:params:scim:schemas:extension:enterprise:2.0:User meta"].assert_eq(&keys.join(" "));
        check(
            None,
            None,
            &expect![[
                r#"{"externalId":"e","userName":"ann","name":{"familyName":"Lee","givenName":"Ann"},"active":false,"emails":[{"value":"a@x","type":"work","primary":true},{"type":"home"}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D","manager":{"value":"9","displayName":"Max"}},"meta":{"resourceType":"User","location":"https://x/Users/1","version":"W/\"1\""}}"#
            ]],
        );
        check(
            Some(""),
            Some(" , "),
            &expect![[
                r#"{"externalId":"e","userName":"ann","name":{"familyName":"Lee","givenName":"Ann"},"active":false,"emails":[{"value":"a@x","type":"work","primary":true},{"type":"home"}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D","manager":{"value":"9","displayName":"Max"}},"meta":{"resourceType":"User","location":"https://x/Users/1","version":"W/\"1\""}}"#
            ]],
        );
    }

    #[test]
    fn attributes_gives_those_alone() {
        check(Some("userName"), None, &expect![[r#"{"userName":"ann"}"#]]);
        check(
            Some("USERNAME, active ,externalid"),
            None,
            &expect![[r#"{"externalId":"e","userName":"ann","active":false}"#]],
        );
        check(Some("id"), None, &expect!["{}"]);
        check(
            Some("meta"),
            None,
            &expect![[
                r#"{"meta":{"resourceType":"User","location":"https://x/Users/1","version":"W/\"1\""}}"#
            ]],
        );
        check(
            Some("meta.location"),
            None,
            &expect![[r#"{"meta":{"location":"https://x/Users/1"}}"#]],
        );
        check(Some("name.givenName"), None, &expect![[r#"{"name":{"givenName":"Ann"}}"#]]);
        check(
            Some("name,name.givenName"),
            None,
            &expect![[r#"{"name":{"familyName":"Lee","givenName":"Ann"}}"#]],
        );
        check(Some("name.middleName"), None, &expect!["{}"]);
        check(Some("emails.VALUE"), None, &expect![[r#"{"emails":[{"value":"a@x"}]}"#]]);
        check(
            Some("urn:ietf:params:scim:schemas:core:2.0:user:userName"),
            None,
            &expect![[r#"{"userName":"ann"}"#]],
        );
    }

    #[test]
    fn extensions_are_named_as_a_whole_by_attribute_or_short() {
        check(
            Some(ENTERPRISE),
            None,
            &expect![[
                r#"{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D","manager":{"value":"9","displayName":"Max"}}}"#
            ]],
        );
        check(
            Some(&ENTERPRISE.to_uppercase()),
            None,
            &expect![[
                r#"{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D","manager":{"value":"9","displayName":"Max"}}}"#
            ]],
        );
        check(
            Some(&format!("{ENTERPRISE}:manager.value")),
            None,
            &expect![[
                r#"{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"9"}}}"#
            ]],
        );
        check(
            Some("department,manager.displayName"),
            None,
            &expect![[
                r#"{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D","manager":{"displayName":"Max"}}}"#
            ]],
        );
        check(
            None,
            Some(&format!("{ENTERPRISE},emails,meta,name,userName")),
            &expect![[r#"{"externalId":"e","active":false}"#]],
        );
        check(
            None,
            Some("manager,department,emails,meta,name"),
            &expect![[r#"{"externalId":"e","userName":"ann","active":false}"#]],
        );
        check(
            None,
            Some("manager.value,emails,meta,name"),
            &expect![[
                r#"{"externalId":"e","userName":"ann","active":false,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D","manager":{"displayName":"Max"}}}"#
            ]],
        );
    }

    #[test]
    fn excluded_attributes_are_absent() {
        check(
            None,
            Some("emails,meta,manager"),
            &expect![[
                r#"{"externalId":"e","userName":"ann","name":{"familyName":"Lee","givenName":"Ann"},"active":false,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D"}}"#
            ]],
        );
        check(
            None,
            Some("Emails.Value,meta,manager,name"),
            &expect![[
                r#"{"externalId":"e","userName":"ann","active":false,"emails":[{"type":"work","primary":true},{"type":"home"}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D"}}"#
            ]],
        );
        check(
            None,
            Some("name.givenName,NAME.familyName,meta,emails,manager"),
            &expect![[
                r#"{"externalId":"e","userName":"ann","active":false,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D"}}"#
            ]],
        );
        check(
            None,
            Some("groups,id,schemas,meta,emails,name,manager"),
            &expect![[
                r#"{"externalId":"e","userName":"ann","active":false,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D"}}"#
            ]],
        );
    }

    #[test]
    fn what_is_returned_on_request_has_to_be_named() {
        check(
            Some("groups"),
            None,
            &expect![[r#"{"groups":[{"value":"7","display":"G","type":"direct"}]}"#]],
        );
        check(Some("groups.display"), None, &expect![[r#"{"groups":[{"display":"G"}]}"#]]);
        check(Some("groups"), Some("groups"), &expect!["{}"]);
    }

    #[test]
    fn what_is_never_returned_stays_here() {
        check(Some("password"), None, &expect!["{}"]);
        check(Some("color,title,note,emails.note,nickName,roles"), None, &expect!["{}"]);
    }

    #[test]
    fn names_that_mean_nothing_are_ignored() {
        check(Some("nothing"), None, &expect!["{}"]);
        check(Some("%%"), None, &expect!["{}"]);
        check(Some("userName,emails[type eq \"work\"]"), None, &expect![[r#"{"userName":"ann"}"#]]);
        check(
            None,
            Some("nothing,%%,emails,meta,name,manager"),
            &expect![[
                r#"{"externalId":"e","userName":"ann","active":false,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D"}}"#
            ]],
        );
        let given = Projection::parse(None, Some("%%")).unwrap();
        assert!(!given.is_default());
    }

    #[test]
    fn both_parameters_hold_together() {
        check(
            Some("name,userName"),
            Some("name.givenName"),
            &expect![[r#"{"userName":"ann","name":{"familyName":"Lee"}}"#]],
        );
        check(
            Some("name,userName"),
            Some("userName"),
            &expect![[r#"{"name":{"familyName":"Lee","givenName":"Ann"}}"#]],
        );
    }

    #[test]
    fn empty_parameters_count_as_absent() {
        for empty in [None, Some(""), Some(" "), Some(",,")] {
            assert!(Projection::parse(empty, empty).unwrap().is_default(), "{empty:?}");
        }
        assert!(!Projection::parse(Some("id"), None).unwrap().is_default());
    }

    #[test]
    fn too_many_names_are_refused() {
        let most = vec!["id"; PROJECTION_PATHS_MAX].join(",");
        assert!(Projection::parse(Some(&most), Some(&most)).is_ok());
        let error = Projection::parse(None, Some(&format!("{most},id"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooMany);
        expect!["the query parameter excludedAttributes names 101 attributes; 100 are allowed. Name a complex attribute instead of each of its sub-attributes"].assert_eq(error.detail());
    }

    #[test]
    fn what_is_not_wanted_need_not_be_read() {
        let catalog = Catalog::embedded().unwrap();
        let rows = [
            (Kind::Group, "members", None, None, true),
            (Kind::Group, "members", None, Some("members"), false),
            (Kind::Group, "members", None, Some("MEMBERS"), false),
            (Kind::Group, "members", None, Some("members.display"), true),
            (Kind::Group, "members", Some("members.value"), None, true),
            (Kind::Group, "members", Some("id"), None, false),
            (Kind::Group, "members", Some("nothing"), None, false),
            (Kind::Group, "members", Some(""), Some(""), true),
            (Kind::Group, "id", Some("members"), Some("id"), true),
            (Kind::Group, "nothing", Some("nothing"), None, false),
            (Kind::User, "groups", None, None, false),
            (Kind::User, "groups", Some("groups"), None, true),
            (Kind::User, "groups", Some("Groups.Value,id"), None, true),
            (Kind::User, "groups", Some("groups"), Some("groups"), false),
            (Kind::User, "groups", None, Some("emails"), false),
            (Kind::User, "password", Some("password"), None, false),
        ];
        for (kind, attribute, only, except, wanted) in rows {
            let projection = Projection::parse(only, except).unwrap();
            let found = projection.wants(catalog.resource_type(kind), attribute);
            assert_eq!(found, wanted, "{attribute} with {only:?} without {except:?}");
        }
    }

    #[test]
    fn sub_attributes_have_their_own_returned() {
        let schema = r#"{ "id": "urn:x", "attributes": [{ "name": "key", "type": "complex",
            "subAttributes": [
                { "name": "always", "returned": "always" },
                { "name": "usual" },
                { "name": "asked", "returned": "request" },
                { "name": "never", "returned": "never" }] }] }"#;
        let mut resource_type = Catalog::embedded().unwrap().resource_type(Kind::Group).clone();
        resource_type.schema = Schema::parse(schema).unwrap();
        let rows = [
            (None, None, "always usual"),
            (Some("key"), None, "always usual"),
            (Some("key.usual"), None, "always usual"),
            (Some("key.asked"), None, "always asked"),
            (Some("key,key.asked"), None, "always usual asked"),
            (Some("key.never"), None, "always"),
            (None, Some("key.always,key.usual"), "always"),
            (Some("id"), None, ""),
            (None, Some("key"), ""),
        ];
        for (only, except, expected) in rows {
            let whole = json!({ "key": { "never": 1, "asked": 2, "usual": 3, "always": 4 } });
            let projection = Projection::parse(only, except).unwrap();
            let answer = projection.apply(&resource_type, whole.as_object().unwrap().clone());
            let members = answer.get("key").and_then(Value::as_object).into_iter();
            let found: Vec<&str> = members.flat_map(Map::keys).map(String::as_str).collect();
            assert_eq!(found.join(" "), expected, "{only:?} {except:?}");
        }
    }

    fn any_names() -> impl Strategy<Value = String> {
        let names = prop::sample::select(vec![
            "userName",
            "name",
            "name.givenName",
            "emails.value",
            "emails",
            "groups",
            "groups.value",
            "password",
            "PASSWORD",
            "urn:ietf:params:scim:schemas:core:2.0:User:password",
            "meta",
            "id",
            "schemas",
            "manager",
            "color",
            ENTERPRISE,
            "x y",
            "",
        ]);
        prop::collection::vec(names, 0..6).prop_map(|names| names.join(","))
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_the_schema_decides(only in any_names(), except in any_names()) {
            let catalog = Catalog::embedded().unwrap();
            let user = catalog.resource_type(Kind::User);
            let projection = Projection::parse(Some(&only), Some(&except)).unwrap();
            let answer = projection.apply(user, whole());
            prop_assert!(!answer.contains_key("password"));
            prop_assert!(!answer.contains_key("color"));
            let before = whole();
            prop_assert_eq!(answer.get("id"), before.get("id"));
            prop_assert_eq!(answer.get("schemas"), before.get("schemas"));
            for name in answer.keys().filter(|name| user.attribute_named(name).is_some()) {
                prop_assert!(projection.wants(user, name), "{} was not wanted", name);
            }
            // Projecting what has been projected changes nothing.
            prop_assert_eq!(&projection.apply(user, answer.clone()), &answer);
        }
    }
}
