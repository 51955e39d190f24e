//! Cutting what was read into messages.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use wsbench::catalog::{Format, Framing};
use wsbench::codec::{Decode, sse::SseDecoder, stream::StreamCodec};

const MESSAGES: usize = 100;

#[divan::bench(args = ["length", "newline", "fixed"])]
fn stream(bencher: Bencher, framing: &str) {
    let mut codec = StreamCodec::new(framing.parse().unwrap_or(Framing::Length), 128);
    let mut wire = Vec::new();
    (0..MESSAGES).for_each(|_| codec.encode(&[b'x'; 128], &mut wire));
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        let mut bytes = 0;
        codec.push(black_box(&wire), &mut |m| bytes += m.len()).map(|()| bytes)
    });
}

#[divan::bench]
fn sse(bencher: Bencher) {
    let mut wire = Vec::new();
    (0..MESSAGES).for_each(|_| wsbench::codec::sse::encode(Format::Text, &[b'x'; 128], &mut wire));
    let mut decoder = SseDecoder::new(Format::Text);
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        let mut bytes = 0;
        decoder.push(black_box(&wire), &mut |m| bytes += m.len()).map(|()| bytes)
    });
}
