//! What the model test does: operations drawn at random, with operands that fit any state.
//!
//! An operand is a number taken modulo what is there when its turn comes, so a sequence stays valid when proptest leaves
//! operations out of it. Texts come from small tables, so that they collide.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// User names; those of one row are one name in different spellings.
pub(super) const USER_NAMES: &[&[&str]] = &[
    &["ann@ex.test", "Ann@Ex.test", "ANN@EX.TEST"],
    &["straße", "STRASSE", "Strasse"],
    &["kim_partner.test#EXT#@home.test", "Kim_Partner.test#ext#@home.test"],
    &["50%23+\"a\\b\" c", "50%23+\"A\\B\" C"],
    &["elan\u{301}", "ELA\u{143}"],
];
/// E-mail addresses.
pub(super) const MAILS: &[&[&str]] =
    &[&["ann@ex.test", "Ann@Ex.Test"], &["a#b%@ex.test", "A#B%@EX.TEST"], &["o'neil@ex.test"]];
/// What people are called.
pub(super) const DISPLAY_NAMES: &[&[&str]] = &[&["Ann Ek", "ANN EK"], &["*"], &["Ann"]];
/// Names of groups; the second row begins the first.
pub(super) const GROUP_NAMES: &[&[&str]] =
    &[&["Eng#1", "ENG#1", "eng#1"], &["Eng", "eng"], &["Équipe", "équipe"], &["%"]];
/// Letter case counts in these: each is a row of its own.
pub(super) const EXTERNAL_IDS: &[&[&str]] = &[&["x1"], &["X1"], &["x#1%"]];
const DEPARTMENTS: &[&[&str]] = &[&["R&D"], &["r&d"]];
const MANAGERS: &[&[&str]] = &[&["u-9"], &["U-9"]];

/// One of the two tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Acme,
    Globex,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Acme, Self::Globex];

    pub(super) fn other(self) -> Self {
        match self {
            Self::Acme => Self::Globex,
            Self::Globex => Self::Acme,
        }
    }
}

/// An operation and the tenant whose token it comes with.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) by: Side,
    pub(super) op: Op,
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    PostUser(Person),
    PatchUser(Aim, Dialect, Vec<Edit>),
    PutUser(Aim, Person),
    DeleteUser(Aim),
    PostGroup(Team),
    PatchGroup(Aim, Dialect, Vec<TeamEdit>),
    PutGroup(Aim, Team),
    DeleteGroup(Aim),
}

/// Which resource is meant, and what `If-Match` says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    pub(super) whose: Whose,
    pub(super) tag: Tag,
}

/// Whose resource it is; where there is none, an id that was never given out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    Own(usize),
    /// A user where a group is asked for, and the other way round.
    OtherKind(usize),
    Foreign(usize),
    Deleted(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    None,
    Current,
    Stale,
}

/// How Entra speaks, without and with its flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Flagless,
    Flagged,
}

/// The body of a POST or PUT of a user.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) user_name: &'static str,
    pub(super) external_id: Option<&'static str>,
    pub(super) display_name: Option<&'static str>,
    pub(super) active: Option<bool>,
    pub(super) work: Option<&'static str>,
    pub(super) home: Option<&'static str>,
    pub(super) primary: bool,
    pub(super) department: Option<&'static str>,
    pub(super) manager: Option<&'static str>,
}

/// One attribute that a PATCH sets; `""` clears it. The number chooses among the ways to say so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edit {
    pub(super) field: Field,
    pub(super) text: &'static str,
    pub(super) way: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    UserName,
    ExternalId,
    DisplayName,
    /// Its text is `true` or `false`.
    Active,
    WorkMail,
    Department,
    Manager,
}

/// The body of a POST or PUT of a group.
#[derive(Clone, Debug)]
pub(super) struct Team {
    pub(super) name: &'static str,
    pub(super) external_id: Option<&'static str>,
    pub(super) members: Option<Vec<Pick>>,
}

#[derive(Clone, Debug)]
pub(super) enum TeamEdit {
    Rename(&'static str),
    ExternalId(&'static str),
    Add(Vec<Pick>),
    Remove(Vec<Pick>),
    Replace(Vec<Pick>),
    RemoveAll,
}

/// An id in a list of members.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pick {
    Person(usize),
    Team(usize),
    Foreign(usize),
    Deleted(usize),
    Malformed,
}

/// A conversation: who is there at first, and what happens then.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// Creations, after which nobody looks.
    pub(super) first: Vec<Step>,
    pub(super) then: Vec<Step>,
}

/// Conversations. One tenant is busier than the other, so that there is something to change.
pub(super) fn script() -> impl Strategy<Value = Script> {
    let population = |by: Side, users: usize| {
        let users = vec(person().prop_map(Op::PostUser), users);
        let groups = vec(team().prop_map(Op::PostGroup), 1..3);
        (users, groups).prop_map(move |(users, groups)| {
            users.into_iter().chain(groups).map(|op| Step { by, op }).collect::<Vec<_>>()
        })
    };
    let first = (population(Side::Acme, 4), population(Side::Globex, 2));
    let first = first.prop_map(|(acme, globex)| [acme, globex].concat());
    let by = prop_oneof![3 => Just(Side::Acme), 1 => Just(Side::Globex)];
    let then = vec((by, op()).prop_map(|(by, op)| Step { by, op }), 1..=25);
    (first, then).prop_map(|(first, then)| Script { first, then })
}

/// One of the texts of a table.
fn one_of(table: &[&[&'static str]]) -> impl Strategy<Value = &'static str> + Clone + use<> {
    select(table.concat())
}

/// One of the texts of a table, or `""`.
fn one_or_none(table: &[&[&'static str]]) -> impl Strategy<Value = &'static str> + Clone + use<> {
    prop_oneof![3 => one_of(table), 1 => Just("")]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => person().prop_map(Op::PostUser),
        8 => (aim(), dialect(), vec(edit(), 1..4)).prop_map(|(a, d, e)| Op::PatchUser(a, d, e)),
        3 => (aim(), person()).prop_map(|(aim, person)| Op::PutUser(aim, person)),
        3 => aim().prop_map(Op::DeleteUser),
        2 => team().prop_map(Op::PostGroup),
        8 => (aim(), dialect(), vec(team_edit(), 1..4))
            .prop_map(|(a, d, e)| Op::PatchGroup(a, d, e)),
        2 => (aim(), team()).prop_map(|(aim, team)| Op::PutGroup(aim, team)),
        1 => aim().prop_map(Op::DeleteGroup),
    ]
}

fn aim() -> impl Strategy<Value = Aim> {
    let whose = prop_oneof![
        24 => any::<u8>().prop_map(|n| Whose::Own(n.into())),
        1 => any::<u8>().prop_map(|n| Whose::OtherKind(n.into())),
        1 => any::<u8>().prop_map(|n| Whose::Foreign(n.into())),
        1 => any::<u8>().prop_map(|n| Whose::Deleted(n.into())),
    ];
    let tag = prop_oneof![12 => Just(Tag::None), 2 => Just(Tag::Current), 1 => Just(Tag::Stale)];
    (whose, tag).prop_map(|(whose, tag)| Aim { whose, tag })
}

fn dialect() -> impl Strategy<Value = Dialect> {
    select(vec![Dialect::Flagless, Dialect::Flagged])
}

fn person() -> impl Strategy<Value = Person> {
    let mails = (option::of(one_of(MAILS)), option::weighted(0.3, one_of(MAILS)), any::<bool>());
    (
        one_of(USER_NAMES),
        option::of(one_of(EXTERNAL_IDS)),
        option::of(one_of(DISPLAY_NAMES)),
        option::of(any::<bool>()),
        mails,
        option::of(one_of(DEPARTMENTS)),
        option::weighted(0.2, one_of(MANAGERS)),
    )
        .prop_map(
            |(user_name, external_id, display_name, active, mails, department, manager)| {
                let (work, home, primary) = mails;
                Person {
                    user_name,
                    external_id,
                    display_name,
                    active,
                    work,
                    home,
                    primary,
                    department,
                    manager,
                }
            },
        )
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = prop_oneof![15 => one_of(USER_NAMES), 1 => Just("")];
    let field = prop_oneof![
        4 => name.prop_map(|text| (Field::UserName, text)),
        1 => one_or_none(EXTERNAL_IDS).prop_map(|text| (Field::ExternalId, text)),
        2 => one_or_none(DISPLAY_NAMES).prop_map(|text| (Field::DisplayName, text)),
        2 => select(vec!["true", "false"]).prop_map(|text| (Field::Active, text)),
        3 => one_or_none(MAILS).prop_map(|text| (Field::WorkMail, text)),
        1 => one_or_none(DEPARTMENTS).prop_map(|text| (Field::Department, text)),
        1 => one_or_none(MANAGERS).prop_map(|text| (Field::Manager, text)),
    ];
    (field, 0..6_u8).prop_map(|((field, text), way)| Edit { field, text, way })
}

fn team() -> impl Strategy<Value = Team> {
    let members = option::weighted(0.8, vec(pick(), 0..5));
    (one_of(GROUP_NAMES), option::of(one_of(EXTERNAL_IDS)), members)
        .prop_map(|(name, external_id, members)| Team { name, external_id, members })
}

fn team_edit() -> impl Strategy<Value = TeamEdit> {
    let name = prop_oneof![15 => one_of(GROUP_NAMES), 1 => Just("")];
    prop_oneof![
        3 => name.prop_map(TeamEdit::Rename),
        1 => one_or_none(EXTERNAL_IDS).prop_map(TeamEdit::ExternalId),
        6 => vec(pick(), 1..4).prop_map(TeamEdit::Add),
        4 => vec(pick(), 1..3).prop_map(TeamEdit::Remove),
        2 => vec(pick(), 0..3).prop_map(TeamEdit::Replace),
        1 => Just(TeamEdit::RemoveAll),
    ]
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        30 => any::<u8>().prop_map(|n| Pick::Person(n.into())),
        7 => any::<u8>().prop_map(|n| Pick::Team(n.into())),
        1 => any::<u8>().prop_map(|n| Pick::Foreign(n.into())),
        1 => any::<u8>().prop_map(|n| Pick::Deleted(n.into())),
        1 => Just(Pick::Malformed),
    ]
}
