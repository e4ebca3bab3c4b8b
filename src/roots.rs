//! Which certificates the functions trust when they call AWS ([ADR 49](../docs/adr/0049-which-roots-tls-trusts.md)).
//!
//! The system's, unless told otherwise: its file has about 145 roots, which are read at each cold start. AWS's endpoints need
//! five, the Amazon Trust Services' roots. These are embedded, for whoever asks for them.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The variable that says which roots are trusted.
const VARIABLE: &str = "TRUSTED_ROOTS";

/// Amazon Root CA 1 to 4 and the Starfield root under which they were first known, from
/// <https://www.amazontrust.com/repository/>. The first to expire is Starfield's, at the end of 2037.
const AMAZON: [&[u8]; 5] = [
    include_bytes!("../infra/roots/amazon-root-ca-1.der"),
    include_bytes!("../infra/roots/amazon-root-ca-2.der"),
    include_bytes!("../infra/roots/amazon-root-ca-3.der"),
    include_bytes!("../infra/roots/amazon-root-ca-4.der"),
    include_bytes!("../infra/roots/starfield-services-g2.der"),
];

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
    match lookup(VARIABLE).as_deref().map(str::trim) {
        Some("system" | "") | None => Ok(Roots::System),
        Some("amazon") => Ok(Roots::Amazon),
        Some(other) => Err(format!("{VARIABLE} is amazon or system, not {other}")),
    }
}

/// What the environment says of credentials, region and endpoints, and the client with which AWS is called.
///
/// # Errors
/// When the variable of the roots has an unknown value.
pub async fn sdk_config(lookup: impl Fn(&str) -> Option<String>) -> Result<SdkConfig, String> {
    let loader = aws_config::defaults(BehaviorVersion::latest());
    let trusted = match chosen(lookup)? {
        // The SDK's own client, as it comes.
        Roots::System => return Ok(loader.load().await),
        Roots::Amazon => amazon(),
    };
    let tls = TlsContext::builder().with_trust_store(trusted).build();
    let tls = tls.map_err(|error| format!("TLS cannot be used here: {error}"))?;
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    Ok(loader.http_client(builder.tls_context(tls).build_https()).load().await)
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
