//! The tungstenite engine. It answers pings and closes by itself; a reader and a writer share it by turns, which it
//! allows: it keeps a waker for each direction.

use super::{Frames, Pings, end, keep_pinging};
use crate::catalog::Format;
use crate::clock::now;
use crate::codec::MAX_MESSAGE;
use crate::codec::websocket::close_code;
use crate::transport::closing::Stop;
use crate::transport::queue::{Item, Message as Outgoing, Whose};
use crate::transport::session::Session;
use crate::transport::{Ended, ErrorClass, Failure};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame, Utf8Bytes};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// Instead of 128 KiB for each connection, bytes.
const BUFFER: usize = 8 * 1024;

type Socket<S> = RefCell<WebSocketStream<S>>;

pub(super) async fn live<S: super::Bytes>(session: &Session, stream: S, frames: Frames) -> Ended {
    // The write buffer is flushed before it is filled again, so it holds one message at most beyond its threshold.
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(MAX_MESSAGE + 2 * BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let socket: Socket<S> =
        RefCell::new(WebSocketStream::from_raw_socket(stream.clone(), Role::Client, Some(config)).await);
    let pings = Pings::default();
    tokio::select! {
        biased;
        never = write(session, &socket, frames, &pings) => match never {},
        never = keep_pinging(session, frames.ping_every) => match never {},
        ended = async { end(session, &stream, read(session, &socket, &pings).await).await } => ended,
    }
}

async fn write(session: &Session, socket: &Socket<impl super::Bytes>, frames: Frames, pings: &Pings) -> Infallible {
    loop {
        if let Err(error) = write_what_waits(session, socket, frames, pings).await {
            session.write_failed(failure(error));
            return pending().await;
        }
    }
}

/// Waits for an item, writes it and all that wait behind it.
async fn write_what_waits(
    session: &Session,
    socket: &Socket<impl super::Bytes>,
    frames: Frames,
    pings: &Pings,
) -> Result<(), Error> {
    let first = session.outbox.next().await;
    let closes = match write_items(session, socket, frames, pings, first).await {
        // The engine has answered the target's Close by itself, and takes no more.
        Err(Error::Protocol(ProtocolError::SendAfterClosing)) => true,
        written => written?,
    };
    poll_fn(|cx| socket.borrow_mut().poll_flush_unpin(cx)).await?;
    if closes {
        session.close_written();
    }
    Ok(())
}

/// Hands `first` and all that wait behind it to the engine; true if that ends in a Close.
async fn write_items(
    session: &Session,
    socket: &Socket<impl super::Bytes>,
    frames: Frames,
    pings: &Pings,
    first: Item,
) -> Result<bool, Error> {
    let mut closes = false;
    let mut next = Some(first);
    while let Some(item) = next {
        match item {
            Item::Message(message) => write_message(session, socket, frames, message).await?,
            Item::Ping => put(socket, || Message::Ping(Bytes::copy_from_slice(&pings.send(now())))).await?,
            Item::Close(code) => {
                session.closing.began();
                let frame = code.map(|code| CloseFrame { code: code.into(), reason: Utf8Bytes::default() });
                put(socket, || Message::Close(frame)).await?;
                closes = true;
            }
            // The engine answers pings by itself.
            Item::Pong(_) => {}
        }
        next = session.outbox.try_next();
    }
    Ok(closes)
}

async fn write_message(
    session: &Session,
    socket: &Socket<impl super::Bytes>,
    frames: Frames,
    message: Outgoing,
) -> Result<(), Error> {
    let data = match message.format {
        Format::Text => Data::Text,
        Format::Binary => Data::Binary,
    };
    let bytes = Bytes::from(message.bytes);
    for piece in frames.cut(&bytes) {
        let opcode = if piece.is_first { data } else { Data::Continue };
        let frame = Frame::message(bytes.slice_ref(piece.bytes), OpCode::Data(opcode), piece.is_last);
        put(socket, || {
            if let (true, Whose::Load { ticket, .. }) = (piece.is_first, message.whose) {
                session.sending(ticket, now());
            }
            Message::Frame(frame)
        })
        .await?;
    }
    if let Whose::Load { payload, .. } = message.whose {
        session.meter.sent(1, payload as u64);
    }
    Ok(())
}

/// Hands one message to the engine when there is room for it; `make` is called right before.
async fn put(socket: &Socket<impl super::Bytes>, make: impl FnOnce() -> Message) -> Result<(), Error> {
    poll_fn(|cx| socket.borrow_mut().poll_ready_unpin(cx)).await?;
    let message = make();
    socket.borrow_mut().start_send_unpin(message)
}

async fn read(session: &Session, socket: &Socket<impl super::Bytes>, pings: &Pings) -> Stop {
    loop {
        let next = poll_fn(|cx| socket.borrow_mut().poll_next_unpin(cx)).await;
        let at = now();
        let delivered = match next {
            Some(Ok(Message::Text(text))) => session.deliver(text.as_bytes(), Some(Format::Text), at),
            Some(Ok(Message::Binary(bytes))) => session.deliver(&bytes, Some(Format::Binary), at),
            Some(Ok(Message::Pong(payload))) => {
                pings.answered(session, &payload);
                Ok(())
            }
            Some(Ok(Message::Close(frame))) => return closed(frame),
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => Ok(()),
            Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) | None => return Stop::End,
            Some(Err(error)) => return stopped(error),
        };
        if let Err(failure) = delivered {
            return Stop::Broken(failure);
        }
    }
}

/// The engine puts a Close of its own in the place of one with a code that may not be sent.
fn closed(frame: Option<CloseFrame>) -> Stop {
    match frame {
        Some(frame) if frame.code == CloseCode::Protocol && frame.reason.as_str() == "Protocol violation" => {
            let detail = "a Close with a code that may not be sent";
            Stop::Violation(close_code::PROTOCOL, Failure::new(ErrorClass::Protocol, detail))
        }
        frame => Stop::Closed(frame.map(|frame| frame.code.into())),
    }
}

fn stopped(error: Error) -> Stop {
    let code = match &error {
        Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed => return Stop::Broken(failure(error)),
        Error::Capacity(_) => close_code::TOO_LARGE,
        Error::Utf8(_) => close_code::NOT_UTF8,
        _ => close_code::PROTOCOL,
    };
    Stop::Violation(code, failure(error))
}

fn failure(error: Error) -> Failure {
    let class = match error {
        Error::Io(error) => return error.into(),
        Error::Capacity(_) => ErrorClass::TooLarge,
        Error::ConnectionClosed | Error::AlreadyClosed => ErrorClass::Reset,
        _ => ErrorClass::Protocol,
    };
    Failure::new(class, error.to_string())
}
