//! What a replay comes to as a whole: `summary.json`.

use serde::Serialize;

use crate::engine::Counters;
use crate::model::{EventTime, Text};

/// What was counted, and how far event time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The furthest of all partitions; `None` if no customer event or tick was accepted.
    pub watermark: Option<EventTime>,
    /// Over all partitions, each record counted once.
    pub counters: Counters,
    /// Customers who asked to be forgotten, each once, in the order of their ids.
    pub erased: Vec<Text>,
}

impl Summary {
    /// One line of JSON, in the form of the contract.
    pub fn to_json(&self) -> String {
        let Counters { records, accepted, duplicates, dead_letters, timers_fired, .. } =
            self.counters;
        let json = SummaryJson {
            watermark: self.watermark.map(|time| time.to_string()),
            counters: CountersJson { records, accepted, duplicates, dead_letters, timers_fired },
            erased: &self.erased,
        };
        serde_json::to_string(&json).expect("numbers and texts are always JSON")
    }
}

#[derive(Serialize)]
struct SummaryJson<'a> {
    watermark: Option<String>,
    counters: CountersJson,
    erased: &'a [Text],
}

#[derive(Serialize)]
struct CountersJson {
    records: u64,
    accepted: u64,
    duplicates: u64,
    dead_letters: u64,
    timers_fired: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_written_in_the_order_of_the_contract() {
        let counters = Counters {
            records: 5,
            accepted: 3,
            duplicates: 1,
            dead_letters: 1,
            timers_fired: 2,
            late: 1,
            alerts_open: 0,
        };
        let watermark = EventTime::parse("2025-01-31T23:55:00Z");
        let summary = Summary { watermark, counters, erased: vec!["ezra".into()] };
        assert_eq!(
            summary.to_json(),
            r#"{"watermark":"2025-01-31T23:55:00.000Z","counters":{"records":5,"accepted":3,"duplicates":1,"dead_letters":1,"timers_fired":2},"erased":["ezra"]}"#
        );
    }
}
