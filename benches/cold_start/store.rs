//! What plays DynamoDB: the embedded engine behind TLS on loopback, with a certificate made for this run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use scim_endpoint::local::{self, Options, Pages};
use scim_endpoint::store::TenantId;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Where Linux distributions keep the roots that they trust.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"];

/// The roots that the endpoint embeds, as it embeds them.
const EMBEDDED: [&[u8]; 5] = [
    include_bytes!("../../infra/roots/amazon-root-ca-1.der"),
    include_bytes!("../../infra/roots/amazon-root-ca-2.der"),
    include_bytes!("../../infra/roots/amazon-root-ca-3.der"),
    include_bytes!("../../infra/roots/amazon-root-ca-4.der"),
    include_bytes!("../../infra/roots/starfield-services-g2.der"),
];

/// Which roots a function reads at its start. The endpoint's own root, made for this run, is among them; so it cannot be the
/// embedded set itself that is read, but one as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// As many as are embedded.
    Few,
    /// As many as this machine has.
    System,
}

/// A running store.
pub(super) struct Store {
    environment: Vec<(String, String)>,
    /// Its tenant's token.
    pub(super) token: String,
    /// Two files, removed with the value.
    few: PathBuf,
    system: PathBuf,
    /// How many roots this machine has.
    pub(super) root_count: usize,
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.few));
        drop(std::fs::remove_file(&self.system));
    }
}

impl Store {
    /// Starts it with one tenant.
    pub(super) async fn start() -> Self {
        let tenants = vec![TenantId::parse("bench").expect("a name")];
        let (token_cache, pages) = (Duration::ZERO, Pages::default());
        let options = Options { port: 0, data: None, tenants, rate: None, token_cache, pages };
        let (started, server) = local::start(options).await.expect("the engine starts");
        tokio::spawn(server.run(std::future::pending()));
        let engine = started.dynamodb_endpoint.trim_start_matches("http://").to_owned();
        let (port, root) = front(engine).await;
        let system = SYSTEM_ROOTS.iter().find_map(|path| std::fs::read_to_string(path).ok());
        let system = system.unwrap_or_default();
        let embedded: String = EMBEDDED.iter().map(|der| pem(der)).collect();
        let file = |name: &str, text: String| {
            let file = format!("cold-start-{}-{name}.pem", std::process::id());
            let path = std::env::temp_dir().join(file);
            std::fs::write(&path, text).expect("a temporary file can be written");
            path
        };
        let mut environment = started.environment.clone();
        environment.retain(|(name, _)| name != "AWS_ENDPOINT_URL_DYNAMODB");
        let url = format!("https://localhost:{port}");
        environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), url));
        // One tenant asks as fast as it is answered.
        environment.push(("TENANT_RATE".to_owned(), "0".to_owned()));
        let (_, token) = started.tenants.first().expect("a tenant");
        Self {
            environment,
            token: token.reveal().to_owned(),
            root_count: system.matches("BEGIN CERTIFICATE").count(),
            few: file("few", format!("{embedded}{root}")),
            system: file("system", format!("{system}\n{root}")),
        }
    }

    /// What a function finds it by, and trusts it by.
    pub(super) fn environment(&self, roots: Roots) -> Vec<(String, String)> {
        let file = match roots {
            Roots::Few => &self.few,
            Roots::System => &self.system,
        };
        let file = file.to_str().expect("UTF-8").to_owned();
        let mut environment = self.environment.clone();
        environment.push(("SSL_CERT_FILE".to_owned(), file));
        environment
    }
}

fn pem(der: &[u8]) -> String {
    let [begin, end] = ["BEGIN", "END"].map(|word| format!("-----{word} CERTIFICATE-----"));
    format!("{begin}\n{}\n{end}\n", STANDARD.encode(der))
}

/// TLS before the engine's port, and the root that vouches for it.
async fn front(engine: String) -> (u16, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let root = CertifiedIssuer::self_signed(params, key).expect("a root");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &root).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("the key fits the certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, engine) = (acceptor.clone(), engine.clone());
            tokio::spawn(async move {
                // Small packets both ways: without this each waits for the other side's acknowledgement.
                stream.set_nodelay(true).ok()?;
                let mut behind = TcpStream::connect(engine).await.ok()?;
                behind.set_nodelay(true).ok()?;
                let mut secured = acceptor.accept(stream).await.ok()?;
                tokio::io::copy_bidirectional(&mut secured, &mut behind).await.ok()
            });
        }
    });
    (port, root.pem())
}
