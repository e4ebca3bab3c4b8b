//! The SDK's way to the embedded engine in this process: requests as they would go over the wire, without a wire
//! ([ADR 48](../../docs/adr/0048-the-engine-is-called-in-process.md)).
//!
//! The store and the SDK do what they do before DynamoDB: they serialise, retry and parse. What is left out is the signature,
//! which nobody checks here, the socket, two HTTP parsers, and what the engine's HTTP server checks before it calls the engine.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use dynoxide::Database;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;

/// The media type of requests and answers.
const MEDIA: &str = "application/x-amz-json-1.0";
/// So many transactions are remembered by their token. An answer cannot be lost on the way, so that a token comes again
/// only when the store itself repeats a transaction, at once.
const TOKENS_MAX: usize = 1_024;

/// The status of a call that was done.
const DONE: u16 = 200;

/// What the engine says, as a status and a text.
macro_rules! told {
    ($answer:expr) => {
        match $answer.map(|answer| serde_json::to_string(&answer)) {
            Ok(Ok(text)) => (DONE, text),
            Ok(Err(error)) => refused("InternalServerError", &error.to_string()),
            Err(error) => (error.status_code(), error.to_json()),
        }
    };
}

/// The engine, until it is stopped.
#[derive(Clone)]
pub(super) struct InProcess(Arc<Shared>);

struct Shared {
    database: RwLock<Option<Database>>,
    tokens: Mutex<Tokens>,
    /// What stands in the calls that are throttled.
    throttled: RwLock<Option<String>>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl InProcess {
    pub(super) fn new(database: Database) -> Self {
        let (database, tokens) = (RwLock::new(Some(database)), Mutex::default());
        Self(Arc::new(Shared { database, tokens, throttled: RwLock::default() }))
    }

    /// Has SQLite not wait for the disk.
    pub(super) fn hasten(&self) -> Result<(), dynoxide::DynoxideError> {
        let database = self.0.database.read().unwrap_or_else(PoisonError::into_inner).clone();
        database.map_or(Ok(()), |database| database.enable_bulk_loading())
    }

    /// Has each call throttled that is about that tenant's items, or none.
    pub(super) fn throttle(&self, tenant: Option<&str>) {
        let value = tenant.map(|tenant| format!("{{\"S\":\"{tenant}\"}}"));
        *self.0.throttled.write().unwrap_or_else(PoisonError::into_inner) = value;
    }

    fn is_throttled(&self, body: &[u8]) -> bool {
        let throttled = self.0.throttled.read().unwrap_or_else(PoisonError::into_inner);
        let is_in = |text: &String| body.windows(text.len()).any(|part| part == text.as_bytes());
        throttled.as_ref().is_some_and(is_in)
    }

    /// As the SDK wants it.
    pub(super) fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    /// From now on there is no engine, and its file can be closed.
    pub(super) fn stop(&self) {
        *self.0.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let database = self.0.database.read().unwrap_or_else(PoisonError::into_inner).clone();
        let database = database
            .ok_or_else(|| ConnectorError::io("the embedded DynamoDB has stopped".into()))?;
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body = request.body().bytes().unwrap_or_default();
        let (status, text) = if self.is_throttled(body) {
            refused("ProvisionedThroughputExceededException", "throttled by the benchmark")
        } else {
            self.run(&database, operation, body)
        };
        let status =
            status.try_into().map_err(|error| ConnectorError::other(Box::new(error), None));
        let mut response = HttpResponse::new(status?, text.into());
        response.headers_mut().insert("content-type", MEDIA);
        Ok(response)
    }

    /// One call: its status and its answer.
    fn run(&self, database: &Database, operation: &str, body: &[u8]) -> (u16, String) {
        macro_rules! run {
            ($method:ident) => {
                match serde_json::from_slice(body) {
                    Ok(request) => told!(database.$method(request)),
                    Err(error) => refused("SerializationException", &error.to_string()),
                }
            };
        }
        match operation {
            "GetItem" => run!(get_item),
            "PutItem" => run!(put_item),
            "UpdateItem" => run!(update_item),
            "DeleteItem" => run!(delete_item),
            "Query" => run!(query),
            "BatchGetItem" => run!(batch_get_item),
            "BatchWriteItem" => run!(batch_write_item),
            "ListTables" => run!(list_tables),
            "CreateTable" => run!(create_table),
            "DeleteTable" => run!(delete_table),
            "DescribeTable" => run!(describe_table),
            "UpdateTimeToLive" => run!(update_time_to_live),
            "DescribeTimeToLive" => run!(describe_time_to_live),
            "TransactGetItems" => run!(transact_get_items),
            "TransactWriteItems" => match serde_json::from_slice(body) {
                Ok(request) => self.transact(database, request, body),
                Err(error) => refused("SerializationException", &error.to_string()),
            },
            other => refused("UnknownOperationException", other),
        }
    }

    /// A transaction whose token has been seen is not done again. The engine remembers tokens, too, but looks at each of
    /// the last ten minutes' at every transaction.
    fn transact(
        &self,
        database: &Database,
        mut request: TransactWriteItemsRequest,
        body: &[u8],
    ) -> (u16, String) {
        let Some(token) = request.client_request_token.take() else {
            return told!(database.transact_write_items(request));
        };
        let mut tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        match tokens.answers.get(&token) {
            Some((asked, answer)) if asked.as_slice() == body => return (DONE, answer.clone()),
            Some(_) => {
                let why = "the token was used for another transaction";
                return refused("IdempotentParameterMismatchException", why);
            }
            None => {}
        }
        let (status, answer) = told!(database.transact_write_items(request));
        if status == DONE {
            tokens.note(token, (body.to_vec(), answer.clone()));
        }
        (status, answer)
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(self.answer(&request))
    }
}

/// The transactions of late: what was asked and what was answered, by token.
#[derive(Default)]
struct Tokens {
    answers: HashMap<String, (Vec<u8>, String)>,
    /// The oldest first.
    order: VecDeque<String>,
}

impl Tokens {
    fn note(&mut self, token: String, exchange: (Vec<u8>, String)) {
        if self.order.len() >= TOKENS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        self.order.push_back(token.clone());
        self.answers.insert(token, exchange);
    }
}

/// An error that the engine's server would answer by itself.
fn refused(sort: &str, message: &str) -> (u16, String) {
    let sort = format!("com.amazonaws.dynamodb.v20120810#{sort}");
    (400, serde_json::json!({"__type": sort, "message": message}).to_string())
}
