//! Masking (§5.3): byte i of a payload is XORed with byte i mod 4 of the frame's mask, by either end alike.
//!
//! Eight bytes are taken at once, in loops that the compiler turns into vector instructions.

/// The mask of one frame, as it stands in the frame's head.
pub type Mask = [u8; 4];

/// Masks or unmasks in place.
#[inline]
pub fn apply(mask: Mask, bytes: &mut [u8]) {
    let word = word(mask);
    let (words, rest) = bytes.as_chunks_mut();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= mask;
    }
}

/// Appends `bytes`, masked or unmasked, to `out`: they are read and written once.
#[inline]
pub fn append(mask: Mask, bytes: &[u8], out: &mut Vec<u8>) {
    let word = word(mask);
    out.reserve(bytes.len());
    // Blocks go by way of registers: short enough for that, long enough that the vector's bookkeeping doesn't tell.
    let (blocks, rest) = bytes.as_chunks::<64>();
    for block in blocks {
        let mut block = *block;
        apply(mask, &mut block);
        out.extend_from_slice(&block);
    }
    let (words, rest) = rest.as_chunks();
    for bytes in words {
        out.extend_from_slice(&(u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes());
    }
    out.extend(rest.iter().zip(word.to_ne_bytes()).map(|(byte, mask)| byte ^ mask));
}

/// The mask for what follows the first `n` bytes of a payload.
pub fn after(mut mask: Mask, n: usize) -> Mask {
    mask.rotate_left(n % size_of::<Mask>());
    mask
}

fn word(mask: Mask) -> u64 {
    let [a, b, c, d] = mask;
    u64::from_ne_bytes([a, b, c, d, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_byte_meets_its_byte_of_the_mask(
            mask in any::<Mask>(), bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..300,
        ) {
            let want: Vec<u8> = bytes.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]).collect();
            let mut in_place = bytes.clone();
            apply(mask, &mut in_place);
            prop_assert_eq!(&in_place, &want);
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let mut copied = b"before".to_vec();
            append(mask, head, &mut copied);
            append(after(mask, head.len()), tail, &mut copied);
            prop_assert_eq!(copied.strip_prefix(b"before").unwrap(), &want);
        }
    }
}
