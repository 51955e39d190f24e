//! `[dialect.…]`: settings of the application protocols that arms speak.

use super::at::At;
use super::placed::Placed;
use crate::catalog::{Custom, DialectKind, Mqtt, Nats, Nchan, SocketIo};
use schemars::JsonSchema;
use serde::Deserialize;

/// A table for each dialect that has settings. If there is one alone, it is what arms speak that don't say.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dialects {
    /// nginx with the nchan module.
    pub nchan: Option<At<Nchan>>,
    /// Socket.IO 4 over Engine.IO 4.
    #[serde(rename = "socket.io")]
    pub socket_io: Option<At<Box<SocketIo>>>,
    /// The NATS client protocol.
    pub nats: Option<At<Nats>>,
    /// MQTT 3.1.1.
    pub mqtt: Option<At<Mqtt>>,
    /// A protocol of your own.
    pub custom: Option<Placed<Box<Custom>>>,
}

impl Dialects {
    /// The dialect whose table is the only one.
    pub fn only(&self) -> Option<DialectKind> {
        let tables = [
            (self.nchan.is_some(), DialectKind::Nchan),
            (self.socket_io.is_some(), DialectKind::SocketIo),
            (self.nats.is_some(), DialectKind::Nats),
            (self.mqtt.is_some(), DialectKind::Mqtt),
            (self.custom.is_some(), DialectKind::Custom),
        ];
        let mut there = tables.into_iter().filter(|(is_there, _)| *is_there).map(|(_, kind)| kind);
        there.next().filter(|_| there.next().is_none())
    }
}
