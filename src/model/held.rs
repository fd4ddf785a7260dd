//! Direct evidence that can be taken back, and the ring of it that a customer holds. All but the newest stay packed, each as what differs
//! from the next newer one: most is of one nature and about things of similar names, some days apart. To take one in touches the two
//! newest and the oldest, however many there are.
//!
//! What makes an evidence, and when it is taken back, is not decided here.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStrBuilder;

use super::organisation::Origin;
use super::ring::{HashRing, RingHash};
use super::section;
use super::{Class, EventTime, Evidence, EvidenceId, Sign, Text};

/// Of what this program packed itself, or checked.
const UNPACKED: &str = "what was packed can be unpacked";

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

/// The last [`RING_LENGTH`](super::ring::RING_LENGTH) direct evidences; when full, the oldest leaves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
// Invariant: `older` and `tags` are of the same evidences, `tags` of the newest too.
pub struct EvidenceRing {
    newest: Option<HeldEvidence>,
    /// Oldest first: each a [`Difference`] from the next newer one.
    #[serde(with = "bytes")]
    older: Vec<u8>,
    /// Oldest first: what tells that something is not held, but for one question in a thousand, without unpacking any.
    tags: HashRing<2>,
}

impl HeldEvidence {
    /// Names it.
    pub fn id(&self) -> EvidenceId {
        EvidenceId::new(self.evidence.class, &self.evidence.key)
    }

    /// Of one class about one thing there is one evidence: this one?
    fn is_about(&self, class: Class, key: &str) -> bool {
        self.evidence.class == class && *self.evidence.key == *key
    }

    /// The same for what is of one class about one thing.
    fn tag(class: Class, key: &str) -> RingHash {
        RingHash::of([class.as_str(), key])
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

/// An evidence as it differs from the next newer one; the newest, from one without a nature, without a key, of time 0.
#[derive(Serialize, Deserialize)]
struct Difference<'a> {
    /// `None`: the same.
    nature: Option<Nature>,
    /// So many bytes at the beginning of the key are the same.
    shared: usize,
    /// The other bytes of the key.
    rest: &'a str,
    /// Milliseconds earlier; wraps, so that any two times have a difference.
    earlier_ms: i64,
}

impl<'a> Difference<'a> {
    fn of(held: &'a HeldEvidence, newer: Option<&HeldEvidence>) -> Self {
        let (key, time) = (&held.evidence.key, held.evidence.time.as_millis());
        let nature = held.nature();
        let Some(newer) = newer else {
            let earlier_ms = time.wrapping_neg();
            return Self { nature: Some(nature), shared: 0, rest: key, earlier_ms };
        };
        let (shared, rest) = split_shared(key, &newer.evidence.key);
        Self {
            nature: (nature != newer.nature()).then_some(nature),
            shared,
            rest,
            earlier_ms: newer.evidence.time.as_millis().wrapping_sub(time),
        }
    }

    /// The evidence that differs so from `newer`; `None` if none can.
    fn apply(self, newer: Option<&HeldEvidence>) -> Option<HeldEvidence> {
        let nature = self.nature.or_else(|| newer.map(HeldEvidence::nature))?;
        let (newer_key, newer_time) =
            newer.map_or(("", 0), |held| (&*held.evidence.key, held.evidence.time.as_millis()));
        let key = joined(newer_key.get(..self.shared)?, self.rest);
        let time = EventTime::from_millis(newer_time.wrapping_sub(self.earlier_ms));
        let Nature { class, sign, weight, origin, is_retracted } = nature;
        let evidence = Evidence { class, key, sign, weight, time };
        Some(HeldEvidence { evidence, origin, is_retracted })
    }
}

/// How many bytes `key` begins with that `other` also does, and the rest of it.
fn split_shared<'a>(key: &'a str, other: &str) -> (usize, &'a str) {
    let same = key.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
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

impl Serialize for HeldEvidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Difference::of(self, None).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HeldEvidence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let held = Difference::deserialize(deserializer)?.apply(None);
        held.ok_or_else(|| D::Error::custom("an evidence of no nature, or with the key of another"))
    }
}

impl EvidenceRing {
    /// Is there one of this class about this thing?
    pub fn contains(&self, class: Class, key: &str) -> bool {
        self.tags.contains(HeldEvidence::tag(class, key))
            && self.iter().any(|held| held.is_about(class, key))
    }

    /// Takes `held` in.
    pub fn push(&mut self, held: HeldEvidence) {
        let tag = HeldEvidence::tag(held.evidence.class, &held.evidence.key);
        if self.tags.push(tag) {
            let (_, others) = next_difference(&self.older).expect(UNPACKED);
            let first = self.older.len() - others.len();
            self.older.drain(..first);
        }
        if let Some(before) = &self.newest {
            section::append(&Difference::of(before, Some(&held)), &mut self.older);
        }
        self.newest = Some(held);
    }

    /// Newest first.
    pub fn iter(&self) -> impl Iterator<Item = HeldEvidence> {
        self.unpack().expect(UNPACKED).into_iter()
    }

    /// Marks the evidence of this id as taken back, unless it is already. What it is.
    pub fn retract(&mut self, id: EvidenceId) -> Option<HeldEvidence> {
        let mut all: Vec<_> = self.iter().collect();
        let held = all.iter_mut().find(|held| !held.is_retracted && held.id() == id)?;
        held.is_retracted = true;
        let retracted = held.clone();
        *self = Self::default();
        all.into_iter().rev().for_each(|held| self.push(held));
        Some(retracted)
    }

    /// Whether the older ones can be unpacked and would be found, which all else here takes on trust.
    pub fn is_whole(&self) -> bool {
        let mut tags = HashRing::default();
        let Some(all) = self.unpack() else { return false };
        for HeldEvidence { evidence, .. } in all.iter().rev() {
            tags.push(HeldEvidence::tag(evidence.class, &evidence.key));
        }
        tags == self.tags
    }

    /// All, newest first; `None` if they are damaged.
    fn unpack(&self) -> Option<Vec<HeldEvidence>> {
        let Some(newest) = &self.newest else { return self.older.is_empty().then(Vec::new) };
        let (mut differences, mut packed) = (Vec::new(), self.older.as_slice());
        while !packed.is_empty() {
            let (difference, others) = next_difference(packed)?;
            differences.push(difference);
            packed = others;
        }
        let mut all = Vec::with_capacity(1 + differences.len());
        all.push(newest.clone());
        for difference in differences.into_iter().rev() {
            all.push(difference.apply(all.last())?);
        }
        Some(all)
    }
}

/// The first of some differences, and the bytes of the others.
fn next_difference(packed: &[u8]) -> Option<(Difference<'_>, &[u8])> {
    postcard::take_from_bytes(packed).ok()
}

/// As bytes, not as a list of numbers, which is read one by one.
mod bytes {
    use super::{Deserialize, Deserializer, Serializer};

    /// Mostly as much as one more takes, so that there is room for it.
    const ROOM: usize = 32;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let packed = <&[u8]>::deserialize(from)?;
        let mut bytes = Vec::with_capacity(packed.len() + ROOM);
        bytes.extend_from_slice(packed);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::RING_LENGTH;
    use super::*;

    fn held(key: &str, weight: f64, time: i64) -> HeldEvidence {
        let time = EventTime::from_millis(time);
        let (class, sign) = (Class::ComDelivered, Sign::Positive);
        let evidence = Evidence { class, key: key.into(), sign, weight, time };
        HeldEvidence { evidence, origin: Origin::default(), is_retracted: false }
    }

    fn ring(held: impl IntoIterator<Item = HeldEvidence>) -> EvidenceRing {
        let mut ring = EvidenceRing::default();
        held.into_iter().for_each(|held| ring.push(held));
        ring
    }

    fn order(n: i64) -> HeldEvidence {
        held(&format!("order-2025-{n}"), 0.25, n * 86_400_000)
    }

    /// Of many kinds: each differs otherwise from the next.
    fn evidences() -> Vec<HeldEvidence> {
        let mut retracted = held("order-1", 0.25, 7);
        retracted.is_retracted = true;
        let failed = Evidence { class: Class::ComFail, ..held("order-1", 0.1, 9).evidence };
        vec![
            held("order-10", 0.25, 5),
            held("order-11", 0.25, 5),
            held("order-2", 0.25, 6),
            retracted,
            HeldEvidence { evidence: failed, ..held("", 1.0, 0) },
            held("", 0.1, i64::MAX),
            held("日本", 0.1, i64::MIN),
            held("日曜", 8.0, -1),
            held("a key that is longer than what is held inline", 8.0, 0),
            held("a key that is longer than what is inline", 8.0, 0),
        ]
    }

    #[test]
    fn evidences_packed_as_differences_are_the_same_again() {
        let evidences = evidences();
        // Every prefix, so that each is the newest once.
        for n in 0..=evidences.len() {
            let ring = ring(evidences.iter().take(n).cloned());
            assert!(ring.iter().eq(evidences.iter().take(n).rev().cloned()));
            let packed = postcard::to_allocvec(&ring).unwrap();
            let again: EvidenceRing = postcard::from_bytes(&packed).unwrap();
            assert_eq!(again, ring);
            assert!(again.is_whole());
        }
    }

    #[test]
    fn an_evidence_is_found_by_class_and_key_alone() {
        let ring = ring(evidences());
        for HeldEvidence { evidence: Evidence { class, key, .. }, .. } in evidences() {
            assert!(ring.contains(class, &key));
        }
        assert!(!ring.contains(Class::ComFail, "order-10"));
        assert!(!ring.contains(Class::ComDelivered, "order-3"));
    }

    #[test]
    fn the_oldest_evidence_leaves_a_full_ring() {
        let length = i64::try_from(RING_LENGTH).unwrap();
        let ring = ring((0..=length).map(order));
        assert!(ring.iter().eq((1..=length).rev().map(order)));
        assert!(!ring.contains(Class::ComDelivered, "order-2025-0"));
        assert!(ring.contains(Class::ComDelivered, "order-2025-1"));
        assert!(ring.is_whole());
    }

    #[test]
    fn an_evidence_taken_back_is_still_held() {
        for n in 0..10 {
            let mut ring = ring((0..10).map(order));
            let id = order(n).id();
            let retracted = ring.retract(id).unwrap();
            assert_eq!(retracted, HeldEvidence { is_retracted: true, ..order(n) });
            assert_eq!(ring.retract(id), None, "once");
            let expected = (0..10).rev().map(order);
            let expected =
                expected.map(|held| if held.id() == id { retracted.clone() } else { held });
            assert!(ring.iter().eq(expected));
            assert!(ring.contains(Class::ComDelivered, &retracted.evidence.key));
        }
    }

    #[test]
    fn an_evidence_like_the_next_takes_ten_bytes() {
        let of =
            |count| postcard::to_allocvec(&ring((10..10_i64 + count).map(order))).unwrap().len();
        assert_eq!(of(9) - of(8), 10, "a difference of eight, and a tag of two");
    }

    #[test]
    fn damage_is_found() {
        let read = |difference: Difference<'_>| {
            let packed = postcard::to_allocvec(&difference).unwrap();
            postcard::from_bytes::<HeldEvidence>(&packed)
        };
        let nature = Some(held("", 1.0, 0).nature());
        let of = |nature, shared| Difference { nature, shared, rest: "order", earlier_ms: 0 };
        assert!(read(of(nature, 0)).is_ok());
        assert!(read(of(nature, 1)).is_err(), "no key beside it");
        assert!(read(of(None, 0)).is_err(), "no nature beside it");
        let whole = ring(evidences());
        let mut damaged = whole.clone();
        damaged.older.pop();
        assert!(!damaged.is_whole(), "one is cut off");
        damaged = EvidenceRing { newest: None, ..whole.clone() };
        assert!(!damaged.is_whole(), "nothing to differ from");
        damaged = EvidenceRing { tags: HashRing::default(), ..whole };
        assert!(!damaged.is_whole(), "they would not be found");
    }
}
