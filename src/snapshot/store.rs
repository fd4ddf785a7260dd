//! The object store: a few questions, asked and answered in turn. Asynchronous work stays in here.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::location::Location;

/// An object store, and the place in it where snapshots are.
pub struct Store {
    objects: Box<dyn ObjectStore>,
    root: Path,
    runtime: Runtime,
}

/// What went wrong with the object store. It may pass.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder cannot be made or entered.
    #[error("cannot use the folder {location} for snapshots: {source}")]
    Folder {
        /// Which.
        location: String,
        /// Why.
        source: io::Error,
    },
    /// The store is not to be had as configured.
    #[error("cannot use {location} for snapshots: {source}")]
    Location {
        /// Which.
        location: String,
        /// Why.
        source: object_store::Error,
    },
    /// The runtime it needs cannot be started.
    #[error("cannot start the client of the object store: {0}")]
    Runtime(#[source] io::Error),
    /// A file cannot be read.
    #[error("reading {name}: {source}")]
    File {
        /// Which.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A question failed.
    #[error("{doing} {name}: {source}")]
    Object {
        /// What was asked for.
        doing: &'static str,
        /// The object or folder.
        name: String,
        /// Why.
        source: object_store::Error,
    },
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Listing {
    /// Names of folders in it, in order.
    pub(super) folders: Vec<String>,
    /// Names of objects in it with their sizes, in order.
    pub(super) objects: Vec<(String, u64)>,
}

impl Store {
    /// Opens the store at `location`. What a store in the cloud needs to know, credentials among it, comes from the `environment`, under
    /// the names its own tools use (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`).
    ///
    /// # Errors
    /// If the folder cannot be made, or the store does not know what it is asked to be.
    pub fn open(
        location: &Location,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, StoreError> {
        match location {
            Location::Folder(path) => {
                let unusable =
                    |source| StoreError::Folder { location: location.to_string(), source };
                fs::create_dir_all(path).map_err(unusable)?;
                let objects = LocalFileSystem::new_with_prefix(path).map_err(|source| {
                    StoreError::Location { location: location.to_string(), source }
                })?;
                Self::with(Box::new(objects.with_fsync(true)), Path::default())
            }
            Location::Url(url) => Self::open_url(url, environment),
        }
    }

    fn open_url(url: &Url, environment: &BTreeMap<String, String>) -> Result<Self, StoreError> {
        // Whoever installed one first has it his way.
        drop(rustls::crypto::ring::default_provider().install_default());
        // One object at a time is deleted anyway, and not every store that speaks S3 takes several at once.
        let singly = [("aws_disable_bulk_delete".to_owned(), "true".to_owned())];
        let known = |(name, value): (&String, &String)| (name.to_ascii_lowercase(), value.clone());
        let options = singly.into_iter().chain(environment.iter().map(known));
        let (objects, root) = object_store::parse_url_opts(url, options)
            .map_err(|source| StoreError::Location { location: url.to_string(), source })?;
        Self::with(objects, root)
    }

    fn with(objects: Box<dyn ObjectStore>, root: Path) -> Result<Self, StoreError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("snapshot-io")
            .enable_all()
            .build()
            .map_err(StoreError::Runtime)?;
        Ok(Self { objects, root, runtime })
    }

    /// A store that is gone with the process.
    #[cfg(test)]
    pub(super) fn in_memory() -> Self {
        Self::with(Box::new(object_store::memory::InMemory::new()), Path::default()).unwrap()
    }

    /// Puts something else in an object's place, or nothing.
    #[cfg(test)]
    pub(super) fn replace(&self, name: &str, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(bytes) => {
                let path = self.path(name);
                self.ask("replacing", name, self.objects.put(&path, bytes.into())).unwrap();
            }
            None => self.delete(name).unwrap(),
        }
    }

    /// Creates an object that does not exist yet.
    ///
    /// # Errors
    /// If it exists, or the store fails.
    pub(super) fn create(&self, name: &str, bytes: PutPayload) -> Result<(), StoreError> {
        let path = self.path(name);
        let put = self.objects.put_opts(&path, bytes, PutMode::Create.into());
        self.ask("writing", name, put).map(drop)
    }

    /// Reads an object of at most `bytes_max` into `bytes`, in the place of what is there: nothing if it is larger. Whether there is one.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) fn read(
        &self,
        name: &str,
        bytes_max: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        bytes.clear();
        let path = self.path(name);
        let found = match self.ask("reading", name, self.objects.get(&path)) {
            Err(StoreError::Object { source: object_store::Error::NotFound { .. }, .. }) => {
                return Ok(false);
            }
            found => found?,
        };
        if bytes_max < found.meta.size {
            return Ok(true);
        }
        // Read here, a file needs no room but what `bytes` has from the one before: fresh room costs about as much as reading.
        if let GetResultPayload::File(file, _) = &found.payload {
            bytes.reserve_exact(usize::try_from(found.meta.size).unwrap_or_default());
            let read = file.take(bytes_max).read_to_end(bytes);
            read.map_err(|source| StoreError::File { name: name.to_owned(), source })?;
        } else {
            *bytes = self.ask("reading", name, found.bytes())?.into();
        }
        Ok(true)
    }

    /// What a folder holds; nothing if there is none.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) fn list(&self, folder: &str) -> Result<Listing, StoreError> {
        let path = self.path(folder);
        let found = self.ask("listing", folder, self.objects.list_with_delimiter(Some(&path)))?;
        let name = |path: &Path| path.filename().map(str::to_owned);
        let mut folders: Vec<String> = found.common_prefixes.iter().filter_map(name).collect();
        let objects =
            found.objects.iter().filter_map(|meta| Some((name(&meta.location)?, meta.size)));
        let mut objects: Vec<(String, u64)> = objects.collect();
        folders.sort_unstable();
        objects.sort_unstable();
        Ok(Listing { folders, objects })
    }

    /// Deletes an object; one that is gone is no error.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        match self.ask("deleting", name, self.objects.delete(&path)) {
            Err(StoreError::Object { source: object_store::Error::NotFound { .. }, .. }) => Ok(()),
            done => done,
        }
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').filter(|part| !part.is_empty()).fold(self.root.clone(), Path::join)
    }

    fn ask<T>(
        &self,
        doing: &'static str,
        name: &str,
        question: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, StoreError> {
        self.runtime.block_on(question).map_err(|source| StoreError::Object {
            doing,
            name: name.to_owned(),
            source,
        })
    }
}

impl StoreError {
    /// The object was there already.
    pub(super) const fn is_taken(&self) -> bool {
        matches!(self, Self::Object { source: object_store::Error::AlreadyExists { .. }, .. })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the store itself: it knows credentials.
        f.debug_struct("Store").field("root", &self.root).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_created_once_and_never_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Folder(folder.path().join("new/folder"));
        for store in [Store::in_memory(), Store::open(&location, &BTreeMap::new()).unwrap()] {
            store.create("a/b/c", "first".into()).unwrap();
            assert!(store.create("a/b/c", "second".into()).unwrap_err().is_taken());
            let mut bytes = b"before".to_vec();
            assert!(store.read("a/b/c", 9, &mut bytes).unwrap());
            assert_eq!(bytes, b"first");
            assert!(store.read("a/b/c", 2, &mut bytes).unwrap());
            assert_eq!(bytes, b"", "it is larger");
            assert_eq!(store.list("a").unwrap().folders, ["b"]);
            assert_eq!(store.list("a/b").unwrap().objects, [("c".to_owned(), 5)]);
            store.delete("a/b/c").unwrap();
            store.delete("a/b/c").unwrap();
            assert!(!store.read("a/b/c", 9, &mut bytes).unwrap());
            assert_eq!(store.list("a/b").unwrap(), Listing::default());
        }
    }

    #[test]
    fn a_file_where_a_folder_should_be_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Store::open(&Location::Folder(file.path().into()), &BTreeMap::new());
        assert!(error.unwrap_err().to_string().starts_with("cannot use the folder"));
    }
}
