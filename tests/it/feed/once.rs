//! At least once, in order, and never what is too young: whoever dies at any point and goes on behind the last cursor that
//! it has noted has met every item at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use scim_endpoint::feed::cursor::Cursor;
use scim_endpoint::feed::reader::{Delivered, Reader, Scope, Told};
use scim_endpoint::limits::{FEED_BEHIND, FEED_PAGE};
use scim_endpoint::store::feed::time_of;
use scim_endpoint::store::{Settings, TenantId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{journal_of, made_up, read, rewrite, told};
use crate::app::App;
use crate::races::{entries, user};

/// One who reads, dies, and goes on behind what it has noted.
struct Consumer<'a> {
    app: &'a App,
    scope: Scope,
    chance: StdRng,
    /// It dies before it has met so many.
    life: usize,
    noted: Option<Cursor>,
    met: BTreeMap<TenantId, BTreeSet<Uuid>>,
    deliveries: usize,
    deaths: usize,
}

impl<'a> Consumer<'a> {
    fn new(app: &'a App, scope: Scope, life: usize) -> Self {
        let chance = StdRng::seed_from_u64(u64::try_from(life).unwrap());
        let (noted, met) = (None, BTreeMap::new());
        Self { app, scope, chance, life, noted, met, deliveries: 0, deaths: 0 }
    }

    /// Reads until it dies, or until there is nothing more; whether it has come to the end.
    async fn live(&mut self) -> bool {
        let moments = || self.app.moment();
        let (store, scope) = (self.app.store(), self.scope.clone());
        let mut reader = Reader::open(store, &moments, scope, self.noted.clone()).await.unwrap();
        let mut left = self.chance.random_range(0..self.life);
        let mut last: BTreeMap<TenantId, Uuid> = BTreeMap::new();
        loop {
            let batch = reader.next().await.unwrap();
            for told in batch.told {
                let Told::Change(told) = told else { panic!("a gap: {told:?}") };
                let Delivered { tenant, cursor, change } = *told;
                let behind = self.app.moment().now().minus(FEED_BEHIND);
                assert!(time_of(change.at).unwrap() < behind, "it is too young");
                let before = last.insert(tenant.clone(), change.at);
                assert!(before.is_none_or(|before| before < change.at), "it is out of order");
                assert_eq!(cursor.item(), (&tenant, change.at));
                self.met.entry(tenant).or_default().insert(change.at);
                self.deliveries += 1;
                if left == 0 {
                    // It dies before or after it has noted what it has just done.
                    if self.chance.random_bool(0.5) {
                        self.noted = Some(cursor);
                    }
                    self.deaths += 1;
                    return false;
                }
                left -= 1;
                // The note is text.
                if self.chance.random_bool(0.7) {
                    self.noted = Some(Cursor::parse(&cursor.to_string()).unwrap());
                }
            }
            if !batch.more {
                return true;
            }
        }
    }

    /// Has met exactly what there is.
    async fn expect_all(&self, tenants: &[TenantId]) {
        for tenant in tenants {
            let there: BTreeSet<Uuid> = journal_of(self.app, tenant).await.into_keys().collect();
            let met = self.met.get(tenant).cloned().unwrap_or_default();
            assert_eq!(met, there, "{tenant}");
        }
    }
}

#[tokio::test]
async fn whoever_dies_at_any_point_and_goes_on_has_met_everything() {
    for seed in 0..3 {
        let app = App::start().await;
        let mut chance = StdRng::seed_from_u64(seed);
        let [acme, globex] = ["acme", "globex"].map(|name| TenantId::parse(name).unwrap());
        let mut one = Consumer::new(&app, Scope::Tenant(acme.clone()), 3);
        let mut all = Consumer::new(&app, Scope::All, 4);
        let mut tenants = vec![acme, globex];
        let mut tokens = vec![app.token(), app.other_token()];
        for step in 0..60 {
            if step == 20 || step == 40 {
                // Between the others, and before them, in the order of names.
                let new = TenantId::parse(if step == 20 { "center" } else { "aaa" }).unwrap();
                let token = app.create_tenant(&new, &Settings::default()).await;
                tokens.push(token.reveal().to_owned());
                tenants.push(new);
            }
            let token = &tokens[chance.random_range(0..tokens.len())];
            let body = json!({"userName": format!("u{step}@ex.test")});
            let made = app.call_as(token, "POST", "/Users", body).await.expect(201).id();
            if chance.random_bool(0.3) {
                let gone = format!("/Users/{made}");
                app.call_as(token, "DELETE", &gone, Value::Null).await.expect(204);
            }
            let pause = chance.random_range(0..12_000);
            app.clock().advance(Duration::from_millis(pause));
            if chance.random_bool(0.4) {
                one.live().await;
                all.live().await;
            }
        }
        app.clock().advance(FEED_BEHIND + Duration::from_secs(1));
        while !one.live().await {}
        while !all.live().await {}
        one.expect_all(&tenants[..1]).await;
        all.expect_all(&tenants).await;
        assert!(one.deaths > 3 && all.deaths > 3, "{} and {}", one.deaths, all.deaths);
        let met: usize = all.met.values().map(BTreeSet::len).sum();
        assert!(all.deliveries > met, "nothing was told twice");
    }
}

#[tokio::test]
async fn more_than_a_page_is_read_whole_from_wherever_it_was_cut() {
    let app = App::start().await;
    let [acme, globex] = ["acme", "globex"].map(|name| TenantId::parse(name).unwrap());
    let begin = app.moment().now().plus_seconds(-7_200);
    let count = u32::try_from(FEED_PAGE).unwrap() + 200;
    for tenant in [&acme, &globex] {
        // Many of one millisecond, too.
        let item = |number: u32| {
            let time = begin.plus_seconds(i64::from(number / 50));
            made_up(tenant, time, number, &[("id", "x"), ("event", "prov:patch:notice")])
        };
        rewrite(&app, (0..count).map(item).collect(), Vec::new()).await;
    }
    for (scope, tenants) in
        [(Scope::Tenant(acme.clone()), vec![acme.clone()]), (Scope::All, vec![acme, globex])]
    {
        let (whole, gaps) = read(&app, scope.clone(), None).await.unwrap();
        assert_eq!(gaps, []);
        assert_eq!(whole.len(), tenants.len() * usize::try_from(count).unwrap());
        let ends = [0, 1, FEED_PAGE - 1, FEED_PAGE, whole.len() / 2, whole.len() - 1];
        for end in ends {
            let cursor = whole[end].cursor.clone();
            let (rest, gaps) = read(&app, scope.clone(), Some(cursor)).await.unwrap();
            assert_eq!(gaps, []);
            let ats = |told: &[Delivered]| -> Vec<(TenantId, Uuid)> {
                told.iter().map(|told| (told.tenant.clone(), told.change.at)).collect()
            };
            assert_eq!(ats(&rest), ats(&whole[end + 1..]), "behind {end}");
        }
        let mut consumer = Consumer::new(&app, scope, 900);
        while !consumer.live().await {}
        consumer.expect_all(&tenants).await;
    }
}

#[tokio::test]
async fn what_is_younger_than_15_seconds_is_not_told_yet() {
    let app = App::start().await;
    user(&app, "ida@ex.test").await;
    let scope = || Scope::Tenant(app.tenant());
    assert_eq!(read(&app, scope(), None).await.unwrap().0, []);
    app.clock().advance(Duration::from_secs(10));
    assert_eq!(read(&app, scope(), None).await.unwrap().0, []);
    app.clock().advance(Duration::from_secs(5));
    let (first, _) = read(&app, scope(), None).await.unwrap();
    assert_eq!(first.len(), 1);
    user(&app, "bob@ex.test").await;
    let behind = Some(first[0].cursor.clone());
    assert_eq!(read(&app, scope(), behind.clone()).await.unwrap().0, []);
    app.clock().advance(FEED_BEHIND + Duration::from_millis(1));
    let (second, _) = read(&app, scope(), behind).await.unwrap();
    assert_eq!(second[0].change.user_name(), Some("bob@ex.test"));
    assert_eq!(second.len(), 1);
}

#[tokio::test]
async fn versions_of_a_resource_come_in_order_and_the_end_has_the_last() {
    let app = App::start().await;
    let ida = user(&app, "ida@ex.test").await;
    let target = format!("/Users/{ida}");
    for title in ["a", "b", "c"] {
        let patch = crate::races::replacing("title", title);
        app.call("PATCH", &target, patch).await.expect(200);
    }
    let group = json!({"displayName": "Staff", "members": entries(std::slice::from_ref(&ida))});
    app.call("POST", "/Groups", group).await.expect(201);
    app.call("DELETE", &target, Value::Null).await.expect(204);
    let told = told(&app).await;
    let of_ida = told.iter().filter(|told| told.change.id() == Some(&ida));
    let versions: Vec<Option<u64>> = of_ida.map(|told| told.change.version()).collect();
    assert_eq!(versions, [Some(1), Some(2), Some(3), Some(4), Some(5)]);
}
