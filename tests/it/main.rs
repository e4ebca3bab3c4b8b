//! The one integration binary: conversations, models, races, contracts, and what the repository says of itself.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, and its helpers with it"
)]
#![expect(
    clippy::large_futures,
    clippy::large_stack_arrays,
    clippy::large_enum_variant,
    clippy::similar_names,
    reason = "a test's memory is its own, and a person's name is Pat whose PATCH is patched"
)]

mod app;
mod bad_input;
mod bounds;
mod brake;
mod bulk;
mod check;
mod claims;
mod cli;
mod cost;
mod cursors;
mod custom;
mod demo;
mod domains;
mod exchanges;
mod expiry;
mod faults;
mod feed;
mod fixtures;
mod fuzz;
mod histories;
mod insight;
mod interleavings;
mod lambda;
mod laws;
mod limiter;
mod migrate;
mod model;
mod nested;
mod portal;
mod proxy;
mod races;
mod release;
mod restore;
mod resync;
mod scale;
mod scopes;
mod setup;
mod simulate;
mod sorting;
mod stage;
mod template;
mod tenancy;
mod tidy;
mod transfer;
mod users;
mod watch;
mod whole;
