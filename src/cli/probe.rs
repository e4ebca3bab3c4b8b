//! What answers at an address that is not the DynamoDB that a command needs: one look, after the command has failed, so that
//! the error can say which of the usual mistakes it was.

use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long the look takes at most.
const PATIENCE: Duration = Duration::from_secs(3);
/// How much of an answer is read: its head.
const HEAD_BYTES_MAX: u64 = 16 * 1024;

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing at all.
    Nothing,
    /// The SCIM endpoint.
    Scim,
    /// DynamoDB, or an engine that is compatible with it.
    DynamoDb,
    /// Something else.
    Other,
    /// It was not looked at: the way there is encrypted.
    Unknown,
}

/// Looks at what answers there.
pub(super) async fn look(url: &str) -> Found {
    let uri: Option<Uri> = url.parse().ok();
    let uri = uri.filter(|uri| uri.scheme_str() == Some("http"));
    let Some((uri, host)) = uri.as_ref().and_then(|uri| Some((uri, uri.host()?))) else {
        return Found::Unknown;
    };
    let address = (host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await else {
        return Found::Nothing;
    };
    match tokio::time::timeout(PATIENCE, ask(stream, host, uri.path())).await {
        Ok(Ok(head)) => told_by(&head),
        Ok(Err(_)) | Err(_) => Found::Other,
    }
}

/// A request as DynamoDB takes it, without credentials, and the head of the answer.
async fn ask(mut stream: TcpStream, host: &str, path: &str) -> std::io::Result<String> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n\
         Content-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(HEAD_BYTES_MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    Ok(answer.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase())
}

/// The media type tells them apart, whatever the status is.
fn told_by(head: &str) -> Found {
    let media_type = head.lines().find_map(|line| line.strip_prefix("content-type:"));
    match media_type.map(str::trim) {
        Some(text) if text.starts_with("application/scim+json") => Found::Scim,
        Some(text) if text.starts_with("application/x-amz-json") => Found::DynamoDb,
        Some(_) | None => Found::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_tells() {
        let head = |media_type: &str| format!("http/1.1 401 x\r\ncontent-type: {media_type}\r\n");
        assert_eq!(told_by(&head("application/scim+json; charset=utf-8")), Found::Scim);
        assert_eq!(told_by(&head("application/x-amz-json-1.0")), Found::DynamoDb);
        assert_eq!(told_by(&head("text/html")), Found::Other);
        assert_eq!(told_by("http/1.1 204 no content"), Found::Other);
        assert_eq!(told_by(""), Found::Other);
    }
}
