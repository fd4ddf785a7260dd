//! The customers of one partition, the order in which their timers are due, and the way back: what was touched since the last
//! commit is kept as it was, so that an abort puts all of it back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::{HashMap, HashSet};
use sha2::{Digest, Sha256};

use super::publish::Publication;
use crate::model::EventTime;
use crate::model::customer::Customer;

/// One customer and what has been published of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) customer: Customer,
    pub(super) publication: Publication,
}

impl Entry {
    pub(super) fn new(customer: Customer) -> Self {
        Self { customer, publication: Publication::default() }
    }
}

/// Customers measured to estimate the size of all.
const SAMPLE: usize = 256;

/// Names an erased customer without holding its id: the first 16 bytes of SHA-256 over salt and id.
type RefusalKey = [u8; 16];

/// All customers of a partition.
#[derive(Debug, Default)]
pub(super) struct Store {
    entries: HashMap<Arc<str>, Box<Entry>, FixedState>,
    /// The earliest deadline of every customer that has one.
    deadlines: BTreeSet<(EventTime, Arc<str>)>,
    /// Erased customers: up to when their events are refused.
    refusals: BTreeMap<RefusalKey, EventTime>,
    undo: Undo,
}

/// What was touched since the last commit, as it was.
#[derive(Debug, Default)]
struct Undo {
    /// Nothing is kept: what is changed is final at once.
    is_off: bool,
    entries: Vec<(Arc<str>, Option<Box<Entry>>)>,
    touched: HashSet<Arc<str>, FixedState>,
    refusals: Vec<(RefusalKey, Option<EventTime>)>,
}

impl Store {
    pub(super) fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id).map(|entry| &**entry)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Rough size of all customers in bytes, from a sample of them.
    pub(super) fn bytes(&self) -> usize {
        let sampled = self.entries.iter().take(SAMPLE);
        let (count, bytes) = sampled.fold((0, 0), |(count, bytes), (id, entry)| {
            // The id, the index entry of its deadline and the table's own slot are a customer's too.
            let own =
                size_of::<Entry>() + id.len() + 5 * size_of::<usize>() + 2 * size_of::<Arc<str>>();
            (count + 1, bytes + own + entry.customer.heap_bytes())
        });
        bytes.checked_div(count).map_or(0, |each| each * self.entries.len())
    }

    /// Every id, in order.
    pub(super) fn ids(&self) -> Vec<Arc<str>> {
        let mut ids: Vec<Arc<str>> = self.entries.keys().cloned().collect();
        ids.sort_unstable();
        ids
    }

    /// Changes the customer `id`, made by `make` if it is new; its deadline is indexed anew.
    pub(super) fn change<R>(
        &mut self,
        id: &Arc<str>,
        make: impl FnOnce() -> Entry,
        change: impl FnOnce(&mut Entry) -> R,
    ) -> R {
        self.keep_as_it_was(id);
        let entry = self.entries.entry(Arc::clone(id)).or_insert_with(|| Box::new(make()));
        let before = entry.customer.timers.earliest();
        let result = change(entry);
        let after = entry.customer.timers.earliest();
        self.reindex(id, before, after);
        result
    }

    /// Drops the customer `id`; what it was.
    pub(super) fn remove(&mut self, id: &Arc<str>) -> Option<Box<Entry>> {
        self.keep_as_it_was(id);
        let entry = self.entries.remove(id)?;
        self.reindex(id, entry.customer.timers.earliest(), None);
        Some(entry)
    }

    /// The customer whose timer is due first, if that is by `watermark`; ties by id.
    pub(super) fn first_due(&self, watermark: EventTime) -> Option<Arc<str>> {
        self.deadlines
            .first()
            .filter(|(deadline, _)| *deadline <= watermark)
            .map(|(_, id)| Arc::clone(id))
    }

    /// Up to when events of `id` are refused.
    pub(super) fn refused_until(&self, salt: [u8; 16], id: &str) -> Option<EventTime> {
        if self.refusals.is_empty() {
            None
        } else {
            self.refusals.get(&refusal_key(salt, id)).copied()
        }
    }

    /// Refuses events of `id` up to `until`.
    pub(super) fn refuse(&mut self, salt: [u8; 16], id: &str, until: EventTime) {
        let key = refusal_key(salt, id);
        let before = self.refusals.get(&key).copied();
        self.undo.refusals.push((key, before));
        self.refusals.insert(key, before.map_or(until, |before| before.max(until)));
    }

    /// Makes what was changed final.
    pub(super) fn commit(&mut self) {
        self.undo.entries.clear();
        self.undo.touched.clear();
        self.undo.refusals.clear();
    }

    /// Puts back what was changed.
    pub(super) fn abort(&mut self) {
        assert!(!self.undo.is_off, "an engine that forwent undo cannot abort");
        for (id, before) in std::mem::take(&mut self.undo.entries) {
            let deadline = |entry: &Entry| entry.customer.timers.earliest();
            let now = self.entries.remove(&id).and_then(|entry| deadline(&entry));
            let then = before.as_deref().and_then(deadline);
            self.reindex(&id, now, then);
            if let Some(before) = before {
                self.entries.insert(id, before);
            }
        }
        for (key, before) in std::mem::take(&mut self.undo.refusals).into_iter().rev() {
            match before {
                Some(until) => self.refusals.insert(key, until),
                None => self.refusals.remove(&key),
            };
        }
        self.undo.touched.clear();
    }

    /// Customers touched since the last commit: what an abort would have to put back.
    pub(super) fn touched(&self) -> usize {
        self.undo.entries.len()
    }

    /// What of it is state: customers in order, deadlines and refusals.
    pub(super) fn describe(&self, into: &mut impl FnMut(&str)) {
        for id in self.ids() {
            into(&format!("{:?}", self.entries.get(&id)));
        }
        into(&format!("{:?} {:?}", self.deadlines, self.refusals));
    }

    /// From now on what is changed is final at once.
    pub(super) fn forgo_undo(&mut self) {
        self.undo.is_off = true;
    }

    /// What is changed is final at once.
    pub(super) const fn forgoes_undo(&self) -> bool {
        self.undo.is_off
    }

    fn keep_as_it_was(&mut self, id: &Arc<str>) {
        if !self.undo.is_off && self.undo.touched.insert(Arc::clone(id)) {
            self.undo.entries.push((Arc::clone(id), self.entries.get(id).cloned()));
        }
    }

    fn reindex(&mut self, id: &Arc<str>, before: Option<EventTime>, after: Option<EventTime>) {
        if before != after {
            if let Some(before) = before {
                self.deadlines.remove(&(before, Arc::clone(id)));
            }
            if let Some(after) = after {
                self.deadlines.insert((after, Arc::clone(id)));
            }
        }
    }
}

fn refusal_key(salt: [u8; 16], id: &str) -> RefusalKey {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(id);
    let mut key = RefusalKey::default();
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}
