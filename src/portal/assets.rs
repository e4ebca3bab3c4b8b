//! The one stylesheet and the one script, under names that change when they do, so that browsers may keep them for ever.

use std::sync::OnceLock;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest as _, Sha256};

use super::answer::{Outer, Stop, protect, set};

/// Characters of the digest that make a name.
const NAME_BYTES: usize = 8;

/// A file that never changes under its name.
#[derive(Debug)]
pub(super) struct Asset {
    name: String,
    media_type: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(text: &'static str, (stem, ending): (&str, &str), media_type: &'static str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let short = digest.get(..NAME_BYTES).unwrap_or_default();
        Self { name: format!("{stem}-{}.{ending}", HEXLOWER.encode(short)), media_type, text }
    }

    /// The name, with a part of the content's digest.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// The stylesheet.
pub(super) fn css() -> &'static Asset {
    static CSS: OnceLock<Asset> = OnceLock::new();
    let text = include_str!("portal.css");
    CSS.get_or_init(|| Asset::new(text, ("portal", "css"), "text/css; charset=utf-8"))
}

/// The script: a button that copies, and a page that looks again.
pub(super) fn js() -> &'static Asset {
    static JS: OnceLock<Asset> = OnceLock::new();
    let text = include_str!("portal.js");
    JS.get_or_init(|| Asset::new(text, ("portal", "js"), "text/javascript; charset=utf-8"))
}

/// The file of that name.
pub(super) fn answer(name: &str, outer: &Outer) -> Result<Response<Bytes>, Stop> {
    let found = [css(), js()].into_iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(Stop::nothing_here)?;
    let mut response = Response::new(Bytes::from_static(asset.text.as_bytes()));
    set(&mut response, CONTENT_TYPE, asset.media_type);
    set(&mut response, CACHE_CONTROL, "public, max-age=31536000, immutable");
    protect(&mut response, outer);
    Ok(response)
}
