//! A dead letter read back: why the record was set aside, where it stood, and its own headers without ours. Whether to send it again
//! is for a person to say; what can be said beforehand is [`Prospect`].

use super::record::Header;
use crate::engine::Reason;

/// The header that counts how often a record was sent again.
pub const REDRIVE_HEADER: &str = "gfredrive";
/// How often a record is sent again at most: one that still fails then is not mended by another round.
pub const REDRIVES_MAX: u32 = 3;

/// What [`encode`](super::encode()) wrote beside the original bytes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter<'a> {
    /// Why it was set aside.
    pub reason: Reason,
    /// The field or type at fault, where the reason has one.
    pub detail: Option<&'a str>,
    /// The topic it was read from.
    pub topic: &'a str,
    /// The partition it stood on, at least 0.
    pub partition: i32,
    /// Its offset there, at least 0.
    pub offset: i64,
    /// It is an excerpt of a record of so many bytes, in words; `None`: it is all of it.
    pub truncated: Option<&'a str>,
    /// How often it had been sent again before, from 0.
    pub redrives: u32,
    /// The headers of the original record, in their order.
    pub original: &'a [Header<'a>],
}

/// What comes of sending a dead letter again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// The same bytes may be accepted by now, if what the text says has happened.
    Once(&'static str),
    /// It will be refused again, for what the text says.
    Never(&'static str),
}

impl<'a> DeadLetter<'a> {
    /// Reads the headers of a record of the dead-letters topic; `None` unless they end with ours. Those before may bear any name,
    /// our own too: only the last of each are ours.
    pub fn read(headers: &'a [Header<'a>]) -> Option<Self> {
        let mut rest = headers;
        let mut last = |name: &str| {
            let ((found, value), before) = rest.split_last()?;
            let value = std::str::from_utf8((*value)?).ok()?;
            (*found == name).then(|| {
                rest = before;
                value
            })
        };
        last("gfsource")?;
        last("gfpolicy")?;
        last("__streams.errors.message")?;
        last("__streams.errors.exception")?;
        let offset = last("__streams.errors.offset")?.parse().ok()?;
        let partition = last("__streams.errors.partition")?.parse().ok()?;
        let topic = last("__streams.errors.topic")?;
        let truncated = last("truncated");
        let detail = last("detail");
        let reason = Reason::from_word(last("reason")?)?;
        let redrives = redrives(rest);
        let is_place = 0 <= partition && 0 <= offset;
        is_place.then_some(Self {
            reason,
            detail,
            topic,
            partition,
            offset,
            truncated,
            redrives,
            original: rest,
        })
    }

    /// The headers to send it again with: the original ones and the count of redrives; `None` if it was sent again too often, or is
    /// an excerpt.
    pub fn redriven(&self) -> Option<Vec<(String, Option<Vec<u8>>)>> {
        if REDRIVES_MAX <= self.redrives || self.truncated.is_some() {
            return None;
        }
        let own = |(name, value): &Header<'_>| ((*name).to_owned(), value.map(<[u8]>::to_vec));
        let others = self.original.iter().filter(|(name, _)| *name != REDRIVE_HEADER).map(own);
        let count = (self.redrives + 1).to_string().into_bytes();
        Some(others.chain([(REDRIVE_HEADER.to_owned(), Some(count))]).collect())
    }
}

/// How often a record with these headers was sent again; 0 if they do not say it in digits.
fn redrives(headers: &[Header<'_>]) -> u32 {
    let count = headers.iter().rev().find(|(name, _)| *name == REDRIVE_HEADER);
    let text = count.and_then(|(_, value)| std::str::from_utf8((*value)?).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Prospect {
    /// What comes of sending a record again that was refused for `reason`.
    pub const fn of(reason: Reason) -> Self {
        match reason {
            Reason::NotJson
            | Reason::BadFraming
            | Reason::NotProtobuf
            | Reason::BadEnvelope
            | Reason::UnknownType
            | Reason::BadData => Self::Once("once a version runs whose contract accepts it"),
            Reason::TimeInFuture => Self::Once("once its time has come"),
            Reason::UnknownEvidence | Reason::UnknownSqueeze => {
                Self::Once("if what it names was read after it")
            }
            Reason::OwnOutput => Self::Never("outputs of goodfaith are not events"),
            Reason::KeyMismatch => Self::Never("key and subject are part of it"),
            Reason::MisplacedReference => Self::Never("it belongs on the reference topic"),
            Reason::Erased => Self::Never("the customer asked to be forgotten"),
            Reason::TooLate => Self::Never("a customer's clock never goes back"),
        }
    }

    /// It will be refused again.
    pub const fn is_never(self) -> bool {
        matches!(self, Self::Never(_))
    }

    /// When, or why not.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Once(text) | Self::Never(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::{Action, Effect, Rejection, SourcePosition};
    use crate::wire::{Encoding, Origin, OutRecord, RecordRef, encode};

    type Owned = Vec<(String, Option<Vec<u8>>)>;

    fn refs(headers: &Owned) -> Vec<Header<'_>> {
        headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect()
    }

    /// The headers of a dead letter made of a record with `original` headers.
    fn set_aside(original: &Owned, reason: Reason, detail: Option<&str>) -> Owned {
        let headers = refs(original);
        let record = RecordRef { key: None, value: None, headers: &headers, timestamp_ms: None };
        letter_of(record, reason, detail).headers
    }

    fn letter_of(record: RecordRef<'_>, reason: Reason, detail: Option<&str>) -> OutRecord {
        let rejection =
            Rejection { reason, detail: detail.map(Into::into), id: None, subject: None };
        let effect = Effect {
            source: SourcePosition { offset: 41, seq: 2, ordinal: 0 },
            action: Action::DeadLetter(Box::new(rejection)),
        };
        let origin = Origin { topic: "goodfaith.events.v1", partition: 3, policy: 1 };
        encode(&effect, record, origin, Encoding::BinaryJson).remove(0)
    }

    /// Headers of any name, ours above all.
    fn any_headers() -> impl Strategy<Value = Owned> {
        const NAMES: [&str; 9] = [
            "reason",
            "detail",
            "truncated",
            "gfsource",
            "gfpolicy",
            REDRIVE_HEADER,
            "__streams.errors.topic",
            "__streams.errors.message",
            "traceparent",
        ];
        let name = proptest::sample::select(&NAMES[..]).prop_map(str::to_owned);
        let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..5));
        proptest::collection::vec((name, value), 0..12)
    }

    proptest! {
        #[test]
        fn what_was_set_aside_is_read_back_whatever_its_headers_are_called(
            original in any_headers(),
            reason in proptest::sample::select(Reason::ALL),
            detail in proptest::option::of("[a-z]{0,8}"),
        ) {
            let headers = set_aside(&original, reason, detail.as_deref());
            let headers = refs(&headers);
            let letter = DeadLetter::read(&headers).unwrap();
            prop_assert_eq!((letter.reason, letter.detail), (reason, detail.as_deref()));
            prop_assert_eq!((letter.topic, letter.partition, letter.offset), ("goodfaith.events.v1", 3, 41));
            prop_assert_eq!(letter.original.to_vec(), refs(&original));
            prop_assert_eq!(letter.truncated, None);
        }

        #[test]
        fn no_headers_panic(headers in any_headers()) {
            let _read = DeadLetter::read(&refs(&headers));
        }
    }

    #[test]
    fn a_record_is_sent_again_with_its_own_headers_and_only_so_often() {
        let mut headers: Owned =
            vec![("reason".to_owned(), None), ("trace".to_owned(), Some(vec![0xff]))];
        let mut counts = Vec::new();
        loop {
            let aside = set_aside(&headers, Reason::BadData, Some("amount"));
            let aside = refs(&aside);
            let letter = DeadLetter::read(&aside).unwrap();
            counts.push(letter.redrives);
            let Some(again) = letter.redriven() else { break };
            headers = again;
        }
        assert_eq!(counts, [0, 1, 2, 3]);
        assert_eq!(
            headers[..2],
            [("reason".to_owned(), None), ("trace".to_owned(), Some(vec![0xff]))]
        );
        assert_eq!(headers[2..], [(REDRIVE_HEADER.to_owned(), Some(b"3".to_vec()))]);
    }

    #[test]
    fn a_record_too_large_for_a_dead_letter_leaves_an_excerpt_that_is_not_sent_again() {
        const MEGABYTE: usize = 1_000_000;
        let letter = |key: usize, value: usize, headers: usize| {
            let (key, value) = (vec![b'k'; key], vec![b'v'; value]);
            let headers = vec![("", None); headers];
            let record = RecordRef {
                key: Some(&key),
                value: Some(&value),
                headers: &headers,
                timestamp_ms: None,
            };
            letter_of(record, Reason::NotJson, None)
        };
        let size = |letter: &OutRecord| {
            let of = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
            let headers = letter.headers.iter().map(|(name, value)| name.len() + of(value) + 10);
            of(&letter.key) + of(&letter.value) + headers.sum::<usize>()
        };
        for (key, value, headers) in
            [(3, 10 * MEGABYTE - 3, 0), (5 * MEGABYTE, 5 * MEGABYTE, 0), (0, 0, MEGABYTE)]
        {
            let whole = letter(key, value, headers);
            let headers_read = refs(&whole.headers);
            let read = DeadLetter::read(&headers_read).unwrap();
            assert_eq!((read.truncated, read.original.len()), (None, headers));
            assert!(10 * MEGABYTE < size(&whole) && size(&whole) < 10 << 20, "{}", size(&whole));
            for (key, value, headers) in
                [(key + 1, value, headers), (key, value + 1, headers), (key, value, headers + 1)]
            {
                let excerpt = letter(key, value, headers);
                let told = format!("key={key} value={value} headers={}", headers * 10);
                let headers_read = refs(&excerpt.headers);
                let read = DeadLetter::read(&headers_read).unwrap();
                assert_eq!((read.truncated, read.offset), (Some(told.as_str()), 41));
                assert_eq!((read.original, read.redriven()), (&[][..], None));
                assert!(size(&excerpt) < 140_000, "{}", size(&excerpt));
            }
        }
    }

    #[test]
    fn a_record_of_another_program_is_no_dead_letter_of_ours() {
        let aside = set_aside(&Vec::new(), Reason::BadData, None);
        let mut headers = refs(&aside);
        assert!(DeadLetter::read(&headers).is_some());
        headers.push(("more", Some(b"x")));
        assert_eq!(DeadLetter::read(&headers), None);
        assert_eq!(DeadLetter::read(&[]), None);
    }
}
