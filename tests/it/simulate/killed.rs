//! `scimctl serve --data FILE`, killed with SIGKILL in the middle of a cycle and started again on its file: at the latest
//! two cycles later the endpoint is as the source is, and the tables are whole.

use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use scim_endpoint::simulate::{
    CycleReport, Dialects, Endpoint, Plan, Rehearsal, Silent, Size, directory,
};
use scim_endpoint::system::Moments;
use serde_json::json;
use tokio::sync::watch;

use super::front::{Behind, Rule, listen};
use crate::cli::{Scratch, Server};

/// Kills the server when it has answered so many requests, and starts it again.
struct Killer {
    file: String,
    behind: watch::Sender<Behind>,
    state: Mutex<State>,
}

struct State {
    server: Option<Server>,
    answered: usize,
    /// Counts of answers at which it is killed, the last one first.
    kills: Vec<usize>,
    killed: usize,
}

impl Killer {
    /// Kills it after that many more answers.
    fn kill_after(&self, counts: &[usize]) {
        let mut state = self.state.lock().unwrap();
        state.kills = counts.iter().rev().map(|count| state.answered + count).collect();
    }

    /// Comes back when the server is there: a cycle without any would prove nothing.
    async fn is_back(&self) {
        let mut behind = self.behind.subscribe();
        drop(behind.wait_for(|behind| matches!(behind, Behind::Server(_))).await.unwrap());
    }
}

impl Rule for Arc<Killer> {
    fn answered(&self, count: usize) {
        let mut state = self.state.lock().unwrap();
        state.answered = count;
        if state.kills.pop_if(|kill| *kill <= count).is_none() {
            return;
        }
        state.killed += 1;
        // What else is under way is cut off. What comes now is turned away once, and waits the other time.
        let meanwhile = if state.killed.is_multiple_of(2) { Behind::Nothing } else { Behind::Soon };
        drop(self.behind.send_replace(meanwhile));
        drop(state.server.take());
        let killer = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let server = Server::start(&["--data", &killer.file]);
            let there = Behind::server(server.base_url());
            killer.state.lock().unwrap().server = Some(server);
            drop(killer.behind.send_replace(there));
        });
    }
}

/// A rehearsal whose server is killed twice in the first cycle and once in the second.
async fn is_killed(seed: u64) {
    let scratch = Scratch::new(&format!("killed-{seed}"));
    let file = scratch.file("people.sqlite");
    let server = Server::start(&["--data", &file]);
    let token = server.token().to_owned();
    let (behind, _) = watch::channel(Behind::server(server.base_url()));
    let state = State { server: Some(server), answered: 0, kills: Vec::new(), killed: 0 };
    let killer = Arc::new(Killer { file, behind, state: Mutex::new(state) });
    let url = listen(killer.behind.subscribe(), Arc::new(Arc::clone(&killer))).await;

    let endpoint = Endpoint::parse(&url, &token).unwrap();
    let plan = Plan { seed, dialects: Dialects::Mixed, ..Plan::default() };
    let source = directory(Size { users: 14, groups: 3, everyone_has_mail: false }, seed);
    let mut rehearsal = Rehearsal::new(endpoint, plan, source, Moments::new().unwrap()).unwrap();
    rehearsal.connect(&mut Silent).await.unwrap();
    let mut chance = StdRng::seed_from_u64(seed);
    killer.kill_after(&[chance.random_range(4..25), chance.random_range(26..50)]);
    rehearsal.cycle(&mut Silent).await;
    rehearsal.let_things_happen();
    killer.is_back().await;
    killer.kill_after(&[chance.random_range(3..8)]);
    let mut last: CycleReport = rehearsal.cycle(&mut Silent).await;
    for _ in 0..2 {
        if !last.findings.is_empty() || last.failed > 0 {
            killer.is_back().await;
            last = rehearsal.settle(&mut Silent).await;
        }
    }
    assert_eq!((last.findings.as_slice(), last.failed), (&[][..], 0), "seed {seed}");

    killer.is_back().await;
    let state = killer.state.lock().unwrap();
    assert_eq!(state.killed, 3, "seed {seed}");
    let checked = state.server.as_ref().unwrap().run(&["check", "demo"]);
    assert_eq!((&checked["whole"], &checked["findings"]), (&json!(true), &json!([])), "{checked}");
    assert!(checked["users"].as_u64().unwrap() >= 10, "{checked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_a_cycle_loses_and_doubles_nothing() {
    for seed in [1, 2, 3] {
        is_killed(seed).await;
    }
}
