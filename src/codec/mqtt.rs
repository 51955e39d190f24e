//! MQTT 3.1.1 (OASIS standard), what a client says and what a server answers it, up to QoS 1.
//!
//! A message is borrowed where it was read and written where it goes: nothing is allocated for it.

use super::{CodecError, MAX_MESSAGE};

/// The longest string that fits its length, bytes (§1.5.3).
const MAX_STRING: usize = 65_535;
/// The most that a message may have beside its payload: its topic and its number.
const MAX_REMAINING: usize = MAX_MESSAGE + MAX_STRING + 4;

/// The whole packet that ends a session (§3.14).
pub const DISCONNECT: [u8; 2] = [0xE0, 0];

/// Whether a message is acknowledged (§4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    AtMostOnce,
    AtLeastOnce,
}

/// What opens a session (§3.1).
#[derive(Debug, Clone, Copy)]
pub struct Connect<'a> {
    pub client_id: &'a str,
    pub user: Option<&'a str>,
    /// Only with a user.
    pub password: Option<&'a str>,
}

/// One packet of a server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The answer to CONNECT; 0: accepted.
    ConnAck {
        code: u8,
    },
    /// A message, with its number where it wants to be acknowledged.
    Publish {
        topic: &'a [u8],
        id: Option<u16>,
        payload: &'a [u8],
    },
    /// Ours of that number was taken.
    PubAck {
        id: u16,
    },
    /// The answer to SUBSCRIBE, a code for each topic; 0x80: refused.
    SubAck {
        id: u16,
        codes: &'a [u8],
    },
    PingResp,
}

/// The first packet of `bytes`, and where the next one begins; `None`: it isn't whole yet.
pub fn next(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, CodecError> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    // What can't become one of a server's packets isn't waited for.
    if !matches!(first, 0x20 | 0x30..=0x3F | 0x40 | 0x90 | 0xD0) {
        return Err(CodecError::Malformed("no packet that an MQTT server sends"));
    }
    let Some((remaining, length)) = remaining_length(rest)? else { return Ok(None) };
    if remaining > MAX_REMAINING {
        return Err(CodecError::TooLarge { size: remaining, limit: MAX_REMAINING });
    }
    let end = 1 + length + remaining;
    let Some(body) = bytes.get(1 + length..end) else { return Ok(None) };
    let packet = match (first, body) {
        (0x20, [_, code]) => Packet::ConnAck { code: *code },
        (0x40, [high, low]) => Packet::PubAck { id: u16::from_be_bytes([*high, *low]) },
        (0x90, [high, low, codes @ ..]) => Packet::SubAck { id: u16::from_be_bytes([*high, *low]), codes },
        (0xD0, []) => Packet::PingResp,
        (0x30..=0x3F, body) => publish_of(first, body)?,
        _ => return Err(CodecError::Malformed("a packet of the wrong length")),
    };
    Ok(Some((packet, end)))
}

/// §3.3. Whether it is a duplicate is for whoever counts.
fn publish_of(first: u8, body: &[u8]) -> Result<Packet<'_>, CodecError> {
    let cut_short = CodecError::Malformed("a message without its topic or its number");
    let (length, rest) = body.split_first_chunk().ok_or(cut_short.clone())?;
    let (topic, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(cut_short.clone())?;
    let (id, payload) = match (first >> 1) & 0b11 {
        0 => (None, rest),
        1 => {
            let (id, payload) = rest.split_first_chunk().ok_or(cut_short)?;
            (Some(u16::from_be_bytes(*id)), payload)
        }
        _ => return Err(CodecError::Malformed("a message of a QoS that nobody asked for")),
    };
    if id == Some(0) {
        return Err(CodecError::Malformed("a message with the number 0"));
    }
    if payload.len() > MAX_MESSAGE {
        return Err(CodecError::TooLarge { size: payload.len(), limit: MAX_MESSAGE });
    }
    Ok(Packet::Publish { topic, id, payload })
}

/// The length of what follows, and how many bytes say so (§2.2.3).
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, CodecError> {
    let mut length = 0;
    for (n, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok(Some((length, n + 1)));
        }
    }
    if bytes.len() >= 4 { Err(CodecError::Malformed("a length of more than four bytes")) } else { Ok(None) }
}

/// Appends a CONNECT that wants a clean session and no keep-alive.
pub fn connect(connect: Connect, out: &mut Vec<u8>) {
    let said = [Some(connect.client_id), connect.user, connect.password];
    let strings: usize = said.iter().flatten().map(|text| 2 + text.len()).sum();
    begin(0x10, 10 + strings, out);
    string("MQTT", out);
    let flags =
        0x02 | if connect.user.is_some() { 0x80 } else { 0 } | if connect.password.is_some() { 0x40 } else { 0 };
    out.extend_from_slice(&[4, flags, 0, 0]);
    said.into_iter().flatten().for_each(|text| string(text, out));
}

/// Appends a SUBSCRIBE to one topic.
pub fn subscribe(id: u16, topic: &str, qos: Qos, out: &mut Vec<u8>) {
    begin(0x82, 5 + topic.len(), out);
    out.extend_from_slice(&id.to_be_bytes());
    string(topic, out);
    out.push(qos as u8);
}

/// Appends a PUBLISH, of QoS 1 where it has a number.
pub fn publish(topic: &str, id: Option<u16>, payload: &[u8], out: &mut Vec<u8>) {
    let first = if id.is_some() { 0x32 } else { 0x30 };
    begin(first, 2 + topic.len() + if id.is_some() { 2 } else { 0 } + payload.len(), out);
    string(topic, out);
    if let Some(id) = id {
        out.extend_from_slice(&id.to_be_bytes());
    }
    out.extend_from_slice(payload);
}

/// Appends the acknowledgement of a message.
pub fn puback(id: u16, out: &mut Vec<u8>) {
    begin(0x40, 2, out);
    out.extend_from_slice(&id.to_be_bytes());
}

fn begin(first: u8, mut remaining: usize, out: &mut Vec<u8>) {
    out.push(first);
    loop {
        let more = if remaining > 0x7F { 0x80 } else { 0 };
        out.push((remaining & 0x7F) as u8 | more);
        remaining >>= 7;
        if more == 0 {
            return;
        }
    }
}

/// A string behind its length; the plan has seen to it that it isn't longer than that can say.
fn string(text: &str, out: &mut Vec<u8>) {
    let bytes = &text.as_bytes()[..text.len().min(MAX_STRING)];
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
