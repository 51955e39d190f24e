//! Socket.IO 4: protocol 5 of Socket.IO over protocol 4 of Engine.IO, over WebSocket, by long polling, and from one to the
//! other.
//!
//! | file | what |
//! |---|---|
//! | `packet.rs` | packets: what stands before their JSON |
//! | `talk.rs` | a session's conversation, the same on every transport |
//! | `http.rs` | the requests of a session that polls, and how it goes over to a WebSocket |

use super::wsbench::encoded;
use super::{Dialect, HttpFace, Place, Receive, Talk};
use crate::catalog::{self, TransportKind};

mod http;
mod packet;
mod talk;

pub(super) struct SocketIo(pub catalog::SocketIo);

impl Dialect for SocketIo {
    fn upgrade_path(&self, place: &Place) -> String {
        at(place, "websocket")
    }

    fn talk(&self, place: &Place, _: TransportKind) -> Option<Box<dyn Talk>> {
        Some(Box::new(talk::Conversation::new(&self.0, place)))
    }

    fn http(&self, place: &Place, _: u64, _: Receive) -> Box<dyn HttpFace> {
        Box::new(http::Polling::new(place))
    }
}

/// Path and query of Engine.IO at `place`: at a URL without a path it is where servers have it.
fn at(place: &Place, transport: &str) -> String {
    let (path, query) = place.path.split_once('?').unwrap_or((&place.path, ""));
    let path = if path.is_empty() || path == "/" { "/socket.io/" } else { path };
    let own = if query.is_empty() { String::new() } else { format!("{query}&") };
    format!("{path}?{own}EIO=4&transport={transport}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_io_is_at_its_usual_path_unless_the_url_has_one() {
        let path = |path: &str| SocketIo(catalog::SocketIo::default()).upgrade_path(&path.into());
        assert_eq!(path("/"), "/socket.io/?EIO=4&transport=websocket");
        assert_eq!(path("/?v=2"), "/socket.io/?v=2&EIO=4&transport=websocket");
        assert_eq!(path("/api/io/"), "/api/io/?EIO=4&transport=websocket");
    }
}
