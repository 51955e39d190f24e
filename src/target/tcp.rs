//! The TCP face: one line to join, then messages cut by the framing that it asked for.

use super::join::{JoinLine, LONGEST_LINE, Refusal};
use super::outbox::{Item, Message};
use super::server::Core;
use super::session::Session;
use super::stream::{HANDSHAKE, read_some, refuse};
use crate::codec::Decode;
use crate::codec::stream::StreamCodec;
use bytes::Bytes;
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub async fn serve(core: Rc<Core>, socket: TcpStream) -> io::Result<()> {
    let Some(bytes) = timeout(HANDSHAKE, read_line(&core, &socket)).await?? else { return Ok(()) };
    core.network.inbound.cross().await;
    let line_end = memchr::memchr(b'\n', &bytes);
    let line = JoinLine::parse(&bytes[..line_end.unwrap_or(bytes.len())]).ok_or(Refusal::Line);
    let joined = line.and_then(|line| Ok((core.admit(line.place, line.value("token"))?, line.framing()?)));
    let (place, codec) = match joined {
        Ok(joined) => joined,
        Err(refusal) => return refuse(&core, &socket, format!("ERR {refusal}\n").as_bytes()).await,
    };
    let session = Session::join(&core, place, Bytes::from_static(b"OK\n"));
    let socket = Rc::new(socket);
    let writing = session.start_writing(&socket, encoder(codec.clone()));
    let early = &bytes[line_end.map_or(bytes.len(), |end| end + 1)..];
    let reading = read(&core, &socket, &session, codec, early);
    session.clone().run(&socket, reading, writing).await
}

/// Everything up to a line feed, and what came with it; `None` if the client went away before.
async fn read_line(core: &Core, socket: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    while !bytes.contains(&b'\n') && bytes.len() <= LONGEST_LINE {
        if read_some(core, socket, |read| bytes.extend_from_slice(read)).await?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

async fn read(
    core: &Core,
    socket: &TcpStream,
    session: &Rc<Session>,
    mut codec: StreamCodec,
    early: &[u8],
) -> io::Result<Option<Bytes>> {
    let mut take = |bytes: &[u8]| codec.push(bytes, &mut |message| session.arrived(Message::untyped(message)));
    let mut taken = Some(take(early));
    // Bytes that don't fit the framing end the session like a FIN does.
    while let Some(Ok(())) = taken {
        core.network.inbound.room().await;
        taken = read_some(core, socket, &mut take).await?;
    }
    Ok(None)
}

fn encoder(codec: StreamCodec) -> impl FnMut(Item, &mut Vec<u8>) -> ControlFlow<()> {
    move |item, out| {
        match item {
            Item::Message(message) => codec.encode(&message.payload, out),
            Item::Raw(bytes) => out.extend_from_slice(&bytes),
            Item::Close(_) | Item::End => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }
}
