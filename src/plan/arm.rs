//! `[transports.NAME]` resolved: each transport takes the settings that it knows and refuses the rest.

use super::identity;
use super::load::{MILLISECOND, within};
use super::marks::{self, Check, Use, is_header_value};
use crate::catalog::{
    Engine, Format, Framing, HeaderProfile, Http, HttpMethod, HttpRequests, HttpVersion, Identity, Start, TargetUrl,
    Tcp, Transport, TransportKind, Udp, Websocket,
};
use crate::scenario::{self, Arm, At, Named, Place, Problem};
use crate::units::{ByteSize, Span};
use crate::values::Values;
use crate::wire::PayloadSpec;

use TransportKind::{
    Http as Requests, HttpStreaming, LongPolling, ShortPolling, Sse, Tcp as TcpKind, Udp as UdpKind, Websocket as Ws,
};

/// A setting, the transports that know it, and where an arm gave it.
type Setting = (&'static str, &'static [TransportKind], fn(&Arm) -> Option<&Place>);

const POLLS_OR_STREAMS: &[TransportKind] = &[LongPolling, ShortPolling, Sse, HttpStreaming];
const WITH_VERSIONS: &[TransportKind] = &[Ws, LongPolling, ShortPolling, Sse, HttpStreaming];
const WITH_HEADERS: &[TransportKind] = &[Ws, LongPolling, ShortPolling, Sse, HttpStreaming, Requests];
const OVER_TCP: &[TransportKind] = &[Ws, TcpKind, LongPolling, ShortPolling, Sse, HttpStreaming, Requests];

const SETTINGS: &[Setting] = &[
    ("engine", &[Ws], |arm| place(&arm.engine)),
    ("http", WITH_VERSIONS, |arm| place(&arm.http)),
    ("deflate", &[Ws], |arm| place(&arm.deflate)),
    ("start", &[Ws], |arm| place(&arm.start)),
    ("fragment", &[Ws], |arm| place(&arm.fragment)),
    ("subprotocols", &[Ws], |arm| place(&arm.subprotocols)),
    ("ping_every", &[Ws], |arm| place(&arm.ping_every)),
    ("close_code", &[Ws], |arm| place(&arm.close_code)),
    ("headers", WITH_HEADERS, |arm| place(&arm.headers)),
    ("extra_headers", WITH_HEADERS, |arm| place(&arm.extra_headers)),
    ("host", WITH_HEADERS, |arm| place(&arm.host)),
    ("origin", WITH_HEADERS, |arm| place(&arm.origin)),
    ("auth", WITH_HEADERS, |arm| place(&arm.auth)),
    ("cookies", WITH_HEADERS, |arm| place(&arm.cookies)),
    ("nodelay", OVER_TCP, |arm| place(&arm.nodelay)),
    ("tls", OVER_TCP, |arm| place(&arm.tls)),
    ("resumption", OVER_TCP, |arm| place(&arm.resumption)),
    ("framing", &[TcpKind], |arm| place(&arm.framing)),
    ("receive_buffer", &[UdpKind], |arm| place(&arm.receive_buffer)),
    ("method", &[Requests], |arm| place(&arm.method)),
    ("keep_alive", POLLS_OR_STREAMS, |arm| place(&arm.keep_alive)),
    ("batch", &[LongPolling, ShortPolling], |arm| place(&arm.batch)),
    ("interval", &[ShortPolling], |arm| place(&arm.interval)),
];

fn place<T>(setting: &Option<At<T>>) -> Option<&Place> {
    setting.as_ref().map(|s| &s.place)
}

/// The largest datagram that IPv4 carries, less its headers.
const LARGEST_DATAGRAM: u64 = 65_507;

/// Which transport the arm is of: its `transport`, or else its name.
pub(super) fn kind(name: &At<String>, arm: &Arm, problems: &mut Vec<Problem>) -> Option<TransportKind> {
    if !scenario::is_name(name) {
        let hint = "up to 64 letters, digits, `-`, `_` and `.`, the first a letter or a digit";
        problems.push(Problem::at(name, format!("`{}` can't name an arm", name.value)).hint(hint));
    }
    if let Some(kind) = &arm.transport {
        return Some(kind.value);
    }
    let kind = name.parse().ok();
    if kind.is_none() {
        let kinds = || TransportKind::ALL.iter().map(|k| k.name());
        let hint = match scenario::nearest(name, kinds()) {
            Some(near) => format!("did you mean `[transports.{near}]`? Otherwise add `transport = \"{near}\"` to it"),
            None => scenario::hint("", "add `transport = …` with one of", kinds()),
        };
        let message = format!("`{}` is no transport's name, and the arm doesn't say its transport", name.value);
        problems.push(Problem::at(name, message).hint(hint));
    }
    kind
}

/// The transport with its settings, defaults filled in. `url` may bring credentials.
pub(super) fn transport(kind: TransportKind, arm: &Arm, url: Option<&At<TargetUrl>>, check: &mut Check) -> Transport {
    check_known(kind, arm, check.problems);
    check_values(arm, check);
    check_version(arm, check.problems);
    check_deflate(arm, check.problems);
    let mut identity = || identity::build(arm, url.filter(|_| WITH_HEADERS.contains(&kind)), check);
    match kind {
        Ws => Transport::Websocket(websocket(arm, identity())),
        TcpKind => Transport::Tcp(Tcp { framing: value(&arm.framing, Framing::Length), nodelay: nodelay(arm) }),
        UdpKind => Transport::Udp(Udp { receive_buffer: value(&arm.receive_buffer, ByteSize(1 << 20)) }),
        LongPolling => Transport::LongPolling(http(arm, None, identity())),
        ShortPolling => {
            Transport::ShortPolling(http(arm, Some(value(&arm.interval, Span::from_millis(250))), identity()))
        }
        Sse => Transport::Sse(http(arm, None, identity())),
        HttpStreaming => Transport::HttpStreaming(http(arm, None, identity())),
        Requests => Transport::Http(HttpRequests {
            method: value(&arm.method, HttpMethod::Post),
            headers: value(&arm.headers, HeaderProfile::Minimal),
            extra_headers: extra_headers(arm),
            identity: identity(),
            nodelay: nodelay(arm),
        }),
    }
}

fn value<T: Copy>(setting: &Option<At<T>>, default: T) -> T {
    setting.as_ref().map_or(default, |s| s.value)
}

fn nodelay(arm: &Arm) -> bool {
    value(&arm.nodelay, true)
}

fn http_version(arm: &Arm) -> HttpVersion {
    arm.http.as_ref().and_then(|http| u64::from(http.value).try_into().ok()).unwrap_or_default()
}

fn websocket(arm: &Arm, identity: Identity) -> Websocket {
    let subprotocols = arm.subprotocols.iter().flat_map(|list| list.iter());
    let http = http_version(arm);
    // Our own engine reads a socket by itself; a stream of HTTP/2 is none.
    let engine = if http == HttpVersion::Two { Engine::Fastwebsockets } else { Engine::Native };
    Websocket {
        engine: value(&arm.engine, engine),
        http,
        deflate: value(&arm.deflate, false),
        start: value(&arm.start, Start::Websocket),
        fragment: arm.fragment.as_ref().map(|f| f.value),
        subprotocols: subprotocols.map(|p| p.value.clone()).collect(),
        ping_every: arm.ping_every.as_ref().map(|p| p.value),
        close_code: value(&arm.close_code, 1000),
        headers: value(&arm.headers, HeaderProfile::Minimal),
        extra_headers: extra_headers(arm),
        identity,
        nodelay: nodelay(arm),
    }
}

fn http(arm: &Arm, interval: Option<Span>, identity: Identity) -> Http {
    Http {
        http: http_version(arm),
        keep_alive: value(&arm.keep_alive, true),
        batch: value(&arm.batch, true),
        interval,
        headers: value(&arm.headers, HeaderProfile::Minimal),
        extra_headers: extra_headers(arm),
        identity,
        nodelay: nodelay(arm),
    }
}

fn extra_headers(arm: &Arm) -> Vec<(String, String)> {
    let headers = arm.extra_headers.iter().flat_map(|named| &named.0);
    headers.map(|(name, text)| (name.value.clone(), text.value.clone())).collect()
}

fn check_known(kind: TransportKind, arm: &Arm, problems: &mut Vec<Problem>) {
    for (setting, knowers, place) in SETTINGS {
        let Some(place) = place(arm).filter(|_| !knowers.contains(&kind)) else { continue };
        let knowers: Vec<&str> = knowers.iter().map(|k| k.name()).collect();
        let own: Vec<String> =
            SETTINGS.iter().filter(|(_, k, _)| k.contains(&kind)).map(|(s, ..)| format!("`{s}`")).collect();
        let message = format!("`{setting}` is a setting of {}, not of {kind}", knowers.join(", "));
        let hint = match (*setting, kind) {
            ("tls" | "resumption", UdpKind) => super::tls::WHY_NOT_UDP.to_owned(),
            _ => format!("{kind} knows {}", own.join(", ")),
        };
        problems.push(Problem::new(place, message).hint(hint));
    }
    let begins_by_polling = arm.start.as_ref().is_some_and(|start| start.value == Start::Polling);
    if let Some(cookies) = arm.cookies.as_ref().filter(|_| kind == Ws && !begins_by_polling) {
        let problem = Problem::at(cookies, "a WebSocket asks once, so there is no later request to send cookies with");
        problems.push(problem.hint("leave `cookies` out, but where `start = \"polling\"`"));
    }
}

fn check_values(arm: &Arm, check: &mut Check) {
    arm.extra_headers.iter().for_each(|headers| check_headers(headers, check));
    let problems = &mut *check.problems;
    if let Some(fragment) = &arm.fragment {
        within(problems, "fragment", fragment, |size| size.0 > 0, "at least 1B");
    }
    if let Some(every) = &arm.ping_every {
        within(problems, "ping_every", every, |span| *span >= MILLISECOND, "at least 1ms");
    }
    if let Some(interval) = &arm.interval {
        within(problems, "interval", interval, |span| *span >= MILLISECOND, "at least 1ms");
    }
    if let Some(buffer) = &arm.receive_buffer {
        within(problems, "receive_buffer", buffer, |size| (1..=1 << 30).contains(&size.0), "between 1B and 1GiB");
    }
    if let Some(code) = arm.close_code.as_ref().filter(|code| !is_sendable(code.value)) {
        let problem = Problem::at(code, format!("an endpoint may not send close code {}", code.value));
        problems.push(problem.hint("RFC 6455 §7.4 allows 1000–1003, 1007–1011 and 3000–4999"));
    }
    let mut offered = Vec::new();
    for protocol in arm.subprotocols.iter().flat_map(|list| list.iter()) {
        if !is_token(protocol) {
            problems.push(Problem::at(protocol, format!("`{}` is not a subprotocol's name", protocol.value)));
        } else if offered.contains(&&protocol.value) {
            problems.push(Problem::at(protocol, format!("subprotocol `{}` is offered twice", protocol.value)));
        }
        offered.push(&protocol.value);
    }
}

/// What HTTP/2 is, and what can't be asked of it.
fn check_version(arm: &Arm, problems: &mut Vec<Problem>) {
    let Some(http) = &arm.http else { return };
    within(problems, "http", http, |http| (1..=2).contains(http), "1 or 2");
    if http_version(arm) == HttpVersion::One {
        return;
    }
    if let Some(engine) = arm.engine.as_ref().filter(|engine| engine.value == Engine::Native) {
        let message = "the native engine reads a socket by itself, and a stream of HTTP/2 is none";
        let hint = "`fastwebsockets` (the default with `http = 2`) or `tungstenite`";
        problems.push(Problem::at(engine, message).hint(hint));
    }
    if let Some(keep_alive) = arm.keep_alive.as_ref().filter(|keep_alive| !keep_alive.value) {
        let message = "a session has one connection of HTTP/2 for all that it asks for";
        problems.push(Problem::at(keep_alive, message).hint("leave `keep_alive` out, or `http = 2`"));
    }
    if let Some(start) = arm.start.as_ref().filter(|start| start.value == Start::Polling) {
        let message = "a session that begins by polling goes over to a connection of its own, and no stream of HTTP/2";
        problems.push(Problem::at(start, message).hint("leave `start` out, or `http = 2`"));
    }
}

/// What can compress.
fn check_deflate(arm: &Arm, problems: &mut Vec<Problem>) {
    if !value(&arm.deflate, false) {
        return;
    }
    let two = arm.http.as_ref().filter(|_| http_version(arm) == HttpVersion::Two).map(|http| &http.place);
    let library = arm.engine.as_ref().filter(|engine| engine.value != Engine::Native).map(|engine| &engine.place);
    if let Some(place) = two.or(library) {
        let problem = Problem::new(place, "only the native engine compresses, and it is no stream of HTTP/2");
        problems.push(problem.hint("leave `deflate` out, or `engine` and `http`"));
    }
}

/// Headers that the protocol fixes; a second one would make requests ambiguous.
const OUR_HEADERS: &[&str] =
    &["host", "connection", "upgrade", "content-length", "transfer-encoding", "te", "trailer", "expect", "keep-alive"];

fn check_headers(headers: &Named<At<String>>, check: &mut Check) {
    for (name, text) in &headers.0 {
        check.text(text, &text.place, Use::Header);
        let problems = &mut *check.problems;
        let lower = name.to_ascii_lowercase();
        if !is_token(name) {
            problems.push(Problem::at(name, format!("`{}` is not a header's name", name.value)));
        } else if OUR_HEADERS.contains(&lower.as_str()) || lower.starts_with("sec-websocket-") {
            let problem = Problem::at(name, format!("header `{}` is set by wsbench itself", name.value));
            let hint = match lower.as_str() {
                "host" => "`host` is a setting of its own",
                _ => "subprotocols and keep_alive have settings of their own",
            };
            problems.push(problem.hint(hint));
        }
        if !is_header_value(text) {
            problems.push(Problem::at(text, format!("the value of header `{}` can't be sent as it is", name.value)));
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn is_sendable(close_code: u16) -> bool {
    matches!(close_code, 1000..=1003 | 1007..=1011 | 3000..=4999)
}

/// Whether every payload fits the transport's way of cutting messages apart.
pub(super) fn check_payload(
    name: &At<String>,
    arm: &Arm,
    transport: &Transport,
    payload: &PayloadSpec,
    values: &Values,
    problems: &mut Vec<Problem>,
) {
    let (least, most) = payload.range();
    let place = arm.framing.as_ref().map_or(&name.place, |f| &f.place);
    let (message, hint) = match transport {
        Transport::Udp(_) if most > LARGEST_DATAGRAM => (
            format!("payloads of {} don't fit a datagram, {LARGEST_DATAGRAM} bytes", ByteSize(most)),
            "smaller payloads, or leave this arm out",
        ),
        Transport::Tcp(Tcp { framing: Framing::Fixed, .. }) if least != most => (
            format!("fixed framing needs one size of payload, not {} to {}", ByteSize(least), ByteSize(most)),
            "choose `framing = \"length\"`, or one size",
        ),
        Transport::Tcp(Tcp { framing: Framing::Newline, .. })
            if payload.template.is_none() && payload.format == Format::Binary =>
        {
            ("newline framing can't carry binary payloads".to_owned(), "choose `framing = \"length\"`, or text")
        }
        Transport::Tcp(Tcp { framing: Framing::Newline, .. })
            if payload.template.as_ref().is_some_and(|t| t.contains('\n')) =>
        {
            ("newline framing can't carry a template with a line feed".to_owned(), "choose `framing = \"length\"`")
        }
        Transport::Tcp(Tcp { framing: Framing::Newline, .. })
            if payload.template.as_ref().is_some_and(|template| marks::hold(template, values, '\n')) =>
        {
            ("newline framing can't carry a value with a line feed".to_owned(), "choose `framing = \"length\"`")
        }
        _ => return,
    };
    problems.push(Problem::new(place, format!("arm `{}`: {message}", name.value)).hint(hint));
}
