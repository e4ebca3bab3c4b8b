//! `scimctl`: the endpoint on a developer's machine, and its operator's commands. Everything is in `cli`; here is only what
//! the machine gives to it.

use std::process::ExitCode;

use scim_endpoint::cli::{self, Host};
use scim_endpoint::system::{self, Moments};

/// The embedded engine asks for much memory, from several threads: with the system's allocator a request costs a third
/// more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> std::io::Result<ExitCode> {
    let host = Host {
        moments: Moments::new()?,
        variable: system::environment,
        // Where it cannot be told, printed commands call the program by its name.
        executable: std::env::current_exe().ok(),
    };
    Ok(cli::run(std::env::args_os(), &host).await)
}
