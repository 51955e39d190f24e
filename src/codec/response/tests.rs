//! Responses in any pieces, and what is none.

use super::*;
use proptest::prelude::*;

/// Everything that comes out of `chunks`, each of which is pushed until it is used up.
fn all(decoder: &mut ResponseDecoder, chunks: &[&[u8]]) -> Result<Vec<Response>, CodecError> {
    let mut got = Vec::new();
    for chunk in chunks {
        let mut rest = *chunk;
        while !rest.is_empty() {
            let (used, response) = decoder.push(rest)?;
            assert!(used > 0 && (response.is_some() || used == rest.len()), "it takes all up to a response's end");
            rest = &rest[used..];
            got.extend(response);
        }
        let kept = if decoder.is_clean() { 0 } else { MAX_HEAD + 1 };
        assert!(decoder.partial.len() <= kept, "{} bytes are kept", decoder.partial.len());
    }
    Ok(got)
}

fn one(text: &str) -> Result<(Response, usize), CodecError> {
    let mut decoder = ResponseDecoder::default();
    let (used, response) = decoder.push(text.as_bytes())?;
    assert!(response.is_none() || decoder.is_clean());
    Ok((response.unwrap_or(Response { status: 0, size: 0, keeps_alive: false }), used))
}

fn response(status: u16, size: u64, keeps_alive: bool) -> Response {
    Response { status, size, keeps_alive }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
                       5;a=b\r\nhello\r\n1 \r\n,\r\n0A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";

#[test]
fn each_way_to_end_a_body() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", response(200, 5, true)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", response(200, 0, true)),
        ("HTTP/1.1 200\r\ncontent-length: 2\r\nContent-Length:  2\r\n\r\nab", response(200, 2, true)),
        (CHUNKED, response(200, 16, true)),
        ("HTTP/1.1 204 No Content\r\n\r\n", response(204, 0, true)),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", response(304, 0, true)),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
            response(204, 0, true),
        ),
        ("HTTP/1.1 500 Oh\r\nConnection: TE, Close\r\nContent-Length: 1\r\n\r\nx", response(500, 1, false)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", response(200, 1, false)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx", response(200, 1, true)),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            response(200, 0, false),
        ),
    ];
    for (text, want) in cases {
        assert_eq!(one(text), Ok((want, text.len())), "{text:?}");
        let followed = format!("{text}HTTP/1.1");
        assert_eq!(one(&followed), Ok((want, text.len())), "what follows is the next one's: {text:?}");
    }
}

#[test]
fn a_body_without_a_length_ends_with_the_stream_and_no_other_does() {
    let mut decoder = ResponseDecoder::default();
    assert_eq!(decoder.end(), None);
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\n"] {
        assert_eq!(all(&mut decoder, &[head.as_bytes(), b"abc", b"d"]), Ok(vec![]));
        assert_eq!(decoder.end(), Some(response(200, 4, false)));
        assert!(decoder.is_clean());
    }
    for cut_off in ["HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", &CHUNKED[..CHUNKED.len() - 1]] {
        let mut decoder = ResponseDecoder::default();
        assert_eq!(all(&mut decoder, &[cut_off.as_bytes()]), Ok(vec![]));
        assert!(decoder.end().is_none() && !decoder.is_clean(), "{cut_off:?}");
    }
}

#[test]
fn what_breaks_the_rules_is_an_error() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let chunked = format!("{ok}Transfer-Encoding: chunked\r\n\r\n");
    let malformed = [
        "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
        "\x16\x03\x01\0\0".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
        format!("{ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        format!("{ok}Content-Length: +1\r\n\r\n"),
        format!("{ok}Content-Length: 99999999999999999999\r\n\r\n"),
        format!("{chunked}x\r\n"),
        format!("{chunked}\r\n"),
        format!("{chunked}5\nhello"),
        format!("{chunked}5\r\nhello!\r\n"),
        format!("{chunked}5\r\nhello\r!"),
        format!("{chunked}5;{}", "x".repeat(MAX_CHUNK_LINE)),
        format!("{chunked}0\r\n{}", "A: b\r\n".repeat(MAX_HEAD / 6 + 1)),
        ok.to_owned() + &"A: b\r\n".repeat(MAX_HEADERS + 1) + "\r\n",
    ];
    for text in malformed {
        assert!(matches!(one(&text), Err(CodecError::Malformed(_))), "{text:?}: {:?}", one(&text));
    }
    let too_large = [
        format!("{ok}Content-Length: {}\r\n\r\n", MAX_MESSAGE + 1),
        format!("{chunked}{:x}\r\n", MAX_MESSAGE + 1),
        format!("{chunked}FFFFFFFFFFFFFFFFF\r\n"),
        format!("{ok}A: {}", "x".repeat(MAX_HEAD)),
    ];
    for text in too_large {
        assert!(matches!(one(&text), Err(CodecError::TooLarge { .. })), "{:?}", one(&text));
    }
}

#[test]
fn a_head_and_a_body_that_grow_past_their_limits_in_pieces_are_refused() {
    let mut decoder = ResponseDecoder::default();
    let head = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(2 * MAX_HEAD));
    let pieces: Vec<&[u8]> = head.as_bytes().chunks(1000).collect();
    assert!(matches!(all(&mut decoder, &pieces), Err(CodecError::TooLarge { .. })));
    let mut decoder = ResponseDecoder::default();
    let (megabyte, mut taken) = (vec![b'x'; 1 << 20], Ok((0, None)));
    decoder.push(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    for _ in 0..17 {
        taken = decoder.push(&megabyte);
    }
    assert!(matches!(taken, Err(CodecError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_responses(
        kinds in proptest::collection::vec((0usize..4, 0usize..300), 1..8), cut in 1usize..60,
    ) {
        let mut wire = Vec::new();
        let mut want = Vec::new();
        let mut bodies = Vec::new();
        for (kind, size) in kinds {
            let body = "b".repeat(size);
            let (text, status, size) = match kind {
                0 => (format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nX: y\r\n\r\n{body}"), 200, size),
                1 => ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n".to_owned(), 204, 0),
                2 => (CHUNKED.to_owned(), 200, 16),
                _ => {
                    let head = "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n";
                    let chunk = if size > 0 { format!("{size:x}\r\n{body}\r\n") } else { String::new() };
                    (format!("{head}{chunk}0\r\n\r\n"), 503, size)
                }
            };
            match kind {
                0 | 3 => bodies.extend_from_slice(body.as_bytes()),
                2 => bodies.extend_from_slice(b"hello,0123456789"),
                _ => {}
            }
            wire.extend_from_slice(text.as_bytes());
            want.push(response(status, size as u64, true));
        }
        let chunks: Vec<&[u8]> = wire.chunks(cut).collect();
        let mut decoder = ResponseDecoder::default();
        prop_assert_eq!(all(&mut decoder, &chunks).unwrap(), want);
        prop_assert!(decoder.is_clean());
        let mut came = Vec::new();
        for mut chunk in chunks {
            while !chunk.is_empty() {
                let (used, _) = decoder.push_with(chunk, |bytes| came.extend_from_slice(bytes)).unwrap();
                chunk = &chunk[used..];
            }
        }
        prop_assert_eq!(came, bodies);
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0usize..4, cut in 1usize..50) {
        let before = ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKED][kind];
        let wire = [before.as_bytes(), &bytes].concat();
        let mut decoder = ResponseDecoder::default();
        let _ = all(&mut decoder, &wire.chunks(cut).collect::<Vec<_>>());
        let _ = decoder.end();
    }
}
