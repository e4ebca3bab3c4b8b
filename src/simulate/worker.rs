//! The steps for one person, one group, one reference: what Entra asks, what it concludes, what it sends. Where the other
//! providers part from it, `others` goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::bodies::Member;
use super::call::{Call, Kind};
use super::chaos::hash;
use super::codes::{Code, Failure};
use super::payload::{self, Dialect, Operation};
use super::provider::Provider;
use super::report::Action;
use super::source::{DISPLAY_NAME, EXTERNAL_ID, Group, Person, Standing, USER_NAME, WORK_EMAIL};
use super::value::{self, ACTIVE, Difference, id_of, member, members_of};
use super::wire::{Answer, Client};

/// How often a request is sent again that has to wait.
const WAITS_MAX: usize = 10;
/// How long is waited at most each time.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// By what people are found before they are linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// By the name with which they sign in.
    UserName,
    /// By the provider's own id.
    ExternalId,
    /// By their address at work.
    Email,
}

impl Matching {
    /// The path of the mapping.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::UserName => USER_NAME,
            Self::ExternalId => EXTERNAL_ID,
            Self::Email => WORK_EMAIL,
        }
    }

    /// The path in the filter.
    fn filtered(self, provider: Provider) -> &'static str {
        match self {
            Self::UserName | Self::ExternalId => self.path(),
            Self::Email => provider.habits().email,
        }
    }
}

/// What is to be done about a person.
#[derive(Clone, Debug)]
pub(super) struct UserJob {
    pub(super) key: String,
    pub(super) person: Person,
    pub(super) link: Option<String>,
    /// Whether the endpoint has taken them before.
    pub(super) is_synced: bool,
    /// Whether they might come in then.
    pub(super) was_active: bool,
    pub(super) dialect: Dialect,
    pub(super) is_on_demand: bool,
}

/// What is to be done about a group, its members apart.
#[derive(Clone, Debug)]
pub(super) struct GroupJob {
    pub(super) key: String,
    pub(super) group: Group,
    pub(super) link: Option<String>,
    pub(super) dialect: Dialect,
    /// The name that the endpoint last took.
    pub(super) synced: Option<String>,
    /// Who is to be in it, where they come with the group.
    pub(super) members: Vec<Member>,
    /// What has that name at the endpoint, where the provider has asked for all groups.
    pub(super) listed: Option<Result<Vec<Value>, Failure>>,
}

/// What is to be done about a manager or a membership.
#[derive(Clone, Debug)]
pub(super) struct ReferenceJob {
    /// The key of the person or the group that refers.
    pub(super) key: String,
    /// The endpoint's id of it.
    pub(super) from: String,
    /// The endpoint's ids of those referred to; several on demand only.
    pub(super) to: Vec<String>,
    pub(super) what: Reference,
    /// Whether Entra first asks if it is so already.
    pub(super) is_asked_first: bool,
    pub(super) dialect: Dialect,
    pub(super) is_on_demand: bool,
}

/// The sort of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// A manager, in place of one or none.
    Manager { had_one: bool },
    /// A member more.
    Member,
    /// A member less.
    NoMember,
}

/// What became of the cached id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Keep,
    Set(String),
    /// It is forgotten, and with it everything about the object.
    Clear,
    /// It is forgotten; the object stays at the endpoint.
    Leave,
}

/// What became of a job.
#[derive(Clone, Debug)]
pub(super) struct Done<Job> {
    pub(super) job: Job,
    pub(super) link: Link,
    pub(super) action: Action,
    pub(super) result: Result<(), Failure>,
}

/// Does jobs, several at once.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    pub(super) client: &'a Client,
    pub(super) provider: Provider,
    pub(super) matching: Matching,
    pub(super) seed: u64,
}

impl Worker<'_> {
    /// A query for somebody who is not there; `guid` is fresh. Some providers just ask for the first few.
    pub(super) async fn probe(&self, collection: &str, guid: &str) -> Result<(), Failure> {
        let (users, groups) = if let Some((users, groups)) = self.provider.habits().probes {
            (users.to_owned(), groups.to_owned())
        } else {
            let filtered = self.matching.filtered(self.provider);
            let users = format!("/Users?filter={}", payload::equals(filtered, guid));
            let without = match self.provider {
                Provider::Entra => "excludedAttributes=members&",
                Provider::Okta | Provider::PingOne | Provider::JumpCloud => "",
            };
            let groups = format!("/Groups?{without}filter={}", payload::equals(DISPLAY_NAME, guid));
            (self.provider.query(&users), self.provider.query(&groups))
        };
        let target = if collection == "Groups" { groups } else { users };
        let answer = self.send(&Call::get(Kind::Probe, guid, target)).await?;
        let (total, found) = listed(answer)?;
        if self.provider.habits().probes.is_some() {
            return Ok(());
        }
        if total > 0 || !found.is_empty() {
            let detail =
                format!("a query for a name that nobody has finds {total}: the filter is ignored");
            return Err(Failure::new(Code::DuplicateTargetEntries, detail));
        }
        Ok(())
    }

    pub(super) async fn user(&self, job: UserJob) -> Done<UserJob> {
        let (mut link, mut action) = (Link::Keep, Action::Update);
        let result = self.user_steps(&job, &mut link, &mut action).await;
        Done { job, link, action, result }
    }

    async fn user_steps(
        &self,
        job: &UserJob,
        link: &mut Link,
        action: &mut Action,
    ) -> Result<(), Failure> {
        let UserJob { key, person, .. } = job;
        if job.is_on_demand {
            self.probe("Users", &guid_of(key, self.seed)).await?;
        }
        if person.standing == Standing::Gone && self.provider.habits().deletes_people {
            *action = Action::Delete;
            if let Some(id) = &job.link {
                let target = format!("/Users/{}", payload::segment(id));
                let answer = self.send(&Call::delete(Kind::DeleteUser, key, target)).await?;
                answer.expect(&[200, 202, 204, 404])?;
            }
            *link = Link::Clear;
            return Ok(());
        }
        if self.provider != Provider::Entra {
            let result = self.other_user(job, link, action).await;
            if result.is_ok() && person.standing == Standing::Gone {
                *link = Link::Leave;
            }
            return result;
        }
        let found = match &job.link {
            Some(id) => {
                let target = format!("/Users/{}", payload::segment(id));
                Some(self.read(Kind::ReadUser, key, target, id).await?)
            }
            None => self.match_user(key, person).await?,
        };
        let Some(found) = found else {
            *action = Action::Create;
            let call = Call::post(Kind::CreateUser, key, "/Users", payload::new_user(person));
            *link = Link::Set(self.created(&call).await?);
            return Ok(());
        };
        let id = own_id(&found)?;
        *link = Link::Set(id.clone());
        let differences = value::differences(person, &found);
        *action = action_of(&differences, person);
        if differences.is_empty() {
            return Ok(());
        }
        let body = payload::update(&differences, job.dialect, self.is_odd(key));
        let target = format!("/Users/{}", payload::segment(&id));
        self.write(&Call::patch(Kind::UpdateUser, key, target, body), &id).await
    }

    pub(super) async fn match_user(
        &self,
        key: &str,
        person: &Person,
    ) -> Result<Option<Value>, Failure> {
        let path = self.matching.path();
        let Some(wanted) = person.get(path) else {
            let detail = format!("{path}, by which people are matched, is empty");
            return Err(Failure::new(Code::Skipped, detail));
        };
        let filter = payload::equals(self.matching.filtered(self.provider), wanted);
        let paging = self.provider.habits().paging;
        let target = self.provider.query(&format!("/Users?filter={filter}{paging}"));
        self.one(Call::get(Kind::MatchUser, key, target)).await
    }

    pub(super) async fn group(&self, job: GroupJob) -> Done<GroupJob> {
        let (mut link, mut action) = (Link::Keep, Action::Update);
        let result = self.group_steps(&job, &mut link, &mut action).await;
        Done { job, link, action, result }
    }

    async fn group_steps(
        &self,
        job: &GroupJob,
        link: &mut Link,
        action: &mut Action,
    ) -> Result<(), Failure> {
        let GroupJob { key, group, .. } = job;
        if group.is_gone {
            *action = Action::Delete;
            if let Some(id) = &job.link {
                let target = format!("/Groups/{}", payload::segment(id));
                let answer = self.send(&Call::delete(Kind::DeleteGroup, key, target)).await?;
                answer.expect(&[200, 202, 204, 404])?;
            }
            *link = Link::Clear;
            return Ok(());
        }
        if self.provider != Provider::Entra {
            return self.other_group(job, link, action).await;
        }
        let without = "excludedAttributes=members";
        let found = if let Some(id) = &job.link {
            let target = format!("/Groups/{}?{without}", payload::segment(id));
            Some(self.read(Kind::ReadGroup, key, target, id).await?)
        } else {
            let filter = payload::equals(DISPLAY_NAME, &group.name);
            let target = format!("/Groups?{without}&filter={filter}");
            self.one(Call::get(Kind::MatchGroup, key, target)).await?
        };
        let Some(found) = found else {
            *action = Action::Create;
            let body = payload::new_group(key, &group.name);
            let call = Call::post(Kind::CreateGroup, key, "/Groups", body);
            *link = Link::Set(self.created(&call).await?);
            return Ok(());
        };
        let id = own_id(&found)?;
        *link = Link::Set(id.clone());
        if !members_of(&found).is_empty() {
            self.client.remark("groups whose members came although excludedAttributes named them");
        }
        let wanted =
            BTreeMap::from([(DISPLAY_NAME, group.name.clone()), (EXTERNAL_ID, key.clone())]);
        let differences = value::text_differences(&wanted, &found);
        if differences.is_empty() {
            *action = Action::Skip;
            return Ok(());
        }
        let body = payload::update(&differences, job.dialect, self.is_odd(key));
        let target = format!("/Groups/{}", payload::segment(&id));
        self.write(&Call::patch(Kind::UpdateGroup, key, target, body), &id).await
    }

    pub(super) async fn reference(&self, job: ReferenceJob) -> Done<ReferenceJob> {
        let mut action = match job.what {
            Reference::Manager { .. } | Reference::Member => Action::Assign,
            Reference::NoMember => Action::Unassign,
        };
        let result = self.reference_steps(&job, &mut action).await;
        Done { job, link: Link::Keep, action, result }
    }

    async fn reference_steps(
        &self,
        job: &ReferenceJob,
        action: &mut Action,
    ) -> Result<(), Failure> {
        let subject = format!("{} {}", job.key, job.to.join(" "));
        if job.is_on_demand {
            self.probe("Groups", &guid_of(&job.key, self.seed)).await?;
        }
        if job.is_asked_first && self.is_so(job, &subject).await? {
            *action = Action::Skip;
            return Ok(());
        }
        let first = job.to.first().map(String::as_str).unwrap_or_default();
        let (kind, collection, body) = match job.what {
            Reference::Manager { had_one } => {
                (Kind::SetManager, "Users", payload::manager(first, had_one, job.dialect))
            }
            Reference::Member => {
                let body = payload::membership(&job.to, Operation::Add, job.dialect);
                (Kind::AddMember, "Groups", body)
            }
            Reference::NoMember => {
                let body = payload::membership(&job.to, Operation::Remove, job.dialect);
                (Kind::RemoveMember, "Groups", body)
            }
        };
        let target = format!("/{collection}/{}", payload::segment(&job.from));
        self.write(&Call::patch(kind, &subject, target, body), &job.from).await
    }

    /// Whether a reference is there already. An endpoint that cannot say so gets it again.
    async fn is_so(&self, job: &ReferenceJob, subject: &str) -> Result<bool, Failure> {
        let (from, to) =
            (job.from.as_str(), job.to.first().map(String::as_str).unwrap_or_default());
        let call = match job.what {
            Reference::Manager { .. } => {
                let filter = payload::both(("id", from), ("manager", to));
                let target = format!("/Users?filter={filter}&attributes=id");
                Call::get(Kind::CheckManager, subject, target)
            }
            Reference::Member | Reference::NoMember => {
                let filter = payload::both(("id", from), ("members", to));
                let target = format!("/Groups?filter={filter}&excludedAttributes=members");
                Call::get(Kind::CheckMember, subject, target)
            }
        };
        let answer = self.send(&call).await?;
        if (400..500).contains(&answer.status) && !matches!(answer.status, 401 | 403 | 429) {
            self.client.remark("reference checks that are not understood");
            return Ok(false);
        }
        Ok(listed(answer)?.0 > 0)
    }

    /// Sends a request; a provider that minds `Retry-After` sends it again when it has been told to wait.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, Failure> {
        let mut answer = self.client.send(call).await?;
        for _ in 0..WAITS_MAX {
            let Some(wait) = answer.retry_after.filter(|_| answer.status == 429) else { break };
            if !self.provider.habits().waits_when_throttled {
                break;
            }
            self.client.wait(wait.min(WAIT_MAX)).await;
            answer = self.client.send(call).await?;
        }
        Ok(answer)
    }

    /// A resource by its cached id.
    pub(super) async fn read(
        &self,
        kind: Kind,
        key: &str,
        target: String,
        id: &str,
    ) -> Result<Value, Failure> {
        let answer = self.send(&Call::get(kind, key, target)).await?;
        let body = anchored(answer, &[200])?.body;
        is_same(&body, id)?;
        Ok(body)
    }

    /// The only resource that a query finds.
    pub(super) async fn one(&self, call: Call) -> Result<Option<Value>, Failure> {
        let (total, mut found) = listed(self.send(&call).await?)?;
        if total > 1 || found.len() > 1 {
            let detail = format!("a query for one finds {total}");
            return Err(Failure::new(Code::DuplicateTargetEntries, detail));
        }
        Ok(found.pop())
    }

    pub(super) async fn created(&self, call: &Call) -> Result<String, Failure> {
        let answer = self.send(call).await?.expect(&[200, 201])?;
        own_id(&answer.body)
    }

    pub(super) async fn write(&self, call: &Call, id: &str) -> Result<(), Failure> {
        let answer = anchored(self.send(call).await?, &[200, 204])?;
        if answer.body.is_null() { Ok(()) } else { is_same(&answer.body, id) }
    }

    /// One in ten times Entra is mistaken about what is there.
    fn is_odd(&self, key: &str) -> bool {
        hash(&["odd", key], self.seed).is_multiple_of(10)
    }
}

/// A name that nobody has, for a probe on demand.
fn guid_of(key: &str, seed: u64) -> String {
    format!("{:016x}-{key}", hash(&["probe", key], seed))
}

fn action_of(differences: &[Difference], person: &Person) -> Action {
    let disables = !person.is_active() && differences.iter().any(|one| one.target == ACTIVE);
    match (differences.is_empty(), disables) {
        (true, _) => Action::Skip,
        (false, true) => Action::Disable,
        (false, false) => Action::Update,
    }
}

/// As [`Answer::expect`]; 404 means that the cached id leads nowhere.
fn anchored(answer: Answer, statuses: &[u16]) -> Result<Answer, Failure> {
    answer.expect(statuses).map_err(|failure| match failure.status {
        Some(404) => Failure { code: Code::InvalidAnchor, ..failure },
        _ => failure,
    })
}

pub(super) fn own_id(resource: &Value) -> Result<String, Failure> {
    let none = || Failure::new(Code::ServiceIncompatible, "the answer has no id");
    id_of(resource).map(ToOwned::to_owned).ok_or_else(none)
}

fn is_same(resource: &Value, id: &str) -> Result<(), Failure> {
    match id_of(resource) {
        Some(found) if found == id => Ok(()),
        Some(found) => {
            let detail = format!("{id} was asked for, and {found} came");
            Err(Failure::new(Code::ServiceIncompatible, detail))
        }
        None => Err(Failure::new(Code::ServiceIncompatible, "the answer has no id")),
    }
}

/// The total and the resources of a ListResponse.
pub(super) fn listed(answer: Answer) -> Result<(u64, Vec<Value>), Failure> {
    let answer = answer.expect(&[200]).map_err(|failure| match failure.status {
        // A query that finds nobody is no 404.
        Some(404) => Failure { code: Code::ServiceIncompatible, ..failure },
        _ => failure,
    })?;
    let broken = |why: &str| {
        Err(Failure::new(
            Code::ServiceIncompatible,
            format!("the answer is no ListResponse: {why}"),
        ))
    };
    let Some(total) = member(&answer.body, "totalResults").and_then(Value::as_u64) else {
        return broken("it has no totalResults");
    };
    let found = match member(&answer.body, "Resources") {
        Some(Value::Array(found)) => found.clone(),
        None | Some(Value::Null) => Vec::new(),
        Some(_) => return broken("its Resources are no list"),
    };
    Ok((total, found))
}
