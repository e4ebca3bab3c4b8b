//! Takes a person's identifiers out of a tenant's journal. The items stay, with their order and what links them: a reader
//! misses none, and finds no name in them.
//!
//! A person is an id. The items of that id are found by it; refused writes, which may have no id, by the names that the
//! id's items have. So refusals are erased first, and what leads to the person last: whenever it is stopped, the same
//! call finds the rest.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::limits::BRAKE_STEPS_PER_PAGE;
use crate::moment::Moment;
use crate::store::feed::{Change, Pages, folded};
use crate::store::{Cx, Settings, Store, StoreError, TenantId};

/// Who is to be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// By id.
    Id(String),
    /// By a userName that the person has or had.
    UserName(String),
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many items were read.
    Read(usize),
    /// So many items were erased, of so many.
    Erased(usize, usize),
}

/// What names a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Whose items they are; more than one when several people have had the userName, so that nothing can be erased.
    pub ids: BTreeSet<String>,
    /// Refused writes that name the person.
    pub refusals: Vec<Uuid>,
    /// Changes of the person, those that have the userName that was asked for last.
    pub changes: Vec<Uuid>,
    /// Changes of the person that the brake holds back from the journal, names and all: they have to be settled before
    /// anything can be erased.
    pub held: usize,
}

impl Found {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.refusals.len() + self.changes.len()
    }

    /// Nothing names the person.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a person is known by.
#[derive(Debug, Default)]
struct Known {
    ids: BTreeSet<String>,
    /// Folded.
    user_names: BTreeSet<String>,
    external_ids: BTreeSet<String>,
}

/// What sort of resource a person is.
const USER: &str = "User";

/// Finds what names a person.
///
/// # Errors
/// As any read.
pub async fn find(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
    whom: &Whom,
    progress: &mut dyn FnMut(Progress),
) -> Result<Found, StoreError> {
    let mut read = 0;
    let mut known = Known::default();
    let mut asked = None;
    match whom {
        Whom::Id(id) => drop(known.ids.insert(id.clone())),
        Whom::UserName(name) => {
            let name = folded(name);
            let mut pages = whole(store, tenant);
            while let Some(changes) = pages.next(&moments()).await? {
                read += changes.len();
                progress(Progress::Read(read));
                let named = changes.iter().filter(|change| is_change_of(change, &name));
                known.ids.extend(named.filter_map(Change::id).map(ToOwned::to_owned));
            }
            known.user_names.insert(name.clone());
            asked = Some(name);
        }
    }
    let mut found = Found { ids: known.ids.clone(), ..Found::default() };
    if known.ids.len() > 1 {
        return Ok(found);
    }
    found.held = held(store, moments, tenant, (&mut found.ids, asked.as_deref())).await?;
    if found.held > 0 {
        return Ok(found);
    }
    let mut pages = whole(store, tenant);
    while let Some(changes) = pages.next(&moments()).await? {
        read += changes.len();
        progress(Progress::Read(read));
        for change in &changes {
            known.learn(change);
        }
    }
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut pages = whole(store, tenant);
    while let Some(changes) = pages.next(&moments()).await? {
        read += changes.len();
        progress(Progress::Read(read));
        for change in changes.iter().filter(|change| change.has_identifiers()) {
            if change.is_refusal() && known.names(change) {
                found.refusals.push(change.at);
            } else if !change.is_refusal() && known.has_id(change) {
                let is_asked = asked.as_deref().is_some_and(|name| is_change_of(change, name));
                if is_asked { last.push(change.at) } else { first.push(change.at) }
            }
        }
    }
    found.changes = first;
    found.changes.append(&mut last);
    Ok(found)
}

/// How many held changes are of people with these ids, or of that name. What is not in the journal yet may be the only thing
/// that says whose name it is; so the ids are noted.
async fn held(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
    (ids, name): (&mut BTreeSet<String>, Option<&str>),
) -> Result<usize, StoreError> {
    let (settings, mut after, mut held) = (Settings::default(), None, Vec::new());
    loop {
        let moment = moments();
        let cx = Cx { tenant, settings: &settings, actor: "scimctl", moment: &moment };
        let (page, more) = store.held_changes(&cx, after, BRAKE_STEPS_PER_PAGE).await?;
        after = page.last().map(|change| change.at);
        let page = page.into_iter().map(|held| Change { at: held.at, attributes: held.attributes });
        held.extend(page.filter(|change| change.kind() == Some(USER)).filter_map(|change| {
            let is_named = name.is_some_and(|name| is_change_of(&change, name));
            change.id().map(|id| (id.to_owned(), is_named))
        }));
        if !more || after.is_none() {
            break;
        }
    }
    ids.extend(held.iter().filter(|(_, is_named)| *is_named).map(|(id, _)| id.clone()));
    Ok(held.iter().filter(|(id, _)| ids.contains(id)).count())
}

/// Erases what was found, and returns how many items that were.
///
/// # Errors
/// As any write; what is done stays done.
pub async fn erase(
    store: &Store,
    moments: &dyn Fn() -> Moment,
    tenant: &TenantId,
    found: &Found,
    progress: &mut dyn FnMut(Progress),
) -> Result<usize, StoreError> {
    let mut erased = 0;
    for at in found.refusals.iter().chain(&found.changes) {
        // One that has expired meanwhile is gone with all that it named.
        erased += usize::from(store.erase(&moments(), tenant, *at).await?);
        progress(Progress::Erased(erased, found.len()));
    }
    Ok(erased)
}

/// A tenant's whole journal.
fn whole<'a>(store: &'a Store, tenant: &'a TenantId) -> Pages<'a> {
    Pages::new(store, tenant, (Uuid::nil(), Uuid::max()))
}

/// Whether it tells a change of a person who then had that name.
fn is_change_of(change: &Change, name: &str) -> bool {
    !change.is_refusal()
        && change.kind() == Some(USER)
        && change.user_name().is_some_and(|own| folded(own) == name)
}

impl Known {
    fn has_id(&self, change: &Change) -> bool {
        change.kind() == Some(USER) && change.id().is_some_and(|id| self.ids.contains(id))
    }

    /// Takes in what a change of the person says.
    fn learn(&mut self, change: &Change) {
        if !change.is_refusal() && self.has_id(change) {
            self.user_names.extend(change.user_name().map(folded));
            self.external_ids.extend(change.external_id().map(ToOwned::to_owned));
        }
    }

    /// Whether a refused write names the person: by id, by a name, or in what it told the client.
    fn names(&self, refusal: &Change) -> bool {
        refusal.id().is_some_and(|id| self.ids.contains(id))
            || refusal.user_name().is_some_and(|name| self.user_names.contains(&folded(name)))
            || refusal.external_id().is_some_and(|id| self.external_ids.contains(id))
            || refusal.detail().is_some_and(|detail| {
                let detail = folded(detail);
                self.user_names.iter().any(|name| has_word(&detail, name))
            })
    }
}

/// Whether a text has a word in it, and not only as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
        !word.is_empty() && !is_part(before) && !is_part(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_a_sentence_and_not_in_a_word() {
        assert!(has_word("userName: \"ida@ex.test\" is taken", "ida@ex.test"));
        assert!(has_word("ida", "ida"));
        assert!(!has_word("friday", "ida") && !has_word("idaho", "ida") && !has_word("x", ""));
    }
}
