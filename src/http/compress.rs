//! Large answers, compressed for who takes them so (RFC 9110 §12.5.3): what Lambda can return is 6 MB on the wire.
//!
//! Small ones stay as they are, whatever the client takes: they cost no time for it.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Response, header};

use super::Request;
use crate::limits::{COMPRESSED_FROM_BYTES, MEMBERS_COMPRESSED_MAX, MEMBERS_READ_MAX};

/// How many memberships an answer to this request can carry.
pub(super) fn members_max(request: &Request) -> usize {
    if takes_gzip(&request.headers) { MEMBERS_COMPRESSED_MAX } else { MEMBERS_READ_MAX }
}

/// The answer as it goes out.
pub(super) fn answer(request: &Request, mut response: Response<Bytes>) -> Response<Bytes> {
    if response.body().len() < COMPRESSED_FROM_BYTES {
        return response;
    }
    // Also where it goes out as it is: another client would get it otherwise.
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !takes_gzip(&request.headers) {
        return response;
    }
    // As it is, if there is no memory to compress it in.
    let Some(body) = compressed(response.body()) else { return response };
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    *response.body_mut() = body;
    response
}

fn compressed(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// Whether the client names gzip, or everything, and does not rule it out. Without the header, nothing is compressed.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut any = false;
    for coding in texts.flat_map(|text| text.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| {
            let (key, weight) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then(|| weight.trim().parse::<f32>().ok())
        });
        // One that cannot be read rules it out.
        let is_taken = weight.is_none_or(|weight| weight.is_some_and(|weight| weight > 0.0));
        match name.as_str() {
            "gzip" | "x-gzip" => return is_taken,
            "*" => any = is_taken,
            _ => {}
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        takes_gzip(&headers)
    }

    #[test]
    fn gzip_is_sent_to_who_names_it_and_does_not_rule_it_out() {
        for values in [
            &["gzip"][..],
            &["br, GZIP;q=0.5"],
            &["identity", "x-gzip"],
            &["*"],
            &["deflate, *;q=0.1"],
            &["gzip ; Q=1"],
        ] {
            assert!(takes(values), "{values:?}");
        }
        for values in [
            &[][..],
            &[""],
            &["identity"],
            &["gzip;q=0"],
            &["*, gzip;q=0.000"],
            &["*;q=0"],
            &["gzip;q=many"],
            &["gzipped"],
        ] {
            assert!(!takes(values), "{values:?}");
        }
    }

    #[test]
    fn only_what_is_large_is_compressed() {
        let mut request = Request {
            method: http::Method::GET,
            path: String::new(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            origin: None,
        };
        let body = |bytes: usize| Response::new(Bytes::from(vec![b'a'; bytes]));
        let plain = answer(&request, body(COMPRESSED_FROM_BYTES));
        assert_eq!(plain.headers()[header::VARY], "Accept-Encoding");
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        request.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(answer(&request, body(COMPRESSED_FROM_BYTES - 1)).headers().len(), 0);
        let small = answer(&request, body(COMPRESSED_FROM_BYTES));
        assert_eq!(small.headers()[header::CONTENT_ENCODING], "gzip");
        let mut back = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&small.body()[..]);
        std::io::Read::read_to_end(&mut decoder, &mut back).unwrap();
        assert_eq!(back, vec![b'a'; COMPRESSED_FROM_BYTES]);
    }
}
