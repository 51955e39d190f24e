//! A transport's settings in words, for people: those that differ from the usual.

use super::{
    Engine, Framing, HeaderProfile, Http, HttpMethod, HttpRequests, HttpVersion, Identity, Start, Tcp, Tls, Transport,
    Udp, Websocket,
};

impl Transport {
    /// Settings worth a reader's eye, such as `("headers", "browser")`. Headers are named without their values, which
    /// may be secret.
    pub fn settings(&self) -> Vec<(String, String)> {
        match self {
            Transport::Websocket(websocket) => [of_websocket(websocket), of_identity(&websocket.identity)].concat(),
            Transport::Tcp(tcp) => of_tcp(tcp),
            Transport::Udp(Udp { receive_buffer }) => words([("receive buffer", Some(receive_buffer.to_string()))]),
            Transport::LongPolling(http)
            | Transport::ShortPolling(http)
            | Transport::Sse(http)
            | Transport::HttpStreaming(http) => [of_http(http), of_identity(&http.identity)].concat(),
            Transport::Http(requests) => [of_requests(requests), of_identity(&requests.identity)].concat(),
        }
    }
}

impl Tls {
    /// As [`Transport::settings`]; of certificates and keys, only whether there are any.
    pub fn settings(&self) -> Vec<(String, String)> {
        let yes = |is: bool| is.then(|| "yes".to_owned());
        words([
            ("tls", yes(true)),
            ("insecure", yes(self.insecure)),
            ("own authorities", yes(self.ca.is_some())),
            ("client certificate", yes(self.identity.is_some())),
            ("server name", self.server_name.clone()),
            ("alpn", listed(&self.alpn)),
            ("resumption", yes(self.resumption)),
        ])
    }
}

fn of_websocket(websocket: &Websocket) -> Vec<(String, String)> {
    words([
        ("engine", Some(websocket.engine).filter(|e| *e != Engine::Native).map(|e| e.to_string())),
        ("http", version(websocket.http)),
        ("deflate", websocket.deflate.then(|| "permessage-deflate".to_owned())),
        ("start", Some(websocket.start).filter(|s| *s != Start::Websocket).map(|s| s.to_string())),
        ("fragment", websocket.fragment.map(|size| size.to_string())),
        ("subprotocols", listed(&websocket.subprotocols)),
        ("ping every", websocket.ping_every.map(|span| span.to_string())),
        ("close code", Some(websocket.close_code).filter(|code| *code != 1000).map(|code| code.to_string())),
        ("headers", browser(websocket.headers)),
        ("extra headers", names(&websocket.extra_headers)),
        ("nodelay", no(websocket.nodelay)),
    ])
}

fn of_tcp(tcp: &Tcp) -> Vec<(String, String)> {
    let framing = Some(tcp.framing).filter(|f| *f != Framing::Length).map(|f| f.to_string());
    words([("framing", framing), ("nodelay", no(tcp.nodelay))])
}

fn of_http(http: &Http) -> Vec<(String, String)> {
    words([
        ("http", version(http.http)),
        ("interval", http.interval.map(|span| span.to_string())),
        ("keep-alive", no(http.keep_alive)),
        ("batch", no(http.batch)),
        ("headers", browser(http.headers)),
        ("extra headers", names(&http.extra_headers)),
        ("nodelay", no(http.nodelay)),
    ])
}

fn of_requests(requests: &HttpRequests) -> Vec<(String, String)> {
    words([
        ("method", Some(requests.method).filter(|m| *m != HttpMethod::Post).map(|m| m.to_string())),
        ("headers", browser(requests.headers)),
        ("extra headers", names(&requests.extra_headers)),
        ("nodelay", no(requests.nodelay)),
    ])
}

/// Credentials by their kind alone.
fn of_identity(identity: &Identity) -> Vec<(String, String)> {
    words([
        ("host", identity.host.clone()),
        ("origin", identity.origin.clone()),
        ("auth", identity.auth.as_ref().map(|auth| auth.kind().to_owned())),
        ("cookies", no(identity.cookies)),
    ])
}

fn words<const N: usize>(all: [(&str, Option<String>); N]) -> Vec<(String, String)> {
    all.into_iter().filter_map(|(name, value)| value.map(|v| (name.to_owned(), v))).collect()
}

fn version(http: HttpVersion) -> Option<String> {
    (http != HttpVersion::One).then(|| http.to_string())
}

fn no(usual: bool) -> Option<String> {
    (!usual).then(|| "no".to_owned())
}

fn browser(headers: HeaderProfile) -> Option<String> {
    (headers != HeaderProfile::Minimal).then(|| headers.to_string())
}

fn names(headers: &[(String, String)]) -> Option<String> {
    let names: Vec<String> = headers.iter().map(|(name, _)| name.clone()).collect();
    listed(&names)
}

fn listed(list: &[String]) -> Option<String> {
    (!list.is_empty()).then(|| list.join(", "))
}
