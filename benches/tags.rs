//! Composing a payload and finding its tag again.

use divan::{Bencher, black_box};
use wsbench::catalog::Format;
use wsbench::units::ByteSize;
use wsbench::wire::{Composer, Kind, PayloadSpec, Sizes, Tag};

const TAG: Tag = Tag { kind: Kind::Message, run: 7, id: 42, due: 1_000_000 };

fn composer(format: Format, template: Option<&str>) -> Composer {
    let template = template.map(str::to_owned);
    Composer::new(PayloadSpec { format, sizes: Sizes::Fixed(ByteSize(128)), template, own: None }, 1)
}

#[divan::bench(args = ["binary", "text"])]
fn compose(bencher: Bencher, format: &str) {
    let composer = composer(format.parse().unwrap_or(Format::Binary), None);
    let mut out = Vec::new();
    bencher.bench_local(|| composer.compose(black_box(&TAG), &mut out));
}

#[divan::bench]
fn find_in_binary(bencher: Bencher) {
    let mut payload = Vec::new();
    composer(Format::Binary, None).compose(&TAG, &mut payload);
    bencher.bench_local(|| Tag::find(black_box(&payload)));
}

#[divan::bench]
fn find_in_json(bencher: Bencher) {
    let mut payload = Vec::new();
    composer(Format::Text, Some(r#"{"type":"edit","text":"{{fill}}","id":"{{tag}}"}"#)).compose(&TAG, &mut payload);
    bencher.bench_local(|| Tag::find(black_box(&payload)));
}
