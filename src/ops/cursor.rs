//! Where a client stands in a list, as text that it hands back (RFC 9865): signed for its token, and bound to what was
//! asked for, so that nothing is remembered between two pages and no other list can be read with it.
//!
//! It holds positions and ids, which the client has seen, and no value of a resource.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use super::Call;
use crate::limits::CURSOR_LIFE;
use crate::moment::Timestamp;
use crate::scim::catalog::Kind;
use crate::scim::error::{ErrorKind, ScimError};
use crate::scim::resource::ResourceId;
use crate::scim::search::SearchRequest;

/// The number of this form.
const FORM: u8 = 1;
/// Bytes before the signature: form, when it was issued, page size, kind, id, version, how many came before.
const BODY_BYTES: usize = 1 + 8 + 8 + 1 + 16 + 8 + 8;

/// The last resource that a client was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Its kind.
    pub(super) kind: Kind,
    /// Its id.
    pub(super) id: ResourceId,
    /// Its version then: in a list that is sorted by its values, it stands where it stood while it has that.
    pub(super) version: u64,
    /// How many were shown until then.
    pub(super) shown: usize,
}

/// What a cursor is good for: these kinds, this filter, this order.
fn bound_to<'a>(call: &'a Call<'_>, kinds: &'a [Kind], asked: &'a SearchRequest) -> Vec<&'a [u8]> {
    let texts = [&asked.filter, &asked.sort_by, &asked.sort_order];
    // Absent and empty are not the same.
    let texts = texts.into_iter().flat_map(|text| {
        let given: &[u8] = if text.is_some() { b"+" } else { b"-" };
        [given, text.as_deref().unwrap_or_default().as_bytes()]
    });
    std::iter::once(call.caller.tenant().as_str().as_bytes())
        .chain(texts)
        .chain(kinds.iter().map(|kind| kind.name().as_bytes()))
        .collect()
}

/// The cursor behind a position.
pub(super) fn write(
    call: &Call<'_>,
    (kinds, asked, count): (&[Kind], &SearchRequest, usize),
    position: &Position,
) -> String {
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX).to_be_bytes();
    let kind = kinds.iter().position(|kind| *kind == position.kind).unwrap_or_default();
    let mut bytes = vec![FORM];
    bytes.extend(call.moment.now().unix_seconds().to_be_bytes());
    bytes.extend(number(count));
    bytes.push(u8::try_from(kind).unwrap_or(u8::MAX));
    bytes.extend(position.id.bytes());
    bytes.extend(position.version.to_be_bytes());
    bytes.extend(number(position.shown));
    let mut parts = bound_to(call, kinds, asked);
    parts.push(&bytes);
    let signature = call.caller.signer().sign(&parts);
    bytes.extend(signature);
    BASE64URL_NOPAD.encode(&bytes)
}

/// The position in a cursor.
///
/// # Errors
/// 400 `invalidCursor` for what was not given out for this list, `expiredCursor` when that is too long ago, `invalidCount`
/// when the pages had another size.
pub(super) fn read(
    call: &Call<'_>,
    (kinds, asked, count): (&[Kind], &SearchRequest, usize),
    cursor: &str,
) -> Result<Position, ScimError> {
    let invalid = || {
        let detail = "cursor: it was not given out for this list; send nextCursor as it came, with the token, path, filter, \
                      sortBy and sortOrder that it came for, or begin with an empty cursor";
        ScimError::new(ErrorKind::InvalidCursor, detail)
    };
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| invalid())?;
    let (body, signature) = bytes.split_at_checked(BODY_BYTES).ok_or_else(invalid)?;
    let mut parts = bound_to(call, kinds, asked);
    parts.push(body);
    if !call.caller.signer().has_signed(&parts, signature) {
        return Err(invalid());
    }
    let (issued, size, position) = fields(kinds, body).ok_or_else(invalid)?;
    let expired = issued.plus(CURSOR_LIFE) <= call.moment.now();
    if expired {
        let detail = format!(
            "cursor: it was good for {} minutes and is older; begin again with an empty cursor",
            CURSOR_LIFE.as_secs() / Duration::from_mins(1).as_secs()
        );
        return Err(ScimError::new(ErrorKind::ExpiredCursor, detail));
    }
    if size != count {
        let detail = format!(
            "count: this cursor is of pages of {size}; send count={size} with it, or begin again with an empty cursor"
        );
        return Err(ScimError::new(ErrorKind::InvalidCount, detail));
    }
    Ok(position)
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
