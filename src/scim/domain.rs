//! The e-mail domains that a tenant allows, and whether a person's addresses are at one of them (no RFC: a tenant's own
//! rule, [ADR 54](../../docs/adr/0054-allowed-domains.md)).
//!
//! Only what a request brings is looked at: an address that the person had before may stay, so that nobody becomes
//! somebody who cannot be switched off.

use std::fmt;

use serde_json::Value;

use super::document::Document;
use super::error::{ErrorKind, ScimError};
use super::fold::fold;
use super::well_known;
use crate::limits::DOMAIN_BYTES_MAX;

/// Allowed domains that a refusal names; it counts the others.
const NAMED_MAX: usize = 5;

/// A domain of e-mail addresses, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Domain(String);

impl Domain {
    /// Letters and digits of any script, hyphens, and dots between them. A leading `@` is how people write it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let folded = fold(text.strip_prefix('@').unwrap_or(text));
        let is_label = |label: &str| {
            let inner = |c: char| c.is_alphanumeric() || c == '-';
            !label.is_empty()
                && label.chars().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let is_domain = folded.len() <= DOMAIN_BYTES_MAX && folded.split('.').all(is_label);
        is_domain.then_some(Self(folded))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses an address that a write would bring and that is at no allowed domain. Nothing is refused where none are named.
///
/// # Errors
/// 400 `invalidValue`: which attribute, which domain, which are allowed, whom to ask.
pub fn check(
    allowed: &[Domain],
    before: Option<&Document>,
    after: &Document,
) -> Result<(), ScimError> {
    if allowed.is_empty() {
        return Ok(());
    }
    let had: Vec<String> = before
        .map(addresses)
        .unwrap_or_default()
        .into_iter()
        .map(|(_, address)| fold(address))
        .collect();
    for (attribute, address) in addresses(after) {
        let domain = address.rsplit_once('@').and_then(|(_, domain)| Domain::parse(domain));
        let is_allowed = domain.as_ref().is_some_and(|domain| allowed.contains(domain));
        if !is_allowed && !had.contains(&fold(address)) {
            return Err(refused(attribute, domain.as_ref(), allowed));
        }
    }
    Ok(())
}

/// The addresses of a person, each with its attribute: every e-mail value, and the user name where it has the form of one.
fn addresses(document: &Document) -> Vec<(&'static str, &str)> {
    let name = document.text(well_known::USER_NAME).filter(|name| name.contains('@'));
    let emails = document.get(well_known::EMAILS).and_then(Value::as_array);
    let emails = emails.into_iter().flatten();
    let emails = emails.filter_map(|email| email.get(well_known::VALUE).and_then(Value::as_str));
    let name = name.into_iter().map(|name| (well_known::USER_NAME, name));
    name.chain(emails.map(|email| (well_known::EMAILS, email))).collect()
}

fn refused(attribute: &str, domain: Option<&Domain>, allowed: &[Domain]) -> ScimError {
    let what = domain.map_or_else(
        || "an address without a domain".to_owned(),
        |domain| format!("addresses at {domain}"),
    );
    let names: Vec<&str> = allowed.iter().take(NAMED_MAX).map(Domain::as_str).collect();
    let more = allowed.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let detail = format!(
        "{attribute}: {what} cannot be provisioned to this workspace, which takes those at {}{more}; leave this person out of the \
         assignment, send another address, or ask whoever gave you the Tenant URL to allow the domain",
        names.join(", ")
    );
    ScimError::new(ErrorKind::InvalidValue, detail)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    fn document(value: &Value) -> Document {
        Document::from_checked(value.as_object().unwrap().clone())
    }

    fn allowed() -> Vec<Domain> {
        ["example.com", "Bücher.example"].iter().map(|text| Domain::parse(text).unwrap()).collect()
    }

    fn told(before: Option<&Value>, after: &Value) -> String {
        let before = before.map(document);
        match check(&allowed(), before.as_ref(), &document(after)) {
            Ok(()) => "allowed".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_domain_has_letters_digits_hyphens_and_dots_between_them() {
        for (text, expected) in [
            ("example.com", "example.com"),
            (" @Example.COM ", "example.com"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "bücher.example"),
        ] {
            assert_eq!(Domain::parse(text).unwrap().as_str(), expected);
        }
        let long = "x".repeat(DOMAIN_BYTES_MAX + 1);
        for text in
            ["", "@", ".", "a.", ".a", "a..b", "-a", "a-.b", "a b", "*.a", "a@b", "a/b", &long]
        {
            assert_eq!(Domain::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn addresses_are_at_an_allowed_domain_and_at_none_that_looks_like_it() {
        for (after, is_allowed) in [
            (json!({ "userName": "ida@example.com" }), true),
            (json!({ "userName": "IDA@EXAMPLE.COM" }), true),
            (json!({ "userName": "ida@bücher.EXAMPLE" }), true),
            (json!({ "userName": "ida" }), true),
            (json!({ "displayName": "a@b" }), true),
            (
                json!({ "userName": "ida", "emails": [{ "value": "i@example.com" }, { "type": "work" }] }),
                true,
            ),
            (json!({ "userName": "ida@sub.example.com" }), false),
            (json!({ "userName": "ida@example.com.evil.test" }), false),
            (json!({ "userName": "ida@evil-example.com" }), false),
            (json!({ "userName": "ida@example.com@evil.test" }), false),
            (json!({ "userName": "ida@" }), false),
            (
                json!({ "userName": "ida", "emails": [{ "value": "i@example.com" }, { "value": "i@evil.test" }] }),
                false,
            ),
            (json!({ "userName": "ida", "emails": [{ "value": "ida" }] }), false),
        ] {
            assert_eq!(told(None, &after) == "allowed", is_allowed, "{after}");
        }
        let anybody = json!({ "userName": "ida@evil.test" });
        assert_eq!(check(&[], None, &document(&anybody)), Ok(()));
    }

    #[test]
    fn what_a_person_has_may_stay_and_what_is_new_may_not_come() {
        let before = json!({ "userName": "ida@old.test", "emails": [{ "value": "ida@old.test" }], "active": true });
        for (after, is_allowed) in [
            (
                json!({ "userName": "ida@old.test", "emails": [{ "value": "ida@old.test" }], "active": false }),
                true,
            ),
            (json!({ "userName": "Ida@Old.test" }), true),
            (json!({ "userName": "ida@old.test", "emails": [{ "value": "i@example.com" }] }), true),
            (json!({ "userName": "ida2@old.test" }), false),
            (json!({ "userName": "ida@old.test", "emails": [{ "value": "ida@new.test" }] }), false),
        ] {
            assert_eq!(told(Some(&before), &after) == "allowed", is_allowed, "{after}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do_and_names_nobody() {
        expect!["400: userName: addresses at evil.test cannot be provisioned to this workspace, which takes those at example.com, bücher.example; leave this person out of the assignment, send another address, or ask whoever gave you the Tenant URL to allow the domain"]
            .assert_eq(&told(None, &json!({ "userName": "ida@Evil.test" })));
        let many: Vec<Domain> =
            (0..8).map(|number| Domain::parse(&format!("d{number}.test")).unwrap()).collect();
        let after = document(&json!({ "emails": [{ "value": "ida" }] }));
        expect!["400: emails: an address without a domain cannot be provisioned to this workspace, which takes those at d0.test, d1.test, d2.test, d3.test, d4.test and 3 more; leave this person out of the assignment, send another address, or ask whoever gave you the Tenant URL to allow the domain"]
            .assert_eq(&check(&many, None, &after).unwrap_err().to_string());
    }
}
