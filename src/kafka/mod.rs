//! Kafka: worker threads that fetch, score and publish, each batch a transaction. The only module that names rdkafka. Nothing here
//! decides anything about trust: an engine is handed inputs and asks for effects.

mod clock;
mod embedded;
mod error;
mod fact;
mod failure;
mod member;
mod native;
mod partition;
mod produce;
mod publisher;
mod reference;
mod restore;
mod service;
mod settings;
mod tail;
mod topics;
mod worker;

pub(crate) use clock::wall_ms;
pub use embedded::EmbeddedBroker;
pub use error::{Error, Result};
pub use fact::{Fact, Observer, Settlement, Tally};
pub use produce::{ProduceError, TopicWriter};
pub use service::Service;
pub use settings::{Delivery, KafkaSettings, Scoring};
pub use tail::{TailRecord, TopicTail};
