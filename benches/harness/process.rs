//! A process that is measured: started, looked at through `/proc`, ended.

use std::fs;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::time::Duration;

use crate::clock;

/// Clock ticks a second in `/proc`: `getconf CLK_TCK`, 100 on every Linux.
const TICKS: f64 = 100.0;
/// How long a process may take to end before it is killed.
const ENDING: Duration = Duration::from_secs(30);

/// What a process and its children have used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    /// Resident now.
    pub(crate) resident_kib: f64,
}

/// A child process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
        command.spawn().map(Self).map_err(|error| format!("{command:?}: {error}"))
    }

    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// What it and its children have used so far.
    pub(crate) fn usage(&self) -> Usage {
        usage_of_tree(self.0.id())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        if self.ended().is_some() {
            return Ok(());
        }
        let pid = self.0.id().to_string();
        let asked = Command::new("kill").args(["-s", "TERM", &pid]).status();
        asked.map_err(|error| format!("kill: {error}"))?;
        if clock::wait_until(ENDING, || self.ended().is_some()) {
            Ok(())
        } else {
            Err(format!("did not end within {ENDING:?} of SIGTERM"))
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it has ended already, there is nothing to kill.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What the process `pid` and its children have used; nothing if there is no such process.
pub(crate) fn usage_of_tree(pid: u32) -> Usage {
    let own = usage_of(pid).unwrap_or_default();
    children(pid).into_iter().map(usage_of_tree).fold(own, |sum, child| Usage {
        cpu_seconds: sum.cpu_seconds + child.cpu_seconds,
        resident_kib: sum.resident_kib + child.resident_kib,
    })
}

fn usage_of(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage { cpu_seconds: cpu_seconds(&stat)?, resident_kib: resident_kib(&status) })
}

/// User and system time, its own and of children waited for: fields 14 to 17 of proc_pid_stat(5), the second of which may hold spaces in
/// its parentheses.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks = after_name.split_whitespace().skip(11).take(4);
    Some(ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS)
}

/// 0 for a process that has ended and was not waited for.
fn resident_kib(status: &str) -> f64 {
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_default()
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}
