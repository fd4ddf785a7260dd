//! How a worker answers the group, and how it settles a transaction nobody can vouch for: the two places where what it holds may
//! turn out not to be its own.

use std::time::{Duration, Instant};

use backon::{BlockingRetryable as _, ConstantBuilder};
use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::clock;
use super::error::{Error, Result};
use super::fact::{Fact, Settlement};
use super::failure::Failure;
use super::member::{self, Rebalance};
use super::native::Taint;
use super::offsets::{self, Committed};
use super::owners::Owners;
use super::restore::Phase;
use super::worker::{Owned, Shared, Worker};
use crate::live::PartitionStatus;

/// One question to the broker, the pause before it is asked again, and how often: a broker may be away for a while.
const QUESTION: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
const ATTEMPTS: usize = 100;
/// How long the broker may take to settle a transaction: it ends one by itself after 10 s.
const SETTLE: Duration = Duration::from_secs(60);
/// What the coordinator says of an offset in a transaction that has not ended.
const NOT_YET: &str = "one is in an open transaction";

impl Worker {
    /// Does what the group asks.
    ///
    /// # Errors
    /// If the open transaction cannot be ended, or the client refuses.
    pub(super) fn rebalance(&mut self, rebalance: &Rebalance) -> Result<()> {
        let worker = self.number;
        self.note_generation();
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = numbers(list);
                // Before records flow: what comes by the consumer's own queue is passed over.
                let topic = self.shared.topics.events();
                partitions.iter().for_each(|partition| self.queue.forward(topic, *partition));
                let starts = self.starts(&partitions)?;
                self.member
                    .incremental_assign(&starts)
                    .map_err(Error::while_doing("taking partitions"))?;
                let assigned = partitions.len();
                self.tell_membership(true);
                partitions.into_iter().for_each(|partition| self.take_over(partition));
                let fact = Fact::Rebalanced { worker, assigned, revoked: 0, is_lost: false };
                self.shared.observer.observe(fact);
            }
            Rebalance::Revoke(list) => {
                let (is_lost, started) = (self.member.assignment_lost(), clock::now());
                self.tell_membership(!is_lost);
                self.end_transaction(is_lost)?;
                self.tell_drained(started);
                let partitions = numbers(list);
                let revoked = partitions.len();
                partitions.into_iter().for_each(|partition| self.give_back(partition, is_lost));
                member::answer(&self.member, rebalance)
                    .map_err(Error::while_doing("giving partitions back"))?;
                let fact = Fact::Rebalanced { worker, assigned: 0, revoked, is_lost };
                self.shared.observer.observe(fact);
            }
        }
        Ok(())
    }

    /// A static member that begins leaves the group and joins it again, if partitions have no owner: see [`owners`](super::owners).
    ///
    /// # Errors
    /// If the client refuses to join.
    pub(super) fn watch_owners(&mut self, now: Instant) -> Result<()> {
        let is_member = self.shared.live.workers.get(&self.number).is_some_and(|w| w.is_member);
        let Some(watch) = self.owners.as_mut().filter(|watch| is_member && watch.is_due(now))
        else {
            return Ok(());
        };
        let Shared { settings, topics, events, .. } = &*self.shared;
        let (group, partitions) = (&settings.group_id, events.partition_count);
        match watch.look(&self.member, group, topics.events(), partitions, now) {
            Owners::Unclear => {}
            Owners::All => self.owners = None,
            Owners::Missing(partitions) => {
                let fact = Fact::OwnersMissing { worker: self.number, partitions };
                self.shared.observer.observe(fact);
                self.tell_membership(false);
                self.member.unsubscribe();
                self.subscribe()?;
            }
        }
        Ok(())
    }

    fn tell_membership(&self, is_member: bool) {
        self.shared.live.workers.entry(self.number).or_default().is_member = is_member;
    }

    /// The partitions at the beginning of their logs, as numbers. Where to read from is known only later, but a logical position is
    /// not an option: librdkafka repeats its look-up after an answer that came too late, and would then move the partition away
    /// from wherever it has been put meanwhile.
    fn starts(&self, partitions: &[i32]) -> Result<TopicPartitionList> {
        let topic = self.shared.topics.events();
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let (start, _) = (|| self.member.fetch_watermarks(topic, *partition, QUESTION))
                .retry(ConstantBuilder::default().with_delay(PAUSE).with_max_times(ATTEMPTS))
                .call()
                .map_err(Error::while_doing("asking for the beginning of a log"))?;
            list.add_partition_offset(topic, *partition, Offset::Offset(start))
                .map_err(Error::while_doing("taking partitions"))?;
        }
        Ok(list)
    }

    /// Ends the open transaction before partitions go: committed, or, if another member may own them already, discarded.
    fn end_transaction(&mut self, is_lost: bool) -> Result<()> {
        if !is_lost || self.outbox.open.is_none() {
            return self.commit();
        }
        let failure = Failure::new(RDKafkaErrorCode::AssignmentLost, "the assignment is lost");
        let outcome = self.outbox.publisher.abort(failure);
        self.conclude(outcome)
    }

    fn take_over(&mut self, partition: i32) {
        self.pause(partition);
        self.partitions.insert(partition, Owned::new());
        let inbox = self.inbox_sender.clone();
        self.shared.live.partitions.insert(partition, PartitionStatus::restoring(inbox));
        self.shared.observer.observe(Fact::PartitionAssigned { partition });
    }

    fn give_back(&mut self, partition: i32, is_lost: bool) {
        self.queue.release(self.shared.topics.events(), partition);
        if let Some(owned) = self.partitions.remove(&partition) {
            if let Phase::Reading(_) = owned.phase {
                self.restorer.close_journal(partition);
            }
            self.part_with(partition, owned, is_lost);
        }
        self.shared.live.partitions.remove(&partition);
        self.shared.observer.observe(Fact::PartitionRevoked { partition });
    }

    /// Replaces a tainted producer while no transaction is open. What has ended is certain: the last request was answered. But a
    /// repeated request may arrive once more, and must then find another producer's epoch, not an open transaction of its own.
    ///
    /// # Errors
    /// If there is no new producer.
    pub(super) fn retire_tainted(&mut self) -> Result<()> {
        let taint = self.outbox.publisher.taint().filter(|_| self.outbox.open.is_none());
        let Some(Taint { request, code }) = taint else { return Ok(()) };
        let (worker, reason) = (self.number, code.to_string());
        self.shared.observer.observe(Fact::ProducerTainted { worker, request, reason: &reason });
        self.outbox.publisher.retire()
    }

    /// Finds out what became of a transaction of unknown outcome. The producer is replaced, which makes the broker end the
    /// transaction one way or the other; then the committed offset, with its mark, tells for each partition which way it was.
    ///
    /// # Errors
    /// If there is no new producer, no answer, or this happens too often in a row.
    pub(super) fn settle(&mut self, failure: &Failure) -> Result<()> {
        let (worker, reason) = (self.number, failure.to_string());
        self.shared.observer.observe(Fact::ProducerRetired { worker, reason: &reason });
        self.outbox.publisher.retire()?;
        let touched: Vec<i32> = self.touched().map(|(partition, _)| partition).collect();
        let committed = self.committed_of(&touched, &reason)?;
        let mut undone = Vec::new();
        for partition in touched {
            let settlement = self.settlement(partition, committed.get(&partition));
            self.shared.observer.observe(Fact::TransactionSettled { partition, settlement });
            match settlement {
                Settlement::Kept => {}
                Settlement::Undone => undone.push(partition),
                Settlement::Dropped => self.start_over(partition),
            }
        }
        self.undo(&undone);
        let is_kept = self.touched().next().is_some();
        if is_kept {
            // What is still touched was committed after all.
            self.keep();
            return Ok(());
        }
        self.rewind();
        self.outbox.open = None;
        self.note_failure(&reason)
    }

    fn settlement(&self, partition: i32, committed: Option<&Committed>) -> Settlement {
        let Some(Owned { phase: Phase::Running(scored), .. }) = self.partitions.get(&partition)
        else {
            return Settlement::Dropped;
        };
        scored.settle(self.shared.settings.delivery, committed)
    }

    /// Asks what is committed until there is an answer for each.
    fn committed_of(
        &self,
        partitions: &[i32],
        reason: &str,
    ) -> Result<std::collections::BTreeMap<i32, Committed>> {
        if partitions.is_empty() {
            return Ok(std::collections::BTreeMap::new());
        }
        let deadline = clock::now() + SETTLE;
        let topic = self.shared.topics.events();
        loop {
            let wanted = partitions.iter().copied();
            match offsets::committed(&self.member, topic, wanted, QUESTION) {
                Ok(committed) if committed.len() == partitions.len() => return Ok(committed),
                _ if clock::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
                answer => {
                    let answer =
                        answer.map_or_else(|error| error.to_string(), |_| NOT_YET.to_owned());
                    let reason = format!("{reason}; then the offsets could not be had: {answer}");
                    return Err(Error::TransactionsFail { attempts: 1, reason });
                }
            }
        }
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(|element| element.partition()).collect()
}
