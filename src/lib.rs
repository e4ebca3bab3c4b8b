//! A SCIM 2.0 endpoint (RFC 7643, RFC 7644) for Microsoft Entra ID and other identity providers: one Lambda function,
//! three DynamoDB tables, no servers.
//!
//! A request travels one way, and an answer comes back the same way:
//!
//! ```text
//! API Gateway event ─► bin/bootstrap ─┐
//! loopback socket  ─► local (dev)  ───┴► http::handle ─► ops ─► store ─► DynamoDB (real, or the embedded engine)
//!                                          │  route, authenticate, parse     ▲
//!                                          └────────► scim (pure) ◄──────────┘
//! ```
//!
//! The part that can be wrong, [`scim`], does no IO; the part that does IO, [`store`] and the bins, is too thin to be
//! wrong. Read [`limits`] for every bound, [`scim`] for what SCIM is, [`store`] for what is stored, then [`http::handle`]
//! for the life of a request. `docs/ARCHITECTURE.md` has the invariants.

#[cfg(feature = "portal")]
pub mod admin;
pub mod auth;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
#[cfg(feature = "cli")]
pub mod cost;
#[cfg(feature = "cli")]
pub mod demo;
#[cfg(feature = "cli")]
pub mod feed;
pub mod http;
pub mod insight;
pub mod lambda;
pub mod limits;
#[cfg(feature = "cli")]
pub mod local;
pub mod moment;
pub mod ops;
#[cfg(feature = "portal")]
pub mod portal;
#[cfg(feature = "portal")]
pub mod saml;
#[cfg(feature = "cli")]
pub mod scale;
pub mod scim;
pub mod sdk;
#[cfg(feature = "cli")]
pub mod simulate;
pub mod store;
pub mod system;
pub mod telemetry;
#[cfg(feature = "cli")]
pub mod transfer;
pub mod watch;
