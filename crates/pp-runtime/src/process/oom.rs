//! Whether the kernel's out-of-memory killer was at work.

/// How many processes the kernel has killed for want of memory since it started,
/// where it tells.
pub(super) fn kills_so_far() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/vmstat").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}
