//! `tls_config`, of HTTP and of mail: read with the files that it names, and tried out, so that a mistake shows when the file is loaded.

use std::path::Path;

use super::fields::Fields;
use super::secret::{self, Secret};
use super::tree::{Bad, Node};

/// Largest file of certificates, in bytes: the bundle of a whole system has a quarter of it.
const PEM_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TlsConfig {
    /// Certificates in PEM, trusted in place of the built-in roots.
    pub(crate) ca: Option<String>,
    /// Who we are: certificates and key in PEM.
    pub(crate) identity: Option<(String, Secret)>,
    /// Whose certificate the other side must have, where that is not the name in its address.
    pub(crate) server_name: Option<String>,
    pub(crate) insecure_skip_verify: bool,
    /// TLS 1.3 and nothing else.
    pub(crate) only_13: bool,
    /// TLS 1.2 and nothing else.
    pub(crate) only_12: bool,
    /// What is asked for and not spoken by this release.
    pub(crate) unspoken: Option<String>,
}

pub(super) fn read(node: &Node, dir: &Path) -> Result<TlsConfig, Bad> {
    let mut tls = Fields::of(node, "tls_config")?;
    let text = |found: Option<(Secret, usize)>| found.map(|(text, _)| text);
    let ca =
        text(secret::take_up_to(&mut tls, "ca", "ca_file", dir, PEM_BYTES_MAX)?).map(|pem| pem.reveal().to_owned());
    let cert = text(secret::take_up_to(&mut tls, "cert", "cert_file", dir, PEM_BYTES_MAX)?);
    let cert = cert.map(|pem| pem.reveal().to_owned());
    let key = text(secret::take(&mut tls, "key", "key_file", dir)?);
    let mut unspoken = None;
    for name in ["ca_ref", "cert_ref", "key_ref"] {
        if tls.take(name).is_some() {
            unspoken = Some(format!("{name} names a secret manager, and none is spoken to; give a file"));
        }
    }
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ if unspoken.is_some() => None,
        _ => {
            return Err(Bad::new(
                node.line,
                "a client's certificate needs both cert (or cert_file) and key (or key_file)",
            ));
        }
    };
    let server_name = tls.text("server_name")?.map(|(text, _)| text.to_owned()).filter(|text| !text.is_empty());
    let insecure_skip_verify = tls.flag("insecure_skip_verify")?.unwrap_or(false);
    let mut version = |name: &'static str| -> Result<Option<(u8, usize)>, Bad> {
        match tls.text(name)? {
            None | Some(("", _)) => Ok(None),
            Some(("TLS10", line)) => Ok(Some((10, line))),
            Some(("TLS11", line)) => Ok(Some((11, line))),
            Some(("TLS12", line)) => Ok(Some((12, line))),
            Some(("TLS13", line)) => Ok(Some((13, line))),
            Some((other, line)) => Err(Bad::new(line, format!("{name} is TLS12 or TLS13, not {other:?}"))),
        }
    };
    let (min, max) = (version("min_version")?, version("max_version")?);
    if let Some((10 | 11, line)) = max {
        return Err(Bad::new(line, "TLS 1.0 and 1.1 are not spoken: max_version is TLS12 or TLS13"));
    }
    let (only_13, only_12) = (matches!(min, Some((13, _))), matches!(max, Some((12, _))));
    if let (Some((_, line)), true, true) = (max, only_13, only_12) {
        return Err(Bad::new(line, "max_version is below min_version"));
    }
    tls.end(&[])?;
    let config = TlsConfig { ca, identity, server_name, insecure_skip_verify, only_13, only_12, unspoken };
    crate::tls::client(&config).map_err(|reason| Bad::new(node.line, reason))?;
    Ok(config)
}
