//! One partition's engine together with its journal: what has been handled, what of it is certain, and the mark that says so.
//!
//! It talks to no broker. The worker feeds it records and decisions, performs the effects, and tells it how the transaction ended.

use std::collections::VecDeque;
use std::sync::Arc;

use super::breaker::{Breaker, DeadLetterLimit};
use super::fact::Settlement;
use super::offsets::Committed;
use super::reference::{PolicyRecord, ReferenceLog, Version};
use super::settings::{Delivery, Scoring};
use crate::engine::{
    Action, ENGINE, Effect, Image, Input, LAYOUT, OutputBody, PartitionEngine, Rejection, Settings,
};
use crate::model::{BakedIn, Event, EventTime, Policy};
use crate::wire::{Chain, CommitMark, Decision, Genesis, JournalRecord, SnapshotPoint, StopCause};

/// Customers up to which a debug build hashes a whole engine at every transaction: the hash costs microseconds a customer.
const HASHED_CUSTOMERS: usize = 64;

/// A partition whose state is in memory.
pub(super) struct Scored {
    engine: PartitionEngine,
    genesis: Genesis,
    standing: Standing,
    /// As of the last transaction that is certain; `None` before the one that holds the genesis.
    committed: Option<Standing>,
    /// Something was handled since then.
    is_touched: bool,
    /// Decisions that the journal already holds but the state does not yet: at-least-once, after a crash.
    ahead: VecDeque<Journalled>,
    /// Debug builds: the engine's hash as of `committed`.
    hash_committed: Option<u64>,
    /// The engine of this program: [`ENGINE`], but in tests of an upgrade.
    program: u32,
    breaker: Breaker,
    breaker_committed: Breaker,
    /// What the last record handled gave reason to stop for.
    trip: Option<StopCause>,
    /// A customer was erased whom older snapshots may hold.
    has_erased: bool,
}

/// A journal record, and the journal up to and with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Journalled {
    pub(super) record: JournalRecord,
    pub(super) chain: Chain,
}

/// How far a partition has been handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    offset_next: i64,
    chain: Chain,
    reference_offset_next: i64,
    /// Policies of the reference log below this offset are decided about.
    policy_offset_next: i64,
    /// The fingerprint of the policy in force.
    policy: u64,
    /// Where it stands in the reference log; `None`: the history began with it.
    policy_offset: Option<i64>,
    /// The engine that handles the partition.
    engine: u32,
    /// It is stopped.
    stop: Option<Stop>,
}

/// A stop that nobody has ended yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stop {
    /// Of its journal record.
    pub(super) seq: u64,
    /// The next offset to handle once it ends.
    pub(super) offset: i64,
    pub(super) cause: StopCause,
}

impl Stop {
    /// The stop in force after these journal records, in order.
    pub(super) fn after<'j>(entries: impl Iterator<Item = &'j Journalled>) -> Option<Self> {
        entries.fold(None, |stop, Journalled { record, .. }| match record.decision {
            Decision::Stop { cause } => Some(Self { seq: record.seq, offset: record.at, cause }),
            Decision::Resume => None,
            _ => stop,
        })
    }
}

impl Standing {
    /// Where the history that `genesis` began starts.
    const fn at_start(genesis: &Genesis, chain: Chain) -> Self {
        Self {
            offset_next: genesis.start_offset,
            chain,
            reference_offset_next: 0,
            policy_offset_next: 0,
            policy: genesis.policy_fingerprint,
            engine: genesis.engine,
            stop: None,
            policy_offset: None,
        }
    }
}

/// An offset to commit, and the mark to commit with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) offset_next: i64,
    pub(super) mark: CommitMark,
}

impl Scored {
    /// A partition about to follow `genesis` and the rest of its journal: `ahead`, in order.
    pub(super) fn new(
        genesis: Genesis,
        chain: Chain,
        ahead: VecDeque<Journalled>,
        scoring: &Scoring,
    ) -> Self {
        let engine =
            PartitionEngine::new(settings(scoring, &genesis)).with_roll_ups(scoring.roll_ups);
        let standing = Standing::at_start(&genesis, chain);
        let committed = chain.seq().map(|_genesis| standing);
        Self::with(engine, genesis, standing, committed, ahead)
    }

    /// A partition whose `engine` comes from a snapshot of `point`, where its journal stood at `chain` and `stop` was in force; `ahead`:
    /// the rest of that journal.
    pub(super) fn restored(
        engine: PartitionEngine,
        point: SnapshotPoint,
        chain: Chain,
        stop: Option<Stop>,
        ahead: VecDeque<Journalled>,
    ) -> Self {
        let standing = Standing {
            offset_next: point.offset_next,
            chain,
            reference_offset_next: point.reference_offset_next,
            policy_offset_next: point.policy_offset.map_or(0, |offset| offset + 1),
            policy: point.policy_fingerprint,
            policy_offset: point.policy_offset,
            engine: point.engine,
            stop,
        };
        Self::with(engine, point.genesis, standing, Some(standing), ahead)
    }

    fn with(
        engine: PartitionEngine,
        genesis: Genesis,
        standing: Standing,
        committed: Option<Standing>,
        ahead: VecDeque<Journalled>,
    ) -> Self {
        let mut scored = Self {
            engine,
            genesis,
            standing,
            committed,
            is_touched: false,
            ahead,
            hash_committed: None,
            program: ENGINE,
            breaker: Breaker::new(DeadLetterLimit::default()),
            breaker_committed: Breaker::new(DeadLetterLimit::default()),
            trip: None,
            has_erased: false,
        };
        scored.hash_committed = scored.hash();
        scored
    }

    /// The same partition, handled by the engine `program` and stopped by more dead letters than `limit`; to be chosen before the first
    /// record.
    #[must_use]
    pub(super) fn handled_by(mut self, program: u32, limit: DeadLetterLimit) -> Self {
        (self.program, self.breaker) = (program, Breaker::new(limit));
        self.breaker_committed.clone_from(&self.breaker);
        self
    }

    /// The same, of whom snapshots will be taken.
    pub(super) fn with_changes_noted(mut self) -> Self {
        self.engine = self.engine.with_changes_noted();
        self
    }

    /// Where the partition stands, as its snapshot says it.
    ///
    /// # Panics
    /// Before the genesis is written.
    pub(super) fn point(&self, partition: i32) -> SnapshotPoint {
        let Standing {
            offset_next,
            chain,
            reference_offset_next,
            policy,
            policy_offset,
            engine,
            ..
        } = self.standing;
        SnapshotPoint {
            layout: LAYOUT,
            engine,
            genesis: self.genesis.clone(),
            partition,
            offset_next,
            seq: chain.seq().expect("the genesis comes before any commit"),
            journal_hash: chain.hash(),
            reference_offset_next,
            policy_fingerprint: policy,
            policy_offset,
        }
    }

    /// All of the state, as of the last commit.
    pub(super) fn image(&mut self) -> Image {
        self.has_erased = false;
        self.engine.image()
    }

    /// What has changed of it since the last image.
    pub(super) fn changes(&mut self) -> Image {
        self.engine.changes()
    }

    /// A customer was erased since the last image of all of the state.
    pub(super) const fn has_erased(&self) -> bool {
        self.has_erased
    }

    /// An older snapshot is still there that holds an erased customer.
    pub(super) const fn note_erasure(&mut self) {
        self.has_erased = true;
    }

    /// The next offset to handle.
    pub(super) const fn offset_next(&self) -> i64 {
        self.standing.offset_next
    }

    /// The offset a restart would go on from.
    pub(super) fn offset_committed(&self) -> i64 {
        self.committed.map_or(self.genesis.start_offset, |standing| standing.offset_next)
    }

    pub(super) const fn engine(&self) -> &PartitionEngine {
        &self.engine
    }

    pub(super) const fn is_touched(&self) -> bool {
        self.is_touched
    }

    /// The fingerprint of the policy in force.
    pub(super) const fn policy(&self) -> u64 {
        self.standing.policy
    }

    /// The fingerprint of the policy a restart would go on with.
    pub(super) fn policy_committed(&self) -> u64 {
        self.committed.map_or(self.genesis.policy_fingerprint, |standing| standing.policy)
    }

    /// What to commit.
    ///
    /// # Panics
    /// Before the genesis is written.
    pub(super) fn position(&self) -> Position {
        self.position_of(&self.standing)
    }

    fn position_of(&self, standing: &Standing) -> Position {
        let Standing { offset_next, chain, reference_offset_next, .. } = *standing;
        let seq = chain.seq().expect("the genesis comes before any commit");
        let lineage = self.genesis.lineage;
        Position {
            offset_next,
            mark: CommitMark { lineage, seq, hash: chain.hash(), reference_offset_next },
        }
    }

    /// Why no record is handled at present; speculative, as all else, until the transaction is certain.
    pub(super) const fn stopped(&self) -> Option<Stop> {
        self.standing.stop
    }

    /// The same, as a restart would find it.
    pub(super) fn stopped_committed(&self) -> Option<Stop> {
        self.committed.and_then(|standing| standing.stop)
    }

    /// Names this history of the partition.
    pub(super) const fn lineage(&self) -> [u8; 16] {
        self.genesis.lineage
    }

    /// Handles the record at `offset`.
    pub(super) fn handle(
        &mut self,
        offset: i64,
        record: Result<Event, Rejection>,
        effects: &mut Vec<Effect>,
    ) {
        self.is_touched = true;
        self.trip = self.breaker.note(record.is_err());
        self.standing.offset_next = offset + 1;
        let before = effects.len();
        self.engine.handle(Input::Record { offset, record }, effects);
        self.has_erased |= effects[before..].iter().any(is_erasure);
    }

    /// The journal record that begins this partition's history, or the reign of this program's engine over it, if it is not written yet.
    pub(super) fn begin(&mut self) -> Option<Vec<u8>> {
        let engine = self.program;
        let decision = if self.standing.chain.seq().is_none() {
            Decision::Genesis(self.genesis.clone())
        } else if self.standing.engine != engine && self.ahead.is_empty() {
            Decision::Engine { engine, version: env!("CARGO_PKG_VERSION").into() }
        } else {
            return None;
        };
        self.standing.engine = engine;
        Some(self.write(decision))
    }

    /// The journal record that stops this partition, if the last record handled gave reason to.
    pub(super) fn stop(&mut self) -> Option<Vec<u8>> {
        let cause = self.trip.take().filter(|_| self.ahead.is_empty())?;
        let value = self.write(Decision::Stop { cause });
        self.stop_for(cause);
        Some(value)
    }

    /// The journal record that ends the stop, if `is_resumed` says so of its `seq`.
    pub(super) fn resume(&mut self, is_resumed: impl FnOnce(u64) -> bool) -> Option<Vec<u8>> {
        let stop = self.standing.stop.filter(|_| self.ahead.is_empty())?;
        is_resumed(stop.seq).then(|| {
            self.go_on();
            self.write(Decision::Resume)
        })
    }

    /// A decision the engine does not hear of, as a journal record.
    fn write(&mut self, decision: Decision) -> Vec<u8> {
        self.is_touched = true;
        self.standing.chain.write(self.standing.offset_next, decision).1
    }

    /// The journal's last record stopped the partition.
    fn stop_for(&mut self, cause: StopCause) {
        let seq = self.standing.chain.seq().unwrap_or_default();
        self.standing.stop = Some(Stop { seq, offset: self.standing.offset_next, cause });
    }

    fn go_on(&mut self) {
        self.standing.stop = None;
        self.breaker.clear();
    }

    /// Lets the engine see `version`, if it is newer than the one it sees; the journal record that says so.
    pub(super) fn see(&mut self, version: &Version, effects: &mut Vec<Effect>) -> Option<Vec<u8>> {
        if version.offset_next <= self.standing.reference_offset_next || !self.ahead.is_empty() {
            return None;
        }
        let decision = Decision::Reference { offset_next: version.offset_next };
        let (record, value) = self.standing.chain.write(self.standing.offset_next, decision);
        self.show(record.seq, version.clone(), effects);
        Some(value)
    }

    /// Puts the newest policy in sight in force that can replace the one in force, unless it is the same; the journal record that says
    /// so. Those that cannot are `refused`.
    ///
    /// All that can replace the first policy can replace each other. So every partition comes to the same one, whatever it sees at once.
    pub(super) fn activate(
        &mut self,
        policies: &[PolicyRecord],
        mut refused: impl FnMut(&PolicyRecord, &BakedIn),
    ) -> Option<Vec<u8>> {
        if !self.ahead.is_empty() {
            return None;
        }
        let Standing { policy_offset_next, reference_offset_next, .. } = self.standing;
        self.standing.policy_offset_next = reference_offset_next;
        let place = |offset| policies.partition_point(|record| record.offset < offset);
        let unseen = policies.get(place(policy_offset_next)..place(reference_offset_next))?;
        let mut newest = None;
        for record in unseen {
            match record.policy.can_replace(self.engine.policy()) {
                Ok(()) => newest = Some(record),
                Err(baked_in) => refused(record, &baked_in),
            }
        }
        let PolicyRecord { offset, fingerprint, policy } =
            newest.filter(|record| record.fingerprint != self.standing.policy)?;
        let (reference_offset, fingerprint) = (*offset, *fingerprint);
        let decision = Decision::Policy { reference_offset, fingerprint };
        let (record, value) = self.standing.chain.write(self.standing.offset_next, decision);
        self.score_by(record.seq, reference_offset, fingerprint, policy);
        Some(value)
    }

    fn score_by(&mut self, seq: u64, offset: i64, fingerprint: u64, policy: &Arc<Policy>) {
        self.is_touched = true;
        (self.standing.policy, self.standing.policy_offset) = (fingerprint, Some(offset));
        self.engine.handle(Input::Policy { seq, policy: Arc::clone(policy) }, &mut Vec::new());
    }

    /// Advances the clock of an idle partition; the journal record that says so.
    pub(super) fn tick(&mut self, time: EventTime, effects: &mut Vec<Effect>) -> Option<Vec<u8>> {
        if !self.ahead.is_empty() {
            return None;
        }
        let (record, value) =
            self.standing.chain.write(self.standing.offset_next, Decision::Tick { time });
        self.is_touched = true;
        self.engine.handle(Input::Tick { seq: record.seq, time }, effects);
        Some(value)
    }

    fn show(
        &mut self,
        seq: u64,
        Version { offset_next, catalogue }: Version,
        effects: &mut Vec<Effect>,
    ) {
        self.is_touched = true;
        self.standing.reference_offset_next = offset_next;
        self.engine.handle(Input::Reference { seq, offset_next, catalogue }, effects);
    }

    /// The next decision the journal already holds that comes before the record at `offset`.
    pub(super) fn has_ahead(&self, offset: i64) -> bool {
        self.ahead.front().is_some_and(|next| next.record.at <= offset)
    }

    /// Repeats the next decision the journal already holds. `false` if it needs more of the reference log than there is.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn repeat(&mut self, reference: &ReferenceLog, effects: &mut Vec<Effect>) -> bool {
        let Journalled { record, chain } =
            self.ahead.front().expect("a decision to repeat").clone();
        match record.decision {
            Decision::Genesis(_) => {}
            Decision::Reference { offset_next } => {
                let Some(catalogue) = reference.version(offset_next) else { return false };
                self.show(record.seq, Version { offset_next, catalogue }, effects);
            }
            Decision::Policy { reference_offset, .. } => {
                let Some(found) = reference.policy(reference_offset) else { return false };
                self.standing.policy_offset_next = reference_offset + 1;
                self.score_by(record.seq, reference_offset, found.fingerprint, &found.policy);
            }
            Decision::Tick { time } => {
                self.engine.handle(Input::Tick { seq: record.seq, time }, effects)
            }
            Decision::Engine { engine, .. } => self.standing.engine = engine,
            Decision::Stop { .. } => {}
            Decision::Resume => self.go_on(),
        }
        self.is_touched = true;
        self.standing.chain = chain;
        if let Decision::Stop { cause } = record.decision {
            self.stop_for(cause);
        }
        self.ahead.pop_front();
        true
    }

    /// The last decision repeated, counted from the genesis.
    pub(super) const fn seq(&self) -> Option<u64> {
        self.standing.chain.seq()
    }

    /// All that was handled is certain.
    pub(super) fn commit(&mut self) {
        self.engine.commit();
        self.committed = Some(self.standing);
        self.breaker_committed.clone_from(&self.breaker);
        self.is_touched = false;
        self.hash_committed = self.hash();
    }

    /// Nothing that was handled since the last commit counts.
    ///
    /// # Panics
    /// In debug builds, if the engine is not put back to the last bit.
    pub(super) fn abort(&mut self) {
        self.engine.abort();
        let start = || Standing::at_start(&self.genesis, Chain::default());
        self.standing = self.committed.unwrap_or_else(start);
        self.breaker.clone_from(&self.breaker_committed);
        self.is_touched = false;
        if self.hash_committed.is_some() {
            assert_eq!(self.hash(), self.hash_committed, "an abort puts everything back");
        }
    }

    /// What became of the open transaction, of which nobody knows: the broker was asked and said `committed`, or nothing.
    pub(super) fn settle(&self, delivery: Delivery, committed: Option<&Committed>) -> Settlement {
        // At least once, the journal may hold decisions the offset knows nothing of: only the log tells.
        if delivery == Delivery::AtLeastOnce {
            return Settlement::Dropped;
        }
        // That nothing is committed is never believed here: a restore asks the journal too.
        let Some(Ok(Some(found))) = committed else { return Settlement::Dropped };
        match self.is_committed_at(*found) {
            Some(true) => Settlement::Kept,
            Some(false) => Settlement::Undone,
            None => Settlement::Dropped,
        }
    }

    /// Whether `found`, the broker's word, is where the partition stood before the open transaction (`Some(false)`), where it
    /// stands with it (`Some(true)`), or neither.
    fn is_committed_at(&self, found: Position) -> Option<bool> {
        if found == self.position() {
            return Some(true);
        }
        let before = self.committed.map(|standing| self.position_of(&standing));
        (Some(found) == before).then_some(false)
    }

    /// Debug builds, small engines: a hash of the whole engine.
    fn hash(&self) -> Option<u64> {
        let is_hashed = cfg!(debug_assertions) && self.engine.customer_count() <= HASHED_CUSTOMERS;
        is_hashed.then(|| self.engine.state_hash())
    }
}

/// What the engine of a history is made with.
pub(super) fn settings(scoring: &Scoring, genesis: &Genesis) -> Settings {
    Settings { policy: Arc::clone(&scoring.policy), salt: genesis.lineage, audit: scoring.audit }
}

const fn is_erasure(effect: &Effect) -> bool {
    matches!(&effect.action, Action::Publish(output) if matches!(output.body, OutputBody::CustomerErased { .. }))
}

#[cfg(test)]
mod tests {
    use super::super::reference::tests::{log_of, published};
    use super::*;
    use crate::engine::ENGINE;
    use crate::engine::RollUps;
    use crate::model::Policy;
    use crate::wire::{Expect, RecordRef, policy_fingerprint};

    fn scoring() -> Scoring {
        Scoring { policy: Arc::new(Policy::default()), audit: true, roll_ups: RollUps::Published }
    }

    fn genesis() -> Genesis {
        Genesis {
            lineage: [1; 16],
            events_topic_id: None,
            partition_count: 1,
            start_offset: 5,
            engine: ENGINE,
            policy_version: "generic-1".into(),
            policy_fingerprint: policy_fingerprint(&Policy::default()),
        }
    }

    fn fresh() -> Scored {
        Scored::new(genesis(), Chain::default(), VecDeque::new(), &scoring())
    }

    fn kept(promise: u32) -> Result<Event, Rejection> {
        let value = format!(
            r#"{{"specversion":"1.0","id":"k{promise}","source":"/s","type":"io.goodfaith.service.delivered.v1","subject":"ada","time":"2025-01-0{promise}T00:00:00Z","data":{{"ref":"r{promise}"}}}}"#
        );
        let record = RecordRef {
            key: Some(b"ada"),
            value: Some(value.as_bytes()),
            headers: &[],
            timestamp_ms: None,
        };
        crate::wire::decode(record, Expect::File)
    }

    /// Handles the deliveries `promises` at the offsets of their numbers; the effects.
    fn handle(scored: &mut Scored, promises: &[u32]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for promise in promises {
            scored.handle(i64::from(*promise) + 5, kept(*promise), &mut effects);
        }
        effects
    }

    #[test]
    fn an_aborted_genesis_is_written_again() {
        let mut scored = fresh();
        let first = scored.begin().unwrap();
        assert_eq!(scored.begin(), None);
        scored.abort();
        assert_eq!(scored.begin(), Some(first));
        scored.commit();
        assert_eq!(scored.begin(), None);
        assert_eq!(scored.position().offset_next, 5);
    }

    #[test]
    fn an_abort_puts_state_and_position_back() {
        let mut scored = fresh();
        scored.begin();
        handle(&mut scored, &[1]);
        scored.commit();
        let (before, hash) = (scored.position(), scored.engine().state_hash());
        let undone = handle(&mut scored, &[2, 3]);
        assert_ne!(scored.position(), before);
        scored.abort();
        assert_eq!((scored.position(), scored.engine().state_hash()), (before, hash));
        assert_eq!(handle(&mut scored, &[2, 3]), undone, "the same records give the same effects");
    }

    fn settled(scored: &Scored, found: Option<Position>) -> Settlement {
        scored.settle(Delivery::ExactlyOnce, Some(&Ok(found)))
    }

    #[test]
    fn the_committed_position_settles_an_unknown_outcome() {
        let mut scored = fresh();
        scored.begin();
        handle(&mut scored, &[1]);
        let first = scored.position();
        assert_eq!(settled(&scored, None), Settlement::Dropped, "nothing may be forgetfulness");
        assert_eq!(settled(&scored, Some(first)), Settlement::Kept);
        scored.commit();
        handle(&mut scored, &[2]);
        assert_eq!(settled(&scored, Some(first)), Settlement::Undone);
        assert_eq!(settled(&scored, Some(scored.position())), Settlement::Kept);
        let elsewhere = Position { offset_next: 99, ..first };
        assert_eq!(settled(&scored, Some(elsewhere)), Settlement::Dropped);
        assert_eq!(settled(&scored, None), Settlement::Dropped);
        assert_eq!(scored.settle(Delivery::ExactlyOnce, None), Settlement::Dropped, "no answer");
        let at_least_once = scored.settle(Delivery::AtLeastOnce, Some(&Ok(Some(first))));
        assert_eq!(at_least_once, Settlement::Dropped);
    }

    #[test]
    fn a_transaction_without_records_can_be_told_from_the_one_before() {
        let mut scored = fresh();
        scored.begin();
        scored.commit();
        let before = scored.position();
        scored.tick(EventTime::from_millis(1), &mut Vec::new()).unwrap();
        assert_eq!(scored.position().offset_next, before.offset_next);
        assert_ne!(scored.position(), before);
    }

    const LOW: &str = r#"{"version":"low","base_rate":0.1}"#;
    const LOWER: &str = r#"{"version":"lower","base_rate":0.05}"#;
    const BAKED: &str = r#"{"version":"baked","dimensions":{"care":{"lambda":3}}}"#;

    /// Sees all of `log` and decides about its policies; the version in force then, and those refused.
    fn decide(scored: &mut Scored, log: &ReferenceLog) -> (String, Vec<String>) {
        let mut refused = Vec::new();
        scored.see(&log.latest(), &mut Vec::new());
        scored
            .activate(&log.policies(), |record, _| refused.push(record.policy.version.to_string()));
        (scored.engine().policy().version.to_string(), refused)
    }

    #[test]
    fn however_policies_come_into_sight_the_newest_that_can_is_in_force() {
        let all = [LOW, BAKED, LOWER, BAKED];
        let mut step_by_step = fresh();
        step_by_step.begin();
        for seen in 1..=all.len() {
            let log = log_of(all[..seen].iter().map(|json| published(json)).collect());
            decide(&mut step_by_step, &log);
        }
        let mut at_once = fresh();
        at_once.begin();
        let log = log_of(all.iter().map(|json| published(json)).collect());
        let (version, refused) = decide(&mut at_once, &log);
        assert_eq!(
            (version.as_str(), refused.as_slice()),
            ("lower", &["baked".to_owned(), "baked".to_owned()][..])
        );
        assert_eq!(step_by_step.engine().policy(), at_once.engine().policy());
        assert_eq!(decide(&mut at_once, &log).1, Vec::<String>::new(), "decided once");
    }

    #[test]
    fn the_policy_in_force_published_again_is_no_decision() {
        let mut scored = fresh();
        scored.begin();
        decide(&mut scored, &log_of(vec![published(LOW)]));
        let chain = scored.standing.chain;
        let log = log_of(vec![published(LOW), published(LOW)]);
        scored.see(&log.latest(), &mut Vec::new());
        let seen = scored.standing.chain;
        assert_ne!(seen, chain);
        assert_eq!(scored.activate(&log.policies(), |_, _| ()), None);
        assert_eq!(scored.standing.chain, seen);
    }

    #[test]
    fn an_aborted_activation_is_decided_again() {
        let mut scored = fresh();
        scored.begin();
        scored.commit();
        let log = log_of(vec![published(LOW)]);
        assert_eq!(decide(&mut scored, &log).0, "low");
        scored.abort();
        assert_eq!(*scored.engine().policy().version, *"generic-1");
        assert_eq!(
            (scored.policy(), scored.policy_committed()),
            (genesis().policy_fingerprint, genesis().policy_fingerprint)
        );
        assert_eq!(decide(&mut scored, &log).0, "low");
    }

    #[test]
    fn a_policy_the_journal_holds_is_repeated_where_it_was_decided() {
        let log = log_of(vec![published(LOW), published(LOWER)]);
        let mut original = fresh();
        original.begin();
        let genesis_chain = original.standing.chain;
        let mut effects = handle(&mut original, &[1]);
        let mut ahead = VecDeque::new();
        let mut note = |scored: &Scored, value: Option<Vec<u8>>| {
            let record = JournalRecord::decode(&value.unwrap()).unwrap();
            ahead.push_back(Journalled { record, chain: scored.standing.chain });
        };
        let value = original.see(&log.latest(), &mut effects);
        note(&original, value);
        let value = original.activate(&log.policies(), |_, _| ());
        note(&original, value);
        effects.extend(handle(&mut original, &[2]));

        let mut again = Scored::new(genesis(), genesis_chain, ahead, &scoring());
        let mut repeated = handle(&mut again, &[1]);
        while again.has_ahead(7) {
            assert!(again.repeat(&log, &mut repeated));
        }
        repeated.extend(handle(&mut again, &[2]));
        assert_eq!(repeated, effects);
        assert_eq!(
            (again.standing, again.engine().state_hash()),
            (original.standing, original.engine().state_hash())
        );
        assert_eq!(again.policy(), policy_fingerprint(again.engine().policy()));
    }

    const LIMIT: DeadLetterLimit = DeadLetterLimit { share: 0.2, window: 10 };

    /// Handles a record at `offset` that nobody can use.
    fn poison(scored: &mut Scored, offset: i64) {
        let value = RecordRef { key: None, value: None, headers: &[], timestamp_ms: None };
        scored.handle(offset, crate::wire::decode(value, Expect::File), &mut Vec::new());
    }

    /// A partition that has just been stopped after the record at offset 7.
    fn stopped() -> (Scored, Vec<u8>) {
        let mut scored = fresh().handled_by(ENGINE, LIMIT);
        scored.begin();
        (5..7).for_each(|offset| poison(&mut scored, offset));
        assert_eq!(scored.stop(), None);
        scored.commit();
        poison(&mut scored, 7);
        let value = scored.stop().expect("more than 2 in 10");
        (scored, value)
    }

    #[test]
    fn a_stop_is_decided_again_after_an_abort_and_ends_only_by_its_name() {
        let (mut scored, first) = stopped();
        let stop = scored.stopped().expect("stopped");
        assert_eq!((stop.seq, stop.offset), (1, 8));
        assert_eq!(scored.stopped_committed(), None);
        scored.abort();
        assert_eq!(scored.stopped(), None);
        poison(&mut scored, 7);
        assert_eq!(scored.stop(), Some(first), "the same records come to the same stop");
        scored.commit();
        assert_eq!(scored.stopped_committed(), Some(stop));
        assert_eq!(scored.resume(|seq| seq == 9), None);
        assert!(scored.resume(|seq| seq == 1).is_some());
        assert_eq!(scored.stopped(), None);
        scored.abort();
        assert_eq!(scored.stopped(), Some(stop));
        assert!(scored.resume(|_| true).is_some());
        scored.commit();
        poison(&mut scored, 8);
        assert_eq!(scored.stop(), None, "the count begins anew");
    }

    #[test]
    fn a_stop_and_a_resume_are_repeated_and_leave_no_other_trace() {
        let (mut original, stop) = stopped();
        let halted = original.standing;
        let resume = original.resume(|_| true).unwrap();
        let mut effects = handle(&mut original, &[3]);

        let journal = |values: &[&Vec<u8>]| {
            let mut chain = Chain::default();
            chain.write(5, Decision::Genesis(genesis()));
            let begun = chain;
            let read = |value: &&Vec<u8>| {
                let record = chain.read(value).unwrap();
                Journalled { record, chain }
            };
            let ahead: VecDeque<Journalled> = values.iter().map(read).collect();
            Scored::new(genesis(), begun, ahead, &scoring()).handled_by(ENGINE, LIMIT)
        };
        let mut again = journal(&[&stop]);
        (5..8).for_each(|offset| poison(&mut again, offset));
        assert_eq!(again.stop(), None, "the journal's decision comes first");
        assert!(again.repeat(&ReferenceLog::new(), &mut Vec::new()));
        assert_eq!(again.standing, halted, "a restart finds it stopped");

        let mut whole = journal(&[&stop, &resume]);
        (5..8).for_each(|offset| poison(&mut whole, offset));
        while whole.has_ahead(8) {
            assert!(whole.repeat(&ReferenceLog::new(), &mut Vec::new()));
        }
        assert_eq!(handle(&mut whole, &[3]), effects);
        assert_eq!((whole.standing, &whole.breaker), (original.standing, &original.breaker));

        let mut never = fresh();
        never.begin();
        (5..8).for_each(|offset| poison(&mut never, offset));
        assert_eq!(
            handle(&mut never, &[3]),
            std::mem::take(&mut effects),
            "no output depends on it"
        );
        assert_eq!(never.engine().state_hash(), whole.engine().state_hash());
    }

    #[test]
    fn another_engine_is_journalled_once_before_all_else() {
        let mut scored = fresh();
        scored.begin();
        scored.commit();
        let mut scored = scored.handled_by(ENGINE + 1, LIMIT);
        let value = scored.begin().expect("the engine is another");
        let Decision::Engine { engine, version } = JournalRecord::decode(&value).unwrap().decision
        else {
            panic!("another decision");
        };
        assert_eq!((engine, &*version), (ENGINE + 1, env!("CARGO_PKG_VERSION")));
        assert_eq!(scored.begin(), None);
        scored.abort();
        assert_eq!(scored.begin(), Some(value), "decided again after an abort");
    }

    #[test]
    fn decisions_the_journal_holds_are_repeated_before_new_ones() {
        let mut original = fresh();
        original.begin();
        let genesis_chain = original.standing.chain;
        let mut effects = handle(&mut original, &[1]);
        let time = EventTime::parse("2025-03-01T00:00:00Z").unwrap();
        original.tick(time, &mut effects);

        let record = JournalRecord { seq: 1, at: 7, decision: Decision::Tick { time } };
        let ahead = VecDeque::from([Journalled { record, chain: original.standing.chain }]);
        let mut again = Scored::new(genesis(), genesis_chain, ahead, &scoring());
        assert!(!again.has_ahead(6) && again.has_ahead(7));
        assert_eq!(again.tick(time, &mut Vec::new()), None, "the journal's decision comes first");
        let mut repeated = handle(&mut again, &[1]);
        assert!(again.repeat(&ReferenceLog::new(), &mut repeated));
        assert_eq!(repeated, effects);
        assert_eq!(again.position(), original.position());
        assert!(again.tick(time, &mut Vec::new()).is_some());
    }
}
