//! The client: requests as the provider sends them (Entra without a User-Agent; kept connections, 60 s of patience), measured
//! by kind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::SimulateError;
use super::call::{Call, Kind};
use super::chaos::{Refusal, WireChaos, WireFault};
use super::codes::{Code, Failure};
use super::cutting::Cutting;
use super::provider::Provider;
use super::record::Recorder;
use crate::system::Moments;

/// How long Entra waits for an answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// What the log says then.
const NO_ANSWER: &str = "no answer within 60 s";
/// For a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// An answer that takes longer is remarked upon.
const SLOW: Duration = Duration::from_secs(5);
/// The largest answer that is read; Lambda's are 6 MB at most.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most characters of a server's text that the log repeats.
const DETAIL_CHARS_MAX: usize = 300;

/// What some endpoints answer with, though the RFC has a type of its own.
const JSON: &str = "application/json";

/// The header of a tenant that is there to be rehearsed in.
const REHEARSAL: &str = "scim-rehearsal";

/// The flags of a Tenant URL that ask for the dialect of the RFC.
const COMPLIANT_FLAGS: [&str; 2] = ["aadOptscim062020", "AzureAdScimPatch062020"];

/// Where the endpoint is.
pub struct Endpoint {
    /// The SCIM root, without a slash at its end.
    base: String,
    /// The flag in the Tenant URL.
    flag: Option<String>,
    token: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Reads a Tenant URL or a SCIM base URL, and the token.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn parse(url: &str, token: &str) -> Result<Self, SimulateError> {
        let told = |why: &str| {
            SimulateError::new(format!(
                "{url} is no URL that can be used: {why}; give the SCIM base URL, such as https://scim.example.com/scim/v2"
            ))
        };
        let (address, query) = url.trim().split_once('?').unwrap_or((url.trim(), ""));
        let uri: Uri = address.parse().map_err(|_| told("it cannot be read"))?;
        match uri.scheme_str() {
            Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => {}
            Some("http" | "https") => return Err(told("it names no host")),
            _ => return Err(told("it begins neither with https:// nor with http://")),
        }
        let token = token.trim();
        let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
        let is_plain = |c: char| c.is_ascii_graphic();
        if token.is_empty() || !token.chars().all(is_plain) {
            return Err(SimulateError::new(
                "the token is empty, or has characters that no token has; paste it as it was issued",
            ));
        }
        let flag = query.split('&').find(|part| !part.is_empty()).map(ToOwned::to_owned);
        let base = address.trim_end_matches('/').to_owned();
        Ok(Self { base, flag, token: token.to_owned() })
    }

    /// The SCIM root, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether the URL has the flag for the dialect of the RFC.
    pub fn is_flagged(&self) -> bool {
        self.flag.as_deref().is_some_and(|flag| COMPLIANT_FLAGS.contains(&flag))
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Null when there was none.
    pub(super) body: Value,
    /// How long to wait before the next attempt.
    pub(super) retry_after: Option<Duration>,
}

impl Answer {
    /// The answer if it has one of these statuses, else what the log would say.
    pub(super) fn expect(self, statuses: &[u16]) -> Result<Self, Failure> {
        if statuses.contains(&self.status) {
            return Ok(self);
        }
        let said = self.body.get("detail").and_then(Value::as_str).unwrap_or_default();
        let said: String = said.chars().take(DETAIL_CHARS_MAX).collect();
        let detail = if said.is_empty() {
            format!("the answer was {}", self.status)
        } else {
            format!("{}: {said}", self.status)
        };
        Err(Failure { code: Code::of_status(self.status), status: Some(self.status), detail })
    }
}

/// How long the requests of a kind took, in microseconds.
pub(super) type Timings = BTreeMap<Kind, Vec<u64>>;

/// The client.
pub(super) struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Cutting>,
    endpoint: Endpoint,
    echo_flag: bool,
    provider: Provider,
    moments: Moments,
    chaos: Option<WireChaos>,
    recorder: Option<Recorder>,
    /// Whether the last answer came from a tenant that is there to be rehearsed in.
    is_marked: AtomicBool,
    timings: Mutex<Timings>,
    remarks: Mutex<BTreeMap<String, usize>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What came over the wire, or why nothing did.
struct Received {
    status: u16,
    media: String,
    body: Bytes,
    retry_after: Option<Duration>,
}

impl Received {
    /// Its media type, without parameters.
    fn essence(&self) -> String {
        self.media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

impl Client {
    pub(super) fn new(
        endpoint: Endpoint,
        echo_flag: bool,
        moments: Moments,
    ) -> Result<Self, SimulateError> {
        let connector = connector(endpoint.base.starts_with("https:"))?;
        let inner = legacy::Client::builder(TokioExecutor::new()).build(connector);
        let (timings, remarks) = (Mutex::default(), Mutex::default());
        let (chaos, recorder, provider) = (None, None, Provider::Entra);
        Ok(Self {
            inner,
            endpoint,
            echo_flag,
            provider,
            moments,
            chaos,
            recorder,
            is_marked: AtomicBool::new(false),
            timings,
            remarks,
        })
    }

    pub(super) fn with_provider(mut self, provider: Provider) -> Self {
        self.provider = provider;
        self
    }

    pub(super) fn with_chaos(mut self, chaos: Option<WireChaos>) -> Self {
        self.chaos = chaos;
        self
    }

    pub(super) fn with_recorder(mut self, recorder: Option<Recorder>) -> Self {
        self.recorder = recorder;
        self
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }

    /// Whether the endpoint says that the tenant is there to be rehearsed in.
    pub(super) fn is_marked(&self) -> bool {
        self.is_marked.load(Ordering::SeqCst)
    }

    /// Lets time pass.
    pub(super) async fn wait(&self, time: Duration) {
        self.moments.clock().sleep(time).await;
    }

    pub(super) fn timings(&self) -> Timings {
        self.timings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn remarks(&self) -> BTreeMap<String, usize> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes something that Entra would swallow and that is not right.
    pub(super) fn remark(&self, text: impl Into<String>) {
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        *remarks.entry(text.into()).or_insert(0) += 1;
    }

    /// How many requests of each kind have gone out.
    pub(super) fn counts(&self) -> BTreeMap<Kind, usize> {
        let timings = self.timings.lock().unwrap_or_else(PoisonError::into_inner);
        timings.iter().map(|(kind, all)| (*kind, all.len())).collect()
    }

    /// Sends a request, through the faults if there are any.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, Failure> {
        let fault = match &self.chaos {
            Some(chaos) if call.kind.is_providers() && call.kind != Kind::Probe => {
                chaos.next(call.kind.word(), &call.subject)
            }
            _ => WireFault::None,
        };
        let received = match fault {
            WireFault::None => self.once(call, Whole::Yes, PATIENCE).await?,
            WireFault::LoseAnswer => {
                drop(self.once(call, Whole::Yes, PATIENCE).await?);
                return Err(Failure::new(Code::Timeout, NO_ANSWER));
            }
            WireFault::Cut => {
                if call.body.is_some() {
                    drop(self.once(call, Whole::Cut, PATIENCE).await);
                }
                return Err(Failure::new(Code::WebException, "the connection was closed"));
            }
            WireFault::Double | WireFault::DoubleAndTakeSecond => {
                let once = || self.once(call, Whole::Yes, PATIENCE);
                let (first, second) = futures_util::future::join(once(), once()).await;
                if fault == WireFault::Double { first? } else { second? }
            }
            // An answer that is there in time has come too late all the same.
            WireFault::GiveUp(patience) => {
                drop(self.once(call, Whole::Yes, patience).await);
                return Err(Failure::new(Code::Timeout, NO_ANSWER));
            }
            WireFault::Refuse(Refusal { status, media, body }) => {
                let (media, body) = (media.to_owned(), Bytes::from_static(body.as_bytes()));
                Received { status, media, body, retry_after: None }
            }
        };
        Self::read(received)
    }

    /// One exchange on the wire.
    async fn once(
        &self,
        call: &Call,
        whole: Whole,
        patience: Duration,
    ) -> Result<Received, Failure> {
        let request = self.request(call, whole)?;
        let began = self.moments.clock().monotonic();
        let exchange = async {
            let response = self.inner.request(request).await.map_err(|error| broken(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| broken(&*error))?.to_bytes();
            let media = head.headers.get(http::header::CONTENT_TYPE);
            let media = media.and_then(|media| media.to_str().ok()).unwrap_or_default();
            let mark = head.headers.get(REHEARSAL).is_some_and(|mark| mark == "true");
            self.is_marked.store(mark, Ordering::SeqCst);
            let wait = head.headers.get(http::header::RETRY_AFTER);
            let wait = wait.and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
            let retry_after = wait.map(Duration::from_secs);
            let (status, media) = (head.status.as_u16(), media.to_owned());
            Ok(Received { status, media, body, retry_after })
        };
        let received = tokio::time::timeout(patience, exchange)
            .await
            .unwrap_or_else(|_| Err(Failure::new(Code::Timeout, NO_ANSWER)));
        let took = self.moments.clock().monotonic().saturating_sub(began);
        if took > SLOW {
            self.remark("answers that took longer than 5 s");
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut timings = self.timings.lock().unwrap_or_else(PoisonError::into_inner);
        timings.entry(call.kind).or_default().push(micros);
        drop(timings);
        if let Ok(received) = &received
            && received.essence() == JSON
            && !received.body.is_empty()
        {
            self.remark(format!("answers of type {JSON} instead of application/scim+json"));
        }
        if let (Some(recorder), Ok(received)) = (&self.recorder, &received)
            && call.kind.is_providers()
        {
            let (target, answer) = (self.target(call), (received.status, received.body.as_ref()));
            recorder.exchange(
                (call.kind.word(), &call.method, &target),
                call.body.as_ref(),
                answer,
            );
        }
        received
    }

    fn request(&self, call: &Call, whole: Whole) -> Result<http::Request<Cutting>, Failure> {
        let Endpoint { base, token, .. } = &self.endpoint;
        let uri = format!("{base}{}", self.target(call));
        let request = http::Request::builder().method(call.method.clone()).uri(uri);
        let request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        let habits = self.provider.habits();
        let request = habits
            .headers
            .iter()
            .fold(request, |request, (name, text)| request.header(*name, *text));
        let body = call.body.as_ref().map(|body| Bytes::from(body.to_string()));
        let request = match &body {
            Some(_) => request.header(http::header::CONTENT_TYPE, habits.media),
            None => request,
        };
        let body = body.unwrap_or_default();
        let body = match whole {
            Whole::Yes => Cutting::whole(body),
            Whole::Cut => Cutting::half(&body),
        };
        request.body(body).map_err(|error| {
            Failure::new(Code::WebException, format!("the request cannot be made: {error}"))
        })
    }

    /// Path and query, with the flag if it is echoed.
    fn target(&self, call: &Call) -> String {
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        let flag = self.endpoint.flag.as_deref().filter(|_| self.echo_flag).unwrap_or_default();
        let query: Vec<&str> = [flag, query].into_iter().filter(|part| !part.is_empty()).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{path}{mark}{}", query.join("&"))
    }

    /// Reads an answer as a SCIM client does.
    fn read(received: Received) -> Result<Answer, Failure> {
        let essence = received.essence();
        let Received { status, body, retry_after, .. } = received;
        let failure = |code, detail: String| Failure { code, status: Some(status), detail };
        if (300..400).contains(&status) {
            let detail = format!("the answer was {status}, a redirection, which is not followed");
            return Err(failure(Code::WebException, detail));
        }
        if body.is_empty() {
            return Ok(Answer { status, body: Value::Null, retry_after });
        }
        let parsed = serde_json::from_slice::<Value>(&body).ok();
        match parsed.filter(|_| essence == "application/scim+json" || essence == JSON) {
            Some(body) => Ok(Answer { status, body, retry_after }),
            None if status >= 400 => Ok(Answer { status, body: Value::Null, retry_after }),
            None => {
                let kind = if essence.is_empty() { "no content type".to_owned() } else { essence };
                let detail = format!("the answer {status} ({kind}) is not SCIM");
                Err(failure(Code::ServiceIncompatible, detail))
            }
        }
    }
}

fn connector(needs_tls: bool) -> Result<HttpsConnector<HttpConnector>, SimulateError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_PATIENCE));
    let provider = rustls::crypto::ring::default_provider();
    let told = |error: String| SimulateError::new(format!("TLS cannot be used here: {error}"));
    let builder = HttpsConnectorBuilder::new();
    let builder = if needs_tls {
        builder.with_provider_and_native_roots(provider).map_err(|error| told(error.to_string()))?
    } else {
        // No certificate is needed, and none may be there.
        let config = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|error| told(error.to_string()))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        builder.with_tls_config(config)
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

/// A connection that could not be made, or broke: the error that lies deepest says why.
fn broken(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    Failure::new(Code::WebException, deepest.to_string())
}

/// Whether a body arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whole {
    Yes,
    Cut,
}
