//! What this server says about itself: `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas` (RFC 7643 §5–§7,
//! RFC 7644 §4).
//!
//! Made of the catalog and the limits, so that what is published is what validation runs on. It never describes one
//! tenant's data; the one setting that shows is whether group names are unique there. `base` is always the public
//! base URL without a slash at its end.

use serde_json::{Map, Value, json};

use super::catalog::{Catalog, Kind, ResourceType};
use super::schema::Schema;
use super::well_known;
use crate::limits::{BODY_BYTES_MAX, BULK_OPERATIONS_MAX, CURSOR_LIFE, PAGE_DEFAULT, PAGE_MAX};

/// Whether two groups of a tenant may have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupNames {
    /// They may not: Entra needs it so, and so it is published.
    Unique,
    /// They may, as in RFC 7643 §8.7.1.
    Free,
}

/// The body of `/ServiceProviderConfig` (RFC 7643 §5, RFC 9865 §4).
pub fn service_provider_config(base: &str) -> Value {
    json!({
        well_known::SCHEMAS: [well_known::SERVICE_PROVIDER_CONFIG],
        "patch": { "supported": true },
        "bulk": {
            "supported": true,
            "maxOperations": BULK_OPERATIONS_MAX,
            "maxPayloadSize": BODY_BYTES_MAX,
        },
        "filter": { "supported": true, "maxResults": PAGE_MAX },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": PAGE_DEFAULT,
            "maxPageSize": PAGE_MAX,
            "cursorTimeout": CURSOR_LIFE.as_secs(),
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token issued for this tenant, in the header Authorization: Bearer.",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": true,
        }],
        well_known::META: {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base}/ServiceProviderConfig"),
        },
    })
}

/// The resources of `/ResourceTypes` (RFC 7643 §6).
pub fn resource_types(catalog: &Catalog, base: &str) -> Vec<Value> {
    catalog
        .kinds()
        .into_iter()
        .map(|kind| published_resource_type(catalog.resource_type(kind), base))
        .collect()
}

/// The body of `/ResourceTypes/{id}`; `None` when there is no such resource type.
pub fn resource_type(catalog: &Catalog, base: &str, id: &str) -> Option<Value> {
    let kind = catalog.kind_named(id)?;
    Some(published_resource_type(catalog.resource_type(kind), base))
}

/// The resources of `/Schemas` (RFC 7643 §7).
pub fn schemas(catalog: &Catalog, base: &str, names: GroupNames) -> Vec<Value> {
    let publish = |schema| published_schema(catalog, base, schema, names);
    catalog.schemas().iter().map(publish).collect()
}

/// The body of `/Schemas/{urn}`, with the URN in any letter case; `None` when there is no such schema.
pub fn schema(catalog: &Catalog, base: &str, urn: &str, names: GroupNames) -> Option<Value> {
    let found = catalog.schemas().iter().find(|schema| schema.urn.eq_ignore_ascii_case(urn))?;
    Some(published_schema(catalog, base, found, names))
}

fn published_resource_type(resource_type: &ResourceType, base: &str) -> Value {
    let location = format!("{base}/ResourceTypes/{}", resource_type.kind.name());
    published(&resource_type.json, well_known::RESOURCE_TYPE, "ResourceType", &location)
}

fn published_schema(catalog: &Catalog, base: &str, schema: &Schema, names: GroupNames) -> Value {
    let location = format!("{base}/Schemas/{}", schema.urn);
    let mut value = published(&schema.json, well_known::SCHEMA, "Schema", &location);
    let group_schema = catalog.resource_type(Kind::Group).schema.urn == schema.urn;
    match names {
        GroupNames::Free if group_schema => free_names(&mut value),
        GroupNames::Free | GroupNames::Unique => {}
    }
    value
}

/// The file's content behind its `schemas`, with `meta` at the end.
fn published(file: &Value, urn: &str, resource_type: &str, location: &str) -> Value {
    let mut value = Map::new();
    value.insert(well_known::SCHEMAS.to_owned(), json!([urn]));
    let members = file.as_object().into_iter().flatten();
    value.extend(members.map(|(name, member)| (name.clone(), member.clone())));
    let meta = json!({ "resourceType": resource_type, "location": location });
    value.insert(well_known::META.to_owned(), meta);
    Value::Object(value)
}

/// Takes back that a group's name is unique.
fn free_names(schema: &mut Value) {
    let attributes = schema.get_mut("attributes").and_then(Value::as_array_mut);
    for attribute in attributes.into_iter().flatten().filter_map(Value::as_object_mut) {
        let name = attribute.get("name").and_then(Value::as_str);
        if name == Some(well_known::DISPLAY_NAME) {
            attribute.insert("uniqueness".to_owned(), Value::from("none"));
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::scim::path::AttrPath;
    use crate::scim::schema::{Attribute, Mutability, Returned, Type, Uniqueness};

    const BASE: &str = "https://scim.example.com/v2";
    const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
    const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    fn catalog() -> Catalog {
        Catalog::embedded().unwrap()
    }

    /// Every document that discovery gives out.
    fn documents() -> Vec<Value> {
        let catalog = catalog();
        let mut all = vec![service_provider_config(BASE)];
        all.extend(resource_types(&catalog, BASE));
        all.extend(schemas(&catalog, BASE, GroupNames::Unique));
        all.extend(schemas(&catalog, BASE, GroupNames::Free));
        all
    }

    fn walk(value: &Value, visit: &mut dyn FnMut(&Value)) {
        visit(value);
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
            Value::Object(members) => members.values().for_each(|member| walk(member, visit)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Every attribute and sub-attribute of a published schema, with its path.
    fn attributes(schema: &Value) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        for attribute in schema["attributes"].as_array().unwrap() {
            let name = attribute["name"].as_str().unwrap().to_owned();
            for sub in attribute["subAttributes"].as_array().into_iter().flatten() {
                all.push((format!("{name}.{}", sub["name"].as_str().unwrap()), sub.clone()));
            }
            all.push((name, attribute.clone()));
        }
        all
    }

    #[test]
    fn the_service_provider_config_says_what_this_server_does() {
        expect![[r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],"patch":{"supported":true},"bulk":{"supported":true,"maxOperations":200,"maxPayloadSize":524288},"filter":{"supported":true,"maxResults":200},"changePassword":{"supported":false},"sort":{"supported":true},"etag":{"supported":true},"pagination":{"cursor":true,"index":true,"defaultPaginationMethod":"index","defaultPageSize":100,"maxPageSize":200,"cursorTimeout":3600},"authenticationSchemes":[{"type":"oauthbearertoken","name":"Bearer token","description":"A token issued for this tenant, in the header Authorization: Bearer.","specUri":"https://www.rfc-editor.org/rfc/rfc6750","primary":true}],"meta":{"resourceType":"ServiceProviderConfig","location":"https://scim.example.com/v2/ServiceProviderConfig"}}"#]].assert_eq(&service_provider_config(BASE).to_string());
    }

    #[test]
    fn resource_types_have_the_shape_of_the_rfc() {
        let all = resource_types(&catalog(), BASE);
        let lines: Vec<String> = all.iter().map(Value::to_string).collect();
        expect![[r#"
            {"schemas":["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],"id":"User","name":"User","endpoint":"/Users","description":"A person with an account in the application.","schema":"urn:ietf:params:scim:schemas:core:2.0:User","schemaExtensions":[{"schema":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User","required":false}],"meta":{"resourceType":"ResourceType","location":"https://scim.example.com/v2/ResourceTypes/User"}}
            {"schemas":["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],"id":"Group","name":"Group","endpoint":"/Groups","description":"A group of users and other groups.","schema":"urn:ietf:params:scim:schemas:core:2.0:Group","meta":{"resourceType":"ResourceType","location":"https://scim.example.com/v2/ResourceTypes/Group"}}"#]].assert_eq(&lines.join("\n"));
        for one in all {
            assert_eq!(one["id"], one["name"]);
            let id = one["id"].as_str().unwrap();
            assert_eq!(resource_type(&catalog(), BASE, id), Some(one.clone()));
        }
        assert_eq!(resource_type(&catalog(), BASE, "Schema"), None);
    }

    #[test]
    fn schemas_are_found_by_urn_in_any_letter_case() {
        let catalog = catalog();
        let found = schema(&catalog, BASE, &USER.to_uppercase(), GroupNames::Unique).unwrap();
        assert_eq!(found["id"], USER);
        assert_eq!(found["schemas"], json!([well_known::SCHEMA]));
        assert_eq!(
            found["meta"],
            json!({ "resourceType": "Schema", "location": format!("{BASE}/Schemas/{USER}") })
        );
        let keys: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["schemas", "id", "name", "description", "attributes", "meta"]);
        assert_eq!(schema(&catalog, BASE, "urn:x", GroupNames::Unique), None);
        let ids: Vec<Value> = schemas(&catalog, BASE, GroupNames::Unique)
            .into_iter()
            .map(|schema| schema["id"].clone())
            .collect();
        assert_eq!(ids, [ENTERPRISE, GROUP, USER]);
    }

    #[test]
    fn group_names_are_published_as_the_tenant_has_them() {
        for (names, keyword) in [(GroupNames::Unique, "server"), (GroupNames::Free, "none")] {
            let group = schema(&catalog(), BASE, GROUP, names).unwrap();
            assert_eq!(group["attributes"][0]["name"], "displayName");
            assert_eq!(group["attributes"][0]["uniqueness"], keyword);
            let user = schema(&catalog(), BASE, USER, names).unwrap();
            assert_eq!(user["attributes"][0]["name"], "userName");
            assert_eq!(user["attributes"][0]["uniqueness"], "server");
        }
    }

    #[test]
    fn no_document_has_a_null_or_an_empty_array() {
        for document in documents() {
            walk(&document, &mut |value| {
                assert!(!value.is_null());
                assert!(value.as_array().is_none_or(|items| !items.is_empty()));
            });
        }
    }

    #[test]
    fn every_member_is_written_in_camel_case() {
        for document in documents() {
            walk(&document, &mut |value| {
                for name in value.as_object().into_iter().flat_map(Map::keys) {
                    assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
                    assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
                }
            });
        }
    }

    #[test]
    fn every_attribute_states_its_characteristics() {
        for schema in schemas(&catalog(), BASE, GroupNames::Unique) {
            for (path, attribute) in attributes(&schema) {
                for member in
                    ["name", "type", "description", "mutability", "returned", "uniqueness"]
                {
                    assert!(
                        attribute[member].as_str().is_some_and(|s| !s.is_empty()),
                        "{path} {member}"
                    );
                }
                for member in ["multiValued", "required"] {
                    assert!(attribute[member].is_boolean(), "{path} {member}");
                }
                let complex = attribute["type"] == "complex";
                assert_eq!(attribute["caseExact"].is_boolean(), !complex, "{path} caseExact");
                assert_eq!(attribute["subAttributes"].is_array(), complex, "{path} subAttributes");
                let reference = attribute["type"] == "reference";
                assert_eq!(attribute["referenceTypes"].is_array(), reference, "{path}");
            }
        }
    }

    /// What differs from the commonest attribute: single-valued, not required, readWrite, default, none, caseExact
    /// false, string.
    fn characteristics(attributes: &[Attribute], indent: &str, out: &mut String) {
        use std::fmt::Write as _;
        for attribute in attributes {
            write!(out, "{indent}{}", attribute.name).unwrap();
            if attribute.kind != Type::String {
                write!(out, " {:?}", attribute.kind).unwrap();
            }
            let flags = [
                (attribute.multi_valued, "multiValued"),
                (attribute.required, "required"),
                (attribute.case_exact, "caseExact"),
            ];
            for (_, flag) in flags.into_iter().filter(|(set, _)| *set) {
                write!(out, " {flag}").unwrap();
            }
            if attribute.mutability != Mutability::ReadWrite {
                write!(out, " {:?}", attribute.mutability).unwrap();
            }
            if attribute.returned != Returned::Default {
                write!(out, " returned={:?}", attribute.returned).unwrap();
            }
            if attribute.uniqueness != Uniqueness::None {
                write!(out, " uniqueness={:?}", attribute.uniqueness).unwrap();
            }
            out.push('\n');
            characteristics(&attribute.sub_attributes, &format!("{indent}  "), out);
        }
    }

    fn check_attributes(attributes: &[Attribute], expected: &Expect) {
        let mut out = String::new();
        characteristics(attributes, "", &mut out);
        expected.assert_eq(&out);
    }

    #[test]
    fn users_are_those_of_rfc_7643() {
        let catalog = catalog();
        let user = catalog.resource_type(Kind::User);
        check_attributes(
            &user.schema.attributes[..16],
            &expect![[r#"
            userName required uniqueness=Server
            name Complex
              formatted
              familyName
              givenName
              middleName
              honorificPrefix
              honorificSuffix
            displayName
            nickName
            profileUrl Reference
            title
            userType
            preferredLanguage
            locale
            timezone
            active Boolean
            password WriteOnly returned=Never
            emails Complex multiValued
              value
              display
              type
              primary Boolean
            phoneNumbers Complex multiValued
              value
              display
              type
              primary Boolean
            ims Complex multiValued
              value
              display
              type
              primary Boolean
            photos Complex multiValued
              value Reference
              display
              type
              primary Boolean
        "#]],
        );
    }

    #[test]
    fn users_have_groups_on_request() {
        let catalog = catalog();
        let user = catalog.resource_type(Kind::User);
        check_attributes(
            &user.schema.attributes[16..],
            &expect![[r#"
            addresses Complex multiValued
              formatted
              streetAddress
              locality
              region
              postalCode
              country
              type
              primary Boolean
            groups Complex multiValued ReadOnly returned=Request
              value ReadOnly
              $ref Reference ReadOnly
              display ReadOnly
              type ReadOnly
            entitlements Complex multiValued
              value
              display
              type
              primary Boolean
            roles Complex multiValued
              value
              display
              type
              primary Boolean
            x509Certificates Complex multiValued
              value Binary
              display
              type
              primary Boolean
        "#]],
        );
    }

    #[test]
    fn enterprise_users_are_those_of_rfc_7643() {
        let catalog = catalog();
        let extensions = &catalog.resource_type(Kind::User).extensions;
        assert_eq!(extensions.len(), 1);
        check_attributes(
            &extensions[0].attributes,
            &expect![[r#"
            employeeNumber
            costCenter
            organization
            division
            department
            manager Complex
              value
              $ref Reference
              displayName ReadOnly
        "#]],
        );
    }

    #[test]
    fn groups_are_those_of_rfc_7643_with_a_required_unique_name() {
        let catalog = catalog();
        let group = catalog.resource_type(Kind::Group);
        assert!(group.extensions.is_empty());
        check_attributes(
            &group.schema.attributes,
            &expect![[r#"
            displayName required uniqueness=Server
            members Complex multiValued
              value Immutable
              $ref Reference Immutable
              type Immutable
              display ReadOnly
        "#]],
        );
    }

    #[test]
    fn every_resource_has_the_common_attributes() {
        let catalog = catalog();
        for kind in Kind::ALL {
            assert!(catalog.resource_type(kind).attribute_named("EXTERNALID").is_some());
        }
        check_attributes(
            &catalog.resource_type(Kind::User).common,
            &expect![[r#"
            schemas multiValued caseExact ReadOnly returned=Always
            id caseExact ReadOnly returned=Always uniqueness=Server
            externalId caseExact
            meta Complex ReadOnly
              resourceType caseExact ReadOnly
              created DateTime ReadOnly
              lastModified DateTime ReadOnly
              location Reference caseExact ReadOnly
              version caseExact ReadOnly
        "#]],
        );
    }

    #[test]
    fn types_of_values_have_their_canonical_values() {
        let user = schema(&catalog(), BASE, USER, GroupNames::Unique).unwrap();
        let lines: Vec<String> = attributes(&user)
            .into_iter()
            .filter(|(_, attribute)| attribute["canonicalValues"].is_array())
            .map(|(path, attribute)| format!("{path} {}", attribute["canonicalValues"]))
            .collect();
        expect![[r#"
            emails.type ["work","home","other"]
            phoneNumbers.type ["work","home","mobile","fax","pager","other"]
            ims.type ["aim","gtalk","icq","xmpp","msn","skype","qq","yahoo"]
            photos.type ["photo","thumbnail"]
            addresses.type ["work","home","other"]
            groups.type ["direct","indirect"]"#]]
        .assert_eq(&lines.join("\n"));
    }

    /// What an unmodified Entra application sends; `externalId` is common to all resources and in no schema.
    const ENTRA_USER: [&str; 19] = [
        "userName",
        "active",
        "displayName",
        "title",
        "preferredLanguage",
        "emails.value",
        "emails.type",
        "name.givenName",
        "name.familyName",
        "name.formatted",
        "addresses.formatted",
        "addresses.streetAddress",
        "addresses.locality",
        "addresses.region",
        "addresses.postalCode",
        "addresses.country",
        "addresses.type",
        "phoneNumbers.value",
        "phoneNumbers.type",
    ];
    const ENTRA_ENTERPRISE: [&str; 3] = ["employeeNumber", "department", "manager"];
    const ENTRA_GROUP: [&str; 2] = ["displayName", "members.value"];

    #[test]
    fn entras_default_mapping_resolves_and_is_published() {
        let catalog = catalog();
        let rows = [
            (Kind::User, USER, ENTRA_USER.as_slice()),
            (Kind::User, ENTERPRISE, ENTRA_ENTERPRISE.as_slice()),
            (Kind::Group, GROUP, ENTRA_GROUP.as_slice()),
        ];
        for (kind, urn, paths) in rows {
            let resource_type = catalog.resource_type(kind);
            let schema = schema(&catalog, BASE, urn, GroupNames::Unique).unwrap();
            let published = attributes(&schema);
            for path in paths {
                assert!(published.iter().any(|(name, _)| name == path), "{path} is not published");
                for text in [(*path).to_owned(), format!("{urn}:{path}"), path.to_uppercase()] {
                    let parsed = AttrPath::parse(&text).unwrap();
                    assert!(resource_type.resolve(&parsed).is_some(), "{text} does not resolve");
                }
            }
            let external_id = AttrPath::parse("externalId").unwrap();
            assert!(resource_type.resolve(&external_id).is_some());
        }
    }
}
