//! The text form of a bearer token: `scim_`, 52 characters of secret, 7 of checksum.
//!
//! 256 random bits in base32 (letters and digits only, so that a double click selects it all), behind a prefix and with
//! a checksum that secret scanners recognise. Only the SHA-256 digest of the text is ever stored: a random secret of
//! that size needs no slow hash.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest as _, Sha256};

use crate::moment::Moment;

const PREFIX: &str = "scim_";
const SECRET_BYTES: usize = 32;
const SECRET_CHARS: usize = 52;
const CHECK_CHARS: usize = 7;

/// A token as the identity provider sends it. It has no `Debug`, `Display`, `Clone` or `Serialize`, so that it cannot end
/// up in a log by accident.
#[expect(missing_debug_implementations, reason = "a secret must not be printed by accident")]
pub struct TokenSecret(String);

impl TokenSecret {
    /// A fresh one.
    pub fn mint(moment: &Moment) -> Self {
        let mut bytes = [0_u8; SECRET_BYTES];
        moment.fill_random(&mut bytes);
        let secret = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        let check = checksum(&secret);
        Self(format!("{PREFIX}{secret}{check}"))
    }

    /// Reads what may be a token; `None` when its form or checksum says that it was never one.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(PREFIX)?;
        if body.len() != SECRET_CHARS + CHECK_CHARS || !body.is_ascii() {
            return None;
        }
        let (secret, check) = body.split_at(SECRET_CHARS);
        (checksum(secret) == check).then(|| Self(text.to_owned()))
    }

    /// Under what the secrets table knows it.
    pub fn digest(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.0.as_bytes()))
    }

    /// The text, for the one place that shows it, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
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
        assert_eq!(text.len(), PREFIX.len() + SECRET_CHARS + CHECK_CHARS);
        let read = TokenSecret::parse(&text).map(|token| token.digest());
        assert_eq!(read, Some(token.digest()));
        let wrong = if text.ends_with('a') { "b" } else { "a" };
        let changed = format!("{}{wrong}", &text[..text.len() - 1]);
        assert!(TokenSecret::parse(&changed).is_none());
        for bad in ["", "scim_", "Bearer", "ü", &text[1..]] {
            assert!(TokenSecret::parse(bad).is_none(), "{bad}");
        }
    }
}
