//! The route table (RFC 7644 §3.2): one `match`.

use http::Method;

use crate::limits::PATH_BYTES_MAX;
use crate::scim::catalog::{Catalog, Kind};
use crate::scim::error::{ErrorKind, ScimError};
use crate::store::scopes::{Access, Scope};

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// All resources of a kind.
    Resources(Kind),
    /// One resource.
    Resource(Kind, String),
    /// `/ServiceProviderConfig`.
    ServiceProviderConfig,
    /// `/ResourceTypes`, or one of them.
    ResourceTypes(Option<String>),
    /// `/Schemas`, or one of them.
    Schemas(Option<String>),
    /// The root itself.
    Root,
    /// `/.search` of a kind, or at the root.
    Search(Option<Kind>),
    /// `/Me`.
    Me,
    /// `/Bulk`.
    Bulk,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    List(Kind),
    /// A list of resources of every kind.
    Query,
    /// A list of a kind, or of every kind, whose parameters are in the body.
    Search(Option<Kind>),
    Create(Kind),
    Read(Kind, String),
    Replace(Kind, String),
    Patch(Kind, String),
    Delete(Kind, String),
    Bulk,
    ServiceProviderConfig,
    ResourceTypes(Option<String>),
    Schemas(Option<String>),
}

/// Why a request line leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No such path.
    NotFound,
    /// The path has other methods.
    MethodNotAllowed(&'static str),
    /// The path is the person who calls, and nobody does.
    Nobody,
}

impl Lost {
    /// What the client is told.
    pub(super) fn error(&self, base_path: &str) -> ScimError {
        match self {
            Self::NotFound => {
                let detail = format!(
                    "there is nothing at this path; the Tenant URL ends in {base_path}, and below it are /Users, /Groups, \
                     /Bulk, /ServiceProviderConfig, /ResourceTypes and /Schemas"
                );
                ScimError::new(ErrorKind::NotFound, detail)
            }
            Self::MethodNotAllowed(allow) => {
                let detail = format!("this path takes {allow}");
                ScimError::new(ErrorKind::MethodNotAllowed, detail)
            }
            // RFC 7644 §3.11: 501 when the subject cannot be mapped to a resource.
            Self::Nobody => {
                let detail = "/Me is the person whose token it is, and this token is a provisioning service's and nobody's; \
                              ask for /Users with a filter such as userName eq \"…\"";
                ScimError::new(ErrorKind::NotImplemented, detail)
            }
        }
    }
}

impl Route {
    /// What a method on a decoded path asks for. Several slashes count as one, and one at the end as none: vendors hand
    /// out Tenant URLs that end in a slash.
    pub(super) fn parse(
        catalog: &Catalog,
        base_path: &str,
        method: &Method,
        path: &str,
    ) -> Result<Self, Lost> {
        let target = target(catalog, base_path, path).ok_or(Lost::NotFound)?;
        let get = *method == Method::GET;
        match target {
            Target::Me => Err(Lost::Nobody),
            Target::Root if get => Ok(Self::Query),
            Target::Root => Err(Lost::MethodNotAllowed("GET")),
            Target::Search(kind) if *method == Method::POST => Ok(Self::Search(kind)),
            Target::Resources(kind) => match *method {
                Method::GET => Ok(Self::List(kind)),
                Method::POST => Ok(Self::Create(kind)),
                _ => Err(Lost::MethodNotAllowed("GET, POST")),
            },
            Target::Resource(kind, id) => match *method {
                Method::GET => Ok(Self::Read(kind, id)),
                Method::PUT => Ok(Self::Replace(kind, id)),
                Method::PATCH => Ok(Self::Patch(kind, id)),
                Method::DELETE => Ok(Self::Delete(kind, id)),
                _ => Err(Lost::MethodNotAllowed("GET, PUT, PATCH, DELETE")),
            },
            Target::Bulk if *method == Method::POST => Ok(Self::Bulk),
            Target::Search(_) | Target::Bulk => Err(Lost::MethodNotAllowed("POST")),
            Target::ServiceProviderConfig if get => Ok(Self::ServiceProviderConfig),
            Target::ResourceTypes(id) if get => Ok(Self::ResourceTypes(id)),
            Target::Schemas(urn) if get => Ok(Self::Schemas(urn)),
            Target::ServiceProviderConfig | Target::ResourceTypes(_) | Target::Schemas(_) => {
                Err(Lost::MethodNotAllowed("GET"))
            }
        }
    }

    /// The pattern, for the log: it holds no value of the client's.
    pub(super) fn pattern(&self) -> &'static str {
        match self {
            Self::List(Kind::User) | Self::Create(Kind::User) => "/Users",
            Self::List(Kind::Group) | Self::Create(Kind::Group) => "/Groups",
            Self::List(Kind::Custom(_)) | Self::Create(Kind::Custom(_)) => "/{type}",
            Self::Read(Kind::Custom(_), _)
            | Self::Replace(Kind::Custom(_), _)
            | Self::Patch(Kind::Custom(_), _)
            | Self::Delete(Kind::Custom(_), _) => "/{type}/{id}",
            Self::Read(Kind::User, _)
            | Self::Replace(Kind::User, _)
            | Self::Patch(Kind::User, _)
            | Self::Delete(Kind::User, _) => "/Users/{id}",
            Self::Read(Kind::Group, _)
            | Self::Replace(Kind::Group, _)
            | Self::Patch(Kind::Group, _)
            | Self::Delete(Kind::Group, _) => "/Groups/{id}",
            Self::Query => "/",
            Self::Search(None) => "/.search",
            Self::Search(Some(Kind::User)) => "/Users/.search",
            Self::Search(Some(Kind::Group)) => "/Groups/.search",
            Self::Search(Some(Kind::Custom(_))) => "/{type}/.search",
            Self::Bulk => "/Bulk",
            Self::ServiceProviderConfig => "/ServiceProviderConfig",
            Self::ResourceTypes(None) => "/ResourceTypes",
            Self::ResourceTypes(Some(_)) => "/ResourceTypes/{id}",
            Self::Schemas(None) => "/Schemas",
            Self::Schemas(Some(_)) => "/Schemas/{id}",
        }
    }

    /// The id in the path.
    pub(super) fn resource(&self) -> Option<&str> {
        match self {
            Self::Read(_, id) | Self::Replace(_, id) | Self::Patch(_, id) | Self::Delete(_, id) => {
                Some(id)
            }
            Self::List(_)
            | Self::Query
            | Self::Search(_)
            | Self::Create(_)
            | Self::Bulk
            | Self::ServiceProviderConfig
            | Self::ResourceTypes(_)
            | Self::Schemas(_) => None,
        }
    }

    /// What a token has to be allowed for it: nothing for what the service says of itself.
    pub(super) fn scopes(&self, catalog: &Catalog) -> Vec<Scope> {
        let access = if self.is_write() { Access::Write } else { Access::Read };
        let scope = |kind| Scope::of(catalog.resource_type(kind), access);
        match self {
            Self::List(kind)
            | Self::Create(kind)
            | Self::Read(kind, _)
            | Self::Replace(kind, _)
            | Self::Patch(kind, _)
            | Self::Delete(kind, _)
            | Self::Search(Some(kind)) => vec![scope(*kind)],
            Self::Query | Self::Search(None) => catalog.kinds().into_iter().map(scope).collect(),
            // Each operation is asked for itself.
            Self::Bulk
            | Self::ServiceProviderConfig
            | Self::ResourceTypes(_)
            | Self::Schemas(_) => Vec::new(),
        }
    }

    /// Whether it would change something.
    pub(super) fn is_write(&self) -> bool {
        match self {
            Self::Create(_)
            | Self::Replace(..)
            | Self::Patch(..)
            | Self::Delete(..)
            | Self::Bulk => true,
            Self::List(_)
            | Self::Query
            | Self::Search(_)
            | Self::Read(..)
            | Self::ServiceProviderConfig
            | Self::ResourceTypes(_)
            | Self::Schemas(_) => false,
        }
    }
}

/// The last segment of a path whose parameters are in the body (RFC 7644 §3.4.3).
const SEARCH: &str = ".search";

/// What a path names; `None` for nothing.
fn target(catalog: &Catalog, base_path: &str, path: &str) -> Option<Target> {
    if path.len() > PATH_BYTES_MAX || path.contains(['\\', '\0']) {
        return None;
    }
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    for expected in base_path.split('/').filter(|segment| !segment.is_empty()) {
        if segments.next() != Some(expected) {
            return None;
        }
    }
    let Some(first) = segments.next() else { return Some(Target::Root) };
    let (second, more) = (segments.next(), segments.next());
    if more.is_some() || second.is_some_and(|second| second == "." || second == "..") {
        return None;
    }
    let id = second.map(ToOwned::to_owned);
    match (first, id) {
        ("ServiceProviderConfig", None) => Some(Target::ServiceProviderConfig),
        ("ResourceTypes", id) => Some(Target::ResourceTypes(id)),
        ("Schemas", id) => Some(Target::Schemas(id)),
        (SEARCH, None) => Some(Target::Search(None)),
        ("Me", None) => Some(Target::Me),
        ("Bulk", None) => Some(Target::Bulk),
        (first, id) => {
            let kind = catalog.kind_at(first)?;
            Some(match id {
                None => Target::Resources(kind),
                Some(id) if id == SEARCH => Target::Search(Some(kind)),
                Some(id) => Target::Resource(kind, id),
            })
        }
    }
}

/// Puts a path right that was glued to the Tenant URL behind its flag: in `…/scim/v2?flag/Users?filter=…` everything after
/// the first slash of the query is the rest of the path. Some clients concatenate so. The flag itself is never looked at.
pub(super) fn unglue<'a>(base_path: &str, path: &'a str, query: &'a str) -> (String, &'a str) {
    let at_root =
        path.trim_end_matches('/').len() == base_path.len() && path.starts_with(base_path);
    let first = query.split('&').next().unwrap_or_default();
    match first.split_once('/') {
        Some((flag, _)) if at_root && !flag.contains('=') => {
            let rest = query.get(flag.len()..).unwrap_or_default();
            let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
            (format!("{base_path}{rest}"), query)
        }
        Some(_) | None => (path.to_owned(), query),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_tolerated_and_nothing_else_is() {
        let catalog = Catalog::embedded().unwrap();
        let parse = |path: &str| Route::parse(&catalog, "/scim/v2", &Method::GET, path);
        for path in ["/scim/v2/Users", "/scim/v2//Users", "/scim/v2/Users/", "//scim//v2/Users"] {
            assert_eq!(parse(path), Ok(Route::List(Kind::User)), "{path}");
        }
        for path in [
            "/",
            "/scim",
            "/scim/v1/Users",
            "/scim/v2/users",
            "/scim/v2/Users/a/b",
            "/scim/v2/Users/..",
            "/scim/v2/..\\Users",
            "/Users",
        ] {
            assert_eq!(parse(path), Err(Lost::NotFound), "{path}");
        }
        let put = Route::parse(&catalog, "/scim/v2", &Method::PUT, "/scim/v2/Users");
        assert_eq!(put, Err(Lost::MethodNotAllowed("GET, POST")));
        for root in ["/scim/v2", "/scim/v2/", "//scim/v2//"] {
            assert_eq!(parse(root), Ok(Route::Query), "{root}");
        }
        let prefixed = Route::parse(
            &catalog,
            "/public-api/scim-v2",
            &Method::GET,
            "/public-api/scim-v2/Groups",
        );
        assert_eq!(prefixed, Ok(Route::List(Kind::Group)));
    }

    #[test]
    fn a_path_glued_behind_the_flag_is_put_right() {
        let (path, query) = unglue("/scim/v2", "/scim/v2/", "aadOptscim062020/Users?filter=a/b");
        assert_eq!((path.as_str(), query), ("/scim/v2/Users", "filter=a/b"));
        let (path, query) = unglue("/scim/v2", "/scim/v2/Users", "filter=a/b");
        assert_eq!((path.as_str(), query), ("/scim/v2/Users", "filter=a/b"));
    }
}
