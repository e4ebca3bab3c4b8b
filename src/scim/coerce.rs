//! From one JSON value to the value of one attribute (RFC 7643 §2.2 to §2.5): the single place where a value meets its
//! attribute's characteristics. POST, PUT and PATCH all pass through it.
//!
//! It takes what real clients send (a bare string for a complex attribute, one value for a list, `"True"` for `true`)
//! as far as the meaning is beyond doubt, and refuses the rest. It never trims, normalises or judges text: what a
//! client sent is what it reads back. It knows no attribute by name except the default sub-attributes of RFC 7643
//! §2.4.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::error::{ErrorKind, ScimError, json_type};
use super::fold::fold;
use super::schema::{Attribute, Reference, Type};
use super::well_known;
use crate::limits::{DECIMAL_EXPONENT_MAX, STRING_BYTES_MAX, VALUES_MAX};
use crate::moment::Timestamp;

/// The value of `attribute` that `value` stands for, in the schema's spelling; `None` when it unassigns the attribute
/// (RFC 7643 §2.5: null and `[]`; real clients also send `""` and `{}`). `at` names the attribute in errors.
///
/// # Errors
/// 400 `invalidValue` when the value has the wrong type, is too long, or has too many elements.
pub(in crate::scim) fn value(
    attribute: &Attribute,
    value: &Value,
    at: &str,
) -> Result<Option<Value>, ScimError> {
    if is_empty(value) {
        return Ok(None);
    }
    if attribute.multi_valued { many(attribute, value, at) } else { one(attribute, value, at) }
}

/// Whether what a client writes is stored. What is not kept is accepted and dropped: `id` and `groups` are the server's,
/// and a password has no use here. Of a custom attribute everything is kept that a client may write: the team's own
/// app reads what no answer shows.
pub(in crate::scim) fn is_kept(attribute: &Attribute) -> bool {
    attribute.is_kept
}

/// Whether `value` unassigns the attribute that it is given for.
pub(in crate::scim) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The boolean that `text` spells. Entra sends `"True"` and `"False"` unless told otherwise.
pub(in crate::scim) fn boolean(text: &str) -> Option<bool> {
    [true, false].into_iter().find(|flag| text.eq_ignore_ascii_case(&flag.to_string()))
}

/// What stands in an array of one element, where `attribute` has only one value. Entra's oldest jobs send
/// `[{"value":"Ida"}]` for `"Ida"`, newer ones `[{"value":"u-9"}]` for a manager.
pub(in crate::scim) fn unwrapped<'v>(attribute: &Attribute, value: &'v Value) -> Option<&'v Value> {
    let [only] = value.as_array()?.as_slice() else { return None };
    if attribute.multi_valued {
        return None;
    }
    match (attribute.kind, only) {
        (Type::Complex, _) => Some(only),
        (_, Value::Object(members)) if !members.is_empty() => member(members, well_known::VALUE),
        (_, _) => Some(only),
    }
}

/// The object that a bare scalar stands for, where `attribute` is complex and has a sub-attribute `value`.
pub(in crate::scim) fn wrapped(attribute: &Attribute, value: &Value) -> Option<Value> {
    let sub = attribute.sub_named(well_known::VALUE)?;
    let is_scalar = !value.is_object() && !value.is_array();
    is_scalar.then(|| Value::Object(Map::from_iter([(sub.name.to_string(), value.clone())])))
}

/// Whether nothing is left in an entry but what describes a value: its type, whether it is the primary one, a label
/// and a link. Clearing the value itself means that the entry goes (Entra clears `emails[type eq "work"].value`).
pub(in crate::scim) fn is_hollow(entry: &Map<String, Value>) -> bool {
    let describes = [well_known::TYPE, well_known::PRIMARY, well_known::DISPLAY, well_known::REF];
    entry.keys().all(|name| describes.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

/// Leaves at most one entry that says `primary: true` (RFC 7643 §2.4): the first of those for which `preferred` holds,
/// else the first of all. The others say `false`.
pub(in crate::scim) fn keep_one_primary(entries: &mut [Value], preferred: impl Fn(usize) -> bool) {
    let is_primary = |entry: &Value| entry.get(well_known::PRIMARY) == Some(&Value::Bool(true));
    let claims: Vec<usize> = (0_usize..)
        .zip(&*entries)
        .filter(|(_, entry)| is_primary(entry))
        .map(|(at, _)| at)
        .collect();
    let winner = claims.iter().copied().find(|at| preferred(*at)).or(claims.first().copied());
    for (at, entry) in entries.iter_mut().enumerate() {
        if let (true, Value::Object(members)) = (is_primary(entry) && Some(at) != winner, entry) {
            members.insert(well_known::PRIMARY.to_owned(), Value::Bool(false));
        }
    }
}

/// The member of that name, in any letter case; when it is there twice, the later one.
pub(in crate::scim) fn member<'v>(
    members: &'v Map<String, Value>,
    name: &str,
) -> Option<&'v Value> {
    members.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The elements of a list; anything else is a list of one.
pub(in crate::scim) fn elements(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// A 400 `invalidValue` that says what is allowed and of which JSON type the value was.
pub(in crate::scim) fn wrong_type(at: &str, allowed: &str, value: &Value) -> ScimError {
    let arrived = json_type(value);
    ScimError::new(ErrorKind::InvalidValue, format!("{at} must be {allowed}, not {arrived}"))
}

/// A 400 `invalidValue` for a list that is too long.
pub(in crate::scim) fn too_many_values(at: &str) -> ScimError {
    let detail = format!("{at} has too many values: at most {VALUES_MAX} are allowed");
    ScimError::new(ErrorKind::InvalidValue, detail)
}

fn many(attribute: &Attribute, value: &Value, at: &str) -> Result<Option<Value>, ScimError> {
    let elements = elements(value);
    if elements.len() > VALUES_MAX {
        return Err(too_many_values(at));
    }
    let mut kept = Vec::with_capacity(elements.len());
    for element in elements {
        kept.extend(one(attribute, element, at)?);
    }
    keep_one_primary(&mut kept, |_| false);
    Ok((!kept.is_empty()).then_some(Value::Array(kept)))
}

/// A single value, or one element of a list.
fn one(attribute: &Attribute, value: &Value, at: &str) -> Result<Option<Value>, ScimError> {
    let value = unwrapped(attribute, value).unwrap_or(value);
    if is_empty(value) {
        return Ok(None);
    }
    match attribute.kind {
        Type::Complex => complex(attribute, value, at),
        Type::String => canonical(attribute, checked(value, at, "a string", |_| true)?, at),
        Type::Reference if attribute.references.is_empty() => {
            checked(value, at, "a string", |_| true)
        }
        Type::Reference => {
            let allowed = reference_words(&attribute.references);
            checked(value, at, &allowed, |text| {
                attribute.references.iter().any(|reference| leads_to(reference, text))
            })
        }
        Type::Boolean => match value.as_str().and_then(boolean) {
            Some(flag) => Ok(Some(Value::Bool(flag))),
            None if value.is_boolean() => Ok(Some(value.clone())),
            None if value.is_string() => {
                let detail = format!(
                    "{at} must be true or false; the strings \"true\" and \"false\" are taken as well, and another one arrived"
                );
                Err(ScimError::new(ErrorKind::InvalidValue, detail))
            }
            None => Err(wrong_type(at, "true or false", value)),
        },
        Type::Integer if value.is_i64() || value.is_u64() => Ok(Some(value.clone())),
        Type::Integer if value.is_number() => Err(unfit(at, "a whole number", value)),
        Type::Integer => Err(wrong_type(at, "a whole number", value)),
        Type::Decimal if value.as_f64().is_some_and(is_storable) => Ok(Some(as_stored(value))),
        Type::Decimal if value.is_number() => Err(unfit(at, "a number of ordinary size", value)),
        Type::Decimal => Err(wrong_type(at, "a number", value)),
        Type::DateTime => {
            checked(value, at, "a date and time such as 2026-01-31T08:00:00Z", |text| {
                Timestamp::parse(text).is_some()
            })
        }
        Type::Binary => checked(value, at, "base64 text", is_base64),
    }
}

fn complex(attribute: &Attribute, value: &Value, at: &str) -> Result<Option<Value>, ScimError> {
    let wrapped = wrapped(attribute, value);
    let Value::Object(members) = wrapped.as_ref().unwrap_or(value) else {
        return Err(wrong_type(at, "an object", value));
    };
    let mut kept = Map::new();
    let mut is_cleared = false;
    for (name, given) in members {
        let Some(sub) = attribute.sub_named(name).filter(|sub| is_kept(sub)) else { continue };
        if let Some(given) = self::value(sub, given, &format!("{at}.{}", sub.name))? {
            kept.insert(sub.name.to_string(), given);
        } else {
            is_cleared = true;
            kept.shift_remove(sub.name.as_str());
        }
    }
    let is_nothing = kept.is_empty() || (is_cleared && is_hollow(&kept));
    Ok((!is_nothing).then_some(Value::Object(kept)))
}

/// Text, perhaps with a form. It is kept as it was sent.
fn checked(
    value: &Value,
    at: &str,
    allowed: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<Option<Value>, ScimError> {
    let Value::String(text) = value else { return Err(wrong_type(at, allowed, value)) };
    if text.len() > STRING_BYTES_MAX {
        let detail = format!("{at} is too long: at most {STRING_BYTES_MAX} bytes are allowed");
        return Err(ScimError::new(ErrorKind::InvalidValue, detail));
    }
    if fits(text) { Ok(Some(value.clone())) } else { Err(unfit(at, allowed, value)) }
}

/// The JSON type is right, the value is not.
fn unfit(at: &str, allowed: &str, value: &Value) -> ScimError {
    let arrived = json_type(value);
    let detail = format!("{at} must be {allowed}; {arrived} of another form arrived");
    ScimError::new(ErrorKind::InvalidValue, detail)
}

/// Whether the text is one of those that the schema has, as its `caseExact` says. It is kept as it was sent.
fn canonical(
    attribute: &Attribute,
    value: Option<Value>,
    at: &str,
) -> Result<Option<Value>, ScimError> {
    let known = &attribute.canonical_values;
    let is_known = |text: &str| {
        let same =
            |known: &String| known == text || (!attribute.case_exact && fold(known) == fold(text));
        known.iter().any(same)
    };
    match value.as_ref().and_then(Value::as_str) {
        Some(text) if !known.is_empty() && !is_known(text) => {
            let detail =
                format!("{at} must be one of {}; another string arrived", known.join(", "));
            Err(ScimError::new(ErrorKind::InvalidValue, detail))
        }
        Some(_) | None => Ok(value),
    }
}

/// What an error says of values that lead somewhere.
fn reference_words(references: &[Reference]) -> String {
    let words = references.iter().map(|reference| match reference {
        Reference::External => "a URI with a scheme".to_owned(),
        Reference::Uri => "a URI".to_owned(),
        Reference::Resource(endpoint) => format!("a URI that ends with {endpoint}/ and an id"),
    });
    words.collect::<Vec<_>>().join(" or ")
}

/// Whether a text is a URI, absolute or relative (RFC 3986, as far as its characters go), and of that sort. Whether there
/// is anything at its end, nobody looks.
fn leads_to(reference: &Reference, text: &str) -> bool {
    let is_uri = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
    is_uri
        && match reference {
            Reference::Uri => true,
            Reference::External => text.split_once(':').is_some_and(|(scheme, rest)| {
                let mut letters = scheme.chars();
                letters.next().is_some_and(|c| c.is_ascii_alphabetic())
                    && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                    && !rest.is_empty()
            }),
            Reference::Resource(endpoint) => {
                let mut segments = text.rsplit('/');
                let id = segments
                    .next()
                    .is_some_and(|id| !id.is_empty() && !id.contains(['?', '#', ':']));
                id && segments.next() == Some(endpoint.trim_start_matches('/'))
            }
        }
}

/// A decimal without a fraction is a whole number in the store, and has to be the same before and after.
fn as_stored(value: &Value) -> Value {
    let whole = value.as_f64().filter(|number| value.is_f64() && number.fract() == 0.0);
    let whole = whole.map(|number| format!("{number:.0}"));
    whole.and_then(|digits| digits.parse::<i64>().ok()).map_or_else(|| value.clone(), Value::from)
}

/// RFC 7643 §2.3.6 allows both alphabets of RFC 4648; whether padding is needed depends on who wrote the encoder.
fn is_base64(text: &str) -> bool {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    [alphabet::STANDARD, alphabet::URL_SAFE]
        .iter()
        .any(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).is_ok())
}

/// The store keeps numbers between 1e-130 and 1e126 in magnitude; JSON allows more.
fn is_storable(number: f64) -> bool {
    let magnitude = number.abs();
    let largest = 10_f64.powi(DECIMAL_EXPONENT_MAX);
    magnitude == 0.0 || (1.0 / largest..=largest).contains(&magnitude)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;
    use crate::scim::schema::Schema;

    /// One attribute of each type, and lists of some.
    fn schema() -> Schema {
        let attribute = |name: &str, kind: &str, is_list: bool| json!({"name": name, "type": kind, "multiValued": is_list});
        let complex = |name: &str, is_list: bool| {
            json!({"name": name, "type": "complex", "multiValued": is_list, "subAttributes": [
                attribute("value", "string", false),
                attribute("type", "string", false),
                attribute("primary", "boolean", false),
                attribute("tags", "string", true),
                {"name": "display", "type": "string", "mutability": "readOnly"},
                {"name": "secret", "type": "string", "returned": "never"},
            ]})
        };
        let json = json!({"id": "urn:x:test", "attributes": [
            attribute("text", "string", false),
            attribute("link", "reference", false),
            attribute("flag", "boolean", false),
            attribute("count", "integer", false),
            attribute("ratio", "decimal", false),
            attribute("since", "dateTime", false),
            attribute("blob", "binary", false),
            attribute("words", "string", true),
            attribute("flags", "boolean", true),
            complex("one", false),
            complex("many", true),
        ]});
        Schema::parse(&json.to_string()).unwrap()
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "values and expect![..] are written in place"
    )]
    fn check(name: &str, given: Value, expected: Expect) {
        let schema = schema();
        let attribute = schema.attribute_named(name).unwrap();
        let report = match value(attribute, &given, name) {
            Ok(Some(value)) => value.to_string(),
            Ok(None) => "cleared".to_owned(),
            Err(error) => error.detail().to_owned(),
        };
        expected.assert_eq(&report);
    }

    #[test]
    fn what_is_empty_clears() {
        for name in ["text", "flag", "count", "since", "blob", "words", "one", "many"] {
            for empty in [
                json!(null),
                json!(""),
                json!([]),
                json!({}),
                json!([null]),
                json!([""]),
                json!([{}]),
            ] {
                check(name, empty, expect!["cleared"]);
            }
        }
        check("one", json!({"unknown": 1, "display": "x", "secret": "y"}), expect!["cleared"]);
        check("one", json!({"type": "work", "value": null}), expect!["cleared"]);
        check("one", json!({"type": "work"}), expect![[r#"{"type":"work"}"#]]);
        check(
            "many",
            json!([{"type": "work", "primary": true, "value": ""}, {"value": "a"}]),
            expect![[r#"[{"value":"a"}]"#]],
        );
    }

    #[test]
    fn text_is_kept_as_it_is() {
        check("text", json!("  \u{0}Ida\n"), expect![[r#""  \u0000Ida\n""#]]);
        check("link", json!("not a URL"), expect![[r#""not a URL""#]]);
        check("text", json!(7), expect!["text must be a string, not a number"]);
        check("text", json!(true), expect!["text must be a string, not a boolean"]);
        check("text", json!({"value": "a"}), expect!["text must be a string, not an object"]);
        check("text", json!([{"value": "a"}]), expect![[r#""a""#]]);
        check("text", json!(["a"]), expect![[r#""a""#]]);
        check("text", json!(["a", "b"]), expect!["text must be a string, not an array"]);
        check(
            "text",
            json!("a".repeat(STRING_BYTES_MAX + 1)),
            expect!["text is too long: at most 65536 bytes are allowed"],
        );
    }

    #[test]
    fn a_reference_leads_where_the_schema_says() {
        let leads = |reference: Reference, uris: &[&str], others: &[&str]| {
            for (texts, does) in [(uris, true), (others, false)] {
                for text in texts {
                    assert_eq!(leads_to(&reference, text), does, "{text}");
                }
            }
        };
        let bad = ["1x:a", "x_y:a", "x:", ":a", "a b:c", "x"];
        leads(Reference::External, &["https://ex.test/", "tel:1", "x+y-z.1:a"], &bad);
        leads(Reference::Uri, &["https://ex.test/", "../a", "1x:a"], &["a b", "<a>"]);
        let users = Reference::Resource("/Users".to_owned());
        leads(users, &["/Users/1", "https://ex.test/Users/1"], &["/Users/", "/Groups/1", "1"]);
        let all = [Reference::External, Reference::Uri, Reference::Resource("/Users".to_owned())];
        expect!["a URI with a scheme or a URI or a URI that ends with /Users/ and an id"]
            .assert_eq(&reference_words(&all));
    }

    #[test]
    fn booleans_and_numbers() {
        check("flag", json!(true), expect!["true"]);
        check("flag", json!("False"), expect!["false"]);
        check("flag", json!("TRUE"), expect!["true"]);
        check(
            "flag",
            json!("yes"),
            expect![[
                r#"flag must be true or false; the strings "true" and "false" are taken as well, and another one arrived"#
            ]],
        );
        check("flag", json!(0), expect!["flag must be true or false, not a number"]);
        check("flags", json!(["True", false]), expect!["[true,false]"]);
        check("count", json!(-7), expect!["-7"]);
        check("count", json!(u64::MAX), expect!["18446744073709551615"]);
        check(
            "count",
            json!(1.5),
            expect!["count must be a whole number; a number of another form arrived"],
        );
        check("count", json!("7"), expect!["count must be a whole number, not a string"]);
        check("ratio", json!(1.5), expect!["1.5"]);
        check("ratio", json!(0), expect!["0"]);
        check("ratio", json!(-2), expect!["-2"]);
        check(
            "ratio",
            json!(1e300),
            expect!["ratio must be a number of ordinary size; a number of another form arrived"],
        );
        check(
            "ratio",
            json!(1e-300),
            expect!["ratio must be a number of ordinary size; a number of another form arrived"],
        );
        check("ratio", json!("1.5"), expect!["ratio must be a number, not a string"]);
    }

    #[test]
    fn text_with_a_form() {
        check(
            "since",
            json!("2026-01-31T08:00:00+01:00"),
            expect![[r#""2026-01-31T08:00:00+01:00""#]],
        );
        check("since", json!("2026-01-31T08:00:00"), expect![[r#""2026-01-31T08:00:00""#]]);
        check(
            "since",
            json!("yesterday"),
            expect![
                "since must be a date and time such as 2026-01-31T08:00:00Z; a string of another form arrived"
            ],
        );
        check(
            "since",
            json!(7),
            expect!["since must be a date and time such as 2026-01-31T08:00:00Z, not a number"],
        );
        check("blob", json!("aGVsbG8="), expect![[r#""aGVsbG8=""#]]);
        check("blob", json!("aGVsbG8"), expect![[r#""aGVsbG8""#]]);
        check("blob", json!("-_-_"), expect![[r#""-_-_""#]]);
        // A line break, as PEM has it, is none either.
        for text in ["no base64!", "aGVs\nbG8=", "-----aGVsbG8=-----"] {
            check(
                "blob",
                json!(text),
                expect!["blob must be base64 text; a string of another form arrived"],
            );
        }
    }

    #[test]
    fn lists_and_objects() {
        check("words", json!("a"), expect![[r#"["a"]"#]]);
        check("words", json!(["a", "", null, "a"]), expect![[r#"["a","a"]"#]]);
        check("words", json!(["a", 7]), expect!["words must be a string, not a number"]);
        check(
            "words",
            json!(vec!["a"; VALUES_MAX + 1]),
            expect!["words has too many values: at most 200 are allowed"],
        );
        check("one", json!("a"), expect![[r#"{"value":"a"}"#]]);
        check("one", json!(7), expect!["one.value must be a string, not a number"]);
        check(
            "one",
            json!([{"VALUE": "a", "Tags": "t", "value": "b"}]),
            expect![[r#"{"value":"b","tags":["t"]}"#]],
        );
        check(
            "one",
            json!([{"value": "a"}, {"value": "b"}]),
            expect!["one must be an object, not an array"],
        );
        check(
            "many",
            json!({"value": "a", "primary": "True"}),
            expect![[r#"[{"value":"a","primary":true}]"#]],
        );
        check(
            "many",
            json!(["a", {"value": "b", "secret": "s", "display": "d", "x": 1}]),
            expect![[r#"[{"value":"a"},{"value":"b"}]"#]],
        );
        check(
            "many",
            json!([{"value": {"a": 1}}]),
            expect!["many.value must be a string, not an object"],
        );
        check(
            "many",
            json!([{"value": "a", "primary": false}, {"value": "b", "primary": true}, {"value": "c", "primary": "true"}]),
            expect![[
                r#"[{"value":"a","primary":false},{"value":"b","primary":true},{"value":"c","primary":false}]"#
            ]],
        );
    }

    #[test]
    fn text_and_numbers_may_be_as_large_as_their_bounds() {
        let longest = json!("a".repeat(STRING_BYTES_MAX));
        assert_eq!(
            value(schema().attribute_named("text").unwrap(), &longest, "text").unwrap(),
            Some(longest)
        );
        for number in [0.0, 0.5, -0.25, 1.0, -7.0, 1e-125, 1e125] {
            assert!(is_storable(number), "{number}");
        }
        for number in [1e-131, -1e-131, 1e127, -1e127] {
            assert!(!is_storable(number), "{number}");
        }
    }
}
