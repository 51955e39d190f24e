//! The engine of our own: `codec::websocket` on the reactor. Pings and closing are here and in `direct.rs`.

use super::{Codec, Frames, Pings, upgraded};
use crate::catalog::{Format, Websocket};
use crate::clock::Nanos;
use crate::codec::websocket::deflate::Deflater;
use crate::codec::websocket::{Arrival, Decoder, Encoder, Role};
use crate::reactor::Seat;
use crate::transport::closing::{Closing, Stop};
use crate::transport::direct::{self, Direct, Outgoing, Protocol};
use crate::transport::joining::{OnUnit, Units};
use crate::transport::speech::Speech;
use crate::transport::stream::CloseBy;
use crate::transport::{Ended, ErrorClass, Failure, Opened, Opening};
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::rc::Rc;

thread_local! {
    /// One for all sessions of a worker: what it keeps is the masks that it has drawn already.
    static ENCODER: RefCell<Encoder> = RefCell::new(Encoder::new(Role::Client));
}

pub(in crate::transport) async fn open(
    seat: &Rc<Seat>,
    opening: &Opening,
    settings: &Websocket,
) -> Result<Opened, Failure> {
    let speech = Speech::new(&opening.endpoint, &opening.place);
    let (joined, Codec { decoder, deflater }, phases) = upgraded(seat, opening, settings, &speech).await?;
    let native = Native {
        frames: Frames::new(settings),
        pings: Pings::default(),
        deflater: RefCell::new(deflater),
        saved: Cell::default(),
    };
    let connection = direct::start(seat, opening, joined, speech, native, decoder, Some(settings.close_code));
    Ok(Opened { connection, phases })
}

/// WebSocket messages, while the session is being joined.
impl Units for Decoder {
    fn put(&mut self, format: Format, said: &[u8], out: &mut Vec<u8>) {
        ENCODER.with_borrow_mut(|encoder| encoder.message(format, said, usize::MAX, out));
    }

    fn take(&mut self, bytes: &mut [u8], out: &mut Vec<u8>, on: OnUnit<'_>) -> Result<usize, Failure> {
        let mut failed = None;
        let taken = self.push(bytes, |arrival| {
            let went = match arrival {
                Arrival::Message(_, payload) => on(&payload),
                Arrival::Close(code) => {
                    Err(Failure::new(ErrorClass::ClosedByTarget(code), "the target closed instead of joining"))
                }
                Arrival::Ping(payload) => {
                    ENCODER.with_borrow_mut(|encoder| encoder.pong(payload, out));
                    Ok(ControlFlow::Continue(()))
                }
                Arrival::Pong(_) => Ok(ControlFlow::Continue(())),
            };
            went.unwrap_or_else(|failure| {
                failed = Some(failure);
                ControlFlow::Break(())
            })
        });
        match failed {
            Some(failure) => Err(failure),
            None => taken.map_err(|violation| (&violation).into()),
        }
    }
}

struct Native {
    frames: Frames,
    pings: Pings,
    deflater: RefCell<Deflater>,
    /// What compression took off payloads received, bytes.
    saved: Cell<u64>,
}

impl Protocol for Native {
    type Decoder = Decoder;
    const CLOSE_BY: CloseBy = CloseBy::Frame;

    fn encode(&self, outgoing: Outgoing, at: Nanos, out: &mut Vec<u8>) {
        ENCODER.with_borrow_mut(|encoder| match outgoing {
            Outgoing::Message(format, payload) => {
                encoder.deflated(&mut self.deflater.borrow_mut(), format, payload, self.frames.fragment, out);
            }
            Outgoing::Pong(payload) => encoder.pong(payload, out),
            Outgoing::Ping => encoder.ping(&self.pings.send(at), out),
            Outgoing::Close(code) => encoder.close(code, out),
        });
    }

    fn decode(&self, decoder: &mut Decoder, bytes: &mut [u8], at: Nanos, session: &Direct<Native>) -> Result<(), Stop> {
        let (mut closed, mut failed) = (None, None);
        let pushed = decoder.push(bytes, |arrival| {
            match arrival {
                Arrival::Message(format, payload) => {
                    if let Err(failure) = session.deliver(&payload, Some(format), at) {
                        failed = Some(failure);
                        return ControlFlow::Break(());
                    }
                }
                Arrival::Ping(payload) => session.pong(payload),
                Arrival::Pong(payload) => {
                    if let Some(round_trip) = self.pings.round_trip(payload, at) {
                        session.ponged(round_trip);
                    }
                }
                Arrival::Close(code) => closed = Some(code),
            }
            ControlFlow::Continue(())
        });
        self.saved.set(decoder.saved());
        if let Some(failure) = failed {
            return Err(Stop::Broken(failure));
        }
        match (pushed, closed) {
            (Err(violation), _) => Err(Stop::Violation(violation.close_code(), (&violation).into())),
            (Ok(_), Some(code)) => Err(Stop::Closed(code)),
            (Ok(_), None) => Ok(()),
        }
    }

    fn ended(&self, _: &Decoder, closing: &Closing) -> Ended {
        closing.cut_off(super::without_close(closing))
    }

    fn saved(&self) -> (u64, u64) {
        (self.deflater.borrow().saved(), self.saved.get())
    }

    fn ping_every(&self) -> Option<Nanos> {
        self.frames.ping_every.map(|every| u64::try_from(every.as_nanos()).unwrap_or(u64::MAX))
    }
}
