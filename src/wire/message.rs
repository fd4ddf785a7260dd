//! The bytes of a bare event, two ways. As its parts, borrowed and unread: so nearly every event is read, for whom a message would be
//! made only to be taken apart. And as its message and its envelope, whose texts are borrowed: for any other, since it tells what is
//! wrong. What prost would refuse is refused here, and what it would take is taken.

use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint};

use super::proto;

/// The texts of an envelope; of one that is repeated, the last.
#[derive(Debug, Default)]
pub(super) struct Texts<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) source: Option<&'a str>,
    pub(super) subject: Option<&'a str>,
    pub(super) causation_id: Option<&'a str>,
}

impl<'a> Texts<'a> {
    /// Where the text of the field with this number belongs.
    const fn place(&mut self, number: u32) -> Option<&mut Option<&'a str>> {
        match number {
            1 => Some(&mut self.id),
            2 => Some(&mut self.source),
            3 => Some(&mut self.subject),
            5 => Some(&mut self.causation_id),
            _ => None,
        }
    }
}

/// What a field holds, as it stands in the bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Raw<'a> {
    Number(u64),
    Bits(u64),
    Bytes(&'a [u8]),
}

impl<'a> Raw<'a> {
    /// A varint.
    pub(super) const fn number(self) -> Option<u64> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    /// Eight bytes.
    pub(super) const fn bits(self) -> Option<u64> {
        if let Self::Bits(bits) = self { Some(bits) } else { None }
    }

    /// A message, or a text.
    pub(super) const fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Splits off a field and its number; `None` if it is malformed, or of a form that no field of an event has.
    fn split_off(bytes: &mut &'a [u8]) -> Option<(u32, Self)> {
        let key = u32::try_from(varint(bytes)?).ok()?;
        let raw = match key & 7 {
            0 => Self::Number(varint(bytes)?),
            1 => {
                let (bits, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Self::Bits(u64::from_le_bytes(*bits))
            }
            2 => {
                let length = usize::try_from(varint(bytes)?).ok()?;
                let (content, rest) = bytes.split_at_checked(length)?;
                *bytes = rest;
                Self::Bytes(content)
            }
            _ => return None,
        };
        (key >> 3 != 0).then_some((key >> 3, raw))
    }
}

/// The fields numbered 1 to `N` of a message; others are passed over. `None` if one is malformed or repeated: what prost makes of that
/// is for it to say.
pub(super) fn fields<const N: usize>(mut bytes: &[u8]) -> Option<[Option<Raw<'_>>; N]> {
    let mut fields = [None; N];
    while !bytes.is_empty() {
        let (number, raw) = Raw::split_off(&mut bytes)?;
        if let Some(field) = fields.get_mut(number as usize - 1)
            && field.replace(raw).is_some()
        {
            return None;
        }
    }
    Some(fields)
}

/// A bare event whose parts are not read yet.
#[derive(Debug, Default)]
pub(super) struct Bare<'a> {
    /// `id` to `tracestate`, by their numbers from 1.
    pub(super) envelope: [Option<Raw<'a>>; 9],
    /// The number of the body, and its message.
    pub(super) body: Option<(u32, Raw<'a>)>,
}

impl<'a> Bare<'a> {
    /// The first number of a body.
    const BODY: u32 = 20;

    /// Splits an event into its parts; `None` as [`fields`].
    pub(super) fn of(mut bytes: &'a [u8]) -> Option<Self> {
        let mut event = Self::default();
        while !bytes.is_empty() {
            let (number, raw) = Raw::split_off(&mut bytes)?;
            let is_repeated = match event.envelope.get_mut(number as usize - 1) {
                Some(field) => field.replace(raw).is_some(),
                None if Self::BODY <= number => event.body.replace((number, raw)).is_some(),
                None => false,
            };
            if is_repeated {
                return None;
            }
        }
        Some(event)
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    match *bytes {
        // Nearly all: keys, lengths, words.
        [byte, rest @ ..] if *byte < 0x80 => {
            *bytes = rest;
            Some(u64::from(*byte))
        }
        _ => decode_varint(bytes).ok(),
    }
}

/// Reads a `goodfaith.v1.Event`; the message holds all but the texts. `None` if it is none.
pub(super) fn read(mut bytes: &[u8]) -> Option<(Texts<'_>, Box<proto::Event>)> {
    let (mut texts, mut event) = (Texts::default(), Box::<proto::Event>::default());
    while !bytes.is_empty() {
        let (number, wire_type) = decode_key(&mut bytes).ok()?;
        match texts.place(number) {
            Some(place) if wire_type == WireType::LengthDelimited => {
                *place = Some(text(&mut bytes)?);
            }
            _ => event.merge_field(number, wire_type, &mut bytes, DecodeContext::default()).ok()?,
        }
    }
    Some((texts, event))
}

/// Splits off a text behind its length.
fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(decode_varint(bytes).ok()?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The message as prost reads it, and as it is read here.
    fn both(bytes: &[u8]) -> (Option<proto::Event>, Option<proto::Event>) {
        let whole = read(bytes).map(|(texts, event)| proto::Event {
            id: texts.id.map(str::to_owned),
            source: texts.source.map(str::to_owned),
            subject: texts.subject.map(str::to_owned),
            causation_id: texts.causation_id.map(str::to_owned),
            ..*event
        });
        (proto::Event::decode(bytes).ok(), whole)
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_prost_reads(
            fields in proptest::collection::vec(
                (1_u32..12, 0_u8..6, proptest::collection::vec(any::<u8>(), 0..6)),
                0..6,
            ),
            cut in 0_usize..40,
        ) {
            let mut bytes = Vec::new();
            for (number, wire_type, content) in fields {
                bytes.push((number as u8) << 3 | wire_type);
                bytes.push(content.len() as u8);
                bytes.extend(content);
            }
            bytes.truncate(bytes.len().max(cut) - cut.min(bytes.len()) / 8);
            let (expected, found) = both(&bytes);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_last_of_a_repeated_text_counts_and_none_is_taken_for_less_than_it_is() {
        for bytes in [
            &b"\x0a\x01a\x0a\x01b"[..],
            b"\x1a\x03ada\x2a\x02c1",
            b"\x0a\x00",
            b"\x0a\x05ab",
            b"\x0a\x01\xff",
            b"\x08\x01",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
            b"\x12\x01s\xfa\x01\x01x",
        ] {
            let (expected, found) = both(bytes);
            assert_eq!(found, expected, "{bytes:?}");
        }
        let (texts, _) = read(b"\x0a\x01a\x0a\x01b").unwrap();
        assert_eq!(texts.id, Some("b"));
    }
}
