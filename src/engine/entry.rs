//! One customer of a partition and what was published of it, and the bytes it is held as.
//!
//! Most customers rest most of the time, and packed one takes a fraction of what its record and lists take. The bytes are those
//! of [`postcard`]: the fields in their order, without names; so they belong to one [`LAYOUT`].

use std::sync::Arc;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::publish::Publication;
use crate::model::EventTime;
use crate::model::customer::Customer;

/// Changes whenever the packed bytes of any customer, or of what else an engine owns, would: bytes of another layout say nothing.
pub const LAYOUT: u32 = 1;

/// The packed bytes begin with the earliest deadline, so that it can be read alone.
const DEADLINE_BYTES: usize = size_of::<i64>();
/// Stands for no deadline.
const NO_DEADLINE: i64 = i64::MIN;

/// One customer and what has been published of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) customer: Customer,
    pub(super) publication: Publication,
}

impl Entry {
    pub(super) fn new(customer: Customer) -> Self {
        Self { customer, publication: Publication::default() }
    }

    /// The customer as bytes; `buffer` saves an allocation.
    pub(super) fn pack(&self, buffer: &mut Vec<u8>) -> Arc<[u8]> {
        buffer.clear();
        let deadline = self.customer.timers.earliest().map_or(NO_DEADLINE, EventTime::as_millis);
        buffer.extend_from_slice(&deadline.to_le_bytes());
        postcard::serialize_with_flavor(self, Appended(buffer))
            .expect("whatever a customer holds can be packed");
        Arc::from(buffer.as_slice())
    }

    /// The customer `id` that `packed` holds.
    ///
    /// # Errors
    /// If the bytes are of another layout, or damaged.
    pub(super) fn unpack(id: &Arc<str>, packed: &[u8]) -> Result<Self, postcard::Error> {
        let (_, bytes) = packed
            .split_at_checked(DEADLINE_BYTES)
            .ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        let mut entry: Self = postcard::from_bytes(bytes)?;
        entry.customer.id = Arc::clone(id);
        Ok(entry)
    }
}

/// Takes packed bytes in behind what a buffer holds. (The library's own such flavor extends by single bytes.)
struct Appended<'a>(&'a mut Vec<u8>);

impl Flavor for Appended<'_> {
    type Output = ();

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// When the first timer of a packed customer is due.
///
/// # Errors
/// If there are too few bytes.
pub(super) fn earliest(packed: &[u8]) -> Result<Option<EventTime>, postcard::Error> {
    let bytes = packed.first_chunk().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
    let deadline = i64::from_le_bytes(*bytes);
    Ok((deadline != NO_DEADLINE).then(|| EventTime::from_millis(deadline)))
}
