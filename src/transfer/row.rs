//! One line of a file as it was meant: a person or a group, what the app calls it, and whom a group has in it.
//!
//! ```text
//! {"kind":"User","appId":"acc-17","resource":{ …SCIM, as a POST takes it… }}
//! {"kind":"Group","appId":"team-3","resource":{"displayName":"Team"},"members":[{"userName":"ann@example.com"}]}
//! ```
//!
//! A SCIM resource by itself, perhaps with `appId` in it, is taken, too. An export has `id`, `version` and `created` beside
//! the resource, a first line that says whose it is and a last one that says how much. Only the envelope is read here;
//! what the resource means is the schemas' business.

use serde_json::{Map, Value};

use super::{Fault, shown};
use crate::limits::IDENTIFIER_BYTES_MAX;
use crate::moment::Timestamp;
use crate::scim::catalog::{Catalog, Kind, ResourceType};
use crate::scim::error::json_type;
use crate::scim::path::AttrPath;
use crate::scim::resource::ResourceId;
use crate::scim::schema::Returned;
use crate::scim::well_known;
use crate::store::links;

/// The number of the format of an export.
pub(super) const FORMAT: u64 = 1;

/// The members of a line.
pub(super) const KIND: &str = "kind";
pub(super) const APP_ID: &str = "appId";
pub(super) const RESOURCE: &str = "resource";
pub(super) const VERSION: &str = "version";
/// Largest version that is taken from a file: what JavaScript still counts exactly, thousands of years of milliseconds.
const VERSION_MAX: u64 = (1 << 53) - 1;
pub(super) const CREATED: &str = "created";
pub(super) const LAST_MODIFIED: &str = "lastModified";
pub(super) const CONTINUED: &str = "continued";
pub(super) const EXPORT: &str = "export";
pub(super) const END: &str = "end";
/// How many resources of other types an export has.
pub(super) const OTHERS: &str = "others";
const GROUP: &str = "group";

/// What a line with a resource may have.
const ENVELOPE: [&str; 9] = [
    KIND,
    APP_ID,
    RESOURCE,
    well_known::ID,
    VERSION,
    CREATED,
    LAST_MODIFIED,
    CONTINUED,
    well_known::MEMBERS,
];

/// A line.
#[derive(Debug)]
pub(super) enum Line {
    /// A person or a group.
    Row(Box<Row>),
    /// It cannot be read; why.
    Bad(String),
    /// The first line of an export.
    Header,
    /// The last line of an export: how many people, groups and other resources it has.
    Trailer { users: u64, groups: u64, others: u64 },
}

/// A person or a group as a file has it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) kind: Kind,
    /// Whose id it is to have: that of an export.
    pub(super) identity: Option<Identity>,
    pub(super) app_id: Option<String>,
    /// The resource, as a POST takes it, without members.
    pub(super) body: Map<String, Value>,
    pub(super) members: Vec<MemberRef>,
    /// It only has more members of a group that an earlier line describes.
    pub(super) continued: bool,
    /// Names of attributes that the schemas lack, and that a POST would ignore.
    pub(super) ignored: Vec<String>,
}

/// What an export remembers of a resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) id: ResourceId,
    pub(super) version: u64,
    pub(super) created: Option<Timestamp>,
}

/// How a file names a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MemberRef {
    UserName(String),
    AppId(String),
    Id(String),
    /// A group, by its name.
    Group(String),
}

impl MemberRef {
    /// As a cell has it: a userName, or `appId:`, `id:` or `group:` and what it is.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let behind = |word: &str| {
            let (before, rest) = text.split_once(':')?;
            before.trim().eq_ignore_ascii_case(word).then(|| rest.trim().to_owned())
        };
        let found = if let Some(app_id) = behind(APP_ID) {
            Self::AppId(app_id)
        } else if let Some(id) = behind(well_known::ID) {
            Self::Id(id)
        } else if let Some(group) = behind(GROUP) {
            Self::Group(group)
        } else {
            Self::UserName(text.to_owned())
        };
        (!found.text().is_empty()).then_some(found)
    }

    fn text(&self) -> &str {
        match self {
            Self::UserName(text) | Self::AppId(text) | Self::Id(text) | Self::Group(text) => text,
        }
    }

    fn read(value: &Value) -> Result<Self, String> {
        let unclear = || {
            "a member is {\"userName\": …}, {\"appId\": …}, {\"id\": …} or {\"group\": …}"
                .to_owned()
        };
        if let Value::String(text) = value {
            return Self::parse(text).ok_or_else(unclear);
        }
        let Value::Object(members) = value else { return Err(unclear()) };
        let named = |name: &str| {
            let found = members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.and_then(|(_, value)| plain(value)).filter(|text| !text.is_empty())
        };
        let id = named(well_known::ID).or_else(|| named(well_known::VALUE));
        id.map(Self::Id)
            .or_else(|| named(well_known::USER_NAME).map(Self::UserName))
            .or_else(|| named(APP_ID).map(Self::AppId))
            .or_else(|| named(GROUP).map(Self::Group))
            .ok_or_else(unclear)
    }
}

impl std::fmt::Display for MemberRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match self {
            Self::UserName(_) => well_known::USER_NAME,
            Self::AppId(_) => APP_ID,
            Self::Id(_) => well_known::ID,
            Self::Group(_) => GROUP,
        };
        write!(f, "{word} \"{}\"", shown(self.text()))
    }
}

/// Reads a line of JSON.
///
/// # Errors
/// [`Fault`] for an export of a format that this version does not know.
pub(super) fn read(catalog: &Catalog, kind: Option<Kind>, text: &str) -> Result<Line, Fault> {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let at = error.column();
            return Ok(Line::Bad(format!(
                "it is no JSON (column {at}); each line is one JSON object"
            )));
        }
    };
    let Value::Object(members) = value else {
        return Ok(Line::Bad(format!("it is {}, not a JSON object", json_type(&value))));
    };
    if !members.contains_key(RESOURCE) && members.len() == 1 {
        if let Some(header) = members.get(EXPORT) {
            return known_format(header).map(|()| Line::Header);
        }
        if let Some(end) = members.get(END) {
            let count = |name: &str| end.get(name).and_then(Value::as_u64).unwrap_or(0);
            let (users, groups, others) = (count("users"), count("groups"), count(OTHERS));
            return Ok(Line::Trailer { users, groups, others });
        }
    }
    Ok(match row(catalog, kind, members) {
        Ok(row) => Line::Row(Box::new(row)),
        Err(what) => Line::Bad(what),
    })
}

fn known_format(header: &Value) -> Result<(), Fault> {
    match header.get("format").and_then(Value::as_u64) {
        Some(FORMAT) => Ok(()),
        format => {
            let format = format.map_or_else(|| "none".to_owned(), |format| format.to_string());
            Err(Fault::file(format!(
                "the export's format is {format}, and this version reads {FORMAT}; use the version of scimctl that wrote it"
            )))
        }
    }
}

fn row(
    catalog: &Catalog,
    kind: Option<Kind>,
    mut members: Map<String, Value>,
) -> Result<Row, String> {
    let said = take(&mut members, KIND).map(|said| read_kind(catalog, &said));
    let said = said.transpose()?.flatten();
    let app_id = take(&mut members, APP_ID).map(|value| app_id(&value)).transpose()?.flatten();
    let own_members = take(&mut members, well_known::MEMBERS);
    let mut identity = None;
    let mut continued = false;
    let mut body = match take(&mut members, RESOURCE) {
        Some(Value::Object(resource)) => {
            identity = read_identity(&mut members)?;
            continued = read_flag(&mut members, CONTINUED)?;
            if let Some(unknown) = members.keys().next() {
                let known = ENVELOPE.join(", ");
                return Err(format!(
                    "there is no {} beside resource; a line has {known}",
                    shown(unknown)
                ));
            }
            resource
        }
        Some(other) => {
            return Err(format!("resource must be an object, not {}", json_type(&other)));
        }
        None => members,
    };
    let named = take(&mut body, well_known::MEMBERS).or(own_members);
    let found = said.or(kind).or_else(|| kind_of(catalog, &body, named.is_some()));
    let kind = found.ok_or_else(|| {
        "it is not clear whether it is a person or a group; add \"kind\": \"User\" or \"kind\": \"Group\"".to_owned()
    })?;
    let members = match named {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(named)) if kind == Kind::Group => {
            named.iter().map(MemberRef::read).collect::<Result<_, _>>()?
        }
        Some(other) if kind == Kind::Group => {
            return Err(format!("members must be an array, not {}", json_type(&other)));
        }
        Some(_) => return Err("a person has no members; kind must be Group for that".to_owned()),
    };
    if matches!(kind, Kind::Custom(_))
        && identity.is_none()
        && !names(&body, well_known::EXTERNAL_ID)
    {
        return Err(format!(
            "a {} is found again by its id, as an export has it, or by its {}; add one of them",
            kind.name(),
            well_known::EXTERNAL_ID
        ));
    }
    if continued && kind != Kind::Group {
        return Err("only a group is continued; kind must be Group for that".to_owned());
    }
    let ignored = ignored(catalog.resource_type(kind), &body);
    Ok(Row { kind, identity, app_id, body, members, continued, ignored })
}

/// Takes a member in any letter case.
fn take(members: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let key = members.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
    members.shift_remove(&key)
}

/// Whether a text is given, in any letter case of its name.
fn names(body: &Map<String, Value>, name: &str) -> bool {
    let mut texts = body.iter().filter_map(|(key, value)| Some((key, value.as_str()?)));
    texts.any(|(key, text)| key.eq_ignore_ascii_case(name) && !text.is_empty())
}

fn read_kind(catalog: &Catalog, value: &Value) -> Result<Option<Kind>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let kinds = catalog.kinds();
    let text = value.as_str().unwrap_or_default();
    let found = kinds.iter().find(|kind| kind.name().eq_ignore_ascii_case(text));
    if text.is_empty() && value.is_string() {
        return Ok(None);
    }
    found.copied().map(Some).ok_or_else(|| {
        let all: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let all = all.join(" or ");
        if text.is_empty() {
            return format!("kind must be {all}");
        }
        format!("kind must be {all}; a type of your own has to be switched on for the tenant")
    })
}

fn read_flag(members: &mut Map<String, Value>, name: &str) -> Result<bool, String> {
    match take(members, name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(other) => Err(format!("{name} must be true or false, not {}", json_type(&other))),
    }
}

fn read_identity(members: &mut Map<String, Value>) -> Result<Option<Identity>, String> {
    let id = take(members, well_known::ID);
    let version = take(members, VERSION);
    let created = take(members, CREATED);
    take(members, LAST_MODIFIED);
    let Some(id) = id.filter(|id| !id.is_null()) else { return Ok(None) };
    let id = id.as_str().and_then(ResourceId::parse).ok_or_else(|| {
        format!("id is not one that this directory gives out; the app's own id is {APP_ID}")
    })?;
    let version = match version {
        None | Some(Value::Null) => 1,
        Some(version) => {
            let version = version.as_u64().filter(|version| *version <= VERSION_MAX);
            version
                .ok_or_else(|| format!("{VERSION} must be a whole number up to {VERSION_MAX}"))?
        }
    };
    let created =
        match created {
            None | Some(Value::Null) => None,
            Some(created) => {
                let read = created.as_str().and_then(Timestamp::parse);
                Some(read.ok_or_else(|| {
                    format!("{CREATED} must be a time such as 2026-01-31T08:00:00Z")
                })?)
            }
        };
    Ok(Some(Identity { id, version, created }))
}

/// The app's own account id. Databases number their rows: a whole number is taken as its digits.
fn app_id(value: &Value) -> Result<Option<String>, String> {
    match plain(value) {
        Some(text) => checked_app_id(&text),
        None if value.is_null() => Ok(None),
        None => Err(format!("{APP_ID} must be a string or a whole number")),
    }
}

/// An account id that fits a key; none when it is empty.
pub(super) fn checked_app_id(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if links::fits(text) {
        return Ok(Some(text.to_owned()));
    }
    Err(format!(
        "{APP_ID} must be a text of at most about {IDENTIFIER_BYTES_MAX} bytes, of which # and % count three"
    ))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

/// What a resource without `kind` is: its `schemas` tell, or its `userName`, or that nothing in it is a person's.
fn kind_of(catalog: &Catalog, body: &Map<String, Value>, has_members: bool) -> Option<Kind> {
    let find = |name: &str| body.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    let urns = find(well_known::SCHEMAS).and_then(|(_, urns)| urns.as_array());
    let by_schemas = catalog.kinds().into_iter().find(|kind| {
        let own = &catalog.resource_type(*kind).schema.urn;
        let mut urns = urns.into_iter().flatten().filter_map(Value::as_str);
        urns.any(|urn| urn.eq_ignore_ascii_case(own))
    });
    let groups = catalog.resource_type(Kind::Group);
    let is_group = || {
        let all_known = body.keys().all(|key| knows(groups, key));
        find(well_known::DISPLAY_NAME).is_some() && (has_members || all_known)
    };
    by_schemas
        .or_else(|| find(well_known::USER_NAME).map(|_| Kind::User))
        .or_else(|| is_group().then_some(Kind::Group))
}

fn knows(rt: &ResourceType, key: &str) -> bool {
    rt.urns().any(|urn| urn.eq_ignore_ascii_case(key))
        || AttrPath::parse(key).is_some_and(|path| rt.resolve(&path).is_some())
}

/// Attributes that a POST would ignore without a word: the schemas lack them, or nobody could ever read them.
fn ignored(rt: &ResourceType, body: &Map<String, Value>) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in body {
        // Brackets are a path of their own; one that leads nowhere is refused later.
        if key.contains('[') {
            continue;
        }
        let path = AttrPath::parse(key);
        let target = path.as_ref().and_then(|path| rt.resolve(path));
        match target {
            None if rt.urns().any(|urn| urn.eq_ignore_ascii_case(key)) => {}
            None => names.push(key.clone()),
            Some(target) => match (target.attribute, target.extension, value) {
                (Some(attribute), _, _)
                    if attribute.returned == Returned::Never && !attribute.is_kept =>
                {
                    names.push(key.clone());
                }
                (None, Some(extension), Value::Object(inner)) => {
                    let unknown = inner
                        .keys()
                        .filter(|name| extension.attribute_named(name).is_none())
                        .map(|name| format!("{}:{name}", extension.urn));
                    names.extend(unknown);
                }
                (_, _, _) => {}
            },
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(text: &str) -> Line {
        read(&Catalog::embedded().unwrap(), None, text).unwrap()
    }

    #[track_caller]
    fn kind(text: &str) -> Option<Kind> {
        match read_line(text) {
            Line::Row(row) => Some(row.kind),
            Line::Bad(what) => {
                assert!(what.starts_with("it is not clear whether"), "{what}");
                None
            }
            Line::Header | Line::Trailer { .. } => panic!("no row"),
        }
    }

    #[test]
    fn a_resource_says_what_it_is() {
        let user = Some(Kind::User);
        let group = Some(Kind::Group);
        for (text, expected) in [
            (r#"{"kind":"User","resource":{}}"#, user),
            (r#"{"KIND":"group","resource":{}}"#, group),
            (r#"{"resource":{"userName":"a"}}"#, user),
            (r#"{"username":"a","displayName":"A"}"#, user),
            (
                r#"{"schemas":["URN:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"A"}"#,
                group,
            ),
            (
                r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"displayName":"A"}"#,
                user,
            ),
            (r#"{"displayName":"A"}"#, group),
            (r#"{"displayName":"A","externalId":"x","appId":"t"}"#, group),
            (r#"{"displayName":"A","members":[]}"#, group),
            (r#"{"resource":{"displayName":"A"},"members":[]}"#, group),
            (r#"{"displayName":"A","emails":["a@ex.test"]}"#, None),
            (r#"{"displayName":"A","department":"R&D"}"#, None),
            (r#"{"externalId":"x"}"#, None),
            ("{}", None),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn a_bare_resource_keeps_nothing_of_its_id() {
        let text = r#"{"id":"7","meta":{"version":"x"},"userName":"a","APPID":7}"#;
        let Line::Row(row) = read_line(text) else { panic!("no row") };
        assert!(row.identity.is_none() && row.ignored.is_empty());
        assert_eq!(row.app_id.as_deref(), Some("7"));
        let names: Vec<&String> = row.body.keys().collect();
        assert_eq!(names, ["id", "meta", "userName"]);
    }

    #[test]
    fn members_are_named_in_several_ways() {
        use MemberRef::{AppId, Group, Id, UserName};
        let text = r#"{"displayName":"A","members":["a@ex.test"," appId: 7",{"userName":"b"},{"appId":8},{"group":"B"},
            {"value":"x","display":"X","userName":"y"},"id:z","group: C: D"]}"#;
        let Line::Row(row) = read_line(&text.replace('\n', "")) else { panic!("no row") };
        let text = str::to_owned;
        let expected = [
            UserName(text("a@ex.test")),
            AppId(text("7")),
            UserName(text("b")),
            AppId(text("8")),
            Group(text("B")),
            Id(text("x")),
            Id(text("z")),
            Group(text("C: D")),
        ];
        assert_eq!(row.members, expected);
        assert_eq!(MemberRef::parse(" "), None);
        assert_eq!(MemberRef::parse("appId: "), None);
    }
}
