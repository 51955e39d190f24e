//! `text/event-stream` (WHATWG HTML §9.2), as far as messages need it: `data` lines and the blank line after them.
//!
//! Binary payloads travel in base64, which counts as framing.

use super::{CodecError, Decode, MAX_MESSAGE};
use crate::catalog::Format;
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Appends one event holding `message`.
pub fn encode(format: Format, message: &[u8], out: &mut Vec<u8>) {
    match format {
        Format::Binary => {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(STANDARD.encode(message).as_bytes());
            out.push(b'\n');
        }
        Format::Text => {
            for line in message.split(|b| *b == b'\n') {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(line);
                out.push(b'\n');
            }
        }
    }
    out.push(b'\n');
}

/// Reads events; comments and fields other than `data` are passed over, as the standard asks.
#[derive(Debug)]
pub struct SseDecoder {
    format: Format,
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
}

impl SseDecoder {
    pub fn new(format: Format) -> SseDecoder {
        SseDecoder { format, line: Vec::new(), data: Vec::new(), has_data: false, after_cr: false }
    }

    fn end_line(&mut self, on_message: &mut dyn FnMut(&[u8])) -> Result<(), CodecError> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                let data = std::mem::take(&mut self.data);
                self.dispatch(&data, on_message)?;
            }
        } else if let Some(value) = field(&line, b"data") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
            self.data.extend_from_slice(value);
        }
        self.line = line;
        self.line.clear();
        Ok(())
    }

    fn dispatch(&mut self, data: &[u8], on_message: &mut dyn FnMut(&[u8])) -> Result<(), CodecError> {
        match self.format {
            Format::Text => on_message(data),
            Format::Binary => {
                let bytes = STANDARD.decode(data).map_err(|_| CodecError::Malformed("an event that is not base64"))?;
                on_message(&bytes);
            }
        }
        Ok(())
    }
}

/// The value of `line` if its field is `name`; one space after the colon does not count.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest {
        [] => Some(rest),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

impl Decode for SseDecoder {
    fn push(&mut self, bytes: &[u8], on_message: &mut dyn FnMut(&[u8])) -> Result<(), CodecError> {
        for byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, *byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(on_message)?,
                _ => self.line.push(*byte),
            }
            let size = self.line.len() + self.data.len();
            if size > 2 * MAX_MESSAGE {
                return Err(CodecError::TooLarge { size, limit: 2 * MAX_MESSAGE });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(format: Format, wire: &[u8], cut: usize) -> Vec<Vec<u8>> {
        let mut decoder = SseDecoder::new(format);
        let mut got = Vec::new();
        wire.chunks(cut).for_each(|c| decoder.push(c, &mut |m| got.push(m.to_vec())).unwrap());
        got
    }

    #[test]
    fn one_line_of_text_costs_eight_bytes() {
        for size in [32, 128] {
            let mut out = Vec::new();
            encode(Format::Text, &vec![b'x'; size], &mut out);
            assert_eq!(out.len(), size + 8);
        }
    }

    #[test]
    fn reads_what_the_standard_allows() {
        let wire = b": comment\r\nevent: tick\rid: 7\ndata:a\ndata: b\n\nretry: 9\n\ndata\n\n";
        assert_eq!(decoded(Format::Text, wire, 3), vec![b"a\nb".to_vec(), b"".to_vec()]);
    }

    proptest! {
        #[test]
        fn comes_back_as_it_went(
            text in "[^\r]{0,60}", binary in proptest::collection::vec(any::<u8>(), 0..60), cut in 1usize..20,
        ) {
            for (format, message) in [(Format::Text, text.as_bytes()), (Format::Binary, &binary)] {
                let mut wire = Vec::new();
                encode(format, message, &mut wire);
                encode(format, b"next", &mut wire);
                prop_assert_eq!(decoded(format, &wire, cut), vec![message.to_vec(), b"next".to_vec()]);
            }
        }
    }
}
