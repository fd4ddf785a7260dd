//! The dead-letters topic, read for a person, and its records sent again. Nothing on it is ever deleted or changed.
//!
//! A retry sends each record to the partition it came from, with its own key, value and headers, and notes how far it has got: the
//! records and the note are one transaction, so what is noted was sent once, and what is not was not. The note is a committed offset
//! of the group `<group_id>.retry`, whose metadata tells which selection has got how far ([`Notes`]). So the same retry, run again
//! after whatever happened, goes on where it was. What this does not cover: another selection that holds the same letter sends it
//! again (an engine ignores what it has accepted, among a customer's last 64 records), and brokers forget offsets of an idle group
//! after `offsets.retention.minutes`, 7 days unless set.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use xxhash_rust::xxh3::xxh3_64;

use super::error::{Error, Result};
use super::failure::Failure;
use super::native::FetchedRecord;
use super::publisher::{Publication, Publisher};
use super::settings::{Delivery, KafkaSettings};
use super::span::{Go, QUESTION, Span, SpanReader};
use super::topics::{Topics, partition_count};
use crate::wire::{DeadLetter, Header, Prospect, RecordRef};

/// Records sent in one transaction at most, and bytes of their values: it must end well within its timeout of 10 s, as readers of
/// the events topic wait for it.
const CHUNK_RECORDS: usize = 500;
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// Where a dead letter stands: partition and offset on the dead-letters topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterPlace {
    /// The partition, at least 0.
    pub partition: i32,
    /// The offset, at least 0.
    pub offset: i64,
}

/// A record of the dead-letters topic.
#[derive(Debug)]
pub struct StoredLetter<'a> {
    /// Where it stands.
    pub place: LetterPlace,
    /// When it arrived, milliseconds since the epoch.
    pub arrived_ms: Option<i64>,
    /// All of it, as stored.
    pub record: RecordRef<'a>,
    /// What its headers say; `None` if it is no dead letter of ours.
    pub letter: Option<DeadLetter<'a>>,
}

/// The dead-letters topic of a deployment.
pub struct DeadLetters {
    reader: SpanReader,
}

/// Why a dead letter is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// It is no dead letter of ours.
    Foreign,
    /// It came from another topic than this deployment's events.
    OtherTopic,
    /// The events topic no longer has the partition it came from.
    PartitionGone,
    /// It would be refused again.
    Hopeless,
    /// This retry sent it already.
    Sent,
    /// It has been sent again as often as it may.
    TooOften,
}

/// A retry of some dead letters.
pub struct Retry {
    selection: u64,
    events: String,
    events_partitions: i32,
    dead_letters: String,
    notes: BTreeMap<i32, Notes>,
    offsets: BaseConsumer,
    /// Absent from a plan.
    publisher: Option<Publisher>,
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    sent: u64,
}

/// A record about to be sent again.
struct Waiting {
    place: LetterPlace,
    partition: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// How far retries have got on one partition of the dead-letters topic: by selection, the next offset to look at, the latest last.
///
/// As text: `gfretry1:<selection>=<offset>,...`, selections in hex. Bounded: of more than [`Notes::MAX`] the oldest is forgotten,
/// and that retry would begin again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Notes(Vec<(u64, i64)>);

impl fmt::Display for LetterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

impl std::str::FromStr for LetterPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let read = || {
            let (partition, offset) = text.split_once('/')?;
            let place = Self { partition: partition.parse().ok()?, offset: offset.parse().ok()? };
            (0 <= place.partition && 0 <= place.offset).then_some(place)
        };
        read()
            .ok_or("no place of a dead letter: PARTITION/OFFSET, as `goodfaith dlq list` prints it")
    }
}

impl DeadLetters {
    /// The dead letters of a deployment.
    ///
    /// # Errors
    /// If the topic does not exist, or the broker does not answer.
    pub fn open(settings: &KafkaSettings) -> Result<Self> {
        let topics = Topics::new(&settings.prefix);
        Ok(Self { reader: SpanReader::open(settings, topics.name("dead-letters"))? })
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.reader.topic
    }

    /// What the partitions hold now, in their order; from what arrived at `since_ms` on, milliseconds since the epoch, if given.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn spans(&self, since_ms: Option<i64>) -> Result<Vec<Span>> {
        match since_ms {
            Some(since_ms) => self.reader.spans_since(since_ms),
            None => self.reader.spans(),
        }
    }

    /// Hands the records of `span` to `take`, in order.
    ///
    /// # Errors
    /// The first of `take`; or if the broker refuses, or does not answer.
    pub fn read(
        &self,
        span: Span,
        mut take: impl FnMut(&StoredLetter<'_>) -> Result<Go>,
    ) -> Result<()> {
        self.reader.read(span, |record: &FetchedRecord<'_>| {
            let headers = record.headers();
            let place = LetterPlace { partition: record.partition(), offset: record.offset() };
            let letter = DeadLetter::read(&headers);
            let arrived_ms = record.timestamp_ms();
            take(&StoredLetter { place, arrived_ms, record: record.as_ref(&headers), letter })
        })
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("topic", &self.reader.topic).finish_non_exhaustive()
    }
}

impl Retry {
    /// Finds out how far the retry of `selection` has got: the same text, the same retry. Nothing is sent.
    ///
    /// # Errors
    /// If a topic does not exist, or the broker does not answer.
    pub fn plan(settings: &KafkaSettings, selection: &str) -> Result<Self> {
        Self::open(settings, selection, None)
    }

    /// The same, ready to send. Another retry of this deployment that is under way is stopped first: its open transaction comes to
    /// nothing.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub fn start(settings: &KafkaSettings, selection: &str) -> Result<Self> {
        let transactional = KafkaSettings { delivery: Delivery::ExactlyOnce, ..settings.clone() };
        let publisher = Publisher::connect(&transactional, "retry", 0)?;
        Self::open(settings, selection, Some(publisher))
    }

    fn open(
        settings: &KafkaSettings,
        selection: &str,
        publisher: Option<Publisher>,
    ) -> Result<Self> {
        let topics = Topics::new(&settings.prefix);
        let (events, dead_letters) = (topics.events(), topics.name("dead-letters"));
        let offsets: BaseConsumer = settings
            .outsider(&format!("{}.retry", settings.group_id))
            .create()
            .map_err(Error::while_doing("making a consumer"))?;
        let events_partitions = partition_count(offsets.client(), events)?;
        let partitions = partition_count(offsets.client(), dead_letters)?;
        let list = super::offsets::list(dead_letters, 0..partitions);
        // Stable offsets: an open transaction of a retry that was cut off is waited for.
        let committed = offsets
            .committed_offsets(list, QUESTION)
            .map_err(Error::while_doing("asking how far the retry has got"))?;
        let mut notes = BTreeMap::new();
        for at in committed.elements() {
            let mut found = Notes::read(at.metadata());
            if !found.0.is_empty() {
                // What lies behind the end was noted of a topic that has been made anew since.
                let (_, end) = offsets
                    .fetch_watermarks(dead_letters, at.partition(), QUESTION)
                    .map_err(Error::while_doing("asking where a topic ends"))?;
                found.0.retain(|(_, next)| *next <= end);
            }
            notes.insert(at.partition(), found);
        }
        Ok(Self {
            selection: xxh3_64(selection.as_bytes()),
            events: events.to_owned(),
            events_partitions,
            dead_letters: dead_letters.to_owned(),
            notes,
            offsets,
            publisher,
            waiting: Vec::new(),
            waiting_bytes: 0,
            sent: 0,
        })
    }

    /// The topic records are sent to.
    pub fn topic(&self) -> &str {
        &self.events
    }

    /// The dead letters of `partition` below this offset were sent by this retry, as far as they were selected; 0 before any.
    pub fn resumes_at(&self, partition: i32) -> i64 {
        self.notes.get(&partition).and_then(|notes| notes.get(self.selection)).unwrap_or(0)
    }

    /// Forgets how far this retry has got: it begins again.
    pub fn begin_again(&mut self) {
        let selection = self.selection;
        self.notes.values_mut().for_each(|notes| notes.0.retain(|(other, _)| *other != selection));
    }

    /// Records sent for certain.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether `stored` is to be sent, and if not, why. What would be refused again is sent only if it `is_named`.
    ///
    /// # Errors
    /// Why it is left.
    pub fn judge(&self, stored: &StoredLetter<'_>, is_named: bool) -> Result<(), Left> {
        let letter = stored.letter.as_ref().ok_or(Left::Foreign)?;
        if stored.place.offset < self.resumes_at(stored.place.partition) {
            return Err(Left::Sent);
        }
        judge(letter, is_named, &self.events, self.events_partitions)
    }

    /// Sends a dead letter that was judged fit, at the latest with [`Retry::finish`].
    ///
    /// # Errors
    /// If a transaction fails. Run again, the same retry goes on behind the last that did not.
    ///
    /// # Panics
    /// In a plan, or for a letter that was not judged fit.
    pub fn send(&mut self, stored: &StoredLetter<'_>) -> Result<()> {
        let letter = stored.letter.as_ref().expect("a letter judged fit is ours");
        let RecordRef { key, value, .. } = stored.record;
        self.waiting_bytes += value.map_or(0, <[u8]>::len);
        self.waiting.push(Waiting {
            place: stored.place,
            partition: letter.partition,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: letter.redriven().expect("a letter judged fit has a round left"),
        });
        let is_full = CHUNK_RECORDS <= self.waiting.len() || CHUNK_BYTES <= self.waiting_bytes;
        if is_full { self.finish() } else { Ok(()) }
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// As [`Retry::send`].
    ///
    /// # Panics
    /// In a plan.
    pub fn finish(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let publisher = self.publisher.as_ref().expect("a plan sends nothing");
        let noted = self.noted();
        if let Err(failure) = self.transact(publisher, &noted) {
            let reason = failure.to_string();
            // Otherwise readers of the events topic would wait until the broker has ended it.
            drop(publisher.abort(failure));
            return Err(Error::RetryStopped { reason });
        }
        self.sent += self.waiting.len() as u64;
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.notes.extend(noted.into_iter().map(|(partition, (_, notes))| (partition, notes)));
        Ok(())
    }

    /// How far it will have got with what waits: by partition, the next offset and the notes.
    fn noted(&self) -> BTreeMap<i32, (i64, Notes)> {
        let mut noted = BTreeMap::new();
        for Waiting { place, .. } in &self.waiting {
            let (next, notes) = noted.entry(place.partition).or_insert_with(|| {
                (0, self.notes.get(&place.partition).cloned().unwrap_or_default())
            });
            *next = place.offset + 1;
            notes.set(self.selection, *next);
        }
        noted
    }

    /// The records that wait and the note of them, as one.
    fn transact(
        &self,
        publisher: &Publisher,
        noted: &BTreeMap<i32, (i64, Notes)>,
    ) -> Result<(), Failure> {
        let mut offsets = TopicPartitionList::new();
        for (partition, (next, notes)) in noted {
            let mut element = offsets.add_partition(&self.dead_letters, *partition);
            element.set_offset(Offset::Offset(*next))?;
            element.set_metadata(notes.to_string());
        }
        publisher.begin()?;
        for Waiting { partition, key, value, headers, .. } in &self.waiting {
            let headers: Vec<Header<'_>> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
            publisher.send(&Publication {
                topic: &self.events,
                partition: Some(*partition),
                key: key.as_deref(),
                value: value.as_deref(),
                headers: &headers,
                timestamp_ms: None,
            })?;
        }
        publisher.commit_outside(&self.offsets, &offsets)
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("events", &self.events)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

fn judge(
    letter: &DeadLetter<'_>,
    is_named: bool,
    events: &str,
    events_partitions: i32,
) -> Result<(), Left> {
    if letter.topic != events {
        return Err(Left::OtherTopic);
    }
    if events_partitions <= letter.partition {
        return Err(Left::PartitionGone);
    }
    if Prospect::of(letter.reason).is_never() && !is_named {
        return Err(Left::Hopeless);
    }
    letter.redriven().map(drop).ok_or(Left::TooOften)
}

impl Notes {
    /// Selections remembered on a partition: well below the 4096 bytes a broker takes.
    const MAX: usize = 32;

    /// What `metadata` says; nothing if it is not ours.
    fn read(metadata: &str) -> Self {
        let note = |text: &str| {
            let (selection, next) = text.split_once('=')?;
            Some((u64::from_str_radix(selection, 16).ok()?, next.parse().ok()?))
        };
        let notes = metadata.strip_prefix("gfretry1:").map(|list| list.split(',').map(note));
        Self(notes.and_then(Iterator::collect).unwrap_or_default())
    }

    fn get(&self, selection: u64) -> Option<i64> {
        self.0.iter().find(|(other, _)| *other == selection).map(|(_, next)| *next)
    }

    fn set(&mut self, selection: u64, next: i64) {
        self.0.retain(|(other, _)| *other != selection);
        self.0.push((selection, next));
        let excess = self.0.len().saturating_sub(Self::MAX);
        self.0.drain(..excess);
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notes: Vec<String> =
            self.0.iter().map(|(selection, next)| format!("{selection:016x}={next}")).collect();
        write!(f, "gfretry1:{}", notes.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Reason;
    use crate::wire::REDRIVE_HEADER;

    fn letter<'a>(reason: Reason, original: &'a [Header<'a>]) -> DeadLetter<'a> {
        let redrives = if original.is_empty() { 0 } else { 3 };
        let (topic, partition, offset) = ("goodfaith.events.v1", 3, 41);
        DeadLetter { reason, detail: None, topic, partition, offset, redrives, original }
    }

    fn judged(letter: &DeadLetter<'_>, is_named: bool) -> Result<(), Left> {
        judge(letter, is_named, "goodfaith.events.v1", 4)
    }

    #[test]
    fn what_would_be_refused_again_is_sent_only_if_it_is_named() {
        let late = letter(Reason::TooLate, &[]);
        assert_eq!(judged(&late, false), Err(Left::Hopeless));
        assert_eq!(judged(&late, true), Ok(()));
        assert_eq!(judged(&letter(Reason::BadData, &[]), false), Ok(()));
    }

    #[test]
    fn what_has_no_place_to_go_back_to_or_went_too_often_is_left_even_if_named() {
        let bad = letter(Reason::BadData, &[]);
        assert_eq!(judge(&bad, true, "acme.events.v1", 4), Err(Left::OtherTopic));
        assert_eq!(judge(&bad, true, "goodfaith.events.v1", 3), Err(Left::PartitionGone));
        let headers: [Header<'_>; 1] = [(REDRIVE_HEADER, Some(b"3"))];
        assert_eq!(judged(&letter(Reason::BadData, &headers), true), Err(Left::TooOften));
    }

    #[test]
    fn notes_survive_their_text_and_keep_the_latest_selections() {
        let mut notes = Notes::default();
        for selection in 0..40 {
            notes.set(selection, 100 + i64::try_from(selection).unwrap());
        }
        notes.set(20, 7);
        let text = notes.to_string();
        assert!(text.len() < 2000, "{}", text.len());
        let read = Notes::read(&text);
        assert_eq!(read, notes);
        assert_eq!((read.get(20), read.get(39), read.get(7)), (Some(7), Some(139), None));
        assert_eq!(read.0.len(), Notes::MAX);
    }

    #[test]
    fn notes_of_another_program_are_none() {
        for text in ["", "gf1:00:0:00:0", "gfretry1:x=1", "gfretry1:0", "gfretry2:0=1"] {
            assert_eq!(Notes::read(text), Notes::default(), "{text}");
        }
    }

    #[test]
    fn a_place_is_read_as_it_is_printed() {
        let place = LetterPlace { partition: 3, offset: 17 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["3", "3/", "/17", "3/-1", "-1/3", "a/b", "3/17/1"] {
            assert!(text.parse::<LetterPlace>().is_err(), "{text}");
        }
    }
}
