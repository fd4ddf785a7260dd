//! `goodfaith reset`: throws away what was derived from the events log, so that scoring begins anew. A plan, unless it is told to act.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::deployment::DeploymentArgs;
use super::{EXIT_FAILED, Format, FormatArg, run};
use crate::config::Config;
use crate::kafka::{Held, PartitionPlan, Progress, Reset, ResetPlan, Standing};
use crate::snapshot::{Folder, SnapshotSettings, Store};
use crate::wire::{Genesis, policy_fingerprint};

const NOTES: &str = "\
Examples:
  goodfaith reset --config goodfaith.toml             the plan, and what stands in its way
  goodfaith reset --config goodfaith.toml --execute   do it; then start the service again

When: a half-life or lambda of policy.file was changed, the engine's number has changed, or a
partition is refused and its message names `goodfaith reset`. Stop every instance of the service
first: a group with members is left alone. (A member with an instance_id counts as one until its
session timeout is over.)

What goes: the group's committed offsets, the journal, the snapshots, and every output. A compacted topic gets a
tombstone for each key (header gfreset: it is no erasure), so that whoever follows it drops what it
holds; of the others the records are deleted up to their end, so that readers keep their places.
What stays: the events and the reference topic, untouched, and the topics themselves.

Then `goodfaith run` scores the events log from its beginning, under the policy configured, and
publishes all of it again, with the ids it had where nothing differs. Policies and plans on the
reference topic are in sight from the first record on. An erased customer whose events are still on
the events topic is scored up to the request, and then forgotten again.

Killed half-way, it is completed by running it again; until then every service refuses to score.";

/// Arguments of `reset`.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct ResetArgs {
    /// Do it; otherwise only say what would be done
    #[arg(long)]
    execute: bool,
    /// Accept that the events log no longer holds all that was scored: begin with what is left
    #[arg(long)]
    partial: bool,
    #[command(flatten)]
    deployment: DeploymentArgs,
    #[command(flatten)]
    format: FormatArg,
}

/// Plans, and acts if told to and nothing stands in the way.
pub(super) fn run(args: &ResetArgs) -> anyhow::Result<ExitCode> {
    let config = args.deployment.load()?;
    let reset = Reset::open(&config.kafka)?;
    let plan = reset.plan()?;
    let obstacles = obstacles(args, &plan);
    let is_done = args.execute && obstacles.is_empty();
    if is_done {
        execute(reset, &config, &plan)?;
    }
    match args.format.format {
        Format::Json => writeln!(io::stdout(), "{}", object(&config, &plan, &obstacles, is_done))?,
        Format::Text => write!(io::stdout(), "{}", text(&config, &plan, &obstacles, is_done))?,
    }
    Ok(if obstacles.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// The order matters: `kafka::Held` says why. Whatever else is derived from the log is deleted while the group is held.
fn execute(reset: Reset, config: &Config, plan: &ResetPlan) -> anyhow::Result<()> {
    let store = match &config.snapshot {
        Some(SnapshotSettings { location, .. }) => Some(
            Store::open(location, &run::environment())
                .context("nothing was changed: set snapshot.url to where the snapshots are")?,
        ),
        None => None,
    };
    let held = reset.hold().context("nothing was changed")?;
    // Before the journal, which alone says what they are called.
    store
        .map_or(Ok(()), |store| remove_snapshots(&store, plan))
        .and_then(|()| clear(&held))
        .and_then(|()| Ok(held.release()?))
        .context("the reset is not complete: run it again; until then no service scores")
}

/// Removes the snapshots of every history that the journal knows.
fn remove_snapshots(store: &Store, plan: &ResetPlan) -> anyhow::Result<()> {
    for PartitionPlan { partition, genesis, .. } in &plan.partitions {
        if let Some(Genesis { lineage, .. }) = genesis {
            Folder::new(store, *lineage, *partition).remove()?;
        }
    }
    Ok(())
}

fn clear(held: &Held) -> anyhow::Result<()> {
    let is_shown = io::stderr().is_terminal();
    let bar = if is_shown { ProgressBar::no_length() } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} {eta} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let cleared = held.clear_outputs(|Progress { topic, done, total }| {
        if is_shown && bar.message() != topic {
            bar.set_message(topic.to_owned());
        }
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok(cleared?)
}

/// What stands in the way, in words.
fn obstacles(args: &ResetArgs, plan: &ResetPlan) -> Vec<String> {
    let mut obstacles = Vec::new();
    if !plan.members.is_empty() {
        let (group, members) = (&plan.group, plan.members.join(", "));
        obstacles.push(format!(
            "group {group} has members: {members}. Stop the service; a member with an instance_id is missed only after its session timeout"
        ));
    }
    let lost: Vec<String> = plan.partitions.iter().filter_map(lost).collect();
    if !lost.is_empty() && !args.partial {
        obstacles.push(format!(
            "the events log no longer holds all that was scored: {}. --partial begins with what is left",
            lost.join(", ")
        ));
    }
    obstacles
}

fn lost(plan: &PartitionPlan) -> Option<String> {
    let (begun, start) = plan.lost()?;
    Some(format!("partition {} began at offset {begun} and now holds {start} on", plan.partition))
}

/// Records of the events log: handled so far, and to be scored anew.
fn records(plan: &ResetPlan) -> (i64, i64) {
    let handled = plan.partitions.iter().map(|plan| match plan.standing {
        Standing::Scored(offset) => (offset - plan.start).max(0),
        Standing::Unread | Standing::Held => 0,
    });
    (handled.sum(), plan.partitions.iter().map(|plan| plan.end - plan.start).sum())
}

fn journalled(plan: &ResetPlan) -> u64 {
    plan.partitions.iter().map(|plan| plan.journal).sum()
}

/// The policies and engines the histories began with, each once.
fn began(plan: &ResetPlan) -> Vec<String> {
    let geneses = plan.partitions.iter().filter_map(|plan| plan.genesis.as_ref());
    let mut began: Vec<String> = geneses
        .map(|genesis| {
            let (version, engine) = (&genesis.policy_version, genesis.engine);
            format!("{version} ({:016x}) and engine {engine}", genesis.policy_fingerprint)
        })
        .collect();
    began.sort();
    began.dedup();
    began
}

fn text(config: &Config, plan: &ResetPlan, obstacles: &[String], is_done: bool) -> String {
    let (group, prefix) = (&plan.group, &config.kafka.prefix);
    let mut lines = vec![match (is_done, obstacles.is_empty()) {
        (true, _) => format!("Reset of group {group}, topics {prefix}.*: done."),
        (false, true) => {
            format!("Reset of group {group}, topics {prefix}.*: a plan, nothing is changed.")
        }
        (false, false) => format!(
            "Reset of group {group}, topics {prefix}.*: not possible as things are, nothing is changed."
        ),
    }];
    if plan.is_held() && !is_done {
        lines.push("  A reset was cut off before: it is to be completed, and until then no service scores.".to_owned());
    }
    let count = |n: i64| HumanCount(u64::try_from(n).unwrap_or(0));
    let (handled, all) = records(plan);
    let partitions = plan.partitions.len();
    lines.push(format!(
        "  group     {group}, {partitions} partitions, {} records handled: offsets deleted",
        count(handled)
    ));
    lines.push(format!(
        "  journal   {prefix}.journal.v1, {} offsets: emptied",
        HumanCount(journalled(plan))
    ));
    if let Some(SnapshotSettings { location, .. }) = &config.snapshot {
        lines.push(format!("  snapshots {location}: removed"));
    }
    for output in &plan.outputs {
        let how =
            if output.has_tombstones { "a tombstone for each key" } else { "records deleted" };
        let offsets = HumanCount(output.offsets);
        lines.push(format!("  output    {}, {offsets} offsets: {how}", output.topic));
    }
    lines.push(format!("  kept      {prefix}.events.v1 and {prefix}.reference.v1, untouched"));
    lines.push(format!(
        "Scoring begins anew with policy {} ({:016x}) over {} records{}.",
        config.policy.version,
        policy_fingerprint(&config.policy),
        count(all),
        match began(plan) {
            began if began.is_empty() => String::new(),
            began => format!("; it had begun with {}", began.join(", ")),
        }
    ));
    lines.extend(obstacles.iter().map(|obstacle| format!("In the way: {obstacle}.")));
    if obstacles.is_empty() {
        lines.push(if is_done {
            "Start the service: goodfaith run.".to_owned()
        } else {
            "To do it: the same, and --execute.".to_owned()
        });
    }
    lines.join("\n") + "\n"
}

fn object(config: &Config, plan: &ResetPlan, obstacles: &[String], is_done: bool) -> Value {
    let (handled, all) = records(plan);
    let outputs: Vec<Value> = plan
        .outputs
        .iter()
        .map(|output| {
            let how = if output.has_tombstones { "tombstones" } else { "deletion" };
            json!({ "topic": output.topic, "offsets": output.offsets, "cleared_by": how })
        })
        .collect();
    json!({
        "executed": is_done,
        "obstacles": obstacles,
        "group": plan.group,
        "cut_off_before": plan.is_held() && !is_done,
        "records_handled": handled,
        "records_to_score": all,
        "journal_offsets": journalled(plan),
        "outputs": outputs,
        "policy": config.policy.version.to_string(),
        "policy_hash": format!("{:016x}", policy_fingerprint(&config.policy)),
        "had_begun_with": began(plan),
        "lost": plan.partitions.iter().filter_map(lost).collect::<Vec<_>>(),
    })
}
