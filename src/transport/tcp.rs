//! A TCP stream cut into messages: join, then frames of [`StreamCodec`] both ways, closed by FIN.

use super::counted::{Counted, Read};
use super::net::dial;
use super::outbox::Item;
use super::session::Session;
use super::stream::{self, CloseBy};
use super::{ConnectPhases, Ended, Endpoint, ErrorClass, Failure, Opened, Opening};
use crate::catalog::Tcp;
use crate::clock::now;
use crate::codec::stream::StreamCodec;
use crate::codec::{CodecError, Decode};
use crate::dialect::{Refusal, speak};
use std::rc::Rc;
use tokio::io::AsyncWriteExt;

/// The longest line with which a target may answer a join, bytes.
const MAX_ANSWER: usize = 1024;

pub(super) async fn open(opening: Opening, settings: &Tcp) -> Result<Opened, Failure> {
    let Opening { endpoint, place, session, deadline, began } = opening;
    let dialed = dial(&endpoint, settings.nodelay, &session.meter, deadline).await?;
    let connected = now();
    let join = join(&endpoint, settings, &place, &dialed.stream);
    let joined = deadline.bound(ErrorClass::HandshakeTimeout, "joining", join).await?;
    let phases = ConnectPhases {
        tcp: Some(dialed.tcp),
        tls: dialed.tls,
        upgrade: joined.then(|| now() - connected),
        total: now() - began,
    };
    let codec = StreamCodec::new(settings.framing, endpoint.fixed_size);
    let connection = session.clone().run(live(session, dialed.stream, codec));
    Ok(Opened { connection, phases })
}

/// Joins; false where the dialect has nothing to join by.
async fn join(endpoint: &Endpoint, settings: &Tcp, place: &str, stream: &Counted) -> Result<bool, Failure> {
    let dialect = speak(endpoint.dialect, &endpoint.token);
    let Some(line) = dialect.stream_join(place, settings.framing, endpoint.fixed_size) else {
        stream.joined(0);
        return Ok(false);
    };
    stream.clone().write_all(line.as_bytes()).await?;
    stream.clone().flush().await?;
    let mut answer = Vec::new();
    let end = loop {
        match stream.read_with(|bytes, _| answer.extend_from_slice(bytes)).await? {
            Read::End => {
                return Err(Failure::new(ErrorClass::Truncated, "the stream ended before the join was answered"));
            }
            Read::Bytes(()) => {}
        }
        match memchr::memchr(b'\n', &answer) {
            Some(end) => break end,
            None if answer.len() > MAX_ANSWER => {
                let detail = format!("the join was answered with over {MAX_ANSWER} bytes and no line feed");
                return Err(Failure::new(ErrorClass::Garbage, detail));
            }
            None => {}
        }
    };
    dialect.stream_joined(&answer[..end])?;
    stream.unread(&answer[end + 1..]);
    stream.joined(end as u64 + 1);
    Ok(true)
}

async fn live(session: Rc<Session>, stream: Counted, codec: StreamCodec) -> Ended {
    let encoder = codec.clone();
    let write = stream::write(&session, stream.clone(), CloseBy::Fin, |item, _, wire| {
        if let Item::Message(message) = item {
            encoder.encode(&message.payload, wire);
        }
    });
    tokio::select! {
        biased;
        never = write => match never {},
        ended = read(&session, &stream, codec) => ended,
    }
}

async fn read(session: &Session, stream: &Counted, mut codec: StreamCodec) -> Ended {
    loop {
        let read =
            stream.read_with(|bytes, at| codec.push(bytes, &mut |message| session.deliver(message, None, at))).await;
        match read {
            Ok(Read::Bytes(Ok(()))) => {}
            Ok(Read::Bytes(Err(error))) => return session.broken(garbage(&error)),
            Ok(Read::End) if !codec.is_clean() => {
                return session.cut_off("the stream ended in the middle of a message");
            }
            Ok(Read::End) => return ended_cleanly(session),
            Err(error) => return session.broken(error.into()),
        }
    }
}

/// FIN came between two messages.
fn ended_cleanly(session: &Session) -> Ended {
    if session.closed_by_us() {
        return session.closed();
    }
    // When the target sent its FIN can't be seen from here, so this closing has no length.
    Ended { close_time: None, ..session.closed() }
}

/// On a bare stream a length over the limit is a sign that these are no lengths at all.
pub(super) fn garbage(error: &CodecError) -> Failure {
    Failure::new(ErrorClass::Garbage, format!("{error}; does the target use the same framing?"))
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let class = match refusal {
            Refusal::Refused(_) => ErrorClass::JoinRefused,
            Refusal::Alien(_) => ErrorClass::Garbage,
        };
        Failure::new(class, refusal.to_string())
    }
}
