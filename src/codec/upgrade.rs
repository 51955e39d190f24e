//! The opening handshake of RFC 6455 §4, once for every engine and both ends: exact bytes, exact checks.

use super::CodecError;
use super::fields::{MAX_HEADERS, has_token, tokens, value, whole};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path and query.
    pub path: String,
    /// `Sec-WebSocket-Key`.
    pub key: String,
    pub subprotocols: Vec<String>,
    /// `Sec-WebSocket-Extensions`, as it is offered.
    pub extensions: Option<String>,
}

/// Why a server's answer is not a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the server answered {status} instead of 101")]
    Status { status: u16 },
    #[error("Sec-WebSocket-Accept is {got:?} where {want:?} was due")]
    Accept { got: String, want: String },
    #[error("the answer lacks `{0}`")]
    Missing(&'static str),
    #[error("the server chose subprotocol {0:?}, which was not offered")]
    Subprotocol(String),
    #[error("the server chose extension {0:?}, which was not offered")]
    Extension(String),
    #[error(transparent)]
    Malformed(#[from] CodecError),
}

/// A server's answer that holds: how many bytes its head took, the subprotocol and the extensions it chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub head_len: usize,
    pub subprotocol: Option<String>,
    pub extensions: Option<String>,
}

/// Writes a client's request. `key` is 16 random bytes in base64; `headers` come after the required ones.
pub fn write_request(host: &str, request: &Request, headers: &[(String, String)]) -> Vec<u8> {
    let mut head = format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {}\r\n\
         Sec-WebSocket-Version: 13\r\n",
        request.path, request.key
    );
    if !request.subprotocols.is_empty() {
        head += &format!("Sec-WebSocket-Protocol: {}\r\n", request.subprotocols.join(", "));
    }
    if let Some(extensions) = &request.extensions {
        head += &format!("Sec-WebSocket-Extensions: {extensions}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    (head + "\r\n").into_bytes()
}

/// Reads a client's request; `None`: not whole yet. Returns the request and the length of its head.
pub fn read_request(bytes: &[u8]) -> Result<Option<(Request, usize)>, CodecError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let Some(head_len) = whole(parsed.parse(bytes), bytes.len())? else { return Ok(None) };
    let headers: &[httparse::Header] = parsed.headers;
    if parsed.method != Some("GET") {
        return Err(CodecError::Malformed("the handshake is not a GET"));
    }
    if !has_token(headers, "upgrade", "websocket") || !has_token(headers, "connection", "upgrade") {
        return Err(CodecError::Malformed("the request does not ask for a WebSocket"));
    }
    if value(headers, "sec-websocket-version") != Some("13") {
        return Err(CodecError::Malformed("the handshake is not of version 13"));
    }
    let key = value(headers, "sec-websocket-key").ok_or(CodecError::Malformed("Sec-WebSocket-Key is missing"))?;
    let request = Request {
        path: parsed.path.unwrap_or("/").to_owned(),
        key: key.to_owned(),
        subprotocols: tokens(headers, "sec-websocket-protocol").map(str::to_owned).collect(),
        extensions: all(headers, EXTENSIONS),
    };
    Ok(Some((request, head_len)))
}

/// Writes the server's 101 to `key`.
pub fn write_response(key: &str, subprotocol: Option<&str>) -> Vec<u8> {
    write_response_with(key, subprotocol, None)
}

/// As [`write_response`], with what is agreed on of the extensions that were offered.
pub fn write_response_with(key: &str, subprotocol: Option<&str>, extensions: Option<&str>) -> Vec<u8> {
    let chosen = subprotocol.map(|p| format!("Sec-WebSocket-Protocol: {p}\r\n")).unwrap_or_default();
    let agreed = extensions.map(|e| format!("Sec-WebSocket-Extensions: {e}\r\n")).unwrap_or_default();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\
         {chosen}{agreed}\r\n",
        derive_accept_key(key.as_bytes())
    )
    .into_bytes()
}

/// Checks the server's answer to `request` as RFC 6455 §4.1 asks; `None`: not whole yet.
pub fn read_response(bytes: &[u8], request: &Request) -> Result<Option<Accepted>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let Some(head_len) = whole(parsed.parse(bytes), bytes.len())? else { return Ok(None) };
    let headers: &[httparse::Header] = parsed.headers;
    let status = parsed.code.unwrap_or(0);
    if status != 101 {
        return Err(Refused::Status { status });
    }
    if !has_token(headers, "upgrade", "websocket") {
        return Err(Refused::Missing("Upgrade: websocket"));
    }
    if !has_token(headers, "connection", "upgrade") {
        return Err(Refused::Missing("Connection: Upgrade"));
    }
    let want = derive_accept_key(request.key.as_bytes());
    let got = value(headers, "sec-websocket-accept").unwrap_or("");
    if got != want {
        return Err(Refused::Accept { got: got.to_owned(), want });
    }
    let subprotocol = value(headers, "sec-websocket-protocol").map(str::to_owned);
    match &subprotocol {
        Some(chosen) if !request.subprotocols.contains(chosen) => return Err(Refused::Subprotocol(chosen.clone())),
        _ => {}
    }
    match all(headers, EXTENSIONS) {
        Some(chosen) if request.extensions.is_none() => Err(Refused::Extension(chosen)),
        extensions => Ok(Some(Accepted { head_len, subprotocol, extensions })),
    }
}

const EXTENSIONS: &str = "sec-websocket-extensions";

/// The values of all headers with that name, as one list (RFC 9110 §5.3).
fn all(headers: &[httparse::Header], name: &str) -> Option<String> {
    let named = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let values: Vec<&str> = named.filter_map(|header| std::str::from_utf8(header.value).ok()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::fields::MAX_HEAD;

    fn request() -> Request {
        // The key and accept value of RFC 6455 §1.3.
        Request {
            path: "/chat".into(),
            key: "dGhlIHNhbXBsZSBub25jZQ==".into(),
            subprotocols: vec!["chat".into(), "superchat".into()],
            extensions: None,
        }
    }

    #[test]
    fn both_ends_agree() {
        let wire = write_request("server.example.com", &request(), &[("Origin".into(), "http://example.com".into())]);
        let (read, head_len) = read_request(&wire).unwrap().unwrap();
        assert_eq!((read, head_len), (request(), wire.len()));
        let answer = write_response(&request().key, Some("chat"));
        assert!(std::str::from_utf8(&answer).unwrap().contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        let accepted = read_response(&answer, &request()).unwrap().unwrap();
        assert_eq!(accepted, Accepted { head_len: answer.len(), subprotocol: Some("chat".into()), extensions: None });
        for cut in 0..answer.len() {
            assert_eq!(read_response(&answer[..cut], &request()), Ok(None));
        }
    }

    #[test]
    fn each_broken_answer_is_told_apart() {
        let refused = |answer: &str| read_response(answer.as_bytes(), &request()).unwrap_err();
        assert_eq!(refused("HTTP/1.1 503 Busy\r\n\r\n"), Refused::Status { status: 503 });
        let head = "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n";
        assert_eq!(refused(&format!("{head}\r\n")), Refused::Missing("Connection: Upgrade"));
        let head = format!("{head}Connection: keep-alive, Upgrade\r\n");
        assert!(matches!(refused(&format!("{head}Sec-WebSocket-Accept: x\r\n\r\n")), Refused::Accept { .. }));
        let good = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let other = refused(&format!("{head}{good}Sec-WebSocket-Protocol: other\r\n\r\n"));
        assert_eq!(other, Refused::Subprotocol("other".into()));
        let other = refused(&format!("{head}{good}Sec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: b\r\n\r\n"));
        assert_eq!(other, Refused::Extension("a, b".into()));
        assert!(matches!(refused("SSH-2.0-OpenSSH\r\n\r\n"), Refused::Malformed(_)));
        let long = format!("HTTP/1.1 101 S\r\nX: {}", "y".repeat(MAX_HEAD));
        assert!(matches!(refused(&long), Refused::Malformed(CodecError::TooLarge { .. })));
    }

    #[test]
    fn requests_that_are_not_handshakes_are_refused() {
        assert!(read_request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").is_err());
        assert!(read_request(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n").is_err());
        assert!(read_request(b"\x16\x03\x01\x00\x00").is_err());
    }
}
