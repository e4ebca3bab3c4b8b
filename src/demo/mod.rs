//! `scimctl demo`: the endpoint on this machine, a sample app that listens to it, and one page that shows both while a
//! small story is played over HTTP.
//!
//! `app` is what a team writes in its own product, `story` is the customer's directory, `page` shows. The app learns of
//! people only through the journal and the look-up at sign-in, as a real one does; the story only makes SCIM calls. What
//! both have done stands on the `board`. Everything listens on the loopback address alone.

mod app;
mod board;
mod page;
mod story;

use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::auth::TokenSecret;
use crate::local::{self, LocalError, Server};
use crate::scim::catalog::Catalog;
use crate::store::{Store, Tables, TenantId};
use crate::system::Moments;

use app::Follower;
use board::Board;
use story::Story;

/// The customer of the story.
const TENANT: &str = "acme";
/// Looks at the journal between two steps of the story.
const LOOKS_PER_STEP: u32 = 5;
/// The shortest pause between two looks.
const LOOK_MIN: Duration = Duration::from_millis(5);

/// What the demo is told.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The port of the page on 127.0.0.1; 0 takes any that is free.
    pub port: u16,
    /// The pause between two steps of the story.
    pub pace: Duration,
}

/// What a person needs to know of a demo that has started.
#[derive(Debug)]
pub struct Started {
    /// Where the page is.
    pub page: String,
    /// The SCIM root, without a trailing slash.
    pub base_url: String,
    /// Where the embedded DynamoDB listens.
    pub dynamodb_endpoint: String,
}

/// Why the demo did not start: one line that says what to do.
#[derive(Debug)]
pub struct DemoError(String);

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DemoError {}

impl DemoError {
    fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl From<LocalError> for DemoError {
    fn from(error: LocalError) -> Self {
        Self::new(error)
    }
}

/// A demo that has its ports, and waits to run.
#[derive(Debug)]
pub struct Demo {
    server: Server,
    page: TcpListener,
    board: Arc<Board>,
    follower: Follower,
    story: Story,
}

/// Starts the endpoint and binds the page's port. The story begins when somebody looks at the page.
///
/// # Errors
/// A port in use.
pub async fn start(
    options: Options,
    moments: &Moments,
) -> Result<(Started, Arc<TokenSecret>, Demo), DemoError> {
    let page = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port))).await;
    let page = page.map_err(|error| {
        DemoError(format!(
            "port {} cannot be opened ({error}); choose another with --port, or --port 0 for any that is free",
            options.port
        ))
    })?;
    let address = page.local_addr().map_err(DemoError::new)?;
    let tenant = TenantId::parse(TENANT).map_err(DemoError::new)?;
    let tenants = vec![tenant.clone()];
    let pages = local::Pages::default();
    let token_cache = Duration::ZERO;
    let endpoint = local::Options {
        port: 0,
        data: None,
        tenants,
        rate: None,
        token_cache,
        pages,
        schemas: None,
    };
    let (mut endpoint, server) = local::start(endpoint).await?;
    let (_, token) = endpoint.tenants.pop().ok_or_else(|| DemoError::new("there is no token"))?;
    let token = Arc::new(token);

    // The app's own way to the tables, over the network, as in its own product.
    let catalog = Catalog::embedded().map_err(DemoError::new)?;
    let sdk = local::sdk_config(&endpoint.dynamodb_endpoint);
    let tables = Store::connect(&sdk, Tables::local(), Arc::new(catalog));
    let board = Arc::new(Board::default());
    let pause = (options.pace / LOOKS_PER_STEP).max(LOOK_MIN);
    let follower = Follower::new(tables, tenant, moments.clone(), pause);
    let story = Story::new(&endpoint.base_url, Arc::clone(&token), options.pace)?;
    let started = Started {
        page: format!("http://{address}/"),
        base_url: endpoint.base_url,
        dynamodb_endpoint: endpoint.dynamodb_endpoint,
    };
    Ok((started, token, Demo { server, page, board, follower, story }))
}

impl Demo {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { server, page, board, follower, story } = self;
        let signing_in = follower.clone();
        let tasks = [
            tokio::spawn(page::serve(page, Arc::clone(&board))),
            tokio::spawn(follower.follow(Arc::clone(&board))),
            tokio::spawn(story.perform(board, signing_in)),
        ];
        server.run(shutdown).await;
        for task in tasks {
            task.abort();
        }
    }
}
