//! A TCP stream cut into messages: join, then frames of [`StreamCodec`] both ways, closed by FIN.

use super::closing::{Closing, Stop};
use super::direct::{self, Direct, Outgoing, Protocol};
use super::io::Io;
use super::joining::{Joined, Joining, OnUnit, Units};
use super::net::dial;
use super::speech::Speech;
use super::stream::CloseBy;
use super::{ConnectPhases, Ended, Endpoint, ErrorClass, Failure, Opened, Opening};
use crate::catalog::{Format, Tcp};
use crate::clock::{Nanos, now};
use crate::codec::stream::StreamCodec;
use crate::codec::{CodecError, Decode};
use crate::dialect::{Place, Refusal, speak};
use crate::reactor::{Seat, Socket};
use std::pin::pin;
use std::rc::Rc;

/// The longest line with which a target may answer a join, bytes.
const MAX_ANSWER: usize = 1024;

pub(super) async fn open(seat: &Rc<Seat>, opening: &Opening, settings: &Tcp) -> Result<Opened, Failure> {
    let endpoint = &*opening.endpoint;
    let dialed = dial(seat, endpoint, settings.nodelay, opening.deadline).await?;
    let connected = now();
    let speech = Speech::new(endpoint, &opening.place);
    let is_framed = !endpoint.dialect.kind().is_stream();
    let mut codec = is_framed.then(|| StreamCodec::new(settings.framing, endpoint.fixed_size));
    let (joined, was_asked) = {
        let join = pin!(join(endpoint, settings, &opening.place, Joining::new(dialed.io), &speech, &mut codec));
        opening.deadline.bound(seat, ErrorClass::HandshakeTimeout, "joining", join).await?
    };
    let phases = ConnectPhases {
        tcp: Some(dialed.tcp),
        tls: dialed.tls,
        upgrade: was_asked.then(|| now() - connected),
        total: now() - opening.began,
        ..ConnectPhases::default()
    };
    let connection = direct::start(seat, opening, joined, speech, Framed(codec.clone()), codec, None);
    Ok(Opened { connection, phases })
}

/// Joins; also says whether the dialect has something to join by.
async fn join(
    endpoint: &Endpoint,
    settings: &Tcp,
    place: &Place,
    mut joining: Joining<Io<Socket>>,
    speech: &Speech,
    codec: &mut Option<StreamCodec>,
) -> Result<(Joined<Socket>, bool), Failure> {
    if let Some(talk) = speech.talk() {
        let (was_asked, head) = joining.talk(talk, codec, 0).await?;
        return Ok((joining.joined(head), was_asked));
    }
    let dialect = speak(&endpoint.dialect, &endpoint.token);
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

/// Messages by framing, or by the dialect where there is none; closed by FIN.
struct Framed(Option<StreamCodec>);

impl Protocol for Framed {
    type Decoder = Option<StreamCodec>;
    const CLOSE_BY: CloseBy = CloseBy::Fin;

    fn encode(&self, outgoing: Outgoing, _: Nanos, out: &mut Vec<u8>) {
        if let Outgoing::Message(_, message) = outgoing {
            encode(self.0.as_ref(), message, out);
        }
    }

    fn decode(
        &self,
        codec: &mut Option<StreamCodec>,
        bytes: &mut [u8],
        at: Nanos,
        session: &Direct<Framed>,
    ) -> Result<(), Stop> {
        decode(codec.as_mut(), bytes, |message| session.deliver(message, None, at)).map_err(Stop::Broken)
    }

    fn ended(&self, codec: &Option<StreamCodec>, closing: &Closing) -> Ended {
        if codec.as_ref().is_some_and(|codec| !codec.is_clean()) {
            closing.cut_off("the stream ended in the middle of a message")
        } else if closing.is_by_us() {
            closing.closed()
        } else {
            // When the target sent its FIN can't be seen from here, so this closing has no length.
            Ended { close_time: None, ..closing.closed() }
        }
    }
}

impl Units for Option<StreamCodec> {
    fn put(&mut self, _: Format, said: &[u8], out: &mut Vec<u8>) {
        encode(self.as_ref(), said, out);
    }

    fn take(&mut self, bytes: &mut [u8], _: &mut Vec<u8>, on: OnUnit<'_>) -> Result<usize, Failure> {
        // A session takes no notice of what comes with the answer that joins it.
        decode(self.as_mut(), bytes, |message| on(message).map(|_| ()))?;
        Ok(bytes.len())
    }
}

fn encode(codec: Option<&StreamCodec>, message: &[u8], out: &mut Vec<u8>) {
    match codec {
        Some(codec) => codec.encode(message, out),
        None => out.extend_from_slice(message),
    }
}

/// Hands on what is whole, up to the first failure.
fn decode(
    codec: Option<&mut StreamCodec>,
    bytes: &[u8],
    mut deliver: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Some(codec) = codec else { return deliver(bytes) };
    let mut delivered = Ok(());
    let pushed = codec.push(bytes, &mut |message| {
        if delivered.is_ok() {
            delivered = deliver(message);
        }
    });
    pushed.map_err(|error| garbage(&error))?;
    delivered
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
            Refusal::Over(_) => ErrorClass::ClosedByTarget(None),
        };
        Failure::new(class, refusal.to_string())
    }
}
