//! The embedded target against plain clients: every line of `docs/protocol.md`.

mod control;
mod delay;
mod exposure;
mod garbage;
mod harness;
mod http;
mod libraries;
mod oracle;
mod reactor;
mod rooms;
mod tcp;
mod tls;
mod udp;
mod websocket;
