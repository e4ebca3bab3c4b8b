//! The model: two maps a tenant, and what each operation does to them, as plainly as it can be said.
//!
//! It shares no code with the server. Texts are the same name when they stand in one row of a table, so it folds nothing
//! either.

use std::collections::{BTreeMap, BTreeSet};

use super::operation::{Edit, Field, GROUP_NAMES, Person, Side, Team, TeamEdit, USER_NAMES};

/// A refusal: the statuses that are right. More than one when a request is wrong in more than one way.
pub(super) type Refusal = Vec<u16>;

/// Something stored, and how often it has changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored<T> {
    pub(super) version: u64,
    pub(super) is: T,
}

/// A user as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct User {
    /// `userName`
    pub(super) name: &'static str,
    pub(super) external_id: Option<&'static str>,
    pub(super) display_name: Option<&'static str>,
    pub(super) active: bool,
    pub(super) emails: Vec<Mail>,
    pub(super) department: Option<&'static str>,
    pub(super) manager: Option<&'static str>,
}

/// An e-mail address as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mail {
    pub(super) kind: &'static str,
    pub(super) value: &'static str,
    pub(super) primary: Option<bool>,
}

/// A group as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) external_id: Option<&'static str>,
    pub(super) members: BTreeSet<String>,
}

/// A tenant.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    pub(super) users: BTreeMap<String, Stored<User>>,
    pub(super) groups: BTreeMap<String, Stored<Group>>,
    pub(super) deleted: Vec<String>,
}

/// What an operation has changed: ids, and the texts that were or are with them.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    pub(super) ids: BTreeSet<String>,
    pub(super) texts: BTreeSet<&'static str>,
}

/// Both tenants.
#[derive(Clone, Debug, Default)]
pub(super) struct World([Directory; 2]);

impl World {
    pub(super) fn of(&self, side: Side) -> &Directory {
        match side {
            Side::Acme => &self.0[0],
            Side::Globex => &self.0[1],
        }
    }

    pub(super) fn of_mut(&mut self, side: Side) -> &mut Directory {
        match side {
            Side::Acme => &mut self.0[0],
            Side::Globex => &mut self.0[1],
        }
    }
}

/// Whether two texts stand in one row of a table.
pub(super) fn same(table: &[&[&str]], left: &str, right: &str) -> bool {
    table.iter().any(|row| row.contains(&left) && row.contains(&right))
}

impl<T: PartialEq> Stored<T> {
    /// A version later, unless nothing has changed.
    fn becomes(&mut self, next: T) {
        if self.is != next {
            self.is = next;
            self.version += 1;
        }
    }
}

impl User {
    /// What a body makes; `active` stays what it was when the body does not say.
    fn of(body: &Person, was_active: bool) -> Self {
        let mut emails = Vec::new();
        let primary = body.primary.then_some(true);
        emails.extend(body.work.map(|value| Mail { kind: "work", value, primary }));
        emails.extend(body.home.map(|value| Mail { kind: "home", value, primary: None }));
        Self {
            name: body.user_name,
            external_id: body.external_id,
            display_name: body.display_name,
            active: body.active.unwrap_or(was_active),
            emails,
            department: body.department,
            manager: body.manager,
        }
    }

    fn set(&mut self, edit: &Edit) {
        let text = Some(edit.text).filter(|text| !text.is_empty());
        match edit.field {
            Field::UserName => self.name = edit.text,
            Field::ExternalId => self.external_id = text,
            Field::DisplayName => self.display_name = text,
            Field::Active => self.active = edit.text == "true",
            Field::Department => self.department = text,
            Field::Manager => self.manager = text,
            Field::WorkMail => {
                let work = self.emails.iter().position(|mail| mail.kind == "work");
                match (work, text) {
                    (Some(at), Some(value)) => self.emails[at].value = value,
                    (Some(at), None) => drop(self.emails.remove(at)),
                    (None, Some(value)) => {
                        self.emails.push(Mail { kind: "work", value, primary: None });
                    }
                    (None, None) => {}
                }
            }
        }
    }
}

impl Touched {
    /// What differs between two states of a tenant.
    pub(super) fn between(before: &Directory, after: &Directory) -> Self {
        let mut touched = Self::default();
        for (one, other) in [(before, after), (after, before)] {
            for (id, user) in
                one.users.iter().filter(|(id, user)| other.users.get(*id) != Some(user))
            {
                touched.ids.insert(id.clone());
                let mails = user.is.emails.iter().map(|mail| mail.value);
                let names = [Some(user.is.name), user.is.external_id, user.is.display_name];
                touched.texts.extend(names.into_iter().flatten().chain(mails));
            }
            let groups =
                one.groups.iter().filter(|(id, group)| other.groups.get(*id) != Some(group));
            for (id, group) in groups {
                touched.ids.insert(id.clone());
                touched
                    .texts
                    .extend([Some(group.is.name), group.is.external_id].into_iter().flatten());
            }
        }
        touched
    }
}

impl Directory {
    pub(super) fn post_user(&self, body: &Person) -> Result<User, Refusal> {
        let user = User::of(body, true);
        self.check_user(None, &user)?;
        Ok(user)
    }

    pub(super) fn put_user(&self, id: &str, body: &Person) -> Result<User, Refusal> {
        let user = User::of(body, self.users[id].is.active);
        self.check_user(Some(id), &user)?;
        Ok(user)
    }

    pub(super) fn patch_user(&self, id: &str, edits: &[Edit]) -> Result<User, Refusal> {
        let mut user = self.users[id].is.clone();
        for edit in edits {
            user.set(edit);
        }
        self.check_user(Some(id), &user)?;
        Ok(user)
    }

    fn check_user(&self, id: Option<&str>, user: &User) -> Result<(), Refusal> {
        if user.name.is_empty() {
            return Err(vec![400]);
        }
        let mut others = self.users.iter().filter(|(other, _)| Some(other.as_str()) != id);
        if others.any(|(_, other)| same(USER_NAMES, other.is.name, user.name)) {
            return Err(vec![409]);
        }
        Ok(())
    }

    /// A group's members are given by id here.
    pub(super) fn post_group(&self, body: &Team, members: &[String]) -> Result<Group, Refusal> {
        let group = Group {
            name: body.name,
            external_id: body.external_id,
            members: members.iter().cloned().collect(),
        };
        self.check_group(None, &group)?;
        Ok(group)
    }

    /// Members that the body does not speak of stay.
    pub(super) fn put_group(
        &self,
        id: &str,
        body: &Team,
        members: Option<&[String]>,
    ) -> Result<Group, Refusal> {
        let kept = || self.groups[id].is.members.clone();
        let members = members.map_or_else(kept, |members| members.iter().cloned().collect());
        let group = Group { name: body.name, external_id: body.external_id, members };
        self.check_group(Some(id), &group)?;
        Ok(group)
    }

    /// Each edit comes with the ids that it names.
    pub(super) fn patch_group(
        &self,
        id: &str,
        edits: &[(&TeamEdit, Vec<String>)],
    ) -> Result<Group, Refusal> {
        let mut group = self.groups[id].is.clone();
        for (edit, ids) in edits {
            match edit {
                TeamEdit::Rename(name) => group.name = name,
                TeamEdit::ExternalId(text) => {
                    group.external_id = Some(*text).filter(|text| !text.is_empty());
                }
                TeamEdit::Add(_) => group.members.extend(ids.iter().cloned()),
                TeamEdit::Remove(_) => group.members.retain(|member| !ids.contains(member)),
                TeamEdit::Replace(_) => group.members = ids.iter().cloned().collect(),
                TeamEdit::RemoveAll => group.members.clear(),
            }
        }
        self.check_group(Some(id), &group)?;
        Ok(group)
    }

    fn check_group(&self, id: Option<&str>, group: &Group) -> Result<(), Refusal> {
        let mut wrong = Vec::new();
        let is_there = |member: &String| {
            let is_group = self.groups.contains_key(member) && Some(member.as_str()) != id;
            is_group || self.users.contains_key(member)
        };
        let closes_a_circle = id.is_some_and(|id| self.below(&group.members).contains(id));
        if group.name.is_empty() || !group.members.iter().all(is_there) || closes_a_circle {
            wrong.push(400);
        }
        let mut others = self.groups.iter().filter(|(other, _)| Some(other.as_str()) != id);
        if others.any(|(_, other)| same(GROUP_NAMES, other.is.name, group.name)) {
            wrong.push(409);
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// These, and the members of the groups among them, and so on.
    fn below(&self, members: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = members.clone();
        loop {
            let groups = found.iter().filter_map(|id| self.groups.get(id));
            let more: BTreeSet<String> =
                groups.flat_map(|group| &group.is.members).cloned().collect();
            let before = found.len();
            found.extend(more);
            if found.len() == before {
                return found;
            }
        }
    }

    /// The groups with this member, and those with such a group as a member, by another way only.
    pub(super) fn groups_of(&self, member: &str) -> [BTreeSet<&String>; 2] {
        let (mut direct, mut indirect) = (BTreeSet::new(), BTreeSet::new());
        for (id, group) in &self.groups {
            if group.is.members.contains(member) {
                direct.insert(id);
            } else if self.below(&group.is.members).contains(member) {
                indirect.insert(id);
            }
        }
        [direct, indirect]
    }

    /// Stores a user, as a new one or over the one with that id.
    pub(super) fn keep_user(&mut self, id: &str, user: User) {
        match self.users.get_mut(id) {
            Some(stored) => stored.becomes(user),
            None => drop(self.users.insert(id.to_owned(), Stored { version: 1, is: user })),
        }
    }

    /// Stores a group, as a new one or over the one with that id.
    pub(super) fn keep_group(&mut self, id: &str, group: Group) {
        match self.groups.get_mut(id) {
            Some(stored) => stored.becomes(group),
            None => drop(self.groups.insert(id.to_owned(), Stored { version: 1, is: group })),
        }
    }

    /// Removes a user or group; the groups that it was in are changed by that.
    pub(super) fn delete(&mut self, id: &str) {
        self.users.remove(id);
        self.groups.remove(id);
        for group in self.groups.values_mut() {
            let mut next = group.is.clone();
            next.members.remove(id);
            group.becomes(next);
        }
        self.deleted.push(id.to_owned());
    }

    /// The version of the user or group with that id.
    pub(super) fn version(&self, id: &str) -> Option<u64> {
        let user = self.users.get(id).map(|user| user.version);
        user.or(self.groups.get(id).map(|group| group.version))
    }
}
