//! Where a reader stands, as text that survives a paste: opaque to whoever keeps it, with a checksum.
//!
//! `c1.<tenant>.<at>.<check>` is one tenant's. `a1.<since>.<until>.<tenant>.<at>.<check>` is that of all tenants, who are read
//! in the order of their names, again and again: those before `tenant` are done up to `until`, this one stands at `at`, and
//! those after it are done up to `since`, both in milliseconds since 1970.

use std::fmt;

use uuid::Uuid;

use super::FeedError;
use crate::moment::Timestamp;
use crate::store::TenantId;

/// Where a reader stands: behind an item that it has delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In one tenant's feed.
    Tenant {
        /// Whose.
        tenant: TenantId,
        /// The item.
        at: Uuid,
    },
    /// In the feed of all tenants.
    All {
        /// Up to when the round before this one has delivered everything; `None` in the first.
        since: Option<Timestamp>,
        /// Up to when this round delivers.
        until: Timestamp,
        /// The tenant that it has come to.
        tenant: TenantId,
        /// The item.
        at: Uuid,
    },
}

impl Cursor {
    /// Reads a cursor.
    ///
    /// # Errors
    /// [`FeedError::NoCursor`] for anything that was not written here.
    pub fn parse(text: &str) -> Result<Self, FeedError> {
        let text = text.trim();
        Self::read(text).ok_or_else(|| FeedError::NoCursor(text.to_owned()))
    }

    fn read(text: &str) -> Option<Self> {
        let (body, check) = text.rsplit_once('.')?;
        if checksum(body) != check {
            return None;
        }
        let parts: Vec<&str> = body.split('.').collect();
        let item = |tenant: &str, at: &str| {
            Some((TenantId::parse(tenant).ok()?, Uuid::try_parse(at).ok()?))
        };
        match parts.as_slice() {
            ["c1", tenant, at] => {
                let (tenant, at) = item(tenant, at)?;
                Some(Self::Tenant { tenant, at })
            }
            ["a1", since, until, tenant, at] => {
                let since = if *since == FIRST_ROUND { None } else { Some(from_millis(since)?) };
                let (tenant, at) = item(tenant, at)?;
                Some(Self::All { since, until: from_millis(until)?, tenant, at })
            }
            _ => None,
        }
    }

    /// Where the item stands that it is behind.
    pub fn item(&self) -> (&TenantId, Uuid) {
        match self {
            Self::Tenant { tenant, at } | Self::All { tenant, at, .. } => (tenant, *at),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = match self {
            Self::Tenant { tenant, at } => format!("c1.{tenant}.{at}"),
            Self::All { since, until, tenant, at } => {
                let since = since.map_or_else(
                    || FIRST_ROUND.to_owned(),
                    |since| since.unix_millis().to_string(),
                );
                format!("a1.{since}.{}.{tenant}.{at}", until.unix_millis())
            }
        };
        write!(f, "{body}.{}", checksum(&body))
    }
}

/// What stands for the beginning of all journals.
const FIRST_ROUND: &str = "0";

fn from_millis(text: &str) -> Option<Timestamp> {
    let millis: u64 = text.parse().ok()?;
    let nanoseconds = u32::try_from(millis % 1_000).ok()? * 1_000_000;
    Timestamp::from_unix(i64::try_from(millis / 1_000).ok()?, nanoseconds)
}

fn checksum(body: &str) -> String {
    format!("{:08x}", crc32fast::hash(body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn cursors() -> [Cursor; 3] {
        let tenant = TenantId::parse("acme").unwrap();
        let at = Uuid::try_parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let time = |text| Timestamp::parse(text).unwrap();
        let until = time("2026-11-21T08:00:00.007Z");
        let since = Some(time("2026-11-21T07:59:58.123Z"));
        [
            Cursor::Tenant { tenant: tenant.clone(), at },
            Cursor::All { since: None, until, tenant: tenant.clone(), at },
            Cursor::All { since, until, tenant, at },
        ]
    }

    #[test]
    fn a_cursor_survives_its_text() {
        for cursor in cursors() {
            assert_eq!(Cursor::parse(&format!(" {cursor}\n")).unwrap(), cursor);
        }
        let texts = cursors().map(|cursor| cursor.to_string());
        expect![[r#"
            c1.acme.01890a5d-ac96-774b-bcce-b302099a8057.1f0dfe33
            a1.0.1795248000007.acme.01890a5d-ac96-774b-bcce-b302099a8057.18ca8ef9
            a1.1795247998123.1795248000007.acme.01890a5d-ac96-774b-bcce-b302099a8057.9bebc3fa"#]]
        .assert_eq(&texts.join("\n"));
    }

    #[test]
    fn whatever_is_cut_off_or_mistyped_is_told() {
        for whole in cursors().map(|cursor| cursor.to_string()) {
            for end in 0..whole.len() {
                assert!(Cursor::parse(&whole[..end]).is_err(), "{}", &whole[..end]);
                assert!(Cursor::parse(&whole[end + 1..]).is_err(), "{}", &whole[end + 1..]);
                let mut other = whole.clone().into_bytes();
                other[end] = if other[end] == b'7' { b'8' } else { b'7' };
                let other = String::from_utf8(other).unwrap();
                assert!(Cursor::parse(&other).is_err(), "{other}");
            }
        }
        for text in ["", ".", "c1", "c1.acme", "01890a5d-ac96-774b-bcce-b302099a8057"] {
            let told = Cursor::parse(text).unwrap_err().to_string();
            assert!(told.contains("--after"), "{told}");
        }
    }
}
