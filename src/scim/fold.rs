//! The one way in which text is compared without regard to letter case (RFC 7643 §2.2 `caseExact: false`).
//!
//! Keys in the store and comparisons in filters use the same function, so that a look-up by key finds exactly what
//! the filter would have matched.

use unicode_normalization::UnicodeNormalization;

/// Unicode default case folding, then NFC: `Straße` and `STRASSE` are equal, as are the two spellings of `é`.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let composed: String = text.nfc().collect();
    caseless::default_case_fold_str(&composed).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_ignores_case_and_composition() {
        assert_eq!(fold("IDA@EX.TEST"), "ida@ex.test");
        assert_eq!(fold("Straße"), fold("STRASSE"));
        assert_eq!(fold("e\u{301}lan"), fold("ÉLAN"));
        assert_ne!(fold("ida"), fold("idb"));
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for text in ["ΑΣ", "ǰ", "İ", "ﬃ", "Ω", "ẞ", "\u{345}\u{300}a"] {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }
}
