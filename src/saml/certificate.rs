//! A signing certificate: whose it is and from when to when it is good. Nothing is verified with it.

use data_encoding::{BASE64, HEXUPPER};
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate as X509;
use x509_cert::der::Decode as _;
use x509_cert::time::Time;

use crate::moment::Timestamp;

/// Characters of a subject that are kept.
const SUBJECT_CHARS: usize = 200;

/// A signing certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it says it is.
    pub subject: String,
    /// From when on it is good.
    pub valid_from: Timestamp,
    /// Until when it is.
    pub valid_until: Timestamp,
    /// Its SHA-256 digest in hexadecimal, by which two can be told apart.
    pub fingerprint: String,
}

impl Certificate {
    /// Reads base64, with white space wherever it is.
    pub(super) fn read(text: &str) -> Option<Self> {
        let compact: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let der = BASE64.decode(&compact).ok()?;
        let read = X509::from_der(&der).ok()?;
        let (subject, validity) =
            (read.tbs_certificate().subject(), read.tbs_certificate().validity());
        let subject = subject.to_string();
        Some(Self {
            subject: subject.chars().filter(|c| !c.is_control()).take(SUBJECT_CHARS).collect(),
            valid_from: timestamp(validity.not_before)?,
            valid_until: timestamp(validity.not_after)?,
            fingerprint: HEXUPPER.encode(&Sha256::digest(&der)),
        })
    }
}

fn timestamp(time: Time) -> Option<Timestamp> {
    Timestamp::from_unix(i64::try_from(time.to_unix_duration().as_secs()).ok()?, 0)
}
