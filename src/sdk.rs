//! How the functions reach AWS: region, credentials and endpoints as Lambda's environment names them, and whom TLS trusts.
//!
//! Lambda hands a function its credentials as variables. The SDK's chain of other places (files, metadata services, other
//! roles) is not asked, and so not in the binary ([ADR 60](../docs/adr/0060-what-is-in-the-function.md)); `scimctl` asks it.
//!
//! The system's roots are trusted, unless told otherwise: its file has about 145, which are read at each cold start. AWS's
//! endpoints need five, the Amazon Trust Services' roots ([ADR 49](../docs/adr/0049-which-roots-tls-trusts.md)). These are
//! embedded, for whoever asks for them.

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The variable that says which roots are trusted.
const ROOTS: &str = "TRUSTED_ROOTS";
/// The variable with another address for all services; with the service's name behind it, for that one.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// Amazon Root CA 1 to 4 and the Starfield root under which they were first known, from
/// <https://www.amazontrust.com/repository/>. The first to expire is Starfield's, at the end of 2037.
const AMAZON: [&[u8]; 5] = [
    include_bytes!("../infra/roots/amazon-root-ca-1.der"),
    include_bytes!("../infra/roots/amazon-root-ca-2.der"),
    include_bytes!("../infra/roots/amazon-root-ca-3.der"),
    include_bytes!("../infra/roots/amazon-root-ca-4.der"),
    include_bytes!("../infra/roots/starfield-services-g2.der"),
];

/// A service of AWS that the functions call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The tables.
    DynamoDb,
    /// Who is told.
    Sns,
}

impl Service {
    /// Its name in variables.
    const fn name(self) -> &'static str {
        match self {
            Self::DynamoDb => "DYNAMODB",
            Self::Sns => "SNS",
        }
    }
}

/// Which roots are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Roots {
    /// Those that are embedded.
    Amazon,
    /// Those of the machine.
    System,
}

/// Reads the choice: the machine's roots, unless `TRUSTED_ROOTS` says otherwise.
fn chosen(lookup: impl Fn(&str) -> Option<String>) -> Result<Roots, String> {
    match lookup(ROOTS).as_deref().map(str::trim) {
        Some("system" | "") | None => Ok(Roots::System),
        Some("amazon") => Ok(Roots::Amazon),
        Some(other) => Err(format!("{ROOTS} is amazon or system, not {other}")),
    }
}

/// What Lambda's environment says of region, credentials and the endpoint of `service` (`AWS_ENDPOINT_URL_DYNAMODB`, or
/// `AWS_ENDPOINT_URL` for each; AWS's own otherwise), and the client with which it is called.
///
/// # Errors
/// A region that is not named, or an unknown value in the variable of the roots.
pub fn sdk_config(
    service: Service,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<SdkConfig, String> {
    let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
    let is_true = |name: &str| set(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
    let region = region.ok_or("AWS_REGION is not set: name the region of the tables")?;
    let credentials = EnvironmentVariableCredentialsProvider::new();
    let trusted = match chosen(&lookup)? {
        Roots::Amazon => amazon(),
        Roots::System => TrustStore::default(),
    };
    let mut config = SdkConfig::builder()
        .http_client(https_client(trusted)?)
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .use_fips(is_true("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_true("AWS_USE_DUALSTACK_ENDPOINT"));
    let endpoint = set(&format!("{ENDPOINT}_{}", service.name())).or_else(|| set(ENDPOINT));
    config.set_endpoint_url(endpoint);
    Ok(config.build())
}

/// The SDK's own client, with the one TLS stack that is in the binary.
///
/// # Errors
/// Roots that cannot be read.
fn https_client(trusted: TrustStore) -> Result<SharedHttpClient, String> {
    let tls = TlsContext::builder().with_trust_store(trusted).build();
    let tls = tls.map_err(|error| format!("TLS cannot be used here: {error}"))?;
    let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    Ok(client.tls_context(tls).build_https())
}

/// The client with which a command calls AWS, from a machine that has roots of its own.
///
/// # Errors
/// Roots that cannot be read.
pub fn command_client() -> Result<SharedHttpClient, String> {
    https_client(TrustStore::default())
}

/// The SDK takes its roots as PEM.
fn amazon() -> TrustStore {
    let pem = |der: &[u8]| {
        let [begin, end] = ["BEGIN", "END"].map(|word| format!("-----{word} CERTIFICATE-----"));
        format!("{begin}\n{}\n{end}\n", STANDARD.encode(der))
    };
    let all: String = AMAZON.iter().map(|der| pem(der)).collect();
    TrustStore::empty().with_pem_certificate(all)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_roots_are_chosen_by_the_environment() {
        let chosen = |set: &'static [(&str, &str)]| {
            chosen(move |name| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(chosen(&[]), Ok(Roots::System));
        assert_eq!(chosen(&[("TRUSTED_ROOTS", "")]), Ok(Roots::System));
        assert_eq!(chosen(&[("TRUSTED_ROOTS", "system")]), Ok(Roots::System));
        assert_eq!(chosen(&[("TRUSTED_ROOTS", " amazon ")]), Ok(Roots::Amazon));
        let told = chosen(&[("TRUSTED_ROOTS", "none")]);
        assert_eq!(told, Err("TRUSTED_ROOTS is amazon or system, not none".to_owned()));
    }

    #[test]
    fn a_service_is_where_the_environment_says() {
        let config = |service, set: &'static [(&str, &str)]| {
            sdk_config(service, move |name| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let set: &[_] = &[
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://tables"),
            ("AWS_USE_FIPS_ENDPOINT", "true"),
        ];
        let tables = config(Service::DynamoDb, set).unwrap();
        assert_eq!(tables.region().map(Region::as_ref), Some("eu-central-1"));
        assert_eq!(tables.endpoint_url(), Some("http://tables"));
        assert_eq!((tables.use_fips(), tables.use_dual_stack()), (Some(true), Some(false)));
        assert_eq!(config(Service::Sns, set).unwrap().endpoint_url(), Some("http://all"));
        let bare = config(Service::Sns, &[("AWS_DEFAULT_REGION", "us-east-1")]).unwrap();
        assert_eq!(bare.endpoint_url(), None);
        let told = config(Service::DynamoDb, &[("AWS_REGION", "")]).unwrap_err();
        assert_eq!(told, "AWS_REGION is not set: name the region of the tables");
    }

    /// As published at <https://www.amazontrust.com/repository/>.
    #[test]
    fn the_embedded_roots_are_amazons() {
        let published = [
            "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
            "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
            "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
            "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
            "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
        ];
        let digests = AMAZON.map(|der| data_encoding::HEXLOWER.encode(&Sha256::digest(der)));
        assert_eq!(digests, published);
    }
}
