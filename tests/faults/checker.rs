//! Reads what a deployment has left in its topics and names what is wrong with it, in the words of Jepsen's tests of Kafka where they
//! have one. It sees no process, no fault and no time: only logs, committed offsets and what the oracle makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use goodfaith::wire::{Chain, CommitMark, Decision, JournalError, JournalRecord, OutRecord};

use crate::support::Stored;
use crate::support::oracle::Due;

/// What can be wrong with a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// An input is committed, and nothing of what it caused is there; or a journal record is missing.
    LostWrite,
    /// A record is read whose transaction cannot have been committed: its input is not.
    AbortedRead,
    /// Of what one input caused, a part is there and a part is not.
    TornTransaction,
    /// The same record is there more than once.
    Duplicate,
    /// Two records at one offset, offsets that go back, a committed offset outside the log, or one whose mark names another journal.
    InconsistentOffsets,
    /// Records of one source partition stand in another order than their causes, or a key's in two partitions.
    OutOfOrder,
    /// A record is where it should be, and says something else.
    WrongBytes,
    /// A record that nothing caused.
    GarbageRead,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::LostWrite,
        Self::AbortedRead,
        Self::TornTransaction,
        Self::Duplicate,
        Self::InconsistentOffsets,
        Self::OutOfOrder,
        Self::WrongBytes,
        Self::GarbageRead,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LostWrite => "lost write",
            Self::AbortedRead => "aborted read",
            Self::TornTransaction => "torn transaction",
            Self::Duplicate => "duplicate",
            Self::InconsistentOffsets => "inconsistent offsets",
            Self::OutOfOrder => "out of order",
            Self::WrongBytes => "wrong bytes",
            Self::GarbageRead => "garbage read",
        })
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Anomaly {
    pub(crate) kind: Kind,
    /// Topic, partition and offset or cause, in words.
    pub(crate) place: String,
}

/// All that a reader under `read_committed` finds of a deployment at rest, and what should be there.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// Output topic by topic, partition by partition, in the order they were read.
    pub(crate) outputs: BTreeMap<&'static str, Vec<Stored>>,
    /// The same of the journal.
    pub(crate) journal: Vec<Stored>,
    /// Of each partition of the events topic the committed offset and its metadata.
    pub(crate) committed: BTreeMap<i32, (i64, String)>,
    /// One past the last record of each partition of the events topic.
    pub(crate) ends: BTreeMap<i32, i64>,
    /// What the oracle gives, in the order of its causes.
    pub(crate) due: Vec<Due>,
}

/// `gfsource`, read: strictly increasing for each source partition, in this order of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) seq: u64,
    pub(crate) ordinal: u32,
}

impl Source {
    pub(crate) fn of(headers: &[(String, Option<Vec<u8>>)]) -> Option<Self> {
        let (_, value) = headers.iter().find(|(name, _)| name == "gfsource")?;
        // A topic's name holds no slash.
        let mut parts = std::str::from_utf8(value.as_deref()?).ok()?.split('/').skip(1);
        let source = Self {
            partition: parts.next()?.parse().ok()?,
            offset: parts.next()?.parse().ok()?,
            seq: parts.next()?.parse().ok()?,
            ordinal: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(source)
    }
}

impl History {
    /// Everything that is wrong; empty for a correct history.
    pub(crate) fn check(&self) -> Vec<Anomaly> {
        let mut anomalies = Vec::new();
        let marks = self.check_journals(&mut anomalies);
        let read = self.check_outputs(&marks, &mut anomalies);
        self.check_missing(&marks, &read, &mut anomalies);
        anomalies
    }

    /// Checks each partition's committed offset and journal; the marks that were committed.
    fn check_journals(&self, anomalies: &mut Vec<Anomaly>) -> BTreeMap<i32, CommitMark> {
        let mut marks = BTreeMap::new();
        let partitions: BTreeSet<i32> = self
            .ends
            .keys()
            .chain(self.committed.keys())
            .copied()
            .chain(self.journal.iter().map(|record| record.partition))
            .collect();
        for partition in partitions {
            let records: Vec<&Stored> =
                self.journal.iter().filter(|record| record.partition == partition).collect();
            let tell = |(kind, text): (Kind, &str)| {
                let place = format!("journal of partition {partition}: {text}");
                Anomaly { kind, place }
            };
            let journal = match Journal::read(&records) {
                Ok(journal) => Some(journal),
                Err(found) => {
                    anomalies.push(tell(found));
                    None
                }
            };
            let end = self.ends.get(&partition).copied().unwrap_or_default();
            match self.committed.get(&partition) {
                None if records.is_empty() => {}
                None => anomalies.push(tell((Kind::InconsistentOffsets, "no offset is committed"))),
                Some((offset, _)) if !(0..=end).contains(offset) => anomalies
                    .push(tell((Kind::InconsistentOffsets, "the offset is outside the log"))),
                Some((_, metadata)) => match metadata.parse::<CommitMark>() {
                    Ok(mark) => {
                        marks.insert(partition, mark);
                        let found = journal.and_then(|journal| journal.check(&mark).err());
                        anomalies.extend(found.map(tell));
                    }
                    Err(_) => anomalies
                        .push(tell((Kind::InconsistentOffsets, "the offset carries no mark"))),
                },
            }
        }
        anomalies.extend(order_of_offsets("journal", &self.journal));
        marks
    }

    /// Checks every record that is there against the one that should be; which of those were found.
    fn check_outputs(
        &self,
        marks: &BTreeMap<i32, CommitMark>,
        anomalies: &mut Vec<Anomaly>,
    ) -> Vec<bool> {
        let mut expected: BTreeMap<(&str, Source), Vec<usize>> = BTreeMap::new();
        for (index, due) in self.due.iter().enumerate() {
            expected.entry((due.record.topic, source(due))).or_default().push(index);
        }
        let mut is_read = vec![false; self.due.len()];
        for (topic, records) in &self.outputs {
            anomalies.extend(order_of_offsets(topic, records));
            let mut verdicts = vec![None; records.len()];
            // Those of the same key first: two records of an erasure differ in nothing else.
            for by_key in [true, false] {
                for (record, verdict) in records.iter().zip(&mut verdicts) {
                    if verdict.is_none() {
                        *verdict = self.judge(topic, record, by_key, &expected, &mut is_read);
                    }
                }
            }
            let mut in_place = Vec::new();
            for (record, verdict) in records.iter().zip(verdicts) {
                let place = || format!("{topic} {}/{}", record.partition, record.offset);
                let cause = Source::of(&record.headers);
                let kind = match verdict {
                    _ if cause.is_some_and(|cause| self.is_beyond(topic, cause, marks)) => {
                        Some(Kind::AbortedRead)
                    }
                    Some(Verdict::Wrong(kind)) => Some(kind),
                    Some(Verdict::Right) => None,
                    None => Some(Kind::GarbageRead),
                };
                anomalies.extend(kind.map(|kind| Anomaly { kind, place: place() }));
                if !matches!(kind, Some(Kind::Duplicate | Kind::GarbageRead)) {
                    in_place.extend(cause.map(|cause| (record, cause)));
                }
            }
            anomalies.extend(order_of_causes(topic, &in_place));
        }
        is_read
    }

    /// What is to be said of a record, compared with what is due in its place and not yet read; `None` if nothing is.
    fn judge(
        &self,
        topic: &'static str,
        record: &Stored,
        by_key: bool,
        expected: &BTreeMap<(&str, Source), Vec<usize>>,
        is_read: &mut [bool],
    ) -> Option<Verdict> {
        let cause = Source::of(&record.headers)?;
        let indices = expected.get(&(topic, cause))?;
        let has_key = |index: &&usize| !by_key || self.due[**index].record.key == record.key;
        let mut alike = indices.iter().filter(has_key).peekable();
        alike.peek()?;
        match alike.find(|index| !is_read[**index]) {
            Some(index) => {
                is_read[*index] = true;
                let is_right = is_same(record, &self.due[*index].record);
                Some(if is_right { Verdict::Right } else { Verdict::Wrong(Kind::WrongBytes) })
            }
            None if by_key => Some(Verdict::Wrong(Kind::Duplicate)),
            None => Some(Verdict::Wrong(Kind::GarbageRead)),
        }
    }

    /// Whether the cause of a record is one that the committed offset does not cover.
    fn is_beyond(&self, topic: &str, cause: Source, marks: &BTreeMap<i32, CommitMark>) -> bool {
        let Some((committed, _)) = self.committed.get(&cause.partition) else { return true };
        // What a decision causes stands before the record at its offset.
        let is_decided = || {
            let mut dues = self.due.iter();
            dues.any(|due| due.is_decided && due.record.topic == topic && source(due) == cause)
        };
        let is_covered = cause.offset < *committed
            || (cause.offset == *committed
                && marks.get(&cause.partition).is_none_or(|mark| cause.seq <= mark.seq)
                && is_decided());
        !is_covered
    }

    /// Names what is due, committed, and not there: once for each input.
    fn check_missing(
        &self,
        marks: &BTreeMap<i32, CommitMark>,
        is_read: &[bool],
        anomalies: &mut Vec<Anomaly>,
    ) {
        let (mut found, mut missing) = (BTreeSet::new(), BTreeSet::new());
        for (due, is_read) in self.due.iter().zip(is_read) {
            let cause = source(due);
            let input = (cause.partition, cause.offset, due.is_decided.then_some(cause.seq));
            if *is_read {
                found.insert(input);
            } else if !self.is_beyond(due.record.topic, cause, marks) {
                missing.insert(input);
            }
        }
        for input in missing {
            let is_torn = found.contains(&input);
            let kind = if is_torn { Kind::TornTransaction } else { Kind::LostWrite };
            anomalies.push(Anomaly { kind, place: format!("input {}/{}", input.0, input.1) });
        }
    }
}

/// What is to be said of one record.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    Right,
    Wrong(Kind),
}

/// One partition's journal: where it stood after each record.
struct Journal {
    records: Vec<(JournalRecord, Chain)>,
}

impl Journal {
    fn read(stored: &[&Stored]) -> Result<Self, (Kind, &'static str)> {
        let values: Option<Vec<&[u8]>> =
            stored.iter().map(|record| record.value.as_deref()).collect();
        let mut values = values.ok_or((Kind::WrongBytes, "a record is empty"))?;
        let decode = |value: &&[u8]| JournalRecord::decode(value).map(|record| record.seq);
        let seqs: Result<Vec<u64>, JournalError> = values.iter().map(decode).collect();
        let seqs = seqs.map_err(|_error| (Kind::WrongBytes, "a record cannot be read"))?;
        let distinct: BTreeSet<u64> = seqs.iter().copied().collect();
        if distinct.len() < seqs.len() {
            return Err((Kind::Duplicate, "a record is repeated"));
        }
        if distinct.iter().zip(0..).any(|(seq, expected)| *seq != expected) {
            return Err((Kind::LostWrite, "a record is missing"));
        }
        if !seqs.is_sorted() {
            return Err((Kind::OutOfOrder, "a record is out of its place"));
        }
        let (mut chain, mut at) = (Chain::default(), i64::MIN);
        let mut records = Vec::with_capacity(values.len());
        for value in values.drain(..) {
            let record = chain.read(value).expect("the sequence is whole");
            if record.at < at {
                return Err((Kind::OutOfOrder, "a decision applies before the one before it"));
            }
            at = record.at;
            records.push((record, chain));
        }
        Ok(Self { records })
    }

    /// Whether this is the journal that `mark` was committed with.
    fn check(&self, mark: &CommitMark) -> Result<(), (Kind, &'static str)> {
        let length = usize::try_from(mark.seq).unwrap_or(usize::MAX).saturating_add(1);
        let Some(covered) = self.records.get(..length) else {
            return Err((Kind::LostWrite, "records that the offset rests on are missing"));
        };
        if length < self.records.len() {
            return Err((Kind::AbortedRead, "records stand behind the last committed one"));
        }
        let lineage = match &self.records[0].0.decision {
            Decision::Genesis(genesis) => genesis.lineage,
            _ => return Err((Kind::WrongBytes, "it does not begin with a genesis")),
        };
        let seen = |(record, _): &(JournalRecord, Chain)| match record.decision {
            Decision::Reference { offset_next } => Some(offset_next),
            _ => None,
        };
        let reference = covered.iter().rev().find_map(seen).unwrap_or_default();
        let (_, chain) = covered[length - 1];
        if chain.check(lineage, mark).is_err() || reference != mark.reference_offset_next {
            return Err((
                Kind::InconsistentOffsets,
                "the offset was committed with another journal",
            ));
        }
        Ok(())
    }
}

fn source(due: &Due) -> Source {
    Source::of(&due.record.headers).expect("an output says where it comes from")
}

fn is_same(found: &Stored, expected: &OutRecord) -> bool {
    found.key == expected.key && found.value == expected.value && found.headers == expected.headers
}

/// Offsets of each partition go up.
fn order_of_offsets(topic: &str, records: &[Stored]) -> Vec<Anomaly> {
    let mut last: BTreeMap<i32, i64> = BTreeMap::new();
    let mut anomalies = Vec::new();
    for Stored { partition, offset, .. } in records {
        if last.insert(*partition, *offset).is_some_and(|last| *offset <= last) {
            let place = format!("{topic} {partition}/{offset}");
            anomalies.push(Anomaly { kind: Kind::InconsistentOffsets, place });
        }
    }
    anomalies
}

/// In each partition the causes from one source partition never go back, and a key's records are in one partition.
fn order_of_causes(topic: &str, records: &[(&Stored, Source)]) -> Vec<Anomaly> {
    let mut last: BTreeMap<(i32, i32), Source> = BTreeMap::new();
    let mut homes: BTreeMap<&[u8], i32> = BTreeMap::new();
    let mut anomalies = Vec::new();
    for (record, cause) in records {
        let before = last.insert((record.partition, cause.partition), *cause);
        let home = record.key.as_deref().map(|key| *homes.entry(key).or_insert(record.partition));
        let is_elsewhere = home.is_some_and(|home| home != record.partition);
        if is_elsewhere || before.is_some_and(|before| *cause < before) {
            let place = format!("{topic} {}/{}", record.partition, record.offset);
            anomalies.push(Anomaly { kind: Kind::OutOfOrder, place });
        }
    }
    anomalies
}
