//! Whole cycles of Entra's against the endpoint, over loopback: whatever the dialect, the matching attribute, the changes
//! and the faults, the endpoint ends as the source is. `simulate/wrong.rs` shows that the simulator would tell otherwise.

mod command;
mod front;
mod gateway;
mod journal;
mod killed;
mod load;
mod log;
mod marked;
mod providers;
mod site;
mod tenants;
mod wire;
mod wrong;

use scim_endpoint::simulate::{
    Action, Change, Code, CycleKind, Dialect, Dialects, Embedded, Matching, Person, Plan,
    Rehearsal, Report, Restart, Silent, Size, Source, Standing, Switch, directory,
};
use scim_endpoint::system::Moments;
use site::Site;
use uuid::Uuid;

const SIZE: Size = Size { users: 40, groups: 6, everyone_has_mail: false };

/// A server of its own, and a rehearsal that has connected to it.
struct Stage {
    embedded: Embedded,
    rehearsal: Rehearsal,
}

impl Stage {
    async fn set(plan: Plan, source: Source) -> Self {
        let moments = Moments::new().unwrap();
        let faults = plan.chaos.clone().map(|switch| (switch, plan.seed));
        let embedded = Embedded::start(moments.clone(), faults).await.unwrap();
        let endpoint = embedded.endpoint().unwrap();
        let mut rehearsal = Rehearsal::new(endpoint, plan, source, moments).unwrap();
        rehearsal.connect(&mut Silent).await.unwrap();
        Self { embedded, rehearsal }
    }

    /// A calm cycle that ends as the source is.
    async fn cycle(&mut self) -> scim_endpoint::simulate::CycleReport {
        let cycle = self.rehearsal.cycle(&mut Silent).await;
        assert_eq!((cycle.findings.as_slice(), cycle.failed), (&[][..], 0), "{cycle:?}");
        assert_eq!(cycle.formula, [""; 0], "cycle {}", cycle.number);
        cycle
    }

    async fn check(&self) {
        let checked = self.embedded.check().await.unwrap();
        assert!(checked.is_whole(), "{:?}", checked.findings);
    }

    /// How many items its journal has.
    async fn journal(&self) -> usize {
        let moment = Moments::new().unwrap().unnamed();
        let (store, tenant) = (self.embedded.store(), self.embedded.tenant());
        let (mut count, mut after) = (0, Uuid::nil());
        loop {
            let page = store.changes(&moment, tenant, (after, Uuid::max()), 1_000).await.unwrap();
            count += page.changes.len();
            match page.changes.last() {
                Some(last) if page.more => after = last.at,
                _ => return count,
            }
        }
    }

    fn person(&mut self, name: &str) -> &mut Person {
        let source = self.rehearsal.source_mut();
        let key = source.named(name).unwrap_or_else(|| panic!("nobody is {name}")).to_owned();
        source.people.get_mut(&key).unwrap()
    }
}

fn nobody_changes() -> Vec<(Change, u32)> {
    Change::ALL.map(|change| (change, 0)).to_vec()
}

/// Plays a plan that must end well, and says how.
async fn play_well(plan: Plan, size: Size) -> Report {
    let source = directory(size, plan.seed);
    let mut stage = Stage::set(plan, source).await;
    stage.rehearsal.play(&mut Silent).await;
    let report = stage.rehearsal.report().unwrap();
    assert!(report.is_good(), "{:?} {:?}", report.health, report.findings());
    assert_eq!(report.cycles.last().unwrap().kind, CycleKind::Restart);
    assert_eq!(report.open().count(), 0);
    stage.check().await;
    report
}

async fn plays_calmly(dialects: Dialects, seed: u64) {
    let report = play_well(Plan { dialects, seed, ..Plan::default() }, SIZE).await;
    for cycle in &report.cycles {
        assert_eq!((cycle.failed, cycle.findings.len()), (0, 0), "{cycle:?}");
        assert_eq!(cycle.formula, [""; 0], "cycle {}", cycle.number);
    }
    assert_eq!(
        report.cycles.last().unwrap().writes(),
        0,
        "a restart finds everything as it left it"
    );
    assert_eq!(report.remarks.keys().collect::<Vec<_>>(), [""; 0]);
    assert!(report.done(Action::Disable) > 0 && report.done(Action::Unassign) > 0, "{report:?}");
}

#[tokio::test]
async fn the_old_dialect_ends_in_the_sources_state() {
    plays_calmly(Dialects::One(Dialect::Legacy), 7).await;
}

#[tokio::test]
async fn the_flags_dialect_ends_in_the_sources_state() {
    plays_calmly(Dialects::One(Dialect::Compliant), 8).await;
}

#[tokio::test]
async fn both_dialects_on_the_same_objects_end_in_the_sources_state() {
    plays_calmly(Dialects::Mixed, 9).await;
}

#[tokio::test]
async fn people_are_matched_by_any_attribute() {
    for matching in [Matching::ExternalId, Matching::Email] {
        let plan = Plan { matching, cycles: 2, dialects: Dialects::Mixed, ..Plan::default() };
        let size = Size { users: 15, groups: 3, everyone_has_mail: true };
        let report = play_well(plan, size).await;
        assert!(report.cycles.iter().all(|cycle| cycle.failed == 0), "{matching:?}");
    }
}

#[tokio::test]
async fn nothing_is_written_while_nobody_changes() {
    let plan = Plan { rates: nobody_changes(), ..Plan::default() };
    let size = Size { users: 12, groups: 3, everyone_has_mail: false };
    let (site, proxy) = Site::counted("demo").await;
    // What reaches the store and could change it; when a token was last used, and how often, is noted whatever happens.
    let writes = || {
        let mut calls = proxy.calls();
        let reads = ["GetItem", "BatchGetItem", "Query"];
        calls.retain(|call| !reads.contains(&call.split(' ').next().unwrap()));
        let is_noted =
            |call: &String| ["UpdateItem activity", "UpdateItem traffic"].contains(&call.as_str());
        calls.retain(|call| !is_noted(call));
        calls
    };
    let mut rehearsal = site.rehearsal("demo", plan, directory(size, 3)).await;
    let first = rehearsal.cycle(&mut Silent).await;
    assert_eq!((first.findings.as_slice(), first.failed), (&[][..], 0), "{first:?}");
    assert!(writes().len() >= first.writes() && first.writes() > 20, "{:?}", writes());
    proxy.forget_calls();
    assert!(rehearsal.let_things_happen().is_empty());
    let unchanged = rehearsal.cycle(&mut Silent).await;
    assert_eq!((unchanged.requests_in_all(), unchanged.writes()), (2, 0), "only probes");
    for restart in [Restart::KeepLinks, Restart::ForgetLinks] {
        let again = rehearsal.restart(restart, &mut Silent).await;
        assert_eq!((again.writes(), again.failed, again.findings.len()), (0, 0, 0), "{again:?}");
        assert!(again.requests_in_all() > 30, "{restart:?} looks at everybody");
    }
    assert!(proxy.calls().len() > 100, "the store was read");
    assert_eq!(writes(), [""; 0]);
    site.check("demo").await;
}

#[tokio::test]
async fn a_name_is_taken_as_soon_as_it_is_free() {
    let size = Size { users: 6, groups: 1, everyone_has_mail: true };
    let mut stage = Stage::set(Plan::default(), directory(size, 5)).await;
    stage.cycle().await;
    let names: Vec<String> =
        stage.rehearsal.source_mut().living().map(|(_, person)| person.name().to_owned()).collect();
    // A ring of three, all in one cycle: whoever comes too early is told 409 and tried again.
    for (old, new) in
        [(0, "free@rehearsal.example"), (1, names[0].as_str()), (2, names[1].as_str())]
    {
        stage.person(&names[old]).set("userName", new);
    }
    let ring = stage.rehearsal.cycle(&mut Silent).await;
    let mut last = ring;
    for _ in 0..2 {
        if !last.findings.is_empty() {
            last = stage.rehearsal.settle(&mut Silent).await;
        }
    }
    assert!(last.findings.is_empty(), "{:?}", last.findings);
    let report = stage.rehearsal.report().unwrap();
    let failures = report.log.iter().filter_map(|entry| entry.failure.as_ref());
    assert!(
        failures.clone().all(|failure| failure.code == Code::Conflict),
        "{failures:?}",
        failures = failures.collect::<Vec<_>>()
    );
    stage.check().await;
}

#[tokio::test]
async fn people_leave_come_back_and_are_deleted() {
    let plan = Plan { dialects: Dialects::Mixed, ..Plan::default() };
    let size = Size { users: 10, groups: 3, everyone_has_mail: false };
    let mut stage = Stage::set(plan, directory(size, 11)).await;
    stage.cycle().await;
    let source = stage.rehearsal.source_mut();
    let keys: Vec<String> = source.people.keys().cloned().collect();
    let group = source.groups.values_mut().next().unwrap();
    group.members.extend(keys.iter().take(3).cloned());
    for (key, standing) in
        [(0, Standing::Unassigned), (1, Standing::Disabled), (2, Standing::Disabled)]
    {
        source.people.get_mut(&keys[key]).unwrap().standing = standing;
    }
    let left = stage.cycle().await;
    assert_eq!(left.actions[&Action::Disable], 3);
    // Who comes back has the same id and the same groups; who is deleted has a successor with the same name.
    let source = stage.rehearsal.source_mut();
    source.people.get_mut(&keys[0]).unwrap().standing = Standing::Active;
    source.people.get_mut(&keys[1]).unwrap().standing = Standing::Active;
    source.purge(&keys[2]);
    let deleted = stage.cycle().await;
    assert_eq!((deleted.actions[&Action::Delete], deleted.actions[&Action::Update]), (1, 2));
    let source = stage.rehearsal.source_mut();
    let mut successor = source.people[&keys[2]].clone();
    successor.standing = Standing::Active;
    successor.manager = None;
    successor.set("externalId", "5f0c1d5e-0000-4000-8000-00000000beef");
    source.people.insert("5f0c1d5e-0000-4000-8000-00000000beef".to_owned(), successor);
    let hired = stage.cycle().await;
    assert_eq!(hired.actions[&Action::Create], 1);
    stage.check().await;
}

#[tokio::test]
async fn runs_on_demand_in_a_cycle_do_no_harm() {
    let plan =
        Plan { on_demand: true, dialects: Dialects::One(Dialect::Compliant), ..Plan::default() };
    let report = play_well(plan, Size { users: 20, groups: 4, everyone_has_mail: false }).await;
    assert!(report.log.iter().filter(|entry| entry.is_on_demand).count() > 3);
}

#[tokio::test]
async fn faults_on_the_wire_and_of_dynamodb_lose_and_double_nothing() {
    for seed in [7, 8, 9] {
        let chaos = Some(Switch::default());
        let plan = Plan { chaos, seed, dialects: Dialects::Mixed, cycles: 2, ..Plan::default() };
        let report = play_well(plan, Size { users: 16, groups: 4, everyone_has_mail: false }).await;
        let settling = report.cycles.iter().filter(|cycle| cycle.kind == CycleKind::Settling);
        assert!(settling.count() <= 2, "seed {seed}");
        assert!(report.faults.values().sum::<usize>() > 10, "seed {seed}: {:?}", report.faults);
        // What a gateway says in its place is not held against the endpoint.
        assert!(!report.remarks.keys().any(|remark| remark.contains("application/json")));
    }
}
