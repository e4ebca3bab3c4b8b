//! Health: the verdict, the cycles, what is refused, how long it was silent.

use askama::Template;
use bytes::Bytes;
use http::Response;

use super::{Visit, When};
use crate::insight::cycles::Cycle;
use crate::insight::health::{Share, Verdict, health};
use crate::insight::words::{grouped, percent, span};
use crate::limits::CYCLES_SHOWN;
use crate::portal::answer::{Frame, Stop};
use crate::portal::route::Page;

#[derive(Template)]
#[template(path = "portal/health.html")]
struct HealthPage {
    frame: Frame,
    verdict: &'static str,
    is_fine: bool,
    sentence: String,
    findings: Vec<(&'static str, String)>,
    last_call: Option<When>,
    silence: String,
    rhythm: Option<String>,
    progress: Option<(u64, u64)>,
    users: String,
    throttled: u64,
    cycles: Vec<CycleView>,
    shares: Vec<ShareView>,
}

#[derive(Clone, Debug)]
struct CycleView {
    start: When,
    kind: &'static str,
    told: &'static str,
    people: String,
    writes: String,
    refused: String,
    is_open: bool,
}

#[derive(Clone, Debug)]
struct ShareView {
    method: &'static str,
    all: String,
    refused: String,
    percent: u64,
    reason: String,
}

pub(in crate::portal) async fn show(visit: &Visit<'_>) -> Result<Response<Bytes>, Stop> {
    let read = health(visit.store(), visit.moment, visit.session.tenant()).await?;
    let health = read.ok_or_else(Stop::nothing_here)?;
    visit.page(&HealthPage {
        frame: visit.frame(Page::Health),
        verdict: health.verdict.word(),
        is_fine: matches!(health.verdict, Verdict::Healthy | Verdict::Waiting),
        sentence: health.sentence.clone(),
        findings: health
            .findings
            .iter()
            .map(|finding| (finding.verdict.word(), finding.sentence.clone()))
            .collect(),
        last_call: health.last_call.map(|time| visit.ago(time)),
        silence: span(health.silence_allowed),
        rhythm: health.rhythm.map(span),
        progress: health.progress(),
        users: grouped(health.users),
        throttled: health.throttled,
        cycles: health.cycles.iter().rev().take(CYCLES_SHOWN).map(cycle).collect(),
        shares: health.shares.iter().map(share).collect(),
    })
}

fn cycle(cycle: &Cycle) -> CycleView {
    let (writes, refused) = cycle.sums.writes();
    CycleView {
        start: When::new(cycle.start),
        kind: cycle.kind.word(),
        told: cycle.sentence(),
        people: grouped(cycle.sums.people_seen()),
        writes: grouped(writes),
        refused: grouped(refused),
        is_open: cycle.is_open,
    }
}

fn share(share: &Share) -> ShareView {
    let reason = share.reason.as_ref();
    ShareView {
        method: share.write.method(),
        all: grouped(share.all),
        refused: grouped(share.refused),
        percent: percent(share.refused, share.all),
        reason: reason.map(|reason| reason.detail.clone()).unwrap_or_default(),
    }
}
