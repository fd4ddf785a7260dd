//! Every system on the same bytes: events are stored in a real Apache Kafka, and goodfaith, other stream processors with the same subset
//! (`../peers/README.md`) and two floors, a raw drain and the model alone, work through them in turn, round after round, each as a process of
//! its own. A system whose outputs are not what goodfaith's engine makes of the records on one thread has no figure. Run by `make bench`;
//! writes `docs/performance.md`.
//!
//! It measures what a user would see from outside. Where inside the time goes is for the other benches and a profiler.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a harness fails by panicking, and tells what it does"
)]
#![allow(missing_docs, reason = "a program; nothing is public")]

mod alone;
mod args;
mod broker;
mod clock;
mod drain;
mod figures;
mod latency;
mod measure;
mod oracle;
mod plot;
mod process;
mod report;
mod restart;
mod rounds;
mod start;
mod systems;
mod web;
mod workload;

use clap::Parser as _;

use args::{Args, Part, Role};
use broker::Broker;
use report::Document;
use rounds::Harness;

fn main() {
    let args = Args::parse();
    if let Some(role) = args.role {
        play(role);
        // Looked at until it is told to end, like the others.
        loop {
            std::thread::park();
        }
    }
    #[expect(clippy::disallowed_methods, reason = "how the harness is told of its broker")]
    let bootstrap = std::env::var("KAFKA_BOOTSTRAP");
    let bootstrap = bootstrap.expect("KAFKA_BOOTSTRAP names a broker: run `make bench`");
    let document = Document::new(!args.dry);
    let harness = Harness { args, broker: Broker { bootstrap }, document };
    let begin = clock::now();
    for (part, measure) in [
        (Part::Compare, Harness::compare as fn(&Harness)),
        (Part::Latency, Harness::latency),
        (Part::Scaling, Harness::scaling),
        (Part::Start, Harness::start),
        (Part::Restart, Harness::restart),
        (Part::Crash, Harness::crash),
    ] {
        if harness.args.asks_for(part) {
            measure(&harness);
            eprintln!(
                "{part:?} is measured, {:.0} s after the start.",
                begin.elapsed().as_secs_f64()
            );
        }
    }
}

/// Does what the harness starts itself for.
fn play(role: Role) {
    match role {
        Role::Drain { bootstrap, topic, partitions } => {
            drain::run(&Broker { bootstrap }, &topic, partitions);
        }
        Role::Alone { bootstrap, topic, partitions } => {
            let policy = oracle::policy(&systems::policy_file());
            alone::run(&Broker { bootstrap }, &topic, partitions, policy);
        }
    }
}
