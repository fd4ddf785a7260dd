//! Names derived from texts, so that the same thing has the same name after a restart or a replay.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The first 32 hex digits of the SHA-256 of `text`.
pub(crate) fn hex_32(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().take(16).fold(String::with_capacity(32), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all that is written");
        hex
    })
}
