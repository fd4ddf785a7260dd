//! The checker checked: a correct history, corrupted in every way there is a name for, is caught and called by that name.

use std::collections::BTreeMap;

use goodfaith::model::EventTime;
use goodfaith::wire::{Chain, CommitMark, Decision, Encoding, Genesis};

use crate::checker::{History, Kind, Source};
use crate::dice::Dice;
use crate::support::oracle::{self, Due, Logs};
use crate::support::{Line, OUTPUTS, PARTITIONS, Stored, scenarios};

const EVENTS: &str = "test.events.v1";
/// Each corruption is applied to as many places.
const SEEDS: u64 = 4;
/// Later than any event.
const NOW: &str = "2026-06-02T00:00:00Z";

/// Does one thing wrong, somewhere.
type Corrupt = fn(&mut History, &mut Dice);

/// What is done, and what all of it must be called.
const CORRUPTIONS: &[(&str, &[Kind], Corrupt)] = &[
    ("all that one input caused is gone", &[Kind::LostWrite], |history, dice| {
        let cause = history.any_cause(dice, |_| true);
        let is_other =
            |record: &Stored| Source::of(&record.headers).map(input) != Some(input(cause));
        history.outputs.values_mut().for_each(|records| records.retain(is_other));
    }),
    ("a journal record is gone", &[Kind::LostWrite], |history, dice| {
        let seq = dice.below(2);
        let index = history.journal_index(dice, seq);
        history.journal.remove(index);
    }),
    ("the last journal record is gone", &[Kind::LostWrite], |history, dice| {
        let index = history.journal_index(dice, 2);
        history.journal.remove(index);
    }),
    ("a part of what one input caused is gone", &[Kind::TornTransaction], |history, dice| {
        let cause = history.any_cause(dice, |alike| alike > 1);
        let (topic, index) = history.place_of(|source| input(source) == input(cause));
        history.outputs.get_mut(topic).unwrap().remove(index);
    }),
    ("a record is there twice", &[Kind::Duplicate], |history, dice| {
        let (topic, index) = history.any(dice);
        history.insert(topic, index + 1, |_| {}, index);
    }),
    ("a record comes again later", &[Kind::Duplicate], |history, dice| {
        let (topic, index) = history.any(dice);
        let records = &history.outputs[topic];
        let partition = records[index].partition;
        let last = records.iter().rposition(|record| record.partition == partition).unwrap();
        history.insert(topic, last + 1, |_| {}, index);
    }),
    ("a transaction comes again", &[Kind::Duplicate], |history, dice| {
        let (topic, index) = history.any(dice);
        let partition = history.outputs[topic][index].partition;
        let records = history.outputs.get_mut(topic).unwrap();
        let begin = records.partition_point(|record| record.partition < partition);
        let again: Vec<Stored> = records[begin..=index].to_vec();
        records.splice(index + 1..=index, again);
        renumber(records);
    }),
    ("a journal record is there twice", &[Kind::Duplicate], |history, dice| {
        let index = history.journal_index(dice, 1);
        let again = history.journal[index].clone();
        history.journal.insert(index, again);
        renumber(&mut history.journal);
    }),
    ("two records have changed places", &[Kind::OutOfOrder], |history, dice| {
        let (topic, one, other) = history.pair(dice);
        swap(history.outputs.get_mut(topic).unwrap(), one, other);
    }),
    ("a key has records in two partitions", &[Kind::OutOfOrder], |history, dice| {
        let (topic, one, _) = history.siblings(dice);
        let records = history.outputs.get_mut(topic).unwrap();
        let mut moved = records.remove(one);
        moved.partition = (moved.partition + 1) % PARTITIONS;
        let end = records.partition_point(|record| record.partition <= moved.partition);
        moved.offset = 1_000_000;
        records.insert(end, moved);
    }),
    ("two journal records have changed places", &[Kind::OutOfOrder], |history, dice| {
        let index = history.journal_index(dice, 1);
        swap(&mut history.journal, index, index + 1);
    }),
    ("a byte has flipped", &[Kind::WrongBytes], |history, dice| {
        let value = history.any_value(dice);
        let at = dice.below(value.len());
        value[at] ^= 1 << dice.below(8);
    }),
    ("a value is cut short", &[Kind::WrongBytes], |history, dice| {
        let value = history.any_value(dice);
        value.truncate(dice.below(value.len()));
    }),
    ("a value is gone", &[Kind::WrongBytes], |history, dice| {
        let (topic, index) = history.any_with(dice, |record| record.value.is_some());
        history.outputs.get_mut(topic).unwrap()[index].value = None;
    }),
    ("another policy's hash", &[Kind::WrongBytes], |history, dice| {
        let header = |(name, _): &&mut (String, _)| name == "gfpolicy";
        history.any_record(dice).headers.iter_mut().find(header).unwrap().1 =
            Some(b"0000000000000000".to_vec());
    }),
    ("a header too few", &[Kind::WrongBytes], |history, dice| {
        history.any_record(dice).headers.remove(0);
    }),
    ("a header too many", &[Kind::WrongBytes], |history, dice| {
        history.any_record(dice).headers.push(("more".to_owned(), None));
    }),
    ("another key", &[Kind::WrongBytes], |history, dice| {
        history.any_record(dice).key = Some(b"somebody else".to_vec());
    }),
    ("the values of two records exchanged", &[Kind::WrongBytes], |history, dice| {
        let (topic, one, other) = history.siblings(dice);
        let records = history.outputs.get_mut(topic).unwrap();
        let value = std::mem::take(&mut records[one].value);
        records[one].value = std::mem::replace(&mut records[other].value, value);
    }),
    ("a journal record that says nothing", &[Kind::WrongBytes], |history, dice| {
        let index = history.journal_index(dice, 1);
        history.journal[index].value = Some(vec![0xff]);
    }),
    ("a record that nothing caused", &[Kind::GarbageRead], |history, dice| {
        let (topic, index) = history.any(dice);
        let unknown = |cause: &mut Source| cause.ordinal += 1_000;
        history.insert(topic, index + 1, |record| set_cause(record, unknown), index);
    }),
    ("a record that does not say where from", &[Kind::GarbageRead], |history, dice| {
        let (topic, index) = history.any(dice);
        history.insert(topic, index + 1, |record| record.headers.clear(), index);
    }),
    (
        "a record that says it is from elsewhere",
        &[Kind::LostWrite, Kind::GarbageRead],
        |history, dice| {
            let cause = history.any_cause(dice, |alike| alike == 1);
            let (topic, index) = history.place_of(|source| source == cause);
            let record = &mut history.outputs.get_mut(topic).unwrap()[index];
            set_cause(record, |cause| cause.seq += 1);
        },
    ),
    ("the committed offset is behind", &[Kind::AbortedRead], |history, dice| {
        let cause = history.any_cause(dice, |_| true);
        history.committed.get_mut(&cause.partition).unwrap().0 = cause.offset;
    }),
    ("an input not committed yet has an output", &[Kind::AbortedRead], |history, dice| {
        let (topic, index) = history.any(dice);
        let ends = history.ends.clone();
        let beyond = |cause: &mut Source| cause.offset = ends[&cause.partition] + 5;
        let partition = history.outputs[topic][index].partition;
        let end = history.outputs[topic].partition_point(|record| record.partition <= partition);
        history.insert(topic, end, |record| set_cause(record, beyond), index);
    }),
    ("a decision not committed yet is in the journal", &[Kind::AbortedRead], |history, dice| {
        let partition = history.any_partition(dice);
        let index = history.journal_index_of(partition, 2);
        let mut chain = Chain::default();
        for record in history.journal.iter().filter(|record| record.partition == partition) {
            chain.read(record.value.as_deref().unwrap()).unwrap();
        }
        let time = EventTime::parse(NOW).unwrap();
        let (_, value) = chain.write(history.ends[&partition], Decision::Tick { time });
        let mut record = history.journal[index].clone();
        (record.offset, record.value) = (record.offset + 1, Some(value));
        history.journal.insert(index + 1, record);
    }),
    ("the committed offset is beyond the log", &[Kind::InconsistentOffsets], |history, dice| {
        let partition = history.any_partition(dice);
        history.committed.get_mut(&partition).unwrap().0 = history.ends[&partition] + 1;
    }),
    ("no offset is committed", &[Kind::AbortedRead, Kind::InconsistentOffsets], |history, dice| {
        let partition = history.any_partition(dice);
        history.committed.remove(&partition);
    }),
    ("the mark has another hash", &[Kind::InconsistentOffsets], |history, dice| {
        history.change_mark(dice, |mark| mark.hash ^= 1);
    }),
    ("the mark is of another lineage", &[Kind::InconsistentOffsets], |history, dice| {
        history.change_mark(dice, |mark| mark.lineage[3] ^= 1);
    }),
    ("the mark saw another reference log", &[Kind::InconsistentOffsets], |history, dice| {
        history.change_mark(dice, |mark| mark.reference_offset_next += 1);
    }),
    ("the offset carries no mark", &[Kind::InconsistentOffsets], |history, dice| {
        let partition = history.any_partition(dice);
        history.committed.get_mut(&partition).unwrap().1.clear();
    }),
    ("two records have one offset", &[Kind::InconsistentOffsets], |history, dice| {
        let (topic, one, other) = history.pair(dice);
        let records = history.outputs.get_mut(topic).unwrap();
        records[other].offset = records[one].offset;
    }),
    ("offsets go back", &[Kind::InconsistentOffsets], |history, dice| {
        let (topic, one, other) = history.pair(dice);
        let records = history.outputs.get_mut(topic).unwrap();
        let offset = records[one].offset;
        records[one].offset = records[other].offset;
        records[other].offset = offset;
    }),
    ("the journal's offsets go back", &[Kind::InconsistentOffsets], |history, dice| {
        let index = history.journal_index(dice, 1);
        history.journal[index].offset = -1;
    }),
];

#[test]
fn a_correct_history_has_no_anomaly() {
    let history = correct();
    assert!(history.due.len() > 1_000, "{} records are too few", history.due.len());
    assert!(history.due.iter().any(|due| due.is_decided), "a decision causes something too");
    assert_eq!(history.check(), []);
}

#[test]
fn every_corruption_is_caught_and_called_by_its_name() {
    let correct = correct();
    let mut caught: BTreeMap<Kind, usize> = BTreeMap::new();
    for (what, kinds, corrupt) in CORRUPTIONS {
        for seed in 0..SEEDS {
            let mut history = correct.clone();
            corrupt(&mut history, &mut Dice::new(seed));
            let anomalies = history.check();
            let mut found: Vec<Kind> = anomalies.iter().map(|anomaly| anomaly.kind).collect();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found, *kinds, "{what}, seed {seed}: {anomalies:?}");
            kinds.iter().for_each(|kind| *caught.entry(*kind).or_default() += 1);
        }
    }
    assert!(CORRUPTIONS.len() * SEEDS as usize >= 50);
    assert_eq!(caught.len(), Kind::ALL.len(), "every name is given: {caught:?}");
}

/// A history as the service leaves it: the golden scenarios over eight partitions, each journal with a genesis, a version of the
/// reference log and a tick at the end.
fn correct() -> History {
    let timestamp_ms = Some(EventTime::parse(NOW).unwrap().as_millis());
    let mut ends: BTreeMap<i32, i64> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
    let (mut reference, mut events) = (Vec::new(), Vec::new());
    let record = |partition, offset, key, value| Stored {
        partition,
        offset,
        key,
        value: Some(value),
        headers: Vec::new(),
        timestamp_ms,
    };
    for line in scenarios(1_500) {
        match line {
            Line::Reference(value) => {
                let offset = i64::try_from(reference.len()).unwrap();
                reference.push(record(0, offset, None, value));
            }
            Line::Customer { key, value } => {
                let partition = home(&key);
                let end = ends.get_mut(&partition).unwrap();
                events.push(record(partition, *end, Some(key), value));
                *end += 1;
            }
            // The journal ticks instead.
            Line::Tick(_) => {}
        }
    }
    let (mut journal, mut committed) = (Vec::new(), BTreeMap::new());
    let reference_offset_next = i64::try_from(reference.len()).unwrap();
    for (&partition, &end) in &ends {
        let mut chain = Chain::default();
        let lineage = [u8::try_from(partition).unwrap(); 16];
        let genesis = Genesis {
            lineage,
            events_topic_id: None,
            partition_count: PARTITIONS,
            start_offset: 0,
            engine: goodfaith::engine::ENGINE,
            policy_version: "test".into(),
            policy_fingerprint: 0,
        };
        let decisions = [
            (0, Decision::Genesis(genesis)),
            (0, Decision::Reference { offset_next: reference_offset_next }),
            (end, Decision::Tick { time: EventTime::parse("2026-06-01T00:00:00Z").unwrap() }),
        ];
        for ((at, decision), offset) in decisions.into_iter().zip([0, 1, 7]) {
            let (_, value) = chain.write(at, decision);
            journal.push(record(partition, offset, Some(partition.to_string().into()), value));
        }
        let (seq, hash) = (chain.seq().unwrap(), chain.hash());
        let mark = CommitMark { lineage, seq, hash, reference_offset_next };
        committed.insert(partition, (end, mark.to_string()));
    }
    let logs = Logs { reference: &reference, journal: &journal, events: &events };
    let due = oracle::outputs(logs, EVENTS, Encoding::BinaryJson);
    History { outputs: stored(&due), journal, committed, ends, due }
}

/// The records that are due, in partitions by their key, with gaps where markers would be.
fn stored(due: &[Due]) -> BTreeMap<&'static str, Vec<Stored>> {
    let mut outputs: BTreeMap<&str, Vec<Stored>> =
        OUTPUTS.iter().map(|topic| (*topic, Vec::new())).collect();
    for due in due {
        let record = due.record.clone();
        let partition = record.key.as_deref().map_or(due.partition, home);
        outputs.get_mut(record.topic).unwrap().push(Stored {
            partition,
            offset: 0,
            key: record.key,
            value: record.value,
            headers: record.headers,
            timestamp_ms: None,
        });
    }
    for records in outputs.values_mut() {
        records.sort_by_key(|record| record.partition);
        renumber(records);
    }
    outputs
}

fn home(key: &[u8]) -> i32 {
    key.iter().fold(0, |sum, byte| (sum + i32::from(*byte)) % PARTITIONS)
}

/// Gives records offsets in the order they stand in.
fn renumber(records: &mut [Stored]) {
    for (index, record) in records.iter_mut().enumerate() {
        record.offset = i64::try_from(index + index / 5).unwrap();
    }
}

/// Exchanges two records, but not their offsets.
fn swap(records: &mut [Stored], one: usize, other: usize) {
    records.swap(one, other);
    let offset = records[one].offset;
    records[one].offset = records[other].offset;
    records[other].offset = offset;
}

fn set_cause(record: &mut Stored, change: impl FnOnce(&mut Source)) {
    let mut cause = Source::of(&record.headers).unwrap();
    change(&mut cause);
    let Source { partition, offset, seq, ordinal } = cause;
    let (_, value) = record.headers.iter_mut().find(|(name, _)| name == "gfsource").unwrap();
    *value = Some(format!("{EVENTS}/{partition}/{offset}/{seq}/{ordinal}").into_bytes());
}

/// What a source has in common with all else that its input caused.
const fn input(cause: Source) -> (i32, i64) {
    (cause.partition, cause.offset)
}

impl History {
    /// One record of any topic that `is_fit`.
    fn any_with(&self, dice: &mut Dice, is_fit: impl Fn(&Stored) -> bool) -> (&'static str, usize) {
        let fit: Vec<(&'static str, usize)> = self
            .outputs
            .iter()
            .flat_map(|(topic, records)| {
                let fit = records.iter().enumerate().filter(|(_, record)| is_fit(record));
                fit.map(|(index, _)| (*topic, index)).collect::<Vec<_>>()
            })
            .collect();
        fit[dice.below(fit.len())]
    }

    /// One whose input is a record of the log.
    fn any(&self, dice: &mut Dice) -> (&'static str, usize) {
        self.any_with(dice, |record| {
            let cause = Source::of(&record.headers).unwrap();
            cause.offset < self.ends[&cause.partition]
        })
    }

    fn any_record(&mut self, dice: &mut Dice) -> &mut Stored {
        let (topic, index) = self.any(dice);
        &mut self.outputs.get_mut(topic).unwrap()[index]
    }

    fn any_value(&mut self, dice: &mut Dice) -> &mut Vec<u8> {
        let (topic, index) = self.any_with(dice, |record| record.value.is_some());
        self.outputs.get_mut(topic).unwrap()[index].value.as_mut().unwrap()
    }

    /// Where a record of the log comes from that caused as many records as `is_fit` wants.
    fn any_cause(&self, dice: &mut Dice, is_fit: impl Fn(usize) -> bool) -> Source {
        let mut alike: BTreeMap<(i32, i64), Vec<Source>> = BTreeMap::new();
        for record in self.outputs.values().flatten() {
            let cause = Source::of(&record.headers).unwrap();
            if cause.offset < self.ends[&cause.partition] {
                alike.entry(input(cause)).or_default().push(cause);
            }
        }
        let fit: Vec<&Vec<Source>> = alike.values().filter(|alike| is_fit(alike.len())).collect();
        fit[dice.below(fit.len())][0]
    }

    /// The first record that comes from there.
    fn place_of(&self, is_there: impl Fn(Source) -> bool) -> (&'static str, usize) {
        let mut places = self.outputs.iter().filter_map(|(topic, records)| {
            let is_there = |record: &Stored| is_there(Source::of(&record.headers).unwrap());
            Some((*topic, records.iter().position(is_there)?))
        });
        places.next().unwrap()
    }

    /// Inserts a changed copy of the record at `index`.
    fn insert(
        &mut self,
        topic: &'static str,
        at: usize,
        change: impl FnOnce(&mut Stored),
        index: usize,
    ) {
        let records = self.outputs.get_mut(topic).unwrap();
        let mut copy = records[index].clone();
        change(&mut copy);
        records.insert(at, copy);
        renumber(records);
    }

    /// Two neighbours of one partition from one source partition, from different inputs.
    fn pair(&self, dice: &mut Dice) -> (&'static str, usize, usize) {
        let mut pairs = Vec::new();
        for (topic, records) in &self.outputs {
            for (index, two) in records.windows(2).enumerate() {
                let causes = [&two[0], &two[1]].map(|record| Source::of(&record.headers).unwrap());
                if two[0].partition == two[1].partition
                    && causes[0].partition == causes[1].partition
                    && causes[0] != causes[1]
                {
                    pairs.push((*topic, index, index + 1));
                }
            }
        }
        pairs[dice.below(pairs.len())]
    }

    /// Two neighbours of one key that say different things.
    fn siblings(&self, dice: &mut Dice) -> (&'static str, usize, usize) {
        let mut pairs = Vec::new();
        for (topic, records) in &self.outputs {
            for (index, two) in records.windows(2).enumerate() {
                let is_one_key = two[0].key.is_some() && two[0].key == two[1].key;
                if is_one_key && two[0].value != two[1].value {
                    pairs.push((*topic, index, index + 1));
                }
            }
        }
        pairs[dice.below(pairs.len())]
    }

    /// A partition with outputs.
    fn any_partition(&self, dice: &mut Dice) -> i32 {
        self.any_cause(dice, |_| true).partition
    }

    fn journal_index(&self, dice: &mut Dice, seq: usize) -> usize {
        self.journal_index_of(self.any_partition(dice), seq)
    }

    fn journal_index_of(&self, partition: i32, seq: usize) -> usize {
        let first = self.journal.iter().position(|record| record.partition == partition);
        first.unwrap() + seq
    }

    fn change_mark(&mut self, dice: &mut Dice, change: impl FnOnce(&mut CommitMark)) {
        let partition = self.any_partition(dice);
        let (_, metadata) = self.committed.get_mut(&partition).unwrap();
        let mut mark: CommitMark = metadata.parse().unwrap();
        change(&mut mark);
        *metadata = mark.to_string();
    }
}
