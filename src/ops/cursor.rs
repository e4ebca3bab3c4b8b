//! Where a client stands in a list, as text that it hands back (RFC 9865): signed for its token, and bound to what was
//! asked for, so that nothing is remembered between two pages and no other list can be read with it.
//!
//! It holds positions and ids, which the client has seen, and no value of a resource.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use crate::auth::Signer;
use crate::limits::CURSOR_LIFE;
use crate::moment::Timestamp;
use crate::scim::catalog::Kind;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::resource::ResourceId;
use crate::scim::search::SearchRequest;
use crate::store::TenantId;

/// The number of this form.
const FORM: u8 = 1;
/// Bytes before the signature: form, when it was issued, page size, kind, id, version, how many came before.
const BODY_BYTES: usize = 1 + 8 + 8 + 1 + 16 + 8 + 8;

/// The last resource that a client was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub id: ResourceId,
    /// Its version then: in a list that is sorted by its values, it stands where it stood while it has that.
    pub version: u64,
    /// How many were shown until then.
    pub shown: usize,
}

/// The one list that a cursor is good for.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// Whose list it is.
    pub tenant: &'a TenantId,
    /// Signs for the token that asks.
    pub signer: &'a Signer,
    /// What is listed.
    pub kinds: &'a [Kind],
    /// With which filter, in which order.
    pub asked: &'a SearchRequest,
    /// Resources on a page.
    pub count: usize,
    /// When it is asked for.
    pub now: Timestamp,
}

impl Bound<'_> {
    /// What is signed before the position.
    fn parts(&self) -> Vec<&[u8]> {
        let texts = [&self.asked.filter, &self.asked.sort_by, &self.asked.sort_order];
        // Absent and empty are not the same.
        let texts = texts.into_iter().flat_map(|text| {
            let given: &[u8] = if text.is_some() { b"+" } else { b"-" };
            [given, text.as_deref().unwrap_or_default().as_bytes()]
        });
        std::iter::once(self.tenant.as_str().as_bytes())
            .chain(texts)
            .chain(self.kinds.iter().map(|kind| kind.name().as_bytes()))
            .collect()
    }

    /// The cursor behind a position.
    pub fn write(&self, position: &Position) -> String {
        let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX).to_be_bytes();
        let kind = self.kinds.iter().position(|kind| *kind == position.kind).unwrap_or_default();
        let mut bytes = vec![FORM];
        bytes.extend(self.now.unix_seconds().to_be_bytes());
        bytes.extend(number(self.count));
        bytes.push(u8::try_from(kind).unwrap_or(u8::MAX));
        bytes.extend(position.id.bytes());
        bytes.extend(position.version.to_be_bytes());
        bytes.extend(number(position.shown));
        let mut parts = self.parts();
        parts.push(&bytes);
        let signature = self.signer.sign(&parts);
        bytes.extend(signature);
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// The position in a cursor.
    ///
    /// # Errors
    /// 400 `invalidCursor` for what was not given out for this list, `expiredCursor` when that is too long ago,
    /// `invalidCount` when the pages had another size (RFC 9865 §2.1).
    pub fn read(&self, cursor: &str) -> Result<Position, ScimError> {
        let invalid = || {
            let detail = "cursor: it was not given out for this list; send nextCursor as it came, with the token, path, filter, \
                          sortBy and sortOrder that it came for, or begin with an empty cursor";
            ScimError::new(ErrorKind::InvalidCursor, detail)
        };
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| invalid())?;
        let (body, signature) = bytes.split_at_checked(BODY_BYTES).ok_or_else(invalid)?;
        let mut parts = self.parts();
        parts.push(body);
        if !self.signer.has_signed(&parts, signature) {
            return Err(invalid());
        }
        let (issued, size, position) = fields(self.kinds, body).ok_or_else(invalid)?;
        let expired = issued.plus(CURSOR_LIFE) <= self.now;
        if expired {
            let detail = format!(
                "cursor: it was good for {} minutes and is older; begin again with an empty cursor",
                CURSOR_LIFE.as_secs() / Duration::from_mins(1).as_secs()
            );
            return Err(ScimError::new(ErrorKind::ExpiredCursor, detail));
        }
        if size != self.count {
            let detail = format!(
                "count: this cursor is of pages of {size}; send count={size} with it, or begin again with an empty cursor"
            );
            return Err(ScimError::new(ErrorKind::InvalidCount, detail));
        }
        Ok(position)
    }
}

/// When a cursor was issued, the size of its pages, and the position in it.
fn fields(kinds: &[Kind], body: &[u8]) -> Option<(Timestamp, usize, Position)> {
    let (form, rest) = body.split_first()?;
    let (issued, rest) = rest.split_first_chunk::<8>()?;
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let (kind, rest) = rest.split_first()?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let (version, rest) = rest.split_first_chunk::<8>()?;
    let shown = rest.first_chunk::<8>()?;
    let number = |bytes: &[u8; 8]| usize::try_from(u64::from_be_bytes(*bytes)).ok();
    let position = Position {
        kind: *kinds.get(usize::from(*kind))?,
        id: ResourceId::from_bytes(*id),
        version: u64::from_be_bytes(*version),
        shown: number(shown)?,
    };
    let issued = Timestamp::from_unix(i64::from_be_bytes(*issued), 0)?;
    (*form == FORM).then_some((issued, number(size)?, position))
}
