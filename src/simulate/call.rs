//! Requests before they are sent: what they are for, and what they ask.

use http::Method;
use serde_json::Value;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A query for nobody.
    Probe,
    /// A query for one person by the matching attribute.
    MatchUser,
    /// A person by id.
    ReadUser,
    /// A new person.
    CreateUser,
    /// A change of a person.
    UpdateUser,
    /// A person deleted.
    DeleteUser,
    /// Whether somebody is somebody's manager.
    CheckManager,
    /// A manager set.
    SetManager,
    /// A query for one group.
    MatchGroup,
    /// A group by id.
    ReadGroup,
    /// A new group.
    CreateGroup,
    /// A group's name.
    UpdateGroup,
    /// A group deleted.
    DeleteGroup,
    /// Whether somebody is in a group.
    CheckMember,
    /// A member more.
    AddMember,
    /// A member less.
    RemoveMember,
    /// A group's members, several at once; Entra sends them one by one.
    WriteMembers,
    /// What `JumpCloud` creates and deletes to see whether it can.
    Activate,
    /// The rehearsal's own look; no provider sends it.
    ReadBack,
    /// The rehearsal's own cleaning up.
    CleanUp,
}

impl Kind {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::MatchUser => "match user",
            Self::ReadUser => "read user",
            Self::CreateUser => "create user",
            Self::UpdateUser => "update user",
            Self::DeleteUser => "delete user",
            Self::CheckManager => "check manager",
            Self::SetManager => "set manager",
            Self::MatchGroup => "match group",
            Self::ReadGroup => "read group",
            Self::CreateGroup => "create group",
            Self::UpdateGroup => "update group",
            Self::DeleteGroup => "delete group",
            Self::CheckMember => "check member",
            Self::AddMember => "add member",
            Self::RemoveMember => "remove member",
            Self::WriteMembers => "write members",
            Self::Activate => "activate",
            Self::ReadBack => "read back",
            Self::CleanUp => "clean up",
        }
    }

    /// Whether the provider sends it, and not the rehearsal for itself.
    pub fn is_providers(self) -> bool {
        !matches!(self, Self::ReadBack | Self::CleanUp)
    }

    /// Whether it asks for a change.
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Self::CreateUser
                | Self::UpdateUser
                | Self::DeleteUser
                | Self::SetManager
                | Self::CreateGroup
                | Self::UpdateGroup
                | Self::DeleteGroup
                | Self::AddMember
                | Self::RemoveMember
                | Self::WriteMembers
        )
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: Kind,
    /// What it is about: a key of the source.
    pub(super) subject: String,
    pub(super) method: Method,
    /// Path and query below the SCIM root.
    pub(super) target: String,
    pub(super) body: Option<Value>,
}

impl Call {
    pub(super) fn get(kind: Kind, subject: &str, target: String) -> Self {
        Self { kind, subject: subject.to_owned(), method: Method::GET, target, body: None }
    }

    pub(super) fn delete(kind: Kind, subject: &str, target: String) -> Self {
        Self { kind, subject: subject.to_owned(), method: Method::DELETE, target, body: None }
    }

    pub(super) fn post(kind: Kind, subject: &str, target: &str, body: Value) -> Self {
        let (subject, target) = (subject.to_owned(), target.to_owned());
        Self { kind, subject, method: Method::POST, target, body: Some(body) }
    }

    pub(super) fn put(kind: Kind, subject: &str, target: String, body: Value) -> Self {
        Self { kind, subject: subject.to_owned(), method: Method::PUT, target, body: Some(body) }
    }

    pub(super) fn patch(kind: Kind, subject: &str, target: String, body: Value) -> Self {
        Self { kind, subject: subject.to_owned(), method: Method::PATCH, target, body: Some(body) }
    }
}
