//! Names derived from texts, so that the same thing has the same name after a restart or a replay.

use sha2::{Digest, Sha256};

/// The first 32 hex digits of the SHA-256 of `text`.
pub(crate) fn hex_32(text: &str) -> String {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    let digest = Sha256::digest(text);
    let mut hex = String::with_capacity(32);
    for byte in digest.iter().take(16) {
        hex.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    hex
}
