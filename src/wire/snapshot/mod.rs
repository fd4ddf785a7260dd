//! The bytes of snapshots: [`Part`]s, which hold an engine and its customers, and the [`Manifest`] that names them.
//!
//! Whatever is torn, flipped, swapped or cut short is refused: reading never panics and trusts no length. What an engine's and a
//! customer's bytes mean is not known here, nor where parts are kept.

mod frame;
mod manifest;
mod part;
mod point;

pub use manifest::{Manifest, PartDigest, Step};
pub use part::{Held, Part, PartHeader, PartReader, PartWriter};
pub use point::SnapshotPoint;

use thiserror::Error;

/// Names a step: random, made once.
pub type StepId = [u8; 16];

/// Why bytes are no part or manifest of a snapshot.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum SnapshotError {
    /// They begin otherwise.
    #[error("it is of another format")]
    Format,
    /// They end before the last frame does.
    #[error("it is torn")]
    Torn,
    /// A frame's checksum is another.
    #[error("a checksum does not match")]
    Checksum,
    /// Frames are missing, repeated or disordered, or say what cannot be.
    #[error("it does not hold together")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::journal::Genesis;

    fn point() -> SnapshotPoint {
        SnapshotPoint {
            layout: 1,
            engine: 1,
            genesis: Genesis {
                lineage: *b"0123456789abcdef",
                events_topic_id: Some([7; 16]),
                partition_count: 8,
                start_offset: 3,
                engine: 1,
                policy_version: "generic-1".into(),
                policy_fingerprint: 99,
            },
            partition: 5,
            offset_next: 1_000,
            seq: 4,
            journal_hash: 0xfeed,
            reference_offset_next: 12,
            policy_fingerprint: 99,
            policy_offset: None,
        }
    }

    fn header() -> PartHeader {
        PartHeader { point: point(), step: [1; 16], number: 0, rests_on: Some([2; 16]) }
    }

    fn manifest() -> Manifest {
        let part = PartDigest { bytes: 9, checksum: 8 };
        let step = |id, offset_next| Step { id: [id; 16], offset_next, seq: 4, parts: vec![part] };
        Manifest {
            point: SnapshotPoint { policy_offset: Some(7), ..point() },
            taken_ms: 1_700_000_000_000,
            steps: vec![step(1, 900), step(2, 1_000)],
            customers: 17,
            supersedes: true,
        }
    }

    fn write(engine: &[u8], customers: &[Held]) -> Vec<u8> {
        let mut writer = PartWriter::new(&header());
        writer.engine(engine);
        for (id, packed) in customers {
            writer.customer(id, packed.as_deref());
        }
        writer.finish()
    }

    fn customers() -> impl Strategy<Value = Vec<Held>> {
        let packed = proptest::option::of(vec(any::<u8>(), 0..300).prop_map(Arc::from));
        vec((".{0,20}".prop_map(crate::model::Text::from), packed), 0..40)
    }

    /// A part of several blocks of each kind.
    fn large() -> Vec<u8> {
        let noise = |seed: u32| (0..20_000_u32).map(move |i| (i.wrapping_mul(seed) >> 13) as u8);
        let engine: Vec<u8> = (1..40).flat_map(noise).collect();
        let customer =
            |n: u32| (format!("c{n}").into(), Some(noise(n).collect::<Vec<u8>>().into()));
        write(&engine, &(0..60).map(customer).collect::<Vec<_>>())
    }

    #[test]
    fn a_part_of_many_blocks_is_read_as_written() {
        let part = Part::decode(&large()).unwrap();
        assert_eq!((part.engine.len(), part.customers.len()), (39 * 20_000, 60));
        assert_eq!(part.header, header());
    }

    #[test]
    fn frames_that_change_places_are_noticed() {
        let bytes = large();
        let mut ends = vec![8];
        while let Some(length) = bytes.get(ends[ends.len() - 1]..).and_then(<[u8]>::first_chunk) {
            let length = u32::from_le_bytes(*length) as usize;
            ends.push(ends[ends.len() - 1] + 8 + length);
        }
        assert!(ends.len() > 6, "{ends:?}");
        for pair in ends.windows(3) {
            let [a, b, c] = [pair[0], pair[1], pair[2]];
            let swapped = [&bytes[..a], &bytes[b..c], &bytes[a..b], &bytes[c..]].concat();
            assert_eq!(Part::decode(&swapped), Err(SnapshotError::Checksum));
            let without = [&bytes[..a], &bytes[b..]].concat();
            assert_eq!(Part::decode(&without), Err(SnapshotError::Checksum));
        }
    }

    #[test]
    fn a_block_that_claims_to_be_huge_is_refused_unread() {
        let mut bytes = b"gfsnap\0\x02".to_vec();
        bytes.extend(u32::MAX.to_le_bytes());
        bytes.extend([0; 12]);
        assert_eq!(Part::decode(&bytes), Err(SnapshotError::Malformed));
    }

    #[test]
    fn a_manifest_is_read_as_written_and_no_bit_of_it_can_change() {
        let bytes = manifest().encode();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&flipped).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..length]).is_err());
        }
        assert!(Manifest::decode(&[bytes.as_slice(), b"x"].concat()).is_err());
    }

    #[test]
    fn a_manifest_without_steps_or_of_another_point_is_refused() {
        let without = Manifest { steps: vec![], ..manifest() };
        assert_eq!(Manifest::decode(&without.encode()), Err(SnapshotError::Malformed));
        let elsewhere = Manifest { point: SnapshotPoint { seq: 5, ..point() }, ..manifest() };
        assert_eq!(Manifest::decode(&elsewhere.encode()), Err(SnapshotError::Malformed));
    }

    proptest! {
        #[test]
        fn a_part_is_read_as_written(engine: Vec<u8>, customers in customers()) {
            let part = Part::decode(&write(&engine, &customers));
            prop_assert_eq!(part, Ok(Part { header: header(), engine, customers }));
        }

        #[test]
        fn no_bit_of_a_part_can_change(customers in customers(), place: prop::sample::Index, bit in 0..8_u8) {
            let mut bytes = write(b"engine", &customers);
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert!(Part::decode(&bytes).is_err());
        }

        #[test]
        fn no_part_can_be_cut_short_or_go_on(customers in customers(), at: prop::sample::Index) {
            let mut bytes = write(b"engine", &customers);
            prop_assert!(Part::decode(&bytes[..at.index(bytes.len())]).is_err());
            bytes.push(0);
            prop_assert!(Part::decode(&bytes).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, customers in customers(), garbage: [u8; 4], place: prop::sample::Index) {
            let mut part = write(b"engine", &customers);
            let place = place.index(part.len() - 3);
            part[place..place + 4].copy_from_slice(&garbage);
            for bytes in [&bytes, &part] {
                let (_part, _manifest) = (Part::decode(bytes), Manifest::decode(bytes));
            }
        }
    }
}
