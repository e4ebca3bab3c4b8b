//! Federation metadata of SAML: what a directory says of its sign-in, read and checked. Pure, like `scim`.
//!
//! No DTD, no entities, no network, and bounds on everything. Signatures are not verified: the document comes from the
//! customer's admin over a session of ours, and nothing is signed in with it here. What is wrong is told as sentences, all
//! of them at once.

mod certificate;
mod hosts;

use std::collections::BTreeSet;
use std::fmt;

use roxmltree::{Document, Node, ParsingOptions};

pub use certificate::Certificate;
pub use hosts::Allowed;

use crate::limits::{
    SAML_ATTRIBUTES_MAX, SAML_CERTIFICATE_DAYS_MIN, SAML_CERTIFICATES_MAX, SAML_METADATA_BYTES_MAX,
    SAML_NAMESPACES_MAX, SAML_NODES_MAX, SAML_TEXT_BYTES_MAX,
};
use crate::moment::Timestamp;
use hosts::Address;

/// The namespace of metadata.
const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
/// The namespace of keys and certificates.
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
/// The way of sending a browser to the sign-in that Entra's own examples use.
const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";

/// What a directory says of its sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Who the directory is.
    pub entity_id: String,
    /// The directory's own id, where `entity_id` names one.
    pub directory: Option<String>,
    /// Where people sign in.
    pub sso_url: String,
    /// The certificates that sign, in the order of the document.
    pub certificates: Vec<Certificate>,
    /// When the last of them ends.
    pub certificate_ends: Timestamp,
}

/// What is wrong with a document. Each is a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is empty.
    Empty,
    /// It is larger than any metadata is.
    TooLarge,
    /// It is not UTF-8.
    Encoding,
    /// It is no XML; what the reader says.
    Xml(String),
    /// It has more attributes or namespaces than any metadata has.
    TooMuch,
    /// It has a document type declaration.
    Dtd,
    /// It is XML of another sort.
    NotMetadata,
    /// It describes so many parties.
    Entities(usize),
    /// It describes no party that signs people in.
    NoSignIn,
    /// It names nobody.
    NoEntityId,
    /// Its entityID has no directory's id in it.
    NoDirectory(String),
    /// It names no address for the sign-in.
    NoAddress,
    /// An address that is no `https://` address.
    NotHttps(String),
    /// An address at a host that is not allowed.
    Host(String),
    /// It has no signing certificate.
    NoCertificate,
    /// It has more than are read.
    TooManyCertificates,
    /// The one of that number (from 1) cannot be read.
    Certificate(usize),
    /// None is valid yet; when the first one is.
    NotYetValid(Timestamp),
    /// All have ended; when the last one did.
    Expired(Timestamp),
    /// The last one ends soon.
    EndsSoon(Timestamp),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is nothing in it; choose the file that the directory's “Federation Metadata XML” link downloads"),
            Self::TooLarge => write!(f, "it is larger than {SAML_METADATA_BYTES_MAX} bytes; federation metadata of one directory is far smaller"),
            Self::Encoding => f.write_str("it is not UTF-8 text; upload the file as it was downloaded, unchanged"),
            Self::Xml(why) => write!(f, "it cannot be read as XML ({why}); upload the file as it was downloaded, whole and unchanged"),
            Self::TooMuch => write!(f, "it has more than {SAML_ATTRIBUTES_MAX} attributes or {SAML_NAMESPACES_MAX} namespace declarations; federation metadata of one directory has far fewer: upload the file as it was downloaded"),
            Self::Dtd => f.write_str("it has a document type declaration (DOCTYPE), which metadata needs none of and which is not read; upload the file as it was downloaded"),
            Self::NotMetadata => f.write_str("it is XML, but no SAML metadata: there is no EntityDescriptor; download “Federation Metadata XML” from the application's single sign-on page"),
            Self::Entities(count) => write!(f, "it describes {count} parties; upload the metadata of your directory alone"),
            Self::NoSignIn => f.write_str("it has no IDPSSODescriptor, so it is not the metadata of a directory that signs people in; it may be that of an application"),
            Self::NoEntityId => f.write_str("its entityID is missing or too long; download the metadata again"),
            Self::NoDirectory(id) => write!(f, "its entityID “{id}” names no directory; Entra's is https://sts.windows.net/ with the directory (tenant) id behind it"),
            Self::NoAddress => f.write_str("it names no address at which people sign in (SingleSignOnService); download the metadata again"),
            Self::NotHttps(url) => write!(f, "the sign-in address “{url}” is no plain https address (with no port, and no name before an @); download the metadata again"),
            Self::Host(host) => write!(f, "people would sign in at {host}, which is not Microsoft's; if that is right, ask whoever sent you the setup link to allow that host"),
            Self::NoCertificate => f.write_str("it has no signing certificate; create one on the application's single sign-on page and download the metadata again"),
            Self::TooManyCertificates => write!(f, "it has more than {SAML_CERTIFICATES_MAX} signing certificates; remove those that are not used and download the metadata again"),
            Self::Certificate(number) => write!(f, "its signing certificate number {number} cannot be read; download the metadata again"),
            Self::NotYetValid(from) => write!(f, "its signing certificate is valid only from {} on; activate one that is valid now", day(*from)),
            Self::Expired(at) => write!(f, "its signing certificate ended on {}; create a new one on the application's single sign-on page, activate it, and download the metadata again", day(*at)),
            Self::EndsSoon(at) => write!(f, "its signing certificate ends on {}, in less than {SAML_CERTIFICATE_DAYS_MIN} days; create a new one on the application's single sign-on page, activate it, and download the metadata again", day(*at)),
        }
    }
}

/// Reads a document and checks it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(document: &[u8], now: Timestamp, allowed: &Allowed) -> Result<Metadata, Vec<Problem>> {
    let text = text(document).map_err(|problem| vec![problem])?;
    let nodes_limit = u32::try_from(SAML_NODES_MAX).unwrap_or(u32::MAX);
    let options = ParsingOptions { allow_dtd: false, nodes_limit, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        let is_dtd = matches!(error, roxmltree::Error::DtdDetected);
        vec![if is_dtd { Problem::Dtd } else { Problem::Xml(shown(&error.to_string())) }]
    })?;
    let entity = entity(document.root_element()).map_err(|problem| vec![problem])?;
    let role = children(entity, METADATA, "IDPSSODescriptor").next();
    let Some(role) = role else { return Err(vec![Problem::NoSignIn]) };
    let mut problems = Vec::new();
    let mut kept = |result: Result<(), Problem>| problems.extend(result.err());
    let (sso_url, foreign) = address(role, allowed, &mut kept);
    let (entity_id, directory) = identity(entity, foreign, &mut kept);
    let (certificates, certificate_ends) = certificates(role, now, &mut kept);
    match (sso_url, entity_id, certificate_ends) {
        (Some(sso_url), Some(entity_id), Some(certificate_ends)) if problems.is_empty() => {
            Ok(Metadata { entity_id, directory, sso_url, certificates, certificate_ends })
        }
        _ => Err(problems),
    }
}

fn text(document: &[u8]) -> Result<&str, Problem> {
    if document.len() > SAML_METADATA_BYTES_MAX {
        return Err(Problem::TooLarge);
    }
    let text = std::str::from_utf8(document).map_err(|_| Problem::Encoding)?;
    // Entra writes a byte order mark, and a paste may have lines before the declaration.
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    // The reader compares each attribute of an element with those before it, and each namespace of an element with those
    // around it, so that their numbers are bounded before it begins. No attribute is without the sign, no namespace
    // without the word.
    let attributes = text.bytes().filter(|byte| *byte == b'=').count();
    if attributes > SAML_ATTRIBUTES_MAX || text.matches("xmlns").count() > SAML_NAMESPACES_MAX {
        return Err(Problem::TooMuch);
    }
    Ok(text)
}

/// The one party that is described, by itself or in a list of one.
fn entity<'a, 'i>(root: Node<'a, 'i>) -> Result<Node<'a, 'i>, Problem> {
    if root.has_tag_name((METADATA, "EntityDescriptor")) {
        return Ok(root);
    }
    if !root.has_tag_name((METADATA, "EntitiesDescriptor")) {
        return Err(Problem::NotMetadata);
    }
    let mut all = children(root, METADATA, "EntityDescriptor");
    match (all.next(), all.count()) {
        (Some(one), 0) => Ok(one),
        (Some(_), others) => Err(Problem::Entities(others + 1)),
        (None, _) => Err(Problem::NotMetadata),
    }
}

fn children<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.has_tag_name((namespace, name)))
}

/// Where people sign in: the address for redirects, else the first one. All of them are checked. Also, whether it is a
/// host that only the team allows.
fn address(
    role: Node<'_, '_>,
    allowed: &Allowed,
    kept: &mut impl FnMut(Result<(), Problem>),
) -> (Option<String>, bool) {
    let services = || children(role, METADATA, "SingleSignOnService");
    let location =
        |service: Node<'_, '_>| service.attribute("Location").map(|url| url.trim().to_owned());
    let mut foreign = false;
    let mut told = BTreeSet::new();
    for url in services().filter_map(location) {
        let problem = match hosts::address(&url, allowed) {
            Address::Microsoft => continue,
            Address::Allowed => {
                foreign = true;
                continue;
            }
            Address::Foreign(host) => Problem::Host(shown(&host)),
            Address::NotHttps => Problem::NotHttps(shown(&url)),
        };
        // Directories name the same host for each of the ways.
        if told.insert(problem.to_string()) {
            kept(Err(problem));
        }
    }
    let redirect = services().find(|service| service.attribute("Binding") == Some(REDIRECT));
    let chosen = redirect.and_then(location).or_else(|| services().find_map(location));
    if chosen.is_none() {
        kept(Err(Problem::NoAddress));
    }
    (chosen, foreign)
}

/// The entityID, and the directory that it names. At a host that the team allows it is what it is.
fn identity(
    entity: Node<'_, '_>,
    foreign: bool,
    kept: &mut impl FnMut(Result<(), Problem>),
) -> (Option<String>, Option<String>) {
    let id = entity.attribute("entityID").map(str::trim);
    let Some(id) = id.filter(|id| !id.is_empty() && id.len() <= SAML_TEXT_BYTES_MAX) else {
        kept(Err(Problem::NoEntityId));
        return (None, None);
    };
    let directory = hosts::directory(id);
    if directory.is_none() && !foreign {
        kept(Err(Problem::NoDirectory(shown(id))));
    }
    (Some(id.to_owned()), directory)
}

/// The certificates that sign, and when the last one ends that is valid.
fn certificates(
    role: Node<'_, '_>,
    now: Timestamp,
    kept: &mut impl FnMut(Result<(), Problem>),
) -> (Vec<Certificate>, Option<Timestamp>) {
    let signing = children(role, METADATA, "KeyDescriptor")
        .filter(|key| key.attribute("use").is_none_or(|word| word == "signing"));
    let texts = signing
        .flat_map(|key| children(key, SIGNATURE, "KeyInfo"))
        .flat_map(|info| children(info, SIGNATURE, "X509Data"))
        .flat_map(|data| children(data, SIGNATURE, "X509Certificate"))
        .map(|node| node.text().unwrap_or_default());
    let mut read = Vec::new();
    for (index, text) in texts.enumerate() {
        if index == SAML_CERTIFICATES_MAX {
            kept(Err(Problem::TooManyCertificates));
            break;
        }
        match Certificate::read(text) {
            Some(certificate) if read.contains(&certificate) => {}
            Some(certificate) => read.push(certificate),
            None => kept(Err(Problem::Certificate(index + 1))),
        }
    }
    if read.is_empty() {
        kept(Err(Problem::NoCertificate));
        return (read, None);
    }
    let begun = || read.iter().filter(|certificate| certificate.valid_from <= now);
    let ends = begun().map(|certificate| certificate.valid_until).max();
    let enough = now.plus_seconds(SAML_CERTIFICATE_DAYS_MIN * 86_400);
    kept(match ends {
        Some(ends) if ends > enough => Ok(()),
        Some(ends) if ends > now => Err(Problem::EndsSoon(ends)),
        Some(ends) => Err(Problem::Expired(ends)),
        None => {
            let from = read.iter().map(|certificate| certificate.valid_from).min();
            Err(Problem::NotYetValid(from.unwrap_or(now)))
        }
    });
    (read, ends)
}

/// As much of a text as a sentence can hold, on one line.
fn shown(text: &str) -> String {
    const CHARS: usize = 120;
    text.chars().filter(|c| !c.is_control()).take(CHARS).collect()
}

/// The day of a time.
fn day(time: Timestamp) -> String {
    time.to_string().chars().take("2026-11-21".len()).collect()
}

#[cfg(test)]
mod tests;
