//! `scimctl load`: every request of both cycles is sent, checked and counted, what was created is deleted, and a server that
//! is wrong is told apart from one that is fast.

use std::process::{Command, Stdio};

use scim_endpoint::simulate::{Embedded, Endpoint, Load, LoadPlan, Silent};
use scim_endpoint::system::Moments;
use serde_json::Value;

use super::wrong::{Wrong, spoiled};

const PLAN: LoadPlan = LoadPlan { users: 12, groups: 2, members: 5, seed: 1, into_live: false };

#[test]
fn the_command_plays_a_lap_for_each_concurrency() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scimctl"));
    command.args(["load", "--users", "12", "--groups", "2", "--members", "5"]);
    command.args(["--concurrency", "1,3", "--format", "json"]).stdin(Stdio::null());
    let ran = command.env_remove("SCIM_TOKEN").output().expect("it runs");
    let said: Value = serde_json::from_slice(&ran.stdout).expect("one line of JSON");
    assert!(ran.status.success(), "{said:#}{}", String::from_utf8_lossy(&ran.stderr));
    let laps = said["laps"].as_array().unwrap();
    assert_eq!(laps.iter().map(|lap| &lap["concurrency"]).collect::<Vec<_>>(), [1, 3]);
    for lap in laps {
        // Two for each person and group, one for each member, and each group read; then three for each person.
        assert_eq!(lap["initial"]["requests"], 2 * 12 + 2 * 2 + 2 * 5 + 2, "{lap}");
        assert_eq!(lap["incremental"]["requests"], 3 * 12, "{lap}");
        for cycle in ["initial", "incremental"] {
            assert_eq!((&lap[cycle]["errors"], &lap[cycle]["wrong"]), (&0.into(), &0.into()));
            assert!(lap[cycle]["p50_us"].as_u64() <= lap[cycle]["p99_us"].as_u64(), "{lap}");
        }
    }
    assert_eq!(said["cleaned_up"]["deleted"], 2 * 14);
}

#[tokio::test]
async fn a_tenant_is_left_as_it_was() {
    let moments = Moments::new().unwrap();
    let embedded = Embedded::start_for_load(moments.clone()).await.unwrap();
    let load = Load::new(embedded.endpoint().unwrap(), PLAN, moments.clone()).unwrap();
    load.connect().await.unwrap();
    assert!(load.lap(2, &mut Silent).await.is_good());
    let there = embedded.check().await.unwrap();
    assert_eq!((there.users, there.groups, there.is_whole()), (12, 2, true));

    let other = Load::new(embedded.endpoint().unwrap(), PLAN, moments.clone()).unwrap();
    let refused = other.connect().await.unwrap_err().to_string();
    assert!(refused.contains("the tenant is not empty (users: 12, groups: 2)"), "{refused}");
    let plan = LoadPlan { into_live: true, ..PLAN };
    let other = Load::new(embedded.endpoint().unwrap(), plan, moments).unwrap();
    other.connect().await.unwrap();

    let left = load.clean_up(2, &mut Silent).await;
    assert_eq!((left.deleted, left.left), (14, 0));
    let there = embedded.check().await.unwrap();
    assert_eq!((there.users, there.groups, there.is_whole()), (0, 0, true));
}

#[tokio::test]
async fn what_is_read_otherwise_than_written_is_counted() {
    for (wrong, requests_of, told) in [
        (Wrong::Nothing, None, ""),
        (Wrong::IgnoresPatch, Some(12), "somebody is read otherwise than written"),
        (Wrong::ForgetsMembers, Some(2), "a group has other members than it was given"),
        (Wrong::RefusesToken, None, "401"),
    ] {
        let moments = Moments::new().unwrap();
        let embedded = Embedded::start_for_load(moments.clone()).await.unwrap();
        let endpoint = embedded.endpoint().unwrap();
        let server = endpoint.base().trim_start_matches("http://").split('/').next().unwrap();
        let url = spoiled(wrong, server.to_owned()).await;
        let endpoint = Endpoint::parse(&url, embedded.token()).unwrap();
        let lap = Load::new(endpoint, PLAN, moments).unwrap().lap(1, &mut Silent).await;
        assert_eq!(lap.is_good(), wrong == Wrong::Nothing, "{wrong:?}: {lap:?}");
        assert!(lap.is_good() || lap.faults.keys().any(|fault| fault.contains(told)), "{lap:?}");
        let counted = lap.initial.wrong + lap.incremental.wrong;
        assert!(requests_of.is_none_or(|count| count == counted), "{wrong:?}: {lap:?}");
    }
}
