//! TLS, checked against the certificates that the system trusts.

use super::{ErrorClass, Failure};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use std::cell::OnceCell;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

thread_local! {
    /// Reading the system's certificates takes longer than a handshake, so it is done once a worker.
    static CONFIG: OnceCell<Result<Arc<ClientConfig>, rustls::Error>> = const { OnceCell::new() };
}

/// Shakes hands as a client that expects `name`, and offers to speak one of `alpn`, where there are any. Sessions are never
/// resumed: each handshake is a whole one.
pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    name: &str,
    alpn: &[&[u8]],
) -> Result<TlsStream<S>, Failure> {
    let failure = |detail: String| Failure::new(ErrorClass::Tls, detail);
    let config = CONFIG.with(|config| config.get_or_init(configured).clone());
    let config = config.map_err(|e| failure(format!("the system's certificates can't be used: {e}")))?;
    let config = speaking(config, alpn);
    let server = ServerName::try_from(name.to_owned()).map_err(|_| {
        failure(format!("{name:?} is neither a host name nor an address that a certificate could name"))
    })?;
    TlsConnector::from(config).connect(server, stream).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => error.into(),
        _ => failure(error.to_string()),
    })
}

fn speaking(config: Arc<ClientConfig>, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    if alpn.is_empty() {
        return config;
    }
    let mut config = ClientConfig::clone(&config);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

fn configured() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
