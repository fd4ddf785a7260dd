//! Tables and pictures, and their place in `docs/performance.md`: each part between its own two marks, so that what was not measured this
//! time stays as it was.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::figures::{Spread, number};
use crate::latency::{Latency, Load, Quantiles};
use crate::measure::Run;
use crate::plot;
use crate::restart::{Member, Return};
use crate::start::Start;
use crate::systems::System;

/// The runs of one system, or why there is none.
pub(crate) struct Measured {
    pub(crate) system: System,
    pub(crate) runs: Result<Vec<Run>, String>,
}

impl Measured {
    fn spread(&self, figure: impl Fn(&Run) -> f64) -> Option<Spread> {
        let runs = self.runs.as_ref().ok().filter(|runs| !runs.is_empty())?;
        Some(Spread::of(runs.iter().map(figure)))
    }

    fn rate(&self) -> Option<Spread> {
        self.spread(Run::rate)
    }
}

/// The runs under one load.
pub(crate) struct Loaded {
    pub(crate) load: Load,
    pub(crate) floors: Vec<Quantiles>,
    /// By name.
    pub(crate) systems: Vec<(String, Result<Vec<Latency>, String>)>,
}

/// The restarts with as many customers, or why there are none.
pub(crate) struct Restarted {
    pub(crate) customers: u64,
    pub(crate) returns: Result<Vec<Return>, String>,
}

/// The runs of one case of scaling.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) measured: Measured,
}

/// The documentation: its figures in text, and its pictures beside it.
#[derive(Debug)]
pub(crate) struct Document {
    file: PathBuf,
    is_written: bool,
}

impl Document {
    /// `docs/performance.md`, or only the standard output.
    pub(crate) fn new(is_written: bool) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        Self { file, is_written }
    }

    /// Puts `text` between the marks of `part`.
    ///
    /// # Panics
    ///
    /// If the documentation has no such marks.
    pub(crate) fn put(&self, part: &str, text: &str) {
        println!("\n{text}");
        if !self.is_written {
            return;
        }
        let whole = fs::read_to_string(&self.file).unwrap();
        let (begin, end) = (format!("<!-- {part}: begin -->\n"), format!("<!-- {part}: end -->"));
        let (before, rest) = whole.split_once(&begin).expect("the mark where a part begins");
        let (_, after) = rest.split_once(&end).expect("the mark where a part ends");
        fs::write(&self.file, format!("{before}{begin}\n{text}\n{end}{after}")).unwrap();
    }

    /// Writes a picture, and gives what shows it.
    pub(crate) fn picture(&self, name: &str, about: &str, svg: &str) -> String {
        if self.is_written {
            let folder = self.file.with_extension("");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(name), svg).unwrap();
        }
        format!("\n![{about}](performance/{name})\n")
    }
}

/// What was measured with what: for whom wants to do it again.
pub(crate) fn circumstances(what: &str) -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let (processors, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let load = read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
    format!(
        "{what} Machine: {cores} cores of {}, {}, Linux {}; load at the end {load}.\n",
        field(&processors, "model name"),
        field(&memory, "MemTotal").replace(" kB", " KiB"),
        read("/proc/sys/kernel/osrelease").trim(),
    )
}

/// Throughput and cost of all systems, side by side, and which goals that meets.
pub(crate) fn comparison(document: &Document, about: &str, all: &[Measured]) {
    let mut text = circumstances(about);
    text.push_str(
        "\n| | events a second | × drain | processor seconds for a million | of the broker | whole run, s | processor seconds in all | resident, MiB | customers that differ |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let rate_of = |system| find(all, system).and_then(Measured::rate);
    let drain = rate_of(System::Drain);
    for measured in all {
        let Some(rate) = measured.rate() else { continue };
        let spread = |figure: fn(&Run) -> f64| {
            measured.spread(figure).map_or_else(String::new, |s| s.to_string())
        };
        let different = measured.runs.iter().flatten().map(|run| run.different).max();
        writeln!(
            text,
            "| {} | {rate} | {} | {} | {} | {} | {} | {} | {} |",
            measured.system,
            drain.map_or_else(String::new, |drain| number(rate.median / drain.median)),
            spread(Run::cpu_per_million),
            spread(Run::broker_cpu_per_million),
            spread(Run::seconds),
            spread(Run::cpu_seconds),
            spread(Run::resident_mib),
            different.unwrap_or_default(),
        )
        .unwrap();
    }
    for measured in all {
        if let Err(why) = &measured.runs {
            writeln!(text, "\n**{} has no figure:** {why}", measured.system).unwrap();
        }
    }
    text.push_str(&goals(all));
    let bars: Vec<(String, Spread)> = all
        .iter()
        .filter_map(|measured| Some((measured.system.to_string(), measured.rate()?)))
        .collect();
    text.push_str(&document.picture(
        "throughput.svg",
        "Events a second, side by side",
        &plot::bars("Events a second, once warm", &bars),
    ));
    let curves: Vec<(String, Vec<(f64, f64)>)> = all
        .iter()
        .filter_map(|measured| {
            let middle = measured.runs.as_ref().ok()?.first()?;
            Some((measured.system.to_string(), middle.cost_by_progress()))
        })
        .collect();
    text.push_str(&document.picture(
        "cost.svg",
        "Processor time an event as state grows",
        &plot::lines(
            "Processor time an event as state grows",
            "events, millions",
            "µs an event",
            &curves,
        ),
    ));
    document.put("compare", &text);
}

fn find(all: &[Measured], system: System) -> Option<&Measured> {
    all.iter().find(|measured| measured.system == system)
}

/// What was aimed for, and what it is.
fn goals(all: &[Measured]) -> String {
    let exactly_once = System::Goodfaith { is_exactly_once: true };
    let rate = |system| find(all, system).and_then(Measured::rate).map(|rate| rate.median);
    let Some(own) = rate(exactly_once) else { return String::new() };
    let fastest = |name: &str| {
        all.iter()
            .filter(|measured| matches!(measured.system, System::Peer { name: other, .. } if other == name))
            .filter_map(|measured| Some(measured.rate()?.median))
            .reduce(f64::max)
    };
    let at_least_once = rate(System::Goodfaith { is_exactly_once: false });
    let cpu = find(all, exactly_once).and_then(|measured| measured.spread(Run::cpu_per_million));
    let rows = [
        (
            "times Kafka Streams, by its faster store",
            10.0,
            fastest("kafka-streams").map(|r| own / r),
            true,
        ),
        ("times Flink, by its faster store", 5.0, fastest("flink").map(|r| own / r), true),
        ("times the raw drain", 0.5, rate(System::Drain).map(|r| own / r), true),
        ("times itself at least once", 0.95, at_least_once.map(|r| own / r), true),
        ("processor seconds for a million events", 0.9, cpu.map(|cpu| cpu.median), false),
    ];
    let mut text =
        String::from("\n| goodfaith, exactly once | goal | measured | |\n|---|--:|--:|---|\n");
    for (what, goal, measured, is_least) in rows {
        let (bound, word) = if is_least { ("≥", "at least") } else { ("≤", "at most") };
        let shown = measured.map_or_else(|| "not measured".to_owned(), number);
        let met = measured.map(|x| if is_least { goal <= x } else { x <= goal });
        let verdict = match met {
            Some(true) => "reached",
            Some(false) => "not reached",
            None => word,
        };
        writeln!(text, "| {what} | {bound} {} | {shown} | {verdict} |", number(goal)).unwrap();
    }
    text
}

/// Latency under each load, beside the floor of the same round.
pub(crate) fn latencies(document: &Document, part: &str, about: &str, loads: &[Loaded]) {
    let mut text = circumstances(about);
    text.push_str(
        "\n| load | | median, ms | 99 %, ms | 99.9 %, ms | generator late, 99 %, ms | goal for 99 % | |\n|---|---|--:|--:|--:|--:|--:|---|\n",
    );
    let spread = |figures: &mut dyn Iterator<Item = f64>| Spread::of(figures);
    for loaded in loads {
        let load = loaded.load;
        let name = format!(
            "{} a second, commits of {} ms",
            number(load.events_per_second),
            load.commit_ms
        );
        let floor = |figure: fn(&Quantiles) -> f64| spread(&mut loaded.floors.iter().map(figure));
        let floor_p99 = floor(|floor| floor.p99);
        writeln!(
            text,
            "| {name} | a transaction of one record | {} | {floor_p99} | {} | | | |",
            floor(|floor| floor.p50),
            floor(|floor| floor.p999),
        )
        .unwrap();
        for (system, runs) in &loaded.systems {
            let runs = match runs {
                Ok(runs) if !runs.is_empty() => runs,
                Ok(_) => continue,
                Err(why) => {
                    writeln!(text, "| {name} | {system} | no figure: {why} | | | | | |").unwrap();
                    continue;
                }
            };
            let of = |figure: fn(&Latency) -> f64| spread(&mut runs.iter().map(figure));
            let p99 = of(|run| run.output.p99);
            let goal = f64::from(load.commit_ms) + 3.0 * floor_p99.median;
            writeln!(
                text,
                "| {name} | {system} | {} | {p99} | {} | {} | ≤ {} | {} |",
                of(|run| run.output.p50),
                of(|run| run.output.p999),
                of(|run| run.sending.p99),
                number(goal),
                if p99.median <= goal { "reached" } else { "not reached" },
            )
            .unwrap();
        }
    }
    document.put(part, &text);
}

/// How soon goodfaith is back, by customers and by what the group knows of the process killed.
pub(crate) fn restarts(document: &Document, about: &str, cases: &[Restarted]) {
    let mut text = circumstances(about);
    text.push_str(
        "\n| customers | member | kill to ready, s | kill to a commit of every partition, s | reading snapshots, s a million customers | read, MB | processor seconds when ready | resident then, MiB |\n|--:|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for Restarted { customers, returns } in cases {
        let millions = *customers as f64 / 1e6;
        let customers = number(*customers as f64);
        let returns = match returns {
            Ok(returns) => returns,
            Err(why) => {
                writeln!(text, "| {customers} | no figure: {why} | | | | | | |").unwrap();
                continue;
            }
        };
        for member in Member::ALL {
            let of = |figure: &dyn Fn(&Return) -> f64| {
                Spread::of(returns.iter().filter(|back| back.member == member).map(figure))
            };
            writeln!(
                text,
                "| {customers} | {member} | {} | {} | {} | {} | {} | {} |",
                of(&|back| back.ready_seconds),
                of(&|back| back.committed_seconds),
                of(&|back| back.load_seconds / millions),
                of(&|back| back.load_bytes / 1e6),
                of(&|back| back.usage.cpu_seconds),
                of(&|back| back.usage.resident_kib / 1024.0),
            )
            .unwrap();
        }
    }
    text.push_str(
        "\nReading is the sum over partitions, one on each processor at a time. A static member takes the place of the dead one at once; a dynamic one waits for the dead one's session to time out.\n",
    );
    document.put("restart", &text);
}

/// What starting and waiting take.
pub(crate) fn starts(document: &Document, about: &str, starts: &Result<Vec<Start>, String>) {
    let mut text = circumstances(about);
    text.push_str("\n| | measured | goal | |\n|---|--:|--:|---|\n");
    match starts {
        Err(why) => writeln!(text, "| no figure: {why} | | | |").unwrap(),
        Ok(starts) => {
            let of = |figure: fn(&Start) -> f64| Spread::of(starts.iter().map(figure));
            for (what, spread, goal) in [
                ("first poll of every worker, s", of(|start| start.polled_seconds), Some(0.3)),
                ("ready, s", of(|start| start.ready_seconds), None),
                ("resident while nothing comes, MiB", of(|start| start.resident_mib), Some(40.0)),
                ("processor seconds by then", of(|start| start.cpu_seconds), None),
            ] {
                let bound = goal.map_or_else(String::new, |goal| format!("≤ {}", number(goal)));
                let verdict = match goal {
                    Some(goal) if spread.median <= goal => "reached",
                    Some(_) => "not reached",
                    None => "",
                };
                writeln!(text, "| {what} | {spread} | {bound} | {verdict} |").unwrap();
            }
        }
    }
    document.put("start", &text);
}

/// goodfaith alone, by partitions, workers, customers and skew.
pub(crate) fn scaling(document: &Document, about: &str, cases: &[Case]) {
    let mut text = circumstances(about);
    text.push_str(
        "\n| | events a second | processor seconds for a million | resident, MiB |\n|---|--:|--:|--:|\n",
    );
    for case in cases {
        let spread = |figure: fn(&Run) -> f64| case.measured.spread(figure);
        let row = match (&case.measured.runs, spread(Run::rate)) {
            (Err(why), _) => format!("no figure: {why} | |"),
            (Ok(_), None) => continue,
            (Ok(_), Some(rate)) => format!(
                "{rate} | {} | {}",
                spread(Run::cpu_per_million).map_or_else(String::new, |s| s.to_string()),
                spread(Run::resident_mib).map_or_else(String::new, |s| s.to_string()),
            ),
        };
        writeln!(text, "| {} | {row} |", case.name).unwrap();
    }
    document.put("scaling", &text);
}
