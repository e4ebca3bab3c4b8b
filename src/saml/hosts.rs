//! Addresses: where people may be sent to sign in, and which directory an entityID names.

use http::Uri;
use uuid::Uuid;

use crate::limits::SAML_TEXT_BYTES_MAX;

/// Where Microsoft signs people in, in each of its clouds.
const MICROSOFT: [&str; 5] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "sts.windows.net",
];

/// Hosts beside Microsoft's at which people may sign in, as the team says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<String>);

impl Allowed {
    /// Reads host names between commas or white space.
    ///
    /// # Errors
    /// A sentence that names what is no host.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names = text.split([',', ' ', '\t', '\n']).filter(|name| !name.is_empty());
        let hosts = names.map(|name| {
            let host = name.to_ascii_lowercase();
            let is_host = host.len() <= 253
                && host.split('.').count() > 1
                && host.split('.').all(|label| {
                    !label.is_empty()
                        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                });
            let shown = name.escape_debug();
            is_host.then_some(host).ok_or_else(|| {
                format!("“{shown}” is no host name; write names such as login.example.com, with commas between them")
            })
        });
        Ok(Self(hosts.collect::<Result<_, _>>()?))
    }

    /// The hosts of several lists.
    pub fn all(lists: impl IntoIterator<Item = Self>) -> Self {
        Self(lists.into_iter().flat_map(|list| list.0).collect())
    }
}

/// What an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// It is at one of Microsoft's hosts.
    Microsoft,
    /// It is at a host that the team allows.
    Allowed,
    /// It is at this host.
    Foreign(String),
    /// It is none, or not safe.
    NotHttps,
}

pub(super) fn address(url: &str, allowed: &Allowed) -> Address {
    let Some(host) = host(url) else { return Address::NotHttps };
    if MICROSOFT.contains(&host.as_str()) {
        Address::Microsoft
    } else if allowed.0.contains(&host) {
        Address::Allowed
    } else {
        Address::Foreign(host)
    }
}

/// The host of an `https://` address in lower case; none when it has another port, or a name before an `@`, which is how
/// an address pretends to be somewhere else.
fn host(url: &str) -> Option<String> {
    if url.len() > SAML_TEXT_BYTES_MAX {
        return None;
    }
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    let plain = !authority.as_str().contains('@')
        && authority.port_u16().is_none_or(|port| port == 443)
        && uri.scheme_str() == Some("https");
    (plain && !uri.host()?.is_empty()).then(|| authority.host().to_ascii_lowercase())
}

/// The directory that an entityID names: `https://sts.windows.net/<id>/`, at whichever host of Microsoft's.
pub(super) fn directory(entity_id: &str) -> Option<String> {
    let host = host(entity_id)?;
    let microsofts = MICROSOFT.contains(&host.as_str()) || host == "sts.chinacloudapi.cn";
    let uri: Uri = entity_id.parse().ok()?;
    let first = uri.path().split('/').nth(1)?;
    let id = Uuid::try_parse(first).ok().filter(|id| first.len() == 36 && !id.is_nil())?;
    microsofts.then(|| id.to_string())
}
