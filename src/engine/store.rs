//! The customers of one partition, the order in which their timers are due, and the way back.
//!
//! A customer rests as packed bytes. Whoever touches one works on a draft of it; a commit packs the drafts and puts them in place of
//! what they were made from, an abort drops them. So what an abort puts back was never changed, and an image of all customers
//! as of the last commit costs no more than a reference to each.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::{HashMap, HashSet};
use sha2::{Digest, Sha256};

use super::entry::{Entry, earliest};
use crate::model::EventTime;

/// Drafts that are held unpacked at most: what one input can touch has no bound, as time may pass for everybody at once.
const UNPACKED: usize = 4096;

/// Names an erased customer without holding its id: the first 16 bytes of SHA-256 over salt and id.
type RefusalKey = [u8; 16];

/// A customer as it rests.
pub(super) type Packed = Arc<[u8]>;

/// Erased customers: up to when their events are refused.
pub(super) type Refusals = BTreeMap<RefusalKey, EventTime>;

/// All customers of a partition.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// As of the last commit.
    packed: HashMap<Arc<str>, Packed, FixedState>,
    /// Those touched since.
    drafts: HashMap<Arc<str>, Draft, FixedState>,
    /// How many of the drafts are unpacked.
    unpacked: usize,
    /// The earliest deadline of every customer that has one, drafts included.
    deadlines: BTreeSet<(EventTime, Arc<str>)>,
    refusals: Refusals,
    /// Refusals made since the last commit, as they were.
    refusals_before: Vec<(RefusalKey, Option<EventTime>)>,
    /// Whoever was changed or erased since the last image; `None`: nobody asks.
    changed: Option<HashSet<Arc<str>, FixedState>>,
    /// What is changed is final soon: there is no way back.
    is_final: bool,
    /// Lengths of all ids and packed customers.
    bytes: usize,
    buffer: Vec<u8>,
}

/// A customer somebody touched since the last commit.
#[derive(Debug)]
enum Draft {
    /// As it is now; read only, if nobody changed it.
    Unpacked { entry: Box<Entry>, is_changed: bool },
    /// As it is now.
    Packed(Packed),
    /// There is none any more.
    Erased,
}

impl Store {
    /// A store of customers at rest.
    ///
    /// # Errors
    /// If one holds too few bytes for its deadline.
    pub(super) fn of(
        customers: impl IntoIterator<Item = (Arc<str>, Packed)>,
        refusals: Refusals,
    ) -> Result<Self, postcard::Error> {
        let mut store = Self { refusals, ..Self::default() };
        let mut deadlines = Vec::new();
        for (id, packed) in customers {
            deadlines.extend(earliest(&packed)?.map(|deadline| (deadline, Arc::clone(&id))));
            store.put(id, packed);
        }
        // Collected at once, since a tree is built several times faster from a list in order.
        store.deadlines = deadlines.into_iter().collect();
        Ok(store)
    }

    /// The customer `id`, brought out of its rest.
    pub(super) fn touch(&mut self, id: &Arc<str>) -> Option<&Entry> {
        match self.draft(id) {
            Some(Draft::Unpacked { entry, .. }) => Some(entry),
            _ => None,
        }
    }

    /// The customer `id`, left at its rest.
    pub(super) fn read(&self, id: &str) -> Option<Cow<'_, Entry>> {
        let (id, packed) = match self.drafts.get_key_value(id) {
            Some((_, Draft::Unpacked { entry, .. })) => return Some(Cow::Borrowed(entry)),
            Some((_, Draft::Erased)) => return None,
            Some((id, Draft::Packed(packed))) => (id, packed),
            None => self.packed.get_key_value(id)?,
        };
        Some(Cow::Owned(unpack(id, packed)))
    }

    /// The draft of `id`, unpacked unless it is erased; `None` if there is no such customer.
    fn draft(&mut self, id: &Arc<str>) -> Option<&mut Draft> {
        if !matches!(self.drafts.get(id), Some(Draft::Unpacked { .. } | Draft::Erased)) {
            let (packed, is_changed) = match self.drafts.get(id) {
                Some(Draft::Packed(packed)) => (packed, true),
                _ => (self.packed.get(id)?, false),
            };
            let entry = Box::new(unpack(id, packed));
            self.make_room();
            self.drafts.insert(Arc::clone(id), Draft::Unpacked { entry, is_changed });
            self.unpacked += 1;
        }
        self.drafts.get_mut(id)
    }

    /// Changes the customer `id`, made by `make` if it is new; its deadline is indexed anew.
    pub(super) fn change<R>(
        &mut self,
        id: &Arc<str>,
        make: impl FnOnce() -> Entry,
        change: impl FnOnce(&mut Entry) -> R,
    ) -> R {
        if self.touch(id).is_none() {
            self.make_room();
            let entry = Box::new(make());
            self.drafts.insert(Arc::clone(id), Draft::Unpacked { entry, is_changed: true });
            self.unpacked += 1;
        }
        let Some(Draft::Unpacked { entry, is_changed }) = self.drafts.get_mut(id) else {
            unreachable!("whoever is touched is unpacked");
        };
        *is_changed = true;
        let before = entry.customer.timers.earliest();
        let result = change(entry);
        let after = entry.customer.timers.earliest();
        self.reindex(id, before, after);
        result
    }

    /// Drops the customer `id`; what it was.
    pub(super) fn remove(&mut self, id: &Arc<str>) -> Option<Box<Entry>> {
        self.touch(id)?;
        let draft = self.drafts.insert(Arc::clone(id), Draft::Erased);
        let Some(Draft::Unpacked { entry, .. }) = draft else {
            unreachable!("whoever is touched is unpacked");
        };
        self.unpacked -= 1;
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
        self.refusals_before.push((key, before));
        self.refusals.insert(key, before.map_or(until, |before| before.max(until)));
    }

    /// Makes what was changed final.
    pub(super) fn commit(&mut self) {
        self.pack();
        for (id, draft) in std::mem::take(&mut self.drafts) {
            if let Some(changed) = &mut self.changed {
                changed.insert(Arc::clone(&id));
            }
            match draft {
                Draft::Packed(packed) => self.put(id, packed),
                Draft::Erased => self.drop_packed(&id),
                Draft::Unpacked { .. } => unreachable!("all drafts were packed"),
            }
        }
        self.refusals_before.clear();
    }

    /// Puts back what was changed.
    pub(super) fn abort(&mut self) {
        assert!(!self.is_final, "an engine that forwent undo cannot abort");
        for (id, draft) in std::mem::take(&mut self.drafts) {
            let now = match draft {
                Draft::Unpacked { entry, .. } => entry.customer.timers.earliest(),
                Draft::Packed(packed) => deadline(&packed),
                Draft::Erased => None,
            };
            let then = self.packed.get(&id).and_then(|packed| deadline(packed));
            self.reindex(&id, now, then);
        }
        self.unpacked = 0;
        for (key, before) in std::mem::take(&mut self.refusals_before).into_iter().rev() {
            match before {
                Some(until) => self.refusals.insert(key, until),
                None => self.refusals.remove(&key),
            };
        }
    }

    /// From now on what is changed is final soon.
    pub(super) fn forgo_undo(&mut self) {
        self.is_final = true;
    }

    /// What is changed is final soon.
    pub(super) const fn forgoes_undo(&self) -> bool {
        self.is_final
    }

    /// From now on whoever is changed is noted, for [`Self::take_changed`].
    pub(super) fn note_changes(&mut self) {
        self.changed = Some(HashSet::default());
    }

    /// Everybody, as of the last commit. The notes begin anew.
    pub(super) fn all(&mut self) -> Vec<(Arc<str>, Option<Packed>)> {
        if let Some(changed) = &mut self.changed {
            changed.clear();
        }
        self.packed.iter().map(|(id, packed)| (Arc::clone(id), Some(Arc::clone(packed)))).collect()
    }

    /// Whoever was noted as of the last commit; `None` for whoever is gone. The notes begin anew.
    pub(super) fn take_changed(&mut self) -> Vec<(Arc<str>, Option<Packed>)> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        let now = |id: Arc<str>| {
            let packed = self.packed.get(&id).cloned();
            (id, packed)
        };
        changed.into_iter().map(now).collect()
    }

    /// Up to when events of erased customers are refused.
    pub(super) const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Customers touched since the last commit.
    pub(super) fn touched(&self) -> usize {
        self.drafts.len()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let gained = |(id, draft): (&Arc<str>, &Draft)| {
            let is_there = !matches!(draft, Draft::Erased);
            isize::from(is_there) - isize::from(self.packed.contains_key(id))
        };
        self.packed.len().saturating_add_signed(self.drafts.iter().map(gained).sum())
    }

    /// Bytes that the customers take as of the last commit: their ids and packed bytes, the reference counts before both, their
    /// slots in the table, and the index of their deadlines. Drafts, which are few, and unused room are not in it.
    pub(super) fn bytes(&self) -> usize {
        let counts = 2 * size_of::<usize>();
        let slot = size_of::<(Arc<str>, Packed)>() + 1;
        let indexed = size_of::<(EventTime, Arc<str>)>();
        self.bytes + self.packed.len() * (2 * counts + slot) + self.deadlines.len() * indexed
    }

    /// Every id, in order.
    pub(super) fn ids(&self) -> Vec<Arc<str>> {
        let rested = self.packed.keys().filter(|id| !self.drafts.contains_key(&***id));
        let drafted = self.drafts.iter().filter(|(_, draft)| !matches!(draft, Draft::Erased));
        let mut ids: Vec<_> = rested.chain(drafted.map(|(id, _)| id)).cloned().collect();
        ids.sort_unstable();
        ids
    }

    /// What of it is state: customers in order, deadlines and refusals.
    pub(super) fn describe(&self, into: &mut impl FnMut(&[u8])) {
        let mut buffer = Vec::new();
        for id in self.ids() {
            into(id.as_bytes());
            match self.drafts.get(&id) {
                Some(Draft::Unpacked { entry, .. }) => into(&entry.pack(&mut buffer)),
                Some(Draft::Packed(packed)) => into(packed),
                _ => into(&self.packed[&id]),
            }
        }
        into(format!("{:?} {:?}", self.deadlines, self.refusals).as_bytes());
    }

    /// Keeps the number of unpacked drafts within its bound, before another is made.
    fn make_room(&mut self) {
        if self.unpacked < UNPACKED {
            return;
        }
        if self.is_final { self.commit() } else { self.pack() }
    }

    /// Packs every draft that was changed and drops the others.
    fn pack(&mut self) {
        let buffer = &mut self.buffer;
        self.drafts.retain(|_, draft| {
            if let Draft::Unpacked { entry, is_changed } = draft {
                if !*is_changed {
                    return false;
                }
                *draft = Draft::Packed(entry.pack(buffer));
            }
            true
        });
        self.unpacked = 0;
    }

    fn put(&mut self, id: Arc<str>, packed: Packed) {
        self.bytes += id.len() + packed.len();
        let id_bytes = id.len();
        if let Some(before) = self.packed.insert(id, packed) {
            self.bytes -= id_bytes + before.len();
        }
    }

    fn drop_packed(&mut self, id: &Arc<str>) {
        if let Some(before) = self.packed.remove(id) {
            self.bytes -= id.len() + before.len();
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

/// What this store packed itself, or was given with its check sums right and its layout agreed.
fn unpack(id: &Arc<str>, packed: &[u8]) -> Entry {
    Entry::unpack(id, packed).expect("what was packed can be unpacked")
}

fn deadline(packed: &[u8]) -> Option<EventTime> {
    earliest(packed).expect("what was packed has its deadline")
}

fn refusal_key(salt: [u8; 16], id: &str) -> RefusalKey {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(id);
    let mut key = RefusalKey::default();
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}
