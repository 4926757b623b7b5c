//! All that a worker has started, directly or not: found, and killed.
//!
//! A worker leads a process group, so killing the group takes most of it. On Linux
//! we look closer. The family is the group, the descendants by parentage, and
//! whoever carries the worker's mark in the environment, as do also orphans in
//! sessions of their own. Only an orphan that left the group with an empty
//! environment is not found.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::Family;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::Family;

/// Kills the family, again and again until none is found: a process may be forking
/// while it is looked for.
pub(crate) fn kill_all(leaders: &[u32], mark: &str) {
    const ROUNDS: usize = 5;

    for _ in 0..ROUNDS {
        let family = Family::of(leaders, mark);
        if family.is_empty() {
            return;
        }
        family.kill();
        family.let_trackers_finish();
    }
}
