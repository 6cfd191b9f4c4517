//! TLS as a configuration asks for it: whom to trust, who we are, which versions.
//!
//! Roots are built in, since the appliance runs where there is no system store.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

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
    let name = tls.server_name.as_ref().map(|name| {
        let parsed = ServerName::try_from(name.clone());
        parsed.map_err(|_| format!("server_name {name:?} is neither a host's name nor an address"))
    });
    let name = name.transpose()?;
    let trusted = match &tls.ca {
        _ if tls.insecure_skip_verify => None,
        None => Some(Trusted::built_in(&provider)?),
        Some(pem) => {
            let listed = certificates_of(pem).map_err(|reason| format!("ca: {reason}"))?;
            Some(Trusted::listed(listed, &provider).map_err(|reason| format!("ca: {reason}"))?)
        }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier { provider, name, trusted }));
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

/// Whom to trust: those whose certificate one of some roots has signed, and those whose own certificate was listed among them, as Go's
/// clients do. A self-signed certificate as `openssl req -x509` makes it is an authority as well, which is else no server's.
#[derive(Debug)]
pub struct Trusted {
    listed: Vec<CertificateDer<'static>>,
    by_roots: Arc<WebPkiServerVerifier>,
}

impl Trusted {
    /// # Errors
    /// None that is known.
    pub fn built_in(provider: &Arc<CryptoProvider>) -> Result<Trusted, String> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Trusted::of(Vec::new(), roots, provider)
    }

    /// # Errors
    /// What is wrong with a certificate.
    pub fn listed(listed: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Result<Trusted, String> {
        let mut roots = RootCertStore::empty();
        for certificate in &listed {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        Trusted::of(listed, roots, provider)
    }

    fn of(
        listed: Vec<CertificateDer<'static>>,
        roots: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Trusted, String> {
        let by_roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        Ok(Trusted { listed, by_roots: by_roots.map_err(|error| error.to_string())? })
    }

    /// Whether the one who shows these certificates is `name`.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.by_roots.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        // Out of date and under another name is refused of these too.
        let is_authority = matches!(verified, Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))));
        if is_authority && self.listed.iter().any(|listed| listed == end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        verified
    }
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

/// Trusts whom it is told to, or anybody; the handshake is verified all the same.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// Whose certificate it must be, where that is not the name in the address.
    name: Option<ServerName<'static>>,
    /// `None`: `insecure_skip_verify`.
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
        let name = self.name.as_ref().unwrap_or(name);
        match &self.trusted {
            None => Ok(ServerCertVerified::assertion()),
            Some(trusted) => trusted.verify(end_entity, intermediates, name, ocsp_response, now),
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
