//! Names derived from texts, so that the same thing has the same name after a restart or a replay.

use sha2::{Digest, Sha256};

/// The first 32 hex digits of the SHA-256 of `text`.
pub(crate) fn hex_32(text: &str) -> String {
    let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
    let mut digits = [0; 32];
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(Sha256::digest(text)) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
    std::str::from_utf8(&digits).expect("digits are ASCII").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_first_half_of_sha_256() {
        assert_eq!(hex_32("abc"), "ba7816bf8f01cfea414140de5dae2223");
    }
}
