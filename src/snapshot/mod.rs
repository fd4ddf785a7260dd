//! Snapshots in an object store: written by one thread a process, read when a partition comes back.
//!
//! A partition has a folder, `<lineage>/<partition>`; in it are immutable objects, `<offset>-<seq>-<step>.<part>`, each created once and
//! never written again. A snapshot counts once its manifest exists, and the newest by (offset, seq) wins. What is in a part is
//! `wire`'s business; whether a partition may be served from it is `kafka`'s.

mod fact;
mod folder;
mod load;
mod location;
mod name;
mod store;
mod uploader;

pub use fact::SnapshotFact;
pub use folder::{Entry, Folder, Note};
pub use load::{Customers, Loaded, Progress, Unusable, Wanted, load, newest_usable};
pub use location::{Location, LocationError};
pub use name::SnapshotName;
pub use store::{Store, StoreError};
pub use uploader::{Job, Next, Tell, Tenure, Uploader};

use std::sync::Arc;
use std::time::Duration;

/// Where snapshots go, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// Where they are kept.
    pub location: Location,
    /// How often a partition that moves is written.
    pub interval: Duration,
}

/// A store, and how often it is written to.
#[derive(Debug, Clone)]
pub struct Snapshots {
    /// Where they are kept.
    pub store: Arc<Store>,
    /// How often a partition that moves is written.
    pub interval: Duration,
}

#[cfg(test)]
mod tests;
