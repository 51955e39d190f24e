//! What is left of a stream that came in pieces: the beginning of something that isn't whole yet.

/// The bytes that nobody could use so far.
#[derive(Debug, Default)]
pub struct Partial(Vec<u8>);

impl Partial {
    /// Gives `take` what was left before with `bytes` behind it; it says how much of that it used. The rest is kept. After
    /// an error nothing is.
    pub fn feed<E>(&mut self, bytes: &[u8], take: impl FnOnce(&[u8]) -> Result<usize, E>) -> Result<(), E> {
        if self.0.is_empty() {
            let used = take(bytes)?;
            self.0.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut all = std::mem::take(&mut self.0);
        all.extend_from_slice(bytes);
        let used = take(&all)?;
        if used < all.len() {
            all.drain(..used);
            self.0 = all;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_used_comes_again_with_more_behind_it() {
        let mut partial = Partial::default();
        let mut seen = Vec::new();
        for piece in ["ab", "c", "de"] {
            let take = |bytes: &[u8]| {
                seen.push(String::from_utf8(bytes.to_vec()).unwrap());
                Ok::<_, ()>(bytes.len() / 2)
            };
            partial.feed(piece.as_bytes(), take).unwrap();
        }
        assert_eq!(seen, ["ab", "bc", "cde"]);
        assert_eq!(partial.feed(b"f", |_| Err("no")), Err("no"));
        assert_eq!(partial.0, b"");
    }
}
