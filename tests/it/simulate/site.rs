//! A local server with several tenants, something between it and its engine, and rehearsals in its tenants.

use std::time::Duration;

use scim_endpoint::local::{self, LocalError, Options, Pages, Started};
use scim_endpoint::simulate::{Endpoint, Faults, Plan, Rehearsal, Silent, Source, Switch};
use scim_endpoint::store::TenantId;
use scim_endpoint::store::check::Mode;
use scim_endpoint::system::Moments;

use crate::proxy::{Conflicts, Proxy};

/// A server that runs as long as the test does.
pub(super) struct Site {
    pub(super) started: Started,
    _faults: Option<Faults>,
}

impl Site {
    /// With DynamoDB's faults between it and its engine, while the switch is on.
    pub(super) async fn faulty(tenants: &[&str], switch: Switch, seed: u64) -> Self {
        let mut faults = None;
        let started = start(tenants, async |engine| {
            let (between, url) = Faults::start(&engine, switch, seed).await?;
            faults = Some(between);
            Ok(url)
        })
        .await;
        Self { started, _faults: faults }
    }

    /// With nothing between it and its engine.
    pub(super) async fn calm(tenants: &[&str]) -> Self {
        Self { started: start(tenants, async |engine| Ok(engine)).await, _faults: None }
    }

    /// With something between it and its engine that counts.
    pub(super) async fn counted(tenant: &str) -> (Self, Proxy) {
        let mut proxy = None;
        let started = start(&[tenant], async |engine| {
            let (between, url) = Proxy::start(&engine, Conflicts::None).await;
            proxy = Some(between);
            Ok(url)
        })
        .await;
        (Self { started, _faults: None }, proxy.unwrap())
    }

    pub(super) fn token(&self, tenant: &str) -> &str {
        let mut found = self.started.tenants.iter().filter(|(name, _)| name.as_str() == tenant);
        found.next().unwrap().1.reveal()
    }

    /// A rehearsal that has connected to a tenant.
    pub(super) async fn rehearsal(&self, tenant: &str, plan: Plan, source: Source) -> Rehearsal {
        let endpoint = Endpoint::parse(&self.started.base_url, self.token(tenant)).unwrap();
        let moments = Moments::new().unwrap();
        let mut rehearsal = Rehearsal::new(endpoint, plan, source, moments).unwrap();
        rehearsal.connect(&mut Silent).await.unwrap();
        rehearsal
    }

    /// The tenant's tables are whole; read past everything in between.
    pub(super) async fn check(&self, tenant: &str) {
        let store = local::store_of(&self.started).unwrap();
        let tenant = TenantId::parse(tenant).unwrap();
        let moments = Moments::new().unwrap();
        let moments = || moments.unnamed();
        let checked = store.check(&moments, &tenant, Mode::Report, &mut |_| ()).await;
        let report = checked.unwrap().unwrap();
        assert!(report.is_whole(), "{:?}", report.findings);
    }
}

async fn start(
    tenants: &[&str],
    through: impl AsyncFnOnce(String) -> Result<String, LocalError>,
) -> Started {
    let tenants = tenants.iter().map(|name| TenantId::parse(name).unwrap()).collect();
    let (token_cache, pages) = (Duration::ZERO, Pages::default());
    let options =
        Options { port: 0, data: None, tenants, rate: None, token_cache, pages, schemas: None };
    let (started, server) =
        local::start_through(options, async |engine| through(engine).await.map(Some))
            .await
            .unwrap();
    tokio::spawn(server.run(std::future::pending()));
    started
}
