//! What the page shows: the app's people, what is being told, and the last lines of the log. Whoever looks gets all of
//! it, and all of it again with each change, so that nobody can miss a part.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::app::Database;
use crate::moment::Timestamp;

/// Lines that are kept; a story has fewer.
const LINES_MAX: usize = 100;

/// One line of the log: an item of the journal and what the app did about it, or a sign-in.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) time: Timestamp,
    pub(super) events: Vec<String>,
    pub(super) who: String,
    pub(super) did: String,
    /// How long it took from the change in the directory to the app's acknowledgement.
    pub(super) acknowledged: Option<Duration>,
}

/// Where the story is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Scene {
    /// Nobody has looked yet.
    #[default]
    Before,
    /// A step of so many.
    Step(String, usize, usize),
    /// It has been told.
    End,
    /// A call failed.
    Failed(String),
}

#[derive(Debug, Default)]
struct State {
    database: Database,
    lines: VecDeque<Line>,
    scene: Scene,
}

/// What the page shows, and who waits for it.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
    shown: watch::Sender<String>,
    looks: watch::Sender<u64>,
    wanted: Notify,
}

impl Default for Board {
    fn default() -> Self {
        let state = State::default();
        let shown = watch::Sender::new(state.to_json().to_string());
        let wanted = Notify::new();
        Self { state: Mutex::new(state), shown, looks: watch::Sender::new(0), wanted }
    }
}

impl Board {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        self.shown.send_replace(state.to_json().to_string());
        result
    }

    /// Works on the app's database.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Database) -> T) -> T {
        self.change(|state| work(&mut state.database))
    }

    /// Adds a line to the log.
    pub(super) fn note(&self, line: Line) {
        self.change(|state| {
            state.lines.push_front(line);
            state.lines.truncate(LINES_MAX);
        });
    }

    /// Goes on to another scene; the log begins anew with the first.
    pub(super) fn tell(&self, scene: Scene) {
        self.change(|state| {
            if matches!(scene, Scene::Step(_, 1, _)) {
                state.lines.clear();
            }
            state.scene = scene;
        });
    }

    /// What is shown, now and with each change.
    pub(super) fn watch(&self) -> watch::Receiver<String> {
        self.shown.subscribe()
    }

    /// The app has looked at the journal.
    pub(super) fn note_look(&self) {
        self.looks.send_modify(|looks| *looks += 1);
    }

    /// Comes back when the app has seen what was written before this call: the look that is under way may be too early.
    pub(super) async fn looked(&self) {
        let mut looks = self.looks.subscribe();
        let now = *looks.borrow_and_update();
        // It cannot fail: the sender is in here.
        drop(looks.wait_for(|looks| *looks >= now + 2).await);
    }

    /// Asks for the story, unless it is being told. `again` also when it has been told.
    pub(super) fn want_story(&self, asked: Asked) {
        let scene = &self.state.lock().unwrap_or_else(PoisonError::into_inner).scene;
        let begins = match (asked, scene) {
            (_, Scene::Before) | (Asked::Again, Scene::End | Scene::Failed(_)) => true,
            (_, Scene::Step(..)) | (Asked::ByLooking, Scene::End | Scene::Failed(_)) => false,
        };
        if begins {
            self.wanted.notify_one();
        }
    }

    /// Comes back when somebody wants the story.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

/// How the story was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    /// Somebody looks at the page.
    ByLooking,
    /// Somebody wants it again.
    Again,
}

impl State {
    fn to_json(&self) -> Value {
        let people = self.database.people().map(|(id, account, role, groups)| {
            json!({
                "id": id,
                "name": account.name,
                "login": account.login,
                "role": role,
                "groups": groups,
                "open": account.open,
                "sessions": account.sessions,
                "ended": account.ended,
            })
        });
        let (say, step, of) = match &self.scene {
            Scene::Before => ("The story is about to begin.", 0, 0),
            Scene::Step(say, step, of) => (say.as_str(), *step, *of),
            Scene::End => {
                ("That was the story: Tom is out, and nobody had to tell your app by hand.", 0, 0)
            }
            Scene::Failed(why) => (why.as_str(), 0, 0),
        };
        json!({
            "say": say,
            "step": step,
            "of": of,
            "ended": matches!(self.scene, Scene::End | Scene::Failed(_)),
            "people": people.collect::<Vec<_>>(),
            "log": self.lines.iter().map(Line::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Line {
    fn to_json(&self) -> Value {
        let time = self.time.to_string();
        let acknowledged = self.acknowledged.map(|took| format!("{:.2} s", took.as_secs_f64()));
        json!({
            "time": time.get(11..23),
            "events": self.events,
            "who": self.who,
            "did": self.did,
            "acknowledged": acknowledged,
        })
    }
}
