//! The customer's directory, for as long as there is no better one: the steps in `story.json`, over HTTP, at a pace that
//! people can follow.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::DemoError;
use super::app::Follower;
use super::board::{Board, Scene};
use crate::auth::TokenSecret;

/// Resources that are left from the last time and deleted with one list; the story has fewer.
const LEFT_MAX: usize = 100;

/// What happens next.
#[derive(Debug)]
struct Step {
    say: String,
    action: Action,
}

#[derive(Debug)]
enum Action {
    /// A SCIM call; the id in its answer is known by that name afterwards.
    Call { line: String, body: String, name: Option<String> },
    /// A person comes to the app, from the single sign-on.
    SignIn(String),
}

/// The story, and the way to the endpoint.
pub(super) struct Story {
    steps: Vec<Step>,
    authority: String,
    base_path: String,
    token: Arc<TokenSecret>,
    pace: Duration,
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Story").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl Story {
    pub(super) fn new(
        base_url: &str,
        token: Arc<TokenSecret>,
        pace: Duration,
    ) -> Result<Self, DemoError> {
        let url: Uri = base_url.parse().map_err(DemoError::new)?;
        let authority = url.authority().map(ToString::to_string).unwrap_or_default();
        let base_path = url.path().to_owned();
        let steps = steps().ok_or_else(|| DemoError::new("the story cannot be read"))?;
        Ok(Self { steps, authority, base_path, token, pace })
    }

    /// Tells the story each time that somebody wants it.
    pub(super) async fn perform(self, board: Arc<Board>, app: Follower) {
        loop {
            board.wanted().await;
            let scene = match self.tell(&board, &app).await {
                Ok(()) => Scene::End,
                Err(why) => Scene::Failed(why),
            };
            board.tell(scene);
        }
    }

    async fn tell(&self, board: &Board, app: &Follower) -> Result<(), String> {
        board.tell(Scene::Step("A new customer: acme.".to_owned(), 0, self.steps.len()));
        self.clear().await?;
        board.looked().await;
        let mut ids = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            board.tell(Scene::Step(step.say.clone(), index + 1, self.steps.len()));
            tokio::time::sleep(self.pace / 2).await;
            match &step.action {
                Action::Call { line, body, name } => {
                    let (line, body) = (filled(line, &ids), filled(body, &ids));
                    let answer = self.call(&line, body).await?;
                    let id = answer.get("id").and_then(Value::as_str);
                    if let (Some(name), Some(id)) = (name, id) {
                        ids.insert(name.clone(), id.to_owned());
                    }
                }
                Action::SignIn(user_name) => {
                    app.sign_in(board, user_name).await.map_err(|error| error.to_string())?;
                }
            }
            board.looked().await;
            tokio::time::sleep(self.pace / 2).await;
        }
        Ok(())
    }

    /// Deletes what the last time has left.
    async fn clear(&self) -> Result<(), String> {
        for kind in ["/Users", "/Groups"] {
            let list = self.call(&format!("GET {kind}?count={LEFT_MAX}"), String::new()).await?;
            let left = list.get("Resources").and_then(Value::as_array);
            for id in left.into_iter().flatten().filter_map(|one| one.get("id")?.as_str()) {
                self.call(&format!("DELETE {kind}/{id}"), String::new()).await?;
            }
        }
        Ok(())
    }

    /// One SCIM call, over a connection of its own.
    async fn call(&self, line: &str, body: String) -> Result<Value, String> {
        let told = |error: &dyn fmt::Display| format!("{line} failed: {error}");
        let (method, path) = line.split_once(' ').unwrap_or(("GET", line));
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base_path))
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, format!("Bearer {}", self.token.reveal()))
            .header(CONTENT_TYPE, "application/scim+json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| told(&error))?;
        let stream = TcpStream::connect(&self.authority).await.map_err(|error| told(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| told(&error))?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(|error| told(&error))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| told(&error))?.to_bytes();
        connection.abort();
        if !status.is_success() {
            return Err(told(&status));
        }
        Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

/// The ids in the place of `{their names}`.
fn filled(text: &str, ids: &HashMap<String, String>) -> String {
    ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
}

fn steps() -> Option<Vec<Step>> {
    let steps: Value = serde_json::from_str(include_str!("story.json")).ok()?;
    let steps = steps.as_array()?.iter().map(|step| {
        let text = |name: &str| Some(step.get(name)?.as_str()?.to_owned());
        let action = match text("sign_in") {
            Some(user_name) => Action::SignIn(user_name),
            None => Action::Call {
                line: text("call")?,
                body: step.get("body")?.to_string(),
                name: text("as"),
            },
        };
        Some(Step { say: text("say")?, action })
    });
    steps.collect()
}
