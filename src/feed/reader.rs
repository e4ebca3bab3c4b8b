//! Reads the feed of one tenant or of all: in order of position, each item once a run, from the beginning or behind a cursor.
//!
//! Whoever keeps the cursor of the last item that it has done with, and goes on behind that, misses nothing and is told
//! some things twice. All tenants are read in rounds, in the order of their names: everything up to one instant of one
//! tenant, then of the next. A cursor says where in a round it stands, so that going on is exact.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use uuid::Uuid;

use super::chain::{Chain, Gap, Start};
use super::cursor::Cursor;
use super::{FeedError, just_before};
use crate::limits::{FEED_BEHIND, FEED_PAGE, FEED_POSITIONS_MAX};
use crate::moment::{Moment, Timestamp};
use crate::store::feed::{Change, ChangePage, Pages, is_older, position, time_of};
use crate::store::{Store, StoreError, TenantId};

/// Rows of the registry that are read at once.
const TENANTS_PER_PAGE: usize = 100;

/// Whose feed is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One tenant's.
    Tenant(TenantId),
    /// That of all.
    All,
}

/// What a reader says.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// An item.
    Change(Box<Delivered>),
    /// An item is missing.
    Gap(Gap),
}

/// An item, and the cursor behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// Whose it is.
    pub tenant: TenantId,
    /// Where to go on.
    pub cursor: Cursor,
    /// The item.
    pub change: Change,
}

/// What one read has brought.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In order.
    pub told: Vec<Told>,
    /// Whether there may be more at once; else only time brings more.
    pub more: bool,
}

/// Reads a feed.
pub struct Reader<'a> {
    store: &'a Store,
    moments: &'a dyn Fn() -> Moment,
    place: Place,
    chains: HashMap<TenantId, Chain>,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Where it stands.
#[derive(Debug)]
enum Place {
    /// In one tenant's feed: behind an item; and up to where it had read when it last came to the end.
    Tenant { tenant: TenantId, at: Option<Uuid>, end: Option<Timestamp> },
    /// In that of all.
    All(Rounds),
}

/// Rounds over all tenants.
#[derive(Debug)]
struct Rounds {
    /// Up to when the last round that was finished has read; `None` before.
    since: Option<Timestamp>,
    under_way: Option<Round>,
}

/// One round.
#[derive(Debug)]
struct Round {
    /// Up to when it reads.
    until: Timestamp,
    begun: Begun,
    /// The tenant that it has come to, and the item of its feed that it is behind.
    current: Option<(TenantId, Option<Uuid>)>,
    /// Those that come next.
    queue: VecDeque<TenantId>,
    registry: Registry,
}

/// By whom a round was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// By this run.
    Here,
    /// By the one before, whose cursor it goes on behind.
    Before,
}

/// How far the registry was read in a round.
#[derive(Debug)]
enum Registry {
    /// Up to this tenant; not at all, when none is named.
    After(Option<TenantId>),
    Read,
}

/// What is to be read next.
enum Next {
    Leg(Leg),
    /// Nothing right now: ask again at once.
    Again,
    /// Nothing, until time has passed.
    Later,
}

/// A part of one tenant's feed.
struct Leg {
    tenant: TenantId,
    from: Option<Uuid>,
    until: Timestamp,
    round: Option<RoundSince>,
}

/// Up to when the round before this one has read.
struct RoundSince(Option<Timestamp>);

impl Leg {
    /// The cursor behind an item of it.
    fn cursor(&self, at: Uuid) -> Cursor {
        let tenant = self.tenant.clone();
        match self.round {
            None => Cursor::Tenant { tenant, at },
            Some(RoundSince(since)) => Cursor::All { since, until: self.until, tenant, at },
        }
    }
}

impl<'a> Reader<'a> {
    /// A reader that begins at the beginning, or behind a cursor. Each read takes a moment of its own from `moments`.
    ///
    /// # Errors
    /// When the cursor is another feed's, or the journal no longer has its item.
    pub async fn open(
        store: &'a Store,
        moments: &'a dyn Fn() -> Moment,
        scope: Scope,
        after: Option<Cursor>,
    ) -> Result<Self, FeedError> {
        let place = match (scope, after) {
            (Scope::Tenant(tenant), None) => Place::Tenant { tenant, at: None, end: None },
            (Scope::Tenant(asked), Some(Cursor::Tenant { tenant, at })) => {
                if tenant != asked {
                    return Err(FeedError::OtherTenant { of: tenant, asked });
                }
                is_there(store, &moments(), (&tenant, at), None).await?;
                Place::Tenant { tenant, at: Some(at), end: None }
            }
            (Scope::Tenant(asked), Some(Cursor::All { .. })) => {
                return Err(FeedError::OfAll(asked));
            }
            (Scope::All, None) => Place::All(Rounds { since: None, under_way: None }),
            (Scope::All, Some(Cursor::Tenant { tenant, .. })) => {
                return Err(FeedError::OfOne(tenant));
            }
            (Scope::All, Some(Cursor::All { since, until, tenant, at })) => {
                // A tenant that was deleted has nothing left to be read.
                if store.settings(&moments(), &tenant).await?.is_some() {
                    is_there(store, &moments(), (&tenant, at), since).await?;
                }
                let round = Round {
                    until,
                    begun: Begun::Before,
                    registry: Registry::After(Some(tenant.clone())),
                    current: Some((tenant, Some(at))),
                    queue: VecDeque::new(),
                };
                Place::All(Rounds { since, under_way: Some(round) })
            }
        };
        Ok(Self { store, moments, place, chains: HashMap::new() })
    }

    /// Reads on: one page at most.
    ///
    /// # Errors
    /// As any read; the same call then reads the same again.
    pub async fn next(&mut self) -> Result<Batch, FeedError> {
        let moment = (self.moments)();
        let leg = match self.place.next(self.store, &moment).await? {
            Next::Leg(leg) => leg,
            Next::Again => return Ok(Batch { told: Vec::new(), more: true }),
            Next::Later => return Ok(Batch::default()),
        };
        let between = (leg.from.unwrap_or(Uuid::nil()), position(leg.until));
        let page = self.store.changes(&moment, &leg.tenant, between, FEED_PAGE).await?;
        self.place.pass(&leg, &page);
        let start = leg.from.map_or(Start::Journal, Start::Behind);
        let new = || Chain::new(leg.tenant.clone(), start);
        let chain = self.chains.entry(leg.tenant.clone()).or_insert_with(new);
        let mut told = Vec::new();
        for change in page.changes {
            told.extend(chain.note(&change, moment.now()).into_iter().map(Told::Gap));
            let (tenant, cursor) = (leg.tenant.clone(), leg.cursor(change.at));
            told.push(Told::Change(Box::new(Delivered { tenant, cursor, change })));
        }
        if !page.more {
            told.extend(chain.settle(between.1).into_iter().map(Told::Gap));
        }
        self.forget();
        Ok(Batch { told, more: page.more || leg.round.is_some() })
    }

    /// What is missing, when nothing more will be read: looks beyond the end for what may stand there by another clock.
    ///
    /// # Errors
    /// As any read.
    pub async fn finish(mut self) -> Result<Vec<Gap>, FeedError> {
        let end = match &self.place {
            Place::Tenant { end, .. } => *end,
            Place::All(rounds) => rounds.since,
        };
        let Some(end) = end.map(position) else { return Ok(Vec::new()) };
        let mut gaps = Vec::new();
        for (tenant, mut chain) in self.chains.drain().filter(|(_, chain)| chain.is_open()) {
            let moment = (self.moments)();
            let now = position(moment.now());
            let mut pages = Pages::new(self.store, &tenant, (just_before(end), now));
            while let Some(changes) = pages.next(&(self.moments)()).await? {
                for change in changes {
                    gaps.extend(chain.note(&change, moment.now()));
                }
            }
            gaps.extend(chain.settle(now));
        }
        gaps.retain(|gap| gap.before < end);
        Ok(gaps)
    }

    /// Forgets the oldest when there is too much to remember.
    fn forget(&mut self) {
        let size: usize = self.chains.values().map(Chain::size).sum();
        if size > FEED_POSITIONS_MAX
            && let Some(largest) = self.chains.values_mut().max_by_key(|chain| chain.size())
        {
            largest.forget();
        }
    }
}

impl Place {
    async fn next(&mut self, store: &Store, moment: &Moment) -> Result<Next, StoreError> {
        let until = moment.now().minus(FEED_BEHIND);
        match self {
            Self::Tenant { tenant, at, .. } => {
                Ok(Next::Leg(Leg { tenant: tenant.clone(), from: *at, until, round: None }))
            }
            Self::All(rounds) => rounds.next(store, moment, until).await,
        }
    }

    /// Moves on behind what was read.
    fn pass(&mut self, leg: &Leg, page: &ChangePage) {
        let last = page.changes.last().map(|change| change.at);
        match self {
            Self::Tenant { at, end, .. } => {
                *at = last.or(*at);
                *end = if page.more { *end } else { Some(leg.until) };
            }
            Self::All(rounds) => {
                if let Some(round) = &mut rounds.under_way {
                    let tenant = leg.tenant.clone();
                    round.current = page.more.then(|| (tenant, last.or(leg.from)));
                }
            }
        }
    }
}

impl Rounds {
    async fn next(
        &mut self,
        store: &Store,
        moment: &Moment,
        now: Timestamp,
    ) -> Result<Next, StoreError> {
        let since = self.since;
        if self.under_way.is_none() && since.is_some_and(|since| now <= since) {
            return Ok(Next::Later);
        }
        let round = self.under_way.get_or_insert_with(|| Round {
            until: now,
            begun: Begun::Here,
            current: None,
            queue: VecDeque::new(),
            registry: Registry::After(None),
        });
        if let Some((tenant, at)) = &round.current {
            let from = at.or(since.map(|since| just_before(position(since))));
            let (tenant, until) = (tenant.clone(), round.until);
            return Ok(Next::Leg(Leg { tenant, from, until, round: Some(RoundSince(since)) }));
        }
        if let Some(tenant) = round.queue.pop_front() {
            round.current = Some((tenant, None));
            return Ok(Next::Again);
        }
        let Registry::After(after) = &round.registry else {
            let begun = round.begun;
            self.since = Some(round.until);
            self.under_way = None;
            // What was old enough when this run began is not all told before a round of its own is.
            return Ok(match begun {
                Begun::Here => Next::Later,
                Begun::Before => Next::Again,
            });
        };
        let page = store.tenants(moment, after.as_ref(), TENANTS_PER_PAGE).await?;
        round.queue.extend(page.tenants.into_iter().map(|info| info.tenant));
        round.registry = match page.next {
            Some(next) => Registry::After(Some(next)),
            None => Registry::Read,
        };
        Ok(Next::Again)
    }
}

/// Whether the journal has the item that a cursor is behind. `since` is where the cursor stands in the feeds of others: what
/// stood there must not have expired either.
async fn is_there(
    store: &Store,
    moment: &Moment,
    (tenant, at): (&TenantId, Uuid),
    since: Option<Timestamp>,
) -> Result<(), FeedError> {
    let (now, written) = (moment.now(), time_of(at));
    let expired = || FeedError::Expired { tenant: tenant.clone(), written };
    if let Some(item) = store.change(moment, tenant, at).await? {
        let lost = since.is_some_and(|since| item.would_have_expired(position(since), now));
        return if lost { Err(expired()) } else { Ok(()) };
    }
    let whole = (Uuid::nil(), Uuid::max());
    let oldest = store.changes(moment, tenant, whole, 1).await?.changes;
    let begins_later = oldest.first().is_some_and(|oldest| oldest.at > at);
    if begins_later || is_older(at, store.journal_days(), now) {
        return Err(expired());
    }
    Err(FeedError::Missing { tenant: tenant.clone(), written })
}
