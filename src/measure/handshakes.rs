//! TLS handshakes of a trial: how many, of which kind, and what they agreed on.

use serde::{Deserialize, Serialize};

/// Over all phases and all connections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Handshakes {
    /// With a certificate that was looked at.
    pub whole: u64,
    /// That took up an earlier session.
    pub resumed: u64,
    /// What they agreed on; one entry, unless targets behind one address differ. In the order of its words.
    pub agreed: Vec<Agreed>,
}

/// What handshakes agreed on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Agreed {
    /// Such as `TLS 1.3`.
    pub version: String,
    /// As IANA has it, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: String,
    /// The application protocol (ALPN); absent where none was agreed on.
    pub alpn: Option<String>,
    pub handshakes: u64,
}

impl Handshakes {
    /// One more.
    pub fn count(&mut self, is_resumed: bool, agreed: Agreed) {
        match is_resumed {
            true => self.resumed += 1,
            false => self.whole += 1,
        }
        self.add(&Agreed { handshakes: 1, ..agreed });
    }

    pub fn merge(&mut self, other: &Handshakes) {
        self.whole = self.whole.saturating_add(other.whole);
        self.resumed = self.resumed.saturating_add(other.resumed);
        other.agreed.iter().for_each(|agreed| self.add(agreed));
    }

    fn add(&mut self, more: &Agreed) {
        let key = |agreed: &Agreed| (agreed.version.clone(), agreed.cipher_suite.clone(), agreed.alpn.clone());
        match self.agreed.iter_mut().find(|agreed| key(agreed) == key(more)) {
            Some(agreed) => agreed.handshakes = agreed.handshakes.saturating_add(more.handshakes),
            None => {
                self.agreed.push(more.clone());
                // Whoever came first: the sum of several doesn't depend on their order.
                self.agreed.sort_unstable();
            }
        }
    }

    /// Such as `TLS 1.3, TLS_AES_128_GCM_SHA256, 500 whole handshakes, 0 resumed`.
    pub fn in_words(&self) -> String {
        let each: Vec<String> = self.agreed.iter().map(|agreed| agreed.in_words(self.agreed.len() > 1)).collect();
        let counts = format!("{} whole handshakes, {} resumed", self.whole, self.resumed);
        [each.join("; "), counts].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

impl Agreed {
    fn in_words(&self, is_one_of_several: bool) -> String {
        let alpn = self.alpn.as_ref().map_or(String::new(), |alpn| format!(", ALPN {alpn}"));
        let times = if is_one_of_several { format!(" ({} ×)", self.handshakes) } else { String::new() };
        format!("{}, {}{alpn}{times}", self.version, self.cipher_suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_of_one_kind_are_one_entry_over_all_workers() {
        let agreed = |alpn: Option<&str>| Agreed {
            version: "TLS 1.3".to_owned(),
            cipher_suite: "TLS_X".to_owned(),
            alpn: alpn.map(str::to_owned),
            handshakes: 0,
        };
        let mut one = Handshakes::default();
        assert_eq!(one.in_words(), "0 whole handshakes, 0 resumed");
        one.count(false, agreed(None));
        one.count(true, agreed(None));
        assert_eq!(one.in_words(), "TLS 1.3, TLS_X, 1 whole handshakes, 1 resumed");
        let mut other = one.clone();
        other.count(false, agreed(Some("a")));
        one.merge(&other);
        assert_eq!((one.whole, one.resumed), (3, 2));
        let words = "TLS 1.3, TLS_X (4 ×); TLS 1.3, TLS_X, ALPN a (1 ×), 3 whole handshakes, 2 resumed";
        assert_eq!(one.in_words(), words);
    }
}
