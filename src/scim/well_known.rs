//! The few names and URNs of RFC 7643 and 7644 that code has to know; everything else comes from the schemas.

/// Attribute `schemas` (RFC 7643 §3).
pub const SCHEMAS: &str = "schemas";
/// Attribute `id` (RFC 7643 §3.1).
pub const ID: &str = "id";
/// Attribute `externalId` (RFC 7643 §3.1).
pub const EXTERNAL_ID: &str = "externalId";
/// Attribute `meta` (RFC 7643 §3.1).
pub const META: &str = "meta";
/// Attribute `userName` (RFC 7643 §4.1.1).
pub const USER_NAME: &str = "userName";
/// Attribute `displayName` (RFC 7643 §4.1.1, §4.2).
pub const DISPLAY_NAME: &str = "displayName";
/// Attribute `active` (RFC 7643 §4.1.1).
pub const ACTIVE: &str = "active";
/// Attribute `emails` (RFC 7643 §4.1.2).
pub const EMAILS: &str = "emails";
/// Attribute `members` of a group (RFC 7643 §4.2).
pub const MEMBERS: &str = "members";
/// Attribute `groups` of a user (RFC 7643 §4.1.2).
pub const GROUPS: &str = "groups";
/// Sub-attribute `resourceType` of `meta` (RFC 7643 §3.1).
pub const RESOURCE_TYPE_NAME: &str = "resourceType";
/// Sub-attribute `value` (RFC 7643 §2.4).
pub const VALUE: &str = "value";
/// Sub-attribute `type` (RFC 7643 §2.4).
pub const TYPE: &str = "type";
/// Sub-attribute `primary` (RFC 7643 §2.4).
pub const PRIMARY: &str = "primary";
/// Sub-attribute `display` (RFC 7643 §2.4).
pub const DISPLAY: &str = "display";
/// Sub-attribute `$ref` (RFC 7643 §2.4).
pub const REF: &str = "$ref";

/// Schema URN of a list answer (RFC 7644 §3.4.2).
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// Schema URN of an error answer (RFC 7644 §3.12).
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// Schema URN of a PATCH request (RFC 7644 §3.5.2).
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// Schema URN of a POST to `/.search` (RFC 7644 §3.4.3).
pub const SEARCH_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// Schema URN of the answer to a bulk request (RFC 7644 §3.7).
pub const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// Schema URN of a schema (RFC 7643 §7).
pub const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
/// Schema URN of a resource type (RFC 7643 §6).
pub const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// Schema URN of the service provider's configuration (RFC 7643 §5).
pub const SERVICE_PROVIDER_CONFIG: &str =
    "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
