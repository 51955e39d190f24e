//! The engine of our own: `codec::websocket` on the reactor.

use super::{Accepted, accept, keep_alive};
use crate::codec::CodecError;
use crate::codec::upgrade::{self, Request};
use crate::codec::websocket::deflate::{Agreed, Deflater};
use crate::codec::websocket::{Arrival, Decoder, Encoder, Role};
use crate::target::direct::{Direct, Heard, Protocol};
use crate::target::joining::{Entrant, Face};
use crate::target::outbox::Message;
use crate::target::outlet::Encode;
use crate::target::shared::Chunk;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::rc::Rc;

/// How clients come in.
pub struct Websocket;

impl Face for Websocket {
    type Asked = Result<Request, CodecError>;

    fn ask(bytes: &[u8]) -> Option<(Self::Asked, usize)> {
        match upgrade::read_request(bytes) {
            Ok(request) => request.map(|(request, head_len)| (Ok(request), head_len)),
            Err(problem) => Some((Err(problem), bytes.len())),
        }
    }

    fn enter(entrant: Entrant, asked: Self::Asked) {
        let core = entrant.shared.core.clone();
        match accept(&core, asked) {
            Ok(Accepted { place, answer, deflate }) => {
                let codec = codec(deflate);
                let closing = place.is_to_close();
                let session = Direct::join(entrant, place, codec, answer.into());
                if !closing {
                    let session = Rc::downgrade(&session);
                    keep_alive(&core, move |frame| session.upgrade()?.send_unasked(frame));
                }
            }
            Err(answer) => Direct::refuse(entrant, codec(None), answer.into()),
        }
    }
}

impl Protocol for Decoder {
    type Encoder = Writer;

    fn decode(&mut self, bytes: &mut [u8], session: &Direct<Decoder>) -> Heard {
        let chunk = Chunk::of(bytes);
        let mut heard = Heard::Goes;
        let pushed = self.push(bytes, |arrival| {
            match arrival {
                Arrival::Message(format, payload) => {
                    let is_last = chunk.ends_with(&payload);
                    session.arrived(Message::new(format, &payload), is_last);
                }
                Arrival::Ping(payload) => session.answered(written(|encoder, out| encoder.pong(payload, out))),
                Arrival::Pong(_) => {}
                Arrival::Close(code) => heard = Heard::Ends(session.encoder().owed(code)),
            }
            ControlFlow::Continue(())
        });
        match pushed {
            Ok(_) => heard,
            Err(violation) => Heard::Ends(session.encoder().owed(Some(violation.close_code()))),
        }
    }
}

/// What reads and writes a session's messages, compressed if that was agreed on.
fn codec(deflate: Option<Agreed>) -> (Decoder, Writer) {
    let (deflater, inflater) = deflate.map(Agreed::for_server).unwrap_or_default();
    let writer = Writer { deflater: RefCell::new(deflater), ..Writer::default() };
    (Decoder::new(Role::Server).inflating(inflater), writer)
}

/// Writes frames, and knows whether the one Close that a session sends is written.
#[derive(Default)]
pub struct Writer {
    close_sent: Cell<bool>,
    deflater: RefCell<Deflater>,
}

impl Writer {
    /// The answer to a client's last word, unless that is itself the answer to ours.
    pub(super) fn owed(&self, code: Option<u16>) -> Option<Bytes> {
        let answered = self.close_sent.replace(true);
        (!answered).then(|| written(|encoder, out| encoder.close(code, out)))
    }
}

impl Encode for Writer {
    fn message(&self, message: &Message, out: &mut Vec<u8>) {
        encoder().deflated(&mut self.deflater.borrow_mut(), message.format, &message.payload, usize::MAX, out);
    }

    fn close(&self, code: u16, out: &mut Vec<u8>) -> ControlFlow<()> {
        if !self.close_sent.replace(true) {
            encoder().close(Some(code), out);
        }
        ControlFlow::Continue(())
    }
}

/// A server's keeps nothing.
fn encoder() -> Encoder {
    Encoder::new(Role::Server)
}

pub(super) fn written(write: impl FnOnce(&mut Encoder, &mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    write(&mut encoder(), &mut out);
    out.into()
}
