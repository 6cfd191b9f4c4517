//! TLS towards whom the configuration names: the built-in roots, a file's, or none asked.

use std::path::Path;
use std::sync::Arc;

use notify::Trusted;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

/// The client's side of TLS. `ca_file` replaces the built-in roots.
pub(crate) fn config(ca_file: Option<&Path>, insecure_skip_verify: bool) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let trusted = match ca_file {
        _ if insecure_skip_verify => None,
        None => Some(Trusted::built_in(&provider)?),
        Some(file) => {
            let failed = |reason: String| format!("ca_file {}: {reason}", file.display());
            let listed = CertificateDer::pem_file_iter(file).map_err(|error| failed(error.to_string()))?;
            let listed: Vec<_> = listed.collect::<Result<_, _>>().map_err(|error| failed(error.to_string()))?;
            if listed.is_empty() {
                return Err(failed("it holds no certificate in PEM".into()));
            }
            Some(Trusted::listed(listed, &provider).map_err(failed)?)
        }
    };
    let verifier = Arc::new(Verifier { provider, trusted });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// With `insecure_skip_verify` whoever answers is taken for the target. Signatures are still checked, so that the connection is with whom
/// it began.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// `None`: whoever answers.
    trusted: Option<Trusted>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.trusted {
            None => Ok(ServerCertVerified::assertion()),
            Some(trusted) => trusted.verify(end_entity, intermediates, name, ocsp_response, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
