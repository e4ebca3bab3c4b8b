//! The embedded DynamoDB-compatible engine, for the store in this process, and on a loopback port of its own, so that other
//! programs speak to it as they do to DynamoDB, and `aws dynamodb --endpoint-url` or a viewer can look inside.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::net::Ipv4Addr;
use std::path::Path;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::LocalError;
use super::in_process::InProcess;

/// The region that the engine does not care about and the SDK wants.
pub(super) const REGION: &str = "us-east-1";
/// The credentials that the engine does not check and the SDK wants.
pub(super) const KEY_ID: &str = "local";
/// See [`KEY_ID`].
pub(super) const KEY_SECRET: &str = "local";

/// How every SQLite file begins.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// A table that the engine's files have, as it stands in the first page of the file.
const ENGINE_TABLE: &[u8] = b"CREATE TABLE _tables";
/// How much of a file is looked at for that table.
const HEAD_BYTES: u64 = 64 * 1024;

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    endpoint: String,
    in_process: InProcess,
    /// Held as long as the engine runs: one file, one server.
    _lock: Option<File>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Engine {
    /// Starts it over a file, or in memory.
    ///
    /// # Errors
    /// A file that cannot be read or is of another format.
    pub async fn start(data: Option<&Path>) -> Result<Self, LocalError> {
        let (database, lock) = match data {
            None => (Database::memory().map_err(|error| LocalError::new(error.to_string()))?, None),
            Some(path) => open(path).map(|(database, lock)| (database, Some(lock)))?,
        };
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let socket = socket.map_err(|error| LocalError::new(format!("no free port: {error}")))?;
        let address = socket.local_addr().map_err(|error| LocalError::new(error.to_string()))?;
        let in_process = InProcess::new(database.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let until = async move { drop(stopped.await) };
            let served = dynoxide::server::serve_with_shutdown(socket, database, until).await;
            if let Err(error) = served {
                tracing::error!(error, "the embedded DynamoDB has stopped");
            }
        });
        let endpoint = format!("http://{address}");
        Ok(Self { endpoint, in_process, _lock: lock, stop: Some(stop), served })
    }

    /// Its address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How the SDK finds it from within this process: without a socket, and without a signature, which nobody would check.
    pub fn sdk_config(&self) -> SdkConfig {
        unsigned(&self.endpoint).into_builder().http_client(self.in_process.client()).build()
    }

    /// From now on SQLite does not wait for the disk: for data that nobody would miss.
    pub(super) fn hasten(&self) -> Result<(), LocalError> {
        self.in_process.hasten().map_err(|error| LocalError::new(error.to_string()))
    }

    /// From now on each call from within this process that is about that tenant's items is throttled, or none.
    pub(super) fn throttle(&self, tenant: Option<&str>) {
        self.in_process.throttle(tenant);
    }

    /// Lets running requests finish and closes the file.
    pub async fn stop(mut self) {
        self.in_process.stop();
        if let Some(stop) = self.stop.take() {
            // Nobody listens any more when it has stopped by itself.
            stop.send(()).ok();
        }
        let patience = std::time::Duration::from_secs(2);
        drop(tokio::time::timeout(patience, self.served).await);
    }
}

/// How the SDK finds an engine on this machine: no credentials, region or certificates are needed.
pub fn sdk_config(endpoint: &str) -> SdkConfig {
    let credentials =
        aws_sdk_dynamodb::config::Credentials::new(KEY_ID, KEY_SECRET, None, None, "loopback");
    let provider = aws_sdk_dynamodb::config::SharedCredentialsProvider::new(credentials);
    unsigned(endpoint)
        .into_builder()
        .credentials_provider(provider)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// What both ways have in common.
fn unsigned(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .sleep_impl(aws_sdk_dynamodb::config::SharedAsyncSleep::new(TokioSleep))
        .build()
}

/// The SDK's pauses between its attempts.
#[derive(Debug)]
struct TokioSleep;

impl aws_sdk_dynamodb::config::AsyncSleep for TokioSleep {
    fn sleep(&self, duration: std::time::Duration) -> aws_sdk_dynamodb::config::Sleep {
        aws_sdk_dynamodb::config::Sleep::new(tokio::time::sleep(duration))
    }
}

/// Opens a file that is ours or is not there yet, for this process alone; says what is wrong with any other.
fn open(path: &Path) -> Result<(Database, File), LocalError> {
    let shown = path.display();
    let text = path.to_str();
    let text = text.ok_or_else(|| LocalError::new(format!("{shown}: the path must be UTF-8")))?;
    let unreadable = |error: io::Error| LocalError::new(unreadable(path, &error));
    let file = File::options().read(true).append(true).create(true).open(path);
    let file = file.map_err(unreadable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(LocalError::new(format!(
                "{shown} is in use by another server; stop that one, or choose another file with --data"
            )));
        }
        Err(TryLockError::Error(error)) => return Err(unreadable(error)),
    }
    let mut head = Vec::new();
    Read::by_ref(&mut &file).take(HEAD_BYTES).read_to_end(&mut head).map_err(unreadable)?;
    // After a crash the engine's tables may still be in SQLite's log beside the file.
    let log = std::fs::metadata(format!("{text}-wal")).is_ok_and(|log| log.len() > 0);
    let has_table = head.windows(ENGINE_TABLE.len()).any(|window| window == ENGINE_TABLE);
    let is_ours = head.starts_with(SQLITE_MAGIC) && (has_table || log);
    if !head.is_empty() && !is_ours {
        return Err(LocalError::new(format!(
            "{shown} is not a data file of this server; choose another with --data, or a path where there is none"
        )));
    }
    let database = Database::new(text).map_err(|error| {
        LocalError::new(format!(
            "{shown} cannot be used as a data file ({error}); it and its directory must be writable, or choose another with --data"
        ))
    })?;
    Ok((database, file))
}

/// Why a file cannot be opened, and what to do about it.
#[expect(clippy::wildcard_enum_match_arm, reason = "the standard library's enum is open")]
fn unreadable(path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let (directory, instead) = (parent.display(), "choose another file with --data");
    match error.kind() {
        ErrorKind::NotFound if !parent.exists() => {
            format!("there is no directory {directory}; create it, or {instead}")
        }
        ErrorKind::NotADirectory => format!("{directory} is no directory; {instead}"),
        ErrorKind::IsADirectory => {
            format!(
                "{shown} is a directory; name a file in it, such as {}",
                path.join("people.sqlite").display()
            )
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem if path.exists() => {
            format!("you may not write {shown}; change its permissions, or {instead}")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            format!("you may not make a file in {directory}; {instead}")
        }
        _ => format!("{shown} cannot be opened ({error}); {instead}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_opened_is_one_sentence() {
        let told = |path: &str, kind: ErrorKind| unreadable(Path::new(path), &kind.into());
        let here = env!("CARGO_MANIFEST_DIR");
        for (path, kind, expected) in [
            (
                format!("{here}/none/x"),
                ErrorKind::NotFound,
                format!(
                    "there is no directory {here}/none; create it, or choose another file with --data"
                ),
            ),
            (
                here.to_owned(),
                ErrorKind::IsADirectory,
                format!("{here} is a directory; name a file in it, such as {here}/people.sqlite"),
            ),
            (
                format!("{here}/build.rs/x"),
                ErrorKind::NotADirectory,
                format!("{here}/build.rs is no directory; choose another file with --data"),
            ),
            (
                format!("{here}/build.rs"),
                ErrorKind::PermissionDenied,
                format!(
                    "you may not write {here}/build.rs; change its permissions, or choose another file with --data"
                ),
            ),
            (
                format!("{here}/none"),
                ErrorKind::ReadOnlyFilesystem,
                format!("you may not make a file in {here}; choose another file with --data"),
            ),
            (
                "none".to_owned(),
                ErrorKind::PermissionDenied,
                "you may not make a file in .; choose another file with --data".to_owned(),
            ),
        ] {
            assert_eq!(told(&path, kind), expected);
        }
    }
}
