//! The portal's paths: one `match`.

use http::{Method, StatusCode};

use super::answer::Stop;
use crate::admin::portal::PATH;
use crate::limits::PATH_BYTES_MAX;

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A file that never changes.
    Asset(&'a str),
    /// A setup link, by its secret.
    Link(&'a str),
    /// A page that needs a session.
    Page(Page),
}

/// A page that needs a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Overview,
    SignIn,
    Provisioning,
    Tokens,
    Revoke,
    Connect,
    Mapping,
    Test,
    Log,
    Why,
    Health,
    Held,
    Leave,
}

impl Page {
    const ALL: [Self; 13] = [
        Self::Overview,
        Self::SignIn,
        Self::Provisioning,
        Self::Tokens,
        Self::Revoke,
        Self::Connect,
        Self::Mapping,
        Self::Test,
        Self::Log,
        Self::Why,
        Self::Health,
        Self::Held,
        Self::Leave,
    ];

    /// The path, which is what the log calls it, too.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Overview => PATH,
            Self::SignIn => "/portal/sign-in",
            Self::Provisioning => "/portal/provisioning",
            Self::Tokens => "/portal/tokens",
            Self::Revoke => "/portal/tokens/revoke",
            Self::Connect => "/portal/connect",
            Self::Mapping => "/portal/connect/entra-mapping.json",
            Self::Test => "/portal/test",
            Self::Log => "/portal/log",
            Self::Why => "/portal/why",
            Self::Health => "/portal/health",
            Self::Held => "/portal/held",
            Self::Leave => "/portal/leave",
        }
    }

    fn allows(self) -> &'static str {
        match self {
            Self::SignIn | Self::Provisioning | Self::Tokens | Self::Held => "GET, HEAD, POST",
            Self::Revoke | Self::Leave => "POST",
            Self::Overview
            | Self::Connect
            | Self::Mapping
            | Self::Test
            | Self::Log
            | Self::Why
            | Self::Health => "GET, HEAD",
        }
    }
}

impl Found<'_> {
    /// What the log calls it: no secret, and nothing that a client made up.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            Self::Asset(_) => "/portal/assets/{name}",
            Self::Link(_) => "/portal/s/{secret}",
            Self::Page(page) => page.path(),
        }
    }

    fn allows(self) -> &'static str {
        match self {
            Self::Asset(_) => "GET, HEAD",
            Self::Link(_) => "GET, HEAD, POST",
            Self::Page(page) => page.allows(),
        }
    }
}

/// What a request line names.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<Found<'a>, Stop> {
    let found = by_path(path).ok_or_else(Stop::nothing_here)?;
    let allowed = found.allows();
    if !allowed.split(", ").any(|name| name == method.as_str()) {
        let told = "This address is not for that. Go back to the page before.";
        let stop = Stop::refused(StatusCode::METHOD_NOT_ALLOWED, "Not like this", told);
        return Err(stop.allowing(allowed));
    }
    Ok(found)
}

fn by_path(path: &str) -> Option<Found<'_>> {
    let rest = path.strip_prefix(PATH).filter(|_| path.len() <= PATH_BYTES_MAX)?;
    // Whether an HTTP API takes a path with nothing behind the slash for `/portal/{proxy+}` is said nowhere: nothing of ours
    // leads there, and whoever comes from elsewhere finds the page.
    if rest == "/" {
        return Some(Found::Page(Page::Overview));
    }
    if let Some(name) = rest.strip_prefix("/assets/") {
        return Some(Found::Asset(name));
    }
    if let Some(secret) = rest.strip_prefix("/s/") {
        return Some(Found::Link(secret));
    }
    Page::ALL.into_iter().find(|page| page.path() == path).map(Found::Page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(method: &Method, path: &str) -> Option<&'static str> {
        find(method, path).ok().map(Found::pattern)
    }

    #[test]
    fn each_path_has_its_page_and_its_methods() {
        for page in Page::ALL {
            let method = if page.allows() == "POST" { Method::POST } else { Method::GET };
            assert_eq!(find(&method, page.path()).ok(), Some(Found::Page(page)));
            assert!(find(&Method::DELETE, page.path()).is_err());
        }
        assert_eq!(named(&Method::GET, "/portal"), Some("/portal"));
        assert_eq!(named(&Method::GET, "/portal/"), Some("/portal"));
        assert_eq!(named(&Method::POST, "/portal/log"), None);
        assert_eq!(named(&Method::GET, "/portal/s/scimlink_x"), Some("/portal/s/{secret}"));
        for path in ["/portals", "/portal/x", "/portal//log", "/portal/log/", "/scim/v2/Users", "/"]
        {
            assert_eq!(named(&Method::GET, path), None, "{path}");
        }
    }
}
