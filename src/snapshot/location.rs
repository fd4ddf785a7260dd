//! Where snapshots are kept, as a setting says it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use object_store::ObjectStoreScheme;
use thiserror::Error;
use url::Url;

/// Where snapshots are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder of this machine; made if it does not exist.
    Folder(PathBuf),
    /// An object store.
    Url(Url),
}

/// Why a text names no place for snapshots.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "`{text}…` is neither a folder nor an object store: write a path, or s3://bucket/folder, gs://bucket/folder, \
     az://container/folder, and leave credentials to the environment"
)]
pub struct LocationError {
    text: String,
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        // What follows may be a secret.
        let shown = text.split_inclusive("://").next().unwrap_or_default();
        let wrong = || LocationError { text: shown.to_owned() };
        if !text.contains("://") {
            return if text.is_empty() { Err(wrong()) } else { Ok(Self::Folder(text.into())) };
        }
        let url = Url::parse(text).map_err(|_error| wrong())?;
        match ObjectStoreScheme::parse(&url) {
            Ok((ObjectStoreScheme::Local, _)) => {
                url.to_file_path().map(Self::Folder).map_err(|()| wrong())
            }
            // A plain web server keeps nothing, and memory not for long.
            Ok((ObjectStoreScheme::Http | ObjectStoreScheme::Memory, _)) | Err(_) => Err(wrong()),
            // Secrets come from the environment, so that no log and no error can hold one.
            Ok(_) if url.password().is_some() || url.query().is_some() => Err(wrong()),
            Ok(_) => Ok(Self::Url(url)),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_the_urls_of_object_stores_are_places() {
        for (text, shown) in [
            ("data/snapshots", "data/snapshots"),
            ("file:///var/lib/goodfaith", "/var/lib/goodfaith"),
            ("s3://bucket/folder", "s3://bucket/folder"),
            ("gs://bucket/folder", "gs://bucket/folder"),
            ("az://container/folder", "az://container/folder"),
        ] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_keeps_nothing_or_holds_a_secret_is_refused() {
        for text in [
            "",
            "memory:///",
            "https://example.com/x",
            "ftp://example.com",
            "s3://me:secret@bucket/x",
            "s3://bucket?sig=secret",
        ] {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
