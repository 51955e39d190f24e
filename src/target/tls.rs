//! The target's own certificate, made as it starts and known to nobody before.

use super::Tls;
use super::server::TargetError;
use crate::catalog::{HttpVersion, Pem};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::version::TLS13;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Where it may be found, beside the address that it is bound to.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What its HTTP face speaks, in the order in which it likes it.
const HTTP: [HttpVersion; 2] = [HttpVersion::Two, HttpVersion::One];

/// Who the target is to its clients.
pub struct Identity {
    pub config: Arc<ServerConfig>,
    /// The same on the port of HTTP, where a client may ask which HTTP is spoken (ALPN, RFC 7301).
    pub http: Arc<ServerConfig>,
    pub certificate: Pem,
}

impl Identity {
    /// A new one, of ECDSA on P-256. It speaks TLS 1.3 alone, whose handshake is one round trip, so that the emulated network
    /// can charge that.
    pub fn new(settings: Tls, bind: IpAddr) -> Result<Identity, TargetError> {
        let names: BTreeSet<String> = NAMES.into_iter().map(str::to_owned).chain([bind.to_string()]).collect();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(Vec::from_iter(names)).map_err(|e| failed(&e))?;
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key.into()))
            .map_err(|e| failed(&e))?;
        if settings.resumption {
            // Tickets hold all there is to know, so nothing is kept of a client that is gone.
            config.ticketer = Ticketer::new().map_err(|e| failed(&e))?;
        } else {
            config.send_tls13_tickets = 0;
        }
        let mut http = config.clone();
        http.alpn_protocols = HTTP.map(|http| http.alpn().as_bytes().to_vec()).to_vec();
        Ok(Identity { config: Arc::new(config), http: Arc::new(http), certificate: Pem::new(cert.pem()) })
    }
}

fn failed(problem: &dyn std::fmt::Display) -> TargetError {
    TargetError::Certificate(problem.to_string())
}
