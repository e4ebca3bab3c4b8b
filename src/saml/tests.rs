//! One document, changed in one place each.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

const DOCUMENT: &str = include_str!("../../tests/saml/metadata.xml");
const NOW: &str = "2026-11-21T08:00:00Z";
const ADDRESS: &str =
    "https://login.microsoftonline.com/8c1d0d5e-0f3a-4d6b-9a52-2f7f8d3c1b11/saml2";
const ENTITY: &str = "https://sts.windows.net/8c1d0d5e-0f3a-4d6b-9a52-2f7f8d3c1b11/";

fn read_at(document: &str, now: &str, allowed: &str) -> Result<Metadata, Vec<Problem>> {
    let allowed = Allowed::parse(allowed).unwrap();
    read(document.as_bytes(), Timestamp::parse(now).unwrap(), &allowed)
}

fn told(read: &Result<Metadata, Vec<Problem>>) -> String {
    match read {
        Ok(metadata) => format!("{} at {}", metadata.entity_id, metadata.sso_url),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            lines.join("\n") + "\n"
        }
    }
}

#[track_caller]
fn check(document: &str, expected: &Expect) {
    expected.assert_eq(&told(&read_at(document, NOW, "")));
}

/// The document with one text in the place of another, which has to be there.
#[track_caller]
fn with(old: &str, new: &str) -> String {
    assert!(DOCUMENT.contains(old), "{old}");
    DOCUMENT.replace(old, new)
}

#[test]
fn a_directorys_metadata_is_read() {
    let read = read_at(DOCUMENT, NOW, "").unwrap();
    assert_eq!(read.entity_id, ENTITY);
    assert_eq!(read.directory.as_deref(), Some("8c1d0d5e-0f3a-4d6b-9a52-2f7f8d3c1b11"));
    assert_eq!(read.sso_url, ADDRESS);
    let certificates = read.certificates.iter();
    let certificates: Vec<String> = certificates
        .map(|c| format!("{} from {} until {}", c.subject, day(c.valid_from), day(c.valid_until)))
        .collect();
    assert_eq!(
        certificates,
        [
            "CN=Example Sign-in 1 from 2020-01-01 until 2120-01-01",
            "CN=Example Sign-in 2 from 2024-01-01 until 2110-01-01",
        ]
    );
    assert_eq!(day(read.certificate_ends), "2120-01-01");
    assert_eq!(read.certificates[0].fingerprint.len(), 64);
}

#[test]
fn a_list_of_one_and_white_space_around_it_are_read_too() {
    let (_, entity) = DOCUMENT.split_once("?>").unwrap();
    let list = |inner: &str| {
        format!("<EntitiesDescriptor xmlns=\"{METADATA}\">{inner}</EntitiesDescriptor>")
    };
    for document in [list(entity), format!("\n  {DOCUMENT}\n "), entity.to_owned()] {
        assert!(read_at(&document, NOW, "").is_ok(), "{document}");
    }
    check(
        &list(&entity.repeat(2)),
        &expect![[r#"
        it describes 2 parties; upload the metadata of your directory alone
    "#]],
    );
    check(
        &list(""),
        &expect![[r#"
        it is XML, but no SAML metadata: there is no EntityDescriptor; download “Federation Metadata XML” from the application's single sign-on page
    "#]],
    );
}

#[test]
fn what_is_no_metadata_is_told() {
    check(
        "",
        &expect![[r#"
        there is nothing in it; choose the file that the directory's “Federation Metadata XML” link downloads
    "#]],
    );
    check(
        " \u{feff}\n",
        &expect![[r#"
            there is nothing in it; choose the file that the directory's “Federation Metadata XML” link downloads
        "#]],
    );
    check(
        "hello",
        &expect![[r#"
        it cannot be read as XML (unknown token at 1:1); upload the file as it was downloaded, whole and unchanged
    "#]],
    );
    check(
        "<html><body/></html>",
        &expect![[r#"
        it is XML, but no SAML metadata: there is no EntityDescriptor; download “Federation Metadata XML” from the application's single sign-on page
    "#]],
    );
    check(
        &DOCUMENT[..DOCUMENT.len() / 2],
        &expect![[r#"
        it cannot be read as XML (unexpected end of stream); upload the file as it was downloaded, whole and unchanged
    "#]],
    );
    check(
        &with("IDPSSODescriptor", "SPSSODescriptor"),
        &expect![[r#"
        it has no IDPSSODescriptor, so it is not the metadata of a directory that signs people in; it may be that of an application
    "#]],
    );
    check(
        &with("2.0:metadata", "1.0:metadata"),
        &expect![[r#"
        it is XML, but no SAML metadata: there is no EntityDescriptor; download “Federation Metadata XML” from the application's single sign-on page
    "#]],
    );
    check(
        &" ".repeat(SAML_METADATA_BYTES_MAX + 1),
        &expect![[r#"
        it is larger than 1048576 bytes; federation metadata of one directory is far smaller
    "#]],
    );
    let problems = read(b"<a>\xff</a>", Timestamp::parse(NOW).unwrap(), &Allowed::default());
    expect![[r#"
        it is not UTF-8 text; upload the file as it was downloaded, unchanged
    "#]]
    .assert_eq(&told(&problems));
}

#[test]
fn declarations_and_entities_are_not_read() {
    let (head, entity) = DOCUMENT.split_once("?>").unwrap();
    let laughs = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]>";
    let file = "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>";
    for doctype in
        [laughs, file, "<!DOCTYPE x SYSTEM \"https://example.com/x.dtd\">", "<!DOCTYPE x>"]
    {
        let document = format!("{head}?>{doctype}{entity}");
        assert_eq!(read_at(&document, NOW, ""), Err(vec![Problem::Dtd]), "{doctype}");
    }
    check(
        &with("entityID=\"", "entityID=\"&a;"),
        &expect![[r#"
        it cannot be read as XML (unknown entity reference 'a' at 2:44); upload the file as it was downloaded, whole and unchanged
    "#]],
    );
}

#[test]
fn what_is_too_deep_or_too_much_is_told_and_nothing_breaks() {
    let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    assert_eq!(read_at(&deep(10_000), NOW, ""), Err(vec![Problem::NotMetadata]));
    check(
        &deep(100_000),
        &expect![[r#"
        it cannot be read as XML (nodes limit reached); upload the file as it was downloaded, whole and unchanged
    "#]],
    );
    check(
        &format!("<a>{}</a>", "<b/>".repeat(SAML_NODES_MAX)),
        &expect![[r#"
        it cannot be read as XML (nodes limit reached); upload the file as it was downloaded, whole and unchanged
    "#]],
    );
    let key = DOCUMENT.split_once("<IDPSSODescriptor").unwrap().1;
    let key = key.split_once("<KeyDescriptor").unwrap().1.split_once("</KeyDescriptor>").unwrap().0;
    let keys = format!("<KeyDescriptor{key}</KeyDescriptor>").repeat(SAML_CERTIFICATES_MAX);
    check(
        &with("    <SingleLogoutService", &format!("{keys}<SingleLogoutService")),
        &expect![[r#"
            it has more than 20 signing certificates; remove those that are not used and download the metadata again
        "#]],
    );
}

/// The reader takes the square of an element's attributes, and the third power of namespaces.
#[test]
fn attributes_and_namespaces_are_bounded_before_they_are_read() {
    let some =
        |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<String>();
    let attributes = |count| {
        with(
            "<EntityDescriptor",
            &format!("<EntityDescriptor{}", some(count, &|n| format!(" a{n}=\"\""))),
        )
    };
    let namespaces = |count| {
        with(
            "<EntityDescriptor",
            &format!("<EntityDescriptor{}", some(count, &|n| format!(" xmlns:n{n}=\"u\""))),
        )
    };
    assert!(read_at(&attributes(SAML_ATTRIBUTES_MAX / 2), NOW, "").is_ok());
    assert!(read_at(&namespaces(SAML_NAMESPACES_MAX / 2), NOW, "").is_ok());
    for document in [
        attributes(SAML_ATTRIBUTES_MAX),
        attributes(80_000),
        namespaces(SAML_NAMESPACES_MAX),
        format!(
            "<a{}>{}</a>",
            some(900, &|n| format!(" xmlns:n{n}=\"\"")),
            "<b xmlns:m=\"u\"/>".repeat(10_000)
        ),
    ] {
        assert_eq!(read_at(&document, NOW, ""), Err(vec![Problem::TooMuch]));
    }
}

#[test]
fn people_sign_in_at_microsofts_over_https() {
    for host in [
        "login.microsoftonline.us",
        "login.partner.microsoftonline.cn",
        "LOGIN.microsoftonline.com",
        "sts.windows.net:443",
    ] {
        assert!(read_at(&with("login.microsoftonline.com", host), NOW, "").is_ok(), "{host}");
    }
    check(
        &with("https://login.", "http://login."),
        &expect![[r#"
            the sign-in address “http://login.microsoftonline.com/8c1d0d5e-0f3a-4d6b-9a52-2f7f8d3c1b11/saml2” is no plain https address (with no port, and no name before an @); download the metadata again
        "#]],
    );
    check(
        &with("login.microsoftonline.com", "login.microsoftonline.com.evil.test"),
        &expect![[r#"
            people would sign in at login.microsoftonline.com.evil.test, which is not Microsoft's; if that is right, ask whoever sent you the setup link to allow that host
        "#]],
    );
    check(
        &with("login.microsoftonline.com", "login.microsoftonline.com@evil.test"),
        &expect![[r#"
            the sign-in address “https://login.microsoftonline.com@evil.test/8c1d0d5e-0f3a-4d6b-9a52-2f7f8d3c1b11/saml2” is no plain https address (with no port, and no name before an @); download the metadata again
        "#]],
    );
    check(
        &with("login.microsoftonline.com", "login.microsoftonline.com:8443"),
        &expect![[r#"
            the sign-in address “https://login.microsoftonline.com:8443/8c1d0d5e-0f3a-4d6b-9a52-2f7f8d3c1b11/saml2” is no plain https address (with no port, and no name before an @); download the metadata again
        "#]],
    );
    check(
        &with(ADDRESS, "javascript:alert(1)"),
        &expect![[r#"
            the sign-in address “javascript:alert(1)” is no plain https address (with no port, and no name before an @); download the metadata again
        "#]],
    );
    check(
        &with("SingleSignOnService", "SingleSignOn"),
        &expect![[r#"
        it names no address at which people sign in (SingleSignOnService); download the metadata again
    "#]],
    );
    // Each of the ways is checked, not only the one that is shown.
    let second = DOCUMENT.rfind(ADDRESS).unwrap();
    let document =
        format!("{}https://evil.test/{}", &DOCUMENT[..second], &DOCUMENT[second + ADDRESS.len()..]);
    check(
        &document,
        &expect![[r#"
        people would sign in at evil.test, which is not Microsoft's; if that is right, ask whoever sent you the setup link to allow that host
    "#]],
    );
}

#[test]
fn a_host_that_the_team_allows_may_have_any_entity_id() {
    let document = with(ADDRESS, "https://id.example.com/sso").replace(ENTITY, "urn:example:idp");
    assert_eq!(
        told(&read_at(&document, NOW, "other.example.com, ID.example.com")),
        "urn:example:idp at https://id.example.com/sso"
    );
    check(
        &document,
        &expect![[r#"
        people would sign in at id.example.com, which is not Microsoft's; if that is right, ask whoever sent you the setup link to allow that host
        its entityID “urn:example:idp” names no directory; Entra's is https://sts.windows.net/ with the directory (tenant) id behind it
    "#]],
    );
    for bad in ["https://id.example.com", "localhost", "a..b", "*.example.com"] {
        assert!(Allowed::parse(bad).unwrap_err().contains("is no host name"), "{bad}");
    }
}

#[test]
fn the_entity_id_names_a_directory() {
    check(
        &with(ENTITY, "https://sts.windows.net/contoso.com/"),
        &expect![[r#"
        its entityID “https://sts.windows.net/contoso.com/” names no directory; Entra's is https://sts.windows.net/ with the directory (tenant) id behind it
    "#]],
    );
    check(
        &with(ENTITY, "https://evil.test/8c1d0d5e-0f3a-4d6b-9a52-2f7f8d3c1b11/"),
        &expect![[r#"
        its entityID “https://evil.test/8c1d0d5e-0f3a-4d6b-9a52-2f7f8d3c1b11/” names no directory; Entra's is https://sts.windows.net/ with the directory (tenant) id behind it
    "#]],
    );
    check(
        &with(&format!("entityID=\"{ENTITY}\""), ""),
        &expect![[r#"
        its entityID is missing or too long; download the metadata again
    "#]],
    );
    check(
        &with(ENTITY, "  "),
        &expect![[r#"
        its entityID is missing or too long; download the metadata again
    "#]],
    );
}

#[test]
fn a_certificate_is_good_for_more_than_thirty_days() {
    for (now, good) in [
        ("2019-12-31T23:59:59Z", false),
        ("2020-01-01T00:00:00Z", true),
        ("2119-12-01T23:59:59Z", true),
        ("2119-12-02T00:00:00Z", false),
        ("2120-01-01T00:00:00Z", false),
    ] {
        assert_eq!(read_at(DOCUMENT, now, "").is_ok(), good, "{now}");
    }
    let at = |now: &str| told(&read_at(DOCUMENT, now, ""));
    expect![[r#"
        its signing certificate is valid only from 2020-01-01 on; activate one that is valid now
    "#]]
    .assert_eq(&at("2019-12-31T00:00:00Z"));
    expect![[r#"
        its signing certificate ends on 2120-01-01, in less than 30 days; create a new one on the application's single sign-on page, activate it, and download the metadata again
    "#]].assert_eq(&at("2119-12-20T00:00:00Z"));
    expect![[r#"
        its signing certificate ended on 2120-01-01; create a new one on the application's single sign-on page, activate it, and download the metadata again
    "#]].assert_eq(&at("2130-01-01T00:00:00Z"));
    check(
        &with("use=\"signing\"", "use=\"encryption\""),
        &expect![[r#"
        it has no signing certificate; create one on the application's single sign-on page and download the metadata again
    "#]],
    );
    check(
        &with("<X509Certificate>MII", "<X509Certificate>MIJ"),
        &expect![[r#"
        its signing certificate number 1 cannot be read; download the metadata again
    "#]],
    );
    check(
        &with("<X509Certificate>MII", "<X509Certificate>?"),
        &expect![[r#"
        its signing certificate number 1 cannot be read; download the metadata again
    "#]],
    );
}

#[test]
fn everything_is_told_at_once() {
    let document = with(ADDRESS, "https://evil.test/").replace(ENTITY, "urn:x");
    let read = read_at(&document, "2130-01-01T00:00:00Z", "");
    assert_eq!(read.unwrap_err().len(), 3);
}

proptest! {
    #[test]
    fn whatever_is_uploaded_is_an_answer(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, prop::collection::vec(any::<u8>(), 0..12)), 1..6),
        now in 1_500_000_000_i64..6_000_000_000,
    ) {
        let mut bytes = DOCUMENT.as_bytes().to_vec();
        for (at, gone, new) in edits {
            let start = at.index(bytes.len());
            let end = (start + gone).min(bytes.len());
            bytes.splice(start..end, new);
        }
        let now = Timestamp::from_unix(now, 0).unwrap();
        match read(&bytes, now, &Allowed::default()) {
            Ok(metadata) => {
                prop_assert!(metadata.sso_url.starts_with("https://"));
                prop_assert!(metadata.certificate_ends > now);
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(problem.to_string().len() < 1_000);
                }
            }
        }
    }

    #[test]
    fn whatever_stands_in_a_certificate_is_an_answer(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (_, rest) = DOCUMENT.split_once("<X509Certificate>MII").unwrap();
        let text = format!("MII{}", rest.split('<').next().unwrap());
        let mut der = data_encoding::BASE64.decode(text.as_bytes()).unwrap();
        let at = at.index(der.len());
        der[at] = byte;
        if let Some(read) = Certificate::read(&data_encoding::BASE64.encode(&der)) {
            prop_assert!(read.subject.len() < 1_000);
        }
    }
}
