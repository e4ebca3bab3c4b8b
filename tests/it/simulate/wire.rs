//! What a rehearsal looks like to whoever receives it, byte for byte.

use std::sync::{Arc, Mutex};

use scim_endpoint::simulate::{Endpoint, Plan, Provider, Rehearsal, Silent, Size, directory};
use scim_endpoint::system::Moments;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers every request with an empty list, and keeps their heads.
async fn listener() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/scim/?aadOptscim062020", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    kept.lock()
                        .unwrap()
                        .push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                    let body = r#"{"totalResults":0,"Resources":[]}"#;
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/scim+json\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (url, heads)
}

#[tokio::test]
async fn requests_look_like_entras() {
    let (url, heads) = listener().await;
    let endpoint = Endpoint::parse(&url, "Bearer s3cret").unwrap();
    assert!(endpoint.is_flagged());
    let plan = Plan { echo_flag: true, ..Plan::default() };
    let source = directory(Size { users: 4, groups: 1, everyone_has_mail: true }, 2);
    let mut rehearsal = Rehearsal::new(endpoint, plan, source, Moments::new().unwrap()).unwrap();
    rehearsal.connect(&mut Silent).await.unwrap();
    rehearsal.cycle(&mut Silent).await;
    let heads = heads.lock().unwrap().clone();
    let probe = heads.first().unwrap();
    let line = probe.lines().next().unwrap();
    assert!(line.starts_with("GET /scim/Users?aadOptscim062020&filter=userName+eq+%22"), "{line}");
    assert!(line.ends_with("%22 HTTP/1.1"), "{line}");
    for head in &heads {
        let head = head.to_ascii_lowercase();
        assert!(head.contains("authorization: bearer s3cret\r\n"), "{head}");
        assert!(!head.contains("user-agent") && !head.contains("connection: close"), "{head}");
    }
    let post =
        heads.iter().find(|head| head.starts_with("POST /scim/Users?aadOptscim062020 ")).unwrap();
    assert!(
        post.to_ascii_lowercase()
            .contains("content-type: application/scim+json; charset=utf-8\r\n"),
        "{post}"
    );
    assert!(
        heads.iter().any(|head| head.contains("%2Btest%40rehearsal.example%22")),
        "a plus stays a plus"
    );
}

#[tokio::test]
async fn requests_look_like_oktas() {
    let (url, heads) = listener().await;
    let endpoint = Endpoint::parse(&url, "s3cret").unwrap();
    let plan = Plan { provider: Provider::Okta, ..Plan::default() };
    let source = directory(Size { users: 2, groups: 1, everyone_has_mail: true }, 2);
    let mut rehearsal = Rehearsal::new(endpoint, plan, source, Moments::new().unwrap()).unwrap();
    rehearsal.connect(&mut Silent).await.unwrap();
    rehearsal.cycle(&mut Silent).await;
    let heads = heads.lock().unwrap().clone();
    assert!(heads[0].starts_with("GET /scim/Users?startIndex=1&count=2 HTTP/1.1"), "{}", heads[0]);
    for head in &heads {
        let head = head.to_ascii_lowercase();
        assert!(head.contains("user-agent: okta scim client 1.0.0\r\n"), "{head}");
        assert!(head.contains("accept: application/scim+json\r\n"), "{head}");
    }
    let matched = heads.iter().find(|head| head.contains("filter=userName")).unwrap();
    let line = matched.lines().next().unwrap();
    assert!(line.contains("?filter=userName%20eq%20%22"), "{line}");
    assert!(line.ends_with("%22&startIndex=1&count=100 HTTP/1.1"), "{line}");
}
