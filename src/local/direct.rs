//! The service in this process over a data file of its own, called without a socket: what is timed is the service, its store
//! and the engine.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, header};

use super::engine::Engine;
use super::{LocalError, config, describe, seed};
use crate::auth::TokenSecret;
use crate::config::Config;
use crate::http::{App, Request, decode_path, handle};
use crate::limits::TOKEN_CACHE_SECONDS_MAX;
use crate::scim::catalog::Catalog;
use crate::store::{Store, Tables, TenantId};
use crate::system::Moments;

/// A service that answers its own process.
pub struct Direct {
    app: App,
    engine: Engine,
    moments: Moments,
    tenants: Vec<(TenantId, TokenSecret)>,
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The tokens stay out of it.
        f.debug_struct("Direct").finish_non_exhaustive()
    }
}

impl Direct {
    /// Opens it over a file whose data nobody would miss, or in memory, with these tenants; those that are not there are created. `rate` is what each
    /// may ask for in a second.
    ///
    /// # Errors
    /// A file that cannot be read, an engine that does not start.
    pub async fn open(
        data: Option<&Path>,
        moments: Moments,
        tenants: &[TenantId],
        rate: Option<u32>,
    ) -> Result<Self, LocalError> {
        let engine = Engine::start(data).await?;
        engine.hasten()?;
        let catalog = Catalog::embedded().map_err(|error| LocalError::new(error.to_string()))?;
        let store = Store::connect(&engine.sdk_config(), Tables::local(), Arc::new(catalog));
        store
            .create_tables()
            .await
            .map_err(|error| describe("the tables cannot be created", &error))?;
        let tenants = seed(&store, &moments, tenants).await?;
        let token_cache = Duration::from_secs(TOKEN_CACHE_SECONDS_MAX);
        let config = Config { token_cache, ..config(None, rate) };
        Ok(Self { app: App::new(store, config), engine, moments, tenants })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        self.app.store()
    }

    /// Where its moments come from.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// From now on the engine throttles every call about that tenant's items, or none.
    pub fn throttle(&self, tenant: Option<&TenantId>) {
        self.engine.throttle(tenant.map(TenantId::as_str));
    }

    /// Sends a request of the tenant with that number; `target` is the raw path and query below the SCIM root.
    ///
    /// # Errors
    /// When there is no such tenant, or its token is no header.
    pub async fn call(
        &self,
        tenant: usize,
        (method, target): (Method, &str),
        body: Bytes,
    ) -> Result<Response<Bytes>, LocalError> {
        let no_header = || LocalError::new("there is no token for a tenant of that number");
        let token = self.token(tenant).ok_or_else(no_header)?;
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.map_err(|_| no_header())?);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = decode_path(&format!("{}{path}", self.app.config().base_path));
        let query = query.to_owned();
        let origin = Some("https://scim.example.com".to_owned());
        Ok(self.answer(Request { method, path, query, headers, body, origin }).await)
    }

    /// Answers a request as it is, path and headers included.
    pub async fn answer(&self, request: Request) -> Response<Bytes> {
        handle(&self.app, request, self.moments.unnamed()).await
    }

    /// The token of the tenant with that number.
    pub fn token(&self, tenant: usize) -> Option<&str> {
        self.tenants.get(tenant).map(|(_, token)| token.reveal())
    }

    /// The path below which everything lies.
    pub fn base_path(&self) -> &str {
        &self.app.config().base_path
    }

    /// Closes the engine's file.
    pub async fn close(self) {
        self.engine.stop().await;
    }
}
