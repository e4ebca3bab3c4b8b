//! What a tenant has chosen. The settings item is the truth; each of the tenant's Secrets rows has a copy of what a
//! request needs, written in the same transaction, so that the token check is one read.

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Item, ItemReader, RESOURCE_FORMAT, number, strings, text};
use crate::scim::discovery::GroupNames;
use crate::scim::domain::Domain;

/// The attribute with the mark of a tenant to be rehearsed in.
const REHEARSAL: &str = "rehearsal";
/// The attribute with what brakes mass changes; null when it did once.
const BRAKE: &str = "brake";
/// The attribute with the allowed e-mail domains.
const DOMAINS: &str = "domains";
/// The attribute with the URNs of the schemas that were switched on.
const SCHEMAS: &str = "schemas";
/// The attribute with the format of users and groups.
const RESOURCES: &str = "resourceFormat";

/// What a tenant has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Moved by each change; issuing and rotating tokens carry a condition on it.
    pub version: u64,
    /// Whether calls are refused with 403.
    pub status: Status,
    /// Whether two groups may have one name.
    pub group_names: GroupNames,
    /// Attributes of users that are found by value, such as `emails.value`.
    pub match_attributes: Vec<String>,
    /// The number of the format in which its users and groups are written.
    pub resource_format: u64,
    /// Whether it is there to be rehearsed in: its answers say so, and a rehearsal takes it as it is.
    pub is_rehearsal: bool,
    /// The e-mail domains of whom it takes; everybody where it names none.
    pub domains: Vec<Domain>,
    /// The URNs of the schemas that it has beside those of every tenant, in order.
    pub schemas: Vec<String>,
    /// What brakes mass changes, when something does.
    pub brake: Option<Brake>,
    /// Whether it has ever had one: something may be held although it was taken off.
    pub had_brake: bool,
}

/// When the brake on mass changes acts. At least one of the two limits is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brake {
    /// So many people may be switched off, deleted or taken out of a group within a window.
    pub count: Option<u64>,
    /// So many percent of the people in the directory.
    pub percent: Option<u64>,
    /// The length of a window in minutes.
    pub window_minutes: u64,
    /// So many always pass in a window, whatever is held.
    pub budget: u64,
}

impl Brake {
    /// How many pass in a window, in a directory of so many people.
    pub fn limit(&self, people: u64) -> u64 {
        let share = self.percent.map(|percent| people.saturating_mul(percent).div_ceil(100));
        let limit = self.count.into_iter().chain(share).min().unwrap_or(u64::MAX);
        limit.max(self.budget)
    }

    /// The length of a window in seconds.
    pub fn window_seconds(&self) -> i64 {
        i64::try_from(self.window_minutes.max(1).saturating_mul(60)).unwrap_or(i64::MAX)
    }

    fn item(&self) -> AttributeValue {
        let mut map = Item::from([
            ("window".to_owned(), number(self.window_minutes)),
            ("budget".to_owned(), number(self.budget)),
        ]);
        map.extend(self.count.map(|count| ("count".to_owned(), number(count))));
        map.extend(self.percent.map(|percent| ("percent".to_owned(), number(percent))));
        AttributeValue::M(map)
    }

    fn read(value: &AttributeValue) -> Option<Self> {
        let map = value.as_m().ok()?;
        let reader = ItemReader::unread(map);
        Some(Self {
            count: reader.number("count").ok(),
            percent: reader.number("percent").ok(),
            window_minutes: reader.number("window").ok()?,
            budget: reader.number("budget").ok()?,
        })
    }
}

/// Whether a tenant's calls are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// They are.
    Enabled,
    /// 403.
    Disabled,
    /// 403: the tenant does without SCIM from now on, and its people stay. It has no live tokens.
    Released,
    /// Being deleted: 403 until the Secrets rows are gone, then 401.
    Deleting,
}

impl Status {
    /// The word that is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Released => "released",
            Self::Deleting => "deleting",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Enabled, Self::Disabled, Self::Released, Self::Deleting];
        all.into_iter().find(|status| status.word() == word)
    }
}

/// The word that is stored and shown for a rule on group names.
pub fn word_of(names: GroupNames) -> &'static str {
    match names {
        GroupNames::Unique => "unique",
        GroupNames::Free => "free",
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: 1,
            status: Status::Enabled,
            group_names: GroupNames::Unique,
            match_attributes: vec!["emails.value".to_owned()],
            resource_format: RESOURCE_FORMAT,
            is_rehearsal: false,
            domains: Vec::new(),
            schemas: Vec::new(),
            brake: None,
            had_brake: false,
        }
    }
}

impl Settings {
    /// Writes the settings into an item.
    pub(super) fn write(&self, item: &mut Item) {
        item.insert("settingsVersion".to_owned(), number(self.version));
        item.insert("status".to_owned(), text(self.status.word()));
        item.insert("groupNames".to_owned(), text(word_of(self.group_names)));
        item.insert("matchAttributes".to_owned(), strings(&self.match_attributes));
        item.insert(RESOURCES.to_owned(), number(self.resource_format));
        item.insert(REHEARSAL.to_owned(), AttributeValue::Bool(self.is_rehearsal));
        item.insert(DOMAINS.to_owned(), strings(&self.domains));
        item.insert(SCHEMAS.to_owned(), strings(&self.schemas));
        if self.brake.is_some() || self.had_brake {
            let brake = self.brake.map_or(AttributeValue::Null(true), |brake| brake.item());
            item.insert(BRAKE.to_owned(), brake);
        }
    }

    /// Reads them back.
    pub(super) fn read(item: &Item) -> Result<Self, super::StoreError> {
        let reader = ItemReader::new(item)?;
        let status = Status::from_word(reader.text("status")?);
        Ok(Self {
            version: reader.number("settingsVersion")?,
            status: status.ok_or_else(|| reader.corrupt("status"))?,
            group_names: match reader.text("groupNames")? {
                "unique" => GroupNames::Unique,
                "free" => GroupNames::Free,
                _ => return Err(reader.corrupt("groupNames")),
            },
            match_attributes: reader.strings("matchAttributes"),
            // Settings that were written before there was a choice.
            resource_format: if item.contains_key(RESOURCES) {
                reader.number(RESOURCES)?
            } else {
                1
            },
            is_rehearsal: matches!(item.get(REHEARSAL), Some(AttributeValue::Bool(true))),
            // Rather no answer than a rule that is not kept.
            domains: reader
                .strings(DOMAINS)
                .iter()
                .map(|text| Domain::parse(text).ok_or_else(|| reader.corrupt(DOMAINS)))
                .collect::<Result<_, _>>()?,
            schemas: reader.strings(SCHEMAS),
            brake: item.get(BRAKE).and_then(Brake::read),
            had_brake: item.contains_key(BRAKE),
        })
    }
}
