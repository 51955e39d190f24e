//! Micro-benchmarks of what happens for every message. `cargo bench --bench index -- NAME` runs those whose name holds
//! NAME. Figures of one machine say little by themselves; compare two revisions on the same machine.

mod books;
mod codecs;
mod due;
mod echo;
mod frames;
mod recording;
mod tags;

fn main() {
    divan::main();
}
