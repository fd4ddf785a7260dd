//! Journal records and the mark that every offset commit carries: what ties a partition's state to its logs.
//!
//! A [`Chain`] follows the journal and refuses a gap, a repetition or a record it cannot read. Whether a decision is a good one is
//! not its business, nor is where the records come from.

use std::fmt;

use prost::Message as _;
use thiserror::Error;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::proto;
use crate::model::policy::Difference;
use crate::model::{EventTime, Policy, Text};

/// What stands in the place of a [`CommitMark`] while a deployment's state is thrown away: no service goes on from it.
pub const RESET_MARK: &str = "gf1:reset";

/// One decision about a partition, at its place among the inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRecord {
    /// 0 is the genesis; then 1, 2, 3 without a gap.
    pub seq: u64,
    /// It applies after every input below this offset and before any from it on.
    pub at: i64,
    /// What was decided.
    pub decision: Decision,
}

/// What a journal record decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The partition's history begins.
    Genesis(Genesis),
    /// The engine sees the reference log below `offset_next`.
    Reference {
        /// The next offset of the reference log that is not visible.
        offset_next: i64,
    },
    /// The engine scores by another policy.
    Policy {
        /// The offset of its record in the reference log.
        reference_offset: i64,
        /// Its [`policy_fingerprint`], for the check.
        fingerprint: u64,
    },
    /// The clock of an idle partition reaches `time`.
    Tick {
        /// The watermark to reach.
        time: EventTime,
    },
}

/// What everything durable about a partition must agree with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// Names this history of the partition; random, made once.
    pub lineage: [u8; 16],
    /// The events topic's id; `None` where the broker gives none.
    pub events_topic_id: Option<[u8; 16]>,
    /// Partitions of the events topic.
    pub partition_count: i32,
    /// The first offset taken in.
    pub start_offset: i64,
    /// [`crate::engine::ENGINE`] of the program that began it.
    pub engine: u32,
    /// The policy's version, for people.
    pub policy_version: Text,
    /// The policy's [`policy_fingerprint`], for the check.
    pub policy_fingerprint: u64,
}

/// The metadata of an offset commit, atomic with the offset: which journal the state at that offset rests on.
///
/// As text: `gf1:<lineage>:<seq>:<hash>:<reference offset>`, `1` being the format, lineage and hash in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitMark {
    /// The partition's lineage.
    pub lineage: [u8; 16],
    /// The last journal record's `seq`.
    pub seq: u64,
    /// Rolling hash of the journal up to and with that record.
    pub hash: u64,
    /// The next offset of the reference log that the engine does not see.
    pub reference_offset_next: i64,
}

/// Why a journal, or a mark, is not one to build on.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum JournalError {
    /// The bytes are no journal record of this format.
    #[error("a journal record cannot be read")]
    Unreadable,
    /// Records are missing or repeated.
    #[error("journal record {found} stands where {expected} should")]
    OutOfOrder {
        /// The `seq` that should follow.
        expected: u64,
        /// The `seq` that follows.
        found: u64,
    },
    /// The metadata of an offset commit is none of ours.
    #[error("the committed offset carries `{0}`, which is no mark of goodfaith")]
    ForeignMark(String),
    /// The journal is not the one the offset was committed with.
    #[error("the journal up to record {seq} is not the one the offset was committed with")]
    OtherHistory {
        /// The `seq` at which they part.
        seq: u64,
    },
}

impl JournalRecord {
    /// The record's value.
    pub fn encode(&self) -> Vec<u8> {
        use proto::journal_record::Decision as Wire;
        let decision = match &self.decision {
            Decision::Genesis(genesis) => Wire::Genesis(proto::Genesis {
                lineage: genesis.lineage.to_vec(),
                events_topic_id: genesis.events_topic_id.map_or_else(Vec::new, |id| id.to_vec()),
                partition_count: genesis.partition_count,
                start_offset: genesis.start_offset,
                engine: genesis.engine,
                policy_version: genesis.policy_version.to_string(),
                policy_fingerprint: genesis.policy_fingerprint,
            }),
            Decision::Reference { offset_next } => {
                Wire::Reference(proto::ReferenceSeen { offset_next: *offset_next })
            }
            Decision::Policy { reference_offset, fingerprint } => {
                let (reference_offset, fingerprint) = (*reference_offset, *fingerprint);
                Wire::Policy(proto::PolicyActivated { reference_offset, fingerprint })
            }
            Decision::Tick { time } => Wire::Tick(proto::Ticked { time_ms: time.as_millis() }),
        };
        proto::JournalRecord { seq: self.seq, at: self.at, decision: Some(decision) }
            .encode_to_vec()
    }

    /// The record a value stands for.
    ///
    /// # Errors
    /// [`JournalError::Unreadable`] for anything [`JournalRecord::encode`] does not write.
    pub fn decode(value: &[u8]) -> Result<Self, JournalError> {
        use proto::journal_record::Decision as Wire;
        let record =
            proto::JournalRecord::decode(value).map_err(|_error| JournalError::Unreadable)?;
        let decision = match record.decision.ok_or(JournalError::Unreadable)? {
            Wire::Genesis(genesis) => Decision::Genesis(Genesis::from_wire(genesis)?),
            Wire::Reference(seen) => Decision::Reference { offset_next: seen.offset_next },
            Wire::Policy(proto::PolicyActivated { reference_offset, fingerprint }) => {
                Decision::Policy { reference_offset, fingerprint }
            }
            Wire::Tick(tick) => Decision::Tick { time: EventTime::from_millis(tick.time_ms) },
        };
        let is_genesis = matches!(decision, Decision::Genesis(_));
        if is_genesis == (record.seq == 0) {
            Ok(Self { seq: record.seq, at: record.at, decision })
        } else {
            Err(JournalError::Unreadable)
        }
    }
}

impl Genesis {
    fn from_wire(wire: proto::Genesis) -> Result<Self, JournalError> {
        let id = |bytes: Vec<u8>| -> Result<[u8; 16], JournalError> {
            bytes.try_into().map_err(|_bytes| JournalError::Unreadable)
        };
        Ok(Self {
            lineage: id(wire.lineage)?,
            events_topic_id: match wire.events_topic_id {
                bytes if bytes.is_empty() => None,
                bytes => Some(id(bytes)?),
            },
            partition_count: wire.partition_count,
            start_offset: wire.start_offset,
            engine: wire.engine,
            policy_version: wire.policy_version.into(),
            policy_fingerprint: wire.policy_fingerprint,
        })
    }
}

/// A journal followed record by record: where it stands and what it hashes to.
///
/// The hash of a record is XXH3-64 of its bytes, seeded with the hash of the one before, and with 0 at the genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain {
    // Invariant: the number of records followed, so the `seq` that must come next.
    seq_next: u64,
    hash: u64,
}

impl Chain {
    /// Follows a record as written.
    ///
    /// # Errors
    /// If it is unreadable, or not the one that must come next; the chain is then as before.
    pub fn read(&mut self, value: &[u8]) -> Result<JournalRecord, JournalError> {
        let record = JournalRecord::decode(value)?;
        if record.seq != self.seq_next {
            return Err(JournalError::OutOfOrder { expected: self.seq_next, found: record.seq });
        }
        self.append(value);
        Ok(record)
    }

    /// The next record, deciding `decision` at the offset `at`, and its bytes.
    pub fn write(&mut self, at: i64, decision: Decision) -> (JournalRecord, Vec<u8>) {
        let record = JournalRecord { seq: self.seq_next, at, decision };
        let value = record.encode();
        self.append(&value);
        (record, value)
    }

    fn append(&mut self, value: &[u8]) {
        self.hash = xxh3_64_with_seed(value, self.hash);
        self.seq_next += 1;
    }

    /// The last record's `seq`; `None` before the genesis.
    pub const fn seq(&self) -> Option<u64> {
        self.seq_next.checked_sub(1)
    }

    /// Hash of all records so far.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether the journal so far is the one `mark` was committed with.
    ///
    /// # Errors
    /// [`JournalError::OtherHistory`] if not.
    pub fn check(&self, lineage: [u8; 16], mark: &CommitMark) -> Result<(), JournalError> {
        let agrees = (self.seq(), self.hash, lineage) == (Some(mark.seq), mark.hash, mark.lineage);
        if agrees { Ok(()) } else { Err(JournalError::OtherHistory { seq: mark.seq }) }
    }
}

impl fmt::Display for CommitMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lineage, seq, hash, reference_offset_next } = self;
        let lineage = u128::from_be_bytes(*lineage);
        write!(f, "gf1:{lineage:032x}:{seq}:{hash:016x}:{reference_offset_next}")
    }
}

impl std::str::FromStr for CommitMark {
    type Err = JournalError;

    fn from_str(text: &str) -> Result<Self, JournalError> {
        let read = || {
            let mut parts = text.split(':');
            let format = parts.next()?;
            let lineage = u128::from_str_radix(parts.next()?, 16).ok()?;
            let seq = parts.next()?.parse().ok()?;
            let hash = u64::from_str_radix(parts.next()?, 16).ok()?;
            let reference_offset_next = parts.next()?.parse().ok()?;
            let lineage = lineage.to_be_bytes();
            let is_whole = format == "gf1" && parts.next().is_none();
            is_whole.then_some(Self { lineage, seq, hash, reference_offset_next })
        };
        read().ok_or_else(|| JournalError::ForeignMark(text.to_owned()))
    }
}

/// XXH3-64 of all that `policy` says otherwise than the defaults, which belong to [`crate::engine::ENGINE`]: two policies with the
/// same fingerprint score alike, and one that does not set a parameter keeps its fingerprint when that parameter is new.
pub fn policy_fingerprint(policy: &Policy) -> u64 {
    let says = |Difference { entry, .. }| format!("{} = {}\n", entry.key, entry.value);
    let text: String = policy.differences(&Policy::default()).into_iter().map(says).collect();
    xxh3_64(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn genesis() -> Decision {
        Decision::Genesis(Genesis {
            lineage: *b"0123456789abcdef",
            events_topic_id: Some([7; 16]),
            partition_count: 8,
            start_offset: 3,
            engine: 1,
            policy_version: "generic-1".into(),
            policy_fingerprint: 99,
        })
    }

    /// A journal of five records, and its bytes.
    fn journal() -> (Chain, Vec<(JournalRecord, Vec<u8>)>) {
        let mut chain = Chain::default();
        let decisions = [
            (3, genesis()),
            (3, Decision::Reference { offset_next: 12 }),
            (40, Decision::Tick { time: EventTime::from_millis(1_700_000_000_000) }),
            (40, Decision::Reference { offset_next: 13 }),
            (41, Decision::Policy { reference_offset: 12, fingerprint: 0xfeed }),
        ];
        let records =
            decisions.into_iter().map(|(at, decision)| chain.write(at, decision)).collect();
        (chain, records)
    }

    #[test]
    fn reading_a_journal_gives_what_was_written_and_the_same_hash() {
        let (written, records) = journal();
        let mut read = Chain::default();
        for (record, value) in &records {
            assert_eq!(read.read(value).as_ref(), Ok(record));
        }
        assert_eq!(read, written);
        assert_eq!(read.seq(), Some(4));
    }

    #[test]
    fn a_policy_record_is_these_bytes() {
        let decision =
            Decision::Policy { reference_offset: 300, fingerprint: 0x0102_0304_0506_0708 };
        let bytes = JournalRecord { seq: 2, at: 5, decision }.encode();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "080210053a0c08ac02110807060504030201");
    }

    #[test]
    fn a_gap_and_a_repetition_are_refused() {
        let (_, records) = journal();
        let mut chain = Chain::default();
        chain.read(&records[0].1).unwrap();
        let gap = JournalError::OutOfOrder { expected: 1, found: 2 };
        assert_eq!(chain.read(&records[2].1), Err(gap));
        let repetition = JournalError::OutOfOrder { expected: 1, found: 0 };
        assert_eq!(chain.read(&records[0].1), Err(repetition));
        chain.read(&records[1].1).unwrap();
    }

    #[test]
    fn another_history_is_told_apart_by_its_hash_and_lineage() {
        let (chain, _) = journal();
        let lineage = *b"0123456789abcdef";
        let mark = CommitMark { lineage, seq: 4, hash: chain.hash(), reference_offset_next: 13 };
        assert_eq!(chain.check(lineage, &mark), Ok(()));
        assert!(chain.check([0; 16], &mark).is_err());
        assert!(chain.check(lineage, &CommitMark { hash: mark.hash ^ 1, ..mark }).is_err());
        assert!(chain.check(lineage, &CommitMark { seq: 2, ..mark }).is_err());
    }

    #[test]
    fn only_a_genesis_has_seq_0() {
        let orphan =
            JournalRecord { seq: 0, at: 0, decision: Decision::Reference { offset_next: 1 } };
        assert_eq!(JournalRecord::decode(&orphan.encode()), Err(JournalError::Unreadable));
        let late = JournalRecord { seq: 1, at: 0, decision: genesis() };
        assert_eq!(JournalRecord::decode(&late.encode()), Err(JournalError::Unreadable));
        assert_eq!(JournalRecord::decode(b"\xff"), Err(JournalError::Unreadable));
        assert_eq!(JournalRecord::decode(b""), Err(JournalError::Unreadable));
    }

    #[test]
    fn a_mark_of_another_program_is_refused() {
        for text in [
            "",
            RESET_MARK,
            "gf1",
            "gf2:00:0:00:0",
            "gf1:zz:0:00:0",
            "gf1:00:0:00:0:0",
            "gf1:00:0:00:",
        ] {
            assert_eq!(text.parse::<CommitMark>(), Err(JournalError::ForeignMark(text.to_owned())));
        }
    }

    #[test]
    fn any_difference_between_policies_shows_in_the_fingerprint() {
        let other = Policy::from_toml("base_rate = 0.51").unwrap();
        assert_ne!(policy_fingerprint(&Policy::default()), policy_fingerprint(&other));
        assert_eq!(policy_fingerprint(&Policy::default()), policy_fingerprint(&Policy::default()));
    }

    proptest! {
        #[test]
        fn a_mark_survives_its_text(lineage: [u8; 16], seq: u64, hash: u64, reference_offset_next in 0..i64::MAX) {
            let mark = CommitMark { lineage, seq, hash, reference_offset_next };
            prop_assert_eq!(mark.to_string().parse(), Ok(mark));
            prop_assert!(mark.to_string().is_ascii());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _read = Chain::default().read(&bytes);
        }
    }
}
