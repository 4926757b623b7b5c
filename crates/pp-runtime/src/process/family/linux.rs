//! Families on Linux, from `/proc`.

use std::collections::HashSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Python's `multiprocessing` has a process that removes shared memory when all who
/// used it have ended. Killed, it would leave that memory behind for ever.
const TRACKER: &[u8] = b"resource_tracker";
/// It needs a few milliseconds.
const TRACKER_PATIENCE: Duration = Duration::from_millis(300);

/// Processes that belong to workers, other than the workers and this process. The
/// handles keep their meaning when a process's number is given to another.
#[derive(Debug, Default)]
pub(crate) struct Family {
    members: Vec<OwnedFd>,
    trackers: Vec<OwnedFd>,
}

impl Family {
    /// Who belongs, at this moment, to workers with these numbers, or carries `mark`.
    pub(crate) fn of(leaders: &[u32], mark: &str) -> Self {
        let entries = entries();
        let descendants = descendants(leaders, &entries);
        let mut family = Self::default();
        for entry in &entries {
            if leaders.contains(&entry.pid) || entry.pid == std::process::id() {
                continue;
            }
            // Opened before the look, so that both mean the same process.
            let Some(handle) = entry.open() else {
                continue;
            };
            let belongs = descendants.contains(&entry.pid)
                || leaders.contains(&entry.group)
                || entry.file_holds("environ", mark.as_bytes());
            if !belongs {
                continue;
            }
            if entry.file_holds("cmdline", TRACKER) {
                family.trackers.push(handle);
            } else {
                family.members.push(handle);
            }
        }
        family
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.trackers.is_empty()
    }

    /// Whether there are none but trackers.
    pub(crate) fn has_no_members(&self) -> bool {
        self.members.is_empty()
    }

    /// Kills all but the trackers.
    pub(crate) fn kill(&self) {
        kill(&self.members);
    }

    /// Gives the trackers a moment to end by themselves; they do when all others and
    /// the worker are gone.
    pub(crate) fn let_trackers_finish(&self) {
        let deadline = Instant::now() + TRACKER_PATIENCE;
        for tracker in &self.trackers {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut end = [PollFd::new(tracker, PollFlags::IN)];
            // Whatever it says, it is killed in the end.
            let _ = poll(&mut end, Timespec::try_from(left).ok().as_ref());
        }
        kill(&self.trackers);
    }
}

fn kill(processes: &[OwnedFd]) {
    for process in processes {
        // It may have ended already; that is what was wanted.
        let _ = pidfd_send_signal(process, Signal::KILL);
    }
}

/// A living process.
struct Entry {
    pid: u32,
    parent: u32,
    group: u32,
    path: PathBuf,
}

impl Entry {
    fn open(&self) -> Option<OwnedFd> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw)?;
        pidfd_open(pid, PidfdFlags::empty()).ok()
    }

    /// Whether a file of the process holds `text`. What may not be read belongs to
    /// somebody else.
    fn file_holds(&self, file: &str, text: &[u8]) -> bool {
        !text.is_empty()
            && fs::read(self.path.join(file))
                .is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text))
    }
}

fn entries() -> Vec<Entry> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let path = entry.path();
            let (parent, group) = parse_stat(&fs::read_to_string(path.join("stat")).ok()?)?;
            Some(Entry {
                pid,
                parent,
                group,
                path,
            })
        })
        .collect()
}

/// Parent and group in a line of `/proc/PID/stat`; none for one that has ended. The
/// name before them is in parentheses and may hold any character.
fn parse_stat(stat: &str) -> Option<(u32, u32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let state = words.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn descendants(leaders: &[u32], entries: &[Entry]) -> HashSet<u32> {
    let mut found: HashSet<u32> = leaders.iter().copied().collect();
    let mut before = 0;
    while found.len() > before {
        before = found.len();
        for entry in entries {
            if found.contains(&entry.parent) {
                found.insert(entry.pid);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::process::family::kill_all;
    use crate::process::{ExitStatus, MARK_VARIABLE};

    fn sleeper(mark: &str) -> Child {
        Command::new("sleep")
            .arg("300")
            .env(MARK_VARIABLE, mark)
            .spawn()
            .unwrap()
    }

    fn signal_of(child: &mut Child) -> Option<String> {
        ExitStatus::from_std(child.wait().unwrap()).signal_name()
    }

    #[test]
    fn only_what_carries_the_mark_is_killed() {
        let own = format!("test{}.1;", std::process::id());
        let mut marked = sleeper(&own);
        let mut nested = sleeper(&format!("{own}inner.7;"));
        let mut other = sleeper(&format!("test{}.12;", std::process::id()));
        kill_all(&[], &own);
        assert_eq!(signal_of(&mut marked).as_deref(), Some("SIGKILL"));
        assert_eq!(signal_of(&mut nested).as_deref(), Some("SIGKILL"));
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn children_without_mark_go_by_parentage_and_their_leader_stays() {
        let mut leader = Command::new("sh")
            .args(["-c", "env -i sleep 300 & echo started; wait"])
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = leader.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        kill_all(&[leader.id()], "no such mark");
        // It only waited for its child.
        assert!(leader.wait().unwrap().success());
    }

    #[test]
    fn names_with_blanks_and_parentheses_do_not_mislead() {
        assert_eq!(parse_stat("12 (a b) c) S 7 11 12 0"), Some((7, 11)));
        assert_eq!(parse_stat("12 (gone) Z 7 11 12 0"), None);
        assert_eq!(parse_stat("12 (cut off"), None);
    }
}
