//! TLS to a server, with certificates and keys from files: for the stores that are on one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// Certificates or keys are not what they should be: which file, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// A server's certificate is verified, by who may have signed it (PEM) or as this machine trusts; and a client shows its own
/// certificate, with its key, where it has one.
///
/// # Errors
/// A file that cannot be read, or holds none.
pub fn config(
    ca_file: Option<&Path>,
    client_certificate: Option<&(PathBuf, PathBuf)>,
) -> Result<ClientConfig, TlsError> {
    let broken = |error: rustls::Error| TlsError(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(broken)?;
    let builder = match ca_file {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(broken)?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder.with_platform_verifier().map_err(broken)?,
    };
    match client_certificate {
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(broken),
        None => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |error| TlsError(format!("{}: {error}", file.display()));
    let read = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
    let read: Vec<_> = read.collect::<Result<_, _>>().map_err(unreadable)?;
    match read.is_empty() {
        true => Err(TlsError(format!(
            "{}: no certificate in it (PEM)",
            file.display()
        ))),
        false => Ok(read),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| TlsError(format!("{}: {error}", file.display())))
}
