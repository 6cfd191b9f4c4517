//! TLS as a configuration asks for it: whom to trust, who we are, which versions.
//!
//! Roots are built in, since the appliance runs where there is no system store.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::TlsConfig;

/// The settings of a client, or what is wrong with them.
pub(crate) fn client(tls: &TlsConfig) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match (tls.only_12, tls.only_13) {
        (true, _) => &[&rustls::version::TLS12],
        (_, true) => &[&rustls::version::TLS13],
        _ => rustls::DEFAULT_VERSIONS,
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?;
    let roots = Arc::new(roots(tls.ca.as_deref())?);
    let verifier = match (tls.insecure_skip_verify, &tls.server_name) {
        (true, _) => Some(Verifier { provider, named: None }),
        (false, Some(name)) => {
            let name = ServerName::try_from(name.clone())
                .map_err(|_| format!("server_name {name:?} is neither a host's name nor an address"))?;
            let checked = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
                .build()
                .map_err(|error| error.to_string())?;
            Some(Verifier { provider, named: Some((name, checked)) })
        }
        (false, None) => None,
    };
    let builder = match verifier {
        None => builder.with_root_certificates(roots),
        Some(verifier) => builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)),
    };
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificates, key)) => {
            let certificates = certificates_of(certificates).map_err(|reason| format!("cert: {reason}"))?;
            let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes())
                .map_err(|_| "key: no private key in PEM is there".to_owned())?;
            builder.with_client_auth_cert(certificates, key).map_err(|error| format!("cert and key: {error}"))
        }
    }
}

fn roots(ca: Option<&str>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in certificates_of(pem).map_err(|reason| format!("ca: {reason}"))? {
                roots.add(certificate).map_err(|error| format!("ca: {error}"))?;
            }
        }
    }
    Ok(roots)
}

/// Every certificate of a PEM text; an error when there is none.
pub(crate) fn certificates_of(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err("no certificate in PEM is there".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Trusts a certificate under another name than the address has, or any at all; the handshake is verified all the same.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// `None`: `insecure_skip_verify`.
    named: Option<(ServerName<'static>, Arc<WebPkiServerVerifier>)>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.named {
            None => Ok(ServerCertVerified::assertion()),
            Some((name, checked)) => checked.verify_server_cert(end_entity, intermediates, name, ocsp_response, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
