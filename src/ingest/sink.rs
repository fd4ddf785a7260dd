//! Where events go: a file or a topic.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use super::rule::Produced;
use crate::files;
use crate::kafka::{ProduceError, TopicWriter};

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file of NDJSON: packed if its name ends in `.gz` or `.zst`; `-` is standard output.
    File(PathBuf),
    /// A topic, keyed by customer (events) or by kind and id (reference events).
    Topic(String),
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("topic:") {
            Some("") => Err("names no topic".to_owned()),
            Some(topic) => Ok(Self::Topic(topic.to_owned())),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Topic(topic) => write!(f, "topic {topic}"),
        }
    }
}

/// How a broker is reached.
#[derive(Debug, Clone, Default)]
pub struct Broker {
    /// Addresses to begin with, as `host:port,host:port`.
    pub bootstrap_servers: String,
    /// Properties of librdkafka, for instance for TLS.
    pub properties: Vec<(String, String)>,
}

/// Why events cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The topic.
    #[error(transparent)]
    Topic(#[from] ProduceError),
}

/// An open destination.
#[derive(Debug)]
pub(super) enum Sink {
    File(files::Output),
    Topic(Box<TopicWriter>),
}

impl Sink {
    pub(super) fn open(destination: &Destination, broker: &Broker) -> Result<Self, WriteError> {
        match destination {
            Destination::File(path) => Ok(Self::File(files::create(path)?)),
            Destination::Topic(topic) => {
                let Broker { bootstrap_servers, properties } = broker;
                Ok(Self::Topic(Box::new(TopicWriter::create(
                    bootstrap_servers,
                    topic,
                    properties,
                )?)))
            }
        }
    }

    pub(super) fn write(&mut self, event: &Produced) -> Result<(), WriteError> {
        match self {
            Self::File(file) => {
                file.write_all(&event.value)?;
                Ok(file.write_all(b"\n")?)
            }
            Self::Topic(topic) => Ok(topic.send(&event.key, &event.value, None)?),
        }
    }

    /// Returns once everything is written or acknowledged.
    pub(super) fn finish(self) -> Result<(), WriteError> {
        match self {
            Self::File(file) => Ok(file.finish()?),
            Self::Topic(topic) => Ok(topic.finish()?),
        }
    }
}
