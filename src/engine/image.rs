//! Images: all that an engine owns as bytes, and the engine made of them again. Where they are kept is not decided here.

use std::sync::Arc;

use thiserror::Error;

use super::entry::Entry;
use super::organisation::RollUps;
use super::store::{Packed, Store};
use super::{Header, PartitionEngine, Settings};
use crate::model::organisation::Organisation;
use crate::model::{Catalogue, Policy, Text};

/// An engine as of its last commit, or what changed of it since the image before.
///
/// The bytes are of one [`LAYOUT`](super::LAYOUT). What the reference log holds, catalogue and policy, is not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// All but the customers.
    pub header: Vec<u8>,
    /// Customers, in no order; `None`: erased since the image before.
    pub customers: Vec<(Text, Option<Packed>)>,
    /// Of all customers, not only of those that changed.
    pub is_whole: bool,
}

/// Why bytes are no image.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the image is of another layout, or damaged: {0}")]
pub struct ImageError(postcard::Error);

impl PartitionEngine {
    /// The same engine, which notes whom it changes, so that [`Self::changes`] can be asked for.
    #[must_use]
    pub fn with_changes_noted(mut self) -> Self {
        self.store.note_changes();
        self
    }

    /// All that it owns, as of the last commit.
    ///
    /// # Panics
    /// If anything was handled since.
    pub fn image(&mut self) -> Image {
        Image { header: self.header_bytes(), customers: self.store.all(), is_whole: true }
    }

    /// What changed since the last image.
    ///
    /// # Panics
    /// If anything was handled since the last commit.
    pub fn changes(&mut self) -> Image {
        let customers = self.store.take_changed();
        Image { header: self.header_bytes(), customers, is_whole: false }
    }

    fn header_bytes(&self) -> Vec<u8> {
        assert_eq!(self.touched(), 0, "an image is made of what is certain");
        let header = (&self.header, self.store.refusals(), &self.organisation);
        postcard::to_allocvec(&header).expect("whatever an engine holds can be packed")
    }

    /// The engine of an image: `header` is the newest one's; `customers` those of the whole and of all changes since, each as it was
    /// last. It sees `catalogue` and scores by `policy`, which must be those it had.
    ///
    /// # Errors
    /// If the bytes are of another layout, or were made with other `roll_ups`.
    pub fn from_image(
        settings: Settings,
        roll_ups: RollUps,
        policy: Arc<Policy>,
        catalogue: Arc<Catalogue>,
        header: &[u8],
        customers: impl IntoIterator<Item = (Text, Packed)>,
    ) -> Result<Self, ImageError> {
        let (header, refusals, organisation): (Header, _, Option<Box<Organisation>>) =
            postcard::from_bytes(header).map_err(ImageError)?;
        if organisation.is_some() != (roll_ups != RollUps::Off) {
            return Err(ImageError(postcard::Error::DeserializeBadOption));
        }
        let header = Header { policy, catalogue, ..header };
        let store = Store::of(customers, refusals).map_err(ImageError)?;
        let mut engine =
            Self { settings, committed: header.clone(), header, store, roll_ups, organisation };
        engine.commit();
        Ok(engine)
    }

    /// Whether every packed customer of an image is whole, which [`Self::from_image`] takes on trust.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn check_customer(id: &Text, packed: &[u8]) -> Result<(), ImageError> {
        Entry::unpack(id, &Arc::from(packed)).and_then(|entry| entry.check()).map_err(ImageError)
    }
}
