//! Killing what a worker leaves behind.
//!
//! A worker's children are in its process group and go with it. A child that made
//! a group or session of its own still carries the worker's mark in its
//! environment, so on Linux it is found by that.

/// Kills every process, other than this one, whose environment holds `mark`.
/// Returns how many were found.
#[cfg(target_os = "linux")]
pub(crate) fn kill_marked(mark: &str) -> usize {
    /// A process may be forking while it is looked for.
    const ROUNDS: usize = 5;

    let mut killed = 0;
    for _ in 0..ROUNDS {
        let found = kill_round(mark.as_bytes());
        killed += found;
        if found == 0 {
            break;
        }
    }
    killed
}

/// Other systems do not show a process's environment; groups must do.
#[cfg(not(target_os = "linux"))]
pub(crate) fn kill_marked(_mark: &str) -> usize {
    0
}

#[cfg(target_os = "linux")]
fn kill_round(mark: &[u8]) -> usize {
    use rustix::process::{
        Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal,
    };

    let Ok(entries) = std::fs::read_dir("/proc") else {
        return 0;
    };
    let own = getpid();
    let mut killed = 0;
    for entry in entries.flatten() {
        let pid = entry.file_name().to_str().and_then(|n| n.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw).filter(|&p| p != own) else {
            continue;
        };
        // Opened before the look, so that the number cannot change hands between.
        let handle = pidfd_open(pid, PidfdFlags::empty());
        if !carries(&entry.path(), mark) {
            continue;
        }
        let sent = match handle {
            Ok(handle) => pidfd_send_signal(handle, Signal::KILL),
            Err(_) => kill_process(pid, Signal::KILL),
        };
        killed += usize::from(sent.is_ok());
    }
    killed
}

/// Whether the process at `proc_entry` lives and has `mark` in its environment.
/// What may not be read belongs to somebody else.
#[cfg(target_os = "linux")]
fn carries(proc_entry: &std::path::Path, mark: &[u8]) -> bool {
    std::fs::read(proc_entry.join("environ")).is_ok_and(|environment| contains(&environment, mark))
}

#[cfg(target_os = "linux")]
fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Child, Command};

    use super::kill_marked;
    use crate::process::{ExitStatus, MARK_VARIABLE};

    fn sleeper(mark: &str) -> Child {
        Command::new("sleep")
            .arg("300")
            .env(MARK_VARIABLE, mark)
            .spawn()
            .unwrap()
    }

    #[test]
    fn only_what_carries_the_mark_is_killed() {
        let own = format!("test{}.1;", std::process::id());
        let mut marked = sleeper(&own);
        let mut nested = sleeper(&format!("{own}inner.7;"));
        let mut other = sleeper(&format!("test{}.12;", std::process::id()));
        assert!(kill_marked(&own) >= 2);
        for child in [&mut marked, &mut nested] {
            let status = ExitStatus::from_std(child.wait().unwrap());
            assert_eq!(status.signal_name().as_deref(), Some("SIGKILL"));
        }
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
