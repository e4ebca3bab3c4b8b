//! Every toy attribute through what every operation is made of, beside a model that knows its characteristics alone; and
//! the toys of one type together over HTTP.

use std::sync::Arc;

use scim_endpoint::moment::Moment;
use scim_endpoint::scim::catalog::{Catalog, Kind, ResourceType};
use scim_endpoint::scim::document::Document;
use scim_endpoint::scim::error::ScimError;
use scim_endpoint::scim::filter::Filter;
use scim_endpoint::scim::patch::PatchRequest;
use scim_endpoint::scim::project::Projection;
use scim_endpoint::scim::resource::Resource;
use scim_endpoint::scim::sort::Sort;
use scim_endpoint::scim::validate;
use scim_endpoint::system::SystemClock;
use serde_json::{Map, Value, json};

use super::toy::{self, TYPES, Toy, toys, urn, whole};
use super::{PATCH, deployed, extends, stored, switch};

/// What a tenant has with the toy schema of one type.
struct Walk {
    catalog: Catalog,
    urn: String,
    toys: Vec<Toy>,
}

impl Walk {
    fn new(kind: &'static str) -> Self {
        let (urn, toys) = (urn(kind), toys(kind));
        let (schema, user) = (toy::file(kind), extends("User", &urn, false));
        let files = [("toy.json", schema.as_str()), ("user.json", user.as_str())];
        let deployed = Catalog::embedded_with(&files).unwrap_or_else(|error| panic!("{error}"));
        let catalog = deployed.with(std::slice::from_ref(&urn));
        Self { catalog, urn, toys }
    }

    fn users(&self) -> &ResourceType {
        self.catalog.resource_type(Kind::User)
    }

    fn body(&self, attributes: &Map<String, Value>) -> Value {
        json!({ "userName": "ida@ex.test", self.urn.clone(): attributes })
    }

    fn create(&self, attributes: &Map<String, Value>) -> Result<Document, ScimError> {
        validate::document(self.users(), &self.body(attributes))
    }

    fn put(
        &self,
        attributes: &Map<String, Value>,
        current: &Document,
    ) -> Result<Document, ScimError> {
        validate::replacement(self.users(), &self.body(attributes), current)
    }

    fn patch(&self, operation: &Value, current: &Document) -> Result<Document, ScimError> {
        let body = json!({ "schemas": [PATCH], "Operations": [operation] });
        PatchRequest::parse(self.users(), &body)?.apply(self.users(), current)
    }

    /// What is stored.
    fn stored(&self, document: &Document) -> Map<String, Value> {
        document.get(&self.urn).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    fn represent(&self, document: Document) -> Map<String, Value> {
        let moment = Moment::new(Arc::new(SystemClock::default()), [7; 32], "toy".to_owned());
        Resource::new(Kind::User, document, &moment).to_value(self.users(), "https://ex.test")
    }

    /// What an answer has of the toys.
    fn answer(
        &self,
        document: &Document,
        parameters: (Option<&str>, Option<&str>),
    ) -> Map<String, Value> {
        let projection = Projection::parse(parameters.0, parameters.1).unwrap();
        let answer = projection.apply(self.users(), self.represent(document.clone()));
        answer.get(&self.urn).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// What it should have when this is asked for.
    fn shown(&self, stored: &Map<String, Value>, asked: Option<&str>) -> Map<String, Value> {
        let shown = self.toys.iter().filter(|toy| toy.is_shown(asked));
        let shown =
            shown.filter_map(|toy| Some((toy.name.clone(), Toy::shown(stored.get(&toy.name)?))));
        shown.collect()
    }

    fn path(&self, toy: &Toy) -> String {
        format!("{}:{}", self.urn, toy.name)
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(
    done: Result<T, ScimError>,
    scim_type: &str,
    of: &dyn std::fmt::Debug,
) {
    let error = done.expect_err(&format!("{of:?}"));
    assert_eq!(error.kind().scim_type(), Some(scim_type), "{of:?}: {}", error.detail());
}

fn reads(walk: &Walk) {
    let model = whole(&walk.toys);
    // What is readOnly is ignored, as the RFC has it.
    let all = walk.toys.iter().map(|toy| (toy.name.clone(), toy.values()[0].clone())).collect();
    let document = walk.create(&all).unwrap();
    assert_eq!(walk.stored(&document), model);
    assert_eq!(walk.answer(&document, (None, None)), walk.shown(&model, None));
    for toy in &walk.toys {
        let path = walk.path(toy);
        let asked = walk.answer(&document, (Some(&path), None));
        assert_eq!(asked, walk.shown(&model, Some(&toy.name)), "{toy:?}");
        let mut rest = walk.shown(&model, None);
        if toy.returned != "always" {
            rest.remove(&toy.name);
        }
        assert_eq!(walk.answer(&document, (None, Some(&path))), rest, "{toy:?}");
        let mut rest = model.clone();
        rest.remove(&toy.name);
        match walk.create(&rest) {
            Ok(document) => {
                assert!(!toy.required, "{toy:?}");
                assert_eq!(walk.stored(&document), rest, "{toy:?}");
            }
            Err(error) => {
                assert!(toy.required, "{toy:?}");
                assert!(error.detail().starts_with(&path), "{toy:?}: {}", error.detail());
            }
        }
    }
}

/// Each change of each attribute, in every form that it can come in.
fn patches(walk: &Walk) {
    let mut model = whole(&walk.toys);
    let mut document = walk.create(&model).unwrap();
    for toy in &walk.toys {
        let path = walk.path(toy);
        let [first, second] = toy.values();
        for wrong in toy.wrong() {
            let operation = json!({ "op": "replace", "path": path, "value": wrong });
            let done = walk.patch(&operation, &document);
            if toy.is_kept() {
                refused(done, "invalidValue", &(toy, wrong));
            } else {
                assert_eq!(done.unwrap(), document, "{toy:?}");
            }
        }
        let both = || toy.many.then(|| json!([first[0], second[0]]));
        let forms = [
            (json!({ "op": "replace", "path": path, "value": second }), Some(second.clone())),
            (json!({ "op": "Replace", "value": { path.clone(): first } }), Some(first.clone())),
            (
                json!({ "op": "add", "value": { walk.urn.clone(): { toy.name.clone(): second } } }),
                both().or(Some(second.clone())),
            ),
            (
                json!({ "op": "replace", "path": walk.urn, "value": whole(&walk.toys) }),
                Some(first.clone()),
            ),
            (json!({ "op": "remove", "path": path }), None),
            (json!({ "op": "add", "path": path, "value": first }), Some(first.clone())),
        ];
        for (form, after) in forms {
            let done = walk.patch(&form, &document);
            let is_change = model.get(&toy.name) != after.as_ref();
            let is_fixed = toy.mutability == "immutable" || (toy.required && after.is_none());
            if toy.is_kept() && is_change && is_fixed {
                refused(done, "mutability", &(toy, form));
                continue;
            }
            document = done.unwrap_or_else(|error| panic!("{toy:?} {form}: {}", error.detail()));
            if toy.is_kept() {
                model.remove(&toy.name);
                model.extend(after.map(|after| (toy.name.clone(), after)));
            }
            assert_eq!(walk.stored(&document), model, "{toy:?} {form}");
        }
    }
}

fn replaces(walk: &Walk) {
    let model = whole(&walk.toys);
    let document = walk.create(&model).unwrap();
    assert_eq!(walk.put(&model, &document), Ok(document.clone()));
    for toy in &walk.toys {
        let mut rest = model.clone();
        rest.remove(&toy.name);
        let done = walk.put(&rest, &document);
        let stays = toy.mutability == "immutable" || toy.returned == "never";
        if toy.required && !stays {
            refused(done, "invalidValue", toy);
        } else {
            let after = if stays && toy.is_kept() { &model } else { &rest };
            assert_eq!(&walk.stored(&done.unwrap()), after, "{toy:?}");
        }
        let mut other = model.clone();
        other.insert(toy.name.clone(), toy.values()[1].clone());
        let done = walk.put(&other, &document);
        if toy.mutability == "immutable" {
            refused(done, "mutability", toy);
        } else {
            let after = if toy.is_kept() { &other } else { &model };
            assert_eq!(&walk.stored(&done.unwrap()), after, "{toy:?}");
        }
    }
}

/// Which of the small one and the large one a filter finds.
fn found(
    walk: &Walk,
    both: &[Map<String, Value>; 2],
    filter: &str,
) -> Result<[bool; 2], ScimError> {
    let filter = Filter::parse(filter).unwrap();
    let bound = filter.bind(walk.users())?;
    Ok(both.each_ref().map(|whole| bound.matches(whole)))
}

fn searches(walk: &Walk) {
    let all = |at: usize| {
        let kept = walk.toys.iter().filter(|toy| toy.is_kept());
        let all = kept.map(|toy| (toy.name.clone(), toy.values()[at].clone())).collect();
        walk.represent(walk.create(&all).unwrap())
    };
    let both = [all(0), all(1)];
    for toy in &walk.toys {
        let path = walk.path(toy);
        let literal = toy.literal(&toy.values()[0]);
        let filter = |operator: &str| found(walk, &both, &format!("{path} {operator}"));
        let sort = Sort::parse(Some(&path), None).unwrap().unwrap();
        let sorter = sort.bind(&[walk.users()]);
        if toy.returned == "never" {
            refused(filter(&format!("eq {literal}")), "invalidFilter", toy);
            refused(filter("pr"), "invalidFilter", toy);
            refused(sorter, "invalidValue", toy);
            continue;
        }
        let there = toy.is_kept();
        assert_eq!(filter(&format!("eq {literal}")), Ok([there, false]), "{toy:?}");
        assert_eq!(filter(&format!("ne {literal}")), Ok([!there, true]), "{toy:?}");
        assert_eq!(filter("pr"), Ok([there, there]), "{toy:?}");
        let greater = filter(&format!("gt {literal}"));
        match toy.kind {
            "boolean" | "binary" => refused(greater, "invalidFilter", toy),
            _ => assert_eq!(greater, Ok([false, there]), "{toy:?}"),
        }
        if toy.kind == "string" {
            let upper = filter(&format!("eq {}", literal.to_uppercase()));
            assert_eq!(upper, Ok([there && !toy.exact, false]), "{toy:?}");
        }
        let sorters = sorter.unwrap();
        let keys = both.each_ref().map(|whole| sorters[0].as_ref().unwrap().key(whole));
        let order = sort.order().compare(keys[0].as_ref(), keys[1].as_ref());
        assert_eq!(order.is_lt(), there, "{toy:?}");
        assert_eq!(keys[0].is_some(), there, "{toy:?}");
    }
}

#[test]
fn toys_are_read_as_they_say() {
    for kind in TYPES {
        reads(&Walk::new(kind));
    }
}

#[test]
fn toys_are_patched_as_they_say() {
    for kind in TYPES {
        patches(&Walk::new(kind));
    }
}

#[test]
fn toys_are_replaced_as_they_say() {
    for kind in TYPES {
        replaces(&Walk::new(kind));
    }
}

#[test]
fn toys_are_found_as_they_say() {
    for kind in TYPES {
        searches(&Walk::new(kind));
    }
}

#[test]
fn no_combination_is_left_out() {
    assert_eq!(TYPES.map(|kind| toys(kind).len()).iter().sum::<usize>(), 7 * 44 + 88);
}

#[tokio::test]
async fn the_store_gives_back_what_it_was_given() {
    for kind in TYPES {
        let walk = Walk::new(kind);
        let (schema, user) = (toy::file(kind), extends("User", &walk.urn, false));
        let app = deployed(&[("toy.json", &schema), ("user.json", &user)]).await;
        switch(&app, &[&walk.urn]).await;
        let mut model = whole(&walk.toys);
        let answer = app.call("POST", "/Users", walk.body(&model)).await.expect(201);
        let id = answer.id();
        let shown = |answer: &Value| answer[&walk.urn].as_object().cloned().unwrap_or_default();
        assert_eq!(shown(&answer.json()), walk.shown(&model, None), "{kind}");
        assert_eq!(stored(&app, &id, &walk.urn).await, model, "{kind}");
        let changing = walk.toys.iter().filter(|toy| toy.mutability != "immutable");
        let operations = changing.map(|toy| {
            let value = toy.values()[1].clone();
            if toy.is_kept() {
                model.insert(toy.name.clone(), value.clone());
            }
            json!({ "op": "replace", "path": walk.path(toy), "value": value })
        });
        let body = json!({ "schemas": [PATCH], "Operations": operations.collect::<Vec<_>>() });
        let path = format!("/Users/{id}");
        app.call("PATCH", &path, body).await.expect(200);
        let read = app.call("GET", &path, Value::Null).await.expect(200).json();
        assert_eq!(shown(&read), walk.shown(&model, None), "{kind}");
        assert_eq!(stored(&app, &id, &walk.urn).await, model, "{kind}");
        // The same again changes nothing.
        app.call("PUT", &path, walk.body(&model)).await.expect(200);
        let again = app.call("GET", &path, Value::Null).await.expect(200).json();
        assert_eq!(again["meta"]["version"], read["meta"]["version"], "{kind}");
    }
}
