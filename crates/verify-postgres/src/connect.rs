//! Connections: encrypted wherever they leave the machine, a few of them, none kept that may be in the middle of something.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use verify_core::store::StoreFault;

use crate::errors::OpenError;
use crate::options::PostgresOptions;

/// A pool of connections.
pub(crate) fn pool(options: &PostgresOptions) -> Result<Pool, OpenError> {
    let mut config = options.config.clone();
    // One that is silent leaves the others time.
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1);
    let each = options.connect / u32::try_from(hosts).unwrap_or(1);
    config.connect_timeout(if hosts > 1 { each * 3 / 4 } else { each });
    if let Some(file) = &options.password_file {
        let password = fs::read_to_string(file).map_err(|error| OpenError::File {
            file: file.clone(),
            error,
        })?;
        config.password(password.trim_end_matches(['\r', '\n']));
    }
    let recycled = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = match is_encrypted(options) {
        true => {
            config.ssl_mode(SslMode::Require);
            Manager::from_config(config, MakeRustlsConnect::new(tls(options)?), recycled)
        }
        false => {
            config.ssl_mode(SslMode::Disable);
            Manager::from_config(config, NoTls, recycled)
        }
    };
    Pool::builder(manager)
        .max_size(options.connections)
        .wait_timeout(Some(options.connect))
        .create_timeout(Some(options.connect))
        .recycle_timeout(Some(options.connect))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| OpenError::Connect(error.to_string()))
}

/// Whether connections are encrypted: what the URL says, and what is safe where it says nothing.
fn is_encrypted(options: &PostgresOptions) -> bool {
    let asked = options.ca_file.is_some() || options.client_certificate.is_some();
    let mode = options.config.get_ssl_mode();
    // The default takes whatever the server offers, which whoever is between them can change.
    let is_default = mode == SslMode::Prefer;
    mode != SslMode::Disable && (!is_default || asked || !options.is_local())
}

fn tls(options: &PostgresOptions) -> Result<ClientConfig, OpenError> {
    let broken = |error: rustls::Error| OpenError::Tls(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(broken)?;
    let builder = match &options.ca_file {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(broken)?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder.with_platform_verifier().map_err(broken)?,
    };
    match &options.client_certificate {
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(broken),
        None => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let unreadable = |error| OpenError::Tls(format!("{}: {error}", file.display()));
    let read = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
    let read: Vec<_> = read.collect::<Result<_, _>>().map_err(unreadable)?;
    match read.is_empty() {
        true => Err(OpenError::Tls(format!(
            "{}: no certificate in it (PEM)",
            file.display()
        ))),
        false => Ok(read),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, OpenError> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| OpenError::Tls(format!("{}: {error}", file.display())))
}

/// A connection that goes back to the pool once it is [`done`](Self::done), and is closed otherwise: whoever is dropped in the
/// middle of a transaction leaves it to nobody.
pub(crate) struct Connection(Option<Object>);

impl Connection {
    pub(crate) async fn of(pool: &Pool) -> Result<Self, StoreFault> {
        let object = pool.get().await;
        let object = object.map_err(|error| StoreFault::unavailable(&reason(&error)))?;
        Ok(Self(Some(object)))
    }

    /// The client.
    ///
    /// # Errors
    /// None: it is there until it is done with.
    pub(crate) fn client(&self) -> Result<&Client, StoreFault> {
        match &self.0 {
            Some(object) => Ok(object),
            None => Err(StoreFault::defect("a connection that was given back")),
        }
    }

    /// Nothing is under way on it.
    pub(crate) fn done(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

/// Why there is no connection, with what the server said.
pub(crate) fn reason(error: &deadpool_postgres::PoolError) -> String {
    match error {
        deadpool_postgres::PoolError::Backend(error) => crate::errors::said(error),
        deadpool_postgres::PoolError::Timeout(_) => "no connection in time".to_owned(),
        deadpool_postgres::PoolError::Closed
        | deadpool_postgres::PoolError::NoRuntimeSpecified
        | deadpool_postgres::PoolError::PostCreateHook(_) => error.to_string(),
    }
}
