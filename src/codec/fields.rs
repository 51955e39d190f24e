//! The head of an HTTP/1.1 message: how large it may be, and what its header fields say.

use super::CodecError;

/// The largest head that is read, bytes.
pub const MAX_HEAD: usize = 16 * 1024;
pub(super) const MAX_HEADERS: usize = 64;

/// The length of a head of which `len` bytes are there; `None`: it is not whole yet.
pub(super) fn whole(parsed: httparse::Result<usize>, len: usize) -> Result<Option<usize>, CodecError> {
    match parsed {
        Ok(httparse::Status::Complete(head_len)) => Ok(Some(head_len)),
        Ok(httparse::Status::Partial) if len > MAX_HEAD => Err(CodecError::TooLarge { size: len, limit: MAX_HEAD }),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(CodecError::Malformed("not an HTTP/1.1 head")),
    }
}

pub(super) fn value<'a>(headers: &'a [httparse::Header], name: &str) -> Option<&'a str> {
    let header = headers.iter().find(|h| h.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(header.value).ok().map(str::trim)
}

/// The comma-separated values of every header called `name`.
pub(super) fn tokens<'a>(headers: &'a [httparse::Header], name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name)).flat_map(|h| listed(h.value))
}

/// The comma-separated values of one header.
pub(super) fn listed(value: &[u8]) -> impl Iterator<Item = &str> {
    std::str::from_utf8(value).into_iter().flat_map(|v| v.split(',')).map(str::trim).filter(|v| !v.is_empty())
}

pub(super) fn has_token(headers: &[httparse::Header], name: &str, token: &str) -> bool {
    tokens(headers, name).any(|t| t.eq_ignore_ascii_case(token))
}
