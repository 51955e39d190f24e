//! Paths of the places that sessions join at a target that speaks wsbench's protocol (`docs/protocol.md`).

use crate::wire::Tag;

pub fn echo() -> String {
    "/echo".to_owned()
}

pub fn room(room: u32) -> String {
    format!("/room/{room}")
}

pub fn topic(topic: u32) -> String {
    format!("/topic/{topic}")
}

/// A place whose target speaks first: `size` bytes that hold `tag`; then it closes, if it is to be the one.
pub fn greeting(tag: &Tag, size: u64, closed_by_server: bool) -> String {
    let tag = tag.encode_text();
    let tag = std::str::from_utf8(&tag).expect("base64 is ASCII");
    let close = if closed_by_server { "&close=server" } else { "" };
    format!("/hello?tag={tag}&size={size}{close}")
}
