//! HTTP/1.1 responses (RFC 9112), for a client that wants to know when one is whole, and what it said of itself. Bodies
//! are counted and let go.
//!
//! A head that is whole in what was pushed is read where it lies; nothing is kept while no response is half read.

use super::fields::{MAX_HEAD, MAX_HEADERS, listed, whole};
use super::{CodecError, MAX_MESSAGE};
use httparse::{Header, ParserConfig};
use std::mem::MaybeUninit;

/// The longest line before a chunk, bytes.
const MAX_CHUNK_LINE: usize = 256;

/// A response that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Bytes of the body, without the framing of chunks.
    pub size: u64,
    /// Another request may follow on the same connection.
    pub keeps_alive: bool,
}

/// Reads the responses of one connection, one after the other.
#[derive(Debug, Default)]
pub struct ResponseDecoder {
    /// Of a head, or of a chunk's line, that is not whole yet.
    partial: Vec<u8>,
    body: Option<Body>,
    /// Values of `Set-Cookie`.
    cookies: Vec<Vec<u8>>,
}

/// A response whose body is being read.
#[derive(Debug)]
struct Body {
    response: Response,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// So many bytes are still to come.
    Left(u64),
    /// So many bytes of a chunk are still to come, its CR LF included; 0: the line of the next one.
    Chunk(u64),
    /// The fields behind the last chunk, of which so many bytes have come.
    Trailer(usize),
    /// Whatever comes until the stream ends.
    UntilEnd,
}

/// What a head says.
struct Head {
    response: Response,
    framing: Framing,
    cookies: Vec<Vec<u8>>,
}

impl ResponseDecoder {
    /// Takes bytes as they were read, up to the end of a response: how many were taken, and that response if it is
    /// whole. Interim ones (1xx) are passed over.
    ///
    /// # Errors
    /// What breaks RFC 9112 or is over the limits. Nothing can be read after that.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(usize, Option<Response>), CodecError> {
        self.push_with(bytes, |_| {})
    }

    /// The same; `on_body` gets the body's bytes as they come, without the framing of chunks.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_with(
        &mut self,
        bytes: &[u8],
        mut on_body: impl FnMut(&[u8]),
    ) -> Result<(usize, Option<Response>), CodecError> {
        let mut at = 0;
        loop {
            let Some(body) = &mut self.body else {
                let Some((head, len)) = self.read_head(&bytes[at..])? else { return Ok((bytes.len(), None)) };
                at += len;
                self.cookies.extend(head.cookies);
                match head.response.status {
                    101 => return Err(CodecError::Malformed("the answer switches protocols, which nobody asked for")),
                    100..200 => {}
                    _ if head.framing == Framing::Left(0) => return Ok((at, Some(head.response))),
                    _ => self.body = Some(Body { response: head.response, framing: head.framing }),
                }
                continue;
            };
            let (len, is_whole) = body.read(&mut self.partial, &bytes[at..], &mut on_body)?;
            at += len;
            if is_whole {
                let response = body.response;
                self.body = None;
                return Ok((at, Some(response)));
            }
            if at == bytes.len() {
                return Ok((at, None));
            }
        }
    }

    /// The values of `Set-Cookie` in the heads that were read since this was asked last. To be asked after each response.
    pub fn take_cookies(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.cookies)
    }

    /// The stream has ended: the response that this completes. `None` if none is.
    pub fn end(&mut self) -> Option<Response> {
        let until_end = self.body.take_if(|body| body.framing == Framing::UntilEnd)?;
        Some(until_end.response)
    }

    /// True while no response is half read.
    #[cfg(test)]
    fn is_clean(&self) -> bool {
        self.body.is_none() && self.partial.is_empty()
    }

    /// The head at the start of `bytes`, and how many of them are its.
    fn read_head(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, CodecError> {
        if self.partial.is_empty() {
            let found = Head::parse(bytes)?;
            if found.is_none() {
                self.partial.extend_from_slice(bytes);
            }
            return Ok(found);
        }
        let before = self.partial.len();
        // What is taken beyond the limit is what tells that it is exceeded.
        self.partial.extend_from_slice(&bytes[..bytes.len().min(MAX_HEAD + 1 - before)]);
        let found = Head::parse(&self.partial)?;
        Ok(found.map(|(head, len)| {
            self.partial = Vec::new();
            (head, len - before)
        }))
    }
}

impl Body {
    /// Takes what is its of `bytes`: how many, and whether it is whole with them.
    fn read(
        &mut self,
        partial: &mut Vec<u8>,
        bytes: &[u8],
        on_body: &mut impl FnMut(&[u8]),
    ) -> Result<(usize, bool), CodecError> {
        match self.framing {
            Framing::Left(left) => {
                let taken = left.min(bytes.len() as u64);
                self.framing = Framing::Left(left - taken);
                self.grow(taken)?;
                on_body(&bytes[..taken as usize]);
                Ok((taken as usize, left == taken))
            }
            Framing::UntilEnd => {
                self.grow(bytes.len() as u64)?;
                on_body(bytes);
                Ok((bytes.len(), false))
            }
            Framing::Chunk(left @ 1..) => {
                let taken = left.min(bytes.len() as u64);
                check_end_of_chunk(left, &bytes[..taken as usize])?;
                // The last two of a chunk are CR LF.
                on_body(&bytes[..left.saturating_sub(2).min(taken) as usize]);
                self.framing = Framing::Chunk(left - taken);
                Ok((taken as usize, false))
            }
            Framing::Chunk(0) => {
                let (taken, size) = read_line(partial, bytes, MAX_CHUNK_LINE, chunk_size)?;
                if let Some(size) = size {
                    self.grow(size)?;
                    self.framing = if size == 0 { Framing::Trailer(0) } else { Framing::Chunk(size + 2) };
                }
                Ok((taken, false))
            }
            Framing::Trailer(so_far) => {
                let limit = MAX_HEAD.saturating_sub(so_far);
                let (taken, is_last) = read_line(partial, bytes, limit, |line| Ok(line.is_empty()))?;
                self.framing = Framing::Trailer(so_far + taken);
                Ok((taken, is_last == Some(true)))
            }
        }
    }

    fn grow(&mut self, bytes: u64) -> Result<(), CodecError> {
        self.response.size += bytes;
        check_size(self.response.size)
    }
}

fn check_size(size: u64) -> Result<(), CodecError> {
    if size > MAX_MESSAGE as u64 {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        return Err(CodecError::TooLarge { size, limit: MAX_MESSAGE });
    }
    Ok(())
}

/// `bytes` are the next of a chunk's last `left`, of which the very last two are CR LF.
fn check_end_of_chunk(left: u64, bytes: &[u8]) -> Result<(), CodecError> {
    let at = |from_end: u64| left.checked_sub(from_end).and_then(|at| bytes.get(usize::try_from(at).ok()?));
    if at(2).is_some_and(|b| *b != b'\r') || at(1).is_some_and(|b| *b != b'\n') {
        return Err(CodecError::Malformed("a chunk is longer than it says"));
    }
    Ok(())
}

/// Finds the end of a line, CR LF: how many bytes were taken, and what `read` makes of the line once it is whole.
fn read_line<T>(
    partial: &mut Vec<u8>,
    bytes: &[u8],
    limit: usize,
    read: impl FnOnce(&[u8]) -> Result<T, CodecError>,
) -> Result<(usize, Option<T>), CodecError> {
    let taken = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
    if partial.len() + taken > limit {
        return Err(CodecError::Malformed("a line of a chunked body is too long"));
    }
    let line = if partial.is_empty() && bytes[..taken].ends_with(b"\n") {
        read(without_end(&bytes[..taken])?)?
    } else {
        partial.extend_from_slice(&bytes[..taken]);
        if !partial.ends_with(b"\n") {
            return Ok((taken, None));
        }
        read(without_end(&std::mem::take(partial))?)?
    };
    Ok((taken, Some(line)))
}

fn without_end(line: &[u8]) -> Result<&[u8], CodecError> {
    line.strip_suffix(b"\r\n").ok_or(CodecError::Malformed("a line of a chunked body ends without CR"))
}

/// RFC 9112 §7.1; extensions are passed over.
fn chunk_size(line: &[u8]) -> Result<u64, CodecError> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii_end();
    let text = std::str::from_utf8(digits).ok().filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_hexdigit()));
    let size = text.map(|t| u64::from_str_radix(t, 16).unwrap_or(u64::MAX));
    let size = size.ok_or(CodecError::Malformed("a chunk without a size"))?;
    check_size(size)?;
    Ok(size)
}

impl Head {
    /// The head that `bytes` begin with, and its length; `None`: it is not whole yet.
    fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, CodecError> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        let result = ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, &mut headers);
        let Some(len) = whole(result, bytes.len())? else { return Ok(None) };
        let head = Head::of(parsed.code.unwrap_or(0), parsed.version == Some(1), parsed.headers)?;
        Ok(Some((head, len)))
    }

    /// How the body ends (RFC 9112 §6.3), and whether the connection outlives it (§9.3).
    fn of(status: u16, is_1_1: bool, headers: &[Header]) -> Result<Head, CodecError> {
        let (mut length, mut last_coding, mut keeps_alive, mut cookies) = (None, None, is_1_1, Vec::new());
        for Header { name, value } in headers {
            match name.len() {
                14 if name.eq_ignore_ascii_case("content-length") => {
                    let said = content_length(value)?;
                    if length.is_some_and(|before| before != said) {
                        return Err(CodecError::Malformed("two Content-Length that differ"));
                    }
                    length = Some(said);
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    last_coding = listed(value).last().or(last_coding);
                }
                10 if name.eq_ignore_ascii_case("connection") => {
                    for option in listed(value) {
                        keeps_alive &= !option.eq_ignore_ascii_case("close");
                        keeps_alive |= !is_1_1 && option.eq_ignore_ascii_case("keep-alive");
                    }
                }
                10 if name.eq_ignore_ascii_case("set-cookie") => cookies.push(value.to_vec()),
                _ => {}
            }
        }
        let framing = match (status, last_coding, length) {
            (100..200 | 204 | 304, ..) => Framing::Left(0),
            (_, Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunk(0),
            (_, Some(_), _) | (_, None, None) => Framing::UntilEnd,
            (_, None, Some(length)) => Framing::Left(length),
        };
        if let Framing::Left(length) = framing {
            check_size(length)?;
        }
        // A length beside chunks is somebody's mistake: what follows on the connection can't be trusted (§6.3).
        keeps_alive &= framing != Framing::UntilEnd && (last_coding.is_none() || length.is_none());
        Ok(Head { response: Response { status, size: 0, keeps_alive }, framing, cookies })
    }
}

fn content_length(value: &[u8]) -> Result<u64, CodecError> {
    let digits = value.trim_ascii();
    let text = std::str::from_utf8(digits).ok().filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()));
    text.and_then(|t| t.parse().ok()).ok_or(CodecError::Malformed("a Content-Length that is no number"))
}

#[cfg(test)]
mod tests;
