//! The whole system in one process, for a first look: an embedded broker, a simulated telecom in virtual time, the service, and a
//! reader of its outputs who tells what happens. It shows nothing about exactly-once, because the embedded broker isolates no
//! transactions, nor about latency, because records bear virtual times.

mod account;
mod feed;
mod output;
mod progress;
mod story;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use tokio::sync::Notify;

use self::account::Account;
use self::feed::Feed;
use self::progress::Progress;
use self::story::{Story, Subject};
use crate::app::{self, App};
use crate::engine::RollUps;
use crate::generate::Settings;
use crate::kafka::{
    Delivery, EmbeddedBroker, GroupProtocol, KafkaSettings, Limits, Observer, Scoring, TopicTail,
    wall_ms,
};
use crate::model::Policy;
use crate::wire::Encoding;

/// Of the events topic, all handled by one worker: it is enough, and the embedded broker is slow to let a second one join.
const PARTITIONS: i32 = 4;
const PREFIX: &str = "goodfaith";
/// The embedded broker leaves one question of the start unanswered, and lets a reader who has read all wait out its time.
const PROPERTIES: [(&str, &str); 2] = [("socket.timeout.ms", "1000"), ("fetch.wait.max.ms", "20")];
/// How often lines are told.
const TELL_EVERY_MS: i64 = 1_000;
/// How often the totals are told.
const TOTALS_EVERY_MS: i64 = 10_000;
/// How long to wait for an output.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where to look once it is over.
const NEXT: &str = "\
Look next: the same telecom as a file, and all that is said of it, customer by customer:
  goodfaith gen --events 20000 --out events.ndjson && goodfaith replay --events events.ndjson --out results
Against a Kafka of your own, exactly-once: goodfaith run --set kafka.bootstrap_servers=HOST:PORT --set kafka.create_topics=true";

/// What to show.
#[derive(Debug)]
pub struct Demo {
    /// The simulated telecom.
    pub simulation: Settings,
    /// End after this many events; `None`: go on.
    pub events: Option<u64>,
    /// Simulated days a second; 0: as fast as it goes.
    pub days_a_second: f64,
}

impl Demo {
    /// Runs it, telling on `out`, until the last event, a signal, or the end of `out`.
    ///
    /// # Errors
    /// If a part fails, or `out` does.
    pub fn run(self, out: &mut (impl Write + Send)) -> anyhow::Result<()> {
        let broker = EmbeddedBroker::start(PREFIX, PARTITIONS)?;
        let kafka = kafka_settings(broker.bootstrap_servers());
        let listener = app::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        self.introduce(address, out)?;
        let feed = Feed::open(&kafka, self.simulation, self.events, self.days_a_second)?;
        let tail = TopicTail::open(&kafka, &["scores", "alerts", "dead-letters"])?;
        let (progress, over) = (Arc::new(Progress::default()), Arc::new(Notify::new()));
        let observers = vec![Arc::clone(&progress) as Arc<dyn Observer>];
        let scoring =
            Scoring { policy: Arc::new(Policy::default()), audit: false, roll_ups: RollUps::Off };
        thread::scope(|scope| {
            // Whichever ends first ends the service, and that the others.
            let feeding = scope.spawn(|| {
                let _at_the_end = NotifyOnDrop(&over);
                feed.run(&progress)
            });
            let telling = scope.spawn(|| {
                let _at_the_end = NotifyOnDrop(&over);
                Teller { tail, account: Account::default(), address, out }.run(&progress)
            });
            let served =
                App { kafka, scoring, snapshots: None, listener, observers }.run(over.notified());
            progress.stop();
            let (fed, told) = (join(feeding), join(telling));
            served?;
            told?;
            fed.context("cannot send events to the embedded broker")
        })
    }

    fn introduce(&self, address: SocketAddr, out: &mut impl Write) -> io::Result<()> {
        let Settings { seed, customers, from, .. } = self.simulation;
        let pace = if self.days_a_second > 0.0 {
            format!("simulated days a second: {}", self.days_a_second)
        } else {
            "as fast as it goes".to_owned()
        };
        writeln!(
            out,
            "A simulated telecom of {customers} customers (seed {seed}) from {}; {pace}. Broker, scorer and HTTP are in this process.\n\
             The embedded broker isolates no transactions, so the service runs at-least-once here; against Kafka it is exactly-once.\n\
             Metrics: curl http://{address}/metrics    Health: curl 'http://{address}/readyz?verbose'    Ctrl-C ends it.\n",
            story::minute(&from.to_string())
        )
    }
}

/// Ends the service when its thread ends, however it ends.
struct NotifyOnDrop<'a>(&'a Notify);

impl Drop for NotifyOnDrop<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A thread's result; its panic goes on here.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn kafka_settings(bootstrap_servers: String) -> KafkaSettings {
    KafkaSettings {
        bootstrap_servers,
        group_id: PREFIX.to_owned(),
        instance_id: None,
        group_protocol: GroupProtocol::Classic,
        prefix: PREFIX.to_owned(),
        workers: 1,
        delivery: Delivery::AtLeastOnce,
        commit_interval: Duration::from_millis(100),
        encoding: Encoding::StructuredJson,
        create_topics: false,
        partitions: PARTITIONS,
        replication_factor: 1,
        idle_after: None,
        ticks_without_traffic: false,
        limits: Limits::default(),
        properties: PROPERTIES.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    }
}

/// Reads the outputs and tells of them.
struct Teller<'a, W> {
    tail: TopicTail,
    account: Account,
    address: SocketAddr,
    out: &'a mut W,
}

impl<W: Write> Teller<'_, W> {
    /// Tells until it is over and all is read; then sums up.
    fn run(mut self, progress: &Progress) -> anyhow::Result<()> {
        let (mut told_at, mut summed_at) = (wall_ms(), wall_ms());
        let mut has_pointed = false;
        loop {
            if let Some(record) = self.tail.next(PATIENCE)? {
                self.account.take(&record);
                progress.told();
            } else {
                progress.told_all();
                if progress.is_stopped() && self.tail.is_at_end()? {
                    break;
                }
            }
            let now = wall_ms();
            if told_at + TELL_EVERY_MS <= now {
                told_at = now;
                self.tell_stories()?;
                has_pointed = has_pointed || self.point()?;
            }
            if summed_at + TOTALS_EVERY_MS <= now {
                summed_at = now;
                self.tell_totals(progress)?;
            }
        }
        self.tell_stories()?;
        Ok(self.sum_up(progress)?)
    }

    fn tell_stories(&mut self) -> io::Result<()> {
        for story in self.account.stories() {
            let style = style(&story);
            let Story { subject, time, customer, text, .. } = story;
            writeln!(
                self.out,
                "{time:<16}  {customer:<8} {style}{:<8}{style:#} {text}",
                label(subject)
            )?;
        }
        self.out.flush()
    }

    /// Names a customer worth a look, once there is one.
    fn point(&mut self) -> io::Result<bool> {
        let Some(customer) = self.account.first_squeezed() else { return Ok(false) };
        writeln!(
            self.out,
            "\nWhy is {customer} squeezed? curl http://{}/v1/customers/{customer}\n",
            self.address
        )?;
        Ok(true)
    }

    fn tell_totals(&mut self, progress: &Progress) -> io::Result<()> {
        let bold = Style::new().bold();
        writeln!(self.out, "{bold}{}{bold:#}", self.account.totals(progress.handled()))
    }

    fn sum_up(&mut self, progress: &Progress) -> io::Result<()> {
        writeln!(self.out)?;
        for line in self.account.summary(progress.handled()) {
            writeln!(self.out, "{line}")?;
        }
        writeln!(self.out, "\n{NEXT}")?;
        self.out.flush()
    }
}

const fn label(subject: Subject) -> &'static str {
    match subject {
        Subject::Squeeze => "SQUEEZE",
        Subject::Promise => "PROMISE",
        Subject::Score => "score",
        Subject::Refused => "refused",
    }
}

fn style(story: &Story) -> Style {
    let color = match story.subject {
        _ if story.is_good => AnsiColor::Green,
        Subject::Squeeze => AnsiColor::Red,
        Subject::Promise => AnsiColor::Yellow,
        Subject::Score | Subject::Refused => AnsiColor::Cyan,
    };
    Style::new().fg_color(Some(color.into()))
}
