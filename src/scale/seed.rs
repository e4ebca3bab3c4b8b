//! A tenant of any size, without its million requests.

use serde_json::{Map, Value, json};

use crate::moment::Moment;
use crate::scim::catalog::Kind;
use crate::scim::document::Document;
use crate::scim::resource::{Resource, ResourceId};
use crate::store::{Cx, Settings, Store, StoreError, TenantId};

/// The name of the group of many.
pub const CROWD: &str = "Crowd";
/// The name of the group with one member: the first person.
pub const GROUP_OF_ONE: &str = "One";
/// People that are written in one step.
const STEP: usize = 500;
/// People for each group without members.
const PEOPLE_PER_GROUP: usize = 100;

/// How large a tenant is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// So many people, and a group without members for each hundred.
    pub users: usize,
    /// So many of them, the first ones, are in one group.
    pub crowd: usize,
}

/// The userName of a person.
pub fn user_name(number: usize) -> String {
    format!("person{number}@scale.example")
}

/// Fills an empty tenant that nobody else uses. `progress` is told how many people and members there are.
///
/// # Errors
/// As any write; what is written then stays.
pub async fn seed(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
    size: Size,
    progress: &mut dyn FnMut(usize),
) -> Result<(), StoreError> {
    let settings = store.settings(&moments(), tenant).await?;
    let settings = settings.map_or_else(Settings::default, |(settings, _)| settings);
    let who = (tenant, &settings);
    let mut first: Vec<ResourceId> = Vec::with_capacity(size.crowd.max(1));
    let numbers: Vec<usize> = (0..size.users).collect();
    for numbers in numbers.chunks(STEP) {
        let moment = moments();
        let cx = cx(who, &moment);
        let people = numbers.iter().map(|number| {
            let resource = Resource::new(Kind::User, person(*number), &moment);
            let groups = u64::from(*number < size.crowd) + u64::from(*number == 0);
            (resource, groups)
        });
        let people: Vec<(Resource, u64)> = people.collect();
        store.seed(&cx, &people).await?;
        let left = size.crowd.max(1).saturating_sub(first.len());
        first.extend(people.iter().take(left).map(|(resource, _)| resource.id));
        progress(people.len());
    }
    let numbers: Vec<usize> = (0..size.users / PEOPLE_PER_GROUP).collect();
    for numbers in numbers.chunks(STEP) {
        let moment = moments();
        let named = |number: &usize| group(&format!("Group {number}"), &moment);
        let groups: Vec<(Resource, u64)> = numbers.iter().map(named).collect();
        store.seed(&cx(who, &moment), &groups).await?;
    }
    for (name, people) in [(CROWD, size.crowd), (GROUP_OF_ONE, 1)] {
        let moment = moments();
        let group = group(name, &moment);
        store.seed(&cx(who, &moment), std::slice::from_ref(&group)).await?;
        let people = first.get(..people.min(first.len())).unwrap_or_default();
        for people in people.chunks(STEP) {
            let moment = moments();
            store.seed_members(&cx(who, &moment), group.0.id, people).await?;
            progress(people.len());
        }
    }
    Ok(())
}

fn cx<'a>((tenant, settings): (&'a TenantId, &'a Settings), moment: &'a Moment) -> Cx<'a> {
    Cx { tenant, settings, actor: "scale", moment }
}

/// Somebody as Entra's default mapping has them.
fn person(number: usize) -> Document {
    document(json!({
        "userName": user_name(number),
        "externalId": format!("external-{number}"),
        "active": true,
        "displayName": format!("Person {number}"),
        "title": "Engineer",
        "name": {"givenName": "Person", "familyName": number.to_string()},
        "emails": [{"value": format!("mail{number}@scale.example"), "type": "work", "primary": true}],
    }))
}

fn group(name: &str, moment: &Moment) -> (Resource, u64) {
    let document = document(json!({ "displayName": name, "externalId": format!("group {name}") }));
    (Resource::new(Kind::Group, document, moment), 0)
}

fn document(value: Value) -> Document {
    let attributes = match value {
        Value::Object(attributes) => attributes,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    };
    Document::from_checked(attributes)
}
