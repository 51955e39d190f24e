//! The addresses of NATS servers as people write them.

use crate::bus::BusError;

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Without what stood before the host.
    pub url: String,
    /// A user and a password; a token stands alone.
    pub user: Option<(String, Option<String>)>,
}

impl Address {
    /// `nats://user:password@host:4222,tls://token@other`: separated by commas; without a scheme it is `nats://`.
    ///
    /// # Errors
    /// If one of them can't be a server's; what stands before the host is not repeated.
    pub fn all(urls: &str) -> Result<Vec<Address>, BusError> {
        urls.split(',').map(|url| Address::one(url.trim())).collect()
    }

    fn one(url: &str) -> Result<Address, BusError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
        let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
        let host = host.trim_end_matches('/');
        let wrong = |words: &str| Err(BusError::Settings(format!("NATS URL {scheme}://{host}: {words}")));
        match scheme {
            "nats" | "tls" => {}
            "ws" | "wss" => {
                return wrong("NATS over WebSocket can't be used here; give the port for clients (nats://)");
            }
            _ => return wrong("neither nats:// nor tls://"),
        }
        if host.is_empty() {
            return wrong("no host");
        }
        if host.contains(['/', '?', '#', ' ']) {
            return wrong("there is more than a host and a port");
        }
        let user = user.map(|user| match user.split_once(':') {
            Some((user, password)) => (decoded(user), Some(decoded(password))),
            None => (decoded(user), None),
        });
        Ok(Address { url: format!("{scheme}://{host}"), user })
    }
}

/// Percent-encoding undone (RFC 3986 §2.1); what isn't any stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digit = |n: usize| after.get(n).and_then(|&byte| char::from(byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(url: &str) -> Address {
        Address::all(url).unwrap().remove(0)
    }

    fn problem(url: &str) -> String {
        Address::all(url).unwrap_err().to_string()
    }

    #[test]
    fn what_stands_before_the_host_is_taken_out() {
        let address = one("nats://al%40ice:s%3Acret@host:4222/");
        assert_eq!(address.url, "nats://host:4222");
        assert_eq!(address.user, Some(("al@ice".to_owned(), Some("s:cret".to_owned()))));
        assert_eq!(one("tls://tok@[::1]:1"), Address { url: "tls://[::1]:1".into(), user: Some(("tok".into(), None)) });
        assert_eq!(one("host"), Address { url: "nats://host".into(), user: None });
    }

    #[test]
    fn several_stand_with_commas_between() {
        let urls: Vec<_> = Address::all("nats://a, b:1").unwrap().into_iter().map(|address| address.url).collect();
        assert_eq!(urls, ["nats://a", "nats://b:1"]);
    }

    #[test]
    fn what_cant_be_a_server_is_named_without_its_secrets() {
        for (url, words) in [
            ("http://u:hunter2@host", "neither nats:// nor tls://"),
            ("wss://u:hunter2@host", "over WebSocket"),
            ("nats://u:hunter2@", "no host"),
            ("nats://u:hunter2@host/path", "more than a host"),
            ("", "no host"),
        ] {
            let problem = problem(url);
            assert!(problem.contains(words), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn whatever_percent_signs_stand_in_it_is_taken() {
        for (text, plain) in [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("100%25", "100%"), ("%ff", "\u{fffd}")] {
            assert_eq!(decoded(text), plain);
        }
    }
}
