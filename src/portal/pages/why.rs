//! "Why isn't Alice here?"

use askama::Template;
use bytes::Bytes;
use http::Response;
use uuid::Uuid;

use super::{RowView, Visit, When, actors, encoded};
use crate::admin::tokens;
use crate::insight::log::Row;
use crate::insight::why::{Person, Why, why};
use crate::insight::words::plain;
use crate::portal::answer::{Frame, Stop};
use crate::portal::form;
use crate::portal::route::Page;

#[derive(Template)]
#[template(path = "portal/why.html")]
struct WhyPage {
    frame: Frame,
    who: String,
    answer: Vec<String>,
    people: Vec<PersonView>,
    tables: Vec<(&'static str, Vec<RowView>)>,
    next: Option<String>,
}

#[derive(Clone, Debug)]
struct PersonView {
    name: String,
    display_name: String,
    external_id: String,
    id: String,
    is_active: bool,
    created: When,
    modified: When,
    groups: Vec<String>,
    has_more_groups: bool,
    changes: Vec<RowView>,
}

pub(in crate::portal) async fn show(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    let query = form::query(visit.request)?;
    let mut page = WhyPage {
        frame: visit.frame(Page::Why),
        who: query.said("who").map(plain).unwrap_or_default(),
        answer: Vec::new(),
        people: Vec::new(),
        tables: Vec::new(),
        next: None,
    };
    if let Some(who) = query.said("who") {
        let before = query.said("before").and_then(|at| Uuid::try_parse(at).ok());
        let tenant = visit.session.tenant();
        let read = why(visit.store(), visit.moment, tenant, (who, before)).await?;
        let read = read.ok_or_else(Stop::nothing_here)?;
        fill(&mut page, &read, visit).await?;
        page.next = read.next.map(|next| format!("who={}&before={next}", encoded(who)));
    }
    visit.page(&page)
}

async fn fill(page: &mut WhyPage, why: &Why, visit: &Visit<'_>) -> Result<(), Stop> {
    let tokens = tokens::list(visit.store(), visit.moment, visit.session.tenant()).await?;
    let names = actors(&tokens);
    let rows = |rows: &[Row]| rows.iter().map(|row| RowView::of(row, &names)).collect::<Vec<_>>();
    let person = |person: &Person| {
        let text = |text: &Option<String>| text.as_deref().map(plain).unwrap_or_default();
        PersonView {
            name: person.user_name.as_deref().map_or_else(|| person.id.clone(), plain),
            display_name: text(&person.display_name),
            external_id: text(&person.external_id),
            id: person.id.clone(),
            is_active: person.active,
            created: When::new(person.created),
            modified: When::new(person.last_modified),
            groups: person.groups.iter().map(|name| plain(name)).collect(),
            has_more_groups: person.has_more_groups,
            changes: rows(&person.changes),
        }
    };
    page.answer.clone_from(&why.answer);
    page.people = why.people.iter().map(person).collect();
    page.tables = [
        ("Refused requests", &why.refused),
        ("Deletions", &why.deleted),
        ("Other changes and memberships", &why.others),
    ]
    .into_iter()
    .filter(|(_, found)| !found.is_empty())
    .map(|(title, found)| (title, rows(found)))
    .collect();
    Ok(())
}
