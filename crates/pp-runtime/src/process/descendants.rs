//! The processes below others, found by parentage while their ancestors live.
//!
//! A mark in the environment finds more, but not a process that was given an empty
//! environment; and a group does not hold what made a session of its own.

/// Processes that descended from given ones when they were looked for.
#[derive(Debug, Default)]
pub(crate) struct Descendants {
    #[cfg(target_os = "linux")]
    handles: Vec<std::os::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Descendants {
    /// The descendants of `ancestors` at this moment, without those themselves.
    pub(crate) fn of(ancestors: &[u32]) -> Self {
        use std::collections::HashSet;

        use rustix::process::{Pid, PidfdFlags, pidfd_open};

        let parents = parents();
        let mut family: HashSet<u32> = ancestors.iter().copied().collect();
        let mut handles = Vec::new();
        let mut grows = true;
        while grows {
            grows = false;
            for &(pid, parent) in &parents {
                if !family.contains(&parent) || !family.insert(pid) {
                    continue;
                }
                grows = true;
                let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
                // A handle keeps its meaning when the number is given to another.
                handles.extend(raw.and_then(|raw| pidfd_open(raw, PidfdFlags::empty()).ok()));
            }
        }
        Self { handles }
    }

    /// Kills those that are left.
    pub(crate) fn kill(&self) {
        use rustix::process::{Signal, pidfd_send_signal};

        for handle in &self.handles {
            // It may have ended already; that is what was wanted.
            let _ = pidfd_send_signal(handle, Signal::KILL);
        }
    }
}

/// Elsewhere, groups and job objects must do.
#[cfg(not(target_os = "linux"))]
impl Descendants {
    pub(crate) fn of(_ancestors: &[u32]) -> Self {
        Self::default()
    }

    pub(crate) fn kill(&self) {}
}

/// All processes with their parents.
#[cfg(target_os = "linux")]
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((pid, parent_in(&stat)?))
        })
        .collect()
}

/// The parent in a line of `/proc/PID/stat`. The name before it is in parentheses
/// and may hold any character.
#[cfg(target_os = "linux")]
fn parent_in(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn names_with_blanks_and_parentheses_do_not_mislead() {
        assert_eq!(parent_in("12 (a b) c) S 7 12 12 0"), Some(7));
        assert_eq!(parent_in("12 (cut off"), None);
    }

    #[test]
    fn grandchildren_are_found_and_killed() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 300 & echo started; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let found = Descendants::of(&[child.id()]);
        assert_eq!(found.handles.len(), 1);
        found.kill();
        // The shell only waited for its child.
        assert!(child.wait().unwrap().success());
    }
}
