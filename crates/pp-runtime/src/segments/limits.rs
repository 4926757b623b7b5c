//! How much shared memory is used if nobody says how much.

use std::time::Duration;

use super::ledger::Limits;

/// Memory of a machine that does not say how much it has.
#[cfg(not(target_os = "linux"))]
const ASSUMED_MEMORY: u64 = 8 << 30;
/// No more than this is kept for the next use.
const IDLE_MOST: u64 = 4 << 30;
/// Nor for longer.
const IDLE_TIME: Duration = Duration::from_secs(3);
/// However many descriptors there may be, so many segments are enough.
const SEGMENTS_MOST: usize = 4096;

/// The limits where the user allows `bytes` in all; `None`: half of the memory that this
/// process may use.
pub(super) fn limits(bytes: Option<u64>) -> Limits {
    let memory = memory();
    let bytes = bytes.unwrap_or(memory / 2);
    Limits {
        bytes,
        segments: descriptors() / 4,
        idle_bytes: IDLE_MOST.min(memory / 8).min(bytes),
        idle_time: IDLE_TIME,
    }
}

/// How many bytes of a parent's big arguments a node keeps if nobody says how many.
pub(crate) fn default_cache() -> u64 {
    memory() / 4
}

/// How many descriptors this process may have, within reason.
fn descriptors() -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        let limit = getrlimit(Resource::Nofile).current;
        limit
            .and_then(|limit| usize::try_from(limit).ok())
            .map_or(4 * SEGMENTS_MOST, |limit| limit.min(4 * SEGMENTS_MOST))
    }
    #[cfg(not(unix))]
    {
        4 * SEGMENTS_MOST
    }
}

/// How many bytes of memory this process may use: the machine's, or what its control group
/// leaves of it.
pub fn usable_memory() -> u64 {
    memory()
}

#[cfg(target_os = "linux")]
fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // differ by platform
    let machine = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit));
    [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ]
    .iter()
    .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
    .fold(machine, u64::min)
}

#[cfg(not(target_os = "linux"))]
fn memory() -> u64 {
    ASSUMED_MEMORY
}
