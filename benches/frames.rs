//! WebSocket frames: masking, and a message's way through each engine's codec, written by a client and read by a server.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use fastwebsockets::{Frame, OpCode, WebSocketError, after_handshake_split};
use futures_util::FutureExt as _;
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::{Message, Role as TheirRole, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Bytes, Error};
use wsbench::catalog::Format;
use wsbench::codec::MAX_MESSAGE;
use wsbench::codec::frames::Assembler;
use wsbench::codec::websocket::{Arrival, Decoder, Encoder, Role, mask};

const SIZES: [usize; 3] = [16, 128, 4096];
const MASK: [u8; 4] = [1, 2, 3, 4];
const PAYLOAD: [u8; 128] = [b'x'; 128];

#[divan::bench(args = SIZES)]
fn mask_native(bencher: Bencher, size: usize) {
    let mut bytes = vec![7; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| mask::apply(black_box(MASK), black_box(&mut bytes)));
}

#[divan::bench(args = SIZES)]
fn mask_fastwebsockets(bencher: Bencher, size: usize) {
    let mut bytes = vec![7; size];
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| fastwebsockets::unmask(black_box(&mut bytes), black_box(MASK)));
}

#[divan::bench(args = SIZES)]
fn mask_while_copying_native(bencher: Bencher, size: usize) {
    let (bytes, mut out) = (vec![7; size], Vec::with_capacity(size));
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        out.clear();
        mask::append(black_box(MASK), black_box(&bytes), &mut out);
        black_box(&out).len()
    });
}

/// Text, so that it is checked for UTF-8, or not; and how many messages one read brings.
const CASES: [(Format, usize); 3] = [(Format::Binary, 1), (Format::Text, 1), (Format::Binary, 32)];

#[divan::bench(args = CASES)]
fn wire_native(bencher: Bencher, (format, messages): (Format, usize)) {
    let (mut encoder, mut decoder) = (Encoder::new(Role::Client), Decoder::new(Role::Server));
    let mut wire = Vec::new();
    bencher.counter(ItemsCount::new(messages)).bench_local(|| {
        wire.clear();
        for _ in 0..messages {
            encoder.message(format, black_box(&PAYLOAD), usize::MAX, &mut wire);
        }
        let mut bytes = 0;
        let pushed = decoder.push(black_box(&mut wire), |arrival| {
            if let Arrival::Message(_, payload) = arrival {
                bytes += black_box(&*payload).len();
            }
            ControlFlow::Continue(())
        });
        pushed.map(|_| bytes)
    });
}

/// A large frame, read by 16 KiB: what each byte costs must not grow with the frame.
#[divan::bench(args = [64 << 10, 1 << 20])]
fn large_native(bencher: Bencher, size: usize) {
    let mut wire = Vec::new();
    Encoder::new(Role::Client).message(Format::Binary, &vec![7; size], usize::MAX, &mut wire);
    let mut decoder = Decoder::new(Role::Server);
    // What is copied into the decoder's own buffer is not unmasked in place, so that the wire stays as it is.
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let mut messages = 0;
        for piece in wire.chunks_mut(16 << 10) {
            let _ = decoder.push(black_box(piece), |_| {
                messages += 1;
                ControlFlow::Continue(())
            });
        }
        assert_eq!(messages, 1);
    });
}

#[divan::bench(args = CASES)]
fn wire_fastwebsockets(bencher: Bencher, (format, messages): (Format, usize)) {
    let opcode = if format == Format::Text { OpCode::Text } else { OpCode::Binary };
    let pipe = Pipe::default();
    let (mut reader, _) = after_handshake_split(pipe.clone(), tokio::io::sink(), fastwebsockets::Role::Server);
    reader.set_auto_close(false);
    reader.set_auto_pong(false);
    reader.set_max_message_size(MAX_MESSAGE + 1);
    let mut assembler = Assembler::new(fastwebsockets::Role::Server);
    bencher.counter(ItemsCount::new(messages)).bench_local(|| {
        for _ in 0..messages {
            // As its engine writes: the payload is masked first, then copied behind its head.
            let mut frame = Frame::new(true, opcode, None, black_box(PAYLOAD).to_vec().into());
            frame.mask();
            let mut head = [0; 16];
            let head_len = frame.fmt_head(&mut head);
            pipe.put(&head[..head_len]);
            pipe.put(&frame.payload);
        }
        let mut bytes = 0;
        for _ in 0..messages {
            let mut answer = |_| async { Ok::<(), WebSocketError>(()) };
            if let Some(Ok(mut frame)) = reader.read_frame(&mut answer).now_or_never()
                && let Ok(Some(Arrival::Message(_, payload))) = assembler.take(&mut frame)
            {
                bytes += black_box(&*payload).len();
            }
        }
        assert_eq!(bytes, messages * PAYLOAD.len());
    });
}

#[divan::bench(args = CASES)]
fn wire_tungstenite(bencher: Bencher, (format, messages): (Format, usize)) {
    let config = WebSocketConfig::default().read_buffer_size(8 << 10).write_buffer_size(8 << 10);
    let mut client = WebSocketContext::new(TheirRole::Client, Some(config));
    let mut server = WebSocketContext::new(TheirRole::Server, Some(config));
    let mut pipe = Pipe::default();
    bencher.counter(ItemsCount::new(messages)).bench_local(|| -> Result<(), Error> {
        for _ in 0..messages {
            let payload = Bytes::copy_from_slice(black_box(&PAYLOAD));
            let message = match format {
                Format::Binary => Message::Binary(payload),
                Format::Text => Message::Text(payload.try_into()?),
            };
            client.write(&mut pipe, message)?;
        }
        client.flush(&mut pipe)?;
        let mut bytes = 0;
        for _ in 0..messages {
            bytes += black_box(server.read(&mut pipe)?.into_data()).len();
        }
        assert_eq!(bytes, messages * PAYLOAD.len());
        Ok(())
    });
}

/// What one end wrote and the other has not read.
#[derive(Clone, Default)]
struct Pipe(Rc<RefCell<Waiting>>);

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    read: usize,
}

impl Pipe {
    fn put(&self, bytes: &[u8]) {
        self.0.borrow_mut().bytes.extend_from_slice(bytes);
    }

    fn get(&self, most: usize, with: impl FnOnce(&[u8])) -> usize {
        let mut waiting = self.0.borrow_mut();
        let n = most.min(waiting.bytes.len() - waiting.read);
        with(&waiting.bytes[waiting.read..][..n]);
        waiting.read += n;
        if waiting.read == waiting.bytes.len() {
            waiting.bytes.clear();
            waiting.read = 0;
        }
        n
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context, buffer: &mut ReadBuf) -> Poll<io::Result<()>> {
        self.get(buffer.remaining(), |bytes| buffer.put_slice(bytes));
        Poll::Ready(Ok(()))
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.get(buffer.len(), |bytes| buffer[..bytes.len()].copy_from_slice(bytes)))
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
