//! Signatures under what we hand out to a client and want back as it was: cursors (RFC 9865).
//!
//! The key is derived from the digest of the token that the request came with, which the token check has at hand, so that
//! nothing is stored, read or rotated for it. What one token was given, no other can use: neither another tenant's nor one
//! of the same tenant that may do less.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// Bytes of a signature: 128 bits.
const SIGNATURE_BYTES: usize = 16;

/// Bytes of a block of SHA-256: the key of an HMAC is filled up to it (RFC 2104 §2).
const BLOCK_BYTES: usize = 64;

/// Signs for one token. It has no `Display` and a `Debug` that shows nothing.
#[derive(Clone)]
pub struct Signer([u8; 32]);

impl Signer {
    /// For the token with that digest ([`super::Secret::digest`]).
    pub fn of(digest: &str) -> Self {
        let mut bytes = [0; BLOCK_BYTES];
        for (place, byte) in bytes.iter_mut().zip(digest.bytes()) {
            *place = byte;
        }
        Self(mac(bytes, &[b"scim cursor key 1"]))
    }

    /// The signature under these parts. Which bytes belong to which part counts.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; SIGNATURE_BYTES] {
        let mut key = [0; BLOCK_BYTES];
        for (place, byte) in key.iter_mut().zip(self.0) {
            *place = byte;
        }
        let mut signature = [0; SIGNATURE_BYTES];
        for (place, byte) in signature.iter_mut().zip(mac(key, parts)) {
            *place = byte;
        }
        signature
    }

    /// Whether that is the signature under these parts; tells nothing by how long it takes.
    pub fn has_signed(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.sign(parts).ct_eq(signature).into()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

/// HMAC-SHA-256 of the parts, each behind its length.
fn mac(key: [u8; BLOCK_BYTES], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new(&key.into());
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_token_and_of_these_parts() {
        let digest = |letter: &str| letter.repeat(64);
        let signer = Signer::of(&digest("a"));
        let signature = signer.sign(&[b"acme", b"User", b"12"]);
        assert_eq!(signature, signer.sign(&[b"acme", b"User", b"12"]));
        assert_ne!(signature, Signer::of(&digest("b")).sign(&[b"acme", b"User", b"12"]));
        let others: [&[&[u8]]; 5] = [
            &[b"acme", b"User", b"13"],
            &[b"acme", b"User1", b"2"],
            &[b"acme", b"User"],
            &[b"acme", b"User", b"12", b""],
            &[b"acmeUser12"],
        ];
        for other in others {
            assert_ne!(signature, signer.sign(other));
        }
        assert!(signer.has_signed(&[b"a"], &signer.sign(&[b"a"])));
        assert!(!signer.has_signed(&[b"a"], &signer.sign(&[b"a"])[..SIGNATURE_BYTES - 1]));
        assert!(!signer.has_signed(&[b"a"], &[]));
        assert_eq!(format!("{signer:?}"), "Signer");
    }

    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        // Its test case 2, whose key is "Jefe", without the lengths that stand before our parts.
        let mut key = [0; BLOCK_BYTES];
        key[..4].copy_from_slice(b"Jefe");
        let mut mac = Hmac::<Sha256>::new(&key.into());
        mac.update(b"what do ya want for nothing?");
        let found = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        assert_eq!(found, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
