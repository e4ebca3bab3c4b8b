//! Cursors: what is read is what was written, and nothing else is read.

use scim_endpoint::auth::{Signer, TokenSecret};
use scim_endpoint::limits::CURSOR_LIFE;
use scim_endpoint::moment::Timestamp;
use scim_endpoint::ops::cursor::{Bound, Position};
use scim_endpoint::scim::catalog::Kind;
use scim_endpoint::scim::resource::ResourceId;
use scim_endpoint::scim::search::SearchRequest;
use scim_endpoint::store::TenantId;

use super::is_told;

/// What is listed, and by whom. No input changes it.
struct Fixed {
    tenants: [TenantId; 2],
    signers: [Signer; 2],
    asked: [SearchRequest; 3],
}

thread_local! {
    static FIXED: Fixed = Fixed::new();
}

const KINDS: [Kind; 2] = [Kind::User, Kind::Group];
const COUNT: usize = 10;

impl Fixed {
    fn new() -> Self {
        let tenant = |name| TenantId::parse(name).expect("it is a name");
        let filtered = |filter: &str| SearchRequest {
            filter: Some(filter.to_owned()),
            ..SearchRequest::default()
        };
        Self {
            tenants: [tenant("acme"), tenant("globex")],
            signers: ["a", "b"].map(Signer::of),
            asked: [SearchRequest::default(), filtered(""), filtered("active eq true")],
        }
    }

    fn bound(&self, now: Timestamp) -> Bound<'_> {
        let [tenant, _] = &self.tenants;
        let [signer, _] = &self.signers;
        let [asked, ..] = &self.asked;
        Bound { tenant, signer, kinds: &KINDS, asked, count: COUNT, now }
    }
}

/// Forty-four bytes are a position, a time, how much later it is read, and a byte of the cursor with what it is changed to;
/// all together are a cursor that somebody made up.
pub(crate) fn cursor(bytes: &[u8]) {
    FIXED.with(|fixed| {
        let now = Timestamp::from_unix(1_800_000_000, 0).expect("it is in the calendar");
        if let Ok(text) = std::str::from_utf8(bytes) {
            is_told(&fixed.bound(now).read(text).expect_err("nobody has given it out"));
        }
        written(fixed, bytes);
    });
}

fn written(fixed: &Fixed, bytes: &[u8]) -> Option<()> {
    let (id, rest) = bytes.split_first_chunk::<16>()?;
    let (version, rest) = rest.split_first_chunk::<8>()?;
    let (shown, rest) = rest.split_first_chunk::<8>()?;
    let (seconds, rest) = rest.split_first_chunk::<8>()?;
    let (later, rest) = rest.split_first_chunk::<2>()?;
    let [at, to] = *rest.first_chunk::<2>()?;
    let now = Timestamp::from_unix(i64::from_be_bytes(*seconds), 0)?;
    let position = Position {
        kind: if at % 2 == 0 { Kind::User } else { Kind::Group },
        id: ResourceId::from_bytes(*id),
        version: u64::from_be_bytes(*version),
        shown: usize::try_from(u64::from_be_bytes(*shown)).ok()?,
    };
    let bound = fixed.bound(now);
    let cursor = bound.write(&position);

    let after = i64::from(u16::from_be_bytes(*later));
    let later = Bound { now: now.plus_seconds(after), ..bound };
    let lives = later.now < now.plus(CURSOR_LIFE);
    match later.read(&cursor) {
        Ok(read) => assert_eq!((read, lives), (position, true)),
        Err(error) => assert!(!lives, "{error}"),
    }

    let mut changed = cursor.clone().into_bytes();
    if let Some(byte) = changed.get_mut(usize::from(at)) {
        *byte = to;
    }
    if let Ok(changed) = String::from_utf8(changed)
        && changed != cursor
    {
        is_told(&bound.read(&changed).expect_err("a byte of it is another"));
    }

    let [_, tenant] = &fixed.tenants;
    let [_, signer] = &fixed.signers;
    let [_, empty, filtered] = &fixed.asked;
    for other in [
        Bound { tenant, ..bound },
        Bound { signer, ..bound },
        Bound { kinds: &[Kind::User], ..bound },
        Bound { asked: empty, ..bound },
        Bound { asked: filtered, ..bound },
        Bound { count: COUNT + 1, ..bound },
    ] {
        is_told(&other.read(&cursor).expect_err("it is of another list"));
    }
    Some(())
}
