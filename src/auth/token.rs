//! The text form of the secrets that we hand out: a word that says what it opens, 52 characters of secret, 7 of checksum.
//!
//! 256 random bits in base32 (letters and digits only, so that a double click selects it all), behind a prefix and with
//! a checksum that secret scanners recognise. Only the SHA-256 digest of the text is ever stored: a random secret of
//! that size needs no slow hash.

use std::marker::PhantomData;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::moment::Moment;

const SECRET_BYTES: usize = 32;
const SECRET_CHARS: usize = 52;
const CHECK_CHARS: usize = 7;
/// Characters by which whoever holds a secret knows it, of its checksum.
const TAIL_CHARS: usize = 2;

/// What a secret opens.
pub trait Opens {
    /// What its text begins with.
    const PREFIX: &'static str;
}

/// SCIM, for an identity provider.
#[derive(Debug)]
pub enum Scim {}

/// The settings of a workspace, once: what a setup link has in it.
#[derive(Debug)]
pub enum Link {}

/// The settings of a workspace, for a while: what a browser keeps.
#[derive(Debug)]
pub enum Session {}

impl Opens for Scim {
    const PREFIX: &'static str = "scim_";
}

impl Opens for Link {
    const PREFIX: &'static str = "scimlink_";
}

impl Opens for Session {
    const PREFIX: &'static str = "scimsession_";
}

/// A secret as its holder sends it. It has no `Debug`, `Display`, `Clone` or `Serialize`, so that it cannot end up in a
/// log by accident. One that opens one thing is never read as one that opens another.
#[expect(missing_debug_implementations, reason = "a secret must not be printed by accident")]
pub struct Secret<O>(String, PhantomData<O>);

/// A token as the identity provider sends it.
pub type TokenSecret = Secret<Scim>;
/// What a setup link has in it.
pub type LinkSecret = Secret<Link>;
/// What the browser of somebody who has opened a setup link keeps.
pub type SessionSecret = Secret<Session>;

impl<O: Opens> Secret<O> {
    /// A fresh one.
    pub fn mint(moment: &Moment) -> Self {
        let secret = random(moment);
        let check = checksum(&secret);
        Self(format!("{}{secret}{check}", O::PREFIX), PhantomData)
    }

    /// Reads what may be one; `None` when its form or checksum says that it was never one.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(O::PREFIX)?;
        if body.len() != SECRET_CHARS + CHECK_CHARS || !body.is_ascii() {
            return None;
        }
        let (secret, check) = body.split_at(SECRET_CHARS);
        (checksum(secret) == check).then(|| Self(text.to_owned(), PhantomData))
    }

    /// Under what the secrets table knows it.
    pub fn digest(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.0.as_bytes()))
    }

    /// Its last characters, by which whoever holds it knows it.
    pub fn tail(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(TAIL_CHARS)..).unwrap_or_default()
    }

    /// The text, for the one place that shows it, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// 256 random bits as text.
pub fn random(moment: &Moment) -> String {
    let mut bytes = [0_u8; SECRET_BYTES];
    moment.fill_random(&mut bytes);
    BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
}

/// Whether two texts are the same, in a time that does not tell where they differ.
pub fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// CRC-32 of the secret's text in base32.
fn checksum(secret: &str) -> String {
    BASE32_NOPAD.encode(&crc32fast::hash(secret.as_bytes()).to_be_bytes()).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tests::moment;

    #[test]
    fn a_minted_token_is_read_back_and_one_wrong_letter_is_not() {
        let token = TokenSecret::mint(&moment());
        let text = token.reveal().to_owned();
        assert_eq!(text.len(), Scim::PREFIX.len() + SECRET_CHARS + CHECK_CHARS);
        assert!(text.ends_with(token.tail()) && token.tail().len() == TAIL_CHARS);
        let read = TokenSecret::parse(&text).map(|token| token.digest());
        assert_eq!(read, Some(token.digest()));
        let wrong = if text.ends_with('a') { "b" } else { "a" };
        let changed = format!("{}{wrong}", &text[..text.len() - 1]);
        assert!(TokenSecret::parse(&changed).is_none());
        for bad in ["", "scim_", "Bearer", "ü", &text[1..]] {
            assert!(TokenSecret::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_secret_that_opens_one_thing_is_not_read_as_another() {
        let (token, link) = (TokenSecret::mint(&moment()), LinkSecret::mint(&moment()));
        let session = SessionSecret::mint(&moment());
        for text in [link.reveal(), session.reveal()] {
            assert!(TokenSecret::parse(text).is_none());
        }
        for text in [token.reveal(), session.reveal()] {
            assert!(LinkSecret::parse(text).is_none());
        }
        for text in [token.reveal(), link.reveal()] {
            assert!(SessionSecret::parse(text).is_none());
        }
        // The same random bits behind another word are another secret.
        assert!(token.digest() != link.digest() && link.digest() != session.digest());
    }
}
