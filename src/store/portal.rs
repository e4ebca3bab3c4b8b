//! The portal's items: setup links and the sessions that they are exchanged for; in `saml`, what is known of the tenant's
//! sign-in, and the address of the deployment.
//!
//! A link's and a session's rows are in the secrets table, beside the tokens' and told from them by `sort`; the link's
//! metadata is in the tenant's partition. Each write is one transaction that moves the settings' version, on the
//! condition that it is as it was read, and appends to the journal: two writes never pass each other, and none happens
//! while the tenant is being deleted. Of Directory it needs no permission but to update.

mod saml;

use aws_sdk_dynamodb::types::AttributeValue;

pub use saml::{Saml, SamlCertificate, SamlState};

use super::item::{FORMAT, Item, ItemReader, key_of, number, text};
use super::journal::Event;
use super::keys::{self, Key};
use super::tables::EXPIRES;
use super::tokens::{SORT, secret_key};
use super::trace::Trace;
use super::write::{Cancelled, Change, Condition, Role, Transaction};
use super::{Cx, Store, StoreError, TenantId};
use crate::limits::{LINK_USED_KEPT_DAYS, TOKEN_ROW_KEPT_DAYS, TRANSACTION_ACTIONS_MAX};
use crate::moment::{Moment, Timestamp};

/// What `sort` says of a link's row.
const LINK: &str = "link";
/// What it says of a session's.
const SESSION: &str = "session";
/// The attribute that each change of a link is conditioned on.
const STATE: &str = "state";
/// Link items that are read at most: those that may be used, and those that are kept to say that they may not.
const LINK_ITEMS_MAX: usize = 5_000;

/// What became of a link by somebody's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing yet.
    Open,
    /// It was exchanged for a session.
    Used,
    /// It was revoked.
    Revoked,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Revoked => "revoked",
        }
    }

    fn read(reader: &ItemReader<'_>) -> Result<Self, StoreError> {
        let word = reader.text(STATE)?;
        let fate = [Self::Open, Self::Used, Self::Revoked].into_iter().find(|f| f.word() == word);
        fate.ok_or_else(|| reader.corrupt(STATE))
    }
}

/// A link to be issued.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// Its id.
    pub id: String,
    /// Whom it is for, in the issuer's words.
    pub label: String,
    /// Until when it can be opened.
    pub valid_until: Timestamp,
    /// The digest of its secret.
    pub digest: String,
}

/// A session to be begun.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The digest of its secret.
    pub digest: String,
    /// Until when it is valid.
    pub valid_until: Timestamp,
    /// What each of its forms has to bring.
    pub csrf: String,
}

/// A link's row in the secrets table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// Whose settings it opens.
    pub tenant: TenantId,
    /// Its id.
    pub id: String,
    /// Until when it can be opened.
    pub valid_until: Timestamp,
    /// What became of it.
    pub fate: Fate,
    /// When that happened.
    pub changed: Option<Timestamp>,
    /// The digest of its secret.
    pub(crate) digest: String,
}

/// A session's row in the secrets table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Whose settings it shows.
    pub tenant: TenantId,
    /// The id of the link that it was begun with.
    pub link: String,
    /// Until when it is valid.
    pub valid_until: Timestamp,
    /// What each of its forms has to bring.
    pub csrf: String,
    /// When it was ended, or its link revoked.
    pub ended: Option<Timestamp>,
    /// The digest of its secret.
    pub(crate) digest: String,
}

/// A link's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// Its id, which may be shown.
    pub id: String,
    /// Whom it is for, in the issuer's words.
    pub label: String,
    /// When it was issued.
    pub created: Timestamp,
    /// Until when it can be opened.
    pub valid_until: Timestamp,
    /// What became of it.
    pub fate: Fate,
    /// When it was opened.
    pub used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// Until when its session is valid.
    pub session_until: Option<Timestamp>,
    /// When its session was ended by whoever had it.
    pub session_ended: Option<Timestamp>,
    digest: String,
    session: Option<String>,
}

impl LinkInfo {
    /// Who has one made for each visit has many that are used.
    fn kept_until(&self) -> Timestamp {
        let unused = || self.valid_until.plus_seconds(TOKEN_ROW_KEPT_DAYS * 86_400);
        self.used.map_or_else(unused, |used| used.plus_seconds(LINK_USED_KEPT_DAYS * 86_400))
    }
}

impl Store {
    /// The link that a digest stands for: one strongly consistent read, which uses nothing up.
    ///
    /// # Errors
    /// As any read.
    pub async fn look_up_link(
        &self,
        moment: &Moment,
        digest: &str,
    ) -> Result<Option<LinkRow>, StoreError> {
        let Some(item) = self.secret_of(moment, digest, LINK).await? else { return Ok(None) };
        let reader = ItemReader::new(&item)?;
        Ok(Some(LinkRow {
            tenant: tenant(&reader)?,
            id: reader.text(LINK)?.to_owned(),
            valid_until: reader.timestamp("validUntil")?,
            fate: Fate::read(&reader)?,
            changed: reader.optional_timestamp("changed"),
            digest: digest.to_owned(),
        }))
    }

    /// The session that a digest stands for: one strongly consistent read.
    ///
    /// # Errors
    /// As any read.
    pub async fn look_up_session(
        &self,
        moment: &Moment,
        digest: &str,
    ) -> Result<Option<SessionRow>, StoreError> {
        let Some(item) = self.secret_of(moment, digest, SESSION).await? else { return Ok(None) };
        let reader = ItemReader::new(&item)?;
        let ended = match reader.optional_timestamp("ended") {
            // A mark that cannot be read ends it as well.
            None if item.contains_key("ended") => Some(reader.timestamp("created")?),
            ended => ended,
        };
        Ok(Some(SessionRow {
            tenant: tenant(&reader)?,
            link: reader.text(LINK)?.to_owned(),
            valid_until: reader.timestamp("validUntil")?,
            csrf: reader.text("csrf")?.to_owned(),
            ended,
            digest: digest.to_owned(),
        }))
    }

    async fn secret_of(
        &self,
        moment: &Moment,
        digest: &str,
        sort: &str,
    ) -> Result<Option<Item>, StoreError> {
        let found = self.get_from(moment, &self.tables.secrets, secret_key(digest)).await?;
        Ok(found.filter(|item| item.get(SORT) == Some(&text(sort))))
    }

    /// The tenant's links, oldest first, dead ones that are still kept included.
    ///
    /// # Errors
    /// As any read.
    pub async fn link_infos(&self, cx: &Cx<'_>) -> Result<Vec<LinkInfo>, StoreError> {
        let tenant = cx.tenant.as_str();
        let read = self.query_all(cx.moment, tenant, keys::LINKS, LINK_ITEMS_MAX).await?;
        let too_many = || StoreError::Corrupt(format!("link: more than {LINK_ITEMS_MAX} items"));
        let mut infos =
            read.ok_or_else(too_many)?.iter().map(link_info).collect::<Result<Vec<_>, _>>()?;
        infos.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.id.cmp(&b.id)));
        Ok(infos)
    }

    /// One of the tenant's links; `None` where the id is none of them, such as one that fits no key.
    ///
    /// # Errors
    /// As any read.
    pub async fn link_of(&self, cx: &Cx<'_>, id: &str) -> Result<Option<LinkInfo>, StoreError> {
        if uuid::Uuid::try_parse(id).is_err() {
            return Ok(None);
        }
        let found = self.get_key(cx.moment, cx.tenant.as_str(), &Key::link(id)).await?;
        found.as_ref().map(link_info).transpose()
    }

    /// Issues a link: its row in the secrets table and its metadata.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile.
    pub async fn issue_link(&self, cx: &Cx<'_>, new: &NewLink) -> Result<(), StoreError> {
        let tenant = cx.tenant.as_str();
        let kept = new.valid_until.plus_seconds(TOKEN_ROW_KEPT_DAYS * 86_400);
        let trace = Trace::Written(Key::link(&new.id));
        let done = self
            .commit(cx.moment, tenant, trace, |t| {
                let both = [
                    ("v".to_owned(), number(FORMAT)),
                    ("validUntil".to_owned(), text(new.valid_until.to_string())),
                    ("created".to_owned(), text(cx.moment.now().to_string())),
                    (STATE.to_owned(), text(Fate::Open.word())),
                ];
                let mut set = both.to_vec();
                set.extend([
                    ("label".to_owned(), text(new.label.as_str())),
                    ("digest".to_owned(), text(new.digest.as_str())),
                    ("rid".to_owned(), text(t.written_by())),
                ]);
                let (key, change) =
                    (key_of(tenant, &Key::link(&new.id)), Change { set, ..Change::default() });
                t.update(Role::Own, &self.tables.directory, key, change, Condition::Absent)?;
                let mut row = secret_key(&new.digest);
                row.extend(both);
                row.insert(EXPIRES.to_owned(), number(kept.unix_seconds()));
                row.insert(SORT.to_owned(), text(LINK));
                row.insert("tenant".to_owned(), text(tenant));
                row.insert(LINK.to_owned(), text(new.id.as_str()));
                t.put(Role::Own, &self.tables.secrets, row, Condition::Absent)?;
                self.add_action(t, cx, (Event::LinkIssued, &new.id))
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// Removes what is kept of links that could last be opened long ago. Whoever issues links may not remove anything from
    /// Directory, and could with the attribute that DynamoDB's TTL looks at: so the scheduled job does it.
    ///
    /// # Errors
    /// As any write; the next run goes on.
    pub async fn forget_links(&self, cx: &Cx<'_>) -> Result<usize, StoreError> {
        let tenant = cx.tenant.as_str();
        let read = self.query_slice(cx.moment, tenant, keys::LINKS, (0, LINK_ITEMS_MAX)).await?;
        let mut old = read.iter().map(link_info).collect::<Result<Vec<_>, _>>()?;
        old.retain(|link| link.kept_until() < cx.moment.now());
        for links in old.chunks(TRANSACTION_ACTIONS_MAX) {
            let Some(first) = links.first() else { continue };
            self.commit(cx.moment, tenant, Trace::Gone(Key::link(&first.id)), |t| {
                for link in links {
                    let as_read = vec![("validUntil", text(link.valid_until.to_string()))];
                    let key = key_of(tenant, &Key::link(&link.id));
                    let condition = Condition::Equal(as_read);
                    t.delete(Role::Own, &self.tables.directory, key, condition)?;
                }
                Ok(())
            })
            .await
            .map_err(Cancelled::error)?;
        }
        Ok(old.len())
    }

    /// Exchanges a link that is open for a session.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when somebody was faster, or the settings changed meanwhile.
    pub async fn open_link(
        &self,
        cx: &Cx<'_>,
        link: &LinkRow,
        new: &NewSession,
    ) -> Result<(), StoreError> {
        let tenant = cx.tenant.as_str();
        let now = text(cx.moment.now().to_string());
        let until = text(new.valid_until.to_string());
        let done = self
            .commit(cx.moment, tenant, Trace::Written(Key::link(&link.id)), |t| {
                let set = vec![
                    ("used".to_owned(), now.clone()),
                    ("session".to_owned(), text(new.digest.as_str())),
                    ("sessionUntil".to_owned(), until.clone()),
                ];
                self.add_fate(t, cx, (&link.id, &link.digest), (Fate::Open, Fate::Used, set))?;
                let mut row = secret_key(&new.digest);
                let kept = new.valid_until.plus_seconds(86_400).unix_seconds();
                row.extend([
                    ("v".to_owned(), number(FORMAT)),
                    (SORT.to_owned(), text(SESSION)),
                    ("tenant".to_owned(), text(tenant)),
                    (LINK.to_owned(), text(link.id.as_str())),
                    ("created".to_owned(), now.clone()),
                    ("validUntil".to_owned(), until.clone()),
                    ("csrf".to_owned(), text(new.csrf.as_str())),
                    (EXPIRES.to_owned(), number(kept)),
                ]);
                t.put(Role::Own, &self.tables.secrets, row, Condition::Absent)?;
                self.add_action(t, cx, (Event::LinkOpened, &link.id))
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// Revokes a link, and ends the session that was begun with it.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is no longer as it was read, or the settings changed meanwhile.
    pub async fn revoke_link(&self, cx: &Cx<'_>, link: &LinkInfo) -> Result<(), StoreError> {
        let now = cx.moment.now();
        let trace = Trace::Written(Key::link(&link.id));
        let done = self
            .commit(cx.moment, cx.tenant.as_str(), trace, |t| {
                let set = vec![("revoked".to_owned(), text(now.to_string()))];
                let fates = (link.fate, Fate::Revoked, set);
                self.add_fate(t, cx, (&link.id, &link.digest), fates)?;
                // DynamoDB's TTL takes the row of a session that is long over.
                let lives = link.session_until.is_some_and(|until| now < until);
                if let Some(session) = link.session.as_ref().filter(|_| lives) {
                    self.add_session_end(t, cx, session)?;
                }
                self.add_action(t, cx, (Event::LinkRevoked, &link.id))
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile.
    pub async fn end_session(&self, cx: &Cx<'_>, session: &SessionRow) -> Result<(), StoreError> {
        let trace = Trace::Written(Key::link(&session.link));
        let done = self
            .commit(cx.moment, cx.tenant.as_str(), trace, |t| {
                self.add_session_end(t, cx, &session.digest)?;
                let set = vec![
                    ("sessionEnded".to_owned(), text(cx.moment.now().to_string())),
                    ("rid".to_owned(), text(t.written_by())),
                ];
                let own = Condition::Equal(vec![("session", text(session.digest.as_str()))]);
                let key = key_of(cx.tenant.as_str(), &Key::link(&session.link));
                let change = Change { set, ..Change::default() };
                t.update(Role::Own, &self.tables.directory, key, change, own)?;
                self.add_action(t, cx, (Event::SessionEnded, &session.link))
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// Removes a link and its session without a trace, for a tenant that is being deleted.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is no longer as it was read.
    pub async fn forget_link(&self, cx: &Cx<'_>, link: &LinkInfo) -> Result<(), StoreError> {
        // DynamoDB's TTL may have taken either row already.
        let mut rows: Vec<&str> = vec![&link.digest];
        rows.extend(link.session.as_deref());
        loop {
            let key = Key::link(&link.id);
            let done = self
                .commit(cx.moment, cx.tenant.as_str(), Trace::Gone(key.clone()), |t| {
                    let as_read = vec![
                        ("digest", text(link.digest.as_str())),
                        (STATE, text(link.fate.word())),
                    ];
                    let key = key_of(cx.tenant.as_str(), &key);
                    let as_read = Condition::Equal(as_read);
                    t.delete(Role::Own, &self.tables.directory, key, as_read)?;
                    for (part, digest) in rows.iter().enumerate() {
                        let own = Condition::Equal(vec![(LINK, text(link.id.as_str()))]);
                        let row = secret_key(digest);
                        t.delete(Role::Part(part), &self.tables.secrets, row, own)?;
                    }
                    Ok(())
                })
                .await;
            match done {
                Ok(()) => return Ok(()),
                Err(Cancelled::Error(error)) => return Err(error),
                // Each round leaves out one row at least.
                Err(Cancelled::Parts(gone)) => {
                    let mut part = 0;
                    rows.retain(|_| {
                        part += 1;
                        !gone.contains(&(part - 1))
                    });
                }
            }
        }
    }

    /// Moves a link from one state to another, in both of its items.
    fn add_fate(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        (id, digest): (&str, &str),
        (before, after, mut set): (Fate, Fate, Vec<(String, AttributeValue)>),
    ) -> Result<(), StoreError> {
        let as_read = Condition::Equal(vec![(STATE, text(before.word()))]);
        let state = (STATE.to_owned(), text(after.word()));
        set.extend([state.clone(), ("rid".to_owned(), text(t.written_by()))]);
        let key = key_of(cx.tenant.as_str(), &Key::link(id));
        let change = Change { set, ..Change::default() };
        t.update(Role::Own, &self.tables.directory, key, change, as_read.clone())?;
        let mut set = vec![state, ("changed".to_owned(), text(cx.moment.now().to_string()))];
        if after == Fate::Used {
            let kept = cx.moment.now().plus_seconds(LINK_USED_KEPT_DAYS * 86_400);
            set.push((EXPIRES.to_owned(), number(kept.unix_seconds())));
        }
        let change = Change { set, ..Change::default() };
        t.update(Role::Own, &self.tables.secrets, secret_key(digest), change, as_read)
    }

    fn add_session_end(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        digest: &str,
    ) -> Result<(), StoreError> {
        let set = vec![("ended".to_owned(), text(cx.moment.now().to_string()))];
        let own = Condition::Equal(vec![(SORT, text(SESSION))]);
        let change = Change { set, ..Change::default() };
        t.update(Role::Own, &self.tables.secrets, secret_key(digest), change, own)
    }

    /// Moves the settings and tells the journal.
    fn add_action(
        &self,
        t: &mut Transaction,
        cx: &Cx<'_>,
        (event, about): (Event, &str),
    ) -> Result<(), StoreError> {
        self.add_settings_move(t, cx)?;
        self.add_told(t, cx, Some(event), about)
    }
}

fn tenant(reader: &ItemReader<'_>) -> Result<TenantId, StoreError> {
    TenantId::parse(reader.text("tenant")?).map_err(|_| reader.corrupt("tenant"))
}

fn link_info(item: &Item) -> Result<LinkInfo, StoreError> {
    let reader = ItemReader::new(item)?;
    let id = reader.text("key")?.strip_prefix(keys::LINKS).unwrap_or_default();
    Ok(LinkInfo {
        id: id.to_owned(),
        label: reader.text("label")?.to_owned(),
        created: reader.timestamp("created")?,
        valid_until: reader.timestamp("validUntil")?,
        fate: Fate::read(&reader)?,
        used: reader.optional_timestamp("used"),
        revoked: reader.optional_timestamp("revoked"),
        session_until: reader.optional_timestamp("sessionUntil"),
        session_ended: reader.optional_timestamp("sessionEnded"),
        digest: reader.text("digest")?.to_owned(),
        session: reader.optional("session").map(str::to_owned),
    })
}
