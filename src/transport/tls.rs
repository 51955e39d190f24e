//! TLS of a worker's connections: whom they trust, who they are, and what their handshakes came to.

use super::failure::tls_words;
use super::tickets::Tickets;
use super::{ErrorClass, Failure};
use crate::catalog::{self, Pem, PemError};
use crate::measure::{Agreed, Handshakes};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, ProtocolVersion, RootCertStore,
    SignatureScheme,
};
use rustls_platform_verifier::Verifier;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// TLS of every connection to one endpoint.
pub struct Tls {
    config: Arc<ClientConfig>,
    /// What is asked for and checked.
    name: ServerName<'static>,
    done: RefCell<Handshakes>,
}

/// Settings that no handshake could be made with.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{0:?} is neither a host name nor an address that a certificate could name")]
    Name(String),
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("the certificates to trust can't be used: {0}")]
    Trust(String),
    #[error("the client's certificate can't be used: {0}")]
    Identity(rustls::Error),
    #[error(transparent)]
    Other(#[from] rustls::Error),
}

impl From<Unusable> for Failure {
    fn from(unusable: Unusable) -> Failure {
        Failure::new(ErrorClass::Tls, unusable.to_string())
    }
}

impl Tls {
    /// For connections to `host`. `only`: the one certificate to trust, in place of all others.
    ///
    /// # Errors
    /// If the settings make no sense. Reading the system's certificates takes longer than a handshake.
    pub fn new(settings: &catalog::Tls, host: &str, only: Option<&Pem>) -> Result<Tls, Failure> {
        let name = settings.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| Unusable::Name(name.to_owned()))?;
        let config = Arc::new(configured(settings, only)?);
        Ok(Tls { config, name, done: RefCell::default() })
    }

    /// Handshakes so far.
    pub fn handshakes(&self) -> Handshakes {
        self.done.borrow().clone()
    }

    pub(super) async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> Result<TlsStream<S>, Failure> {
        let connector = TlsConnector::from(self.config.clone());
        let shaken = connector.connect(self.name.clone(), stream).await.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => error.into(),
            _ => Failure::new(ErrorClass::Tls, tls_words(&error)),
        })?;
        self.note(shaken.get_ref().1);
        Ok(shaken)
    }

    fn note(&self, connection: &ClientConnection) {
        let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown");
        let agreed = Agreed {
            version: connection.protocol_version().map_or("unknown", version).to_owned(),
            // Ours has a name of its own for those of TLS 1.3.
            cipher_suite: suite.replacen("TLS13_", "TLS_", 1),
            alpn: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            handshakes: 1,
        };
        let is_resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        self.done.borrow_mut().count(is_resumed, agreed);
    }
}

fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_2 => "TLS 1.2",
        ProtocolVersion::TLSv1_3 => "TLS 1.3",
        _ => "unknown",
    }
}

fn configured(settings: &catalog::Tls, only: Option<&Pem>) -> Result<ClientConfig, Unusable> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trusting = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier(settings, only, provider)?);
    let mut config = match &settings.identity {
        None => trusting.with_no_client_auth(),
        Some(identity) => trusting
            .with_client_auth_cert(identity.cert.certificates()?, identity.key.key()?)
            .map_err(Unusable::Identity)?,
    };
    config.alpn_protocols = settings.alpn.iter().map(|name| name.clone().into_bytes()).collect();
    config.resumption =
        if settings.resumption { Resumption::store(Arc::new(Tickets::default())) } else { Resumption::disabled() };
    Ok(config)
}

/// Who says whether a certificate is good.
fn verifier(
    settings: &catalog::Tls,
    only: Option<&Pem>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Unusable> {
    let unusable = |error: &dyn std::fmt::Display| Unusable::Trust(error.to_string());
    if settings.insecure {
        return Ok(Arc::new(Anyone(provider)));
    }
    if let Some(only) = only {
        let mut roots = RootCertStore::empty();
        for certificate in only.certificates()? {
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let verifier = verifier.map_err(|error| unusable(&error))?;
        return Ok(verifier);
    }
    let own = settings.ca.as_ref().map(Pem::certificates).transpose()?.unwrap_or_default();
    let verifier = Verifier::new_with_extra_roots(own, provider).map_err(|error| unusable(&error))?;
    Ok(Arc::new(verifier))
}

/// Takes any certificate. That the target holds its key is still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
