//! Whether externalIds look like what a directory keeps for ever, or like a name that changes when somebody marries.
//!
//! Entra's default mapping puts mailNickname there; objectId is what it should be. Other identity providers have ids of
//! other forms, so that only what looks like a name is found fault with.

use uuid::Uuid;

use crate::scim::fold::fold;
use crate::scim::resource::Resource;
use crate::scim::well_known;

/// So long an identifier of letters and digits is hardly a name.
const OPAQUE_CHARS_MIN: usize = 15;

/// How an externalId looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Like an object id of Entra's.
    ObjectId,
    /// Like an id of another directory: a number, or long and of letters and digits.
    Id,
    /// Like a name, an address, or something that was made by a person.
    Name,
}

/// How an externalId looks, beside the person's userName.
pub fn looks(external_id: &str, user_name: &str) -> Looks {
    if Uuid::try_parse(external_id).is_ok() {
        return Looks::ObjectId;
    }
    let (id, name) = (fold(external_id), fold(user_name));
    let is_the_name = id == name || name.split('@').next() == Some(id.as_str());
    let is_digits = external_id.chars().all(|c| c.is_ascii_digit());
    let is_long = external_id.chars().count() >= OPAQUE_CHARS_MIN
        && external_id.chars().any(|c| c.is_ascii_digit())
        && external_id.chars().all(|c| c.is_ascii_alphanumeric() || "-_=+/".contains(c));
    if !is_the_name && (is_digits || is_long) { Looks::Id } else { Looks::Name }
}

/// How the externalIds of the first people look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalIds {
    /// People that were looked at.
    pub people: u64,
    /// Of them, those without one.
    pub none: u64,
    /// Those whose externalId looks like an object id.
    pub object_ids: u64,
    /// Those whose externalId looks like an id of another directory.
    pub ids: u64,
    /// Those whose externalId looks like a name.
    pub names: u64,
    /// One that looks like a name, as it was sent.
    pub example: Option<String>,
}

impl ExternalIds {
    pub(super) fn of(people: &[Resource]) -> Self {
        let mut seen = Self::default();
        for person in people {
            let text = |name| person.document.text(name);
            seen.people += 1;
            let Some(external_id) = text(well_known::EXTERNAL_ID) else {
                seen.none += 1;
                continue;
            };
            match looks(external_id, text(well_known::USER_NAME).unwrap_or_default()) {
                Looks::ObjectId => seen.object_ids += 1,
                Looks::Id => seen.ids += 1,
                Looks::Name => {
                    seen.names += 1;
                    seen.example.get_or_insert_with(|| external_id.to_owned());
                }
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_name_is_told_from_ids() {
        let of = |id: &str| looks(id, "ida.iversen@ex.test");
        for id in ["5f0c1d5e-0000-4000-8000-00000000beef", "5F0C1D5E000040008000000000000000"] {
            assert_eq!(of(id), Looks::ObjectId, "{id}");
        }
        // Okta, JumpCloud, OneLogin, Google.
        for id in [
            "00u1a2b3c4D5e6F7g8h9",
            "5f9d88b4c1a2e30017a0b1c2",
            "104857601",
            "113774264463038321964",
        ] {
            assert_eq!(of(id), Looks::Id, "{id}");
        }
        for id in
            ["ida.iversen", "IDA.IVERSEN@ex.test", "ida", "idaiversenofoslo", "E-1042", "i@ex.test"]
        {
            assert_eq!(of(id), Looks::Name, "{id}");
        }
        assert_eq!(looks("12345", "12345@ex.test"), Looks::Name, "the first part of the userName");
    }
}
