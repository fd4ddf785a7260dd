//! One customer of a partition and what was published of it, and the bytes it is held as.
//!
//! Most customers rest most of the time, and packed one takes a fraction of what its record and lists take. The bytes are those
//! of [`postcard`]: the fields in their order, without names; so they belong to one [`LAYOUT`].

use std::sync::Arc;

use serde::Serialize;

use super::publish::Publication;
use crate::model::customer::{Customer, Head};
use crate::model::section::{self, Pack};
use crate::model::{EventTime, Text};

/// Changes whenever the packed bytes of any customer, or of what else an engine owns, would: bytes of another layout say nothing.
pub const LAYOUT: u32 = 4;

/// The packed bytes begin with the earliest deadline, so that it can be read alone.
const DEADLINE_BYTES: usize = size_of::<i64>();
/// Stands for no deadline: it is after all that can be due.
pub(super) const NEVER: EventTime = EventTime::from_millis(i64::MAX);

/// One customer and what has been published of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Entry {
    pub(super) customer: Customer,
    pub(super) publication: Publication,
}

impl Entry {
    /// The customer `id`, first heard of at `time`.
    pub(super) fn new(id: &Text, time: EventTime) -> Self {
        let customer = Customer::new(id.clone(), time);
        Self { customer, publication: Publication::default() }
    }

    /// Becomes the customer `id`, first heard of at `time`, in the memory of whoever it was.
    pub(super) fn begin(&mut self, id: &Text, time: EventTime) {
        self.customer.become_head(id.clone(), Head::new(time));
        self.publication = Publication::default();
        self.customer.sections_mut().into_iter().for_each(Pack::forget);
    }

    /// The customer `id` that `packed` holds, its sections still packed.
    ///
    /// # Errors
    /// If the bytes are of another layout, or damaged; but see [`Self::check`].
    pub(super) fn unpack(id: &Text, packed: &Arc<[u8]>) -> Result<Self, postcard::Error> {
        let mut entry = Self::new(id, EventTime::default());
        entry.wake(id, packed)?;
        Ok(entry)
    }

    /// Becomes the customer `id` that `packed` holds, its sections still packed, in the memory of whoever it was.
    ///
    /// # Errors
    /// Those of [`Self::unpack`]; then it is nobody.
    pub(super) fn wake(&mut self, id: &Text, packed: &Arc<[u8]>) -> Result<(), postcard::Error> {
        const TOO_FEW: postcard::Error = postcard::Error::DeserializeUnexpectedEnd;
        let (_, bytes) = packed.split_at_checked(DEADLINE_BYTES).ok_or(TOO_FEW)?;
        let ((head, publication), bytes): ((Head, Publication), _) =
            postcard::take_from_bytes(bytes)?;
        self.customer.become_head(id.clone(), head);
        self.publication = publication;
        let (held, mut bytes) = bytes.split_first_chunk().ok_or(TOO_FEW)?;
        let held = u32::from_le_bytes(*held);
        for (place, section) in self.customer.sections_mut().into_iter().enumerate() {
            if held & (1 << place) == 0 {
                section.forget();
                continue;
            }
            let (length, behind): (usize, _) = postcard::take_from_bytes(bytes)?;
            let start = packed.len() - behind.len();
            bytes = behind.get(length..).ok_or(TOO_FEW)?;
            let range = start..start + length;
            section.rest(section::Packed::new(packed, range).ok_or(TOO_FEW)?);
        }
        let is_whole = bytes.is_empty() && held >> Customer::SECTIONS == 0;
        is_whole.then_some(()).ok_or(postcard::Error::DeserializeBadEncoding)
    }

    /// Whether its sections can be unpacked, and the evidence in one of them, which all else takes on trust.
    ///
    /// # Errors
    /// If one is of another layout, or damaged.
    pub(super) fn check(&self) -> Result<(), postcard::Error> {
        self.customer.sections().into_iter().try_for_each(Pack::check)?;
        let is_whole = self.customer.evidence.is_whole();
        is_whole.then_some(()).ok_or(postcard::Error::DeserializeBadEncoding)
    }
}

/// Packs customers, in buffers that it keeps.
#[derive(Debug, Default)]
pub(super) struct Packer {
    customer: Vec<u8>,
    section: Vec<u8>,
}

impl Packer {
    /// The bytes of `entry`: its earliest deadline, what is not in sections, which sections follow, and each of these, its length
    /// first. What was not unpacked is copied.
    pub(super) fn pack(&mut self, entry: &Entry) -> Arc<[u8]> {
        let bytes = &mut self.customer;
        bytes.clear();
        let deadline = entry.customer.timers.earliest().unwrap_or(NEVER);
        bytes.extend_from_slice(&deadline.as_millis().to_le_bytes());
        section::append(entry, bytes);
        let (at, mut held) = (bytes.len(), 0_u32);
        bytes.extend_from_slice(&held.to_le_bytes());
        for (place, section) in entry.customer.sections().into_iter().enumerate() {
            let packed = section.packed().unwrap_or_else(|| {
                self.section.clear();
                section.pack(&mut self.section);
                &self.section
            });
            if !packed.is_empty() {
                held |= 1 << place;
                section::append(&packed.len(), bytes);
                bytes.extend_from_slice(packed);
            }
        }
        bytes[at..at + size_of_val(&held)].copy_from_slice(&held.to_le_bytes());
        Arc::from(bytes.as_slice())
    }
}

/// When the first timer of a packed customer is due; [`NEVER`] if it has none.
///
/// # Errors
/// If there are too few bytes.
pub(super) fn earliest(packed: &[u8]) -> Result<EventTime, postcard::Error> {
    let bytes = packed.first_chunk().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
    Ok(EventTime::from_millis(i64::from_le_bytes(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::held::HeldEvidence;
    use crate::model::organisation::Origin;
    use crate::model::{Class, Evidence, Sign};

    #[test]
    fn what_passes_the_check_can_be_used_whatever_bit_is_wrong() {
        let (id, time) = (Text::from("ada"), EventTime::default());
        let mut entry = Entry::new(&id, time);
        for key in ["order-1", "order-2", "order-3"] {
            let (class, sign) = (Class::ComDelivered, Sign::Positive);
            let evidence = Evidence { class, key: key.into(), sign, weight: 0.25, time };
            let origin = Origin::default();
            entry.customer.evidence.push(HeldEvidence { evidence, origin, is_retracted: false });
        }
        let packed = Packer::default().pack(&entry);
        for bit in 0..8 * packed.len() {
            let mut bytes = packed.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let damaged = Entry::unpack(&id, &Arc::from(bytes));
            if let Some(entry) = damaged.ok().filter(|entry| entry.check().is_ok()) {
                assert_eq!(entry.customer.evidence.iter().count(), 3, "bit {bit}");
            }
        }
    }
}
