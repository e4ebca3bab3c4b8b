//! Two tenants with the same people, synchronised at once: neither sees anything of the other.

use std::collections::BTreeSet;

use futures_util::future::join;
use scim_endpoint::simulate::{Dialects, Plan, Rehearsal, Silent, Size, Switch, directory};
use serde_json::Value;

use super::front::get;
use super::site::Site;

/// The ids of everything in a collection, as that token sees it.
async fn ids(site: &Site, token: &str, collection: &str) -> BTreeSet<String> {
    let base_url = &site.started.base_url;
    let (status, list) = get(base_url, token, &format!("/{collection}?count=1000")).await;
    assert_eq!(status, 200, "{list}");
    let all: BTreeSet<String> = list["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| resource["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(list["totalResults"].as_u64().unwrap(), u64::try_from(all.len()).unwrap());
    all
}

#[tokio::test]
async fn two_tenants_with_the_same_people_never_see_each_other() {
    let (below, seed) = (Switch::default(), 21);
    let site = Site::faulty(&["left", "right"], below.clone(), seed).await;
    let source = directory(Size { users: 16, groups: 4, everyone_has_mail: true }, seed);
    // DynamoDB's faults come while the first one's are on; each has the wire's for itself.
    let plan =
        |chaos| Plan { seed, chaos: Some(chaos), dialects: Dialects::Mixed, ..Plan::default() };
    let mut left = site.rehearsal("left", plan(below), source.clone()).await;
    let mut right = site.rehearsal("right", plan(Switch::default()), source).await;
    for cycle in 0..3 {
        if cycle > 0 {
            left.let_things_happen();
            right.let_things_happen();
        }
        join(left.cycle(&mut Silent), right.cycle(&mut Silent)).await;
    }
    for _ in 0..2 {
        join(left.settle(&mut Silent), right.settle(&mut Silent)).await;
    }
    let ends = |rehearsal: &Rehearsal| {
        let report = rehearsal.report().unwrap();
        assert!(report.is_good() && report.open().count() == 0, "{:?}", report.findings());
        assert!(report.faults.values().sum::<usize>() > 10, "{:?}", report.faults);
        (report.users, report.groups)
    };
    let people = [ends(&left), ends(&right)];

    let mut seen: Vec<[BTreeSet<String>; 2]> = Vec::new();
    for tenant in ["left", "right"] {
        let token = site.token(tenant);
        seen.push([ids(&site, token, "Users").await, ids(&site, token, "Groups").await]);
        site.check(tenant).await;
    }
    for ([users, groups], (living, there)) in seen.iter().zip(people) {
        // Whoever was blocked before the first cycle was never created.
        assert!(users.len() <= living && users.len() > 10, "{} of {living}", users.len());
        assert_eq!(groups.len(), there);
    }
    for (number, collection) in ["Users", "Groups"].into_iter().enumerate() {
        let [of_left, of_right] = [&seen[0][number], &seen[1][number]];
        assert_eq!(of_left.intersection(of_right).count(), 0, "an id is in both tenants");
        for (token, own, foreign) in [("left", of_left, of_right), ("right", of_right, of_left)] {
            let read = async |id: &String| {
                get(&site.started.base_url, site.token(token), &format!("/{collection}/{id}")).await
            };
            for id in own {
                assert_eq!(read(id).await.0, 200);
            }
            for id in foreign {
                let (status, told) = read(id).await;
                assert_eq!((status, &told["scimType"]), (404, &Value::Null), "{told}");
            }
        }
    }
}
