//! Whom a client trusts under TLS, and who it says it is: contents of files, never where they are.

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::fmt;

/// TLS of one arm, resolved and complete.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tls {
    /// Authorities that are trusted beside the system's.
    pub ca: Option<Pem>,
    /// Who the client is, for a target that wants to know.
    pub identity: Option<ClientCertificate>,
    /// Any certificate is taken, under any name.
    pub insecure: bool,
    /// What the target is asked for by name (SNI), and the name that its certificate must have; `None`: the URL's host.
    pub server_name: Option<String>,
    /// Application protocols to offer (ALPN, RFC 7301), the preferred first; none: the extension isn't sent.
    pub alpn: Vec<String>,
    /// Take up earlier sessions where the target lets us; else each handshake is a whole one.
    pub resumption: bool,
}

impl Tls {
    /// Takes certificates and keys out; whether there were any stays to be seen.
    pub fn redact(&mut self) {
        let secrets = self.identity.iter_mut().flat_map(|identity| [&mut identity.cert, &mut identity.key]);
        self.ca.iter_mut().chain(secrets).for_each(|pem| *pem = Pem::new("[redacted]"));
    }
}

/// A client's certificate, followed by what vouches for it, and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    pub cert: Pem,
    pub key: Pem,
}

/// What a PEM file (RFC 7468) holds. It may be a key, so nothing shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pem(String);

/// A text that doesn't hold what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    #[error("it holds no {0}; PEM has it between `-----BEGIN {1}-----` and `-----END {1}-----`")]
    Lacks(&'static str, &'static str),
    #[error("it is not PEM: {0}")]
    Malformed(String),
}

impl Pem {
    pub fn new(text: impl Into<String>) -> Pem {
        Pem(text.into())
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    /// Its certificates, at least one.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let lacks = || PemError::Lacks("certificate", "CERTIFICATE");
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.0.as_bytes()).collect();
        let found = found.map_err(|error| malformed(&error, lacks()))?;
        if found.is_empty() { Err(lacks()) } else { Ok(found) }
    }

    /// Its first key. One that is encrypted counts as none.
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, PemError> {
        let lacks = PemError::Lacks("key that isn't encrypted", "PRIVATE KEY");
        PrivateKeyDer::from_pem_slice(self.0.as_bytes()).map_err(|error| malformed(&error, lacks))
    }
}

/// Says nothing of the text itself.
fn malformed(error: &pem::Error, lacks: PemError) -> PemError {
    PemError::Malformed(match error {
        pem::Error::NoItemsFound => return lacks,
        pem::Error::MissingSectionEnd { .. } => "a section has no end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a section doesn't begin as it should".to_owned(),
        _ => "a section isn't base64".to_owned(),
    })
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Pem({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named_and_what_is_there_is_never_shown() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let pem = Pem::new(key);
        assert!(pem.key().is_ok());
        assert_eq!(pem.certificates(), Err(PemError::Lacks("certificate", "CERTIFICATE")));
        assert!(!format!("{pem:?}").contains("c2Vj"));
        for broken in [key.replace("c2Vj", "!!c2"), key.replace("-----END", "")] {
            let problem = Pem::new(broken).key().unwrap_err();
            assert!(matches!(problem, PemError::Malformed(_)) && !problem.to_string().contains("c2"), "{problem}");
        }
        let encrypted = Pem::new(key.replace("PRIVATE", "ENCRYPTED PRIVATE")).key().unwrap_err();
        assert!(encrypted.to_string().contains("encrypted"), "{encrypted}");
    }
}
