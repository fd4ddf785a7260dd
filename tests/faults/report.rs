//! The long plan, and the table that says what came of it.

use std::fmt::Write as _;
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::fleet::Flow;
use crate::plan::{Dose, Fault, Found, run};

/// Where a report stands in the document it is written to.
const BEGIN: &str = "<!-- faults: begin, written by `make faults` -->\n";
const END: &str = "<!-- faults: end -->";
const HEADING: &str = "\
| fault | runs | faults | events | records compared | deviations | recovery p50 | p99 | processes that gave up |
|---|--:|--:|--:|--:|---|--:|--:|--:|
";

/// Does harm to the service on a real Apache Kafka, and tells what came of it.
#[derive(Debug, Parser)]
#[command(name = "make faults FAULTS=", no_binary_name = true)]
struct Args {
    /// kill -9 of one process of several
    #[arg(long, default_value_t = 300)]
    kills: usize,
    /// Of these, how many a run
    #[arg(long, default_value_t = 3)]
    kills_a_run: usize,
    /// The same of static members; 3 a run
    #[arg(long, default_value_t = 30)]
    static_kills: usize,
    /// kill -9 at a chosen request of a transaction, of five kinds in turn, heard or not; 10 a run
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// kill -9 of a static member between the halves of a rebalance; 1 a run
    #[arg(long, default_value_t = 10)]
    halves: usize,
    /// Processes that stand still for longer than their session; 5 a run
    #[arg(long, default_value_t = 50)]
    zombies: usize,
    /// Members that join and leave in quick succession; 10 a run
    #[arg(long, default_value_t = 50)]
    storms: usize,
    /// Restarts of the broker; 5 a run
    #[arg(long, default_value_t = 20)]
    restarts: usize,
    /// EndTxns held back until the next transaction has produced; 20 a run
    #[arg(long, default_value_t = 100)]
    late: usize,
    /// Transactions that nobody hears the end of; 5 a run
    #[arg(long, default_value_t = 20)]
    unknown: usize,
    /// Replies lost, of nine kinds in turn; 18 a run
    #[arg(long, default_value_t = 90)]
    lost: usize,
    /// Faults in each control run, which does without a safeguard; 0: none
    #[arg(long, default_value_t = 5)]
    control: usize,
    /// Processes of the service
    #[arg(long, default_value_t = 3)]
    processes: usize,
    /// Customers at one time
    #[arg(long, default_value = "1000")]
    customers: NonZeroU32,
    /// Events a second
    #[arg(long, default_value_t = 2_000)]
    rate: usize,
    /// Events that come before the first fault, as fast as they are handled
    #[arg(long, default_value_t = 0)]
    preload: usize,
    /// Seconds from one snapshot to the next; 0: none
    #[arg(long, default_value_t = 0)]
    snapshots: u64,
    /// Of the first run; each further one counts on
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A document to write the table to after each run, between the two lines that mark its place
    #[arg(long)]
    write: Option<PathBuf>,
}

impl Args {
    /// So many of a fault, so many of them a run.
    fn dose(&self, all: usize, times: usize) -> Dose {
        let times = times.min(all);
        Dose {
            runs: all.checked_div(times).unwrap_or_default(),
            times,
            processes: self.processes,
            flow: Flow { customers: self.customers, preload: self.preload, rate: self.rate },
            snapshots: (self.snapshots > 0).then(|| Duration::from_secs(self.snapshots)),
            seed: self.seed,
            without: "",
        }
    }

    fn plan(&self) -> Vec<(Fault, Dose)> {
        let plan = [
            (Fault::Kill, self.dose(self.kills, self.kills_a_run)),
            (Fault::KillStatic, self.dose(self.static_kills, 3)),
            (Fault::KillAtStep, self.dose(self.steps, 10)),
            (Fault::KillHalfway, self.dose(self.halves, 1)),
            (Fault::Zombie, self.dose(self.zombies, 5)),
            (Fault::Storm, self.dose(self.storms, 10)),
            (Fault::Broker, self.dose(self.restarts, 5)),
            (Fault::LateEndTxn, self.dose(self.late, 20)),
            (Fault::UnknownOutcome, self.dose(self.unknown, 5)),
            (Fault::LostReply, self.dose(self.lost, 18)),
        ];
        let control = self.dose(self.control, self.control);
        let controls = [
            (Fault::LateEndTxn, Dose { without: "interceptor", ..control }),
            (Fault::UnknownOutcome, Dose { without: "retirement", ..control }),
        ];
        plan.into_iter().chain(controls).filter(|(_, dose)| dose.runs > 0).collect()
    }
}

/// Does all that `GOODFAITH_FAULTS` asks for, and tells.
///
/// # Panics
/// If anything deviates with all safeguards on, or nothing does without one.
pub(crate) fn long_plan() {
    let wanted = std::env::var_os("GOODFAITH_FAULTS").unwrap_or_default();
    let args = Args::parse_from(wanted.to_str().unwrap().split_whitespace());
    let mut table = HEADING.to_owned();
    let mut surprises = Vec::new();
    for (fault, dose) in args.plan() {
        let is_control = !dose.without.is_empty();
        assert!(!is_control || cfg!(feature = "faults"), "control runs need `--features faults`");
        let found = run(fault, &dose, |found| {
            let so_far = row(fault, &dose, found);
            println!("{so_far}");
            args.write.iter().for_each(|path| write(path, &format!("{table}{so_far}\n")));
        });
        for anomaly in found.anomalies.iter().take(10) {
            println!("  {}: {}", anomaly.kind, anomaly.place);
        }
        let row = row(fault, &dose, &found);
        writeln!(table, "{row}").unwrap();
        if found.is_clean() == is_control {
            surprises.push(row);
        }
    }
    println!("{table}");
    assert!(surprises.is_empty(), "not as expected:\n{}", surprises.join("\n"));
}

/// One line of the table.
pub(crate) fn row(fault: Fault, dose: &Dose, found: &Found) -> String {
    let mut name = match fault {
        Fault::Kill => "kill -9",
        Fault::KillStatic => "kill -9, static members",
        Fault::KillAtStep => "kill -9 at a request of a transaction, of five kinds, heard or not",
        Fault::KillHalfway => "kill -9 of a static member between the halves of a rebalance",
        Fault::Zombie => "a process stopped past its session, then continued",
        Fault::Storm => "two members join and leave",
        Fault::Broker => "the broker killed or stopped, and started again",
        Fault::LateEndTxn => "EndTxn held until the next transaction has produced",
        Fault::UnknownOutcome => "no answer to any EndTxn until the service gives up",
        Fault::LostReply => "one reply lost, of nine kinds in turn",
    }
    .to_owned();
    if fault == Fault::LateEndTxn {
        write!(name, " ({} carried out)", found.late_accepted).unwrap();
    }
    if !dose.without.is_empty() {
        write!(name, ", **without {}**", dose.without).unwrap();
    }
    let Found { runs, injected, events, records, exits, .. } = found;
    let (p50, p99) = (seconds(found.recovery(50)), seconds(found.recovery(99)));
    let deviations = deviations(found);
    format!(
        "| {name} | {runs} | {injected} | {events} | {records} | {deviations} | {p50} | {p99} | {exits} |"
    )
}

fn deviations(found: &Found) -> String {
    let by_kind = found.by_kind();
    let told = by_kind.iter().map(|(kind, count)| format!("{count} {kind}"));
    let stuck = (found.stuck > 0).then(|| format!("{} runs stuck", found.stuck));
    let told: Vec<String> = told.chain(stuck).collect();
    if told.is_empty() { "0".to_owned() } else { told.join(", ") }
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
}

/// Puts a table in its place.
fn write(path: &PathBuf, table: &str) {
    let text = fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the document marks the table's place");
    let (_, after) = rest.split_once(END).expect("the document marks the table's end");
    fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_plan_is_as_long_as_it_is_asked_to_be() {
        Args::command().debug_assert();
        let plan = Args::parse_from([""; 0]).plan();
        let all = |fault| {
            let doses = plan.iter().filter(|(planned, _)| *planned == fault);
            doses.map(|(_, dose)| dose.runs * dose.times).sum::<usize>()
        };
        assert_eq!((all(Fault::Kill), all(Fault::Zombie), all(Fault::Broker)), (300, 50, 20));
        let none = Args::parse_from(["--late", "0", "--control", "0"]).plan();
        assert!(none.iter().all(|(fault, _)| *fault != Fault::LateEndTxn));
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.md");
        fs::write(&path, format!("before\n{BEGIN}old\n{END}\nafter\n")).unwrap();
        write(&path, "new\n");
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("before\n{BEGIN}new\n{END}\nafter\n")
        );
    }

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let recoveries = (1..=200).map(Duration::from_secs).collect();
        let found = Found { recoveries, ..Found::default() };
        assert_eq!(found.recovery(50), Some(Duration::from_secs(100)));
        assert_eq!(found.recovery(99), Some(Duration::from_secs(198)));
        assert_eq!(Found::default().recovery(50), None);
    }
}
