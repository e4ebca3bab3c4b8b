//! The steps of the providers other than Entra: people are written as a whole, members by the list, and what is at the
//! endpoint is not compared first.

use serde_json::Value;

use super::bodies::{self, Roster};
use super::call::{Call, Kind};
use super::chaos::hash;
use super::codes::{Code, Failure};
use super::payload;
use super::provider::Provider;
use super::readback::READ_MAX;
use super::report::Action;
use super::source::{DISPLAY_NAME, Person};
use super::value::{self, ACTIVE, text_at};
use super::worker::{Done, GroupJob, Link, UserJob, Worker, listed, own_id};

/// Of how many people who come back one is sent as a new one, for which 409 is the right answer.
const AGAIN_AS_NEW_EVERY: u64 = 4;

/// Groups that are asked for at once.
const PAGE: usize = 100;

/// What is to be done about a group's members.
#[derive(Clone, Debug)]
pub(super) struct RosterJob {
    /// The group's key.
    pub(super) key: String,
    /// The endpoint's id of it.
    pub(super) group: String,
    pub(super) name: String,
    pub(super) roster: Roster,
    /// Whether nothing is known of who is there, so that everybody is sent.
    pub(super) is_full: bool,
}

impl Worker<'_> {
    pub(super) async fn other_user(
        &self,
        job: &UserJob,
        link: &mut Link,
        action: &mut Action,
    ) -> Result<(), Failure> {
        let UserJob { key, person, .. } = job;
        let mut found = match &job.link {
            Some(id) if self.provider.habits().reads_first => {
                let target = format!("/Users/{}", payload::segment(id));
                Some(self.read(Kind::ReadUser, key, target, id).await?)
            }
            Some(_) => None,
            None => self.match_user(key, person).await?,
        };
        let is_new = job.link.is_none() && found.is_none();
        if is_new || self.comes_as_new(job) {
            *action = Action::Create;
            let body = bodies::new_user(self.provider, person);
            let call = Call::post(Kind::CreateUser, key, "/Users", body);
            let answer = self.send(&call).await?;
            if answer.status != 409 || self.provider != Provider::Okta {
                *link = Link::Set(own_id(&answer.expect(&[200, 201])?.body)?);
                return Ok(());
            }
            let conflict = answer.expect(&[]);
            found = self.match_user(key, person).await?;
            if let (None, Err(failure)) = (&found, conflict) {
                return Err(failure);
            }
        }
        *action =
            if !person.is_active() && job.was_active { Action::Disable } else { Action::Update };
        let id = match (&found, &job.link) {
            (Some(found), _) => own_id(found)?,
            (None, Some(link)) => link.clone(),
            (None, None) => return Err(Failure::new(Code::ServiceIncompatible, "nobody is found")),
        };
        *link = Link::Set(id.clone());
        self.write_user((key, &id), person, found).await
    }

    /// Whether somebody who comes back is sent as a new person, as Okta sometimes does.
    fn comes_as_new(&self, job: &UserJob) -> bool {
        let comes_back = job.is_synced && !job.was_active && job.person.is_active();
        let coin = || hash(&["as new", &job.key], self.seed).is_multiple_of(AGAIN_AS_NEW_EVERY);
        self.provider == Provider::Okta && comes_back && coin()
    }

    async fn write_user(
        &self,
        (key, id): (&str, &str),
        person: &Person,
        found: Option<Value>,
    ) -> Result<(), Failure> {
        let target = format!("/Users/{}", payload::segment(id));
        let whole = match found {
            Some(found) if self.provider == Provider::Okta => {
                let differing = value::differences(person, &found);
                let turns = differing.iter().any(|difference| difference.target == ACTIVE);
                // Half of the people are in an application of Okta's catalogue, whose activation is a PATCH.
                if turns && hash(&["okta application", key], self.seed).is_multiple_of(2) {
                    let body = bodies::activation(person.is_active());
                    let call = Call::patch(Kind::UpdateUser, key, target.clone(), body);
                    self.write(&call, id).await?;
                    if differing.len() == 1 {
                        return Ok(());
                    }
                }
                bodies::with_person(found, person)
            }
            Some(_) | None => bodies::whole_user(self.provider, id, person),
        };
        self.write(&Call::put(Kind::UpdateUser, key, target, whole), id).await
    }

    pub(super) async fn other_group(
        &self,
        job: &GroupJob,
        link: &mut Link,
        action: &mut Action,
    ) -> Result<(), Failure> {
        let GroupJob { key, group, members, .. } = job;
        let found = match (&job.link, &job.listed) {
            (Some(id), _) if self.provider.habits().reads_first => {
                let target = format!("/Groups/{}", payload::segment(id));
                Some(self.read(Kind::ReadGroup, key, target, id).await?)
            }
            (Some(_), _) => None,
            (None, Some(listed)) => only(listed.clone()?)?,
            (None, None) => {
                let filter = payload::equals(DISPLAY_NAME, &group.name);
                let target = self.provider.query(&format!("/Groups?filter={filter}"));
                self.one(Call::get(Kind::MatchGroup, key, target)).await?
            }
        };
        let id = match (&found, &job.link) {
            (Some(found), _) => own_id(found)?,
            (None, Some(link)) => link.clone(),
            (None, None) => {
                *action = Action::Create;
                let body = bodies::new_group(self.provider, &group.name, members);
                let call = Call::post(Kind::CreateGroup, key, "/Groups", body);
                *link = Link::Set(self.created(&call).await?);
                return Ok(());
            }
        };
        *link = Link::Set(id.clone());
        let is = match &found {
            Some(found) => text_at(found, DISPLAY_NAME),
            None => job.synced.clone(),
        };
        if is.as_ref() == Some(&group.name) {
            *action = Action::Skip;
            return Ok(());
        }
        let target = format!("/Groups/{}", payload::segment(&id));
        let call = match self.provider {
            Provider::PingOne => {
                let body = bodies::whole_group(&id, &group.name, members);
                Call::put(Kind::UpdateGroup, key, target, body)
            }
            Provider::Entra | Provider::Okta | Provider::JumpCloud => {
                let body = bodies::group_name(self.provider, &id, &group.name);
                Call::patch(Kind::UpdateGroup, key, target, body)
            }
        };
        self.write(&call, &id).await
    }

    pub(super) async fn roster(&self, job: RosterJob) -> Done<RosterJob> {
        let less = job.roster.more.is_empty() && !job.roster.less.is_empty();
        let action = if less { Action::Unassign } else { Action::Assign };
        let mut result = Ok(());
        for call in self.roster_calls(&job) {
            if result.is_ok() {
                result = self.write(&call, &job.group).await;
            }
        }
        Done { job, link: Link::Keep, action, result }
    }

    fn roster_calls(&self, job: &RosterJob) -> Vec<Call> {
        let RosterJob { key, group, name, roster, is_full } = job;
        let target = || format!("/Groups/{}", payload::segment(group));
        let patch = |kind, body| Call::patch(kind, key, target(), body);
        match (self.provider, is_full) {
            (Provider::Okta, true) if roster.all.is_empty() => {
                vec![patch(Kind::WriteMembers, bodies::emptied(group, name))]
            }
            (Provider::Okta, _) => {
                let named = bodies::group_name(self.provider, group, name);
                let body = if *is_full {
                    bodies::all_members(roster)
                } else {
                    bodies::changed_members(self.provider, roster)
                };
                vec![patch(Kind::UpdateGroup, named), patch(Kind::WriteMembers, body)]
            }
            (Provider::PingOne, true) => {
                let body = bodies::whole_group(group, name, &roster.all);
                vec![Call::put(Kind::WriteMembers, key, target(), body)]
            }
            (Provider::PingOne, false) => {
                vec![patch(Kind::WriteMembers, bodies::changed_members(self.provider, roster))]
            }
            (Provider::JumpCloud | Provider::Entra, _) => {
                let mut calls = Vec::new();
                if *is_full || !roster.more.is_empty() {
                    calls.push(patch(Kind::AddMember, bodies::added_again(roster)));
                }
                if !roster.less.is_empty() {
                    calls.push(patch(Kind::RemoveMember, bodies::removed_by_value(&roster.less)));
                }
                calls
            }
        }
    }

    /// What `JumpCloud` does when the integration is activated: a user and a group of its own come and go.
    pub(super) async fn activate(&self, person: &Person, group: &str) -> Result<(), Failure> {
        let kind = Kind::Activate;
        let name = person.name();
        let target = format!("/Users?filter={}", payload::equals(super::source::USER_NAME, name));
        let target = self.provider.query(&target);
        if self.one(Call::get(kind, name, target)).await?.is_some() {
            return Err(Failure::new(Code::Conflict, "the test user is there already"));
        }
        let body = bodies::new_user(self.provider, person);
        let user = self.created(&Call::post(kind, name, "/Users", body)).await?;
        let at = |collection: &str, id: &str| format!("/{collection}/{}", payload::segment(id));
        let body = bodies::whole_user(self.provider, &user, person);
        self.write(&Call::put(kind, name, at("Users", &user), body), &user).await?;
        let body = bodies::new_group(self.provider, group, &[]);
        let made = self.created(&Call::post(kind, group, "/Groups", body)).await?;
        let member = bodies::Member { id: user.clone(), name: name.to_owned() };
        let roster = Roster { all: vec![member], ..Roster::default() };
        let body = bodies::added_again(&roster);
        self.write(&Call::patch(kind, group, at("Groups", &made), body), &made).await?;
        let mut refused = !self.vanishes(group, at("Groups", &made)).await?;
        let mut left = person.clone();
        left.standing = super::source::Standing::Disabled;
        let body = bodies::whole_user(self.provider, &user, &left);
        self.write(&Call::put(kind, name, at("Users", &user), body), &user).await?;
        refused |= !self.vanishes(name, at("Users", &user)).await?;
        if refused {
            self.client.remark("objects of the activation test that the endpoint does not delete");
        }
        Ok(())
    }

    async fn vanishes(&self, subject: &str, target: String) -> Result<bool, Failure> {
        let answer = self.send(&Call::delete(Kind::Activate, subject, target)).await?;
        Ok(matches!(answer.status, 200 | 202 | 204))
    }

    /// Every group, page by page.
    pub(super) async fn all_groups(&self) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        loop {
            let target = format!("/Groups?startIndex={}&count={PAGE}", all.len() + 1);
            let call = Call::get(Kind::MatchGroup, "all groups", target);
            let (total, page) = listed(self.send(&call).await?)?;
            let is_empty = page.is_empty();
            all.extend(page);
            let is_all = usize::try_from(total).is_ok_and(|total| all.len() >= total);
            if is_empty || is_all || all.len() >= READ_MAX {
                return Ok(all);
            }
        }
    }
}

/// The only one of those that have a name.
fn only(mut named: Vec<Value>) -> Result<Option<Value>, Failure> {
    if named.len() > 1 {
        let detail = format!("{} groups have the name", named.len());
        return Err(Failure::new(Code::DuplicateTargetEntries, detail));
    }
    Ok(named.pop())
}
