//! Direct evidence that can be taken back, and how a customer's ring of it is packed: each evidence as what differs from the one before.
//! Most is of one nature and about things of similar names, some days apart.
//!
//! What makes an evidence, and when it is taken back, is not decided here.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStrBuilder;

use super::organisation::Origin;
use super::ring::Ring;
use super::{Class, EventTime, Evidence, EvidenceId, Sign, Text};

/// Direct evidence in the ring.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldEvidence {
    /// What it says. Its id is not held, but told by its class and key.
    pub evidence: Evidence,
    /// Where it was counted.
    pub origin: Origin,
    /// Taken back: its id stays, so it cannot return.
    pub is_retracted: bool,
}

impl HeldEvidence {
    /// Names it.
    pub fn id(&self) -> EvidenceId {
        EvidenceId::new(self.evidence.class, &self.evidence.key)
    }

    /// Of one class about one thing there is one evidence: this one?
    pub fn is_about(&self, class: Class, key: &str) -> bool {
        let held = self.evidence.key.as_bytes();
        // Keys are often numbered: the last character tells most of them apart, without a comparison of the whole.
        self.evidence.class == class
            && held.last() == key.as_bytes().last()
            && held == key.as_bytes()
    }

    fn nature(&self) -> Nature {
        let Self { evidence: Evidence { class, sign, weight, .. }, origin, is_retracted } = *self;
        Nature { class, sign, weight, origin, is_retracted }
    }
}

/// An evidence without its key and time.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Nature {
    class: Class,
    sign: Sign,
    /// Above 0, so that what is equal is of the same bits.
    #[serde(with = "super::number::short")]
    weight: f64,
    origin: Origin,
    is_retracted: bool,
}

/// An evidence as it differs from the one before it in the ring; the first, from one without a nature, without a key, of time 0.
#[derive(Serialize, Deserialize)]
struct Difference<'a> {
    /// `None`: the same.
    nature: Option<Nature>,
    /// So many bytes at the beginning of the key are the same.
    shared: usize,
    /// The other bytes of the key.
    rest: &'a str,
    /// Milliseconds later; wraps, so that any two times have a difference.
    later_ms: i64,
}

impl<'a> Difference<'a> {
    fn of(held: &'a HeldEvidence, before: Option<&HeldEvidence>) -> Self {
        let (key, time) = (&held.evidence.key, held.evidence.time.as_millis());
        let nature = held.nature();
        let Some(before) = before else {
            return Self { nature: Some(nature), shared: 0, rest: key, later_ms: time };
        };
        let (shared, rest) = split_shared(key, &before.evidence.key);
        Self {
            nature: (nature != before.nature()).then_some(nature),
            shared,
            rest,
            later_ms: time.wrapping_sub(before.evidence.time.as_millis()),
        }
    }

    /// The evidence that differs so from `before`; `None` if none can.
    fn apply(self, before: Option<&HeldEvidence>) -> Option<HeldEvidence> {
        let nature = self.nature.or_else(|| before.map(HeldEvidence::nature))?;
        let (key_before, time_before) =
            before.map_or(("", 0), |held| (&*held.evidence.key, held.evidence.time.as_millis()));
        let key = joined(key_before.get(..self.shared)?, self.rest);
        let time = EventTime::from_millis(time_before.wrapping_add(self.later_ms));
        let Nature { class, sign, weight, origin, is_retracted } = nature;
        let evidence = Evidence { class, key, sign, weight, time };
        Some(HeldEvidence { evidence, origin, is_retracted })
    }
}

/// How many bytes `key` begins with that `before` also does, and the rest of it.
fn split_shared<'a>(key: &'a str, before: &str) -> (usize, &'a str) {
    let same = key.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
    let shared = key.floor_char_boundary(same);
    let (_, rest) = key.split_at(shared);
    (shared, rest)
}

fn joined(beginning: &str, rest: &str) -> Text {
    if beginning.is_empty() {
        return rest.into();
    }
    let mut key = SmolStrBuilder::new();
    key.push_str(beginning);
    key.push_str(rest);
    key.finish()
}

impl Serialize for Ring<HeldEvidence> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut differences = serializer.serialize_seq(Some(self.iter().len()))?;
        let mut before = None;
        for held in self.iter() {
            differences.serialize_element(&Difference::of(held, before))?;
            before = Some(held);
        }
        differences.end()
    }
}

impl<'de> Deserialize<'de> for Ring<HeldEvidence> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Differences)
    }
}

struct Differences;

impl<'de> Visitor<'de> for Differences {
    type Value = Ring<HeldEvidence>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("evidences, each as it differs from the one before")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut differences: A) -> Result<Self::Value, A::Error> {
        let mut ring = Ring::with_room(differences.size_hint().unwrap_or_default());
        while let Some(difference) = differences.next_element::<Difference<'de>>()? {
            let held = difference.apply(ring.last());
            ring.push(held.ok_or_else(|| A::Error::custom("there is no such evidence before"))?);
        }
        Ok(ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(key: &str, weight: f64, time: i64) -> HeldEvidence {
        let time = EventTime::from_millis(time);
        let (class, sign) = (Class::ComDelivered, Sign::Positive);
        let evidence = Evidence { class, key: key.into(), sign, weight, time };
        HeldEvidence { evidence, origin: Origin::default(), is_retracted: false }
    }

    fn ring(held: impl IntoIterator<Item = HeldEvidence>) -> Ring<HeldEvidence> {
        let mut ring = Ring::default();
        held.into_iter().for_each(|held| ring.push(held));
        ring
    }

    #[test]
    fn evidences_packed_as_differences_are_the_same_again() {
        let mut retracted = held("order-1", 0.25, 7);
        retracted.is_retracted = true;
        let failed = Evidence { class: Class::ComFail, ..held("order-1", 0.1, 9).evidence };
        let evidences = [
            held("order-10", 0.25, 5),
            held("order-11", 0.25, 5),
            held("order-1", 0.25, 6),
            retracted,
            HeldEvidence { evidence: failed, ..held("", 1.0, 0) },
            held("", 0.1, i64::MAX),
            held("日本", 0.1, i64::MIN),
            held("日曜", 8.0, -1),
            held("a key that is longer than what is held inline", 8.0, 0),
            held("a key that is longer than what is inline", 8.0, 0),
        ];
        // Every prefix, so that each is the last once.
        for n in 0..=evidences.len() {
            let ring = ring(evidences.iter().take(n).cloned());
            let packed = postcard::to_allocvec(&ring).unwrap();
            let again: Ring<HeldEvidence> = postcard::from_bytes(&packed).unwrap();
            assert_eq!(again, ring);
            assert_eq!(postcard::to_allocvec(&again).unwrap(), packed);
        }
    }

    #[test]
    fn an_evidence_like_the_one_before_takes_eight_bytes() {
        let of = |count| {
            let day = |n: i64| held(&format!("order-2025-{n}"), 0.25, n * 86_400_000);
            postcard::to_allocvec(&ring((10..10_i64 + count).map(day))).unwrap().len()
        };
        assert_eq!(of(9) - of(8), 8);
    }

    #[test]
    fn a_difference_from_what_is_not_there_is_refused() {
        let first = |shared, nature| {
            let difference = Difference { nature, shared, rest: "order", later_ms: 0 };
            postcard::to_allocvec(&[difference].as_slice()).unwrap()
        };
        let read = |packed: Vec<u8>| postcard::from_bytes::<Ring<HeldEvidence>>(&packed);
        let nature = Some(held("", 1.0, 0).nature());
        assert!(read(first(0, nature)).is_ok());
        assert!(read(first(1, nature)).is_err(), "no key before");
        assert!(read(first(0, None)).is_err(), "no nature before");
    }
}
