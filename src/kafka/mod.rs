//! The service's side of Kafka, and the only module that names rdkafka: workers that fetch, handle and publish, exactly once.
//!
//! [`Service`] runs them. A worker owns the engines of its partitions and a transaction at a time; `restore` brings a partition's
//! state back from the logs, `rebalance` gives and takes partitions, `publisher` ends transactions, `native` holds the one piece
//! of unsafe code. Nothing here decides anything about trust.

mod breaker;
mod clock;
mod dead_letters;
mod embedded;
mod error;
mod fact;
mod failure;
mod loading;
mod member;
mod native;
mod offsets;
mod outbox;
mod partition;
mod produce;
mod publisher;
mod rebalance;
mod reference;
mod reset;
mod restore;
mod safeguard;
mod service;
mod settings;
#[cfg(test)]
mod simulation;
mod span;
mod steps;
mod stops;
mod tail;
mod topics;
mod upgrade;
mod worker;

pub use breaker::DeadLetterLimit;
pub(crate) use clock::wall_ms;
pub use dead_letters::{DeadLetters, Left, LetterPlace, Retry, StoredLetter};
pub use embedded::EmbeddedBroker;
pub use error::{Error, Result};
pub use fact::{Fact, Observer, Settlement, Tally};
pub use produce::{Placed, ProduceError, TopicWriter, send_event};
pub use reset::{Held, OutputPlan, PartitionPlan, Progress, Reset, ResetPlan, Standing};
pub use service::Service;
pub use settings::{Delivery, GroupProtocol, KafkaSettings, Limits, Scoring};
pub use span::{Go, OutputRecord, Span, read_outputs};
pub use stops::{StoppedPartition, ask, stopped_partitions};
pub use tail::{TailRecord, TopicTail};
pub use topics::{Expiry, expiries};
