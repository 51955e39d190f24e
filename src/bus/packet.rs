//! One message of the bus: a header and, maybe, a piece of a message.
//!
//! All numbers are big-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | `wsb1` |
//! | 4 | flags: 1 opens, 2 forgotten, 4 has a piece, 8 the piece is its message's last, 16 has an echo |
//! | 5–12 | conversation |
//! | 13–20 | sender's clock when it sent this, nanoseconds |
//! | 21–28 | echo: the time that stood in the latest packet which the sender heard |
//! | 29–36 | echo: the sender's clock when it heard that |
//! | 37–44 | all pieces below this number have come |
//! | 45–52 | bit n: the piece of that number + 1 + n has come too |
//! | 53–60 | number of this piece |
//! | 61– | the piece |

use crate::clock::Nanos;

/// Bytes before the piece.
pub(super) const HEADER: usize = 61;

/// Pieces that may be on their way at once: as many as the acknowledgement has bits for.
pub(super) const WINDOW: u64 = 64;

const MAGIC: [u8; 4] = *b"wsb1";

const OPENS: u8 = 1;
const FORGOTTEN: u8 = 2;
const PIECE: u8 = 4;
const LAST: u8 = 8;
const ECHO: u8 = 16;

/// Bytes that aren't a packet, or not one that its sender could have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    #[error("a packet of {0} bytes is too short")]
    Short(usize),
    #[error("not a packet of wsbench's, or of another version's")]
    Foreign,
    #[error("a packet with the flags {0:#04x}")]
    Flags(u8),
    #[error("a packet of another conversation")]
    Elsewhere,
    #[error("piece {piece} before piece {next} has come")]
    Ahead { piece: u64, next: u64 },
    #[error("an acknowledgement of piece {acked} when {said} were sent")]
    Unsaid { acked: u64, said: u64 },
    #[error("a message longer than {0} bytes")]
    Long(usize),
}

/// A piece of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Counted from 0 over the whole conversation.
    pub number: u64,
    /// The message ends with it.
    pub is_last: bool,
    pub bytes: &'a [u8],
}

/// When the latest packet from the peer was sent, by its clock, and heard, by ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Echo {
    pub sent: Nanos,
    pub heard: Nanos,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub conversation: u64,
    /// The sender has heard nothing of its peer yet.
    pub opens: bool,
    /// The sender knows no such conversation.
    pub forgotten: bool,
    pub sent: Nanos,
    pub echo: Option<Echo>,
    pub acked: u64,
    pub beyond: u64,
    pub piece: Option<Piece<'a>>,
}

impl Packet<'_> {
    pub fn write(&self) -> Vec<u8> {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(self.opens, OPENS)
            | flag(self.forgotten, FORGOTTEN)
            | flag(self.piece.is_some(), PIECE)
            | flag(self.piece.is_some_and(|piece| piece.is_last), LAST)
            | flag(self.echo.is_some(), ECHO);
        let echo = self.echo.unwrap_or(Echo { sent: 0, heard: 0 });
        let piece = self.piece.unwrap_or(Piece { number: 0, is_last: false, bytes: &[] });
        let mut bytes = Vec::with_capacity(HEADER + piece.bytes.len());
        bytes.extend(MAGIC);
        bytes.push(flags);
        for number in [self.conversation, self.sent, echo.sent, echo.heard, self.acked, self.beyond, piece.number] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(piece.bytes);
        bytes
    }
}

impl<'a> Packet<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Packet<'a>, PacketError> {
        let Some((header, piece)) = bytes.split_at_checked(HEADER) else { return Err(PacketError::Short(bytes.len())) };
        if header[..4] != MAGIC {
            return Err(PacketError::Foreign);
        }
        let flags = header[4];
        let is_piece = flags & PIECE != 0;
        if flags >= 2 * ECHO || (!is_piece && (flags & LAST != 0 || !piece.is_empty())) {
            return Err(PacketError::Flags(flags));
        }
        let number = |n: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&header[5 + 8 * n..13 + 8 * n]);
            u64::from_be_bytes(eight)
        };
        Ok(Packet {
            conversation: number(0),
            opens: flags & OPENS != 0,
            forgotten: flags & FORGOTTEN != 0,
            sent: number(1),
            echo: (flags & ECHO != 0).then(|| Echo { sent: number(2), heard: number(3) }),
            acked: number(4),
            beyond: number(5),
            piece: is_piece.then(|| Piece { number: number(6), is_last: flags & LAST != 0, bytes: piece }),
        })
    }
}

/// What one has to know of a packet to bring it to its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peek {
    pub conversation: u64,
    /// Its sender has heard nothing of its peer yet, so a conversation may begin with it.
    pub opens: bool,
    /// It says that its sender doesn't know the conversation. Such a packet is never answered.
    pub forgotten: bool,
}

impl Peek {
    /// # Errors
    /// If these bytes aren't a packet.
    pub fn at(packet: &[u8]) -> Result<Peek, PacketError> {
        let Packet { conversation, opens, forgotten, .. } = Packet::read(packet)?;
        Ok(Peek { conversation, opens, forgotten })
    }
}

/// The answer to a packet of a conversation that isn't known here and that the packet doesn't open.
pub fn forgotten(conversation: u64) -> Vec<u8> {
    Packet { conversation, opens: false, forgotten: true, sent: 0, echo: None, acked: 0, beyond: 0, piece: None }
        .write()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(packet: Packet) -> Vec<u8> {
        packet.write()
    }

    const PLAIN: Packet = Packet {
        conversation: 7,
        opens: true,
        forgotten: false,
        sent: 1,
        echo: Some(Echo { sent: 2, heard: 3 }),
        acked: 4,
        beyond: 5,
        piece: Some(Piece { number: 6, is_last: true, bytes: b"abc" }),
    };

    #[test]
    fn lies_as_the_table_says() {
        let bytes = bytes_of(PLAIN);
        let mut wanted = b"wsb1".to_vec();
        wanted.push(1 | 4 | 8 | 16);
        for number in [7_u64, 1, 2, 3, 4, 5, 6] {
            wanted.extend(number.to_be_bytes());
        }
        wanted.extend(b"abc");
        assert_eq!(bytes, wanted);
        assert_eq!(bytes.len(), HEADER + 3);
    }

    #[test]
    fn what_isnt_a_packet_is_refused() {
        let whole = bytes_of(PLAIN);
        assert_eq!(Packet::read(&[]), Err(PacketError::Short(0)));
        assert_eq!(Packet::read(&whole[..HEADER - 1]), Err(PacketError::Short(HEADER - 1)));
        let changed = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            Packet::read(&bytes).map(|_| ())
        };
        assert_eq!(changed(3, b'2'), Err(PacketError::Foreign));
        assert_eq!(changed(4, 32 | 4), Err(PacketError::Flags(36)));
        // Bytes without a piece that they could be of, and the end of a message that isn't there.
        assert_eq!(changed(4, 0), Err(PacketError::Flags(0)));
        let mut short = whole[..HEADER].to_vec();
        short[4] = LAST;
        assert_eq!(Packet::read(&short).map(|_| ()), Err(PacketError::Flags(LAST)));
    }

    #[test]
    fn a_forgotten_conversation_is_named() {
        assert_eq!(Peek::at(&forgotten(9)), Ok(Peek { conversation: 9, opens: false, forgotten: true }));
        assert_eq!(Peek::at(&bytes_of(PLAIN)), Ok(Peek { conversation: 7, opens: true, forgotten: false }));
    }

    proptest! {
        #[test]
        fn comes_back_as_it_was(
            numbers in any::<[u64; 6]>(), flags in any::<[bool; 4]>(),
            body in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
        ) {
            let [conversation, sent, heard, acked, beyond, number] = numbers;
            let [opens, forgotten, has_echo, is_last] = flags;
            let packet = Packet {
                conversation, opens, forgotten, sent, acked, beyond,
                echo: has_echo.then_some(Echo { sent: number, heard }),
                piece: body.as_deref().map(|bytes| Piece { number, is_last, bytes }),
            };
            let bytes = packet.write();
            prop_assert_eq!(Packet::read(&bytes), Ok(packet));
        }

        #[test]
        fn whatever_is_read_is_what_would_be_written(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), flags in 0_u8..64) {
            for (at, byte) in MAGIC.into_iter().chain([flags]).enumerate() {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            if let Ok(packet) = Packet::read(&bytes) {
                let again = packet.write();
                prop_assert_eq!(Packet::read(&again), Ok(packet));
                prop_assert_eq!(again.len(), bytes.len());
            }
        }
    }
}
