//! What the identity provider did, for people: its cycles, whether that is healthy, the provisioning log, and why somebody
//! is not there.
//!
//! [`cycles`] is pure, over the counts in slots of ten minutes; [`health`] reads a bounded number of items and judges them
//! by a pure function; [`log`] reads the journal page by page, and says how far it has looked; [`why`] puts together
//! what directory and journal know of one person. Nothing here writes, and nothing prints: what they return has texts in
//! it that can be shown as they are, in [`words::plain`] wherever a directory's own text is repeated.

pub mod cycles;
pub mod health;
pub mod log;
pub mod why;
pub mod words;
