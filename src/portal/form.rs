//! What a form or a query brings: names and values, and at most one file. Bounded, and read once.

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use multer::{Constraints, Multipart, SizeLimit, parse_boundary};
use percent_encoding::percent_decode_str;

use super::answer::Stop;
use crate::http::Request;
use crate::limits::{FORM_BYTES_MAX, FORM_FIELDS_MAX, QUERY_BYTES_MAX};

/// The field of a file.
pub(super) const FILE: &str = "file";

/// Names and values, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    fields: Vec<(String, String)>,
    file: Option<Bytes>,
}

impl Form {
    /// The first value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The same without the white space around it, when anything is left.
    pub(super) fn said(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The file, when one was chosen.
    pub(super) fn file(&self) -> Option<&Bytes> {
        self.file.as_ref().filter(|file| !file.is_empty())
    }
}

/// The form in a body.
pub(super) async fn read(request: &Request) -> Result<Form, Stop> {
    if request.body.len() > FORM_BYTES_MAX {
        let told = "What you sent is larger than 1 MB; federation metadata is far smaller. Go back and choose another file.";
        return Err(Stop::refused(StatusCode::PAYLOAD_TOO_LARGE, "Too large", told));
    }
    let media_type = request.header(CONTENT_TYPE).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-www-form-urlencoded" => {
            let text = std::str::from_utf8(&request.body).map_err(|_| unreadable())?;
            pairs(text)
        }
        "multipart/form-data" => multipart(media_type, request.body.clone()).await,
        _ => Err(Stop::refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Not a form",
            "Only the forms of these pages are read.",
        )),
    }
}

/// The parameters of a query.
pub(super) fn query(request: &Request) -> Result<Form, Stop> {
    if request.query.len() > QUERY_BYTES_MAX {
        return Err(unreadable());
    }
    pairs(&request.query)
}

fn pairs(text: &str) -> Result<Form, Stop> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let fields = pairs.take(FORM_FIELDS_MAX).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    });
    Ok(Form { fields: fields.collect::<Result<_, Stop>>()?, file: None })
}

async fn multipart(media_type: &str, body: Bytes) -> Result<Form, Stop> {
    let boundary = parse_boundary(media_type).map_err(|_| unreadable())?;
    let stream = stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let bytes = u64::try_from(FORM_BYTES_MAX).unwrap_or(u64::MAX);
    let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(bytes));
    let mut parts = Multipart::with_constraints(stream, boundary, limits);
    let mut form = Form::default();
    for _ in 0..FORM_FIELDS_MAX {
        let Some(part) = parts.next_field().await.map_err(|_| unreadable())? else { break };
        let name = part.name().unwrap_or_default().to_owned();
        let value = part.bytes().await.map_err(|_| unreadable())?;
        if name == FILE {
            form.file = Some(value);
        } else {
            let value = String::from_utf8(value.into()).map_err(|_| unreadable())?;
            form.fields.push((name, value));
        }
    }
    Ok(form)
}

fn decode(text: &str) -> Result<String, Stop> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| unreadable())
}

fn unreadable() -> Stop {
    let told = "What you sent cannot be read as a form. Go back and try again.";
    Stop::refused(StatusCode::BAD_REQUEST, "Unreadable", told)
}
