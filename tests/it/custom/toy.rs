//! A toy schema for each type, with an attribute for every combination of the other characteristics.

use serde_json::{Map, Value, json};

/// The types of RFC 7643 §2.3.
pub(super) const TYPES: [&str; 8] =
    ["string", "boolean", "decimal", "integer", "dateTime", "reference", "binary", "complex"];

/// One attribute and its characteristics, as the toy's author means them.
#[derive(Clone, Debug)]
pub(super) struct Toy {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) many: bool,
    pub(super) required: bool,
    pub(super) exact: bool,
    pub(super) mutability: &'static str,
    pub(super) returned: &'static str,
}

/// The toy schema's URN.
pub(super) fn urn(kind: &str) -> String {
    format!("urn:example:params:scim:schemas:extension:toy:1.0:{kind}")
}

/// Every combination that makes sense: what is writeOnly is never returned, what is readOnly not required.
pub(super) fn toys(kind: &'static str) -> Vec<Toy> {
    let mut toys = Vec::new();
    let letters: &[bool] = if kind == "string" { &[false, true] } else { &[false] };
    for many in [false, true] {
        for mutability in ["readOnly", "readWrite", "immutable", "writeOnly"] {
            for returned in ["always", "never", "default", "request"] {
                for required in [false, true] {
                    for exact in letters {
                        let is_shown = returned != "never";
                        let is_unsound = (mutability == "writeOnly" && is_shown)
                            || (mutability == "readOnly" && required);
                        if !is_unsound {
                            let name = format!(
                                "{}{}{}_{mutability}_{returned}",
                                if many { "many" } else { "one" },
                                if required { "Required" } else { "" },
                                if *exact { "Exact" } else { "" },
                            );
                            let exact = *exact;
                            toys.push(Toy {
                                name,
                                kind,
                                many,
                                required,
                                exact,
                                mutability,
                                returned,
                            });
                        }
                    }
                }
            }
        }
    }
    toys
}

/// The file of a toy schema.
pub(super) fn file(kind: &'static str) -> String {
    let attributes: Vec<Value> = toys(kind).iter().map(Toy::attribute).collect();
    json!({ "id": urn(kind), "name": format!("Toy{kind}"), "attributes": attributes }).to_string()
}

impl Toy {
    fn attribute(&self) -> Value {
        let mut attribute = json!({
            "name": self.name,
            "type": self.kind,
            "description": "A toy.",
            "multiValued": self.many,
            "required": self.required,
            "mutability": self.mutability,
            "returned": self.returned,
            "uniqueness": "none",
        });
        let members = attribute.as_object_mut().unwrap();
        match self.kind {
            "complex" => {
                let sub = |name: &str, kind: &str, more: Value| {
                    let mut sub = json!({ "name": name, "type": kind, "description": "A part." });
                    sub.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                    sub
                };
                members.insert(
                    "subAttributes".to_owned(),
                    json!([
                        sub("value", "string", json!({ "required": true })),
                        sub("type", "string", json!({ "canonicalValues": ["work", "home"] })),
                        sub("primary", "boolean", json!({})),
                        sub("serial", "integer", json!({})),
                        sub(
                            "secret",
                            "string",
                            json!({ "mutability": "writeOnly", "returned": "never" })
                        ),
                        sub("label", "string", json!({ "mutability": "readOnly" })),
                        sub("since", "dateTime", json!({ "returned": "request" })),
                        sub("tags", "string", json!({ "multiValued": true })),
                    ]),
                );
            }
            "reference" => {
                members.insert("referenceTypes".to_owned(), json!(["User", "external"]));
            }
            "string" => {
                members.insert("caseExact".to_owned(), json!(self.exact));
            }
            _ => {}
        }
        attribute
    }

    /// Whether what a client writes is stored.
    pub(super) fn is_kept(&self) -> bool {
        self.mutability != "readOnly"
    }

    /// Two values, of which the first is the smaller one where there is an order.
    pub(super) fn values(&self) -> [Value; 2] {
        let [small, large] = match self.kind {
            "string" => ["Alpha", "Beta"].map(Value::from),
            "boolean" => [false, true].map(Value::from),
            "decimal" => [1.5, 20.25].map(Value::from),
            "integer" => [-7, 12].map(Value::from),
            "dateTime" => ["2026-01-31T08:00:00Z", "2026-01-31T08:00:00-05:00"].map(Value::from),
            "reference" => ["../Users/26118915", "https://example.com/a?b#c"].map(Value::from),
            "binary" => ["aGVsbG8=", "d29ybGQ="].map(Value::from),
            _ => [
                json!({ "value": "a", "type": "work", "serial": 1, "secret": "x", "tags": ["t"] }),
                json!({ "value": "b", "type": "home", "serial": 2, "secret": "y", "tags": ["u"] }),
            ],
        };
        if self.many { [json!([small]), json!([large])] } else { [small, large] }
    }

    /// Values that it does not take.
    pub(super) fn wrong(&self) -> Vec<Value> {
        let wrong = match self.kind {
            "string" => vec![json!(7), json!(true), json!({ "a": 1 })],
            "boolean" => vec![json!("perhaps"), json!(1)],
            "decimal" => vec![json!("1.5"), json!(true), json!(1e300)],
            "integer" => vec![json!(1.5), json!("7")],
            "dateTime" => vec![json!("2026-01-31"), json!("yesterday"), json!(7)],
            "reference" => {
                vec![json!("not a URL"), json!("../Groups/1"), json!("Users/"), json!(7)]
            }
            "binary" => vec![json!("no base64!"), json!(7)],
            _ => vec![
                json!({ "value": 7 }),
                json!({ "value": "a", "type": "elsewhere" }),
                json!({ "value": "a", "serial": "one" }),
                json!({ "value": "a", "since": "then" }),
            ],
        };
        let many = |value: Value| if self.many { json!([value]) } else { value };
        wrong.into_iter().map(many).collect()
    }

    /// Whether it is in an answer: when nothing is asked for, when it is by name, when another attribute is.
    pub(super) fn is_shown(&self, asked: Option<&str>) -> bool {
        match (self.returned, asked) {
            (_, _) if !self.is_kept() => false,
            ("always", _) | ("default", None) => true,
            ("default" | "request", Some(name)) => name == self.name,
            _ => false,
        }
    }

    /// What of a stored value an answer shows.
    pub(super) fn shown(value: &Value) -> Value {
        match value {
            Value::Array(values) => values.iter().map(Self::shown).collect(),
            Value::Object(members) => {
                let kept = members.iter().filter(|(name, _)| *name != "secret");
                Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    /// What a filter compares with the attribute: a literal for `value`, and its path.
    pub(super) fn literal(&self, value: &Value) -> String {
        let one = if self.many { &value[0] } else { value };
        let simple = one.get("value").unwrap_or(one);
        simple.to_string()
    }
}

/// The attributes of a kind, each with the first of its values, as they are stored.
pub(super) fn whole(toys: &[Toy]) -> Map<String, Value> {
    let kept = toys.iter().filter(|toy| toy.is_kept());
    kept.map(|toy| (toy.name.clone(), toy.values()[0].clone())).collect()
}
