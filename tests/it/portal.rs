//! The pages of the workspace's settings, in process: a browser that knows HTML forms and cookies, and no JavaScript.

mod api;
mod escaping;
mod forms;
mod held;
mod journey;
mod links;
mod seen;

use std::cell::RefCell;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use scim_endpoint::admin::portal::{self, IssuedLink, LinkLife, SamlFirst};
use scim_endpoint::http::{Request, decode_path};
use scim_endpoint::portal::{Options, Portal, handle};
use scim_endpoint::saml::Allowed;
use scim_endpoint::store::TenantId;

use crate::app::App;

const ORIGIN: &str = "https://scim.example.test";
const METADATA: &str = include_str!("../saml/metadata.xml");

fn options() -> Options {
    Options {
        public_url: Some(ORIGIN.to_owned()),
        base_path: "/scim/v2".to_owned(),
        saml_hosts: Allowed::default(),
        saml_first: SamlFirst::Required,
    }
}

/// What came back.
#[derive(Clone, Debug)]
struct Page {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Page {
    fn of(response: &Response<Bytes>) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: String::from_utf8(response.body().to_vec()).unwrap(),
        }
    }

    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What a person reads, tags left out.
    fn words(&self) -> String {
        let main = self.text.split_once("<main").map_or("", |(_, main)| main);
        let mut words = String::new();
        for part in format!("<main{main}").split('<').skip(1) {
            let text = part.split_once('>').map_or("", |(_, text)| text);
            words.push_str(text);
        }
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        words.replace("&#34;", "\"").replace("&#39;", "'").replace("&#38;", "&")
    }

    #[track_caller]
    fn says(&self, what: &str) -> &Self {
        assert!(self.words().contains(what), "no \"{what}\" in: {}", self.words());
        self
    }

    /// The value of the first field of that name.
    #[track_caller]
    fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let rest =
            self.text.split_once(&start).unwrap_or_else(|| panic!("no {name}: {}", self.text));
        rest.1.split('"').next().unwrap().to_owned()
    }

    /// The token that is shown.
    fn token(&self) -> Option<String> {
        let (_, rest) = self.text.split_once("id=\"secret\" value=\"")?;
        rest.split('"').next().map(str::to_owned)
    }
}

/// A browser before the portal of one app's store.
struct Browser<'a> {
    app: &'a App,
    portal: Portal,
    cookie: RefCell<Option<String>>,
}

impl<'a> Browser<'a> {
    fn new(app: &'a App) -> Self {
        Self::with(app, options())
    }

    fn with(app: &'a App, options: Options) -> Self {
        Self { app, portal: Portal::new(app.store().clone(), options), cookie: RefCell::new(None) }
    }

    /// One that has opened a setup link of the first tenant's.
    async fn opened(app: &'a App) -> Self {
        let browser = Self::new(app);
        let link = link(app, &app.tenant()).await;
        browser.open(&link).await.expect(303);
        browser
    }

    async fn open(&self, link: &IssuedLink) -> Page {
        self.post(&path_of(link), &[]).await
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Page {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        if let Some(cookie) =
            self.cookie.borrow().as_deref().filter(|_| !map.contains_key("cookie"))
        {
            map.insert("cookie", HeaderValue::from_str(cookie).unwrap());
        }
        let request = Request {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            path: decode_path(path),
            query: query.to_owned(),
            headers: map,
            body: Bytes::copy_from_slice(body),
            origin: Some(ORIGIN.to_owned()),
        };
        let page = Page::of(&handle(&self.portal, request, self.app.moment()).await);
        if let Some(set) = page.headers.get("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
            let is_gone = pair.ends_with('=');
            *self.cookie.borrow_mut() = (!is_gone).then_some(pair);
        }
        page
    }

    async fn get(&self, target: &str) -> Page {
        self.send("GET", target, &[("sec-fetch-site", "same-origin")], &[]).await
    }

    /// Sends a form as a browser does whose page sends no referrer.
    async fn post(&self, target: &str, fields: &[(&str, &str)]) -> Page {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "null"),
            ("sec-fetch-site", "same-origin"),
        ];
        self.send("POST", target, &headers, form(fields).as_bytes()).await
    }

    /// Sends a form of the page, with what it has hidden in it.
    async fn submit(&self, target: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.csrf().await;
        self.post(target, &[&[("csrf", csrf.as_str())], fields].concat()).await
    }

    async fn csrf(&self) -> String {
        self.get("/portal").await.expect(200).field("csrf")
    }

    /// Gives metadata as a file.
    async fn upload(&self, document: &str) -> Page {
        let csrf = self.csrf().await;
        let body = format!(
            "--edge\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{csrf}\r\n--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"metadata.xml\"\r\nContent-Type: text/xml\r\n\r\n{document}\r\n--edge\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n\r\n--edge--\r\n"
        );
        let headers = [
            ("content-type", "multipart/form-data; boundary=edge"),
            ("sec-fetch-site", "same-origin"),
        ];
        self.send("POST", "/portal/sign-in", &headers, body.as_bytes()).await
    }

    /// A token, as the page that shows it once has it.
    async fn reveal(&self, label: &str) -> Page {
        let version = self.get("/portal/tokens").await.expect(200).field("version");
        let fields = [("version", version.as_str()), ("label", label), ("days", "365")];
        self.submit("/portal/tokens", &fields).await
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

async fn link(app: &App, tenant: &TenantId) -> IssuedLink {
    let what = ("ida's admin", LinkLife::parse("7d").unwrap());
    portal::issue_link(app.store(), &app.moment(), (tenant, "scimctl"), what).await.unwrap()
}

fn path_of(link: &IssuedLink) -> String {
    link.url(ORIGIN).strip_prefix(ORIGIN).unwrap().to_owned()
}

/// The pages that need a session.
const PAGES: [&str; 11] = [
    "/portal",
    "/portal/sign-in",
    "/portal/provisioning",
    "/portal/tokens",
    "/portal/connect",
    "/portal/connect/entra-mapping.json",
    "/portal/test",
    "/portal/log",
    "/portal/why?who=ida",
    "/portal/health",
    "/portal/held",
];
