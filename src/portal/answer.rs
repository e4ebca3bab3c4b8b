//! Answers: pages with the headers that each of them has, redirections, and what stops a request.

use std::error::Error;
use std::fmt;

use askama::Template;
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::{Options, assets};
use crate::admin::portal::{self, PATH};
use crate::http::Request;
use crate::limits::RETRY_AFTER_SECONDS;

/// Nothing from anywhere but here, nothing inline, no form to anywhere else, in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Hosts whose plain http never leaves the machine.
const LOOPBACK: [&str; 3] = ["http://127.0.0.1", "http://localhost", "http://[::1]"];

/// What the way to the browser is.
#[derive(Clone, Debug)]
pub(super) struct Outer {
    /// Where people reach the deployment, as it is said or as this request did; nothing when neither is known.
    pub(super) base: String,
    /// `scheme://host` as this request used it.
    pub(super) own: String,
    /// The path of the portal as the browser sees it.
    pub(super) home: String,
    /// Whether it is plain http on one's own machine.
    pub(super) is_plain: bool,
}

impl Outer {
    pub(super) fn of(options: &Options, request: &Request) -> Self {
        let own = request.origin.clone().unwrap_or_default();
        let base = options.public_url.clone().unwrap_or_else(|| own.clone());
        let base = base.trim_end_matches('/').to_owned();
        let home = portal::home(&base);
        let home = home.get(origin_of(&home).len()..).unwrap_or(PATH).to_owned();
        let own = if own.is_empty() { &base } else { &own };
        // A proxy in front of it may speak plain http with it.
        let is_secure = base.starts_with("https://");
        let is_plain = !is_secure
            && LOOPBACK.iter().any(|host| {
                own.strip_prefix(host)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
            });
        Self { home, own: origin_of(own).to_owned(), is_plain, base }
    }
}

/// `scheme://host` of an address.
pub(super) fn origin_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| start + at);
    url.get(..end).unwrap_or(url)
}

/// Why a request ends before its page.
#[derive(Debug)]
pub(super) struct Stop {
    status: StatusCode,
    title: &'static str,
    sentences: Vec<String>,
    allow: Option<&'static str>,
    is_busy: bool,
    is_way_back: bool,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Stop {
    /// A page that says what is the matter.
    pub(super) fn refused(
        status: StatusCode,
        title: &'static str,
        sentence: impl Into<String>,
    ) -> Self {
        let sentences = vec![sentence.into()];
        Self {
            status,
            title,
            sentences,
            allow: None,
            is_busy: false,
            is_way_back: true,
            cause: None,
        }
    }

    /// One with more to say.
    pub(super) fn and(mut self, sentence: impl Into<String>) -> Self {
        self.sentences.push(sentence.into());
        self
    }

    /// One for those who have no session to go back to.
    pub(super) fn with_no_way_back(mut self) -> Self {
        self.is_way_back = false;
        self
    }

    pub(super) fn allowing(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// Our fault.
    pub(super) fn failed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let told = "The server has failed, and nothing is known of what it has done. Open the page again; if it stays so, tell the team that sent you the setup link.";
        let stop = Self::refused(StatusCode::INTERNAL_SERVER_ERROR, "That went wrong", told);
        Self { cause: Some(cause.into()), ..stop }
    }

    pub(super) fn too_late() -> Self {
        let told = "The server could not finish in time. Open the page again.";
        Self::refused(StatusCode::SERVICE_UNAVAILABLE, "That took too long", told)
    }

    /// The tables are busy.
    pub(super) fn busy() -> Self {
        let told = "The server is busy, and did nothing. Open the page again in a few seconds.";
        let stop = Self::refused(StatusCode::SERVICE_UNAVAILABLE, "Busy", told);
        Self { is_busy: true, ..stop }
    }

    pub(super) fn nothing_here() -> Self {
        let told = "There is nothing at this address.";
        Self::refused(StatusCode::NOT_FOUND, "Nothing here", told)
    }

    /// The page, and what the log says.
    pub(super) fn page(
        self,
        outer: &Outer,
    ) -> (Response<Bytes>, Option<Box<dyn Error + Send + Sync>>) {
        let Self { status, title, sentences, allow, is_busy, is_way_back, cause } = self;
        let template = StopPage {
            frame: Frame::without_session(outer),
            heading: title,
            sentences,
            is_way_back,
        };
        let mut response = html(status, &template, outer).unwrap_or_else(|_| {
            let text = Bytes::from_static(b"The server has failed.");
            let mut response = Response::new(text);
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        });
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        if is_busy {
            set(&mut response, RETRY_AFTER, &RETRY_AFTER_SECONDS.to_string());
        }
        (response, cause)
    }
}

#[derive(Template)]
#[template(path = "portal/stop.html")]
struct StopPage {
    frame: Frame,
    heading: &'static str,
    sentences: Vec<String>,
    is_way_back: bool,
}

/// What is around each page.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The path of the portal as the browser sees it.
    pub(super) home: String,
    /// The name of the stylesheet.
    pub(super) css: &'static str,
    /// The name of the script.
    pub(super) js: &'static str,
    /// Whose settings these are, and what its forms bring; `None` without a session.
    pub(super) signed: Option<Signed>,
    /// The path of the page, for the menu.
    pub(super) here: &'static str,
}

/// What is around the pages of a session.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) tenant: String,
    pub(super) csrf: String,
    pub(super) version: u64,
}

impl Frame {
    pub(super) fn without_session(outer: &Outer) -> Self {
        Self {
            home: outer.home.clone(),
            css: assets::css().name(),
            js: assets::js().name(),
            signed: None,
            here: "",
        }
    }

    /// Whether the menu's entry is this page.
    pub(super) fn is_here(&self, path: &str) -> bool {
        self.here == path
    }
}

/// A page.
pub(super) fn html(
    status: StatusCode,
    page: &impl Template,
    outer: &Outer,
) -> Result<Response<Bytes>, Stop> {
    let text = page.render().map_err(Stop::failed)?;
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, "text/html; charset=utf-8");
    set(&mut response, CACHE_CONTROL, "no-store");
    protect(&mut response, outer);
    Ok(response)
}

/// Another page, to be asked for with GET.
pub(super) fn see_other(outer: &Outer, page: &impl fmt::Display) -> Response<Bytes> {
    let path = page.to_string();
    let rest = path.strip_prefix(PATH).unwrap_or(&path);
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    set(&mut response, LOCATION, &format!("{}{rest}", outer.home));
    set(&mut response, CACHE_CONTROL, "no-store");
    protect(&mut response, outer);
    response
}

/// The headers that each answer has.
pub(super) fn protect(response: &mut Response<Bytes>, outer: &Outer) {
    set(response, CONTENT_SECURITY_POLICY, POLICY);
    set(response, REFERRER_POLICY, "no-referrer");
    set(response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(response, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(response, HeaderName::from_static("x-robots-tag"), "noindex");
    if !outer.is_plain {
        set(response, STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

/// Sets a header, if its value is one.
pub(super) fn set(response: &mut Response<Bytes>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use crate::admin::portal::SamlFirst;
    use crate::saml::Allowed;

    use super::*;

    /// What the browser sees of a deployment at that address, asked for at that one.
    fn seen(public_url: Option<&str>, asked: &str) -> Outer {
        let options = Options {
            public_url: public_url.map(ToOwned::to_owned),
            base_path: "/scim/v2".to_owned(),
            saml_hosts: Allowed::default(),
            saml_first: SamlFirst::Required,
        };
        let request = Request {
            method: http::Method::GET,
            path: PATH.to_owned(),
            query: String::new(),
            headers: http::HeaderMap::new(),
            body: Bytes::new(),
            origin: Some(asked.to_owned()),
        };
        Outer::of(&options, &request)
    }

    #[test]
    fn the_pages_are_where_the_links_lead() {
        for url in [
            "https://scim.example.test",
            "https://scim.example.test/",
            "https://example.test/scim",
            "https://example.test/portal",
            "https://example.test/portal/",
        ] {
            let outer = seen(Some(url), "https://scim.example.test");
            assert_eq!(format!("{}{}", origin_of(url), outer.home), portal::home(url));
        }
        assert_eq!(seen(None, "").home, PATH);
        assert_eq!(seen(None, "http://127.0.0.1:1").home, PATH);
    }

    #[test]
    fn what_is_reached_over_https_is_never_plain() {
        let (own, tunnel) = ("http://127.0.0.1:8080", "https://tunnel.example.test");
        for (public_url, asked, is_plain) in [
            (None, own, true),
            (Some(own), own, true),
            (Some(tunnel), own, false),
            (Some(tunnel), tunnel, false),
            (None, tunnel, false),
        ] {
            assert_eq!(seen(public_url, asked).is_plain, is_plain, "{public_url:?} {asked}");
        }
    }

    #[test]
    fn an_address_has_an_origin() {
        for (url, origin) in [
            ("https://scim.example.test", "https://scim.example.test"),
            ("https://scim.example.test/a/b", "https://scim.example.test"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("", ""),
        ] {
            assert_eq!(origin_of(url), origin);
        }
    }
}
