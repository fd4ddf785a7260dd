//! A part of a customer that stays packed until it is asked for, and is packed anew only once it may have been changed: most steps
//! touch few parts, and a review of the score none.
//!
//! Which parts there are, and how the bytes of one customer are put together, is not decided here.

use std::cell::OnceCell;
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A `T`, packed or not. Reads and writes as the `T` does, to which it dereferences.
///
/// What is as by default takes no bytes.
#[derive(Clone)]
pub struct Section<T> {
    value: OnceCell<T>,
    // Invariant: without a value it is not changed.
    rest: Rest,
}

/// What a section was unpacked from, or will be.
#[derive(Debug, Clone)]
enum Rest {
    /// Nothing: it is as by default.
    Default,
    /// Bytes, which a customer's `check` or this program has vouched for.
    Packed(Packed),
    /// It may have changed since.
    Changed,
}

impl<T> Section<T> {
    /// It is as by default, for sure: what was asked for to be changed may be so too.
    pub const fn is_default(&self) -> bool {
        matches!(self.rest, Rest::Default)
    }
}

/// The bytes of one section among those of its customer.
#[derive(Debug, Clone)]
pub struct Packed {
    customer: Arc<[u8]>,
    range: Range<u32>,
}

/// A section as its customer packs and unpacks it, whatever it holds.
pub trait Pack {
    /// Its bytes, appended to `into`: none if it is as by default.
    fn pack(&self, into: &mut Vec<u8>);

    /// Its bytes if they are at hand, so that nothing has to be packed.
    fn packed(&self) -> Option<&[u8]>;

    /// From now on it is what `packed` holds.
    fn rest(&mut self, packed: Packed);

    /// From now on it is as by default.
    fn forget(&mut self);

    /// Whether its bytes can be unpacked.
    ///
    /// # Errors
    /// If they are of another layout, or damaged.
    fn check(&self) -> postcard::Result<()>;
}

impl Packed {
    /// The part of a customer's bytes that lies in `range`; `None` if they are fewer.
    pub fn new(customer: &Arc<[u8]>, range: Range<usize>) -> Option<Self> {
        customer.get(range.clone())?;
        let range = u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?;
        Some(Self { customer: Arc::clone(customer), range })
    }

    fn bytes(&self) -> &[u8] {
        &self.customer[self.range.start as usize..self.range.end as usize]
    }

    fn unpack<T: DeserializeOwned>(&self) -> postcard::Result<T> {
        match postcard::take_from_bytes(self.bytes())? {
            (value, []) => Ok(value),
            _ => Err(postcard::Error::DeserializeBadEncoding),
        }
    }
}

impl<T: DeserializeOwned + Default> Deref for Section<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.get_or_init(|| match &self.rest {
            Rest::Default => T::default(),
            Rest::Packed(packed) => packed.unpack().expect("what was packed can be unpacked"),
            Rest::Changed => unreachable!("what has changed has a value"),
        })
    }
}

impl<T: DeserializeOwned + Default> DerefMut for Section<T> {
    fn deref_mut(&mut self) -> &mut T {
        let _: &T = self;
        self.rest = Rest::Changed;
        self.value.get_mut().expect("it was unpacked above")
    }
}

impl<T: Serialize + DeserializeOwned + PartialEq + Default> Pack for Section<T> {
    fn pack(&self, into: &mut Vec<u8>) {
        if **self != T::default() {
            append(&**self, into);
        }
    }

    fn packed(&self) -> Option<&[u8]> {
        match &self.rest {
            Rest::Default => Some(&[]),
            Rest::Packed(packed) => Some(packed.bytes()),
            Rest::Changed => None,
        }
    }

    fn rest(&mut self, packed: Packed) {
        *self = Self { value: OnceCell::new(), rest: Rest::Packed(packed) };
    }

    fn forget(&mut self) {
        *self = Self::default();
    }

    fn check(&self) -> postcard::Result<()> {
        match &self.rest {
            Rest::Packed(packed) => packed.unpack::<T>().map(drop),
            Rest::Default | Rest::Changed => Ok(()),
        }
    }
}

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self { value: OnceCell::new(), rest: Rest::Default }
    }
}

impl<T: DeserializeOwned + Default + PartialEq> PartialEq for Section<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: DeserializeOwned + Default + fmt::Debug> fmt::Debug for Section<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<'a, T> IntoIterator for &'a Section<T>
where
    T: DeserializeOwned + Default,
    &'a T: IntoIterator,
{
    type Item = <&'a T as IntoIterator>::Item;
    type IntoIter = <&'a T as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (**self).into_iter()
    }
}

/// Packs `value`, behind what `into` holds.
pub fn append(value: &impl Serialize, into: &mut Vec<u8>) {
    postcard::serialize_with_flavor(value, Appended(into))
        .expect("whatever a customer holds can be packed");
}

/// Takes packed bytes in behind what a buffer holds. (The library's own such flavor extends by single bytes.)
struct Appended<'a>(&'a mut Vec<u8>);

impl Flavor for Appended<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Most numbers are small, and a call to copy one byte costs more than the byte.
        match bytes {
            [byte] => self.0.push(*byte),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resting(bytes: &[u8]) -> Section<Vec<u16>> {
        let mut section: Section<Vec<u16>> = Section::default();
        section.rest(Packed::new(&Arc::from(bytes), 0..bytes.len()).unwrap());
        section
    }

    #[test]
    fn what_was_only_read_keeps_its_bytes_and_what_may_have_changed_is_packed_anew() {
        let mut section = resting(&[2, 7, 9]);
        assert_eq!(section.len(), 2);
        assert_eq!(section.packed(), Some([2, 7, 9].as_slice()));
        section.push(1);
        assert_eq!(section.packed(), None);
        let mut bytes = Vec::new();
        section.pack(&mut bytes);
        assert_eq!(bytes, [3, 7, 9, 1]);
    }

    #[test]
    fn what_is_as_by_default_takes_no_bytes() {
        let mut section = resting(&[1, 7]);
        assert_eq!(Section::<Vec<u16>>::default().packed(), Some([].as_slice()));
        section.clear();
        let mut bytes = Vec::new();
        section.pack(&mut bytes);
        assert_eq!((bytes.as_slice(), section), ([].as_slice(), Section::default()));
    }

    #[test]
    fn bytes_too_few_or_too_many_are_damaged() {
        assert!(resting(&[2, 7, 9]).check().is_ok());
        assert!(resting(&[2, 7]).check().is_err());
        assert!(resting(&[1, 7, 9]).check().is_err());
        assert!(Packed::new(&Arc::from([0; 4]), 2..5).is_none());
    }
}
