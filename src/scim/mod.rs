//! The pure core: SCIM's schemas, documents, filters, paths and patches (RFC 7643, RFC 7644).
//!
//! No async, no IO, no clock, no randomness, no environment, no HTTP or AWS types. Everything is total: bad input is
//! a [`error::ScimError`], never a panic.

pub mod bulk;
pub mod catalog;
pub mod coerce;
pub mod column;
pub mod custom;
pub mod discovery;
pub mod document;
pub mod domain;
pub mod error;
pub mod etag;
pub mod filter;
pub mod fold;
pub mod list;
pub mod name;
pub mod patch;
pub mod path;
pub mod project;
pub mod resource;
pub mod schema;
pub mod search;
pub mod sort;
pub mod validate;
pub mod well_known;

mod lex;
mod version;
