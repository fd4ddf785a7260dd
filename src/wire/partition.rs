//! Which partition a key belongs to: Kafka's own rule, so that files and topics agree, and keys land where JVM producers put them.

/// The partition of `key` among `partitions`, as Kafka's default partitioner has it: murmur2, made positive, modulo.
///
/// # Panics
/// If `partitions` is 0.
pub const fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// Source: `org.apache.kafka.common.utils.Utils.murmur2`.
const fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    const SEED: u32 = 0x9747_b28c;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the hash takes the low half of a length, as Java's int is"
    )]
    let mut hash = SEED ^ data.len() as u32;
    let (chunks, rest) = data.as_chunks::<4>();
    let mut at = 0;
    while at < chunks.len() {
        let mut k = u32::from_le_bytes(chunks[at]).wrapping_mul(M);
        k = (k ^ (k >> R)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
        at += 1;
    }
    let mut last = rest.len();
    if last > 0 {
        while last > 0 {
            last -= 1;
            hash ^= (rest[last] as u32) << (8 * last);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_kafkas_own_test() {
        let known = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in known {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn every_key_has_a_partition() {
        assert_eq!(partition_of(b"", 1), 0);
        assert!((0..100_u8).all(|key| partition_of(&[key], 7) < 7));
    }
}
