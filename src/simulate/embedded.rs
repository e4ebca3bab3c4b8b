//! The endpoint that a rehearsal starts for itself when nobody names one: the server and the engine of `scimctl serve`, in
//! this process, in memory.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::faults::Faults;
use super::wire::Endpoint;
use super::{SimulateError, Switch};
use crate::limits::TOKEN_CACHE_SECONDS_MAX;
use crate::local::{self, Options, Pages};
use crate::store::check::{Mode, Report};
use crate::store::{Store, TenantId};
use crate::system::Moments;

/// The tenant that is rehearsed in.
const TENANT: &str = "rehearsal";

/// A server of the rehearsal's own.
#[derive(Debug)]
pub struct Embedded {
    base_url: String,
    token: String,
    tenant: TenantId,
    store: Store,
    moments: Moments,
    /// Between the server and its engine, when there are faults.
    _faults: Option<Faults>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Embedded {
    /// Starts it on a free port; with faults between it and its engine when there is a switch for them.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(
        moments: Moments,
        chaos: Option<(Switch, u64)>,
    ) -> Result<Self, SimulateError> {
        Self::start_with(moments, chaos, Duration::ZERO).await
    }

    /// As [`Embedded::start`], without faults, and with tokens remembered as the Lambda remembers them.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_for_load(moments: Moments) -> Result<Self, SimulateError> {
        Self::start_with(moments, None, Duration::from_secs(TOKEN_CACHE_SECONDS_MAX)).await
    }

    async fn start_with(
        moments: Moments,
        chaos: Option<(Switch, u64)>,
        token_cache: Duration,
    ) -> Result<Self, SimulateError> {
        let told =
            |error: String| SimulateError::new(format!("the server cannot be started: {error}"));
        let tenant = TenantId::parse(TENANT).map_err(|error| told(error.to_string()))?;
        let (tenants, pages) = (vec![tenant.clone()], Pages::default());
        let options =
            Options { port: 0, data: None, tenants, rate: None, token_cache, pages, schemas: None };
        let mut faults = None;
        let (started, server) = local::start_through(options, async |engine: String| match chaos {
            None => Ok(None),
            Some((switch, seed)) => {
                let (between, url) = Faults::start(&engine, switch, seed).await?;
                faults = Some(between);
                Ok(Some(url))
            }
        })
        .await
        .map_err(|error| told(error.to_string()))?;
        let token = started.tenants.first().map(|(_, token)| token.reveal().to_owned());
        let token = token.ok_or_else(|| told("it has issued no token".to_owned()))?;
        let store = local::store_of(&started).map_err(|error| told(error.to_string()))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async move { drop(stopped.await) }));
        let base_url = started.base_url;
        let stop = Some(stop);
        Ok(Self { base_url, token, tenant, store, moments, _faults: faults, stop, running })
    }

    /// Where it is.
    ///
    /// # Errors
    /// Never for an address that it has made itself.
    pub fn endpoint(&self) -> Result<Endpoint, SimulateError> {
        Endpoint::parse(&self.base_url, &self.token)
    }

    /// The token of its tenant.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Its tenant.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Its store, past all faults.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether its tables are whole.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn check(&self) -> Result<Report, SimulateError> {
        let moments = || self.moments.unnamed();
        let checked = self.store.check(&moments, &self.tenant, Mode::Report, &mut |_| ()).await;
        let told = |why: String| SimulateError::new(format!("the tables cannot be checked: {why}"));
        let report = checked.map_err(|error| told(error.to_string()))?;
        report.ok_or_else(|| told("the tenant is gone".to_owned()))
    }

    /// Ends it.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // Nobody listens any more when it has ended by itself.
            stop.send(()).ok();
        }
        drop(self.running.await);
    }
}
