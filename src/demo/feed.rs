//! The simulated telecom's events on their way to the broker: in virtual time, and never far ahead of the scorer.

use std::iter::Peekable;
use std::time::Duration;

use super::progress::Progress;
use crate::generate::{Disorder, Form, GeneratedRecord, Records, Settings};
use crate::kafka::{KafkaSettings, ProduceError, TopicWriter, wall_ms};
use crate::model::{DAY_MS, Event, EventTime};

/// Sends the events of a simulation.
pub(super) struct Feed {
    records: Peekable<Records>,
    writer: TopicWriter,
    limit: u64,
    pace: Option<Pace>,
    /// Of the last record with a time, which is what a bad one is stored under.
    now: EventTime,
}

impl Feed {
    /// Publishes the catalogue and makes ready to send the rest.
    pub(super) fn open(
        kafka: &KafkaSettings,
        settings: Settings,
        limit: Option<u64>,
        days_a_second: f64,
    ) -> Result<Self, ProduceError> {
        let share = |text: &str| text.parse().expect("a share");
        let disorder =
            Disorder { late: share("0.01"), duplicate: share("0.005"), poison: share("0.001") };
        let mut records = Records::new(settings, disorder, Form::Json).peekable();
        let writer = |topic: &str| {
            TopicWriter::create(
                &kafka.bootstrap_servers,
                &format!("{}.{topic}.v1", kafka.prefix),
                &[],
            )
        };
        let catalogue = writer("reference")?;
        while let Some(record) = records.next_if(is_reference) {
            catalogue.send("", &record.value, None)?;
        }
        catalogue.finish()?;
        let pace = (days_a_second > 0.0).then(|| Pace::new(settings.from, days_a_second));
        Ok(Self {
            records,
            writer: writer("events")?,
            limit: limit.unwrap_or(u64::MAX),
            pace,
            now: settings.from,
        })
    }

    /// Sends until the limit is reached and handled, or until told to stop.
    pub(super) fn run(mut self, progress: &Progress) -> Result<(), ProduceError> {
        for _ in 0..self.limit {
            let Some(record) = self.records.next() else { break };
            if !self.wait(&record, progress) {
                return Ok(());
            }
            let key = record.key.as_deref().unwrap_or_default();
            self.writer.send(key, &record.value, Some(self.now.as_millis()))?;
            progress.sent();
        }
        self.writer.finish()?;
        progress.wait_until_handled();
        Ok(())
    }

    /// Waits for the record's time, and for room. False: it is over.
    fn wait(&mut self, record: &GeneratedRecord, progress: &Progress) -> bool {
        if let Some(Event::Customer(event)) = &record.event {
            self.now = self.now.max(event.time);
        }
        let early = self.pace.as_mut().map_or(Duration::ZERO, |pace| pace.early(self.now));
        (early.is_zero() || progress.pause(early)) && progress.wait_for_room()
    }
}

fn is_reference(record: &GeneratedRecord) -> bool {
    matches!(record.event, Some(Event::Reference(_)))
}

/// How virtual time passes.
struct Pace {
    from: EventTime,
    ms_a_ms: f64,
    /// When the first record was sent, milliseconds since the epoch.
    started_ms: Option<i64>,
}

impl Pace {
    #[expect(clippy::cast_precision_loss, reason = "a day is a small number")]
    fn new(from: EventTime, days_a_second: f64) -> Self {
        Self { from, ms_a_ms: days_a_second * DAY_MS as f64 / 1000.0, started_ms: None }
    }

    /// How long it is until `time` has come. What lies before the beginning has come already.
    fn early(&mut self, time: EventTime) -> Duration {
        let now_ms = wall_ms();
        let started_ms = *self.started_ms.get_or_insert(now_ms);
        self.early_at(time, now_ms - started_ms)
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "within what a person waits for"
    )]
    fn early_at(&self, time: EventTime, elapsed_ms: i64) -> Duration {
        let due_ms = (time.since(self.from) as f64 / self.ms_a_ms) as i64;
        Duration::from_millis(u64::try_from(due_ms - elapsed_ms).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_a_second_is_a_day_a_second() {
        let from = EventTime::from_millis(0);
        let pace = Pace::new(from, 1.0);
        assert_eq!(pace.early_at(from.plus_days(2), 500), Duration::from_millis(1500));
        assert_eq!(pace.early_at(from.plus_days(2), 5000), Duration::ZERO);
        assert_eq!(pace.early_at(from.plus_days(-90), 0), Duration::ZERO, "history has happened");
    }
}
