//! A TCP stream cut into messages: join, then frames of [`StreamCodec`] both ways, closed by FIN.

use super::closing::{Closing, Stop};
use super::direct::{self, Direct, Outgoing, Protocol};
use super::joining::{Joined, Joining};
use super::net::dial;
use super::stream::CloseBy;
use super::{ConnectPhases, Ended, Endpoint, ErrorClass, Failure, Opened, Opening};
use crate::catalog::Tcp;
use crate::clock::{Nanos, now};
use crate::codec::stream::StreamCodec;
use crate::codec::{CodecError, Decode};
use crate::dialect::{Refusal, speak};
use crate::reactor::{Seat, Socket};
use std::pin::pin;
use std::rc::Rc;

/// The longest line with which a target may answer a join, bytes.
const MAX_ANSWER: usize = 1024;

pub(super) async fn open(seat: &Rc<Seat>, opening: &Opening, settings: &Tcp) -> Result<Opened, Failure> {
    let endpoint = &*opening.endpoint;
    let dialed = dial(seat, endpoint, settings.nodelay, opening.deadline).await?;
    let connected = now();
    let join = pin!(join(endpoint, settings, &opening.place, Joining::new(dialed.io)));
    let (joined, was_asked) = opening.deadline.bound(seat, ErrorClass::HandshakeTimeout, "joining", join).await?;
    let phases = ConnectPhases {
        tcp: Some(dialed.tcp),
        tls: dialed.tls,
        upgrade: was_asked.then(|| now() - connected),
        total: now() - opening.began,
    };
    let codec = StreamCodec::new(settings.framing, endpoint.fixed_size);
    let connection = direct::start(seat, opening, joined, Framed(codec.clone()), codec, None);
    Ok(Opened { connection, phases })
}

/// Joins; also says whether the dialect has something to join by.
async fn join(
    endpoint: &Endpoint,
    settings: &Tcp,
    place: &str,
    mut joining: Joining<Socket>,
) -> Result<(Joined<Socket>, bool), Failure> {
    let dialect = speak(endpoint.dialect, &endpoint.token);
    let Some(line) = dialect.stream_join(place, settings.framing, endpoint.fixed_size) else {
        return Ok((joining.joined(0), false));
    };
    joining.ask(line.as_bytes()).await?;
    let whole = |answer: &[u8]| match memchr::memchr(b'\n', answer) {
        Some(end) => Ok(Some((dialect.stream_joined(&answer[..end])?, end + 1))),
        None if answer.len() > MAX_ANSWER => {
            let detail = format!("the join was answered with over {MAX_ANSWER} bytes and no line feed");
            Err(Failure::new(ErrorClass::Garbage, detail))
        }
        None => Ok(None),
    };
    let (_, head) = joining.answer("the answer to the join", whole).await?;
    Ok((joining.joined(head), true))
}

/// Messages by framing, closed by FIN.
struct Framed(StreamCodec);

impl Protocol for Framed {
    type Decoder = StreamCodec;
    const CLOSE_BY: CloseBy = CloseBy::Fin;

    fn encode(&self, outgoing: Outgoing, _: Nanos, out: &mut Vec<u8>) {
        if let Outgoing::Message(_, payload) = outgoing {
            self.0.encode(payload, out);
        }
    }

    fn decode(
        &self,
        codec: &mut StreamCodec,
        bytes: &mut [u8],
        at: Nanos,
        session: &Direct<Framed>,
    ) -> Result<(), Stop> {
        codec
            .push(bytes, &mut |message| session.deliver(message, None, at))
            .map_err(|error| Stop::Broken(garbage(&error)))
    }

    fn ended(&self, codec: &StreamCodec, closing: &Closing) -> Ended {
        if !codec.is_clean() {
            closing.cut_off("the stream ended in the middle of a message")
        } else if closing.is_by_us() {
            closing.closed()
        } else {
            // When the target sent its FIN can't be seen from here, so this closing has no length.
            Ended { close_time: None, ..closing.closed() }
        }
    }
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
