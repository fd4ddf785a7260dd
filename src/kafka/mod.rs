//! Kafka: the only module that names rdkafka. It decides nothing about trust.

mod produce;

pub use produce::{ProduceError, TopicWriter};
