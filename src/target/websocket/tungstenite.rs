//! tungstenite as the engine, without I/O: bytes that were read go in, messages and the frames that it owes come out.

use super::super::outbox::{Item, Message};
use super::super::server::Core;
use super::super::socket::Socket;
use super::super::stream::read_some;
use super::{GOES_ON, Incoming};
use crate::catalog::Format;
use crate::codec::MAX_MESSAGE;
use crate::codec::websocket::close_code;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem::take;
use std::ops::ControlFlow;
use std::rc::Rc;
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Utf8Bytes};
use tokio_tungstenite::tungstenite::protocol::{Message as Frame, Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Bytes, Error};

/// Its default is 128 KiB for each connection.
const READ_BUFFER: usize = 4096;

/// Each direction has a state of its own: one that has read a close would refuse to write what is still owed.
fn context(read_buffer: usize) -> WebSocketContext {
    let config = WebSocketConfig::default()
        .read_buffer_size(read_buffer)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    WebSocketContext::new(Role::Server, Some(config))
}

/// Reads whole messages.
pub struct Reader {
    context: WebSocketContext,
    socket: Rc<Socket>,
    ready: VecDeque<Incoming>,
    close_sent: Rc<Cell<bool>>,
}

impl Reader {
    /// `early`: what came together with the upgrade. `close_sent` is shared with the encoder.
    pub fn new(early: Vec<u8>, socket: Rc<Socket>, close_sent: Rc<Cell<bool>>) -> Reader {
        let mut reader = Reader { context: context(READ_BUFFER), socket, ready: VecDeque::new(), close_sent };
        absorb(&mut reader.context, &early, &mut reader.ready);
        reader
    }

    pub async fn next(&mut self, core: &Core) -> io::Result<Incoming> {
        loop {
            match self.ready.pop_front() {
                // It has no part in the other direction, so it can't know that this answers our own close.
                Some(Incoming::End(_)) if self.close_sent.get() => return Ok(Incoming::End(None)),
                Some(incoming) => return Ok(incoming),
                None => {}
            }
            let Reader { context, socket, ready, .. } = self;
            let read = read_some(core, socket, |bytes| absorb(context, bytes, ready)).await?;
            if read.is_none() {
                return Ok(Incoming::End(None));
            }
        }
    }
}

fn absorb(context: &mut WebSocketContext, bytes: &[u8], ready: &mut VecDeque<Incoming>) {
    let mut wire = Wire { input: bytes, output: Vec::new() };
    loop {
        let read = context.read(&mut wire);
        let incoming = match read {
            Ok(Frame::Text(text)) => Incoming::Message(Message::new(Format::Text, text.as_bytes())),
            Ok(Frame::Binary(payload)) => Incoming::Message(Message::new(Format::Binary, &payload)),
            Ok(Frame::Ping(_)) => {
                // Flushed now, or the pong to the next ping would take its place.
                _ = context.flush(&mut wire);
                Incoming::Answer(take(&mut wire.output).into())
            }
            Ok(_) => continue,
            Err(Error::Io(_)) => return,
            Err(error) => {
                if let Some(number) = code_for(&error) {
                    _ = close(context, &mut wire, number);
                }
                Incoming::End((!wire.output.is_empty()).then(|| take(&mut wire.output).into()))
            }
        };
        let ended = matches!(incoming, Incoming::End(_));
        ready.push_back(incoming);
        if ended {
            return;
        }
    }
}

fn close(context: &mut WebSocketContext, wire: &mut Wire, number: u16) -> Result<(), Error> {
    context.close(wire, Some(CloseFrame { code: number.into(), reason: Utf8Bytes::from_static("") }))
}

/// The close code for bytes that break the protocol; `None` if the connection simply closed.
fn code_for(error: &Error) -> Option<u16> {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => None,
        Error::Capacity(_) => Some(close_code::TOO_LARGE),
        Error::Utf8(_) => Some(close_code::NOT_UTF8),
        _ => Some(close_code::PROTOCOL),
    }
}

pub fn encoder(close_sent: Rc<Cell<bool>>) -> impl FnMut(Item, &mut Vec<u8>) -> ControlFlow<()> {
    let mut context = context(0);
    move |item, out| {
        let mut wire = Wire { input: &[], output: take(out) };
        // After a close the library refuses to write any more, and that is right.
        _ = match item {
            Item::Message(message) => context.write(&mut wire, frame(message)),
            Item::Raw(bytes) => {
                wire.output.extend_from_slice(&bytes);
                Ok(())
            }
            Item::Close(number) => {
                close_sent.set(true);
                close(&mut context, &mut wire, number)
            }
            Item::End => {
                *out = wire.output;
                return ControlFlow::Break(());
            }
        };
        *out = wire.output;
        GOES_ON
    }
}

fn frame(message: Message) -> Frame {
    match message.format {
        Format::Binary => Frame::Binary(message.payload),
        Format::Text => text_frame(message.payload),
    }
}

/// A text frame; a payload that was called text but isn't goes as binary rather than breaking RFC 6455.
fn text_frame(payload: Bytes) -> Frame {
    Utf8Bytes::try_from(payload.clone()).map_or(Frame::Binary(payload), Frame::Text)
}

/// The stream that the library believes in: what was read, and what it wants to write.
struct Wire<'a> {
    input: &'a [u8],
    output: Vec<u8>,
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.input.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
