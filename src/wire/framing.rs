//! Schema-registry framing as Confluent's serializers write it: a zero byte, the schema's id in four bytes, for Protobuf the path
//! of the message within its file, then the payload.
//!
//! The schema's id is not looked up: the contract is fixed, and both schemas it could name are told apart by the payload.

/// What lies inside a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    Json(&'a [u8]),
    Proto(&'a [u8]),
}

/// The first byte of a frame.
pub(super) const MAGIC: u8 = 0;

/// Opens a frame; `None` if it is cut short, or names another message than the first of its file.
///
/// The path is a list of zigzag varints, its length first; a single zero byte stands for `[0]`, the first message. JSON payloads
/// have no path, and no path begins with `{`, which would be a negative length.
pub(super) fn open(frame: &[u8]) -> Option<Payload<'_>> {
    let rest = frame.strip_prefix(&[MAGIC])?.get(4..)?;
    if rest.first() == Some(&b'{') {
        return Some(Payload::Json(rest));
    }
    let (length, rest) = zigzag(rest)?;
    let rest = match length {
        0 => rest,
        1 => zigzag(rest).filter(|(index, _)| *index == 0)?.1,
        _ => return None,
    };
    Some(Payload::Proto(rest))
}

/// Splits off a zigzag varint.
fn zigzag(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut rest = bytes;
    let value = prost::encoding::decode_varint(&mut rest).ok()?;
    Some(((value >> 1).cast_signed() ^ -(value & 1).cast_signed(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_holds_json_or_the_first_message() {
        assert_eq!(open(b"\0\0\0\0\x07{}"), Some(Payload::Json(b"{}")));
        assert_eq!(open(b"\0\0\0\0\x07\0xyz"), Some(Payload::Proto(b"xyz")));
        assert_eq!(open(b"\0\0\0\0\x07\x02\0xyz"), Some(Payload::Proto(b"xyz")));
        assert_eq!(open(b"\0\0\0\0\x07\0"), Some(Payload::Proto(b"")));
    }

    #[test]
    fn other_messages_and_short_frames_are_refused() {
        for frame in [
            &b"\0"[..],
            b"\0\0\0\0",
            b"\0\0\0\0\x07",
            b"\0\0\0\0\x07\x02",
            b"\0\0\0\0\x07\x02\x02x",
        ] {
            assert_eq!(open(frame), None, "{frame:?}");
        }
        assert_eq!(open(b"\0\0\0\0\x07\x04\0\0x"), None, "a nested message");
        assert_eq!(open(b"\0\0\0\0\x07\x01x"), None, "a negative length");
        assert_eq!(open(b"\0\0\0\0\x07\xff\xff"), None, "an unfinished varint");
    }
}
