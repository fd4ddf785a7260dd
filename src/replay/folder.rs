//! The folder a replay leaves behind: one file for each stream of outputs, the state, and the summary.
//!
//! Results appear together or not at all: they are written beside their place and moved into it at the end, the summary last, so a
//! folder with a summary is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use thiserror::Error;

use super::Summary;
use crate::engine::{CustomerView, Effect, OrganisationPart};
use crate::wire::{self, FileKind};

const STATE: &str = "state.ndjson";
const SUMMARY: &str = "summary.json";

/// Why results cannot be put into a folder.
#[derive(Debug, Error)]
pub enum FolderError {
    /// It holds a file of the same name as one of ours.
    #[error("{} is already there: name another folder, or replace its results with --force", .0.display())]
    Occupied(PathBuf),
    /// It cannot be made, or not be written to.
    #[error("cannot write to {}", path.display())]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What to do with results that are already in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave them, and refuse.
    Keep,
    /// Replace them all, once the new ones are whole.
    Replace,
}

/// Result files in the making.
#[derive(Debug)]
pub struct Folder {
    target: PathBuf,
    /// Inside `target`, so that moving out of it never crosses file systems. Deletes itself when dropped.
    staging: TempDir,
    streams: Vec<(FileKind, BufWriter<File>)>,
    state: BufWriter<File>,
}

impl Folder {
    /// Begins results in `target`, which is made if it is not there; with or without `evidence.ndjson`.
    ///
    /// # Errors
    /// If `target` holds results and is to keep them, or cannot be written to.
    pub fn create(target: &Path, existing: Existing, audit: bool) -> Result<Self, FolderError> {
        if existing == Existing::Keep
            && let Some(path) = results_in(target).find(|path| path.exists())
        {
            return Err(FolderError::Occupied(path));
        }
        Self::stage(target, audit)
            .map_err(|source| FolderError::Unwritable { path: target.to_owned(), source })
    }

    fn stage(target: &Path, audit: bool) -> io::Result<Self> {
        fs::create_dir_all(target)?;
        let staging = tempfile::Builder::new().prefix(".replay-").tempdir_in(target)?;
        let create = |name: &str| File::create(staging.path().join(name)).map(BufWriter::new);
        let streams = FileKind::ALL
            .iter()
            .filter(|kind| audit || **kind != FileKind::Evidence)
            .filter(|kind| **kind != FileKind::Organisation)
            .map(|kind| Ok((*kind, create(&file_name(*kind))?)))
            .collect::<io::Result<_>>()?;
        let state = create(STATE)?;
        Ok(Self { target: target.to_owned(), staging, streams, state })
    }

    /// Appends `effect` to the file it belongs to.
    ///
    /// # Errors
    /// If writing fails.
    ///
    /// # Panics
    /// If it is an evidence and the folder was begun without them, or a part of the organisation: those are written at the end.
    pub fn write(&mut self, effect: &Effect) -> io::Result<()> {
        let Some((kind, line)) = wire::file_line(effect) else { return Ok(()) };
        let (_, file) = self
            .streams
            .iter_mut()
            .find(|(stream, _)| *stream == kind)
            .expect("an engine publishes no evidence without audit, and here no parts");
        writeln!(file, "{line}")
    }

    /// Appends one customer's state.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write_state(&mut self, customer: &CustomerView) -> io::Result<()> {
        writeln!(self.state, "{}", wire::state_line(customer))
    }

    /// Writes the parts of the organisation, by partition.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write_parts(
        &mut self,
        parts: impl Iterator<Item = (u32, OrganisationPart)>,
    ) -> io::Result<()> {
        let name = file_name(FileKind::Organisation);
        let mut file = BufWriter::new(File::create(self.staging.path().join(name))?);
        for (partition, part) in parts {
            writeln!(file, "{}", wire::part_line(&part, partition))?;
        }
        file.flush()
    }

    /// Moves all results into their place, instead of any that were there.
    ///
    /// # Errors
    /// If writing or moving fails. Whatever is then in the folder, no summary is.
    pub fn finish(mut self, summary: &Summary) -> io::Result<()> {
        for (_, file) in &mut self.streams {
            file.flush()?;
        }
        self.state.flush()?;
        fs::write(self.staging.path().join(SUMMARY), summary.to_json() + "\n")?;
        for old in results_in(&self.target).filter(|path| path.exists()) {
            fs::remove_file(old)?;
        }
        for path in results_in(&self.target).collect::<Vec<_>>().into_iter().rev() {
            let name = path.file_name().expect("a result has a name");
            let staged = self.staging.path().join(name);
            if staged.exists() {
                fs::rename(staged, path)?;
            }
        }
        self.staging.close()
    }
}

fn file_name(kind: FileKind) -> String {
    format!("{}.ndjson", kind.as_str())
}

/// Every path of ours in `target`, the summary first.
fn results_in(target: &Path) -> impl Iterator<Item = PathBuf> {
    let streams = FileKind::ALL.iter().map(|kind| target.join(file_name(*kind)));
    [target.join(SUMMARY), target.join(STATE)].into_iter().chain(streams)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Counters;

    fn empty() -> Summary {
        Summary { watermark: None, counters: Counters::default(), erased: Vec::new() }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_replay_that_does_not_finish_leaves_what_was_there() {
        let target = tempfile::tempdir().unwrap();
        Folder::create(target.path(), Existing::Keep, true).unwrap().finish(&empty()).unwrap();
        fs::write(target.path().join("alerts.ndjson"), "old").unwrap();
        let before = names(target.path());
        assert_eq!(before.len(), 7);
        drop(Folder::create(target.path(), Existing::Replace, false).unwrap());
        assert_eq!(names(target.path()), before);
        assert_eq!(fs::read(target.path().join("alerts.ndjson")).unwrap(), b"old");
    }

    #[test]
    fn files_that_are_not_ours_stay_and_ours_are_replaced_together() {
        let target = tempfile::tempdir().unwrap();
        fs::write(target.path().join("notes.txt"), "mine").unwrap();
        Folder::create(target.path(), Existing::Keep, true).unwrap().finish(&empty()).unwrap();
        assert!(names(target.path()).contains(&"evidence.ndjson".to_owned()));
        let refused = Folder::create(target.path(), Existing::Keep, false);
        assert!(matches!(refused, Err(FolderError::Occupied(_))));
        Folder::create(target.path(), Existing::Replace, false).unwrap().finish(&empty()).unwrap();
        assert!(!names(target.path()).contains(&"evidence.ndjson".to_owned()));
        assert_eq!(fs::read(target.path().join("notes.txt")).unwrap(), b"mine");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Folder::create(file.path(), Existing::Keep, false).unwrap_err();
        assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
    }
}
