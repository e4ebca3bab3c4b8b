//! Which version of SCIM a body is of (RFC 7644 §3.13).
//!
//! `schemas` is not looked at otherwise: it is left out, misspelled and filled up. A body that names schemas of SCIM 1.1 and
//! none of 2.0 is refused all the same, before a part of it is taken for something else: its PATCH has no operations, its
//! PUT and its extensions mean other things, and whoever has chosen that version can choose the other one.

use serde_json::{Map, Value};

use super::catalog::ResourceType;
use super::coerce;
use super::error::{ErrorKind, ScimError};
use super::well_known;

/// What the URNs of SCIM 1.1 begin with, and those of 2.0.
const VERSION_1: &str = "urn:scim:schemas:";
const VERSION_2: &str = "urn:ietf:params:scim:";

/// Looks at the URNs of a body.
///
/// # Errors
/// 400 `invalidVers` when they are those of SCIM 1.1.
pub(in crate::scim) fn check(
    rt: &ResourceType,
    members: &Map<String, Value>,
) -> Result<(), ScimError> {
    let urns = match coerce::member(members, well_known::SCHEMAS) {
        Some(Value::Array(urns)) => urns.as_slice(),
        Some(urn) => std::slice::from_ref(urn),
        None => &[],
    };
    let urns = || urns.iter().filter_map(Value::as_str);
    let begins = |urn: &str, with: &str| {
        urn.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with))
    };
    let is_known =
        |urn: &str| begins(urn, VERSION_2) || rt.urns().any(|own| own.eq_ignore_ascii_case(urn));
    if urns().any(is_known) || !urns().any(|urn| begins(urn, VERSION_1)) {
        return Ok(());
    }
    let detail = "schemas: this request is SCIM 1.1, and this server speaks SCIM 2.0; choose 2.0 as the SCIM version in the \
                  identity provider's provisioning settings, and leave the base URL as it is";
    Err(ScimError::new(ErrorKind::InvalidVersion, detail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::catalog::{Catalog, Kind};
    use crate::scim::patch::PatchRequest;
    use crate::scim::validate;

    #[test]
    fn only_a_body_of_version_1_alone_is_refused() {
        let catalog = Catalog::embedded().unwrap();
        let rt = catalog.resource_type(Kind::User);
        let first = "urn:scim:schemas:core:1.0";
        let extension = "urn:scim:schemas:extension:enterprise:1.0";
        for (schemas, is_refused) in [
            (json!([first]), true),
            (json!(["URN:SCIM:Schemas:Core:1.0"]), true),
            (json!([first, extension]), true),
            (json!([extension, "urn:example:1.0:User", 7]), true),
            (json!(first), true),
            (json!([first, "urn:ietf:params:scim:schemas:core:2.0:User"]), false),
            (json!([first, "URN:IETF:params:scim:schemas:unknown:2.0:X"]), false),
            (json!(["urn:ietf:params:scim:schemas:core:2.0:user"]), false),
            (json!(["urn:example:1.0:User"]), false),
            (json!(["urn:scim"]), false),
            (json!(["ürn:scim:schemas:core:1.0"]), false),
            (json!([]), false),
            (json!([1]), false),
            (json!(null), false),
            (json!({}), false),
        ] {
            let body = json!({ "Schemas": schemas, "userName": "a", "Operations": [] });
            let document = validate::document(rt, &body).map(drop);
            let patch = PatchRequest::parse(rt, &body).map(drop);
            for told in [document, patch] {
                let kind = told.err().map(|error| error.kind());
                let expected = is_refused.then_some(ErrorKind::InvalidVersion);
                assert_eq!(kind, expected, "{body}");
            }
        }
        assert!(validate::document(rt, &json!({ "userName": "a" })).is_ok());
    }
}
